//! How a run is ended from outside.
//!
//! Wishes of any thread in; the engine asks between rounds. Always true: a wish to stop is never lost, and
//! no round begins after one. A guest that is started while others are being killed is ended with the
//! simulation. Which signals of a person mean what is the command's business.

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};

use shim_host::Interrupter;

/// Ends a simulation early. Copies mean the same simulation.
#[derive(Clone, Debug, Default)]
pub struct Control(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    is_stopping: AtomicBool,
    hosts: Mutex<Vec<Interrupter>>,
}

impl Control {
    /// Nobody wants anything yet.
    pub fn new() -> Control {
        Control::default()
    }

    /// End the simulation when the round that is under way is over.
    pub fn stop(&self) {
        self.0.is_stopping.store(true, SeqCst);
    }

    /// End it now: as [`Control::stop`], and what guests are doing is cut short.
    pub fn kill(&self) {
        self.stop();
        self.kill_guests();
    }

    /// Kill all guests natively, without waiting for their ends.
    pub(super) fn kill_guests(&self) {
        self.hosts(|hosts| hosts.iter().for_each(Interrupter::kill));
    }

    /// Whether somebody wants the simulation to end.
    pub fn is_stopping(&self) -> bool {
        self.0.is_stopping.load(SeqCst)
    }

    /// These are the hosts.
    pub(super) fn set_hosts(&self, interrupters: Vec<Interrupter>) {
        self.hosts(|hosts| *hosts = interrupters);
    }

    fn hosts(&self, f: impl FnOnce(&mut Vec<Interrupter>)) {
        f(&mut self.0.hosts.lock().unwrap_or_else(PoisonError::into_inner));
    }
}
