//! `shim verify`: a scenario twice, and what differs.
//!
//! Options in, an exit status out. Always true: both runs use the same path, one after the other, so
//! that a program which looks at its folder's name sees the same; the second has another number of workers; what
//! differs is kept for a person to look at. How two directories are compared is
//! `shim_sim::output::comparison`'s.

use std::fs;
use std::path::{Path, PathBuf};

use shim_sim::config::Scenario;
use shim_sim::config::scenario::Strace;
use shim_sim::engine::{Control, Pinning, Report, Setup, simulate};
use shim_sim::output::comparison::{CallDifference, Difference, compare};

use crate::interrupt;
use crate::message::message;
use crate::options::scenario::Verify;
use crate::progress::Display;
use crate::run::{Prepared, REFUSED, UNEXPECTED, load, prepare_for, print};

/// Files that differ are named up to this number.
const NAMED_FILES: usize = 20;

/// Run the command; its exit status.
pub fn run(options: &Verify) -> u8 {
    match try_run(options) {
        Ok(status) => status,
        Err(text) => {
            message(text);
            REFUSED
        }
    }
}

fn try_run(options: &Verify) -> Result<u8, String> {
    let Some(scenario) = load(&options.config, &options.changes.overrides()) else {
        return Ok(REFUSED);
    };
    let Prepared { launcher, views, library } = prepare_for(&scenario, options.library.as_deref())?;
    let control = Control::new();
    interrupt::watch_run(control.clone())
        .map_err(|error| format!("cannot watch for signals: {error}"))?;
    let folder = make_folder(&scenario)?;
    let data = folder.join("data");
    let [first, second] = workers(&scenario);
    let setup = Setup {
        packets: None,
        launcher: &launcher,
        views: views.as_ref(),
        library: &library,
        data_directory: &data,
        workers: first,
        pinning: Pinning::Auto,
        strace: match scenario.general.strace {
            // Addresses say nothing where Linux places memory anew each time.
            Strace::Off if !launcher.is_layout_fixed() => Strace::Deterministic,
            Strace::Off => Strace::Standard,
            asked => asked,
        },
    };
    let kept = ["run-1", "run-2"].map(|name| folder.join(name));
    let one = run_once(&scenario, &setup, &control, &kept[0])?;
    if one.is_interrupted {
        return Ok(interrupted(&folder));
    }
    let two = run_once(&scenario, &Setup { workers: second, ..setup }, &control, &kept[1])?;
    if two.is_interrupted {
        return Ok(interrupted(&folder));
    }
    let difference =
        compare(&kept[0], &kept[1]).map_err(|error| format!("cannot compare: {error}"))?;
    let is_reproducible = one.is_reproducible() && two.is_reproducible();
    if !is_reproducible {
        message(
            "a guest was preempted because it made no call: when depends on this machine's speed",
        );
    }
    match difference {
        None => {
            print(&format!(
                "identical: two runs with {} and {} workers, {} {}, {} s of simulated time\n",
                one.workers,
                two.workers,
                one.processes.len(),
                if one.processes.len() == 1 { "process" } else { "processes" },
                one.ended_at.to_string().trim_end_matches('0').trim_end_matches('.'),
            ));
            let unexpected = one.processes.iter().filter(|process| !process.is_expected()).count();
            if unexpected > 0 {
                let total = one.processes.len();
                message(format_args!(
                    "{unexpected} of {total} did not end as expected, both times"
                ));
            }
            if !options.keep {
                remove(&folder);
            }
            Ok(if scenario.time.is_strict && !is_reproducible { UNEXPECTED } else { 0 })
        }
        Some(difference) => {
            print(&words(&difference, &folder));
            Ok(UNEXPECTED)
        }
    }
}

fn run_once(
    scenario: &Scenario,
    setup: &Setup<'_>,
    control: &Control,
    kept: &Path,
) -> Result<Report, String> {
    let mut display = Display::new(scenario.general.stop_time, scenario.general.has_progress);
    let report = simulate(scenario, setup, control, &mut display);
    display.finish();
    let report = report.map_err(|error| error.to_string())?;
    report.write_errors.iter().for_each(message);
    fs::rename(setup.data_directory, kept)
        .map_err(|error| format!("cannot rename {}: {error}", setup.data_directory.display()))?;
    Ok(report)
}

/// The folder of both runs, beside where the data directory would be.
fn make_folder(scenario: &Scenario) -> Result<PathBuf, String> {
    let mut name = scenario.general.data_directory.clone().into_os_string();
    name.push(".verify");
    let folder = PathBuf::from(name);
    if folder.symlink_metadata().is_ok() {
        return Err(format!(
            "{} exists already, probably from an earlier verification: remove it, or name another place \
             with --data-directory",
            folder.display()
        ));
    }
    fs::create_dir_all(&folder)
        .map_err(|error| format!("cannot make {}: {error}", folder.display()))?;
    Ok(folder)
}

/// The numbers of workers of both runs.
fn workers(scenario: &Scenario) -> [u32; 2] {
    let first = match scenario.general.parallelism {
        0 => std::thread::available_parallelism().map_or(1, |count| count.get() as u32),
        asked => asked,
    };
    [first, if first == 1 { 2 } else { 1 }]
}

fn interrupted(folder: &Path) -> u8 {
    message(format_args!(
        "interrupted: nothing is known; what there is lies in {}",
        folder.display()
    ));
    UNEXPECTED
}

fn remove(folder: &Path) {
    if let Err(error) = fs::remove_dir_all(folder) {
        message(format_args!("cannot remove {}: {error}", folder.display()));
    }
}

fn words(difference: &Difference, folder: &Path) -> String {
    let mut text = String::from("not identical: two runs of the same scenario differ\n");
    match &difference.first_call {
        Some(call) => text.push_str(&call_words(call)),
        None => text.push_str("every recorded system call is the same\n"),
    }
    text.push_str("files that differ:\n");
    for file in difference.files.iter().take(NAMED_FILES) {
        text.push_str(&format!("  {}\n", file.display()));
    }
    if let Some(more) = difference.files.len().checked_sub(NAMED_FILES).filter(|&more| more > 0) {
        text.push_str(&format!("  and {more} more\n"));
    }
    text.push_str(&format!("both runs are kept: {0}/run-1 and {0}/run-2\n", folder.display()));
    text
}

fn call_words(call: &CallDifference) -> String {
    let line = |line: &Option<String>| line.clone().unwrap_or_else(|| "(nothing more)".to_owned());
    format!(
        "the first call that differs: host {}, process {}, at {} s of simulated time (line {})\n  \
         first run:  {}\n  second run: {}\n",
        call.host,
        call.process,
        call.time,
        call.line_number,
        line(&call.lines[0]),
        line(&call.lines[1]),
    )
}
