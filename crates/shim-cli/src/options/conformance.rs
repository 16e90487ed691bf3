//! The options of `shim conformance`.
//!
//! Arguments in, [`Conformance`] out. Always true: words behind SIMULATOR are the simulator's, whatever they look like. Which
//! behaviours there are, and what a run of the simulator is, is `crate::conformance`'s.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Args;

use super::{Patience, parse_patience};

pub const ABOUT: &str = "\
Run guests against a simulator, this one or anybody's, and tell which behaviours hold.

SIMULATOR is a command that runs one program as a guest: the program and its arguments are put where SIMULATOR has a word {}, or \
behind its last word. What it has to do is little: the program gets SIMULATOR's standard input, its output arrives at SIMULATOR's \
standard output, and SIMULATOR ends when the program has ended, with its exit status. It is started once for each behaviour, or twice.

The guest is a small program of its own, which this command carries within itself and writes to a temporary folder ($TMPDIR). A \
behaviour holds, fails (with what was expected, what came and where that is written), or is not supported: the guest \
got ENOSYS, or no thread. A simulator conforms if all that is required holds and nothing fails: \
that it has no threads, no second process or no names is no failure.

Required is what a guest needs to be one: the hand-off, clocks and sleeping, results of calls, values that repeat, signals of the \
guest to itself, its end. Optional is what Linux has beyond that (threads, processes, pipes, timers, names), and what depends on the \
real machine. --list tells it of each behaviour.

Two behaviours are tried before all others: hand-off/starts and hand-off/managed. Where the program does not start, nothing else is \
tried; where it is no guest, the rest of the hand-off is.";

/// Options of `shim conformance`.
#[derive(Args, Debug)]
#[command(
    override_usage = "shim conformance [OPTIONS] [--] SIMULATOR [ARGS]...",
    after_help = "\
Exit status:
  0 if SIMULATOR conforms: all that is required and was asked for holds, and nothing fails;
  1 if not, or if the runs were interrupted;
  2 if an option is wrong, or SIMULATOR cannot be started at all.

A script around SIMULATOR can say that something is not supported, by a line on standard output: the word @conformance, a tab, the \
word unsupported, a tab, and the reason.

Examples:
  shim conformance -- shim exec --
  shim conformance --timeout 5s --json report.json -- ./simulator
  shim conformance --only hand-off --only 'time/*' -- sh -c 'exec ./simulator --seed 1 -- \"$@\"' sh
  shim conformance -- ./simulator --program {} --verbose
  shim conformance --guest ./guest --only calls/large -- shim exec --
  shim conformance --list"
)]
pub struct Conformance {
    /// List the behaviours, and run nothing.
    #[arg(long)]
    pub list: bool,

    /// Only these behaviours: GROUP or GROUP/NAME, where '*' stands for any letters. May be repeated.
    #[arg(long, value_name = "PATTERN")]
    pub only: Vec<String>,

    /// Wall time that SIMULATOR has for one guest; 'off': as much as it likes. Then it is killed with all its processes.
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = parse_patience)]
    pub timeout: Patience,

    /// Write the results to FILE as JSON, too; '-': to standard output, instead of lines.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,

    /// Write the guest to FILE and leave it there, for a debugger. FILE must not exist.
    #[arg(long, value_name = "FILE")]
    pub guest: Option<PathBuf>,

    /// Go on where the program is no guest: what is told then is what the real machine does.
    #[arg(long)]
    pub unmanaged: bool,

    /// The simulator's command, looked up in $PATH unless it has a slash, and its arguments.
    #[arg(value_name = "SIMULATOR", required_unless_present = "list", trailing_var_arg = true)]
    pub simulator: Vec<OsString>,
}
