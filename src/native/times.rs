//! The times of files: simulated, and repeatable on disk.
//!
//! Changes in ([`changed`], [`touch_parent`], ...), times as a guest sees them out ([`present`]). Always
//! true: a change through a descriptor is remembered and written to the inode before the descriptor is
//! closed, and before anything looks at times or changes them otherwise ([`flush`]), because native reads
//! and writes must not cost a call each; what Linux lets nobody set (change and creation time) is kept in
//! the host's table. A file from before the run whose time lies after simulated now, or that was touched in
//! real time while the simulation ran, shows the simulated start, unless it is settled. All times are the
//! host's own calendar's. See stat(2), utimensat(2), inode(7).
//!
//! Why settled files keep their times: installed software holds caches that record the times of what they
//! were made from (Python's `.pyc`, Java's class archives). With other times shown, guests of root rewrote
//! every `.pyc` that they loaded, native programs wrote them back, and the first guest after that ran
//! differently (tried).
//!
//! Why not translate on reading only: trees on disk would differ between runs, and `tar`, `make` and `git`
//! of other runs read them.

use core::ffi::CStr;
use core::sync::atomic::Ordering::Relaxed;

use shim_abi::calls::nr;
use shim_abi::process::descriptor;

use super::{inodes, watched};
use crate::local::clock::{realtime_at_start_ns, realtime_ns};
use crate::local::reach;
use crate::sys;
use crate::thread::{Change, Slot};

const NS_PER_SEC: u64 = 1_000_000_000;
const UTIME_OMIT: u64 = 0x3fff_fffe;
/// A file that has not changed for a day when the simulation starts keeps its times.
const SETTLED_AFTER_NS: i64 = 86_400 * NS_PER_SEC as i64;

/// Which times of an inode a change sets.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct NewTimes {
    /// Last access.
    pub accessed_ns: Option<u64>,
    /// Last change of the contents.
    pub modified_ns: Option<u64>,
    /// Creation.
    pub created_ns: Option<u64>,
}

/// The contents of what `fd` stands for changed now.
pub fn changed(slot: &Slot, fd: u32) {
    if slot.process.descriptor(fd) != descriptor::WRITABLE {
        return;
    }
    let change = Change { fd, realtime_ns: realtime_ns(slot) };
    let mut free = None;
    for cell in &slot.changes {
        match cell.get() {
            Some(old) if old.fd == fd => {
                cell.set(Some(change));
                return;
            }
            None if free.is_none() => free = Some(cell),
            _ => {}
        }
    }
    match free {
        Some(cell) => cell.set(Some(change)),
        None => {
            flush(slot);
            slot.changes[0].set(Some(change));
        }
    }
}

/// Write back the change made through `fd`, which is about to be closed.
pub fn flush_descriptor(slot: &Slot, fd: u32) {
    for cell in &slot.changes {
        if let Some(change) = cell.get().filter(|change| change.fd == fd) {
            cell.set(None);
            write_back(slot, change);
        }
    }
}

/// Write back all changes.
pub fn flush(slot: &Slot) {
    for cell in &slot.changes {
        if let Some(change) = cell.take() {
            write_back(slot, change);
        }
    }
}

fn write_back(slot: &Slot, change: Change) {
    let new = NewTimes { modified_ns: Some(change.realtime_ns), ..NewTimes::default() };
    if let Ok(stat) = sys::fstat(change.fd) {
        set(slot, change.fd.into(), None, 0, new);
        remember(slot, stat.st_dev, stat.st_ino, change.realtime_ns, new);
    }
}

fn timespec(ns: Option<u64>) -> [u64; 2] {
    match ns {
        Some(ns) => [ns / NS_PER_SEC, ns % NS_PER_SEC],
        None => [0, UTIME_OMIT],
    }
}

/// Set an inode's settable times; one that belongs to somebody else keeps its own.
fn set(slot: &Slot, dir: u64, path: Option<&CStr>, flags: i32, new: NewTimes) {
    if new.accessed_ns.is_none() && new.modified_ns.is_none() {
        return;
    }
    let times = [timespec(new.accessed_ns), timespec(new.modified_ns)];
    let path = path.map_or(0, |p| p.as_ptr() as u64);
    let args = [dir, path, (&raw const times) as u64, flags as u64, 0, 0];
    let set = || sys::call(nr::utimensat, args);
    watched::unseen(slot, || {
        if set().is_err() {
            let _ = reach::as_simulator(slot, set);
        }
    });
}

