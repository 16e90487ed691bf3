//! What can be read of a guest beside its events: who it is, how it ended, what it had to tell.
//!
//! A guest in; numbers and texts out. Always true: a text that is handed out by pointer is the guest handle's, and stands until the
//! next one is asked for of the same guest; it has no control characters. What the guest says about itself may be wrong.
//!
//! # Safety
//!
//! Unsafe here: exported names, and pointers from C, about which each function says what its caller guarantees.
#![allow(unsafe_code)]

use std::ffi::{CString, c_char, c_int};

use shim_supervisor::ExitStatus;

use super::Guest;
use crate::error::{Failure, answer, answer_with};
use crate::pointer::{object, store};

/// A process exited by itself; the value is its status, 0 to 255.
pub const SHIMSUP_EXITED: i32 = 1;
/// A signal killed a process; the value is the signal's number.
pub const SHIMSUP_KILLED: i32 = 2;
/// Nobody knows: the launcher process was killed, and all guests with it; the value is 0.
pub const SHIMSUP_LOST: i32 = 3;

impl Guest {
    /// Whether it has ended, and how.
    fn end_of(&self) -> Option<ExitStatus> {
        self.interrupter.end()
    }
}

/// The process id of a guest on its machine.
///
/// guest: any guest.
/// Returns: as it was given to shimsup_guest_launch or shimsup_guest_add_process; 0 for NULL.
/// Errors: none.
/// Threads and signals: safe from any thread; not in a signal handler.
/// Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shimsup_guest_pid(guest: *const Guest) -> u32 {
    // SAFETY: the caller's: NULL or a guest.
    unsafe { object(guest, "guest") }.map_or(0, |guest| guest.pid)
}

/// The thread id of a guest on its machine.
///
/// guest: any guest.
/// Returns: as it was given to shimsup_guest_add_thread; the process id for the first thread of a process, and for one that has called
/// execve(2); 0 for NULL.
/// Errors: none.
/// Threads and signals: safe from any thread; not in a signal handler.
/// Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shimsup_guest_tid(guest: *const Guest) -> u32 {
    // SAFETY: the caller's: NULL or a guest.
    unsafe { object(guest, "guest") }.map_or(0, |guest| guest.lock().tid)
}

/// The process id of a guest on the real machine, for messages and debuggers.
///
/// guest: any guest.
/// Returns: the id; 0 for NULL, or if there is none any more.
/// Errors: none.
/// Threads and signals: safe from any thread; not in a signal handler.
/// Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shimsup_guest_native_pid(guest: *const Guest) -> u32 {
    // SAFETY: the caller's: NULL or a guest.
    let guest = unsafe { object(guest, "guest") };
    guest.map_or(0, |guest| guest.lock().guest.as_ref().map_or(0, |guest| guest.native_pid()))
}

/// Change who a guest's process is, as it sees it: after its parent has ended, or for setpgid(2) and setsid(2).
///
/// guest: a thread of the process, none of whose threads has control.
/// parent_pid: what getppid(2) tells; 0 if the parent is outside the simulation.
/// group: the process group.
/// session: the session.
/// Returns: 0, or a negative errno; shimsup_message tells more.
/// Errors: -EINVAL for NULL; -ESRCH if the guest has been given back.
/// Threads and signals: safe from any thread; not in a signal handler.
/// Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shimsup_guest_set_family(
    guest: *mut Guest,
    parent_pid: u32,
    group: u32,
    session: u32,
) -> c_int {
    use std::sync::atomic::Ordering::Relaxed;
    // SAFETY: the caller's: NULL or a guest.
    let guest = unsafe { object(guest, "guest") };
    let set = |guest: &Guest| {
        let inner = guest.lock();
        let Some(guest) = &inner.guest else {
            return Err(Failure::new(libc::ESRCH, "the guest has ended"));
        };
        let block = guest.process();
        for (word, value) in
            [(&block.parent_pid, parent_pid), (&block.group, group), (&block.session, session)]
        {
            word.store(value, Relaxed);
        }
        Ok(())
    };
    answer("shimsup_guest_set_family", guest.and_then(set))
}

