//! System V inter-process communication: semaphores, message queues, shared memory.
//!
//! Keys, ids and operations in; objects of this host, which outlive who made them, out. Always true: an object is
//! found by its id until it is removed, and by its key if it has one; who may do what is decided by user and group as
//! on Linux, and nobody is privileged; what a parked thread waits for is done for it by whoever makes it possible,
//! in the order in which they came. In reading order: `ids` (numbers), `permission`, `semaphore` (one set, its
//! waiters, what is undone), `sem_operate` and `sem_control` (its calls), `message`, `msg_transfer` and
//! `msg_control`, `segment` (shared memory), `shm_attach` and `shm_control`.

mod ids;
mod message;
mod msg_control;
mod msg_transfer;
mod permission;
mod segment;
mod sem_control;
mod sem_operate;
mod semaphore;
mod shm_attach;
mod shm_control;

use alloc::collections::BTreeMap;

use shim_abi::{Errno, SimTime};

use ids::Ids;
use message::{Delivery, Queue};
use segment::{Attachments, Segment};
use semaphore::Set;

use crate::ids::VirtualTid;
use crate::kernel::Kernel;

pub(crate) use msg_control::msgctl;
pub(crate) use msg_transfer::{msgget, msgrcv, msgsnd};
pub(crate) use sem_control::semctl;
pub(crate) use sem_operate::{semget, semop, semtimedop};
pub(crate) use shm_attach::{attached, shmat, shmdt, shmget};
pub(crate) use shm_control::shmctl;

/// All objects of a host, and who waits at them.
#[derive(Debug)]
pub(crate) struct Sysv {
    sets: Ids<Set>,
    queues: Ids<Queue>,
    segments: Ids<Segment>,
    attachments: Attachments,
    pauses: BTreeMap<VirtualTid, Pause>,
    /// Counts what threads registered to be undone.
    last_place: u64,
}

impl Default for Sysv {
    fn default() -> Sysv {
        Sysv {
            sets: Ids::new(semaphore::MAX_SETS),
            queues: Ids::new(message::MAX_QUEUES),
            segments: Ids::new(segment::MAX_SEGMENTS),
            attachments: Attachments::default(),
            pauses: BTreeMap::new(),
            last_place: 0,
        }
    }
}

/// Where a thread waits, or how its wait has ended without its having noticed.
#[derive(Debug)]
enum Pause {
    /// In the queue of this set.
    AtSet(i32),
    /// With a message for this queue, or for one from it.
    AtQueue(i32),
    /// It is over: nothing more to do.
    Done,
    /// This message is for it.
    Delivered(Delivery),
    /// It has failed.
    Failed(Errno),
}

impl Kernel {
    /// The wait of `tid` ends like this; let it notice.
    fn end_sysv_pause(&mut self, now: SimTime, tid: VirtualTid, end: Pause) {
        self.sysv.pauses.insert(tid, end);
        self.wake_to_look(now, tid);
    }

    /// `tid` waits for nothing here any more.
    pub(crate) fn forget_sysv_pause(&mut self, tid: VirtualTid) {
        match self.sysv.pauses.remove(&tid) {
            Some(Pause::AtSet(id)) => {
                if let Ok(entry) = self.sysv.sets.find_mut(id) {
                    entry.object.forget(tid);
                }
            }
            Some(Pause::AtQueue(id)) => {
                if let Ok(entry) = self.sysv.queues.find_mut(id) {
                    entry.object.forget(tid);
                }
            }
            _ => {}
        }
    }

    /// Calendar time in whole seconds, as the objects note it.
    fn realtime_secs(&self, now: SimTime) -> i64 {
        const NS_PER_SEC: i128 = 1_000_000_000;
        self.realtime_ns(now).div_euclid(NS_PER_SEC) as i64
    }
}
