//! What `libshim-preload.so` needs beyond the public interface; in no header.
//!
//! Lists and addresses come in; whose they are goes out. Always true: nothing is changed, and nothing is
//! asked of the kernel. The functions that a preloaded program calls are not here but in
//! `crates/shim-preload`.
//!
//! # Safety
//!
//! The unsafety of this file is its exported names (unique by prefix and version node) and the pointers of
//! its callers.
#![allow(unsafe_code)]

use core::ffi::{c_char, c_int, c_void};

/// Whether a list of addresses or of interfaces was made by this library: `list` is NULL or an element of a
/// list of that kind.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn _shim_is_own_list(list: *const c_void) -> bool {
    crate::capi_impl::_shim_is_own_list(list)
}

/// The canonical name of the host that has an address, which lies at `address` as the family has it: copied
/// to `name`, cut to `size_bytes` with a NUL. Its length; 0 if no host has it, or outside a simulation.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn _shim_name_of_address(
    family: c_int,
    address: *const c_void,
    name: *mut c_char,
    size_bytes: usize,
) -> usize {
    // SAFETY: the caller vouches for its address and its buffer.
    unsafe { crate::capi_impl::_shim_name_of_address(family, address, name, size_bytes) }
}
