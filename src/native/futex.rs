//! futex(2) of a process that has one thread.
//!
//! Addresses and values in. Always true: nobody else can wait or wake, so a wake wakes nobody, and a wait
//! whose word holds the expected value ends by its time-out or a signal only. Locks with priority
//! inheritance are refused by name: the word holds a thread's id, and ids are virtual.

use shim_abi::Errno;
use shim_abi::calls::nr;

use super::sleep::{sleep, timespec, until};
use crate::dispatch::Invocation;
use crate::guest_memory::{GuestAddr, read_value};
use crate::{native, trace};

const COMMAND: i32 = 0x7f;
const CLOCK_REALTIME: i32 = libc::FUTEX_CLOCK_REALTIME;

/// futex(word, operation, value, time or count, second word, third value)
pub fn futex(call: &mut Invocation<'_>) -> Result<i64, Errno> {
    let operation = call.args[1] as i32;
    match operation & COMMAND {
        libc::FUTEX_WAIT | libc::FUTEX_WAIT_BITSET => wait(call, operation),
        libc::FUTEX_WAKE
        | libc::FUTEX_WAKE_BITSET
        | libc::FUTEX_WAKE_OP
        | libc::FUTEX_REQUEUE
        | libc::FUTEX_CMP_REQUEUE => native::result(native::execute(nr::futex, call.args)),
        other => {
            trace::lack(call.slot, format_args!("futex operation {other}"));
            Err(Errno::ENOSYS)
        }
    }
}

fn wait(call: &Invocation<'_>, operation: i32) -> Result<i64, Errno> {
    let [word, _, value, time, _, bits] = call.args;
    let is_absolute = operation & COMMAND == libc::FUTEX_WAIT_BITSET;
    if is_absolute && bits as u32 == 0 {
        return Err(Errno::EINVAL);
    }
    let timeout = timespec(time)?;
    if !word.is_multiple_of(4) {
        return Err(Errno::EINVAL);
    }
    if read_value::<u32>(GuestAddr(word))? != value as u32 {
        return Err(Errno::EAGAIN);
    }
    match timeout {
        None => sleep(call.slot, None).inspect_err(|_| {
            // Without a time-out it is made again after a handler with SA_RESTART, see signal(7).
            call.slot.restart.set(Some(call.number));
        })?,
        Some(ns) if is_absolute && operation & CLOCK_REALTIME != 0 => {
            until(call.slot, libc::CLOCK_REALTIME, ns)?
        }
        Some(ns) if is_absolute => until(call.slot, libc::CLOCK_MONOTONIC, ns)?,
        Some(ns) => sleep(call.slot, Some(ns))?,
    };
    Err(Errno::ETIMEDOUT)
}
