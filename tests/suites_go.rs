//! The tests of Go's `net` and `net/http`, natively and as guests, test by test.
//!
//! The sources that Debian's compiler comes with in, the tests that pass natively and not as guests out. Always true:
//! a package's tests are one program, linked dynamically by the system's linker, which runs in the folder of its
//! sources; a test, or a part of one, counts if it passes natively in a network namespace of its own, in one of two
//! tries; all that count pass as guests, but for the exceptions in `tests/expected/{go-net,go-net-http}`. It
//! takes minutes, so it runs when asked for (`cargo test --test suites_go -- --ignored`). Other suites are in
//! `suites.rs`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use shim_testkit::built::built;
use shim_testkit::suite::{self, text};
use shim_testkit::{Outcome, Run};

/// How long all tests of a package may take in wall time.
const LIMIT: Duration = Duration::from_secs(400);

/// The packages, by what their exceptions are called; fewer tests than this show that something else is wrong.
const PACKAGES: &[(&str, &str, usize)] =
    &[("go-net", "net", 250), ("go-net-http", "net/http", 500)];

/// The program with a package's tests.
fn build(name: &str, package: &str) -> PathBuf {
    let folder = suite::folder();
    fs::create_dir_all(&folder).expect("the target directory can be written");
    let program = folder.join(name);
    let (cache, path) = (folder.join("gocache"), folder.join("gopath"));
    let outcome = Run::native("go")
        .args(["test", "-c", "-ldflags=-linkmode=external", "-o", text(&program), package])
        .env("CGO_ENABLED", "1")
        .env("GOCACHE", text(&cache))
        .env("GOPATH", text(&path))
        .limit(LIMIT)
        .finish();
    assert!(program.exists(), "{package}: {outcome:?}");
    program
}

/// Where a package's sources are, and what its tests read.
fn sources(package: &str) -> PathBuf {
    let root = Run::native("go").args(["env", "GOROOT"]).finish().expect_success().text();
    fs::canonicalize(root.trim()).expect("go has a root").join("src").join(package)
}

/// Which tests and parts of tests passed, as a verbose run tells.
fn passed(outcome: &Outcome) -> BTreeSet<String> {
    let text = String::from_utf8_lossy(&outcome.stdout);
    let passed = text.lines().filter_map(|line| line.trim_start().strip_prefix("--- PASS: "));
    passed.filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
}

/// What a run says of a test that did not pass.
fn said_of(outcome: &Outcome, test: &str) -> String {
    let text = String::from_utf8_lossy(&outcome.stdout);
    let verdict = format!("--- FAIL: {test} ");
    // Its words stand before the verdict.
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let at = lines.iter().position(|line| line.contains(&verdict));
    let said = at.map_or(&[][..], |at| &lines[at.saturating_sub(2)..=at]);
    if said.is_empty() { "is not reached, or skipped".into() } else { said.join(" / ") }
}

/// What is wrong with each test of a package that counts.
fn done(name: &str, package: &str) -> BTreeMap<String, Option<String>> {
    let (program, sources) = (build(name, package), sources(package));
    let options = ["-test.v", "-test.short"];
    let natively = || {
        // Who is not the machine's owner may be one's own.
        let flags = if rustix::process::geteuid().is_root() { "-n" } else { "-rn" };
        let begin = "ip link set lo up && exec \"$@\"";
        Run::native("/usr/bin/unshare")
            .args([flags, "/bin/sh", "-c", begin, "sh", text(&program)])
            .args(options)
            .folder(&sources)
            .limit(LIMIT)
            .finish()
    };
    let counts = &passed(&natively()) | &passed(&natively());
    let run = Run::native(&program).args(options).folder(&sources).limit(LIMIT);
    let outcome = run.as_guest(["--quiet"]).finish();
    let as_guests = passed(&outcome);
    let what = |test: &String| (!as_guests.contains(test)).then(|| said_of(&outcome, test));
    counts.iter().map(|test| (test.clone(), what(test))).collect()
}

#[test]
#[ignore = "takes minutes; continuous integration runs it"]
fn tests_that_pass_natively_pass_as_guests() {
    built();
    let mut wrong = String::new();
    for (name, package, tests_min) in PACKAGES {
        let done = done(name, package);
        assert!(done.len() >= *tests_min, "{package}: only {} tests", done.len());
        let (unexpected, failing) = suite::judge(name, &done);
        wrong += &unexpected;
        assert!(failing * suite::ONE_OF <= done.len(), "{package}: {failing} do not pass");
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn exceptions_have_reasons() {
    for (name, ..) in PACKAGES {
        suite::assert_exceptions_have_reasons(name);
    }
}
