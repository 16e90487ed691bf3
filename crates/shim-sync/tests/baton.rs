//! Every interleaving of a simulator and guests that hand control to each other, explored by loom.
//!
//! As `loom.rs`, for the baton: control goes from the simulator to one guest, from that one to another by its channel, and
//! back by the baton, while somebody raises alarms. Always true: the code under test is the product's.
//!
//! # Safety
//!
//! Unsafe here: loom's cells, read and written by whoever has control.
#![allow(unsafe_code)]

mod model;

use std::sync::Arc;

use loom::cell::Cell;
use loom::sync::atomic::AtomicU32;
use loom::thread;
use model::{Flaw, ModelFutex, ModelWord, PREEMPTIONS, explore};
use shim_sync::{Baton, Control, Side, Turn, initialize};

/// So many early returns of a futex as no run has.
const NAPS: u32 = 1000;

struct Word {
    word: ModelWord,
    futex: ModelFutex,
}

impl Word {
    fn new(value: u32, flaw: Flaw) -> Word {
        let word = ModelWord { word: AtomicU32::new(value), flaw };
        Word { word, futex: ModelFutex::new(flaw, 0) }
    }
    /// A channel whose guest waits.
    fn channel(flaw: Flaw) -> Word {
        let channel = Word::new(0, flaw);
        initialize(&channel.word, Side::Simulator);
        channel
    }
    fn control(&self, side: Side) -> Control<'_, ModelWord, &ModelFutex> {
        Control::new(&self.word, &self.futex, side)
    }
    fn baton(&self) -> Baton<'_, ModelWord, &ModelFutex> {
        Baton::new(&self.word, &self.futex)
    }
}

struct Host {
    baton: Word,
    first: Word,
    second: Word,
    /// What whoever has control adds to.
    sum: Cell<u32>,
}

// SAFETY: the cell is what is being tested: loom panics at every access that the words do not order after the previous
// one of another thread.
unsafe impl Sync for Host {}

impl Host {
    fn new(flaw: Flaw) -> Arc<Host> {
        /// The simulator has control.
        const SIMULATOR: u32 = 1;
        Arc::new(Host {
            baton: Word::new(SIMULATOR, flaw),
            first: Word::channel(flaw),
            second: Word::channel(flaw),
            sum: Cell::new(0),
        })
    }

    fn add(&self, number: u32) {
        self.sum.set(self.sum.get() + number);
    }

    /// A guest that gets control once and hands it on to the other.
    fn hand_on(&self) {
        self.first.control(Side::Guest).wait(0).unwrap();
        self.add(1);
        self.first.control(Side::Guest).hand_over();
        self.second.control(Side::Simulator).hand_over();
    }

    /// A guest that gets control once and hands it back.
    fn hand_back(&self) {
        self.second.control(Side::Guest).wait(0).unwrap();
        self.add(10);
        self.second.control(Side::Guest).hand_over();
        self.baton.baton().give_back();
    }
}

fn round(flaw: Flaw, has_alarm: bool, spins: u32) {
    explore(PREEMPTIONS, move || {
        let host = Host::new(flaw);
        let run = |part: fn(&Host)| {
            let host = host.clone();
            thread::spawn(move || part(&host))
        };
        let guests = [run(Host::hand_on), run(Host::hand_back)];
        let alarm = has_alarm.then(|| run(|host| host.baton.baton().alarm()));
        host.baton.baton().give();
        host.first.control(Side::Simulator).hand_over();
        while host.baton.baton().wait(spins, NAPS) == Turn::Alarm {
            assert!(has_alarm);
        }
        host.add(100);
        assert_eq!(host.sum.get(), 111);
        guests.into_iter().chain(alarm).for_each(|thread| thread.join().unwrap());
    });
}

#[test]
fn control_goes_round_and_takes_the_data_along() {
    round(Flaw::Nothing, false, 0);
    round(Flaw::Nothing, false, 1);
}

#[test]
fn an_alarm_does_not_disturb_control() {
    round(Flaw::Nothing, true, 0);
}

/// The guest never hands back: only the alarm can end the wait, whether it comes before, while or after control is given.
fn alarm_alone(flaw: Flaw) {
    explore(PREEMPTIONS, move || {
        let host = Host::new(flaw);
        let watcher = {
            let host = host.clone();
            thread::spawn(move || host.baton.baton().alarm())
        };
        host.baton.baton().give();
        assert_eq!(host.baton.baton().wait(0, NAPS), Turn::Alarm);
        watcher.join().unwrap();
    });
}

#[test]
fn an_alarm_is_never_lost() {
    alarm_alone(Flaw::Nothing);
}

#[test]
#[should_panic(expected = "deadlock")]
fn an_alarm_that_wakes_nobody_is_noticed() {
    alarm_alone(Flaw::Wake);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn a_missing_release_is_noticed() {
    round(Flaw::Release, false, 1);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn a_missing_acquire_is_noticed() {
    round(Flaw::Acquire, false, 1);
}
