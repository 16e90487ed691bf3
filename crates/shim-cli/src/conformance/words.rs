//! What a guest says: lines of its standard output, as values.
//!
//! Bytes in, a list of [`Said`] out. Always true: a line counts from the mark on, so that a simulator may put something before it,
//! and lines without one, or with a verb or a number of fields that we do not know, are somebody else's. The other side is
//! `guest/check.h`. What follows from what was said is `verdict`'s.

/// What lines of the report have.
const MARK: &str = "@conformance\t";

/// One line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Said {
    /// The behaviour holds, as far as the guest can see.
    Holds,
    /// It does not.
    Fails {
        /// What is to be true.
        expected: String,
        /// What is.
        got: String,
    },
    /// The simulator does not have it.
    Unsupported(String),
    /// Something that is the same in every run: its name, and what it is in this one.
    Value(String, String),
    /// The guest ends now, as it was asked to.
    Ends,
    /// The guest's id on the real machine; it waits for somebody to kill it.
    NativePid(i32),
}

/// All that was said.
pub fn heard(output: &[u8]) -> Vec<Said> {
    let text = String::from_utf8_lossy(output);
    // A line that is not there as a whole was not said.
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    whole.lines().filter_map(line).collect()
}

fn line(text: &str) -> Option<Said> {
    let at = text.find(MARK)? + MARK.len();
    let mut fields = text[at..].split('\t');
    let (verb, rest) = (fields.next()?, fields.collect::<Vec<_>>());
    match (verb, rest.as_slice()) {
        ("holds", []) => Some(Said::Holds),
        ("fails", &[expected, got]) => {
            Some(Said::Fails { expected: expected.to_owned(), got: got.to_owned() })
        }
        ("unsupported", &[reason]) => Some(Said::Unsupported(reason.to_owned())),
        ("value", &[name, value]) => Some(Said::Value(name.to_owned(), value.to_owned())),
        ("ends", []) => Some(Said::Ends),
        ("native-pid", &[pid]) => pid.parse().ok().filter(|&pid| pid > 1).map(Said::NativePid),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_understood_wherever_they_begin() {
        let output = b"hello\n@conformance\tholds\nhost1: @conformance\tfails\tone\ttwo words\n\
            @conformance\tunsupported\tfork: ENOSYS\n@conformance\tvalue\tgetpid\t1000\n\
            @conformance\tnative-pid\t4711\n@conformance\tends\n";
        let expected = [
            Said::Holds,
            Said::Fails { expected: "one".into(), got: "two words".into() },
            Said::Unsupported("fork: ENOSYS".into()),
            Said::Value("getpid".into(), "1000".into()),
            Said::NativePid(4711),
            Said::Ends,
        ];
        assert_eq!(heard(output), expected);
    }

    #[test]
    fn what_is_not_whole_or_not_known_was_not_said() {
        for output in [
            &b""[..],
            b"@conformance\tholds",
            b"@conformance holds\n",
            b"@conformance\tholds\tmore\n",
            b"@conformance\tfails\tone\n",
            b"@conformance\tsings\n",
            b"@conformance\tnative-pid\t-1\n",
            b"@conformance\tnative-pid\tx\n",
            b"\xff\xfe\n\n",
        ] {
            assert_eq!(heard(output), [], "{:?}", String::from_utf8_lossy(output));
        }
    }
}
