//! Letting simulated time pass inside a call that waits for something else, too.
//!
//! A time-out in, its end out. Always true: the wait is the kernel's (it parks the thread); a signal ends
//! it with EINTR. Plain sleeping is forwarded as it comes and does not pass here.

use shim_abi::Errno;
use shim_abi::calls::nr;

use crate::guest_memory::{GuestAddr, read_value};
use crate::local::clock::{monotonic_ns, realtime_ns};
use crate::thread::Slot;
use crate::{forward, native};

/// Nanoseconds in a second.
pub const NS_PER_SEC: u64 = 1_000_000_000;

/// How long to wait: for ever, or so many nanoseconds.
pub type Timeout = Option<u64>;

/// The time-out that a `struct timespec` at `at` holds; none if `at` is NULL.
pub fn timespec(at: u64) -> Result<Timeout, Errno> {
    if at == 0 {
        return Ok(None);
    }
    let [seconds, nanoseconds] = read_value::<[u64; 2]>(GuestAddr(at))?;
    if seconds as i64 >= 0 && nanoseconds < NS_PER_SEC {
        Ok(Some(seconds.saturating_mul(NS_PER_SEC).saturating_add(nanoseconds)))
    } else {
        Err(Errno::EINVAL)
    }
}

/// Wait; `Ok(0)` when the time is over.
pub fn sleep(slot: &Slot, timeout: Timeout) -> Result<i64, Errno> {
    match timeout {
        Some(0) => Ok(0),
        Some(ns) => until(slot, libc::CLOCK_MONOTONIC, monotonic_ns(slot).saturating_add(ns)),
        None => native::result(forward::syscall(slot, nr::pause, [0; 6])),
    }
}

/// Wait until `clock` (realtime or monotonic) shows `end_ns`; `Ok(0)` then.
pub fn until(slot: &Slot, clock: i32, end_ns: u64) -> Result<i64, Errno> {
    let now = if clock == libc::CLOCK_REALTIME { realtime_ns(slot) } else { monotonic_ns(slot) };
    if end_ns <= now {
        return Ok(0);
    }
    // The end does not lie in guest memory: it travels with the request.
    let end = [end_ns / NS_PER_SEC, end_ns % NS_PER_SEC];
    let at = (&raw const end) as u64;
    let args = [clock as u64, libc::TIMER_ABSTIME as u64, at, 0, 0, 0];
    native::result(forward::syscall_with(slot, nr::clock_nanosleep, args, &end))
}
