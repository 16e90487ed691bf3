//! Timers that send signals: POSIX timers, and what counts processor time.
//!
//! Rooms: `call` (timer_create and its family), `expiry` (what happens when one is due, and when its signal is taken),
//! `cpu` (processor time as a clock: when it is looked at). The three timers of `setitimer` are in `interval`. Always
//! true: a timer that has expired is not set again before its signal is taken, so that the agenda never fills up with
//! expiries that nobody sees; those that were missed meanwhile are counted. A timer that waits for its signal to be
//! taken has exactly one instance of it in a queue.

pub(crate) mod call;
pub(crate) mod cpu;
mod expiry;

use alloc::collections::{BTreeMap, BTreeSet};

use shim_abi::{SimDuration, SimTime};

use crate::ids::VirtualTid;

/// The number of a POSIX timer within its process.
pub(crate) type TimerId = u32;

/// The timers of a process, but for ITIMER_REAL.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    posix: BTreeMap<TimerId, Timer>,
    /// The number of the next POSIX timer.
    next: TimerId,
    /// ITIMER_VIRTUAL and ITIMER_PROF.
    cpu_intervals: [CpuInterval; 2],
    /// Threads that sleep until the process has used so many nanoseconds of processor time.
    sleepers: BTreeSet<(u64, VirtualTid)>,
    /// Until when a thread of the process may run before they are looked at.
    planned: Option<SimTime>,
}

/// A timer of `setitimer` that counts processor time.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct CpuInterval {
    /// What the clock shows when it expires, if it runs.
    deadline_ns: Option<u64>,
    period_ns: u64,
}

/// A POSIX timer.
#[derive(Clone, Copy, Debug)]
struct Timer {
    base: Base,
    notice: Notice,
    signal: u32,
    /// `si_value`.
    value: u64,
    /// What it is set to, if it is.
    setting: Option<Setting>,
    state: State,
    /// Where it stands in the agenda, if it does.
    due: Option<SimTime>,
    /// Expiries that the last signal stood for beside its own.
    overrun: u32,
}

/// What a timer counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Base {
    /// Calendar time; a relative time counts as time since boot.
    Realtime,
    /// As that, but a relative time follows the calendar, too.
    Tai,
    /// Time since boot.
    Boot,
    /// Processor time of the process.
    Process,
    /// Processor time of a thread of it.
    Thread(VirtualTid),
}

/// Who hears of an expiry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Notice {
    /// Nobody: the timer is read.
    None,
    /// The process.
    Process,
    /// This thread.
    Thread(VirtualTid),
}

/// What a timer is set to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Setting {
    /// The next expiry, or the one that waits for its signal to be taken, by the clock that counts.
    expiry: SimDuration,
    /// From one to the next; zero: there is one.
    period: SimDuration,
    /// Whether calendar time counts, not time since boot.
    is_calendar: bool,
}

/// Where a timer is between setting and signal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// Nothing will happen.
    Idle,
    /// It will expire.
    Armed,
    /// It has expired, and its signal waits to be taken.
    Waiting,
}
