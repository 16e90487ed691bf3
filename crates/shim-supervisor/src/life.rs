//! Whether a guest is alive, and what may be done to its process only while it is.
//!
//! Reports of the watcher in, permissions to use the native process id out. Always true: the launcher
//! reaps a guest only after its end was stored here, and whoever uses the native id holds the lock, so
//! that the id never means another process. (If the launcher is killed, the ids are free before we
//! know; nobody can prevent that.) The end is stored before the channel is closed, so that who finds it closed
//! can read the true status.
//!
//! Locks: the launcher's state, if held at all, is locked before a life; nothing is locked after it.
//!
//! # Safety
//!
//! Unsafe here: system calls, one with a pointer to a value of ours.
#![allow(unsafe_code)]

use std::num::NonZeroI32;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::Pid;
use rustix::thread::{CpuSet, sched_setaffinity};
use shim_abi::process::{KICK_SIGNAL, ProcessBlock};
use shim_abi::thread::ThreadBlock;

use crate::channel;
use crate::region::HostMemory;
use crate::status::ExitStatus;

/// A native process id of a guest.
pub(crate) type NativePid = NonZeroI32;

/// What the simulator's threads and the watcher know together about one guest.
#[derive(Debug)]
pub(crate) struct Life {
    state: Mutex<State>,
    changed: Condvar,
    /// `state.end` is known; for those who wait on the channel.
    is_over: AtomicBool,
    memory: Arc<HostMemory>,
    process_index: u32,
    thread_index: u32,
}

#[derive(Debug)]
struct State {
    pid: Option<NativePid>,
    end: Option<ExitStatus>,
}

impl Life {
    pub(crate) fn new(memory: Arc<HostMemory>, process_index: u32, thread_index: u32) -> Life {
        Life {
            state: Mutex::new(State { pid: None, end: None }),
            changed: Condvar::new(),
            is_over: AtomicBool::new(false),
            memory,
            process_index,
            thread_index,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn process(&self) -> &ProcessBlock {
        self.memory.process(self.process_index).expect("a slot's index is below the capacity")
    }
    pub(crate) fn thread(&self) -> &ThreadBlock {
        self.memory.thread(self.thread_index).expect("a slot's index is below the capacity")
    }

    /// Watcher: the process exists.
    pub(crate) fn begin(&self, pid: NativePid) {
        self.lock().pid = Some(pid);
    }

    /// Watcher: the process is dead, and not yet reaped.
    pub(crate) fn finish(&self, status: ExitStatus) {
        let mut state = self.lock();
        if state.end.is_some() {
            return;
        }
        state.end = Some(status);
        self.is_over.store(true, Release);
        drop(state);
        self.changed.notify_all();
        channel::close(&self.thread().channel.control);
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
            State { pid: Some(pid), end: None } => Some(f(pid)),
            _ => None,
        }
    }

    /// Kill it natively.
    pub(crate) fn kill(&self) {
        // The whole thread group; it fails only if the guest is dead already.
        self.while_alive(|pid| tgkill_or_kill(pid, None, libc::SIGKILL));
    }

    /// Have it run on one processor only. A guest that is dead does not mind, and one that cannot be moved
    /// stays where it is.
    pub(crate) fn run_on(&self, cpu: usize) {
        let mut cpus = CpuSet::new();
        cpus.set(cpu);
        self.while_alive(|pid| sched_setaffinity(Pid::from_raw(pid.get()), &cpus));
    }

    /// Add pending signals and interrupt the guest, if its shim is there to be interrupted.
    pub(crate) fn interrupt(&self, signals: u64) {
        self.while_alive(|pid| {
            self.thread().pending_signals.fetch_or(signals, Relaxed);
            self.kick(pid);
        });
    }

    /// Have the guest hand over, if it still computes and has made no call since there were `calls` of them.
    pub(crate) fn preempt(&self, calls: u32) {
        self.while_alive(|pid| {
            self.thread().preempt_at.store(u64::from(calls) + 1, Relaxed);
            self.kick(pid);
        });
    }

    /// Interrupt the guest natively, if its shim is there to be interrupted.
    fn kick(&self, pid: NativePid) {
        let process = self.process();
        let is_up =
            process.native_pid.load(Acquire) != 0 && process.is_executing.load(Acquire) == 0;
        if is_up {
            // Alleged; the kernel refuses a thread that is not of this process.
            let tid = self.thread().native_tid.load(Relaxed);
            tgkill_or_kill(pid, NonZeroI32::new(tid as i32), KICK_SIGNAL as i32);
        }
    }

    /// Native processor time that the guest has used; `None` if it is dead, or nobody tells.
    pub(crate) fn processor_time(&self) -> Option<Duration> {
        self.while_alive(processor_time_of).flatten()
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
