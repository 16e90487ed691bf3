//! Which blocks of a host's memory are in use.
//!
//! A [`HostMemory`] in, [`ProcessSlot`] and [`ThreadSlot`] out: the right to one block for as long as
//! the value lives. Always true: a block that is handed out is all zeroes but for its header; the
//! lowest free index is given, so that the same run uses the same blocks. Dropping a slot clears the
//! block, so its owner must know that nobody writes to it any more. Who knows that is `guest`.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use shim_abi::process::ProcessBlock;
use shim_abi::thread::ThreadBlock;

use crate::region::HostMemory;

/// Free and used indices below a capacity.
#[derive(Debug)]
pub(crate) struct Indices {
    used: Vec<bool>,
    capacity: u32,
}

impl Indices {
    pub(crate) fn new(capacity: u32) -> Self {
        Indices { used: Vec::new(), capacity }
    }

    fn allocate(&mut self) -> Option<u32> {
        let index = self.used.iter().position(|used| !used).unwrap_or(self.used.len());
        if index >= self.capacity as usize {
            return None;
        }
        match self.used.get_mut(index) {
            Some(used) => *used = true,
            None => self.used.push(true),
        }
        Some(index as u32)
    }

    fn free(&mut self, index: u32) {
        if let Some(used) = self.used.get_mut(index as usize) {
            *used = false;
        }
    }
}

/// Whether something holds for a used index.
pub(crate) fn any_used(indices: &Mutex<Indices>, mut holds: impl FnMut(u32) -> bool) -> bool {
    with(indices, |indices| {
        let used = indices.used.iter().zip(0..);
        used.filter(|(is_used, _)| **is_used).any(|(_, index)| holds(index))
    })
}

fn with<T>(indices: &Mutex<Indices>, f: impl FnOnce(&mut Indices) -> T) -> T {
    f(&mut indices.lock().unwrap_or_else(PoisonError::into_inner))
}

/// A process block in use.
#[derive(Debug)]
pub(crate) struct ProcessSlot {
    memory: Arc<HostMemory>,
    index: u32,
    is_abandoned: AtomicBool,
}

impl ProcessSlot {
    pub(crate) fn allocate(memory: &Arc<HostMemory>) -> Option<ProcessSlot> {
        let index = with(&memory.processes, Indices::allocate)?;
        memory.begin_process(index);
        Some(ProcessSlot { memory: memory.clone(), index, is_abandoned: AtomicBool::new(false) })
    }
    pub(crate) fn index(&self) -> u32 {
        self.index
    }
    /// Never use this block again: somebody may still write to it.
    pub(crate) fn abandon(&self) {
        self.is_abandoned.store(true, Relaxed);
    }
    pub(crate) fn block(&self) -> &ProcessBlock {
        self.memory.process(self.index).expect("a slot's index is below the capacity")
    }
}

impl Drop for ProcessSlot {
    fn drop(&mut self) {
        // A block that could not be cleared is never used again.
        if !self.is_abandoned.load(Relaxed) && self.memory.clear_process(self.index) {
            with(&self.memory.processes, |indices| indices.free(self.index));
        }
    }
}

/// A thread block in use.
#[derive(Debug)]
pub(crate) struct ThreadSlot {
    memory: Arc<HostMemory>,
    index: u32,
    is_abandoned: AtomicBool,
}

impl ThreadSlot {
    pub(crate) fn allocate(memory: &Arc<HostMemory>) -> Option<ThreadSlot> {
        let index = with(&memory.threads, Indices::allocate)?;
        memory.begin_thread(index);
        Some(ThreadSlot { memory: memory.clone(), index, is_abandoned: AtomicBool::new(false) })
    }
    pub(crate) fn index(&self) -> u32 {
        self.index
    }
    /// Never use this block again: somebody may still write to it.
    pub(crate) fn abandon(&self) {
        self.is_abandoned.store(true, Relaxed);
    }
    /// The right to the same block, in place of this one.
    pub(crate) fn hand_on(&self) -> ThreadSlot {
        self.abandon();
        ThreadSlot {
            memory: self.memory.clone(),
            index: self.index,
            is_abandoned: AtomicBool::new(false),
        }
    }
    pub(crate) fn block(&self) -> &ThreadBlock {
        self.memory.thread(self.index).expect("a slot's index is below the capacity")
    }
}

impl Drop for ThreadSlot {
    fn drop(&mut self) {
        if !self.is_abandoned.load(Relaxed) && self.memory.clear_thread(self.index) {
            with(&self.memory.threads, |indices| indices.free(self.index));
        }
    }
}
