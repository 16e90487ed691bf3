//! What sockets learn of their connections, what they are ready for, and how they end.
//!
//! Events in, readiness and signals out. Always true: a socket knows of an end as soon as its connection does; what is
//! not sent when a socket is closed is sent all the same, unless something was not read, or SO_LINGER says otherwise.

use shim_abi::{Errno, SimTime};

use super::{Inet, Phase, Role, Stream};
use crate::file::{IoReason, ready};
use crate::kernel::Kernel;
use crate::net::tcp::{State, Tcp, event};
use crate::net::{Connection, Owner};
use crate::socket::{Socket, SocketId, Sockets};

/// What may be sent once there is a connection, if nobody has said: what Linux comes to on its loopback interface.
const CONNECTED_SEND_BYTES: usize = 2_626_560;

impl Sockets {
    fn tcp(&self, stream: &Stream) -> Option<&Tcp> {
        self.network.connection(stream.connection?).map(|it| &it.tcp)
    }

    /// What can be done with a socket.
    pub(in crate::socket) fn inet_readiness(&self, socket: &Socket, inet: &Inet) -> u32 {
        let bit = |is_set, bits| if is_set { bits } else { 0 };
        let both = socket.is_deaf && socket.is_mute;
        let stream = match &inet.role {
            Role::Stream(stream) => stream,
            Role::Datagram(datagrams) => {
                let has_failed = socket.error.is_some() || !datagrams.failures.is_empty();
                return bit(has_failed, ready::ERR)
                    | bit(socket.is_deaf, ready::READ_HUP | ready::READ)
                    | bit(both, ready::HUP)
                    | bit(!datagrams.queue.is_empty(), ready::READ)
                    | bit(
                        datagrams.leaving.is_writable(socket.options.send_bytes),
                        ready::WRITE | ready::WRITE_BAND,
                    );
            }
        };
        if stream.phase == Phase::Listening {
            return bit(!stream.queue.is_empty(), ready::READ);
        }
        let tcp = self.tcp(stream);
        let state = tcp.map_or(State::Closed, |tcp| tcp.state);
        let is_closed = matches!(state, State::Closed | State::TimeWait);
        let mut bits = bit(both || is_closed, ready::HUP)
            | bit(socket.is_deaf, ready::READ_HUP | ready::READ)
            | bit(socket.error.is_some(), ready::ERR);
        if !matches!(state, State::SynSent | State::SynReceived) {
            let is_writable = tcp.is_none_or(Tcp::is_writable);
            let enough = socket.options.low_water_bytes.max(1);
            bits |= bit(tcp.is_some_and(|tcp| tcp.has_input(enough)), ready::READ)
                | bit(socket.is_mute || is_writable, ready::WRITE)
                | bit(tcp.is_some_and(|tcp| tcp.urgent().is_some_and(|it| it.is_ok())), ready::PRI);
        }
        bits
    }

    /// FIONREAD.
    pub(in crate::socket) fn inet_unread_bytes(&self, inet: &Inet) -> usize {
        match &inet.role {
            Role::Stream(stream) => self.tcp(stream).map_or(0, Tcp::unread_bytes),
            Role::Datagram(datagrams) => {
                datagrams.queue.front().map_or(0, |message| message.bytes.len())
            }
        }
    }
    /// SIOCOUTQ.
    pub(in crate::socket) fn inet_unsent_bytes(&self, inet: &Inet) -> usize {
        match &inet.role {
            Role::Stream(stream) => self.tcp(stream).map_or(0, Tcp::unacknowledged_bytes),
            Role::Datagram(_) => 0,
        }
    }
    /// SIOCATMARK.
    pub(in crate::socket) fn is_inet_at_mark(&self, inet: &Inet) -> Result<bool, Errno> {
        match &inet.role {
            Role::Stream(stream) => Ok(self.tcp(stream).is_some_and(Tcp::is_at_urgent)),
            Role::Datagram(_) => Err(Errno::ENOTTY),
        }
    }
}

