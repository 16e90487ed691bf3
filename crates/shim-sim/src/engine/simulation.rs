//! A scenario from its start to its end.
//!
//! A [`Scenario`] and a [`Setup`] in, a data directory and a [`Report`] out. Always true: afterwards no
//! guest is left, however the run ended; everything in the data directory but its wall-clock figures follows
//! from the scenario alone. A host is `member`'s, the layout of the directory is `output`'s, what a
//! person reads is [`crate::summary`]'s.
//!
//! # A round
//!
//! It begins with the earliest thing that any host wants to do: where nothing happens, nothing is
//! simulated. It lasts as long as `rounds` allows, and no longer than until the next fault, which happens between rounds. Hosts that want nothing in it are left alone.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use shim_abi::{SimDuration, SimTime};
use shim_host::{Census, Failure, Lack, Preemption};
use shim_supervisor::{Launcher, Library, ViewError, ViewMaker};

use super::control::Control;
use super::faults::{Deed, Faults};
use super::member::{Member, Task};
use super::outcome::ProcessReport;
use super::packets::PacketRule;
use super::pool::Pool;
use super::processors::Pinning;
use super::sharing::{SharedFile, Sharing};
use super::sockets::Sockets;
use super::transit::{Place, TimeLine, Traffic, Ways};
use super::{limits, machines, rounds};
use crate::config::Scenario;
use crate::config::scenario::Strace;
use crate::log_line::engine_line;
use crate::output::directory::{self, DataDirectory, DirectoryError};
use crate::output::recorder::Recorder;
use crate::output::{processed, statistics};

/// What a run needs beside its scenario.
#[derive(Clone, Copy, Debug)]
pub struct Setup<'a> {
    /// Starts the guests.
    pub launcher: &'a Arc<Launcher>,
    /// Makes hosts folders of their own; needed if the scenario has such hosts.
    pub views: Option<&'a ViewMaker>,
    /// What they preload.
    pub library: &'a Library,
    /// Where output goes; must not exist.
    pub data_directory: &'a Path,
    /// How many hosts are stepped side by side; 0: as many as there are processors.
    pub workers: u32,
    /// Whether workers and guests keep to native processors.
    pub pinning: Pinning,
    /// How system calls are recorded.
    pub strace: Strace,
    /// Decides about each datagram between hosts, if somebody wants to.
    pub packets: Option<&'a Arc<dyn PacketRule>>,
}

/// Somebody who watches a run.
pub trait Progress {
    /// The simulation has come to `now`.
    fn advance(&mut self, now: SimTime);
    /// A line that matters enough for a terminal.
    fn line(&mut self, text: &str);
}

/// Why there was no run.
#[derive(Debug)]
pub enum SimulationError {
    /// The data directory cannot be made.
    Directory(DirectoryError),
    /// A limit of this machine is in the way.
    Limit(String),
    /// A fault of the scenario is about something that is not there.
    Fault(String),
    /// A host cannot be made.
    Host(String, io::Error),
    /// A worker cannot be started.
    Worker(io::Error),
    /// A host cannot have folders of its own.
    View(String, ViewError),
}

impl fmt::Display for SimulationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SimulationError::Directory(error) => error.fmt(f),
            SimulationError::Limit(text) | SimulationError::Fault(text) => f.write_str(text),
            SimulationError::Host(name, error) => write!(f, "cannot make host {name}: {error}"),
            SimulationError::View(name, error) => {
                write!(f, "host {name} cannot have folders of its own (private, overlay): {error}")
            }
            SimulationError::Worker(error) => write!(f, "cannot start a worker: {error}"),
        }
    }
}

impl std::error::Error for SimulationError {}

impl From<DirectoryError> for SimulationError {
    fn from(error: DirectoryError) -> Self {
        SimulationError::Directory(error)
    }
}

