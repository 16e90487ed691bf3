//! `shim explore`: many seeds of a scenario, and what is told of those that go wrong.
//!
//! Scenarios in; statuses, words and kept folders out. Always true: each test has a folder of its own; where seeds are to
//! differ in a known way a program looks at its working directory, which has the seed in its name. What one run does
//! is tested in `run.rs`, that it repeats in `determinism.rs` and `verify.rs`.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use shim_testkit::built::{built, root};
use shim_testkit::{Folder, Mark, Outcome, Run, Status, eventually};

/// Longer than any exploration here takes on a busy machine.
const LIMIT: Duration = Duration::from_secs(120);

/// A host, `alice`, with one process, a Perl script of one line; `$seed` is the run's seed. `mark` is in its environment.
fn scenario(stop_time: &str, mark: &Mark, script: &str) -> Folder {
    let yaml = format!(
        "general: {{stop_time: {stop_time}}}\nnetwork: {{graph: {{type: 1_gbit_switch}}}}\nhosts:\n  \
         alice:\n    network_node_id: 0\n    processes:\n    - path: perl\n      \
         environment: {{{}: '{}'}}\n      args:\n      - -MTime::HiRes=time\n      - -e\n      - |\n        \
         my ($seed) = readlink('/proc/self/cwd') =~ m{{/seed-(\\d+)/}};\n        {script}\n",
        Mark::VARIABLE,
        mark.value(),
    );
    Folder::with(&[("shim.yaml", yaml.as_bytes())])
}

/// Seeds 2, 5 and 6 exit with 3, seed 4 is killed, the others are good.
const FOUR_FINDINGS: &str =
    r#"if ($seed =~ /[256]/) { warn "seed $seed is bad\n"; exit 3 } kill ABRT => $$ if $seed == 4"#;

fn run(folder: &Folder, arguments: &[&str]) -> Run {
    let run = Run::native(&built().command).args(["explore"]).args(arguments);
    run.folder(folder.path()).limit(LIMIT)
}

fn explore(folder: &Folder, arguments: &[&str]) -> Outcome {
    run(folder, arguments).finish()
}

fn errors(outcome: &Outcome) -> String {
    String::from_utf8_lossy(&outcome.stderr).into_owned()
}

