//! The wish that all runs of `shim explore` end at once.
//!
//! One wish of any thread in; a descriptor that can be read from then on out. Always true: a wish is never taken
//! back and wakes everybody who waits. Who has it, and what is done then, is `explore`'s and `attempt`'s.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};

/// Whether all is to end.
pub struct Stop(OwnedFd);

impl Stop {
    /// Nobody wants it yet.
    pub fn new() -> io::Result<Stop> {
        Ok(Stop(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?))
    }

    /// From now on it is wanted.
    pub fn set(&self) {
        // It can fail only where the wish was had very often before.
        let _ = rustix::io::write(&self.0, &1_u64.to_ne_bytes());
    }

    /// Whether somebody wants it.
    pub fn is_set(&self) -> bool {
        let mut polled = [PollFd::new(&self.0, PollFlags::IN)];
        poll(&mut polled, Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
    }
}

/// Readable once it is wanted.
impl AsFd for Stop {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
