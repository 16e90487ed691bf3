//! The two memory files of a host, mapped here.
//!
//! Settings in, references to blocks out. Always true: both files are sealed against shrinking and
//! growing before anybody else can open them, so that no guest's `ftruncate` can make us fault, and
//! the read-only one against writable mappings; offsets come from `shim_abi::region`; references to
//! shared memory are `&T` with `T: ShmSafe`, never `&mut`. Guests open the files as
//! `/proc/<our pid>/fd/<n>`, so the two descriptors keep their numbers for as long as the value
//! lives. Which blocks are in use is not here (`slots`).
//!
//! # Safety
//!
//! Unsafe here: mapping the files, making references into the mappings, and writing the plain (not
//! atomic) parts of blocks before they are shared, and all of them after.
#![allow(unsafe_code)]

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io;
use std::mem::offset_of;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::ptr::NonNull;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use rustix::fs::{FallocateFlags, MemfdFlags, SealFlags, fallocate, fcntl_add_seals, ftruncate};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
use shim_abi::SimTime;
use shim_abi::block::{BlockHeader, BlockKind, ShmSafe};
use shim_abi::host::HostBlock;
use shim_abi::manager::ManagerBlock;
use shim_abi::process::ProcessBlock;
use shim_abi::region::{
    Baton, InodeTimes, MAX_INODE_TIMES, MAX_PROCESSES, MAX_THREADS, PROCESS_STRIDE_BYTES,
    READ_ONLY_BYTES, ReadOnlyRegion, SHARED_BYTES, THREAD_STRIDE_BYTES, WrittenFiles, baton_offset,
    inode_times_offset, process_offset, thread_offset, written_offset,
};
use shim_abi::thread::{ThreadBlock, kernel_place};

use crate::baton;
use crate::library::Library;
use crate::names::Names;
use crate::settings::{HostSettings, KernelMemory, ManagerSettings};
use crate::slots::{self, Indices};

const PAGE_BYTES: usize = 4096;
/// Of so many processes and threads the blocks keep their memory: a page that is given back costs three processes a
/// fault when the block is used again.
const KEPT_BLOCKS: u32 = 16;
/// Pages of the larger block.
const MAX_BLOCK_PAGES: usize = THREAD_STRIDE_BYTES.div_ceil(PAGE_BYTES);
const _: () = assert!(PROCESS_STRIDE_BYTES <= THREAD_STRIDE_BYTES);

/// Everything that a host shares with its guests.
#[derive(Debug)]
pub struct HostMemory {
    read_only: Mapping,
    shared: Mapping,
    names: Names,
    library: Library,
    pub(crate) processes: Mutex<Indices>,
    pub(crate) threads: Mutex<Indices>,
    /// Processes that have ended.
    deaths: AtomicU64,
}

impl HostMemory {
    /// Make the files and write the manager and the host block. `kernel`: what guests may map beside them.
    pub fn new(
        library: &Library,
        manager: &ManagerSettings,
        host: &HostSettings,
        kernel: Option<KernelMemory<'_>>,
    ) -> io::Result<HostMemory> {
        let read_only = Mapping::new("shim-read-only", READ_ONLY_BYTES)?;
        let shared = Mapping::new("shim-shared", SHARED_BYTES)?;
        let names = host.names()?;
        let number = |file: &Mapping| file.fd.as_raw_fd() as u32;
        let files = [number(&read_only), number(&shared), names.number()];
        let manager = manager.block(library, files, kernel);
        read_only.publish(offset_of!(ReadOnlyRegion, manager), manager);
        read_only.publish(offset_of!(ReadOnlyRegion, host), host.block());
        let seals = SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL;
        // Our own mapping stays writable: the seal is about mappings made from now on.
        fcntl_add_seals(&read_only.fd, seals | SealFlags::FUTURE_WRITE)?;
        fcntl_add_seals(&shared.fd, seals)?;
        Ok(HostMemory {
            read_only,
            shared,
            names,
            library: library.clone(),
            processes: Mutex::new(Indices::new(MAX_PROCESSES as u32)),
            threads: Mutex::new(Indices::new(MAX_THREADS as u32)),
            deaths: AtomicU64::new(0),
        })
    }

