//! Processes and threads as `/proc` shows them: their numbers, `stat`, `status`.
//!
//! What, and of whom, in; bytes out, in the formats of proc(5). Always true: everything here is the virtual
//! kernel's word. What only the real one knows (a process's name and the layout of its memory) is left zero, or out,
//! and filled in by the shim, if there is a real process: there is none of a zombie or of the machine's first.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use shim_abi::Errno;
use shim_abi::virtual_files::ProcessFile;

use crate::context::{Answer, Context, done};
use crate::guest::{Guest, GuestAddr};
use crate::ids::{VirtualPid, VirtualTid};
use crate::kernel::Kernel;
use crate::outcome::End;
use crate::signal;
use crate::task::{Life, Process, State, Thread, Wait};
use crate::usage::{NS_PER_TICK, RESIDENT_KIB};

/// Longest name of a process.
const NAME_BYTES: usize = 15;

/// The shim's own call: what `/proc` says of process `pid` or of its thread `tid` (0: of the process), as far as it
/// fits, and its whole length. ENOENT if there is no such.
pub(crate) fn read(
    context: &mut Context<'_>,
    what: u32,
    pid: u32,
    tid: u32,
    to: GuestAddr,
    bytes: u64,
) -> Answer {
    let what = ProcessFile::from_number(what).ok_or(Errno::EINVAL)?;
    let contents = match what {
        ProcessFile::Processes => numbers(context.kernel.processes.keys().map(|pid| pid.0)),
        ProcessFile::Threads => {
            context.kernel.processes.get(&VirtualPid(pid)).ok_or(Errno::ENOENT)?;
            numbers(context.kernel.threads_of(VirtualPid(pid)).into_iter().map(|tid| tid.0))
        }
        ProcessFile::Stat => Task::find(context, pid, tid)?.stat().into_bytes(),
        ProcessFile::Status => Task::find(context, pid, tid)?.status().into_bytes(),
    };
    let used = contents.len().min(usize::try_from(bytes).unwrap_or(usize::MAX));
    context.guest.write(to, &contents[..used])?;
    done(contents.len() as i64)
}

fn numbers(ids: impl Iterator<Item = u32>) -> Vec<u8> {
    ids.flat_map(u32::to_le_bytes).collect()
}

/// A process, or one of its threads.
struct Task<'a> {
    kernel: &'a Kernel,
    guest: &'a dyn Guest,
    caller: (VirtualPid, VirtualTid),
    pid: VirtualPid,
    process: &'a Process,
    tid: VirtualTid,
    thread: Option<&'a Thread>,
    is_thread: bool,
}

