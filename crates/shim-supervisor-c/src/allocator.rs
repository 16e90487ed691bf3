//! The library's own memory, and its hosts'.
//!
//! Nothing in; the allocator that Rust code of this library uses. Always true: what a host's kernel allocates lies in
//! the host's arena (`shim-arena`), everything else comes from the C library's `malloc`, which the embedding program
//! may replace; that program's own allocations are untouched.

use std::alloc::System;

use shim_arena::ScopedAllocator;

#[global_allocator]
static ALLOCATOR: ScopedAllocator<System> = ScopedAllocator::new(System);
