//! The table at the end of a scenario's run: what ended how, and whether that was expected.
//!
//! A [`Report`] in, lines out. Always true: processes that ran the same program, ended the same way and
//! were expected to end the same way share a line, so a thousand equal hosts are one line; what was not
//! expected comes last, where a person looks first. What was lacking is [`super::lack_lines`].

use std::collections::BTreeMap;

use super::{lack_lines, not_reproducible};
use crate::engine::{Outcome, ProcessReport, Report, SharedFile};
use shim_host::Lack;

/// As many processes of a line are named.
const NAMED: usize = 3;

/// The whole summary.
pub fn table(report: &Report) -> Vec<String> {
    let mut lines = rows(&report.processes);
    for process in &report.processes {
        if let Outcome::NotStarted(reason) = &process.outcome {
            let line = format!("{}: {} was not started: {reason}", process.host, process.program);
            if !lines.contains(&line) {
                lines.push(line);
            }
        }
    }
    for (host, failure) in &report.failures {
        lines.push(format!(
            "{host}: shim failure in {}[{}]: {}",
            failure.program, failure.pid, failure.text
        ));
    }
    lines.extend(report.write_errors.iter().cloned());
    lines.extend(shared_lines(&report.shared_files));
    let lacks = merged(&report.lacks);
    if !lacks.is_empty() {
        lines.push("Asked for and not there:".to_owned());
        lines.extend(lack_lines(&lacks).into_iter().map(|line| format!("  {line}")));
    }
    for (host, preemption) in &report.preemptions {
        let words = not_reproducible(std::slice::from_ref(preemption));
        lines.extend(words.into_iter().map(|line| format!("{host}: {line}")));
    }
    lines.push(verdict(report));
    lines
}

fn rows(processes: &[ProcessReport]) -> Vec<String> {
    type Kind<'a> = (bool, &'a str, &'a Outcome, String);
    let mut kinds: BTreeMap<Kind<'_>, Vec<&ProcessReport>> = BTreeMap::new();
    for process in processes {
        let expected = match process.is_expected() {
            true => String::new(),
            false => process.expected.to_string(),
        };
        let key = (!process.is_expected(), process.program.as_str(), &process.outcome, expected);
        kinds.entry(key).or_default().push(process);
    }
    let mut cells =
        vec![["PROGRAM", "ENDED AS", "PROCESSES", "EXPECTED", "WHERE"].map(String::from)];
    for ((is_unexpected, program, outcome, expected), who) in kinds {
        cells.push([
            program.to_owned(),
            state_words(&outcome.to_string()),
            who.len().to_string(),
            if is_unexpected {
                format!("no: {}", state_words(&expected))
            } else {
                "yes".to_owned()
            },
            places(&who),
        ]);
    }
    let width = |column: usize| {
        cells.iter().map(|row| row[column].chars().count()).max().unwrap_or_default()
    };
    let widths: [usize; 4] = std::array::from_fn(width);
    cells
        .iter()
        .map(|[program, outcome, count, expected, places]| {
            let [a, b, c, d] = widths;
            format!("{program:<a$}  {outcome:<b$}  {count:>c$}  {expected:<d$}  {places}")
        })
        .collect()
}

/// A state without the braces that a configuration needs.
pub fn state_words(state: &str) -> String {
    state.trim_matches(['{', '}']).to_owned()
}

fn places(who: &[&ProcessReport]) -> String {
    let place = |process: &&ProcessReport| match process.pid {
        Some(pid) => format!("{}[{pid}]", process.host),
        None => process.host.clone(),
    };
    let mut words = who.iter().take(NAMED).map(place).collect::<Vec<_>>().join(", ");
    if who.len() > NAMED {
        words.push_str(&format!(" and {} more", who.len() - NAMED));
    }
    words
}

/// Which files hosts share that they write, and what helps.
fn shared_lines(files: &[SharedFile]) -> Vec<String> {
    /// More are counted only.
    const MOST: usize = 8;
    if files.is_empty() {
        return Vec::new();
    }
    let mut lines = vec![
        "Opened for writing by several hosts, which is one file for all of them (hosts.<name>.shim: private, overlay):"
            .to_owned(),
    ];
    lines.extend(files.iter().take(MOST).map(|file| {
        let mut hosts = file.hosts.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
        if file.hosts.len() > NAMED {
            hosts.push_str(&format!(" and {} more", file.hosts.len() - NAMED));
        }
        format!("  {}: {hosts}", file.path.to_string_lossy().escape_debug())
    }));
    if files.len() > MOST {
        lines.push(format!("  and {} more files (sim-stats.json)", files.len() - MOST));
    }
    lines
}

