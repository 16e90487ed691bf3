//! What a function that answers a call is given: the kernel, the caller, the caller's clock.
//!
//! Borrowed for the length of one call. Always true: the caller and its process exist. Not here: what
//! any single call does.

use alloc::vec::Vec;

use shim_abi::{Errno, SimDuration, SimTime};

use crate::guest::{Guest, GuestAddr, Ids};
use crate::ids::{VirtualPid, VirtualTid};
use crate::kernel::Kernel;
use crate::outcome::Outcome;
use crate::task::{Parked, Process, Thread, Wait, Wake};
use crate::waiters::Source;

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
    /// The context of a call by `tid`, if there is such a thread; takes down what the kernel remembers of
    /// its guest's words.
    pub(crate) fn new(
        kernel: &'a mut Kernel,
        now: SimTime,
        tid: VirtualTid,
        guest: &'a mut dyn Guest,
    ) -> Option<Self> {
        let thread = kernel.threads.get_mut(&tid)?;
        thread.cpu_ns = guest.thread_cpu_ns();
        let pid = thread.pid;
        thread.ids = Ids { users: guest.user_ids(), groups: guest.group_ids() };
        let old_mask = core::mem::replace(&mut thread.mask, guest.signal_mask());
        let is_mask_changed = old_mask != thread.mask;
        let process = kernel.processes.get_mut(&pid)?;
        process.cpu_ns = guest.cpu_ns();
        process.user = thread.ids.users[0];
        if is_mask_changed {
            kernel.assign_again(now, pid);
        }
        let mut context = Context { kernel, now, tid, pid, guest };
        context.give_notice();
        Some(context)
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

    /// Park the caller until it is its turn again, at its own clock.
    pub(crate) fn park_turn(&mut self) -> Answer {
        let (since, deadline) = (self.now, self.now);
        self.park_again(Parked { since, deadline, wait: Wait::Limit, wake: None })
    }

    /// Park the caller until it is woken because one of `sources` changed: its call is then made again from the
    /// record, see [`Context::finish`].
    pub(crate) fn park_on(&mut self, sources: &[Source], wait: Wait, deadline: SimTime) -> Answer {
        self.kernel.waiters.add(self.tid, sources);
        self.kernel.files.hold(self.tid, sources);
        let parked = Parked { since: self.now, deadline, wait, wake: None };
        self.park_again(parked)
    }

    /// The outcome for an answer: an error is returned as its negated number.
    pub(crate) fn conclude(&mut self, answer: Answer) -> Outcome {
        let outcome = answer.unwrap_or_else(|errno| Outcome::Done(errno.as_return()));
        if outcome != Outcome::Park {
            self.kernel.waiters.end(self.tid);
            self.kernel.end_parked_call(self.now, self.tid);
        }
        match outcome {
            Outcome::Done(_) | Outcome::Native { .. } => self.plan_cpu(),
            _ => self.kernel.unplan_cpu(self.pid),
        }
        if let (Outcome::Done(result), Some(thread)) =
            (outcome, self.kernel.threads.get_mut(&self.tid))
        {
            thread.result = result;
            thread.visit = None;
        }
        outcome
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
            Wait::Sleep { remainder, cpu_end } => {
                self.finish_sleep(parked, wake, remainder, cpu_end)
            }
            Wait::Pause => self.finish_pause(parked),
            Wait::Suspend { mask } => self.finish_suspend(parked, mask),
            Wait::OneOf { set, info } => self.finish_timed_wait(parked, wake, set, info),
            Wait::Vfork(child) => self.finish_vfork(parked, child),
            Wait::Futex => self.finish_futex(parked, wake),
            Wait::Semaphores => self.finish_semaphores(parked, wake),
            Wait::Messages { to, room } => self.finish_messages(parked, wake, to, room),
            Wait::Queue { to, priority } => self.finish_queue(parked, wake, to, priority),
            Wait::FileLock => self.finish_file_lock(parked, wake),
            Wait::Child(waited) => self.finish_wait(waited),
            Wait::Partner { file, fd, seen } => self.finish_opening(file, fd, seen),
            Wait::Transfer { file, direction } => self.finish_transfer(file, direction),
            Wait::Socket => self.finish_exchange(parked, wake),
            Wait::Accept(call) => self.finish_accept(call, parked, wake),
            Wait::Connect => self.finish_connect(parked, wake),
            Wait::Linger(connection) => self.finish_linger(connection, parked, wake),
            Wait::Splice(call) => self.finish_splice(call),
            Wait::Epoll { epoll, to, count } => {
                self.finish_epoll(epoll, to, count, parked.deadline, wake)
            }
            Wait::Poll { array, count } => self.finish_poll(array, count, parked.deadline, wake),
            Wait::Stopped => done(self.thread().result),
        }
    }

    /// Read a `struct timespec`: EINVAL if it is none.
    pub(crate) fn read_timespec(&mut self, from: GuestAddr) -> Result<SimDuration, Errno> {
        let [secs, nanos] = crate::memory::read_words(self.guest, from)?;
        crate::clock::duration_of(secs as i64, nanos).ok_or(Errno::EINVAL)
    }
}
