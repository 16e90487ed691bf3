//! `struct msghdr`: where a message's parts are, and what a receiver learns of it.
//!
//! An address in, the parts out; flags and lengths back in. Always true: it is read once, in Linux's order; what is
//! written is what Linux writes, and in the end the length of the control messages and the flags.

use alloc::vec::Vec;

use shim_abi::Errno;

use super::SocketId;
use super::control::ControlWriter;
use super::exchange::Baggage;
use super::name::read_address;
use super::unix::Credentials;
use crate::context::Context;
use crate::file::Transfer;
use crate::guest::{Guest, GuestAddr};
use crate::memory::{read_bytes, u32_at, u64_at};

/// Bytes of a `struct msghdr`, and where its parts are.
const BYTES: usize = 56;
const NAME: usize = 0;
const NAME_BYTES: usize = 8;
const SEGMENTS: usize = 16;
const SEGMENT_COUNT: usize = 24;
const CONTROL: usize = 32;
const CONTROL_BYTES: usize = 40;
const FLAGS: usize = 48;
/// No message has more pieces of memory.
const MAX_SEGMENTS: u64 = 1024;
/// No address is longer.
const MAX_ADDRESS_BYTES: i32 = 128;

/// The parts of a message, as a call names them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Message {
    name: GuestAddr,
    name_bytes: i32,
    segments: GuestAddr,
    segment_count: u64,
    pub(super) control: GuestAddr,
    pub(super) control_bytes: u64,
}

impl Message {
    /// Read a header: EFAULT, EINVAL, EMSGSIZE.
    pub(super) fn read(guest: &mut dyn Guest, at: GuestAddr) -> Result<Message, Errno> {
        let bytes: [u8; BYTES] = read_bytes(guest, at)?;
        let name = GuestAddr(u64_at(&bytes, NAME));
        let name_bytes = if name.is_null() { 0 } else { u32_at(&bytes, NAME_BYTES) as i32 };
        if name_bytes < 0 {
            return Err(Errno::EINVAL);
        }
        Ok(Message {
            name,
            name_bytes: name_bytes.min(MAX_ADDRESS_BYTES),
            segments: GuestAddr(u64_at(&bytes, SEGMENTS)),
            segment_count: u64_at(&bytes, SEGMENT_COUNT),
            control: GuestAddr(u64_at(&bytes, CONTROL)),
            control_bytes: u64_at(&bytes, CONTROL_BYTES),
        })
    }

    /// To whom it goes; empty if it does not say.
    pub(super) fn address(&self, guest: &mut dyn Guest) -> Result<Vec<u8>, Errno> {
        read_address(guest, self.name, self.name_bytes)
    }

    /// Its bytes.
    pub(super) fn transfer(&self, guest: &mut dyn Guest) -> Result<Transfer, Errno> {
        if self.segment_count > MAX_SEGMENTS {
            return Err(Errno::EMSGSIZE);
        }
        Transfer::of_vector(guest, self.segments, self.segment_count)
    }
}

/// Where a receiver's header is, and where the shim learns of descriptors.
#[derive(Clone, Copy, Debug)]
pub(super) struct Header {
    pub(super) at: GuestAddr,
    pub(super) message: Message,
    pub(super) report: GuestAddr,
}

impl Header {
    fn part(&self, offset: usize) -> GuestAddr {
        GuestAddr(self.at.0.wrapping_add(offset as u64))
    }
}

impl Context<'_> {
    /// Leave in a header what came with a message.
    pub(super) fn write_results(
        &mut self,
        socket: SocketId,
        header: Header,
        baggage: Baggage,
        source: &[u8],
        shown: u32,
    ) -> Result<(), Errno> {
        let message = header.message;
        let asks = self.kernel.sockets.get(socket)?.options.passes_credentials;
        let mut control = ControlWriter::new(message.control, message.control_bytes, shown);
        let has_more = !baggage.rights.is_empty() || !baggage.notes.is_empty();
        if message.control.is_null() && (asks || has_more) {
            control.cut();
        }
        for note in baggage.notes.iter().filter(|_| !message.control.is_null()) {
            control.put(self.guest, note.level, note.kind, &note.data);
        }
        if asks && !message.control.is_null() {
            let sender = baggage.credentials.unwrap_or(Credentials::UNKNOWN);
            control.put(self.guest, libc::SOL_SOCKET, libc::SCM_CREDENTIALS, &sender.bytes());
        }
        let has_arrived = self.announce_rights(&mut control, baggage.rights, header.report)?;
        if !message.name.is_null() {
            self.write_address(source, message.name, header.part(NAME_BYTES))?;
        }
        if has_arrived {
            // The shim ends the control messages, and writes the rest.
            return Ok(());
        }
        self.guest.write(header.part(FLAGS), &control.flags().to_le_bytes())?;
        self.guest.write(header.part(CONTROL_BYTES), &control.used_bytes().to_le_bytes())
    }
}
