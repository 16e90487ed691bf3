//! Some processes of one host, for tests.
//!
//! Always true: all of them share one guest's memory, mask and actions.

use std::vec::Vec;

use shim_abi::{Errno, SimTime};

use super::{TestGuest, machine, signal};
use crate::signal::Target;
use crate::{Kernel, Outcome, VirtualTid};

pub(crate) struct Bench {
    pub(crate) kernel: Kernel,
    pub(crate) guest: TestGuest,
    pub(crate) threads: Vec<VirtualTid>,
    pub(crate) now: SimTime,
}

impl Bench {
    pub(crate) fn new(count: usize) -> Bench {
        let (mut kernel, guest, first) = machine();
        let mut threads = Vec::from([first]);
        threads.extend((1..count).map(|_| kernel.spawn(SimTime::ZERO, "program").1));
        Bench { kernel, guest, threads, now: SimTime::ZERO }
    }

    pub(crate) fn call(&mut self, thread: usize, number: u32, args: &[u64]) -> Outcome {
        let args = core::array::from_fn(|i| args.get(i).copied().unwrap_or(0));
        self.kernel.call(self.now, self.threads[thread], number, args, &mut self.guest)
    }

    /// A call that does not wait.
    pub(crate) fn done(&mut self, thread: usize, number: u32, args: &[u64]) -> i64 {
        match self.call(thread, number, args) {
            Outcome::Done(result) => result,
            other => panic!("{other:?}"),
        }
    }

    /// What becomes of the threads that look, in their order.
    pub(crate) fn resumed(&mut self) -> Vec<(usize, Outcome)> {
        let mut resumed = Vec::new();
        while let Some(tid) = self.kernel.next_runnable() {
            let thread = self.threads.iter().position(|&other| other == tid).unwrap();
            resumed.push((thread, self.kernel.resume(self.now, tid, &mut self.guest)));
        }
        resumed
    }

    /// Let everything happen up to `now`.
    pub(crate) fn advance(&mut self, now_ns: u64) -> Vec<(usize, Outcome)> {
        self.now = SimTime::from_ns(now_ns);
        self.kernel.advance(self.now);
        self.resumed()
    }

    /// Send a thread a signal; what becomes of those who look.
    pub(crate) fn signal(&mut self, thread: usize, number: u32) -> Vec<(usize, Outcome)> {
        let target = Target::Thread(self.threads[thread]);
        self.kernel.queue_signal(self.now, target, signal(number)).unwrap();
        self.resumed()
    }
}

pub(crate) const fn failed(errno: Errno) -> Outcome {
    Outcome::Done(errno.as_return())
}
