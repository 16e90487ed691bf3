//! What a guest and a simulator agree on.
//!
//! A guest (a program running under `libshim.so`) and a simulator are two programs, built at
//! different times, that share memory and hand *control* to each other. Everything that both must
//! read the same way is in this crate, and nothing else is:
//!
//! 1. [`version`]: the protocol's numbers, checked on both sides before anything else is believed;
//! 2. [`address`]: where the shared memory stands in a guest;
//! 3. [`handoff`]: the first bytes a new image reads: where its blocks are;
//! 4. [`block`]: the header that each block starts with; [`manager`], [`host`], [`process`],
//!    [`thread`]: the four blocks; [`region`]: how a host's blocks lie in its two memory files;
//!    [`names`]: the names and addresses of all hosts, in a file that they share;
//! 5. [`event`]: the messages that cross a thread's channel;
//! 6. [`ring`]: log and trace records, written by the guest, drained by the simulator;
//! 7. [`calls`]: the table of system calls: one line a call, which drives dispatch in the guest,
//!    the traces and `docs/syscalls.md`; [`virtual_files`]: the files that show the simulated machine;
//! 8. [`image`]: rewritten code that guests map over the original, and its tables;
//! 9. [`time`], [`clock`], [`errno`], [`random`]: the words and small algorithms that both sides use.
//!
//! # Rules
//!
//! - `no_std`, no dependencies, no unsafe code except the marker [`block::ShmSafe`].
//! - Every word in shared memory names its writer. A word that changes after publication is an
//!   atomic; what is not atomic is written once, before the memory is shared.
//! - Positions are offsets, never pointers. What the peer wrote is an allegation: decoding
//!   functions validate and return `Option` or `Result`, they never trust a tag or a length.
//! - Units stand last in a name (`_ns`, `_bytes`, `_hz`).
#![no_std]
#![deny(unsafe_code)]

pub mod address;
pub mod block;
pub mod calls;
pub mod clock;
pub mod errno;
pub mod event;
pub mod handoff;
pub mod host;
pub mod image;
pub mod manager;
pub mod names;
pub mod process;
pub mod random;
pub mod region;
pub mod ring;
pub mod text;
pub mod thread;
pub mod time;
pub mod version;
pub mod virtual_files;

pub use errno::Errno;
pub use time::{SimDuration, SimTime};
