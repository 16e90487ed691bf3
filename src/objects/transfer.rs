//! Reading from and writing to objects.
//!
//! Descriptors and addresses in, counts out. Always true: what is written travels with the request as far as
//! it fits, so that the simulator need not reach into the guest for a small write; an object has no offset.
//! What readiness, blocking and atomic writes mean is the kernel's. See read(2), readv(2), pipe(7).

use shim_abi::Errno;
use shim_abi::calls::{PSEUDO_POLL, nr};

use super::{socket, status};
use crate::dispatch::Invocation;
use crate::forward::{Forwarded, MAX_CARRIED_BYTES};
use crate::guest_memory::{GuestAddr, read_value, write_value};
use crate::thread::Slot;
use crate::{forward, native};

/// The bytes of one `struct iovec`.
const PIECE_BYTES: u64 = 16;
const RWF_NOWAIT: u64 = 8;
/// RWF_HIPRI, RWF_DSYNC, RWF_SYNC and RWF_NOWAIT mean something for an object, or nothing that it could miss.
const RWF_KNOWN: u64 = 1 | 2 | 4 | RWF_NOWAIT | RWF_APPEND;
/// Whatever is written to an object goes behind what is there.
const RWF_APPEND: u64 = 16;

/// read(fd, buffer, bytes)
pub fn read(call: &mut Invocation<'_>) -> Result<i64, Errno> {
    let [fd, buffer, bytes, ..] = call.args;
    let args = [fd, buffer, bytes, is_doubtful(buffer, bytes).into(), 0, 0];
    native::result(forward::syscall(call.slot, nr::read, args))
}

/// Whether memory that an answer is to fill may not be there: then the simulator has to look before it takes out of
/// an object what would be lost.
fn is_doubtful(at: u64, bytes: u64) -> bool {
    /// Nothing is mapped in the first page, and finding that out costs a signal.
    const FIRST_ADDRESS: u64 = 4096;
    // What does not travel with an answer is stored at once anyway.
    let last = at.wrapping_add(bytes.min(MAX_CARRIED_BYTES as u64).saturating_sub(1));
    let is_bad = |at: u64| {
        let byte = read_value::<u8>(GuestAddr(at));
        at < FIRST_ADDRESS || byte.and_then(|byte| write_value(GuestAddr(at), &byte)).is_err()
    };
    bytes > 0 && (is_bad(at) || is_bad(last))
}

/// write(fd, buffer, bytes)
pub fn write(call: &mut Invocation<'_>) -> Result<i64, Errno> {
    let [_, buffer, bytes, ..] = call.args;
    let mut forwarded = Forwarded::new(call.slot, nr::write, call.args);
    forwarded.carry(buffer, bytes);
    socket::named_sent(call.slot, native::result(forwarded.send()))
}

/// readv(fd, vector, count), preadv2(fd, vector, count, -1, flags)
pub fn readv(call: &mut Invocation<'_>) -> Result<i64, Errno> {
    vector(call, nr::readv, 0)
}

/// writev(fd, vector, count), pwritev2(fd, vector, count, -1, flags)
pub fn writev(call: &mut Invocation<'_>) -> Result<i64, Errno> {
    vector(call, nr::writev, 0)
}

/// readv, writev or vmsplice(fd, vector, count, flags)
pub fn vector(call: &Invocation<'_>, number: u32, flags: u64) -> Result<i64, Errno> {
    let [fd, at, count, ..] = call.args;
    let count = count & 0xffff_ffff;
    let is_carried = count.saturating_mul(PIECE_BYTES) <= MAX_CARRIED_BYTES as u64;
    let pieces = || {
        let all = (0..if is_carried { count } else { 0 })
            .map_while(|i| read_value::<[u64; 2]>(GuestAddr(at).offset(i * PIECE_BYTES)).ok());
        all.map(|[address, bytes]| (address, bytes))
    };
    let flags = match number {
        nr::readv => pieces().any(|(address, bytes)| is_doubtful(address, bytes)).into(),
        _ => flags,
    };
    let mut forwarded = Forwarded::new(call.slot, number, [fd, at, count, flags, 0, 0]);
    forwarded.carry(at, count.saturating_mul(PIECE_BYTES));
    if number != nr::readv {
        pieces().for_each(|(address, bytes)| forwarded.carry(address, bytes));
    }
    socket::named_sent(call.slot, native::result(forwarded.send()))
}

/// preadv2(fd, vector, count, offset, offset, flags), pwritev2 likewise: offset -1 means where it is.
pub fn vector_at(call: &mut Invocation<'_>) -> Result<i64, Errno> {
    let [fd, _, _, offset, _, flags] = call.args;
    if offset != u64::MAX {
        return at_offset(call);
    }
    if flags & !RWF_KNOWN != 0 {
        return Err(Errno::EOPNOTSUPP);
    }
    let is_read = call.number == nr::preadv2;
    let events = if is_read { libc::POLLIN } else { libc::POLLOUT };
    if flags & RWF_NOWAIT != 0 && !is_ready(call.slot, fd as u32, events)? {
        return Err(Errno::EAGAIN);
    }
    vector(call, if is_read { nr::readv } else { nr::writev }, 0)
}

/// pread64, pwrite64, preadv, pwritev: an object has no position.
pub fn at_offset(call: &mut Invocation<'_>) -> Result<i64, Errno> {
    let stat = status::of(call.slot, call.args[0] as u32)?;
    let is_invalid = (call.args[3] as i64) < 0 || status::is_of_process(&stat);
    Err(if is_invalid { Errno::EINVAL } else { Errno::ESPIPE })
}

/// Whether one of `events` (or an error) is there now.
pub fn is_ready(slot: &Slot, fd: u32, events: i16) -> Result<bool, Errno> {
    let mut entry = [u64::from(fd) | u64::from(events as u16) << 32];
    let args = [entry.as_mut_ptr() as u64, 1, 0, 0, 0, 0];
    let asked = Forwarded::new(slot, PSEUDO_POLL, args);
    native::result(asked.exchange(&mut entry)).map(|ready| ready > 0)
}
