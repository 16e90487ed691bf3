//! Which thread of a process takes a signal that is for the process.
//!
//! A signal in, the thread that looks out. Always true: it is a thread that does not block it, the process's first if
//! that has nothing else to do, else the next in turn, as Linux chooses; the others neither see it nor are woken. A
//! signal that all block is nobody's, and goes to the first that unblocks it. A mask is known from the thread's last
//! call: if it has changed since, the choice is made again when the thread is heard of.

use alloc::vec::Vec;

use shim_abi::SimTime;

use super::number::{SIGKILL, UNBLOCKABLE, bit};
use crate::ids::{VirtualPid, VirtualTid};
use crate::kernel::Kernel;
use crate::task::{State, Thread, Wait};

impl Kernel {
    /// A signal of a process waits now: choose who takes it, and wake that thread.
    pub(super) fn assign(&mut self, now: SimTime, pid: VirtualPid, signal: u32) {
        let Some(tid) = self.choose(pid, signal) else { return };
        if let Some(thread) = self.threads.get_mut(&tid) {
            thread.assigned |= bit(signal);
        }
        self.wake_to_look(now, tid);
    }

    /// Masks have changed, or a thread is gone: signals that their thread will not take go to others.
    pub(crate) fn assign_again(&mut self, now: SimTime, pid: VirtualPid) {
        let Some(process) = self.processes.get(&pid) else { return };
        let mut left = process.pending.bits();
        if left == 0 {
            return;
        }
        for tid in self.threads_of(pid) {
            let Some(thread) = self.threads.get_mut(&tid) else { continue };
            thread.assigned &= !thread.effective_mask();
            left &= !thread.assigned;
        }
        for signal in 1..=super::MAX {
            if left & bit(signal) != 0 {
                self.assign(now, pid, signal);
            }
        }
    }

    /// The signals of its process that a thread sees: those that it was chosen for, that nobody was, or that it
    /// blocks.
    pub(crate) fn shared_signals_of(&self, tid: VirtualTid) -> u64 {
        let Some(thread) = self.threads.get(&tid) else { return 0 };
        let Some(process) = self.processes.get(&thread.pid) else { return 0 };
        let bits = process.pending.bits();
        if bits == 0 {
            return 0;
        }
        let others = self.threads_of(thread.pid).into_iter().filter(|&other| other != tid);
        let theirs = others
            .fold(0, |set, other| set | self.threads.get(&other).map_or(0, |other| other.assigned));
        bits & (thread.assigned | !theirs | thread.mask | bit(SIGKILL))
    }

    /// These signals of a process wait no more.
    pub(super) fn unassign(&mut self, pid: VirtualPid, set: u64) {
        for thread in self.threads.values_mut().filter(|thread| thread.pid == pid) {
            thread.assigned &= !set;
        }
    }

    /// The thread that takes a signal of its process, if any does at once.
    fn choose(&mut self, pid: VirtualPid, signal: u32) -> Option<VirtualTid> {
        let process = self.processes.get(&pid)?;
        if process.job.is_stopped && signal != SIGKILL {
            return None;
        }
        let (bits, first) = (process.pending.bits(), process.chosen);
        let wants = |tid: VirtualTid| {
            self.threads.get(&tid).is_some_and(|thread| thread.wants(signal, bits))
        };
        if wants(pid.leader()) {
            return Some(pid.leader());
        }
        let tids = self.threads_of(pid);
        let start = tids.iter().position(|&tid| tid >= first).unwrap_or(0);
        let mut turn: Vec<VirtualTid> = tids;
        turn.rotate_left(start);
        let chosen = turn.into_iter().find(|&tid| wants(tid))?;
        self.processes.get_mut(&pid)?.chosen = chosen;
        Some(chosen)
    }
}

impl Thread {
    /// The signals that it does not take at the moment.
    fn effective_mask(&self) -> u64 {
        let mask = match self.state {
            State::Parked(parked) => match parked.wait {
                Wait::Suspend { mask } => mask,
                Wait::OneOf { set, .. } => self.mask & !set,
                _ => self.mask,
            },
            _ => self.suspended_mask.unwrap_or(self.mask),
        };
        mask & !UNBLOCKABLE
    }

