//! All that a data directory tells of its run.
//!
//! A path in, a [`Run`] out. Always true: what cannot be read is left out and told in [`Run::troubles`], and so each part of a page
//! is made from what there is; names of hosts come from the run's own files, and files are looked for in their folders only. What
//! the parts look like is `page`'s.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use serde_json::Value;
use shim_abi::SimTime;

use super::capture::{Captures, Owner, Span, open};
use super::log::Log;
use super::series::Series;
use super::traces::Traces;
use crate::config::{Scenario, parse_record, scenario};
use crate::engine::{Life, Outcome, ProcessReport};
use crate::output::directory::{LOG, PROCESSED_CONFIG, SIM_STATS, WALL_STATS};
use crate::output::statistics::{self, Ended};

/// Files of text are no longer than this.
const MOST_BYTES: u64 = 1 << 30;

/// A run that is over.
pub(super) struct Run {
    /// Where it lies, as it was named.
    pub(super) folder: PathBuf,
    /// What was run.
    pub(super) scenario: Option<Scenario>,
    /// How it ended.
    pub(super) ended: Option<Ended>,
    /// All of `sim-stats.json`; null if it could not be read.
    pub(super) figures: Value,
    /// All of `wall-stats.json`.
    pub(super) wall: Value,
    /// What its log holds, if there is one.
    pub(super) log: Option<Log>,
    /// What its hosts were and did, by their names.
    pub(super) hosts: Vec<Host>,
    /// Packets.
    pub(super) captures: Captures,
    /// System calls.
    pub(super) traces: Traces,
    /// What could not be read.
    pub(super) troubles: Vec<String>,
}

/// One host.
pub(super) struct Host {
    /// Its name.
    pub(super) name: String,
    /// Its processes.
    pub(super) processes: Vec<ProcessReport>,
    /// Bytes that left it and that came to it, if that is known.
    pub(super) traffic: Option<(Series, Series)>,
}

impl Run {
    /// Read `folder`; nothing if it is no data directory.
    pub(super) fn read(folder: &Path) -> Option<Run> {
        let has = |name: &str| folder.join(name).symlink_metadata().is_ok();
        if !has(SIM_STATS) && !has(PROCESSED_CONFIG) {
            return None;
        }
        let mut run = Run {
            folder: folder.to_owned(),
            scenario: None,
            ended: None,
            figures: Value::Null,
            wall: Value::Null,
            log: None,
            hosts: Vec::new(),
            captures: Captures::default(),
            traces: Traces::new(),
            troubles: Vec::new(),
        };
        run.read_texts();
        run.read_log();
        run.list_hosts();
        run.read_hosts();
        Some(run)
    }

    /// How long it was, in simulated time.
    pub(super) fn span_ns(&self) -> u64 {
        let ended = self.ended.as_ref().map(|ended| ended.ended_at);
        let planned = self.scenario.as_ref().map(|scenario| scenario.general.stop_time);
        ended.filter(|at| *at > SimTime::ZERO).or(planned).map_or(1, SimTime::as_ns)
    }

    /// What the scenario says of a host.
    pub(super) fn planned(&self, name: &str) -> Option<&scenario::Host> {
        self.scenario.as_ref()?.host(name)
    }

    fn trouble(&mut self, name: &str, reason: &str) {
        self.troubles.push(format!("{}: {reason}", self.folder.join(name).display()));
    }

    /// The text of a file, if it can be had.
    fn text(&mut self, name: &str) -> Option<String> {
        let read = |file: File| {
            let mut text = String::new();
            file.take(MOST_BYTES).read_to_string(&mut text).map(|_| text)
        };
        let result = match open(&self.folder.join(name)) {
            Ok(Some(file)) => read(file).map_err(|error| error.to_string()),
            Ok(None) => Err("it is missing".to_owned()),
            Err(reason) => Err(reason),
        };
        result.map_err(|reason| self.trouble(name, &reason)).ok()
    }

    fn read_texts(&mut self) {
        if let Some(text) = self.text(PROCESSED_CONFIG) {
            match parse_record(&self.folder.join(PROCESSED_CONFIG), &text) {
                Ok(scenario) => self.scenario = Some(scenario),
                Err(problems) => self.troubles.extend(problems.iter().map(ToString::to_string)),
            }
        }
        self.figures = self.json(SIM_STATS);
        if !self.figures.is_null() {
            self.ended = statistics::understood(&self.figures);
            if self.ended.is_none() {
                self.trouble(SIM_STATS, "it does not have what such a file has");
            }
        }
        self.wall = self.json(WALL_STATS);
    }

    fn json(&mut self, name: &str) -> Value {
        let Some(text) = self.text(name) else { return Value::Null };
        match serde_json::from_str(&text) {
            Ok(value) => value,
            Err(error) => {
                self.trouble(name, &format!("damaged: {error}"));
                Value::Null
            }
        }
    }

    fn read_log(&mut self) {
        match open(&self.folder.join(LOG)) {
            Ok(Some(file)) => {
                let (log, error) = Log::read(BufReader::new(file));
                self.log = Some(log);
                if let Some(error) = error {
                    self.trouble(LOG, &error.to_string());
                }
            }
            Ok(None) => self.trouble(LOG, "it is missing"),
            Err(reason) => self.trouble(LOG, &reason),
        }
    }

