//! What embedders ask for beyond the seed: records in the log, what this process has of a simulation.
//!
//! A text or nothing in; a record, a line or bits out. Always true: a text is read through the copy
//! routine or by the kernel, so an address that is not readable is an error and no fault; async-signal-
//! safe. How the shim logs about itself is in `trace`.

use core::ffi::{c_char, c_int};

use shim_abi::Errno;
use shim_abi::calls::nr;

use super::slot;
use crate::capi::log::{
    SHIM_LOG_DEBUGGING, SHIM_LOG_ERROR, SHIM_LOG_EVERYTHING, SHIM_LOG_INFORMATION, SHIM_LOG_WARNING,
};
use crate::capi::version::{
    SHIM_FEATURE_CLOCKS, SHIM_FEATURE_CPUID, SHIM_FEATURE_NAMES, SHIM_FEATURE_SYSCALLS,
    SHIM_FEATURE_TSC,
};
use crate::guest_memory::{self, GuestAddr};
use crate::{sys, trace};

/// Longest text of a record.
const MAX_TEXT_BYTES: usize = 1000;
const PAGE: usize = 4096;

const _: () = assert!(MAX_TEXT_BYTES <= shim_abi::ring::MAX_PAYLOAD_BYTES);

pub fn shim_log(level: i32, text: *const c_char) -> c_int {
    match log(level, GuestAddr(text.addr() as u64)) {
        Ok(()) => 0,
        Err(errno) => -errno.number(),
    }
}

fn log(level: i32, text: GuestAddr) -> Result<(), Errno> {
    // The word with which a line begins natively; without one there is no line.
    let word: Option<&[u8]> = match level {
        SHIM_LOG_ERROR => Some(b"error: "),
        SHIM_LOG_WARNING => Some(b"warning: "),
        SHIM_LOG_INFORMATION | SHIM_LOG_DEBUGGING | SHIM_LOG_EVERYTHING => None,
        _ => return Err(Errno::EINVAL),
    };
    let mut bytes = [0; MAX_TEXT_BYTES];
    if let Some(slot) = slot() {
        let (len, _) = guest_memory::read_text(text, &mut bytes)?;
        trace::log_bytes(slot, level as u8, &bytes[..len]);
        return Ok(());
    }
    let len = read_own_text(text, &mut bytes)?;
    let Some(word) = word else { return Ok(()) };
    // One write, so that lines of several threads do not mix. That standard error is closed or full is
    // no error of the caller's.
    let mut line = trace::FixedText::<{ MAX_TEXT_BYTES + 16 }>::new();
    line.push(word);
    line.push(&bytes[..len]);
    line.push(b"\n");
    let _ = sys::write_all(2, line.as_bytes());
    Ok(())
}

/// As `guest_memory::read_text`, in a process whose faults are not ours to catch: the kernel copies.
fn read_own_text(from: GuestAddr, out: &mut [u8]) -> Result<usize, Errno> {
    let pid = sys::call(nr::getpid, [0; 6])?;
    let mut done = 0;
    while done < out.len() {
        let at = from.offset(done as u64).0;
        let piece = (PAGE - at as usize % PAGE).min(out.len() - done);
        let buffer = &mut out[done..done + piece];
        let to = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: piece };
        let from = libc::iovec { iov_base: at as *mut _, iov_len: piece };
        let args = [pid, (&raw const to) as u64, 1, (&raw const from) as u64, 1, 0];
        sys::call(nr::process_vm_readv, args)?;
        if let Some(end) = out[done..done + piece].iter().position(|&byte| byte == 0) {
            return Ok(done + end);
        }
        done += piece;
    }
    Ok(done)
}

pub fn shim_features() -> u64 {
    let Some(slot) = slot() else { return 0 };
    let has = |is_there: bool, bit: u64| if is_there { bit } else { 0 };
    SHIM_FEATURE_SYSCALLS
        | SHIM_FEATURE_CLOCKS
        | SHIM_FEATURE_NAMES
        | has(slot.is_tsc_trapped.get(), SHIM_FEATURE_TSC)
        | has(slot.is_cpuid_trapped.get(), SHIM_FEATURE_CPUID)
}
