//! Faults of a scenario, as a list of deeds in the order in which they are done.
//!
//! A scenario in; [`Deed`]s with their instants out, and for links and ways what they are like after each. Always true: at one
//! instant ends come before beginnings, each in the order of the scenario; what the network is like follows from
//! which faults are under way, and not from those before. Deeds are done by [`super::simulation`], between rounds.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use shim_abi::SimTime;

use crate::config::scenario::{Fault, FaultKind};
use crate::config::{GraphEdge, Scenario};
use crate::fabric::{Barriers, Change, Direction, Link};

/// Something that is done between two rounds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Deed {
    /// The network is otherwise.
    Network,
    /// A process of a host gets a signal.
    Kill { host: usize, process: usize, signal: i32 },
    /// A process of a host is started again.
    Start { host: usize, process: usize },
    /// A host stops.
    Crash { host: usize },
    /// A host boots.
    Boot { host: usize },
}

/// What has not been done yet, and what the network is like.
pub(super) struct Faults<'s> {
    scenario: &'s Scenario,
    hosts: BTreeMap<&'s str, usize>,
    /// When, whether it is a beginning, and which fault.
    coming: VecDeque<(SimTime, bool, usize)>,
    /// Those of links and ways that are under way, in the order in which they began.
    active: Vec<usize>,
    begun: BTreeMap<&'static str, u64>,
}

impl<'s> Faults<'s> {
    /// Those of a scenario, or the first that names what there is not.
    pub(super) fn new(scenario: &'s Scenario) -> Result<Faults<'s>, String> {
        let numbered = scenario.hosts.iter().enumerate();
        let hosts: BTreeMap<_, _> = numbered.map(|(n, host)| (host.name.as_str(), n)).collect();
        let mut coming = Vec::new();
        for (index, fault) in scenario.faults.iter().enumerate() {
            check(scenario, &hosts, fault).map_err(|text| format!("fault {index}: {text}"))?;
            coming.push((fault.at, true, index));
            coming.extend(fault.until.map(|until| (until.max(fault.at), false, index)));
        }
        coming.sort_unstable();
        Ok(Faults {
            scenario,
            hosts,
            coming: coming.into(),
            active: Vec::new(),
            begun: BTreeMap::new(),
        })
    }

    /// When something is to be done.
    pub(super) fn next_time(&self) -> SimTime {
        self.coming.front().map_or(SimTime::MAX, |(at, ..)| *at)
    }

    /// What is to be done next, and how it is told.
    pub(super) fn take(&mut self) -> Option<(SimTime, Deed, String)> {
        let (at, is_beginning, index) = self.coming.pop_front()?;
        let kind = &self.scenario.faults[index].kind;
        if is_beginning {
            *self.begun.entry(kind.name()).or_default() += 1;
        }
        let deed = match kind {
            FaultKind::Link { .. } | FaultKind::Cut { .. } | FaultKind::Partition(_) => {
                match is_beginning {
                    true => self.active.push(index),
                    false => self.active.retain(|other| *other != index),
                }
                Deed::Network
            }
            FaultKind::Kill { host, process, signal } => {
                let (host, process) = (self.hosts[host.as_str()], *process);
                match is_beginning {
                    true => Deed::Kill { host, process, signal: *signal },
                    false => Deed::Start { host, process },
                }
            }
            FaultKind::Crash { host } => {
                let host = self.hosts[host.as_str()];
                if is_beginning { Deed::Crash { host } } else { Deed::Boot { host } }
            }
        };
        Some((at, deed, describe(kind, is_beginning)))
    }

    /// How many faults of each kind have begun.
    pub(super) fn begun(&self) -> BTreeMap<&'static str, u64> {
        self.begun.clone()
    }

