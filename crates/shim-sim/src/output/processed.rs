//! The configuration as it was understood, in the words of a configuration.
//!
//! A [`Scenario`] in, YAML out. Always true: every default, address and absolute path is spelt out, so
//! the text shows what ran and can be run again. What cannot influence a result is not here: the data directory and
//! the number of workers are among the wall-clock figures. Reading such a text is [`crate::config`]'s.

use std::fmt::{Display, Write};
use std::path::PathBuf;

use jiff::Timestamp;
use shim_abi::SimDuration;
use shim_abi::SimTime;
use shim_abi::manager::{EmulateTsc, Patching};

use crate::config::Graph;
use crate::config::scenario::{Clock, Fault, FaultKind, Host, LogLevel, Process, Scenario, Strace};

/// `processed-config.yaml`.
pub fn text(scenario: &Scenario) -> String {
    let mut yaml = Yaml::default();
    general(&mut yaml, scenario);
    network(&mut yaml, scenario);
    experimental(&mut yaml, scenario);
    time(&mut yaml, scenario);
    yaml.open("hosts");
    scenario.hosts.iter().for_each(|one| host(&mut yaml, one));
    yaml.close();
    yaml.text
}

fn general(yaml: &mut Yaml, scenario: &Scenario) {
    let general = &scenario.general;
    yaml.open("general");
    yaml.plain("stop_time", ns(general.stop_time.as_ns()));
    yaml.plain("bootstrap_end_time", ns(general.bootstrap_end_time.as_ns()));
    yaml.plain("seed", general.seed);
    match &general.template_directory {
        Some(path) => yaml.quoted("template_directory", &path.to_string_lossy()),
        None => yaml.plain("template_directory", "null"),
    }
    yaml.plain("log_level", level(general.log_level));
    yaml.plain("heartbeat_interval", optional_time(general.heartbeat_interval));
    yaml.plain("progress", general.has_progress);
    yaml.close();
}

fn network(yaml: &mut Yaml, scenario: &Scenario) {
    yaml.open("network");
    yaml.open("graph");
    yaml.plain("type", "gml");
    yaml.open("inline: |");
    graph(yaml, &scenario.network.graph);
    yaml.close();
    yaml.close();
    yaml.plain("use_shortest_path", scenario.network.use_shortest_path);
    yaml.close();
}

fn graph(yaml: &mut Yaml, graph: &Graph) {
    yaml.line("graph [");
    yaml.line(&format!("  directed {}", u8::from(graph.is_directed)));
    for node in &graph.nodes {
        let mut line = format!("  node [ id {}", node.id);
        label(&mut line, node.label.as_deref());
        for (key, bits) in
            [("host_bandwidth_down", node.bandwidth_down), ("host_bandwidth_up", node.bandwidth_up)]
        {
            if let Some(bits) = bits {
                let _ = write!(line, " {key} \"{bits} bit\"");
            }
        }
        yaml.line(&(line + " ]"));
    }
    for edge in &graph.edges {
        let mut line = format!("  edge [ source {} target {}", edge.source, edge.target);
        label(&mut line, edge.label.as_deref());
        let (latency, jitter) = (ns(edge.latency.as_ns()), ns(edge.jitter.as_ns()));
        let _ = write!(line, " latency \"{latency}\" jitter \"{jitter}\"");
        let _ = write!(line, " packet_loss {:?}", edge.packet_loss);
        yaml.line(&(line + " ]"));
    }
    yaml.line("]");
}

fn label(line: &mut String, label: Option<&str>) {
    if let Some(label) = label {
        // A text of GML ends at its first quotation mark; a line of YAML at its end.
        let label: String =
            label.chars().map(|c| if c.is_control() || c == '"' { ' ' } else { c }).collect();
        let _ = write!(line, " label \"{label}\"");
    }
}

fn experimental(yaml: &mut Yaml, scenario: &Scenario) {
    yaml.open("experimental");
    yaml.plain("runahead", optional_time(scenario.network.runahead));
    let mode = match scenario.general.strace {
        Strace::Off => "off",
        Strace::Standard => "standard",
        Strace::Deterministic => "deterministic",
    };
    yaml.quoted("strace_logging_mode", mode);
    yaml.close();
}

fn time(yaml: &mut Yaml, scenario: &Scenario) {
    let time = &scenario.time;
    yaml.open("shim");
    // Within the years that a configuration can name.
    let start = Timestamp::from_nanosecond(time.start_realtime_ns.into()).unwrap_or_default();
    yaml.quoted("start_time", &start.to_string());
    yaml.plain("syscall_latency", ns(time.syscall_latency.as_ns()));
    yaml.plain("vdso_latency", ns(time.vdso_latency.as_ns()));
    let tsc = match time.emulate_tsc {
        EmulateTsc::Never => "never",
        EmulateTsc::Always => "always",
        EmulateTsc::Auto => "auto",
    };
    yaml.plain("emulate_tsc", tsc);
    yaml.plain("patching", time.patching == Patching::On);
    yaml.plain("kernel_in_guest", time.is_kernel_in_guest);
    yaml.plain("strict", time.is_strict);
    match time.watchdog {
        Some(limit) => yaml.plain("watchdog", format_args!("{} ns", limit.as_nanos())),
        None => yaml.plain("watchdog", "null"),
    }
    yaml.plain("watchdog_quantum", ns(time.watchdog_quantum.as_ns()));
    if scenario.faults.is_empty() {
        yaml.plain("faults", "[]");
    } else {
        yaml.open("faults");
        scenario.faults.iter().for_each(|one| yaml.line(&fault(one)));
        yaml.close();
    }
    yaml.close();
}

