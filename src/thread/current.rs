//! A reference that changes when a thread becomes another process's: its blocks after a fork.
//!
//! A `&'static T` in, the same out. Always true: only the thread whose slot holds it changes it, in the moment
//! in which the copy of the thread in a new process takes over its own blocks.

use core::cell::Cell;
use core::ops::Deref;

/// A block of the thread's, now. Laid out as the reference, for assembly reads it.
#[repr(transparent)]
pub struct Current<T: 'static>(Cell<&'static T>);

impl<T> Current<T> {
    /// One that refers to `block`.
    pub fn new(block: &'static T) -> Current<T> {
        Current(Cell::new(block))
    }
    /// What it refers to.
    pub fn get(&self) -> &'static T {
        self.0.get()
    }
    /// Refer to `block` from now on.
    pub fn set(&self, block: &'static T) {
        self.0.set(block);
    }
}

impl<T> Deref for Current<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.get()
    }
}
