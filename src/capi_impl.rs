//! What is behind the C boundary.
//!
//! The types of C in and out; each function has the name and the documentation of its boundary (`capi/`).
//! Always true: outside a simulation nothing of a guest's is touched: there is no slot to ask, and system
//! calls are native. The accessors' words are atomics of the blocks; a block that C code invented is its
//! own fault, NULL is not.
//!
//! # Safety
//!
//! Follows pointers that C code got from this library, stores to its buffers, and executes its calls.
#![allow(unsafe_code)]
#![allow(non_snake_case, reason = "the names are the seed's")]

pub mod embed;

use core::ffi::{c_char, c_int, c_long, c_void};
use core::sync::atomic::Ordering::Relaxed;

use shim_abi::Errno;
use shim_abi::calls::nr;
use shim_abi::host::HostBlock;
use shim_abi::manager::ManagerBlock;
use shim_abi::process::ProcessBlock;
use shim_abi::thread::ThreadBlock;
use shim_abi::version::{PROTOCOL_MAJOR, PROTOCOL_MINOR};

use crate::capi::shmem::{
    ShimIPC, ShimShmemHost, ShimShmemManager, ShimShmemProcess, ShimShmemThread,
};
use crate::local::clock;
use crate::thread::{Slot, exit_thread};
use crate::{arch, boot, names, sys};

fn slot() -> Option<&'static Slot> {
    boot::is_managed().then(Slot::current)
}

const fn number(text: &str) -> u32 {
    let bytes = text.as_bytes();
    let mut value = 0;
    let mut i = 0;
    while i < bytes.len() {
        value = value * 10 + (bytes[i] - b'0') as u32;
        i += 1;
    }
    value
}

pub fn shim_version() -> u32 {
    number(env!("CARGO_PKG_VERSION_MAJOR")) << 16
        | number(env!("CARGO_PKG_VERSION_MINOR")) << 8
        | number(env!("CARGO_PKG_VERSION_PATCH"))
}

pub fn shim_protocol_version() -> u32 {
    PROTOCOL_MAJOR << 16 | PROTOCOL_MINOR
}

/// # Safety
///
/// As for syscall(2): the arguments are good for the call.
pub unsafe fn shim_api_syscall(n: c_long, a: u64, b: u64, c: u64, d: u64, e: u64, f: u64) -> i64 {
    let args = [a, b, c, d, e, f];
    let result = match slot() {
        Some(slot) => {
            let was_allowed = slot.allow_native(false);
            // SAFETY: the guest may make any call; this thread is managed.
            let result = unsafe { arch::enter(n as u64, args) };
            slot.allow_native(was_allowed);
            result
        }
        // SAFETY: the caller vouches for the call.
        None => unsafe { arch::syscall(n as u64, args) },
    };
    match Errno::from_return(result) {
        Some(errno) => {
            set_errno(errno);
            -1
        }
        None => result,
    }
}

pub(crate) fn set_errno(errno: Errno) {
    let function = arch::errno_location();
    if function == 0 {
        return; // No libc, no errno.
    }
    // SAFETY: both libcs define this symbol as `int *__errno_location(void)`.
    let function: extern "C" fn() -> *mut c_int = unsafe { core::mem::transmute(function) };
    // SAFETY: it returns the address of the calling thread's errno.
    unsafe { *function() = errno.number() };
}

pub fn shim_is_managed() -> bool {
    boot::is_managed()
}

pub fn shim_simtime_ns() -> u64 {
    slot().map_or(0, clock::thread_time_ns)
}

pub fn shim_swapAllowNativeSyscalls(allow: bool) -> bool {
    slot().is_none_or(|slot| slot.allow_native(allow))
}

pub fn shim_interpositionEnabled() -> bool {
    slot().is_some_and(|slot| !slot.allows_native.get())
}

pub fn shim_managerSharedMem() -> *const ShimShmemManager {
    slot().map_or(core::ptr::null(), |s| (s.manager as *const ManagerBlock).cast())
}

pub fn shim_hostSharedMem() -> *const ShimShmemHost {
    slot().map_or(core::ptr::null(), |s| (s.host as *const HostBlock).cast())
}

