//! What a packet does that has arrived, and what a connection has to send or to tell.
//!
//! Packets in, sockets told. Always true: everything that is under way arrives before the call is over that sent it;
//! what is told to a socket is told once. See `socket::inet` for what a socket makes of it.

use core::net::IpAddr;

use shim_abi::SimTime;

use super::packet::{Body, Endpoint, Packet};
use super::tcp::{Segment, State, flag};
use super::{Connection, ConnectionId, Owner, RESOLVER, Tuple};
use crate::agenda::Entry;
use crate::kernel::Kernel;
use crate::waiters::Source;

impl Kernel {
    /// Let everything arrive that is under way.
    pub(crate) fn settle_network(&mut self, now: SimTime) {
        let network = &mut self.sockets.network;
        if core::mem::replace(&mut network.is_delivering, true) {
            return;
        }
        network.latest = network.latest.max(now);
        loop {
            if let Some(id) = self.sockets.network.busy.pop_front() {
                self.look_after(now, id);
            } else if let Some(packet) = self.sockets.network.packets.pop_front() {
                self.pass(now, packet);
            } else {
                break;
            }
        }
        self.sockets.network.is_delivering = false;
    }

    /// The time has come for which a connection waits.
    pub(crate) fn expire_connection(&mut self, now: SimTime, id: ConnectionId) {
        if let Some(connection) = self.sockets.network.connection_mut(id) {
            connection.planned = SimTime::MAX;
            let was_held_back = connection.tcp.settings.device_room_bytes == 0;
            connection.free_device(now);
            connection.tcp.expire(now);
            if was_held_back {
                connection.tcp.push(now, false);
            }
        }
        self.settle_network(now);
    }

    /// Send what a connection has to send, tell what it has to tell, and plan what comes next.
    fn look_after(&mut self, now: SimTime, id: ConnectionId) {
        let network = &mut self.sockets.network;
        let Some(connection) = network.connections.get_mut(&id) else { return };
        let (source, target) = connection.addresses();
        let is_to_another = connection.tcp.settings.device_room_bytes != usize::MAX;
        connection.free_device(now);
        let (source_port, target_port) = (connection.local.port, connection.remote.port);
        let (hops, class) = (connection.hops, connection.class);
        for segment in connection.tcp.take_output() {
            let bytes = segment.bytes.len();
            let body = Body::Tcp { source_port, target_port, segment };
            let packet = Packet { source, target, hops, class, most_bytes: 0, body };
            if is_to_another {
                let left = network.outside.send(now, &packet).unwrap_or(now);
                connection.in_device.push_back((left, bytes));
            } else {
                network.packets.push_back(packet);
            }
        }
        let events = connection.tcp.take_events();
        let deadline = connection.deadline();
        let planned = core::mem::replace(&mut connection.planned, deadline);
        let (owner, state) = (connection.owner, connection.tcp.state);
        connection.note_end(now);
        if planned != deadline {
            self.agenda.remove(planned, Entry::Connection(id));
            self.agenda.add(deadline, Entry::Connection(id));
        }
        if state == State::Closed {
            network.unlist(id);
        }
        if owner == Owner::Nobody && !state.is_ending() {
            self.notify(now, Source::Connection(id));
        }
        match owner {
            Owner::Socket(socket) => self.tell_stream(now, socket, events),
            Owner::Listener(socket) if state.is_past_handshake() => {
                self.queue_connection(now, socket, id);
            }
            Owner::Listener(socket) if state == State::Closed => self.drop_embryo(socket, id),
            Owner::Resolver => self.hear_asker(now, id),
            Owner::Nobody if state == State::Closed => self.forget_connection(id),
            Owner::Nobody | Owner::Listener(_) | Owner::Queue(_) => {}
        }
    }

    /// A packet that was sent goes where it should: to the host itself, or to others.
    fn pass(&mut self, now: SimTime, packet: Packet) {
        let network = &mut self.sockets.network;
        if network.takes(packet.target) {
            network.outside.keep_looped(now, &packet);
            self.arrive(now, packet);
        } else if network.leads_to(packet.target) {
            network.outside.send(now, &packet);
        } else {
            network.lost_packets += 1;
        }
    }

