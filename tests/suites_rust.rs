//! The tests of published event loops in Rust, natively and as guests, test by test.
//!
//! Packages of the registry in, the tests that pass natively and not as guests out. Always true: the packages are those
//! of `programs2/rust/Cargo.lock`, and cargo alone fetches them; the files with a package's tests are one program, each
//! file a module; a test counts if it passes natively in one of two tries; all that count pass as guests, but for the
//! exceptions in `tests/expected/rust`, which are at most two of a hundred. It takes minutes, so it runs when asked for
//! (`cargo test --test suites_rust -- --ignored`). Other suites are in `suites.rs`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use shim_testkit::built::{built, root};
use shim_testkit::suite::{self, text};
use shim_testkit::{Folder, Run, each};

/// How long the tests of a module may take in wall time.
const LIMIT: Duration = Duration::from_secs(100);

/// The packages whose tests are files beside their sources, and the beginnings of those files' names that are left out:
/// what is for other systems, and what of a runtime touches no call.
const TESTED: &[(&str, &[&str])] = &[
    ("polling", &["windows_"]),
    ("async-io", &[]),
    ("quinn-udp", &[]),
    (
        "tokio",
        &[
            "_",
            "async_send_sync",
            "buffered",
            "coop_",
            "dump",
            "duplex_",
            "fs_uring",
            "io_",
            "join_",
            "macros_",
            "no_rt",
            "rt_emscripten",
            "rt_multi_thread_emscripten",
            "sync_",
            "task_",
            "test_",
            "time_wasm",
            "tracing_",
            "unwindsafe",
        ],
    ),
];
/// What is in all the same.
const KEPT: &[&str] = &["io_async_fd", "io_copy_bidirectional", "io_driver", "task_blocking"];
/// The package whose tests are in its sources.
const TESTS_ITSELF: &str = "calloop";
/// Tests that end natively and not as guests, which would keep those beside them from ending, too: they are not run as
/// guests, and are exceptions.
const ENDLESS: &[&str] = &["rt_threaded::test_tuning"];
/// Fewer tests than this show that something else is wrong.
const TESTS_MIN: usize = 500;

/// What cargo prints, in this folder.
fn cargo(folder: &Path, arguments: &[&str]) -> String {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(program).args(arguments).current_dir(folder).output();
    let output = output.expect("cargo can be started");
    let says = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cargo {arguments:?}: {says}");
    String::from_utf8(output.stdout).expect("cargo writes text")
}

/// Where the sources of each package are.
fn sources(folder: &Path) -> BTreeMap<String, PathBuf> {
    let metadata = cargo(folder, &["metadata", "--locked", "--format-version", "1"]);
    let metadata: Value = serde_json::from_str(&metadata).expect("cargo writes JSON");
    let packages = metadata["packages"].as_array().expect("it has packages").iter();
    let of = packages.filter_map(|package| {
        let manifest = Path::new(package["manifest_path"].as_str()?);
        Some((package["name"].as_str()?.to_owned(), manifest.parent()?.to_owned()))
    });
    of.collect()
}

/// The files with a package's tests, without `.rs`.
fn files(tests: &Path, left_out: &[&str]) -> Vec<String> {
    let entries = fs::read_dir(tests).expect("the package has tests");
    let names = entries.map(|entry| entry.expect("it can be read").file_name());
    let names = names.filter_map(|name| Some(name.to_str()?.strip_suffix(".rs")?.to_owned()));
    let is_in = |name: &String| {
        KEPT.contains(&name.as_str()) || !left_out.iter().any(|start| name.starts_with(start))
    };
    let mut names: Vec<String> = names.filter(is_in).collect();
    names.sort();
    names
}

/// The programs with the packages' tests.
fn build() -> Vec<PathBuf> {
    let folder = suite::folder().join("rust");
    fs::create_dir_all(&folder).expect("the target directory can be written");
    let data = root().join("tests/programs2/rust");
    let mut manifest =
        fs::read_to_string(data.join("Cargo.toml")).expect("it is in the repository");
    let write = |name: &str, words: &str| {
        fs::write(folder.join(name), words).expect("the folder can be written");
    };
    write("Cargo.toml", &manifest);
    write("lib.rs", "");
    fs::copy(data.join("Cargo.lock"), folder.join("Cargo.lock")).expect("it is in the repository");
    let sources = sources(&folder);
    let mut add = |name: &str, path: &Path| {
        let (name, path) = (name.replace('-', "_"), text(path));
        _ = write!(manifest, "\n[[test]]\nname = \"test_{name}\"\npath = \"{path}\"\n");
    };
    for (package, left_out) in TESTED {
        let tests = sources[*package].join("tests");
        let mut modules = String::new();
        for name in files(&tests, left_out) {
            let path = tests.join(format!("{name}.rs"));
            _ = writeln!(modules, "#[path = {path:?}]\nmod r#{name};");
        }
        let file = format!("{package}.rs");
        write(&file, &modules);
        add(package, &folder.join(file));
    }
    add(TESTS_ITSELF, &sources[TESTS_ITSELF].join("src/lib.rs"));
    write("Cargo.toml", &manifest);

    let target = suite::folder().join("rust-target");
    let place = ["--target-dir", text(&target)];
    let options = ["build", "--locked", "--tests", "--message-format", "json"];
    let messages = cargo(&folder, &[&options[..], &place].concat());
    let messages = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let programs = messages.filter_map(|message| {
        let name = message["target"]["name"].as_str()?;
        let program = message["executable"].as_str()?;
        name.starts_with("test_").then(|| PathBuf::from(program))
    });
    programs.collect()
}

