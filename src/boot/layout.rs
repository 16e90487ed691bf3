//! The shim's memory: one reservation, the two files of the host in it, private stacks and the slot.
//!
//! A hand-off in, this thread's [`Slot`] out. Always true: everything lies in the reservation of
//! `shim_abi::address`; the files' descriptors are closed again; a block is believed only after its header
//! was compared. The layout of the private part is here and nowhere else.
//!
//! # Safety
//!
//! Maps memory at fixed addresses and makes references to it.
#![allow(unsafe_code)]

use core::cell::Cell;
use core::ffi::CStr;
use core::fmt::Write;
use core::sync::atomic::Ordering::Relaxed;

use shim_abi::address::{
    NAMES_REGION, PRIVATE, READ_ONLY_REGION, RESERVATION, RESERVATION_BYTES, SHARED_REGION,
};
use shim_abi::block::{BlockHeader, BlockKind, ShmSafe};
use shim_abi::handoff::Handoff;
use shim_abi::names::{LOOPBACK_NAMES, MAX_NAMES, NameEntry, Names, NamesBlock};
use shim_abi::process::{FIRST_HIDDEN_DESCRIPTOR, ProcessBlock};
use shim_abi::region::{self, InodeTimes, MAX_INODE_TIMES, ReadOnlyRegion};
use shim_abi::thread::ThreadBlock;

use super::environment::Found;
use super::give_up;
use crate::arch;
use crate::forward::MAX_SPINS;
use crate::sys;
use crate::thread::{FaultReason, Slot};
use crate::trace::FixedText;

const PAGE: usize = 4096;
/// The stack on which calls are served.
const SERVE_STACK: usize = PRIVATE + PAGE;
const SERVE_STACK_BYTES: usize = 128 * 1024;
/// The stack on which native handlers run; a page stays unmapped below each.
const SIGNAL_STACK: usize = SERVE_STACK + SERVE_STACK_BYTES + PAGE;
const SIGNAL_STACK_BYTES: usize = 64 * 1024;
const SLOT: usize = SIGNAL_STACK + SIGNAL_STACK_BYTES + PAGE;

const _: () = assert!(size_of::<Slot>() <= PAGE);
const _: () = assert!(SLOT + PAGE <= RESERVATION + RESERVATION_BYTES);

const AT_HWCAP2: u64 = 26;
const HWCAP2_FSGSBASE: u64 = 2;
/// Tile state is not in a guest's frames: nobody is permitted it (`native/control.rs`).
const TILE_COMPONENTS: u64 = 3 << 17;

/// Map everything and make the slot.
pub fn make(handoff: Handoff, found: &Found) -> &'static Slot {
    let none = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    let fresh = none | libc::MAP_FIXED_NOREPLACE;
    match sys::map(RESERVATION, RESERVATION_BYTES, libc::PROT_NONE, fresh, -1) {
        Ok(RESERVATION) => {}
        _ => give_up(format_args!("the address range at {RESERVATION:#x} is taken")),
    }
    map_file(&handoff, handoff.read_only_fd, READ_ONLY_REGION, region::READ_ONLY_BYTES, false);
    map_file(&handoff, handoff.shared_fd, SHARED_REGION, region::SHARED_BYTES, true);
    for (at, bytes) in
        [(SERVE_STACK, SERVE_STACK_BYTES), (SIGNAL_STACK, SIGNAL_STACK_BYTES), (SLOT, PAGE)]
    {
        map_fixed(at, bytes, libc::PROT_READ | libc::PROT_WRITE, none | libc::MAP_FIXED, -1);
    }

    let read_only: &ReadOnlyRegion = at(READ_ONLY_REGION);
    let process: &ProcessBlock =
        at(SHARED_REGION + offset(region::process_offset(handoff.process_index)));
    let thread: &ThreadBlock =
        at(SHARED_REGION + offset(region::thread_offset(handoff.thread_index)));
    check(&read_only.manager.header, BlockKind::Manager, &read_only.manager);
    check(&read_only.host.header, BlockKind::Host, &read_only.host);
    let names = map_names(&handoff, read_only.manager.names_fd);
    check(&process.header, BlockKind::Process, process);
    check(&thread.header, BlockKind::Thread, thread);
    // The image before was serving its execve.
    thread.is_serving.store(0, Relaxed);

    let (fp_bytes, fp_components) = fp_layout();
    let slot = Slot {
        self_address: SLOT,
        stack_top: SERVE_STACK + SERVE_STACK_BYTES,
        guest_stack_pointer: Cell::new(0),
        fault_instruction: Cell::new(0),
        is_kicked: Cell::new(false),
        fault_reason: Cell::new(FaultReason::Kick),
        fault_signal: Cell::new(0),
        fault_code: Cell::new(0),
        fault_address: Cell::new(0),
        fault_trap: Cell::new((0, 0)),
        manager: &read_only.manager,
        host: &read_only.host,
        process,
        thread,
        inode_times: inode_times(),
        names,
        handoff,
        first_hidden: if found.handoff_fd > 2 { found.handoff_fd } else { FIRST_HIDDEN_DESCRIPTOR },
        spins: Cell::new(MAX_SPINS),
        allows_native: Cell::new(false),
        deliver: Cell::new(None),
        restart: Cell::new(None),
        suspended_mask: Cell::new(None),
        changes: [const { Cell::new(None) }; _],
        has_fsgsbase: found.auxiliary(AT_HWCAP2).is_some_and(|bits| bits & HWCAP2_FSGSBASE != 0),
        is_tsc_trapped: Cell::new(false),
        is_cpuid_trapped: Cell::new(false),
        fp_bytes,
        fp_components,
        native_stack: SIGNAL_STACK,
        native_stack_bytes: SIGNAL_STACK_BYTES,
    };
    let has_fsgsbase = slot.has_fsgsbase;
    let place = SLOT as *mut Slot;
    // SAFETY: the page was mapped above, is large enough, and nothing refers to it yet.
    unsafe { place.write(slot) };
    // SAFETY: a live slot whose first word is its own address; the kernel told whether wrgsbase works.
    unsafe { arch::set_thread_slot(SLOT, has_fsgsbase) };
    install_signal_stack();
    Slot::current()
}

