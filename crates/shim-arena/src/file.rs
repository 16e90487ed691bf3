//! Memory files and their mappings.
//!
//! Sizes and arena indices in, descriptors and mapped memory out. Always true: a file is sealed
//! before anybody else can have it, so its size never changes and no access faults because somebody
//! cut it off; a mapping replaces nothing. Not here: what is in the memory (`heap`).
//!
//! # Safety
//!
//! This file maps and unmaps memory. Mapping is harmless, because it only ever takes a range that is
//! free; unmapping is in a function that is unsafe itself.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::ptr;

use rustix::fs::{FallocateFlags, MemfdFlags, SealFlags};
use rustix::mm::{Advice, MapFlags, ProtFlags};

use crate::table;

fn size_seals() -> SealFlags {
    SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL
}

/// A new file of zeros, which takes memory only where it is written.
pub(crate) fn create(bytes: usize) -> io::Result<OwnedFd> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let file = rustix::fs::memfd_create("shim-arena", flags)?;
    rustix::fs::ftruncate(&file, bytes as u64)?;
    rustix::fs::fcntl_add_seals(&file, size_seals())?;
    Ok(file)
}

/// The size of a file that [`create`] made.
pub(crate) fn sealed_size(file: BorrowedFd<'_>) -> io::Result<usize> {
    let invalid = |what| io::Error::new(io::ErrorKind::InvalidData, what);
    let seals = rustix::fs::fcntl_get_seals(file)
        .map_err(|_| invalid("an arena must be a memory file that allows seals"))?;
    if !seals.contains(size_seals()) {
        return Err(invalid("the memory file is not sealed"));
    }
    let size = rustix::fs::fstat(file)?.st_size;
    usize::try_from(size).map_err(|_| invalid("the memory file has no size"))
}

/// Map the file at the address of arena `index`. Children of fork do not get the mapping.
pub(crate) fn map(file: BorrowedFd<'_>, index: u32, bytes: usize) -> io::Result<()> {
    let address = ptr::without_provenance_mut(table::address(index));
    let flags = MapFlags::SHARED | MapFlags::FIXED_NOREPLACE | MapFlags::NORESERVE;
    // SAFETY: with FIXED_NOREPLACE the kernel maps exactly there or fails, and replaces nothing.
    let mapped = unsafe {
        rustix::mm::mmap(address, bytes, ProtFlags::READ | ProtFlags::WRITE, flags, file, 0)
    };
    let mapped = mapped.map_err(|error| {
        let error = io::Error::from(error);
        io::Error::new(error.kind(), format!("cannot map arena {index} at {address:p}: {error}"))
    })?;
    // `heap` makes its pointers from the arena's address.
    mapped.expose_provenance();
    // SAFETY: advice about memory that we have just mapped; its contents do not change.
    let advised = unsafe { rustix::mm::madvise(mapped, bytes, Advice::LinuxDontFork) };
    advised.inspect_err(|_| {
        // SAFETY: nobody knows of the mapping yet.
        unsafe { unmap(index, bytes) }
    })?;
    Ok(())
}

/// Have all of the file read as zeroes again.
pub(crate) fn clear(file: BorrowedFd<'_>, bytes: usize) -> io::Result<()> {
    let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    Ok(rustix::fs::fallocate(file, flags, 0, bytes as u64)?)
}

/// Undo [`map`].
///
/// # Safety
///
/// The arena is mapped with this size, and nothing refers into it any more.
pub(crate) unsafe fn unmap(index: u32, bytes: usize) {
    let address = ptr::with_exposed_provenance_mut(table::address(index));
    // SAFETY: the caller's promise.
    let result = unsafe { rustix::mm::munmap(address, bytes) };
    debug_assert_eq!(result, Ok(()), "unmapping a range that is mapped cannot fail");
}