    /// The library that this host's guests preload.
    pub fn library(&self) -> &Library {
        &self.library
    }
    /// The manager block.
    pub fn manager(&self) -> &ManagerBlock {
        self.read_only.at(offset_of!(ReadOnlyRegion, manager))
    }
    /// The host block.
    pub fn host(&self) -> &HostBlock {
        self.read_only.at(offset_of!(ReadOnlyRegion, host))
    }
    /// Process block `index`; `None` out of range.
    pub fn process(&self, index: u32) -> Option<&ProcessBlock> {
        process_offset(index).map(|offset| self.shared.at(offset))
    }
    /// Thread block `index`; `None` out of range.
    pub fn thread(&self, index: u32) -> Option<&ThreadBlock> {
        thread_offset(index).map(|offset| self.shared.at(offset))
    }
    /// The times of files that guests changed.
    pub fn inode_times(&self) -> &[InodeTimes] {
        let start = self.shared.start_of::<InodeTimes>(inode_times_offset(), MAX_INODE_TIMES);
        // SAFETY: `start_of` checked that so many entries are inside the mapping, which lives as
        // long as `self`; an entry consists of atomics.
        unsafe { std::slice::from_raw_parts(start, MAX_INODE_TIMES) }
    }
    /// The files that guests opened for writing, as they see them, as far as the list has room.
    pub fn written_files(&self) -> BTreeSet<PathBuf> {
        let list: &WrittenFiles = self.shared.at(written_offset());
        let len = list.len_bytes.load(Relaxed).min(list.paths.len() as u64) as usize;
        let bytes: Vec<u8> = list.paths[..len].iter().map(|byte| byte.load(Relaxed)).collect();
        let paths = bytes.split(|&byte| byte == 0).filter(|path| !path.is_empty());
        paths.map(|path| PathBuf::from(OsStr::from_bytes(path))).collect()
    }

    /// How many processes of the host have ended natively so far: as long as this number stays, nobody has died.
    pub fn deaths(&self) -> u64 {
        self.deaths.load(Relaxed)
    }
    /// Whoever steps the host has control, and is about to look for deaths and interrupts: guests that hand control to each
    /// other need not come back for what happened before.
    pub fn begin_to_look(&self) {
        if let Some(baton) = self.baton() {
            baton::heard(baton);
        }
    }
    pub(crate) fn count_death(&self) {
        self.deaths.fetch_add(1, Relaxed);
    }
    /// Where guests hand control back that hand it to each other; `None` if those of this host do not.
    pub(crate) fn baton(&self) -> Option<&Baton> {
        self.manager().shares_kernel().then(|| self.shared.at(baton_offset()))
    }

    /// Whether some thread is handing control to another one, or is in the kernel, by its own word.
    pub(crate) fn is_anybody_handing_on(&self) -> bool {
        let is_it =
            |thread: &ThreadBlock| thread.is_in_kernel.load(Relaxed) != kernel_place::OUTSIDE;
        slots::any_used(&self.threads, |index| self.thread(index).is_some_and(is_it))
    }

    /// Set simulated now. Only while no guest of this host has control; the next hand-over to one
    /// publishes it.
    pub fn set_now(&self, now: SimTime) {
        self.host().now_ns.store(now.as_ns(), Relaxed);
    }
    /// Set the instant at which a guest must hand over. As [`HostMemory::set_now`].
    pub fn set_run_until(&self, until: SimTime) {
        self.host().run_until_ns.store(until.as_ns(), Relaxed);
    }

    /// Set how far the host's calendar is ahead of the simulation's. As [`HostMemory::set_now`].
    pub fn set_realtime_offset_ns(&self, offset_ns: i64) {
        self.host().realtime_offset_ns.store(offset_ns, Relaxed);
    }

    /// Say whether somebody watches files. As [`HostMemory::set_now`].
    pub fn set_watching(&self, is_watching: bool) {
        self.host().is_watching.store(is_watching.into(), Relaxed);
    }

    /// Our descriptor of the file that guests can only read.
    pub fn read_only_fd(&self) -> BorrowedFd<'_> {
        self.read_only.fd.as_fd()
    }
    /// Our descriptor of the file that guests write.
    pub fn shared_fd(&self) -> BorrowedFd<'_> {
        self.shared.fd.as_fd()
    }

    /// The names that guests of this host see.
    pub fn names(&self) -> &Names {
        &self.names
    }

    /// Write the header of a process block that nobody uses.
    pub(crate) fn begin_process(&self, index: u32) {
        if let Some(offset) = process_offset(index) {
            self.shared.publish(offset, BlockHeader::new::<ProcessBlock>(BlockKind::Process));
        }
    }
    /// Write the header of a thread block that nobody uses.
    pub(crate) fn begin_thread(&self, index: u32) {
        if let Some(offset) = thread_offset(index) {
            self.shared.publish(offset, BlockHeader::new::<ThreadBlock>(BlockKind::Thread));
        }
    }
    /// Have a process block read as zeroes, and give its memory back, unless the block is one of the first, which are
    /// soon used again. Whether that worked.
    pub(crate) fn clear_process(&self, index: u32) -> bool {
        process_offset(index).is_some_and(|at| self.shared.clear(index, at, PROCESS_STRIDE_BYTES))
    }
    /// As [`HostMemory::clear_process`], for a thread block.
    pub(crate) fn clear_thread(&self, index: u32) -> bool {
        thread_offset(index).is_some_and(|at| self.shared.clear(index, at, THREAD_STRIDE_BYTES))
    }
}

