//! The host block: one simulated machine, as its guests see it.
//!
//! The simulator writes, guests read (their mapping is read-only and sealed). Always true:
//! `now_ns` and `run_until_ns` change only while no guest of the host has control; `run_until_ns >=
//! now_ns`. The rest is published once. Names of other hosts are not here.

use core::sync::atomic::{AtomicU32, AtomicU64};

use crate::block::{BlockHeader, ShmSafe};
use crate::text::Text;

/// One simulated machine.
#[repr(C)]
pub struct HostBlock {
    /// Recognises the block.
    pub header: BlockHeader,
    /// Simulated now, in nanoseconds since the simulation's start. A guest's own clock is this plus
    /// what its thread was charged since.
    pub now_ns: AtomicU64,
    /// The instant at which a guest must hand over instead of going on. `u64::MAX`: never.
    pub run_until_ns: AtomicU64,
    /// Added to simulated time for CLOCK_MONOTONIC, CLOCK_BOOTTIME and the time stamp counter: how
    /// long before the simulation's start the host was booted.
    pub uptime_at_start_ns: u64,
    /// Number of the host in the simulation, from 0.
    pub host_id: u32,
    /// The simulated machine's processors.
    pub cpu_count: u32,
    /// Verbosity of guests' log records: 0 off, 1 error, 2 warn, 3 info, 4 debug, 5 trace.
    pub log_level: AtomicU32,
    /// 1 if guests write a trace record for each system call.
    pub is_tracing: AtomicU32,
    /// IPv4 address of the host's interface, in network byte order; 0 if it has none.
    pub ipv4: u32,
    /// Keeps what follows aligned.
    pub reserved: u32,
    /// `uname -n`.
    pub hostname: Text<65>,
    /// `uname -r`.
    pub kernel_release: Text<65>,
    /// `uname -v`.
    pub kernel_version: Text<65>,
    /// NIS domain, the last field of uname(2).
    pub domainname: Text<65>,
}

// SAFETY: repr(C); atomics where it changes, the rest is written before the memory is shared.
#[allow(unsafe_code)]
unsafe impl ShmSafe for HostBlock {}
