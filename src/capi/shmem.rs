//! `shmem.h`: the blocks of shared memory that describe a guest, and what can be read of them.
//!
//! Opaque pointers to the blocks go out, and come back in with a question. Always true: a pointer is
//! NULL outside a simulation, every function takes NULL, and nothing here writes to a block. The layouts
//! are not here: they are `shim-abi`'s, may change with every protocol version, and are no part of the
//! C API.
//!
//! # Safety
//!
//! The unsafety of this file is its exported names (unique by prefix and version node) and pointers
//! from C code: the caller guarantees that each is NULL or one that a function of this file returned.
#![allow(unsafe_code)]

use core::ffi::c_char;

/// What all hosts of a simulation have in common. Opaque: read it with shim_manager_*.
pub struct ShimShmemManager {
    _opaque: (),
}

/// One simulated machine. Opaque: read it with shim_host_*.
pub struct ShimShmemHost {
    _opaque: (),
}

/// One simulated process. Opaque: read it with shim_process_*.
pub struct ShimShmemProcess {
    _opaque: (),
}

/// One simulated thread. Opaque: read it with shim_thread_*.
pub struct ShimShmemThread {
    _opaque: (),
}

/// The channel between one thread and the simulator. Opaque.
pub struct ShimIPC {
    _opaque: (),
}

/// The manager block: what all hosts of the simulation have in common.
///
/// Ownership: the library's; never freed by the caller, valid as long as the program runs.
/// Returns: the block, or NULL outside a simulation.
/// Errors: none.
/// Threads and signals: safe from any thread and in a signal handler; makes no system call.
/// Outside a simulation: NULL.
/// Since: 0.1.
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn shim_managerSharedMem() -> *const ShimShmemManager {
    crate::capi_impl::shim_managerSharedMem()
}

/// The host block: the simulated machine that this process runs on.
///
/// Ownership: the library's; never freed by the caller, valid as long as the program runs.
/// Returns: the block, or NULL outside a simulation.
/// Errors: none.
/// Threads and signals: safe from any thread and in a signal handler; makes no system call.
/// Outside a simulation: NULL.
/// Since: 0.1.
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn shim_hostSharedMem() -> *const ShimShmemHost {
    crate::capi_impl::shim_hostSharedMem()
}

/// The process block: this process.
///
/// Ownership: the library's; never freed by the caller, valid as long as the program runs. After fork
/// the child asks again: what its parent got is its parent's block.
/// Returns: the block, or NULL outside a simulation.
/// Errors: none.
/// Threads and signals: safe from any thread and in a signal handler; makes no system call.
/// Outside a simulation: NULL.
/// Since: 0.1.
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn shim_processSharedMem() -> *const ShimShmemProcess {
    crate::capi_impl::shim_processSharedMem()
}

/// The thread block: the calling thread.
///
/// Ownership: the library's; never freed by the caller, valid until the thread exits.
/// Returns: the block, or NULL outside a simulation.
/// Errors: none.
/// Threads and signals: safe from any thread and in a signal handler; makes no system call.
/// Outside a simulation: NULL.
/// Since: 0.1.
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn shim_threadSharedMem() -> *const ShimShmemThread {
    crate::capi_impl::shim_threadSharedMem()
}

/// The channel between the calling thread and the simulator.
///
/// For libraries that are built together with the simulator; nothing in this API reads it.
///
/// Ownership: the library's; never freed by the caller, valid until the thread exits.
/// Returns: the channel, or NULL outside a simulation.
/// Errors: none.
/// Threads and signals: safe from any thread and in a signal handler; makes no system call.
/// Outside a simulation: NULL.
/// Since: 0.1.
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn shim_thisThreadEventIPC() -> *const ShimIPC {
    crate::capi_impl::shim_thisThreadEventIPC()
}

/// Calendar time at which the simulation starts.
///
/// manager: as shim_managerSharedMem returned it, or NULL.
/// Returns: nanoseconds since 1970-01-01 00:00:00 UTC; negative before it. 0 if manager is NULL.
/// Errors: none.
/// Threads and signals: safe from any thread and in a signal handler; makes no system call.
/// Outside a simulation: there is no block to ask; NULL gives 0.
/// Since: 0.1.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shim_manager_start_realtime_ns(manager: *const ShimShmemManager) -> i64 {
    // SAFETY: the caller vouches that the pointer is NULL or came from shim_managerSharedMem.
    unsafe { crate::capi_impl::shim_manager_start_realtime_ns(manager) }
}

/// Process id of the simulator, in the ids of the real machine.
///
/// The guest cannot reach it: its own system calls know simulated ids only.
///
/// manager: as shim_managerSharedMem returned it, or NULL.
/// Returns: the id. -1 if manager is NULL.
/// Errors: none.
/// Threads and signals: safe from any thread and in a signal handler; makes no system call.
/// Outside a simulation: there is no block to ask; NULL gives -1.
/// Since: 0.1.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shim_manager_simulator_pid(manager: *const ShimShmemManager) -> i32 {
    // SAFETY: the caller vouches that the pointer is NULL or came from shim_managerSharedMem.
    unsafe { crate::capi_impl::shim_manager_simulator_pid(manager) }
}

