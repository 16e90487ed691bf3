//! Figures of a run, as JSON.
//!
//! A scenario and a [`Report`] in, the texts of two files out. Always true: the simulated figures
//! follow from the scenario alone, so two runs write the same bytes; everything that does not is in the
//! wall-clock file. Times are in nanoseconds. Where the files stand is `directory`'s.

use std::collections::BTreeMap;

use nix::sys::resource::{UsageWho, getrusage};
use serde_json::{Value, json};
use shim_abi::calls::lookup;
use shim_host::LackKind;

use crate::config::Scenario;
use crate::engine::{Outcome, Report};

/// `sim-stats.json`.
pub fn simulated(scenario: &Scenario, report: &Report) -> String {
    let mut totals: BTreeMap<&str, u64> =
        ["exited", "signaled", "running", "not_started", "unexpected"].map(|key| (key, 0)).into();
    let mut hosts: BTreeMap<&str, Vec<Value>> =
        scenario.hosts.iter().map(|host| (host.name.as_str(), Vec::new())).collect();
    for process in &report.processes {
        let state = match &process.outcome {
            Outcome::Exited(status) => json!({ "exited": status }),
            Outcome::Signaled(signal) => json!({ "signaled": signal }),
            Outcome::Running => json!("running"),
            Outcome::NotStarted(reason) => json!({ "not_started": reason }),
        };
        let kind = match &process.outcome {
            Outcome::Exited(_) => "exited",
            Outcome::Signaled(_) => "signaled",
            Outcome::Running => "running",
            Outcome::NotStarted(_) => "not_started",
        };
        *totals.entry(kind).or_default() += 1;
        *totals.entry("unexpected").or_default() += u64::from(!process.is_expected());
        hosts.entry(&process.host).or_default().push(json!({
            "program": process.program,
            "pid": process.pid,
            "final_state": state,
            "is_expected": process.is_expected(),
        }));
    }
    let lacks = report.lacks.iter().map(|(host, lack)| {
        let what = match &lack.kind {
            LackKind::Call(number) => lookup((*number).into())
                .map_or_else(|| format!("system call {number}"), |call| call.name.to_owned()),
            LackKind::Other(text) => text.clone(),
        };
        json!({ "host": host, "program": lack.program, "what": what, "count": lack.count })
    });
    let value = json!({
        "seed": scenario.general.seed,
        "stop_time_ns": scenario.general.stop_time.as_ns(),
        "ended_at_ns": report.ended_at.as_ns(),
        "is_interrupted": report.is_interrupted,
        "rounds": report.rounds,
        "host_steps": report.steps,
        "handovers": report.handovers,
        "processes": totals,
        "hosts": hosts,
        "lacks": lacks.collect::<Vec<_>>(),
        "is_reproducible": report.is_reproducible(),
        "shim_failures": report.failures.len(),
    });
    pretty(&value)
}

/// `wall-stats.json`.
pub fn wall(scenario: &Scenario, report: &Report) -> String {
    let wall = report.wall.as_secs_f64();
    let simulated = report.ended_at.as_ns() as f64 / 1e9;
    let usage = getrusage(UsageWho::RUSAGE_SELF).ok();
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
