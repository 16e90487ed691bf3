//! Passes the signals that a person sends to the simulator on to the guests.
//!
//! Native signals in; virtual ones for the host, or the end of all guests, out. Always true: the first
//! signal is the guests' to handle, the second one kills them, so that a person is never helpless; SIGPIPE is
//! ignored by Rust's runtime, so that a closed standard error ends nobody. The default signals that stay
//! (SIGKILL, faults) end the simulator, and its launcher ends the guests.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering::SeqCst};

use shim_host::Interrupter;
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use signal_hook::iterator::Signals;

/// Tells whether a person ended the run.
pub struct Watch(Arc<AtomicI32>);

impl Watch {
    /// The signal that killed the guests, if a person's second one did.
    pub fn killed_by(&self) -> Option<i32> {
        match self.0.load(SeqCst) {
            0 => None,
            signal => Some(signal),
        }
    }
}

/// From now on, pass signals on to `interrupter`'s host. Starts a thread.
pub fn watch(interrupter: Interrupter) -> io::Result<Watch> {
    let killed_by = Arc::new(AtomicI32::new(0));
    let mut signals = Signals::new([SIGHUP, SIGINT, SIGQUIT, SIGTERM])?;
    let watch = Watch(Arc::clone(&killed_by));
    std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        for (already_seen, signal) in signals.forever().enumerate() {
            if already_seen == 0 {
                interrupter.interrupt(signal.unsigned_abs());
            } else {
                killed_by.store(signal, SeqCst);
                interrupter.kill();
            }
        }
    })?;
    Ok(watch)
}
