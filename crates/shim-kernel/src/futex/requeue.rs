//! Moving waiters from one word to another: `FUTEX_REQUEUE`, `FUTEX_CMP_REQUEUE`, `FUTEX_CMP_REQUEUE_PI`,
//! `futex_requeue`.
//!
//! Two words and two counts in; how many waiters were woken or moved out. Always true: the first are woken, the
//! next stand behind those who wait for the second word already. Waiters that want to be moved to a lock can be
//! moved nowhere else, and no others can be moved there.

use shim_abi::Errno;

use super::call::sharing_of;
use super::key::{Key, Sharing};
use super::lock::Attempt;
use super::queue::{End, Lock, Role};
use super::vector::Entry;
use crate::context::{Answer, Context, done};
use crate::guest::GuestAddr;
use crate::memory::read_u32;

/// Where waiters are to be taken from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Origin {
    pub(super) address: GuestAddr,
    pub(super) sharing: Sharing,
    /// What the word must hold, if that matters.
    pub(super) expected: Option<u32>,
}

/// A request to move waiters.
#[derive(Clone, Copy, Debug)]
pub(super) struct Requeue {
    pub(super) from: Origin,
    pub(super) to: (GuestAddr, Sharing),
    pub(super) wake_count: i32,
    pub(super) move_count: i32,
}

pub(crate) fn futex_requeue(
    context: &mut Context<'_>,
    words: GuestAddr,
    flags: u32,
    wake_count: i32,
    move_count: i32,
) -> Answer {
    if flags != 0 || words.is_null() {
        return Err(Errno::EINVAL);
    }
    let [from, to] = [Entry::read(context, words, 0)?, Entry::read(context, words, 1)?];
    context.requeue(Requeue {
        from: Origin {
            address: from.address,
            sharing: sharing_of(from.flags)?,
            expected: Some(from.value),
        },
        to: (to.address, sharing_of(to.flags)?),
        wake_count,
        move_count,
    })
}

