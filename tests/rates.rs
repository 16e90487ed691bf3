//! How fast hosts of a scenario exchange bytes, as their programs see it.
//!
//! Scenarios with programs of the system in; what these print, beside what latencies and bandwidths predict, out. Always
//! true: what is expected is computed from the scenario, by formulas that stand here. What TCP does is tested in
//! `crates/shim-kernel`, who reaches whom in `network.rs`.

use std::fmt::Write;
use std::fs;

use shim_testkit::Folder;
use shim_testkit::built::root;
use shim_testkit::network::{Data, Scenario, numbers_after, run_in};

/// Bytes of a full datagram, and those of the program in one that carries TCP over IPv4.
const DATAGRAM_BYTES: f64 = 1500.0;
const SEGMENT_BYTES: f64 = 1448.0;
#[track_caller]
fn assert_near(measured: f64, expected: f64, tolerance: f64, what: &str) {
    let is_near = (measured - expected).abs() <= tolerance * expected;
    assert!(is_near, "{what}: {measured}, and not {expected}");
}

/// Seconds until the first byte and until all bytes of a file are there, if the way takes `latency_s` and the slowest link has
/// `rate`: two round trips until the first byte; then 10 segments, doubled each round trip, until the link is never idle.
fn transfer_s(bytes: f64, latency_s: f64, rate: f64) -> (f64, f64) {
    let (round_s, segment_s) = (2.0 * latency_s, DATAGRAM_BYTES * 8.0 / rate);
    let segments = (bytes / SEGMENT_BYTES).ceil();
    let (mut window, mut sent, mut idle_s) = (10.0, 0.0, 0.0);
    while window * segment_s < round_s && sent + window < segments {
        (sent, idle_s, window) = (sent + window, idle_s + round_s, window * 2.0);
    }
    (2.0 * round_s, 2.0 * round_s + idle_s + (segments - sent) * segment_s)
}

#[test]
fn transfers_take_what_latency_and_bandwidth_predict() {
    let example = fs::read(root().join("examples/scenarios/web.yaml")).expect("it is there");
    let folder = Folder::with(&[("shim.yaml", &example)]);
    run_in(&folder, &[]);
    let run = Data { folder };
    for (client, latency_s, rate) in
        [("city", 0.005, 100e6), ("overseas", 0.040, 20e6), ("village", 0.025, 2e6)]
    {
        let said = run.said(client, "curl", 0);
        let (first_s, all_s) = transfer_s(10_485_760.0 + 250.0, latency_s, rate);
        assert!(said.starts_with("10485760 bytes"), "{said}");
        // A segment of the slowest link is 6 ms.
        let first = numbers_after(&said, "first after ")[0];
        assert!((first_s..first_s * 1.05 + 0.010).contains(&first), "not {first_s}: {said}");
        assert_near(numbers_after(&said, "all after ")[0], all_s, 0.05, client);
    }
}

#[test]
fn many_clients_share_the_servers_link() {
    let serve = "truncate -s 100K file; exec python3 -m http.server --bind :: 80";
    let mut scenario =
        Scenario::new().node(0, "100 Mbit", "2 ms").host("server", 0).serves("sh", &["-c", serve]);
    let fetch =
        ["-s", "-o", "copy", "-w", "%{size_download} %{time_total}\n", "http://server/file"];
    for n in 1..50 {
        scenario = scenario.host(&format!("client{n}"), 0).runs(5, "curl", &fetch);
    }
    let run = scenario.run();
    let mut last: f64 = 0.0;
    for n in 1..50 {
        let said = run.said(&format!("client{n}"), "curl", 0);
        let time = said.strip_prefix("102400 ").and_then(|it| it.trim().parse::<f64>().ok());
        last = last.max(time.unwrap_or_else(|| panic!("{said}")));
    }
    // All of it through 100 Mbit/s; the server does not begin with all at once.
    let all_s = 49.0 * 102_400.0 / 1428.0 * DATAGRAM_BYTES * 8.0 / 100e6;
    assert!((all_s..all_s * 2.0).contains(&last), "{last} s, and not {all_s}");
}

#[test]
fn requests_wait_for_round_trips() {
    let run = Scenario::new()
        .node(0, "1 Gbit", "5 ms")
        .host("server", 0)
        .serves("redis-server", &["--protected-mode", "no", "--bind", "*", "--save", ""])
        .host("client", 0)
        .runs(
            2,
            "redis-benchmark",
            &["-h", "server", "-n", "1000", "-c", "10", "-t", "set,get", "--csv"],
        )
        .run();
    let said = run.said("client", "redis-benchmark", 0);
    for line in said.lines().filter(|line| line.contains("SET") || line.contains("GET")) {
        let rate: f64 = line.split('"').nth(3).expect("a rate").parse().expect("a number");
        // 100 times 10 at once, each time a round trip; and one until they are connected.
        assert!((950.0..1000.0).contains(&rate), "{said}");
    }
}

