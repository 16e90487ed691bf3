//! Which arena is open on this thread.
//!
//! A closure in, its result out, and in between allocations of this thread come from the given arena,
//! or from none. Always true: scopes nest like calls: the innermost counts, and when it ends, also by
//! a panic, the one around it counts again. Reading the open scope allocates nothing, for the
//! allocator does it. Not here: that the arena stays mapped meanwhile (`Arena::enter` borrows it).

use std::cell::Cell;

thread_local! {
    static OPEN: Cell<Option<u32>> = const { Cell::new(None) };
}

/// The arena that is open on this thread.
pub(crate) fn open() -> Option<u32> {
    OPEN.get()
}

/// Run `f` with `arena` open.
pub(crate) fn with<R>(arena: Option<u32>, f: impl FnOnce() -> R) -> R {
    struct Restore(Option<u32>);
    impl Drop for Restore {
        fn drop(&mut self) {
            OPEN.set(self.0);
        }
    }
    let _restore = Restore(OPEN.replace(arena));
    f()
}

/// Run `f` with no arena open: what a call back out of a scope allocates does not land in the arena.
pub fn outside<R>(f: impl FnOnce() -> R) -> R {
    with(None, f)
}
