//! `struct hostent`, laid out in a buffer of the caller's.
//!
//! A name, addresses and a buffer in, a filled structure out. Always true: everything that the structure
//! points at lies in the buffer, addresses aligned to words; what does not fit is an error and nothing is
//! stored beyond the buffer. Where names and addresses come from is `hosts`.
//!
//! # Safety
//!
//! Writes the buffers that C code passed.
#![allow(unsafe_code)]

use core::ffi::{c_char, c_int};
use core::ptr::null_mut;

/// `struct hostent`.
#[repr(C)]
pub struct HostEnt {
    pub name: *mut c_char,
    pub aliases: *mut *mut c_char,
    pub family: c_int,
    pub address_bytes: c_int,
    pub addresses: *mut *mut c_char,
}

/// A buffer that is being filled.
pub struct Buffer {
    at: usize,
    end: usize,
}

/// The buffer is too small.
#[derive(Debug)]
pub struct TooSmall;

impl Buffer {
    /// # Safety
    ///
    /// `bytes` writable bytes at `start`.
    pub unsafe fn new(start: *mut c_char, bytes: usize) -> Buffer {
        Buffer { at: start.addr(), end: start.addr().saturating_add(bytes) }
    }

    fn take(&mut self, bytes: usize, align: usize) -> Result<usize, TooSmall> {
        let at = self.at.checked_next_multiple_of(align).ok_or(TooSmall)?;
        let end = at.checked_add(bytes).ok_or(TooSmall)?;
        if end > self.end {
            return Err(TooSmall);
        }
        self.at = end;
        Ok(at)
    }

    fn bytes(&mut self, bytes: &[u8]) -> Result<*mut c_char, TooSmall> {
        // One more, for the NUL of texts.
        let at = self.take(bytes.len() + 1, 8)? as *mut u8;
        // SAFETY: `take` checked that it lies in the caller's buffer.
        unsafe { at.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
        // SAFETY: as above.
        unsafe { at.wrapping_add(bytes.len()).write(0) };
        Ok(at.cast())
    }

    fn pointers(&mut self, count: usize) -> Result<*mut *mut c_char, TooSmall> {
        let at = self.take((count + 1) * size_of::<usize>(), align_of::<usize>())?;
        let at = at as *mut *mut c_char;
        for i in 0..=count {
            // SAFETY: `take` checked that they lie in the caller's buffer, aligned.
            unsafe { at.wrapping_add(i).write(null_mut()) };
        }
        Ok(at)
    }

    /// A structure with `count` addresses of `address_bytes`, of which `address` gives the nth.
    pub fn host<'a>(
        mut self,
        name: &[u8],
        family: c_int,
        address_bytes: usize,
        count: usize,
        mut address: impl FnMut(usize) -> &'a [u8],
    ) -> Result<HostEnt, TooSmall> {
        let addresses = self.pointers(count)?;
        let aliases = self.pointers(0)?;
        for i in 0..count {
            let at = self.bytes(address(i))?;
            // SAFETY: one of the pointers that were taken.
            unsafe { addresses.wrapping_add(i).write(at) };
        }
        let name = self.bytes(name)?;
        Ok(HostEnt { name, aliases, family, address_bytes: address_bytes as c_int, addresses })
    }
}
