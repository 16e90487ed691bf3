//! Figures of a run, as JSON.
//!
//! A scenario and a [`Report`] in, the texts of two files out; and the first of them read again. Always true: the simulated figures
//! follow from the scenario alone, so two runs write the same bytes; everything that does not is in the
//! wall-clock file. Times are in nanoseconds. Where the files stand is `directory`'s.

use std::collections::BTreeMap;

use nix::sys::resource::{UsageWho, getrusage};
use serde_json::{Value, json};
use shim_abi::SimTime;
use shim_abi::calls::lookup;
use shim_host::{Failure, LackKind};

use super::sockets::sockets;
use crate::config::Scenario;
use crate::config::scenario::FinalState;
use crate::engine::{Life, Outcome, ProcessReport, Report, TimeLine};

/// What `sim-stats.json` tells of how a run ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ended {
    /// What became of each process, host by host.
    pub processes: Vec<ProcessReport>,
    /// Failures of the shim, with the name of the host.
    pub failures: Vec<(String, Failure)>,
    /// Hosts and programs that were preempted: the run is not reproducible.
    pub preempted: Vec<(String, String)>,
    /// Simulated time at the end.
    pub ended_at: SimTime,
    /// Somebody ended it before its stop time.
    pub is_interrupted: bool,
}

/// `sim-stats.json`.
pub fn simulated(scenario: &Scenario, report: &Report) -> String {
    let mut totals: BTreeMap<&str, u64> =
        ["exited", "signaled", "running", "not_started", "unexpected"].map(|key| (key, 0)).into();
    let mut hosts: BTreeMap<&str, Vec<Value>> =
        scenario.hosts.iter().map(|host| (host.name.as_str(), Vec::new())).collect();
    for process in &report.processes {
        let kind = match &process.outcome {
            Outcome::Exited(_) => "exited",
            Outcome::Signaled(_) => "signaled",
            Outcome::Running => "running",
            Outcome::NotStarted(_) => "not_started",
        };
        *totals.entry(kind).or_default() += 1;
        *totals.entry("unexpected").or_default() += u64::from(!process.is_expected());
        let mut value = json!({
            "program": process.program,
            "pid": process.pid,
            "final_state": outcome(&process.outcome),
            "expected_final_state": outcome(&process.expected.into()),
            "is_expected": process.is_expected(),
            "started_at_ns": process.started_at.map(SimTime::as_ns),
            "ended_at_ns": process.ended_at.map(SimTime::as_ns),
            "is_by_fault": process.is_by_fault,
        });
        // Few have any.
        if !process.earlier.is_empty() {
            value["earlier"] = process.earlier.iter().map(life).collect();
        }
        hosts.entry(&process.host).or_default().push(value);
    }
    let lacks = report.lacks.iter().map(|(host, lack)| {
        let what = match &lack.kind {
            LackKind::Call(number) => lookup((*number).into())
                .map_or_else(|| format!("system call {number}"), |call| call.name.to_owned()),
            LackKind::Other(text) => text.clone(),
        };
        json!({ "host": host, "program": lack.program, "what": what, "count": lack.count })
    });
    let preempted = report.preemptions.iter();
    let preempted = preempted.map(|(host, one)| json!({ "host": host, "program": one.program }));
    let failures = report.failures.iter().map(|(host, failure)| {
        let Failure { program, pid, text } = failure;
        json!({ "host": host, "program": program, "pid": pid, "text": text })
    });
    let shared = report
        .shared_files
        .iter()
        .map(|file| json!({ "path": file.path.to_string_lossy(), "hosts": file.hosts }));
    let traffic = report.traffic.iter().map(|(host, it)| {
        let figures = json!({
            "sent": it.sent,
            "sent_bytes": it.sent_bytes,
            "lost": it.lost,
            "refused": it.refused,
            "received": it.received,
            "received_bytes": it.received_bytes,
            "dropped": it.dropped,
        });
        (host.clone(), figures)
    });
    let value = json!({
        "seed": scenario.general.seed,
        "stop_time_ns": scenario.general.stop_time.as_ns(),
        "ended_at_ns": report.ended_at.as_ns(),
        "is_interrupted": report.is_interrupted,
        "rounds": report.rounds,
        "host_steps": report.steps,
        "faults": report.faults,
        "guest_processes": report.census.processes,
        "guest_threads": report.census.threads,
        "processes": totals,
        "hosts": hosts,
        "traffic": traffic.collect::<serde_json::Map<_, _>>(),
        "traffic_over_time": traffic_over_time(report),
        "sockets": sockets(report),
        "lacks": lacks.collect::<Vec<_>>(),
        "shared_files": shared.collect::<Vec<_>>(),
        "is_reproducible": report.is_reproducible(),
        "preempted": preempted.collect::<Vec<_>>(),
        "shim_failures": failures.collect::<Vec<_>>(),
    });
    pretty(&value)
}

