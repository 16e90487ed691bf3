//! Sockets: what two ends say to each other, and what one end says of itself.
//!
//! Descriptors and memory in; bytes, messages and readiness out. Rooms: `make` (`socket`, `socketpair`), `connect`,
//! `accept`, `exchange` (a call that sends or receives, from its first look to its last), `header` and `control` (what comes and goes with a
//! message), `rights` (descriptors among it), `family` (what each family answers), `unix` (AF_UNIX), `inet` (AF_INET and AF_INET6), `netlink` (AF_NETLINK), `option`, `name`
//! (addresses, and the calls that need one), `shutdown`. Always true: a socket is here as long as its file; what belongs
//! to every family is in [`Socket`], what belongs to one behind [`Family`], and every room but that family's own asks
//! it in `family` only.

mod accept;
mod connect;
mod control;
mod exchange;
mod family;
mod header;
mod inet;
mod make;
mod name;
mod netlink;
mod option;
#[cfg(test)]
pub(crate) mod properties;
mod rights;
mod shutdown;
#[cfg(test)]
mod tests;
mod unix;

use alloc::collections::BTreeMap;

use shim_abi::{Errno, SimTime};

pub(crate) use accept::{Accept, accept, accept4};
use connect::Connecting;
pub(crate) use connect::connect;
use exchange::Exchange;
pub(crate) use exchange::{recvfrom, recvmsg, sendmsg, sendto};
use family::Family;
pub(crate) use inet::{List, is_of_interface};
pub(crate) use make::{socket, socketpair};
pub(crate) use name::{MAX_BACKLOG, bind, getpeername, getsockname, listen};
use option::Options;
pub(crate) use option::{getsockopt, setsockopt};
use rights::{NativeFiles, Right};
pub(crate) use rights::{take_file, take_rights};
pub(crate) use shutdown::shutdown;
pub(crate) use unix::{MAX_QUEUE, bind_path};
use unix::{Names, Unix};

use crate::config::Config;
use crate::context::Context;
use crate::file::{FileId, IoReason, Object, OpenFile};
use crate::ids::VirtualTid;
use crate::kernel::Kernel;
use crate::net::Network;

/// A socket's number. Not used again.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct SocketId(u32);

/// How a socket cuts what it carries.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Kind {
    /// Not at all: SOCK_STREAM.
    Stream,
    /// Into messages, each by itself: SOCK_DGRAM.
    Datagram,
    /// Into messages of a connection: SOCK_SEQPACKET.
    Packet,
}

impl Kind {
    /// Whether the end of one side is the end of the other.
    fn is_connection(self) -> bool {
        self != Kind::Datagram
    }
}

/// A socket, whatever its family.
#[derive(Debug)]
struct Socket {
    file: FileId,
    kind: Kind,
    options: Options,
    /// Nothing more is received.
    is_deaf: bool,
    /// Nothing more is sent.
    is_mute: bool,
    /// What went wrong since somebody last asked.
    error: Option<Errno>,
    /// Mode and owner of its inode, if somebody has set them.
    mode: Option<u32>,
    owner: Option<[u32; 2]>,
    /// Who has made it.
    user: u32,
    family: Family,
}

impl Socket {
    /// Which directions are over: 1, receiving; 2, sending.
    fn shut_directions(&self) -> u8 {
        u8::from(self.is_deaf) | u8::from(self.is_mute) << 1
    }
    /// What went wrong, once.
    fn check_error(&mut self) -> Result<(), Errno> {
        self.error.take().map_or(Ok(()), Err)
    }
}

/// All sockets of a host.
#[derive(Debug)]
pub(crate) struct Sockets {
    sockets: BTreeMap<SocketId, Socket>,
    last: u32,
    /// What calls that wait keep.
    calls: BTreeMap<VirtualTid, Exchange>,
    connecting: BTreeMap<VirtualTid, Connecting>,
    /// Who is found by which address of AF_UNIX.
    unix_names: Names,
    /// Who has which port of which protocol of AF_NETLINK.
    netlink_ports: BTreeMap<(i32, u32), SocketId>,
    /// How many rights lie in queues.
    rights_under_way: usize,
    /// Files of the real kernel's among them.
    natives: NativeFiles,
    /// What a message brought whose receiver is about to say which numbers it gets.
    arrived: BTreeMap<VirtualTid, alloc::vec::Vec<Right>>,
    /// What sockets with IP addresses share.
    pub(crate) network: Network,
}

