//! The arena in which the host's kernel lives, and the allocator that serves from it.
//!
//! What the manager block says of it in; a mapping, or none, out. Always true: memory is allocated here and nowhere
//! else, and only by the kernel; what does not fit together (another build's kernel, an address that is taken, no room)
//! leaves the arena unmapped, and every call is then forwarded, which is slower and the same.
//!
//! The static belongs to the address space, which a `vfork` child shares with its parent, and both with their host.
//!
//! # Safety
//!
//! Maps the arena at its fixed address, and calls the unsafe functions of its books while this thread has control.
#![allow(unsafe_code)]

use core::alloc::{GlobalAlloc, Layout};
use core::ptr::{self, NonNull};
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

use shim_abi::address::{ARENA_BYTES, MAX_ARENAS};
use shim_abi::manager::ManagerBlock;
use shim_arena::books;
use shim_kernel::Kernel;

use crate::sys;

const NONE: u32 = u32::MAX;
/// Which arena is mapped.
static INDEX: AtomicU32 = AtomicU32::new(NONE);

/// Whether the kernel can be called.
#[inline(always)]
pub fn is_mapped() -> bool {
    INDEX.load(Relaxed) != NONE
}

/// Map the arena that `fd`, a descriptor of its file, refers to, if its kernel is this library's. Once per image.
pub fn map(manager: &ManagerBlock, fd: u32) {
    let index = manager.arena_index;
    if index as usize >= MAX_ARENAS || manager.kernel_layout != Kernel::LAYOUT {
        return;
    }
    let at = books::address(index);
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    let flags = libc::MAP_SHARED | libc::MAP_FIXED_NOREPLACE | libc::MAP_NORESERVE;
    if sys::map(at, ARENA_BYTES, protection, flags, fd as i32) != Ok(at) {
        return;
    }
    // SAFETY: just mapped, from a file that the simulator has sealed at this size; it is the simulator's turn to
    // write only when this process has handed over.
    if unsafe { books::validate(index, ARENA_BYTES) }.is_ok() {
        INDEX.store(index, Relaxed);
    }
}

/// Where the kernel is. Only while [`is_mapped`].
pub fn root() -> *mut Kernel {
    // SAFETY: mapped and valid, as the caller has looked.
    ptr::with_exposed_provenance_mut(unsafe { books::root(INDEX.load(Relaxed)) })
}

/// Serves the kernel from the arena.
struct ArenaAllocator;

#[global_allocator]
static ALLOCATOR: ArenaAllocator = ArenaAllocator;

// SAFETY: the books keep the contract. Only the kernel allocates, and it is called only while the arena is mapped
// and this thread has control, so nobody else is in the books.
unsafe impl GlobalAlloc for ArenaAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        match INDEX.load(Relaxed) {
            NONE => ptr::null_mut(),
            // SAFETY: mapped, and this thread's for the moment.
            index => unsafe { books::allocate(index, layout) },
        }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        let Some(block) = NonNull::new(block) else { return };
        // SAFETY: as above; whatever the kernel has lies in its arena.
        unsafe { books::deallocate(INDEX.load(Relaxed), block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_bytes: usize) -> *mut u8 {
        let Some(block) = NonNull::new(block) else { return ptr::null_mut() };
        let Ok(new) = Layout::from_size_align(new_bytes, layout.align()) else {
            return ptr::null_mut();
        };
        // SAFETY: as above.
        unsafe { books::reallocate(INDEX.load(Relaxed), block, layout, new) }
    }
}
