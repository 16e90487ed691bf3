//! POSIX message queues: `mq_open` and what can be done with the descriptor that it gives.
//!
//! Names, descriptors and messages in; messages, parked calls and signals out. Always true: a queue is there as
//! long as it has a name or somebody has it open; a message goes to whoever waits for it, else into the queue, the
//! most urgent first; who waits is served in the order in which they came. In reading order: `queue` (one queue),
//! `open` (names, permissions, limits), `transfer` (sending and receiving), `attribute` (what a queue tells of
//! itself), `notify` (a signal when an empty queue gets a message). Notification by a thread would need a netlink
//! socket, and there are none.

mod attribute;
mod notify;
mod open;
mod queue;
#[cfg(test)]
mod testing;
mod transfer;

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use queue::{Message, Queue};

use crate::file::{FileId, Object};
use crate::ids::VirtualTid;
use crate::kernel::Kernel;

pub(crate) use attribute::mq_getsetattr;
pub(crate) use notify::mq_notify;
pub(crate) use open::{mq_open, mq_unlink};
pub(crate) use transfer::{mq_timedreceive, mq_timedsend};

/// A queue, whatever its name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct QueueId(u32);

/// All queues of a host.
#[derive(Debug, Default)]
pub(crate) struct MessageQueues {
    queues: BTreeMap<QueueId, Queue>,
    names: BTreeMap<Vec<u8>, QueueId>,
    last: u32,
    pauses: BTreeMap<VirtualTid, Pause>,
}

/// A call that waits, or whose wait is over.
#[derive(Debug)]
enum Pause {
    /// For a message or for room, at this queue.
    Waiting(QueueId),
    /// Its message has been taken.
    Sent,
    /// It gets this one.
    Received(Message),
}

impl MessageQueues {
    /// The queue with this number, which somebody has open.
    fn get(&self, id: QueueId) -> &Queue {
        self.queues.get(&id).expect("a queue that is open exists")
    }
    /// The same, to be changed.
    fn get_mut(&mut self, id: QueueId) -> &mut Queue {
        self.queues.get_mut(&id).expect("a queue that is open exists")
    }
    /// Whether its name is still its own.
    fn is_named(&self, id: QueueId) -> bool {
        self.queues.get(&id).is_some_and(|queue| self.names.get(&queue.name) == Some(&id))
    }
    /// Forget a queue that has neither name nor user.
    fn forget_unused(&mut self, id: QueueId) {
        if !self.is_named(id) && self.queues.get(&id).is_some_and(|queue| queue.files.is_empty()) {
            self.queues.remove(&id);
        }
    }
}

impl Kernel {
    /// The call of `tid` waits no more.
    pub(crate) fn forget_queue_pause(&mut self, tid: VirtualTid) {
        if let Some(Pause::Waiting(id)) = self.message_queues.pauses.remove(&tid)
            && let Some(queue) = self.message_queues.queues.get_mut(&id)
        {
            queue.forget(tid);
        }
    }

    /// A file that showed a queue is gone.
    pub(crate) fn close_queue(&mut self, file: FileId, id: QueueId) {
        if let Some(queue) = self.message_queues.queues.get_mut(&id) {
            queue.files.retain(|&other| other != file);
        }
        self.message_queues.forget_unused(id);
    }

    /// The queue that a file shows.
    fn queue_of(&self, file: FileId) -> Option<QueueId> {
        match self.files.get(file).ok()?.object {
            Object::Queue { queue, .. } => Some(queue),
            _ => None,
        }
    }
}
