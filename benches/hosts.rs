//! What many hosts cost: wall time and memory of scenarios in which every host only sleeps.
//!
//! Nothing comes in; a table goes to standard output. Always true: a figure of time is the fastest of
//! several runs, each in a fresh directory; memory is the proportional share (PSS) of the simulator, its
//! launcher and all guests, taken while every guest exists and the simulator is stopped. What a guest does is in
//! `tests/guests/sleeper.c`.

use std::fs;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use shim_testkit::built::built;
use shim_testkit::guest::compile;
use shim_testkit::{Folder, Libc, Run};

/// Runs of each kind.
const ROUNDS: usize = 3;
/// The longest that a run may take.
const LIMIT: Duration = Duration::from_secs(300);

/// A scenario of `hosts` hosts that sleep `times` times for `seconds`.
fn scenario(program: &Path, hosts: usize, times: u32, seconds: u32) -> String {
    let mut yaml = format!(
        "general: {{stop_time: {} s, heartbeat_interval: null}}\n\
         network: {{graph: {{type: 1_gbit_switch}}}}\nhosts:\n",
        times * seconds + 60
    );
    for host in 0..hosts {
        let path = program.display();
        yaml.push_str(&format!(
            "  host{host}: {{network_node_id: 0, processes: [{{path: {path}, args: {times} {seconds}}}]}}\n"
        ));
    }
    yaml
}

fn run(folder: &Folder, round: usize, workers: &str) -> Run {
    let data = format!("data-{workers}-{round}");
    Run::native(&built().command)
        .args(["run", "shim.yaml", "--parallelism", workers, "--data-directory", &data])
        .folder(folder.path())
        .limit(LIMIT)
}

/// Wall time of the fastest run.
fn fastest(folder: &Folder, workers: &str) -> Duration {
    let walls = (0..ROUNDS).map(|round| run(folder, round, workers).finish().expect_success().wall);
    walls.min().expect("there is at least one round")
}

/// Ids of the processes whose parent is one of `parents`.
fn children(parents: &[u32]) -> Vec<u32> {
    let entries = fs::read_dir("/proc").expect("there is /proc").flatten();
    let ids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let is_child = |id: &u32| {
        // After the name, which is in parentheses and may hold anything: state, parent.
        let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        let parent = stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(1));
        parent
            .and_then(|parent| parent.parse().ok())
            .is_some_and(|parent| parents.contains(&parent))
    };
    ids.filter(is_child).collect()
}

/// A figure of `/proc/<id>/<file>` in KiB; 0 if the process is gone.
fn kib(id: u32, file: &str, key: &str) -> u64 {
    let text = fs::read_to_string(format!("/proc/{id}/{file}")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(key));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

/// Memory of a run in MiB: of all its processes, and of the simulator alone.
fn memory(folder: &Folder, hosts: usize) -> (f64, f64) {
    let mut command = run(folder, ROUNDS, "0").command();
    let mut child = command.stdout(Stdio::null()).spawn().expect("shim can be started");
    let figures = sample(&child, hosts);
    let status = child.wait().expect("it is our child");
    assert!(status.success(), "{status}");
    figures
}

fn sample(child: &Child, hosts: usize) -> (f64, f64) {
    let pid = Pid::from_child(child);
    let deadline = Instant::now() + LIMIT;
    let everybody = loop {
        let launchers = children(&[child.id()]);
        let guests = children(&launchers);
        if guests.len() == hosts {
            kill_process(pid, Signal::STOP).expect("it runs");
            break [vec![child.id()], launchers, guests].concat();
        }
        assert!(Instant::now() < deadline, "{} of {hosts} guests", guests.len());
    };
    let all: u64 = everybody.iter().map(|&id| kib(id, "smaps_rollup", "Pss:")).sum();
    let own = kib(child.id(), "status", "VmRSS:");
    kill_process(pid, Signal::CONT).expect("it is stopped");
    (all as f64 / 1024.0, own as f64 / 1024.0)
}

fn main() {
    built();
    let program = compile("sleeper", Libc::Glibc);
    println!("Hosts that only sleep, one guest each; the fastest of {ROUNDS} runs.\n");
    println!(
        "{:<34} {:>9} {:>9} {:>14} {:>12}",
        "scenario", "1 worker", "all", "all processes", "simulator"
    );
    for (hosts, times, seconds) in [(100, 60, 1), (1000, 1, 60), (1000, 60, 1)] {
        let yaml = scenario(&program, hosts, times, seconds);
        let folder = Folder::with(&[("shim.yaml", yaml.as_bytes())]);
        let [one, all] = ["1", "0"].map(|workers| fastest(&folder, workers).as_secs_f64());
        let (total, own) = memory(&folder, hosts);
        println!(
            "{:<34} {one:>7.2} s {all:>7.2} s {total:>10.0} MiB {own:>8.0} MiB",
            format!("{hosts} hosts sleep {times} x {seconds} s")
        );
    }
    println!(
        "\nWall time of the whole command; 'all': one worker per processor. Memory of all processes is\n\
         proportional (PSS), that of the simulator resident (RSS), both while every guest exists."
    );
}
