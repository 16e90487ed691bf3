//! One host of a simulation: its machine, its agenda, and what it tells.
//!
//! A host of the scenario in; steps of it, and at the end what became of its processes, out. Always
//! true: nothing here depends on real time, and on another host only by what it has sent; process events happen at their simulated times,
//! before anything that the host's guests do at the same instant, and faults of the host before these. When a host is stepped is
//! [`super::simulation`]'s, which files its guests write into `output::recorder`'s.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::CString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::Arc;

use nix::sys::signal::Signal;
use shim_abi::SimTime;
use shim_host::{Census, Failure, Host, HostConfig, Interrupter, Lack, Preemption, probe};
use shim_supervisor::{Command, View};

use super::agenda::{Agenda, Event};
use super::outcome::{Life, Outcome, ProcessReport};
use super::simulation::Setup;
use super::sockets::Sockets;
use super::transit::{Place, TimeLine, Traffic, Transit};
use crate::config::scenario::{self, Files, Process};
use crate::output::capture::{Capture, Interface};
use crate::output::recorder::{LogLine, Recorder};

/// The signal of which processes die when their host crashes.
const SIGKILL: u32 = Signal::SIGKILL as u32;

/// What is to be done with a host.
#[derive(Clone, Copy, Debug)]
pub(super) enum Task {
    /// Run everything that happens from `start` until just before `until`.
    Run { start: SimTime, until: SimTime },
    /// The simulation ends now: end the processes that are left.
    Stop { now: SimTime },
}

/// What became of a process of the scenario so far.
enum Fate {
    Planned,
    Started {
        pid: u32,
    },
    /// Ended with the simulation.
    Stopped {
        pid: u32,
    },
    NotStarted(String),
    /// Its host was down when it was to start, and still is.
    HostIsDown,
}

pub(super) struct Member {
    host: Host,
    processes: Vec<(Process, Fate)>,
    agenda: Agenda,
    place: Place,
    capture: Option<Capture>,
    recorder: Recorder,
    view: Option<Arc<View>>,
    files: Files,
    /// It has crashed.
    is_down: bool,
    /// Who got which signal from a fault last.
    struck: BTreeMap<u32, u32>,
    /// All starts of processes, each with its place in the list, its number and its instant.
    starts: Vec<(usize, u32, SimTime)>,
    /// What sockets have carried: all of them, once it has stopped.
    sockets: Sockets,
}

impl Member {
    pub(super) fn new(
        config: HostConfig,
        host: &scenario::Host,
        recorder: Recorder,
        place: Place,
        view: Option<View>,
        setup: &Setup<'_>,
    ) -> io::Result<Member> {
        let start_realtime_ns = config.start_realtime_ns;
        let capture = |bytes| Capture::new(recorder.folder(), bytes, start_realtime_ns);
        Ok(Member {
            capture: host.pcap_capture_bytes.map(capture),
            host: Host::new(config, setup.launcher, setup.library)?,
            sockets: Sockets::new(place.host_count()),
            place,
            agenda: Agenda::new(&host.processes),
            processes: host.processes.iter().map(|one| (one.clone(), Fate::Planned)).collect(),
            recorder,
            view: view.map(Arc::new),
            files: host.files.clone(),
            is_down: false,
            struck: BTreeMap::new(),
            starts: Vec::new(),
        })
    }

    /// When the host wants to be run again.
    pub(super) fn next_event(&self) -> Option<SimTime> {
        let (own, coming) = (self.host.next_event(), self.place.next_arrival());
        [self.agenda.next_time(), own, coming].into_iter().flatten().min()
    }

    /// Carry out a task on processor `cpu`, if it matters which.
    pub(super) fn carry_out(&mut self, task: Task, cpu: Option<usize>) {
        if let Some(cpu) = cpu {
            self.host.run_on(cpu);
        }
        match task {
            Task::Run { start, until } => self.run(start, until),
            Task::Stop { now } => self.stop(now),
        }
    }

    fn run(&mut self, start: SimTime, until: SimTime) {
        for (at, datagram) in self.place.receive(until) {
            // A machine that is down hears nothing.
            if self.is_down {
                continue;
            }
            if let Some(capture) = &mut self.capture {
                capture.packet(Interface::Ethernet, at, &datagram);
            }
            self.host.deliver(at, &datagram);
        }
        self.run_until(start, until);
        let departures = self.host.take_departures();
        if let Some(capture) = &mut self.capture {
            let looped = self.host.take_looped();
            let looped = looped.iter().map(|it| (Interface::Loopback, it));
            for (interface, it) in
                departures.iter().map(|it| (Interface::Ethernet, it)).chain(looped)
            {
                capture.packet(interface, it.at, &it.bytes);
            }
            capture.write_until(until);
        }
        for departure in departures {
            self.place.send(departure, until);
        }
    }

