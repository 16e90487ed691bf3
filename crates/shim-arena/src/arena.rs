//! An arena: a memory file at a fixed address, and an allocator in it.
//!
//! An index and a size, or a memory file, in; an [`Arena`] out, to be entered and found again. Always
//! true: while an [`Arena`] exists it is mapped at the address that its index gives it in every
//! process; and it stays mapped, even without one, while blocks of it are in use, so that what a scope
//! returned is valid for as long as it lives. Not here: how memory is divided (`heap`).
//!
//! # Safety
//!
//! This file calls the unsafe functions of `heap` and `file` on memory that it has mapped itself, and
//! offers two unsafe functions for what only their callers can know.
#![allow(unsafe_code)]

use std::hint::black_box;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use crate::table::{self, Lock, MAX_ARENA_BYTES, MAX_ARENAS};
use crate::{file, heap, scope};

/// Memory is handed out by Linux in pages of this size.
const PAGE_BYTES: usize = 4096;

/// One host's memory; see the crate's documentation.
#[derive(Debug)]
pub struct Arena {
    file: OwnedFd,
    index: u32,
    bytes: usize,
}

impl Arena {
    /// Create the arena with this index, empty, with room for about `max_bytes` (rounded up to pages;
    /// the books take 8 KiB). Memory is taken from the system only as it is used.
    ///
    /// # Errors
    ///
    /// `InvalidInput`: the index is not below [`MAX_ARENAS`], or the size above [`MAX_ARENA_BYTES`] or
    /// too small for anything. `AlreadyExists`: this process has mapped something there.
    /// `Unsupported`: the executable has not installed a [`ScopedAllocator`](crate::ScopedAllocator).
    /// Or what Linux says.
    pub fn create(index: u32, max_bytes: usize) -> io::Result<Arena> {
        check_index(index)?;
        if !(heap::MIN_BYTES..=MAX_ARENA_BYTES).contains(&max_bytes) {
            let message = format!(
                "an arena has {} to {MAX_ARENA_BYTES} bytes, not {max_bytes}",
                heap::MIN_BYTES
            );
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        let bytes = max_bytes.next_multiple_of(PAGE_BYTES);
        let file = file::create(bytes)?;
        file::map(file.as_fd(), index, bytes)?;
        // SAFETY: just mapped, from a file that nobody else has.
        unsafe { heap::initialize(index, bytes) };
        table::publish(index);
        Arena { file, index, bytes }.checked()
    }

    /// Map an arena that another process created, at the same address.
    ///
    /// # Errors
    ///
    /// As [`Arena::create`]; `InvalidData`: the file is no arena, or not that one, or was laid out by
    /// another build.
    ///
    /// # Safety
    ///
    /// The file was made by [`Arena::create`], in a process built from the same sources by the same
    /// compiler. Of all processes that have it mapped, one at a time uses it: enters it, allocates, frees
    /// or touches what is in it; and what one wrote is visible to the next (handing control over does
    /// that). No object of it is dropped in two processes.
    pub unsafe fn attach(file: OwnedFd, index: u32) -> io::Result<Arena> {
        check_index(index)?;
        let bytes = file::sealed_size(file.as_fd())?;
        if !(heap::MIN_BYTES..=MAX_ARENA_BYTES).contains(&bytes) {
            let message = format!("a memory file of {bytes} bytes is not an arena");
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
        file::map(file.as_fd(), index, bytes)?;
        // SAFETY: just mapped; the caller keeps other processes out.
        if let Err(error) = unsafe { heap::validate(index, bytes) } {
            // SAFETY: nobody else knows of this mapping.
            unsafe { file::unmap(index, bytes) };
            return Err(error);
        }
        table::publish(index);
        Arena { file, index, bytes }.checked()
    }

    /// The memory file, for [`Arena::attach`] in another process. It is closed on exec.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    /// Run `f`; what it allocates on this thread comes from this arena.
    ///
    /// If the arena is full, allocations fail: fallible ones say so, others end the process as they do
    /// when the machine is out of memory. Scopes nest, also those of different arenas: the innermost
    /// counts. [`outside`](crate::outside) suspends them.
    pub fn enter<R>(&self, f: impl FnOnce() -> R) -> R {
        scope::with(Some(self.index), f)
    }

    /// The address given to [`Arena::set_root`], by whatever process.
    pub fn root(&self) -> Option<usize> {
        Some(heap::root(&self.lock())).filter(|&address| address != 0)
    }

    /// Remember where in the arena the object is from which all others are found; 0 for none.
    pub fn set_root(&self, address: usize) {
        heap::set_root(&self.lock(), address);
    }

    /// Sum of the sizes of all blocks in use, as they were asked for.
    pub fn used_bytes(&self) -> usize {
        heap::used_bytes(&self.lock())
    }

    /// Make the arena empty, as it was when it was created, although blocks of it are in use.
    ///
    /// # Errors
    ///
    /// What Linux says; the arena is then as it was.
    ///
    /// # Safety
    ///
    /// Nothing in this process refers into the arena or drops anything of it from now on, and no other process has it.
    pub unsafe fn reset(&mut self) -> io::Result<()> {
        let lock = self.lock();
        file::clear(self.file.as_fd(), self.bytes)?;
        // SAFETY: mapped with this size, all zeroes, and by the caller's promise nobody else's.
        unsafe { heap::initialize(lock.index(), self.bytes) };
        Ok(())
    }

    /// Unmap the arena although blocks of it are in use. Other processes keep it.
    ///
    /// # Safety
    ///
    /// Nothing in this process refers into the arena or drops anything of it from now on.
    pub unsafe fn discard(self) {
        self.lock().withdraw();
        // SAFETY: withdrawn; the rest is the caller's promise.
        unsafe { file::unmap(self.index, self.bytes) };
        // Closes the file, and leaves out the unmapping.
        let mut arena = std::mem::ManuallyDrop::new(self);
        // SAFETY: `arena` is neither used nor dropped after this.
        unsafe { std::ptr::drop_in_place(&raw mut arena.file) };
    }

    fn lock(&self) -> Lock {
        Lock::take(self.index).expect("an Arena is published for as long as it exists")
    }

    /// Make sure that [`Arena::enter`] does something.
    fn checked(self) -> io::Result<Arena> {
        let probe = self.enter(|| black_box(Box::new(0_u8)));
        if table::index_at((&raw const *probe).addr()) == Some(self.index) {
            return Ok(self);
        }
        // SAFETY: just mapped; nothing has been given out.
        unsafe { self.discard() };
        let message = "this executable's global allocator is not a shim_arena::ScopedAllocator";
        Err(io::Error::new(io::ErrorKind::Unsupported, message))
    }
}

/// Unmaps the arena if nothing of it is in use; else it stays mapped as long as the process lives.
impl Drop for Arena {
    fn drop(&mut self) {
        let lock = self.lock();
        if heap::used_bytes(&lock) == 0 {
            lock.withdraw();
            // SAFETY: withdrawn, and no block is in use that anything could refer to.
            unsafe { file::unmap(self.index, self.bytes) };
        }
    }
}

fn check_index(index: u32) -> io::Result<()> {
    if index < MAX_ARENAS {
        return Ok(());
    }
    let message = format!("arena {index} does not exist: there are {MAX_ARENAS}");
    Err(io::Error::new(io::ErrorKind::InvalidInput, message))
}
