//! One queue: its messages, who waits at it, its limits.
//!
//! Messages in and out. Always true: it holds at most as many messages as it was made for; a message leaves before
//! those of lower priority and those of its own that came later; receivers wait only while it is empty, senders only
//! while it is full.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;

use super::notify::Registration;
use crate::file::FileId;
use crate::ids::VirtualTid;

/// Priorities are below this.
pub(super) const PRIORITIES: u32 = 32_768;

/// A message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Message {
    pub(super) priority: u32,
    pub(super) bytes: Vec<u8>,
}

/// Who may open it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Owner {
    pub(super) user: u32,
    pub(super) group: u32,
    pub(super) mode: u32,
}

/// How much it holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Capacity {
    pub(super) messages: u64,
    /// Bytes of each.
    pub(super) message_bytes: u64,
}

impl Capacity {
    /// What it counts of its user's limit.
    pub(super) fn cost_bytes(self) -> u64 {
        const MESSAGE_HEAD: u64 = 48;
        const PRIORITY_HEAD: u64 = 48;
        let heads =
            self.messages * MESSAGE_HEAD + self.messages.min(PRIORITIES.into()) * PRIORITY_HEAD;
        heads + self.messages * self.message_bytes
    }
}

/// A queue.
#[derive(Debug)]
pub(super) struct Queue {
    /// The name that it was made with.
    pub(super) name: Vec<u8>,
    pub(super) owner: Owner,
    pub(super) capacity: Capacity,
    pub(super) inode: u64,
    pub(super) made_ns: u64,
    /// By how far their priority is from the highest, then by when they came.
    messages: BTreeMap<(u32, u64), Message>,
    last_message: u64,
    pub(super) bytes: u64,
    senders: VecDeque<(VirtualTid, Message)>,
    receivers: VecDeque<VirtualTid>,
    pub(super) registration: Option<Registration>,
    /// Where it is open.
    pub(super) files: Vec<FileId>,
}

/// What became of a message that was sent.
#[derive(Debug)]
pub(super) enum Sent {
    /// This receiver gets it.
    To(VirtualTid, Message),
    /// The queue has it.
    Queued,
    /// There is no room.
    Full(Message),
}

impl Queue {
    pub(super) fn new(
        name: Vec<u8>,
        owner: Owner,
        capacity: Capacity,
        inode: u64,
        made_ns: u64,
    ) -> Queue {
        Queue {
            name,
            owner,
            capacity,
            inode,
            made_ns,
            messages: BTreeMap::new(),
            last_message: 0,
            bytes: 0,
            senders: VecDeque::new(),
            receivers: VecDeque::new(),
            registration: None,
            files: Vec::new(),
        }
    }

    /// How many messages it holds.
    pub(super) fn len(&self) -> u64 {
        self.messages.len() as u64
    }

    /// Whether it holds as many as it can.
    pub(super) fn is_full(&self) -> bool {
        self.len() >= self.capacity.messages
    }

    /// Send a message.
    pub(super) fn send(&mut self, message: Message) -> Sent {
        if self.is_full() {
            return Sent::Full(message);
        }
        match self.receivers.pop_front() {
            Some(receiver) => Sent::To(receiver, message),
            None => {
                self.insert(message);
                Sent::Queued
            }
        }
    }

    fn insert(&mut self, message: Message) {
        self.last_message += 1;
        self.bytes += message.bytes.len() as u64;
        self.messages.insert((PRIORITIES - message.priority, self.last_message), message);
    }

    /// Take the next message, which makes room for that of a sender: who that is.
    pub(super) fn receive(&mut self) -> Option<(Message, Option<VirtualTid>)> {
        let (_, message) = self.messages.pop_first()?;
        self.bytes -= message.bytes.len() as u64;
        let sender = self.senders.pop_front().map(|(sender, message)| {
            self.insert(message);
            sender
        });
        Some((message, sender))
    }

    /// Let a sender wait for room.
    pub(super) fn wait_to_send(&mut self, tid: VirtualTid, message: Message) {
        self.senders.push_back((tid, message));
    }

    /// Let a receiver wait for a message.
    pub(super) fn wait_to_receive(&mut self, tid: VirtualTid) {
        self.receivers.push_back(tid);
    }

    /// The call of `tid` waits no more.
    pub(super) fn forget(&mut self, tid: VirtualTid) {
        self.senders.retain(|&(sender, _)| sender != tid);
        self.receivers.retain(|&receiver| receiver != tid);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_urgent_leaves_first_and_room_goes_to_who_waits() {
        let owner = Owner { user: 1, group: 1, mode: 0o600 };
        let capacity = Capacity { messages: 3, message_bytes: 8 };
        let mut queue = Queue::new(Vec::new(), owner, capacity, 1, 0);
        let message = |priority, text: u8| Message { priority, bytes: [text; 2].to_vec() };
        for (priority, text) in [(0, 1), (32_767, 2), (0, 3)] {
            assert!(matches!(queue.send(message(priority, text)), Sent::Queued));
        }
        assert!(matches!(queue.send(message(9, 4)), Sent::Full(_)));
        let sender = VirtualTid(5);
        queue.wait_to_send(sender, message(9, 4));
        let mut texts = Vec::new();
        let mut senders = Vec::new();
        while let Some((message, sender)) = queue.receive() {
            texts.push(message.bytes[0]);
            senders.extend(sender);
        }
        assert_eq!((texts, senders), ([2, 4, 1, 3].to_vec(), [sender].to_vec()));
        assert_eq!((queue.len(), queue.bytes), (0, 0));
        queue.wait_to_receive(sender);
        queue.wait_to_receive(VirtualTid(6));
        queue.forget(sender);
        let sent = queue.send(message(1, 1));
        assert!(matches!(sent, Sent::To(VirtualTid(6), _)));
        assert_eq!(Capacity { messages: 10, message_bytes: 8192 }.cost_bytes(), 82_880);
    }
}
