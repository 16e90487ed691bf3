//! Birth: `clone`, which the shim makes of `fork`, `vfork` and `clone3`, too.
//!
//! Flags in, records of a process or thread out. Always true: what is made here is [`State::Unborn`] until the host
//! says that it exists natively, and nothing is written to guest memory before; a process inherits what fork(2)
//! says, and neither pending signals nor timers. Memory, descriptors' numbers, dispositions and masks are copied by
//! the guest's shim.
//!
//! Sharing less or more than Linux's C libraries ask for (memory, descriptors or dispositions between processes that
//! go on both, a thread with descriptors of its own) is refused with EINVAL, as is what would need a namespace.

use alloc::vec::Vec;

use shim_abi::{Errno, SimTime};

use crate::context::{Answer, Context, done};
use crate::guest::{Guest, GuestAddr};
use crate::ids::{VirtualPid, VirtualTid};
use crate::kernel::Kernel;
use crate::outcome::Outcome;
use crate::signal::Pending;
use crate::task::{Birth, Interval, Job, Life, Parked, Process, State, Thread, Wait};
use crate::timer::Timers;
use crate::waiters::Source;

/// How many processes a host has at most, zombies included.
const MAX_PROCESSES: usize = 1024;
/// How many threads a host has at most.
const MAX_THREADS: usize = 4096;

/// `CLONE_*`.
pub(crate) mod flag {
    pub(crate) const VM: u64 = libc::CLONE_VM as u64;
    pub(crate) const FS: u64 = libc::CLONE_FS as u64;
    pub(crate) const FILES: u64 = libc::CLONE_FILES as u64;
    pub(crate) const SIGHAND: u64 = libc::CLONE_SIGHAND as u64;
    pub(crate) const PIDFD: u64 = libc::CLONE_PIDFD as u64;
    pub(crate) const VFORK: u64 = libc::CLONE_VFORK as u64;
    pub(crate) const PARENT: u64 = libc::CLONE_PARENT as u64;
    pub(crate) const THREAD: u64 = libc::CLONE_THREAD as u64;
    pub(crate) const PARENT_SETTID: u64 = libc::CLONE_PARENT_SETTID as u64;
    pub(crate) const CHILD_CLEARTID: u64 = libc::CLONE_CHILD_CLEARTID as u64;
    pub(crate) const CHILD_SETTID: u64 = libc::CLONE_CHILD_SETTID as u64;
    pub(crate) const DETACHED: u64 = libc::CLONE_DETACHED as u64;
    pub(crate) const CLEAR_SIGHAND: u64 = 1 << 32;
    pub(crate) const INTO_CGROUP: u64 = 1 << 33;
    const NEWNS: u64 = libc::CLONE_NEWNS as u64;
    const NEWUSER: u64 = libc::CLONE_NEWUSER as u64;
    pub(crate) const NEWPID: u64 = libc::CLONE_NEWPID as u64;
    /// A new namespace of any kind that these bits can name.
    pub(crate) const NAMESPACES: u64 = NEWNS
        | NEWUSER
        | NEWPID
        | (libc::CLONE_NEWUTS | libc::CLONE_NEWIPC | libc::CLONE_NEWNET | libc::CLONE_NEWCGROUP)
            as u64;
    /// Those that cannot have a file system state in common with another.
    pub(crate) const NO_SHARED_FS: [u64; 2] = [NEWNS, NEWUSER];
    /// Those that a thread cannot have for itself.
    pub(crate) const NO_THREADS: u64 = NEWUSER | NEWPID;
    /// The part that is the exit signal.
    pub(crate) const EXIT_SIGNAL: u64 = 0xff;
}