fn install_signal_stack() {
    const SS_AUTODISARM: u64 = 1 << 31;
    let stack = [SIGNAL_STACK as u64, SS_AUTODISARM, SIGNAL_STACK_BYTES as u64];
    let args = [(&raw const stack) as u64, 0, 0, 0, 0, 0];
    if let Err(errno) = sys::call(shim_abi::calls::nr::sigaltstack, args) {
        give_up(format_args!("cannot install a signal stack: {errno}"));
    }
}

fn map_fixed(at: usize, bytes: usize, protection: i32, flags: i32, fd: i32) {
    if let Err(errno) = sys::map(at, bytes, protection, flags, fd) {
        give_up(format_args!("cannot map memory at {at:#x}: {errno}"));
    }
}

/// Map the names of the simulation. Descriptor 0: there are none but the loopback names.
fn map_names(handoff: &Handoff, fd: u32) -> Names<'static> {
    if fd == 0 {
        return Names::new(&LOOPBACK_NAMES);
    }
    let bytes = map_file(handoff, fd, NAMES_REGION, size_of::<NamesBlock>(), false);
    let block: &NamesBlock = at(NAMES_REGION);
    check(&block.header, BlockKind::Names, block);
    let count = block.count as usize;
    if count > MAX_NAMES || size_of::<NamesBlock>() + count * size_of::<NameEntry>() > bytes {
        give_up(format_args!("the table of names is shorter than it says"));
    }
    let first = (NAMES_REGION + size_of::<NamesBlock>()) as *const NameEntry;
    // SAFETY: so many entries lie in the file, as just checked; it is mapped for the process's life, and
    // nobody can write or shrink it.
    Names::new(unsafe { core::slice::from_raw_parts(first, count) })
}

/// Map a memory file of the simulator's, through its descriptor table in /proc: `bytes` of it, or, if
/// it is read-only, all of it; how many bytes there are.
fn map_file(handoff: &Handoff, fd: u32, at: usize, bytes: usize, is_shared: bool) -> usize {
    let mut path = FixedText::<64>::new();
    let _ = write!(path, "/proc/{}/fd/{}\0", handoff.simulator_pid, fd);
    let name = CStr::from_bytes_until_nul(path.as_bytes()).unwrap_or(c"");
    let (access, protection) = if is_shared {
        (libc::O_RDWR, libc::PROT_READ | libc::PROT_WRITE)
    } else {
        (libc::O_RDONLY, libc::PROT_READ)
    };
    let opened = match sys::open(name, access | libc::O_CLOEXEC) {
        Ok(opened) => opened,
        Err(errno) => give_up(format_args!(
            "cannot open the simulator's memory at /proc/{}/fd/{fd}: {errno} (is the simulator gone, or \
             /proc not mounted?)",
            handoff.simulator_pid
        )),
    };
    let size = sys::fstat(opened).map_or(0, |stat| stat.st_size as usize);
    if size < bytes {
        give_up(format_args!("the simulator's memory file is too small ({size} of {bytes} bytes)"));
    }
    let bytes = if is_shared { bytes } else { size };
    if !is_shared && at + bytes > SHARED_REGION {
        give_up(format_args!("the simulator's memory file is too large ({bytes} bytes)"));
    }
    map_fixed(at, bytes, protection, libc::MAP_SHARED | libc::MAP_FIXED, opened as i32);
    sys::close(opened);
    bytes
}

fn offset(checked: Option<usize>) -> usize {
    match checked {
        Some(offset) => offset,
        None => give_up(format_args!("the hand-off names a block that cannot exist")),
    }
}

fn at<T: ShmSafe>(address: usize) -> &'static T {
    // SAFETY: callers pass offsets into the files mapped above that `region` computed for this type; the
    // mappings stay for the process's life, and ShmSafe types may be shared.
    unsafe { &*(address as *const T) }
}

fn inode_times() -> &'static [InodeTimes; MAX_INODE_TIMES] {
    let address = SHARED_REGION + region::inode_times_offset();
    // SAFETY: as in `at`: an array of atomics at the offset that `region` gives.
    unsafe { &*(address as *const [InodeTimes; MAX_INODE_TIMES]) }
}

fn check<T>(header: &BlockHeader, kind: BlockKind, _block: &T) {
    if !header.is_valid::<T>(kind) {
        give_up(format_args!("the {kind:?} block is not one that this library understands"));
    }
}

/// Size and components of the extended state in a signal frame.
fn fp_layout() -> (usize, u64) {
    const LEGACY_AND_HEADER: usize = 512 + 64;
    let components = arch::enabled_components() & !TILE_COMPONENTS;
    let mut bytes = LEGACY_AND_HEADER;
    for component in 2..63 {
        if components & 1 << component != 0 {
            let answer = arch::cpuid(0xd, component);
            bytes = bytes.max((answer.ebx + answer.eax) as usize);
        }
    }
    if bytes + 4 > crate::signal::MAX_FP_BYTES {
        give_up(format_args!(
            "this processor's vector state ({bytes} bytes) is larger than expected"
        ));
    }
    (bytes, components)
}
