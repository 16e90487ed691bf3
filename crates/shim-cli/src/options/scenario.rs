//! The options of `shim run` and `shim verify`.
//!
//! Arguments in, a configuration's path and [`Overrides`] out. Always true: an option is named as the
//! key that it overrides, and its value is read by the code that reads the key's, so both take the same
//! words and give the same messages. What a key means is `shim_sim::config`'s.

use std::path::PathBuf;

use clap::Args;
use shim_sim::config::Overrides;

pub const RUN_ABOUT: &str = "\
Run a scenario: many hosts with many programs, from a configuration file.

The file is YAML as Shadow reads it: general, network, hosts, processes. Each process runs unmodified in \
its host's folder of the data directory, in simulated time, which passes only while the process waits \
or makes system calls. When the simulation is over a table tells what ended how, whether that was \
expected, and what programs asked for and did not get.

The data directory holds, for each process, hosts/<host>/<program>.<pid>.stdout, .stderr, .exitcode and, with \
--strace-logging-mode, .strace; beside them shim.log, processed-config.yaml (all defaults spelt out), \
sim-stats.json and wall-stats.json. Two runs of a configuration write the same bytes everywhere but in wall-stats.json, \
whatever the number of workers.";

pub const RUN_AFTER: &str = "\
Exit status:
  0 if every process ended as expected (expected_final_state; by default: exited with 0);
  1 if one did not, or if the run was interrupted;
  2 if the configuration is bad or the simulation cannot be started.

Ctrl-C ends the run when the round under way is over, at the latest after two seconds, with all \
statistics. A second Ctrl-C does not wait.

Examples:
  shim run shadow.yaml
  shim run shadow.yaml --stop-time '10 min' --seed 7 --data-directory run-7
  shim run shadow.yaml --strace-logging-mode standard --progress true
  shim run --show-config shadow.yaml
  shim run - < shadow.yaml";

pub const VERIFY_ABOUT: &str = "\
Run a scenario twice and tell whether both runs are the same.

System calls are recorded, the second run has another number of workers, and afterwards every file of \
both data directories but wall-stats.json is compared. If something differs, the first system call that is \
not the same is named with its host, process and simulated time, and so are the files that differ: \
something that is not simulated has leaked into the simulation there.

The runs use <data directory>.verify/data, one after the other, so that programs see the same paths; if they differ \
they are kept as <data directory>.verify/run-1 and run-2, else they are removed.";

pub const VERIFY_AFTER: &str = "\
Exit status:
  0 if both runs are identical;
  1 if they are not, or if a run was interrupted;
  2 if the configuration is bad or the simulation cannot be started.

Examples:
  shim verify shadow.yaml
  shim verify shadow.yaml --stop-time '1 min' && echo repeatable";

/// Options of `shim run`.
#[derive(Args, Debug)]
#[command(after_help = RUN_AFTER)]
pub struct Run {
    /// The configuration; '-' is standard input
    #[arg(value_name = "CONFIG")]
    pub config: PathBuf,

    /// What differs from the configuration.
    #[command(flatten)]
    pub changes: Changes,

    /// Print the configuration as it was understood, with all defaults, and run nothing
    #[arg(long)]
    pub show_config: bool,

    /// The libshim.so to use. Otherwise $SHIM_LIBRARY, or the one installed with this command
    #[arg(long, value_name = "PATH")]
    pub library: Option<PathBuf>,
}

/// Options of `shim verify`.
#[derive(Args, Debug)]
#[command(after_help = VERIFY_AFTER)]
pub struct Verify {
    /// The configuration
    #[arg(value_name = "CONFIG")]
    pub config: PathBuf,

    /// What differs from the configuration.
    #[command(flatten)]
    pub changes: Changes,

    /// Keep the data directories of both runs even if they are identical
    #[arg(long)]
    pub keep: bool,

    /// The libshim.so to use. Otherwise $SHIM_LIBRARY, or the one installed with this command
    #[arg(long, value_name = "PATH")]
    pub library: Option<PathBuf>,
}

/// Options that override keys of the configuration.
#[derive(Args, Debug, Default)]
#[command(next_help_heading = "Options that override the configuration")]
pub struct Changes {
    /// When the simulation ends, such as '10 min'
    #[arg(long, value_name = "TIME")]
    stop_time: Option<String>,

    /// Seed of everything random
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    seed: Option<String>,

