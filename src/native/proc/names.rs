//! Who is who: virtual numbers of processes and threads, and native ones.
//!
//! A path or a number in, the other kind out. Always true: what is not of this host does not exist; whether a
//! process exists is the simulator's word, its native number stands in its block. Blocks are looked through only
//! for what exists, because looking at a block that nobody uses costs a page.

use core::fmt::Write;
use core::sync::atomic::Ordering::Relaxed;

use shim_abi::block::BlockKind;
use shim_abi::calls::PSEUDO_PROCESS_FILE;
use shim_abi::process::ProcessBlock;
use shim_abi::region::{MAX_PROCESSES, MAX_THREADS};
use shim_abi::thread::ThreadBlock;
use shim_abi::virtual_files::ProcessFile;

use crate::boot::{process_block, thread_block};
use crate::forward;
use crate::thread::Slot;
use crate::trace::FixedText;

/// What a path below `/proc/<number>` is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Subject {
    /// The process.
    pub pid: u32,
    /// One of its threads, or 0 for the process.
    pub tid: u32,
    /// Whether a real process stands behind it.
    pub is_real: bool,
}

/// How a path continues behind the process or thread that it names.
pub struct Named<'a> {
    /// Whose entry it is.
    pub subject: Subject,
    /// What follows, without the slash before it.
    pub rest: &'a [u8],
}

fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().position(|&b| b == b'/') {
        Some(at) => (&path[..at], &path[at + 1..]),
        None => (path, b""),
    }
}

/// The number that a name is, if it is one.
pub fn number(name: &[u8]) -> Option<u32> {
    let is_number = !name.is_empty() && name.iter().all(u8::is_ascii_digit);
    is_number.then(|| core::str::from_utf8(name).ok()?.parse().ok()).flatten()
}

/// Read what stands behind `/proc/`: a process or thread of the host's, by virtual numbers, and what follows.
/// `Err`: a number that nobody has.
pub fn parse<'a>(slot: &Slot, path: &'a [u8]) -> Option<Result<Named<'a>, ()>> {
    let (first, rest) = split(path);
    let own = slot.process.pid.load(Relaxed);
    let (pid, tid) = match first {
        b"self" => (own, 0),
        b"thread-self" => (own, slot.thread.tid.load(Relaxed)),
        _ => (number(first)?, 0),
    };
    let is_own = pid == own;
    if !is_own && !exists(slot, pid, 0) {
        return Some(Err(()));
    }
    let is_real = is_own || native_pid(pid).is_some();
    let subject = Subject { pid, tid, is_real };
    if tid != 0 || split(rest).0 != b"task" {
        return Some(Ok(Named { subject, rest }));
    }
    let (id, behind) = split(split(rest).1);
    match number(id) {
        None => Some(Ok(Named { subject, rest })),
        Some(tid) if exists(slot, pid, tid) => {
            Some(Ok(Named { subject: Subject { tid, ..subject }, rest: behind }))
        }
        Some(_) => Some(Err(())),
    }
}

/// Whether there is such a process, and such a thread of it if `tid` is not 0.
fn exists(slot: &Slot, pid: u32, tid: u32) -> bool {
    let args = [ProcessFile::Stat as u64, pid.into(), tid.into(), 0, 0, 0];
    forward::syscall(slot, PSEUDO_PROCESS_FILE, args) >= 0
}

fn processes() -> impl Iterator<Item = &'static ProcessBlock> {
    (0..MAX_PROCESSES as u32)
        .filter_map(process_block)
        .filter(|block| block.header.is_valid::<ProcessBlock>(BlockKind::Process))
}

fn threads() -> impl Iterator<Item = &'static ThreadBlock> {
    (0..MAX_THREADS as u32)
        .filter_map(thread_block)
        .filter(|block| block.header.is_valid::<ThreadBlock>(BlockKind::Thread))
}

/// The block of a process that exists.
pub fn block(pid: u32) -> Option<&'static ProcessBlock> {
    processes().find(|block| block.pid.load(Relaxed) == pid)
}

/// The native number of a process that exists.
pub fn native_pid(pid: u32) -> Option<u32> {
    Some(block(pid)?.native_pid.load(Relaxed)).filter(|&native| native != 0)
}

/// The block of a thread that exists.
pub fn thread_block_of(slot: &Slot, tid: u32) -> Option<&'static ThreadBlock> {
    let own = slot.thread.get();
    if own.tid.load(Relaxed) == tid {
        return Some(own);
    }
    threads().find(|block| block.tid.load(Relaxed) == tid)
}

/// The number that the real kernel knows a thread by.
pub fn native_tid(slot: &Slot, tid: u32) -> Option<u32> {
    let block = thread_block_of(slot, tid)?;
    Some(block.native_tid.load(Relaxed)).filter(|&native| native != 0)
}

/// The virtual number of a native process of this host.
pub fn virtual_pid(slot: &Slot, native: u32) -> Option<u32> {
    if slot.process.native_pid.load(Relaxed) == native {
        return Some(slot.process.pid.load(Relaxed));
    }
    let block = processes().find(|block| block.native_pid.load(Relaxed) == native)?;
    Some(block.pid.load(Relaxed))
}

/// The virtual number of a native thread of this host.
pub fn virtual_tid(slot: &Slot, native: u32) -> Option<u32> {
    if slot.thread.native_tid.load(Relaxed) == native {
        return Some(slot.thread.tid.load(Relaxed));
    }
    let block = threads().find(|block| block.native_tid.load(Relaxed) == native)?;
    Some(block.tid.load(Relaxed))
}

/// Room for where the real kernel has a process or thread.
pub type Place = FixedText<48>;

/// Where the real kernel has a subject that is real; nowhere if it has gone meanwhile.
pub fn place(slot: &Slot, subject: Subject) -> Place {
    let mut place = Place::new();
    let own = slot.process.pid.load(Relaxed);
    let _ = match subject.pid {
        pid if pid == own => write!(place, "/proc/self"),
        pid => write!(place, "/proc/{}", native_pid(pid).unwrap_or(0)),
    };
    if subject.tid != 0 {
        let _ = write!(place, "/task/{}", native_tid(slot, subject.tid).unwrap_or(0));
    }
    place
}

/// A native path `/proc/<number>...` with the host's numbers in it; `None` if it is none, or not of this host.
pub fn shown(slot: &Slot, native: &[u8]) -> Option<FixedText<4096>> {
    let (first, rest) = split(native.strip_prefix(b"/proc/")?);
    let mut text = FixedText::new();
    let _ = write!(text, "/proc/{}", virtual_pid(slot, number(first)?)?);
    push_rest(slot, &mut text, rest);
    Some(text)
}

/// Append what stands behind a process, with the number of a thread made virtual.
pub fn push_rest(slot: &Slot, text: &mut FixedText<4096>, rest: &[u8]) {
    if rest.is_empty() {
        return;
    }
    let (id, behind) = split(split(rest).1);
    match number(id).filter(|_| split(rest).0 == b"task").and_then(|id| virtual_tid(slot, id)) {
        Some(tid) => {
            let _ = write!(text, "/task/{tid}");
            if !behind.is_empty() {
                text.push(b"/");
                text.push(behind);
            }
        }
        None => {
            text.push(b"/");
            text.push(rest);
        }
    }
}
