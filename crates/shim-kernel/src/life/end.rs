//! The end of a process: what it leaves behind.
//!
//! How it ended natively in; a zombie, a signal for its parent and threads that look out. Always true: a zombie has
//! a parent that may still wait for it; whoever is adopted by the machine's first process is gone with its end; a
//! parent that ignores SIGCHLD, or has set SA_NOCLDWAIT, gets no zombies.

use alloc::vec::Vec;

use shim_abi::SimTime;
use shim_abi::event::SignalInfo;

use crate::guest::Guests;
use crate::ids::{VirtualPid, VirtualTid};
use crate::kernel::Kernel;
use crate::outcome::End;
use crate::signal::{self, Target};
use crate::task::{Life, Process};
use crate::usage::NS_PER_TICK;
use crate::waiters::Source;

const SIGCHLD: u32 = libc::SIGCHLD as u32;

impl Kernel {
    /// The process is gone, however it ended: its parent learns of it.
    pub fn process_ended(
        &mut self,
        now: SimTime,
        pid: VirtualPid,
        end: End,
        guests: &mut dyn Guests,
    ) {
        let is_alive = |process: &Process| process.life == Life::Alive;
        if pid == VirtualPid::INIT || !self.processes.get(&pid).is_some_and(is_alive) {
            return;
        }
        self.drop_futexes(now, &self.threads_of(pid));
        self.stop_everything(pid);
        self.undo_semaphores(now, pid);
        self.close_all(now, pid);
        // The real kernel has closed its files, too.
        self.take_watched(now, true, guests);
        self.drop_attachments(now, pid, guests);
        self.threads.retain(|&tid, thread| thread.pid != pid || tid == pid.leader());
        if let Some(process) = self.processes.get_mut(&pid) {
            process.life = Life::Zombie(end);
        }
        self.notify(now, Source::Image(pid));
        self.notify(now, Source::FileLocks);
        self.tell_task_ended(now, pid.leader());
        self.give_children_away(now, pid, guests);
        let ids = self.processes.get(&pid).map(|process| (process.parent, process.group));
        if let Some((parent, group)) = ids {
            self.free_orphaned_group(now, (parent, pid), group, Some(pid));
        }
        self.tell_parent(now, pid, guests);
    }

    /// Forget a process that has ended.
    pub(crate) fn reap(&mut self, now: SimTime, pid: VirtualPid) {
        self.tell_task_gone(now, pid.leader());
        self.threads.retain(|_, thread| thread.pid != pid);
        if let Some(process) = self.processes.remove(&pid) {
            self.ended_cpu_ns = self.ended_cpu_ns.saturating_add(process.cpu_ns);
        }
    }

    /// A thread ends whose process goes on: another thread of it has its children now, and children that asked for it
    /// are signalled.
    pub(crate) fn orphan_children_of_thread(&mut self, now: SimTime, tid: VirtualTid) {
        let Some(pid) = self.process_of(tid) else { return };
        let heir = self.threads_of(pid).into_iter().find(|&other| other != tid);
        let is_child = |process: &Process| process.parent == pid && process.parent_thread == tid;
        for child in self.processes_where(is_child) {
            if let (Some(process), Some(heir)) = (self.processes.get_mut(&child), heir) {
                process.parent_thread = heir;
            }
            self.send_death_signals(now, pid, child);
        }
    }

    /// The children of a process that has ended get another parent.
    fn give_children_away(&mut self, now: SimTime, pid: VirtualPid, guests: &mut dyn Guests) {
        let heir = self.heir_of(pid);
        let thread = self.threads_of(heir).first().copied().unwrap_or(heir.leader());
        let images = self.processes.get(&heir).map_or(0, |process| process.images);
        let mut children = self.processes_where(|process| process.parent == pid);
        children.sort_by_key(|child| self.processes.get(child).map(|process| process.place));
        for child in children {
            let place = self.next_place();
            let Some(process) = self.processes.get_mut(&child) else { continue };
            (process.parent, process.parent_thread) = (heir, thread);
            (process.parent_images, process.place) = (images, place);
            process.exit_signal = SIGCHLD;
            process.is_changed = true;
            let (is_zombie, group) = (process.life != Life::Alive, process.group);
            self.send_death_signals(now, pid, child);
            self.free_orphaned_group(now, (pid, child), group, None);
            if is_zombie {
                self.tell_parent(now, child, guests);
            }
        }
    }

