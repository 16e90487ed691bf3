//! The one room that knows the processor.
//!
//! Names in, instructions out: each architecture offers the same set: the entry, the gate's calls,
//! the copy routine, the thread slot's register, the vDSO's byte patterns. Always true: no other room
//! names a register of the machine except through [`crate::frame::Frame`]. How control comes to the
//! entry is not here (`trap/`), nor what happens behind it (`serve`).

mod x86_64;
pub use x86_64::*;
