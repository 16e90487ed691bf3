//! One handler: its frame built on the guest's stack, and the way back from it.
//!
//! The interrupted [`Frame`] and a signal in; the guest continues in its handler. Always true: the guest
//! leaves the shim by a native `rt_sigreturn` on a context of ours, which sets every register, the flags
//! and the floating point state at once; the guest's own `rt_sigreturn` comes back here and leaves the
//! same way, with the registers that its frame (which the handler may have changed) holds. A frame that
//! cannot be written kills with SIGSEGV, as on Linux. See sigreturn(2).
//!
//! # Safety
//!
//! Saves extended processor state to memory of ours, and leaves by `sigreturn`.
#![allow(unsafe_code)]

use core::sync::atomic::Ordering::Relaxed;

use shim_abi::event::SignalInfo;

use super::layout::*;
use crate::arch;
use crate::frame::{Frame, kind};
use crate::guest_memory::{self, GuestAddr};
use crate::local::signals::{self, AltStack, UNBLOCKABLE};
use crate::patch;
use crate::thread::{FaultReason, Slot};

const SA_ONSTACK: u64 = 0x0800_0000;
const SA_RESTART: u64 = 0x1000_0000;
const SA_NODEFER: u64 = 0x4000_0000;
const SA_RESETHAND: u64 = 0x8000_0000;
const SS_AUTODISARM: u64 = 1 << 31;
const RED_ZONE_BYTES: u64 = 128;
/// Direction, resume and trap flags are clear when a handler starts.
const CLEARED_FLAGS: u64 = 0x400 | 0x1_0000 | 0x100;

/// Let the guest go on in its handler for `info`; `fault_address` if it is a real fault. Returns only
/// if there is no handler.
pub fn run_handler(
    slot: &'static Slot,
    frame: &mut Frame,
    info: SignalInfo,
    fault_address: Option<u64>,
) {
    let Some(action) = signals::action(slot, info.signal) else { return };
    let handler = action.handler.load(Relaxed);
    if handler == super::SIG_DFL || handler == super::SIG_IGN {
        return;
    }
    let flags = action.flags.load(Relaxed);
    if flags & SA_RESTART != 0 || slot.restarts_always.get() {
        super::restart(slot, frame);
    }
    slot.restart.set(None);
    slot.restarts_always.set(false);
    let thread = slot.thread.get();
    let mask = thread.signal_mask.load(Relaxed);
    let saved_mask = slot.suspended_mask.take().unwrap_or(mask);

    let alt = AltStack::of(slot);
    let on_alt = flags & SA_ONSTACK != 0 && alt.is_enabled() && !alt.holds(frame.rsp);
    let top = if on_alt {
        alt.pointer.wrapping_add(alt.bytes)
    } else {
        frame.rsp.wrapping_sub(RED_ZONE_BYTES)
    };
    let fp_at = top.wrapping_sub(slot.fp_bytes as u64 + 4) & !63;
    let frame_at = (fp_at.wrapping_sub(size_of::<SignalFrame>() as u64) & !15).wrapping_sub(8);
    let fits = !alt.is_enabled() || !(on_alt || alt.holds(frame.rsp)) || frame_at > alt.pointer;

    let signal_frame = SignalFrame {
        restorer: action.restorer.load(Relaxed),
        context: Context {
            flags: UC_FLAGS,
            link: 0,
            stack: alt.to_words(),
            machine: interrupted(slot, frame, fp_at, fault_address),
            mask: saved_mask,
        },
        info: siginfo(info, fault_address),
    };
    if !fits
        || write_fp_state(slot, frame, fp_at).is_err()
        || guest_memory::write_value(GuestAddr(frame_at), &signal_frame).is_err()
    {
        super::die(slot, libc::SIGSEGV as u32);
    }

    let own = if flags & SA_NODEFER != 0 { 0 } else { 1 << (info.signal - 1) };
    thread.signal_mask.store((mask | action.mask.load(Relaxed) | own) & !UNBLOCKABLE, Relaxed);
    if flags & SA_RESETHAND != 0 {
        action.handler.store(super::SIG_DFL, Relaxed);
    }
    if alt.is_auto_disarmed() && alt.is_enabled() {
        AltStack { pointer: 0, flags: 0, bytes: 0 }.store(slot);
    }

    let info_at = frame_at + core::mem::offset_of!(SignalFrame, info) as u64;
    let context_at = frame_at + core::mem::offset_of!(SignalFrame, context) as u64;
    let machine = MachineContext {
        rip: handler,
        rsp: frame_at,
        rdi: info.signal.into(),
        rsi: info_at,
        rdx: context_at,
        rax: 0,
        rflags: frame.rflags & !CLEARED_FLAGS,
        fp_state: 0, // The handler starts with initial floating point state.
        ..signal_frame.context.machine
    };
    leave(slot, machine)
}

