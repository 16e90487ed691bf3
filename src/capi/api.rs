//! `api.h`: system calls as the guest makes them, and the guest's own clock.
//!
//! A call's number and arguments come in; its result goes out as `syscall(2)` gives it. Always true:
//! the same call gives the same result whether the program makes it by itself or through here, except
//! that the native toggle of the calling thread does not apply. Switching calls to the real kernel is
//! not here (see `native.h`).
//!
//! # Safety
//!
//! The unsafety of this file is its exported names (unique by prefix and version node) and a system
//! call whose arguments only the caller can vouch for.
#![allow(unsafe_code)]

use core::ffi::c_long;

/// Make system call number n as the program itself would.
///
/// In a simulation the call is simulated, also while the calling thread's native system calls are
/// allowed (shim_swapAllowNativeSyscalls). Simulated time may pass, and the guest's signal handlers
/// may run before the function returns, as with any system call.
///
/// n: the number, a SYS_* constant of <sys/syscall.h>.
/// arg1 to arg6: the arguments, in the order of the call's manual page; unused ones are ignored.
/// Ownership: memory that arguments point to stays the caller's; the call reads and writes it as its
/// manual page says.
/// Returns: the call's result, or -1 with errno set, as syscall(2) does.
/// Errors: those of the call. ENOSYS for a call that the simulation does not have; it is then named
/// in the summary of the run. A bad pointer is EFAULT.
/// Threads and signals: as safe as the call itself. errno belongs to the calling thread.
/// Outside a simulation: the real kernel executes the call.
/// Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shim_api_syscall(
    n: c_long,
    arg1: u64,
    arg2: u64,
    arg3: u64,
    arg4: u64,
    arg5: u64,
    arg6: u64,
) -> i64 {
    // SAFETY: the caller vouches for the call and its arguments, as it does for syscall(2).
    unsafe { crate::capi_impl::shim_api_syscall(n, arg1, arg2, arg3, arg4, arg5, arg6) }
}

/// Whether this process is a guest, that is, runs in a simulation.
///
/// Returns: true from the first instruction of the program on if a simulator started it, else false.
/// It never changes while a program runs.
/// Errors: none.
/// Threads and signals: safe from any thread and in a signal handler; makes no system call.
/// Outside a simulation: false.
/// Since: 0.1.
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn shim_is_managed() -> bool {
    crate::capi_impl::shim_is_managed()
}

/// Simulated time of the calling thread.
///
/// It is the time that the program's own clocks are made from: what the host's clock showed when the
/// thread was last given control, plus what the latency model has charged the thread since. Reading
/// it costs no simulated time.
///
/// Returns: nanoseconds since the start of the simulation.
/// Errors: none.
/// Threads and signals: safe from any thread and in a signal handler; makes no system call.
/// Outside a simulation: 0.
/// Since: 0.1.
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn shim_simtime_ns() -> u64 {
    crate::capi_impl::shim_simtime_ns()
}
