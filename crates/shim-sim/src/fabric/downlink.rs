//! The last part of every path: the line into a host, with its rate and its queue.
//!
//! Packets with the instants at which they arrive at the line in, in the order of these; the same packets with the instants at
//! which their last bit is in the host out. Always true: packets come out in the order in which they went in, or not
//! at all; in no length of time more bits come out than the rate allows, but for what rounding an instant up to a nanosecond makes;
//! results depend on instants alone, not on how often one asks. Whether a packet reaches the line is decided before, in
//! `chance`; which packets the queue drops is decided in `codel`, when their service begins.
//!
//! Until the end of a simulation's bootstrap the line takes no time.
//!
//! What counts of a packet is the length of its IP datagram. Links have no frames here, and neither has what the
//! kernel sends.
//!
//! Why no burst. Shadow's token bucket is filled once in a millisecond and holds what the rate allows in this time and 1,500 bytes
//! more, all of which passes at once; that saves it events. Here instants are computed and cost no events, and a burst would
//! be seen: the first 126 kB through a line of 1 Gbit/s would take no time at all. In the long run the rates are the same.
//!
//! Why packets stay here until they are served. Whether CoDel drops a packet depends on what has come behind it when its service
//! begins. Whoever decided as soon as it arrived would drop the last packets of bursts, which CoDel spares because it takes a
//! sender a time-out to notice.

use shim_abi::{SimTime, time::NS_PER_SEC};

use super::codel::{CodelQueue, Waiting};

/// What has become of packets.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    /// Packets that came out.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Packets that CoDel dropped.
    pub dropped_by_codel: u64,
    /// Packets for which the queue had no room.
    pub dropped_at_limit: u64,
}

/// The line into a host, for packets of any type `P`.
#[derive(Clone, Debug)]
pub struct Downlink<P> {
    bits_per_second: u64,
    unlimited_until: SimTime,
    queue: CodelQueue<P>,
    /// When the line has got all that was served: a whole number of nanoseconds, and as many parts of a nanosecond, of
    /// which one has `bits_per_second`.
    free_at: SimTime,
    free_at_parts: u64,
    /// The last arrival.
    last: SimTime,
    /// What came out and nobody has fetched.
    out: Vec<(SimTime, P)>,
    packets: u64,
    bytes: u64,
    dropped_at_limit: u64,
}

impl<P> Downlink<P> {
    /// A line of this rate, which must not be 0; until `unlimited_until` of any rate.
    pub fn new(bits_per_second: u64, unlimited_until: SimTime) -> Downlink<P> {
        Downlink {
            bits_per_second: bits_per_second.max(1),
            unlimited_until,
            queue: CodelQueue::new(),
            free_at: SimTime::ZERO,
            free_at_parts: 0,
            last: SimTime::ZERO,
            out: Vec::new(),
            packets: 0,
            bytes: 0,
            dropped_at_limit: 0,
        }
    }

    /// A packet arrives, no earlier than the one before. It comes out of [`Downlink::pass`], if it is not dropped.
    pub fn arrive(&mut self, at: SimTime, len_bytes: usize, packet: P) {
        // Who arrives when a service begins is in the queue by then.
        self.last = self.last.max(at);
        self.serve(self.last);
        if !self.queue.push(Waiting { at: self.last, len_bytes, packet }) {
            self.dropped_at_limit += 1;
        }
    }

    /// The packets whose service begins before `until`, each with the instant at which it is in the host, which may lie
    /// after `until`. All that arrives before `until` must have arrived.
    pub fn pass(&mut self, until: SimTime) -> impl Iterator<Item = (SimTime, P)> {
        self.serve(until);
        self.out.drain(..)
    }

    /// When the next service begins; `None` if nothing waits. There is nothing to be had from [`Downlink::pass`] with an
    /// `until` that is not later.
    pub fn next_start(&self) -> Option<SimTime> {
        self.queue.head().map(|head| head.at.max(self.free_at))
    }

    /// What has become of packets.
    pub fn counts(&self) -> Counts {
        Counts {
            packets: self.packets,
            bytes: self.bytes,
            dropped_by_codel: self.queue.dropped(),
            dropped_at_limit: self.dropped_at_limit,
        }
    }

    fn serve(&mut self, until: SimTime) {
        while let Some(head) = self.queue.head() {
            let start = head.at.max(self.free_at);
            if start >= until {
                return;
            }
            if start > self.free_at {
                // The line had nothing to do.
                self.free_at = start;
                self.free_at_parts = 0;
            }
            let Some(Waiting { len_bytes, packet, .. }) = self.queue.pop(start) else { return };
            if start >= self.unlimited_until {
                self.occupy(len_bytes);
            }
            let is_between = self.free_at_parts > 0;
            let is_in = SimTime::from_ns(self.free_at.as_ns().saturating_add(is_between.into()));
            self.packets += 1;
            self.bytes += len_bytes as u64;
            self.out.push((is_in, packet));
        }
    }

    /// The line gets so many bytes, from `free_at` on.
    fn occupy(&mut self, len_bytes: usize) {
        let rate = u128::from(self.bits_per_second);
        let parts = len_bytes as u128 * 8 * u128::from(NS_PER_SEC) + u128::from(self.free_at_parts);
        let ns = u64::try_from(parts / rate).unwrap_or(u64::MAX);
        self.free_at = SimTime::from_ns(self.free_at.as_ns().saturating_add(ns));
        self.free_at_parts = u64::try_from(parts % rate).unwrap_or(0);
    }
}
