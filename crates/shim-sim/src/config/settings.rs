//! The settings of a whole simulation: `general`, `network` without its graph, `experimental`, `shim`.
//!
//! The document's root in, [`Settings`] out. Always true: defaults are Shadow's where Shadow has the key,
//! except that the directory for output is `shim.data`. Hosts and the graph are read elsewhere (`hosts.rs`,
//! `source.rs`).
//!
//! **Latencies.** Shadow charges unblocked calls only if `general.model_unblocked_syscall_latency` says so;
//! here they are charged unless it says `false`, because a busy loop never ends otherwise. `shim.*_latency` has
//! the last word, then `experimental.unblocked_*_latency`, then 1 us for a call and for a clock.
//! **Watchdog.** `shim.watchdog` and `shim.watchdog_quantum`; where they are not given,
//! `experimental.native_preemption_*`, if enabled there; else 1 s of processor time and 1 s of simulated time.

use std::time::Duration;

use shim_abi::manager::{EmulateTsc, Patching};
use shim_abi::{SimDuration, SimTime};

use super::document::Node;
use super::keys;
use super::problem::Report;
use super::programs::Surroundings;
use super::reader::{Mismatch, Reading, Section, boolean, integer, nullable, text, time, word};
use super::scenario::{General, LogLevel, Strace, TimeModel};
use crate::calendar;

/// Where output goes if nobody says.
const DEFAULT_DATA_DIRECTORY: &str = "shim.data";

/// The names of the levels of verbosity.
pub(super) const LEVELS: [(&str, LogLevel); 5] = [
    ("error", LogLevel::Error),
    ("warning", LogLevel::Warning),
    ("info", LogLevel::Info),
    ("debug", LogLevel::Debug),
    ("trace", LogLevel::Trace),
];

/// Everything that is said once.
pub(super) struct Settings {
    pub(super) general: General,
    pub(super) time: TimeModel,
    pub(super) use_shortest_path: bool,
    pub(super) runahead: Option<SimDuration>,
}

/// The top-level section `key`, or an empty one in its place.
pub(super) fn section<'d>(
    root: &Section<'d>,
    key: &str,
    nothing: &'d Node,
    table: &keys::Table,
    report: &mut Report,
) -> Option<Section<'d>> {
    match root.entry(key) {
        Some(entry) => Section::open(&entry.node, &entry.place, key, table, report),
        None => Section::open(nothing, root.place(), key, table, report),
    }
}

/// Read the settings; `network` has been opened already. Nothing comes back only after a problem.
pub(super) fn read(
    root: &Section<'_>,
    network: Option<&Section<'_>>,
    surroundings: &Surroundings,
    report: &mut Report,
) -> Option<Settings> {
    let nothing = Node::null(root.place().clone());
    let experimental = section(root, "experimental", &nothing, &keys::EXPERIMENTAL, report);
    let shim = section(root, "shim", &nothing, &keys::SHIM, report);
    let experiment = experimental.as_ref().map(|section| read_experiment(section, report));
    let general = match root.entry("general") {
        Some(_) => section(root, "general", &nothing, &keys::GENERAL, report),
        None => {
            let message = "the section general is missing, with at least 'stop_time: 10 min'";
            report.problem(root.place(), message);
            None
        }
    };
    let use_shortest_path =
        network.and_then(|network| network.optional("use_shortest_path", boolean, report));
    let (general, shim, experiment) = (general?, shim?, experiment?);
    let is_modelled = general.optional("model_unblocked_syscall_latency", boolean, report);
    let time = read_time(&shim, is_modelled.unwrap_or(true), &experiment, report);
    let general_settings = read_general(&general, experiment.strace, surroundings, report)?;
    check_end(&general, general_settings.stop_time, time.start_realtime_ns, report);
    Some(Settings {
        general: general_settings,
        time,
        use_shortest_path: use_shortest_path.unwrap_or(true),
        runahead: experiment.runahead,
    })
}