/// The program that a guest runs, as it says itself.
///
/// guest: any guest.
/// Ownership: the guest's; valid until the next text is asked for of the same guest.
/// Returns: its name without folders; the empty text before its shim is up, and for NULL.
/// Errors: none.
/// Threads and signals: one thread at a time may ask a guest for texts; not in a signal handler.
/// Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shimsup_guest_program(guest: *const Guest) -> *const c_char {
    // SAFETY: the caller's: NULL or a guest.
    let Ok(guest) = (unsafe { object(guest, "guest") }) else { return c"".as_ptr() };
    let mut inner = guest.lock();
    let name = inner.guest.as_ref().map(|guest| guest.program());
    inner.text = CString::new(name.unwrap_or_default()).unwrap_or_default();
    inner.text.as_ptr()
}

/// How a guest's process has ended.
///
/// guest: any guest.
/// kind: where it goes how: SHIMSUP_EXITED, SHIMSUP_KILLED or SHIMSUP_LOST; or NULL.
/// value: where the status of exit(2), 0 to 255, goes, or the number of the signal; or NULL.
/// Returns: 1 if it has ended; 0 if it lives, and then nothing is stored; or a negative errno; shimsup_message tells more.
/// Errors: -EINVAL for NULL.
/// Threads and signals: safe from any thread; not in a signal handler.
/// Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shimsup_guest_end(
    guest: *const Guest,
    kind: *mut c_int,
    value: *mut c_int,
) -> c_int {
    // SAFETY: the caller's: NULL or a guest.
    let guest = unsafe { object(guest, "guest") };
    let result = guest.map(|guest| {
        let Some(end) = guest.end_of() else { return 0 };
        let (how, number) = match end {
            ExitStatus::Code(code) => (SHIMSUP_EXITED, code),
            ExitStatus::Signal { signal, .. } => (SHIMSUP_KILLED, signal),
            ExitStatus::Lost => (SHIMSUP_LOST, 0),
        };
        // SAFETY: the caller's: NULL or a place for a number.
        unsafe { store(kind, how) };
        // SAFETY: as above.
        unsafe { store(value, number) };
        1
    });
    answer_with("shimsup_guest_end", result)
}

/// Take the oldest of the records that a guest has written: log lines of its shim and of its own (shim_log), and what it asked for
/// and could not have.
///
/// guest: any guest, whose records have come with its events.
/// level: where it goes how important it is, 1 for errors to 5; or NULL. What is missing counts as a warning, 2.
/// time_ns: where the guest's own time goes, in nanoseconds since the start of the simulation; or NULL.
/// text: where the pointer to the text goes; or NULL.
/// Ownership: the text is the guest's, and valid until the next text is asked for of the same guest.
/// Returns: 1 if there was one, 0 if not, or a negative errno; shimsup_message tells more.
/// Errors: -EINVAL for NULL.
/// Threads and signals: one thread at a time may ask a guest for texts; not in a signal handler.
/// Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shimsup_guest_take_record(
    guest: *mut Guest,
    level: *mut u32,
    time_ns: *mut u64,
    text: *mut *const c_char,
) -> c_int {
    // SAFETY: the caller's: NULL or a guest.
    let guest = unsafe { object(guest, "guest") };
    let result = guest.map(|guest| {
        let mut inner = guest.lock();
        let Some(record) = inner.records.pop_front() else { return 0 };
        inner.text = CString::new(record.text).unwrap_or_default();
        // SAFETY: the caller's: NULL or a place for a number.
        unsafe { store(level, record.level) };
        // SAFETY: as above.
        unsafe { store(time_ns, record.time_ns) };
        // SAFETY: as above, for a pointer.
        unsafe { store(text, inner.text.as_ptr()) };
        1
    });
    answer_with("shimsup_guest_take_record", result)
}
