//! From what came out of runs of a simulator to whether a behaviour holds.
//!
//! [`Seen`] in, a [`Verdict`] out; pure. Always true: a run that did not end fails whatever was said before; that
//! something is not supported is believed to whoever says it; what was said twice counts as its worst. How a run is
//! made is `bench`'s, what a person is told `account`'s.

use std::time::Duration;

use super::words::{Said, heard};

/// How a run of the simulator ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// With this exit status.
    Exited(i32),
    /// By this signal.
    Signalled(i32),
    /// Not within this time; it was killed.
    Late(Duration),
}

/// What could be seen of a run.
#[derive(Clone, Debug)]
pub struct Seen {
    /// How it ended.
    pub end: End,
    /// Standard output, its beginning if it is long.
    pub stdout: Vec<u8>,
    /// The same of standard error.
    pub stderr: Vec<u8>,
    /// How many of its processes were left some time after its end.
    pub left: usize,
    /// Where the guest was to be killed: whether it was one of the simulator's processes.
    pub was_killed: bool,
}

/// Whether a behaviour holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// It does.
    Holds,
    /// It does not.
    Fails {
        /// What is to be true.
        expected: String,
        /// What is.
        got: String,
    },
    /// The simulator does not have it, for this reason.
    NotSupported(String),
    /// It was not tried, for this reason.
    NotRun(&'static str),
}

impl Verdict {
    /// In a word or two.
    pub fn word(&self) -> &'static str {
        match self {
            Verdict::Holds => "holds",
            Verdict::Fails { .. } => "fails",
            Verdict::NotSupported(_) => "not supported",
            Verdict::NotRun(_) => "not run",
        }
    }
}

fn fails(expected: impl Into<String>, got: impl Into<String>) -> Verdict {
    Verdict::Fails { expected: expected.into(), got: got.into() }
}

impl End {
    /// The exit status, as a shell tells it.
    fn status(self) -> Option<i32> {
        match self {
            End::Exited(status) => Some(status),
            End::Signalled(signal) => Some(128 + signal),
            End::Late(_) => None,
        }
    }

    fn in_words(self) -> String {
        match self {
            End::Exited(status) => format!("SIMULATOR ended with status {status}"),
            End::Signalled(signal) => format!("signal {signal} ended SIMULATOR"),
            End::Late(limit) => {
                let seconds = limit.as_secs_f64();
                format!(
                    "SIMULATOR did not end within {seconds} s, and was killed with its processes"
                )
            }
        }
    }
}

/// Longest piece of standard error that a person is shown.
const MAX_LAST_WORDS: usize = 200;

impl Seen {
    /// What there is to say where the guest said nothing.
    fn silence(&self) -> String {
        let stderr = String::from_utf8_lossy(&self.stderr);
        let last = stderr.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
        let last: String = last.trim().chars().take(MAX_LAST_WORDS).collect();
        let last = if last.is_empty() { last } else { format!("; its last words: {last}") };
        format!("nothing from the guest; {}{last}", self.end.in_words())
    }

    /// The verdict, if the guest told a bad one or the run did not end; else what was said.
    fn bad_news(&self) -> Result<Vec<Said>, Verdict> {
        let said = heard(&self.stdout);
        for one in &said {
            if let Said::Fails { expected, got } = one {
                return Err(fails(expected, got));
            }
        }
        if let End::Late(_) = self.end {
            return Err(match said.is_empty() {
                true => fails("the guest tells what it found, and SIMULATOR ends", self.silence()),
                false => fails("SIMULATOR ends when the guest does", self.end.in_words()),
            });
        }
        for one in &said {
            if let Said::Unsupported(reason) = one {
                return Err(Verdict::NotSupported(reason.clone()));
            }
        }
        Ok(said)
    }

    /// The same, where the guest is to end at once after it has begun.
    fn begun(&self) -> Result<(), Verdict> {
        if self.bad_news()?.contains(&Said::Ends) {
            return Ok(());
        }
        Err(fails("the guest begins, and says so", self.silence()))
    }
}

/// The guest told, and the simulator ended as it did.
pub fn told(seen: &Seen) -> Verdict {
    let said = match seen.bad_news() {
        Ok(said) => said,
        Err(verdict) => return verdict,
    };
    if !said.contains(&Said::Holds) {
        return fails("the guest tells what it found", seen.silence());
    }
    match seen.end {
        End::Exited(0) => Verdict::Holds,
        end => fails("SIMULATOR ends with status 0, as the guest did", end.in_words()),
    }
}

