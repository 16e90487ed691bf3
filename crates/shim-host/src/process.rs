//! What a host remembers of one guest process beside the kernel.
//!
//! The supervisor's guest in; observations, lacks and failures out. Always true: what a guest wrote about
//! itself (its name, its counts, its records) is taken for an allegation, cleaned and bounded. One process
//! has one thread so far. Answering it is `serve`.

use std::sync::atomic::Ordering::Relaxed;

use shim_abi::SimTime;
use shim_abi::calls::MAX_CALLS;
use shim_abi::ring::{CallRecord, RecordHeader, RecordKind};
use shim_kernel::{VirtualPid, VirtualTid};
use shim_supervisor::Guest;

use crate::config::HostConfig;
use crate::interrupter::Interrupter;
use crate::lacks::{LackKind, Lacks};
use crate::machine::Machine;
use crate::observe::{Observation, Observer, ProcessEnd, Source};

/// Where a thread is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum State {
    /// Its process exists and it has control: it will say `Start`.
    Fresh,
    /// It waits in simulated time.
    Parked,
    /// Whoever steps the host is serving it.
    Serving,
}

/// A failure of the shim inside a guest.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failure {
    /// The program that ran.
    pub program: String,
    /// Its virtual process id.
    pub pid: u32,
    /// What, where, when: the shim's own line.
    pub text: String,
}

pub(crate) struct Process {
    pub(crate) guest: Guest,
    pub(crate) pid: VirtualPid,
    pub(crate) tid: VirtualTid,
    pub(crate) state: State,
    /// Name of the program that runs, for messages.
    pub(crate) program: String,
    /// Its own time when it was last heard of.
    pub(crate) time: SimTime,
    /// Time of its latest record, as it says: later than `time` if it died with control.
    pub(crate) told: SimTime,
    /// An image said `Start`.
    pub(crate) has_started: bool,
    /// The forwarded call in which the thread is.
    pub(crate) call: Option<(u32, [u64; 6])>,
    /// Refusals already counted for programs that ran before in this process.
    counted: Vec<u32>,
}

impl Process {
    pub(crate) fn new(
        guest: Guest,
        (pid, tid): (VirtualPid, VirtualTid),
        program: String,
        time: SimTime,
    ) -> Process {
        Process {
            guest,
            pid,
            tid,
            state: State::Fresh,
            program,
            time,
            told: time,
            has_started: false,
            call: None,
            counted: vec![0; MAX_CALLS],
        }
    }

    /// A new image is up: from now on things are counted for its program.
    pub(crate) fn begin_image(&mut self, lacks: &mut Lacks) {
        if self.has_started {
            self.count_refused(lacks);
        }
        self.has_started = true;
        let name = self.guest.program();
        if !name.is_empty() {
            self.program = name;
        }
    }

    /// Count the calls that were refused since the last time.
    pub(crate) fn count_refused(&mut self, lacks: &mut Lacks) {
        for (number, count) in self.guest.refused() {
            let Some(counted) = self.counted.get_mut(number as usize) else { continue };
            // The words are the guest's: a count that went back is not believed.
            let more = count.saturating_sub(*counted);
            if more > 0 {
                lacks.add(&self.program, LackKind::Call(number), more.into());
            }
            *counted = count;
        }
    }

    /// Pass on the records that the guest has written.
    pub(crate) fn drain(&mut self, host: &str, lacks: &mut Lacks, observer: &mut dyn Observer) {
        let source = source(host, &self.program, self.pid, self.tid);
        let program = &self.program;
        let told = &mut self.told;
        self.guest.drain(|header: RecordHeader, payload: &[u8]| {
            let time = SimTime::from_ns(header.time_ns);
            *told = time.max(*told);
            match header.kind {
                RecordKind::Log => {
                    let text = String::from_utf8_lossy(payload);
                    let level = level(header.level);
                    observer.observe(&source, time, Observation::Log { level, text: &text });
                }
                RecordKind::Call => {
                    if let Some(record) = CallRecord::from_bytes(payload) {
                        let texts = &payload[CallRecord::BYTES..];
                        observer.observe(&source, time, Observation::Call { record, texts });
                    }
                }
                RecordKind::Lack => {
                    let text = String::from_utf8_lossy(payload).into_owned();
                    lacks.add(program, LackKind::Other(text), 1);
                }
            }
        });
    }

    /// Show the guest what the kernel has to say without being asked: its ids and limits, and which
    /// signals wait for it. To be called before each hand-over.
    pub(crate) fn publish(&self, machine: &mut Machine, interrupter: &Interrupter) {
        let block = self.guest.process();
        if let Some(published) = machine.kernel(|kernel| kernel.take_published(self.pid)) {
            block.parent_pid.store(published.parent, Relaxed);
            block.group.store(published.group, Relaxed);
            block.session.store(published.session, Relaxed);
            let [soft, hard] = [published.descriptor_limit.0, published.descriptor_limit.1]
                .map(|limit| u32::try_from(limit).unwrap_or(u32::MAX));
            block.descriptor_limit.store(soft, Relaxed);
            block.descriptor_limit_hard.store(hard, Relaxed);
        }
        let bits = machine.kernel(|kernel| kernel.pending(self.tid));
        self.guest.set_pending_signals(bits);
        // Somebody may have interrupted between our look at the bits and this store.
        let late = interrupter.waiting();
        if late != 0 {
            self.guest.set_pending_signals(bits | late);
        }
    }

    /// Tell that something is wrong with this process, if anybody wants to hear of errors.
    pub(crate) fn log_error(&self, config: &HostConfig, text: &str, observer: &mut dyn Observer) {
        let level = log::Level::Error;
        if level <= config.log_level {
            let what = Observation::Log { level, text };
            self.tell(&config.hostname, self.time, what, observer);
        }
    }

    /// Tell something about this process.
    pub(crate) fn tell(
        &self,
        host: &str,
        time: SimTime,
        what: Observation<'_>,
        observer: &mut dyn Observer,
    ) {
        observer.observe(&source(host, &self.program, self.pid, self.tid), time, what);
    }
}

fn source<'a>(host: &'a str, program: &'a str, pid: VirtualPid, tid: VirtualTid) -> Source<'a> {
    Source { host, program, pid: pid.0, tid: tid.0 }
}

/// A level as records carry it, 1 to 5; what a guest invents counts as the least.
fn level(number: u8) -> log::Level {
    log::Level::iter().nth(usize::from(number).wrapping_sub(1)).unwrap_or(log::Level::Trace)
}

/// The kernel's word about the process, and what it means.
pub(crate) fn process_end(status: shim_supervisor::ExitStatus) -> ProcessEnd {
    match status {
        shim_supervisor::ExitStatus::Code(code) => ProcessEnd::Exited(code),
        shim_supervisor::ExitStatus::Signal { signal, .. } => {
            ProcessEnd::Killed(signal.unsigned_abs())
        }
        shim_supervisor::ExitStatus::Lost => ProcessEnd::Killed(libc::SIGKILL.unsigned_abs()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_those_of_the_log_crate() {
        assert_eq!(level(1), log::Level::Error);
        assert_eq!(level(5), log::Level::Trace);
        assert_eq!(level(0), log::Level::Trace);
        assert_eq!(level(200), log::Level::Trace);
        for level_ in log::Level::iter() {
            assert_eq!(level(level_ as u8), level_);
        }
    }
}
