//! What happens when a timer is due, and when its signal is taken.
//!
//! Instants in; signals in queues and entries of the agenda out. Always true: an armed timer that counts anything but
//! processor time stands in the agenda at the instant at which it is due.

use alloc::vec::Vec;

use shim_abi::event::SignalInfo;
use shim_abi::{SimDuration, SimTime};

use super::{Base, Notice, Setting, State, Timer, TimerId};
use crate::agenda::Entry;
use crate::context::Context;
use crate::ids::VirtualPid;
use crate::kernel::Kernel;
use crate::signal::Target;

/// `si_code` of a timer's signal.
const SI_TIMER: i32 = -2;

impl Kernel {
    /// Forget what a timer is set to, and its signal, if nobody has taken it.
    pub(super) fn stop_timer(&mut self, pid: VirtualPid, id: TimerId) {
        let Some(timer) = self.timer_mut(pid, id) else { return };
        (timer.setting, timer.overrun) = (None, 0);
        let due = timer.due.take();
        let old = core::mem::replace(&mut timer.state, State::Idle);
        if let Some(at) = due {
            self.agenda.remove(at, Entry::Timer(pid, id));
        }
        if old == State::Waiting {
            self.take_back(pid, id);
        }
    }

    /// Set a timer that is not set.
    pub(super) fn start_timer(
        &mut self,
        now: SimTime,
        (pid, id): (VirtualPid, TimerId),
        setting: Option<Setting>,
    ) {
        let Some(timer) = self.timer_mut(pid, id) else { return };
        timer.setting = setting;
        // What nobody hears of need not happen.
        timer.state = match setting {
            Some(_) if timer.notice != Notice::None => State::Armed,
            _ => State::Idle,
        };
        let timer = *timer;
        let Some(setting) = setting.filter(|_| timer.state == State::Armed) else { return };
        let Some(at) = self.due(timer.base, setting, now) else { return };
        self.agenda.add(at, Entry::Timer(pid, id));
        if let Some(timer) = self.timer_mut(pid, id) {
            timer.due = Some(at);
        }
    }

    /// A timer that was due at `at` expires: its signal waits from now on.
    pub(crate) fn expire_timer(&mut self, at: SimTime, pid: VirtualPid, id: TimerId) {
        let Some(timer) = self.timer_mut(pid, id).filter(|timer| timer.state == State::Armed)
        else {
            return;
        };
        timer.state = State::Waiting;
        let due = timer.due.take();
        let timer = *timer;
        if let Some(due) = due {
            self.agenda.remove(due, Entry::Timer(pid, id));
        }
        let info = SignalInfo {
            signal: timer.signal,
            code: SI_TIMER,
            pid: id,
            value: timer.value,
            ..SignalInfo::default()
        };
        let target = match timer.notice {
            Notice::Thread(tid) => Target::Thread(tid),
            _ => Target::Process(pid),
        };
        self.queue_timer_signal(at, target, info, id);
    }

    /// Delete all timers of a process: it has another image, or is over.
    pub(crate) fn delete_timers(&mut self, pid: VirtualPid) {
        let Some(process) = self.processes.get(&pid) else { return };
        let ids: Vec<TimerId> = process.timers.posix.keys().copied().collect();
        ids.into_iter().for_each(|id| self.stop_timer(pid, id));
        if let Some(process) = self.processes.get_mut(&pid) {
            process.timers.posix.clear();
            process.timers.next = 0;
        }
    }

    pub(super) fn timer_mut(&mut self, pid: VirtualPid, id: TimerId) -> Option<&mut Timer> {
        self.processes.get_mut(&pid)?.timers.posix.get_mut(&id)
    }

    /// When, from `now` on, a timer is due, if simulated time alone says.
    fn due(&self, base: Base, setting: Setting, now: SimTime) -> Option<SimTime> {
        match base {
            Base::Process | Base::Thread(_) => None,
            _ if setting.is_calendar => Some(self.time_of_realtime(now, setting.expiry)),
            _ => Some(self.time_of_uptime(setting.expiry)),
        }
    }
}

