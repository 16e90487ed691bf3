//! Clocks of Linux, in terms of simulated time.
//!
//! A clock's id in, a [`Clock`] out; instants of a clock in, [`SimTime`] out. Always true: what the
//! machine's oscillator has counted, plus the uptime at the start, is time since boot; the same count plus
//! the simulation's calendar at the start and the offset of now is calendar time, never before 1970; TAI is
//! calendar time, because no leap seconds are set. Reading a clock is the guest's own business
//! (`src/local/clock.rs` there); setting one is in `clock_set`.
//!
//! Jumps are known beforehand, so the instant at which calendar time is reached is computed once, jumps
//! and all; what Linux does when a clock is set, looking at all who sleep by it again, comes to the same.

use shim_abi::time::NS_PER_SEC;
use shim_abi::{Errno, SimDuration, SimTime};

use crate::context::{Answer, Context, done};
use crate::guest::GuestAddr;
use crate::ids::{VirtualPid, VirtualTid};
use crate::kernel::Kernel;
use crate::memory::write_words;

/// The processor time of a thread or process: the guest reads its own and all other clocks itself.
pub(crate) fn clock_gettime(context: &mut Context<'_>, id: i32, to: GuestAddr) -> Answer {
    let ns = match Clock::of(id, context) {
        Clock::ProcessCpu { cpu_ns, .. } => cpu_ns,
        Clock::ThreadCpu(tid) => context.kernel.threads.get(&tid).map_or(0, |thread| thread.cpu_ns),
        _ => return Err(Errno::EINVAL),
    };
    write_words(context.guest, to, [ns / NS_PER_SEC, ns % NS_PER_SEC])?;
    done(0)
}

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
    ProcessCpu { is_named: bool, pid: VirtualPid, cpu_ns: u64 },
    /// The CPU time of a thread, named by number.
    ThreadCpu(VirtualTid),
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
                let cpu_ns = context.guest.cpu_ns();
                Clock::ProcessCpu { is_named: false, pid: context.pid, cpu_ns }
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
            (false, true) if is_own => Clock::ThreadCpu(tid),
            (false, true) => Clock::NoTask,
            (false, false) => {
                let process = context.kernel.processes.get(&thread.pid);
                let cpu_ns = process.map_or(0, |process| process.cpu_ns);
                Clock::ProcessCpu { is_named: true, pid: thread.pid, cpu_ns }
            }
        }
    }
}

impl Kernel {
    /// Nanoseconds since boot, at `now`.
    pub(crate) fn uptime_ns(&self, now: SimTime) -> u64 {
        self.config.uptime_at_start_ns.saturating_add(self.config.clock.rate.local_ns(now))
    }

    /// When the machine has been up for `since_boot`.
    pub(crate) fn time_of_uptime(&self, since_boot: SimDuration) -> SimTime {
        let start = i128::from(self.config.uptime_at_start_ns);
        self.time_of_count(i128::from(since_boot.as_ns()) - start, since_boot)
    }

    /// When `duration` will have passed since `now` by the machine's own clock.
    pub(crate) fn time_after(&self, now: SimTime, duration: SimDuration) -> SimTime {
        let count = self.config.clock.rate.local_ns(now);
        self.time_of_count(i128::from(count) + i128::from(duration.as_ns()), duration).max(now)
    }

    /// The time from `now` to `later` by the machine's own clock; zero if `later` is earlier.
    pub(crate) fn time_between(&self, now: SimTime, later: SimTime) -> SimDuration {
        let count = |time| self.config.clock.rate.local_ns(time);
        SimDuration::from_ns(count(later).saturating_sub(count(now)))
    }

    /// How far calendar time is ahead of the simulation's at `now`, in nanoseconds.
    pub fn realtime_offset_ns(&self, now: SimTime) -> i64 {
        let jumps = self.config.clock.jumps.iter().take_while(|jump| jump.at <= now);
        jumps.fold(self.config.clock.offset_ns, |sum, jump| sum.saturating_add(jump.by_ns))
    }

    /// Calendar time at `now`, in nanoseconds since 1970.
    pub(crate) fn realtime_ns(&self, now: SimTime) -> i128 {
        let start = i128::from(self.config.start_realtime_ns);
        let offset = i128::from(self.realtime_offset_ns(now));
        (start + offset + i128::from(self.config.clock.rate.local_ns(now))).max(0)
    }

