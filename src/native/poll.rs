//! Waiting for descriptors: regular files are always ready, standard streams wait in wall time, and a
//! wait for nothing is a sleep in simulated time.
//!
//! Sets and time-outs in, counts out. Always true: the real kernel is asked without waiting first; what
//! is ready is reported at once; only standard streams make it wait, and then for as long as it takes,
//! because simulated time stands still meanwhile; a time-out passes in simulated time.
//! See poll(2), select(2).

use core::sync::atomic::Ordering::Relaxed;

use shim_abi::Errno;
use shim_abi::calls::nr;
use shim_abi::process::descriptor;

use super::sleep::{NS_PER_SEC, Timeout, sleep, timespec};
use crate::dispatch::Invocation;
use crate::guest_memory::{GuestAddr, read_value, write_value};
use crate::local::signals::UNBLOCKABLE;
use crate::thread::Slot;
use crate::{native, sys};

/// Most descriptors that are looked at one by one.
const MAX_POLL: u64 = 4096;
const SET_BYTES: u64 = 8;
const POLLIN_OUT: i16 = libc::POLLIN | libc::POLLOUT | libc::POLLRDNORM | libc::POLLWRNORM;

/// Run `wait` with the signal mask that ppoll and pselect6 may bring, and put the old one back, now or
/// when the handler that ended the wait returns.
fn with_mask(
    slot: &'static Slot,
    mask: Option<u64>,
    wait: impl FnOnce() -> Result<i64, Errno>,
) -> Result<i64, Errno> {
    let Some(mask) = mask else { return wait() };
    let mask = mask & !UNBLOCKABLE;
    let old = slot.thread.signal_mask.swap(mask, Relaxed);
    let mut result = wait();
    // A signal that this mask lets through counts before a time-out, also one of zero.
    if result == Ok(0) && slot.thread.pending_signals.load(Relaxed) & !mask != 0 {
        result = Err(Errno::EINTR);
    }
    if result == Err(Errno::EINTR) {
        slot.suspended_mask.set(Some(old));
    } else {
        slot.thread.signal_mask.store(old, Relaxed);
    }
    result
}

/// poll(fds, count, milliseconds)
pub fn poll(call: &mut Invocation<'_>) -> Result<i64, Errno> {
    let [fds, count, milliseconds, ..] = call.args;
    let timeout = u64::try_from(milliseconds as i32).ok().map(|ms| ms * 1_000_000);
    poll_for(call.slot, fds, count, timeout)
}

/// ppoll(fds, count, time, mask, bytes): the time left is stored.
pub fn ppoll(call: &mut Invocation<'_>) -> Result<i64, Errno> {
    let [fds, count, time, mask, bytes, _] = call.args;
    let slot = call.slot;
    let timeout = timespec(time)?;
    let mask = read_mask(mask, bytes)?;
    let begin = crate::local::clock::monotonic_ns(slot);
    let result = with_mask(slot, mask, || poll_for(slot, fds, count, timeout));
    if let Some(ns) = timeout {
        let left = left_after(slot, begin, ns);
        let _ = write_value(GuestAddr(time), &[left / NS_PER_SEC, left % NS_PER_SEC]);
    }
    result
}

fn read_mask(at: u64, bytes: u64) -> Result<Option<u64>, Errno> {
    if at == 0 {
        return Ok(None);
    }
    if bytes != SET_BYTES {
        return Err(Errno::EINVAL);
    }
    read_value::<u64>(GuestAddr(at)).map(Some)
}

fn poll_for(slot: &'static Slot, fds: u64, count: u64, timeout: Timeout) -> Result<i64, Errno> {
    let count = count & 0xffff_ffff;
    if count > slot.process.descriptor_limit.load(Relaxed).into() {
        return Err(Errno::EINVAL);
    }
    let now = native::result(native::execute(nr::poll, [fds, count, 0, 0, 0, 0]))?;
    let ready = now + randoms_ready(slot, fds, count)?;
    if ready > 0 || timeout == Some(0) {
        return Ok(ready);
    }
    if has_external(slot, fds, count)? {
        let forever = i32::MAX as u64;
        return native::result(native::execute_interruptible(
            slot,
            nr::poll,
            [fds, count, forever, 0, 0, 0],
        ));
    }
    sleep(slot, timeout)
}

fn each_fd(
    fds: u64,
    count: u64,
    mut each: impl FnMut(GuestAddr, libc::pollfd),
) -> Result<(), Errno> {
    for i in 0..count.min(MAX_POLL) {
        let at = GuestAddr(fds).offset(i * 8);
        each(at, read_value::<libc::pollfd>(at)?);
    }
    Ok(())
}

/// The placeholder of a random device answers POLLNVAL; the device is always ready.
fn randoms_ready(slot: &Slot, fds: u64, count: u64) -> Result<i64, Errno> {
    let mut more = 0;
    let mut stored = Ok(());
    each_fd(fds, count, |at, mut entry| {
        if entry.fd >= 0 && slot.process.descriptor(entry.fd as u32) == descriptor::RANDOM {
            let was_counted = entry.revents != 0;
            entry.revents = entry.events & POLLIN_OUT;
            more += i64::from(entry.revents != 0) - i64::from(was_counted);
            if let Err(errno) = write_value(at, &entry) {
                stored = Err(errno);
            }
        }
    })?;
    stored.map(|()| more)
}

