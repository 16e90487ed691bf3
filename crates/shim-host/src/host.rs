//! One host: its processes, and the order in which they run.
//!
//! Commands and instants in; observations, lacks, failures and ends out. Always true: between two calls no
//! guest of the host runs guest code, unless it is one that has not said `Start`; the host's clock never
//! goes back; the order of threads depends on simulated times and, for equal ones, on who was ready
//! first, never on real time. How a thread is answered is `serve`; networks and other hosts are
//! nobody's here: the caller owns simulated time.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use shim_abi::SimTime;
use shim_abi::event::SignalInfo;
use shim_abi::process::MAX_DESCRIPTORS;
use shim_kernel::{VirtualPid, VirtualTid};
use shim_supervisor::{Command, Identity, Launcher, Library, SpawnError};

use crate::config::HostConfig;
use crate::image::{self, Unsuitable};
use crate::interrupter::Interrupter;
use crate::lacks::{Lack, LackKind, Lacks};
use crate::machine::Machine;
use crate::observe::{Observation, Observer, ProcessEnd};
use crate::preemptions::{Preemption, Preemptions};
use crate::process::{Failure, Process, State, process_end};
use crate::serve::{Desk, Served};

/// Soft limit of descriptors that a guest starts with, as login shells set it.
const DESCRIPTORS_SOFT: u32 = 1024;

/// A process that waits in simulated time.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Waiting {
    /// The program.
    pub program: String,
    /// Its virtual process id.
    pub pid: u32,
    /// Name of the system call in which it waits.
    pub call: String,
}

/// Why a program was not started.
#[derive(Debug)]
pub enum StartError {
    /// It would run outside the simulation.
    Unsuitable(Unsuitable),
    /// It is a script whose interpreter does not exist, which execve(2) tells as if the script did not.
    Interpreter {
        /// The script.
        script: PathBuf,
        /// What its first line names.
        interpreter: PathBuf,
    },
    /// The supervisor could not start it.
    Spawn(SpawnError),
}

impl StartError {
    /// The status by which a shell shows it; `None` if the program is not to blame.
    pub fn shell_code(&self) -> Option<i32> {
        match self {
            StartError::Unsuitable(_) => Some(126),
            StartError::Interpreter { .. } => Some(127),
            StartError::Spawn(error @ SpawnError::Program { .. }) => Some(error.shell_code()),
            StartError::Spawn(_) => None,
        }
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::Unsuitable(error) => error.fmt(f),
            StartError::Interpreter { script, interpreter } => write!(
                f,
                "cannot execute {}: its interpreter {:?} does not exist",
                script.display(),
                interpreter
            ),
            StartError::Spawn(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for StartError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            StartError::Unsuitable(error) => Some(error),
            StartError::Interpreter { .. } => None,
            StartError::Spawn(error) => Some(error),
        }
    }
}

/// What a step came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StepOutcome {
    /// The host's clock.
    pub now: SimTime,
    /// When the host wants to be stepped again; `None`: never, unless something comes from outside.
    pub next_event: Option<SimTime>,
    /// Processes that have not ended.
    pub process_count: usize,
}

/// One simulated machine: a kernel and its guests.
pub struct Host {
    processes: BTreeMap<VirtualTid, Process>,
    machine: Machine,
    launcher: Arc<Launcher>,
    /// Limits of descriptors that guests see: soft, hard.
    descriptor_limit: (u32, u32),
    /// Threads that can go on now. The kernel wakes none before that thread's own clock.
    ready: VecDeque<VirtualTid>,
    interrupter: Interrupter,
    lacks: Lacks,
    preemptions: Preemptions,
    failures: Vec<Failure>,
    ends: BTreeMap<u32, ProcessEnd>,
    handovers: u64,
    /// The native processor on which its guests run, if it matters.
    cpu: Option<usize>,
}

