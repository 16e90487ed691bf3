//! Who waits for which word, in the order in which they came.
//!
//! Threads and keys in, the next waiter out. Always true: a thread has a [`Pause`] here from the moment at which
//! its call begins to wait until it returns; it stands in the queues of its words until something has ended the
//! pause, which then is recorded. What waiting means is in `wait` and `lock`.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use shim_abi::Errno;

use super::key::Key;
use super::robust::Change;
use crate::guest::GuestAddr;
use crate::ids::{VirtualPid, VirtualTid};

/// One thread in the queue of one word.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Waiter {
    pub(super) tid: VirtualTid,
    pub(super) role: Role,
}

/// What a waiter waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Role {
    /// To be woken by somebody whose set meets this one. `index`: which of its words it is.
    Plain { bits: u32, index: u32 },
    /// To be moved to the lock with this key.
    Moving { lock: Key },
    /// To own the lock.
    Locking,
}

/// How a pause ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum End {
    /// Somebody woke it at its word of this index.
    Woken { index: u32 },
    /// It owns the lock.
    Locked,
    /// It owns the lock, whose last owner is dead and has not said so in the word.
    Inherited { key: Key },
}

/// A call that waits.
#[derive(Debug)]
pub(super) struct Pause {
    /// Where it stands, as long as nothing ended it.
    places: Vec<(Key, u64)>,
    /// What a signal makes of it.
    pub(super) on_signal: Errno,
    /// The word of the lock that it wants, if it wants one.
    pub(super) lock: GuestAddr,
    pub(super) end: Option<End>,
}

/// A lock that threads wait for, or that its owner has yet to write its name on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Lock {
    pub(super) owner: VirtualTid,
    /// The owner has inherited it and has not written the word yet.
    pub(super) is_unwritten: bool,
}

/// All waiters of a host.
#[derive(Debug, Default)]
pub(crate) struct Futexes {
    waiters: BTreeMap<(Key, u64), Waiter>,
    pauses: BTreeMap<VirtualTid, Pause>,
    pub(super) locks: BTreeMap<Key, Lock>,
    /// What processes that are about to be replaced have changed, to be taken back if they are not.
    pub(super) replacing: BTreeMap<VirtualPid, Vec<Change>>,
    /// The last place that was given.
    last_place: u64,
}

impl Futexes {
    /// A call of `tid` begins to wait.
    pub(super) fn begin(&mut self, tid: VirtualTid, on_signal: Errno, lock: GuestAddr) {
        self.forget(tid);
        self.pauses.insert(tid, Pause { places: Vec::new(), on_signal, lock, end: None });
    }

    /// Let `tid`, whose call has begun to wait, stand behind all others that wait for `key`.
    pub(super) fn add(&mut self, tid: VirtualTid, key: Key, role: Role) {
        let Some(pause) = self.pauses.get_mut(&tid) else { return };
        self.last_place += 1;
        pause.places.push((key, self.last_place));
        self.waiters.insert((key, self.last_place), Waiter { tid, role });
    }

    /// The first that waits for `key` behind a place, and its own place. Places are numbered from 1.
    pub(super) fn next(&self, key: Key, behind: u64) -> Option<(u64, Waiter)> {
        let mut rest = self.waiters.range((key, behind + 1)..=(key, u64::MAX));
        rest.next().map(|(&(_, place), &waiter)| (place, waiter))
    }

    /// The first that waits for `key`.
    pub(super) fn first(&self, key: Key) -> Option<Waiter> {
        self.next(key, 0).map(|(_, waiter)| waiter)
    }

    /// The lock that `tid` waits to own.
    pub(super) fn wanted_lock(&self, tid: VirtualTid) -> Option<&Lock> {
        let &place = self.pauses.get(&tid)?.places.first()?;
        let waiter = self.waiters.get(&place)?;
        if waiter.role == Role::Locking { self.locks.get(&place.0) } else { None }
    }

    /// `tid` stands nowhere any more.
    fn leave_queues(&mut self, tid: VirtualTid) {
        let places = self.pauses.get_mut(&tid).map(|pause| core::mem::take(&mut pause.places));
        for place in places.unwrap_or_default() {
            self.waiters.remove(&place);
            self.drop_idle_lock(place.0);
        }
    }

    /// A lock that nobody waits for is the word alone.
    pub(super) fn drop_idle_lock(&mut self, key: Key) {
        if self.first(key).is_none() && self.locks.get(&key).is_some_and(|lock| !lock.is_unwritten)
        {
            self.locks.remove(&key);
        }
    }

