//! What the simulator says once about a simulation, a host and a process.
//!
//! Plain values in, filled blocks out. Always true: these are written before the memory is shared
//! or before the process starts. What changes afterwards (time, pending signals) is set through
//! [`crate::HostMemory`] and [`crate::Guest`].

use std::os::unix::ffi::OsStrExt;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use shim_abi::block::{BlockHeader, BlockKind};
use shim_abi::host::HostBlock;
use shim_abi::manager::{EmulateTsc, ManagerBlock};
use shim_abi::process::ProcessBlock;
use shim_abi::text::Text;
use shim_abi::thread::ThreadBlock;

use crate::library::Library;

/// The whole simulation.
#[derive(Clone, Debug)]
pub struct ManagerSettings {
    /// Calendar time of the simulation's start: nanoseconds since 1970.
    pub start_realtime_ns: i64,
    /// Wall clock time at which the simulator started: nanoseconds since 1970.
    pub start_wall_ns: i64,
    /// Frequency of the simulated time stamp counter.
    pub tsc_frequency_hz: u64,
    /// Simulated time that an answered system call costs.
    pub syscall_latency_ns: u64,
    /// Simulated time that a vDSO call or a read of the time stamp counter costs.
    pub vdso_latency_ns: u64,
    /// Whether reading the time stamp counter is simulated.
    pub emulate_tsc: EmulateTsc,
}

/// One simulated machine.
#[derive(Clone, Debug)]
pub struct HostSettings {
    /// Number of the host in the simulation, from 0.
    pub host_id: u32,
    /// How long before the simulation's start the host was booted.
    pub uptime_at_start_ns: u64,
    /// The simulated machine's processors.
    pub cpu_count: u32,
    /// Verbosity of guests' log records: 0 off to 5 trace.
    pub log_level: u32,
    /// Whether guests write a trace record for each system call.
    pub is_tracing: bool,
    /// IPv4 address of the interface in network byte order; 0 if there is none.
    pub ipv4: u32,
    /// `uname -n`; cut to 64 bytes, as all of these.
    pub hostname: String,
    /// `uname -r`.
    pub kernel_release: String,
    /// `uname -v`.
    pub kernel_version: String,
    /// NIS domain; `(none)` where there is none.
    pub domainname: String,
}

/// Who a new process is inside the simulation.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Virtual process id.
    pub pid: u32,
    /// Virtual thread id of its only thread.
    pub tid: u32,
    /// Virtual id of its parent; 0 if outside the simulation.
    pub parent_pid: u32,
    /// Virtual process group.
    pub group: u32,
    /// Virtual session.
    pub session: u32,
    /// Limit of descriptors that the guest sees: soft, hard.
    pub descriptor_limit: (u32, u32),
    /// Initial state of its random stream.
    pub random: [u64; 4],
}

impl ManagerSettings {
    pub(crate) fn block(&self, library: &Library, read_only: u32, shared: u32) -> ManagerBlock {
        ManagerBlock {
            header: BlockHeader::new::<ManagerBlock>(BlockKind::Manager),
            start_realtime_ns: self.start_realtime_ns,
            start_wall_ns: self.start_wall_ns,
            tsc_frequency_hz: self.tsc_frequency_hz,
            syscall_latency_ns: self.syscall_latency_ns,
            vdso_latency_ns: self.vdso_latency_ns,
            simulator_pid: std::process::id(),
            emulate_tsc: self.emulate_tsc as u32,
            read_only_fd: read_only,
            shared_fd: shared,
            library_path: Text::new(library.path().as_os_str().as_bytes()),
        }
    }
}

impl HostSettings {
    pub(crate) fn block(&self) -> HostBlock {
        HostBlock {
            header: BlockHeader::new::<HostBlock>(BlockKind::Host),
            now_ns: AtomicU64::new(0),
            run_until_ns: AtomicU64::new(0),
            uptime_at_start_ns: self.uptime_at_start_ns,
            host_id: self.host_id,
            cpu_count: self.cpu_count,
            log_level: AtomicU32::new(self.log_level),
            is_tracing: AtomicU32::new(u32::from(self.is_tracing)),
            ipv4: self.ipv4,
            reserved: 0,
            hostname: Text::new(self.hostname.as_bytes()),
            kernel_release: Text::new(self.kernel_release.as_bytes()),
            kernel_version: Text::new(self.kernel_version.as_bytes()),
            domainname: Text::new(self.domainname.as_bytes()),
        }
    }
}

impl Identity {
    /// Write the simulator's words of a fresh pair of blocks.
    pub(crate) fn store(&self, process: &ProcessBlock, thread: &ThreadBlock, process_index: u32) {
        process.pid.store(self.pid, Relaxed);
        process.parent_pid.store(self.parent_pid, Relaxed);
        process.group.store(self.group, Relaxed);
        process.session.store(self.session, Relaxed);
        process.descriptor_limit.store(self.descriptor_limit.0, Relaxed);
        process.descriptor_limit_hard.store(self.descriptor_limit.1, Relaxed);
        for (word, value) in process.random.iter().zip(self.random) {
            word.store(value, Relaxed);
        }
        process.exit_status.store(-1, Relaxed);
        thread.tid.store(self.tid, Relaxed);
        thread.process_index.store(process_index, Relaxed);
    }
}
