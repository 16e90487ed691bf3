//! The tests of glibc and libuv from Debian's sources, natively and as guests, test by test.
//!
//! The sources of the installed packages in, the tests that pass natively and not as guests out. Always
//! true: a test counts if it passes natively in one of two tries of the same run; all others that count
//! pass as guests, but for the exceptions in `tests/expected/{glibc,libuv}`, which are at most two of a
//! hundred. What does not compile outside of glibc's tree does not count; how many those are is printed.
//! All of it needs the network and many minutes, so it runs when asked for (`cargo test --test suites --
//! --ignored`); `SHIM_SUITE=name` runs the tests whose names begin so. The sources are fetched by
//! `programs2/sources.sh` and built by `programs2/suites.mk`.

use std::fs;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use shim_testkit::built::{built, root};
use shim_testkit::suite::{self, call, text};
use shim_testkit::{Folder, Outcome, Run, Status, each};

/// How long a test may take in wall time.
const LIMIT: Duration = Duration::from_secs(90);
/// Fewer of glibc's programs than this show that the build went wrong.
const PROGRAMS_MIN: usize = 350;

/// How the names of libuv's tests of processes and signals begin.
const PROCESS_AND_SIGNAL: &[&str] =
    &["spawn_", "process_", "kill", "signal_", "we_get_signal", "fork_", "eintr_", "closed_fd_"];

/// How the names of those begin that are of sockets, pipes, polling and watches of files. They use the same ports and
/// paths, natively those of the machine: one runs at a time.
const NETWORK_AND_EVENTS: &[&str] = &[
    "tcp",
    "udp_",
    "pipe_",
    "poll_",
    "ipc_",
    "socket_",
    "fs_event_",
    "connect",
    "shutdown_",
    "getsockname_",
    "delayed_accept",
    "multiple_listen",
    "emfile",
    "readable_",
    "not_",
    "watcher_",
    "async",
];

/// The arguments of glibc's tests that have some, as its makefiles give them. `@` is the program, `%` the
/// run's own folder and `^` the folder `posix` of the sources.
const ARGUMENTS: &[(&str, &[&str])] = &[
    ("tst-boost", &["^/BOOST.tests"]),
    ("tst-cancel7", &["--command", "exec @"]),
    ("tst-cancelx7", &["--command", "exec @"]),
    ("tst-chmod", &["%"]),
    ("tst-exec", &["--", "@"]),
    ("tst-exec4", &["@"]),
    ("tst-execvp3", &["--test-dir=%"]),
    ("tst-execvpe5", &["--", "@"]),
    // A hundredth of what it would do, which is millions of calls.
    ("tst-mutex10", &["--iterations", "10000"]),
    ("tst-pcre", &["^/PCRE.tests"]),
    ("tst-rxspencer", &["^/rxspencer/tests"]),
    ("tst-spawn", &["--", "@"]),
    ("tst-spawn5", &["--", "@"]),
    ("tst-spawn6", &["--", "@"]),
    ("tst-stackguard1", &["--command", "@ --child"]),
    ("tst-umask1", &["%/tst-umask1.temp"]),
    ("tst-vfork3", &["--test-dir=%"]),
];

/// Options of `shim exec` for tests that would take long in simulated time: what calls cost those that make them
/// without a pause until seconds have passed (or fail until another thread has done something), so that they are
/// not millions; patience with those that compute until seconds have passed and make no calls.
const OPTIONS: &[(&str, &[&str])] = &[
    ("tst-cancel9", CALLS_OF_50_US),
    ("tst-cancelx9", CALLS_OF_50_US),
    ("tst-cond16", CALLS_OF_500_US),
    ("tst-cond17", CALLS_OF_500_US),
    ("tst-cond18", CALLS_OF_500_US),
    ("tst-create-detached", &["--syscall-latency", "20us"]),
    ("tst-eintr1", CALLS_OF_50_US),
    ("tst-pthread-setuid-loop", CALLS_OF_50_US),
    ("tst-pthread_cancel-select-loop", CALLS_OF_50_US),
    ("tst-pthread_kill-exiting", CALLS_OF_50_US),
    ("tst-rwlock-pwn", BUSY),
    ("tst-rwlock-tryrdlock-stall", BUSY),
    ("tst-rwlock-trywrlock-stall", BUSY),
    ("tst-rwlock16", IMPATIENT),
    ("tst-rwlock18", IMPATIENT),
    ("tst-spin2", IMPATIENT),
    ("tst-spin3", IMPATIENT),
    ("tst-spin4", IMPATIENT),
];
const CALLS_OF_50_US: &[&str] = &["--syscall-latency", "50us"];
const CALLS_OF_500_US: &[&str] = &["--syscall-latency", "500us"];
const IMPATIENT: &[&str] = &["--watchdog", "20ms", "--watchdog-quantum", "200ms"];
const BUSY: &[&str] =
    &["--syscall-latency", "500us", "--watchdog", "20ms", "--watchdog-quantum", "200ms"];

fn is_one_of(name: &str, starts: &[&str]) -> bool {
    starts.iter().any(|start| name.starts_with(start))
}

/// Where sources and programs are.
struct Programs {
    sources: PathBuf,
    folder: PathBuf,
}

impl Programs {
    /// Fetch the sources, unless they are there, and build the programs.
    fn build() -> Programs {
        let (folder, sources) = (suite::folder(), suite::sources(&["libc6", "libuv1"]));
        let data = root().join("tests/programs2");
        let makefile = data.join("suites.mk");
        let place = format!("SOURCES={}", text(&sources));
        // It reports failure if anything is left out; what must be there is checked below.
        _ = call("make", &folder, &["-k", "-j4", "-f", text(&makefile), &place]);
        Programs { sources, folder }
    }