/// What the guest writes to standard error.
const ON_STDERR: &str = "@conformance-stderr arrived";

/// The guest told, on both streams.
pub fn told_twice(seen: &Seen) -> Verdict {
    match told(seen) {
        Verdict::Holds if !String::from_utf8_lossy(&seen.stderr).contains(ON_STDERR) => {
            fails("a line that the guest wrote is on SIMULATOR's standard error", "it is not there")
        }
        verdict => verdict,
    }
}

/// Two runs had the same values.
pub fn repeated(first: &Seen, second: &Seen) -> Verdict {
    for seen in [first, second] {
        match told(seen) {
            Verdict::Holds => {}
            verdict => return verdict,
        }
    }
    let values = |seen: &Seen| {
        let said = heard(&seen.stdout).into_iter();
        said.filter_map(|said| match said {
            Said::Value(name, value) => Some((name, value)),
            _ => None,
        })
        .collect::<Vec<_>>()
    };
    let (first, second) = (values(first), values(second));
    if first.is_empty() || first.len() != second.len() {
        let got =
            format!("{} values in the first run, {} in the second", first.len(), second.len());
        return fails("both runs tell the same values", got);
    }
    for ((name, one), (_, other)) in first.iter().zip(&second) {
        if one != other {
            let expected = format!("{name} is the same in two runs");
            return fails(expected, format!("{one}, then {other}"));
        }
    }
    Verdict::Holds
}

/// The guest was asked to exit with `status`, or does so by itself.
pub fn exits(seen: &Seen, status: i32) -> Verdict {
    match seen.begun() {
        Err(verdict) => verdict,
        Ok(()) if seen.end == End::Exited(status) => Verdict::Holds,
        Ok(()) => {
            let expected = format!("SIMULATOR ends with status {status}, as the guest did");
            fails(expected, seen.end.in_words())
        }
    }
}

/// The guest was asked to die by `signal`.
pub fn dies(seen: &Seen, signal: i32, is_exact: bool) -> Verdict {
    match (seen.begun(), seen.end.status()) {
        (Err(verdict), _) => verdict,
        (Ok(()), Some(status)) if status == 128 + signal || status != 0 && !is_exact => {
            Verdict::Holds
        }
        (Ok(()), _) => {
            let wanted = if is_exact { format!("{}", 128 + signal) } else { "not 0".to_owned() };
            let expected =
                format!("SIMULATOR's status is {wanted} when signal {signal} ended the guest");
            fails(expected, seen.end.in_words())
        }
    }
}

/// The guest was killed from outside.
pub fn killed(seen: &Seen) -> Verdict {
    match seen.bad_news() {
        Err(verdict) => verdict,
        Ok(said) if !said.iter().any(|said| matches!(said, Said::NativePid(_))) => {
            fails("the guest begins, and says who it is", seen.silence())
        }
        Ok(_) if !seen.was_killed => Verdict::NotSupported(
            "the guest is none of SIMULATOR's processes here, and cannot be killed".to_owned(),
        ),
        Ok(_) if seen.end == End::Exited(0) => {
            fails("SIMULATOR's status is not 0 when the guest was killed", seen.end.in_words())
        }
        Ok(_) => Verdict::Holds,
    }
}

