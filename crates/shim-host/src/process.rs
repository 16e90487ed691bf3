//! What a host remembers of one guest process beside the kernel: what its threads have in common.
//!
//! The supervisor's guest in; observations, lacks and failures out. Always true: what a guest wrote about
//! itself (its name, its counts) is taken for an allegation, cleaned and bounded. A single thread is `thread`.

use std::collections::BTreeSet;

use shim_abi::calls::MAX_CALLS;
use shim_kernel::{End, VirtualPid, VirtualTid};
use shim_supervisor::{ExitStatus, Guest};

use crate::lacks::{LackKind, Lacks};
use crate::observe::{ProcessEnd, Source};

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
    pub(crate) pid: VirtualPid,
    /// The process that the host's owner started and that this one descends from, or is.
    pub(crate) root: VirtualPid,
    /// Name of the program that runs, for messages.
    pub(crate) program: String,
    /// An image said `Start`.
    pub(crate) has_started: bool,
    /// Those that have not ended.
    pub(crate) threads: BTreeSet<VirtualTid>,
    /// Refusals already counted for programs that ran before in this process.
    counted: Vec<u32>,
}

impl Process {
    /// A process that the host's owner starts.
    pub(crate) fn started(pid: VirtualPid, program: String) -> Process {
        Process {
            pid,
            root: pid,
            program,
            has_started: false,
            threads: BTreeSet::from([pid.leader()]),
            counted: vec![0; MAX_CALLS],
        }
    }

    /// A process that this one makes.
    pub(crate) fn child(&self, pid: VirtualPid) -> Process {
        Process {
            root: self.root,
            has_started: true,
            ..Process::started(pid, self.program.clone())
        }
    }

    /// A new image is up: from now on things are counted for its program.
    pub(crate) fn begin_image(&mut self, guest: &Guest, lacks: &mut Lacks) {
        if self.has_started {
            self.count_refused(guest, lacks);
        }
        self.has_started = true;
        let name = guest.program();
        if !name.is_empty() {
            self.program = name;
        }
    }

    /// Count the calls that were refused since the last time.
    pub(crate) fn count_refused(&mut self, guest: &Guest, lacks: &mut Lacks) {
        for (number, count) in guest.refused() {
            let Some(counted) = self.counted.get_mut(number as usize) else { continue };
            // The words are the guest's: a count that went back is not believed.
            let more = count.saturating_sub(*counted);
            if more > 0 {
                lacks.add(&self.program, LackKind::Call(number), more.into());
            }
            *counted = count;
        }
    }

    /// One of its threads, as observations name it.
    pub(crate) fn source<'a>(&'a self, host: &'a str, tid: VirtualTid) -> Source<'a> {
        Source { host, program: &self.program, pid: self.pid.0, tid: tid.0, root: self.root.0 }
    }
}

/// The kernel's word about the process, and what it means.
pub(crate) fn process_end(status: ExitStatus) -> ProcessEnd {
    match status {
        ExitStatus::Code(code) => ProcessEnd::Exited(code),
        ExitStatus::Signal { signal, .. } => ProcessEnd::Killed(signal.unsigned_abs()),
        ExitStatus::Lost => ProcessEnd::Killed(libc::SIGKILL.unsigned_abs()),
    }
}

/// The same, as its parent will hear of it.
pub(crate) fn kernel_end(status: ExitStatus) -> End {
    match status {
        ExitStatus::Code(code) => End::Exited(code),
        ExitStatus::Signal { signal, has_core } => {
            End::Killed { signal: signal.unsigned_abs(), has_core }
        }
        ExitStatus::Lost => End::Killed { signal: libc::SIGKILL.unsigned_abs(), has_core: false },
    }
}
