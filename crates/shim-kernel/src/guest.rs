//! What the kernel asks of the guest whose call it answers.
//!
//! Addresses and numbers in, bytes and words out. Always true: the implementor speaks for the calling
//! thread and its process; what it returns may be anything a guest wrote, and is checked here.
//! How guest memory is reached is the implementor's business (`shim-host`).

use shim_abi::Errno;

/// An address that a guest named: a number that may point to anything or nothing.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct GuestAddr(pub u64);

impl GuestAddr {
    /// Whether it is the null pointer.
    pub const fn is_null(self) -> bool {
        self.0 == 0
    }
}

/// The thread that calls, as far as its process and its shim know more than the kernel.
pub trait Guest {
    /// Copy guest memory at `from` to `to`: all of it or EFAULT.
    fn read(&mut self, from: GuestAddr, to: &mut [u8]) -> Result<(), Errno>;
    /// Copy `bytes` to guest memory at `to`: all of it or EFAULT. An implementor that collects writes
    /// for later answers EFAULT itself if one of them fails then.
    fn write(&mut self, to: GuestAddr, bytes: &[u8]) -> Result<(), Errno>;
    /// What the process does on `signal` (1 to 64): the handler (0 default, 1 ignore, else an
    /// address) and the `SA_*` flags.
    fn action(&self, signal: u32) -> (u64, u64);
    /// The thread's blocked signals, signal `n` at bit `n - 1`.
    fn signal_mask(&self) -> u64;
    /// Simulated CPU time of the process, all its threads together, in nanoseconds.
    fn cpu_ns(&self) -> u64;
    /// Simulated CPU time of the thread, in nanoseconds.
    fn thread_cpu_ns(&self) -> u64 {
        self.cpu_ns()
    }
    /// Real, effective and saved user id.
    fn user_ids(&self) -> [u32; 3];
}
