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
}

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
    /// Keeps what follows aligned.
    pub reserved: u32,
    /// What guests preload: the absolute path of `libshim.so`, and behind a colon that of the library
    /// beside it that replaces functions of the C library, if it is there.
    pub library_path: Text<1024>,
}

// SAFETY: repr(C), plain data that the simulator writes before it shares the memory.
#[allow(unsafe_code)]
unsafe impl ShmSafe for ManagerBlock {}
