//! Good configurations: what they come to.
//!
//! Files and texts in, typed scenarios out. Broken ones are in `broken.rs`.

use std::path::Path;
use std::time::Duration;

use shim_abi::manager::EmulateTsc;
use shim_abi::{SimDuration, SimTime};
use shim_sim::config::scenario::{
    ClockJump, Fault, FaultKind, FinalState, LogLevel, Process, Strace,
};
use shim_sim::config::{self, Overrides, Scenario, Warning};

const SECOND: u64 = 1_000_000_000;

fn load(name: &str) -> (Scenario, Vec<Warning>) {
    load_with(name, &Overrides::default())
}

fn load_with(name: &str, overrides: &Overrides) -> (Scenario, Vec<Warning>) {
    let path = format!("tests/config/good/{name}.yaml");
    config::load(Path::new(&path), overrides).unwrap_or_else(|problems| panic!("{problems:#?}"))
}

fn only_process<'s>(scenario: &'s Scenario, host: &str) -> &'s Process {
    let [process] = scenario.host(host).unwrap().processes.as_slice() else { panic!("{host}") };
    process
}

#[test]
fn the_smallest_file_has_the_defaults() {
    let (scenario, warnings) = load("smallest");
    assert_eq!(warnings, []);
    let general = &scenario.general;
    assert_eq!(general.stop_time, SimTime::from_ns(60 * SECOND));
    assert_eq!(general.bootstrap_end_time, SimTime::ZERO);
    assert_eq!((general.seed, general.parallelism), (1, 0));
    assert_eq!(general.data_directory, std::env::current_dir().unwrap().join("shim.data"));
    assert_eq!(general.template_directory, None);
    assert_eq!(general.log_level, LogLevel::Info);
    assert_eq!(general.heartbeat_interval, Some(SimDuration::from_secs(1)));
    assert!(!general.has_progress);
    assert_eq!(general.strace, Strace::Off);
    let time = &scenario.time;
    assert_eq!(time.start_realtime_ns, 946_684_800 * 1_000_000_000);
    assert_eq!(time.syscall_latency, SimDuration::from_ns(1_000));
    assert_eq!(time.vdso_latency, SimDuration::from_ns(1_000));
    assert_eq!(time.emulate_tsc, EmulateTsc::Auto);
    assert!(!time.is_strict);
    assert_eq!(time.watchdog, Some(Duration::from_secs(1)));
    assert_eq!(time.watchdog_quantum, SimDuration::from_secs(1));
    assert!(scenario.network.use_shortest_path);
    assert_eq!(scenario.network.runahead, None);
    let alice = scenario.host("alice").unwrap();
    assert_eq!(alice.ipv4.to_string(), "11.0.0.1");
    assert_eq!(alice.ipv6.to_string(), "fd00:11::b00:1");
    assert_eq!((alice.bandwidth_down, alice.bandwidth_up), (SECOND, SECOND));
    assert_eq!((alice.log_level, alice.pcap_capture_bytes), (None, None));
    assert_eq!((alice.cpus, alice.memory_bytes), (1, 4 << 30));
    assert_eq!(alice.clock, config::scenario::Clock::default());
    let sleep = only_process(&scenario, "alice");
    assert!(sleep.program.is_absolute() && sleep.program.ends_with("sleep"));
    assert_eq!(sleep.args, ["sleep", "30"]);
    assert!(sleep.environment.is_empty());
    assert_eq!((sleep.start_time, sleep.shutdown_time), (SimTime::ZERO, None));
    assert_eq!(sleep.shutdown_signal, 15);
    assert_eq!(sleep.expected_final_state, FinalState::Exited(0));
    assert_eq!(scenario.host("bob"), None);
}

