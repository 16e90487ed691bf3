//! `version.h`: which library is loaded, and which protocol it speaks.
//!
//! Nothing comes in, numbers go out. Always true: the answers are constants of the build, the same in
//! a guest and natively, and safe at any moment, also in a signal handler. The macros that name the
//! version of the *headers* are not here: `shim-gen` makes them from the same `Cargo.toml`.
//!
//! # Safety
//!
//! The unsafety of this file is its exported names: they must be unique in the process. The prefix
//! `shim_` and the version nodes of `src/shim.map` see to that.
#![allow(unsafe_code)]

/// Version of the library that is loaded, as SHIM_VERSION encodes it.
///
/// A program compares it with SHIM_VERSION, the version of the headers that it was compiled with:
/// shim_version() >= SHIM_VERSION means that everything that those headers declare is there.
///
/// Returns: major * 65536 + minor * 256 + patch.
/// Errors: none.
/// Threads and signals: safe from any thread and in a signal handler; makes no system call.
/// Outside a simulation: the same.
/// Since: 0.1.
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn shim_version() -> u32 {
    crate::capi_impl::shim_version()
}

/// Version of the protocol that the library speaks with a simulator.
///
/// A simulator whose protocol does not fit refuses to start the program, so a guest needs this
/// number only for messages.
///
/// Returns: major * 65536 + minor.
/// Errors: none.
/// Threads and signals: safe from any thread and in a signal handler; makes no system call.
/// Outside a simulation: the same.
/// Since: 0.1.
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn shim_protocol_version() -> u32 {
    crate::capi_impl::shim_protocol_version()
}
