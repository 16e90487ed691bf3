//! One host without a scenario, run until nothing can happen any more.
//!
//! A host and an observer in, an [`Ending`] out. Always true: afterwards no guest is left; guests that
//! wait for what cannot come were killed and are named. Neither rounds nor a network are needed: the
//! host's own events decide. Many hosts, and an end at a set time, are the rest of [`crate::engine`].

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
