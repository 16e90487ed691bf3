//! A fault: an emulated instruction, a bad guest address in the copy routine, or the guest's own.
//!
//! The kernel's context in; it goes on at the copy routine's failure label, or at the entry with the
//! reason in the slot. Always true: a fault in the shim's own code outside the copy routine is the shim's
//! failure and ends the guest with a line. What a reason leads to is `serve` and `signal/`.
//!
//! # Safety
//!
//! A signal handler that edits the interrupted context.
#![allow(unsafe_code)]

use core::fmt::Write;

use shim_abi::image::{Door, TRAP_BYTE};

use super::{SignalRecord, registers};
use crate::guest_memory::{GuestAddr, read_bytes};
use crate::thread::{FaultReason, Slot};
use crate::trace::{FixedText, fail};
use crate::{arch, boot, patch, sys};

/// `si_code` of a fault that no address explains (general protection): a trapped instruction.
const SI_KERNEL: i32 = 0x80;

pub extern "C" fn on_fault(signal: i32, info: *const SignalRecord, context: *mut libc::ucontext_t) {
    // SAFETY: the kernel passes a valid record to a handler installed with SA_SIGINFO.
    let record = unsafe { &*info };
    // The guest's own signals are virtual: somebody outside the simulation sent this one. It is no fault,
    // wherever it interrupted, and kills.
    if record.code <= 0 {
        sys::die_of_signal(signal as u32);
    }
    // SAFETY: the context of this handler.
    let registers = unsafe { registers(context) };
    let rip = registers[libc::REG_RIP as usize] as usize;
    let is_memory = signal == libc::SIGSEGV || signal == libc::SIGBUS;
    if is_memory && let Some(go_on) = arch::copy_fixup(rip) {
        registers[libc::REG_RIP as usize] = go_on as i64;
        return;
    }
    if boot::is_own_text(rip) {
        let mut line = FixedText::<160>::new();
        let offset = rip - boot::own_text().0;
        let _ = write!(
            line,
            "signal {signal} (address {:#x}) in the shim at text offset {offset:#x}",
            record.address
        );
        fail(line.as_bytes());
    }
    let slot = Slot::current();
    let (reason, length) = if signal == libc::SIGSEGV && record.code == SI_KERNEL {
        trapped_instruction(rip)
    } else {
        (FaultReason::Signal, 0)
    };
    slot.fault_reason.set(reason);
    slot.fault_signal.set(signal as u32);
    slot.fault_code.set(record.code);
    slot.fault_address.set(record.address);
    slot.fault_trap.set((
        registers[libc::REG_TRAPNO as usize] as u64,
        registers[libc::REG_ERR as usize] as u64,
    ));
    slot.fault_instruction.set((rip + length) as u64);
    registers[libc::REG_RIP as usize] = arch::entry_fault_address() as i64;
}

/// Which of the instructions that we have made trap stands at `rip`, and its length.
fn trapped_instruction(rip: usize) -> (FaultReason, usize) {
    let mut bytes = [0; 3];
    let at = GuestAddr(rip as u64);
    // Three bytes, or two where the page ends.
    if read_bytes(at, &mut bytes).is_err() && read_bytes(at, &mut bytes[..2]).is_err() {
        return (FaultReason::Signal, 0);
    }
    let door = match bytes {
        [0x0f, 0x31, _] => Some(Door::Rdtsc),
        [0x0f, 0x01, 0xf9] => Some(Door::Rdtscp),
        [0x0f, 0xa2, _] => Some(Door::Cpuid),
        [TRAP_BYTE, ..] => patch::emulated_at(rip as u64),
        _ => None,
    };
    match door {
        Some(Door::Rdtsc) => (FaultReason::Tsc, 2),
        Some(Door::Rdtscp) => (FaultReason::TscAndCpu, 3),
        Some(Door::Cpuid) => (FaultReason::Cpuid, 2),
        Some(Door::Call) | None => (FaultReason::Signal, 0),
    }
}
