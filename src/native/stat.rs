//! Looking at files: the stat family, with times and inode numbers as the simulation has them.
//!
//! Paths and addresses in; the kernel's answer with other times and numbers out. Always true: what waits to be
//! written back was, before the kernel is asked; the rest of an answer is native. What times a file shows
//! is `times`, its number `inodes`. See stat(2), statx(2), readlink(2), access(2).

use shim_abi::Errno;
use shim_abi::calls::nr;
use shim_abi::virtual_files::VirtualFile;

use super::inodes::{self, Place};
use super::ordinary_file;
use super::paths::Path;
use super::proc;
use super::proc::names::number;
use super::times::{self, FileTimes};
use super::virtual_file;
use crate::dispatch::Invocation;
use crate::guest_memory::{GuestAddr, write_bytes, write_value};
use crate::local::reach;
use crate::thread::Slot;
use crate::trace::FixedText;
use crate::{native, objects, sys};

const NS_PER_SEC: i64 = 1_000_000_000;

fn ns(seconds: i64, nanoseconds: i64) -> i64 {
    seconds.saturating_mul(NS_PER_SEC).saturating_add(nanoseconds)
}

fn finish(slot: &Slot, stat: libc::stat, place: Place<'_>, to: u64) -> Result<i64, Errno> {
    write_value(GuestAddr(to), &presented(slot, stat, place)).map(|()| 0)
}

/// The place of what a descriptor stands for.
pub fn of_descriptor(fd: u32) -> Place<'static> {
    Place { dir: fd.into(), path: c"", flags: libc::AT_EMPTY_PATH }
}

/// A status with the times and the number that the guest sees of what is at `place`.
pub fn presented(slot: &Slot, mut stat: libc::stat, place: Place<'_>) -> libc::stat {
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
    stat.st_ino = inodes::number(slot, (stat.st_dev, stat.st_ino), real.changed_ns, place);
    stat
}

/// The virtual descriptor that `path` means, if following it came to a placeholder.
fn object_at(slot: &Slot, path: &Path, stat: &libc::stat, flags: i32) -> Option<u32> {
    let follows = flags & libc::AT_SYMLINK_NOFOLLOW == 0;
    let is_placeholder = follows && objects::paths::is_placeholder(stat);
    is_placeholder.then(|| objects::paths::descriptor_at(slot, path)).flatten()
}

/// The link to a descriptor shows by its mode how it was opened; that to a placeholder does not know.
fn link_mode(slot: &Slot, path: &Path, mode: u32) -> u32 {
    if mode != libc::S_IFLNK {
        return mode;
    }
    let fd = objects::paths::descriptor_at(slot, path);
    mode | match fd.and_then(|fd| objects::status::access_mode(slot, fd).ok()) {
        Some(libc::O_RDONLY) => 0o500,
        Some(libc::O_WRONLY) => 0o300,
        Some(_) => 0o700,
        None => 0,
    }
}

/// The file of the simulated machine's `/etc` that a call names.
fn ordinary_at(slot: &Slot, dir: u64, path: &Path, flags: i32) -> Option<VirtualFile> {
    if path.is_empty() && flags & libc::AT_EMPTY_PATH != 0 {
        return ordinary_file::behind(slot, dir);
    }
    ordinary_file::at(slot, dir, path)
}

fn by_path(call: &Invocation<'_>, dir: u64, path: u64, to: u64, flags: i32) -> Result<i64, Errno> {
    times::flush(call.slot);
    // Since Linux 6.11 a null path with AT_EMPTY_PATH means the descriptor itself.
    if path == 0 && flags & libc::AT_EMPTY_PATH != 0 {
        if let Some(file) = ordinary_file::behind(call.slot, dir) {
            return write_value(GuestAddr(to), &ordinary_file::status(call.slot, file)?)
                .map(|()| 0);
        }
        let place = Place { dir, path: c"", flags };
        return finish(call.slot, sys::stat_at(dir, c"", flags)?, place, to);
    }
    let path = Path::read_at(call.slot, dir, path)?;
    if let Some(file) = ordinary_at(call.slot, dir, &path, flags) {
        return write_value(GuestAddr(to), &ordinary_file::status(call.slot, file)?).map(|()| 0);
    }
    let mut stat = sys::stat_at(dir, path.as_c_str(), flags)?;
    match object_at(call.slot, &path, &stat, flags) {
        Some(fd) => write_value(GuestAddr(to), &objects::status::of(call.slot, fd)?).map(|()| 0),
        None => {
            stat.st_mode = link_mode(call.slot, &path, stat.st_mode);
            finish(call.slot, stat, Place { dir, path: path.as_c_str(), flags }, to)
        }
    }
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
    if let Some(file) = ordinary_file::behind(call.slot, fd) {
        return write_value(GuestAddr(to), &ordinary_file::status(call.slot, file)?).map(|()| 0);
    }
    finish(call.slot, sys::fstat(fd as u32)?, of_descriptor(fd as u32), to)
}

