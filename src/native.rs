//! Calls that the real kernel executes, and the care that some of them need.
//!
//! An [`Invocation`](crate::dispatch::Invocation) in, the kernel's result (or ours) out. Always true: a
//! regular file is opened, read, written and mapped by the real kernel; what care there is keeps time,
//! randomness, descriptor numbers and the shim's own things as the simulation wants them. A call without
//! care is [`execute`]d as it came.
//!
//! # Safety
//!
//! Executes system calls with a guest's arguments.
#![allow(unsafe_code)]

pub mod attributes;
pub mod control;
pub mod descriptors;
pub mod entries;
pub mod exec;
pub mod inodes;
pub mod ioctl;
pub mod locks;
pub mod memory;
pub mod open;
pub mod ordinary_file;
pub mod paths;
pub mod poll;
pub mod proc;
pub mod seccomp;
pub mod segments;
pub mod select;
pub mod sleep;
pub mod stat;
pub mod times;
pub mod transfer;
pub mod virtual_file;
pub mod watched;
pub mod written;

use core::sync::atomic::Ordering::Relaxed;

use shim_abi::Errno;
use shim_abi::address::overlaps_reservation;
use shim_abi::calls::nr;

use crate::guest_memory::{GuestAddr, read_value};
use crate::local::signals::UNBLOCKABLE;
use crate::thread::Slot;
use crate::{arch, forward};

/// Execute a guest's call natively, as it is.
pub fn execute(number: u32, args: [u64; 6]) -> i64 {
    // SAFETY: the guest could make the same call without us; what must not reach the kernel (changes to
    // the shim's memory, descriptors, handlers) has handlers that do not come here.
    unsafe { arch::syscall(number.into(), args) }
}

/// Execute a guest's call that may wait in wall time: a pending signal that is not blocked ends it with
/// EINTR; a kick for another reason does not.
pub fn execute_interruptible(slot: &Slot, number: u32, args: [u64; 6]) -> i64 {
    let pending = &slot.thread.pending_signals;
    let unblocked = !slot.thread.signal_mask.load(Relaxed);
    loop {
        // SAFETY: as for `execute`.
        let result =
            unsafe { arch::syscall_interruptible(number.into(), args, pending, unblocked) };
        let is_interrupted = Errno::from_return(result) == Some(Errno::EINTR);
        if !is_interrupted || pending.load(Relaxed) & unblocked != 0 {
            return result;
        }
    }
}

/// A return value as a `Result`.
pub fn result(value: i64) -> Result<i64, Errno> {
    match Errno::from_return(value) {
        Some(errno) => Err(errno),
        None => Ok(value),
    }
}

/// A handler failed. Linux looks at several pointers in an order of its own, so where one of them is bad,
/// the kernel itself says what is wrong first: the same call cannot succeed.
pub fn failure(number: u32, args: [u64; 6], errno: Errno) -> i64 {
    let asks_kernel = errno == Errno::EFAULT
        && matches!(
            number,
            nr::link
                | nr::linkat
                | nr::symlink
                | nr::symlinkat
                | nr::rename
                | nr::renameat
                | nr::renameat2
                | nr::readlink
                | nr::readlinkat
                | nr::setxattr
                | nr::lsetxattr
                | nr::removexattr
                | nr::lremovexattr
                | nr::getxattr
                | nr::lgetxattr
                | nr::listxattr
                | nr::llistxattr
        );
    // What is bad only because it is the shim's own, the kernel could read.
    let is_ours = |&a: &u64| {
        a.checked_add(paths::PATH_MAX as u64).is_some()
            && overlaps_reservation(a as usize, paths::PATH_MAX)
    };
    if asks_kernel && !args.iter().any(is_ours) {
        return execute(number, args);
    }
    errno.as_return()
}

/// rt_sigsuspend(mask, bytes): the mask is this one until the handler that ends the wait returns.
pub fn suspend(slot: &'static Slot, args: [u64; 6]) -> i64 {
    let [mask, bytes, ..] = args;
    if bytes != 8 {
        return Errno::EINVAL.as_return();
    }
    let mask = match read_value::<u64>(GuestAddr(mask)) {
        Ok(mask) => mask & !UNBLOCKABLE,
        Err(errno) => return errno.as_return(),
    };
    let thread = slot.thread.get();
    slot.suspended_mask.set(Some(thread.signal_mask.swap(mask, Relaxed)));
    forward::syscall(slot, nr::rt_sigsuspend, args)
}