    /// Who gets the orphans of a process: its next ancestor that asked for them, else the machine's first.
    fn heir_of(&self, pid: VirtualPid) -> VirtualPid {
        let parent_of = |pid| self.processes.get(&pid).map(|process| process.parent);
        let mut ancestors = core::iter::successors(parent_of(pid), |&pid| parent_of(pid));
        let is_heir = |pid: &VirtualPid| {
            let process = self.processes.get(pid);
            process.is_some_and(|process| process.is_subreaper && process.life == Life::Alive)
        };
        ancestors.find(is_heir).unwrap_or(VirtualPid::INIT)
    }

    /// A parent thread of a process has ended: signal it as its threads have asked.
    fn send_death_signals(&mut self, now: SimTime, parent: VirtualPid, pid: VirtualPid) {
        let uid = self.processes.get(&parent).map_or(0, |parent| parent.user);
        for tid in self.threads_of(pid) {
            let signal = self.threads.get(&tid).map_or(0, |thread| thread.death_signal);
            if (1..=signal::MAX).contains(&signal) {
                let info = SignalInfo { signal, pid: parent.0, uid, ..SignalInfo::default() };
                // What the kernel sends needs no room.
                let _ = self.queue_signal(now, Target::Process(pid), info);
            }
        }
    }

    /// Parent and child are no more: if that was the last connection between the child's group and the rest of the
    /// session, and some of the group are stopped, nobody would ever continue them.
    fn free_orphaned_group(
        &mut self,
        now: SimTime,
        (parent, child): (VirtualPid, VirtualPid),
        group: VirtualPid,
        without: Option<VirtualPid>,
    ) {
        let ids_of = |pid| self.processes.get(&pid).map(|process| (process.group, process.session));
        let (Some(of_parent), Some(of_child)) = (ids_of(parent), ids_of(child)) else { return };
        let was_connected = of_parent.0 != group && of_parent.1 == of_child.1;
        let is_stopped = |process: &Process| process.group == group && process.job.is_stopped;
        if !was_connected
            || !self.is_orphaned(group, without)
            || !self.processes.values().any(is_stopped)
        {
            return;
        }
        for signal in [libc::SIGHUP, libc::SIGCONT] {
            let info = SignalInfo {
                signal: signal as u32,
                code: libc::SI_KERNEL,
                ..SignalInfo::default()
            };
            for pid in self.processes_where(|process| process.group == group) {
                // What the kernel sends needs no room.
                let _ = self.queue_signal(now, Target::Process(pid), info);
            }
        }
    }

    /// A zombie's parent learns of it, or wants to know nothing and it is gone.
    fn tell_parent(&mut self, now: SimTime, pid: VirtualPid, guests: &mut dyn Guests) {
        let Some(child) = self.processes.get(&pid) else { return };
        let Life::Zombie(end) = child.life else { return };
        let parent = child.parent;
        let Some(parent_images) = self.processes.get(&parent).map(|process| process.images) else {
            return self.reap(now, pid);
        };
        if parent == VirtualPid::INIT {
            return self.reap(now, pid);
        }
        // A parent that has become another program gets the signal that every program knows.
        let is_same_program = child.parent_images == parent_images;
        let mut number = if is_same_program { child.exit_signal } else { SIGCHLD };
        let mut is_wanted = true;
        let (code, status) = end.code_and_status();
        let info = self.child_info(pid, code, status);
        if number == SIGCHLD {
            const IGNORE: u64 = 1;
            let (handler, flags) = guests.action_of(parent, SIGCHLD);
            is_wanted = handler != IGNORE && flags & libc::SA_NOCLDWAIT as u64 == 0;
            if handler == IGNORE {
                number = 0;
            }
        }
        if (1..=signal::MAX).contains(&number) {
            let info = SignalInfo { signal: number, ..info };
            // What the kernel sends needs no room.
            let _ = self.queue_signal(now, Target::Process(parent), info);
        }
        self.notify(now, Source::Children(parent));
        if !is_wanted {
            self.reap(now, pid);
        }
    }

