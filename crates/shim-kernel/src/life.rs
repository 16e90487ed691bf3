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
            self.ended_cpu_ns += process.cpu_ns;
        }
    }
}

