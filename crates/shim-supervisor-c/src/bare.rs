//! A bare host: a simulated machine without a kernel, whose guests ask the calling program for everything that their
//! own shim cannot answer.
//!
//! Settings in; the memory files of a host, its clock, and the right to give one guest control, out. Always true: settings
//! stand still from the first guest on, because they are written once into memory that guests map; at most one guest that has
//! said its first word has control, since the shim's state of a host is made for that; the host's clock moves only
//! while none has, and never back: to where the guest is that hands control back, or to where the caller sets it. Settings
//! are made in `settings`; what the guests say is `guest`'s.
//!
//! # Safety
//!
//! Unsafe here: exported names, and pointers from C, about which each function says what its caller guarantees.
#![allow(unsafe_code)]

mod settings;

use std::ffi::{c_char, c_int};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use shim_abi::SimTime;
use shim_abi::clock::Rate;
use shim_abi::manager::{EmulateTsc, Patching};
use shim_abi::process::MAX_DESCRIPTORS;
use shim_abi::random::Stream;
use shim_supervisor::{
    HostMemory, HostSettings, Identity, Launcher, Library, Lookout, ManagerSettings,
};

use crate::error::{Failure, Result, answer};
use crate::pointer::{give, object, take, text, utf8};
use crate::simulation::Simulation;

/// A bare host. Opaque.
pub struct BareHost {
    pub(crate) machine: Arc<Machine>,
}

/// What a bare host and its guests share.
pub(crate) struct Machine {
    pub(crate) launcher: Arc<Launcher>,
    pub(crate) lookout: Arc<Lookout>,
    library: Library,
    state: Mutex<State>,
}

struct State {
    seed: u64,
    manager: ManagerSettings,
    host: HostSettings,
    /// Made with the first guest.
    memory: Option<Arc<HostMemory>>,
    now: SimTime,
    run_until: SimTime,
    /// The guest that has control, if one has that has said its first word.
    in_control: Option<u64>,
}

/// The soft limit of descriptors, as on most systems.
const DESCRIPTORS_SOFT: u32 = 1024;
/// Midnight of 2000-01-01.
const START_REALTIME_NS: i64 = 946_684_800 * 1_000_000_000;
const UPTIME_NS: u64 = 100 * 1_000_000_000;
/// What a call costs that is answered.
const LATENCY_NS: u64 = 1_000;
/// What a guest is charged that is preempted.
const PREEMPTION_NS: u64 = 1_000_000_000;

