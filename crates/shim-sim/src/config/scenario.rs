//! A configuration, completely understood: what an engine needs and nothing else.
//!
//! Plain values, no behaviour beyond a look-up. Always true of what [`load`](super::load) returns: hosts
//! are sorted by name, names and addresses are unique, every program was there and executable, every
//! instant lies before the end, and every two nodes that hosts use are connected. How these values were
//! written is not here: an engine never sees YAML, GML, `~` or units.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::time::Duration;

use shim_abi::manager::{EmulateTsc, Patching};
use shim_abi::{SimDuration, SimTime};

use super::graph::Graph;

/// A whole simulation.
#[derive(Clone, PartialEq, Debug)]
pub struct Scenario {
    /// When it ends, where its output goes, how it is run.
    pub general: General,
    /// How simulated time relates to the calendar and to what guests do.
    pub time: TimeModel,
    /// The graph between hosts.
    pub network: Network,
    /// The hosts, sorted by name.
    pub hosts: Vec<Host>,
    /// What happens to links, hosts and processes while it runs, in any order.
    pub faults: Vec<Fault>,
}

impl Scenario {
    /// The host of this name, not of an alias.
    pub fn host(&self, name: &str) -> Option<&Host> {
        let index = self.hosts.binary_search_by(|host| host.name.as_str().cmp(name)).ok()?;
        self.hosts.get(index)
    }
}

/// How a simulation is run (`general`, and what of `experimental` belongs here).
#[derive(Clone, PartialEq, Debug)]
pub struct General {
    /// When the simulation ends.
    pub stop_time: SimTime,
    /// Until then bandwidths are unlimited and no packet is lost.
    pub bootstrap_end_time: SimTime,
    /// Seed of everything random.
    pub seed: u64,
    /// Number of workers; 0 lets the engine choose.
    pub parallelism: u32,
    /// Where output goes; absolute, need not exist.
    pub data_directory: PathBuf,
    /// What is copied there first; absolute, a directory.
    pub template_directory: Option<PathBuf>,
    /// Verbosity.
    pub log_level: LogLevel,
    /// Simulated time between two signs of life.
    pub heartbeat_interval: Option<SimDuration>,
    /// Whether the progress is shown.
    pub has_progress: bool,
    /// The trace of each process.
    pub strace: Strace,
}

/// How time passes (`shim`, and what of `general` and `experimental` belongs here).
#[derive(Clone, PartialEq, Debug)]
pub struct TimeModel {
    /// Calendar time at the start, in nanoseconds since 1970-01-01 00:00:00 UTC.
    pub start_realtime_ns: i64,
    /// What a system call that need not wait costs; zero if that is not modelled.
    pub syscall_latency: SimDuration,
    /// What reading a clock costs; zero if that is not modelled.
    pub vdso_latency: SimDuration,
    /// Whether the time stamp counter is simulated.
    pub emulate_tsc: EmulateTsc,
    /// Whether system calls come by patched code where that can be had, instead of by traps.
    pub patching: Patching,
    /// Whether guests call their host's kernel themselves where it can answer without the simulator.
    pub is_kernel_in_guest: bool,
    /// Whether a run that cannot be repeated is an error.
    pub is_strict: bool,
    /// Wall time after which a guest that makes no call is preempted.
    pub watchdog: Option<Duration>,
    /// What such a guest is charged.
    pub watchdog_quantum: SimDuration,
}

/// The network between hosts.
#[derive(Clone, PartialEq, Debug)]
pub struct Network {
    /// Nodes and edges.
    pub graph: Graph,
    /// Whether packets take the shortest path (else the one direct edge).
    pub use_shortest_path: bool,
    /// Rounds are at least this long, whatever the latencies.
    pub runahead: Option<SimDuration>,
}

/// One simulated machine.
#[derive(Clone, PartialEq, Debug)]
pub struct Host {
    /// Its name.
    pub name: String,
    /// Other names for it, sorted.
    pub aliases: Vec<String>,
    /// Its address.
    pub ipv4: Ipv4Addr,
    /// Its other address.
    pub ipv6: Ipv6Addr,
    /// The node of the graph at which it is.
    pub network_node_id: u32,
    /// What it can receive, in bits per second.
    pub bandwidth_down: u64,
    /// What it can send, in bits per second.
    pub bandwidth_up: u64,
    /// Verbosity, if not that of the simulation.
    pub log_level: Option<LogLevel>,
    /// Bytes of each packet that are recorded, if packets are.
    pub pcap_capture_bytes: Option<u64>,
    /// Processors.
    pub cpus: u32,
    /// Memory, in bytes.
    pub memory_bytes: u64,
    /// How its clocks differ from simulated time.
    pub clock: Clock,
    /// Which folders are its own.
    pub files: Files,
    /// What it runs, in the order of the file.
    pub processes: Vec<Process>,
}

/// Folders of a host that are not the machine's: absolute, without links, none in another.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Files {
    /// Folders that are empty at the start, sorted.
    pub private: Vec<PathBuf>,
    /// Folders of which the host sees the machine's with its own changes, sorted.
    pub overlay: Vec<PathBuf>,
}

impl Files {
    /// Whether all folders are the machine's.
    pub fn is_empty(&self) -> bool {
        self.private.is_empty() && self.overlay.is_empty()
    }
}

