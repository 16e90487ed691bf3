//! Bytes of a connection: what calls on streams send and receive.
//!
//! Exchanges in, their progress out. Always true: bytes go to TCP as far as there is room, and what was sent before an
//! error counts more; bytes that came before an end or an error are read first; urgent data stops a reader once, and is
//! passed over, unless it is wanted among the others.

use shim_abi::Errno;

use super::Phase;
use crate::context::Context;
use crate::file::Progress;
use crate::net::ConnectionId;
use crate::net::tcp::State;
use crate::socket::exchange::Exchange;

/// How much goes to TCP at a time.
const CHUNK_BYTES: usize = 1 << 16;

impl Context<'_> {
    pub(super) fn send_inet_stream(&mut self, call: &mut Exchange) -> Progress {
        loop {
            let socket = self.kernel.sockets.get(call.socket)?;
            let stream = socket.family.inet()?.stream()?;
            let connection = stream.connection;
            let state = self.state_of(connection);
            match state {
                Some(State::SynSent | State::SynReceived) if socket.error.is_none() => {
                    return Ok(None);
                }
                Some(State::Established | State::CloseWait) if !socket.is_mute => {}
                _ => return self.refuse_to_send(call),
            }
            if socket.error.is_some() {
                return self.refuse_to_send(call);
            }
            let left = call.transfer.left();
            if left == 0 {
                return Ok(Some(call.transfer.moved));
            }
            let id = connection.ok_or(Errno::EPIPE)?;
            let Some(it) = self.kernel.sockets.network.connection_mut(id) else {
                return Err(Errno::EPIPE);
            };
            let bytes = it.tcp.room_bytes().min(left).min(CHUNK_BYTES);
            if bytes == 0 {
                return Ok(None);
            }
            let bytes = match call.transfer.fetch(self.guest, bytes, left) {
                Ok(bytes) => bytes,
                Err(errno) => return call.transfer.end_with(errno),
            };
            let is_all = bytes.len() == left;
            let has_more = !is_all || call.has(libc::MSG_MORE);
            it.tcp.write(self.now, &bytes, has_more, is_all && call.has(libc::MSG_OOB));
            self.kernel.settle_network(self.now);
        }
    }

    /// Nothing can be sent: what went wrong, or EPIPE and SIGPIPE.
    fn refuse_to_send(&mut self, call: &mut Exchange) -> Progress {
        if call.transfer.moved > 0 {
            return Ok(Some(call.transfer.moved));
        }
        let error = self.kernel.sockets.get_mut(call.socket)?.check_error().err();
        let errno = error.unwrap_or(Errno::EPIPE);
        if errno == Errno::EPIPE && !call.has(libc::MSG_NOSIGNAL) {
            self.raise_sigpipe();
        }
        Err(errno)
    }

    fn state_of(&self, id: Option<ConnectionId>) -> Option<State> {
        self.kernel.sockets.network.connection(id?).map(|it| it.tcp.state)
    }

    pub(super) fn receive_inet_stream(&mut self, call: &mut Exchange) -> Progress {
        let socket = self.kernel.sockets.get(call.socket)?;
        let stream = socket.family.inet()?.stream()?;
        if stream.phase == Phase::Listening {
            return Err(Errno::ENOTCONN);
        }
        if call.has(libc::MSG_ERRQUEUE) {
            return Err(Errno::EAGAIN);
        }
        let connection = stream.connection;
        if call.has(libc::MSG_OOB) {
            return self.receive_urgent(call, connection);
        }
        let progress = self.receive_in_order(call, connection);
        self.kernel.settle_network(self.now);
        progress
    }

    fn receive_in_order(&mut self, call: &mut Exchange, id: Option<ConnectionId>) -> Progress {
        let low_water = self.kernel.sockets.get(call.socket)?.options.low_water_bytes;
        let size = call.transfer.left() + call.transfer.moved as usize;
        let enough = if call.has(libc::MSG_WAITALL) { size } else { size.min(low_water) }.max(1);
        let is_peek = call.has(libc::MSG_PEEK);
        loop {
            let moved = call.transfer.moved as usize;
            // A look that has an offset has moved it by what it has seen already.
            let options = &self.kernel.sockets.get(call.socket)?.options;
            let seen = options.skipped_by(is_peek).unwrap_or(if is_peek { moved } else { 0 });
            if call.transfer.left() == 0 && moved > 0 {
                return Ok(Some(moved as u64));
            }
            let it = id.and_then(|id| self.kernel.sockets.network.connection_mut(id));
            if let Some(it) = it {
                let tcp = &mut it.tcp;
                let is_at_mark = tcp.is_at_urgent();
                if is_at_mark && moved > 0 && !is_peek {
                    return Ok(Some(moved as u64));
                }
                if call.transfer.left() == 0 && tcp.unread_bytes() > 0 {
                    return Ok(Some(0));
                }
                if is_at_mark && !tcp.settings.is_urgent_inline && tcp.unread_bytes() > 0 {
                    tcp.consume(1);
                    continue;
                }
                let unread = tcp.unread(seen);
                let bytes = unread.get(..call.transfer.left()).unwrap_or(unread);
                let count = bytes.len();
                if count > 0 {
                    if call.has(libc::MSG_TRUNC) {
                        call.transfer.skip(count);
                    } else if let Err(errno) = call.transfer.store(self.guest, bytes) {
                        return call.transfer.end_with(errno);
                    }
                    if !is_peek {
                        tcp.consume(count);
                    }
                    let options = &mut self.kernel.sockets.get_mut(call.socket)?.options;
                    options.move_peek_offset(count, is_peek);
                    continue;
                }
                if moved > 0 && tcp.unread_bytes() > seen {
                    // Urgent data is next.
                    return Ok(Some(moved as u64));
                }
            }
            // Who wants nothing waits all the same until there is something.
            if moved >= enough {
                return Ok(Some(moved as u64));
            }
            return self.end_of_bytes(call, id);
        }
    }

    /// What a reader learns when there are no bytes.
    fn end_of_bytes(&mut self, call: &mut Exchange, id: Option<ConnectionId>) -> Progress {
        let state = self.state_of(id);
        let socket = self.kernel.sockets.get_mut(call.socket)?;
        if call.transfer.moved > 0 {
            let is_over = socket.error.is_some() || socket.is_deaf || state.is_none();
            return Ok(is_over.then_some(call.transfer.moved));
        }
        let has_ended = id
            .and_then(|id| self.kernel.sockets.network.connection(id))
            .is_some_and(|it| it.tcp.has_peer_ended());
        let socket = self.kernel.sockets.get_mut(call.socket)?;
        if has_ended {
            return Ok(Some(0));
        }
        socket.check_error()?;
        if socket.is_deaf {
            return Ok(Some(0));
        }
        if state.is_none() { Err(Errno::ENOTCONN) } else { Ok(None) }
    }

    /// MSG_OOB.
    fn receive_urgent(&mut self, call: &mut Exchange, id: Option<ConnectionId>) -> Progress {
        let is_deaf = self.kernel.sockets.get(call.socket)?.is_deaf;
        let it = id.and_then(|id| self.kernel.sockets.network.connection_mut(id));
        let Some(it) = it else { return Err(Errno::EINVAL) };
        let is_closed = it.tcp.is_closed();
        let urgent = if it.tcp.settings.is_urgent_inline { None } else { it.tcp.urgent() };
        match urgent {
            None => Err(Errno::EINVAL),
            Some(Ok(byte)) => {
                call.shown |= libc::MSG_OOB as u32;
                if call.transfer.left() == 0 {
                    call.shown |= libc::MSG_TRUNC as u32;
                    return Ok(Some(0));
                }
                call.transfer.store(self.guest, &[byte])?;
                if !call.has(libc::MSG_PEEK) {
                    it.tcp.take_urgent();
                }
                Ok(Some(1))
            }
            Some(Err(())) if is_closed || is_deaf => Ok(Some(0)),
            Some(Err(())) => Err(Errno::EAGAIN),
        }
    }
}