#[test]
fn a_server_and_its_clients() {
    let (scenario, warnings) = load("server-and-clients");
    assert_eq!(warnings, []);
    let names: Vec<String> =
        scenario.hosts.iter().map(|host| format!("{} {}", host.name, host.ipv4)).collect();
    let expected = ["client1 11.0.0.1", "client2 11.0.0.2", "client3 11.0.0.3", "server 100.0.0.1"];
    assert_eq!(names, expected);
    let server = only_process(&scenario, "server");
    let expected =
        ["sh", "-c", "while true; do sleep 1; done", "sh", "--name", "server", "--verbose"];
    assert_eq!(server.args, expected);
    assert_eq!(server.expected_final_state, FinalState::Running);
    assert_eq!(server.start_time, SimTime::from_ns(SECOND));
    let client = only_process(&scenario, "client2");
    assert_eq!(client.program, Path::new("/bin/cat"));
    assert_eq!(client.args, ["/bin/cat", "../../../request.txt", "two words", "it's"]);
    assert_eq!(client.environment["THREADS"], "1");
    assert_eq!(scenario.host("client3").unwrap().log_level, Some(LogLevel::Debug));
    assert_eq!(scenario.host("client3").unwrap().bandwidth_up, 18_000_000);
    assert_eq!(scenario.network.graph.edges[0].latency, SimDuration::from_ns(50_000_000));
}

#[test]
fn templates_are_merged() {
    let (scenario, warnings) = load("templates");
    assert_eq!(warnings, []);
    let up = |name| scenario.host(name).unwrap().bandwidth_up;
    assert_eq!((up("fast1"), up("fast2"), up("half-slow")), (100_000_000, 100_000_000, 1_000_000));
    assert_eq!(scenario.host("fast1").unwrap().log_level, None);
    assert_eq!(scenario.host("fast2").unwrap().log_level, Some(LogLevel::Error));
    assert_eq!(scenario.host("half-slow").unwrap().bandwidth_down, 100_000_000);
    assert_eq!(only_process(&scenario, "fast2").args, ["true"]);
}

#[test]
fn graphs_are_unpacked() {
    let (scenario, warnings) = load("ring");
    assert_eq!(warnings, []);
    let graph = &scenario.network.graph;
    assert!(graph.is_directed);
    assert_eq!((graph.nodes.len(), graph.edges.len()), (3, 4));
    assert_eq!(graph.node(1).unwrap().label.as_deref(), Some("east"));
    assert_eq!(scenario.host("east").unwrap().bandwidth_up, 81_920 * 1024);
    assert_eq!(scenario.host("east").unwrap().bandwidth_down, 100_000_000);
    assert_eq!(scenario.host("west").unwrap().bandwidth_down, 10_000_000);
}

