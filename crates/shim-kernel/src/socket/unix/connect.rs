//! Who talks to whom: `listen`, `connect`, and what `accept` takes.
//!
//! Sockets and addresses in. Always true: a connection exists from the moment of `connect`, with a socket that nobody
//! has yet and that its listener holds; so many of them wait for a listener as it wants, and one more, as on Linux; who
//! comes later waits for [`Source::Socket`]. A datagram socket is connected with whoever it sends to, who need not know.

use shim_abi::{Errno, SimTime};

use super::name::{FAMILY_BYTES, check_address};
use super::{Listener, Unix};
use crate::context::{Answer, Context, done};
use crate::file::{IoReason, ready};
use crate::kernel::Kernel;
use crate::socket::connect::{Attempt, Connecting};
use crate::socket::name::family_of;
use crate::socket::{Family, Kind, SocketId, Sockets};
use crate::waiters::Source;

impl Context<'_> {
    pub(in crate::socket) fn listen_unix(&mut self, id: SocketId, backlog: u32) -> Answer {
        let own = self.effective_credentials();
        let socket = self.kernel.sockets.get_mut(id)?;
        if !socket.kind.is_connection() {
            return Err(Errno::EOPNOTSUPP);
        }
        let unix = socket.family.unix_mut()?;
        if unix.name.is_none() || unix.peer.is_some() {
            return Err(Errno::EINVAL);
        }
        let listener = unix.listener.get_or_insert_default();
        listener.backlog = backlog as usize;
        unix.peer_credentials = own;
        self.kernel.notify(self.now, Source::Socket(id));
        done(0)
    }

    /// A connection that waits to be taken.
    pub(in crate::socket) fn take_unix(&mut self, id: SocketId) -> Result<SocketId, Errno> {
        let listener = self.kernel.sockets.unix_mut(id)?.listener.as_mut();
        let connection = listener.and_then(|it| it.waiting.pop_front()).ok_or(Errno::EINVAL)?;
        self.kernel.sockets.unix_mut(connection)?.is_untaken = false;
        self.kernel.notify(self.now, Source::Socket(id));
        Ok(connection)
    }

    pub(in crate::socket) fn connect_unix(&mut self, call: &Connecting) -> Result<Attempt, Errno> {
        let (id, address) = (call.socket, &call.address);
        let kind = self.kernel.sockets.get(id)?.kind;
        if kind == Kind::Datagram {
            let is_unspecified = family_of(address) == libc::AF_UNSPEC;
            if is_unspecified && address.len() >= FAMILY_BYTES {
                self.disconnect(id)?;
                return Ok(Attempt::Connected);
            }
        }
        check_address(address)?;
        self.bind_if_asking(id)?;
        let other = self.find_unix(kind, address, call.place)?;
        if kind == Kind::Datagram {
            return self.connect_datagram(id, other).map(|()| Attempt::Connected);
        }
        let socket = self.kernel.sockets.get(other)?;
        let unix = socket.family.unix()?;
        let listener = unix.listener.as_ref().ok_or(Errno::ECONNREFUSED)?;
        if socket.is_deaf {
            return Err(Errno::ECONNREFUSED);
        }
        if listener.is_full() {
            return Ok(Attempt::Waits(Source::Socket(other), Errno::EAGAIN));
        }
        let unix = self.kernel.sockets.unix(id)?;
        if unix.listener.is_some() {
            return Err(Errno::EINVAL);
        }
        if unix.peer.is_some() {
            return Err(Errno::EISCONN);
        }
        self.add_connection(id, other)?;
        Ok(Attempt::Connected)
    }

    /// Connect a socket with a new one that waits at a listener.
    fn add_connection(&mut self, id: SocketId, listener: SocketId) -> Result<(), Errno> {
        let new = self.kernel.sockets.new_id();
        let own = self.effective_credentials();
        let socket = self.kernel.sockets.get(listener)?;
        let (kind, asks) = (socket.kind, socket.options.passes_credentials);
        let unix = socket.family.unix()?;
        let credentials = unix.peer_credentials;
        let name = unix.name.clone();
        let connection = Unix { name, is_untaken: true, ..Unix::connected(id, own) };
        let file = self.add_socket(new, kind, Family::Unix(connection), 0);
        self.kernel.files.retain(file);
        let sockets = &mut self.kernel.sockets;
        sockets.get_mut(new)?.options.passes_credentials = asks;
        let unix = sockets.unix_mut(id)?;
        (unix.peer, unix.peer_credentials) = (Some(new), credentials);
        unix.callers.insert(new);
        let waiting = &mut sockets.unix_mut(listener)?.listener;
        waiting.get_or_insert_default().waiting.push_back(new);
        self.kernel.notify_socket(self.now, listener, ready::INPUT);
        self.kernel.signal_owner(self.now, listener, IoReason::Input);
        Ok(())
    }

    /// From now on a datagram socket sends to this one, and hears of no other.
    fn connect_datagram(&mut self, id: SocketId, other: SocketId) -> Result<(), Errno> {
        let is_of_another = |peer: &SocketId| *peer != id;
        if self.kernel.sockets.unix(other)?.peer.as_ref().is_some_and(is_of_another) {
            return Err(Errno::EPERM);
        }
        if self.kernel.sockets.unix(id)?.peer != Some(other) {
            self.disconnect(id)?;
        }
        self.kernel.sockets.unix_mut(id)?.peer = Some(other);
        self.kernel.sockets.unix_mut(other)?.callers.insert(id);
        Ok(())
    }

    /// A datagram socket is connected no more: what it has received is lost, and the other side hears of that.
    pub(super) fn disconnect(&mut self, id: SocketId) -> Result<(), Errno> {
        let unix = self.kernel.sockets.unix_mut(id)?;
        let Some(peer) = unix.peer.take() else { return Ok(()) };
        let lost = core::mem::take(&mut unix.queue);
        if let Ok(other) = self.kernel.sockets.unix_mut(peer) {
            other.callers.remove(&id);
        }
        self.kernel.notify_socket(self.now, id, ready::WRITE | ready::WRITE_BAND);
        if lost.is_empty() {
            return Ok(());
        }
        lost.into_iter().for_each(|parcel| self.kernel.discard_parcel(self.now, parcel));
        self.kernel.tell_queue_room(self.now, id);
        let Ok(other) = self.kernel.sockets.get_mut(peer) else { return Ok(()) };
        if other.family.unix()?.peer == Some(id) {
            other.error = Some(Errno::ECONNRESET);
            self.kernel.notify_socket(self.now, peer, ready::ANY);
        }
        Ok(())
    }
}

