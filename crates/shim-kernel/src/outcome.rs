//! What the kernel answers.
//!
//! Types only. Always true: an [`Outcome::Park`] leaves a record in the kernel that
//! [`crate::Kernel::resume`] finishes later; every other outcome leaves nothing behind. How an answer
//! travels to the guest is not here.

use shim_abi::event::SignalInfo;

use crate::ids::{VirtualPid, VirtualTid};

/// What becomes of a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// It returns this. Ask [`crate::Kernel::take_signal`] before the guest goes on.
    Done(i64),
    /// It waits; the thread will be named by [`crate::Kernel::next_runnable`].
    Park,
    /// The guest executes this call natively and returns its result.
    Native {
        /// The call's number.
        number: u32,
        /// Its arguments.
        args: [u64; 6],
    },
    /// The guest makes a thread or process: give it blocks, have the caller clone natively, then tell
    /// [`crate::Kernel::clone_done`].
    Clone {
        /// The new thread's process: the caller's own if it is a thread.
        pid: VirtualPid,
        /// The new thread.
        tid: VirtualTid,
    },
    /// The calling thread is over, its process is not. A thread that is not its process's first ends natively
    /// without waiting for an answer; the first stays where it is, because its native end would be seen.
    ThreadExit,
    /// The process ends with this status (0 to 255); end it, then tell
    /// [`crate::Kernel::process_ended`].
    Exit {
        /// As `wait` shows it.
        status: i32,
    },
}

/// What a thread does about its pending signals before it goes on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SignalOutcome {
    /// Nothing.
    None,
    /// Run the handler of this signal. If the call that just ended was `rt_sigsuspend`, the signal
    /// was chosen under the mask that the call named, and the handler runs with *that* mask plus
    /// those of its action, while the mask that its return restores is the thread's own.
    Deliver(SignalInfo),
    /// The process has stopped: the thread waits, as after [`Outcome::Park`], and its result is kept.
    Stop,
    /// The process dies of this signal.
    Die {
        /// 1 to 64.
        signal: u32,
    },
}

/// How a process ended natively.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// It exited with this status.
    Exited(i32),
    /// A signal killed it.
    Killed {
        /// 1 to 64.
        signal: u32,
        /// Its core was dumped.
        has_core: bool,
    },
}

/// What guests know of a process without asking: the words that the simulator writes into its block, and what the
/// real kernel watches over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Published {
    /// The parent's process id.
    pub parent: u32,
    /// The process group.
    pub group: u32,
    /// The session.
    pub session: u32,
    /// Soft and hard limit of descriptors.
    pub descriptor_limit: (u64, u64),
    /// Most bytes of address space, if they were ever limited; `u64::MAX`: not any more.
    pub address_space_bytes: Option<u64>,
}