/// Frequency of the time stamp counter that guests read.
///
/// manager: as shim_managerSharedMem returned it, or NULL.
/// Returns: ticks per simulated second. 0 if manager is NULL.
/// Errors: none.
/// Threads and signals: safe from any thread and in a signal handler; makes no system call.
/// Outside a simulation: there is no block to ask; NULL gives 0.
/// Since: 0.1.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shim_manager_tsc_frequency_hz(manager: *const ShimShmemManager) -> u64 {
    // SAFETY: the caller vouches that the pointer is NULL or came from shim_managerSharedMem.
    unsafe { crate::capi_impl::shim_manager_tsc_frequency_hz(manager) }
}

/// Simulated time that an answered system call costs.
///
/// manager: as shim_managerSharedMem returned it, or NULL.
/// Returns: nanoseconds. 0 if manager is NULL.
/// Errors: none.
/// Threads and signals: safe from any thread and in a signal handler; makes no system call.
/// Outside a simulation: there is no block to ask; NULL gives 0.
/// Since: 0.1.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shim_manager_syscall_latency_ns(manager: *const ShimShmemManager) -> u64 {
    // SAFETY: the caller vouches that the pointer is NULL or came from shim_managerSharedMem.
    unsafe { crate::capi_impl::shim_manager_syscall_latency_ns(manager) }
}

/// Simulated time that a read of a clock without a system call costs.
///
/// It holds for the functions of the vDSO and for the time stamp counter.
///
/// manager: as shim_managerSharedMem returned it, or NULL.
/// Returns: nanoseconds. 0 if manager is NULL.
/// Errors: none.
/// Threads and signals: safe from any thread and in a signal handler; makes no system call.
/// Outside a simulation: there is no block to ask; NULL gives 0.
/// Since: 0.1.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shim_manager_vdso_latency_ns(manager: *const ShimShmemManager) -> u64 {
    // SAFETY: the caller vouches that the pointer is NULL or came from shim_managerSharedMem.
    unsafe { crate::capi_impl::shim_manager_vdso_latency_ns(manager) }
}

/// Number of the simulated machine in the simulation.
///
/// host: as shim_hostSharedMem returned it, or NULL.
/// Returns: the number, from 0. -1 if host is NULL.
/// Errors: none.
/// Threads and signals: safe from any thread and in a signal handler; makes no system call.
/// Outside a simulation: there is no block to ask; NULL gives -1.
/// Since: 0.1.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shim_host_id(host: *const ShimShmemHost) -> i64 {
    // SAFETY: the caller vouches that the pointer is NULL or came from shim_hostSharedMem.
    unsafe { crate::capi_impl::shim_host_id(host) }
}

/// Copy the name of the simulated machine, as gethostname gives it.
///
/// At most size_bytes - 1 bytes are stored, and a NUL after them; a longer name is cut. The name was
/// cut if what is returned is not smaller than size_bytes.
///
/// host: as shim_hostSharedMem returned it, or NULL.
/// name: where the text goes; NULL only if size_bytes is 0.
/// size_bytes: size of that buffer; with 0 nothing is stored.
/// Ownership: the buffer is the caller's.
/// Returns: length of the whole name in bytes, without the NUL. 0, and an empty text, if host is NULL.
/// Errors: none.
/// Threads and signals: safe from any thread and in a signal handler; makes no system call.
/// Outside a simulation: there is no block to ask; NULL gives an empty text.
/// Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shim_host_name(
    host: *const ShimShmemHost,
    name: *mut c_char,
    size_bytes: usize,
) -> usize {
    // SAFETY: the caller vouches for the block, and for size_bytes writable bytes at name.
    unsafe { crate::capi_impl::shim_host_name(host, name, size_bytes) }
}

/// Simulated time of the machine.
///
/// It is the time at which the simulator last had control, and does not move while threads of the machine have it;
/// for the calling thread's own time, see shim_simtime_ns.
///
/// host: as shim_hostSharedMem returned it, or NULL.
/// Returns: nanoseconds since the start of the simulation. 0 if host is NULL.
/// Errors: none.
/// Threads and signals: safe from any thread and in a signal handler; makes no system call.
/// Outside a simulation: there is no block to ask; NULL gives 0.
/// Since: 0.1.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shim_host_simtime_ns(host: *const ShimShmemHost) -> u64 {
    // SAFETY: the caller vouches that the pointer is NULL or came from shim_hostSharedMem.
    unsafe { crate::capi_impl::shim_host_simtime_ns(host) }
}

