//! Some processes of one host that have one queue open, for tests.
//!
//! Always true: all of them share one guest's memory, mask and actions; the queue's descriptor is 3.

use std::vec::Vec;

use shim_abi::calls::nr;
use shim_abi::{Errno, SimTime};

use crate::signal::Target;
use crate::testing::{DATA, TestGuest, machine, signal};
use crate::{Guest, GuestAddr, Kernel, Outcome, VirtualTid};

/// Where names stand.
pub(super) const NAME: u64 = DATA + 0x2000;
/// Flags that make a queue.
pub(super) const CREATE: i32 = libc::O_CREAT | libc::O_RDWR;

pub(super) struct Bench {
    pub(super) kernel: Kernel,
    pub(super) guest: TestGuest,
    pub(super) threads: Vec<VirtualTid>,
    pub(super) now: SimTime,
}

impl Bench {
    pub(super) fn new(count: usize) -> Bench {
        let (mut kernel, guest, first) = machine();
        let mut threads = Vec::from([first]);
        threads.extend((1..count).map(|_| kernel.spawn(SimTime::ZERO, "program").1));
        Bench { kernel, guest, threads, now: SimTime::ZERO }
    }

    /// Each of the processes has a queue for so many messages open.
    pub(super) fn with_queue(count: usize, flags: i32, messages: u64) -> Bench {
        let mut bench = Bench::new(count);
        bench.put_name(b"queue");
        bench.guest.put_words(DATA, &[0, messages, 8192]);
        for thread in 0..count {
            let args = [NAME, (libc::O_CREAT | flags) as u64, 0o600, DATA, 3];
            assert_eq!(bench.done(thread, nr::mq_open, &args), 3);
        }
        bench
    }

    /// The first process opens the queue once more.
    pub(super) fn open_again(&mut self, fd: u64, flags: i32) {
        let args = [NAME, flags as u64, 0, 0, fd];
        assert_eq!(self.done(0, nr::mq_open, &args), fd as i64);
    }

    pub(super) fn put_name(&mut self, name: &[u8]) {
        let bytes = [name, &[0]].concat();
        self.guest.write(GuestAddr(NAME), &bytes).unwrap();
    }

    pub(super) fn call(&mut self, thread: usize, number: u32, args: &[u64]) -> Outcome {
        let args = core::array::from_fn(|i| args.get(i).copied().unwrap_or(0));
        self.kernel.call(self.now, self.threads[thread], number, args, &mut self.guest)
    }

    /// A call that does not wait.
    pub(super) fn done(&mut self, thread: usize, number: u32, args: &[u64]) -> i64 {
        match self.call(thread, number, args) {
            Outcome::Done(result) => result,
            other => panic!("{other:?}"),
        }
    }

    /// What becomes of the threads that look, in their order.
    pub(super) fn resumed(&mut self) -> Vec<(usize, Outcome)> {
        let mut resumed = Vec::new();
        while let Some(tid) = self.kernel.next_runnable() {
            let thread = self.threads.iter().position(|&other| other == tid).unwrap();
            resumed.push((thread, self.kernel.resume(self.now, tid, &mut self.guest)));
        }
        resumed
    }

    /// Let everything happen up to `now`.
    pub(super) fn advance(&mut self, now_ns: u64) -> Vec<(usize, Outcome)> {
        self.now = SimTime::from_ns(now_ns);
        self.kernel.advance(self.now);
        self.resumed()
    }

    /// Send a thread a signal; what becomes of those who look.
    pub(super) fn signal(&mut self, thread: usize, number: u32) -> Vec<(usize, Outcome)> {
        let target = Target::Thread(self.threads[thread]);
        self.kernel.queue_signal(self.now, target, signal(number)).unwrap();
        self.resumed()
    }
}

pub(super) const fn failed(errno: Errno) -> Outcome {
    Outcome::Done(errno.as_return())
}
