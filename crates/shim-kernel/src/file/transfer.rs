//! `read`, `write`, `readv`, `writev`: bytes between guest memory and a file, whatever the file is.
//!
//! Addresses and lengths in, counts out. Always true: memory is described once, when the call is made; a call
//! that waits goes on from there, and what it has moved before a signal or an error is its result. The checks
//! stand in Linux's order: mode, operation, memory. Which bytes an object takes or gives, and when it must
//! wait, is the object's own.

use shim_abi::{Errno, SimTime};
use smallvec::{SmallVec, smallvec};

use super::table::{FileId, Object};
use crate::context::{Answer, Context, done};
use crate::guest::{Guest, GuestAddr};
use crate::memory::u64_at;
use crate::signal::Target;
use crate::task::Wait;
use crate::waiters::Source;

/// No call moves more.
const MAX_BYTES: u64 = 0x7fff_f000;
/// Where the addresses of a process end.
const MEMORY_END: u64 = 0x7fff_ffff_f000;
/// No more pieces in a vector.
const MAX_SEGMENTS: u64 = 1024;
/// How much is copied at a time.
pub(super) const CHUNK_BYTES: usize = 1 << 16;

/// Bytes on their way. A few, as most messages have, are kept without memory of their own.
pub(crate) type Bytes = SmallVec<[u8; 64]>;

/// Which way bytes go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Direction {
    /// From the file to memory.
    Read,
    /// From memory to the file.
    Write,
}

/// What an object says to an attempt to move bytes: how many the call has moved in the end, or nothing if it
/// must wait.
pub(crate) type Progress = Result<Option<u64>, Errno>;

/// Guest memory that a call fills or empties, and how far it is.
#[derive(Debug)]
pub(crate) struct Transfer {
    /// Addresses and lengths of what is left; none is empty.
    segments: SmallVec<[(u64, u64); 1]>,
    /// The first segment that is left.
    first: usize,
    /// Bytes that are left.
    left: u64,
    /// Bytes that were moved.
    pub(crate) moved: u64,
    /// Whether the call has waited.
    pub(crate) has_waited: bool,
    /// Bytes that were read from memory in one go with those before them.
    ahead: Bytes,
    /// How many of these have been fetched.
    used: usize,
    /// Whether the memory may be bad, so that what is stored has to get there before it counts.
    is_doubtful: bool,
}

impl Transfer {
    /// One piece of memory.
    pub(crate) fn of_buffer(at: GuestAddr, bytes: u64) -> Result<Transfer, Errno> {
        check_range(at.0, bytes)?;
        Ok(Transfer::new(smallvec![(at.0, bytes)]))
    }

    /// The buffer of a message: of more than can be moved at once only that counts.
    pub(crate) fn of_message(at: GuestAddr, bytes: u64) -> Result<Transfer, Errno> {
        Transfer::of_buffer(at, bytes.min(MAX_BYTES))
    }

    /// The pieces of an array of `struct iovec`.
    pub(crate) fn of_vector(
        guest: &mut dyn Guest,
        at: GuestAddr,
        count: u64,
    ) -> Result<Transfer, Errno> {
        if count > MAX_SEGMENTS {
            return Err(Errno::EINVAL);
        }
        let mut bytes = alloc::vec![0; 16 * count as usize];
        if count > 0 {
            guest.read(at, &mut bytes)?;
        }
        let segment = |bytes: &[u8]| (u64_at(bytes, 0), u64_at(bytes, 8));
        let segments: SmallVec<[(u64, u64); 1]> = bytes.chunks_exact(16).map(segment).collect();
        let mut total = 0;
        for &(start, bytes) in &segments {
            if (bytes as i64) < 0 {
                return Err(Errno::EINVAL);
            }
            let bytes = bytes.min(MAX_BYTES - total);
            check_range(start, bytes)?;
            total += bytes;
        }
        Ok(Transfer::new(segments))
    }

    fn new(mut segments: SmallVec<[(u64, u64); 1]>) -> Transfer {
        let mut left = 0;
        for (_, bytes) in &mut segments {
            *bytes = (*bytes).min(MAX_BYTES - left);
            left += *bytes;
        }
        segments.retain(|&mut (_, bytes)| bytes > 0);
        Transfer {
            segments,
            first: 0,
            left,
            moved: 0,
            has_waited: false,
            ahead: Bytes::new(),
            used: 0,
            is_doubtful: false,
        }
    }

    /// Bytes that are left.
    pub(crate) fn left(&self) -> usize {
        self.left as usize
    }

