//! What a host remembers of one guest thread beside the kernel.
//!
//! The supervisor's guest in; observations and lacks out. Always true: what a guest wrote about itself (its counts,
//! its records, its processor time) is taken for an allegation, cleaned and bounded. What its process's threads
//! have in common is `process`; answering it is `serve`.

use std::sync::atomic::Ordering::Relaxed;

use shim_abi::SimTime;
use shim_abi::ring::{CallRecord, RecordHeader, RecordKind};
use shim_kernel::{SLICE, VirtualPid, VirtualTid};
use shim_supervisor::Guest;

use crate::interrupter::Interrupter;
use crate::lacks::{LackKind, Lacks};
use crate::machine::Machine;
use crate::observe::{Observation, Observer};
use crate::process::Process;

/// Where a thread is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum State {
    /// Its process was started and has control: it will say `Start`.
    Fresh,
    /// Another guest made it: it waits for its first turn, and has said nothing.
    Born,
    /// It waits in simulated time.
    Parked,
    /// Its turn was interrupted by the end of a step, and goes on with the next.
    Paused,
    /// It is the first of its process and has exited: others go on.
    Lingering,
    /// Whoever steps the host is serving it.
    Serving,
}

pub(crate) struct Thread {
    pub(crate) guest: Guest,
    pub(crate) pid: VirtualPid,
    pub(crate) tid: VirtualTid,
    pub(crate) state: State,
    /// Its own time when it was last heard of.
    pub(crate) time: SimTime,
    /// Time of its latest record, as it says: later than `time` if it died with control.
    pub(crate) told: SimTime,
    /// The forwarded call in which it is.
    pub(crate) call: Option<(u32, [u64; 6])>,
    /// The result of a finished call that it has not been told, because others were let go first.
    pub(crate) untold: Option<i64>,
}

impl Thread {
    pub(crate) fn new(
        guest: Guest,
        (pid, tid): (VirtualPid, VirtualTid),
        state: State,
        time: SimTime,
    ) -> Thread {
        let thread = Thread { guest, pid, tid, state, time, told: time, call: None, untold: None };
        thread.rest();
        thread
    }

    /// It waits for something, or lets others go first.
    pub(crate) fn rest(&self) {
        self.guest.thread().rest(SLICE);
    }

    /// Whether it has had the processor for so long, without waiting for anything, that it gives way to whom it wakes.
    pub(crate) fn is_restless(&self) -> bool {
        self.guest.thread().is_restless()
    }

    /// Pass on the records that the guest has written.
    pub(crate) fn drain(
        &mut self,
        process: &Process,
        host: &str,
        lacks: &mut Lacks,
        observer: &mut dyn Observer,
    ) {
        let source = process.source(host, self.tid);
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
                    lacks.add(source.program, LackKind::Other(text), 1);
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
            if let Some(bytes) = published.address_space_bytes {
                self.guest.limit_address_space(bytes);
            }
        }
        let bits = machine.kernel(|kernel| kernel.pending(self.tid));
        self.guest.set_pending_signals(bits);
        // Somebody may have interrupted between our look at the bits and this store.
        let late = interrupter.waiting();
        if late != 0 {
            self.guest.set_pending_signals(bits | late);
        }
    }
}

/// A level as records carry it, 1 to 5; what a guest invents counts as the least.
fn level(number: u8) -> log::Level {
    log::Level::iter().nth(usize::from(number).wrapping_sub(1)).unwrap_or(log::Level::Trace)
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
