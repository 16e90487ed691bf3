//! What became of a scenario's processes, beside what was expected.
//!
//! Ends of processes in, [`ProcessReport`]s out. Always true: a process that has not been started is
//! never as expected. How a report reads is [`crate::summary`]'s.

use std::fmt;

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
}

impl ProcessReport {
    /// Whether it ended as expected.
    pub fn is_expected(&self) -> bool {
        match (&self.outcome, self.expected) {
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
                };
                assert_eq!(report.is_expected(), i == k, "{report:?}");
                let missing = ProcessReport {
                    outcome: Outcome::NotStarted("it is not there".into()),
                    ..report
                };
                assert!(!missing.is_expected());
            }
        }
    }
}
