//! The graph of the network: what it is, and reading it from GML.
//!
//! GML in (by `gml.rs`), a [`Graph`] out, or every reason why not. Always true of a graph: ids are unique
//! and edges join nodes that exist, latencies are more than zero, losses lie between 0 and 1. Where the
//! text comes from is in `source.rs`, whether hosts can reach each other in `reach.rs`; what packets do
//! on the way is the fabric's. Keys that mean nothing are ignored, as in Shadow, but one that
//! looks like a misspelt key is warned about.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use shim_abi::SimDuration;

use super::gml::{self, Field, Part, Position, Record, Value};
use super::problem::{Problem, Report, nearest};
use super::source::Locator;
use super::units;

/// Places where hosts can be, and the ways between them.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Graph {
    /// Whether edges lead one way only.
    pub is_directed: bool,
    /// The nodes, sorted by id.
    pub nodes: Vec<GraphNode>,
    /// The edges, in the order of the text.
    pub edges: Vec<GraphEdge>,
}

/// A place where hosts can be.
#[derive(Clone, PartialEq, Debug)]
pub struct GraphNode {
    /// Its number.
    pub id: u32,
    /// What people call it.
    pub label: Option<String>,
    /// What each of its hosts can receive, in bits per second, if the host does not say.
    pub bandwidth_down: Option<u64>,
    /// What each of its hosts can send, in bits per second, if the host does not say.
    pub bandwidth_up: Option<u64>,
}

/// A way from a node to a node, both ways if the graph is not directed.
#[derive(Clone, PartialEq, Debug)]
pub struct GraphEdge {
    /// Id of the node where it begins.
    pub source: u32,
    /// Id of the node where it ends; may be `source`: the way between two hosts of one node.
    pub target: u32,
    /// What people call it.
    pub label: Option<String>,
    /// How long packets take.
    pub latency: SimDuration,
    /// How much that varies.
    pub jitter: SimDuration,
    /// The share of packets that are lost, from 0 to 1.
    pub packet_loss: f64,
}

impl Graph {
    /// The node with this id.
    pub fn node(&self, id: u32) -> Option<&GraphNode> {
        let index = self.nodes.binary_search_by_key(&id, |node| node.id).ok()?;
        self.nodes.get(index)
    }

    /// The positions of the edges from a node to a node, whichever way they are written if edges lead both ways.
    pub fn edges_between(&self, source: u32, target: u32) -> impl Iterator<Item = usize> {
        let joins = move |edge: &GraphEdge| {
            (edge.source, edge.target) == (source, target)
                || !self.is_directed && (edge.target, edge.source) == (source, target)
        };
        self.edges.iter().enumerate().filter(move |(_, edge)| joins(edge)).map(|(index, _)| index)
    }

    /// The graph of GML text; `file` only names the text in problems.
    pub fn from_gml(file: &Path, text: &str) -> Result<Graph, Vec<Problem>> {
        let mut report = Report::default();
        match read(text, &Locator::of_file(file.into()), &mut report) {
            Some(graph) => Ok(graph),
            None => Err(report.into_problems()),
        }
    }
}

/// The graph `1_gbit_switch`: one node, one millisecond, no loss.
pub(super) fn one_gbit_switch() -> Graph {
    const GBIT: u64 = 1_000_000_000;
    Graph {
        is_directed: false,
        nodes: vec![GraphNode {
            id: 0,
            label: None,
            bandwidth_down: Some(GBIT),
            bandwidth_up: Some(GBIT),
        }],
        edges: vec![GraphEdge {
            source: 0,
            target: 0,
            label: None,
            latency: SimDuration::from_ns(1_000_000),
            jitter: SimDuration::ZERO,
            packet_loss: 0.0,
        }],
    }
}

