//! Watches of files: the instances are the simulator's, and so is what is watched.
//!
//! Descriptors and paths in, the simulator's answer out. Always true: a path means what it means to the caller, because
//! the caller opens it, and who may not read it may not watch it; the simulator has what is behind it watched. See inotify_add_watch(2).

use shim_abi::Errno;
use shim_abi::calls::nr;

use super::is_virtual;
use crate::dispatch::Invocation;
use crate::native::paths::Path;
use crate::native::watched::unseen;
use crate::{forward, native, sys};

/// inotify_add_watch(fd, path, mask)
pub fn add(call: &mut Invocation<'_>) -> Result<i64, Errno> {
    let slot = call.slot;
    let [fd, path, mask, ..] = call.args;
    if !is_virtual(slot, fd as u32) {
        // The real kernel says what is wrong: no native descriptor of a guest's is an instance.
        native::descriptors::visible(slot, fd)?;
        return native::result(native::execute(call.number, call.args));
    }
    let follow = if mask as u32 & libc::IN_DONT_FOLLOW != 0 { libc::O_NOFOLLOW } else { 0 };
    let only = if mask as u32 & libc::IN_ONLYDIR != 0 { libc::O_DIRECTORY } else { 0 };
    let flags = (libc::O_PATH | libc::O_CLOEXEC | follow | only) as u64;
    let opened = Path::read(slot, path)
        .and_then(|path| sys::call(nr::openat, [sys::AT_FDCWD, path.address(), flags, 0, 0, 0]));
    let readable = opened.and_then(|file| {
        let how = [libc::R_OK as u64, (libc::AT_EACCESS | libc::AT_EMPTY_PATH) as u64];
        sys::call(nr::faccessat2, [file, c"".as_ptr() as u64, how[0], how[1], 0, 0])
    });
    let errno = readable.map_or_else(|errno| errno.number() as u64, |_| 0);
    let file = opened.unwrap_or(0);
    let result = forward::syscall(slot, call.number, [fd, file, mask, errno, 0, 0]);
    if opened.is_ok() {
        unseen(slot, || sys::close(file as u32));
    }
    native::result(result)
}