    /// Everybody who is named in what is left of the run.
    fn list_hosts(&mut self) {
        let mut hosts: BTreeMap<String, Vec<ProcessReport>> = BTreeMap::new();
        let planned = self.scenario.iter().flat_map(|scenario| &scenario.hosts);
        for host in planned {
            hosts.entry(host.name.clone()).or_default();
        }
        match &self.ended {
            Some(ended) => {
                for host in self.figures["hosts"].as_object().into_iter().flat_map(|it| it.keys()) {
                    hosts.entry(host.clone()).or_default();
                }
                for process in &ended.processes {
                    hosts.entry(process.host.clone()).or_default().push(process.clone());
                }
            }
            // What is known without it: who was started, and how it ended.
            None => {
                for (name, processes) in &mut hosts {
                    *processes = self.left_behind(name);
                }
            }
        }
        // A name is that of a folder, whatever a file says.
        hosts.retain(|name, _| !name.contains('/') && name != "..");
        let host = |(name, processes)| Host { name, processes, traffic: None };
        self.hosts = hosts.into_iter().map(host).collect();
    }

    /// Processes of a host as their files tell of them.
    fn left_behind(&self, name: &str) -> Vec<ProcessReport> {
        let Ok(entries) = std::fs::read_dir(self.host_folder(name)) else { return Vec::new() };
        let mut found = Vec::new();
        for entry in entries.flatten() {
            let file = entry.file_name().to_string_lossy().into_owned();
            let Some(stem) = file.strip_suffix(".exitcode") else { continue };
            let Some((program, pid)) = stem.rsplit_once('.') else { continue };
            let (Ok(pid), Ok(Some(file))) = (pid.parse::<u32>(), open(&entry.path())) else {
                continue;
            };
            let mut status = String::new();
            let outcome = match file.take(16).read_to_string(&mut status).map(|_| status.parse()) {
                Ok(Ok(status)) => Outcome::Exited(status),
                _ => Outcome::Running,
            };
            found.push((pid, program.to_owned(), outcome));
        }
        found.sort();
        let planned = self.planned(name).map_or(&[][..], |host| &host.processes);
        let report = |(pid, program, outcome): (u32, String, Outcome)| {
            let plan = planned
                .iter()
                .find(|plan| plan.program.file_name().is_some_and(|file| file == program.as_str()));
            ProcessReport {
                host: name.to_owned(),
                expected: plan
                    .map_or(scenario::FinalState::Exited(0), |it| it.expected_final_state),
                program,
                pid: Some(pid),
                outcome,
                started_at: None,
                ended_at: None,
                earlier: Vec::<Life>::new(),
                is_by_fault: false,
            }
        };
        found.into_iter().map(report).collect()
    }

    fn host_folder(&self, name: &str) -> PathBuf {
        self.folder.join("hosts").join(name)
    }

    fn read_hosts(&mut self) {
        let span_ns = self.span_ns();
        let over_time = self.figures["traffic_over_time"].clone();
        for index in 0..self.hosts.len() {
            let name = self.hosts[index].name.clone();
            let folder = self.host_folder(&name);
            self.read_capture(&name, &folder, span_ns);
            self.read_traces(&folder);
            let captured = self.captures.hosts.last().and_then(Option::as_ref);
            self.hosts[index].traffic = match captured {
                Some(captured) => Some((captured.sent.clone(), captured.received.clone())),
                None => recorded(&over_time, &name, span_ns),
            };
        }
    }

    fn read_capture(&mut self, name: &str, folder: &Path, span_ns: u64) {
        let Some(scenario) = &self.scenario else {
            // Without it nobody knows whose address is whose.
            return self.captures.hosts.push(None);
        };
        let span = Span { start_realtime_ns: scenario.time.start_realtime_ns, ns: span_ns };
        let addresses =
            scenario.host(name).map(|host| [IpAddr::V4(host.ipv4), IpAddr::V6(host.ipv6)]);
        match addresses {
            Some(addresses) => {
                let troubles = self.captures.read(&Owner { folder, addresses }, span);
                self.troubles.extend(troubles);
            }
            None => self.captures.hosts.push(None),
        }
    }

    fn read_traces(&mut self, folder: &Path) {
        let Ok(entries) = std::fs::read_dir(folder) else { return };
        let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        paths.retain(|path| path.extension().is_some_and(|extension| extension == "strace"));
        paths.sort();
        for path in paths {
            let error = match open(&path) {
                Ok(Some(file)) => self.traces.read(BufReader::new(file)).map(|it| it.to_string()),
                Ok(None) => None,
                Err(reason) => Some(reason),
            };
            let told = error.map(|reason| format!("{}: {reason}", path.display()));
            self.troubles.extend(told);
        }
    }
}

/// What `sim-stats.json` has of a host's traffic over time.
fn recorded(over_time: &Value, host: &str, span_ns: u64) -> Option<(Series, Series)> {
    let interval_ns = over_time["interval_ns"].as_u64()?;
    let both = over_time["hosts"].get(host)?;
    let series = |key: &str| {
        let mut series = Series::new(span_ns);
        for (index, bytes) in (0_u64..).zip(both[key].as_array()?) {
            let from = index.saturating_mul(interval_ns);
            let until = from.saturating_add(interval_ns);
            series.spread(from, until, bytes.as_u64()? as f64);
        }
        Some(series)
    };
    Some((series("sent_bytes")?, series("received_bytes")?))
}
