//! Processes and threads, and what a parked call leaves behind.
//!
//! Data only. Always true: a thread is in exactly one [`State`]; every deadline of a parked thread
//! and every running interval timer stands in the agenda under the same instant. How the state
//! changes is in `kernel` (parking, waking) and `life` (birth, death).

use alloc::string::String;

use shim_abi::{SimDuration, SimTime};

use crate::guest::GuestAddr;
use crate::ids::VirtualPid;
use crate::limits::Limits;
use crate::sched::Scheduling;
use crate::signal::Pending;

/// One process (a thread group).
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) parent: VirtualPid,
    pub(crate) group: VirtualPid,
    pub(crate) session: VirtualPid,
    /// The program that it was started for, for messages.
    pub(crate) program: String,
    pub(crate) limits: Limits,
    pub(crate) interval: Interval,
    /// Signals for whichever thread takes them.
    pub(crate) pending: Pending,
    /// CPU time, as far as the last call told.
    pub(crate) cpu_ns: u64,
    /// Whether a published word changed since it was last taken.
    pub(crate) is_changed: bool,
}

/// The ITIMER_REAL of a process. Its instants are times since boot: it follows the machine's own clock.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Interval {
    /// When it expires next, if it runs.
    pub(crate) deadline: Option<SimDuration>,
    /// When it expired last, if nobody has taken its signal since: it is set again by the taker.
    pub(crate) expired: Option<SimDuration>,
    /// From one expiry to the next; zero for a single one.
    pub(crate) period: SimDuration,
}

/// One thread (a task).
#[derive(Debug)]
pub(crate) struct Thread {
    pub(crate) pid: VirtualPid,
    pub(crate) state: State,
    /// Signals for this thread alone.
    pub(crate) pending: Pending,
    /// The mask under which the next signal is chosen, after an `rt_sigsuspend`.
    pub(crate) suspended_mask: Option<u64>,
    pub(crate) scheduling: Scheduling,
}

/// What a thread does.
#[derive(Clone, Copy, Debug)]
pub(crate) enum State {
    /// Its guest runs, or will as soon as it is its turn.
    Running,
    /// It waits in simulated time.
    Parked(Parked),
    /// It has exited.
    Ended,
}

/// The record of a parked call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parked {
    /// The thread's own clock when it parked: it never wakes earlier.
    pub(crate) since: SimTime,
    /// When the wait ends by itself; the end of time: never.
    pub(crate) deadline: SimTime,
    pub(crate) wait: Wait,
    /// Set while the thread is queued to be resumed.
    pub(crate) wake: Option<Wake>,
}

/// What a parked thread waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Wait {
    /// Its turn, at its own clock. Signals do not shorten this.
    Limit,
    /// Its deadline. An interrupted wait stores what was left of it at `remainder`, if that is not
    /// null: the time to the deadline, or a count of CPU time.
    Sleep { remainder: GuestAddr, cpu_ns_left: Option<u64> },
    /// Any signal.
    Pause,
    /// Any signal that this mask does not block.
    Suspend { mask: u64 },
    /// One of these signals, whose description goes to `info`, or its deadline.
    OneOf { set: u64, info: GuestAddr },
}

/// Why a parked thread is resumed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Wake {
    /// Its deadline has come.
    Timeout,
    /// A signal came: look whether it ends the wait.
    Look,
}
