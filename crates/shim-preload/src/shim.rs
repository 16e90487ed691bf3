//! What is used of `libshim.so`.
//!
//! The C interface, as `include/shim/api.h` and the private part of `src/shim.map` have it. Always true:
//! the loader has bound all of it before anything here runs. Which function is right when is not here.
//!
//! # Safety
//!
//! Declarations of functions that another library defines.
#![allow(unsafe_code)]

use core::ffi::{c_char, c_int, c_void};

/// `struct addrinfo`.
#[repr(C)]
pub struct AddrInfo {
    pub flags: c_int,
    pub family: c_int,
    pub socktype: c_int,
    pub protocol: c_int,
    pub address_bytes: u32,
    pub address: *mut u8,
    pub canonical_name: *mut c_char,
    pub next: *mut AddrInfo,
}

/// `struct ifaddrs`, of which nothing is read here.
#[repr(C)]
pub struct IfAddrs {
    _opaque: [u8; 0],
}

unsafe extern "C" {
    pub safe fn shim_is_managed() -> bool;
    pub fn shim_api_getaddrinfo(
        node: *const c_char,
        service: *const c_char,
        hints: *const AddrInfo,
        result: *mut *mut AddrInfo,
    ) -> c_int;
    pub fn shim_api_freeaddrinfo(list: *mut AddrInfo);
    pub fn shim_api_getifaddrs(result: *mut *mut IfAddrs) -> c_int;
    pub fn shim_api_freeifaddrs(list: *mut IfAddrs);
    pub fn _shim_is_own_list(list: *const c_void) -> bool;
    pub fn _shim_name_of_address(
        family: c_int,
        address: *const c_void,
        name: *mut c_char,
        size_bytes: usize,
    ) -> usize;
}

pub const AF_INET: c_int = 2;
pub const AF_INET6: c_int = 10;
pub const SOCK_STREAM: c_int = 1;
pub const AI_CANONNAME: c_int = 2;
pub const EAI_NONAME: c_int = -2;
pub const EAI_FAIL: c_int = -4;
pub const EAI_NODATA: c_int = -5;
pub const EAI_ADDRFAMILY: c_int = -9;
pub const EAI_SYSTEM: c_int = -11;
pub const ENOSYS: c_int = 38;
pub const ERANGE: c_int = 34;
