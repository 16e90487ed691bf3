//! Locks that know their owner: `FUTEX_LOCK_PI`, `FUTEX_LOCK_PI2`, `FUTEX_TRYLOCK_PI`, `FUTEX_UNLOCK_PI`.
//!
//! The address of a word in, which holds the owner's thread id and two bits; the lock, or a parked call, out.
//! Always true: while threads wait for a lock it is known here who owns it, and a word that says something else
//! is EINVAL; it goes from its owner to the first waiter, never free in between. Nobody's priority changes.
//!
//! Who gets the lock of a thread that died writes the word itself, when it goes on: only then is its memory at
//! hand.

use shim_abi::{Errno, SimTime};

use super::key::{Key, Sharing};
use super::queue::{End, Lock, Role};
use crate::context::{Answer, Context, done};
use crate::guest::GuestAddr;
use crate::ids::VirtualTid;
use crate::kernel::Kernel;
use crate::memory::read_u32;
use crate::task::State;

pub(super) const WAITERS: u32 = libc::FUTEX_WAITERS;
pub(super) const OWNER_DIED: u32 = libc::FUTEX_OWNER_DIED;
pub(super) const TID_MASK: u32 = libc::FUTEX_TID_MASK;

/// How long a chain of owners may be that wait for each other's locks.
const MAX_CHAIN: usize = 1024;

/// What came of trying to lock a word.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Attempt {
    Locked,
    /// This thread owns it; the word says that somebody waits.
    Contended(VirtualTid),
}

impl Context<'_> {
    /// Lock the word at `address`, or wait until it can be locked.
    pub(super) fn lock(
        &mut self,
        address: GuestAddr,
        sharing: Sharing,
        deadline: Option<SimTime>,
    ) -> Answer {
        let key = self.futex_key(address, sharing)?;
        let owner = match self.attempt(address, key, self.tid, false)? {
            Attempt::Locked => return done(0),
            Attempt::Contended(owner) => owner,
        };
        self.kernel.check_chain(self.tid, owner)?;
        let futexes = &mut self.kernel.futexes;
        futexes.begin(self.tid, Errno::ERESTARTNOINTR, address);
        futexes.add(self.tid, key, Role::Locking);
        futexes.locks.entry(key).or_insert(Lock { owner, is_unwritten: false });
        self.pause_until(deadline)
    }

    /// Lock the word at `address` if nobody has.
    pub(super) fn try_lock(&mut self, address: GuestAddr, sharing: Sharing) -> Answer {
        let key = self.futex_key(address, sharing)?;
        match self.attempt(address, key, self.tid, false)? {
            Attempt::Locked => done(0),
            Attempt::Contended(_) => Err(Errno::EAGAIN),
        }
    }

    /// Give the lock at `address` to the first waiter, or to nobody.
    pub(super) fn unlock(&mut self, address: GuestAddr, sharing: Sharing) -> Answer {
        let value = read_u32(self.guest, address)?;
        if value & TID_MASK != self.tid.0 {
            return Err(Errno::EPERM);
        }
        let key = self.futex_key(address, sharing)?;
        let Some(heir) = self.kernel.futexes.first(key) else {
            self.write_word(address, 0)?;
            return done(0);
        };
        let lock = self.kernel.futexes.locks.get(&key);
        if heir.role != Role::Locking || lock.is_none_or(|lock| lock.owner != self.tid) {
            return Err(Errno::EINVAL);
        }
        self.write_word(address, WAITERS | heir.tid.0)?;
        let lock = Lock { owner: heir.tid, is_unwritten: false };
        self.kernel.futexes.locks.insert(key, lock);
        self.kernel.end_pause(self.now, heir.tid, End::Locked);
        done(0)
    }

    /// Lock the word for `tid`, if nobody has; then `is_marked` says whether others are about to wait.
    pub(super) fn attempt(
        &mut self,
        address: GuestAddr,
        key: Key,
        tid: VirtualTid,
        is_marked: bool,
    ) -> Result<Attempt, Errno> {
        let value = read_u32(self.guest, address)?;
        let owner = value & TID_MASK;
        if owner == tid.0 {
            return Err(Errno::EDEADLK);
        }
        if self.kernel.futexes.first(key).is_some_and(|waiter| waiter.role != Role::Locking) {
            return Err(Errno::EINVAL);
        }
        if let Some(lock) = self.kernel.futexes.locks.get(&key) {
            let is_orphan = value & OWNER_DIED != 0 && owner == 0;
            let is_consistent = lock.is_unwritten || is_orphan || owner == lock.owner.0;
            return if is_consistent {
                Ok(Attempt::Contended(lock.owner))
            } else {
                Err(Errno::EINVAL)
            };
        }
        if owner == 0 {
            let mark = if is_marked { WAITERS } else { 0 };
            self.write_word(address, value & OWNER_DIED | mark | tid.0)?;
            return Ok(Attempt::Locked);
        }
        self.write_word(address, value | WAITERS)?;
        let owner = VirtualTid(owner);
        match self.kernel.threads.get(&owner) {
            Some(thread) if !matches!(thread.state, State::Ended) => Ok(Attempt::Contended(owner)),
            _ => Err(Errno::ESRCH),
        }
    }

    /// The caller has inherited the lock at `address` from a dead thread: write its name on it.
    pub(super) fn write_inherited(&mut self, address: GuestAddr, key: Key) -> Answer {
        if let Some(lock) = self.kernel.futexes.locks.get_mut(&key) {
            lock.is_unwritten = false;
        }
        self.kernel.futexes.drop_idle_lock(key);
        self.write_word(address, WAITERS | OWNER_DIED | self.tid.0)?;
        done(0)
    }

    pub(super) fn write_word(&mut self, address: GuestAddr, value: u32) -> Result<(), Errno> {
        self.guest.write(address, &value.to_le_bytes())
    }
}

