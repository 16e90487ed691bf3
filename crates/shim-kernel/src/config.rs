//! What a simulated machine is made of.
//!
//! A [`Config`] in, nothing out. Always true: a kernel keeps a copy of its own, so that the texts lie
//! where the rest of its state lies.

use alloc::string::String;
use alloc::vec::Vec;

use shim_abi::SimTime;
use shim_abi::clock::Rate;

/// One simulated machine.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Config {
    /// The simulation's seed.
    pub seed: u64,
    /// `uname -n`; it also selects the machine's streams of random numbers.
    pub hostname: String,
    /// Processors, numbered from 0; at least 1 is taken for granted.
    pub cpu_count: u32,
    /// Memory in bytes.
    pub memory_bytes: u64,
    /// Calendar time at the simulation's start: nanoseconds since 1970-01-01 00:00:00 UTC.
    pub start_realtime_ns: i64,
    /// How long before the simulation's start the machine was booted.
    pub uptime_at_start_ns: u64,
    /// How the machine's clocks differ from simulated time.
    pub clock: ClockSettings,
    /// `uname -r`.
    pub kernel_release: String,
    /// `uname -v`.
    pub kernel_version: String,
    /// Soft and hard limit of descriptors of a process.
    pub descriptor_limit: (u64, u64),
    /// Soft limit of a process's stack.
    pub stack_limit_bytes: u64,
    /// Address of the machine's network interface, if it has one.
    pub ipv4: Option<[u8; 4]>,
    /// How many of its bits name the network.
    pub ipv4_prefix_bits: u8,
    /// The same in IPv6.
    pub ipv6: Option<[u8; 16]>,
    /// As for IPv4.
    pub ipv6_prefix_bits: u8,
    /// Whether the interface leads to other hosts.
    pub is_connected: bool,
    /// Whether what it sends to itself is kept for its owner: see [`Kernel::take_looped`](crate::Kernel::take_looped).
    pub is_capturing: bool,
    /// How many bits of IP datagrams the interface sends in a second; 0: as many as there are.
    pub upload_bits_per_second: u64,
    /// Until then it sends as many as there are in any case.
    pub upload_unlimited_until: SimTime,
    /// Frequency of the time stamp counter.
    pub tsc_frequency_hz: u64,
}

/// How the clocks of a machine differ from simulated time. By default they do not.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ClockSettings {
    /// How far calendar time is ahead at the simulation's start, in nanoseconds; negative: behind.
    pub offset_ns: i64,
    /// How fast the oscillator runs, on which every clock but those of CPU time is based.
    pub rate: Rate,
    /// Sudden changes of calendar time, in any order: as if somebody had set the clock.
    pub jumps: Vec<ClockJump>,
}

/// A sudden change of calendar time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ClockJump {
    /// When, in simulated time.
    pub at: SimTime,
    /// By how many nanoseconds; negative: backwards.
    pub by_ns: i64,
}
