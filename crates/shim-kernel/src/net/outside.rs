//! What leaves for other hosts, and what comes from them.
//!
//! Packets and instants in, IP datagrams as bytes out, and the other way round. Always true: datagrams leave one after the
//! other, no faster than the interface is, each at an instant that is known as soon as it is sent: no event is needed for
//! it; those that come are taken in the order of their instants. What happens between the hosts is their owner's.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::net::IpAddr;

use shim_abi::{SimDuration, SimTime};

use super::icmp::{self, Trouble};
use super::interfaces::{LOOPBACK_MTU, NETWORK_MTU};
use super::is_for_many;
use super::packet::Packet;
use super::wire::{self, Arrival, Reassembly};
use crate::agenda::Entry;
use crate::config::Config;
use crate::kernel::Kernel;

/// More than this the interface does not keep: as many whole datagrams as Linux's `txqueuelen` lets wait.
const MAX_WAITING_BYTES: u64 = 1000 * NETWORK_MTU as u64;
/// A connection hands the interface no more than what leaves within this time, as with Linux's small queues of TCP.
const SMALL_QUEUE: SimDuration = SimDuration::from_ns(1_000_000);
const NS_PER_S: u64 = 1_000_000_000;

/// A datagram that has left.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Departure {
    /// When its last bit left: not before the call of the guest that sent it, but perhaps after the step is over.
    pub at: SimTime,
    /// IPv4 or IPv6.
    pub bytes: Vec<u8>,
}

/// What an interface has carried.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Carried {
    pub(crate) datagrams: u64,
    pub(crate) bytes: u64,
    /// Those that it could not take, or that made no sense.
    pub(crate) dropped: u64,
}

/// The side of the network interface that looks at other hosts.
#[derive(Debug)]
pub(crate) struct Outside {
    pub(super) is_connected: bool,
    bits_per_second: u64,
    unlimited_until: SimTime,
    /// When the last datagram will have left.
    free_at: SimTime,
    departures: Vec<Departure>,
    /// What went by the loopback interface, if that is kept.
    looped: Option<Vec<Departure>>,
    arrivals: VecDeque<(SimTime, Vec<u8>)>,
    reassembly: Reassembly,
    last_identification: u32,
    pub(crate) sent: Carried,
    pub(crate) received: Carried,
}

impl Outside {
    pub(super) fn new(config: &Config, first_identification: u32) -> Outside {
        Outside {
            is_connected: config.is_connected,
            bits_per_second: config.upload_bits_per_second,
            unlimited_until: config.upload_unlimited_until,
            free_at: SimTime::ZERO,
            departures: Vec::new(),
            looped: config.is_capturing.then(Vec::new),
            arrivals: VecDeque::new(),
            reassembly: Reassembly::default(),
            last_identification: first_identification,
            sent: Carried::default(),
            received: Carried::default(),
        }
    }

    /// How long the interface is busy with so many bytes.
    fn duration_of(&self, bytes: u64) -> SimDuration {
        let ns = u128::from(bytes) * 8 * u128::from(NS_PER_S);
        let rate = u128::from(self.bits_per_second.max(1));
        SimDuration::from_ns(u64::try_from(ns.div_ceil(rate)).unwrap_or(u64::MAX))
    }

    /// When a datagram leaves that is sent now; nothing if too many wait.
    fn departure_of(&mut self, now: SimTime, bytes: u64) -> Option<SimTime> {
        if self.bits_per_second == 0 || now < self.unlimited_until {
            self.free_at = self.free_at.max(now);
            return Some(self.free_at);
        }
        let start = self.free_at.max(now);
        if start.since(now) > self.duration_of(MAX_WAITING_BYTES) {
            return None;
        }
        self.free_at = start + self.duration_of(bytes);
        Some(self.free_at)
    }

    /// When everything will have left that has been sent so far: what was sent last leaves then.
    pub(crate) fn free_at(&self) -> SimTime {
        self.free_at
    }

    /// Send a packet to another host; when its last part leaves.
    pub(super) fn send(&mut self, now: SimTime, packet: &Packet) -> Option<SimTime> {
        self.last_identification = self.last_identification.wrapping_add(1);
        let mut last = None;
        for bytes in
            wire::write(packet, self.last_identification, packet.most_bytes_by(NETWORK_MTU))
        {
            let length = bytes.len() as u64;
            let Some(at) = self.departure_of(now, length) else {
                self.sent.dropped += 1;
                return last;
            };
            self.sent.datagrams += 1;
            self.sent.bytes += length;
            self.departures.push(Departure { at, bytes });
            last = Some(at);
        }
        last
    }