    /// The description of a SIGCHLD about a process.
    pub(crate) fn child_info(&self, pid: VirtualPid, code: i32, status: i32) -> SignalInfo {
        let process = self.processes.get(&pid);
        let ticks = process.map_or(0, |process| process.cpu_ns) / NS_PER_TICK;
        SignalInfo {
            signal: SIGCHLD,
            code,
            pid: pid.0,
            uid: process.map_or(0, |process| process.user),
            value: u64::from(status as u32),
            tail: [ticks, 0],
        }
    }

    /// The processes that something is true of, in the order of their numbers.
    pub(crate) fn processes_where(&self, is_so: impl Fn(&Process) -> bool) -> Vec<VirtualPid> {
        let processes = self.processes.iter();
        processes.filter(|(_, process)| is_so(process)).map(|(&pid, _)| pid).collect()
    }
}

impl End {
    /// `si_code` and `si_status` of the SIGCHLD that tells of it.
    pub(crate) fn code_and_status(self) -> (i32, i32) {
        match self {
            End::Exited(status) => (libc::CLD_EXITED, status & 0xff),
            End::Killed { signal, has_core: false } => (libc::CLD_KILLED, signal as i32),
            End::Killed { signal, has_core: true } => (libc::CLD_DUMPED, signal as i32),
        }
    }

