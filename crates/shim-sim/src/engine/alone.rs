//! One host without a scenario, run until its first process has ended, or nothing can happen any more.
//!
//! A host, a process and an observer in, an [`Ending`] out. Always true: afterwards no guest is left; processes that
//! the first one left behind, and those that wait for what cannot come, were killed and are named. Neither rounds
//! nor a network are needed: the host's own events decide. Many hosts, and an end at a set time, are the rest of
//! [`crate::engine`].

use shim_abi::{SimDuration, SimTime};
use shim_host::{Host, Observer, Waiting};

/// What processes that outlive the first one have left, in simulated time: enough for a `tee` that its shell does not
/// wait for.
const FAREWELL: SimDuration = SimDuration::from_secs(1);

/// How a simulation ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Ending {
    /// The process ended. These others had not even a second later, and were killed: a shell returns when its command
    /// has ended, and so do we.
    Completed(Vec<Waiting>),
    /// These waited for ever, and were killed.
    Stuck(Vec<Waiting>),
}

/// Run `host`, whose owner started `pid`, from the start of simulated time to the end of that process.
pub fn run(host: &mut Host, pid: u32, observer: &mut dyn Observer) -> Ending {
    let mut now = SimTime::ZERO;
    while host.end_of(pid).is_none() {
        now = host.step_to_end_of(pid, now, SimTime::MAX, observer).now;
        if host.end_of(pid).is_none() && !host.look_for_dead(observer) {
            break;
        }
    }
    let has_ended = host.end_of(pid).is_some();
    if has_ended {
        host.step(now, now + FAREWELL, observer);
    }
    let others = host.waiting();
    host.kill_all(observer);
    if has_ended { Ending::Completed(others) } else { Ending::Stuck(others) }
}
