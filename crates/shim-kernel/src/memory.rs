//! Numbers and structures in guest memory.
//!
//! An address in, integers out, and back, in the byte order of x86-64. Always true: a bad address is
//! EFAULT, and nothing is read beyond what is asked for. The layouts of Linux's structures are with
//! the calls that use them; that they are right is tested against libc's types.

use alloc::vec::Vec;

use shim_abi::Errno;

use crate::guest::{Guest, GuestAddr};

/// Read `N` bytes.
pub(crate) fn read_bytes<const N: usize>(
    guest: &mut dyn Guest,
    from: GuestAddr,
) -> Result<[u8; N], Errno> {
    let mut bytes = [0; N];
    guest.read(from, &mut bytes)?;
    Ok(bytes)
}

/// Read `N` consecutive 64-bit words.
pub(crate) fn read_words<const N: usize>(
    guest: &mut dyn Guest,
    from: GuestAddr,
) -> Result<[u64; N], Errno> {
    let mut words = [0; N];
    let mut bytes = [0; 64];
    let bytes = bytes.get_mut(..8 * N).ok_or(Errno::EFAULT)?;
    guest.read(from, bytes)?;
    for (word, chunk) in words.iter_mut().zip(bytes.chunks_exact(8)) {
        *word = u64_at(chunk, 0);
    }
    Ok(words)
}

/// Read text up to the zero byte that ends it: ENAMETOOLONG if it has `limit` bytes or more.
pub(crate) fn read_text(
    guest: &mut dyn Guest,
    from: GuestAddr,
    limit: usize,
) -> Result<Vec<u8>, Errno> {
    /// A piece that lies within one page, of which all bytes can be read or none.
    const PIECE_BYTES: usize = 64;
    let mut text = Vec::new();
    let mut at = from.0;
    while text.len() < limit {
        let len = PIECE_BYTES - at as usize % PIECE_BYTES;
        let mut piece = [0; PIECE_BYTES];
        guest.read(GuestAddr(at), &mut piece[..len])?;
        if let Some(end) = piece[..len].iter().position(|&byte| byte == 0) {
            text.extend_from_slice(&piece[..end]);
            break;
        }
        text.extend_from_slice(&piece[..len]);
        at = at.wrapping_add(len as u64);
    }
    if text.len() < limit { Ok(text) } else { Err(Errno::ENAMETOOLONG) }
}

/// Read a 32-bit number.
pub(crate) fn read_u32(guest: &mut dyn Guest, from: GuestAddr) -> Result<u32, Errno> {
    read_bytes(guest, from).map(u32::from_le_bytes)
}

/// Write consecutive 64-bit words.
pub(crate) fn write_words<const N: usize>(
    guest: &mut dyn Guest,
    to: GuestAddr,
    words: [u64; N],
) -> Result<(), Errno> {
    let mut layout = Layout::<256>::new();
    for (i, word) in words.into_iter().enumerate() {
        layout.u64(8 * i, word);
    }
    guest.write(to, &layout.bytes()[..8 * N])
}

/// The 64-bit number at `at` of `bytes`; zero beyond their end.
pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..).and_then(|b| b.first_chunk()).map_or(0, |b| u64::from_le_bytes(*b))
}

/// The 32-bit number at `at` of `bytes`; zero beyond their end.
pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..).and_then(|b| b.first_chunk()).map_or(0, |b| u32::from_le_bytes(*b))
}

/// A structure of Linux under construction: `N` bytes, zero where nothing was put.
pub(crate) struct Layout<const N: usize>([u8; N]);

impl<const N: usize> Layout<N> {
    /// All zero.
    pub(crate) const fn new() -> Self {
        Layout([0; N])
    }
    /// A structure that was read.
    pub(crate) const fn from_bytes(bytes: [u8; N]) -> Self {
        Layout(bytes)
    }
    fn put(&mut self, at: usize, bytes: &[u8]) {
        self.0[at..at + bytes.len()].copy_from_slice(bytes);
    }
    /// Put a 16-bit number at offset `at`.
    pub(crate) fn u16(&mut self, at: usize, value: u16) {
        self.put(at, &value.to_le_bytes());
    }
    /// Put a 32-bit number at offset `at`.
    pub(crate) fn u32(&mut self, at: usize, value: u32) {
        self.put(at, &value.to_le_bytes());
    }
    /// Put a 64-bit number at offset `at`.
    pub(crate) fn u64(&mut self, at: usize, value: u64) {
        self.put(at, &value.to_le_bytes());
    }
    /// The structure's bytes.
    pub(crate) const fn bytes(&self) -> &[u8; N] {
        &self.0
    }
}
