//! The process block: one simulated process.
//!
//! Two writers, field by field: the simulator (ids, limits) before the process starts and while it
//! waits; the process itself for everything that it answers without asking. Always true: a reader on
//! the simulator's side takes each word for an allegation. Threads are in [`crate::thread`].

use core::sync::atomic::{AtomicI32, AtomicU8, AtomicU32, AtomicU64, Ordering::Relaxed};

use crate::block::{BlockHeader, ShmSafe};
use crate::calls::MAX_CALLS;
use crate::text::SharedText;

/// Highest number of descriptors that a guest may have (its visible hard limit).
pub const MAX_DESCRIPTORS: usize = 4096;
/// The shim's own descriptors stand at and above this number, out of the guest's sight.
pub const FIRST_HIDDEN_DESCRIPTOR: u32 = MAX_DESCRIPTORS as u32;
/// How many numbers above [`FIRST_HIDDEN_DESCRIPTOR`] the native limit leaves.
pub const HIDDEN_DESCRIPTORS: u32 = 64;
/// The native signal with which a simulator interrupts a guest that runs or waits natively. Guests never
/// see it: their own signal of this number is virtual.
pub const KICK_SIGNAL: u32 = 64;
/// Signals are numbered from 1 to this.
pub const MAX_SIGNAL: usize = 64;

/// What a guest does on a signal: the words of the kernel's `struct sigaction`.
/// Written by the process.
#[repr(C)]
pub struct SignalAction {
    /// 0 default, 1 ignore, else the handler's address.
    pub handler: AtomicU64,
    /// `SA_*`.
    pub flags: AtomicU64,
    /// The restorer's address.
    pub restorer: AtomicU64,
    /// Signals blocked while the handler runs.
    pub mask: AtomicU64,
}

/// What stands behind a descriptor's number, as far as the shim must know.
/// The values of [`ProcessBlock::descriptors`].
pub mod descriptor {
    /// Nothing special: regular file, directory, harmless device. The real kernel serves it.
    pub const NATIVE: u8 = 0;
    /// `/dev/random` or `/dev/urandom`: reads give the process's random stream.
    pub const RANDOM: u8 = 1;
    /// A standard stream: may wait in wall time while simulated time stands still.
    pub const EXTERNAL: u8 = 2;
    /// A regular file that can be written through this number: its times are simulated.
    pub const WRITABLE: u8 = 3;
    /// An object of the simulator's (a pipe, an epoll instance): the real descriptor is a placeholder, opened
    /// with O_PATH, that keeps the number taken.
    pub const VIRTUAL: u8 = 4;
    /// A file that shows the simulated machine or one of its processes: made anew when it is read from its start.
    pub const SHOWN: u8 = 5;
}

/// One simulated process.
#[repr(C)]
pub struct ProcessBlock {
    /// Recognises the block.
    pub header: BlockHeader,
    /// Virtual process id. Written by the simulator before the start.
    pub pid: AtomicU32,
    /// Virtual id of the parent; 0 if outside the simulation. Written by the simulator.
    pub parent_pid: AtomicU32,
    /// Virtual process group. Written by the simulator.
    pub group: AtomicU32,
    /// Virtual session. Written by the simulator.
    pub session: AtomicU32,
    /// Native process id. Written by whoever made the process, and by itself at its start.
    pub native_pid: AtomicU32,
    /// Number of images that have started in this process: 1 after the first. Written by the guest.
    pub images: AtomicU32,
    /// Soft limit of descriptors that the guest sees. Written by the simulator.
    pub descriptor_limit: AtomicU32,
    /// Hard limit of descriptors that the guest sees. Written by the simulator.
    pub descriptor_limit_hard: AtomicU32,
    /// Exit status announced by the guest, -1 before. Written by the guest.
    pub exit_status: AtomicI32,
    /// 1 while the process replaces its image. Written by the guest.
    pub is_executing: AtomicU32,
    /// State of the process's random stream. Seeded by the simulator, then written by the guest.
    pub random: [AtomicU64; 4],
    /// Simulated CPU time of all its threads, in nanoseconds. Written by the guest.
    pub cpu_ns: AtomicU64,
    /// Calls that trapped instead of coming by a patched site. Written by the guest.
    pub trapped_calls: AtomicU64,
    /// Calls that were served. Written by the guest.
    pub calls: AtomicU64,
    /// Virtual id of the process for whose record lock it waits, 0 if none. Written by the guest.
    pub waits_for_lock_of: AtomicU32,
    /// Zero; for later minor versions.
    pub reserved: [AtomicU32; 97],
    /// Name of the running program, for messages. Written by the guest.
    pub program: SharedText<64>,
    /// One line, if the shim failed in this process: what, where, when. Written by the guest.
    pub failure: SharedText<512>,
    /// How often each call of the table, by number, was refused. Written by the guest.
    pub refused: [AtomicU32; MAX_CALLS],
    /// Signal dispositions, signal `n` at `n - 1`. Written by the guest.
    pub actions: [SignalAction; MAX_SIGNAL],
    /// What each descriptor is: a value of [`descriptor`]. Written by the guest.
    pub descriptors: [AtomicU8; MAX_DESCRIPTORS],
}

// SAFETY: repr(C); every word is an atomic, but for the header, which is written before.
#[allow(unsafe_code)]
unsafe impl ShmSafe for ProcessBlock {}

impl ProcessBlock {
    /// Take over what a new process has from its parent, as far as the parent's shim writes it: dispositions,
    /// notes of descriptors, name, number of images.
    pub fn inherit(&self, parent: &ProcessBlock) {
        for (to, from) in self.actions.iter().zip(&parent.actions) {
            to.handler.store(from.handler.load(Relaxed), Relaxed);
            to.flags.store(from.flags.load(Relaxed), Relaxed);
            to.restorer.store(from.restorer.load(Relaxed), Relaxed);
            to.mask.store(from.mask.load(Relaxed), Relaxed);
        }
        for (to, from) in self.descriptors.iter().zip(&parent.descriptors) {
            let kind = from.load(Relaxed);
            if kind != descriptor::NATIVE {
                to.store(kind, Relaxed);
            }
        }
        self.images.store(parent.images.load(Relaxed), Relaxed);
        let mut name = [0; 64];
        let len = parent.program.load(&mut name);
        self.program.store(&name[..len]);
    }

    /// Handlers become the default; what is ignored stays ignored. See execve(2).
    pub fn reset_handlers(&self) {
        for action in &self.actions {
            if action.handler.load(Relaxed) > 1 {
                action.handler.store(0, Relaxed);
            }
            for word in [&action.flags, &action.restorer, &action.mask] {
                word.store(0, Relaxed);
            }
        }
    }

    /// The kind of descriptor `fd`; numbers out of range count as native.
    pub fn descriptor(&self, fd: u32) -> u8 {
        self.descriptors.get(fd as usize).map_or(descriptor::NATIVE, |d| d.load(Relaxed))
    }

    /// Record what `fd` is; numbers out of range are not recorded.
    pub fn set_descriptor(&self, fd: u32, kind: u8) {
        if let Some(slot) = self.descriptors.get(fd as usize) {
            slot.store(kind, Relaxed);
        }
    }
}
