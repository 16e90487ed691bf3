//! Event counters: `eventfd2`.
//!
//! Numbers of eight bytes in and out. Always true: the counter is at most 2^64 - 2; a write that would exceed
//! that waits, and so does a read of zero. What a read takes, all or one, was said at the making.

use shim_abi::Errno;

use super::readiness::poll;
use super::table::{FileId, Object};
use super::transfer::{Progress, Transfer};
use crate::context::{Answer, Context, done};

/// A counter.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Event {
    count: u64,
    is_semaphore: bool,
}

impl Event {
    /// What can be done with it.
    pub(super) fn readiness(&self) -> u32 {
        let readable = if self.count > 0 { poll::IN } else { 0 };
        let writable = if self.count < u64::MAX - 1 { poll::OUT } else { 0 };
        readable | writable
    }
}

pub(crate) fn eventfd(context: &mut Context<'_>, count: u32, _: u32, fd: u32) -> Answer {
    eventfd2(context, count, 0, fd)
}

pub(crate) fn eventfd2(context: &mut Context<'_>, count: u32, flags: u32, fd: u32) -> Answer {
    let [cloexec, nonblock, semaphore] =
        [libc::EFD_CLOEXEC, libc::EFD_NONBLOCK, libc::EFD_SEMAPHORE].map(|flag| flag as u32);
    if flags & !(cloexec | nonblock | semaphore) != 0 {
        return Err(Errno::EINVAL);
    }
    let event = Event { count: count.into(), is_semaphore: flags & semaphore != 0 };
    let status = libc::O_RDWR as u32 | flags & nonblock;
    context.create(fd, Object::Event(event), status, flags)?;
    done(fd.into())
}

