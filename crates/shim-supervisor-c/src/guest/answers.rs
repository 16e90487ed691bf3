//! Answers to guests, and native calls before them.
//!
//! Results in; control goes to the guest. Always true: who did not ask gets no answer; an answer is given once; the guest's host
//! has no other guest with control then.
//!
//! # Safety
//!
//! Unsafe here: exported names, and pointers from C, about which each function says what its caller guarantees.
#![allow(unsafe_code)]

use std::ffi::c_int;
use std::sync::atomic::Ordering::Relaxed;

use shim_abi::event::{Reply, SignalInfo};
use shim_abi::process::MAX_SIGNAL;

use super::{Guest, Said, complete, ended};
use crate::error::{Failure, Result, answer};
use crate::pointer::{bytes, object, store};

/// It waits for a result.
fn wants_result(said: Said) -> bool {
    matches!(said, Said::Call { .. } | Said::Limit | Said::Preempted | Said::Signals)
}

fn check_signal(signal: c_int) -> Result<u32> {
    let number = u32::try_from(signal).ok().filter(|&n| (1..=MAX_SIGNAL as u32).contains(&n));
    number.ok_or_else(|| Failure::invalid(format!("signal is {signal}: 1 to {MAX_SIGNAL}")))
}

impl Guest {
    fn complete(&self, result: i64) -> Result<()> {
        self.reply(&mut self.lock(), wants_result, &complete(result, true))
    }

    fn complete_with_signal(&self, result: i64, info: SignalInfo) -> Result<()> {
        let mut inner = self.lock();
        let guest = self.waiting(&mut inner, wants_result)?;
        if super::signals::disposition(guest, info.signal) != super::signals::HANDLER {
            let text = format!("the guest has no handler for signal {}", info.signal);
            return Err(Failure::invalid(text));
        }
        let signal = Some(info);
        let reply = Reply::Complete { result, copies_bytes: 0, is_clock_advanced: true, signal };
        let pending = &guest.thread().pending_signals;
        let bit = 1_u64 << (info.signal - 1);
        let was = pending.fetch_and(!bit, Relaxed);
        let replied = self.reply(&mut inner, wants_result, &reply);
        if let (Err(_), Some(guest)) = (&replied, &inner.guest) {
            guest.thread().pending_signals.fetch_or(was & bit, Relaxed);
        }
        replied
    }

    fn native_call(&self, number: u32, args: [u64; 6]) -> Result<i64> {
        let mut inner = self.lock();
        let guest = self.waiting(&mut inner, wants_result)?;
        self.machine.publish_clock();
        guest.native_call(number, args).map_err(ended)
    }

    fn run_natively(&self) -> Result<()> {
        let said = self.lock().said;
        let Said::Call { number, args } = said else { return Err(said.no_answer()) };
        let result = self.native_call(number, args)?;
        self.complete(result)
    }

    fn park(&self) -> Result<()> {
        let mut inner = self.lock();
        let guest = self.waiting(&mut inner, wants_result)?;
        let failed = |_| Failure::new(libc::EFAULT, "memory of the guest's could not be written");
        guest.memory().settle().map_err(failed)
    }
}

/// Let a guest begin: a new image (SHIMSUP_EVENT_START), or one that another guest made (shimsup_guest_add_process).
///
/// guest: it waits for its first turn, or that of its new image.
/// Returns: 0, or a negative errno; shimsup_message tells more.
/// Errors: -EINVAL for NULL, or if the guest waits for something else; -EBUSY if it or another guest of its host has control; -ESRCH
/// if it has ended.
/// Threads and signals: safe from any thread; not in a signal handler.
/// Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shimsup_guest_begin(guest: *mut Guest) -> c_int {
    // SAFETY: the caller's: NULL or a guest.
    let guest = unsafe { object(guest, "guest") };
    let is_right = |said| matches!(said, Said::Start | Said::Born);
    let result = guest.and_then(|guest| guest.reply(&mut guest.lock(), is_right, &Reply::Started));
    answer("shimsup_guest_begin", result)
}

/// Answer a guest, which goes on at its host's now.
///
/// guest: it waits for an answer to a call, or to another event that says so.
/// result: what the call returns: a number, or a negative errno. The answer to other events is 0. As on Linux, -512 (ERESTARTSYS)
/// becomes -EINTR or has the call made again, as the handler's flags say that shimsup_guest_complete_with_signal runs.
/// Returns: 0, or a negative errno; shimsup_message tells more.
/// Errors: -EINVAL for NULL, or if the guest waits for something else; -EBUSY if it or another guest of its host has control; -ESRCH
/// if it has ended.
/// Threads and signals: safe from any thread; not in a signal handler.
/// Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shimsup_guest_complete(guest: *mut Guest, result: i64) -> c_int {
    // SAFETY: the caller's: NULL or a guest.
    let guest = unsafe { object(guest, "guest") };
    answer("shimsup_guest_complete", guest.and_then(|guest| guest.complete(result)))
}

