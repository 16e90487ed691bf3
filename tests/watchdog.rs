//! Guests that compute without a call: preempted if something waits for them, and then the run says so.
//!
//! Modes of `tests/guests/busy.c` and programs of the system in; how they end, and what `shim` tells, out.
//! Always true: a watchdog changes nothing that a program computes; who waits for its standard input is no busy
//! loop. How the watchdog looks is tested in `shim-supervisor`.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use shim_testkit::compare::Folder;
use shim_testkit::guest::compile;
use shim_testkit::{Libc, Outcome, Run, Status};

const REMARK: &str = "not reproducible";
/// An event that waits for the guest, far away.
const EVENT: &str = "--clock-jump=1000000s:1ms";

fn busy(arguments: &[&str]) -> Run {
    Run::native(compile("busy", Libc::Glibc)).args(arguments)
}

#[track_caller]
fn assert_remark(outcome: &Outcome, is_there: bool) {
    let stderr = String::from_utf8_lossy(&outcome.stderr);
    assert_eq!(stderr.contains(REMARK), is_there, "{outcome:?}");
}

#[test]
fn an_alarm_ends_a_busy_loop() {
    let native = busy(&["die", "1"]).finish();
    assert_eq!(native.status, Status::Signal(libc_sigalrm()));
    for options in [&["--quiet"][..], &["--watchdog", "50ms", "--watchdog-quantum", "300ms"]] {
        let outcome = busy(&["die", "1"]).as_guest(options).finish();
        assert_eq!(outcome.status, Status::Code(128 + libc_sigalrm()), "{outcome:?}");
        assert_remark(&outcome, true);
    }
    let native = busy(&["handle", "1"]).finish().expect_success();
    let guest = busy(&["handle", "1"]).as_guest(["--watchdog", "50ms"]).finish().expect_success();
    assert_eq!(native.text(), guest.text());
    let stderr = String::from_utf8_lossy(&guest.stderr);
    let expected = "not reproducible: busy-Glibc made no call for 0.05 s and was preempted, once";
    assert!(stderr.contains(expected), "{stderr}");
}

fn libc_sigalrm() -> i32 {
    rustix::process::Signal::ALARM.as_raw()
}

#[test]
fn python_loops_until_its_alarm() {
    let script = "
import signal
def ring(*_):
    print('rang')
    raise SystemExit(7)
signal.signal(signal.SIGALRM, ring)
signal.alarm(2)
while True: pass";
    let run = Run::native("/usr/bin/python3").args(["-c", script]);
    let outcome = run.as_guest(["--quiet", "--watchdog", "100ms"]).finish();
    assert_eq!((outcome.status, outcome.text().as_str()), (Status::Code(7), "rang\n"));
    assert_remark(&outcome, true);
}

#[test]
fn preempting_changes_no_register() {
    let folder = Folder::new();
    let native = busy(&["compute-with-alarm", "100000000"]).finish().expect_success();
    let options = ["--watchdog", "1ms", "--watchdog-quantum", "1us", "--strace", "trace"];
    let run = busy(&["compute-with-alarm", "100000000"]).folder(folder.path());
    let guest = run.as_guest(options).finish().expect_success();
    assert_eq!(native.text(), guest.text());
    assert_remark(&guest, true);
    let trace = std::fs::read_to_string(folder.path().join("trace")).expect("it was written");
    let count = trace.matches("--- preempted: no call for 0.001 s of wall time ---").count();
    assert!(count > 5, "preempted {count} times only");
}

#[test]
fn a_computation_that_nobody_waits_for_stays_reproducible() {
    let outcome = busy(&["compute", "100000000"]).as_guest(["--watchdog", "10ms"]).finish();
    assert_remark(&outcome.expect_success(), false);
    let off = busy(&["compute", "100000000"]).as_guest(["--watchdog", "off", EVENT]).finish();
    assert_remark(&off.expect_success(), false);
    let on = busy(&["compute", "100000000"]).as_guest(["--watchdog", "10ms", EVENT]).finish();
    assert_remark(&on.expect_success(), true);
}

/// Run a program whose standard input stays open for a while and then brings a line.
fn run_with_late_input(program: &str, arguments: &[&str], wait: Duration) -> (String, String) {
    let run = Run::native(program).args(arguments).as_guest(["--quiet", EVENT]);
    let mut child = run.command().spawn().expect("it can be started");
    std::thread::sleep(wait);
    let mut stdin = child.stdin.take().expect("it is piped");
    stdin.write_all(b"late\n").expect("somebody reads it");
    drop(stdin);
    let (mut stdout, mut stderr) = (String::new(), String::new());
    child.stdout.take().expect("it is piped").read_to_string(&mut stdout).expect("it is text");
    child.stderr.take().expect("it is piped").read_to_string(&mut stderr).expect("it is text");
    assert!(child.wait().expect("it is our child").success(), "{stderr}");
    (stdout, stderr)
}

#[test]
fn who_waits_for_standard_input_is_left_alone() {
    let python = "/usr/bin/python3";
    let select = "import select, sys; print(len(select.select([0], [], [])[0])); print(input())";
    let wait = Duration::from_secs(3);
    let runs = [
        ("cat", &[][..], "late\n"),
        (python, &["-c", "print(input())"], "late\n"),
        (python, &["-c", select], "1\nlate\n"),
    ];
    std::thread::scope(|scope| {
        for (program, arguments, expected) in runs {
            scope.spawn(move || {
                let (stdout, stderr) = run_with_late_input(program, arguments, wait);
                assert_eq!((stdout.as_str(), stderr.as_str()), (expected, ""), "{program}");
            });
        }
    });
}

#[test]
fn a_busy_loop_ends_with_its_simulation() {
    let folder = Folder::new();
    let scenario = "
general: {stop_time: 10 s}
shim: {watchdog: 100 ms, watchdog_quantum: 4 s}
network: {graph: {type: 1_gbit_switch}}
hosts:
  spinner:
    network_node_id: 0
    processes:
    - {path: /bin/sh, args: [-c, 'while :; do :; done'], expected_final_state: running}
  sleeper:
    network_node_id: 0
    processes: [{path: /bin/sleep, args: '7'}]
";
    std::fs::write(folder.path().join("loop.yaml"), scenario).expect("a fresh folder");
    let began = Instant::now();
    let output = std::process::Command::new(&shim_testkit::built::built().command)
        .args(["run", "loop.yaml"])
        .current_dir(folder.path())
        .output()
        .expect("it can be started");
    let text = String::from_utf8_lossy(&output.stderr) + String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}");
    assert!(text.contains(REMARK), "{text}");
    assert!(began.elapsed() < Duration::from_secs(20));
}
