//! Hosts of a scenario that talk to each other, as their programs see it.
//!
//! Scenarios with programs of the system in; what these print, beside what latencies and losses predict, out. Always true:
//! each test has a folder of its own; what is expected is computed from the scenario. How fast hosts are is in `rates.rs`, how the
//! network is configured is tested in `crates/shim-sim`, one host alone in `pairs.rs`.

use std::fs;
use std::time::{Duration, SystemTime};

use shim_testkit::Folder;
use shim_testkit::compare::run_difference;
use shim_testkit::network::{Scenario, numbers_after, run_in};

/// Two nodes of 10 Mbit/s: `near` is 1 ms from `client`, `far` 10 ms.
fn near_and_far() -> Scenario {
    Scenario::new()
        .node(0, "10 Mbit", "1 ms")
        .node(1, "10 Mbit", "1 ms")
        .edge(0, 1, "latency \"10 ms\"")
        .host("near", 0)
        .serves("sleep", &["infinity"])
        .host("far", 1)
        .serves("sleep", &["infinity"])
}

#[test]
fn an_echo_takes_twice_the_latency_and_what_the_links_need() {
    let run = near_and_far()
        .host("client", 0)
        .runs(1, "ping", &["-4", "-c3", "near"])
        .runs(11, "ping", &["-4", "-c3", "far"])
        .runs(21, "ping", &["-6", "-c3", "near"])
        .runs(31, "ping", &["-6", "-c3", "far"])
        .runs(41, "ping", &["-4", "-c3", "-s1400", "far"])
        .run();
    // Headers of ICMP and IPv4 or IPv6.
    for (n, latency_ms, bytes, ttl) in [
        (0, 1.0, 56 + 28, 64.0),
        (1, 10.0, 56 + 28, 62.0),
        (2, 1.0, 56 + 48, 64.0),
        (3, 10.0, 56 + 48, 62.0),
        (4, 10.0, 1400 + 28, 62.0),
    ] {
        let said = run.said("client", "ping", n);
        // Out of a host, into the other one, and back.
        let expected = 2.0 * latency_ms + 4.0 * f64::from(bytes) * 8.0 / 10_000.0;
        let times = numbers_after(&said, "time=");
        assert_eq!(times.len(), 3, "{said}");
        for time in times {
            assert!(
                (expected - 0.05..expected + 0.15).contains(&time),
                "not {expected} ms: {said}"
            );
        }
        assert_eq!(numbers_after(&said, "ttl="), [ttl; 3], "{said}");
    }
}

#[test]
fn routers_answer_when_a_datagram_has_no_hops_left() {
    let mut scenario = Scenario::new();
    for node in 0..4 {
        scenario = scenario.node(node, "100 Mbit", "1 ms");
    }
    for node in 0..3 {
        scenario = scenario.edge(node, node + 1, "latency \"5 ms\"");
    }
    let mut scenario = scenario.host("far", 3).serves("sleep", &["infinity"]).host("client", 0);
    for hops in 1..=4 {
        let arguments = ["-4", "-n", "-c1", "-t", &hops.to_string(), "far"];
        scenario = scenario.fails(hops, "ping", &arguments, 1);
    }
    let run = scenario.runs(9, "ping", &["-4", "-n", "-c1", "-t", "5", "far"]).run();
    for hop in 0..4 {
        let said = run.said("client", "ping", hop);
        let router = format!("From 100.64.0.{} icmp_seq=1 Time to live exceeded", hop + 1);
        assert!(said.contains(&router), "no {router:?}: {said}");
    }
    assert!(run.said("client", "ping", 4).contains("1 received"));
}

/// Prints how connections to two hosts are refused, and datagrams: Linux tells who sends these of a closed port only.
const REFUSALS: &str = r#"
import socket, errno, time
def show(name, act):
    start = time.monotonic()
    try: act(); word = "nothing"
    except OSError as e: word = errno.errorcode.get(e.errno, str(e))
    print(name, word, round((time.monotonic() - start) * 1000))
def tcp(family, address):
    s = socket.socket(family, socket.SOCK_STREAM); s.connect(address)
def udp(family, address):
    s = socket.socket(family, socket.SOCK_DGRAM); s.settimeout(3); s.connect(address); s.send(b"x"); s.recv(9)
for family, far, nobody in (socket.AF_INET, "11.0.0.2", "11.9.9.9"), (socket.AF_INET6, "far", "fd00:11::1:2:3"):
    for act in tcp, udp:
        show(act.__name__ + " refused", lambda: act(family, (far, 81)))
        show(act.__name__ + " nobody", lambda: act(family, (nobody, 81)))
    show("tcp again", lambda: tcp(family, (far, 81)))
"#;