/// The interrupted registers, as the handler sees them.
fn interrupted(
    slot: &Slot,
    frame: &Frame,
    fp_at: u64,
    fault_address: Option<u64>,
) -> MachineContext {
    let is_call = frame.kind == kind::CALL;
    let (trap, error) = if fault_address.is_some() { slot.fault_trap.get() } else { (0, 0) };
    MachineContext {
        r8: frame.r8,
        r9: frame.r9,
        r10: frame.r10,
        r11: if is_call { frame.rflags } else { frame.r11 },
        r12: frame.r12,
        r13: frame.r13,
        r14: frame.r14,
        r15: frame.r15,
        rdi: frame.rdi,
        rsi: frame.rsi,
        rbp: frame.rbp,
        rbx: frame.rbx,
        rdx: frame.rdx,
        rax: frame.rax,
        rcx: if is_call { frame.rip } else { frame.rcx },
        rsp: frame.rsp,
        rip: patch::original(frame.rip),
        rflags: frame.rflags,
        segments: SEGMENTS,
        error,
        trap,
        old_mask: 0,
        fault_address: fault_address.unwrap_or(0),
        fp_state: fp_at,
        reserved: [0; 8],
    }
}

fn siginfo(info: SignalInfo, fault_address: Option<u64>) -> Info {
    let mut fields = [0; 14];
    match fault_address {
        Some(address) => fields[0] = address,
        None => {
            fields[0] = u64::from(info.pid) | u64::from(info.uid) << 32;
            fields[1] = info.value;
            fields[2..4].copy_from_slice(&info.tail);
        }
    }
    Info { signal: info.signal as i32, errno: 0, code: info.code, padding: 0, fields }
}

/// Store the guest's vector state at `at`, in the kernel's format.
fn write_fp_state(slot: &Slot, frame: &Frame, at: u64) -> Result<(), shim_abi::Errno> {
    let mut area = FpArea([0; FP_AREA_BYTES]);
    arch::load_xmm(&frame.xmm);
    // SAFETY: the area is aligned, zeroed, and at least `fp_bytes` long (`boot` checked).
    unsafe { arch::save_extended_state(area.0.as_mut_ptr(), slot.fp_components) };
    let bytes = slot.fp_bytes;
    let mut put = |offset: usize, value: &[u8]| {
        area.0[offset..offset + value.len()].copy_from_slice(value);
    };
    put(FP_SOFTWARE_OFFSET, &FP_MAGIC_START.to_le_bytes());
    put(FP_SOFTWARE_OFFSET + 4, &(bytes as u32 + 4).to_le_bytes());
    put(FP_SOFTWARE_OFFSET + 8, &slot.fp_components.to_le_bytes());
    put(FP_SOFTWARE_OFFSET + 16, &(bytes as u32).to_le_bytes());
    put(bytes, &FP_MAGIC_END.to_le_bytes());
    guest_memory::write_bytes(GuestAddr(at), &area.0[..bytes + 4])
}

/// The guest's handler returned: restore what its frame, whose context is at `at`, holds. Does not
/// return to the caller unless the frame cannot be read, which kills.
pub fn return_from_handler(slot: &'static Slot, at: GuestAddr) -> ! {
    let Ok(context) = guest_memory::read_value::<Context>(at) else {
        super::die(slot, libc::SIGSEGV as u32)
    };
    let mask = context.mask & !UNBLOCKABLE;
    slot.thread.signal_mask.store(mask, Relaxed);
    // As by sigaltstack(2), which does nothing to a stack that is in use.
    let now = AltStack::of(slot);
    let is_on_it = now.is_enabled() && now.holds(at.0);
    if let Ok(stack) = AltStack::from_words(context.stack).checked()
        && !is_on_it
    {
        stack.store(slot);
    }
    let rip = patch::place(context.machine.rip);
    leave(slot, MachineContext { rip, ..context.machine })
}

/// Continue the guest with these registers.
fn leave(slot: &'static Slot, mut machine: MachineContext) -> ! {
    let thread = slot.thread.get();
    let unblocked = !thread.signal_mask.load(Relaxed);
    let has_signal = thread.pending_signals.load(Relaxed) & unblocked != 0;
    if slot.is_kicked.replace(false) || has_signal {
        // Something waited for the mask, or came just now: come straight back, with all registers restored.
        slot.fault_reason.set(FaultReason::Kick);
        slot.fault_instruction.set(machine.rip);
        machine.rip = arch::entry_fault_address() as u64;
    }
    slot.thread.is_serving.store(0, Relaxed);
    let (signal_stack, signal_stack_bytes) = slot.place.signal_stack();
    let context = Context {
        flags: UC_FLAGS,
        link: 0,
        stack: [signal_stack as u64, SS_AUTODISARM, signal_stack_bytes as u64],
        machine: MachineContext { segments: SEGMENTS, ..machine },
        mask: 0,
    };
    // SAFETY: a complete context of ours; the shim's stack is abandoned with it.
    unsafe { arch::leave_by_sigreturn((&raw const context).cast()) }
}
