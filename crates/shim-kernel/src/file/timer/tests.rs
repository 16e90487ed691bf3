//! What timers behind descriptors do, as timerfd_create(2) says and Linux 6.18 did when asked.
//!
//! A machine with one timer in, counts and errors out. Always true: it is driven as a host drives it, event by event.

use super::*;
use crate::testing::{DATA, TestGuest, config, machine};
use crate::{ClockJump, ClockSettings, Config, Outcome, VirtualTid};
use shim_abi::calls::{PSEUDO_POLL, nr};

const SECOND: u64 = 1_000_000_000;
const FD: u64 = 7;
const ABSOLUTE: u64 = libc::TFD_TIMER_ABSTIME as u64;
const CANCEL: u64 = libc::TFD_TIMER_CANCEL_ON_SET as u64;
const TIMES: u64 = DATA + 0x100;
const OLD: u64 = DATA + 0x200;
const AGAIN: Result<u64, i64> = Err(Errno::EAGAIN.as_return());
/// The machine's uptime and calendar at the start, in seconds.
const UPTIME: u64 = 100;
const START: u64 = 946_684_800;

/// A machine with a timer at 7, which does not wait.
struct Bench {
    kernel: Kernel,
    guest: TestGuest,
    tid: VirtualTid,
    now: SimTime,
}

impl Bench {
    fn new(clock: i32) -> Bench {
        let (kernel, guest, tid) = machine();
        Bench::of(kernel, guest, tid, clock)
    }
    /// A machine whose calendar is set by a thousand seconds after 10.
    fn that_jumps() -> Bench {
        let jump = ClockJump { at: SimTime::from_ns(10 * SECOND), by_ns: 1000 * SECOND as i64 };
        let clock = ClockSettings { jumps: [jump].into(), ..ClockSettings::default() };
        let mut kernel = Kernel::new(Config { clock, ..config() });
        let (_, tid) = kernel.spawn(SimTime::ZERO, "program");
        Bench::of(kernel, TestGuest::new(), tid, libc::CLOCK_REALTIME)
    }
    fn of(kernel: Kernel, guest: TestGuest, tid: VirtualTid, clock: i32) -> Bench {
        let mut bench = Bench { kernel, guest, tid, now: SimTime::ZERO };
        let flags = libc::TFD_NONBLOCK as u64;
        assert_eq!(bench.call(nr::timerfd_create, [clock as u64, flags, FD, 0]), 7);
        bench
    }
    fn call(&mut self, number: u32, [a, b, c, d]: [u64; 4]) -> i64 {
        let args = [a, b, c, d, 0, 0];
        match self.kernel.call(self.now, self.tid, number, args, &mut self.guest) {
            Outcome::Done(result) => result,
            other => panic!("{other:?}"),
        }
    }
    /// Set it to a time and a period; what was left, and the period, before.
    fn set(&mut self, flags: u64, time_ns: u64, period_ns: u64) -> Result<[u64; 2], i64> {
        let words = [period_ns / SECOND, period_ns % SECOND, time_ns / SECOND, time_ns % SECOND];
        self.guest.put_words(TIMES, &words);
        match self.call(nr::timerfd_settime, [FD, flags, TIMES, OLD]) {
            0 => Ok(self.told(OLD)),
            errno => Err(errno),
        }
    }
    fn get(&mut self) -> [u64; 2] {
        assert_eq!(self.call(nr::timerfd_gettime, [FD, OLD, 0, 0]), 0);
        self.told(OLD)
    }
    fn told(&mut self, at: u64) -> [u64; 2] {
        let [period_secs, period_nanos, secs, nanos] = self.guest.words(at);
        [secs * SECOND + nanos, period_secs * SECOND + period_nanos]
    }
    fn read(&mut self) -> Result<u64, i64> {
        match self.call(nr::read, [FD, DATA, 8, 0]) {
            8 => Ok(self.guest.words::<1>(DATA)[0]),
            errno => Err(errno),
        }
    }
    fn is_ready(&mut self) -> bool {
        self.guest.put_words(DATA, &[FD | 0xffff << 32]);
        self.call(PSEUDO_POLL, [DATA, 1, 0, 0]) == 1
    }
    /// Let time pass as the host does.
    fn go_to(&mut self, ns: u64) {
        while let Some(next) = self.kernel.next_event().filter(|next| next.as_ns() <= ns) {
            self.kernel.advance(next);
        }
        self.now = SimTime::from_ns(ns);
        self.kernel.advance(self.now);
    }
}

