//! Probes that would leave a trace in the process that tries them, or kill it: tried in a child.
//!
//! A function in, how the child that ran it ended out. Always true: the child executes only system
//! calls and instructions, no allocation and no lock, and leaves by `_exit`, so that nothing of the
//! parent's is flushed twice; the parent has reaped it on return. What an ending means is not here.
//!
//! # Safety
//!
//! Unsafe code of three kinds lives here: `fork` and the calls around it, instructions and system calls
//! that change the calling process (only ever executed in a child), and the calls that reach another
//! process's memory at addresses that both share by the fork.
#![allow(unsafe_code)]

use std::ffi::CStr;
use std::fmt;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering::SeqCst};

/// How a child ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ChildEnd {
    /// It exited with this status; the probes give 0 for success and else an errno.
    Exited(i32),
    /// This signal killed it.
    Killed(i32),
    /// There was none, for this errno.
    NotStarted(i32),
}

impl fmt::Display for ChildEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            ChildEnd::Exited(0) => f.write_str("the attempt had no effect"),
            ChildEnd::Exited(errno) => write!(f, "{}", io::Error::from_raw_os_error(errno)),
            ChildEnd::Killed(signal) => write!(f, "the attempt ended with signal {signal}"),
            ChildEnd::NotStarted(errno) => {
                write!(f, "cannot fork: {}", io::Error::from_raw_os_error(errno))
            }
        }
    }
}

/// Run `body` in a child; its result becomes the child's exit status.
pub fn in_child(body: impl FnOnce() -> i32) -> ChildEnd {
    match start_child(body) {
        Ok(pid) => wait_for(pid),
        Err(errno) => ChildEnd::NotStarted(errno),
    }
}

fn start_child(body: impl FnOnce() -> i32) -> Result<libc::pid_t, i32> {
    // SAFETY: this process has one thread (the module's callers promise it), so the child's copy of
    // its memory is consistent; the child runs only `body` and `_exit`.
    let pid = unsafe { libc::fork() };
    match pid {
        -1 => Err(last_errno()),
        0 => {
            let status = body();
            // SAFETY: ends the child; takes no pointers.
            unsafe { libc::_exit(status) }
        }
        pid => Ok(pid),
    }
}

fn wait_for(pid: libc::pid_t) -> ChildEnd {
    let mut status = 0;
    loop {
        // SAFETY: `status` is a local that outlives the call, and `pid` is our child, not yet reaped.
        let reaped = unsafe { libc::waitpid(pid, &raw mut status, 0) };
        if reaped == pid {
            break;
        }
        if last_errno() != libc::EINTR {
            return ChildEnd::NotStarted(last_errno());
        }
    }
    if libc::WIFSIGNALED(status) {
        ChildEnd::Killed(libc::WTERMSIG(status))
    } else {
        ChildEnd::Exited(libc::WEXITSTATUS(status))
    }
}

fn last_errno() -> i32 {
    io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO)
}

/// 0 or the errno of a call that returned `result`.
fn outcome(result: i64) -> i32 {
    if result == -1 { last_errno() } else { 0 }
}

/// The selector byte of the dispatch probe: 0 lets calls pass, 1 traps them.
static SELECTOR: AtomicU8 = AtomicU8::new(0);
/// How many calls were trapped.
static TRAPPED: AtomicU8 = AtomicU8::new(0);

extern "C" fn on_sigsys(_signal: libc::c_int) {
    SELECTOR.store(0, SeqCst);
    TRAPPED.fetch_add(1, SeqCst);
}

/// In a child: switch Syscall User Dispatch on and see one call trapped.
pub fn try_user_dispatch() -> i32 {
    const PR_SET_SYSCALL_USER_DISPATCH: libc::c_int = 59;
    const PR_SYS_DISPATCH_ON: libc::c_ulong = 1;
    let handler = on_sigsys as extern "C" fn(libc::c_int);
    // SAFETY: the handler touches only atomics, which is allowed at any instant.
    unsafe { libc::signal(libc::SIGSYS, handler as libc::sighandler_t) };
    // SAFETY: no range is allowed; the selector is a static, so it stays readable.
    let switched = unsafe {
        libc::prctl(
            PR_SET_SYSCALL_USER_DISPATCH,
            PR_SYS_DISPATCH_ON,
            0_usize,
            0_usize,
            SELECTOR.as_ptr(),
        )
    };
    if switched != 0 {
        return last_errno();
    }
    SELECTOR.store(1, SeqCst);
    // SAFETY: getppid has no arguments and no effects.
    unsafe { libc::syscall(libc::SYS_getppid) };
    if TRAPPED.load(SeqCst) == 1 { 0 } else { libc::ENOSYS }
}

