//! The memory that a host's kernel lives in.
//!
//! Everything that a kernel allocates while it is called lies in one memory file, its *arena*, which
//! every process that maps it has at the same address. Boxes, vectors and maps are then valid in all
//! of them, and moving a kernel into another process is mapping the file there. The kernel itself
//! knows nothing of it: the executable's global allocator serves from the arena while a *scope* is
//! open on the thread, and from an ordinary allocator otherwise.
//!
//! 1. [`allocator`]: [`ScopedAllocator`], which an executable installs as its global allocator;
//! 2. [`arena`]: [`Arena`], to create, attach, enter and find again;
//! 3. [`scope`]: which arena is open on this thread; [`outside`] leaves it for a call back;
//! 4. `table`: which arenas this process has, and who is inside one;
//! 5. [`books`]: the bookkeeping, at the start of the arena; `heap`: the same under a lock;
//! 6. `file`: the memory file and its mapping.
//!
//! # Rules
//!
//! - A block never changes its home: `free` and `realloc` decide by address, whatever scope is open
//!   and on whatever thread. What is allocated in a scope may be used and freed outside.
//! - An arena that is full says so (the allocation fails). It is never helped out by the fallback.
//! - Nothing in an arena points out of it, neither to code nor to data of one image. This crate keeps
//!   to that; whoever runs in a scope must, too. So only the kernel runs in a scope: whatever else is
//!   reached from it (a call back into the supervisor, logging, the first use of something lazy in
//!   `std`) goes through [`outside`].
//! - One process at a time uses an arena: the one with control. Threads of one process may share it.
//! - The layout of what is inside is Rust's own, so all processes are built from the same sources by
//!   the same compiler.
//! - `std` is needed for the thread-local that holds the open scope and for `io::Error`. A guest, which has none,
//!   uses [`books`] alone (without the feature `std`): it maps its host's arena itself, and only the thread that has
//!   control is in it.
//!
//! # Why rlsf
//!
//! Of the allocators that manage memory given to them, `rlsf` 0.2 and `talc` 5 were looked at. Both
//! keep their books in the memory itself, both are maintained. `rlsf` is one plain structure of bitmaps
//! and list heads without hooks or type parameters that could hold a pointer to code, takes constant
//! time whatever the history, and has kept its interface since 2022. `talc` wastes less on small blocks
//! (8 bytes each; `rlsf` takes 16 and rounds up to 32), but changed its interface incompatibly four
//! times since 2023, wants a "source" to grow from, which we would have to disable, and brings `lock_api`
//! and `allocator-api2` along for interfaces that are not needed here.
#![deny(unsafe_code)]
#![cfg_attr(not(feature = "std"), no_std)]

#[cfg(feature = "std")]
pub mod allocator;
#[cfg(feature = "std")]
pub mod arena;
pub mod books;
#[cfg(feature = "std")]
mod file;
#[cfg(feature = "std")]
mod heap;
#[cfg(feature = "std")]
pub mod scope;
#[cfg(feature = "std")]
mod table;

#[cfg(feature = "std")]
pub use allocator::ScopedAllocator;
#[cfg(feature = "std")]
pub use arena::Arena;
#[cfg(feature = "std")]
pub use scope::outside;
#[cfg(feature = "std")]
pub use table::{MAX_ARENA_BYTES, MAX_ARENAS};
