//! Making threads and processes: clone(2), clone3(2), fork(2), vfork(2).
//!
//! A guest's request in; a native thread or process that waits for its turn, and the parent's result, out. Always
//! true: all four become one request, which the kernel judges; the simulator names the blocks before anything
//! exists natively; the parent fills in what a child inherits, so no order depends on who starts first. A
//! native process is always a sibling (CLONE_PARENT), so that it outlives its parent, and never stops its parent
//! natively: a `vfork` parent waits in simulated time. Ids in guest memory are the kernel's to write. What a child
//! does first is `begin`.
//!
//! Why not native clone3: containers answer it with ENOSYS.
//!
//! # Safety
//!
//! Native clones: a child on a place of its own, or in a copy of this memory.
#![allow(unsafe_code)]

use core::sync::atomic::Ordering::Relaxed;

use shim_abi::Errno;
use shim_abi::calls::nr;
use shim_abi::event::Request;
use shim_abi::handoff::Handoff;
use shim_abi::process::ProcessBlock;
use shim_abi::thread::ThreadBlock;

use super::{Place, Slot, begin, place};
use crate::dispatch::Invocation;
use crate::frame::Frame;
use crate::guest_memory::{GuestAddr, read_bytes, read_value, write_value};
use crate::native::descriptors::check_open;
use crate::native::times;
use crate::objects::placeholder::Placeholder;
use crate::{arch, boot, forward, sys, trace};

const CLONE_CLEAR_SIGHAND: u64 = 1 << 32;
const CLONE_INTO_CGROUP: u64 = 1 << 33;
/// The exit signal in clone(2)'s flags.
const EXIT_SIGNAL: u64 = 0xff;

/// What all four calls come to.
#[derive(Clone, Copy)]
struct Wanted {
    /// Flags, with the exit signal in the lowest byte.
    flags: u64,
    /// The child's stack pointer; 0: the parent's.
    stack: u64,
    parent_tid: u64,
    child_tid: u64,
    tls: u64,
    /// Where a descriptor of the child is to be stored.
    pidfd: u64,
}

impl Wanted {
    fn has(&self, flag: i32) -> bool {
        self.flags & flag as u32 as u64 != 0
    }
}

/// fork()
pub fn fork(call: &mut Invocation<'_>) -> Result<i64, Errno> {
    make(call, Wanted { flags: libc::SIGCHLD as u64, ..Wanted::NOTHING })
}

/// vfork()
pub fn vfork(call: &mut Invocation<'_>) -> Result<i64, Errno> {
    let flags = (libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD) as u64;
    make(call, Wanted { flags, ..Wanted::NOTHING })
}

/// clone(flags, stack, parent_tid, child_tid, tls)
pub fn clone(call: &mut Invocation<'_>) -> Result<i64, Errno> {
    let [flags, stack, parent_tid, child_tid, tls, _] = call.args;
    // Here the two share an argument.
    let pidfd = parent_tid;
    let both = (libc::CLONE_PIDFD | libc::CLONE_PARENT_SETTID) as u64;
    if flags & both == both {
        return Err(Errno::EINVAL);
    }
    make(call, Wanted { flags: flags & 0xffff_ffff, stack, parent_tid, child_tid, tls, pidfd })
}

/// clone3(arguments, size)
pub fn clone3(call: &mut Invocation<'_>) -> Result<i64, Errno> {
    const FIRST_VERSION_BYTES: u64 = 64;
    const WORDS: usize = 11;
    const MAX_BYTES: u64 = 4096;
    const MAX_NESTED_IDS: u64 = 32;
    const MEMORY_END: u64 = 0x7fff_ffff_f000;
    let [at, bytes, ..] = call.args;
    if bytes > MAX_BYTES {
        return Err(Errno::E2BIG);
    }
    if bytes < FIRST_VERSION_BYTES {
        return Err(Errno::EINVAL);
    }
    let mut words = [0; WORDS];
    for (i, word) in words.iter_mut().enumerate().take(bytes as usize / 8) {
        *word = read_value::<u64>(GuestAddr(at).offset(i as u64 * 8))?;
    }
    for i in WORDS as u64 * 8..bytes {
        let mut byte = [0];
        read_bytes(GuestAddr(at).offset(i), &mut byte)?;
        if byte != [0] {
            return Err(Errno::E2BIG);
        }
    }
    let [
        flags,
        pidfd,
        child_tid,
        parent_tid,
        signal,
        stack,
        stack_bytes,
        tls,
        ids,
        id_count,
        group,
    ] = words;
    let known = 0xffff_ffff & !EXIT_SIGNAL
        | CLONE_CLEAR_SIGHAND
        | CLONE_INTO_CGROUP
        | libc::CLONE_NEWTIME as u64;
    let is_thread = flags & (libc::CLONE_THREAD | libc::CLONE_PARENT) as u64 != 0;
    let is_into_group = flags & CLONE_INTO_CGROUP != 0;
    if id_count > MAX_NESTED_IDS || (ids == 0) != (id_count == 0) || signal > 64 {
        return Err(Errno::EINVAL);
    }
    if is_into_group && (group > i32::MAX as u64 || bytes < WORDS as u64 * 8) {
        return Err(Errno::EINVAL);
    }
    for i in 0..id_count {
        read_value::<i32>(GuestAddr(ids).offset(i * 4))?;
    }
    if flags & !known != 0
        || flags & libc::CLONE_DETACHED as u64 != 0
        || is_thread && signal != 0
        || (stack == 0) != (stack_bytes == 0)
        || stack.checked_add(stack_bytes).is_none_or(|end| end > MEMORY_END)
        || flags & CLONE_CLEAR_SIGHAND != 0 && flags & libc::CLONE_SIGHAND as u64 != 0
    {
        return Err(Errno::EINVAL);
    }
    // Nobody is in a nested namespace of process ids.
    if id_count > 1 || id_count == 1 && read_value::<i32>(GuestAddr(ids))? < 1 {
        return Err(Errno::EINVAL);
    }
    if is_into_group {
        check_open(call.slot, group as u32)?;
    }
    if id_count != 0 || is_into_group {
        trace::lack(call.slot, format_args!("clone3 with a chosen process id or control group"));
        return Err(Errno::EPERM);
    }
    let stack = stack.wrapping_add(stack_bytes);
    let flags = flags | signal;
    make(call, Wanted { flags, stack, parent_tid, child_tid, tls, pidfd })
}

