//! An arena's books, used under its lock.
//!
//! A [`Lock`] and a layout in, a pointer into the arena out. Always true: the books change only under the arena's
//! lock, which exists only while the arena is mapped with a valid header. Not here: the books themselves (`books`), who
//! is served from where (`allocator`).
//!
//! # Safety
//!
//! This file calls the unsafe functions of `books`: the arena is mapped and valid because there is a lock of it, and
//! `&mut Lock` excludes every other user of this process; control excludes other processes (`Arena::attach`).
#![allow(unsafe_code)]

use std::alloc::Layout;
use std::io;
use std::ptr::NonNull;

use crate::books::{self, Invalid};
pub(crate) use crate::books::{MIN_BYTES, initialize};
use crate::table::Lock;

/// As [`books::validate`], with a text.
///
/// # Safety
///
/// As [`books::validate`].
pub(crate) unsafe fn validate(index: u32, arena_bytes: usize) -> io::Result<()> {
    // SAFETY: the caller's promise.
    let problem = match unsafe { books::validate(index, arena_bytes) } {
        Ok(()) => return Ok(()),
        Err(Invalid::NoArena) => "is not an arena".to_owned(),
        Err(Invalid::OtherBuild) => "was made by a different build of the simulator".to_owned(),
        Err(Invalid::OtherIndex(other)) => format!("is arena {other}, not arena {index}"),
        Err(Invalid::OtherSize(bytes)) => format!("has {arena_bytes} bytes instead of {bytes}"),
    };
    Err(io::Error::new(io::ErrorKind::InvalidData, format!("the memory file {problem}")))
}

/// The root's address, 0 if there is none.
pub(crate) fn root(lock: &Lock) -> usize {
    // SAFETY: locked, so mapped and valid.
    unsafe { books::root(lock.index()) }
}

/// Remember the root's address.
pub(crate) fn set_root(lock: &Lock, address: usize) {
    // SAFETY: locked, so mapped and valid.
    unsafe { books::set_root(lock.index(), address) }
}

/// Sum of the sizes of all blocks in use.
pub(crate) fn used_bytes(lock: &Lock) -> usize {
    // SAFETY: locked, so mapped and valid.
    unsafe { books::used_bytes(lock.index()) }
}

/// A block of this layout, null if the arena is full.
pub(crate) fn allocate(lock: &mut Lock, layout: Layout) -> *mut u8 {
    // SAFETY: locked, so mapped and valid, and nobody else is in the books.
    unsafe { books::allocate(lock.index(), layout) }
}

/// Give a block back.
///
/// # Safety
///
/// `block` is in use in this arena, with this layout.
pub(crate) unsafe fn deallocate(lock: &mut Lock, block: NonNull<u8>, layout: Layout) {
    // SAFETY: locked, as above; the caller's promise about the block.
    unsafe { books::deallocate(lock.index(), block, layout) }
}

/// Make a block's layout `new`, which may move it; null, and nothing changed, if the arena is full.
///
/// # Safety
///
/// `block` is in use in this arena, with layout `old`; the alignment of `new` is the same.
pub(crate) unsafe fn reallocate(
    lock: &mut Lock,
    block: NonNull<u8>,
    old: Layout,
    new: Layout,
) -> *mut u8 {
    // SAFETY: locked, as above; the caller's promise about the block.
    unsafe { books::reallocate(lock.index(), block, old, new) }
}