impl Machine {
    fn new(simulation: &Simulation, host_id: u32, hostname: &str) -> Result<Machine> {
        if hostname.is_empty() || hostname.len() > 64 {
            return Err(Failure::invalid(format!(
                "hostname has {} bytes: 1 to 64",
                hostname.len()
            )));
        }
        let manager = ManagerSettings {
            start_realtime_ns: START_REALTIME_NS,
            start_wall_ns: simulation.wall_start_ns(),
            tsc_frequency_hz: 1_000_000_000,
            syscall_latency_ns: LATENCY_NS,
            vdso_latency_ns: LATENCY_NS,
            emulate_tsc: EmulateTsc::Auto,
            patching: Patching::On,
        };
        // Programs derive from the release which system calls they may try.
        let real = rustix::system::uname();
        let host = HostSettings {
            host_id,
            uptime_at_start_ns: UPTIME_NS,
            realtime_offset_ns: 0,
            rate: Rate::EXACT,
            preemption_ns: PREEMPTION_NS,
            cpu_count: 1,
            log_level: 0,
            is_tracing: false,
            ipv4: 0,
            ipv4_prefix_bits: 8,
            ipv6: None,
            ipv6_prefix_bits: 64,
            names: simulation.names()?,
            hostname: hostname.to_owned(),
            kernel_release: real.release().to_string_lossy().into_owned(),
            kernel_version: real.version().to_string_lossy().into_owned(),
            domainname: "(none)".to_owned(),
        };
        Ok(Machine {
            launcher: simulation.launcher().clone(),
            lookout: simulation.lookout().clone(),
            library: simulation.library().clone(),
            state: Mutex::new(State {
                seed: 1,
                manager,
                host,
                memory: None,
                now: SimTime::ZERO,
                run_until: SimTime::MAX,
                in_control: None,
            }),
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Change a setting.
    fn configure(&self, change: impl FnOnce(&mut State)) -> Result<()> {
        let mut state = self.lock();
        if state.memory.is_some() {
            let text = "the host has had a guest: configure it before its first one";
            return Err(Failure::new(libc::EBUSY, text));
        }
        change(&mut state);
        Ok(())
    }

    /// The memory files, from now on with these settings.
    pub(crate) fn memory(&self) -> Result<Arc<HostMemory>> {
        let mut state = self.lock();
        if let Some(memory) = &state.memory {
            return Ok(memory.clone());
        }
        let made = HostMemory::new(&self.library, &state.manager, &state.host, None);
        let made =
            made.map_err(|error| Failure::io(&error, "cannot make the host's memory files"))?;
        let memory = Arc::new(made);
        memory.set_now(state.now);
        memory.set_run_until(state.run_until);
        state.memory = Some(memory.clone());
        Ok(memory)
    }

    /// Who a process is that has this number and no parent.
    pub(crate) fn identity(&self, pid: u32) -> Identity {
        let hard = self.launcher.handoff_number().min(MAX_DESCRIPTORS as u32);
        let state = self.lock();
        let number = pid.to_string();
        let names = ["host", &state.host.hostname, "process", &number];
        Identity {
            pid,
            tid: pid,
            parent_pid: 0,
            group: pid,
            session: pid,
            descriptor_limit: (hard.min(DESCRIPTORS_SOFT), hard),
            random: Stream::named(state.seed, &names).state(),
        }
    }

    /// This guest gets control.
    pub(crate) fn give_control(&self, guest: u64) -> Result<()> {
        let mut state = self.lock();
        if state.in_control.is_some_and(|other| other != guest) {
            let text = "another guest of the host has control: wait for its next event first";
            return Err(Failure::new(libc::EBUSY, text));
        }
        state.in_control = Some(guest);
        drop(state);
        self.publish_clock();
        Ok(())
    }

    /// This guest has no control any more; if it had it, it was by so much ahead of the host's clock.
    pub(crate) fn take_control(&self, guest: u64, charged_ns: u64) {
        let mut state = self.lock();
        if state.in_control == Some(guest) {
            state.in_control = None;
            let ns = state.now.as_ns().saturating_add(charged_ns);
            state.now = SimTime::from_ns(ns);
        }
    }

    /// Tell guests the time. While none has control.
    pub(crate) fn publish_clock(&self) {
        let state = self.lock();
        if let Some(memory) = &state.memory {
            memory.set_now(state.now);
            memory.set_run_until(state.run_until);
        }
    }

    fn set_now(&self, now: SimTime) -> Result<()> {
        let mut state = self.lock();
        state.check_nobody_runs()?;
        if now < state.now {
            let (now, then) = (now.as_ns(), state.now.as_ns());
            return Err(Failure::invalid(format!(
                "now_ns is {now}, and the host is at {then} already"
            )));
        }
        state.now = now;
        Ok(())
    }

    fn set_run_until(&self, until: SimTime) -> Result<()> {
        let mut state = self.lock();
        state.check_nobody_runs()?;
        state.run_until = until;
        Ok(())
    }
}

impl State {
    fn check_nobody_runs(&self) -> Result<()> {
        match self.in_control {
            None => Ok(()),
            Some(_) => Err(Failure::new(
                libc::EBUSY,
                "a guest of the host has control: wait for its next event first",
            )),
        }
    }
}

/// Make a bare host: a simulated machine without a kernel.
///
/// Its guests answer clocks, ids, names and random numbers themselves, have the real kernel serve files and memory, and ask
/// the calling program for everything else: see shimsup_wait. (Hosts with a kernel are made by shimhost_new.) A program may have
/// both in one simulation.
///
/// Settings are made by shimsup_host_set_* before the first guest is launched. Without them the machine has the id host_id, no
/// address, one processor and the kernel release of the real one; the simulation starts at midnight of 2000-01-01 UTC, 100 s
/// after the machine was booted; a call costs a microsecond.
///
/// simulation: as shimsup_simulation_new made it. No names can be added to it any more.
/// host_id: number of the host in the simulation, by which its names are found; each host has another one.
/// hostname: what uname(2) says, 1 to 64 bytes.
/// host: where the new host goes; NULL goes there if the call fails.
/// Ownership: the host is the caller's, to be freed by shimsup_host_free; the text is copied.
/// Returns: 0, or a negative errno; shimsup_message tells more.
/// Errors: -EINVAL for NULL or a bad name; -ENOMEM.
/// Threads and signals: safe from any thread; not in a signal handler.
/// Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shimsup_host_new(
    simulation: *mut Simulation,
    host_id: u32,
    hostname: *const c_char,
    host: *mut *mut BareHost,
) -> c_int {
    // SAFETY: the caller's: NULL or a simulation.
    let simulation = unsafe { object(simulation, "simulation") };
    // SAFETY: the caller's: NULL or a text.
    let hostname = unsafe { text(hostname, "hostname") };
    let make = || {
        let machine = Machine::new(simulation?, host_id, utf8(hostname?, "hostname")?)?;
        Ok(BareHost { machine: Arc::new(machine) })
    };
    // SAFETY: the caller's: NULL or a place for a pointer.
    answer("shimsup_host_new", unsafe { give(host, "host", make) })
}

/// Simulated now of a bare host.
///
/// It is where the guest was that handed control back last, or where shimsup_host_set_now_ns has set it: the later of the two.
///
/// host: as shimsup_host_new made it.
/// Returns: nanoseconds since the start of the simulation; 0 for NULL.
/// Errors: none.
/// Threads and signals: safe from any thread; not in a signal handler.
/// Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shimsup_host_now_ns(host: *const BareHost) -> u64 {
    // SAFETY: the caller's: NULL or a host.
    unsafe { object(host, "host") }.map_or(0, |host| host.machine.lock().now.as_ns())
}

/// Move a bare host's clock on: before a guest is answered, to the instant at which it goes on.
///
/// host: as shimsup_host_new made it, none of whose guests has control.
/// now_ns: nanoseconds since the start of the simulation, not before shimsup_host_now_ns.
/// Returns: 0, or a negative errno; shimsup_message tells more.
/// Errors: -EINVAL for NULL, or an instant in the past; -EBUSY if a guest of the host has control.
/// Threads and signals: safe from any thread; not in a signal handler.
/// Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shimsup_host_set_now_ns(host: *mut BareHost, now_ns: u64) -> c_int {
    // SAFETY: the caller's: NULL or a host.
    let host = unsafe { object(host, "host") };
    let result = host.and_then(|host| host.machine.set_now(SimTime::from_ns(now_ns)));
    answer("shimsup_host_set_now_ns", result)
}

