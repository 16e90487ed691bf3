//! Whether the hosts of a graph can reach each other.
//!
//! A graph and the nodes that hosts use in, one sentence about the first two that are not joined out.
//! Always true: nodes that no host uses may be cut off. Routes and latencies are not here: they are the
//! fabric's.

use std::collections::BTreeMap;

use petgraph::algo::{has_path_connecting, kosaraju_scc};
use petgraph::graph::{DiGraph, NodeIndex};

use super::graph::Graph;

/// What one needs to know about the use of a node.
pub(super) struct Use {
    /// One of the hosts there.
    pub(super) host: String,
    /// How many there are.
    pub(super) count: usize,
}

/// Why packets between hosts would not arrive, if so.
pub(super) fn objection(
    graph: &Graph,
    used: &BTreeMap<u32, Use>,
    use_shortest_path: bool,
) -> Option<String> {
    let mut edges: BTreeMap<(u32, u32), usize> = BTreeMap::new();
    for edge in &graph.edges {
        *edges.entry((edge.source, edge.target)).or_default() += 1;
        if !graph.is_directed && edge.source != edge.target {
            *edges.entry((edge.target, edge.source)).or_default() += 1;
        }
    }
    own_edge(&edges, used).or_else(|| {
        if use_shortest_path {
            unreachable_pair(graph, &edges, used)
        } else {
            indirect_pair(&edges, used)
        }
    })
}

/// Two hosts of one node need the one edge from the node to itself.
fn own_edge(edges: &BTreeMap<(u32, u32), usize>, used: &BTreeMap<u32, Use>) -> Option<String> {
    used.iter().find_map(|(id, usage)| {
        let Use { host, count } = usage;
        match edges.get(&(*id, *id)) {
            None if *count > 1 => Some(format!(
                "{count} hosts ('{host}' and others) are at node {id}, which has no edge to itself: \
                 packets between them cannot pass"
            )),
            Some(2..) => Some(format!("node {id} has more than one edge to itself")),
            _ => None,
        }
    })
}

fn unreachable_pair(
    graph: &Graph,
    edges: &BTreeMap<(u32, u32), usize>,
    used: &BTreeMap<u32, Use>,
) -> Option<String> {
    let mut net: DiGraph<u32, ()> = DiGraph::with_capacity(graph.nodes.len(), edges.len());
    let index: BTreeMap<u32, NodeIndex> =
        graph.nodes.iter().map(|node| (node.id, net.add_node(node.id))).collect();
    for (source, target) in edges.keys() {
        net.add_edge(*index.get(source)?, *index.get(target)?, ());
    }
    let mut component = BTreeMap::new();
    for (number, nodes) in kosaraju_scc(&net).iter().enumerate() {
        component.extend(nodes.iter().map(|node| (net[*node], number)));
    }
    let mut ids = used.iter();
    let (first, first_use) = ids.next()?;
    ids.find(|(id, _)| component.get(id) != component.get(first)).and_then(|(id, other_use)| {
        let (from, to) = (*index.get(first)?, *index.get(id)?);
        let is_joined = has_path_connecting(&net, from, to, None);
        let (from, to) = if is_joined { (id, first) } else { (first, id) };
        let (a, b) = if is_joined { (other_use, first_use) } else { (first_use, other_use) };
        Some(format!(
            "no path leads from node {from} (host '{}') to node {to} (host '{}')",
            a.host, b.host
        ))
    })
}

fn indirect_pair(edges: &BTreeMap<(u32, u32), usize>, used: &BTreeMap<u32, Use>) -> Option<String> {
    used.keys().find_map(|from| {
        used.keys().filter(|to| from != *to).find_map(|to| match edges.get(&(*from, *to)) {
            None => Some(format!(
                "no edge leads from node {from} to node {to}, which use_shortest_path: false needs"
            )),
            Some(1) => None,
            Some(_) => Some(format!(
                "more than one edge leads from node {from} to node {to}, but use_shortest_path: \
                 false allows one"
            )),
        })
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn check(body: &str, nodes: &[u32], use_shortest_path: bool) -> Option<String> {
        let mut text = "graph [ ".to_owned() + body;
        for id in 0..4 {
            text += &format!(" node [ id {id} ]");
        }
        let graph = Graph::from_gml(Path::new("g"), &(text + " ]")).unwrap();
        let mut used = BTreeMap::new();
        for id in nodes {
            used.entry(*id).or_insert_with(|| Use { host: format!("h{id}"), count: 0 }).count += 1;
        }
        objection(&graph, &used, use_shortest_path)
    }

    fn edge(source: u32, target: u32) -> String {
        format!("edge [ source {source} target {target} latency \"1 ms\" ] ")
    }

    #[test]
    fn used_nodes_must_reach_each_other() {
        let chain = edge(0, 1) + &edge(1, 2);
        assert_eq!(check(&chain, &[0, 2], true), None);
        assert_eq!(check(&chain, &[3], true), None);
        let why = check(&chain, &[0, 3], true).unwrap();
        assert!(why.contains("from node 0 (host 'h0') to node 3 (host 'h3')"), "{why}");
        let why = check(&format!("directed 1 {chain}"), &[0, 2], true).unwrap();
        assert!(why.contains("from node 2 (host 'h2') to node 0 (host 'h0')"), "{why}");
        let ring = format!("directed 1 {chain}{}", edge(2, 0));
        assert_eq!(check(&ring, &[0, 1, 2], true), None);
    }

    #[test]
    fn hosts_of_one_node_need_its_edge_to_itself() {
        assert!(check(&edge(0, 1), &[0, 0], true).unwrap().contains("itself"));
        assert_eq!(check(&edge(0, 0), &[0, 0], true), None);
        assert!(check(&(edge(0, 0) + &edge(0, 0)), &[0, 0], true).unwrap().contains("more than"));
    }

    #[test]
    fn direct_paths_are_single_edges() {
        let chain = edge(0, 1) + &edge(1, 2);
        assert!(check(&chain, &[0, 2], false).unwrap().contains("no edge leads from node 0"));
        assert_eq!(check(&chain, &[0, 1], false), None);
        let double = edge(0, 1) + &edge(1, 0);
        assert!(check(&double, &[0, 1], false).unwrap().contains("more than one"));
        assert_eq!(check(&format!("directed 1 {double}"), &[0, 1], false), None);
    }
}
