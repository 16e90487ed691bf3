//! Simulators and guest libraries of different protocol versions: which work together, and what is said
//! of the others.
//!
//! Builds whose protocol a test chose (`SHIM_TEST_PROTOCOL`) in; a program's output, or the documented
//! message, out. Always true: a refusal comes before the program's first instruction. The rule is in
//! `docs/abi-policy.md`.

use std::path::PathBuf;
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use shim_testkit::built::{built, library, root, target_dir};
use shim_testkit::{Folder, Outcome, Run, Status};

/// Build a package with this protocol, and copy what cargo made to `kept` before the next build.
fn build(package: &str, file: &str, protocol: &str, kept: PathBuf) -> PathBuf {
    static FOLDER: Mutex<()> = Mutex::new(());
    let _mine = FOLDER.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = target_dir().join("protocol");
    let output = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["build", "--locked", "-p", package, "--target-dir"])
        .arg(&folder)
        .current_dir(root())
        .env("SHIM_TEST_PROTOCOL", protocol)
        // Nobody looks into these programs.
        .env("CARGO_PROFILE_DEV_DEBUG", "0")
        .output()
        .expect("cargo can be started");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    std::fs::copy(folder.join("debug").join(file), &kept).expect("cargo has built it");
    kept
}

/// The guest library with this protocol, alone in its folder.
fn guest(folder: &Folder, protocol: &str) -> PathBuf {
    let place = folder.path().join(protocol);
    std::fs::create_dir(&place).expect("a fresh folder can be written");
    let kept = build("shim", "libshim.so", protocol, place.join("libshim.so.1"));
    // What the command expects beside it; the names of the C library do not depend on the protocol.
    let interposer = library().with_file_name("libshim-preload.so.1");
    std::fs::copy(interposer, place.join("libshim-preload.so.1")).expect("it is built");
    kept
}

/// A program that leaves a trace, once it runs.
fn run(folder: &Folder, simulator: &PathBuf, guest: &PathBuf) -> Outcome {
    Run::native(simulator)
        .folder(folder.path())
        .args(["exec", "--quiet", "--library"])
        .args([guest])
        .args(["--", "/usr/bin/touch", "has-run"])
        .finish()
}

fn has_run(folder: &Folder) -> bool {
    std::fs::remove_file(folder.path().join("has-run")).is_ok()
}

#[track_caller]
fn assert_refused(folder: &Folder, simulator: &PathBuf, guest: &PathBuf, versions: [&str; 2]) {
    let outcome = run(folder, simulator, guest);
    let says = String::from_utf8_lossy(&outcome.stderr).into_owned();
    assert_eq!(outcome.status, Status::Code(125), "{outcome:?}");
    let [theirs, ours] = versions;
    let expected = format!(
        "{} speaks protocol {theirs}, but {} speaks {ours}: use a library and a simulator of the same release",
        guest.display(),
        simulator.display()
    );
    assert!(says.contains(&expected), "expected {expected}\n     got {says}");
    assert!(!has_run(folder), "the program has begun");
}

#[test]
fn libraries_of_other_protocols_are_refused_with_the_documented_message() {
    let folder = Folder::new();
    let ours = ours();
    // Before 1.0, newer than this, and after it.
    for protocol in ["0.11", "1.10", "2.10"] {
        let guest = guest(&folder, protocol);
        assert_refused(&folder, &built().command, &guest, [protocol, &ours]);
    }
}

/// What the headers say.
fn ours() -> String {
    let header = std::fs::read_to_string(root().join("include/shim/version.h"));
    let header = header.expect("it is there");
    let number = |name: &str| {
        let line = header.lines().find(|line| line.contains(&format!("#define {name} ")));
        line.and_then(|line| line.rsplit(' ').next()).expect("it is there").to_owned()
    };
    let parts = ["SHIM_PROTOCOL_VERSION_MAJOR", "SHIM_PROTOCOL_VERSION_MINOR"].map(number);
    parts.join(".")
}

/// A library of the same or an older minor works, a newer one is refused; the one of this release works with later simulators.
#[test]
fn an_older_minor_of_the_same_major_works() {
    let folder = Folder::new();
    let simulator = build("shim-cli", "shim", "1.14", folder.path().join("shim"));
    for protocol in ["1.13", "1.14"] {
        let outcome = run(&folder, &simulator, &guest(&folder, protocol));
        assert_eq!(outcome.status, Status::Code(0), "{protocol}: {outcome:?}");
        assert!(has_run(&folder), "{protocol}: {outcome:?}");
    }
    let outcome = run(&folder, &simulator, &library().to_path_buf());
    assert_eq!(outcome.status, Status::Code(0), "{outcome:?}");
    assert!(has_run(&folder), "{outcome:?}");
    let newer = guest(&folder, "1.15");
    assert_refused(&folder, &simulator, &newer, ["1.15", "1.14"]);
    let other = guest(&folder, "0.99");
    assert_refused(&folder, &simulator, &other, ["0.99", "1.14"]);
}