/// Answer a guest, and deliver a signal: its handler runs before the call returns.
///
/// Whether the guest blocks the signal, ignores it or dies of it is the calling program's to find out first:
/// shimsup_guest_signal_mask, shimsup_guest_signal_disposition. The signal is not pending any more afterwards.
///
/// guest: it waits for an answer to a call, or to another event that says so.
/// result: as for shimsup_guest_complete.
/// signal: 1 to 64; the guest has a handler for it.
/// code: si_code, such as SI_USER.
/// pid: si_pid, the process that has sent it on the simulated machine.
/// value: si_value; for SIGCHLD si_status.
/// Returns: 0, or a negative errno; shimsup_message tells more.
/// Errors: as for shimsup_guest_complete, and -EINVAL if signal is none or the guest has no handler for it.
/// Threads and signals: safe from any thread; not in a signal handler.
/// Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shimsup_guest_complete_with_signal(
    guest: *mut Guest,
    result: i64,
    signal: c_int,
    code: c_int,
    pid: u32,
    value: u64,
) -> c_int {
    // SAFETY: the caller's: NULL or a guest.
    let guest = unsafe { object(guest, "guest") };
    let complete = || {
        let guest = guest?;
        let signal = check_signal(signal)?;
        let uid = rustix::process::getuid().as_raw();
        let info = SignalInfo { signal, code, pid, uid, value, tail: [0; 2] };
        guest.complete_with_signal(result, info)
    };
    answer("shimsup_guest_complete_with_signal", complete())
}

/// Have a guest die of a signal, as if it had come from its machine: its process's end is SHIMSUP_KILLED.
///
/// guest: it waits for an answer to a call, or to another event that says so.
/// signal: 1 to 64, whose default action is to end the process.
/// Returns: 0, or a negative errno; shimsup_message tells more.
/// Errors: as for shimsup_guest_complete, and -EINVAL if signal is none.
/// Threads and signals: safe from any thread; not in a signal handler.
/// Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shimsup_guest_die(guest: *mut Guest, signal: c_int) -> c_int {
    // SAFETY: the caller's: NULL or a guest.
    let guest = unsafe { object(guest, "guest") };
    let die = || {
        let guest = guest?;
        let reply = Reply::Die { signal: check_signal(signal)? };
        guest.reply(&mut guest.lock(), wants_result, &reply)
    };
    answer("shimsup_guest_die", die())
}

/// Have a guest make a system call natively, and wait for its result; it still waits for its answer afterwards.
///
/// What the call returns is the real machine's, and so is the time that it takes: a call that waits keeps the calling program
/// waiting, and what it tells of clocks, ids and the network is not the simulation's.
///
/// guest: it waits for an answer to a call, or to another event that says so.
/// number: a number of <sys/syscall.h>.
/// arguments: six words; pointers are the guest's.
/// result: where the result goes, as the real kernel returned it: a number, or a negative errno; or NULL.
/// Returns: 0, or a negative errno; shimsup_message tells more.
/// Errors: -EINVAL for NULL, or if the guest waits for something else; -EBUSY if it has control; -ESRCH if it has ended, or ends in
/// the call: then its end is its next event.
/// Threads and signals: safe from any thread; not in a signal handler.
/// Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shimsup_guest_native_call(
    guest: *mut Guest,
    number: u32,
    arguments: *const u64,
    result: *mut i64,
) -> c_int {
    // SAFETY: the caller's: NULL or a guest.
    let guest = unsafe { object(guest, "guest") };
    // SAFETY: the caller's: NULL or six words.
    let words = unsafe { bytes(arguments.cast(), size_of::<[u64; 6]>(), "arguments") };
    let call = || {
        let mut args = [0; 6];
        for (to, from) in args.iter_mut().zip(words?.chunks_exact(8)) {
            let mut word = [0; 8];
            word.copy_from_slice(from);
            *to = u64::from_ne_bytes(word);
        }
        guest?.native_call(number, args)
    };
    let called = call().map(|value| {
        // SAFETY: the caller's: NULL or a place for a number.
        unsafe { store(result, value) };
    });
    answer("shimsup_guest_native_call", called)
}

/// Have a guest make the call natively in which it waits, and answer it with the result.
///
/// See shimsup_guest_native_call for what that means.
///
/// guest: its event is SHIMSUP_EVENT_CALL.
/// Returns: 0, or a negative errno; shimsup_message tells more.
/// Errors: as for shimsup_guest_native_call and shimsup_guest_complete.
/// Threads and signals: safe from any thread; not in a signal handler.
/// Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shimsup_guest_run_natively(guest: *mut Guest) -> c_int {
    // SAFETY: the caller's: NULL or a guest.
    let guest = unsafe { object(guest, "guest") };
    answer("shimsup_guest_run_natively", guest.and_then(Guest::run_natively))
}

/// Say that a guest is left waiting: it will be answered later, and others go on meanwhile.
///
/// What was written to its memory is stored now, where it might otherwise go with the answer, and what is read of it later is read
/// anew. To be called before another guest of its process is answered, if this one's memory was written or is read later.
///
/// guest: it waits for an answer to a call, or to another event that says so.
/// Returns: 0, or a negative errno; shimsup_message tells more.
/// Errors: -EINVAL for NULL, or if the guest waits for something else; -EBUSY if it has control; -ESRCH if it has ended; -EFAULT if
/// something could not be stored.
/// Threads and signals: safe from any thread; not in a signal handler.
/// Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shimsup_guest_park(guest: *mut Guest) -> c_int {
    // SAFETY: the caller's: NULL or a guest.
    let guest = unsafe { object(guest, "guest") };
    answer("shimsup_guest_park", guest.and_then(Guest::park))
}
