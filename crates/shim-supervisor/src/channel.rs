//! How the simulator waits on a channel, and how a watcher closes it.
//!
//! A control word and its process's [`Life`] in, control or the guest's end out. Always true: a wait ends soon after the
//! guest has ended, even if the word was overwritten after it was closed, and soon after control came,
//! even if the guest forgot to wake us: sleeping is bounded, and the truth about the guest's life is not
//! in shared memory. The word's rules are in `shim-sync`.
//!
//! # How long to spin
//!
//! Measured in a virtual machine, one round trip: on two CPUs 0.28 us spinning and 45 us or more
//! sleeping; on one CPU 1.9 us sleeping at once, and whatever the spinning lasts on top otherwise, since the
//! guest cannot run meanwhile. Nobody says on which CPU the guest is, and it moves. So [`Patience`] learns from
//! what happened: spinning that brought control is worth repeating, spinning that ended in sleep is halved,
//! and now and then it is tried again. The most that is spun costs about what a sleep costs.

use std::cell::{Cell, RefCell};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rustix::thread::futex;
use rustix::time::Timespec;
use shim_abi::thread::ThreadBlock;
use shim_sync::{Closed, Control, Futex, Side, Word, initialize};

use crate::life::Life;
use crate::watchdog::Watchdog;

/// The most looks at the word before sleeping: about 25 us.
const MAX_SPINS: u32 = 2_000;

/// Every so many waits, spinning is tried again.
const WAITS_PER_TRIAL: u32 = 512;

/// Longest uninterrupted sleep. Only a guest that breaks the rules makes us sleep that long.
pub(crate) const RECHECK: Duration = Duration::from_millis(200);

/// How long it pays to spin for one guest.
#[derive(Debug)]
pub(crate) struct Patience {
    spins: u32,
    waits: u32,
}

impl Patience {
    pub(crate) const fn new() -> Self {
        Patience { spins: MAX_SPINS, waits: 0 }
    }

    /// For a guest that one with this patience makes: it runs where that one does.
    pub(crate) const fn inherited(&self) -> Self {
        Patience { spins: self.spins, waits: 0 }
    }

    /// Wait until the simulator has control over the channel of `thread`, which is of the process `life`. A
    /// guest that makes no call for `limit` is preempted.
    pub(crate) fn wait(
        &mut self,
        life: &Life,
        thread: &ThreadBlock,
        limit: Option<Duration>,
    ) -> Result<(), Closed> {
        let spins = self.next_spins();
        let watched = Watched::new(&thread.channel.control);
        let watchdog = limit.map(|limit| RefCell::new(Watchdog::new(life, thread, limit)));
        let sleep = Sleep { life, has_slept: Cell::new(false), watchdog };
        let result = Control::new(&watched, &sleep, Side::Simulator).wait(spins);
        self.learn(watched.looks.get(), sleep.has_slept.get());
        result
    }

    /// How long to spin in the wait that begins.
    pub(crate) fn next_spins(&mut self) -> u32 {
        self.waits = self.waits.wrapping_add(1);
        let is_trial = self.waits.is_multiple_of(WAITS_PER_TRIAL);
        if is_trial { MAX_SPINS } else { self.spins }
    }

    /// A wait has ended, after so many looks, and perhaps in sleep.
    pub(crate) fn learn(&mut self, looks: u32, has_slept: bool) {
        if has_slept {
            self.spins /= 2;
        } else if looks > 1 {
            self.spins = MAX_SPINS;
        }
        // Control that was there at the first look says nothing about spinning.
    }
}

/// Begin a channel whose guest waits from its first moment. Before anybody else knows of it.
pub(crate) fn begin_with_control(word: &AtomicU32) {
    initialize(word, Side::Simulator);
}

/// Whether the simulator has control, whatever it waits for.
pub(crate) fn has_control(word: &AtomicU32) -> bool {
    Control::new(word, Wake, Side::Simulator).has_control()
}

/// Give control to the guest.
pub(crate) fn hand_over(word: &AtomicU32) {
    Control::new(word, Wake, Side::Simulator).hand_over();
}

/// End both sides' waits.
pub(crate) fn close(word: &AtomicU32) {
    Control::new(word, Wake, Side::Simulator).close();
}

