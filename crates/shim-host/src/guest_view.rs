//! A guest as the kernel sees it.
//!
//! The kernel's questions in, answers from the supervisor's guest out. Always true: what the supervisor
//! allocates for an answer does not land in the kernel's arena; the answers are a guest's allegations, and
//! the kernel knows it. What it makes of them is policy, and not here.

use std::sync::atomic::Ordering::Relaxed;

use shim_abi::Errno;
use shim_arena::outside;
use shim_kernel::GuestAddr;
use shim_supervisor::Guest;

/// The calling thread.
pub(crate) struct View<'a>(pub(crate) &'a mut Guest);

impl shim_kernel::Guest for View<'_> {
    fn read(&mut self, from: GuestAddr, to: &mut [u8]) -> Result<(), Errno> {
        outside(|| self.0.memory().read(from.0, to))
    }

    fn write(&mut self, to: GuestAddr, bytes: &[u8]) -> Result<(), Errno> {
        outside(|| self.0.memory().write(to.0, bytes))
    }

    fn action(&self, signal: u32) -> (u64, u64) {
        let index = (signal as usize).wrapping_sub(1);
        match self.0.process().actions.get(index) {
            Some(action) => (action.handler.load(Relaxed), action.flags.load(Relaxed)),
            None => (0, 0),
        }
    }

    fn signal_mask(&self) -> u64 {
        self.0.thread().signal_mask.load(Relaxed)
    }

    fn cpu_ns(&self) -> u64 {
        let ended = self.0.process().cpu_ended_ns.load(Relaxed);
        ended.saturating_add(self.thread_cpu_ns())
    }

    fn thread_cpu_ns(&self) -> u64 {
        self.0.thread().cpu_ns.load(Relaxed)
    }

    fn user_ids(&self) -> [u32; 3] {
        self.0.process().user_ids.each_ref().map(|id| id.load(Relaxed))
    }
}
