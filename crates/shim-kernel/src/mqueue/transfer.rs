//! `mq_timedsend`, `mq_timedreceive`.
//!
//! A descriptor, memory and a deadline by the calendar in; a message or a parked call out. Always true: a message
//! is read from its sender's memory when it calls, and written to its receiver's when that goes on; if that fails it
//! is lost, as on Linux. A signal ends a wait before its deadline does.

use shim_abi::{Errno, SimTime};

use super::queue::{Message, PRIORITIES, Sent};
use super::{Pause, QueueId};
use crate::clock::duration_of;
use crate::context::{Answer, Context, done};
use crate::file::{FileId, ready};
use crate::guest::GuestAddr;
use crate::kernel::Kernel;
use crate::memory::read_words;
use crate::task::{Parked, Wait, Wake};
use crate::waiters::Source;

pub(crate) fn mq_timedsend(
    context: &mut Context<'_>,
    fd: u32,
    from: GuestAddr,
    len: u64,
    priority: u32,
    timeout: GuestAddr,
) -> Answer {
    let deadline = context.queue_deadline(timeout)?;
    if priority >= PRIORITIES {
        return Err(Errno::EINVAL);
    }
    let (file, id) = context.queue_at(fd)?;
    if !context.kernel.files.get(file)?.is_writable() {
        return Err(Errno::EBADF);
    }
    if len > context.kernel.message_queues.get(id).capacity.message_bytes {
        return Err(Errno::EMSGSIZE);
    }
    let mut bytes = alloc::vec![0; len as usize];
    context.guest.read(from, &mut bytes)?;
    match context.kernel.message_queues.get_mut(id).send(Message { priority, bytes }) {
        Sent::To(receiver, message) => {
            context.kernel.message_queues.pauses.insert(receiver, Pause::Received(message));
            context.kernel.wake_to_look(context.now, receiver);
            done(0)
        }
        Sent::Queued => {
            context.announce_message(id);
            done(0)
        }
        Sent::Full(_) if context.kernel.files.get(file)?.is_nonblocking() => Err(Errno::EAGAIN),
        Sent::Full(message) => {
            context.kernel.message_queues.get_mut(id).wait_to_send(context.tid, message);
            let nowhere = GuestAddr(0);
            context.wait_at_queue(file, id, [nowhere; 2], deadline)
        }
    }
}

pub(crate) fn mq_timedreceive(
    context: &mut Context<'_>,
    fd: u32,
    to: GuestAddr,
    room: u64,
    priority: GuestAddr,
    timeout: GuestAddr,
) -> Answer {
    let deadline = context.queue_deadline(timeout)?;
    let (file, id) = context.queue_at(fd)?;
    if !context.kernel.files.get(file)?.is_readable() {
        return Err(Errno::EBADF);
    }
    let queue = context.kernel.message_queues.get_mut(id);
    if room < queue.capacity.message_bytes {
        return Err(Errno::EMSGSIZE);
    }
    if let Some((message, sender)) = queue.receive() {
        match sender {
            Some(sender) => {
                context.kernel.message_queues.pauses.insert(sender, Pause::Sent);
                context.kernel.wake_to_look(context.now, sender);
                context.announce_message(id);
            }
            None => context.kernel.tell_pollers(context.now, id, ready::WRITE),
        }
        return context.store_queued(&message, to, priority);
    }
    if context.kernel.files.get(file)?.is_nonblocking() {
        return Err(Errno::EAGAIN);
    }
    context.kernel.message_queues.get_mut(id).wait_to_receive(context.tid);
    context.wait_at_queue(file, id, [to, priority], deadline)
}

