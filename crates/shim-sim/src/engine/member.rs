//! One host of a simulation: its machine, its agenda, and what it tells.
//!
//! A host of the scenario in; steps of it, and at the end what became of its processes, out. Always
//! true: nothing here depends on another host or on real time; process events happen at their simulated times,
//! before anything that the host's guests do at the same instant. When a host is stepped is
//! [`super::simulation`]'s, which files its guests write into `output::recorder`'s.

use std::ffi::CString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

use shim_abi::SimTime;
use shim_host::{Failure, Host, HostConfig, Interrupter, Lack, Preemption};
use shim_supervisor::{Command, Launcher, Library};

use super::agenda::{Agenda, Event};
use super::outcome::{Outcome, ProcessReport};
use crate::config::scenario::{self, Process};
use crate::output::recorder::{LogLine, Recorder};

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
}

pub(super) struct Member {
    host: Host,
    processes: Vec<(Process, Fate)>,
    agenda: Agenda,
    recorder: Recorder,
}

impl Member {
    pub(super) fn new(
        config: HostConfig,
        host: &scenario::Host,
        recorder: Recorder,
        launcher: &Arc<Launcher>,
        library: &Library,
    ) -> io::Result<Member> {
        Ok(Member {
            host: Host::new(config, launcher, library)?,
            agenda: Agenda::new(&host.processes),
            processes: host.processes.iter().map(|one| (one.clone(), Fate::Planned)).collect(),
            recorder,
        })
    }

    /// When the host wants to be run again.
    pub(super) fn next_event(&self) -> Option<SimTime> {
        self.agenda.next_time().into_iter().chain(self.host.next_event()).min()
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
        let pid = self.host.next_pid();
        let started = self
            .recorder
            .begin(pid, &program_of(process))
            .map_err(|error| format!("cannot make its files: {error}"))
            .and_then(|stdio| command(process, stdio, &self.recorder))
            .and_then(|command| self.host.spawn(&command).map_err(|error| error.to_string()));
        *fate = match started {
            Ok(pid) => Fate::Started { pid },
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

    fn stop(&mut self, now: SimTime) {
        for (_, fate) in &mut self.processes {
            if let Fate::Started { pid } = *fate
                && self.host.end_of(pid).is_none()
            {
                *fate = Fate::Stopped { pid };
            }
        }
        self.recorder.stop(now);
        self.host.kill_all(&mut self.recorder);
        self.recorder.finish();
    }

    /// What became of its processes. After the end.
    pub(super) fn reports(&self) -> impl Iterator<Item = ProcessReport> {
        self.processes.iter().map(|(process, fate)| {
            let (pid, outcome) = match fate {
                Fate::Planned => (None, Outcome::NotStarted("the run ended before".to_owned())),
                Fate::NotStarted(reason) => (None, Outcome::NotStarted(reason.clone())),
                Fate::Stopped { pid } => (Some(*pid), Outcome::Running),
                Fate::Started { pid } => {
                    (Some(*pid), self.host.end_of(*pid).map_or(Outcome::Running, Outcome::from))
                }
            };
            ProcessReport {
                host: self.recorder.host().to_owned(),
                program: program_of(process),
                pid,
                outcome,
                expected: process.expected_final_state,
            }
        })
    }

    /// How many of its processes run.
    pub(super) fn running(&self) -> usize {
        let runs = |fate: &Fate| match fate {
            Fate::Started { pid } => self.host.end_of(*pid).is_none(),
            _ => false,
        };
        self.processes.iter().filter(|(_, fate)| runs(fate)).count()
    }

    /// The log lines since the last time.
    pub(super) fn take_log(&mut self) -> Vec<LogLine> {
        self.recorder.take_log()
    }

    /// What could not be written.
    pub(super) fn write_error(&self) -> Option<String> {
        self.recorder.write_error()
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
    command.cwd = Some(recorder.folder().to_owned());
    command.stdio = stdio.map(|file| Some(file.into()));
    Ok(command)
}