impl Context<'_> {
    /// What a timer's clock shows.
    pub(super) fn count(&self, timer: &Timer, is_calendar: bool) -> SimDuration {
        let ns = match timer.base {
            Base::Process => self.process().cpu_ns,
            Base::Thread(tid) => self.kernel.threads.get(&tid).map_or(0, |thread| thread.cpu_ns),
            _ if is_calendar => {
                u64::try_from(self.kernel.realtime_ns(self.now)).unwrap_or(u64::MAX)
            }
            _ => self.kernel.uptime_ns(self.now),
        };
        SimDuration::from_ns(ns)
    }

    /// The signal of a timer is taken, or is nothing to its receiver: how it is described, and a periodic timer is set
    /// again.
    pub(crate) fn renew_timer(&mut self, id: TimerId, info: SignalInfo) -> SignalInfo {
        let pid = self.pid;
        let Some(timer) = self.kernel.timer_mut(pid, id).map(|timer| *timer) else { return info };
        let Some(setting) = timer.setting else { return info };
        let period = setting.period.as_ns();
        let now = self.count(&timer, setting.is_calendar).as_ns();
        let missed = now.saturating_sub(setting.expiry.as_ns()).checked_div(period).unwrap_or(0);
        let overrun = missed.min(i32::MAX as u64) as u32;
        let next = (period != 0).then(|| {
            let passed = SimDuration::from_ns(period.saturating_mul(missed + 1));
            Setting { expiry: setting.expiry + passed, ..setting }
        });
        if let Some(timer) = self.kernel.timer_mut(pid, id) {
            timer.overrun = overrun;
            timer.state = State::Idle;
        }
        if next.is_some() {
            self.kernel.start_timer(self.now, (pid, id), next);
        }
        SignalInfo { uid: overrun, ..info }
    }

    /// The caller's own clock may be ahead of the host's, and its processor time has grown: let its timers expire
    /// first.
    pub(crate) fn expire_own_timers(&mut self) {
        self.expire_own_interval();
        let process = self.process();
        if !process.counts_cpu() {
            return;
        }
        let timers = &process.timers;
        let due = |(&id, timer): (&TimerId, &Timer)| {
            let setting = timer.setting.filter(|_| timer.state == State::Armed)?;
            let is_due = match timer.due {
                Some(at) => at <= self.now,
                None => self.count(timer, false) >= setting.expiry,
            };
            is_due.then_some(id)
        };
        let due: Vec<TimerId> = timers.posix.iter().filter_map(due).collect();
        for id in due {
            self.kernel.expire_timer(self.now, self.pid, id);
        }
        self.expire_cpu_intervals();
        self.expire_cpu_limit();
        self.wake_cpu_sleepers();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{DATA, TestGuest, machine};
    use crate::{ClockJump, Outcome, SignalOutcome, VirtualTid};
    use shim_abi::calls::nr;

    const MS: u64 = 1_000_000;
    const SECOND: u64 = 1_000 * MS;
    const ABSOLUTE: u64 = libc::TIMER_ABSTIME as u64;
    const EVENT: u64 = DATA + 0x100;

    /// A machine with a process that handles 10 and 40, at some instant.
    struct Bench {
        kernel: Kernel,
        guest: TestGuest,
        tid: VirtualTid,
        now: SimTime,
    }

    impl Bench {
        fn new() -> Bench {
            let (kernel, mut guest, tid) = machine();
            guest.actions.extend([(10, 0x1234), (40, 0x1234)]);
            Bench { kernel, guest, tid, now: SimTime::ZERO }
        }
        fn call(&mut self, number: u32, args: [u64; 4]) -> i64 {
            let [a, b, c, d] = args;
            let args = [a, b, c, d, 0, 0];
            match self.kernel.call(self.now, self.tid, number, args, &mut self.guest) {
                Outcome::Done(value) => value,
                other => panic!("{other:?}"),
            }
        }
        /// A timer by this clock that sends a signal with the value 77.
        fn create(&mut self, clock: i32, signal: u64, kind: i32, tid: VirtualTid) -> u64 {
            let words = [77, signal | (kind as u64) << 32, tid.0.into()];
            self.guest.put_words(EVENT, &words);
            assert_eq!(self.call(nr::timer_create, [clock as u64, EVENT, DATA, 0]), 0);
            self.guest.words::<1>(DATA)[0] & u64::from(u32::MAX)
        }
        fn set(&mut self, id: u64, flags: u64, period: u64, value: u64) {
            let words = [period / SECOND, period % SECOND, value / SECOND, value % SECOND];
            self.guest.put_words(DATA, &words);
            assert_eq!(self.call(nr::timer_settime, [id, flags, DATA, 0]), 0);
        }
        fn get(&mut self, id: u64) -> (u64, u64) {
            assert_eq!(self.call(nr::timer_gettime, [id, DATA, 0, 0]), 0);
            let [a, b, c, d] = self.guest.words(DATA);
            (a * SECOND + b, c * SECOND + d)
        }
        fn go(&mut self, ns: u64) {
            self.now = SimTime::from_ns(ns);
            self.kernel.advance(self.now);
        }
        /// The next signal: number, timer, overrun.
        fn take(&mut self) -> Option<(u32, u32, u32)> {
            match self.kernel.take_signal(self.now, self.tid, &mut self.guest) {
                SignalOutcome::Deliver(info) => {
                    assert_eq!((info.code, info.value), (SI_TIMER, 77));
                    Some((info.signal, info.pid, info.uid))
                }
                _ => None,
            }
        }
    }

    #[test]
    fn a_periodic_timer_counts_what_was_missed() {
        let mut bench = Bench::new();
        let id = bench.create(libc::CLOCK_MONOTONIC, 10, libc::SIGEV_SIGNAL, VirtualTid(0));
        bench.set(id, 0, 10 * MS, 15 * MS);
        assert_eq!(bench.get(id), (10 * MS, 15 * MS));
        bench.go(15 * MS);
        assert_eq!(bench.get(id), (10 * MS, 10 * MS));
        assert_eq!((bench.take(), bench.take()), (Some((10, 0, 0)), None));
        bench.guest.mask = 1 << 9;
        bench.go(62 * MS);
        assert_eq!((bench.take(), bench.kernel.next_event()), (None, None), "blocked, so held");
        assert_eq!(bench.get(id), (10 * MS, 3 * MS));
        bench.guest.mask = 0;
        assert_eq!(bench.take(), Some((10, 0, 3)), "of 25, 35, 45, 55 three were missed");
        assert_eq!(bench.call(nr::timer_getoverrun, [id, 0, 0, 0]), 3);
        assert_eq!(bench.kernel.next_event(), Some(SimTime::from_ns(65 * MS)));
        bench.guest.actions.insert(10, 1);
        bench.go(65 * MS);
        assert_eq!(bench.take(), None);
        assert_eq!(bench.kernel.next_event(), Some(SimTime::from_ns(75 * MS)), "it goes on");
        bench.set(id, 0, 0, 0);
        assert_eq!((bench.get(id), bench.kernel.next_event()), ((0, 0), None));
    }

    #[test]
    fn a_single_expiry_is_over_when_it_was_told() {
        let mut bench = Bench::new();
        let id = bench.create(libc::CLOCK_BOOTTIME, 40, libc::SIGEV_THREAD, VirtualTid(0));
        bench.set(id, ABSOLUTE, 0, 101 * SECOND);
        assert_eq!(bench.get(id), (0, SECOND), "the machine has been up for 100 s");
        bench.go(SECOND);
        assert_eq!(bench.get(id), (0, 0));
        assert_eq!((bench.take(), bench.take()), (Some((40, 0, 0)), None));
        bench.set(id, ABSOLUTE, 0, SECOND);
        assert_eq!(bench.take(), Some((40, 0, 0)), "long past: at once");
    }

    #[test]
    fn setting_and_deleting_take_back_what_was_not_taken() {
        let mut bench = Bench::new();
        let [a, b] = [10, 10].map(|signal| {
            bench.create(libc::CLOCK_MONOTONIC, signal, libc::SIGEV_SIGNAL, VirtualTid(0))
        });
        bench.set(a, 0, 0, MS);
        bench.set(b, 0, 0, MS);
        bench.go(MS);
        bench.set(a, 0, 0, SECOND);
        assert_eq!((bench.take(), bench.take()), (Some((10, 1, 0)), None));
        bench.go(2 * SECOND);
        bench.set(b, 0, 0, MS);
        bench.go(3 * SECOND);
        assert_eq!(bench.kernel.pending(bench.tid), 1 << 9);
        assert_eq!(bench.call(nr::timer_delete, [a, 0, 0, 0]), 0);
        assert_eq!((bench.take(), bench.take()), (Some((10, 1, 0)), None));
    }

    #[test]
    fn each_of_several_timers_with_one_signal_is_told() {
        let mut bench = Bench::new();
        for _ in 0..3 {
            let id = bench.create(libc::CLOCK_MONOTONIC, 10, libc::SIGEV_SIGNAL, VirtualTid(0));
            bench.set(id, 0, 0, MS);
        }
        bench.go(MS);
        let taken = [0; 4].map(|_| bench.take());
        assert_eq!(taken, [Some((10, 0, 0)), Some((10, 1, 0)), Some((10, 2, 0)), None]);
    }

    #[test]
    fn what_nobody_hears_of_is_read() {
        let mut bench = Bench::new();
        let id = bench.create(libc::CLOCK_MONOTONIC, 0, libc::SIGEV_NONE, VirtualTid(0));
        bench.set(id, 0, 10 * MS, 15 * MS);
        assert_eq!(bench.kernel.next_event(), None);
        bench.go(32 * MS);
        assert_eq!(bench.get(id), (10 * MS, 3 * MS));
        bench.set(id, 0, 0, 15 * MS);
        bench.go(40 * MS);
        assert_eq!(bench.get(id), (0, 7 * MS));
        bench.go(50 * MS);
        assert_eq!((bench.get(id), bench.take()), ((0, 0), None));
    }

    #[test]
    fn a_thread_can_be_told() {
        let mut bench = Bench::new();
        let thread = bench.kernel.add_thread(bench.tid, &mut bench.guest);
        let id = bench.create(libc::CLOCK_MONOTONIC, 10, libc::SIGEV_THREAD_ID, thread);
        bench.set(id, 0, MS, MS);
        bench.go(MS);
        assert_eq!((bench.kernel.pending(bench.tid), bench.kernel.pending(thread)), (0, 1 << 9));
        // The signal of a thread that is gone is nobody's.
        bench.kernel.call(bench.now, thread, nr::exit, [0; 6], &mut bench.guest);
        bench.set(id, 0, MS, MS);
        bench.go(5 * MS);
        assert_eq!((bench.take(), bench.kernel.next_event()), (None, None));
    }

    #[test]
    fn calendar_time_jumps_and_relative_times_do_not_care() {
        let mut bench = Bench::new();
        let jump = ClockJump { at: SimTime::from_ns(SECOND), by_ns: 5 * SECOND as i64 };
        bench.kernel.config.clock.jumps.push(jump);
        let start = bench.kernel.config.start_realtime_ns as u64;
        let mut due = |clock, flags, value| {
            let id = bench.create(clock, 10, libc::SIGEV_SIGNAL, VirtualTid(0));
            bench.set(id, flags, 0, value);
            let due = bench.kernel.agenda.next().unwrap().as_ns();
            assert_eq!(bench.call(nr::timer_delete, [id, 0, 0, 0]), 0);
            assert_eq!(bench.kernel.agenda.next(), None);
            due
        };
        assert_eq!(due(libc::CLOCK_REALTIME, ABSOLUTE, start + 4 * SECOND), SECOND);
        assert_eq!(due(libc::CLOCK_REALTIME, 0, 4 * SECOND), 4 * SECOND);
        assert_eq!(due(libc::CLOCK_TAI, 0, 4 * SECOND), SECOND);
        assert_eq!(due(libc::CLOCK_MONOTONIC, 0, 4 * SECOND), 4 * SECOND);
    }

    #[test]
    fn processor_time_is_a_clock() {
        for clock in [libc::CLOCK_PROCESS_CPUTIME_ID, libc::CLOCK_THREAD_CPUTIME_ID] {
            let mut bench = Bench::new();
            bench.guest.cpu_ns = 3 * MS;
            let id = bench.create(clock, 10, libc::SIGEV_SIGNAL, VirtualTid(0));
            bench.set(id, 0, 10 * MS, 5 * MS);
            let at = |ns| Some(SimTime::from_ns(ns));
            assert_eq!(bench.kernel.next_event(), at(5 * MS), "if it did nothing else");
            bench.go(5 * MS);
            bench.guest.cpu_ns = 7 * MS;
            assert_eq!(bench.get(id), (10 * MS, MS));
            assert_eq!(bench.kernel.next_event(), at(6 * MS));
            bench.go(6 * MS);
            bench.guest.cpu_ns = 30 * MS;
            assert_eq!(bench.take(), Some((10, 0, 2)), "8, 18, 28");
            bench.get(id);
            assert_eq!(bench.kernel.next_event(), at(14 * MS));
            // Who waits uses none.
            bench.guest.put_words(DATA, &[1, 0]);
            let args = [DATA, 0, 0, 0, 0, 0];
            let parked =
                bench.kernel.call(bench.now, bench.tid, nr::nanosleep, args, &mut bench.guest);
            assert_eq!(parked, Outcome::Park);
            assert_eq!(bench.kernel.next_event(), at(SECOND + 6 * MS));
        }
    }
}
