//! Shortest paths through the graph, from one node to many.
//!
//! Arcs between numbered nodes in; what a path costs, and over which nodes it leads, out. Always true: every latency
//! is more than zero, so that a node's cost is final when its turn comes; what is found does not depend on the order
//! of the arcs. What a cost means for packets, and which paths are wanted, is in `routes`.
//!
//! Why not petgraph's search: graphs of Shadow's users have a thousand nodes, all joined with each other, or ten
//! thousand; and a path is wanted from each of hundreds. With its map of costs and its lists of arcs that takes
//! minutes. Here nodes are positions in arrays, and the latencies of a node's arcs, by which nearly all arcs are
//! passed over, lie side by side.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use shim_abi::SimDuration;

use super::routes::Link;

/// What is added up along a path, and compared in the order of the fields.
#[derive(Clone, Copy, PartialEq, PartialOrd, Debug, Default)]
pub(super) struct Cost {
    /// In nanoseconds.
    pub(super) latency: u64,
    /// The share that is lost.
    pub(super) loss: f64,
    /// In nanoseconds.
    pub(super) jitter: u64,
    /// How many arcs there are.
    pub(super) arcs: u32,
}

impl Cost {
    fn and(self, latency: u64, extras: Extras) -> Cost {
        Cost {
            latency: self.latency.saturating_add(latency),
            // The same as 1 - (1 - a) (1 - b), and exact where one of them is 0.
            loss: (self.loss + extras.loss * (1.0 - self.loss)).min(1.0),
            jitter: self.jitter.saturating_add(extras.jitter),
            arcs: self.arcs.saturating_add(1),
        }
    }
}

/// The latency of an arc that leads nowhere any more, and the cost of what cannot be reached.
const NEVER: u64 = u64::MAX;

/// All arcs, by the node where they begin.
#[derive(Clone, Debug)]
pub(super) struct Arcs {
    /// Where the arcs of each node begin, and after the last node where they end.
    first: Vec<usize>,
    targets: Vec<u32>,
    latencies: Vec<u64>,
    extras: Vec<Extras>,
}

/// What of an arc matters only when its latency does.
#[derive(Clone, Copy, Debug, Default)]
struct Extras {
    loss: f64,
    jitter: u64,
}

impl Arcs {
    /// Arcs between so many nodes, each from a node to a node; and the number that each has got.
    pub(super) fn new(
        nodes: usize,
        ways: &[Option<(u32, u32, Link)>],
    ) -> (Arcs, Vec<Option<usize>>) {
        let mut first = vec![0; nodes + 1];
        for (from, ..) in ways.iter().flatten() {
            first[*from as usize + 1] += 1;
        }
        for node in 0..nodes {
            first[node + 1] += first[node];
        }
        let count = first[nodes];
        let mut arcs = Arcs {
            targets: vec![0; count],
            latencies: vec![NEVER; count],
            extras: vec![Extras::default(); count],
            first,
        };
        let mut next = arcs.first.clone();
        let place = |way: &Option<(u32, u32, Link)>| {
            let (from, to, link) = way.as_ref()?;
            let arc = next[*from as usize];
            next[*from as usize] += 1;
            arcs.targets[arc] = *to;
            arcs.set_link(arc, Some(*link));
            Some(arc)
        };
        let numbers = ways.iter().map(place).collect();
        (arcs, numbers)
    }

    /// What an arc is like; `None` if nothing passes.
    pub(super) fn link(&self, arc: usize) -> Option<Link> {
        let Extras { loss, jitter } = self.extras[arc];
        (self.latencies[arc] != NEVER).then(|| Link {
            latency: SimDuration::from_ns(self.latencies[arc]),
            jitter: SimDuration::from_ns(jitter),
            packet_loss: loss,
        })
    }

    /// Change an arc.
    pub(super) fn set_link(&mut self, arc: usize, link: Option<Link>) {
        self.latencies[arc] = link.map_or(NEVER, |link| link.latency.as_ns().clamp(1, NEVER - 1));
        self.extras[arc] = link.map_or(Extras::default(), |link| Extras {
            loss: link.packet_loss,
            jitter: link.jitter.as_ns(),
        });
    }

