//! Faults: what happens to links, hosts and processes while a simulation runs.
//!
//! The list `shim.faults` in, [`Fault`]s in the order of the file out; jumps of clocks go to their hosts, where they could
//! have been written as well. Always true: a fault names links, hosts and processes that exist, begins before the
//! simulation ends, and has no key that means nothing beside its kind. What faults do is the engine's.

use std::collections::BTreeMap;
use std::rc::Rc;

use shim_abi::SimTime;

use super::document::{Kind, Node, Scalar, Value};
use super::graph::Graph;
use super::hosts::Draft;
use super::keys;
use super::problem::{Place, Report, did_you_mean};
use super::processes::signal;
use super::reader::{
    Mismatch, Reading, Section, boolean, describe, integer, list_of, shorten, signed_time, text,
    time,
};
use super::scenario::{ClockJump, Fault, FaultKind};
use super::settings::some_time;

/// The kinds of faults, each with the keys that it has beside `at`.
const KINDS: [(&str, &[&str]); 6] = [
    ("link", &["latency", "jitter", "packet_loss", "for"]),
    ("cut", &["for"]),
    ("partition", &["for"]),
    ("crash", &["restart_after"]),
    ("kill", &["restart_after"]),
    ("jump", &[]),
];

/// What faults may name.
pub(super) struct Cast<'c> {
    pub(super) graph: &'c Graph,
    pub(super) hosts: &'c mut BTreeMap<String, (Draft, Place)>,
    pub(super) stop_time: SimTime,
    /// Whether these are all hosts, with all their processes; if not, somebody has been told why.
    pub(super) is_complete: bool,
}

/// The faults of `shim`; `node` is the list.
pub(super) fn read(node: &Node, mut cast: Cast<'_>, report: &mut Report) -> Vec<Fault> {
    const PATH: &str = "shim.faults";
    let items: &[Rc<Node>] = match &node.value {
        Value::List(items) => items,
        _ if node.is_null() => &[],
        _ => {
            let found = describe(node);
            let message = format!(
                "{PATH} is {found}, but must be a list: '- {{at: 10 s, crash: alice, restart_after: 5 s}}'"
            );
            report.problem(&node.place, message);
            &[]
        }
    };
    let mut faults = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let path = format!("{PATH}[{index}]");
        let section = Section::open(item, &item.place, &path, &keys::FAULT, report);
        faults.extend(section.and_then(|section| cast.read_one(&section, &path, report)));
    }
    faults
}

