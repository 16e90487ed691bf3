//! The global allocator that serves from the open arena.
//!
//! Layouts in, memory out, under the contract of [`GlobalAlloc`]. Always true: with a scope open, new
//! blocks come from its arena or not at all; an existing block stays where it is, whatever scope is
//! open; a block of an arena never reaches the fallback. Not here: what a scope is (`scope`).
//!
//! # Safety
//!
//! This file implements the unsafe trait [`GlobalAlloc`] and passes its callers' promises on, to the
//! fallback or to `heap`, whichever a block's address belongs to.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout};
use std::ptr::{self, NonNull};

use crate::table::Lock;
use crate::{heap, scope, table};

/// An allocator that serves from the arena that is open on the calling thread, and from `Fallback`
/// while none is.
///
/// ```
/// use std::alloc::System;
/// use shim_arena::{Arena, ScopedAllocator};
///
/// #[global_allocator]
/// static ALLOCATOR: ScopedAllocator<System> = ScopedAllocator::new(System);
///
/// let arena = Arena::create(0, 1 << 20)?;
/// let inside = arena.enter(|| Box::new(7));
/// assert_eq!(arena.used_bytes(), 4);
/// drop(inside);
/// assert_eq!(arena.used_bytes(), 0);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct ScopedAllocator<Fallback> {
    fallback: Fallback,
}

impl<Fallback> ScopedAllocator<Fallback> {
    /// With `fallback` for everything outside scopes.
    pub const fn new(fallback: Fallback) -> Self {
        ScopedAllocator { fallback }
    }
}

/// The arena that `block` lies in, if it is one of this process's.
fn home(block: NonNull<u8>) -> Option<Lock> {
    Lock::take(table::index_at(block.addr().get())?)
}

fn allocate(arena: u32, layout: Layout) -> *mut u8 {
    match Lock::take(arena) {
        Some(mut lock) => heap::allocate(&mut lock, layout),
        None => ptr::null_mut(),
    }
}

// SAFETY: blocks come from `rlsf` or from the fallback, which keep the contract, and go back to where
// they came from, because arenas and the fallback's memory do not overlap: an arena is mapped where
// nothing was, and stays mapped while a block of it is in use. Nothing here unwinds.
unsafe impl<Fallback: GlobalAlloc> GlobalAlloc for ScopedAllocator<Fallback> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        match scope::open() {
            Some(arena) => allocate(arena, layout),
            // SAFETY: the caller's promise about `layout`.
            None => unsafe { self.fallback.alloc(layout) },
        }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        let Some(arena) = scope::open() else {
            // SAFETY: the caller's promise about `layout`.
            return unsafe { self.fallback.alloc_zeroed(layout) };
        };
        let block = allocate(arena, layout);
        if !block.is_null() {
            // SAFETY: a fresh block of that size.
            unsafe { block.write_bytes(0, layout.size()) };
        }
        block
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        let Some(checked) = NonNull::new(block) else { return };
        match home(checked) {
            // SAFETY: by its address the block is this arena's; the rest is the caller's promise.
            Some(mut lock) => unsafe { heap::deallocate(&mut lock, checked, layout) },
            // SAFETY: not an arena's, so the fallback's; the rest is the caller's promise.
            None => unsafe { self.fallback.dealloc(block, layout) },
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        let Some(checked) = NonNull::new(block) else { return ptr::null_mut() };
        let Some(mut lock) = home(checked) else {
            // SAFETY: not an arena's, so the fallback's; the rest is the caller's promise.
            return unsafe { self.fallback.realloc(block, layout, new_size) };
        };
        let Ok(new) = Layout::from_size_align(new_size, layout.align()) else {
            return ptr::null_mut();
        };
        // SAFETY: by its address the block is this arena's; the rest is the caller's promise.
        unsafe { heap::reallocate(&mut lock, checked, layout, new) }
    }
}
