//! Timestamps (RFC 7323): when what comes was sent, and when what it answers was.
//!
//! Segments' stamps in and out. Always true: a clock counts milliseconds of simulated time from a number of the
//! connection's own; what is echoed is the stamp of the segment that asked first for the acknowledgement that is sent.

use shim_abi::{SimDuration, SimTime};

use super::segment::{Segment, Sequence};

/// Bytes of the option in each segment, with those that align it.
pub(super) const STAMP_BYTES: usize = 12;
const MS: u64 = 1_000_000;
/// A stamp that is older says nothing: the clock may have gone half round.
const FRESH: SimDuration = SimDuration::from_secs(24 * 24 * 3600);

#[derive(Debug)]
pub(super) struct Stamps {
    /// Whether both sides use them, or this one offers them.
    pub(super) is_on: bool,
    /// What the clock shows at the beginning of time.
    offset: u32,
    /// What is echoed, and since when.
    recent: u32,
    recent_at: SimTime,
}

impl Stamps {
    /// Those of a connection that begins with this number.
    pub(super) fn new(initial: Sequence) -> Stamps {
        // Two numbers that somebody reads off a connection need not tell each other.
        let offset = initial.0.wrapping_mul(0x9e37_79b1).rotate_left(16);
        Stamps { is_on: true, offset, recent: 0, recent_at: SimTime::ZERO }
    }

    /// Bytes that they take in each segment.
    pub(super) fn bytes(&self) -> usize {
        if self.is_on { STAMP_BYTES } else { 0 }
    }
    pub(super) fn clock(&self, now: SimTime) -> u32 {
        self.offset.wrapping_add((now.as_ns() / MS) as u32)
    }
    /// The option of a segment.
    pub(super) fn option(&self, now: SimTime) -> Option<(u32, u32)> {
        self.is_on.then(|| (self.clock(now), self.recent))
    }

    /// What the other side says with SYN.
    pub(super) fn begin(&mut self, now: SimTime, syn: &Segment) {
        match syn.stamps {
            Some((stamp, _)) => (self.recent, self.recent_at) = (stamp, now),
            None => self.is_on = false,
        }
    }
    /// Whether a segment is older than one that has come (PAWS).
    pub(super) fn is_past(&self, now: SimTime, segment: &Segment) -> bool {
        let Some((stamp, _)) = segment.stamps.filter(|_| self.is_on) else { return false };
        Sequence(stamp).is_before(Sequence(self.recent)) && now.since(self.recent_at) < FRESH
    }
    /// A segment has come that is not beyond what was acknowledged last.
    pub(super) fn note(&mut self, now: SimTime, segment: &Segment) {
        let Some((stamp, _)) = segment.stamps.filter(|_| self.is_on) else { return };
        if !self.is_past(now, segment) {
            (self.recent, self.recent_at) = (stamp, now);
        }
    }
    /// The stamp of what a segment answers.
    pub(super) fn echo(&self, segment: &Segment) -> Option<u32> {
        segment.stamps.filter(|&(_, echo)| self.is_on && echo != 0).map(|(_, echo)| echo)
    }
    /// How long ago a stamp was the clock's.
    pub(super) fn age_ns(&self, now: SimTime, echo: u32) -> Option<u64> {
        let age = self.clock(now).wrapping_sub(echo);
        (age <= i32::MAX as u32).then(|| u64::from(age) * MS)
    }
}
