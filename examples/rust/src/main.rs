//! A program in Rust that knows whether it runs in a simulation.
//!
//! Nothing comes in, one line goes out. Always true: the declarations are those of `shim/shim.h`, of
//! which a program takes the few that it needs. Run it natively, or by `shim exec -- shim-example`.
//!
//! # Safety
//!
//! Calls of C functions whose manual pages say that they are safe anywhere, and that NULL is answered.
#![allow(unsafe_code)]

use std::ffi::{CStr, c_char};

unsafe extern "C" {
    safe fn shim_is_managed() -> bool;
    safe fn shim_simtime_ns() -> u64;
    safe fn shim_hostSharedMem() -> *const u8;
    fn shim_host_name(host: *const u8, name: *mut c_char, size_bytes: usize) -> usize;
}

fn main() {
    if !shim_is_managed() {
        println!("running natively");
        return;
    }
    let mut name = [0u8; 65];
    // SAFETY: the pointer is the library's own, and the buffer has as many bytes as is said.
    unsafe { shim_host_name(shim_hostSharedMem(), name.as_mut_ptr().cast(), name.len()) };
    let name = CStr::from_bytes_until_nul(&name).expect("the library writes a NUL");
    std::thread::sleep(std::time::Duration::from_secs(3600));
    println!(
        "running on {}, {} s after the start",
        name.to_string_lossy(),
        shim_simtime_ns() / 1_000_000_000
    );
}
