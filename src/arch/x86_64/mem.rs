//! `memcpy` and its family, which the compiler calls by name.
//!
//! Hidden, so that the program's own are never replaced, and ours never resolve to a C library's
//! (which would clobber vector state that belongs to the guest). Always true: they use general
//! registers only. Nobody calls them by hand.
//!
//! # Safety
//!
//! Assembly with the C library's contracts; the compiler keeps them.
#![allow(unsafe_code)]

use core::arch::global_asm;

global_asm!(
    ".pushsection .text.shim_mem,\"ax\",@progbits",
    ".macro SHIM_MEM name",
    ".hidden \\name",
    ".globl \\name",
    ".type \\name,@function",
    "\\name:",
    ".endm",
    "SHIM_MEM memcpy", // rdi to, rsi from, rdx bytes
    "    mov rax, rdi",
    "    mov rcx, rdx",
    "    rep movsb",
    "    ret",
    "SHIM_MEM memmove",
    "    mov rax, rdi",
    "    mov rcx, rdx",
    "    mov r8, rdi",
    "    sub r8, rsi",
    "    cmp r8, rdx", // to - from (unsigned) >= bytes: no harmful overlap
    "    jae 2f",
    "    std", // copy from the end
    "    lea rdi, [rdi + rdx - 1]",
    "    lea rsi, [rsi + rdx - 1]",
    "    rep movsb",
    "    cld",
    "    ret",
    "2:  rep movsb",
    "    ret",
    "SHIM_MEM memset", // rdi to, esi value, rdx bytes
    "    mov r8, rdi",
    "    mov eax, esi",
    "    mov rcx, rdx",
    "    rep stosb",
    "    mov rax, r8",
    "    ret",
    "SHIM_MEM bcmp",
    "    jmp memcmp",
    "SHIM_MEM memcmp", // rdi, rsi, rdx bytes
    "    xor ecx, ecx",
    "3:  cmp rcx, rdx",
    "    je 4f",
    "    movzx eax, byte ptr [rdi + rcx]",
    "    movzx r8d, byte ptr [rsi + rcx]",
    "    inc rcx",
    "    sub eax, r8d",
    "    je 3b",
    "    ret",
    "4:  xor eax, eax",
    "    ret",
    "SHIM_MEM strlen", // rdi
    "    xor eax, eax",
    "5:  cmp byte ptr [rdi + rax], 0",
    "    je 6f",
    "    inc rax",
    "    jmp 5b",
    "6:  ret",
    ".popsection",
);
