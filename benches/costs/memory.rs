//! What a process weighs, natively and as a guest.
//!
//! Nothing comes in; KiB of one process go out. Always true: it is the proportional share (PSS) of a process
//! among many of the same program in one simulated machine, while all of them wait and nothing runs; the
//! simulator's own memory is not in it (`benches/hosts/` has that). The program is `benches/guest/crowd.c`.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::Stdio;

use shim_testkit::guest::compile_from;
use shim_testkit::{Libc, Mark, Run};

/// How many processes there are: enough that what they share hardly counts.
const CROWD: usize = 16;

/// KiB of one process: natively, as a guest.
pub fn of_a_process() -> (f64, f64) {
    let program = compile_from("benches/guest", "crowd", Libc::Glibc, &["-O2"]);
    let run = Run::native(program).args([CROWD.to_string()]);
    (weigh(&run), weigh(&run.clone().as_guest(["--quiet"])))
}

fn weigh(run: &Run) -> f64 {
    let mark = Mark::fresh();
    let run = run.clone().env(Mark::VARIABLE, mark.value());
    let mut child = run.command().stderr(Stdio::inherit()).spawn().expect("it can be started");
    let mut line = String::new();
    let mut stdout = BufReader::new(child.stdout.take().expect("it is piped"));
    stdout.read_line(&mut line).expect("it is ours");
    assert_eq!(line, "ready\n", "the crowd is not there");
    let kib: Vec<u64> = mark.processes().into_iter().filter(|&id| waits(id)).map(pss_kib).collect();
    assert_eq!(kib.len(), CROWD, "processes that wait");
    // The end of its input ends it.
    drop(child.stdin.take());
    let status = child.wait().expect("it is our child");
    assert!(status.success(), "{status}");
    kib.iter().sum::<u64>() as f64 / CROWD as f64
}

/// Whether a process is one of the crowd.
fn waits(id: i32) -> bool {
    let arguments = fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
    arguments.split(|&b| b == 0).nth(1) == Some(b"waits")
}

fn pss_kib(id: i32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{id}/smaps_rollup")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"));
    let figure = line.and_then(|rest| rest.split_whitespace().next()?.parse().ok());
    figure.expect("a process has a share of memory")
}
