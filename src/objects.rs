//! Calls on objects of the simulator's: pipes, sockets, epoll instances, counters, timers, watches, message queues.
//!
//! An [`Invocation`] whose first descriptor is virtual in, the simulator's answer out, or the error that Linux
//! has for a descriptor of that kind. Always true: the real descriptor is a placeholder that keeps the number
//! taken ([`placeholder`]), so whatever is forgotten here fails with EBADF and is not silently wrong; what
//! waits, waits in the simulator; the simulator raises SIGPIPE. The table itself (dup, close, fcntl) is in
//! `native/descriptors.rs`, which tells the simulator of every change; waiting for several descriptors is
//! `native/poll.rs`.

pub mod address;
pub mod between;
pub mod create;
pub mod epoll;
pub mod fifo;
pub mod paths;
pub mod placeholder;
pub mod post;
pub mod refusals;
pub mod rights;
pub mod socket;
pub mod splice_socket;
pub mod status;
pub mod transfer;
pub mod watch;

use shim_abi::Errno;
use shim_abi::calls::{PSEUDO_DUPLICATE, nr};
use shim_abi::process::descriptor;

use crate::dispatch::Invocation;
use crate::thread::Slot;
use crate::{forward, native};

/// Whether `fd` stands for an object of the simulator's.
#[inline(always)]
pub fn is_virtual(slot: &Slot, fd: u32) -> bool {
    slot.process.descriptor(fd) == descriptor::VIRTUAL
}

/// A call that the simulator answers as it comes.
pub fn forward(call: &mut Invocation<'_>) -> Result<i64, Errno> {
    native::result(forward::syscall(call.slot, call.number, call.args))
}

/// A call on an object of a kind that no native descriptor has.
pub fn forward_to_object(call: &mut Invocation<'_>) -> Result<i64, Errno> {
    let result = forward(call);
    for_object(call.slot, call.args[0] as u32, result)
}

/// What the simulator said about such an object: EBADF, when it has come to the descriptor, which it does not know if
/// it is native. EINVAL if that is open.
pub fn for_object(slot: &Slot, fd: u32, result: Result<i64, Errno>) -> Result<i64, Errno> {
    if result != Err(Errno::EBADF) || is_virtual(slot, fd) {
        return result;
    }
    native::descriptors::check_usable(slot, fd)?;
    Err(Errno::EINVAL)
}

/// The simulator closes its side of `fd`, whose number is free already.
pub fn closed(slot: &Slot, fd: u32) {
    forward::syscall(slot, nr::close, [fd.into(), 0, 0, 0, 0, 0]);
}

/// `from` was copied to `to` natively; `replaced`: `to` was virtual before. `flags`: O_CLOEXEC or 0.
pub fn copied(slot: &Slot, from: u32, to: u32, flags: u64, replaced: bool) {
    if replaced || is_virtual(slot, from) {
        let args = [from.into(), to.into(), flags, 0, 0, 0];
        forward::syscall(slot, PSEUDO_DUPLICATE, args);
    }
}
