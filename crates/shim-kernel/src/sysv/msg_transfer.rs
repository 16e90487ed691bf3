//! `msgget`, `msgsnd`, `msgrcv`.
//!
//! Keys, ids and messages in; ids, messages and parked calls out. Always true: a message is read from its sender's
//! memory when it calls, and written to its receiver's when that goes on; if that fails it is lost, as on Linux. A
//! signal ends a wait with EINTR whatever the handler's flags.

use shim_abi::{Errno, SimTime};

use super::Pause;
use super::ids::Lookup;
use super::message::{Choice, Finished, MAX_MESSAGE, Message, Queue, Receiver};
use super::permission::{READ, WRITE};
use crate::context::{Answer, Context, done};
use crate::guest::GuestAddr;
use crate::kernel::Kernel;
use crate::memory::read_words;
use crate::task::{Parked, Wait, Wake};

/// Bytes before a message's text: its kind.
const KIND_BYTES: u64 = 8;

pub(crate) fn msgget(context: &mut Context<'_>, key: i32, flags: i32) -> Answer {
    let caller = context.credentials();
    let now_secs = context.kernel.realtime_secs(context.now);
    let queues = &mut context.kernel.sysv.queues;
    if let Lookup::Found(id) = queues.look_up(key, flags, caller, |_| Ok(()))? {
        return done(id.into());
    }
    done(queues.add(key, flags, caller, Queue::new(now_secs))?.into())
}

pub(crate) fn msgsnd(
    context: &mut Context<'_>,
    id: i32,
    from: GuestAddr,
    len: u64,
    flags: i32,
) -> Answer {
    let [kind] = read_words(context.guest, from)?;
    let kind = kind as i64;
    let len = usize::try_from(len).ok().filter(|&len| len <= MAX_MESSAGE);
    let len = len.filter(|_| id >= 0 && kind >= 1).ok_or(Errno::EINVAL)?;
    let mut bytes = alloc::vec![0; len];
    context.guest.read(GuestAddr(from.0.wrapping_add(KIND_BYTES)), &mut bytes)?;
    let message = Message { kind, bytes };
    let (tid, pid, caller) = (context.tid, context.pid, context.credentials());
    let now_secs = context.kernel.realtime_secs(context.now);
    let entry = context.kernel.sysv.queues.find_mut(id)?;
    entry.permission.check(caller, WRITE)?;
    if entry.object.has_room(len) {
        let mut finished = alloc::vec::Vec::new();
        entry.object.send(pid, message, now_secs, &mut finished);
        context.kernel.end_calls_at_queue(context.now, finished);
        return done(0);
    }
    if flags & libc::IPC_NOWAIT != 0 {
        return Err(Errno::EAGAIN);
    }
    entry.object.wait_to_send(tid, pid, message);
    context.kernel.sysv.pauses.insert(tid, Pause::AtQueue(id));
    context.park(Wait::Messages { to: GuestAddr(0), room: 0 }, SimTime::MAX)
}

pub(crate) fn msgrcv(
    context: &mut Context<'_>,
    id: i32,
    to: GuestAddr,
    room: u64,
    kind: i64,
    flags: i32,
) -> Answer {
    if id < 0 || (room as i64) < 0 {
        return Err(Errno::EINVAL);
    }
    let has = |flag: i32| flags & flag != 0;
    if has(libc::MSG_COPY) && (has(libc::MSG_EXCEPT) || !has(libc::IPC_NOWAIT)) {
        return Err(Errno::EINVAL);
    }
    let choice = Choice::of(kind, flags);
    let (tid, pid, caller) = (context.tid, context.pid, context.credentials());
    let now_secs = context.kernel.realtime_secs(context.now);
    let entry = context.kernel.sysv.queues.find_mut(id)?;
    entry.permission.check(caller, READ)?;
    let limit = if has(libc::MSG_NOERROR) { usize::MAX } else { room as usize };
    let Some(at) = entry.object.find(choice) else {
        if has(libc::IPC_NOWAIT) {
            return Err(Errno::ENOMSG);
        }
        entry.object.wait_to_receive(Receiver { tid, choice, limit, caller });
        context.kernel.sysv.pauses.insert(tid, Pause::AtQueue(id));
        return context.park(Wait::Messages { to, room }, SimTime::MAX);
    };
    if entry.object.message(at).is_some_and(|message| message.bytes.len() > limit) {
        return Err(Errno::E2BIG);
    }
    let mut finished = alloc::vec::Vec::new();
    let message = match has(libc::MSG_COPY) {
        true => entry.object.message(at).cloned(),
        false => entry.object.take(at, pid, now_secs, &mut finished),
    };
    context.kernel.end_calls_at_queue(context.now, finished);
    context.store_message(&message.ok_or(Errno::ENOMSG)?, to, room)
}

