//! A host as a unit: made, given programs, stepped, asked when it wants to be stepped again, ended.
//!
//! A simulation, a configuration, commands and instants in; process ids and instants out. Always true: a host runs only
//! inside a step, of the thread that steps it; its clock never goes back; it calls nobody back. Packets are in
//! `packets`, what becomes of processes in `processes`.
//!
//! # Safety
//!
//! Unsafe here: exported names, and pointers from C, about which each function says what its caller guarantees.
#![allow(unsafe_code)]

use std::collections::{BTreeSet, VecDeque};
use std::ffi::c_int;
use std::sync::Mutex;

use shim_abi::SimTime;
use shim_host::StartError;
use shim_supervisor::SpawnError;

use super::account::Lists;
use super::records::Recorder;
use super::{Config, Host, Inside, with};
use crate::command::Command;
use crate::error::{Failure, Result, answer, answer_with, errno_of, note};
use crate::pointer::{give, object, store, take};
use crate::simulation::Simulation;

/// An instant that never comes.
pub const SHIMHOST_NEVER: u64 = u64::MAX;

impl Host {
    fn new(simulation: &Simulation, config: &Config) -> Result<Host> {
        let mut settings = config.settings.clone();
        settings.names = simulation.names()?;
        settings.wall_start_ns = simulation.wall_start_ns();
        let id = settings.host_id;
        let host = shim_host::Host::new(settings, simulation.launcher(), simulation.library());
        let host = host.map_err(|error| match errno_of(&error) {
            libc::EEXIST => {
                let hint = "free it first, or give this one another host_id";
                Failure::new(libc::EEXIST, format!("this process has a host {id} already: {hint}"))
            }
            errno => Failure::new(errno, format!("cannot make host {id}: {error}")),
        })?;
        Ok(Host {
            interrupter: host.interrupter(),
            inside: Mutex::new(Inside {
                host,
                recorder: Recorder::new(config.records),
                departures: VecDeque::new(),
                looped: VecDeque::new(),
                taken: Vec::new(),
                started: BTreeSet::new(),
                now: SimTime::ZERO,
                stepped_until: SimTime::ZERO,
                lists: Lists::default(),
            }),
        })
    }
}

impl Inside {
    fn spawn(&mut self, command: &Command) -> Result<u32> {
        let pid = self.host.spawn(&command.resolved()?).map_err(|error| not_started(&error))?;
        self.started.insert(pid);
        Ok(pid)
    }

    fn step(&mut self, now: SimTime, until: SimTime, end_of: Option<u32>) -> Result<()> {
        if until < now {
            let what = format!("until_ns {} is before now_ns {}", until.as_ns(), now.as_ns());
            return Err(Failure::invalid(format!("{what}: a step ends at or after its beginning")));
        }
        let outcome = match end_of {
            None => self.host.step(now, until, &mut self.recorder),
            Some(pid) => {
                self.started_here(pid)?;
                self.host.step_to_end_of(pid, now, until, &mut self.recorder)
            }
        };
        self.now = outcome.now;
        self.stepped_until = self.stepped_until.max(until.min(outcome.now));
        self.collect_packets();
        Ok(())
    }
}

fn not_started(error: &StartError) -> Failure {
    let errno = match error {
        StartError::Unsuitable(_) => libc::ENOEXEC,
        StartError::Interpreter { .. } => libc::ENOENT,
        StartError::Spawn(SpawnError::TooMany) => libc::EAGAIN,
        StartError::Spawn(
            SpawnError::Directory(error)
            | SpawnError::Program { error, .. }
            | SpawnError::Resource(error),
        ) => errno_of(error),
        StartError::Spawn(_) => libc::EPIPE,
    };
    Failure::new(errno, error.to_string())
}

/// Make a host, at the instant 0 and without processes.
///
/// It is a machine with a kernel of its own. It does nothing by itself: whoever owns the event loop steps it
/// (shimhost_step), asks it when it wants to be stepped again (shimhost_next_event), and carries its packets
/// (shimhost_take_packet, shimhost_deliver). No function of a host calls its caller back.
///
/// simulation: what it has in common with other hosts. From now on it gets no further names.
/// config: how it is to be; it can be used again, with another host_id.
/// host: where the new host goes; NULL goes there if the call fails.
/// Ownership: the host is the caller's, to be freed by shimhost_free; simulation and configuration stay the caller's and may be
/// freed before it.
/// Returns: 0, or a negative errno; shimsup_message tells more.
/// Errors: -EINVAL for NULL; -EEXIST if the calling process has a host with this host_id, in whatever simulation; -ENOMEM,
/// -EMFILE, -EFBIG if a limit of the process stands in the way, which the message names.
/// Threads and signals: safe from any thread; not in a signal handler.
/// Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shimhost_new(
    simulation: *mut Simulation,
    config: *const Config,
    host: *mut *mut Host,
) -> c_int {
    // SAFETY: the caller's: NULL or a simulation.
    let simulation = unsafe { object(simulation, "simulation") };
    // SAFETY: the caller's: NULL or a configuration that nobody changes meanwhile.
    let config = unsafe { object(config, "config") };
    // SAFETY: the caller's: NULL or a place for a pointer.
    let result = unsafe { give(host, "host", || Host::new(simulation?, config?)) };
    answer("shimhost_new", result)
}

