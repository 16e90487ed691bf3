//! How a host's blocks lie in its two memory files.
//!
//! Indices in, byte offsets out. Always true: an index or offset that comes from shared memory or a
//! hand-off is checked against the capacities here before it becomes an address. The files are sparse:
//! a capacity costs nothing until it is used.

use core::sync::atomic::{AtomicU8, AtomicU32, AtomicU64};

use crate::block::ShmSafe;
use crate::host::HostBlock;
use crate::manager::ManagerBlock;
use crate::process::ProcessBlock;
use crate::thread::ThreadBlock;

/// The file that guests can only read.
#[repr(C)]
pub struct ReadOnlyRegion {
    /// The whole simulation.
    pub manager: ManagerBlock,
    /// This host.
    pub host: HostBlock,
}

// SAFETY: repr(C) of two blocks that are.
#[allow(unsafe_code)]
unsafe impl ShmSafe for ReadOnlyRegion {}

/// Size of the read-only file.
pub const READ_ONLY_BYTES: usize = 16 * 1024;

/// Processes that a host can have at one time.
pub const MAX_PROCESSES: usize = 1024;
/// Threads that a host can have at one time.
pub const MAX_THREADS: usize = 4096;
/// Files whose times the host remembers exactly; see `InodeTimes`.
pub const MAX_INODE_TIMES: usize = 16 * 1024;

/// Room for the paths of files that guests of a host opened for writing; see [`WrittenFiles`].
pub const WRITTEN_PATH_BYTES: usize = 256 * 1024 - 64;

/// Room of one process block.
pub const PROCESS_STRIDE_BYTES: usize = 12 * 1024;
/// Room of one thread block.
pub const THREAD_STRIDE_BYTES: usize = 24 * 1024;

const COUNTERS_OFFSET: usize = 0;
const BATON_OFFSET: usize = COUNTERS_OFFSET + 2048;
const INODE_TIMES_OFFSET: usize = COUNTERS_OFFSET + 4096;
const WRITTEN_OFFSET: usize = INODE_TIMES_OFFSET + MAX_INODE_TIMES * size_of::<InodeTimes>();
const PROCESSES_OFFSET: usize = WRITTEN_OFFSET + size_of::<WrittenFiles>();
const THREADS_OFFSET: usize = PROCESSES_OFFSET + MAX_PROCESSES * PROCESS_STRIDE_BYTES;
/// Size of the file that guests write.
pub const SHARED_BYTES: usize = THREADS_OFFSET + MAX_THREADS * THREAD_STRIDE_BYTES;

/// What all guests of a host count together. Written by the guest of the host that has control.
#[repr(C)]
pub struct Counters {
    /// How many inodes have got a number of the host's own.
    pub inodes: AtomicU64,
    /// Zero; for later minor versions.
    pub reserved: [AtomicU64; 31],
}

// SAFETY: repr(C), and an atomic.
#[allow(unsafe_code)]
unsafe impl ShmSafe for Counters {}

/// The bits of [`Baton::control`].
pub mod baton {
    /// The simulator has control; else its guests.
    pub const SIMULATOR: u32 = 1 << 0;
    /// The simulator sleeps, or is about to.
    pub const SLEEPER: u32 = 1 << 1;
    /// Something happened that the simulator had better look at.
    pub const ALARM: u32 = 1 << 2;
}

/// Who has control, in a host whose guests share its kernel and hand control to each other.
#[repr(C, align(64))]
pub struct Baton {
    /// Whether guests have control, or the simulator; see `shim-sync`. A guest that has started hands control back by this
    /// word, besides its channel's.
    pub control: AtomicU32,
    /// Index of the thread block of the guest that has control, or had it last. Written by whoever hands it control.
    pub holder: AtomicU32,
    /// 1: somebody from outside waits to be heard, so that whoever waits hands control to the simulator, not to another guest.
    /// Written by the simulator, at any time.
    pub is_wanted: AtomicU32,
    /// Zero; for later minor versions.
    pub reserved: [AtomicU32; 13],
}

