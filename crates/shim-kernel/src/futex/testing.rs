//! A process of several threads, for tests.
//!
//! Always true: all of its threads share one guest's memory, mask and actions.

use std::vec::Vec;

use shim_abi::SimTime;
use shim_abi::calls::nr;

use crate::signal::Target;
use crate::testing::{DATA, TestGuest, machine, signal};
use crate::{Kernel, Outcome, VirtualTid};

pub(super) fn at(ns: u64) -> SimTime {
    SimTime::from_ns(ns)
}

pub(super) struct Bench {
    pub(super) kernel: Kernel,
    pub(super) guest: TestGuest,
    pub(super) threads: Vec<VirtualTid>,
}

impl Bench {
    pub(super) fn new(count: usize) -> Bench {
        let (mut kernel, mut guest, first) = machine();
        let mut threads = Vec::from([first]);
        threads.extend((1..count).map(|_| kernel.add_thread(first, &mut guest)));
        guest.put_words(DATA, &[0]);
        Bench { kernel, guest, threads }
    }

    pub(super) fn call(&mut self, thread: usize, number: u32, args: [u64; 6]) -> Outcome {
        self.kernel.call(SimTime::ZERO, self.threads[thread], number, args, &mut self.guest)
    }

    pub(super) fn futex(&mut self, thread: usize, args: [u64; 6]) -> Outcome {
        self.call(thread, nr::futex, args)
    }

    /// What becomes of the threads that were woken, in their order.
    pub(super) fn resumed(&mut self) -> Vec<(usize, Outcome)> {
        self.resumed_at(SimTime::ZERO)
    }

    pub(super) fn resumed_at(&mut self, now: SimTime) -> Vec<(usize, Outcome)> {
        let mut resumed = Vec::new();
        while let Some(tid) = self.kernel.next_runnable() {
            let thread = self.threads.iter().position(|&other| other == tid).unwrap();
            resumed.push((thread, self.kernel.resume(now, tid, &mut self.guest)));
        }
        resumed
    }

    pub(super) fn queue_signal(&mut self, thread: usize, number: u32) {
        let target = Target::Thread(self.threads[thread]);
        self.kernel.queue_signal(SimTime::ZERO, target, signal(number)).unwrap();
    }

    /// Send a thread a signal; what becomes of those who look.
    pub(super) fn signal(&mut self, thread: usize, number: u32) -> Vec<(usize, Outcome)> {
        self.queue_signal(thread, number);
        self.resumed()
    }
}
