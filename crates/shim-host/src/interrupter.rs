//! Signals from outside the simulation.
//!
//! A signal's number from any thread in; bits that the thread which steps the host takes out. Always
//! true: a bit is set before the guests are kicked, so that whoever wakes up because of the kick finds it.
//! When a guest notices is not repeatable, as the person who pressed the key is not. What a signal does to a
//! guest is the kernel's.

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};

use shim_abi::process::MAX_SIGNAL;

/// Sends signals to all processes of a host, from any thread.
#[derive(Clone, Debug)]
pub struct Interrupter(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    /// Signals not yet taken, signal `n` at bit `n - 1`.
    bits: AtomicU64,
    /// One entry per living guest.
    guests: Mutex<Vec<(u32, shim_supervisor::Interrupter)>>,
}

impl Interrupter {
    pub(crate) fn new() -> Interrupter {
        Interrupter(Arc::default())
    }

    /// Send `signal` (1 to 64; others are ignored) to the processes of the host, as a terminal does: not to those that
    /// have made a session of their own.
    pub fn interrupt(&self, signal: u32) {
        let is_signal = (1..=MAX_SIGNAL as u32).contains(&signal);
        if is_signal {
            self.0.bits.fetch_or(bit(signal), SeqCst);
            self.each(|guest| guest.interrupt(bit(signal)));
        }
    }

    /// Kill every process of the host natively, now.
    pub fn kill(&self) {
        self.each(shim_supervisor::Interrupter::kill);
    }

    fn each(&self, f: impl Fn(&shim_supervisor::Interrupter)) {
        let guests = self.0.guests.lock().unwrap_or_else(PoisonError::into_inner);
        guests.iter().for_each(|(_, guest)| f(guest));
    }

    /// Take the signals that were sent since the last time.
    pub(crate) fn take(&self) -> impl Iterator<Item = u32> + use<> {
        let bits = self.0.bits.swap(0, SeqCst);
        (1..=MAX_SIGNAL as u32).filter(move |&signal| bits & bit(signal) != 0)
    }

    /// The signals that were sent and not yet taken.
    pub(crate) fn waiting(&self) -> u64 {
        self.0.bits.load(SeqCst)
    }

    pub(crate) fn add(&self, pid: u32, guest: shim_supervisor::Interrupter) {
        self.0.guests.lock().unwrap_or_else(PoisonError::into_inner).push((pid, guest));
    }

    pub(crate) fn remove(&self, pid: u32) {
        let mut guests = self.0.guests.lock().unwrap_or_else(PoisonError::into_inner);
        guests.retain(|&(other, _)| other != pid);
    }
}

fn bit(signal: u32) -> u64 {
    1 << (signal - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_are_taken_once_and_nonsense_is_ignored() {
        let interrupter = Interrupter::new();
        for signal in [2, 64, 2, 0, 65, u32::MAX] {
            interrupter.clone().interrupt(signal);
        }
        assert_eq!(interrupter.waiting(), 1 << 1 | 1 << 63);
        assert_eq!(interrupter.take().collect::<Vec<_>>(), [2, 64]);
        assert_eq!(interrupter.take().count(), 0);
    }
}
