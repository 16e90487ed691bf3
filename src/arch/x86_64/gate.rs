//! The gate: the only place of the shim's own code that executes `syscall`.
//!
//! A number and arguments in, the kernel's result out. Always true: its instructions lie in the
//! library's executable segment, which Syscall User Dispatch lets through; async-signal-safe. Which
//! calls are made is not decided here.
//!
//! # Safety
//!
//! Assembly and system calls: a call does what its arguments say to this process; the caller of
//! [`syscall`] answers for them.
#![allow(unsafe_code)]

use core::arch::{asm, global_asm};
use core::sync::atomic::{AtomicU32, AtomicU64};

use crate::thread::Slot;

/// Execute system call `number` natively.
///
/// # Safety
///
/// The call must be safe to make: pointers among `args` valid for what the kernel does with them, and
/// no effect on memory or descriptors that Rust code relies on.
#[inline(never)] // So that the instruction stands here only.
pub unsafe fn syscall(number: u64, args: [u64; 6]) -> i64 {
    let result: i64;
    // SAFETY: the instruction clobbers rax, rcx and r11 only; the call's effects are the caller's.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") number as i64 => result,
            in("rdi") args[0],
            in("rsi") args[1],
            in("rdx") args[2],
            in("r10") args[3],
            in("r8") args[4],
            in("r9") args[5],
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    result
}

// The window of a native call that may wait: from `begin` to the instruction at `end`, a kick (see
// trap/kick.rs) moves the instruction pointer to `abort`, so that no kick is lost between looking at
// the pending signals and sleeping. rdi: number and arguments; rsi: word of pending signals; rdx:
// which of them are not blocked. Result in rax.
global_asm!(
    ".pushsection .text.shim_gate,\"ax\",@progbits",
    ".hidden shim_gate_interruptible",
    ".globl shim_gate_interruptible",
    ".type shim_gate_interruptible,@function",
    "shim_gate_interruptible:",
    "    push rbx",
    "    mov rbx, rdi", // the seven words
    ".hidden shim_gate_window_begin",
    ".globl shim_gate_window_begin",
    "shim_gate_window_begin:",
    "    mov rax, [rsi]", // pending signals
    "    and rax, rdx",   // that are not blocked
    "    jnz shim_gate_window_abort",
    "    mov rax, [rbx]",
    "    mov rdi, [rbx + 8]",
    "    mov rsi, [rbx + 16]",
    "    mov rdx, [rbx + 24]",
    "    mov r10, [rbx + 32]",
    "    mov r8, [rbx + 40]",
    "    mov r9, [rbx + 48]",
    ".hidden shim_gate_window_end",
    ".globl shim_gate_window_end",
    "shim_gate_window_end:",
    "    syscall",
    "    pop rbx",
    "    ret",
    ".hidden shim_gate_window_abort",
    ".globl shim_gate_window_abort",
    "shim_gate_window_abort:",
    "    mov rax, -4", // EINTR
    "    pop rbx",
    "    ret",
    ".size shim_gate_interruptible, .-shim_gate_interruptible",
    ".popsection",
);

// A native clone whose child shares this memory. rdi: flags; rsi: the child's stack; rdx: its slot; rcx: the
// word that is cleared at its end; r8: its thread pointer. The parent's result in rax; the child calls
// `shim_thread_begin` on its own stack.
global_asm!(
    ".pushsection .text.shim_gate,\"ax\",@progbits",
    ".hidden shim_gate_clone",
    ".globl shim_gate_clone",
    ".type shim_gate_clone,@function",
    "shim_gate_clone:",
    "    mov [rsi - 8], rdx", // above what the child's first call pushes
    "    sub rsi, 16",
    "    xor edx, edx", // no word for the parent
    "    mov r10, rcx",
    "    mov eax, 56", // clone
    "    syscall",
    "    test rax, rax",
    "    jz 1f",
    "    ret",
    "1:  xor ebp, ebp", // the last frame of the chain
    "    mov rdi, [rsp + 8]",
    "    call shim_thread_begin",
    "    hlt",
    ".size shim_gate_clone, .-shim_gate_clone",
    ".popsection",
);

unsafe extern "C" {
    fn shim_gate_clone(
        flags: u64,
        stack: *mut u8,
        slot: *mut u8,
        cleared: *const AtomicU32,
        thread_pointer: u64,
    ) -> i64;
    fn shim_gate_interruptible(
        words: *const [u64; 7],
        pending: *const AtomicU64,
        unblocked: u64,
    ) -> i64;
    static shim_gate_window_begin: u8;
    static shim_gate_window_end: u8;
    static shim_gate_window_abort: u8;
}

/// Like [`syscall`], but returns -EINTR, without making the call if it has not begun, as soon as one
/// of the `unblocked` signals is `pending` and a kick arrives.
///
/// # Safety
///
/// As for [`syscall`].
pub unsafe fn syscall_interruptible(
    number: u64,
    args: [u64; 6],
    pending: &AtomicU64,
    unblocked: u64,
) -> i64 {
    let [a, b, c, d, e, f] = args;
    let words = [number, a, b, c, d, e, f];
    // SAFETY: both pointers are live for the call; the call's effects are the caller's.
    unsafe { shim_gate_interruptible(&words, pending, unblocked) }
}

/// Make a native thread or process that shares this memory and begins with `shim_thread_begin(slot)`: its
/// native id, or minus an errno.
///
/// # Safety
///
/// `stack` is the 16-byte aligned top of a stack that is nobody else's, `slot` the child's, both for as long as
/// it lives; `flags` hold CLONE_VM and CLONE_CHILD_CLEARTID, and no other flag that stores ids.
pub unsafe fn clone_sharing(
    flags: u64,
    stack: *mut u8,
    slot: *mut Slot,
    cleared: &'static AtomicU32,
    thread_pointer: u64,
) -> i64 {
    // SAFETY: as the caller promises.
    unsafe { shim_gate_clone(flags, stack, slot.cast(), cleared, thread_pointer) }
}

/// Where to go on if a kick interrupts at `rip`: `None` if that is outside the window.
pub fn interruptible_fixup(rip: usize) -> Option<usize> {
    let begin = &raw const shim_gate_window_begin as usize;
    let end = &raw const shim_gate_window_end as usize;
    (begin..=end).contains(&rip).then_some(&raw const shim_gate_window_abort as usize)
}
