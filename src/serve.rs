//! The spine: one interruption of the guest, from its frame to its frame.
//!
//! A [`Frame`] in, changed, out. Always true: one interruption is served at a time, and the shim's stack
//! is empty again when this returns; rooms do not call each other, they are called from here: the clock
//! is charged, the call dispatched (`local/`, `native/`, `forward`), the result stored, then signals are
//! delivered (`signal/`). How control came here is `trap/` and `arch/`.
//!
//! # Safety
//!
//! The functions that assembly calls.
#![allow(unsafe_code)]

use core::sync::atomic::Ordering::Relaxed;

use shim_abi::event::Request;

use crate::frame::{Frame, kind};
use crate::local::clock;
use crate::thread::{FaultReason, Slot};
use crate::{arch, dispatch, forward, patch, signal, sys};

/// What the entry calls, on the shim's stack.
#[unsafe(no_mangle)]
extern "C" fn shim_serve(frame: *mut Frame) {
    // SAFETY: the entry built the frame on this stack and holds no other reference to it.
    serve(Slot::current(), unsafe { &mut *frame });
}

/// What the exit calls when a kick came while the shim ran.
#[unsafe(no_mangle)]
extern "C" fn shim_serve_kick(frame: *mut Frame) {
    let slot = Slot::current();
    slot.is_kicked.set(false);
    slot.thread.is_serving.store(1, Relaxed);
    // SAFETY: the frame that the exit is about to restore; it holds no other reference to it.
    signal::deliver_pending(slot, unsafe { &mut *frame });
    slot.thread.is_serving.store(0, Relaxed);
}

fn serve(slot: &'static Slot, frame: &mut Frame) {
    let thread = slot.thread.get();
    debug_assert!(thread.is_serving.load(Relaxed) == 0, "the shim's stack was not empty");
    thread.is_serving.store(1, Relaxed);
    let calls = thread.calls.load(Relaxed);
    thread.calls.store(calls.wrapping_add(1), Relaxed);
    if frame.kind == kind::CALL {
        slot.restart.set(None);
        slot.restarts_always.set(false);
        if slot.has_trapped.replace(false) {
            trapped(slot, frame);
        }
        let result = dispatch::call(slot, frame);
        frame.set_result(result);
    } else {
        fault(slot, frame, calls);
    }
    signal::deliver_pending(slot, frame);
    // Not `thread`: in a new process this is its own.
    slot.thread.is_serving.store(0, Relaxed);
}

/// The call trapped: the next one from there need not, perhaps.
#[cold]
fn trapped(slot: &Slot, frame: &Frame) {
    let count = &slot.process.trapped_calls;
    count.store(count.load(Relaxed).wrapping_add(1), Relaxed);
    patch::consider(slot, frame.rip.wrapping_sub(signal::SYSCALL_BYTES));
}

/// A fault or a kick; the thread has made so many `calls` before.
fn fault(slot: &'static Slot, frame: &mut Frame, calls: u32) {
    match slot.fault_reason.get() {
        reason @ (FaultReason::Tsc | FaultReason::TscAndCpu) => {
            clock::charge(slot, slot.manager.vdso_latency_ns);
            clock::respect_limit(slot);
            let ticks = clock::tsc(slot);
            frame.rax = ticks & 0xffff_ffff;
            frame.rdx = ticks >> 32;
            if reason == FaultReason::TscAndCpu {
                frame.rcx = 0;
            }
        }
        FaultReason::Cpuid => emulate_cpuid(slot, frame),
        FaultReason::Kick => preempt(slot, calls),
        FaultReason::Signal => signal::deliver_fault(slot, frame),
    }
}

/// Hand over, if that is what the kick was for: the simulator saw this thread compute for too long and make
/// no call meanwhile.
fn preempt(slot: &Slot, calls: u32) {
    if slot.thread.preempt_at.load(Relaxed) == u64::from(calls) + 1 {
        clock::charge(slot, slot.host.preemption_ns);
        forward::simple(slot, Request::Preempted);
    }
}

const ARCH_SET_CPUID: u64 = 0x1012;

/// Execute `cpuid` for the guest: as the processor answers, without the instructions that would bring
/// real randomness, and without what depends on the processor that happens to run us.
/// Intel SDM volume 2, CPUID.
fn emulate_cpuid(slot: &Slot, frame: &mut Frame) {
    let set = |on: u64| {
        let _ = sys::call(shim_abi::calls::nr::arch_prctl, [ARCH_SET_CPUID, on, 0, 0, 0, 0]);
    };
    let (leaf, subleaf) = (frame.rax as u32, frame.rcx as u32);
    set(1);
    let mut answer = arch::cpuid(leaf, subleaf);
    set(0);
    match (leaf, subleaf) {
        (1, _) => {
            answer.ecx &= !(1 << 30); // RDRAND
            answer.ebx &= 0x00ff_ffff; // initial APIC id
        }
        (7, 0) => answer.ebx &= !(1 << 18), // RDSEED
        (0xb | 0x1f, _) => answer.edx = 0,  // x2APIC id
        (0x15, _) => {
            // Ratio 1/1 of a crystal that ticks as the simulated counter does.
            answer.eax = 1;
            answer.ebx = 1;
            answer.ecx = slot.manager.tsc_frequency_hz as u32;
        }
        (0x8000_001e, _) => answer.eax = 0, // extended APIC id
        _ => {}
    }
    frame.rax = answer.eax.into();
    frame.rbx = answer.ebx.into();
    frame.rcx = answer.ecx.into();
    frame.rdx = answer.edx.into();
}
