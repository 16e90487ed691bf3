//! `connect`: whom a datagram socket talks to, and a stream's way to a connection.
//!
//! Addresses in. Always true: a stream's call goes on where it was when it is made again; a way that failed leaves a
//! socket that may try another.

use core::net::IpAddr;

use shim_abi::Errno;

use super::{Inet, Phase, Reach, Role, address};
use crate::context::Context;
use crate::file::{FileId, ready};
use crate::net::tcp::{State, Tcp};
use crate::net::{Claim, Endpoint, Owner, Tuple, is_for_many};
use crate::socket::connect::{Attempt, Connecting};
use crate::socket::{Socket, SocketId};
use crate::waiters::Source;

impl Context<'_> {
    pub(in crate::socket) fn connect_inet(&mut self, call: &Connecting) -> Result<Attempt, Errno> {
        let (id, name) = (call.socket, call.address.as_slice());
        let file = self.kernel.sockets.get(id)?.file;
        if name.len() < 2 {
            return Err(Errno::EINVAL);
        }
        let inet = self.kernel.sockets.inet(id)?;
        let phase = match &inet.role {
            Role::Datagram(_) => return self.connect_datagrams(id, name),
            Role::Stream(stream) => stream.phase,
        };
        if address::is_unspecified(name) {
            self.disconnect_stream(id)?;
            return Ok(Attempt::Connected);
        }
        match phase {
            Phase::Connected | Phase::Listening => Err(Errno::EISCONN),
            Phase::Connecting if call.has_waited => {
                self.look_for_connection(file, id, Errno::EINPROGRESS)
            }
            Phase::Connecting => self.look_for_connection(file, id, Errno::EALREADY),
            Phase::Fresh => {
                self.begin_connection(id, name)?;
                // Who does not wait is told so, even if it is there already.
                if self.kernel.files.get(file)?.is_nonblocking() {
                    return Err(Errno::EINPROGRESS);
                }
                self.look_for_connection(file, id, Errno::EINPROGRESS)
            }
        }
    }

    fn connect_datagrams(&mut self, id: SocketId, name: &[u8]) -> Result<Attempt, Errno> {
        if address::is_unspecified(name) {
            self.kernel.forget_addresses(id)?;
            return Ok(Attempt::Connected);
        }
        self.kernel.need_port(id)?;
        let socket = self.kernel.sockets.get(id)?;
        let inet = socket.family.inet()?;
        let (target, source) = self.way_to(id, name)?;
        if matches!(target.ip, IpAddr::V4(ip) if ip.is_broadcast())
            && !socket.options.has(libc::SO_BROADCAST)
        {
            return Err(Errno::EACCES);
        }
        let local = inet.local.unwrap_or(source);
        let inet = self.kernel.sockets.inet_mut(id)?;
        (inet.local, inet.remote) = (Some(local), Some(target));
        self.kernel.claim_again(id);
        Ok(Attempt::Connected)
    }

    /// Whom an address means, and from where a socket gets there.
    fn way_to(&self, id: SocketId, name: &[u8]) -> Result<(Endpoint, IpAddr), Errno> {
        let inet = self.kernel.sockets.inet(id)?;
        let is_to_v4 = inet.is_v6
            && matches!(inet.role, Role::Datagram(_))
            && crate::socket::name::family_of(name) == libc::AF_INET;
        let target = address::read(name, inet.is_v6 && !is_to_v4)?;
        let target = inet.reachable(target);
        let is_v4 = target.ip.is_ipv4();
        if !inet.is_v6 || inet.reaches(is_v4) && inet.local.is_none_or(|ip| ip.is_ipv4() == is_v4) {
            let source = self.kernel.sockets.network.source_for(target.ip);
            return Ok((target, source.ok_or(Errno::ENETUNREACH)?));
        }
        Err(Errno::ENETUNREACH)
    }

    /// Ask for a connection.
    fn begin_connection(&mut self, id: SocketId, name: &[u8]) -> Result<(), Errno> {
        let (target, source) = self.way_to(id, name)?;
        if is_for_many(target.ip) {
            return Err(Errno::ENETUNREACH);
        }
        let sockets = &mut self.kernel.sockets;
        let socket = sockets.sockets.get_mut(&id).ok_or(Errno::EBADF)?;
        let mut claim = socket.claim()?;
        let inet = socket.family.inet_mut()?;
        let ip = inet.local.unwrap_or(source);
        let network = &mut sockets.network;
        let port = match inet.port {
            0 => {
                claim.is_of_connection = true;
                network.choose_port_for(ip, target).ok_or(Errno::EADDRNOTAVAIL)?
            }
            port => port,
        };
        let local = Endpoint { ip, port };
        let tuple: Tuple = (local, target);
        if !network.makes_room(tuple) {
            return Err(Errno::EADDRNOTAVAIL);
        }
        claim.address = Some(ip);
        if let Some(old) = inet.claim.take() {
            network.tcp_ports.remove(inet.port, old);
        }
        (inet.local, inet.port, inet.remote) = (Some(ip), port, Some(target));
        inet.shown_port = port;
        let marks = inet.options.marks_to(target.ip);
        let way = network.segment_bytes_to(target.ip);
        let stream = inet.stream_mut()?;
        stream.settings.way_segment_bytes = way;
        stream.settings.device_room_bytes = network.device_room_to(target.ip);
        let tcp = Tcp::connect(self.now, stream.settings, network.first_number());
        let connection = network.add_connection(tcp, tuple, Owner::Socket(id), claim, marks);
        stream.connection = Some(connection);
        stream.phase = Phase::Connecting;
        (socket.is_deaf, socket.is_mute) = (false, false);
        self.kernel.settle_network(self.now);
        Ok(())
    }

    /// Whether a connection is there, or has failed; `errno`: what who does not wait is told until then.
    fn look_for_connection(
        &mut self,
        file: FileId,
        id: SocketId,
        errno: Errno,
    ) -> Result<Attempt, Errno> {
        let sockets = &self.kernel.sockets;
        let connection = sockets.inet(id)?.connection();
        let state = connection.and_then(|it| sockets.network.connection(it)).map(|it| it.tcp.state);
        match state {
            Some(State::SynSent | State::SynReceived) => {
                Ok(Attempt::Waits(Source::File(file), errno))
            }
            Some(state) if state != State::Closed => {
                self.kernel.sockets.inet_mut(id)?.stream_mut()?.phase = Phase::Connected;
                Ok(Attempt::Connected)
            }
            _ => {
                let error = self.kernel.sockets.get_mut(id)?.check_error().err();
                self.disconnect_stream(id)?;
                Err(error.unwrap_or(Errno::ECONNABORTED))
            }
        }
    }

    /// A stream has no connection any more, and does not listen.
    pub(super) fn disconnect_stream(&mut self, id: SocketId) -> Result<(), Errno> {
        let sockets = &mut self.kernel.sockets;
        let stream = sockets.inet_mut(id)?.stream_mut()?;
        let phase = core::mem::replace(&mut stream.phase, Phase::Fresh);
        if phase == Phase::Listening {
            self.kernel.stop_listening(self.now, id)?;
        } else if let Some(connection) = stream.connection.take() {
            if let Some(connection) = sockets.network.connection_mut(connection) {
                connection.owner = Owner::Nobody;
                connection.tcp.abort();
            }
            self.kernel.settle_network(self.now);
        }
        self.kernel.forget_addresses(id)?;
        let socket = self.kernel.sockets.get_mut(id)?;
        (socket.is_deaf, socket.is_mute, socket.error) = (false, false, None);
        self.kernel.notify_socket(self.now, id, ready::ANY);
        Ok(())
    }
}

impl Inet {
    /// How a connection of a listening socket claims its port.
    pub(super) fn claim_of_child(&self, socket: &Socket, ip: IpAddr) -> Option<Claim> {
        let claim = socket.claim().ok()?;
        let reach = if ip.is_ipv4() { Reach::V4 } else { Reach::V6 };
        Some(Claim { address: Some(ip), reach, is_listening: false, ..claim })
    }
}