#[test]
fn a_single_one_expires_once() {
    for (clock, flags, time) in [
        (libc::CLOCK_MONOTONIC, 0, 5 * SECOND),
        (libc::CLOCK_REALTIME, 0, 5 * SECOND),
        (libc::CLOCK_BOOTTIME, ABSOLUTE, (UPTIME + 5) * SECOND),
        (libc::CLOCK_REALTIME, ABSOLUTE, (START + 5) * SECOND),
    ] {
        let mut bench = Bench::new(clock);
        assert_eq!(bench.set(flags, time, 0), Ok([0, 0]));
        assert_eq!(bench.kernel.next_event(), Some(SimTime::from_ns(5 * SECOND)));
        bench.go_to(2 * SECOND);
        assert_eq!((bench.get(), bench.read()), ([3 * SECOND, 0], AGAIN));
        bench.go_to(9 * SECOND);
        assert!(bench.is_ready());
        assert_eq!((bench.get(), bench.read(), bench.read()), ([0, 0], Ok(1), AGAIN));
        assert_eq!(bench.kernel.next_event(), None);
    }
}

#[test]
fn a_periodic_one_counts_and_is_planned_again_when_it_is_read() {
    let mut bench = Bench::new(libc::CLOCK_MONOTONIC);
    assert_eq!(bench.set(0, SECOND, 2), Ok([0, 0]));
    bench.go_to(SECOND + 11);
    assert_eq!(bench.kernel.next_event(), None, "nobody has read");
    assert_eq!(bench.read(), Ok(6));
    assert_eq!(bench.kernel.next_event(), Some(SimTime::from_ns(SECOND + 12)));
    bench.go_to(SECOND + 13);
    assert_eq!(bench.get(), [1, 2], "planned again, and the count kept");
    assert_eq!(bench.kernel.next_event(), Some(SimTime::from_ns(SECOND + 14)));
    bench.go_to(SECOND + 15);
    assert_eq!(bench.read(), Ok(2));
    assert_eq!(bench.set(0, 0, 5), Ok([1, 2]), "stopped");
    assert_eq!((bench.get(), bench.kernel.next_event()), ([0, 5], None));
}

#[test]
fn the_readers_clock_may_be_ahead_and_a_time_may_be_past() {
    let mut bench = Bench::new(libc::CLOCK_MONOTONIC);
    bench.set(0, 5, 0).unwrap();
    bench.now = SimTime::from_ns(7);
    assert_eq!(bench.read(), Ok(1));
    assert_eq!(bench.kernel.next_event(), None);
    assert_eq!(bench.set(ABSOLUTE, 1, 0), Ok([0, 0]));
    assert!(bench.is_ready());
    assert_eq!(bench.read(), Ok(1));
}

#[test]
fn a_jump_of_the_calendar_moves_or_ends_those_that_follow_it() {
    let mut bench = Bench::that_jumps();
    bench.set(0, 50 * SECOND, 0).unwrap();
    assert_eq!(bench.kernel.next_event(), Some(SimTime::from_ns(10 * SECOND)));
    bench.go_to(11 * SECOND);
    assert_eq!((bench.get()[0], bench.read()), (39 * SECOND, AGAIN), "relative ones do not");

    let mut bench = Bench::that_jumps();
    bench.set(ABSOLUTE, (START + 50) * SECOND, SECOND).unwrap();
    bench.go_to(11 * SECOND);
    assert_eq!(bench.read(), Ok(962), "the periods that were jumped over");

    let canceled = Err(Errno::ECANCELED.as_return());
    let mut bench = Bench::that_jumps();
    bench.set(ABSOLUTE | CANCEL, (START + 5000) * SECOND, 0).unwrap();
    bench.go_to(11 * SECOND);
    assert!(bench.is_ready());
    assert_eq!((bench.read(), bench.read()), (canceled, AGAIN));
    assert_eq!(bench.get()[0], 3989 * SECOND, "it runs on");

    let mut bench = Bench::that_jumps();
    bench.set(ABSOLUTE | CANCEL, (START + 5000) * SECOND, 0).unwrap();
    bench.go_to(11 * SECOND);
    let again = bench.set(ABSOLUTE | CANCEL, (START + 5000) * SECOND, 0);
    assert_eq!(again.map(drop), canceled.map(drop));
    assert_eq!((bench.get()[0], bench.read()), (3989 * SECOND, AGAIN), "but it is set");
    bench.call(nr::close, [FD, 0, 0, 0]);
    assert_eq!(bench.kernel.next_event(), None);
    assert!(bench.kernel.files.cancelables.is_empty());
}

