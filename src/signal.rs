//! Running the guest's signal handlers.
//!
//! A frame and a signal in; the guest in its handler, or dead of the signal, out. Always true: a handler
//! runs on the stack that the guest chose, with a true `siginfo` and a `ucontext` that it may change, and
//! nothing of the shim's lies under it, so it may `longjmp` away. Which signal is delivered is the
//! kernel's decision (in the simulator), but for real faults, which are decided here.

mod deliver;
mod layout;

pub use layout::FP_AREA_BYTES as MAX_FP_BYTES;

use core::sync::atomic::Ordering::Relaxed;

use shim_abi::event::{Request, SignalInfo};

pub use deliver::return_from_handler;

use crate::frame::{Frame, kind};
use crate::local::signals;
use crate::thread::Slot;
use crate::{boot, forward, native, sys};

/// Length of the `syscall` instruction.
pub const SYSCALL_BYTES: u64 = 2;
const SIG_DFL: u64 = 0;
const SIG_IGN: u64 = 1;

/// Deliver what is pending and not blocked, before the guest goes on. Does not return if a handler runs.
#[inline(always)]
pub fn deliver_pending(slot: &'static Slot, frame: &mut Frame) {
    let thread = slot.thread.get();
    let pending = thread.pending_signals.load(Relaxed) & !thread.signal_mask.load(Relaxed);
    let has_interrupted = slot.restart.get().is_some() || slot.suspended_mask.get().is_some();
    if pending != 0 || has_interrupted || slot.deliver.get().is_some() {
        deliver_all(slot, frame);
    }
}

#[cold]
#[inline(never)]
fn deliver_all(slot: &'static Slot, frame: &mut Frame) {
    loop {
        if let Some(info) = slot.deliver.take() {
            deliver::run_handler(slot, frame, info, None);
        }
        let thread = slot.thread.get();
        let unblocked = !thread.signal_mask.load(Relaxed);
        if thread.pending_signals.load(Relaxed) & unblocked == 0 {
            break;
        }
        forward::simple(slot, Request::Signals);
        if slot.deliver.get().is_none() && thread.pending_signals.load(Relaxed) & unblocked != 0 {
            break; // The simulator has nothing for us although a bit is set: its next word corrects it.
        }
    }
    restart(slot, frame);
    // An rt_sigsuspend that no handler ended.
    if let Some(mask) = slot.suspended_mask.take() {
        slot.thread.signal_mask.store(mask, Relaxed);
    }
}

/// Let the guest make an interrupted call again, by going back to the instruction that made it.
fn restart(slot: &Slot, frame: &mut Frame) {
    if let Some(number) = slot.restart.take()
        && frame.kind == kind::CALL
        && !boot::is_own_text(frame.rip as usize)
    {
        frame.rip -= SYSCALL_BYTES;
        frame.rax = number.into();
    }
}

/// A real fault of the guest's: to its handler, or its death.
pub fn deliver_fault(slot: &'static Slot, frame: &mut Frame) {
    let signal = slot.fault_signal.get();
    let handler = signals::action(slot, signal).map_or(SIG_DFL, |a| a.handler.load(Relaxed));
    let is_blocked = slot.thread.signal_mask.load(Relaxed) & (1 << (signal - 1)) != 0;
    if handler == SIG_DFL || handler == SIG_IGN || is_blocked {
        die(slot, signal);
    }
    let info = SignalInfo { signal, code: slot.fault_code.get(), ..SignalInfo::default() };
    deliver::run_handler(slot, frame, info, Some(slot.fault_address.get()));
}

/// The guest dies of a signal that it did not handle.
pub fn die(slot: &Slot, signal: u32) -> ! {
    native::times::flush(slot);
    sys::die_of_signal(signal)
}
