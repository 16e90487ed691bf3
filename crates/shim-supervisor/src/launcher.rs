//! The process whose children all guests are, seen from the simulator.
//!
//! [`Command`]s in, [`Guest`]s out; processes that guests make are children of the launcher's as well and come
//! in by `nursery`. Always true: one order at a time is on its way to the launcher; every
//! report is read by one thread, the watcher, so an order's answer and a guest's end arrive in the
//! order in which they happened; when the launcher is gone every guest is known to be over and every
//! further order fails. Dropping a [`Launcher`] kills its guests and leaves no process behind. What runs
//! on the other end of the socket is `process` and `execute`.
//!
//! Locks: `state` here is taken before a `Life`'s.

mod execute;
mod nursery;
mod process;
mod watcher;
mod wire;

use std::collections::BTreeMap;
use std::ffi::CString;
use std::fmt;
use std::fs::File;
use std::io::{self, IoSlice, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::cmsg_space;
use rustix::fs::{Mode, OFlags, SealFlags, fcntl_add_seals};
use rustix::io::fcntl_dupfd_cloexec;
use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, Shutdown, SocketFlags,
    SocketType, sendmsg, shutdown, socketpair,
};
use rustix::process::{PidfdFlags, Signal, getpid, pidfd_open, pidfd_send_signal};
use shim_abi::handoff::Handoff;
use shim_abi::version::{PROTOCOL_MAJOR, PROTOCOL_MINOR};

use crate::command::{Command, Strings};
use crate::guest::Guest;
use crate::images::Images;
use crate::life::{Life, NativePid};
use crate::lookout::Bell;
use crate::mappings::LastAsked;
use crate::process::{LeftBehind, Process};
use crate::region::{HostMemory, memory_file};
use crate::settings::Identity;
use crate::signals::with_all_blocked;
use crate::slots::{ProcessSlot, ThreadSlot};
use crate::status::ExitStatus;
use crate::views::View;
use wire::{MAX_DESCRIPTORS_SENT, Order, Plan, Stage};

/// How long a dropped launcher is given to bury its guests, and then to end.
const FAREWELL: Duration = Duration::from_secs(3);

/// Starts guests.
#[derive(Debug)]
pub struct Launcher {
    office: Arc<Office>,
    watcher: Option<JoinHandle<()>>,
    descriptor_limit: u32,
    is_layout_fixed: bool,
}

/// What the simulator's threads share with the watcher.
#[derive(Debug)]
pub(crate) struct Office {
    socket: OwnedFd,
    /// The launcher's pidfd.
    launcher: OwnedFd,
    launcher_pid: u32,
    state: Mutex<State>,
    changed: Condvar,
    pub(crate) images: Images,
    /// Rings whenever a guest has ended.
    bell: Arc<Bell>,
    pub(crate) last_asked: Mutex<Option<LastAsked>>,
}

#[derive(Debug, Default)]
struct State {
    /// The launcher's first report: limit of descriptors, whether layouts are fixed.
    offer: Option<(u32, bool)>,
    /// The launcher is gone.
    is_closed: bool,
    /// An order is on its way.
    is_busy: bool,
    /// Whom the order on its way is for.
    candidate: Option<Arc<Life>>,
    /// Its answer.
    answer: Option<Result<(), (Stage, i32)>>,
    /// Guests that are not buried, by native id.
    guests: BTreeMap<NativePid, Arc<Life>>,
    /// Processes that guests may be making now.
    births: usize,
    /// Ends that may be those of such processes.
    early: BTreeMap<NativePid, ExitStatus>,
    /// Blocks of processes that may exist or not.
    left_behind: Vec<LeftBehind>,
}

/// Why no guest was started.
#[derive(Debug)]
#[non_exhaustive]
pub enum SpawnError {
    /// The host has as many processes or threads as it can have.
    TooMany,
    /// The working directory cannot be entered.
    Directory(io::Error),
    /// The program cannot be executed: execve(2) says why.
    Program {
        /// The program's file.
        program: CString,
        /// Why not.
        error: io::Error,
    },
    /// Something that a guest needs could not be made.
    Resource(io::Error),
    /// The launcher is gone.
    LauncherLost,
}

impl Office {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
    }
}

