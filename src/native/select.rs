//! select(2) and pselect6(2): sets of bits, otherwise as `poll`.
//!
//! Three sets and a time-out in, counts out. Always true: the guest's sets are read once and written once; a
//! descriptor that is not open fails the call, as Linux has it, which is asked for that.

use shim_abi::Errno;
use shim_abi::calls::nr;
use shim_abi::process::descriptor;

use super::poll::{Entry, left_after, poll_virtual, read_mask, with_mask};
use super::sleep::{NS_PER_SEC, Timeout, sleep, timespec};
use crate::dispatch::Invocation;
use crate::guest_memory::{GuestAddr, read_value, write_value};
use crate::thread::Slot;
use crate::{native, objects, sys};

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
    let result = select_for(slot, count, [read, write, except], timeout, None);
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
    let result = select_for(slot, count, [read, write, except], timeout, mask);
    if let Some(ns) = timeout {
        let left = left_after(slot, begin, ns);
        let _ = write_value(GuestAddr(time), &[left / NS_PER_SEC, left % NS_PER_SEC]);
    }
    result
}

/// Words of an `fd_set` that the guest can use.
const SET_WORDS: usize = 64;
type Sets = [[u64; SET_WORDS]; 3];

fn select_for(
    slot: &'static Slot,
    count: u64,
    sets: [u64; 3],
    timeout: Timeout,
    mask: Option<u64>,
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
    let has_virtual =
        (0..count).any(|fd| is_in(&copies, fd) && objects::is_virtual(slot, fd as u32));
    let mut now = copies;
    let ready = with_mask(slot, mask, timeout, |timeout| {
        now = copies;
        if has_virtual {
            select_sorted(slot, count, &mut now, timeout)
        } else {
            select_others(slot, count, &mut now, timeout)
        }
    })?;
    store(&now, words, &sets)?;
    Ok(ready)
}

/// A select without virtual descriptors.
fn select_others(
    slot: &'static Slot,
    count: usize,
    sets: &mut Sets,
    timeout: Timeout,
) -> Result<i64, Errno> {
    let asked = *sets;
    let ready = select_natively(slot, count, sets, false)?;
    if ready > 0 || timeout == Some(0) {
        return Ok(ready);
    }
    if holds_external(slot, count, &asked) {
        *sets = asked;
        return select_natively(slot, count, sets, true);
    }
    sleep(slot, timeout)
}

fn store(from: &Sets, words: usize, to: &[u64; 3]) -> Result<(), Errno> {
    for (copy, &at) in from.iter().zip(to) {
        for (i, word) in copy[..words].iter().enumerate() {
            if at != 0 {
                write_value(GuestAddr(at).offset(i as u64 * 8), word)?;
            }
        }
    }
    Ok(())
}

fn is_in(sets: &Sets, fd: usize) -> bool {
    sets.iter().any(|set| set[fd / 64] & (1 << (fd % 64)) != 0)
}

/// For each of the three sets: what it asks poll(2) for, and what puts a descriptor into the answer.
const ASKED: [i16; 3] = [
    libc::POLLIN | libc::POLLRDNORM | libc::POLLRDBAND,
    libc::POLLOUT | libc::POLLWRNORM | libc::POLLWRBAND,
    libc::POLLPRI,
];
const ANSWERED: [i16; 3] =
    [ASKED[0] | libc::POLLHUP | libc::POLLERR, ASKED[1] | libc::POLLERR, ASKED[2]];

/// A select that has virtual descriptors in it: as `poll`'s, what is native is ready now or not at all.
#[inline(never)]
fn select_sorted(
    slot: &'static Slot,
    count: usize,
    sets: &mut Sets,
    timeout: Timeout,
) -> Result<i64, Errno> {
    let mut entries = [0; SET_WORDS * 64];
    let mut used = 0;
    for fd in (0..count).filter(|&fd| objects::is_virtual(slot, fd as u32)) {
        let mut events = 0;
        for (set, asked) in sets.iter_mut().zip(ASKED) {
            if set[fd / 64] & (1 << (fd % 64)) != 0 {
                events |= asked;
                set[fd / 64] &= !(1 << (fd % 64));
            }
        }
        if events != 0 {
            entries[used] = Entry::new(fd as i32, events).0;
            used += 1;
        }
    }
    let mut ready = select_natively(slot, count, sets, false)?;
    let entries = &mut entries[..used];
    poll_virtual(slot, entries, if ready > 0 { Some(0) } else { timeout })?;
    for entry in entries.iter().map(|&word| Entry(word)) {
        let (fd, happened) = (entry.fd() as usize, entry.happened());
        if happened & libc::POLLNVAL != 0 {
            return Err(Errno::EBADF);
        }
        for (i, set) in sets.iter_mut().enumerate() {
            if happened & ANSWERED[i] != 0 && entry.events() & ASKED[i] != 0 {
                set[fd / 64] |= 1 << (fd % 64);
                ready += 1;
            }
        }
    }
    Ok(ready)
}

/// A select of the real kernel on copies of ours, which it changes; `waits`: for as long as it takes.
fn select_natively(slot: &Slot, count: usize, sets: &mut Sets, waits: bool) -> Result<i64, Errno> {
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

fn holds_external(slot: &Slot, count: usize, sets: &Sets) -> bool {
    (0..count)
        .any(|fd| is_in(sets, fd) && slot.process.descriptor(fd as u32) == descriptor::EXTERNAL)
}
