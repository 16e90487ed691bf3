//! An arena that wanders between processes.
//!
//! This executable runs itself again, with a variable that says where the arena's file is; what the
//! copy does to the objects in the arena is seen by the original, and the other way round. Always
//! true: the original waits while the copy works, as the side without control does. Not here: the
//! wandering of a whole kernel, which is tested where hosts are.
//!
//! # Safety
//!
//! Unsafe here: attaching an arena that the other process made, and references to the map at its root.
#![allow(unsafe_code)]

use std::alloc::System;
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::process::Command;

use shim_arena::{Arena, ScopedAllocator};

#[global_allocator]
static ALLOCATOR: ScopedAllocator<System> = ScopedAllocator::new(System);

type Map = BTreeMap<String, Vec<u64>>;

const INDEX: u32 = 7;
const VARIABLE: &str = "SHIM_ARENA_TEST_FILE";

fn path(arena: &Arena) -> String {
    format!("/proc/{}/fd/{}", std::process::id(), arena.fd().as_raw_fd())
}

fn open(path: &str) -> OwnedFd {
    OpenOptions::new().read(true).write(true).open(path).unwrap().into()
}

fn root_of(arena: &Arena) -> *mut Map {
    std::ptr::with_exposed_provenance_mut(arena.root().expect("the original left a root"))
}

/// What the copy does: changes something in every way there is.
fn copy(path: &str) {
    // SAFETY: the original created the file, is the same executable, and waits for us.
    let arena = unsafe { Arena::attach(open(path), INDEX) }.unwrap();
    arena.enter(|| {
        // SAFETY: the original leaked the map, and waits while we use it.
        let map = unsafe { &mut *root_of(&arena) };
        assert_eq!(map.len(), 500);
        assert_eq!(map["key 123"], [123; 4]);
        map.get_mut("key 7").unwrap().extend(0..10_000);
        for key in (0..500).step_by(2) {
            map.remove(&format!("key {key}"));
        }
        for key in 1000..1200 {
            map.insert(format!("key {key}"), vec![key]);
        }
    });
    assert!(!Box::new(1_u8).as_ref().eq(&0), "outside, the copy's own allocator works");
}

#[test]
fn a_map_is_changed_by_another_process() {
    if let Some(path) = std::env::var_os(VARIABLE) {
        return copy(path.to_str().unwrap());
    }
    let arena = Arena::create(INDEX, 8 << 20).unwrap();
    arena.enter(|| {
        let mut map = Map::new();
        for key in 0..500 {
            map.insert(format!("key {key}"), vec![key; 4]);
        }
        arena.set_root((&raw mut *Box::leak(Box::new(map))).expose_provenance());
    });
    let used_before = arena.used_bytes();

    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_map_is_changed_by_another_process"])
        .env(VARIABLE, path(&arena))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));

    assert!(arena.used_bytes() > used_before, "the books are shared, too");
    // SAFETY: leaked above; the copy has ended, and no other reference to it is left.
    let map = unsafe { &mut *root_of(&arena) };
    assert_eq!(map.len(), 250 + 200);
    assert!(!map.contains_key("key 122"));
    assert_eq!(map["key 123"], [123; 4]);
    assert_eq!(map["key 1199"], [1199]);
    assert!(map["key 7"].iter().copied().eq([7; 4].into_iter().chain(0..10_000)));
    // The original goes on with what the copy allocated, and gives everything back.
    arena.enter(|| {
        map.get_mut("key 7").unwrap().extend(0..20_000);
        map.insert("from the original".to_owned(), vec![1]);
    });
    assert_eq!(map.len(), 451);
    // SAFETY: the box that was leaked above; `map` is not used any more.
    drop(unsafe { Box::from_raw(root_of(&arena)) });
    assert_eq!(arena.used_bytes(), 0);
}

#[test]
fn only_arenas_are_attached_and_only_where_they_belong() {
    let refused = |file: OwnedFd, index| {
        // SAFETY: nobody else uses these files; each is refused before anything in it is used.
        unsafe { Arena::attach(file, index) }.unwrap_err()
    };
    let arena = Arena::create(20, 1 << 20).unwrap();
    let other_index = refused(open(&path(&arena)), 21);
    assert_eq!(other_index.kind(), ErrorKind::InvalidData);
    assert!(other_index.to_string().contains("is arena 20, not arena 21"), "{other_index}");
    assert_eq!(refused(open(&path(&arena)), 20).kind(), ErrorKind::AlreadyExists);
    assert_eq!(refused(open(&path(&arena)), u32::MAX).kind(), ErrorKind::InvalidInput);
    assert_eq!(refused(File::open("/dev/null").unwrap().into(), 22).kind(), ErrorKind::InvalidData);
    // What was refused is unmapped: the place is free.
    Arena::create(21, 1 << 20).unwrap();

    let memory_file = |contents: &[u8], seals| {
        let flags = rustix::fs::MemfdFlags::ALLOW_SEALING;
        let mut file = File::from(rustix::fs::memfd_create("test", flags).unwrap());
        file.write_all(contents).unwrap();
        rustix::fs::fcntl_add_seals(&file, seals).unwrap();
        OwnedFd::from(file)
    };
    use rustix::fs::SealFlags;
    let all = SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL;
    let garbage = refused(memory_file(&[0xa5; 1 << 16], all), 22);
    assert!(garbage.to_string().contains("is not an arena"), "{garbage}");
    let unsealed = refused(memory_file(&[0xa5; 1 << 16], SealFlags::SHRINK), 22);
    assert!(unsealed.to_string().contains("not sealed"), "{unsealed}");
    let short = refused(memory_file(&[0xa5; 100], all), 22);
    assert!(short.to_string().contains("100 bytes"), "{short}");
}
