//! The programs of `benches/` still run: what they measure would otherwise rot unseen.
//!
//! Every operation of every program is done once, natively, and those of `benches/guest/` as a guest too.
//! Always true: the table measures exactly the operations that the programs have; nothing here looks at a
//! time. What the programs measure is said in each of them.

use std::collections::BTreeSet;
use std::path::PathBuf;

use shim_testkit::built::root;
use shim_testkit::guest::compile_from;
use shim_testkit::network::Scenario;
use shim_testkit::{Libc, Run, Status};

#[path = "../benches/costs/rows.rs"]
#[expect(dead_code, reason = "titles and targets are for the table")]
mod rows;

use rows::{Part, ROWS, Subject};

const GUEST: &str = "benches/guest";
const FLOOR: &str = "benches/floor";
/// What has no operations: measured from outside, or loaded into others.
const WITHOUT: &[&str] = &["start", "crowd", "empty", "web"];

/// The programs of a folder that have operations.
fn programs(folder: &str) -> Vec<(String, PathBuf)> {
    let entries = std::fs::read_dir(root().join(folder)).expect("the folder is there").flatten();
    let names =
        entries.filter_map(|e| Some(e.file_name().to_str()?.strip_suffix(".c")?.to_owned()));
    let mut names: Vec<String> = names.filter(|name| !WITHOUT.contains(&name.as_str())).collect();
    names.sort();
    let compiled = |name: String| {
        let path = compile_from(folder, &name, Libc::Glibc, &["-O2"]);
        (name, path)
    };
    names.into_iter().map(compiled).collect()
}

fn operations(program: &PathBuf) -> Vec<String> {
    let names = Run::native(program).finish().expect_success().text();
    names.lines().map(str::to_owned).collect()
}

/// Done once it is silent; a floor may need what this machine does not have, and says so.
#[track_caller]
fn once(run: Run, may_be_unavailable: bool) {
    let outcome = run.finish();
    if may_be_unavailable && outcome.status == Status::Code(3) {
        let why = String::from_utf8_lossy(&outcome.stderr).into_owned();
        assert!(why.starts_with("not available: a second processor"), "{why}");
        return;
    }
    let outcome = outcome.expect_success();
    assert!(outcome.stdout.is_empty() && outcome.stderr.is_empty(), "{outcome:?}");
}

#[test]
fn every_operation_runs_natively_and_as_a_guest() {
    for (_, program) in programs(GUEST) {
        for operation in operations(&program) {
            let run = Run::native(&program).args([&operation, "1"]);
            once(run.clone(), false);
            once(run.as_guest(["--quiet"]), false);
        }
    }
}

#[test]
fn every_floor_runs() {
    for (_, program) in programs(FLOOR) {
        for operation in operations(&program) {
            once(Run::native(&program).args([&operation, "1"]), true);
        }
    }
}

/// What a program says of itself is what the table reads: a figure, natively and as a guest.
#[test]
fn a_program_says_what_an_operation_costs() {
    let program = compile_from(GUEST, "calls", Libc::Glibc, &["-O2"]);
    let run = Run::native(program).args(["getpid-first"]);
    for run in [run.clone(), run.as_guest(["--quiet"])] {
        let text = run.finish().expect_success().text();
        assert!(text.trim().parse::<f64>().is_ok_and(|ns| ns > 0.0), "{text}");
    }
}

#[test]
fn a_crowd_gathers_and_ends() {
    let program = compile_from(GUEST, "crowd", Libc::Glibc, &["-O2"]);
    let run = Run::native(program).args(["3"]);
    for run in [run.clone(), run.as_guest(["--quiet"])] {
        assert_eq!(run.finish().expect_success().text(), "ready\n");
    }
}

/// What fetches tells a wrong length, and a whole file from a server that has it.
#[test]
fn a_client_fetches_what_its_server_has() {
    let program = compile_from(GUEST, "web", Libc::Glibc, &["-O2"]);
    let program = program.to_str().expect("the target directory has a plain name");
    let fetch = |bytes| ["fetch", "server", "80", bytes, "3"];
    let run = Scenario::new()
        .node(0, "100 Mbit", "2 ms")
        .host("server", 0)
        .serves(program, &["serve", "80", "300000"])
        .host("client", 0)
        .runs(1, program, &fetch("300000"))
        .fails(1, program, &fetch("300001"), 1)
        .run();
    let name = program.rsplit('/').next().expect("it is a path");
    assert_eq!(run.said("client", name, 0), "3 times 300000 bytes\n");
}

#[test]
fn the_table_has_every_operation() {
    let mut measured = BTreeSet::new();
    for row in ROWS {
        if let Subject::Operation((program, operation)) = row.subject {
            measured.insert(format!("{GUEST}/{program}.c {operation}"));
        }
        for part in row.floor {
            if let Part::Times(_, (program, operation)) = part {
                measured.insert(format!("{FLOOR}/{program}.c {operation}"));
            }
        }
    }
    let mut present = BTreeSet::new();
    for folder in [GUEST, FLOOR] {
        for (name, program) in programs(folder) {
            for operation in operations(&program) {
                present.insert(format!("{folder}/{name}.c {operation}"));
            }
        }
    }
    let only: Vec<_> = measured.symmetric_difference(&present).collect();
    assert!(only.is_empty(), "in the table or in a program only: {only:#?}");
}
