//! Waiting for signals: `pause`, `rt_sigsuspend`, `rt_sigtimedwait`.
//!
//! Masks and sets in, parked calls out. Always true: these calls end with EINTR for a signal that has
//! an effect, and go on waiting for one that has none. `rt_sigsuspend` does not change the guest's
//! mask word: the mask that it names holds for the choice of the signal, and the guest keeps it up
//! while the handler runs.

use shim_abi::event::SignalInfo;
use shim_abi::{Errno, SimTime};

use super::number::{SIGALRM, UNBLOCKABLE, bit};
use crate::context::{Answer, Context, done};
use crate::guest::GuestAddr;
use crate::memory::{Layout, read_words};
use crate::task::{Parked, Wait, Wake};

/// Bytes of a signal set.
const SET_BYTES: u64 = 8;

pub(crate) fn pause(context: &mut Context<'_>) -> Answer {
    context.park(Wait::Pause, SimTime::MAX)
}

pub(crate) fn rt_sigsuspend(context: &mut Context<'_>, mask: GuestAddr, bytes: u64) -> Answer {
    if bytes != SET_BYTES {
        return Err(Errno::EINVAL);
    }
    let [mask] = read_words(context.guest, mask)?;
    context.park(Wait::Suspend { mask: mask & !UNBLOCKABLE }, SimTime::MAX)
}

pub(crate) fn rt_sigtimedwait(
    context: &mut Context<'_>,
    set: GuestAddr,
    info: GuestAddr,
    timeout: GuestAddr,
    bytes: u64,
) -> Answer {
    if bytes != SET_BYTES {
        return Err(Errno::EINVAL);
    }
    let [set] = read_words(context.guest, set)?;
    let set = set & !UNBLOCKABLE;
    let mut deadline = SimTime::MAX;
    if !timeout.is_null() {
        let duration = context.read_timespec(timeout)?;
        deadline = context.kernel.time_after(context.now, duration);
    }
    if deadline == context.now {
        // Not a wait: take what there is.
        context.drop_ignored(context.guest.signal_mask());
        return context.take_of(set, info)?.map_or(Err(Errno::EAGAIN), done);
    }
    context.park(Wait::OneOf { set, info }, deadline)
}

impl Context<'_> {
    pub(crate) fn finish_pause(&mut self, parked: Parked) -> Answer {
        if self.has_signal(self.guest.signal_mask()) {
            return Err(Errno::EINTR);
        }
        self.park_again(parked)
    }

    pub(crate) fn finish_suspend(&mut self, parked: Parked, mask: u64) -> Answer {
        if self.has_signal(mask) {
            self.thread_mut().suspended_mask = Some(mask);
            return Err(Errno::EINTR);
        }
        self.park_again(parked)
    }

    pub(crate) fn finish_timed_wait(
        &mut self,
        parked: Parked,
        wake: Wake,
        set: u64,
        info: GuestAddr,
    ) -> Answer {
        let mask = self.guest.signal_mask();
        self.drop_ignored(mask);
        if let Some(signal) = self.take_of(set, info)? {
            return done(signal);
        }
        if wake == Wake::Timeout {
            return Err(Errno::EAGAIN);
        }
        if self.is_ended_by_signal(mask) { Err(Errno::EINTR) } else { self.park_again(parked) }
    }

    /// Take a signal of a set and describe it at `to`, unless that is null.
    fn take_of(&mut self, set: u64, to: GuestAddr) -> Result<Option<i64>, Errno> {
        // Whoever was chosen for it: who asks for a signal of its process gets it.
        let Some(info) = self.dequeue_any(set) else { return Ok(None) };
        if !to.is_null() {
            self.guest.write(to, siginfo_of(&info).bytes())?;
        }
        Ok(Some(i64::from(info.signal)))
    }

    /// Take the next signal of a set that the thread takes: its own first, then the process's.
    pub(crate) fn dequeue(&mut self, set: u64) -> Option<SignalInfo> {
        let (signal, is_own) = self.first_of(set)?;
        let (info, timer) = match is_own {
            true => self.thread_mut().pending.take(signal),
            false => self.process_mut().pending.take(signal),
        };
        if self.process().pending.bits() & bit(signal) == 0 {
            self.kernel.unassign(self.pid, bit(signal));
        }
        if signal == SIGALRM {
            self.renew_interval();
        }
        Some(match timer {
            Some(timer) => self.renew_timer(timer, info),
            None => info,
        })
    }

    /// As [`Context::dequeue`], but signals that other threads were chosen for, too.
    pub(crate) fn dequeue_any(&mut self, set: u64) -> Option<SignalInfo> {
        let shared = set & self.process().pending.bits();
        let assigned = self.thread().assigned;
        self.thread_mut().assigned |= shared;
        let info = self.dequeue(set);
        // What is still there stays whose it was.
        self.thread_mut().assigned &= assigned;
        info
    }
}

