//! Waiting for a word to be changed and somebody to say so.
//!
//! A word, the value that it is expected to have, and a deadline in; a parked call out, and its end. Always
//! true: the word is looked at once, when the wait begins; what ended the wait is asked in the order of Linux:
//! woken, timed out, interrupted. A deadline that is past already waits too, so that others get their turn.

use shim_abi::{Errno, SimTime};

use super::key::{Key, Sharing};
use super::queue::{End, Role};
use crate::context::{Answer, Context, done};
use crate::guest::GuestAddr;
use crate::memory::read_u32;
use crate::task::{Parked, Wait, Wake};

/// A word to wait for.
#[derive(Clone, Copy, Debug)]
pub(super) struct WaitFor {
    pub(super) address: GuestAddr,
    pub(super) sharing: Sharing,
    /// What the word must hold for the wait to begin.
    pub(super) value: u32,
    pub(super) deadline: Option<SimTime>,
}

impl Context<'_> {
    /// Wait for a wake that meets `bits`.
    pub(super) fn wait_for_word(&mut self, wait: WaitFor, bits: u32, on_signal: Errno) -> Answer {
        if bits == 0 {
            return Err(Errno::EINVAL);
        }
        let key = self.expect(wait)?;
        self.kernel.futexes.begin(self.tid, on_signal, GuestAddr(0));
        self.kernel.futexes.add(self.tid, key, Role::Plain { bits, index: 0 });
        self.pause_until(wait.deadline)
    }

    /// Wait to be moved to the lock at `lock`, and own it.
    pub(super) fn wait_to_move(&mut self, wait: WaitFor, lock: GuestAddr) -> Answer {
        if wait.address == lock {
            return Err(Errno::EINVAL);
        }
        let lock_key = self.futex_key(lock, wait.sharing)?;
        let key = self.expect(wait)?;
        if key == lock_key {
            return Err(Errno::EINVAL);
        }
        self.kernel.futexes.begin(self.tid, Errno::ERESTARTNOINTR, lock);
        self.kernel.futexes.add(self.tid, key, Role::Moving { lock: lock_key });
        self.pause_until(wait.deadline)
    }

    /// The key of a word that holds what it is expected to hold.
    fn expect(&mut self, wait: WaitFor) -> Result<Key, Errno> {
        let key = self.futex_key(wait.address, wait.sharing)?;
        let value = read_u32(self.guest, wait.address)?;
        if value == wait.value { Ok(key) } else { Err(Errno::EAGAIN) }
    }

    /// The caller stands in its queues: let it wait.
    pub(super) fn pause_until(&mut self, deadline: Option<SimTime>) -> Answer {
        self.park(Wait::Futex, deadline.unwrap_or(SimTime::MAX))
    }

    pub(crate) fn finish_futex(&mut self, parked: Parked, wake: Wake) -> Answer {
        let Some(pause) = self.kernel.futexes.pause(self.tid) else { return done(0) };
        let (end, on_signal, lock) = (pause.end, pause.on_signal, pause.lock);
        let answer = match end {
            Some(End::Woken { index }) => done(index.into()),
            Some(End::Locked) => done(0),
            Some(End::Inherited { key }) => self.write_inherited(lock, key),
            None if wake == Wake::Timeout => Err(Errno::ETIMEDOUT),
            None if self.has_signal(self.guest.signal_mask()) => {
                Err(if parked.deadline <= self.now { Errno::ETIMEDOUT } else { on_signal })
            }
            None => return self.park_again(parked),
        };
        self.kernel.futexes.forget(self.tid);
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Bench, at};
    use crate::outcome::Outcome;
    use crate::testing::DATA;
    use crate::{ClockJump, Config, Kernel};
    use shim_abi::{Errno, SimTime};

    const WAIT: u64 = libc::FUTEX_WAIT as u64;
    const WAIT_BITSET: u64 = libc::FUTEX_WAIT_BITSET as u64;
    const WAKE: u64 = libc::FUTEX_WAKE as u64;
    const PRIVATE: u64 = libc::FUTEX_PRIVATE_FLAG as u64;
    const REALTIME: u64 = libc::FUTEX_CLOCK_REALTIME as u64;
    const WORD: u64 = DATA + 256;
    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn errors_come_in_linux_order() {
        let mut bench = Bench::new(1);
        bench.guest.put_words(DATA, &[0, 1, 0, SECOND, u64::MAX, 0]);
        let [time, bad, negative] = [DATA, DATA + 16, DATA + 32];
        for (args, expected) in [
            ([WORD, WAIT | REALTIME, 0, time, 0, 0], Errno::ENOSYS),
            ([WORD, WAIT, 1, time, 0, 0], Errno::EAGAIN),
            ([WORD, WAIT, 0, bad, 0, 0], Errno::EINVAL),
            ([WORD, WAIT, 0, negative, 0, 0], Errno::EINVAL),
            ([8, WAIT, 0, time, 0, 0], Errno::EFAULT),
            ([8, WAIT | PRIVATE, 0, time, 0, 0], Errno::EFAULT),
            ([7, WAIT, 0, time, 0, 0], Errno::EINVAL),
            ([7, WAIT, 0, 8, 0, 0], Errno::EFAULT),
            ([7, WAIT | REALTIME, 0, 8, 0, 0], Errno::EFAULT),
            ([WORD, WAIT_BITSET, 0, time, 0, 0], Errno::EINVAL),
            ([8, WAIT_BITSET, 0, time, 0, 0], Errno::EINVAL),
            ([WORD, libc::FUTEX_FD as u64, 0, bad, 0, 0], Errno::ENOSYS),
            ([WORD, 99, 0, bad, 0, 0], Errno::ENOSYS),
            ([WORD, WAIT | 1024, 0, bad, 0, 0], Errno::ENOSYS),
            ([WORD, WAKE | REALTIME, 1, 0, 0, 0], Errno::ENOSYS),
        ] {
            assert_eq!(bench.futex(0, args), Outcome::Done(expected.as_return()), "{args:?}");
        }
    }

    #[test]
    fn a_time_out_is_relative_for_wait_and_absolute_for_wait_bitset() {
        for (operation, time, end) in [
            (WAIT, [2, 5], 2 * SECOND + 5),
            // 100 s of uptime at the start.
            (WAIT_BITSET | PRIVATE, [102, 5], 2 * SECOND + 5),
            (WAIT_BITSET | REALTIME, [946_684_802, 5], 2 * SECOND + 5),
            (WAIT_BITSET, [3, 0], 0),
        ] {
            let mut bench = Bench::new(1);
            bench.guest.put_words(DATA, &time);
            assert_eq!(bench.futex(0, [WORD, operation, 0, DATA, 0, 1]), Outcome::Park);
            assert_eq!(bench.kernel.next_event(), Some(at(end)));
            bench.kernel.advance(at(end));
            let timed_out = Outcome::Done(Errno::ETIMEDOUT.as_return());
            assert_eq!(bench.resumed_at(at(end)), [(0, timed_out)]);
            assert_eq!(bench.futex(0, [WORD, WAKE, 9, 0, 0, 0]), Outcome::Done(0));
        }
        let mut bench = Bench::new(1);
        assert_eq!(bench.futex(0, [WORD, WAIT, 0, 0, 0, 0]), Outcome::Park);
        assert_eq!(bench.kernel.next_event(), None, "for ever");
    }

    #[test]
    fn a_wait_by_the_calendar_notices_its_jumps() {
        let mut bench = Bench::new(1);
        let jumps = [ClockJump { at: at(SECOND), by_ns: 10 * SECOND as i64 }].to_vec();
        let clock = crate::ClockSettings { jumps, ..Default::default() };
        bench.kernel = Kernel::new(Config { clock, ..crate::testing::config() });
        bench.kernel.spawn(SimTime::ZERO, "program");
        bench.guest.put_words(DATA, &[946_684_809, 0]);
        let args = [WORD, WAIT_BITSET | REALTIME, 0, DATA, 0, 1];
        assert_eq!(bench.futex(0, args), Outcome::Park);
        assert_eq!(bench.kernel.next_event(), Some(at(SECOND)));
    }

    #[test]
    fn a_signal_interrupts_and_what_has_no_effect_does_not() {
        for (time, expected) in [(0, Errno::ERESTARTSYS), (DATA, Errno::EINTR)] {
            let mut bench = Bench::new(1);
            bench.guest.put_words(DATA, &[5, 0]);
            bench.guest.actions.extend([(15, 0x1234), (10, 1)]);
            assert_eq!(bench.futex(0, [WORD, WAIT, 0, time, 0, 0]), Outcome::Park);
            assert_eq!(bench.signal(0, 10), [(0, Outcome::Park)]);
            let interrupted = Outcome::Done(expected.as_return());
            assert_eq!(bench.signal(0, 15), [(0, interrupted)]);
            assert_eq!(bench.futex(0, [WORD, WAKE, 9, 0, 0, 0]), Outcome::Done(0));
            // It waits already: there is no wait.
            assert_eq!(bench.futex(0, [WORD, WAIT, 0, time, 0, 0]), interrupted);
        }
    }

    #[test]
    fn who_is_woken_is_woken_whatever_else_comes() {
        let mut bench = Bench::new(2);
        bench.guest.put_words(DATA, &[5, 0]);
        bench.guest.actions.insert(15, 0x1234);
        assert_eq!(bench.futex(0, [WORD, WAIT, 0, DATA, 0, 0]), Outcome::Park);
        let end = at(5 * SECOND);
        bench.kernel.advance(end);
        bench.queue_signal(0, 15);
        bench.guest.put_words(WORD, &[1]);
        assert_eq!(bench.futex(1, [WORD, WAKE, 1, 0, 0, 0]), Outcome::Done(1));
        assert_eq!(bench.resumed_at(end), [(0, Outcome::Done(0))]);
        assert_eq!(bench.kernel.next_event(), None);
    }
}