impl Host {
    /// A host without processes. Its guests will be started by `launcher` and preload `library`.
    pub fn new(
        config: HostConfig,
        launcher: &Arc<Launcher>,
        library: &Library,
    ) -> io::Result<Host> {
        let hard = launcher.handoff_number().min(MAX_DESCRIPTORS as u32);
        let descriptor_limit = (hard.min(DESCRIPTORS_SOFT), hard);
        Ok(Host {
            machine: Machine::new(config, library, descriptor_limit).map_err(with_limit)?,
            launcher: Arc::clone(launcher),
            descriptor_limit,
            processes: BTreeMap::new(),
            ready: VecDeque::new(),
            interrupter: Interrupter::new(),
            lacks: Lacks::default(),
            preemptions: Preemptions::default(),
            failures: Vec::new(),
            ends: BTreeMap::new(),
            handovers: 0,
            cpu: None,
        })
    }

    /// The virtual process id that the next process gets: files are named by it before it exists.
    pub fn next_pid(&mut self) -> u32 {
        self.machine.kernel(|kernel| kernel.next_pid()).0
    }

    /// Set the host's clock to `now`, if it is not later already. Between steps that ended at `now`.
    pub fn advance_to(&mut self, now: SimTime) {
        self.machine.advance_to(now);
    }

    /// Start a program at the host's now; its virtual process id. It runs when the host is stepped.
    pub fn spawn(&mut self, command: &Command) -> Result<u32, StartError> {
        image::check(&path_from_here(command)).map_err(StartError::Unsuitable)?;
        let program = file_name(command);
        let now = self.machine.now();
        let (pid, tid) = self.machine.kernel(|kernel| kernel.spawn(now, &program));
        let identity = Identity {
            pid: pid.0,
            tid: tid.0,
            parent_pid: 1,
            group: pid.0,
            session: pid.0,
            descriptor_limit: self.descriptor_limit,
            random: self.machine.kernel(|kernel| kernel.process_random_state(pid)),
        };
        let guest = match self.launcher.spawn(&self.machine.memory, command, &identity) {
            Ok(guest) => guest,
            Err(error) => {
                self.machine.kernel(|kernel| kernel.process_ended(pid));
                return Err(not_started(error, path_from_here(command)));
            }
        };
        if let Some(cpu) = self.cpu {
            guest.run_on(cpu);
        }
        self.interrupter.add(pid.0, guest.interrupter());
        self.machine.pids.push(pid);
        self.processes.insert(tid, Process::new(guest, (pid, tid), program, now));
        self.ready.push_back(tid);
        Ok(pid.0)
    }

    /// From now on guests run on this native processor only, on which the thread that steps the host had better run
    /// too: they take turns, and nobody has to be woken on another processor. Results do not change.
    pub fn run_on(&mut self, cpu: usize) {
        if self.cpu != Some(cpu) {
            self.cpu = Some(cpu);
            self.processes.values().for_each(|process| process.guest.run_on(cpu));
        }
    }

    /// Run everything that happens from `now` until just before `until`. A guest may keep this call
    /// waiting in real time: for its own computations, and for its standard streams.
    pub fn step(
        &mut self,
        now: SimTime,
        until: SimTime,
        observer: &mut dyn Observer,
    ) -> StepOutcome {
        self.machine.begin_step(now, until);
        loop {
            self.machine.post_interrupts(&self.interrupter);
            self.collect_ready();
            if self.machine.now() >= until {
                break;
            }
            // Whoever is ready is so now, and no event is due before now.
            if let Some(tid) = self.ready.pop_front() {
                self.serve(tid, observer);
                continue;
            }
            match self.machine.next_event() {
                Some(time) if time < until => {
                    self.machine.advance_to(time);
                    let now = self.machine.now();
                    self.machine.kernel(|kernel| kernel.advance(now));
                }
                _ if self.collect_dead(observer) => {}
                _ => break,
            }
        }
        StepOutcome {
            now: self.machine.now(),
            next_event: self.next_event(),
            process_count: self.processes.len(),
        }
    }

    /// When the host wants to be stepped again; `None` if never.
    pub fn next_event(&self) -> Option<SimTime> {
        if !self.ready.is_empty() {
            return Some(self.machine.now());
        }
        // What is due at the end of time never happens.
        self.machine.next_event().filter(|&time| time < SimTime::MAX)
    }

