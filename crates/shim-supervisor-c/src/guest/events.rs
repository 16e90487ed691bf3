//! Waiting for guests, and what they said.
//!
//! A simulation or a guest in, an event's number out. Always true: no lock is held while somebody sleeps, so other threads can
//! end a wait; each event is told once; a guest that has nothing to say although it seemed to is waited for again.
//!
//! # Safety
//!
//! Unsafe here: exported names, and pointers from C, about which each function says what its caller guarantees; and handles
//! that are found again by their numbers.
#![allow(unsafe_code)]

use std::ffi::c_int;
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use shim_supervisor::Event;

use super::{Guest, Said};
use crate::error::{Failure, Result, answer, answer_with};
use crate::pointer::{object, store};
use crate::simulation::Simulation;

impl Guest {
    /// Its next event, if it has come; 0 if not.
    fn hear_now(&self) -> c_int {
        let mut inner = self.lock();
        let event = inner.guest.as_mut().and_then(shim_supervisor::Guest::look);
        match event {
            Some(event) => self.hear(&mut inner, event),
            None => {
                // It took back what it had said.
                self.machine.lookout.expect(self.number());
                0
            }
        }
    }

    /// Its next event, whenever it comes.
    fn wait(&self) -> Result<c_int> {
        loop {
            let mut inner = self.lock();
            match inner.said {
                Said::Nothing | Said::Malformed => {}
                said if said.is_end() || self.is_replaced(&inner) => {
                    return Err(Said::Ended.no_answer());
                }
                said => return Err(said.no_answer()),
            }
            // Nobody else is told of it.
            self.machine.lookout.take(self.number());
            let is_dying = inner.said == Said::Malformed;
            let Some(guest) = &mut inner.guest else { return Err(Said::Ended.no_answer()) };
            let event = if is_dying { wait_end(guest) } else { guest.wait() };
            let event = self.hear(&mut inner, event);
            if event != 0 {
                return Ok(event);
            }
        }
    }
}

/// The end of a guest that was killed.
fn wait_end(guest: &shim_supervisor::Guest) -> Event {
    // Nobody is kept waiting for long: a SIGKILL is reported within milliseconds.
    const RECHECK: Duration = Duration::from_micros(200);
    loop {
        if let Some(end) = guest.latest_end() {
            return Event::Exited(end);
        }
        std::thread::sleep(RECHECK);
    }
}

/// Wait for whichever of a simulation's guests speaks first. `None`: nobody has within `limit`.
///
/// # Safety
///
/// No guest of the simulation is freed meanwhile.
unsafe fn wait(simulation: &Simulation, limit: Option<Duration>) -> Option<(*mut Guest, c_int)> {
    let deadline = limit.and_then(|limit| Instant::now().checked_add(limit));
    loop {
        let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
        let number = simulation.lookout().wait(left)?;
        let found = std::ptr::with_exposed_provenance_mut::<Guest>(number as usize);
        // SAFETY: a handle that is on the lookout is not freed, which takes it off first, and the caller's promise is that
        // none is freed from then on.
        let event = unsafe { &*found }.hear_now();
        if event != 0 {
            return Some((found, event));
        }
    }
}

/// Wait until one of a simulation's guests on bare hosts has something to say.
///
/// What it says is the returned event: SHIMSUP_EVENT_START and so on, each of which names the functions that answer it. A guest
/// that waits for an answer may be left waiting as long as one likes, in simulated time: that is how a call takes time.
/// shimsup_guest_park says that it is going to be. Deaths are told of whatever the guest was about.
///
/// A guest has control from an answer to its next event. On each host one guest at a time has it, and one that is to get it while
/// another one has it is refused (-EBUSY): so answer a guest, wait, and answer the next one. A simulation with several hosts may
/// have one running on each; which of them is heard first then depends on the real machine, and a simulator that wants its runs to
/// be alike does not let anything depend on it. The simplest discipline is one guest at a time in the whole simulation.
///
/// simulation: as shimsup_simulation_new made it.
/// timeout_ns: how long to wait at most, in real nanoseconds; 0 to look only; UINT64_MAX for ever.
/// guest: where the guest goes that has spoken; NULL goes there if none has.
/// Ownership: the guest stays the caller's.
/// Returns: the event, a positive number; 0 if the time is over, or shimsup_wake was called; or a negative errno; shimsup_message
/// tells more.
/// Errors: -EINVAL for NULL.
/// Threads and signals: safe from any thread, also several at once; nobody may free a guest meanwhile. Not in a signal handler, and
/// signals do not end it.
/// Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shimsup_wait(
    simulation: *mut Simulation,
    timeout_ns: u64,
    guest: *mut *mut Guest,
) -> c_int {
    // SAFETY: the caller's: NULL or a simulation.
    let simulation = unsafe { object(simulation, "simulation") };
    let limit = (timeout_ns != u64::MAX).then(|| Duration::from_nanos(timeout_ns));
    let wait = || {
        if guest.is_null() {
            return Err(Failure::invalid("guest is NULL"));
        }
        // SAFETY: the caller's promise.
        let found = unsafe { wait(simulation?, limit) };
        Ok(found.unwrap_or((std::ptr::null_mut(), 0)))
    };
    let result = wait().map(|(found, event)| {
        // SAFETY: the caller's: it can be written.
        unsafe { store(guest, found) };
        event
    });
    answer_with("shimsup_wait", result)
}