pub(crate) fn clone(
    context: &mut Context<'_>,
    flags: u64,
    parent_tid: GuestAddr,
    child_tid: GuestAddr,
    descriptor: i32,
) -> Answer {
    check(flags)?;
    context.check_room(flags)?;
    let tid = VirtualTid(context.kernel.next_id());
    context.kernel.last_id = tid.0;
    let birth = Birth { flags, parent_tid, child_tid, descriptor };
    let pid = match flags & flag::THREAD {
        0 => context.add_child(tid, flags),
        _ => context.pid,
    };
    let scheduling = context.thread().scheduling.inherited();
    let mut thread = Thread::new(pid, State::Unborn(birth), scheduling);
    thread.mask = context.thread().mask;
    thread.ids = context.thread().ids;
    thread.started = context.now;
    if flags & flag::CHILD_CLEARTID != 0 {
        thread.clear_child_tid = child_tid;
    }
    context.kernel.threads.insert(tid, thread);
    Ok(Outcome::Clone { pid, tid })
}

/// Whether these flags go together, in Linux's order, and are offered.
fn check(flags: u64) -> Result<(), Errno> {
    let has = |flag: u64| flags & flag != 0;
    let is_thread = has(flag::THREAD);
    if has(flag::INTO_CGROUP) || (has(flag::SIGHAND) && has(flag::CLEAR_SIGHAND)) {
        return Err(Errno::EINVAL);
    }
    if flag::NO_SHARED_FS.into_iter().any(|namespace| has(namespace) && has(flag::FS)) {
        return Err(Errno::EINVAL);
    }
    if (is_thread && !has(flag::SIGHAND)) || (has(flag::SIGHAND) && !has(flag::VM)) {
        return Err(Errno::EINVAL);
    }
    if is_thread && has(flag::NO_THREADS) {
        return Err(Errno::EINVAL);
    }
    if has(flag::PIDFD) && (is_thread || has(flag::DETACHED)) {
        return Err(Errno::EINVAL);
    }
    if has(flag::NAMESPACES) {
        return Err(Errno::EPERM);
    }
    let is_offered = match is_thread {
        true => has(flag::FILES) && !has(flag::VFORK),
        false => {
            !has(flag::FS | flag::FILES | flag::SIGHAND) && (!has(flag::VM) || has(flag::VFORK))
        }
    };
    if is_offered { Ok(()) } else { Err(Errno::EINVAL) }
}

