//! How a change of a file reaches the instances that watch it.
//!
//! A file and bits in, entries on ready lists and threads that look out. Always true: a file knows who watches it,
//! and an instance what it watches; the two agree. Later watchers come first, as in Linux's queues, and of those that
//! share an event (EPOLLEXCLUSIVE) one is enough that wakes somebody.

use alloc::vec::Vec;

use shim_abi::SimTime;

use super::instance::{Entry, Epoll, Key, event};
use crate::file::readiness::poll;
use crate::file::table::{FileId, Files, Object};
use crate::ids::{VirtualPid, VirtualTid};
use crate::kernel::Kernel;
use crate::task::{Parked, State, Wait};
use crate::waiters::Source;

/// An entry, from the side of the file that it watches.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Watcher {
    pub(crate) epoll: FileId,
    pub(crate) fd: u32,
}

impl Files {
    pub(super) fn epoll(&self, id: FileId) -> Option<&Epoll> {
        match &self.get(id).ok()?.object {
            Object::Epoll(epoll) => Some(epoll),
            _ => None,
        }
    }
    pub(super) fn epoll_mut(&mut self, id: FileId) -> Option<&mut Epoll> {
        match &mut self.get_mut(id).ok()?.object {
            Object::Epoll(epoll) => Some(epoll),
            _ => None,
        }
    }

    /// Begin to watch, on behalf of a process: its signals are told to the entry if that is what it watches.
    pub(super) fn watch(&mut self, pid: VirtualPid, id: FileId, key: Key, entry: Entry) {
        let watcher = Watcher { epoll: id, fd: key.fd };
        if let Some(epoll) = self.epoll_mut(id) {
            epoll.insert(key, entry);
        }
        let Some(file) = key.file else { return };
        if self.has_signals(file) {
            self.signal_watchers.insert((pid, file, watcher));
        }
        if let Ok(file) = self.get_mut(file) {
            file.watchers.push(watcher);
        }
    }

    /// Watch no more.
    pub(super) fn unwatch(&mut self, id: FileId, key: Key) {
        let watcher = Watcher { epoll: id, fd: key.fd };
        if let Some(Ok(file)) = key.file.map(|file| self.get_mut(file)) {
            file.watchers.retain(|other| *other != watcher);
        }
        self.signal_watchers.retain(|&(_, file, other)| Some(file) != key.file || other != watcher);
        if let Some(epoll) = self.epoll_mut(id) {
            epoll.remove(key);
        }
    }

    /// A file is gone: whoever watched it watches it no more.
    pub(crate) fn forget_watched(&mut self, id: FileId, watchers: Vec<Watcher>) {
        self.signal_watchers.retain(|&(_, file, _)| file != id);
        for Watcher { epoll, fd } in watchers {
            if let Some(epoll) = self.epoll_mut(epoll) {
                epoll.remove(Key { file: Some(id), fd });
            }
        }
    }

    /// An instance is gone: nothing is watched by it any more.
    pub(crate) fn forget_watcher(&mut self, id: FileId, epoll: &Epoll) {
        self.signal_watchers.retain(|(.., watcher)| watcher.epoll != id);
        for key in epoll.keys() {
            if let Some(Ok(file)) = key.file.map(|file| self.get_mut(file)) {
                file.watchers.retain(|watcher| watcher.epoll != id);
            }
        }
    }
}

impl Kernel {
    /// The events of an entry that are there, as `tid` sees it.
    pub(super) fn ready_events(
        &mut self,
        now: SimTime,
        epoll: FileId,
        key: Key,
        tid: VirtualTid,
    ) -> u32 {
        let Some(entry) = self.files.epoll(epoll).and_then(|epoll| epoll.get(key)) else {
            return 0;
        };
        let bits = match key.file {
            Some(file) => self.readiness(now, file, tid),
            None => entry.stream_bits,
        };
        bits & entry.events
    }

    /// Whether an instance has an event. Entries that turn out not to be ready leave its list.
    pub(crate) fn epoll_readiness(&mut self, now: SimTime, id: FileId, tid: VirtualTid) -> u32 {
        while let Some((_, key)) = self.files.epoll(id).and_then(|epoll| epoll.next_ready(None)) {
            if self.ready_events(now, id, key, tid) != 0 {
                return poll::READ;
            }
            if let Some(epoll) = self.files.epoll_mut(id) {
                epoll.delist(key);
            }
        }
        0
    }

    /// Tell all instances that watch a file that it has changed.
    pub(crate) fn tell_watchers(&mut self, now: SimTime, id: FileId, bits: u32) {
        let Ok(file) = self.files.get(id) else { return };
        if file.watchers.is_empty() {
            return;
        }
        let watchers = file.watchers.clone();
        let is_exclusive = |kernel: &Kernel, watcher: &Watcher| {
            let epoll = kernel.files.epoll(watcher.epoll);
            let entry = epoll.and_then(|epoll| epoll.get(Key { file: Some(id), fd: watcher.fd }));
            entry.is_some_and(|entry| entry.events & event::EXCLUSIVE != 0)
        };
        for watcher in watchers.iter().rev() {
            if !is_exclusive(self, watcher) {
                self.tell_watcher(now, id, *watcher, bits);
            }
        }
        for watcher in &watchers {
            if is_exclusive(self, watcher) {
                let wakes = self.tell_watcher(now, id, *watcher, bits);
                // What concerns everybody is told to everybody.
                if wakes && bits != poll::ANY {
                    break;
                }
            }
        }
    }

    /// Tell one of them; whether somebody wakes who waits for one of the bits that it shares.
    pub(crate) fn tell_watcher(
        &mut self,
        now: SimTime,
        file: FileId,
        watcher: Watcher,
        bits: u32,
    ) -> bool {
        let key = Key { file: Some(file), fd: watcher.fd };
        let Some(epoll) = self.files.epoll_mut(watcher.epoll) else { return false };
        let Some(entry) = epoll.get(key) else { return false };
        if entry.is_disabled() || entry.events & bits == 0 {
            return false;
        }
        epoll.enlist(key);
        let is_shared = bits & (poll::IN | poll::OUT) & entry.events != 0;
        let wakes = is_shared && self.has_waiter(watcher.epoll);
        self.notify_file(now, watcher.epoll, poll::READ);
        wakes
    }

    /// Whether a thread waits for an instance's events and has not been woken yet.
    fn has_waiter(&self, id: FileId) -> bool {
        let waits = |tid: VirtualTid| {
            let state = self.threads.get(&tid).map(|thread| thread.state);
            let Some(State::Parked(Parked { wait, wake: None, .. })) = state else { return false };
            matches!(wait, Wait::Epoll { epoll, .. } if epoll == id)
        };
        self.waiters.of(Source::File(id)).into_iter().any(waits)
    }
}

#[cfg(test)]
impl Files {
    /// Every watcher has an entry, and every entry of a file a watcher.
    pub(in crate::file) fn check_watchers(&self) {
        let mut watchers: Vec<(FileId, Watcher)> = Vec::new();
        let mut entries = Vec::new();
        for (id, file) in self.all() {
            watchers.extend(file.watchers.iter().map(|&watcher| (id, watcher)));
            if let Object::Epoll(epoll) = &file.object {
                epoll.check();
                let entry = |key: Key| Some((key.file?, Watcher { epoll: id, fd: key.fd }));
                entries.extend(epoll.keys().filter_map(entry));
            }
        }
        watchers.sort();
        entries.sort();
        assert_eq!(watchers, entries);
        for (_, file, watcher) in &self.signal_watchers {
            assert!(watchers.contains(&(*file, *watcher)));
        }
    }
}
