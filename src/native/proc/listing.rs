//! Directories that list processes and threads, `/proc` and `/proc/<number>/task`, and interfaces: `/sys/class/net`.
//!
//! A directory's descriptor and a buffer in, entries out. Always true: the entries of `/proc` that are no processes
//! are the real kernel's, and come first; processes and threads follow in the order of their virtual numbers; the
//! descriptor's own position says where a listing goes on, as everywhere. See getdents(2).

use core::ffi::CStr;
use core::fmt::Write;

use shim_abi::Errno;
use shim_abi::calls::{PSEUDO_PROCESS_FILE, nr};
use shim_abi::virtual_files::ProcessFile;

use super::names::{number, virtual_pid};
use crate::dispatch::Invocation;
use crate::forward::Forwarded;
use crate::guest_memory::{GuestAddr, write_bytes};
use crate::names::machine::{LOOPBACK_NAME, Machine, NETWORK_NAME};
use crate::native::descriptors::visible;
use crate::native::inodes;
use crate::thread::Slot;
use crate::trace::FixedText;
use crate::{native, sys};

/// Where the real `/proc` has its processes: process `n` is at this plus `n`.
const FIRST_PROCESS: u64 = 258;
/// The lowest inode number of an entry that is made here.
const FIRST_INODE: u64 = 1 << 32;
const PROC_MAGIC: i64 = 0x9fa0;
const SYS_MAGIC: i64 = 0x6265_6572;
const PROC_ROOT_INODE: u64 = 1;
/// Most numbers in a list.
const MAX_NUMBERS: usize = 8192;

/// A directory of which we know more than the real kernel.
enum Directory {
    Root,
    /// The threads of this process, by its virtual number.
    Threads(u32),
    /// The interfaces of the machine.
    Interfaces,
}

impl Directory {
    fn of(slot: &Slot, fd: u32) -> Option<Directory> {
        match file_system_of(fd) {
            Some(PROC_MAGIC) => {}
            Some(SYS_MAGIC) => {
                let is_it = link_of(fd)?.as_bytes() == b"/sys/class/net";
                return is_it.then_some(Directory::Interfaces);
            }
            _ => return None,
        }
        if sys::fstat(fd).ok()?.st_ino == PROC_ROOT_INODE {
            return Some(Directory::Root);
        }
        let link = link_of(fd)?;
        let rest = link.as_bytes().strip_prefix(b"/proc/")?;
        let pid = rest.strip_suffix(b"/task")?;
        virtual_pid(slot, number(pid)?).map(Directory::Threads)
    }
}

/// Whether a descriptor stands for something in a `/proc`.
pub fn is_in_proc(fd: u32) -> bool {
    file_system_of(fd) == Some(PROC_MAGIC)
}

/// The magic number of the file system behind a descriptor.
fn file_system_of(fd: u32) -> Option<i64> {
    let mut status = [0i64; 15];
    let args = [fd.into(), status.as_mut_ptr() as u64, 0, 0, 0, 0];
    sys::call(nr::fstatfs, args).ok().map(|_| status[0])
}

/// The native path of what a descriptor stands for.
pub fn link_of(fd: u32) -> Option<FixedText<256>> {
    let mut path = FixedText::<40>::new();
    let _ = write!(path, "/proc/self/fd/{fd}\0");
    let path = CStr::from_bytes_until_nul(path.as_bytes()).ok()?;
    let mut bytes = [0; 256];
    let args =
        [sys::AT_FDCWD, path.as_ptr() as u64, bytes.as_mut_ptr() as u64, bytes.len() as u64, 0, 0];
    let len = sys::call(nr::readlinkat, args).ok()?;
    let mut link = FixedText::new();
    link.push(&bytes[..len as usize]);
    Some(link)
}

/// What stands before a relative path of digits, behind `/proc/`, if it begins in a directory of processes or
/// threads.
pub fn prefix_of(slot: &Slot, dir: u64) -> Option<FixedText<24>> {
    let is_current = dir as i32 == libc::AT_FDCWD;
    let fd =
        if is_current { sys::open(c".", libc::O_PATH | libc::O_CLOEXEC).ok()? } else { dir as u32 };
    let directory = Directory::of(slot, fd);
    if is_current {
        sys::close(fd);
    }
    let mut prefix = FixedText::new();
    match directory? {
        Directory::Root => {}
        Directory::Threads(pid) => drop(write!(prefix, "{pid}/task/")),
        Directory::Interfaces => return None,
    }
    Some(prefix)
}

