//! The lives of processes and threads: birth, another image, end, and the parent's wait.
//!
//! Rooms: `clone` (fork, vfork, threads), `exec` (another image), `exit` (a thread or all of them end), `end` (what
//! a process leaves behind: zombie, signal, orphans), `wait` (wait4, waitid). Always true: a process that has
//! ended has no timer, waits for nothing and cannot be woken; processes and threads are numbered from one sequence.
//! Starting and ending real ones is `shim-host`'s.

pub(crate) mod clone;
pub(crate) mod end;
pub(crate) mod exec;
pub(crate) mod exit;
pub(crate) mod prctl;
pub(crate) mod wait;

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use shim_abi::SimTime;

use crate::guest::{GuestAddr, Ids};
use crate::ids::{VirtualPid, VirtualTid};
use crate::kernel::{Kernel, owned};
use crate::limits::Limits;
use crate::sched::Scheduling;
use crate::signal::Pending;
use crate::task::{Interval, Job, Life, Process, State, Thread};
use crate::timer::Timers;

/// The number of the first process of a machine but for the one that is always there.
pub(crate) const FIRST_ID: u32 = 1000;
/// After this number the sequence starts again.
const LAST_ID: u32 = 32_767;

impl Kernel {
    /// Record a new process with one thread, the leader of a group and session of its own.
    pub(crate) fn add_process(&mut self, pid: VirtualPid, parent: VirtualPid, program: &str) {
        let process = Process {
            parent,
            parent_thread: parent.leader(),
            place: self.next_place(),
            life: Life::Alive,
            exit_signal: libc::SIGCHLD as u32,
            parent_images: 0,
            images: 0,
            address_space: self.next_address_space(),
            is_subreaper: false,
            user: 0,
            group: pid,
            session: pid,
            program: owned(program),
            limits: Limits::new(&self.config),
            interval: Interval::default(),
            timers: Timers::default(),
            descriptors: BTreeMap::new(),
            pending: Pending::default(),
            chosen: pid.leader(),
            job: Job::default(),
            held: Vec::new(),
            cpu_ns: 0,
            children_cpu_ns: 0,
            has_waited: false,
            is_changed: true,
        };
        let scheduling = Scheduling::new(self.config.cpu_count);
        self.processes.insert(pid, process);
        self.threads.insert(pid.leader(), Thread::new(pid, State::Running, scheduling));
        self.started_tasks += 1;
    }

    /// The number of the next process or thread: one more than the last one, or the next that nothing has.
    pub(crate) fn next_id(&self) -> u32 {
        let next = (self.last_id + 1).max(FIRST_ID);
        let is_free = |id: &u32| {
            let has_number = |process: &Process| process.group.0 == *id || process.session.0 == *id;
            !self.threads.contains_key(&VirtualTid(*id)) && !self.processes.values().any(has_number)
        };
        let mut ids = (next..=LAST_ID).chain(FIRST_ID..next).chain(LAST_ID + 1..u32::MAX);
        ids.find(is_free).expect("there are fewer tasks than numbers")
    }

    /// Another place in a list of children.
    pub(crate) fn next_place(&mut self) -> u64 {
        self.last_place += 1;
        self.last_place
    }

    /// The number of another address space.
    pub(crate) fn next_address_space(&mut self) -> u32 {
        self.last_address_space += 1;
        self.last_address_space
    }
}

impl Thread {
    /// A thread of `pid` that has done nothing yet.
    pub(crate) fn new(pid: VirtualPid, state: State, scheduling: Scheduling) -> Thread {
        Thread {
            pid,
            state,
            pending: Pending::default(),
            assigned: 0,
            suspended_mask: None,
            scheduling,
            ids: Ids::default(),
            mask: 0,
            cpu_ns: 0,
            result: 0,
            visit: None,
            clear_child_tid: GuestAddr(0),
            robust_list: GuestAddr(0),
            started: SimTime::ZERO,
            death_signal: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{DATA, machine};
    use crate::{Outcome, SignalOutcome};
    use shim_abi::Errno;
    use shim_abi::calls::nr;

    const NOW: SimTime = SimTime::ZERO;

    #[test]
    fn processes_are_numbered_from_1000_and_each_has_a_stream_of_its_own() {
        let (mut kernel, mut guest, tid) = machine();
        assert_eq!(tid, VirtualTid(1000));
        kernel.end(VirtualPid(1000), 0, &mut guest);
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
            kernel.end(VirtualPid(1000), 0, &mut guest);
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
        kernel.end(VirtualPid(1000), 0, &mut guest);
        let (pid, tid) = kernel.spawn(NOW, "ahead of the host");
        kernel.call(SimTime::from_ns(9), tid, nr::nanosleep, [DATA, 0, 0, 0, 0, 0], &mut guest);
        kernel.post_signal(NOW, pid, crate::testing::signal(15));
        kernel.end(pid, 0, &mut guest);
        kernel.end(VirtualPid::INIT, 0, &mut guest);
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
        assert_eq!(kernel.exec_started(NOW, tid, &mut guest), tid);
        assert_eq!(kernel.next_event(), Some(SimTime::from_ns(5_000_000_000)));
    }
}
