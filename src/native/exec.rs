//! Replacing the image: execve(2), execveat(2).
//!
//! A path, arguments and an environment in; a new image that is a guest again, or an error in the old
//! one. Always true: what could not be a guest (static, of another architecture, without our library) is
//! refused *before* the old image is given up, with EACCES and a named reason; the new image inherits
//! exactly one descriptor of ours, the hand-off, and two environment variables that it removes again.
//! Recognising images is `image`; the other end of the hand-off is `boot/`.

mod image;

use core::ffi::CStr;
use core::sync::atomic::Ordering::Relaxed;

use shim_abi::Errno;
use shim_abi::calls::{PSEUDO_REPLACE_IMAGE, nr};
use shim_abi::handoff::{HANDOFF_VARIABLE, HIDDEN_PRELOAD_VARIABLE};

use shim_abi::process::KICK_SIGNAL;

use super::paths::Path;
use super::times;
use crate::dispatch::Invocation;
use crate::guest_memory::{GuestAddr, read_bytes, read_text, read_value};
use crate::local::reach;
use crate::thread::Slot;
use crate::{boot, forward, native, objects, sys};

/// Most environment variables that are looked at.
const MAX_VARIABLES: usize = 1 << 20;
/// Longest single argument or variable, as on Linux (32 pages).
const MAX_TEXT: usize = 128 * 1024;

/// execve(path, arguments, environment)
pub fn execve(call: &mut Invocation<'_>) -> Result<i64, Errno> {
    let [path, arguments, environment, ..] = call.args;
    replace(call.slot, sys::AT_FDCWD, path, arguments, environment, 0)
}

/// execveat(dir, path, arguments, environment, flags)
pub fn execveat(call: &mut Invocation<'_>) -> Result<i64, Errno> {
    let [dir, path, arguments, environment, flags, _] = call.args;
    let known = (libc::AT_EMPTY_PATH | libc::AT_SYMLINK_NOFOLLOW) as u64;
    if flags & !known != 0 {
        return Err(Errno::EINVAL);
    }
    let is_itself = flags & libc::AT_EMPTY_PATH as u64 != 0;
    if is_itself
        && objects::is_virtual(call.slot, dir as u32)
        && read_value::<u8>(GuestAddr(path))? == 0
    {
        return Err(Errno::EACCES);
    }
    replace(call.slot, dir, path, arguments, environment, flags as i32)
}

fn replace(
    slot: &Slot,
    dir: u64,
    path: u64,
    arguments: u64,
    environment: u64,
    flags: i32,
) -> Result<i64, Errno> {
    let path = Path::read(slot, path)?;
    image::check(slot, dir, &path, flags)?;
    if slot.reaches_as_another.get() {
        let flags = (flags | libc::AT_EACCESS) as u64;
        let args = [dir, path.address(), libc::X_OK as u64, flags, 0, 0];
        native::result(native::execute(nr::faccessat2, args))?;
    }
    let mut environment = Environment::read(slot, environment)?;
    let handoff = hand_off(slot)?;
    environment.add_ours(slot, handoff);
    times::flush(slot);
    tell_of_replacement(slot, 0);
    // A kick that is under way must not kill the next image, which has no handler for it yet.
    sys::block_only(KICK_SIGNAL);
    slot.process.is_executing.store(1, Relaxed);
    slot.thread.spins.store(slot.spins.get(), Relaxed);
    boot::release_processor(slot);
    slot.exec_mapping.set(Some((environment.mapping, environment.bytes)));
    let args = [dir, path.address(), arguments, environment.array as u64, flags as u64, 0];
    // An image that begins as somebody else than its process would not load our library.
    let error = reach::as_simulator(slot, || native::execute(nr::execveat, args));
    slot.exec_mapping.set(None);
    boot::take_processor(slot);
    slot.process.is_executing.store(0, Relaxed);
    sys::set_native_mask(0);
    sys::close(handoff);
    tell_of_replacement(slot, 1);
    native::result(error)
}

/// Tell the simulator that this image is about to end, or that it goes on. A signal that comes with the answer would be
/// lost with the image: it waits for the next one.
fn tell_of_replacement(slot: &Slot, stage: u64) {
    let mask = slot.thread.signal_mask.swap(u64::MAX, Relaxed);
    forward::syscall(slot, PSEUDO_REPLACE_IMAGE, [stage, 0, 0, 0, 0, 0]);
    slot.thread.signal_mask.store(mask, Relaxed);
}

/// A descriptor, out of the guest's sight, that tells the next image where its blocks are.
fn hand_off(slot: &Slot) -> Result<u32, Errno> {
    let name = c"shim-handoff";
    let low = sys::call(nr::memfd_create, [name.as_ptr() as u64, 0, 0, 0, 0, 0])? as u32;
    let hidden = u64::from(slot.first_hidden);
    let high = sys::call(nr::fcntl, [low.into(), libc::F_DUPFD as u64, hidden, 0, 0, 0]);
    sys::close(low);
    let high = high? as u32;
    match sys::write_all(high, &slot.handoff.get().to_bytes()) {
        Ok(()) => Ok(high),
        Err(errno) => {
            sys::close(high);
            Err(errno)
        }
    }
}

