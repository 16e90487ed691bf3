//! A system call that trapped: SIGSYS by Syscall User Dispatch.
//!
//! The kernel's context in, pointed at the entry out. Always true: the number and arguments stay where
//! the guest put them; rcx and r11 get what the kernel would have left in them. A SIGSYS that is no
//! dispatch is a fault of the guest's own (`fault`). See
//! <https://docs.kernel.org/admin-guide/syscall-user-dispatch.html>.
//!
//! # Safety
//!
//! A signal handler that edits the interrupted context.
#![allow(unsafe_code)]

use super::{SignalRecord, fault, registers};
use crate::arch;
use crate::dispatch::PSEUDO_I386;
use crate::thread::Slot;

/// `si_code` of a dispatched call.
const SYS_USER_DISPATCH: i32 = 2;
const AUDIT_ARCH_X86_64: u32 = 0xc000_003e;

pub extern "C" fn on_call(signal: i32, info: *const SignalRecord, context: *mut libc::ucontext_t) {
    // SAFETY: the kernel passes a valid record to a handler installed with SA_SIGINFO.
    let record = unsafe { &*info };
    if record.code != SYS_USER_DISPATCH {
        fault::on_fault(signal, info, context);
        return;
    }
    // SAFETY: the context of this handler.
    let registers = unsafe { registers(context) };
    if record.machine != AUDIT_ARCH_X86_64 {
        // `int 0x80`: the number means something else there.
        let number = registers[libc::REG_RAX as usize] & 0xffff;
        registers[libc::REG_RAX as usize] = i64::from(PSEUDO_I386) + number;
    }
    Slot::current().has_trapped.set(true);
    registers[libc::REG_RCX as usize] = registers[libc::REG_RIP as usize];
    registers[libc::REG_R11 as usize] = registers[libc::REG_EFL as usize];
    registers[libc::REG_RIP as usize] = arch::entry_call_address() as i64;
}
