//! Processes and threads as guests number them.
//!
//! Numbers in, numbers out. Always true: an id of the simulated machine is never mixed up with one of
//! the real machine, because the types differ. Which ids exist is in `task`.

use core::fmt;

/// A process of the simulated machine.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct VirtualPid(pub u32);

/// A thread of the simulated machine. A process's first thread has the process's number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct VirtualTid(pub u32);

impl VirtualPid {
    /// The parent of processes that the simulator starts: always there, never a guest.
    pub const INIT: VirtualPid = VirtualPid(1);

    /// The process's first thread.
    pub const fn leader(self) -> VirtualTid {
        VirtualTid(self.0)
    }
}

impl fmt::Display for VirtualPid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for VirtualTid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