#[test]
fn errors_come_in_linux_order() {
    let mut bench = Bench::new(libc::CLOCK_MONOTONIC);
    let [fault, invalid, bad, perm] =
        [Errno::EFAULT, Errno::EINVAL, Errno::EBADF, Errno::EPERM].map(Errno::as_return);
    for (clock, expected) in [(8, perm), (9, perm), (2, invalid), (3, invalid), (11, invalid)] {
        assert_eq!(bench.call(nr::timerfd_create, [clock, 0, 8, 0]), expected);
    }
    assert_eq!(bench.call(nr::timerfd_create, [1, 1, 8, 0]), invalid);
    assert_eq!(bench.call(nr::eventfd2, [0, 0, 9, 0]), 9);
    bench.guest.put_words(TIMES, &[0, 0, 0, 0, 0, SECOND, u64::MAX, 0]);
    for (args, expected) in [
        ([99, 0x10, 8, 0], fault),
        ([99, 0x10, TIMES, 0], invalid),
        ([99, 0, TIMES + 32, 0], invalid),
        ([99, 0, TIMES, 0], bad),
        ([9, 0, TIMES, 0], invalid),
        ([7, 3, TIMES, 0], 0),
        ([7, 0, TIMES, 8], fault),
    ] {
        assert_eq!(bench.call(nr::timerfd_settime, args), expected, "{args:?}");
    }
    for (args, expected) in [([99, 8, 0, 0], bad), ([9, 8, 0, 0], invalid), ([7, 8, 0, 0], fault)] {
        assert_eq!(bench.call(nr::timerfd_gettime, args), expected, "{args:?}");
    }
    assert_eq!(bench.call(nr::read, [FD, DATA, 7, 0]), invalid);
    assert_eq!(bench.call(nr::write, [FD, DATA, 8, 0]), invalid);
}

#[test]
fn ticks_can_be_set() {
    let mut bench = Bench::new(libc::CLOCK_MONOTONIC);
    bench.guest.put_words(DATA, &[0, 7]);
    let invalid = Errno::EINVAL.as_return();
    assert_eq!(bench.call(nr::ioctl, [FD, 0x4008_5400, DATA, 0]), invalid);
    assert_eq!(bench.call(nr::ioctl, [FD, 0x4008_5400, DATA + 8, 0]), 0);
    assert_eq!(bench.read(), Ok(7));
}

#[test]
fn who_waits_is_woken_by_the_expiry() {
    let mut bench = Bench::new(libc::CLOCK_MONOTONIC);
    bench.call(nr::fcntl, [FD, libc::F_SETFL as u64, 0, 0]);
    bench.set(0, 50, 0).unwrap();
    let args = [FD, DATA, 8, 0, 0, 0];
    let outcome = bench.kernel.call(bench.now, bench.tid, nr::read, args, &mut bench.guest);
    assert_eq!(outcome, Outcome::Park);
    let end = SimTime::from_ns(50);
    bench.kernel.advance(end);
    assert_eq!(bench.kernel.next_runnable(), Some(bench.tid));
    assert_eq!(bench.kernel.resume(end, bench.tid, &mut bench.guest), Outcome::Done(8));
}
