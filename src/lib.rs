//! `libshim.so`: what makes a program a guest of a simulator.
//!
//! The library is loaded into a real, unmodified Linux program, by `LD_PRELOAD` or because the program
//! links it. If a simulator handed the process over (`SHIM_HANDOFF_FD`), every system call and clock of the
//! program comes here, and is answered in one of three ways: *locally* from shared memory, *natively* by the
//! real kernel, or by *forwarding* it to the simulator at the other end of the channel. If nobody did, the
//! library has done nothing, and its C functions work natively.
//!
//! # The way of one call
//!
//! 1. [`trap`], or a patched site (see [`patch`]), brings control to the one entry in [`arch`];
//! 2. the entry makes a [`frame`] on the thread's private stack and calls [`serve`];
//! 3. [`dispatch`] asks the table of `shim-abi` who answers:
//!    [`local`] | [`native`] | [`forward`] (to the simulator: supervisor, host, kernel) | nobody; a call on a
//!    virtual descriptor passes through [`objects`] on its way to the simulator; where that would only ask the host's
//!    kernel, [`kernel`] asks it right here;
//! 4. [`signal`] delivers what is pending;
//! 5. the entry restores the frame.
//!
//! # The other rooms
//!
//! [`boot`] makes a guest of a process, step by step. [`thread`] holds the slot, through which everything is
//! reached. [`guest_memory`] is the only way to guest memory. [`sys`] makes the shim's own calls. [`trace`]
//! tells the simulator beside answers. [`names`] answers what programs ask about names and interfaces, as
//! functions of the C interface and not on the way of a call. `rt` is what a library without a runtime needs; `capi` is the C
//! interface (its texts become the headers), [`capi_impl`] what is behind it.
//!
//! # Rules
//!
//! - Rooms do not call each other across the way of a call: `serve` and `dispatch` call them.
//! - No libc, no lock, no thread-local; nobody allocates but the host's kernel, in the host's arena; per-process state
//!   hangs off the slot.
//! - The shim's stack is empty whenever guest code runs.
//! - Guest addresses are numbers; only `guest_memory` follows them.
//! - Nothing is `no_mangle` outside `capi` and the symbols that assembly calls.
//! - Unsafe code is in the files that say so (`tests/unsafe.list`).
#![no_std]
#![deny(unsafe_code)]
// The rooms are private, and this page leads to them.
#![allow(rustdoc::private_intra_doc_links)]

mod arch;
mod boot;
mod capi;
mod capi_impl;
mod dispatch;
mod forward;
mod frame;
mod guest_memory;
mod kernel;
mod local;
mod names;
mod native;
mod objects;
mod patch;
mod rt;
mod serve;
mod signal;
mod sys;
mod thread;
mod trace;
mod trap;
