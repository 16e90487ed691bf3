//! What a host's owner decides, and what follows for its kernel and its memory files.
//!
//! A [`HostConfig`] in; the kernel's and the supervisor's settings out. Always true: the two agree,
//! because both come from here. Reading options and files is not here: that is the owner's.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use shim_abi::manager::{EmulateTsc, Patching};
use shim_abi::{SimDuration, SimTime};
use shim_supervisor::{HostSettings, ManagerSettings, Names};

pub use shim_abi::clock::Rate;
pub use shim_kernel::{ClockJump, ClockSettings};

/// Largest stack of a guest.
const STACK_BYTES: u64 = 8 << 20;

/// One simulated machine and the simulation that it is in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HostConfig {
    /// Seed of everything random.
    pub seed: u64,
    /// Number of the host in the simulation, from 0: hosts that exist together have different ones.
    pub host_id: u32,
    /// `uname -n`; also names the host's random streams.
    pub hostname: String,
    /// Processors of the simulated machine.
    pub cpu_count: u32,
    /// Memory of the simulated machine, as it tells its guests; nothing is reserved.
    pub memory_bytes: u64,
    /// Calendar time of the simulation's start: nanoseconds since 1970-01-01 00:00:00 UTC.
    pub start_realtime_ns: i64,
    /// When the run began in real time, by [`next_file_tick_ns`]: what was made later was made by the run.
    pub wall_start_ns: i64,
    /// How long before the simulation's start the host was booted.
    pub uptime_at_start: SimDuration,
    /// How the host's clocks differ from simulated time.
    pub clock: ClockSettings,
    /// What is done about a guest that makes no call; `None`: nothing.
    pub watchdog: Option<Watchdog>,
    /// `uname -r`.
    pub kernel_release: String,
    /// `uname -v`.
    pub kernel_version: String,
    /// IPv4 address of the host's interface.
    pub ipv4: Ipv4Addr,
    /// Bits of `ipv4` that name the network.
    pub ipv4_prefix_bits: u32,
    /// IPv6 address of the host's interface.
    pub ipv6: Option<Ipv6Addr>,
    /// Bits of `ipv6` that name the network.
    pub ipv6_prefix_bits: u32,
    /// Whether the interface leads to other hosts: see [`Host::take_departures`](crate::Host::take_departures).
    pub is_connected: bool,
    /// Whether what it sends to itself is kept: see [`Host::take_looped`](crate::Host::take_looped).
    pub is_capturing: bool,
    /// How many bits of IP datagrams the interface sends in a second; 0: as many as there are.
    pub upload_bits_per_second: u64,
    /// Until then it sends as many as there are in any case.
    pub upload_unlimited_until: SimTime,
    /// The names of the simulation; `None`: this host's and the loopback names only.
    pub names: Option<Names>,
    /// Frequency of the simulated time stamp counter.
    pub tsc_frequency_hz: u64,
    /// Whether reading the time stamp counter is simulated.
    pub emulate_tsc: EmulateTsc,
    /// Whether system calls come by patched code where that can be had, instead of by traps.
    pub patching: Patching,
    /// Whether guests call their host's kernel themselves where it can answer without the simulator. Then they can write over
    /// its state, which the simulator believes: one that does on purpose can crash it, and all hosts with it. Without, no
    /// guest has that memory.
    pub is_kernel_in_guest: bool,
    /// Simulated time that an answered system call costs.
    pub syscall_latency: SimDuration,
    /// Simulated time that a vDSO call or a read of the time stamp counter costs.
    pub vdso_latency: SimDuration,
    /// Verbosity of the guests' and the host's own log lines.
    pub log_level: log::LevelFilter,
    /// Whether guests write a record for each system call.
    pub is_tracing: bool,
}

/// What is done about a guest that computes without making a call, while others of its host, or events,
/// wait for it to hand over.
///
/// It is preempted: by default after a second, and is charged a second, as long as the same computation
/// would take on a real machine that is as fast as this one. So alarms and time-outs come when they would
/// come there, and a busy loop reaches the end of the simulation. When that happens depends on the real
/// machine: the run is not reproducible.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Watchdog {
    /// How long it may run without a call, in wall time. What it has to wait for a processor of the real
    /// machine does not count.
    pub wall: Duration,
    /// The simulated time that it is charged each time.
    pub quantum: SimDuration,
}

impl Default for Watchdog {
    fn default() -> Watchdog {
        Watchdog { wall: Duration::from_secs(1), quantum: SimDuration::from_secs(1) }
    }
}

/// The real time that Linux gives to a file that is made now, in nanoseconds since 1970. It moves by ticks and is
/// behind the precise clock, by which a new file may seem older than the run.
pub fn file_clock_ns() -> i64 {
    let now = clock_gettime(ClockId::RealtimeCoarse);
    now.tv_sec.saturating_mul(1_000_000_000).saturating_add(now.tv_nsec)
}

