//! One seed: a `shim run` in a process of its own, and what becomes of its folder.
//!
//! A seed in, an [`Outcome`] out. Always true: the run is the one that the printed command repeats, with the same
//! words and the same data directory, so that a program which looks at its folder's name sees the same; only options
//! that change no result differ. When an outcome is there, the run's process is gone; its folder is there only if it is to
//! be kept, or if the run was cut short: its guests may be dying still, and the folder is the caller's. What a finding
//! says is `finding`'s.
//!
//! Why not a thread: a crash of the simulator would end all runs, descriptors and memory of all hosts would have to fit into one
//! process, and hosts of one process cannot be at the same addresses, which is part of being repeatable.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, getpid, kill_process, pidfd_open};
use shim_sim::config::Overrides;

use super::finding::{Finding, RunEnd};
use super::stop::Stop;
use crate::options::scenario::words;

/// This program, also if its file was replaced meanwhile.
const SELF: &str = "/proc/self/exe";
/// The data directory of a run, in its seed's folder.
const DATA: &str = "data";
/// Its name once it is to be kept.
const KEPT: &str = "kept";
/// What the run printed.
const OUTPUT: &str = "output.txt";
/// How long a run that is late may take to write its figures.
const GRACE: Duration = Duration::from_secs(10);
/// Tries to remove a folder in which guests may be dying.
const REMOVALS: u32 = 100;
/// Between two of them.
const BETWEEN_REMOVALS: Duration = Duration::from_millis(20);

/// What the runs of all seeds have in common.
pub struct Plan {
    /// The configuration's file.
    pub config: PathBuf,
    /// What differs from it in all runs.
    pub overrides: Overrides,
    /// What guests preload.
    pub library: PathBuf,
    /// Whether a run keeps to the processor on which it is started.
    pub is_pinned: bool,
    /// Where the seeds' folders are.
    pub folder: PathBuf,
    /// How long a run may take; more than a clock can count: for ever.
    pub timeout: Duration,
    /// Whether data directories are kept of which nothing is to be told.
    pub keeps_all: bool,
}

/// What became of a run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// It went as it should.
    Good,
    /// It did not.
    Found(Finding),
    /// It was ended before it was over.
    Cut,
}

/// What there was to wait for.
enum Waited {
    Ended(RunEnd),
    Stopped,
}

impl Plan {
    /// The folder of a seed.
    pub fn seed_folder(&self, seed: u64) -> PathBuf {
        self.folder.join(format!("seed-{seed}"))
    }

    /// Where the data of a seed's run is kept.
    pub fn kept(&self, seed: u64) -> PathBuf {
        self.seed_folder(seed).join(KEPT)
    }

    /// The words behind `shim` that run this seed.
    pub fn words(&self, seed: u64) -> Vec<OsString> {
        let overrides = Overrides {
            seed: Some(seed.to_string()),
            data_directory: Some(self.seed_folder(seed).join(DATA).to_string_lossy().into_owned()),
            ..self.overrides.clone()
        };
        let mut all = vec![OsString::from("run")];
        all.extend(words(&overrides).into_iter().map(OsString::from));
        all.push(self.config.clone().into());
        all
    }

    /// Run a seed, unless and until `stop` says otherwise.
    pub fn attempt(&self, seed: u64, stop: &Stop) -> Outcome {
        let folder = self.seed_folder(seed);
        let waited = match fs::create_dir(&folder).and_then(|()| self.run(seed, stop)) {
            Ok(waited) => waited,
            Err(error) => {
                remove(&folder);
                return Outcome::Found(Finding::untried(error.to_string()));
            }
        };
        let Waited::Ended(end) = waited else { return Outcome::Cut };
        let data = folder.join(DATA);
        let finding = Finding::of(end, &data, &folder.join(OUTPUT));
        if finding.is_some() || self.keeps_all {
            // There is none if the run was refused.
            let _ = fs::rename(&data, folder.join(KEPT));
        } else {
            remove(&folder);
        }
        finding.map_or(Outcome::Good, Outcome::Found)
    }

    fn run(&self, seed: u64, stop: &Stop) -> io::Result<Waited> {
        let output = File::create(self.seed_folder(seed).join(OUTPUT))?;
        let mut command = Command::new(SELF);
        command.arg0("shim").args(self.words(seed)).arg("--library").arg(&self.library);
        command.args(["--pin", if self.is_pinned { "yes" } else { "no" }]);
        command.args(["--parent", &getpid().as_raw_nonzero().to_string()]);
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        // Ctrl-C is ours to pass on.
        command.process_group(0);
        let mut child = command.spawn()?;
        let waited = self.wait(&mut child, stop);
        if !matches!(waited, Ok(Waited::Ended(RunEnd::Ended(_)))) {
            // Its launcher ends its guests. Where it is gone already nothing is to be done.
            let _ = child.kill();
            child.wait()?;
        }
        waited
    }

    /// Wait until the run is over, or is to be ended at once.
    fn wait(&self, child: &mut Child, stop: &Stop) -> io::Result<Waited> {
        if let Some(waited) = wait_until(child, stop, self.timeout)? {
            return Ok(waited);
        }
        kill_process(Pid::from_child(child), Signal::TERM)?;
        Ok(match wait_until(child, stop, GRACE)? {
            Some(Waited::Stopped) => Waited::Stopped,
            _ => Waited::Ended(RunEnd::Late(self.timeout)),
        })
    }
}

/// Wait for this long at most; nothing if that was not enough.
fn wait_until(child: &mut Child, stop: &Stop, limit: Duration) -> io::Result<Option<Waited>> {
    let pidfd = pidfd_open(Pid::from_child(child), PidfdFlags::empty())?;
    let began = Instant::now();
    loop {
        let rest = Timespec::try_from(limit.saturating_sub(began.elapsed())).ok();
        let mut polled = [
            PollFd::from_borrowed_fd(stop.as_fd(), PollFlags::IN),
            PollFd::new(&pidfd, PollFlags::IN),
        ];
        match poll(&mut polled, rest.as_ref()) {
            Ok(0) => return Ok(None),
            Ok(_) if !polled[0].revents().is_empty() => return Ok(Some(Waited::Stopped)),
            Ok(_) => return Ok(Some(Waited::Ended(RunEnd::Ended(child.wait()?)))),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Remove a folder with all that is in it, if it is there.
pub fn remove(folder: &Path) {
    for _ in 0..REMOVALS {
        match fs::remove_dir_all(folder) {
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => {
                std::thread::sleep(BETWEEN_REMOVALS);
            }
            // What cannot be removed is seen by whoever looks for it.
            _ => return,
        }
    }
}
