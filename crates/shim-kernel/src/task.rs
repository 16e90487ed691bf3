//! Processes and threads, and what a parked call leaves behind.
//!
//! Data only. Always true: a thread is in exactly one [`State`]; every deadline of a parked thread
//! and every running interval timer stands in the agenda under the same instant. How the state
//! changes is in `kernel` (parking, waking) and `life` (birth, death).
//!
//! Not kept are masks and dispositions, which are the guest's words; a thread's mask is remembered from its last
//! call, for the choice of the thread that a process's signal goes to.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use shim_abi::{SimDuration, SimTime};

use crate::file::{Descriptor, Direction, FileId, SpliceCall};
use crate::guest::{GuestAddr, Ids};
use crate::ids::{VirtualPid, VirtualTid};
use crate::life::wait::Waited;
use crate::limits::Limits;
use crate::net::ConnectionId;
use crate::outcome::End;
use crate::sched::Scheduling;
use crate::signal::Pending;
use crate::socket::Accept;
use crate::timer::Timers;
use crate::visit::Visited;

/// One process (a thread group).
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) parent: VirtualPid,
    /// The thread of the parent that it is a child of.
    pub(crate) parent_thread: VirtualTid,
    /// Its place among its parent's children.
    pub(crate) place: u64,
    pub(crate) life: Life,
    /// Sent to the parent at its end, if it is a signal's number.
    pub(crate) exit_signal: u32,
    /// How many images had started in the parent when it became its parent.
    pub(crate) parent_images: u32,
    /// How many images have replaced its first one.
    pub(crate) images: u32,
    /// Processes that share their memory have the same.
    pub(crate) address_space: u32,
    /// Orphans among its descendants become its children.
    pub(crate) is_subreaper: bool,
    /// Real user id, as far as the last call told.
    pub(crate) user: u32,
    pub(crate) group: VirtualPid,
    pub(crate) session: VirtualPid,
    /// The program that it was started for, for messages.
    pub(crate) program: String,
    pub(crate) limits: Limits,
    pub(crate) interval: Interval,
    pub(crate) timers: Timers,
    /// Virtual descriptors; the real kernel knows the others.
    pub(crate) descriptors: BTreeMap<u32, Descriptor>,
    /// Signals for whichever thread takes them.
    pub(crate) pending: Pending,
    /// The thread that was last chosen for one of them, if not the first.
    pub(crate) chosen: VirtualTid,
    pub(crate) job: Job,
    /// Threads that are to be resumed as soon as it goes on, while it is stopped.
    pub(crate) held: Vec<VirtualTid>,
    /// CPU time, as far as the last call told.
    pub(crate) cpu_ns: u64,
    /// CPU time of descendants that were waited for.
    pub(crate) children_cpu_ns: u64,
    /// Whether a descendant was waited for.
    pub(crate) has_waited: bool,
    /// Whether a published word changed since it was last taken.
    pub(crate) is_changed: bool,
}

/// Whether a process lives.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Life {
    /// It does.
    Alive,
    /// It has ended, and nobody has waited for it yet.
    Zombie(End),
}

/// Stopping and continuing of a process.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Job {
    /// It is stopped.
    pub(crate) is_stopped: bool,
    /// The signal that stopped it, until somebody has waited for that.
    pub(crate) untold_stop: Option<u32>,
    /// It was continued, and nobody has waited for that yet.
    pub(crate) is_continued: bool,
    /// Its parent is still to be told that it goes on.
    pub(crate) owes_notice: bool,
}

/// The ITIMER_REAL of a process. Its instants are times since boot: it follows the machine's own clock.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Interval {
    /// When it expires next, if it runs.
    pub(crate) deadline: Option<SimDuration>,
    /// When it expired last, if nobody has taken its signal since: it is set again by the taker.
    pub(crate) expired: Option<SimDuration>,
    /// From one expiry to the next; zero for a single one.
    pub(crate) period: SimDuration,
}