    /// When, from `now` on, calendar time is `since_1970` or later.
    pub(crate) fn time_of_realtime(&self, now: SimTime, since_1970: SimDuration) -> SimTime {
        let start = i128::from(self.config.start_realtime_ns);
        let mut from = now;
        loop {
            let offset = i128::from(self.realtime_offset_ns(from));
            let count = i128::from(since_1970.as_ns()) - start - offset;
            let time = self.time_of_count(count, since_1970).max(from);
            match self.next_jump(from) {
                Some(jump) if jump <= time => from = jump,
                _ => return time,
            }
        }
    }

    /// The first jump of calendar time after `now`.
    pub(crate) fn next_jump(&self, now: SimTime) -> Option<SimTime> {
        let jumps = &self.config.clock.jumps;
        jumps.iter().map(|jump| jump.at).find(|&at| at > now && at < SimTime::MAX)
    }

    /// When the oscillator has counted `count_ns`: the start if it had before, the end of time if `asked`
    /// was as long as a time can be.
    fn time_of_count(&self, count_ns: i128, asked: SimDuration) -> SimTime {
        if asked == SimDuration::MAX {
            return SimTime::MAX;
        }
        match u64::try_from(count_ns.max(0)) {
            Ok(count) => self.config.clock.rate.time_of(count),
            Err(_) => SimTime::MAX,
        }
    }
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
    use crate::testing::{DATA, machine};
    use crate::{ClockJump, ClockSettings, Config};
    use proptest::collection::vec;
    use proptest::prelude::*;
    use shim_abi::clock::Rate;

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
        assert_eq!(kernel.time_of_realtime(SimTime::ZERO, at(1_005)), SimTime::from_ns(5));
        assert_eq!(kernel.time_of_realtime(SimTime::ZERO, at(5)), SimTime::ZERO);
        assert_eq!(kernel.time_of_uptime(at(301)), SimTime::from_ns(1));
        assert_eq!(kernel.time_of_uptime(SimDuration::MAX), SimTime::MAX);
        assert_eq!(kernel.realtime_ns(SimTime::from_ns(7)), 1_007);
    }

    #[test]
    fn processor_time_of_others_can_be_read() {
        use shim_abi::calls::nr;
        let (mut kernel, mut guest, tid) = machine();
        let child = kernel.fork(tid, 0, &mut guest);
        let thread = kernel.add_thread(tid, &mut guest);
        kernel.processes.get_mut(&VirtualPid(child.0)).unwrap().cpu_ns = 2 * NS_PER_SEC + 7;
        kernel.threads.get_mut(&thread).unwrap().cpu_ns = NS_PER_SEC + 3;
        let [of_process, of_thread] = [2, 6].map(|kind| move |id: u32| u64::from(!id << 3 | kind));
        let [inval, fault] = [Errno::EINVAL, Errno::EFAULT].map(Errno::as_return);
        for (clock, to, expected, told) in [
            (of_process(child.0), DATA, 0, [2, 7]),
            (of_thread(thread.0), DATA, 0, [1, 3]),
            (of_thread(thread.0), 8, fault, [0, 0]),
            (of_thread(child.0), DATA, inval, [0, 0]),
            (of_process(4000), DATA, inval, [0, 0]),
            (0, DATA, inval, [0, 0]),
        ] {
            guest.put_words(DATA, &[0, 0]);
            let got = kernel.do_call(tid, nr::clock_gettime, [clock, to, 0, 0, 0, 0], &mut guest);
            assert_eq!((got, guest.words(DATA)), (expected, told), "{clock:x}");
        }
    }

    const SECOND: u64 = NS_PER_SEC;

    fn at(ns: u64) -> SimTime {
        SimTime::from_ns(ns)
    }

    fn kernel_with(offset_ns: i64, ppb: i64, jumps: &[(u64, i64)]) -> Kernel {
        let jumps = jumps.iter().map(|&(ns, by_ns)| ClockJump { at: at(ns), by_ns }).collect();
        let rate = Rate::from_ppb(ppb).unwrap();
        let clock = ClockSettings { offset_ns, rate, jumps };
        let mut kernel = Kernel::new(Config { clock, ..crate::testing::config() });
        kernel.spawn(SimTime::ZERO, "program");
        kernel
    }

    #[test]
    fn calendar_time_has_an_offset_and_jumps_and_uptime_has_not() {
        let kernel = kernel_with(-50, 0, &[(20, 1_000), (10, -7)]);
        for (now, offset) in [(0, -50), (9, -50), (10, -57), (19, -57), (20, 943), (1_000, 943)] {
            assert_eq!(kernel.realtime_offset_ns(at(now)), offset, "{now}");
            let start = i128::from(kernel.config.start_realtime_ns);
            assert_eq!(kernel.realtime_ns(at(now)), start + i128::from(now) + i128::from(offset));
            assert_eq!(kernel.uptime_ns(at(now)), 100 * SECOND + now);
        }
        let before_1970 = kernel_with(i64::MIN, 0, &[]);
        assert_eq!(before_1970.realtime_ns(at(5)), 0);
    }

    #[test]
    fn a_faster_oscillator_makes_every_clock_faster_and_waits_shorter() {
        let kernel = kernel_with(0, 100_000_000, &[]);
        let (now, later) = (at(10 * SECOND), at(20 * SECOND));
        assert_eq!(kernel.uptime_ns(now), 111 * SECOND);
        let start = i128::from(kernel.config.start_realtime_ns);
        assert_eq!(kernel.realtime_ns(now), start + 11 * i128::from(SECOND));
        assert_eq!(kernel.time_after(now, SimDuration::from_secs(11)), later);
        assert_eq!(kernel.time_between(now, later), SimDuration::from_secs(11));
        assert_eq!(kernel.time_between(later, now), SimDuration::ZERO);
        assert_eq!(kernel.time_of_uptime(SimDuration::from_secs(122)), later);
        assert_eq!(kernel.time_after(now, SimDuration::MAX), SimTime::MAX);
    }

    #[test]
    fn a_jump_is_an_event_as_long_as_somebody_sees_it() {
        let mut kernel = kernel_with(0, 0, &[(0, 1), (10, 1), (20, 1), (u64::MAX, 1)]);
        assert_eq!(kernel.next_event(), Some(at(10)));
        kernel.advance(at(10));
        assert_eq!(kernel.next_event(), Some(at(20)));
        kernel.end(crate::VirtualPid(1000), 0, &mut crate::testing::TestGuest::new());
        assert_eq!(kernel.next_event(), None);
        kernel.spawn(at(30), "late");
        assert_eq!(kernel.next_event(), None);
    }

    proptest! {
        #[test]
        fn who_waits_wakes_when_it_is_time_and_not_earlier(
            offset in -1_000_000_000_i64..1_000_000_000,
            ppb in -Rate::MAX_PPB..=Rate::MAX_PPB,
            jumps in vec((0..5_000_000_000_u64, -3_000_000_000..3_000_000_000_i64), 0..5),
            now in 0..5_000_000_000_u64,
            wait in 0..8_000_000_000_u64,
        ) {
            let kernel = kernel_with(offset, ppb, &jumps);
            let now = at(now);
            let one_before = |time: SimTime| at(time.as_ns() - 1);

            let wake = kernel.time_after(now, SimDuration::from_ns(wait));
            prop_assert!(kernel.uptime_ns(wake) >= kernel.uptime_ns(now) + wait);
            if wake > now {
                prop_assert!(kernel.uptime_ns(one_before(wake)) < kernel.uptime_ns(now) + wait);
            }

            let target = kernel.realtime_ns(now) + i128::from(wait);
            let wake = kernel.time_of_realtime(now, SimDuration::from_ns(target as u64));
            prop_assert!(wake >= now && kernel.realtime_ns(wake) >= target);
            // Between two jumps calendar time only grows, so the ends of what was slept through suffice.
            let ends = jumps.iter().flat_map(|&(ns, _)| [at(ns), at(ns.saturating_sub(1))]);
            for end in ends.chain([now, at(wake.as_ns().saturating_sub(1))]) {
                if end >= now && end < wake {
                    prop_assert!(kernel.realtime_ns(end) < target, "{:?}", end);
                }
            }
        }
    }
}
