//! The shim's memory: one reservation, the two files of the host in it, and the first thread's place.
//!
//! A hand-off in, this thread's [`Slot`] out. Always true: everything lies in the reservation of
//! `shim_abi::address`; the files' descriptors are closed again; a block is believed only after its header
//! was compared. The layout of the private part is `thread::place`'s.
//!
//! # Safety
//!
//! Maps memory at fixed addresses and makes references to it.
#![allow(unsafe_code)]

use core::cell::Cell;
use core::ffi::CStr;
use core::fmt::Write;
use core::sync::atomic::{AtomicBool, Ordering::Relaxed};

use shim_abi::address::{
    NAMES_REGION, READ_ONLY_REGION, RESERVATION, RESERVATION_BYTES, SHARED_REGION,
};
use shim_abi::block::{BlockHeader, BlockKind, ShmSafe};
use shim_abi::handoff::Handoff;
use shim_abi::manager::{COMPONENTS, ManagerBlock};
use shim_abi::names::{LOOPBACK_NAMES, MAX_NAMES, NameEntry, Names, NamesBlock};
use shim_abi::process::{FIRST_HIDDEN_DESCRIPTOR, ProcessBlock};
use shim_abi::region::{self, Baton, InodeTimes, MAX_INODE_TIMES, ReadOnlyRegion};
use shim_abi::thread::ThreadBlock;

use super::environment::Found;
use super::give_up;
use crate::arch;
use crate::forward::MAX_SPINS;
use crate::kernel::arena;
use crate::local::capabilities::Capabilities;
use crate::local::reach;
use crate::sys;
use crate::thread::{self, Current, FaultReason, Slot, place};
use crate::trace::FixedText;

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
    let place = match place::allocate() {
        Ok(place) => place,
        Err(errno) => give_up(format_args!("cannot map memory for a thread: {errno}")),
    };

    let read_only: &ReadOnlyRegion = at(READ_ONLY_REGION);
    let (Some(process), Some(thread)) =
        (process_block(handoff.process_index), thread_block(handoff.thread_index))
    else {
        give_up(format_args!("the hand-off names a block that cannot exist"));
    };
    check(&read_only.manager.header, BlockKind::Manager, &read_only.manager);
    check(&read_only.host.header, BlockKind::Host, &read_only.host);
    map_arena(&handoff, &read_only.manager);
    check(&process.header, BlockKind::Process, process);
    check(&thread.header, BlockKind::Thread, thread);
    // The image before was serving its execve.
    thread.is_serving.store(0, Relaxed);

    let (fp_bytes, fp_components) = fp_layout(&read_only.manager.component_ends);
    // The image before has learnt whether looking pays.
    let is_first = process.images.load(Relaxed) == 0;
    let spins = if is_first { MAX_SPINS } else { thread.spins.load(Relaxed).min(MAX_SPINS) };
    let slot = Slot {
        self_address: place.slot().addr(),
        stack_top: place.stack_top(),
        guest_stack_pointer: Cell::new(0),
        fault_instruction: Cell::new(0),
        has_trapped: Cell::new(false),
        is_kicked: Cell::new(false),
        fault_reason: Cell::new(FaultReason::Kick),
        fault_signal: Cell::new(0),
        fault_code: Cell::new(0),
        fault_address: Cell::new(0),
        fault_trap: Cell::new((0, 0)),
        manager: &read_only.manager,
        host: &read_only.host,
        process: Current::new(process),
        thread: Current::new(thread),
        inode_times: inode_times(),
        written: at(SHARED_REGION + region::written_offset()),
        counters: at(SHARED_REGION + region::counters_offset()),
        baton: Cell::new(None),
        handoff: Cell::new(handoff),
        launcher_pid: sys::call(shim_abi::calls::nr::getppid, [0; 6]).unwrap_or(0) as u32,
        first_hidden: if found.handoff_fd > 2 { found.handoff_fd } else { FIRST_HIDDEN_DESCRIPTOR },
        run_until_ns: Cell::new(0),
        spins: Cell::new(spins),
        allows_native: Cell::new(false),
        reads_clock_fast: Cell::new(thread::reads_clock_fast(&read_only.host)),
        deliver: Cell::new(None),
        restart: Cell::new(None),
        restarts_always: Cell::new(false),
        has_locked: Cell::new(false),
        has_no_new_privileges: Cell::new(false),
        capabilities: Cell::new(Capabilities::native(0)),
        reaches_as_another: Cell::new(false),
        has_other_root: Cell::new(false),
        has_seccomp_filter: Cell::new(false),
        suspended_mask: Cell::new(None),
        changes: [const { Cell::new(None) }; _],
        has_fsgsbase: found.auxiliary(AT_HWCAP2).is_some_and(|bits| bits & HWCAP2_FSGSBASE != 0),
        is_tsc_trapped: Cell::new(false),
        is_cpuid_trapped: Cell::new(false),
        fp_bytes,
        fp_components,
        place,
        exec_mapping: Cell::new(None),
        is_dying: Cell::new(false),
        unwanted_descriptor: Cell::new(None),
        rseq: Cell::new(None),
    };
    let has_fsgsbase = slot.has_fsgsbase;
    // SAFETY: the place has room for a slot, and nothing refers to it yet.
    unsafe { place.slot().write(slot) };
    // SAFETY: a live slot whose first word is its own address; the kernel told whether wrgsbase works.
    unsafe { arch::set_thread_slot(place.slot().addr(), has_fsgsbase) };
    if let Err(errno) = thread::install_signal_stack(Slot::current()) {
        give_up(format_args!("cannot install a signal stack: {errno}"));
    }
    Slot::current()
}

