//! Symbols of the guest's C library that may or may not be there.
//!
//! Out: an address, or 0. Always true: the references are weak, so the library loads into any libc and
//! needs none. What the symbols mean is with their users (`boot/`, `capi_impl`).
//!
//! # Safety
//!
//! Assembly that loads addresses from the global offset table.
#![allow(unsafe_code)]

use core::arch::asm;

macro_rules! weak {
    ($($(#[$doc:meta])* $function:ident $symbol:literal;)*) => {
        $(
            $(#[$doc])*
            pub fn $function() -> usize {
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
            }
        )*
    };
}

weak! {
    /// glibc: where the initial stack begins (argc).
    libc_stack_end "__libc_stack_end";
    /// The environment.
    environ "__environ";
    /// glibc 2.35 and later: offset of the rseq area from the thread pointer.
    rseq_offset "__rseq_offset";
    /// glibc 2.35 and later: size of the rseq area, 0 if not registered.
    rseq_size "__rseq_size";
    /// `int *__errno_location(void)`.
    errno_location "__errno_location";
    /// `void *dlopen(const char *, int)`.
    dlopen "dlopen";
    /// `void *dlsym(void *, const char *)`.
    dlsym "dlsym";
}
