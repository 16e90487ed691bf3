//! Stopping and continuing a process: job control.
//!
//! A signal in; threads that are held back, or go on, and a parent that learns of it out. Always true: a stopped
//! process has no thread that runs: those that wait go on waiting, or their calls have ended with EINTR where Linux
//! says so, and are resumed when it is continued (SIGCONT, as soon as it is sent) or killed; a stop signal of a terminal does nothing in an orphaned process group. That a
//! process goes on is told to its parent by the first of its threads that does, because only then the parent's
//! actions are at hand.

use shim_abi::{Errno, SimTime};

use super::Target;
use super::number::{SIGCONT, SIGSTOP};
use crate::context::Context;
use crate::ids::{VirtualPid, VirtualTid};
use crate::kernel::Kernel;
use crate::task::{Job, Life, Parked, State, Wait, Wake};
use crate::waiters::Source;

impl Context<'_> {
    /// The caller's process stops by this signal, unless its group is orphaned and the signal respects that.
    pub(super) fn stop(&mut self, signal: u32) -> bool {
        if signal != SIGSTOP && self.kernel.is_orphaned(self.process().group, None) {
            return false;
        }
        let job = Job { is_stopped: true, untold_stop: Some(signal), ..Job::default() };
        self.process_mut().job = job;
        self.kernel.end_calls_by_stop(self.now, self.pid);
        self.tell_parent_of_job(libc::CLD_STOPPED, signal);
        true
    }

    /// Whether a call that even a stop ends is over: there is such a signal, or `mask` lets one through.
    pub(crate) fn is_ended_by_signal(&mut self, mask: u64) -> bool {
        self.has_signal(mask) || self.is_stopped()
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.process().job.is_stopped
    }

    /// The caller, whose call is over, waits until its process is continued.
    pub(super) fn park_stopped(&mut self) {
        let parked =
            Parked { since: self.now, deadline: SimTime::MAX, wait: Wait::Stopped, wake: None };
        self.kernel.park(self.tid, parked);
    }

    /// Tell the parent that the caller's process goes on, if nobody has.
    pub(crate) fn give_notice(&mut self) {
        if core::mem::take(&mut self.process_mut().job.owes_notice) {
            self.tell_parent_of_job(libc::CLD_CONTINUED, SIGCONT);
        }
    }

    fn tell_parent_of_job(&mut self, code: i32, status: u32) {
        const IGNORE: u64 = 1;
        let parent = self.process().parent;
        if parent == VirtualPid::INIT {
            return;
        }
        let info = self.kernel.child_info(self.pid, code, status as i32);
        let (handler, flags) = self.guest.action_of(parent, info.signal);
        if handler != IGNORE && flags & libc::SA_NOCLDSTOP as u64 == 0 {
            // What the kernel sends needs no room.
            let _ = self.kernel.queue_signal(self.now, Target::Process(parent), info);
        }
        self.kernel.notify(self.now, Source::Children(parent));
    }
}

impl Kernel {
    /// SIGCONT was sent to a process: it goes on, whatever becomes of the signal.
    pub(super) fn continue_process(&mut self, now: SimTime, pid: VirtualPid) {
        let Some(process) = self.processes.get_mut(&pid) else { return };
        if process.job.is_stopped {
            process.job = Job { is_continued: true, owes_notice: true, ..Job::default() };
            self.resume_all(now, pid);
        }
    }

    /// SIGKILL was sent to a process: if it is stopped, that is over.
    pub(super) fn release_to_die(&mut self, now: SimTime, pid: VirtualPid) {
        let Some(process) = self.processes.get_mut(&pid) else { return };
        if process.job.is_stopped {
            process.job = Job::default();
            self.resume_all(now, pid);
        }
    }

    /// The threads of a process that is not stopped any more go on; one of them at least looks.
    fn resume_all(&mut self, now: SimTime, pid: VirtualPid) {
        let Some(process) = self.processes.get_mut(&pid) else { return };
        let held = core::mem::take(&mut process.held);
        let mut is_anybody_awake = !held.is_empty();
        self.queue_held(held);
        for tid in self.threads_of(pid) {
            if self.is_parked_stopped(tid) {
                self.wake(tid, Wake::Look);
                is_anybody_awake = true;
            }
        }
        // Signals that came meanwhile are nobody's yet.
        self.assign_again(now, pid);
        if !is_anybody_awake && let Some(&tid) = self.threads_of(pid).first() {
            self.wake_to_look(now, tid);
        }
    }

