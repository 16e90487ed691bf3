//! Arenas in one process, through the global allocator of this executable.
//!
//! Real arenas in, each test with indices of its own; addresses and counts out. Always true: where a
//! block lies is judged by its address alone. Not here: other processes (`processes.rs`) and
//! executables that lack the allocator (`not_installed.rs`).
//!
//! # Safety
//!
//! Unsafe here: allocations through the allocator's raw interface, with layouts that the tests choose, and
//! `discard` of arenas whose objects are not used again.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System, alloc, alloc_zeroed, dealloc, realloc};
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::panic::{AssertUnwindSafe, catch_unwind};

use shim_arena::{Arena, MAX_ARENA_BYTES, MAX_ARENAS, ScopedAllocator, outside};

#[global_allocator]
static ALLOCATOR: ScopedAllocator<System> = ScopedAllocator::new(System);

const STRIDE: usize = 1 << 30;

fn is_in<T>(index: u32, place: *const T) -> bool {
    let start = 0x6500_0000_0000 + index as usize * STRIDE;
    (start..start + STRIDE).contains(&place.addr())
}

fn arena(index: u32) -> Arena {
    Arena::create(index, 1 << 20).unwrap()
}

#[test]
fn only_what_a_scope_allocates_is_in_the_arena() {
    let arena = arena(1);
    let before = Box::new(1_u64);
    let inside = arena.enter(|| Box::new(2_u64));
    let after = Box::new(3_u64);
    assert!(!is_in(1, &raw const *before) && !is_in(1, &raw const *after));
    assert!(is_in(1, &raw const *inside));
    assert_eq!(arena.used_bytes(), 8);
    assert_eq!((*before, *inside, *after), (1, 2, 3));
}

#[test]
fn a_block_is_freed_by_its_address_whatever_is_open() {
    let (left, right) = (arena(2), arena(3));
    let outer = Box::new([0_u8; 100]);
    let in_left = left.enter(|| Box::new([1_u8; 100]));
    let in_right = right.enter(|| Box::new([2_u8; 200]));
    assert_eq!((left.used_bytes(), right.used_bytes()), (100, 200));
    right.enter(|| drop(in_left));
    assert_eq!((left.used_bytes(), right.used_bytes()), (0, 200));
    left.enter(|| drop(outer));
    drop(in_right);
    assert_eq!((left.used_bytes(), right.used_bytes()), (0, 0));
}

#[test]
fn a_block_that_grows_or_shrinks_stays_at_home() {
    let arena = arena(4);
    let mut inside: Vec<u32> = arena.enter(|| (0..10).collect());
    let mut outer: Vec<u32> = (0..10).collect();
    // The arena's vector grows outside, with a neighbour in its way; the other one inside.
    let neighbour = arena.enter(|| Box::new(0_u64));
    inside.extend(10..5000);
    arena.enter(|| outer.extend(10..5000));
    assert!(is_in(4, inside.as_ptr()) && !is_in(4, outer.as_ptr()));
    assert!(inside.iter().copied().eq(0..5000) && outer.iter().copied().eq(0..5000));
    assert_eq!(arena.used_bytes(), inside.capacity() * 4 + 8);
    inside.truncate(3);
    inside.shrink_to_fit();
    assert!(is_in(4, inside.as_ptr()));
    assert_eq!(inside, [0, 1, 2]);
    assert_eq!(arena.used_bytes(), 3 * 4 + 8);
    drop((inside, neighbour));
    assert_eq!(arena.used_bytes(), 0);
}

#[test]
fn a_full_arena_fails_and_is_usable_again_afterwards() {
    let arena = Arena::create(5, 64 << 10).unwrap();
    let layout = Layout::from_size_align(1000, 8).unwrap();
    let too_much = arena.enter(|| Vec::<u8>::new().try_reserve_exact(64 << 10));
    assert!(too_much.is_err(), "more than the arena has");
    let mut blocks = Vec::with_capacity(100);
    // SAFETY: the size is not 0.
    while let Some(block) = std::ptr::NonNull::new(arena.enter(|| unsafe { alloc(layout) })) {
        assert!(is_in(5, block.as_ptr()));
        blocks.push(block);
    }
    assert!((45..=60).contains(&blocks.len()), "{} blocks of 1000 bytes", blocks.len());
    assert_eq!(arena.used_bytes(), blocks.len() * 1000);
    let last = blocks[blocks.len() - 1];
    // SAFETY: `last` is in use with this layout.
    let grown = unsafe { realloc(last.as_ptr(), layout, 50_000) };
    assert!(grown.is_null(), "growing must fail, too, and not move the block out of the arena");
    assert_eq!(arena.used_bytes(), blocks.len() * 1000);
    assert!(Vec::<u8>::new().try_reserve_exact(64 << 10).is_ok(), "outside there is room");
    for block in blocks {
        // SAFETY: allocated above with this layout.
        unsafe { dealloc(block.as_ptr(), layout) };
    }
    assert_eq!(arena.used_bytes(), 0);
    assert!(
        arena.enter(|| Vec::<u8>::new().try_reserve_exact(50_000)).is_ok(),
        "freed blocks are joined"
    );
}

