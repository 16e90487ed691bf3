//! The calling thread, as the kernel sees it from within.
//!
//! The kernel's questions in, answers from this thread's blocks and memory out. Always true: guest memory is reached by
//! the copy routine, and memory of the shim's only where the call was given some. What needs the simulator's view, other
//! processes and the files behind mappings, is never asked: such calls are forwarded (`shim_kernel::is_for_visitors`).

use core::cell::Cell;
use core::sync::atomic::Ordering::Relaxed;

use shim_abi::Errno;
use shim_abi::names::Names;
use shim_kernel::{Backing, Guest, GuestAddr, Guests, VirtualPid};

use crate::boot;
use crate::forward::{OwnMemory, store_own};
use crate::guest_memory;
use crate::thread::Slot;
use crate::trace;

/// Who calls.
pub struct Caller<'a> {
    slot: &'a Slot,
    read: &'a OwnMemory<'a>,
    own: &'a [Cell<u64>],
}

impl<'a> Caller<'a> {
    /// The thread of `slot`, with memory of the shim's that it may read, and read and write.
    pub fn new(slot: &'a Slot, read: &'a OwnMemory<'a>, own: &'a [Cell<u64>]) -> Caller<'a> {
        Caller { slot, read, own }
    }
}

/// Where `bytes` bytes at `address` lie within words that begin at `start`, if they do.
fn within(start: u64, words: usize, address: u64, bytes: usize) -> Option<usize> {
    let offset = address.checked_sub(start)? as usize;
    (offset.checked_add(bytes)? <= words * 8).then_some(offset)
}

impl Guests for Caller<'_> {
    fn action_of(&self, _: VirtualPid, _: u32) -> (u64, u64) {
        trace::fail(b"the kernel asked a guest about another one")
    }
}

impl Guest for Caller<'_> {
    fn read(&mut self, from: GuestAddr, to: &mut [u8]) -> Result<(), Errno> {
        let words = |at: usize| self.own[at].get();
        if let Some(offset) = within(self.own.as_ptr() as u64, self.own.len(), from.0, to.len()) {
            copy_out(words, offset, to);
            return Ok(());
        }
        for piece in self.read {
            if let Some(offset) = within(piece.as_ptr() as u64, piece.len(), from.0, to.len()) {
                copy_out(|at| piece[at], offset, to);
                return Ok(());
            }
        }
        guest_memory::read_bytes(guest_memory::GuestAddr(from.0), to)
    }

    fn write(&mut self, to: GuestAddr, bytes: &[u8]) -> Result<(), Errno> {
        let at = guest_memory::GuestAddr(to.0);
        if store_own(self.own, at, bytes) {
            return Ok(());
        }
        guest_memory::write_bytes(at, bytes)
    }

    fn action(&self, signal: u32) -> (u64, u64) {
        let actions = &self.slot.process.actions;
        let action = (signal as usize).checked_sub(1).and_then(|at| actions.get(at));
        action.map_or((0, 0), |action| (action.handler.load(Relaxed), action.flags.load(Relaxed)))
    }

    fn signal_mask(&self) -> u64 {
        self.slot.thread.signal_mask.load(Relaxed)
    }

    fn cpu_ns(&self) -> u64 {
        self.slot.process.cpu_ns.load(Relaxed)
    }

    fn thread_cpu_ns(&self) -> u64 {
        self.slot.thread.cpu_ns.load(Relaxed)
    }

    fn backing(&mut self, _: GuestAddr) -> Result<Option<Backing>, Errno> {
        trace::fail(b"the kernel asked a guest for the file behind memory")
    }

    fn names(&self) -> Names<'_> {
        boot::names(self.slot)
    }

    fn user_ids(&self) -> [u32; 3] {
        self.slot.thread.user_ids.each_ref().map(|id| id.load(Relaxed))
    }

    fn group_ids(&self) -> [u32; 3] {
        self.slot.thread.group_ids.each_ref().map(|id| id.load(Relaxed))
    }
}

/// Copy bytes out of words.
fn copy_out(word: impl Fn(usize) -> u64, offset: usize, to: &mut [u8]) {
    for (at, byte) in (offset..).zip(to) {
        *byte = (word(at / 8) >> (at % 8 * 8)) as u8;
    }
}
