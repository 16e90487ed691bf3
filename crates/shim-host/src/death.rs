//! What happens to a host's books when a thread or a process ends, however it does.
//!
//! Native ends in; observations, lacks, failures and ends out, and the kernel's word for parents and orphans.
//! Always true: of a process that has ended nothing is kept but its end, if the host's owner started it; its blocks
//! are free. Who notices is `serve` (with control), or this file: a process that is killed natively from outside
//! is buried as soon as no guest has control.

use std::io;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use shim_abi::thread::kernel_place;
use shim_kernel::VirtualPid;
use shim_supervisor::{ExitStatus, Guest};

use crate::host::Host;
use crate::lacks::LackKind;
use crate::observe::{Observation, Observer, ProcessEnd};
use crate::process::{Failure, kernel_end, process_end};
use crate::serve::{Desk, INSIDE, Left};
use crate::thread::{State, Thread};

impl Host {
    /// A thread's turn is over.
    pub(crate) fn put_back(&mut self, thread: Thread, left: Left, observer: &mut dyn Observer) {
        self.machine.advance_to(thread.time);
        let pid = thread.pid;
        if let Left::Gone = left {
            return self.forget_thread(thread);
        }
        if thread.state == State::Paused {
            let tid = thread.tid;
            self.machine.kernel(|kernel| kernel.queue_first(tid));
        }
        self.threads.insert(thread.tid, thread);
        match left {
            Left::Ended(status) => self.bury(pid, status, observer),
            Left::Misbehaved => self.kill_and_bury(pid, observer),
            Left::Lost(culprit, why) => self.lose_kernel(culprit, why, observer),
            Left::Waiting | Left::Gone => {}
        }
    }

    /// A thread has ended and its process has not.
    fn forget_thread(&mut self, thread: Thread) {
        if let Some(process) = self.processes.get_mut(&thread.pid) {
            process.threads.remove(&thread.tid);
        }
        thread.guest.forget();
    }

    /// The machine loses its power and boots again: all processes are killed natively, their ends observed, and everything
    /// that its kernel knew is forgotten, connections, and datagrams that were on their way to it, too. Its clock goes on, and so
    /// do the numbers of processes; files are as they were left. Between steps.
    pub fn reboot(&mut self, observer: &mut dyn Observer) -> io::Result<()> {
        self.kill_all(observer);
        self.machine.reboot(self.descriptor_limit)
    }

    /// Kill a process natively and wait for its end.
    pub(crate) fn kill_and_bury(&mut self, pid: VirtualPid, observer: &mut dyn Observer) {
        if let Some(guest) = self.guest_of(pid) {
            let status = kill(guest);
            self.bury(pid, status, observer);
        }
    }

    /// Any thread of a process.
    fn guest_of(&self, pid: VirtualPid) -> Option<&Guest> {
        let mut tids = self.processes.get(&pid)?.threads.iter();
        tids.find_map(|tid| self.threads.get(tid)).map(|thread| &thread.guest)
    }

    /// Bury the processes that died natively while they waited; whether there was one.
    pub(crate) fn collect_dead(&mut self, observer: &mut dyn Observer) -> bool {
        let deaths = self.machine.memory().deaths();
        if deaths == self.buried {
            return false;
        }
        let is_any = self.bury_all(Guest::end, observer);
        // Those that come from now on count again.
        self.buried = deaths;
        is_any
    }

    /// Bury the processes that died natively, also those whose ends are not reported yet; whether there was one.
    /// [`Host::step`] hears of ends that are; where it finds that nothing can happen any more, one may be on its way.
    pub fn look_for_dead(&mut self, observer: &mut dyn Observer) -> bool {
        self.bury_all(Guest::latest_end, observer)
    }

    fn bury_all(
        &mut self,
        end: impl Fn(&Guest) -> Option<ExitStatus>,
        observer: &mut dyn Observer,
    ) -> bool {
        let end = |&pid: &VirtualPid| Some((pid, end(self.guest_of(pid)?)?));
        let dead: Vec<_> = self.processes.keys().filter_map(end).collect();
        for &(pid, status) in &dead {
            self.bury(pid, status, observer);
        }
        !dead.is_empty()
    }

    /// A process is dead: tell everybody, and keep what is to be kept.
    fn bury(&mut self, pid: VirtualPid, status: ExitStatus, observer: &mut dyn Observer) {
        if self.is_in_kernel(pid) {
            return self.lose_kernel(pid, INSIDE, observer);
        }
        self.bury_outside(pid, status, observer);
        let now = self.machine.now();
        self.machine.kernel_alone(|kernel, others| {
            kernel.process_ended(now, pid, kernel_end(status), others)
        });
    }

    /// Whether the kernel is not whole because a process died.
    fn is_in_kernel(&self, pid: VirtualPid) -> bool {
        self.marks(pid).any(|mark| mark == kernel_place::INSIDE)
    }

