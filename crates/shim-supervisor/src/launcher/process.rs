//! The launcher process: a copy of the simulator that becomes the parent of all guests.
//!
//! Two descriptors in, reports out. Always true: it has one thread, three descriptors, every signal
//! blocked, and no allocation, lock or panic in its code, because it is forked from a process whose other threads may
//! hold any lock at that moment. It ends when the simulator ends (its pidfd says so, however many
//! copies of the socket others hold) or closes the socket; its guests then die of their parent-death
//! signal. It reaps a process only when told to, so that no native id is used again too early.
//!
//! Why not a program of its own: a library would have to find that file, in every embedding program, in
//! the right version. Why not a double fork: the intermediate process would be an ordinary child of the
//! embedding program, visible to its `wait(-1)`; and a guest that is no descendant of the simulator may
//! not be read by it where Yama restricts ptrace. A child without an exit signal is neither reported
//! nor found by an ordinary wait; the watcher reaps it by its pidfd.
//!
//! # Safety
//!
//! Unsafe here: making the process, and system calls in it that rustix does not offer, with pointers
//! to local variables or none.
#![allow(unsafe_code)]

use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use rustix::cmsg_space;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendFlags, recvmsg, send};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use shim_abi::process::{FIRST_HIDDEN_DESCRIPTOR, HIDDEN_DESCRIPTORS};

use super::execute::{Setting, Stack, execute};
use super::wire::{MAX_DESCRIPTORS_SENT, MESSAGE_BYTES, Order, Report, Stage};

/// The stack limit of guests: so much, so that their addresses repeat.
const STACK_BYTES: u64 = 8 * 1024 * 1024;

/// Descriptors that came with an order.
pub(super) type Received = [Option<OwnedFd>; MAX_DESCRIPTORS_SENT];

/// Make the launcher; the result is its process id and its pidfd. Call with all signals blocked.
///
/// `socket` is the launcher's end, `simulator` a pidfd of this process; both have numbers from 3 up.
pub(super) fn start(socket: &OwnedFd, simulator: &OwnedFd) -> io::Result<(u32, OwnedFd)> {
    let mut pidfd: libc::c_int = -1;
    // No exit signal in the flags' low byte.
    let flags = libc::CLONE_PIDFD as libc::c_long;
    // SAFETY: without CLONE_VM and without a stack this is fork(2); the kernel stores one number
    // through the pointer, in this process only. The new process runs nothing but `serve`.
    let pid = unsafe { libc::syscall(libc::SYS_clone, flags, 0, &raw mut pidfd, 0, 0) };
    match pid {
        -1 => Err(io::Error::last_os_error()),
        0 => serve(socket.as_raw_fd(), simulator.as_raw_fd()),
        // SAFETY: CLONE_PIDFD stored a descriptor that nobody else knows.
        _ => Ok((pid as u32, unsafe { OwnedFd::from_raw_fd(pidfd) })),
    }
}

fn leave() -> ! {
    // SAFETY: ends the process; no destructors or exit handlers of the simulator's run.
    unsafe { libc::_exit(0) }
}

