//! The manager block: what all hosts of a simulation have in common.
//!
//! Written once by the simulator, before any guest starts; guests read it. Nothing in it changes
//! while the simulation runs. What belongs to one simulated machine is in [`crate::host`].

use crate::block::{BlockHeader, ShmSafe};
use crate::text::Text;

/// Whether reading the processor's time stamp counter is simulated.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum EmulateTsc {
    /// `rdtsc` and `rdtscp` run natively and show real time.
    Never = 0,
    /// Trapped in every guest.
    Always = 1,
    /// Trapped in processes with code that reads it and that no image replaces, or may do so: code that they
    /// write themselves.
    Auto = 2,
}

/// Whether guests map patched images ([`crate::image`]) over their code.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum Patching {
    /// Every call outside the library traps.
    Off = 0,
    /// What the supervisor has an image of is patched.
    On = 1,
}

/// How many components of extended state the simulator tells of.
pub const COMPONENTS: usize = 24;

/// The whole simulation. One instance per host's memory file, all alike.
#[repr(C)]
pub struct ManagerBlock {
    /// Recognises the block.
    pub header: BlockHeader,
    /// Calendar time of the simulation's start: nanoseconds since 1970-01-01 00:00:00 UTC.
    pub start_realtime_ns: i64,
    /// Real (wall clock) calendar time at which the simulator started: a file whose times are not
    /// earlier was touched while the simulation ran.
    pub start_wall_ns: i64,
    /// Frequency of the simulated time stamp counter.
    pub tsc_frequency_hz: u64,
    /// Simulated time that an answered system call costs.
    pub syscall_latency_ns: u64,
    /// Simulated time that a vDSO call or a read of the time stamp counter costs.
    pub vdso_latency_ns: u64,
    /// Native process id of the simulator.
    pub simulator_pid: u32,
    /// An [`EmulateTsc`].
    pub emulate_tsc: u32,
    /// Number of the simulator's descriptor of the host's read-only memory file.
    pub read_only_fd: u32,
    /// Number of the simulator's descriptor of the memory file that the host's guests write.
    pub shared_fd: u32,
    /// Number of the simulator's descriptor of the memory file with the names.
    pub names_fd: u32,
    /// A [`Patching`].
    pub patching: u32,
    /// Number of the simulator's descriptor of the arena in which the host's kernel lives; 0 if guests have no part
    /// in it.
    pub arena_fd: u32,
    /// Which arena it is: the address is `address::ARENAS` and so many times `address::ARENA_BYTES`.
    pub arena_index: u32,
    /// How the kernel's state is laid out, as a number that only builds of the same kernel share. A library with
    /// another one forwards every call.
    pub kernel_layout: u64,
    /// Where each component of the processor's extended state ends in the standard format, as CPUID leaf 0xd has it; 0:
    /// not known. Guests that ask the processor themselves leave their virtual machine for each.
    pub component_ends: [u32; COMPONENTS],
    /// What guests preload: the absolute path of `libshim.so`, and behind a colon that of the library
    /// beside it that replaces functions of the C library, if it is there.
    pub library_path: Text<1024>,
    /// Zero; for later minor versions.
    pub reserved: [u64; 103],
}

impl ManagerBlock {
    /// Whether the host's guests may call its kernel, and hand control to each other.
    pub fn shares_kernel(&self) -> bool {
        self.arena_fd != 0
    }
}

// SAFETY: repr(C), plain data that the simulator writes before it shares the memory.
#[allow(unsafe_code)]
unsafe impl ShmSafe for ManagerBlock {}
