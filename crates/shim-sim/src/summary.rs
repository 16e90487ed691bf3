//! What a run's user should know when it is over: what was lacking, and whether it repeats; for a scenario
//! the [`table()`] of what ended how.
//!
//! The hosts' lists in, lines out. Always true: one line per program and thing, sorted, and none if
//! nothing was lacking.

mod table;

pub use table::{state_words, table};

use shim_abi::calls::{Route, Status, lookup};
use shim_host::{Lack, LackKind, Preemption, Waiting};

/// The lines about what was lacking.
pub fn lack_lines(lacks: &[Lack]) -> Vec<String> {
    lacks.iter().map(line).collect()
}

/// The line about processes that ran on when the first one ended, and were killed; none if there were none.
pub fn left_behind(others: &[Waiting]) -> Option<String> {
    /// More are counted only.
    const NAMED: usize = 8;
    let name = |one: &Waiting| format!("{}[{}]", one.program.escape_debug(), one.pid);
    let mut names: Vec<String> = others.iter().take(NAMED).map(name).collect();
    if others.len() > NAMED {
        names.push(format!("{} more", others.len() - NAMED));
    }
    (!names.is_empty()).then(|| format!("killed at the end, still running: {}", names.join(", ")))
}

/// The lines that say why a run is not reproducible; none if it is.
pub fn not_reproducible(preemptions: &[Preemption]) -> Vec<String> {
    let line = |preemption: &Preemption| {
        let Preemption { program, wall, count } = preemption;
        let program = program.escape_debug();
        let secs = wall.as_secs_f64();
        let times = times(*count);
        format!("not reproducible: {program} made no call for {secs} s and was preempted, {times}")
    };
    preemptions.iter().map(line).collect()
}

fn times(count: u64) -> String {
    if count == 1 { "once".to_owned() } else { format!("{count} times") }
}

fn line(lack: &Lack) -> String {
    let times = times(lack.count);
    let program = &lack.program;
    let number = match &lack.kind {
        LackKind::Other(text) => return format!("{program}: {} ({times})", text.escape_debug()),
        LackKind::Call(number) => *number,
    };
    let Some(call) = lookup(number.into()) else {
        return format!(
            "{program}: system call {number} is unknown here: failed with ENOSYS {times}"
        );
    };
    let mut line = match call.route {
        Route::Refuse(errno) => format!("{program}: {} failed with {errno} {times}", call.name),
        _ => format!("{program}: {} was refused {times}", call.name),
    };
    match call.status {
        _ if call.note.is_empty() => {}
        Status::Missing => line.push_str(&format!(" (needs: {})", call.note)),
        Status::Full | Status::Partial => line.push_str(&format!(" (there is: {})", call.note)),
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use shim_abi::calls::nr;

    fn lack(kind: LackKind, count: u64) -> Lack {
        Lack { program: "perl".into(), kind, count }
    }

    #[test]
    fn each_lack_is_one_line() {
        let lines = lack_lines(&[
            lack(LackKind::Call(nr::io_uring_setup), 3),
            lack(LackKind::Call(479), 1),
            lack(LackKind::Call(nr::personality), 2),
            lack(LackKind::Other("a\nb".into()), 1),
        ]);
        assert_eq!(
            lines,
            [
                "perl: io_uring_setup failed with ENOSYS 3 times (needs: asynchronous I/O)",
                "perl: system call 479 is unknown here: failed with ENOSYS once",
                "perl: personality was refused 2 times (there is: queries, and changes that change nothing)",
                "perl: a\\nb (once)",
            ]
        );
        assert_eq!(lack_lines(&[]), Vec::<String>::new());
    }

    #[test]
    fn who_is_left_behind_is_named_in_one_line() {
        let others = |count: u32| -> Vec<Waiting> {
            let one = |pid| Waiting { program: "a\nb".into(), pid, call: "pause".into() };
            (1000..1000 + count).map(one).collect()
        };
        assert_eq!(left_behind(&others(0)), None);
        let line = left_behind(&others(2)).unwrap();
        assert_eq!(line, "killed at the end, still running: a\\nb[1000], a\\nb[1001]");
        let line = left_behind(&others(11)).unwrap();
        assert!(line.ends_with("[1007], 3 more"), "{line}");
    }

    #[test]
    fn a_run_that_does_not_repeat_says_why() {
        let preemption = |millis, count| Preemption {
            program: "a\nb".into(),
            wall: std::time::Duration::from_millis(millis),
            count,
        };
        assert_eq!(
            not_reproducible(&[preemption(1000, 1), preemption(50, 3)]),
            [
                "not reproducible: a\\nb made no call for 1 s and was preempted, once",
                "not reproducible: a\\nb made no call for 0.05 s and was preempted, 3 times",
            ]
        );
        assert_eq!(not_reproducible(&[]), Vec::<String>::new());
    }
}
