//! The command `shim`: runs programs in simulated time.
//!
//! Rooms, in the order of a run: [`options`] (what was asked for), [`doctor`] (what the machine
//! offers), [`exec`] (one program), [`run`] (a scenario), [`verify`] (a scenario twice) and [`explore`] (with
//! many seeds) with [`library`] (which `libshim.so`), [`interrupt`] (Ctrl-C), [`progress`] (how far it is) and [`message`]
//! (what a person is told); [`report`] (a page about a run that is over); [`conformance`] (what a simulator does, ours or anybody's); [`sites`] (what of a library is rewritten); [`generate`] (completions and manual pages).
//!
//! # Rules
//!
//! - A thin face: what a simulation is and does is `shim-sim`'s and below.
//! - The global allocator is the scoped one: a host's kernel lives in its host's arena, everything else in
//!   the ordinary heap.
//! - Standard output belongs to guests, and to a result that was asked for; what we say beside it goes to
//!   standard error.
#![forbid(unsafe_code)]

mod conformance;
mod doctor;
mod exec;
mod explore;
mod generate;
mod interrupt;
mod library;
mod message;
mod options;
mod progress;
mod report;
mod run;
mod sites;
mod verify;

use std::alloc::System;
use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;
use shim_arena::ScopedAllocator;

use options::{Command, Options};

#[global_allocator]
static ALLOCATOR: ScopedAllocator<System> = ScopedAllocator::new(System);

fn main() -> ExitCode {
    let options = match Options::try_parse() {
        Ok(options) => options,
        Err(error) => return refuse(&error),
    };
    interrupt::survive_file_limit();
    ExitCode::from(match &options.command {
        Command::Run(options) => run::run(options),
        Command::Verify(options) => verify::run(options),
        Command::Explore(options) => explore::run(options),
        Command::Report(options) => report::run(options),
        Command::Exec(options) => exec::run(options),
        Command::Doctor(options) => doctor::run(options),
        Command::Conformance(options) => conformance::run(options),
        Command::Sites(options) => sites::run(options),
        Command::Completions(options) => generate::completions(options),
        Command::Man(options) => generate::man(options),
    })
}

/// Print what clap has to say. A wrong option of `exec` must not look like the exit status of a guest.
fn refuse(error: &clap::Error) -> ExitCode {
    let _ = error.print();
    let is_exec = std::env::args_os().nth(1).is_some_and(|word| word == "exec");
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => ExitCode::SUCCESS,
        _ if is_exec => ExitCode::from(exec::FAILURE),
        _ => ExitCode::from(2),
    }
}
