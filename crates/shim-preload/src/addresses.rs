//! getaddrinfo(3), freeaddrinfo, getifaddrs(3), freeifaddrs.
//!
//! The C library's calls in, its types out. Always true: in a guest the answer is the simulation's; a list
//! is freed by whoever made it, in a guest and natively, because a program may have got one by another way
//! than through here.
//!
//! # Safety
//!
//! Exported names of the C library, with its contracts.
#![allow(unsafe_code)]

use core::ffi::{c_char, c_int};

use crate::next::{next, set_errno};
use crate::shim::{self, AddrInfo, IfAddrs};

/// See getaddrinfo(3).
#[unsafe(no_mangle)]
unsafe extern "C" fn getaddrinfo(
    node: *const c_char,
    service: *const c_char,
    hints: *const AddrInfo,
    result: *mut *mut AddrInfo,
) -> c_int {
    if shim::shim_is_managed() {
        // SAFETY: our caller's own arguments.
        return unsafe { shim::shim_api_getaddrinfo(node, service, hints, result) };
    }
    next!(
        getaddrinfo(
            node: *const c_char,
            service: *const c_char,
            hints: *const AddrInfo,
            result: *mut *mut AddrInfo
        ) -> c_int,
        {
            set_errno(shim::ENOSYS);
            shim::EAI_SYSTEM
        }
    )
}

/// See freeaddrinfo(3).
#[unsafe(no_mangle)]
unsafe extern "C" fn freeaddrinfo(list: *mut AddrInfo) {
    // SAFETY: our caller vouches for its list.
    if unsafe { shim::_shim_is_own_list(list.cast()) } {
        // SAFETY: as above.
        return unsafe { shim::shim_api_freeaddrinfo(list) };
    }
    if !list.is_null() {
        next!(freeaddrinfo(list: *mut AddrInfo) -> (), ());
    }
}

/// See getifaddrs(3).
#[unsafe(no_mangle)]
unsafe extern "C" fn getifaddrs(result: *mut *mut IfAddrs) -> c_int {
    if shim::shim_is_managed() {
        // SAFETY: our caller's own argument.
        return unsafe { shim::shim_api_getifaddrs(result) };
    }
    next!(getifaddrs(result: *mut *mut IfAddrs) -> c_int, {
        set_errno(shim::ENOSYS);
        -1
    })
}

/// See freeifaddrs(3).
#[unsafe(no_mangle)]
unsafe extern "C" fn freeifaddrs(list: *mut IfAddrs) {
    // SAFETY: our caller vouches for its list.
    if unsafe { shim::_shim_is_own_list(list.cast()) } {
        // SAFETY: as above.
        return unsafe { shim::shim_api_freeifaddrs(list) };
    }
    if !list.is_null() {
        next!(freeifaddrs(list: *mut IfAddrs) -> (), ());
    }
}