    /// Sends signals to the host's processes, from any thread.
    pub fn interrupter(&self) -> Interrupter {
        self.interrupter.clone()
    }

    /// Send `signal` to process `pid` at the host's now, as an ordinary process outside would. A process
    /// that is not there is left alone, SIGKILL ends it natively. Between steps.
    pub fn signal(&mut self, pid: u32, signal: u32, observer: &mut dyn Observer) {
        if signal != libc::SIGKILL.unsigned_abs() {
            let info = SignalInfo { signal, code: libc::SI_USER, pid: 1, ..SignalInfo::default() };
            let now = self.machine.now();
            self.machine.kernel(|kernel| kernel.post_signal(now, VirtualPid(pid), info));
            return;
        }
        let tid = VirtualPid(pid).leader();
        if let Some(mut process) = self.processes.remove(&tid) {
            process.time = process.time.max(self.machine.now());
            let status = kill(&mut process);
            self.ready.retain(|&other| other != tid);
            self.end(process, status, observer);
        }
    }

    /// The processes that have not ended, and what they wait in.
    pub fn waiting(&self) -> Vec<Waiting> {
        let call_name = |process: &Process| match process.call {
            Some((number, _)) => shim_abi::calls::lookup(number.into())
                .map_or_else(|| format!("system call {number}"), |call| call.name.to_owned()),
            None => "no system call".to_owned(),
        };
        self.processes
            .values()
            .map(|process| Waiting {
                program: process.program.clone(),
                pid: process.pid.0,
                call: call_name(process),
            })
            .collect()
    }

    /// Kill all processes natively, and observe their ends.
    pub fn kill_all(&mut self, observer: &mut dyn Observer) {
        // All at once: they die side by side while we wait for the first.
        self.processes.values().for_each(|process| process.guest.kill());
        while let Some((_, mut process)) = self.processes.pop_first() {
            let status = kill(&mut process);
            self.end(process, status, observer);
        }
        self.ready.clear();
    }

    /// How process `pid` ended; `None` if it has not, or never was.
    pub fn end_of(&self, pid: u32) -> Option<ProcessEnd> {
        self.ends.get(&pid).copied()
    }

    /// What ended processes asked for and did not get.
    pub fn lacks(&self) -> Vec<Lack> {
        self.lacks.list()
    }

    /// Programs that made no call for so long that they were preempted.
    pub fn preemptions(&self) -> Vec<Preemption> {
        let watchdog = self.machine.config.watchdog;
        watchdog.map_or_else(Vec::new, |watchdog| self.preemptions.list(watchdog.wall))
    }

    /// Whether nothing that happened so far depended on how fast the real machine is.
    pub fn is_reproducible(&self) -> bool {
        self.preemptions.is_empty()
    }

    /// Failures of the shim in ended processes.
    pub fn failures(&self) -> &[Failure] {
        &self.failures
    }

    /// How often guests handed over control.
    pub fn handovers(&self) -> u64 {
        self.handovers
    }

    /// Bytes that the kernel's state takes.
    pub fn kernel_bytes(&self) -> usize {
        self.machine.used_bytes()
    }

    /// Take from the kernel the threads whose waits are over.
    fn collect_ready(&mut self) {
        while let Some(tid) = self.machine.kernel(shim_kernel::Kernel::next_runnable) {
            let is_parked =
                self.processes.get(&tid).is_some_and(|process| process.state == State::Parked);
            if is_parked {
                self.ready.push_back(tid);
            }
        }
    }

    fn serve(&mut self, tid: VirtualTid, observer: &mut dyn Observer) {
        let Some(mut process) = self.processes.remove(&tid) else { return };
        let served = Desk {
            machine: &mut self.machine,
            interrupter: &self.interrupter,
            lacks: &mut self.lacks,
            preemptions: &mut self.preemptions,
            has_others: !self.ready.is_empty(),
            handovers: &mut self.handovers,
            observer,
        }
        .serve(&mut process);
        match served {
            Served::Parked => {
                self.processes.insert(tid, process);
            }
            Served::Ended(status) => self.end(process, status, observer),
            Served::Misbehaved => {
                let status = kill(&mut process);
                self.end(process, status, observer);
            }
        }
    }