impl Cast<'_> {
    fn read_one(
        &mut self,
        section: &Section<'_>,
        path: &str,
        report: &mut Report,
    ) -> Option<Fault> {
        let at = section.required("at", "write when, such as 'at: 10 s'", time, report);
        let kind = kind_of(section, path, report)?;
        let at = SimTime::ZERO + at?;
        // A stop time of 0 has been complained about already.
        if at >= self.stop_time && self.stop_time != SimTime::ZERO {
            let message = format!(
                "{path}.at: the fault happens when the simulation has ended already (general.stop_time)"
            );
            report.problem(&section.place_of("at"), message);
        }
        let end = |key: &str, report: &mut Report| {
            section.optional(key, some_time, report).map(|length| at + length)
        };
        let (kind, until) = match kind {
            "link" => (self.read_link(section, report)?, end("for", report)),
            "cut" => {
                let (source, target, is_one_way) = self.read_ends(section, "cut", report)?;
                (FaultKind::Cut { source, target, is_one_way }, end("for", report))
            }
            "partition" => (self.read_partition(section, report)?, end("for", report)),
            "crash" => {
                let host = section.optional("crash", |node| text(node, "a host's name"), report)?;
                self.check_host(&host, &section.place_of("crash"), report)?;
                (FaultKind::Crash { host }, self.restart(section, at, report))
            }
            "kill" => (self.read_kill(section, report)?, self.restart(section, at, report)),
            _ => {
                self.read_jump(section, at, report);
                return None;
            }
        };
        Some(Fault { at, until, kind })
    }

    fn restart(&self, section: &Section<'_>, at: SimTime, report: &mut Report) -> Option<SimTime> {
        let until = at + section.optional("restart_after", some_time, report)?;
        if at < self.stop_time && until >= self.stop_time {
            let name = section.name("restart_after");
            let message = format!(
                "{name}: the restart happens when the simulation has ended already (general.stop_time)"
            );
            report.problem(&section.place_of("restart_after"), message);
        }
        Some(until)
    }

    fn read_link(&self, section: &Section<'_>, report: &mut Report) -> Option<FaultKind> {
        let ends = self.read_ends(section, "link", report);
        let latency = section.optional("latency", some_time, report);
        let jitter = section.optional("jitter", time, report);
        let packet_loss = section.optional("packet_loss", share, report);
        if ["latency", "jitter", "packet_loss"].iter().all(|key| section.entry(key).is_none()) {
            let message = format!(
                "{} changes nothing: write latency, jitter or packet_loss, or cut instead of link",
                section.name("link")
            );
            report.problem(&section.place_of("link"), message);
        }
        let (source, target, is_one_way) = ends?;
        Some(FaultKind::Link { source, target, is_one_way, latency, jitter, packet_loss })
    }

    /// The ends of an edge that exists, and whether the way back is left as it is.
    fn read_ends(
        &self,
        section: &Section<'_>,
        key: &str,
        report: &mut Report,
    ) -> Option<(u32, u32, bool)> {
        let entry = section.entry(key)?;
        let path = section.name(key);
        let ends = Section::open(&entry.node, &entry.node.place, &path, &keys::FAULT_LINK, report)?;
        let id = integer(0..=i128::from(u32::MAX));
        let hint = "write the id of a node, as in the graph";
        let source = ends.required("source", hint, &id, report);
        let target = ends.required("target", hint, &id, report);
        let is_one_way = ends.optional("one_way", boolean, report).unwrap_or(false);
        let (source, target) = (u32::try_from(source?).ok()?, u32::try_from(target?).ok()?);
        if self.graph.edges_between(source, target).next().is_none() {
            let message = format!("{path}: the graph has no edge from node {source} to {target}");
            report.problem(&entry.node.place, message);
            return None;
        }
        if is_one_way && source == target {
            let message =
                format!("{path}: within one node there is no way back to be left as it is");
            report.problem(&ends.place_of("one_way"), message);
        }
        Some((source, target, is_one_way))
    }

    fn read_partition(&self, section: &Section<'_>, report: &mut Report) -> Option<FaultKind> {
        const EXPECTED: &str =
            "a list of at least two lists of hosts, such as [[alice, bob], [carol]]";
        let name = |node: &Node| Ok((text(node, "a host's name")?, node.place.clone()));
        let set = |node: &Node| match list_of(node, EXPECTED, name)? {
            hosts if hosts.is_empty() => Err(Mismatch::new("a list of at least one host")),
            hosts => Ok(hosts),
        };
        let sets = |node: &Node| match &node.value {
            Value::List(items) if items.len() < 2 => Err(Mismatch::new(EXPECTED)),
            _ => list_of(node, EXPECTED, set),
        };
        let sets = section.optional("partition", sets, report)?;
        let mut known: Vec<&str> = Vec::new();
        for (host, place) in sets.iter().flatten() {
            self.check_host(host, place, report)?;
            if known.contains(&host.as_str()) {
                let message = format!("{} names '{host}' twice", section.name("partition"));
                report.problem(place, message);
            }
            known.push(host);
        }
        let names = |set: Vec<(String, Place)>| set.into_iter().map(|(host, _)| host).collect();
        Some(FaultKind::Partition(sets.into_iter().map(names).collect()))
    }

    fn read_kill(&self, section: &Section<'_>, report: &mut Report) -> Option<FaultKind> {
        let entry = section.entry("kill")?;
        let path = section.name("kill");
        let kill = Section::open(&entry.node, &entry.node.place, &path, &keys::FAULT_KILL, report)?;
        let name = |node: &Node| text(node, "a host's name");
        let host = kill.required("host", "write whose process it is", name, report);
        let which = integer(0..=i128::from(u32::MAX));
        let hint = "write which of the host's processes; the first is 0";
        let process = kill.required("process", hint, which, report);
        let signal = match kill.entry("signal") {
            Some(_) => kill.optional("signal", signal, report)?,
            None => nix::sys::signal::Signal::SIGKILL as i32,
        };
        let (host, process) = (host?, usize::try_from(process?).ok()?);
        self.check_host(&host, &kill.place_of("host"), report)?;
        let count = self.hosts.get(&host).map_or(0, |(draft, _)| draft.processes.len());
        if self.is_complete && process >= count {
            let message = format!(
                "{path}: '{host}' has no process {process} ({count} in all, the first is 0)"
            );
            report.problem(&kill.place_of("process"), message);
        }
        Some(FaultKind::Kill { host, process, signal })
    }

    fn read_jump(&mut self, section: &Section<'_>, at: SimTime, report: &mut Report) -> Option<()> {
        let entry = section.entry("jump")?;
        let path = section.name("jump");
        let jump = Section::open(&entry.node, &entry.node.place, &path, &keys::FAULT_JUMP, report)?;
        let name = |node: &Node| text(node, "a host's name");
        let host = jump.required("host", "write whose clock it is", name, report);
        let by = jump.required("by", "write how far, such as 'by: -2 s'", signed_time, report);
        let host = host?;
        self.check_host(&host, &jump.place_of("host"), report)?;
        let clock = &mut self.hosts.get_mut(&host)?.0.clock;
        if clock.jumps.iter().any(|other| other.at == at) {
            let message = format!("{path} is at the same time as another jump of '{host}'");
            report.problem(jump.place(), message);
        }
        clock.jumps.push(ClockJump { at, by_ns: by? });
        clock.jumps.sort_by_key(|jump| jump.at);
        Some(())
    }

    fn check_host(&self, host: &str, place: &Place, report: &mut Report) -> Option<()> {
        if self.hosts.contains_key(host) {
            return Some(());
        }
        if self.is_complete {
            let guess = did_you_mean(host, self.hosts.keys().map(String::as_str));
            report.problem(place, format!("there is no host '{}'{guess}", shorten(host)));
        }
        None
    }
}