/// getdents(fd, buffer, bytes), getdents64 likewise
pub fn getdents(call: &mut Invocation<'_>) -> Result<i64, Errno> {
    let fd = visible(call.slot, call.args[0])?;
    match Directory::of(call.slot, fd) {
        None => {
            let len = native::result(native::execute(call.number, call.args))?;
            let is_64 = call.number == nr::getdents64;
            inodes::renumber(call.slot, fd, is_64, GuestAddr(call.args[1]), len as u64)?;
            Ok(len)
        }
        Some(Directory::Root) => list_root(call, fd),
        Some(Directory::Threads(pid)) => list_threads(call, fd, pid),
        Some(Directory::Interfaces) => list_interfaces(call, fd),
    }
}

fn seek(fd: u32, offset: u64, origin: i32) -> Result<u64, Errno> {
    sys::call(nr::lseek, [fd.into(), offset, origin as u64, 0, 0, 0])
}

/// Entries on their way to the guest.
struct Entries {
    to: GuestAddr,
    room: u64,
    used: u64,
    is_64: bool,
    /// Where the listing goes on after the last one.
    position: Option<u64>,
}

impl Entries {
    fn new(call: &Invocation<'_>) -> Entries {
        let [_, to, bytes, ..] = call.args;
        let is_64 = call.number == nr::getdents64;
        Entries { to: GuestAddr(to), room: bytes & 0xffff_ffff, used: 0, is_64, position: None }
    }

    /// Store one; `false` if there is no room for it.
    fn push(&mut self, inode: u64, next: u64, kind: u8, name: &[u8]) -> Result<bool, Errno> {
        // The older form has the type behind the name's NUL, as its last byte.
        let head = if self.is_64 { 19 } else { 18 };
        let len = (head + name.len() + if self.is_64 { 1 } else { 2 }).next_multiple_of(8);
        let mut entry = [0; 296];
        if self.used + len as u64 > self.room || len > entry.len() {
            return Ok(false);
        }
        entry[..8].copy_from_slice(&inode.to_le_bytes());
        entry[8..16].copy_from_slice(&next.to_le_bytes());
        entry[16..18].copy_from_slice(&(len as u16).to_le_bytes());
        if self.is_64 {
            entry[18] = kind;
        } else {
            entry[len - 1] = kind;
        }
        entry[head..head + name.len()].copy_from_slice(name);
        write_bytes(self.to.offset(self.used), &entry[..len])?;
        self.used += len as u64;
        self.position = Some(next);
        Ok(true)
    }

    fn push_number(&mut self, number: u32, next: u64) -> Result<bool, Errno> {
        let mut name = FixedText::<12>::new();
        let _ = write!(name, "{number}");
        self.push(FIRST_INODE + u64::from(number), next, libc::DT_DIR, name.as_bytes())
    }

    /// The call's result; `has_more`: there was an entry without room.
    fn finish(self, fd: u32, has_more: bool) -> Result<i64, Errno> {
        if let Some(position) = self.position {
            seek(fd, position, libc::SEEK_SET)?;
        } else if has_more {
            return Err(Errno::EINVAL);
        }
        Ok(self.used as i64)
    }
}

fn list_root(call: &Invocation<'_>, fd: u32) -> Result<i64, Errno> {
    let mut entries = Entries::new(call);
    let mut position = seek(fd, 0, libc::SEEK_CUR)?;
    let mut has_more = false;
    if position < FIRST_PROCESS {
        (position, has_more) = copy_others(&mut entries, fd)?;
    }
    if position < FIRST_PROCESS || has_more {
        return entries.finish(fd, has_more);
    }
    let from = (position - FIRST_PROCESS) as u32;
    each_number(call.slot, ProcessFile::Processes, 0, |pid| {
        if pid < from || has_more {
            return Ok(());
        }
        has_more = !entries.push_number(pid, FIRST_PROCESS + u64::from(pid) + 1)?;
        Ok(())
    })?;
    entries.finish(fd, has_more)
}

