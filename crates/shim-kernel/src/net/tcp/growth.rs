//! How the window grows once it is known where the way ends: CUBIC (RFC 9438) or Reno; and where slow start ends.
//!
//! A window and arrivals in, a window out. Always true: what a window shrinks to holds two segments; numbers are whole:
//! bytes, milliseconds. Slow start ends as soon as answers come later from one round trip to the next (HyStart), so that it
//! need not end by losing a window.

use shim_abi::{SimDuration, SimTime};

use super::congestion::Arrival;
use super::segment::Sequence;

const MS: u64 = 1_000_000;
/// Slow start ends when so many answers of a round trip were late by an eighth of what they take, within these limits; a
/// window that is smaller says nothing.
const SAMPLES: u32 = 8;
const LEAST_DELAY_NS: u64 = 4 * MS;
const MOST_DELAY_NS: u64 = 16 * MS;
const LEAST_SEGMENTS: usize = 16;

/// What grows the window.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Growth {
    /// TCP_CONGESTION: whether it is Reno's.
    pub(super) is_reno: bool,
    /// Reno: bytes that were acknowledged towards the next segment.
    acknowledged: usize,
    /// CUBIC: the window that was too large, the one before it shrank, and what has grown since.
    largest: usize,
    prior: usize,
    epoch: Option<Epoch>,
    round: Round,
}

/// Growth since a loss.
#[derive(Clone, Copy, Debug)]
struct Epoch {
    since: SimTime,
    /// When the window is as large as `origin`.
    turn_ms: u64,
    origin: usize,
    /// The window that Reno would have.
    friendly: usize,
    /// What is left of divisions.
    friendly_rest: u128,
    rest: u128,
}

/// A round trip of slow start.
#[derive(Clone, Copy, Debug, Default)]
struct Round {
    /// What ends it.
    end: Option<Sequence>,
    samples: u32,
    /// The shortest answer in it, and in the ones before.
    least_ns: Option<u64>,
    base_ns: Option<u64>,
}

impl Growth {
    /// Something was lost: what the window shrinks to.
    pub(super) fn shrink(&mut self, window: usize, segment_bytes: usize) -> usize {
        self.acknowledged = 0;
        self.round = Round::default();
        self.epoch = None;
        self.prior = window;
        // Who loses before he was where he lost the last time leaves room for others.
        self.largest = if window < self.largest { window / 20 * 17 } else { window };
        let share = if self.is_reno { window / 2 } else { window / 10 * 7 };
        share.max(2 * segment_bytes)
    }

    /// Nothing was sent for so long.
    pub(super) fn skip(&mut self, idle: SimDuration) {
        if let Some(epoch) = &mut self.epoch {
            epoch.since = SimTime::from_ns(epoch.since.as_ns().saturating_add(idle.as_ns()));
        }
    }

    /// Bytes have arrived in slow start: whether it is over.
    pub(super) fn is_enough(&mut self, window: usize, arrival: &Arrival) -> bool {
        let Some(ns) = arrival.sample_ns.filter(|_| !self.is_reno) else { return false };
        let round = &mut self.round;
        if round.end.is_none_or(|end| arrival.una.is_after(end)) {
            let base_ns = match (round.base_ns, round.least_ns) {
                (Some(base), Some(least)) => Some(base.min(least)),
                (base, least) => base.or(least),
            };
            *round = Round { end: Some(arrival.next), base_ns, ..Round::default() };
        }
        round.samples += 1;
        let least_ns = round.least_ns.map_or(ns, |least| least.min(ns));
        round.least_ns = Some(least_ns);
        let is_late =
            |base: u64| least_ns >= base + (base / 8).clamp(LEAST_DELAY_NS, MOST_DELAY_NS);
        window >= LEAST_SEGMENTS * arrival.segment_bytes
            && round.samples >= SAMPLES
            && round.base_ns.is_some_and(is_late)
    }

    /// Bytes have arrived: the window that follows.
    pub(super) fn grow(&mut self, window: usize, arrival: &Arrival) -> usize {
        if self.is_reno {
            self.acknowledged += arrival.bytes;
            if self.acknowledged < window {
                return window;
            }
            self.acknowledged -= window;
            return window + arrival.segment_bytes;
        }
        let (largest, prior) = (self.largest, self.prior);
        let epoch = self.epoch.get_or_insert_with(|| Epoch::new(window, largest, arrival));
        epoch.grow(window, prior, arrival)
    }
}

