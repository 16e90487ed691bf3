//! Queueing a signal, wherever it comes from: a guest, a timer, the user.
//!
//! A description and a target in; a signal that waits, and threads that look. Always true: whatever
//! the queue refuses is refused here, before anything has changed but what stopping and continuing
//! cancel. Whether the signal may be sent is decided in `send`.

use shim_abi::event::SignalInfo;
use shim_abi::{Errno, SimTime};

use super::number::{SIGCONT, SIGKILL, SIGRTMIN, STOPS, bit};
use crate::ids::{VirtualPid, VirtualTid};
use crate::kernel::Kernel;
use crate::task::Life;
use crate::timer::TimerId;

/// Whom a signal is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Target {
    /// Whichever thread of the process takes it.
    Process(VirtualPid),
    /// This thread.
    Thread(VirtualTid),
}

impl Kernel {
    /// Queue a signal (1 to 64) and let parked threads look at it. EAGAIN if it carries data and its
    /// receiver has too many signals waiting.
    pub(crate) fn queue_signal(
        &mut self,
        now: SimTime,
        target: Target,
        info: SignalInfo,
    ) -> Result<(), Errno> {
        let pid = match target {
            Target::Process(pid) => pid,
            Target::Thread(tid) => self.threads.get(&tid).ok_or(Errno::ESRCH)?.pid,
        };
        self.prepare(now, pid, info.signal);
        let Some(process) = self.processes.get(&pid) else { return Err(Errno::ESRCH) };
        if process.life != Life::Alive {
            return Ok(());
        }
        let own = self.threads.values().filter(|thread| thread.pid == pid);
        let waiting = own.fold(process.pending.len(), |sum, thread| sum + thread.pending.len());
        let has_room = (waiting as u64) < process.limits.pending_signals();

        let Some(process) = self.processes.get_mut(&pid) else { return Err(Errno::ESRCH) };
        let pending = match target {
            Target::Process(_) => &mut process.pending,
            Target::Thread(tid) => &mut self.threads.get_mut(&tid).ok_or(Errno::ESRCH)?.pending,
        };
        if pending.absorbs(info.signal) {
            return Ok(());
        }
        let is_ordinary = info.signal < SIGRTMIN;
        if has_room || (is_ordinary && info.code >= 0) {
            pending.push(info);
        } else if is_ordinary || info.code == libc::SI_USER {
            pending.push_bare(info.signal);
        } else {
            return Err(Errno::EAGAIN);
        }

        match target {
            Target::Process(_) => self.assign(now, pid, info.signal),
            Target::Thread(tid) => self.wake_to_look(now, tid),
        }
        self.notify_signal_files(now, pid, crate::file::ready::IN);
        Ok(())
    }

    /// Queue the signal of a timer, which has none queued: beside others of its number, whether they queue or not.
    pub(crate) fn queue_timer_signal(
        &mut self,
        now: SimTime,
        target: Target,
        info: SignalInfo,
        timer: TimerId,
    ) {
        let pid = match target {
            Target::Process(pid) => Some(pid),
            Target::Thread(tid) => self.process_of(tid),
        };
        let Some(pid) = pid else { return };
        self.prepare(now, pid, info.signal);
        match target {
            Target::Process(_) => {
                if let Some(process) = self.processes.get_mut(&pid) {
                    process.pending.push_of_timer(info, timer);
                }
                self.assign(now, pid, info.signal);
            }
            Target::Thread(tid) => {
                if let Some(thread) = self.threads.get_mut(&tid) {
                    thread.pending.push_of_timer(info, timer);
                }
                self.wake_to_look(now, tid);
            }
        }
    }

    /// A timer takes back its signal.
    pub(crate) fn take_back(&mut self, pid: VirtualPid, timer: TimerId) {
        if let Some(process) = self.processes.get_mut(&pid)
            && let Some(signal) = process.pending.remove_of_timer(timer)
        {
            self.unassign(pid, bit(signal));
        }
        for thread in self.threads.values_mut().filter(|thread| thread.pid == pid) {
            thread.pending.remove_of_timer(timer);
        }
    }

    /// What sending a signal does whatever becomes of the signal itself: continuing and stopping cancel each other,
    /// whoever has them pending, and a stopped process goes on, or dies.
    pub(super) fn prepare(&mut self, now: SimTime, pid: VirtualPid, signal: u32) {
        let cancelled = match bit(signal) {
            stop if stop & STOPS != 0 => bit(SIGCONT),
            cont if cont == bit(SIGCONT) => STOPS,
            _ => 0,
        };
        if cancelled != 0 {
            if let Some(process) = self.processes.get_mut(&pid) {
                process.pending.remove(cancelled);
            }
            for thread in self.threads.values_mut().filter(|thread| thread.pid == pid) {
                thread.pending.remove(cancelled);
                thread.assigned &= !cancelled;
            }
        }
        match signal {
            SIGCONT => self.continue_process(now, pid),
            SIGKILL => self.release_to_die(now, pid),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{TestGuest, machine, signal};

    fn queue(
        (kernel, _, tid): &mut (Kernel, TestGuest, VirtualTid),
        info: SignalInfo,
    ) -> Result<(), Errno> {
        kernel.queue_signal(SimTime::ZERO, Target::Thread(*tid), info)
    }

    #[test]
    fn continuing_and_stopping_cancel_each_other() {
        let mut machine = machine();
        for (number, pending) in [(20, bit(20)), (18, bit(18)), (21, bit(21))] {
            assert_eq!(queue(&mut machine, signal(number)), Ok(()));
            assert_eq!(machine.0.pending(machine.2), pending);
        }
    }

    #[test]
    fn the_queue_has_a_limit_for_signals_with_data() {
        let mut machine = machine();
        let room = machine.0.processes[&VirtualPid(1000)].limits.pending_signals();
        let with_data = |number| SignalInfo { code: -1, ..signal(number) };
        for _ in 0..room {
            assert_eq!(queue(&mut machine, with_data(40)), Ok(()));
        }
        assert_eq!(queue(&mut machine, with_data(40)), Err(Errno::EAGAIN));
        assert_eq!(queue(&mut machine, signal(41)), Ok(()), "what kill sends needs no room");
        assert_eq!(queue(&mut machine, with_data(10)), Ok(()), "nor do ordinary signals");
        assert_eq!(machine.0.pending(machine.2), bit(40) | bit(41) | bit(10));
        let pending = &mut machine.0.threads.get_mut(&VirtualTid(1000)).unwrap().pending;
        assert_eq!(pending.take(10).0.code, 0, "but their data is lost");
    }
}
