//! Processes behind descriptors: `pidfd_open`, `pidfd_send_signal`, and what others ask of such a file.
//!
//! Ids in, files out that mean this process or thread and never another that gets its number later. Always true: a
//! file becomes ready when what it means has ended, and hangs up when its number is free. Waiting for such a process
//! is `life::wait`'s, sending is `signal::send`'s.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use shim_abi::{Errno, SimTime};

use super::readiness::poll;
use super::table::{FileId, Object};
use crate::context::{Answer, Context, done};
use crate::ids::{VirtualPid, VirtualTid};
use crate::kernel::Kernel;
use crate::task::{Life, State};

/// PIDFD_THREAD.
pub(crate) const THREAD: u32 = libc::O_EXCL as u32;

/// A process or a thread.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Task {
    /// The thread, for a process its first.
    pub(crate) tid: VirtualTid,
    pub(crate) is_thread: bool,
    /// Whether it has been forgotten, so that its number may be another's.
    is_gone: bool,
}

/// The files of each task.
pub(super) type Tasks = BTreeSet<(VirtualTid, FileId)>;

pub(crate) fn pidfd_open(context: &mut Context<'_>, pid: i32, flags: u32, fd: u32) -> Answer {
    let nonblock = libc::O_NONBLOCK as u32;
    if flags & !(nonblock | THREAD) != 0 || pid <= 0 {
        return Err(Errno::EINVAL);
    }
    let tid = context.find_thread(pid)?;
    let is_thread = flags & THREAD != 0;
    let is_leader = context.kernel.process_of(tid).is_some_and(|pid| pid.leader() == tid);
    if !is_thread && !is_leader {
        return Err(Errno::ENOENT);
    }
    super::table::check_number(fd)?;
    let task = Task { tid, is_thread, is_gone: false };
    let file = context.kernel.open_task(context.now, task, flags);
    context.install(fd, file, true);
    done(fd.into())
}

impl Context<'_> {
    /// Give the caller's descriptor `fd` to a process, which may be gone.
    pub(crate) fn open_process(&mut self, pid: u32, fd: u32) {
        let tid = VirtualPid(pid).leader();
        let is_gone = !self.kernel.processes.contains_key(&VirtualPid(pid));
        let task = Task { tid, is_thread: false, is_gone };
        let file = self.kernel.open_task(self.now, task, 0);
        self.install(fd, file, true);
    }
}

/// The file behind descriptor `target` of the process that `fd` means, under the number `new` that the shim has
/// reserved: 0. If only the real kernel knows what that descriptor is: the process, for the shim to ask there.
pub(crate) fn pidfd_getfd(
    context: &mut Context<'_>,
    fd: u32,
    target: u32,
    flags: u32,
    new: u32,
) -> Answer {
    if flags != 0 {
        return Err(Errno::EINVAL);
    }
    let (task, _) = context.task_of(fd)?;
    let pid = context.kernel.process_of(task.tid).ok_or(Errno::ESRCH)?;
    let process = context.kernel.processes.get(&pid).ok_or(Errno::ESRCH)?;
    if !context.may_inspect(task.tid) {
        return Err(Errno::EPERM);
    }
    if process.life != Life::Alive {
        return Err(Errno::EBADF);
    }
    let Some(found) = process.descriptors.get(&target).copied() else {
        return done(pid.0.into());
    };
    super::table::check_number(new)?;
    context.install(new, found.file, true);
    done(0)
}

impl Context<'_> {
    /// What `clone` does for CLONE_PIDFD: the number was reserved by the shim. A bad one is nobody's.
    pub(crate) fn install_child(&mut self, fd: i32, child: VirtualTid) {
        let Ok(fd) = u32::try_from(fd) else { return };
        if super::table::check_number(fd).is_ok() {
            let task = Task { tid: child, is_thread: false, is_gone: false };
            let file = self.kernel.open_task(self.now, task, 0);
            self.install(fd, file, true);
        }
    }

    /// The process or thread that a descriptor means, and whether waiting for it is asked not to wait. EBADF if it
    /// means none, ESRCH if it is gone.
    pub(crate) fn task_of(&self, fd: u32) -> Result<(Task, bool), Errno> {
        let file = self.kernel.files.get(self.file(fd)?)?;
        match file.object {
            Object::Task(task) if task.is_gone => Err(Errno::ESRCH),
            Object::Task(task) => Ok((task, file.is_nonblocking())),
            _ => Err(Errno::EBADF),
        }
    }
}