impl Context<'_> {
    /// Whether the user and the machine may have one more: EAGAIN.
    fn check_room(&self, flags: u64) -> Result<(), Errno> {
        let kernel = &self.kernel;
        // Root has no limit.
        let [user, effective, _] = self.guest.user_ids();
        let is_root = [user, effective].contains(&0);
        let users_threads = || self.threads_of_user(user).len() as u64;
        let is_full = (!is_root && users_threads() >= self.process().limits.tasks())
            || kernel.threads.len() > MAX_THREADS
            || (flags & flag::THREAD == 0 && kernel.processes.len() > MAX_PROCESSES);
        if is_full { Err(Errno::EAGAIN) } else { Ok(()) }
    }

    /// Record a process that the caller makes.
    fn add_child(&mut self, tid: VirtualTid, flags: u64) -> VirtualPid {
        let pid = VirtualPid(tid.0);
        let place = self.kernel.next_place();
        let address_space = match flags & flag::VM {
            0 => self.kernel.next_address_space(),
            _ => self.process().address_space,
        };
        let descriptors = self.kernel.copy_descriptors(self.pid);
        let maker = self.process();
        let (parent, parent_thread, parent_images, exit_signal) = match flags & flag::PARENT {
            0 => {
                let exit_signal = (flags & flag::EXIT_SIGNAL) as u32;
                (self.pid, self.tid, maker.images, exit_signal)
            }
            _ => (maker.parent, maker.parent_thread, maker.parent_images, maker.exit_signal),
        };
        let process = Process {
            parent,
            parent_thread,
            place,
            life: Life::Alive,
            exit_signal,
            parent_images,
            images: 0,
            address_space,
            is_subreaper: false,
            user: maker.user,
            group: maker.group,
            session: maker.session,
            program: maker.program.clone(),
            limits: maker.limits.clone(),
            interval: Interval::default(),
            timers: Timers::default(),
            descriptors,
            pending: Pending::default(),
            chosen: tid,
            job: Job::default(),
            held: Vec::new(),
            cpu_ns: 0,
            children_cpu_ns: 0,
            has_waited: false,
            is_changed: true,
        };
        self.kernel.processes.insert(pid, process);
        pid
    }

    /// What is left to do for `child`, which exists now.
    fn end_clone(&mut self, child: VirtualTid, pid: VirtualPid, birth: Birth) -> Answer {
        if pid != self.pid {
            self.kernel.copy_attachments(self.now, self.pid, pid);
        }
        let number = child.0.to_le_bytes();
        let has = |flag: u64| birth.flags & flag != 0;
        // As on Linux, a number that cannot be stored is no error.
        if has(flag::PARENT_SETTID) {
            let _ = self.guest.write(birth.parent_tid, &number);
        }
        if has(flag::CHILD_SETTID) && has(flag::VM) {
            let _ = self.guest.write(birth.child_tid, &number);
        }
        if has(flag::PIDFD) {
            self.install_child(birth.descriptor, child);
        }
        if has(flag::VFORK) {
            return self.park_on(&[Source::Image(pid)], Wait::Vfork(pid), SimTime::MAX);
        }
        done(child.0.into())
    }

    /// A `vfork` ends when its child has left the parent's memory; only SIGKILL ends it earlier.
    pub(crate) fn finish_vfork(&mut self, parked: Parked, child: VirtualPid) -> Answer {
        let is_first_image = |process: &Process| process.life == Life::Alive && process.images == 0;
        let is_there = self.kernel.processes.get(&child).is_some_and(is_first_image);
        if is_there && !self.is_killed() {
            let Parked { wait, deadline, .. } = parked;
            return self.park_on(&[Source::Image(child)], wait, deadline);
        }
        done(child.0.into())
    }
}

impl Kernel {
    /// The thread that an [`Outcome::Clone`] of `parent` announced exists natively, or the native call failed with
    /// this errno and it never was. What becomes of the parent's call.
    pub fn clone_done(
        &mut self,
        now: SimTime,
        parent: VirtualTid,
        child: VirtualTid,
        result: Result<(), Errno>,
        guest: &mut dyn Guest,
    ) -> Outcome {
        let born = self.settle_birth(now, child, result);
        let Some(mut context) = Context::new(self, now, parent, guest) else {
            return Outcome::Done(Errno::ESRCH.as_return());
        };
        let answer = match born {
            Ok((pid, birth)) => context.end_clone(child, pid, birth),
            Err(errno) => Err(errno),
        };
        context.conclude(answer)
    }

