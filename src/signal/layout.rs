//! The kernel's signal frame on x86-64, as programs and unwinders expect it.
//!
//! Structures only. Always true: their layout is the kernel's (arch/x86/include/uapi/asm/sigcontext.h,
//! arch/x86/include/asm/sigframe.h). Filling and reading them is `deliver`.
//!
//! # Safety
//!
//! Declares structures of integers copyable to guest memory.
#![allow(unsafe_code)]

use crate::guest_memory::Plain;

/// `struct sigcontext`: the interrupted registers.
#[derive(Clone, Copy, Default)]
#[repr(C)]
pub struct MachineContext {
    pub r8: u64,
    pub r9: u64,
    pub r10: u64,
    pub r11: u64,
    pub r12: u64,
    pub r13: u64,
    pub r14: u64,
    pub r15: u64,
    pub rdi: u64,
    pub rsi: u64,
    pub rbp: u64,
    pub rbx: u64,
    pub rdx: u64,
    pub rax: u64,
    pub rcx: u64,
    pub rsp: u64,
    pub rip: u64,
    pub rflags: u64,
    /// cs, gs, fs, ss, 16 bits each.
    pub segments: u64,
    pub error: u64,
    pub trap: u64,
    pub old_mask: u64,
    pub fault_address: u64,
    /// Address of the floating point area, 0 for none.
    pub fp_state: u64,
    pub reserved: [u64; 8],
}

/// `struct ucontext`.
#[derive(Clone, Copy, Default)]
#[repr(C)]
pub struct Context {
    pub flags: u64,
    pub link: u64,
    /// `stack_t`.
    pub stack: [u64; 3],
    pub machine: MachineContext,
    pub mask: u64,
}

/// `siginfo_t`.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Info {
    pub signal: i32,
    pub errno: i32,
    pub code: i32,
    pub padding: i32,
    /// The union, by words: pid and uid, or address; then the value.
    pub fields: [u64; 14],
}

/// `struct rt_sigframe`.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct SignalFrame {
    /// The restorer's address, where the handler returns to.
    pub restorer: u64,
    pub context: Context,
    pub info: Info,
}

const _: () = assert!(size_of::<Context>() == 304);
const _: () = assert!(size_of::<SignalFrame>() == 440);

// SAFETY: integers without padding.
unsafe impl Plain for SignalFrame {}
// SAFETY: integers without padding.
unsafe impl Plain for Context {}

/// `uc_flags`: the floating point area is in the extended format; the stack segment is stored, and to
/// be restored strictly.
pub const UC_FLAGS: u64 = 1 | 2 | 4;
/// `cs` 0x33 and `ss` 0x2b, the user segments of 64-bit code.
pub const SEGMENTS: u64 = 0x33 | 0x2b << 48;

/// Room for the extended state in a frame: enough up to AVX-512.
pub const FP_AREA_BYTES: usize = 4096;

/// The extended state as the kernel stores it in a frame.
#[repr(C, align(64))]
pub struct FpArea(pub [u8; FP_AREA_BYTES]);

/// Offset of the bytes that software may use in the legacy area: `struct _fpx_sw_bytes`.
pub const FP_SOFTWARE_OFFSET: usize = 464;
/// Marks those bytes.
pub const FP_MAGIC_START: u32 = 0x4650_5853;
/// Ends the area.
pub const FP_MAGIC_END: u32 = 0x4650_5845;
