//! The atomic operations that a control word needs.
//!
//! A [`Word`] is what `control` is generic over: the processor's `AtomicU32` in the product, a model
//! checker's word in `tests/loom.rs`. Always true: the operations mean what the methods of the same
//! name of [`AtomicU32`] mean, so nothing is renamed or given a default ordering. Not here: which
//! orderings are used, and why (`control`).
//!
//! Why not `cfg(loom)`: with a trait the product's code and the checked code are the same compiled
//! text, the model runs in an ordinary `cargo test`, and a test can check a deliberately broken word.

use core::sync::atomic::{AtomicU32, Ordering};

/// A 32-bit word that several threads or processes share.
pub trait Word {
    /// As [`AtomicU32::load`].
    fn load(&self, order: Ordering) -> u32;
    /// As [`AtomicU32::store`].
    fn store(&self, value: u32, order: Ordering);
    /// As [`AtomicU32::compare_exchange`]: it never fails spuriously.
    fn compare_exchange(
        &self,
        current: u32,
        new: u32,
        success: Ordering,
        failure: Ordering,
    ) -> Result<u32, u32>;
    /// As [`AtomicU32::fetch_or`].
    fn fetch_or(&self, bits: u32, order: Ordering) -> u32;
    /// A short rest between two looks at the word.
    fn pause() {
        core::hint::spin_loop();
    }
}

impl Word for AtomicU32 {
    fn load(&self, order: Ordering) -> u32 {
        self.load(order)
    }
    fn store(&self, value: u32, order: Ordering) {
        self.store(value, order);
    }
    fn compare_exchange(
        &self,
        current: u32,
        new: u32,
        success: Ordering,
        failure: Ordering,
    ) -> Result<u32, u32> {
        self.compare_exchange(current, new, success, failure)
    }
    fn fetch_or(&self, bits: u32, order: Ordering) -> u32 {
        self.fetch_or(bits, order)
    }
}