    /// An announced thread exists, or it is forgotten, and its process if it would have been its first.
    fn settle_birth(
        &mut self,
        now: SimTime,
        tid: VirtualTid,
        result: Result<(), Errno>,
    ) -> Result<(VirtualPid, Birth), Errno> {
        let thread = self.threads.get_mut(&tid).ok_or(Errno::ESRCH)?;
        let (pid, State::Unborn(birth)) = (thread.pid, thread.state) else {
            return Err(Errno::ESRCH);
        };
        match result {
            Ok(()) => {
                thread.state = State::Running;
                self.started_tasks += 1;
                Ok((pid, birth))
            }
            Err(errno) => {
                self.threads.remove(&tid);
                if pid.leader() == tid {
                    self.close_all(now, pid);
                    self.processes.remove(&pid);
                }
                Err(errno)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{DATA, THREAD_FLAGS, TestGuest, machine, signal};
    use shim_abi::calls::nr;

    const NOW: SimTime = SimTime::ZERO;

    fn clone(kernel: &mut Kernel, tid: VirtualTid, flags: u64, guest: &mut TestGuest) -> Outcome {
        kernel.call(NOW, tid, nr::clone, [flags, 0, DATA, DATA + 8, 0, u64::MAX], guest)
    }

    #[test]
    fn flags_are_checked_as_linux_checks_them() {
        let (inval, perm) = (Errno::EINVAL, Errno::EPERM);
        let thread = flag::THREAD | flag::SIGHAND | flag::VM | flag::FILES;
        for (flags, expected) in [
            (flag::THREAD, Err(inval)),
            (flag::THREAD | flag::SIGHAND, Err(inval)),
            (flag::SIGHAND, Err(inval)),
            (thread | flag::NEWPID, Err(inval)),
            (flag::NEWPID, Err(perm)),
            (flag::FS | flag::NO_SHARED_FS[0], Err(inval)),
            (flag::NO_SHARED_FS[1], Err(perm)),
            (thread | flag::PIDFD, Err(inval)),
            (flag::DETACHED | flag::PIDFD, Err(inval)),
            (flag::INTO_CGROUP, Err(inval)),
            (thread | flag::CLEAR_SIGHAND, Err(inval)),
            (thread & !flag::FILES, Err(inval)),
            (thread | flag::VFORK, Err(inval)),
            (flag::VM, Err(inval)),
            (flag::FILES, Err(inval)),
            (flag::FS, Err(inval)),
            (thread, Ok(())),
            (THREAD_FLAGS as u64 | flag::DETACHED, Ok(())),
            (0, Ok(())),
            (flag::PIDFD | flag::CLEAR_SIGHAND | flag::PARENT, Ok(())),
            (flag::VFORK, Ok(())),
            (flag::VFORK | flag::VM, Ok(())),
        ] {
            assert_eq!(check(flags), expected, "{flags:#x}");
        }
    }

    #[test]
    fn a_child_inherits_what_fork_says() {
        let (mut kernel, mut guest, tid) = machine();
        kernel.do_call(tid, nr::alarm, [5, 0, 0, 0, 0, 0], &mut guest);
        kernel.do_call(tid, nr::setpriority, [0, 0, 3, 0, 0, 0], &mut guest);
        guest.put_words(DATA, &[7, 99]);
        kernel.do_call(tid, nr::setrlimit, [0, DATA, 0, 0, 0, 0], &mut guest);
        guest.mask = u64::MAX;
        kernel.post_signal(NOW, VirtualPid(1000), signal(10));
        let child = kernel.fork(tid, 0, &mut guest);
        assert_eq!(child, VirtualTid(1001));
        assert_eq!(kernel.process_of(child), Some(VirtualPid(1001)));
        assert_eq!(kernel.pending(child), 0);
        assert_eq!(kernel.do_call(child, nr::alarm, [0; 6], &mut guest), 0);
        assert_eq!(kernel.do_call(child, nr::getpriority, [0; 6], &mut guest), 17);
        kernel.do_call(child, nr::getrlimit, [0, DATA, 0, 0, 0, 0], &mut guest);
        assert_eq!(guest.words::<2>(DATA), [7, 99]);
        let published = kernel.take_published(VirtualPid(1001)).unwrap();
        assert_eq!((published.parent, published.group, published.session), (1000, 1000, 1000));
        let [parent, child] = [1000, 1001].map(|pid| &kernel.processes[&VirtualPid(pid)]);
        assert_ne!(parent.address_space, child.address_space);
    }

    #[test]
    fn a_thread_belongs_to_its_process_and_numbers_are_stored() {
        let (mut kernel, mut guest, tid) = machine();
        let thread = kernel.add_thread(tid, &mut guest);
        assert_eq!((thread, kernel.process_of(thread)), (VirtualTid(1001), Some(VirtualPid(1000))));
        assert_eq!(guest.words::<2>(DATA), [1001, 0], "CLONE_PARENT_SETTID only");
        assert_eq!(kernel.threads_of(VirtualPid(1000)), [tid, thread]);
        let both = THREAD_FLAGS | libc::CLONE_CHILD_SETTID;
        kernel.fork(thread, both, &mut guest);
        assert_eq!(guest.words::<2>(DATA), [1002, 1002]);
        // Into a copied memory the child writes itself.
        kernel.fork(tid, libc::CLONE_CHILD_SETTID, &mut guest);
        assert_eq!(guest.words::<2>(DATA), [1002, 1002]);
    }

    #[test]
    fn what_fails_natively_never_was() {
        let (mut kernel, mut guest, tid) = machine();
        let Outcome::Clone { tid: child, .. } = clone(&mut kernel, tid, 17, &mut guest) else {
            panic!("a fork")
        };
        let unborn = kernel.do_call(child, nr::alarm, [0; 6], &mut guest);
        assert_eq!(unborn, Errno::ESRCH.as_return());
        let waited = kernel.do_call(tid, nr::wait4, [u64::MAX, 0, 1, 0, 0, 0], &mut guest);
        assert_eq!(waited, Errno::ECHILD.as_return());
        let outcome = kernel.clone_done(NOW, tid, child, Err(Errno::ENOMEM), &mut guest);
        assert_eq!(outcome, Outcome::Done(Errno::ENOMEM.as_return()));
        assert_eq!(kernel.process_of(child), None);
        assert_eq!(kernel.fork(tid, 0, &mut guest), VirtualTid(1002), "a new number");
    }

    #[test]
    fn vfork_waits_for_another_image_or_the_end() {
        for is_exec in [true, false] {
            let (mut kernel, mut guest, tid) = machine();
            guest.actions.insert(10, 0x1234);
            let child = kernel.fork(tid, libc::CLONE_VFORK | libc::CLONE_VM, &mut guest);
            assert_eq!(kernel.next_runnable(), None);
            let [parent, vforked] = [1000, 1001].map(|pid| &kernel.processes[&VirtualPid(pid)]);
            assert_eq!(parent.address_space, vforked.address_space);
            kernel.post_signal(NOW, VirtualPid(1000), signal(10));
            assert_eq!(kernel.next_runnable(), Some(tid));
            assert_eq!(kernel.resume(NOW, tid, &mut guest), Outcome::Park, "a signal is nothing");
            match is_exec {
                true => assert_eq!(kernel.exec_started(NOW, child, &mut guest), child),
                false => kernel.end(VirtualPid(1001), 0, &mut guest),
            }
            assert_eq!(kernel.next_runnable(), Some(tid));
            assert_eq!(kernel.resume(NOW, tid, &mut guest), Outcome::Done(1001));
        }
    }

    #[test]
    fn there_is_a_limit_for_the_user_and_for_the_machine() {
        let (mut kernel, mut guest, tid) = machine();
        guest.put_words(DATA, &[2, 2]);
        kernel.do_call(tid, nr::setrlimit, [6, DATA, 0, 0, 0, 0], &mut guest);
        kernel.fork(tid, 0, &mut guest);
        let again = Outcome::Done(Errno::EAGAIN.as_return());
        assert_eq!(clone(&mut kernel, tid, 17, &mut guest), again);

        let (mut kernel, mut guest, tid) = machine();
        for _ in 1..MAX_PROCESSES {
            kernel.fork(tid, 0, &mut guest);
        }
        assert_eq!(clone(&mut kernel, tid, 17, &mut guest), again);
        for _ in MAX_PROCESSES..MAX_THREADS {
            kernel.add_thread(tid, &mut guest);
        }
        assert_eq!(clone(&mut kernel, tid, THREAD_FLAGS as u64, &mut guest), again);
    }

    #[test]
    fn numbers_start_again_where_they_are_free() {
        let (mut kernel, mut guest, tid) = machine();
        kernel.last_id = 32_766;
        assert_eq!(kernel.fork(tid, 0, &mut guest), VirtualTid(32_767));
        assert_eq!(kernel.fork(tid, 0, &mut guest), VirtualTid(1001), "1000 is taken");
        kernel.end(VirtualPid(1001), 0, &mut guest);
        assert_eq!(kernel.fork(tid, 0, &mut guest), VirtualTid(1002), "not waited for yet");
    }
}
