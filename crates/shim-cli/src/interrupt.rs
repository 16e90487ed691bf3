//! Passes the signals that a person sends to the simulator on: to the guests of `shim exec`, whose terminal
//! it is; to the engine of `shim run` and to all runs of `shim explore`, which end.
//!
//! Native signals in; virtual ones for the host, or the end of all guests, out. Always true: a signal is the
//! guests' to handle, but a second one soon after it kills them, so that a person is never helpless; SIGPIPE
//! is ignored by Rust's runtime, so that a closed standard error ends nobody; SIGHUP stays ignored if it was, as
//! nohup(1) wants it. The signals that are not passed on (SIGKILL, faults) end the simulator, and its launcher
//! ends the guests.
//!
//! Why not the second one ever: an interpreter at its prompt is interrupted many times a day.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering::SeqCst};
use std::time::{Duration, Instant};

use shim_host::Interrupter;
use shim_sim::engine::Control;
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGXFSZ};
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
    let mut signals = Signals::new(wanted())?;
    let watch = Watch(Arc::clone(&killed_by));
    std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        let mut last: Option<Instant> = None;
        for signal in signals.forever() {
            if last.replace(Instant::now()).is_some_and(|last| last.elapsed() < IMPATIENCE) {
                killed_by.store(signal, SeqCst);
                // A guest that starts just now is told again.
                loop {
                    interrupter.kill();
                    std::thread::sleep(RECHECK);
                }
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
    let mut signals = Signals::new(wanted())?;
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

/// From now on, the first signal does `f`, and a second one ends this process. Starts a thread.
pub fn watch_twice(f: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let mut signals = Signals::new(wanted())?;
    std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        if signals.forever().next().is_some() {
            f();
        }
        if let Some(signal) = signals.forever().next() {
            std::process::exit(128 + signal);
        }
    })?;
    Ok(())
}

/// A file that grows beyond `ulimit -f` is an error with a message, not our death by SIGXFSZ.
pub fn survive_file_limit() {
    let _ = signal_hook::flag::register(SIGXFSZ, Arc::default());
}

/// The signals of a person.
fn wanted() -> Vec<i32> {
    let status = std::fs::read("/proc/self/status").unwrap_or_default();
    let status = String::from_utf8_lossy(&status);
    let mut signals = vec![SIGINT, SIGQUIT, SIGTERM];
    if !is_ignored(SIGHUP, &status) {
        signals.push(SIGHUP);
    }
    signals
}

/// Whether a process ignores `signal`, from its `/proc/<pid>/status`.
fn is_ignored(signal: i32, status: &str) -> bool {
    let field = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let bits = field.and_then(|text| u64::from_str_radix(text.trim(), 16).ok());
    bits.is_some_and(|bits| bits & 1 << (signal - 1) != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ignored_signals_are_read_from_the_mask() {
        let status = "Name:\tshim\nSigBlk:\tffffffffffffffff\nSigIgn:\t0000000000001001\n";
        assert!(is_ignored(SIGHUP, status));
        assert!(!is_ignored(SIGINT, status));
        assert!(!is_ignored(SIGHUP, "Name:\tshim\n"));
    }
}
