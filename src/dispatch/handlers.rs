//! Which function answers a call inside the guest: one line a call.
//!
//! A number in, a [`Handler`] out, or none: the call is then native as it is. Always true, and checked
//! when the library is built: every call whose route is local has a line, and no line stands for a call
//! that is forwarded or refused.

use shim_abi::calls::{MAX_CALLS, Route, TABLE, nr};

use super::Handler;
use crate::local::{clock, identity, random, signals};
use crate::native::{
    attributes, control, descriptors, entries, exec, futex, ioctl, memory, open, poll, stat,
    transfer,
};

macro_rules! handlers {
    ($($name:ident => $handler:path;)*) => {
        static HANDLERS: [Option<Handler>; MAX_CALLS] = {
            let mut table: [Option<Handler>; MAX_CALLS] = [None; MAX_CALLS];
            $(table[nr::$name as usize] = Some($handler as Handler);)*
            table
        };

        const HAS_HANDLER: [bool; MAX_CALLS] = {
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
    clock_gettime => clock::clock_gettime;
    gettimeofday => clock::gettimeofday;
    time => clock::time;
    clock_getres => clock::clock_getres;
    getcpu => identity::getcpu;
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
    getpgid => identity::getpgid;
    getsid => identity::getsid;
    set_tid_address => identity::set_tid_address;
    set_robust_list => identity::set_robust_list;
    get_robust_list => identity::get_robust_list;
    sched_yield => identity::sched_yield;
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
    select => poll::select;
    pselect6 => poll::pselect6;

    stat => stat::stat;
    lstat => stat::lstat;
    fstat => stat::fstat;
    newfstatat => stat::newfstatat;
    statx => stat::statx;
    readlink => stat::readlink;
    readlinkat => stat::readlink;
    access => stat::of_path;
    faccessat => stat::of_path;
    faccessat2 => stat::of_path;
    chdir => stat::of_path;
    statfs => stat::of_path;

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
    munmap => memory::change;
    mprotect => memory::change;
    pkey_mprotect => memory::change;
    mremap => memory::change;
    madvise => memory::change;
    mseal => memory::change;
    remap_file_pages => memory::change;

    futex => futex::futex;
    prctl => control::prctl;
    arch_prctl => control::arch_prctl;
    personality => control::personality;
    execve => exec::execve;
    execveat => exec::execveat;
}

const _: () = {
    let mut i = 0;
    while i < TABLE.len() {
        let has = HAS_HANDLER[TABLE[i].number as usize];
        match TABLE[i].route {
            Route::Local => assert!(has, "a local call has no handler"),
            Route::Native => {}
            Route::Forward | Route::Refuse(_) => {
                assert!(!has, "a forwarded or refused call has a handler");
            }
        }
        i += 1;
    }
};

/// What answers call `number`.
pub fn find(number: u32) -> Option<Handler> {
    HANDLERS.get(number as usize).copied().flatten()
}
