//! The options of `shim run`, `shim verify` and `shim explore`.
//!
//! Arguments in, a configuration's path and [`Overrides`] out. Always true: an option is named as the
//! key that it overrides, and its value is read by the code that reads the key's, so both take the same
//! words and give the same messages. What a key means is `shim_sim::config`'s.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use shim_sim::config::Overrides;

use super::{Patience, Pin, YesOrNo, parse_patience};
use crate::explore::seeds::Seeds;

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

/// Heading of the options that override keys.
const OVERRIDING: &str = "Options that override the configuration";

/// Options of `shim run`.
#[derive(Args, Debug)]
#[command(after_help = RUN_AFTER)]
pub struct Run {
    /// The configuration; '-' is standard input
    #[arg(value_name = "CONFIG")]
    pub config: PathBuf,

    /// Print the configuration as it was understood, with all defaults, and run nothing
    #[arg(long)]
    pub show_config: bool,

    /// Whether each worker and its hosts' programs share one of this machine's processors. auto: if there are several hosts; for
    /// a single one, if that is faster, which is tried at the start. Changes no result
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    pub pin: Pin,

    /// The libshim.so to use. Otherwise $SHIM_LIBRARY, or the one installed with this command
    #[arg(long, value_name = "PATH")]
    pub library: Option<PathBuf>,

    /// End when this process does, which started this one
    #[arg(long, value_name = "PID", hide = true)]
    pub parent: Option<i32>,

    /// What differs from the configuration. Last, because what follows has its heading.
    #[command(flatten)]
    pub changes: Changes,
}

/// Options of `shim verify`.
#[derive(Args, Debug)]
#[command(after_help = VERIFY_AFTER)]
pub struct Verify {
    /// The configuration
    #[arg(value_name = "CONFIG")]
    pub config: PathBuf,

    /// Keep the data directories of both runs even if they are identical
    #[arg(long)]
    pub keep: bool,

    /// The libshim.so to use. Otherwise $SHIM_LIBRARY, or the one installed with this command
    #[arg(long, value_name = "PATH")]
    pub library: Option<PathBuf>,

    /// What differs from the configuration. Last, because what follows has its heading.
    #[command(flatten)]
    pub changes: Changes,
}

pub const EXPLORE_ABOUT: &str = "\
Run a scenario with many seeds and tell in which of them something goes wrong.

The seed decides what chance decides elsewhere: random numbers, numbers of ports, how long one process of a host keeps its \
processor while others wait for it. An error that depends on the order of things shows with some seeds, and with \
each of these every time.

Each seed is a 'shim run' in a process of its own, as many at a time as there are processors. A finding is a run in which a \
process did not end as expected, the simulator failed, something made the run not reproducible, or which took longer than \
--timeout. It is told with the process that went wrong first, what that said last on standard error, and the \
command that runs the seed again. Findings of the same kind (host, program, ending) are told once; \
their seeds are listed at the end.

What is printed on standard output follows from the seeds and does not depend on the number of jobs. A finding's data directory \
is kept as DIR/seed-N/kept, what its run printed as DIR/seed-N/output.txt; the command that runs it again writes to \
DIR/seed-N/data, where it was then, so that programs see the same paths.";

pub const EXPLORE_AFTER: &str = "\
Exit status:
  0 if nothing was found;
  1 if something was, or if the exploration was interrupted;
  2 if the configuration is bad or the exploration cannot be started.

Ctrl-C ends all runs at once and tells what was found so far. A second one ends without a word.

Examples:
  shim explore --seeds 1..=100 shadow.yaml
  shim explore --seeds 0..1000000 --stop-after 1 --timeout 1m shadow.yaml
  shim explore --seeds 17,31 --keep all -d kept --strace-logging-mode standard shadow.yaml";

/// Options of `shim explore`.
#[derive(Args, Debug)]
#[command(after_help = EXPLORE_AFTER)]
pub struct Explore {
    /// The configuration
    #[arg(value_name = "CONFIG")]
    pub config: PathBuf,

    /// The seeds: numbers and ranges, A..B without B and A..=B with it, separated by commas
    #[arg(long, short = 's', value_name = "SEEDS", value_parser = Seeds::parse)]
    pub seeds: Seeds,

    /// How many runs there are at a time. Otherwise as many as there are processors for. Changes no result
    #[arg(long, short = 'j', value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub jobs: Option<u32>,

    /// How many hosts of a run are run side by side; 0: as many as there are processors. Changes no result
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub parallelism: u32,

    /// End the exploration after so many findings
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub stop_after: Option<u64>,

    /// Real time after which a run is ended, which is a finding, such as 30s; 'off': never
    #[arg(long, value_name = "TIME", default_value = "off", value_parser = parse_patience)]
    pub timeout: Patience,