/// A run that is over.
#[derive(Clone, Debug)]
pub struct Report {
    /// What became of each process, by host and by their order in the scenario.
    pub processes: Vec<ProcessReport>,
    /// What programs asked for and did not get, with the name of the host.
    pub lacks: Vec<(String, Lack)>,
    /// Programs that made no call for so long that they were preempted, with the name of the host: such a
    /// run is not reproducible.
    pub preemptions: Vec<(String, Preemption)>,
    /// Failures of the shim, with the name of the host.
    pub failures: Vec<(String, Failure)>,
    /// How many faults of each kind there were.
    pub faults: BTreeMap<&'static str, u64>,
    /// Files that several hosts opened for writing.
    pub shared_files: Vec<SharedFile>,
    /// Files that are not complete, and why.
    pub write_errors: Vec<String>,
    /// Simulated time at the end.
    pub ended_at: SimTime,
    /// Somebody ended it before its stop time.
    pub is_interrupted: bool,
    /// How many rounds there were.
    pub rounds: u64,
    /// How often a host was stepped in a round.
    pub steps: u64,
    /// What became of the datagrams of each host, with its name.
    pub traffic: Vec<(String, Traffic)>,
    /// What sockets have carried, by host.
    pub sockets: Vec<(String, Sockets)>,
    /// How much there was of them in each interval of simulated time, with the host's name.
    pub time_lines: Vec<(String, TimeLine)>,
    /// How often a guest handed over control.
    pub handovers: u64,
    /// How many guests there have been, on all hosts.
    pub census: Census,
    /// How many workers there were.
    pub workers: usize,
    /// Wall time from the first round to the end of the last guest.
    pub wall: Duration,
}

impl Report {
    /// Whether nothing in the run depended on how fast this machine is.
    pub fn is_reproducible(&self) -> bool {
        self.preemptions.is_empty() && !self.is_interrupted
    }

    /// Whether every process ended as expected, and everything was written.
    pub fn is_as_expected(&self) -> bool {
        !self.is_interrupted
            && self.write_errors.is_empty()
            && self.processes.iter().all(ProcessReport::is_expected)
    }
}

/// Run `scenario`.
pub fn simulate(
    scenario: &Scenario,
    setup: &Setup<'_>,
    control: &Control,
    progress: &mut dyn Progress,
) -> Result<Report, SimulationError> {
    let faults = Faults::new(scenario).map_err(SimulationError::Fault)?;
    let wall_start_ns = shim_host::config::next_file_tick_ns();
    let traces = match setup.strace {
        Strace::Off => 0,
        _ => scenario.hosts.iter().map(|host| host.processes.len()).sum(),
    };
    let views = scenario.hosts.iter().filter(|host| !host.files.is_empty()).count();
    let captures = scenario.hosts.iter().filter(|host| host.pcap_capture_bytes.is_some()).count();
    limits::make_room(scenario.hosts.len(), views, captures, traces)
        .map_err(SimulationError::Limit)?;
    let names = scenario.hosts.iter().map(|host| host.name.as_str());
    let template = scenario.general.template_directory.as_deref();
    let directory = DataDirectory::create(setup.data_directory, template, names)?;
    directory.write(directory::PROCESSED_CONFIG, &processed::text(scenario))?;
    let log = BufWriter::new(directory.begin(directory::LOG)?);

    let ways = Arc::new(Ways::new(scenario, setup.packets.cloned()));
    let members = make_members(scenario, setup, wall_start_ns, &directory, &ways)
        .inspect_err(|_| directory.discard())?;
    control.set_hosts(
        members.iter().filter_map(|member| Some(member.lock().ok()?.interrupter())).collect(),
    );
    let workers = worker_count(setup.workers);
    let report = std::thread::scope(|scope| {
        let pool = Pool::start(scope, &members, workers, setup.pinning)
            .map_err(SimulationError::Worker)?;
        let run = Run {
            stop_time: scenario.general.stop_time,
            lookahead: rounds::lookahead(ways.shortest(), scenario.network.runahead),
            runahead: scenario.network.runahead,
            ways: &ways,
            faults,
            heartbeat: Heartbeat::new(scenario.general.heartbeat_interval),
            level: scenario.general.log_level.into(),
            log,
            log_error: None,
            progress,
            pool,
        };
        Ok::<Report, SimulationError>(run.finish(control, workers))
    });
    control.set_hosts(Vec::new());
    drop(members);
    let mut report = report?;
    if let Err(error) = directory.forget_views() {
        report.write_errors.push(format!("working folders of overlays are left: {error}"));
    }
    directory.write(directory::SIM_STATS, &statistics::simulated(scenario, &report))?;
    directory.write(directory::WALL_STATS, &statistics::wall(scenario, &report))?;
    Ok(report)
}

