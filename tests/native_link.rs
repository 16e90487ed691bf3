//! How fast TCP is on links with losses, and on those that hold more than its windows: at least half as fast as Linux.
//!
//! iperf3 in, natively between two network namespaces and as guests on two hosts; the medians of what the receivers counted,
//! side by side. Always true: both ways have the same rate, latency, loss and queue, and both sides use CUBIC; the native one
//! is `native/link.c`, a program on two TUN devices, because not every kernel has netem; it runs in real time, so a busy
//! machine makes the native side slower. Links that TCP fills are `rates.rs`.
//!
//! Needs namespaces: as root, or where users may make user namespaces; else these tests fail and say so.

use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use shim_testkit::guest::compile_from;
use shim_testkit::network::Scenario;
use shim_testkit::{Libc, Run};

/// Of each point there are as many runs of each kind, with different seeds.
const RUNS: usize = 3;
/// How long each sends.
const SECONDS: u32 = 8;
const PORT: &str = "5201";

/// A way between two hosts: the same in both directions.
#[derive(Clone, Copy)]
struct Way {
    mbit_per_s: u32,
    latency_ms: u32,
    loss_percent: u32,
}

impl std::fmt::Display for Way {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Way { mbit_per_s, latency_ms, loss_percent } = self;
        write!(f, "{mbit_per_s} Mbit/s, {latency_ms} ms, {loss_percent} % loss")
    }
}

/// What the receiver counted, in Mbit/s.
#[track_caller]
fn received(said: &str) -> f64 {
    let json: Value = serde_json::from_str(said).unwrap_or_else(|error| panic!("{error}: {said}"));
    let rate = json["end"]["sum_received"]["bits_per_second"].as_f64();
    rate.unwrap_or_else(|| panic!("no figure: {said}")) / 1e6
}

/// A run of iperf3 on Linux.
#[track_caller]
fn native(link: &Path, way: Way, seed: usize) -> f64 {
    let figures = [
        u64::from(way.mbit_per_s) * 1_000_000,
        u64::from(way.latency_ms) * 1_000_000,
        u64::from(way.loss_percent) * 10_000,
        seed as u64,
    ];
    let seconds = SECONDS.to_string();
    let outcome = Run::native(link)
        .args(figures.map(|figure| figure.to_string()))
        .args([PORT, "--", "iperf3", "-s", "-1", "-p", PORT])
        .args(["--", "iperf3", "-4", "-J", "-C", "cubic", "-p", PORT, "-t", &seconds])
        .args(["-c", "10.77.0.2"])
        .limit(Duration::from_secs(90))
        .finish();
    received(&outcome.expect_success().text())
}

/// A run of iperf3 over each of these ways, as guests.
fn guests(ways: &[Way], seed: usize) -> Vec<f64> {
    let mut scenario = Scenario::new();
    scenario.seed = seed as u32;
    for (pair, way) in ways.iter().enumerate() {
        let (here, there) = (2 * pair, 2 * pair + 1);
        let (rate, latency) =
            (format!("{} Mbit", way.mbit_per_s), format!("{} ms", way.latency_ms));
        let loss = f64::from(way.loss_percent) / 100.0;
        let edge = format!("latency \"{latency}\" packet_loss {loss}");
        scenario = scenario.node(here, &rate, &latency).node(there, &rate, &latency);
        scenario = scenario.edge(here, there, &edge);
        if pair > 0 {
            scenario = scenario.edge(0, here, "latency \"1 s\"");
        }
        let (server, client) = (format!("server{pair}"), format!("client{pair}"));
        let seconds = SECONDS.to_string();
        scenario = scenario
            .host(&server, here)
            .runs(0, "iperf3", &["-s", "-1", "-p", PORT])
            .host(&client, there)
            .runs(
                1,
                "iperf3",
                &["-4", "-J", "-C", "cubic", "-p", PORT, "-t", &seconds, "-c", &server],
            );
    }
    let run = scenario.run();
    (0..ways.len()).map(|pair| received(&run.said(&format!("client{pair}"), "iperf3", 0))).collect()
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

/// Guests are to be at least half as fast as Linux on each of these ways. `side_by_side`: native runs disturb each other so
/// little that they may be made at once.
#[track_caller]
fn assert_half_of_native(ways: &[Way], side_by_side: bool) {
    let link = compile_from("tests/native", "link", Libc::Glibc, &[]);
    let runs: Vec<(Way, usize)> =
        ways.iter().flat_map(|&way| (1..=RUNS).map(move |seed| (way, seed))).collect();
    let natives: Vec<f64> = if side_by_side {
        std::thread::scope(|scope| {
            let link = &link;
            let run = |&(way, seed): &(Way, usize)| scope.spawn(move || native(link, way, seed));
            let threads: Vec<_> = runs.iter().map(run).collect();
            threads.into_iter().map(|thread| thread.join().expect("it is as expected")).collect()
        })
    } else {
        runs.iter().map(|&(way, seed)| native(&link, way, seed)).collect()
    };
    let guests: Vec<Vec<f64>> = (1..=RUNS).map(|seed| guests(ways, seed)).collect();
    let mut slow = String::new();
    for (index, (way, natives)) in ways.iter().zip(natives.chunks(RUNS)).enumerate() {
        let of_guests: Vec<f64> = guests.iter().map(|run| run[index]).collect();
        let (linux, guest) = (median(natives.to_vec()), median(of_guests.clone()));
        let told = format!(
            "{way}: {guest:.2} Mbit/s {of_guests:.2?}, Linux {linux:.2} Mbit/s {natives:.2?}, ratio {:.2}",
            guest / linux
        );
        println!("{told}");
        if guest < linux / 2.0 {
            _ = writeln!(slow, "{told}");
        }
    }
    assert!(slow.is_empty(), "less than half of what Linux reaches:\n{slow}");
}

#[test]
fn with_losses_tcp_is_at_least_half_as_fast_as_linux() {
    let points = [(10, 10), (10, 50), (100, 10), (100, 50)];
    let way = |(mbit_per_s, latency_ms)| Way { mbit_per_s, latency_ms, loss_percent: 1 };
    assert_half_of_native(&points.map(way), true);
}

#[test]
#[ignore = "takes minutes"]
fn on_long_fast_links_tcp_is_at_least_half_as_fast_as_linux() {
    // 5, 12.5, 25 and 2.5 MB on their way and back: more than windows were made for, but the last.
    let points = [(1000, 20), (1000, 50), (1000, 100), (100, 100)];
    let way = |(mbit_per_s, latency_ms)| Way { mbit_per_s, latency_ms, loss_percent: 0 };
    assert_half_of_native(&points.map(way), false);
}