/// statx(dir, path, flags, mask, where)
pub fn statx(call: &mut Invocation<'_>) -> Result<i64, Errno> {
    let [dir, path, flags, mask, to, _] = call.args;
    times::flush(call.slot);
    let is_descriptor = path == 0 && flags as i32 & libc::AT_EMPTY_PATH != 0;
    let path = if is_descriptor { None } else { Some(Path::read_at(call.slot, dir, path)?) };
    let name = path.as_ref().map_or(c"", Path::as_c_str);
    let place = Place { dir, path: name, flags: flags as i32 };
    let file = match &path {
        Some(path) => ordinary_at(call.slot, dir, path, place.flags),
        None => ordinary_file::behind(call.slot, dir),
    };
    if let Some(file) = file {
        let stat = ordinary_file::status(call.slot, file)?;
        return objects::status::write_statx(&stat, to);
    }
    let mut answer = sys::statx(dir, name, place.flags, mask as u32)?;
    if let Some(path) = &path {
        let follows = flags as i32 & libc::AT_SYMLINK_NOFOLLOW == 0;
        let is_placeholder = u32::from(answer.stx_mode) & libc::S_IFMT == libc::S_IFLNK;
        if follows
            && is_placeholder
            && let Some(fd) = objects::paths::descriptor_at(call.slot, path)
        {
            return objects::status::statx_to(call.slot, fd, to);
        }
        answer.stx_mode = link_mode(call.slot, path, answer.stx_mode.into()) as u16;
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
    // Linux leaves out times that were not asked for.
    let is_known = answer.stx_mask & libc::STATX_CTIME != 0;
    let changed_ns = if is_known { real.changed_ns } else { i64::MAX };
    let inode = (device, answer.stx_ino);
    answer.stx_ino = inodes::number(call.slot, inode, changed_ns, place);
    write_value(GuestAddr(to), &answer)?;
    Ok(0)
}

/// readlink(path, buffer, bytes), readlinkat(dir, path, buffer, bytes): with virtual numbers, and names of objects.
pub fn readlink(call: &mut Invocation<'_>) -> Result<i64, Errno> {
    let slot = call.slot;
    let [a, b, c, d, ..] = call.args;
    let (dir, path, buffer, bytes) =
        if call.number == nr::readlink { (sys::AT_FDCWD, a, b, c) } else { (a, b, c, d) };
    if bytes as i32 <= 0 {
        return Err(Errno::EINVAL);
    }
    let path = Path::read_at(slot, dir, path)?;
    // Not into the guest's buffer, of which nothing is written beyond the link as the guest sees it.
    let mut link = [0; LINK_BYTES];
    let args = [dir, path.address(), link.as_mut_ptr() as u64, link.len() as u64, 0, 0];
    let len = native::result(native::execute(nr::readlinkat, args))?;
    let bytes = bytes as u32 as usize;
    if len as usize == link.len() {
        let args = [dir, path.address(), buffer, bytes as u64, 0, 0];
        return native::result(native::execute(nr::readlinkat, args));
    }
    let link = &link[..len as usize];
    let give = |text: &[u8]| {
        let text = &text[..text.len().min(bytes)];
        write_bytes(GuestAddr(buffer), text).map(|()| text.len() as i64)
    };
    if let Some(path) = virtual_file::path_in(link) {
        return give(path);
    }
    if !link.starts_with(b"/proc/") && !link[0].is_ascii_digit() {
        return give(link);
    }
    if link == &objects::paths::TARGET[..] {
        let pid = path.subject().map_or(0, |(subject, _)| subject.pid);
        let fd = objects::paths::descriptor_at(slot, &path);
        if let Some(fd) = fd.or_else(|| number(path.name()).filter(|_| pid != 0)) {
            return objects::paths::read_link(slot, pid, fd, buffer, bytes);
        }
        return give(link);
    }
    let shown = match path.name() {
        b"self" | b"thread-self" => {
            let mut native = FixedText::<64>::new();
            native.push(b"/proc/");
            native.push(link);
            proc::names::shown(slot, native.as_bytes())
        }
        _ => proc::names::shown(slot, link),
    };
    let Some(shown) = shown else { return give(link) };
    let skipped = if link[0] == b'/' { 0 } else { b"/proc/".len() };
    give(&shown.as_bytes()[skipped..])
}

/// A link that shows a process or an object is not longer than this.
const LINK_BYTES: usize = 512;

/// access(path, mode), faccessat(dir, path, mode), faccessat2(dir, path, mode, flags): as the real ids may, without
/// AT_EACCESS.
pub fn access(call: &mut Invocation<'_>) -> Result<i64, Errno> {
    let [a, b, c, d, ..] = call.args;
    let (dir, path, mode) =
        if call.number == nr::access { (sys::AT_FDCWD, a, b) } else { (a, b, c) };
    let flags = if call.number == nr::faccessat2 { d } else { 0 };
    let path = Path::read_at(call.slot, dir, path)?;
    if ordinary_file::at(call.slot, dir, &path).is_some() {
        return ordinary_file::check_access(mode);
    }
    let effective = libc::AT_EACCESS as u64;
    let ask = |flags| {
        let args = [dir, path.address(), mode, flags, 0, 0];
        native::result(native::execute(nr::faccessat2, args))
    };
    if flags & effective == 0
        && let Some(answer) = reach::as_real_ids(call.slot, || ask(flags | effective))
    {
        return answer;
    }
    ask(flags)
}

/// chdir(path), statfs(path, where), getxattr(path, ...), listxattr(path, ...) and their likes: the kernel's answer, about our copy of the path.
pub fn of_path(call: &mut Invocation<'_>) -> Result<i64, Errno> {
    let mut args = call.args;
    let path = Path::read(call.slot, args[0])?;
    args[0] = path.address();
    native::result(native::execute(call.number, args))
}