/// Hosts without traffic are left out.
fn traffic_over_time(report: &Report) -> Value {
    let lines = report.time_lines.iter();
    let lines =
        lines.filter(|(_, line)| !line.sent_bytes.is_empty() || !line.received_bytes.is_empty());
    let hosts = lines.map(|(host, line)| {
        let TimeLine { sent_bytes, received_bytes, .. } = line;
        (host.clone(), json!({ "sent_bytes": sent_bytes, "received_bytes": received_bytes }))
    });
    json!({
        "interval_ns": report.time_lines.first().map(|(_, line)| line.interval.as_ns()),
        "hosts": hosts.collect::<serde_json::Map<_, _>>(),
    })
}

fn life(life: &Life) -> Value {
    json!({
        "pid": life.pid,
        "started_at_ns": life.started_at.as_ns(),
        "ended_at_ns": life.ended_at.map(SimTime::as_ns),
        "final_state": outcome(&life.outcome),
    })
}

fn outcome(outcome: &Outcome) -> Value {
    match outcome {
        Outcome::Exited(status) => json!({ "exited": status }),
        Outcome::Signaled(signal) => json!({ "signaled": signal }),
        Outcome::Running => json!("running"),
        Outcome::NotStarted(reason) => json!({ "not_started": reason }),
    }
}

/// What a `sim-stats.json` tells; nothing if `text` is none, or not a whole one.
pub fn read(text: &str) -> Option<Ended> {
    understood(&serde_json::from_str(text).ok()?)
}

/// What the value of a `sim-stats.json` tells.
pub(crate) fn understood(value: &Value) -> Option<Ended> {
    let mut processes = Vec::new();
    for (host, list) in value["hosts"].as_object()? {
        for process in list.as_array()? {
            processes.push(read_process(host, process)?);
        }
    }
    let failure = |value: &Value| {
        let pid = u32::try_from(value["pid"].as_u64()?).ok()?;
        let failure =
            Failure { program: word(&value["program"])?, pid, text: word(&value["text"])? };
        Some((word(&value["host"])?, failure))
    };
    let preempted = |value: &Value| Some((word(&value["host"])?, word(&value["program"])?));
    Some(Ended {
        processes,
        failures: value["shim_failures"].as_array()?.iter().map(failure).collect::<Option<_>>()?,
        preempted: value["preempted"].as_array()?.iter().map(preempted).collect::<Option<_>>()?,
        ended_at: SimTime::from_ns(value["ended_at_ns"].as_u64()?),
        is_interrupted: value["is_interrupted"].as_bool()?,
    })
}

fn read_process(host: &str, value: &Value) -> Option<ProcessReport> {
    Some(ProcessReport {
        host: host.to_owned(),
        program: word(&value["program"])?,
        pid: value["pid"].as_u64().and_then(|pid| u32::try_from(pid).ok()),
        outcome: read_outcome(&value["final_state"])?,
        expected: match read_outcome(&value["expected_final_state"])? {
            Outcome::Running => FinalState::Running,
            Outcome::Exited(status) => FinalState::Exited(status),
            Outcome::Signaled(signal) => FinalState::Signaled(signal),
            Outcome::NotStarted(_) => return None,
        },
        started_at: time(&value["started_at_ns"]),
        ended_at: time(&value["ended_at_ns"]),
        earlier: match &value["earlier"] {
            Value::Array(lives) => lives.iter().map(read_life).collect::<Option<_>>()?,
            _ => Vec::new(),
        },
        is_by_fault: value["is_by_fault"].as_bool()?,
    })
}

fn read_life(value: &Value) -> Option<Life> {
    Some(Life {
        pid: value["pid"].as_u64().and_then(|pid| u32::try_from(pid).ok())?,
        started_at: time(&value["started_at_ns"])?,
        ended_at: time(&value["ended_at_ns"]),
        outcome: read_outcome(&value["final_state"])?,
    })
}

fn time(value: &Value) -> Option<SimTime> {
    value.as_u64().map(SimTime::from_ns)
}

fn read_outcome(value: &Value) -> Option<Outcome> {
    let number = |value: &Value| value.as_i64().and_then(|number| i32::try_from(number).ok());
    if value == "running" {
        return Some(Outcome::Running);
    }
    let (kind, what) = value.as_object()?.iter().next()?;
    match kind.as_str() {
        "exited" => Some(Outcome::Exited(number(what)?)),
        "signaled" => Some(Outcome::Signaled(number(what)?)),
        "not_started" => Some(Outcome::NotStarted(word(what)?)),
        _ => None,
    }
}