pub fn shim_processSharedMem() -> *const ShimShmemProcess {
    slot().map_or(core::ptr::null(), |s| (s.process.get() as *const ProcessBlock).cast())
}

pub fn shim_threadSharedMem() -> *const ShimShmemThread {
    slot().map_or(core::ptr::null(), |s| (s.thread.get() as *const ThreadBlock).cast())
}

pub fn shim_thisThreadEventIPC() -> *const ShimIPC {
    slot().map_or(core::ptr::null(), |s| (&raw const s.thread.channel).cast())
}

macro_rules! accessors {
    ($($name:ident($opaque:ty => $block:ty) -> $result:ty = $null:expr, $field:expr;)*) => {
        $(
            /// # Safety
            ///
            /// The pointer is NULL or one that this library gave out.
            pub unsafe fn $name(block: *const $opaque) -> $result {
                // SAFETY: the caller's promise; blocks stay mapped.
                match unsafe { block.cast::<$block>().as_ref() } {
                    None => $null,
                    Some(block) => {
                        let get: fn(&$block) -> $result = $field;
                        get(block)
                    }
                }
            }
        )*
    };
}

accessors! {
    shim_manager_start_realtime_ns(ShimShmemManager => ManagerBlock) -> i64 = 0, |b| b.start_realtime_ns;
    shim_manager_simulator_pid(ShimShmemManager => ManagerBlock) -> i32 = -1, |b| b.simulator_pid as i32;
    shim_manager_tsc_frequency_hz(ShimShmemManager => ManagerBlock) -> u64 = 0, |b| b.tsc_frequency_hz;
    shim_manager_syscall_latency_ns(ShimShmemManager => ManagerBlock) -> u64 = 0, |b| b.syscall_latency_ns;
    shim_manager_vdso_latency_ns(ShimShmemManager => ManagerBlock) -> u64 = 0, |b| b.vdso_latency_ns;
    shim_host_id(ShimShmemHost => HostBlock) -> i64 = -1, |b| b.host_id.into();
    shim_host_simtime_ns(ShimShmemHost => HostBlock) -> u64 = 0, |b| b.now_ns.load(Relaxed);
    shim_host_log_level(ShimShmemHost => HostBlock) -> i32 = -1, |b| b.log_level.load(Relaxed) as i32;
    shim_host_ipv4(ShimShmemHost => HostBlock) -> u32 = 0, |b| b.ipv4;
    shim_process_pid(ShimShmemProcess => ProcessBlock) -> i32 = -1, |b| b.pid.load(Relaxed) as i32;
    shim_process_parent_pid(ShimShmemProcess => ProcessBlock) -> i32 = -1, |b| b.parent_pid.load(Relaxed) as i32;
    shim_process_native_pid(ShimShmemProcess => ProcessBlock) -> i32 = -1, |b| b.native_pid.load(Relaxed) as i32;
    shim_thread_tid(ShimShmemThread => ThreadBlock) -> i32 = -1, |b| b.tid.load(Relaxed) as i32;
    shim_thread_native_tid(ShimShmemThread => ThreadBlock) -> i32 = -1, |b| b.native_tid.load(Relaxed) as i32;
    shim_thread_charged_ns(ShimShmemThread => ThreadBlock) -> u64 = 0, |b| b.charged_ns.load(Relaxed);
}

/// # Safety
///
/// `host` as for the accessors; `size_bytes` writable bytes at `name`.
pub unsafe fn shim_host_name(
    host: *const ShimShmemHost,
    name: *mut c_char,
    size_bytes: usize,
) -> usize {
    // SAFETY: the caller's promise; the block stays mapped.
    let host = unsafe { host.cast::<HostBlock>().as_ref() };
    let text = host.map_or(&[][..], |block| block.hostname.as_bytes());
    // SAFETY: the caller's promise.
    unsafe { copy_text(text, name, size_bytes) }
}

