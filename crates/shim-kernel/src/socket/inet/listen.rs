//! `listen` and `accept`: connections that others ask for.
//!
//! Segments in, sockets out. Always true: no more connections wait for `accept` than may, and one more, as on Linux;
//! those that do not fit are answered when there is room; what a connection begins with is what its listener has.

use alloc::boxed::Box;
use alloc::collections::{BTreeSet, VecDeque};

use shim_abi::{Errno, SimDuration, SimTime};

use super::{Inet, Phase, Role, Stream};
use crate::context::{Answer, Context, done};
use crate::file::{IoReason, ready};
use crate::kernel::Kernel;
use crate::net::tcp::{Segment, State, Tcp};
use crate::net::{ConnectionId, Owner, Tuple};
use crate::socket::family::Family;
use crate::socket::{Kind, SocketId, Sockets};

impl Context<'_> {
    pub(in crate::socket) fn listen_inet(&mut self, id: SocketId, backlog: u32) -> Answer {
        let stream = self.kernel.sockets.inet_mut(id)?.stream_mut()?;
        match stream.phase {
            Phase::Connecting | Phase::Connected => return Err(Errno::EINVAL),
            Phase::Listening => {
                stream.backlog = backlog as usize;
                return done(0);
            }
            Phase::Fresh => {}
        }
        stream.backlog = backlog as usize;
        self.kernel.need_port(id).map_err(|_| Errno::EADDRINUSE)?;
        let sockets = &mut self.kernel.sockets;
        let socket = sockets.sockets.get_mut(&id).ok_or(Errno::EBADF)?;
        socket.family.inet_mut()?.stream_mut()?.phase = Phase::Listening;
        let claim = socket.claim()?;
        let inet = socket.family.inet_mut()?;
        let ports = &mut sockets.network.tcp_ports;
        if let Some(old) = inet.claim.take() {
            ports.remove(inet.port, old);
        }
        let is_free = ports.is_free(inet.port, &claim);
        if !is_free {
            inet.stream_mut()?.phase = Phase::Fresh;
        }
        let port = inet.port;
        let claim = socket.claim()?;
        socket.family.inet_mut()?.claim = Some(claim);
        (socket.is_deaf, socket.is_mute) = (false, false);
        sockets.network.tcp_ports.add(port, claim);
        if !is_free {
            return Err(Errno::EADDRINUSE);
        }
        sockets.network.add_listener(port, id);
        self.kernel.notify_socket(self.now, id, ready::ANY);
        done(0)
    }

    /// A connection that waits, as a socket; its file has one reference.
    pub(in crate::socket) fn take_inet_connection(
        &mut self,
        id: SocketId,
    ) -> Result<SocketId, Errno> {
        let sockets = &mut self.kernel.sockets;
        let inet = sockets.inet_mut(id)?;
        let is_v6 = inet.is_v6;
        let stream = inet.stream_mut()?;
        let connection = stream.queue.pop_front().ok_or(Errno::EAGAIN)?;
        let deferral_secs = stream.deferral_secs;
        let listener = sockets.get(id)?;
        let inherited = listener.family.inet()?.options.of_child();
        let options = listener.options.clone();
        let it = sockets.network.connection(connection).ok_or(Errno::ECONNABORTED)?;
        let role = Role::Stream(Stream {
            phase: Phase::Connected,
            connection: Some(connection),
            queue: VecDeque::new(),
            embryos: BTreeSet::new(),
            backlog: 0,
            settings: it.tcp.settings,
            deferral_secs,
        });
        let inet = Inet {
            is_v6,
            local: Some(it.local.ip),
            port: it.local.port,
            shown_port: it.local.port,
            is_address_fixed: true,
            is_port_fixed: false,
            reach: it.claim.reach,
            claim: None,
            remote: Some(it.remote),
            options: inherited,
            role,
            protocol: libc::IPPROTO_TCP,
        };
        let child = sockets.new_id();
        let file = self.add_socket(child, Kind::Stream, Family::Inet(Box::new(inet)), 0);
        self.kernel.files.retain(file);
        self.kernel.sockets.get_mut(child)?.options = options;
        if let Some(it) = self.kernel.sockets.network.connection_mut(connection) {
            it.owner = Owner::Socket(child);
        }
        self.kernel.look_at_stream(self.now, child);
        self.kernel.settle_network(self.now);
        Ok(child)
    }
}

