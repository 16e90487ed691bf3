//! What embedders use: native sections, log records, features; in C and C++, natively and as a guest.
//!
//! `tests/guests/embed.c`, compiled by both compilers, in; what it finds wrong, and the log that it
//! wrote, out. Always true: the same program runs both ways. The functions of the seed are tested in
//! `sdk.rs`.

use std::path::PathBuf;
use std::process::Command;

use shim_testkit::built::{library, root};
use shim_testkit::{Folder, Outcome, Run, Status};

/// The program, by a compiler for C99 or C++11.
fn program(folder: &Folder, compiler: &str, language: &[&str]) -> PathBuf {
    let program = folder.path().join(compiler);
    let output = Command::new(compiler)
        .args(language)
        .args(["-D_DEFAULT_SOURCE", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-I"])
        .arg(root().join("include"))
        .arg("-o")
        .arg(&program)
        .arg(root().join("tests/guests/embed.c"))
        .args(["-x", "none"])
        .arg(library())
        .output()
        .unwrap_or_else(|error| panic!("{compiler} cannot be started: {error}"));
    assert!(output.status.success(), "{compiler}: {}", String::from_utf8_lossy(&output.stderr));
    program
}

const COMPILERS: &[(&str, &[&str])] = &[
    ("gcc", &["-std=c99"]),
    ("clang", &["-std=c2x"]),
    ("musl-gcc", &["-std=c11"]),
    ("g++", &["-std=c++11", "-x", "c++"]),
    ("clang++", &["-std=c++20", "-x", "c++"]),
];

fn run(program: &PathBuf, mode: &str) -> Run {
    let folder = library().parent().expect("it lies in a folder");
    Run::native(program).env("LD_LIBRARY_PATH", folder).args([mode])
}

#[track_caller]
fn assert_right(outcome: &Outcome) {
    assert_eq!((outcome.status, outcome.text().as_str()), (Status::Code(0), ""), "{outcome:?}");
}

#[test]
fn natively_errors_and_warnings_are_lines_on_standard_error() {
    let folder = Folder::new();
    for (compiler, language) in COMPILERS {
        let outcome = run(&program(&folder, compiler, language), "native").finish();
        assert_right(&outcome);
        let long = "x".repeat(1000);
        let expected = format!(
            "error: one \x1b[31m red\nwarning: two\nerror: edge\nerror: {long}\nerror: not \u{fffd}\u{fffd} text\n"
        );
        assert_eq!(String::from_utf8_lossy(&outcome.stderr), expected, "{compiler}");
    }
}

#[test]
fn a_guests_records_are_in_the_log_of_the_run() {
    let folder = Folder::new();
    for (compiler, language) in COMPILERS {
        let guest = run(&program(&folder, compiler, language), "guest");
        let quiet = guest.clone().as_guest(["--quiet", "--log-level", "off"]).finish();
        assert_right(&quiet);
        assert!(quiet.stderr.is_empty(), "{compiler}: {quiet:?}");
        let outcome = guest.as_guest(["--log-level", "info"]).finish();
        assert_right(&outcome);
        let log = String::from_utf8_lossy(&outcome.stderr).into_owned();
        let has = |words: &str| log.lines().any(|line| line.ends_with(words));
        for words in ["two", "three", "edge", "not \u{fffd}\u{fffd} text", &"x".repeat(1000)] {
            assert!(has(words), "{compiler}: {words}: {log}");
        }
        assert!(!has("four") && !has("five") && !has("none"), "{compiler}: {log}");
        assert!(!log.contains('\x1b') && log.contains("one \\u{1b}[31m red"), "{compiler}: {log}");
    }
}

#[test]
fn more_records_than_the_ring_holds_arrive_in_order() {
    let folder = Folder::new();
    let guest = run(&program(&folder, "gcc", &["-std=c99"]), "guest").args(["many"]);
    let outcome = guest.as_guest(["--log-level", "info"]).finish();
    assert_right(&outcome);
    let log = String::from_utf8_lossy(&outcome.stderr).into_owned();
    let numbers: Vec<u32> = log
        .lines()
        .filter_map(|line| line.rsplit_once("record ").and_then(|(_, n)| n.parse().ok()))
        .collect();
    assert_eq!(numbers, (0..3000).collect::<Vec<_>>());
}

/// A section without an end, or without a beginning, is refused by the compiler.
#[test]
fn half_a_native_section_does_not_compile() {
    let folder = Folder::new();
    for (half, name) in [("SHIM_NATIVE_BEGIN(was);", "begin"), ("SHIM_NATIVE_END(was);", "end")] {
        let source = folder.path().join(format!("{name}.c"));
        let text = format!("#include <shim/native.h>\nvoid f(void);\nvoid f(void) {{ {half} }}\n");
        std::fs::write(&source, text).expect("a fresh folder can be written");
        let output = Command::new("gcc")
            .args(["-fsyntax-only", "-I"])
            .arg(root().join("include"))
            .arg(&source)
            .output()
            .expect("gcc can be started");
        assert!(!output.status.success(), "{half}");
    }
}
