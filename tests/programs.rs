//! Programs of Debian's base system, as guests exactly as they run natively.
//!
//! The lines of `programs.list` in, each difference out. Always true: a line runs natively first, then
//! as guests in a fresh folder of its own with the same contents; a program that is not installed fails
//! the test, unless its line asks for nothing. `SHIM_PROGRAM=name` runs one line only. What programs
//! show of simulated time and randomness is not here: there natively is no oracle.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use shim_testkit::built::{built, root};
use shim_testkit::compare::{Folder, difference, folder_difference};
use shim_testkit::{Outcome, Run};

/// Names that a line may use for the files of its folder.
const NAMES: &[(&str, &str)] = &[
    ("$IN", "text.txt"),
    ("$SORTED", "sorted.txt"),
    ("$OTHER", "other.txt"),
    ("$JSON", "data.json"),
    ("$BIN", "bytes.bin"),
    ("$ELF", "/bin/true"),
];

type Command = Vec<String>;

/// One line of the list.
struct Line {
    name: String,
    /// Each with an empty standard input.
    on_files: Vec<Command>,
    /// Each reads what the one before wrote; the first reads the text.
    on_pipe: Vec<Command>,
}

/// Split a line into words as a shell does. `Err` is a separator, which stands outside of quotes.
fn split(line: &str) -> Vec<Result<String, char>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match c {
            ' ' => words.extend(word.take().map(Ok)),
            '|' | ';' if word.is_none() => words.push(Err(c)),
            '\'' | '"' => {
                let text = word.get_or_insert_default();
                text.extend(chars.by_ref().take_while(|next| *next != c));
            }
            _ => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word.map(Ok));
    words
}

fn with_names(mut word: String) -> String {
    for (name, file) in NAMES {
        word = word.replace(name, file);
    }
    word
}

fn parse(line: &str) -> Line {
    let mut columns: Vec<Vec<Command>> = vec![vec![vec![]]];
    for word in split(line) {
        match word {
            Err('|') => columns.push(vec![vec![]]),
            Err(_) => columns.last_mut().expect("there is one").push(vec![]),
            Ok(word) => {
                let commands = columns.last_mut().expect("there is one");
                commands.last_mut().expect("there is one").push(with_names(word));
            }
        }
    }
    for column in &mut columns {
        if column.len() == 1 {
            column.retain(|command| !command.is_empty());
        }
        assert!(column.iter().all(|command| !command.is_empty()), "an empty command: {line}");
    }
    let [name, on_files, on_pipe]: [Vec<Command>; 3] =
        columns.try_into().unwrap_or_else(|_| panic!("not three columns: {line}"));
    let name = name.into_iter().flatten().next().expect("a line has a name");
    assert!(!on_files.is_empty() || !on_pipe.is_empty(), "no command: {line}");
    Line { name, on_files, on_pipe }
}

fn lines() -> Vec<Line> {
    let list = std::fs::read_to_string(root().join("tests/programs.list")).expect("it is there");
    let is_wanted = |line: &&str| !line.is_empty() && !line.starts_with('#');
    list.lines().filter(is_wanted).map(parse).collect()
}

/// The contents of a line's folder.
struct Files {
    text: String,
    all: Vec<(&'static str, Vec<u8>)>,
}

fn files() -> Files {
    let animals =
        ["ape", "bear", "cat", "dog", "eel", "fox", "gnu", "hare", "ibex", "jay", "kite", "lynx"];
    let mut state = 1u32;
    let mut next = |below: u32| {
        state = state.wrapping_mul(1_103_515_245).wrapping_add(12345);
        (state >> 16) % below
    };
    let text: String =
        (0..600).map(|_| format!("{} {}\n", animals[next(12) as usize], next(1000))).collect();
    let table = |step: usize| -> String {
        (0..90).step_by(step).map(|n| format!("{}{n:02} {}\n", animals[n / 8], n * step)).collect()
    };
    let (sorted, other) = (table(1), table(3));
    let objects: Vec<String> = text
        .lines()
        .filter_map(|line| line.split_once(' '))
        .map(|(word, n)| {
            format!("{{\"word\": \"{word}\", \"n\": {n}, \"list\": [{n}, null, 1.5e3]}}")
        })
        .collect();
    let json = format!("[{}]\n", objects.join(",\n "));
    let bytes: Vec<u8> = (0..60_000).map(|_| next(256) as u8).collect();
    let bc = "scale = 30\ndefine f(n) { if (n < 2) return (1); return (n * f(n - 1)); }\n\
              f(40)\nsqrt(2)\nobase = 16\n2 ^ 100\nquit\n";
    let patch =
        "--- sorted.txt\n+++ sorted.txt\n@@ -1,3 +1,3 @@\n ape00 0\n-ape01 1\n+ant01 1\n ape02 2\n";
    Files {
        all: vec![
            ("text.txt", text.clone().into()),
            ("sorted.txt", sorted.into()),
            ("other.txt", other.into()),
            ("data.json", json.into()),
            ("bytes.bin", bytes),
            ("text.bc", bc.into()),
            ("text.patch", patch.into()),
        ],
        text,
    }
}

/// Run a line's commands one after another; what each showed, and the folder they left.
fn run_line(line: &Line, files: &Files, is_guest: bool) -> (Vec<Outcome>, Folder) {
    let contents: Vec<(&str, &[u8])> =
        files.all.iter().map(|(name, bytes)| (*name, bytes.as_slice())).collect();
    let folder = Folder::with(&contents);
    let run = |command: &Command, stdin: Vec<u8>| {
        let run = if is_guest { Run::guest(&command[0]) } else { Run::native(&command[0]) };
        run.args(&command[1..]).folder(folder.path()).stdin(stdin).finish()
    };
    let mut outcomes: Vec<Outcome> = line.on_files.iter().map(|c| run(c, vec![])).collect();
    // `bc` and `dc` read programs; the others read the text.
    let mut piped = match line.name.as_str() {
        "bc" => b"x = 7\nfor (i = 0; i < 5; i++) x = x * x % 1000003\nx\n".to_vec(),
        "dc" => b"5 k 1 3 / p [la 1 + d sa 9 >x] sx 0 sa lx x la p\n".to_vec(),
        "date" => b"2001-02-03\n1970-01-01 00:00:01 UTC\n".to_vec(),
        "factor" => b"12 13\n600851475143\n".to_vec(),
        _ => files.text.clone().into_bytes(),
    };
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
    let (next, wrong) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let workers = std::thread::available_parallelism().map_or(1, |n| n.get());
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while let Some(line) = lines.get(next.fetch_add(1, Relaxed)) {
                    if let Some(words) = check(line, &files) {
                        wrong.lock().expect("nobody panics with it").push(words);
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().expect("nobody panicked with it");
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
