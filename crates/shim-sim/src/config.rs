//! Scenarios: reads a configuration of Shadow, with our additions, for an engine to run.
//!
//! The path of a YAML file and what the command line changes in, a [`Scenario`] and warnings out, or every
//! problem with its line. Always true: nothing is half understood. A key is used, or its having no effect is told,
//! or it is a problem; and a scenario can be run as it is, without another look at a file. What a run
//! does with it is not here.
//!
//! The rooms, in the order in which a configuration walks through them:
//!
//! 1. `document`, `schema`: YAML to a tree with places (anchors, merge keys); `overrides`: the command line's words in it;
//! 2. `keys`: which keys there are, as tables; `reader`: typed values from nodes; `units`: times, sizes,
//!    bandwidths;
//! 3. `settings`: what is said once; `source`, `gml`, `graph`: the network's graph; `hosts`, `processes`,
//!    `programs`: what runs where; `folders`: which folders are a host's own; `faults`: what happens to them;
//! 4. `resolve`: what needs all of it: `names` (and addresses), `reach`;
//! 5. [`scenario`]: the result; `problem`: what is told on the way.
//!
//! # What is written in a file
//!
//! Shadow's keys mean what its documentation says. Under keys of our own, all optional:
//!
//! ```yaml
//! shim:
//!   start_time: 2000-01-01T00:00:00Z   # calendar time at the start (RFC 3339)
//!   syscall_latency: 1 us              # cost of a system call that need not wait
//!   vdso_latency: 100 ns               # cost of reading a clock
//!   emulate_tsc: auto                  # auto | always | never: simulate the time stamp counter
//!   patching: true                     # patch the code that makes system calls, where that can be done
//!   kernel_in_guest: true              # guests call their host's kernel themselves where it can answer at once
//!   strict: false                      # a run that cannot be repeated is an error
//!   watchdog: 1 s                      # wall time without a call after which a guest is preempted; null: never
//!   watchdog_quantum: 10 ms            # simulated time that it is charged then
//!   faults:                            # what happens while it runs; see docs/faults.md
//!   - {at: 10 s, link: {source: 0, target: 1}, latency: 50 ms, jitter: 1 ms, packet_loss: 0.1, for: 5 s}
//!   - {at: 20 s, cut: {source: 0, target: 1}, for: 5 s}
//!   - {at: 30 s, partition: [[alice, bob], [carol]], for: 10 s}
//!   - {at: 40 s, crash: alice, restart_after: 5 s}
//!   - {at: 50 s, kill: {host: bob, process: 0, signal: SIGKILL}, restart_after: 2 s}
//!   - {at: 60 s, jump: {host: bob, by: -3 s}}
//! host_option_defaults:
//!   shim:
//!     private: [/tmp, /run]              # folders that are empty for each host, and its own
//!     overlay: [/etc]                    # folders of which each host has a copy of its own, so to say
//! hosts:
//!   alice:
//!     shim:
//!       cpus: 1
//!       memory: 4 GiB
//!       aliases: [www, db.example.org]   # more names for the host
//!       clock:
//!         offset: -5 s                   # its clocks differ by this
//!         rate_ppm: 50                   # and go faster by these millionths
//!         jumps: [{at: 1 h, by: 2 s}]    # and change suddenly
//!       private: []                      # instead of the defaults'; so is overlay
//! ```

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

mod document;
mod faults;
mod folders;
mod gml;
mod graph;
mod hosts;
mod keys;
mod names;
mod overrides;
mod problem;
mod processes;
mod programs;
mod reach;
mod reader;
mod resolve;
pub mod scenario;
mod schema;
mod settings;
mod source;
mod units;

pub use graph::{Graph, GraphEdge, GraphNode};
pub use overrides::Overrides;
pub use problem::{MAX_PROBLEMS, Place, Problem, Warning};
pub use scenario::Scenario;

use document::Node;
use folders::Folders;
use problem::Report;
use processes::ProcessReader;
use programs::Surroundings;
use reader::Section;
use settings::HostOptions;

/// Read the configuration at `path`, or on standard input if that is `-`.
///
/// Problems come in the order of the file, at most [`MAX_PROBLEMS`] of them.
pub fn load(path: &Path, overrides: &Overrides) -> Result<(Scenario, Vec<Warning>), Vec<Problem>> {
    let is_input = path == Path::new("-");
    let read = if is_input {
        source::read_limited(std::io::stdin())
    } else {
        File::open(path).map_err(|error| error.to_string()).and_then(source::read_limited)
    };
    let path = if is_input { Path::new("<stdin>") } else { path };
    match read.and_then(source::text_of) {
        Ok(text) => parse(path, &text, overrides),
        Err(reason) => {
            let message = format!("the configuration cannot be read: {reason}");
            Err(vec![Problem { place: Place::File(path.into()), message }])
        }
    }
}