/// The tests of a module, all of one program.
struct Module {
    program: PathBuf,
    tests: Vec<String>,
}

impl Module {
    /// Those of a program.
    fn of(program: &Path) -> Vec<Module> {
        let list = Run::native(program).args(["--list", "--format", "terse"]).finish();
        let list = list.expect_success().text();
        let mut modules = BTreeMap::<&str, Vec<String>>::new();
        for name in list.lines().filter_map(|line| line.strip_suffix(": test")) {
            let module = name.split("::").next().unwrap_or(name);
            modules.entry(module).or_default().push(name.to_owned());
        }
        let modules = modules.into_values();
        modules.map(|tests| Module { program: program.to_owned(), tests }).collect()
    }

    /// Which of these passed, and what was said.
    fn run(&self, tests: &BTreeSet<String>, is_guest: bool) -> (BTreeSet<String>, String) {
        let folder = Folder::new();
        let run = Run::native(&self.program)
            .args(["--test-threads", "1", "--exact"])
            .args(tests)
            .folder(folder.path())
            .env("TMPDIR", folder.path())
            .limit(LIMIT);
        let run = if is_guest { run.as_guest(["--quiet"]) } else { run };
        let Ok(outcome) = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run.finish()))
        else {
            return (BTreeSet::new(), "it took too long".to_owned());
        };
        let said = outcome.text();
        // A test may write on its own line: only how the line ends tells.
        let has_passed = |test: &&String| {
            let begin = format!("test {test} ... ");
            let should_panic = format!("test {test} - should panic ... ");
            let rest = said.split_once(&begin).or_else(|| said.split_once(&should_panic));
            rest.is_some_and(|(_, rest)| rest.lines().find_map(verdict) == Some(true))
        };
        let passed = tests.iter().filter(has_passed).cloned().collect();
        (passed, said + &String::from_utf8_lossy(&outcome.stderr))
    }

    /// What is wrong with each test that counts.
    fn done(&self) -> Vec<(String, Option<String>)> {
        let tests: BTreeSet<String> = self.tests.iter().cloned().collect();
        let (mut counts, _) = self.run(&tests, false);
        let failed: BTreeSet<String> = tests.difference(&counts).cloned().collect();
        if !failed.is_empty() {
            counts.extend(self.run(&failed, false).0);
        }
        if counts.is_empty() {
            return Vec::new();
        }
        let end = |test: &&String| !ENDLESS.contains(&test.as_str());
        let (passed, said) = self.run(&counts.iter().filter(end).cloned().collect(), true);
        let what = |test: &String| (!passed.contains(test)).then(|| said_of(&said, test));
        counts.iter().map(|test| (test.clone(), what(test))).collect()
    }
}

/// What a line says of a test, if it does.
fn verdict(line: &str) -> Option<bool> {
    if line.ends_with("ok") {
        Some(true)
    } else if line.ends_with("FAILED") || line.starts_with("test ") {
        Some(false)
    } else {
        None
    }
}

/// What a run says of a test that did not pass.
fn said_of(said: &str, test: &str) -> String {
    let block = said.split_once(&format!("---- {test} stdout ----"));
    let lines = block.map_or(said, |(_, rest)| rest).lines().filter(|line| !line.is_empty());
    let lines: Vec<&str> = lines.collect();
    let shown = if block.is_some() {
        &lines[..lines.len().min(4)]
    } else {
        &lines[lines.len().saturating_sub(3)..]
    };
    shown.join(" / ")
}

#[test]
#[ignore = "fetches packages and takes minutes; continuous integration runs it"]
fn tests_that_pass_natively_pass_as_guests() {
    built();
    let modules: Vec<Module> = build().iter().flat_map(|it| Module::of(it)).collect();
    let done = each(&modules, |module| Some(module.done()));
    let done: BTreeMap<_, _> = done.into_iter().flatten().collect();
    assert!(done.len() >= TESTS_MIN, "only {} tests", done.len());
    let (unexpected, failing) = suite::judge("rust", &done);
    assert!(unexpected.is_empty(), "{unexpected}");
    assert!(failing * suite::ONE_OF <= done.len(), "{failing} do not pass");
}

#[test]
fn exceptions_have_reasons() {
    suite::assert_exceptions_have_reasons("rust");
}
