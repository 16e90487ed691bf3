//! Reading and writing: natively, with an eye on what stands behind the descriptor.
//!
//! Descriptors and addresses in, counts out. Always true: a regular file is read and written by the real
//! kernel without a detour; randomness comes from the seed; a standard stream may wait in wall time while
//! simulated time stands still, and a signal ends the wait; a file of the simulated machine shows its present state; a broken pipe raises the virtual SIGPIPE; a
//! write is noted for the file's times. See read(2), write(2), pipe(7).

use core::sync::atomic::Ordering::Relaxed;

use shim_abi::Errno;
use shim_abi::calls::nr;
use shim_abi::process::descriptor;

use super::descriptors::visible;
use super::{times, virtual_file};
use crate::dispatch::Invocation;
use crate::guest_memory::{GuestAddr, read_value};
use crate::local::random;
use crate::thread::Slot;
use crate::{forward, native, objects};

/// Most pieces that a vector may have.
const IOV_MAX: u64 = 1024;

/// read, readv, pread64, preadv, preadv2
pub fn read(call: &mut Invocation<'_>) -> Result<i64, Errno> {
    let fd = visible(call.slot, call.args[0])?;
    match call.slot.process.descriptor(fd) {
        descriptor::RANDOM => read_random(call),
        descriptor::EXTERNAL => external(call),
        kind => {
            if kind == descriptor::SHOWN {
                virtual_file::prepare_read(call.slot, fd, offset(call))?;
            }
            native::result(native::execute(call.number, call.args))
        }
    }
}

/// Where a read begins; `None`: at the descriptor's own position.
fn offset(call: &Invocation<'_>) -> Option<u64> {
    match call.number {
        nr::pread64 | nr::preadv => Some(call.args[3]),
        nr::preadv2 => Some(call.args[3]).filter(|&offset| offset != u64::MAX),
        _ => None,
    }
}

fn read_random(call: &Invocation<'_>) -> Result<i64, Errno> {
    let [_, address, count, ..] = call.args;
    if call.number == nr::read || call.number == nr::pread64 {
        return random::fill_guest(call.slot, GuestAddr(address), count);
    }
    let mut total = 0;
    each_piece(address, count, |address, bytes| {
        total += random::fill_guest(call.slot, address, bytes)?;
        Ok(())
    })?;
    Ok(total)
}

fn each_piece(
    vector: u64,
    count: u64,
    mut each: impl FnMut(GuestAddr, u64) -> Result<(), Errno>,
) -> Result<(), Errno> {
    if count > IOV_MAX {
        return Err(Errno::EINVAL);
    }
    for i in 0..count {
        let [address, bytes] = read_value::<[u64; 2]>(GuestAddr(vector).offset(i * 16))?;
        each(GuestAddr(address), bytes)?;
    }
    Ok(())
}

/// A call on a standard stream: it may wait. If a signal interrupted it, it is `signal`'s to decide whether
/// the guest makes it again.
fn external(call: &Invocation<'_>) -> Result<i64, Errno> {
    let result = native::execute_interruptible(call.slot, call.number, call.args);
    if Errno::from_return(result) == Some(Errno::EINTR) {
        call.slot.restart.set(Some(call.number));
    }
    native::result(result)
}

/// write, writev, pwrite64, pwritev, pwritev2
pub fn write(call: &mut Invocation<'_>) -> Result<i64, Errno> {
    let fd = visible(call.slot, call.args[0])?;
    let result = match call.slot.process.descriptor(fd) {
        descriptor::RANDOM => discard(call),
        descriptor::EXTERNAL => external(call),
        _ => native::result(native::execute(call.number, call.args)),
    };
    wrote(call.slot, fd, result)
}

/// Entropy that the guest offers is taken and not used.
fn discard(call: &Invocation<'_>) -> Result<i64, Errno> {
    let [_, address, count, ..] = call.args;
    if call.number == nr::write || call.number == nr::pwrite64 {
        return Ok(count as i64);
    }
    let mut total = 0;
    each_piece(address, count, |_, bytes| {
        total += bytes as i64;
        Ok(())
    })?;
    Ok(total)
}

fn wrote(slot: &Slot, fd: u32, result: Result<i64, Errno>) -> Result<i64, Errno> {
    match result {
        Ok(n) if n > 0 => times::changed(slot, fd),
        Err(Errno::EPIPE) => raise_sigpipe(slot),
        _ => {}
    }
    result
}

/// As the kernel does on a write to a pipe that nobody reads: SIGPIPE for the writing thread.
fn raise_sigpipe(slot: &Slot) {
    let tid = slot.thread.tid.load(Relaxed);
    forward::syscall(slot, nr::tkill, [tid.into(), libc::SIGPIPE as u64, 0, 0, 0, 0]);
}

/// sendfile, splice, tee, vmsplice, copy_file_range: between native descriptors.
pub fn between(call: &mut Invocation<'_>) -> Result<i64, Errno> {
    let [first, second, third, ..] = call.args;
    let (from, to) = match call.number {
        nr::sendfile => (visible(call.slot, second)?, visible(call.slot, first)?),
        nr::splice | nr::copy_file_range => {
            (visible(call.slot, first)?, visible(call.slot, third)?)
        }
        nr::tee => (visible(call.slot, first)?, visible(call.slot, second)?),
        _ => (visible(call.slot, first)?, visible(call.slot, first)?),
    };
    if [from, to].iter().any(|&fd| objects::is_virtual(call.slot, fd)) {
        let result = objects::between::between(call, from, to);
        if result.is_ok_and(|n| n > 0) {
            times::changed(call.slot, to);
        }
        return result;
    }
    if call.slot.process.descriptor(from) == descriptor::SHOWN {
        virtual_file::prepare_read(call.slot, from, None)?;
    }
    let is_external =
        [from, to].iter().any(|&fd| call.slot.process.descriptor(fd) == descriptor::EXTERNAL);
    let result = if is_external {
        external(call)
    } else {
        native::result(native::execute(call.number, call.args))
    };
    wrote(call.slot, to, result)
}
