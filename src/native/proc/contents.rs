//! Files below `/proc/<number>` that show numbers: `stat`, `status`, `statm`; and a process's own `maps` and `smaps`.
//!
//! A subject and a file in, contents out. Always true: numbers, states, times and signals are the simulator's;
//! the name and the layout of memory are the real kernel's, without what the shim reserved; how much is resident
//! is a fixed plausible figure, as in getrusage(2), because the real one differs from run to run.

use core::ffi::CStr;
use core::fmt::Write;
use core::sync::atomic::Ordering::Relaxed;

use shim_abi::Errno;
use shim_abi::address::{ARENA_BYTES, RESERVATION_BYTES, TEXT_BUFFER, TEXT_BUFFER_BYTES};
use shim_abi::calls::{PSEUDO_MAPS, PSEUDO_PROCESS_FILE};
use shim_abi::virtual_files::{MemoryFile, ProcessFile};

use super::listing;
use super::names::{self, Subject, number, place};
use crate::forward::Forwarded;
use crate::kernel::arena;
use crate::local::reach;
use crate::native;
use crate::native::paths::Path;
use crate::native::seccomp::MODE_FILTER;
use crate::sys;
use crate::thread::Slot;
use crate::trace::FixedText;

/// A file that is made here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum File {
    /// One line for programs.
    Stat,
    /// Lines for people.
    Status,
    /// Memory, in pages.
    Memory,
    /// The command line of who has none.
    Nothing,
    /// The name of who has no process.
    Name,
    /// The caller's own mappings.
    Own(MemoryFile),
}

impl File {
    /// The file of this name below a subject, if it is made here.
    pub fn of(subject: Subject, name: &[u8]) -> Option<File> {
        match name {
            b"stat" => Some(File::Stat),
            b"status" => Some(File::Status),
            b"statm" => Some(File::Memory),
            b"cmdline" if !subject.is_real => Some(File::Nothing),
            b"comm" if !subject.is_real => Some(File::Name),
            _ => {
                let file = MemoryFile::named(name)?;
                (subject.pid == Slot::current().process.pid.load(Relaxed))
                    .then_some(File::Own(file))
            }
        }
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            File::Stat => "stat",
            File::Status => "status",
            File::Memory => "statm",
            File::Nothing => "cmdline",
            File::Name => "comm",
            File::Own(file) => file.name(),
        }
    }
}

/// A file that is made here, and was opened natively because its path did not show it.
pub fn unexpected(slot: &Slot, path: &Path, fd: u32) -> Option<(Subject, File)> {
    let is_such = matches!(path.name(), b"stat" | b"status" | b"statm")
        || MemoryFile::named(path.name()).is_some();
    if !is_such || !listing::is_in_proc(fd) {
        return None;
    }
    let native = listing::link_of(fd)?;
    let shown = names::shown(slot, native.as_bytes())?;
    let named = names::parse(slot, shown.as_bytes().strip_prefix(b"/proc/")?)?.ok()?;
    Some((named.subject, File::of(named.subject, named.rest)?))
}

const BYTES: usize = 8192;
/// Room for the contents of such a file.
pub type Text = FixedText<BYTES>;

/// Its contents at this instant. ENOENT: who it is about has gone.
#[inline(never)]
pub fn make(slot: &Slot, subject: Subject, file: File) -> Result<Text, Errno> {
    let mut told = [0; 512];
    let what = if file == File::Status { ProcessFile::Status } else { ProcessFile::Stat };
    let told = ask(slot, what, subject, &mut told)?;
    let mut native = [0; BYTES];
    let native = if subject.is_real { read(slot, subject, file, &mut native)? } else { b"" };
    let mut text = Text::new();
    match file {
        File::Stat => merge_stat(&mut text, native, told.as_bytes()),
        File::Status => merge_status(slot, subject, &mut text, native, told.as_bytes()),
        File::Memory => merge_memory(&mut text, native, told.as_bytes()),
        File::Nothing => {}
        File::Name => {
            text.push(stat_fields(told.as_bytes()).map_or(b"", |(name, _)| name));
            text.push(b"\n");
        }
        // Too long for a text: see `with_memory`.
        File::Own(_) => {}
    }
    Ok(text)
}