/// Copy the entries of the real `/proc` that are no processes. Where the listing goes on, and whether there was
/// no room for one.
fn copy_others(entries: &mut Entries, fd: u32) -> Result<(u64, bool), Errno> {
    let mut native = [0u8; 4096];
    loop {
        let room = entries.room.saturating_sub(entries.used).min(native.len() as u64);
        let args = [fd.into(), native.as_mut_ptr() as u64, room, 0, 0, 0];
        let len = match sys::call(nr::getdents64, args) {
            Err(Errno::EINVAL) => return Ok((0, true)),
            len => len? as usize,
        };
        let mut at = 0;
        while at + 19 < len {
            let word = |from: usize| {
                let bytes = native.get(from..from + 8).and_then(|b| b.first_chunk());
                bytes.map_or(0, |bytes| u64::from_le_bytes(*bytes))
            };
            let bytes = usize::from(word(at + 16) as u16).max(20);
            let name = native.get(at + 19..len.min(at + bytes)).unwrap_or_default();
            let name = name.split(|&b| b == 0).next().unwrap_or_default();
            if number(name).is_some() {
                return Ok((FIRST_PROCESS, false));
            }
            let kind = native.get(at + 18).copied().unwrap_or(0);
            if !entries.push(word(at), word(at + 8), kind, name)? {
                return Ok((0, true));
            }
            at += bytes;
        }
        if len == 0 {
            return Ok((FIRST_PROCESS, false));
        }
    }
}

fn list_threads(call: &Invocation<'_>, fd: u32, pid: u32) -> Result<i64, Errno> {
    let mut entries = Entries::new(call);
    let position = seek(fd, 0, libc::SEEK_CUR)?;
    let own = sys::fstat(fd)?.st_ino;
    let mut has_more = false;
    for (at, name) in [(0, &b"."[..]), (1, b"..")] {
        if at >= position && !has_more {
            has_more = !entries.push(own, at + 1, libc::DT_DIR, name)?;
        }
    }
    let mut at = 1;
    each_number(call.slot, ProcessFile::Threads, pid, |tid| {
        at += 1;
        if at >= position && !has_more {
            has_more = !entries.push_number(tid, at + 1)?;
        }
        Ok(())
    })?;
    entries.finish(fd, has_more)
}

/// The interfaces of a simulated host, which are links there.
fn list_interfaces(call: &Invocation<'_>, fd: u32) -> Result<i64, Errno> {
    let mut entries = Entries::new(call);
    let position = seek(fd, 0, libc::SEEK_CUR)?;
    let own = sys::fstat(fd)?.st_ino;
    let has_network = Machine::simulated(call.slot).configured() != (false, false);
    let mut has_more = false;
    for (at, name, is_there) in [
        (0, &b"."[..], true),
        (1, b"..", true),
        (2, NETWORK_NAME, has_network),
        (3, LOOPBACK_NAME, true),
    ] {
        if at >= position && !has_more && is_there {
            let kind = if at < 2 { libc::DT_DIR } else { libc::DT_LNK };
            let name = name.strip_suffix(&[0]).unwrap_or(name);
            has_more = !entries.push(own + at, at + 1, kind, name)?;
        }
    }
    entries.finish(fd, has_more)
}

#[inline(never)]
fn each_number(
    slot: &Slot,
    what: ProcessFile,
    pid: u32,
    mut each: impl FnMut(u32) -> Result<(), Errno>,
) -> Result<(), Errno> {
    let mut words = [0u64; MAX_NUMBERS / 2];
    let room = size_of_val(&words) as u64;
    let args = [what as u64, pid.into(), 0, words.as_mut_ptr() as u64, room, 0];
    let call = Forwarded::new(slot, PSEUDO_PROCESS_FILE, args);
    let bytes = native::result(call.send_into(&mut words))?.min(room as i64) as usize;
    for i in 0..bytes / 4 {
        each((words[i / 2] >> (i % 2 * 32)) as u32)?;
    }
    Ok(())
}