/// In a child: forbid the time stamp counter, then read it. Success is death by SIGSEGV.
pub fn try_time_stamp_counter() -> i32 {
    // SAFETY: takes no pointers; changes only this child.
    let result = unsafe { libc::prctl(libc::PR_SET_TSC, libc::PR_TSC_SIGSEGV) };
    if result != 0 {
        return last_errno();
    }
    // SAFETY: every x86-64 processor has rdtsc; that it may fault is the point.
    std::hint::black_box(unsafe { core::arch::x86_64::_rdtsc() });
    0
}

/// Whether this processor can make `cpuid` trap. Asks in this process: to allow what is allowed changes
/// nothing.
pub fn can_trap_cpuid() -> bool {
    const ARCH_SET_CPUID: libc::c_int = 0x1012;
    const ALLOWED: usize = 1;
    // SAFETY: takes no pointers, and sets what a process starts with.
    unsafe { libc::syscall(libc::SYS_arch_prctl, ARCH_SET_CPUID, ALLOWED) == 0 }
}

/// In a child: forbid cpuid, then execute it. Success is death by SIGSEGV.
pub fn try_cpuid() -> i32 {
    const ARCH_SET_CPUID: libc::c_int = 0x1012;
    // SAFETY: takes no pointers; changes only this child.
    let result = unsafe { libc::syscall(libc::SYS_arch_prctl, ARCH_SET_CPUID, 0_usize) };
    if result != 0 {
        return last_errno();
    }
    std::hint::black_box(core::arch::x86_64::__cpuid(0));
    0
}

/// In a child: switch address space randomisation off.
pub fn try_personality() -> i32 {
    // SAFETY: takes no pointers; changes only this child.
    outcome(i64::from(unsafe { libc::personality(libc::ADDR_NO_RANDOMIZE as libc::c_ulong) }))
}

/// In a child: get a mount namespace, in a user namespace if it must be, and change a mount in it.
pub fn try_mounts() -> i32 {
    // SAFETY: takes no pointers; changes only this child.
    if unsafe { libc::unshare(libc::CLONE_NEWNS) } != 0 {
        // SAFETY: as above.
        let result = unsafe { libc::unshare(libc::CLONE_NEWUSER | libc::CLONE_NEWNS) };
        if result != 0 {
            return last_errno();
        }
    }
    let (none, flags) = (std::ptr::null(), libc::MS_REC | libc::MS_PRIVATE);
    // SAFETY: the path is a C string literal; the kernel reads nothing else for these flags.
    outcome(i64::from(unsafe { libc::mount(none, c"/".as_ptr(), none, flags, none.cast()) }))
}

/// In a child: open a file for reading and writing.
pub fn try_open(path: &CStr) -> i32 {
    // SAFETY: the path is a C string that outlives the call.
    outcome(i64::from(unsafe { libc::open(path.as_ptr(), libc::O_RDWR | libc::O_CLOEXEC) }))
}

/// In a child: make the vDSO writable and write its first byte back.
pub fn try_vdso_protection(start: usize, end: usize) -> i32 {
    let all = libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC;
    let address = start as *mut libc::c_void;
    // SAFETY: the range is the whole vDSO, as the kernel named it; this child executes nothing in it.
    let result = unsafe { libc::mprotect(address, end - start, all) };
    if result != 0 {
        return last_errno();
    }
    let byte = start as *mut u8;
    // SAFETY: mapped and readable, see above.
    let first = unsafe { byte.read_volatile() };
    // SAFETY: writable since the call above; the value stays the same.
    unsafe { byte.write_volatile(first) };
    0
}