fn serve(socket: RawFd, simulator: RawFd) -> ! {
    default_signals();
    close_all_but(socket, simulator);
    // SAFETY: open descriptors of this process; nobody else in it uses them.
    let socket = unsafe { OwnedFd::from_raw_fd(socket) };
    // SAFETY: as above.
    let simulator = unsafe { OwnedFd::from_raw_fd(simulator) };
    occupy_standard_streams(&socket);
    // For `ps`; how it goes does not matter.
    let _ = rustix::thread::set_name(c"shim-launcher");
    // Keeps no directory busy; guests get theirs with the order.
    let _ = rustix::process::chdir(c"/");
    // Signals of the simulator's terminal and process group do not reach us.
    let _ = rustix::process::setsid();
    let descriptor_limit = set_what_guests_inherit();
    let is_layout_fixed = fix_layout();
    let (Some(stack), Some(deaths)) = (Stack::new(), death_signals()) else { leave() };
    let setting = Setting::new(descriptor_limit);
    report(&socket, Report::Ready { descriptor_limit, is_layout_fixed });

    // The process whose end was reported and that is not yet buried.
    let mut dead = None;
    loop {
        let mut polled = [
            PollFd::new(&simulator, PollFlags::IN),
            PollFd::new(&socket, PollFlags::IN),
            PollFd::new(&deaths, PollFlags::IN),
        ];
        if poll(&mut polled, None).is_err() {
            continue;
        }
        let [is_simulator_dead, has_order, has_death] =
            [&polled[0], &polled[1], &polled[2]].map(|fd| !fd.revents().is_empty());
        if is_simulator_dead {
            leave();
        }
        if has_death {
            // The signals are merged, so their number says nothing; who died is asked below.
            let mut scrap = [0_u8; 1024];
            let _ = rustix::io::read(&deaths, &mut scrap);
        }
        if has_order {
            match receive(&socket) {
                Incoming::Order(Order::Spawn(plan), fds) => {
                    let answer = match execute(plan, &fds, &stack, &setting) {
                        Ok(pid) => Report::Spawned { pid },
                        Err((stage, errno)) => Report::Failed { stage, errno },
                    };
                    report(&socket, answer);
                }
                Incoming::Order(Order::Bury { pid }, _) => {
                    reap(pid);
                    if dead == Some(pid) {
                        dead = None;
                    }
                }
                Incoming::Nonsense => {
                    report(&socket, Report::Failed { stage: Stage::Order, errno: libc::EINVAL });
                }
                Incoming::Nothing => {}
                Incoming::End => leave(),
            }
        }
        if dead.is_none()
            && let Some(ended) = next_dead()
        {
            dead = Some(ended.0);
            report(&socket, Report::Ended { pid: ended.0, code: ended.1, status: ended.2 });
        }
    }
}

/// What came over the socket.
enum Incoming {
    Order(Order, Received),
    Nonsense,
    Nothing,
    End,
}

fn receive(socket: &OwnedFd) -> Incoming {
    let mut bytes = [0; MESSAGE_BYTES];
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(MAX_DESCRIPTORS_SENT))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let result =
        recvmsg(socket, &mut [IoSliceMut::new(&mut bytes)], &mut control, RecvFlags::CMSG_CLOEXEC);
    let len = match result {
        Ok(message) => message.bytes,
        Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN) => return Incoming::Nothing,
        Err(_) => return Incoming::End,
    };
    if len == 0 {
        return Incoming::End;
    }
    let mut fds = Received::default();
    let mut free = fds.iter_mut();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = message {
            for fd in rights {
                if let Some(slot) = free.next() {
                    *slot = Some(fd);
                }
            }
        }
    }
    match Order::from_bytes(bytes.get(..len).unwrap_or_default()) {
        Some(order) => Incoming::Order(order, fds),
        None => Incoming::Nonsense,
    }
}

fn report(socket: &OwnedFd, report: Report) {
    // If nobody listens the next poll says so.
    while send(socket, &report.to_bytes(), SendFlags::NOSIGNAL) == Err(rustix::io::Errno::INTR) {}
}

/// The simulator's handlers are not for this process, and what it ignores is not ignored in guests.
fn default_signals() {
    // Handler, flags, restorer, mask: all zero is SIG_DFL.
    let action = [0_u64; 4];
    for signal in 1..=64 {
        // SAFETY: the kernel reads one action through the pointer. It refuses SIGKILL and SIGSTOP.
        unsafe {
            libc::syscall(libc::SYS_rt_sigaction, signal, &raw const action, 0, size_of::<u64>())
        };
    }
}

fn close_all_but(a: RawFd, b: RawFd) {
    let (low, high) = (a.min(b) as u32, a.max(b) as u32);
    close_range(0, low.saturating_sub(1));
    close_range(low.saturating_add(1), high.saturating_sub(1));
    close_range(high.saturating_add(1), u32::MAX);
}