impl Kernel {
    fn open_task(&mut self, now: SimTime, task: Task, flags: u32) -> FileId {
        // Files of one process have one inode.
        let others = self.files_of_task(task.tid);
        let inode = others.first().and_then(|&other| self.files.get(other).ok());
        let inode = inode.map(|file| file.inode).unwrap_or_else(|| self.files.new_inode());
        let status = libc::O_RDWR as u32 | flags;
        let id = self.open_file(now, Object::Task(task), status, Some(inode));
        self.files.tasks.insert((task.tid, id));
        id
    }

    /// Nobody refers to the file of a task any more.
    pub(super) fn close_task(&mut self, id: FileId, task: Task) {
        self.files.tasks.remove(&(task.tid, id));
    }

    fn files_of_task(&self, tid: VirtualTid) -> Vec<FileId> {
        let all = (tid, FileId(0))..=(tid, FileId(u32::MAX));
        self.files.tasks.range(all).map(|&(_, id)| id).collect()
    }

    pub(super) fn task_readiness(&self, task: Task) -> u32 {
        if task.is_gone {
            return poll::READ | poll::HUP;
        }
        let has_ended = match task.is_thread {
            true => {
                let thread = self.threads.get(&task.tid);
                thread.is_none_or(|thread| matches!(thread.state, State::Ended))
            }
            false => {
                let process = self.processes.get(&VirtualPid(task.tid.0));
                process.is_none_or(|process| process.life != Life::Alive)
            }
        };
        if has_ended { poll::READ } else { 0 }
    }

    /// A process or thread has ended: whoever has a file of it learns of that.
    pub(crate) fn tell_task_ended(&mut self, now: SimTime, tid: VirtualTid) {
        for id in self.files_of_task(tid) {
            self.notify_file(now, id, poll::READ);
        }
    }

