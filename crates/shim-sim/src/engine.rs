//! Runs simulations to their ends.
//!
//! A scenario goes in, what became of its processes comes out. Rooms: [`alone`] is a single host
//! without a scenario (`shim exec`); [`simulation`] is a scenario from its start to its end, in rounds
//! (`rounds`) on a pool of workers (`pool`, `processors`) that step its hosts (`machines`, `member`), whose processes
//! start and end by an `agenda`; `limits` makes room for many; [`outcome`] says what became of each process, [`control`]
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
mod limits;
mod machines;
mod member;
pub mod outcome;
mod pool;
mod processors;
mod rounds;
pub mod simulation;

pub use alone::{Ending, run};
pub use control::Control;
pub use outcome::{Outcome, ProcessReport};
pub use simulation::{Progress, Report, Setup, simulate};