/// An item of the list. Jumps of clocks are with their hosts.
fn fault(fault: &Fault) -> String {
    let mut line = format!("- {{at: {}, ", ns(fault.at.as_ns()));
    let link = |source: &u32, target: &u32, is_one_way: bool| {
        let way = if is_one_way { ", one_way: true" } else { "" };
        format!("{{source: {source}, target: {target}{way}}}")
    };
    let mut end = "for";
    line += &match &fault.kind {
        FaultKind::Link { source, target, is_one_way, latency, jitter, packet_loss } => {
            let mut text = format!("link: {}", link(source, target, *is_one_way));
            for (key, time) in [("latency", latency), ("jitter", jitter)] {
                text +=
                    &time.map_or(String::new(), |time| format!(", {key}: {}", ns(time.as_ns())));
            }
            text + &packet_loss.map_or(String::new(), |loss| format!(", packet_loss: {loss:?}"))
        }
        FaultKind::Cut { source, target, is_one_way } => {
            format!("cut: {}", link(source, target, *is_one_way))
        }
        FaultKind::Partition(sets) => {
            let sets: Vec<String> = sets.iter().map(|set| list(set)).collect();
            format!("partition: [{}]", sets.join(", "))
        }
        FaultKind::Kill { host, process, signal } => {
            end = "restart_after";
            let host = quote(host);
            format!("kill: {{host: {host}, process: {process}, signal: {signal}}}")
        }
        FaultKind::Crash { host } => {
            end = "restart_after";
            format!("crash: {}", quote(host))
        }
    };
    if let Some(until) = fault.until {
        let _ = write!(line, ", {end}: {}", ns(until.since(fault.at).as_ns()));
    }
    line + "}"
}

fn host(yaml: &mut Yaml, host: &Host) {
    yaml.open(&format!("{}:", quote(&host.name)));
    yaml.plain("network_node_id", host.network_node_id);
    yaml.quoted("ip_addr", &host.ipv4.to_string());
    yaml.plain("bandwidth_down", format_args!("{} bit", host.bandwidth_down));
    yaml.plain("bandwidth_up", format_args!("{} bit", host.bandwidth_up));
    yaml.open("host_options");
    yaml.plain("log_level", host.log_level.map_or("null", level));
    yaml.plain("pcap_enabled", host.pcap_capture_bytes.is_some());
    if let Some(bytes) = host.pcap_capture_bytes {
        yaml.plain("pcap_capture_size", format_args!("{bytes} B"));
    }
    yaml.close();
    yaml.open("shim");
    yaml.plain("cpus", host.cpus);
    yaml.plain("memory", format_args!("{} B", host.memory_bytes));
    yaml.plain("aliases", list(&host.aliases));
    clock(yaml, &host.clock);
    yaml.plain("private", paths(&host.files.private));
    yaml.plain("overlay", paths(&host.files.overlay));
    yaml.close();
    if host.processes.is_empty() {
        yaml.plain("processes", "[]");
    } else {
        yaml.open("processes");
        host.processes.iter().for_each(|one| process(yaml, one));
        yaml.close();
    }
    yaml.close();
}

fn clock(yaml: &mut Yaml, clock: &Clock) {
    yaml.open("clock");
    yaml.plain("offset", format_args!("{} ns", clock.offset_ns));
    let sign = if clock.rate_ppb < 0 { "-" } else { "" };
    let ppb = clock.rate_ppb.unsigned_abs();
    yaml.plain("rate_ppm", format_args!("{sign}{}.{:03}", ppb / 1000, ppb % 1000));
    let jumps = clock
        .jumps
        .iter()
        .map(|jump| format!("{{at: {}, by: {} ns}}", ns(jump.at.as_ns()), jump.by_ns));
    let jumps = jumps.collect::<Vec<_>>().join(", ");
    yaml.plain("jumps", format_args!("[{jumps}]"));
    yaml.close();
}

fn process(yaml: &mut Yaml, process: &Process) {
    // The program as it was named is its first argument; a name that leads elsewhere from elsewhere is
    // replaced by what it led to.
    let program = process.program.to_string_lossy();
    let first = process.args.first().map_or(&*program, String::as_str);
    let is_lasting = first.starts_with('/') || !first.contains('/');
    yaml.item("path", &quote(if is_lasting { first } else { &program }));
    yaml.plain("args", list(process.args.get(1..).unwrap_or_default()));
    if process.environment.is_empty() {
        yaml.plain("environment", "{}");
    } else {
        yaml.open("environment");
        for (name, value) in &process.environment {
            yaml.plain(&quote(name), quote(value));
        }
        yaml.close();
    }
    yaml.plain("start_time", ns(process.start_time.as_ns()));
    let shutdown = process.shutdown_time.map(|time| time.since(SimTime::ZERO));
    yaml.plain("shutdown_time", optional_time(shutdown));
    yaml.plain("shutdown_signal", process.shutdown_signal);
    yaml.plain("expected_final_state", process.expected_final_state);
    yaml.close();
}

