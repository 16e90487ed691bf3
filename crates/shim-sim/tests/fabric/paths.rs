//! Paths against trying all ways through small graphs.
//!
//! Random graphs in, with few latencies and losses, so that many ways are as good as each other; paths out must be as good as the
//! best way. Worked examples stand beside the code.

use proptest::prelude::*;
use shim_abi::SimDuration;
use shim_sim::config::{Graph, GraphEdge, GraphNode};
use shim_sim::fabric::{Change, Direction, Link, Routes};

/// Few latencies and losses, so that ways often take the same time.
fn edges(nodes: u32) -> impl Strategy<Value = Vec<GraphEdge>> {
    let edge = (0..nodes, 0..nodes, 1..5_u64, 0..3_u64, 0..4_u32).prop_map(
        |(source, target, latency, jitter, loss)| GraphEdge {
            source: source * 3,
            target: target * 3,
            label: None,
            latency: SimDuration::from_ns(latency),
            jitter: SimDuration::from_ns(jitter),
            packet_loss: f64::from(loss) / 4.0,
        },
    );
    prop::collection::vec(edge, 0..14)
}

fn graph() -> impl Strategy<Value = Graph> {
    let nodes = 6;
    (any::<bool>(), edges(nodes)).prop_map(move |(is_directed, edges)| {
        let node = |id| GraphNode { id, label: None, bandwidth_down: None, bandwidth_up: None };
        Graph { is_directed, nodes: (0..nodes).map(|id| node(id * 3)).collect(), edges }
    })
}

fn step(graph: &Graph, at: u32, edge: &GraphEdge) -> Option<u32> {
    if edge.source == at {
        Some(edge.target)
    } else if edge.target == at && !graph.is_directed {
        Some(edge.source)
    } else {
        None
    }
}

/// The best of all ways that meet no node twice: latency, and the share that gets through.
fn best(graph: &Graph, from: u32, to: u32) -> Option<(u64, f64)> {
    fn go(
        graph: &Graph,
        seen: &mut Vec<u32>,
        to: u32,
        sum: (u64, f64),
        best: &mut Option<(u64, f64)>,
    ) {
        let at = seen[seen.len() - 1];
        if at == to {
            let is_better = best.is_none_or(|(latency, passes)| {
                sum.0 < latency || sum.0 == latency && sum.1 > passes
            });
            if is_better {
                *best = Some(sum);
            }
            return;
        }
        for edge in &graph.edges {
            let Some(next) = step(graph, at, edge) else { continue };
            if seen.contains(&next) {
                continue;
            }
            seen.push(next);
            let sum = (sum.0 + edge.latency.as_ns(), sum.1 * (1.0 - edge.packet_loss));
            go(graph, seen, to, sum, best);
            seen.pop();
        }
    }
    let mut found = None;
    go(graph, &mut vec![from], to, (0, 1.0), &mut found);
    found
}

/// The best edge of those that join two nodes directly.
fn direct(graph: &Graph, from: u32, to: u32) -> Option<(u64, f64)> {
    let joins = |edge: &&GraphEdge| match step(graph, from, edge) {
        Some(next) => next == to,
        None => false,
    };
    let sums = graph.edges.iter().filter(joins);
    sums.map(|edge| (edge.latency.as_ns(), 1.0 - edge.packet_loss))
        .min_by(|one, other| one.0.cmp(&other.0).then(other.1.total_cmp(&one.1)))
}

fn check(graph: &Graph, routes: &Routes, use_shortest_path: bool) -> Result<(), TestCaseError> {
    let mut shortest: Option<SimDuration> = None;
    for from in &graph.nodes {
        for to in &graph.nodes {
            let (from, to) = (from.id, to.id);
            let expected = if from != to && use_shortest_path {
                best(graph, from, to)
            } else {
                direct(graph, from, to)
            };
            let sites = (routes.site(from).unwrap(), routes.site(to).unwrap());
            let path = routes.path(sites.0, sites.1);
            prop_assert_eq!(path.map(|path| path.latency.as_ns()), expected.map(|sum| sum.0));
            let hops = routes.hops(sites.0, sites.1);
            let Some((path, (_, passes))) = path.zip(expected) else {
                prop_assert!(hops.is_empty());
                continue;
            };
            prop_assert!((path.loss - (1.0 - passes)).abs() < 1e-9, "{path:?} passes {passes}");
            if from == to {
                prop_assert_eq!((path.hop_count, hops.len()), (0, 0));
                continue;
            }
            shortest = shortest.into_iter().chain([path.shortest()]).min();
            prop_assert_eq!(hops.len(), path.hop_count as usize);
            prop_assert_eq!((hops[0].node, hops[0].latency), (from, SimDuration::ZERO));
            let last = hops[hops.len() - 1];
            prop_assert_eq!((last.node, last.latency), (to, path.latency));
            for pair in hops.windows(2) {
                let latency = pair[1].latency.as_ns() - pair[0].latency.as_ns();
                let is_joined = graph.edges.iter().any(|edge| {
                    step(graph, pair[0].node, edge) == Some(pair[1].node)
                        && edge.latency.as_ns() == latency
                });
                prop_assert!(is_joined, "{hops:?}");
            }
        }
    }
    prop_assert_eq!(routes.shortest_latency(), shortest);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn paths_are_the_best_ones(graph in graph(), use_shortest_path: bool) {
        let hosts = graph.nodes.iter().map(|node| node.id);
        let routes = Routes::new(&graph, hosts, use_shortest_path);
        check(&graph, &routes, use_shortest_path)?;
    }

    /// Whatever changed, paths are those of a graph that has always been so.
    #[test]
    fn changes_lead_to_the_same_paths_as_beginning_so(
        graph in graph(),
        changes in prop::collection::vec(
            (any::<prop::sample::Index>(), prop::option::of((1..5_u64, 0..4_u32))),
            1..6,
        ),
    ) {
        prop_assume!(!graph.edges.is_empty());
        let hosts: Vec<u32> = graph.nodes.iter().map(|node| node.id).collect();
        let mut routes = Routes::new(&graph, hosts, true);
        let mut edges: Vec<Option<GraphEdge>> = graph.edges.iter().cloned().map(Some).collect();
        for (which, change) in changes {
            let edge = which.index(edges.len());
            let link = change.map(|(latency, loss)| Link {
                latency: SimDuration::from_ns(latency),
                jitter: SimDuration::ZERO,
                packet_loss: f64::from(loss) / 4.0,
            });
            routes.change(&[Change { edge, direction: Direction::Both, link }]).unwrap();
            edges[edge] = link.map(|link| GraphEdge {
                latency: link.latency,
                jitter: link.jitter,
                packet_loss: link.packet_loss,
                ..graph.edges[edge].clone()
            });
        }
        let changed = Graph { edges: edges.into_iter().flatten().collect(), ..graph };
        check(&changed, &routes, true)?;
    }
}
