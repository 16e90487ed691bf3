//! A guest's memory, read and written from here.
//!
//! Addresses and lengths that a guest alleged in; bytes, or EFAULT, out. Always true: nothing is believed of
//! them, and any failure is EFAULT, a partial one too. Small pieces travel in the channel: what the
//! shim copied for the call is read from our copy of it, and writes are queued and go with the reply
//! while they fit; everything else is one system call. A read sees earlier queued writes. Whether
//! an address is good is for the kernel that runs the guest to say.
//!
//! # Safety
//!
//! Unsafe here: process_vm_readv(2) and process_vm_writev(2) with pointers to slices of ours.
#![allow(unsafe_code)]

use std::sync::atomic::AtomicU64;

use shim_abi::Errno;
use shim_abi::event::{Copies, words_to_bytes};
use shim_abi::thread::DATA_BYTES;

use crate::guest::Guest;
use crate::life::NativePid;

/// Words that a piece needs beside its bytes: address and length.
const PIECE_HEADER_BYTES: usize = 16;

/// Pieces of a guest's memory, copied out of or on their way into a channel's data area.
#[derive(Debug, Default)]
pub(crate) struct Pieces {
    pieces: Vec<Piece>,
    bytes: Vec<u8>,
    /// Size of the pieces in a data area.
    encoded_bytes: usize,
}

#[derive(Clone, Copy, Debug)]
struct Piece {
    address: u64,
    len: usize,
    /// Where its bytes begin in `Pieces::bytes`.
    start: usize,
}

impl Pieces {
    pub(crate) fn clear(&mut self) {
        self.pieces.clear();
        self.bytes.clear();
        self.encoded_bytes = 0;
    }

    /// Copy the pieces out of a data area; whether they were sound.
    pub(crate) fn load(&mut self, data: &[AtomicU64], used_bytes: u32) -> bool {
        self.clear();
        let Pieces { pieces, bytes, .. } = self;
        let result = Copies::read(data, used_bytes, |address, len, words| {
            let start = bytes.len();
            bytes.resize(start + len, 0);
            words_to_bytes(words, &mut bytes[start..]);
            pieces.push(Piece { address, len, start });
        });
        result.is_some()
    }

    /// Put the pieces into a data area; how many bytes of it they take.
    pub(crate) fn store(&self, data: &[AtomicU64]) -> Option<u32> {
        let mut copies = Copies::new(data);
        self.pieces
            .iter()
            .all(|piece| copies.push(piece.address, self.bytes_of(piece)))
            .then(|| copies.used_bytes())
    }

    fn bytes_of(&self, piece: &Piece) -> &[u8] {
        self.bytes.get(piece.start..piece.start + piece.len).unwrap_or_default()
    }

    /// Queue a piece; `false` if it does not fit into a data area with the others.
    fn push(&mut self, address: u64, bytes: &[u8]) -> bool {
        let need = PIECE_HEADER_BYTES + bytes.len().next_multiple_of(8);
        if self.encoded_bytes + need > DATA_BYTES {
            return false;
        }
        self.pieces.push(Piece { address, len: bytes.len(), start: self.bytes.len() });
        self.bytes.extend_from_slice(bytes);
        self.encoded_bytes += need;
        true
    }

    /// The `len` bytes at `address`, if one piece holds them all.
    fn find(&self, address: u64, len: usize) -> Option<&[u8]> {
        self.pieces.iter().find_map(|piece| {
            let offset = usize::try_from(address.checked_sub(piece.address)?).ok()?;
            let end = offset.checked_add(len)?;
            self.bytes_of(piece).get(offset..end)
        })
    }

    fn overlaps(&self, address: u64, len: usize) -> bool {
        let end = address.saturating_add(len as u64);
        self.pieces.iter().any(|piece| {
            piece.address < end && address < piece.address.saturating_add(piece.len as u64)
        })
    }
}

/// The memory of a guest that waits for a reply.
#[derive(Debug)]
pub struct GuestMemory<'a> {
    guest: &'a mut Guest,
}

impl<'a> GuestMemory<'a> {
    pub(crate) fn new(guest: &'a mut Guest) -> Self {
        GuestMemory { guest }
    }

    /// Fill `out` from `address`.
    pub fn read(&mut self, address: u64, out: &mut [u8]) -> Result<(), Errno> {
        if out.is_empty() {
            return Ok(());
        }
        if self.guest.outgoing.overlaps(address, out.len()) {
            self.flush()?;
        } else if let Some(bytes) = self.guest.incoming.find(address, out.len()) {
            out.copy_from_slice(bytes);
            return Ok(());
        }
        let len = out.len();
        let local = libc::iovec { iov_base: out.as_mut_ptr().cast(), iov_len: len };
        self.transfer(local, address, Direction::FromGuest)
    }