/// Whole seconds where it is some.
fn ns(ns: u64) -> String {
    const SECOND: u64 = 1_000_000_000;
    if ns.is_multiple_of(SECOND) { format!("{} s", ns / SECOND) } else { format!("{ns} ns") }
}

fn optional_time(time: Option<SimDuration>) -> String {
    time.map_or_else(|| "null".to_owned(), |time| ns(time.as_ns()))
}

fn level(level: LogLevel) -> &'static str {
    match level {
        LogLevel::Error => "error",
        LogLevel::Warning => "warning",
        LogLevel::Info => "info",
        LogLevel::Debug => "debug",
        LogLevel::Trace => "trace",
    }
}

fn paths(paths: &[PathBuf]) -> String {
    // They were text when they were read.
    list(&paths.iter().map(|path| path.to_string_lossy().into_owned()).collect::<Vec<_>>())
}

fn list(texts: &[String]) -> String {
    let quoted: Vec<String> = texts.iter().map(|text| quote(text)).collect();
    format!("[{}]", quoted.join(", "))
}

/// A text as YAML and JSON quote it, which is the same here.
fn quote(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            // Beside controls, what YAML takes for line ends or a byte order mark.
            c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}') => {
                let _ = write!(quoted, "\\u{:04x}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// Lines with the indentation of where they stand.
#[derive(Default)]
struct Yaml {
    text: String,
    depth: usize,
}

impl Yaml {
    fn line(&mut self, line: &str) {
        let _ = writeln!(self.text, "{:1$}{line}", "", self.depth * 2);
    }

    /// Begin a mapping, or whatever `key` begins.
    fn open(&mut self, key: &str) {
        let colon = if key.contains(':') { "" } else { ":" };
        self.line(&format!("{key}{colon}"));
        self.depth += 1;
    }

    /// Begin an item of a list with its first entry.
    fn item(&mut self, key: &str, value: &str) {
        self.line(&format!("- {key}: {value}"));
        self.depth += 1;
    }

    fn close(&mut self) {
        self.depth -= 1;
    }

    fn plain(&mut self, key: &str, value: impl Display) {
        self.line(&format!("{key}: {value}"));
    }

    fn quoted(&mut self, key: &str, value: &str) {
        self.plain(key, quote(value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Overrides, parse};
    use std::path::Path;

    const SCENARIO: &str = "
general: {stop_time: 90 ms, seed: 7, heartbeat_interval: null}
network:
  graph:
    type: gml
    inline: |
      graph [
        node [ id 3 label \"a & b\" host_bandwidth_down \"1 Gbit\" host_bandwidth_up \"2 Mbit\" ]
        edge [ source 3 target 3 latency \"1500 us\" packet_loss 0.25 ]
      ]
experimental: {runahead: 1 ms, strace_logging_mode: deterministic}
shim:
  start_time: 2001-02-03T04:05:06.5Z
  watchdog: null
  strict: true
  faults:
  - {at: 1 ms, link: {source: 3, target: 3}, latency: 5 ms, packet_loss: 0.125, for: 5 ms}
  - {at: 2 ms, link: {source: 3, target: 3}, jitter: 1 us}
  - {at: 3 ms, cut: {source: 3, target: 3}, for: 1 s}
  - {at: 4 ms, partition: [[bob], [alice]], for: 10 ms}
  - {at: 5 ms, crash: alice, restart_after: 5 ms}
  - {at: 5 ms, kill: {host: bob, process: 0, signal: SIGHUP}, restart_after: 2 ms}
  - {at: 6 ms, kill: {host: bob, process: 0}}
  - {at: 7 ms, jump: {host: bob, by: -3 ms}}
hosts:
  bob:
    network_node_id: 3
    host_options: {log_level: debug, pcap_enabled: true}
    shim:
      aliases: [www]
      private: [/tmp]
      overlay: [/etc]
      clock: {offset: -5 ms, rate_ppm: -0.25, jumps: [{at: 1 ms, by: -2 s}]}
    processes:
    - path: sleep
      args: ['1', \"a \\\"b\\\"\\n\\u2028\"]
      environment: {X: 'a: b #'}
      shutdown_time: 80 ms
      shutdown_signal: SIGUSR1
      expected_final_state: {signaled: SIGUSR1}
  alice: {network_node_id: 3, processes: []}
";

    #[test]
    fn what_was_understood_is_understood_the_same() {
        let read = |text: &str| {
            let result = parse(Path::new("test.yaml"), text, &Overrides::default());
            result.unwrap_or_else(|problems| panic!("{problems:?}\n{text}")).0
        };
        let scenario = read(SCENARIO);
        let processed = text(&scenario);
        assert_eq!(read(&processed), scenario, "{processed}");
        assert_eq!(text(&read(&processed)), processed);
    }
}
