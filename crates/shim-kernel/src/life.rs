//! Birth and death of processes: what `spawn` records, `exit`, `exit_group`.
//!
//! A process's number in, its records in the kernel's maps, or gone from them. Always true: a process
//! that has exited has no timer, waits for nothing and cannot be woken; its number is never used again.
//! Starting and ending real processes is `shim-host`'s.

use crate::context::{Answer, Context};
use crate::ids::VirtualPid;
use crate::kernel::{Kernel, owned};
use crate::limits::Limits;
use crate::outcome::Outcome;
use crate::sched::Scheduling;
use crate::signal::Pending;
use crate::task::{Interval, Process, State, Thread};

/// The number of the first process of a machine but for the one that is always there.
pub(crate) const FIRST_ID: u32 = 1000;

/// The calling thread ends: the process has no other.
pub(crate) fn exit(context: &mut Context<'_>, status: i32) -> Answer {
    exit_group(context, status)
}

pub(crate) fn exit_group(context: &mut Context<'_>, status: i32) -> Answer {
    let pid = context.pid;
    context.kernel.stop_everything(pid);
    Ok(Outcome::Exit { status: status & 0xff })
}

impl Kernel {
    /// Record a new process with one thread, the leader of a group and session of its own.
    pub(crate) fn add_process(&mut self, pid: VirtualPid, parent: VirtualPid, program: &str) {
        let process = Process {
            parent,
            group: pid,
            session: pid,
            program: owned(program),
            limits: Limits::new(&self.config),
            interval: Interval::default(),
            pending: Pending::default(),
            cpu_ns: 0,
            is_changed: true,
        };
        let thread = Thread {
            pid,
            state: State::Running,
            pending: Pending::default(),
            suspended_mask: None,
            scheduling: Scheduling::new(self.config.cpu_count),
        };
        self.processes.insert(pid, process);
        self.threads.insert(pid.leader(), thread);
        self.started_processes += 1;
    }

    /// Nothing of the process is planned any more, and nothing wakes it.
    fn stop_everything(&mut self, pid: VirtualPid) {
        self.plan_interval(pid, Interval::default());
        for tid in self.threads_of(pid) {
            if let Some(State::Parked(parked)) = self.threads.get(&tid).map(|thread| thread.state) {
                self.unpark(tid, &parked);
            }
            if let Some(thread) = self.threads.get_mut(&tid) {
                thread.state = State::Ended;
            }
        }
    }

    /// Forget a process.
    pub(crate) fn remove_process(&mut self, pid: VirtualPid) {
        if pid == VirtualPid::INIT {
            return;
        }
        self.stop_everything(pid);
        self.threads.retain(|_, thread| thread.pid != pid);
        if let Some(process) = self.processes.remove(&pid) {
            self.ended_cpu_ns = self.ended_cpu_ns.saturating_add(process.cpu_ns);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{DATA, machine};
    use crate::{SignalOutcome, VirtualTid};
    use shim_abi::calls::nr;
    use shim_abi::{Errno, SimTime};

    const NOW: SimTime = SimTime::ZERO;

    #[test]
    fn processes_are_numbered_from_1000_and_each_has_a_stream_of_its_own() {
        let (mut kernel, _, tid) = machine();
        assert_eq!(tid, VirtualTid(1000));
        kernel.process_ended(VirtualPid(1000));
        let (pid, tid) = kernel.spawn(NOW, "second");
        assert_eq!((pid, tid), (VirtualPid(1001), VirtualTid(1001)), "numbers are not used again");
        assert_eq!(kernel.program(pid), Some("second"));
        assert_ne!(kernel.process_random_state(pid), kernel.process_random_state(VirtualPid(1000)));
        let same = machine().0.process_random_state(pid);
        assert_eq!(kernel.process_random_state(pid), same);
    }

    #[test]
    fn a_process_that_exits_has_nothing_planned_and_cannot_be_reached() {
        for number in [nr::exit, nr::exit_group] {
            let (mut kernel, mut guest, tid) = machine();
            kernel.do_call(tid, nr::alarm, [5, 0, 0, 0, 0, 0], &mut guest);
            let outcome = kernel.call(NOW, tid, number, [0x1ff, 0, 0, 0, 0, 0], &mut guest);
            assert_eq!(outcome, Outcome::Exit { status: 255 });
            assert_eq!(kernel.next_event(), None);
            let ended = kernel.do_call(tid, nr::sysinfo, [DATA, 0, 0, 0, 0, 0], &mut guest);
            assert_eq!(ended, Errno::ESRCH.as_return(), "who has exited does not call");
            kernel.limit(SimTime::from_ns(7), tid);
            assert_eq!(kernel.next_event(), None);
            kernel.process_ended(VirtualPid(1000));
            let gone = kernel.do_call(tid, nr::pause, [0; 6], &mut guest);
            assert_eq!(gone, Errno::ESRCH.as_return());
            assert_eq!(kernel.take_signal(NOW, tid, &mut guest), SignalOutcome::None);
        }
    }

    #[test]
    fn a_process_that_is_killed_while_it_waits_is_forgotten() {
        let (mut kernel, mut guest, tid) = machine();
        guest.put_words(DATA, &[1, 0]);
        kernel.call(NOW, tid, nr::nanosleep, [DATA, 0, 0, 0, 0, 0], &mut guest);
        kernel.post_signal(NOW, VirtualPid(1000), crate::testing::signal(15));
        kernel.process_ended(VirtualPid(1000));
        let (pid, tid) = kernel.spawn(NOW, "ahead of the host");
        kernel.call(SimTime::from_ns(9), tid, nr::nanosleep, [DATA, 0, 0, 0, 0, 0], &mut guest);
        kernel.post_signal(NOW, pid, crate::testing::signal(15));
        kernel.process_ended(pid);
        kernel.process_ended(VirtualPid::INIT);
        assert_eq!(kernel.next_runnable(), None);
        assert_eq!(kernel.next_event(), None);
        assert!(kernel.process_of(VirtualPid::INIT.leader()).is_some(), "the first never ends");
    }

    #[test]
    fn a_turn_is_waited_for_whatever_happens() {
        let (mut kernel, mut guest, tid) = machine();
        guest.actions.insert(15, 0x1234);
        let turn = SimTime::from_ns(50);
        kernel.limit(turn, tid);
        kernel.post_signal(NOW, VirtualPid(1000), crate::testing::signal(15));
        assert_eq!(kernel.next_runnable(), None);
        assert_eq!(kernel.resume(NOW, tid, &mut guest), Outcome::Park, "not its turn");
        assert_eq!(kernel.next_event(), Some(turn));
        kernel.advance(turn);
        assert_eq!(kernel.next_runnable(), Some(tid));
        assert_eq!(kernel.resume(turn, tid, &mut guest), Outcome::Done(0));
        let signal = kernel.take_signal(turn, tid, &mut guest);
        assert!(matches!(signal, SignalOutcome::Deliver(info) if info.signal == 15));
    }

    #[test]
    fn a_new_image_waits_for_nothing_but_keeps_its_alarm() {
        let (mut kernel, mut guest, tid) = machine();
        kernel.do_call(tid, nr::alarm, [5, 0, 0, 0, 0, 0], &mut guest);
        kernel.limit(SimTime::from_ns(7), tid);
        kernel.exec_started(tid);
        assert_eq!(kernel.next_event(), Some(SimTime::from_ns(5_000_000_000)));
    }
}
