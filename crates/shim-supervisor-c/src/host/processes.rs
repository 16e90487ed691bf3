//! What becomes of a host's processes: ends, signals, interrupts.
//!
//! Virtual process ids and signals in; ends out. Always true: a process is named by the id that `shimhost_spawn` told, and
//! its end stays known as long as the host is there; interrupts alone come from any thread, while the
//! host is stepped, too. Starting is in `unit`, what processes are waiting for in `account`.
//!
//! # Safety
//!
//! Unsafe here: exported names, and pointers from C, about which each function says what its caller guarantees.
#![allow(unsafe_code)]

use std::ffi::c_int;

use shim_host::ProcessEnd;

use super::{Host, Inside, with};
use crate::error::{Failure, Result, answer, answer_with};
use crate::pointer::{object, store};

/// A process exited by itself; the value is its status, 0 to 255.
pub const SHIMHOST_EXITED: i32 = 1;
/// A signal killed a process; the value is the signal's number.
pub const SHIMHOST_KILLED: i32 = 2;

/// Linux has no greater signal.
const MAX_SIGNAL: u32 = 64;

impl Inside {
    /// Make sure that the owner has started a process.
    pub(super) fn started_here(&self, pid: u32) -> Result<()> {
        if self.started.contains(&pid) {
            return Ok(());
        }
        let what = format!("shimhost_spawn has told of no process {pid} on this host");
        Err(Failure::new(libc::ESRCH, what))
    }
}

/// Kind and value of an end, as C has them.
pub(super) fn numbers(end: ProcessEnd) -> (c_int, c_int) {
    match end {
        ProcessEnd::Exited(status) => (SHIMHOST_EXITED, status),
        ProcessEnd::Killed(signal) => (SHIMHOST_KILLED, signal.try_into().unwrap_or(c_int::MAX)),
    }
}

fn checked(signal: c_int) -> Result<u32> {
    let number = u32::try_from(signal).ok().filter(|signal| (1..=MAX_SIGNAL).contains(signal));
    number.ok_or_else(|| Failure::invalid(format!("there is no signal {signal}: pass 1 to 64")))
}

/// Whether a process has ended, and how.
///
/// host: as shimhost_new made it.
/// pid: the process, as shimhost_spawn told.
/// kind: where SHIMHOST_EXITED or SHIMHOST_KILLED goes; NULL if nobody wants it.
/// value: where its status or its signal goes; NULL if nobody wants it.
/// Returns: 1 if it has ended; 0 if it runs still, and nothing is stored; or a negative errno; shimsup_message tells more.
/// Errors: -EINVAL for NULL; -ESRCH if shimhost_spawn has told of no such process: those that guests made themselves are
/// their parents'; -EBUSY if another thread uses the host.
/// Threads and signals: one thread at a time; not in a signal handler.
/// Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shimhost_process_end(
    host: *const Host,
    pid: u32,
    kind: *mut c_int,
    value: *mut c_int,
) -> c_int {
    let end = |host: &mut Inside| {
        host.started_here(pid)?;
        Ok(host.host.end_of(pid))
    };
    // SAFETY: the caller's: NULL or a host.
    let result = unsafe { with(host, end) }.map(|end| {
        let Some((end_kind, end_value)) = end.map(numbers) else { return 0 };
        // SAFETY: the caller's: NULL or a place for a number.
        unsafe { store(kind, end_kind) };
        // SAFETY: as above.
        unsafe { store(value, end_value) };
        1
    });
    answer_with("shimhost_process_end", result)
}

