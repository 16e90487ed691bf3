//! Who talked to whom: packets of captures, counted by pairs of endpoints, and round trips measured at them.
//!
//! Packets with the host that saw them in, [`Flow`]s and round trips out. Always true: a packet that two captures have seen counts
//! once as sent and once as received; sequence numbers are compared as TCP does, so they may wrap; there are at most
//! [`MOST_FLOWS`] flows, and what has no place is counted. Where packets come from is `capture`'s.
//!
//! A round trip is what a host sees: from the first time that it sends a segment until that is acknowledged (never from one that
//! was sent twice), or from a request for an echo to its reply. It holds the ways, all queues, and a receiver's hesitation.

use std::collections::BTreeMap;
use std::net::IpAddr;

use etherparse::{IpNumber, TcpHeaderSlice};

use crate::fabric::Datagram;

/// There are no more flows.
const MOST_FLOWS: usize = 50_000;
/// Nor more requests for echoes of a host that wait for a reply.
const MOST_ECHOES: usize = 4_096;

/// One end: an address, and a port where there are such.
pub(super) type Endpoint = (IpAddr, u16);

/// A kind of transport between two endpoints, the lesser one first; on a host's loopback its own.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Key {
    /// The host, if the packets never left it.
    pub(super) loopback_of: Option<usize>,
    /// Number of the protocol.
    pub(super) protocol: u8,
    /// Both ends.
    pub(super) ends: [Endpoint; 2],
}

/// What went between two endpoints.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Flow {
    /// From the first of the ends to the second, and back.
    pub(super) ways: [Way; 2],
    /// Which way the first packet went.
    pub(super) first_way: usize,
    /// Instants of the first and the last packet.
    pub(super) first_ns: u64,
    /// See above.
    pub(super) last_ns: u64,
    /// Round trips: how many, their sum, and the shortest.
    pub(super) trips: Trips,
}

/// Round trips of a flow.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Trips {
    /// How many.
    pub(super) count: u64,
    /// Their sum.
    pub(super) sum_ns: u64,
    /// The shortest, if there are any.
    pub(super) least_ns: u64,
}

/// One direction of a flow.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Way {
    /// What its sender's capture has.
    pub(super) sent: Amount,
    /// What its receiver's capture has.
    pub(super) received: Amount,
    /// Segments whose bytes had all been sent before.
    pub(super) resent: u64,
    /// The first sequence number that has not been sent yet.
    next: Option<u32>,
    /// What is waited for: an acknowledgement, and since when.
    timed: Option<(u32, u64)>,
}

/// Packets and their bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Amount {
    /// How many packets.
    pub(super) packets: u64,
    /// How many bytes, headers of IP included.
    pub(super) bytes: u64,
}

impl Amount {
    fn add(&mut self, bytes: u64) {
        self.packets += 1;
        self.bytes += bytes;
    }
}

impl Way {
    /// What is known best.
    pub(super) fn amount(&self) -> Amount {
        if self.sent.packets > 0 { self.sent } else { self.received }
    }

    /// Packets that were sent and have not come, if both ends were watched.
    pub(super) fn missing(&self) -> Option<u64> {
        let is_known = self.sent.packets > 0 && self.received.packets > 0;
        is_known.then(|| self.sent.packets.saturating_sub(self.received.packets))
    }
}

impl Flow {
    /// All bytes, both ways.
    pub(super) fn bytes(&self) -> u64 {
        self.ways.iter().map(|way| way.amount().bytes).sum()
    }
}

/// A packet as a capture has it.
pub(super) struct Seen<'a> {
    /// The host whose capture it is.
    pub(super) host: usize,
    /// Whether it is one of the host's loopback.
    pub(super) is_loopback: bool,
    /// Whether the host has sent it.
    pub(super) is_sent: bool,
    /// When.
    pub(super) at_ns: u64,
    /// The packet; zeros stand where it was not captured.
    pub(super) datagram: Datagram<'a>,
    /// How many of its bytes were captured.
    pub(super) captured: usize,
}

/// All flows.
#[derive(Default, Debug)]
pub(super) struct Flows {
    flows: BTreeMap<Key, Flow>,
    /// What had no place.
    uncounted: Amount,
    /// Requests of the host at hand.
    echoes: BTreeMap<(IpAddr, u32), u64>,
}

impl Flows {
    /// Packets of another host will follow.
    pub(super) fn begin_host(&mut self) {
        self.echoes.clear();
    }