impl Wanted {
    const NOTHING: Wanted =
        Wanted { flags: 0, stack: 0, parent_tid: 0, child_tid: 0, tls: 0, pidfd: 0 };
}

fn make(call: &mut Invocation<'_>, wanted: Wanted) -> Result<i64, Errno> {
    let slot = call.slot;
    name_lack(slot, wanted);
    // Both would write them back otherwise.
    times::flush(slot);
    let Wanted { flags, stack, parent_tid, child_tid, tls, .. } = wanted;
    let pidfd = match wanted.has(libc::CLONE_PIDFD) {
        true => Some(Placeholder::take(slot, true)?),
        false => None,
    };
    let pidfd_number = pidfd.as_ref().map(Placeholder::fd);
    let number = pidfd_number.map_or(u64::MAX, u64::from);
    let args = [flags, stack, parent_tid, child_tid, tls, number];
    let request = Request::Syscall { number: nr::clone, args, copies_bytes: 0 };
    let mut child_place = None;
    let frame = &mut *call.frame;
    let result = forward::converse(slot, request, &mut |process_index, thread_index| {
        // Where its descriptor goes must be writable, before there is a child; it is stored when there is one.
        if pidfd_number.is_some() {
            let at = GuestAddr(wanted.pidfd);
            if let Err(errno) = read_value::<u32>(at).and_then(|old| write_value(at, &old)) {
                return forward::Made::Child(errno.as_return());
            }
        }
        let handoff = Handoff { process_index, thread_index, ..slot.handoff.get() };
        if wanted.has(libc::CLONE_VM) {
            share(slot, frame, (wanted, pidfd_number), handoff, &mut child_place)
        } else {
            copy(slot, frame, (wanted, pidfd_number), handoff)
        }
    });
    match pidfd {
        // In the new process it is closed already.
        Some(pidfd) if result == 0 => core::mem::forget(pidfd),
        Some(pidfd) if result > 0 => {
            let fd = pidfd.keep(slot);
            // It was writable a moment ago.
            let _ = write_value(GuestAddr(wanted.pidfd), &fd);
        }
        _ => {}
    }
    if let Some(place) = child_place.filter(|_| wanted.has(libc::CLONE_VFORK)) {
        // SAFETY: a slot that `share` wrote; its thread has left this memory.
        let child = unsafe { &*place.slot() };
        if let Some((at, bytes)) = child.exec_mapping.take() {
            let _ = sys::call(nr::munmap, [at as u64, bytes as u64, 0, 0, 0, 0]);
        }
        place.release();
    }
    crate::native::result(result)
}

/// Name what Linux would share and the kernel refuses.
fn name_lack(slot: &Slot, wanted: Wanted) {
    let shared = libc::CLONE_FILES | libc::CLONE_FS | libc::CLONE_SIGHAND;
    if wanted.has(libc::CLONE_THREAD) {
        if !wanted.has(libc::CLONE_FILES) {
            trace::lack(slot, format_args!("clone of a thread with descriptors of its own"));
        }
    } else if wanted.has(shared) || wanted.has(libc::CLONE_VM) && !wanted.has(libc::CLONE_VFORK) {
        trace::lack(slot, format_args!("clone of a process that shares memory, files or handlers"));
    }
}

/// The blocks that the simulator made for the child.
fn blocks(handoff: Handoff) -> Option<(&'static ProcessBlock, &'static ThreadBlock)> {
    Some((boot::process_block(handoff.process_index)?, boot::thread_block(handoff.thread_index)?))
}

