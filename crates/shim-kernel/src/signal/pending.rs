//! Signals that wait for a thread or a process.
//!
//! Signals in, signals out. Always true: bit and queue agree: a signal with an entry has its bit; a
//! bit without an entry is a signal whose description did not fit. An ordinary signal waits at most
//! once, real-time ones queue in the order of their sending. Which one comes out next is decided by
//! its number and a mask, nothing else.

use alloc::vec::Vec;

use shim_abi::event::SignalInfo;

use super::number::{SIGKILL, SIGRTMIN, SYNCHRONOUS, bit};
use crate::timer::TimerId;

/// Signals that wait.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    bits: u64,
    queue: Vec<Queued>,
}

/// One signal that waits with its description.
#[derive(Debug)]
struct Queued {
    info: SignalInfo,
    /// The timer of the process that sent it.
    timer: Option<TimerId>,
}

impl Pending {
    /// Which signals wait.
    pub(crate) fn bits(&self) -> u64 {
        self.bits
    }
    /// How many descriptions are queued.
    pub(crate) fn len(&self) -> usize {
        self.queue.len()
    }
    /// Whether another instance of `signal` would change nothing.
    pub(crate) fn absorbs(&self, signal: u32) -> bool {
        signal < SIGRTMIN && self.bits & bit(signal) != 0
    }
    /// Queue a signal.
    pub(crate) fn push(&mut self, info: SignalInfo) {
        self.bits |= bit(info.signal);
        self.queue.push(Queued { info, timer: None });
    }
    /// Queue the signal of a timer.
    pub(crate) fn push_of_timer(&mut self, info: SignalInfo, timer: TimerId) {
        self.bits |= bit(info.signal);
        self.queue.push(Queued { info, timer: Some(timer) });
    }
    /// Take back the signal of a timer; which one it was, if it was the last instance.
    pub(crate) fn remove_of_timer(&mut self, timer: TimerId) -> Option<u32> {
        let at = self.queue.iter().position(|queued| queued.timer == Some(timer))?;
        let signal = self.queue.remove(at).info.signal;
        self.forget_if_last(signal).then_some(signal)
    }
    /// Let a signal wait whose description is lost.
    pub(crate) fn push_bare(&mut self, signal: u32) {
        self.bits |= bit(signal);
    }
    /// Forget all signals of a set.
    pub(crate) fn remove(&mut self, set: u64) {
        self.bits &= !set;
        self.queue.retain(|queued| bit(queued.info.signal) & set == 0);
    }
    /// The next signal of a set: SIGKILL, those that an instruction causes, then the lowest number.
    pub(crate) fn first(&self, set: u64) -> Option<u32> {
        let lowest = |set: u64| (set != 0).then(|| set.trailing_zeros() + 1);
        let set = self.bits & set;
        let first = [set & bit(SIGKILL), set & SYNCHRONOUS, set];
        first.into_iter().find_map(lowest)
    }
    /// Take the oldest instance of `signal`, which waits, and the timer that sent it.
    pub(crate) fn take(&mut self, signal: u32) -> (SignalInfo, Option<TimerId>) {
        let is_same = |queued: &Queued| queued.info.signal == signal;
        let bare = Queued { info: SignalInfo { signal, ..SignalInfo::default() }, timer: None };
        let taken = match self.queue.iter().position(is_same) {
            Some(at) => self.queue.remove(at),
            None => bare,
        };
        self.forget_if_last(signal);
        (taken.info, taken.timer)
    }
    /// A signal of which no instance is queued does not wait.
    fn forget_if_last(&mut self, signal: u32) -> bool {
        let is_last = !self.queue.iter().any(|queued| queued.info.signal == signal);
        if is_last {
            self.bits &= !bit(signal);
        }
        is_last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(signal: u32, value: u64) -> SignalInfo {
        SignalInfo { signal, value, ..SignalInfo::default() }
    }

    #[test]
    fn real_time_signals_queue_in_order_and_come_by_number() {
        let mut pending = Pending::default();
        for (signal, value) in [(40, 1), (35, 2), (40, 3), (12, 4)] {
            pending.push(info(signal, value));
        }
        assert!(pending.absorbs(12) && !pending.absorbs(40) && !pending.absorbs(11));
        let mut order = Vec::new();
        while let Some(signal) = pending.first(u64::MAX) {
            order.push(pending.take(signal).0.value);
        }
        assert_eq!(order, [4, 2, 1, 3]);
        assert_eq!(pending.bits(), 0);
    }

    #[test]
    fn faults_come_first_and_masks_hold_back() {
        let mut pending = Pending::default();
        pending.push(info(1, 0));
        pending.push(info(11, 0));
        assert_eq!(pending.first(u64::MAX), Some(11));
        assert_eq!(pending.first(!bit(11)), Some(1));
        assert_eq!(pending.first(!(bit(11) | bit(1))), None);
    }

    #[test]
    fn a_lost_description_is_all_zero() {
        let mut pending = Pending::default();
        pending.push_bare(40);
        pending.push(info(40, 7));
        assert_eq!(pending.take(40).0.value, 7);
        assert_eq!(pending.first(u64::MAX), None, "the bare one is absorbed, as on Linux");
        pending.push_bare(41);
        assert_eq!(pending.take(41).0, info(41, 0));
        pending.push(info(41, 1));
        pending.remove(bit(41));
        assert_eq!((pending.bits(), pending.len()), (0, 0));
    }
}
