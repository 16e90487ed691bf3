//! An arena's books: the header at its start and the blocks behind it.
//!
//! A [`Lock`] and a layout in, a pointer into the arena out. Always true: nothing in a header points
//! out of its arena; the books change only under the arena's lock; a failure changes nothing. Not here:
//! who is served from where (`allocator`), and the mapping (`file`).
//!
//! # Safety
//!
//! This file turns the address of a mapped arena into a reference to its header, and calls `rlsf`,
//! whose functions are unsafe where they believe what they are told about a block. References are
//! made under a [`Lock`], which exists only while the arena is mapped with a valid header.
#![allow(unsafe_code)]

use std::alloc::Layout;
use std::cell::UnsafeCell;
use std::io;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use crate::table::{self, Lock};

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
    /// Sum of the sizes of all blocks in use. Written under the lock.
    used_bytes: AtomicUsize,
    /// Used under the lock only.
    blocks: UnsafeCell<Blocks>,
}

/// The smallest arena: the header and one page.
pub(crate) const MIN_BYTES: usize = size_of::<Header>() + 4096;

/// Make the fresh, zeroed memory of arena `index` an empty arena.
///
/// # Safety
///
/// `arena_bytes` of memory, at least [`MIN_BYTES`], are mapped at the arena's address, can be written
/// and belong to the caller alone.
pub(crate) unsafe fn initialize(index: u32, arena_bytes: usize) {
    let base = table::address(index);
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

/// Whether what is mapped at arena `index` was made by [`initialize`] for this index and size.
///
/// # Safety
///
/// `arena_bytes` of memory, at least [`MIN_BYTES`], are mapped at the arena's address, can be read,
/// and are written by nobody else meanwhile.
pub(crate) unsafe fn validate(index: u32, arena_bytes: usize) -> io::Result<()> {
    // SAFETY: the caller says so; every bit pattern is a value of the words that are read below.
    let header = unsafe { &*ptr::with_exposed_provenance::<Header>(table::address(index)) };
    let problem = if header.magic != MAGIC {
        "is not an arena".to_owned()
    } else if header.layout != LAYOUT || header.header_bytes != size_of::<Header>() as u64 {
        "was made by a different build of the simulator".to_owned()
    } else if header.index != index {
        format!("is arena {}, not arena {index}", header.index)
    } else if header.arena_bytes != arena_bytes as u64 {
        format!("has {arena_bytes} bytes instead of {}", header.arena_bytes)
    } else {
        return Ok(());
    };
    Err(io::Error::new(io::ErrorKind::InvalidData, format!("the memory file {problem}")))
}

fn header(lock: &Lock) -> &Header {
    let header = ptr::with_exposed_provenance::<Header>(table::address(lock.index()));
    // SAFETY: a lock exists only for an arena that is mapped with a valid header, and whoever unmaps
    // it withdraws the lock first.
    unsafe { &*header }
}

/// `rlsf`'s part of the header.
fn with_blocks<R>(lock: &mut Lock, f: impl FnOnce(&mut Blocks) -> R) -> R {
    let blocks = header(lock).blocks.get();
    // SAFETY: the lock, which is borrowed mutably here, excludes every other user of this cell in this
    // process; control excludes other processes (`Arena::attach`).
    f(unsafe { &mut *blocks })
}

/// The root's address, 0 if there is none.
pub(crate) fn root(lock: &Lock) -> usize {
    header(lock).root.load(Relaxed)
}

/// Remember the root's address.
pub(crate) fn set_root(lock: &Lock, address: usize) {
    header(lock).root.store(address, Relaxed);
}

/// Sum of the sizes of all blocks in use.
pub(crate) fn used_bytes(lock: &Lock) -> usize {
    header(lock).used_bytes.load(Relaxed)
}

fn count(lock: &Lock, more: usize, less: usize) {
    let used = &header(lock).used_bytes;
    // Nobody else writes it while we have the lock.
    used.store(used.load(Relaxed).wrapping_add(more).wrapping_sub(less), Relaxed);
}

/// A block of this layout, null if the arena is full.
pub(crate) fn allocate(lock: &mut Lock, layout: Layout) -> *mut u8 {
    match with_blocks(lock, |blocks| blocks.allocate(layout)) {
        Some(block) => {
            count(lock, layout.size(), 0);
            block.as_ptr()
        }
        None => ptr::null_mut(),
    }
}

/// Give a block back.
///
/// # Safety
///
/// `block` is in use in this arena, with this layout.
pub(crate) unsafe fn deallocate(lock: &mut Lock, block: NonNull<u8>, layout: Layout) {
    with_blocks(lock, |blocks| {
        // SAFETY: the caller's promise.
        unsafe { blocks.deallocate(block, layout.align()) }
    });
    count(lock, 0, layout.size());
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
    let moved = with_blocks(lock, |blocks| {
        // SAFETY: the caller's promise.
        unsafe { blocks.reallocate(block, new) }
    });
    match moved {
        Some(block) => {
            count(lock, new.size(), old.size());
            block.as_ptr()
        }
        None => ptr::null_mut(),
    }
}
