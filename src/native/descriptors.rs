//! The descriptor table: the real kernel's, with a note of what each number is.
//!
//! Descriptor numbers in and out. Always true: numbering is Linux's own; the notes in the process block
//! follow every change; the shim's descriptors (at and above `Slot::first_hidden`) answer EBADF, as
//! if they were not there. Opening is `open`, the status of what is open `stat`.
//! See close(2), dup(2), fcntl(2), close_range(2), flock(2), lseek(2).

use core::sync::atomic::Ordering::Relaxed;

use shim_abi::Errno;
use shim_abi::calls::nr;
use shim_abi::process::descriptor;

use super::{locks, times};
use crate::dispatch::Invocation;
use crate::thread::Slot;
use crate::{forward, native, objects, sys, trace};

/// A descriptor that the guest may name.
pub fn visible(slot: &Slot, fd: u64) -> Result<u32, Errno> {
    let fd = fd as u32;
    if fd < slot.first_hidden { Ok(fd) } else { Err(Errno::EBADF) }
}

/// EBADF if `fd` is not open.
pub fn check_open(slot: &Slot, fd: u32) -> Result<(), Errno> {
    visible(slot, fd.into())?;
    sys::call(nr::fcntl, [fd.into(), libc::F_GETFD as u64, 0, 0, 0, 0]).map(drop)
}

/// EBADF if `fd` is not open, or for its path only.
pub fn check_usable(slot: &Slot, fd: u32) -> Result<(), Errno> {
    visible(slot, fd.into())?;
    let flags = sys::call(nr::fcntl, [fd.into(), libc::F_GETFL as u64, 0, 0, 0, 0])?;
    // What the shim itself opens in that way stands for something else.
    let is_path = flags & libc::O_PATH as u64 != 0;
    let is_own = [descriptor::VIRTUAL, descriptor::RANDOM].contains(&slot.process.descriptor(fd));
    if is_path && !is_own { Err(Errno::EBADF) } else { Ok(()) }
}

fn forget(slot: &Slot, fd: u32) {
    slot.process.set_descriptor(fd, descriptor::NATIVE);
}

/// close(fd)
pub fn close(call: &mut Invocation<'_>) -> Result<i64, Errno> {
    let fd = visible(call.slot, call.args[0])?;
    times::flush_descriptor(call.slot, fd);
    let result = native::result(native::execute(nr::close, call.args));
    if result != Err(Errno::EBADF) {
        let was_virtual = objects::is_virtual(call.slot, fd);
        forget(call.slot, fd);
        if was_virtual {
            objects::closed(call.slot, fd);
        } else {
            locks::released(call.slot);
        }
    }
    result
}

/// dup(fd)
pub fn dup(call: &mut Invocation<'_>) -> Result<i64, Errno> {
    let fd = visible(call.slot, call.args[0])?;
    let new = native::result(native::execute(nr::dup, call.args))? as u32;
    super::open::admit(call.slot, new)?;
    copy_note(call.slot, fd, new);
    objects::copied(call.slot, fd, new, 0, false);
    Ok(new.into())
}

/// `to` is now of the kind that `from` is of.
pub fn copy_note(slot: &Slot, from: u32, to: u32) {
    slot.process.set_descriptor(to, slot.process.descriptor(from));
}

/// dup2(fd, new), dup3(fd, new, flags)
pub fn dup_onto(call: &mut Invocation<'_>) -> Result<i64, Errno> {
    let from = visible(call.slot, call.args[0])?;
    let to = call.args[1] as u32;
    if to >= call.slot.process.descriptor_limit.load(Relaxed) {
        return Err(Errno::EBADF);
    }
    times::flush_descriptor(call.slot, to);
    let replaced = objects::is_virtual(call.slot, to);
    let new = native::result(native::execute(call.number, call.args))?;
    copy_note(call.slot, from, to);
    if from != to {
        let flags = if call.number == nr::dup3 { call.args[2] } else { 0 };
        objects::copied(call.slot, from, to, flags, replaced);
        locks::released(call.slot);
    }
    Ok(new)
}

/// close_range(first, last, flags)
pub fn close_range(call: &mut Invocation<'_>) -> Result<i64, Errno> {
    const UNSHARE: u64 = 2;
    const CLOEXEC: u64 = 4;
    let [first, last, flags, ..] = call.args;
    let (first, last, flags) = (first as u32, last as u32, flags & 0xffff_ffff);
    if flags & !(UNSHARE | CLOEXEC) != 0 || first > last {
        return Err(Errno::EINVAL);
    }
    let last = last.min(call.slot.first_hidden - 1);
    if first > last {
        return Ok(0);
    }
    let has_virtual = (first..=last).any(|fd| objects::is_virtual(call.slot, fd));
    if flags & CLOEXEC == 0 {
        for fd in first..=last {
            times::flush_descriptor(call.slot, fd);
            forget(call.slot, fd);
        }
    }
    let args = [first.into(), last.into(), flags & CLOEXEC, 0, 0, 0];
    let done = native::result(native::execute(nr::close_range, args))?;
    if has_virtual {
        forward::syscall(call.slot, nr::close_range, args);
    }
    locks::released(call.slot);
    Ok(done)
}

