//! The calls: futex(2), `futex_wait`, `futex_wake`.
//!
//! Operations and flags in, the operation's function called. Always true: a time-out is looked at before
//! everything else, even before whether there is such an operation, as on Linux. What the operations do is in
//! the files beside this one. `FUTEX_FD` is no operation any more.

use shim_abi::{Errno, SimTime};

use super::key::Sharing;
use super::requeue::{Origin, Requeue};
use super::wait::WaitFor;
use crate::clock::duration_of;
use crate::context::{Answer, Context};
use crate::guest::GuestAddr;
use crate::memory::read_words;

const FUTEX_LOCK_PI2: i32 = 13;
/// Every waiter's set meets this one.
pub(super) const ANY_BITS: u32 = u32::MAX;

/// The clock of a time-out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Timer {
    /// So long from now on.
    Relative,
    /// Until the machine has been up so long.
    Uptime,
    /// Until it is so late.
    Realtime,
}

pub(crate) fn futex(
    context: &mut Context<'_>,
    address: GuestAddr,
    operation: i32,
    value: u32,
    fourth: u64,
    second: GuestAddr,
    third_value: u32,
) -> Answer {
    let is_realtime = operation & libc::FUTEX_CLOCK_REALTIME != 0;
    let sharing = match operation & libc::FUTEX_PRIVATE_FLAG {
        0 => Sharing::Shared,
        _ => Sharing::Private,
    };
    let command = operation & !(libc::FUTEX_PRIVATE_FLAG | libc::FUTEX_CLOCK_REALTIME);
    let timer = match command {
        libc::FUTEX_WAIT => Some(Timer::Relative),
        libc::FUTEX_LOCK_PI => Some(Timer::Realtime),
        libc::FUTEX_WAIT_BITSET | libc::FUTEX_WAIT_REQUEUE_PI | FUTEX_LOCK_PI2 => {
            Some(if is_realtime { Timer::Realtime } else { Timer::Uptime })
        }
        _ => None,
    };
    let deadline = match timer {
        Some(timer) => context.futex_deadline(GuestAddr(fourth), timer)?,
        None => None,
    };
    let may_be_realtime =
        matches!(command, libc::FUTEX_WAIT_BITSET | libc::FUTEX_WAIT_REQUEUE_PI | FUTEX_LOCK_PI2);
    if is_realtime && !may_be_realtime {
        return Err(Errno::ENOSYS);
    }
    // A second count stands where other operations have their time-out.
    let second_value = fourth as u32;
    let wait = WaitFor { address, sharing, value, deadline };
    let requeue = |expected| Requeue {
        from: Origin { address, sharing, expected },
        to: (second, sharing),
        wake_count: value as i32,
        move_count: second_value as i32,
    };
    match command {
        libc::FUTEX_WAIT => context.wait_for_word(wait, ANY_BITS, interruption(deadline)),
        libc::FUTEX_WAIT_BITSET => context.wait_for_word(wait, third_value, interruption(deadline)),
        libc::FUTEX_WAKE => context.wake_word(address, sharing, value as i32, ANY_BITS),
        libc::FUTEX_WAKE_BITSET => context.wake_word(address, sharing, value as i32, third_value),
        libc::FUTEX_WAKE_OP => {
            let counts = [value as i32, second_value as i32];
            context.wake_and_change([address, second], sharing, counts, third_value)
        }
        libc::FUTEX_REQUEUE => context.requeue(requeue(None)),
        libc::FUTEX_CMP_REQUEUE => context.requeue(requeue(Some(third_value))),
        libc::FUTEX_CMP_REQUEUE_PI => context.requeue_to_lock(requeue(Some(third_value))),
        libc::FUTEX_WAIT_REQUEUE_PI => context.wait_to_move(wait, second),
        libc::FUTEX_LOCK_PI | FUTEX_LOCK_PI2 => context.lock(address, sharing, deadline),
        libc::FUTEX_TRYLOCK_PI => context.try_lock(address, sharing),
        libc::FUTEX_UNLOCK_PI => context.unlock(address, sharing),
        _ => Err(Errno::ENOSYS),
    }
}

/// What a signal makes of a wait of futex(2): it is made again, unless it would then begin its time anew.
fn interruption(deadline: Option<SimTime>) -> Errno {
    if deadline.is_some() { Errno::EINTR } else { Errno::ERESTARTSYS }
}

pub(crate) fn futex_wait(
    context: &mut Context<'_>,
    address: GuestAddr,
    value: u64,
    bits: u64,
    flags: u32,
    timeout: GuestAddr,
    clock: i32,
) -> Answer {
    let sharing = sharing_of(flags)?;
    let value = u32::try_from(value).map_err(|_| Errno::EINVAL)?;
    let bits = u32::try_from(bits).map_err(|_| Errno::EINVAL)?;
    let deadline = context.futex2_deadline(timeout, clock)?;
    let wait = WaitFor { address, sharing, value, deadline };
    context.wait_for_word(wait, bits, Errno::ERESTARTSYS)
}

pub(crate) fn futex_wake(
    context: &mut Context<'_>,
    address: GuestAddr,
    bits: u64,
    count: i32,
    flags: u32,
) -> Answer {
    let sharing = sharing_of(flags)?;
    let bits = u32::try_from(bits).map_err(|_| Errno::EINVAL)?;
    if count == 0 && bits != 0 {
        context.futex_key(address, sharing)?;
        return crate::context::done(0);
    }
    context.wake_word(address, sharing, count, bits)
}

/// The manner of a word from the flags of the newer calls: only words of 32 bits, and no NUMA nodes.
pub(super) fn sharing_of(flags: u32) -> Result<Sharing, Errno> {
    const SIZE_U32: u32 = 2;
    const PRIVATE: u32 = libc::FUTEX_PRIVATE_FLAG as u32;
    match flags {
        SIZE_U32 => Ok(Sharing::Shared),
        _ if flags == SIZE_U32 | PRIVATE => Ok(Sharing::Private),
        _ => Err(Errno::EINVAL),
    }
}

impl Context<'_> {
    /// When a wait ends whose time-out is at `from`, if it has one.
    fn futex_deadline(&mut self, from: GuestAddr, timer: Timer) -> Result<Option<SimTime>, Errno> {
        if from.is_null() {
            return Ok(None);
        }
        let [secs, nanos] = read_words(self.guest, from)?;
        let time = duration_of(secs as i64, nanos).ok_or(Errno::EINVAL)?;
        let at = match timer {
            Timer::Relative => self.kernel.time_after(self.now, time),
            Timer::Uptime => self.kernel.time_of_uptime(time),
            Timer::Realtime => self.kernel.time_of_realtime(self.now, time),
        };
        Ok(Some(at.max(self.now)))
    }

    /// The same for the newer calls, which name a clock.
    pub(super) fn futex2_deadline(
        &mut self,
        from: GuestAddr,
        clock: i32,
    ) -> Result<Option<SimTime>, Errno> {
        let timer = match clock {
            _ if from.is_null() => return Ok(None),
            libc::CLOCK_REALTIME => Timer::Realtime,
            libc::CLOCK_MONOTONIC => Timer::Uptime,
            _ => return Err(Errno::EINVAL),
        };
        self.futex_deadline(from, timer)
    }
}