/// Keys of nodes and edges that have a meaning, or had one in older versions of Shadow.
const NODE_KEYS: [&str; 4] = ["id", "label", "host_bandwidth_down", "host_bandwidth_up"];
const EDGE_KEYS: [&str; 6] = ["source", "target", "label", "latency", "jitter", "packet_loss"];
const SILENT: [&str; 4] = ["ip_address", "ip_addr", "country_code", "city_code"];
const RENAMED: [(&str, &str); 4] = [
    ("bandwidth_down", "host_bandwidth_down"),
    ("bandwidth_up", "host_bandwidth_up"),
    ("packetloss", "packet_loss"),
    ("weight", "latency"),
];

/// Read `text`; what is wrong with it is reported.
pub(super) fn read(text: &str, locator: &Locator<'_>, report: &mut Report) -> Option<Graph> {
    let before = report.count();
    let mut reader = GraphReader {
        locator,
        report,
        warned: BTreeSet::new(),
        is_directed: None,
        nodes: BTreeMap::new(),
        edges: Vec::new(),
    };
    if let Err((position, message)) = gml::parse(text, |part| reader.take(part)) {
        locator.problem(position, &format!("this is not GML: {message}"), report);
        return None;
    }
    let graph = reader.finish();
    // Of a graph with problems nothing is concluded.
    (report.count() == before).then_some(graph)
}

struct GraphReader<'r> {
    locator: &'r Locator<'r>,
    report: &'r mut Report,
    warned: BTreeSet<String>,
    is_directed: Option<bool>,
    nodes: BTreeMap<u32, GraphNode>,
    /// Edges with the places of their source and target, whose nodes may come later.
    edges: Vec<(GraphEdge, [Position; 2])>,
}

