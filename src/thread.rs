//! A thread of the guest, as the shim sees it: its slot and place, how it begins, how it ends.
//!
//! Out: [`Slot::current`], the way from anywhere to everything. Always true: a managed thread has a
//! slot from its first moment until its last instruction, and per-process state is reached through it, never
//! through a static. Threads and processes that guests make are [`clone`]; `boot` makes the first of an image.

mod begin;
pub mod clone;
mod current;
mod exit;
pub mod place;
mod slot;

pub use begin::install_signal_stack;
pub use current::Current;
pub use exit::{exit_thread, process_exit};
pub use place::Place;
pub use slot::{Change, FaultReason, Slot, reads_clock_fast};
