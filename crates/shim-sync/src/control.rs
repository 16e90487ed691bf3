//! The control word's state machine: who has control, who sleeps, whether it is over.
//!
//! A word, a [`Side`] and a [`Futex`] in; control, or [`Closed`], out. Always true: exactly one side
//! has control until the word is closed, which nothing undoes; no operation locks, allocates or
//! panics, whatever value the word has, so all of them are async-signal-safe. Not here: the messages
//! that travel with control (`shim-abi`, `event`), and for how long it pays to spin (the caller).
//!
//! # The word
//!
//! | Bit | Meaning | Set by | Cleared by |
//! |---|---|---|---|
//! | 0 | the simulator has control; else the guest | the guest's hand-over | the simulator's hand-over |
//! | 1 | the side without control sleeps, or is about to | that side | the other side's hand-over |
//! | 2 | closed | anybody | nobody |
//!
//! The other bits are 0; what a faulty peer puts there is ignored and vanishes with the next
//! hand-over. 0, and so fresh memory, is "the guest has control, nobody sleeps, open".
//!
//! # Why nothing is lost
//!
//! *Data.* A hand-over is a `Release` operation, and a wait ends with an `Acquire` load of the value
//! that it stored, or of one that read-modify-write operations made of it, which continue the same
//! release sequence. So what one side wrote before its hand-over is visible to the other after its wait.
//!
//! *Wakes.* A waiter declares its sleep in the word itself, by a compare-exchange that fails if control
//! has come meanwhile. A hand-over replaces the whole word in one operation and so sees the declaration,
//! or comes before it and makes it fail. The futex compares once more before it sleeps.
//!
//! Why not a plain store and a separate flag for the sleeper: then both sides need a full fence between
//! writing one and reading the other, which costs what the one locked operation costs. Why not an
//! unconditional exchange: it would wipe out a close that happens at the same moment.

use core::fmt;
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use shim_abi::thread::control::{CLOSED, SIMULATOR, SLEEPER};

use crate::{Futex, Word};

/// One of the two sides of a channel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Side {
    /// The thread of the guest.
    Guest,
    /// Whoever answers it.
    Simulator,
}

impl Side {
    const fn bits(self) -> u32 {
        match self {
            Side::Guest => 0,
            Side::Simulator => SIMULATOR,
        }
    }

    const fn other(self) -> Side {
        match self {
            Side::Guest => Side::Simulator,
            Side::Simulator => Side::Guest,
        }
    }
}

/// The channel is closed: the other side is gone, and control will never come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Closed;

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the channel is closed")
    }
}

impl core::error::Error for Closed {}

/// Set the word to "`owner` has control, nobody sleeps, open". Only before the word is shared.
pub fn initialize<W: Word>(word: &W, owner: Side) {
    word.store(owner.bits(), Relaxed);
}

/// One side's view of a control word. It has no state of its own.
#[derive(Debug)]
pub struct Control<'a, W, F> {
    word: &'a W,
    futex: F,
    side: Side,
}

impl<'a, W: Word, F: Futex<W>> Control<'a, W, F> {
    /// The view of `side` on `word`. A watcher, who only closes, may be either side.
    pub const fn new(word: &'a W, futex: F, side: Side) -> Self {
        Control { word, futex, side }
    }

    /// Give control to the other side, together with everything written so far.
    ///
    /// One locked operation, and a wake if the other side sleeps. Only the side that has control calls
    /// this, and touches nothing of the channel afterwards until a [`Control::wait`] succeeds. On a closed
    /// word nobody gets anything.
    ///
    /// A peer that keeps changing the word although it has no control finds it closed.
    pub fn hand_over(&self) {
        let mut seen = self.word.load(Relaxed);
        // Twice, because the peer may declare its sleep meanwhile, but only once. Any other change is a
        // close, or comes from a peer that does not keep the rules; either way it is over.
        for _ in 0..2 {
            let new = self.side.other().bits() | seen & CLOSED;
            match self.word.compare_exchange(seen, new, Release, Relaxed) {
                Ok(_) => {
                    if seen & SLEEPER != 0 {
                        self.futex.wake(self.word);
                    }
                    return;
                }
                Err(changed) => seen = changed,
            }
        }
        self.close();
    }

    /// Wait until this side has control, or until the word is closed.
    ///
    /// Looks at the word `1 + spins` times with a short pause between, then sleeps. After `Ok` all
    /// that the other side wrote before its hand-over is visible. Closed wins over control.
    pub fn wait(&self, spins: u32) -> Result<(), Closed> {
        for _ in 0..spins {
            if let Some(end) = self.look(self.word.load(Acquire)) {
                return end;
            }
            W::pause();
        }
        loop {
            let seen = self.word.load(Acquire);
            if let Some(end) = self.look(seen) {
                return end;
            }
            let asleep = seen | SLEEPER;
            if self.word.compare_exchange(seen, asleep, Relaxed, Relaxed).is_ok() {
                self.futex.wait(self.word, asleep);
            }
        }
    }

    /// Whether this side has control, without waiting; `None`: not yet. Otherwise as [`Control::wait`].
    pub fn poll(&self) -> Option<Result<(), Closed>> {
        self.look(self.word.load(Acquire))
    }

    /// Announce that this side is about to sleep, for a futex that sleeps on several words at once: the value to sleep
    /// on. `None`: the word has changed meanwhile, or there is nothing to sleep for; look again.
    ///
    /// Several threads of one side may sleep so, as long as one of them looks in the end: all of them are woken.
    pub fn prepare_sleep(&self) -> Option<u32> {
        let seen = self.word.load(Acquire);
        if self.look(seen).is_some() {
            return None;
        }
        let asleep = seen | SLEEPER;
        let is_announced =
            seen == asleep || self.word.compare_exchange(seen, asleep, Relaxed, Relaxed).is_ok();
        is_announced.then_some(asleep)
    }

    /// Give control to the other side and wait until it comes back: [`Control::hand_over`], then
    /// [`Control::wait`].
    pub fn call(&self, spins: u32) -> Result<(), Closed> {
        self.hand_over();
        self.wait(spins)
    }

    /// End the waits of both sides, those under way and all future ones. Anybody, at any time, again
    /// and again.
    ///
    /// Always wakes, without a look at who claims to sleep: a guest that wrote garbage into the word
    /// and died must not keep its simulator asleep.
    pub fn close(&self) {
        self.word.fetch_or(CLOSED, Release);
        self.futex.wake(self.word);
    }

    /// Whether this side has control at the moment, closed or not. For who waits elsewhere.
    pub fn has_control(&self) -> bool {
        self.word.load(Acquire) & SIMULATOR == self.side.bits()
    }

    /// Whether somebody closed the word.
    pub fn is_closed(&self) -> bool {
        self.word.load(Acquire) & CLOSED != 0
    }

    /// What a waiter concludes from a value of the word; `None`: go on waiting.
    fn look(&self, seen: u32) -> Option<Result<(), Closed>> {
        if seen & CLOSED != 0 {
            Some(Err(Closed))
        } else if seen & SIMULATOR == self.side.bits() {
            Some(Ok(()))
        } else {
            None
        }
    }
}
