//! Can this image be a guest? Decided before the old one is given up.
//!
//! A path in; nothing, or EACCES with a named reason, out. Always true: scripts are followed to their
//! interpreters as the kernel does; what is no image at all is left to the kernel's own error. See
//! execve(2), elf(5).

use core::ffi::CStr;

use shim_abi::Errno;
use shim_abi::calls::nr;

use crate::local::reach;
use crate::native::descriptors::check_open;
use crate::native::paths::Path;
use crate::thread::Slot;
use crate::{sys, trace};

/// How many interpreters the kernel follows.
const MAX_INTERPRETERS: usize = 5;
const HEAD_BYTES: usize = 256;

/// Refuse what could not become a guest.
pub fn check(slot: &Slot, dir: u64, path: &Path, flags: i32) -> Result<(), Errno> {
    let name = path.as_bytes();
    if !super::library_is_reachable(slot) {
        trace::lack_path(slot, "exec where libshim.so cannot be reached:", name);
        return Err(Errno::EACCES);
    }
    let open_flags = (libc::O_RDONLY | libc::O_CLOEXEC | libc::O_NONBLOCK) as u64;
    let open =
        || sys::call(nr::openat, [dir, path.address(), open_flags, 0, 0, 0]).map(|fd| fd as u32);
    let opened = if path.is_empty() && flags & libc::AT_EMPTY_PATH != 0 {
        check_open(slot, dir as u32)?;
        sys::reopen(dir as u32)
    } else {
        open()
    };
    // Who may start a program need not be allowed to read it.
    let opened = match opened {
        Err(Errno::EACCES) => reach::as_simulator(slot, open).map_err(|_| Errno::EACCES),
        other => other,
    };
    let mut fd = match opened {
        Ok(fd) => fd,
        // What is not there is so before anything else is looked at.
        Err(errno @ (Errno::ENOENT | Errno::ENOTDIR)) => return Err(errno),
        // What cannot be read is the kernel's to judge.
        Err(_) => return Ok(()),
    };
    for _ in 0..=MAX_INTERPRETERS {
        let mut head = [0; HEAD_BYTES];
        let len = sys::pread(fd, &mut head, 0).unwrap_or(0);
        let head = &head[..len];
        let next = if head.starts_with(b"#!") {
            open_interpreter(head)
        } else {
            let verdict = check_binary(slot, fd, head, name);
            sys::close(fd);
            return verdict;
        };
        sys::close(fd);
        match next {
            Some(interpreter) => fd = interpreter,
            None => return Ok(()),
        }
    }
    sys::close(fd);
    Ok(())
}

/// The program that a script's first line names.
fn open_interpreter(head: &[u8]) -> Option<u32> {
    let line = head[2..].split(|&b| b == b'\n').next()?;
    let mut words = line.split(|&b| b == b' ' || b == b'\t').filter(|word| !word.is_empty());
    let word = words.next()?;
    let mut path = [0; HEAD_BYTES + 1];
    path[..word.len()].copy_from_slice(word);
    let path = CStr::from_bytes_until_nul(&path).ok()?;
    sys::open(path, libc::O_RDONLY | libc::O_CLOEXEC | libc::O_NONBLOCK).ok()
}

const ELF_MACHINE_X86_64: u16 = 62;
const ELF_CLASS_64: u8 = 2;
const PT_INTERP: u32 = 3;
const ET_EXEC: u16 = 2;
const ET_DYN: u16 = 3;
const PROGRAM_HEADER_BYTES: usize = 56;

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn check_binary(slot: &Slot, fd: u32, head: &[u8], name: &[u8]) -> Result<(), Errno> {
    // What is no program at all is the kernel's to refuse.
    let is_program = matches!(u16_at(head, 16), Some(ET_EXEC | ET_DYN));
    if !head.starts_with(b"\x7fELF") || !is_program {
        return Ok(());
    }
    if head.get(4) != Some(&ELF_CLASS_64) || u16_at(head, 18) != Some(ELF_MACHINE_X86_64) {
        trace::lack_path(slot, "exec of a program that is not for 64-bit x86:", name);
        return Err(Errno::EACCES);
    }
    let table = head.get(32..40).and_then(|b| b.try_into().ok()).map_or(0, u64::from_le_bytes);
    let count = u16_at(head, 56).unwrap_or(0);
    for i in 0..count {
        let mut header = [0; PROGRAM_HEADER_BYTES];
        let at = table.wrapping_add(u64::from(i) * PROGRAM_HEADER_BYTES as u64);
        if sys::pread(fd, &mut header, at).is_ok() && header[..4] == PT_INTERP.to_le_bytes() {
            return Ok(());
        }
    }
    trace::lack_path(slot, "exec of a statically linked program:", name);
    Err(Errno::EACCES)
}