#[test]
fn alignment_is_kept_by_allocation_and_reallocation() {
    let arena = arena(6);
    for shift in 0..=16 {
        let align = 1 << shift;
        let layout = Layout::from_size_align(24, align).unwrap();
        // SAFETY: the size is not 0.
        let block = arena.enter(|| unsafe { alloc(layout) });
        // SAFETY: as above. Something in the way of growing.
        let wall = arena.enter(|| unsafe { alloc(layout) });
        assert!(is_in(6, block) && block.addr().is_multiple_of(align));
        // SAFETY: 24 bytes are ours.
        unsafe { block.write_bytes(7, 24) };
        // SAFETY: `block` is in use with this layout.
        let block = unsafe { realloc(block, layout, 1000) };
        assert!(is_in(6, block) && block.addr().is_multiple_of(align));
        // SAFETY: the first 24 bytes were written, and moved.
        assert_eq!(unsafe { std::slice::from_raw_parts(block, 24) }, [7; 24]);
        let grown = Layout::from_size_align(1000, align).unwrap();
        // SAFETY: in use with that layout.
        unsafe { dealloc(block, grown) };
        // SAFETY: in use with that layout.
        unsafe { dealloc(wall, layout) };
    }
    assert_eq!(arena.used_bytes(), 0);
}

#[test]
fn zeroed_memory_is_zero_even_where_there_was_something() {
    let arena = arena(7);
    let layout = Layout::from_size_align(4096, 16).unwrap();
    // SAFETY: the size is not 0.
    let first = arena.enter(|| unsafe { alloc(layout) });
    // SAFETY: these bytes are ours.
    unsafe { first.write_bytes(0xff, 4096) };
    // SAFETY: in use with that layout.
    unsafe { dealloc(first, layout) };
    // SAFETY: the size is not 0.
    let second = arena.enter(|| unsafe { alloc_zeroed(layout) });
    assert_eq!(second, first, "the test is about reused memory");
    // SAFETY: these bytes are ours, and initialised.
    assert!(unsafe { std::slice::from_raw_parts(second, 4096) }.iter().all(|&byte| byte == 0));
    // SAFETY: in use with that layout.
    unsafe { dealloc(second, layout) };
}

#[test]
fn scopes_nest_and_end_with_a_panic_too() {
    let (left, right) = (arena(8), arena(9));
    left.enter(|| {
        let one = Box::new(1_u8);
        let two = right.enter(|| Box::new(2_u8));
        let three = outside(|| Box::new(3_u8));
        let four = Box::new(4_u8);
        assert!(is_in(8, &raw const *one) && is_in(8, &raw const *four));
        assert!(is_in(9, &raw const *two));
        assert!(!is_in(8, &raw const *three) && !is_in(9, &raw const *three));
    });
    // `resume_unwind` does not call the panic hook, which would allocate for ever in the arena.
    let result = catch_unwind(AssertUnwindSafe(|| {
        left.enter(|| std::panic::resume_unwind(outside(|| Box::new("thrown"))))
    }));
    assert!(result.is_err());
    assert!(!is_in(8, &raw const *Box::new(5_u8)));
    assert_eq!((left.used_bytes(), right.used_bytes()), (0, 0));
}

#[test]
fn what_a_scope_returned_outlives_the_arena() {
    let arena = arena(10);
    let text = arena.enter(|| "still here".repeat(100));
    drop(arena);
    assert!(is_in(10, text.as_ptr()));
    assert_eq!(text, "still here".repeat(100));
    let taken = Arena::create(10, 1 << 20).unwrap_err();
    assert_eq!(taken.kind(), ErrorKind::AlreadyExists);
    assert!(taken.to_string().contains("arena 10"), "{taken}");
}

#[test]
fn an_empty_arena_is_unmapped_and_its_index_free_again() {
    for _ in 0..3 {
        let first = arena(11);
        assert_eq!(Arena::create(11, 1 << 20).unwrap_err().kind(), ErrorKind::AlreadyExists);
        drop(first.enter(|| vec![1_u8; 1000]));
    }
}

