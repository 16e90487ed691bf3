//! The memory of guests, read and written from C.
//!
//! The guest's addresses and the caller's buffers in; bytes, or -EFAULT, out. Always true: only of a guest that waits for an
//! answer; all of it or nothing: what could be read of a range that goes on into nowhere is not told. How it is done
//! is the supervisor's (`guest_memory`).
//!
//! # Safety
//!
//! Unsafe here: exported names, and pointers from C, about which each function says what its caller guarantees.
#![allow(unsafe_code)]

use std::ffi::{c_char, c_int, c_void};

use super::{Guest, Said, errno};
use crate::error::{Failure, Result, answer, note};
use crate::pointer::{bytes, object};

const PAGE_BYTES: u64 = 4096;

/// It waits for an answer, so its memory stands still as far as it is concerned.
fn waits(said: Said) -> bool {
    !matches!(said, Said::Nothing | Said::Malformed) && !said.is_end()
}

fn fault(address: u64, length: usize) -> impl Fn(shim_abi::Errno) -> Failure {
    move |number| {
        let text =
            format!("not all of the {length} bytes at {address:#x} are memory of the guest's");
        Failure::new(errno(number), text)
    }
}

impl Guest {
    fn read(&self, address: u64, out: &mut [u8]) -> Result<()> {
        let mut inner = self.lock();
        let length = out.len();
        self.waiting(&mut inner, waits)?.memory().read(address, out).map_err(fault(address, length))
    }

    fn write(&self, address: u64, bytes: &[u8]) -> Result<()> {
        let mut inner = self.lock();
        let mut memory = self.waiting(&mut inner, waits)?.memory();
        memory.write(address, bytes).map_err(fault(address, bytes.len()))
    }

    fn flush(&self) -> Result<()> {
        let mut inner = self.lock();
        let failed = |_| Failure::new(libc::EFAULT, "memory of the guest's could not be written");
        self.waiting(&mut inner, waits)?.memory().flush().map_err(failed)
    }

    /// Read a text with its NUL; its length without.
    fn read_text(&self, address: u64, out: &mut [u8]) -> Result<usize> {
        let mut inner = self.lock();
        let mut memory = self.waiting(&mut inner, waits)?.memory();
        let mut done = 0;
        while done < out.len() {
            let at = address.wrapping_add(done as u64);
            // No further than a page: the next one may be nowhere, and the text end before.
            let most = (PAGE_BYTES - at % PAGE_BYTES).min((out.len() - done) as u64) as usize;
            let Some(piece) = out.get_mut(done..done + most) else { break };
            memory.read(at, piece).map_err(fault(at, most))?;
            if let Some(end) = piece.iter().position(|&byte| byte == 0) {
                return Ok(done + end);
            }
            done += most;
        }
        let text = format!("the text at {address:#x} has more than {} bytes", out.len());
        Err(Failure::new(libc::ENAMETOOLONG, text))
    }
}

/// # Safety
///
/// `pointer` is NULL or `length` bytes that nobody else uses.
unsafe fn buffer<'a>(pointer: *mut c_void, length: usize) -> Result<&'a mut [u8]> {
    if pointer.is_null() {
        return Err(Failure::invalid("buffer is NULL"));
    }
    if length > isize::MAX as usize {
        return Err(Failure::invalid(format!("buffer cannot have {length} bytes")));
    }
    // SAFETY: the caller's promise.
    Ok(unsafe { std::slice::from_raw_parts_mut(pointer.cast(), length) })
}

/// Read memory of a guest's.
///
/// guest: it waits for an answer.
/// address: where in the guest's memory.
/// buffer: where the bytes go.
/// length: how many.
/// Ownership: the buffer is the caller's.
/// Returns: 0, or a negative errno; shimsup_message tells more.
/// Errors: -EFAULT if not all of them can be read; then the buffer may hold anything. -EINVAL for NULL; -EBUSY if the guest has
/// control; -ESRCH if it has ended.
/// Threads and signals: safe from any thread; not in a signal handler.
/// Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shimsup_guest_read(
    guest: *mut Guest,
    address: u64,
    buffer: *mut c_void,
    length: usize,
) -> c_int {
    // SAFETY: the caller's: NULL or a guest.
    let guest = unsafe { object(guest, "guest") };
    // SAFETY: the caller's: NULL or so many bytes.
    let out = unsafe { self::buffer(buffer, length) };
    let read = || guest?.read(address, out?);
    answer("shimsup_guest_read", read())
}

/// Read a text from a guest's memory, up to its NUL.
///
/// guest: it waits for an answer.
/// address: where in the guest's memory.
/// buffer: where the text goes, with its NUL.
/// size: of the buffer, in bytes.
/// Ownership: the buffer is the caller's.
/// Returns: the text's length without its NUL, or a negative errno; shimsup_message tells more.
/// Errors: -EFAULT if it cannot be read to its end, -ENAMETOOLONG if it is longer than the buffer; then the buffer may hold anything.
/// -EINVAL for NULL; -EBUSY if the guest has control; -ESRCH if it has ended.
/// Threads and signals: safe from any thread; not in a signal handler.
/// Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shimsup_guest_read_text(
    guest: *mut Guest,
    address: u64,
    buffer: *mut c_char,
    size: usize,
) -> i64 {
    // SAFETY: the caller's: NULL or a guest.
    let guest = unsafe { object(guest, "guest") };
    // SAFETY: the caller's: NULL or so many bytes.
    let out = unsafe { self::buffer(buffer.cast(), size) };
    let read = || guest?.read_text(address, out?);
    match read() {
        Ok(length) => i64::try_from(length).unwrap_or(i64::MAX),
        Err(failure) => note("shimsup_guest_read_text", &failure).into(),
    }
}

/// Write memory of a guest's.
///
/// A little goes with the next answer, much at once. So a bad address may show later: the guest's call then returns -EFAULT in place
/// of its result. Reads see it in any case; shimsup_guest_flush has it stored, and tells.
///
/// guest: it waits for an answer.
/// address: where in the guest's memory.
/// bytes: what is to stand there.
/// length: how many bytes.
/// Ownership: the bytes are copied.
/// Returns: 0, or a negative errno; shimsup_message tells more.
/// Errors: -EFAULT if it is found now that not all can be written; some of it may be. -EINVAL for NULL; -EBUSY if the guest has
/// control; -ESRCH if it has ended.
/// Threads and signals: safe from any thread; not in a signal handler.
/// Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shimsup_guest_write(
    guest: *mut Guest,
    address: u64,
    bytes: *const c_void,
    length: usize,
) -> c_int {
    // SAFETY: the caller's: NULL or a guest.
    let guest = unsafe { object(guest, "guest") };
    // SAFETY: the caller's: NULL or so many bytes.
    let from = unsafe { self::bytes(bytes, length, "bytes") };
    let write = || guest?.write(address, from?);
    answer("shimsup_guest_write", write())
}

/// Have everything stored that was written to a guest's memory.
///
/// guest: it waits for an answer.
/// Returns: 0, or a negative errno; shimsup_message tells more.
/// Errors: -EFAULT if something cannot be written; what stands behind it in their order is lost. -EINVAL for NULL; -EBUSY if the guest
/// has control; -ESRCH if it has ended.
/// Threads and signals: safe from any thread; not in a signal handler.
/// Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shimsup_guest_flush(guest: *mut Guest) -> c_int {
    // SAFETY: the caller's: NULL or a guest.
    let guest = unsafe { object(guest, "guest") };
    answer("shimsup_guest_flush", guest.and_then(Guest::flush))
}
