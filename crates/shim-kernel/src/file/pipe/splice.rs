//! From pipe to pipe, and between a pipe and memory as it lies there: `splice`, `tee`, `vmsplice`; `sendfile`.
//!
//! Descriptors and lengths in, counts out. Always true: a call waits, if it may, until there is something to move and
//! room for it, and then moves what is there without waiting again; pages are moved whole where they are wanted
//! whole. Between a pipe and a native file the guest's shim moves the bytes itself. Pages that `vmsplice` gives are
//! copied, so what the guest writes to them afterwards is not seen.

use alloc::vec::Vec;

use shim_abi::{Errno, SimTime};

use super::{PipeEnd, PipeId};
use crate::context::{Answer, Context, done};
use crate::file::readiness::poll;
use crate::file::table::{FileId, Object};
use crate::file::transfer::Transfer;
use crate::guest::GuestAddr;
use crate::task::Wait;
use crate::waiters::Source;

/// SPLICE_F_MOVE, SPLICE_F_NONBLOCK, SPLICE_F_MORE, SPLICE_F_GIFT.
const KNOWN_FLAGS: u32 = 0xf;

/// A call in progress.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum SpliceCall {
    /// From pipe to pipe; what is moved stays where it was, too, if it is copied.
    Between { from: FileId, to: FileId, bytes: u64, is_copied: bool, is_nonblocking: bool },
    /// Between a pipe and memory, which is kept in [`crate::file::Files`].
    Memory { file: FileId, is_nonblocking: bool },
}

pub(crate) fn splice(
    context: &mut Context<'_>,
    from: u32,
    offset_from: GuestAddr,
    to: u32,
    offset_to: GuestAddr,
    bytes: u64,
    flags: u32,
) -> Answer {
    if bytes == 0 {
        return done(0);
    }
    if flags & !KNOWN_FLAGS != 0 {
        return Err(Errno::EINVAL);
    }
    let (from, to) = (context.file(from)?, context.file(to)?);
    let has_offset = |file, offset: GuestAddr| context.pipe_of(file).is_ok() && !offset.is_null();
    if has_offset(from, offset_from) || has_offset(to, offset_to) {
        return Err(Errno::ESPIPE);
    }
    context.begin_splice(from, to, bytes, false, flags)
}

pub(crate) fn tee(context: &mut Context<'_>, from: u32, to: u32, bytes: u64, flags: u32) -> Answer {
    if flags & !KNOWN_FLAGS != 0 {
        return Err(Errno::EINVAL);
    }
    if bytes == 0 {
        return done(0);
    }
    let (from, to) = (context.file(from)?, context.file(to)?);
    context.begin_splice(from, to, bytes, true, flags)
}

pub(crate) fn vmsplice(
    context: &mut Context<'_>,
    fd: u32,
    vector: GuestAddr,
    count: u64,
    flags: u32,
) -> Answer {
    if flags & !KNOWN_FLAGS != 0 {
        return Err(Errno::EINVAL);
    }
    let file = context.file(fd)?;
    let transfer = Transfer::of_vector(context.guest, vector, count)?;
    if transfer.left() == 0 {
        return done(0);
    }
    let is_nonblocking = flags & libc::SPLICE_F_NONBLOCK != 0;
    context.kernel.files.keep_transfer(context.tid, transfer);
    context.finish_splice(SpliceCall::Memory { file, is_nonblocking })
}

/// The shim's own call: what lies in a pipe, which stays there.
pub(crate) fn peek_pipe(context: &mut Context<'_>, fd: u32, to: GuestAddr, bytes: u64) -> Answer {
    let file = context.file(fd)?;
    let end = context.pipe_of(file)?;
    if !context.kernel.files.get(file)?.is_readable() {
        return Err(Errno::EBADF);
    }
    let pipe = context.kernel.files.pipes.get(end.pipe)?;
    if pipe.ring.is_empty() && !pipe.writers.is_empty() {
        return Err(Errno::EAGAIN);
    }
    let mut seen = Vec::new();
    for index in 0.. {
        let left = usize::try_from(bytes).unwrap_or(usize::MAX) - seen.len();
        let page = if left > 0 { pipe.ring.copy_of(index, left) } else { None };
        let Some((page, _)) = page else { break };
        seen.extend_from_slice(page.unread());
    }
    context.guest.write(to, &seen)?;
    done(seen.len() as i64)
}

