//! What the tests of the whole share: Linux is the oracle, so every program runs natively first.
//!
//! A test names a program; this crate has the library and the command `shim` built, runs the program
//! natively and then as a guest, each in a fresh directory and within a limit of time, and compares
//! what can be seen from outside.
//!
//! 1. [`built`]: `libshim.so` and `shim`, built once for the whole test run;
//! 2. [`guest`]: small C programs of `tests/guests/`, compiled for glibc and musl;
//! 3. [`run`]: one run of one program, native or as a guest: what goes in, what came out;
//! 4. [`installed`]: the SDK in a scratch prefix, and what pkg-config says about it;
//! 5. [`compare`]: both runs, side by side, and the folders they left behind;
//! 6. [`mark`]: the processes of a run, found whatever has become of them;
//! 7. [`programs`], [`whole`]: the lists of programs and scripts that are guests;
//! 8. [`scenario`]: hosts with such guests, as a file for `shim run`; [`network`]: hosts that exchange something;
//! 9. [`each()`]: work on many of them, side by side;
//! 10. [`suite`]: tests that others wrote, their sources and exceptions.
//!
//! # Rules
//!
//! - A thing that is missing (a compiler, a program) is a failure that names it, never a skipped test.
//! - Every run has a limit of time and leaves no process behind.
//! - Runs see a small fixed environment, so that a test means the same on every machine.
//! - The crate never links the guest or the simulator: it tests the built files as users have them.
#![forbid(unsafe_code)]

pub mod built;
pub mod compare;
pub mod each;
pub mod guest;
pub mod installed;
pub mod mark;
pub mod network;
pub mod programs;
pub mod run;
pub mod scenario;
pub mod suite;
pub mod whole;

pub use compare::{Folder, assert_same};
pub use each::each;
pub use guest::Libc;
pub use mark::{Mark, eventually};
pub use run::{Outcome, Run, Status};
