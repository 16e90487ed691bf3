//! Every interleaving of small programs that use a control word, explored by loom.
//!
//! A [`Channel`] is what a thread's channel is: a control word, and plain data that the side with
//! control reads and writes; loom panics when two threads reach the data without an order between
//! them, and when all threads wait. Always true: the code under test is the product's, `Control` over
//! loom's atomics; the futex is a model with the promises of Linux's, stray returns included. The
//! second half breaks one promise after another and expects loom to notice: a model that accepts
//! anything would fail there. Not here: single-threaded behaviour and real threads (`control.rs`).
//!
//! Runs with every `cargo test`, with or without `--cfg loom`; `--release` is several times faster.
//!
//! # Safety
//!
//! Unsafe here: loom's cells, read and written by the side that the control word gives them to.
#![allow(unsafe_code)]

mod model;

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use loom::cell::Cell;
use loom::sync::atomic::AtomicU32;
use loom::thread;
use model::{Flaw, ModelFutex, ModelWord, PREEMPTIONS, UNBOUNDED, explore};
use shim_sync::{Closed, Control, Futex, Side, initialize};

struct Channel {
    word: ModelWord,
    futex: ModelFutex,
    request: Cell<u32>,
    reply: Cell<u32>,
}

// SAFETY: the cells are what is being tested: loom panics at every access that the control word does
// not order after the previous one of another thread.
unsafe impl Sync for Channel {}

impl Channel {
    fn new(flaw: Flaw, stray_returns: u32) -> Arc<Channel> {
        let channel = Channel {
            word: ModelWord { word: AtomicU32::new(u32::MAX), flaw },
            futex: ModelFutex::new(flaw, stray_returns),
            request: Cell::new(0),
            reply: Cell::new(0),
        };
        initialize(&channel.word, Side::Guest);
        Arc::new(channel)
    }

    fn view(&self, side: Side) -> Control<'_, ModelWord, &ModelFutex> {
        Control::new(&self.word, &self.futex, side)
    }

    /// A guest that has control asks `rounds` times and checks the answers.
    fn ask(&self, rounds: u32, spins: u32) -> Result<(), Closed> {
        let control = self.view(Side::Guest);
        for round in 1..=rounds {
            self.request.set(round);
            control.call(spins)?;
            assert_eq!(self.reply.get(), round * 10);
        }
        Ok(())
    }

    /// A simulator that answers `rounds` requests and checks them.
    fn answer(&self, rounds: u32, spins: u32) -> Result<(), Closed> {
        let control = self.view(Side::Simulator);
        for round in 1..=rounds {
            control.wait(spins)?;
            assert_eq!(self.request.get(), round);
            self.reply.set(round * 10);
            control.hand_over();
        }
        Ok(())
    }
}

fn ping_pong(flaw: Flaw, rounds: u32, spins: u32, stray_returns: u32) {
    let preemptions = if rounds == 1 { UNBOUNDED } else { PREEMPTIONS };
    explore(preemptions, move || {
        let channel = Channel::new(flaw, stray_returns);
        let guest = {
            let channel = channel.clone();
            thread::spawn(move || channel.ask(rounds, spins))
        };
        assert_eq!(channel.answer(rounds, spins), Ok(()));
        assert_eq!(guest.join().unwrap(), Ok(()));
    });
}

#[test]
fn data_crosses_with_control_when_sides_sleep_at_once() {
    ping_pong(Flaw::Nothing, 1, 0, 0);
    ping_pong(Flaw::Nothing, 3, 0, 0);
}

#[test]
fn data_crosses_with_control_when_sides_spin_first() {
    ping_pong(Flaw::Nothing, 1, 1, 0);
    ping_pong(Flaw::Nothing, 3, 1, 0);
}

#[test]
fn waits_survive_stray_returns_of_the_futex() {
    ping_pong(Flaw::Nothing, 1, 0, 1);
    ping_pong(Flaw::Nothing, 2, 0, 2);
}

/// A wake that belongs to nobody, at any moment: a late wake of an earlier user of the memory.
#[test]
fn waits_survive_a_stray_wake() {
    explore(PREEMPTIONS, || {
        let channel = Channel::new(Flaw::Nothing, 0);
        let guest = {
            let channel = channel.clone();
            thread::spawn(move || channel.ask(1, 0))
        };
        let stray = {
            let channel = channel.clone();
            thread::spawn(move || channel.futex.wake(&channel.word))
        };
        assert_eq!(channel.answer(1, 0), Ok(()));
        assert_eq!(guest.join().unwrap(), Ok(()));
        stray.join().unwrap();
    });
}