/// Hand what is shown of the caller's memory, as if nothing of libshim's were in it, by address and length to `to`.
pub fn with_memory<T>(
    slot: &Slot,
    file: MemoryFile,
    to: impl FnOnce(usize, usize) -> Result<T, Errno>,
) -> Result<T, Errno> {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | libc::MAP_FIXED;
    let protect = |protection| sys::map(TEXT_BUFFER, TEXT_BUFFER_BYTES, protection, flags, -1);
    protect(libc::PROT_READ | libc::PROT_WRITE)?;
    let args = [TEXT_BUFFER as u64, TEXT_BUFFER_BYTES as u64, file as u64, 0, 0, 0];
    let result = native::result(Forwarded::new(slot, PSEUDO_MAPS, args).send())
        .and_then(|bytes| to(TEXT_BUFFER, (bytes as usize).min(TEXT_BUFFER_BYTES)));
    let _ = protect(libc::PROT_NONE);
    result
}

/// What the simulator tells.
fn ask(
    slot: &Slot,
    what: ProcessFile,
    subject: Subject,
    words: &mut [u64],
) -> Result<FixedText<4096>, Errno> {
    let room = words.len() as u64 * 8;
    let at = words.as_mut_ptr() as u64;
    let args = [what as u64, subject.pid.into(), subject.tid.into(), at, room, 0];
    let len = native::result(Forwarded::new(slot, PSEUDO_PROCESS_FILE, args).send_into(words))?;
    let mut text = FixedText::new();
    let mut left = len.min(room as i64) as usize;
    for word in words.iter() {
        let bytes = word.to_le_bytes();
        text.push(&bytes[..left.min(8)]);
        left -= left.min(8);
    }
    Ok(text)
}

fn read<'a>(
    slot: &Slot,
    subject: Subject,
    file: File,
    to: &'a mut [u8],
) -> Result<&'a [u8], Errno> {
    let mut path = FixedText::<64>::new();
    path.push(place(slot, subject).as_bytes());
    let _ = write!(path, "/{}\0", file.name());
    let path = CStr::from_bytes_until_nul(path.as_bytes()).map_err(|_| Errno::ENOENT)?;
    let fd = sys::open(path, libc::O_RDONLY | libc::O_CLOEXEC)?;
    let len = sys::pread(fd, to, 0);
    sys::close(fd);
    Ok(&to[..len?])
}

/// A `stat` line: what stands in the parentheses, and the fields from the third.
fn stat_fields(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let open = line.iter().position(|&b| b == b'(')?;
    let close = line.iter().rposition(|&b| b == b')')?;
    Some((line.get(open + 1..close)?, line.get(close + 2..)?))
}

fn words(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(|b| b.is_ascii_whitespace()).filter(|word| !word.is_empty())
}

/// A number of bytes or pages without what the shim has mapped.
fn without_ours(word: &[u8], unit: usize) -> u64 {
    let all =
        core::str::from_utf8(word).ok().and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
    let arena_bytes = if arena::is_mapped() { ARENA_BYTES } else { 0 };
    all.saturating_sub(((RESERVATION_BYTES + arena_bytes) / unit) as u64)
}

fn merge_stat(text: &mut Text, native: &[u8], told: &[u8]) {
    const MEMORY: usize = 23;
    let Some((told_name, told_fields)) = stat_fields(told) else { return };
    let Some((name, fields)) = stat_fields(native) else {
        return text.push(told);
    };
    let _ = told_name;
    text.push(words(told).next().unwrap_or(b"0"));
    text.push(b" (");
    text.push(name);
    text.push(b")");
    for (i, (told, native)) in (3..).zip(words(told_fields).zip(words(fields))) {
        text.push(b" ");
        match i {
            MEMORY => {
                let _ = write!(text, "{}", without_ours(native, 1));
            }
            26..=28 | 45..=51 => text.push(native),
            _ => text.push(told),
        }
    }
    text.push(b"\n");
}

fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|&b| b == b'\n').filter(|line| !line.is_empty())
}

fn key(line: &[u8]) -> &[u8] {
    line.split(|&b| b == b':').next().unwrap_or(line)
}

fn merge_status(slot: &Slot, subject: Subject, text: &mut Text, native: &[u8], told: &[u8]) {
    let own_pid = slot.process.pid.load(Relaxed);
    let tid = if subject.tid == 0 { subject.pid } else { subject.tid };
    let is_own_thread = tid == slot.thread.tid.load(Relaxed);
    if native.is_empty() {
        return text.push(told);
    }
    for line in lines(native) {
        let name = key(line);
        let own = |is_set: bool, line: &'static str| {
            (subject.pid == own_pid && is_set).then_some(line.as_bytes())
        };
        match name {
            b"VmPeak" | b"VmSize" => {
                let kib = line.split(|b| !b.is_ascii_digit()).find(|word| number(word).is_some());
                let kib = without_ours(kib.unwrap_or(b""), 1024);
                text.push(name);
                let _ = writeln!(text, ":\t{kib:8} kB");
                continue;
            }
            b"Uid" | b"Gid" => {
                push_ids(slot, text, subject, name);
                continue;
            }
            _ => {}
        }
        let shown = [&b"CapEff"[..], b"CapPrm"].iter().position(|&shown| shown == name);
        if let Some(at) = shown.filter(|_| is_own_thread) {
            text.push(name);
            let _ = writeln!(text, ":\t{:016x}", slot.capabilities.get().shown()[at]);
            continue;
        }
        let set = match name {
            b"Seccomp" => own(slot.has_seccomp_filter.get(), "Seccomp:\t2"),
            b"Seccomp_filters" => own(slot.has_seccomp_filter.get(), "Seccomp_filters:\t1"),
            b"NoNewPrivs" => own(slot.has_no_new_privileges.get(), "NoNewPrivs:\t1"),
            _ => None,
        };
        if let Some(set) = set {
            text.push(set);
            text.push(b"\n");
            continue;
        }
        let is_kept = name == b"Name";
        let told_line = lines(told).find(|told| key(told) == name).filter(|_| !is_kept);
        text.push(told_line.unwrap_or(line));
        text.push(b"\n");
    }
    const _: () = assert!(MODE_FILTER == 2);
}

/// Real, effective, saved and file system's id of a thread; those of a process are its first thread's.
fn push_ids(slot: &Slot, text: &mut Text, subject: Subject, name: &[u8]) {
    let tid = if subject.tid == 0 { subject.pid } else { subject.tid };
    let Some(block) = names::thread_block_of(slot, tid) else { return };
    let ids = if name == b"Uid" { &block.user_ids } else { &block.group_ids };
    let [real, effective, saved] = ids.each_ref().map(|id| id.load(Relaxed));
    text.push(name);
    let is_own = tid == slot.thread.tid.load(Relaxed);
    let for_files = if is_own { reach::ids()[usize::from(name != b"Uid")] } else { effective };
    let _ = writeln!(text, ":\t{real}\t{effective}\t{saved}\t{for_files}");
}

fn merge_memory(text: &mut Text, native: &[u8], told: &[u8]) {
    const RESIDENT: usize = 24 - 3;
    let resident = stat_fields(told)
        .and_then(|(_, fields)| words(fields).nth(RESIDENT))
        .and_then(number)
        .unwrap_or(0);
    for (i, word) in words(native).enumerate() {
        let _ = match i {
            0 => write!(text, "{}", without_ours(word, 4096)),
            1 => write!(text, " {resident}"),
            2 => write!(text, " {}", resident / 2),
            _ => {
                text.push(b" ");
                text.push(word);
                Ok(())
            }
        };
    }
    text.push(if native.is_empty() { b"0 0 0 0 0 0 0\n" } else { b"\n" });
}