impl Context<'_> {
    /// Store a message and as much of its text as there is room for.
    fn store_message(&mut self, message: &Message, to: GuestAddr, room: u64) -> Answer {
        let len = message.bytes.len().min(room as usize);
        self.guest.write(to, &message.kind.to_le_bytes())?;
        self.guest.write(GuestAddr(to.0.wrapping_add(KIND_BYTES)), &message.bytes[..len])?;
        done(len as i64)
    }

    pub(crate) fn finish_messages(
        &mut self,
        parked: Parked,
        wake: Wake,
        to: GuestAddr,
        room: u64,
    ) -> Answer {
        debug_assert!(wake != Wake::Timeout, "it has none");
        if let Some(Pause::AtQueue(_)) = self.kernel.sysv.pauses.get(&self.tid) {
            if !self.has_signal(self.guest.signal_mask()) {
                return self.park_again(parked);
            }
            self.kernel.forget_sysv_pause(self.tid);
            return Err(Errno::EINTR);
        }
        match self.kernel.sysv.pauses.remove(&self.tid) {
            Some(Pause::Delivered(message)) => self.store_message(&message, to, room),
            Some(Pause::Failed(errno)) => Err(errno),
            _ => done(0),
        }
    }
}

impl Kernel {
    /// These calls that waited at a queue are over.
    pub(super) fn end_calls_at_queue(
        &mut self,
        now: SimTime,
        finished: impl IntoIterator<Item = Finished>,
    ) {
        for call in finished {
            match call {
                Finished::Sent(tid) => self.end_sysv_pause(now, tid, Pause::Done),
                Finished::Received(tid, message) => {
                    self.end_sysv_pause(now, tid, Pause::Delivered(message));
                }
                Finished::Failed(tid, errno) => {
                    self.end_sysv_pause(now, tid, Pause::Failed(errno));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::Outcome;
    use crate::testing::DATA;
    use crate::testing::bench::{Bench, failed};
    use shim_abi::calls::nr;

    const OK: Outcome = Outcome::Done(0);
    const PARK: Outcome = Outcome::Park;
    const NOWAIT: u64 = libc::IPC_NOWAIT as u64;
    const NOERROR: u64 = libc::MSG_NOERROR as u64;
    /// Where messages are received.
    const TO: u64 = DATA + 0x2800;

    impl Bench {
        fn queue(&mut self) -> u64 {
            self.done(0, nr::msgget, &[5, 0o1600]) as u64
        }
        fn msgsnd(&mut self, thread: usize, id: u64, kind: i64, len: u64, flags: u64) -> Outcome {
            self.guest.put_words(DATA, &[kind as u64, 0x0101_0101 * kind as u64]);
            self.call(thread, nr::msgsnd, &[id, DATA, len, flags])
        }
        fn msgrcv(&mut self, thread: usize, id: u64, room: u64, kind: i64, flags: u64) -> Outcome {
            self.guest.put_words(TO, &[0, 0]);
            self.call(thread, nr::msgrcv, &[id, TO, room, kind as u64, flags])
        }
    }

    #[test]
    fn errors_come_in_linux_order() {
        let mut bench = Bench::new(1);
        let id = bench.queue();
        bench.guest.put_words(DATA, &[1, 0]);
        let [inval, fault] = [Errno::EINVAL, Errno::EFAULT].map(Errno::as_return);
        for (args, expected) in [
            ([id, DATA, 8193, NOWAIT], inval),
            ([id, DATA, u64::MAX, NOWAIT], inval),
            ([id, 8, u64::MAX, NOWAIT], fault),
            ([id, DATA + 8, 1, NOWAIT], inval),
            ([u64::MAX, DATA, 1, NOWAIT], inval),
            ([id + 1, DATA, 1, NOWAIT], inval),
            ([id + 1, DATA + 0x3ff0, 64, NOWAIT], inval),
        ] {
            assert_eq!(bench.done(0, nr::msgsnd, &args), expected, "{args:x?}");
        }
        bench.guest.put_words(DATA + 0x3ff0, &[1]);
        assert_eq!(bench.done(0, nr::msgsnd, &[id + 1, DATA + 0x3ff0, 64, 0]), fault);
        let copy = libc::MSG_COPY as u64;
        for (args, expected) in [
            ([u64::MAX, TO, 1, 0, NOWAIT], inval),
            ([id, TO, u64::MAX, 0, NOWAIT], inval),
            ([id, TO, 1, 0, copy], inval),
            ([id, TO, 1, 0, copy | NOWAIT | libc::MSG_EXCEPT as u64], inval),
            ([id + 1, TO, 1, 0, NOWAIT], inval),
            ([id, 8, 1, 0, copy | NOWAIT], Errno::ENOMSG.as_return()),
        ] {
            assert_eq!(bench.done(0, nr::msgrcv, &args), expected, "{args:x?}");
        }
        assert_eq!(bench.done(0, nr::msgget, &[5, 0o3000]), Errno::EEXIST.as_return());
        assert_eq!(bench.done(0, nr::msgget, &[6, 0]), Errno::ENOENT.as_return());
    }

    #[test]
    fn messages_come_out_as_they_are_chosen() {
        let mut bench = Bench::new(1);
        let id = bench.queue();
        for kind in [2, 1, 3] {
            assert_eq!(bench.msgsnd(0, id, kind, 3, 0), OK);
        }
        assert_eq!(bench.msgrcv(0, id, 2, 3, NOWAIT), failed(Errno::E2BIG));
        let copy = libc::MSG_COPY as u64;
        assert_eq!(bench.msgrcv(0, id, 9, 1, copy | NOWAIT), Outcome::Done(3));
        assert_eq!(bench.guest.words::<2>(TO), [1, 0x01_0101]);
        assert_eq!(bench.msgrcv(0, id, 2, 3, NOWAIT | NOERROR), Outcome::Done(2));
        assert_eq!(bench.guest.words::<2>(TO), [3, 0x0303]);
        assert_eq!(bench.msgrcv(0, id, 9, -2, NOWAIT), Outcome::Done(3));
        assert_eq!(bench.guest.words::<1>(TO), [1]);
        let lost = bench.call(0, nr::msgrcv, &[id, 8, 9, 0, NOWAIT]);
        assert_eq!(lost, failed(Errno::EFAULT));
        assert_eq!(bench.msgrcv(0, id, 9, 0, NOWAIT), failed(Errno::ENOMSG));
    }

    #[test]
    fn receivers_and_senders_wait_and_go_on() {
        let mut bench = Bench::new(4);
        let id = bench.queue();
        assert_eq!(bench.msgrcv(1, id, 8, 7, 0), PARK);
        assert_eq!(bench.msgrcv(2, id, 1, 0, 0), PARK);
        assert_eq!(bench.msgsnd(0, id, 5, 3, 0), OK);
        assert_eq!(bench.resumed(), [(2, failed(Errno::E2BIG))]);
        assert_eq!(bench.msgsnd(0, id, 7, 3, 0), OK);
        assert_eq!(bench.resumed(), [(1, Outcome::Done(3))]);
        assert_eq!(bench.guest.words::<2>(TO), [7, 0x07_0707]);
        for _ in 0..2 {
            assert_eq!(bench.msgsnd(0, id, 9, 8190, 0), OK);
        }
        assert_eq!(bench.msgsnd(1, id, 9, 8, NOWAIT), failed(Errno::EAGAIN));
        assert_eq!(bench.msgsnd(1, id, 9, 8, 0), PARK);
        assert_eq!(bench.msgrcv(0, id, 3, 5, 0), Outcome::Done(3));
        assert_eq!(bench.resumed(), []);
        assert_eq!(bench.msgrcv(0, id, 0, 9, NOERROR), Outcome::Done(0));
        assert_eq!(bench.resumed(), [(1, OK)]);
    }

    #[test]
    fn a_signal_or_the_end_of_the_queue_ends_a_wait() {
        let mut bench = Bench::new(3);
        let id = bench.queue();
        bench.guest.actions.extend([(15, 0x1234), (10, 1)]);
        assert_eq!(bench.msgrcv(1, id, 8, 0, 0), PARK);
        assert_eq!(bench.msgrcv(2, id, 8, 0, 0), PARK);
        assert_eq!(bench.signal(1, 10), [(1, PARK)]);
        assert_eq!(bench.signal(1, 15), [(1, failed(Errno::EINTR))]);
        assert_eq!(bench.done(0, nr::msgctl, &[id, libc::IPC_RMID as u64]), 0);
        assert_eq!(bench.resumed(), [(2, failed(Errno::EIDRM))]);
    }

    #[test]
    fn the_dead_receive_nothing() {
        let mut bench = Bench::new(2);
        let id = bench.queue();
        assert_eq!(bench.msgrcv(1, id, 8, 0, 0), PARK);
        bench.kernel.end(crate::VirtualPid(1001), 0, &mut bench.guest);
        assert_eq!(bench.msgsnd(0, id, 7, 3, 0), OK);
        assert_eq!(bench.msgrcv(0, id, 8, 0, NOWAIT), Outcome::Done(3));
    }
}