impl Launcher {
    /// Start the launcher process.
    ///
    /// It is a copy of this process, so the sooner this is called, the less memory it holds on to.
    /// Guests inherit from it what this process has now: priority, affinity, umask, namespaces.
    pub fn start() -> io::Result<Launcher> {
        let (ours, theirs) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
        let simulator = pidfd_open(getpid(), PidfdFlags::empty())?;
        // The launcher needs the numbers below 3 free.
        let theirs = fcntl_dupfd_cloexec(theirs, 3)?;
        let simulator = fcntl_dupfd_cloexec(simulator, 3)?;
        let (office, watcher) = with_all_blocked(|| {
            let (launcher_pid, launcher) = process::start(&theirs, &simulator)?;
            drop(theirs);
            let office = Arc::new(Office {
                socket: ours,
                launcher,
                launcher_pid,
                state: Mutex::new(State::default()),
                changed: Condvar::new(),
                images: Images::default(),
                bell: Arc::default(),
                last_asked: Mutex::default(),
            });
            let shared = office.clone();
            let watcher = std::thread::Builder::new()
                .name("shim-watcher".to_owned())
                .spawn(move || watcher::watch(&shared));
            if watcher.is_err() {
                let _ = shutdown(&office.socket, Shutdown::Write);
                watcher::bury_launcher(&office.launcher);
            }
            watcher.map(|watcher| (office, watcher))
        })?;
        let mut launcher = Launcher {
            office,
            watcher: Some(watcher),
            descriptor_limit: 0,
            is_layout_fixed: false,
        };
        let office = launcher.office.clone();
        let mut state = office.lock();
        loop {
            if let Some((limit, is_fixed)) = state.offer {
                (launcher.descriptor_limit, launcher.is_layout_fixed) = (limit, is_fixed);
                drop(state);
                return Ok(launcher);
            }
            if state.is_closed {
                drop(state);
                return Err(io::Error::other("the launcher process died at its start"));
            }
            state = office.wait(state);
        }
    }

    /// The native limit of descriptors that guests have. The shim needs some of them for itself, at
    /// and above [`Launcher::handoff_number`].
    pub fn descriptor_limit(&self) -> u32 {
        self.descriptor_limit
    }
    /// The number of the descriptor at which a new guest finds its hand-off; what a guest can see must
    /// be below it.
    pub fn handoff_number(&self) -> u32 {
        execute::handoff_number(self.descriptor_limit)
    }
    /// Whether guests' addresses are the same in every run (personality(2) is permitted).
    pub fn is_layout_fixed(&self) -> bool {
        self.is_layout_fixed
    }

    /// Rings whenever a guest has ended.
    pub(crate) fn bell(&self) -> &Arc<Bell> {
        &self.office.bell
    }

    /// Start a program as a guest of the host with this memory.
    ///
    /// Returns when the program's image is in place; it has not run yet as far as the simulation is concerned.
    /// Any thread may call this; orders are carried out one after the other.
    pub fn spawn(
        &self,
        memory: &Arc<HostMemory>,
        command: &Command,
        identity: &Identity,
    ) -> Result<Guest, SpawnError> {
        let process = ProcessSlot::allocate(memory).ok_or(SpawnError::TooMany)?;
        let thread = ThreadSlot::allocate(memory).ok_or(SpawnError::TooMany)?;
        identity.store(process.block(), thread.block(), process.index());

        let own = match &command.view {
            Some(_) => None,
            None => Some(open_directory(command.cwd.as_deref()).map_err(SpawnError::Directory)?),
        };
        let env = command.environment(&memory.library().preload_list(), self.handoff_number());
        let strings =
            Strings::write(&command.program, &command.argv, &env).map_err(SpawnError::Resource)?;
        let handoff =
            handoff_file(memory, process.index(), thread.index()).map_err(SpawnError::Resource)?;

        let view = command.view.as_deref();
        let directory = own.as_ref().map(OwnedFd::as_fd).or(view.map(View::directory));
        let mut fds = vec![strings.file.as_fd(), handoff.as_fd()];
        fds.extend(directory);
        fds.extend(view.map(View::namespace));
        let mut streams = 0;
        for (n, stream) in command.stdio.iter().enumerate() {
            if let Some(fd) = stream {
                streams |= 1 << n;
                fds.push(fd.as_fd());
            }
        }
        let plan = Plan {
            len_bytes: strings.len_bytes,
            table_words: strings.table_words,
            envp_word: strings.envp_word,
            program_offset: strings.program_offset,
            has_view: view.is_some(),
            streams,
        };
        let life = Arc::new(Life::new(memory.clone(), process.index()));
        life.add_thread(thread.index());
        self.order(plan, &fds, &life).map_err(|failure| match failure {
            None => SpawnError::LauncherLost,
            Some((Stage::Execute, errno)) => SpawnError::Program {
                program: command.program.clone(),
                error: io::Error::from_raw_os_error(errno),
            },
            Some((_, errno)) => SpawnError::Resource(io::Error::from_raw_os_error(errno)),
        })?;
        let process = Process {
            life,
            slot: process,
            office: self.office.clone(),
            view: command.view.clone(),
        };
        Ok(Guest::new(Arc::new(process), thread))
    }

    /// Wait a bounded while until `is_done` or the launcher is gone; whether that happened.
    fn wait_for(&self, is_done: impl Fn(&State) -> bool) -> bool {
        let is_waiting = |state: &mut State| !is_done(state) && !state.is_closed;
        let (_state, limit) = self
            .office
            .changed
            .wait_timeout_while(self.office.lock(), FAREWELL, is_waiting)
            .unwrap_or_else(PoisonError::into_inner);
        !limit.timed_out()
    }

