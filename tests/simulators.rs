//! Simulators of somebody else's on bare hosts: the examples, and the functions that they are made of, one by one.
//!
//! The installed SDK in; programs that know nothing else of this repository, built in an empty folder, and what they print, out.
//! Always true: two runs print the same; the checkers of memory find nothing. Hosts with a kernel are in `embedders.rs`.

use std::path::PathBuf;
use std::process::Command;

use shim_testkit::built::{root, target_dir};
use shim_testkit::installed::{pkg_config_of, prefix, with_library};
use shim_testkit::{Folder, Run, Status};

/// Copy a source into a folder, and build it there.
fn compile(folder: &Folder, source: &str, extra: &[&str]) -> PathBuf {
    let source = root().join(source);
    let name = source.file_name().expect("it is a file");
    let copy = folder.path().join(name);
    std::fs::copy(&source, &copy).expect("a fresh folder can be written");
    let program = copy.with_extension("");
    let output = Command::new("gcc")
        .args(["-std=c99", "-g", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-o"])
        .arg(&program)
        .arg(&copy)
        .args(extra)
        .args(pkg_config_of("shim-supervisor", &["--cflags", "--libs"]).split(' '))
        .current_dir(folder.path())
        .output()
        .expect("gcc can be started");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    program
}

/// What a simulator prints.
#[track_caller]
fn output_of(run: Run) -> String {
    let outcome = with_library(run).finish();
    assert_eq!(outcome.status, Status::Code(0), "{outcome:?}");
    assert!(outcome.stderr.is_empty(), "{outcome:?}");
    outcome.text()
}

/// What `examples/c/simulator.c` is for.
#[track_caller]
fn assert_simulates(text: &str) {
    for line in [
        "[  0.000000000] alpha 101: is launched",
        "The script begins.",
        "Sat Jan  1 00:00:00 UTC 2000",
        "sleeps for 2500000000 ns",
        "false exits with 1",
        "Sat Jan  1 00:00:02 UTC 2000",
        "00:00:00 on beta",
        "10.0.0.2        beta",
        "10.0.0.1        alpha",
        "has a new program",
        "alpha 101: exits with 0",
    ] {
        assert!(text.contains(line), "no {line:?} in:\n{text}");
    }
    let last = text.lines().last().unwrap_or_default();
    assert!(last.starts_with("[  2.500") && last.ends_with("alpha 101: exits with 0"), "{text}");
    assert!(!text.contains("not there") && !text.contains("for ever"), "{text}");
}

#[test]
fn a_simulator_in_c_repeats_itself() {
    let folder = Folder::new();
    let program = compile(&folder, "examples/c/simulator.c", &[]);
    let text = output_of(Run::native(&program));
    assert_simulates(&text);
    assert_eq!(output_of(Run::native(&program)), text);
}

#[test]
fn a_simulator_in_rust_prints_the_same() {
    let folder = Folder::new();
    let program = compile(&folder, "examples/c/simulator.c", &[]);
    let target = target_dir().join("example-simulator");
    let copied = folder.path().join("rust");
    let copy = Command::new("cp").arg("-r").arg(root().join("examples/rust")).arg(&copied).status();
    assert!(copy.expect("cp can be started").success(), "the example cannot be copied");
    let output = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["build", "--locked", "--bin", "simulator", "--target-dir"])
        .arg(&target)
        .current_dir(&copied)
        .env("PKG_CONFIG_PATH", prefix().join("lib/pkgconfig"))
        .output()
        .expect("cargo can be started");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let twin = target.join("debug/simulator");
    assert_eq!(output_of(Run::native(&twin)), output_of(Run::native(&program)));
}

/// The program of each function's test, its guest, and one that can be none.
fn bare(folder: &Folder, extra: &[&str]) -> (PathBuf, [PathBuf; 2]) {
    let guest = |name: &str, mode: &[&str]| {
        let program = folder.path().join(name);
        let output = Command::new("gcc")
            .args(["-std=c99", "-Wall", "-Wextra", "-Werror", "-pthread", "-o"])
            .arg(&program)
            .arg(root().join("tests/consumers/asker.c"))
            .args(mode)
            .output()
            .expect("gcc can be started");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        program
    };
    let guests = [guest("asker", &[]), guest("static", &["-static"])];
    (compile(folder, "tests/consumers/bare.c", &[&["-pthread"], extra].concat()), guests)
}

#[test]
fn every_function_does_what_its_page_says() {
    let folder = Folder::new();
    let (program, guests) = bare(&folder, &[]);
    for _ in 0..2 {
        assert_eq!(output_of(Run::native(&program).args(&guests)), "");
    }
}

/// Valgrind knows neither pidfd_open(2) nor CLONE_PIDFD, so no simulation can be made under it: what it can see is how the
/// functions take nonsense. The rest is the sanitizer's to find.
#[test]
fn valgrind_finds_nothing_in_refusals() {
    let folder = Folder::new();
    let (program, _) = bare(&folder, &[]);
    let run = Run::native("valgrind")
        .args(["--quiet", "--error-exitcode=99", "--leak-check=full"])
        .args(["--errors-for-leak-kinds=definite"])
        .args([&program]);
    assert_eq!(output_of(run), "");
}

#[test]
fn the_sanitizers_find_nothing() {
    let folder = Folder::new();
    let sanitizer = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"];
    let program = compile(&folder, "examples/c/simulator.c", &sanitizer);
    assert_simulates(&output_of(Run::native(&program)));
    let (program, guests) = bare(&folder, &sanitizer);
    assert_eq!(output_of(Run::native(&program).args(&guests)), "");
}
