//! Paths that a guest names: read once, and read as the simulated machine has them.
//!
//! An address in, a NUL-terminated path of ours out. Always true: the kernel is given our copy, so that
//! what was looked at is what is opened; numbers of processes and threads below `/proc` are virtual for the guest
//! and native for the kernel (`proc`). Opening is `open`.

use core::ffi::CStr;
use core::sync::atomic::Ordering::Relaxed;

use shim_abi::Errno;

use super::proc::contents::File;
use super::proc::names::{self, Named, number};
use super::proc::{Subject, listing};
use crate::guest_memory::{GuestAddr, read_text};
use crate::sys;
use crate::thread::Slot;
use crate::trace::FixedText;

/// Longest path, its NUL included.
pub const PATH_MAX: usize = 4096;
/// Room for a rewritten one.
const ROOM: usize = PATH_MAX + 64;

const PROC: &[u8] = b"/proc/";

/// What only a kernel with control groups has: the real one's would tell of the real machine's load. A process's
/// own entry, `cgroup`, is missing for the same reason.
const CONTROL_GROUPS: [&[u8]; 2] = [b"/sys/fs/cgroup", b"/proc/cgroups"];

/// A path.
pub struct Path {
    bytes: [u8; ROOM],
    len: usize,
    /// What it is about, and where the rest begins.
    subject: Option<(Subject, usize)>,
}

impl Path {
    /// Read the path at `from`. EFAULT, ENAMETOOLONG; an empty path is allowed here.
    pub fn read(slot: &Slot, from: u64) -> Result<Path, Errno> {
        Path::read_at(slot, sys::AT_FDCWD, from)
    }

    /// As [`Path::read`], of a path that begins in the directory `dir` if it is relative.
    pub fn read_at(slot: &Slot, dir: u64, from: u64) -> Result<Path, Errno> {
        let mut path = Path::read_verbatim(from)?;
        path.translate(slot, dir);
        Ok(path)
    }

    /// The path that these bytes begin with, up to a NUL or their end.
    pub fn of_bytes(slot: &Slot, bytes: &[u8]) -> Path {
        let mut path = Path { bytes: [0; ROOM], len: 0, subject: None };
        let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
        path.len = end.min(PATH_MAX - 1);
        path.bytes[..path.len].copy_from_slice(&bytes[..path.len]);
        path.translate(slot, sys::AT_FDCWD);
        path
    }

    /// Read a text that is kept, not followed.
    pub fn read_verbatim(from: u64) -> Result<Path, Errno> {
        let mut path = Path { bytes: [0; ROOM], len: 0, subject: None };
        let (len, is_whole) = read_text(GuestAddr(from), &mut path.bytes[..PATH_MAX])?;
        if !is_whole {
            return Err(Errno::ENAMETOOLONG);
        }
        path.len = len;
        Ok(path)
    }

    /// The path's bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    /// The path for the kernel.
    pub fn as_c_str(&self) -> &CStr {
        CStr::from_bytes_until_nul(&self.bytes).unwrap_or(c"")
    }

    /// Its address, for a call's arguments.
    pub fn address(&self) -> u64 {
        self.bytes.as_ptr() as u64
    }

    /// Whether it is empty.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether it begins with another process's entry in /proc.
    pub fn is_of_other_process(&self, slot: &Slot) -> bool {
        let own = slot.process.pid.load(Relaxed);
        self.subject.is_some_and(|(subject, _)| subject.pid != own)
    }

    /// What it is about, and what follows, if it leads below a process's entry in /proc.
    pub fn subject(&self) -> Option<(Subject, &[u8])> {
        let (subject, rest_at) = self.subject?;
        Some((subject, self.bytes.get(rest_at..self.len)?))
    }

    /// The last component.
    pub fn name(&self) -> &[u8] {
        self.as_bytes().rsplit(|&b| b == b'/').next().unwrap_or_default()
    }

    /// Replace virtual numbers of processes and threads.
    fn translate(&mut self, slot: &Slot, dir: u64) {
        let is_below = |place: &[u8]| {
            let rest = self.as_bytes().strip_prefix(place);
            rest.is_some_and(|rest| rest.is_empty() || rest[0] == b'/')
        };
        if CONTROL_GROUPS.iter().any(|place| is_below(place)) {
            self.replace(b"/proc/0", b"");
            return;
        }
        let is_relative_number = || {
            let first = self.as_bytes().split(|&b| b == b'/').next();
            first.is_some_and(|name| number(name).is_some())
        };
        let (prefix, skipped) = if self.as_bytes().starts_with(PROC) {
            (FixedText::new(), PROC.len())
        } else if is_relative_number()
            && let Some(prefix) = listing::prefix_of(slot, dir)
        {
            (prefix, 0)
        } else {
            return;
        };
        let mut tail = FixedText::<ROOM>::new();
        tail.push(prefix.as_bytes());
        tail.push(&self.as_bytes()[skipped..]);
        match names::parse(slot, tail.as_bytes()) {
            None => {}
            Some(Err(()) | Ok(Named { rest: b"cgroup", .. })) => self.replace(b"/proc/0", b""),
            Some(Ok(Named { subject, rest })) => self.lead_to(slot, subject, rest),
        }
    }

    fn lead_to(&mut self, slot: &Slot, subject: Subject, rest: &[u8]) {
        if !subject.is_real {
            let is_shown = rest.is_empty() || File::of(subject, rest).is_some();
            // Its own entry stands in for what is there of it.
            self.replace(if is_shown { b"/proc/self" } else { b"/proc/0" }, rest);
        } else {
            let is_as_it_is = self.as_bytes().starts_with(b"/proc/self")
                || self.as_bytes().starts_with(b"/proc/thread-self");
            if !is_as_it_is || self.as_bytes().starts_with(b"/proc/self/task/") {
                self.replace(names::place(slot, subject).as_bytes(), rest);
            }
        }
        self.subject = Some((subject, self.len - rest.len()));
    }

    /// With nothing behind it a slash: the directory `/proc/self`, not the link to it, or realpath(3) would follow
    /// the link to itself for ever.
    fn replace(&mut self, head: &[u8], rest: &[u8]) {
        let mut text = FixedText::<{ ROOM - 1 }>::new();
        text.push(head);
        text.push(b"/");
        text.push(rest);
        let bytes = text.as_bytes();
        self.len = bytes.len();
        self.bytes[..bytes.len()].copy_from_slice(bytes);
        self.bytes[bytes.len()] = 0;
    }

    /// The directory that holds the last component: what stands before it, or "." or "/".
    pub fn parent(&self) -> Path {
        let bytes = self.as_bytes();
        let end = bytes.iter().rposition(|&b| b != b'/').map_or(0, |i| i + 1);
        let name_at = bytes[..end].iter().rposition(|&b| b == b'/').map_or(0, |i| i + 1);
        let mut parent = Path { bytes: [0; ROOM], len: 0, subject: None };
        let head: &[u8] = match bytes[..name_at].iter().rposition(|&b| b != b'/') {
            Some(i) => &bytes[..=i],
            None if name_at > 0 => b"/",
            None => b".",
        };
        parent.bytes[..head.len()].copy_from_slice(head);
        parent.len = head.len();
        parent
    }
}