/// Verbosity of the log records that guests of the machine write.
///
/// host: as shim_hostSharedMem returned it, or NULL.
/// Returns: 0 off, 1 error, 2 warning, 3 information, 4 debugging, 5 everything. -1 if host is
/// NULL.
/// Errors: none.
/// Threads and signals: safe from any thread and in a signal handler; makes no system call.
/// Outside a simulation: there is no block to ask; NULL gives -1.
/// Since: 0.1.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shim_host_log_level(host: *const ShimShmemHost) -> i32 {
    // SAFETY: the caller vouches that the pointer is NULL or came from shim_hostSharedMem.
    unsafe { crate::capi_impl::shim_host_log_level(host) }
}

/// IPv4 address of the machine's interface.
///
/// host: as shim_hostSharedMem returned it, or NULL.
/// Returns: the address in network byte order, as in_addr.s_addr holds it. 0 if the machine has
/// none, and if host is NULL.
/// Errors: none.
/// Threads and signals: safe from any thread and in a signal handler; makes no system call.
/// Outside a simulation: there is no block to ask; NULL gives 0.
/// Since: 0.1.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shim_host_ipv4(host: *const ShimShmemHost) -> u32 {
    // SAFETY: the caller vouches that the pointer is NULL or came from shim_hostSharedMem.
    unsafe { crate::capi_impl::shim_host_ipv4(host) }
}

/// Simulated id of the process: what getpid returns in it.
///
/// process: as shim_processSharedMem returned it, or NULL.
/// Returns: the id. -1 if process is NULL.
/// Errors: none.
/// Threads and signals: safe from any thread and in a signal handler; makes no system call.
/// Outside a simulation: there is no block to ask; NULL gives -1.
/// Since: 0.1.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shim_process_pid(process: *const ShimShmemProcess) -> i32 {
    // SAFETY: the caller vouches that the pointer is NULL or came from shim_processSharedMem.
    unsafe { crate::capi_impl::shim_process_pid(process) }
}

/// Simulated id of the parent of the process.
///
/// process: as shim_processSharedMem returned it, or NULL.
/// Returns: the id, or 0 if the parent is outside the simulation. -1 if process is NULL.
/// Errors: none.
/// Threads and signals: safe from any thread and in a signal handler; makes no system call.
/// Outside a simulation: there is no block to ask; NULL gives -1.
/// Since: 0.1.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shim_process_parent_pid(process: *const ShimShmemProcess) -> i32 {
    // SAFETY: the caller vouches that the pointer is NULL or came from shim_processSharedMem.
    unsafe { crate::capi_impl::shim_process_parent_pid(process) }
}

/// Id of the process on the real machine, for tools outside the simulation.
///
/// process: as shim_processSharedMem returned it, or NULL.
/// Returns: the id. -1 if process is NULL.
/// Errors: none.
/// Threads and signals: safe from any thread and in a signal handler; makes no system call.
/// Outside a simulation: there is no block to ask; NULL gives -1.
/// Since: 0.1.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shim_process_native_pid(process: *const ShimShmemProcess) -> i32 {
    // SAFETY: the caller vouches that the pointer is NULL or came from shim_processSharedMem.
    unsafe { crate::capi_impl::shim_process_native_pid(process) }
}

/// Simulated id of the thread: what gettid returns in it.
///
/// thread: as shim_threadSharedMem returned it, or NULL.
/// Returns: the id. -1 if thread is NULL.
/// Errors: none.
/// Threads and signals: safe from any thread and in a signal handler; makes no system call.
/// Outside a simulation: there is no block to ask; NULL gives -1.
/// Since: 0.1.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shim_thread_tid(thread: *const ShimShmemThread) -> i32 {
    // SAFETY: the caller vouches that the pointer is NULL or came from shim_threadSharedMem.
    unsafe { crate::capi_impl::shim_thread_tid(thread) }
}

/// Id of the thread on the real machine, for tools outside the simulation.
///
/// thread: as shim_threadSharedMem returned it, or NULL.
/// Returns: the id. -1 if thread is NULL.
/// Errors: none.
/// Threads and signals: safe from any thread and in a signal handler; makes no system call.
/// Outside a simulation: there is no block to ask; NULL gives -1.
/// Since: 0.1.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shim_thread_native_tid(thread: *const ShimShmemThread) -> i32 {
    // SAFETY: the caller vouches that the pointer is NULL or came from shim_threadSharedMem.
    unsafe { crate::capi_impl::shim_thread_native_tid(thread) }
}

/// Simulated time that has passed for the thread since shim_host_simtime_ns.
///
/// It is what the latency model has charged, and what passed while threads of the machine waited for each other without
/// the simulator. Of a thread that waits it says nothing.
///
/// thread: as shim_threadSharedMem returned it, or NULL.
/// Returns: nanoseconds. 0 if thread is NULL.
/// Errors: none.
/// Threads and signals: safe from any thread and in a signal handler; makes no system call.
/// Outside a simulation: there is no block to ask; NULL gives 0.
/// Since: 0.1.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shim_thread_charged_ns(thread: *const ShimShmemThread) -> u64 {
    // SAFETY: the caller vouches that the pointer is NULL or came from shim_threadSharedMem.
    unsafe { crate::capi_impl::shim_thread_charged_ns(thread) }
}