/// The one kind of a fault; keys of others are problems.
fn kind_of(section: &Section<'_>, path: &str, report: &mut Report) -> Option<&'static str> {
    let names = KINDS.map(|(kind, _)| kind).join(", ");
    let mut given = KINDS.iter().filter(|(kind, _)| section.entry(kind).is_some());
    let Some((kind, keys)) = given.next() else {
        report.problem(section.place(), format!("{path} says no kind of fault: one of {names}"));
        return None;
    };
    if let Some((other, _)) = given.next() {
        let message = format!("{path} is both {kind} and {other}: write two faults");
        report.problem(&section.place_of(other), message);
        return None;
    }
    let foreign = keys::FAULT.used.iter().filter(|key| section.entry(key).is_some());
    for key in foreign.filter(|key| **key != "at" && *key != kind && !keys.contains(key)) {
        let own = [&["at", *kind], *keys].concat().join(", ");
        let message = format!("{path}.{key} means nothing beside {kind}, whose keys are {own}");
        report.problem(&section.place_of(key), message);
    }
    Some(kind)
}

/// A number from 0 to 1.
fn share(node: &Node) -> Reading<f64> {
    const EXPECTED: &str = "a number from 0 to 1, such as 0.01";
    let Value::Scalar(Scalar { text, kind: Kind::Integer(_) | Kind::Float, .. }) = &node.value
    else {
        return Err(Mismatch::new(EXPECTED));
    };
    let share = text.parse::<f64>().ok().filter(|share| (0.0..=1.0).contains(share));
    share.ok_or_else(|| Mismatch::new(EXPECTED))
}
