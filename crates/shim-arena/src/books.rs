//! An arena's books: the header at its start and the blocks behind it.
//!
//! The index of an arena and a layout in, a pointer into the arena out. Always true: nothing in a header points
//! out of its arena; a failure changes nothing. Needs no `std`, so guests keep the same books. Not here: who keeps
//! two users apart (`heap`, or control), who is served from where (`allocator`), and the mapping (`file`).
//!
//! # Safety
//!
//! This file turns the address of a mapped arena into a reference to its header, and calls `rlsf`,
//! whose functions are unsafe where they believe what they are told about a block. Its functions are unsafe: their
//! callers know that the arena is mapped and theirs alone for the moment.
#![allow(unsafe_code)]

use core::alloc::Layout;
use core::cell::UnsafeCell;
use core::ptr::{self, NonNull};
use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use shim_abi::address::{ARENA_BYTES, ARENAS, MAX_ARENAS};

/// 28 powers of two above the smallest block of 32 bytes: one free block may span a whole arena. 32
/// lists each: a block is found in a free piece that is 1/32 larger, if not in a smaller one.
type Blocks = rlsf::Tlsf<'static, u32, u32, 28, 32>;

const MAGIC: u64 = u64::from_le_bytes(*b"shimaren");
/// Changes whenever the header, or the version of `rlsf`, lays memory out differently.
const LAYOUT: u32 = 1;

/// The start of an arena. The words before `root` are written once, before anybody shares the arena.
#[repr(C)]
pub(crate) struct Header {
    magic: u64,
    layout: u32,
    index: u32,
    header_bytes: u64,
    arena_bytes: u64,
    /// Address of the object from which everything else is found. Written by the arena's user.
    root: AtomicUsize,
    /// Sum of the sizes of all blocks in use. Written by who may use the books.
    used_bytes: AtomicUsize,
    /// Used by who may use the books only.
    blocks: UnsafeCell<Blocks>,
}

/// The smallest arena: the header and one page.
pub(crate) const MIN_BYTES: usize = size_of::<Header>() + 4096;

/// Why memory is not the arena that it should be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Invalid {
    /// It is none.
    NoArena,
    /// Another build of the simulator made it.
    OtherBuild,
    /// It is the one with this index.
    OtherIndex(u32),
    /// It has so many bytes.
    OtherSize(u64),
}

/// Where arena `index` starts. `index` is below [`MAX_ARENAS`].
pub const fn address(index: u32) -> usize {
    debug_assert!((index as usize) < MAX_ARENAS);
    ARENAS + index as usize * ARENA_BYTES
}

/// In which arena's range an address lies.
pub const fn index_at(address: usize) -> Option<u32> {
    let Some(offset) = address.checked_sub(ARENAS) else { return None };
    let index = offset / ARENA_BYTES;
    if index < MAX_ARENAS { Some(index as u32) } else { None }
}

/// Make the fresh, zeroed memory of arena `index` an empty arena.
///
/// # Safety
///
/// `arena_bytes` of memory, at least [`MIN_BYTES`], are mapped at the arena's address, can be written
/// and belong to the caller alone.
#[cfg(feature = "std")]
pub(crate) unsafe fn initialize(index: u32, arena_bytes: usize) {
    let base = address(index);
    let mut blocks = Blocks::new();
    let start = ptr::with_exposed_provenance_mut::<u8>(base + size_of::<Header>());
    let pool = ptr::slice_from_raw_parts_mut(start, arena_bytes - size_of::<Header>());
    if let Some(pool) = NonNull::new(pool) {
        // SAFETY: the caller gives this memory to the arena for as long as it is mapped, which is
        // longer than anybody uses `blocks`.
        unsafe { blocks.insert_free_block_ptr(pool) };
    }
    let header = Header {
        magic: MAGIC,
        layout: LAYOUT,
        index,
        header_bytes: size_of::<Header>() as u64,
        arena_bytes: arena_bytes as u64,
        root: AtomicUsize::new(0),
        used_bytes: AtomicUsize::new(0),
        blocks: UnsafeCell::new(blocks),
    };
    // SAFETY: the caller says that this is writable and has room; an arena starts on a page.
    unsafe { ptr::with_exposed_provenance_mut::<Header>(base).write(header) };
}

