//! The network of one host: its addresses and ports, its connections, and the packets that are under way within it.
//!
//! Packets in and out, sockets told. Rooms: `interfaces` (and routes), `packet`, `wire` (packets as bytes), `icmp` (what is said
//! of those that do not arrive), `ports` (who may use which), `resolver` (who answers questions about names), `tcp` (one end
//! of a connection), `connection` (ends with addresses), `deliver` (what a packet does that has arrived), `outside` (to and
//! from other hosts), `ledger` (what sockets have carried). Always true: a packet to one of
//! the host's own addresses is delivered at the instant at which it is sent, after those that were sent before it, as on
//! Linux's loopback interface; connections are found by their two endpoints, in one look. What sockets make of it is in
//! `socket::inet`; between hosts packets are the owner's, and those to groups and to everybody stay within the host.

mod connection;
mod deliver;
pub(crate) mod icmp;
pub(crate) mod interfaces;
pub(crate) mod ledger;
#[cfg(test)]
mod mutation;
mod outside;
mod packet;
mod ports;
mod resolver;
pub(crate) mod tcp;
mod wire;

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use shim_abi::SimTime;
use shim_abi::random::Stream;

pub(crate) use connection::{Connection, ConnectionId, Owner, Tuple};
pub(crate) use deliver::is_for_many;
pub use icmp::{Trouble, error_about};
use ledger::Ledger;
pub use ledger::{Amount, MOST_RECORDS, SocketRecord, SocketSum, Transport};
pub use outside::Departure;
use outside::Outside;
pub(crate) use packet::{Body, Endpoint, Packet};
pub(crate) use ports::{Claim, FIRST_UNPRIVILEGED, Ports, Reach, Rules};
use resolver::Questions;
pub(crate) use resolver::RESOLVER;
use tcp::{Segment, Sequence, State, Tcp};

use crate::config::Config;
use crate::socket::SocketId;
use interfaces::{LOOPBACK_MTU, NETWORK_MTU};

/// Bytes of headers before a segment's.
const V4_HEADERS_BYTES: usize = 40;
const V6_HEADERS_BYTES: usize = 60;
/// What the loopback interface carries, as Linux counts it for TCP.
const LOOPBACK_BYTES: usize = 65_535;

/// The network of a host.
#[derive(Debug)]
pub(crate) struct Network {
    /// Its own addresses beside the loopback ones.
    pub(crate) addresses: Vec<IpAddr>,
    /// How many of their bits name the network: of IPv4, of IPv6.
    prefix_bits: [u8; 2],
    pub(crate) tcp_ports: Ports,
    pub(crate) udp_ports: Ports,
    pub(crate) lite_ports: Ports,
    pub(crate) echo_ports: Ports,
    connections: BTreeMap<ConnectionId, Connection>,
    last_connection: u32,
    tuples: BTreeMap<Tuple, ConnectionId>,
    /// Who listens at a port, and who gets its datagrams, in the order in which they came.
    listeners: BTreeMap<u16, Vec<SocketId>>,
    receivers: BTreeMap<u16, Vec<SocketId>>,
    /// Who gets echoes, by identifier.
    listeners_for_echoes: BTreeMap<u16, Vec<SocketId>>,
    receivers_of_lite: BTreeMap<u16, Vec<SocketId>>,
    /// Groups that somebody has joined, and how many have.
    groups: BTreeMap<IpAddr, u32>,
    /// Under way.
    packets: VecDeque<Packet>,
    is_delivering: bool,
    /// The latest instant at which anything was sent or came.
    latest: SimTime,
    /// The way to other hosts.
    pub(crate) outside: Outside,
    /// Connections that have something to send or to tell.
    busy: VecDeque<ConnectionId>,
    /// State of the stream that ports and first numbers come from.
    chance: [u64; 4],
    /// What decides which socket of a group gets what.
    chance_of_groups: u64,
    /// What the resolver has been asked.
    questions: Questions,
    /// Packets for addresses that nobody here has.
    pub(crate) lost_packets: u64,
    /// What sockets have carried that are gone.
    pub(crate) ledger: Ledger,
}

