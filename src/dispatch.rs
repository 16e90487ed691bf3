//! From a call's number to who answers it.
//!
//! A slot and a frame in, the call's result out. Always true: the route is the table's
//! (`shim_abi::calls`); a call that the table refuses, or does not know, fails and is counted by number,
//! and so named in the run's summary. The answers are in `local/`, `native/` and behind `forward`.

mod handlers;

use core::sync::atomic::Ordering::Relaxed;

use shim_abi::Errno;
use shim_abi::calls::{self, Call, Route, nr};

use crate::arch::PSEUDO_VDSO;
use crate::frame::Frame;
use crate::local::clock;
use crate::thread::{self, Slot};
use crate::{forward, native, trace};

/// Calls by `int 0x80` arrive with this added to their number.
pub const PSEUDO_I386: u32 = 0x3_0000;

/// One call being answered.
pub struct Invocation<'a> {
    /// The calling thread.
    pub slot: &'static Slot,
    /// The call's number.
    pub number: u32,
    /// Its arguments.
    pub args: [u64; 6],
    /// The caller's registers.
    pub frame: &'a mut Frame,
}

/// What answers a call inside the guest.
pub type Handler = fn(&mut Invocation<'_>) -> Result<i64, Errno>;

/// Answer the call that `frame` makes; the result as Linux returns it.
pub fn call(slot: &'static Slot, frame: &mut Frame) -> i64 {
    let number = frame.number();
    let args = frame.args();
    if (u64::from(PSEUDO_VDSO)..u64::from(PSEUDO_VDSO) + 16).contains(&number) {
        return vdso(slot, frame, number - u64::from(PSEUDO_VDSO));
    }
    let count = &slot.process.calls;
    count.store(count.load(Relaxed).wrapping_add(1), Relaxed);
    let Some(line) = calls::lookup(number) else {
        return unknown(slot, number);
    };
    if slot.allows_native.get() && goes_native(slot, line.number, args[0]) {
        return native::execute(line.number, args);
    }
    clock::charge(slot, slot.manager.syscall_latency_ns);
    if slot.host.is_tracing.load(Relaxed) == 0 {
        answer(slot, line, args, frame)
    } else {
        answer_traced(slot, line, args, frame)
    }
}

/// As [`answer`], with a record of it.
#[cold]
#[inline(never)]
fn answer_traced(slot: &'static Slot, line: &Call, args: [u64; 6], frame: &mut Frame) -> i64 {
    let pending = trace::begin_call(line, args);
    let caller = slot.thread.get();
    let result = answer(slot, line, args, frame);
    // A new process is the copy of its parent's thread: the call is its parent's.
    if core::ptr::eq(slot.thread.get(), caller) {
        trace::end_call(slot, pending, result);
    }
    result
}

/// By the route and the handlers.
fn answer(slot: &'static Slot, line: &Call, args: [u64; 6], frame: &mut Frame) -> i64 {
    // Forwarded calls, too: most need not wait, and whoever makes nothing but such calls must not keep others waiting.
    if !matches!(line.number, nr::exit | nr::exit_group) {
        clock::respect_limit(slot);
    }
    let handler =
        handlers::find_virtual(slot, line.number, args[0]).or_else(|| handlers::find(line.number));
    let result = match (line.route, handler) {
        (Route::Refuse(errno), _) => refuse(slot, line.number, errno),
        (_, Some(handler)) => handler(&mut Invocation { slot, number: line.number, args, frame })
            .unwrap_or_else(|errno| native::failure(line.number, args, errno)),
        (Route::Forward, None) => forward_call(slot, line.number, args),
        (Route::Local | Route::Native, None) => native::execute(line.number, args),
    };
    native::watched::after(slot, line.number);
    let is_unconditional = result == Errno::ERESTARTNOINTR.as_return();
    if is_unconditional || result == Errno::ERESTARTSYS.as_return() {
        slot.restart.set(Some(line.number));
        slot.restarts_always.set(is_unconditional);
        return Errno::EINTR.as_return();
    }
    result
}

/// Whether the toggle of the C interface sends this call to the real kernel.
#[cold]
fn goes_native(slot: &Slot, number: u32, fd: u64) -> bool {
    !stays_simulated(number) && handlers::find_virtual(slot, number, fd).is_none()
}

fn forward_call(slot: &'static Slot, number: u32, args: [u64; 6]) -> i64 {
    match number {
        nr::exit | nr::exit_group => thread::process_exit(slot, number, args[0] as i32),
        nr::rt_sigsuspend => native::suspend(slot, args),
        _ => forward::syscall(slot, number, args),
    }
}

/// Calls that the toggle of the C interface does not send to the real kernel: those that make
/// processes, change dispositions, or change the descriptor table.
fn stays_simulated(number: u32) -> bool {
    matches!(
        number,
        nr::clone
            | nr::clone3
            | nr::fork
            | nr::vfork
            | nr::execve
            | nr::execveat
            | nr::exit
            | nr::exit_group
            | nr::rt_sigaction
            | nr::rt_sigprocmask
            | nr::rt_sigreturn
            | nr::sigaltstack
            | nr::rt_sigsuspend
            | nr::rt_sigtimedwait
            | nr::open
            | nr::openat
            | nr::openat2
            | nr::creat
            | nr::close
            | nr::close_range
            | nr::dup
            | nr::dup2
            | nr::dup3
            | nr::fcntl
            | nr::prctl
            | nr::arch_prctl
    )
}

fn refuse(slot: &Slot, number: u32, errno: Errno) -> i64 {
    if let Some(count) = slot.process.refused.get(number as usize) {
        count.store(count.load(Relaxed).saturating_add(1), Relaxed);
    }
    errno.as_return()
}

fn unknown(slot: &Slot, number: u64) -> i64 {
    clock::charge(slot, slot.manager.syscall_latency_ns);
    let i386 = u64::from(PSEUDO_I386);
    if (i386..i386 + 0x1_0000).contains(&number) {
        trace::lack(slot, format_args!("system call {} by int 0x80", number - i386));
    } else {
        trace::lack(slot, format_args!("system call number {number}"));
    }
    Errno::ENOSYS.as_return()
}

/// A redirected vDSO function.
fn vdso(slot: &'static Slot, frame: &mut Frame, index: u64) -> i64 {
    let number = match index {
        0 => nr::clock_gettime,
        1 => nr::gettimeofday,
        2 => nr::time,
        3 => nr::getcpu,
        4 => nr::clock_getres,
        // The state that __vdso_getrandom wants cannot be had: its callers then make the system call.
        _ => return Errno::ENOSYS.as_return(),
    };
    let args = frame.args();
    if slot.allows_native.get() {
        return native::execute(number, args);
    }
    clock::charge(slot, slot.manager.vdso_latency_ns);
    clock::respect_limit(slot);
    match handlers::find(number) {
        Some(handler) => {
            handler(&mut Invocation { slot, number, args, frame }).unwrap_or_else(Errno::as_return)
        }
        None => Errno::ENOSYS.as_return(),
    }
}