    fn run_until(&mut self, start: SimTime, until: SimTime) {
        loop {
            let event = self.agenda.next_time().filter(|&time| time < until);
            self.host.step(start, event.unwrap_or(until), &mut self.recorder);
            let Some(now) = event else { return };
            self.host.advance_to(now);
            while let Some(event) = self.agenda.take_due(now) {
                match event {
                    Event::Start(index) => self.start(now, index),
                    Event::Shutdown(index) => self.shut_down(index),
                }
            }
        }
    }

    fn start(&mut self, now: SimTime, index: usize) {
        let Some((process, fate)) = self.processes.get_mut(index) else { return };
        if self.is_down {
            if let Fate::Planned = fate {
                *fate = Fate::HostIsDown;
            }
            return;
        }
        let pid = self.host.next_pid();
        let started = self
            .recorder
            .begin(pid, &program_of(process))
            .map_err(|error| format!("cannot make its files: {error}"))
            .and_then(|stdio| command(process, stdio, &self.recorder, self.view.clone()))
            .and_then(|command| self.host.spawn(&command).map_err(|error| error.to_string()));
        *fate = match started {
            Ok(pid) => {
                self.starts.push((index, pid, now));
                Fate::Started { pid }
            }
            Err(reason) => {
                let text = format!("{} was not started: {reason}", process.program.display());
                self.recorder.log(now, log::Level::Error, &text);
                Fate::NotStarted(reason)
            }
        };
    }

    fn shut_down(&mut self, index: usize) {
        if let Some((process, Fate::Started { pid })) = self.processes.get(index) {
            let signal = process.shutdown_signal.unsigned_abs();
            self.host.signal(*pid, signal, &mut self.recorder);
        }
    }

    /// Between rounds: a fault sends a signal to a process.
    pub(super) fn kill(&mut self, now: SimTime, index: usize, signal: i32) {
        let Some(pid) = self.pid_of(index).filter(|&pid| self.host.end_of(pid).is_none()) else {
            let text = format!("fault: process {index} does not run: there is nothing to kill");
            return self.recorder.log(now, log::Level::Warn, &text);
        };
        let signal = signal.unsigned_abs();
        self.struck.insert(pid, signal);
        self.host.advance_to(now);
        self.host.signal(pid, signal, &mut self.recorder);
    }

    /// Between rounds: a process is started again that a fault may have ended.
    pub(super) fn start_again(&mut self, now: SimTime, index: usize) {
        let runs = self.pid_of(index).is_some_and(|pid| self.host.end_of(pid).is_none());
        if !self.is_down && !runs && self.has_begun(now, index) {
            self.host.advance_to(now);
            self.start(now, index);
        }
    }

    /// Between rounds: the host crashes.
    pub(super) fn crash(&mut self, now: SimTime) {
        for index in 0..self.processes.len() {
            if let Some(pid) = self.pid_of(index).filter(|&pid| self.host.end_of(pid).is_none()) {
                self.struck.insert(pid, SIGKILL);
            }
        }
        self.is_down = true;
        self.host.advance_to(now);
        self.sockets.add(self.host.socket_records(), Some(now));
        if let Err(error) = self.host.reboot(&mut self.recorder) {
            let text = format!("the host cannot begin anew with an empty kernel: {error}");
            self.recorder.log(now, log::Level::Error, &text);
        }
    }

    /// Between rounds: the host boots, if it is down, and starts what it had started before.
    pub(super) fn boot(&mut self, now: SimTime) {
        if std::mem::take(&mut self.is_down) {
            self.host.advance_to(now);
            for index in 0..self.processes.len() {
                if self.has_begun(now, index) {
                    self.start(now, index);
                }
            }
        }
    }

    /// Whether a process has been started before now, or would have been, and has not been shut down. Who starts at this
    /// very instant is the agenda's.
    fn has_begun(&self, now: SimTime, index: usize) -> bool {
        self.processes.get(index).is_some_and(|(process, _)| {
            process.start_time < now && process.shutdown_time.is_none_or(|time| time > now)
        })
    }

    /// The number of a process that has been started.
    fn pid_of(&self, index: usize) -> Option<u32> {
        match self.processes.get(index)?.1 {
            Fate::Started { pid } => Some(pid),
            _ => None,
        }
    }

    fn stop(&mut self, now: SimTime) {
        for (_, fate) in &mut self.processes {
            if let Fate::Started { pid } = *fate
                && self.host.end_of(pid).is_none()
            {
                *fate = Fate::Stopped { pid };
            }
        }
        self.recorder.stop(now);
        self.sockets.add(self.host.socket_records(), None);
        self.host.kill_all(&mut self.recorder);
        self.view = None;
        self.recorder.finish();
        if let Some(capture) = &mut self.capture {
            capture.finish();
        }
    }

    /// What it has sent to others, between rounds.
    pub(super) fn take_going(&mut self) -> Vec<Transit> {
        self.place.take_going()
    }
    /// Something is on its way to it.
    pub(super) fn expect(&mut self, transit: Transit) {
        self.place.expect(transit);
    }

