//! Opening: files natively, machine files and randomness by us, what would wait refused by name.
//!
//! A directory, a path and flags in; a descriptor out. Always true: the number is the lowest free one, as
//! Linux gives it; its kind is in the process block before the guest sees it; a file that the call created
//! or emptied has simulated times. What a machine file holds is the kernel's (`virtual_file` asks it).
//! See open(2), openat2(2).

use core::sync::atomic::Ordering::Relaxed;

use shim_abi::Errno;
use shim_abi::calls::nr;
use shim_abi::process::descriptor;
use shim_abi::virtual_files::VirtualFile;

use super::paths::Path;
use super::virtual_file::{self, Source};
use super::{proc, times, written};
use crate::dispatch::Invocation;
use crate::guest_memory::{GuestAddr, read_bytes, read_value};
use crate::local::reach;
use crate::thread::Slot;
use crate::{objects, sys, trace};

/// Flags and mode of an open, and openat2's restrictions.
#[derive(Clone, Copy)]
struct How {
    flags: u64,
    mode: u64,
    resolve: u64,
}

/// open(path, flags, mode)
pub fn open(call: &mut Invocation<'_>) -> Result<i64, Errno> {
    let [path, flags, mode, ..] = call.args;
    at(call.slot, sys::AT_FDCWD, path, How { flags: legacy(flags), mode, resolve: 0 })
}

/// creat(path, mode)
pub fn creat(call: &mut Invocation<'_>) -> Result<i64, Errno> {
    let [path, mode, ..] = call.args;
    let flags = (libc::O_CREAT | libc::O_WRONLY | libc::O_TRUNC) as u64;
    at(call.slot, sys::AT_FDCWD, path, How { flags, mode, resolve: 0 })
}

/// openat(dir, path, flags, mode)
pub fn openat(call: &mut Invocation<'_>) -> Result<i64, Errno> {
    let [dir, path, flags, mode, ..] = call.args;
    at(call.slot, dir, path, How { flags: legacy(flags), mode, resolve: 0 })
}

/// openat2(dir, path, how, size)
pub fn openat2(call: &mut Invocation<'_>) -> Result<i64, Errno> {
    const KNOWN: u64 = 24;
    let [dir, path, how, size, ..] = call.args;
    if size < KNOWN {
        return Err(Errno::EINVAL);
    }
    if size > 4096 {
        return Err(Errno::E2BIG);
    }
    let [flags, mode, resolve] = read_value::<[u64; 3]>(GuestAddr(how))?;
    // Word by word, as the kernel: what is not zero counts before what cannot be read.
    let mut rest = [0; 8];
    let mut at_byte = KNOWN;
    while at_byte < size {
        let piece = &mut rest[..(size - at_byte).min(8) as usize];
        read_bytes(GuestAddr(how).offset(at_byte), piece)?;
        if piece.iter().any(|&b| b != 0) {
            return Err(Errno::E2BIG);
        }
        at_byte += piece.len() as u64;
    }
    at(call.slot, dir, path, How { flags, mode, resolve: resolve | OPENAT2 })
}

/// Marks in [`How::resolve`] that openat2's strict checks apply. The kernel's own bits are low.
const OPENAT2: u64 = 1 << 63;

/// The older calls take an int.
fn legacy(flags: u64) -> u64 {
    flags & 0xffff_ffff
}