    /// A packet goes by the loopback interface.
    pub(super) fn keep_looped(&mut self, now: SimTime, packet: &Packet) {
        let Some(looped) = &mut self.looped else { return };
        self.last_identification = self.last_identification.wrapping_add(1);
        for bytes in
            wire::write(packet, self.last_identification, packet.most_bytes_by(LOOPBACK_MTU))
        {
            looped.push(Departure { at: now, bytes });
        }
    }

    /// A datagram that has arrived by `now`.
    fn take_arrival(&mut self, now: SimTime) -> Option<Vec<u8>> {
        let (_, bytes) = self.arrivals.pop_front_if(|(at, _)| *at <= now)?;
        self.received.datagrams += 1;
        self.received.bytes += bytes.len() as u64;
        Some(bytes)
    }

    /// How much a connection may hand it at once: a segment at least, so that it is never idle.
    pub(super) fn room_bytes(&self) -> usize {
        let bytes = u128::from(self.bits_per_second) * u128::from(SMALL_QUEUE.as_ns());
        let bytes = bytes / (8 * u128::from(NS_PER_S));
        match self.bits_per_second {
            // It is never full, but what was not limited may not be limited later.
            0 => usize::MAX - 1,
            _ => (bytes as usize).max(2 * NETWORK_MTU as usize),
        }
    }
}

impl Kernel {
    /// A datagram of another host comes at `at`. To be called in the order of these instants; one that is past comes at
    /// once. What makes no sense is dropped and counted, as is what comes while the interface leads nowhere.
    pub fn deliver(&mut self, at: SimTime, bytes: &[u8]) {
        let outside = &mut self.sockets.network.outside;
        let place = outside.arrivals.partition_point(|(other, _)| *other <= at);
        outside.arrivals.insert(place, (at, bytes.to_vec()));
        if place == 0 {
            if let Some((second, _)) = outside.arrivals.get(1) {
                self.agenda.remove(*second, Entry::Arrival);
            }
            self.agenda.add(at, Entry::Arrival);
        }
    }

    /// The datagrams for other hosts that were sent since the last time, in the order in which they leave.
    pub fn take_departures(&mut self) -> Vec<Departure> {
        core::mem::take(&mut self.sockets.network.outside.departures)
    }

    /// What the host has sent to itself since the last time, if it is kept.
    pub fn take_looped(&mut self) -> Vec<Departure> {
        self.sockets.network.outside.looped.as_mut().map(core::mem::take).unwrap_or_default()
    }

    /// What is due by `now` arrives.
    pub(crate) fn let_arrive(&mut self, now: SimTime) {
        let now = now.max(self.sockets.network.latest);
        while let Some(bytes) = self.sockets.network.outside.take_arrival(now) {
            self.take_in(now, &bytes);
            self.settle_network(now);
        }
        if let Some((at, _)) = self.sockets.network.outside.arrivals.front() {
            self.agenda.add(*at, Entry::Arrival);
        }
    }

    /// A datagram has arrived.
    fn take_in(&mut self, now: SimTime, bytes: &[u8]) {
        let network = &mut self.sockets.network;
        match wire::read(bytes) {
            // Nobody is a router here.
            Ok(Arrival::Packet(packet)) if !network.takes(packet.target) => {
                network.outside.received.dropped += 1;
            }
            Ok(Arrival::Packet(packet)) => self.arrive(now, packet),
            Ok(Arrival::Fragment(fragment)) => {
                let reassembly = &mut network.outside.reassembly;
                let planned = reassembly.deadline();
                let whole = reassembly.join(now, fragment);
                self.plan_reassembly(planned);
                if let Some(whole) = whole {
                    self.take_in(now, &whole);
                }
            }
            Ok(Arrival::Unspoken) => {
                network
                    .packets
                    .extend(icmp::complaint_of_target(bytes, Trouble::ProtocolUnreachable));
            }
            Ok(Arrival::Idle) => {}
            Err(_) => network.outside.received.dropped += 1,
        }
    }

    /// Fragments have waited long enough for the others.
    pub(crate) fn give_up_fragments(&mut self, now: SimTime) {
        let network = &mut self.sockets.network;
        let planned = network.outside.reassembly.deadline();
        for first in network.outside.reassembly.expire(now) {
            network.packets.extend(icmp::complaint_of_target(&first, Trouble::OutOfTime));
        }
        self.plan_reassembly(planned);
        self.settle_network(now);
    }

    /// The reassembly's deadline was `planned`.
    fn plan_reassembly(&mut self, planned: SimTime) {
        let deadline = self.sockets.network.outside.reassembly.deadline();
        if deadline != planned {
            self.agenda.remove(planned, Entry::Reassembly);
            self.agenda.add(deadline, Entry::Reassembly);
        }
    }
}

/// Whether an address may be that of another host.
pub(super) fn is_of_another(ip: IpAddr) -> bool {
    !(ip.is_loopback() || ip.is_unspecified() || is_for_many(ip))
}