impl Kernel {
    /// EDEADLK if `owner`, for whom `tid` is about to wait, waits for `tid`, directly or not.
    pub(super) fn check_chain(&self, tid: VirtualTid, owner: VirtualTid) -> Result<(), Errno> {
        let mut next = owner;
        for _ in 0..MAX_CHAIN {
            if next == tid {
                break;
            }
            match self.futexes.wanted_lock(next) {
                Some(lock) => next = lock.owner,
                None => return Ok(()),
            }
        }
        Err(Errno::EDEADLK)
    }

    /// Hand on the locks of a thread that is over.
    pub(super) fn bequeath_locks(&mut self, now: SimTime, tid: VirtualTid) {
        let locks = self.futexes.locks.iter();
        let owned = locks.filter(|(_, lock)| lock.owner == tid).map(|(&key, _)| key);
        for key in owned.collect::<alloc::vec::Vec<_>>() {
            let Some(heir) = self.futexes.first(key) else {
                self.futexes.locks.remove(&key);
                continue;
            };
            let lock = Lock { owner: heir.tid, is_unwritten: true };
            self.futexes.locks.insert(key, lock);
            self.end_pause(now, heir.tid, End::Inherited { key });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Bench, at};
    use super::*;
    use crate::outcome::Outcome;
    use crate::testing::DATA;

    const LOCK: u64 = libc::FUTEX_LOCK_PI as u64;
    const LOCK2: u64 = 13;
    const TRY: u64 = libc::FUTEX_TRYLOCK_PI as u64;
    const UNLOCK: u64 = libc::FUTEX_UNLOCK_PI as u64;
    const REALTIME: u64 = libc::FUTEX_CLOCK_REALTIME as u64;
    const PRIVATE: u64 = libc::FUTEX_PRIVATE_FLAG as u64;
    const A: u64 = DATA + 256;
    const B: u64 = DATA + 512;
    const OK: Outcome = Outcome::Done(0);

    const fn failed(errno: Errno) -> Outcome {
        Outcome::Done(errno.as_return())
    }

    impl Bench {
        fn op(&mut self, thread: usize, operation: u64, word: u64) -> Outcome {
            self.futex(thread, [word, operation, 0, 0, 0, 0])
        }
        fn word(&mut self, at: u64) -> u32 {
            self.guest.words::<1>(at)[0] as u32
        }
        fn id(&self, thread: usize) -> u32 {
            self.threads[thread].0
        }
    }

    #[test]
    fn a_lock_goes_from_its_owner_to_the_first_waiter() {
        let mut bench = Bench::new(3);
        let ids = [0, 1, 2].map(|thread| bench.id(thread));
        assert_eq!(bench.op(0, LOCK, A), OK);
        assert_eq!(bench.word(A), ids[0]);
        assert_eq!(bench.op(2, LOCK, A), Outcome::Park);
        assert_eq!(bench.op(1, LOCK2, A), Outcome::Park);
        assert_eq!(bench.word(A), WAITERS | ids[0]);
        assert_eq!(bench.op(0, UNLOCK, A), OK);
        assert_eq!(bench.word(A), WAITERS | ids[2]);
        assert_eq!(bench.op(0, TRY, A), failed(Errno::EAGAIN));
        assert_eq!(bench.resumed(), [(2, OK)]);
        assert_eq!(bench.op(0, UNLOCK, A), failed(Errno::EPERM));
        assert_eq!(bench.op(2, UNLOCK, A), OK);
        assert_eq!(bench.resumed(), [(1, OK)]);
        assert_eq!(bench.op(1, UNLOCK, A), OK);
        assert_eq!(bench.word(A), 0);
        assert!(bench.kernel.futexes.locks.is_empty());
    }

    #[test]
    fn errors_are_those_of_linux() {
        let mut bench = Bench::new(2);
        let id = bench.id(0);
        let mut call = |word: u32, address, operation| {
            bench.guest.put_words(A, &[word.into()]);
            let outcome = bench.op(0, operation, address);
            (outcome, bench.word(A))
        };
        for operation in [LOCK, TRY, LOCK2] {
            assert_eq!(call(0, A, operation), (OK, id));
            assert_eq!(call(id, A, operation), (failed(Errno::EDEADLK), id));
            assert_eq!(call(999_999, A, operation), (failed(Errno::ESRCH), WAITERS | 999_999));
            assert_eq!(call(OWNER_DIED, A, operation), (OK, OWNER_DIED | id));
            assert_eq!(call(WAITERS, A, operation), (OK, id));
            assert_eq!(call(0, 8, operation | PRIVATE), (failed(Errno::EFAULT), 0));
            assert_eq!(call(0, A + 1, operation), (failed(Errno::EINVAL), 0));
        }
        assert_eq!(call(1, A, TRY), (failed(Errno::EAGAIN), WAITERS | 1));
        assert_eq!(call(0, A, LOCK | REALTIME), (failed(Errno::ENOSYS), 0));
        assert_eq!(call(0, A, LOCK2 | REALTIME), (OK, id));
        assert_eq!(call(0, A, UNLOCK), (failed(Errno::EPERM), 0));
        assert_eq!(call(WAITERS | OWNER_DIED | id, A, UNLOCK), (OK, 0));
        assert_eq!(call(id << 8, A + 1, UNLOCK), (failed(Errno::EINVAL), id << 8));
        assert_eq!(call(0, 9, UNLOCK), (failed(Errno::EFAULT), 0));
    }

    #[test]
    fn what_is_no_lock_or_belongs_to_somebody_else_is_inconsistent() {
        let mut bench = Bench::new(3);
        let ids = [0, 1].map(|thread| u64::from(bench.id(thread)));
        bench.op(2, libc::FUTEX_WAIT as u64, A);
        bench.guest.put_words(A, &[ids[0]]);
        assert_eq!(bench.op(1, LOCK, A), failed(Errno::EINVAL), "somebody waits for a wake");
        assert_eq!(bench.op(0, UNLOCK, A), failed(Errno::EINVAL));
        bench.guest.put_words(B, &[ids[0]]);
        assert_eq!(bench.op(1, LOCK, B), Outcome::Park);
        assert_eq!(bench.op(0, libc::FUTEX_WAKE as u64, B), failed(Errno::EINVAL));
        bench.guest.put_words(B, &[ids[1]]);
        assert_eq!(bench.op(0, LOCK, B), failed(Errno::EINVAL), "it is another's");
    }

    #[test]
    fn waiting_in_a_circle_is_refused() {
        let mut bench = Bench::new(3);
        const C: u64 = DATA + 768;
        for (thread, word) in [(0, A), (1, B), (2, C)] {
            assert_eq!(bench.op(thread, LOCK, word), OK);
        }
        assert_eq!(bench.op(0, LOCK, B), Outcome::Park);
        assert_eq!(bench.op(1, LOCK, C), Outcome::Park);
        assert_eq!(bench.op(2, LOCK, A), failed(Errno::EDEADLK));
        assert_eq!(bench.op(2, UNLOCK, C), OK);
        assert_eq!(bench.resumed(), [(1, OK)]);
    }

    #[test]
    fn a_wait_for_a_lock_times_out_by_the_calendar_and_is_made_again_after_a_signal() {
        let mut bench = Bench::new(2);
        bench.op(0, LOCK, A);
        bench.guest.put_words(DATA, &[946_684_803, 0]);
        bench.guest.actions.insert(15, 0x1234);
        assert_eq!(bench.futex(1, [A, LOCK, 0, DATA, 0, 0]), Outcome::Park);
        assert_eq!(bench.signal(1, 15), [(1, failed(Errno::ERESTARTNOINTR))]);
        bench.kernel.take_signal(SimTime::ZERO, bench.threads[1], &mut bench.guest);
        assert!(bench.kernel.futexes.locks.is_empty());
        assert_eq!(bench.futex(1, [A, LOCK, 0, DATA, 0, 0]), Outcome::Park);
        let end = at(3_000_000_000);
        assert_eq!(bench.kernel.next_event(), Some(end));
        bench.kernel.advance(end);
        assert_eq!(bench.resumed_at(end), [(1, failed(Errno::ETIMEDOUT))]);
        assert_eq!(bench.op(0, UNLOCK, A), OK);
        assert_eq!(bench.word(A), 0);
    }
}
