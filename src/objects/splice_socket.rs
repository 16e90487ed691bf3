//! Moving data between a pipe and a socket: splice(2).
//!
//! Descriptors, a length and flags in, a count out. Always true: bytes pass through a buffer here, and are taken from
//! where they were only when they have got where they go: they are looked at, given, and then taken. Waiting is done
//! before that, so that nobody else's turn lies between. Other moves are in [`super::between`].

use shim_abi::Errno;
use shim_abi::calls::{PSEUDO_PEEK_PIPE, PSEUDO_POLL, nr};

use super::between::{NONBLOCK, give};
use super::socket::number_option;
use super::status::{self, is_pipe, is_socket};
use super::{is_virtual, transfer};
use crate::forward::Forwarded;
use crate::native;
use crate::thread::Slot;

const BUFFER_WORDS: usize = 4096;
const DONT_WAIT: u64 = libc::MSG_DONTWAIT as u64;

/// Move up to `bytes` bytes; one of the two is a socket. `has_offsets`: whether the call names one for each.
pub fn splice(
    slot: &Slot,
    [from, to]: [u32; 2],
    has_offsets: [bool; 2],
    bytes: u64,
    flags: u64,
) -> Result<i64, Errno> {
    let pipes = [from, to].map(|fd| is_virtual(slot, fd) && is_pipe(slot, fd).unwrap_or(false));
    let modes = [(from, libc::O_WRONLY), (to, libc::O_RDONLY)];
    for (fd, forbidden) in modes.into_iter().filter(|&(fd, _)| is_virtual(slot, fd)) {
        if status::access_mode(slot, fd)? == forbidden {
            return Err(Errno::EBADF);
        }
    }
    match pipes {
        [true, _] if has_offsets[0] => Err(Errno::ESPIPE),
        [_, true] if has_offsets[1] => Err(Errno::ESPIPE),
        _ if has_offsets != [false; 2] => Err(Errno::EINVAL),
        [true, false] if is_socket(slot, to)? => from_pipe(slot, from, to, bytes, flags),
        [false, true] if is_socket(slot, from)? => to_pipe(slot, from, to, bytes, flags),
        _ => Err(Errno::EINVAL),
    }
}

fn is_nonblocking(slot: &Slot, fd: u32) -> Result<bool, Errno> {
    Ok(status::flags(slot, fd)? & libc::O_NONBLOCK != 0)
}

/// Wait for one of `events`.
fn wait(slot: &Slot, fd: u32, events: i16) -> Result<(), Errno> {
    let mut entry = [u64::from(fd) | u64::from(events as u16) << 32];
    let args = [entry.as_mut_ptr() as u64, 1, u64::MAX, 0, 0, 0];
    match native::result(Forwarded::new(slot, PSEUDO_POLL, args).exchange(&mut entry)) {
        Err(Errno::EINTR) => Err(Errno::ERESTARTSYS),
        waited => waited.map(drop),
    }
}

fn receive(
    slot: &Slot,
    from: u32,
    buffer: &mut [u64],
    bytes: u64,
    flags: u64,
) -> Result<u64, Errno> {
    let args = [from.into(), buffer.as_mut_ptr() as u64, bytes, flags, 0, 0];
    native::result(Forwarded::new(slot, nr::recvfrom, args).send_into(buffer)).map(|n| n as u64)
}

#[inline(never)]
fn to_pipe(slot: &Slot, from: u32, to: u32, bytes: u64, flags: u64) -> Result<i64, Errno> {
    let mut buffer = [0; BUFFER_WORDS];
    let at = buffer.as_ptr() as u64;
    let is_unix = number_option(slot, from, libc::SO_DOMAIN)? == libc::AF_UNIX;
    let is_stream = number_option(slot, from, libc::SO_TYPE)? == libc::SOCK_STREAM;
    let may_wait = flags & NONBLOCK == 0;
    // TCP looks at its own flag only.
    let may_wait_for_input = !is_nonblocking(slot, from)? && (may_wait || !is_unix);
    let mut total = 0;
    while total < bytes {
        let is_first = total == 0;
        if !transfer::is_ready(slot, to, libc::POLLOUT)? {
            match is_first && may_wait && !is_nonblocking(slot, to)? {
                true => wait(slot, to, libc::POLLOUT)?,
                false if is_first => return Err(Errno::EAGAIN),
                false => break,
            }
        }
        let want = (bytes - total).min(size_of_val(&buffer) as u64);
        let dont_wait = if is_first && may_wait_for_input { 0 } else { DONT_WAIT };
        let peeked = receive(slot, from, &mut buffer, want, libc::MSG_PEEK as u64 | dont_wait);
        let moved = peeked.and_then(|got| match got {
            0 => Ok((0, 0)),
            _ => give(slot, to, at, got as usize, false).map(|taken| (got, taken as u64)),
        });
        let (got, taken) = match moved {
            Ok(moved) => moved,
            Err(_) if !is_first => break,
            Err(errno) => return Err(errno),
        };
        if taken > 0 {
            receive(slot, from, &mut buffer, taken, DONT_WAIT)?;
        }
        total += taken;
        if taken < got || got == 0 || !is_stream {
            break;
        }
    }
    Ok(total as i64)
}

/// Send what lies in a pipe as far as the socket takes it at once; how much. Nothing: the socket has no room.
fn send_once(
    slot: &Slot,
    [from, to]: [u32; 2],
    buffer: &mut [u64],
    want: u64,
    flags: u64,
) -> Result<u64, Errno> {
    let at = buffer.as_mut_ptr() as u64;
    let args = [from.into(), at, want, 0, 0, 0];
    let got = native::result(Forwarded::new(slot, PSEUDO_PEEK_PIPE, args).send_into(buffer))?;
    if got == 0 {
        return Ok(0);
    }
    let args = [to.into(), at, got as u64, flags | DONT_WAIT, 0, 0];
    let sent = native::result(Forwarded::new(slot, nr::sendto, args).far().send())?;
    let args = [from.into(), at, sent as u64, 0, 0, 0];
    native::result(Forwarded::new(slot, nr::read, args).send_into(buffer)).map(|n| n as u64)
}

#[inline(never)]
fn from_pipe(slot: &Slot, from: u32, to: u32, bytes: u64, flags: u64) -> Result<i64, Errno> {
    let mut buffer = [0; BUFFER_WORDS];
    let may_wait = flags & NONBLOCK == 0 && !is_nonblocking(slot, from)?;
    let may_wait_for_room = !is_nonblocking(slot, to)?;
    let has_more = flags & libc::SPLICE_F_MORE as u64 != 0;
    let more = if has_more { libc::MSG_MORE as u64 } else { 0 };
    let mut total = 0;
    while total < bytes {
        if !transfer::is_ready(slot, from, libc::POLLIN)? {
            match total == 0 && may_wait {
                true => wait(slot, from, libc::POLLIN)?,
                false if total == 0 => return Err(Errno::EAGAIN),
                false => break,
            }
        }
        let want = (bytes - total).min(size_of_val(&buffer) as u64);
        match send_once(slot, [from, to], &mut buffer, want, more) {
            Ok(0) => break,
            Ok(sent) => total += sent,
            Err(Errno::EAGAIN) if may_wait_for_room => match wait(slot, to, libc::POLLOUT) {
                Err(errno) if total == 0 => return Err(errno),
                Err(_) => break,
                Ok(()) => {}
            },
            Err(_) if total > 0 => break,
            Err(errno) => return Err(errno),
        }
    }
    Ok(total as i64)
}