impl Epoch {
    fn new(window: usize, largest: usize, arrival: &Arrival) -> Epoch {
        let missing = largest.saturating_sub(window) as u128;
        // The third root of what is missing, by 0.4 segments for the cube of a second.
        let cube = missing * 10_000_000_000 / (4 * arrival.segment_bytes.max(1) as u128);
        Epoch {
            since: arrival.now,
            turn_ms: cube_root(cube),
            origin: window.max(largest),
            friendly: window,
            friendly_rest: 0,
            rest: 0,
        }
    }

    /// The window after so many milliseconds.
    fn window_after(&self, ms: u64, segment_bytes: usize) -> usize {
        let distance = (i128::from(ms) - i128::from(self.turn_ms)).clamp(-1_000_000, 1_000_000);
        let more = 4 * segment_bytes as i128 * distance.pow(3) / 10_000_000_000;
        usize::try_from((self.origin as i128 + more).max(0)).unwrap_or(usize::MAX)
    }

    fn grow(&mut self, window: usize, prior: usize, arrival: &Arrival) -> usize {
        let segment_bytes = arrival.segment_bytes;
        let (bytes, wide) = (arrival.bytes as u128, window.max(1) as u128);
        // As fast as Reno would on average, which shrinks to a half: by 9/17 of a segment, until it is as large as it was.
        let ninths = if self.friendly < prior { 9 } else { 17 };
        self.friendly_rest += bytes * segment_bytes as u128 * ninths;
        self.friendly += (self.friendly_rest / (17 * wide)) as usize;
        self.friendly_rest %= 17 * wide;
        let ms = arrival.now.since(self.since).as_ns() / MS;
        if self.window_after(ms, segment_bytes) < self.friendly {
            return window.max(self.friendly);
        }
        let soon = self.window_after(ms + arrival.rtt_ns / MS, segment_bytes);
        let target = soon.clamp(window, window + window / 2);
        self.rest += bytes * (target - window) as u128;
        let more = (self.rest / wide) as usize;
        self.rest %= wide;
        window + more
    }
}

/// The largest number whose cube is not larger.
fn cube_root(cube: u128) -> u64 {
    let mut root = 0_u64;
    for bit in (0..24).rev() {
        let next = root | 1 << bit;
        if u128::from(next).pow(3) <= cube {
            root = next;
        }
    }
    root
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roots_are_right() {
        for root in [0_u64, 1, 2, 3, 10, 999, 15_000, 1 << 20] {
            let cube = u128::from(root).pow(3);
            assert_eq!(cube_root(cube), root);
            assert_eq!(cube_root(cube + u128::from(root)), root);
            assert_eq!(cube_root(cube.saturating_sub(1)), root.saturating_sub(1));
        }
    }

    #[test]
    fn the_window_comes_back_when_it_must() {
        let segment_bytes = 1000;
        let mut growth = Growth::default();
        let mut window = growth.shrink(1_000_000, segment_bytes);
        assert_eq!(window, 700_000);
        // The third root of 0.3 × 1000 / 0.4.
        let turn_ms = 9085;
        let mut at = [0; 2];
        let rtt_ns = 200 * MS;
        for ms in (0..12_000).step_by(200) {
            let arrival = Arrival {
                now: SimTime::from_ns(ms * MS),
                bytes: window,
                segment_bytes,
                rtt_ns,
                sample_ns: None,
                una: Sequence(0),
                next: Sequence(0),
                flight: 0,
                is_limited: true,
                has_advanced: true,
            };
            window = growth.grow(window, &arrival);
            at[0] = if ms < turn_ms / 2 { window } else { at[0] };
            at[1] = if ms < turn_ms { window } else { at[1] };
        }
        assert!((940_000..980_000).contains(&at[0]), "{at:?}");
        assert!((998_000..1_001_000).contains(&at[1]), "{at:?}");
        assert!(window > 1_005_000, "{window}");
    }
}
