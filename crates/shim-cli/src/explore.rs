//! `shim explore`: a scenario with many seeds, and in which of them something goes wrong.
//!
//! Options in, an exit status out. Always true: each seed is a process of its own ([`attempt`]); what is printed on
//! standard output follows from the seeds, in their order, and not from the number of jobs or from how fast anything
//! is; afterwards none of the runs' processes is left. Rooms: [`seeds`] (which ones), [`attempt`] (one of them), [`finding`]
//! (what is wrong with a run), [`account`] (what a person is told), [`stop`] (the end of all).

mod account;
mod attempt;
mod finding;
pub mod seeds;
mod stop;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{WaitOptions, getpid, set_child_subreaper, wait};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use shim_sim::config::Overrides;
use shim_sim::output::directory::DirectoryError;

use crate::interrupt;
use crate::message::message;
use crate::options::scenario::{Explore, Keep};
use crate::run::{REFUSED, UNEXPECTED, load, prepare};
use account::Account;
use attempt::{Outcome, Plan};
use stop::Stop;

/// How long processes of runs that were cut short are waited for.
const FAREWELL: Duration = Duration::from_secs(10);
/// Between two looks for them.
const RECHECK: Duration = Duration::from_millis(2);

/// Run the command; its exit status.
pub fn run(options: &Explore) -> u8 {
    match try_run(options) {
        Ok(status) => status,
        Err(text) => {
            message(text);
            REFUSED
        }
    }
}

/// A run that is over: its place among all, its seed, what became of it.
type Told = (u64, u64, Outcome);

fn try_run(options: &Explore) -> Result<u8, String> {
    let Some(plan) = plan(options)? else { return Ok(REFUSED) };
    // Whoever is left behind becomes our child, and can be waited for.
    set_child_subreaper(Some(getpid()))
        .map_err(|error| format!("cannot watch over runs: {error}"))?;
    let stop = Arc::new(Stop::new().map_err(|error| format!("cannot make an eventfd: {error}"))?);
    let is_interrupted = Arc::new(AtomicBool::new(false));
    let (for_signals, flag) = (Arc::clone(&stop), Arc::clone(&is_interrupted));
    interrupt::watch_twice(move || {
        flag.store(true, SeqCst);
        for_signals.set();
    })
    .map_err(|error| format!("cannot watch for signals: {error}"))?;

    let processors = Processors::of_this_process();
    let jobs = options.jobs.unwrap_or_else(|| processors.jobs(options.parallelism));
    let queue = Mutex::new((0..).zip(options.seeds.iter()));
    let mut account = Account::new(options, &plan);
    let (tell, told) = mpsc::channel();
    let mut leftovers = std::thread::scope(|scope| {
        for job in 0..jobs {
            let (plan, queue, stop, tell) = (&plan, &queue, &stop, tell.clone());
            let processors = &processors;
            let work = move || {
                if plan.is_pinned {
                    processors.keep_to(job);
                }
                while let Some((index, seed)) = next(queue, stop) {
                    // Nobody listens any more only where nothing is wanted any more.
                    let _ = tell.send((index, seed, plan.attempt(seed, stop)));
                }
            };
            let started =
                std::thread::Builder::new().name(format!("job-{job}")).spawn_scoped(scope, work);
            if let Err(error) = started {
                stop.set();
                return Err(format!("cannot start a thread: {error}"));
            }
        }
        drop(tell);
        Ok(listen(&told, &mut account, &stop))
    })?;
    bury_orphans();
    leftovers.sort_unstable();
    leftovers.iter().for_each(|&seed| attempt::remove(&plan.seed_folder(seed)));
    // Only if nothing in it is kept.
    let _ = std::fs::remove_dir(&plan.folder);
    let is_cut = is_interrupted.load(SeqCst) && !account.is_complete();
    account.finish(is_cut, jobs);
    Ok(if is_cut || account.has_findings() { UNEXPECTED } else { 0 })
}

