//! The one entry, and the ways out.
//!
//! Raw machine state in, a [`Frame`] for `serve`, the same state (as `serve` left it) out. Two doors
//! lead in: `shim_entry_call` for system calls (rax the number, rcx the return address, r11 free: what
//! the trap handler and patched sites prepare) and `shim_entry_fault` for an interruption between two
//! instructions (the slot holds the return address). Always true: the shim's stack is empty before and
//! after; the guest's stack, its red zone included, is not touched. Who sends control here is `trap/`.
//!
//! # Safety
//!
//! Assembly that switches stacks. Offsets come from `offset_of!`; the slot's fields that it uses are
//! written by `boot` before the first trap can happen.
#![allow(unsafe_code)]

use core::arch::{asm, global_asm};
use core::mem::offset_of;

use crate::frame::{Frame, kind};
use crate::thread::{FaultReason, Slot};

global_asm!(
    // What debuggers need to find the guest's frames below ours, while rsp is a Frame's address: where the guest's
    // stack pointer and registers are (DWARF 5, section 6.4.2). Nothing is added to an offset below 128 * 128.
    ".macro shim_saved register, offset",
    "    .cfi_escape 0x10, \\register, 3, 0x77, (\\offset) & 0x7f | 0x80, (\\offset) >> 7",
    ".endm",
    ".macro shim_frame_begins",
    "    .cfi_startproc simple",
    "    .cfi_signal_frame",
    "    .cfi_escape 0x0f, 4, 0x77, {at_rsp} & 0x7f | 0x80, {at_rsp} >> 7, 0x06",
    "    shim_saved 16, {at_rip}",
    "    shim_saved 3, {at_rbx}",
    "    shim_saved 6, {at_rbp}",
    "    shim_saved 12, {at_r12}",
    "    shim_saved 13, {at_r13}",
    "    shim_saved 14, {at_r14}",
    "    shim_saved 15, {at_r15}",
    ".endm",
    ".pushsection .text.shim_entry,\"ax\",@progbits",
    ".hidden shim_entry_call",
    ".globl shim_entry_call",
    ".type shim_entry_call,@function",
    "shim_entry_call:",
    "    mov gs:[{guest_sp}], rsp",
    "    mov rsp, gs:[{stack_top}]",
    "    push 0", // keeps frames a multiple of 16 bytes
    "    push {user_ss}",
    "    push qword ptr gs:[{guest_sp}]",
    "    pushfq",
    "    push {user_cs}",
    "    push rcx", // where the guest goes on
    "    push {kind_call}",
    "    jmp 2f",
    // The doors of stubs for instructions that are emulated; rdx holds the return address.
    ".macro shim_door name, reason",
    "    .hidden \\name",
    "    .globl \\name",
    "\\name:",
    "    mov gs:[{fault_ip}], rdx",
    "    mov dword ptr gs:[{fault_reason}], \\reason",
    "    jmp shim_entry_fault",
    ".endm",
    "    shim_door shim_door_tsc, {reason_tsc}",
    "    shim_door shim_door_tsc_and_cpu, {reason_tsc_and_cpu}",
    "    shim_door shim_door_cpuid, {reason_cpuid}",
    ".purgem shim_door",
    ".hidden shim_entry_fault",
    ".globl shim_entry_fault",
    "shim_entry_fault:",
    "    mov gs:[{guest_sp}], rsp",
    "    mov rsp, gs:[{stack_top}]",
    "    push 0", // keeps frames a multiple of 16 bytes
    "    push {user_ss}",
    "    push qword ptr gs:[{guest_sp}]",
    "    pushfq",
    "    push {user_cs}",
    "    push qword ptr gs:[{fault_ip}]", // where the guest goes on
    "    push {kind_fault}",
    "2:  push rax",
    "    push rbx",
    "    push rcx",
    "    push rdx",
    "    push rsi",
    "    push rdi",
    "    push rbp",
    "    push r8",
    "    push r9",
    "    push r10",
    "    push r11",
    "    push r12",
    "    push r13",
    "    push r14",
    "    push r15",
    "    sub rsp, 256",
    "    movaps [rsp], xmm0",
    "    movaps [rsp + 16], xmm1",
    "    movaps [rsp + 32], xmm2",
    "    movaps [rsp + 48], xmm3",
    "    movaps [rsp + 64], xmm4",
    "    movaps [rsp + 80], xmm5",
    "    movaps [rsp + 96], xmm6",
    "    movaps [rsp + 112], xmm7",
    "    movaps [rsp + 128], xmm8",
    "    movaps [rsp + 144], xmm9",
    "    movaps [rsp + 160], xmm10",
    "    movaps [rsp + 176], xmm11",
    "    movaps [rsp + 192], xmm12",
    "    movaps [rsp + 208], xmm13",
    "    movaps [rsp + 224], xmm14",
    "    movaps [rsp + 240], xmm15",
    "    cld",
    "    shim_frame_begins",
    "    mov rdi, rsp",
    "    call shim_serve",
    ".hidden shim_exit",
    ".globl shim_exit",
    "shim_exit:", // rsp: a Frame
    "    cmp byte ptr gs:[{is_kicked}], 0",
    "    jne 4f",
    "    .cfi_endproc",
    ".hidden shim_exit_restore",
    ".globl shim_exit_restore",
    "shim_exit_restore:", // From here on a kick edits the frame, see `redirect_exit`.
    "    movaps xmm0, [rsp]",
    "    movaps xmm1, [rsp + 16]",
    "    movaps xmm2, [rsp + 32]",
    "    movaps xmm3, [rsp + 48]",
    "    movaps xmm4, [rsp + 64]",
    "    movaps xmm5, [rsp + 80]",
    "    movaps xmm6, [rsp + 96]",
    "    movaps xmm7, [rsp + 112]",
    "    movaps xmm8, [rsp + 128]",
    "    movaps xmm9, [rsp + 144]",
    "    movaps xmm10, [rsp + 160]",
    "    movaps xmm11, [rsp + 176]",
    "    movaps xmm12, [rsp + 192]",
    "    movaps xmm13, [rsp + 208]",
    "    movaps xmm14, [rsp + 224]",
    "    movaps xmm15, [rsp + 240]",
    "    add rsp, 256",
    "    pop r15",
    "    pop r14",
    "    pop r13",
    "    pop r12",
    "    pop r11",
    "    pop r10",
    "    pop r9",
    "    pop r8",
    "    pop rbp",
    "    pop rdi",
    "    pop rsi",
    "    pop rdx",
    "    pop rcx",
    "    pop rbx",
    "    pop rax",
    "    cmp qword ptr [rsp], {kind_call}",
    "    jne 3f",
    "    mov rcx, [rsp + 8]", // rip: what the kernel leaves in rcx
    ".hidden shim_exit_jump",
    ".globl shim_exit_jump",
    "shim_exit_jump:",
    "    mov r11, [rsp + 24]", // rflags: what it leaves in r11
    "    lea rsp, [rsp + 24]",
    "    popfq",
    "    pop rsp",
    "    jmp rcx",
    ".hidden shim_exit_return",
    ".globl shim_exit_return",
    "shim_exit_return:",
    "3:  lea rsp, [rsp + 8]",
    "    iretq",
    ".hidden shim_exit_end",
    ".globl shim_exit_end",
    "shim_exit_end:",
    "    shim_frame_begins",
    "4:  mov rdi, rsp",
    "    call shim_serve_kick",
    "    jmp shim_exit",
    "    .cfi_endproc",
    ".purgem shim_saved",
    ".purgem shim_frame_begins",
    // rdi: a Frame at the top of this thread's stack; restores it; does not return.
    ".hidden shim_leave_by_frame",
    ".globl shim_leave_by_frame",
    "shim_leave_by_frame:",
    "    mov rsp, rdi",
    "    jmp shim_exit",
    // rdi: a native signal frame's ucontext. Restores all of it; does not return.
    ".hidden shim_leave_by_sigreturn",
    ".globl shim_leave_by_sigreturn",
    "shim_leave_by_sigreturn:",
    "    mov rsp, rdi",
    ".hidden shim_restorer",
    ".globl shim_restorer",
    "shim_restorer:",
    "    mov rax, 15", // rt_sigreturn, in the bytes that unwinders look for
    "    syscall",
    "    hlt",
    ".popsection",
    guest_sp = const offset_of!(Slot, guest_stack_pointer),
    stack_top = const offset_of!(Slot, stack_top),
    fault_ip = const offset_of!(Slot, fault_instruction),
    fault_reason = const offset_of!(Slot, fault_reason),
    reason_tsc = const FaultReason::Tsc as u32,
    reason_tsc_and_cpu = const FaultReason::TscAndCpu as u32,
    reason_cpuid = const FaultReason::Cpuid as u32,
    is_kicked = const offset_of!(Slot, is_kicked),
    kind_call = const kind::CALL,
    kind_fault = const kind::FAULT,
    at_rsp = const offset_of!(Frame, rsp),
    at_rip = const offset_of!(Frame, rip),
    at_rbx = const offset_of!(Frame, rbx),
    at_rbp = const offset_of!(Frame, rbp),
    at_r12 = const offset_of!(Frame, r12),
    at_r13 = const offset_of!(Frame, r13),
    at_r14 = const offset_of!(Frame, r14),
    at_r15 = const offset_of!(Frame, r15),
    user_ss = const 0x2b,
    user_cs = const 0x33,
);

