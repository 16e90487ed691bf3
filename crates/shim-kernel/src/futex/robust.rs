//! What a thread leaves behind: `set_robust_list`, `get_robust_list`, and the end itself.
//!
//! Addresses in, which a thread names while it lives; words changed and waiters woken out, when it is over.
//! Always true: whatever stands in the lists is believed only as far as Linux believes it: a bad address ends the
//! walk, and it ends after [`LIST_LIMIT`] entries; a word changes only if the thread's id stands in it.

use alloc::vec::Vec;

use shim_abi::{Errno, SimTime};

use super::call::ANY_BITS;
use super::key::{Sharing, key_of};
use super::lock::{OWNER_DIED, TID_MASK, WAITERS};
use crate::context::{Answer, Context, done};
use crate::guest::{Guest, GuestAddr};
use crate::ids::VirtualTid;
use crate::kernel::Kernel;
use crate::memory::{read_u32, read_words};
use crate::task::State;

/// How many entries of a list are looked at.
const LIST_LIMIT: usize = 2048;
/// Bytes of a `struct robust_list_head`: first entry, where the word is in one, entry in progress.
const HEAD_BYTES: u64 = 24;

pub(crate) fn set_robust_list(context: &mut Context<'_>, head: GuestAddr, bytes: u64) -> Answer {
    if bytes != HEAD_BYTES {
        return Err(Errno::EINVAL);
    }
    context.thread_mut().robust_list = head;
    done(0)
}

pub(crate) fn get_robust_list(
    context: &mut Context<'_>,
    tid: i32,
    head: GuestAddr,
    bytes: GuestAddr,
) -> Answer {
    let tid = context.find_thread(tid)?;
    if !context.may_inspect(tid) {
        return Err(Errno::EPERM);
    }
    let thread = context.kernel.threads.get(&tid).ok_or(Errno::ESRCH)?;
    let list = thread.robust_list;
    context.guest.write(bytes, &HEAD_BYTES.to_le_bytes())?;
    context.guest.write(head, &list.0.to_le_bytes())?;
    done(0)
}

/// The threads `tids` of one process leave its memory, which `guest` reaches, at `now`: they end, or their
/// process begins another image. To be called while they still count as threads (not [`State::Ended`]) and only
/// for those that leave: with all of them at once if they all do.
pub(crate) fn leave(kernel: &mut Kernel, now: SimTime, tids: &[VirtualTid], guest: &mut dyn Guest) {
    // None of them can be woken any more, or be given a lock.
    for &tid in tids {
        kernel.futexes.forget(tid);
    }
    for &tid in tids {
        let Some(thread) = kernel.threads.get_mut(&tid) else { continue };
        let list = core::mem::replace(&mut thread.robust_list, GuestAddr(0));
        let clear_tid = core::mem::replace(&mut thread.clear_child_tid, GuestAddr(0));
        let pid = thread.pid;
        let space = kernel.processes.get(&pid).map_or(0, |process| process.address_space);
        let is_shared = kernel.has_others_in(space, tid);
        let mut end = End::new(kernel, now, tid, space, guest);
        if !list.is_null() {
            // A bad address ends it, and nobody is left to be told.
            let _ = end.walk(list);
        }
        end.kernel.bequeath_locks(now, tid);
        if is_shared && !clear_tid.is_null() {
            let _ = end.guest.write(clear_tid, &[0; 4]);
            end.wake_one(clear_tid);
        }
    }
}

impl Kernel {
    /// Whether a thread other than `tid` lives in an address space.
    fn has_others_in(&self, space: u32, tid: VirtualTid) -> bool {
        self.threads.iter().any(|(&other, thread)| {
            let process = self.processes.get(&thread.pid);
            other != tid
                && !matches!(thread.state, State::Ended)
                && process.is_some_and(|process| process.address_space == space)
        })
    }