fn make_members(
    scenario: &Scenario,
    setup: &Setup<'_>,
    wall_start_ns: i64,
    directory: &DataDirectory,
    ways: &Arc<Ways>,
) -> Result<Vec<Mutex<Member>>, SimulationError> {
    let configs = machines::configs(scenario, wall_start_ns, setup.strace != Strace::Off)
        .map_err(|error| SimulationError::Host("(names)".to_owned(), error))?;
    let kept: Vec<&Path> =
        std::iter::once(setup.library.path()).chain(setup.library.interposer()).collect();
    let make = |(host, config): (&crate::config::scenario::Host, shim_host::HostConfig)| {
        let view = match setup.views {
            Some(views) if !host.files.is_empty() => {
                let plan = directory.view(host, &kept)?;
                let failed = |error| SimulationError::View(host.name.clone(), error);
                Some(views.make(plan).map_err(failed)?)
            }
            _ => None,
        };
        let folder = directory.host(&host.name);
        let recorder = Recorder::new(&host.name, folder, setup.strace, config.log_level);
        let place = Place::new(scenario, config.host_id, ways);
        match Member::new(config, host, recorder, place, view, setup) {
            Ok(member) => Ok(Mutex::new(member)),
            Err(error) => Err(SimulationError::Host(host.name.clone(), error)),
        }
    };
    scenario.hosts.iter().zip(configs).map(make).collect()
}

fn worker_count(asked: u32) -> usize {
    match asked {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        asked => asked as usize,
    }
}

/// Lines that tell how far a run has come.
struct Heartbeat {
    interval: Option<SimDuration>,
    next: SimTime,
}

impl Heartbeat {
    fn new(interval: Option<SimDuration>) -> Heartbeat {
        Heartbeat { interval, next: interval.map_or(SimTime::MAX, |every| SimTime::ZERO + every) }
    }

    /// Whether one is due; the next is a whole interval after `now`.
    fn is_due(&mut self, now: SimTime) -> bool {
        match self.interval {
            Some(every) if now >= self.next => {
                self.next = now + every;
                true
            }
            _ => false,
        }
    }
}

/// A run that is under way.
struct Run<'env, 'p, W: Write> {
    stop_time: SimTime,
    lookahead: SimDuration,
    runahead: Option<SimDuration>,
    ways: &'env Ways,
    faults: Faults<'env>,
    heartbeat: Heartbeat,
    level: log::LevelFilter,
    log: W,
    log_error: Option<io::Error>,
    progress: &'p mut dyn Progress,
    pool: Pool<'env>,
}

impl<W: Write> Run<'_, '_, W> {
    fn finish(mut self, control: &Control, workers: usize) -> Report {
        let began = Instant::now();
        let everybody: Vec<usize> = (0..self.pool.len()).collect();
        let mut wishes: Vec<SimTime> = everybody.iter().map(|&index| self.wish(index)).collect();
        let (mut rounds, mut steps) = (0, 0);
        let mut now = SimTime::ZERO;
        while !control.is_stopping() {
            let start = wishes.iter().copied().min().unwrap_or(SimTime::MAX);
            let next_fault = self.faults.next_time();
            if next_fault <= start && next_fault < self.stop_time {
                now = next_fault;
                self.let_happen(&mut wishes);
                continue;
            }
            if start >= self.stop_time {
                now = self.stop_time;
                break;
            }
            let until = (start + self.lookahead).min(next_fault).min(self.stop_time);
            let active: Vec<usize> =
                everybody.iter().copied().filter(|&index| wishes[index] < until).collect();
            rounds += 1;
            steps += active.len() as u64;
            self.pool.each(active.clone(), Task::Run { start, until });
            for &index in &active {
                wishes[index] = self.wish(index);
                self.collect_log(index);
            }
            for index in active {
                self.hand_over(index, &mut wishes);
            }
            now = until;
            self.beat(now);
        }
        let is_interrupted = control.is_stopping() && now < self.stop_time;
        if is_interrupted {
            self.say(now, log::Level::Warn, "interrupted before its stop time");
        }
        // They die side by side while the first is buried.
        control.kill_guests();
        self.pool.each(everybody.clone(), Task::Stop { now });
        everybody.iter().for_each(|&index| self.collect_log(index));
        self.say(now, log::Level::Info, "the simulation ended");
        if let Err(error) = self.log.flush() {
            self.log_error.get_or_insert(error);
        }
        let mut report = Report {
            processes: Vec::new(),
            lacks: Vec::new(),
            preemptions: Vec::new(),
            failures: Vec::new(),
            faults: self.faults.begun(),
            shared_files: Vec::new(),
            write_errors: Vec::new(),
            ended_at: now,
            is_interrupted,
            rounds,
            steps,
            traffic: Vec::new(),
            sockets: Vec::new(),
            time_lines: Vec::new(),
            handovers: 0,
            census: Census::default(),
            workers,
            wall: began.elapsed(),
        };
        let mut sharing = Sharing::default();
        for &index in &everybody {
            let member = self.pool.member(index);
            sharing.add(member.name(), member.files(), member.written_files());
            report.add(&member);
        }
        report.shared_files = sharing.finish();
        if let Some(error) = self.log_error.take() {
            report.write_errors.push(format!("{} is not complete: {error}", directory::LOG));
        }
        report
    }

