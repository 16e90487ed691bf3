//! Another image: what `execve` changes in the kernel's records, once it has happened natively.
//!
//! A thread in, the number that it has from now on out. Always true: afterwards the process has one thread, and that
//! has the process's number; what belonged to the old memory (where to store zero, address space) is forgotten,
//! what exec(3) keeps is kept. Replacing the image is the guest's business.

use shim_abi::SimTime;

use crate::context::Context;
use crate::guest::Guest;
use crate::guest::GuestAddr;
use crate::ids::{VirtualPid, VirtualTid};
use crate::kernel::Kernel;
use crate::task::State;
use crate::waiters::Source;

impl Kernel {
    /// A new image has started in the process of `tid`: its other threads are gone, and whatever it waited for is
    /// over. The number of the thread from now on, which is that of its process.
    pub fn exec_started(
        &mut self,
        now: SimTime,
        tid: VirtualTid,
        guest: &mut dyn Guest,
    ) -> VirtualTid {
        let Some(context) = Context::new(self, now, tid, guest) else { return tid };
        let pid = context.pid;
        self.drop_futexes(now, &self.threads_of(pid));
        self.end_wait(tid);
        self.delete_timers(pid);
        for other in self.threads_of(pid) {
            if other != tid {
                self.forget_thread(other);
                if other != pid.leader() {
                    self.tell_task_gone(now, other);
                }
            }
        }
        self.rename_to_leader(tid, pid);
        self.drop_attachments(now, pid, guest);
        let address_space = self.next_address_space();
        if let Some(process) = self.processes.get_mut(&pid) {
            process.images += 1;
            process.address_space = address_space;
            process.exit_signal = libc::SIGCHLD as u32;
        }
        self.close_on_exec(now, pid);
        self.notify(now, Source::Image(pid));
        self.notify(now, Source::FileLocks);
        pid.leader()
    }

    /// The last thread of a process takes the place of its first.
    fn rename_to_leader(&mut self, tid: VirtualTid, pid: VirtualPid) {
        let leader = pid.leader();
        let Some(mut thread) = self.threads.remove(&tid) else { return };
        thread.state = State::Running;
        thread.suspended_mask = None;
        thread.clear_child_tid = GuestAddr(0);
        thread.robust_list = GuestAddr(0);
        self.threads.insert(leader, thread);
        for child in self.processes.values_mut().filter(|child| child.parent == pid) {
            child.parent_thread = leader;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Outcome;
    use crate::testing::{DATA, machine, signal};
    use shim_abi::Errno;
    use shim_abi::calls::nr;

    const NOW: SimTime = SimTime::ZERO;

    #[test]
    fn a_thread_takes_the_place_of_its_first() {
        let (mut kernel, mut guest, tid) = machine();
        let [a, b] = [0; 2].map(|_| kernel.add_thread(tid, &mut guest));
        let child = kernel.fork(a, 0, &mut guest);
        kernel.call(NOW, tid, nr::pause, [0; 6], &mut guest);
        guest.put_words(DATA, &[5, 0]);
        kernel.call(NOW, b, nr::nanosleep, [DATA, 0, 0, 0, 0, 0], &mut guest);
        kernel.do_call(a, nr::setpriority, [0, 0, 5, 0, 0, 0], &mut guest);
        let old_space = kernel.processes[&VirtualPid(1000)].address_space;
        assert_eq!(kernel.exec_started(NOW, a, &mut guest), tid);
        assert_eq!(kernel.threads_of(VirtualPid(1000)), [tid]);
        assert_eq!(kernel.next_event(), None, "the sleeper is gone");
        assert_eq!(kernel.do_call(tid, nr::getpriority, [0; 6], &mut guest), 15);
        assert_ne!(kernel.processes[&VirtualPid(1000)].address_space, old_space);
        // What was the thread's child is the process's.
        kernel.end(VirtualPid(child.0), 0, &mut guest);
        let args = [u64::MAX, 0, libc::__WNOTHREAD as u64, 0, 0, 0];
        assert_eq!(kernel.do_call(tid, nr::wait4, args, &mut guest), i64::from(child.0));
        // Signals find it where it is now.
        guest.actions.insert(10, 0x1234);
        kernel.call(NOW, tid, nr::pause, [0; 6], &mut guest);
        kernel.post_signal(NOW, VirtualPid(1000), signal(10));
        assert_eq!(kernel.next_runnable(), Some(tid));
        let interrupted = Outcome::Done(Errno::EINTR.as_return());
        assert_eq!(kernel.resume(NOW, tid, &mut guest), interrupted);
        assert_eq!(kernel.next_runnable(), None);
    }

    #[test]
    fn who_was_about_to_run_is_gone() {
        let (mut kernel, mut guest, tid) = machine();
        let thread = kernel.add_thread(tid, &mut guest);
        kernel.limit(NOW, thread);
        kernel.advance(NOW);
        kernel.exec_started(NOW, tid, &mut guest);
        assert_eq!(kernel.next_runnable(), None);
        assert_eq!(kernel.process_of(thread), None);
    }
}
