//! From the loader's call of our constructor to a guest, step by step.
//!
//! Nothing in; a managed process, or one that we have not touched, out. Always true: without the hand-off
//! variable nothing happens at all: no descriptor, no memory, no signal is touched; with it, every failure
//! is one line on standard error and the end of the process, never a hang. Steps, in order:
//!
//! 1. [`environment`]: find the hand-off variable, take our variables out of the environment;
//! 2. [`handoff`]: read where the blocks are, compare versions;
//! 3. [`layout`]: reserve and map, make the slot;
//! 4. the native handlers (`trap`);
//! 5. [`vdso`]: point its functions at the entry;
//! 6. [`identity`]: ids, rseq, robust locks, the stack protector's bytes, as the simulation has them;
//! 7. the first hand-over: the simulator lets the guest begin;
//! 8. patched images over the code that has some (`patch`);
//! 9. the time stamp counter and CPUID trap, last of all system calls: `trap::arm`.
//!
//! # Safety
//!
//! Reads what the loader left (program headers, the initial stack), writes the process's first words.
#![allow(unsafe_code)]

mod control_block;
mod environment;
mod handoff;
mod identity;
mod layout;
mod vdso;

use layout::baton;
pub use layout::{names, process_block, thread_block};

use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

use shim_abi::calls::nr;
use shim_abi::event::Request;
use shim_abi::manager::EmulateTsc;

use crate::thread::Slot;
use crate::{arch, forward, patch, sys, trace, trap};

static IS_MANAGED: AtomicBool = AtomicBool::new(false);
static TEXT_START: AtomicUsize = AtomicUsize::new(0);
static TEXT_BYTES: AtomicUsize = AtomicUsize::new(0);

/// Whether this process is a guest.
#[inline]
pub fn is_managed() -> bool {
    IS_MANAGED.load(Relaxed)
}

/// The library's executable segment: start and size. Known once the process is managed.
pub fn own_text() -> (usize, usize) {
    (TEXT_START.load(Relaxed), TEXT_BYTES.load(Relaxed))
}

/// Whether an address lies in the library's executable segment, and not in the part of it that is the guest's code
/// (`arch::is_fast_clock`).
pub fn is_own_text(address: usize) -> bool {
    let (start, bytes) = own_text();
    address.wrapping_sub(start) < bytes && !arch::is_fast_clock(address)
}

/// The constructor. Idempotent: a second call finds the variable gone.
pub fn begin() {
    if is_managed() {
        return;
    }
    let Some(found) = environment::find() else { return };
    let handoff = handoff::read(found.handoff_fd);
    find_own_text();
    let slot = layout::make(handoff, &found);
    IS_MANAGED.store(true, Relaxed);
    trace::install_logger(slot.host.log_level.load(Relaxed));
    trap::install_handlers();
    vdso::redirect(&found);
    identity::take_over(slot, &found);
    if found.handoff_fd == 0 {
        identity::replace_stdin();
    } else {
        sys::close(found.handoff_fd);
    }
    // Whoever replaces an image has control; a process that was started waits for its first.
    if slot.process.is_executing.swap(0, Relaxed) != 0 {
        slot.baton.set(baton(slot.manager));
    }
    forward::simple(slot, Request::Start);
    slot.baton.set(baton(slot.manager));
    identity::give_random_bytes(slot, &found);
    log::debug!("image {} begins", slot.process.images.load(Relaxed));
    patch::begin(slot);
    take_processor(slot);
    trap::arm();
}

const PR_SET_TSC: i32 = 26;
const PR_TSC_ENABLE: u64 = 1;
const PR_TSC_SIGSEGV: u64 = 2;
const ARCH_SET_CPUID: u64 = 0x1012;

/// Make the time stamp counter and CPUID trap, as the simulation asks and the processor can. Only after
/// the vDSO is redirected: its own code reads the counter.
pub fn take_processor(slot: &Slot) {
    trap_counter(slot);
    let is_on = sys::call(nr::arch_prctl, [ARCH_SET_CPUID, 0, 0, 0, 0, 0]).is_ok();
    slot.is_cpuid_trapped.set(is_on);
}

/// Make the time stamp counter trap in this thread, if it is to and does not yet. It is not trapped without need: the
/// kernel then writes a control register at each switch to or from the thread, which in a virtual machine makes a
/// hand-over three times as dear.
#[inline(always)]
pub fn trap_counter(slot: &Slot) {
    let mode = slot.manager.emulate_tsc;
    let is_wanted = mode == EmulateTsc::Always as u32
        || mode == EmulateTsc::Auto as u32 && patch::reads_counter();
    if is_wanted && !slot.is_tsc_trapped.get() {
        let is_on = sys::prctl(PR_SET_TSC, [PR_TSC_SIGSEGV, 0, 0, 0]).is_ok();
        slot.is_tsc_trapped.set(is_on);
    }
}

/// Undo [`take_processor`]: both would outlive an exec and kill the next image's loader.
pub fn release_processor(slot: &Slot) {
    if slot.is_tsc_trapped.replace(false) {
        let _ = sys::prctl(PR_SET_TSC, [PR_TSC_ENABLE, 0, 0, 0]);
    }
    if slot.is_cpuid_trapped.replace(false) {
        let _ = sys::call(nr::arch_prctl, [ARCH_SET_CPUID, 1, 0, 0, 0, 0]);
    }
}

/// End a process that cannot become a guest, with one line that says why.
fn give_up(why: core::fmt::Arguments<'_>) -> ! {
    use core::fmt::Write;
    let mut line = trace::FixedText::<640>::new();
    let _ = writeln!(line, "libshim: {why}");
    let _ = sys::write_all(2, line.as_bytes());
    sys::exit_group(125)
}

unsafe extern "C" {
    /// Defined by the linker: our own ELF header.
    static __ehdr_start: u8;
}

/// Where our executable segment lies, from our own program headers.
fn find_own_text() {
    const PT_LOAD: u32 = 1;
    const PF_X: u32 = 1;
    let base = &raw const __ehdr_start;
    let header = base.cast::<libc::Elf64_Ehdr>();
    // SAFETY: the linker put the header there, mapped readable with the first segment.
    let header = unsafe { &*header };
    let table = base.wrapping_add(header.e_phoff as usize).cast::<libc::Elf64_Phdr>();
    // SAFETY: the program headers follow in the same segment; their number is the header's.
    let segments = unsafe { core::slice::from_raw_parts(table, header.e_phnum.into()) };
    let Some(text) = segments.iter().find(|s| s.p_type == PT_LOAD && s.p_flags & PF_X != 0) else {
        give_up(format_args!("the library has no executable segment"));
    };
    TEXT_START.store(base as usize + text.p_vaddr as usize, Relaxed);
    TEXT_BYTES.store(text.p_memsz as usize, Relaxed);
    debug_assert!(is_own_text(arch::entry_call_address()));
}
