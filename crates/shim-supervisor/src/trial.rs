//! Which way of handing control over is faster here and now: watching from another processor, or taking turns on one.
//!
//! A processor in, the answer out. Always true: it takes a few hundred microseconds on a quiet machine, a few
//! milliseconds on a busy one, and changes nothing; no result of a simulation depends on it. What is tried is what guests
//! and simulators do (`channel`), between two threads of this process.

use std::sync::atomic::AtomicU32;
use std::thread;
use std::time::{Duration, Instant};

use rustix::thread::{CpuSet, futex, sched_setaffinity};
use shim_sync::{Control, Futex, Side};

use crate::channel::wake;

/// How often control goes there and back.
const ROUNDS: u32 = 24;
/// So long a trial says that this is not the way.
const LIMIT: Duration = Duration::from_millis(2);
/// Looks before a watcher sleeps all the same: some 100 us.
const SPINS: u32 = 8_000;

/// Whether control comes back sooner from a thread on another processor that watches for it than from one that takes turns
/// with this one on processor `cpu`. Not if there is no other processor, or others use it.
pub fn is_watching_faster(cpu: usize) -> bool {
    let apart = time(SPINS, None);
    apart < LIMIT && apart < time(0, Some(cpu))
}

/// How long the rounds take if both sides look so often before they sleep.
fn time(spins: u32, cpu: Option<usize>) -> Duration {
    let word = AtomicU32::new(0);
    let view = |side| Control::new(&word, Sleep, side);
    thread::scope(|scope| {
        scope.spawn(|| {
            keep_to(cpu);
            let simulator = view(Side::Simulator);
            while simulator.wait(spins).is_ok() {
                simulator.hand_over();
            }
        });
        let guest = scope.spawn(|| {
            keep_to(cpu);
            let guest = view(Side::Guest);
            // The first time, the other one is just being made.
            let _ = guest.call(spins);
            let began = Instant::now();
            for _ in 0..ROUNDS {
                let _ = guest.call(spins);
                if began.elapsed() > LIMIT {
                    break;
                }
            }
            let took = began.elapsed();
            guest.close();
            took
        });
        guest.join().unwrap_or(LIMIT)
    })
}

/// Where that is forbidden, the thread runs anywhere.
fn keep_to(cpu: Option<usize>) {
    if let Some(cpu) = cpu {
        let mut cpus = CpuSet::new();
        cpus.set(cpu);
        let _ = sched_setaffinity(None, &cpus);
    }
}

/// A futex between threads.
struct Sleep;

impl Futex<AtomicU32> for Sleep {
    fn wait(&self, word: &AtomicU32, expected: u32) {
        let _ = futex::wait(word, futex::Flags::empty(), expected, None);
    }
    fn wake(&self, word: &AtomicU32) {
        wake(word);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::thread::sched_getaffinity;

    #[test]
    fn a_trial_ends_and_leaves_this_thread_where_it_was() {
        let before = sched_getaffinity(None).unwrap();
        let cpu = (0..CpuSet::MAX_CPU).find(|&cpu| before.is_set(cpu)).unwrap();
        is_watching_faster(cpu);
        let after = sched_getaffinity(None).unwrap();
        assert!((0..CpuSet::MAX_CPU).all(|cpu| before.is_set(cpu) == after.is_set(cpu)));
    }

    #[test]
    fn on_one_processor_nobody_watches() {
        let only = thread::spawn(|| {
            let allowed = sched_getaffinity(None).unwrap();
            let cpu = (0..CpuSet::MAX_CPU).find(|&cpu| allowed.is_set(cpu)).unwrap();
            // Threads inherit it.
            keep_to(Some(cpu));
            is_watching_faster(cpu)
        });
        assert!(!only.join().unwrap());
    }
}
