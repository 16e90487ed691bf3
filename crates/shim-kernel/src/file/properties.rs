//! What holds for the calls on virtual descriptors, and for open files, whatever happens.
//!
//! A call's number in, its manual page's errors out; a kernel in, a panic out if its files do not agree. Always true:
//! an error that is not listed is a defect. The random calls and events are in [`crate::properties`].

use std::collections::BTreeMap;

use shim_abi::Errno;
use shim_abi::calls::{
    PSEUDO_DUPLICATE, PSEUDO_NAME, PSEUDO_OPEN_FIFO, PSEUDO_PEEK_PIPE, PSEUDO_POLL, PSEUDO_REOPEN,
    nr,
};

use crate::testing::{DATA, TestGuest};
use crate::{Kernel, VirtualPid, VirtualTid};

/// The errors that a call may fail with; `None` for a call that is not here.
pub(crate) fn allowed(number: u32) -> Option<&'static [Errno]> {
    const E2BIG: Errno = Errno::E2BIG;
    const EDESTADDRREQ: Errno = Errno::EDESTADDRREQ;
    const ENETUNREACH: Errno = Errno::ENETUNREACH;
    const EAGAIN: Errno = Errno::EAGAIN;
    const EBADF: Errno = Errno::EBADF;
    const EBUSY: Errno = Errno::EBUSY;
    const ECANCELED: Errno = Errno::ECANCELED;
    const ECONNREFUSED: Errno = Errno::ECONNREFUSED;
    const ECONNRESET: Errno = Errno::ECONNRESET;
    const EEXIST: Errno = Errno::EEXIST;
    const EFAULT: Errno = Errno::EFAULT;
    const ELOOP: Errno = Errno::ELOOP;
    const EMSGSIZE: Errno = Errno::EMSGSIZE;
    const EMFILE: Errno = Errno::EMFILE;
    const ENOENT: Errno = Errno::ENOENT;
    const EINTR: Errno = Errno::EINTR;
    const EINVAL: Errno = Errno::EINVAL;
    const ENOPKG: Errno = Errno::ENOPKG;
    const ENOTCONN: Errno = Errno::ENOTCONN;
    const ENOTDIR: Errno = Errno::ENOTDIR;
    const ENOTTY: Errno = Errno::ENOTTY;
    const ENXIO: Errno = Errno::ENXIO;
    const ESPIPE: Errno = Errno::ESPIPE;
    const EOPNOTSUPP: Errno = Errno::EOPNOTSUPP;
    const EOVERFLOW: Errno = Errno::EOVERFLOW;
    const EPERM: Errno = Errno::EPERM;
    const EPIPE: Errno = Errno::EPIPE;
    const ESRCH: Errno = Errno::ESRCH;
    const RESTART: Errno = Errno::ERESTARTSYS;
    Some(match number {
        nr::read | nr::readv => &[
            EAGAIN,
            EBADF,
            ECANCELED,
            ECONNREFUSED,
            ECONNRESET,
            EFAULT,
            EINTR,
            EINVAL,
            ENOTCONN,
            EPIPE,
            RESTART,
        ],
        nr::write | nr::writev => &[
            EDESTADDRREQ,
            ENETUNREACH,
            EAGAIN,
            EBADF,
            ECONNREFUSED,
            ECONNRESET,
            EFAULT,
            EINTR,
            EINVAL,
            EMSGSIZE,
            ENOTCONN,
            EPERM,
            EPIPE,
            RESTART,
        ],
        nr::close | PSEUDO_DUPLICATE => &[EBADF, EMFILE],
        nr::close_range => &[EINVAL],
        nr::fcntl => &[EAGAIN, EBADF, EBUSY, EFAULT, EINVAL, ENOTDIR, EOVERFLOW, EPERM, ESRCH],
        nr::fstat => &[EBADF, EFAULT],
        nr::ioctl => &[EBADF, ECANCELED, EFAULT, EINVAL, ENOTTY],
        nr::pipe | nr::pipe2 => &[EBADF, EINVAL, EMFILE, ENOPKG],
        nr::eventfd | nr::eventfd2 => &[EBADF, EINVAL, EMFILE],
        nr::epoll_create | nr::epoll_create1 => &[EBADF, EINVAL, EMFILE],
        nr::epoll_ctl => &[EBADF, EEXIST, EFAULT, EINVAL, ELOOP, ENOENT, EPERM],
        nr::epoll_wait | nr::epoll_pwait | nr::epoll_pwait2 => &[EBADF, EFAULT, EINTR, EINVAL],
        nr::splice => &[EAGAIN, EBADF, EFAULT, EINVAL, EPIPE, ESPIPE, RESTART],
        nr::tee | nr::vmsplice => &[EAGAIN, EBADF, EFAULT, EINVAL, EPIPE, RESTART],
        nr::timerfd_create => &[EBADF, EINVAL, EMFILE, EPERM],
        nr::timerfd_settime => &[EBADF, ECANCELED, EFAULT, EINVAL],
        nr::timerfd_gettime => &[EBADF, EFAULT, EINVAL],
        nr::inotify_init | nr::inotify_init1 => &[EBADF, EINVAL, EMFILE],
        nr::inotify_add_watch => {
            static REFUSALS: std::sync::OnceLock<std::vec::Vec<Errno>> = std::sync::OnceLock::new();
            REFUSALS.get_or_init(super::watch::refusals)
        }
        nr::inotify_rm_watch => &[EBADF, EINVAL],
        nr::signalfd | nr::signalfd4 => &[EBADF, EFAULT, EINVAL, EMFILE],
        nr::pidfd_open => &[EBADF, EINVAL, EMFILE, ENOENT, ESRCH],
        nr::pidfd_getfd => &[EBADF, EINVAL, EMFILE, EPERM, ESRCH],
        nr::pidfd_send_signal => &[E2BIG, EAGAIN, EBADF, EFAULT, EINVAL, EPERM, ESRCH],
        nr::sendfile => &[EBADF, EINVAL],
        nr::flock => &[EAGAIN, EBADF, EINVAL],
        nr::fchmod | nr::fchown => &[EBADF, EOPNOTSUPP],
        nr::utimensat => &[EBADF, EFAULT, EINVAL, EOPNOTSUPP],
        PSEUDO_REOPEN => &[EBADF, EINVAL, EMFILE, ENXIO],
        PSEUDO_OPEN_FIFO => &[EBADF, EMFILE, ENXIO, RESTART],
        PSEUDO_NAME => &[EFAULT, ENOENT],
        PSEUDO_PEEK_PIPE => &[EAGAIN, EBADF, EFAULT, EINVAL],
        PSEUDO_POLL => &[EFAULT, EINTR, EINVAL],
        _ => return None,
    })
}

