//! Passes the signals that a person sends to the simulator on: to the guests of `shim exec`, whose terminal
//! it is; to the engine of `shim run`, which ends.
//!
//! Native signals in; virtual ones for the host, or the end of all guests, out. Always true: a signal is the
//! guests' to handle, but a second one soon after it kills them, so that a person is never helpless; SIGPIPE
//! is ignored by Rust's runtime, so that a closed standard error ends nobody. The signals that are not
//! passed on (SIGKILL, faults) end the simulator, and its launcher ends the guests.
//!
//! Why not the second one ever: an interpreter at its prompt is interrupted many times a day.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering::SeqCst};
use std::time::{Duration, Instant};

use shim_host::Interrupter;
use shim_sim::engine::Control;
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use signal_hook::iterator::Signals;

/// How soon after a signal the next one means "now".
const IMPATIENCE: Duration = Duration::from_secs(2);

/// How often a run that is to end is looked at.
const RECHECK: Duration = Duration::from_millis(20);

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
        let mut last: Option<Instant> = None;
        for signal in signals.forever() {
            if last.replace(Instant::now()).is_some_and(|last| last.elapsed() < IMPATIENCE) {
                killed_by.store(signal, SeqCst);
                interrupter.kill();
            } else {
                interrupter.interrupt(signal.unsigned_abs());
            }
        }
    })?;
    Ok(watch)
}

/// From now on, a signal ends `control`'s run: when its round is over, or now if that takes long or a second
/// signal comes. Starts a thread.
pub fn watch_run(control: Control) -> io::Result<()> {
    let mut signals = Signals::new([SIGHUP, SIGINT, SIGQUIT, SIGTERM])?;
    std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        if signals.forever().next().is_none() {
            return;
        }
        control.stop();
        let first = Instant::now();
        while first.elapsed() < IMPATIENCE && signals.pending().next().is_none() {
            std::thread::sleep(RECHECK);
        }
        // Guests that are not there any more do not mind; those that start meanwhile are told again.
        loop {
            control.kill();
            std::thread::sleep(RECHECK);
        }
    })?;
    Ok(())
}
