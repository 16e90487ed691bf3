//! The choice of the next signal, and what becomes of it.
//!
//! The guest's mask and actions in, a [`SignalOutcome`] out. Always true: a signal that has no effect
//! is dropped when it is met and never seen by the guest; one that stops the process does so when it is met, and
//! whoever waits goes on waiting. Running a handler is the guest's business.

use super::number::{Disposition, SIGKILL, UNBLOCKABLE, bit, disposition};
use crate::context::Context;
use crate::outcome::SignalOutcome;

impl Context<'_> {
    /// The next signal of a set that the thread takes, and whether it waits for this thread alone.
    pub(super) fn first_of(&self, set: u64) -> Option<(u32, bool)> {
        let own = self.thread().pending.first(set).map(|signal| (signal, true));
        let shared = set & self.kernel.shared_signals_of(self.tid);
        own.or_else(|| self.process().pending.first(shared).map(|signal| (signal, false)))
    }

    /// Whether a signal that `mask` does not block has an effect on the call that the thread is in; those without
    /// one, up to there, are dropped.
    pub(crate) fn has_signal(&mut self, mask: u64) -> bool {
        if self.is_killed() {
            return true;
        }
        let set = !mask | UNBLOCKABLE;
        while !self.is_stopped()
            && let Some((signal, is_own)) = self.first_of(set)
        {
            match self.disposition(signal) {
                Disposition::Handle | Disposition::Die => return true,
                Disposition::Ignore => self.drop_signal(signal, is_own),
                Disposition::Stop => {
                    self.drop_signal(signal, is_own);
                    self.stop(signal);
                }
            }
        }
        false
    }

    /// Drop every signal that `mask` does not block and that is ignored.
    pub(super) fn drop_ignored(&mut self, mask: u64) {
        let mut set = !mask | UNBLOCKABLE;
        while let Some((signal, is_own)) = self.first_of(set) {
            match self.disposition(signal) {
                Disposition::Ignore => self.drop_signal(signal, is_own),
                _ => set &= !bit(signal),
            }
        }
    }

    /// Whether SIGKILL waits for the caller or its process.
    pub(crate) fn is_killed(&self) -> bool {
        let bits = self.thread().pending.bits() | self.process().pending.bits();
        bits & bit(SIGKILL) != 0
    }

    /// What the thread does next about its signals.
    pub(crate) fn take_signal(&mut self) -> SignalOutcome {
        let mask = self.thread().suspended_mask.unwrap_or(self.guest.signal_mask());
        let has_signal = self.has_signal(mask);
        if self.is_stopped() && !has_signal {
            self.park_stopped();
            return SignalOutcome::Stop;
        }
        self.thread_mut().suspended_mask = None;
        if !has_signal {
            return SignalOutcome::None;
        }
        let Some(info) = self.dequeue(!mask | UNBLOCKABLE) else { return SignalOutcome::None };
        match self.disposition(info.signal) {
            Disposition::Handle => SignalOutcome::Deliver(info),
            _ => {
                self.leave_all();
                self.kernel.stop_everything(self.pid);
                SignalOutcome::Die { signal: info.signal }
            }
        }
    }

    fn disposition(&self, signal: u32) -> Disposition {
        let (handler, _) = self.guest.action(signal);
        disposition(signal, handler)
    }

    /// Forget a signal that waits.
    fn drop_signal(&mut self, signal: u32, is_own: bool) {
        let pending = match is_own {
            true => &mut self.thread_mut().pending,
            false => &mut self.process_mut().pending,
        };
        let (info, timer) = pending.take(signal);
        let is_gone = pending.bits() & bit(signal) == 0;
        if !is_own && is_gone {
            self.kernel.unassign(self.pid, bit(signal));
        }
        // A timer whose signal is ignored goes on.
        if let Some(timer) = timer {
            self.renew_timer(timer, info);
        }
    }
}