/// How the clocks of a host differ from simulated time.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Clock {
    /// Difference at the start, in nanoseconds.
    pub offset_ns: i64,
    /// How much faster they go, in parts per billion; negative: slower.
    pub rate_ppb: i64,
    /// Sudden changes, in the order of time; no two at the same instant.
    pub jumps: Vec<ClockJump>,
}

/// A sudden change of a clock.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ClockJump {
    /// When, in simulated time.
    pub at: SimTime,
    /// By how many nanoseconds; negative: backwards.
    pub by_ns: i64,
}

/// A program that is started.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Process {
    /// The executable file: absolute, links not followed.
    pub program: PathBuf,
    /// All arguments; the first is the program as it was written, `~` expanded.
    pub args: Vec<String>,
    /// The whole environment.
    pub environment: BTreeMap<String, String>,
    /// When it is started.
    pub start_time: SimTime,
    /// When it gets `shutdown_signal`.
    pub shutdown_time: Option<SimTime>,
    /// The signal of `shutdown_time`.
    pub shutdown_signal: i32,
    /// What is to have become of it in the end.
    pub expected_final_state: FinalState,
}

/// Something that goes wrong, or changes, while a simulation runs.
///
/// What is due at the same instant happens in this order: ends of faults, then beginnings, each in the order of
/// [`Scenario::faults`]; and before anything that hosts do at that instant.
#[derive(Clone, PartialEq, Debug)]
pub struct Fault {
    /// When it begins.
    pub at: SimTime,
    /// When it is over: links and ways are as before, what was ended is started again. `None`: never.
    pub until: Option<SimTime>,
    /// What happens.
    pub kind: FaultKind,
}

/// What a fault does.
#[derive(Clone, PartialEq, Debug)]
pub enum FaultKind {
    /// The edges from a node to a node (and back, if edges lead both ways) are otherwise; what is `None` stays. Of changes
    /// of one link that overlap the one counts that began last, value by value.
    Link {
        /// Id of the node.
        source: u32,
        /// Id of the other.
        target: u32,
        /// Only from the first to the second, also where edges lead both ways.
        is_one_way: bool,
        /// How long packets take; more than zero.
        latency: Option<SimDuration>,
        /// How much that varies.
        jitter: Option<SimDuration>,
        /// The share that is lost, from 0 to 1.
        packet_loss: Option<f64>,
    },
    /// Nothing passes these edges: packets go another way if there is one. Those that are under way arrive.
    Cut {
        /// Id of the node.
        source: u32,
        /// Id of the other.
        target: u32,
        /// Only from the first to the second, also where edges lead both ways.
        is_one_way: bool,
    },
    /// Hosts of different sets do not reach each other: what one sends to the other is dropped without a word. Hosts
    /// that are in no set reach everybody.
    Partition(Vec<Vec<String>>),
    /// A process gets a signal. Afterwards it is started anew, if it does not run.
    Kill {
        /// Its host.
        host: String,
        /// Its place in [`Host::processes`].
        process: usize,
        /// The signal.
        signal: i32,
    },
    /// A host stops at once. Afterwards it boots: with its files and its clocks, but with a new kernel, and starts all
    /// processes anew that it had started before.
    Crash {
        /// Its name.
        host: String,
    },
}

impl FaultKind {
    /// Its key in a configuration.
    pub fn name(&self) -> &'static str {
        match self {
            FaultKind::Link { .. } => "link",
            FaultKind::Cut { .. } => "cut",
            FaultKind::Partition(_) => "partition",
            FaultKind::Kill { .. } => "kill",
            FaultKind::Crash { .. } => "crash",
        }
    }
}

/// What became of a process, or is expected to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FinalState {
    /// It runs when the simulation ends.
    Running,
    /// It exited with this status.
    Exited(i32),
    /// This signal ended it.
    Signaled(i32),
}

/// Shown as it is written in a configuration.
impl fmt::Display for FinalState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FinalState::Running => f.write_str("running"),
            FinalState::Exited(status) => write!(f, "{{exited: {status}}}"),
            FinalState::Signaled(signal) => match nix::sys::signal::Signal::try_from(*signal) {
                Ok(name) => write!(f, "{{signaled: {name}}}"),
                Err(_) => write!(f, "{{signaled: {signal}}}"),
            },
        }
    }
}

/// Verbosity.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum LogLevel {
    /// Only what went wrong.
    Error,
    /// Also what may be wrong.
    Warning,
    /// Also what a person wants to see.
    Info,
    /// Also what a developer wants to see.
    Debug,
    /// Everything.
    Trace,
}

impl From<LogLevel> for log::LevelFilter {
    fn from(level: LogLevel) -> log::LevelFilter {
        match level {
            LogLevel::Error => log::LevelFilter::Error,
            LogLevel::Warning => log::LevelFilter::Warn,
            LogLevel::Info => log::LevelFilter::Info,
            LogLevel::Debug => log::LevelFilter::Debug,
            LogLevel::Trace => log::LevelFilter::Trace,
        }
    }
}

/// How the system calls of processes are recorded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Strace {
    /// Not at all.
    Off,
    /// With everything.
    Standard,
    /// Without what may differ between two runs.
    Deterministic,
}
