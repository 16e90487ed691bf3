//! Whether a process is alive, and what may be done to it only while it is.
//!
//! Reports of the watcher in, permissions to use the native process id out. Always true: the launcher
//! reaps a process only after its end was stored here, and whoever uses the native id holds the lock, so
//! that the id never means another process. (If the launcher is killed, the ids are free before we
//! know; nobody can prevent that.) The end is stored before the channels of its threads are closed, so that
//! who finds one closed can read the true status. A process that a guest is about to make has no native id yet;
//! nothing can be done to it before it gets one.
//!
//! Locks: the launcher's state, if held at all, is locked before a life; nothing is locked after it.
//!
//! # Safety
//!
//! Unsafe here: system calls, some with a pointer to a value of ours.
#![allow(unsafe_code)]

use std::num::NonZeroI32;
use std::os::fd::OwnedFd;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use rustix::thread::{CpuSet, sched_setaffinity};
use rustix::time::Timespec;
use shim_abi::address::{ARENA_BYTES, RESERVATION_BYTES};
use shim_abi::process::{KICK_SIGNAL, ProcessBlock};
use shim_abi::thread::ThreadBlock;

use crate::baton;
use crate::channel;
use crate::region::HostMemory;
use crate::status::ExitStatus;

/// A native process id of a guest.
pub(crate) type NativePid = NonZeroI32;

/// What the simulator's threads and the watcher know together about one process.
#[derive(Debug)]
pub(crate) struct Life {
    state: Mutex<State>,
    changed: Condvar,
    /// `state.end` is known; for those who wait on a channel.
    is_over: AtomicBool,
    memory: Arc<HostMemory>,
    process_index: u32,
}

#[derive(Debug)]
struct State {
    pid: Option<NativePid>,
    end: Option<ExitStatus>,
    /// Blocks of its threads, whose channels its end closes.
    threads: Vec<u32>,
}

