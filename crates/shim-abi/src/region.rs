//! How a host's blocks lie in its two memory files.
//!
//! Indices in, byte offsets out. Always true: an index or offset that comes from shared memory or a
//! hand-off is checked against the capacities here before it becomes an address. The files are sparse:
//! a capacity costs nothing until it is used.

use core::sync::atomic::AtomicU64;

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

/// Room of one process block.
pub const PROCESS_STRIDE_BYTES: usize = 12 * 1024;
/// Room of one thread block.
pub const THREAD_STRIDE_BYTES: usize = 24 * 1024;

const INODE_TIMES_OFFSET: usize = 0;
const PROCESSES_OFFSET: usize = INODE_TIMES_OFFSET + MAX_INODE_TIMES * size_of::<InodeTimes>();
const THREADS_OFFSET: usize = PROCESSES_OFFSET + MAX_PROCESSES * PROCESS_STRIDE_BYTES;
/// Size of the file that guests write.
pub const SHARED_BYTES: usize = THREADS_OFFSET + MAX_THREADS * THREAD_STRIDE_BYTES;

/// Times that Linux keeps for a file but lets nobody set: remembered for the files that guests of
/// this host changed. A slot of an open hash table, keyed by device and inode. Written by the guest
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
}

const _: () = assert!(size_of::<ReadOnlyRegion>() <= READ_ONLY_BYTES);
const _: () = assert!(size_of::<ProcessBlock>() <= PROCESS_STRIDE_BYTES);
const _: () = assert!(size_of::<ThreadBlock>() <= THREAD_STRIDE_BYTES);
const _: () = assert!(PROCESSES_OFFSET.is_multiple_of(4096) && THREADS_OFFSET.is_multiple_of(4096));
const _: () = assert!(crate::address::SHARED_REGION + SHARED_BYTES <= crate::address::PRIVATE);

/// Offset of the table of inode times in the shared file.
pub const fn inode_times_offset() -> usize {
    INODE_TIMES_OFFSET
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
