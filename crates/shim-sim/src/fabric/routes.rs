//! The ways between the nodes where hosts are, and what packets meet on them.
//!
//! A [`Graph`] and the node of every host in; a [`Path`] for two [`Site`]s out, or none. Always true: a path is
//! the shortest one by latency, of those the one that loses least, then the one with the least jitter and the fewest
//! nodes, whatever the order of the edges; hosts of one node use its edge to itself, never a longer way round; without
//! `use_shortest_path` a path is the one direct edge. Whether the hosts of a scenario can reach each other
//! is asked before (`config/reach.rs`), what becomes of one packet on a path is in `chance`.
//!
//! What is kept for each pair of sites is what a packet needs; the nodes on the way ([`Routes::hops`]) are found
//! again when somebody asks. Links may change, one direction or both ([`Routes::change`]); all paths are then computed
//! anew. The search itself is in `search`.

use std::fmt;

use shim_abi::SimDuration;

use super::search::{Arcs, Cost, Search};

use crate::config::{Graph, GraphEdge};

/// A node at which there are hosts: a small number, from [`Routes::site`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub struct Site(u32);

/// The way from a site to a site.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Path {
    /// How long packets take; more than zero.
    pub latency: SimDuration,
    /// How much that varies.
    pub jitter: SimDuration,
    /// The share of packets that are lost, from 0 to 1.
    pub loss: f64,
    /// How many routers packets pass, each of which takes one from their hop limit.
    ///
    /// Each node on the way is one, the first and the last too. Between hosts of one node there is none: a node is to
    /// its own hosts a switch, across which also programs work that send with a hop limit of 1.
    pub hop_count: u32,
}

impl Path {
    /// The least time that a packet can take.
    pub fn shortest(&self) -> SimDuration {
        let ns = self.latency.as_ns().saturating_sub(self.jitter.as_ns());
        SimDuration::from_ns(ns.max(1))
    }
}

/// A router on a path.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Hop {
    /// Id of its node.
    pub node: u32,
    /// Its position in [`Graph::nodes`], of which its addresses are made ([`Router::new`](super::Router::new)).
    pub index: u32,
    /// How long packets take to it: nothing to the first one.
    pub latency: SimDuration,
}

/// What packets meet on an edge, in one direction.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Link {
    /// How long they take; more than zero.
    pub latency: SimDuration,
    /// How much that varies.
    pub jitter: SimDuration,
    /// The share that is lost, from 0 to 1.
    pub packet_loss: f64,
}

impl From<&GraphEdge> for Link {
    fn from(edge: &GraphEdge) -> Link {
        Link { latency: edge.latency, jitter: edge.jitter, packet_loss: edge.packet_loss }
    }
}

/// Which way along an edge.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Direction {
    /// Both ways, or the only one.
    Both,
    /// From its source to its target.
    Forth,
    /// From its target to its source, if it leads both ways.
    Back,
}

/// Something happens to an edge.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Change {
    /// Its position in [`Graph::edges`].
    pub edge: usize,
    /// The direction that changes.
    pub direction: Direction,
    /// What it is from now on; `None` if nothing passes any more.
    pub link: Option<Link>,
}

/// Why a change is impossible.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ChangeError {
    /// There is no edge at this position.
    NoEdge(usize),
    /// This edge leads one way only.
    OneWay(usize),
    /// A latency must be more than zero.
    Latency(usize),
    /// A loss must be from 0 to 1.
    Loss(usize),
}

impl fmt::Display for ChangeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ChangeError::NoEdge(edge) => write!(f, "there is no edge {edge}"),
            ChangeError::OneWay(edge) => write!(f, "edge {edge} leads one way only"),
            ChangeError::Latency(edge) => {
                write!(f, "the latency of edge {edge} must be more than 0")
            }
            ChangeError::Loss(edge) => {
                write!(f, "the packet loss of edge {edge} must be from 0 to 1")
            }
        }
    }
}

impl std::error::Error for ChangeError {}

