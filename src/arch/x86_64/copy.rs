//! The one routine that touches guest memory.
//!
//! Addresses and a length in, the number of bytes that could not be copied out. Always true: a fault
//! inside it is caught by the fault handler (`trap/fault.rs`), which continues at the address that
//! [`copy_fixup`] gives; it costs nothing while addresses are good. What an address means is not here
//! (`guest_memory`).
//!
//! # Safety
//!
//! Assembly that reads and writes raw addresses.
#![allow(unsafe_code)]

use core::arch::global_asm;

global_asm!(
    ".pushsection .text.shim_copy,\"ax\",@progbits",
    ".hidden shim_copy_guest",
    ".globl shim_copy_guest",
    ".type shim_copy_guest,@function",
    "shim_copy_guest:", // rdi to, rsi from, rdx bytes
    "    mov rcx, rdx",
    ".hidden shim_copy_instruction",
    ".globl shim_copy_instruction",
    "shim_copy_instruction:",
    "    rep movsb",
    ".hidden shim_copy_fault",
    ".globl shim_copy_fault",
    "shim_copy_fault:", // rcx: what is left
    "    mov rax, rcx",
    "    ret",
    ".size shim_copy_guest, .-shim_copy_guest",
    ".popsection",
);

unsafe extern "C" {
    fn shim_copy_guest(to: *mut u8, from: *const u8, bytes: usize) -> usize;
    static shim_copy_instruction: u8;
    static shim_copy_fault: u8;
}

/// Copy `bytes` from `from` to `to`; returns how many were left when an address faulted.
///
/// # Safety
///
/// Whichever of the two is the shim's own memory must be valid for the access, and whichever is the
/// guest's must not be memory that Rust code holds a reference to.
#[inline]
pub unsafe fn copy_guest(to: *mut u8, from: *const u8, bytes: usize) -> usize {
    // SAFETY: the caller answers for our side, the fault handler for the guest's.
    unsafe { shim_copy_guest(to, from, bytes) }
}

/// Where to go on after a fault at `rip`: `None` if it is not the copy's instruction.
pub fn copy_fixup(rip: usize) -> Option<usize> {
    let instruction = &raw const shim_copy_instruction as usize;
    (rip == instruction).then_some(&raw const shim_copy_fault as usize)
}
