//! Queueing a signal, wherever it comes from: a guest, a timer, the user.
//!
//! A description and a target in; a signal that waits, and threads that look. Always true: whatever
//! the queue refuses is refused here, before anything has changed but what stopping and continuing
//! cancel. Whether the signal may be sent is decided in `send`.

use shim_abi::event::SignalInfo;
use shim_abi::{Errno, SimTime};

use super::number::{SIGCONT, SIGRTMIN, STOPS, bit};
use crate::ids::{VirtualPid, VirtualTid};
use crate::kernel::Kernel;

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
        let tids = self.threads_of(pid);
        let Some(process) = self.processes.get_mut(&pid) else { return Err(Errno::ESRCH) };

        // Continuing and stopping cancel each other, whoever has them pending.
        let cancelled = match bit(info.signal) {
            stop if stop & STOPS != 0 => bit(SIGCONT),
            cont if cont == bit(SIGCONT) => STOPS,
            _ => 0,
        };
        let mut waiting = process.pending.len();
        process.pending.remove(cancelled);
        for tid in &tids {
            if let Some(thread) = self.threads.get_mut(tid) {
                waiting += thread.pending.len();
                thread.pending.remove(cancelled);
            }
        }
        let has_room = (waiting as u64) < process.limits.pending_signals();

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
            Target::Process(_) => tids.into_iter().for_each(|tid| self.wake_to_look(now, tid)),
            Target::Thread(tid) => self.wake_to_look(now, tid),
        }
        Ok(())
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
        assert_eq!(pending.take(10).code, 0, "but their data is lost");
    }
}
