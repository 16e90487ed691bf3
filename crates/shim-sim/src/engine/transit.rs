//! A host's place in the fabric: what it has sent is on its way to others, and what others have sent comes to it.
//!
//! Departures in, [`Transit`]s out; transits in, deliveries out. Always true: nothing here depends on how hosts are run:
//! what came from others is sorted by (arrival, source, number), and comes no sooner than the round is over in which it
//! was sent, so that all that comes in a round is known when that begins; what the network is like when a host hands a datagram
//! to its link is what counts for it, and faults change it between rounds only. What a path or a link does to a datagram is the
//! fabric's, when hosts exchange what they have for each other is [`super::simulation`]'s.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use shim_abi::{SimDuration, SimTime};
use shim_host::{Departure, Trouble};

use super::packets::{Packet, PacketRule, Verdict};
use crate::config::Scenario;
use crate::config::scenario::Host;
use crate::fabric::{
    Barriers, Chance, Change, ChangeError, Datagram, Downlink, Router, Routes, Site,
    lower_hop_limit, report,
};

/// What all hosts share: who is where, and how one gets there.
pub(super) struct Ways {
    /// Written between rounds only, so nobody ever waits for it.
    network: RwLock<Network>,
    /// Where the hosts are, by their numbers, and what is next to each.
    sites: Vec<(Site, Router)>,
    hosts: BTreeMap<IpAddr, u32>,
    rule: Option<Arc<dyn PacketRule>>,
}

/// What faults change.
struct Network {
    routes: Routes,
    barriers: Barriers,
}

impl Ways {
    pub(super) fn new(scenario: &Scenario, rule: Option<Arc<dyn PacketRule>>) -> Ways {
        let network = &scenario.network;
        let nodes = scenario.hosts.iter().map(|host| host.network_node_id);
        let routes = Routes::new(&network.graph, nodes, network.use_shortest_path);
        let site_of = |host: &Host| {
            let id = host.network_node_id;
            let index = network.graph.nodes.binary_search_by_key(&id, |node| node.id).ok()?;
            Some((routes.site(id)?, Router::new(index as u32)))
        };
        // A configuration accepts no host without a node.
        let sites = scenario.hosts.iter().filter_map(site_of).collect();
        let numbered = (0_u32..).zip(&scenario.hosts);
        let addresses = |(number, host): (u32, &Host)| {
            [(IpAddr::V4(host.ipv4), number), (IpAddr::V6(host.ipv6), number)]
        };
        let network = RwLock::new(Network { routes, barriers: Barriers::default() });
        Ways { sites, hosts: numbered.flat_map(addresses).collect(), network, rule }
    }

    /// The least time that a datagram takes between two hosts; nothing if no two of them can reach each other.
    pub(super) fn shortest(&self) -> Option<SimDuration> {
        self.network().routes.shortest_latency()
    }

    /// Between rounds: from now on some edges are otherwise, and these barriers are up.
    pub(super) fn change(&self, changes: &[Change], barriers: Barriers) -> Result<(), ChangeError> {
        let mut network = self.network.write().unwrap_or_else(PoisonError::into_inner);
        network.barriers = barriers;
        match changes {
            [] => Ok(()),
            _ => network.routes.change(changes),
        }
    }

    fn network(&self) -> RwLockReadGuard<'_, Network> {
        self.network.read().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A datagram on its way.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Transit {
    /// When it comes to the target's own link.
    pub(super) arrival: SimTime,
    /// The host that sent it, and which of its datagrams it is.
    source: u32,
    number: u64,
    /// The host that it comes to.
    pub(super) target: u32,
    bytes: Vec<u8>,
}

/// What has become of the datagrams that a host has sent or was to get.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Traffic {
    /// Those that left it.
    pub sent: u64,
    /// Their bytes, headers of IP included.
    pub sent_bytes: u64,
    /// Of these, those that were lost on their way.
    pub lost: u64,
    /// Of these, those that no host was to get, or that had too few hops left.
    pub refused: u64,
    /// Those that came to it.
    pub received: u64,
    /// Their bytes.
    pub received_bytes: u64,
    /// Those that its own link had no room for.
    pub dropped: u64,
}

/// How many bytes a host has sent and got in each interval of simulated time, headers of IP included.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TimeLine {
    /// How long each is.
    pub interval: SimDuration,
    /// What left it, up to the last interval in which something did.
    pub sent_bytes: Vec<u64>,
    /// What came to it.
    pub received_bytes: Vec<u64>,
}

impl TimeLine {
    /// There are no more intervals.
    const MOST_INTERVALS: u64 = 200;
    /// Nor are there more of all hosts together, if that leaves each the least.
    const MOST_OF_ALL: u64 = 20_000;
    const LEAST_INTERVALS: u64 = 20;

    fn new(stop_time: SimTime, host_count: usize) -> TimeLine {
        let share = Self::MOST_OF_ALL / (host_count as u64).max(1);
        let count = share.clamp(Self::LEAST_INTERVALS, Self::MOST_INTERVALS);
        let interval = SimDuration::from_ns(stop_time.as_ns().div_ceil(count).max(1));
        TimeLine { interval, sent_bytes: Vec::new(), received_bytes: Vec::new() }
    }

