//! Waiting for descriptors: regular files are always ready, standard streams wait in wall time, and a
//! wait for nothing is a sleep in simulated time.
//!
//! Sets and time-outs in, counts out. Always true: the real kernel is asked without waiting first; what
//! is ready is reported at once; only standard streams make it wait, and then for as long as it takes,
//! because simulated time stands still meanwhile; a time-out passes in simulated time.
//! See poll(2), select(2).

use core::sync::atomic::Ordering::Relaxed;

use shim_abi::Errno;
use shim_abi::calls::{PSEUDO_POLL, nr};
use shim_abi::process::descriptor;

use super::sleep::{NS_PER_SEC, Timeout, sleep, timespec};
use crate::dispatch::Invocation;
use crate::forward::Forwarded;
use crate::guest_memory::{GuestAddr, read_value, write_value};
use crate::local::signals::UNBLOCKABLE;
use crate::thread::Slot;
use crate::{native, sys};

/// Most descriptors that are looked at one by one.
const MAX_POLL: u64 = 4096;
const SET_BYTES: u64 = 8;
const POLLIN_OUT: i16 = libc::POLLIN | libc::POLLOUT | libc::POLLRDNORM | libc::POLLWRNORM;

/// Wait with the signal mask that ppoll, pselect6 and epoll_pwait may bring, and put the old one back, now or when
/// the handler that ended the wait returns. What is ready at once needs no wait, and lets no signal through.
pub fn with_mask(
    slot: &'static Slot,
    mask: Option<u64>,
    timeout: Timeout,
    mut attempt: impl FnMut(Timeout) -> Result<i64, Errno>,
) -> Result<i64, Errno> {
    let Some(mask) = mask else { return attempt(timeout) };
    match attempt(Some(0)) {
        Ok(0) => {}
        other => return other,
    }
    let mask = mask & !UNBLOCKABLE;
    let old = slot.thread.signal_mask.swap(mask, Relaxed);
    let mut result = attempt(timeout);
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
    let result = with_mask(slot, mask, timeout, |timeout| poll_for(slot, fds, count, timeout));
    if let Some(ns) = timeout {
        let left = left_after(slot, begin, ns);
        let _ = write_value(GuestAddr(time), &[left / NS_PER_SEC, left % NS_PER_SEC]);
    }
    result
}

/// The mask that a call brings, if any; EINVAL if its size is not that of a mask.
pub fn read_mask(at: u64, bytes: u64) -> Result<Option<u64>, Errno> {
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
    let kinds = Kinds::among(slot, fds, count)?;
    if kinds.has_virtual {
        return match count {
            0..=SMALL => {
                poll_sorted(slot, fds, &mut [0; SMALL as usize][..count as usize], timeout)
            }
            _ => poll_many(slot, fds, count, timeout),
        };
    }
    let now = native::result(native::execute(nr::poll, [fds, count, 0, 0, 0, 0]))?;
    let ready = if kinds.has_random { now + randoms_ready(slot, fds, count)? } else { now };
    if ready > 0 || timeout == Some(0) {
        return Ok(ready);
    }
    if kinds.has_external {
        let forever = i32::MAX as u64;
        return native::result(native::execute_interruptible(
            slot,
            nr::poll,
            [fds, count, forever, 0, 0, 0],
        ));
    }
    sleep(slot, timeout)
}

/// Sets up to this many entries need little of the stack.
const SMALL: u64 = 64;

#[inline(never)]
fn poll_many(slot: &'static Slot, fds: u64, count: u64, timeout: Timeout) -> Result<i64, Errno> {
    let mut entries = [0; MAX_POLL as usize];
    let entries = entries.get_mut(..count as usize).ok_or(Errno::EINVAL)?;
    poll_sorted(slot, fds, entries, timeout)
}

/// What a set of `struct pollfd` names.
struct Kinds {
    has_virtual: bool,
    has_random: bool,
    has_external: bool,
}

