//! Receiving: parcels become memory.
//!
//! An exchange in, its progress out; what came with the bytes is left in the exchange. Always true: a parcel is stored
//! whole or as far as there is room, and stays in the queue as long as a stream has not read all of it; of a message
//! what is not stored is lost. Bytes that came with descriptors are never joined with those behind them, nor those of
//! different senders, if the receiver wants to know who they are.

use shim_abi::Errno;

use super::MAX_QUEUE;
use super::queue::Parcel;
use crate::context::Context;
use crate::file::Progress;
use crate::socket::exchange::Exchange;
use crate::socket::{Kind, SocketId};

impl Context<'_> {
    /// Receive as much of a stream as there is.
    pub(in crate::socket) fn receive_stream(&mut self, call: &mut Exchange) -> Progress {
        self.kernel.sockets.unix(call.socket)?.peer.ok_or(Errno::EINVAL)?;
        let is_peek = call.has(libc::MSG_PEEK);
        let size = call.transfer.left() + call.transfer.moved as usize;
        let mut index = 0;
        let mut sender = None;
        let options = &self.kernel.sockets.get(call.socket)?.options;
        let mut skipped = options.skipped_by(is_peek).unwrap_or(0);
        loop {
            let socket = self.kernel.sockets.get_mut(call.socket)?;
            let wants_all = call.has(libc::MSG_WAITALL);
            let enough = if wants_all { size } else { size.min(socket.options.low_water_bytes) };
            let moved = call.transfer.moved > 0;
            let is_inline = socket.options.has(libc::SO_OOBINLINE);
            let unix = socket.family.unix_mut()?;
            let (next, passed) = unix.pass_urgent(index, is_peek, moved, is_inline);
            if let Some(parcel) = passed {
                self.kernel.discard_parcel(self.now, parcel);
                continue;
            }
            let Some(next) = next else { break };
            index = next;
            let Some(parcel) = unix.queue.get_mut(index) else {
                if call.transfer.moved as usize >= enough.max(1) {
                    break;
                }
                if let Err(errno) = socket.check_error() {
                    return call.transfer.end_with(errno);
                }
                if socket.is_deaf {
                    break;
                }
                return Ok(None);
            };
            if skipped > 0 && skipped >= parcel.unread().len() {
                skipped -= parcel.unread().len();
                index += 1;
                continue;
            }
            sender.get_or_insert(parcel.sender);
            if call.has_sender {
                if parcel.credentials != call.baggage.credentials {
                    break;
                }
            } else if socket.options.passes_credentials {
                call.baggage.credentials = parcel.credentials;
                call.has_sender = true;
            }
            let unread = parcel.unread().get(core::mem::take(&mut skipped)..).unwrap_or_default();
            let bytes = unread.get(..call.transfer.left()).unwrap_or(unread);
            let count = bytes.len();
            if let Err(errno) = call.transfer.store(self.guest, bytes) {
                return call.transfer.end_with(errno);
            }
            socket.options.move_peek_offset(count, is_peek);
            if is_peek {
                let rights = parcel.rights.clone();
                rights.iter().for_each(|right| self.kernel.keep_right(right));
                call.baggage.rights.extend(rights);
                index += 1;
                let unix = self.kernel.sockets.unix(call.socket)?;
                if !call.baggage.rights.is_empty() || index >= unix.queue.len() {
                    break;
                }
            } else {
                parcel.taken += count;
                let rights = core::mem::take(&mut parcel.rights);
                let is_read = parcel.unread().is_empty();
                let parcel = if is_read { unix.queue.pop_front() } else { None };
                self.kernel.sockets.rights_under_way -= rights.len();
                call.baggage.rights.extend(rights);
                let Some(parcel) = parcel else { break };
                self.kernel.discard_parcel(self.now, parcel);
                if !call.baggage.rights.is_empty() {
                    break;
                }
            }
            if call.transfer.left() == 0 {
                break;
            }
        }
        if let Some(sender) = sender {
            self.note_source(call, sender);
        }
        Ok(Some(call.transfer.moved))
    }

    /// Show whose address that is which has sent what was received.
    fn note_source(&self, call: &mut Exchange, sender: SocketId) {
        if call.source.is_empty() && call.shows_source() {
            call.source = self.kernel.sockets.source_address(sender);
        }
    }

    /// Receive a message.
    pub(in crate::socket) fn receive_message(&mut self, call: &mut Exchange) -> Progress {
        let socket = self.kernel.sockets.get_mut(call.socket)?;
        let unix = socket.family.unix_mut()?;
        if socket.kind == Kind::Packet {
            unix.peer.ok_or(Errno::ENOTCONN)?;
        }
        if let Some(errno) = socket.error.take() {
            return Err(errno);
        }
        let is_peek = call.has(libc::MSG_PEEK);
        let mut skipped = socket.options.skipped_by(is_peek).unwrap_or(0);
        let mut is_skipped = |parcel: &&Parcel| {
            let length = parcel.bytes.len();
            let is_skipped = skipped > 0 && skipped >= length;
            skipped -= if is_skipped { length } else { 0 };
            is_skipped
        };
        let Some(parcel) = unix.queue.iter().find(|parcel| !is_skipped(parcel)) else {
            // Nothing will come: who does not wait is told so only of a connection.
            let is_told = socket.kind == Kind::Packet || !call.is_nonblocking();
            return Ok((socket.is_deaf && is_told).then_some(0));
        };
        let length = parcel.bytes.len() - skipped;
        let size = length.min(call.transfer.left());
        if size < length {
            call.shown |= libc::MSG_TRUNC as u32;
        }
        let sender = parcel.sender;
        call.baggage.credentials = parcel.credentials;
        let piece = parcel.bytes.get(skipped..skipped + size).unwrap_or_default();
        let stored = call.transfer.store(self.guest, piece);
        let count = if is_peek { size } else { length };
        if stored.is_ok() {
            socket.options.move_peek_offset(count, is_peek);
        }
        if is_peek {
            stored?;
            call.baggage.rights = parcel.rights.clone();
            call.baggage.rights.iter().for_each(|right| self.kernel.keep_right(right));
            self.note_source(call, sender);
        } else if let Some(mut parcel) = unix.queue.pop_front() {
            let was_full = unix.queue.len() == MAX_QUEUE;
            if stored.is_ok() {
                call.baggage.rights = core::mem::take(&mut parcel.rights);
                self.kernel.sockets.rights_under_way -= call.baggage.rights.len();
            }
            self.note_source(call, sender);
            self.kernel.discard_parcel(self.now, parcel);
            if was_full {
                self.kernel.tell_queue_room(self.now, call.socket);
            }
            stored?;
        }
        Ok(Some(if call.has(libc::MSG_TRUNC) { length } else { size } as u64))
    }
}
