//! The embedded simulator, above one host.
//!
//! Hosts (`shim-host`) step; this crate decides when, and turns what they tell into what a person reads.
//!
//! The rooms, in the order of a run:
//!
//! 1. [`calendar`]: what people write for instants and lengths of time;
//! 2. [`config`]: reads a scenario: the hosts of a simulation and what runs on them;
//! 3. [`engine`]: runs a scenario in rounds on a pool of workers, or a single host, to its end;
//! 4. [`fabric`]: the network between hosts;
//! 5. [`output`]: where observations go: the data directory of a scenario, or two writers; [`trace`] words
//!    system calls as strace(1) does, [`log_line`] words log records;
//! 6. [`summary`]: what ended how and what was lacking, when all is over; [`report`]: a page about all that a data directory tells.
//!
//! # Rules
//!
//! - Nothing but the public APIs of `shim-host` and `shim-supervisor` is used, which is the proof that somebody else's engine can
//!   do the same.
//! - Lines depend on simulated time and on guests, never on the run: two runs write the same bytes.
//! - What a guest wrote is escaped before a person sees it.
#![forbid(unsafe_code)]

pub mod calendar;
pub mod config;
pub mod engine;
pub mod fabric;
pub mod log_line;
pub mod output;
pub mod report;
pub mod summary;
pub mod trace;
