//! One host: its processes, and the order in which their threads run.
//!
//! Commands and instants in; observations, lacks, failures and ends out. Always true: between two calls no
//! guest of the host runs guest code, unless it is one that has not said `Start`; the host's clock never
//! goes back, and what one thread does is later than what ran before it; threads run in the order in which they
//! became ready, which depends on simulated times and never on real time. How long a turn lasts is the kernel's (`shim_kernel::turn`), how
//! a thread is answered `serve`'s; networks and other hosts are nobody's here: the caller owns simulated time.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use shim_abi::SimTime;
use shim_abi::event::SignalInfo;
use shim_abi::process::MAX_DESCRIPTORS;
use shim_kernel::{End, Kernel, VirtualPid, VirtualTid};
use shim_supervisor::{Command, Identity, Launcher, Library, SpawnError};

use crate::config::HostConfig;
use crate::image::{self, Unsuitable};
use crate::interrupter::Interrupter;
use crate::lacks::{Lack, Lacks};
use crate::machine::Machine;
use crate::observe::{Observation, Observer, ProcessEnd};
use crate::preemptions::{Preemption, Preemptions};
use crate::process::{Failure, Process};
use crate::serve::Desk;
use crate::thread::{State, Thread};

/// Soft limit of descriptors that a guest starts with, as login shells set it.
const DESCRIPTORS_SOFT: u32 = 1024;

/// A process that waits in simulated time.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Waiting {
    /// The program.
    pub program: String,
    /// Its virtual process id.
    pub pid: u32,
    /// Names of the system calls in which its threads wait, each once.
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
    /// The host's clock: later than the end of the step, by one call at most, if a thread had to end one.
    pub now: SimTime,
    /// When the host wants to be stepped again; `None`: never, unless something comes from outside.
    pub next_event: Option<SimTime>,
    /// Processes that have not ended.
    pub process_count: usize,
}

/// How many guests there have been.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Census {
    /// Processes, those that guests made included.
    pub processes: u64,
    /// Threads, at least one for each process.
    pub threads: u64,
    /// System calls of those that have ended, counted from when their shim was up.
    pub calls: u64,
    /// How many of them trapped instead of coming by patched code.
    pub trapped_calls: u64,
}

