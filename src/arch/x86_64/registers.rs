//! Registers that only instructions reach: the slot's base, the guest's thread pointer, extended
//! state, CPUID.
//!
//! Values in and out. Always true: the GS base belongs to the shim from `boot` on, the FS base to the
//! guest always. Nothing here is used in a process that is not managed.
//!
//! # Safety
//!
//! Single instructions without effects on memory, except [`save_extended_state`], which writes the
//! area it is given.
#![allow(unsafe_code)]

use core::arch::asm;
use core::arch::x86_64::{__cpuid_count, _xgetbv, CpuidResult};

use crate::frame::Xmm;

const ARCH_SET_GS: u64 = 0x1001;
const NR_ARCH_PRCTL: u64 = 158;

/// Make `address` what [`thread_slot`] returns on this thread.
///
/// # Safety
///
/// `address` is a live `Slot` whose first word is its own address, or 0.
pub unsafe fn set_thread_slot(address: usize, has_fsgsbase: bool) {
    if has_fsgsbase {
        // SAFETY: the kernel has enabled the instruction (AT_HWCAP2 bit 1), says the caller; user
        // space of x86-64 Linux leaves GS alone.
        unsafe { asm!("wrgsbase {}", in(reg) address, options(nomem, nostack, preserves_flags)) }
    } else {
        // SAFETY: ARCH_SET_GS touches nothing but the register.
        unsafe { super::syscall(NR_ARCH_PRCTL, [ARCH_SET_GS, address as u64, 0, 0, 0, 0]) };
    }
}

/// The address that the slot's first word holds.
///
/// Only in a managed process: elsewhere GS is not ours and this faults.
#[inline(always)]
pub fn thread_slot() -> usize {
    let address: usize;
    // SAFETY: `boot` has set GS to a slot whose first word is its own address before anything that
    // calls this can run.
    unsafe {
        asm!("mov {}, gs:[0]", out(reg) address, options(pure, readonly, nostack, preserves_flags));
    }
    address
}

/// The guest's FS base: its libc's thread control block, which starts with its own address.
pub fn thread_pointer() -> usize {
    let address: usize;
    // SAFETY: both libcs and the ABI put the block's own address at fs:0 before constructors run.
    unsafe {
        asm!("mov {}, fs:[0]", out(reg) address, options(pure, readonly, nostack, preserves_flags));
    }
    address
}

/// CPUID of `leaf` and `subleaf`, from the processor.
pub fn cpuid(leaf: u32, subleaf: u32) -> CpuidResult {
    __cpuid_count(leaf, subleaf)
}

/// The mask of the state components that the kernel has enabled.
pub fn enabled_components() -> u64 {
    // SAFETY: every x86-64 processor on which Linux enables AVX has XGETBV; without OSXSAVE we do not
    // get here.
    unsafe { xgetbv() }
}

#[target_feature(enable = "xsave")]
fn xgetbv() -> u64 {
    // SAFETY: register 0 exists wherever the instruction does.
    unsafe { _xgetbv(0) }
}

/// Store the processor's extended state (`components`) to `area`.
///
/// # Safety
///
/// `area` is writable, 64-byte aligned, long enough for `components` in the standard format, and its header
/// words are zero.
pub unsafe fn save_extended_state(area: *mut u8, components: u64) {
    // SAFETY: the caller answers for the area.
    unsafe {
        asm!(
            "xsave64 [{area}]",
            area = in(reg) area,
            in("eax") components as u32,
            in("edx") (components >> 32) as u32,
            options(nostack),
        );
    }
}

/// Put the guest's 16 xmm registers back, so that [`save_extended_state`] sees the guest's.
pub fn load_xmm(xmm: &[Xmm; 16]) {
    // SAFETY: reads 256 aligned bytes that the reference guarantees; all registers written are
    // declared clobbered.
    unsafe {
        asm!(
            "movaps xmm0, [{p}]", "movaps xmm1, [{p} + 16]", "movaps xmm2, [{p} + 32]",
            "movaps xmm3, [{p} + 48]", "movaps xmm4, [{p} + 64]", "movaps xmm5, [{p} + 80]",
            "movaps xmm6, [{p} + 96]", "movaps xmm7, [{p} + 112]", "movaps xmm8, [{p} + 128]",
            "movaps xmm9, [{p} + 144]", "movaps xmm10, [{p} + 160]", "movaps xmm11, [{p} + 176]",
            "movaps xmm12, [{p} + 192]", "movaps xmm13, [{p} + 208]", "movaps xmm14, [{p} + 224]",
            "movaps xmm15, [{p} + 240]",
            p = in(reg) xmm.as_ptr(),
            out("xmm0") _, out("xmm1") _, out("xmm2") _, out("xmm3") _, out("xmm4") _,
            out("xmm5") _, out("xmm6") _, out("xmm7") _, out("xmm8") _, out("xmm9") _,
            out("xmm10") _, out("xmm11") _, out("xmm12") _, out("xmm13") _, out("xmm14") _,
            out("xmm15") _,
            options(readonly, nostack, preserves_flags),
        );
    }
}
