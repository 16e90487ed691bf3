//! FIFOs: pipes of the simulator's that have a path.
//!
//! A path in, a virtual descriptor out. Always true: the file system keeps the name and who may open it, the
//! simulator the pipe, known by device and inode, and it waits for the other side. Making and removing the name
//! is native. See fifo(7).

use shim_abi::Errno;
use shim_abi::calls::{PSEUDO_OPEN_FIFO, nr};

use super::placeholder::Placeholder;
use crate::native::paths::Path;
use crate::thread::Slot;
use crate::{forward, native, sys};

/// Open the FIFO at `path`, which has this status, as open(2) does with `flags`.
pub fn open(
    slot: &Slot,
    dir: u64,
    path: &Path,
    flags: i32,
    stat: &libc::stat,
) -> Result<i64, Errno> {
    if flags & libc::O_DIRECTORY != 0 {
        return Err(Errno::ENOTDIR);
    }
    if flags & (libc::O_CREAT | libc::O_EXCL) == libc::O_CREAT | libc::O_EXCL {
        return Err(Errno::EEXIST);
    }
    let access = match flags & libc::O_ACCMODE {
        libc::O_RDONLY => libc::R_OK,
        libc::O_WRONLY => libc::W_OK,
        _ => libc::R_OK | libc::W_OK,
    };
    let effective = libc::AT_EACCESS as u64;
    sys::call(nr::faccessat2, [dir, path.address(), access as u64, effective, 0, 0])?;
    let taken = Placeholder::at(slot, dir, path, flags & libc::O_CLOEXEC != 0)?;
    let args = [stat.st_dev, stat.st_ino, flags as u32 as u64, taken.fd().into(), 0, 0];
    native::result(forward::syscall(slot, PSEUDO_OPEN_FIFO, args))?;
    Ok(taken.keep(slot).into())
}
