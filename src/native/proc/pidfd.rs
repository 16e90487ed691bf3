//! Directories `/proc/<number>` that stand for their process: `pidfd_send_signal`.
//!
//! A descriptor in, the simulator's answer out. Always true: whose directory it is, the real kernel says, and the
//! simulator learns the virtual number; of any other real descriptor it learns nothing, so that it says EBADF. Real
//! descriptors of processes do not exist in guests. See pidfd_send_signal(2).

use shim_abi::Errno;
use shim_abi::calls::nr;

use super::listing::{is_in_proc, link_of};
use super::names::{number, virtual_pid};
use crate::dispatch::Invocation;
use crate::native::descriptors::visible;
use crate::thread::Slot;
use crate::{forward, native, objects, sys};

/// pidfd_send_signal(fd, signal, info, flags)
pub fn send_signal(call: &mut Invocation<'_>) -> Result<i64, Errno> {
    let [fd, signal, info, flags, ..] = call.args;
    let process = match visible(call.slot, fd) {
        Ok(fd) if !objects::is_virtual(call.slot, fd) => process_of(call.slot, fd)?,
        _ => None,
    };
    let args = [fd, signal, info, flags, process.unwrap_or(0).into(), 0];
    native::result(forward::syscall(call.slot, call.number, args))
}

/// The process whose directory this is, if it is one: ESRCH if it is gone.
fn process_of(slot: &Slot, fd: u32) -> Result<Option<u32>, Errno> {
    if !is_in_proc(fd) {
        return Ok(None);
    }
    let flags = sys::call(nr::fcntl, [fd.into(), libc::F_GETFL as u64, 0, 0, 0, 0])?;
    if flags & libc::O_PATH as u64 != 0 {
        return Ok(None);
    }
    let Some(link) = link_of(fd) else { return Ok(None) };
    let link = link.as_bytes();
    let link = link.strip_suffix(b" (deleted)").unwrap_or(link);
    match link.strip_prefix(b"/proc/").and_then(number) {
        None => Ok(None),
        Some(native) => virtual_pid(slot, native).ok_or(Errno::ESRCH).map(Some),
    }
}
