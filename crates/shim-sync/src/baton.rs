//! The baton's state machine: whether a host's guests have control, or their simulator.
//!
//! A word and a [`Futex`] in; control, or an alarm, out. Guests that hand control to each other need one place where the
//! simulator waits, whoever of them comes back to it. Always true: exactly one side has control; no operation locks,
//! allocates or panics, whatever value the word has. Not here: which guest has control (a word beside this one), and how
//! a guest waits for it, which is its own channel's control word ([`crate::Control`]): nobody but the simulator waits here.
//!
//! # The word
//!
//! | Bit | Meaning | Set by | Cleared by |
//! |---|---|---|---|
//! | 0 | the simulator has control; else its guests | the guest that hands over | the simulator's hand-over |
//! | 1 | the simulator sleeps, or is about to | the simulator | the simulator |
//! | 2 | something happened that the simulator had better look at | anybody | the simulator, when it looks |
//!
//! Data and wakes are lost as little as with a control word, and for the same reasons.

use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use shim_abi::region::baton::{ALARM, SIMULATOR, SLEEPER};

use crate::{Futex, Word};

/// Why a wait for the baton ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Turn {
    /// The simulator has control.
    Control,
    /// Guests have control still, but somebody asked the simulator to look ([`Baton::alarm`]).
    Alarm,
}

/// A view on a baton's word. It has no state of its own.
#[derive(Debug)]
pub struct Baton<'a, W, F> {
    word: &'a W,
    futex: F,
}

impl<'a, W: Word, F: Futex<W>> Baton<'a, W, F> {
    /// The view on `word`.
    pub const fn new(word: &'a W, futex: F) -> Self {
        Baton { word, futex }
    }

    /// Guests get control. Only the simulator calls this, while it has control, before it hands over to one of them by
    /// that one's channel. What nobody has looked at stays.
    pub fn give(&self) {
        let mut seen = self.word.load(Relaxed);
        // Alarms may come meanwhile. Somebody who changes the word all the time breaks the rules, and may lose some.
        for _ in 0..16 {
            match self.word.compare_exchange(seen, seen & ALARM, Relaxed, Relaxed) {
                Ok(_) => return,
                Err(changed) => seen = changed,
            }
        }
        self.word.store(0, Relaxed);
    }

    /// Give control back to the simulator, together with everything written so far: by the guest that has it.
    pub fn give_back(&self) {
        if self.word.fetch_or(SIMULATOR, Release) & SLEEPER != 0 {
            self.futex.wake(self.word);
        }
    }

    /// Have the simulator look. Anybody, at any time.
    pub fn alarm(&self) {
        if self.word.fetch_or(ALARM, Release) & SLEEPER != 0 {
            self.futex.wake(self.word);
        }
    }

    /// Wait until the simulator has control, or is to look. Only the simulator waits.
    ///
    /// Looks at the word `1 + spins` times with a short pause between, then sleeps; a futex that returns early makes
    /// it look once more and sleep again, `naps` times at most before that counts as an alarm.
    pub fn wait(&self, spins: u32, naps: u32) -> Turn {
        for _ in 0..spins {
            if let Some(turn) = self.look(self.word.load(Acquire)) {
                return turn;
            }
            W::pause();
        }
        let mut left = naps;
        loop {
            let seen = self.word.load(Acquire);
            if let Some(turn) = self.look(seen) {
                return turn;
            }
            if left == 0 {
                return Turn::Alarm;
            }
            left -= 1;
            let asleep = seen | SLEEPER;
            if seen == asleep || self.word.compare_exchange(seen, asleep, Relaxed, Relaxed).is_ok()
            {
                self.futex.wait(self.word, asleep);
            }
        }
    }

    fn look(&self, seen: u32) -> Option<Turn> {
        if seen & SIMULATOR != 0 {
            return Some(Turn::Control);
        }
        if seen & ALARM == 0 {
            return None;
        }
        // If the word has changed meanwhile the alarm stays, and the next wait ends at once.
        let _ = self.word.compare_exchange(seen, seen & !ALARM, Acquire, Relaxed);
        Some(Turn::Alarm)
    }
}
