//! The command line as types.
//!
//! Arguments in, [`Options`] out. Always true: what is out of range is refused here, with its option's
//! name, before anything is started; help, completions and manual pages all come from here. Options that
//! stand for keys of a configuration are in [`scenario`] and are read where its keys are; [`report`] has those of a page,
//! [`conformance`] those of that command. What the options mean
//! for a simulation is in `exec`, `run`, `verify` and `explore`; `report` is about one that is over.

pub mod conformance;
pub mod report;
pub mod scenario;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use shim_abi::{SimDuration, SimTime};
use shim_host::config::{ClockJump, Rate};
use shim_sim::calendar;

/// Runs unmodified programs in simulated time.
#[derive(Parser, Debug)]
#[command(name = "shim", version, max_term_width = 100, after_help = AFTER)]
pub struct Options {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Run a scenario: many hosts with many programs, from a configuration file
    #[command(long_about = scenario::RUN_ABOUT)]
    Run(Box<scenario::Run>),
    /// Run a scenario twice and tell whether both runs are the same
    #[command(long_about = scenario::VERIFY_ABOUT)]
    Verify(Box<scenario::Verify>),
    /// Run a scenario with many seeds and tell in which of them something goes wrong
    #[command(long_about = scenario::EXPLORE_ABOUT)]
    Explore(Box<scenario::Explore>),
    /// Make a page about a run that is over: one HTML file, from its data directory
    #[command(long_about = report::ABOUT)]
    Report(report::Report),
    /// Run one program on one simulated machine
    #[command(long_about = EXEC_ABOUT)]
    Exec(Box<Exec>),
    /// Tell what this machine offers to guests, what is missing, what that costs, and the cure
    Doctor(Doctor),
    /// Run guests against a simulator, this one or anybody's, and tell which behaviours hold
    #[command(long_about = conformance::ABOUT)]
    Conformance(conformance::Conformance),
    /// Tell which system calls of a library or program are rewritten for guests, and why others are not
    #[command(long_about = SITES_ABOUT)]
    Sites(Sites),
    /// Print the completions of this command for a shell
    Completions(Completions),
    /// Write the manual pages of this command
    Man(Man),
}

const AFTER: &str = "\
Examples:
  shim exec -- sleep 86400          one program; a day passes at once
  shim run shadow.yaml              a scenario; its output goes to shim.data/
  shim verify shadow.yaml           the same twice: is it repeatable?
  shim explore -s 1..=99 s.yaml     with 99 seeds: does one of them fail?
  shim report shim.data             a page about a run: shim.data.html
  shim doctor                       can guests run on this machine?";

/// Options of `shim completions`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  shim completions bash > ~/.local/share/bash-completion/completions/shim
  shim completions zsh > ~/.zfunc/_shim
  shim completions fish > ~/.config/fish/completions/shim.fish")]
pub struct Completions {
    /// The shell
    pub shell: clap_complete::Shell,
}

/// Options of `shim man`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  shim man .                 then: man ./shim.1, man ./shim-run.1
  shim man /usr/local/share/man/man1")]
pub struct Man {
    /// Where to write shim.1 and a page for each subcommand; made if it is not there
    #[arg(value_name = "DIR")]
    pub directory: PathBuf,
}

const EXEC_ABOUT: &str = "\
Run one program on one simulated machine.

The program runs unmodified, with our standard streams, in our working directory and with our \
environment, but in simulated time: its clocks start at --start-time and advance only when it waits or \
makes system calls. A wait costs no real time: 'sleep 86400' returns at once, and its program sees a \
day pass. Every system call costs the simulated time of --syscall-latency, every reading of a clock \
that of --vdso-latency, so that loops which wait by looking at the clock end. Clocks, process ids and random \
numbers depend on nothing but the options: the same command gives the same output each time.

The run ends when the program does, as a command of a shell does. Processes that it leaves behind are killed \
after another second of simulated time. They are named on standard error, and so is what the program asked for \
and did not get.";

const EXEC_AFTER: &str = "\
Exit status:
  that of the program; 128 + n if signal n killed it;
  127 if the program does not exist, 126 if it cannot be executed;
  125 if shim itself failed, or if the program waited for ever.

Ctrl-C (and SIGTERM, SIGHUP, SIGQUIT sent to shim) becomes a simulated signal of the program. \
A second one within two seconds kills the program.

Examples:
  shim exec -- date
  shim exec -- sleep 86400
  shim exec --start-time 2038-01-19T03:14:00Z -- date -u
  shim exec --seed 7 -- openssl rand -hex 16
  shim exec --strace trace.txt -- ls -l
  seq 10 | shim exec -- sort -rn";