/// All paths between the hosts of a simulation.
#[derive(Clone, Debug)]
pub struct Routes {
    /// The ids of all nodes, in order.
    ids: Vec<u32>,
    /// An arc for each direction of an edge; nodes are their positions.
    net: Arcs,
    /// The arcs of each edge: forth, and back if it leads back.
    arcs: Vec<[Option<usize>; 2]>,
    use_shortest_path: bool,
    /// The node of each site, in order.
    sites: Vec<u32>,
    /// Whether there is more than one host at a site.
    is_shared: Vec<bool>,
    /// From each site to each site, row by row.
    paths: Vec<Option<Path>>,
}

impl Routes {
    /// The paths of `graph` between hosts that are at the nodes of these ids, one for each host. Ids that no
    /// node has are passed over.
    pub fn new(
        graph: &Graph,
        hosts: impl IntoIterator<Item = u32>,
        use_shortest_path: bool,
    ) -> Routes {
        let ids: Vec<u32> = graph.nodes.iter().map(|node| node.id).collect();
        let index = |id: u32| u32::try_from(ids.binary_search(&id).ok()?).ok();
        // The two arcs of an edge have the numbers 2 n and 2 n + 1 until they are sorted.
        let ways = graph.edges.iter().flat_map(|edge| {
            let ends = index(edge.source).zip(index(edge.target));
            let back = ends.map(|(from, to)| (to, from));
            let back = back.filter(|(from, to)| !graph.is_directed && from != to);
            let link = Link::from(edge);
            [ends, back].map(|ends| ends.map(|(from, to)| (from, to, link)))
        });
        let ways: Vec<Option<(u32, u32, Link)>> = ways.collect();
        let (net, numbers) = Arcs::new(ids.len(), &ways);
        let arcs = numbers.chunks_exact(2).map(|pair| [pair[0], pair[1]]).collect();
        let mut used: Vec<u32> = hosts.into_iter().filter_map(index).collect();
        used.sort_unstable();
        let groups = used.chunk_by(|one, other| one == other);
        let (sites, is_shared) = groups.map(|group| (group[0], group.len() > 1)).unzip();
        let paths = Vec::new();
        let mut routes = Routes { ids, net, arcs, use_shortest_path, sites, is_shared, paths };
        routes.compute();
        routes
    }

    /// The site of the node with this id, if there are hosts.
    pub fn site(&self, node: u32) -> Option<Site> {
        let index = u32::try_from(self.ids.binary_search(&node).ok()?).ok()?;
        let at = self.sites.binary_search(&index).ok()?;
        u32::try_from(at).ok().map(Site)
    }

    /// The path from a site to a site; `None` if no packet can pass.
    pub fn path(&self, from: Site, to: Site) -> Option<Path> {
        let (from, to) = (from.0 as usize, to.0 as usize);
        self.paths.get(from * self.sites.len() + to).copied().flatten()
    }

    /// The least time that a packet takes from a host to another one; `None` if none can reach another one. A
    /// round that is no longer ends before anything that is sent in it arrives.
    pub fn shortest_latency(&self) -> Option<SimDuration> {
        let count = self.sites.len();
        let is_used = |&(at, _): &(usize, &Option<Path>)| {
            let (from, to) = (at / count, at % count);
            from != to || self.is_shared[from]
        };
        let used = self.paths.iter().enumerate().filter(is_used);
        used.filter_map(|(_, path)| Some(path.as_ref()?.shortest())).min()
    }

    /// The routers on a path, in the order in which packets pass them; none if there is no path, or if both
    /// sites are one.
    ///
    /// This searches for the path anew: it is for packets whose hop limit ends on the way.
    pub fn hops(&self, from: Site, to: Site) -> Vec<Hop> {
        let ends = self.sites.get(from.0 as usize).zip(self.sites.get(to.0 as usize));
        let (Some((&start, &end)), Some(path)) = (ends, self.path(from, to)) else {
            return Vec::new();
        };
        if start == end {
            return Vec::new();
        }
        let hop = |index: u32, latency: u64| Hop {
            node: self.ids[index as usize],
            index,
            latency: SimDuration::from_ns(latency),
        };
        if !self.use_shortest_path {
            return vec![hop(start, 0), hop(end, path.latency.as_ns())];
        }
        let mut search = Search::new(&self.net, [end]);
        search.run(start);
        let mut hops: Vec<Hop> =
            search.back_from(end).map(|(node, cost)| hop(node, cost.latency)).collect();
        hops.reverse();
        hops
    }

