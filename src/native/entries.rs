//! Making and removing names: directories, links, nodes.
//!
//! Paths in; the kernel's answer out, and simulated times on what is new and on the directories that
//! hold it. Always true: nothing here waits; the kernel is given our copy of a path. Times themselves are
//! `times`. See mkdir(2), link(2), symlink(2), rename(2), unlink(2), mknod(2).

use shim_abi::Errno;
use shim_abi::calls::nr;

use super::paths::Path;
use super::times::{self, NewTimes};
use crate::dispatch::Invocation;
use crate::sys;

const NOFOLLOW: i32 = libc::AT_SYMLINK_NOFOLLOW;

/// mkdir, mkdirat, mknod, mknodat: something new under a path.
pub fn make(call: &mut Invocation<'_>) -> Result<i64, Errno> {
    let [a, b, c, d, ..] = call.args;
    let (dir, path, mode, device, number) = match call.number {
        nr::mkdir => (sys::AT_FDCWD, a, b, 0, nr::mkdirat),
        nr::mkdirat => (a, b, c, 0, nr::mkdirat),
        nr::mknod => (sys::AT_FDCWD, a, b, c, nr::mknodat),
        _ => (a, b, c, d, nr::mknodat),
    };
    let path = Path::read(call.slot, path)?;
    sys::call(number, [dir, path.address(), mode, device, 0, 0])?;
    times::touch(call.slot, dir, path.as_c_str(), NOFOLLOW, times::all_new(call.slot));
    times::touch_parent(call.slot, dir, &path);
    Ok(0)
}

/// symlink, symlinkat
pub fn symlink(call: &mut Invocation<'_>) -> Result<i64, Errno> {
    let [a, b, c, ..] = call.args;
    let (target, dir, path) =
        if call.number == nr::symlink { (a, sys::AT_FDCWD, b) } else { (a, b, c) };
    let target = Path::read_verbatim(target)?;
    let path = Path::read(call.slot, path)?;
    sys::call(nr::symlinkat, [target.address(), dir, path.address(), 0, 0, 0])?;
    times::touch(call.slot, dir, path.as_c_str(), NOFOLLOW, times::all_new(call.slot));
    times::touch_parent(call.slot, dir, &path);
    Ok(0)
}

/// link, linkat
pub fn link(call: &mut Invocation<'_>) -> Result<i64, Errno> {
    let [a, b, c, d, e, _] = call.args;
    let (from_dir, from, to_dir, to, flags) = if call.number == nr::link {
        (sys::AT_FDCWD, a, sys::AT_FDCWD, b, 0)
    } else {
        (a, b, c, d, e)
    };
    times::flush(call.slot);
    let from = Path::read(call.slot, from)?;
    let to = Path::read(call.slot, to)?;
    sys::call(nr::linkat, [from_dir, from.address(), to_dir, to.address(), flags, 0])?;
    times::touch(call.slot, to_dir, to.as_c_str(), NOFOLLOW, NewTimes::default());
    times::touch_parent(call.slot, to_dir, &to);
    Ok(0)
}

/// unlink, unlinkat, rmdir
pub fn unlink(call: &mut Invocation<'_>) -> Result<i64, Errno> {
    let [a, b, c, ..] = call.args;
    let (dir, path, flags) = match call.number {
        nr::unlink => (sys::AT_FDCWD, a, 0),
        nr::rmdir => (sys::AT_FDCWD, a, libc::AT_REMOVEDIR as u64),
        _ => (a, b, c),
    };
    let path = Path::read(call.slot, path)?;
    let removed = sys::stat_at(dir, path.as_c_str(), NOFOLLOW);
    sys::call(nr::unlinkat, [dir, path.address(), flags, 0, 0, 0])?;
    times::lost_a_name(call.slot, removed);
    times::touch_parent(call.slot, dir, &path);
    Ok(0)
}

/// rename, renameat, renameat2
pub fn rename(call: &mut Invocation<'_>) -> Result<i64, Errno> {
    let [a, b, c, d, e, _] = call.args;
    let (from_dir, from, to_dir, to, flags) = match call.number {
        nr::rename => (sys::AT_FDCWD, a, sys::AT_FDCWD, b, 0),
        nr::renameat => (a, b, c, d, 0),
        _ => (a, b, c, d, e),
    };
    let from = Path::read(call.slot, from)?;
    let to = Path::read(call.slot, to)?;
    let replaced = sys::stat_at(to_dir, to.as_c_str(), NOFOLLOW);
    sys::call(nr::renameat2, [from_dir, from.address(), to_dir, to.address(), flags, 0])?;
    times::lost_a_name(call.slot, replaced);
    times::touch(call.slot, to_dir, to.as_c_str(), NOFOLLOW, NewTimes::default());
    times::touch_parent(call.slot, from_dir, &from);
    times::touch_parent(call.slot, to_dir, &to);
    Ok(0)
}