    /// A process or thread has been forgotten, and its number is free.
    pub(crate) fn tell_task_gone(&mut self, now: SimTime, tid: VirtualTid) {
        for id in self.files_of_task(tid) {
            self.files.tasks.remove(&(tid, id));
            if let Ok(file) = self.files.get_mut(id)
                && let Object::Task(task) = &mut file.object
            {
                task.is_gone = true;
            }
            self.notify_file(now, id, poll::ANY);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Outcome;
    use crate::testing::{DATA, TestGuest, machine};
    use shim_abi::calls::{PSEUDO_POLL, nr};

    const NOW: SimTime = SimTime::ZERO;
    const NONBLOCK: u64 = libc::O_NONBLOCK as u64;
    const P_PIDFD: u64 = libc::P_PIDFD as u64;
    const WEXITED: u64 = libc::WEXITED as u64;

    /// A machine whose first process has a child, which it sees at 7.
    struct Bench {
        kernel: Kernel,
        guest: TestGuest,
        tid: VirtualTid,
        child: VirtualTid,
    }

    impl Bench {
        fn new(flags: u64) -> Bench {
            let (mut kernel, mut guest, tid) = machine();
            guest.actions.insert(17, 0x1234);
            let child = kernel.fork(tid, 0, &mut guest);
            let mut bench = Bench { kernel, guest, tid, child };
            let opened = bench.call(nr::pidfd_open, [child.0.into(), flags, 7, 0]);
            assert_eq!(opened, Outcome::Done(7));
            bench
        }
        fn call(&mut self, number: u32, [a, b, c, d]: [u64; 4]) -> Outcome {
            self.kernel.call(NOW, self.tid, number, [a, b, c, d, 0, 0], &mut self.guest)
        }
        fn error(&mut self, number: u32, args: [u64; 4]) -> Errno {
            match self.call(number, args) {
                Outcome::Done(result) => Errno::from_return(result).expect("it fails"),
                other => panic!("{other:?}"),
            }
        }
        fn ready(&mut self) -> u32 {
            self.guest.put_words(DATA, &[7 | 0xffff << 32]);
            self.call(PSEUDO_POLL, [DATA, 1, 0, 0]);
            (self.guest.words::<1>(DATA)[0] >> 48) as u32
        }
        fn end(&mut self) {
            self.kernel.end(VirtualPid(self.child.0), 3, &mut self.guest);
        }
    }

    #[test]
    fn it_is_ready_when_the_process_has_ended_and_hangs_up_when_it_is_forgotten() {
        let mut bench = Bench::new(0);
        assert_eq!(bench.ready(), 0);
        bench.guest.put_words(DATA, &[7 | 1 << 32]);
        assert_eq!(bench.call(PSEUDO_POLL, [DATA, 1, u64::MAX, 0]), Outcome::Park);
        bench.guest.mask = u64::MAX;
        bench.end();
        assert_eq!(bench.kernel.next_runnable(), Some(bench.tid));
        let outcome = bench.kernel.resume(NOW, bench.tid, &mut bench.guest);
        assert_eq!(outcome, Outcome::Done(1));
        assert_eq!(bench.ready(), poll::READ);
        assert_eq!(bench.call(nr::pidfd_send_signal, [7, 15, 0, 0]), Outcome::Done(0));
        assert_eq!(bench.call(nr::waitid, [P_PIDFD, 7, DATA, WEXITED]), Outcome::Done(0));
        assert_eq!(bench.guest.words::<4>(DATA)[3], 3, "si_status");
        assert_eq!(bench.ready(), poll::READ | poll::HUP);
        assert_eq!(bench.error(nr::pidfd_send_signal, [7, 15, 0, 0]), Errno::ESRCH);
        assert_eq!(bench.error(nr::waitid, [P_PIDFD, 7, 0, WEXITED]), Errno::ECHILD);
        assert!(bench.kernel.files.tasks.is_empty());
    }

    #[test]
    fn waiting_may_be_refused_by_the_descriptor() {
        let mut bench = Bench::new(NONBLOCK);
        assert_eq!(bench.error(nr::waitid, [P_PIDFD, 7, 0, WEXITED]), Errno::EAGAIN);
        assert_eq!(bench.error(nr::waitid, [P_PIDFD, 9, 0, WEXITED]), Errno::EBADF);
        bench.end();
        assert_eq!(bench.call(nr::waitid, [P_PIDFD, 7, 0, WEXITED]), Outcome::Done(0));
    }

    #[test]
    fn descriptors_of_others_are_copied() {
        let mut bench = Bench::new(0);
        assert_eq!(bench.call(nr::pidfd_open, [1000, 0, 9, 0]), Outcome::Done(9));
        assert_eq!(bench.call(nr::eventfd2, [5, 0, 10, 0]), Outcome::Done(10));
        assert_eq!(bench.call(nr::pidfd_getfd, [9, 10, 0, 11]), Outcome::Done(0));
        assert_eq!(bench.call(nr::read, [11, DATA, 8, 0]), Outcome::Done(8), "the same counter");
        assert_eq!(
            bench.call(nr::pidfd_getfd, [9, 0, 0, 12]),
            Outcome::Done(1000),
            "the shim knows"
        );
        assert_eq!(bench.error(nr::pidfd_getfd, [9, 10, 1, 12]), Errno::EINVAL);
        assert_eq!(bench.error(nr::pidfd_getfd, [10, 10, 0, 12]), Errno::EBADF);
        bench.end();
        assert_eq!(bench.error(nr::pidfd_getfd, [7, 10, 0, 12]), Errno::EBADF, "a zombie has none");
    }

    #[test]
    fn only_what_exists_is_opened() {
        let mut bench = Bench::new(0);
        let thread = bench.kernel.add_thread(bench.tid, &mut bench.guest);
        for (pid, flags, expected) in [
            (u64::MAX, 0, Errno::EINVAL),
            (0, 0, Errno::EINVAL),
            (1000, 1, Errno::EINVAL),
            (9999, 0, Errno::ESRCH),
            (thread.0.into(), 0, Errno::ENOENT),
        ] {
            assert_eq!(bench.error(nr::pidfd_open, [pid, flags, 8, 0]), expected, "{pid}");
        }
        let args = [thread.0.into(), THREAD.into(), 8, 0];
        assert_eq!(bench.call(nr::pidfd_open, args), Outcome::Done(8));
        assert_eq!(bench.error(nr::read, [8, 8, 8, 0]), Errno::EINVAL);
    }

    #[test]
    fn files_of_one_process_are_one_inode() {
        let mut bench = Bench::new(0);
        let child = bench.child.0.into();
        bench.call(nr::pidfd_open, [child, 0, 8, 0]);
        bench.call(nr::pidfd_open, [1000, 0, 9, 0]);
        let inodes = [7, 8, 9].map(|fd| {
            assert_eq!(bench.call(nr::fstat, [fd, DATA, 0, 0]), Outcome::Done(0));
            bench.guest.words::<2>(DATA)[1]
        });
        assert_eq!(inodes[0], inodes[1]);
        assert_ne!(inodes[0], inodes[2]);
    }

    #[test]
    fn signals_are_sent_as_the_descriptor_or_the_flags_say() {
        let mut bench = Bench::new(0);
        bench.call(nr::pidfd_open, [1000, 0, 8, 0]);
        bench.guest.put_words(DATA, &[10, 0, 0, 0, 0, 0]);
        bench.guest.put_words(DATA + 128, &[10, 0xffff_fffa, 0, 0, 0, 0]);
        for (args, expected) in [
            ([99, 0, 0, 8], Errno::EINVAL),
            ([99, 0, 0, 3], Errno::EINVAL),
            ([99, 0, 0, 0], Errno::EBADF),
            ([7, 65, 0, 0], Errno::EINVAL),
            ([7, 10, 8, 0], Errno::EFAULT),
            ([7, 12, DATA, 0], Errno::EINVAL),
            ([7, 10, DATA, 0], Errno::EPERM),
            ([7, 10, DATA + 128, 0], Errno::EPERM),
            ([7, 0, 0, 4], Errno::ESRCH),
        ] {
            assert_eq!(bench.error(nr::pidfd_send_signal, args), expected, "{args:?}");
        }
        for args in [[8, 10, DATA, 0], [8, 0, 0, 1], [-10_000_i64 as u64, 0, 0, 0]] {
            assert_eq!(bench.call(nr::pidfd_send_signal, args), Outcome::Done(0), "{args:?}");
        }
        assert_eq!(bench.kernel.pending(bench.tid), 1 << 9);
        bench.call(nr::pidfd_send_signal, [7, 12, 0, 0]);
        assert_eq!(bench.kernel.pending(bench.child), 1 << 11);
        // A real descriptor, of which the shim knows whose directory it is.
        let (number, child) = (nr::pidfd_send_signal, bench.child.0.into());
        let mut send = |process| {
            let args = [99, 13, 0, 0, process, 0];
            bench.kernel.call(NOW, bench.tid, number, args, &mut bench.guest)
        };
        assert_eq!(send(child), Outcome::Done(0));
        assert_eq!(send(999_999), Outcome::Done(Errno::ESRCH.as_return()));
        assert_eq!(bench.kernel.pending(bench.child), 1 << 11 | 1 << 12);
    }

    #[test]
    fn a_clone_may_bring_one() {
        let mut bench = Bench::new(0);
        let flags = (libc::CLONE_PIDFD | libc::SIGCHLD) as u64;
        let args = [flags, 0, 0, 0, 0, 9];
        let outcome = bench.kernel.call(NOW, bench.tid, nr::clone, args, &mut bench.guest);
        let Outcome::Clone { tid, .. } = outcome else { panic!("{outcome:?}") };
        bench.kernel.clone_done(NOW, bench.tid, tid, Ok(()), &mut bench.guest);
        let kernel = &bench.kernel;
        let parent = &kernel.processes[&VirtualPid(1000)].descriptors;
        assert!(parent[&9].is_close_on_exec);
        assert!(!kernel.processes[&VirtualPid(tid.0)].descriptors.contains_key(&9));
        let task = &kernel.files.get(parent[&9].file).unwrap().object;
        assert!(matches!(task, Object::Task(task) if task.tid == tid));
    }
}