/// Whether a call may wait.
pub(crate) fn may_wait(number: u32) -> bool {
    matches!(number, nr::read | nr::readv | nr::write | nr::writev | PSEUDO_POLL | PSEUDO_OPEN_FIFO)
        || matches!(number, nr::close | PSEUDO_DUPLICATE | nr::splice | nr::tee | nr::vmsplice)
        || matches!(number, nr::epoll_wait | nr::epoll_pwait | nr::epoll_pwait2)
}

/// Give all processes the same descriptors: pipes at 3 and 4 and, without waiting, 5 and 6; a counter at 7; an epoll
/// instance at 8 that watches some of them; a timer at 9; signals at 10; a process at 11; an instance at 12 that
/// watches that at 8; pairs of sockets of every kind from 13 to 20; a listener at 21, with a connection from 22, and a
/// datagram socket at 23, both of the name that is left at DATA + 24; a TCP listener at 24, without
/// waiting, with a connection from 25 to 26, and UDP sockets at 27 and 28, of the address that is left at DATA + 32;
/// watches at 29.
pub(crate) fn furnish(kernel: &mut Kernel, tids: [VirtualTid; 3], guest: &mut TestGuest) {
    const ADD: u64 = libc::EPOLL_CTL_ADD as u64;
    let nonblock = libc::O_NONBLOCK as u64;
    let [first, second, third] = tids;
    // Behind others the address 127.0.0.1, port 8080.
    let address = 2 | 0x901f << 16 | 0x0100_007f << 32;
    guest.put_words(DATA, &[0xfff, 5, 1 << 9, 1 | 0x7800 << 16, address, 0]);
    for (number, args) in [
        (nr::pipe2, [0, 0, 3, 4, 0, 0]),
        (nr::pipe2, [0, nonblock, 5, 6, 0, 0]),
        (nr::eventfd2, [3, 0, 7, 0, 0, 0]),
        (nr::epoll_create1, [0, 8, 0, 0, 0, 0]),
        (nr::timerfd_create, [0, nonblock, 9, 0, 0, 0]),
        (nr::signalfd4, [u64::MAX, DATA + 16, 8, nonblock, 10, 0]),
        (nr::pidfd_open, [second.0.into(), 0, 11, 0, 0, 0]),
        (nr::epoll_create1, [0, 12, 0, 0, 0, 0]),
        (nr::socketpair, [1, 1 | nonblock, 0, 0, 13, 14]),
        (nr::socketpair, [1, 1, 0, 0, 15, 16]),
        (nr::socketpair, [1, 2 | nonblock, 0, 0, 17, 18]),
        (nr::socketpair, [1, 5 | nonblock, 0, 0, 19, 20]),
        (nr::socket, [1, 1 | nonblock, 0, 21, 0, 0]),
        (nr::bind, [21, DATA + 24, 4, 0, 0, 0]),
        (nr::listen, [21, 1, 0, 0, 0, 0]),
        (nr::socket, [1, 1, 0, 22, 0, 0]),
        (nr::connect, [22, DATA + 24, 4, 0, 0, 0]),
        (nr::socket, [1, 2, 0, 23, 0, 0]),
        (nr::bind, [23, DATA + 24, 4, 0, 0, 0]),
        (nr::socket, [2, 1 | nonblock, 0, 24, 0, 0]),
        (nr::bind, [24, DATA + 32, 16, 0, 0, 0]),
        (nr::listen, [24, 1, 0, 0, 0, 0]),
        (nr::socket, [2, 1, 0, 25, 0, 0]),
        (nr::connect, [25, DATA + 32, 16, 0, 0, 0]),
        (nr::accept4, [24, 0, 0, nonblock, 26, 0]),
        (nr::socket, [2, 2, 0, 27, 0, 0]),
        (nr::bind, [27, DATA + 32, 16, 0, 0, 0]),
        (nr::socket, [2, 2 | nonblock, 0, 28, 0, 0]),
        (nr::inotify_init1, [nonblock, 29, 0, 0, 0, 0]),
        (nr::inotify_add_watch, [29, 0, 0xfff, 0, 0, 0]),
        (nr::connect, [28, DATA + 32, 16, 0, 0, 0]),
        (nr::epoll_ctl, [8, ADD, 26, DATA, 0, 0]),
        (nr::epoll_ctl, [8, ADD, 14, DATA, 0, 0]),
        (nr::epoll_ctl, [8, ADD, 3, DATA, 0, 0]),
        (nr::epoll_ctl, [8, ADD, 6, DATA, 0, 0]),
        (nr::epoll_ctl, [8, ADD, 10, DATA, 0, 0]),
        (nr::epoll_ctl, [8, ADD, 11, DATA, 0, 0]),
        (nr::epoll_ctl, [12, ADD, 8, DATA, 0, 0]),
    ] {
        assert!(kernel.do_call(first, number, args, guest) >= 0, "{number}");
    }
    for other in [second, third] {
        let table = kernel.copy_descriptors(VirtualPid(first.0));
        let other = kernel.processes.get_mut(&VirtualPid(other.0)).expect("it lives");
        other.descriptors = table;
    }
}

impl Kernel {
    /// Everything that refers to a file is counted, and nothing else; watchers and entries agree.
    pub(crate) fn check_files(&self) {
        let mut references = BTreeMap::new();
        let tables = self.processes.values().flat_map(|process| process.descriptors.values());
        let held = self.files.held();
        let under_way = self.sockets.held();
        for id in tables.map(|descriptor| descriptor.file).chain(held).chain(under_way) {
            *references.entry(id).or_insert(0) += 1;
        }
        assert_eq!(self.files.references(), references);
        self.files.check_watchers();
    }
}
