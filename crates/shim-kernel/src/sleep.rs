//! Sleeping: `nanosleep`, `clock_nanosleep`.
//!
//! A clock and a time in, a parked call out. Always true: a sleeper wakes at its deadline to the
//! nanosecond of its clock; a signal that has an effect ends it earlier with EINTR, and then the rest of a relative
//! sleep is stored. A sleep of no length waits too, so that others get their turn.
//!
//! Who sleeps until a process's CPU clock has advanced is woken when a thread of that process is heard of (`timer::cpu`).

use shim_abi::{Errno, SimTime};

use crate::clock::{Clock, timespec_of};
use crate::context::{Answer, Context, done};
use crate::guest::GuestAddr;
use crate::memory::write_words;
use crate::task::{CpuEnd, Parked, Wait, Wake};

const NULL: GuestAddr = GuestAddr(0);

pub(crate) fn nanosleep(
    context: &mut Context<'_>,
    request: GuestAddr,
    remainder: GuestAddr,
) -> Answer {
    let duration = context.read_timespec(request)?;
    let deadline = context.kernel.time_after(context.now, duration);
    context.sleep_until(deadline, remainder)
}

pub(crate) fn clock_nanosleep(
    context: &mut Context<'_>,
    id: i32,
    flags: u32,
    request: GuestAddr,
    remainder: GuestAddr,
) -> Answer {
    let clock = Clock::of(id, context);
    match clock {
        Clock::None => return Err(Errno::EINVAL),
        Clock::ReadOnly | Clock::Device => return Err(Errno::EOPNOTSUPP),
        _ => {}
    }
    let time = context.read_timespec(request)?;
    // Linux looks at this one flag and at no other.
    let is_absolute = flags & libc::TIMER_ABSTIME as u32 != 0;
    let remainder = if is_absolute { NULL } else { remainder };
    let deadline = match clock {
        Clock::WakeAlarm => return Err(Errno::EOPNOTSUPP),
        Clock::ThreadCpu(_) | Clock::NoTask => return Err(Errno::EINVAL),
        Clock::ProcessCpu { pid, cpu_ns, .. } => {
            let start = if is_absolute { 0 } else { cpu_ns };
            let end = CpuEnd { pid, ns: start.saturating_add(time.as_ns()) };
            if end.ns <= cpu_ns {
                return done(0);
            }
            let wait = Wait::Sleep { remainder, cpu_end: Some(end) };
            return context.park(wait, SimTime::MAX);
        }
        _ if !is_absolute => context.kernel.time_after(context.now, time),
        Clock::Boot => context.kernel.time_of_uptime(time),
        _ => context.kernel.time_of_realtime(context.now, time),
    };
    context.sleep_until(deadline, remainder)
}