impl Network {
    pub(crate) fn new(config: &Config) -> Network {
        let mut chance = Stream::named(config.seed, &["host", &config.hostname, "network"]);
        let chance_of_groups = chance.next_u64();
        let outside = Outside::new(config, chance.next_u64() as u32);
        let v4 = config.ipv4.map(|bytes| IpAddr::V4(Ipv4Addr::from(bytes)));
        let v6 = config.ipv6.map(|bytes| IpAddr::V6(Ipv6Addr::from(bytes)));
        Network {
            addresses: v4.into_iter().chain(v6).collect(),
            prefix_bits: [config.ipv4_prefix_bits, config.ipv6_prefix_bits],
            tcp_ports: Ports::new(Rules::Stream),
            udp_ports: Ports::new(Rules::Datagram),
            lite_ports: Ports::new(Rules::Lite),
            echo_ports: Ports::new(Rules::Echo),
            connections: BTreeMap::new(),
            last_connection: 0,
            tuples: BTreeMap::new(),
            listeners: BTreeMap::new(),
            receivers: BTreeMap::new(),
            listeners_for_echoes: BTreeMap::new(),
            receivers_of_lite: BTreeMap::new(),
            groups: BTreeMap::new(),
            packets: VecDeque::new(),
            is_delivering: false,
            latest: SimTime::ZERO,
            outside,
            busy: VecDeque::new(),
            chance: chance.state(),
            chance_of_groups,
            questions: Questions::default(),
            lost_packets: 0,
            ledger: Ledger::default(),
        }
    }

    /// Whether an address is one of the host's own.
    pub(crate) fn is_local(&self, ip: IpAddr) -> bool {
        ip.is_loopback() || self.addresses.contains(&ip)
    }

    /// The address from which it sends to another one: nothing if there is no way.
    pub(crate) fn source_for(&self, target: IpAddr) -> Option<IpAddr> {
        match target {
            IpAddr::V4(ip) if ip.is_loopback() => Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
            _ if self.is_local(target) => Some(target),
            _ if target.is_multicast() => Some(self.own_address(target.is_ipv4())),
            _ if self.leads_to(target) => {
                self.addresses.iter().copied().find(|ip| ip.is_ipv4() == target.is_ipv4())
            }
            _ => None,
        }
    }

    /// Whether packets for an address are for this host, or for a group that somebody here has joined.
    fn takes(&self, target: IpAddr) -> bool {
        self.is_local(target) || self.groups.contains_key(&target)
    }

    /// Whether packets for an address go to other hosts.
    fn leads_to(&self, target: IpAddr) -> bool {
        self.outside.is_connected && outside::is_of_another(target) && !self.is_local(target)
    }

    fn own_address(&self, is_v4: bool) -> IpAddr {
        let own = self.addresses.iter().copied().find(|ip| ip.is_ipv4() == is_v4);
        own.unwrap_or(match is_v4 {
            true => IpAddr::V4(Ipv4Addr::LOCALHOST),
            false => IpAddr::V6(Ipv6Addr::LOCALHOST),
        })
    }

    /// What a segment may carry on the way to an address.
    pub(crate) fn segment_bytes_to(&self, target: IpAddr) -> usize {
        let headers = if target.is_ipv4() { V4_HEADERS_BYTES } else { V6_HEADERS_BYTES };
        self.datagram_bytes_to(target) - headers
    }

    /// What the interface carries that leads to an address.
    pub(crate) fn mtu_to(&self, target: IpAddr) -> u32 {
        if self.leads_to(target) { NETWORK_MTU } else { LOOPBACK_MTU }
    }

    /// What a datagram may be long that goes to an address in one piece.
    pub(crate) fn datagram_bytes_to(&self, target: IpAddr) -> usize {
        if self.leads_to(target) { NETWORK_MTU as usize } else { LOOPBACK_BYTES }
    }

    /// How much a connection may hand at once to the interface that leads to an address.
    pub(crate) fn device_room_to(&self, target: IpAddr) -> usize {
        if self.leads_to(target) { self.outside.room_bytes() } else { usize::MAX }
    }

