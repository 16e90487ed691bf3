//! How control arrives: from a system call, a fault, a kick.
//!
//! Native signals in; the interrupted context, pointed at the entry, out. Always true: a handler serves
//! nothing: it edits the context and returns, and the call is served after `sigreturn`, on the shim's
//! stack, so that stack is empty whenever guest code runs. The handlers run on the native alternate
//! stack, which disarms itself meanwhile. The entry is `arch/`, what happens behind it `serve`.
//!
//! # Safety
//!
//! Installs signal handlers and the dispatch of system calls; edits machine contexts that the kernel
//! made.
#![allow(unsafe_code)]

mod call;
mod fault;
mod kick;

use shim_abi::process::KICK_SIGNAL;

use crate::sys::{self, NativeAction};
use crate::{arch, boot};

const SA_SIGINFO: u64 = 4;
const SA_ONSTACK: u64 = 0x0800_0000;
const SA_RESTORER: u64 = 0x0400_0000;
const SA_NODEFER: u64 = 0x4000_0000;

const SYNCHRONOUS: [i32; 5] =
    [libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGFPE, libc::SIGTRAP];

const PR_SET_SYSCALL_USER_DISPATCH: i32 = 59;
const PR_SYS_DISPATCH_ON: u64 = 1;

/// The parts of the kernel's `siginfo_t` that the handlers read.
#[repr(C)]
pub struct SignalRecord {
    signal: i32,
    errno: i32,
    code: i32,
    padding: i32,
    /// `si_addr`, or the address of a trapped call.
    address: u64,
    /// A trapped call's number.
    number: i32,
    /// The `AUDIT_ARCH_*` of a trapped call.
    machine: u32,
}

type Handler = extern "C" fn(i32, *const SignalRecord, *mut libc::ucontext_t);

/// Install the native handlers of this process. The alternate stack must stand already.
pub fn install_handlers() {
    let synchronous = SYNCHRONOUS.iter().fold(1 << (libc::SIGSYS - 1), |set, s| set | 1 << (s - 1));
    let mask: u64 = !synchronous;
    let install = |signal: i32, handler: Handler, more: u64| {
        let action = NativeAction {
            handler: handler as usize,
            flags: SA_SIGINFO | SA_ONSTACK | SA_RESTORER | more,
            restorer: arch::restorer_address(),
            mask,
        };
        if sys::set_native_action(signal as u32, &action).is_err() {
            crate::trace::fail(b"cannot install a signal handler");
        }
    };
    install(libc::SIGSYS, call::on_call, 0);
    for signal in SYNCHRONOUS {
        install(signal, fault::on_fault, SA_NODEFER);
    }
    install(KICK_SIGNAL as i32, kick::on_kick, 0);
    // A broken pipe shows as EPIPE; the virtual SIGPIPE follows from it (`native/transfer.rs`).
    let _ = sys::set_native_action(libc::SIGPIPE as u32, &NativeAction::IGNORE);
    sys::set_native_mask(0);
}

/// From now on every system call outside this library's executable segment traps.
pub fn arm() {
    let (start, bytes) = boot::own_text();
    let armed = sys::prctl(
        PR_SET_SYSCALL_USER_DISPATCH,
        [PR_SYS_DISPATCH_ON, start as u64, bytes as u64, 0],
    );
    if armed.is_err() {
        crate::trace::fail(b"this kernel has no syscall user dispatch (Linux 5.11 and later have)");
    }
}

/// The general registers of the context that a handler was given.
///
/// # Safety
///
/// `context` is the one that the kernel passed to the running handler.
unsafe fn registers<'a>(context: *mut libc::ucontext_t) -> &'a mut [i64; 23] {
    // SAFETY: the kernel made the context on the alternate stack, nobody else refers to it, and it
    // lives until the handler returns.
    unsafe { &mut (*context).uc_mcontext.gregs }
}