impl Context<'_> {
    fn sleep_until(&mut self, deadline: SimTime, remainder: GuestAddr) -> Answer {
        let deadline = deadline.max(self.now);
        self.park(Wait::Sleep { remainder, cpu_end: None }, deadline)
    }

    pub(crate) fn finish_sleep(
        &mut self,
        parked: Parked,
        wake: Wake,
        remainder: GuestAddr,
        cpu_end: Option<CpuEnd>,
    ) -> Answer {
        if wake == Wake::Timeout {
            return done(0);
        }
        if !self.has_signal(self.guest.signal_mask()) {
            return self.park_again(parked);
        }
        if !remainder.is_null() {
            let left = match cpu_end {
                Some(end) => {
                    let process = self.kernel.processes.get(&end.pid);
                    end.ns.saturating_sub(process.map_or(0, |process| process.cpu_ns))
                }
                None => self.kernel.time_between(self.now, parked.deadline).as_ns(),
            };
            write_words(self.guest, remainder, timespec_of(left))?;
        }
        Err(Errno::EINTR)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::{Outcome, SignalOutcome};
    use crate::testing::{DATA, TestGuest, machine};
    use crate::{ClockJump, ClockSettings, Config, Kernel, VirtualTid};
    use shim_abi::calls::nr;
    use shim_abi::clock::Rate;

    const SECOND: u64 = 1_000_000_000;
    const ABSOLUTE: u64 = libc::TIMER_ABSTIME as u64;

    fn at(ns: u64) -> SimTime {
        SimTime::from_ns(ns)
    }

    /// Call clock_nanosleep at 5 s with a time at DATA and room for the rest behind it.
    fn sleep(
        (kernel, guest, tid): &mut (Kernel, TestGuest, VirtualTid),
        clock: i32,
        flags: u64,
        time: [u64; 2],
    ) -> Outcome {
        guest.put_words(DATA, &[time[0], time[1], 77, 77]);
        let args = [clock as u64, flags, DATA, DATA + 16, 0, 0];
        kernel.call(at(5 * SECOND), *tid, nr::clock_nanosleep, args, guest)
    }

    #[test]
    fn a_sleeper_wakes_at_its_deadline() {
        for (clock, flags, time) in [
            (libc::CLOCK_MONOTONIC, 0, [2, 5]),
            (libc::CLOCK_REALTIME, 0, [2, 5]),
            (libc::CLOCK_BOOTTIME, 0xfe, [2, 5]),
            // 100 s of uptime at the start.
            (libc::CLOCK_MONOTONIC, ABSOLUTE, [107, 5]),
            (libc::CLOCK_REALTIME, ABSOLUTE, [946_684_807, 5]),
            (libc::CLOCK_TAI, ABSOLUTE, [946_684_807, 5]),
        ] {
            let mut machine = machine();
            assert_eq!(sleep(&mut machine, clock, flags, time), Outcome::Park, "{clock}");
            let (mut kernel, mut guest, tid) = machine;
            let deadline = at(7 * SECOND + 5);
            assert_eq!(kernel.next_event(), Some(deadline), "{clock}");
            kernel.advance(at(7 * SECOND + 4));
            assert_eq!(kernel.next_runnable(), None);
            kernel.advance(deadline);
            assert_eq!(kernel.next_runnable(), Some(tid));
            assert_eq!(kernel.next_runnable(), None, "named once");
            assert_eq!(kernel.resume(deadline, tid, &mut guest), Outcome::Done(0));
            assert_eq!(kernel.next_event(), None);
            assert_eq!(guest.words::<1>(DATA + 16), [77], "nothing is left");
        }
    }

    /// A machine whose calendar is set by so many seconds at 6 s, and whose oscillator is a tenth slow.
    fn slow_machine_that_jumps(by_secs: i64) -> (Kernel, TestGuest, VirtualTid) {
        let rate = Rate::from_ppb(-Rate::MAX_PPB).unwrap();
        let jumps = [ClockJump { at: at(6 * SECOND), by_ns: by_secs * SECOND as i64 }].to_vec();
        let clock = ClockSettings { offset_ns: 0, rate, jumps };
        let mut kernel = Kernel::new(Config { clock, ..crate::testing::config() });
        let (_, tid) = kernel.spawn(SimTime::ZERO, "program");
        kernel.advance(at(5 * SECOND));
        (kernel, TestGuest::new(), tid)
    }

    #[test]
    fn sleeps_follow_the_machines_own_clocks() {
        // At 5 s its clocks have counted 4.5 s.
        for (clock, flags, time, jump, expected) in [
            (libc::CLOCK_MONOTONIC, 0, [9, 0], 1000, 15 * SECOND),
            (libc::CLOCK_REALTIME, 0, [9, 0], 1000, 15 * SECOND),
            (libc::CLOCK_REALTIME, 0, [9, 0], -1000, 15 * SECOND),
            (libc::CLOCK_MONOTONIC, ABSOLUTE, [109, 0], 1000, 10 * SECOND),
            // 5.4 s have been counted when it jumps; an absolute sleep notices.
            (libc::CLOCK_REALTIME, ABSOLUTE, [946_684_809, 0], 0, 10 * SECOND),
            (libc::CLOCK_REALTIME, ABSOLUTE, [946_684_809, 0], 1000, 6 * SECOND),
            (libc::CLOCK_TAI, ABSOLUTE, [946_684_809, 0], 1, 8_888_888_889),
            (libc::CLOCK_REALTIME, ABSOLUTE, [946_684_809, 0], -9, 20 * SECOND),
            (libc::CLOCK_REALTIME, ABSOLUTE, [946_684_805, 0], -9, 5_555_555_556),
        ] {
            let mut machine = slow_machine_that_jumps(jump);
            assert_eq!(sleep(&mut machine, clock, flags, time), Outcome::Park);
            let (mut kernel, mut guest, tid) = machine;
            let wake = loop {
                let next = kernel.next_event().unwrap();
                kernel.advance(next);
                if kernel.next_runnable() == Some(tid) {
                    break next;
                }
            };
            assert_eq!(wake, at(expected), "{clock} {flags} {time:?} {jump}");
            assert_eq!(kernel.resume(wake, tid, &mut guest), Outcome::Done(0));
        }
    }

    #[test]
    fn what_is_left_of_a_sleep_is_told_in_the_machines_own_time() {
        let mut machine = slow_machine_that_jumps(1000);
        machine.1.actions.insert(15, 0x1234);
        sleep(&mut machine, libc::CLOCK_REALTIME, 0, [9, 0]);
        assert_eq!(interrupt(&mut machine), Some(Outcome::Done(Errno::EINTR.as_return())));
        assert_eq!(machine.1.words::<2>(DATA + 16), [8, 100_000_000]);
    }

    #[test]
    fn a_deadline_in_the_past_is_now_and_the_end_of_time_is_never() {
        let mut past = machine();
        assert_eq!(sleep(&mut past, libc::CLOCK_REALTIME, ABSOLUTE, [3, 0]), Outcome::Park);
        assert_eq!(past.0.next_event(), Some(at(5 * SECOND)));
        let mut never = machine();
        let longest = [i64::MAX as u64, 0];
        assert_eq!(sleep(&mut never, libc::CLOCK_MONOTONIC, 0, longest), Outcome::Park);
        assert_eq!(never.0.next_event(), None);
    }

    #[test]
    fn errors_are_those_of_linux() {
        let [inval, fault, unsupported] =
            [Errno::EINVAL, Errno::EFAULT, Errno::EOPNOTSUPP].map(Errno::as_return);
        let own = !1000 << 3;
        for (clock, bad_pointer, bad_time, zero) in [
            (-9, fault, inval, inval),
            (-5, unsupported, unsupported, unsupported),
            (-2, fault, inval, inval),
            (-1, fault, inval, inval),
            (own | 6, fault, inval, inval),
            ((!999_999) << 3 | 2, fault, inval, inval),
            (-6, fault, inval, 0),
            (own | 2, fault, inval, 0),
            (2, fault, inval, 0),
            (3, unsupported, unsupported, unsupported),
            (4, unsupported, unsupported, unsupported),
            (5, unsupported, unsupported, unsupported),
            (6, unsupported, unsupported, unsupported),
            (8, fault, inval, unsupported),
            (9, fault, inval, unsupported),
            (10, inval, inval, inval),
            (12, inval, inval, inval),
            (i32::MAX, inval, inval, inval),
        ] {
            let mut machine = machine();
            for time in [[0, SECOND], [u64::MAX, 0]] {
                let got = sleep(&mut machine, clock, 0, time);
                assert_eq!(got, Outcome::Done(bad_time), "{clock}");
            }
            assert_eq!(sleep(&mut machine, clock, 0, [0, 0]), Outcome::Done(zero), "{clock}");
            let (mut kernel, mut guest, tid) = machine;
            let args = [clock as u64, 0, 8, 0, 0, 0];
            let got = kernel.do_call(tid, nr::clock_nanosleep, args, &mut guest);
            assert_eq!(got, bad_pointer, "{clock}");
        }
        let (mut kernel, mut guest, tid) = machine();
        assert_eq!(kernel.do_call(tid, nr::nanosleep, [0; 6], &mut guest), fault);
    }

    /// Interrupt a sleep that began at 5 s at 6 s with SIGTERM; what the call returns.
    fn interrupt(machine: &mut (Kernel, TestGuest, VirtualTid)) -> Option<Outcome> {
        let (kernel, guest, tid) = machine;
        let pid = kernel.process_of(*tid)?;
        kernel.post_signal(at(6 * SECOND), pid, crate::testing::signal(15));
        let tid = kernel.next_runnable()?;
        Some(kernel.resume(at(6 * SECOND), tid, guest))
    }

    #[test]
    fn a_handler_ends_a_sleep_and_the_rest_is_stored() {
        let eintr = Some(Outcome::Done(Errno::EINTR.as_return()));
        let mut relative = machine();
        relative.1.actions.insert(15, 0x1234);
        sleep(&mut relative, libc::CLOCK_MONOTONIC, 0, [3, 7]);
        assert_eq!(interrupt(&mut relative), eintr);
        let (mut kernel, mut guest, tid) = relative;
        assert_eq!(guest.words::<2>(DATA + 16), [2, 7]);
        assert_eq!(kernel.next_event(), None);
        let signal = kernel.take_signal(at(6 * SECOND), tid, &mut guest);
        assert!(matches!(signal, SignalOutcome::Deliver(info) if info.signal == 15));

        let mut absolute = machine();
        absolute.1.actions.insert(15, 0x1234);
        sleep(&mut absolute, libc::CLOCK_MONOTONIC, ABSOLUTE, [200, 0]);
        assert_eq!(interrupt(&mut absolute), eintr);
        assert_eq!(absolute.1.words::<2>(DATA + 16), [77, 77], "an absolute sleep stores nothing");

        let mut faulty = machine();
        faulty.1.actions.insert(15, 0x1234);
        faulty.1.put_words(DATA, &[3, 0]);
        let args = [DATA, 8, 0, 0, 0, 0];
        faulty.0.call(at(5 * SECOND), faulty.2, nr::nanosleep, args, &mut faulty.1);
        assert_eq!(interrupt(&mut faulty), Some(Outcome::Done(Errno::EFAULT.as_return())));
    }

    #[test]
    fn an_ignored_or_blocked_signal_does_not_end_a_sleep() {
        for (action, mask, looks, stays_pending) in
            [(1, 0, Some(Outcome::Park), false), (0x1234, 1 << 14, None, true)]
        {
            let mut machine = machine();
            machine.1.actions.insert(15, action);
            machine.1.mask = mask;
            sleep(&mut machine, libc::CLOCK_MONOTONIC, 0, [3, 0]);
            assert_eq!(interrupt(&mut machine), looks);
            let (mut kernel, mut guest, tid) = machine;
            assert_eq!(kernel.pending(tid) != 0, stays_pending);
            assert_eq!(kernel.next_event(), Some(at(8 * SECOND)));
            kernel.advance(at(8 * SECOND));
            assert_eq!(kernel.next_runnable(), Some(tid));
            assert_eq!(kernel.resume(at(8 * SECOND), tid, &mut guest), Outcome::Done(0));
        }
    }

    #[test]
    fn a_signal_before_the_sleepers_own_clock_is_seen_at_that_clock() {
        let mut machine = machine();
        machine.1.actions.insert(15, 0x1234);
        sleep(&mut machine, libc::CLOCK_MONOTONIC, 0, [3, 0]);
        let (mut kernel, mut guest, tid) = machine;
        let pid = kernel.process_of(tid).unwrap();
        kernel.post_signal(at(4 * SECOND), pid, crate::testing::signal(15));
        assert_eq!(kernel.next_runnable(), None);
        assert_eq!(kernel.next_event(), Some(at(5 * SECOND)));
        kernel.advance(at(5 * SECOND));
        assert_eq!(kernel.next_runnable(), Some(tid));
        let outcome = kernel.resume(at(5 * SECOND), tid, &mut guest);
        assert_eq!(outcome, Outcome::Done(Errno::EINTR.as_return()));
        assert_eq!(guest.words::<2>(DATA + 16), [3, 0]);
    }

    #[test]
    fn a_deadline_that_has_come_wins_over_a_signal() {
        let mut machine = machine();
        machine.1.actions.insert(15, 0x1234);
        sleep(&mut machine, libc::CLOCK_MONOTONIC, 0, [3, 0]);
        let (mut kernel, mut guest, tid) = machine;
        let deadline = at(8 * SECOND);
        let pid = kernel.process_of(tid).unwrap();
        kernel.post_signal(deadline, pid, crate::testing::signal(15));
        kernel.advance(deadline);
        assert_eq!([kernel.next_runnable(), kernel.next_runnable()], [Some(tid), None]);
        assert_eq!(kernel.resume(deadline, tid, &mut guest), Outcome::Done(0));
    }

    #[test]
    fn own_cpu_time_is_waited_for_until_a_signal_comes() {
        let mut machine = machine();
        machine.1.cpu_ns = 3 * SECOND;
        machine.1.actions.insert(15, 0x1234);
        let clock = libc::CLOCK_PROCESS_CPUTIME_ID;
        assert_eq!(sleep(&mut machine, clock, ABSOLUTE, [3, 0]), Outcome::Done(0));
        assert_eq!(sleep(&mut machine, clock, 0, [4, 0]), Outcome::Park);
        assert_eq!(machine.0.next_event(), None);
        assert_eq!(interrupt(&mut machine), Some(Outcome::Done(Errno::EINTR.as_return())));
        assert_eq!(machine.1.words::<2>(DATA + 16), [4, 0]);
    }

    #[test]
    fn who_has_just_begun_counts_for_who_sleeps() {
        let mut machine = machine();
        let thread = machine.0.add_thread(machine.2, &mut machine.1);
        machine.1.cpu_ns = SECOND;
        let clock = libc::CLOCK_PROCESS_CPUTIME_ID;
        assert_eq!(sleep(&mut machine, clock, 0, [2, 0]), Outcome::Park);
        let (kernel, guest, _) = &mut machine;
        assert_eq!(kernel.next_event(), None, "nobody runs");
        kernel.begins(at(0), thread, guest);
        assert_eq!(kernel.next_event(), Some(at(2 * SECOND)));
    }

    #[test]
    fn cpu_time_of_another_thread_or_process_is_waited_for() {
        let mut machine = machine();
        let thread = machine.0.add_thread(machine.2, &mut machine.1);
        let (other, other_tid) = machine.0.spawn(at(0), "other");
        let others = !(other.0 as i32) << 3 | 2;
        for (clock, runner) in [(libc::CLOCK_PROCESS_CPUTIME_ID, thread), (others, other_tid)] {
            machine.1.cpu_ns = SECOND;
            machine.0.do_call(runner, nr::alarm, [0; 6], &mut machine.1);
            assert_eq!(sleep(&mut machine, clock, 0, [2, 0]), Outcome::Park);
            let (kernel, guest, tid) = (&mut machine.0, &mut machine.1, machine.2);
            kernel.do_call(runner, nr::alarm, [0; 6], guest);
            assert_eq!(kernel.next_event(), Some(at(2 * SECOND)), "the runner hands over then");
            assert_eq!(kernel.next_runnable(), None);
            guest.cpu_ns = 3 * SECOND;
            kernel.do_call(runner, nr::alarm, [0; 6], guest);
            assert_eq!(kernel.next_runnable(), Some(tid));
            assert_eq!(kernel.resume(at(5 * SECOND), tid, guest), Outcome::Done(0));
            assert_eq!(kernel.next_event(), None);
        }
    }

    #[test]
    fn sleepers_of_one_instant_wake_in_the_order_of_their_numbers() {
        let (mut kernel, mut guest, first) = machine();
        let (_, second) = kernel.spawn(SimTime::ZERO, "other");
        guest.put_words(DATA, &[1, 0]);
        for tid in [second, first] {
            kernel.call(SimTime::ZERO, tid, nr::nanosleep, [DATA, 0, 0, 0, 0, 0], &mut guest);
        }
        kernel.advance(at(SECOND));
        assert_eq!([kernel.next_runnable(), kernel.next_runnable()], [Some(first), Some(second)]);
    }
}
