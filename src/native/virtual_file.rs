//! A file of the simulated machine, as a descriptor.
//!
//! A [`VirtualFile`] and flags in, a descriptor out that reads the contents which the kernel gives at
//! this instant. Always true: it behaves like the read-only regular file that it natively is (seek, read,
//! map), and takes the lowest free number. Differences that stay: fstat(2) shows the size, and
//! `/proc/self/fd` another name.

use core::ffi::CStr;
use core::fmt::Write;

use shim_abi::Errno;
use shim_abi::calls::{PSEUDO_VIRTUAL_FILE, nr};
use shim_abi::process::descriptor;
use shim_abi::virtual_files::VirtualFile;

use super::open::admit;
use crate::forward;
use crate::sys;
use crate::thread::Slot;
use crate::trace::FixedText;

/// Longest contents that fit.
const MAX_BYTES: usize = 256 * 1024;
const F_DUPFD: u64 = libc::F_DUPFD as u64;

/// Open `file` as open(2) does with `flags`.
pub fn open(slot: &Slot, file: VirtualFile, flags: i32) -> Result<i64, Errno> {
    if flags & (libc::O_CREAT | libc::O_EXCL) == libc::O_CREAT | libc::O_EXCL {
        return Err(Errno::EEXIST);
    }
    if flags & libc::O_DIRECTORY != 0 {
        return Err(Errno::ENOTDIR);
    }
    if flags & libc::O_ACCMODE != libc::O_RDONLY {
        return Err(Errno::EACCES);
    }
    // The contents arrive in memory that the simulator may write to: not the shim's own.
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    let buffer = sys::map(0, MAX_BYTES, protection, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1)?;
    let opened =
        fill(slot, file, buffer).and_then(|bytes| descriptor_of(slot, buffer, bytes, flags));
    let _ = sys::call(nr::munmap, [buffer as u64, MAX_BYTES as u64, 0, 0, 0, 0]);
    let fd = opened?;
    admit(slot, fd)?;
    slot.process.set_descriptor(fd, descriptor::NATIVE);
    Ok(fd.into())
}

fn fill(slot: &Slot, file: VirtualFile, buffer: usize) -> Result<usize, Errno> {
    let args = [file as u64, buffer as u64, MAX_BYTES as u64, 0, 0, 0];
    let bytes = super::result(forward::syscall(slot, PSEUDO_VIRTUAL_FILE, args))?;
    Ok((bytes as usize).min(MAX_BYTES))
}

/// A read-only descriptor with the lowest free number on `bytes` of `buffer`.
fn descriptor_of(slot: &Slot, buffer: usize, bytes: usize, flags: i32) -> Result<u32, Errno> {
    let name = c"shim";
    let low = sys::call(nr::memfd_create, [name.as_ptr() as u64, 1, 0, 0, 0, 0])? as u32;
    // Out of the way, so that the read-only descriptor gets the lowest number.
    let hidden = u64::from(slot.first_hidden);
    let high = sys::call(nr::fcntl, [low.into(), F_DUPFD, hidden, 0, 0, 0]).map(|fd| fd as u32);
    sys::close(low);
    let high = high?;
    let opened = write_all(high, buffer, bytes).and_then(|()| {
        let mut path = FixedText::<40>::new();
        let _ = write!(path, "/proc/self/fd/{high}\0");
        let path = CStr::from_bytes_until_nul(path.as_bytes()).unwrap_or(c"");
        sys::open(path, libc::O_RDONLY | flags & (libc::O_CLOEXEC | libc::O_NONBLOCK))
    });
    sys::close(high);
    opened
}

fn write_all(fd: u32, buffer: usize, bytes: usize) -> Result<(), Errno> {
    let mut done = 0;
    while done < bytes {
        let at = (buffer + done) as u64;
        done += sys::call(nr::write, [fd.into(), at, (bytes - done) as u64, 0, 0, 0])? as usize;
    }
    Ok(())
}
