//! Changing what an inode says of itself: mode, owner, length, times, extended attributes.
//!
//! Paths or descriptors in; the kernel's answer out, and the simulated time of the change kept. Always
//! true: "now" is simulated now. Times themselves are `times`.
//! See chmod(2), chown(2), truncate(2), utimensat(2), setxattr(2).

use shim_abi::Errno;
use shim_abi::calls::nr;

use super::descriptors::visible;
use super::paths::Path;
use super::times::{self, NewTimes};
use crate::dispatch::Invocation;
use crate::guest_memory::{GuestAddr, read_value};
use crate::local::clock::realtime_ns;
use crate::thread::Slot;
use crate::{native, objects, sys};

const NS_PER_SEC: u64 = 1_000_000_000;
const UTIME_NOW: i64 = 0x3fff_ffff;
const UTIME_OMIT: i64 = 0x3fff_fffe;

/// Calls of the form `call(path, ...)`: chmod, chown, lchown, setxattr, removexattr and their likes.
pub fn by_path(call: &mut Invocation<'_>) -> Result<i64, Errno> {
    let is_link_itself = matches!(call.number, nr::lchown | nr::lsetxattr | nr::lremovexattr);
    let flags = if is_link_itself { libc::AT_SYMLINK_NOFOLLOW } else { 0 };
    let [path, rest @ ..] = call.args;
    by_name(call, sys::AT_FDCWD, path, flags, [rest[0], rest[1]], |address| {
        let [b, c, d, e, f] = rest;
        [address, b, c, d, e, f]
    })
}

/// Calls of the form `call(dir, path, ...)`: fchmodat, fchmodat2, fchownat.
pub fn at_path(call: &mut Invocation<'_>) -> Result<i64, Errno> {
    let [dir, path, rest @ ..] = call.args;
    let at_flags = match call.number {
        nr::fchmodat2 => rest[1],
        nr::fchownat => rest[2],
        _ => 0,
    };
    let flags = at_flags as i32 & (libc::AT_SYMLINK_NOFOLLOW | libc::AT_EMPTY_PATH);
    by_name(call, dir, path, flags, [rest[0], rest[1]], |address| {
        let [c, d, e, f] = rest;
        [dir, address, c, d, e, f]
    })
}

fn by_name(
    call: &Invocation<'_>,
    dir: u64,
    path: u64,
    flags: i32,
    values: [u64; 2],
    args: impl Fn(u64) -> [u64; 6],
) -> Result<i64, Errno> {
    let path = Path::read(call.slot, path)?;
    if let Some(fd) = objects::paths::object_at(call.slot, dir, &path, flags) {
        return objects::status::set_attributes_by_name(call, fd, values);
    }
    let done = native::result(native::execute(call.number, args(path.address())))?;
    times::touch(call.slot, dir, path.as_c_str(), flags, NewTimes::default());
    Ok(done)
}

/// Calls of the form `call(fd, ...)`: fchmod, fchown, fsetxattr, fremovexattr.
pub fn by_descriptor(call: &mut Invocation<'_>) -> Result<i64, Errno> {
    let fd = visible(call.slot, call.args[0])?;
    let done = native::result(native::execute(call.number, call.args))?;
    times::touch_descriptor(call.slot, fd, NewTimes::default());
    Ok(done)
}

/// truncate(path, length)
pub fn truncate(call: &mut Invocation<'_>) -> Result<i64, Errno> {
    let path = Path::read(call.slot, call.args[0])?;
    let mut args = call.args;
    args[0] = path.address();
    native::result(native::execute(nr::truncate, args))?;
    times::touch(call.slot, sys::AT_FDCWD, path.as_c_str(), 0, times::modified_now(call.slot));
    Ok(0)
}

/// ftruncate(fd, length), fallocate(fd, ...)
pub fn resize(call: &mut Invocation<'_>) -> Result<i64, Errno> {
    let fd = visible(call.slot, call.args[0])?;
    let done = native::result(native::execute(call.number, call.args))?;
    times::changed(call.slot, fd);
    Ok(done)
}

/// One time as utimensat(2) takes it, with "now" made simulated.
fn resolve(slot: &Slot, [seconds, nanoseconds]: [i64; 2]) -> Result<Option<u64>, Errno> {
    match nanoseconds {
        UTIME_NOW => Ok(Some(realtime_ns(slot))),
        UTIME_OMIT => Ok(None),
        0..1_000_000_000 => {
            Ok(Some((seconds as u64).wrapping_mul(NS_PER_SEC).wrapping_add(nanoseconds as u64)))
        }
        _ => Err(Errno::EINVAL),
    }
}

