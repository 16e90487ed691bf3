//! Which files the guests of this host opened for writing, for the simulator to find those that several hosts did.
//!
//! A descriptor in, its path in the host's list out. Always true: a file is named once, and nothing that a guest sees
//! depends on the list; what finds no room is not named. It costs a native call for a file, not for a write. Which of the
//! folders are the host's own the simulator knows, which reads the list at the end; names that a file gets later
//! are not here.

use core::sync::atomic::Ordering::Relaxed;

use super::inodes;
use super::proc::listing::link_of;
use crate::thread::Slot;

/// Longer paths are not named.
const MAX_PATH_BYTES: usize = 255;

/// The file `fd`, with this device and inode, was opened for writing.
pub fn note(slot: &Slot, fd: u32, (device, inode): (u64, u64)) {
    let entry = inodes::entry(slot, device, inode, false);
    if entry.is_some_and(|entry| entry.is_listed.load(Relaxed) != 0) {
        return;
    }
    if let Some(entry) = entry {
        entry.is_listed.store(1, Relaxed);
    }
    let list = slot.written;
    let Some(link) = link_of(fd) else { return };
    let path = link.as_bytes();
    // What has no name any more nobody else can open.
    if !path.starts_with(b"/") || path.ends_with(b" (deleted)") {
        return;
    }
    let start = list.len_bytes.load(Relaxed) as usize;
    let end = start + path.len() + 1;
    if let Some(room) = list.paths.get(start..end).filter(|_| path.len() <= MAX_PATH_BYTES) {
        for (to, &byte) in room.iter().zip(path.iter().chain(&[0])) {
            to.store(byte, Relaxed);
        }
        list.len_bytes.store(end as u64, Relaxed);
    }
}
