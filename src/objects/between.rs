//! Moving data between descriptors of which one at least is an object: splice, tee, vmsplice, sendfile,
//! copy_file_range.
//!
//! Two descriptors, offsets and a length in, a count out. Always true: between two objects the simulator moves
//! the data; between a pipe and a native file they pass through a buffer here, and what the pipe does not take
//! is not lost, because the file's position moves only by what it took. As on Linux the first piece waits,
//! what can be moved at once follows, and an error after that is not told.
//! See splice(2), tee(2), vmsplice(2), sendfile(2), copy_file_range(2).

use shim_abi::Errno;
use shim_abi::calls::nr;

use super::status::{self, is_pipe, is_socket};
use super::{is_virtual, splice_socket, transfer};
use crate::dispatch::Invocation;
use crate::forward::Forwarded;
use crate::guest_memory::{GuestAddr, read_value, write_value};
use crate::native::descriptors::check_usable;
use crate::thread::Slot;
use crate::{forward, native, sys, trace};

const PAGE_BYTES: usize = 4096;
const BUFFER_WORDS: usize = 8 * PAGE_BYTES / 8;

/// Pages that data passes through.
#[repr(align(4096))]
struct Buffer([u64; BUFFER_WORDS]);

pub(super) const NONBLOCK: u64 = libc::SPLICE_F_NONBLOCK as u64;
const KNOWN_FLAGS: u64 = 0xf;

/// One end of a transfer that the real kernel has.
struct File {
    fd: u32,
    /// Where in guest memory the offset stands, if it is not the descriptor's own.
    offset_at: u64,
    /// The offset; none if the file has no position.
    offset: Option<u64>,
}

impl File {
    fn open(slot: &Slot, fd: u32, offset_at: u64) -> Result<File, Errno> {
        check_usable(slot, fd)?;
        let offset = if offset_at != 0 {
            Some(read_value::<u64>(GuestAddr(offset_at))?)
        } else {
            sys::call(nr::lseek, [fd.into(), 0, libc::SEEK_CUR as u64, 0, 0, 0]).ok()
        };
        match offset {
            Some(negative) if negative as i64 <= -1 => Err(Errno::EINVAL),
            offset => Ok(File { fd, offset_at, offset }),
        }
    }

    /// EINVAL for a count that is negative, or leads to an offset that is.
    fn check_length(&self, bytes: u64) -> Result<(), Errno> {
        let end = self.offset.unwrap_or(0).wrapping_add(bytes);
        if (bytes as i64) < 0 || (end as i64) < 0 { Err(Errno::EINVAL) } else { Ok(()) }
    }

    /// The file's offset moved by what was transferred.
    fn advance(&mut self, bytes: usize) -> Result<(), Errno> {
        let Some(offset) = &mut self.offset else { return Ok(()) };
        *offset += bytes as u64;
        if self.offset_at != 0 {
            return write_value(GuestAddr(self.offset_at), offset);
        }
        let args = [self.fd.into(), *offset, libc::SEEK_SET as u64, 0, 0, 0];
        sys::call(nr::lseek, args).map(drop)
    }

    fn transfer(
        &self,
        slot: &Slot,
        [at, next]: [u32; 2],
        buffer: u64,
        bytes: usize,
    ) -> Result<usize, Errno> {
        let (number, offset) = match self.offset {
            Some(offset) => (at, offset),
            None => (next, 0),
        };
        let args = [self.fd.into(), buffer, bytes as u64, offset, 0, 0];
        match native::result(native::execute_interruptible(slot, number, args)) {
            Err(Errno::EINTR) => Err(Errno::ERESTARTSYS),
            result => result.map(|n| n as usize),
        }
    }
}