const NOW: [i64; 2] = [0, UTIME_NOW];

/// utimensat(dir, path, times, flags)
pub fn utimensat(call: &mut Invocation<'_>) -> Result<i64, Errno> {
    let [dir, path, at, flags, ..] = call.args;
    let pair = if at == 0 {
        [NOW, NOW]
    } else {
        let [a, b, c, d] = read_value::<[i64; 4]>(GuestAddr(at))?;
        [[a, b], [c, d]]
    };
    set_times(call.slot, dir, path, pair, flags)
}

/// utime(path, times): whole seconds.
pub fn utime(call: &mut Invocation<'_>) -> Result<i64, Errno> {
    let [path, at, ..] = call.args;
    let pair = if at == 0 {
        [NOW, NOW]
    } else {
        let [access, modification] = read_value::<[i64; 2]>(GuestAddr(at))?;
        [[access, 0], [modification, 0]]
    };
    set_times(call.slot, sys::AT_FDCWD, path, pair, 0)
}

/// utimes(path, times), futimesat(dir, path, times): microseconds.
pub fn utimes(call: &mut Invocation<'_>) -> Result<i64, Errno> {
    let [a, b, c, ..] = call.args;
    let (dir, path, at) = if call.number == nr::utimes { (sys::AT_FDCWD, a, b) } else { (a, b, c) };
    let pair = if at == 0 {
        [NOW, NOW]
    } else {
        let [s1, us1, s2, us2] = read_value::<[i64; 4]>(GuestAddr(at))?;
        if !(0..1_000_000).contains(&us1) || !(0..1_000_000).contains(&us2) {
            return Err(Errno::EINVAL);
        }
        [[s1, us1 * 1000], [s2, us2 * 1000]]
    };
    set_times(call.slot, dir, path, pair, 0)
}

fn set_times(
    slot: &Slot,
    dir: u64,
    path: u64,
    pair: [[i64; 2]; 2],
    flags: u64,
) -> Result<i64, Errno> {
    times::flush(slot);
    let path = match path {
        // Only a descriptor may stand without a path.
        0 if dir as i32 == libc::AT_FDCWD => return Err(Errno::EFAULT),
        0 => None,
        _ => Some(Path::read(slot, path)?),
    };
    match &path {
        None => {
            visible(slot, dir)?;
        }
        Some(path) => {
            if let Some(fd) = objects::paths::object_at(slot, dir, path, flags as i32) {
                return objects::status::set_times(slot, fd, pair);
            }
        }
    }
    // Nothing to set succeeds whatever the path is, on Linux too.
    if pair.iter().all(|time| time[1] == UTIME_OMIT) {
        return Ok(0);
    }
    let real = pair.map(|time| if time[1] == UTIME_NOW { now(slot) } else { time });
    let address = path.as_ref().map_or(0, Path::address);
    let args = [dir, address, (&raw const real) as u64, flags, 0, 0];
    let (Ok(accessed_ns), Ok(modified_ns)) = (resolve(slot, pair[0]), resolve(slot, pair[1]))
    else {
        // The kernel looks at the path before the times: it says which of them is wrong.
        return sys::call(nr::utimensat, args).map(|_| 0);
    };
    match sys::call(nr::utimensat, args) {
        // Who may write a file but does not own it may only set "now".
        Err(Errno::EPERM) if pair == [NOW, NOW] => {
            sys::call(nr::utimensat, [dir, address, 0, flags, 0, 0])?;
        }
        other => {
            other?;
        }
    }
    let new = NewTimes { accessed_ns, modified_ns, created_ns: None };
    match &path {
        Some(path) => {
            let follow = flags as i32 & (libc::AT_SYMLINK_NOFOLLOW | libc::AT_EMPTY_PATH);
            times::touch(slot, dir, path.as_c_str(), follow, new);
        }
        None => times::touch_descriptor(slot, dir as u32, new),
    }
    Ok(0)
}

fn now(slot: &Slot) -> [i64; 2] {
    let ns = realtime_ns(slot);
    [(ns / NS_PER_SEC) as i64, (ns % NS_PER_SEC) as i64]
}
