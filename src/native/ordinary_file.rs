//! Files of the simulated machine below `/etc`: which they are, and what their status is.
//!
//! Directories, paths and descriptors in, files and status out. Always true: such a file looks like one that root made when the
//! simulated machine was set up, whatever the real machine has at its path; a program that looks by path and by
//! descriptor sees the same. What is in it is the kernel's; how it is opened is [`super::virtual_file`]'s.

use shim_abi::Errno;
use shim_abi::calls::PSEUDO_VIRTUAL_FILE;
use shim_abi::process::descriptor;
use shim_abi::virtual_files::VirtualFile;

use super::paths::Path;
use super::proc::listing::link_of;
use super::virtual_file::path_in;
use crate::thread::Slot;
use crate::{forward, sys};

const FOLDER: &[u8] = b"/etc";
/// Inode numbers from here on are of no file system.
const FIRST_INODE: u64 = 5 << 32;
const NS_PER_SEC: i64 = 1_000_000_000;
const SECTOR_BYTES: i64 = 512;

/// The file at a path, which may be relative to a directory; below another root there is none.
pub fn at(slot: &Slot, dir: u64, path: &Path) -> Option<VirtualFile> {
    if slot.has_other_root.get() {
        return None;
    }
    let bytes = path.as_bytes();
    if bytes.first() == Some(&b'/') {
        return if bytes.starts_with(FOLDER) { VirtualFile::at(bytes) } else { None };
    }
    let named = |file: &VirtualFile| {
        let name = file.path().as_bytes().strip_prefix(FOLDER)?.strip_prefix(b"/")?;
        (name == bytes).then_some(*file)
    };
    let file = VirtualFile::ALL.iter().find_map(named)?;
    is_folder(dir).then_some(file)
}

/// Whether a directory is that in which they are.
fn is_folder(dir: u64) -> bool {
    let is_current = dir as i32 == libc::AT_FDCWD;
    let own = || sys::open(c".", libc::O_PATH | libc::O_CLOEXEC).ok();
    let Some(fd) = (if is_current { own() } else { Some(dir as u32) }) else { return false };
    let is_it = link_of(fd).is_some_and(|link| link.as_bytes() == FOLDER);
    if is_current {
        sys::close(fd);
    }
    is_it
}

/// The file that a descriptor shows.
pub fn behind(slot: &Slot, fd: u64) -> Option<VirtualFile> {
    let fd = u32::try_from(fd).ok().filter(|fd| *fd < slot.first_hidden)?;
    if slot.process.descriptor(fd) != descriptor::SHOWN {
        return None;
    }
    let link = link_of(fd)?;
    VirtualFile::at(path_in(link.as_bytes())?).filter(|file| file.is_ordinary())
}

/// Its status.
pub fn status(slot: &Slot, file: VirtualFile) -> Result<libc::stat, Errno> {
    let args = [file as u64, 0, 0, 0, 0, 0];
    let bytes = super::result(forward::syscall(slot, PSEUDO_VIRTUAL_FILE, args))?;
    let mut stat = sys::stat_at(sys::AT_FDCWD, c"/etc", 0)?;
    stat.st_mode = libc::S_IFREG | 0o644;
    (stat.st_uid, stat.st_gid, stat.st_nlink) = (0, 0, 1);
    stat.st_ino = FIRST_INODE + file as u64;
    stat.st_size = bytes;
    stat.st_blocks = (bytes as u64).next_multiple_of(4096) as i64 / SECTOR_BYTES;
    let made = slot.manager.start_realtime_ns;
    let (seconds, rest) = (made.div_euclid(NS_PER_SEC), made.rem_euclid(NS_PER_SEC));
    (stat.st_atime, stat.st_atime_nsec) = (seconds, rest);
    (stat.st_mtime, stat.st_mtime_nsec) = (seconds, rest);
    (stat.st_ctime, stat.st_ctime_nsec) = (seconds, rest);
    Ok(stat)
}

/// Whether it can be used like this: `mode` is access(2)'s.
pub fn check_access(mode: u64) -> Result<i64, Errno> {
    let is_refused = mode as i32 & (libc::W_OK | libc::X_OK) != 0;
    if is_refused { Err(Errno::EACCES) } else { Ok(0) }
}
