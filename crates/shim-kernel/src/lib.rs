//! The virtual Linux kernel of one simulated host.
//!
//! A call of a guest comes in as numbers, together with the means to reach the guest's memory; what
//! goes out is what Linux would answer, or that the caller must wait. Nothing else goes in or out:
//! this crate opens nothing, reads no clock, knows no thread of the machine it runs on. Whoever owns
//! the guests and simulated time (`shim-host`) drives it.
//!
//! # Rooms, in reading order
//!
//! 1. [`config`]: what a simulated machine is made of; `ids`: processes and threads as guests number
//!    them; [`guest`]: what the kernel asks of the calling guest; [`outcome`]: what it answers;
//! 2. `kernel`: the one state, and its public methods; `task`: processes, threads and what a parked
//!    call leaves behind; `agenda`: what happens when; `waiters`: who looks when something changed;
//! 3. `dispatch`: one line a call, to the function that answers it; `memory`: numbers and structures
//!    in guest memory; `context`: what such a function is given;
//!    `credentials`: whom the caller may do something to;
//! 4. one file per family of calls. Lives of processes and threads: `life` (`clone`, `exec`, `exit`, `end`, `wait`,
//!    `prctl`), `group`. Time: `clock`, `sleep`, `clock_set`, `interval`, `timer` (`call`, `expiry`, `cpu`). Signals:
//!    `signal` (`number`, `pending`, `queue`, `assign`, `send`, `wait`, `stop`, `deliver`). Scheduling: `sched`
//!    (`policy`, `attribute`, `affinity`, `priority`, `io_priority`). Waiting for memory: `futex`. Virtual
//!    descriptors: `file` (its rooms are listed there). Sockets: `socket`, and `net`, the network under
//!    those that have IP addresses. System V objects: `sysv`. Message queues: `mqueue`. Waiting for locks of files: `file_lock`. The
//!    rest: `limits`, `usage`, `identity`;
//! 5. `turn`: who goes on next, and for how long;
//! 6. `visit`: the same calls, made by a host's guests themselves;
//! 7. `files`: contents of the files that show the simulated machine.
//!
//! # Rules
//!
//! - `no_std`, `alloc`, no unsafe code. Same state and same call: same outcome.
//! - The state can move between processes: it lies in memory that each of them maps at one address,
//!   so it holds no pointer to code, no reference to a constant, no static; enums, not `dyn`. What is
//!   kept is allocated here, never taken over from the caller.
//! - No map with random order. Ties in time are broken by number.
//! - The guest is not believed: every number from it is checked as Linux checks it, in Linux's order,
//!   and a bad address is EFAULT.
//! - Guests are unprivileged users of the simulated machine, whoever they are on the real one: user 0 has power
//!   over other guests, over what they made, and over how it is scheduled, but none over the machine.
//! - The manual pages say what is right, and where they are silent, what Linux did when asked.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod agenda;
mod clock;
mod clock_set;
pub mod config;
mod context;
mod credentials;
mod dispatch;
mod file;
mod file_lock;
mod files;
mod futex;
mod group;
pub mod guest;
mod identity;
mod ids;
mod interval;
mod kernel;
mod life;
mod limits;
mod memory;
mod mqueue;
mod net;
pub mod outcome;
#[cfg(test)]
mod properties;
mod sched;
mod signal;
mod sleep;
mod socket;
mod sysv;
mod task;
#[cfg(test)]
mod testing;
mod timer;
mod turn;
mod usage;
mod visit;
mod waiters;

pub use config::{ClockJump, ClockSettings, Config};
pub use guest::{Backing, Guest, GuestAddr, Guests};
pub use ids::{VirtualPid, VirtualTid};
pub use kernel::Kernel;
pub use net::{
    Amount, Departure, MOST_RECORDS, SocketRecord, SocketSum, Transport, Trouble, error_about,
};
pub use outcome::{End, Outcome, Published, SignalOutcome};
pub use turn::{Passed, SLICE, Successor};
pub use visit::{Visit, Visited, is_for_visitors};