/// A transfer one of whose descriptors, `from` and `to`, is virtual at least.
pub fn between(call: &Invocation<'_>, from: u32, to: u32) -> Result<i64, Errno> {
    let slot = call.slot;
    let [_, second, third, fourth, fifth, flags] = call.args;
    let are_both = is_virtual(slot, from) && is_virtual(slot, to);
    match call.number {
        nr::vmsplice => transfer::vector(call, nr::vmsplice, fourth),
        nr::splice if fifth == 0 => Ok(0),
        nr::splice if flags & 0xffff_ffff & !KNOWN_FLAGS != 0 => Err(Errno::EINVAL),
        nr::splice if is_socket(slot, from)? || is_socket(slot, to)? => {
            let has_offsets = [second, fourth].map(|at| at != 0);
            splice_socket::splice(slot, [from, to], has_offsets, fifth, flags)
        }
        nr::splice | nr::tee if are_both => {
            native::result(forward::syscall(slot, call.number, call.args))
        }
        nr::splice => {
            let (offset_in, offset_out) = (second, fourth);
            if is_virtual(slot, to) {
                refuse_offset(offset_out)?;
                let file = File::open(slot, from, offset_in)?;
                file.check_length(fifth)?;
                to_pipe(slot, file, to, fifth, flags)
            } else {
                refuse_offset(offset_in)?;
                let file = File::open(slot, to, offset_out)?;
                from_pipe(slot, from, file, fifth, flags)
            }
        }
        nr::sendfile => {
            if third != 0 {
                read_value::<u64>(GuestAddr(third))?;
            }
            check_mode(slot, from, libc::O_WRONLY)?;
            let file = match is_virtual(slot, from) {
                true if third != 0 => return Err(Errno::ESPIPE),
                true => File { fd: from, offset_at: 0, offset: None },
                false => File::open(slot, from, third)?,
            };
            file.check_length(fourth)?;
            check_mode(slot, to, libc::O_RDONLY)?;
            // Only what has a position can be sent from.
            if file.offset.is_none() {
                return Err(Errno::EINVAL);
            }
            if is_socket(slot, to)? {
                return to_socket(slot, file, to, fourth);
            }
            to_pipe(slot, file, to, fourth, 0)
        }
        nr::tee => {
            check_usable(slot, from)?;
            check_usable(slot, to)?;
            trace::lack(slot, format_args!("tee between a pipe of the simulation and another"));
            Err(Errno::EINVAL)
        }
        _ => {
            check_usable(slot, from)?;
            check_usable(slot, to)?;
            Err(Errno::EINVAL)
        }
    }
}

/// EBADF unless `fd` is open in another mode than this one.
fn check_mode(slot: &Slot, fd: u32, forbidden: i32) -> Result<(), Errno> {
    check_usable(slot, fd)?;
    let mode = match is_virtual(slot, fd) {
        true => status::access_mode(slot, fd)?,
        false => {
            let args = [fd.into(), libc::F_GETFL as u64, 0, 0, 0, 0];
            sys::call(nr::fcntl, args)? as i32 & libc::O_ACCMODE
        }
    };
    if mode == forbidden { Err(Errno::EBADF) } else { Ok(()) }
}

fn refuse_offset(at: u64) -> Result<(), Errno> {
    if at == 0 { Ok(()) } else { Err(Errno::ESPIPE) }
}

#[inline(never)]
fn to_pipe(slot: &Slot, mut file: File, to: u32, bytes: u64, flags: u64) -> Result<i64, Errno> {
    let status = status::flags(slot, to)?;
    if status & libc::O_ACCMODE == libc::O_RDONLY {
        return Err(Errno::EBADF);
    }
    let mut buffer = Buffer([0; BUFFER_WORDS]);
    let mut total = 0;
    let may_wait = flags & NONBLOCK == 0 && status & libc::O_NONBLOCK == 0;
    while total < bytes {
        // The pipe gets the pages of the file as they are.
        let skipped = file.offset.unwrap_or(0) as usize % PAGE_BYTES;
        let at = buffer.0.as_mut_ptr() as u64 + skipped as u64;
        let want = (bytes - total).min((size_of::<Buffer>() - skipped) as u64) as usize;
        let moved =
            file.transfer(slot, [nr::pread64, nr::read], at, want).and_then(|got| match got {
                0 => Ok((0, 0)),
                _ => give(slot, to, at, got, may_wait && total == 0).map(|taken| (got, taken)),
            });
        let (got, taken) = match moved {
            Ok(moved) => moved,
            Err(_) if total > 0 => break,
            Err(Errno::EBADF) if !is_pipe(slot, to)? => return Err(Errno::EINVAL),
            Err(Errno::EISDIR) => return Err(Errno::EINVAL),
            Err(errno) => return Err(errno),
        };
        file.advance(taken)?;
        total += taken as u64;
        if taken < want || taken < got {
            break;
        }
    }
    Ok(total as i64)
}