/// What is to be run; nothing if the configuration is bad, which was told then.
fn plan(options: &Explore) -> Result<Option<Plan>, String> {
    if options.config == Path::new("-") {
        return Err("each run reads the configuration: it cannot be standard input".to_owned());
    }
    let mut overrides = Overrides {
        seed: Some(options.seeds.first().to_string()),
        parallelism: Some(options.parallelism.to_string()),
        data_directory: options.data_directory.clone(),
        ..options.settings.overrides()
    };
    let Some(scenario) = load(&options.config, &overrides) else { return Ok(None) };
    let (_, library) = prepare(options.library.as_deref())?;
    let folder = match &options.data_directory {
        Some(_) => scenario.general.data_directory,
        None => {
            let mut name = scenario.general.data_directory.into_os_string();
            name.push(".explore");
            PathBuf::from(name)
        }
    };
    if folder.symlink_metadata().is_ok() {
        return Err(DirectoryError::Exists(folder).to_string());
    }
    if scenario.general.template_directory.is_some_and(|template| folder.starts_with(template)) {
        return Err(DirectoryError::InTemplate(folder).to_string());
    }
    std::fs::create_dir_all(&folder)
        .map_err(|error| format!("cannot make {}: {error}", folder.display()))?;
    // As a person would write it.
    let here = std::env::current_dir().unwrap_or_default();
    let folder = folder.strip_prefix(here).map_or(folder.clone(), Path::to_owned);
    overrides.seed = None;
    Ok(Some(Plan {
        config: options.config.clone(),
        overrides,
        library: library.path().to_owned(),
        is_pinned: options.parallelism == 1,
        folder,
        timeout: options.timeout.0.unwrap_or(Duration::MAX),
        keeps_all: options.keep == Keep::All,
    }))
}

/// The next seed, unless there is none or all is to end.
fn next(queue: &Mutex<impl Iterator<Item = (u64, u64)>>, stop: &Stop) -> Option<(u64, u64)> {
    let mut queue = queue.lock().unwrap_or_else(PoisonError::into_inner);
    if stop.is_set() { None } else { queue.next() }
}

/// Take what the jobs tell, in the order of seeds, until they end; the seeds of which nothing is told.
fn listen(told: &Receiver<Told>, account: &mut Account<'_>, stop: &Stop) -> Vec<u64> {
    let mut early = BTreeMap::new();
    let mut untold = Vec::new();
    let mut next = 0;
    for (index, seed, outcome) in told {
        early.insert(index, (seed, outcome));
        account.advance();
        while let Some((seed, outcome)) = early.remove(&next) {
            next += 1;
            if !account.take(seed, outcome) {
                untold.push(seed);
            }
        }
        if account.is_complete() {
            stop.set();
        }
    }
    // All is over before its time: what came after a run that was cut short is told nevertheless.
    for (seed, outcome) in early.into_values() {
        if !account.take(seed, outcome) {
            untold.push(seed);
        }
    }
    untold
}

/// Wait until nobody is left of the runs.
fn bury_orphans() {
    let began = Instant::now();
    while began.elapsed() < FAREWELL {
        match wait(WaitOptions::NOHANG) {
            Ok(Some(_)) | Err(rustix::io::Errno::INTR) => {}
            Ok(None) => std::thread::sleep(RECHECK),
            Err(_) => return,
        }
    }
    message("some processes of the runs have not ended yet");
}

/// The native processors that jobs share.
struct Processors(Vec<usize>);

impl Processors {
    fn of_this_process() -> Processors {
        let allowed = sched_getaffinity(None).unwrap_or_else(|_| CpuSet::new());
        Processors((0..CpuSet::MAX_CPU).filter(|&cpu| allowed.is_set(cpu)).collect())
    }

    /// How many jobs they are good for, each of which uses so many.
    fn jobs(&self, parallelism: u32) -> u32 {
        let count = std::thread::available_parallelism().map_or(1, |count| count.get() as u32);
        count.checked_div(parallelism).unwrap_or(1).max(1)
    }

    /// From now on this thread, and whatever it starts, runs on the processor of this job. Where that is
    /// forbidden it runs as before.
    fn keep_to(&self, job: u32) {
        let mut set = CpuSet::new();
        if let Some(&cpu) = (job as usize).checked_rem(self.0.len()).and_then(|n| self.0.get(n)) {
            set.set(cpu);
            let _ = sched_setaffinity(None, &set);
        }
    }
}
