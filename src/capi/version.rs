//! `version.h`: which library is loaded, which protocol it speaks, what the process has.
//!
//! Nothing comes in, numbers go out. Always true: versions are constants of the build, the same in a
//! guest and natively, features are facts of the process; all safe at any moment, also in a signal handler. The macros that name the
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

/// The program's system calls arrive at the simulation.
pub const SHIM_FEATURE_SYSCALLS: u64 = 1u64;
/// The program's clocks show simulated time, also those that it reads without a system call.
pub const SHIM_FEATURE_CLOCKS: u64 = 2u64;
/// The functions of names and interfaces know the simulation's hosts.
pub const SHIM_FEATURE_NAMES: u64 = 4u64;
/// The time stamp counter shows simulated time.
pub const SHIM_FEATURE_TSC: u64 = 8u64;
/// The instruction CPUID tells about the simulated machine.
pub const SHIM_FEATURE_CPUID: u64 = 16u64;

/// What this process has of a simulation.
///
/// Some of it depends on the processor and on how the simulator was asked to run; a program that
/// needs it asks here, not for a version. Bits that these headers do not name may be set too.
///
/// Returns: the SHIM_FEATURE_* bits that hold.
/// Errors: none.
/// Threads and signals: safe from any thread and in a signal handler; makes no system call.
/// Outside a simulation: 0.
/// Since: 0.1.
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn shim_features() -> u64 {
    crate::capi_impl::embed::shim_features()
}
