//! Looking at files: the stat family, with the times as the simulation has them.
//!
//! Paths and addresses in; the kernel's answer with other times out. Always true: what waits to be
//! written back was, before the kernel is asked; the rest of an answer is native. What times a file shows
//! is `times`. See stat(2), statx(2), readlink(2), access(2).

use core::fmt::Write;
use core::sync::atomic::Ordering::Relaxed;

use shim_abi::Errno;
use shim_abi::calls::nr;

use super::paths::Path;
use super::times::{self, FileTimes};
use crate::dispatch::Invocation;
use crate::guest_memory::{GuestAddr, write_bytes, write_value};
use crate::thread::Slot;
use crate::trace::FixedText;
use crate::{native, sys};

const NS_PER_SEC: i64 = 1_000_000_000;

fn ns(seconds: i64, nanoseconds: i64) -> i64 {
    seconds.saturating_mul(NS_PER_SEC).saturating_add(nanoseconds)
}

fn finish(slot: &Slot, mut stat: libc::stat, to: u64) -> Result<i64, Errno> {
    let real = FileTimes {
        accessed_ns: ns(stat.st_atime, stat.st_atime_nsec),
        modified_ns: ns(stat.st_mtime, stat.st_mtime_nsec),
        changed_ns: ns(stat.st_ctime, stat.st_ctime_nsec),
        created_ns: 0,
    };
    let shown = times::present(slot, stat.st_dev, stat.st_ino, real);
    let split = |ns: i64| (ns.div_euclid(NS_PER_SEC), ns.rem_euclid(NS_PER_SEC));
    (stat.st_atime, stat.st_atime_nsec) = split(shown.accessed_ns);
    (stat.st_mtime, stat.st_mtime_nsec) = split(shown.modified_ns);
    (stat.st_ctime, stat.st_ctime_nsec) = split(shown.changed_ns);
    write_value(GuestAddr(to), &stat)?;
    Ok(0)
}

fn by_path(call: &Invocation<'_>, dir: u64, path: u64, to: u64, flags: i32) -> Result<i64, Errno> {
    times::flush(call.slot);
    // Since Linux 6.11 a null path with AT_EMPTY_PATH means the descriptor itself.
    if path == 0 && flags & libc::AT_EMPTY_PATH != 0 {
        return finish(call.slot, sys::stat_at(dir, c"", flags)?, to);
    }
    let path = Path::read(call.slot, path)?;
    finish(call.slot, sys::stat_at(dir, path.as_c_str(), flags)?, to)
}

/// stat(path, where)
pub fn stat(call: &mut Invocation<'_>) -> Result<i64, Errno> {
    let [path, to, ..] = call.args;
    by_path(call, sys::AT_FDCWD, path, to, 0)
}

/// lstat(path, where)
pub fn lstat(call: &mut Invocation<'_>) -> Result<i64, Errno> {
    let [path, to, ..] = call.args;
    by_path(call, sys::AT_FDCWD, path, to, libc::AT_SYMLINK_NOFOLLOW)
}

/// newfstatat(dir, path, where, flags)
pub fn newfstatat(call: &mut Invocation<'_>) -> Result<i64, Errno> {
    let [dir, path, to, flags, ..] = call.args;
    by_path(call, dir, path, to, flags as i32)
}

/// fstat(fd, where)
pub fn fstat(call: &mut Invocation<'_>) -> Result<i64, Errno> {
    let [fd, to, ..] = call.args;
    times::flush(call.slot);
    // AT_EMPTY_PATH would take AT_FDCWD for the current directory; fstat does not.
    if fd as i32 == libc::AT_FDCWD {
        return Err(Errno::EBADF);
    }
    finish(call.slot, sys::fstat(fd as u32)?, to)
}

/// statx(dir, path, flags, mask, where)
pub fn statx(call: &mut Invocation<'_>) -> Result<i64, Errno> {
    let [dir, path, flags, mask, to, _] = call.args;
    times::flush(call.slot);
    let mut answer = sys::zeroed_statx();
    let at = (&raw mut answer) as u64;
    if path == 0 && flags as i32 & libc::AT_EMPTY_PATH != 0 {
        sys::call(nr::statx, [dir, c"".as_ptr() as u64, flags, mask, at, 0])?;
    } else {
        let path = Path::read(call.slot, path)?;
        sys::call(nr::statx, [dir, path.address(), flags, mask, at, 0])?;
    }
    let stamp = |t: &libc::statx_timestamp| ns(t.tv_sec, t.tv_nsec.into());
    let real = FileTimes {
        accessed_ns: stamp(&answer.stx_atime),
        modified_ns: stamp(&answer.stx_mtime),
        changed_ns: stamp(&answer.stx_ctime),
        created_ns: stamp(&answer.stx_btime),
    };
    let device = libc::makedev(answer.stx_dev_major, answer.stx_dev_minor);
    let shown = times::present(call.slot, device, answer.stx_ino, real);
    let has_birth = answer.stx_mask & libc::STATX_BTIME != 0;
    for (stamp, value, is_there) in [
        (&mut answer.stx_atime, shown.accessed_ns, true),
        (&mut answer.stx_mtime, shown.modified_ns, true),
        (&mut answer.stx_ctime, shown.changed_ns, true),
        (&mut answer.stx_btime, shown.created_ns, has_birth),
    ] {
        if is_there {
            stamp.tv_sec = value.div_euclid(NS_PER_SEC);
            stamp.tv_nsec = value.rem_euclid(NS_PER_SEC) as u32;
        }
    }
    write_value(GuestAddr(to), &answer)?;
    Ok(0)
}

/// readlink(path, buffer, bytes), readlinkat(dir, path, buffer, bytes): /proc/self is the virtual pid.
pub fn readlink(call: &mut Invocation<'_>) -> Result<i64, Errno> {
    let [a, b, c, d, ..] = call.args;
    let (dir, path, buffer, bytes) =
        if call.number == nr::readlink { (sys::AT_FDCWD, a, b, c) } else { (a, b, c, d) };
    let path = Path::read(call.slot, path)?;
    if path.is_proc_self() {
        let mut digits = FixedText::<12>::new();
        let _ = write!(digits, "{}", call.slot.process.pid.load(Relaxed));
        if bytes as i32 <= 0 {
            return Err(Errno::EINVAL);
        }
        let text = digits.as_bytes();
        let text = &text[..text.len().min(bytes as usize)];
        write_bytes(GuestAddr(buffer), text)?;
        return Ok(text.len() as i64);
    }
    native::result(native::execute(nr::readlinkat, [dir, path.address(), buffer, bytes, 0, 0]))
}

/// access(path, mode), faccessat(dir, path, mode), faccessat2(dir, path, mode, flags), chdir(path),
/// statfs(path, where): the kernel's answer, about our copy of the path.
pub fn of_path(call: &mut Invocation<'_>) -> Result<i64, Errno> {
    let mut args = call.args;
    let at = usize::from(matches!(call.number, nr::faccessat | nr::faccessat2));
    let path = Path::read(call.slot, args[at])?;
    args[at] = path.address();
    native::result(native::execute(call.number, args))
}