    /// The names of glibc's tests that compiled, and how many did not.
    fn glibc(&self) -> (Vec<String>, usize) {
        let entries = fs::read_dir(self.folder.join("glibc")).expect("make has made it");
        let names = entries.map(|entry| {
            entry.expect("it can be read").file_name().into_string().expect("names are text")
        });
        let (logs, mut programs): (Vec<_>, Vec<_>) = names.partition(|name| name.ends_with(".log"));
        programs.sort();
        assert!(programs.len() >= PROGRAMS_MIN, "only {} programs of glibc", programs.len());
        let left_out = logs.len() - programs.len();
        (programs, left_out)
    }

    /// The names of those of libuv's tests that are meant here.
    fn libuv(&self) -> Vec<String> {
        let list = Run::native(self.folder.join("uv/uv_run_tests"))
            .args(["--list"])
            .env("UV_RUN_AS_ROOT", "1")
            .finish()
            .expect_success()
            .text();
        let names = list.lines().filter_map(|line| line.split_whitespace().next());
        names
            .filter(|name| {
                is_one_of(name, PROCESS_AND_SIGNAL) || is_one_of(name, NETWORK_AND_EVENTS)
            })
            .map(str::to_owned)
            .collect()
    }

    fn run(&self, test: &Test, is_guest: bool) -> Outcome {
        static TURN: Mutex<()> = Mutex::new(());
        let needs_turn = test.suite == "libuv" && is_one_of(&test.name, NETWORK_AND_EVENTS);
        let _turn = needs_turn.then(|| TURN.lock().unwrap_or_else(PoisonError::into_inner));
        let folder = Folder::new();
        let run = match test.suite {
            "glibc" => {
                let program = self.folder.join("glibc").join(&test.name);
                let shown = program.to_str().expect("the path is text");
                let here = folder.path().to_str().expect("the path is text");
                let posix = self.sources.join("libc6/posix");
                let posix = posix.to_str().expect("the path is text");
                let arguments = ARGUMENTS.iter().find(|(name, _)| *name == test.name);
                let arguments = arguments.map_or(&[][..], |(_, arguments)| arguments).iter();
                Run::native(&program).args(arguments.map(|argument| {
                    argument.replace('^', posix).replace('%', here).replace('@', shown)
                }))
            }
            _ => {
                let fixtures = self.sources.join("libuv1/test");
                std::os::unix::fs::symlink(fixtures, folder.path().join("test"))
                    .expect("the folder is ours");
                // It refuses to run for root, unless it is told that this is meant.
                let program = self.folder.join("uv/uv_run_tests");
                Run::native(program).args([&test.name]).env("UV_RUN_AS_ROOT", "1")
            }
        };
        let run = run.folder(folder.path()).env("TMPDIR", folder.path()).limit(LIMIT);
        let options = OPTIONS.iter().find(|(name, _)| *name == test.name);
        let options = options.map_or(&[][..], |(_, options)| options).iter();
        if is_guest {
            run.as_guest(std::iter::once(&"--quiet").chain(options)).finish()
        } else {
            run.finish()
        }
    }

    /// Why a test does not pass, if it does not. A run that takes too long does not.
    fn failure(&self, test: &Test, is_guest: bool) -> Option<String> {
        let run = std::panic::AssertUnwindSafe(|| self.run(test, is_guest));
        let Ok(outcome) = std::panic::catch_unwind(run) else {
            return Some("took too long".to_owned());
        };
        if outcome.status == Status::Code(0) {
            return None;
        }
        let says = [outcome.stdout, outcome.stderr].concat();
        let says = String::from_utf8_lossy(&says);
        let last: Vec<&str> = says.lines().filter(|line| !line.trim().is_empty()).collect();
        Some(format!("{:?}: {}", outcome.status, last[last.len().saturating_sub(3)..].join(" | ")))
    }
}

/// One test of a suite.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Test {
    suite: &'static str,
    name: String,
}

#[test]
#[ignore = "fetches sources and takes many minutes"]
fn tests_that_pass_natively_pass_as_guests() {
    built();
    let programs = Programs::build();
    let (glibc, left_out) = programs.glibc();
    println!("{left_out} programs of glibc do not compile outside of its tree");
    let only = std::env::var("SHIM_SUITE").unwrap_or_default();
    let glibc = glibc.into_iter().map(|name| Test { suite: "glibc", name });
    let libuv = programs.libuv().into_iter().map(|name| Test { suite: "libuv", name });
    let tests: Vec<Test> = glibc.chain(libuv).filter(|test| test.name.starts_with(&only)).collect();

    let done = each(&tests, |test| {
        let is_counted = (0..2).any(|_| programs.failure(test, false).is_none());
        is_counted.then(|| (test.clone(), programs.failure(test, true)))
    });

    let (mut unexpected, mut failing) = (String::new(), 0);
    for suite in ["glibc", "libuv"] {
        let of_suite = done.iter().filter(|(test, _)| test.suite == suite);
        let of_suite = of_suite.map(|(test, why)| (test.name.clone(), why.clone())).collect();
        let (words, count) = suite::judge(suite, &of_suite);
        unexpected += &words;
        failing += count;
    }
    assert!(unexpected.is_empty(), "{unexpected}");
    let counted = done.len();
    let is_few = failing * suite::ONE_OF <= counted || !only.is_empty();
    assert!(is_few, "{failing} of {counted} do not pass");
}

#[test]
fn exceptions_have_reasons() {
    for suite in ["glibc", "libuv"] {
        suite::assert_exceptions_have_reasons(suite);
    }
}
