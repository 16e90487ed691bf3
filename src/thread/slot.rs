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
use core::sync::atomic::Ordering::Relaxed;

use shim_abi::clock::Rate;
use shim_abi::event::SignalInfo;
use shim_abi::handoff::Handoff;
use shim_abi::host::HostBlock;
use shim_abi::manager::ManagerBlock;
use shim_abi::process::ProcessBlock;
use shim_abi::region::{Baton, Counters, InodeTimes, MAX_INODE_TIMES, WrittenFiles};
use shim_abi::thread::ThreadBlock;

use super::{Current, Place};
use crate::local::capabilities::Capabilities;
use crate::local::rseq::Area;

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

/// Whether a host's clocks are sums: its oscillator runs as simulated time does.
pub fn reads_clock_fast(host: &HostBlock) -> bool {
    host.rate == Rate::EXACT
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
    /// The call that is being served trapped.
    pub has_trapped: Cell<bool>,
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
    pub process: Current<ProcessBlock>,
    /// This thread.
    pub thread: Current<ThreadBlock>,
    /// Times and numbers of the host's files.
    pub inode_times: &'static [InodeTimes; MAX_INODE_TIMES],
    /// Files that the host's guests opened for writing.
    pub written: &'static WrittenFiles,
    /// What the host's guests count together.
    pub counters: &'static Counters,
    /// Where control goes back to the simulator, if guests of this host hand it to each other; not before the process's
    /// first word, which the simulator expects on the channel alone.
    pub baton: Cell<Option<&'static Baton>>,
    /// What this image was started with; what the next one gets.
    pub handoff: Cell<Handoff>,

    /// Native process id of the launcher, whose children all guests are.
    pub launcher_pid: u32,
    /// Descriptors of the shim's own have this number or a higher one.
    pub first_hidden: u32,
    /// The instant at which the thread must hand over: what the simulator said with the last control, or earlier if the
    /// thread has made another one ready since.
    pub run_until_ns: Cell<u64>,
    /// How often to look for control before sleeping.
    pub spins: Cell<u32>,
    /// The C interface's toggle: calls go to the real kernel.
    pub allows_native: Cell<bool>,
    /// Whether the vDSO's functions may answer without entering the shim (`arch`).
    pub reads_clock_fast: Cell<bool>,
    /// A signal whose handler runs before the guest goes on.
    pub deliver: Cell<Option<SignalInfo>>,
    /// The call that a signal interrupted, if signal(7) lets it be made again.
    pub restart: Cell<Option<u32>>,
    /// It is made again whatever the handler's flags say.
    pub restarts_always: Cell<bool>,
    /// The thread, or who made it, has got a lock of a file: it tells when it may have given one up.
    pub has_locked: Cell<bool>,
    /// The thread gains no privileges by an exec, as it asked.
    pub has_no_new_privileges: Cell<bool>,
    /// The thread's capabilities.
    pub capabilities: Cell<Capabilities>,
    /// Files are reached as somebody else than the simulator (`local::reach`).
    pub reaches_as_another: Cell<bool>,
    /// Paths begin at another root than the simulator's (`local::reach::chroot`).
    pub has_other_root: Cell<bool>,
    /// The thread has a filter of system calls, or believes so.
    pub has_seccomp_filter: Cell<bool>,
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
    /// Where this slot and the thread's stacks stand.
    pub place: Place,
    /// Memory that an execve of this thread took, address and bytes: a `vfork` child leaves it behind in its
    /// parent's memory, where the parent frees it.
    pub exec_mapping: Cell<Option<(usize, usize)>>,
    /// The simulator has told this thread to die, and listens to it no more.
    pub is_dying: Cell<bool>,
    /// A descriptor that a new process has natively and its parent's table had not when it was copied.
    pub unwanted_descriptor: Cell<Option<u32>>,
    /// The area in which it finds its processor's number, if it has one.
    pub rseq: Cell<Option<Area>>,
}

impl Slot {
    /// The thread must hand over at this instant.
    pub fn run_until(&self, at_ns: u64) {
        self.run_until_ns.set(at_ns);
        self.thread.run_until_ns.store(at_ns, Relaxed);
    }

    /// This thread's slot. Only in a managed process.
    #[inline(always)]
    pub fn current() -> &'static Slot {
        let address = crate::arch::thread_slot() as *const Slot;
        // SAFETY: `boot` made the slot before anything could ask, and its memory stays mapped until
        // the thread's last instruction; only this thread writes to it, through cells.
        unsafe { &*address }
    }

    /// Let calls go to the real kernel, or not; whether they did.
    pub fn allow_native(&self, allow: bool) -> bool {
        self.reads_clock_fast.set(!allow && reads_clock_fast(self.host));
        self.allows_native.replace(allow)
    }

    /// The slot of a thread or process that this thread makes, which has these blocks.
    pub fn for_child(
        &self,
        place: Place,
        process: &'static ProcessBlock,
        thread: &'static ThreadBlock,
        handoff: Handoff,
    ) -> Slot {
        Slot {
            self_address: place.slot().addr(),
            stack_top: place.stack_top(),
            guest_stack_pointer: Cell::new(0),
            fault_instruction: Cell::new(0),
            has_trapped: Cell::new(false),
            is_kicked: Cell::new(false),
            fault_reason: Cell::new(FaultReason::Kick),
            fault_signal: Cell::new(0),
            fault_code: Cell::new(0),
            fault_address: Cell::new(0),
            fault_trap: Cell::new((0, 0)),
            manager: self.manager,
            host: self.host,
            process: Current::new(process),
            thread: Current::new(thread),
            inode_times: self.inode_times,
            written: self.written,
            counters: self.counters,
            baton: Cell::new(self.baton.get()),
            handoff: Cell::new(handoff),
            launcher_pid: self.launcher_pid,
            first_hidden: self.first_hidden,
            run_until_ns: Cell::new(self.run_until_ns.get()),
            spins: Cell::new(self.spins.get()),
            allows_native: Cell::new(false),
            reads_clock_fast: Cell::new(reads_clock_fast(self.host)),
            deliver: Cell::new(None),
            restart: Cell::new(None),
            restarts_always: Cell::new(false),
            has_locked: Cell::new(self.has_locked.get()),
            has_no_new_privileges: Cell::new(self.has_no_new_privileges.get()),
            capabilities: Cell::new(self.capabilities.get()),
            reaches_as_another: Cell::new(self.reaches_as_another.get()),
            has_other_root: Cell::new(self.has_other_root.get()),
            has_seccomp_filter: Cell::new(self.has_seccomp_filter.get()),
            suspended_mask: Cell::new(None),
            changes: [const { Cell::new(None) }; MAX_CHANGES],
            has_fsgsbase: self.has_fsgsbase,
            is_tsc_trapped: Cell::new(self.is_tsc_trapped.get()),
            is_cpuid_trapped: Cell::new(self.is_cpuid_trapped.get()),
            fp_bytes: self.fp_bytes,
            fp_components: self.fp_components,
            place,
            exec_mapping: Cell::new(None),
            is_dying: Cell::new(false),
            unwanted_descriptor: Cell::new(None),
            rseq: Cell::new(None),
        }
    }
}