    /// Send an order and wait for its answer; `None` as the error if the launcher is gone.
    fn order(
        &self,
        plan: Plan,
        fds: &[BorrowedFd<'_>],
        life: &Arc<Life>,
    ) -> Result<(), Option<(Stage, i32)>> {
        let office = &*self.office;
        let mut state = office.lock();
        while state.is_busy && !state.is_closed {
            state = office.wait(state);
        }
        if state.is_closed {
            return Err(None);
        }
        state.is_busy = true;
        state.candidate = Some(life.clone());
        state.answer = None;
        drop(state);

        let is_sent = send_order(&office.socket, Order::Spawn(plan), fds);
        let mut state = office.lock();
        let result = loop {
            if let Some(answer) = state.answer.take() {
                break answer.map_err(Some);
            }
            if state.is_closed {
                break Err(None);
            }
            match &is_sent {
                Ok(()) => {}
                // Gone, and the watcher is about to say so.
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => break Err(None),
                Err(error) => {
                    break Err(Some((Stage::Order, error.raw_os_error().unwrap_or(libc::EIO))));
                }
            }
            state = office.wait(state);
        };
        state.is_busy = false;
        state.candidate = None;
        drop(state);
        office.changed.notify_all();
        result
    }
}

impl Drop for Launcher {
    fn drop(&mut self) {
        // Reaped by a living launcher they leave nothing behind; what becomes of those that a dying
        // one leaves is up to the system's init.
        let guests: Vec<_> = self.office.lock().guests.values().cloned().collect();
        guests.iter().for_each(|life| life.kill());
        self.wait_for(|state| state.guests.is_empty());
        // Orders before this one, to bury the guests, are still carried out.
        let _ = shutdown(&self.office.socket, Shutdown::Write);
        if !self.wait_for(|_| false) {
            let _ = pidfd_send_signal(&self.office.launcher, Signal::KILL);
        }
        if let Some(watcher) = self.watcher.take() {
            let _ = watcher.join();
        }
    }
}

/// The directory in which a guest starts, as a descriptor: the launcher's own is another one.
fn open_directory(path: Option<&Path>) -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(rustix::fs::open(path.unwrap_or(Path::new(".")), flags, Mode::empty())?)
}

fn handoff_file(memory: &HostMemory, process: u32, thread: u32) -> io::Result<OwnedFd> {
    let manager = memory.manager();
    let handoff = Handoff {
        version: (PROTOCOL_MAJOR, PROTOCOL_MINOR),
        simulator_pid: manager.simulator_pid,
        read_only_fd: manager.read_only_fd,
        shared_fd: manager.shared_fd,
        process_index: process,
        thread_index: thread,
    };
    let mut file = File::from(memory_file("shim-handoff")?);
    file.write_all(&handoff.to_bytes())?;
    rustix::fs::seek(&file, rustix::fs::SeekFrom::Start(0))?;
    let all = SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE | SealFlags::SEAL;
    fcntl_add_seals(&file, all)?;
    Ok(file.into())
}

fn send_order(socket: &OwnedFd, order: Order, fds: &[BorrowedFd<'_>]) -> io::Result<()> {
    let bytes = order.to_bytes();
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(MAX_DESCRIPTORS_SENT))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() && !control.push(SendAncillaryMessage::ScmRights(fds)) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    loop {
        match sendmsg(socket, &[IoSlice::new(&bytes)], &mut control, SendFlags::NOSIGNAL) {
            Err(rustix::io::Errno::INTR) => {}
            result => return Ok(result.map(drop)?),
        }
    }
}

impl SpawnError {
    /// The status by which a shell shows it: 127 if the program does not exist, else 126.
    pub fn shell_code(&self) -> i32 {
        match self {
            SpawnError::Program { error, .. } if error.kind() == io::ErrorKind::NotFound => 127,
            _ => 126,
        }
    }
}

impl fmt::Display for SpawnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SpawnError::TooMany => f.write_str("the host has no room for another process"),
            SpawnError::Directory(error) => {
                write!(f, "cannot enter the working directory: {error}")
            }
            SpawnError::Program { program, error } => {
                write!(f, "cannot execute {}: {error}", program.to_string_lossy())
            }
            SpawnError::Resource(error) => write!(f, "cannot make a guest: {error}"),
            SpawnError::LauncherLost => f.write_str("the launcher process was killed"),
        }
    }
}

impl std::error::Error for SpawnError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            SpawnError::Program { error, .. }
            | SpawnError::Directory(error)
            | SpawnError::Resource(error) => Some(error),
            SpawnError::TooMany | SpawnError::LauncherLost => None,
        }
    }
}
