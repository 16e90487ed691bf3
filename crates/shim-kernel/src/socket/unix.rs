//! AF_UNIX: what one socket has received, and who the other is.
//!
//! Parcels in, the same out. Rooms: `name` (addresses), `bind`, `connect` (with what `listen` and `accept` do), `queue`
//! (parcels, and the memory that they take), `send`, `receive`, `urgent` (MSG_OOB), `shutdown`, `garbage` (sockets that are under way in
//! each other), `list` (for `/proc/net` and netlink). Always true: what a socket sends lies in the other's queue and is
//! charged to the sender until it was read; a socket that is gone has no queue, and charges nobody.

mod bind;
mod connect;
mod garbage;
mod list;
mod name;
mod queue;
mod receive;
mod send;
mod shutdown;
mod urgent;

use alloc::collections::{BTreeSet, VecDeque};
use alloc::vec::Vec;

use shim_abi::{Errno, SimTime};

pub(crate) use bind::bind_path;
pub(super) use list::Shown;
use name::Name;
pub(in crate::socket) use name::Names;
use queue::Parcel;

use super::exchange::Exchange;
#[cfg(test)]
use super::rights::Right;
use super::{Kind, Socket, SocketId, Sockets};
use crate::context::Context;
use crate::file::{IoReason, Progress, ready};
use crate::kernel::Kernel;
use crate::waiters::Source;

/// Who somebody is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Credentials {
    pub(crate) pid: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

impl Credentials {
    /// What a message shows whose sender did not say.
    pub(crate) const UNKNOWN: Credentials = Credentials { pid: 0, uid: 65_534, gid: 65_534 };
    /// What SO_PEERCRED shows of nobody.
    pub(super) const NOBODY: Credentials = Credentials { pid: 0, uid: u32::MAX, gid: u32::MAX };

    /// A `struct ucred`.
    pub(crate) fn bytes(self) -> [u8; 12] {
        let mut bytes = [0; 12];
        for (to, id) in bytes.chunks_exact_mut(4).zip([self.pid, self.uid, self.gid]) {
            to.copy_from_slice(&id.to_le_bytes());
        }
        bytes
    }
}

/// How many messages of others lie in a queue beside the first: what Linux has in net.unix.max_dgram_qlen.
pub(crate) const MAX_QUEUE: usize = 10;

/// Connections that nobody has taken.
#[derive(Debug, Default)]
struct Listener {
    /// How many may wait beside the first.
    backlog: usize,
    /// Each holds a reference to its file.
    waiting: VecDeque<SocketId>,
}

/// What is AF_UNIX's of a socket.
#[derive(Debug)]
pub(crate) struct Unix {
    /// Whom it is connected with; that socket may be gone.
    peer: Option<SocketId>,
    /// Who that was when they were connected; of a listener itself.
    peer_credentials: Credentials,
    /// Its own address.
    name: Option<Name>,
    /// The address of the peer when that went.
    peer_name: Option<Name>,
    /// What it waits for that was told to listen.
    listener: Option<Listener>,
    /// Whether it belongs to a connection that its listener has not given to anybody yet.
    is_untaken: bool,
    /// The sockets whose peer it is.
    callers: BTreeSet<SocketId>,
    queue: VecDeque<Parcel>,
    /// Memory that its parcels take in the queues of others.
    charged_bytes: usize,
    /// Whether somebody has looked for room in vain since there was some.
    lacks_room: bool,
}

impl Sockets {
    /// What can be done with a socket.
    pub(super) fn unix_readiness(&self, id: SocketId, socket: &Socket, unix: &Unix) -> u32 {
        let bit = |is_set, bits| if is_set { bits } else { 0 };
        bit(socket.error.is_some(), ready::ERR)
            | bit(socket.is_deaf && socket.is_mute, ready::HUP)
            | bit(socket.is_deaf, ready::READ_HUP | ready::READ)
            | bit(unix.has_input(), ready::READ)
            | bit(unix.has_urgent(), ready::PRI)
            | bit(unix.is_disconnected(socket.kind), ready::HUP)
            | bit(self.is_unix_writable(id), ready::WRITE | ready::WRITE_BAND)
    }
}

/// The kind of sockets of this type and protocol.
pub(super) fn kind_of(kind: u32, protocol: i32) -> Result<Kind, Errno> {
    if protocol != 0 && protocol != libc::PF_UNIX {
        return Err(Errno::EPROTONOSUPPORT);
    }
    match kind as i32 {
        libc::SOCK_STREAM => Ok(Kind::Stream),
        libc::SOCK_DGRAM | libc::SOCK_RAW => Ok(Kind::Datagram),
        libc::SOCK_SEQPACKET => Ok(Kind::Packet),
        _ => Err(Errno::ESOCKTNOSUPPORT),
    }
}