const _: () = assert!(size_of::<Frame>() == 256 + 22 * 8);
const _: () = assert!(offset_of!(Frame, rax) == 256 + 14 * 8);
const _: () = assert!(offset_of!(Frame, ss) == 256 + 20 * 8);

unsafe extern "C" {
    static shim_entry_call: u8;
    static shim_entry_fault: u8;
    static shim_door_tsc: u8;
    static shim_door_tsc_and_cpu: u8;
    static shim_door_cpuid: u8;
    static shim_exit_restore: u8;
    static shim_exit_jump: u8;
    static shim_exit_return: u8;
    static shim_exit_end: u8;
    static shim_restorer: u8;
    fn shim_leave_by_frame(frame: *mut Frame) -> !;
    fn shim_leave_by_sigreturn(ucontext: *const u8) -> !;
}

/// Address of the door for system calls.
pub fn entry_call_address() -> usize {
    &raw const shim_entry_call as usize
}

/// Address of the door for faults and kicks.
pub fn entry_fault_address() -> usize {
    &raw const shim_entry_fault as usize
}

/// Where the stubs of patched images lead, in the order of `shim_abi::image::Door`.
pub fn doors() -> [u64; 4] {
    [
        &raw const shim_entry_call as u64,
        &raw const shim_door_tsc as u64,
        &raw const shim_door_tsc_and_cpu as u64,
        &raw const shim_door_cpuid as u64,
    ]
}

