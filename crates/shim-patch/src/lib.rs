//! Rewrites system calls of libraries and programs ahead of time, once for all guests.
//!
//! A guest's `syscall` traps, which costs 2,000 ns; a jump to the shim costs 6. A guest cannot know where it may
//! write jumps: that takes decoding a whole library. So the simulator's side does it, once for each content of a
//! file, and guests map the result over the original. The instructions that read the processor's clock or name
//! it (`rdtsc`, `rdtscp`, `cpuid`) are replaced likewise, so that nothing has to be trapped for their sake.
//!
//! Rooms, in the order of the work:
//!
//! 1. [`elf`]: a file's tables: where its code is, and where functions begin;
//! 2. [`scan`]: the code, decoded: the instructions to replace, where control arrives, what is padding;
//! 3. [`plan`]: for each instruction the way in which it is replaced, or the reason why it is not;
//! 4. [`cache`]: plans on disk;
//! 5. [`stub`] and `unwind`: the bytes of stubs, and what unwinders need to know of them;
//! 6. [`texts`] and [`image`]: the pages and bytes that guests map. Their format is `shim_abi::image`. [`kept`]: images
//!    on disk.
//!
//! # Rules
//!
//! - Files are data to validate: none, however broken or malicious, makes anything here panic, run for ever or
//!   write a jump where the file has no instruction.
//! - In doubt nothing is replaced: a site that keeps trapping is slower and still right.
//! - Nothing here runs code, maps memory or talks to a guest.
//!
//! Why these crates: `iced-x86` is the decoder that knows every instruction, says how each moves control and which
//! registers it touches, and is in wide use; `object` reads ELF files in the supervisor already; `gimli` is its
//! sibling for unwind tables; `postcard` is a serializer with a documented, stable format.
#![forbid(unsafe_code)]

pub mod cache;
pub mod elf;
pub mod image;
pub mod kept;
pub mod plan;
pub mod scan;
pub mod stub;
pub mod texts;
mod unwind;
