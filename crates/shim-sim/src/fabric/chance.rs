//! Whether a packet is lost on its path, and how long it takes.
//!
//! A [`Path`] in, a length of time or a loss out. Always true: each host decides over what it sends, in the order in
//! which it sends, by a stream of its own; so results depend neither on workers nor on what other hosts send. A path
//! that loses nothing and does not vary draws nothing. What happens at the target's end of the path is `downlink`'s.
//!
//! A packet's time lies anywhere from the path's latency minus its jitter to latency plus jitter, each nanosecond equally
//! likely, as netem has it without a table of another distribution, and is at least 1 ns. So packets may overtake each
//! other where the jitter is larger than what lies between them, as they do behind netem.
//!
//! Until the end of a simulation's bootstrap (`general.bootstrap_end_time`) no packet is lost. After it every packet
//! can be: Shadow spares those without payload, for its TCP's sake; ours asks for no such favour.

use shim_abi::random::Stream;
use shim_abi::{SimDuration, SimTime};

use super::routes::Path;

/// The luck of one sending host.
#[derive(Clone, Debug)]
pub struct Chance {
    stream: Stream,
    bootstrap_end: SimTime,
}

impl Chance {
    /// For the host of this name; until `bootstrap_end` nothing that it sends is lost.
    pub fn new(seed: u64, host: &str, bootstrap_end: SimTime) -> Chance {
        Chance { stream: Stream::named(seed, &["host", host, "fabric"]), bootstrap_end }
    }

    /// How long the next packet, which leaves at `at`, takes on `path`; `None` if it is lost.
    pub fn send(&mut self, at: SimTime, path: &Path) -> Option<SimDuration> {
        if path.loss > 0.0 && at >= self.bootstrap_end && self.fraction() < path.loss {
            return None;
        }
        let (latency, jitter) = (path.latency.as_ns(), path.jitter.as_ns());
        let ns = match jitter {
            0 => latency,
            jitter => {
                // Up to twice the jitter too much, which is at most what 64 bits hold.
                let jitter = jitter.min(u64::MAX / 2);
                let more = self.below(2 * jitter + 1);
                latency.saturating_add(more).saturating_sub(jitter)
            }
        };
        Some(SimDuration::from_ns(ns.max(1)))
    }

    /// A number from 0 to less than 1, of 53 bits.
    fn fraction(&mut self) -> f64 {
        (self.stream.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// A number less than `end`, each equally likely but for less than one in 2^64 / `end`.
    fn below(&mut self, end: u64) -> u64 {
        let product = u128::from(self.stream.next_u64()) * u128::from(end);
        (product >> 64) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AFTER: SimTime = SimTime::from_ns(1_000);

    fn path(latency: u64, jitter: u64, loss: f64) -> Path {
        let (latency, jitter) = (SimDuration::from_ns(latency), SimDuration::from_ns(jitter));
        Path { latency, jitter, loss, hop_count: 2 }
    }

    fn chance(host: &str) -> Chance {
        Chance::new(7, host, AFTER)
    }

    #[test]
    fn a_plain_path_draws_nothing() {
        let mut used = chance("a");
        for _ in 0..10 {
            assert_eq!(used.send(AFTER, &path(5, 0, 0.0)), Some(SimDuration::from_ns(5)));
        }
        assert_eq!(used.stream, chance("a").stream);
    }

    #[test]
    fn a_share_is_lost_after_the_bootstrap() {
        let mut a = chance("a");
        let mut lost = |at| (0..10_000).filter(|_| a.send(at, &path(5, 0, 0.1)).is_none()).count();
        assert_eq!(lost(SimTime::from_ns(999)), 0);
        let count = lost(AFTER);
        assert!((900..1_100).contains(&count), "{count} of 10,000");
        assert!((0..100).all(|_| a.send(AFTER, &path(5, 0, 1.0)).is_none()));
        assert!((0..100).all(|_| a.send(SimTime::ZERO, &path(5, 0, 1.0)).is_some()));
    }

    #[test]
    fn jitter_reaches_both_ends_and_no_further() {
        let mut a = chance("a");
        let mut seen = [0; 7];
        for _ in 0..7_000 {
            let delay = a.send(AFTER, &path(100, 3, 0.0)).unwrap().as_ns();
            seen[usize::try_from(delay - 97).unwrap()] += 1;
        }
        assert!(seen.iter().all(|count| (850..1_150).contains(count)), "{seen:?}");
        let fastest = (0..100).map(|_| a.send(AFTER, &path(2, 10, 0.0)).unwrap()).min();
        assert_eq!(fastest, Some(SimDuration::from_ns(1)));
        let endless = path(u64::MAX, u64::MAX, 0.0);
        assert!((0..100).all(|_| a.send(AFTER, &endless).is_some()));
    }

    #[test]
    fn hosts_have_streams_of_their_own() {
        let draw = |mut chance: Chance| {
            (0..20).map(|_| chance.send(AFTER, &path(500, 100, 0.3))).collect::<Vec<_>>()
        };
        assert_eq!(draw(chance("a")), draw(chance("a")));
        assert_ne!(draw(chance("a")), draw(chance("b")));
        assert_ne!(draw(chance("a")), draw(Chance::new(8, "a", AFTER)));
    }
}
