//! Pipes: `pipe2`, and what it takes to open and close an end.
//!
//! Flags in, two ends out. Rooms: `ring` (the bytes), `transfer` (`read`, `write`, `vmsplice`), `splice` (from pipe
//! to pipe), `size` (F_SETPIPE_SZ), `fifo` (pipes that have a path). Always true: a write of up to PIPE_BUF bytes is all or nothing; a reader waits as
//! long as there is a writer, a writer as long as there is a reader. An end may be open several times, because it
//! has a name in `/proc/self/fd`. Not offered: notification pipes, whose queue is the real kernel's.

mod fifo;
mod ring;
mod size;
mod splice;
#[cfg(test)]
mod tests;
mod transfer;

use alloc::collections::BTreeMap;

use shim_abi::{Errno, SimTime};
use smallvec::SmallVec;

pub(crate) use fifo::open_fifo;
use ring::Ring;
pub(crate) use splice::{SpliceCall, peek_pipe, sendfile, splice, tee, vmsplice};

use super::owner::IoReason;
use super::readiness::poll;
use super::table::{FileId, Object, check_number};
use crate::context::{Answer, Context, done};
use crate::kernel::Kernel;

/// A pipe's number. Not used again.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct PipeId(u32);

/// One end of a pipe, or both in one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct PipeEnd {
    pipe: PipeId,
    reads: bool,
    writes: bool,
    /// How often the pipe had been opened for writing when this end was opened without a writer there: as long
    /// as that is so, there was none that could have hung up.
    unwritten: Option<u64>,
}

impl PipeEnd {
    /// The number of its pipe.
    pub(super) fn number(self) -> u64 {
        self.pipe.0.into()
    }
}

/// Files that are ends of one pipe.
type Ends = SmallVec<[FileId; 2]>;

/// A pipe.
#[derive(Debug)]
struct Pipe {
    ring: Ring,
    /// The files that read from it, and those that write to it.
    readers: Ends,
    writers: Ends,
    /// How often it was opened for reading, and for writing.
    openings: [u64; 2],
    /// Device and inode, if it is a FIFO.
    name: Option<(u64, u64)>,
    /// What fchmod and fchown set.
    mode: Option<u32>,
    owner: Option<[u32; 2]>,
    /// When it was read, written and changed by the calendar, as far as futimens set that.
    times_ns: [Option<u64>; 3],
}

/// All pipes of a host.
#[derive(Debug, Default)]
pub(crate) struct Pipes {
    pipes: BTreeMap<PipeId, Pipe>,
    /// Those that are FIFOs, by device and inode.
    named: BTreeMap<(u64, u64), PipeId>,
    last: u32,
    /// The capacities of all, in pages.
    pages: usize,
}

impl Pipes {
    fn get(&self, id: PipeId) -> Result<&Pipe, Errno> {
        self.pipes.get(&id).ok_or(Errno::EBADF)
    }

    fn get_mut(&mut self, id: PipeId) -> Result<&mut Pipe, Errno> {
        self.pipes.get_mut(&id).ok_or(Errno::EBADF)
    }

    /// A pipe without ends; the FIFO of this device and inode, if `name` is one.
    fn add(&mut self, name: Option<(u64, u64)>) -> PipeId {
        let capacity = size::of_new(self.pages);
        self.pages += capacity;
        self.last += 1;
        let id = PipeId(self.last);
        let (readers, writers) = (Ends::new(), Ends::new());
        let ring = Ring::new(capacity);
        let openings = [0; 2];
        let (mode, owner, times_ns) = (None, None, [None; 3]);
        let pipe = Pipe { ring, readers, writers, openings, name, mode, owner, times_ns };
        self.pipes.insert(id, pipe);
        if let Some(name) = name {
            self.named.insert(name, id);
        }
        id
    }

    /// Nobody has it open any more.
    fn remove(&mut self, id: PipeId) {
        if let Some(pipe) = self.pipes.remove(&id) {
            self.pages -= pipe.ring.capacity;
            if let Some(name) = pipe.name {
                self.named.remove(&name);
            }
        }
    }

