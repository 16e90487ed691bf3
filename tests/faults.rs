//! Faults of a scenario, as programs notice them: links, partitions, crashes, kills and clocks.
//!
//! Scenarios with `shim.faults` in; what `ping`, Python and shells wrote, and what the log and `sim-stats.json` say, out. Always
//! true: what is asked for follows from the instants of the faults. What a configuration may say is tested in
//! `crates/shim-sim/tests/config`.

use std::fs;
use std::path::Path;
use std::time::Duration;

use shim_testkit::built::built;
use shim_testkit::{Folder, Outcome, Run, Status};

/// Two nodes, 10 ms from each other, and a third one behind the second.
const GRAPH: &str = "
network:
  graph:
    type: gml
    inline: |
      graph [
        node [ id 0 host_bandwidth_up \"1 Gbit\" host_bandwidth_down \"1 Gbit\" ]
        node [ id 1 host_bandwidth_up \"1 Gbit\" host_bandwidth_down \"1 Gbit\" ]
        edge [ source 0 target 0 latency \"1 ms\" ]
        edge [ source 0 target 1 latency \"10 ms\" ]
        edge [ source 1 target 1 latency \"1 ms\" ]
      ]
";

/// A scenario of half a minute in which `faults` happen; `hosts` as in a file, indented by two.
fn scenario(faults: &[&str], hosts: &str) -> String {
    let faults: String = faults.iter().map(|fault| format!("  - {{{fault}}}\n")).collect();
    format!("general: {{stop_time: 30 s}}{GRAPH}shim:\n  faults:\n{faults}hosts:\n{hosts}")
}

/// A host that sends an echo each second, from 0.5 s on, 20 of them.
fn pinger(name: &str, node: u32, target: &str, expected: &str) -> String {
    format!(
        "  {name}:\n    network_node_id: {node}\n    processes:\n    - path: ping\n      args: -n -D -i 1 -W 1 -c 20 \
         {target}\n      start_time: 500 ms\n      expected_final_state: {expected}\n"
    )
}

fn quiet(name: &str, node: u32) -> String {
    format!("  {name}: {{network_node_id: {node}, processes: []}}\n")
}

fn script(name: &str, node: u32, program: &str, text: &str, more: &str) -> String {
    let text = text.replace('\n', "\n        ");
    format!(
        "  {name}:\n    network_node_id: {node}\n    processes:\n    - path: {program}\n      args:\n      - -c\n      - \
         |\n        {text}\n      {more}\n"
    )
}

fn shim(folder: &Folder, arguments: &[&str]) -> Outcome {
    Run::native(&built().command)
        .args(arguments)
        .folder(folder.path())
        .limit(Duration::from_secs(90))
        .finish()
}

/// Run a scenario that ends as expected.
#[track_caller]
fn run(yaml: &str) -> Folder {
    let folder = Folder::with(&[("faults.yaml", yaml.as_bytes())]);
    let outcome = shim(&folder, &["run", "faults.yaml"]);
    let log = fs::read_to_string(folder.path().join("shim.data/shim.log")).unwrap_or_default();
    assert_eq!(outcome.status, Status::Code(0), "{outcome:?}\n{log}");
    folder
}

/// A file of the data directory.
#[track_caller]
fn data(folder: &Folder, path: &str) -> String {
    let path = Path::new("shim.data").join(path);
    fs::read_to_string(folder.path().join(&path))
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// What a host's process wrote.
#[track_caller]
fn stdout(folder: &Folder, host: &str, file: &str) -> String {
    data(folder, &format!("hosts/{host}/{file}.stdout"))
}

/// The echoes that came back: their numbers, and how many milliseconds each took.
fn echoes(text: &str) -> Vec<(u32, f64)> {
    let number = |line: &str, key: &str| {
        let rest = line.split_once(key)?.1;
        rest.split(' ').next()?.parse::<f64>().ok()
    };
    let echo = |line: &str| Some((number(line, "icmp_seq=")? as u32, number(line, "time=")?));
    text.lines().filter_map(echo).collect()
}

fn numbers(echoes: &[(u32, f64)]) -> Vec<u32> {
    echoes.iter().map(|(number, _)| *number).collect()
}

#[test]
fn a_link_is_slower_for_a_while() {
    // Echo 1 leaves at 0.5 s.
    let faults = ["at: 5 s, link: {source: 1, target: 0}, latency: 50 ms, for: 5 s"];
    let yaml = scenario(&faults, &(pinger("alice", 0, "bob", "{exited: 0}") + &quiet("bob", 1)));
    let folder = run(&yaml);
    let echoes = echoes(&stdout(&folder, "alice", "ping.1000"));
    assert_eq!(numbers(&echoes), (1..=20).collect::<Vec<_>>());
    for (number, ms) in echoes {
        let expected = if (6..=10).contains(&number) { 100.0 } else { 20.0 };
        assert!((expected..expected + 1.0).contains(&ms), "echo {number} took {ms} ms");
    }
    let log = data(&folder, "shim.log");
    for line in
        ["5.000000000 [info ] - fault: link 1 - 0 changes", "fault: over: link 1 - 0 changes"]
    {
        let words: Vec<&str> = line.split("fault").collect();
        assert!(log.contains(words[words.len() - 1]), "{line} in {log}");
    }
    let statistics = data(&folder, "sim-stats.json");
    assert!(statistics.contains("\"link\": 1"), "{statistics}");
}

#[test]
fn what_leaves_while_a_link_is_cut_or_hosts_are_apart_does_not_arrive() {
    let faults = [
        "at: 3 s, cut: {source: 0, target: 1}, for: 4 s",
        "at: 10 s, partition: [[alice], [bob, carol]], for: 3 s",
        "at: 15 s, link: {source: 0, target: 1}, packet_loss: 1, for: 2 s",
    ];
    // Dave is in no set, and on alice's side of the link.
    let hosts = pinger("alice", 0, "bob", "{exited: 0}")
        + &quiet("bob", 1)
        + &pinger("carol", 1, "bob", "{exited: 0}")
        + &pinger("dave", 0, "bob", "{exited: 0}");
    let folder = run(&scenario(&faults, &hosts));
    let of = |host: &str| numbers(&echoes(&stdout(&folder, host, "ping.1000")));
    let without = |gone: &[u32]| (1..=20).filter(|it| !gone.contains(it)).collect::<Vec<_>>();
    assert_eq!(of("alice"), without(&[4, 5, 6, 7, 11, 12, 13, 16, 17]));
    assert_eq!(of("dave"), without(&[4, 5, 6, 7, 16, 17]));
    assert_eq!(of("carol"), without(&[]));
    // Who has no way is told so by a router.
    assert!(stdout(&folder, "alice", "ping.1000").contains("unreachable: No route"));
}

const SERVER: &str = "import http.server, os
open('boots', 'a').write(str(os.getpid()) + '\\n')
http.server.test(http.server.SimpleHTTPRequestHandler, port=80)";

/// Asks each second for what the server has, and says which seconds had an answer. It has two addresses to try.
const CLIENT: &str = "import time, urllib.request
for second in range(1, 20):
    time.sleep(max(0, second + 946684800 - time.time()))
    try:
        boots = urllib.request.urlopen('http://server/boots', timeout=0.4).read()
        print(second, len(boots.split()), flush=True)
    except OSError as error:
        print(second, 'no', error, flush=True)";

fn served(faults: &[&str]) -> String {
    let server = script("server", 1, "/usr/bin/python3", SERVER, "expected_final_state: running");
    let client = script("client", 0, "/usr/bin/python3", CLIENT, "start_time: 500 ms");
    scenario(faults, &(client + &server))
}

/// The seconds that had an answer, each with how often the server had been started.
fn answers(folder: &Folder) -> Vec<(u32, u32)> {
    let text = stdout(folder, "client", "python3.1000");
    let answer = |line: &str| {
        let (second, boots) = line.split_once(' ')?;
        Some((second.parse().ok()?, boots.parse().ok()?))
    };
    text.lines().filter_map(answer).collect()
}

#[test]
fn a_host_crashes_and_boots_with_its_files() {
    let folder = run(&served(&["at: 5500 ms, crash: server, restart_after: 5 s"]));
    let before = (1..=5).map(|second| (second, 1));
    let after = (11..20).map(|second| (second, 2));
    assert_eq!(answers(&folder), before.chain(after).collect::<Vec<_>>());
    // Numbers go on: its threads had some, too.
    let boots = data(&folder, "hosts/server/boots");
    let pids: Vec<u32> = boots.lines().map(|line| line.parse().expect("it is a number")).collect();
    assert!(pids.len() == 2 && pids[0] == 1000 && pids[1] > 1000, "{pids:?}");
    let status = |pid: u32| data(&folder, &format!("hosts/server/python3.{pid}.exitcode"));
    assert_eq!((status(pids[0]).as_str(), status(pids[1]).as_str()), ("137", ""));
}

#[test]
fn a_process_is_killed_and_started_again() {
    let kill = "at: 5500 ms, kill: {host: server, process: 0}, restart_after: 3 s";
    let folder = run(&served(&[kill]));
    let before = (1..=5).map(|second| (second, 1));
    let after = (9..20).map(|second| (second, 2));
    assert_eq!(answers(&folder), before.chain(after).collect::<Vec<_>>());
    // Its kernel is still there, and says so.
    assert!(stdout(&folder, "client", "python3.1000").contains("6 no <urlopen error [Errno 111]"));
}

#[test]
fn whom_a_fault_ends_has_ended_as_expected() {
    let faults = [
        "at: 2 s, kill: {host: alice, process: 0, signal: SIGTERM}",
        "at: 3 s, kill: {host: bob, process: 0, signal: SIGTERM}",
        "at: 4 s, crash: carol",
    ];
    let sleeping = |name| script(name, 0, "/bin/sh", "sleep 20", "start_time: 1 s");
    let late = script("carol", 0, "/bin/sh", "sleep 20", "start_time: 5 s");
    let trap =
        script("bob", 0, "/bin/sh", "trap 'exit 3' TERM\nsleep 20 & wait", "start_time: 1 s");
    let folder = Folder::with(&[(
        "faults.yaml",
        scenario(&faults, &(sleeping("alice") + &trap + &late)).as_bytes(),
    )]);
    let outcome = shim(&folder, &["run", "faults.yaml"]);
    assert_eq!(outcome.status, Status::Code(1), "who ends by itself answers for it: {outcome:?}");
    let statistics = data(&folder, "sim-stats.json");
    let part = |host: &str| {
        let rest = statistics.split_once(&format!("\"{host}\": [")).expect("it is named").1;
        rest.split(']').next().unwrap_or_default().to_owned()
    };
    for (host, state, is_by_fault) in [
        ("alice", "\"signaled\": 15", true),
        ("bob", "\"exited\": 3", false),
        ("carol", "host was down", true),
    ] {
        let part = part(host);
        assert!(part.contains(state), "{host}: {part}");
        assert!(part.contains(&format!("\"is_by_fault\": {is_by_fault}")), "{host}: {part}");
        assert!(part.contains(&format!("\"is_expected\": {is_by_fault}")), "{host}: {part}");
    }
}

#[test]
fn a_clock_jumps() {
    let text = "sleep 1; date -u +%s\nsleep 2; date -u +%s";
    let hosts = script("bob", 0, "/bin/sh", text, "start_time: 0");
    let folder = run(&scenario(&["at: 2 s, jump: {host: bob, by: -3 s}"], &hosts));
    assert_eq!(stdout(&folder, "bob", "sh.1000"), "946684801\n946684800\n");
}

#[test]
fn faults_do_not_depend_on_workers() {
    let yaml = served(&[
        "at: 2 s, link: {source: 0, target: 1}, latency: 3 ms, jitter: 1 ms, packet_loss: 0.2, for: 3 s",
        "at: 5500 ms, crash: server, restart_after: 2 s",
        "at: 9300 ms, kill: {host: server, process: 0}, restart_after: 1 s",
        "at: 12 s, partition: [[client], [server]], for: 1500 ms",
    ]);
    let folder = Folder::with(&[("faults.yaml", yaml.as_bytes())]);
    let outcome = shim(&folder, &["verify", "faults.yaml"]).expect_success();
    assert!(outcome.text().contains("identical: two runs"), "{outcome:?}");
}
