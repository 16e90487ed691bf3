//! A kick: the simulator wants this thread to look at its pending signals now, or to hand over because it
//! makes no call.
//!
//! The kernel's context in. Always true: in guest code the thread goes to the entry, between two
//! instructions; in the window of a native call that may wait, the call is aborted; elsewhere in the shim the
//! exit is told to look at the pending signals again, and where it has looked already the guest comes
//! straight back. So no kick is lost.
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
    let slot = Slot::current();
    let go_on = if !boot::is_own_text(rip) {
        registers[libc::REG_RIP as usize] = arch::entry_fault_address() as i64;
        rip as u64
    } else if let Some(target) =
        arch::redirect_exit(slot, rip, &mut registers[libc::REG_RCX as usize])
    {
        target
    } else {
        slot.is_kicked.set(true);
        return;
    };
    slot.fault_reason.set(FaultReason::Kick);
    slot.fault_instruction.set(go_on);
}