/// fcntl(fd, operation, argument)
pub fn fcntl(call: &mut Invocation<'_>) -> Result<i64, Errno> {
    let slot = call.slot;
    let [fd, operation, argument, ..] = call.args;
    let from = visible(call.slot, fd)?;
    let run = |args| native::result(native::execute(nr::fcntl, args));
    match operation as i32 {
        libc::F_DUPFD | libc::F_DUPFD_CLOEXEC => {
            if argument as u32 >= slot.process.descriptor_limit.load(Relaxed) {
                run([fd, libc::F_GETFD as u64, 0, 0, 0, 0])?; // EBADF counts before.
                return Err(Errno::EINVAL);
            }
            let new = run(call.args)? as u32;
            super::open::admit(slot, new)?;
            copy_note(slot, from, new);
            let is_close_on_exec = operation as i32 == libc::F_DUPFD_CLOEXEC;
            let flags = if is_close_on_exec { libc::O_CLOEXEC as u64 } else { 0 };
            objects::copied(slot, from, new, flags, false);
            Ok(new.into())
        }
        libc::F_SETFD => set_close_on_exec(slot, from, argument),
        libc::F_GETFD => run(call.args),
        libc::F_SETLKW | libc::F_OFD_SETLKW if objects::is_virtual(slot, from) => {
            locks::set_waiting_for_object(call)
        }
        _ if objects::is_virtual(slot, from) => objects::forward(call),
        libc::F_GETFL if slot.process.descriptor(from) == descriptor::RANDOM => {
            run(call.args).map(|flags| flags & !i64::from(libc::O_PATH))
        }
        libc::F_GETFL
        | libc::F_SETFL
        | libc::F_GETOWN
        | libc::F_GETPIPE_SZ
        | libc::F_SETPIPE_SZ
        | libc::F_ADD_SEALS
        | libc::F_GET_SEALS
        | F_GET_RW_HINT..=F_SET_FILE_RW_HINT => run(call.args),
        libc::F_SETLK | libc::F_OFD_SETLK => locks::set_once(call),
        libc::F_SETLKW | libc::F_OFD_SETLKW => locks::set_waiting(call),
        libc::F_GETLK | libc::F_OFD_GETLK => locks::get(call),
        other => {
            check_usable(slot, from)?;
            trace::lack(slot, format_args!("fcntl operation {other}"));
            Err(Errno::EINVAL)
        }
    }
}

/// Set or clear FD_CLOEXEC.
pub fn set_close_on_exec(slot: &Slot, fd: u32, flags: u64) -> Result<i64, Errno> {
    let args = [fd.into(), libc::F_SETFD as u64, flags, 0, 0, 0];
    let done = sys::call(nr::fcntl, args)?;
    if objects::is_virtual(slot, fd) {
        forward::syscall(slot, nr::fcntl, args);
    }
    Ok(done as i64)
}

const F_GET_RW_HINT: i32 = 1035;
const F_SET_FILE_RW_HINT: i32 = 1038;

/// flock(fd, operation)
pub fn flock(call: &mut Invocation<'_>) -> Result<i64, Errno> {
    visible(call.slot, call.args[0])?;
    locks::flock(call)
}

/// The same for an object: the simulator keeps the lock.
pub fn flock_object(call: &mut Invocation<'_>) -> Result<i64, Errno> {
    match call.args[1] as i32 & libc::LOCK_NB {
        0 => locks::until_free(call.slot, |_| objects::forward(call)),
        _ => objects::forward(call),
    }
}

/// lseek(fd, offset, origin): a random device has no position, and seeking in it changes nothing.
pub fn lseek(call: &mut Invocation<'_>) -> Result<i64, Errno> {
    let [fd, _, origin, ..] = call.args;
    let fd = visible(call.slot, fd)?;
    if call.slot.process.descriptor(fd) != descriptor::RANDOM {
        return native::result(native::execute(nr::lseek, call.args));
    }
    if origin as u32 > libc::SEEK_HOLE as u32 { Err(Errno::EINVAL) } else { Ok(0) }
}

/// memfd_create(name, flags): an ordinary file without a name.
pub fn memfd_create(call: &mut Invocation<'_>) -> Result<i64, Errno> {
    let fd = native::result(native::execute(nr::memfd_create, call.args))? as u32;
    super::open::admit(call.slot, fd)?;
    call.slot.process.set_descriptor(fd, descriptor::WRITABLE);
    times::touch_descriptor(call.slot, fd, times::all_new(call.slot));
    Ok(fd.into())
}

/// After the image was replaced: forget what close-on-exec closed.
pub fn forget_closed(slot: &Slot) {
    for fd in 0..slot.first_hidden {
        if slot.process.descriptor(fd) != descriptor::NATIVE
            && sys::call(nr::fcntl, [fd.into(), libc::F_GETFD as u64, 0, 0, 0, 0]).is_err()
        {
            forget(slot, fd);
        }
    }
}
