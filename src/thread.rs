//! A thread of the guest, as the shim sees it: its slot, and how it ends.
//!
//! Out: [`Slot::current`], the way from anywhere to everything. Always true: a managed thread has a
//! slot from `boot` until its last instruction, and per-process state is reached through it, never
//! through a static.

mod exit;
mod slot;

pub use exit::exit_thread;
pub use slot::{Change, FaultReason, Slot};
