//! Calls that make no sense on an object, with the errors that Linux has for them.
//!
//! An [`Invocation`] in, an error out. Always true: nothing changes. As Linux 6.18 answers for pipes and
//! anonymous inodes.

use shim_abi::Errno;

use super::status::{self, access_mode, is_pipe};
use crate::dispatch::Invocation;
use crate::trace;

/// lseek(fd, offset, origin): a pipe, a socket or a process cannot; what is none of them stays at 0.
pub fn lseek(call: &mut Invocation<'_>) -> Result<i64, Errno> {
    if call.args[2] as u32 > libc::SEEK_HOLE as u32 {
        return Err(Errno::EINVAL);
    }
    let stat = status::of(call.slot, call.args[0] as u32)?;
    if status::is_of_pipe(&stat) || status::is_of_socket(&stat) || status::is_of_process(&stat) {
        return Err(Errno::ESPIPE);
    }
    Ok(0)
}

/// fallocate(fd, ...)
pub fn fallocate(call: &mut Invocation<'_>) -> Result<i64, Errno> {
    let is_pipe = is_pipe(call.slot, call.args[0] as u32)?;
    Err(if is_pipe { Errno::ESPIPE } else { Errno::ENODEV })
}

/// fadvise64(fd, ...): what is no pipe takes any advice.
pub fn fadvise(call: &mut Invocation<'_>) -> Result<i64, Errno> {
    if is_pipe(call.slot, call.args[0] as u32)? { Err(Errno::ESPIPE) } else { Ok(0) }
}

/// readahead(fd, ...)
pub fn readahead(call: &mut Invocation<'_>) -> Result<i64, Errno> {
    let is_readable = access_mode(call.slot, call.args[0] as u32)? != libc::O_WRONLY;
    Err(if is_readable { Errno::EINVAL } else { Errno::EBADF })
}

/// ftruncate, fsync, fdatasync
pub fn invalid(_: &mut Invocation<'_>) -> Result<i64, Errno> {
    Err(Errno::EINVAL)
}

/// sync_file_range
pub fn no_position(_: &mut Invocation<'_>) -> Result<i64, Errno> {
    Err(Errno::ESPIPE)
}

/// syncfs: there is nothing to write back.
pub fn nothing_to_do(_: &mut Invocation<'_>) -> Result<i64, Errno> {
    Ok(0)
}

/// getdents, getdents64, fchdir
pub fn no_directory(_: &mut Invocation<'_>) -> Result<i64, Errno> {
    Err(Errno::ENOTDIR)
}

/// fgetxattr, fremovexattr: there is none.
pub fn no_attribute(_: &mut Invocation<'_>) -> Result<i64, Errno> {
    Err(Errno::ENODATA)
}

/// fsetxattr: possible on Linux, of little use, and missing.
pub fn missing(call: &mut Invocation<'_>) -> Result<i64, Errno> {
    let name = shim_abi::calls::lookup(call.number.into()).map_or("", |line| line.name);
    trace::lack(call.slot, format_args!("{name} of a virtual descriptor"));
    Err(Errno::EOPNOTSUPP)
}