fn word(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

/// `wall-stats.json`.
pub fn wall(scenario: &Scenario, report: &Report) -> String {
    let wall = report.wall.as_secs_f64();
    let simulated = report.ended_at.as_ns() as f64 / 1e9;
    let usage = getrusage(UsageWho::RUSAGE_SELF).ok();
    let census = &report.census;
    let seconds =
        |time: nix::sys::time::TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
    let value = json!({
        "shim_version": env!("CARGO_PKG_VERSION"),
        "parallelism": scenario.general.parallelism,
        "workers": report.workers,
        "wall_seconds": wall,
        "simulated_seconds_per_wall_second": simulated / wall.max(1e-9),
        "simulator_user_seconds": usage.as_ref().map(|usage| seconds(usage.user_time())),
        "simulator_system_seconds": usage.as_ref().map(|usage| seconds(usage.system_time())),
        "simulator_max_resident_kib": usage.as_ref().map(|usage| usage.max_rss()),
        "system_calls": census.calls,
        "handovers": report.handovers,
        "trapped_calls": census.trapped_calls,
        "patched_share": 1.0 - census.trapped_calls as f64 / census.calls.max(1) as f64,
        "data_directory": scenario.general.data_directory.to_string_lossy(),
    });
    pretty(&value)
}

fn pretty(value: &Value) -> String {
    // A tree of our own making has no keys that are not strings, the only thing that could fail.
    let mut text = serde_json::to_string_pretty(value).unwrap_or_default();
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{self, Overrides};
    use shim_host::Preemption;
    use std::path::Path;
    use std::time::Duration;

    #[test]
    fn what_is_written_can_be_read_again() {
        let yaml = "general: {stop_time: 2 s}\nnetwork: {graph: {type: 1_gbit_switch}}\nhosts: \
                    {a: {network_node_id: 0, processes: []}, b: {network_node_id: 0, processes: []}}\n";
        let scenario = config::parse(Path::new("x"), yaml, &Overrides::default()).unwrap().0;
        let outcomes = [
            (Outcome::Exited(3), FinalState::Exited(0)),
            (Outcome::Signaled(6), FinalState::Running),
            (Outcome::Running, FinalState::Signaled(15)),
            (Outcome::NotStarted("no \"such\" file".into()), FinalState::Exited(1)),
        ];
        let earlier = Life {
            pid: 999,
            started_at: SimTime::from_ns(1),
            ended_at: Some(SimTime::from_ns(2)),
            outcome: Outcome::Signaled(9),
        };
        let process = |(n, (outcome, expected)): (usize, (Outcome, FinalState))| ProcessReport {
            host: if n < 2 { "a" } else { "b" }.into(),
            program: format!("p{n}"),
            pid: (n < 3).then_some(1000),
            outcome,
            expected,
            started_at: (n < 3).then_some(SimTime::from_ns(3)),
            ended_at: (n < 2).then_some(SimTime::from_ns(7)),
            earlier: (n == 1).then(|| earlier.clone()).into_iter().collect(),
            is_by_fault: n == 1,
        };
        let failure = Failure { program: "p".into(), pid: 1001, text: "it is lost".into() };
        let preemption = Preemption { program: "q".into(), wall: Duration::from_secs(1), count: 2 };
        let report = Report {
            processes: outcomes.into_iter().enumerate().map(process).collect(),
            lacks: Vec::new(),
            preemptions: vec![("b".into(), preemption)],
            failures: vec![("a".into(), failure)],
            shared_files: Vec::new(),
            faults: [("cut", 2)].into(),
            write_errors: Vec::new(),
            ended_at: SimTime::from_ns(2_000_000_000),
            is_interrupted: true,
            rounds: 1,
            steps: 1,
            traffic: Vec::new(),
            sockets: Vec::new(),
            time_lines: Vec::new(),
            handovers: 1,
            census: shim_host::Census::default(),
            workers: 1,
            wall: Duration::ZERO,
        };
        let text = simulated(&scenario, &report);
        let expected = Ended {
            processes: report.processes,
            failures: report.failures,
            preempted: vec![("b".into(), "q".into())],
            ended_at: report.ended_at,
            is_interrupted: true,
        };
        assert_eq!(read(&text).unwrap(), expected);
        for cut in ["", "{}", text.split_at(text.len() / 2).0] {
            assert_eq!(read(cut), None, "{cut}");
        }
    }
}