impl Sockets {
    /// Whether a connection waits to be taken; why none ever will.
    pub(in crate::socket) fn has_unix_connection(&self, id: SocketId) -> Result<bool, Errno> {
        let socket = self.get(id)?;
        if !socket.kind.is_connection() {
            return Err(Errno::EOPNOTSUPP);
        }
        let listener = socket.family.unix()?.listener.as_ref().ok_or(Errno::EINVAL)?;
        let has_one = !listener.waiting.is_empty();
        if !has_one && socket.is_deaf { Err(Errno::EINVAL) } else { Ok(has_one) }
    }
}

impl Listener {
    /// Whether nobody may come any more.
    fn is_full(&self) -> bool {
        self.waiting.len() > self.backlog
    }
}

impl Kernel {
    /// There is room in a socket's queue again: tell who waits for that, and those that send to it alone.
    pub(super) fn tell_queue_room(&mut self, now: SimTime, id: SocketId) {
        self.notify(now, Source::Socket(id));
        let Ok(unix) = self.sockets.unix(id) else { return };
        let peer = unix.peer;
        let callers = unix.callers.iter().filter(|&&caller| Some(caller) != peer);
        let callers: alloc::vec::Vec<SocketId> = callers.copied().collect();
        for caller in callers {
            self.notify_socket(now, caller, ready::WRITE | ready::WRITE_BAND);
        }
    }
}