    /// What can be done with an end.
    pub(super) fn readiness(&self, end: PipeEnd) -> u32 {
        let Some(pipe) = self.pipes.get(&end.pipe) else { return 0 };
        let bit = |is_set, bits| if is_set { bits } else { 0 };
        let has_hung_up = pipe.writers.is_empty() && end.unwritten != Some(pipe.openings[1]);
        bit(end.reads && !pipe.ring.is_empty(), poll::READ)
            | bit(end.reads && has_hung_up, poll::HUP)
            | bit(end.writes && !pipe.ring.is_full(), poll::WRITE)
            | bit(end.writes && pipe.readers.is_empty(), poll::ERR)
    }

    /// The mode and the owner that were set.
    pub(super) fn attributes(&self, end: PipeEnd) -> (Option<u32>, Option<[u32; 2]>) {
        self.pipes.get(&end.pipe).map_or((None, None), |pipe| (pipe.mode, pipe.owner))
    }

    pub(super) fn set_attributes(
        &mut self,
        end: PipeEnd,
        mode: Option<u32>,
        owner: Option<[u32; 2]>,
    ) {
        if let Some(pipe) = self.pipes.get_mut(&end.pipe) {
            pipe.mode = mode.or(pipe.mode);
            pipe.owner = owner.or(pipe.owner);
        }
    }

    /// The times that were set.
    pub(super) fn times_ns(&self, end: PipeEnd) -> [Option<u64>; 3] {
        self.pipes.get(&end.pipe).map_or([None; 3], |pipe| pipe.times_ns)
    }

    pub(super) fn set_times_ns(&mut self, end: PipeEnd, times_ns: [Option<u64>; 3]) {
        if let Some(pipe) = self.pipes.get_mut(&end.pipe) {
            for (old, new) in pipe.times_ns.iter_mut().zip(times_ns) {
                *old = new.or(*old);
            }
        }
    }

    /// Bytes that can be read from a pipe, for FIONREAD.
    pub(super) fn unread(&self, end: PipeEnd) -> usize {
        self.pipes.get(&end.pipe).map_or(0, |pipe| pipe.ring.bytes())
    }
}

/// `pipe`: the shim forwards [`pipe2`] instead, but for its arguments the two are the same.
pub(crate) fn pipe(context: &mut Context<'_>, flags: u32, reader: u32, writer: u32) -> Answer {
    pipe2(context, flags, reader, writer)
}

/// The numbers of the two ends are the shim's, which also stores them for the guest.
pub(crate) fn pipe2(context: &mut Context<'_>, flags: u32, reader: u32, writer: u32) -> Answer {
    /// The same bit as O_EXCL.
    const O_NOTIFICATION_PIPE: u32 = libc::O_EXCL as u32;
    let [cloexec, nonblock, direct] =
        [libc::O_CLOEXEC, libc::O_NONBLOCK, libc::O_DIRECT].map(|flag| flag as u32);
    if flags & !(cloexec | nonblock | direct | O_NOTIFICATION_PIPE) != 0 {
        return Err(Errno::EINVAL);
    }
    if flags & O_NOTIFICATION_PIPE != 0 {
        return Err(Errno::ENOPKG);
    }
    check_number(reader)?;
    check_number(writer)?;
    let inode = context.kernel.files.new_inode();
    let pipe = context.kernel.files.pipes.add(None);
    let is_close_on_exec = flags & cloexec != 0;
    let status = libc::O_RDONLY as u32 | flags & nonblock;
    let end = context.add_end(pipe, status, inode);
    context.install(reader, end, is_close_on_exec);
    let status = libc::O_WRONLY as u32 | flags & (nonblock | direct);
    let end = context.add_end(pipe, status, inode);
    context.install(writer, end, is_close_on_exec);
    done(0)
}

