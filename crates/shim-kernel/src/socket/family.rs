//! What differs between families: each question to a socket that its family answers.
//!
//! Sockets in, the family's answers out. Always true: this is the one place that knows which families there are;
//! another family is another arm of each `match` here. What a family does is in its own room.

use alloc::boxed::Box;
use alloc::vec::Vec;

use shim_abi::{Errno, SimTime};

use super::connect::{Attempt, Connecting};
use super::exchange::Exchange;
use super::inet::Inet;
use super::netlink::Netlink;
use super::option::Options;
use super::unix::{Credentials, Unix};
use super::{Kind, Socket, SocketId, Sockets};
use crate::context::{Answer, Context};
use crate::file::Progress;
use crate::guest::GuestAddr;
use crate::kernel::Kernel;

/// What belongs to one family.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "the other one is larger, and boxed for that")]
pub(super) enum Family {
    /// AF_UNIX.
    Unix(Unix),
    /// AF_INET or AF_INET6.
    Inet(Box<Inet>),
    /// AF_NETLINK.
    Netlink(Box<Netlink>),
}

impl Family {
    /// What is AF_UNIX's: EOPNOTSUPP for another family.
    pub(super) fn unix(&self) -> Result<&Unix, Errno> {
        match self {
            Family::Unix(unix) => Ok(unix),
            Family::Inet(_) | Family::Netlink(_) => Err(Errno::EOPNOTSUPP),
        }
    }
    /// The same, to be changed.
    pub(super) fn unix_mut(&mut self) -> Result<&mut Unix, Errno> {
        match self {
            Family::Unix(unix) => Ok(unix),
            Family::Inet(_) | Family::Netlink(_) => Err(Errno::EOPNOTSUPP),
        }
    }
    /// What is AF_INET's or AF_INET6's: EOPNOTSUPP for another family.
    pub(super) fn inet(&self) -> Result<&Inet, Errno> {
        match self {
            Family::Inet(inet) => Ok(inet),
            Family::Unix(_) | Family::Netlink(_) => Err(Errno::EOPNOTSUPP),
        }
    }
    /// The same, to be changed.
    pub(super) fn inet_mut(&mut self) -> Result<&mut Inet, Errno> {
        match self {
            Family::Inet(inet) => Ok(inet),
            Family::Unix(_) | Family::Netlink(_) => Err(Errno::EOPNOTSUPP),
        }
    }
    /// What is AF_NETLINK's: EOPNOTSUPP for another family.
    pub(super) fn netlink(&self) -> Result<&Netlink, Errno> {
        match self {
            Family::Netlink(netlink) => Ok(netlink),
            Family::Unix(_) | Family::Inet(_) => Err(Errno::EOPNOTSUPP),
        }
    }
    /// The same, to be changed.
    pub(super) fn netlink_mut(&mut self) -> Result<&mut Netlink, Errno> {
        match self {
            Family::Netlink(netlink) => Ok(netlink),
            Family::Unix(_) | Family::Inet(_) => Err(Errno::EOPNOTSUPP),
        }
    }
    /// `SOCK_*`.
    pub(super) fn type_number(&self, kind: Kind) -> i32 {
        match (self, kind) {
            (Family::Netlink(netlink), _) => netlink.type_number(),
            (_, Kind::Stream) => libc::SOCK_STREAM,
            (_, Kind::Datagram) => libc::SOCK_DGRAM,
            (_, Kind::Packet) => libc::SOCK_SEQPACKET,
        }
    }
    /// `IPPROTO_*`, or 0.
    pub(super) fn protocol(&self) -> i32 {
        match self {
            Family::Unix(_) => 0,
            Family::Netlink(netlink) => netlink.protocol(),
            Family::Inet(inet) => inet.protocol(),
        }
    }
    /// What options are at first.
    pub(super) fn first_options(&self, kind: Kind) -> Options {
        match self {
            Family::Inet(_) if kind == Kind::Stream => Options::of_stream(),
            Family::Unix(_) | Family::Inet(_) | Family::Netlink(_) => Options::default(),
        }
    }
    /// `AF_*`.
    pub(super) fn number(&self) -> i32 {
        match self {
            Family::Unix(_) => libc::AF_UNIX,
            Family::Inet(inet) => inet.family_number(),
            Family::Netlink(_) => libc::AF_NETLINK,
        }
    }
    /// Whether SO_PEEK_OFF can be set.
    pub(super) fn has_looks(&self) -> bool {
        match self {
            Family::Unix(_) => true,
            Family::Inet(inet) => !inet.is_echo(),
            Family::Netlink(_) => false,
        }
    }
    /// Who the other side was when the two were connected, if this family says so.
    pub(super) fn peer_credentials(&self) -> Option<Credentials> {
        match self {
            Family::Unix(unix) => Some(unix.peer_credentials()),
            Family::Inet(_) | Family::Netlink(_) => Some(Credentials::NOBODY),
        }
    }
}

