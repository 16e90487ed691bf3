//! Scenarios of `shim run` with a network: nodes, ways between them, hosts, and what these run.
//!
//! Words in, a configuration, or what running it has left, out. Always true: a run has a folder of its own, and one in which
//! something is not as expected fails with everything that was printed. What is expected of a network is the tests'
//! business; hosts that have nothing to do with each other are [`crate::scenario`]'s.

use std::fmt::Write;
use std::fs;
use std::time::Duration;

use crate::built::built;
use crate::{Folder, Outcome, Run, Status};

/// How long a run may take in wall time.
const LIMIT: Duration = Duration::from_secs(580);

/// A scenario with a network and hosts.
pub struct Scenario {
    /// What its randomness begins with.
    pub seed: u32,
    /// Lines of GML, between the brackets of `graph`.
    graph: String,
    /// Lines of YAML.
    hosts: String,
}

impl Default for Scenario {
    fn default() -> Scenario {
        Scenario::new()
    }
}

impl Scenario {
    /// Without anything.
    pub fn new() -> Scenario {
        Scenario { seed: 1, graph: String::new(), hosts: String::new() }
    }
    /// A node whose hosts send and receive at `rate`; they are `latency` away from each other.
    pub fn node(mut self, id: usize, rate: &str, latency: &str) -> Scenario {
        _ = writeln!(
            self.graph,
            "node [ id {id} host_bandwidth_up \"{rate}\" host_bandwidth_down \"{rate}\" ]"
        );
        self.edge(id, id, &format!("latency \"{latency}\""))
    }
    /// A way between two nodes, as GML says it.
    pub fn edge(mut self, from: usize, to: usize, what: &str) -> Scenario {
        _ = writeln!(self.graph, "edge [ source {from} target {to} {what} ]");
        self
    }
    /// A host of a node.
    pub fn host(mut self, name: &str, node: usize) -> Scenario {
        _ = writeln!(self.hosts, "  {name}:\n    network_node_id: {node}\n    processes:");
        self
    }
    /// The last host runs this from a second on, and its state at the end is such.
    pub fn process(
        mut self,
        start: u32,
        program: &str,
        arguments: &[&str],
        state: &str,
    ) -> Scenario {
        _ = writeln!(
            self.hosts,
            "    - path: {program}\n      args: {arguments:?}\n      start_time: {start} s\n      expected_final_state: {state}"
        );
        self
    }
    /// The last host runs this.
    pub fn runs(self, start: u32, program: &str, arguments: &[&str]) -> Scenario {
        self.process(start, program, arguments, "{exited: 0}")
    }
    /// The last host runs this, which fails.
    pub fn fails(self, start: u32, program: &str, arguments: &[&str], status: u8) -> Scenario {
        self.process(start, program, arguments, &format!("{{exited: {status}}}"))
    }
    /// The last host runs this, which does not end.
    pub fn serves(self, program: &str, arguments: &[&str]) -> Scenario {
        self.process(0, program, arguments, "running")
    }

    /// All of it.
    pub fn yaml(&self) -> String {
        let graph: String = self.graph.lines().map(|line| format!("        {line}\n")).collect();
        format!(
            "general: {{stop_time: 1 h, seed: {}}}\nnetwork:\n  graph:\n    type: gml\n    inline: |\n      graph [\n        directed 0\n{graph}      ]\nhosts:\n{}",
            self.seed, self.hosts
        )
    }

    /// Run it in a folder of its own; everything is to be as expected.
    #[track_caller]
    pub fn run(&self) -> Data {
        let folder = Folder::with(&[("shim.yaml", self.yaml().as_bytes())]);
        run_in(&folder, &[]);
        Data { folder }
    }
}

/// Run what is in a folder.
#[track_caller]
pub fn run_in(folder: &Folder, arguments: &[&str]) -> Outcome {
    let run = Run::native(&built().command).args(["run", "shim.yaml"]).args(arguments);
    let outcome = run.folder(folder.path()).limit(LIMIT).finish();
    if outcome.status != Status::Code(0) {
        let hosts = folder.path().join("shim.data/hosts");
        let mut said = String::new();
        for host in fs::read_dir(&hosts).into_iter().flatten().flatten() {
            for file in fs::read_dir(host.path()).into_iter().flatten().flatten() {
                let text = fs::read(file.path()).unwrap_or_default();
                let text = String::from_utf8_lossy(&text[..text.len().min(2000)]).into_owned();
                _ = writeln!(said, "{}:\n{text}", file.path().display());
            }
        }
        panic!("{outcome:?}\n{said}");
    }
    outcome
}

/// What a run has left.
pub struct Data {
    /// Where.
    pub folder: Folder,
}

impl Data {
    /// What the n-th process of a host printed.
    #[track_caller]
    pub fn said(&self, host: &str, program: &str, n: u32) -> String {
        let file = format!("shim.data/hosts/{host}/{program}.{}.stdout", 1000 + n);
        let path = self.folder.path().join(file);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }
}

/// The numbers that follow `word` in a text.
pub fn numbers_after(text: &str, word: &str) -> Vec<f64> {
    let rest = text.split(word).skip(1);
    let is_of_number = |c: char| c.is_ascii_digit() || c == '.';
    rest.filter_map(|it| it.split(|c| !is_of_number(c)).next()?.parse().ok()).collect()
}