    /// The cost of the best arc from a node to a node.
    pub(super) fn direct(&self, from: u32, to: u32) -> Option<Cost> {
        let costs = self.of(from).filter(|&arc| self.targets[arc] == to);
        let costs = costs.map(|arc| Cost::default().and(self.latencies[arc], self.extras[arc]));
        let costs = costs.filter(|cost| cost.latency != NEVER);
        costs.reduce(|best, cost| if cost < best { cost } else { best })
    }

    fn of(&self, node: u32) -> std::ops::Range<usize> {
        self.first[node as usize]..self.first[node as usize + 1]
    }
}

/// The search, with what it needs for one node after the other.
pub(super) struct Search<'a> {
    net: &'a Arcs,
    /// Which nodes are asked for.
    is_wanted: Vec<bool>,
    wanted: usize,
    /// The latency of the best path to each node, so far.
    latencies: Vec<u64>,
    /// All that this path costs.
    costs: Vec<Cost>,
    /// The node before the last on this path.
    before: Vec<u32>,
    /// Nodes whose arcs have not been looked at.
    next: BinaryHeap<Reverse<(u64, u32)>>,
}

impl<'a> Search<'a> {
    /// A search for paths to these nodes, each named once.
    pub(super) fn new(net: &'a Arcs, targets: impl IntoIterator<Item = u32>) -> Search<'a> {
        let nodes = net.first.len() - 1;
        let mut is_wanted = vec![false; nodes];
        let mut wanted = 0;
        for node in targets {
            is_wanted[node as usize] = true;
            wanted += 1;
        }
        Search {
            net,
            is_wanted,
            wanted,
            latencies: vec![NEVER; nodes],
            costs: vec![Cost::default(); nodes],
            before: vec![0; nodes],
            next: BinaryHeap::new(),
        }
    }

    /// Search from `start`.
    pub(super) fn run(&mut self, start: u32) {
        self.latencies.fill(NEVER);
        self.next.clear();
        self.latencies[start as usize] = 0;
        self.costs[start as usize] = Cost::default();
        self.before[start as usize] = start;
        self.next.push(Reverse((0, start)));
        let mut missing = self.wanted;
        while let Some(Reverse((latency, node))) = self.next.pop() {
            if latency > self.latencies[node as usize] {
                continue;
            }
            if self.is_wanted[node as usize] {
                missing -= 1;
                if missing == 0 {
                    return;
                }
            }
            self.look_around(node, latency);
        }
    }

    /// Look at the arcs of a node, to which the best path is known.
    fn look_around(&mut self, node: u32, latency: u64) {
        for arc in self.net.of(node) {
            let sum = latency.saturating_add(self.net.latencies[arc]);
            let target = self.net.targets[arc] as usize;
            let best = self.latencies[target];
            if sum > best || sum == NEVER {
                continue;
            }
            let cost = self.costs[node as usize].and(self.net.latencies[arc], self.net.extras[arc]);
            if sum == best && cost >= self.costs[target] {
                continue;
            }
            self.costs[target] = cost;
            self.before[target] = node;
            if sum < best {
                self.latencies[target] = sum;
                self.next.push(Reverse((sum, self.net.targets[arc])));
            }
        }
    }

    /// The cost of the best path to a node that is asked for.
    pub(super) fn cost(&self, to: u32) -> Option<Cost> {
        (self.latencies[to as usize] != NEVER).then(|| self.costs[to as usize])
    }

    /// The nodes on the best path to a node that can be reached, from there to the start, and what the path costs up to each.
    pub(super) fn back_from(&self, end: u32) -> impl Iterator<Item = (u32, Cost)> {
        let before = |&node: &u32| {
            let before = self.before[node as usize];
            (before != node).then_some(before)
        };
        std::iter::successors(Some(end), before).map(|node| (node, self.costs[node as usize]))
    }
}