/// Set the instant at which a guest of a bare host hands control back by itself, with SHIMSUP_EVENT_LIMIT.
///
/// So a guest that only computes and looks at the clock does not run past an event of the calling program's. One that makes no
/// call at all does: see shimsup_guest_preempt.
///
/// host: as shimsup_host_new made it, none of whose guests has control.
/// until_ns: nanoseconds since the start of the simulation; UINT64_MAX, which it is at first, for never.
/// Returns: 0, or a negative errno; shimsup_message tells more.
/// Errors: -EINVAL for NULL; -EBUSY if a guest of the host has control.
/// Threads and signals: safe from any thread; not in a signal handler.
/// Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shimsup_host_set_run_until_ns(
    host: *mut BareHost,
    until_ns: u64,
) -> c_int {
    // SAFETY: the caller's: NULL or a host.
    let host = unsafe { object(host, "host") };
    let result = host.and_then(|host| host.machine.set_run_until(SimTime::from_ns(until_ns)));
    answer("shimsup_host_set_run_until_ns", result)
}

/// End a bare host. Its guests keep what they need of it, and run until they are freed.
///
/// host: as shimsup_host_new made it; NULL does nothing.
/// Returns: nothing.
/// Errors: none.
/// Threads and signals: safe from any thread, if no other one uses the host; not in a signal handler.
/// Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shimsup_host_free(host: *mut BareHost) {
    // SAFETY: the caller's: NULL, or a host that is not used any more.
    drop(unsafe { take(host) });
}
