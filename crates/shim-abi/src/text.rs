//! Short texts in shared memory: a fixed array of bytes that ends at its first NUL.
//!
//! `&str` or bytes in, bytes out. Always true: a stored text is NUL-terminated, so a longer one is
//! cut. [`Text`] is for what is published once; [`SharedText`] for what is written while others read,
//! byte by byte: a reader that races with the writer sees a mixture, never out of bounds.

use core::sync::atomic::{AtomicU8, Ordering::Relaxed};

/// A text published once.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct Text<const N: usize>(pub [u8; N]);

impl<const N: usize> Text<N> {
    /// The text, cut to what fits before the terminating NUL.
    pub const fn new(text: &[u8]) -> Self {
        let mut bytes = [0; N];
        let len = if text.len() < N { text.len() } else { N - 1 };
        let mut i = 0;
        while i < len {
            bytes[i] = text[i];
            i += 1;
        }
        Text(bytes)
    }
    /// The bytes before the first NUL.
    pub fn as_bytes(&self) -> &[u8] {
        let len = self.0.iter().position(|&b| b == 0).unwrap_or(N);
        &self.0[..len]
    }
}

/// A text that one side writes while the other may read.
#[repr(transparent)]
pub struct SharedText<const N: usize>([AtomicU8; N]);

impl<const N: usize> SharedText<N> {
    /// Store `text`, cut to what fits before the terminating NUL.
    pub fn store(&self, text: &[u8]) {
        let len = text.len().min(N - 1);
        for (slot, &byte) in self.0.iter().zip(&text[..len]) {
            slot.store(byte, Relaxed);
        }
        self.0[len].store(0, Relaxed);
    }
    /// Copy the bytes before the first NUL into `out`; how many there were.
    pub fn load(&self, out: &mut [u8]) -> usize {
        let mut len = 0;
        for (slot, to) in self.0.iter().zip(out.iter_mut()) {
            let byte = slot.load(Relaxed);
            if byte == 0 {
                break;
            }
            *to = byte;
            len += 1;
        }
        len
    }
    /// Whether nothing is stored.
    pub fn is_empty(&self) -> bool {
        self.0[0].load(Relaxed) == 0
    }
}