    /// Where the seeds' folders go; must not exist. Otherwise the configuration's data directory with '.explore' behind it
    #[arg(long, short = 'd', value_name = "DIR")]
    pub data_directory: Option<String>,

    /// Whose data directories are kept
    #[arg(long, value_name = "WHICH", default_value = "findings")]
    pub keep: Keep,

    /// Show neither how far it is nor how fast it was
    #[arg(long, short = 'q')]
    pub quiet: bool,

    /// The libshim.so to use. Otherwise $SHIM_LIBRARY, or the one installed with this command
    #[arg(long, value_name = "PATH")]
    pub library: Option<PathBuf>,

    /// What differs from the configuration in all runs.
    #[command(flatten)]
    pub settings: Settings,
}

/// Values of `--keep`.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs)]
pub enum Keep {
    Findings,
    All,
}

/// Options that override keys of the configuration.
#[derive(Args, Debug, Default)]
#[command(next_help_heading = OVERRIDING)]
pub struct Changes {
    /// Seed of everything random
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    seed: Option<String>,

    /// How many hosts are run side by side; 0: as many as there are processors. Changes no result
    #[arg(long, value_name = "N")]
    parallelism: Option<String>,

    /// Where output goes; must not exist
    #[arg(long, short = 'd', value_name = "DIR")]
    data_directory: Option<String>,

    /// Whether to show on standard error how far the run is: true or false
    #[arg(long, value_name = "BOOL")]
    progress: Option<String>,

    /// The others.
    #[command(flatten)]
    settings: Settings,
}

/// Options that override keys of the configuration, but for those in which runs of it differ.
#[derive(Args, Debug, Default)]
#[command(next_help_heading = OVERRIDING)]
pub struct Settings {
    /// When the simulation ends, such as '10 min'
    #[arg(long, value_name = "TIME")]
    stop_time: Option<String>,

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

    /// Let every system call trap: do not patch the code that makes them
    #[arg(long)]
    no_patch: bool,

    /// Whether guests call their host's kernel themselves where it can answer at once: yes or no
    #[arg(long, value_name = "WHETHER")]
    kernel_in_guest: Option<YesOrNo>,

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
            seed: self.seed.clone(),
            parallelism: self.parallelism.clone(),
            data_directory: self.data_directory.clone(),
            progress: self.progress.clone(),
            ..self.settings.overrides()
        }
    }
}

impl Settings {
    /// The same for the code that reads configurations.
    pub fn overrides(&self) -> Overrides {
        Overrides {
            stop_time: self.stop_time.clone(),
            bootstrap_end_time: self.bootstrap_end_time.clone(),
            template_directory: self.template_directory.clone(),
            log_level: self.log_level.clone(),
            heartbeat_interval: self.heartbeat_interval.clone(),
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
            patching: self.no_patch.then(|| "false".to_owned()),
            kernel_in_guest: self.kernel_in_guest.map(|word| word.is_yes().to_string()),
            strict: self.strict.clone(),
            watchdog: self.watchdog.clone(),
            watchdog_quantum: self.watchdog_quantum.clone(),
            ..Overrides::default()
        }
    }
}

/// The words of a command line that mean `overrides`.
pub fn words(overrides: &Overrides) -> Vec<String> {
    let word = |(option, word): (&str, &str)| match option {
        "--no-patch" => option.to_owned(),
        "--kernel-in-guest" => format!("{option}={}", if word == "true" { "yes" } else { "no" }),
        _ => format!("{option}={word}"),
    };
    overrides.given().map(word).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::{Command, Options};
    use clap::{CommandFactory, Parser};

    fn parse(words: &[String]) -> Changes {
        let all = ["shim", "run", "x"].into_iter().chain(words.iter().map(String::as_str));
        match Options::try_parse_from(all).unwrap().command {
            Command::Run(run) => run.changes,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_option_that_overrides_is_passed_on_as_it_was_given() {
        let command = Options::command();
        let run = command.find_subcommand("run").unwrap();
        let options = run.get_arguments().filter(|arg| arg.get_help_heading() == Some(OVERRIDING));
        let given: Vec<String> = options
            .map(|arg| match arg.get_long().unwrap() {
                "no-patch" => "--no-patch".to_owned(),
                "kernel-in-guest" => "--kernel-in-guest=no".to_owned(),
                name => format!("--{name}=-1 {name}"),
            })
            .collect();
        let overrides = parse(&given).overrides();
        let passed = words(&overrides);
        let sorted =
            |words: &[String]| words.iter().cloned().collect::<std::collections::BTreeSet<_>>();
        assert_eq!(sorted(&passed), sorted(&given));
        assert_eq!(words(&parse(&passed).overrides()), passed);
    }
}
