//! `shim run`: a scenario from its file to its table.
//!
//! Options in, an exit status out. Always true: the launcher is started before anything here makes a
//! thread; every complaint is one line on standard error; the table is the only thing on standard output. What a
//! configuration means is `shim_sim::config`'s, how it runs `shim_sim::engine`'s.

use std::io::{ErrorKind, Write};
use std::path::Path;
use std::sync::Arc;

use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};
use shim_abi::Errno;
use shim_host::probe::MOUNTS_CURE;
use shim_sim::config::{self, Overrides, Scenario};
use shim_sim::engine::{Control, Setup, simulate};
use shim_sim::output::processed;
use shim_sim::summary::table;
use shim_supervisor::{Launcher, Library, ViewMaker};

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
    if let Some(parent) = options.parent {
        end_with(parent)?;
    }
    let Some(scenario) = load(&options.config, &options.changes.overrides()) else {
        return Ok(REFUSED);
    };
    if options.show_config {
        print(&processed::text(&scenario));
        return Ok(0);
    }
    let Prepared { launcher, views, library } = prepare_for(&scenario, options.library.as_deref())?;
    let control = Control::new();
    interrupt::watch_run(control.clone())
        .map_err(|error| format!("cannot watch for signals: {error}"))?;
    let setup = Setup {
        packets: None,
        launcher: &launcher,
        views: views.as_ref(),
        library: &library,
        data_directory: &scenario.general.data_directory,
        workers: scenario.general.parallelism,
        pinning: options.pin.into(),
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

/// From now on, end when the process `parent` does, which started this one.
fn end_with(parent: i32) -> Result<(), String> {
    set_parent_process_death_signal(Some(Signal::KILL))
        .map_err(|error| format!("cannot ask for a death signal: {error}"))?;
    if getppid().map(Pid::as_raw_pid) == Some(parent) {
        Ok(())
    } else {
        Err(format!("process {parent} is not there any more"))
    }
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

/// What a scenario needs to be run.
pub struct Prepared {
    /// Starts guests.
    pub launcher: Arc<Launcher>,
    /// Makes hosts folders of their own, if any has such.
    pub views: Option<ViewMaker>,
    /// What guests preload.
    pub library: Library,
}

/// What `scenario` needs. To be called while this process has one thread.
pub fn prepare_for(scenario: &Scenario, library: Option<&Path>) -> Result<Prepared, String> {
    let Some(host) = scenario.hosts.iter().find(|host| !host.files.is_empty()) else {
        let (launcher, library) = prepare(library)?;
        return Ok(Prepared { launcher, views: None, library });
    };
    let library = open_library(library)?;
    let (launcher, views) = Launcher::start_with_views().map_err(|error| {
        format!(
            "hosts.{}.shim: private and overlay are not possible here: {error} (what helps: {MOUNTS_CURE})",
            host.name
        )
    })?;
    Ok(Prepared { launcher: Arc::new(launcher), views: Some(views), library })
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
    Ok((Arc::new(launcher), open_library(library)?))
}

fn open_library(library: Option<&Path>) -> Result<Library, String> {
    let library = library::find_here(library).map_err(|error| error.to_string())?;
    Library::open(&library).map_err(|error| error.to_string())
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