    fn active(&self) -> impl Iterator<Item = &'s FaultKind> {
        let scenario = self.scenario;
        self.active.iter().map(|&index| &scenario.faults[index].kind)
    }

    /// What all edges that faults name are like now.
    pub(super) fn changes(&self) -> Vec<Change> {
        let graph = &self.scenario.network.graph;
        let named: BTreeSet<usize> = self
            .scenario
            .faults
            .iter()
            .filter_map(|fault| ends(&fault.kind))
            .flat_map(|(source, target, _)| graph.edges_between(source, target))
            .collect();
        let now = |edge| {
            let [forth, back] = [Direction::Forth, Direction::Back].map(|way| self.link(edge, way));
            let change = |direction, link| Change { edge, direction, link };
            if graph.is_directed || forth == back {
                return vec![change(Direction::Both, forth)];
            }
            vec![change(Direction::Forth, forth), change(Direction::Back, back)]
        };
        named.into_iter().flat_map(now).collect()
    }

    /// What one way along an edge is like now.
    fn link(&self, edge: usize, direction: Direction) -> Option<Link> {
        let graph = &self.scenario.network.graph;
        let mut link = Link::from(&graph.edges[edge]);
        for kind in self.active() {
            let Some((from, to, is_one_way)) = ends(kind) else { continue };
            if !graph.edges_between(from, to).any(|other| other == edge) {
                continue;
            }
            let GraphEdge { source, target, .. } = graph.edges[edge];
            let is_along = ((source, target) == (from, to)) == (direction == Direction::Forth);
            if is_one_way && !is_along {
                continue;
            }
            let FaultKind::Link { latency, jitter, packet_loss, .. } = kind else { return None };
            link.latency = latency.unwrap_or(link.latency);
            link.jitter = jitter.unwrap_or(link.jitter);
            link.packet_loss = packet_loss.unwrap_or(link.packet_loss);
        }
        Some(link)
    }

    /// Who does not reach whom now.
    pub(super) fn barriers(&self) -> Barriers {
        let mut barriers = Barriers::default();
        for kind in self.active() {
            let FaultKind::Partition(sets) = kind else { continue };
            let numbers = |set: &[String]| -> Vec<usize> {
                set.iter().map(|name| self.hosts[name.as_str()]).collect()
            };
            for (index, set) in sets.iter().enumerate() {
                let others = sets[index + 1..].iter().flat_map(|other| numbers(other));
                barriers.raise(numbers(set), others, true);
            }
        }
        barriers
    }
}

/// The ends of the link that a fault is about, and whether only that way.
fn ends(kind: &FaultKind) -> Option<(u32, u32, bool)> {
    match kind {
        FaultKind::Link { source, target, is_one_way, .. }
        | FaultKind::Cut { source, target, is_one_way } => Some((*source, *target, *is_one_way)),
        _ => None,
    }
}

/// Whether all that a fault names is there, and all that it says possible.
fn check(scenario: &Scenario, hosts: &BTreeMap<&str, usize>, fault: &Fault) -> Result<(), String> {
    let host = |name: &String| match hosts.get(name.as_str()) {
        Some(index) => Ok(&scenario.hosts[*index]),
        None => Err(format!("there is no host {name}")),
    };
    if let Some((source, target, is_one_way)) = ends(&fault.kind) {
        if scenario.network.graph.edges_between(source, target).next().is_none() {
            return Err(format!("the graph has no edge from node {source} to {target}"));
        }
        if is_one_way && source == target {
            return Err(format!("within node {source} there is only one way"));
        }
    }
    match &fault.kind {
        FaultKind::Link { latency, packet_loss, .. } => {
            if latency.is_some_and(|latency| latency.as_ns() == 0) {
                return Err("a latency must be more than 0".to_owned());
            }
            if packet_loss.is_some_and(|loss| !(0.0..=1.0).contains(&loss)) {
                return Err("a packet loss must be from 0 to 1".to_owned());
            }
        }
        FaultKind::Cut { .. } => {}
        FaultKind::Partition(sets) => {
            sets.iter().flatten().try_for_each(|it| host(it).map(drop))?
        }
        FaultKind::Crash { host: name } => drop(host(name)?),
        FaultKind::Kill { host: name, process, .. } => {
            let count = host(name)?.processes.len();
            if *process >= count {
                return Err(format!("host {name} has {count} processes, and no {process}"));
            }
        }
    }
    Ok(())
}

