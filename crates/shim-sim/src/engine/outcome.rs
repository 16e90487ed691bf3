//! What became of a scenario's processes, beside what was expected.
//!
//! Ends of processes in, [`ProcessReport`]s out. Always true: a process that has not been started is
//! never as expected, unless a fault is to blame. How a report reads is [`crate::summary`]'s.

use std::fmt;

use shim_abi::SimTime;
use shim_host::ProcessEnd;

use crate::config::scenario::FinalState;

/// What became of a process.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Outcome {
    /// It was running when the simulation ended.
    Running,
    /// It exited with this status.
    Exited(i32),
    /// This signal killed it.
    Signaled(i32),
    /// It was not started, for this reason.
    NotStarted(String),
}

impl From<ProcessEnd> for Outcome {
    fn from(end: ProcessEnd) -> Outcome {
        match end {
            ProcessEnd::Exited(status) => Outcome::Exited(status),
            ProcessEnd::Killed(signal) => Outcome::Signaled(signal.cast_signed()),
        }
    }
}

impl From<FinalState> for Outcome {
    fn from(state: FinalState) -> Outcome {
        match state {
            FinalState::Running => Outcome::Running,
            FinalState::Exited(status) => Outcome::Exited(status),
            FinalState::Signaled(signal) => Outcome::Signaled(signal),
        }
    }
}

/// Shown as a configuration's expected state is.
impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Running => FinalState::Running.fmt(f),
            Outcome::Exited(status) => FinalState::Exited(*status).fmt(f),
            Outcome::Signaled(signal) => FinalState::Signaled(*signal).fmt(f),
            Outcome::NotStarted(_) => f.write_str("not started"),
        }
    }
}

/// One start of a process of the scenario, and what became of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Life {
    /// Its virtual process id.
    pub pid: u32,
    /// When it was started.
    pub started_at: SimTime,
    /// When it ended.
    pub ended_at: Option<SimTime>,
    /// What became of it.
    pub outcome: Outcome,
}

/// One process of the scenario, when all is over.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ProcessReport {
    /// Its host's name.
    pub host: String,
    /// The name of its program's file.
    pub program: String,
    /// Its virtual process id, if it was started.
    pub pid: Option<u32>,
    /// What became of it.
    pub outcome: Outcome,
    /// What was expected.
    pub expected: FinalState,
    /// When it was started last in simulated time.
    pub started_at: Option<SimTime>,
    /// When it ended in simulated time, if it did before the simulation.
    pub ended_at: Option<SimTime>,
    /// What became of it before faults started it again.
    pub earlier: Vec<Life>,
    /// A fault of the scenario has ended it, or its host was down when it was to start.
    pub is_by_fault: bool,
}

impl ProcessReport {
    /// Whether it ended as expected: whom a fault has ended has not ended otherwise than its scenario says.
    pub fn is_expected(&self) -> bool {
        self.is_by_fault
            || match (&self.outcome, self.expected) {
                (Outcome::Running, FinalState::Running) => true,
                (Outcome::Exited(status), FinalState::Exited(expected)) => *status == expected,
                (Outcome::Signaled(signal), FinalState::Signaled(expected)) => *signal == expected,
                _ => false,
            }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_expected_is() {
        let states = [
            (Outcome::Running, FinalState::Running),
            (Outcome::Exited(0), FinalState::Exited(0)),
            (Outcome::Exited(15), FinalState::Exited(15)),
            (Outcome::Signaled(15), FinalState::Signaled(15)),
        ];
        for (i, (outcome, _)) in states.iter().enumerate() {
            for (k, (_, expected)) in states.iter().enumerate() {
                let report = ProcessReport {
                    host: "h".into(),
                    program: "p".into(),
                    pid: Some(1000),
                    outcome: outcome.clone(),
                    expected: *expected,
                    started_at: None,
                    ended_at: None,
                    earlier: Vec::new(),
                    is_by_fault: false,
                };
                assert_eq!(report.is_expected(), i == k, "{report:?}");
                assert!(ProcessReport { is_by_fault: true, ..report.clone() }.is_expected());
                let missing = ProcessReport {
                    outcome: Outcome::NotStarted("it is not there".into()),
                    ..report
                };
                assert!(!missing.is_expected());
            }
        }
    }
}
