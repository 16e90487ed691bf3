//! What one epoll instance watches, and what of it may be ready.
//!
//! Entries in, keys in the order of Linux's ready list out. Always true: an entry has a place exactly while it is on
//! the list, and places grow: who is put on it comes last. Asking files whether they are ready is not here.

use alloc::collections::BTreeMap;

use crate::file::table::FileId;

/// Bits of `events` that are not readiness.
pub(super) mod event {
    use crate::file::readiness::poll;

    pub(crate) const EXCLUSIVE: u32 = 1 << 28;
    pub(crate) const WAKE_UP: u32 = 1 << 29;
    pub(crate) const ONE_SHOT: u32 = 1 << 30;
    pub(crate) const EDGE: u32 = 1 << 31;
    /// All of them.
    pub(crate) const PRIVATE: u32 = EXCLUSIVE | WAKE_UP | ONE_SHOT | EDGE;
    /// What EPOLLEXCLUSIVE may be combined with.
    pub(crate) const WITH_EXCLUSIVE: u32 =
        poll::IN | poll::OUT | poll::ERR | poll::HUP | EXCLUSIVE | WAKE_UP | EDGE;
}

/// Which entry: a file and the number under which it was added; no file: a stream of the real kernel's.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Key {
    pub(super) file: Option<FileId>,
    pub(super) fd: u32,
}

/// One thing that is watched.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) events: u32,
    pub(super) data: u64,
    /// What a stream is ready for.
    pub(super) stream_bits: u32,
    /// Its place on the ready list.
    place: Option<u64>,
}

impl Entry {
    pub(super) fn new(events: u32, data: u64, stream_bits: u32) -> Entry {
        Entry { events, data, stream_bits, place: None }
    }
    /// Whether it has fired and waits to be changed.
    pub(super) fn is_disabled(&self) -> bool {
        self.events & !event::PRIVATE == 0
    }
}

/// An instance.
#[derive(Debug, Default)]
pub(crate) struct Epoll {
    entries: BTreeMap<Key, Entry>,
    ready: BTreeMap<u64, Key>,
    last_place: u64,
}

impl Epoll {
    pub(super) fn get(&self, key: Key) -> Option<Entry> {
        self.entries.get(&key).copied()
    }
    /// All that is watched.
    pub(super) fn keys(&self) -> impl Iterator<Item = Key> {
        self.entries.keys().copied()
    }
    pub(super) fn insert(&mut self, key: Key, entry: Entry) {
        self.entries.insert(key, entry);
    }
    pub(super) fn remove(&mut self, key: Key) {
        self.delist(key);
        self.entries.remove(&key);
    }
    /// Another interest in what is watched already. Its place stays.
    pub(super) fn change(&mut self, key: Key, new: Entry) {
        if let Some(entry) = self.entries.get_mut(&key) {
            (entry.events, entry.data, entry.stream_bits) = (new.events, new.data, new.stream_bits);
        }
    }
    /// Put an entry on the ready list; whether it was not there.
    pub(super) fn enlist(&mut self, key: Key) -> bool {
        let Some(entry) = self.entries.get_mut(&key) else { return false };
        if entry.place.is_some() {
            return false;
        }
        self.last_place += 1;
        entry.place = Some(self.last_place);
        self.ready.insert(self.last_place, key);
        true
    }
    /// Take an entry off the ready list.
    pub(super) fn delist(&mut self, key: Key) {
        let entry = self.entries.get_mut(&key);
        if let Some(place) = entry.and_then(|entry| entry.place.take()) {
            self.ready.remove(&place);
        }
    }
    /// The first entry on the ready list behind a place.
    pub(super) fn next_ready(&self, after: Option<u64>) -> Option<(u64, Key)> {
        let from = after.map_or(0, |place| place + 1);
        self.ready.range(from..).next().map(|(&place, &key)| (place, key))
    }
    /// The event of an entry has been fetched: level-triggered ones go to the end of the list.
    pub(super) fn fetched(&mut self, key: Key) {
        self.delist(key);
        let Some(entry) = self.entries.get_mut(&key) else { return };
        if entry.events & event::ONE_SHOT != 0 {
            entry.events &= event::PRIVATE;
        } else if entry.events & event::EDGE == 0 {
            self.enlist(key);
        }
    }
}

#[cfg(test)]
impl Epoll {
    /// The ready list and the entries agree.
    pub(super) fn check(&self) {
        let places = self.entries.iter().filter_map(|(&key, entry)| Some((entry.place?, key)));
        assert_eq!(places.collect::<BTreeMap<_, _>>(), self.ready);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    fn key(fd: u32) -> Key {
        Key { file: Some(FileId(1)), fd }
    }

    #[test]
    fn the_ready_list_turns() {
        let mut epoll = Epoll::default();
        for (fd, events) in [(1, 1), (2, 1 | event::EDGE), (3, 1 | event::ONE_SHOT), (4, 1)] {
            epoll.insert(key(fd), Entry::new(events, 0, 0));
        }
        for fd in [3, 1, 4, 2] {
            assert!(epoll.enlist(key(fd)) && !epoll.enlist(key(fd)));
        }
        let order = |epoll: &Epoll| epoll.ready.values().map(|key| key.fd).collect::<Vec<_>>();
        assert_eq!(order(&epoll), [3, 1, 4, 2]);
        for fd in [3, 1, 2] {
            epoll.fetched(key(fd));
        }
        assert_eq!(order(&epoll), [4, 1], "level-triggered ones stay");
        assert!(
            epoll.get(key(3)).unwrap().is_disabled() && !epoll.get(key(2)).unwrap().is_disabled()
        );
        epoll.remove(key(4));
        assert_eq!(epoll.next_ready(None).map(|(_, key)| key.fd), Some(1));
    }
}