    /// A number by chance.
    pub(crate) fn draw(&mut self) -> u64 {
        self.with_chance(|_, chance| chance.next_u64())
    }
    fn with_chance<R>(&mut self, act: impl FnOnce(&Network, &mut Stream) -> R) -> R {
        let mut chance = Stream::from_state(self.chance);
        let result = act(self, &mut chance);
        self.chance = chance.state();
        result
    }
    pub(crate) fn first_number(&mut self) -> Sequence {
        Sequence(self.draw() as u32)
    }

    fn ports(&self, rules: Rules) -> &Ports {
        match rules {
            Rules::Stream => &self.tcp_ports,
            Rules::Datagram => &self.udp_ports,
            Rules::Lite => &self.lite_ports,
            Rules::Echo => &self.echo_ports,
        }
    }
    pub(crate) fn ports_mut(&mut self, rules: Rules) -> &mut Ports {
        match rules {
            Rules::Stream => &mut self.tcp_ports,
            Rules::Datagram => &mut self.udp_ports,
            Rules::Lite => &mut self.lite_ports,
            Rules::Echo => &mut self.echo_ports,
        }
    }

    /// Any port that a claim can have.
    pub(crate) fn choose_port(&mut self, rules: Rules, claim: &Claim) -> Option<u16> {
        // Whoever asks for any port shares it with nobody.
        let claim = Claim { is_shared: false, ..*claim };
        self.with_chance(|network, chance| {
            network.ports(rules).choose(chance, |ports, port| ports.is_free(port, &claim))
        })
    }

    /// Any port that a connection from an address to another one can have.
    pub(crate) fn choose_port_for(&mut self, from: IpAddr, to: Endpoint) -> Option<u16> {
        self.with_chance(|network, chance| {
            network.tcp_ports.choose(chance, |ports, port| {
                let local = Endpoint { ip: from, port };
                ports.is_free_for_connection(port) && !network.tuples.contains_key(&(local, to))
            })
        })
    }

    /// A socket listens at a port.
    pub(crate) fn add_listener(&mut self, port: u16, id: SocketId) {
        self.listeners.entry(port).or_default().push(id);
    }
    fn receivers_mut(&mut self, rules: Rules) -> &mut BTreeMap<u16, Vec<SocketId>> {
        match rules {
            Rules::Echo => &mut self.listeners_for_echoes,
            Rules::Lite => &mut self.receivers_of_lite,
            Rules::Stream | Rules::Datagram => &mut self.receivers,
        }
    }
    /// A socket gets datagrams that come to a port.
    pub(crate) fn add_receiver(&mut self, rules: Rules, port: u16, id: SocketId) {
        self.receivers_mut(rules).entry(port).or_default().push(id);
    }
    pub(crate) fn remove_listener(&mut self, port: u16, id: SocketId) {
        forget(&mut self.listeners, port, id);
    }
    pub(crate) fn remove_receiver(&mut self, rules: Rules, port: u16, id: SocketId) {
        forget(self.receivers_mut(rules), port, id);
    }
    pub(crate) fn listeners(&self, port: u16) -> &[SocketId] {
        self.listeners.get(&port).map_or(&[], Vec::as_slice)
    }
    pub(crate) fn receivers(&self, rules: Rules, port: u16) -> &[SocketId] {
        let receivers = match rules {
            Rules::Echo => &self.listeners_for_echoes,
            Rules::Lite => &self.receivers_of_lite,
            Rules::Stream | Rules::Datagram => &self.receivers,
        };
        receivers.get(&port).map_or(&[], Vec::as_slice)
    }

    /// One more or less has joined a group.
    pub(crate) fn join(&mut self, group: IpAddr) {
        *self.groups.entry(group).or_insert(0) += 1;
    }
    pub(crate) fn leave(&mut self, group: IpAddr) {
        if let Some(count) = self.groups.get_mut(&group) {
            *count -= 1;
            if *count == 0 {
                self.groups.remove(&group);
            }
        }
    }

    /// Send a packet.
    pub(crate) fn send(&mut self, packet: Packet) {
        self.packets.push_back(packet);
    }