impl Sockets {
    /// Whether a connection waits at a socket: EINVAL if it does not listen.
    pub(in crate::socket) fn has_inet_connection(&self, id: SocketId) -> Result<bool, Errno> {
        let stream = self.inet(id)?.stream()?;
        match stream.phase {
            Phase::Listening => Ok(!stream.queue.is_empty()),
            _ => Err(Errno::EINVAL),
        }
    }
    /// Who is asked for a connection.
    pub(crate) fn listener_for(&self, (local, remote): Tuple) -> Option<SocketId> {
        let listeners = self.network.listeners(local.port);
        let fit = |id: &SocketId| {
            let inet = self.inet(*id).ok()?;
            let score = match inet.local {
                Some(ip) if ip != local.ip => return None,
                Some(_) => 4,
                None if !inet.reaches(local.ip.is_ipv4()) => return None,
                None => 1,
            };
            Some(score + u32::from(!inet.is_v6))
        };
        let best = listeners.iter().filter_map(fit).max()?;
        let equal = listeners.iter().copied().filter(|id| fit(id) == Some(best));
        let is_group = equal.clone().all(|id| self.is_in_port_group(id));
        self.network.pick((local, remote), equal, is_group)
    }

    /// Whether one more connection may wait.
    pub(crate) fn has_room_for_connection(&self, listener: SocketId) -> bool {
        let stream = self.inet(listener).and_then(Inet::stream);
        stream.is_ok_and(|stream| stream.queue.len() <= stream.backlog)
    }
}

impl Kernel {
    /// Somebody asks for a connection.
    pub(crate) fn answer_request(
        &mut self,
        now: SimTime,
        listener: SocketId,
        tuple: Tuple,
        segment: &Segment,
    ) {
        if !self.sockets.has_room_for_connection(listener) {
            return;
        }
        let Ok(socket) = self.sockets.get(listener) else { return };
        let Ok(inet) = socket.family.inet() else { return };
        let Some(claim) = inet.claim_of_child(socket, tuple.0.ip) else { return };
        let Ok(stream) = inet.stream() else { return };
        let (mut settings, deferral_secs) = (stream.settings, stream.deferral_secs);
        let marks = inet.options.marks_to(tuple.1.ip);
        let network = &mut self.sockets.network;
        settings.way_segment_bytes = network.segment_bytes_to(tuple.1.ip);
        settings.device_room_bytes = network.device_room_to(tuple.1.ip);
        let tcp = Tcp::answer(now, settings, network.first_number(), segment);
        let id = network.add_connection(tcp, tuple, Owner::Listener(listener), claim, marks);
        if let Some(connection) = network.connection_mut(id) {
            let deferral = SimDuration::from_secs(deferral_secs.into());
            let until = now.as_ns().saturating_add(deferral.as_ns());
            connection.deferred_until = SimTime::from_ns(until);
        }
        if let Ok(stream) = self.sockets.inet_mut(listener).and_then(Inet::stream_mut) {
            stream.embryos.insert(id);
        }
    }

    /// A connection is there: it waits for `accept`.
    pub(crate) fn queue_connection(&mut self, now: SimTime, listener: SocketId, id: ConnectionId) {
        let Ok(stream) = self.sockets.inet_mut(listener).and_then(Inet::stream_mut) else { return };
        stream.embryos.remove(&id);
        stream.queue.push_back(id);
        if let Some(connection) = self.sockets.network.connection_mut(id) {
            connection.owner = Owner::Queue(listener);
        }
        self.notify_socket(now, listener, ready::INPUT);
        self.signal_owner(now, listener, IoReason::Input);
    }

    /// A connection that was asked for has come to nothing.
    pub(crate) fn drop_embryo(&mut self, listener: SocketId, id: ConnectionId) {
        if let Ok(stream) = self.sockets.inet_mut(listener).and_then(Inet::stream_mut) {
            stream.embryos.remove(&id);
        }
        self.forget_connection(id);
    }

    /// A socket listens no more: who waits is turned away.
    pub(super) fn stop_listening(&mut self, now: SimTime, id: SocketId) -> Result<(), Errno> {
        let inet = self.sockets.inet_mut(id)?;
        let port = inet.port;
        let stream = inet.stream_mut()?;
        let queue = core::mem::take(&mut stream.queue);
        let embryos = core::mem::take(&mut stream.embryos);
        stream.phase = Phase::Fresh;
        self.sockets.network.remove_listener(port, id);
        self.turn_away(now, queue, embryos);
        Ok(())
    }

    pub(super) fn turn_away(
        &mut self,
        now: SimTime,
        queue: VecDeque<ConnectionId>,
        embryos: BTreeSet<ConnectionId>,
    ) {
        embryos.into_iter().for_each(|id| self.forget_connection(id));
        for id in queue {
            if let Some(connection) = self.sockets.network.connection_mut(id) {
                connection.owner = Owner::Nobody;
                match connection.tcp.state {
                    State::TimeWait => {}
                    _ => connection.tcp.abort(),
                }
            }
        }
        self.settle_network(now);
    }
}