    /// What an edge is like in a direction; of an edge that leads both ways `Both` means `Forth`.
    pub fn link(&self, edge: usize, direction: Direction) -> Result<Option<Link>, ChangeError> {
        let arc = self.arcs_of(edge, direction)?[0];
        Ok(arc.and_then(|arc| self.net.link(arc)))
    }

    /// Change edges, all at once: none if one change is impossible.
    pub fn change(&mut self, changes: &[Change]) -> Result<(), ChangeError> {
        for change in changes {
            self.arcs_of(change.edge, change.direction)?;
            let Some(link) = change.link else { continue };
            if link.latency == SimDuration::ZERO {
                return Err(ChangeError::Latency(change.edge));
            }
            if !(0.0..=1.0).contains(&link.packet_loss) {
                return Err(ChangeError::Loss(change.edge));
            }
        }
        for change in changes {
            let arcs = self.arcs_of(change.edge, change.direction)?;
            for arc in arcs.into_iter().flatten() {
                self.net.set_link(arc, change.link);
            }
        }
        self.compute();
        Ok(())
    }

    fn arcs_of(
        &self,
        edge: usize,
        direction: Direction,
    ) -> Result<[Option<usize>; 2], ChangeError> {
        let Some(&[Some(forth), back]) = self.arcs.get(edge) else {
            return Err(ChangeError::NoEdge(edge));
        };
        match (direction, back) {
            (Direction::Both, back) => Ok([Some(forth), back]),
            (Direction::Forth, _) => Ok([Some(forth), None]),
            (Direction::Back, Some(back)) => Ok([Some(back), None]),
            (Direction::Back, None) => Err(ChangeError::OneWay(edge)),
        }
    }

    fn compute(&mut self) {
        let mut paths = Vec::with_capacity(self.sites.len() * self.sites.len());
        let mut search = Search::new(&self.net, self.sites.iter().copied());
        for &from in &self.sites {
            if self.use_shortest_path {
                search.run(from);
            }
            paths.extend(self.sites.iter().map(|&to| {
                let cost = match self.use_shortest_path && to != from {
                    true => search.cost(to),
                    false => self.net.direct(from, to),
                };
                Some(Path::of(cost?, from == to))
            }));
        }
        self.paths = paths;
    }
}

