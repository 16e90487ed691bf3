//! The end of a thread or of all threads of a process: `exit`, `exit_group`, `set_tid_address`.
//!
//! A status in, [`Outcome::ThreadExit`] or [`Outcome::Exit`] out. Always true: whoever waits for a thread by its
//! CHILD_CLEARTID word learns of its end before it is forgotten; a thread that is not its process's first leaves no
//! record. What becomes of a process without threads is in `end`, once it has ended natively.

use crate::context::{Answer, Context, done};
use crate::futex;
use crate::guest::GuestAddr;
use crate::ids::{VirtualPid, VirtualTid};
use crate::kernel::Kernel;
use crate::outcome::Outcome;
use crate::task::{Interval, State};

pub(crate) fn exit(context: &mut Context<'_>, status: i32) -> Answer {
    let (tid, pid) = (context.tid, context.pid);
    if context.kernel.threads_of(pid) == [tid] {
        // The process's status is its last thread's, whatever its first ended with.
        return exit_group(context, status);
    }
    futex::leave(context.kernel, context.now, &[tid], context.guest);
    context.kernel.orphan_children_of_thread(context.now, tid);
    context.kernel.forget_thread(tid);
    context.kernel.tell_task_gone(context.now, tid);
    context.kernel.assign_again(context.now, pid);
    Ok(Outcome::ThreadExit)
}

pub(crate) fn exit_group(context: &mut Context<'_>, status: i32) -> Answer {
    context.leave_all();
    context.kernel.stop_everything(context.pid);
    context.kernel.close_all(context.now, context.pid);
    Ok(Outcome::Exit { status: status & 0xff })
}

pub(crate) fn set_tid_address(context: &mut Context<'_>, to: GuestAddr) -> Answer {
    context.thread_mut().clear_child_tid = to;
    done(context.tid.0.into())
}

impl Context<'_> {
    /// All threads of the caller's process leave its memory.
    pub(crate) fn leave_all(&mut self) {
        let tids = self.kernel.threads_of(self.pid);
        futex::leave(self.kernel, self.now, &tids, self.guest);
    }
}

impl Kernel {
    /// A thread waits for nothing any more.
    pub(crate) fn end_wait(&mut self, tid: VirtualTid) {
        if let Some(State::Parked(parked)) = self.threads.get(&tid).map(|thread| thread.state) {
            self.unpark(tid, &parked);
        }
        self.unqueue(tid);
        self.waiters.end(tid);
        self.futexes.forget(tid);
        self.forget_sysv_pause(tid);
        self.forget_queue_pause(tid);
    }

    /// A thread is over. The record of a process's first stays as long as the process.
    pub(crate) fn forget_thread(&mut self, tid: VirtualTid) {
        self.end_wait(tid);
        let Some(thread) = self.threads.get_mut(&tid) else { return };
        thread.state = State::Ended;
        if thread.pid.leader() != tid {
            self.threads.remove(&tid);
        }
    }

    /// Nothing of the process is planned any more, and nothing wakes it.
    pub(crate) fn stop_everything(&mut self, pid: VirtualPid) {
        self.plan_interval(pid, Interval::default());
        self.delete_timers(pid);
        self.unplan_cpu(pid);
        for tid in self.threads_of(pid) {
            self.end_wait(tid);
            if let Some(thread) = self.threads.get_mut(&tid) {
                thread.state = State::Ended;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{DATA, machine, signal};
    use shim_abi::calls::nr;
    use shim_abi::{Errno, SimTime};

    const NOW: SimTime = SimTime::ZERO;

    #[test]
    fn the_last_thread_ends_the_process_with_its_status() {
        let (mut kernel, mut guest, tid) = machine();
        let thread = kernel.add_thread(tid, &mut guest);
        let outcome = kernel.call(NOW, tid, nr::exit, [3, 0, 0, 0, 0, 0], &mut guest);
        assert_eq!(outcome, Outcome::ThreadExit);
        assert_eq!(kernel.process_of(tid), Some(VirtualPid(1000)), "its number is not free");
        let gone = kernel.do_call(tid, nr::pause, [0; 6], &mut guest);
        assert_eq!(gone, Errno::ESRCH.as_return());
        let outcome = kernel.call(NOW, thread, nr::exit, [7, 0, 0, 0, 0, 0], &mut guest);
        assert_eq!(outcome, Outcome::Exit { status: 7 });
    }

    #[test]
    fn a_thread_that_ends_alone_leaves_nothing() {
        let (mut kernel, mut guest, tid) = machine();
        let thread = kernel.add_thread(tid, &mut guest);
        let outcome = kernel.call(NOW, thread, nr::exit, [0; 6], &mut guest);
        assert_eq!(outcome, Outcome::ThreadExit);
        assert_eq!(kernel.process_of(thread), None);
        let outcome = kernel.call(NOW, tid, nr::exit, [9, 0, 0, 0, 0, 0], &mut guest);
        assert_eq!(outcome, Outcome::Exit { status: 9 });
    }

    #[test]
    fn all_threads_end_together_from_any_of_them() {
        let (mut kernel, mut guest, tid) = machine();
        let [a, b] = [0; 2].map(|_| kernel.add_thread(tid, &mut guest));
        guest.put_words(DATA, &[5, 0]);
        kernel.call(NOW, b, nr::nanosleep, [DATA, 0, 0, 0, 0, 0], &mut guest);
        kernel.limit(NOW, tid);
        kernel.advance(NOW);
        let outcome = kernel.call(NOW, a, nr::exit_group, [4, 0, 0, 0, 0, 0], &mut guest);
        assert_eq!(outcome, Outcome::Exit { status: 4 });
        kernel.post_signal(NOW, VirtualPid(1000), signal(9));
        assert_eq!((kernel.next_event(), kernel.next_runnable()), (None, None));
    }

    #[test]
    fn the_children_of_a_thread_stay_its_processes() {
        let (mut kernel, mut guest, tid) = machine();
        let thread = kernel.add_thread(tid, &mut guest);
        let child = kernel.fork(thread, 0, &mut guest);
        let args = [libc::PR_SET_PDEATHSIG as u64, 12, 0, 0, 0, 0];
        assert_eq!(kernel.do_call(child, nr::prctl, args, &mut guest), 0);
        kernel.call(NOW, thread, nr::exit, [0; 6], &mut guest);
        assert_eq!(kernel.pending(child), 1 << 11, "as prctl(2) says: the parent is a thread");
        kernel.end(VirtualPid(child.0), 0, &mut guest);
        let args = [u64::MAX, 0, libc::__WNOTHREAD as u64, 0, 0, 0];
        assert_eq!(kernel.do_call(tid, nr::wait4, args, &mut guest), i64::from(child.0));
    }

    #[test]
    fn set_tid_address_tells_the_callers_number() {
        let (mut kernel, mut guest, tid) = machine();
        let thread = kernel.add_thread(tid, &mut guest);
        let args = [DATA, 0, 0, 0, 0, 0];
        assert_eq!(kernel.do_call(thread, nr::set_tid_address, args, &mut guest), 1001);
        guest.put_words(DATA, &[u64::MAX]);
        kernel.call(NOW, thread, nr::exit, [0; 6], &mut guest);
        assert_eq!(guest.words(DATA), [u64::from(u32::MAX) << 32]);
    }
}