/// An inode was changed by name, now: set `new` and remember the change. `flags`: AT_SYMLINK_NOFOLLOW.
pub fn touch(slot: &Slot, dir: u64, path: &CStr, flags: i32, new: NewTimes) {
    flush(slot); // What waits is older than this change, and must not come after it.
    let now = realtime_ns(slot);
    if let Ok(stat) = sys::stat_at(dir, path, flags) {
        set(slot, dir, Some(path), flags, new);
        remember(slot, stat.st_dev, stat.st_ino, now, new);
    }
}

/// A name of this inode (if there was one) is gone: that changed it, now, for those who still have it.
pub fn lost_a_name<E>(slot: &Slot, inode: Result<libc::stat, E>) {
    if let Ok(stat) = inode {
        flush(slot); // As for `touch`.
        remember(slot, stat.st_dev, stat.st_ino, realtime_ns(slot), NewTimes::default());
    }
}

/// An open file's inode was changed, now.
pub fn touch_descriptor(slot: &Slot, fd: u32, new: NewTimes) {
    flush(slot); // As for `touch`.
    let now = realtime_ns(slot);
    if let Ok(stat) = sys::fstat(fd) {
        set(slot, fd.into(), None, 0, new);
        remember(slot, stat.st_dev, stat.st_ino, now, new);
    }
}

/// Everything about an inode is new, now.
pub fn all_new(slot: &Slot) -> NewTimes {
    let now = Some(realtime_ns(slot));
    NewTimes { accessed_ns: now, modified_ns: now, created_ns: now }
}

/// The contents are new, now.
pub fn modified_now(slot: &Slot) -> NewTimes {
    NewTimes { modified_ns: Some(realtime_ns(slot)), ..NewTimes::default() }
}

/// An entry was made in, or removed from, the directory that holds `path`.
pub fn touch_parent(slot: &Slot, dir: u64, path: &super::paths::Path) {
    touch(slot, dir, path.parent().as_c_str(), 0, modified_now(slot));
}

fn remember(slot: &Slot, device: u64, inode: u64, now_ns: u64, new: NewTimes) {
    let Some(entry) = inodes::entry(slot, device, inode, new.created_ns.is_some()) else {
        return; // The table is full here: `present` then falls back to the time of the contents.
    };
    entry.changed_ns.store(now_ns, Relaxed);
    for (word, value) in [
        (&entry.created_ns, new.created_ns),
        (&entry.modified_ns, new.modified_ns),
        (&entry.accessed_ns, new.accessed_ns),
    ] {
        if let Some(ns) = value {
            word.store(ns, Relaxed);
        }
    }
}

/// The times of an inode, in nanoseconds since 1970.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FileTimes {
    /// Last access.
    pub accessed_ns: i64,
    /// Last change of the contents.
    pub modified_ns: i64,
    /// Last change of the inode.
    pub changed_ns: i64,
    /// Creation.
    pub created_ns: i64,
}

/// What a guest sees of an inode whose real times are `real`.
pub fn present(slot: &Slot, device: u64, inode: u64, real: FileTimes) -> FileTimes {
    let now = realtime_ns(slot) as i64;
    let start = realtime_at_start_ns(slot);
    let wall_start = slot.manager.start_wall_ns;
    let untouched = |ns: i64| {
        let is_young = ns > now && ns >= wall_start.saturating_sub(SETTLED_AFTER_NS);
        if is_young || ns >= wall_start { start } else { ns }
    };
    let Some(entry) = inodes::find(slot, device, inode) else {
        return FileTimes {
            accessed_ns: untouched(real.accessed_ns),
            modified_ns: untouched(real.modified_ns),
            changed_ns: untouched(real.changed_ns),
            created_ns: untouched(real.created_ns),
        };
    };
    let kept = |word: &core::sync::atomic::AtomicU64| match word.load(Relaxed) {
        0 => None,
        ns => Some(ns as i64),
    };
    let remembered = kept(&entry.modified_ns);
    // What another host's guests wrote since is on the inode, and not in the future.
    let modified = match remembered {
        Some(ns) if real.modified_ns != ns && real.modified_ns > now => ns,
        Some(_) => real.modified_ns,
        None => untouched(real.modified_ns),
    };
    let accessed = match kept(&entry.accessed_ns) {
        Some(ns) if real.accessed_ns == ns => ns,
        Some(ns) => ns.max(modified),
        None => untouched(real.accessed_ns),
    };
    FileTimes {
        accessed_ns: accessed,
        modified_ns: modified,
        changed_ns: kept(&entry.changed_ns).unwrap_or_else(|| untouched(real.changed_ns)),
        created_ns: kept(&entry.created_ns).unwrap_or_else(|| untouched(real.created_ns)),
    }
}