    fn index(&self, at: SimTime) -> usize {
        // What comes when all is over belongs to the end; and nothing comes that much later.
        (at.as_ns() / self.interval.as_ns()).min(Self::MOST_INTERVALS) as usize
    }

    fn sent(&mut self, at: SimTime, len_bytes: usize) {
        let index = self.index(at);
        add(&mut self.sent_bytes, index, len_bytes);
    }

    fn received(&mut self, at: SimTime, len_bytes: usize) {
        let index = self.index(at);
        add(&mut self.received_bytes, index, len_bytes);
    }
}

fn add(line: &mut Vec<u64>, index: usize, len_bytes: usize) {
    if line.len() <= index {
        line.resize(index + 1, 0);
    }
    line[index] += len_bytes as u64;
}

/// A host's place in the fabric.
pub(super) struct Place {
    ways: Arc<Ways>,
    host: u32,
    chance: Chance,
    downlink: Downlink<Vec<u8>>,
    coming: BinaryHeap<Reverse<Transit>>,
    going: Vec<Transit>,
    last_number: u64,
    traffic: Traffic,
    time_line: TimeLine,
}

impl Place {
    /// The place of the host with this number.
    pub(super) fn new(scenario: &Scenario, host: u32, ways: &Arc<Ways>) -> Place {
        let general = &scenario.general;
        let it = &scenario.hosts[host as usize];
        Place {
            ways: Arc::clone(ways),
            host,
            chance: Chance::new(general.seed, &it.name, general.bootstrap_end_time),
            downlink: Downlink::new(it.bandwidth_down, general.bootstrap_end_time),
            coming: BinaryHeap::new(),
            going: Vec::new(),
            last_number: 0,
            traffic: Traffic::default(),
            time_line: TimeLine::new(general.stop_time, scenario.hosts.len()),
        }
    }

    /// How many hosts there are.
    pub(super) fn host_count(&self) -> usize {
        self.ways.sites.len()
    }

    /// Something is on its way to this host.
    pub(super) fn expect(&mut self, transit: Transit) {
        self.coming.push(Reverse(transit));
    }

    /// When something comes that is known of.
    pub(super) fn next_arrival(&self) -> Option<SimTime> {
        let coming = self.coming.peek().map(|Reverse(transit)| transit.arrival);
        coming.into_iter().chain(self.downlink.next_start()).min()
    }

    /// What the host's link passes on before `until`, each with the instant at which the host has it. All that comes before
    /// `until` must be known.
    pub(super) fn receive(&mut self, until: SimTime) -> Vec<(SimTime, Vec<u8>)> {
        while let Some(next) = self.coming.peek_mut() {
            if next.0.arrival >= until {
                break;
            }
            let Reverse(transit) = std::collections::binary_heap::PeekMut::pop(next);
            self.downlink.arrive(transit.arrival, transit.bytes.len(), transit.bytes);
        }
        let passed: Vec<_> = self.downlink.pass(until).collect();
        for (at, bytes) in &passed {
            self.time_line.received(*at, bytes.len());
        }
        passed
    }

    /// The host has sent something: it comes to another one, not before `earliest`.
    pub(super) fn send(&mut self, departure: Departure, earliest: SimTime) {
        let Departure { at, mut bytes } = departure;
        self.traffic.sent += 1;
        self.traffic.sent_bytes += bytes.len() as u64;
        self.time_line.sent(at, bytes.len());
        let ways = Arc::clone(&self.ways);
        let (network, Ways { sites, hosts, .. }) = (ways.network(), &*ways);
        let Network { routes, barriers } = &*network;
        let (from, router) = sites[self.host as usize];
        let Some(datagram) = Datagram::read(&bytes) else { return self.traffic.lost += 1 };
        let hop_limit = datagram.hop_limit();
        let Some(&target) = hosts.get(&datagram.target()) else {
            return self.refuse(&bytes, Trouble::HostUnreachable, router, at.max(earliest));
        };
        if barriers.stop(self.host as usize, target as usize) {
            return self.traffic.lost += 1;
        }
        let delay = match &ways.rule {
            None => SimDuration::ZERO,
            Some(rule) => {
                let (source, target) = (self.host as usize, target as usize);
                match rule.judge(Packet { source, target, at, bytes: &mut bytes }) {
                    Verdict::Pass => SimDuration::ZERO,
                    Verdict::Delay(delay) => delay,
                    Verdict::Drop => return self.traffic.lost += 1,
                }
            }
        };
        let (to, _) = sites[target as usize];
        let Some(path) = routes.path(from, to) else {
            return self.refuse(&bytes, Trouble::NetUnreachable, router, at.max(earliest));
        };
        if !lower_hop_limit(&mut bytes, path.hop_count) {
            let hops = routes.hops(from, to);
            let Some(hop) = hops.get(usize::from(hop_limit).saturating_sub(1)) else {
                return self.traffic.lost += 1;
            };
            let back = (at + hop.latency + hop.latency).max(earliest);
            return self.refuse(&bytes, Trouble::OutOfHops, Router::new(hop.index), back);
        }
        match self.chance.send(at, &path) {
            Some(duration) => self.let_go(target, (at + duration + delay).max(earliest), bytes),
            None => self.traffic.lost += 1,
        }
    }