#[test]
fn every_key_arrives_and_each_unused_one_is_told_once() {
    let (scenario, warnings) = load("everything");
    let general = &scenario.general;
    assert_eq!(general.bootstrap_end_time, SimTime::from_ns(5 * SECOND));
    assert!(general.data_directory.is_absolute() && general.data_directory.ends_with("results"));
    assert!(general.template_directory.as_ref().unwrap().ends_with("tests/config/good"));
    assert_eq!(general.heartbeat_interval, None);
    assert_eq!(general.log_level, LogLevel::Warning);
    assert_eq!((general.seed, general.parallelism), (u64::MAX, 4));
    assert!(general.has_progress);
    assert_eq!(general.strace, Strace::Deterministic);
    assert!(!scenario.network.use_shortest_path);
    assert_eq!(scenario.network.runahead, Some(SimDuration::from_ns(1_000_000)));
    let time = &scenario.time;
    assert_eq!(time.start_realtime_ns, 1_709_200_800 * 1_000_000_000);
    assert_eq!(time.syscall_latency, SimDuration::from_ns(3_000));
    assert_eq!(time.vdso_latency, SimDuration::from_ns(10));
    assert_eq!(time.emulate_tsc, EmulateTsc::Never);
    assert!(time.is_strict);
    assert_eq!(time.watchdog, Some(Duration::from_millis(100)));
    assert_eq!(time.watchdog_quantum, SimDuration::from_ns(1_000_000));

    let alice = scenario.host("alice").unwrap();
    assert_eq!(alice.ipv4.to_string(), "11.0.0.2");
    assert_eq!((alice.log_level, alice.pcap_capture_bytes), (Some(LogLevel::Debug), Some(96)));
    let bob = scenario.host("bob").unwrap();
    assert_eq!(bob.ipv4.to_string(), "11.0.0.1");
    assert_eq!((bob.log_level, bob.pcap_capture_bytes), (Some(LogLevel::Debug), None));
    assert_eq!((bob.bandwidth_down, bob.bandwidth_up), (SECOND, 500_000_000));
    assert_eq!((bob.cpus, bob.memory_bytes), (8, 16 << 30));
    assert_eq!(bob.aliases, ["db.example.org", "www"]);
    assert_eq!((bob.clock.offset_ns, bob.clock.rate_ppb), (-5_000_000_000, -500));
    let jump =
        |minutes: u64, by_ns| ClockJump { at: SimTime::from_ns(minutes * 60 * SECOND), by_ns };
    assert_eq!(bob.clock.jumps, [jump(10, 2_000_000_000), jump(30, -3_600_000_000_000)]);
    let [shell, last] = bob.processes.as_slice() else { panic!() };
    assert_eq!(shell.args, ["/bin/sh", "-c", "kill $$", "", "a b"]);
    assert_eq!(shell.environment["A"], "1");
    assert_eq!(shell.environment["B"], "");
    assert_eq!(shell.shutdown_time, Some(SimTime::from_ns(1_800 * SECOND)));
    assert_eq!(shell.shutdown_signal, 2);
    assert_eq!(shell.expected_final_state, FinalState::Signaled(15));
    assert_eq!(shell.expected_final_state.to_string(), "{signaled: SIGTERM}");
    assert_eq!((last.args.as_slice(), last.shutdown_signal), (&["false".to_owned()][..], 9));
    assert_eq!(last.expected_final_state.to_string(), "{exited: 1}");

    let told: Vec<String> = warnings.iter().map(ToString::to_string).collect();
    let file = "tests/config/good/everything.yaml";
    let first = format!(
        "{file}:18:3: experimental.host_heartbeat_interval has no effect here: hosts log no heartbeats of their own"
    );
    assert_eq!(told[0], first);
    assert_eq!(told.len(), 33, "{told:#?}");
}

#[test]
fn faults_are_said_at_one_place() {
    let (scenario, warnings) = load("faults");
    assert_eq!(warnings, []);
    let at = |seconds: u64| SimTime::from_ns(seconds * SECOND);
    let ms = |count: u64| SimDuration::from_ns(count * 1_000_000);
    let fault =
        |from: u64, until: Option<u64>, kind| Fault { at: at(from), until: until.map(at), kind };
    let link = |target, latency, jitter, loss: f64| FaultKind::Link {
        source: 0,
        target,
        is_one_way: false,
        latency,
        jitter,
        packet_loss: Some(loss),
    };
    let kill = |signal| FaultKind::Kill { host: "bob".into(), process: 0, signal };
    let sets = vec![vec!["alice".to_owned(), "bob".to_owned()], vec!["carol".to_owned()]];
    let expected = [
        fault(10, Some(15), link(1, Some(ms(50)), Some(ms(1)), 0.1)),
        fault(20, Some(520), FaultKind::Cut { source: 1, target: 0, is_one_way: true }),
        fault(30, Some(40), FaultKind::Partition(sets)),
        fault(40, Some(45), FaultKind::Crash { host: "alice".into() }),
        fault(50, Some(52), kill(15)),
        fault(55, None, kill(9)),
        fault(0, None, link(0, None, None, 1.0)),
    ];
    assert_eq!(scenario.faults, expected);
    let jump = |seconds, by_ns| ClockJump { at: at(seconds), by_ns };
    let jumps = &scenario.host("bob").unwrap().clock.jumps;
    assert_eq!(jumps, &[jump(60, -3_000_000_000), jump(70, 1_000_000_000)]);
    let both: Vec<usize> = scenario.network.graph.edges_between(1, 0).collect();
    assert_eq!(both, [1, 2], "they lead both ways");
}