impl Unix {
    /// Of a socket that is connected with nobody.
    pub(super) fn new() -> Unix {
        Unix {
            peer: None,
            peer_credentials: Credentials::NOBODY,
            name: None,
            peer_name: None,
            listener: None,
            is_untaken: false,
            callers: BTreeSet::new(),
            queue: VecDeque::new(),
            charged_bytes: 0,
            lacks_room: false,
        }
    }
    /// One end of a pair.
    pub(super) fn connected(peer: SocketId, peer_credentials: Credentials) -> Unix {
        Unix { peer: Some(peer), peer_credentials, callers: [peer].into(), ..Unix::new() }
    }
    pub(super) fn peer_credentials(&self) -> Credentials {
        self.peer_credentials
    }
    /// Its own address.
    pub(super) fn shown_name(&self) -> Vec<u8> {
        name::shown(self.name.as_ref())
    }
    /// Whether connections can come.
    pub(super) fn is_listening(&self) -> bool {
        self.listener.is_some()
    }
    pub(super) fn has_input(&self) -> bool {
        let has_connection = |listener: &Listener| !listener.waiting.is_empty();
        !self.queue.is_empty() || self.listener.as_ref().is_some_and(has_connection)
    }
    /// Whether it should be connected, but is not.
    pub(super) fn is_disconnected(&self, kind: Kind) -> bool {
        kind.is_connection() && self.peer.is_none() && self.listener.is_none()
    }
    /// Whether there is room worth speaking of, if all that it sends may take so much.
    fn is_writable(&self, limit_bytes: usize) -> bool {
        self.listener.is_none() && self.charged_bytes * 4 <= limit_bytes
    }
    /// Whether who is not its peer may send it nothing more.
    fn is_full(&self) -> bool {
        self.queue.len() > MAX_QUEUE
    }
    pub(super) fn charged_bytes(&self) -> usize {
        self.charged_bytes
    }
    /// Connections that nobody has taken.
    #[cfg(test)]
    pub(super) fn untaken(&self) -> impl Iterator<Item = SocketId> {
        self.listener.iter().flat_map(|listener| listener.waiting.iter().copied())
    }
    /// What is in its queue: sender, memory, rights.
    #[cfg(test)]
    pub(super) fn parcels(&self) -> impl Iterator<Item = (SocketId, usize, &[Right])> {
        self.queue.iter().map(|p| (p.sender, p.charge_bytes, p.rights.as_slice()))
    }
    /// Bytes that can be read: of a datagram socket those of the next message.
    pub(super) fn unread_bytes(&self, kind: Kind) -> usize {
        let count = if kind == Kind::Datagram { 1 } else { usize::MAX };
        self.queue.iter().take(count).map(|parcel| parcel.unread().len()).sum()
    }
}

impl Context<'_> {
    /// Move what can be moved of a call that sends or receives.
    pub(super) fn exchange_unix(&mut self, call: &mut Exchange) -> Progress {
        let kind = self.kernel.sockets.get(call.socket)?.kind;
        if call.has(libc::MSG_OOB) {
            return match (kind, call.is_reading()) {
                (Kind::Stream, true) => self.receive_urgent_byte(call),
                (Kind::Stream, false) if call.transfer.left() > 0 => self.send_stream(call),
                _ => Err(Errno::EOPNOTSUPP),
            };
        }
        match (call.is_reading(), kind) {
            (false, Kind::Stream) => self.send_stream(call),
            (false, _) => self.send_message(call),
            (true, Kind::Stream) => self.receive_stream(call),
            (true, _) => self.receive_message(call),
        }
    }
}

impl Sockets {
    /// Whether there is room worth speaking of for what a socket sends, where it goes, too.
    pub(super) fn is_unix_writable(&self, id: SocketId) -> bool {
        let Ok(socket) = self.get(id) else { return false };
        let Ok(unix) = socket.family.unix() else { return false };
        let other = unix.peer.and_then(|peer| self.unix(peer).ok());
        let is_blocked = other.is_some_and(|other| other.peer != Some(id) && other.is_full());
        unix.is_writable(socket.options.send_bytes) && !is_blocked
    }
}

impl Kernel {
    /// A socket is gone: its address, its queue, and what came to it and nobody took. The other side learns of it if
    /// they had a connection.
    pub(super) fn close_unix(&mut self, now: SimTime, id: SocketId, kind: Kind, unix: Unix) {
        let has_lost = unix.is_untaken || !unix.is_all_read();
        for &caller in &unix.callers {
            let Ok(caller) = self.sockets.unix_mut(caller) else { continue };
            if caller.peer == Some(id) {
                caller.peer_name = unix.name.clone();
            }
        }
        if let Some(Ok(other)) = unix.peer.map(|peer| self.sockets.unix_mut(peer)) {
            other.callers.remove(&id);
        }
        self.sockets.unix_names.close(id, unix.name, unix.charged_bytes);
        for parcel in unix.queue {
            self.discard_parcel(now, parcel);
        }
        for connection in unix.listener.map(|listener| listener.waiting).unwrap_or_default() {
            if let Ok(file) = self.sockets.get(connection).map(|socket| socket.file) {
                self.release(now, file);
            }
        }
        self.notify(now, Source::Socket(id));
        if !kind.is_connection() {
            for &caller in &unix.callers {
                self.notify_socket(now, caller, ready::WRITE | ready::WRITE_BAND);
            }
            return;
        }
        let Some(peer) = unix.peer else { return };
        let Ok(other) = self.sockets.get_mut(peer) else { return };
        (other.is_deaf, other.is_mute) = (true, true);
        if has_lost {
            other.error = Some(Errno::ECONNRESET);
        }
        self.notify_socket(now, peer, ready::ANY);
        self.signal_owner(now, peer, IoReason::End);
    }
}