/// A `siginfo_t`.
fn siginfo_of(info: &SignalInfo) -> Layout<128> {
    let mut layout = Layout::new();
    layout.u32(0, info.signal);
    layout.u32(8, info.code as u32);
    layout.u32(16, info.pid);
    layout.u32(20, info.uid);
    layout.u64(24, info.value);
    layout.u64(32, info.tail[0]);
    layout.u64(40, info.tail[1]);
    layout
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::{Outcome, SignalOutcome};
    use crate::testing::{DATA, TestGuest, machine};
    use crate::{Kernel, VirtualTid};
    use core::mem::offset_of;
    use shim_abi::calls::nr;

    const EINTR: Outcome = Outcome::Done(Errno::EINTR.as_return());
    const EAGAIN: Outcome = Outcome::Done(Errno::EAGAIN.as_return());

    struct Bench {
        kernel: Kernel,
        guest: TestGuest,
        tid: VirtualTid,
    }

    impl Bench {
        fn new() -> Bench {
            let (kernel, mut guest, tid) = machine();
            guest.actions.extend([(10, 0x1234), (12, 0x1234), (15, 1)]);
            Bench { kernel, guest, tid }
        }
        fn call(&mut self, number: u32, args: [u64; 4]) -> Outcome {
            let [a, b, c, d] = args;
            let args = [a, b, c, d, 0, 0];
            self.kernel.call(SimTime::ZERO, self.tid, number, args, &mut self.guest)
        }
        /// Post a signal; what the parked call comes to then.
        fn post(&mut self, signal: u32) -> Option<Outcome> {
            let info = SignalInfo { signal, value: 7, ..SignalInfo::default() };
            self.kernel.post_signal(SimTime::ZERO, self.kernel.process_of(self.tid)?, info);
            let tid = self.kernel.next_runnable()?;
            Some(self.kernel.resume(SimTime::ZERO, tid, &mut self.guest))
        }
        fn take(&mut self) -> Option<u32> {
            match self.kernel.take_signal(SimTime::ZERO, self.tid, &mut self.guest) {
                SignalOutcome::Deliver(info) => Some(info.signal),
                _ => None,
            }
        }
    }

    #[test]
    fn pause_ends_with_a_signal_that_has_an_effect() {
        let mut bench = Bench::new();
        bench.guest.mask = bit(12);
        assert_eq!(bench.call(nr::pause, [0; 4]), Outcome::Park);
        assert_eq!(bench.post(15), Some(Outcome::Park), "ignored");
        assert_eq!(bench.post(12), None, "blocked");
        assert_eq!(bench.post(10), Some(EINTR));
        assert_eq!((bench.take(), bench.take()), (Some(10), None));
        assert_eq!(bench.kernel.pending(bench.tid), bit(12));
    }

    #[test]
    fn sigsuspend_chooses_under_its_own_mask() {
        let mut bench = Bench::new();
        bench.guest.mask = bit(10) | bit(12);
        bench.guest.put_words(DATA, &[bit(10) | bit(15)]);
        bench.post(10);
        assert_eq!(bench.call(nr::rt_sigsuspend, [DATA, 8, 0, 0]), Outcome::Park);
        assert_eq!(bench.post(12), Some(EINTR));
        assert_eq!(bench.take(), Some(12), "the thread's own mask blocks it");
        assert_eq!(bench.take(), None, "the thread's own mask holds again");
        assert_eq!(bench.kernel.pending(bench.tid), bit(10));
        // A signal that waits already ends it at once.
        bench.guest.put_words(DATA, &[!bit(10)]);
        assert_eq!(bench.call(nr::rt_sigsuspend, [DATA, 8, 0, 0]), EINTR);
        assert_eq!(bench.take(), Some(10));
        for (mask, bytes, expected) in
            [(DATA, 4, Errno::EINVAL), (8, 4, Errno::EINVAL), (8, 8, Errno::EFAULT)]
        {
            let got = bench.call(nr::rt_sigsuspend, [mask, bytes, 0, 0]);
            assert_eq!(got, Outcome::Done(expected.as_return()));
        }
    }

    #[test]
    fn sigtimedwait_takes_a_signal_of_its_set() {
        let mut bench = Bench::new();
        bench.guest.mask = bit(10) | bit(15);
        // The set, a long time-out, none at all.
        bench.guest.put_words(DATA, &[bit(10) | bit(15), 5, 0, 0, 0]);
        let [set, long, none, info] = [DATA, DATA + 8, DATA + 24, DATA + 64];
        assert_eq!(bench.call(nr::rt_sigtimedwait, [set, info, none, 8]), EAGAIN);
        assert_eq!(bench.call(nr::rt_sigtimedwait, [set, info, long, 8]), Outcome::Park);
        assert_eq!(bench.post(15), Some(Outcome::Done(15)), "blocked, so not ignored");
        let words = bench.guest.words::<4>(info);
        assert_eq!([words[0], words[3]], [15, 7], "si_signo, si_value");
        assert_eq!(bench.call(nr::rt_sigtimedwait, [set, 0, 0, 8]), Outcome::Park);
        assert_eq!(bench.kernel.next_event(), None, "the first time-out is forgotten");
        assert_eq!(bench.post(12), Some(EINTR), "another one with a handler");
        assert_eq!(bench.take(), Some(12));
        bench.post(10);
        assert_eq!(bench.call(nr::rt_sigtimedwait, [set, 0, none, 8]), Outcome::Done(10));
        assert_eq!(bench.kernel.pending(bench.tid), 0);
        assert_eq!(bench.call(nr::rt_sigtimedwait, [set, 0, long, 8]), Outcome::Park);
        let end = SimTime::from_ns(5_000_000_000);
        assert_eq!(bench.kernel.next_event(), Some(end));
        bench.kernel.advance(end);
        assert_eq!(bench.kernel.next_runnable(), Some(bench.tid));
        assert_eq!(bench.kernel.resume(end, bench.tid, &mut bench.guest), EAGAIN);
    }

    #[test]
    fn sigtimedwait_checks_in_linux_order() {
        let mut bench = Bench::new();
        bench.guest.put_words(DATA, &[bit(10), 0, 1_000_000_000]);
        let [set, bad_time] = [DATA, DATA + 8];
        for (args, expected) in [
            ([set, 0, 0, 4], Errno::EINVAL),
            ([8, 0, 8, 8], Errno::EFAULT),
            ([set, 0, 8, 8], Errno::EFAULT),
            ([set, 0, bad_time, 8], Errno::EINVAL),
        ] {
            let got = bench.call(nr::rt_sigtimedwait, args);
            assert_eq!(got, Outcome::Done(expected.as_return()), "{args:?}");
        }
        bench.guest.mask = bit(10);
        bench.post(10);
        let got = bench.call(nr::rt_sigtimedwait, [set, 8, 0, 8]);
        assert_eq!(got, Outcome::Done(Errno::EFAULT.as_return()));
        assert_eq!(bench.kernel.pending(bench.tid), 0, "as on Linux, the signal is lost");
    }

    #[test]
    fn siginfo_is_laid_out_as_in_libc() {
        assert_eq!(size_of::<libc::siginfo_t>(), 128);
        assert_eq!(offset_of!(libc::siginfo_t, si_signo), 0);
        assert_eq!(offset_of!(libc::siginfo_t, si_code), 8);
        let layout = siginfo_of(&SignalInfo {
            signal: 35,
            code: -1,
            pid: 2,
            uid: 3,
            value: 1 << 40 | 4,
            tail: [5, 6],
        });
        let bytes = layout.bytes();
        assert_eq!(bytes[..16], [35, 0, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255, 0, 0, 0, 0]);
        assert_eq!(bytes[16..32], [2, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0, 0, 1, 0, 0]);
        assert_eq!((bytes[32], bytes[40]), (5, 6));
    }
}
