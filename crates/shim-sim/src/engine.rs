//! Runs a simulation until nothing can happen any more.
//!
//! A host and an observer in, an [`Ending`] out. Always true: afterwards no guest is left; guests that
//! wait for what cannot come were killed and are named. So far a simulation is one host: no rounds and no
//! network are needed, and the host's own events decide.

use shim_abi::SimTime;
use shim_host::{Host, Observer, Waiting};

/// How a simulation ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Ending {
    /// Every process ended.
    Completed,
    /// These waited for ever, and were killed.
    Stuck(Vec<Waiting>),
}

/// Run `host` from the start of simulated time to its end.
pub fn run(host: &mut Host, observer: &mut dyn Observer) -> Ending {
    host.step(SimTime::ZERO, SimTime::MAX, observer);
    let waiting = host.waiting();
    if waiting.is_empty() {
        return Ending::Completed;
    }
    host.kill_all(observer);
    Ending::Stuck(waiting)
}