    pub(crate) fn connection(&self, id: ConnectionId) -> Option<&Connection> {
        self.connections.get(&id)
    }
    /// The same, with their numbers.
    pub(crate) fn identified_connections(
        &self,
    ) -> impl Iterator<Item = (ConnectionId, &Connection)> + '_ {
        self.connections.iter().map(|(&id, connection)| (id, connection))
    }
    /// All of them, in the order in which they were made.
    pub(crate) fn connections(&self) -> impl Iterator<Item = &Connection> + '_ {
        self.connections.values()
    }
    /// A connection, to be changed: what it then has to send or to tell is looked after.
    pub(crate) fn connection_mut(&mut self, id: ConnectionId) -> Option<&mut Connection> {
        let connection = self.connections.get_mut(&id)?;
        self.busy.push_back(id);
        Some(connection)
    }
    /// Which connection has these endpoints.
    pub(crate) fn find(&self, tuple: Tuple) -> Option<ConnectionId> {
        self.tuples.get(&tuple).copied()
    }

    /// Let no connection that is only remembered stand in the way of a new one; whether none does.
    pub(crate) fn makes_room(&mut self, tuple: Tuple) -> bool {
        let Some(id) = self.find(tuple) else { return true };
        let is_past = self.connection(id).is_some_and(|it| it.tcp.state == State::TimeWait);
        if is_past {
            self.unlist(id);
        }
        is_past
    }

    /// One of some sockets that are equal: the newest, or if all share a port as a group, the one that these endpoints
    /// always get.
    pub(crate) fn pick(
        &self,
        (local, remote): Tuple,
        mut equal: impl Iterator<Item = SocketId> + Clone,
        is_group: bool,
    ) -> Option<SocketId> {
        if !is_group {
            return equal.last();
        }
        let count = equal.clone().count() as u64;
        let octets = |ip: IpAddr| match ip {
            IpAddr::V4(ip) => u128::from(ip.to_bits()),
            IpAddr::V6(ip) => ip.to_bits(),
        };
        let mut hash = self.chance_of_groups;
        for part in [octets(local.ip), octets(remote.ip), local.port.into(), remote.port.into()] {
            for half in [part as u64, (part >> 64) as u64] {
                hash = (hash ^ half).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
            }
        }
        equal.nth(hash.checked_rem(count)? as usize)
    }

    /// A new connection, which claims its port.
    pub(crate) fn add_connection(
        &mut self,
        tcp: Tcp,
        (local, remote): Tuple,
        owner: Owner,
        claim: Claim,
        (hops, class): (u8, u8),
    ) -> ConnectionId {
        self.last_connection += 1;
        let id = ConnectionId(self.last_connection);
        self.tcp_ports.add(local.port, claim);
        self.tuples.insert((local, remote), id);
        let connection = Connection {
            opened_at: tcp.clock(),
            closed_at: None,
            tcp,
            local,
            remote,
            owner,
            claim,
            is_listed: true,
            planned: SimTime::MAX,
            in_device: VecDeque::new(),
            hops,
            class,
            received_hops: 0,
            received_class: 0,
            was_there: false,
            deferred_until: SimTime::ZERO,
        };
        self.connections.insert(id, connection);
        self.busy.push_back(id);
        id
    }

    /// No segment finds a connection any more, and it claims its port no more.
    fn unlist(&mut self, id: ConnectionId) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        if core::mem::take(&mut connection.is_listed) {
            self.tuples.remove(&connection.tuple());
            self.tcp_ports.remove(connection.local.port, connection.claim);
        }
    }

    /// The refusal of a segment that nobody expects.
    fn refuse(&mut self, (local, remote): Tuple, segment: &Segment) {
        if let Some(segment) = segment.refusal() {
            let (source_port, target_port) = (local.port, remote.port);
            let body = Body::Tcp { source_port, target_port, segment };
            let (source, target) = (local.ip, remote.ip);
            self.send(Packet { source, target, hops: 64, class: 0, most_bytes: 0, body });
        }
    }
}

fn forget(map: &mut BTreeMap<u16, Vec<SocketId>>, port: u16, id: SocketId) {
    if let Some(list) = map.get_mut(&port) {
        list.retain(|&other| other != id);
        if list.is_empty() {
            map.remove(&port);
        }
    }
}