    fn let_go(&mut self, target: u32, arrival: SimTime, bytes: Vec<u8>) {
        self.last_number += 1;
        let (source, number) = (self.host, self.last_number);
        self.going.push(Transit { arrival, source, number, target, bytes });
    }

    /// A router tells the host why a datagram does not arrive.
    fn refuse(&mut self, bytes: &[u8], trouble: Trouble, router: Router, arrival: SimTime) {
        self.traffic.refused += 1;
        if let Some(report) = report(bytes, trouble, router) {
            self.let_go(self.host, arrival, report);
        }
    }

    /// What has been sent since the last time.
    pub(super) fn take_going(&mut self) -> Vec<Transit> {
        std::mem::take(&mut self.going)
    }

    /// How much traffic there was so far, and when.
    pub(super) fn time_line(&self) -> &TimeLine {
        &self.time_line
    }

    /// What has become of its datagrams so far.
    pub(super) fn traffic(&self) -> Traffic {
        let counts = self.downlink.counts();
        Traffic {
            received: counts.packets,
            received_bytes: counts.bytes,
            dropped: counts.dropped_by_codel + counts.dropped_at_limit,
            ..self.traffic
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Overrides, parse};
    use std::path::Path;

    /// Drops what comes at an even second, delays what is short, and changes the last byte of the rest.
    #[derive(Debug)]
    struct Picky;

    impl PacketRule for Picky {
        fn judge(&self, packet: Packet<'_>) -> Verdict {
            assert_eq!((packet.source, packet.target), (0, 1));
            if (packet.at.as_ns() / 1_000_000_000).is_multiple_of(2) {
                return Verdict::Drop;
            }
            if packet.bytes.len() < 25 {
                return Verdict::Delay(SimDuration::from_ns(7));
            }
            if let Some(last) = packet.bytes.last_mut() {
                *last = 9;
            }
            Verdict::Pass
        }
    }

    /// An IPv4 datagram of one host to another.
    fn datagram(from: [u8; 4], to: [u8; 4], payload: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0x45, 0, 0, 20 + payload.len() as u8, 0, 0, 0, 0, 64, 253, 0, 0];
        bytes.extend(from.iter().chain(&to).chain(payload));
        bytes
    }

    #[test]
    fn a_rule_drops_delays_and_changes_what_hosts_send() {
        let yaml = "{general: {stop_time: 9 s}, network: {graph: {type: 1_gbit_switch}}, hosts: \
                    {a: {network_node_id: 0, processes: []}, b: {network_node_id: 0, processes: []}}}";
        let scenario = parse(Path::new("x"), yaml, &Overrides::default()).unwrap().0;
        let [a, b] = [0, 1].map(|host| scenario.hosts[host].ipv4.octets());
        let ways = Arc::new(Ways::new(&scenario, Some(Arc::new(Picky))));
        let mut place = Place::new(&scenario, 0, &ways);
        let at = |seconds: u64| SimTime::from_ns(seconds * 1_000_000_000);
        let mut send = |seconds, payload: &[u8]| {
            let departure = Departure { at: at(seconds), bytes: datagram(a, b, payload) };
            place.send(departure, SimTime::ZERO);
            place.take_going().pop()
        };
        let ms = SimDuration::from_ns(1_000_000);
        assert_eq!(send(2, &[1; 10]), None);
        assert_eq!(send(1, &[1; 2]).unwrap().arrival, at(1) + ms + SimDuration::from_ns(7));
        let passed = send(3, &[1; 8]).unwrap();
        assert_eq!((passed.arrival, passed.target), (at(3) + ms, 1));
        assert_eq!(passed.bytes[20..], [1, 1, 1, 1, 1, 1, 1, 9]);
        assert_eq!((place.traffic().sent, place.traffic().lost), (3, 1));
        let line = place.time_line();
        assert_eq!(line.interval.as_ns(), 45_000_000);
        let total: u64 = line.sent_bytes.iter().sum();
        assert_eq!((total, place.traffic().sent_bytes), (80, 80));
        assert_eq!((line.sent_bytes[44], line.sent_bytes[66]), (30, 28));
    }

    #[test]
    fn time_lines_are_bounded_however_many_hosts_there_are() {
        let at = SimTime::from_ns;
        for (hosts, stop, interval) in
            [(1, 200, 1), (100, 201, 2), (200, 1000, 10), (100_000, 1000, 50), (1, 1, 1)]
        {
            let mut line = TimeLine::new(at(stop), hosts);
            assert_eq!(line.interval.as_ns(), interval, "{hosts} {stop}");
            line.sent(at(stop - 1), 3);
            line.received(SimTime::MAX, 4);
            assert!(line.sent_bytes.len() <= 200 && line.received_bytes.len() <= 201);
            assert_eq!(line.sent_bytes.last(), Some(&3));
            assert_eq!(line.received_bytes.last(), Some(&4));
        }
    }
}
