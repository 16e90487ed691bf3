//! The C library's own functions, where a program has them.
//!
//! Nothing in; functions, or nothing, out. Always true: a function is looked up in the C library itself,
//! not in what the program sees under its name, which may be a library that calls us. Not
//! async-signal-safe (dlsym(3)); used outside simulations, and for lists that are not ours.
//!
//! # Safety
//!
//! Turns addresses of the C library's functions into functions.
#![allow(unsafe_code)]

use core::ffi::{CStr, c_char, c_int, c_void};
use core::mem::transmute;
use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use crate::arch;

type Open = unsafe extern "C" fn(*const c_char, c_int) -> *mut c_void;
type Symbol = unsafe extern "C" fn(*mut c_void, *const c_char) -> usize;
type GetAddrInfo = unsafe extern "C" fn(
    *const c_char,
    *const c_char,
    *const libc::addrinfo,
    *mut *mut libc::addrinfo,
) -> c_int;
type FreeAddrInfo = unsafe extern "C" fn(*mut libc::addrinfo);
type GetIfAddrs = unsafe extern "C" fn(*mut *mut libc::ifaddrs) -> c_int;
type FreeIfAddrs = unsafe extern "C" fn(*mut libc::ifaddrs);

/// The address of a function of the C library; 0 if there is none. `found` remembers it.
fn function(name: &CStr, found: &AtomicUsize) -> usize {
    let known = found.load(Relaxed);
    if known != 0 {
        return known;
    }
    let (open, symbol) = (arch::dlopen(), arch::dlsym());
    if open == 0 || symbol == 0 {
        return 0;
    }
    // SAFETY: both C libraries define dlopen with this type.
    let open: Open = unsafe { transmute(open) };
    // SAFETY: the same for dlsym.
    let symbol: Symbol = unsafe { transmute(symbol) };
    // musl takes the name for itself too.
    // SAFETY: a C string; nothing is loaded that is not there already.
    let library = unsafe { open(c"libc.so.6".as_ptr(), libc::RTLD_LAZY | libc::RTLD_NOLOAD) };
    if library.is_null() {
        return 0;
    }
    // SAFETY: a handle that dlopen gave, and a C string. The C library is never unloaded.
    let address = unsafe { symbol(library, name.as_ptr()) };
    found.store(address, Relaxed);
    address
}

macro_rules! functions {
    ($($(#[$doc:meta])* $name:ident: $type:ty = $symbol:literal;)*) => {
        $(
            $(#[$doc])*
            pub fn $name() -> Option<$type> {
                static FOUND: AtomicUsize = AtomicUsize::new(0);
                let address = function($symbol, &FOUND);
                // SAFETY: both C libraries define the function with this type; 0 is None.
                unsafe { transmute::<usize, Option<$type>>(address) }
            }
        )*
    };
}

functions! {
    /// getaddrinfo(3).
    getaddrinfo: GetAddrInfo = c"getaddrinfo";
    /// freeaddrinfo(3).
    freeaddrinfo: FreeAddrInfo = c"freeaddrinfo";
    /// getifaddrs(3).
    getifaddrs: GetIfAddrs = c"getifaddrs";
    /// freeifaddrs(3).
    freeifaddrs: FreeIfAddrs = c"freeifaddrs";
}
