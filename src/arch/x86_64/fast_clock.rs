//! Reading the clock: the vDSO's three functions that only do that, answered without the entry.
//!
//! The arguments of a C function in, the time at the caller's address out. The code stands in for
//! `clock_gettime`, `gettimeofday` and `time` of the vDSO; what it does not know (CPU clocks, an oscillator that
//! is not exact, a time zone, native calls by the C interface's toggle) and a thread whose time has come to the
//! limit go on to the stubs of `vdso`, which enter the shim. Always true: it is the guest's own code as far as
//! signals are concerned, like the vDSO's that it replaces ([`is_fast_clock`]): it may be interrupted anywhere, a bad
//! address is the guest's fault, and it is restarted or left for good, because it keeps nothing but
//! registers. Each store that charges the thread is one instruction, so an interruption loses none. The same in
//! Rust, for everything else, is `local/clock.rs`.
//!
//! # Safety
//!
//! Assembly that reads the slot and the blocks at offsets from `offset_of!`, charges the thread's own words,
//! and writes where the guest says, as the vDSO would.
#![allow(unsafe_code)]

use core::arch::global_asm;
use core::mem::offset_of;

use shim_abi::host::HostBlock;
use shim_abi::manager::ManagerBlock;
use shim_abi::process::ProcessBlock;
use shim_abi::thread::ThreadBlock;

use crate::thread::Slot;

/// The clocks that show calendar time, as bits: CLOCK_REALTIME and its coarse kind.
const REALTIME_CLOCKS: u32 = 1 << 0 | 1 << 5;
/// Those that show time since the machine's start: CLOCK_MONOTONIC, its raw and coarse kinds, CLOCK_BOOTTIME.
const MONOTONIC_CLOCKS: u32 = 1 << 1 | 1 << 4 | 1 << 6 | 1 << 7;
/// The last clock among these.
const LAST_CLOCK: u32 = 7;

