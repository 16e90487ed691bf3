//! What happens when: the host's future, as far as its kernel plans it.
//!
//! Entries in, due entries out. Always true: entries come out ordered by time, then by kind and
//! number, so that two runs agree. What an entry does when it is due is in `kernel`.

use alloc::collections::BTreeSet;

use shim_abi::SimTime;

use crate::file::FileId;
use crate::ids::{VirtualPid, VirtualTid};
use crate::net::ConnectionId;
use crate::socket::SocketId;
use crate::timer::TimerId;

/// One planned event.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Entry {
    /// A process's ITIMER_REAL expires.
    Interval(VirtualPid),
    /// A POSIX timer expires.
    Timer(VirtualPid, TimerId),
    /// A thread of a process hands over, so that timers which count its processor time are looked at.
    Cpu(VirtualPid),
    /// A parked thread's wait times out.
    Timeout(VirtualTid),
    /// A signal came before the parked thread's own clock: the instant at which it looks.
    Look(VirtualTid),
    /// A timer behind a file expires.
    File(FileId),
    /// A connection has something to do by itself.
    Connection(ConnectionId),
    /// So much of what a socket has sent has left the interface that it may send more.
    Room(SocketId),
    /// A datagram of another host arrives.
    Arrival,
    /// Fragments have waited long enough for the others.
    Reassembly,
}

/// All planned events.
#[derive(Debug, Default)]
pub(crate) struct Agenda {
    entries: BTreeSet<(SimTime, Entry)>,
}

impl Agenda {
    /// Plan `entry` for `at`; the end of time is never planned.
    pub(crate) fn add(&mut self, at: SimTime, entry: Entry) {
        if at != SimTime::MAX {
            self.entries.insert((at, entry));
        }
    }
    /// Forget `entry`, planned for `at`; no harm if it is not.
    pub(crate) fn remove(&mut self, at: SimTime, entry: Entry) {
        self.entries.remove(&(at, entry));
    }
    /// When the earliest entry is due.
    pub(crate) fn next(&self) -> Option<SimTime> {
        self.entries.first().map(|&(at, _)| at)
    }
    /// The earliest entry due by `now`, removed.
    pub(crate) fn pop_due(&mut self, now: SimTime) -> Option<(SimTime, Entry)> {
        if self.next()? > now {
            return None;
        }
        self.entries.pop_first()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_come_out_by_time_then_kind_then_number() {
        let mut agenda = Agenda::default();
        let t = SimTime::from_ns;
        agenda.add(t(5), Entry::Timeout(VirtualTid(2)));
        agenda.add(t(5), Entry::Timeout(VirtualTid(1)));
        agenda.add(t(5), Entry::Interval(VirtualPid(9)));
        agenda.add(t(7), Entry::Timeout(VirtualTid(3)));
        agenda.add(SimTime::MAX, Entry::Timeout(VirtualTid(4)));
        agenda.remove(t(7), Entry::Timeout(VirtualTid(3)));
        assert_eq!(agenda.next(), Some(t(5)));
        assert_eq!(agenda.pop_due(t(4)), None);
        assert_eq!(agenda.pop_due(t(5)), Some((t(5), Entry::Interval(VirtualPid(9)))));
        assert_eq!(agenda.pop_due(t(5)), Some((t(5), Entry::Timeout(VirtualTid(1)))));
        assert_eq!(agenda.pop_due(t(6)), Some((t(5), Entry::Timeout(VirtualTid(2)))));
        assert_eq!(agenda.pop_due(SimTime::MAX), None);
    }
}
