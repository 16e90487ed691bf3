//! From a call's number to who answers it.
//!
//! A slot and a frame in, the call's result out. Always true: the route is the table's
//! (`shim_abi::calls`); a call that the table refuses, or does not know, fails and is counted by number,
//! and so named in the run's summary. The answers are in `local/`, `native/` and behind `forward`.

mod handlers;

use core::sync::atomic::Ordering::Relaxed;

use shim_abi::Errno;
use shim_abi::calls::{self, Route, nr};

use crate::arch::PSEUDO_VDSO;
use crate::frame::Frame;
use crate::local::clock;
use crate::thread::Slot;
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
    let Some(line) = calls::lookup(number) else {
        return unknown(slot, number);
    };
    if slot.allows_native.get() && !stays_simulated(line.number) {
        return native::execute(line.number, args);
    }
    clock::charge(slot, slot.manager.syscall_latency_ns);
    let pending = trace::begin_call(slot, line, args);
    let result = match line.route {
        Route::Forward => forward_call(slot, line.number, args),
        Route::Refuse(errno) => refuse(slot, line.number, errno),
        Route::Local | Route::Native => {
            clock::respect_limit(slot);
            match handlers::find(line.number) {
                Some(handler) => {
                    handler(&mut Invocation { slot, number: line.number, args, frame })
                        .unwrap_or_else(|errno| native::failure(line.number, args, errno))
                }
                None => native::execute(line.number, args),
            }
        }
    };
    trace::end_call(slot, pending, result);
    result
}

fn forward_call(slot: &'static Slot, number: u32, args: [u64; 6]) -> i64 {
    match number {
        nr::exit | nr::exit_group => native::process_exit(slot, number, args[0] as i32),
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