    /// A packet; how long a round trip took that it ends, if it does.
    pub(super) fn take(&mut self, seen: &Seen<'_>) -> Option<u64> {
        let (key, way) = key_of(seen);
        let bytes = seen.datagram.bytes().len() as u64;
        if self.flows.len() >= MOST_FLOWS && !self.flows.contains_key(&key) {
            self.uncounted.add(bytes);
            return None;
        }
        let flow = self.flows.entry(key).or_insert_with(|| Flow {
            ways: [Way::default(); 2],
            first_way: way,
            first_ns: seen.at_ns,
            last_ns: seen.at_ns,
            trips: Trips::default(),
        });
        if seen.at_ns < flow.first_ns {
            (flow.first_ns, flow.first_way) = (seen.at_ns, way);
        }
        flow.last_ns = flow.last_ns.max(seen.at_ns);
        match seen.is_sent {
            true => flow.ways[way].sent.add(bytes),
            false => flow.ways[way].received.add(bytes),
        }
        if seen.is_loopback {
            return None;
        }
        let trip = match seen.datagram.protocol() {
            IpNumber::TCP => flow.follow(way, seen),
            IpNumber::ICMP | IpNumber::IPV6_ICMP => echo(&mut self.echoes, seen),
            _ => None,
        };
        if let Some(trip) = trip {
            let trips = &mut flow.trips;
            trips.least_ns = if trips.count == 0 { trip } else { trips.least_ns.min(trip) };
            trips.count += 1;
            trips.sum_ns = trips.sum_ns.saturating_add(trip);
        }
        trip
    }

    /// What had no place.
    pub(super) fn uncounted(&self) -> Amount {
        self.uncounted
    }

    /// All, those with the most bytes first.
    pub(super) fn by_bytes(&self) -> Vec<(&Key, &Flow)> {
        let mut all: Vec<_> = self.flows.iter().collect();
        all.sort_by_key(|(key, flow)| (std::cmp::Reverse(flow.bytes()), **key));
        all
    }
}

impl Flow {
    /// A segment of TCP.
    fn follow(&mut self, way: usize, seen: &Seen<'_>) -> Option<u64> {
        let payload = seen.datagram.payload();
        let header = TcpHeaderSlice::from_slice(payload).ok()?;
        let (syn, fin) = (header.syn(), header.fin());
        let data = payload.len().saturating_sub(header.slice().len());
        let length = u32::try_from(data).ok()?.wrapping_add(u32::from(syn) + u32::from(fin));
        if !seen.is_sent {
            // It may say that what was sent the other way has come.
            let timed = &mut self.ways[1 - way].timed;
            let (end, since) = (*timed)?;
            let is_new = header.ack() && !is_before(header.acknowledgment_number(), end);
            return is_new.then(|| timed.take()).map(|_| seen.at_ns.saturating_sub(since));
        }
        let this = &mut self.ways[way];
        let end = header.sequence_number().wrapping_add(length);
        // A connection may begin anew between the same ports.
        let is_new =
            this.next.is_none_or(|next| is_before(next, end)) || syn && this.next != Some(end);
        if length > 0 && is_new {
            this.next = Some(end);
            this.timed = this.timed.or(Some((end, seen.at_ns)));
        } else if length > 0 {
            this.resent += 1;
            this.timed = None;
        }
        None
    }
}

/// Whether the sequence number `a` comes before `b`.
fn is_before(a: u32, b: u32) -> bool {
    (a.wrapping_sub(b) as i32) < 0
}

/// A message of ICMP: how long an echo took, if it is a reply.
fn echo(waiting: &mut BTreeMap<(IpAddr, u32), u64>, seen: &Seen<'_>) -> Option<u64> {
    let [kind, _, _, _, id_and_number @ ..] = seen.datagram.payload() else { return None };
    let number = u32::from_be_bytes(*id_and_number.first_chunk()?);
    let (request, reply) = if seen.datagram.source().is_ipv4() { (8, 0) } else { (128, 129) };
    match (seen.is_sent, *kind) {
        (true, kind) if kind == request => {
            if waiting.len() < MOST_ECHOES {
                waiting.insert((seen.datagram.target(), number), seen.at_ns);
            }
            None
        }
        (false, kind) if kind == reply => {
            let since = waiting.remove(&(seen.datagram.source(), number))?;
            Some(seen.at_ns.saturating_sub(since))
        }
        _ => None,
    }
}

