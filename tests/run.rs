//! `shim run`: scenarios as a person runs them.
//!
//! A configuration and programs of the system in; statuses, summaries and data directories out. Always true:
//! each test has a folder of its own, and a run that does not end is a failure. What a
//! configuration may say is tested in `crates/shim-sim`; comparing runs is `verify.rs`.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use shim_testkit::built::{built, root};
use shim_testkit::run::MASK;
use shim_testkit::{Folder, Outcome, Run, Status};

/// A scenario with these hosts, as lines below `hosts:`.
fn scenario(stop_time: &str, hosts: &str) -> String {
    format!(
        "general: {{stop_time: {stop_time}}}\nnetwork: {{graph: {{type: 1_gbit_switch}}}}\nhosts:\n{hosts}"
    )
}

/// One host, `alice`, with one process: these lines of it.
fn one(stop_time: &str, process: &str) -> String {
    let process = process.replace('\n', "\n      ");
    scenario(
        stop_time,
        &format!("  alice:\n    network_node_id: 0\n    processes:\n    - {process}\n"),
    )
}

fn prepare(yaml: &str) -> Folder {
    Folder::with(&[("shim.yaml", yaml.as_bytes())])
}

fn shim(folder: &Folder, arguments: &[&str]) -> Outcome {
    Run::native(&built().command).args(arguments).folder(folder.path()).finish()
}

/// Run `yaml` in a fresh folder.
fn run(yaml: &str) -> (Folder, Outcome) {
    let folder = prepare(yaml);
    let outcome = shim(&folder, &["run", "shim.yaml"]);
    (folder, outcome)
}

