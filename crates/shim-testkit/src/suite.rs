//! Suites of tests that others wrote: where their sources are, what became of each test, which exceptions there are.
//!
//! Names of packages and results in, a folder of sources and what is unexpected out. Always true: sources are those of
//! the installed packages, fetched once per target directory; an exception stands in `tests/expected/<suite>` with
//! its reason. Building and running tests is their own file's.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::built::{root, target_dir};

/// Of how many tests one may be an exception.
pub const ONE_OF: usize = 50;

/// The folder for sources and programs of suites.
pub fn folder() -> PathBuf {
    target_dir().join("suites")
}

/// Call a program in `folder`: whether it succeeded, and what it said on standard error.
pub fn call(program: &str, folder: &Path, arguments: &[&str]) -> (bool, String) {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(folder)
        .output()
        .unwrap_or_else(|error| panic!("{program} cannot be started: {error}"));
    (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
}

/// A path as text.
pub fn text(path: &Path) -> &str {
    path.to_str().expect("the path is text")
}

/// The folder with a folder of sources for each of these binary packages; fetched by `programs2/sources.sh` if they
/// are not there.
pub fn sources(packages: &[&str]) -> PathBuf {
    let sources = folder().join("sources");
    fs::create_dir_all(&sources).expect("the target directory can be written");
    let is_missing = |package: &&&str| !sources.join(package).is_dir();
    let missing: Vec<&str> = packages.iter().filter(is_missing).copied().collect();
    if !missing.is_empty() {
        let script = root().join("tests/programs2/sources.sh");
        let arguments = [&[text(&script), text(&sources)], &missing[..]].concat();
        let (is_ok, says) = call("sh", &folder(), &arguments);
        assert!(is_ok, "{}: {says}", script.display());
    }
    sources
}

/// The exceptions of a suite and why they are: each line is a test and, behind `#`, the reason.
fn expected(suite: &str) -> BTreeMap<String, String> {
    let text = fs::read_to_string(root().join("tests/expected").join(suite)).unwrap_or_default();
    text.lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| line.split_once('#').unwrap_or((line, "")))
        .map(|(name, reason)| (name.trim().to_owned(), reason.trim().to_owned()))
        .collect()
}

/// Fail if an exception of this suite has no reason.
#[track_caller]
pub fn assert_exceptions_have_reasons(suite: &str) {
    for (name, reason) in expected(suite) {
        assert!(reason.len() > 10, "{suite}: {name}: no reason");
    }
}

/// Print how many of a suite's tests pass, and why others do not; what is unexpected of that, in words, and
/// how many do not pass. `done`: each test that counts, and what is wrong with it as a guest.
pub fn judge(suite: &str, done: &BTreeMap<String, Option<String>>) -> (String, usize) {
    let expected = expected(suite);
    let (mut unexpected, mut failing) = (String::new(), 0);
    for (name, why) in done.iter().filter_map(|(name, why)| Some((name, why.as_ref()?))) {
        failing += 1;
        println!("{suite} {name}: {why}");
        if !expected.contains_key(name) {
            _ = writeln!(unexpected, "{suite} {name}: {why}");
        }
    }
    println!("{suite}: {} of {} tests pass", done.len() - failing, done.len());
    (unexpected, failing)
}
