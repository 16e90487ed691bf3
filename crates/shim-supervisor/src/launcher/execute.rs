//! From an order to a running program, inside the launcher.
//!
//! The numbers and descriptors of an order in, the new process's id or what failed and where out. Always true: the
//! launcher stands still (`CLONE_VFORK`) until the new process has left its memory, by execve(2) or
//! by exiting; a process that did not get as far as its program is reaped here. No allocation, lock or
//! panic, as everywhere in the launcher. What all guests inherit is set once, in `process`.
//!
//! # Safety
//!
//! Unsafe here: a private mapping of the order's strings, whose offsets the simulator wrote
//! (`command::Strings`: the same program); a process that shares the launcher's memory for a while.
#![allow(unsafe_code)]

use std::cell::Cell;
use std::ffi::{c_char, c_int, c_void};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::ptr;

use rustix::mm::{MapFlags, ProtFlags, mmap, mmap_anonymous, munmap};
use rustix::process::Signal;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use shim_abi::process::FIRST_HIDDEN_DESCRIPTOR;

use super::process::{Received, reap};
use super::wire::{Plan, Stage};

/// Size of the stack on which a new process prepares itself.
const STACK_BYTES: usize = 128 * 1024;

/// Where the hand-off stands in a guest whose native limit is `descriptor_limit`.
pub(super) fn handoff_number(descriptor_limit: u32) -> u32 {
    FIRST_HIDDEN_DESCRIPTOR.min(descriptor_limit.saturating_sub(1))
}

/// What does not change from order to order.
pub(super) struct Setting {
    launcher: Option<rustix::process::Pid>,
    handoff_number: c_int,
}

impl Setting {
    pub(super) fn new(descriptor_limit: u32) -> Setting {
        Setting {
            launcher: Some(rustix::process::getpid()),
            handoff_number: handoff_number(descriptor_limit) as c_int,
        }
    }
}

/// A stack for new processes, one at a time.
pub(super) struct Stack {
    top: *mut c_void,
}

impl Stack {
    pub(super) fn new() -> Option<Stack> {
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: the kernel chooses the place, so no memory that exists is replaced.
        let start =
            unsafe { mmap_anonymous(ptr::null_mut(), STACK_BYTES, protection, MapFlags::PRIVATE) };
        // The launcher never gives it back.
        Some(Stack { top: start.ok()?.wrapping_byte_add(STACK_BYTES) })
    }
}

/// The strings of an order, mapped.
struct Strings {
    start: *mut c_void,
    len: usize,
}

impl Strings {
    fn map(file: &OwnedFd, plan: &Plan) -> Result<Strings, c_int> {
        let len = plan.len_bytes as usize;
        let table_bytes = plan.table_words as usize * size_of::<usize>();
        let is_sound = table_bytes <= len
            && plan.envp_word < plan.table_words
            && plan.program_offset < plan.len_bytes;
        if !is_sound {
            return Err(libc::EINVAL);
        }
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: the kernel chooses the place; a private mapping of a file that its writer has
        // finished.
        let start = unsafe { mmap(ptr::null_mut(), len, protection, MapFlags::PRIVATE, file, 0) }
            .map_err(|error| error.raw_os_error())?;
        // SAFETY: page-aligned, inside the mapping as checked above, and ours alone.
        let table = unsafe {
            std::slice::from_raw_parts_mut(start.cast::<usize>(), plan.table_words as usize)
        };
        // Offsets become addresses; 0 stays the tables' terminator.
        for word in table.iter_mut().filter(|word| **word != 0) {
            *word = word.wrapping_add(start as usize);
        }
        Ok(Strings { start, len })
    }

    fn at<T>(&self, offset: usize) -> *const T {
        self.start.wrapping_byte_add(offset).cast()
    }
}

impl Drop for Strings {
    fn drop(&mut self) {
        // SAFETY: mapped by `map`; the process that used it has left this memory.
        let _ = unsafe { munmap(self.start, self.len) };
    }
}

/// What the new process reads, and its last word to the launcher.
struct NewProcess<'a> {
    program: *const c_char,
    argv: *const *const c_char,
    envp: *const *const c_char,
    view: Option<&'a OwnedFd>,
    directory: &'a OwnedFd,
    handoff: &'a OwnedFd,
    streams: [Option<&'a OwnedFd>; 3],
    setting: &'a Setting,
    failure: Cell<Option<(Stage, c_int)>>,
}

