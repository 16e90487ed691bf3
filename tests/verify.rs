//! `shim verify`: whether a scenario is repeatable, and where it is not.
//!
//! Scenarios of `examples/` in; statuses and words out. Always true: each test has a folder of its own.
//! That runs are repeatable at all is tested in `determinism.rs` and `run.rs`.

use std::process::Command;

use shim_testkit::built::{built, library, root};
use shim_testkit::{Folder, Outcome, Run, Status};

fn verify(folder: &Folder, arguments: &[&str]) -> Outcome {
    let run = Run::native(&built().command).args(["verify"]).args(arguments);
    run.folder(folder.path()).finish()
}

fn example(name: &str) -> String {
    root().join("examples/scenarios").join(name).to_str().expect("it is UTF-8").to_owned()
}

#[test]
fn the_first_scenario_is_repeatable_and_nothing_is_left() {
    let folder = Folder::new();
    let outcome = verify(&folder, &[&example("first.yaml")]).expect_success();
    let text = outcome.text();
    assert!(text.starts_with("identical: two runs with "), "{outcome:?}");
    assert!(text.contains("9 processes, 86400"), "{outcome:?}");
    assert!(folder.contents().is_empty(), "{:?}", folder.contents().keys());
    let outcome = verify(&folder, &[&example("first.yaml"), "--keep", "--parallelism", "1"]);
    assert!(outcome.expect_success().text().contains("with 1 and 2 workers"));
    for run in ["run-1", "run-2"] {
        let trace =
            folder.path().join("shim.data.verify").join(run).join("hosts/alice/date.1000.strace");
        assert!(trace.is_file(), "system calls are recorded");
    }
    let outcome = verify(&folder, &[&example("first.yaml")]);
    assert_eq!(outcome.status, Status::Code(2), "the kept runs are in the way: {outcome:?}");
    assert!(String::from_utf8_lossy(&outcome.stderr).contains("exists already"), "{outcome:?}");
}

/// `examples/c/leak.c`, compiled into `folder` as a user would.
fn compile_leak(folder: &Folder) {
    for name in ["libshim.so", "libshim.so.1"] {
        std::fs::copy(library(), folder.path().join(name)).expect("a fresh folder can be written");
    }
    let status = Command::new("gcc")
        .args(["-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-I"])
        .arg(root().join("include"))
        .arg(root().join("examples/c/leak.c"))
        .args(["-L.", "-lshim", "-Wl,-rpath,$ORIGIN", "-o", "leak"])
        .current_dir(folder.path())
        .status()
        .expect("gcc can be started");
    assert!(status.success());
}

#[test]
fn a_leak_of_real_time_is_caught_and_named() {
    let folder = Folder::new();
    compile_leak(&folder);
    let outcome = verify(&folder, &[&example("leak.yaml")]);
    assert_eq!(outcome.status, Status::Code(1), "{outcome:?}");
    let text = outcome.text();
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].starts_with("not identical"), "{text}");
    let call = "the first call that differs: host leaky, process leak.1000, at 60.0000";
    assert!(lines[1].starts_with(call), "{text}");
    let said = |line: &str, run: &str| {
        line.trim_start().starts_with(run) && line.contains("write(1, \"simulated clock: 946684860")
    };
    assert!(said(lines[2], "first run: ") && said(lines[3], "second run: "), "{text}");
    assert_ne!(lines[2].split("real clock").last(), lines[3].split("real clock").last());
    let files = ["  hosts/leaky/leak.1000.stdout", "  hosts/leaky/leak.1000.strace"];
    assert_eq!(lines[4..7], ["files that differ:", files[0], files[1]]);
    assert!(folder.path().join("shim.data.verify/run-2/hosts/leaky").is_dir(), "both are kept");
}

#[test]
fn an_ending_that_was_not_expected_is_told_and_can_still_be_repeatable() {
    let yaml = "general: {stop_time: 1 s}\nnetwork: {graph: {type: 1_gbit_switch}}\nhosts:\n  \
                a: {network_node_id: 0, processes: [{path: 'false'}]}\n";
    let folder = Folder::with(&[("shim.yaml", yaml.as_bytes())]);
    let outcome = verify(&folder, &["shim.yaml"]).expect_success();
    assert!(outcome.text().starts_with("identical"), "{outcome:?}");
    assert!(String::from_utf8_lossy(&outcome.stderr).contains("1 of 1"), "{outcome:?}");
}

#[test]
fn a_bad_configuration_is_status_2() {
    let folder = Folder::with(&[("bad.yaml", b"general: {stop_time: soon}\n")]);
    for arguments in [&["bad.yaml"][..], &["missing.yaml"], &[]] {
        assert_eq!(verify(&folder, arguments).status, Status::Code(2), "{arguments:?}");
    }
    assert_eq!(folder.contents().len(), 1, "{:?}", folder.contents().keys());
}
