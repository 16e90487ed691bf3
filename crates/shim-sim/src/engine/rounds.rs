//! How long a round may be.
//!
//! The fastest way between two hosts in, a length of simulated time out. Always true: it is not longer than that, unless the
//! scenario asks for longer rounds; and it is bounded, so that
//! a run shows its progress and hears that somebody wants it to end. When a round begins is
//! [`super::simulation`]'s.

use shim_abi::SimDuration;

/// Longest round where nothing else limits it.
const MAX_ROUND: SimDuration = SimDuration::from_ns(100_000_000);

/// The length of a round: `shortest` is how long the fastest datagram takes, if there are any; `at_least` what the
/// scenario asks for.
pub(super) fn lookahead(
    shortest: Option<SimDuration>,
    at_least: Option<SimDuration>,
) -> SimDuration {
    let shortest = shortest.unwrap_or(MAX_ROUND);
    let length = shortest.max(at_least.unwrap_or(SimDuration::ZERO));
    length.clamp(SimDuration::from_ns(1), MAX_ROUND)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_is_as_long_as_the_fastest_way() {
        let ms = |count: u64| SimDuration::from_ns(count * 1_000_000);
        assert_eq!(lookahead(Some(ms(10)), None), ms(10));
        assert_eq!(lookahead(Some(ms(10)), Some(ms(5))), ms(10));
        assert_eq!(lookahead(Some(ms(10)), Some(ms(15))), ms(15));
        assert_eq!(lookahead(None, None), MAX_ROUND);
        assert_eq!(lookahead(Some(ms(60_000)), None), MAX_ROUND);
    }
}
