//! What a function that answers a call is given: the kernel, the caller, the caller's clock.
//!
//! Borrowed for the length of one call. Always true: the caller and its process exist. Not here: what
//! any single call does.

use alloc::vec::Vec;

use shim_abi::{Errno, SimDuration, SimTime};

use crate::guest::{Guest, GuestAddr};
use crate::ids::{VirtualPid, VirtualTid};
use crate::kernel::Kernel;
use crate::outcome::Outcome;
use crate::task::{Parked, Process, Thread, Wait, Wake};

/// What a call comes to: an outcome, or the error that it fails with.
pub(crate) type Answer = Result<Outcome, Errno>;

/// The answer of a call that succeeds with `value`.
pub(crate) const fn done(value: i64) -> Answer {
    Ok(Outcome::Done(value))
}

/// One call in progress.
pub(crate) struct Context<'a> {
    pub(crate) kernel: &'a mut Kernel,
    pub(crate) now: SimTime,
    pub(crate) tid: VirtualTid,
    pub(crate) pid: VirtualPid,
    pub(crate) guest: &'a mut dyn Guest,
}

impl<'a> Context<'a> {
    /// The context of a call by `tid`, if there is such a thread; takes down its CPU time.
    pub(crate) fn new(
        kernel: &'a mut Kernel,
        now: SimTime,
        tid: VirtualTid,
        guest: &'a mut dyn Guest,
    ) -> Option<Self> {
        let pid = kernel.threads.get(&tid)?.pid;
        kernel.processes.get_mut(&pid)?.cpu_ns = guest.cpu_ns();
        Some(Context { kernel, now, tid, pid, guest })
    }

    /// The caller.
    pub(crate) fn thread(&self) -> &Thread {
        self.kernel.threads.get(&self.tid).expect("the calling thread exists")
    }
    /// The caller, to be changed.
    pub(crate) fn thread_mut(&mut self) -> &mut Thread {
        self.kernel.threads.get_mut(&self.tid).expect("the calling thread exists")
    }
    /// The caller's process.
    pub(crate) fn process(&self) -> &Process {
        self.kernel.processes.get(&self.pid).expect("the calling process exists")
    }
    /// The caller's process, to be changed.
    pub(crate) fn process_mut(&mut self) -> &mut Process {
        self.kernel.processes.get_mut(&self.pid).expect("the calling process exists")
    }

    /// The thread that a call names by number, 0 being the caller: ESRCH if there is none.
    pub(crate) fn find_thread(&self, id: i32) -> Result<VirtualTid, Errno> {
        if id == 0 {
            return Ok(self.tid);
        }
        let tid = VirtualTid(u32::try_from(id).map_err(|_| Errno::ESRCH)?);
        if self.kernel.threads.contains_key(&tid) { Ok(tid) } else { Err(Errno::ESRCH) }
    }

    /// Whether the caller may change or signal a thread: all but the machine's first are the user's.
    pub(crate) fn may_touch(&self, tid: VirtualTid) -> bool {
        tid != VirtualPid::INIT.leader()
    }

    /// The threads of all guests, if `uid` is the caller's: they have one user.
    pub(crate) fn threads_of_user(&self, uid: u32) -> Vec<VirtualTid> {
        if uid != self.guest.user_ids()[0] {
            return Vec::new();
        }
        let threads = self.kernel.threads.keys().copied();
        threads.filter(|&tid| self.may_touch(tid)).collect()
    }

    /// The threads of all processes of a group, 0 being the caller's.
    pub(crate) fn threads_of_group(&self, group: i32) -> Vec<VirtualTid> {
        let group = if group == 0 { self.process().group } else { VirtualPid(group as u32) };
        let is_in = |pid: &VirtualPid| {
            self.kernel.processes.get(pid).is_some_and(|process| process.group == group)
        };
        let threads = self.kernel.threads.iter();
        threads.filter(|(_, thread)| is_in(&thread.pid)).map(|(&tid, _)| tid).collect()
    }

    /// Park the caller: until `deadline` at the latest, or not at all if a signal ends the wait
    /// before it has begun.
    pub(crate) fn park(&mut self, wait: Wait, deadline: SimTime) -> Answer {
        let parked = Parked { since: self.now, deadline, wait, wake: None };
        self.finish(parked, Wake::Look)
    }

    /// The caller's wait goes on.
    pub(crate) fn park_again(&mut self, parked: Parked) -> Answer {
        self.kernel.park(self.tid, Parked { wake: None, ..parked });
        Ok(Outcome::Park)
    }

    /// The caller's wait is over.
    pub(crate) fn unpark(&mut self, parked: &Parked) {
        self.kernel.unpark(self.tid, parked);
    }

    /// End a wait for the reason of its wake, or park again.
    pub(crate) fn finish(&mut self, parked: Parked, wake: Wake) -> Answer {
        match parked.wait {
            Wait::Limit => done(0),
            Wait::Sleep { remainder, cpu_ns_left } => {
                self.finish_sleep(parked, wake, remainder, cpu_ns_left)
            }
            Wait::Pause => self.finish_pause(parked),
            Wait::Suspend { mask } => self.finish_suspend(parked, mask),
            Wait::OneOf { set, info } => self.finish_timed_wait(parked, wake, set, info),
        }
    }

    /// Read a `struct timespec`: EINVAL if it is none.
    pub(crate) fn read_timespec(&mut self, from: GuestAddr) -> Result<SimDuration, Errno> {
        let [secs, nanos] = crate::memory::read_words(self.guest, from)?;
        crate::clock::duration_of(secs as i64, nanos).ok_or(Errno::EINVAL)
    }
}