fn has_external(slot: &Slot, fds: u64, count: u64) -> Result<bool, Errno> {
    let mut found = false;
    each_fd(fds, count, |_, entry| {
        found |= entry.fd >= 0 && slot.process.descriptor(entry.fd as u32) == descriptor::EXTERNAL;
    })?;
    Ok(found)
}

/// select(count, read, write, except, time): the time left is stored.
pub fn select(call: &mut Invocation<'_>) -> Result<i64, Errno> {
    let slot = call.slot;
    let [count, read, write, except, time, _] = call.args;
    let timeout = if time == 0 {
        None
    } else {
        let [seconds, micros] = read_value::<[i64; 2]>(GuestAddr(time))?;
        if seconds < 0 || micros < 0 {
            return Err(Errno::EINVAL);
        }
        Some(
            (seconds as u64)
                .saturating_mul(NS_PER_SEC)
                .saturating_add((micros as u64).saturating_mul(1000)),
        )
    };
    let begin = crate::local::clock::monotonic_ns(slot);
    let result = select_for(slot, count, [read, write, except], timeout);
    if let Some(ns) = timeout {
        let left = left_after(slot, begin, ns);
        let _ = write_value(GuestAddr(time), &[left / NS_PER_SEC, left % NS_PER_SEC / 1000]);
    }
    result
}

/// pselect6(count, read, write, except, time, mask): the time left is stored.
pub fn pselect6(call: &mut Invocation<'_>) -> Result<i64, Errno> {
    let slot = call.slot;
    let [count, read, write, except, time, mask] = call.args;
    let timeout = timespec(time)?;
    let mask = if mask == 0 {
        None
    } else {
        let [at, bytes] = read_value::<[u64; 2]>(GuestAddr(mask))?;
        read_mask(at, bytes)?
    };
    let begin = crate::local::clock::monotonic_ns(slot);
    let result = with_mask(slot, mask, || select_for(slot, count, [read, write, except], timeout));
    if let Some(ns) = timeout {
        let left = left_after(slot, begin, ns);
        let _ = write_value(GuestAddr(time), &[left / NS_PER_SEC, left % NS_PER_SEC]);
    }
    result
}

fn left_after(slot: &Slot, begin_ns: u64, timeout_ns: u64) -> u64 {
    let passed = crate::local::clock::monotonic_ns(slot).saturating_sub(begin_ns);
    timeout_ns.saturating_sub(passed)
}

/// Words of an `fd_set` that the guest can use.
const SET_WORDS: usize = 64;

fn select_for(
    slot: &'static Slot,
    count: u64,
    sets: [u64; 3],
    timeout: Timeout,
) -> Result<i64, Errno> {
    if (count as i32) < 0 {
        return Err(Errno::EINVAL);
    }
    let count = (count as u32).min(4096) as usize;
    let words = count.div_ceil(64);
    let mut copies = [[0u64; SET_WORDS]; 3];
    for (copy, &at) in copies.iter_mut().zip(&sets) {
        for (i, word) in copy[..words].iter_mut().enumerate() {
            if at != 0 {
                *word = read_value::<u64>(GuestAddr(at).offset(i as u64 * 8))?;
            }
        }
    }
    let mut now = copies;
    let mut ready = select_natively(slot, count, &mut now, false)?;
    if ready == 0 && timeout != Some(0) {
        if holds_external(slot, count, &copies) {
            now = copies;
            ready = select_natively(slot, count, &mut now, true)?;
        } else {
            sleep(slot, timeout)?;
            now = [[0; SET_WORDS]; 3];
        }
    }
    for (copy, &at) in now.iter().zip(&sets) {
        for (i, word) in copy[..words].iter().enumerate() {
            if at != 0 {
                write_value(GuestAddr(at).offset(i as u64 * 8), word)?;
            }
        }
    }
    Ok(ready)
}

/// A select of the real kernel on copies of ours, which it changes; `waits`: for as long as it takes.
fn select_natively(
    slot: &Slot,
    count: usize,
    sets: &mut [[u64; SET_WORDS]; 3],
    waits: bool,
) -> Result<i64, Errno> {
    let zero = [0u64; 2];
    let time = if waits { 0 } else { (&raw const zero) as u64 };
    let [read, write, except] = sets;
    let args = [
        count as u64,
        read.as_mut_ptr() as u64,
        write.as_mut_ptr() as u64,
        except.as_mut_ptr() as u64,
        time,
        0,
    ];
    if waits {
        native::result(native::execute_interruptible(slot, nr::pselect6, args))
    } else {
        sys::call(nr::pselect6, args).map(|n| n as i64)
    }
}

fn holds_external(slot: &Slot, count: usize, sets: &[[u64; SET_WORDS]; 3]) -> bool {
    (0..count).any(|fd| {
        sets.iter().any(|set| set[fd / 64] & (1 << (fd % 64)) != 0)
            && slot.process.descriptor(fd as u32) == descriptor::EXTERNAL
    })
}