impl Context<'_> {
    /// The keys of both words, if the first holds what it must.
    fn requeue_keys(&mut self, request: &Requeue, is_to_lock: bool) -> Result<[Key; 2], Errno> {
        let from = self.futex_key(request.from.address, request.from.sharing)?;
        let to = self.futex_key(request.to.0, request.to.1)?;
        if is_to_lock && from == to {
            return Err(Errno::EINVAL);
        }
        if let Some(expected) = request.from.expected
            && read_u32(self.guest, request.from.address)? != expected
        {
            return Err(Errno::EAGAIN);
        }
        Ok([from, to])
    }

    /// Wake some waiters of a word, and let some more wait for another instead.
    pub(super) fn requeue(&mut self, request: Requeue) -> Answer {
        if request.wake_count < 0 || request.move_count < 0 {
            return Err(Errno::EINVAL);
        }
        let [from, to] = self.requeue_keys(&request, false)?;
        let (wake_count, move_count) =
            (i64::from(request.wake_count), i64::from(request.move_count));
        let (mut count, mut behind) = (0, 0);
        while count - wake_count < move_count {
            let Some((place, waiter)) = self.kernel.futexes.next(from, behind) else { break };
            behind = place;
            let Role::Plain { index, .. } = waiter.role else { return Err(Errno::EINVAL) };
            count += 1;
            if count <= wake_count {
                self.kernel.end_pause(self.now, waiter.tid, End::Woken { index });
            } else if from != to {
                self.kernel.futexes.move_to((from, place), to, waiter.role);
            }
        }
        done(count)
    }

    /// Let the first waiter of a word lock another, or wait for that, and some more wait for it, too.
    pub(super) fn requeue_to_lock(&mut self, request: Requeue) -> Answer {
        if request.wake_count != 1 || request.move_count < 0 || request.from.address == request.to.0
        {
            return Err(Errno::EINVAL);
        }
        let [from, to] = self.requeue_keys(&request, true)?;
        read_u32(self.guest, request.to.0)?;
        let Some(top) = self.kernel.futexes.first(from) else { return done(0) };
        let role = Role::Moving { lock: to };
        if top.role != role {
            return Err(Errno::EINVAL);
        }
        let is_marked = request.move_count != 0;
        let mut count = 0;
        let owner = match self.attempt(request.to.0, to, top.tid, is_marked)? {
            Attempt::Contended(owner) => owner,
            Attempt::Locked => {
                self.kernel.end_pause(self.now, top.tid, End::Locked);
                count = 1;
                top.tid
            }
        };
        while count - 1 < i64::from(request.move_count) {
            let Some((place, waiter)) = self.kernel.futexes.next(from, 0) else { break };
            if waiter.role != role {
                return Err(Errno::EINVAL);
            }
            self.kernel.check_chain(waiter.tid, owner)?;
            let futexes = &mut self.kernel.futexes;
            futexes.move_to((from, place), to, Role::Locking);
            // It cannot be made again: the word has changed.
            futexes.interrupt_with(waiter.tid, Errno::EAGAIN);
            futexes.locks.entry(to).or_insert(Lock { owner, is_unwritten: false });
            count += 1;
        }
        done(count)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Bench, at};
    use super::*;
    use crate::outcome::Outcome;
    use crate::testing::DATA;
    use shim_abi::calls::nr;

    const WAIT: u64 = libc::FUTEX_WAIT as u64;
    const WAKE: u64 = libc::FUTEX_WAKE as u64;
    const REQUEUE: u64 = libc::FUTEX_REQUEUE as u64;
    const CMP_REQUEUE: u64 = libc::FUTEX_CMP_REQUEUE as u64;
    const WAIT_REQUEUE_PI: u64 = libc::FUTEX_WAIT_REQUEUE_PI as u64;
    const CMP_REQUEUE_PI: u64 = libc::FUTEX_CMP_REQUEUE_PI as u64;
    const UNLOCK: u64 = libc::FUTEX_UNLOCK_PI as u64;
    const PRIVATE: u64 = libc::FUTEX_PRIVATE_FLAG as u64;
    const A: u64 = DATA + 256;
    const B: u64 = DATA + 512;
    const OK: Outcome = Outcome::Done(0);
    const MAX: u64 = i32::MAX as u64;

    const fn failed(errno: Errno) -> Outcome {
        Outcome::Done(errno.as_return())
    }

    #[test]
    fn the_first_are_woken_and_the_next_stand_behind_who_waits_there() {
        let mut bench = Bench::new(6);
        assert_eq!(bench.futex(4, [B, WAIT, 0, 0, 0, 0]), Outcome::Park);
        for thread in [3, 2, 1, 0] {
            assert_eq!(bench.futex(thread, [A, WAIT, 0, 0, 0, 0]), Outcome::Park);
        }
        assert_eq!(bench.futex(5, [A, REQUEUE, 0, 0, B, 0]), OK);
        assert_eq!(bench.futex(5, [A, CMP_REQUEUE, 1, 2, B, 1]), failed(Errno::EAGAIN));
        assert_eq!(bench.futex(5, [A, CMP_REQUEUE, 1, 2, B, 0]), Outcome::Done(3));
        assert_eq!(bench.resumed(), [(3, OK)]);
        assert_eq!(bench.futex(5, [A, REQUEUE, 0, MAX, A, 0]), Outcome::Done(1), "to itself");
        assert_eq!(bench.futex(5, [A, WAKE, MAX, 0, 0, 0]), Outcome::Done(1));
        assert_eq!(bench.resumed(), [(0, OK)]);
        assert_eq!(bench.futex(5, [B, REQUEUE, MAX, MAX, A, 0]), Outcome::Done(3));
        assert_eq!(bench.resumed(), [(4, OK), (2, OK), (1, OK)]);
    }

    #[test]
    fn errors_come_in_linux_order() {
        let mut bench = Bench::new(1);
        const NONE: u64 = u32::MAX as u64;
        for (args, expected) in [
            ([A, CMP_REQUEUE, NONE, 0, B, 0], Errno::EINVAL),
            ([A, CMP_REQUEUE, 0, NONE, B, 0], Errno::EINVAL),
            ([A, CMP_REQUEUE, 0, 0, B, 5], Errno::EAGAIN),
            ([A, CMP_REQUEUE, 0, 0, 8, 5], Errno::EFAULT),
            ([A, CMP_REQUEUE | PRIVATE, 0, 0, 8, 5], Errno::EAGAIN),
            ([A, CMP_REQUEUE | PRIVATE, 0, 0, 9, 5], Errno::EINVAL),
            ([A, CMP_REQUEUE_PI, 1, 0, A, 0], Errno::EINVAL),
            ([A, CMP_REQUEUE_PI, 2, 0, B, 0], Errno::EINVAL),
            ([A, CMP_REQUEUE_PI, 1, 0, B, 1], Errno::EAGAIN),
            ([A, CMP_REQUEUE_PI | PRIVATE, 1, 0, 8, 0], Errno::EFAULT),
            ([A, WAIT_REQUEUE_PI, 0, 0, A, 0], Errno::EINVAL),
            ([A, WAIT_REQUEUE_PI, 1, 0, B, 0], Errno::EAGAIN),
            ([A, WAIT_REQUEUE_PI, 1, 0, 8, 0], Errno::EFAULT),
        ] {
            assert_eq!(bench.futex(0, args), failed(expected), "{args:x?}");
        }
        assert_eq!(bench.futex(0, [A, CMP_REQUEUE_PI, 1, 0, B, 0]), OK);
    }

    #[test]
    fn the_newer_call_moves_with_two_manners() {
        let mut bench = Bench::new(2);
        let mut call = |words, flags, counts: [u64; 2]| {
            let args = [words, flags, counts[0], counts[1], 0, 0];
            bench.kernel.do_call(bench.threads[1], nr::futex_requeue, args, &mut bench.guest)
        };
        let invalid = Errno::EINVAL.as_return();
        assert_eq!(call(DATA, 1, [0, 0]), invalid);
        assert_eq!(call(0, 0, [0, 0]), invalid);
        assert_eq!(call(8, 0, [0, 0]), Errno::EFAULT.as_return());
        assert_eq!(call(DATA, 0, [0, 0]), invalid, "no sizes");
        bench.guest.put_words(DATA, &[0, A, 2, 0, B, 2 | PRIVATE]);
        assert_eq!(bench.futex(0, [A, WAIT, 0, 0, 0, 0]), Outcome::Park);
        let args = [DATA, 0, 0, 1, 0, 0];
        let moved =
            bench.kernel.do_call(bench.threads[1], nr::futex_requeue, args, &mut bench.guest);
        assert_eq!(moved, 1);
        assert_eq!(bench.futex(1, [B, WAKE, 1, 0, 0, 0]), OK);
        assert_eq!(bench.futex(1, [B, WAKE | PRIVATE, 1, 0, 0, 0]), Outcome::Done(1));
    }

    #[test]
    fn waiters_are_moved_to_a_lock_and_own_it_one_after_the_other() {
        let mut bench = Bench::new(4);
        let ids = [0, 1, 2, 3].map(|thread| u64::from(bench.threads[thread].0));
        const MARK: u64 = 1 << 31;
        for thread in [2, 1, 0] {
            assert_eq!(bench.futex(thread, [A, WAIT_REQUEUE_PI, 0, 0, B, 0]), Outcome::Park);
        }
        assert_eq!(bench.futex(3, [A, WAKE, 1, 0, 0, 0]), failed(Errno::EINVAL));
        assert_eq!(bench.futex(3, [A, REQUEUE, 1, 1, B, 0]), failed(Errno::EINVAL));
        let elsewhere = [A, CMP_REQUEUE_PI, 1, 0, B + 8, 0];
        assert_eq!(bench.futex(3, elsewhere), failed(Errno::EINVAL));
        // The lock is free: the first owns it, one more waits for it.
        assert_eq!(bench.futex(3, [A, CMP_REQUEUE_PI, 1, 1, B, 0]), Outcome::Done(2));
        assert_eq!(bench.guest.words::<1>(B), [MARK | ids[2]]);
        assert_eq!(bench.resumed(), [(2, OK)]);
        assert_eq!(bench.futex(3, [A, CMP_REQUEUE_PI, 1, 0, B, 0]), Outcome::Done(1));
        assert_eq!(bench.resumed(), []);
        assert_eq!(bench.futex(2, [B, UNLOCK, 0, 0, 0, 0]), OK);
        assert_eq!(bench.guest.words::<1>(B), [MARK | ids[1]]);
        assert_eq!(bench.resumed(), [(1, OK)]);
        assert_eq!(bench.futex(1, [B, UNLOCK, 0, 0, 0, 0]), OK);
        assert_eq!(bench.resumed(), [(0, OK)]);
        assert_eq!(bench.futex(0, [B, UNLOCK, 0, 0, 0, 0]), OK);
        assert_eq!(bench.guest.words::<1>(B), [0]);
    }

    #[test]
    fn before_and_after_the_move_signals_and_time_outs_end_the_wait() {
        for is_moved in [false, true] {
            let mut bench = Bench::new(3);
            bench.guest.put_words(DATA, &[105, 0]);
            bench.guest.put_words(B, &[u64::from(bench.threads[2].0)]);
            bench.guest.actions.insert(15, 0x1234);
            for thread in [0, 1] {
                let args = [A, WAIT_REQUEUE_PI, 0, DATA, B, 0];
                assert_eq!(bench.futex(thread, args), Outcome::Park);
            }
            if is_moved {
                let moved = bench.futex(2, [A, CMP_REQUEUE_PI, 1, MAX, B, 0]);
                assert_eq!(moved, Outcome::Done(2));
            }
            let expected = if is_moved { Errno::EAGAIN } else { Errno::ERESTARTNOINTR };
            assert_eq!(bench.signal(0, 15), [(0, failed(expected))]);
            let end = at(5_000_000_000);
            bench.kernel.advance(end);
            assert_eq!(bench.resumed_at(end), [(1, failed(Errno::ETIMEDOUT))]);
            assert!(bench.kernel.futexes.locks.is_empty());
        }
    }

    #[test]
    fn the_owner_of_the_lock_is_not_moved_to_it() {
        let mut bench = Bench::new(2);
        bench.guest.put_words(B, &[u64::from(bench.threads[0].0)]);
        assert_eq!(bench.futex(0, [A, WAIT_REQUEUE_PI, 0, 0, B, 0]), Outcome::Park);
        let moved = bench.futex(1, [A, CMP_REQUEUE_PI, 1, MAX, B, 0]);
        assert_eq!(moved, failed(Errno::EDEADLK));
    }
}
