//! Which function answers a call inside the guest: one line a call.
//!
//! A number in, a [`Handler`] out, or none: the call is then native, or
//! forwarded, as it is. Always true, and checked when the library is built: every call whose route is local
//! has a line, and no line stands for a call that is refused.

use shim_abi::calls::{MAX_CALLS, Route, TABLE, nr};

use super::Handler;
use crate::local::{capabilities, clock, credentials, identity, random, reach, rseq, signals};
use crate::native::proc::{listing, pidfd};
use crate::native::{
    attributes, control, descriptors, entries, exec, ioctl, memory, open, poll, seccomp, segments,
    select, stat, transfer,
};
use crate::objects;
use crate::objects::{create, epoll, refusals, socket, status, transfer as object_transfer, watch};
use crate::thread::{Slot, clone};

macro_rules! handlers {
    ($table:ident, $has:ident: $($name:ident => $handler:path;)*) => {
        static $table: [Option<Handler>; MAX_CALLS] = {
            let mut table: [Option<Handler>; MAX_CALLS] = [None; MAX_CALLS];
            $(table[nr::$name as usize] = Some($handler as Handler);)*
            table
        };

        const $has: [bool; MAX_CALLS] = {
            let mut has = [false; MAX_CALLS];
            $(
                assert!(!has[nr::$name as usize], "a call stands twice among the handlers");
                has[nr::$name as usize] = true;
            )*
            has
        };
    };
}

handlers! {
    HANDLERS, HAS_HANDLER:
    clock_gettime => clock::clock_gettime;
    gettimeofday => clock::gettimeofday;
    time => clock::time;
    clock_getres => clock::clock_getres;
    getcpu => identity::getcpu;
    rseq => rseq::rseq;
    setuid => credentials::set;
    setgid => credentials::set;
    setreuid => credentials::set_two;
    setregid => credentials::set_two;
    setresuid => credentials::set_three;
    setresgid => credentials::set_three;
    setfsuid => credentials::set_for_files;
    setfsgid => credentials::set_for_files;
    setgroups => credentials::setgroups;
    chroot => reach::chroot;
    capget => capabilities::capget;
    capset => capabilities::capset;
    uname => identity::uname;
    getrandom => random::getrandom;
    getpid => identity::getpid;
    gettid => identity::gettid;
    getppid => identity::getppid;
    getuid => identity::getuid;
    geteuid => identity::geteuid;
    getgid => identity::getgid;
    getegid => identity::getegid;
    getresuid => identity::getresuid;
    getresgid => identity::getresgid;
    getpgrp => identity::getpgrp;

    clone => clone::clone;
    clone3 => clone::clone3;
    fork => clone::fork;
    vfork => clone::vfork;
    rt_sigaction => signals::rt_sigaction;
    rt_sigprocmask => signals::rt_sigprocmask;
    rt_sigpending => signals::rt_sigpending;
    rt_sigreturn => signals::rt_sigreturn;
    sigaltstack => signals::sigaltstack;

    read => transfer::read;
    readv => transfer::read;
    pread64 => transfer::read;
    preadv => transfer::read;
    preadv2 => transfer::read;
    write => transfer::write;
    writev => transfer::write;
    pwrite64 => transfer::write;
    pwritev => transfer::write;
    pwritev2 => transfer::write;
    sendfile => transfer::between;
    splice => transfer::between;
    tee => transfer::between;
    vmsplice => transfer::between;
    copy_file_range => transfer::between;

    open => open::open;
    openat => open::openat;
    openat2 => open::openat2;
    creat => open::creat;
    close => descriptors::close;
    close_range => descriptors::close_range;
    dup => descriptors::dup;
    dup2 => descriptors::dup_onto;
    dup3 => descriptors::dup_onto;
    fcntl => descriptors::fcntl;
    flock => descriptors::flock;
    lseek => descriptors::lseek;
    memfd_create => descriptors::memfd_create;
    ioctl => ioctl::ioctl;
    poll => poll::poll;
    ppoll => poll::ppoll;
    select => select::select;
    pselect6 => select::pselect6;

    stat => stat::stat;
    lstat => stat::lstat;
    fstat => stat::fstat;
    newfstatat => stat::newfstatat;
    statx => stat::statx;
    getdents => listing::getdents;
    getdents64 => listing::getdents;
    readlink => stat::readlink;
    readlinkat => stat::readlink;
    access => stat::access;
    faccessat => stat::access;
    faccessat2 => stat::access;
    chdir => stat::of_path;
    statfs => stat::of_path;
    getxattr => stat::of_path;
    lgetxattr => stat::of_path;
    listxattr => stat::of_path;
    llistxattr => stat::of_path;

    mkdir => entries::make;
    mkdirat => entries::make;
    mknod => entries::make;
    mknodat => entries::make;
    symlink => entries::symlink;
    symlinkat => entries::symlink;
    link => entries::link;
    linkat => entries::link;
    unlink => entries::unlink;
    unlinkat => entries::unlink;
    rmdir => entries::unlink;
    rename => entries::rename;
    renameat => entries::rename;
    renameat2 => entries::rename;

    chmod => attributes::by_path;
    chown => attributes::by_path;
    lchown => attributes::by_path;
    setxattr => attributes::by_path;
    lsetxattr => attributes::by_path;
    removexattr => attributes::by_path;
    lremovexattr => attributes::by_path;
    fchmodat => attributes::at_path;
    fchmodat2 => attributes::at_path;
    fchownat => attributes::at_path;
    fchmod => attributes::by_descriptor;
    fchown => attributes::by_descriptor;
    fsetxattr => attributes::by_descriptor;
    fremovexattr => attributes::by_descriptor;
    truncate => attributes::truncate;
    ftruncate => attributes::resize;
    fallocate => attributes::resize;
    utimensat => attributes::utimensat;
    utime => attributes::utime;
    utimes => attributes::utimes;
    futimesat => attributes::utimes;

    mmap => memory::mmap;
    shmat => segments::attach;
    shmdt => segments::detach;
    munmap => memory::change;
    mlockall => memory::mlockall;
    mprotect => memory::change;
    pkey_mprotect => memory::change;
    mremap => memory::change;
    madvise => memory::change;
    mseal => memory::change;
    remap_file_pages => memory::change;

    prctl => control::prctl;
    arch_prctl => control::arch_prctl;
    seccomp => seccomp::seccomp;
    personality => control::personality;
    execve => exec::execve;
    execveat => exec::execveat;

    pipe => create::pipe;
    pipe2 => create::pipe;
    eventfd => create::eventfd;
    eventfd2 => create::eventfd;
    epoll_create => create::epoll;
    epoll_create1 => create::epoll;
    timerfd_create => create::timerfd;
    signalfd => create::signalfd;
    signalfd4 => create::signalfd;
    pidfd_open => create::pidfd;
    pidfd_getfd => create::fetch;
    pidfd_send_signal => pidfd::send_signal;
    mq_open => create::message_queue;
    epoll_ctl => epoll::control;
    epoll_wait => epoll::wait;
    epoll_pwait => epoll::wait;
    epoll_pwait2 => epoll::wait;
    socket => create::socket;
    socketpair => create::socketpair;
    connect => socket::connect;
    accept => socket::accept;
    accept4 => socket::accept;
    sendto => socket::sendto;
    recvfrom => socket::recvfrom;
    sendmsg => socket::sendmsg;
    recvmsg => socket::recvmsg;
    sendmmsg => socket::sendmmsg;
    recvmmsg => socket::recvmmsg;
    shutdown => socket::plain;
    bind => socket::bind;
    listen => socket::plain;
    getsockname => socket::plain;
    getpeername => socket::plain;
    setsockopt => socket::option;
    getsockopt => socket::option;
    inotify_init => create::watches;
    inotify_init1 => create::watches;
    inotify_add_watch => watch::add;
    inotify_rm_watch => objects::forward_to_object;
    timerfd_settime => objects::forward_to_object;
    timerfd_gettime => objects::forward_to_object;
}

