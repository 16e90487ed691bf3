//! What is wrong with a run, in words.
//!
//! How a `shim run` ended and what it left in its data directory in, a [`Finding`] or nothing out. Always true: of
//! several things the one that comes first is named, what probably follows from it only listed; two runs with
//! the same `kind` went wrong in the same way, as far as can be seen from outside; seeds, process ids, times and
//! paths are no part of it. Which run it was, and how to repeat it, is told by `explore`.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::ExitStatus;
use std::time::Duration;

use shim_abi::SimTime;
use shim_sim::engine::{Outcome, ProcessReport};
use shim_sim::output::directory::SIM_STATS;
use shim_sim::output::statistics::{self, Ended};
use shim_sim::summary::state_words;

/// Other processes that are named beside the first.
const NAMED: usize = 4;
/// So much of a file's end is looked at for its last line.
const TAIL_BYTES: u64 = 4096;
/// So much of such a line is shown.
const LINE_CHARS: usize = 160;

/// What is wrong with a run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    /// What went wrong first.
    pub kind: String,
    /// More about it, as lines.
    pub details: Vec<String>,
}

/// How a `shim run` came to its end.
#[derive(Clone, Copy, Debug)]
pub enum RunEnd {
    /// By itself.
    Ended(ExitStatus),
    /// It took longer than this, and was ended.
    Late(Duration),
}

impl Finding {
    /// A run that could not even be tried.
    pub fn untried(reason: String) -> Finding {
        Finding { kind: "there was no run".to_owned(), details: vec![reason] }
    }

    /// What is wrong with a run that ended so, wrote to this data directory, and said what is in `output`.
    pub fn of(end: RunEnd, data: &Path, output: &Path) -> Option<Finding> {
        let text = std::fs::read_to_string(data.join(SIM_STATS)).unwrap_or_default();
        let ended = statistics::read(&text);
        let status = match end {
            RunEnd::Late(timeout) => return Some(late(timeout, ended.as_ref())),
            RunEnd::Ended(status) => status,
        };
        let found = ended.and_then(|ended| of_statistics(&ended, data));
        if found.is_some() || status.success() {
            return found;
        }
        let kind = match (status.code(), status.signal()) {
            (Some(1), _) => "the run was not complete".to_owned(),
            (Some(2), _) => "there was no run".to_owned(),
            (Some(code), _) => format!("the simulator failed, with status {code}"),
            (None, signal) => {
                let signal = signal.unwrap_or_default();
                format!("the simulator was {}", ending(&Outcome::Signaled(signal)))
            }
        };
        let details = last_line(output).map(|line| format!("it said last: {line}"));
        Some(Finding { kind, details: details.into_iter().collect() })
    }
}

fn late(timeout: Duration, ended: Option<&Ended>) -> Finding {
    let detail = match ended {
        Some(ended) => format!("it was at {} s of simulated time", short(ended.ended_at)),
        None => "its simulator did not end even when it was asked to".to_owned(),
    };
    let kind = format!("not over after {} s", timeout.as_secs_f64());
    Finding { kind, details: vec![detail] }
}

fn of_statistics(ended: &Ended, data: &Path) -> Option<Finding> {
    let mut details: Vec<String> = ended
        .preempted
        .iter()
        .map(|(host, program)| {
            format!("not reproducible: {program} on {host} made no call and was preempted")
        })
        .collect();
    let mut unexpected: Vec<&ProcessReport> =
        ended.processes.iter().filter(|process| !process.is_expected()).collect();
    unexpected.sort_by_key(|process| when(process));
    if let Some((host, failure)) = ended.failures.first() {
        details.insert(0, failure.text.clone());
        details.extend(others(&unexpected));
        return Some(Finding {
            kind: format!("shim failure in {} on {host}", failure.program),
            details,
        });
    }
    if let Some((first, rest)) = unexpected.split_first() {
        let mut about = match (first.pid, first.ended_at) {
            (Some(pid), Some(time)) => {
                vec![format!("process {pid}, at {} s of simulated time", short(time))]
            }
            (Some(pid), None) => vec![format!("process {pid}")],
            (None, _) => Vec::new(),
        };
        if let Outcome::NotStarted(reason) = &first.outcome {
            about.push(reason.clone());
        }
        about.extend(last_words(first, data).map(|line| format!("its last words: {line}")));
        about.extend(others(rest));
        about.append(&mut details);
        return Some(Finding { kind: kind(first), details: about });
    }
    let (host, program) = ended.preempted.first()?;
    let kind = format!("not reproducible: {program} on {host} was preempted");
    Some(Finding { kind, details: Vec::new() })
}

