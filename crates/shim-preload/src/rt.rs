//! What a library without a runtime needs to be one.
//!
//! Nothing in, nothing out. Always true: nothing here unwinds, and a panic, of which there is none, would
//! end the program. The `mem*` functions that the compiler calls are those of the guest library.
//!
//! # Safety
//!
//! Symbols that precompiled `core` looks for.
#![allow(unsafe_code)]

#[path = "../../../src/arch/x86_64/mem.rs"]
mod mem;

// Precompiled `core` names it even where nothing unwinds. Hidden, so that it is never exported.
core::arch::global_asm!(
    ".pushsection .text.rust_eh_personality,\"ax\",@progbits",
    ".weak rust_eh_personality",
    ".hidden rust_eh_personality",
    ".type rust_eh_personality,@function",
    "rust_eh_personality: ud2",
    ".size rust_eh_personality, .-rust_eh_personality",
    ".popsection",
);

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // SAFETY: an instruction that ends the program by SIGILL.
    unsafe { core::arch::asm!("ud2", options(noreturn)) }
}
