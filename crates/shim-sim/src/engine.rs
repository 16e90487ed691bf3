//! Runs simulations to their ends.
//!
//! A scenario goes in, what became of its processes comes out. Rooms: [`alone`] is a single host
//! without a scenario (`shim exec`); [`simulation`] is a scenario from its start to its end, in rounds
//! (`rounds`) on a pool of workers (`pool`, `processors`) that step its hosts (`machines`, `member`), each of which has its
//! place in the fabric (`transit`), whose processes start and end by an `agenda`; `faults` are what goes wrong, [`packets`] what an embedder does to datagrams; `limits` makes room for many; `sharing` finds
//! the files that hosts share, `sockets` are what those of a host have carried; [`outcome`] says what became of each process, [`control`]
//! is how a person ends a run.
//!
//! # Why results do not depend on workers
//!
//! A round is no longer than the fastest packet, so within it no host can notice another. A host is
//! stepped by one worker at a time, with nothing but its own state; what it tells is kept with it and
//! collected between rounds, in the order of hosts. Where a round begins and ends follows from the
//! hosts' next events alone.

pub mod alone;

mod agenda;
pub mod control;
mod faults;
mod limits;
mod machines;
mod member;
pub mod outcome;
pub mod packets;
mod pool;
pub mod processors;
mod rounds;
mod sharing;
pub mod simulation;
mod sockets;
mod transit;

pub use alone::{Ending, run};
pub use control::Control;
pub use outcome::{Life, Outcome, ProcessReport};
pub use packets::{Packet, PacketRule, Verdict};
pub use processors::{Pinning, place};
pub use sharing::SharedFile;
pub use simulation::{Progress, Report, Setup, simulate};
pub use sockets::Sockets;
pub use transit::{TimeLine, Traffic};