/// One thread (a task).
#[derive(Debug)]
pub(crate) struct Thread {
    pub(crate) pid: VirtualPid,
    pub(crate) state: State,
    /// Signals for this thread alone.
    pub(crate) pending: Pending,
    /// Signals of its process that it was chosen for.
    pub(crate) assigned: u64,
    /// The mask under which the next signal is chosen, after an `rt_sigsuspend`.
    pub(crate) suspended_mask: Option<u64>,
    pub(crate) scheduling: Scheduling,
    /// Whose it is, as far as its last call told.
    pub(crate) ids: Ids,
    /// Its mask, as far as its last call told.
    pub(crate) mask: u64,
    /// CPU time, as far as its last call told.
    pub(crate) cpu_ns: u64,
    /// What its last call returned.
    pub(crate) result: i64,
    /// The call in which it waits, if it made and will finish that itself.
    pub(crate) visit: Option<Visited>,
    /// Where zero is stored when it ends, if not null.
    pub(crate) clear_child_tid: GuestAddr,
    /// The list of locks that its end is noted in, if not null.
    pub(crate) robust_list: GuestAddr,
    /// When it was made.
    pub(crate) started: SimTime,
    /// Sent to its process when its parent thread ends; 0: nothing.
    pub(crate) death_signal: u32,
}

/// What a thread does.
#[derive(Clone, Copy, Debug)]
pub(crate) enum State {
    /// It is recorded, but does not exist natively yet.
    Unborn(Birth),
    /// Its guest runs, or will as soon as it is its turn.
    Running,
    /// It waits in simulated time.
    Parked(Parked),
    /// It has exited.
    Ended,
}

/// What remains to be done for a new thread as soon as it exists.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Birth {
    /// `CLONE_*`.
    pub(crate) flags: u64,
    /// Where its number goes in the parent's memory, and in its own.
    pub(crate) parent_tid: GuestAddr,
    pub(crate) child_tid: GuestAddr,
    /// The descriptor of the parent that is to show it.
    pub(crate) descriptor: i32,
}

/// The record of a parked call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parked {
    /// The thread's own clock when it parked: it never wakes earlier.
    pub(crate) since: SimTime,
    /// When the wait ends by itself; the end of time: never.
    pub(crate) deadline: SimTime,
    pub(crate) wait: Wait,
    /// Set while the thread is queued to be resumed.
    pub(crate) wake: Option<Wake>,
}

/// A count of a process's CPU time, in nanoseconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct CpuEnd {
    pub(crate) pid: VirtualPid,
    pub(crate) ns: u64,
}

/// What a parked thread waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Wait {
    /// Its turn, at its own clock. Signals do not shorten this.
    Limit,
    /// Its deadline. An interrupted wait stores what was left of it at `remainder`, if that is not
    /// null: the time to the deadline, or to a count of CPU time.
    Sleep { remainder: GuestAddr, cpu_end: Option<CpuEnd> },
    /// Any signal.
    Pause,
    /// Any signal that this mask does not block.
    Suspend { mask: u64 },
    /// One of these signals, whose description goes to `info`, or its deadline.
    OneOf { set: u64, info: GuestAddr },
    /// That this process, made by `vfork`, executes another image or ends.
    Vfork(VirtualPid),
    /// A wake, a lock, or its deadline: which of these is in the queue of futexes.
    Futex,
    /// What its operations on semaphores need, or its deadline.
    Semaphores,
    /// A message, of which so many bytes go to `to`, or room for one.
    Messages { to: GuestAddr, room: u64 },
    /// That the other side of a FIFO is opened, beyond so many times.
    Partner { file: FileId, fd: u32, seen: u64 },
    /// Room in a message queue, or a message, which goes to `to` and its priority to `priority`.
    Queue { to: GuestAddr, priority: GuestAddr },
    /// That somebody gives up a lock of a file.
    FileLock,
    /// A change of a child.
    Child(Waited),
    /// Bytes, or room for them, in a file; the rest is in [`crate::file::Files`].
    Transfer { file: FileId, direction: Direction },
    /// What a call on a socket wants, which is kept in [`crate::socket::Sockets`].
    Socket,
    /// A connection to take.
    Accept(Accept),
    /// Room for a connection, of which [`crate::socket::Sockets`] knows more.
    Connect,
    /// That the other side knows of a connection's end.
    Linger(ConnectionId),
    /// Something in one pipe, and room in another.
    Splice(SpliceCall),
    /// One of some files, named by an array of `struct pollfd`.
    Poll { array: GuestAddr, count: u32 },
    /// That its process is continued; its call is over.
    Stopped,
    /// Events of an epoll instance, of which `count` at most go to `to`.
    Epoll { epoll: FileId, to: GuestAddr, count: u32 },
}

/// Why a parked thread is resumed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Wake {
    /// Its deadline has come.
    Timeout,
    /// A signal came, or what the thread waits for changed: look whether it ends the wait.
    Look,
}