fn at(slot: &Slot, dir: u64, path: u64, how: How) -> Result<i64, Errno> {
    let path = match Path::read_at(slot, dir, path) {
        // The kernel looks at openat2's flags before the path; this one it cannot read either.
        Err(Errno::EFAULT) if how.resolve & OPENAT2 != 0 => {
            let words = [how.flags, how.mode, how.resolve & !OPENAT2];
            let args = [dir, u64::MAX, (&raw const words) as u64, 24, 0, 0];
            return sys::call(nr::openat2, args).map(|fd| fd as i64);
        }
        other => other?,
    };
    let flags = how.flags as i32;
    let is_shown = flags & libc::O_PATH == 0 && shows_machine(slot, &path);
    let machine_file =
        VirtualFile::at(path.as_bytes()).or_else(|| super::ordinary_file::at(slot, dir, &path));
    if let Some(file) = machine_file.filter(|_| is_shown) {
        return virtual_file::open(slot, Source::Machine(file), flags);
    }
    if is_shown
        && let Some((subject, rest)) = path.subject()
        && let Some(file) = proc::contents::File::of(subject, rest)
    {
        return virtual_file::open(slot, Source::Process(subject, file), flags);
    }
    let follow = if flags & libc::O_NOFOLLOW != 0 { libc::AT_SYMLINK_NOFOLLOW } else { 0 };
    let before = sys::stat_at(dir, path.as_c_str(), follow);
    if let Ok(stat) = &before
        && follow == 0
        && flags & libc::O_PATH == 0
        && objects::paths::is_placeholder(stat)
    {
        // Another process's, or one that is named in a way that was not foreseen, is not followed.
        let fd = objects::paths::descriptor_at(slot, &path).ok_or(Errno::ENXIO)?;
        return objects::paths::open(slot, fd, flags);
    }
    let mut kind = descriptor::NATIVE;
    let mut opened = how;
    if let Ok(stat) = &before
        && flags & libc::O_PATH == 0
    {
        match stat.st_mode & libc::S_IFMT {
            // Linux empties a file for one who can only read it then, too.
            libc::S_IFREG if flags & (libc::O_ACCMODE | libc::O_TRUNC) != libc::O_RDONLY => {
                kind = descriptor::WRITABLE
            }
            libc::S_IFCHR if is_random(stat.st_rdev) => {
                kind = descriptor::RANDOM;
                opened.flags = (libc::O_PATH | flags & libc::O_CLOEXEC) as u64;
                opened.mode = 0;
            }
            libc::S_IFIFO
                if !is_stream_name(path.as_bytes())
                    || objects::paths::descriptor_at(slot, &path).is_some() =>
            {
                return objects::fifo::open(slot, dir, &path, flags, stat);
            }
            libc::S_IFIFO | libc::S_IFCHR | libc::S_IFBLK => {
                kind = waits(slot, &path, stat)?;
                // A terminal stays whose it is: the simulator's.
                opened.flags |= libc::O_NOCTTY as u64;
            }
            _ => {}
        }
    } else if flags & libc::O_CREAT != 0 && flags & libc::O_ACCMODE != libc::O_RDONLY {
        kind = descriptor::WRITABLE;
    }
    if flags & libc::O_TMPFILE == libc::O_TMPFILE {
        kind = descriptor::WRITABLE;
    }
    if flags & (libc::O_CREAT | libc::O_TRUNC) != 0 {
        // Nothing is made or emptied for a descriptor that is one too many.
        let next = sys::open(c"/", libc::O_PATH | libc::O_CLOEXEC)?;
        admit(slot, next)?;
        sys::close(next);
    }
    let open = || native(dir, &path, opened);
    let fd = if is_of_own_entry(slot, &path) { reach::as_simulator(slot, open) } else { open() }?;
    admit(slot, fd)?;
    if flags & libc::O_PATH == 0
        && let Some((subject, file)) = proc::contents::unexpected(slot, &path, fd)
    {
        sys::close(fd);
        return virtual_file::open(slot, Source::Process(subject, file), flags);
    }
    if is_stream_name(path.as_bytes()) && virtual_file::is_shown(fd) {
        kind = descriptor::SHOWN;
    }
    slot.process.set_descriptor(fd, kind);
    record_times(slot, dir, &path, fd, flags, before.is_ok());
    if kind == descriptor::WRITABLE
        && let Ok(stat) = before.or_else(|_| sys::fstat(fd))
    {
        written::note(slot, fd, (stat.st_dev, stat.st_ino));
    }
    Ok(fd.into())
}

