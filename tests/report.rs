//! `shim report`: the page about a run, from its data directory.
//!
//! Runs of real programs in; pages, statuses and words out. Always true: each page is read by Python's parser of HTML, which finds
//! what is not closed and whatever a browser would load. How numbers and pictures come about is tested in
//! `crates/shim-sim/src/report`.

use std::fs;

use shim_testkit::built::built;
use shim_testkit::{Folder, Outcome, Run, Status};

/// A name that is markup if nobody escapes it.
const NAME: &str = "<i>&\"'";

const SERVER: &str = "import socket\ns = socket.create_server(('', 80))\nc = s.accept()[0]\n\
                      while c.recv(9000): pass\nc.sendall(b'done')\ns.accept()\n";
const CLIENT: &str = "import socket\ns = socket.create_connection(('server', 80))\ns.sendall(bytes(500000))\n\
                      s.shutdown(socket.SHUT_WR)\nassert s.recv(9) == b'done'\n";

const SCENARIO: &str = "
general: {stop_time: 20 s, seed: 77}
network: {graph: {type: 1_gbit_switch}}
shim: {faults: [{at: 10 s, crash: server, restart_after: 2 s}]}
hosts:
  client:
    network_node_id: 0
    processes:
    - {path: python3, args: [-B, ../../../client.py], start_time: 2 s}
    - {path: \"./<i>&\\\"'\", start_time: 3 s}
  server:
    network_node_id: 0
    processes: [{path: python3, args: [-B, ../../../server.py], start_time: 1 s, expected_final_state: running}]
";

fn shim(folder: &Folder, arguments: &[&str]) -> Outcome {
    Run::native(&built().command).args(arguments).folder(folder.path()).finish()
}

/// A folder in which the scenario has run with these options.
fn ran(options: &[&str]) -> Folder {
    let folder = Folder::with(&[
        ("shim.yaml", SCENARIO.as_bytes()),
        ("client.py", CLIENT.as_bytes()),
        ("server.py", SERVER.as_bytes()),
        (NAME, b"#!/bin/sh\nexit 3\n"),
    ]);
    let program = folder.path().join(NAME);
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(program, mode).expect("it is ours");
    let outcome = shim(&folder, &[&["run", "shim.yaml"], options].concat());
    assert_eq!(outcome.status, Status::Code(1), "one exits with 3: {outcome:?}");
    folder
}

/// The words of a page, if it is sound and loads nothing.
#[track_caller]
fn words(page: &str) -> String {
    const PARSER: &str = r##"
import sys
from html.parser import HTMLParser
class Page(HTMLParser):
    open, words, kinds = [], [], set()
    def handle_starttag(self, tag, attributes):
        assert not {"src", "srcset", "action", "data", "poster"} & {name for name, _ in attributes}, (tag, attributes)
        for name, value in attributes:
            assert not name.startswith("on"), (tag, name)
            if name in ("href", "xlink:href"): assert value.startswith("#"), value
        assert "url(" not in str(attributes)
        assert len({name for name, _ in attributes}) == len(attributes)
        self.kinds.add(tag)
        if tag != "meta": self.open.append(tag)
    def handle_endtag(self, tag):
        assert self.open and self.open.pop() == tag, (tag, self.getpos())
    def handle_data(self, data):
        if self.open[-1:] not in (["style"], ["script"]): self.words.append(data)
        elif self.open[-1:] == ["style"]: assert "url(" not in data and "@import" not in data
page = Page()
page.feed(sys.stdin.read())
page.close()
assert page.open == [], page.open
assert not page.kinds & {"i", "link", "img", "iframe", "object", "embed"}, page.kinds
print(" ".join(" ".join(page.words).split()))
"##;
    let parsed = Run::native("python3").args(["-c", PARSER]).stdin(page).finish();
    parsed.expect_success().text()
}

#[track_caller]
fn page(folder: &Folder, name: &str) -> String {
    fs::read_to_string(folder.path().join(name)).expect("there is a page")
}

#[test]
fn the_page_has_what_a_run_was() {
    let folder = ran(&["--pcap-enabled=true", "--strace-logging-mode=deterministic"]);
    let before = folder.contents();
    let outcome = shim(&folder, &["report", "shim.data"]).expect_success();
    assert_eq!(outcome.text(), "shim.data.html\n");
    let html = page(&folder, "shim.data.html");
    let text = words(&html);
    for part in [
        "1 of 3 processes did not end as expected.",
        "simulated time 20 s",
        "seed 77",
        "server crashes, later it boots",
        // Its first life was ended by the fault, its second ran until the end.
        "python3 (earlier) 1000 1.000000 10.000000 signaled: SIGKILL",
        "TCP client:",
        "server:80",
        "round trips",
        "Sockets",
        "Traffic by host",
        "exited: 3",
        "no: exited: 0",
        "System calls",
        "shim run --data-directory=again shim.data/processed-config.yaml",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(text.contains(NAME), "{text}");
    assert!(!text.contains("What is not in this page"), "{text}");
    assert!(html.len() < 100_000, "{} bytes", html.len());

    let outcome = shim(&folder, &["report", "shim.data/", "--output", "-"]).expect_success();
    assert_eq!(outcome.text(), html, "the same bytes twice");
    let mut after = folder.contents();
    after.remove("shim.data.html");
    assert!(before == after, "the data directory is as it was");
}

#[test]
fn the_command_on_the_page_repeats_the_run() {
    let folder = ran(&[]);
    let html = shim(&folder, &["report", "-o", "-", "shim.data"]).expect_success().text();
    let text = words(&html);
    let command = "run --data-directory=again shim.data/processed-config.yaml";
    assert!(text.contains(command), "{text}");
    let again = shim(&folder, &command.split(' ').collect::<Vec<_>>());
    assert_eq!(again.status, Status::Code(1), "{again:?}");
    assert_eq!(page(&folder, "shim.data/sim-stats.json"), page(&folder, "again/sim-stats.json"));
    // What was not recorded is told, and what is known without it is drawn.
    for part in ["pcap_enabled: true", "strace_logging_mode: deterministic", "bits per second"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains("Conversations") && !text.contains("System calls were made"), "{text}");
}

#[test]
fn what_is_damaged_is_told_and_the_rest_is_shown() {
    let folder = ran(&["--pcap-enabled=true"]);
    let data = folder.path().join("shim.data");
    let capture = data.join("hosts/client/eth0.pcap");
    let bytes = fs::read(&capture).expect("packets are recorded");
    fs::write(&capture, &bytes[..bytes.len() / 2]).expect("it is ours");
    let outcome = shim(&folder, &["report", "-o", "capture.html", "shim.data"]);
    assert_eq!(outcome.status, Status::Code(1), "{outcome:?}");
    let told = String::from_utf8_lossy(&outcome.stderr).into_owned();
    let start = "shim: shim.data/hosts/client/eth0.pcap: damaged after ";
    assert!(told.starts_with(start) && told.lines().count() == 1, "{told}");
    let text = words(&page(&folder, "capture.html"));
    assert!(text.contains("eth0.pcap: damaged after") && text.contains("TCP client:"), "{text}");

    for (file, part) in [
        ("sim-stats.json", "How the run ended is not known"),
        ("wall-stats.json", "seed 77"),
        ("processed-config.yaml", "1 of 3 processes"),
        ("shim.log", "Traffic by host"),
    ] {
        let path = data.join(file);
        let whole = fs::read(&path).expect("a run has such a file");
        fs::remove_file(&path).expect("it is ours");
        let outcome = shim(&folder, &["report", "-o", "-", "shim.data"]);
        assert_eq!(outcome.status, Status::Code(1), "{file}: {outcome:?}");
        let told = String::from_utf8_lossy(&outcome.stderr).into_owned();
        assert!(told.contains(&format!("shim.data/{file}: it is missing")), "{told}");
        if file != "shim.log" {
            fs::write(&path, &whole[..whole.len() / 2]).expect("it is ours");
            let outcome = shim(&folder, &["report", "-o", "-", "shim.data"]);
            let told = String::from_utf8_lossy(&outcome.stderr).into_owned();
            assert!(outcome.status == Status::Code(1) && told.contains(file), "{told}");
            let text = words(&outcome.text());
            assert!(text.contains(part) && text.contains("exited: 3"), "{file}: {text}");
        }
        fs::write(&path, whole).expect("it is ours");
    }
}

#[test]
fn without_a_run_there_is_no_page_and_nothing_is_overwritten() {
    let folder = Folder::with(&[("there.html", b"mine"), ("file", b"")]);
    fs::create_dir(folder.path().join("data")).expect("it is ours");
    for (arguments, part) in [
        (&["data"][..], "data is not the data directory of a run"),
        (&["file"], "cannot read file: Not a directory"),
        (&["nothing"], "cannot read nothing: No such file"),
        (&["data", "-o", "there.html"], "there.html exists already"),
        (&[], "DATA_DIR"),
    ] {
        let outcome = shim(&folder, &[&["report"], arguments].concat());
        assert_eq!(outcome.status, Status::Code(2), "{outcome:?}");
        assert!(String::from_utf8_lossy(&outcome.stderr).contains(part), "{outcome:?}");
    }
    fs::write(folder.path().join("data/sim-stats.json"), "{}").expect("it is ours");
    let outcome = shim(&folder, &["report", "data", "-o", "none/page.html"]);
    let told = String::from_utf8_lossy(&outcome.stderr).into_owned();
    assert!(outcome.status == Status::Code(2) && told.contains("cannot write none/page.html"));
    assert_eq!(page(&folder, "there.html"), "mine");
}

#[test]
fn many_hosts_of_many_kinds_make_no_long_page() {
    let process = |n: usize| {
        format!(
            r#"[{{"program": "p{n}<", "pid": 1000, "final_state": {{"exited": {0}}}, "expected_final_state": "running",
            "is_expected": false, "started_at_ns": 5, "ended_at_ns": {n}, "earlier": [], "is_by_fault": false}}]"#,
            n % 7
        )
    };
    let bytes = (0..200).map(|n| (n * 7919 % 1000).to_string()).collect::<Vec<_>>().join(",");
    let list = |one: &dyn Fn(usize) -> String| {
        let hosts = (0..1000).map(|n| format!("\"host{n}\": {}", one(n)));
        hosts.collect::<Vec<_>>().join(",")
    };
    let text = format!(
        r#"{{"hosts": {{{}}}, "shim_failures": [], "preempted": [], "ended_at_ns": 1000, "is_interrupted": false, "seed": 1,
        "traffic": {{{}}}, "traffic_over_time": {{"interval_ns": 5, "hosts": {{{}}}}}}}"#,
        list(&process),
        list(&|n| format!(
            r#"{{"sent": {n}, "sent_bytes": {n}, "received": 1, "received_bytes": {}}}"#,
            u64::MAX
        )),
        list(&|_| format!(r#"{{"sent_bytes": [{bytes}], "received_bytes": [{bytes}]}}"#)),
    );
    let folder = Folder::new();
    fs::create_dir(folder.path().join("data")).expect("it is ours");
    fs::write(folder.path().join("data/sim-stats.json"), text).expect("it is ours");
    let outcome = shim(&folder, &["report", "-o", "-", "data"]);
    assert_eq!(outcome.status, Status::Code(1), "there is no configuration");
    let html = outcome.text();
    assert!(html.len() < 2_000_000, "{} bytes", html.len());
    let text = words(&html);
    for part in ["1,000 of 1,000 processes did not", "more hosts with fewer bytes", "500 more rows"]
    {
        assert!(text.contains(part), "{part}: {text}");
    }
}
