//! One queue of messages: what is in it, who wants to send, who wants to receive.
//!
//! Messages in, deliveries out. Always true: a message for which somebody waits is never put into the queue; senders
//! wait only while there is no room for their message, in the order in which they came; receivers likewise.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use shim_abi::Errno;

use super::permission::{Credentials, Permission, READ};
use crate::ids::{VirtualPid, VirtualTid};

/// How many queues a host has at most.
pub(super) const MAX_QUEUES: u32 = 32_000;
/// Bytes of a message at most.
pub(super) const MAX_MESSAGE: usize = 8_192;
/// Bytes of a queue at most, unless its owner lowers it.
pub(super) const MAX_QUEUE_BYTES: u64 = 16_384;

/// A message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Message {
    pub(super) kind: i64,
    pub(super) bytes: Vec<u8>,
}

/// Which message a receiver wants.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Choice {
    Any,
    /// Of this kind.
    Equal(i64),
    /// Of any other kind.
    NotEqual(i64),
    /// Of the lowest kind that is not above this.
    Lowest(i64),
    /// The one at this place.
    Place(i64),
}

impl Choice {
    pub(super) fn of(kind: i64, flags: i32) -> Choice {
        match kind {
            _ if flags & libc::MSG_COPY != 0 => Choice::Place(kind),
            0 => Choice::Any,
            ..0 => Choice::Lowest(kind.checked_neg().unwrap_or(i64::MAX)),
            _ if flags & libc::MSG_EXCEPT != 0 => Choice::NotEqual(kind),
            _ => Choice::Equal(kind),
        }
    }

    fn matches(self, message: &Message) -> bool {
        match self {
            Choice::Any | Choice::Place(_) => true,
            Choice::Equal(kind) => message.kind == kind,
            Choice::NotEqual(kind) => message.kind != kind,
            Choice::Lowest(kind) => message.kind <= kind,
        }
    }
}

/// A call that waits for a message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Receiver {
    pub(super) tid: VirtualTid,
    pub(super) choice: Choice,
    /// Bytes of the longest message that it takes; longer ones are its failure.
    pub(super) limit: usize,
    pub(super) caller: Credentials,
}

/// A call that waits for room.
#[derive(Debug)]
struct Sender {
    tid: VirtualTid,
    pid: VirtualPid,
    message: Message,
}

/// A message on its way to a receiver.
pub(super) type Delivery = Message;

/// A call that waited and is over.
#[derive(Debug)]
pub(super) enum Finished {
    /// It has sent its message.
    Sent(VirtualTid),
    /// It gets this one.
    Received(VirtualTid, Delivery),
    Failed(VirtualTid, Errno),
}

/// A queue.
#[derive(Debug)]
pub(super) struct Queue {
    messages: VecDeque<Message>,
    bytes: u64,
    pub(super) max_bytes: u64,
    /// Seconds since 1970: of the last message in, out, and the last change otherwise.
    pub(super) sent: i64,
    pub(super) received: i64,
    pub(super) changed: i64,
    pub(super) sender: u32,
    pub(super) receiver: u32,
    senders: VecDeque<Sender>,
    receivers: VecDeque<Receiver>,
}

impl Queue {
    pub(super) fn new(now_secs: i64) -> Queue {
        Queue {
            messages: VecDeque::new(),
            bytes: 0,
            max_bytes: MAX_QUEUE_BYTES,
            sent: 0,
            received: 0,
            changed: now_secs,
            sender: 0,
            receiver: 0,
            senders: VecDeque::new(),
            receivers: VecDeque::new(),
        }
    }

    /// How many messages and bytes it holds.
    pub(super) fn size(&self) -> (u64, u64) {
        (self.messages.len() as u64, self.bytes)
    }

    /// Whether a message of this length may be sent now.
    pub(super) fn has_room(&self, len: usize) -> bool {
        self.bytes + len as u64 <= self.max_bytes && (self.messages.len() as u64) < self.max_bytes
    }

    /// Send a message for which there is room: to who waits for it, or into the queue.
    pub(super) fn send(
        &mut self,
        pid: VirtualPid,
        message: Message,
        now_secs: i64,
        finished: &mut Vec<Finished>,
    ) {
        (self.sender, self.sent) = (pid.0, now_secs);
        let is_for = |receiver: &Receiver| receiver.choice.matches(&message);
        while let Some(at) = self.receivers.iter().position(is_for) {
            let Some(receiver) = self.receivers.remove(at) else { break };
            if receiver.limit < message.bytes.len() {
                finished.push(Finished::Failed(receiver.tid, Errno::E2BIG));
                continue;
            }
            // Linux notes the thread here, and the process otherwise.
            (self.receiver, self.received) = (receiver.tid.0, now_secs);
            finished.push(Finished::Received(receiver.tid, message));
            return;
        }
        self.bytes += message.bytes.len() as u64;
        self.messages.push_back(message);
    }

    /// Let a sender wait for room.
    pub(super) fn wait_to_send(&mut self, tid: VirtualTid, pid: VirtualPid, message: Message) {
        self.senders.push_back(Sender { tid, pid, message });
    }

    /// Let a receiver wait for a message.
    pub(super) fn wait_to_receive(&mut self, receiver: Receiver) {
        self.receivers.push_back(receiver);
    }

    /// Where the message is that `choice` wants.
    pub(super) fn find(&self, choice: Choice) -> Option<usize> {
        let messages = || self.messages.iter().enumerate();
        match choice {
            Choice::Place(place) => {
                usize::try_from(place).ok().filter(|&place| place < self.messages.len())
            }
            Choice::Lowest(_) => {
                let wanted = messages().filter(|(_, message)| choice.matches(message));
                wanted.min_by_key(|(_, message)| message.kind).map(|(at, _)| at)
            }
            _ => messages().find(|(_, message)| choice.matches(message)).map(|(at, _)| at),
        }
    }

