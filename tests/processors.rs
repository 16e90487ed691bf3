//! On which of the real machine's processors a run takes place.
//!
//! A program and `--pin` in; what Linux says of its processes out. Always true: what a run does is the same wherever it
//! takes place (`repeats.rs` runs where it is put); nothing here is a time.

use std::fs;
use std::io::Read;

use shim_testkit::guest::compile;
use shim_testkit::{Libc, Mark, Run};

/// Where Linux lets the processes of a run with `--pin` run: each one's list of processors.
fn processors(pin: &str) -> Vec<String> {
    let mark = Mark::fresh();
    let program = compile("visits", Libc::Glibc);
    let run = Run::native(program).as_guest(["--pin", pin]).args(["pipe-for-ever"]);
    let mut shim =
        run.env(Mark::VARIABLE, mark.value()).command().spawn().expect("it can be started");
    let mut line = [0; 7];
    shim.stdout.as_mut().expect("it is piped").read_exact(&mut line).expect("it begins");
    let list = |pid: &i32| {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let is_part = status.starts_with("Name:\tvisits") || *pid == shim.id() as i32;
        let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:\t"));
        list.filter(|_| is_part).map(str::to_owned)
    };
    let mut pids = mark.processes();
    pids.push(shim.id() as i32);
    pids.dedup();
    let lists = pids.iter().filter_map(list).collect();
    shim.kill().expect("it is ours");
    shim.wait().expect("it ends");
    lists
}

#[test]
fn a_program_and_its_simulator_share_a_processor_if_they_are_told_to() {
    let status = fs::read_to_string("/proc/self/status").expect("it is there");
    let all = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:\t"));
    let shared = processors("yes");
    assert!(shared.len() >= 2 && shared.iter().all(|list| list == &shared[0]), "{shared:?}");
    assert!(shared[0].parse::<usize>().is_ok(), "one processor: {shared:?}");
    let free = processors("no");
    assert!(free.len() >= 2 && free.iter().all(|list| Some(list.as_str()) == all), "{free:?}");
}
