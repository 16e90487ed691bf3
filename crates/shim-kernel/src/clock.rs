//! Clocks of Linux, in terms of simulated time.
//!
//! A clock's id in, a [`Clock`] out; instants of a clock in, [`SimTime`] out. Always true: calendar
//! time is the start plus simulated time, time since boot is the uptime at the start plus simulated
//! time; TAI is calendar time, because no leap seconds are set. Reading a clock is the guest's own
//! business (`src/local/clock.rs` there); setting one is in `clock_set`.

use shim_abi::time::NS_PER_SEC;
use shim_abi::{SimDuration, SimTime};

use crate::context::Context;
use crate::kernel::Kernel;

/// What an id names, as far as Linux treats it differently.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Clock {
    /// CLOCK_REALTIME.
    Realtime,
    /// CLOCK_TAI: shows what CLOCK_REALTIME shows, but nobody may set it.
    Tai,
    /// CLOCK_MONOTONIC and CLOCK_BOOTTIME: the machine is never suspended.
    Boot,
    /// The CPU time of a process: CLOCK_PROCESS_CPUTIME_ID if it is not named by number.
    ProcessCpu { is_named: bool, is_own: bool, cpu_ns: u64 },
    /// The CPU time of a thread, named by number.
    ThreadCpu,
    /// CLOCK_THREAD_CPUTIME_ID, CLOCK_MONOTONIC_RAW, the coarse ones: to be read only.
    ReadOnly,
    /// A clock that wakes a suspended machine by means of a real time clock; there is none.
    WakeAlarm,
    /// A clock device's descriptor; there are none.
    Device,
    /// The number of a process or thread that does not exist, or of a kind that does not.
    NoTask,
    /// No clock.
    None,
}

impl Clock {
    /// The clock with this id, as the caller sees it.
    pub(crate) fn of(id: i32, context: &Context<'_>) -> Clock {
        match id {
            libc::CLOCK_REALTIME => Clock::Realtime,
            libc::CLOCK_TAI => Clock::Tai,
            libc::CLOCK_MONOTONIC | libc::CLOCK_BOOTTIME => Clock::Boot,
            libc::CLOCK_PROCESS_CPUTIME_ID => {
                Clock::ProcessCpu { is_named: false, is_own: true, cpu_ns: context.guest.cpu_ns() }
            }
            libc::CLOCK_THREAD_CPUTIME_ID
            | libc::CLOCK_MONOTONIC_RAW
            | libc::CLOCK_REALTIME_COARSE
            | libc::CLOCK_MONOTONIC_COARSE => Clock::ReadOnly,
            libc::CLOCK_REALTIME_ALARM | libc::CLOCK_BOOTTIME_ALARM => Clock::WakeAlarm,
            _ if id < 0 => Clock::of_task(id, context),
            _ => Clock::None,
        }
    }

    /// A negative id: the complement of a task's number, three bits for the kind of clock.
    fn of_task(id: i32, context: &Context<'_>) -> Clock {
        const DEVICE: i32 = 3;
        const KIND: i32 = 3;
        const IS_THREAD: i32 = 4;
        if id & 7 == DEVICE {
            return Clock::Device;
        }
        let Ok(tid) = context.find_thread(!(id >> 3)) else { return Clock::NoTask };
        let Some(thread) = context.kernel.threads.get(&tid) else { return Clock::NoTask };
        let is_own = thread.pid == context.pid;
        match (id & KIND == KIND, id & IS_THREAD != 0) {
            (true, _) => Clock::NoTask,
            (false, true) if is_own => Clock::ThreadCpu,
            (false, true) => Clock::NoTask,
            (false, false) => {
                let process = context.kernel.processes.get(&thread.pid);
                let cpu_ns = process.map_or(0, |process| process.cpu_ns);
                Clock::ProcessCpu { is_named: true, is_own, cpu_ns }
            }
        }
    }
}

impl Kernel {
    /// Calendar time at `now`, in nanoseconds since 1970.
    pub(crate) fn realtime_ns(&self, now: SimTime) -> i128 {
        i128::from(self.config.start_realtime_ns) + i128::from(now.as_ns())
    }

    /// When calendar time is `since_1970`.
    pub(crate) fn time_of_realtime(&self, since_1970: SimDuration) -> SimTime {
        let start = i128::from(self.config.start_realtime_ns);
        time_after(i128::from(since_1970.as_ns()) - start, since_1970)
    }

    /// When the machine has been up for `since_boot`.
    pub(crate) fn time_of_uptime(&self, since_boot: SimDuration) -> SimTime {
        let start = i128::from(self.config.uptime_at_start_ns);
        time_after(i128::from(since_boot.as_ns()) - start, since_boot)
    }
}

/// The instant `ns` after the start, the start itself if that is before it, the end of time if `asked`
/// was as long as a time can be.
fn time_after(ns: i128, asked: SimDuration) -> SimTime {
    if asked == SimDuration::MAX {
        return SimTime::MAX;
    }
    SimTime::from_ns(u64::try_from(ns.max(0)).unwrap_or(u64::MAX))
}

/// The duration of a `struct timespec`, `None` if it is none. What Linux cannot count in nanoseconds
/// (292 years) is longest.
pub(crate) fn duration_of(secs: i64, nanos: u64) -> Option<SimDuration> {
    const LIMIT_NS: u64 = i64::MAX as u64;
    let secs = u64::try_from(secs).ok()?;
    if nanos >= NS_PER_SEC {
        return None;
    }
    let ns = secs.saturating_mul(NS_PER_SEC).saturating_add(nanos);
    Some(if ns >= LIMIT_NS { SimDuration::MAX } else { SimDuration::from_ns(ns) })
}

/// Nanoseconds as the two words of a `struct timespec`.
pub(crate) const fn timespec_of(ns: u64) -> [u64; 2] {
    [ns / NS_PER_SEC, ns % NS_PER_SEC]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::machine;

    #[test]
    fn what_is_no_timespec() {
        assert_eq!(duration_of(1, 5), Some(SimDuration::from_ns(1_000_000_005)));
        assert_eq!(duration_of(-1, 0), None);
        assert_eq!(duration_of(0, NS_PER_SEC), None);
        assert_eq!(duration_of(0, u64::MAX), None);
        assert_eq!(duration_of(i64::MAX, 0), Some(SimDuration::MAX));
    }

    #[test]
    fn instants_of_clocks() {
        let (mut kernel, ..) = machine();
        kernel.config.start_realtime_ns = 1_000;
        kernel.config.uptime_at_start_ns = 300;
        let at = |ns| SimDuration::from_ns(ns);
        assert_eq!(kernel.time_of_realtime(at(1_005)), SimTime::from_ns(5));
        assert_eq!(kernel.time_of_realtime(at(5)), SimTime::ZERO);
        assert_eq!(kernel.time_of_uptime(at(301)), SimTime::from_ns(1));
        assert_eq!(kernel.time_of_uptime(SimDuration::MAX), SimTime::MAX);
        assert_eq!(kernel.realtime_ns(SimTime::from_ns(7)), 1_007);
    }
}