    /// What the threads of a process say about where they are: nowhere, in the kernel, or handing control on.
    fn marks(&self, pid: VirtualPid) -> impl Iterator<Item = u32> {
        let tids = self.processes.get(&pid).into_iter().flat_map(|process| &process.threads);
        let threads = tids.filter_map(|tid| self.threads.get(tid));
        threads.map(|thread| thread.guest.thread().is_in_kernel.load(Relaxed))
    }

    /// The process that has died while it had the kernel or control, if one has, and others wait for either. To be
    /// asked while a guest has control that is of another process.
    pub(crate) fn died_with_control(&self) -> Option<VirtualPid> {
        let is_dead = |pid| self.guest_of(pid).is_some_and(|guest| guest.end().is_some());
        let mut pids = self.processes.keys().copied();
        pids.find(|&pid| is_dead(pid) && self.marks(pid).any(|mark| mark != kernel_place::OUTSIDE))
    }

    /// A process was killed, from outside the simulation, while it was in the kernel, whose state is not whole then, or nobody
    /// knows who was: the machine stops, and all its processes with it.
    fn lose_kernel(&mut self, culprit: VirtualPid, why: &'static str, observer: &mut dyn Observer) {
        self.threads.values().for_each(|thread| thread.guest.kill());
        let pids: Vec<_> = self.processes.keys().copied().collect();
        let status = |pid: &VirtualPid| Some((*pid, kill(self.guest_of(*pid)?)));
        let ends: Vec<_> = pids.iter().filter_map(status).collect();
        // If that fails the host's kernel is none that guests can call, but there are none.
        let settings = self.machine.config.kernel(self.descriptor_limit);
        if let Err(error) = self.machine.replace_kernel(settings) {
            log::error!("cannot begin anew with an empty kernel: {error}");
        }
        for (pid, status) in ends {
            if let (true, Some(process)) = (pid == culprit, self.processes.get(&pid)) {
                let program = process.program.clone();
                self.failures.push(Failure { program, pid: pid.0, text: why.to_owned() });
            }
            self.bury_outside(pid, status, observer);
        }
    }

    /// What a process's death means for everybody but the kernel.
    fn bury_outside(&mut self, pid: VirtualPid, status: ExitStatus, observer: &mut dyn Observer) {
        let Some(process) = self.processes.get(&pid) else { return };
        let tids = process.threads.clone();
        self.machine.kernel(|kernel| kernel.forget_ready(|tid| tids.contains(&tid)));
        let mut threads: Vec<_> = tids.iter().filter_map(|tid| self.threads.remove(tid)).collect();
        let mut time = self.machine.now();
        for thread in &mut threads {
            let Some(process) = self.processes.get(&pid) else { return };
            let host = &self.machine.config.hostname;
            thread.drain(process, host, &mut self.lacks, observer);
            time = time.max(thread.told);
            Desk { host: self, observer }.note_unfinished(thread);
        }
        if let Some(thread) = threads.first_mut() {
            if status == ExitStatus::Lost {
                self.log_error(thread, "lost: the launcher process was killed", observer);
            }
            self.keep(thread, status);
        }
        let end = process_end(status);
        if let Some(process) = self.processes.remove(&pid) {
            let source = process.source(&self.machine.config.hostname, pid.leader());
            observer.observe(&source, time, Observation::Ended(end));
            if process.root == pid {
                self.ends.insert(pid.0, end);
            }
        }
        self.interrupter.remove(pid.0);
        self.machine.blocks.remove(pid);
        self.buried += 1;
    }

    /// Count what its process lacked, and keep the line of a shim that failed.
    fn keep(&mut self, thread: &mut Thread, status: ExitStatus) {
        let Some(process) = self.processes.get_mut(&thread.pid) else { return };
        process.count_refused(&thread.guest, &mut self.lacks);
        let (calls, trapped) = thread.guest.calls();
        self.census.calls = self.census.calls.saturating_add(calls);
        self.census.trapped_calls = self.census.trapped_calls.saturating_add(trapped);
        if let Some(text) = thread.guest.take_failure() {
            let program = process.program.clone();
            self.failures.push(Failure { program, pid: process.pid.0, text });
        }
        // Its first image, or one that has replaced another.
        let is_executing = thread.guest.process().is_executing.load(Relaxed) != 0;
        let is_missing = !process.has_started || is_executing;
        if is_missing && matches!(process_end(status), ProcessEnd::Exited(_)) {
            let text = "ended before its shim was up: what it did, it did outside the simulation";
            self.lacks.add(&process.program, LackKind::Other(text.to_owned()), 1);
        }
    }
}

/// Kill a process natively and wait for its end.
fn kill(guest: &Guest) -> ExitStatus {
    // Nobody is kept waiting for long: the watcher hears of a SIGKILL within milliseconds.
    const RECHECK: Duration = Duration::from_micros(200);
    guest.kill();
    loop {
        if let Some(status) = guest.end() {
            return status;
        }
        std::thread::sleep(RECHECK);
    }
}