impl GraphReader<'_> {
    fn take(&mut self, part: Part) {
        match part {
            Part::Field(field) if field.key == "directed" => {
                if self.is_directed.is_some() {
                    self.problem(field.position, "the key 'directed' is given twice");
                }
                if !matches!(field.value, Value::Integer(0 | 1)) {
                    self.problem(field.position, "directed must be 0 or 1");
                }
                self.is_directed = Some(field.value == Value::Integer(1));
            }
            Part::Field(_) => {}
            Part::Node(record) => {
                self.look_for_typing_errors(&record, "node", &NODE_KEYS);
                let Some(node) = self.node(&record) else { return };
                let id = node.id;
                if self.nodes.insert(id, node).is_some() {
                    let at = self.position(&record, "id");
                    self.problem(at, &format!("there is another node with the id {id}"));
                }
            }
            Part::Edge(record) => {
                self.look_for_typing_errors(&record, "edge", &EDGE_KEYS);
                if let Some(edge) = self.edge(&record) {
                    let places = ["source", "target"].map(|key| self.position(&record, key));
                    self.edges.push((edge, places));
                }
            }
        }
    }

    fn finish(mut self) -> Graph {
        if self.nodes.is_empty() {
            self.problem(Position { line: 1, column: 1 }, "the graph has no node");
        }
        let edges = std::mem::take(&mut self.edges);
        for (edge, places) in &edges {
            let ends = [("source", edge.source), ("target", edge.target)];
            for ((key, id), place) in ends.into_iter().zip(places) {
                if !self.nodes.contains_key(&id) {
                    self.problem(
                        *place,
                        &format!("the edge's {key} is {id}, but no node has this id"),
                    );
                }
            }
        }
        Graph {
            is_directed: self.is_directed.unwrap_or(false),
            nodes: self.nodes.into_values().collect(),
            edges: edges.into_iter().map(|(edge, _)| edge).collect(),
        }
    }

    /// Where the value of `key` stands, or the record if it has none.
    fn position(&self, record: &Record, key: &str) -> Position {
        let field = record.fields.iter().find(|field| field.key == key);
        field.map_or(record.position, |field| field.position)
    }

    fn node(&mut self, record: &Record) -> Option<GraphNode> {
        let id = self.id(record, "node", "id");
        let label = self.label(record);
        let bandwidth_down = self.bandwidth(record, "host_bandwidth_down");
        let bandwidth_up = self.bandwidth(record, "host_bandwidth_up");
        Some(GraphNode { id: id?, label, bandwidth_down, bandwidth_up })
    }

    fn edge(&mut self, record: &Record) -> Option<GraphEdge> {
        let source = self.id(record, "edge", "source");
        let target = self.id(record, "edge", "target");
        let latency = self.time(record, "latency");
        if self.field(&record.fields, "latency").is_none() {
            self.problem(record.position, "the edge has no latency, such as latency \"10 ms\"");
        }
        if latency == Some(SimDuration::ZERO) {
            let at = self.position(record, "latency");
            self.problem(at, "the latency must be more than 0");
        }
        let jitter = self.time(record, "jitter").unwrap_or(SimDuration::ZERO);
        let packet_loss = match self.field(&record.fields, "packet_loss") {
            None => 0.0,
            Some(Field { value: Value::Integer(loss @ (0 | 1)), .. }) => *loss as f64,
            Some(Field { value: Value::Real(loss), .. }) if (0.0..=1.0).contains(loss) => *loss,
            Some(field) => {
                self.problem(
                    field.position,
                    "packet_loss must be a number from 0 to 1, such as 0.01",
                );
                0.0
            }
        };
        let label = self.label(record);
        Some(GraphEdge {
            source: source?,
            target: target?,
            label,
            latency: latency?,
            jitter,
            packet_loss,
        })
    }

    /// The field `key`, which may stand there once.
    fn field<'f>(&mut self, fields: &'f [Field], key: &str) -> Option<&'f Field> {
        let mut found = fields.iter().filter(|field| field.key == key);
        let first = found.next();
        if let Some(second) = found.next() {
            self.problem(second.position, &format!("the key '{key}' is given twice"));
        }
        first
    }

    fn id(&mut self, record: &Record, what: &str, key: &str) -> Option<u32> {
        let Some(field) = self.field(&record.fields, key) else {
            self.problem(record.position, &format!("the {what} has no {key}, such as {key} 0"));
            return None;
        };
        let id = match field.value {
            Value::Integer(id) => u32::try_from(id).ok(),
            _ => None,
        };
        if id.is_none() {
            let message =
                format!("the {what}'s {key} must be a whole number from 0 to {}", u32::MAX);
            self.problem(field.position, &message);
        }
        id
    }

    fn label(&mut self, record: &Record) -> Option<String> {
        match &self.field(&record.fields, "label")?.value {
            Value::Text(text) => Some(text.clone()),
            Value::Integer(number) => Some(number.to_string()),
            Value::Real(number) => Some(number.to_string()),
            Value::List => None,
        }
    }

    fn bandwidth(&mut self, record: &Record, key: &str) -> Option<u64> {
        let bits = self.quantity(record, key, "100 Mbit", units::bandwidth)?;
        if bits == 0 {
            let at = self.position(record, key);
            self.problem(at, &format!("{key} is 0, but then nothing ever arrives"));
        }
        Some(bits)
    }

    fn time(&mut self, record: &Record, key: &str) -> Option<SimDuration> {
        self.quantity(record, key, "10 ms", units::time)
    }

    fn quantity<T>(
        &mut self,
        record: &Record,
        key: &str,
        example: &str,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        let field = self.field(&record.fields, key)?;
        let outcome = match &field.value {
            Value::Text(text) => read(text).map_err(|reason| format!(" ({reason})")),
            _ => Err(String::new()),
        };
        match outcome {
            Ok(value) => Some(value),
            Err(reason) => {
                let position = field.position;
                self.problem(
                    position,
                    &format!("{key} must be a text in quotes such as \"{example}\"{reason}"),
                );
                None
            }
        }
    }

    fn look_for_typing_errors(&mut self, record: &Record, what: &str, known: &[&'static str]) {
        /// Shorter words look like each other without being meant.
        const SHORTEST: usize = 5;
        for field in &record.fields {
            let key = field.key.as_str();
            if key.len() < SHORTEST || known.contains(&key) || SILENT.contains(&key) {
                continue;
            }
            let meant = RENAMED
                .iter()
                .find(|(old, new)| *old == key && known.contains(new))
                .map(|(_, new)| *new)
                .or_else(|| nearest(key, known.iter().copied()));
            if let Some(meant) = meant
                && self.warned.insert(key.to_owned())
            {
                let message = format!(
                    "the key '{key}' of a {what} means nothing and is ignored; did you mean '{meant}'?"
                );
                self.locator.warning(field.position, &message, self.report);
            }
        }
    }

    fn problem(&mut self, position: Position, message: &str) {
        self.locator.problem(position, message, self.report);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Graph, Vec<String>> {
        Graph::from_gml(Path::new("g"), text)
            .map_err(|problems| problems.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn graphs_are_read() {
        let graph = read(
            "graph [\n directed 1\n node [ id 7 label \"x\" host_bandwidth_up \"1 Mbit\" ]\n node [ id 2 ]\n edge [ source 7 target 2 latency \"5 ms\" jitter \"1 ms\" packet_loss 0.5 ]\n edge [ source 2 target 7 latency \"1 s\" packet_loss 0 ]\n]",
        )
        .unwrap();
        assert!(graph.is_directed);
        assert_eq!(graph.nodes.iter().map(|node| node.id).collect::<Vec<_>>(), [2, 7]);
        assert_eq!(graph.node(7).unwrap().bandwidth_up, Some(1_000_000));
        assert_eq!(graph.node(7).unwrap().bandwidth_down, None);
        assert_eq!(graph.node(3), None);
        assert_eq!(graph.edges[0].latency.as_ns(), 5_000_000);
        assert_eq!(graph.edges[0].jitter.as_ns(), 1_000_000);
        assert_eq!(graph.edges[0].packet_loss, 0.5);
        assert_eq!(graph.edges[1].packet_loss, 0.0);
    }

    #[test]
    fn what_shadow_documents_of_its_switch_is_our_switch() {
        let text = "graph [\n directed 0\n node [\n id 0\n host_bandwidth_up \"1 Gbit\"\n host_bandwidth_down \"1 Gbit\"\n ]\n edge [\n source 0\n target 0\n latency \"1 ms\"\n packet_loss 0.0\n ]\n]";
        assert_eq!(read(text).unwrap(), one_gbit_switch());
    }

    #[test]
    fn every_problem_is_told_at_its_place() {
        let problems = read(
            "graph [\n directed 2\n node [ id 0 ]\n node [ id 0 ]\n node [ label \"x\" ]\n edge [ source 0 target 9 latency \"0 ms\" ]\n edge [ source 0 target 0 latency 5 packet_loss 1.5 ]\n edge [ source 0 target 0 ]\n edge [ source -1 target 0 latency \"1 ms\" latency \"2 ms\" ]\n node [ id 1 host_bandwidth_up \"fast\" ]\n]",
        )
        .unwrap_err();
        let expected = [
            "g:2:11: directed",
            "g:4:12: there is another node",
            "g:5:2: the node has no id",
            "g:6:25: the edge's target is 9",
            "g:6:35: the latency must be more",
            "g:7:35: latency must be a text",
            "g:7:49: packet_loss",
            "g:8:2: the edge has no latency",
            "g:9:16: the edge's source",
            "g:9:51: the key 'latency' is given twice",
            "g:10:32: host_bandwidth_up must be",
        ];
        assert_eq!(problems.len(), expected.len(), "{problems:#?}");
        for (problem, expected) in problems.iter().zip(expected) {
            assert!(problem.starts_with(expected), "{problem} / {expected}");
        }
    }
}
