//! Writes down what one host of a scenario tells: its processes' files, and log lines for later.
//!
//! Observations in; `<program>.<pid>.{stdout,stderr,exitcode,strace}` in the host's folder and
//! [`LogLine`]s out. Always true: a file that cannot be written is told once and ends nothing; log lines
//! are kept until somebody takes them, so that lines of hosts that run side by side are never mixed by
//! real time. Where the folder is comes from `directory`.
//!
//! Processes that a process of the scenario makes write to its standard streams, as they inherit them, and their
//! calls stand in its trace, each line with the number of its thread. Why not in files of their own: the
//! folder is the guests' working directory, and what a script finds in it would depend on whether it is traced.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use shim_abi::SimTime;
use shim_host::{Observation, Observer, ProcessEnd, Source};

use crate::config::scenario::Strace;
use crate::log_line::{engine_line, log_line};
use crate::trace;

/// Traces are small and many.
const TRACE_BUFFER_BYTES: usize = 4096;

/// A line for the log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogLine {
    /// When it was written, in simulated time.
    pub time: SimTime,
    /// How much it matters.
    pub level: log::Level,
    /// The whole line.
    pub text: String,
}

/// The files and lines of one host.
pub struct Recorder {
    host: String,
    folder: PathBuf,
    strace: Strace,
    level: log::LevelFilter,
    files: BTreeMap<u32, Files>,
    log: Vec<LogLine>,
    /// What could not be written first.
    error: Option<(PathBuf, io::Error)>,
    /// The simulation ended at this instant: what dies now did not end by itself.
    stopped: Option<SimTime>,
    /// When processes of the scenario ended by themselves.
    ends: BTreeMap<u32, SimTime>,
}

/// The files of one process of the scenario, and of all that it makes.
struct Files {
    /// `<program>.<pid>`.
    stem: String,
    trace: Option<BufWriter<File>>,
}

impl Recorder {
    /// For the host of this name, whose folder exists.
    pub fn new(host: &str, folder: PathBuf, strace: Strace, level: log::LevelFilter) -> Recorder {
        Recorder {
            host: host.to_owned(),
            folder,
            strace,
            level,
            files: BTreeMap::new(),
            log: Vec::new(),
            error: None,
            stopped: None,
            ends: BTreeMap::new(),
        }
    }

    /// The host's name.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The host's folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Make the files of a process that is about to start; its standard streams. Input is empty.
    pub fn begin(&mut self, pid: u32, program: &str) -> io::Result<[File; 3]> {
        let stem = format!("{program}.{pid}");
        let create = |kind: &str| File::create(self.folder.join(format!("{stem}.{kind}")));
        let streams = [File::open("/dev/null")?, create("stdout")?, create("stderr")?];
        // It stays empty for as long as the process runs. Made now, because a file that appears behind the
        // guests' backs may get the inode of one that they removed, whose times they remember.
        create("exitcode")?;
        let trace = match self.strace {
            Strace::Off => None,
            _ => Some(BufWriter::with_capacity(TRACE_BUFFER_BYTES, create("strace")?)),
        };
        self.files.insert(pid, Files { stem, trace });
        Ok(streams)
    }

    /// Write a line of the simulator's own.
    pub fn log(&mut self, time: SimTime, level: log::Level, text: &str) {
        if level <= self.level {
            let text = engine_line(time, level, &self.host, text);
            self.log.push(LogLine { time, level, text });
        }
    }

    /// The lines since the last time.
    pub fn take_log(&mut self) -> Vec<LogLine> {
        std::mem::take(&mut self.log)
    }

    /// From now on nothing ends by itself any more.
    pub fn stop(&mut self, now: SimTime) {
        self.stopped = Some(now);
    }

    /// When a process of the scenario ended; nothing if it has not, or only with the simulation.
    pub fn ended_at(&self, pid: u32) -> Option<SimTime> {
        self.ends.get(&pid).copied()
    }

    /// Write out what is buffered.
    pub fn finish(&mut self) {
        let files = std::mem::take(&mut self.files);
        for (_, files) in files {
            if let Some(mut trace) = files.trace
                && let Err(error) = trace.flush()
            {
                self.fail(format!("{}.strace", files.stem), error);
            }
        }
    }

    /// What could not be written first, if anything.
    pub fn write_error(&self) -> Option<String> {
        let (path, error) = self.error.as_ref()?;
        Some(format!("{} is not complete: {error}", path.display()))
    }

    fn fail(&mut self, file: String, error: io::Error) {
        let path = self.folder.join(file);
        self.error.get_or_insert((path, error));
    }

    fn trace(&mut self, root: u32, line: impl FnOnce() -> String) {
        let Some(files) = self.files.get_mut(&root) else { return };
        let Some(trace) = &mut files.trace else { return };
        if let Err(error) = writeln!(trace, "{}", line()) {
            files.trace = None;
            let file = format!("{}.strace", files.stem);
            self.fail(file, error);
        }
    }

    fn end(&mut self, source: &Source<'_>, time: SimTime, end: ProcessEnd) {
        let Source { pid, root, .. } = *source;
        // As Shadow writes it: empty for who was running at the end, and signals as shells show them.
        let status = match (self.stopped, end) {
            (Some(stopped), _) => {
                self.trace(root, || trace::stopped_line(stopped, pid));
                String::new()
            }
            (None, ProcessEnd::Exited(status)) => {
                self.trace(root, || trace::exit_line(time, pid, status));
                status.to_string()
            }
            (None, ProcessEnd::Killed(signal)) => {
                self.trace(root, || trace::killed_line(time, pid, signal));
                (128 + signal).to_string()
            }
        };
        if pid == root {
            if self.stopped.is_none() {
                self.ends.insert(pid, time);
            }
            self.end_of_root(pid, &status);
        }
    }

    /// A process of the scenario has ended. Its trace stays open for those that it left behind.
    fn end_of_root(&mut self, pid: u32, status: &str) {
        let Some(files) = self.files.get_mut(&pid) else { return };
        let name = format!("{}.exitcode", files.stem);
        let trace = files.trace.as_mut().map_or(Ok(()), Write::flush);
        let trace = trace.map_err(|error| (format!("{}.strace", files.stem), error));
        if let Err(error) = std::fs::write(self.folder.join(&name), status) {
            self.fail(name, error);
        }
        if let Err((name, error)) = trace {
            self.fail(name, error);
        }
    }
}

impl Observer for Recorder {
    fn observe(&mut self, source: &Source<'_>, time: SimTime, what: Observation<'_>) {
        let Source { tid, root, .. } = *source;
        match what {
            Observation::Log { level, text } => {
                let text = log_line(source, time, level, text);
                self.log.push(LogLine { time, level, text });
            }
            Observation::Call { record, texts } => {
                let has_addresses = self.strace == Strace::Standard;
                self.trace(root, || {
                    trace::call_line_with(time, tid, &record, texts, has_addresses)
                });
            }
            Observation::Unfinished { number, args } => {
                self.trace(root, || trace::unfinished_line(time, tid, number, &args));
            }
            Observation::Signal(info) => self.trace(root, || trace::signal_line(time, tid, &info)),
            Observation::Preempted { wall } => {
                self.trace(root, || trace::preempted_line(time, tid, wall));
            }
            Observation::Ended(end) => self.end(source, time, end),
        }
    }
}
