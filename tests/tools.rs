//! The tools of `tests/guests/tools.c`, through both C libraries, exactly as they run natively.
//!
//! What `programs.list` is for the distribution's programs, this is for musl, which none of them
//! links: a small program of our own, dynamic, file and pipe. Always true: the oracle of a musl guest is
//! the same executable natively. Static programs cannot be guests yet and are not here.

use shim_testkit::guest::compile_with;
use shim_testkit::run::MASK;
use shim_testkit::{Libc, Run, Status, assert_same};

/// Tool and arguments; each runs with a file's name, or reads the text from a pipe.
const RUNS: &[&[&str]] = &[
    &["cat", "text.txt"],
    &["cat"],
    &["cat", "gone.txt"],
    &["wc", "text.txt"],
    &["wc"],
    &["sort", "text.txt"],
    &["sort"],
    &["uniq", "text.txt"],
    &["uniq", "-"],
    &["tac", "text.txt"],
    &["tac"],
    &["rev", "text.txt"],
    &["rev"],
    &["grep", "^[bd].*[13579]$", "text.txt"],
    &["grep", "(ee|oo)", "-"],
    &["grep", "nothing"],
    &["cut", "2", "text.txt"],
    &["cut", "1"],
    &["sum", "text.txt"],
    &["sum"],
    &["statistics", "text.txt"],
    &["statistics"],
    &["map", "text.txt"],
    &["copy", "text.txt", "copied.txt"],
    &["copy", "text.txt", "text.txt"],
    &["ls"],
    &["time", "1999-12-31", "2038-01-20", "nonsense"],
    &["folders"],
    &["jump"],
    &["environment"],
    &["wide", "text.txt"],
    &["wide"],
    &["heap"],
    &["die", "abort"],
    &["die", "fault"],
    &["die", "divide"],
    &["die", "quietly"],
];

fn text() -> String {
    let words = ["ape", "bear", "cheetah", "dog", "eel", "goose", "h\u{e4}schen"];
    (0..400).map(|n| format!("{} {}\n", words[n * n % 7], n * 37 % 101)).collect()
}

fn check(libc: Libc) {
    let program = compile_with("tools", libc, &["-lm"]);
    let text = text();
    for arguments in RUNS {
        let run = Run::native(&program).args(*arguments).env(MASK.0, MASK.1).stdin(text.clone());
        let native = assert_same(&run, &[("text.txt", text.as_bytes())]);
        let is_death = arguments[0] == "die" && arguments[1] != "quietly";
        assert_eq!(matches!(native.status, Status::Signal(_)), is_death, "{arguments:?}");
        assert_ne!(native.status, Status::Code(2), "{arguments:?}: no such tool: {native:?}");
    }
}

#[test]
fn with_glibc() {
    check(Libc::Glibc);
}

#[test]
fn with_musl() {
    check(Libc::Musl);
}
