//! FIFOs: pipes that have a path.
//!
//! Device and inode in, an open file of the FIFO's pipe out. Always true: the pipe is there as long as somebody has
//! it open; opening it for one side waits until the other was opened, unless that is not wanted. Which path is
//! which inode is the shim's business. See fifo(7).

use shim_abi::{Errno, SimTime};

use super::PipeId;
use crate::context::{Answer, Context, done};
use crate::file::readiness::poll;
use crate::file::table::{FileId, Object, check_number};
use crate::task::Wait;
use crate::waiters::Source;

/// What F_GETFL shows of the flags of open(2).
const STATUS: u32 =
    (libc::O_ACCMODE | libc::O_NONBLOCK | libc::O_DIRECT | libc::O_APPEND | libc::O_NOATIME) as u32;
/// What it shows of every file that was opened by name: O_LARGEFILE.
const OPENED: u32 = 0x8000;

/// The shim's own call: open the FIFO that is `inode` of `device`; its descriptor is `fd`.
pub(crate) fn open_fifo(
    context: &mut Context<'_>,
    device: u64,
    inode: u64,
    flags: u32,
    fd: u32,
) -> Answer {
    check_number(fd)?;
    let pipes = &mut context.kernel.files.pipes;
    let is_nonblocking = flags & libc::O_NONBLOCK as u32 != 0;
    let is_for_writing = flags & libc::O_ACCMODE as u32 == libc::O_WRONLY as u32;
    let old = pipes.named.get(&(device, inode)).copied();
    let has_reader = old.is_some_and(|pipe| pipes.get(pipe).is_ok_and(|p| !p.readers.is_empty()));
    if is_for_writing && is_nonblocking && !has_reader {
        return Err(Errno::ENXIO);
    }
    let pipe = old.unwrap_or_else(|| pipes.add(Some((device, inode))));
    let file = context.open_side(pipe, flags, inode, fd)?;
    let pipe = context.kernel.files.pipes.get(pipe)?;
    let [read, written] = pipe.openings;
    let (is_alone, seen) = match (flags & libc::O_ACCMODE as u32) as i32 {
        libc::O_RDONLY => (pipe.writers.is_empty(), written),
        libc::O_WRONLY => (pipe.readers.is_empty(), read),
        _ => (false, 0),
    };
    if !is_alone {
        return done(fd.into());
    }
    if is_nonblocking {
        if let Object::Pipe(end) = &mut context.kernel.files.get_mut(file)?.object {
            end.unwritten = Some(written);
        }
        return done(fd.into());
    }
    context.wait_for_partner(file, fd, seen)
}

