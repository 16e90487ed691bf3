//! Which arenas this process has mapped, and who is inside one.
//!
//! Indices in; a [`Lock`] out, which proves that the arena is mapped and that nobody
//! else of this process is in its books. Always true: an arena is published here only after its
//! header is valid and withdrawn before it is unmapped, both by whoever mapped it. Not here: what the
//! lock guards (`heap`), and exclusion between processes, which is control's (see `Arena::attach`).
//!
//! Why the lock is not in the arena: a process that is killed inside would leave it locked for ever.

use std::hint;
use std::sync::atomic::{
    AtomicU8,
    Ordering::{Acquire, Relaxed, Release},
};
use std::thread;

pub(crate) use crate::books::{address, index_at};

/// Size of the largest arena.
pub const MAX_ARENA_BYTES: usize = shim_abi::address::ARENA_BYTES;
/// How many arenas there can be, in all processes that share any.
pub const MAX_ARENAS: u32 = shim_abi::address::MAX_ARENAS as u32;

const UNMAPPED: u8 = 0;
const IDLE: u8 = 1;
const BUSY: u8 = 2;

/// How often to look at a busy arena before the thread lets others run.
const SPINS: u32 = 100;

/// On a cache line of its own: different threads work in different arenas.
#[repr(align(64))]
struct State(AtomicU8);

static TABLE: [State; MAX_ARENAS as usize] =
    [const { State(AtomicU8::new(UNMAPPED)) }; MAX_ARENAS as usize];

/// The right to use the books of one arena.
pub(crate) struct Lock {
    index: u32,
}

impl Lock {
    /// Get into arena `index`; `None` if this process does not have it.
    pub(crate) fn take(index: u32) -> Option<Lock> {
        let state = &TABLE[index as usize].0;
        let mut looks = 0;
        loop {
            match state.compare_exchange_weak(IDLE, BUSY, Acquire, Relaxed) {
                Ok(_) => return Some(Lock { index }),
                Err(UNMAPPED) => return None,
                Err(_) if looks < SPINS => {
                    looks += 1;
                    hint::spin_loop();
                }
                Err(_) => thread::yield_now(),
            }
        }
    }

    /// Which arena it is.
    pub(crate) fn index(&self) -> u32 {
        self.index
    }

    /// The arena is about to be unmapped: nobody gets in any more.
    pub(crate) fn withdraw(self) {
        TABLE[self.index as usize].0.store(UNMAPPED, Release);
        std::mem::forget(self);
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        TABLE[self.index as usize].0.store(IDLE, Release);
    }
}

/// Arena `index` is mapped and its header valid. Only by who mapped it.
pub(crate) fn publish(index: u32) {
    TABLE[index as usize].0.store(IDLE, Release);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arena_that_is_not_mapped_cannot_be_locked() {
        assert!(Lock::take(4000).is_none());
        publish(4000);
        drop(Lock::take(4000).unwrap());
        Lock::take(4000).unwrap().withdraw();
        assert!(Lock::take(4000).is_none());
    }
}
