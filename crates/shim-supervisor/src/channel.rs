//! How the simulator waits on a channel, and how a watcher closes it.
//!
//! A control word and a [`Life`] in, control or the guest's end out. Always true: a wait ends soon after the
//! guest has ended, even if the word was overwritten after it was closed, and soon after control came,
//! even if the guest forgot to wake us: sleeping is bounded, and the truth about the guest's life is not
//! in shared memory. The word's rules are in `shim-sync`.

use std::sync::atomic::AtomicU32;

use rustix::thread::futex;
use rustix::time::Timespec;
use shim_sync::{Control, Futex, Side};

use crate::life::Life;

/// How often to look at the word before sleeping.
pub(crate) const SPINS: u32 = 10000;

/// Longest uninterrupted sleep. Only a guest that breaks the rules makes us sleep that long.
const RECHECK: Timespec = Timespec { tv_sec: 0, tv_nsec: 200_000_000 };

/// The simulator's side of a guest's channel.
pub(crate) fn control(life: &Life) -> Control<'_, AtomicU32, Sleep<'_>> {
    Control::new(&life.thread().channel.control, Sleep { life: Some(life) }, Side::Simulator)
}

/// End both sides' waits.
pub(crate) fn close(word: &AtomicU32) {
    Control::new(word, Sleep { life: None }, Side::Simulator).close();
}

/// A futex between processes. Who sleeps through it learns of the guest's end.
pub(crate) struct Sleep<'a> {
    life: Option<&'a Life>,
}

impl Futex<AtomicU32> for Sleep<'_> {
    fn wait(&self, word: &AtomicU32, expected: u32) {
        if self.life.is_some_and(Life::is_over) {
            // Closed already, unless somebody overwrote it.
            close(word);
            return;
        }
        // Whatever it returns, the caller looks at the word again.
        let _ = futex::wait(word, futex::Flags::empty(), expected, Some(&RECHECK));
    }

    fn wake(&self, word: &AtomicU32) {
        let _ = futex::wake(word, futex::Flags::empty(), i32::MAX as u32);
    }
}
