//! A queue that drops packets when they stand in it for too long: CoDel (RFC 8289).
//!
//! Packets with the instants at which they came in; the next one to serve out. Always true: packets leave in the order in
//! which they came; a packet behind which no more than [`MTU_BYTES`] wait is not dropped, so the last one never is; what
//! is dropped depends on instants alone, of which the caller makes sure that they do not go back. When a packet is
//! served is not here: that is `downlink`'s.
//!
//! The parameters are Shadow's: a target of 10 ms (where the RFC proposes 5) and an interval of 100 ms. Shadow's queue has no
//! limit, because it forwards in batches. This one holds as many packets as Linux's fq_codel does by default, so that a sender
//! that pays no heed to losses does not fill the memory of the real machine. Packets are not marked instead of being dropped
//! (ECN), as in Shadow.

use std::collections::VecDeque;

use shim_abi::{SimDuration, SimTime};

/// How long packets may stand in the queue.
pub const TARGET: SimDuration = SimDuration::from_ns(10_000_000);

/// For how long they must have stood longer before one is dropped.
pub const INTERVAL: SimDuration = SimDuration::from_ns(100_000_000);

/// If no more than this waits, the queue is short however long it takes.
pub const MTU_BYTES: usize = 1_500;

/// How many packets may wait.
pub const LIMIT: usize = 10_240;

/// A packet that waits.
#[derive(Clone, Debug)]
pub(super) struct Waiting<P> {
    /// When it came.
    pub(super) at: SimTime,
    /// Its length.
    pub(super) len_bytes: usize,
    /// The packet.
    pub(super) packet: P,
}

/// The queue.
#[derive(Clone, Debug)]
pub(super) struct CodelQueue<P> {
    waiting: VecDeque<Waiting<P>>,
    waiting_bytes: usize,
    /// When the queue will have been too long for an interval, since it is too long.
    too_long_at: Option<SimTime>,
    is_dropping: bool,
    /// When the next packet is dropped, or would have been.
    drop_next: Option<SimTime>,
    /// Drops since dropping began, and as they were when it began.
    count: u64,
    last_count: u64,
    /// How many have been dropped.
    dropped: u64,
}

impl<P> CodelQueue<P> {
    /// An empty queue.
    pub(super) fn new() -> CodelQueue<P> {
        CodelQueue {
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            too_long_at: None,
            is_dropping: false,
            drop_next: None,
            count: 0,
            last_count: 0,
            dropped: 0,
        }
    }

    /// How many packets have been dropped because they stood for too long.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped
    }

    /// The packet that waits longest.
    pub(super) fn head(&self) -> Option<&Waiting<P>> {
        self.waiting.front()
    }

    /// A packet comes; whether there is room for it.
    pub(super) fn push(&mut self, packet: Waiting<P>) -> bool {
        if self.waiting.len() >= LIMIT {
            return false;
        }
        self.waiting_bytes += packet.len_bytes;
        self.waiting.push_back(packet);
        true
    }

    /// The packet to serve at `now`, after those that are dropped.
    pub(super) fn pop(&mut self, now: SimTime) -> Option<Waiting<P>> {
        let (mut packet, mut may_drop) = self.take(now)?;
        if self.is_dropping {
            self.is_dropping = may_drop;
            while self.is_dropping && self.drop_next.is_some_and(|next| now >= next) {
                self.dropped += 1;
                self.count += 1;
                (packet, may_drop) = self.take(now)?;
                self.is_dropping = may_drop;
                if may_drop {
                    self.drop_next = self.drop_next.map(|next| next + self.spacing());
                }
            }
        } else if may_drop {
            self.dropped += 1;
            (packet, _) = self.take(now)?;
            self.is_dropping = true;
            // If it stopped dropping not long ago, it goes on at the rate that had an effect then.
            let was_dropping = self.drop_next.is_some_and(|next| now.since(next) < long_ago());
            let more = self.count.saturating_sub(self.last_count);
            self.count = if was_dropping && more > 1 { more } else { 1 };
            self.last_count = self.count;
            self.drop_next = Some(now + self.spacing());
        }
        Some(packet)
    }

    /// The packet that waits longest, and whether it may be dropped.
    fn take(&mut self, now: SimTime) -> Option<(Waiting<P>, bool)> {
        // Behind the last one nothing waits, which ends what the RFC ends when it finds the queue empty.
        let packet = self.waiting.pop_front()?;
        self.waiting_bytes -= packet.len_bytes;
        if now.since(packet.at) < TARGET || self.waiting_bytes <= MTU_BYTES {
            self.too_long_at = None;
            return Some((packet, false));
        }
        match self.too_long_at {
            Some(at) => Some((packet, now >= at)),
            None => {
                self.too_long_at = Some(now + INTERVAL);
                Some((packet, false))
            }
        }
    }

    /// The time from a drop to the next: the more there have been, the less.
    fn spacing(&self) -> SimDuration {
        let ns = INTERVAL.as_ns() as f64 / (self.count.max(1) as f64).sqrt();
        SimDuration::from_ns(ns.round() as u64)
    }
}

const fn long_ago() -> SimDuration {
    SimDuration::from_ns(16 * INTERVAL.as_ns())
}