impl Path {
    fn of(cost: Cost, is_at_home: bool) -> Path {
        Path {
            latency: SimDuration::from_ns(cost.latency),
            jitter: SimDuration::from_ns(cost.jitter),
            loss: cost.loss,
            hop_count: if is_at_home { 0 } else { cost.arcs + 1 },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(text: &str) -> Graph {
        let text = format!("graph [ {text} ]");
        Graph::from_gml(std::path::Path::new("g"), &text).unwrap()
    }

    fn nodes(count: u32) -> String {
        (0..count).map(|id| format!("node [ id {} ] ", id * 10)).collect()
    }

    fn edge(source: u32, target: u32, ms: u32, more: &str) -> String {
        format!("edge [ source {source} target {target} latency \"{ms} ms\" {more} ] ")
    }

    fn ms(count: u64) -> SimDuration {
        SimDuration::from_ns(count * 1_000_000)
    }

    fn path(routes: &Routes, from: u32, to: u32) -> Option<Path> {
        routes.path(routes.site(from).unwrap(), routes.site(to).unwrap())
    }

    /// Latency in milliseconds, loss, and the number of routers.
    fn numbers(routes: &Routes, from: u32, to: u32) -> Option<(u64, f64, u32)> {
        let path = path(routes, from, to)?;
        Some((path.latency.as_ns() / 1_000_000, path.loss, path.hop_count))
    }

    fn hops(routes: &Routes, from: u32, to: u32) -> Vec<(u32, u64)> {
        let hops = routes.hops(routes.site(from).unwrap(), routes.site(to).unwrap());
        hops.iter().map(|hop| (hop.node, hop.latency.as_ns() / 1_000_000)).collect()
    }

    #[test]
    fn the_shortest_way_is_taken_and_what_it_meets_is_added_up() {
        // 0 - 10 - 20 takes 5 ms, the direct edge 6 ms.
        let text = nodes(4)
            + &edge(0, 20, 6, "")
            + &edge(0, 10, 2, "packet_loss 0.5 jitter \"1 ms\"")
            + &edge(10, 20, 3, "packet_loss 0.5 jitter \"2 ms\"");
        let routes = Routes::new(&graph(&text), [0, 20], true);
        let expected = Path { latency: ms(5), jitter: ms(3), loss: 0.75, hop_count: 3 };
        assert_eq!(path(&routes, 0, 20), Some(expected));
        assert_eq!(path(&routes, 20, 0), Some(expected));
        assert_eq!(hops(&routes, 0, 20), [(0, 0), (10, 2), (20, 5)]);
        assert_eq!(hops(&routes, 20, 0), [(20, 0), (10, 3), (0, 5)]);
        assert_eq!(routes.hops(Site(0), Site(1))[1].index, 1);
        assert_eq!(routes.shortest_latency(), Some(ms(2)));
        assert_eq!(routes.site(10), None, "no host is there");
        assert_eq!(routes.site(7), None);

        let direct = Routes::new(&graph(&text), [0, 20], false);
        assert_eq!(numbers(&direct, 0, 20), Some((6, 0.0, 2)));
        assert_eq!(hops(&direct, 0, 20), [(0, 0), (20, 6)]);
    }

    #[test]
    fn of_two_ways_that_take_the_same_time_the_better_is_taken() {
        let lossy = edge(0, 10, 4, "packet_loss 0.2");
        let long = edge(0, 20, 2, "packet_loss 0.1") + &edge(20, 10, 2, "");
        for text in [lossy.clone() + &long, long + &lossy] {
            let routes = Routes::new(&graph(&(nodes(3) + &text)), [0, 10], true);
            assert_eq!(numbers(&routes, 0, 10), Some((4, 0.1, 3)));
        }
        let shaky = edge(0, 10, 4, "jitter \"1 ms\"");
        let steady = edge(0, 10, 4, "");
        let routes = Routes::new(&graph(&(nodes(2) + &shaky + &steady)), [0, 10], true);
        assert_eq!(path(&routes, 0, 10).unwrap().jitter, ms(0));
    }

    #[test]
    fn hosts_of_one_node_use_its_own_edge() {
        let text = nodes(2) + &edge(0, 0, 50, "packet_loss 0.01") + &edge(0, 10, 1, "");
        for use_shortest_path in [true, false] {
            let routes = Routes::new(&graph(&text), [0, 0, 10], use_shortest_path);
            assert_eq!(numbers(&routes, 0, 0), Some((50, 0.01, 0)));
            assert_eq!(hops(&routes, 0, 0), []);
            assert_eq!(path(&routes, 10, 10), None);
            assert_eq!(routes.shortest_latency(), Some(ms(1)));
        }
        // Nobody is there to whom a lone host could send.
        let text = nodes(2) + &edge(0, 0, 1, "") + &edge(0, 10, 7, "");
        assert_eq!(Routes::new(&graph(&text), [0, 10], true).shortest_latency(), Some(ms(7)));
        assert_eq!(Routes::new(&graph(&text), [0, 0], true).shortest_latency(), Some(ms(1)));
        assert_eq!(Routes::new(&graph(&text), [0], true).shortest_latency(), None);
        assert_eq!(Routes::new(&graph(&text), [], true).shortest_latency(), None);
    }

    #[test]
    fn directed_edges_lead_one_way() {
        let text = "directed 1 ".to_owned()
            + &nodes(3)
            + &edge(0, 10, 1, "")
            + &edge(10, 20, 2, "")
            + &edge(20, 0, 4, "");
        let routes = Routes::new(&graph(&text), [0, 10, 20], true);
        assert_eq!(numbers(&routes, 0, 10), Some((1, 0.0, 2)));
        assert_eq!(numbers(&routes, 10, 0), Some((6, 0.0, 3)));
        let direct = Routes::new(&graph(&text), [0, 10, 20], false);
        assert_eq!(path(&direct, 10, 0), None);
        assert_eq!(hops(&direct, 10, 0), []);
    }

    #[test]
    fn rounds_are_as_short_as_jitter_makes_packets() {
        let text = nodes(2) + &edge(0, 10, 5, "jitter \"2 ms\"");
        assert_eq!(Routes::new(&graph(&text), [0, 10], true).shortest_latency(), Some(ms(3)));
        let text = nodes(2) + &edge(0, 10, 5, "jitter \"9 ms\"");
        let shortest = Routes::new(&graph(&text), [0, 10], true).shortest_latency();
        assert_eq!(shortest, Some(SimDuration::from_ns(1)));
    }

    #[test]
    fn edges_change_and_packets_go_other_ways() {
        let text = nodes(3) + &edge(0, 10, 1, "") + &edge(10, 20, 1, "") + &edge(0, 20, 9, "");
        let mut routes = Routes::new(&graph(&text), [0, 20], true);
        let cut = |edge, direction| Change { edge, direction, link: None };
        let before = routes.link(1, Direction::Back).unwrap();

        routes.change(&[cut(1, Direction::Back)]).unwrap();
        assert_eq!(numbers(&routes, 0, 20), Some((2, 0.0, 3)));
        assert_eq!(numbers(&routes, 20, 0), Some((9, 0.0, 2)));
        assert_eq!(routes.link(1, Direction::Back), Ok(None));
        assert_eq!(routes.link(1, Direction::Forth), Ok(before));

        let slow = Link { latency: ms(20), jitter: ms(1), packet_loss: 0.5 };
        let slower = Change { edge: 2, direction: Direction::Both, link: Some(slow) };
        routes.change(&[cut(0, Direction::Forth), slower]).unwrap();
        assert_eq!(numbers(&routes, 0, 20), Some((20, 0.5, 2)));
        assert_eq!(numbers(&routes, 20, 0), Some((20, 0.5, 2)));

        routes.change(&[cut(2, Direction::Both)]).unwrap();
        assert_eq!(path(&routes, 0, 20), None);
        assert_eq!(hops(&routes, 0, 20), []);
        assert_eq!(routes.shortest_latency(), None);

        let back = |edge| Change { edge, direction: Direction::Both, link: before };
        routes.change(&[back(0), back(1)]).unwrap();
        assert_eq!(numbers(&routes, 20, 0), Some((2, 0.0, 3)));
    }

    #[test]
    fn impossible_changes_are_refused_and_change_nothing() {
        let text = nodes(2) + &edge(0, 0, 1, "") + &edge(0, 10, 1, "");
        let mut routes = Routes::new(&graph(&text), [0, 10], true);
        let link = routes.link(1, Direction::Both).unwrap();
        let good = Change { edge: 1, direction: Direction::Both, link: None };
        let bad = |edge, direction, change: fn(&mut Link)| {
            let mut link = link;
            link.as_mut().map(change);
            Change { edge, direction, link }
        };
        for (bad, error) in [
            (bad(2, Direction::Both, |_| ()), ChangeError::NoEdge(2)),
            (bad(0, Direction::Back, |_| ()), ChangeError::OneWay(0)),
            (bad(1, Direction::Forth, |link| link.latency = ms(0)), ChangeError::Latency(1)),
            (bad(1, Direction::Forth, |link| link.packet_loss = 1.1), ChangeError::Loss(1)),
            (bad(1, Direction::Forth, |link| link.packet_loss = f64::NAN), ChangeError::Loss(1)),
        ] {
            assert_eq!(routes.change(&[good, bad]), Err(error), "{error}");
        }
        assert_eq!(numbers(&routes, 0, 10), Some((1, 0.0, 2)));
    }
}