impl Context<'_> {
    fn open_side(
        &mut self,
        pipe: PipeId,
        flags: u32,
        inode: u64,
        fd: u32,
    ) -> Result<FileId, Errno> {
        let file = self.add_end(pipe, flags & STATUS | OPENED, inode);
        self.install(fd, file, flags & libc::O_CLOEXEC as u32 != 0);
        // Those who wait for this side go on.
        self.kernel.notify_readers(self.now, pipe, poll::ANY);
        self.kernel.notify_writers(self.now, pipe, poll::ANY);
        Ok(file)
    }

    /// Wait until the other side was opened once more than it was when there had been so many openings.
    fn wait_for_partner(&mut self, file: FileId, fd: u32, seen: u64) -> Answer {
        if self.has_signal(self.guest.signal_mask()) {
            if let Some(taken) = self.process_mut().descriptors.remove(&fd) {
                self.kernel.release(self.now, taken.file);
            }
            return Err(Errno::ERESTARTSYS);
        }
        self.park_on(&[Source::File(file)], Wait::Partner { file, fd, seen }, SimTime::MAX)
    }

    /// The opening of a FIFO goes on.
    pub(crate) fn finish_opening(&mut self, file: FileId, fd: u32, seen: u64) -> Answer {
        let Object::Pipe(end) = self.kernel.files.get(file)?.object else {
            return Err(Errno::EBADF);
        };
        let [read, written] = self.kernel.files.pipes.get(end.pipe)?.openings;
        let now = if end.reads { written } else { read };
        if now != seen { done(fd.into()) } else { self.wait_for_partner(file, fd, seen) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{DATA, TestGuest, machine, signal};
    use crate::{Kernel, Outcome, VirtualPid, VirtualTid};
    use shim_abi::calls::{PSEUDO_OPEN_FIFO, PSEUDO_POLL, nr};

    const NOW: SimTime = SimTime::ZERO;
    const READ: i32 = libc::O_RDONLY;
    const WRITE: i32 = libc::O_WRONLY;
    const NONBLOCK: i32 = libc::O_NONBLOCK;

    fn open(
        (kernel, guest, _): &mut (Kernel, TestGuest, VirtualTid),
        tid: VirtualTid,
        flags: i32,
        fd: u64,
    ) -> Outcome {
        kernel.call(NOW, tid, PSEUDO_OPEN_FIFO, [1, 77, flags as u64, fd, 0, 0], guest)
    }

    fn ready(machine: &mut (Kernel, TestGuest, VirtualTid), fd: u64) -> u32 {
        let (kernel, guest, tid) = machine;
        guest.put_words(DATA, &[fd | 0xffff << 32]);
        kernel.do_call(*tid, PSEUDO_POLL, [DATA, 1, 0, 0, 0, 0], guest);
        (guest.words::<1>(DATA)[0] >> 48) as u32
    }

    #[test]
    fn each_side_waits_for_the_other() {
        for sides in [[READ, WRITE], [WRITE, READ]] {
            let mut machine = machine();
            let tid = machine.2;
            let (_, other) = machine.0.spawn(NOW, "other");
            assert_eq!(open(&mut machine, tid, sides[0], 3), Outcome::Park);
            assert_eq!(open(&mut machine, other, sides[1], 5), Outcome::Done(5));
            assert_eq!(machine.0.next_runnable(), Some(tid));
            let (kernel, guest, _) = &mut machine;
            assert_eq!(kernel.resume(NOW, tid, guest), Outcome::Done(3));
            kernel.close_all(NOW, VirtualPid(tid.0));
            kernel.close_all(NOW, VirtualPid(other.0));
            assert!(kernel.files.pipes.named.is_empty() && kernel.files.pipes.pipes.is_empty());
        }
    }

    #[test]
    fn a_signal_ends_the_wait_and_nothing_is_open() {
        let mut machine = machine();
        let tid = machine.2;
        machine.1.actions.insert(10, 0x1234);
        assert_eq!(open(&mut machine, tid, READ, 3), Outcome::Park);
        let (kernel, guest, _) = &mut machine;
        kernel.post_signal(NOW, VirtualPid(tid.0), signal(10));
        assert_eq!(kernel.next_runnable(), Some(tid));
        let restart = Outcome::Done(Errno::ERESTARTSYS.as_return());
        assert_eq!(kernel.resume(NOW, tid, guest), restart);
        assert!(kernel.files.pipes.pipes.is_empty());
        assert!(kernel.processes[&VirtualPid(tid.0)].descriptors.is_empty());
    }

    #[test]
    fn who_does_not_want_to_wait_need_not() {
        let mut machine = machine();
        let tid = machine.2;
        let nobody = Outcome::Done(Errno::ENXIO.as_return());
        assert_eq!(open(&mut machine, tid, WRITE | NONBLOCK, 3), nobody);
        assert!(machine.0.files.pipes.pipes.is_empty());
        assert_eq!(open(&mut machine, tid, READ | NONBLOCK, 3), Outcome::Done(3));
        assert_eq!(ready(&mut machine, 3), 0, "nobody has hung up yet");
        assert_eq!(open(&mut machine, tid, WRITE, 4), Outcome::Done(4));
        assert_eq!(open(&mut machine, tid, WRITE | NONBLOCK, 5), Outcome::Done(5));
        let (kernel, guest, _) = &mut machine;
        assert_eq!(kernel.do_call(tid, nr::write, [4, DATA, 3, 0, 0, 0], guest), 3);
        for fd in [4, 5] {
            assert_eq!(kernel.do_call(tid, nr::close, [fd, 0, 0, 0, 0, 0], guest), 0);
        }
        assert_eq!(ready(&mut machine, 3), poll::READ | poll::HUP);
        assert_eq!(open(&mut machine, tid, libc::O_RDWR, 6), Outcome::Done(6));
        assert_eq!(ready(&mut machine, 6), poll::READ | poll::WRITE);
    }
}