/// A thread, or a process that shares this memory.
fn share(
    slot: &'static Slot,
    frame: &Frame,
    (wanted, pidfd): (Wanted, Option<u32>),
    handoff: Handoff,
    child_place: &mut Option<Place>,
) -> forward::Made {
    let Some((process, thread)) = blocks(handoff) else {
        trace::fail(b"the simulator named a block that cannot exist")
    };
    let place = match place::allocate() {
        Ok(place) => place,
        Err(errno) => return forward::Made::Child(errno.as_return()),
    };
    inherit(slot, wanted, process, thread);
    let child = slot.for_child(place, process, thread, handoff);
    child.unwanted_descriptor.set(pidfd.filter(|_| !wanted.has(libc::CLONE_THREAD)));
    // SAFETY: the place is mapped, has room for a slot, and belongs to nobody else.
    unsafe { place.slot().write(child) };
    let top = place.stack_top();
    let start = Frame { rax: 0, rsp: stack_of(frame, wanted), ..*frame };
    let frame_at = (top - size_of::<Frame>()) as *mut Frame;
    // SAFETY: the top of the place's own stack, where the exit looks for a frame.
    unsafe { frame_at.write(start) };
    let native = (libc::CLONE_VM | libc::CLONE_CHILD_CLEARTID) as u64;
    let kept = if wanted.has(libc::CLONE_THREAD) {
        libc::CLONE_FS
            | libc::CLONE_FILES
            | libc::CLONE_SIGHAND
            | libc::CLONE_THREAD
            | libc::CLONE_SYSVSEM
    } else {
        libc::CLONE_PARENT
    };
    let flags = native | kept as u64 | wanted.flags & libc::CLONE_SETTLS as u64;
    // SAFETY: the child starts below its frame on a stack of its own, with its slot; it changes nothing of
    // this thread's.
    let result = unsafe {
        arch::clone_sharing(flags, frame_at.cast(), place.slot(), place.occupied_word(), wanted.tls)
    };
    if result < 0 {
        place::give_back(place);
    } else {
        note_native_ids(wanted, process, thread, result);
        *child_place = Some(place);
    }
    forward::Made::Child(result)
}

/// A process with a copy of this memory.
fn copy(
    slot: &'static Slot,
    frame: &mut Frame,
    (wanted, pidfd): (Wanted, Option<u32>),
    handoff: Handoff,
) -> forward::Made {
    let Some((process, thread)) = blocks(handoff) else {
        trace::fail(b"the simulator named a block that cannot exist")
    };
    inherit(slot, wanted, process, thread);
    let flags = (libc::CLONE_PARENT | wanted.flags as i32 & libc::CLONE_SETTLS) as u64;
    // SAFETY: without a stack and without CLONE_VM this is fork(2): both go on here, each in its own memory.
    let result = unsafe { arch::syscall(nr::clone.into(), [flags, 0, 0, 0, wanted.tls, 0]) };
    if result != 0 {
        note_native_ids(wanted, process, thread, result);
        return forward::Made::Child(result);
    }
    slot.process.set(process);
    slot.thread.set(thread);
    slot.handoff.set(handoff);
    slot.is_kicked.set(false);
    place::keep_only(slot.place);
    slot.unwanted_descriptor.set(pidfd);
    begin::take_part(slot);
    frame.rsp = stack_of(frame, wanted);
    if wanted.has(libc::CLONE_CHILD_SETTID) {
        // A bad address is nobody's fault but the guest's: the kernel does not tell, either.
        let _ = write_value(GuestAddr(wanted.child_tid), &thread.tid.load(Relaxed));
    }
    forward::Made::Here
}

/// The child stores its native numbers itself, in its own time: whoever looks at it before must find the same.
fn note_native_ids(wanted: Wanted, process: &ProcessBlock, thread: &ThreadBlock, result: i64) {
    if result <= 0 {
        return;
    }
    thread.native_tid.store(result as u32, Relaxed);
    if !wanted.has(libc::CLONE_THREAD) {
        process.native_pid.store(result as u32, Relaxed);
    }
}

fn stack_of(frame: &Frame, wanted: Wanted) -> u64 {
    if wanted.stack == 0 { frame.rsp } else { wanted.stack }
}

/// Fill in what a child has from its parent; its ids and limits are the simulator's to write.
fn inherit(slot: &Slot, wanted: Wanted, process: &ProcessBlock, thread: &ThreadBlock) {
    let parent = slot.thread.get();
    thread.signal_mask.store(parent.signal_mask.load(Relaxed), Relaxed);
    thread.inherit_ids(parent);
    // The child begins in the middle of this call.
    thread.is_serving.store(1, Relaxed);
    if !wanted.has(libc::CLONE_VM) || wanted.has(libc::CLONE_VFORK) {
        for (to, from) in [
            (&thread.alt_stack_pointer, &parent.alt_stack_pointer),
            (&thread.alt_stack_bytes, &parent.alt_stack_bytes),
        ] {
            to.store(from.load(Relaxed), Relaxed);
        }
        thread.alt_stack_flags.store(parent.alt_stack_flags.load(Relaxed), Relaxed);
    }
    if wanted.has(libc::CLONE_THREAD) {
        return;
    }
    process.inherit(&slot.process);
    if wanted.flags & CLONE_CLEAR_SIGHAND != 0 {
        process.reset_handlers();
    }
}