impl<'a> Task<'a> {
    fn find(context: &'a Context<'_>, pid: u32, tid: u32) -> Result<Task<'a>, Errno> {
        let pid = VirtualPid(pid);
        let process = context.kernel.processes.get(&pid).ok_or(Errno::ENOENT)?;
        let is_thread = tid != 0;
        let tid = if is_thread { VirtualTid(tid) } else { pid.leader() };
        let thread = context.kernel.threads.get(&tid).filter(|thread| thread.pid == pid);
        if is_thread && thread.is_none() {
            return Err(Errno::ENOENT);
        }
        let caller = (context.pid, context.tid);
        let (kernel, guest) = (&*context.kernel, &*context.guest);
        Ok(Task { kernel, guest, caller, pid, process, tid, thread, is_thread })
    }

    /// The letter, and what it stands for.
    fn state(&self) -> (char, &'static str) {
        const RUNNING: (char, &str) = ('R', "running");
        const SLEEPING: (char, &str) = ('S', "sleeping");
        const ZOMBIE: (char, &str) = ('Z', "zombie");
        if self.process.life != Life::Alive {
            return ZOMBIE;
        }
        if self.process.job.is_stopped {
            return ('T', "stopped");
        }
        match self.thread.map(|thread| thread.state) {
            // The machine's first process never runs.
            _ if self.pid == VirtualPid::INIT => SLEEPING,
            Some(State::Running | State::Unborn(_)) => RUNNING,
            Some(State::Parked(parked)) if parked.wait == Wait::Limit => RUNNING,
            Some(State::Parked(_)) => SLEEPING,
            Some(State::Ended) | None => ZOMBIE,
        }
    }

    fn name(&self) -> &str {
        let program = self.process.program.rsplit('/').next().unwrap_or("");
        program.get(..NAME_BYTES).unwrap_or(program)
    }

    fn cpu_ns(&self) -> u64 {
        let is_caller = self.tid == self.caller.1;
        match self.thread {
            _ if is_caller && self.is_thread => self.guest.thread_cpu_ns(),
            _ if self.pid == self.caller.0 && !self.is_thread => self.guest.cpu_ns(),
            Some(thread) if self.is_thread => thread.cpu_ns,
            _ => self.process.cpu_ns,
        }
    }

    fn thread_count(&self) -> usize {
        self.kernel.threads_of(self.pid).len()
    }

    /// Signals that are ignored, and those that have handlers.
    fn dispositions(&self) -> [u64; 2] {
        let mut sets = [0; 2];
        if self.pid == VirtualPid::INIT || self.process.life != Life::Alive {
            return sets;
        }
        for signal in 1..=signal::MAX {
            let (handler, _) = self.guest.action_of(self.pid, signal);
            match handler {
                0 => {}
                1 => sets[0] |= 1 << (signal - 1),
                _ => sets[1] |= 1 << (signal - 1),
            }
        }
        sets
    }

    fn stat(&self) -> String {
        let (pid, name, (state, _)) = (self.tid, self.name(), self.state());
        let (parent, group, session) =
            (self.process.parent, self.process.group, self.process.session);
        let user = self.cpu_ns() / NS_PER_TICK;
        let children = self.process.children_cpu_ns / NS_PER_TICK;
        let nice = self.thread.map_or(0, |thread| thread.scheduling.nice);
        let (policy, real_time) = self.thread.map_or((0, 0), |thread| {
            (thread.scheduling.policy, thread.scheduling.real_time_priority)
        });
        let priority = if real_time == 0 { 20 + nice } else { -1 - real_time as i32 };
        let threads = self.thread_count();
        let started =
            self.thread.map_or(0, |thread| self.kernel.uptime_ns(thread.started) / NS_PER_TICK);
        let (resident, exit_signal) = match self.process.life {
            Life::Alive if self.pid != VirtualPid::INIT => (RESIDENT_KIB / 4, 17),
            _ => (0, 17),
        };
        // The old masks: the lower 32 signals.
        let pending = self.thread.map_or(0, |thread| thread.pending.bits() & 0x7fff_ffff);
        let blocked = self.thread.map_or(0, |thread| thread.mask & 0x7fff_ffff);
        let [ignored, caught] = self.dispositions().map(|set| set & 0x7fff_ffff);
        let exit_code = match self.process.life {
            Life::Alive => 0,
            Life::Zombie(End::Exited(status)) => (status & 0xff) << 8,
            Life::Zombie(End::Killed { signal, .. }) => signal as i32,
        };
        format!(
            "{pid} ({name}) {state} {parent} {group} {session} 0 -1 4194304 0 0 0 0 {user} 0 {children} 0 \
             {priority} {nice} {threads} 0 {started} 0 {resident} 18446744073709551615 0 0 0 0 0 {pending} {blocked} \
             {ignored} {caught} 0 0 0 {exit_signal} 0 {real_time} {policy} 0 0 0 0 0 0 0 0 0 0 {exit_code}\n"
        )
    }

    fn status(&self) -> String {
        let (letter, word) = self.state();
        let (pid, tid, parent) = (self.pid, self.tid, self.process.parent);
        let (group, session) = (self.process.group, self.process.session);
        let name = self.name();
        let mut text = format!(
            "Name:\t{name}\nState:\t{letter} ({word})\nTgid:\t{pid}\nNgid:\t0\nPid:\t{tid}\nPPid:\t{parent}\n\
             TracerPid:\t0\nFDSize:\t256\nNStgid:\t{pid}\nNSpid:\t{tid}\nNSpgid:\t{group}\nNSsid:\t{session}\n"
        );
        if self.process.life == Life::Alive && self.pid != VirtualPid::INIT {
            let (all, part) = (RESIDENT_KIB, RESIDENT_KIB / 2);
            text += &format!(
                "VmHWM:\t{all:8} kB\nVmRSS:\t{all:8} kB\nRssAnon:\t{part:8} kB\nRssFile:\t{part:8} kB\n\
                 RssShmem:\t{:8} kB\nVmPTE:\t{:8} kB\nVmSwap:\t{:8} kB\n",
                0, 64, 0
            );
        }
        let threads = self.thread_count();
        let user = self.process.user;
        let queued: usize = self.kernel.processes.values().map(|p| p.pending.len()).sum();
        let limit = self.process.limits.pending_signals();
        let pending = self.thread.map_or(0, |thread| thread.pending.bits());
        let (shared, blocked) =
            (self.process.pending.bits(), self.thread.map_or(0, |thread| thread.mask));
        let [ignored, caught] = self.dispositions();
        let cpus = self.kernel.config.cpu_count.max(1);
        let (mask, last) = (u64::MAX >> (64 - cpus.min(64)), cpus - 1);
        let list = if last == 0 { String::from("0") } else { format!("0-{last}") };
        text += &format!(
            "Uid:\t{user}\t{user}\t{user}\t{user}\nThreads:\t{threads}\nSigQ:\t{queued}/{limit}\n\
             SigPnd:\t{pending:016x}\nShdPnd:\t{shared:016x}\nSigBlk:\t{blocked:016x}\nSigIgn:\t{ignored:016x}\n\
             SigCgt:\t{caught:016x}\nNoNewPrivs:\t0\nCpus_allowed:\t{mask:x}\nCpus_allowed_list:\t{list}\n\
             voluntary_ctxt_switches:\t0\nnonvoluntary_ctxt_switches:\t0\n"
        );
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Kernel;
    use crate::testing::{DATA, TestGuest, machine, signal};
    use shim_abi::SimTime;
    use shim_abi::calls::PSEUDO_PROCESS_FILE;

    const NOW: SimTime = SimTime::ZERO;

    type Machine = (Kernel, TestGuest, VirtualTid);

    fn contents(
        (kernel, guest, tid): &mut Machine,
        file: ProcessFile,
        id: u32,
        of: u32,
    ) -> Vec<u8> {
        let args = [file as u64, id.into(), of.into(), DATA, 0x4000, 0];
        let len = kernel.do_call(*tid, PSEUDO_PROCESS_FILE, args, guest);
        let bytes = guest.words::<256>(DATA).map(u64::to_le_bytes).concat();
        bytes[..usize::try_from(len).unwrap()].to_vec()
    }

    fn text(machine: &mut Machine, file: ProcessFile, id: u32, of: u32) -> String {
        String::from_utf8(contents(machine, file, id, of)).unwrap()
    }

    #[test]
    fn lists_hold_who_is_there() {
        let mut machine = machine();
        machine.0.spawn(NOW, "other");
        let ids = |bytes: Vec<u8>| -> Vec<u32> {
            bytes.chunks(4).map(|id| u32::from_le_bytes(id.try_into().unwrap())).collect()
        };
        assert_eq!(ids(contents(&mut machine, ProcessFile::Processes, 0, 0)), [1, 1000, 1001]);
        assert_eq!(ids(contents(&mut machine, ProcessFile::Threads, 1001, 0)), [1001]);
    }

    #[test]
    fn stat_has_the_fields_of_proc_5() {
        let mut machine = machine();
        machine.1.cpu_ns = 1_234_000_000;
        machine.1.actions.insert(10, 0x1234);
        machine.1.actions.insert(12, 1);
        machine.1.mask = 1 << 9;
        let stat = text(&mut machine, ProcessFile::Stat, 1000, 0);
        let fields: Vec<&str> = stat.trim_end().split(' ').collect();
        assert_eq!(fields.len(), 52);
        assert_eq!(fields[..6], ["1000", "(program)", "R", "1", "1000", "1000"]);
        assert_eq!((fields[13], fields[17], fields[19]), ("123", "20", "1"));
        assert_eq!(fields[31..34], ["512", "2048", "512"]);
        let stat = text(&mut machine, ProcessFile::Stat, 1, 0);
        assert!(stat.starts_with("1 (init) S 0 1 1 "), "{stat}");
    }

    #[test]
    fn status_tells_states_and_signals() {
        let mut machine = machine();
        machine.1.mask = 1 << 9;
        let pid = VirtualPid(1000);
        machine.0.post_signal(NOW, pid, signal(10));
        let status = text(&mut machine, ProcessFile::Status, 1000, 1000);
        for line in [
            "State:\tR (running)",
            "PPid:\t1",
            "Threads:\t1",
            "ShdPnd:\t0000000000000200",
            "SigBlk:\t0000000000000200",
            "Cpus_allowed:\t3",
            "Cpus_allowed_list:\t0-1",
        ] {
            assert!(status.lines().any(|l| l == line), "{line} is not in {status}");
        }
        let (child, _) = machine.0.spawn(NOW, "/bin/a-program-with-a-long-name");
        let status = text(&mut machine, ProcessFile::Status, child.0, 0);
        assert!(status.starts_with("Name:\ta-program-with-\n"), "{status}");
    }

    #[test]
    fn who_is_not_there_is_not_shown() {
        let (mut kernel, mut guest, tid) = machine();
        let mut read = |what: u64, pid, of| {
            let args = [what, pid, of, DATA, 64, 0];
            kernel.do_call(tid, PSEUDO_PROCESS_FILE, args, &mut guest)
        };
        let missing = Errno::ENOENT.as_return();
        for what in [ProcessFile::Threads, ProcessFile::Stat, ProcessFile::Status] {
            assert_eq!(read(what as u64, 77, 0), missing);
        }
        assert_eq!(read(ProcessFile::Stat as u64, 1000, 1), missing, "another process's thread");
        assert_eq!(read(99, 1000, 0), Errno::EINVAL.as_return());
        assert_eq!(read(ProcessFile::Processes as u64, 0, 0), 8);
    }
}