impl Sockets {
    pub(crate) fn new(config: &Config) -> Sockets {
        Sockets {
            sockets: BTreeMap::new(),
            last: 0,
            calls: BTreeMap::new(),
            connecting: BTreeMap::new(),
            unix_names: Names::default(),
            netlink_ports: BTreeMap::new(),
            rights_under_way: 0,
            arrived: BTreeMap::new(),
            natives: Default::default(),
            network: Network::new(config),
        }
    }
    fn get(&self, id: SocketId) -> Result<&Socket, Errno> {
        self.sockets.get(&id).ok_or(Errno::EBADF)
    }
    fn get_mut(&mut self, id: SocketId) -> Result<&mut Socket, Errno> {
        self.sockets.get_mut(&id).ok_or(Errno::EBADF)
    }
    /// Whose shims are about to take what has come for them.
    pub(crate) fn receivers(&self) -> impl Iterator<Item = VirtualTid> + '_ {
        self.arrived.keys().copied()
    }
    /// What is AF_UNIX's of a socket.
    fn unix(&self, id: SocketId) -> Result<&Unix, Errno> {
        self.get(id)?.family.unix()
    }
    fn unix_mut(&mut self, id: SocketId) -> Result<&mut Unix, Errno> {
        self.get_mut(id)?.family.unix_mut()
    }
    fn new_id(&mut self) -> SocketId {
        self.last += 1;
        SocketId(self.last)
    }

    /// What can be done with one.
    pub(crate) fn readiness(&self, id: SocketId) -> u32 {
        let Ok(socket) = self.get(id) else { return 0 };
        self.readiness_of(id, socket)
    }

    /// FIONREAD: bytes that can be read, or those of the next message. EINVAL of a socket to which connections come, ENOTTY
    /// of one whose family does not tell.
    pub(crate) fn unread_bytes(&self, id: SocketId) -> Result<usize, Errno> {
        let socket = self.get(id)?;
        if socket.is_listening() { Err(Errno::EINVAL) } else { self.unread_bytes_of(socket) }
    }

    /// Mode and owner, where they were set.
    pub(crate) fn attributes(&self, id: SocketId) -> (Option<u32>, Option<[u32; 2]>) {
        self.get(id).map_or((None, None), |socket| (socket.mode, socket.owner))
    }

    /// Set what is given.
    pub(crate) fn set_attributes(
        &mut self,
        id: SocketId,
        mode: Option<u32>,
        owner: Option<[u32; 2]>,
    ) {
        if let Ok(socket) = self.get_mut(id) {
            socket.mode = mode.or(socket.mode);
            socket.owner = owner.or(socket.owner);
        }
    }

    /// SIOCOUTQ: the memory that holds what the other side has not read.
    pub(crate) fn unsent_bytes(&self, id: SocketId) -> Result<usize, Errno> {
        self.unsent_bytes_of(self.get(id)?)
    }
}

impl Kernel {
    /// Nobody refers to the file of a socket any more.
    pub(crate) fn close_socket(&mut self, now: SimTime, id: SocketId) {
        let Some(socket) = self.sockets.sockets.remove(&id) else { return };
        self.close_family(now, id, socket);
    }

    /// A call of `tid` has ended, or never will: what it kept is gone.
    pub(crate) fn end_exchange(&mut self, now: SimTime, tid: VirtualTid) {
        self.sockets.connecting.remove(&tid);
        if let Some(exchange) = self.sockets.calls.remove(&tid) {
            self.drop_rights(now, exchange.baggage.rights);
        }
    }

    /// A thread is gone, or makes another call: nobody takes what has come for it.
    pub(crate) fn forget_arrived(&mut self, now: SimTime, tid: VirtualTid) {
        if let Some(rights) = self.sockets.arrived.remove(&tid) {
            self.drop_rights(now, rights);
        }
    }

    /// Tell who waits for a socket that it has changed.
    fn notify_socket(&mut self, now: SimTime, id: SocketId, bits: u32) {
        if let Ok(file) = self.sockets.get(id).map(|socket| socket.file) {
            self.notify_file(now, file, bits);
        }
    }

    /// Signal the owner of a socket, if it is to know. As on Linux not of what a call already waits for that reads a
    /// stream.
    fn signal_owner(&mut self, now: SimTime, id: SocketId, reason: IoReason) {
        let Ok(Socket { file, kind, .. }) = self.sockets.get(id) else { return };
        let (file, is_stream) = (*file, *kind == Kind::Stream);
        if !self.files.get(file).is_ok_and(OpenFile::signals) {
            return;
        }
        let reads = |call: &Exchange| call.socket == id && call.is_reading();
        if reason == IoReason::Room || !is_stream || !self.sockets.calls.values().any(reads) {
            self.send_io_signal(now, file, reason);
        }
    }
}

impl Context<'_> {
    /// The socket behind a descriptor: EBADF, ENOTSOCK.
    fn socket(&self, fd: u32) -> Result<SocketId, Errno> {
        match self.kernel.files.get(self.file(fd)?)?.object {
            Object::Socket(id) => Ok(id),
            _ => Err(Errno::ENOTSOCK),
        }
    }
}
