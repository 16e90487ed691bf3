//! `thread.h`: the end of a thread, for code that ends threads without its libc.
//!
//! A status comes in and nothing comes out: the thread is gone. Always true: a thread gives back what
//! the shim holds for it exactly once, with all signals blocked. How a thread begins is not here: the
//! shim sees to it when the guest calls `clone`.
//!
//! # Safety
//!
//! The unsafety of this file is its exported names (unique by prefix and version node) and the end of a
//! thread, whose stack and locks only the caller knows.
#![allow(unsafe_code)]

use core::ffi::c_int;

/// Give back what the library holds for the calling thread, then exit the thread.
///
/// All signals are blocked first, so that no handler runs on a thread that is half gone. Only the
/// thread exits, not the process, unless it was the last one. Destructors of thread-local objects and
/// cleanup handlers of the C library do not run: a thread that the C library made ends by returning
/// from its function or by pthread_exit, and needs no call of this.
///
/// status: the exit status; its lowest 8 bits count, and only if this is the last thread.
/// Returns: never.
/// Errors: none.
/// Threads and signals: ends the calling thread; the caller holds no lock that others need.
/// Outside a simulation: exits the thread.
/// Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shim_release_and_exit_current_thread(status: c_int) -> ! {
    // SAFETY: the caller vouches that nothing of this thread is needed any more.
    unsafe { crate::capi_impl::shim_release_and_exit_current_thread(status) }
}

/// Free the signal stack that the library installed for the calling thread.
///
/// For a thread that is about to exit. The memory itself is freed when the next thread of the process
/// frees its own, because the caller may be running on the stack that it frees. A second call, or a
/// call of a thread without such a stack, does nothing.
///
/// Returns: nothing.
/// Errors: none.
/// Threads and signals: acts on the calling thread only, which blocks all signals before and exits
/// soon after; not for signal handlers that return.
/// Outside a simulation: nothing is installed, and nothing happens.
/// Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shim_freeSignalStack() {
    // SAFETY: the caller vouches that this thread exits before it needs a signal stack again.
    unsafe { crate::capi_impl::shim_freeSignalStack() }
}
