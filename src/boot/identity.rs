//! Who the new image is: ids in the blocks, and what libc learnt natively before us, corrected.
//!
//! The slot and the initial stack in. Always true: native ids are in the blocks for the simulator, virtual
//! ones where the libc keeps its own copy; the rseq area says processor 0 for ever; dispositions that an
//! exec resets are reset. See set_tid_address(2), rseq(2) in the kernel's documentation, execve(2).
//!
//! # Safety
//!
//! Writes words of the libc's thread control block, and AT_RANDOM's bytes on the initial stack.
#![allow(unsafe_code)]

use core::sync::atomic::Ordering::Relaxed;

use shim_abi::calls::nr;
use shim_abi::process::descriptor;

use super::control_block;
use super::environment::Found;
use crate::local::{capabilities, random, reach, rseq::Area};
use crate::native::descriptors::forget_closed;
use crate::thread::Slot;
use crate::{arch, sys};

const AT_RANDOM: u64 = 25;
const AT_EXECFN: u64 = 31;
const PR_GET_TID_ADDRESS: i32 = 40;

/// Take over the image.
pub fn take_over(slot: &Slot, found: &Found) {
    let process = slot.process.get();
    process.native_pid.store(native_id(nr::getpid), Relaxed);
    slot.thread.native_tid.store(native_id(nr::gettid), Relaxed);
    if let Some(path) = found.auxiliary_text(AT_EXECFN) {
        let bytes = path.to_bytes();
        let name = bytes.rsplit(|&b| b == b'/').next().unwrap_or(bytes);
        process.program.store(name);
    }
    let images = process.images.load(Relaxed);
    process.images.store(images + 1, Relaxed);
    if images == 0 {
        read_ids(nr::getresuid, &slot.thread.user_ids);
        read_ids(nr::getresgid, &slot.thread.group_ids);
        for fd in 0..3 {
            process.set_descriptor(fd, descriptor::EXTERNAL);
        }
    } else {
        forget_closed(slot);
        reset_after_exec(slot);
    }
    replace_tid(slot);
    take_rseq(slot);
    take_first_words(slot);
}

fn native_id(number: u32) -> u32 {
    sys::call(number, [0; 6]).map_or(0, |id| id as u32)
}

fn read_ids(number: u32, to: &[core::sync::atomic::AtomicU32; 3]) {
    let mut ids = [0u32; 3];
    let [a, b, c] = &mut ids;
    let args = [(a as *mut u32) as u64, (b as *mut u32) as u64, (c as *mut u32) as u64, 0, 0, 0];
    if sys::call(number, args).is_ok() {
        for (word, id) in to.iter().zip(ids) {
            word.store(id, Relaxed);
        }
    }
}

/// execve(2): handlers become the default, what is ignored stays so; there is no alternate stack; the saved ids
/// are the effective ones.
fn reset_after_exec(slot: &Slot) {
    slot.process.reset_handlers();
    for [_, effective, saved] in [&slot.thread.user_ids, &slot.thread.group_ids] {
        saved.store(effective.load(Relaxed), Relaxed);
    }
    capabilities::begin_image(slot);
    reach::follow(slot);
    slot.thread.alt_stack_bytes.store(0, Relaxed);
    slot.thread.alt_stack_flags.store(0, Relaxed);
}

/// Both libcs keep the thread's id in its control block, where the kernel clears it at the end; they read
/// it for raise(3) and for locks.
fn replace_tid(slot: &Slot) {
    let mut at = 0u64;
    if sys::prctl(PR_GET_TID_ADDRESS, [(&raw mut at) as u64, 0, 0, 0]).is_err() {
        return;
    }
    let native = slot.thread.native_tid.load(Relaxed);
    let thread_pointer = arch::thread_pointer() as u64;
    // glibc registers the word that holds the id; musl another one, and the id stands elsewhere in the block.
    let near = |address: u64| address.wrapping_sub(thread_pointer) < 4096;
    if near(at) && replace_word(at, native, slot) {
        return;
    }
    let block = thread_pointer as *const [u64; control_block::WORDS];
    // SAFETY: the libc's thread control block, which is larger and aligned as its first word, a pointer, is.
    let block = unsafe { block.read() };
    if let Some(offset) = control_block::id_offset(&block, native) {
        replace_word(thread_pointer + offset as u64, native, slot);
    }
}

fn replace_word(at: u64, native: u32, slot: &Slot) -> bool {
    let word = at as *mut u32;
    // SAFETY: an aligned word inside the libc's thread control block, which is larger than what the
    // callers look at.
    if unsafe { word.read() } != native {
        return false;
    }
    // SAFETY: as above; no other thread exists.
    unsafe { word.write(slot.thread.tid.load(Relaxed)) };
    true
}

/// glibc reads the processor's number from its rseq area, which the real kernel writes at every
/// preemption. Unregister it and leave "processor 0" behind.
fn take_rseq(slot: &Slot) {
    const UNREGISTER: u64 = 1;
    const SIGNATURE: u64 = 0x5305_3053;
    const DEFAULT_BYTES: u64 = 32;
    let (offset_at, size_at) =
        (arch::rseq_offset() as *const isize, arch::rseq_size() as *const u32);
    if offset_at.is_null() || size_at.is_null() {
        return;
    }
    // SAFETY: glibc's constant of that name: 0 if nothing is registered.
    let size = unsafe { *size_at };
    if size == 0 {
        return;
    }
    // SAFETY: glibc's constant of that name.
    let offset = unsafe { *offset_at };
    let area = arch::thread_pointer().wrapping_add_signed(offset);
    let bytes = u64::from(size).max(DEFAULT_BYTES);
    if sys::call(nr::rseq, [area as u64, bytes, UNREGISTER, SIGNATURE, 0, 0]).is_ok() {
        // cpu_id_start, cpu_id.
        sys::store_word(area, 0);
        let signature = SIGNATURE as u32;
        slot.rseq.set(Some(Area { address: area as u64, bytes: bytes as u32, signature }));
    }
}

const ROBUST_LIST_BYTES: u64 = 24;

/// What a libc told the real kernel at its start: the list of robust locks, and the word to clear when the thread
/// ends. Both are the simulated kernel's to follow: the ids in them are virtual. It finds them in the block.
fn take_first_words(slot: &Slot) {
    let (mut robust_list, mut bytes, mut cleared_word) = (0u64, 0u64, 0u64);
    let args = [0, (&raw mut robust_list) as u64, (&raw mut bytes) as u64, 0, 0, 0];
    let _ = sys::call(nr::get_robust_list, args);
    let _ = sys::prctl(PR_GET_TID_ADDRESS, [(&raw mut cleared_word) as u64, 0, 0, 0]);
    let _ = sys::call(nr::set_robust_list, [0, ROBUST_LIST_BYTES, 0, 0, 0, 0]);
    let _ = sys::call(nr::set_tid_address, [0; 6]);
    for (word, value) in slot.thread.first_words.iter().zip([robust_list, cleared_word]) {
        word.store(value, Relaxed);
    }
}

/// The 16 bytes that a libc seeds its canaries and hashes with, for those who read them from now on.
pub fn give_random_bytes(slot: &Slot, found: &Found) {
    if let Some(at) = found.auxiliary(AT_RANDOM).filter(|&at| at != 0) {
        let mut bytes = [0; 16];
        random::fill(slot, &mut bytes);
        sys::store_bytes(at as usize, &bytes);
    }
}

/// The seed's convention: the hand-off was standard input. The guest gets an empty one.
pub fn replace_stdin() {
    sys::close(0);
    let _ = sys::open(c"/dev/null", libc::O_RDONLY);
}