    /// The word that `wait4` stores for it.
    pub(crate) fn wait_status(self) -> i32 {
        match self {
            End::Exited(status) => (status & 0xff) << 8,
            End::Killed { signal, has_core } => {
                (signal & 0x7f) as i32 | if has_core { 0x80 } else { 0 }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{DATA, TestGuest, UID, machine};
    use crate::{SignalOutcome, VirtualTid};
    use shim_abi::calls::nr;

    const NOW: SimTime = SimTime::ZERO;
    const SIGCHLD_BIT: u64 = 1 << (SIGCHLD - 1);

    fn pid(tid: VirtualTid) -> VirtualPid {
        VirtualPid(tid.0)
    }

    fn prctl(kernel: &mut Kernel, tid: VirtualTid, guest: &mut TestGuest, call: (i32, u64)) {
        let args = [call.0 as u64, call.1, 0, 0, 0, 0];
        assert_eq!(kernel.do_call(tid, nr::prctl, args, guest), 0);
    }

    #[test]
    fn a_parent_hears_of_an_end_with_all_particulars() {
        let (mut kernel, mut guest, tid) = machine();
        guest.actions.insert(SIGCHLD, 0x1234);
        let child = kernel.fork(tid, 0, &mut guest);
        guest.cpu_ns = 1_234_000_000;
        kernel.do_call(child, nr::alarm, [0; 6], &mut guest);
        kernel.end(pid(child), 7, &mut guest);
        let info = SignalInfo {
            signal: SIGCHLD,
            code: libc::CLD_EXITED,
            pid: 1001,
            uid: UID,
            value: 7,
            tail: [123, 0],
        };
        let taken = kernel.take_signal(NOW, tid, &mut guest);
        assert_eq!(taken, SignalOutcome::Deliver(info));
        assert_eq!(kernel.process_of(child), Some(pid(child)), "until it is waited for");
    }

    #[test]
    fn a_parent_that_does_not_care_gets_no_zombies() {
        // Handler, flags, whether a signal is sent, whether there is a zombie.
        let no_wait = libc::SA_NOCLDWAIT as u64;
        for (handler, flags, is_sent, is_zombie) in [
            (0, 0, true, true),
            (1, 0, false, false),
            (0x1234, no_wait, true, false),
            (0x1234, libc::SA_NOCLDSTOP as u64, true, true),
        ] {
            let (mut kernel, mut guest, tid) = machine();
            guest.actions.insert(SIGCHLD, handler);
            guest.flags.insert(SIGCHLD, flags);
            let child = kernel.fork(tid, 0, &mut guest);
            kernel.end(pid(child), 0, &mut guest);
            assert_eq!(kernel.pending(tid) & SIGCHLD_BIT != 0, is_sent, "{handler} {flags}");
            assert_eq!(kernel.process_of(child).is_some(), is_zombie, "{handler} {flags}");
            let waited = kernel.do_call(tid, nr::wait4, [u64::MAX, 0, 1, 0, 0, 0], &mut guest);
            assert_eq!(waited > 0, is_zombie);
        }
    }

    #[test]
    fn the_exit_signal_is_the_clones_unless_the_parent_is_another_program() {
        for (is_exec, expected) in [(false, 1 << 11), (true, SIGCHLD_BIT)] {
            let (mut kernel, mut guest, tid) = machine();
            guest.actions.insert(SIGCHLD, 1);
            let outcome = kernel.call(NOW, tid, nr::clone, [12, 0, 0, 0, 0, 0], &mut guest);
            let crate::Outcome::Clone { tid: child, .. } = outcome else { panic!("a fork") };
            kernel.clone_done(NOW, tid, child, Ok(()), &mut guest);
            if is_exec {
                kernel.exec_started(NOW, tid, &mut guest);
                guest.actions.clear();
            }
            kernel.end(pid(child), 0, &mut guest);
            assert_eq!(kernel.pending(tid), expected);
            assert!(kernel.process_of(child).is_some(), "ignoring SIGCHLD concerns SIGCHLD");
        }
    }

    #[test]
    fn orphans_go_to_the_next_subreaper_or_vanish() {
        let (mut kernel, mut guest, tid) = machine();
        prctl(&mut kernel, tid, &mut guest, (libc::PR_SET_CHILD_SUBREAPER, 5));
        let child = kernel.fork(tid, 0, &mut guest);
        let grandchildren = [0; 2].map(|_| kernel.fork(child, 0, &mut guest));
        kernel.end(pid(grandchildren[0]), 5, &mut guest);
        kernel.take_published(pid(grandchildren[1]));
        kernel.end(pid(child), 0, &mut guest);
        let published = kernel.take_published(pid(grandchildren[1])).unwrap();
        assert_eq!(published.parent, 1000);
        let mut wait = |kernel: &mut Kernel| {
            kernel.do_call(tid, nr::wait4, [u64::MAX, DATA, 1, 0, 0, 0], &mut guest)
        };
        assert_eq!(wait(&mut kernel), 1001);
        assert_eq!(wait(&mut kernel), 1002, "a zombie finds a new parent, too");
        assert_eq!(wait(&mut kernel), 0);
        kernel.end(pid(tid), 0, &mut guest);
        assert_eq!(kernel.process_of(tid), None, "the first process waits at once");
        let published = kernel.take_published(pid(grandchildren[1])).unwrap();
        assert_eq!(published.parent, 1);
        kernel.end(pid(grandchildren[1]), 0, &mut guest);
        assert_eq!(kernel.processes.len(), 1);
    }

    #[test]
    fn a_child_can_ask_to_hear_of_its_parents_end() {
        let (mut kernel, mut guest, tid) = machine();
        guest.actions.insert(12, 0x1234);
        let child = kernel.fork(tid, 0, &mut guest);
        prctl(&mut kernel, child, &mut guest, (libc::PR_SET_PDEATHSIG, 12));
        let grandchild = kernel.fork(child, 0, &mut guest);
        kernel.end(pid(tid), 0, &mut guest);
        let taken = kernel.take_signal(NOW, child, &mut guest);
        let info = SignalInfo { signal: 12, pid: 1000, uid: UID, ..SignalInfo::default() };
        assert_eq!(taken, SignalOutcome::Deliver(info));
        kernel.end(pid(child), 0, &mut guest);
        assert_eq!(kernel.pending(grandchild), 0, "nobody inherits it");
    }

    #[test]
    fn a_stopped_group_that_is_left_alone_is_woken_up() {
        let (mut kernel, mut guest, tid) = machine();
        // A shell, its child with a group of its own, and that one's child in the same group.
        let job = kernel.fork(tid, 0, &mut guest);
        kernel.do_call(job, nr::setpgid, [0; 6], &mut guest);
        let worker = kernel.fork(job, 0, &mut guest);
        kernel.do_call(tid, nr::kill, [worker.0.into(), 20, 0, 0, 0, 0], &mut guest);
        assert_eq!(kernel.take_signal(NOW, worker, &mut guest), SignalOutcome::Stop);
        kernel.end(pid(job), 0, &mut guest);
        assert_eq!(kernel.pending(worker), 1 | 1 << 17, "SIGHUP and SIGCONT");
        assert_eq!(kernel.next_runnable(), Some(worker));
        kernel.resume(NOW, worker, &mut guest);
        assert_eq!(
            kernel.take_signal(NOW, worker, &mut guest),
            SignalOutcome::Die { signal: libc::SIGHUP as u32 }
        );
    }
}