    /// Call `copy` with each piece of memory of the next `bytes` bytes and its place among them.
    fn pieces(
        &self,
        bytes: usize,
        mut copy: impl FnMut(GuestAddr, core::ops::Range<usize>) -> Result<(), Errno>,
    ) -> Result<(), Errno> {
        let mut at = 0;
        for &(start, len) in self.segments.get(self.first..).unwrap_or_default() {
            if at == bytes {
                break;
            }
            let len = (len as usize).min(bytes - at);
            copy(GuestAddr(start), at..at + len)?;
            at += len;
        }
        Ok(())
    }

    fn advance(&mut self, bytes: usize) {
        self.left -= bytes as u64;
        self.moved += bytes as u64;
        let mut bytes = bytes as u64;
        while let Some((start, len)) = self.segments.get_mut(self.first) {
            let step = bytes.min(*len);
            (*start, *len) = (*start + step, *len - step);
            bytes -= step;
            if *len > 0 {
                break;
            }
            self.first += 1;
        }
    }

    /// The next `bytes` bytes of memory, all of them or EFAULT. `soon` bytes will be asked for before
    /// the call waits.
    pub(crate) fn fetch(
        &mut self,
        guest: &mut dyn Guest,
        bytes: usize,
        soon: usize,
    ) -> Result<Bytes, Errno> {
        if self.ahead.len() - self.used < bytes {
            let chunk = soon.min(CHUNK_BYTES).max(bytes);
            // Where the chunk cannot be read, the part of it that is asked for may be.
            self.ahead = match self.peek(guest, chunk) {
                Err(_) if chunk > bytes => self.peek(guest, bytes)?,
                read => read?,
            };
            self.used = 0;
        }
        self.advance(bytes);
        if self.used == 0 && self.ahead.len() == bytes {
            return Ok(core::mem::take(&mut self.ahead));
        }
        let fetched = self.ahead.get(self.used..self.used + bytes).unwrap_or_default();
        self.used += bytes;
        Ok(Bytes::from_slice(fetched))
    }

    fn peek(&self, guest: &mut dyn Guest, bytes: usize) -> Result<Bytes, Errno> {
        let mut buffer: Bytes = smallvec![0; bytes];
        self.pieces(bytes, |at, range| {
            guest.read(at, buffer.get_mut(range).ok_or(Errno::EFAULT)?)
        })?;
        Ok(buffer)
    }

    /// Store bytes behind those that were stored, all of them or EFAULT.
    pub(crate) fn store(&mut self, guest: &mut dyn Guest, bytes: &[u8]) -> Result<(), Errno> {
        self.pieces(bytes.len(), |at, range| {
            guest.write(at, bytes.get(range).ok_or(Errno::EFAULT)?)
        })?;
        if self.is_doubtful {
            guest.flush()?;
        }
        self.advance(bytes.len());
        Ok(())
    }

    /// Leave the next bytes of memory as they are.
    pub(crate) fn skip(&mut self, bytes: usize) {
        self.advance(bytes);
    }

    /// The next eight bytes of memory as a number, which stays the next until [`Transfer::skip_number`]: a
    /// call that waits has read it once.
    pub(super) fn number(&mut self, guest: &mut dyn Guest) -> Result<u64, Errno> {
        if self.ahead.is_empty() {
            self.ahead = self.peek(guest, 8)?;
        }
        Ok(u64_at(&self.ahead, 0))
    }
    /// The number has been taken.
    pub(super) fn skip_number(&mut self) {
        self.ahead.clear();
        self.advance(8);
    }
    /// Where the piece of memory is that is next, and how many bytes it has.
    pub(super) fn next_segment(&self) -> (u64, u64) {
        self.segments.get(self.first).copied().unwrap_or_default()
    }

    /// What the call comes to if it cannot go on for this reason: what was moved counts more.
    pub(crate) fn end_with(&self, errno: Errno) -> Progress {
        if self.moved > 0 { Ok(Some(self.moved)) } else { Err(errno) }
    }
}

/// EFAULT if a range of addresses is not a process's.
fn check_range(start: u64, bytes: u64) -> Result<(), Errno> {
    let is_inside = start.checked_add(bytes).is_some_and(|end| end <= MEMORY_END);
    if is_inside { Ok(()) } else { Err(Errno::EFAULT) }
}

/// The shim says whether the buffer may be bad: only then is it worth while to look.
pub(crate) fn read(
    context: &mut Context<'_>,
    fd: u32,
    to: GuestAddr,
    bytes: u64,
    is_doubtful: u32,
) -> Answer {
    let file = context.file_for(fd, Direction::Read)?;
    let transfer = Transfer::of_buffer(to, bytes)?;
    let is_doubtful = is_doubtful != 0;
    context.transfer(file, Direction::Read, Transfer { is_doubtful, ..transfer })
}

pub(crate) fn write(context: &mut Context<'_>, fd: u32, from: GuestAddr, bytes: u64) -> Answer {
    let file = context.file_for(fd, Direction::Write)?;
    context.transfer(file, Direction::Write, Transfer::of_buffer(from, bytes)?)
}