/// A simulator that sleeps by [`Control::prepare_sleep`], as who sleeps on several words does, while another thread of its
/// side sleeps on the same word.
#[test]
fn who_announces_its_sleep_is_woken() {
    explore(PREEMPTIONS, || {
        let channel = Channel::new(Flaw::Nothing, 0);
        let guest = {
            let channel = channel.clone();
            thread::spawn(move || channel.ask(1, 0))
        };
        let other = {
            let channel = channel.clone();
            thread::spawn(move || sleep_until_something_came(&channel))
        };
        assert_eq!(sleep_until_something_came(&channel), Ok(()));
        other.join().unwrap().unwrap();
        assert_eq!(channel.request.get(), 1);
        channel.reply.set(10);
        channel.view(Side::Simulator).hand_over();
        assert_eq!(guest.join().unwrap(), Ok(()));
    });
}

fn sleep_until_something_came(channel: &Channel) -> Result<(), Closed> {
    let control = channel.view(Side::Simulator);
    loop {
        if let Some(come) = control.poll() {
            return come;
        }
        if let Some(value) = control.prepare_sleep() {
            channel.futex.wait(&channel.word, value);
        }
    }
}

/// What must hold whenever a third thread closes the channel: both sides end, and it stays closed.
fn close_at_any_moment(rounds: u32, spins: u32) {
    explore(PREEMPTIONS, move || {
        let channel = Channel::new(Flaw::Nothing, 0);
        let guest = {
            let channel = channel.clone();
            thread::spawn(move || {
                // All rounds done or closed on the way: the wait after one more request ends too.
                let _ = channel.ask(rounds, spins);
                channel.view(Side::Guest).hand_over();
                assert_eq!(channel.view(Side::Guest).wait(spins), Err(Closed));
            })
        };
        let watcher = {
            let channel = channel.clone();
            thread::spawn(move || channel.view(Side::Simulator).close())
        };
        // The simulator keeps the control that comes with the last request: only the watcher can end
        // the guest's wait.
        let _ =
            channel.answer(rounds, spins).and_then(|()| channel.view(Side::Simulator).wait(spins));
        guest.join().unwrap();
        watcher.join().unwrap();
        for side in [Side::Guest, Side::Simulator] {
            assert!(channel.view(side).is_closed());
            assert_eq!(channel.view(side).wait(spins), Err(Closed));
            channel.view(side).hand_over();
            assert_eq!(channel.view(side).wait(spins), Err(Closed));
        }
    });
}

#[test]
fn close_ends_both_sides_that_sleep() {
    close_at_any_moment(1, 0);
}

#[test]
fn close_ends_both_sides_that_spin_first() {
    close_at_any_moment(0, 1);
}

/// A guest overwrites the word, forgets the sleeper in it, and dies; the watcher closes.
fn close_after_garbage(flaw: Flaw) {
    explore(UNBOUNDED, move || {
        let channel = Channel::new(flaw, 0);
        let guest = {
            let channel = channel.clone();
            thread::spawn(move || {
                // A swap, because loom lets a plain store stand on either side of the
                // waiter's compare-exchange at the same time, which no processor does.
                channel.word.word.swap(0xffff_fff8, Relaxed);
                channel.view(Side::Guest).close();
            })
        };
        assert_eq!(channel.view(Side::Simulator).wait(0), Err(Closed));
        guest.join().unwrap();
    });
}

#[test]
fn close_wakes_a_sleeper_that_garbage_hid() {
    close_after_garbage(Flaw::Nothing);
}

// From here on: models that are broken on purpose.

#[test]
#[should_panic(expected = "Causality violation")]
fn a_missing_release_is_noticed() {
    ping_pong(Flaw::Release, 1, 1, 0);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn a_missing_acquire_is_noticed() {
    ping_pong(Flaw::Acquire, 1, 1, 0);
}

#[test]
#[should_panic(expected = "deadlock")]
fn a_missing_wake_is_noticed() {
    ping_pong(Flaw::Wake, 1, 0, 0);
}

#[test]
#[should_panic(expected = "deadlock")]
fn a_close_that_wakes_nobody_is_noticed() {
    close_after_garbage(Flaw::Wake);
}

#[test]
#[should_panic(expected = "deadlock")]
fn a_futex_that_does_not_compare_is_noticed() {
    ping_pong(Flaw::Compare, 1, 0, 0);
}
