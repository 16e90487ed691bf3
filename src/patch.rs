//! Patched images: code of libraries whose system calls are jumps to the entry, mapped over the original.
//!
//! Nothing in at a start, an address that trapped later; afterwards the calls of what is mapped arrive without a
//! trap. What can be patched and how is the supervisor's (`shim-patch`), how an image lies in memory is
//! `shim_abi::image`. Always true: an image is mapped only while no other thread of this memory runs, which is
//! whenever this one does; a guest never sees an address of an image ([`original`]) and goes on in it where it left
//! off ([`place`]); what is not mapped traps, which is slower and as right.
//!
//! - `map`: the answer of the supervisor, put in place, and what is in place where.
//! - `translate`: the addresses of the one in the other.

mod map;
mod translate;

pub use map::{begin, consider, forget, has_new_code, reads_counter};
pub use translate::{emulated_at, original, place};