impl Context<'_> {
    /// The file and the queue behind a descriptor: EBADF if it is none.
    pub(super) fn queue_at(&self, fd: u32) -> Result<(FileId, QueueId), Errno> {
        let file = self.file(fd)?;
        Ok((file, self.kernel.queue_of(file).ok_or(Errno::EBADF)?))
    }

    /// When a call ends whose deadline is at `from`.
    fn queue_deadline(&mut self, from: GuestAddr) -> Result<SimTime, Errno> {
        if from.is_null() {
            return Ok(SimTime::MAX);
        }
        let [secs, nanos] = read_words(self.guest, from)?;
        let time = duration_of(secs as i64, nanos).ok_or(Errno::EINVAL)?;
        Ok(self.kernel.time_of_realtime(self.now, time))
    }

    /// A queue has one message more.
    fn announce_message(&mut self, id: QueueId) {
        self.notify_owner(id);
        self.kernel.tell_pollers(self.now, id, ready::READ);
    }

    /// The caller stands in its queue: let it wait.
    fn wait_at_queue(
        &mut self,
        file: FileId,
        id: QueueId,
        [to, priority]: [GuestAddr; 2],
        deadline: SimTime,
    ) -> Answer {
        self.kernel.message_queues.pauses.insert(self.tid, Pause::Waiting(id));
        self.kernel.files.hold(self.tid, &[Source::File(file)]);
        self.park(Wait::Queue { to, priority }, deadline)
    }

    pub(crate) fn finish_queue(
        &mut self,
        parked: Parked,
        wake: Wake,
        to: GuestAddr,
        priority: GuestAddr,
    ) -> Answer {
        if let Some(Pause::Waiting(_)) = self.kernel.message_queues.pauses.get(&self.tid) {
            let errno = if self.has_signal(self.guest.signal_mask()) {
                Errno::ERESTARTSYS
            } else if wake == Wake::Timeout {
                Errno::ETIMEDOUT
            } else {
                return self.park_again(parked);
            };
            self.kernel.forget_queue_pause(self.tid);
            return Err(errno);
        }
        match self.kernel.message_queues.pauses.remove(&self.tid) {
            Some(Pause::Received(message)) => self.store_queued(&message, to, priority),
            _ => done(0),
        }
    }

    /// Store a message and its priority, if that is wanted.
    fn store_queued(&mut self, message: &Message, to: GuestAddr, priority: GuestAddr) -> Answer {
        if !priority.is_null() {
            self.guest.write(priority, &message.priority.to_le_bytes())?;
        }
        self.guest.write(to, &message.bytes)?;
        done(message.bytes.len() as i64)
    }
}

impl Kernel {
    /// What can be done with a queue has changed: for all who have it open.
    fn tell_pollers(&mut self, now: SimTime, id: QueueId, bits: u32) {
        for file in self.message_queues.get(id).files.clone() {
            self.notify_file(now, file, bits);
        }
    }

