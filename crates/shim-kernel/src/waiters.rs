//! Who waits for what: threads that look again when something changed.
//!
//! A thread and the things that it waits for in; threads to be woken out, in the order in which they came.
//! Always true: a thread stands here only while it is parked; it is woken to *look*, and parks again, behind
//! nobody who came later, if what it wanted is not there. Futexes have queues of their own, because a woken
//! futex waiter does not look.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use crate::file::FileId;
use crate::ids::{VirtualPid, VirtualTid};
use crate::net::ConnectionId;
use crate::socket::SocketId;

/// Something that can change while threads wait for it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Source {
    /// The state of a process's children.
    Children(VirtualPid),
    /// Which image a process executes, if any.
    Image(VirtualPid),
    /// Which locks of files somebody holds.
    FileLocks,
    /// What a file is ready for.
    File(FileId),
    /// Room in a socket's queue.
    Socket(SocketId),
    /// What signals wait for a process or its threads.
    Signals(VirtualPid),
    /// How far a connection is that nobody uses any more.
    Connection(ConnectionId),
}

/// All waiting threads, by what they wait for.
#[derive(Debug, Default)]
pub(crate) struct Waiters {
    /// Source, place in its queue, thread.
    queues: BTreeSet<(Source, u64, VirtualTid)>,
    /// The same, by thread.
    sources: BTreeMap<VirtualTid, Vec<(Source, u64)>>,
    /// The next place. A thread that looks and parks again keeps its place.
    next: u64,
    /// Places of threads that are looking.
    kept: BTreeMap<VirtualTid, u64>,
}

impl Waiters {
    /// Let `tid` wait for `sources`, too.
    pub(crate) fn add(&mut self, tid: VirtualTid, sources: &[Source]) {
        let place = match self.kept.get(&tid) {
            Some(&place) => place,
            None => {
                self.next += 1;
                self.kept.insert(tid, self.next);
                self.next
            }
        };
        let list = self.sources.entry(tid).or_default();
        for &source in sources {
            if self.queues.insert((source, place, tid)) {
                list.push((source, place));
            }
        }
    }

    /// `tid` looks again: it waits for nothing for the moment.
    pub(crate) fn pause(&mut self, tid: VirtualTid) {
        for (source, place) in self.sources.remove(&tid).unwrap_or_default() {
            self.queues.remove(&(source, place, tid));
        }
    }

    /// The wait of `tid` is over.
    pub(crate) fn end(&mut self, tid: VirtualTid) {
        // Most calls have not waited.
        if self.kept.is_empty() && self.sources.is_empty() {
            return;
        }
        self.pause(tid);
        self.kept.remove(&tid);
    }

    /// Who waits for `source`, in the order in which they came.
    pub(crate) fn of(&self, source: Source) -> Vec<VirtualTid> {
        let first = (source, 0, VirtualTid(0));
        let last = (source, u64::MAX, VirtualTid(u32::MAX));
        self.queues.range(first..=last).map(|&(_, _, tid)| tid).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_looks_in_vain_keeps_its_place() {
        let mut waiters = Waiters::default();
        let source = Source::Children(VirtualPid(1));
        let other = Source::Children(VirtualPid(2));
        let [a, b, c] = [7, 3, 5].map(VirtualTid);
        waiters.add(a, &[source, other, source]);
        waiters.add(b, &[source]);
        waiters.pause(a);
        waiters.add(c, &[source]);
        waiters.add(a, &[source]);
        assert_eq!(waiters.of(source), [a, b, c]);
        assert_eq!(waiters.of(other), []);
        waiters.end(a);
        waiters.add(a, &[source]);
        waiters.end(b);
        assert_eq!(waiters.of(source), [c, a]);
    }
}