fn key_of(seen: &Seen<'_>) -> (Key, usize) {
    let it = &seen.datagram;
    let header = it.bytes().len() - it.payload().len();
    let ports = it.ports().filter(|_| seen.captured >= header + 4);
    let (from, to) = ports.unwrap_or_default();
    let (from, to) = ((it.source(), from), (it.target(), to));
    let way = usize::from(to < from);
    let ends = if way == 0 { [from, to] } else { [to, from] };
    let loopback_of = seen.is_loopback.then_some(seen.host);
    (Key { loopback_of, protocol: it.protocol().0, ends }, way)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: [u8; 4] = [10, 0, 0, 1];
    const THERE: [u8; 4] = [10, 0, 0, 2];

    fn v4(from: [u8; 4], to: [u8; 4], protocol: u8, payload: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0x45, 0, 0, 20 + payload.len() as u8, 0, 0, 0, 0, 64, protocol, 0, 0];
        bytes.extend(from.iter().chain(&to).chain(payload));
        bytes
    }

    fn tcp(from: u16, to: u16, (seq, ack): (u32, u32), flags: u8, data: usize) -> Vec<u8> {
        let mut bytes = [from.to_be_bytes(), to.to_be_bytes()].concat();
        bytes.extend([seq.to_be_bytes(), ack.to_be_bytes()].concat());
        bytes.extend([0x50, flags, 0, 0, 0, 0, 0, 0]);
        bytes.resize(bytes.len() + data, 0);
        bytes
    }

    fn take(flows: &mut Flows, at_ns: u64, is_sent: bool, bytes: &[u8]) -> Option<u64> {
        let datagram = Datagram::read(bytes).unwrap();
        let captured = bytes.len();
        flows.take(&Seen { host: 0, is_loopback: false, is_sent, at_ns, datagram, captured })
    }

    #[test]
    fn a_connection_is_one_flow_with_its_round_trips() {
        const SYN: u8 = 2;
        const ACK: u8 = 16;
        let mut flows = Flows::default();
        let mut out = |at, numbers, flags, data| {
            take(&mut flows, at, true, &v4(HERE, THERE, 6, &tcp(999, 80, numbers, flags, data)))
        };
        let first = u32::MAX - 1;
        assert_eq!(out(10, (first, 0), SYN, 0), None);
        let back = |flows: &mut Flows, at, numbers, flags, data| {
            take(flows, at, false, &v4(THERE, HERE, 6, &tcp(80, 999, numbers, flags, data)))
        };
        assert_eq!(back(&mut flows, 30, (7, first.wrapping_add(1)), SYN | ACK, 0), Some(20));
        let mut out = |at, numbers, flags, data| {
            take(&mut flows, at, true, &v4(HERE, THERE, 6, &tcp(999, 80, numbers, flags, data)))
        };
        // Over the end of numbers, and again.
        assert_eq!(out(31, (first.wrapping_add(1), 8), ACK, 5), None);
        assert_eq!(out(90, (first.wrapping_add(1), 8), ACK, 5), None);
        assert_eq!(back(&mut flows, 120, (8, 4), ACK, 9), None, "which of both was it?");
        let all = flows.by_bytes();
        let [(key, flow)] = all[..] else { panic!("{all:?}") };
        assert_eq!(key.ends[0], (HERE.into(), 999));
        let [there, back] = flow.ways;
        assert_eq!((there.sent, there.resent), (Amount { packets: 3, bytes: 130 }, 1));
        assert_eq!((back.amount(), back.missing()), (Amount { packets: 2, bytes: 89 }, None));
        assert_eq!((flow.first_way, flow.first_ns, flow.last_ns), (0, 10, 120));
        assert_eq!(flow.trips, Trips { count: 1, sum_ns: 20, least_ns: 20 });
    }

    #[test]
    fn echoes_have_round_trips_and_others_have_not() {
        let mut flows = Flows::default();
        let request = v4(HERE, THERE, 1, &[8, 0, 0, 0, 1, 2, 0, 1]);
        let reply = v4(THERE, HERE, 1, &[0, 0, 0, 0, 1, 2, 0, 1]);
        assert_eq!(take(&mut flows, 5, false, &reply), None);
        assert_eq!(take(&mut flows, 10, true, &request), None);
        assert_eq!(take(&mut flows, 25, false, &reply), Some(15));
        assert_eq!(take(&mut flows, 26, false, &reply), None);
        assert_eq!(take(&mut flows, 30, true, &request), None);
        flows.begin_host();
        assert_eq!(take(&mut flows, 31, false, &reply), None);
        assert_eq!(take(&mut flows, 32, false, &v4(THERE, HERE, 1, &[0])), None);
        assert_eq!(flows.by_bytes().len(), 1);
    }

    #[test]
    fn what_both_ends_saw_tells_what_is_missing() {
        let mut flows = Flows::default();
        let bytes = v4(HERE, THERE, 17, &[0, 1, 0, 2, 0, 8, 0, 0]);
        for is_sent in [true, true, true, false] {
            take(&mut flows, 1, is_sent, &bytes);
        }
        let way = flows.by_bytes()[0].1.ways[0];
        assert_eq!((way.missing(), way.amount().packets), (Some(2), 3));
        for port in 0..MOST_FLOWS as u16 {
            let [a, b] = port.to_be_bytes();
            take(&mut flows, 1, true, &v4(THERE, HERE, 17, &[a, b, 0, 3, 0, 8, 0, 0]));
        }
        assert_eq!((flows.by_bytes().len(), flows.uncounted().packets), (MOST_FLOWS, 1));
    }
}