#[test]
fn a_discarded_arena_is_unmapped_although_it_is_in_use() {
    let arena = Arena::create(12, 1 << 20).unwrap();
    std::mem::forget(arena.enter(|| Box::new(1_u8)));
    // SAFETY: the box was forgotten.
    unsafe { arena.discard() };
    assert_eq!(Arena::create(12, 1 << 20).unwrap().used_bytes(), 0);
}

#[test]
fn the_root_is_remembered() {
    let arena = arena(13);
    assert_eq!(arena.root(), None);
    arena.set_root(0x6500_1234_5678);
    assert_eq!(arena.root(), Some(0x6500_1234_5678));
    arena.set_root(0);
    assert_eq!(arena.root(), None);
}

#[test]
fn children_of_fork_do_not_get_the_mapping() {
    let _arena = arena(21);
    let maps = std::fs::read_to_string("/proc/self/smaps").unwrap();
    let (_, ours) = maps.split_once("650540000000-").expect("the arena is mapped");
    let flags = ours.lines().find(|line| line.starts_with("VmFlags:")).unwrap();
    assert!(flags.split_whitespace().any(|flag| flag == "dc"), "{flags}");
}

#[test]
fn nonsense_is_refused() {
    let invalid = |result: std::io::Result<Arena>| result.unwrap_err().kind();
    assert_eq!(invalid(Arena::create(MAX_ARENAS, 1 << 20)), ErrorKind::InvalidInput);
    assert_eq!(invalid(Arena::create(14, 0)), ErrorKind::InvalidInput);
    assert_eq!(invalid(Arena::create(14, 4096)), ErrorKind::InvalidInput);
    assert_eq!(invalid(Arena::create(14, MAX_ARENA_BYTES + 1)), ErrorKind::InvalidInput);
}

#[test]
fn the_largest_arena_can_be_used_to_its_end() {
    let arena = Arena::create(MAX_ARENAS - 1, MAX_ARENA_BYTES).unwrap();
    // One block can take 31 of 32 parts of what is free in one piece.
    let layout = Layout::from_size_align(MAX_ARENA_BYTES / 32 * 31, 1).unwrap();
    // SAFETY: the size is not 0.
    let block = arena.enter(|| unsafe { alloc(layout) });
    assert!(is_in(MAX_ARENAS - 1, block));
    // SAFETY: the last byte is within the block.
    let last = unsafe { block.add(layout.size() - 1) };
    // SAFETY: that byte is ours.
    unsafe { last.write(1) };
    // SAFETY: in use with that layout.
    unsafe { dealloc(block, layout) };
}

#[test]
fn threads_have_scopes_of_their_own() {
    let arenas = [arena(15), arena(16)];
    std::thread::scope(|scope| {
        for (arena, index) in arenas.iter().zip([15, 16]) {
            scope.spawn(move || {
                let map = arena.enter(|| {
                    let mut map = BTreeMap::new();
                    for key in 0..2000_u64 {
                        map.insert(key, vec![key; 3]);
                        assert!(is_in(index, map[&key].as_ptr()));
                    }
                    map
                });
                assert!(!is_in(index, &raw const *Box::new(1_u8)));
                assert!(map.iter().all(|(key, value)| *value == [*key; 3]));
            });
        }
    });
    assert_eq!(arenas.each_ref().map(Arena::used_bytes), [0, 0]);
}

/// Blocks of one arena made and freed by several threads at once, none of them where it was made.
#[test]
fn threads_may_share_an_arena() {
    let arena = arena(17);
    let (sender, receiver) = std::sync::mpsc::channel::<Box<[u64; 5]>>();
    std::thread::scope(|scope| {
        for thread in 0..3 {
            let (arena, sender) = (&arena, sender.clone());
            scope.spawn(move || {
                for number in 0..5000 {
                    let block = arena.enter(|| Box::new([thread, number, thread, number, thread]));
                    sender.send(block).unwrap();
                }
            });
        }
        drop(sender);
        for block in receiver {
            let [thread, number, ..] = *block;
            assert_eq!(*block, [thread, number, thread, number, thread]);
        }
    });
    assert_eq!(arena.used_bytes(), 0);
}

