//! Sending: memory becomes parcels in the other side's queue.
//!
//! An exchange in, its progress out. Always true: a stream sends piece by piece, each as soon as what is under way
//! takes less than the socket's limit, and what was sent before an error counts more; a message is sent whole or not
//! at all. The checks stand in Linux's order, and those before the first wait are made once.

use alloc::vec::Vec;

use shim_abi::Errno;

use super::Credentials;
use super::name::check_address;
use super::queue::{Parcel, message_charge, stream_charge, stream_piece};
use crate::context::Context;
use crate::file::{IoReason, Progress, ready};
use crate::socket::exchange::Exchange;
use crate::socket::rights::Right;
use crate::socket::{Kind, SocketId};

/// What Linux keeps free of a socket's limit for its own notes.
const MESSAGE_SLACK_BYTES: usize = 32;

impl Context<'_> {
    /// Send as much of a stream as there is room for.
    pub(in crate::socket) fn send_stream(&mut self, call: &mut Exchange) -> Progress {
        if !call.transfer.has_waited {
            let socket = self.kernel.sockets.get(call.socket)?;
            let unix = socket.family.unix()?;
            if !call.address.is_empty() {
                let is_connected = unix.peer.is_some();
                return Err(if is_connected { Errno::EISCONN } else { Errno::EOPNOTSUPP });
            }
            unix.peer.ok_or(Errno::ENOTCONN)?;
            if socket.is_mute {
                if !call.has(libc::MSG_NOSIGNAL) {
                    self.raise_sigpipe();
                }
                return Err(Errno::EPIPE);
            }
        }
        // The last byte goes by itself, if it is urgent.
        let urgent = usize::from(call.has(libc::MSG_OOB));
        while call.transfer.left() > 0 {
            let room = match self.room_to_send(call.socket) {
                Ok(room) => room,
                Err(errno) => return call.transfer.end_with(errno),
            };
            let Some(limit_bytes) = room else { return Ok(None) };
            let left = call.transfer.left();
            let rights = core::mem::take(&mut call.baggage.rights);
            if let Err(errno) = self.check_rights_under_way(&rights) {
                call.baggage.rights = rights;
                return call.transfer.end_with(errno);
            }
            let is_urgent = left == urgent;
            let piece = if is_urgent { left } else { stream_piece(left - urgent, limit_bytes) };
            let bytes = match call.transfer.fetch(self.guest, piece, left) {
                Ok(bytes) => bytes,
                Err(errno) => {
                    call.baggage.rights = rights;
                    return call.transfer.end_with(errno);
                }
            };
            let charge_bytes = stream_charge(bytes.len());
            let receiver = self.kernel.sockets.unix(call.socket)?.peer.ok_or(Errno::ENOTCONN)?;
            self.deliver(call, receiver, bytes.into_vec(), charge_bytes, rights, is_urgent)?;
        }
        Ok(Some(call.transfer.moved))
    }

    /// Send a message.
    pub(in crate::socket) fn send_message(&mut self, call: &mut Exchange) -> Progress {
        if call.ready.is_none() {
            let bytes = call.transfer.left();
            if !call.transfer.has_waited {
                self.check_message(call, bytes)?;
            }
            if self.room_to_send(call.socket)?.is_none() {
                return Ok(None);
            }
            self.check_rights_under_way(&call.baggage.rights)?;
            call.ready = Some(call.transfer.fetch(self.guest, bytes, bytes)?.into_vec());
        }
        let Some(receiver) = self.receiver_of(call)? else { return Ok(None) };
        let bytes = call.ready.take().unwrap_or_default();
        let charge_bytes = message_charge(bytes.len());
        let rights = core::mem::take(&mut call.baggage.rights);
        self.deliver(call, receiver, bytes, charge_bytes, rights, false)?;
        Ok(Some(call.transfer.moved))
    }

    /// What is looked at before anything is waited for.
    fn check_message(&mut self, call: &mut Exchange, bytes: usize) -> Result<(), Errno> {
        let socket = self.kernel.sockets.get_mut(call.socket)?;
        if socket.kind == Kind::Packet {
            socket.check_error()?;
            socket.family.unix()?.peer.ok_or(Errno::ENOTCONN)?;
            call.address = Vec::new();
        }
        if !call.address.is_empty() {
            check_address(&call.address)?;
        }
        self.bind_if_asking(call.socket)?;
        let limit_bytes = self.kernel.sockets.get(call.socket)?.options.send_bytes;
        let is_too_long = bytes > limit_bytes.saturating_sub(MESSAGE_SLACK_BYTES);
        if is_too_long { Err(Errno::EMSGSIZE) } else { Ok(()) }
    }

    /// Who takes a message; nobody as long as there is no room. If a datagram socket's peer is gone, they are connected
    /// no more.
    fn receiver_of(&mut self, call: &mut Exchange) -> Result<Option<SocketId>, Errno> {
        let id = call.socket;
        let socket = self.kernel.sockets.get(id)?;
        let kind = socket.kind;
        let receiver = match call.address.is_empty() {
            true => socket.family.unix()?.peer.ok_or(Errno::ENOTCONN)?,
            false => self.find_unix(kind, &call.address, call.place)?,
        };
        let Ok(other) = self.kernel.sockets.get(receiver) else {
            if kind == Kind::Packet {
                return Err(Errno::EPIPE);
            }
            self.disconnect(id)?;
            return Err(Errno::ECONNREFUSED);
        };
        let unix = other.family.unix()?;
        if unix.peer.is_some_and(|peer| peer != id) {
            return Err(Errno::EPERM);
        }
        if other.is_deaf {
            return Err(Errno::EPIPE);
        }
        let is_full = receiver != id && unix.peer != Some(id) && unix.is_full();
        call.waits_for = is_full.then_some(receiver);
        Ok((!is_full).then_some(receiver))
    }

    /// The limit of what a socket sends if it may send now; nothing if it must wait.
    fn room_to_send(&mut self, id: SocketId) -> Result<Option<usize>, Errno> {
        let socket = self.kernel.sockets.get_mut(id)?;
        socket.check_error()?;
        if socket.is_mute {
            return Err(Errno::EPIPE);
        }
        let unix = socket.family.unix_mut()?;
        let limit_bytes = socket.options.send_bytes;
        let has_room = unix.charged_bytes < limit_bytes;
        unix.lacks_room |= !has_room;
        Ok(has_room.then_some(limit_bytes))
    }

    /// Put bytes into another's queue.
    fn deliver(
        &mut self,
        call: &Exchange,
        receiver: SocketId,
        bytes: Vec<u8>,
        charge_bytes: usize,
        rights: Vec<Right>,
        is_urgent: bool,
    ) -> Result<(), Errno> {
        let sockets = &mut self.kernel.sockets;
        sockets.rights_under_way += rights.len();
        let socket = sockets.get_mut(call.socket)?;
        let asks = socket.options.passes_credentials;
        let unix = socket.family.unix_mut()?;
        unix.charged_bytes += charge_bytes;
        let other = sockets.get_mut(receiver)?;
        let mut credentials = call.baggage.credentials;
        if credentials.is_none() && (asks || other.options.passes_credentials) {
            let ([uid, ..], [gid, ..]) = (self.guest.user_ids(), self.guest.group_ids());
            credentials = Some(Credentials { pid: self.pid.0, uid, gid });
        }
        let unix = other.family.unix_mut()?;
        let sender = call.socket;
        if is_urgent {
            unix.forget_urgent();
        }
        let parcel =
            Parcel { bytes, taken: 0, sender, charge_bytes, credentials, rights, is_urgent };
        unix.queue.push_back(parcel);
        if is_urgent {
            self.tell_urgent(receiver);
        }
        self.kernel.notify_socket(self.now, receiver, ready::INPUT);
        self.kernel.signal_owner(self.now, receiver, IoReason::Input);
        Ok(())
    }
}