#[test]
fn who_cannot_be_reached_is_told_at_once() {
    let run = near_and_far().host("client", 0).runs(1, "python3", &["-c", REFUSALS]).run();
    let said = run.said("client", "python3", 0);
    let expected = "tcp refused ECONNREFUSED\ntcp nobody EHOSTUNREACH\nudp refused ECONNREFUSED\nudp nobody timed out\ntcp again ECONNREFUSED\n";
    let without_times: String = said
        .lines()
        .filter_map(|it| it.rsplit_once(' '))
        .fold(String::new(), |all, (words, _)| all + words + "\n");
    assert_eq!(without_times, expected.repeat(2), "{said}");
    for line in said.lines().filter(|line| line.contains("refused")) {
        assert!(line.ends_with(" 20") || line.ends_with(" 21"), "one round trip: {said}");
    }
}

/// Echoes datagrams until one is empty.
const ECHO: &str = r#"
import socket
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM); s.bind(("::", 7))
while True:
    data, address = s.recvfrom(70000)
    s.sendto(data, address)
"#;
/// Sends datagrams of many lengths to `far`, and compares what comes back.
const LARGE: &str = r#"
import socket, os
for family in socket.AF_INET, socket.AF_INET6:
    s = socket.socket(family, socket.SOCK_DGRAM); s.settimeout(5)
    s.connect(socket.getaddrinfo("far", 7, family, socket.SOCK_DGRAM)[0][4])
    for length in 1, 1452, 1453, 1472, 1473, 2960, 2961, 8000, 40001, 65000, 65507:
        data = os.urandom(length)
        s.send(data)
        print(length, s.recv(70000) == data)
"#;

#[test]
fn datagrams_of_all_lengths_come_back_whole() {
    let run = Scenario::new()
        .node(0, "10 Mbit", "1 ms")
        .node(1, "10 Mbit", "1 ms")
        .edge(0, 1, "latency \"10 ms\"")
        .host("far", 1)
        .serves("python3", &["-c", ECHO])
        .host("client", 0)
        .runs(1, "python3", &["-c", LARGE])
        .run();
    let said = run.said("client", "python3", 0);
    assert_eq!(said.matches("True").count(), 22, "{said}");
}

#[test]
fn who_does_not_want_its_datagrams_cut_is_told_what_the_way_carries() {
    let run = near_and_far()
        .host("client", 0)
        .runs(1, "ping", &["-4", "-c2", "-Mdo", "-s1472", "far"])
        .fails(3, "ping", &["-4", "-c2", "-Mdo", "-s1473", "far"], 1)
        .runs(5, "ping", &["-6", "-c2", "-Mdo", "-s1452", "far"])
        .fails(7, "ping", &["-6", "-c2", "-Mdo", "-s1453", "far"], 1)
        .run();
    for n in [0, 2] {
        assert!(run.said("client", "ping", n).contains("2 received"));
    }
    for n in [1, 3] {
        let file = format!("shim.data/hosts/client/ping.{}.stderr", 1000 + n);
        let said = fs::read_to_string(run.folder.path().join(file)).expect("it is there");
        let is_told = said.contains("message too long, mtu") && said.contains("1500");
        assert!(is_told, "{said}");
    }
}

#[test]
fn a_way_loses_as_many_as_it_says_and_the_same_in_each_run() {
    let scenario = |seed| {
        let mut scenario = Scenario::new()
            .node(0, "10 Mbit", "1 ms")
            .node(1, "10 Mbit", "1 ms")
            .edge(0, 1, "latency \"10 ms\" packet_loss 0.2")
            .host("far", 1)
            .serves("sleep", &["infinity"])
            .host("client", 0)
            .runs(1, "ping", &["-4", "-q", "-c1000", "-i0.2", "far"]);
        scenario.seed = seed;
        scenario
    };
    let received = |seed| {
        let said = scenario(seed).run().said("client", "ping", 0);
        numbers_after(&said, "transmitted, ")[0]
    };
    let (first, again, other) = (received(1), received(1), received(2));
    // There and back: 640 of 1000, with a deviation of 15.
    assert!((590.0..690.0).contains(&first) && (590.0..690.0).contains(&other), "{first} {other}");
    assert_eq!(first, again);
    assert_ne!(first, other, "other seed, other losses");
}

#[test]
fn jitter_spreads_times_around_the_latency() {
    let run = Scenario::new()
        .node(0, "1 Gbit", "1 ms")
        .node(1, "1 Gbit", "1 ms")
        .edge(0, 1, "latency \"10 ms\" jitter \"2 ms\"")
        .host("far", 1)
        .serves("sleep", &["infinity"])
        .host("client", 0)
        .runs(1, "ping", &["-4", "-c100", "-i0.2", "far"])
        .run();
    let times = numbers_after(&run.said("client", "ping", 0), "time=");
    let mean = times.iter().sum::<f64>() / times.len() as f64;
    assert_eq!(times.len(), 100);
    assert!(times.iter().all(|time| (15.9..24.2).contains(time)), "{times:?}");
    assert!((19.4..20.6).contains(&mean), "{mean}: {times:?}");
    assert!(times.iter().any(|&time| time < 19.0) && times.iter().any(|&time| time > 21.0));
}

