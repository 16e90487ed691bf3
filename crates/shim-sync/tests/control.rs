//! A control word as one thread sees it, and between real threads.
//!
//! Words in known states go in, states and results come out; a futex made of a mutex and a condition
//! variable counts its wakes. Always true: the values of the word that other crates rely on (0 in
//! fresh memory) are spelled out as numbers. Not here: interleavings (`loom.rs`).

use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::{self, Relaxed, SeqCst};
use std::sync::{Condvar, Mutex};
use std::time::Duration;

use shim_sync::{Closed, Control, Futex, Side, Word, initialize};

/// After this long a lost wake is a failure, not a hang.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Default)]
struct TestFutex {
    lock: Mutex<()>,
    queue: Condvar,
    waits: AtomicU32,
    wakes: AtomicU32,
}

impl Futex<AtomicU32> for TestFutex {
    fn wait(&self, word: &AtomicU32, expected: u32) {
        self.waits.fetch_add(1, SeqCst);
        let lock = self.lock.lock().unwrap();
        if word.load(SeqCst) == expected {
            let (_lock, timeout) = self.queue.wait_timeout(lock, PATIENCE).unwrap();
            assert!(!timeout.timed_out(), "nobody woke a sleeper");
        }
    }
    fn wake(&self, _word: &AtomicU32) {
        self.wakes.fetch_add(1, SeqCst);
        let _lock = self.lock.lock().unwrap();
        self.queue.notify_all();
    }
}

fn views<'a>(
    word: &'a AtomicU32,
    futex: &'a TestFutex,
) -> [Control<'a, AtomicU32, &'a TestFutex>; 2] {
    [Side::Guest, Side::Simulator].map(|side| Control::new(word, futex, side))
}

#[test]
fn fresh_memory_means_the_guest_has_control() {
    let (word, futex) = (AtomicU32::new(0), TestFutex::default());
    let [guest, simulator] = views(&word, &futex);
    assert_eq!(guest.wait(0), Ok(()));
    assert!(!guest.is_closed());
    guest.hand_over();
    assert_eq!(simulator.wait(0), Ok(()));
    simulator.hand_over();
    assert_eq!(guest.wait(0), Ok(()));
    assert_eq!(word.load(SeqCst), 0);
    assert_eq!(futex.waits.load(SeqCst), 0);
    assert_eq!(futex.wakes.load(SeqCst), 0, "nobody slept, so nobody is woken");
}

#[test]
fn initialize_overwrites_whatever_was_there() {
    let word = AtomicU32::new(u32::MAX);
    initialize(&word, Side::Guest);
    assert_eq!(word.load(SeqCst), 0);
    initialize(&word, Side::Simulator);
    let futex = TestFutex::default();
    let [_, simulator] = views(&word, &futex);
    assert_eq!(simulator.wait(0), Ok(()));
}

#[test]
fn close_is_for_ever_and_wins_over_control() {
    let (word, futex) = (AtomicU32::new(0), TestFutex::default());
    let [guest, simulator] = views(&word, &futex);
    simulator.close();
    assert_eq!(futex.wakes.load(SeqCst), 1, "a close wakes even if nobody claims to sleep");
    for _ in 0..3 {
        assert!(guest.is_closed() && simulator.is_closed());
        assert_eq!(guest.wait(5), Err(Closed));
        assert_eq!(simulator.call(5), Err(Closed));
        assert_eq!(guest.call(5), Err(Closed));
        simulator.close();
    }
}

#[test]
fn a_sleeper_is_woken_once() {
    let (word, futex) = (AtomicU32::new(2), TestFutex::default());
    let [guest, simulator] = views(&word, &futex);
    guest.hand_over();
    assert_eq!(futex.wakes.load(SeqCst), 1, "the simulator slept");
    simulator.hand_over();
    guest.hand_over();
    assert_eq!(futex.wakes.load(SeqCst), 1, "nobody slept since");
}

#[test]
fn a_hand_over_leaves_no_garbage() {
    let (word, futex) = (AtomicU32::new(0xffff_fff8), TestFutex::default());
    let [guest, simulator] = views(&word, &futex);
    assert_eq!(guest.wait(0), Ok(()));
    guest.hand_over();
    simulator.hand_over();
    assert_eq!(word.load(SeqCst), 0);
}

/// A word that another thread changes before each compare-exchange.
struct Restless(AtomicU32);

impl Word for Restless {
    fn load(&self, order: Ordering) -> u32 {
        self.0.load(order)
    }
    fn store(&self, value: u32, order: Ordering) {
        self.0.store(value, order);
    }
    fn compare_exchange(
        &self,
        current: u32,
        new: u32,
        success: Ordering,
        failure: Ordering,
    ) -> Result<u32, u32> {
        self.0.fetch_add(8, Relaxed);
        self.0.compare_exchange(current, new, success, failure)
    }
    fn fetch_or(&self, bits: u32, order: Ordering) -> u32 {
        self.0.fetch_or(bits, order)
    }
}

struct NoFutex;

impl Futex<Restless> for NoFutex {
    fn wait(&self, _word: &Restless, _expected: u32) {
        panic!("nothing to wait for");
    }
    fn wake(&self, _word: &Restless) {}
}

#[test]
fn a_peer_that_never_stops_writing_cannot_hold_up_a_hand_over() {
    let word = Restless(AtomicU32::new(0));
    let guest = Control::new(&word, NoFutex, Side::Guest);
    assert_eq!(guest.call(0), Err(Closed));
}

/// Many rounds between two threads; `spins` decides whether they mostly spin or mostly sleep.
fn rounds_between_threads(rounds: u32, spins: u32) {
    let (word, futex, data) = (AtomicU32::new(0), TestFutex::default(), AtomicU32::new(0));
    let [guest, simulator] = views(&word, &futex);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for round in 0..rounds {
                simulator.wait(spins).unwrap();
                assert_eq!(data.load(Relaxed), 2 * round + 1);
                data.store(2 * round + 2, Relaxed);
                simulator.hand_over();
            }
        });
        for round in 0..rounds {
            data.store(2 * round + 1, Relaxed);
            guest.call(spins).unwrap();
            assert_eq!(data.load(Relaxed), 2 * round + 2);
        }
    });
}

#[test]
fn threads_that_sleep_at_once() {
    rounds_between_threads(2_000, 0);
}

#[test]
fn threads_that_spin_first() {
    rounds_between_threads(2_000, 200);
}

#[test]
fn close_wakes_a_thread_that_sleeps() {
    let (word, futex) = (AtomicU32::new(0), TestFutex::default());
    let [guest, simulator] = views(&word, &futex);
    std::thread::scope(|scope| {
        let sleeper = scope.spawn(|| simulator.wait(0));
        while futex.waits.load(SeqCst) == 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
        guest.close();
        assert_eq!(sleeper.join().unwrap(), Err(Closed));
    });
}
