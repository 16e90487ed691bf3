//! Hosts that only sleep: what it costs that they are there.
//!
//! Nothing comes in; a table goes to standard output. Always true: a figure of time is the fastest of
//! several runs, each in a fresh directory; memory is the proportional share (PSS) of the simulator, its
//! launcher and all guests, taken while every guest exists and the simulator is stopped. What a guest does is in
//! `tests/guests/sleeper.c`.

use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use shim_testkit::built::built;
use shim_testkit::guest::compile;
use shim_testkit::{Folder, Libc, Run};

use crate::memory::{Memory, processes};

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

/// Memory of a run, of all its processes and of the simulator.
fn memory(folder: &Folder, hosts: usize) -> Memory {
    let mut command = run(folder, ROUNDS, "0").command();
    let mut child = command.stdout(Stdio::null()).spawn().expect("shim can be started");
    let memory = sample(&child, hosts);
    let status = child.wait().expect("it is our child");
    assert!(status.success(), "{status}");
    memory
}

fn sample(child: &Child, hosts: usize) -> Memory {
    let pid = Pid::from_child(child);
    let deadline = Instant::now() + LIMIT;
    loop {
        let (simulator, guests) = processes(child.id());
        if guests.len() == hosts {
            kill_process(pid, Signal::STOP).expect("it runs");
            let memory = Memory::of(&[simulator, guests].concat());
            kill_process(pid, Signal::CONT).expect("it is stopped");
            return memory;
        }
        assert!(Instant::now() < deadline, "{} of {hosts} guests", guests.len());
    }
}

/// Print what some hosts cost.
pub fn table() {
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
        let Memory { all: total, simulator: own } = memory(&folder, hosts);
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
