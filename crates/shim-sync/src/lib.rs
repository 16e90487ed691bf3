//! Handing *control* from a guest thread to its simulator and back.
//!
//! A thread's channel is a piece of shared memory that both sides read and write. What makes that
//! sound is one 32-bit word, the control word: it says which side has control, and only that side
//! touches the rest. Handing control over publishes everything written so far; getting it makes
//! everything that the other side wrote visible. This crate is that word and nothing else:
//!
//! 1. [`word`]: the few atomic operations that the word needs, so that a model checker can stand in
//!    for the processor;
//! 2. [`futex`]: sleeping and waking, which the user of this crate brings along;
//! 3. [`control`]: the state machine, on the bits that `shim-abi` names;
//! 4. [`baton`]: another one, for guests that hand control to each other before it comes back.
//!
//! # Rules
//!
//! - `no_std`, no dependency but `shim-abi`, no unsafe code, no system calls: the guest sleeps through its gate,
//!   the simulator through its libc.
//! - A [`Control`] is a view. All state is in the word, so a view may be made anew for every use, in
//!   any process that maps the word.
//! - The other side may die or write garbage at any moment. Nothing here panics or waits for ever
//!   because of it, provided that somebody watches the other side and calls [`Control::close`].
//! - What is claimed about interleavings is checked by `tests/loom.rs`. That these checks are able to
//!   fail is shown there, too, on a weakened word and on a futex that loses wakes.
#![no_std]
#![forbid(unsafe_code)]

pub mod baton;
pub mod control;
pub mod futex;
pub mod word;

pub use baton::{Baton, Turn};
pub use control::{Closed, Control, Side, initialize};
pub use futex::Futex;
pub use word::Word;
