//! The oscillator of a host: how its own clocks follow simulated time.
//!
//! Instants in, the nanoseconds that the host's oscillator has counted out, and back. Always true: the
//! count never goes back; [`Rate::time_of`] is the earliest instant at which the count is reached, so
//! that who sleeps until then never wakes early; integers only, so that every side gets the same.
//! Offsets, jumps and the clocks of Linux are not here: those are `shim-kernel`'s (`clock`) and, for
//! reading, the guest's (`src/local/clock.rs`).

use crate::time::{NS_PER_SEC, SimTime};

/// How many nanoseconds an oscillator counts in a second of simulated time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
#[repr(transparent)]
pub struct Rate {
    ns_per_second: u32,
}

impl Rate {
    /// That of simulated time.
    pub const EXACT: Rate = Rate { ns_per_second: NS_PER_SEC as u32 };
    /// How far a rate may lie from [`Rate::EXACT`], in parts per billion: a tenth, which is what
    /// adjtimex(2) can do at most.
    pub const MAX_PPB: i64 = 100_000_000;

    /// So many parts per billion faster than simulated time; negative: slower. `None` if that is more
    /// than [`Rate::MAX_PPB`].
    pub const fn from_ppb(ppb: i64) -> Option<Rate> {
        if ppb < -Self::MAX_PPB || ppb > Self::MAX_PPB {
            return None;
        }
        Some(Rate { ns_per_second: (NS_PER_SEC as i64 + ppb) as u32 })
    }

    /// By how many parts per billion it is faster than simulated time.
    pub const fn as_ppb(self) -> i64 {
        self.ns_per_second as i64 - NS_PER_SEC as i64
    }

    /// What the oscillator has counted at `time`, in nanoseconds since the simulation's start: rounded
    /// down, and at most `u64::MAX`.
    #[inline]
    pub const fn local_ns(self, time: SimTime) -> u64 {
        let ns = time.as_ns();
        if self.ns_per_second as u64 == NS_PER_SEC {
            return ns;
        }
        let rate = self.ns_per_second as u64;
        let (secs, rest) = (ns / NS_PER_SEC, ns % NS_PER_SEC);
        // The second product is below 1.1e18.
        secs.saturating_mul(rate).saturating_add(rest * rate / NS_PER_SEC)
    }

    /// The earliest instant at which the oscillator has counted `local_ns`; the end of time if that is
    /// later.
    pub const fn time_of(self, local_ns: u64) -> SimTime {
        let exact = local_ns as u128 * NS_PER_SEC as u128;
        let ns = exact.div_ceil(self.ns_per_second as u128);
        if ns > u64::MAX as u128 { SimTime::MAX } else { SimTime::from_ns(ns as u64) }
    }
}

/// As simulated time.
impl Default for Rate {
    fn default() -> Self {
        Rate::EXACT
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Stream;

    /// Instants and rates of all sizes, and the neighbourhoods of what rounding may get wrong.
    fn cases() -> impl Iterator<Item = (Rate, u64)> {
        let mut stream = Stream::named(1, &["clock"]);
        let mut next = move || stream.next_u64();
        (0..200_000).map(move |i| {
            let most = Rate::MAX_PPB as u64;
            let ppb = match i % 4 {
                0 => 0,
                1 => [1, -1, Rate::MAX_PPB, -Rate::MAX_PPB][next() as usize % 4],
                _ => (next() % (2 * most + 1)) as i64 - Rate::MAX_PPB,
            };
            let ns = match next() % 3 {
                0 => next() >> (next() % 64),
                1 => (next() % 100_000 * NS_PER_SEC).saturating_add(next() % 3).saturating_sub(1),
                _ => u64::MAX - (next() >> (next() % 63 + 1)),
            };
            (Rate::from_ppb(ppb).unwrap(), ns)
        })
    }

    #[test]
    fn rates_are_parts_per_billion_within_a_tenth() {
        for ppb in [0, 1, -1, 50_000, Rate::MAX_PPB, -Rate::MAX_PPB] {
            assert_eq!(Rate::from_ppb(ppb).map(Rate::as_ppb), Some(ppb));
        }
        for ppb in [Rate::MAX_PPB + 1, -Rate::MAX_PPB - 1, i64::MAX, i64::MIN] {
            assert_eq!(Rate::from_ppb(ppb), None);
        }
        let fast = Rate::from_ppb(50_000).unwrap();
        assert_eq!(fast.local_ns(SimTime::from_ns(NS_PER_SEC)), NS_PER_SEC + 50_000);
        assert_eq!(fast.time_of(NS_PER_SEC + 50_000), SimTime::from_ns(NS_PER_SEC));
        assert_eq!(Rate::EXACT, Rate::default());
    }

    #[test]
    fn counts_are_exact_and_rounded_down() {
        for (rate, ns) in cases() {
            let exact = u128::from(ns)
                * (i128::from(NS_PER_SEC) + i128::from(rate.as_ppb())) as u128
                / u128::from(NS_PER_SEC);
            let expected = u64::try_from(exact).unwrap_or(u64::MAX);
            assert_eq!(rate.local_ns(SimTime::from_ns(ns)), expected, "{rate:?} {ns}");
        }
    }

    #[test]
    fn the_inverse_is_the_earliest_instant() {
        for (rate, count) in cases() {
            let time = rate.time_of(count);
            if time != SimTime::MAX {
                assert!(rate.local_ns(time) >= count, "early: {rate:?} {count}");
            }
            if let Some(before) = time.as_ns().checked_sub(1) {
                let before = rate.local_ns(SimTime::from_ns(before));
                assert!(before < count, "late: {rate:?} {count}");
            }
        }
    }

    #[test]
    fn clocks_never_go_back() {
        for (rate, ns) in cases() {
            let next = rate.local_ns(SimTime::from_ns(ns.saturating_add(1)));
            assert!(rate.local_ns(SimTime::from_ns(ns)) <= next, "{rate:?} {ns}");
        }
    }
}
