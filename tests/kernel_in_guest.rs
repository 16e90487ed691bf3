//! The kernel called by guests themselves: fewer hand-overs, the same results, and what happens to whom it goes wrong.
//!
//! Small programs in, with the kernel in the guest and without; what they print, how often they handed over, and how runs
//! end out. Always true: no figure is a time. That whole runs are the same to the byte is `repeats.rs`.

use std::fs;
use std::io::Read;
use std::thread::sleep;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use shim_testkit::built::built;
use shim_testkit::compare::{assert_same, difference};
use shim_testkit::guest::compile;
use shim_testkit::scenario::wall_statistics;
use shim_testkit::{Libc, Mark, Run};

const WITHOUT: &[&str] = &["--quiet", "--kernel-in-guest=no"];

/// How often the only program of a scenario hands over.
fn handovers(options: &[&str], part: &str) -> u64 {
    let program = compile("visits", Libc::Glibc);
    let text = wall_statistics(&[program.to_str().expect("the path is text"), part], options);
    let statistics: serde_json::Value = serde_json::from_str(&text).expect("it is JSON");
    statistics["handovers"].as_u64().expect("a number")
}

#[test]
fn what_need_not_wait_hands_nothing_over() {
    for part in ["pipe", "event", "poll", "futex", "options"] {
        let (with, without) = (handovers(&[], part), handovers(&["--kernel-in-guest=no"], part));
        // The program does it a thousand times.
        assert!(with < 100, "{part}: {with}");
        assert!(without > 1000, "{part}: {without}");
    }
}

/// Where nobody else can go on the clock moves to the end of the sleep, in the guest that sleeps.
#[test]
fn who_sleeps_alone_hands_nothing_over() {
    let (with, without) = (handovers(&[], "sleep"), handovers(&["--kernel-in-guest=no"], "sleep"));
    assert!(with < 100, "{with}");
    assert!(without > 1000, "{without}");
}

#[test]
fn who_waits_hands_control_to_whom_it_has_woken() {
    // A thousand bytes wake a reader a thousand times, and each side waits for the other once a byte.
    let (with, without) =
        (handovers(&[], "between"), handovers(&["--kernel-in-guest=no"], "between"));
    assert!(with < 100, "{with}");
    assert!(without > 2000, "{without}");
}

#[test]
fn calls_that_never_wait_keep_nobody_waiting() {
    for libc in [Libc::Glibc, Libc::Musl] {
        let run = Run::native(compile("visits", libc));
        for part in ["sleeper-and-epoll", "sleeper-and-priority"] {
            let run = run.clone().args([part]);
            let native = run.clone().finish().expect_success();
            for options in [&["--quiet"], WITHOUT] {
                assert_eq!(difference(&native, &run.clone().as_guest(options).finish()), None);
            }
        }
    }
}

/// Nobody has told the simulator of the thread that was woken.
#[test]
fn who_computes_after_waking_somebody_is_preempted() {
    let run = Run::native(compile("visits", Libc::Glibc)).args(["wake-and-spin"]);
    let native = run.clone().finish().expect_success();
    let guest = run.as_guest(["--quiet", "--watchdog", "20ms"]).finish().expect_success();
    assert_eq!(native.text(), guest.text());
}

#[test]
fn memory_that_is_locked_stays_small() {
    for libc in [Libc::Glibc, Libc::Musl] {
        let run = Run::native(compile("lockers", libc));
        assert_eq!(assert_same(&run, &[]).expect_success().text().lines().last(), Some("small"));
    }
}

#[test]
fn where_the_kernel_has_no_room_it_is_asked_by_the_simulator() {
    // Room for the simulator's kernel and for the shim's reservation, but not for a guest's share in the kernel.
    let kib = 2600 << 10;
    let program = compile("visits", Libc::Glibc);
    let script =
        format!("ulimit -v {kib} && exec {:?} exec -- {:?} pipe", built().command, program);
    let outcome = Run::native("/bin/sh").args(["-c", &script]).finish();
    assert_eq!(outcome.expect_success().text(), "pipe done\n");
}

/// Kill a process of a run of `part` natively, by its name, a moment after it has begun; how the run ended, and whether
/// the death hit it in the kernel, by what the run says.
fn killed(part: &str, name: &str, after: Duration) -> (Option<i32>, bool) {
    let mark = Mark::fresh();
    let program = compile("visits", Libc::Glibc);
    let run = Run::native(program).as_guest::<&str>([]).args([part]);
    let run = run.env(Mark::VARIABLE, mark.value());
    let mut shim = run.command().spawn().expect("it can be started");
    let mut line = [0; 7];
    shim.stdout.as_mut().expect("it is piped").read_exact(&mut line).expect("it begins");
    let is_program = |pid: &i32| {
        fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|is| is.starts_with(name))
    };
    let program = mark.processes().into_iter().find(is_program).and_then(Pid::from_raw);
    sleep(after);
    kill_process(program.expect("it runs"), Signal::KILL).expect("it is ours");
    let output = shim.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    mark.assert_nobody_left();
    (output.status.code(), said.contains("in its host's kernel"))
}

#[test]
fn a_guest_that_is_killed_in_the_kernel_stops_its_host_and_says_so() {
    // It is in the kernel about every other moment.
    let (mut was_inside, mut was_outside) = (false, false);
    for moment in 1..100 {
        let after = Duration::from_micros(moment * 173);
        let (status, is_inside) = killed("pipe-for-ever", "visits", after);
        assert_eq!(status, Some(137));
        (was_inside, was_outside) = (was_inside || is_inside, was_outside || !is_inside);
        if was_inside && was_outside {
            return;
        }
    }
    panic!("of a hundred deaths all were inside ({was_inside}), or all outside ({was_outside})");
}

/// The other waits, or has control, or is about to get it.
#[test]
fn a_guest_that_is_killed_while_it_hands_control_on_keeps_nobody_waiting() {
    let mut was_outside = false;
    for moment in 1..60 {
        let after = Duration::from_micros(moment * 173);
        let (status, is_inside) = killed("pass-for-ever", "child", after);
        // The other one finds the pipes closed, or its host has stopped.
        assert_eq!(status, Some(if is_inside { 137 } else { 0 }));
        was_outside |= !is_inside;
    }
    assert!(was_outside, "each of sixty deaths stopped the host");
}

/// Nobody who runs needs the simulator, which alone can see the death.
#[test]
fn a_death_is_noticed_while_others_sleep() {
    for moment in 1..10 {
        let after = Duration::from_millis(moment * 3);
        assert_eq!(killed("sleep-until-hangup", "child", after), (Some(0), false));
    }
}