/// Start the program of an order.
pub(super) fn execute(
    plan: Plan,
    fds: &Received,
    stack: &Stack,
    setting: &Setting,
) -> Result<i32, (Stage, c_int)> {
    let mut fds = fds.iter().flatten();
    let incomplete = (Stage::Order, libc::EINVAL);
    let file = fds.next().ok_or(incomplete)?;
    let handoff = fds.next().ok_or(incomplete)?;
    let directory = fds.next().ok_or(incomplete)?;
    let view = if plan.has_view { Some(fds.next().ok_or(incomplete)?) } else { None };
    let mut streams = [None; 3];
    for (n, stream) in streams.iter_mut().enumerate() {
        if plan.streams & 1 << n != 0 {
            *stream = Some(fds.next().ok_or(incomplete)?);
        }
    }
    let strings = Strings::map(file, &plan).map_err(|errno| (Stage::Order, errno))?;
    let new = NewProcess {
        program: strings.at(plan.program_offset as usize),
        argv: strings.at(0),
        envp: strings.at(plan.envp_word as usize * size_of::<usize>()),
        view,
        directory,
        handoff,
        streams,
        setting,
        failure: Cell::new(None),
    };
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
    let argument = (&raw const new).cast_mut().cast();
    // SAFETY: the stack is used by one process at a time, because this call returns only after the
    // new process has left it; so does `new`, which lives until the end of this function.
    let pid = unsafe { libc::clone(become_guest, stack.top, flags, argument) };
    if pid == -1 {
        let errno = std::io::Error::last_os_error().raw_os_error().unwrap_or(libc::EAGAIN);
        return Err((Stage::Clone, errno));
    }
    match new.failure.get() {
        Some(failure) => {
            reap(pid);
            Err(failure)
        }
        None => Ok(pid),
    }
}

/// The new process, from its first instruction to its program's.
extern "C" fn become_guest(argument: *mut c_void) -> c_int {
    // SAFETY: `execute` passes its `NewProcess` and stands still as long as this process uses it.
    let new = unsafe { &*argument.cast::<NewProcess>() };
    let failure = match prepare(new) {
        Ok(()) => {
            // SAFETY: the strings and tables are mapped, terminated, and stay as they are.
            unsafe { libc::execve(new.program, new.argv, new.envp) };
            let errno = std::io::Error::last_os_error().raw_os_error().unwrap_or(libc::ENOEXEC);
            (Stage::Execute, errno)
        }
        Err(errno) => (Stage::Prepare, errno.raw_os_error()),
    };
    new.failure.set(Some(failure));
    // SAFETY: ends this process only; no exit handlers run in the shared memory.
    unsafe { libc::_exit(127) }
}

/// Everything that is not inherited. What is not passed on closes itself at the exec.
fn prepare(new: &NewProcess<'_>) -> rustix::io::Result<()> {
    rustix::process::setsid()?;
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    if rustix::process::getppid() != new.setting.launcher {
        // The launcher died before the line above: nobody is left to be told.
        return Err(rustix::io::Errno::SRCH);
    }
    if let Some(view) = new.view {
        // Root and working directory become the namespace's root. They are shared with nobody: CLONE_FS is not set.
        move_into_link_name_space(view.as_fd(), Some(LinkNameSpaceType::Mount))?;
    }
    rustix::process::fchdir(new.directory)?;
    let [input, output, error] = new.streams;
    if let Some(fd) = input {
        rustix::stdio::dup2_stdin(fd)?;
    }
    if let Some(fd) = output {
        rustix::stdio::dup2_stdout(fd)?;
    }
    if let Some(fd) = error {
        rustix::stdio::dup2_stderr(fd)?;
    }
    let number = new.setting.handoff_number;
    // SAFETY: no pointers; the number is far above those of the launcher's own descriptors.
    if unsafe { libc::dup3(new.handoff.as_raw_fd(), number, 0) } != number {
        return Err(rustix::io::Errno::MFILE);
    }
    let none = 0_u64;
    // SAFETY: the kernel reads one set of 8 bytes through the pointer.
    unsafe {
        libc::syscall(
            libc::SYS_rt_sigprocmask,
            libc::SIG_SETMASK,
            &raw const none,
            0,
            size_of::<u64>(),
        )
    };
    Ok(())
}
