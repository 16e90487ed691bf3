//! Plans on disk, so that a library is decoded once and not in every run.
//!
//! The bytes of a file in, its [`Plan`] out: from the cache, or made and put there. A file in the cache is named
//! after the SHA-256 of the contents it was planned for, and holds that, what it was planned by, the plan, and a
//! SHA-256 of everything. Always true: what is truncated, altered, by other sources or of other contents counts as
//! absent and is written anew; a file appears under its name complete or not at all, whoever else is writing; a
//! folder or file that somebody else owns or may write is not believed and not touched; no failure of the cache is
//! a failure of the caller; what is older than two months goes when something is written.
//!
//! Why contents and not build-id, size and time of the file: a build-id survives being edited, a time can be set,
//! and hashing a library takes a tenth of the time of decoding it.

use std::env;
use std::ffi::OsString;
use std::fs::{DirBuilder, File};
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::{
    AtFlags, Dir, FileType, Mode, OFlags, fstat, mkdirat, open, openat, renameat, statat, unlinkat,
};
use rustix::process::geteuid;
use sha2::{Digest, Sha256};

use crate::elf::Elf;
use crate::plan::Plan;

/// Begins each file.
const MAGIC: [u8; 8] = *b"shimplan";
/// Raised whenever a file is written differently, or planned differently by a new release of the decoder.
const VERSION: u32 = 2;
/// What plans are made by. A plan by other sources may be another plan.
const PLANNED_BY: [&str; 3] =
    [include_str!("elf.rs"), include_str!("scan.rs"), include_str!("plan.rs")];
const HASH_BYTES: usize = 32;
const HEADER_BYTES: usize = MAGIC.len() + 4 + 2 * HASH_BYTES;
/// Larger files are neither plans nor images.
const MAX_FILE_BYTES: u64 = 1 << 30;
const FOLDER: &str = "shim";
/// How long a file is kept.
const KEPT_FOR: Duration = Duration::from_secs(60 * 86_400);

/// A folder of plans.
#[derive(Debug)]
pub struct Cache {
    /// None: nothing is kept.
    folder: Option<OwnedFd>,
}

impl Cache {
    /// The user's: `$XDG_CACHE_HOME/shim`, else `~/.cache/shim`. A cache that keeps nothing if there is no such
    /// place, or none that is the user's alone.
    pub fn of_user() -> Cache {
        let is_absolute = |path: &PathBuf| path.is_absolute();
        let path = |variable: &str| env::var_os(variable).map(PathBuf::from).filter(is_absolute);
        // Whose home is not there has none: it is not made.
        let home = || path("HOME").filter(|home| home.is_dir()).map(|home| home.join(".cache"));
        path("XDG_CACHE_HOME")
            .or_else(home)
            .map_or_else(Cache::none, |path| Cache::in_folder(&path))
    }

    /// A folder of its own in `parent`, which is made if it is not there.
    pub fn in_folder(parent: &Path) -> Cache {
        Cache { folder: open_folder(parent).ok() }
    }

    /// A cache that keeps nothing.
    pub fn none() -> Cache {
        Cache { folder: None }
    }

    /// Whether anything is kept.
    pub fn is_kept(&self) -> bool {
        self.folder.is_some()
    }

    /// The plan for a file, and whether it was found in the cache.
    pub fn plan(&self, elf: &Elf<'_>) -> (Plan, bool) {
        let contents: [u8; HASH_BYTES] = Sha256::digest(elf.bytes).into();
        let name = file_name(&contents);
        if let Some(plan) = self.read(&name).and_then(|bytes| decode(&bytes, &contents)) {
            return (plan, true);
        }
        let plan = Plan::of(elf);
        // A full disk costs the next run the same time again, not this run anything.
        let _ = encode(&plan, &contents).map(|bytes| self.write(&name, &bytes));
        (plan, false)
    }

    pub(crate) fn read(&self, name: &str) -> Option<Vec<u8>> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let file = openat(self.folder.as_ref()?, name, flags, Mode::empty()).ok()?;
        if !is_ours(&file, FileType::RegularFile) {
            return None;
        }
        let mut bytes = Vec::new();
        File::from(file).take(MAX_FILE_BYTES).read_to_end(&mut bytes).ok()?;
        Some(bytes)
    }

    /// Write a file under a name that nobody else uses, and move it into place.
    pub(crate) fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let Some(folder) = &self.folder else { return Ok(()) };
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let temporary = format!(".{name}.{}.{count}", std::process::id());
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let mode = Mode::RUSR | Mode::WUSR;
        // One of the same name is what a process with our id left when it was killed.
        let _ = unlinkat(folder, &temporary, AtFlags::empty());
        let mut file = File::from(openat(folder, &temporary, flags, mode)?);
        let written =
            file.write_all(bytes).and_then(|()| Ok(renameat(folder, &temporary, folder, name)?));
        if written.is_err() {
            let _ = unlinkat(folder, &temporary, AtFlags::empty());
        }
        remove_old(folder, SystemTime::now());
        written
    }
}

