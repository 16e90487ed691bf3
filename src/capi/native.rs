//! `native.h`: past the simulation and back, for one thread.
//!
//! A switch comes in, its old position goes out. Always true: the switch belongs to the calling
//! thread, starts in the position "simulated", and natively nothing is kept at all. Which calls stay
//! simulated regardless is decided where calls are dispatched, not here.
//!
//! # Safety
//!
//! The unsafety of this file is its exported names: unique by the prefix `shim_` and the version nodes
//! of `src/shim.map`.
#![allow(unsafe_code)]

/// Set whether the calling thread's system calls go to the real kernel.
///
/// For code in a guest that has to reach the real machine for a moment: a profiler that writes its
/// file, a preload library that reads its configuration. Set it, do the work, and set it back to the
/// value returned; so it nests. While it is on, clocks show real time as well. The calls clone, fork,
/// vfork and execve, those that change signals, and those that change the table of descriptors stay
/// simulated, because the simulation would lose the process otherwise. A new thread starts with it
/// off. No simulated time passes while native calls are made.
///
/// allow: true sends the calls to the real kernel, false to the simulation.
/// Returns: the value that was set before.
/// Errors: none.
/// Threads and signals: acts on the calling thread only; safe in a signal handler, which must set it
/// back before it returns; makes no system call.
/// Outside a simulation: calls always go to the real kernel; nothing is changed, and true is returned.
/// Since: 0.1.
#[unsafe(no_mangle)]
pub extern "C" fn shim_swapAllowNativeSyscalls(allow: bool) -> bool {
    crate::capi_impl::shim_swapAllowNativeSyscalls(allow)
}

/// Whether the calling thread's system calls are answered by the simulation now.
///
/// Returns: true in a guest, unless shim_swapAllowNativeSyscalls(true) is in force in this thread.
/// Errors: none.
/// Threads and signals: safe from any thread and in a signal handler; makes no system call.
/// Outside a simulation: false.
/// Since: 0.1.
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn shim_interpositionEnabled() -> bool {
    crate::capi_impl::shim_interpositionEnabled()
}