    /// How many hosts are run side by side; 0: as many as there are processors. Changes no result
    #[arg(long, value_name = "N")]
    parallelism: Option<String>,

    /// Where output goes; must not exist
    #[arg(long, short = 'd', value_name = "DIR")]
    data_directory: Option<String>,

    /// What is copied to the data directory first
    #[arg(long, short = 'e', value_name = "DIR")]
    template_directory: Option<String>,

    /// Lines for shim.log: error, warning, info, debug or trace
    #[arg(long, short = 'l', value_name = "LEVEL")]
    log_level: Option<String>,

    /// The same for hosts
    #[arg(long, value_name = "LEVEL")]
    host_log_level: Option<String>,

    /// Simulated time between two heartbeat lines in shim.log; null: none
    #[arg(long, value_name = "TIME")]
    heartbeat_interval: Option<String>,

    /// Whether to show on standard error how far the run is: true or false
    #[arg(long, value_name = "BOOL")]
    progress: Option<String>,

    /// Whether a run that cannot be repeated is an error
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true,
          default_missing_value = "true")]
    strict: Option<String>,

    /// How system calls are recorded: off, standard or deterministic
    #[arg(long, value_name = "MODE")]
    strace_logging_mode: Option<String>,

    /// Calendar time at the start, such as 2000-01-01T00:00:00Z
    #[arg(long, value_name = "T")]
    start_time: Option<String>,

    /// Simulated time that a system call costs
    #[arg(long, value_name = "TIME")]
    syscall_latency: Option<String>,

    /// Simulated time that reading a clock costs
    #[arg(long, value_name = "TIME")]
    vdso_latency: Option<String>,

    /// Whether calls that need not wait cost simulated time: true or false
    #[arg(long, value_name = "BOOL")]
    model_unblocked_syscall_latency: Option<String>,

    /// Whether the processor's time stamp counter is simulated: auto, always or never
    #[arg(long, value_name = "WHEN")]
    emulate_tsc: Option<String>,

    /// Wall time after which a guest that makes no call is preempted; null: never
    #[arg(long, value_name = "TIME")]
    watchdog: Option<String>,

    /// Simulated time that such a guest is charged
    #[arg(long, value_name = "TIME")]
    watchdog_quantum: Option<String>,

    /// Until then bandwidths are unlimited and no packet is lost
    #[arg(long, value_name = "TIME")]
    bootstrap_end_time: Option<String>,

    /// Whether packets take the shortest path: true or false
    #[arg(long, value_name = "BOOL")]
    use_shortest_path: Option<String>,

    /// Rounds are at least this long, whatever the latencies
    #[arg(long, value_name = "TIME")]
    runahead: Option<String>,

    /// Whether packets are recorded: true or false
    #[arg(long, value_name = "BOOL")]
    pcap_enabled: Option<String>,

    /// How much of each packet is recorded
    #[arg(long, value_name = "SIZE")]
    pcap_capture_size: Option<String>,
}

impl Changes {
    /// The same for the code that reads configurations.
    pub fn overrides(&self) -> Overrides {
        Overrides {
            stop_time: self.stop_time.clone(),
            bootstrap_end_time: self.bootstrap_end_time.clone(),
            seed: self.seed.clone(),
            parallelism: self.parallelism.clone(),
            data_directory: self.data_directory.clone(),
            template_directory: self.template_directory.clone(),
            log_level: self.log_level.clone(),
            heartbeat_interval: self.heartbeat_interval.clone(),
            progress: self.progress.clone(),
            model_unblocked_syscall_latency: self.model_unblocked_syscall_latency.clone(),
            use_shortest_path: self.use_shortest_path.clone(),
            host_log_level: self.host_log_level.clone(),
            pcap_enabled: self.pcap_enabled.clone(),
            pcap_capture_size: self.pcap_capture_size.clone(),
            runahead: self.runahead.clone(),
            strace_logging_mode: self.strace_logging_mode.clone(),
            start_time: self.start_time.clone(),
            syscall_latency: self.syscall_latency.clone(),
            vdso_latency: self.vdso_latency.clone(),
            emulate_tsc: self.emulate_tsc.clone(),
            strict: self.strict.clone(),
            watchdog: self.watchdog.clone(),
            watchdog_quantum: self.watchdog_quantum.clone(),
        }
    }
}