/// Send a signal to a process at the host's now, as another process does by kill(2).
///
/// What it does is the process's to decide, when the host is stepped; SIGKILL kills it at once. A process that has ended
/// is left alone.
///
/// host: as shimhost_new made it.
/// pid: the process, as shimhost_spawn told.
/// signal: its number, 1 to 64.
/// Returns: 0, or a negative errno; shimsup_message tells more.
/// Errors: -EINVAL for NULL or another number; -ESRCH if shimhost_spawn has told of no such process; -EBUSY if another thread uses
/// the host.
/// Threads and signals: one thread at a time; not in a signal handler.
/// Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shimhost_signal(host: *mut Host, pid: u32, signal: c_int) -> c_int {
    let send = |host: &mut Inside| {
        host.started_here(pid)?;
        let signal = checked(signal)?;
        host.host.signal(pid, signal, &mut host.recorder);
        Ok(())
    };
    // SAFETY: the caller's: NULL or a host.
    answer("shimhost_signal", unsafe { with(host, send) })
}

/// Kill all processes of the host at its now, and hear of their ends.
///
/// The host stays as it is otherwise: it can be asked about them, stepped, and given new ones.
///
/// host: as shimhost_new made it.
/// Returns: 0, or a negative errno; shimsup_message tells more.
/// Errors: -EINVAL for NULL; -EBUSY if another thread uses the host.
/// Threads and signals: one thread at a time; not in a signal handler.
/// Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shimhost_kill_all(host: *mut Host) -> c_int {
    let kill = |host: &mut Inside| {
        host.host.kill_all(&mut host.recorder);
        Ok(())
    };
    // SAFETY: the caller's: NULL or a host.
    answer("shimhost_kill_all", unsafe { with(host, kill) })
}

/// Send a signal to the processes of the host as a terminal does, from any thread, at any time.
///
/// It reaches all of them but those that have made a session of their own. It wakes guests while another thread steps the host; when in
/// simulated time they notice depends on the real machine, so a run with interrupts does not repeat. For a person who
/// presses a key; shimhost_signal is for simulations.
///
/// host: as shimhost_new made it, and not freed meanwhile.
/// signal: its number, 1 to 64.
/// Returns: 0, or a negative errno; shimsup_message tells more.
/// Errors: -EINVAL for NULL or another number.
/// Threads and signals: safe from any thread, also while another one uses the host; not in a signal handler.
/// Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shimhost_interrupt(host: *const Host, signal: c_int) -> c_int {
    // SAFETY: the caller's: NULL or a host.
    let host = unsafe { object(host, "host") };
    let result = host.and_then(|host| Ok((host, checked(signal)?)));
    let result = result.map(|(host, signal)| host.interrupter.interrupt(signal));
    answer("shimhost_interrupt", result)
}

/// Kill the processes of the host from outside, now, from any thread, also if they make no call.
///
/// A step that is under way comes to its end soon. A process that is being made at that very moment may escape: call it again until the
/// step has ended. Afterwards the host is good for being asked and freed.
///
/// host: as shimhost_new made it, and not freed meanwhile.
/// Returns: 0, or a negative errno; shimsup_message tells more.
/// Errors: -EINVAL for NULL.
/// Threads and signals: safe from any thread, also while another one uses the host; not in a signal handler.
/// Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shimhost_kill_from_outside(host: *const Host) -> c_int {
    // SAFETY: the caller's: NULL or a host.
    let host = unsafe { object(host, "host") };
    answer("shimhost_kill_from_outside", host.map(|host| host.interrupter.kill()))
}

/// Look for processes that were killed from outside and whose ends have not been reported yet.
///
/// A step hears of ends that are reported. Where it leaves processes and shimhost_next_event says SHIMHOST_NEVER, one may be on its way.
///
/// host: as shimhost_new made it.
/// Returns: 1 if there was one, 0 if not, or a negative errno; shimsup_message tells more.
/// Errors: -EINVAL for NULL; -EBUSY if another thread uses the host.
/// Threads and signals: one thread at a time; not in a signal handler.
/// Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shimhost_look_for_dead(host: *mut Host) -> c_int {
    let look = |host: &mut Inside| Ok(host.host.look_for_dead(&mut host.recorder).into());
    // SAFETY: the caller's: NULL or a host.
    answer_with("shimhost_look_for_dead", unsafe { with(host, look) })
}