/// Remove what was written long ago: libraries go, and what is still wanted is made again. Who removes more than there
/// is (somebody else is at it) does not mind.
fn remove_old(folder: &OwnedFd, now: SystemTime) {
    let Ok(entries) = Dir::read_from(folder) else { return };
    for entry in entries.filter_map(Result::ok) {
        let name = entry.file_name();
        let Ok(stat) = statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) else { continue };
        let written = UNIX_EPOCH + Duration::from_secs(stat.st_mtime.max(0).unsigned_abs());
        let is_file = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
        if is_file && now.duration_since(written).is_ok_and(|age| age > KEPT_FOR) {
            let _ = unlinkat(folder, name, AtFlags::empty());
        }
    }
}

fn open_folder(parent: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let refused = || io::Error::from(io::ErrorKind::PermissionDenied);
    DirBuilder::new().recursive(true).mode(0o700).create(parent)?;
    let parent = open(parent, flags, Mode::empty())?;
    // Root does not leave folders in other users' homes. Whoever else can write the parent can put nothing into
    // its place that passes for ours.
    if fstat(&parent)?.st_uid != geteuid().as_raw() {
        return Err(refused());
    }
    match mkdirat(&parent, FOLDER, Mode::RWXU) {
        Ok(()) | Err(rustix::io::Errno::EXIST) => {}
        Err(error) => return Err(error.into()),
    }
    let folder = openat(&parent, FOLDER, flags | OFlags::NOFOLLOW, Mode::empty())?;
    if is_ours(&folder, FileType::Directory) { Ok(folder) } else { Err(refused()) }
}

/// Whether something is ours, and only we can write it.
fn is_ours(file: &OwnedFd, kind: FileType) -> bool {
    fstat(file).is_ok_and(|stat| {
        FileType::from_raw_mode(stat.st_mode) == kind
            && stat.st_uid == geteuid().as_raw()
            && !Mode::from_raw_mode(stat.st_mode).intersects(Mode::WGRP | Mode::WOTH)
    })
}

fn file_name(contents: &[u8; HASH_BYTES]) -> String {
    contents.iter().map(|byte| format!("{byte:02x}")).collect::<String>() + ".plan"
}

fn header(contents: &[u8; HASH_BYTES]) -> Vec<u8> {
    let mut planned_by = Sha256::new();
    PLANNED_BY.iter().for_each(|source| planned_by.update(source));
    let mut bytes = MAGIC.to_vec();
    bytes.extend(VERSION.to_le_bytes());
    bytes.extend(planned_by.finalize());
    bytes.extend(contents);
    bytes
}

fn encode(plan: &Plan, contents: &[u8; HASH_BYTES]) -> Option<Vec<u8>> {
    let mut bytes = postcard::to_extend(plan, header(contents)).ok()?;
    let hash = Sha256::digest(&bytes);
    bytes.extend(hash);
    Some(bytes)
}

fn decode(bytes: &[u8], contents: &[u8; HASH_BYTES]) -> Option<Plan> {
    let (bytes, hash) = bytes.split_at_checked(bytes.len().checked_sub(HASH_BYTES)?)?;
    let (begin, plan) = bytes.split_at_checked(HEADER_BYTES)?;
    if begin != header(contents) || Sha256::digest(bytes).as_slice() != hash {
        return None;
    }
    let (plan, rest) = postcard::take_from_bytes(plan).ok()?;
    rest.is_empty().then_some(plan)
}

/// The name under which [`Cache`] keeps a file's plan, for whoever looks after the folder.
pub fn name_of(elf: &Elf<'_>) -> OsString {
    file_name(&Sha256::digest(elf.bytes).into()).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Reason, Site, Way};
    use crate::scan::Kind;

    #[test]
    fn only_what_was_written_is_read() {
        let ways = [Way::Before(1 << 40), Way::Hop(7), Way::Trap, Way::Left(Reason::NoRoom)];
        let sites = ways.into_iter().enumerate().map(|(index, way)| Site {
            address: index as u64 * 1000,
            kind: [Kind::Syscall, Kind::Rdtsc, Kind::Rdtscp, Kind::Cpuid][index],
            number: (index > 1).then_some(index as u32 * 300),
            way,
        });
        let plan = Plan { sites: sites.collect() };
        let contents = [7; HASH_BYTES];
        let good = encode(&plan, &contents).unwrap();
        assert_eq!(decode(&good, &contents), Some(plan));
        assert_eq!(decode(&good, &[8; HASH_BYTES]), None, "another file");
        for len in 0..good.len() {
            assert_eq!(decode(&good[..len], &contents), None, "{len} bytes");
        }
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(decode(&bad, &contents), None, "bit {bit}");
        }
    }
}