/// Whether files of ours stand at their places: below another root only those of a /proc that is there, too.
fn shows_machine(slot: &Slot, path: &Path) -> bool {
    let is_there = || {
        let is_in_proc = path.as_bytes().starts_with(b"/proc/");
        is_in_proc && sys::stat_at(sys::AT_FDCWD, path.as_c_str(), 0).is_ok()
    };
    !slot.has_other_root.get() || is_there()
}

/// Whether this is a file of the process's own entry in /proc, which is its own whoever it became; what links there
/// lead to is not.
fn is_of_own_entry(slot: &Slot, path: &Path) -> bool {
    path.subject().is_some_and(|(_, rest)| {
        let rest = rest.strip_prefix(b"/").unwrap_or(rest);
        !path.is_of_other_process(slot)
            && !rest.contains(&b'/')
            && ![&b"exe"[..], b"cwd", b"root"].contains(&rest)
    })
}

fn native(dir: u64, path: &Path, how: How) -> Result<u32, Errno> {
    let fd = if how.resolve & OPENAT2 != 0 {
        let words = [how.flags, how.mode, how.resolve & !OPENAT2];
        sys::call(nr::openat2, [dir, path.address(), (&raw const words) as u64, 24, 0, 0])?
    } else {
        sys::call(nr::openat, [dir, path.address(), how.flags, how.mode, 0, 0])?
    };
    Ok(fd as u32)
}

/// A new descriptor beyond the guest's own limit is one too many.
pub fn admit(slot: &Slot, fd: u32) -> Result<(), Errno> {
    if fd < slot.process.descriptor_limit.load(Relaxed) {
        return Ok(());
    }
    sys::close(fd);
    Err(Errno::EMFILE)
}

fn is_random(device: u64) -> bool {
    device == libc::makedev(1, 8) || device == libc::makedev(1, 9)
}

/// Whether a path names an open descriptor: a standard stream under another name.
fn is_stream_name(path: &[u8]) -> bool {
    let prefixes = [&b"/dev/std"[..], b"/dev/fd/", b"/proc/self/fd/"];
    prefixes.iter().any(|prefix| path.starts_with(prefix))
}

/// A FIFO or a device: harmless, a standard stream under another name, or refused.
fn waits(slot: &Slot, path: &Path, stat: &libc::stat) -> Result<u8, Errno> {
    let is_device = stat.st_mode & libc::S_IFMT == libc::S_IFCHR;
    let harmless = [libc::makedev(1, 3), libc::makedev(1, 5), libc::makedev(1, 7)];
    if is_device && harmless.contains(&stat.st_rdev) {
        return Ok(descriptor::NATIVE);
    }
    let bytes = path.as_bytes();
    let is_stream = is_stream_name(bytes);
    let is_terminal = is_device && stat.st_rdev == libc::makedev(5, 0);
    // ttyname(3) gives a terminal's own name.
    let is_behind_stream = |fd| {
        slot.process.descriptor(fd) == descriptor::EXTERNAL
            && sys::fstat(fd).is_ok_and(|its| {
                its.st_mode & libc::S_IFMT == libc::S_IFCHR && its.st_rdev == stat.st_rdev
            })
    };
    if is_stream || is_terminal || is_device && (0..3).any(is_behind_stream) {
        return Ok(descriptor::EXTERNAL);
    }
    let what = match stat.st_mode & libc::S_IFMT {
        libc::S_IFIFO => "open of FIFO",
        libc::S_IFBLK => "open of block device",
        _ => "open of device",
    };
    trace::lack_path(slot, what, bytes);
    Err(Errno::ENXIO)
}

/// Simulated times for what the open made or emptied.
fn record_times(slot: &Slot, dir: u64, path: &Path, fd: u32, flags: i32, existed: bool) {
    let is_temporary = flags & libc::O_TMPFILE == libc::O_TMPFILE;
    if flags & libc::O_PATH != 0 {
        return;
    }
    if is_temporary || (flags & libc::O_CREAT != 0 && !existed) {
        times::touch_descriptor(slot, fd, times::all_new(slot));
        if !is_temporary {
            times::touch_parent(slot, dir, path);
        }
    } else if flags & libc::O_TRUNC != 0 {
        times::changed(slot, fd);
    }
}
