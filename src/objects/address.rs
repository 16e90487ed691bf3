//! Addresses of AF_UNIX that have a path.
//!
//! Addresses in guest memory in; what is at the path, or what has been made there, out. Always true: the real file
//! system has the inode, with its owner, mode and simulated times, and says who may reach it; which socket an inode
//! means is the kernel's, which decides, too, whether an address is one. See unix(7), bind(2), connect(2).

use shim_abi::Errno;
use shim_abi::calls::{PSEUDO_BIND_PATH, nr};

use super::status;
use crate::guest_memory::{GuestAddr, read_bytes};
use crate::native::paths::Path;
use crate::native::times;
use crate::thread::Slot;
use crate::{forward, native, sys};

/// Bytes of the family in an address, and of the longest address.
const FAMILY_BYTES: usize = 2;
const MAX_BYTES: usize = 110;

/// The path in an address, if it is of AF_UNIX and has one.
fn path_in(slot: &Slot, at: u64, bytes: u64) -> Option<Path> {
    let mut address = [0; MAX_BYTES];
    let address = address.get_mut(..bytes as u32 as usize)?;
    if address.len() <= FAMILY_BYTES || read_bytes(GuestAddr(at), address).is_err() {
        return None;
    }
    let (family, path) = address.split_first_chunk()?;
    let has_path = u16::from_le_bytes(*family) == libc::AF_UNIX as u16 && path.first() != Some(&0);
    has_path.then(|| Path::of_bytes(slot, path))
}

/// What a call that names an address tells the simulator beside it: device and inode of what is there, and why nothing
/// is, or it may not be used; none of that of an address without a path.
pub fn place(slot: &Slot, at: u64, bytes: u64) -> Option<[u64; 3]> {
    let path = path_in(slot, at, bytes)?;
    Some(match find(&path) {
        Ok(stat) => [stat.st_dev, stat.st_ino, 0],
        Err(errno) => [0, 0, errno.number() as u64],
    })
}

/// The socket at a path: as on Linux one that may be written to.
fn find(path: &Path) -> Result<libc::stat, Errno> {
    let stat = sys::stat_at(sys::AT_FDCWD, path.as_c_str(), 0)?;
    let access = [libc::W_OK as u64, libc::AT_EACCESS as u64];
    let args = [sys::AT_FDCWD, path.address(), access[0], access[1], 0, 0];
    sys::call(nr::faccessat2, args)?;
    let is_socket = stat.st_mode & libc::S_IFMT == libc::S_IFSOCK;
    if is_socket { Ok(stat) } else { Err(Errno::ECONNREFUSED) }
}

/// Bind a socket to the path in this address, which the simulator has checked.
pub fn bind_path(slot: &Slot, fd: u32, at: u64, bytes: u64) -> Result<i64, Errno> {
    let path = path_in(slot, at, bytes).ok_or(Errno::EINVAL)?;
    // What fchmod(2) has set before counts.
    let mode = u64::from(libc::S_IFSOCK | status::of(slot, fd)?.st_mode & 0o7777);
    match sys::call(nr::mknodat, [sys::AT_FDCWD, path.address(), mode, 0, 0, 0]) {
        Err(Errno::EEXIST) => return Err(Errno::EADDRINUSE),
        made => made?,
    };
    let nofollow = libc::AT_SYMLINK_NOFOLLOW;
    times::touch(slot, sys::AT_FDCWD, path.as_c_str(), nofollow, times::all_new(slot));
    times::touch_parent(slot, sys::AT_FDCWD, &path);
    let made = sys::stat_at(sys::AT_FDCWD, path.as_c_str(), nofollow);
    let bound = made.and_then(|stat| {
        let args = [fd.into(), at, bytes, stat.st_dev, stat.st_ino, 0];
        native::result(forward::syscall(slot, PSEUDO_BIND_PATH, args))
    });
    if bound.is_err() {
        let _ = sys::call(nr::unlinkat, [sys::AT_FDCWD, path.address(), 0, 0, 0, 0]);
        times::lost_a_name(slot, made);
    }
    bound
}
