//! Completions and manual pages.
//!
//! The definitions of the command line in, scripts for shells and troff out. Always true: nothing is
//! written by hand, so they cannot say anything else than `--help` does. Where they are installed is the
//! Makefile's business.

use std::io::{self, Write};

use clap::CommandFactory;

use crate::message::message;
use crate::options::{self, Options};

/// `shim completions`; its exit status.
pub fn completions(options: &options::Completions) -> u8 {
    let mut script = Vec::new();
    clap_complete::generate(options.shell, &mut Options::command(), "shim", &mut script);
    finish(io::stdout().write_all(&script), "standard output")
}

/// `shim man`; its exit status.
pub fn man(options: &options::Man) -> u8 {
    let folder = &options.directory;
    let made = std::fs::create_dir_all(folder);
    let written = made.and_then(|()| clap_mangen::generate_to(Options::command(), folder));
    finish(written, &folder.display().to_string())
}

fn finish(result: io::Result<()>, place: &str) -> u8 {
    match result {
        Ok(()) => 0,
        Err(error) => {
            message(format_args!("cannot write to {place}: {error}"));
            1
        }
    }
}