/// What has come over the channel of `thread`, which is of the process `life`: control or its end; `None`: nothing yet.
pub(crate) fn look(life: &Life, thread: &ThreadBlock) -> Option<Result<(), Closed>> {
    // What the word says of a guest that has ended is of no use.
    if life.is_over() {
        return Some(Err(Closed));
    }
    Control::new(&thread.channel.control, Wake, Side::Simulator).poll()
}

/// Whether something has come over a channel whose guest has not ended.
pub(crate) fn has_come(word: &AtomicU32) -> bool {
    Control::new(word, Wake, Side::Simulator).poll().is_some()
}

/// Announce that somebody is about to sleep on a word, among others: the value to sleep on. `None`: look again.
pub(crate) fn prepare_sleep(word: &AtomicU32) -> Option<u32> {
    Control::new(word, Wake, Side::Simulator).prepare_sleep()
}

/// Wake whoever sleeps on a word.
pub(crate) fn wake(word: &AtomicU32) {
    let _ = futex::wake(word, futex::Flags::empty(), i32::MAX as u32);
}

/// A futex between processes, for who does not wait.
pub(crate) struct Wake;

impl Futex<AtomicU32> for Wake {
    fn wait(&self, _: &AtomicU32, _: u32) {}
    fn wake(&self, word: &AtomicU32) {
        wake(word);
    }
}

/// A futex between processes. Who sleeps through it learns of the guest's end.
struct Sleep<'a> {
    life: &'a Life,
    has_slept: Cell<bool>,
    watchdog: Option<RefCell<Watchdog<'a>>>,
}

impl Futex<Watched<'_>> for Sleep<'_> {
    fn wait(&self, watched: &Watched<'_>, expected: u32) {
        self.has_slept.set(true);
        if self.life.is_over() {
            // Closed already, unless somebody overwrote it.
            close(watched.word);
            return;
        }
        let pause = match &self.watchdog {
            Some(watchdog) => watchdog.borrow_mut().look().min(RECHECK),
            None => RECHECK,
        };
        let pause = Timespec { tv_sec: 0, tv_nsec: pause.subsec_nanos().into() };
        // Whatever it returns, the caller looks at the word again.
        let result = futex::wait(watched.word, futex::Flags::empty(), expected, Some(&pause));
        if result == Err(rustix::io::Errno::TIMEDOUT) {
            // Somebody may have wiped out that the guest sleeps, so that nobody has woken it.
            wake(watched.word);
        }
    }

    fn wake(&self, watched: &Watched<'_>) {
        wake(watched.word);
    }
}

/// A control word that counts how often it was looked at.
pub(crate) struct Watched<'a> {
    word: &'a AtomicU32,
    looks: Cell<u32>,
}

impl<'a> Watched<'a> {
    pub(crate) const fn new(word: &'a AtomicU32) -> Watched<'a> {
        Watched { word, looks: Cell::new(0) }
    }
    pub(crate) const fn word(&self) -> &'a AtomicU32 {
        self.word
    }
    pub(crate) fn looks(&self) -> u32 {
        self.looks.get()
    }
}

impl Word for Watched<'_> {
    fn load(&self, order: Ordering) -> u32 {
        self.looks.set(self.looks.get().wrapping_add(1));
        self.word.load(order)
    }
    fn store(&self, value: u32, order: Ordering) {
        self.word.store(value, order);
    }
    fn compare_exchange(
        &self,
        current: u32,
        new: u32,
        success: Ordering,
        failure: Ordering,
    ) -> Result<u32, u32> {
        self.word.compare_exchange(current, new, success, failure)
    }
    fn fetch_or(&self, bits: u32, order: Ordering) -> u32 {
        self.word.fetch_or(bits, order)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patience_is_lost_by_sleeping_and_found_again() {
        let mut patience = Patience::new();
        for _ in 0..11 {
            assert!(patience.spins > 0);
            patience.learn(MAX_SPINS, true);
        }
        assert_eq!(patience.spins, 0);
        patience.learn(1, false);
        assert_eq!(patience.spins, 0);
        patience.learn(2, false);
        assert_eq!(patience.spins, MAX_SPINS);
    }
}