/// Send a file: as long as it takes, if the socket waits.
#[inline(never)]
fn to_socket(slot: &Slot, mut file: File, to: u32, bytes: u64) -> Result<i64, Errno> {
    let mut buffer = Buffer([0; BUFFER_WORDS]);
    let at = buffer.0.as_mut_ptr() as u64;
    let mut total = 0;
    while total < bytes {
        let want = (bytes - total).min(size_of::<Buffer>() as u64) as usize;
        let moved =
            file.transfer(slot, [nr::pread64, nr::read], at, want).and_then(|got| match got {
                0 => Ok((0, 0)),
                _ => {
                    let args = [to.into(), at, got as u64, 0, 0, 0];
                    let sent = native::result(Forwarded::new(slot, nr::sendto, args).far().send());
                    sent.map(|sent| (got, sent as usize))
                }
            });
        let (got, sent) = match moved {
            Ok(moved) => moved,
            Err(_) if total > 0 => break,
            Err(errno) => return Err(errno),
        };
        file.advance(sent)?;
        total += sent as u64;
        if sent < got || got == 0 {
            break;
        }
    }
    Ok(total as i64)
}

/// Put bytes of ours into a pipe: as vmsplice(2) does, as many as there is room for.
pub(super) fn give(
    slot: &Slot,
    to: u32,
    from: u64,
    bytes: usize,
    may_wait: bool,
) -> Result<usize, Errno> {
    let piece = [from, bytes as u64];
    let flags = if may_wait { 0 } else { NONBLOCK };
    let args = [to.into(), piece.as_ptr() as u64, 1, flags, 0, 0];
    let mut call = Forwarded::new(slot, nr::vmsplice, args).far();
    call.carry_own(&piece);
    native::result(call.send()).map(|taken| taken as usize)
}

#[inline(never)]
fn from_pipe(slot: &Slot, from: u32, mut file: File, bytes: u64, flags: u64) -> Result<i64, Errno> {
    let status = sys::call(nr::fcntl, [file.fd.into(), libc::F_GETFL as u64, 0, 0, 0, 0])?;
    if status as i32 & libc::O_ACCMODE == libc::O_RDONLY {
        return Err(Errno::EBADF);
    }
    if status as i32 & libc::O_APPEND != 0 || !is_pipe(slot, from)? {
        return Err(Errno::EINVAL);
    }
    file.check_length(bytes)?;
    let mut buffer = [0u64; BUFFER_WORDS];
    let mut total = 0;
    while total < bytes {
        let may_wait = total == 0 && flags & NONBLOCK == 0;
        if !may_wait && !transfer::is_ready(slot, from, libc::POLLIN)? {
            break;
        }
        let want = (bytes - total).min(size_of_val(&buffer) as u64);
        let args = [from.into(), buffer.as_mut_ptr() as u64, want, 0, 0, 0];
        let moved = native::result(Forwarded::new(slot, nr::read, args).send_into(&mut buffer))
            .and_then(|got| match got {
                0 => Ok(0),
                _ => write_out(slot, &mut file, &buffer, got as usize),
            });
        match moved {
            Ok(0) => return Ok(total as i64),
            Ok(moved) => total += moved as u64,
            Err(_) if total > 0 => break,
            Err(errno) => return Err(errno),
        }
    }
    if total == 0 { Err(Errno::EAGAIN) } else { Ok(total as i64) }
}

/// Write to a file what was taken out of a pipe; how much of it. What a full disk does not take is lost, as is
/// what is behind it in a page that Linux moves.
fn write_out(slot: &Slot, file: &mut File, from: &[u64], bytes: usize) -> Result<usize, Errno> {
    let mut done = 0;
    while done < bytes {
        let rest = from.as_ptr() as u64 + done as u64;
        match file.transfer(slot, [nr::pwrite64, nr::write], rest, bytes - done) {
            Ok(0) => break,
            Ok(written) => {
                file.advance(written)?;
                done += written;
            }
            Err(_) if done > 0 => break,
            Err(errno) => return Err(errno),
        }
    }
    Ok(done)
}
