//! What sockets have carried: a record of each that was used, for whoever looks at a run afterwards.
//!
//! Connections and datagram sockets that are gone in, records out. Always true: there are no more than [`MOST_RECORDS`] of a
//! host, those that were over first and then those that are there still; what the others have carried is summed; nothing here
//! is asked by a guest, and a socket through which nothing has gone has no record. What is counted while a socket is used is
//! counted where it is sent and taken in (`tcp::info`, [`Tally`]); connections of the resolver are nobody's sockets.

use alloc::vec::Vec;
use core::net::SocketAddr;

use shim_abi::SimTime;

use super::connection::Connection;
use super::packet::Endpoint;
use super::tcp::State;
use super::{Network, RESOLVER};

/// No host has more records.
pub const MOST_RECORDS: usize = 64;

/// What a socket speaks over IP.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Transport {
    /// One end of a connection.
    Tcp,
    /// Datagrams.
    Udp,
    /// Datagrams whose checksum covers a part.
    UdpLite,
    /// Echoes of ICMP, or of ICMPv6.
    Echo,
}

/// What has gone one way.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Amount {
    /// Datagrams; of TCP segments, those without bytes among them.
    pub datagrams: u64,
    /// Their bytes without headers. What TCP sends again counts again; what it gets counts once.
    pub bytes: u64,
}

/// A socket that was used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SocketRecord {
    /// What it spoke.
    pub transport: Transport,
    /// Its own address; unspecified for a datagram socket that had none.
    pub local: SocketAddr,
    /// The other end's, if there is one for all that it carried.
    pub remote: Option<SocketAddr>,
    /// When its connection was asked for; of a datagram socket, when its first datagram went or came.
    pub opened_at: SimTime,
    /// When its connection was over, or the socket closed; none if it never was.
    pub closed_at: Option<SimTime>,
    /// What it has sent.
    pub sent: Amount,
    /// What it has got.
    pub received: Amount,
    /// Segments of TCP that were sent again.
    pub resent: u64,
    /// Datagrams that have come and found no room.
    pub dropped: u64,
    /// Of TCP, if it was ever measured: the least time in nanoseconds between a segment and its acknowledgement, and the
    /// smoothed one at the end.
    pub round_trip_ns: Option<(u64, u64)>,
}

/// Sockets that have no record of their own.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SocketSum {
    /// How many.
    pub sockets: u64,
    /// What they have sent.
    pub sent: Amount,
    /// What they have got.
    pub received: Amount,
    /// Segments of TCP that were sent again.
    pub resent: u64,
    /// Datagrams that have come and found no room.
    pub dropped: u64,
}

impl Amount {
    /// More of it.
    pub fn add(&mut self, other: Amount) {
        self.datagrams = self.datagrams.saturating_add(other.datagrams);
        self.bytes = self.bytes.saturating_add(other.bytes);
    }
}

impl SocketSum {
    /// Another socket that has no record of its own.
    pub fn add(&mut self, record: &SocketRecord) {
        self.join(&SocketSum {
            sockets: 1,
            sent: record.sent,
            received: record.received,
            resent: record.resent,
            dropped: record.dropped,
        });
    }

    /// Other such sockets.
    pub fn join(&mut self, other: &SocketSum) {
        self.sockets = self.sockets.saturating_add(other.sockets);
        self.sent.add(other.sent);
        self.received.add(other.received);
        self.resent = self.resent.saturating_add(other.resent);
        self.dropped = self.dropped.saturating_add(other.dropped);
    }
}

/// What a datagram socket counts while it is used.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    opened_at: Option<SimTime>,
    sent: Amount,
    received: Amount,
}

impl Tally {
    /// It has sent so many datagrams with so many bytes together.
    pub(crate) fn note_sent(&mut self, now: SimTime, datagrams: usize, bytes: usize) {
        self.opened_at.get_or_insert(now);
        self.sent.add(Amount { datagrams: datagrams as u64, bytes: bytes as u64 });
    }
    /// A datagram has come; also one for which there was no room.
    pub(crate) fn note_received(&mut self, now: SimTime, bytes: Option<usize>) {
        self.opened_at.get_or_insert(now);
        let amount = bytes.map(|bytes| Amount { datagrams: 1, bytes: bytes as u64 });
        self.received.add(amount.unwrap_or_default());
    }