#[test]
fn the_command_line_has_the_last_word() {
    let word = |text: &str| Some(text.to_owned());
    let overrides = Overrides {
        stop_time: word("2 h"),
        seed: word("7"),
        parallelism: word("2"),
        data_directory: word("/elsewhere"),
        template_directory: word("null"),
        log_level: word("trace"),
        heartbeat_interval: word("5s"),
        progress: word("false"),
        host_log_level: word("info"),
        strace_logging_mode: word("standard"),
        start_time: word("@86400"),
        watchdog: word("null"),
        strict: word("false"),
        ..Overrides::default()
    };
    let (scenario, _) = load_with("everything", &overrides);
    let general = &scenario.general;
    assert_eq!(general.stop_time, SimTime::from_ns(7_200 * SECOND));
    assert_eq!((general.seed, general.parallelism), (7, 2));
    assert_eq!(general.data_directory, Path::new("/elsewhere"));
    assert_eq!(general.template_directory, None);
    assert_eq!(general.log_level, LogLevel::Trace);
    assert_eq!(general.heartbeat_interval, Some(SimDuration::from_secs(5)));
    assert!(!general.has_progress && !scenario.time.is_strict);
    assert_eq!(general.strace, Strace::Standard);
    assert_eq!(
        (scenario.time.start_realtime_ns, scenario.time.watchdog),
        (86_400 * 1_000_000_000, None)
    );
    assert_eq!(scenario.host("alice").unwrap().log_level, Some(LogLevel::Info));

    let overrides = Overrides { stop_time: word("soon"), seed: word("x"), ..Overrides::default() };
    let path = Path::new("tests/config/good/smallest.yaml");
    let problems = config::load(path, &overrides).unwrap_err();
    let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert!(told[0].starts_with("--seed: general.seed is the text 'x'"), "{told:?}");
    assert!(told[1].starts_with("--stop-time: general.stop_time is the text 'soon'"), "{told:?}");
    assert_eq!(told.len(), 2);
}

#[test]
fn the_command_line_can_complete_a_file() {
    let text = "network: {graph: {type: 1_gbit_switch}}\nhosts: {a: {network_node_id: 0, processes: []}}\n";
    let overrides = Overrides { stop_time: Some("1 h".to_owned()), ..Overrides::default() };
    let (scenario, _) = config::parse(Path::new("f"), text, &overrides).unwrap();
    assert_eq!(scenario.general.stop_time, SimTime::from_ns(3_600 * SECOND));
}

#[test]
fn latencies_are_on_unless_the_file_says_no() {
    let latencies = |general: &str, rest: &str| {
        let text = format!(
            "general: {{stop_time: 1 h{general}}}\nnetwork: {{graph: {{type: 1_gbit_switch}}}}\n\
             hosts: {{a: {{network_node_id: 0, processes: []}}}}\n{rest}"
        );
        let (scenario, _) = config::parse(Path::new("f"), &text, &Overrides::default()).unwrap();
        (scenario.time.syscall_latency.as_ns(), scenario.time.vdso_latency.as_ns())
    };
    let off = ", model_unblocked_syscall_latency: false";
    let shadows = "experimental: {unblocked_syscall_latency: 5 us, unblocked_vdso_latency: 6 ns}\n";
    assert_eq!(latencies("", ""), (1_000, 1_000));
    assert_eq!(latencies("", shadows), (5_000, 6));
    assert_eq!(latencies(off, shadows), (0, 0));
    assert_eq!(latencies(off, "shim: {syscall_latency: 7 us}\n"), (7_000, 0));
}

#[test]
fn the_order_of_the_file_does_not_matter() {
    let read = |text: &str| config::parse(Path::new("f"), text, &Overrides::default()).unwrap().0;
    let host = "{network_node_id: 0, processes: []}";
    let rest = "general: {stop_time: 1}\nnetwork: {graph: {type: 1_gbit_switch}}\n";
    let one = read(&format!("{rest}hosts: {{a: {host}, b: {host}, c: {host}}}\n"));
    let other = read(&format!("hosts: {{c: {host}, a: {host}, b: {host}}}\n{rest}"));
    assert_eq!(one, other);
}