impl Socket {
    /// Whether connections can come.
    pub(super) fn is_listening(&self) -> bool {
        match &self.family {
            Family::Unix(unix) => unix.is_listening(),
            Family::Inet(inet) => inet.is_listening(),
            Family::Netlink(_) => false,
        }
    }
}

/// The kind of sockets that a family has under this type and protocol, and what is made for it.
pub(super) fn new_family(family: i32, kind: u32, protocol: i32) -> Result<(Kind, Family), Errno> {
    match family {
        libc::AF_UNIX => Ok((super::unix::kind_of(kind, protocol)?, Family::Unix(Unix::new()))),
        libc::AF_INET | libc::AF_INET6 => {
            let (kind, inet) = super::inet::new_inet(family, kind, protocol)?;
            Ok((kind, Family::Inet(Box::new(inet))))
        }
        libc::AF_NETLINK => {
            let (kind, netlink) = super::netlink::new_netlink(kind, protocol)?;
            Ok((kind, Family::Netlink(Box::new(netlink))))
        }
        // Linux allows these to whoever may do anything.
        libc::AF_PACKET => Err(Errno::EPERM),
        _ => Err(Errno::EAFNOSUPPORT),
    }
}

impl Sockets {
    /// What can be done with a socket, as its family sees it.
    pub(super) fn readiness_of(&self, id: SocketId, socket: &Socket) -> u32 {
        match &socket.family {
            Family::Unix(unix) => self.unix_readiness(id, socket, unix),
            Family::Inet(inet) => self.inet_readiness(socket, inet),
            Family::Netlink(netlink) => netlink.readiness(),
        }
    }
    /// Bytes that can be read, or those of the next message.
    pub(super) fn unread_bytes_of(&self, socket: &Socket) -> Result<usize, Errno> {
        match &socket.family {
            Family::Unix(unix) => Ok(unix.unread_bytes(socket.kind)),
            Family::Inet(inet) => Ok(self.inet_unread_bytes(inet)),
            Family::Netlink(_) => Err(Errno::ENOTTY),
        }
    }
    /// What the other side has not read, or not acknowledged.
    pub(super) fn unsent_bytes_of(&self, socket: &Socket) -> Result<usize, Errno> {
        match &socket.family {
            Family::Unix(unix) => Ok(unix.charged_bytes()),
            Family::Inet(_) if socket.is_listening() => Err(Errno::EINVAL),
            Family::Inet(inet) => Ok(self.inet_unsent_bytes(inet)),
            Family::Netlink(_) => Err(Errno::ENOTTY),
        }
    }
    /// SIOCATMARK: whether urgent data is next; ENOTTY or EOPNOTSUPP for sockets that have none.
    pub(crate) fn is_at_mark(&self, id: SocketId) -> Result<bool, Errno> {
        match &self.get(id)?.family {
            Family::Unix(unix) if self.get(id)?.kind == Kind::Stream => Ok(unix.is_at_mark()),
            Family::Unix(_) => Err(Errno::EOPNOTSUPP),
            Family::Netlink(_) => Err(Errno::ENOTTY),
            Family::Inet(inet) => self.is_inet_at_mark(inet),
        }
    }
    /// Its own address, as getsockname(2) shows it.
    pub(super) fn name(&self, id: SocketId) -> Result<Vec<u8>, Errno> {
        match &self.get(id)?.family {
            Family::Unix(unix) => Ok(unix.shown_name()),
            Family::Inet(inet) => Ok(inet.name()),
            Family::Netlink(netlink) => Ok(netlink.name()),
        }
    }
    /// The other side's address, as getpeername(2) shows it: ENOTCONN.
    pub(super) fn peer_name(&self, id: SocketId) -> Result<Vec<u8>, Errno> {
        match &self.get(id)?.family {
            Family::Unix(_) => self.unix_peer_name(id),
            Family::Inet(inet) => self.inet_peer_name(inet),
            Family::Netlink(netlink) => Ok(netlink.peer_name()),
        }
    }
}

impl Kernel {
    /// A socket is gone.
    pub(super) fn close_family(&mut self, now: SimTime, id: SocketId, socket: Socket) {
        match socket.family {
            Family::Unix(unix) => self.close_unix(now, id, socket.kind, unix),
            Family::Inet(inet) => self.close_inet(now, id, *inet, socket.options.linger_secs()),
            Family::Netlink(netlink) => self.close_netlink(&netlink),
        }
    }

    /// If a socket has room worth speaking of, tell who waits for it.
    pub(super) fn tell_room(&mut self, now: SimTime, id: SocketId) {
        match self.sockets.get(id).map(|socket| &socket.family) {
            Ok(Family::Unix(_)) => self.tell_room_of_unix(now, id),
            Ok(Family::Inet(_) | Family::Netlink(_)) | Err(_) => {}
        }
    }

