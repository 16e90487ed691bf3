//! What the sockets of a host have carried, over all that its kernels were.
//!
//! Records of a kernel in, when its host crashes or the run ends; the same, bounded, out. Always true: of a host that has many
//! the first are kept, and the others summed; those of a kernel that is no more are over. What a record says, and how many a
//! kernel keeps, is the kernel's.

use shim_abi::SimTime;
use shim_host::{SocketRecord, SocketSum};

/// No host has more of them.
const MOST_RECORDS: usize = 64;
/// Nor have all hosts together, if that leaves each the least.
const MOST_OF_ALL: usize = 20_000;
const LEAST_RECORDS: usize = 8;

/// Sockets of IP that were used.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sockets {
    /// One by one: those that were over first, and then those that were there at the end.
    pub records: Vec<SocketRecord>,
    /// All others together.
    pub rest: SocketSum,
    most: usize,
}

impl Sockets {
    /// None, of one of so many hosts.
    pub(super) fn new(host_count: usize) -> Sockets {
        let share = MOST_OF_ALL / host_count.max(1);
        let most = share.clamp(LEAST_RECORDS, MOST_RECORDS);
        Sockets { records: Vec::new(), rest: SocketSum::default(), most }
    }

    /// Those of a kernel. With `ended_at` they are all over then.
    pub(super) fn add(
        &mut self,
        (records, rest): (Vec<SocketRecord>, SocketSum),
        ended_at: Option<SimTime>,
    ) {
        self.rest.join(&rest);
        for mut record in records {
            record.closed_at = record.closed_at.or(ended_at);
            if self.records.len() < self.most {
                self.records.push(record);
            } else {
                self.rest.add(&record);
            }
        }
    }

    /// Whether there were none.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty() && self.rest.sockets == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shim_host::{Amount, Transport};

    #[test]
    fn they_are_bounded_and_what_a_crash_ends_is_over() {
        let at = SimTime::from_ns;
        let record = |n: u64, closed_at| SocketRecord {
            transport: Transport::Udp,
            local: "11.0.0.1:7".parse().unwrap(),
            remote: None,
            opened_at: at(n),
            closed_at,
            sent: Amount { datagrams: 1, bytes: n },
            received: Amount::default(),
            resent: 0,
            dropped: 0,
            round_trip_ns: None,
        };
        let mut sockets = Sockets::new(1_000_000);
        assert!(sockets.is_empty());
        let first = vec![record(1, Some(at(5))), record(2, None)];
        sockets.add((first, SocketSum::default()), Some(at(9)));
        let ends: Vec<_> = sockets.records.iter().map(|record| record.closed_at).collect();
        assert_eq!(ends, [Some(at(5)), Some(at(9))]);
        let rest = SocketSum { sockets: 3, ..SocketSum::default() };
        sockets.add(((10..20).map(|n| record(n, None)).collect(), rest), None);
        assert_eq!((sockets.records.len(), sockets.records[7].closed_at), (LEAST_RECORDS, None));
        assert_eq!((sockets.rest.sockets, sockets.rest.sent.bytes), (7, 16 + 17 + 18 + 19));
        assert_eq!(Sockets::new(1).most, MOST_RECORDS);
    }
}