    /// Bury the processes that died natively while they waited; whether there was one.
    fn collect_dead(&mut self, observer: &mut dyn Observer) -> bool {
        let dead: Vec<_> = self
            .processes
            .iter()
            .filter_map(|(&tid, process)| process.guest.end().map(|status| (tid, status)))
            .collect();
        for &(tid, status) in &dead {
            self.ready.retain(|&other| other != tid);
            if let Some(process) = self.processes.remove(&tid) {
                self.end(process, status, observer);
            }
        }
        !dead.is_empty()
    }

    /// A process is dead: tell everybody, and keep what is to be kept.
    fn end(
        &mut self,
        mut process: Process,
        status: shim_supervisor::ExitStatus,
        observer: &mut dyn Observer,
    ) {
        let pid = process.pid;
        let host = &self.machine.config.hostname;
        process.drain(host, &mut self.lacks, observer);
        let now = process.time.max(process.told);
        process.count_refused(&mut self.lacks);
        if let Some((number, args)) = process.call.take()
            && self.machine.config.is_tracing
        {
            process.tell(host, now, Observation::Unfinished { number, args }, observer);
        }
        if status == shim_supervisor::ExitStatus::Lost {
            let text = "lost: the launcher process was killed";
            process.log_error(&self.machine.config, text, observer);
        }
        let end = process_end(status);
        process.tell(host, now, Observation::Ended(end), observer);
        if let Some(text) = process.guest.take_failure() {
            self.failures.push(Failure { program: process.program.clone(), pid: pid.0, text });
        }
        if !process.has_started && matches!(end, ProcessEnd::Exited(_)) {
            let text = "ended before its shim was up: what it did, it did outside the simulation";
            self.lacks.add(&process.program, LackKind::Other(text.to_owned()), 1);
        }
        self.ends.insert(pid.0, end);
        self.interrupter.remove(pid.0);
        self.machine.pids.retain(|&other| other != pid);
        self.machine.kernel(|kernel| kernel.process_ended(pid));
    }
}

/// Say which limit of this process stands in the way of a host, if one does.
fn with_limit(error: io::Error) -> io::Error {
    let limit = match error.kind() {
        io::ErrorKind::OutOfMemory => "of address space: ulimit -v",
        io::ErrorKind::FileTooLarge => "of file sizes, which counts for memory files: ulimit -f",
        _ => return error,
    };
    io::Error::new(error.kind(), format!("{error} (is there a limit {limit}?)"))
}

/// Kill a process natively and wait for its end.
fn kill(process: &mut Process) -> shim_supervisor::ExitStatus {
    // Nobody is kept waiting for long: the watcher hears of a SIGKILL within milliseconds.
    const RECHECK: Duration = Duration::from_micros(200);
    process.guest.kill();
    loop {
        if let Some(status) = process.guest.end() {
            return status;
        }
        std::thread::sleep(RECHECK);
    }
}

/// Why `program` was not started, as a person understands it.
fn not_started(error: SpawnError, program: PathBuf) -> StartError {
    let is_missing = matches!(&error, SpawnError::Program { error, .. } if error.kind() == io::ErrorKind::NotFound);
    match image::script_interpreter(&program) {
        Some(interpreter) if is_missing && interpreter.is_absolute() && !interpreter.exists() => {
            StartError::Interpreter { script: program, interpreter }
        }
        _ => StartError::Spawn(error),
    }
}

/// The program's path as this process sees it, which may be in another directory.
fn path_from_here(command: &Command) -> PathBuf {
    let program = Path::new(std::ffi::OsStr::from_bytes(command.program.to_bytes()));
    match &command.cwd {
        Some(folder) => folder.join(program),
        None => program.to_owned(),
    }
}

/// The program's name as the kernel shows it: the last part of its path.
fn file_name(command: &Command) -> String {
    let path = command.program.to_bytes();
    let name = path.rsplit(|&byte| byte == b'/').next().unwrap_or(path);
    String::from_utf8_lossy(name).into_owned()
}