/// One simulated machine: a kernel and its guests.
pub struct Host {
    pub(crate) processes: BTreeMap<VirtualPid, Process>,
    pub(crate) threads: BTreeMap<VirtualTid, Thread>,
    pub(crate) machine: Machine,
    launcher: Arc<Launcher>,
    /// Limits of descriptors that guests see: soft, hard.
    pub(crate) descriptor_limit: (u32, u32),
    pub(crate) interrupter: Interrupter,
    pub(crate) lacks: Lacks,
    pub(crate) preemptions: Preemptions,
    pub(crate) failures: Vec<Failure>,
    /// Ends of the processes that the owner started.
    pub(crate) ends: BTreeMap<u32, ProcessEnd>,
    pub(crate) handovers: u64,
    pub(crate) census: Census,
    /// How many native ends are in the books.
    pub(crate) buried: u64,
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
            threads: BTreeMap::new(),
            interrupter: Interrupter::new(),
            lacks: Lacks::default(),
            preemptions: Preemptions::default(),
            failures: Vec::new(),
            ends: BTreeMap::new(),
            handovers: 0,
            census: Census::default(),
            buried: 0,
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
        image::check(&path_from_here(command), command.view.as_deref())
            .map_err(StartError::Unsuitable)?;
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
        let guest = match self.launcher.spawn(self.machine.memory(), command, &identity) {
            Ok(guest) => guest,
            Err(error) => {
                let end = End::Exited(0);
                self.machine
                    .kernel_alone(|kernel, others| kernel.process_ended(now, pid, end, others));
                return Err(not_started(error, command));
            }
        };
        if let Some(cpu) = self.cpu {
            guest.run_on(cpu);
        }
        self.interrupter.add(pid.0, guest.interrupter());
        self.machine.blocks.add(pid, guest.process_index());
        self.processes.insert(pid, Process::started(pid, program));
        self.threads.insert(tid, Thread::new(guest, (pid, tid), State::Fresh, now));
        self.census.processes += 1;
        self.census.threads += 1;
        self.machine.kernel(|kernel| kernel.queue_ready(tid));
        Ok(pid.0)
    }

    /// From now on guests run on this native processor only, on which the thread that steps the host had better run
    /// too: they take turns, and nobody has to be woken on another processor. Results do not change.
    pub fn run_on(&mut self, cpu: usize) {
        if self.cpu != Some(cpu) {
            self.cpu = Some(cpu);
            self.threads.values().for_each(|thread| thread.guest.run_on(cpu));
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
        self.step_while(now, until, observer, |_| true)
    }

    /// As [`Host::step`], but no further than to the end of process `pid`.
    pub fn step_to_end_of(
        &mut self,
        pid: u32,
        now: SimTime,
        until: SimTime,
        observer: &mut dyn Observer,
    ) -> StepOutcome {
        self.step_while(now, until, observer, |host| host.processes.contains_key(&VirtualPid(pid)))
    }

    fn step_while(
        &mut self,
        now: SimTime,
        until: SimTime,
        observer: &mut dyn Observer,
        goes_on: impl Fn(&Host) -> bool,
    ) -> StepOutcome {
        self.machine.begin_step(now, until);
        while goes_on(self) {
            self.machine.memory().begin_to_look();
            self.post_interrupts();
            self.collect_dead(observer);
            // What is due by now happens before anybody goes on.
            self.machine.catch_up();
            self.machine.collect_ready();
            if self.machine.now() >= until {
                break;
            }
            if let Some(tid) = self.machine.kernel(Kernel::next_ready) {
                self.serve(tid, observer);
                continue;
            }
            match self.machine.next_event() {
                Some(time) if time < until => self.machine.advance_to(time),
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
        if self.machine.has_ready() {
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
        self.kill_and_bury(VirtualPid(pid), observer);
    }

    /// The processes that have not ended, and what they wait in.
    pub fn waiting(&self) -> Vec<Waiting> {
        let waiting = |process: &Process| Waiting {
            program: process.program.clone(),
            pid: process.pid.0,
            call: self.calls_of(process),
        };
        self.processes.values().map(waiting).collect()
    }

    fn calls_of(&self, process: &Process) -> String {
        let threads = process.threads.iter().filter_map(|tid| self.threads.get(tid));
        let threads = threads.filter(|thread| thread.state != State::Lingering);
        let mut names: Vec<String> = Vec::new();
        for (number, _) in threads.filter_map(|thread| self.machine.call_of(thread)) {
            let name = shim_abi::calls::lookup(number.into())
                .map(|call| call.name)
                .or_else(|| shim_abi::calls::behind_pseudo(number))
                .map_or_else(|| format!("system call {number}"), str::to_owned);
            if !names.contains(&name) {
                names.push(name);
            }
        }
        if names.is_empty() { "no system call".to_owned() } else { names.join(" and ") }
    }

    /// Kill all processes natively, and observe their ends.
    pub fn kill_all(&mut self, observer: &mut dyn Observer) {
        // All at once: they die side by side while we wait for the first.
        self.threads.values().for_each(|thread| thread.guest.kill());
        let pids: Vec<_> = self.processes.keys().copied().collect();
        pids.into_iter().for_each(|pid| self.kill_and_bury(pid, observer));
    }

    /// How process `pid`, which the owner started, ended; `None` if it has not, or never was.
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

    /// The files that guests opened for writing, as they see them, as far as the list has room.
    pub fn written_files(&self) -> BTreeSet<PathBuf> {
        self.machine.memory().written_files()
    }

    /// How often guests handed over control.
    pub fn handovers(&self) -> u64 {
        self.handovers
    }

    /// How many guests there have been.
    pub fn census(&self) -> Census {
        self.census
    }

    /// Bytes that the kernel's state takes.
    pub fn kernel_bytes(&self) -> usize {
        self.machine.used_bytes()
    }

    /// The thread with this block, taken out of the books, if it waits.
    pub(crate) fn take_thread_at(&mut self, block: u32) -> Option<Thread> {
        let tid = VirtualTid(self.machine.memory().thread(block)?.tid.load(Relaxed));
        let thread = self.threads.get(&tid)?;
        let is_it = thread.guest.thread_index() == block && thread.state == State::Parked;
        if is_it { self.threads.remove(&tid) } else { None }
    }

    /// Post the signals that came from outside to every process that is still in the session that the owner started
    /// it or its ancestor in: who has made one of its own does not hear its terminal any more.
    pub(crate) fn post_interrupts(&mut self) {
        for signal in self.interrupter.take() {
            // As a terminal's line discipline sends it.
            let info = SignalInfo { signal, code: libc::SI_KERNEL, ..SignalInfo::default() };
            let now = self.machine.now();
            for process in self.processes.values() {
                let pid = process.pid;
                if self.machine.blocks.session_of(pid) == process.root.0 {
                    self.machine.kernel(|kernel| kernel.post_signal(now, pid, info));
                }
            }
        }
    }

    fn serve(&mut self, tid: VirtualTid, observer: &mut dyn Observer) {
        let Some(mut thread) = self.threads.remove(&tid) else { return };
        let left = Desk { host: self, observer }.serve(&mut thread);
        self.put_back(thread, left, observer);
    }

    /// Tell something about a thread.
    pub(crate) fn tell(
        &self,
        thread: &Thread,
        time: SimTime,
        what: Observation<'_>,
        observer: &mut dyn Observer,
    ) {
        if let Some(process) = self.processes.get(&thread.pid) {
            let source = process.source(&self.machine.config.hostname, thread.tid);
            observer.observe(&source, time, what);
        }
    }

    /// Tell that something is wrong with a thread, if anybody wants to hear of errors.
    pub(crate) fn log_error(&self, thread: &Thread, text: &str, observer: &mut dyn Observer) {
        let level = log::Level::Error;
        if level <= self.machine.config.log_level {
            self.tell(thread, thread.time, Observation::Log { level, text }, observer);
        }
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

/// Why `program` was not started, as a person understands it.
fn not_started(error: SpawnError, command: &Command) -> StartError {
    let program = path_from_here(command);
    let is_missing = matches!(&error, SpawnError::Program { error, .. } if error.kind() == io::ErrorKind::NotFound);
    match image::missing_interpreter(&program, command.view.as_deref()) {
        Some(interpreter) if is_missing => StartError::Interpreter { script: program, interpreter },
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