fn read_general(
    general: &Section<'_>,
    strace: Strace,
    surroundings: &Surroundings,
    report: &mut Report,
) -> Option<General> {
    let instant = |node: &Node| time(node).map(|after| SimTime::ZERO + after);
    let stop_time = general.required(
        "stop_time",
        "write when the simulation ends, such as 'stop_time: 10 min'",
        instant,
        report,
    );
    let bootstrap_end_time = general.optional("bootstrap_end_time", instant, report);
    let seed = general.optional("seed", integer(0..=i128::from(u64::MAX)), report);
    let parallelism = general.optional("parallelism", integer(0..=i128::from(u32::MAX)), report);
    let directory = |node: &Node| path(node, surroundings);
    let data_directory = general.optional("data_directory", directory, report);
    let template_directory = general.optional("template_directory", nullable(directory), report);
    if let Some(template) = template_directory.as_ref().and_then(Option::as_ref)
        && !template.is_dir()
    {
        let message = format!("there is no directory '{}' to copy", template.display());
        report.problem(&general.place_of("template_directory"), message);
    }
    let log_level = general.optional("log_level", word(&LEVELS), report);
    let heartbeat_interval = general.optional("heartbeat_interval", nullable(some_time), report);
    let progress = general.optional("progress", boolean, report);
    Some(General {
        stop_time: stop_time?,
        bootstrap_end_time: bootstrap_end_time.unwrap_or(SimTime::ZERO),
        seed: seed.and_then(|seed| u64::try_from(seed).ok()).unwrap_or(1),
        parallelism: parallelism.and_then(|count| u32::try_from(count).ok()).unwrap_or(0),
        data_directory: match data_directory {
            Some(directory) => directory,
            None => surroundings.absolute(DEFAULT_DATA_DIRECTORY).ok()?,
        },
        template_directory: template_directory.flatten(),
        log_level: log_level.unwrap_or(LogLevel::Info),
        heartbeat_interval: heartbeat_interval.unwrap_or(Some(SimDuration::from_secs(1))),
        has_progress: progress.unwrap_or(false),
        strace,
    })
}

/// The end must be after the start, and both must fit the clocks of Linux.
fn check_end(general: &Section<'_>, stop_time: SimTime, start_ns: i64, report: &mut Report) {
    let place = general.place_of("stop_time");
    if stop_time == SimTime::ZERO {
        report.problem(&place, "general.stop_time must be more than 0");
    }
    let end = i64::try_from(stop_time.as_ns()).ok().and_then(|stop| start_ns.checked_add(stop));
    if end.is_none() {
        report.problem(
            &place,
            "general.stop_time is too late: the calendar of Linux ends in the year 2262, and the \
             simulation begins at shim.start_time (2000-01-01 if not given)",
        );
    }
}

fn path(node: &Node, surroundings: &Surroundings) -> Reading<std::path::PathBuf> {
    const EXPECTED: &str = "the path of a directory such as ./results";
    let path = text(node, EXPECTED)?;
    surroundings.absolute(&path).map_err(|reason| Mismatch::because(EXPECTED, reason))
}

/// A length of time that is more than none.
pub(super) fn some_time(node: &Node) -> Reading<SimDuration> {
    match time(node)? {
        SimDuration::ZERO => Err(Mismatch::new("more than 0, such as 1 s")),
        time => Ok(time),
    }
}

/// What of `experimental` has a meaning here.
struct Experiment {
    runahead: Option<SimDuration>,
    strace: Strace,
    syscall_latency: Option<SimDuration>,
    vdso_latency: Option<SimDuration>,
    /// Wall time and quantum of a preemption, if that is enabled.
    preemption: Option<(Option<SimDuration>, Option<SimDuration>)>,
}

fn read_experiment(section: &Section<'_>, report: &mut Report) -> Experiment {
    let modes = [
        ("off", Strace::Off),
        ("standard", Strace::Standard),
        ("deterministic", Strace::Deterministic),
    ];
    let runahead = section.optional("runahead", nullable(time), report);
    let strace = section.optional("strace_logging_mode", word(&modes), report);
    let syscall_latency = section.optional("unblocked_syscall_latency", time, report);
    let vdso_latency = section.optional("unblocked_vdso_latency", time, report);
    let is_preempting = section.optional("native_preemption_enabled", boolean, report);
    let interval = section.optional("native_preemption_native_interval", some_time, report);
    let quantum = section.optional("native_preemption_sim_interval", some_time, report);
    Experiment {
        runahead: runahead.flatten(),
        strace: strace.unwrap_or(Strace::Off),
        syscall_latency,
        vdso_latency,
        preemption: (is_preempting == Some(true)).then_some((interval, quantum)),
    }
}

