//! How long a round may be.
//!
//! A scenario's network in, a length of simulated time out. Always true: it is not longer than the
//! fastest way between two hosts, unless the scenario asks for longer rounds; and it is bounded, so that
//! a run shows its progress and hears that somebody wants it to end. When a round begins is
//! [`super::simulation`]'s.

use shim_abi::SimDuration;

use crate::config::scenario::Network;

/// Longest round where nothing else limits it.
const MAX_ROUND: SimDuration = SimDuration::from_ns(100_000_000);

/// The length of a round between `host_count` hosts.
pub(super) fn lookahead(network: &Network, host_count: usize) -> SimDuration {
    if host_count < 2 {
        return MAX_ROUND;
    }
    // No way is shorter than its shortest edge.
    let shortest = network.graph.edges.iter().map(|edge| edge.latency).min();
    let length = shortest.unwrap_or(MAX_ROUND).max(network.runahead.unwrap_or(SimDuration::ZERO));
    length.clamp(SimDuration::from_ns(1), MAX_ROUND)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Graph, GraphEdge};

    fn ms(count: u64) -> SimDuration {
        SimDuration::from_ns(count * 1_000_000)
    }

    fn network(latencies_ms: &[u64], runahead: Option<SimDuration>) -> Network {
        let edges = latencies_ms
            .iter()
            .map(|&latency| GraphEdge {
                source: 0,
                target: 0,
                label: None,
                latency: ms(latency),
                jitter: SimDuration::ZERO,
                packet_loss: 0.0,
            })
            .collect();
        let graph = Graph { is_directed: false, nodes: Vec::new(), edges };
        Network { graph, use_shortest_path: true, runahead }
    }

    #[test]
    fn a_round_is_as_long_as_the_shortest_edge() {
        assert_eq!(lookahead(&network(&[30, 10, 20], None), 2), ms(10));
        assert_eq!(lookahead(&network(&[30, 10], Some(ms(5))), 2), ms(10));
        assert_eq!(lookahead(&network(&[30, 10], Some(ms(15))), 2), ms(15));
        assert_eq!(lookahead(&network(&[10], None), 1), MAX_ROUND);
        assert_eq!(lookahead(&network(&[60_000], None), 2), MAX_ROUND);
    }
}