/// A memory file and our mapping of it.
#[derive(Debug)]
struct Mapping {
    fd: OwnedFd,
    start: NonNull<u8>,
    len: usize,
}

// SAFETY: the mapping belongs to the process, not to a thread, and is reached through `&T` with
// `T: ShmSafe`, which is `Sync`.
unsafe impl Send for Mapping {}
// SAFETY: as for `Send`.
unsafe impl Sync for Mapping {}

impl Mapping {
    fn new(name: &str, len: usize) -> io::Result<Mapping> {
        let fd = memory_file(name)?;
        ftruncate(&fd, len as u64)?;
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: the kernel chooses the place, so no memory that exists is replaced.
        let start =
            unsafe { mmap(std::ptr::null_mut(), len, protection, MapFlags::SHARED, &fd, 0) }?;
        let start = NonNull::new(start.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Mapping { fd, start, len })
    }

    /// Address of `count` values of `T` at `offset`, which are inside the mapping and aligned.
    fn start_of<T>(&self, offset: usize, count: usize) -> *mut T {
        let end = size_of::<T>().checked_mul(count).and_then(|len| len.checked_add(offset));
        assert!(end.is_some_and(|end| end <= self.len), "a block outside its memory file");
        assert!(offset.is_multiple_of(align_of::<T>()), "a block that is not aligned");
        // SAFETY: the assertion above keeps the result inside the mapping.
        unsafe { self.start.add(offset) }.as_ptr().cast()
    }

    fn at<T: ShmSafe>(&self, offset: usize) -> &T {
        // SAFETY: `start_of` checked place and alignment; the mapping lives as long as `self`; `T`
        // is `ShmSafe`: any bytes that a guest may write are a valid value of its atomics, and what
        // is not atomic is only written by `publish`.
        unsafe { &*self.start_of::<T>(offset, 1) }
    }

    /// Write plain data that nobody looks at yet.
    fn publish<T>(&self, offset: usize, value: T) {
        // SAFETY: `start_of` checked place and alignment; the callers publish blocks before they
        // hand out references or indices to them.
        unsafe { self.start_of::<T>(offset, 1).write(value) };
    }

    /// Clear block `index`, which nobody uses.
    fn clear(&self, index: u32, offset: usize, len: usize) -> bool {
        (index < KEPT_BLOCKS && self.zero(offset, len)) || self.punch(offset, len)
    }

    /// Fill pages that are in memory with zeroes; the others were never used, or are swapped out, and are given back.
    /// Whether that worked.
    fn zero(&self, offset: usize, len: usize) -> bool {
        let mut is_there = [0; MAX_BLOCK_PAGES];
        let is_fit =
            (offset | len).is_multiple_of(PAGE_BYTES) && len <= MAX_BLOCK_PAGES * PAGE_BYTES;
        let start = self.start_of::<u8>(offset, len);
        // SAFETY: `start_of` checked that the range is inside the mapping; one byte for each of its pages is stored,
        // and there are so many.
        if !is_fit || unsafe { libc::mincore(start.cast(), len, is_there.as_mut_ptr()) } != 0 {
            return false;
        }
        let mut from = 0;
        for run in is_there[..len / PAGE_BYTES].chunk_by(|one, next| one & 1 == next & 1) {
            let bytes = run.len() * PAGE_BYTES;
            if run[0] & 1 == 0 {
                if !self.punch(offset + from, bytes) {
                    return false;
                }
            } else {
                // SAFETY: inside the range from above; the caller knows that nobody uses the block.
                unsafe { start.wrapping_add(from).write_bytes(0, bytes) };
            }
            from += bytes;
        }
        true
    }

    fn punch(&self, offset: usize, len: usize) -> bool {
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        fallocate(&self.fd, flags, offset as u64, len as u64).is_ok()
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: mapped by `new` with this length; every reference into it borrowed `self`.
        let _ = unsafe { munmap(self.start.as_ptr().cast(), self.len) };
    }
}

/// A memory file that can be sealed, and that no exec hands on.
pub(crate) fn memory_file(name: &str) -> io::Result<OwnedFd> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    // Some systems insist on the newer flag, older kernels (before 6.3) do not know it.
    match rustix::fs::memfd_create(name, flags | MemfdFlags::NOEXEC_SEAL) {
        Err(rustix::io::Errno::INVAL) => Ok(rustix::fs::memfd_create(name, flags)?),
        result => Ok(result?),
    }
}