impl Life {
    pub(crate) fn new(memory: Arc<HostMemory>, process_index: u32) -> Life {
        Life {
            state: Mutex::new(State { pid: None, end: None, threads: Vec::new() }),
            changed: Condvar::new(),
            is_over: AtomicBool::new(false),
            memory,
            process_index,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn memory(&self) -> &Arc<HostMemory> {
        &self.memory
    }
    pub(crate) fn process(&self) -> &ProcessBlock {
        self.memory.process(self.process_index).expect("a slot's index is below the capacity")
    }
    pub(crate) fn thread(&self, index: u32) -> &ThreadBlock {
        self.memory.thread(index).expect("a slot's index is below the capacity")
    }

    /// The process has a thread with this block; its channel is closed when the process ends, or now if it
    /// has ended.
    pub(crate) fn add_thread(&self, index: u32) {
        let mut state = self.lock();
        state.threads.push(index);
        if state.end.is_some() {
            channel::close(&self.thread(index).channel.control);
        }
    }

    /// The block is not the process's any more: nothing here touches it from now on.
    pub(crate) fn remove_thread(&self, index: u32) {
        self.lock().threads.retain(|&other| other != index);
    }

    /// The process exists.
    pub(crate) fn begin(&self, pid: NativePid) {
        self.lock().pid = Some(pid);
    }

    /// The process is dead, and not yet reaped.
    pub(crate) fn finish(&self, status: ExitStatus) {
        let mut state = self.lock();
        if state.end.is_some() {
            return;
        }
        state.end = Some(status);
        self.is_over.store(true, Release);
        self.memory.count_death();
        // Under the lock: a block that is used again is not in the list any more.
        for &index in &state.threads {
            channel::close(&self.thread(index).channel.control);
        }
        if let Some(baton) = self.memory.baton() {
            baton::alarm(baton);
        }
        drop(state);
        self.changed.notify_all();
    }

    pub(crate) fn is_over(&self) -> bool {
        self.is_over.load(Acquire)
    }

    /// How it ended, if it did.
    pub(crate) fn end(&self) -> Option<ExitStatus> {
        self.lock().end
    }

    pub(crate) fn pid(&self) -> Option<NativePid> {
        self.lock().pid
    }

    /// Wait until it has ended.
    pub(crate) fn wait_end(&self) -> ExitStatus {
        let mut state = self.lock();
        loop {
            if let Some(end) = state.end {
                return end;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Wait until it has ended, at most for `limit`; whether it has.
    pub(crate) fn wait_end_for(&self, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        let mut state = self.lock();
        while state.end.is_none() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            state =
                self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    /// Call `f` with the native id while it cannot mean another process; `None` if the guest is dead.
    pub(crate) fn while_alive<T>(&self, f: impl FnOnce(NativePid) -> T) -> Option<T> {
        let state = self.lock();
        match *state {
            State { pid: Some(pid), end: None, .. } => Some(f(pid)),
            _ => None,
        }
    }

    /// Kill it natively.
    pub(crate) fn kill(&self) {
        // The whole thread group; it fails only if the guest is dead already.
        self.while_alive(|pid| tgkill_or_kill(pid, None, libc::SIGKILL));
    }

    /// Have a thread run on one processor only; those that it makes will, too. A guest that is dead does not mind,
    /// and one that cannot be moved stays where it is.
    pub(crate) fn run_on(&self, thread: &ThreadBlock, cpu: usize) {
        let mut cpus = CpuSet::new();
        cpus.set(cpu);
        self.while_alive(|pid| {
            // Alleged, and 0 before the guest's shim is up: then its only thread is meant.
            let tid = NonZeroI32::new(thread.native_tid.load(Relaxed) as i32).unwrap_or(pid);
            if is_thread_of(pid, tid) {
                let _ = sched_setaffinity(Pid::from_raw(tid.get()), &cpus);
            }
        });
    }

    /// Whether a thread sleeps natively. One that cannot be found does.
    pub(crate) fn is_asleep(&self, thread: &ThreadBlock) -> bool {
        // Alleged; one of another process has no such entry.
        let tid = thread.native_tid.load(Relaxed) as i32;
        let read = |pid| std::fs::read(format!("/proc/{pid}/task/{tid}/stat")).ok();
        self.while_alive(read).flatten().is_none_or(|stat| {
            // The name in parentheses may hold anything.
            let end_of_name = stat.iter().rposition(|&byte| byte == b')');
            end_of_name.and_then(|end| stat.get(end + 2)) == Some(&b'S')
        })
    }

    /// Limit its address space natively, beyond what the shim takes. A guest that is dead does not mind.
    pub(crate) fn limit_address_space(&self, bytes: u64) {
        let has_arena = self.memory.manager().arena_fd != 0;
        let shim_bytes = SHIM_BYTES + if has_arena { ARENA_BYTES as u64 } else { 0 };
        self.while_alive(|pid| limit_address_space_of(pid, bytes.saturating_add(shim_bytes)));
    }

    /// Add pending signals to all threads and interrupt them, if their shim is there to be interrupted. Those that
    /// wait for control do not mind.
    pub(crate) fn interrupt(&self, signals: u64) {
        let state = self.lock();
        if let State { pid: Some(pid), end: None, threads } = &*state {
            if let Some(baton) = self.memory.baton() {
                baton::want(baton);
            }
            for &index in threads {
                let thread = self.thread(index);
                thread.pending_signals.fetch_or(signals, Relaxed);
                self.kick(*pid, thread);
            }
        }
    }

    /// Have a thread hand over, if it still computes and has made no call since there were `calls` of them.
    pub(crate) fn preempt(&self, thread: &ThreadBlock, calls: u32) {
        self.while_alive(|pid| {
            thread.preempt_at.store(u64::from(calls) + 1, Relaxed);
            self.kick(pid, thread);
        });
    }

    /// Interrupt a thread natively, if its shim is there to be interrupted.
    fn kick(&self, pid: NativePid, thread: &ThreadBlock) {
        let process = self.process();
        let is_up =
            process.native_pid.load(Acquire) != 0 && process.is_executing.load(Acquire) == 0;
        // Alleged; the kernel refuses a thread that is not of this process.
        let tid = NonZeroI32::new(thread.native_tid.load(Relaxed) as i32);
        if let (true, Some(tid)) = (is_up, tid) {
            tgkill_or_kill(pid, Some(tid), KICK_SIGNAL as i32);
        }
    }

    /// A means to wait for its end without the watcher; `None` if it is dead, or there is none.
    pub(crate) fn watch_end(&self) -> Option<Deathwatch> {
        let open = |pid: NativePid| {
            pidfd_open(Pid::from_raw(pid.get())?, PidfdFlags::empty()).ok().map(Deathwatch)
        };
        self.while_alive(open).flatten()
    }

    /// Native processor time that the process has used; `None` if it is dead, or nobody tells.
    pub(crate) fn processor_time(&self) -> Option<Duration> {
        self.while_alive(processor_time_of).flatten()
    }
}

/// Tells the end of one process as soon as it is dead.
pub(crate) struct Deathwatch(OwnedFd);

/// How long a process is given to exit before it is looked whether it does something else.
pub(crate) const EXIT_PATIENCE: Duration = Duration::from_millis(50);

impl Deathwatch {
    /// Wait a while for the end; whether it has come.
    pub(crate) fn wait(&self) -> bool {
        let tv_nsec = EXIT_PATIENCE.subsec_nanos().into();
        self.has_come_within(Timespec { tv_sec: 0, tv_nsec })
    }

    /// Whether it has come.
    pub(crate) fn has_come(&self) -> bool {
        self.has_come_within(Timespec { tv_sec: 0, tv_nsec: 0 })
    }

    fn has_come_within(&self, limit: Timespec) -> bool {
        let mut polled = [PollFd::new(&self.0, PollFlags::IN)];
        loop {
            match poll(&mut polled, Some(&limit)) {
                Err(rustix::io::Errno::INTR) => {}
                result => return result == Ok(1),
            }
        }
    }
}

fn processor_time_of(pid: NativePid) -> Option<Duration> {
    /// All of its time, in user space and in the kernel.
    const SCHEDULED: i32 = 2;
    // As clock_getcpuclockid(3) makes it.
    let clock = !pid.get() << 3 | SCHEDULED;
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the kernel stores one `timespec`, and this is one.
    let result = unsafe { libc::clock_gettime(clock, &raw mut time) };
    (result == 0).then(|| Duration::new(time.tv_sec as u64, time.tv_nsec as u32))
}

/// What the shim takes of a guest's address space beside the arena: the reservation, and its two libraries with room to
/// spare.
const SHIM_BYTES: u64 = RESERVATION_BYTES as u64 + (2 << 20);

fn limit_address_space_of(pid: NativePid, bytes: u64) {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the kernel stores one `rlimit`, and this is one.
    if unsafe { libc::prlimit(pid.get(), libc::RLIMIT_AS, std::ptr::null(), &raw mut limit) } != 0 {
        return;
    }
    // The hard limit stays: who may not raise it could never take it back.
    limit.rlim_cur = bytes.min(limit.rlim_max);
    // SAFETY: the kernel reads one `rlimit`.
    unsafe { libc::prlimit(pid.get(), libc::RLIMIT_AS, &raw const limit, std::ptr::null_mut()) };
}

fn is_thread_of(pid: NativePid, tid: NonZeroI32) -> bool {
    // SAFETY: no pointers; signal 0 only asks.
    unsafe { libc::syscall(libc::SYS_tgkill, pid.get(), tid.get(), 0) == 0 }
}

fn tgkill_or_kill(pid: NativePid, tid: Option<NonZeroI32>, signal: i32) {
    match tid {
        // SAFETY: no pointers.
        Some(tid) => unsafe {
            libc::syscall(libc::SYS_tgkill, pid.get(), tid.get(), signal);
        },
        // SAFETY: no pointers.
        None => unsafe {
            libc::kill(pid.get(), signal);
        },
    }
}
