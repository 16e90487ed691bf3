//! The choice of the next signal, and what becomes of it.
//!
//! The guest's mask and actions in, a [`SignalOutcome`] out. Always true: a signal that has no effect
//! is dropped when it is met and never seen by the guest. Running a handler is the guest's business.

use super::number::{Disposition, UNBLOCKABLE, disposition};
use crate::context::Context;
use crate::outcome::SignalOutcome;

impl Context<'_> {
    /// The next signal of a set, and whether it waits for this thread alone.
    pub(super) fn first_of(&self, set: u64) -> Option<(u32, bool)> {
        let own = self.thread().pending.first(set).map(|signal| (signal, true));
        own.or_else(|| self.process().pending.first(set).map(|signal| (signal, false)))
    }

    /// Whether a signal that `mask` does not block has an effect; those without one, up to there, are
    /// dropped.
    pub(crate) fn has_signal(&mut self, mask: u64) -> bool {
        let set = !mask | UNBLOCKABLE;
        while let Some((signal, is_own)) = self.first_of(set) {
            match self.disposition(signal) {
                Disposition::Handle | Disposition::Die => return true,
                Disposition::Ignore | Disposition::Stop => self.drop_signal(signal, is_own),
            }
        }
        false
    }

    /// Drop every signal that `mask` does not block and that has no effect.
    pub(super) fn drop_ignored(&mut self, mask: u64) {
        let mut set = !mask | UNBLOCKABLE;
        while let Some((signal, is_own)) = self.first_of(set) {
            match self.disposition(signal) {
                Disposition::Handle | Disposition::Die => set &= !super::number::bit(signal),
                Disposition::Ignore | Disposition::Stop => self.drop_signal(signal, is_own),
            }
        }
    }

    /// What the thread does next about its signals.
    pub(crate) fn take_signal(&mut self) -> SignalOutcome {
        let suspended_mask = self.thread_mut().suspended_mask.take();
        let mask = suspended_mask.unwrap_or_else(|| self.guest.signal_mask());
        if !self.has_signal(mask) {
            return SignalOutcome::None;
        }
        let Some(info) = self.dequeue(!mask | UNBLOCKABLE) else { return SignalOutcome::None };
        match self.disposition(info.signal) {
            Disposition::Handle => SignalOutcome::Deliver(info),
            _ => SignalOutcome::Die { signal: info.signal },
        }
    }

    fn disposition(&self, signal: u32) -> Disposition {
        let (handler, _) = self.guest.action(signal);
        disposition(signal, handler)
    }

    fn drop_signal(&mut self, signal: u32, is_own: bool) {
        let set = super::number::bit(signal);
        match is_own {
            true => self.thread_mut().pending.remove(set),
            false => self.process_mut().pending.remove(set),
        }
    }
}
