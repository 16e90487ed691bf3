//! The next definition of a name: the function that we stand before.
//!
//! A name in; its address, or 0, out. Always true: it is looked up once and remembered; the symbols of the C
//! library that are needed for it, and for telling errors, are weak, so that the library loads into any
//! program. Which type a function has is its user's business.
//!
//! # Safety
//!
//! Assembly that loads addresses from the global offset table; calls of dlsym(3), and of the C library's
//! functions that tell where its error numbers are.
#![allow(unsafe_code)]

use core::arch::asm;
use core::ffi::{CStr, c_char, c_int, c_void};
use core::mem::transmute;
use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};

macro_rules! weak {
    ($symbol:literal) => {{
        let address: usize;
        // SAFETY: loads a word of the library's own, relocated global offset table.
        unsafe {
            asm!(
                concat!(".weak ", $symbol),
                concat!("mov {}, [rip + ", $symbol, "@GOTPCREL]"),
                out(reg) address,
                options(pure, readonly, nostack, preserves_flags),
            );
        }
        address
    }};
}

/// The next definition of `name`; `found` remembers it.
pub fn definition(name: &CStr, found: &AtomicUsize) -> usize {
    const RTLD_NEXT: *mut c_void = usize::MAX as *mut c_void;
    let known = found.load(Relaxed);
    if known != 0 {
        return known;
    }
    let symbol = weak!("dlsym");
    if symbol == 0 {
        return 0;
    }
    // SAFETY: the C library defines dlsym with this type.
    let symbol: unsafe extern "C" fn(*mut c_void, *const c_char) -> usize =
        unsafe { transmute(symbol) };
    // SAFETY: a C string, and the handle that means what follows this library.
    let address = unsafe { symbol(RTLD_NEXT, name.as_ptr()) };
    found.store(address, Relaxed);
    address
}

fn store(location: usize, value: c_int) {
    if location == 0 {
        return;
    }
    // SAFETY: the C library defines both functions as `int *f(void)`.
    let location: extern "C" fn() -> *mut c_int = unsafe { transmute(location) };
    // SAFETY: the address of the calling thread's variable.
    unsafe { *location() = value };
}

/// Set errno.
pub fn set_errno(value: c_int) {
    store(weak!("__errno_location"), value);
}

/// Set h_errno.
pub fn set_h_errno(value: c_int) {
    store(weak!("__h_errno_location"), value);
}

/// Define, in a function of the C library's name and type, how it goes on natively: `next!(name(arguments)
/// -> type, otherwise)`.
macro_rules! next {
    ($name:ident($($argument:ident: $type:ty),*) -> $result:ty, $otherwise:expr) => {{
        static FOUND: core::sync::atomic::AtomicUsize = core::sync::atomic::AtomicUsize::new(0);
        const NAME: &core::ffi::CStr = match core::ffi::CStr::from_bytes_with_nul(
            concat!(stringify!($name), "\0").as_bytes(),
        ) {
            Ok(name) => name,
            Err(_) => panic!(),
        };
        let address = $crate::next::definition(NAME, &FOUND);
        // SAFETY: the C library defines the function with this type; 0 is None.
        let function = unsafe {
            core::mem::transmute::<usize, Option<unsafe extern "C" fn($($type),*) -> $result>>(
                address,
            )
        };
        match function {
            // SAFETY: our caller's own arguments.
            Some(function) => unsafe { function($($argument),*) },
            None => $otherwise,
        }
    }};
}
pub(crate) use next;
