//! Which system calls the traces of a run have.
//!
//! Lines of `*.strace` in; for each call how often it was made, and how often it failed, out. Always true: there are no more names than
//! lines of the table of system calls, whatever a file holds. How a line is made is [`crate::trace`]'s.

use std::collections::BTreeMap;
use std::io::{BufRead, Read};

use shim_abi::calls::{MAX_CALLS, lookup};

/// A line is no longer than this.
const MOST_BYTES: u64 = 1 << 20;

/// How often a call was made.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Made {
    /// In all.
    pub(super) times: u64,
    /// With an error for its result.
    pub(super) failed: u64,
}

/// The calls of all traces.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Traces {
    /// How many traces there are.
    pub(super) files: u64,
    /// All that there are.
    calls: BTreeMap<&'static str, Made>,
}

impl Traces {
    /// No trace yet.
    pub(super) fn new() -> Traces {
        let names = (0..MAX_CALLS as u64).filter_map(|number| Some(lookup(number)?.name));
        Traces { files: 0, calls: names.map(|name| (name, Made::default())).collect() }
    }

    /// One more trace; what could not be read any more.
    pub(super) fn read(&mut self, mut trace: impl BufRead) -> Option<std::io::Error> {
        self.files += 1;
        let mut line = Vec::new();
        loop {
            line.clear();
            match trace.by_ref().take(MOST_BYTES).read_until(b'\n', &mut line) {
                Ok(0) => return None,
                Ok(_) => self.take(&String::from_utf8_lossy(&line)),
                Err(error) => return Some(error),
            }
        }
    }

    /// `<time> [<thread>] <name>(...) = <result>`.
    fn take(&mut self, line: &str) {
        let mut words = line.splitn(3, ' ');
        let (Some(_), Some(_), Some(rest)) = (words.next(), words.next(), words.next()) else {
            return;
        };
        let Some((name, rest)) = rest.split_once('(') else { return };
        let Some(made) = self.calls.get_mut(name) else { return };
        made.times += 1;
        let result = rest.rsplit_once(" = ").map_or("", |(_, result)| result);
        made.failed += u64::from(result.starts_with("-1 "));
    }

    /// All that were made, most often first.
    pub(super) fn by_times(&self) -> Vec<(&'static str, Made)> {
        let all = self.calls.iter().map(|(name, made)| (*name, *made));
        let mut all: Vec<_> = all.filter(|(_, made)| made.times > 0).collect();
        all.sort_by_key(|(name, made)| (std::cmp::Reverse(made.times), *name));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_counted_and_other_lines_are_not() {
        let text = b"0.1 [1000] read(3, \" = -1 x\", 9) = 9\n0.2 [1000] open(\"x\") = -1 ENOENT (No such file)\n\
            0.3 [1000] read(3) = 0\n0.4 [1000] +++ exited with 0 +++\n0.5 [1] no_call(1) = 0\nread(\n\xff\n";
        let mut traces = Traces::new();
        assert!(traces.read(&text[..]).is_none());
        let expected =
            [("read", Made { times: 2, failed: 0 }), ("open", Made { times: 1, failed: 1 })];
        assert_eq!((traces.files, &traces.by_times()[..]), (1, &expected[..]));
    }
}