    /// Store `bytes` at `address`: at once if they are many, else with the reply. In that case a bad
    /// address shows only in the guest, whose call then fails with EFAULT.
    pub fn write(&mut self, address: u64, bytes: &[u8]) -> Result<(), Errno> {
        if bytes.is_empty() {
            return Ok(());
        }
        if self.guest.incoming.overlaps(address, bytes.len()) {
            // What the call brought along is outdated there.
            self.guest.incoming.clear();
        }
        if self.guest.outgoing.push(address, bytes) {
            return Ok(());
        }
        // In the order in which they were made: they may overlap.
        self.flush()?;
        self.write_now(address, bytes)
    }

    /// Store all queued writes now.
    pub fn flush(&mut self) -> Result<(), Errno> {
        let outgoing = std::mem::take(&mut self.guest.outgoing);
        outgoing
            .pieces
            .iter()
            .try_for_each(|piece| self.write_now(piece.address, outgoing.bytes_of(piece)))
    }

    /// The guest waits although it has no reply: store all queued writes now, because others may look, and take
    /// nothing that its request brought along for what its memory still holds when it goes on.
    pub fn settle(&mut self) -> Result<(), Errno> {
        self.guest.incoming.clear();
        self.flush()
    }

    fn write_now(&self, address: u64, bytes: &[u8]) -> Result<(), Errno> {
        let local =
            libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
        self.transfer(local, address, Direction::ToGuest)
    }

    fn transfer(
        &self,
        local: libc::iovec,
        address: u64,
        direction: Direction,
    ) -> Result<(), Errno> {
        let remote = libc::iovec {
            iov_base: std::ptr::without_provenance_mut(address as usize),
            iov_len: local.iov_len,
        };
        let done = self.guest.process.life.while_alive(|pid| direction.call(pid, &local, &remote));
        if done == Some(local.iov_len as isize) { Ok(()) } else { Err(Errno::EFAULT) }
    }
}

#[derive(Clone, Copy)]
enum Direction {
    FromGuest,
    ToGuest,
}

impl Direction {
    /// How many bytes were moved, or -1. `local` describes memory that the caller borrows, mutably if
    /// it is to be written.
    fn call(self, pid: NativePid, local: &libc::iovec, remote: &libc::iovec) -> isize {
        match self {
            // SAFETY: `local` is a mutable slice that `read` borrows during the call; the kernel
            // checks what is on the guest's side.
            Direction::FromGuest => unsafe {
                libc::process_vm_readv(pid.get(), local, 1, remote, 1, 0)
            },
            // SAFETY: `local` is a slice that `write_now` borrows during the call, and is only read.
            Direction::ToGuest => unsafe {
                libc::process_vm_writev(pid.get(), local, 1, remote, 1, 0)
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data() -> [AtomicU64; DATA_BYTES / 8] {
        [const { AtomicU64::new(0) }; DATA_BYTES / 8]
    }

    #[test]
    fn pieces_cross_a_data_area() {
        let data = data();
        let mut sent = Pieces::default();
        assert!(sent.push(1000, b"hello"));
        assert!(sent.push(2000, &[7; 16]));
        let used = sent.store(&data).unwrap();
        assert_eq!(used as usize, sent.encoded_bytes);
        let mut got = Pieces::default();
        assert!(got.load(&data, used));
        assert_eq!(got.find(1001, 3), Some(&b"ell"[..]));
        assert_eq!(got.find(2000, 16), Some(&[7; 16][..]));
        assert_eq!(got.find(1000, 6), None);
        assert_eq!(got.find(999, 2), None);
        assert_eq!(got.find(u64::MAX, 2), None);
        assert!(got.overlaps(1004, 100) && !got.overlaps(1005, 100) && got.overlaps(0, 1001));
    }

    #[test]
    fn a_full_area_refuses_and_what_it_took_fits() {
        let mut pieces = Pieces::default();
        assert!(!pieces.push(0, &[0; DATA_BYTES - 8]));
        assert!(pieces.push(0, &[0; DATA_BYTES - 40]));
        assert!(pieces.push(0, &[0; 1]));
        assert!(!pieces.push(0, &[]));
        assert_eq!(pieces.store(&data()), Some(DATA_BYTES as u32));
    }

    #[test]
    fn nonsense_in_a_data_area_is_refused() {
        let data = data();
        let mut pieces = Pieces::default();
        data[1].store(u64::MAX, std::sync::atomic::Ordering::Relaxed);
        assert!(!pieces.load(&data, 64));
        assert!(!pieces.load(&data, u32::MAX));
        data[1].store(64, std::sync::atomic::Ordering::Relaxed);
        assert!(!pieces.load(&data, 64));
    }
}