/// Only what has a position can be sent from: the shim answers for such files.
pub(crate) fn sendfile(context: &mut Context<'_>, to: u32, from: u32) -> Answer {
    let (from, to) = (context.file(from)?, context.file(to)?);
    let files = &context.kernel.files;
    if !files.get(from)?.is_readable() || !files.get(to)?.is_writable() {
        return Err(Errno::EBADF);
    }
    Err(Errno::EINVAL)
}

impl Context<'_> {
    fn pipe_of(&self, file: FileId) -> Result<PipeEnd, Errno> {
        match self.kernel.files.get(file)?.object {
            Object::Pipe(end) => Ok(end),
            _ => Err(Errno::EINVAL),
        }
    }

    fn begin_splice(
        &mut self,
        from: FileId,
        to: FileId,
        bytes: u64,
        is_copied: bool,
        flags: u32,
    ) -> Answer {
        let files = &self.kernel.files;
        let (input, output) = (files.get(from)?, files.get(to)?);
        if !input.is_readable() || !output.is_writable() {
            return Err(Errno::EBADF);
        }
        let is_nonblocking = flags & libc::SPLICE_F_NONBLOCK != 0
            || input.is_nonblocking()
            || output.is_nonblocking();
        if self.pipe_of(from)?.pipe == self.pipe_of(to)?.pipe {
            return Err(Errno::EINVAL);
        }
        self.finish_splice(SpliceCall::Between { from, to, bytes, is_copied, is_nonblocking })
    }

    /// A call begins or goes on.
    pub(crate) fn finish_splice(&mut self, call: SpliceCall) -> Answer {
        let (progress, sources, is_nonblocking) = match call {
            SpliceCall::Between { from, to, bytes, is_copied, is_nonblocking } => {
                let (input, output) = (self.pipe_of(from)?.pipe, self.pipe_of(to)?.pipe);
                let moved = self.move_between(input, output, bytes, is_copied)?;
                (moved, [Source::File(from), Source::File(to)], is_nonblocking)
            }
            SpliceCall::Memory { file, is_nonblocking } => {
                let moved = self.move_memory(file)?;
                (moved, [Source::File(file); 2], is_nonblocking)
            }
        };
        match progress {
            Some(moved) => done(moved as i64),
            None if is_nonblocking => Err(Errno::EAGAIN),
            None if self.has_signal(self.guest.signal_mask()) => Err(Errno::ERESTARTSYS),
            None => self.park_on(&sources, Wait::Splice(call), SimTime::MAX),
        }
    }

    /// Move between memory and a pipe what can be moved now; nothing if the call must wait.
    fn move_memory(&mut self, file: FileId) -> Result<Option<u64>, Errno> {
        let end = self.pipe_of(file).map_err(|_| Errno::EBADF)?;
        let is_writer = self.kernel.files.get(file)?.is_writable();
        let mut transfer = self.kernel.files.take_transfer(self.tid).ok_or(Errno::EBADF)?;
        let moved = match is_writer {
            true => self.map_into_pipe(end, &mut transfer),
            false => self.read_pipe(end, &mut transfer),
        }?;
        if moved.is_none() {
            self.kernel.files.keep_transfer(self.tid, transfer);
        }
        Ok(moved)
    }

    /// Move from pipe to pipe what can be moved now; nothing if the call must wait.
    fn move_between(
        &mut self,
        input: PipeId,
        output: PipeId,
        bytes: u64,
        is_copied: bool,
    ) -> Result<Option<u64>, Errno> {
        let pipe = self.kernel.files.pipes.get(input)?;
        let is_over = pipe.ring.is_empty() && pipe.writers.is_empty();
        if pipe.ring.is_empty() && !is_over {
            return Ok(None);
        }
        // Room is looked for even if nothing will come.
        if is_over && !self.kernel.files.pipes.get(output)?.ring.is_full() {
            return Ok(Some(0));
        }
        self.check_readers(output)?;
        // Linux waits for room even if nothing will come.
        if self.kernel.files.pipes.get(output)?.ring.is_full() {
            return Ok(None);
        }
        if self.kernel.files.pipes.get(input)?.ring.is_empty() {
            return Ok(Some(0));
        }
        let mut moved = 0;
        let mut has_freed = false;
        for index in 0.. {
            let left = usize::try_from(bytes - moved).unwrap_or(usize::MAX);
            let pipes = &mut self.kernel.files.pipes;
            if left == 0 || pipes.get(output)?.ring.is_full() {
                break;
            }
            let ring = &mut pipes.get_mut(input)?.ring;
            let page = match is_copied {
                true => ring.copy_of(index, left),
                false => ring.take_page(left),
            };
            let Some((page, is_whole)) = page else { break };
            moved += page.unread().len() as u64;
            has_freed |= is_whole && !is_copied;
            pipes.get_mut(output)?.ring.push(page);
        }
        self.kernel.tell_readers(self.now, output, poll::ANY);
        if has_freed {
            self.kernel.tell_writers(self.now, input, poll::ANY);
        }
        Ok(Some(moved))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{DATA, TestGuest, machine};
    use crate::{Kernel, Outcome, VirtualTid};
    use shim_abi::calls::{PSEUDO_REOPEN, nr};

    const NOW: SimTime = SimTime::ZERO;
    const NONBLOCK: u64 = libc::SPLICE_F_NONBLOCK as u64;
    const AGAIN: i64 = Errno::EAGAIN.as_return();
    const INVALID: i64 = Errno::EINVAL.as_return();
    const BAD: i64 = Errno::EBADF.as_return();

    /// A machine with pipes at 3 and 4, and at 5 and 6, and a counter at 7.
    struct Bench {
        kernel: Kernel,
        guest: TestGuest,
        tid: VirtualTid,
    }

    impl Bench {
        fn new() -> Bench {
            let (kernel, guest, tid) = machine();
            let mut bench = Bench { kernel, guest, tid };
            assert_eq!(bench.call(nr::pipe2, [DATA, 0, 3, 4, 0, 0]), Outcome::Done(0));
            assert_eq!(bench.call(nr::pipe2, [DATA, 0, 5, 6, 0, 0]), Outcome::Done(0));
            assert_eq!(bench.call(nr::eventfd2, [0, 0, 7, 0, 0, 0]), Outcome::Done(7));
            bench
        }
        fn call(&mut self, number: u32, args: [u64; 6]) -> Outcome {
            self.kernel.call(NOW, self.tid, number, args, &mut self.guest)
        }
        fn result(&mut self, number: u32, args: [u64; 6]) -> i64 {
            match self.call(number, args) {
                Outcome::Done(result) => result,
                other => panic!("{other:?}"),
            }
        }
        fn write(&mut self, fd: u64, text: &[u8]) -> i64 {
            crate::Guest::write(&mut self.guest, GuestAddr(DATA), text).unwrap();
            self.result(nr::write, [fd, DATA, text.len() as u64, 0, 0, 0])
        }
        /// What a read of up to nine bytes gives.
        fn read(&mut self, fd: u64) -> std::string::String {
            let got = self.result(nr::read, [fd, DATA, 9, 0, 0, 0]);
            let mut bytes = [0; 9];
            crate::Guest::read(&mut self.guest, GuestAddr(DATA), &mut bytes).unwrap();
            std::str::from_utf8(&bytes[..got as usize]).unwrap().into()
        }
    }

    #[test]
    fn errors_come_in_linux_order() {
        let mut bench = Bench::new();
        let spipe = Errno::ESPIPE.as_return();
        for (args, expected) in [
            ([99, 0, 98, 0, 0, 0x10], 0),
            ([99, 0, 98, 0, 1, 0x10], INVALID),
            ([3, 0, 98, 0, 1, 0], BAD),
            ([3, 8, 6, 0, 1, 0], spipe),
            ([3, 0, 6, 8, 1, 0], spipe),
            ([4, 0, 5, 0, 1, 0], BAD),
            ([3, 0, 4, 0, 1, 0], INVALID),
            ([3, 0, 6, 0, 1, NONBLOCK], AGAIN),
            ([3, 0, 7, 0, 1, NONBLOCK], INVALID),
            ([7, 0, 6, 0, 1, NONBLOCK], INVALID),
        ] {
            assert_eq!(bench.result(nr::splice, args), expected, "{args:?}");
        }
        for (args, expected) in [
            ([99, 98, 0, 0x10, 0, 0], INVALID),
            ([99, 98, 0, 0, 0, 0], 0),
            ([99, 98, 1, 0, 0, 0], BAD),
            ([3, 4, 1, 0, 0, 0], INVALID),
            ([3, 6, 1, NONBLOCK, 0, 0], AGAIN),
            ([4, 5, 1, 0, 0, 0], BAD),
        ] {
            assert_eq!(bench.result(nr::tee, args), expected, "{args:?}");
        }
        bench.guest.put_words(DATA, &[DATA, 1]);
        for (args, expected) in [
            ([99, 0, 0, 0x10, 0, 0], INVALID),
            ([99, 0, 0, 0, 0, 0], BAD),
            ([7, 0, 0, 0, 0, 0], 0),
            ([7, DATA, 1, 0, 0, 0], BAD),
            ([4, 8, 1, 0, 0, 0], Errno::EFAULT.as_return()),
            ([4, DATA, 1025, 0, 0, 0], INVALID),
            ([3, DATA, 1, NONBLOCK, 0, 0], AGAIN),
        ] {
            assert_eq!(bench.result(nr::vmsplice, args), expected, "{args:?}");
        }
        for (args, expected) in [([99, 98], BAD), ([4, 3], INVALID), ([3, 3], BAD), ([4, 4], BAD)] {
            let [to, from] = args;
            assert_eq!(bench.result(nr::sendfile, [to, from, 0, 1, 0, 0]), expected, "{args:?}");
        }
    }

    #[test]
    fn bytes_are_moved_or_copied() {
        let mut bench = Bench::new();
        assert_eq!(bench.write(4, b"abcdef"), 6);
        assert_eq!(bench.result(nr::tee, [3, 6, 2, 0, 0, 0]), 2);
        assert_eq!(bench.read(5), "ab");
        assert_eq!(bench.result(nr::splice, [3, 0, 6, 0, 4, 0]), 4);
        assert_eq!(bench.write(6, b"x"), 1);
        assert_eq!(bench.result(nr::splice, [3, 0, 6, 0, 99, 0]), 2);
        assert_eq!(bench.read(5), "abcdxef");
        assert_eq!(bench.call(nr::splice, [3, 0, 6, 0, 1, 0]), Outcome::Park);
    }

    #[test]
    fn a_part_of_a_page_takes_no_more_bytes_and_a_whole_one_does() {
        let mut bench = Bench::new();
        bench.write(4, b"abcdef");
        assert_eq!(bench.result(nr::fcntl, [6, 1031, 4096, 0, 0, 0]), 4096);
        assert_eq!(bench.result(nr::fcntl, [6, libc::F_SETFL as u64, 0o4000, 0, 0, 0]), 0);
        assert_eq!(bench.result(nr::splice, [3, 0, 6, 0, 3, 0]), 3);
        assert_eq!(bench.write(6, b"x"), AGAIN);
        assert_eq!(bench.result(nr::splice, [3, 0, 6, 0, 3, 0]), AGAIN, "full");
        assert_eq!(bench.read(5), "abc");
        assert_eq!(bench.result(nr::splice, [3, 0, 6, 0, 3, 0]), 3);
        assert_eq!(bench.write(6, b"x"), 1);
        assert_eq!(bench.read(5), "defx");
    }

    #[test]
    fn a_splice_waits_for_something_to_move_and_its_end() {
        let mut bench = Bench::new();
        let tid = bench.tid;
        let other = bench.kernel.fork(tid, 0, &mut bench.guest);
        assert_eq!(bench.call(nr::splice, [3, 0, 6, 0, 9, 0]), Outcome::Park);
        bench.tid = other;
        assert_eq!(bench.write(4, b"abc"), 3);
        assert_eq!(bench.kernel.next_runnable(), Some(tid));
        assert_eq!(bench.kernel.resume(NOW, tid, &mut bench.guest), Outcome::Done(3));
        // Nobody writes any more.
        for tid in [tid, other] {
            bench.tid = tid;
            assert_eq!(bench.result(nr::close, [4, 0, 0, 0, 0, 0]), 0);
        }
        assert_eq!(bench.result(nr::splice, [3, 0, 6, 0, 9, 0]), 0);
        assert_eq!(bench.result(nr::tee, [3, 6, 9, 0, 0, 0]), 0);
    }

    #[test]
    fn memory_is_given_page_by_page() {
        let mut bench = Bench::new();
        let at = DATA + 0x1ffe;
        bench.guest.put_words(DATA, &[at, 4, DATA + 0x100, 1]);
        crate::Guest::write(&mut bench.guest, GuestAddr(at), b"abcd").unwrap();
        assert_eq!(bench.result(nr::fcntl, [4, 1031, 8192, 0, 0, 0]), 8192);
        assert_eq!(bench.result(nr::vmsplice, [4, DATA, 2, 0, 0, 0]), 4, "two pages");
        assert_eq!(bench.result(nr::vmsplice, [4, DATA, 2, NONBLOCK, 0, 0]), AGAIN);
        assert_eq!(bench.call(nr::vmsplice, [4, DATA, 2, 0, 0, 0]), Outcome::Park);
        assert_eq!(bench.kernel.next_runnable(), None);
        let mut bench = Bench::new();
        bench.write(4, b"abcd");
        bench.guest.put_words(DATA, &[DATA + 0x100, 3]);
        assert_eq!(bench.result(nr::vmsplice, [3, DATA, 1, 0, 0, 0]), 3);
        assert_eq!(bench.guest.words::<1>(DATA + 0x100), [0x63_62_61]);
        assert_eq!(bench.read(3), "d");
    }

    #[test]
    fn an_end_that_is_opened_again_counts() {
        let mut bench = Bench::new();
        assert_eq!(bench.result(PSEUDO_REOPEN, [3, 1, 8, 0, 0, 0]), 0);
        assert_eq!(bench.result(PSEUDO_REOPEN, [4, 2 | 0o4000, 9, 0, 0, 0]), 0);
        assert_eq!(bench.result(nr::fcntl, [9, libc::F_GETFL as u64, 0, 0, 0, 0]), 0o104_002);
        assert_eq!(bench.result(nr::close, [4, 0, 0, 0, 0, 0]), 0);
        assert_eq!(bench.write(8, b"ab"), 2);
        assert_eq!(bench.write(9, b"c"), 1);
        assert_eq!(bench.read(9), "abc");
        assert_eq!(bench.result(nr::read, [9, DATA, 1, 0, 0, 0]), AGAIN);
        for fd in [8, 9] {
            assert_eq!(bench.result(nr::close, [fd, 0, 0, 0, 0, 0]), 0);
        }
        assert_eq!(bench.read(3), "", "nobody writes any more");
        assert_eq!(bench.result(PSEUDO_REOPEN, [3, 3, 8, 0, 0, 0]), INVALID);
        assert_eq!(bench.result(PSEUDO_REOPEN, [3, 0o40000, 8, 0, 0, 0]), INVALID);
        assert_eq!(bench.result(PSEUDO_REOPEN, [7, 0, 8, 0, 0, 0]), Errno::ENXIO.as_return());
    }
}