    /// The memory of these threads is gone already: they wait for nothing and own nothing.
    pub(crate) fn drop_futexes(&mut self, now: SimTime, tids: &[VirtualTid]) {
        for &tid in tids {
            self.futexes.forget(tid);
            if let Some(pid) = self.process_of(tid) {
                self.futexes.forget_replacement(pid);
            }
        }
        for &tid in tids {
            self.bequeath_locks(now, tid);
        }
    }
}

/// One thread's end.
pub(super) struct End<'a> {
    kernel: &'a mut Kernel,
    now: SimTime,
    tid: VirtualTid,
    space: u32,
    guest: &'a mut dyn Guest,
    /// What was changed.
    pub(super) changes: Vec<Change>,
}

/// A word that was changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Change {
    pub(super) address: GuestAddr,
    pub(super) before: u32,
    pub(super) after: u32,
}

/// A pointer of a list, whose lowest bit says that the lock's waiters wait as for a lock with an owner.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Link {
    entry: u64,
    is_pi: bool,
}

impl Link {
    const fn of(word: u64) -> Link {
        Link { entry: word & !1, is_pi: word & 1 != 0 }
    }
}

impl<'a> End<'a> {
    /// Of `tid`, whose memory has this number and is reached by `guest`.
    pub(super) fn new(
        kernel: &'a mut Kernel,
        now: SimTime,
        tid: VirtualTid,
        space: u32,
        guest: &'a mut dyn Guest,
    ) -> End<'a> {
        End { kernel, now, tid, space, guest, changes: Vec::new() }
    }

    /// Note the end in every lock of a list.
    pub(super) fn walk(&mut self, head: GuestAddr) -> Result<(), Errno> {
        let [first, offset, pending] = read_words(self.guest, head)?;
        let pending = Link::of(pending);
        let mut link = Link::of(first);
        for _ in 0..LIST_LIMIT {
            if link.entry == head.0 {
                break;
            }
            let next = read_words(self.guest, GuestAddr(link.entry)).map(|[word]| Link::of(word));
            if link.entry != pending.entry {
                self.note(link, offset, false)?;
            }
            link = next?;
        }
        if pending.entry != 0 {
            self.note(pending, offset, true)?;
        }
        Ok(())
    }

    /// Note the end in one lock: that its owner died, if that is the thread.
    fn note(&mut self, link: Link, offset: u64, is_pending: bool) -> Result<(), Errno> {
        let address = GuestAddr(link.entry.wrapping_add(offset));
        if !address.0.is_multiple_of(4) {
            return Err(Errno::EINVAL);
        }
        let value = read_u32(self.guest, address)?;
        let owner = value & TID_MASK;
        if is_pending && !link.is_pi && owner == 0 {
            // It was about to lock or to wake; who waits cannot know.
            self.wake_one(address);
            return Ok(());
        }
        if owner != self.tid.0 {
            return Ok(());
        }
        let died = value & WAITERS | OWNER_DIED;
        self.guest.write(address, &died.to_le_bytes())?;
        self.changes.push(Change { address, before: value, after: died });
        if !link.is_pi && value & WAITERS != 0 {
            self.wake_one(address);
        }
        Ok(())
    }

    /// Wake one waiter of a word, as `FUTEX_WAKE` would.
    fn wake_one(&mut self, address: GuestAddr) {
        if let Ok(key) = key_of(self.guest, self.space, address, Sharing::Shared) {
            let _ = self.kernel.wake_key(self.now, key, 1, ANY_BITS);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::Bench;
    use super::*;
    use crate::outcome::Outcome;
    use crate::testing::DATA;
    use shim_abi::calls::nr;

    const WAIT: u64 = libc::FUTEX_WAIT as u64;
    const LOCK: u64 = libc::FUTEX_LOCK_PI as u64;
    const NOW: SimTime = SimTime::ZERO;
    const OK: Outcome = Outcome::Done(0);

    const HEAD: u64 = DATA;
    const fn entry(number: u64) -> u64 {
        DATA + 256 + number * 64
    }
    const fn word(number: u64) -> u64 {
        entry(number) - 32
    }

    impl Bench {
        /// Give thread 0 a list of these links, with one in progress.
        fn put_list(&mut self, links: &[u64], pending: u64) {
            let next = |at: usize| links.get(at).copied().unwrap_or(HEAD);
            self.guest.put_words(HEAD, &[next(0), (-32_i64) as u64, pending]);
            for (at, link) in links.iter().enumerate() {
                self.guest.put_words(link & !1, &[next(at + 1)]);
            }
            assert_eq!(self.call(0, nr::set_robust_list, [HEAD, 24, 0, 0, 0, 0]), OK);
        }
        fn leave(&mut self, threads: &[usize]) {
            let tids: std::vec::Vec<_> = threads.iter().map(|&at| self.threads[at]).collect();
            leave(&mut self.kernel, NOW, &tids, &mut self.guest);
        }
        fn value(&mut self, number: u64) -> u32 {
            self.guest.words::<1>(word(number))[0] as u32
        }
    }

    #[test]
    fn the_calls_keep_addresses() {
        let mut bench = Bench::new(2);
        let id = i64::from(bench.threads[1].0);
        assert_eq!(bench.call(1, nr::set_tid_address, [8; 6]), Outcome::Done(id));
        let failed = |errno: Errno| Outcome::Done(errno.as_return());
        let set = [DATA, 23, 0, 0, 0, 0];
        assert_eq!(bench.call(0, nr::set_robust_list, set), failed(Errno::EINVAL));
        assert_eq!(bench.call(1, nr::set_robust_list, [77, 24, 0, 0, 0, 0]), OK);
        let [head, bytes] = [DATA, DATA + 8];
        let mut get = |tid: i64, head, bytes| {
            bench.call(0, nr::get_robust_list, [tid as u64, head, bytes, 0, 0, 0])
        };
        assert_eq!(get(-1, head, bytes), failed(Errno::ESRCH));
        assert_eq!(get(999_999, 8, 8), failed(Errno::ESRCH));
        assert_eq!(get(1, 8, 8), failed(Errno::EPERM));
        assert_eq!(get(0, 8, bytes), failed(Errno::EFAULT));
        assert_eq!(get(0, head, 8), failed(Errno::EFAULT));
        assert_eq!(get(id, head, bytes), OK);
        assert_eq!(bench.guest.words::<2>(DATA), [77, 24]);
        assert_eq!(bench.call(0, nr::get_robust_list, [0, head, bytes, 0, 0, 0]), OK);
        assert_eq!(bench.guest.words::<2>(DATA), [0, 24]);
    }

    #[test]
    fn who_joins_a_thread_is_woken_when_it_is_over() {
        let mut bench = Bench::new(3);
        let id = u64::from(bench.threads[0].0);
        bench.guest.put_words(word(0), &[id]);
        bench.call(0, nr::set_tid_address, [word(0), 0, 0, 0, 0, 0]);
        assert_eq!(bench.futex(1, [word(0), WAIT, id, 0, 0, 0]), Outcome::Park);
        bench.leave(&[0]);
        assert_eq!(bench.value(0), 0);
        assert_eq!(bench.resumed(), [(1, OK)]);
        // The last thread of an address space writes nothing.
        let mut alone = Bench::new(1);
        alone.guest.put_words(word(0), &[7]);
        alone.call(0, nr::set_tid_address, [word(0), 0, 0, 0, 0, 0]);
        alone.leave(&[0]);
        assert_eq!(alone.value(0), 7);
    }

    #[test]
    fn locks_of_the_dead_say_so_and_one_waiter_of_each_is_woken() {
        let mut bench = Bench::new(4);
        let id = bench.threads[0].0;
        for (number, value) in
            [(0, WAITERS | id), (1, id), (2, WAITERS | (id + 1)), (3, WAITERS | id), (4, 0)]
        {
            bench.guest.put_words(word(number), &[value.into()]);
        }
        for (thread, number) in [(3, 0), (1, 0), (2, 4)] {
            let value = bench.value(number).into();
            assert_eq!(bench.futex(thread, [word(number), WAIT, value, 0, 0, 0]), Outcome::Park);
        }
        // The third lock's waiters wait as for one with an owner; the last is about to be locked.
        let links = [entry(0), entry(1), entry(2), entry(3) | 1];
        bench.put_list(&links, entry(4));
        bench.leave(&[0]);
        let values = [0, 1, 2, 3, 4].map(|number| bench.value(number));
        let died = WAITERS | OWNER_DIED;
        assert_eq!(values, [died, OWNER_DIED, WAITERS | (id + 1), died, 0]);
        assert_eq!(bench.resumed(), [(3, OK), (2, OK)]);
    }

    #[test]
    fn a_list_that_is_broken_or_endless_is_left() {
        let mut bench = Bench::new(1);
        let id = u64::from(bench.threads[0].0);
        let mut walk = |links: &[u64], pending| {
            for number in 0..3 {
                bench.guest.put_words(word(number), &[id]);
            }
            bench.put_list(&links[..links.len() - 1], pending);
            if let [.., last, end] = links {
                bench.guest.put_words(*last, &[*end]);
            }
            bench.leave(&[0]);
            [0, 1, 2].map(|number| bench.value(number) != id as u32)
        };
        assert_eq!(walk(&[entry(0), entry(0)], entry(2)), [true, false, true], "a circle");
        assert_eq!(walk(&[entry(0), entry(1), 8], entry(2)), [true, true, false]);
        assert_eq!(walk(&[entry(0), entry(1), entry(1) + 2], entry(2)), [true, true, false]);
        assert_eq!(walk(&[entry(0), HEAD], entry(0)), [true, false, false]);
        let mut bench = Bench::new(1);
        bench.call(0, nr::set_robust_list, [8, 24, 0, 0, 0, 0]);
        bench.leave(&[0]);
    }

    #[test]
    fn a_lock_with_an_owner_goes_to_the_first_waiter_who_writes_its_name() {
        let mut bench = Bench::new(4);
        let ids = [0, 1, 2, 3].map(|thread| bench.threads[thread].0);
        assert_eq!(bench.futex(0, [word(0), LOCK, 0, 0, 0, 0]), OK);
        assert_eq!(bench.futex(2, [word(0), LOCK, 0, 0, 0, 0]), Outcome::Park);
        assert_eq!(bench.futex(1, [word(0), LOCK, 0, 0, 0, 0]), Outcome::Park);
        bench.put_list(&[entry(0) | 1], 0);
        bench.leave(&[0]);
        assert_eq!(bench.value(0), WAITERS | OWNER_DIED);
        assert_eq!(bench.futex(3, [word(0), LOCK, 0, 0, 0, 0]), Outcome::Park, "in between");
        assert_eq!(bench.resumed(), [(2, OK)]);
        assert_eq!(bench.value(0), WAITERS | OWNER_DIED | ids[2]);
        // The next ends without having waited for its turn.
        bench.leave(&[2, 1]);
        assert_eq!(bench.resumed(), [(3, OK)]);
        assert_eq!(bench.value(0), WAITERS | OWNER_DIED | ids[3]);
        bench.kernel.drop_futexes(NOW, &[bench.threads[3]]);
        assert!(bench.kernel.futexes.locks.is_empty());
    }

    #[test]
    fn who_dies_waits_for_nothing() {
        let mut bench = Bench::new(3);
        assert_eq!(bench.futex(0, [word(0), WAIT, 0, 0, 0, 0]), Outcome::Park);
        assert_eq!(bench.futex(1, [word(0), WAIT, 0, 0, 0, 0]), Outcome::Park);
        bench.leave(&[0]);
        let wake = libc::FUTEX_WAKE as u64;
        assert_eq!(bench.futex(2, [word(0), wake, 1, 0, 0, 0]), Outcome::Done(1));
        assert_eq!(bench.resumed(), [(1, OK)]);
    }
}