/// Copy as much of a text as fits, with a NUL; the whole text's length.
///
/// # Safety
///
/// `size_bytes` writable bytes at `name`, unless that is NULL.
unsafe fn copy_text(text: &[u8], name: *mut c_char, size_bytes: usize) -> usize {
    if name.is_null() || size_bytes == 0 {
        return text.len();
    }
    let len = text.len().min(size_bytes - 1);
    // SAFETY: `len` is below the size of the caller's buffer.
    unsafe { core::ptr::copy_nonoverlapping(text.as_ptr(), name.cast(), len) };
    // SAFETY: as above.
    unsafe { name.wrapping_add(len).write(0) };
    text.len()
}

/// # Safety
///
/// As for getaddrinfo(3), except that `result` may be NULL.
pub unsafe fn shim_api_getaddrinfo(
    node: *const c_char,
    service: *const c_char,
    hints: *const libc::addrinfo,
    result: *mut *mut libc::addrinfo,
) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { names::lookup::getaddrinfo(node, service, hints, result) }
}

/// # Safety
///
/// As for freeaddrinfo(3), except that `list` may be NULL.
pub unsafe fn shim_api_freeaddrinfo(list: *mut libc::addrinfo) {
    // SAFETY: the caller's promise.
    unsafe { names::list::free_addresses(list) }
}

/// # Safety
///
/// As for getifaddrs(3), except that `result` may be NULL.
pub unsafe fn shim_api_getifaddrs(result: *mut *mut libc::ifaddrs) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { names::interfaces::getifaddrs(result) }
}

/// # Safety
///
/// As for freeifaddrs(3), except that `list` may be NULL.
pub unsafe fn shim_api_freeifaddrs(list: *mut libc::ifaddrs) {
    // SAFETY: the caller's promise.
    unsafe { names::list::free_interfaces(list) }
}

pub fn _shim_is_own_list(list: *const c_void) -> bool {
    use names::list::{ListOf, is_ours};
    is_ours(ListOf::Addresses, list.addr()) || is_ours(ListOf::Interfaces, list.addr())
}

/// # Safety
///
/// `address` points at 4 or 16 bytes, as `family` has it; `size_bytes` writable bytes at `name`.
pub unsafe fn _shim_name_of_address(
    family: c_int,
    address: *const c_void,
    name: *mut c_char,
    size_bytes: usize,
) -> usize {
    let (Some(slot), false) = (slot(), address.is_null()) else { return 0 };
    let all = boot::names(slot);
    let entry = match family {
        // SAFETY: the caller's promise.
        libc::AF_INET => all.of_ipv4(unsafe { address.cast::<u32>().read_unaligned() }),
        // SAFETY: the caller's promise; bytes need no alignment.
        libc::AF_INET6 => all.of_ipv6(unsafe { &*address.cast::<[u8; 16]>() }),
        _ => None,
    };
    let text = entry.map_or(&[][..], |entry| all.canonical(entry).name.as_bytes());
    // SAFETY: the caller's promise.
    unsafe { copy_text(text, name, size_bytes) }
}

/// # Safety
///
/// Nothing of the calling thread is needed any more.
pub unsafe fn shim_release_and_exit_current_thread(status: c_int) -> ! {
    match slot() {
        Some(slot) => exit_thread(slot, status),
        None => {
            sys::block_all_signals();
            loop {
                let _ = sys::call(nr::exit, [status as u64, 0, 0, 0, 0, 0]);
            }
        }
    }
}

/// The stack lies in the reservation and goes with the thread, later than the caller could still be on
/// it: there is nothing to free early.
///
/// # Safety
///
/// None is needed.
pub unsafe fn shim_freeSignalStack() {}

pub fn _shim_load() {
    boot::begin();
}

pub fn _shim_parent_init_ipc() {
    boot::begin();
}

pub fn _shim_ipc_wait_for_start_event() {
    boot::begin();
}

pub fn _shim_preload_only_child_ipc_wait_for_start_event() {
    boot::begin();
}

pub fn _shim_parent_init_host_shm() {
    boot::begin();
}

pub fn _shim_parent_init_manager_shm() {
    boot::begin();
}

pub fn _shim_parent_close_stdin() {
    boot::begin();
}

pub fn _shim_init_signal_stack() {
    boot::begin();
}