// SAFETY: repr(C), and atomics.
#[allow(unsafe_code)]
unsafe impl ShmSafe for Baton {}

/// What Linux keeps for a file but lets nobody set, times and its number: remembered for the files that guests of
/// this host changed or made. A slot of an open hash table, keyed by device and inode. Written by the guest
/// of the host that has control.
#[repr(C)]
pub struct InodeTimes {
    /// Device number, as stat(2) shows it.
    pub device: AtomicU64,
    /// Inode number; 0 marks a free slot.
    pub inode: AtomicU64,
    /// Last change of the inode, in nanoseconds since 1970.
    pub changed_ns: AtomicU64,
    /// Creation of the file, if a guest created it, in nanoseconds since 1970; else 0.
    pub created_ns: AtomicU64,
    /// Last change of the contents by a guest, in nanoseconds since 1970; 0 if unknown.
    pub modified_ns: AtomicU64,
    /// Last access that a guest set, in nanoseconds since 1970; 0 if unknown.
    pub accessed_ns: AtomicU64,
    /// The inode number that guests see; 0 if none has asked yet.
    pub shown: AtomicU64,
    /// 1 if the file stands in [`WrittenFiles`], or there was no room.
    pub is_listed: AtomicU64,
}

/// The paths of regular files that guests of this host opened for writing, as far as there is room: each is named once,
/// as the host sees it. Written by the guest of the host that has control.
#[repr(C, align(64))]
pub struct WrittenFiles {
    /// How many bytes of `paths` are used.
    pub len_bytes: AtomicU64,
    /// Zero; for later minor versions.
    pub reserved: [AtomicU64; 7],
    /// The paths, each with a NUL at its end.
    pub paths: [AtomicU8; WRITTEN_PATH_BYTES],
}

// SAFETY: repr(C), and atomics.
#[allow(unsafe_code)]
unsafe impl ShmSafe for WrittenFiles {}

const _: () = assert!(size_of::<ReadOnlyRegion>() <= READ_ONLY_BYTES);
const _: () = assert!(size_of::<ProcessBlock>() <= PROCESS_STRIDE_BYTES);
const _: () = assert!(size_of::<ThreadBlock>() <= THREAD_STRIDE_BYTES);
const _: () = assert!(COUNTERS_OFFSET + size_of::<Counters>() <= BATON_OFFSET);
const _: () = assert!(BATON_OFFSET + size_of::<Baton>() <= INODE_TIMES_OFFSET);
const _: () = assert!(BATON_OFFSET.is_multiple_of(align_of::<Baton>()));
const _: () = assert!(WRITTEN_OFFSET.is_multiple_of(align_of::<WrittenFiles>()));
const _: () = assert!(PROCESSES_OFFSET.is_multiple_of(4096) && THREADS_OFFSET.is_multiple_of(4096));
const _: () = assert!(crate::address::SHARED_REGION + SHARED_BYTES <= crate::address::PRIVATE);

/// Offset of the counters in the shared file.
pub const fn counters_offset() -> usize {
    COUNTERS_OFFSET
}

/// Offset of the baton in the shared file.
pub const fn baton_offset() -> usize {
    BATON_OFFSET
}

/// Offset of the table of inode times in the shared file.
pub const fn inode_times_offset() -> usize {
    INODE_TIMES_OFFSET
}

/// Offset of the list of written files in the shared file.
pub const fn written_offset() -> usize {
    WRITTEN_OFFSET
}

/// Offset of process block `index` in the shared file.
pub const fn process_offset(index: u32) -> Option<usize> {
    if (index as usize) < MAX_PROCESSES {
        Some(PROCESSES_OFFSET + index as usize * PROCESS_STRIDE_BYTES)
    } else {
        None
    }
}

/// Offset of thread block `index` in the shared file.
pub const fn thread_offset(index: u32) -> Option<usize> {
    if (index as usize) < MAX_THREADS {
        Some(THREADS_OFFSET + index as usize * THREAD_STRIDE_BYTES)
    } else {
        None
    }
}