    /// Whether it takes this signal, while these wait for its process: it has nothing else to take, or is awake.
    fn wants(&self, signal: u32, shared: u64) -> bool {
        let mask = self.effective_mask();
        let is_busy = (self.pending.bits() | (self.assigned & shared)) & !mask != 0;
        match self.state {
            State::Unborn(_) | State::Ended => false,
            _ if signal == SIGKILL => true,
            State::Running => mask & bit(signal) == 0,
            State::Parked(_) => mask & bit(signal) == 0 && !is_busy,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{DATA, TestGuest, machine, signal};
    use crate::{Outcome, SignalOutcome};
    use shim_abi::calls::nr;

    const NOW: SimTime = SimTime::ZERO;
    const PID: VirtualPid = VirtualPid(1000);

    /// A process of three threads, each with a mask of its own, that handles 10 and 40.
    struct Bench {
        kernel: Kernel,
        guest: TestGuest,
        tids: [VirtualTid; 3],
    }

    impl Bench {
        fn new() -> Bench {
            let (mut kernel, mut guest, tid) = machine();
            guest.actions.extend([(10, 0x1234), (40, 0x1234)]);
            let [a, b] = [0; 2].map(|_| kernel.add_thread(tid, &mut guest));
            Bench { kernel, guest, tids: [tid, a, b] }
        }
        /// The thread waits for a signal under this mask.
        fn pause(&mut self, thread: usize, mask: u64) {
            self.guest.mask = mask;
            let outcome =
                self.kernel.call(NOW, self.tids[thread], nr::pause, [0; 6], &mut self.guest);
            assert_eq!(outcome, Outcome::Park);
        }
        /// Who is woken.
        fn woken(&mut self) -> Vec<usize> {
            let mut woken = Vec::new();
            while let Some(tid) = self.kernel.next_runnable() {
                woken.extend(self.tids.iter().position(|&other| other == tid));
            }
            woken
        }
        fn post(&mut self, number: u32) {
            self.kernel.post_signal(NOW, PID, signal(number));
        }
        fn pending(&self) -> [u64; 3] {
            self.tids.map(|tid| self.kernel.pending(tid))
        }
        fn take(&mut self, thread: usize, mask: u64) -> Option<u32> {
            self.guest.mask = mask;
            match self.kernel.take_signal(NOW, self.tids[thread], &mut self.guest) {
                SignalOutcome::Deliver(info) => Some(info.signal),
                _ => None,
            }
        }
    }

    #[test]
    fn the_first_thread_takes_it_if_it_can() {
        let mut bench = Bench::new();
        (0..3).for_each(|thread| bench.pause(thread, 0));
        bench.post(10);
        assert_eq!((bench.woken(), bench.pending()), (Vec::from([0]), [bit(10), 0, 0]));
        assert_eq!(bench.take(1, 0), None, "it is another's");
        assert_eq!(bench.take(0, 0), Some(10));
        assert_eq!(bench.pending(), [0; 3]);
    }

    #[test]
    fn the_others_take_turns_if_the_first_blocks_it() {
        let mut bench = Bench::new();
        bench.pause(0, bit(10) | bit(40));
        (1..3).for_each(|thread| bench.pause(thread, 0));
        bench.post(40);
        bench.post(40);
        assert_eq!(bench.woken(), [1, 2], "one is busy with the first");
        assert_eq!(bench.pending(), [bit(40); 3], "who blocks it sees it, too");
        assert_eq!((bench.take(2, 0), bench.take(1, 0)), (Some(40), Some(40)));
        assert_eq!(bench.pending(), [0; 3]);
        bench.post(40);
        assert_eq!(bench.woken(), [], "they run, so they are not woken");
        assert_eq!(bench.pending(), [bit(40), 0, bit(40)], "the turn is where it was");
    }

    #[test]
    fn what_all_block_is_taken_by_who_unblocks_it_first() {
        let mut bench = Bench::new();
        (0..3).for_each(|thread| bench.pause(thread, bit(10)));
        bench.post(10);
        assert_eq!(bench.woken(), []);
        assert_eq!(bench.take(2, 0), Some(10));
        assert_eq!(bench.pending(), [0; 3]);
    }

    #[test]
    fn who_blocks_it_after_all_passes_it_on() {
        let mut bench = Bench::new();
        (0..3).for_each(|thread| bench.pause(thread, 0));
        bench.post(10);
        assert_eq!(bench.woken(), [0]);
        assert_eq!(bench.take(0, bit(10)), None);
        assert_eq!(bench.woken(), [1]);
        let exit = bench.kernel.call(NOW, bench.tids[2], nr::exit, [0; 6], &mut bench.guest);
        assert_eq!(exit, Outcome::Done(shim_abi::Errno::ESRCH.as_return()), "it waits");
        assert_eq!(bench.take(1, 0), Some(10));
    }

    #[test]
    fn who_ends_passes_it_on() {
        let mut bench = Bench::new();
        bench.pause(0, bit(10));
        bench.pause(2, 0);
        bench.guest.mask = 0;
        bench.post(10);
        assert_eq!(bench.pending(), [bit(10), bit(10), 0], "it runs, and is next");
        let ended = bench.kernel.call(NOW, bench.tids[1], nr::exit, [0; 6], &mut bench.guest);
        assert_eq!((ended, bench.woken()), (Outcome::ThreadExit, Vec::from([2])));
    }

    #[test]
    fn who_asks_for_it_gets_it() {
        let mut bench = Bench::new();
        (0..2).for_each(|thread| bench.pause(thread, bit(10)));
        bench.guest.mask = bit(10);
        bench.guest.put_words(DATA, &[bit(10)]);
        let args = [DATA, 0, 0, 8, 0, 0];
        let waits =
            bench.kernel.call(NOW, bench.tids[2], nr::rt_sigtimedwait, args, &mut bench.guest);
        assert_eq!(waits, Outcome::Park);
        bench.post(10);
        assert_eq!(bench.kernel.next_runnable(), Some(bench.tids[2]));
        let resumed = bench.kernel.resume(NOW, bench.tids[2], &mut bench.guest);
        assert_eq!((resumed, bench.pending()), (Outcome::Done(10), [0; 3]));
    }

    #[test]
    fn a_signal_for_a_thread_is_its_own() {
        let mut bench = Bench::new();
        (0..2).for_each(|thread| bench.pause(thread, 0));
        let args = [1000, bench.tids[1].0.into(), 10, 0, 0, 0];
        bench.kernel.do_call(bench.tids[2], nr::tgkill, args, &mut bench.guest);
        assert_eq!((bench.woken(), bench.pending()), (Vec::from([1]), [0, bit(10), 0]));
    }

    #[test]
    fn everybody_sees_what_kills() {
        let mut bench = Bench::new();
        (0..3).for_each(|thread| bench.pause(thread, u64::MAX));
        bench.post(9);
        assert_eq!((bench.woken(), bench.pending()), (Vec::from([0]), [bit(9); 3]));
        let died = bench.kernel.take_signal(NOW, bench.tids[1], &mut bench.guest);
        assert_eq!(died, SignalOutcome::Die { signal: 9 });
    }
}
