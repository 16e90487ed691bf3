//! Objects by name: `/proc/self/fd/N`, `/dev/fd/N`, `/dev/stdin`.
//!
//! A path in, the number of the virtual descriptor that it means out, or what the name says. Always true: only
//! descriptors of the calling process have names here; a path that leads to another process's placeholder is
//! not followed. Opening a pipe by name makes a new open file of the same pipe, opening anything else fails
//! with ENXIO. See proc_pid_fd(5), pipe(7).

use shim_abi::Errno;
use shim_abi::calls::{PSEUDO_NAME, PSEUDO_REOPEN};

use super::is_virtual;
use super::placeholder::Placeholder;
pub use super::placeholder::TARGET;
use crate::forward::Forwarded;
use crate::guest_memory::{GuestAddr, write_bytes};
use crate::native::paths::Path;
use crate::thread::Slot;
use crate::{forward, native, sys};

/// Longest name of an object.
const NAME_BYTES: usize = 64;

/// The virtual descriptor that `path` names, if it looks like a name of one.
pub fn descriptor_at(slot: &Slot, path: &Path) -> Option<u32> {
    let bytes = path.as_bytes();
    let fd = match bytes {
        b"/dev/stdin" => 0,
        b"/dev/stdout" => 1,
        b"/dev/stderr" => 2,
        _ => {
            let is_elsewhere = path.is_of_other_process(slot);
            let name = bytes.rsplit(|&b| b == b'/').next().filter(|_| !is_elsewhere)?;
            core::str::from_utf8(name).ok()?.parse().ok()?
        }
    };
    is_virtual(slot, fd).then_some(fd)
}

/// The virtual descriptor that `path`, in the directory `dir`, leads to for a call with these `AT_*` flags.
pub fn object_at(slot: &Slot, dir: u64, path: &Path, flags: i32) -> Option<u32> {
    if path.is_empty() {
        let is_itself = flags & libc::AT_EMPTY_PATH != 0 && is_virtual(slot, dir as u32);
        return is_itself.then_some(dir as u32);
    }
    let bytes = path.as_bytes();
    let may_be = bytes.starts_with(b"/dev/") || bytes.starts_with(b"/proc/");
    if !may_be || flags & libc::AT_SYMLINK_NOFOLLOW != 0 {
        return None;
    }
    let stat = sys::stat_at(dir, path.as_c_str(), 0).ok()?;
    is_placeholder(&stat).then(|| descriptor_at(slot, path)).flatten()
}

/// Whether a status, of a path that was followed to its end, is a placeholder's.
pub fn is_placeholder(stat: &libc::stat) -> bool {
    stat.st_mode & libc::S_IFMT == libc::S_IFLNK
}

/// Open the object behind `fd` anew, as open(2) does with `flags`.
pub fn open(slot: &Slot, fd: u32, flags: i32) -> Result<i64, Errno> {
    if flags & libc::O_DIRECTORY != 0 {
        return Err(Errno::ENOTDIR);
    }
    if flags & (libc::O_CREAT | libc::O_EXCL) == libc::O_CREAT | libc::O_EXCL {
        return Err(Errno::EEXIST);
    }
    let taken = Placeholder::take(slot, flags & libc::O_CLOEXEC != 0)?;
    let args = [fd.into(), flags as u32 as u64, taken.fd().into(), 0, 0, 0];
    native::result(forward::syscall(slot, PSEUDO_REOPEN, args))?;
    Ok(taken.keep(slot).into())
}

/// What the link to `fd` of process `pid` (0: the caller) says: store it at `to`, `bytes` of it at most; its length.
pub fn read_link(slot: &Slot, pid: u32, fd: u32, to: u64, bytes: usize) -> Result<i64, Errno> {
    let mut name = [0u64; NAME_BYTES / 8];
    let args = [pid.into(), fd.into(), name.as_mut_ptr() as u64, NAME_BYTES as u64, 0, 0];
    let len = native::result(Forwarded::new(slot, PSEUDO_NAME, args).send_into(&mut name))?;
    let mut text = [0; NAME_BYTES];
    for (to, word) in text.chunks_exact_mut(8).zip(name) {
        to.copy_from_slice(&word.to_le_bytes());
    }
    let len = (len as usize).min(NAME_BYTES).min(bytes);
    write_bytes(GuestAddr(to), &text[..len])?;
    Ok(len as i64)
}
