//! `/proc` as the simulated machine has it: its processes, by their virtual numbers.
//!
//! Paths with virtual numbers in, paths that the real kernel understands out, and numbers back. Rooms: `names` (who
//! is who), `contents` (files that show numbers), `listing` (directories that list them). Always true: only the
//! host's own processes are there; who ended and was not waited for, and the machine's first process, are there
//! too, although no real process is. Files without numbers in them are the real kernel's. See proc(5).

pub mod contents;
pub mod listing;
pub mod names;
pub mod pidfd;

pub use names::Subject;