#[test]
fn hosts_have_names() {
    let ask = "import socket as s; print(s.gethostbyname('far'), s.gethostbyaddr('11.0.0.2')[0], s.getfqdn('11.0.0.3'), s.gethostname())";
    let run = near_and_far()
        .host("client", 0)
        .runs(1, "getent", &["ahosts", "far"])
        .runs(1, "dig", &["+short", "@127.0.0.53", "far", "A", "near", "AAAA"])
        .runs(1, "dig", &["+short", "@127.0.0.53", "-x", "11.0.0.2"])
        .runs(1, "dig", &["@127.0.0.53", "nobody"])
        .runs(1, "grep", &["-w", "far", "/etc/hosts"])
        .runs(1, "python3", &["-c", ask])
        .fails(1, "getent", &["ahosts", "nobody"], 2)
        .run();
    let said = |program, n| run.said("client", program, n);
    let ahosts = said("getent", 0);
    assert!(ahosts.starts_with("fd00:11::b00:2") && ahosts.contains("11.0.0.2 "), "{ahosts}");
    assert_eq!(said("dig", 1), "11.0.0.2\nfd00:11::b00:3\n");
    assert_eq!(said("dig", 2), "far.\n");
    assert!(said("dig", 3).contains("status: NXDOMAIN"), "{}", said("dig", 3));
    assert_eq!(said("grep", 4), "11.0.0.2\tfar\nfd00:11::b00:2\tfar\n");
    assert_eq!(said("python3", 5), "11.0.0.2 far near client\n");
}

#[test]
fn who_asks_learns_by_which_interface_something_came() {
    let hear = "import socket as s, struct; me = s.socket(s.AF_INET, s.SOCK_DGRAM); me.bind(('', 5)); \
                me.setsockopt(0, 8, 1); hear = lambda: struct.unpack('i', me.recvmsg(9, 99)[1][0][2][:4])[0]; \
                s.socket(s.AF_INET, s.SOCK_DGRAM).sendto(b'', ('127.0.0.1', 5)); \
                print(s.if_indextoname(hear()), s.if_indextoname(hear())); \
                print([it.split()[:3] for it in open('/proc/net/dev') if 'eth0' in it])";
    let say = "import socket as s; s.socket(s.AF_INET, s.SOCK_DGRAM).sendto(b'abc', ('far', 5))";
    let run = near_and_far()
        .host("hearer", 0)
        .runs(1, "python3", &["-c", hear])
        .host("sayer", 0)
        .runs(2, "python3", &["-c", &say.replace("far", "hearer")])
        .run();
    assert_eq!(run.said("hearer", "python3", 0), "lo eth0\n[['eth0:', '31', '1']]\n");
}

#[test]
fn the_number_of_workers_changes_no_byte_of_what_hosts_exchange() {
    let serve = "truncate -s 300K file; exec python3 -m http.server --bind :: 80";
    let fetch = ["-sv", "-o", "copy", "-w", "%{local_port} %{time_total}\n", "http://server/file"];
    let mut scenario = Scenario::new()
        .node(0, "10 Mbit", "1 ms")
        .node(1, "100 Mbit", "2 ms")
        .edge(0, 1, "latency \"7 ms\" jitter \"2 ms\" packet_loss 0.02")
        .host("server", 0)
        .serves("sh", &["-c", serve]);
    for n in 0..7 {
        scenario = scenario
            .host(&format!("client{n}"), n % 2)
            .runs(3, "curl", &fetch)
            .runs(4, "curl", &fetch)
            .process(3, "ping", &["-c20", "-i0.2", "server"], "{exited: 0}");
    }
    let folder = Folder::with(&[("shim.yaml", scenario.yaml().as_bytes())]);
    let data = folder.path().join("shim.data");
    for workers in ["1", "2", "8"] {
        run_in(&folder, &["--parallelism", workers, "--strace-logging-mode", "standard"]);
        fs::rename(&data, folder.path().join(workers)).expect("the folder is ours");
    }
    let yesterday = SystemTime::now() - Duration::from_secs(86_400);
    for workers in ["2", "8"] {
        let folders = [folder.path().join("1"), folder.path().join(workers)];
        let [first, second] = folders.each_ref().map(|folder| folder.as_path());
        let differs = run_difference([first, second], yesterday, |name| name != "wall-stats.json");
        assert_eq!(differs, None, "{workers} workers");
    }
    // Another seed, other ports.
    let file = "hosts/client0/curl.1000.stdout";
    scenario.seed = 2;
    let other = scenario.run().said("client0", "curl", 0);
    let first = fs::read_to_string(folder.path().join("1").join(file)).expect("it is there");
    assert_ne!(first.split(' ').next(), other.split(' ').next());
}