/// In a child: write the vDSO's first byte back through /proc/self/mem.
pub fn try_vdso_by_proc(start: usize) -> i32 {
    // SAFETY: the path is a C string literal.
    let fd = unsafe { libc::open(c"/proc/self/mem".as_ptr(), libc::O_RDWR | libc::O_CLOEXEC) };
    if fd < 0 {
        return last_errno();
    }
    // SAFETY: we own the descriptor that we just opened.
    let file = unsafe { OwnedFd::from_raw_fd(fd) };
    let mut byte = 0_u8;
    let offset = start as libc::off_t;
    // SAFETY: one byte goes into a local that outlives the call.
    let read = unsafe { libc::pread(file.as_raw_fd(), (&raw mut byte).cast(), 1, offset) };
    if read != 1 {
        return last_errno();
    }
    // SAFETY: one byte comes from a local; the byte that it replaces has the same value.
    let written = unsafe { libc::pwrite(file.as_raw_fd(), (&raw const byte).cast(), 1, offset) };
    if written == 1 { 0 } else { last_errno() }
}

/// The word by which [`reach_child`] sees whether it reads the child's memory or its own.
static WORD: AtomicU64 = AtomicU64::new(0);

/// Read and write a child's memory, as a simulator does with its guests.
pub fn reach_child() -> io::Result<()> {
    const CHILDS: u64 = 0x5348_494d_4755_4553;
    let (ready, childs_end) = io::pipe()?;
    let pid = start_child(|| {
        WORD.store(CHILDS, SeqCst);
        let byte = 0_u8;
        // SAFETY: one byte comes from a local; the descriptor was inherited.
        unsafe { libc::write(childs_end.as_raw_fd(), (&raw const byte).cast(), 1) };
        loop {
            // SAFETY: no pointers; the parent kills this child.
            unsafe { libc::pause() };
        }
    })
    .map_err(io::Error::from_raw_os_error)?;
    drop(childs_end);
    let mut byte = [0];
    let reached = io::Read::read_exact(&mut &ready, &mut byte).and_then(|()| {
        let mut word = transfer(pid, 0, Direction::Read)?;
        if word == CHILDS {
            transfer(pid, !CHILDS, Direction::Write)?;
            word = !transfer(pid, 0, Direction::Read)?;
        }
        if word == CHILDS { Ok(()) } else { Err(io::ErrorKind::InvalidData.into()) }
    });
    // SAFETY: the process is our child and was not reaped, so the id is still its.
    unsafe { libc::kill(pid, libc::SIGKILL) };
    wait_for(pid);
    reached
}

enum Direction {
    Read,
    Write,
}

/// Move the eight bytes of `WORD` from or to the child; the value that was moved.
fn transfer(pid: libc::pid_t, mut value: u64, direction: Direction) -> io::Result<u64> {
    let len = size_of::<u64>();
    let local = libc::iovec { iov_base: (&raw mut value).cast(), iov_len: len };
    let remote = libc::iovec { iov_base: WORD.as_ptr().cast(), iov_len: len };
    let moved = match direction {
        // SAFETY: `value` is a local of eight bytes; the kernel checks the child's address.
        Direction::Read => unsafe {
            libc::process_vm_readv(pid, &raw const local, 1, &raw const remote, 1, 0)
        },
        // SAFETY: as above; what is overwritten is a static of the child's, which only pauses.
        Direction::Write => unsafe {
            libc::process_vm_writev(pid, &raw const local, 1, &raw const remote, 1, 0)
        },
    };
    match usize::try_from(moved) {
        Ok(moved) if moved == len => Ok(value),
        Ok(_) => Err(io::ErrorKind::UnexpectedEof.into()),
        Err(_) => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endings_are_told_apart() {
        assert_eq!(in_child(|| 7), ChildEnd::Exited(7));
        // SAFETY: kills the child itself.
        let end = in_child(|| unsafe { libc::raise(libc::SIGKILL) });
        assert_eq!(end, ChildEnd::Killed(libc::SIGKILL));
    }

    #[test]
    fn a_child_can_be_reached() {
        reach_child().expect("process_vm_readv and process_vm_writev work where this is tested");
        assert_eq!(WORD.load(SeqCst), 0, "the parent's own word was written");
    }
}
