//! One simulated machine as a steppable unit.
//!
//! A [`Host`] joins the virtual Linux of one machine (`shim-kernel`: policy) to its guests
//! (`shim-supervisor`: mechanism). It knows no other host and no engine: whoever owns an event loop owns
//! simulated time, steps hosts with it, and asks each when it wants to be stepped again.
//!
//! The rooms, in the order in which a run enters them:
//!
//! 1. [`probe`]: what the real machine offers to guests at all;
//! 2. [`config`]: what the owner decides, and what follows for kernel and memory files;
//! 3. [`image`]: whether a program can become a guest;
//! 4. [`host`]: processes, and the order in which their threads run; `machine` holds the kernel in its arena and
//!    the clock;
//! 5. `serve`: a thread's turn: requests and their answers; `birth`: when it makes another or replaces its image;
//!    `death`: ends, whoever notices them; `guest_view` is how the kernel sees guests, `watchers` what it
//!    sees of native files, `process` and `thread` what
//!    is remembered of them;
//! 6. [`interrupter`]: signals from outside the simulation; `network`: datagrams that come from other hosts and go there;
//! 7. [`observe`], [`lacks`], `preemptions`: what a host tells about its guests, while they run and
//!    afterwards.
//!
//! # Rules
//!
//! - One thread of a host runs at a time, and time moves on with it: threads run in the order in which they
//!   became ready, for the turns that `machine` describes. Nothing follows real time, but for what the outside
//!   does (standard streams, interrupts), and for the watchdog, which is told.
//! - The host's clock and the limit of its guests change only while no guest has control.
//! - The kernel is called only with its arena open, so that its whole state lies there.
//! - A guest that breaks the protocol is killed and named; it never takes the simulator down.
//! - Unsafe code is in `probe::child` alone.
//! - Nothing here imports `shim-sim`: no lines of text, no files, no event loop.
#![deny(unsafe_code)]

mod birth;
pub mod config;
mod death;
mod guest_view;
pub mod host;
pub mod image;
pub mod interrupter;
pub mod lacks;
mod machine;
mod network;
pub mod observe;
mod preemptions;
pub mod probe;
mod process;
mod serve;
mod thread;
mod watchers;

pub use config::HostConfig;
pub use host::{Census, Host, StartError, StepOutcome, Waiting};
pub use interrupter::Interrupter;
pub use lacks::{Lack, LackKind};
pub use observe::{Observation, Observer, ProcessEnd, Source};
pub use preemptions::Preemption;
pub use process::Failure;
pub use shim_kernel::{
    Amount, Departure, SocketRecord, SocketSum, Transport, Trouble, error_about,
};
pub use shim_supervisor::{Name, Names};