/// Processes that did not end as expected either.
fn others(rest: &[&ProcessReport]) -> Option<String> {
    if rest.is_empty() {
        return None;
    }
    let mut words: Vec<String> = rest.iter().take(NAMED).map(|process| kind(process)).collect();
    if rest.len() > NAMED {
        words.push(format!("{} more", rest.len() - NAMED));
    }
    Some(format!("then: {}", words.join("; ")))
}

/// When a process went wrong, as far as is known.
fn when(process: &ProcessReport) -> SimTime {
    match process.outcome {
        Outcome::NotStarted(_) => SimTime::ZERO,
        Outcome::Running => SimTime::MAX,
        Outcome::Exited(_) | Outcome::Signaled(_) => process.ended_at.unwrap_or(SimTime::MAX),
    }
}

fn kind(process: &ProcessReport) -> String {
    let ProcessReport { host, program, outcome, expected, .. } = process;
    let expected = expected.to_string();
    format!("{program} on {host} {}, expected: {}", ending(outcome), state_words(&expected))
}

fn ending(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Exited(status) => format!("exited with {status}"),
        Outcome::Signaled(_) => {
            let words = state_words(&outcome.to_string());
            format!("killed by {}", words.trim_start_matches("signaled: "))
        }
        Outcome::Running => "still running at the end".to_owned(),
        Outcome::NotStarted(_) => "not started".to_owned(),
    }
}

/// The last line of a process's standard error.
fn last_words(process: &ProcessReport, data: &Path) -> Option<String> {
    let file = format!("{}.{}.stderr", process.program, process.pid?);
    last_line(&data.join("hosts").join(&process.host).join(file))
}

/// The last line of a file that is not empty.
fn last_line(path: &Path) -> Option<String> {
    let mut file = File::open(path).ok()?;
    let len_bytes = file.metadata().ok()?.len();
    file.seek(SeekFrom::Start(len_bytes.saturating_sub(TAIL_BYTES))).ok()?;
    let mut tail = Vec::new();
    file.take(TAIL_BYTES).read_to_end(&mut tail).ok()?;
    let text = String::from_utf8_lossy(&tail);
    let line = text.lines().rfind(|line| !line.trim().is_empty())?.trim();
    // Nothing that a guest wrote is a command for the terminal.
    Some(line.chars().take(LINE_CHARS).flat_map(shown).collect())
}

fn shown(c: char) -> Vec<char> {
    if c.is_control() { c.escape_default().collect() } else { vec![c] }
}

