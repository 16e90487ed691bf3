//! The files of this repository that are made from others, and how.
//!
//! `include/shim/*.h` and `man/*.3` are made from the C boundaries of the guest (`src/capi/`) and of the supervisor's
//! library (`crates/shim-supervisor-c/src/`), whose comments are the C manual; `docs/syscalls.md` from the table of system
//! calls in `shim-abi`, `docs/protocol-layout.md`, `docs/protocol.h` and `tests/abi/protocol-layout.c` from its layouts. All of them are checked
//! in, so that nobody needs this tool to use the library: `cargo run -p shim-gen` writes them anew,
//! `cargo test -p shim-gen` fails if one is stale.
//!
//! 1. [`files`]: the list of made files, where they lie, writing and comparing them;
//! 2. [`headers`]: the headers of each library, by cbindgen; [`fixed`]: the two headers, the introductions, and the
//!    macros, that are written by hand;
//! 3. [`manual`]: the manual's pages of the functions, from the headers;
//! 4. [`syscalls`]: the page of system calls;
//! 5. [`protocol`]: what a simulator and a guest say to each other, as tables and in C.
//!
//! # Rules
//!
//! - Same sources, same bytes: no date, no path, no order that a hash map chose.
//! - The tool only reads sources; it never builds or loads the guest.
#![forbid(unsafe_code)]

pub mod files;
pub mod fixed;
pub mod headers;
pub mod manual;
pub mod protocol;
pub mod syscalls;