    /// What became of its processes. After the end.
    pub(super) fn reports(&self) -> impl Iterator<Item = ProcessReport> {
        self.processes.iter().enumerate().map(|(index, (process, fate))| {
            let (pid, outcome) = match fate {
                Fate::Planned => (None, Outcome::NotStarted("the run ended before".to_owned())),
                Fate::NotStarted(reason) => (None, Outcome::NotStarted(reason.clone())),
                Fate::HostIsDown => (None, Outcome::NotStarted("its host was down".to_owned())),
                Fate::Stopped { pid } => (Some(*pid), Outcome::Running),
                Fate::Started { pid } => {
                    (Some(*pid), self.host.end_of(*pid).map_or(Outcome::Running, Outcome::from))
                }
            };
            let struck = pid.and_then(|pid| self.struck.get(&pid));
            let is_by_fault = match &outcome {
                Outcome::Signaled(signal) => struck == Some(&signal.unsigned_abs()),
                _ => matches!(fate, Fate::HostIsDown),
            };
            let mut lives = self.lives(index);
            let last = lives.pop_if(|life| Some(life.pid) == pid);
            ProcessReport {
                is_by_fault,
                host: self.recorder.host().to_owned(),
                program: program_of(process),
                pid,
                outcome,
                expected: process.expected_final_state,
                started_at: last.map(|life| life.started_at),
                ended_at: pid.and_then(|pid| self.recorder.ended_at(pid)),
                earlier: lives,
            }
        })
    }

    /// All starts of a process, and what became of each.
    fn lives(&self, index: usize) -> Vec<Life> {
        let starts = self.starts.iter().filter(|(of, ..)| *of == index);
        let life = |&(_, pid, started_at): &(usize, u32, SimTime)| Life {
            pid,
            started_at,
            ended_at: self.recorder.ended_at(pid),
            outcome: self.host.end_of(pid).map_or(Outcome::Running, Outcome::from),
        };
        starts.map(life).collect()
    }

    /// How many of its processes run.
    pub(super) fn running(&self) -> usize {
        let runs = |fate: &Fate| match fate {
            Fate::Started { pid } => self.host.end_of(*pid).is_none(),
            _ => false,
        };
        self.processes.iter().filter(|(_, fate)| runs(fate)).count()
    }

    /// Write a line about what happens to it.
    pub(super) fn log(&mut self, now: SimTime, text: &str) {
        self.recorder.log(now, log::Level::Info, text);
    }

    /// The log lines since the last time.
    pub(super) fn take_log(&mut self) -> Vec<LogLine> {
        self.recorder.take_log()
    }

    /// What could not be written.
    pub(super) fn write_error(&self) -> Option<String> {
        let captured = self.capture.as_ref().and_then(Capture::write_error);
        self.recorder.write_error().or(captured)
    }

    pub(super) fn traffic(&self) -> Traffic {
        self.place.traffic()
    }

    /// What its sockets have carried. After the end.
    pub(super) fn sockets(&self) -> &Sockets {
        &self.sockets
    }

    /// How much traffic it had in each interval.
    pub(super) fn time_line(&self) -> TimeLine {
        self.place.time_line().clone()
    }

    pub(super) fn interrupter(&self) -> Interrupter {
        self.host.interrupter()
    }

    pub(super) fn name(&self) -> &str {
        self.recorder.host()
    }

    pub(super) fn lacks(&self) -> Vec<Lack> {
        self.host.lacks()
    }

    pub(super) fn preemptions(&self) -> Vec<Preemption> {
        self.host.preemptions()
    }

    pub(super) fn failures(&self) -> &[Failure] {
        self.host.failures()
    }

    /// Which folders are its own.
    pub(super) fn files(&self) -> &Files {
        &self.files
    }

    /// The files that its guests opened for writing.
    pub(super) fn written_files(&self) -> BTreeSet<PathBuf> {
        self.host.written_files()
    }

    pub(super) fn census(&self) -> Census {
        self.host.census()
    }

    pub(super) fn handovers(&self) -> u64 {
        self.host.handovers()
    }
}

/// The name of a process's program, as its output files carry it.
fn program_of(process: &Process) -> String {
    let name = process.program.file_name().unwrap_or(process.program.as_os_str());
    name.to_string_lossy().into_owned()
}

fn command(
    process: &Process,
    stdio: [std::fs::File; 3],
    recorder: &Recorder,
    view: Option<Arc<View>>,
) -> Result<Command, String> {
    let c_string = |bytes: &[u8]| CString::new(bytes).map_err(|error| error.to_string());
    let mut command = Command::new(c_string(process.program.as_os_str().as_bytes())?);
    command.argv =
        process.args.iter().map(|arg| c_string(arg.as_bytes())).collect::<Result<_, _>>()?;
    command.env = process
        .environment
        .iter()
        .map(|(name, value)| c_string(format!("{name}={value}").as_bytes()))
        .collect::<Result<_, _>>()?;
    if let Some((name, value)) = probe::processor_mask()
        && !process.environment.contains_key(name)
    {
        command.env.push(c_string(format!("{name}={value}").as_bytes())?);
    }
    command.cwd = Some(recorder.folder().to_owned());
    command.view = view;
    command.stdio = stdio.map(|file| Some(file.into()));
    Ok(command)
}