/// Address of the code that a native signal handler returns to.
pub fn restorer_address() -> usize {
    &raw const shim_restorer as usize
}

/// Leave the shim by restoring everything from a native signal frame.
///
/// # Safety
///
/// `ucontext` begins the `ucontext` of a well-formed native signal frame, and nothing of the shim is
/// needed afterwards.
pub unsafe fn leave_by_sigreturn(ucontext: *const u8) -> ! {
    // SAFETY: the kernel validates what it restores; the caller vouches for the frame.
    unsafe { shim_leave_by_sigreturn(ucontext) }
}

/// Leave the shim by restoring a frame.
///
/// # Safety
///
/// `frame` is complete and stands at the top of this thread's stack, and nothing of that stack is needed
/// afterwards.
pub unsafe fn leave_by_frame(frame: *mut Frame) -> ! {
    // SAFETY: the caller vouches for the frame.
    unsafe { shim_leave_by_frame(frame) }
}

/// A kick interrupted the exit at `rip`, after the last look at [`Slot::is_kicked`]: let the guest come
/// straight back through the door for faults. `rcx` is the interrupted register. Returns where the guest
/// would have gone on; `None` if `rip` is not in the exit, or the guest comes back already.
pub fn redirect_exit(slot: &Slot, rip: usize, rcx: &mut i64) -> Option<u64> {
    let restore = &raw const shim_exit_restore as usize;
    let jump = &raw const shim_exit_jump as usize;
    let iret = &raw const shim_exit_return as usize;
    let end = &raw const shim_exit_end as usize;
    if !(restore..end).contains(&rip) {
        return None;
    }
    let door = entry_fault_address() as u64;
    let target = if (jump..iret).contains(&rip) {
        core::mem::replace(rcx, door as i64) as u64
    } else {
        let frame = (slot.stack_top - size_of::<Frame>()) as *mut Frame;
        // SAFETY: the exit is restoring from the frame at the top of this thread's stack, whose words stay
        // there until the stack is used again; handlers run on another stack.
        let rip = unsafe { &mut (*frame).rip };
        core::mem::replace(rip, door)
    };
    (target != door).then_some(target)
}

/// Make a system call from the shim's own code as the guest would: through the entry.
///
/// # Safety
///
/// Only in a managed process, not while a call is being served; as for any system call otherwise.
pub unsafe fn enter(number: u64, args: [u64; 6]) -> i64 {
    let result: i64;
    // SAFETY: the entry keeps all registers but rax, rcx and r11, and touches no memory of ours; the
    // call's effects are the caller's.
    unsafe {
        asm!(
            "lea rcx, [rip + 2f]",
            "jmp shim_entry_call",
            "2:",
            inlateout("rax") number as i64 => result,
            in("rdi") args[0],
            in("rsi") args[1],
            in("rdx") args[2],
            in("r10") args[3],
            in("r8") args[4],
            in("r9") args[5],
            out("rcx") _,
            out("r11") _,
        );
    }
    result
}