/// A time without zeroes that say nothing.
fn short(time: SimTime) -> String {
    time.to_string().trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use shim_host::Failure;
    use shim_sim::config::scenario::FinalState;

    fn process(host: &str, outcome: Outcome, ended_at_ns: Option<u64>) -> ProcessReport {
        ProcessReport {
            host: host.into(),
            program: "p".into(),
            pid: (!matches!(outcome, Outcome::NotStarted(_))).then_some(1000),
            outcome,
            expected: FinalState::Exited(0),
            ended_at: ended_at_ns.map(SimTime::from_ns),
            started_at: None,
            earlier: Vec::new(),
            is_by_fault: false,
        }
    }

    fn found(processes: Vec<ProcessReport>) -> Ended {
        Ended {
            processes,
            failures: Vec::new(),
            preempted: Vec::new(),
            ended_at: SimTime::from_ns(9_000_000_000),
            is_interrupted: false,
        }
    }

    fn of(ended: &Ended) -> Option<(String, Vec<String>)> {
        let finding = of_statistics(ended, Path::new("/nonexistent"))?;
        Some((finding.kind, finding.details))
    }

    #[test]
    fn what_happened_first_is_the_kind_and_the_rest_follows() {
        let good = process("h", Outcome::Exited(0), Some(1));
        assert_eq!(of(&found(vec![good.clone()])), None);
        let mut processes = vec![
            process("a", Outcome::Running, None),
            process("b", Outcome::Signaled(11), Some(1_500_000_000)),
            good,
            process("c", Outcome::Exited(3), Some(1_200_000_000)),
        ];
        let mut ended = found(processes.clone());
        let (kind, details) = of(&ended).unwrap();
        assert_eq!(kind, "p on c exited with 3, expected: exited: 0");
        assert_eq!(
            details,
            [
                "process 1000, at 1.2 s of simulated time",
                "then: p on b killed by SIGSEGV, expected: exited: 0; \
                 p on a still running at the end, expected: exited: 0",
            ]
        );
        ended.preempted.push(("h".into(), "q".into()));
        assert_eq!(
            of(&ended).unwrap().1[2],
            "not reproducible: q on h made no call and was preempted"
        );
        let failure = Failure { program: "q".into(), pid: 1, text: "it is lost".into() };
        ended.failures.push(("h".into(), failure));
        let (kind, details) = of(&ended).unwrap();
        assert_eq!((kind.as_str(), details[0].as_str()), ("shim failure in q on h", "it is lost"));
        processes.push(process("d", Outcome::NotStarted("it is not there".into()), None));
        let (kind, details) = of(&found(processes)).unwrap();
        assert_eq!(kind, "p on d not started, expected: exited: 0");
        assert_eq!(details[0], "it is not there");
        let many = (0..9).map(|n| process(&n.to_string(), Outcome::Exited(1), None)).collect();
        assert!(of(&found(many)).unwrap().1[1].ends_with("; 4 more"));
    }

    #[test]
    fn a_run_that_does_not_repeat_is_a_finding_of_its_own() {
        let mut ended = found(vec![process("h", Outcome::Exited(0), Some(1))]);
        ended.preempted.push(("h".into(), "q".into()));
        assert_eq!(of(&ended).unwrap().0, "not reproducible: q on h was preempted");
    }

    #[test]
    fn how_a_simulator_ended_that_left_nothing_is_told() {
        let nowhere = Path::new("/nonexistent");
        let of = |status| {
            let end = RunEnd::Ended(ExitStatus::from_raw(status));
            Finding::of(end, nowhere, nowhere).map(|finding| finding.kind)
        };
        assert_eq!(of(0), None);
        assert_eq!(of(1 << 8).unwrap(), "the run was not complete");
        assert_eq!(of(2 << 8).unwrap(), "there was no run");
        assert_eq!(of(101 << 8).unwrap(), "the simulator failed, with status 101");
        assert_eq!(of(9).unwrap(), "the simulator was killed by SIGKILL");
        let late = Finding::of(RunEnd::Late(Duration::from_millis(1500)), nowhere, nowhere);
        assert_eq!(late.unwrap().kind, "not over after 1.5 s");
    }

    #[test]
    fn the_last_line_is_short_and_harmless() {
        let path = std::env::temp_dir().join(format!("shim-last-line-{}", std::process::id()));
        for (content, expected) in [
            (String::new(), None),
            ("\n \n".into(), None),
            ("one\n two\u{1b}[2J\r\n\n".into(), Some("two\\u{1b}[2J".to_owned())),
            ("x".repeat(5000), Some("x".repeat(LINE_CHARS))),
        ] {
            std::fs::write(&path, content).unwrap();
            assert_eq!(last_line(&path), expected);
        }
        std::fs::remove_file(&path).unwrap();
        assert_eq!(last_line(&path), None);
    }
}