/// The same lack of the same program on many hosts is one.
fn merged(lacks: &[(String, Lack)]) -> Vec<Lack> {
    let mut counts = BTreeMap::new();
    for (_, lack) in lacks {
        *counts.entry((&lack.program, &lack.kind)).or_insert(0_u64) += lack.count;
    }
    let lack = |((program, kind), count): ((&String, _), u64)| Lack {
        program: program.clone(),
        kind: Clone::clone(kind),
        count,
    };
    counts.into_iter().map(lack).collect()
}

fn verdict(report: &Report) -> String {
    let total = report.processes.len();
    let unexpected = report.processes.iter().filter(|process| !process.is_expected()).count();
    let plural = if total == 1 { "" } else { "es" };
    let mut line = match unexpected {
        0 => format!("{total} process{plural}, all as expected"),
        _ => format!("{total} process{plural}, {unexpected} not as expected"),
    };
    line.push_str(&format!("; simulated time {} s", short(&report.ended_at.to_string())));
    if report.is_interrupted {
        line.push_str("; interrupted");
    }
    line
}

/// A time without zeroes that say nothing.
fn short(time: &str) -> &str {
    time.trim_end_matches('0').trim_end_matches('.')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::scenario::FinalState;
    use shim_abi::SimTime;
    use shim_abi::calls::nr;
    use shim_host::LackKind;
    use std::time::Duration;

    fn process(host: &str, program: &str, outcome: Outcome, expected: FinalState) -> ProcessReport {
        let pid = (!matches!(outcome, Outcome::NotStarted(_))).then_some(1000);
        ProcessReport {
            host: host.into(),
            program: program.into(),
            pid,
            outcome,
            expected,
            ended_at: None,
            started_at: None,
            earlier: Vec::new(),
            is_by_fault: false,
        }
    }

    #[test]
    fn equal_ends_share_a_line_and_surprises_come_last() {
        let expected = FinalState::Exited(0);
        let mut processes: Vec<_> = (1..=5)
            .map(|n| process(&format!("h{n}"), "sleep", Outcome::Exited(0), expected))
            .collect();
        processes.push(process("a", "perl", Outcome::Signaled(15), expected));
        processes.push(process("b", "gone", Outcome::NotStarted("no such file".into()), expected));
        let lack =
            Lack { program: "perl".into(), kind: LackKind::Call(nr::io_uring_setup), count: 2 };
        let report = Report {
            processes,
            lacks: vec![("a".into(), lack.clone()), ("b".into(), lack)],
            preemptions: Vec::new(),
            failures: Vec::new(),
            faults: BTreeMap::new(),
            shared_files: Vec::new(),
            write_errors: Vec::new(),
            ended_at: SimTime::from_ns(1_500_000_000),
            is_interrupted: false,
            rounds: 1,
            steps: 1,
            traffic: Vec::new(),
            sockets: Vec::new(),
            time_lines: Vec::new(),
            handovers: 1,
            census: shim_host::Census::default(),
            workers: 1,
            wall: Duration::ZERO,
        };
        assert!(!report.is_as_expected());
        assert_eq!(
            table(&report),
            [
                "PROGRAM  ENDED AS           PROCESSES  EXPECTED       WHERE",
                "sleep    exited: 0                  5  yes            h1[1000], h2[1000], h3[1000] and 2 more",
                "gone     not started                1  no: exited: 0  b",
                "perl     signaled: SIGTERM          1  no: exited: 0  a[1000]",
                "b: gone was not started: no such file",
                "Asked for and not there:",
                "  perl: io_uring_setup failed with ENOSYS 4 times (needs: asynchronous I/O)",
                "7 processes, 2 not as expected; simulated time 1.5 s",
            ]
        );
    }

    #[test]
    fn zeroes_are_cut_only_behind_the_point() {
        assert_eq!(short("100.000000000"), "100");
        assert_eq!(short("0.050000000"), "0.05");
    }
}
