//! The embedded simulator, above one host.
//!
//! Hosts (`shim-host`) step; this crate decides when, and turns what they tell into what a person reads.
//!
//! The rooms, in the order of a run:
//!
//! 1. [`calendar`]: what people write for instants and lengths of time;
//! 2. [`engine`]: runs a simulation to its end; one host so far;
//! 3. [`output`]: where observations go: [`trace`] words system calls as strace(1) does, [`log_line`] words log
//!    records;
//! 4. [`summary`]: what was lacking, when all is over.
//!
//! # Rules
//!
//! - Nothing but the public API of `shim-host` is used, which is the proof that somebody else's engine can
//!   do the same.
//! - Lines depend on simulated time and on guests, never on the run: two runs write the same bytes.
//! - What a guest wrote is escaped before a person sees it.
#![forbid(unsafe_code)]

pub mod calendar;
pub mod engine;
pub mod log_line;
pub mod output;
pub mod summary;
pub mod trace;
