//! CPython's own tests of threads, signals, processes, time and networks, natively and as guests, case by case.
//!
//! Names of modules of Debian's `libpython3.11-testsuite` in, the cases that pass natively and not as guests
//! out. Always true: a case counts if it passes natively in one of two tries of the same run; all that count pass
//! as guests, but for the exceptions in `tests/expected/<module>`, none of which passes. They are at most two of a
//! hundred. The long modules run when asked for (`cargo test --test cpython -- --ignored`); `SHIM_MODULE=name` runs
//! one of them. Why a case is an exception is in the lists.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::fs::File;
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};
use shim_testkit::built::{built, root};
use shim_testkit::{Folder, Run};

/// Modules that take seconds.
const SHORT: &[&str] = &["test_fork1", "test_wait3", "test_wait4", "test_queue", "test_thread"];
/// Modules that take minutes, the longest first.
const LONG: &[&str] = &[
    "test_multiprocessing_spawn",
    "test_concurrent_futures",
    "test_multiprocessing_fork",
    "test_subprocess",
    "test_signal",
    "test_threading",
    "test_faulthandler",
    "test_os",
    "test_posix",
    "test_time",
];
/// Modules of sockets, event loops and protocols, the longest first.
const NETWORK: &[&str] = &[
    "test_asyncio",
    "test_ssl",
    "test_imaplib",
    "test_xmlrpc",
    "test_selectors",
    "test_socket",
    "test_poll",
    "test_ftplib",
    "test_poplib",
    "test_urllib2_localnet",
    "test_docxmlrpc",
    "test_asyncore",
    "test_urllib",
    "test_select",
    "test_asynchat",
    "test_smtplib",
    "test_httpservers",
    "test_socketserver",
    "test_httplib",
    "test_wsgiref",
    "test_nntplib",
    "test_urllib2",
    "test_epoll",
    "test_smtpd",
    "test_telnetlib",
    "test_urllib_response",
];
/// When guests start: the certificates of the modules are valid then.
const START: &str = "2025-01-01T00:00:00Z";

/// How long a module may take in wall time.
const MODULE_LIMIT: Duration = Duration::from_secs(1800);
/// How long one case may take in wall time.
const CASE_LIMIT: Duration = Duration::from_secs(300);
/// Of how many cases one may be an exception.
const ONE_OF: usize = 50;

/// How a case ended, in the words of `cases.py`; what went wrong.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Ending {
    word: String,
    reason: String,
}

/// Endings by the names of cases.
type Endings = BTreeMap<String, Ending>;

/// What stands in a file of results; the case that had started last, if it has not ended; whether all
/// that were to run did.
fn parse(results: &str) -> (Endings, Option<String>, bool) {
    let mut endings = Endings::new();
    let (mut running, mut is_complete) = (None, false);
    for line in results.lines() {
        let mut fields = line.splitn(3, '\t').map(str::to_owned);
        let (Some(word), Some(case), Some(reason)) = (fields.next(), fields.next(), fields.next())
        else {
            continue;
        };
        match word.as_str() {
            "started" => running = Some(case),
            "end" => is_complete = true,
            _ => {
                running = None;
                endings.insert(case, Ending { word, reason });
            }
        }
    }
    (endings, running, is_complete)
}

fn kill(child: &mut Child) {
    if let Some(group) = Pid::from_raw(child.id().cast_signed()) {
        // ESRCH says that nobody is left, which is what is wanted.
        _ = kill_process_group(group, Signal::KILL);
    }
    _ = child.wait();
}

/// Wait until the program has ended, or a case has taken too long; why it was killed, if it was.
fn wait(child: &mut Child, results: &Path, end: Instant) -> Option<&'static str> {
    let (mut size, mut last) = (0, Instant::now());
    loop {
        if child.try_wait().expect("it is our child").is_some() {
            // What cases have left behind goes with its group.
            kill(child);
            return None;
        }
        let now = fs::metadata(results).map_or(0, |metadata| metadata.len());
        if now != size {
            (size, last) = (now, Instant::now());
        }
        if last.elapsed() > CASE_LIMIT || Instant::now() > end {
            kill(child);
            return Some(if Instant::now() > end { "too long in all" } else { "took too long" });
        }
        thread::sleep(Duration::from_millis(20));
    }
}