global_asm!(
    // r8: the slot, r9: the host, r10: the thread. rax: the thread's time after this reading, of which the
    // latency rcx is charged unless the time reaches the limit.
    ".macro shim_fast_begin slow",
    "    mov r8, gs:[{self_address}]",
    "    cmp byte ptr [r8 + {reads_fast}], 0",
    "    je \\slow",
    "    mov r9, [r8 + {host}]",
    "    mov r10, [r8 + {thread}]",
    "    mov r11, [r8 + {manager}]",
    "    mov rcx, [r11 + {latency}]",
    "    mov rax, [r9 + {now}]",
    "    add rax, [r10 + {charged}]",
    "    add rax, rcx",
    "    jc \\slow",
    "    cmp rax, [r8 + {run_until}]",
    "    jae \\slow",
    ".endm",
    ".macro shim_fast_charge",
    "    mov r8, [r8 + {process}]",
    "    add [r10 + {charged}], rcx",
    "    add [r10 + {thread_cpu}], rcx",
    "    add [r8 + {process_cpu}], rcx",
    ".endm",
    // rax: calendar time; 1970 at the earliest.
    ".macro shim_fast_realtime slow",
    "    add rax, [r11 + {start_realtime}]",
    "    add rax, [r9 + {realtime_offset}]",
    "    js \\slow",
    ".endm",
    // rax: nanoseconds. Then rdx: whole seconds, and r9: the nanoseconds beyond, by a multiplication
    // (Granlund and Montgomery, \"Division by invariant integers using multiplication\", 1994).
    ".macro shim_fast_split",
    "    mov r9, rax",
    "    shr rax, 9",
    "    movabs rdx, 0x44b82fa09b5a53",
    "    mul rdx",
    "    shr rdx, 11",
    "    imul rax, rdx, 1000000000",
    "    sub r9, rax",
    ".endm",
    ".pushsection .text.shim_fast_clock,\"ax\",@progbits",
    ".hidden shim_fast_clock_begin",
    ".globl shim_fast_clock_begin",
    "shim_fast_clock_begin:",
    ".p2align 5",
    ".hidden shim_fast_clock_gettime",
    ".globl shim_fast_clock_gettime",
    ".type shim_fast_clock_gettime,@function",
    "shim_fast_clock_gettime:", // edi clock, rsi time
    "    cmp edi, {last_clock}",
    "    ja shim_vdso_clock_gettime",
    "    shim_fast_begin shim_vdso_clock_gettime",
    "    mov edx, {monotonic_clocks}",
    "    bt edx, edi",
    "    jnc 2f",
    "    add rax, [r9 + {uptime}]",
    "    jc shim_vdso_clock_gettime",
    "    jmp 3f",
    "2:  mov edx, {realtime_clocks}",
    "    bt edx, edi",
    "    jnc shim_vdso_clock_gettime",
    "    shim_fast_realtime shim_vdso_clock_gettime",
    "3:  shim_fast_charge",
    "    shim_fast_split",
    "    mov [rsi], rdx",
    "    mov [rsi + 8], r9",
    "    xor eax, eax",
    "    ret",
    ".p2align 5",
    ".hidden shim_fast_gettimeofday",
    ".globl shim_fast_gettimeofday",
    ".type shim_fast_gettimeofday,@function",
    "shim_fast_gettimeofday:", // rdi time, rsi zone
    "    test rsi, rsi",
    "    jne shim_vdso_gettimeofday",
    "    test rdi, rdi",
    "    je shim_vdso_gettimeofday",
    "    shim_fast_begin shim_vdso_gettimeofday",
    "    shim_fast_realtime shim_vdso_gettimeofday",
    "    shim_fast_charge",
    "    shim_fast_split",
    "    imul r9, r9, 274877907", // microseconds, below 2^32: a division by 1000
    "    shr r9, 38",
    "    mov [rdi], rdx",
    "    mov [rdi + 8], r9",
    "    xor eax, eax",
    "    ret",
    ".p2align 5",
    ".hidden shim_fast_time",
    ".globl shim_fast_time",
    ".type shim_fast_time,@function",
    "shim_fast_time:", // rdi where, or null
    "    shim_fast_begin shim_vdso_time",
    "    shim_fast_realtime shim_vdso_time",
    "    shim_fast_charge",
    "    shim_fast_split",
    "    test rdi, rdi",
    "    je 4f",
    "    mov [rdi], rdx",
    "4:  mov rax, rdx",
    "    ret",
    ".hidden shim_fast_clock_end",
    ".globl shim_fast_clock_end",
    "shim_fast_clock_end:",
    ".popsection",
    ".purgem shim_fast_begin",
    ".purgem shim_fast_charge",
    ".purgem shim_fast_realtime",
    ".purgem shim_fast_split",
    self_address = const offset_of!(Slot, self_address),
    reads_fast = const offset_of!(Slot, reads_clock_fast),
    host = const offset_of!(Slot, host),
    thread = const offset_of!(Slot, thread),
    process = const offset_of!(Slot, process),
    manager = const offset_of!(Slot, manager),
    latency = const offset_of!(ManagerBlock, vdso_latency_ns),
    start_realtime = const offset_of!(ManagerBlock, start_realtime_ns),
    now = const offset_of!(HostBlock, now_ns),
    run_until = const offset_of!(Slot, run_until_ns),
    uptime = const offset_of!(HostBlock, uptime_at_start_ns),
    realtime_offset = const offset_of!(HostBlock, realtime_offset_ns),
    charged = const offset_of!(ThreadBlock, charged_ns),
    thread_cpu = const offset_of!(ThreadBlock, cpu_ns),
    process_cpu = const offset_of!(ProcessBlock, cpu_ns),
    last_clock = const LAST_CLOCK,
    monotonic_clocks = const MONOTONIC_CLOCKS,
    realtime_clocks = const REALTIME_CLOCKS,
);

unsafe extern "C" {
    static shim_fast_clock_begin: u8;
    static shim_fast_clock_end: u8;
}

/// Whether `rip` lies in this code, which is the guest's although it stands in the library.
pub fn is_fast_clock(rip: usize) -> bool {
    (&raw const shim_fast_clock_begin as usize..&raw const shim_fast_clock_end as usize)
        .contains(&rip)
}
