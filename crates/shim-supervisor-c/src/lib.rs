//! `libshim-supervisor.so.1`: guests, and whole hosts, under somebody else's event loop, in C.
//!
//! A C program links this library, keeps simulated time itself, and runs real processes in it. Two headers, which
//! `shim-gen` makes from the comments of this crate: `shim/supervisor.h` is the mechanism (a simulation, commands,
//! guests and their requests), `shim/host.h` one simulated machine as a steppable unit: our kernel and its guests.
//! One library for both, because a host contains the supervisor, and a launcher could not be passed from one
//! library to another.
//!
//! The rooms, in the order in which a caller enters them:
//!
//! 1. [`mod@pointer`]: what comes from C, made into references and texts; [`error`]: what goes back: numbers, and the message
//!    of a failure;
//! 2. [`simulation`]: launcher, library, names; [`beside`]: where `libshim.so.1` is;
//! 3. [`command`]: what to run;
//! 4. [`host`]: `host.h`, in files of its own: `config` and `tuning` (what the owner decides), `unit` (steps), `packets`,
//!    `processes`, `account` (what can be told afterwards), `records` (what is told meanwhile);
//! 5. [`bare`]: hosts without a kernel, and `settings` of theirs; [`guest`]: their guests, one thread each, in files of its own: `launch`, `events`, `answers`,
//!    `memory`, `signals`, `told`;
//! 6. [`allocator`]: the library's own memory, and its hosts'.
//!
//! # Rules
//!
//! - A function of the boundary makes typed values of what it is given and calls safe code. NULL and nonsense are -EINVAL
//!   with a message that says which argument it was and what to do.
//! - Nothing panics: a panic ends the embedding program, because the profile has it so. No `expect`, no indexing that
//!   could fail, no arithmetic that could overflow, in what a caller can reach with bad values.
//! - No globals but the message of each thread; no callback; whatever is handed out by pointer stays the library's, and is
//!   valid until the next call with the same object.
//! - Everything is opaque and configured by functions, so that structures can grow.
#![deny(unsafe_code)]
// Nothing is public to Rust: whoever reads this reads the sources.
#![allow(rustdoc::private_intra_doc_links)]

mod allocator;
mod bare;
mod beside;
mod command;
mod error;
mod guest;
mod host;
mod pointer;
mod simulation;