    /// The next fault begins or is over.
    fn let_happen(&mut self, wishes: &mut [SimTime]) {
        let Some((now, deed, text)) = self.faults.take() else { return };
        let (Deed::Kill { host, .. }
        | Deed::Start { host, .. }
        | Deed::Crash { host }
        | Deed::Boot { host }) = deed
        else {
            self.say(now, log::Level::Info, &text);
            // That links exist was asked before the run began.
            if let Err(error) = self.ways.change(&self.faults.changes(), self.faults.barriers()) {
                self.say(now, log::Level::Error, &format!("links are as before: {error}"));
            }
            self.lookahead = rounds::lookahead(self.ways.shortest(), self.runahead);
            return;
        };
        let mut member = self.pool.member(host);
        member.log(now, &text);
        match deed {
            Deed::Kill { process, signal, .. } => member.kill(now, process, signal),
            Deed::Start { process, .. } => member.start_again(now, process),
            Deed::Crash { .. } => member.crash(now),
            Deed::Boot { .. } => member.boot(now),
            Deed::Network => {}
        }
        drop(member);
        wishes[host] = self.wish(host);
        self.collect_log(host);
    }

    /// When a host wants to be run; the end of time if never.
    fn wish(&self, index: usize) -> SimTime {
        self.pool.member(index).next_event().unwrap_or(SimTime::MAX)
    }

    /// What a host has sent is on its way to others, which therefore want to be run.
    fn hand_over(&self, index: usize, wishes: &mut [SimTime]) {
        let going = self.pool.member(index).take_going();
        for transit in going {
            let target = transit.target as usize;
            wishes[target] = wishes[target].min(transit.arrival);
            self.pool.member(target).expect(transit);
        }
    }

    fn beat(&mut self, now: SimTime) {
        self.progress.advance(now);
        if self.heartbeat.is_due(now) {
            let running: usize =
                (0..self.pool.len()).map(|index| self.pool.member(index).running()).sum();
            let text = format!("heartbeat: {now} of {} s, {running} running", self.stop_time);
            self.say(now, log::Level::Info, &text);
        }
    }

    fn collect_log(&mut self, index: usize) {
        for line in self.pool.member(index).take_log() {
            if line.level == log::Level::Error {
                self.progress.line(&line.text);
            }
            self.write(&line.text);
        }
    }

    fn say(&mut self, now: SimTime, level: log::Level, text: &str) {
        if level <= self.level {
            self.write(&engine_line(now, level, "-", text));
        }
    }

    fn write(&mut self, line: &str) {
        if self.log_error.is_none() {
            self.log_error = writeln!(self.log, "{line}").err();
        }
    }
}

impl Report {
    fn add(&mut self, member: &Member) {
        let named = |what| (member.name().to_owned(), what);
        self.processes.extend(member.reports());
        self.lacks.extend(member.lacks().into_iter().map(named));
        let named = |what| (member.name().to_owned(), what);
        self.preemptions.extend(member.preemptions().into_iter().map(named));
        let named = |what: &Failure| (member.name().to_owned(), what.clone());
        self.failures.extend(member.failures().iter().map(named));
        self.write_errors.extend(member.write_error());
        self.traffic.push((member.name().to_owned(), member.traffic()));
        self.sockets.push((member.name().to_owned(), member.sockets().clone()));
        self.time_lines.push((member.name().to_owned(), member.time_line()));
        self.handovers += member.handovers();
        self.census.processes += member.census().processes;
        self.census.threads += member.census().threads;
        self.census.calls += member.census().calls;
        self.census.trapped_calls += member.census().trapped_calls;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_may_go_from_worker_to_worker() {
        fn assert_send<T: Send>() {}
        assert_send::<Member>();
    }

    #[test]
    fn a_heartbeat_is_never_early_and_never_twice() {
        let at = SimTime::from_ns;
        let mut heartbeat = Heartbeat::new(Some(SimDuration::from_ns(10)));
        let due: Vec<u64> = [5, 10, 11, 25, 26, 34, 35]
            .into_iter()
            .filter(|&now| heartbeat.is_due(at(now)))
            .collect();
        assert_eq!(due, [10, 25, 35]);
        assert!(!Heartbeat::new(None).is_due(SimTime::MAX));
    }
}
