//! The interval timers of a process: `alarm`, `setitimer`, `getitimer`.
//!
//! Times in, a SIGALRM when they are over. Always true: a periodic timer is set again when its signal
//! is taken, not when it expires (as Linux does it: an ignored SIGALRM ends the timer, a blocked one
//! holds it), so the agenda never fills up with expiries that nobody sees. The two timers that count
//! CPU time are in `timer::cpu`.

use shim_abi::event::SignalInfo;
use shim_abi::time::NS_PER_SEC;
use shim_abi::{Errno, SimDuration, SimTime};

use crate::agenda::Entry;
use crate::clock::duration_of;
use crate::context::{Answer, Context, done};
use crate::guest::GuestAddr;
use crate::ids::VirtualPid;
use crate::kernel::Kernel;
use crate::memory::{read_words, write_words};
use crate::signal::Target;
use crate::task::Interval;
use crate::timer::cpu::Which;

const NS_PER_USEC: u64 = 1_000;

/// What a timer shows: what is left, and its period.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Reading {
    left: SimDuration,
    period: SimDuration,
}

pub(crate) fn alarm(context: &mut Context<'_>, secs: u32) -> Answer {
    let old = context.read_interval();
    let left = SimDuration::from_secs(secs.into());
    context.set_interval(Reading { left, period: SimDuration::ZERO });
    // To the nearest second, but what runs is never zero.
    let (secs, nanos) = (old.left.as_ns() / NS_PER_SEC, old.left.as_ns() % NS_PER_SEC);
    let usecs = nanos / NS_PER_USEC;
    let is_rounded_up = (secs == 0 && usecs > 0) || usecs >= 500_000;
    done(secs as i64 + i64::from(is_rounded_up))
}

pub(crate) fn getitimer(context: &mut Context<'_>, which: i32, to: GuestAddr) -> Answer {
    let reading = match which {
        libc::ITIMER_REAL => context.read_interval(),
        _ => context.read_cpu_interval(cpu_timer(which)?),
    };
    context.write_reading(to, reading)?;
    done(0)
}

pub(crate) fn setitimer(
    context: &mut Context<'_>,
    which: i32,
    from: GuestAddr,
    to: GuestAddr,
) -> Answer {
    // Without a new value the timer is stopped.
    let new = if from.is_null() { Reading::default() } else { context.read_reading(from)? };
    let old = match which {
        libc::ITIMER_REAL => {
            let old = context.read_interval();
            context.set_interval(new);
            old
        }
        _ => {
            let which = cpu_timer(which)?;
            let old = context.read_cpu_interval(which);
            context.set_cpu_interval(which, new.left, new.period);
            old
        }
    };
    if !to.is_null() {
        context.write_reading(to, old)?;
    }
    done(0)
}

/// The timer of this number among those that count processor time.
fn cpu_timer(which: i32) -> Result<Which, Errno> {
    match which {
        libc::ITIMER_VIRTUAL => Ok(Which::Virtual),
        libc::ITIMER_PROF => Ok(Which::Profile),
        _ => Err(Errno::EINVAL),
    }
}

impl Context<'_> {
    fn read_cpu_interval(&self, which: Which) -> Reading {
        let (left, period) = self.cpu_interval(which);
        Reading { left, period }
    }

    fn read_reading(&mut self, from: GuestAddr) -> Result<Reading, Errno> {
        let [period_secs, period_usecs, secs, usecs] = read_words(self.guest, from)?;
        let duration = |secs: u64, usecs: u64| {
            duration_of(secs as i64, usecs.saturating_mul(NS_PER_USEC)).ok_or(Errno::EINVAL)
        };
        Ok(Reading { left: duration(secs, usecs)?, period: duration(period_secs, period_usecs)? })
    }

    fn write_reading(&mut self, to: GuestAddr, reading: Reading) -> Result<(), Errno> {
        let words = |duration: SimDuration| {
            let ns = duration.as_ns();
            [ns / NS_PER_SEC, ns % NS_PER_SEC / NS_PER_USEC]
        };
        let ([period_secs, period_usecs], [secs, usecs]) =
            (words(reading.period), words(reading.left));
        write_words(self.guest, to, [period_secs, period_usecs, secs, usecs])
    }

    fn read_interval(&self) -> Reading {
        let interval = self.process().interval;
        let left = |deadline: SimDuration| deadline.as_ns().saturating_sub(self.uptime().as_ns());
        let left = SimDuration::from_ns(interval.deadline.map_or(0, left));
        Reading { left, period: interval.period }
    }

    fn uptime(&self) -> SimDuration {
        SimDuration::from_ns(self.kernel.uptime_ns(self.now))
    }

    fn set_interval(&mut self, new: Reading) {
        let interval = match new.left {
            SimDuration::ZERO => Interval::default(),
            left => {
                Interval { deadline: Some(self.uptime() + left), expired: None, period: new.period }
            }
        };
        self.kernel.plan_interval(self.pid, interval);
    }

    /// The caller's own clock may be ahead of the host's: let its timer expire first.
    pub(crate) fn expire_own_interval(&mut self) {
        let deadline = self.process().interval.deadline;
        if let Some(at) = deadline.map(|deadline| self.kernel.time_of_uptime(deadline))
            && at <= self.now
        {
            self.kernel.expire_interval(at, self.pid);
        }
    }

    /// The signal of an expired timer has been taken: set a periodic one again.
    pub(crate) fn renew_interval(&mut self) {
        let interval = self.process().interval;
        let (Some(expired), None) = (interval.expired, interval.deadline) else { return };
        let period = interval.period.as_ns();
        let deadline = (period != 0).then(|| {
            let passed = self.uptime().as_ns().saturating_sub(expired.as_ns());
            let periods = passed / period + 1;
            expired + SimDuration::from_ns(period.saturating_mul(periods))
        });
        self.kernel.plan_interval(self.pid, Interval { deadline, expired: None, ..interval });
    }
}

