//! Telling of what a guest does with native files, while somebody on its host watches some.
//!
//! A call that was made in; nothing comes back. Always true: nobody watches in most runs, and then nothing happens here
//! but a look at one word; what the real kernel has seen of a call is taken over before the next one is made, and what
//! it has seen of the shim's own doings before the guest goes on. Who is told, and of what, is the kernel's.
//! See inotify(7).

use core::sync::atomic::Ordering::Relaxed;

use shim_abi::calls::{PSEUDO_WATCHED, nr};

use crate::forward;
use crate::thread::Slot;

/// Whether the real kernel may tell who watches files of a native call.
const fn may_be_seen(number: u32) -> bool {
    matches!(
        number,
        nr::open
            | nr::openat
            | nr::openat2
            | nr::creat
            | nr::close
            | nr::close_range
            | nr::dup2
            | nr::dup3
            | nr::read
            | nr::readv
            | nr::pread64
            | nr::preadv
            | nr::preadv2
            | nr::write
            | nr::writev
            | nr::pwrite64
            | nr::pwritev
            | nr::pwritev2
            | nr::sendfile
            | nr::splice
            | nr::copy_file_range
            | nr::getdents
            | nr::getdents64
            | nr::truncate
            | nr::ftruncate
            | nr::fallocate
            | nr::mkdir
            | nr::mkdirat
            | nr::mknod
            | nr::mknodat
            | nr::symlink
            | nr::symlinkat
            | nr::link
            | nr::linkat
            | nr::unlink
            | nr::unlinkat
            | nr::rmdir
            | nr::rename
            | nr::renameat
            | nr::renameat2
            | nr::chmod
            | nr::fchmod
            | nr::fchmodat
            | nr::fchmodat2
            | nr::chown
            | nr::lchown
            | nr::fchown
            | nr::fchownat
            | nr::utime
            | nr::utimes
            | nr::futimesat
            | nr::utimensat
            | nr::setxattr
            | nr::lsetxattr
            | nr::fsetxattr
            | nr::removexattr
            | nr::lremovexattr
            | nr::fremovexattr
            | nr::execve
            | nr::execveat
            | nr::bind
            | nr::munmap
            | nr::inotify_add_watch
    )
}

/// A call has been made.
#[inline(always)]
pub fn after(slot: &Slot, number: u32) {
    if slot.host.is_watching.load(Relaxed) != 0 && may_be_seen(number) {
        tell(slot, true);
    }
}

/// Do something to a file that nobody is to see who watches it.
pub fn unseen(slot: &Slot, act: impl FnOnce()) {
    let is_watching = slot.host.is_watching.load(Relaxed) != 0 && !slot.is_dying.get();
    if is_watching {
        tell(slot, true);
    }
    act();
    if is_watching {
        tell(slot, false);
    }
}

#[cold]
fn tell(slot: &Slot, is_shown: bool) {
    forward::syscall(slot, PSEUDO_WATCHED, [is_shown.into(), 0, 0, 0, 0, 0]);
}