// Calls whose first argument is a virtual descriptor. What is missing here sees the placeholder.
handlers! {
    VIRTUAL_HANDLERS, HAS_VIRTUAL_HANDLER:
    read => object_transfer::read;
    readv => object_transfer::readv;
    pread64 => object_transfer::at_offset;
    preadv => object_transfer::at_offset;
    preadv2 => object_transfer::vector_at;
    write => object_transfer::write;
    writev => object_transfer::writev;
    pwrite64 => object_transfer::at_offset;
    pwritev => object_transfer::at_offset;
    pwritev2 => object_transfer::vector_at;
    fstat => status::fstat;
    newfstatat => status::newfstatat;
    statx => status::statx;
    fstatfs => status::fstatfs;
    ioctl => status::ioctl;
    lseek => refusals::lseek;
    fallocate => refusals::fallocate;
    fadvise64 => refusals::fadvise;
    ftruncate => refusals::invalid;
    fsync => refusals::invalid;
    fdatasync => refusals::invalid;
    readahead => refusals::readahead;
    sync_file_range => refusals::no_position;
    syncfs => refusals::nothing_to_do;
    flistxattr => refusals::nothing_to_do;
    fgetxattr => refusals::no_attribute;
    fremovexattr => refusals::no_attribute;
    getdents => refusals::no_directory;
    getdents64 => refusals::no_directory;
    fchdir => refusals::no_directory;
    fchmod => status::set_attributes;
    fchown => status::set_attributes;
    fsetxattr => refusals::missing;
    flock => descriptors::flock_object;
    utimensat => status::utimensat;
}

const _: () = {
    let mut i = 0;
    while i < TABLE.len() {
        let has = HAS_HANDLER[TABLE[i].number as usize];
        match TABLE[i].route {
            Route::Local => assert!(has, "a local call has no handler"),
            // A handler of a forwarded call prepares it.
            Route::Native | Route::Forward => {}
            Route::Refuse(_) => assert!(!has, "a refused call has a handler"),
        }
        assert!(
            !HAS_VIRTUAL_HANDLER[TABLE[i].number as usize]
                || matches!(TABLE[i].route, Route::Native)
        );
        i += 1;
    }
};

/// What answers call `number`.
#[inline(always)]
pub fn find(number: u32) -> Option<Handler> {
    HANDLERS.get(number as usize).copied().flatten()
}

/// What answers call `number` on a virtual descriptor, if its first argument is one.
#[inline(always)]
pub fn find_virtual(slot: &Slot, number: u32, fd: u64) -> Option<Handler> {
    let handler = VIRTUAL_HANDLERS.get(number as usize).copied().flatten()?;
    objects::is_virtual(slot, fd as u32).then_some(handler)
}
