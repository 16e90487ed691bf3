//! The programs of `tests/programs.list`: its lines, and the files that every line finds in its folder.
//!
//! The list in, [`Line`]s and [`Files`] out. Always true: a line has a name and three columns, words are split as
//! a shell would, and the files are the same in every run. What is done with a line is the tests' business.

use crate::built::root;

/// Names that a line may use for the files of its folder.
const NAMES: &[(&str, &str)] = &[
    ("$IN", "text.txt"),
    ("$SORTED", "sorted.txt"),
    ("$OTHER", "other.txt"),
    ("$JSON", "data.json"),
    ("$BIN", "bytes.bin"),
    ("$ELF", "/bin/true"),
];

/// A program and its arguments.
pub type Command = Vec<String>;

/// One line of the list.
pub struct Line {
    /// Its own, mostly the program's.
    pub name: String,
    /// Each with an empty standard input.
    pub on_files: Vec<Command>,
    /// Each reads what the one before wrote; the first reads the text.
    pub on_pipe: Vec<Command>,
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

/// What a line of the list says.
pub fn parse(line: &str) -> Line {
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

/// All lines.
pub fn lines() -> Vec<Line> {
    let list = std::fs::read_to_string(root().join("tests/programs.list")).expect("it is there");
    let is_wanted = |line: &&str| !line.is_empty() && !line.starts_with('#');
    list.lines().filter(is_wanted).map(parse).collect()
}

/// The contents of a line's folder.
pub struct Files {
    /// 600 lines of words and numbers.
    pub text: String,
    /// Each with its name.
    pub all: Vec<(&'static str, Vec<u8>)>,
}

/// The files that every line finds.
pub fn files() -> Files {
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

impl Line {
    /// What the first command on a pipe reads.
    pub fn piped(&self, files: &Files) -> Vec<u8> {
        // `bc` and `dc` read programs; the others read the text.
        match self.name.as_str() {
            "bc" => b"x = 7\nfor (i = 0; i < 5; i++) x = x * x % 1000003\nx\n".to_vec(),
            "dc" => b"5 k 1 3 / p [la 1 + d sa 9 >x] sx 0 sa lx x la p\n".to_vec(),
            "date" => b"2001-02-03\n1970-01-01 00:00:01 UTC\n".to_vec(),
            "factor" => b"12 13\n600851475143\n".to_vec(),
            _ => files.text.clone().into_bytes(),
        }
    }
}