impl Kernel {
    /// A connection tells its socket what has changed.
    pub(crate) fn tell_stream(&mut self, now: SimTime, id: SocketId, events: u8) {
        if events == 0 {
            return;
        }
        let had_begun = self.look_at_stream(now, id);
        let Ok(socket) = self.sockets.get(id) else { return };
        let is_mute = socket.is_mute;
        let is_deaf = socket.is_deaf;
        if events & event::STATE != 0 {
            self.notify_socket(now, id, ready::ANY);
        }
        if events & event::INPUT != 0 {
            self.notify_socket(now, id, ready::INPUT);
        }
        if events & event::ROOM != 0 {
            self.notify_socket(now, id, ready::WRITE | ready::WRITE_BAND);
        }
        if events & event::URGENT != 0 {
            self.notify_socket(now, id, ready::PRI);
            if let Ok(file) = self.sockets.get(id).map(|socket| socket.file) {
                self.send_urgent_signal(now, file);
            }
        }
        if events & event::ERROR != 0 {
            self.notify_socket(now, id, ready::ERR);
        }
        if had_begun || events & event::ROOM != 0 {
            self.signal_owner(now, id, IoReason::Room);
        }
        if events & event::INPUT != 0 && !is_deaf {
            self.signal_owner(now, id, IoReason::Input);
        } else if events & event::STATE != 0 && is_deaf {
            let reason = if is_mute { IoReason::End } else { IoReason::Input };
            self.signal_owner(now, id, reason);
        }
    }

    /// Let a socket know what its connection knows; whether the connection is there since just now.
    pub(in crate::socket) fn look_at_stream(&mut self, now: SimTime, id: SocketId) -> bool {
        let Ok(inet) = self.sockets.inet(id) else { return false };
        let Some(connection) = inet.connection() else { return false };
        let is_port_fixed = inet.is_port_fixed;
        let Some(it) = self.sockets.network.connection_mut(connection) else { return false };
        let is_closed = it.tcp.is_closed();
        let has_ended = it.tcp.has_peer_ended();
        let is_there = it.tcp.state.is_past_handshake();
        let has_begun = is_there && !core::mem::replace(&mut it.was_there, true);
        let error = it.tcp.error.take();
        let Ok(socket) = self.sockets.get_mut(id) else { return false };
        socket.is_deaf |= is_closed || has_ended;
        socket.is_mute |= is_closed;
        if error.is_some() {
            socket.error = error;
        }
        if has_begun && !socket.options.is_send_size_fixed {
            socket.options.send_bytes = socket.options.send_bytes.max(CONNECTED_SEND_BYTES);
            self.apply_options(now, id);
        }
        if is_closed && is_port_fixed {
            self.claim_anew(id);
        }
        has_begun
    }

    /// A socket is gone.
    pub(in crate::socket) fn close_inet(
        &mut self,
        now: SimTime,
        id: SocketId,
        mut inet: Inet,
        linger_secs: Option<u32>,
    ) {
        self.sockets.network.ledger.add(inet.record(Some(now)));
        let port = inet.port;
        self.give_up_port(id, &mut inet);
        for &group in inet.options.groups() {
            self.sockets.network.leave(group);
        }
        let Role::Stream(stream) = inet.role else { return };
        if stream.phase == Phase::Listening {
            self.sockets.network.remove_listener(port, id);
            return self.turn_away(now, stream.queue, stream.embryos);
        }
        let Some(connection) = stream.connection else { return };
        if let Some(it) = self.sockets.network.connection_mut(connection) {
            it.end(now, linger_secs == Some(0));
        }
        self.settle_network(now);
    }
}

impl Connection {
    /// Nobody uses it any more.
    fn end(&mut self, now: SimTime, is_hurried: bool) {
        self.owner = Owner::Nobody;
        match self.tcp.state {
            State::Closed | State::TimeWait => {}
            State::SynSent | State::SynReceived => self.tcp.abort(),
            _ if is_hurried || self.tcp.unread_bytes() > 0 => self.tcp.abort(),
            _ => {
                if self.tcp.can_send() {
                    self.tcp.finish(now);
                }
                self.tcp.release(now);
            }
        }
    }
}
