//! Models of what the state machines stand on: a word and a futex, over loom's.
//!
//! A [`Flaw`] in; a word and a futex that keep Linux's promises but for that one, out.

use std::sync::atomic::Ordering::{self, Acquire, Relaxed, Release};

use loom::sync::atomic::AtomicU32;
use loom::sync::{Condvar, Mutex};
use loom::thread;
use shim_sync::{Futex, Word};

/// What is broken in a model.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    Nothing,
    /// `Release` is carried out as `Relaxed`.
    Release,
    /// `Acquire` is carried out as `Relaxed`.
    Acquire,
    /// The futex forgets to wake.
    Wake,
    /// The futex sleeps without comparing.
    Compare,
}

pub struct ModelWord {
    pub word: AtomicU32,
    pub flaw: Flaw,
}

impl ModelWord {
    fn order(&self, order: Ordering) -> Ordering {
        match (self.flaw, order) {
            (Flaw::Release, Release) | (Flaw::Acquire, Acquire) => Relaxed,
            (_, order) => order,
        }
    }
}

impl Word for ModelWord {
    fn load(&self, order: Ordering) -> u32 {
        self.word.load(self.order(order))
    }
    fn store(&self, value: u32, order: Ordering) {
        self.word.store(value, self.order(order));
    }
    fn compare_exchange(
        &self,
        current: u32,
        new: u32,
        success: Ordering,
        failure: Ordering,
    ) -> Result<u32, u32> {
        self.word.compare_exchange(current, new, self.order(success), self.order(failure))
    }
    fn fetch_or(&self, bits: u32, order: Ordering) -> u32 {
        self.word.fetch_or(bits, self.order(order))
    }
    fn pause() {
        thread::yield_now();
    }
}

/// A futex of one word. The mutex stands for the lock that Linux holds while it compares and queues.
pub struct ModelFutex {
    /// How many waits still return at once without a reason.
    stray_returns: Mutex<u32>,
    queue: Condvar,
    flaw: Flaw,
}

impl ModelFutex {
    pub fn new(flaw: Flaw, stray_returns: u32) -> ModelFutex {
        ModelFutex { stray_returns: Mutex::new(stray_returns), queue: Condvar::new(), flaw }
    }
}

impl Futex<ModelWord> for ModelFutex {
    fn wait(&self, word: &ModelWord, expected: u32) {
        let mut stray_returns = self.stray_returns.lock().unwrap();
        if self.flaw != Flaw::Compare && word.load(Relaxed) != expected {
            return;
        }
        if *stray_returns > 0 {
            *stray_returns -= 1;
            return;
        }
        drop(self.queue.wait(stray_returns).unwrap());
    }

    fn wake(&self, _word: &ModelWord) {
        if self.flaw != Flaw::Wake {
            let _lock = self.stray_returns.lock().unwrap();
            self.queue.notify_all();
        }
    }
}

/// How often the scheduler may take the processor away from a thread that could go on. Without a
/// bound the larger programs take hours; three find what practice has ever found with loom.
pub const PREEMPTIONS: Option<usize> = Some(if cfg!(debug_assertions) { 2 } else { 3 });
/// For programs that are small enough to try everything.
#[allow(dead_code)] // Not every test program is that small.
pub const UNBOUNDED: Option<usize> = None;

pub fn explore(preemptions: Option<usize>, program: impl Fn() + Sync + Send + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = preemptions;
    model.check(program);
}