/// Whether what is mapped at arena `index` is an arena with this index and size, of this build.
///
/// # Safety
///
/// `arena_bytes` of memory are mapped at the arena's address, can be read, and the words that are written once are
/// written by nobody meanwhile.
pub unsafe fn validate(index: u32, arena_bytes: usize) -> Result<(), Invalid> {
    if arena_bytes < MIN_BYTES {
        return Err(Invalid::OtherSize(arena_bytes as u64));
    }
    // SAFETY: the caller says so; every bit pattern is a value of the words that are read below.
    let header = unsafe { &*ptr::with_exposed_provenance::<Header>(address(index)) };
    if header.magic != MAGIC {
        Err(Invalid::NoArena)
    } else if header.layout != LAYOUT || header.header_bytes != size_of::<Header>() as u64 {
        Err(Invalid::OtherBuild)
    } else if header.index != index {
        Err(Invalid::OtherIndex(header.index))
    } else if header.arena_bytes != arena_bytes as u64 {
        Err(Invalid::OtherSize(header.arena_bytes))
    } else {
        Ok(())
    }
}

/// The header of arena `index`.
///
/// # Safety
///
/// The arena is mapped and valid for as long as the reference is used.
unsafe fn header<'a>(index: u32) -> &'a Header {
    // SAFETY: the caller's promise; what changes in a header is atomic or in a cell.
    unsafe { &*ptr::with_exposed_provenance::<Header>(address(index)) }
}

/// The root's address, 0 if there is none.
///
/// # Safety
///
/// The arena is mapped and valid.
pub unsafe fn root(index: u32) -> usize {
    // SAFETY: the caller's promise.
    unsafe { header(index) }.root.load(Relaxed)
}

/// Remember the root's address.
///
/// # Safety
///
/// The arena is mapped and valid.
#[cfg(feature = "std")]
pub(crate) unsafe fn set_root(index: u32, address: usize) {
    // SAFETY: the caller's promise.
    unsafe { header(index) }.root.store(address, Relaxed);
}

/// Sum of the sizes of all blocks in use.
///
/// # Safety
///
/// The arena is mapped and valid.
#[cfg(feature = "std")]
pub(crate) unsafe fn used_bytes(index: u32) -> usize {
    // SAFETY: the caller's promise.
    unsafe { header(index) }.used_bytes.load(Relaxed)
}

fn count(header: &Header, more: usize, less: usize) {
    let used = &header.used_bytes;
    // Nobody else writes it meanwhile.
    used.store(used.load(Relaxed).wrapping_add(more).wrapping_sub(less), Relaxed);
}

/// A block of this layout, null if the arena is full.
///
/// # Safety
///
/// The arena is mapped and valid, and nobody else uses its books meanwhile.
pub unsafe fn allocate(index: u32, layout: Layout) -> *mut u8 {
    // SAFETY: the caller's promise.
    let header = unsafe { header(index) };
    // SAFETY: nobody else uses the cell, as the caller says.
    let blocks = unsafe { &mut *header.blocks.get() };
    match blocks.allocate(layout) {
        Some(block) => {
            count(header, layout.size(), 0);
            block.as_ptr()
        }
        None => ptr::null_mut(),
    }
}

/// Give a block back.
///
/// # Safety
///
/// As [`allocate`]; `block` is in use in this arena, with this layout.
pub unsafe fn deallocate(index: u32, block: NonNull<u8>, layout: Layout) {
    // SAFETY: the caller's promise.
    let header = unsafe { header(index) };
    // SAFETY: nobody else uses the cell, as the caller says.
    let blocks = unsafe { &mut *header.blocks.get() };
    // SAFETY: the caller's promise about the block.
    unsafe { blocks.deallocate(block, layout.align()) };
    count(header, 0, layout.size());
}

/// Make a block's layout `new`, which may move it; null, and nothing changed, if the arena is full.
///
/// # Safety
///
/// As [`allocate`]; `block` is in use in this arena, with layout `old`; the alignment of `new` is the same.
pub unsafe fn reallocate(index: u32, block: NonNull<u8>, old: Layout, new: Layout) -> *mut u8 {
    // SAFETY: the caller's promise.
    let header = unsafe { header(index) };
    // SAFETY: nobody else uses the cell, as the caller says.
    let blocks = unsafe { &mut *header.blocks.get() };
    // SAFETY: the caller's promise about the block.
    let moved = unsafe { blocks.reallocate(block, new) };
    match moved {
        Some(block) => {
            count(header, new.size(), old.size());
            block.as_ptr()
        }
        None => ptr::null_mut(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_indices_agree() {
        assert_eq!(index_at(ARENAS - 1), None);
        for index in [0, 1, MAX_ARENAS as u32 - 1] {
            assert_eq!(index_at(address(index)), Some(index));
            assert_eq!(index_at(address(index) + ARENA_BYTES - 1), Some(index));
        }
        assert_eq!(index_at(ARENAS + MAX_ARENAS * ARENA_BYTES), None);
        assert_eq!(index_at(usize::MAX), None);
    }
}