    /// What can be done with a queue, in bits of poll(2).
    pub(crate) fn queue_readiness(&self, id: QueueId) -> u32 {
        let queue = self.message_queues.get(id);
        let readable = if queue.len() > 0 { ready::READ } else { 0 };
        let writable = if queue.is_full() { 0 } else { ready::WRITE };
        readable | writable
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::Outcome;
    use crate::testing::DATA;
    use crate::testing::bench::{Bench, failed};
    use shim_abi::calls::{PSEUDO_POLL, nr};

    const OK: Outcome = Outcome::Done(0);
    const PARK: Outcome = Outcome::Park;
    const TEXT: u64 = DATA;
    const TO: u64 = DATA + 0x1000;
    const TIME: u64 = DATA + 0x400;

    impl Bench {
        fn send(&mut self, thread: usize, text: u64, priority: u64) -> Outcome {
            self.guest.put_words(TEXT, &[text]);
            self.call(thread, nr::mq_timedsend, &[3, TEXT, 2, priority, 0])
        }
        fn receive(&mut self, thread: usize) -> Outcome {
            self.guest.put_words(TO, &[0]);
            self.call(thread, nr::mq_timedreceive, &[3, TO, 8192, 0, 0])
        }
        fn ready(&mut self) -> u64 {
            self.guest.put_words(TEXT, &[3 | 0xffff << 32]);
            self.call(0, PSEUDO_POLL, &[TEXT, 1, 0]);
            self.guest.words::<1>(TEXT)[0] >> 48
        }
    }

    #[test]
    fn errors_come_in_linux_order() {
        let mut bench = Bench::with_queue(1, libc::O_RDWR | libc::O_NONBLOCK, 1);
        bench.guest.put_words(TIME, &[0, 1_000_000_000]);
        bench.open_again(4, libc::O_RDONLY);
        bench.open_again(5, libc::O_WRONLY);
        bench.done(0, nr::eventfd2, &[0, 0, 6]);
        let [bad, inval, fault, long] =
            [Errno::EBADF, Errno::EINVAL, Errno::EFAULT, Errno::EMSGSIZE].map(Errno::as_return);
        for (args, expected) in [
            ([99, 8, 8193, 32_768, 8], fault),
            ([99, 8, 8193, 32_768, TIME], inval),
            ([99, 8, 8193, 32_768, 0], inval),
            ([99, 8, 8193, 0, 0], bad),
            ([6, 8, 8193, 0, 0], bad),
            ([4, 8, 8193, 0, 0], bad),
            ([3, 8, 8193, 0, 0], long),
            ([3, 8, 5, 0, 0], fault),
            ([3, DATA, 5, 0, 0], 0),
            ([3, 8, 5, 0, 0], fault),
            ([3, DATA, 5, 0, 0], Errno::EAGAIN.as_return()),
        ] {
            assert_eq!(bench.done(0, nr::mq_timedsend, &args), expected, "{args:x?}");
        }
        for (args, expected) in [
            ([99, 8, 1, 8, 8], fault),
            ([99, 8, 1, 8, TIME], inval),
            ([99, 8, 1, 8, 0], bad),
            ([6, 8, 1, 8, 0], bad),
            ([5, 8, 1, 8, 0], bad),
            ([3, 8, 8191, 8, 0], long),
            ([3, TO, 8192, 8, 0], fault),
            ([3, TO, 8192, 0, 0], Errno::EAGAIN.as_return()),
        ] {
            assert_eq!(bench.done(0, nr::mq_timedreceive, &args), expected, "{args:x?}");
        }
    }

    #[test]
    fn messages_go_to_who_waits_and_room_to_who_sends() {
        let mut bench = Bench::with_queue(3, libc::O_RDWR, 1);
        assert_eq!(bench.receive(1), PARK);
        assert_eq!(bench.receive(2), PARK);
        assert_eq!(bench.send(0, 0x4141, 7), OK);
        assert_eq!(bench.ready(), u64::from(ready::WRITE), "it is not in the queue");
        assert_eq!(bench.resumed(), [(1, Outcome::Done(2))]);
        assert_eq!(bench.guest.words::<1>(TO), [0x4141]);
        assert_eq!(bench.send(0, 1, 0), OK);
        assert_eq!(bench.resumed(), [(2, Outcome::Done(2))]);
        assert_eq!(bench.send(0, 2, 0), OK);
        assert_eq!(bench.ready(), u64::from(ready::READ));
        assert_eq!(bench.send(1, 3, 9), PARK);
        assert_eq!(bench.send(2, 4, 9), PARK);
        let args = [3, TO, 8192, TO + 8, 0];
        assert_eq!(bench.call(0, nr::mq_timedreceive, &args), Outcome::Done(2));
        assert_eq!(bench.guest.words::<2>(TO), [2, 0]);
        assert_eq!(bench.resumed(), [(1, OK)]);
        assert_eq!(bench.call(0, nr::mq_timedreceive, &args), Outcome::Done(2));
        assert_eq!(bench.guest.words::<2>(TO), [3, 9]);
        assert_eq!(bench.resumed(), [(2, OK)]);
    }

    #[test]
    fn a_deadline_a_signal_or_death_ends_a_wait() {
        let mut bench = Bench::with_queue(2, libc::O_RDWR, 1);
        bench.guest.actions.insert(15, 0x1234);
        bench.guest.put_words(TIME, &[946_684_802, 0]);
        let args = [3, TO, 8192, 0, TIME];
        assert_eq!(bench.call(1, nr::mq_timedreceive, &args), PARK);
        assert_eq!(bench.advance(2_000_000_000), [(1, failed(Errno::ETIMEDOUT))]);
        assert_eq!(bench.receive(1), PARK);
        assert_eq!(bench.signal(1, 15), [(1, failed(Errno::ERESTARTSYS))]);
        bench.kernel.take_signal(bench.now, bench.threads[1], &mut bench.guest);
        assert_eq!(bench.receive(1), PARK);
        bench.kernel.end(crate::VirtualPid(1001), 0, &mut bench.guest);
        assert_eq!(bench.send(0, 1, 0), OK);
        assert_eq!(bench.ready(), u64::from(ready::READ), "nobody was there");
    }

    #[test]
    fn pollers_of_every_descriptor_are_told() {
        let mut bench = Bench::with_queue(2, libc::O_RDWR, 1);
        bench.open_again(4, libc::O_RDWR);
        bench.guest.put_words(TO, &[4 | u64::from(ready::IN) << 32]);
        assert_eq!(bench.call(0, PSEUDO_POLL, &[TO, 1, u64::MAX]), PARK);
        assert_eq!(bench.send(1, 1, 0), OK);
        assert_eq!(bench.resumed(), [(0, Outcome::Done(1))]);
        bench.guest.put_words(TO, &[4 | u64::from(ready::OUT) << 32]);
        assert_eq!(bench.call(0, PSEUDO_POLL, &[TO, 1, u64::MAX]), PARK);
        let args = [3, TO + 64, 8192, 0, 0];
        assert_eq!(bench.call(1, nr::mq_timedreceive, &args), Outcome::Done(2));
        assert_eq!(bench.resumed(), [(0, Outcome::Done(1))]);
    }
}
