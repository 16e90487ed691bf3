//! The host block: one simulated machine, as its guests see it.
//!
//! The simulator writes, guests read (their mapping is read-only and sealed). Always true:
//! `now_ns`, `run_until_ns`, `realtime_offset_ns` and `is_watching` change only while no guest of the host has control;
//! `run_until_ns >= now_ns`. The rest is published once. The names of all hosts are in
//! [`crate::names`].

use core::sync::atomic::{AtomicI64, AtomicU32, AtomicU64};

use crate::block::{BlockHeader, ShmSafe};
use crate::clock::Rate;
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
    /// Added to the simulation's calendar for CLOCK_REALTIME and CLOCK_TAI at `now_ns`: the offset at the
    /// start and the jumps since. A jump is an event of the host, so `run_until_ns` never lies beyond the
    /// next one.
    pub realtime_offset_ns: AtomicI64,
    /// `realtime_offset_ns` at the simulation's start.
    pub realtime_offset_at_start_ns: i64,
    /// Simulated time that a guest charges itself when it is preempted because it makes no call.
    pub preemption_ns: u64,
    /// How many nanoseconds the host's oscillator counts in a second of simulated time: 1,000,000,000, give or take a
    /// tenth. All its clocks but those of CPU time are based on it.
    pub rate: Rate,
    /// Number of the host in the simulation, from 0.
    pub host_id: u32,
    /// The simulated machine's processors.
    pub cpu_count: u32,
    /// Verbosity of guests' log records: 0 off, 1 error, 2 warn, 3 info, 4 debug, 5 trace.
    pub log_level: AtomicU32,
    /// 1 if guests write a trace record for each system call.
    pub is_tracing: AtomicU32,
    /// 1 if somebody on this host watches files: guests then tell when they may have changed some
    /// ([`crate::calls::PSEUDO_WATCHED`]).
    pub is_watching: AtomicU32,
    /// IPv4 address of the host's interface, in network byte order; 0 if it has none.
    pub ipv4: u32,
    /// Bits of `ipv4` that name the network.
    pub ipv4_prefix_bits: u32,
    /// IPv6 address of the host's interface; all zero if it has none.
    pub ipv6: [u8; 16],
    /// Bits of `ipv6` that name the network.
    pub ipv6_prefix_bits: u32,
    /// `uname -n`.
    pub hostname: Text<65>,
    /// `uname -r`.
    pub kernel_release: Text<65>,
    /// `uname -v`.
    pub kernel_version: Text<65>,
    /// NIS domain, the last field of uname(2).
    pub domainname: Text<65>,
    /// Zero; for later minor versions.
    pub reserved: [AtomicU64; 80],
}

// SAFETY: repr(C); atomics where it changes, the rest is written before the memory is shared.
#[allow(unsafe_code)]
unsafe impl ShmSafe for HostBlock {}