/// The guest ended, with a child if it could have one.
pub fn leaves_nobody(seen: &Seen) -> Verdict {
    match seen.begun() {
        Err(verdict) => verdict,
        Ok(()) if seen.left == 0 => Verdict::Holds,
        Ok(()) => fails(
            "when SIMULATOR has ended, none of its processes is left",
            format!("{} of them, which had to be killed", seen.left),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(end: End, stdout: &str) -> Seen {
        let (stdout, stderr) = (stdout.as_bytes().to_vec(), b"oh\n\n".to_vec());
        Seen { end, stdout, stderr, left: 0, was_killed: false }
    }

    const LONG: Duration = Duration::from_millis(1500);
    const GOOD: End = End::Exited(0);
    const HOLDS: &str = "@conformance\tholds\n";
    const ENDS: &str = "@conformance\tends\n";

    /// What came where something else was expected.
    fn got(verdict: Verdict) -> String {
        match verdict {
            Verdict::Fails { got, .. } => got,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_the_guest_tells_counts_if_the_run_ends_well() {
        assert_eq!(told(&seen(GOOD, HOLDS)), Verdict::Holds);
        assert_eq!(got(told(&seen(End::Exited(1), HOLDS))), "SIMULATOR ended with status 1");
        assert_eq!(got(told(&seen(End::Signalled(9), HOLDS))), "signal 9 ended SIMULATOR");
        assert!(got(told(&seen(End::Late(LONG), HOLDS))).contains("within 1.5 s"));
        let both = format!("{HOLDS}@conformance\tfails\ta\tb\n");
        assert_eq!(told(&seen(GOOD, &both)), fails("a", "b"));
        let lacking = "@conformance\tunsupported\tfork: ENOSYS\n";
        for end in [GOOD, End::Exited(1)] {
            let verdict = told(&seen(end, lacking));
            assert_eq!(verdict, Verdict::NotSupported("fork: ENOSYS".to_owned()));
        }
        assert!(got(told(&seen(End::Late(LONG), lacking))).contains("within 1.5 s"));
    }

    #[test]
    fn silence_is_told_with_the_last_words() {
        let words = "nothing from the guest; SIMULATOR ended with status 127; its last words: oh";
        assert_eq!(got(told(&seen(End::Exited(127), ""))), words);
        assert_eq!(got(exits(&seen(End::Exited(127), ""), 127)), words);
        assert_eq!(got(killed(&seen(End::Exited(127), ""))), words);
    }

    #[test]
    fn both_streams_are_looked_at() {
        let mut run = seen(GOOD, HOLDS);
        assert_eq!(got(told_twice(&run)), "it is not there");
        run.stderr = b"noise\n@conformance-stderr arrived\n".to_vec();
        assert_eq!(told_twice(&run), Verdict::Holds);
    }

    #[test]
    fn values_are_compared() {
        let run = |value: &str| seen(GOOD, &format!("@conformance\tvalue\tpid\t{value}\n{HOLDS}"));
        assert_eq!(repeated(&run("1"), &run("1")), Verdict::Holds);
        assert_eq!(got(repeated(&run("1"), &run("2"))), "1, then 2");
        let none = seen(GOOD, HOLDS);
        assert!(got(repeated(&none, &none)).starts_with("0 values"));
        assert!(got(repeated(&run("1"), &none)).contains("0 in the second"));
        assert!(got(repeated(&run("1"), &seen(End::Exited(3), HOLDS))).ends_with("status 3"));
    }

    #[test]
    fn ends_are_passed_on() {
        assert_eq!(exits(&seen(End::Exited(42), ENDS), 42), Verdict::Holds);
        assert_eq!(got(exits(&seen(GOOD, ENDS), 42)), "SIMULATOR ended with status 0");
        for end in [End::Exited(137), End::Signalled(9)] {
            assert_eq!(dies(&seen(end, ENDS), 9, true), Verdict::Holds);
        }
        assert_eq!(dies(&seen(End::Exited(1), ENDS), 9, false), Verdict::Holds);
        assert_eq!(
            got(dies(&seen(End::Exited(1), ENDS), 9, true)),
            "SIMULATOR ended with status 1"
        );
        assert_eq!(got(dies(&seen(GOOD, ENDS), 9, false)), "SIMULATOR ended with status 0");
        assert!(got(dies(&seen(End::Late(LONG), ENDS), 9, false)).contains("did not end"));
    }

    #[test]
    fn deaths_from_outside_are_noticed() {
        let mut run = seen(End::Exited(137), "@conformance\tnative-pid\t77\n");
        assert!(matches!(killed(&run), Verdict::NotSupported(_)));
        run.was_killed = true;
        assert_eq!(killed(&run), Verdict::Holds);
        run.end = GOOD;
        assert_eq!(got(killed(&run)), "SIMULATOR ended with status 0");
        run.end = End::Late(LONG);
        assert!(got(killed(&run)).contains("did not end"));
    }

    #[test]
    fn those_left_behind_are_counted() {
        let mut run = seen(GOOD, ENDS);
        assert_eq!(leaves_nobody(&run), Verdict::Holds);
        run.left = 2;
        assert_eq!(got(leaves_nobody(&run)), "2 of them, which had to be killed");
    }
}