fn close_range(first: u32, last: u32) {
    if first > last {
        return;
    }
    // SAFETY: no pointers; what is closed are copies of the simulator's descriptors.
    if unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) } == 0 {
        return;
    }
    // Forbidden by a seccomp filter that is older than the call.
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(1 << 20) as u32;
    for fd in first..=last.min(limit) {
        // SAFETY: as above.
        unsafe { libc::close(fd as RawFd) };
    }
}

/// Occupy 0 to 2, so that no descriptor that we receive gets one of these numbers.
fn occupy_standard_streams(socket: &OwnedFd) {
    for fd in 0..3 {
        // SAFETY: no pointers; the numbers are free.
        if unsafe { libc::dup3(socket.as_raw_fd(), fd, libc::O_CLOEXEC) } != fd {
            leave();
        }
    }
}

/// Set limits and privileges; the limit of descriptors that results.
fn set_what_guests_inherit() -> u32 {
    let wanted = u64::from(FIRST_HIDDEN_DESCRIPTOR + HIDDEN_DESCRIPTORS);
    let exactly = |limit| Rlimit { current: Some(limit), maximum: Some(limit) };
    if setrlimit(Resource::Nofile, exactly(wanted)).is_err() {
        let allowed = getrlimit(Resource::Nofile).maximum.unwrap_or(wanted).min(wanted);
        let _ = setrlimit(Resource::Nofile, exactly(allowed));
    }
    let maximum = getrlimit(Resource::Stack).maximum;
    let stack = Rlimit { current: Some(maximum.unwrap_or(STACK_BYTES).min(STACK_BYTES)), maximum };
    let _ = setrlimit(Resource::Stack, stack);
    // A set-uid program would lose its preload, and its parent-death signal with it.
    let _ = rustix::thread::set_no_new_privs(true);
    getrlimit(Resource::Nofile).current.unwrap_or(wanted).min(wanted) as u32
}

/// Switch address space randomisation off; whether that is permitted.
fn fix_layout() -> bool {
    // SAFETY: no pointers; this value only asks.
    let old = unsafe { libc::personality(0xffff_ffff) };
    if old < 0 {
        return false;
    }
    let wanted = old | libc::ADDR_NO_RANDOMIZE;
    // SAFETY: no pointers; concerns images that this process starts.
    unsafe { libc::personality(wanted as libc::c_ulong) >= 0 }
}

/// A descriptor that is readable when a process has ended.
fn death_signals() -> Option<OwnedFd> {
    let set = 1_u64 << (libc::SIGCHLD - 1);
    let flags = libc::SFD_CLOEXEC | libc::SFD_NONBLOCK;
    // SAFETY: the kernel reads one set of 8 bytes through the pointer.
    let fd =
        unsafe { libc::syscall(libc::SYS_signalfd4, -1, &raw const set, size_of::<u64>(), flags) };
    // SAFETY: a new descriptor that nobody else knows.
    (fd >= 0).then(|| unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
}

/// A process that has ended and is not reaped: id, code, status.
fn next_dead() -> Option<(i32, i32, i32)> {
    let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
    let options = libc::WEXITED | libc::WNOWAIT | libc::WNOHANG | libc::__WALL;
    // SAFETY: the pointer is valid for one siginfo.
    if unsafe { libc::waitid(libc::P_ALL, 0, info.as_mut_ptr(), options) } != 0 {
        return None;
    }
    // SAFETY: zeroed before, and a siginfo consists of numbers.
    let info = unsafe { info.assume_init() };
    // SAFETY: waitid stores this variant; zero if nobody has ended.
    let pid = unsafe { info.si_pid() };
    // SAFETY: as above.
    let status = unsafe { info.si_status() };
    (pid != 0).then_some((pid, info.si_code, status))
}

/// Reap a process that has ended.
pub(super) fn reap(pid: i32) {
    // SAFETY: no status is asked for, so there is no pointer.
    while unsafe { libc::waitpid(pid, std::ptr::null_mut(), libc::__WALL) } == -1
        && last_errno() == libc::EINTR
    {}
}

fn last_errno() -> i32 {
    io::Error::last_os_error().raw_os_error().unwrap_or(0)
}
