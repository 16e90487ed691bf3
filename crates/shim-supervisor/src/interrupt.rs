//! Reaching a guest from another thread.
//!
//! Pending signals and kills in. Always true: a handle is only a handle: it keeps no process alive and
//! may outlive its guest, upon which it does nothing. It takes a lock, so it is not for signal
//! handlers. What a signal does to a guest is decided by the kernel (`shim-kernel`) when the guest asks.

use std::sync::Arc;

use crate::life::Life;
use crate::status::ExitStatus;

/// A handle to a guest for other threads.
#[derive(Clone, Debug)]
pub struct Interrupter {
    life: Arc<Life>,
}

impl Interrupter {
    pub(crate) fn new(life: Arc<Life>) -> Interrupter {
        Interrupter { life }
    }

    /// Add `signals` (signal `n` at bit `n - 1`) to those that wait for the guest's thread, and interrupt
    /// whatever it does natively, if its shim is up.
    pub fn interrupt(&self, signals: u64) {
        self.life.interrupt(signals);
    }

    /// Kill the process natively with SIGKILL; whoever waits for its next event gets its end.
    pub fn kill(&self) {
        self.life.kill();
    }

    /// How the guest ended; `None` as long as it lives.
    pub fn end(&self) -> Option<ExitStatus> {
        self.life.end()
    }
}