    /// A packet has come that is for this host.
    pub(super) fn arrive(&mut self, now: SimTime, packet: Packet) {
        let (source, target) = (packet.source, packet.target);
        let ends = |source_port, target_port| {
            (Endpoint { ip: target, port: target_port }, Endpoint { ip: source, port: source_port })
        };
        match &packet.body {
            Body::Tcp { source_port, target_port, segment } => {
                let tuple = ends(*source_port, *target_port);
                self.arrive_at_connection(now, tuple, segment, (packet.hops, packet.class));
            }
            Body::Udp { source_port, target_port, .. } => {
                let (local, remote) = ends(*source_port, *target_port);
                self.arrive_at_datagrams(now, local, remote, packet);
            }
            Body::Error(complaint) => self.hear_complaint(now, &packet, complaint),
            Body::Echo { is_reply: true, identifier, .. } => {
                let (local, remote) = ends(0, *identifier);
                self.arrive_at_datagrams(now, local, remote, packet);
            }
            Body::Echo { identifier, sequence, bytes, .. } => {
                let (identifier, sequence, bytes) = (*identifier, *sequence, bytes.clone());
                let body = Body::Echo { is_reply: true, identifier, sequence, bytes };
                let echo = Packet { source: target, target: source, hops: 64, body, ..packet };
                self.sockets.network.send(echo);
            }
        }
    }

    fn arrive_at_connection(
        &mut self,
        now: SimTime,
        tuple: Tuple,
        segment: &Segment,
        marks: (u8, u8),
    ) {
        if let Some(id) = self.sockets.network.find(tuple) {
            if !self.makes_way(id, segment) {
                return self.arrive_at(now, id, segment, marks);
            }
            self.sockets.network.unlist(id);
            let of_nobody = |it: &Connection| it.owner == Owner::Nobody;
            if self.sockets.network.connection(id).is_some_and(of_nobody) {
                self.forget_connection(id);
            }
        }
        let is_request = segment.flags & (flag::SYN | flag::ACK | flag::RST) == flag::SYN;
        let listener = if is_request { self.sockets.listener_for(tuple) } else { None };
        // Only who is bound to its very address goes before the resolver.
        let is_for_resolver = is_request
            && tuple.0 == RESOLVER
            && !listener.is_some_and(|id| self.sockets.is_bound_to(id, RESOLVER.ip));
        match listener {
            _ if is_for_resolver => self.answer_request_of_asker(now, tuple, segment),
            Some(listener) => self.answer_request(now, listener, tuple, segment),
            None => self.sockets.network.refuse(tuple, segment),
        }
    }

    /// Whether a connection is over that is only remembered, and somebody asks for a new one with its endpoints.
    fn makes_way(&self, id: ConnectionId, segment: &Segment) -> bool {
        let Some(connection) = self.sockets.network.connection(id) else { return false };
        let is_request = segment.flags & (flag::SYN | flag::ACK | flag::RST) == flag::SYN;
        is_request && connection.tcp.state == State::TimeWait && connection.tcp.is_beyond(segment)
    }

    fn arrive_at(&mut self, now: SimTime, id: ConnectionId, segment: &Segment, marks: (u8, u8)) {
        let Some(connection) = self.sockets.network.connection(id) else { return };
        if let (Owner::Listener(listener), State::SynReceived) =
            (connection.owner, connection.tcp.state)
        {
            let is_bare = segment.span() == 0 && !segment.has(flag::RST);
            let is_put_off = is_bare && now < connection.deferred_until;
            let is_refusing = segment.flags & (flag::SYN | flag::RST) != 0;
            if is_put_off || !is_refusing && !self.sockets.has_room_for_connection(listener) {
                return;
            }
        }
        let Some(connection) = self.sockets.network.connection_mut(id) else { return };
        (connection.received_hops, connection.received_class) = marks;
        connection.free_device(now);
        connection.tcp.arrive(now, segment);
    }

    /// Nothing is left of a connection.
    pub(crate) fn forget_connection(&mut self, id: ConnectionId) {
        self.sockets.network.unlist(id);
        if let Some(connection) = self.sockets.network.connections.remove(&id) {
            self.agenda.remove(connection.planned, Entry::Connection(id));
            self.sockets.network.ledger.add(connection.record());
        }
    }
}

/// Whether packets for an address are for everybody who wants them.
pub(crate) fn is_for_many(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_multicast() || ip.is_broadcast(),
        IpAddr::V6(ip) => ip.is_multicast(),
    }
}
