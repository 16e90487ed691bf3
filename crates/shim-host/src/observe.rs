//! What a host tells about its guests while it runs.
//!
//! A [`Source`], an instant and an [`Observation`] out, to whoever implements [`Observer`]. Always
//! true: observations of one thread come in the order of its own time; an observer is called while no
//! guest of the host has control, and must not call the host. How they look to a person is not here:
//! that is `shim-sim`.

use std::time::Duration;

use shim_abi::SimTime;
use shim_abi::event::SignalInfo;
use shim_abi::ring::CallRecord;

/// The thread that an observation is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Source<'a> {
    /// Name of the simulated machine.
    pub host: &'a str,
    /// Name of the program that the process runs.
    pub program: &'a str,
    /// Virtual process id.
    pub pid: u32,
    /// Virtual thread id.
    pub tid: u32,
    /// Virtual id of the process that the host's owner started and that this one descends from, or is.
    pub root: u32,
}

/// How a process ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ProcessEnd {
    /// It exited with this status, 0 to 255.
    Exited(i32),
    /// This signal killed it.
    Killed(u32),
}

/// One thing that happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Observation<'a> {
    /// A log line, of the shim or of the host itself. The text is a guest's allegation.
    Log {
        /// How much it matters.
        level: log::Level,
        /// What it says.
        text: &'a str,
    },
    /// A system call that returned.
    Call {
        /// Number, arguments, result.
        record: CallRecord,
        /// Texts of arguments, as in the payload of `RecordKind::Call`.
        texts: &'a [u8],
    },
    /// A system call in which the thread was when its process ended.
    Unfinished {
        /// The call's number.
        number: u32,
        /// Its arguments.
        args: [u64; 6],
    },
    /// A signal whose handler runs next.
    Signal(SignalInfo),
    /// The thread made no call for so long, in wall time, and was preempted: from now on the run is not
    /// reproducible.
    Preempted {
        /// The watchdog's patience.
        wall: Duration,
    },
    /// The process ended.
    Ended(ProcessEnd),
}

/// Somebody who wants to know.
pub trait Observer {
    /// Called once for each thing that happened, at the thread's own simulated time.
    fn observe(&mut self, source: &Source<'_>, time: SimTime, what: Observation<'_>);
}

/// Hears nothing.
impl Observer for () {
    fn observe(&mut self, _: &Source<'_>, _: SimTime, _: Observation<'_>) {}
}