    /// The message at a place.
    pub(super) fn message(&self, at: usize) -> Option<&Message> {
        self.messages.get(at)
    }

    /// Take the message at a place out, which makes room for others.
    pub(super) fn take(
        &mut self,
        at: usize,
        pid: VirtualPid,
        now_secs: i64,
        finished: &mut Vec<Finished>,
    ) -> Option<Message> {
        let message = self.messages.remove(at)?;
        self.bytes -= message.bytes.len() as u64;
        (self.receiver, self.received) = (pid.0, now_secs);
        self.admit_senders(now_secs, finished);
        Some(message)
    }

    /// Let each sender send for whose message there is room now.
    pub(super) fn admit_senders(&mut self, now_secs: i64, finished: &mut Vec<Finished>) {
        for _ in 0..self.senders.len() {
            let Some(sender) = self.senders.pop_front() else { break };
            if self.has_room(sender.message.bytes.len()) {
                finished.push(Finished::Sent(sender.tid));
                self.send(sender.pid, sender.message, now_secs, finished);
            } else {
                self.senders.push_back(sender);
            }
        }
    }

    /// The mode has changed: receivers that may not read any more have failed.
    pub(super) fn expel_receivers(
        &mut self,
        permission: &Permission,
        finished: &mut Vec<Finished>,
    ) {
        self.receivers.retain(|receiver| match permission.check(receiver.caller, READ) {
            Ok(()) => true,
            Err(errno) => {
                finished.push(Finished::Failed(receiver.tid, errno));
                false
            }
        });
    }

    /// The call of `tid` waits no more.
    pub(super) fn forget(&mut self, tid: VirtualTid) {
        self.senders.retain(|sender| sender.tid != tid);
        self.receivers.retain(|receiver| receiver.tid != tid);
    }

    /// All who wait: the queue is gone.
    pub(super) fn into_waiting(self) -> impl Iterator<Item = VirtualTid> {
        let receivers = self.receivers.into_iter().map(|receiver| receiver.tid);
        receivers.chain(self.senders.into_iter().map(|sender| sender.tid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PID: VirtualPid = VirtualPid(7);

    fn message(kind: i64, len: usize) -> Message {
        Message { kind, bytes: alloc::vec![kind as u8; len] }
    }

    fn queue_of(kinds: &[i64]) -> Queue {
        let mut queue = Queue::new(0);
        for &kind in kinds {
            queue.send(PID, message(kind, 1), 0, &mut Vec::new());
        }
        queue
    }

    #[test]
    fn a_choice_finds_the_first_that_it_wants() {
        let queue = queue_of(&[5, 3, 9, 3, 1]);
        for (kind, flags, expected) in [
            (0, 0, Some(0)),
            (3, 0, Some(1)),
            (5, libc::MSG_EXCEPT, Some(1)),
            (-4, 0, Some(4)),
            (-9, 0, Some(4)),
            (i64::MIN, 0, Some(4)),
            (4, 0, None),
            (2, libc::MSG_COPY, Some(2)),
            (5, libc::MSG_COPY, None),
            (-1, libc::MSG_COPY, None),
        ] {
            assert_eq!(queue.find(Choice::of(kind, flags)), expected, "{kind} {flags:#x}");
        }
        assert_eq!(
            queue_of(&[5, 3, 9, 3]).find(Choice::of(-4, 0)),
            Some(1),
            "of several the first"
        );
    }

    #[test]
    fn a_message_goes_to_who_waits_for_it() {
        let mut queue = Queue::new(0);
        let caller = Credentials { user: 1, group: 1 };
        for (tid, choice, limit) in
            [(1, Choice::Equal(2), 9), (2, Choice::Any, 0), (3, Choice::Any, 9)]
        {
            queue.wait_to_receive(Receiver { tid: VirtualTid(tid), choice, limit, caller });
        }
        let mut finished = Vec::new();
        queue.send(PID, message(1, 5), 77, &mut finished);
        assert!(matches!(
            &finished[..],
            [Finished::Failed(VirtualTid(2), Errno::E2BIG), Finished::Received(VirtualTid(3), _)]
        ));
        assert_eq!((queue.size(), queue.sender, queue.receiver), ((0, 0), 7, 3));
        queue.send(PID, message(1, 5), 77, &mut finished);
        assert_eq!(queue.size(), (1, 5));
        assert_eq!(queue.into_waiting().collect::<Vec<_>>(), [VirtualTid(1)]);
    }

    #[test]
    fn senders_are_admitted_in_order_and_who_does_not_fit_is_passed_by() {
        let mut queue = queue_of(&[1]);
        queue.max_bytes = 10;
        for (tid, len) in [(1, 10), (2, 3), (3, 4)] {
            queue.wait_to_send(VirtualTid(tid), PID, message(1, len));
        }
        let mut finished = Vec::new();
        queue.admit_senders(0, &mut finished);
        assert!(matches!(
            &finished[..],
            [Finished::Sent(VirtualTid(2)), Finished::Sent(VirtualTid(3))]
        ));
        assert_eq!(queue.size(), (3, 8));
        finished.clear();
        for _ in 0..3 {
            assert!(finished.is_empty());
            queue.take(0, PID, 0, &mut finished);
        }
        assert!(matches!(&finished[..], [Finished::Sent(VirtualTid(1))]));
    }
}
