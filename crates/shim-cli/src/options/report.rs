//! The options of `shim report`.
//!
//! Arguments in, [`Report`] out. Always true: paths are as they were written; whether anything is there is not asked here. What is
//! made of them is `crate::report`'s.

use std::path::PathBuf;

use clap::Args;

pub const ABOUT: &str = "\
Make a page about a run that is over: one HTML file, from its data directory.

The page needs nothing but a browser: hosts and their processes on an axis of time, how each ended and whether that was \
expected, faults, traffic over time, what programs asked for and did not get, warnings and errors of the log, and how to repeat \
the run. Where packets were recorded (pcap_enabled) it also has conversations, round trips and packets that were sent again; where \
system calls were (strace_logging_mode), how often each was made. What was not recorded is said there, with the key that \
records it.

Nothing but the directory is read, which may come from another machine, and nothing in it is changed. The same directory gives the \
same bytes.";

/// Options of `shim report`.
#[derive(Args, Debug)]
#[command(after_help = "\
Exit status:
  0 if there is a page;
  1 if there is one, but files of the data directory are damaged: each is named on standard error and in the page;
  2 if there is none: it is no data directory, or FILE exists already.

Examples:
  shim report shim.data
  shim report -o run-7.html run-7
  shim report -o - shim.data | gzip > page.html.gz")]
pub struct Report {
    /// The data directory of a run.
    #[arg(value_name = "DATA_DIR")]
    pub directory: PathBuf,

    /// Where to write the page, '-' for standard output. Otherwise DATA_DIR.html.
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}
