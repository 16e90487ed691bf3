//! Signals for guests, and reaching one that runs.
//!
//! Sets of signals in; what a guest does about them out, as it says itself. Always true: nothing here waits; what may be called for a
//! guest that has control says so. Which signals arrive, and when, is the calling program's decision: it is the kernel.
//!
//! # Safety
//!
//! Unsafe here: exported names, and pointers from C, about which each function says what its caller guarantees.
#![allow(unsafe_code)]

use std::ffi::c_int;
use std::sync::atomic::Ordering::Relaxed;

use shim_abi::process::MAX_SIGNAL;

use super::{Guest, Said};
use crate::error::{Failure, Result, answer, answer_with};
use crate::pointer::{object, store};

/// The guest does on a signal what is usual.
pub const SHIMSUP_SIGNAL_DEFAULT: i32 = 0;
/// The guest ignores a signal.
pub const SHIMSUP_SIGNAL_IGNORED: i32 = 1;
/// The guest has a handler for a signal.
pub const SHIMSUP_SIGNAL_HANDLER: i32 = 2;

pub(super) const HANDLER: c_int = SHIMSUP_SIGNAL_HANDLER;

/// What the guest says that it does on a signal, 1 to 64.
pub(super) fn disposition(guest: &shim_supervisor::Guest, signal: u32) -> c_int {
    let index = (signal as usize).wrapping_sub(1);
    let action = guest.process().actions.get(index);
    match action.map_or(0, |action| action.handler.load(Relaxed)) {
        0 => SHIMSUP_SIGNAL_DEFAULT,
        1 => SHIMSUP_SIGNAL_IGNORED,
        _ => SHIMSUP_SIGNAL_HANDLER,
    }
}

impl Guest {
    /// What its blocks say, whoever has control.
    fn read_blocks<T>(&self, read: impl FnOnce(&shim_supervisor::Guest) -> T) -> Result<T> {
        let inner = self.lock();
        inner.guest.as_ref().map(read).ok_or_else(|| Said::Ended.no_answer())
    }
}

/// Set the signals that are pending for a guest: those that it shall ask about when it does not block them.
///
/// A guest that finds one when it has control, because it unblocks it, for example, says SHIMSUP_EVENT_SIGNALS.
///
/// guest: it waits for an answer.
/// signals: signal n at bit n - 1.
/// Returns: 0, or a negative errno; shimsup_message tells more.
/// Errors: -EINVAL for NULL.
/// Threads and signals: safe from any thread; not in a signal handler.
/// Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shimsup_guest_set_pending_signals(
    guest: *mut Guest,
    signals: u64,
) -> c_int {
    // SAFETY: the caller's: NULL or a guest.
    let guest = unsafe { object(guest, "guest") };
    let set = |guest: &Guest| guest.read_blocks(|guest| guest.set_pending_signals(signals));
    answer("shimsup_guest_set_pending_signals", guest.and_then(set))
}

/// Add signals to those that are pending for all threads of a guest's process, and interrupt what they do natively.
///
/// For signals that come from outside of the simulation, from another thread, while the guest runs or waits natively. When that is in
/// simulated time depends on the real machine.
///
/// guest: any guest.
/// signals: signal n at bit n - 1.
/// Returns: 0, or a negative errno; shimsup_message tells more.
/// Errors: -EINVAL for NULL. A guest that has ended does not mind.
/// Threads and signals: safe from any thread, also while another one waits for this guest; not in a signal handler.
/// Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shimsup_guest_interrupt(guest: *mut Guest, signals: u64) -> c_int {
    // SAFETY: the caller's: NULL or a guest.
    let guest = unsafe { object(guest, "guest") };
    answer("shimsup_guest_interrupt", guest.map(|guest| guest.interrupter.interrupt(signals)))
}

/// The signals that a guest blocks.
///
/// guest: it waits for an answer.
/// signals: where they go, signal n at bit n - 1.
/// Returns: 0, or a negative errno; shimsup_message tells more.
/// Errors: -EINVAL for NULL.
/// Threads and signals: safe from any thread; not in a signal handler.
/// Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shimsup_guest_signal_mask(
    guest: *const Guest,
    signals: *mut u64,
) -> c_int {
    // SAFETY: the caller's: NULL or a guest.
    let guest = unsafe { object(guest, "guest") };
    let read = || {
        if signals.is_null() {
            return Err(Failure::invalid("signals is NULL"));
        }
        guest?.read_blocks(|guest| guest.thread().signal_mask.load(Relaxed))
    };
    let mask = read().map(|mask| {
        // SAFETY: the caller's: it can be written.
        unsafe { store(signals, mask) };
    });
    answer("shimsup_guest_signal_mask", mask)
}

/// What a guest does on a signal.
///
/// guest: it waits for an answer.
/// signal: 1 to 64.
/// Returns: SHIMSUP_SIGNAL_DEFAULT, SHIMSUP_SIGNAL_IGNORED or SHIMSUP_SIGNAL_HANDLER, or a negative errno; shimsup_message
/// tells more.
/// Errors: -EINVAL for NULL, or no signal.
/// Threads and signals: safe from any thread; not in a signal handler.
/// Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shimsup_guest_signal_disposition(
    guest: *const Guest,
    signal: c_int,
) -> c_int {
    // SAFETY: the caller's: NULL or a guest.
    let guest = unsafe { object(guest, "guest") };
    let read = || {
        let number = u32::try_from(signal).ok().filter(|&n| (1..=MAX_SIGNAL as u32).contains(&n));
        let Some(number) = number else {
            return Err(Failure::invalid(format!("signal is {signal}: 1 to {MAX_SIGNAL}")));
        };
        guest?.read_blocks(|guest| disposition(guest, number))
    };
    answer_with("shimsup_guest_signal_disposition", read())
}

/// Kill a guest's process natively, at once, by SIGKILL. Its end comes as SHIMSUP_EVENT_ENDED.
///
/// guest: any guest.
/// Returns: 0, or a negative errno; shimsup_message tells more.
/// Errors: -EINVAL for NULL. A guest that has ended does not mind.
/// Threads and signals: safe from any thread, also while another one waits for this guest; not in a signal handler.
/// Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shimsup_guest_kill(guest: *mut Guest) -> c_int {
    // SAFETY: the caller's: NULL or a guest.
    let guest = unsafe { object(guest, "guest") };
    answer("shimsup_guest_kill", guest.map(|guest| guest.interrupter.kill()))
}

/// Have a guest hand control back that computes without making a call: its next event is then SHIMSUP_EVENT_PREEMPTED.
///
/// One that makes a call before it hears of this goes on as if nothing had been, and so does one that waits natively. When it happens in
/// simulated time depends on the real machine.
///
/// guest: it has control; wait for it with shimsup_wait and a time-out.
/// Returns: 0, or a negative errno; shimsup_message tells more.
/// Errors: -EINVAL for NULL.
/// Threads and signals: safe from any thread that does not wait for this guest by shimsup_guest_wait; not in a signal handler.
/// Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shimsup_guest_preempt(guest: *mut Guest) -> c_int {
    // SAFETY: the caller's: NULL or a guest.
    let guest = unsafe { object(guest, "guest") };
    let preempt = |guest: &Guest| guest.read_blocks(shim_supervisor::Guest::preempt);
    answer("shimsup_guest_preempt", guest.and_then(preempt))
}