impl Context<'_> {
    fn event_mut(&mut self, id: FileId) -> Result<&mut Event, Errno> {
        match &mut self.kernel.files.get_mut(id)?.object {
            Object::Event(event) => Ok(event),
            _ => Err(Errno::EBADF),
        }
    }

    pub(super) fn read_event(&mut self, id: FileId, transfer: &mut Transfer) -> Progress {
        if transfer.left() < 8 {
            return Err(Errno::EINVAL);
        }
        let event = self.event_mut(id)?;
        if event.count == 0 {
            return Ok(None);
        }
        let taken = if event.is_semaphore { 1 } else { event.count };
        event.count -= taken;
        self.kernel.notify_file(self.now, id, poll::OUT);
        transfer.store(self.guest, &taken.to_le_bytes())?;
        Ok(Some(8))
    }

    /// As Linux does it, each piece of memory is a write of its own.
    pub(super) fn write_event(&mut self, id: FileId, transfer: &mut Transfer) -> Progress {
        loop {
            let (_, bytes) = transfer.next_segment();
            if bytes < 8 {
                return transfer.end_with(Errno::EINVAL);
            }
            let added = match transfer.number(self.guest) {
                Ok(u64::MAX) => return transfer.end_with(Errno::EINVAL),
                Err(errno) => return transfer.end_with(errno),
                Ok(added) => added,
            };
            let event = self.event_mut(id)?;
            if u64::MAX - event.count <= added {
                return Ok(None);
            }
            event.count += added;
            transfer.skip_number();
            self.kernel.notify_file(self.now, id, poll::IN);
            if bytes > 8 || transfer.left() == 0 {
                return Ok(Some(transfer.moved));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{DATA, TestGuest, machine, signal};
    use crate::{Kernel, Outcome, VirtualPid, VirtualTid};
    use shim_abi::SimTime;
    use shim_abi::calls::{PSEUDO_POLL, nr};

    const NOW: SimTime = SimTime::ZERO;
    const FD: u64 = 7;
    const AGAIN: Outcome = Outcome::Done(Errno::EAGAIN.as_return());
    const INVALID: Outcome = Outcome::Done(Errno::EINVAL.as_return());

    struct Bench {
        kernel: Kernel,
        guest: TestGuest,
        tid: VirtualTid,
    }

    impl Bench {
        fn new(count: u64, flags: i32) -> Bench {
            let (kernel, guest, tid) = machine();
            let mut bench = Bench { kernel, guest, tid };
            assert_eq!(bench.call(nr::eventfd2, [count, flags as u64, FD]), Outcome::Done(7));
            bench
        }
        fn call(&mut self, number: u32, [a, b, c]: [u64; 3]) -> Outcome {
            self.kernel.call(NOW, self.tid, number, [a, b, c, 0, 0, 0], &mut self.guest)
        }
        fn write(&mut self, added: u64) -> Outcome {
            self.guest.put_words(DATA, &[added]);
            self.call(nr::write, [FD, DATA, 8])
        }
        /// What a read takes.
        fn read(&mut self) -> Result<u64, Outcome> {
            match self.call(nr::read, [FD, DATA, 100]) {
                Outcome::Done(8) => Ok(self.guest.words::<1>(DATA)[0]),
                other => Err(other),
            }
        }
        fn ready(&mut self) -> u64 {
            self.guest.put_words(DATA, &[FD | 0xffff << 32]);
            self.call(PSEUDO_POLL, [DATA, 1, 0]);
            self.guest.words::<1>(DATA)[0] >> 48
        }
    }

    #[test]
    fn a_read_takes_all_or_one() {
        let mut bench = Bench::new(3, libc::EFD_NONBLOCK);
        assert_eq!((bench.read(), bench.read()), (Ok(3), Err(AGAIN)));
        assert_eq!(bench.ready(), u64::from(poll::OUT));
        let mut bench = Bench::new(2, libc::EFD_NONBLOCK | libc::EFD_SEMAPHORE);
        assert_eq!((bench.read(), bench.read(), bench.read()), (Ok(1), Ok(1), Err(AGAIN)));
    }

    #[test]
    fn the_counter_does_not_overflow() {
        let mut bench = Bench::new(0, libc::EFD_NONBLOCK);
        assert_eq!(bench.write(u64::MAX), INVALID);
        assert_eq!(bench.write(u64::MAX - 1), Outcome::Done(8));
        assert_eq!(bench.write(0), Outcome::Done(8));
        assert_eq!(bench.write(1), AGAIN);
        assert_eq!(bench.ready(), u64::from(poll::IN));
        assert_eq!(bench.read(), Ok(u64::MAX - 1));
    }

    #[test]
    fn bad_arguments_are_told() {
        let mut bench = Bench::new(0, 0);
        assert_eq!(bench.call(nr::eventfd2, [0, 2, FD]), INVALID);
        assert_eq!(bench.call(nr::read, [FD, DATA, 7]), INVALID);
        assert_eq!(bench.call(nr::write, [FD, DATA, 7]), INVALID);
        assert_eq!(bench.call(nr::write, [FD, 8, 8]), Outcome::Done(Errno::EFAULT.as_return()));
    }

    #[test]
    fn who_waits_is_woken_by_the_other_side_or_a_signal() {
        let mut bench = Bench::new(0, 0);
        bench.guest.actions.insert(10, 0x1234);
        let (pid, other) = bench.kernel.spawn(NOW, "other");
        let table = bench.kernel.copy_descriptors(VirtualPid(1000));
        bench.kernel.processes.get_mut(&pid).unwrap().descriptors = table;
        let first = core::mem::replace(&mut bench.tid, other);

        assert_eq!(bench.read(), Err(Outcome::Park));
        bench.tid = first;
        assert_eq!(bench.write(5), Outcome::Done(8));
        assert_eq!(bench.kernel.next_runnable(), Some(other));
        assert_eq!(bench.kernel.resume(NOW, other, &mut bench.guest), Outcome::Done(8));
        assert_eq!(bench.guest.words::<1>(DATA), [5]);

        assert_eq!(bench.write(u64::MAX - 1), Outcome::Done(8));
        assert_eq!(bench.write(9), Outcome::Park);
        bench.guest.put_words(DATA, &[77]);
        bench.tid = other;
        assert_eq!(bench.read(), Ok(u64::MAX - 1));
        assert_eq!(bench.kernel.next_runnable(), Some(first));
        assert_eq!(bench.kernel.resume(NOW, first, &mut bench.guest), Outcome::Done(8));
        assert_eq!(bench.read(), Ok(9), "it was read once");

        assert_eq!(bench.read(), Err(Outcome::Park));
        bench.kernel.post_signal(NOW, pid, signal(10));
        assert_eq!(bench.kernel.next_runnable(), Some(other));
        let outcome = bench.kernel.resume(NOW, other, &mut bench.guest);
        assert_eq!(outcome, Outcome::Done(Errno::ERESTARTSYS.as_return()));
    }

    #[test]
    fn each_piece_of_a_vector_is_a_write() {
        let mut bench = Bench::new(0, 0);
        bench.guest.put_words(DATA, &[3, 4, 5, DATA, 8, DATA + 8, 16, DATA + 16, 8]);
        assert_eq!(bench.call(nr::writev, [FD, DATA + 24, 3]), Outcome::Done(16));
        assert_eq!(bench.read(), Ok(7));
    }
}