/// What stands between the ends of a link.
fn line(is_one_way: bool) -> &'static str {
    if is_one_way { "->" } else { "-" }
}

fn describe(kind: &FaultKind, is_beginning: bool) -> String {
    let text = match kind {
        FaultKind::Link { source, target, is_one_way, .. } => {
            format!("link {source} {} {target} changes", line(*is_one_way))
        }
        FaultKind::Cut { source, target, is_one_way } => {
            format!("link {source} {} {target} is cut", line(*is_one_way))
        }
        FaultKind::Partition(sets) => {
            let sets: Vec<String> = sets.iter().map(|set| set.join(", ")).collect();
            format!("partition of {}", sets.join(" | "))
        }
        FaultKind::Kill { process, signal, .. } => {
            format!("process {process} gets signal {signal}")
        }
        FaultKind::Crash { .. } => "the host crashes".to_owned(),
    };
    match (is_beginning, kind) {
        (true, _) => format!("fault: {text}"),
        (false, FaultKind::Kill { process, .. }) => {
            format!("fault: process {process} is started again")
        }
        (false, FaultKind::Crash { .. }) => "fault: the host boots".to_owned(),
        (false, _) => format!("fault: over: {text}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Overrides, parse};
    use std::path::Path;

    fn scenario(faults: &str) -> Scenario {
        let yaml = format!(
            "
general: {{stop_time: 100 s}}
network:
  graph:
    type: gml
    inline: |
      graph [
        node [ id 0 host_bandwidth_up \"1 Gbit\" host_bandwidth_down \"1 Gbit\" ]
        node [ id 1 host_bandwidth_up \"1 Gbit\" host_bandwidth_down \"1 Gbit\" ]
        edge [ source 0 target 0 latency \"1 ms\" ]
        edge [ source 1 target 0 latency \"10 ms\" ]
        edge [ source 1 target 1 latency \"1 ms\" ]
      ]
shim: {{faults: [{faults}]}}
hosts:
  a: {{network_node_id: 0, processes: [{{path: sleep}}, {{path: sleep}}]}}
  b: {{network_node_id: 1, processes: []}}
  c: {{network_node_id: 1, processes: []}}
"
        );
        let read = parse(Path::new("faults.yaml"), &yaml, &Overrides::default());
        read.unwrap_or_else(|problems| panic!("{problems:?}")).0
    }

    #[test]
    fn ends_come_before_beginnings_and_each_in_its_order() {
        let scenario = scenario(
            "{at: 5 s, kill: {host: a, process: 1}}, {at: 2 s, crash: a, restart_after: 3 s}, \
             {at: 2 s, crash: b}, {at: 1 s, kill: {host: a, process: 0, signal: 15}, restart_after: 4 s}",
        );
        let mut faults = Faults::new(&scenario).unwrap();
        let mut done = Vec::new();
        while faults.next_time() < SimTime::MAX {
            let (at, deed, _) = faults.take().unwrap();
            done.push((at.as_ns() / 1_000_000_000, deed));
        }
        let expected = [
            (1, Deed::Kill { host: 0, process: 0, signal: 15 }),
            (2, Deed::Crash { host: 0 }),
            (2, Deed::Crash { host: 1 }),
            (5, Deed::Boot { host: 0 }),
            (5, Deed::Start { host: 0, process: 0 }),
            (5, Deed::Kill { host: 0, process: 1, signal: 9 }),
        ];
        assert_eq!(done, expected);
        assert_eq!(faults.take(), None);
        assert_eq!(faults.begun(), [("crash", 2), ("kill", 2)].into());
    }

    #[test]
    fn a_link_is_as_the_faults_say_that_are_under_way() {
        let scenario = scenario(
            "{at: 1 s, link: {source: 0, target: 1}, latency: 50 ms, for: 8 s}, \
             {at: 2 s, link: {source: 1, target: 0}, latency: 20 ms, packet_loss: 0.5, for: 2 s}, \
             {at: 3 s, cut: {source: 0, target: 1}, for: 3 s}",
        );
        let mut faults = Faults::new(&scenario).unwrap();
        let mut seen = Vec::new();
        while let Some((at, deed, _)) = faults.take() {
            assert_eq!(deed, Deed::Network);
            let changes = faults.changes();
            let [Change { edge: 1, direction: Direction::Both, link }] = changes[..] else {
                panic!("{changes:?}")
            };
            let link = link.map(|link| (link.latency.as_ns() / 1_000_000, link.packet_loss));
            seen.push((at.as_ns() / 1_000_000_000, link));
        }
        let expected = [
            (1, Some((50, 0.0))),
            (2, Some((20, 0.5))),
            (3, None),
            (4, None),
            (6, Some((50, 0.0))),
            (9, Some((10, 0.0))),
        ];
        assert_eq!(seen, expected);
    }

    #[test]
    fn one_way_of_an_edge_changes_and_the_other_stays() {
        let scenario = scenario(
            "{at: 1 s, link: {source: 1, target: 0, one_way: true}, packet_loss: 0.5, for: 3 s}, \
             {at: 2 s, cut: {source: 0, target: 1, one_way: true}, for: 1 s}",
        );
        let mut faults = Faults::new(&scenario).unwrap();
        let mut seen = Vec::new();
        while let Some((at, ..)) = faults.take() {
            let changes = faults.changes().into_iter();
            let told = changes.map(|it| (it.direction, it.link.map(|link| link.packet_loss)));
            seen.push((at.as_ns() / 1_000_000_000, told.collect::<Vec<_>>()));
        }
        let both = |forth, back| vec![(Direction::Forth, forth), (Direction::Back, back)];
        let expected = [
            (1, both(Some(0.5), Some(0.0))),
            (2, both(Some(0.5), None)),
            (3, both(Some(0.5), Some(0.0))),
            (4, vec![(Direction::Both, Some(0.0))]),
        ];
        assert_eq!(seen, expected);
    }

    #[test]
    fn sets_of_a_partition_do_not_reach_each_other() {
        let scenario = scenario("{at: 1 s, partition: [[a], [b], [c]], for: 1 s}");
        let mut faults = Faults::new(&scenario).unwrap();
        let pairs = [(0, 1), (1, 2), (2, 0)];
        let stops = |faults: &Faults<'_>| {
            let barriers = faults.barriers();
            pairs.map(|(from, to)| (barriers.stop(from, to), barriers.stop(to, from)))
        };
        assert_eq!(stops(&faults), [(false, false); 3]);
        faults.take();
        assert_eq!(stops(&faults), [(true, true); 3]);
        assert_eq!(faults.changes(), []);
        faults.take();
        assert_eq!(stops(&faults), [(false, false); 3]);
    }

    #[test]
    fn what_is_not_there_is_named() {
        let sound = scenario("");
        let (at, until) = (SimTime::ZERO, None);
        let crash = |host: &str| FaultKind::Crash { host: host.to_owned() };
        for (kind, part) in [
            (crash("nobody"), "no host nobody"),
            (FaultKind::Partition(vec![vec!["a".into()], vec!["x".into()]]), "no host x"),
            (
                FaultKind::Cut { source: 1, target: 2, is_one_way: false },
                "no edge from node 1 to 2",
            ),
            (FaultKind::Cut { source: 0, target: 0, is_one_way: true }, "within node 0"),
            (FaultKind::Kill { host: "a".into(), process: 2, signal: 9 }, "2 processes"),
        ] {
            let faults = vec![Fault { at, until, kind: crash("a") }, Fault { at, until, kind }];
            let scenario = Scenario { faults, ..sound.clone() };
            let error = Faults::new(&scenario).map(drop).unwrap_err();
            assert!(error.starts_with("fault 1: ") && error.contains(part), "{error}");
        }
    }
}