fn read_time(
    shim: &Section<'_>,
    is_modelled: bool,
    experiment: &Experiment,
    report: &mut Report,
) -> TimeModel {
    let start = shim.optional("start_time", instant, report);
    let syscall_latency = shim.optional("syscall_latency", time, report);
    let vdso_latency = shim.optional("vdso_latency", time, report);
    let modes =
        [("auto", EmulateTsc::Auto), ("always", EmulateTsc::Always), ("never", EmulateTsc::Never)];
    let emulate_tsc = shim.optional("emulate_tsc", word(&modes), report);
    let is_patching = shim.optional("patching", boolean, report);
    let is_kernel_in_guest = shim.optional("kernel_in_guest", boolean, report);
    let is_strict = shim.optional("strict", boolean, report);
    let watchdog = shim.optional("watchdog", nullable(some_time), report);
    let quantum = shim.optional("watchdog_quantum", some_time, report);
    let latency = |own: Option<SimDuration>, shadows: Option<SimDuration>, default_ns| {
        let fallback = shadows.unwrap_or(SimDuration::from_ns(default_ns));
        own.unwrap_or(if is_modelled { fallback } else { SimDuration::ZERO })
    };
    let (interval, preemption_quantum) = experiment.preemption.unwrap_or((None, None));
    let watchdog = watchdog.unwrap_or(interval.or(Some(SimDuration::from_secs(1))));
    TimeModel {
        start_realtime_ns: start.unwrap_or(calendar::DEFAULT_START_NS),
        syscall_latency: latency(syscall_latency, experiment.syscall_latency, 1_000),
        vdso_latency: latency(vdso_latency, experiment.vdso_latency, 1_000),
        emulate_tsc: emulate_tsc.unwrap_or(EmulateTsc::Auto),
        patching: if is_patching == Some(false) { Patching::Off } else { Patching::On },
        is_kernel_in_guest: is_kernel_in_guest.unwrap_or(true),
        is_strict: is_strict.unwrap_or(false),
        watchdog: watchdog.map(|wall| Duration::from_nanos(wall.as_ns())),
        watchdog_quantum: quantum.or(preemption_quantum).unwrap_or(SimDuration::from_secs(1)),
    }
}

fn instant(node: &Node) -> Reading<i64> {
    const EXPECTED: &str =
        "an instant from 1970 to 2199, such as 2000-01-01T00:00:00Z or \"@946684800\"";
    let written = text(node, EXPECTED)?;
    calendar::parse_instant(&written).map_err(|_| Mismatch::new(EXPECTED))
}

/// The verbosity of a host and what is recorded of its packets (`host_option_defaults`, `host_options`).
#[derive(Clone, Copy, Default)]
pub(super) struct HostOptions {
    log_level: Option<LogLevel>,
    pcap_enabled: Option<bool>,
    pcap_capture_size: Option<u64>,
}

impl HostOptions {
    /// Read them; what is not given stays open.
    pub(super) fn read(section: &Section<'_>, report: &mut Report) -> HostOptions {
        HostOptions {
            log_level: section.optional("log_level", nullable(word(&LEVELS)), report).flatten(),
            pcap_enabled: section.optional("pcap_enabled", boolean, report),
            pcap_capture_size: section.optional("pcap_capture_size", super::reader::size, report),
        }
    }

    /// These, or those of `defaults` where nothing is given.
    pub(super) fn or(self, defaults: HostOptions) -> HostOptions {
        HostOptions {
            log_level: self.log_level.or(defaults.log_level),
            pcap_enabled: self.pcap_enabled.or(defaults.pcap_enabled),
            pcap_capture_size: self.pcap_capture_size.or(defaults.pcap_capture_size),
        }
    }

    /// Verbosity, if it is not that of the simulation.
    pub(super) fn log_level(self) -> Option<LogLevel> {
        self.log_level
    }

    /// Bytes of each packet that are recorded, if packets are.
    pub(super) fn pcap_capture_bytes(self) -> Option<u64> {
        const LONGEST_PACKET: u64 = 65_535;
        (self.pcap_enabled == Some(true)).then(|| self.pcap_capture_size.unwrap_or(LONGEST_PACKET))
    }
}
