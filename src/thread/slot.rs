//! The slot: one thread's private state, found through the GS base.
//!
//! [`Slot::current`] out. Always true: its first words are laid out for the entry (`arch/`); it lives in
//! the shim's private memory from `boot` to the thread's end; only its own thread uses it, so cells
//! suffice. What the simulator must see is not here but in the blocks that it points to.
//!
//! # Safety
//!
//! Turns the address in the GS base into a reference.
#![allow(unsafe_code)]

use core::cell::Cell;

use shim_abi::event::SignalInfo;
use shim_abi::handoff::Handoff;
use shim_abi::host::HostBlock;
use shim_abi::manager::ManagerBlock;
use shim_abi::names::Names;
use shim_abi::process::ProcessBlock;
use shim_abi::region::{InodeTimes, MAX_INODE_TIMES};
use shim_abi::thread::ThreadBlock;

/// Why control came through the door for faults.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum FaultReason {
    /// `rdtsc`.
    Tsc,
    /// `rdtscp`.
    TscAndCpu,
    /// `cpuid`.
    Cpuid,
    /// A kick: the simulator wants this thread to look at its signals, or to hand over.
    Kick,
    /// A real fault of the guest's: `Slot::fault_signal` and its companions tell.
    Signal,
}

/// A change to a file's contents that is not yet written to its times.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Change {
    /// The descriptor it was made through.
    pub fd: u32,
    /// When, in nanoseconds since 1970.
    pub realtime_ns: u64,
}

/// How many files' changes wait to be written back at most.
pub const MAX_CHANGES: usize = 32;

/// One thread's private state.
#[repr(C)]
pub struct Slot {
    /// Its own address: what `gs:0` yields.
    pub self_address: usize,
    /// Where the entry starts the shim's stack.
    pub stack_top: usize,
    /// Scratch of the entry: the guest's stack pointer.
    pub guest_stack_pointer: Cell<u64>,
    /// Set by the fault handler: where the guest goes on.
    pub fault_instruction: Cell<u64>,
    /// A kick came while the shim ran: look at the pending signals again before leaving.
    pub is_kicked: Cell<bool>,
    /// Set by the fault handler: why.
    pub fault_reason: Cell<FaultReason>,
    /// For [`FaultReason::Signal`]: the signal.
    pub fault_signal: Cell<u32>,
    /// Its `si_code`.
    pub fault_code: Cell<i32>,
    /// Its `si_addr`.
    pub fault_address: Cell<u64>,
    /// The processor's trap number and error code, for the guest's `ucontext`.
    pub fault_trap: Cell<(u64, u64)>,

    /// The whole simulation.
    pub manager: &'static ManagerBlock,
    /// This host.
    pub host: &'static HostBlock,
    /// This process.
    pub process: &'static ProcessBlock,
    /// This thread.
    pub thread: &'static ThreadBlock,
    /// The names of all hosts.
    pub names: Names<'static>,
    /// Times of the host's files.
    pub inode_times: &'static [InodeTimes; MAX_INODE_TIMES],
    /// What this image was started with; what the next one gets.
    pub handoff: Handoff,

    /// Descriptors of the shim's own have this number or a higher one.
    pub first_hidden: u32,
    /// How often to look for control before sleeping.
    pub spins: Cell<u32>,
    /// The C interface's toggle: calls go to the real kernel.
    pub allows_native: Cell<bool>,
    /// A signal whose handler runs before the guest goes on.
    pub deliver: Cell<Option<SignalInfo>>,
    /// The call that a signal interrupted, if signal(7) lets it be made again.
    pub restart: Cell<Option<u32>>,
    /// The mask to restore after the handler that ended an rt_sigsuspend.
    pub suspended_mask: Cell<Option<u64>>,
    /// Changes that wait to be written back.
    pub changes: [Cell<Option<Change>>; MAX_CHANGES],
    /// Whether `wrgsbase` may be used.
    pub has_fsgsbase: bool,
    /// Whether the time stamp counter traps.
    pub is_tsc_trapped: Cell<bool>,
    /// Whether `cpuid` traps.
    pub is_cpuid_trapped: Cell<bool>,
    /// Bytes of extended state in a signal frame.
    pub fp_bytes: usize,
    /// Components of extended state.
    pub fp_components: u64,
    /// The native alternate stack: address.
    pub native_stack: usize,
    /// The native alternate stack: bytes.
    pub native_stack_bytes: usize,
}

impl Slot {
    /// This thread's slot. Only in a managed process.
    #[inline(always)]
    pub fn current() -> &'static Slot {
        let address = crate::arch::thread_slot() as *const Slot;
        // SAFETY: `boot` made the slot before anything could ask, and its memory stays mapped until
        // the thread's last instruction; only this thread writes to it, through cells.
        unsafe { &*address }
    }
}