/// What happens between a host that asks and one that answers, by datagrams and by a connection on a way with losses.
#[test]
fn a_run_tells_what_each_socket_has_carried() {
    const SERVER: &str = "import socket, threading\n\
        u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.bind(('', 7))\n\
        def echo():\n  while True: d, a = u.recvfrom(999); u.sendto(d, a)\n\
        threading.Thread(target=echo, daemon=True).start()\n\
        c = socket.create_server(('', 80)).accept()[0]\n\
        while c.recv(9999): pass\n\
        c.sendall(b'x' * 1000); c.close()\n\
        threading.Event().wait()\n";
    const CLIENT: &str = "import socket\n\
        u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.connect(('server', 7)); u.settimeout(9)\n\
        for _ in range(5): u.send(bytes(100)); u.recv(999)\n\
        u.close()\n\
        unused = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); unused.bind(('', 9))\n\
        c = socket.socket(); c.connect(('server', 80)); c.sendall(bytes(2000000)); c.shutdown(socket.SHUT_WR)\n\
        assert len(c.recv(9999, socket.MSG_WAITALL)) == 1000\n";
    let run = Scenario::new()
        .node(0, "10 Mbit", "1 ms")
        .node(1, "10 Mbit", "1 ms")
        .edge(0, 1, "latency \"10 ms\" packet_loss 0.01")
        .host("server", 0)
        .serves("python3", &["-c", SERVER])
        .host("client", 1)
        // Of five datagrams and their answers all arrive with this seed.
        .runs(1, "python3", &["-c", CLIENT])
        .run();
    let text = fs::read_to_string(run.folder.path().join("shim.data/sim-stats.json"));
    let all: serde_json::Value = serde_json::from_str(&text.expect("it is there")).expect("JSON");
    let of = |host: &str, protocol: &str| {
        let list = all["sockets"][host]["list"].as_array().expect("there are some");
        let mut found = list.iter().filter(|socket| socket["protocol"] == protocol);
        let one = found.next().unwrap_or_else(|| panic!("no {protocol}: {all:#}")).clone();
        assert!(found.next().is_none(), "one {protocol} of {host}: {all:#}");
        one
    };
    let number = |socket: &serde_json::Value, key: &str| {
        socket[key].as_u64().unwrap_or_else(|| panic!("no {key}: {socket:#}"))
    };
    let amounts = |socket: &serde_json::Value| {
        ["sent", "sent_bytes", "received", "received_bytes"].map(|key| number(socket, key))
    };
    let (udp, echo) = (of("client", "UDP"), of("server", "UDP"));
    assert_eq!((amounts(&udp), amounts(&echo)), ([5, 500, 5, 500], [5, 500, 5, 500]));
    assert_eq!((&udp["remote"], &echo["remote"]), (&"11.0.0.2:7".into(), &().into()));
    assert_eq!(echo["local"], "0.0.0.0:7");
    // Five times there and back.
    let duration_ns = number(&udp, "closed_at_ns") - number(&udp, "opened_at_ns");
    assert!((100_000_000..110_000_000).contains(&duration_ns), "{udp:#}");
    assert!(echo["closed_at_ns"].is_null(), "it is open to the end: {echo:#}");

    let (ours, theirs) = (of("client", "TCP"), of("server", "TCP"));
    assert_eq!((&ours["local"], &ours["remote"]), (&theirs["remote"], &theirs["local"]));
    assert_eq!(number(&ours, "received_bytes"), 1000);
    assert_eq!(number(&theirs, "received_bytes"), 2_000_000);
    assert_eq!(number(&theirs, "sent_bytes"), 1000);
    // Of 1382 segments and more a hundredth is lost, and sent again.
    let resent = number(&ours, "resent");
    assert!((4..60).contains(&resent), "{ours:#}");
    assert!(number(&ours, "sent_bytes") > 2_000_000 + (resent - 1) * 1000, "{ours:#}");
    assert!(number(&ours, "sent") > number(&theirs, "received"), "what is lost was sent: {all:#}");
    for socket in [&ours, &theirs] {
        let least_ns = number(socket, "least_round_trip_ns");
        assert!((20_000_000..24_000_000).contains(&least_ns), "{socket:#}");
        assert!(number(socket, "smoothed_round_trip_ns") >= least_ns, "{socket:#}");
        assert!(number(socket, "closed_at_ns") > number(socket, "opened_at_ns"), "{socket:#}");
    }
}
