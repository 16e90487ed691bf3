//! Advisory locks on files: tried natively, and tried again while somebody else holds them, whenever a guest of the
//! host may have given one up, and from time to time.
//!
//! A descriptor and a lock in; the lock, or an error, out. Always true: no native call waits, so the host's other
//! guests go on; how often a lock is tried depends on simulated time alone; process ids in answers are virtual, 0
//! for a holder outside the simulation; a circle of waiting processes is EDEADLK, because the real kernel, which
//! sees nobody wait, does not find it; the simulator keeps the locks of its objects, and finds none either. See flock(2), fcntl_locking(2).
//!
//! Why also from time to time: the real kernel keeps the locks, and a holder outside the simulation, or a thread that
//! closes what another one has locked, tells nobody.

use core::sync::atomic::Ordering::Relaxed;

use shim_abi::Errno;
use shim_abi::calls::{PSEUDO_LOCK_RELEASED, PSEUDO_LOCK_WAIT, nr};
use shim_abi::process::ProcessBlock;
use shim_abi::region::MAX_PROCESSES;

use super::descriptors::check_usable;
use crate::dispatch::Invocation;
use crate::forward::Forwarded;
use crate::guest_memory::{GuestAddr, read_value, write_value};
use crate::thread::Slot;
use crate::{boot, forward, native};

/// The first pause between two tries, and the longest, each twice the one before.
const FIRST_PAUSE_NS: u64 = 20_000;
const LONGEST_PAUSE_NS: u64 = 10_000_000;

/// The kernel's `struct flock` by words: type and origin, start, length, process id.
type Lock = [u64; 4];

/// flock(fd, operation), fd being visible.
pub fn flock(call: &Invocation<'_>) -> Result<i64, Errno> {
    let [fd, operation, ..] = call.args;
    let once = [fd, operation | libc::LOCK_NB as u64, 0, 0, 0, 0];
    let done = match operation as i32 & libc::LOCK_NB {
        0 => until_free(call.slot, |_| native::result(native::execute(nr::flock, once)))?,
        _ => native::result(native::execute(nr::flock, call.args))?,
    };
    note_change(call.slot, operation as i32 & libc::LOCK_EX == 0);
    Ok(done)
}

/// fcntl(fd, F_SETLK or F_OFD_SETLK, lock), fd being visible.
pub fn set_once(call: &Invocation<'_>) -> Result<i64, Errno> {
    let done = native::result(native::execute(nr::fcntl, call.args))?;
    let [kind, ..] = read_value::<Lock>(GuestAddr(call.args[2]))?;
    note_change(call.slot, kind as u16 != libc::F_WRLCK as u16);
    Ok(done)
}

/// The caller has changed its locks; perhaps somebody else can have what it had.
fn note_change(slot: &Slot, may_give_up: bool) {
    if may_give_up {
        released(slot);
    }
    slot.has_locked.set(true);
}

/// A descriptor was closed, or a lock given up: tell those who wait for one, if the caller may have had one.
pub fn released(slot: &Slot) {
    if slot.has_locked.get() {
        forward::syscall(slot, PSEUDO_LOCK_RELEASED, [0; 6]);
    }
}

/// fcntl(fd, F_SETLKW or F_OFD_SETLKW, lock), fd being visible.
pub fn set_waiting(call: &Invocation<'_>) -> Result<i64, Errno> {
    let [fd, operation, at, ..] = call.args;
    let is_of_process = operation as i32 == libc::F_SETLKW;
    let once = if is_of_process { libc::F_SETLK } else { libc::F_OFD_SETLK };
    check_usable(call.slot, fd as u32)?;
    let lock = read_value::<Lock>(GuestAddr(at))?;
    let done = until_free_or_circle(
        call,
        || native::result(native::execute(nr::fcntl, [fd, once as u64, at, 0, 0, 0])),
        || holder_of(fd, lock),
    )?;
    note_change(call.slot, lock[0] as u16 != libc::F_WRLCK as u16);
    Ok(done)
}