/// Start a program at the host's now.
///
/// The process is there when the function returns, and runs when the host is stepped. Its standard streams are real: what it
/// writes there appears outside at once. The host's now is where its last step ended; shimhost_step from an instant to the same
/// instant moves it there.
///
/// host: as shimhost_new made it.
/// command: what to run; it can be used again.
/// pid: where the virtual process id goes, by which other functions name the process; NULL if nobody wants it.
/// Ownership: the command stays the caller's.
/// Returns: 0, or a negative errno; shimsup_message tells more.
/// Errors: -EINVAL for NULL; those of execve(2), such as -ENOENT and -EACCES; -ENOEXEC for a program that cannot be a guest
/// (a static one, or one of another machine); -EAGAIN if the host has as many processes as it can have; -EPIPE if the
/// launcher process was killed; -EBUSY if another thread uses the host.
/// Threads and signals: one thread at a time; not in a signal handler.
/// Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shimhost_spawn(
    host: *mut Host,
    command: *const Command,
    pid: *mut u32,
) -> c_int {
    // SAFETY: the caller's: NULL or a command that nobody changes meanwhile.
    let command = unsafe { object(command, "command") };
    // SAFETY: the caller's: NULL or a host.
    let result = unsafe { with(host, |host| host.spawn(command?)) };
    let result = result.map(|number| {
        // SAFETY: the caller's: NULL or a place for a number.
        unsafe { store(pid, number) }
    });
    answer("shimhost_spawn", result)
}

/// The virtual process id that the next process of the host gets.
///
/// For files that are named by it before the process is there.
///
/// host: as shimhost_new made it.
/// pid: where the id goes.
/// Returns: 0, or a negative errno; shimsup_message tells more.
/// Errors: -EINVAL for NULL; -EBUSY if another thread uses the host.
/// Threads and signals: one thread at a time; not in a signal handler.
/// Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shimhost_next_pid(host: *mut Host, pid: *mut u32) -> c_int {
    // SAFETY: the caller's: NULL or a host.
    let result = unsafe { with(host, |host| Ok(host.host.next_pid())) };
    let result = result.and_then(|number| {
        if pid.is_null() {
            return Err(Failure::invalid("pid is NULL"));
        }
        // SAFETY: the caller's: a place for a number.
        unsafe { store(pid, number) };
        Ok(())
    });
    answer("shimhost_next_pid", result)
}

/// Run everything that happens on the host from one instant until just before another.
///
/// What is due at until_ns itself happens in the next step. Choose until_ns so that nothing can come to the host before it: what the
/// host is sent during the step cannot be delivered before the step's end. The call lasts until the guests have come so far in
/// simulated time, or wait for something later; that is real time for their computations and their standard streams.
/// The host's clock may end later than until_ns by one system call at most. A step from an instant to the same instant runs
/// nothing, and moves the host's clock there.
///
/// host: as shimhost_new made it.
/// now_ns: nanoseconds of simulated time at which the step begins; the host's clock never goes back.
/// until_ns: nanoseconds of simulated time at which it ends; SHIMHOST_NEVER: when nothing more happens by itself.
/// Returns: 0, or a negative errno; shimsup_message tells more.
/// Errors: -EINVAL for NULL, or an end before the beginning; -EBUSY if another thread uses the host. What goes wrong in a
/// guest is no error of the step: see shimhost_process_end and shimhost_failure.
/// Threads and signals: one thread at a time; hosts may be stepped side by side, each by a thread of its own; not in a signal handler.
/// Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shimhost_step(host: *mut Host, now_ns: u64, until_ns: u64) -> c_int {
    let (now, until) = (SimTime::from_ns(now_ns), SimTime::from_ns(until_ns));
    // SAFETY: the caller's: NULL or a host.
    let result = unsafe { with(host, |host| host.step(now, until, None)) };
    answer("shimhost_step", result)
}

/// As shimhost_step, but no further than to the end of a process.
///
/// host: as shimhost_new made it.
/// pid: the process, as shimhost_spawn told.
/// now_ns: nanoseconds of simulated time at which the step begins.
/// until_ns: nanoseconds of simulated time at which it ends at the latest.
/// Returns: 0, or a negative errno; shimsup_message tells more.
/// Errors: as shimhost_step; -ESRCH if shimhost_spawn has told of no such process.
/// Threads and signals: as shimhost_step.
/// Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shimhost_step_to_end_of(
    host: *mut Host,
    pid: u32,
    now_ns: u64,
    until_ns: u64,
) -> c_int {
    let (now, until) = (SimTime::from_ns(now_ns), SimTime::from_ns(until_ns));
    // SAFETY: the caller's: NULL or a host.
    let result = unsafe { with(host, |host| host.step(now, until, Some(pid))) };
    answer("shimhost_step_to_end_of", result)
}

