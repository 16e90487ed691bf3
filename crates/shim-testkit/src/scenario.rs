//! Scenarios for `shim run`, made of guests: one host for each.
//!
//! Hosts in, a configuration and a template of their folders out. Always true: any word and any text survive the
//! way through the file; the template is a folder that the data directory begins with. Running it is the tests'
//! business, but for a single command ([`wall_statistics`]).

use std::fmt::Write;
use std::fs;
use std::path::Path;

use crate::built::built;
use crate::compare::Folder;
use crate::run::{Run, Status};

/// A process of a host.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Process {
    /// The program and its arguments.
    pub command: Vec<String>,
    /// Variables of its environment; there are no others.
    pub environment: Vec<(String, String)>,
}

/// A host; its processes start one after another, [`Host::APART`] each.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Host {
    /// What it is called.
    pub name: String,
    /// What it runs.
    pub processes: Vec<Process>,
    /// What is in its folder before that.
    pub files: Vec<(String, Vec<u8>)>,
}

impl Host {
    /// Simulated seconds between the starts of two processes.
    pub const APART: usize = 600;

    /// A name that a host may have, made of any words.
    pub fn name_of(words: &str) -> String {
        let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
        words.chars().map(plain).collect::<String>().trim_matches('-').to_owned()
    }
}

/// Text as a scalar of YAML, on one line.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            c if c.is_ascii_control() => _ = write!(quoted, "\\x{:02x}", u32::from(c)),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// A configuration with these hosts.
pub fn yaml(hosts: &[Host]) -> String {
    let longest = hosts.iter().map(|host| host.processes.len()).max().unwrap_or_default();
    let mut yaml = format!(
        "general: {{stop_time: {} s}}\nnetwork: {{graph: {{type: 1_gbit_switch}}}}\nhosts:\n",
        (longest + 1) * Host::APART
    );
    for host in hosts {
        _ = writeln!(yaml, "  {}:\n    network_node_id: 0\n    processes:", quoted(&host.name));
        for (number, process) in host.processes.iter().enumerate() {
            let (program, arguments) = process.command.split_first().expect("it has a program");
            let arguments: Vec<String> = arguments.iter().map(|word| quoted(word)).collect();
            let pair = |(name, value): &(String, String)| format!("{name}: {}", quoted(value));
            let environment: Vec<String> = process.environment.iter().map(pair).collect();
            _ = writeln!(
                yaml,
                "    - path: {}\n      args: [{}]\n      environment: {{{}}}\n      start_time: {} s",
                quoted(program),
                arguments.join(", "),
                environment.join(", "),
                number * Host::APART
            );
        }
    }
    yaml
}

/// Write the template of the hosts' folders into `folder`, which is new.
pub fn write_template(folder: &Path, hosts: &[Host]) {
    for host in hosts {
        let own = folder.join("hosts").join(&host.name);
        fs::create_dir_all(&own).expect("the folder is the test's");
        for (name, content) in &host.files {
            let path = own.join(name);
            fs::create_dir_all(path.parent().expect("it is below"))
                .expect("the folder is the test's");
            fs::write(path, content).expect("the folder is the test's");
        }
    }
}

/// Run a command as the only process of a scenario, with these options of `shim run`: its `wall-stats.json`.
#[track_caller]
pub fn wall_statistics(command: &[&str], options: &[&str]) -> String {
    let folder = Folder::new();
    let words: Vec<String> = command[1..].iter().map(|word| format!("{word:?}")).collect();
    let text = format!(
        "general: {{ stop_time: 1h }}\n\
         network: {{ graph: {{ type: 1_gbit_switch }} }}\n\
         hosts:\n  host:\n    network_node_id: 0\n    processes:\n    - path: {:?}\n      args: [{}]\n",
        command[0],
        words.join(", ")
    );
    fs::write(folder.path().join("shim.yaml"), text).expect("the folder is ours");
    let run = Run::native(&built().command).args(["run", "shim.yaml"]).args(options);
    let outcome = run.folder(folder.path()).finish();
    assert_eq!(outcome.status, Status::Code(0), "{outcome:?}");
    fs::read_to_string(folder.path().join("shim.data/wall-stats.json")).expect("it is written")
}