/// The same for an object, whose locks the simulator keeps.
pub fn set_waiting_for_object(call: &Invocation<'_>) -> Result<i64, Errno> {
    let [fd, _, at, ..] = call.args;
    let holder = || {
        // It was read a moment ago.
        let mut found = read_value::<Lock>(GuestAddr(at)).unwrap_or_default();
        let args = [fd, libc::F_GETLK as u64, (&raw mut found) as u64, 0, 0, 0];
        match Forwarded::new(call.slot, nr::fcntl, args).exchange(&mut found) {
            0 if found[0] as u16 != libc::F_UNLCK as u16 => found[3] as u32,
            _ => 0,
        }
    };
    let once = || native::result(forward::syscall(call.slot, call.number, call.args));
    until_free_or_circle(call, once, holder)
}

/// Try until a lock can be had; a process's is EDEADLK if its holder waits for the caller.
fn until_free_or_circle(
    call: &Invocation<'_>,
    mut try_once: impl FnMut() -> Result<i64, Errno>,
    holder: impl Fn() -> u32,
) -> Result<i64, Errno> {
    let is_of_process = call.args[1] as i32 == libc::F_SETLKW;
    let result = until_free(call.slot, |slot| {
        let result = try_once();
        if is_of_process && is_held(result) {
            let holder = holder();
            slot.process.waits_for_lock_of.store(holder, Relaxed);
            if is_circle(slot, holder) {
                return Err(Errno::EDEADLK);
            }
        }
        result
    });
    call.slot.process.waits_for_lock_of.store(0, Relaxed);
    result
}

/// fcntl(fd, F_GETLK, lock), fd being visible: the holder as the guest knows it.
pub fn get(call: &Invocation<'_>) -> Result<i64, Errno> {
    let at = GuestAddr(call.args[2]);
    native::result(native::execute(nr::fcntl, call.args))?;
    let lock = read_value::<Lock>(at)?;
    let [kind, ..] = lock;
    if kind as u16 != libc::F_UNLCK as u16 && (lock[3] as i32) > 0 {
        let pid = virtual_pid(lock[3] as u32);
        // The upper half of the last word is padding.
        write_value(at.offset(24), &pid)?;
    }
    Ok(0)
}

fn is_held(result: Result<i64, Errno>) -> bool {
    matches!(result, Err(Errno::EAGAIN | Errno::EACCES))
}

/// Try, without waiting natively, until something else than "somebody holds it" comes out, or a signal.
pub fn until_free(
    slot: &Slot,
    mut try_once: impl FnMut(&Slot) -> Result<i64, Errno>,
) -> Result<i64, Errno> {
    let mut pause_ns = FIRST_PAUSE_NS;
    loop {
        let result = try_once(slot);
        if !is_held(result) {
            return result;
        }
        native::result(forward::syscall(slot, PSEUDO_LOCK_WAIT, [pause_ns, 0, 0, 0, 0, 0]))?;
        pause_ns = (2 * pause_ns).min(LONGEST_PAUSE_NS);
    }
}

/// The virtual id of the process that holds what stands in the way of `lock`; 0 if nobody of this host.
fn holder_of(fd: u64, lock: Lock) -> u32 {
    let mut found = lock;
    let at = (&raw mut found) as u64;
    let args = [fd, libc::F_GETLK as u64, at, 0, 0, 0];
    match native::result(native::execute(nr::fcntl, args)) {
        Ok(_) if found[0] as u16 != libc::F_UNLCK as u16 => virtual_pid(found[3] as u32),
        _ => 0,
    }
}

/// Whether the processes that wait for each other's locks, from `holder` on, lead back to this one.
fn is_circle(slot: &Slot, holder: u32) -> bool {
    let own = slot.process.pid.load(Relaxed);
    let mut pid = holder;
    for _ in 0..MAX_PROCESSES {
        if pid == own {
            return true;
        }
        let next = process(|block| block.pid.load(Relaxed) == pid);
        pid = next.map_or(0, |block| block.waits_for_lock_of.load(Relaxed));
        if pid == 0 {
            return false;
        }
    }
    false
}

fn virtual_pid(native_pid: u32) -> u32 {
    process(|block| block.native_pid.load(Relaxed) == native_pid)
        .map_or(0, |block| block.pid.load(Relaxed))
}

/// The first process of the host of which something is true.
fn process(is_it: impl Fn(&ProcessBlock) -> bool) -> Option<&'static ProcessBlock> {
    let blocks = (0..MAX_PROCESSES as u32).map_while(boot::process_block);
    blocks.filter(|block| block.pid.load(Relaxed) != 0).find(|block| is_it(block))
}
