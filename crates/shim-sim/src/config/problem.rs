//! What is wrong with a configuration, and where.
//!
//! Places and sentences in, [`Problem`]s and [`Warning`]s out, shown as `file:line:column: sentence`.
//! Always true: the same sentence about the same place is said once, however many hosts share the lines
//! through an anchor; at most [`MAX_PROBLEMS`] are kept, and they come out in the order of the file. How a
//! sentence is worded is not here: `reader.rs` has the common ones.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// More problems than this are not told: the rest usually follows from the first ones.
pub const MAX_PROBLEMS: usize = 20;

/// Where something was said.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Place {
    /// On the command line, by this option.
    Option(&'static str),
    /// In a file, which as a whole is meant.
    File(Arc<Path>),
    /// In a file, at a line and a column; both count from 1, columns in characters.
    Position {
        /// The file, as it was named.
        file: Arc<Path>,
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
    },
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Option(option) => f.write_str(option),
            Place::File(file) => write!(f, "{}", file.display()),
            Place::Position { file, line, column } => {
                write!(f, "{}:{line}:{column}", file.display())
            }
        }
    }
}

/// Why a configuration cannot be run: one sentence and its place.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Problem {
    /// Where.
    pub place: Place,
    /// What, and what would be right.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.message)
    }
}

impl std::error::Error for Problem {}

/// What a configuration asks for and does not get: one sentence and its place.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Warning {
    /// Where.
    pub place: Place,
    /// What.
    pub message: String,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.message)
    }
}

/// Everything that was noticed while one configuration was read.
#[derive(Default)]
pub(super) struct Report {
    problems: Vec<Problem>,
    warnings: Vec<Warning>,
}

impl Report {
    /// The configuration cannot be run.
    pub(super) fn problem(&mut self, place: &Place, message: impl Into<String>) {
        let problem = Problem { place: place.clone(), message: one_line(&message.into()) };
        if self.problems.len() < MAX_PROBLEMS && !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
    }

    /// The configuration can be run, but not all of it counts. What is said is said once, whatever the place.
    pub(super) fn warning(&mut self, place: &Place, message: impl Into<String>) {
        let message = one_line(&message.into());
        if self.warnings.iter().all(|warning| warning.message != message) {
            self.warnings.push(Warning { place: place.clone(), message });
        }
    }

    /// Whether there is a problem.
    pub(super) fn is_bad(&self) -> bool {
        !self.problems.is_empty()
    }

    /// How many problems there are; to see whether a step found one.
    pub(super) fn count(&self) -> usize {
        self.problems.len()
    }

    /// The problems in the order of the file.
    pub(super) fn into_problems(mut self) -> Vec<Problem> {
        self.problems.sort_by(|a, b| a.place.cmp(&b.place));
        self.problems
    }

    /// The warnings in the order of the file.
    pub(super) fn into_warnings(mut self) -> Vec<Warning> {
        self.warnings.sort_by(|a, b| a.place.cmp(&b.place));
        self.warnings
    }
}

/// `message` in one line, whatever somebody's file brought into it.
fn one_line(message: &str) -> String {
    const LONGEST: usize = 500;
    let mut line = String::new();
    for c in message.chars().take(LONGEST) {
        if c.is_control() { line.extend(c.escape_debug()) } else { line.push(c) }
    }
    if message.chars().nth(LONGEST).is_some() {
        line.push_str("...");
    }
    line
}

/// The one of `known` that `word` was probably meant to be.
pub(super) fn nearest<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let lower = word.to_lowercase();
    known
        .into_iter()
        .filter_map(|candidate| {
            let distance = strsim::damerau_levenshtein(&lower, &candidate.to_lowercase());
            let is_extended = lower.len() >= 4 && candidate.to_lowercase().contains(&lower);
            let limit = 1.max(candidate.len().min(word.len()) / 3);
            (distance <= limit || is_extended).then_some((distance, candidate))
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// ", did you mean 'x'?", or nothing.
pub(super) fn did_you_mean<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> String {
    nearest(word, known).map(|near| format!(", did you mean '{near}'?")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_words_are_found_and_far_ones_are_not() {
        let known = ["stop_time", "seed", "parallelism", "progress"];
        assert_eq!(nearest("stoptime", known), Some("stop_time"));
        assert_eq!(nearest("Seed", known), Some("seed"));
        assert_eq!(nearest("sede", known), Some("seed"));
        assert_eq!(nearest("paralelism", known), Some("parallelism"));
        assert_eq!(nearest("weather", known), None);
        assert_eq!(nearest("", known), None);
    }

    #[test]
    fn one_sentence_about_one_place_is_said_once_and_there_is_an_end() {
        let mut report = Report::default();
        let place = Place::Option("--seed");
        report.problem(&place, "no");
        report.problem(&place, "no");
        assert_eq!(report.problems.len(), 1);
        for number in 0..100 {
            report.problem(&place, number.to_string());
        }
        assert_eq!(report.into_problems().len(), MAX_PROBLEMS);
    }
}