/// Options of `shim exec`.
#[derive(Args, Debug)]
#[command(
    override_usage = "shim exec [OPTIONS] [--] PROGRAM [ARGS]...",
    after_help = EXEC_AFTER
)]
pub struct Exec {
    /// Seed of everything that is random for the program.
    #[arg(long, value_name = "N", default_value_t = 1, allow_negative_numbers = true)]
    pub seed: u64,

    /// Calendar time at which the simulation starts: 2000-01-01T00:00:00Z or @SECONDS since 1970.
    #[arg(long, value_name = "T", default_value = "2000-01-01T00:00:00Z",
          value_parser = calendar::parse_instant)]
    pub start_time: i64,

    /// How far the machine's calendar is ahead of the simulation's; with '-' before it: behind.
    #[arg(long, value_name = "TIME", default_value = "0", allow_hyphen_values = true,
          value_parser = calendar::parse_difference)]
    pub clock_offset: i64,

    /// How much faster the machine's clocks run than simulated time, in parts per million; negative:
    /// slower. All its clocks do, and what waits by them, but for CPU time.
    #[arg(long, value_name = "N", default_value = "0", allow_hyphen_values = true,
          value_parser = parse_rate)]
    pub clock_rate_ppm: Rate,

    /// Set the machine's calendar forward by BY, or back by -BY, when AT has passed since the start, as in
    /// 10s:-2s. May be repeated.
    #[arg(long, value_name = "AT:BY", value_parser = parse_jump)]
    pub clock_jump: Vec<ClockJump>,

    /// Preempt the program when it has computed for so long (in real time) without a system call and an
    /// event of the simulation waits for it; 'off': never. The run is not reproducible then.
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = parse_patience)]
    pub watchdog: Patience,

    /// Simulated time that such a program is charged each time.
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = parse_quantum)]
    pub watchdog_quantum: SimDuration,

    /// Name of the simulated machine.
    #[arg(long, value_name = "H", default_value = "host", value_parser = parse_hostname)]
    pub hostname: String,

    /// Write a line for each system call to FILE, '-' for standard error; complete also if the program
    /// is killed.
    #[arg(long, value_name = "FILE")]
    pub strace: Option<PathBuf>,

    /// Log lines to write to standard error.
    #[arg(long, value_name = "L", default_value = "warn")]
    pub log_level: LogLevel,

    /// Processors of the simulated machine. One thread runs at a time whatever their number.
    #[arg(long, value_name = "N", default_value_t = 1,
          value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub cpus: u32,

    /// Whether the processor's time stamp counter (rdtsc) shows simulated time. auto: as always, but it is trapped only in
    /// processes with code that reads it and cannot be patched.
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    pub emulate_tsc: EmulateTsc,

    /// Let every system call trap: do not patch the code that makes them. Slower, with the same results.
    #[arg(long)]
    pub no_patch: bool,

    /// Whether guests call their host's kernel themselves where it can answer at once. no: every call of that kind goes
    /// to the simulator. Slower, with the same results.
    #[arg(long, value_name = "WHETHER", default_value = "yes")]
    pub kernel_in_guest: YesOrNo,

    /// Whether the program, whatever it starts, and the simulator share one of this machine's processors. auto: if taking
    /// turns there is faster than watching each other from two, which is tried at the start. Changes no result.
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    pub pin: Pin,

    /// Simulated time that a system call costs: nanoseconds, or a number and its unit.
    #[arg(long, value_name = "TIME", default_value = "1us", value_parser = calendar::parse_duration)]
    pub syscall_latency: SimDuration,

    /// Simulated time that reading a clock costs where it takes no system call.
    #[arg(long, value_name = "TIME", default_value = "1us", value_parser = calendar::parse_duration)]
    pub vdso_latency: SimDuration,

    /// The libshim.so to use. Otherwise $SHIM_LIBRARY, or the one installed with this command.
    #[arg(long, value_name = "PATH")]
    pub library: Option<PathBuf>,

    /// Do not list what the program asked for and did not get, and whom it left behind.
    #[arg(long)]
    pub quiet: bool,

    /// The program, looked up in $PATH unless it has a slash, and its arguments.
    #[arg(value_name = "PROGRAM", required = true, trailing_var_arg = true)]
    pub command: Vec<OsString>,
}

/// Options of `shim doctor`.
#[derive(Args, Debug)]
#[command(after_help = "Exit status: 0 if guests can run here, 1 if not.")]
pub struct Doctor {
    /// Print one JSON object instead of lines.
    #[arg(long)]
    pub json: bool,