/// Wait until the clock of [`file_clock_ns`] has moved, and tell it: what was made before has an earlier time, what is
/// made from now on has not. For the start of a run; takes a tick, 1 to 10 ms, at most.
pub fn next_file_tick_ns() -> i64 {
    const RECHECK: Duration = Duration::from_micros(200);
    let before = file_clock_ns();
    loop {
        let now = file_clock_ns();
        // Somebody may set the clock back.
        if now != before {
            return now;
        }
        std::thread::sleep(RECHECK);
    }
}

impl HostConfig {
    /// The host that nobody described further. Kernel release and version are the real machine's,
    /// because programs derive from them which system calls they may try.
    pub fn new(hostname: &str) -> HostConfig {
        let real = rustix::system::uname();
        HostConfig {
            seed: 1,
            host_id: 0,
            hostname: hostname.to_owned(),
            cpu_count: 1,
            memory_bytes: 4 << 30,
            start_realtime_ns: 946_684_800 * 1_000_000_000,
            wall_start_ns: file_clock_ns(),
            uptime_at_start: SimDuration::from_secs(100),
            clock: ClockSettings::default(),
            watchdog: Some(Watchdog::default()),
            kernel_release: real.release().to_string_lossy().into_owned(),
            kernel_version: real.version().to_string_lossy().into_owned(),
            ipv4: Ipv4Addr::new(11, 0, 0, 1),
            ipv4_prefix_bits: 8,
            ipv6: None,
            ipv6_prefix_bits: 64,
            is_connected: false,
            is_capturing: false,
            upload_bits_per_second: 0,
            upload_unlimited_until: SimTime::ZERO,
            names: None,
            tsc_frequency_hz: 1_000_000_000,
            emulate_tsc: EmulateTsc::Auto,
            patching: Patching::On,
            is_kernel_in_guest: true,
            syscall_latency: SimDuration::from_ns(1_000),
            vdso_latency: SimDuration::from_ns(1_000),
            log_level: log::LevelFilter::Warn,
            is_tracing: false,
        }
    }

    /// `descriptor_limit` is what guests see: soft, hard.
    pub(crate) fn kernel(&self, descriptor_limit: (u32, u32)) -> shim_kernel::Config {
        shim_kernel::Config {
            seed: self.seed,
            hostname: self.hostname.as_str().into(),
            cpu_count: self.cpu_count,
            memory_bytes: self.memory_bytes,
            start_realtime_ns: self.start_realtime_ns,
            uptime_at_start_ns: self.uptime_at_start.as_ns(),
            clock: self.clock.clone(),
            kernel_release: self.kernel_release.as_str().into(),
            kernel_version: self.kernel_version.as_str().into(),
            descriptor_limit: (descriptor_limit.0.into(), descriptor_limit.1.into()),
            stack_limit_bytes: STACK_BYTES,
            ipv4: Some(self.ipv4.octets()).filter(|ip| *ip != [0; 4]),
            ipv4_prefix_bits: self.ipv4_prefix_bits.min(32) as u8,
            ipv6: self.ipv6.map(|ip| ip.octets()),
            ipv6_prefix_bits: self.ipv6_prefix_bits.min(128) as u8,
            is_connected: self.is_connected,
            is_capturing: self.is_capturing,
            upload_bits_per_second: self.upload_bits_per_second,
            upload_unlimited_until: self.upload_unlimited_until,
            tsc_frequency_hz: self.tsc_frequency_hz,
        }
    }

    pub(crate) fn manager(&self) -> ManagerSettings {
        ManagerSettings {
            start_realtime_ns: self.start_realtime_ns,
            start_wall_ns: self.wall_start_ns,
            tsc_frequency_hz: self.tsc_frequency_hz,
            syscall_latency_ns: self.syscall_latency.as_ns(),
            vdso_latency_ns: self.vdso_latency.as_ns(),
            emulate_tsc: self.emulate_tsc,
            patching: self.patching,
        }
    }

    pub(crate) fn host(&self) -> HostSettings {
        HostSettings {
            host_id: self.host_id,
            uptime_at_start_ns: self.uptime_at_start.as_ns(),
            realtime_offset_ns: self.clock.offset_ns,
            rate: self.clock.rate,
            preemption_ns: self.watchdog.map_or(0, |watchdog| watchdog.quantum.as_ns()),
            cpu_count: self.cpu_count,
            log_level: self.log_level as u32,
            is_tracing: self.is_tracing,
            ipv4: u32::from_ne_bytes(self.ipv4.octets()),
            ipv4_prefix_bits: self.ipv4_prefix_bits,
            ipv6: self.ipv6,
            ipv6_prefix_bits: self.ipv6_prefix_bits,
            names: self.names.clone(),
            hostname: self.hostname.clone(),
            kernel_release: self.kernel_release.clone(),
            kernel_version: self.kernel_version.clone(),
            domainname: "(none)".to_owned(),
        }
    }
}