    /// What is told of it, if it was used.
    pub(crate) fn record(
        &self,
        transport: Transport,
        (local, remote): (Endpoint, Option<Endpoint>),
        dropped: u32,
        closed_at: Option<SimTime>,
    ) -> Option<SocketRecord> {
        Some(SocketRecord {
            transport,
            local: local.into(),
            remote: remote.map(SocketAddr::from),
            opened_at: self.opened_at?,
            closed_at,
            sent: self.sent,
            received: self.received,
            resent: 0,
            dropped: dropped.into(),
            round_trip_ns: None,
        })
    }
}

impl From<Endpoint> for SocketAddr {
    fn from(Endpoint { ip, port }: Endpoint) -> SocketAddr {
        SocketAddr::new(ip, port)
    }
}

impl Connection {
    /// What is told of it; nothing of the resolver's.
    pub(super) fn record(&self) -> Option<SocketRecord> {
        let counted = self.tcp.counted();
        (self.local != RESOLVER).then(|| SocketRecord {
            transport: Transport::Tcp,
            local: self.local.into(),
            remote: Some(self.remote.into()),
            opened_at: self.opened_at,
            closed_at: self.closed_at,
            sent: counted.sent,
            received: counted.received,
            resent: counted.resent,
            dropped: 0,
            round_trip_ns: counted.round_trip_ns,
        })
    }

    /// It may be over.
    pub(super) fn note_end(&mut self, now: SimTime) {
        if matches!(self.tcp.state, State::Closed | State::TimeWait) {
            self.closed_at.get_or_insert(now);
        }
    }
}

/// Sockets that are gone.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    records: Vec<SocketRecord>,
    rest: SocketSum,
}

impl Ledger {
    /// A socket is gone.
    pub(crate) fn add(&mut self, record: Option<SocketRecord>) {
        let Some(record) = record else { return };
        if self.records.len() < MOST_RECORDS {
            self.records.push(record);
        } else {
            self.rest.add(&record);
        }
    }
}

impl Network {
    /// All connections, those that are gone and those that are there, and these datagram sockets.
    pub(crate) fn records(
        &self,
        sockets: impl Iterator<Item = SocketRecord>,
    ) -> (Vec<SocketRecord>, SocketSum) {
        let mut records = Ledger { records: self.ledger.records.clone(), rest: self.ledger.rest };
        let there = self.connections.values().filter_map(Connection::record);
        there.chain(sockets).for_each(|record| records.add(Some(record)));
        (records.records, records.rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(n: u64) -> SocketRecord {
        let amount = |bytes| Amount { datagrams: 1, bytes };
        SocketRecord {
            transport: Transport::Udp,
            local: "10.0.0.1:7".parse().unwrap(),
            remote: None,
            opened_at: SimTime::from_ns(n),
            closed_at: None,
            sent: amount(n),
            received: amount(2 * n),
            resent: 3,
            dropped: 4,
            round_trip_ns: None,
        }
    }

    #[test]
    fn what_is_too_many_is_summed() {
        let mut ledger = Ledger::default();
        for n in 0..MOST_RECORDS as u64 + 3 {
            ledger.add(Some(record(n)));
            ledger.add(None);
        }
        assert_eq!(ledger.records.len(), MOST_RECORDS);
        assert_eq!(ledger.records[MOST_RECORDS - 1], record(MOST_RECORDS as u64 - 1));
        let bytes = [0, 1, 2].map(|n| MOST_RECORDS as u64 + n).iter().sum();
        let amount = |bytes| Amount { datagrams: 3, bytes };
        let (sent, received) = (amount(bytes), amount(2 * bytes));
        assert_eq!(ledger.rest, SocketSum { sockets: 3, sent, received, resent: 9, dropped: 12 });
    }

    #[test]
    fn a_socket_that_nothing_went_through_has_no_record() {
        let ends = (Endpoint { ip: "10.0.0.1".parse().unwrap(), port: 7 }, None);
        let mut tally = Tally::default();
        assert_eq!(tally.record(Transport::Udp, ends, 0, None), None);
        tally.note_received(SimTime::from_ns(5), None);
        tally.note_sent(SimTime::from_ns(6), 2, 30);
        let record = tally.record(Transport::Udp, ends, 1, Some(SimTime::from_ns(9))).unwrap();
        assert_eq!((record.opened_at, record.dropped), (SimTime::from_ns(5), 1));
        assert_eq!(record.sent, Amount { datagrams: 2, bytes: 30 });
        assert_eq!(record.received, Amount::default());
    }
}
