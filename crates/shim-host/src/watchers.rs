//! Watchers: instances of the real kernel's inotify, which see what guests do to native files.
//!
//! Descriptors in, what was seen out. Always true: nobody waits for an event here; what is watched is what a guest's
//! descriptor stands for, whatever its path means to us. Whose they are, and what becomes of what they have seen, is
//! the kernel's (`shim_kernel`).

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::inotify::{CreateFlags, WatchFlags, add_watch, init, remove_watch};
use rustix::io;
use shim_abi::Errno;

/// Make one.
pub(crate) fn make() -> Result<OwnedFd, Errno> {
    init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).map_err(errno)
}

/// Watch what the descriptor `fd` of a native process stands for; the watch's number.
pub(crate) fn watch(watcher: impl AsFd, pid: u32, fd: u32, mask: u32) -> Result<i32, Errno> {
    // The link to a descriptor is followed whatever stands behind it.
    let flags = WatchFlags::from_bits_retain(mask) - WatchFlags::DONT_FOLLOW;
    add_watch(watcher, format!("/proc/{pid}/fd/{fd}"), flags).map_err(errno)
}

/// End a watch: EINVAL if there is none of this number.
pub(crate) fn unwatch(watcher: impl AsFd, watch: i32) -> Result<(), Errno> {
    remove_watch(watcher, watch).map_err(errno)
}

/// What one has seen since it was last asked, as much as there is room for; how many bytes.
pub(crate) fn read(watcher: impl AsFd, to: &mut [u8]) -> usize {
    io::read(watcher, to).unwrap_or(0)
}

fn errno(error: io::Errno) -> Errno {
    Errno::new(error.raw_os_error()).unwrap_or(Errno::EIO)
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::fd::AsRawFd;

    use super::*;

    #[test]
    fn what_a_descriptor_stands_for_is_watched() {
        let watcher = make().unwrap();
        let folder = File::open(std::env::temp_dir()).unwrap();
        let fd = folder.as_raw_fd() as u32;
        let number = watch(&watcher, std::process::id(), fd, libc::IN_ONLYDIR | libc::IN_CREATE);
        assert_eq!(number, Ok(1));
        assert_eq!(unwatch(&watcher, 1), Ok(()));
        assert_eq!(unwatch(&watcher, 1), Err(Errno::EINVAL));
        let mut seen = [0; 16];
        // That the watch is over, if nobody else has made a file there meanwhile.
        assert_eq!(read(&watcher, &mut seen), 16);
        assert_eq!(watch(&watcher, 0, fd, libc::IN_CREATE), Err(Errno::ENOENT));
    }
}