/// Random work, checked against what was written: no two blocks overlap, nothing is lost, and at the
/// end the books are as they were at the start.
#[test]
fn random_work_keeps_every_byte() {
    let arena = Arena::create(18, 4 << 20).unwrap();
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = move |below: u64| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random % below
    };
    let check = |block: &[u8], tag: u8| assert!(block.iter().all(|&byte| byte == tag));
    let mut live: Vec<(*mut u8, Layout, u8)> = Vec::new();
    for round in 0..20_000_u64 {
        let tag = round as u8;
        if live.is_empty() || next(3) == 0 {
            let (size, align) = (1 + next(3000) as usize, 1 << next(8));
            let layout = Layout::from_size_align(size, align).unwrap();
            // SAFETY: the size is not 0.
            let block = arena.enter(|| unsafe { alloc(layout) });
            if block.is_null() {
                continue;
            }
            assert!(block.addr().is_multiple_of(align));
            // SAFETY: a fresh block of that size.
            unsafe { block.write_bytes(tag, size) };
            live.push((block, layout, tag));
            continue;
        }
        let (block, layout, old_tag) = live.swap_remove(next(live.len() as u64) as usize);
        // SAFETY: in use with that size, and written.
        check(unsafe { std::slice::from_raw_parts(block, layout.size()) }, old_tag);
        if next(2) == 0 {
            // SAFETY: in use with that layout.
            unsafe { dealloc(block, layout) };
            continue;
        }
        let size = 1 + next(3000) as usize;
        // SAFETY: in use with that layout; the new size is not 0.
        let moved = unsafe { realloc(block, layout, size) };
        if moved.is_null() {
            live.push((block, layout, old_tag));
            continue;
        }
        // SAFETY: so many bytes were written, and moved.
        check(unsafe { std::slice::from_raw_parts(moved, size.min(layout.size())) }, old_tag);
        // SAFETY: a block of that size.
        unsafe { moved.write_bytes(tag, size) };
        live.push((moved, Layout::from_size_align(size, layout.align()).unwrap(), tag));
    }
    assert_eq!(arena.used_bytes(), live.iter().map(|(_, layout, _)| layout.size()).sum::<usize>());
    for (block, layout, tag) in live {
        // SAFETY: in use with that size, and written.
        check(unsafe { std::slice::from_raw_parts(block, layout.size()) }, tag);
        // SAFETY: in use with that layout.
        unsafe { dealloc(block, layout) };
    }
    assert_eq!(arena.used_bytes(), 0);
    assert!(arena.enter(|| Vec::<u8>::new().try_reserve_exact(3 << 20)).is_ok());
}

/// The same calls give the same addresses, in every run.
#[test]
fn addresses_repeat() {
    let run = || {
        let arena = arena(19);
        let addresses = arena.enter(|| {
            let kept: Vec<String> = (0..200).map(|n| "x".repeat(n * 7 % 90)).collect();
            kept.iter().step_by(3).map(|text| text.as_ptr().addr()).collect::<Vec<_>>()
        });
        // A copy outside, so that the arena is empty when it ends, and can be made again.
        addresses.clone()
    };
    assert_eq!(run(), run());
}

#[test]
fn the_fallback_is_asked_outside_scopes() {
    struct Counting(std::sync::atomic::AtomicUsize);
    // SAFETY: passes everything on to System.
    unsafe impl GlobalAlloc for Counting {
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            // SAFETY: the caller's promise.
            unsafe { System.alloc(layout) }
        }
        unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
            self.0.fetch_sub(1, std::sync::atomic::Ordering::Relaxed);
            // SAFETY: the caller's promise.
            unsafe { System.dealloc(block, layout) }
        }
    }
    static COUNT: Counting = Counting(std::sync::atomic::AtomicUsize::new(0));
    // SAFETY: passes everything on to COUNT.
    unsafe impl GlobalAlloc for &Counting {
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            // SAFETY: the caller's promise.
            unsafe { (**self).alloc(layout) }
        }
        unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
            // SAFETY: the caller's promise.
            unsafe { (**self).dealloc(block, layout) }
        }
    }
    let allocator = ScopedAllocator::new(&COUNT);
    let count = || COUNT.0.load(std::sync::atomic::Ordering::Relaxed);
    let layout = Layout::new::<u64>();
    let arena = arena(20);
    // SAFETY: the size is not 0.
    let outer = unsafe { allocator.alloc(layout) };
    assert_eq!(count(), 1);
    // SAFETY: the size is not 0.
    let inside = arena.enter(|| unsafe { allocator.alloc(layout) });
    assert_eq!(count(), 1);
    // SAFETY: allocated above.
    unsafe { allocator.dealloc(inside, layout) };
    assert_eq!(count(), 1);
    // SAFETY: allocated above.
    arena.enter(|| unsafe { allocator.dealloc(outer, layout) });
    assert_eq!(count(), 0);
}
