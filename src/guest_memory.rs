//! Guest memory: the only way in and out.
//!
//! Addresses that a guest gave ([`GuestAddr`]) in; bytes or EFAULT out. Always true: an address is an
//! allegation; the copy routine of `arch` catches every fault; the shim's own reservation is no guest
//! memory. Nothing here interprets what is copied.
//!
//! # Safety
//!
//! Calls the copy routine with raw addresses, and makes values of types that any bytes are valid for.
#![allow(unsafe_code)]

use core::mem::MaybeUninit;

use shim_abi::Errno;
use shim_abi::address::overlaps_reservation;

use crate::arch::copy_guest;

/// An address in the guest: a number, not a pointer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(transparent)]
pub struct GuestAddr(pub u64);

impl GuestAddr {
    /// The address `bytes` further on.
    pub fn offset(self, bytes: u64) -> GuestAddr {
        GuestAddr(self.0.wrapping_add(bytes))
    }
}

/// A type for which every pattern of bytes is a valid value, without padding that could leak.
///
/// # Safety
///
/// That.
pub unsafe trait Plain: Copy + 'static {}

macro_rules! plain {
    ($($t:ty),* $(,)?) => {
        // SAFETY: integers, arrays of them, and the kernel's C structures of integers.
        $(unsafe impl Plain for $t {})*
    };
}
plain!(
    u8, u16, u32, i32, u64, i64, [u64; 2], [u64; 3], [u64; 7], [i64; 15], [u64; 4], [i64; 2],
    [i64; 4], [u32; 2], [u32; 3]
);
plain!(libc::stat, libc::statx, libc::utsname, libc::pollfd);

fn check(address: GuestAddr, bytes: usize) -> Result<(), Errno> {
    if overlaps_reservation(address.0 as usize, bytes) { Err(Errno::EFAULT) } else { Ok(()) }
}

/// Copy `out.len()` bytes from the guest.
pub fn read_bytes(from: GuestAddr, out: &mut [u8]) -> Result<(), Errno> {
    check(from, out.len())?;
    // SAFETY: `out` is ours and large enough; the source is guest memory, checked above.
    let left = unsafe { copy_guest(out.as_mut_ptr(), from.0 as *const u8, out.len()) };
    if left == 0 { Ok(()) } else { Err(Errno::EFAULT) }
}

/// Copy `bytes` to the guest. On EFAULT some of them may have been stored, as with Linux.
pub fn write_bytes(to: GuestAddr, bytes: &[u8]) -> Result<(), Errno> {
    check(to, bytes.len())?;
    // SAFETY: `bytes` is ours; the target is guest memory, checked above.
    let left = unsafe { copy_guest(to.0 as *mut u8, bytes.as_ptr(), bytes.len()) };
    if left == 0 { Ok(()) } else { Err(Errno::EFAULT) }
}

/// Copy `bytes` to the guest; how many of them were stored before an address faulted.
pub fn write_some(to: GuestAddr, bytes: &[u8]) -> usize {
    if check(to, bytes.len()).is_err() {
        return 0;
    }
    // SAFETY: `bytes` is ours; the target is guest memory, checked above.
    bytes.len() - unsafe { copy_guest(to.0 as *mut u8, bytes.as_ptr(), bytes.len()) }
}

/// Read a value.
pub fn read_value<T: Plain>(from: GuestAddr) -> Result<T, Errno> {
    check(from, size_of::<T>())?;
    let mut value = MaybeUninit::<T>::uninit();
    // SAFETY: `value` is ours and as large as T; the source is guest memory, checked above.
    let left =
        unsafe { copy_guest(value.as_mut_ptr().cast(), from.0 as *const u8, size_of::<T>()) };
    if left != 0 {
        return Err(Errno::EFAULT);
    }
    // SAFETY: all bytes were copied, and any bytes make a T.
    Ok(unsafe { value.assume_init() })
}

/// Store a value.
pub fn write_value<T: Plain>(to: GuestAddr, value: &T) -> Result<(), Errno> {
    check(to, size_of::<T>())?;
    // SAFETY: the source is a live T; the target is guest memory, checked above.
    let left = unsafe { copy_guest(to.0 as *mut u8, (value as *const T).cast(), size_of::<T>()) };
    if left == 0 { Ok(()) } else { Err(Errno::EFAULT) }
}

/// Read a NUL-terminated text into `out`, up to its NUL or to the end of `out`; its length, and
/// whether the NUL was found.
pub fn read_text(from: GuestAddr, out: &mut [u8]) -> Result<(usize, bool), Errno> {
    const PAGE: usize = 4096;
    let mut done = 0;
    while done < out.len() {
        let at = from.offset(done as u64);
        // Never over a page's end before its bytes were looked at: the next page may be missing.
        let piece = (PAGE - at.0 as usize % PAGE).min(out.len() - done).min(256);
        let buffer = &mut out[done..done + piece];
        read_bytes(at, buffer)?;
        if let Some(end) = buffer.iter().position(|&b| b == 0) {
            return Ok((done + end, true));
        }
        done += piece;
    }
    Ok((done, false))
}
