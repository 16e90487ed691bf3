//! The host's table of files, and the inode numbers that guests see: those of files made during the run repeat.
//!
//! A device and an inode number in, the file's entry ([`find`], [`entry`]) or its number as shown ([`number`]) out.
//! Always true: a file that was born before the simulation began keeps its number; one that was born later has one of the
//! host's own, counted in the order in which guests made or first saw such files, and keeps it as long as it lives; the
//! numbers are above all that file systems give; status and listings agree. What is in an entry beside the
//! number is `times`'s. See inode(7), stat(2), getdents(2).
//!
//! Why not all files: what a run finds has the same number in every run, because it is the same file, and the
//! dynamic linker has taken the numbers of a program's libraries before this library was there.

use core::ffi::CStr;
use core::sync::atomic::Ordering::Relaxed;

use shim_abi::Errno;
use shim_abi::region::{InodeTimes, MAX_INODE_TIMES};

use crate::guest_memory::{GuestAddr, read_bytes, read_value, write_value};
use crate::sys;
use crate::thread::Slot;

/// The first number of a host's own.
const FIRST: u64 = 1 << 40;
/// How far a search in the table goes.
const PROBES: usize = 32;
/// Longest name of an entry, with its NUL.
const NAME_BYTES: usize = 256;
const NS_PER_SEC: i64 = 1_000_000_000;

fn candidates(slot: &Slot, device: u64, inode: u64) -> impl Iterator<Item = &'static InodeTimes> {
    let start = (inode ^ device.rotate_left(17)).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    let table = slot.inode_times;
    (0..PROBES).map(move |i| &table[(start as usize + i) % MAX_INODE_TIMES])
}

/// The entry of an inode, if it has one.
pub fn find(slot: &Slot, device: u64, inode: u64) -> Option<&'static InodeTimes> {
    candidates(slot, device, inode)
        .take_while(|entry| entry.inode.load(Relaxed) != 0)
        .find(|e| e.inode.load(Relaxed) == inode && e.device.load(Relaxed) == device)
}

/// The entry of an inode, made if it has none; `None` if the table is full there. A guest that has made the file
/// gives it a new entry with a number of its own: the inode may have been another file's.
pub fn entry(slot: &Slot, device: u64, inode: u64, is_made: bool) -> Option<&'static InodeTimes> {
    let is_its = |e: &&InodeTimes| {
        let i = e.inode.load(Relaxed);
        i == 0 || (i == inode && e.device.load(Relaxed) == device)
    };
    let entry = candidates(slot, device, inode).find(is_its)?;
    if is_made || entry.inode.load(Relaxed) == 0 {
        entry.device.store(device, Relaxed);
        entry.inode.store(inode, Relaxed);
        for time in [&entry.created_ns, &entry.modified_ns, &entry.accessed_ns, &entry.changed_ns] {
            time.store(0, Relaxed);
        }
        entry.shown.store(if is_made { next(slot) } else { 0 }, Relaxed);
        entry.is_listed.store(0, Relaxed);
    }
    Some(entry)
}

fn next(slot: &Slot) -> u64 {
    // Only the guest that has control counts.
    let count = slot.counters.inodes.load(Relaxed);
    slot.counters.inodes.store(count + 1, Relaxed);
    FIRST + count
}

/// Where a file is: a directory's descriptor and a path, with the flags of fstatat(2).
#[derive(Clone, Copy)]
pub struct Place<'p> {
    /// The directory.
    pub dir: u64,
    /// The path from there.
    pub path: &'p CStr,
    /// AT_SYMLINK_NOFOLLOW, AT_EMPTY_PATH.
    pub flags: i32,
}

/// The number that guests see for this inode, which changed last at `changed_ns` of real time or before.
pub fn number(slot: &Slot, (device, inode): (u64, u64), changed_ns: i64, place: Place<'_>) -> u64 {
    let known = find(slot, device, inode);
    match known.map_or(0, |entry| entry.shown.load(Relaxed)) {
        0 => {}
        shown => return shown,
    }
    let is_new = |ns: i64| ns >= slot.manager.start_wall_ns;
    // Nothing is born after its last change. A file system that knows no births keeps its numbers.
    if !is_new(changed_ns) || !born_ns(place, device, inode).is_some_and(is_new) {
        if let Some(entry) = known {
            entry.shown.store(inode, Relaxed);
        }
        return inode;
    }
    let Some(entry) = entry(slot, device, inode, false) else { return inode };
    entry.shown.store(next(slot), Relaxed);
    entry.shown.load(Relaxed)
}

/// When this inode was born in real time, if it is the one at `place` and its file system knows.
fn born_ns(place: Place<'_>, device: u64, inode: u64) -> Option<i64> {
    let mask = libc::STATX_INO | libc::STATX_NLINK | libc::STATX_BTIME;
    let answer = sys::statx(place.dir, place.path, place.flags, mask).ok()?;
    // What never had a name, as the files of the simulated machine, must not fill the table.
    let is_it = answer.stx_ino == inode
        && answer.stx_nlink > 0
        && libc::makedev(answer.stx_dev_major, answer.stx_dev_minor) == device;
    let birth = answer.stx_btime;
    let has_birth = is_it && answer.stx_mask & libc::STATX_BTIME != 0;
    has_birth.then(|| birth.tv_sec.saturating_mul(NS_PER_SEC).saturating_add(birth.tv_nsec.into()))
}

/// Give the entries that a listing of the directory `fd` has put into guest memory the numbers that guests see.
pub fn renumber(slot: &Slot, fd: u32, is_64: bool, to: GuestAddr, bytes: u64) -> Result<(), Errno> {
    const HEAD: u64 = 18;
    let directory = sys::fstat(fd)?;
    let changed_ns = directory.st_ctime.saturating_mul(NS_PER_SEC) + directory.st_ctime_nsec;
    if changed_ns < slot.manager.start_wall_ns {
        return Ok(()); // Nothing has been made in it since.
    }
    let mut at = 0;
    while at + HEAD < bytes {
        let entry = to.offset(at);
        let inode: u64 = read_value(entry)?;
        let entry_bytes = u64::from(read_value::<u16>(entry.offset(16))?).max(HEAD + 1);
        let name_at = if is_64 { HEAD + 1 } else { HEAD };
        let mut name = [0; NAME_BYTES];
        let room = entry_bytes.saturating_sub(name_at).min(name.len() as u64 - 1) as usize;
        read_bytes(entry.offset(name_at), &mut name[..room])?;
        if let Ok(path) = CStr::from_bytes_until_nul(&name) {
            let place = Place { dir: fd.into(), path, flags: libc::AT_SYMLINK_NOFOLLOW };
            let shown = number(slot, (directory.st_dev, inode), i64::MAX, place);
            if shown != inode {
                write_value(entry, &shown)?;
            }
        }
        at += entry_bytes;
    }
    Ok(())
}
