//! A kick: the simulator wants this thread to look at its pending signals now, or to hand over because it
//! makes no call.
//!
//! The kernel's context in. Always true: in guest code the thread goes to the entry, between two
//! instructions; in the window of a native call that may wait, the call is aborted; anywhere else in the
//! shim nothing is needed, because `serve` looks at the pending signals last.
//!
//! # Safety
//!
//! A signal handler that edits the interrupted context.
#![allow(unsafe_code)]

use super::{SignalRecord, registers};
use crate::thread::{FaultReason, Slot};
use crate::{arch, boot};

pub extern "C" fn on_kick(
    _signal: i32,
    _info: *const SignalRecord,
    context: *mut libc::ucontext_t,
) {
    // SAFETY: the context of this handler.
    let registers = unsafe { registers(context) };
    let rip = registers[libc::REG_RIP as usize] as usize;
    if let Some(go_on) = arch::interruptible_fixup(rip) {
        registers[libc::REG_RIP as usize] = go_on as i64;
        return;
    }
    if boot::is_own_text(rip) {
        return;
    }
    let slot = Slot::current();
    slot.fault_reason.set(FaultReason::Kick);
    slot.fault_instruction.set(rip as u64);
    registers[libc::REG_RIP as usize] = arch::entry_fault_address() as i64;
}