/// Wait for the next event of one guest: what shimsup_wait does, and faster where it is known whose turn it is.
///
/// guest: it has control, or was just launched.
/// Returns: the event, a positive number; or a negative errno; shimsup_message tells more.
/// Errors: -EINVAL for NULL, or if the guest waits for an answer; -ESRCH if it has ended and that was told.
/// Threads and signals: safe from any thread, if no other one waits for this guest; it ends when the guest speaks or dies
/// (shimsup_guest_kill is for other threads, too). Not in a signal handler.
/// Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shimsup_guest_wait(guest: *mut Guest) -> c_int {
    // SAFETY: the caller's: NULL or a guest.
    let guest = unsafe { object(guest, "guest") };
    answer_with("shimsup_guest_wait", guest.and_then(Guest::wait))
}

/// End a shimsup_wait of another thread, which returns 0; or the next one, if none is under way.
///
/// simulation: as shimsup_simulation_new made it.
/// Returns: 0, or a negative errno; shimsup_message tells more.
/// Errors: -EINVAL for NULL.
/// Threads and signals: safe from any thread, and in a signal handler with a simulation that is not NULL.
/// Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shimsup_wake(simulation: *mut Simulation) -> c_int {
    // SAFETY: the caller's: NULL or a simulation.
    let simulation = unsafe { object(simulation, "simulation") };
    answer("shimsup_wake", simulation.map(|simulation| simulation.lookout().wake()))
}

/// A descriptor to poll for guests that have something to say, beside others of the calling program's.
///
/// It becomes readable when there is an event. Then call shimsup_wait with a time-out of 0 until it returns 0: after that, and not
/// before, it is unreadable again. The first call starts a thread, in which all signals are blocked, that waits for guests.
///
/// simulation: as shimsup_simulation_new made it.
/// Ownership: the descriptor is the library's: it is polled, and neither read nor closed. It goes with the simulation.
/// Returns: the descriptor, or a negative errno; shimsup_message tells more.
/// Errors: -EINVAL for NULL; -EMFILE, -ENFILE, -EAGAIN if there can be no further descriptor or thread.
/// Threads and signals: safe from any thread; not in a signal handler.
/// Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shimsup_simulation_descriptor(simulation: *mut Simulation) -> c_int {
    // SAFETY: the caller's: NULL or a simulation.
    let simulation = unsafe { object(simulation, "simulation") };
    let result = simulation.and_then(|simulation| {
        let descriptor = simulation.lookout().descriptor();
        let failed = |error| Failure::io(&error, "cannot start to watch guests");
        descriptor.map(|descriptor| descriptor.as_raw_fd()).map_err(failed)
    });
    answer_with("shimsup_simulation_descriptor", result)
}

/// What a guest said last.
///
/// guest: any guest.
/// Returns: the event that shimsup_wait or shimsup_guest_wait told; 0 if the guest has control, waits for its first turn, or is
/// NULL.
/// Errors: none.
/// Threads and signals: safe from any thread; not in a signal handler.
/// Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shimsup_guest_event(guest: *const Guest) -> c_int {
    // SAFETY: the caller's: NULL or a guest.
    unsafe { object(guest, "guest") }.map_or(0, |guest| guest.lock().said.event())
}

/// The number of the system call in which a guest waits for an answer.
///
/// Numbers are those of <sys/syscall.h>. Numbers from 65536 on are questions of the shim's own; whoever does not know them answers
/// -ENOSYS, and the guest does without. docs/protocol.md names them.
///
/// guest: its event is SHIMSUP_EVENT_CALL.
/// Returns: the number, or a negative errno; shimsup_message tells more.
/// Errors: -EINVAL for NULL, or another event.
/// Threads and signals: safe from any thread; not in a signal handler.
/// Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shimsup_guest_call_number(guest: *const Guest) -> i64 {
    // SAFETY: the caller's: NULL or a guest.
    let guest = unsafe { object(guest, "guest") };
    let number = guest.and_then(|guest| match guest.lock().said {
        Said::Call { number, .. } => Ok(number),
        _ => Err(Failure::invalid("the guest waits for no answer to a call")),
    });
    match number {
        Ok(number) => number.into(),
        Err(failure) => crate::error::note("shimsup_guest_call_number", &failure).into(),
    }
}

/// An argument of the system call in which a guest waits for an answer.
///
/// guest: its event is SHIMSUP_EVENT_CALL.
/// index: 0 to 5.
/// Returns: the argument; 0 for NULL, another event or another index. A call's arguments are what its guest says: pointers may point
/// nowhere.
/// Errors: none.
/// Threads and signals: safe from any thread; not in a signal handler.
/// Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shimsup_guest_call_argument(guest: *const Guest, index: u32) -> u64 {
    // SAFETY: the caller's: NULL or a guest.
    unsafe { object(guest, "guest") }.map_or(0, |guest| match guest.lock().said {
        Said::Call { args, .. } => args.get(index as usize).copied().unwrap_or(0),
        _ => 0,
    })
}