    /// Options of SOL_SOCKET have changed.
    pub(super) fn options_changed(&mut self, now: SimTime, id: SocketId) {
        match self.sockets.get(id).map(|socket| &socket.family) {
            Ok(Family::Inet(_)) => {
                self.apply_options(now, id);
                self.claim_again(id);
                self.settle_network(now);
            }
            Ok(Family::Unix(_) | Family::Netlink(_)) | Err(_) => {}
        }
    }
}

impl Context<'_> {
    /// Move what can be moved of a call.
    pub(super) fn exchange_once(&mut self, exchange: &mut Exchange) -> Progress {
        match self.kernel.sockets.get(exchange.socket)?.family {
            Family::Unix(_) => self.exchange_unix(exchange),
            Family::Inet(_) => self.exchange_inet(exchange),
            Family::Netlink(_) => self.exchange_netlink(exchange),
        }
    }

    /// Set an option that is not SOL_SOCKET's.
    pub(super) fn set_option_of_family(
        &mut self,
        id: SocketId,
        level: i32,
        option: i32,
        from: GuestAddr,
        bytes: i32,
    ) -> Answer {
        match self.kernel.sockets.get(id)?.family {
            Family::Unix(_) => Err(Errno::EOPNOTSUPP),
            Family::Inet(_) => self.set_inet_option(id, level, option, from, bytes),
            Family::Netlink(_) => self.set_netlink_option(id, level, option, from, bytes),
        }
    }

    /// Show an option that is not SOL_SOCKET's.
    pub(super) fn option_of_family(
        &mut self,
        id: SocketId,
        level: i32,
        option: i32,
        to: GuestAddr,
        bytes_at: GuestAddr,
    ) -> Answer {
        match self.kernel.sockets.get(id)?.family {
            Family::Unix(_) => Err(Errno::EOPNOTSUPP),
            Family::Inet(_) => self.inet_option(id, level, option, to, bytes_at),
            Family::Netlink(_) => self.netlink_option(id, level, option, to, bytes_at),
        }
    }

    /// Give a socket this address.
    pub(super) fn bind_socket(&mut self, id: SocketId, address: &[u8]) -> Answer {
        match self.kernel.sockets.get(id)?.family {
            Family::Unix(_) => self.bind_unix(id, address),
            Family::Inet(_) => self.bind_inet(id, address),
            Family::Netlink(_) => self.bind_netlink(id, address),
        }
    }

    /// Connect a socket with whoever has an address, if that can be done now.
    pub(super) fn connect_once(&mut self, call: &Connecting) -> Result<Attempt, Errno> {
        match self.kernel.sockets.get(call.socket)?.family {
            Family::Unix(_) => self.connect_unix(call),
            Family::Inet(_) => self.connect_inet(call),
            Family::Netlink(_) => self.connect_netlink(call),
        }
    }

    /// Let connections come; `backlog` has Linux's limit.
    pub(super) fn listen_at_socket(&mut self, id: SocketId, backlog: u32) -> Answer {
        match self.kernel.sockets.get(id)?.family {
            Family::Unix(_) => self.listen_unix(id, backlog),
            Family::Inet(_) => self.listen_inet(id, backlog),
            Family::Netlink(_) => Err(Errno::EOPNOTSUPP),
        }
    }

    /// Whether a connection has come that can be taken; why none ever will.
    pub(super) fn has_connection(&self, id: SocketId) -> Result<bool, Errno> {
        match self.kernel.sockets.get(id)?.family {
            Family::Unix(_) => self.kernel.sockets.has_unix_connection(id),
            Family::Inet(_) => self.kernel.sockets.has_inet_connection(id),
            Family::Netlink(_) => Err(Errno::EOPNOTSUPP),
        }
    }

    /// A connection that has come to a listening socket. Its file has one reference, which is the caller's from now on.
    pub(super) fn take_connection(&mut self, id: SocketId) -> Result<SocketId, Errno> {
        match self.kernel.sockets.get(id)?.family {
            Family::Unix(_) => self.take_unix(id),
            Family::Inet(_) => self.take_inet_connection(id),
            Family::Netlink(_) => Err(Errno::EOPNOTSUPP),
        }
    }

    /// One or both directions are over for a socket; what that means for the other side.
    pub(super) fn shut_socket(&mut self, id: SocketId, is_deaf: bool, is_mute: bool) -> Answer {
        match self.kernel.sockets.get(id)?.family {
            Family::Unix(_) => self.shut_unix(id, is_deaf, is_mute),
            Family::Inet(_) => self.shut_inet(id, is_deaf, is_mute),
            Family::Netlink(_) => Err(Errno::EOPNOTSUPP),
        }
    }
}