fn map_fixed(at: usize, bytes: usize, protection: i32, flags: i32, fd: i32) {
    if let Err(errno) = sys::map(at, bytes, protection, flags, fd) {
        give_up(format_args!("cannot map memory at {at:#x}: {errno}"));
    }
}

/// The names of the simulation are mapped in this memory, and were looked at.
static HAS_NAMES: AtomicBool = AtomicBool::new(false);

/// The names of the simulation, which most programs never ask for: mapped when one does. Descriptor 0: there are
/// none but the loopback names.
pub fn names(slot: &Slot) -> Names<'static> {
    let fd = slot.manager.names_fd;
    // Below another root the table cannot be reached any more, as there no /etc/hosts may be.
    let is_unreachable = slot.has_other_root.get() && !HAS_NAMES.load(Relaxed);
    if fd == 0 || is_unreachable {
        return Names::new(&LOOPBACK_NAMES);
    }
    let is_new = !HAS_NAMES.load(Relaxed);
    let map = || map_file(&slot.handoff.get(), fd, NAMES_REGION, size_of::<NamesBlock>(), false);
    let bytes = match is_new {
        true => reach::as_simulator(slot, map),
        false => usize::MAX,
    };
    let block: &NamesBlock = at(NAMES_REGION);
    if is_new {
        check(&block.header, BlockKind::Names, block);
    }
    let count = block.count as usize;
    if count > MAX_NAMES || size_of::<NamesBlock>() + count * size_of::<NameEntry>() > bytes {
        give_up(format_args!("the table of names is shorter than it says"));
    }
    HAS_NAMES.store(true, Relaxed);
    let first = (NAMES_REGION + size_of::<NamesBlock>()) as *const NameEntry;
    // SAFETY: so many entries lie in the file, as just checked; it is mapped for the process's life, and
    // nobody can write or shrink it.
    Names::new(unsafe { core::slice::from_raw_parts(first, count) })
}

/// Map a memory file of the simulator's, through its descriptor table in /proc: `bytes` of it, or, if
/// it is read-only, all of it; how many bytes there are.
fn map_file(handoff: &Handoff, fd: u32, at: usize, bytes: usize, is_shared: bool) -> usize {
    let opened = open(handoff, fd, if is_shared { libc::O_RDWR } else { libc::O_RDONLY });
    let protection = if is_shared { libc::PROT_READ | libc::PROT_WRITE } else { libc::PROT_READ };
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

/// Open a memory file of the simulator's.
fn open(handoff: &Handoff, fd: u32, access: i32) -> u32 {
    let mut path = FixedText::<64>::new();
    let _ = write!(path, "/proc/{}/fd/{}\0", handoff.simulator_pid, fd);
    let name = CStr::from_bytes_until_nul(path.as_bytes()).unwrap_or(c"");
    sys::open(name, access | libc::O_CLOEXEC).unwrap_or_else(|errno| {
        give_up(format_args!(
            "cannot open the simulator's memory at /proc/{}/fd/{fd}: {errno} (is the simulator gone, or \
             /proc not mounted?)",
            handoff.simulator_pid
        ))
    })
}

/// Map the arena of the host's kernel, if there is one for guests. Descriptor 0: there is none.
fn map_arena(handoff: &Handoff, manager: &ManagerBlock) {
    if manager.arena_fd != 0 {
        let opened = open(handoff, manager.arena_fd, libc::O_RDWR);
        arena::map(manager, opened);
        sys::close(opened);
    }
}

/// The host's process block `index`, whether it is in use or not. Only in a managed process.
pub fn process_block(index: u32) -> Option<&'static ProcessBlock> {
    Some(at(SHARED_REGION + region::process_offset(index)?))
}

/// The host's thread block `index`, whether it is in use or not. Only in a managed process.
pub fn thread_block(index: u32) -> Option<&'static ThreadBlock> {
    Some(at(SHARED_REGION + region::thread_offset(index)?))
}

fn at<T: ShmSafe>(address: usize) -> &'static T {
    // SAFETY: callers pass offsets into the files mapped above that `region` computed for this type; the
    // mappings stay for the process's life, and ShmSafe types may be shared.
    unsafe { &*(address as *const T) }
}

/// Where control goes back to the simulator, if the guests of this host hand it to each other.
pub fn baton(manager: &ManagerBlock) -> Option<&'static Baton> {
    manager.shares_kernel().then(|| at(SHARED_REGION + region::baton_offset()))
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
fn fp_layout(ends: &[u32; COMPONENTS]) -> (usize, u64) {
    const LEGACY_AND_HEADER: usize = 512 + 64;
    let components = arch::enabled_components() & !TILE_COMPONENTS;
    let mut bytes = LEGACY_AND_HEADER;
    for component in (2..63).filter(|component| components & 1 << component != 0) {
        let end = match ends.get(component as usize) {
            Some(&end) if end != 0 => end,
            _ => {
                let answer = arch::cpuid(0xd, component);
                answer.ebx + answer.eax
            }
        };
        bytes = bytes.max(end as usize);
    }
    if bytes + 4 > crate::signal::MAX_FP_BYTES {
        give_up(format_args!(
            "this processor's vector state ({bytes} bytes) is larger than expected"
        ));
    }
    (bytes, components)
}