fn names(path: &Path) -> Vec<String> {
    let entries = fs::read_dir(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Everything below a folder but wall-clock figures.
fn tree(folder: &Folder, entry: &str) -> BTreeMap<String, (u32, Vec<u8>)> {
    let below = |(name, content): (String, _)| {
        let name = name.strip_prefix(entry)?.strip_prefix('/')?.to_owned();
        (!name.ends_with("wall-stats.json")).then_some((name, content))
    };
    folder.contents().into_iter().filter_map(below).collect()
}

#[track_caller]
fn assert_same_trees(folder: &Folder, first: &str, second: &str) {
    let (a, b) = (tree(folder, first), tree(folder, second));
    assert!(a.len() > 5, "{:?}", a.keys());
    assert_eq!(a.keys().collect::<Vec<_>>(), b.keys().collect::<Vec<_>>());
    for (name, content) in &a {
        assert!(content == &b[name], "{name} differs");
    }
}

#[test]
fn a_planted_race_is_found_and_the_printed_command_repeats_it() {
    let folder = Folder::new();
    let race = root().join("examples/scenarios/race.yaml");
    let race = race.to_str().expect("it is UTF-8");
    let outcome = explore(&folder, &["--seeds", "1..=2000", "--stop-after", "1", race]);
    assert_eq!(outcome.status, Status::Code(1), "{outcome:?}");
    let text = outcome.text();
    let lines: Vec<&str> = text.lines().map(str::trim_start).collect();
    let kind = "perl on shop exited with 1, expected: exited: 0";
    assert!(lines[0].starts_with("seed ") && lines[0].ends_with(kind), "{text}");
    assert!(lines[2].starts_with("its last words: only "), "{text}");
    let kept = lines[3].strip_prefix("kept in ").expect("it says where");
    let command = lines[4].strip_prefix("$ ").expect("it says how to repeat it");
    assert!(text.ends_with(", 1 finding of 1 kind\n"), "{text}");
    let data = kept.replace("/kept", "/data");
    for _ in 0..10 {
        let again = Run::native("sh").args(["-c", command]).folder(folder.path()).finish();
        assert_eq!(again.status, Status::Code(1), "{again:?}");
        assert_same_trees(&folder, kept, &data);
        fs::remove_dir_all(folder.path().join(&data)).expect("the run made it");
    }
}

#[test]
fn findings_of_a_kind_are_told_once_and_only_they_are_kept() {
    let folder = scenario("1 min", &Mark::fresh(), FOUR_FINDINGS);
    let outcome = explore(&folder, &["--seeds", "1..=7,9", "shim.yaml", "--stop-time", "50 s"]);
    assert_eq!(outcome.status, Status::Code(1), "{outcome:?}");
    let shim = built().command.display();
    let text = outcome.text();
    // When a process ends depends on what its system calls cost.
    let times = text.lines().filter(|line| line.contains(" s of simulated time"));
    assert!(times.clone().all(|line| line.starts_with("  process 1000, at 0.0")), "{text}");
    assert_eq!(times.count(), 2, "{text}");
    let rest: Vec<&str> =
        text.lines().filter(|line| !line.contains(" s of simulated time")).collect();
    let command = |seed| {
        format!(
            "  $ {shim} run --stop-time='50 s' --seed={seed} --parallelism=1 \
             --data-directory=shim.data.explore/seed-{seed}/data shim.yaml"
        )
    };
    assert_eq!(
        rest,
        [
            "seed 2: perl on alice exited with 3, expected: exited: 0",
            "  its last words: seed 2 is bad",
            "  kept in shim.data.explore/seed-2/kept",
            &command(2),
            "seed 4: perl on alice killed by SIGABRT, expected: exited: 0",
            "  kept in shim.data.explore/seed-4/kept",
            &command(4),
            "3: perl on alice exited with 3, expected: exited: 0",
            "  seeds: 2,5,6",
            "8 seeds, 4 findings of 2 kinds",
        ]
    );
    let speed = errors(&outcome);
    assert!(speed.starts_with("shim: 8 runs in ") && speed.lines().count() == 1, "{speed}");
    let all = folder.path().join("shim.data.explore");
    assert_eq!(names(&all), ["seed-2", "seed-4", "seed-5", "seed-6"]);
    assert_eq!(names(&all.join("seed-5")), ["kept", "output.txt"]);
    let table = fs::read_to_string(all.join("seed-5/output.txt")).unwrap();
    assert!(table.contains("1 process, 1 not as expected; simulated time 50 s"), "{table}");

    let arguments = ["--seeds", "1..4", "--keep", "all", "-d", "all", "--quiet", "shim.yaml"];
    let outcome = explore(&folder, &arguments);
    assert_eq!(errors(&outcome), "", "quiet");
    assert_eq!(names(&folder.path().join("all")), ["seed-1", "seed-2", "seed-3"]);
    assert!(folder.path().join("all/seed-3/kept/hosts/alice/perl.1000.exitcode").is_file());

    // Where nothing is found nothing is left, and what is there is never touched.
    let outcome = explore(&folder, &["--seeds", "1,3", "-d", "a/b", "shim.yaml"]).expect_success();
    assert_eq!(outcome.text(), "2 seeds, 0 findings\n");
    assert!(!folder.path().join("a/b").exists());
    let before = folder.contents();
    let outcome = explore(&folder, &["--seeds", "1", "-d", "all", "shim.yaml"]);
    assert_eq!(outcome.status, Status::Code(2), "{outcome:?}");
    assert!(errors(&outcome).contains("exists already"), "{outcome:?}");
    assert_eq!(folder.contents(), before);
}

#[test]
fn the_number_of_jobs_changes_no_byte() {
    // Early seeds take longer than late ones.
    let script = format!("my $end = time + (9 - $seed) / 20; 1 while time < $end; {FOUR_FINDINGS}");
    let folder = scenario("1 min", &Mark::fresh(), &script);
    for limit in [&[][..], &["--stop-after", "2"]] {
        let mut texts = Vec::new();
        for jobs in ["1", "3"] {
            let all = [&["--seeds", "1..=8", "--jobs", jobs, "-d", "all", "shim.yaml"], limit];
            let outcome = explore(&folder, &all.concat());
            assert_eq!(outcome.status, Status::Code(1), "{outcome:?}");
            texts.push(outcome.text());
            let place = format!("with-{jobs}");
            fs::rename(folder.path().join("all"), folder.path().join(place)).unwrap();
        }
        assert_eq!(texts[0], texts[1]);
        let end = if limit.is_empty() { "8 seeds, 4 findings" } else { "4 seeds, 2 findings" };
        assert!(texts[0].contains(end), "{}", texts[0]);
        assert_same_trees(&folder, "with-1", "with-3");
        for place in ["with-1", "with-3"] {
            fs::remove_dir_all(folder.path().join(place)).unwrap();
        }
    }
}

#[test]
fn a_run_that_hangs_or_does_not_repeat_is_a_finding() {
    let mark = Mark::fresh();
    // Each in its way: in simulated time without end, and without a call while something waits.
    let script = "if ($seed == 2) { 1 while time } if ($seed == 3) { alarm 1; 1 while 1 }";
    let folder = scenario("100000 h", &mark, script);
    let yaml = fs::read_to_string(folder.path().join("shim.yaml")).unwrap();
    let yaml = yaml + "shim: {watchdog: 100 ms, watchdog_quantum: 2 s}\n";
    fs::write(folder.path().join("shim.yaml"), yaml).unwrap();
    let outcome = explore(&folder, &["--seeds", "1..=4", "--timeout", "8s", "shim.yaml"]);
    assert_eq!(outcome.status, Status::Code(1), "{outcome:?}");
    let text = outcome.text();
    let late = "seed 2: not over after 8 s\n  it was at ";
    assert!(text.contains(late) && text.contains(" s of simulated time\n"), "{text}");
    assert!(text.contains("seed 3: perl on alice killed by SIGALRM"), "{text}");
    let repeats = "\n  not reproducible: perl on alice made no call and was preempted\n";
    assert!(text.contains(repeats), "{text}");
    assert!(text.ends_with("4 seeds, 2 findings of 2 kinds\n"), "{text}");
    assert_eq!(mark.processes(), []);
}

/// Start an exploration in the background.
fn start(folder: &Folder, mark: &Mark, arguments: &[&str]) -> Child {
    let mut command = run(folder, arguments).env(Mark::VARIABLE, mark.value()).command();
    command.stdin(Stdio::null()).spawn().expect("shim can be started")
}

/// Its status, output and messages, once it has ended.
fn end(child: Child) -> (std::process::ExitStatus, String, String) {
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status, text(output.stdout), text(output.stderr))
}

/// The native process of a seed's simulator. Its launcher is a copy of it, and younger.
fn simulator(mark: &Mark, seed: u64) -> Option<i32> {
    let word = format!("--seed={seed}");
    let runs = |pid: &i32| {
        let words = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        words.split(|&byte| byte == 0).any(|other| other == word.as_bytes())
    };
    mark.processes().into_iter().find(runs)
}

/// Wait until a seed's process has written something.
#[track_caller]
fn wait_for(folder: &Folder, seed: u64) {
    let file = format!("shim.data.explore/seed-{seed}/data/hosts/alice/perl.1000.stdout");
    let path = folder.path().join(file);
    eventually("the guest runs", || fs::metadata(&path).ok().filter(|file| file.len() > 0));
}

/// Seed 1 exits with 4, the others never end.
const ENDLESS: &str = r#"exit 4 if $seed == 1; $| = 1; print "here\n"; 1 while time"#;

#[test]
fn an_interrupted_exploration_tells_what_was_found_and_leaves_nobody() {
    let mark = Mark::fresh();
    let folder = scenario("100000 h", &mark, ENDLESS);
    let child = start(&folder, &mark, &["--seeds", "1..", "--jobs", "3", "shim.yaml"]);
    assert_eq!(end(child).0.code(), Some(2), "a range without an end is none");
    let child = start(&folder, &mark, &["--seeds", "1..=99", "--jobs", "3", "shim.yaml"]);
    (2..=4).for_each(|seed| wait_for(&folder, seed));
    let interrupted = Instant::now();
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let (status, text, errors) = end(child);
    assert!(interrupted.elapsed() < Duration::from_secs(5), "{:?}", interrupted.elapsed());
    assert_eq!(mark.processes(), [], "at once, not only soon");
    assert_eq!(status.code(), Some(1), "{errors}");
    assert!(text.starts_with("seed 1: perl on alice exited with 4"), "{text}");
    assert!(text.ends_with("1 seed, 1 finding of 1 kind\n"), "{text}");
    assert!(errors.contains("interrupted: 1 of 99 seeds were run"), "{errors}");
    assert_eq!(names(&folder.path().join("shim.data.explore")), ["seed-1"]);
}

#[test]
fn a_simulator_that_dies_is_a_finding_and_the_others_go_on() {
    let mark = Mark::fresh();
    let script = r#"if ($seed == 2) { $| = 1; print "here\n"; 1 while time }"#;
    let folder = scenario("100000 h", &mark, script);
    let child = start(&folder, &mark, &["--seeds", "1..=3", "shim.yaml"]);
    wait_for(&folder, 2);
    let pid = simulator(&mark, 2).and_then(Pid::from_raw).expect("it runs");
    kill_process(pid, Signal::KILL).unwrap();
    let (status, text, errors) = end(child);
    assert_eq!(status.code(), Some(1), "{errors}");
    assert!(text.starts_with("seed 2: the simulator was killed by SIGKILL\n"), "{text}");
    assert!(text.ends_with("3 seeds, 1 finding of 1 kind\n"), "{text}");
    assert_eq!(mark.processes(), []);
}

#[test]
fn whoever_kills_an_exploration_kills_its_runs() {
    let mark = Mark::fresh();
    let folder = scenario("100000 h", &mark, ENDLESS);
    let mut child = start(&folder, &mark, &["--seeds", "2..=9", "--jobs", "2", "shim.yaml"]);
    (2..=3).for_each(|seed| wait_for(&folder, seed));
    child.kill().unwrap();
    assert_eq!(end(child).0.signal(), Some(Signal::KILL.as_raw()));
    mark.assert_nobody_left();
}

#[test]
fn what_cannot_be_explored_is_status_2_and_told_once() {
    let folder = scenario("1 s", &Mark::fresh(), "exit");
    fs::write(folder.path().join("bad.yaml"), "general: {stop_tim: 1 s}\n").unwrap();
    let before = folder.contents();
    for (arguments, what) in [
        (&["shim.yaml"][..], "arguments were not provided"),
        (&["--seeds", "5..5", "shim.yaml"], "there is no seed in '5..5'"),
        (&["--seeds", "soon", "shim.yaml"], "'soon' is no seed"),
        (&["--seeds", "1", "--jobs", "0", "shim.yaml"], "for '--jobs"),
        (&["--seeds", "1", "--stop-after", "0", "shim.yaml"], "for '--stop-after"),
        (&["--seeds", "1", "--timeout", "soon", "shim.yaml"], "for '--timeout"),
        (&["--seeds", "1", "--seed", "1", "shim.yaml"], "unexpected argument '--seed'"),
        (&["--seeds", "1..=9", "--stop-time", "soon", "shim.yaml"], "--stop-time"),
        (&["--seeds", "1..=9", "bad.yaml"], "bad.yaml:1:11"),
        (&["--seeds", "1..=9", "missing.yaml"], "missing.yaml"),
        (&["--seeds", "1..=9", "-"], "standard input"),
        (&["--seeds", "1..=9", "--library", "/nonexistent", "shim.yaml"], "/nonexistent"),
    ] {
        let outcome = explore(&folder, arguments);
        assert_eq!(outcome.status, Status::Code(2), "{arguments:?}: {outcome:?}");
        let text = errors(&outcome);
        assert!(text.contains(what), "{arguments:?}: {text}");
        let told = text.lines().filter(|line| line.contains(what)).count();
        assert_eq!(told, 1, "{arguments:?}: {text}");
        assert_eq!(outcome.text(), "");
    }
    assert_eq!(folder.contents(), before);
}

#[test]
fn the_manual_has_a_page_for_it() {
    let folder = Folder::new();
    let status =
        Command::new(&built().command).args(["man", "."]).current_dir(folder.path()).status();
    assert!(status.unwrap().success());
    let page = fs::read_to_string(folder.path().join("shim-explore.1")).unwrap();
    assert!(page.contains("\\-\\-stop\\-after"), "{page}");
    let run = fs::read_to_string(folder.path().join("shim-run.1")).unwrap();
    assert!(!run.contains("\\-\\-parent"), "what only explore uses is not shown: {run}");
}