impl Kinds {
    fn among(slot: &Slot, fds: u64, count: u64) -> Result<Kinds, Errno> {
        let mut kinds = Kinds { has_virtual: false, has_random: false, has_external: false };
        each_fd(fds, count, |_, entry| {
            if entry.fd >= 0 {
                match slot.process.descriptor(entry.fd as u32) {
                    descriptor::VIRTUAL => kinds.has_virtual = true,
                    descriptor::RANDOM => kinds.has_random = true,
                    descriptor::EXTERNAL => kinds.has_external = true,
                    _ => {}
                }
            }
        })?;
        Ok(kinds)
    }
}

/// A `struct pollfd` as a word: descriptor, events, what happened.
#[derive(Clone, Copy)]
pub struct Entry(pub u64);

impl Entry {
    /// One in which nothing has happened.
    pub fn new(fd: i32, events: i16) -> Entry {
        Entry(u64::from(fd as u32) | u64::from(events as u16) << 32)
    }
    /// The descriptor.
    pub fn fd(self) -> i32 {
        self.0 as i32
    }
    /// What is asked for.
    pub fn events(self) -> i16 {
        (self.0 >> 32) as i16
    }
    /// What happened.
    pub fn happened(self) -> i16 {
        (self.0 >> 48) as i16
    }
}

/// A poll that has virtual descriptors in it: what is native is ready now or not at all, and the simulator
/// waits for the others. `words` has room for the set.
fn poll_sorted(
    slot: &'static Slot,
    fds: u64,
    words: &mut [u64],
    timeout: Timeout,
) -> Result<i64, Errno> {
    let total = words.len() as u64;
    let entry_at = |i: u64| GuestAddr(fds).offset(i * 8);
    let kind_of = |entry: Entry| match entry.fd() {
        ..0 => descriptor::NATIVE,
        fd => slot.process.descriptor(fd as u32),
    };
    let mut ready = 0;
    let mut count = 0;
    for i in 0..total {
        let entry = Entry(read_value::<u64>(entry_at(i))?);
        let happened = match kind_of(entry) {
            descriptor::VIRTUAL => {
                words[count] = Entry::new(entry.fd(), entry.events()).0;
                count += 1;
                continue;
            }
            descriptor::RANDOM => entry.events() & POLLIN_OUT,
            _ => happened_natively(entry.fd(), entry.events()),
        };
        ready += i64::from(happened != 0);
        write_value(entry_at(i).offset(HAPPENED_OFFSET), &(happened as u16))?;
    }
    let virtuals = &mut words[..count];
    let polled = poll_virtual(slot, virtuals, if ready > 0 { Some(0) } else { timeout });
    let mut virtuals = virtuals.iter();
    for i in 0..total {
        let entry = Entry(read_value::<u64>(entry_at(i))?);
        if kind_of(entry) == descriptor::VIRTUAL {
            let happened = virtuals.next().map_or(0, |&word| Entry(word).happened());
            write_value(entry_at(i).offset(HAPPENED_OFFSET), &(happened as u16))?;
        }
    }
    polled.map(|more| ready + more)
}

/// Where `revents` stands in a `struct pollfd`.
const HAPPENED_OFFSET: u64 = 6;

fn happened_natively(fd: i32, events: i16) -> i16 {
    let mut entry = Entry::new(fd, events).0;
    let args = [(&raw mut entry) as u64, 1, 0, 0, 0, 0];
    sys::call(nr::poll, args).map_or(0, |_| Entry(entry).happened())
}

/// Whether a native descriptor can be read from without waiting.
pub fn is_readable_now(fd: u32) -> bool {
    happened_natively(fd as i32, libc::POLLIN) & libc::POLLIN != 0
}

/// Let the simulator wait for virtual descriptors.
pub fn poll_virtual(slot: &Slot, entries: &mut [u64], timeout: Timeout) -> Result<i64, Errno> {
    let timeout = timeout.map_or(u64::MAX, |ns| ns.min(i64::MAX as u64));
    let args = [entries.as_mut_ptr() as u64, entries.len() as u64, timeout, 0, 0, 0];
    native::result(Forwarded::new(slot, PSEUDO_POLL, args).exchange(entries))
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

/// How much of a time-out is left that began at `begin_ns`.
pub fn left_after(slot: &Slot, begin_ns: u64, timeout_ns: u64) -> u64 {
    let passed = crate::local::clock::monotonic_ns(slot).saturating_sub(begin_ns);
    timeout_ns.saturating_sub(passed)
}