/// When the host wants to be stepped again.
///
/// It is the earliest instant at which something happens on it by itself: a timer, a process that can run, a packet
/// that was delivered. Delivering, starting and signalling may make it earlier; so ask after them.
///
/// host: as shimhost_new made it.
/// Returns: nanoseconds of simulated time; SHIMHOST_NEVER if never, unless something comes from outside.
/// Errors: SHIMHOST_NEVER for NULL, and if another thread uses the host, which shimsup_message tells.
/// Threads and signals: one thread at a time; not in a signal handler.
/// Since: 0.1.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shimhost_next_event(host: *const Host) -> u64 {
    // SAFETY: the caller's: NULL or a host.
    let result = unsafe { with(host, |host| Ok(host.host.next_event())) };
    match result {
        Ok(time) => time.map_or(SHIMHOST_NEVER, SimTime::as_ns),
        Err(failure) => {
            note("shimhost_next_event", &failure);
            SHIMHOST_NEVER
        }
    }
}

/// The host's clock as its last step left it.
///
/// host: as shimhost_new made it.
/// Returns: nanoseconds of simulated time; SHIMHOST_NEVER if that cannot be told.
/// Errors: SHIMHOST_NEVER for NULL, and if another thread uses the host, which shimsup_message tells.
/// Threads and signals: one thread at a time; not in a signal handler.
/// Since: 0.1.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shimhost_now(host: *const Host) -> u64 {
    // SAFETY: the caller's: NULL or a host.
    match unsafe { with(host, |host| Ok(host.now.as_ns())) } {
        Ok(now) => now,
        Err(failure) => {
            note("shimhost_now", &failure);
            SHIMHOST_NEVER
        }
    }
}

/// Let the host's guests run on one processor of the real machine only.
///
/// Guests of a host take turns; it is fastest if they and the thread that steps the host share a processor. Results do not change.
///
/// host: as shimhost_new made it.
/// processor: its number, as for sched_setaffinity(2), below 1024.
/// Returns: 0, or a negative errno; shimsup_message tells more.
/// Errors: -EINVAL for NULL or a greater number; -EBUSY if another thread uses the host. A processor that is not there is ignored.
/// Threads and signals: one thread at a time; not in a signal handler.
/// Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shimhost_run_on(host: *mut Host, processor: u32) -> c_int {
    let run_on = |host: &mut Inside| {
        if processor >= 1024 {
            return Err(Failure::invalid(format!(
                "there is no processor {processor}: pass 0 to 1023"
            )));
        }
        host.host.run_on(processor as usize);
        Ok(())
    };
    // SAFETY: the caller's: NULL or a host.
    answer("shimhost_run_on", unsafe { with(host, run_on) })
}

/// Switch the machine off and on again.
///
/// All processes are killed, and everything that the kernel knew is forgotten: connections, and packets that were on
/// their way to it, too. The clock goes on, and so do the numbers of processes; files are as they were left.
///
/// host: as shimhost_new made it.
/// Returns: 0, or a negative errno; shimsup_message tells more.
/// Errors: -EINVAL for NULL; -EBUSY if another thread uses the host; -ENOMEM and the like.
/// Threads and signals: one thread at a time; not in a signal handler.
/// Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shimhost_reboot(host: *mut Host) -> c_int {
    let reboot = |host: &mut Inside| {
        let result = host.host.reboot(&mut host.recorder);
        result.map_err(|error| Failure::io(&error, "cannot begin anew with an empty kernel"))
    };
    // SAFETY: the caller's: NULL or a host.
    answer("shimhost_reboot", unsafe { with(host, reboot) })
}

/// How many processes of the host have not ended, those that guests made included.
///
/// host: as shimhost_new made it.
/// Returns: their number, or a negative errno; shimsup_message tells more.
/// Errors: -EINVAL for NULL; -EBUSY if another thread uses the host.
/// Threads and signals: one thread at a time; not in a signal handler.
/// Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shimhost_process_count(host: *const Host) -> c_int {
    let count = |host: &mut Inside| Ok(host.host.waiting().len().try_into().unwrap_or(c_int::MAX));
    // SAFETY: the caller's: NULL or a host.
    answer_with("shimhost_process_count", unsafe { with(host, count) })
}

/// End a host. Its processes are killed; packets that were not taken are gone.
///
/// What it had to tell about its processes (shimhost_process_end, shimhost_lack and others) is to be asked before;
/// shimhost_kill_all ends the processes and keeps that.
///
/// host: as shimhost_new made it; NULL does nothing.
/// Returns: nothing.
/// Errors: none.
/// Threads and signals: safe from any thread, if no other one uses the host; not in a signal handler.
/// Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shimhost_free(host: *mut Host) {
    // SAFETY: the caller's: NULL, or a host that is not used any more.
    drop(unsafe { take(host) });
}
