//! Servers and clients on a network: each client fetches a file of 1 MiB, ten times, from one server.
//!
//! Numbers of clients and of times in; a table goes to standard output. Always true: there is a server for nine clients, ten
//! nodes in a ring with two chords, and a tenth of the hosts at each node; the server of a client is at one of all the nodes;
//! every client has got all of its bytes, or the run fails. The programs are `benches/guest/web.c`, so that what is measured is
//! the simulation and not a web server; with `curl` among the clients in the last line, for what a bigger program adds.

use std::fs;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use shim_testkit::built::built;
use shim_testkit::guest::compile_from;
use shim_testkit::network::Scenario;
use shim_testkit::{Folder, Libc, Run};

use crate::memory::{Memory, processes};

const NODES: usize = 10;
const CLIENTS_OF_A_SERVER: usize = 9;
const FILE_BYTES: &str = "1048576";
/// Edges beside those from each node to the next, with their latencies.
const CHORDS: [(usize, usize, &str); 2] = [(0, 5, "20 ms"), (2, 7, "30 ms")];
/// The longest that a run may take.
const LIMIT: Duration = Duration::from_secs(3600);

/// Hosts with a link of 100 Mbit/s each; those of one node are 2 ms from each other, neighbouring nodes 10 ms.
fn scenario(program: &Path, clients: usize, times: usize, is_with_curl: bool) -> Scenario {
    let program = program.to_str().expect("the target directory has a plain name");
    let mut scenario = Scenario::new();
    for node in 0..NODES {
        scenario = scenario.node(node, "100 Mbit", "2 ms");
    }
    for node in 0..NODES {
        scenario = scenario.edge(node, (node + 1) % NODES, "latency \"10 ms\"");
    }
    for (from, to, latency) in CHORDS {
        scenario = scenario.edge(from, to, &format!("latency \"{latency}\""));
    }
    let servers = clients.div_ceil(CLIENTS_OF_A_SERVER);
    for server in 0..servers {
        let name = format!("server{server}");
        scenario = scenario.host(&name, server % NODES);
        scenario = scenario.serves(program, &["serve", "80", FILE_BYTES]);
    }
    for client in 0..clients {
        let server = format!("server{}", client % servers);
        // Those of one server are spread over the nodes, its own among them.
        let node = (client / servers + client % servers) % NODES;
        scenario = scenario.host(&format!("client{client}"), node);
        scenario = if is_with_curl {
            let url = format!("http://{server}/file");
            let urls = vec![url.as_str(); times];
            scenario.runs(1, "curl", &[&["-s", "--http1.0"][..], &urls].concat())
        } else {
            let times = times.to_string();
            scenario.runs(1, program, &["fetch", &server, "80", FILE_BYTES, &times])
        };
    }
    scenario
}

/// What a run has cost.
struct Cost {
    wall_s: f64,
    /// What all processes have used of all processors.
    cpu_s: f64,
    memory: Memory,
    /// Simulated time from the first connection to the last byte.
    simulated_s: f64,
    packets: u64,
    calls: u64,
    steps: u64,
    rounds: u64,
}

fn measure(scenario: &Scenario, workers: &str) -> Cost {
    let folder = Folder::with(&[("shim.yaml", scenario.yaml().as_bytes())]);
    let run = Run::native(&built().command)
        .args(["run", "shim.yaml", "--parallelism", workers])
        .folder(folder.path());
    let (started, used_s) = (Instant::now(), children_s());
    let mut child = run.command().stdout(Stdio::null()).spawn().expect("shim can be started");
    let memory = most_memory(&mut child, started);
    let status = child.wait().expect("it is our child");
    let (wall_s, cpu_s) = (started.elapsed().as_secs_f64(), children_s() - used_s);
    assert!(status.success(), "{status}");
    let read = |name: &str| -> Value {
        let text = fs::read_to_string(folder.path().join("shim.data").join(name));
        serde_json::from_str(&text.expect("the run has left it")).expect("it is JSON")
    };
    let (simulated, wall) = (read("sim-stats.json"), read("wall-stats.json"));
    let number = |value: &Value| value.as_u64().unwrap_or_else(|| panic!("no number: {value}"));
    let traffic = simulated["traffic"].as_object().expect("there is some");
    let sum = |key: &str| traffic.values().map(|host| number(&host[key])).sum::<u64>();
    let processes = simulated["hosts"].as_object().expect("there are some").values();
    let ends = processes.flat_map(|list| list.as_array()).flatten();
    let last_ns = ends.filter_map(|process| process["ended_at_ns"].as_u64()).max();
    Cost {
        wall_s,
        cpu_s,
        memory,
        simulated_s: last_ns.expect("clients have ended") as f64 / 1e9 - 1.0,
        packets: sum("sent"),
        calls: number(&wall["system_calls"]),
        steps: number(&simulated["host_steps"]),
        rounds: number(&simulated["rounds"]),
    }
}

