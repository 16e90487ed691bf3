//! The first moments of a thread or process that a guest made.
//!
//! A slot that its parent filled in; the guest's next instruction out. Always true: it says nothing and runs no code
//! of the guest's before the simulator has given it control; system calls are trapped from before that moment; a
//! process dies with the launcher. What the native clone copied (mask, floating point state, TSC trap) is as its
//! parent had it. See clone(2), prctl(2).
//!
//! # Safety
//!
//! A function that assembly calls on a fresh stack.
#![allow(unsafe_code)]

use core::sync::atomic::Ordering::Relaxed;

use shim_abi::Errno;
use shim_abi::calls::nr;

use crate::frame::Frame;
use crate::thread::Slot;
use crate::{arch, forward, signal, sys, trap};

/// What a native thread that shares its parent's memory calls first. Its frame stands at the top of its stack.
#[unsafe(no_mangle)]
extern "C" fn shim_thread_begin(slot: &'static Slot) -> ! {
    // SAFETY: a live slot whose first word is its own address: its parent wrote it.
    unsafe { arch::set_thread_slot(slot.self_address, slot.has_fsgsbase) };
    if install_signal_stack(slot).is_err() {
        crate::trace::fail(b"cannot install a thread's signal stack");
    }
    take_part(slot);
    let frame = (slot.stack_top - size_of::<Frame>()) as *mut Frame;
    // SAFETY: its parent wrote a frame there, and this function's own stack lies below it.
    signal::deliver_pending(slot, unsafe { &mut *frame });
    slot.thread.is_serving.store(0, Relaxed);
    // SAFETY: as above; nothing of this stack is needed any more.
    unsafe { arch::leave_by_frame(frame) }
}

/// The thread exists natively: make it one of the simulation's, and wait until it is its turn.
pub fn take_part(slot: &Slot) {
    let tid = sys::call(nr::gettid, [0; 6]).unwrap_or(0) as u32;
    let is_first = slot.thread.tid.load(Relaxed) == slot.process.pid.load(Relaxed);
    if is_first {
        die_with_launcher(slot);
        slot.process.native_pid.store(tid, Relaxed);
    }
    slot.thread.native_tid.store(tid, Relaxed);
    if let Some(fd) = slot.unwanted_descriptor.take() {
        sys::close(fd);
    }
    trap::arm();
    forward::wait_for_turn(slot);
}

/// A new process does not inherit its parent's parent-death signal. All of them are children of the launcher.
fn die_with_launcher(slot: &Slot) {
    let kill = libc::SIGKILL as u64;
    let is_set = sys::prctl(libc::PR_SET_PDEATHSIG, [kill, 0, 0, 0]).is_ok();
    // It may have ended before: then nobody is left to wait for.
    if !is_set || sys::call(nr::getppid, [0; 6]) != Ok(slot.launcher_pid.into()) {
        sys::exit_group(125);
    }
}

/// Let native handlers of this thread run on the stack of its place.
pub fn install_signal_stack(slot: &Slot) -> Result<(), Errno> {
    const SS_AUTODISARM: u64 = 1 << 31;
    let (start, bytes) = slot.place.signal_stack();
    let stack = [start as u64, SS_AUTODISARM, bytes as u64];
    sys::call(nr::sigaltstack, [(&raw const stack) as u64, 0, 0, 0, 0, 0]).map(drop)
}
