//! An executable that forgot to install the allocator.
//!
//! No allocator in, an error out. Always true: such an executable gets no arena, rather than one that
//! stays empty. Not here: everything that works (`arena.rs`).

use std::io::ErrorKind;

use shim_arena::Arena;

#[test]
fn an_arena_that_nothing_would_use_is_refused() {
    for _ in 0..2 {
        let error = Arena::create(0, 1 << 20).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.to_string().contains("global allocator"), "{error}");
    }
}