/// Run the cases of a module that are not `done`. A case that ends the program, or hangs, is left out by the next
/// start.
fn run(module: &str, is_guest: bool, done: &Endings) -> Endings {
    let folder = Folder::new();
    let (results, log) = (folder.path().join("results"), folder.path().join("log"));
    let lines = done.iter().map(|(case, ending)| format!("{}\t{case}\t\n", ending.word));
    fs::write(&results, lines.collect::<String>()).expect("the folder is ours");
    let directory = folder.path().join("work");
    fs::create_dir(&directory).expect("the folder is ours");
    let program = root().join("tests/programs2/cases.py");
    let run = Run::native("/usr/bin/python3")
        .args(["-B".as_ref(), program.as_os_str(), module.as_ref(), results.as_os_str()])
        .folder(&directory)
        .env("TMPDIR", folder.path());
    let run = if is_guest { run.as_guest(["--quiet", "--start-time", START]) } else { run };
    let end = Instant::now() + MODULE_LIMIT;
    loop {
        let output = || File::create(&log).expect("the folder is ours");
        let mut command = run.command();
        command.stdin(Stdio::null()).stdout(output()).stderr(output());
        let mut child = command.spawn().expect("python3 and shim can be started");
        let killed = wait(&mut child, &results, end);
        let text = fs::read_to_string(&results).unwrap_or_default();
        let (endings, running, is_complete) = parse(&text);
        let reason = match (killed, running) {
            (None, _) if is_complete => return endings,
            (why, Some(case)) => {
                let says = fs::read(&log).unwrap_or_default();
                let says = String::from_utf8_lossy(&says);
                let last = says.lines().last().unwrap_or_default().replace('\t', " ");
                format!("failed\t{case}\t{}: {last}\n", why.unwrap_or("ended the program"))
            }
            (why, None) => format!("failed\t{module}\t{}\n", why.unwrap_or("no case, no end")),
        };
        let is_over = reason.contains(&format!("\t{module}\t")) || Instant::now() > end;
        fs::write(&results, text + &reason).expect("the folder is ours");
        if is_over {
            return parse(&fs::read_to_string(&results).expect("it was just written")).0;
        }
    }
}

/// A line of a list: cases that do not pass as guests.
struct Exception {
    /// A case, or a class all of whose cases are meant.
    name: String,
}

impl Exception {
    fn is_about(&self, case: &str) -> bool {
        let rest = case.strip_prefix(&self.name);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    }
}

/// Each line of a list is the name of a case or class and, behind `#`, what is missing.
fn exceptions(list: &str) -> Vec<Exception> {
    let lines = list.lines().filter_map(|line| line.split_once('#'));
    let names = lines.map(|(name, _)| name.trim()).filter(|name| !name.is_empty());
    names.map(|name| Exception { name: name.to_owned() }).collect()
}

/// What a module's comparison came to.
struct Comparison {
    module: &'static str,
    /// Cases that pass natively.
    counted: Vec<String>,
    /// Those of them that do not pass as guests.
    failing: Vec<(String, Ending)>,
    exceptions: Vec<Exception>,
}

fn compare(module: &'static str) -> Comparison {
    let passes = |ending: &Ending| ending.word == "passed";
    let mut native = run(module, false, &Endings::new());
    if native.values().any(|ending| ending.word == "failed") {
        native.retain(|_, ending| ending.word != "failed");
        native = run(module, false, &native);
    }
    native.retain(|_, ending| passes(ending));
    assert!(!native.is_empty(), "{module}: no case passes natively; is its package installed?");
    let guest = run(module, true, &Endings::new());
    let missing = Ending { word: "missing".into(), reason: "did not run".into() };
    let failing = native
        .keys()
        .map(|case| (case.clone(), guest.get(case).unwrap_or(&missing).clone()))
        .filter(|(_, ending)| !passes(ending))
        .collect();
    let list = fs::read_to_string(root().join("tests/expected").join(module)).unwrap_or_default();
    Comparison {
        module,
        counted: native.into_keys().collect(),
        failing,
        exceptions: exceptions(&list),
    }
}

fn compare_all(modules: &[&'static str]) {
    // One list after the other: what is slow natively because the machine is busy may fail.
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    built();
    let only = std::env::var("SHIM_MODULE").ok();
    let modules: Vec<&'static str> = modules
        .iter()
        .copied()
        .filter(|module| only.as_ref().is_none_or(|only| only == module))
        .collect();
    let (next, done) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let workers = thread::available_parallelism().map_or(1, |n| n.get());
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while let Some(module) = modules.get(next.fetch_add(1, Relaxed)) {
                    let comparison = compare(module);
                    println!("{}", summary(&comparison));
                    done.lock().expect("nobody panics with it").push(comparison);
                }
            });
        }
    });
    let done = done.into_inner().expect("nobody panicked with it");
    let sum = |of: fn(&Comparison) -> usize| done.iter().map(of).sum::<usize>();
    let (counted, failing) = (sum(|c| c.counted.len()), sum(|c| c.failing.len()));
    println!("{} of {counted} cases pass", counted - failing);
    let wrong: String = done.iter().filter(|c| !c.is_as_expected()).map(summary).collect();
    assert!(wrong.is_empty(), "{wrong}");
    assert!(failing * ONE_OF <= counted, "{failing} of {counted} cases do not pass");
}