/// Read the configuration `text`; `path` only names it in problems and warnings.
pub fn parse(
    path: &Path,
    text: &str,
    overrides: &Overrides,
) -> Result<(Scenario, Vec<Warning>), Vec<Problem>> {
    let mut report = Report::default();
    let mut surroundings = Surroundings::of_process();
    let scenario = read(&path.into(), text, overrides, &mut surroundings, &mut report);
    match scenario {
        Some(scenario) if !report.is_bad() => Ok((scenario, report.into_warnings())),
        _ => Err(report.into_problems()),
    }
}

/// Read the configuration that a run has left behind ([`crate::output::processed`]): what it names need not be here any
/// more.
pub fn parse_record(path: &Path, text: &str) -> Result<Scenario, Vec<Problem>> {
    let mut report = Report::default();
    let overrides =
        Overrides { template_directory: Some("null".to_owned()), ..Overrides::default() };
    let mut surroundings = Surroundings::of_record();
    let scenario = read(&path.into(), text, &overrides, &mut surroundings, &mut report);
    match scenario {
        Some(scenario) if !report.is_bad() => Ok(scenario),
        _ => Err(report.into_problems()),
    }
}

fn read(
    file: &Arc<Path>,
    text: &str,
    overrides: &Overrides,
    surroundings: &mut Surroundings,
    report: &mut Report,
) -> Option<Scenario> {
    let root = overrides.apply(document::parse(file, text, report)?);
    let nothing = Node::null(root.place.clone());
    let root = open_root(&root, report)?;
    let network = match root.entry("network") {
        Some(_) => settings::section(&root, "network", &nothing, &keys::NETWORK, report),
        None => {
            let message = "the section network is missing; the simplest is \
                           'network: {graph: {type: 1_gbit_switch}}'";
            report.problem(root.place(), message);
            None
        }
    };
    let settings = settings::read(&root, network.as_ref(), surroundings, report);
    let graph = network.as_ref().and_then(|network| {
        let Some(entry) = network.entry("graph") else {
            let message =
                "network.graph is missing; the simplest is 'graph: {type: 1_gbit_switch}'";
            report.problem(network.place(), message);
            return None;
        };
        let section =
            Section::open(&entry.node, &entry.place, "network.graph", &keys::GRAPH, report)?;
        let graph = source::read(&section, text, surroundings, report)?;
        Some((graph, entry.place.clone()))
    });
    let defaults = settings::section(
        &root,
        "host_option_defaults",
        &nothing,
        &keys::HOST_OPTION_DEFAULTS,
        report,
    );
    let folders = defaults.as_ref().and_then(|section| {
        let (entry, path) = (section.entry("shim")?, section.name("shim"));
        let shim = Section::open(&entry.node, &entry.place, &path, &keys::SHIM_DEFAULTS, report)?;
        Some(Folders::read(&shim, report))
    });
    let folders = folders.unwrap_or_default();
    let defaults =
        defaults.map_or_else(HostOptions::default, |section| HostOptions::read(&section, report));
    let stop_time = settings.as_ref().map(|settings| settings.general.stop_time);
    let mut drafts = match root.entry("hosts") {
        Some(entry) => {
            let mut processes = ProcessReader::new(surroundings, stop_time);
            let drafts = hosts::read(&entry.node, (defaults, &folders), &mut processes, report);
            if drafts.is_empty() && !report.is_bad() {
                report.problem(&entry.place, "hosts is empty: there is nothing to run");
            }
            drafts
        }
        None => {
            report.problem(root.place(), "the section hosts is missing: there is nothing to run");
            return None;
        }
    };
    let ((graph, graph_place), settings) = (graph?, settings?);
    let faults = settings::section(&root, "shim", &nothing, &keys::SHIM, report)
        .and_then(|shim| shim.entry("faults"))
        .map_or_else(Vec::new, |entry| {
            let (stop_time, is_complete) = (settings.general.stop_time, !report.is_bad());
            let cast = faults::Cast { graph: &graph, hosts: &mut drafts, stop_time, is_complete };
            faults::read(&entry.node, cast, report)
        });
    resolve::resolve((settings, faults), graph, &graph_place, drafts, report)
}

/// The file's own mapping; keys that begin with `x-` are everybody's own.
fn open_root<'d>(root: &'d Node, report: &mut Report) -> Option<Section<'d>> {
    let document::Value::Map(entries) = &root.value else {
        let found = reader::describe(root);
        report.problem(
            &root.place,
            format!("the file is {found}, but must be a mapping with the sections general, network and hosts"),
        );
        return None;
    };
    Some(Section::of_root(entries, &root.place, &keys::ROOT, report))
}
