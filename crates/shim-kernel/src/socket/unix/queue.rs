//! What is under way between two sockets, and the memory that it takes.
//!
//! Bytes and what goes with them in; the same out. Always true: the memory is counted as Linux 6.18 does on x86-64,
//! because programs see it: in how much a full socket takes, in SIOCOUTQ, and in when it takes more. Who waits for room
//! is told when three quarters of it are free.

use alloc::vec::Vec;

use shim_abi::SimTime;

use super::Credentials;
use crate::file::{IoReason, ready};
use crate::kernel::Kernel;
use crate::socket::SocketId;
use crate::socket::rights::Right;

/// Bytes that go from one socket to another in one piece.
#[derive(Debug)]
pub(in crate::socket) struct Parcel {
    pub(super) bytes: Vec<u8>,
    /// How many of them have been read.
    pub(super) taken: usize,
    /// Who has sent it, and what it costs that socket.
    pub(super) sender: SocketId,
    pub(super) charge_bytes: usize,
    /// Who the sender says it is, if anybody wanted to know.
    pub(super) credentials: Option<Credentials>,
    pub(super) rights: Vec<Right>,
    /// Whether it is the urgent byte of a stream, and nobody has read it.
    pub(super) is_urgent: bool,
}

impl Parcel {
    pub(super) fn unread(&self) -> &[u8] {
        self.bytes.get(self.taken..).unwrap_or_default()
    }
}

/// A page, and the part of a buffer at whose end Linux keeps notes.
const PAGE_BYTES: usize = 4096;
const NOTES_BYTES: usize = 320;
/// What describes a buffer.
const HEAD_BYTES: usize = 256;
/// The smallest buffer.
const MIN_BUFFER_BYTES: usize = 512;
/// How many pages a buffer may have besides.
const MAX_PAGES: usize = 17;
/// The most that fits into a buffer of one page, and of four.
const IN_ONE_PAGE: usize = PAGE_BYTES - NOTES_BYTES;
const IN_FOUR_PAGES: usize = 4 * PAGE_BYTES - NOTES_BYTES;
/// What a stream puts into pages at a time.
const STREAM_PAGES_BYTES: usize = 32_768;

/// How many of `left` bytes a stream sends in one piece, if all that it sends may take so much.
pub(super) fn stream_piece(left: usize, limit_bytes: usize) -> usize {
    // Two pieces fit at least.
    left.min(limit_bytes / 2 - 64).min(IN_ONE_PAGE + STREAM_PAGES_BYTES)
}

/// What a piece of a stream costs.
pub(super) fn stream_charge(bytes: usize) -> usize {
    let in_pages = bytes.saturating_sub(IN_ONE_PAGE).next_multiple_of(PAGE_BYTES);
    charge(bytes - in_pages.min(bytes), in_pages)
}

/// What a message costs.
pub(super) fn message_charge(bytes: usize) -> usize {
    let beyond = bytes.saturating_sub(IN_FOUR_PAGES).min(MAX_PAGES * PAGE_BYTES);
    let in_pages = beyond.next_multiple_of(PAGE_BYTES);
    charge(bytes - in_pages, in_pages)
}

fn charge(in_buffer: usize, in_pages: usize) -> usize {
    let buffer = in_buffer.next_multiple_of(64) + NOTES_BYTES;
    buffer.max(MIN_BUFFER_BYTES).next_power_of_two() + HEAD_BYTES + in_pages
}

impl Kernel {
    /// Nobody reads a parcel any more.
    pub(super) fn discard_parcel(&mut self, now: SimTime, parcel: Parcel) {
        self.sockets.rights_under_way -= parcel.rights.len();
        self.drop_rights(now, parcel.rights);
        self.uncharge(now, parcel.sender, parcel.charge_bytes);
    }

    /// What a socket has sent takes less memory.
    fn uncharge(&mut self, now: SimTime, sender: SocketId, bytes: usize) {
        let Ok(unix) = self.sockets.unix_mut(sender) else {
            return self.sockets.unix_names.uncharge_ghost(sender, bytes);
        };
        unix.charged_bytes = unix.charged_bytes.saturating_sub(bytes);
        self.tell_room_of_unix(now, sender);
    }

    /// If a socket has room worth speaking of, tell who waits for it.
    pub(in crate::socket) fn tell_room_of_unix(&mut self, now: SimTime, sender: SocketId) {
        let Ok(socket) = self.sockets.get_mut(sender) else { return };
        let Ok(unix) = socket.family.unix_mut() else { return };
        if !unix.is_writable(socket.options.send_bytes) {
            return;
        }
        let lacked_room = core::mem::take(&mut unix.lacks_room);
        self.notify_socket(now, sender, ready::WRITE | ready::WRITE_BAND);
        if lacked_room {
            self.signal_owner(now, sender, IoReason::Room);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_cost_what_linux_says() {
        for (bytes, stream, message) in [
            (0, 768, 768),
            (1, 768, 768),
            (192, 768, 768),
            (193, 1280, 1280),
            (704, 1280, 1280),
            (705, 2304, 2304),
            (1729, 4352, 4352),
            (3776, 4352, 4352),
            (3777, 4864, 8448),
            (4289, 5376, 8448),
            (5825, 8448, 8448),
            (7873, 8960, 16_640),
            (16_117, 17_152, 20_736),
            (36_544, 37_120, 37_120),
        ] {
            assert_eq!((stream_charge(bytes), message_charge(bytes)), (stream, message), "{bytes}");
        }
        for (bytes, message) in [(85_696, 86_272), (85_697, 102_656), (134_893, 200_960)] {
            assert_eq!(message_charge(bytes), message, "{bytes}");
        }
        assert_eq!(stream_piece(100_000, 212_992), 36_544);
        assert_eq!(stream_piece(100_000, 4608), 2240);
    }
}