#[test]
fn a_sender_of_datagrams_is_as_fast_as_its_link() {
    let run = Scenario::new()
        .node(0, "10 Mbit", "5 ms")
        .host("slow", 0)
        .serves("iperf3", &["-s"])
        .host("client", 0)
        .runs(1, "iperf3", &["-4", "-u", "-b5M", "-t5", "-J", "-cslow"])
        .runs(21, "iperf3", &["-4", "-u", "-b20M", "-t5", "-J", "-cslow"])
        .run();
    let end = |n| {
        let said = run.said("client", "iperf3", n);
        let json: serde_json::Value = serde_json::from_str(&said).expect("it is JSON");
        let sum = json["end"]["sum"].clone();
        let number = |name: &str| sum[name].as_f64().unwrap_or_else(|| panic!("{said}"));
        (number("bits_per_second"), number("lost_percent"))
    };
    let (below, lost) = end(0);
    assert_near(below, 5e6, 0.01, "below the link's rate");
    assert_eq!(lost, 0.0);
    let (above, lost) = end(1);
    // Headers of IPv4 and UDP; what was sent first waited for nothing.
    assert_near(above, 10e6 * (DATAGRAM_BYTES - 52.0) / (DATAGRAM_BYTES - 24.0), 0.05, "above");
    assert!(lost < 0.1, "who sends more waits: {lost} % lost");
}

/// How fast iperf3 is over the last 80 % of 20 s, beside its links, between pairs of hosts with links of so many Mbit/s.
fn throughput(latency: &str, rates: &[u32], loss: f64) -> Vec<f64> {
    const SECONDS: f64 = 20.0;
    let mut scenario = Scenario::new();
    for (pair, rate) in rates.iter().enumerate() {
        let (here, there) = (2 * pair, 2 * pair + 1);
        let speed = format!("{rate} Mbit");
        scenario = scenario.node(here, &speed, latency).node(there, &speed, latency).edge(
            here,
            there,
            &format!("latency \"{latency}\" packet_loss {loss}"),
        );
        if pair > 0 {
            scenario = scenario.edge(0, here, "latency \"1 s\"");
        }
        let (server, client) = (format!("server{rate}"), format!("client{rate}"));
        scenario = scenario
            .host(&server, here)
            .runs(0, "iperf3", &["-s", "-1", "-J"])
            .host(&client, there)
            .runs(1, "iperf3", &["-4", "-c", &server, "-t", &SECONDS.to_string()]);
    }
    let run = scenario.run();
    let share = |rate: &u32| {
        let said = run.said(&format!("server{rate}"), "iperf3", 0);
        let json: serde_json::Value = serde_json::from_str(&said).expect("it is JSON");
        let late = |interval: &serde_json::Value| {
            let sum = &interval["sum"];
            let is_late = sum["start"].as_f64()? >= SECONDS / 5.0 - 0.01;
            let is_whole = sum["seconds"].as_f64()? > 0.5;
            (is_late && is_whole).then_some(sum["bits_per_second"].as_f64()?)
        };
        let intervals = json["intervals"].as_array().expect("there are some");
        let rates: Vec<f64> = intervals.iter().filter_map(late).collect();
        assert!(rates.len() >= 15, "{said}");
        let share = rates.iter().sum::<f64>() / rates.len() as f64 / (f64::from(*rate) * 1e6);
        println!("{rate} Mbit/s, {latency}, loss {loss}: {share:.3} of the link's rate");
        share
    };
    rates.iter().map(share).collect()
}

#[test]
fn tcp_fills_links() {
    for share in throughput("10 ms", &[1, 10, 100], 0.0) {
        assert!(share > 0.90, "{share}");
    }
    // What is known of TCP with losses: a segment in a round trip, times the root of 3/2 by the loss.
    let [share] = throughput("20 ms", &[10], 0.01)[..] else { panic!("one pair") };
    let expected = SEGMENT_BYTES * 8.0 / 0.040 * (1.5_f64 / 0.01).sqrt() / 10e6;
    assert_near(share, expected, 0.25, "with losses");
}

#[test]
#[ignore = "takes minutes"]
fn tcp_fills_links_of_every_kind() {
    let mut slow = String::new();
    for (latency, rates) in [
        ("100 us", &[1, 10, 100, 1000][..]),
        ("1 ms", &[1, 10, 100, 1000]),
        ("10 ms", &[1, 10, 100, 1000]),
        ("100 ms", &[1, 10, 100]),
    ] {
        for (rate, share) in rates.iter().zip(throughput(latency, rates, 0.0)) {
            if share < 0.90 {
                _ = writeln!(slow, "{rate} Mbit/s, {latency}: {share:.3}");
            }
        }
    }
    assert!(slow.is_empty(), "{slow}");
}