/// The shim's own call: open what is behind a descriptor by its name in `/proc/self/fd`, under the number `new`.
pub(crate) fn reopen(context: &mut Context<'_>, fd: u32, flags: u32, new: u32) -> Answer {
    /// What open(2) forgets of its flags.
    const FORGOTTEN: i32 =
        libc::O_CREAT | libc::O_EXCL | libc::O_NOCTTY | libc::O_TRUNC | libc::O_CLOEXEC;
    const O_LARGEFILE: u32 = 0o100_000;
    let old = context.kernel.files.get(context.file(fd)?)?;
    let (Object::Pipe(PipeEnd { pipe, .. }), inode) = (&old.object, old.inode) else {
        return Err(Errno::ENXIO);
    };
    let pipe = *pipe;
    let is_no_mode = flags as i32 & libc::O_ACCMODE == libc::O_ACCMODE;
    if is_no_mode || flags & libc::O_DIRECT as u32 != 0 {
        return Err(Errno::EINVAL);
    }
    check_number(new)?;
    let end = context.add_end(pipe, flags & !(FORGOTTEN as u32) | O_LARGEFILE, inode);
    context.install(new, end, flags & libc::O_CLOEXEC as u32 != 0);
    done(0)
}

impl Context<'_> {
    /// Another file that is an end of a pipe, or both, as its access mode says.
    fn add_end(&mut self, pipe: PipeId, status: u32, inode: u64) -> FileId {
        let mode = status as i32 & libc::O_ACCMODE;
        let (reads, writes) = (mode != libc::O_WRONLY, mode != libc::O_RDONLY);
        let object = Object::Pipe(PipeEnd { pipe, reads, writes, unwritten: None });
        let id = self.kernel.open_file(self.now, object, status, Some(inode));
        if let Ok(pipe) = self.kernel.files.pipes.get_mut(pipe) {
            if reads {
                pipe.readers.push(id);
                pipe.openings[0] += 1;
            }
            if writes {
                pipe.writers.push(id);
                pipe.openings[1] += 1;
            }
        }
        id
    }
}

impl Kernel {
    /// Nobody refers to a file any more that was an end.
    pub(super) fn close_pipe_end(&mut self, now: SimTime, id: FileId, end: PipeEnd) {
        let Ok(pipe) = self.files.pipes.get_mut(end.pipe) else { return };
        pipe.readers.retain(|other| *other != id);
        pipe.writers.retain(|other| *other != id);
        match (pipe.readers.is_empty(), pipe.writers.is_empty()) {
            (true, true) => self.files.pipes.remove(end.pipe),
            (true, false) => self.tell_writers(now, end.pipe, poll::ANY),
            (false, true) => self.tell_readers(now, end.pipe, poll::ANY),
            (false, false) => {}
        }
    }

    /// Tell readers, and signal those that want it.
    fn tell_readers(&mut self, now: SimTime, id: PipeId, bits: u32) {
        self.notify_readers(now, id, bits);
        let readers = self.files.pipes.get(id).map(|pipe| pipe.readers.clone());
        readers
            .into_iter()
            .flatten()
            .for_each(|reader| self.send_io_signal(now, reader, IoReason::Input));
    }

    /// Tell writers, and signal those that want it.
    fn tell_writers(&mut self, now: SimTime, id: PipeId, bits: u32) {
        self.notify_writers(now, id, bits);
        self.signal_writers(now, id);
    }

    fn signal_writers(&mut self, now: SimTime, id: PipeId) {
        let writers = self.files.pipes.get(id).map(|pipe| pipe.writers.clone());
        writers
            .into_iter()
            .flatten()
            .for_each(|writer| self.send_io_signal(now, writer, IoReason::Room));
    }

    fn notify_readers(&mut self, now: SimTime, id: PipeId, bits: u32) {
        let readers = self.files.pipes.get(id).map(|pipe| pipe.readers.clone());
        readers.into_iter().flatten().for_each(|reader| self.notify_file(now, reader, bits));
    }

    fn notify_writers(&mut self, now: SimTime, id: PipeId, bits: u32) {
        let writers = self.files.pipes.get(id).map(|pipe| pipe.writers.clone());
        writers.into_iter().flatten().for_each(|writer| self.notify_file(now, writer, bits));
    }
}
