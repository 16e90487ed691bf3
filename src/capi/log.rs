//! `log.h`: records of the guest's own, among those of the simulation.
//!
//! A level and a text come in; a record in the log of the run goes out, or a line on standard error
//! natively. Always true: a record costs no simulated time and changes nothing that the program can
//! see, so a program with and without it behaves the same. How records look in the log is not here: the
//! simulator words them.
//!
//! # Safety
//!
//! The unsafety of this file is its exported name (unique by prefix and version node) and a text of
//! which natively only the caller knows that it ends.
#![allow(unsafe_code)]

use core::ffi::{c_char, c_int};

/// Something failed.
pub const SHIM_LOG_ERROR: i32 = 1i32;
/// Something is not as it should be.
pub const SHIM_LOG_WARNING: i32 = 2i32;
/// Something worth knowing.
pub const SHIM_LOG_INFORMATION: i32 = 3i32;
/// For whoever looks for a mistake.
pub const SHIM_LOG_DEBUGGING: i32 = 4i32;
/// Every step.
pub const SHIM_LOG_EVERYTHING: i32 = 5i32;

/// Write a record to the log of the run.
///
/// In a simulation the simulator writes it with simulated time, host and process beside its own
/// records, if shim_host_log_level has reached the level. It costs no simulated time. Control
/// characters of the text are escaped there.
///
/// level: one of SHIM_LOG_ERROR, SHIM_LOG_WARNING, SHIM_LOG_INFORMATION, SHIM_LOG_DEBUGGING,
/// SHIM_LOG_EVERYTHING.
/// text: UTF-8 that ends with a NUL and needs no newline; what follows its first 1000 bytes is cut.
/// Ownership: the text stays the caller's; nothing is kept.
/// Returns: 0, also if the level is not wanted and nothing is written, or a negated error number.
/// Errors: -EINVAL for another level. -EFAULT if text is NULL or not readable. errno is not touched.
/// Threads and signals: safe from any thread and in a signal handler.
/// Outside a simulation: a line "error: " and the text, or "warning: ", is written to standard error
/// at once; the other levels are not wanted.
/// Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shim_log(level: i32, text: *const c_char) -> c_int {
    crate::capi_impl::embed::shim_log(level, text)
}