/// As [`read`].
pub(crate) fn readv(
    context: &mut Context<'_>,
    fd: u32,
    vector: GuestAddr,
    count: u64,
    is_doubtful: u32,
) -> Answer {
    context.vector(fd, Direction::Read, (vector, count), is_doubtful != 0)
}

pub(crate) fn writev(context: &mut Context<'_>, fd: u32, vector: GuestAddr, count: u64) -> Answer {
    context.vector(fd, Direction::Write, (vector, count), false)
}

impl Context<'_> {
    /// The file behind a descriptor, if bytes go this way through it.
    fn file_for(&self, fd: u32, direction: Direction) -> Result<FileId, Errno> {
        let id = self.file(fd)?;
        let file = self.kernel.files.get(id)?;
        let is_allowed = match direction {
            Direction::Read => file.is_readable(),
            Direction::Write => file.is_writable(),
        };
        match file.object {
            _ if !is_allowed => Err(Errno::EBADF),
            Object::Epoll(_) | Object::Task(_) => Err(Errno::EINVAL),
            Object::Timer(_) | Object::Signals(_) if direction == Direction::Write => {
                Err(Errno::EINVAL)
            }
            Object::Queue { .. } if direction == Direction::Write => Err(Errno::EINVAL),
            _ => Ok(id),
        }
    }

    fn vector(
        &mut self,
        fd: u32,
        direction: Direction,
        (at, count): (GuestAddr, u64),
        is_doubtful: bool,
    ) -> Answer {
        let file = self.file_for(fd, direction)?;
        let transfer = Transfer::of_vector(self.guest, at, count)?;
        if transfer.left() == 0 {
            return done(0);
        }
        self.transfer(file, direction, Transfer { is_doubtful, ..transfer })
    }

    /// Move bytes until the object has no more, or until it must wait and waits.
    fn transfer(&mut self, id: FileId, direction: Direction, mut transfer: Transfer) -> Answer {
        let file = self.kernel.files.get(id)?;
        if let Object::Socket(socket) = file.object {
            return self.transfer_socket(id, socket, direction, transfer);
        }
        let is_nonblocking = file.is_nonblocking();
        let progress = match (&file.object, direction) {
            (&Object::Pipe(end), Direction::Read) => self.read_pipe(end, &mut transfer),
            (&Object::Pipe(end), Direction::Write) => self.write_pipe(id, end, &mut transfer),
            (Object::Event(_), Direction::Read) => self.read_event(id, &mut transfer),
            (Object::Watches(_), Direction::Read) => self.read_watches(id, &mut transfer),
            (Object::Timer(_), Direction::Read) => self.read_timer(id, &mut transfer),
            (&Object::Signals(set), Direction::Read) => self.read_signals(set, &mut transfer),
            (Object::Queue { .. }, Direction::Read) => self.read_queue(id, &mut transfer),
            (Object::Event(_), Direction::Write) => self.write_event(id, &mut transfer),
            _ => Err(Errno::EINVAL),
        };
        let progress = match progress? {
            None if is_nonblocking => transfer.end_with(Errno::EAGAIN)?,
            None if self.has_signal(self.guest.signal_mask()) => {
                transfer.end_with(Errno::ERESTARTSYS)?
            }
            progress => progress,
        };
        if let Some(moved) = progress {
            return done(moved as i64);
        }
        transfer.has_waited = true;
        self.kernel.files.keep_transfer(self.tid, transfer);
        // The second tells of signals, which matter to few files.
        let sources = [Source::File(id), Source::Signals(self.pid)];
        let count = if self.kernel.files.has_signals(id) { 2 } else { 1 };
        self.park_on(&sources[..count], Wait::Transfer { file: id, direction }, SimTime::MAX)
    }

    /// The text that a message queue shows.
    fn read_queue(&mut self, id: FileId, transfer: &mut Transfer) -> Progress {
        let text = self.kernel.read_queue_text(id, transfer.left());
        transfer.store(self.guest, text.as_bytes())?;
        Ok(Some(transfer.moved))
    }

    /// Somebody writes what nobody can read: SIGPIPE.
    pub(crate) fn raise_sigpipe(&mut self) {
        let info = self.info_from_caller(libc::SIGPIPE, libc::SI_USER);
        // An ordinary signal always finds room.
        let _ = self.kernel.queue_signal(self.now, Target::Thread(self.tid), info);
    }

    /// A call that waited goes on.
    pub(crate) fn finish_transfer(&mut self, file: FileId, direction: Direction) -> Answer {
        let transfer = self.kernel.files.take_transfer(self.tid).ok_or(Errno::EBADF)?;
        self.transfer(file, direction, transfer)
    }
}
