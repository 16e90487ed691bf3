//! Datagrams that are put together, and cut: UDP_CORK, MSG_MORE, UDP_SEGMENT.
//!
//! Parts in, packets out. Always true: where it goes, and how, is what its first part said; what goes wrong with a part undoes
//! the whole. What a datagram is before that is `datagram`'s.

use shim_abi::Errno;

use super::datagram::{ECHO_HEADER_BYTES, MAX_BYTES, V4_HEADERS_BYTES, V6_HEADERS_BYTES, charge};
use crate::context::Context;
use crate::file::Progress;
use crate::net::{Body, Packet};
use crate::socket::SocketId;
use crate::socket::exchange::Exchange;

/// The beginning of a datagram whose end its sender has still to give: UDP_CORK, MSG_MORE.
#[derive(Debug)]
pub(in crate::socket) struct Corked {
    /// Where it goes, and how; its bytes are those so far.
    pub(super) packet: Packet,
    /// How many bytes each datagram gets into which it is cut.
    pub(super) segment_bytes: Option<usize>,
    pub(super) comes_back: bool,
}

impl Context<'_> {
    /// Send what follows on the beginning of a datagram; with its end, the datagram. What goes wrong undoes all of it.
    pub(super) fn send_rest(&mut self, call: &mut Exchange) -> Progress {
        let left = call.transfer.left();
        let bytes = call.transfer.fetch(self.guest, left, left);
        let inet = self.kernel.sockets.inet_mut(call.socket)?;
        let is_corked = inet.options.is_datagram_corked();
        let corked = &mut inet.datagrams_mut()?.corked;
        let mut whole = corked.take().ok_or(Errno::EINVAL)?;
        let bytes = bytes?;
        if let Body::Udp { bytes: so_far, .. } = &mut whole.packet.body {
            let headers =
                if whole.packet.target.is_ipv4() { V4_HEADERS_BYTES } else { V6_HEADERS_BYTES };
            if so_far.len() + bytes.len() > MAX_BYTES - headers {
                return Err(Errno::EMSGSIZE);
            }
            so_far.extend_from_slice(&bytes);
        }
        if is_corked || call.has(libc::MSG_MORE) {
            *corked = Some(whole);
        } else {
            self.send_whole(call.socket, whole)?;
        }
        Ok(Some(call.transfer.moved))
    }

    /// UDP_CORK is off: what has been put together goes.
    pub(super) fn uncork(&mut self, id: SocketId) -> Result<(), Errno> {
        let corked = self.kernel.sockets.inet_mut(id)?.datagrams_mut()?.corked.take();
        corked.map_or(Ok(()), |whole| self.send_whole(id, whole))
    }

    /// Send a datagram, or cut it as UDP_SEGMENT says: EINVAL if those were too many.
    pub(super) fn send_whole(&mut self, id: SocketId, whole: Corked) -> Result<(), Errno> {
        /// No datagram is cut into more.
        const MAX_SEGMENTS: usize = 128;
        let Corked { packet, segment_bytes, comes_back } = whole;
        let network = &mut self.kernel.sockets.network;
        let (free_at, charge_bytes) = (network.outside.free_at(), charge(packet.body_bytes()));
        // The header of an echo is the program's.
        let header_bytes = match packet.body {
            Body::Echo { .. } => ECHO_HEADER_BYTES,
            _ => 0,
        };
        let sent_bytes = packet.body_bytes() + header_bytes;
        let mut count = 1;
        match (segment_bytes, packet.body) {
            (Some(size), Body::Udp { bytes, source_port, target_port, is_lite })
                if bytes.len() > size =>
            {
                if bytes.len() > size * MAX_SEGMENTS {
                    return Err(Errno::EINVAL);
                }
                count = bytes.len().div_ceil(size);
                for piece in bytes.chunks(size).filter(|_| comes_back) {
                    let bytes = piece.to_vec();
                    let body = Body::Udp { source_port, target_port, is_lite, bytes };
                    network.send(Packet { body, ..packet });
                }
            }
            (_, body) if comes_back => network.send(Packet { body, ..packet }),
            _ => {}
        }
        let datagrams = self.kernel.sockets.inet_mut(id)?.datagrams_mut()?;
        datagrams.tally.note_sent(self.now, count, sent_bytes);
        self.kernel.settle_network(self.now);
        let left_at = self.kernel.sockets.network.outside.free_at();
        if left_at > free_at.max(self.now) {
            self.kernel.wait_for_departure(id, left_at, charge_bytes)?;
        }
        Ok(())
    }
}
