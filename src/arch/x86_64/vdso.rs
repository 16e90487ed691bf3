//! The vDSO's functions: their names, what stands in for them, and the bytes that lead there.
//!
//! Out: a table of names and stub addresses ([`VDSO_FUNCTIONS`]), and the bytes of a jump
//! ([`jump_to`]). Always true: a stub is entered as the C function that it replaces, with the return
//! address on the guest's stack, and goes through the one entry with a pseudo call's number, so a
//! vDSO call is served like any other and costs no trap; those that read the clock do not even enter, mostly
//! (`fast_clock`). Finding and patching the vDSO is `boot/vdso`;
//! the pseudo calls are `dispatch/`.
//!
//! # Safety
//!
//! Assembly: each stub loads a number and a return point and jumps to the entry.
#![allow(unsafe_code)]

use core::arch::global_asm;

/// Numbers of the pseudo calls by which redirected vDSO functions arrive: this plus an index.
pub const PSEUDO_VDSO: u32 = 0x2_0000;

macro_rules! vdso {
    ($($index:literal $name:literal $stub:ident $door:ident;)*) => {
        global_asm!(
            ".pushsection .text.shim_vdso,\"ax\",@progbits",
            $(
                concat!(".hidden ", stringify!($stub)),
                concat!(".globl ", stringify!($stub)),
                concat!(".type ", stringify!($stub), ",@function"),
                concat!(stringify!($stub), ":"),
                concat!("    mov eax, 0x20000 + ", $index),
                "    mov r10, rcx", // the fourth argument, as a system call has it
                "    lea rcx, [rip + shim_vdso_return]",
                "    jmp shim_entry_call",
            )*
            "shim_vdso_return:",
            "    ret",
            ".popsection",
        );

        unsafe extern "C" {
            $(static $door: u8;)*
        }

        /// One function of the vDSO.
        pub struct VdsoFunction {
            /// Its symbol.
            pub name: &'static [u8],
            door: fn() -> usize,
        }

        impl VdsoFunction {
            /// Address of what stands in for it.
            pub fn door_address(&self) -> usize {
                (self.door)()
            }
        }

        /// All functions that are redirected.
        pub const VDSO_FUNCTIONS: &[VdsoFunction] = &[
            $(VdsoFunction { name: $name, door: || &raw const $door as usize }),*
        ];
    };
}

vdso! {
    0 b"__vdso_clock_gettime" shim_vdso_clock_gettime shim_fast_clock_gettime;
    1 b"__vdso_gettimeofday" shim_vdso_gettimeofday shim_fast_gettimeofday;
    2 b"__vdso_time" shim_vdso_time shim_fast_time;
    3 b"__vdso_getcpu" shim_vdso_getcpu shim_vdso_getcpu;
    4 b"__vdso_clock_getres" shim_vdso_clock_getres shim_vdso_clock_getres;
    5 b"__vdso_getrandom" shim_vdso_getrandom shim_vdso_getrandom;
}

/// The bytes of a jump to `target` from anywhere; r11 is free at a function's start.
pub fn jump_to(target: usize) -> [u8; 13] {
    let mut bytes = [0x49, 0xbb, 0, 0, 0, 0, 0, 0, 0, 0, 0x41, 0xff, 0xe3]; // movabs r11; jmp r11
    bytes[2..10].copy_from_slice(&target.to_le_bytes());
    bytes
}
