//! A placeholder: a real descriptor that keeps a number taken for an object of the simulator's.
//!
//! Nothing in (or a FIFO's path), a number out. Always true: the number is the lowest free one and within the guest's limit, as
//! Linux gives it; a placeholder that was not kept is closed again. What stands behind it is of no use to
//! anybody: it is `/proc/self` itself, the link, opened with O_PATH. Reading, writing, mapping, locking it
//! fail with EBADF, opening it anew with ELOOP, and it is recognised because no path that is followed ends at
//! a link otherwise.

use shim_abi::Errno;
use shim_abi::calls::nr;
use shim_abi::process::descriptor;

use crate::native::open::admit;
use crate::native::paths::Path;
use crate::thread::Slot;
use crate::{sys, trace};

/// What a placeholder's link in `/proc/self/fd` says.
pub const TARGET: &[u8; 10] = b"/proc/self";

/// A number that is taken, but by nothing yet.
pub struct Placeholder {
    fd: u32,
}

impl Placeholder {
    /// Take the lowest free number. EMFILE.
    pub fn take(slot: &Slot, is_close_on_exec: bool) -> Result<Placeholder, Errno> {
        let cloexec = if is_close_on_exec { libc::O_CLOEXEC } else { 0 };
        let fd = match sys::open(c"/proc/self", libc::O_PATH | libc::O_NOFOLLOW | cloexec) {
            Err(Errno::ENOENT | Errno::ENOTDIR | Errno::EACCES) if slot.has_other_root.get() => {
                Placeholder::copy(slot, is_close_on_exec)?
            }
            fd => fd?,
        };
        admit(slot, fd)?;
        Ok(Placeholder { fd })
    }

    /// A descriptor like those that there are, below a root without /proc.
    fn copy(slot: &Slot, is_close_on_exec: bool) -> Result<u32, Errno> {
        let is_placeholder = |&fd: &u32| {
            let kind = || sys::fstat(fd).map(|stat| stat.st_mode & libc::S_IFMT);
            slot.process.descriptor(fd) == descriptor::VIRTUAL && kind() == Ok(libc::S_IFLNK)
        };
        let Some(fd) = (0..slot.first_hidden).find(is_placeholder) else {
            trace::lack(slot, format_args!("a first descriptor below a root without /proc"));
            return Err(Errno::ENFILE);
        };
        let how = if is_close_on_exec { libc::F_DUPFD_CLOEXEC } else { libc::F_DUPFD };
        sys::call(nr::fcntl, [fd.into(), how as u64, 0, 0, 0, 0]).map(|fd| fd as u32)
    }

    /// Take the lowest free number for the FIFO at `path`: what stands behind it then is the FIFO itself, so that
    /// its status and its name are right.
    pub fn at(
        slot: &Slot,
        dir: u64,
        path: &Path,
        is_close_on_exec: bool,
    ) -> Result<Placeholder, Errno> {
        let cloexec = if is_close_on_exec { libc::O_CLOEXEC } else { 0 };
        let flags = (libc::O_PATH | cloexec) as u64;
        let fd = sys::call(nr::openat, [dir, path.address(), flags, 0, 0, 0])? as u32;
        admit(slot, fd)?;
        Ok(Placeholder { fd })
    }

    /// The number.
    pub fn fd(&self) -> u32 {
        self.fd
    }

    /// The simulator has an object of this number now.
    pub fn keep(self, slot: &Slot) -> u32 {
        let fd = self.fd;
        slot.process.set_descriptor(fd, descriptor::VIRTUAL);
        core::mem::forget(self);
        fd
    }
}

impl Drop for Placeholder {
    fn drop(&mut self) {
        sys::close(self.fd);
    }
}
