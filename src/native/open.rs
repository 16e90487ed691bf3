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
use super::{times, virtual_file};
use crate::dispatch::Invocation;
use crate::guest_memory::{GuestAddr, read_bytes, read_value};
use crate::thread::Slot;
use crate::{sys, trace};

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
    let path = match Path::read(slot, path) {
        // The kernel looks at openat2's flags before the path; this one it cannot read either.
        Err(Errno::EFAULT) if how.resolve & OPENAT2 != 0 => {
            let words = [how.flags, how.mode, how.resolve & !OPENAT2];
            let args = [dir, u64::MAX, (&raw const words) as u64, 24, 0, 0];
            return sys::call(nr::openat2, args).map(|fd| fd as i64);
        }
        other => other?,
    };
    let flags = how.flags as i32;
    if let Some(file) = VirtualFile::at(path.as_bytes()).filter(|_| flags & libc::O_PATH == 0) {
        return virtual_file::open(slot, file, flags);
    }
    let follow = if flags & libc::O_NOFOLLOW != 0 { libc::AT_SYMLINK_NOFOLLOW } else { 0 };
    let before = sys::stat_at(dir, path.as_c_str(), follow);
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
    let fd = native(dir, &path, opened)?;
    admit(slot, fd)?;
    slot.process.set_descriptor(fd, kind);
    record_times(slot, dir, &path, fd, flags, before.is_ok());
    Ok(fd.into())
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

/// A FIFO or a device: harmless, a standard stream under another name, or refused.
fn waits(slot: &Slot, path: &Path, stat: &libc::stat) -> Result<u8, Errno> {
    let is_device = stat.st_mode & libc::S_IFMT == libc::S_IFCHR;
    let harmless = [libc::makedev(1, 3), libc::makedev(1, 5), libc::makedev(1, 7)];
    if is_device && harmless.contains(&stat.st_rdev) {
        return Ok(descriptor::NATIVE);
    }
    let bytes = path.as_bytes();
    let is_stream = [&b"/dev/std"[..], b"/dev/fd/", b"/proc/self/fd/"]
        .iter()
        .any(|prefix| bytes.starts_with(prefix));
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
