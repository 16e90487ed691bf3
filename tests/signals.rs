//! Signals: what handlers see, which order they run in, what they leave behind, and what kills.
//!
//! Small C programs send themselves signals and make faults; what they print natively and as guests is
//! compared, through both C libraries. Always true: the programs compare registers themselves and print a line
//! only if one differs. Signals from outside the simulation are `life.rs`.

use shim_testkit::guest::compile_with;
use shim_testkit::{Libc, Outcome, Run, Status, assert_same};

#[track_caller]
fn assert_same_with_both(name: &str, arguments: &[&str]) -> Outcome {
    let check = |libc| {
        let program = compile_with(name, libc, &["-lm"]);
        assert_same(&Run::native(program).args(arguments), &[])
    };
    check(Libc::Musl);
    check(Libc::Glibc)
}

#[test]
fn dispositions_masks_and_waits() {
    let native = assert_same_with_both("signals", &[]).expect_success();
    assert!(native.text().contains("unblocked = 0, was 1"), "{native:?}");
}

#[test]
fn faults_reach_their_handlers() {
    let native = assert_same_with_both("faults", &[]).expect_success();
    assert!(native.text().contains("behind the breakpoint"), "{native:?}");
}

#[test]
fn faults_without_a_handler_kill() {
    for how in ["null", "divide", "illegal", "trap", "ignored", "blocked", "overflow"] {
        let native = assert_same_with_both("faults", &[how]);
        assert!(matches!(native.status, Status::Signal(_)), "{how}: {native:?}");
    }
}

#[test]
fn signals_do_what_they_do_by_default() {
    for (how, signal) in [
        ("blocked abort", 6),
        ("caught abort", 6),
        ("pending", 15),
        ("alarm", 14),
        ("reset", 10),
        ("1", 1),
        ("9", 9),
        ("10", 10),
        ("12", 12),
        ("13", 13),
        ("15", 15),
        ("34", 34),
        ("64", 64),
    ] {
        let native = assert_same_with_both("signals", &[how]);
        assert_eq!(native.status, Status::Signal(signal), "{how}: {native:?}");
    }
    for ignored in ["17", "18", "23", "28"] {
        let native = assert_same_with_both("signals", &[ignored]).expect_success();
        assert_eq!(native.text(), "still here\n", "{ignored}");
    }
}