    /// The libshim.so to look at. Otherwise $SHIM_LIBRARY, or the one installed with this command.
    #[arg(long, value_name = "PATH")]
    pub library: Option<PathBuf>,
}

const SITES_ABOUT: &str = "\
Tell which system calls of a library or program are rewritten for guests, and why others are not.

A system call of a guest traps, which takes 2 microseconds of real time, unless it was rewritten into a jump before \
the guest ran. The same is done with the instructions that read the processor's clock (rdtsc, rdtscp) or name it \
(cpuid). Each line names an instruction: its address in the file, the call that it makes if that can be seen, where \
it stands, and what is done about it:

  jump at A           a jump at A replaces what stands before the instruction
  jump by way of A    a short jump leads to a long one in padding at A
  trap                it is replaced by one that traps
  left: REASON        it stays as it is";

/// Options of `shim sites`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  shim sites /lib/x86_64-linux-gnu/libc.so.6
  shim sites --left /lib64/ld-linux-x86-64.so.2")]
pub struct Sites {
    /// List only what does not jump.
    #[arg(long)]
    pub left: bool,

    /// A shared library or program.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
}

/// Values of `--log-level`.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs)]
pub enum LogLevel {
    Off,
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

impl From<LogLevel> for log::LevelFilter {
    fn from(level: LogLevel) -> Self {
        match level {
            LogLevel::Off => log::LevelFilter::Off,
            LogLevel::Error => log::LevelFilter::Error,
            LogLevel::Warn => log::LevelFilter::Warn,
            LogLevel::Info => log::LevelFilter::Info,
            LogLevel::Debug => log::LevelFilter::Debug,
            LogLevel::Trace => log::LevelFilter::Trace,
        }
    }
}

/// Values of options that switch something off which is on by itself.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs)]
pub enum YesOrNo {
    Yes,
    No,
}

impl YesOrNo {
    /// Whether it is on.
    pub fn is_yes(self) -> bool {
        self == YesOrNo::Yes
    }
}

/// Values of `--pin`.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs)]
pub enum Pin {
    Auto,
    Yes,
    No,
}

impl From<Pin> for shim_sim::engine::Pinning {
    fn from(when: Pin) -> Self {
        match when {
            Pin::Auto => shim_sim::engine::Pinning::Auto,
            Pin::Yes => shim_sim::engine::Pinning::Yes,
            Pin::No => shim_sim::engine::Pinning::No,
        }
    }
}

/// Values of `--emulate-tsc`.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs)]
pub enum EmulateTsc {
    Auto,
    Always,
    Never,
}

impl From<EmulateTsc> for shim_abi::manager::EmulateTsc {
    fn from(when: EmulateTsc) -> Self {
        match when {
            EmulateTsc::Auto => shim_abi::manager::EmulateTsc::Auto,
            EmulateTsc::Always => shim_abi::manager::EmulateTsc::Always,
            EmulateTsc::Never => shim_abi::manager::EmulateTsc::Never,
        }
    }
}

/// Value of `--watchdog` and `--timeout`: wall time, or none.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Patience(pub Option<Duration>);

fn parse_patience(text: &str) -> Result<Patience, String> {
    if text == "off" {
        return Ok(Patience(None));
    }
    let limit = positive(text)?;
    Ok(Patience(Some(Duration::from_nanos(limit.as_ns()))))
}

fn parse_quantum(text: &str) -> Result<SimDuration, String> {
    positive(text)
}

/// A length of time that is not zero.
fn positive(text: &str) -> Result<SimDuration, String> {
    match calendar::parse_duration(text).map_err(|error| error.to_string())? {
        SimDuration::ZERO => Err("must be more than no time".to_owned()),
        duration => Ok(duration),
    }
}

/// Parts per million, with up to three decimals that count.
fn parse_rate(text: &str) -> Result<Rate, String> {
    const MOST_PPM: f64 = (Rate::MAX_PPB / 1000) as f64;
    let ppm = text.parse::<f64>().ok().filter(|ppm| ppm.abs() <= MOST_PPM);
    ppm.and_then(|ppm| Rate::from_ppb((ppm * 1000.0).round() as i64))
        .ok_or_else(|| format!("a number from -{MOST_PPM} to {MOST_PPM}, such as 50 or -0.5"))
}

fn parse_jump(text: &str) -> Result<ClockJump, String> {
    let (at, by) = text.split_once(':').ok_or("write when and by how much, as in 10s:-2s")?;
    let at = calendar::parse_duration(at).map_err(|error| error.to_string())?;
    let by_ns = calendar::parse_difference(by).map_err(|error| error.to_string())?;
    Ok(ClockJump { at: SimTime::ZERO + at, by_ns })
}

/// A host name as RFC 1123 allows it, no longer than uname(2) can tell.
fn parse_hostname(text: &str) -> Result<String, String> {
    const MAX_LEN: usize = 64;
    let is_label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    if text.len() > MAX_LEN {
        return Err(format!("longer than {MAX_LEN} characters"));
    }
    if !text.split('.').all(is_label) {
        return Err("letters, digits and hyphens, in parts separated by dots".to_owned());
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn exec(args: &[&str]) -> Result<Exec, String> {
        let all = ["shim", "exec"].iter().chain(args);
        match Options::try_parse_from(all).map_err(|error| error.to_string())?.command {
            Command::Exec(exec) => Ok(*exec),
            other => Err(format!("{other:?}")),
        }
    }

    #[test]
    fn definitions_are_consistent() {
        Options::command().debug_assert();
    }

    #[test]
    fn defaults_are_those_of_the_manual() {
        let options = exec(&["--", "true"]).unwrap();
        assert_eq!(options.seed, 1);
        assert_eq!(options.start_time, calendar::DEFAULT_START_NS);
        assert_eq!(options.hostname, "host");
        assert_eq!(options.cpus, 1);
        assert_eq!(options.syscall_latency, SimDuration::from_ns(1000));
        assert_eq!(options.vdso_latency, SimDuration::from_ns(1_000));
        assert_eq!(options.clock_offset, 0);
        assert_eq!(options.clock_rate_ppm, Rate::EXACT);
        assert_eq!(options.clock_jump, []);
        let watchdog = shim_host::config::Watchdog::default();
        assert_eq!(options.watchdog, Patience(Some(watchdog.wall)));
        assert_eq!(options.watchdog_quantum, watchdog.quantum);
        assert_eq!(options.log_level, LogLevel::Warn);
        assert_eq!(options.command, ["true"]);
    }

    #[test]
    fn the_programs_own_options_are_left_alone() {
        let with = exec(&["--seed", "7", "--", "ls", "--seed", "-l", "--"]).unwrap();
        assert_eq!(
            (with.seed, with.command),
            (7, ["ls", "--seed", "-l", "--"].map(Into::into).into())
        );
        let without = exec(&["ls", "--quiet", "-l"]).unwrap();
        assert!(!without.quiet);
        assert_eq!(without.command, ["ls", "--quiet", "-l"]);
    }

    #[test]
    fn clocks_and_the_watchdog_are_read() {
        let options = exec(&[
            "--clock-offset",
            "-1h",
            "--clock-rate-ppm",
            "-0.5",
            "--clock-jump",
            "10s:-2s",
            "--clock-jump=1m:1ms",
            "--watchdog",
            "off",
            "true",
        ])
        .unwrap();
        assert_eq!(options.clock_offset, -3_600_000_000_000);
        assert_eq!(options.clock_rate_ppm.as_ppb(), -500);
        let jump =
            |secs, by_ns| ClockJump { at: SimTime::ZERO + SimDuration::from_secs(secs), by_ns };
        assert_eq!(options.clock_jump, [jump(10, -2_000_000_000), jump(60, 1_000_000)]);
        assert_eq!(options.watchdog, Patience(None));
        assert_eq!(options.command, ["true"]);
    }

    #[test]
    fn nonsense_is_refused_by_name() {
        for (args, what) in [
            (&["--start-time", "soon", "true"][..], "--start-time"),
            (&["--cpus", "0", "true"], "--cpus"),
            (&["--hostname", "a b", "true"], "--hostname"),
            (&["--hostname", "", "true"], "--hostname"),
            (&["--log-level", "loud", "true"], "--log-level"),
            (&["--clock-offset", "soon", "true"], "--clock-offset"),
            (&["--clock-rate-ppm", "100001", "true"], "--clock-rate-ppm"),
            (&["--clock-rate-ppm", "NaN", "true"], "--clock-rate-ppm"),
            (&["--clock-jump", "1s", "true"], "--clock-jump"),
            (&["--clock-jump=-1s:1s", "true"], "--clock-jump"),
            (&["--watchdog", "0", "true"], "--watchdog"),
            (&["--watchdog-quantum", "0", "true"], "--watchdog-quantum"),
            (&["--syscall-latency=-1", "true"], "--syscall-latency"),
            (&[], "PROGRAM"),
        ] {
            let error = exec(args).unwrap_err();
            assert!(error.contains(what), "{args:?}: {error}");
        }
    }
}
