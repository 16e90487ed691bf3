//! Programs of Debian's base system, as guests exactly as they run natively.
//!
//! The lines of `programs.list` in, each difference out. Always true: a line runs natively first, then
//! as guests in a fresh folder of its own with the same contents; a program that is not installed fails
//! the test, unless its line asks for nothing. `SHIM_PROGRAM=name` runs one line only. What programs
//! show of simulated time and randomness is not here: there natively is no oracle.

use std::collections::BTreeSet;
use std::fmt::Write;

use shim_testkit::built::built;
use shim_testkit::compare::{Folder, difference, folder_difference};
use shim_testkit::programs::{Command, Files, Line, files, lines, parse};
use shim_testkit::run::MASK;
use shim_testkit::{Outcome, Run, each};

/// Run a line's commands one after another; what each showed, and the folder they left.
fn run_line(line: &Line, files: &Files, is_guest: bool) -> (Vec<Outcome>, Folder) {
    let contents: Vec<(&str, &[u8])> =
        files.all.iter().map(|(name, bytes)| (*name, bytes.as_slice())).collect();
    let folder = Folder::with(&contents);
    let run = |command: &Command, stdin: Vec<u8>| {
        let run = if is_guest { Run::guest(&command[0]) } else { Run::native(&command[0]) };
        let run = run.env(MASK.0, MASK.1).folder(folder.path()).stdin(stdin);
        run.args(&command[1..]).finish()
    };
    let mut outcomes: Vec<Outcome> = line.on_files.iter().map(|c| run(c, vec![])).collect();
    let mut piped = line.piped(files);
    for command in &line.on_pipe {
        let outcome = run(command, piped);
        piped = outcome.stdout.clone();
        outcomes.push(outcome);
    }
    (outcomes, folder)
}

/// What is wrong with a line, in words.
fn check(line: &Line, files: &Files) -> Option<String> {
    let (native, here) = run_line(line, files, false);
    let (guest, there) = run_line(line, files, true);
    let mut words = String::new();
    let commands = line.on_files.iter().chain(&line.on_pipe);
    for ((a, b), command) in native.iter().zip(&guest).zip(commands) {
        if let Some(difference) = difference(a, b) {
            _ = writeln!(words, "{command:?}\n{difference}");
        }
    }
    words.extend(folder_difference(&here, &there));
    (!words.is_empty()).then(|| format!("== {}\n{words}", line.name))
}

#[test]
fn programs_run_as_they_run_natively() {
    built();
    let only = std::env::var("SHIM_PROGRAM").ok();
    let mut lines = lines();
    lines.retain(|line| only.as_ref().is_none_or(|only| *only == line.name));
    assert!(!lines.is_empty(), "no line is named {only:?}");
    let files = files();
    let wrong = each(&lines, |line| check(line, &files));
    assert!(wrong.is_empty(), "{} of {} lines\n{}", wrong.len(), lines.len(), wrong.join("\n"));
    println!("{} programs run as they run natively", lines.len());
}

/// The list itself is worth something: natively every line does what it is there for.
#[test]
fn the_list_is_long_and_its_lines_say_something() {
    let files = files();
    let lines = lines();
    let names: BTreeSet<&str> = lines.iter().map(|line| line.name.as_str()).collect();
    assert_eq!(names.len(), lines.len(), "a name stands twice");
    assert!(lines.iter().filter(|l| !l.on_files.is_empty() && !l.on_pipe.is_empty()).count() >= 50);
    let mut silent = Vec::new();
    for line in &lines {
        let (outcomes, folder) = run_line(line, &files, false);
        let has_output = outcomes.iter().any(|o| !o.stdout.is_empty() || !o.stderr.is_empty());
        let has_files = folder.contents().iter().any(|(name, (_, content))| {
            !files.all.iter().any(|(old, bytes)| old == name && bytes == content)
        });
        // `false` and `true` are all status.
        if !has_output && !has_files && !matches!(line.name.as_str(), "true" | "false" | "test") {
            silent.push(format!("{}: {outcomes:?}", line.name));
        }
    }
    assert!(silent.is_empty(), "{}", silent.join("\n"));
}

#[test]
fn lines_are_split_as_a_shell_would() {
    let line = parse(r#"x | x 'a | b;' "c'd"e ; y $IN | z"#);
    assert_eq!(line.name, "x");
    assert_eq!(line.on_files, [vec!["x", "a | b;", "c'de"], vec!["y", "text.txt"]]);
    assert_eq!(line.on_pipe, [vec!["z"]]);
    assert_eq!(parse("a | | b -").on_files.len(), 0);
}
