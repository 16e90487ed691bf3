//! Paths that a guest names: read once, and read as the simulated machine has them.
//!
//! An address in, a NUL-terminated path of ours out. Always true: the kernel is given our copy, so that
//! what was looked at is what is opened; `/proc/<virtual pid>` means the process itself. Opening is
//! `open`.

use core::ffi::CStr;
use core::fmt::Write;
use core::sync::atomic::Ordering::Relaxed;

use shim_abi::Errno;

use crate::guest_memory::{GuestAddr, read_text};
use crate::thread::Slot;
use crate::trace::FixedText;

/// Longest path, its NUL included.
pub const PATH_MAX: usize = 4096;
/// Room for a rewritten one.
const ROOM: usize = PATH_MAX + 16;

/// A path.
pub struct Path {
    bytes: [u8; ROOM],
    len: usize,
}

impl Path {
    /// Read the path at `from`. EFAULT, ENAMETOOLONG; an empty path is allowed here.
    pub fn read(slot: &Slot, from: u64) -> Result<Path, Errno> {
        let mut path = Path { bytes: [0; ROOM], len: 0 };
        let (len, is_whole) = read_text(GuestAddr(from), &mut path.bytes[..PATH_MAX])?;
        if !is_whole {
            return Err(Errno::ENAMETOOLONG);
        }
        path.len = len;
        path.rewrite_own_pid(slot);
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

    /// Whether it names the process's own entry in /proc, exactly.
    pub fn is_proc_self(&self) -> bool {
        self.as_bytes() == b"/proc/self"
    }

    /// `/proc/<virtual pid>...` becomes `/proc/self...`; with nothing behind it, `/proc/self/`: the directory,
    /// not the link to it, or realpath(3) would follow the link to itself for ever.
    fn rewrite_own_pid(&mut self, slot: &Slot) {
        let Some(rest) = self.as_bytes().strip_prefix(b"/proc/") else { return };
        let mut own = FixedText::<12>::new();
        let _ = write!(own, "{}", slot.process.pid.load(Relaxed));
        let digits = own.as_bytes();
        let Some(tail) = rest.strip_prefix(digits) else { return };
        if !(tail.is_empty() || tail[0] == b'/') {
            return;
        }
        let tail = if tail.is_empty() { b"/" } else { tail };
        let tail_len = tail.len();
        let mut moved = [0; PATH_MAX];
        moved[..tail_len].copy_from_slice(tail);
        let head = b"/proc/self";
        self.bytes[..head.len()].copy_from_slice(head);
        self.bytes[head.len()..head.len() + tail_len].copy_from_slice(&moved[..tail_len]);
        self.len = head.len() + tail_len;
        self.bytes[self.len] = 0;
    }

    /// The directory that holds the last component: what stands before it, or "." or "/".
    pub fn parent(&self) -> Path {
        let bytes = self.as_bytes();
        let end = bytes.iter().rposition(|&b| b != b'/').map_or(0, |i| i + 1);
        let name_at = bytes[..end].iter().rposition(|&b| b == b'/').map_or(0, |i| i + 1);
        let mut parent = Path { bytes: [0; ROOM], len: 0 };
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
