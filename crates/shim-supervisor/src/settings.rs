//! What the simulator says once about a simulation, a host and a process.
//!
//! Plain values in, filled blocks out. Always true: these are written before the memory is shared
//! or before the process starts. What changes afterwards (time, pending signals) is set through
//! [`crate::HostMemory`] and [`crate::Guest`].

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::sync::OnceLock;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicI64, AtomicU32, AtomicU64};

use shim_abi::block::{BlockHeader, BlockKind};
use shim_abi::clock::Rate;
use shim_abi::host::HostBlock;
use shim_abi::manager::{COMPONENTS, EmulateTsc, ManagerBlock, Patching};
use shim_abi::names::MAX_NAME_BYTES;
use shim_abi::process::ProcessBlock;
use shim_abi::text::Text;
use shim_abi::thread::ThreadBlock;

use crate::library::Library;
use crate::names::{Name, Names};

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
    /// Whether guests map patched images over their code.
    pub patching: Patching,
}

/// One simulated machine.
#[derive(Clone, Debug)]
pub struct HostSettings {
    /// Number of the host in the simulation, from 0.
    pub host_id: u32,
    /// How long before the simulation's start the host was booted.
    pub uptime_at_start_ns: u64,
    /// How far its calendar is ahead of the simulation's at the start, in nanoseconds.
    pub realtime_offset_ns: i64,
    /// How fast its oscillator runs.
    pub rate: Rate,
    /// Simulated time that a guest is charged when it is preempted because it makes no call.
    pub preemption_ns: u64,
    /// The simulated machine's processors.
    pub cpu_count: u32,
    /// Verbosity of guests' log records: 0 off to 5 trace.
    pub log_level: u32,
    /// Whether guests write a trace record for each system call.
    pub is_tracing: bool,
    /// IPv4 address of the interface in network byte order; 0 if there is none.
    pub ipv4: u32,
    /// Bits of `ipv4` that name the network.
    pub ipv4_prefix_bits: u32,
    /// IPv6 address of the interface.
    pub ipv6: Option<Ipv6Addr>,
    /// Bits of `ipv6` that name the network.
    pub ipv6_prefix_bits: u32,
    /// The names of the simulation; `None`: this host's and the loopback names only.
    pub names: Option<Names>,
    /// `uname -n`; cut to 64 bytes, as all of these.
    pub hostname: String,
    /// `uname -r`.
    pub kernel_release: String,
    /// `uname -v`.
    pub kernel_version: String,
    /// NIS domain; `(none)` where there is none.
    pub domainname: String,
}

/// The kernel of a host, for guests to call: they map it where the simulator has it.
#[derive(Clone, Copy, Debug)]
pub struct KernelMemory<'a> {
    /// The memory file; its number must stay ours as long as the host has guests.
    pub file: BorrowedFd<'a>,
    /// Which arena it is (`shim_abi::address::ARENAS`), all of [`shim_abi::address::ARENA_BYTES`].
    pub arena: u32,
    /// How the kernel's state is laid out; a library with another kernel does not touch it.
    pub layout: u64,
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
    /// `files`: the numbers of our descriptors of the read-only file, the shared file, the names.
    pub(crate) fn block(
        &self,
        library: &Library,
        files: [u32; 3],
        kernel: Option<KernelMemory<'_>>,
    ) -> ManagerBlock {
        let [read_only_fd, shared_fd, names_fd] = files;
        ManagerBlock {
            header: BlockHeader::new::<ManagerBlock>(BlockKind::Manager),
            start_realtime_ns: self.start_realtime_ns,
            start_wall_ns: self.start_wall_ns,
            tsc_frequency_hz: self.tsc_frequency_hz,
            syscall_latency_ns: self.syscall_latency_ns,
            vdso_latency_ns: self.vdso_latency_ns,
            simulator_pid: std::process::id(),
            emulate_tsc: self.emulate_tsc as u32,
            read_only_fd,
            shared_fd,
            names_fd,
            patching: self.patching as u32,
            arena_fd: kernel.map_or(0, |kernel| kernel.file.as_raw_fd() as u32),
            arena_index: kernel.map_or(0, |kernel| kernel.arena),
            kernel_layout: kernel.map_or(0, |kernel| kernel.layout),
            component_ends: component_ends(),
            library_path: Text::new(library.preload_list().as_bytes()),
            reserved: [0; _],
        }
    }
}

/// Where the components of this processor's extended state end. Intel SDM volume 1, section 13.2.
fn component_ends() -> [u32; COMPONENTS] {
    static ENDS: OnceLock<[u32; COMPONENTS]> = OnceLock::new();
    const LEAF: u32 = 0xd;
    let has_it = || core::arch::x86_64::__cpuid(0).eax >= LEAF;
    let end = |component: u32| {
        let answer = core::arch::x86_64::__cpuid_count(LEAF, component);
        answer.eax + answer.ebx
    };
    *ENDS.get_or_init(|| {
        let mut ends = [0; COMPONENTS];
        // The first two have fixed places.
        for (component, word) in (0..).zip(&mut ends).skip(2).filter(|_| has_it()) {
            *word = end(component);
        }
        ends
    })
}

impl HostSettings {
    /// The names that guests of this host see.
    pub(crate) fn names(&self) -> io::Result<Names> {
        match &self.names {
            Some(names) => Ok(names.clone()),
            // A name that is too long for a table of names may still be this host's own.
            None if self.hostname.is_empty() || self.hostname.len() > MAX_NAME_BYTES => {
                Names::new(&[])
            }
            None => {
                let ipv4 = Some(Ipv4Addr::from(self.ipv4.to_ne_bytes()));
                Names::new(&[Name {
                    name: self.hostname.clone(),
                    ipv4: ipv4.filter(|address| !address.is_unspecified()),
                    ipv6: self.ipv6,
                    host_id: self.host_id,
                    is_alias: false,
                }])
            }
        }
    }

    pub(crate) fn block(&self) -> HostBlock {
        HostBlock {
            header: BlockHeader::new::<HostBlock>(BlockKind::Host),
            now_ns: AtomicU64::new(0),
            run_until_ns: AtomicU64::new(0),
            uptime_at_start_ns: self.uptime_at_start_ns,
            realtime_offset_ns: AtomicI64::new(self.realtime_offset_ns),
            realtime_offset_at_start_ns: self.realtime_offset_ns,
            preemption_ns: self.preemption_ns,
            rate: self.rate,
            host_id: self.host_id,
            cpu_count: self.cpu_count,
            log_level: AtomicU32::new(self.log_level),
            is_tracing: AtomicU32::new(u32::from(self.is_tracing)),
            is_watching: AtomicU32::new(0),
            ipv4: self.ipv4,
            ipv4_prefix_bits: self.ipv4_prefix_bits,
            ipv6: self.ipv6.map_or([0; 16], |address| address.octets()),
            ipv6_prefix_bits: self.ipv6_prefix_bits,
            hostname: Text::new(self.hostname.as_bytes()),
            kernel_release: Text::new(self.kernel_release.as_bytes()),
            kernel_version: Text::new(self.kernel_version.as_bytes()),
            domainname: Text::new(self.domainname.as_bytes()),
            reserved: [const { AtomicU64::new(0) }; _],
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