/// The next image's environment: an array of pointers, and the texts that are ours, in a mapping of
/// their own that goes when the image does, or here when the exec failed.
struct Environment {
    mapping: usize,
    bytes: usize,
    /// The array; its first two entries are ours.
    array: usize,
    /// Where texts of ours go.
    texts: usize,
    /// Libraries that the guest itself preloads.
    preload: Option<(usize, usize)>,
}

impl Environment {
    fn read(slot: &Slot, from: u64) -> Result<Environment, Errno> {
        let mut count = 0;
        let mut own_bytes = 0;
        while let Some(entry) = entry_of(from, count)? {
            if is_preload(entry) {
                own_bytes += text_bytes(entry)? + 1;
            }
            count += 1;
            if count > MAX_VARIABLES {
                return Err(Errno::E2BIG);
            }
        }
        let library = slot.manager.library_path.as_bytes().len();
        let array_bytes = (count + 3) * 8;
        let bytes = array_bytes + library + 2 * own_bytes + 128;
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let mapping = sys::map(0, bytes, protection, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1)?;
        let mut made = Environment {
            mapping,
            bytes,
            array: mapping,
            texts: mapping + array_bytes,
            preload: None,
        };
        for i in 0..count {
            let mut entry = entry_of(from, i)?.unwrap_or(0);
            if is_preload(entry) {
                entry = made.hide_preload(entry)? as u64;
            }
            sys::store_word(made.array + (i + 2) * 8, entry);
        }
        Ok(made)
    }

    /// A copy of the guest's own preload variable, under the name that the next image renames back. Of
    /// several the dynamic linker takes the last.
    fn hide_preload(&mut self, entry: u64) -> Result<usize, Errno> {
        let len = text_bytes(entry)?;
        let copy = self.place_guest_text(entry, len)?;
        sys::store_bytes(copy, HIDDEN_PRELOAD_VARIABLE.as_bytes());
        let name = PRELOAD_PREFIX.len();
        self.preload = (len > name).then_some((copy + name, len - name));
        Ok(copy)
    }

    /// Copy a text of the guest's, `len` bytes without its NUL.
    fn place_guest_text(&mut self, from: u64, len: usize) -> Result<usize, Errno> {
        let at = self.texts;
        let mut done = 0;
        while done < len {
            let mut piece = [0; 256];
            let piece = &mut piece[..(len - done).min(256)];
            read_bytes(GuestAddr(from).offset(done as u64), piece)?;
            sys::store_bytes(at + done, piece);
            done += piece.len();
        }
        self.texts += len + 1; // the mapping is zero: NUL-terminated
        Ok(at)
    }

    fn append(&mut self, bytes: &[u8]) {
        sys::store_bytes(self.texts, bytes);
        self.texts += bytes.len();
    }

    /// Fill the first two entries.
    fn add_ours(&mut self, slot: &Slot, handoff: u32) {
        let preload = self.texts;
        self.append(PRELOAD_PREFIX);
        self.append(slot.manager.library_path.as_bytes());
        if let Some((at, len)) = self.preload {
            self.append(b":");
            sys::copy_own(self.texts, at, len);
            self.texts += len;
        }
        self.texts += 1;
        let variable = self.texts;
        self.append(HANDOFF_VARIABLE.as_bytes());
        self.append(b"=");
        let mut digits = [0; 10];
        let mut at = digits.len();
        let mut rest = handoff;
        while rest > 0 {
            at -= 1;
            digits[at] = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        self.append(&digits[at..]);
        sys::store_word(self.array, preload as u64);
        sys::store_word(self.array + 8, variable as u64);
    }
}

impl Drop for Environment {
    fn drop(&mut self) {
        let _ = sys::call(nr::munmap, [self.mapping as u64, self.bytes as u64, 0, 0, 0, 0]);
    }
}

/// A guest's environment array: its entry `index`, none at its end. No array is an empty one.
fn entry_of(array: u64, index: usize) -> Result<Option<u64>, Errno> {
    if array == 0 {
        return Ok(None);
    }
    let entry = read_value::<u64>(GuestAddr(array).offset(index as u64 * 8))?;
    Ok((entry != 0).then_some(entry))
}

/// How an entry of the preload variable begins.
const PRELOAD_PREFIX: &[u8; 11] = b"LD_PRELOAD=";

fn is_preload(entry: u64) -> bool {
    let mut start = [0; PRELOAD_PREFIX.len()];
    read_bytes(GuestAddr(entry), &mut start).is_ok() && start == *PRELOAD_PREFIX
}

fn text_bytes(from: u64) -> Result<usize, Errno> {
    let mut len = 0;
    while len < MAX_TEXT {
        let mut piece = [0; 256];
        let (n, is_end) = read_text(GuestAddr(from).offset(len as u64), &mut piece)?;
        len += n;
        if is_end {
            return Ok(len);
        }
    }
    Err(Errno::E2BIG)
}

/// Whether the library can still be loaded where this process now is.
fn library_is_reachable(slot: &Slot) -> bool {
    let mut path = [0; 1025];
    // What stands behind the colon is of use, but a guest can be without it.
    let list = slot.manager.library_path.as_bytes();
    let bytes = list.split(|&b| b == b':').next().unwrap_or(list);
    path[..bytes.len()].copy_from_slice(bytes);
    CStr::from_bytes_until_nul(&path).is_ok_and(|path| {
        let args = [sys::AT_FDCWD, path.as_ptr() as u64, libc::R_OK as u64, 0, 0, 0];
        sys::call(nr::faccessat, args).is_ok()
    })
}