    /// Move who stands at `from` to the end of another queue, where it waits for something else.
    pub(super) fn move_to(&mut self, from: (Key, u64), key: Key, role: Role) {
        let Some(Waiter { tid, .. }) = self.waiters.remove(&from) else { return };
        self.last_place += 1;
        let to = (key, self.last_place);
        self.waiters.insert(to, Waiter { tid, role });
        let Some(pause) = self.pauses.get_mut(&tid) else { return };
        for place in pause.places.iter_mut().filter(|place| **place == from) {
            *place = to;
        }
    }

    /// From now on a signal makes this of the pause of `tid`.
    pub(super) fn interrupt_with(&mut self, tid: VirtualTid, on_signal: Errno) {
        if let Some(pause) = self.pauses.get_mut(&tid) {
            pause.on_signal = on_signal;
        }
    }

    /// The pause of `tid` is over, which has yet to notice.
    pub(super) fn end(&mut self, tid: VirtualTid, end: End) {
        self.leave_queues(tid);
        if let Some(pause) = self.pauses.get_mut(&tid) {
            pause.end = Some(end);
        }
    }

    /// A process has another image, or has ended.
    pub(super) fn forget_replacement(&mut self, pid: VirtualPid) {
        self.replacing.remove(&pid);
    }

    /// The pause of `tid`.
    pub(super) fn pause(&self, tid: VirtualTid) -> Option<&Pause> {
        self.pauses.get(&tid)
    }

    /// The call of `tid` waits no more.
    pub(crate) fn forget(&mut self, tid: VirtualTid) {
        self.leave_queues(tid);
        self.pauses.remove(&tid);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn key(address: u64) -> Key {
        Key::Private { space: 1, address }
    }
    const fn plain(index: u32) -> Role {
        Role::Plain { bits: u32::MAX, index }
    }

    #[test]
    fn a_queue_is_in_order_and_a_pause_ends_in_all_its_queues() {
        let mut futexes = Futexes::default();
        let [a, b, c] = [3, 1, 2].map(VirtualTid);
        for tid in [a, b, c] {
            futexes.begin(tid, Errno::EINTR, GuestAddr(0));
            futexes.add(tid, key(8), plain(0));
        }
        futexes.add(a, key(4), plain(1));
        let queue = |futexes: &Futexes, address| {
            let mut place = 0;
            let next = || {
                let (at, waiter) = futexes.next(key(address), place)?;
                place = at;
                Some(waiter.tid)
            };
            core::iter::from_fn(next).collect::<Vec<_>>()
        };
        assert_eq!(queue(&futexes, 8), [a, b, c]);
        let (place, _) = futexes.next(key(8), 1).unwrap();
        futexes.move_to((key(8), place), key(8), plain(0));
        futexes.interrupt_with(b, Errno::EAGAIN);
        assert_eq!(queue(&futexes, 8), [a, c, b]);
        assert_eq!(futexes.pause(b).unwrap().on_signal, Errno::EAGAIN);
        futexes.end(a, End::Woken { index: 1 });
        assert_eq!((queue(&futexes, 8), queue(&futexes, 4)), ([c, b].to_vec(), [].to_vec()));
        assert_eq!(futexes.pause(a).unwrap().end, Some(End::Woken { index: 1 }));
        futexes.forget(c);
        futexes.forget(a);
        assert_eq!(queue(&futexes, 8), [b]);
        assert!(futexes.pause(a).is_none() && futexes.waiters.len() == 1);
    }

    #[test]
    fn a_lock_is_known_as_long_as_somebody_waits_for_it_or_has_to_write_it() {
        let mut futexes = Futexes::default();
        let [owner, tid] = [1, 2].map(VirtualTid);
        futexes.begin(tid, Errno::EINTR, GuestAddr(8));
        futexes.add(tid, key(8), Role::Locking);
        futexes.locks.insert(key(8), Lock { owner, is_unwritten: false });
        assert_eq!(futexes.wanted_lock(tid).unwrap().owner, owner);
        assert_eq!(futexes.wanted_lock(owner), None);
        futexes.forget(tid);
        assert!(futexes.locks.is_empty());
        futexes.locks.insert(key(8), Lock { owner: tid, is_unwritten: true });
        futexes.drop_idle_lock(key(8));
        assert_eq!(futexes.locks.len(), 1);
    }
}
