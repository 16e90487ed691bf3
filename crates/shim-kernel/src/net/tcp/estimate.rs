//! How long an answer takes, and how long it may take (RFC 6298, as Linux has it).
//!
//! Times of answers in, a limit out. Always true: the limit is at least 200 ms more than an answer takes; it doubles each
//! time that nothing came, until something is acknowledged.

use shim_abi::SimDuration;

use super::segment::Sequence;

const MS: u64 = 1_000_000;
/// Linux's limits of the time after which something is sent again, and the one that is taken before anything is known.
pub(super) const MIN_TIMEOUT_NS: u64 = 200 * MS;
const MAX_TIMEOUT_NS: u64 = 120_000 * MS;
const FIRST_TIMEOUT_NS: u64 = 1000 * MS;

#[derive(Debug, Default)]
pub(super) struct Estimate {
    /// Nanoseconds; 0: nothing is known.
    pub(super) smoothed_ns: u64,
    /// By how much it varies: of late, the most within a round trip, and what is reckoned with.
    recent_ns: u64,
    most_ns: u64,
    pub(super) variation_ns: u64,
    /// What ends the round trip.
    round_end: Sequence,
    /// How often the time has doubled.
    pub(super) backoff: u32,
}

impl Estimate {
    /// An answer took so long, when everything before `una` was acknowledged and `next` was to be sent.
    pub(super) fn measure(&mut self, ns: u64, una: Sequence, next: Sequence) {
        let ns = ns.max(1);
        if self.smoothed_ns == 0 {
            (self.smoothed_ns, self.recent_ns) = (ns, ns / 2);
            (self.most_ns, self.variation_ns, self.round_end) = (ns / 2, ns / 2, next);
            return;
        }
        let difference = self.smoothed_ns.abs_diff(ns);
        let is_relief = ns < self.smoothed_ns && difference > self.recent_ns;
        // An answer that comes early is no reason to wait longer.
        let weight = if is_relief { 32 } else { 4 };
        self.recent_ns = ((weight - 1) * self.recent_ns + difference) / weight;
        self.smoothed_ns = ((7 * self.smoothed_ns + ns) / 8).max(1);
        self.most_ns = self.most_ns.max(self.recent_ns);
        self.variation_ns = self.variation_ns.max(self.most_ns);
        if una.is_after(self.round_end) {
            if self.most_ns < self.variation_ns {
                self.variation_ns -= (self.variation_ns - self.most_ns) / 4;
            }
            (self.round_end, self.most_ns) = (next, 0);
        }
    }

    /// After which time something is sent again.
    pub(super) fn timeout(&self) -> SimDuration {
        let base = match self.smoothed_ns {
            0 => FIRST_TIMEOUT_NS,
            // As on Linux the second part is never less than the least time.
            ns => ns.saturating_add((4 * self.variation_ns).max(MIN_TIMEOUT_NS)),
        };
        let ns = base.min(MAX_TIMEOUT_NS) << self.backoff.min(12);
        SimDuration::from_ns(ns.min(MAX_TIMEOUT_NS))
    }
}
