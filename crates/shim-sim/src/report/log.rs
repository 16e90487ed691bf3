//! What of a run's log a person should see: warnings and errors, and how many lines there are of each level.
//!
//! Lines of `shim.log` in, counts and the first of those that matter out. Always true: nothing is kept but what is shown. How a
//! line is made is [`crate::log_line`]'s.

use std::io::{BufRead, Read};

/// So many lines are shown.
const SHOWN: usize = 200;
/// Nor is a line longer than this.
const MOST_BYTES: u64 = 1 << 20;

/// A line that matters.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Line {
    /// Its time, as it stands there.
    pub(super) time: String,
    /// Whether it is an error.
    pub(super) is_error: bool,
    /// The rest.
    pub(super) text: String,
}

/// What a log holds.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Log {
    /// How many lines there are.
    pub(super) lines: u64,
    /// How many of them are errors.
    pub(super) errors: u64,
    /// How many are warnings.
    pub(super) warnings: u64,
    /// The first errors and warnings.
    pub(super) shown: Vec<Line>,
}

impl Log {
    /// Read all of `log`; also what could not be read any more.
    pub(super) fn read(mut log: impl BufRead) -> (Log, Option<std::io::Error>) {
        let mut found = Log::default();
        let mut line = Vec::new();
        loop {
            line.clear();
            match log.by_ref().take(MOST_BYTES).read_until(b'\n', &mut line) {
                Ok(0) => return (found, None),
                Ok(_) => found.take(&String::from_utf8_lossy(&line)),
                Err(error) => return (found, Some(error)),
            }
        }
    }

    fn take(&mut self, line: &str) {
        self.lines += 1;
        let line = line.trim_end_matches('\n');
        let Some((time, rest)) = line.split_once(' ') else { return };
        let Some((level, text)) = rest.split_once(' ') else { return };
        let is_error = match level {
            "ERROR" => true,
            "WARN" => false,
            _ => return,
        };
        *(if is_error { &mut self.errors } else { &mut self.warnings }) += 1;
        if self.shown.len() < SHOWN {
            let text = text.trim_start().to_owned();
            self.shown.push(Line { time: time.to_owned(), is_error, text });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings_and_errors_are_kept_and_the_rest_is_counted() {
        let text =
            b"1.5 INFO  - shim: WARN ERROR\n2.0 WARN  a perl[1/1] x <b>\n\n3.0 ERROR a \xff\nERROR";
        let (log, error) = Log::read(&text[..]);
        assert!(error.is_none());
        assert_eq!((log.lines, log.errors, log.warnings), (5, 1, 1));
        let texts: Vec<_> = log.shown.iter().map(|line| (line.is_error, &line.text[..])).collect();
        assert_eq!(texts, [(false, "a perl[1/1] x <b>"), (true, "a \u{fffd}")]);
        let many = "1.0 WARN  a b\n".repeat(SHOWN + 5);
        let (log, _) = Log::read(many.as_bytes());
        assert_eq!((log.warnings, log.shown.len()), (SHOWN as u64 + 5, SHOWN));
    }
}