impl Comparison {
    fn exception(&self, case: &str) -> Option<&Exception> {
        self.exceptions.iter().find(|exception| exception.is_about(case))
    }

    /// Exceptions that count and are none any more.
    fn passing(&self) -> impl Iterator<Item = &str> {
        let passes = |exception: &&Exception| {
            self.counted.iter().any(|case| exception.is_about(case))
                && !self.failing.iter().any(|(case, _)| exception.is_about(case))
        };
        self.exceptions.iter().filter(passes).map(|exception| exception.name.as_str())
    }

    fn is_as_expected(&self) -> bool {
        self.failing.iter().all(|(case, _)| self.exception(case).is_some())
            && self.passing().next().is_none()
    }
}

fn summary(comparison: &Comparison) -> String {
    let Comparison { module, counted, failing, .. } = comparison;
    let (all, passing) = (counted.len(), counted.len() - failing.len());
    let mut words = format!("== {module}: {passing} of {all} pass\n");
    for (case, ending) in failing {
        if comparison.exception(case).is_none() {
            _ = writeln!(words, "{case}: {}: {}", ending.word, ending.reason);
        }
    }
    for name in comparison.passing() {
        _ = writeln!(words, "{name}: passes, and is no exception any more");
    }
    words
}

#[test]
fn short_modules_pass_as_they_do_natively() {
    compare_all(SHORT);
}

#[test]
#[ignore = "takes many minutes"]
fn long_modules_pass_as_they_do_natively() {
    compare_all(LONG);
}

#[test]
#[ignore = "takes minutes"]
fn network_modules_pass_as_they_do_natively() {
    compare_all(NETWORK);
}

#[test]
fn exceptions_are_of_modules_and_have_reasons() {
    for module in fs::read_dir(root().join("tests/expected")).into_iter().flatten().flatten() {
        let name = module.file_name().to_string_lossy().into_owned();
        // Those of the other suites lie beside them.
        const OTHERS: &[&str] = &["glibc", "libuv", "bash", "go-net", "go-net-http", "rust"];
        let mut known = SHORT.iter().chain(LONG).chain(NETWORK).chain(OTHERS);
        assert!(known.any(|known| *known == name), "{name} is no module");
        let text = fs::read_to_string(module.path()).expect("it is there");
        for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let has_reason = line.split_once('#').is_some_and(|(_, reason)| reason.len() > 10);
            assert!(has_reason, "{name}: {line}: no reason");
        }
    }
}

#[test]
fn results_are_read_as_they_are_written() {
    let (endings, running, is_complete) =
        parse("started\ta\t\npassed\ta\t\nstarted\tb\t\nfailed\tb\tError: x\nstarted\tc\t\n");
    assert_eq!(endings.len(), 2);
    assert_eq!(endings["b"], Ending { word: "failed".into(), reason: "Error: x".into() });
    assert_eq!((running.as_deref(), is_complete), (Some("c"), false));
    assert!(parse("started\ta\t\npassed\ta\t\nend\t\t\n").2);
}

#[test]
fn exceptions_are_cases_or_classes() {
    let list = "# words\n\ntest.m.C.test_a # no pty\ntest.m.D # no sockets\n";
    let [case, class] = &exceptions(list)[..] else { panic!("two lines") };
    assert!(case.is_about("test.m.C.test_a") && !case.is_about("test.m.C.test_ab"));
    assert!(class.is_about("test.m.D.test_a") && !class.is_about("test.m.D2.test_a"));
    let ending = Ending { word: "failed".into(), reason: String::new() };
    let failing = vec![("test.m.D.test_b".to_owned(), ending)];
    let counted = ["test.m.C.test_a", "test.m.D.test_b"].map(str::to_owned).to_vec();
    let mut comparison = Comparison { module: "m", counted, failing, exceptions: exceptions(list) };
    assert_eq!(comparison.passing().collect::<Vec<_>>(), ["test.m.C.test_a"]);
    assert!(!comparison.is_as_expected());
    // What does not pass natively either is no business of ours.
    comparison.counted.remove(0);
    assert!(comparison.is_as_expected());
    comparison.failing[0].0 = "test.m.E.test_b".to_owned();
    assert!(!comparison.is_as_expected());
}
