//! The start-up steps, one by one, for preload libraries that drive them.
//!
//! Nothing comes in, nothing goes out. Always true: `libshim.so` takes all of these steps itself, in
//! its constructor, so each is idempotent and does nothing once it has been taken, and nothing at all
//! in native mode. They are exported under the version `SHIM_PRIVATE` and stand in no header: no
//! promise is made for them beyond the release. What the steps do is in `src/boot/`.
//!
//! # Safety
//!
//! The unsafety of this file is its exported names: unique by the prefix `_shim_` and the version node
//! of `src/shim.map`.
#![allow(unsafe_code)]

/// Initialize the library: take all the steps below. Its constructor calls the same.
#[unsafe(no_mangle)]
pub extern "C" fn _shim_load() {
    crate::capi_impl::_shim_load();
}

/// Read the hand-off from its descriptor and map the blocks that it names.
#[unsafe(no_mangle)]
pub extern "C" fn _shim_parent_init_ipc() {
    crate::capi_impl::_shim_parent_init_ipc();
}

/// Tell the simulator that this image has started, and wait until it may go on.
#[unsafe(no_mangle)]
pub extern "C" fn _shim_ipc_wait_for_start_event() {
    crate::capi_impl::_shim_ipc_wait_for_start_event();
}

/// The same for a new thread of a process that has started.
#[unsafe(no_mangle)]
pub extern "C" fn _shim_preload_only_child_ipc_wait_for_start_event() {
    crate::capi_impl::_shim_preload_only_child_ipc_wait_for_start_event();
}

/// Make the host block available.
#[unsafe(no_mangle)]
pub extern "C" fn _shim_parent_init_host_shm() {
    crate::capi_impl::_shim_parent_init_host_shm();
}

/// Make the manager block available.
#[unsafe(no_mangle)]
pub extern "C" fn _shim_parent_init_manager_shm() {
    crate::capi_impl::_shim_parent_init_manager_shm();
}

/// Close standard input if the hand-off came through it.
#[unsafe(no_mangle)]
pub extern "C" fn _shim_parent_close_stdin() {
    crate::capi_impl::_shim_parent_close_stdin();
}

/// Allocate the calling thread's signal stack and install it.
#[unsafe(no_mangle)]
pub extern "C" fn _shim_init_signal_stack() {
    crate::capi_impl::_shim_init_signal_stack();
}