    /// The calls of a process's parked threads that a stop ends are over; see signal(7). Who has been woken already
    /// has its result.
    fn end_calls_by_stop(&mut self, now: SimTime, pid: VirtualPid) {
        for tid in self.threads_of(pid) {
            let Some(thread) = self.threads.get_mut(&tid) else { continue };
            let State::Parked(parked) = thread.state else { continue };
            let is_ended =
                matches!(parked.wait, Wait::Semaphores | Wait::Epoll { .. } | Wait::OneOf { .. });
            if is_ended && parked.wake.is_none() {
                thread.result = Errno::EINTR.as_return();
                self.end_wait(tid);
                self.end_parked_call(now, tid);
                let parked =
                    Parked { since: now, deadline: SimTime::MAX, wait: Wait::Stopped, wake: None };
                self.park(tid, parked);
            }
        }
    }

    fn is_parked_stopped(&self, tid: VirtualTid) -> bool {
        let state = self.threads.get(&tid).map(|thread| thread.state);
        matches!(state, Some(State::Parked(Parked { wait: Wait::Stopped, .. })))
    }

    /// Whether nobody outside a process group, but in its session, cares for it: no process of it, but perhaps the one
    /// that is to be left out, has such a parent.
    pub(crate) fn is_orphaned(&self, group: VirtualPid, without: Option<VirtualPid>) -> bool {
        let cares = |(pid, process): (&VirtualPid, &crate::task::Process)| {
            let parent = self.processes.get(&process.parent);
            process.group == group
                && Some(*pid) != without
                && process.life == Life::Alive
                && process.parent != VirtualPid::INIT
                && parent.is_some_and(|parent| {
                    parent.group != group && parent.session == process.session
                })
        };
        !self.processes.iter().any(cares)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{DATA, TestGuest, UID, machine};
    use crate::{Outcome, SignalOutcome};
    use alloc::vec::Vec;
    use shim_abi::calls::nr;
    use shim_abi::event::SignalInfo;

    const NOW: SimTime = SimTime::ZERO;
    const SIGCHLD: u32 = libc::SIGCHLD as u32;
    const SIGTSTP: u32 = libc::SIGTSTP as u32;
    const SIGKILL: u32 = libc::SIGKILL as u32;

    /// A process (1000) with a child (1001), which has a group of its own.
    struct Family {
        kernel: Kernel,
        guest: TestGuest,
        parent: VirtualTid,
        child: VirtualTid,
    }

    impl Family {
        fn new() -> Family {
            let (mut kernel, mut guest, parent) = machine();
            let child = kernel.fork(parent, 0, &mut guest);
            let mut family = Family { kernel, guest, parent, child };
            assert_eq!(family.call(child, nr::setpgid, [0; 4]), Outcome::Done(0));
            family
        }
        fn call(&mut self, tid: VirtualTid, number: u32, args: [u64; 4]) -> Outcome {
            let [a, b, c, d] = args;
            self.kernel.call(NOW, tid, number, [a, b, c, d, 0, 0], &mut self.guest)
        }
        fn kill(&mut self, signal: u32) {
            let sent = self.call(self.parent, nr::kill, [self.child.0.into(), signal.into(), 0, 0]);
            assert_eq!(sent, Outcome::Done(0));
        }
        fn take(&mut self, tid: VirtualTid) -> SignalOutcome {
            self.kernel.take_signal(NOW, tid, &mut self.guest)
        }
        /// Who can be resumed, and what its call comes to.
        fn resume(&mut self) -> Option<(VirtualTid, Outcome)> {
            let tid = self.kernel.next_runnable()?;
            Some((tid, self.kernel.resume(NOW, tid, &mut self.guest)))
        }
        /// What `wait4` tells of the child without waiting.
        fn wait(&mut self, options: i32) -> Option<u64> {
            let options = (libc::WNOHANG | options) as u64;
            match self.call(self.parent, nr::wait4, [u64::MAX, DATA, options, 0]) {
                Outcome::Done(1001) => Some(self.guest.words::<1>(DATA)[0]),
                _ => None,
            }
        }
        fn child_info(code: i32, status: u32) -> SignalOutcome {
            SignalOutcome::Deliver(SignalInfo {
                signal: SIGCHLD,
                code,
                pid: 1001,
                uid: UID,
                value: status.into(),
                tail: [0, 0],
            })
        }
    }

    #[test]
    fn a_parent_hears_of_a_stop_and_of_its_end() {
        let mut family = Family::new();
        family.guest.actions.insert(SIGCHLD, 0x1234);
        family.kill(SIGTSTP);
        assert_eq!(family.take(family.child), SignalOutcome::Stop);
        assert_eq!(family.take(family.parent), Family::child_info(libc::CLD_STOPPED, SIGTSTP));
        assert_eq!(family.wait(0), None, "not asked for");
        assert_eq!(family.wait(libc::WUNTRACED), Some(u64::from(SIGTSTP) << 8 | 0x7f));
        assert_eq!(family.wait(libc::WUNTRACED), None, "told once");
        family.kill(SIGCONT);
        assert_eq!(family.wait(libc::WCONTINUED), Some(0xffff), "as soon as it is sent");
        assert_eq!(family.wait(libc::WCONTINUED), None);
        assert_eq!(family.take(family.parent), SignalOutcome::None, "but it has not run yet");
        // The call that it had ended when it was stopped returns what it would have.
        assert_eq!(family.resume(), Some((family.child, Outcome::Done(0))));
        assert_eq!(family.take(family.parent), Family::child_info(libc::CLD_CONTINUED, SIGCONT));
        assert_eq!(family.take(family.child), SignalOutcome::None);
    }

    #[test]
    fn a_result_is_kept_over_a_stop() {
        let mut family = Family::new();
        let child = family.child;
        assert_eq!(family.call(child, nr::getpgid, [0; 4]), Outcome::Done(1001));
        family.kill(SIGSTOP);
        assert_eq!(family.take(child), SignalOutcome::Stop);
        family.kill(SIGCONT);
        assert_eq!(family.resume(), Some((child, Outcome::Done(1001))));
    }

    #[test]
    fn a_parent_may_not_want_to_hear_of_stops() {
        for (handler, flags) in [(1, 0), (0x1234, libc::SA_NOCLDSTOP as u64)] {
            let mut family = Family::new();
            family.guest.actions.insert(SIGCHLD, handler);
            family.guest.flags.insert(SIGCHLD, flags);
            let waits = [u64::MAX, DATA, libc::WUNTRACED as u64, 0];
            assert_eq!(family.call(family.parent, nr::wait4, waits), Outcome::Park);
            // Somebody else sends it.
            family.call(family.child, nr::kill, [1001, SIGSTOP.into(), 0, 0]);
            assert_eq!(family.take(family.child), SignalOutcome::Stop);
            assert_eq!(family.kernel.pending(family.parent), 0);
            assert_eq!(family.resume(), Some((family.parent, Outcome::Done(1001))));
        }
    }

    #[test]
    fn who_waits_goes_on_waiting_and_all_threads_are_held() {
        let mut family = Family::new();
        let child = family.child;
        let thread = family.kernel.add_thread(child, &mut family.guest);
        family.guest.put_words(DATA, &[5, 0]);
        assert_eq!(family.call(child, nr::nanosleep, [DATA, 0, 0, 0]), Outcome::Park);
        family.kernel.limit(NOW, thread);
        family.kernel.advance(NOW);
        family.kill(SIGSTOP);
        // Whichever thread comes first stops them all.
        assert_eq!(family.resume(), Some((thread, Outcome::Done(0))));
        assert_eq!(family.resume(), Some((child, Outcome::Park)));
        assert_eq!(family.take(thread), SignalOutcome::Stop);
        let end = SimTime::from_ns(5_000_000_000);
        family.kernel.advance(end);
        assert_eq!(family.resume(), None, "its time is over, but it is stopped");
        family.kill(SIGCONT);
        assert_eq!(family.resume(), Some((child, Outcome::Done(0))));
        assert_eq!(family.resume(), Some((thread, Outcome::Done(0))));
        assert_eq!(family.resume(), None);
    }

    #[test]
    fn who_was_named_before_the_stop_is_named_again() {
        let mut family = Family::new();
        let child = family.child;
        let thread = family.kernel.add_thread(child, &mut family.guest);
        family.guest.put_words(DATA, &[0, 1]);
        assert_eq!(family.call(thread, nr::nanosleep, [DATA, 0, 0, 0]), Outcome::Park);
        family.kernel.advance(SimTime::from_ns(1));
        assert_eq!(family.kernel.next_runnable(), Some(thread));
        family.kill(SIGSTOP);
        assert_eq!(family.take(child), SignalOutcome::Stop);
        assert_eq!(family.kernel.resume(NOW, thread, &mut family.guest), Outcome::Park);
        assert_eq!(family.resume(), None);
        family.kill(SIGCONT);
        assert_eq!(family.resume(), Some((thread, Outcome::Done(0))));
        assert_eq!(family.resume(), Some((child, Outcome::Done(1002))));
    }

    #[test]
    fn some_calls_end_by_a_stop_without_a_handler() {
        let interrupted = Outcome::Done(Errno::EINTR.as_return());
        for is_met_by_itself in [true, false] {
            let mut family = Family::new();
            let child = family.child;
            let thread = family.kernel.add_thread(child, &mut family.guest);
            let [waits, stops] = if is_met_by_itself { [child, thread] } else { [thread, child] };
            family.guest.put_words(DATA, &[1 << 11]);
            family.guest.mask = 1 << 11;
            let waiting = family.call(waits, nr::rt_sigtimedwait, [DATA, 0, 0, 8]);
            assert_eq!(waiting, Outcome::Park);
            family.kill(SIGSTOP);
            if !is_met_by_itself {
                assert_eq!(family.take(stops), SignalOutcome::Stop);
            } else {
                assert_eq!(family.resume(), Some((waits, interrupted)));
                assert_eq!(family.take(waits), SignalOutcome::Stop);
            }
            // It comes too late.
            family.kill(12);
            assert_eq!(family.resume(), None);
            family.kill(SIGCONT);
            let mut resumed: Vec<_> = core::iter::from_fn(|| family.resume()).collect();
            resumed.sort_by_key(|&(tid, _)| tid != waits);
            assert_eq!(resumed[0], (waits, interrupted));
            assert_ne!(family.kernel.pending(waits) & 1 << 11, 0);
        }
    }

    #[test]
    fn a_stopped_process_can_be_killed_but_nothing_else() {
        let mut family = Family::new();
        let child = family.child;
        family.guest.actions.insert(12, 0x1234);
        family.kill(SIGSTOP);
        assert_eq!(family.take(child), SignalOutcome::Stop);
        family.kill(12);
        assert_eq!(family.resume(), None);
        family.kill(SIGKILL);
        assert_eq!(family.resume(), Some((child, Outcome::Done(0))));
        assert_eq!(family.take(child), SignalOutcome::Die { signal: SIGKILL });
    }

    #[test]
    fn what_came_during_a_stop_is_seen_afterwards() {
        let mut family = Family::new();
        let child = family.child;
        family.guest.actions.insert(12, 0x1234);
        assert_eq!(family.call(child, nr::pause, [0; 4]), Outcome::Park);
        family.kill(SIGSTOP);
        assert_eq!(family.resume(), Some((child, Outcome::Park)));
        family.kill(12);
        assert_eq!(family.resume(), None);
        family.kill(SIGCONT);
        let interrupted = Outcome::Done(shim_abi::Errno::EINTR.as_return());
        assert_eq!(family.resume(), Some((child, interrupted)));
        assert!(matches!(family.take(child), SignalOutcome::Deliver(info) if info.signal == 12));
    }

    #[test]
    fn a_terminals_stop_means_nothing_to_an_orphaned_group() {
        let (mut kernel, mut guest, tid) = machine();
        for signal in [libc::SIGTSTP, libc::SIGTTIN, libc::SIGTTOU] {
            kernel.do_call(tid, nr::kill, [1000, signal as u64, 0, 0, 0, 0], &mut guest);
            assert_eq!(kernel.take_signal(NOW, tid, &mut guest), SignalOutcome::None);
        }
        kernel.do_call(tid, nr::kill, [1000, SIGSTOP.into(), 0, 0, 0, 0], &mut guest);
        assert_eq!(kernel.take_signal(NOW, tid, &mut guest), SignalOutcome::Stop);
    }

    #[test]
    fn continuing_works_even_if_the_signal_is_blocked_or_handled() {
        for (mask, handler) in [(1 << 17, 0), (0, 0x1234), (0, 1)] {
            let mut family = Family::new();
            let child = family.child;
            family.guest.actions.insert(SIGCONT, handler);
            family.kill(SIGSTOP);
            assert_eq!(family.take(child), SignalOutcome::Stop);
            family.guest.mask = mask;
            family.kill(SIGCONT);
            assert_eq!(family.resume(), Some((child, Outcome::Done(0))));
            let is_delivered = matches!(family.take(child), SignalOutcome::Deliver(_));
            assert_eq!(is_delivered, handler == 0x1234);
        }
    }
}
