//! The C boundary: every symbol that `libshim.so` exports, and its manual.
//!
//! Calls of C and C++ code of the guest come in, in the types of C; each goes on unchanged to the
//! function of the same name in [`crate::capi_impl`], and what that returns goes out. Always true: a
//! function here is one call, its documentation is what `shim-gen` turns into `include/shim/*.h`, and
//! its name stands in `src/shim.map`; nothing unwinds, because the guest is built to abort. What the
//! functions do is not here, and nothing outside this room carries an exported name.
//!
//! The rooms, one header each:
//!
//! 1. [`version`]: which library, which protocol, which features (`version.h`);
//! 2. [`api`]: system calls as the guest makes them, names, simulated time (`api.h`);
//! 3. [`native`]: past the simulation and back (`native.h`);
//! 4. [`shmem`]: the four blocks and what can be read of them (`shmem.h`);
//! 5. [`thread`]: the end of a thread (`thread.h`);
//! 6. [`log`]: records of the guest's own (`log.h`);
//! 7. [`boot`]: the start-up steps, for preload libraries; in no header;
//! 8. [`interposer`]: what `libshim-preload.so` needs beside; in no header.
//!
//! Why the documentation is not written as rustdoc would have it: cbindgen copies it as it stands, so
//! it is plain sentences with a word and a colon in front, readable in C.

pub(crate) mod api;
pub(crate) mod boot;
pub(crate) mod interposer;
pub(crate) mod log;
pub(crate) mod native;
pub(crate) mod shmem;
pub(crate) mod thread;
pub(crate) mod version;