#[track_caller]
fn read(folder: &Folder, file: &str) -> String {
    let path = folder.path().join("shim.data").join(file);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Everything below one entry of a folder but wall-clock figures.
fn tree(folder: &Folder, entry: &str) -> BTreeMap<String, (u32, Vec<u8>)> {
    let below = |(name, content): (String, _)| {
        let name = name.strip_prefix(entry)?.strip_prefix('/')?.to_owned();
        (name != "wall-stats.json").then_some((name, content))
    };
    folder.contents().into_iter().filter_map(below).collect()
}

#[track_caller]
fn assert_same_trees(folder: &Folder, first: &str, second: &str) {
    let (a, b) = (tree(folder, first), tree(folder, second));
    assert!(a.len() > 3, "{:?}", a.keys());
    assert_eq!(a.keys().collect::<Vec<_>>(), b.keys().collect::<Vec<_>>());
    for (name, content) in &a {
        if &b[name] != content {
            let text = |(_, bytes): &(u32, Vec<u8>)| String::from_utf8_lossy(bytes).into_owned();
            panic!("{name} differs:\n{}\n--- and\n{}", text(content), text(&b[name]));
        }
    }
}

#[test]
fn the_number_of_workers_changes_no_byte() {
    let mut hosts = String::new();
    for n in 0..12 {
        hosts.push_str(&format!(
            r#"  host{n}:
    network_node_id: 0
    host_options: {{log_level: debug}}
    processes:
    - path: perl
      args: ['-MTime::HiRes=time,usleep', '-e', 'for (1..20) {{ usleep(rand 5e5); print time, "\n" }}']
    - path: openssl
      args: rand -hex 8
      start_time: {n} s
    - path: perl
      args: ['-MTime::HiRes=time', '-e', '$e = time + .01; $n++ while time < $e; print "$n\n"']
      start_time: 2500 ms
    - {{path: sleep, args: '7', shutdown_time: 4 s, expected_final_state: {{signaled: SIGTERM}}}}
"#
        ));
    }
    let folder = prepare(&scenario("20 s", &hosts));
    for workers in ["1", "2", "8"] {
        let arguments =
            ["run", "shim.yaml", "--parallelism", workers, "--strace-logging-mode", "standard"];
        let outcome = shim(&folder, &arguments).expect_success();
        assert!(outcome.text().contains("48 processes, all as expected"), "{outcome:?}");
        let data = folder.path().join("shim.data");
        let wall = fs::read_to_string(data.join("wall-stats.json")).unwrap();
        assert!(wall.contains(&format!("\"workers\": {workers}")), "{wall}");
        fs::rename(data, folder.path().join(format!("with-{workers}"))).unwrap();
    }
    assert_same_trees(&folder, "with-1", "with-2");
    assert_same_trees(&folder, "with-1", "with-8");
    // Hosts are not copies of each other.
    let with_1 = tree(&folder, "with-1");
    let random = |host: &str| {
        let start = format!("hosts/{host}/openssl.");
        with_1
            .iter()
            .find(|(name, _)| name.starts_with(&start) && name.ends_with(".stdout"))
            .unwrap()
            .1
    };
    assert_ne!(random("host0"), random("host1"));
}

#[test]
fn the_status_says_whether_all_ended_as_expected() {
    let dying = "path: perl\nargs: ['-e', 'kill USR1 => $$; sleep 1']";
    let cases = [
        ("path: 'true'", 0),
        ("path: 'false'", 1),
        ("path: 'false'\nexpected_final_state: {exited: 1}", 0),
        ("path: 'false'\nexpected_final_state: {exited: 2}", 1),
        ("path: 'true'\nexpected_final_state: running", 1),
        ("path: sleep\nargs: infinity", 1),
        ("path: sleep\nargs: infinity\nexpected_final_state: running", 0),
        (dying, 1),
        (&format!("{dying}\nexpected_final_state: {{signaled: SIGUSR1}}"), 0),
        (&format!("{dying}\nexpected_final_state: {{signaled: SIGTERM}}"), 1),
    ];
    for (process, status) in cases {
        let (_folder, outcome) = run(&one("1 min", process));
        assert_eq!(outcome.status, Status::Code(status), "{process}: {outcome:?}");
        let verdict = if status == 0 { "1 process, all as" } else { "1 process, 1 not as" };
        assert!(outcome.text().contains(verdict), "{process}: {outcome:?}");
    }
}

#[test]
fn a_shutdown_is_a_signal_at_its_time() {
    let hosts = r#"  alice:
    network_node_id: 0
    processes:
    - path: perl
      args: ['-e', '$SIG{HUP} = sub { print time - 946684800, "\n"; exit 3 }; sleep 1 while 1']
      shutdown_time: 90 s
      shutdown_signal: SIGHUP
      expected_final_state: {exited: 3}
    - {path: sleep, args: infinity, start_time: 5 s, shutdown_time: 6 s, expected_final_state: {signaled: SIGTERM}}
    - path: perl
      args: ['-e', '$SIG{TERM} = "IGNORE"; sleep 1 while 1']
      shutdown_time: 70 s
      shutdown_signal: SIGKILL
      expected_final_state: {signaled: SIGKILL}
    - {path: 'true', shutdown_time: 7 s}
"#;
    let folder = prepare(&scenario("100 s", hosts));
    let arguments = ["run", "shim.yaml", "--strace-logging-mode", "standard"];
    shim(&folder, &arguments).expect_success();
    assert_eq!(read(&folder, "hosts/alice/perl.1000.stdout"), "90\n");
    assert_eq!(read(&folder, "hosts/alice/perl.1000.exitcode"), "3");
    assert_eq!(read(&folder, "hosts/alice/perl.1001.exitcode"), "137");
    assert_eq!(read(&folder, "hosts/alice/true.1002.exitcode"), "0");
    assert_eq!(read(&folder, "hosts/alice/sleep.1003.exitcode"), "143");
    let trace = read(&folder, "hosts/alice/sleep.1003.strace");
    let last = trace.lines().last().unwrap();
    assert!(last.starts_with("6.0000") && last.ends_with("killed by SIGTERM +++"), "{last}");
    let trace = read(&folder, "hosts/alice/perl.1001.strace");
    assert!(trace.ends_with("70.000000000 [1001] +++ killed by SIGKILL +++\n"), "{trace}");
}

#[test]
fn the_stop_time_ends_what_runs_and_what_waits() {
    let hosts = r#"  alice:
    network_node_id: 0
    processes:
    - {path: sleep, args: infinity, expected_final_state: running}
    - path: perl
      args: ['-e', '$| = 1; for (1..100) { sleep 1; print "$_\n" }']
      expected_final_state: running
    - path: perl
      args: ['-MTime::HiRes=time', '-e', '1 while time']
      start_time: 9900 ms
      expected_final_state: running
"#;
    let folder = prepare(&scenario("10 s", hosts));
    let arguments = ["run", "shim.yaml", "--strace-logging-mode", "standard"];
    let outcome = shim(&folder, &arguments).expect_success();
    assert!(outcome.text().contains("simulated time 10 s"), "{outcome:?}");
    let lines = read(&folder, "hosts/alice/perl.1001.stdout");
    assert_eq!(lines.lines().last(), Some("9"), "what is at the end does not happen");
    for name in ["sleep.1000", "perl.1001", "perl.1002"] {
        assert_eq!(read(&folder, &format!("hosts/alice/{name}.exitcode")), "");
        let trace = read(&folder, &format!("hosts/alice/{name}.strace"));
        let end = "] +++ running at the end of the simulation +++\n";
        assert!(trace.ends_with(end), "{trace}");
        assert!(trace.lines().last().unwrap().starts_with("10.000000000 ["), "{trace}");
    }
}

#[test]
fn a_run_that_depended_on_the_machines_speed_says_so_and_strict_makes_it_an_error() {
    // An event of the same host waits for it.
    let hosts = r#"  alice:
    network_node_id: 0
    processes:
    - {path: perl, args: ['-e', '1 while 1'], expected_final_state: running}
    - {path: sleep, args: '2'}
"#;
    // The two share a processor: the sleep begins when the other has lost it.
    let yaml = scenario("4 s", hosts) + "shim: {watchdog: 100 ms, watchdog_quantum: 1 s}\n";
    let folder = prepare(&yaml);
    let outcome = shim(&folder, &["run", "shim.yaml"]).expect_success();
    assert!(outcome.text().contains("alice: not reproducible: perl made no call"), "{outcome:?}");
    assert!(read(&folder, "sim-stats.json").contains("\"is_reproducible\": false"));
    let outcome = shim(&folder, &["run", "shim.yaml", "--strict", "--data-directory", "strict"]);
    assert_eq!(outcome.status, Status::Code(1), "{outcome:?}");
    assert!(String::from_utf8_lossy(&outcome.stderr).contains("--strict"), "{outcome:?}");
}

/// Start a run in the background, in a process group of its own.
fn start(folder: &Folder) -> Child {
    let run = Run::native(&built().command).args(["run", "shim.yaml"]).folder(folder.path());
    let mut command = run.command();
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("shim can be started")
}

/// Interrupt a run once its guest has written something; its status and how long it took to end.
#[track_caller]
fn interrupt(folder: &Folder, file: &str) -> (Option<i32>, Duration) {
    let mut child = start(folder);
    let path = folder.path().join("shim.data").join(file);
    let patience = Instant::now() + Duration::from_secs(20);
    while fs::metadata(&path).map_or(0, |metadata| metadata.len()) == 0 {
        assert!(Instant::now() < patience, "{} stays empty", path.display());
        std::thread::sleep(Duration::from_millis(5));
    }
    let interrupted = Instant::now();
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return (status.code(), interrupted.elapsed());
        }
        if interrupted.elapsed() > Duration::from_secs(15) {
            let _ = child.kill();
            panic!("the run goes on");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn an_interrupted_run_ends_cleanly_with_its_statistics() {
    let polling = r#"path: perl
args: ['-MTime::HiRes=time', '-e', '$| = 1; print "here\n"; 1 while time']"#;
    let folder = prepare(&one("100000 h", polling));
    let (status, wall) = interrupt(&folder, "hosts/alice/perl.1000.stdout");
    assert_eq!(status, Some(1));
    assert!(wall < Duration::from_secs(2), "{wall:?}");
    let stats = read(&folder, "sim-stats.json");
    assert!(stats.contains("\"is_interrupted\": true"), "{stats}");
    assert!(read(&folder, "wall-stats.json").contains("wall_seconds"));
    assert!(read(&folder, "shim.log").contains("interrupted"));
    assert_eq!(read(&folder, "hosts/alice/perl.1000.exitcode"), "");
}

#[test]
fn a_guest_that_computes_for_ever_cannot_keep_an_interrupted_run() {
    let computing = r#"path: perl
args: ['-e', '$| = 1; print "here\n"; 1 while 1']"#;
    let yaml = one("100000 h", computing) + "shim: {watchdog: null}\n";
    let folder = prepare(&yaml);
    let (status, wall) = interrupt(&folder, "hosts/alice/perl.1000.stdout");
    assert_eq!(status, Some(1));
    assert!(wall < Duration::from_secs(8), "{wall:?}");
    assert!(read(&folder, "sim-stats.json").contains("\"is_interrupted\": true"));
}

#[test]
fn a_data_directory_is_never_overwritten() {
    let folder = prepare(&one("1 s", "path: 'true'"));
    let precious = folder.path().join("shim.data");
    fs::create_dir(&precious).unwrap();
    fs::write(precious.join("results"), "precious").unwrap();
    let before = folder.contents();
    let outcome = shim(&folder, &["run", "shim.yaml"]);
    assert_eq!(outcome.status, Status::Code(2));
    let message = String::from_utf8_lossy(&outcome.stderr);
    assert!(
        message.contains("exists already") && message.contains("--data-directory"),
        "{message}"
    );
    assert_eq!(folder.contents(), before);
    shim(&folder, &["run", "shim.yaml", "--data-directory", "other"]).expect_success();
    assert!(folder.path().join("other/hosts/alice/true.1000.exitcode").is_file());
}

#[test]
fn a_bad_configuration_is_status_2_and_leaves_nothing() {
    for (yaml, what) in [
        ("general: {stop_tim: 1 s}", "stop_time"),
        ("general: [", "shim.yaml:2:1: this is not YAML"),
        (&one("1 s", "path: /nonexistent/program"), "/nonexistent/program"),
    ] {
        let (folder, outcome) = run(yaml);
        assert_eq!(outcome.status, Status::Code(2), "{outcome:?}");
        assert!(String::from_utf8_lossy(&outcome.stderr).contains(what), "{outcome:?}");
        assert_eq!(folder.contents().len(), 1, "{:?}", folder.contents().keys());
    }
    let folder = prepare(&one("1 s", "path: 'true'"));
    for arguments in [&["run", "missing.yaml"][..], &["run", "shim.yaml", "--seed", "x"], &["run"]]
    {
        assert_eq!(shim(&folder, arguments).status, Status::Code(2), "{arguments:?}");
    }
}

#[test]
fn the_summary_tells_what_ended_how_and_what_was_lacking() {
    let socket = "use Socket; socket(my $s, 38, SOCK_STREAM, 0) or exit 4";
    let hosts: String = (0..5)
        .map(|n| {
            format!(
                "  h{n}:\n    network_node_id: 0\n    processes:\n    - {{path: 'true'}}\n    \
                 - {{path: perl, args: [-e, '{socket}'], expected_final_state: {{exited: 5}}}}\n"
            )
        })
        .collect();
    let (folder, outcome) = run(&scenario("1 min", &hosts));
    assert_eq!(outcome.status, Status::Code(1));
    let text = outcome.text();
    let lines: Vec<Vec<&str>> =
        text.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[0], ["PROGRAM", "ENDED", "AS", "PROCESSES", "EXPECTED", "WHERE"]);
    let good = "true exited: 0 5 yes h0[1000], h1[1000], h2[1000] and 2 more";
    assert_eq!(lines[1].join(" "), good);
    let bad = "perl exited: 4 5 no: exited: 5 h0[1001], h1[1001], h2[1001] and 2 more";
    assert_eq!(lines[2].join(" "), bad);
    assert!(text.contains("perl: socket of family AF_ALG (5 times)"), "{text}");
    assert!(text.ends_with("10 processes, 5 not as expected; simulated time 60 s\n"), "{text}");
    assert!(read(&folder, "sim-stats.json").contains("\"unexpected\": 5"));
}

#[test]
fn a_process_that_cannot_be_started_is_named() {
    let folder = prepare(&one("1 s", "path: ./no-program"));
    let path = folder.path().join("no-program");
    fs::write(&path, "this is not a program").unwrap();
    let mut permissions = path.metadata().unwrap().permissions();
    std::os::unix::fs::PermissionsExt::set_mode(&mut permissions, 0o755);
    fs::set_permissions(&path, permissions).unwrap();
    let outcome = shim(&folder, &["run", "shim.yaml"]);
    assert_eq!(outcome.status, Status::Code(1), "{outcome:?}");
    let text = outcome.text();
    assert!(text.contains("alice: no-program was not started: "), "{text}");
    assert!(read(&folder, "shim.log").contains("no-program was not started"));
}

#[test]
fn processes_have_the_environment_of_the_scenario_and_their_hosts_folder() {
    let hosts = "  alice:\n    network_node_id: 0\n    processes:\n    \
                 - {path: /usr/bin/env, environment: {B: '2', A: 'a b'}}\n    - {path: /usr/bin/pwd}\n    \
                 - {path: /usr/bin/uname, args: -n}\n    - {path: /usr/bin/cat}\n    \
                 - {path: /usr/bin/env, environment: {OPENSSL_ia32cap: '1'}}\n";
    let (folder, outcome) = run(&scenario("1 s", hosts));
    outcome.expect_success();
    // A processor that cannot hide its random numbers is hidden from OpenSSL, unless the scenario does that itself.
    let cpu = fs::read_to_string("/proc/cpuinfo").expect("it is there");
    let more = if cpu.contains("cpuid_fault") { "" } else { &format!("{}={}\n", MASK.0, MASK.1) };
    assert_eq!(read(&folder, "hosts/alice/env.1000.stdout"), format!("A=a b\nB=2\n{more}"));
    assert_eq!(read(&folder, "hosts/alice/env.1004.stdout"), "OPENSSL_ia32cap=1\n");
    let here = fs::canonicalize(folder.path().join("shim.data/hosts/alice")).unwrap();
    assert_eq!(read(&folder, "hosts/alice/pwd.1001.stdout"), format!("{}\n", here.display()));
    assert_eq!(read(&folder, "hosts/alice/uname.1002.stdout"), "alice\n");
    assert_eq!(read(&folder, "hosts/alice/cat.1003.stdout"), "");
}

#[test]
fn a_template_is_there_before_the_first_process() {
    let folder = prepare(&one("1 s", "path: cat\nargs: greeting ../../common"));
    let host = folder.path().join("template/hosts/alice");
    fs::create_dir_all(&host).unwrap();
    fs::write(host.join("greeting"), "hello ").unwrap();
    fs::write(folder.path().join("template/common"), "world\n").unwrap();
    shim(&folder, &["run", "shim.yaml", "--template-directory", "template"]).expect_success();
    assert_eq!(read(&folder, "hosts/alice/cat.1000.stdout"), "hello world\n");
}

#[test]
fn what_was_understood_can_be_run_again() {
    let yaml = fs::read_to_string(root().join("examples/scenarios/first.yaml")).unwrap();
    let folder = prepare(&yaml);
    let shown = shim(&folder, &["run", "--show-config", "shim.yaml"]).expect_success();
    assert_eq!(folder.contents().len(), 1, "nothing is run");
    shim(&folder, &["run", "shim.yaml"]).expect_success();
    assert_eq!(read(&folder, "processed-config.yaml"), shown.text());
    let data = folder.path().join("shim.data");
    fs::rename(data, folder.path().join("first")).unwrap();
    shim(&folder, &["run", "first/processed-config.yaml"]).expect_success();
    assert_same_trees(&folder, "first", "shim.data");
    assert!(tree(&folder, "first").contains_key("hosts/bob/sqlite3.1001.stdout"));
}

/// Hosts that all sleep for a minute.
fn sleepers(count: usize) -> String {
    let hosts = (0..count).map(|n| {
        format!("  host{n}: {{network_node_id: 0, processes: [{{path: sleep, args: '60'}}]}}\n")
    });
    scenario("2 min", &hosts.collect::<String>())
}

#[test]
fn a_thousand_hosts_run() {
    let folder = prepare(&sleepers(1000));
    let run = Run::native(&built().command).args(["run", "shim.yaml"]).folder(folder.path());
    let outcome = run.limit(Duration::from_secs(120)).finish().expect_success();
    assert!(outcome.text().contains("1000 processes, all as expected"), "{outcome:?}");
    assert!(
        Path::new(&folder.path().join("shim.data/hosts/host999/sleep.1000.exitcode")).is_file()
    );
}

#[test]
fn a_low_limit_of_descriptors_is_raised_or_told() {
    let folder = prepare(&sleepers(40));
    let with_limit = |limit: &str| {
        let script = format!("ulimit {limit}; exec \"$0\" run shim.yaml");
        Run::native("/bin/sh")
            .args(["-c", &script])
            .args([&built().command])
            .folder(folder.path())
            .finish()
    };
    let outcome = with_limit("-n 100");
    assert_eq!(outcome.status, Status::Code(2), "{outcome:?}");
    let message = String::from_utf8_lossy(&outcome.stderr);
    assert!(message.contains("hard limit is 100"), "{message}");
    with_limit("-Sn 100").expect_success();
}

#[test]
fn completions_and_manual_pages_come_from_the_definitions() {
    let folder = Folder::new();
    for (shell, word) in
        [("bash", "complete -F"), ("zsh", "#compdef shim"), ("fish", "complete -c shim")]
    {
        let text = shim(&folder, &["completions", shell]).expect_success().text();
        assert!(text.contains(word) && text.contains("stop-time"), "{shell}: {text}");
    }
    shim(&folder, &["man", "pages"]).expect_success();
    for (page, words) in [
        ("shim.1", "shim\\-run(1)"),
        ("shim-run.1", "\\-\\-template\\-directory"),
        ("shim-verify.1", "repeatable"),
        ("shim-report.1", "nothing but a browser"),
        ("shim-exec.1", "\\-\\-hostname"),
    ] {
        let text = fs::read_to_string(folder.path().join("pages").join(page)).unwrap();
        assert!(text.contains(words), "{page}: {text}");
    }
    let help = shim(&folder, &["run", "--help"]).expect_success().text();
    assert!(help.contains("Examples:") && help.contains("Exit status:"), "{help}");
}