/// Processor time of all processes that this one, or a descendant, has waited for, in seconds.
fn children_s() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").expect("there is /proc");
    let fields = stat.rsplit(')').next().expect("there is a last one").split_whitespace();
    // Behind the name: cutime and cstime are fields 16 and 17 of all, in hundredths on Linux.
    fields.skip(13).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
}

/// The most that a run weighs while it lasts: looked at after 1, 2, 4 seconds and so on, because each look costs time.
fn most_memory(child: &mut Child, started: Instant) -> Memory {
    let (mut most, mut next) = (Memory::default(), Duration::from_secs(1));
    while child.try_wait().expect("it is our child").is_none() {
        if started.elapsed() >= next {
            let (simulator, guests) = processes(child.id());
            let now = Memory::of(&[simulator, guests].concat());
            most.all = most.all.max(now.all);
            most.simulator = most.simulator.max(now.simulator);
            next = started.elapsed() * 2;
        }
        if started.elapsed() > LIMIT {
            _ = child.kill();
            panic!("a run takes more than {LIMIT:?}");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    most
}

/// Print what `clients` and their servers cost, with one worker and with one per processor.
pub fn table(clients: usize, times: usize) {
    let program = compile_from("benches/guest", "web", Libc::Glibc, &["-O2"]);
    let servers = clients.div_ceil(CLIENTS_OF_A_SERVER);
    println!(
        "{servers} servers and {clients} clients, each of which fetches {FILE_BYTES} bytes {times} times, on {NODES} nodes; one run each.\n"
    );
    println!(
        "{:<18} {:>8} {:>10} {:>9} {:>9} {:>9} {:>10} {:>10} {:>9} {:>9} {:>9}",
        "",
        "wall",
        "processor",
        "all",
        "simulator",
        "packets",
        "packets/s",
        "per packet",
        "calls/s",
        "steps/s",
        "simulated"
    );
    let line = |title: &str, scenario: &Scenario, workers: &str| {
        let cost = measure(scenario, workers);
        let per_s = |count: u64| count as f64 / cost.wall_s;
        println!(
            "{title:<18} {:>6.1} s {:>8.1} s {:>5.0} MiB {:>5.0} MiB {:>9} {:>10.0} {:>7.2} us {:>9.0} {:>9.0} {:>7.2} s",
            cost.wall_s,
            cost.cpu_s,
            cost.memory.all,
            cost.memory.simulator,
            cost.packets,
            per_s(cost.packets),
            cost.cpu_s * 1e6 / cost.packets as f64,
            per_s(cost.calls),
            per_s(cost.steps),
            cost.simulated_s
        );
        cost.rounds
    };
    let own = scenario(&program, clients, times, false);
    let rounds = line("C, all workers", &own, "0");
    line("C, one worker", &own, "1");
    line("curl, all workers", &scenario(&program, clients, times, true), "0");
    println!(
        "\nWall time and rates are of the whole command ({rounds} rounds in the first line); processor time is that of the simulator\n\
         and all guests, also divided by the packets, which is what a busy machine changes least. Memory is the most that was\n\
         seen: of all processes proportional (PSS), of the simulator resident (RSS). A step is one host in one round."
    );
}
