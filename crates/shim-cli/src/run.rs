//! `shim run`: a scenario from its file to its table.
//!
//! Options in, an exit status out. Always true: the launcher is started before anything here makes a
//! thread; every complaint is one line on standard error; the table is the only thing on standard output. What a
//! configuration means is `shim_sim::config`'s, how it runs `shim_sim::engine`'s.

use std::io::{ErrorKind, Write};
use std::path::Path;
use std::sync::Arc;

use shim_abi::Errno;
use shim_sim::config::{self, Overrides, Scenario};
use shim_sim::engine::{Control, Setup, simulate};
use shim_sim::output::processed;
use shim_sim::summary::table;
use shim_supervisor::{Launcher, Library};

use crate::interrupt;
use crate::library;
use crate::message::message;
use crate::options::scenario::Run;
use crate::progress::Display;

/// Something was not as expected.
pub const UNEXPECTED: u8 = 1;
/// There was no run.
pub const REFUSED: u8 = 2;

/// Run the command; its exit status.
pub fn run(options: &Run) -> u8 {
    match try_run(options) {
        Ok(status) => status,
        Err(text) => {
            message(text);
            REFUSED
        }
    }
}

fn try_run(options: &Run) -> Result<u8, String> {
    let Some(scenario) = load(&options.config, &options.changes.overrides()) else {
        return Ok(REFUSED);
    };
    if options.show_config {
        print(&processed::text(&scenario));
        return Ok(0);
    }
    let (launcher, library) = prepare(options.library.as_deref())?;
    let control = Control::new();
    interrupt::watch_run(control.clone())
        .map_err(|error| format!("cannot watch for signals: {error}"))?;
    let setup = Setup {
        launcher: &launcher,
        library: &library,
        data_directory: &scenario.general.data_directory,
        workers: scenario.general.parallelism,
        strace: scenario.general.strace,
    };
    let mut display = Display::new(scenario.general.stop_time, scenario.general.has_progress);
    let report = simulate(&scenario, &setup, &control, &mut display);
    display.finish();
    let report = report.map_err(|error| error.to_string())?;
    print(&(table(&report).join("\n") + "\n"));
    if scenario.time.is_strict && !report.is_reproducible() {
        message("the run is not reproducible, which --strict makes an error");
        return Ok(UNEXPECTED);
    }
    Ok(if report.is_as_expected() { 0 } else { UNEXPECTED })
}

/// Read a configuration; complaints and warnings are told here.
pub fn load(path: &Path, overrides: &Overrides) -> Option<Scenario> {
    match config::load(path, overrides) {
        Ok((scenario, warnings)) => {
            warnings.iter().for_each(|warning| message(format_args!("warning: {warning}")));
            Some(scenario)
        }
        Err(problems) => {
            problems.iter().for_each(message);
            None
        }
    }
}

/// What starts guests, and what they preload.
pub fn prepare(library: Option<&Path>) -> Result<(Arc<Launcher>, Library), String> {
    let launcher = Launcher::start().map_err(|error| {
        // What a guest is told that asks for a socket.
        let is_guest = error.raw_os_error() == Some(Errno::EAFNOSUPPORT.number());
        let cure =
            if is_guest { " (is this a guest itself? guests cannot have guests)" } else { "" };
        format!("cannot start the launcher: {error}{cure}")
    })?;
    let library = library::find_here(library).map_err(|error| error.to_string())?;
    let library = Library::open(&library).map_err(|error| error.to_string())?;
    Ok((Arc::new(launcher), library))
}

/// Print on standard output; a reader that is gone is no failure of the run, and what else goes wrong is told.
pub fn print(text: &str) {
    let mut output = std::io::stdout();
    match output.write_all(text.as_bytes()).and_then(|()| output.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            message(format_args!("cannot write to standard output: {error}"));
        }
        _ => {}
    }
}