impl Kernel {
    /// Replace a process's timer, in its record and in the agenda.
    pub(crate) fn plan_interval(&mut self, pid: VirtualPid, interval: Interval) {
        let Some(process) = self.processes.get_mut(&pid) else { return };
        let old = core::mem::replace(&mut process.interval, interval);
        if let Some(old) = old.deadline {
            self.agenda.remove(self.time_of_uptime(old), Entry::Interval(pid));
        }
        if let Some(new) = interval.deadline {
            self.agenda.add(self.time_of_uptime(new), Entry::Interval(pid));
        }
    }

    /// The timer of a process, due at `at`, expires.
    pub(crate) fn expire_interval(&mut self, at: SimTime, pid: VirtualPid) {
        let Some(process) = self.processes.get(&pid) else { return };
        let interval = process.interval;
        let interval = Interval { deadline: None, expired: interval.deadline, ..interval };
        self.plan_interval(pid, interval);
        let alarm = SignalInfo {
            signal: libc::SIGALRM as u32,
            code: libc::SI_KERNEL,
            ..SignalInfo::default()
        };
        // Ordinary signals always find room.
        let _ = self.queue_signal(at, Target::Process(pid), alarm);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::VirtualTid;
    use crate::outcome::{Outcome, SignalOutcome};
    use crate::testing::{DATA, TestGuest, machine};
    use shim_abi::calls::nr;
    use shim_abi::clock::Rate;

    const MS: u64 = 1_000_000;
    const SECOND: u64 = 1_000 * MS;
    const SIGALRM: u32 = libc::SIGALRM as u32;
    const ALARM_BIT: u64 = 1 << (SIGALRM - 1);

    /// A machine at some instant.
    struct Bench {
        kernel: Kernel,
        guest: TestGuest,
        tid: VirtualTid,
        now: SimTime,
    }

    impl Bench {
        fn new() -> Bench {
            let (kernel, mut guest, tid) = machine();
            guest.actions.insert(SIGALRM, 0x1234);
            Bench { kernel, guest, tid, now: SimTime::ZERO }
        }
        fn call(&mut self, number: u32, args: [u64; 3]) -> i64 {
            let [a, b, c] = args;
            let args = [a, b, c, 0, 0, 0];
            match self.kernel.call(self.now, self.tid, number, args, &mut self.guest) {
                Outcome::Done(value) => value,
                other => panic!("{other:?}"),
            }
        }
        /// Set ITIMER_REAL: period and first expiry in microseconds.
        fn set(&mut self, period: u64, left: u64) {
            let words =
                [period / 1_000_000, period % 1_000_000, left / 1_000_000, left % 1_000_000];
            self.guest.put_words(DATA, &words);
            assert_eq!(self.call(nr::setitimer, [0, DATA, 0]), 0);
        }
        /// What ITIMER_REAL shows: period and rest in microseconds.
        fn get(&mut self) -> (u64, u64) {
            assert_eq!(self.call(nr::getitimer, [0, DATA, 0]), 0);
            let [a, b, c, d] = self.guest.words(DATA);
            (a * 1_000_000 + b, c * 1_000_000 + d)
        }
        fn go(&mut self, ns: u64) {
            self.now = SimTime::from_ns(ns);
            self.kernel.advance(self.now);
        }
        fn has_alarm(&mut self) -> bool {
            match self.kernel.take_signal(self.now, self.tid, &mut self.guest) {
                SignalOutcome::Deliver(info) => {
                    let expected = SignalInfo { signal: SIGALRM, code: 0x80, ..Default::default() };
                    assert_eq!(info, expected);
                    true
                }
                SignalOutcome::None => false,
                SignalOutcome::Stop | SignalOutcome::Die { .. } => {
                    panic!("the alarm has a handler")
                }
            }
        }
    }

    #[test]
    fn alarm_tells_what_was_left_as_linux_rounds_it() {
        let mut bench = Bench::new();
        assert_eq!(bench.call(nr::alarm, [10, 0, 0]), 0);
        bench.go(600 * MS);
        assert_eq!(bench.call(nr::alarm, [0x8000_0000, 0, 0]), 9);
        assert_eq!(bench.call(nr::alarm, [0xffff_ffff, 0, 0]), 0x8000_0000);
        bench.set(0, 400_000);
        assert_eq!(bench.call(nr::alarm, [0, 0, 0]), 1, "never zero while it runs");
        bench.set(0, 1_500_000);
        assert_eq!(bench.call(nr::alarm, [0, 0, 0]), 2);
        assert_eq!(bench.kernel.next_event(), None);
    }

    #[test]
    fn a_periodic_timer_is_set_again_by_whoever_takes_its_signal() {
        let mut bench = Bench::new();
        bench.set(10_000, 15_000);
        assert_eq!(bench.kernel.next_event(), Some(SimTime::from_ns(15 * MS)));
        bench.go(15 * MS);
        assert_eq!(bench.get(), (10_000, 0));
        assert!(bench.has_alarm() && !bench.has_alarm());
        assert_eq!(bench.get(), (10_000, 10_000));
        bench.guest.mask = ALARM_BIT;
        bench.go(62 * MS);
        assert!(!bench.has_alarm());
        assert_eq!(bench.kernel.next_event(), None, "a blocked alarm holds its timer");
        bench.guest.mask = 0;
        assert!(bench.has_alarm());
        assert_eq!(bench.kernel.next_event(), Some(SimTime::from_ns(65 * MS)));
        bench.guest.actions.insert(SIGALRM, 1);
        bench.go(65 * MS);
        assert!(!bench.has_alarm());
        assert_eq!(bench.get(), (10_000, 0), "an ignored alarm ends its timer");
        assert_eq!(bench.kernel.next_event(), None);
    }

    #[test]
    fn a_timer_follows_the_machines_own_clock_and_does_not_drift_from_it() {
        // A third of a nanosecond in 10 ms is lost by each rounding, if there is any.
        for ppb in [33, -33, Rate::MAX_PPB, -Rate::MAX_PPB] {
            let mut bench = Bench::new();
            bench.kernel.config.clock.rate = Rate::from_ppb(ppb).unwrap();
            bench.set(10_000, 10_000);
            for i in 1..1_000 {
                let due = bench.kernel.next_event().unwrap();
                assert_eq!(due, bench.kernel.config.clock.rate.time_of(i * 10 * MS), "{ppb} {i}");
                bench.go(due.as_ns());
                assert!(bench.has_alarm(), "{ppb} {i}");
            }
            assert_eq!(bench.get().0, 10_000);
            assert!(bench.get().1 >= 9_999, "what is left is told in the machine's own time");
        }
    }

    #[test]
    fn the_own_clock_may_be_ahead_of_the_host() {
        let mut bench = Bench::new();
        bench.set(0, 1_000);
        bench.now = SimTime::from_ns(2 * MS);
        assert_eq!(bench.get(), (0, 0));
        assert!(bench.has_alarm());
        assert_eq!(bench.kernel.next_event(), None);
    }

    #[test]
    fn errors_come_in_linux_order() {
        let mut bench = Bench::new();
        let [inval, fault] = [Errno::EINVAL, Errno::EFAULT].map(Errno::as_return);
        // A good value, one with a bad period, one with a negative time, one that stops.
        let words = [0, 0, 1, 0, 0, 1_000_000, 1, 0, 0, 0, u64::MAX, 0, 0, 0, 0, 0];
        bench.guest.put_words(DATA, &words);
        let [good, bad_period, negative, stop] = [0, 32, 64, 96].map(|offset| DATA + offset);
        for (which, from, to, expected) in [
            (0, 8, 0, fault),
            (5, 8, 0, fault),
            (5, good, 0, inval),
            (0, bad_period, 0, inval),
            (0, negative, 0, inval),
            (0, 0, 0, 0),
            (0, good, 8, fault),
            (1, stop, 0, 0),
            (u64::MAX, stop, 0, inval),
        ] {
            assert_eq!(bench.call(nr::setitimer, [which, from, to]), expected, "{which} {from:#x}");
        }
        assert_eq!(bench.kernel.next_event(), Some(SimTime::from_ns(SECOND)), "set in spite of it");
        for (which, to, expected) in
            [(5, 8, inval), (0, 8, fault), (u64::MAX, DATA, inval), (2, DATA, 0), (0, DATA, 0)]
        {
            assert_eq!(bench.call(nr::getitimer, [which, to, 0]), expected, "{which}");
        }
    }
}
