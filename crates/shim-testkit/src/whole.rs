//! The scripts of `tests/whole.list`, and the programs that they and those of `tests/pairs.list` need and no package has.
//!
//! The list in, [`Script`]s and their environment out. Always true: what is not part of the system is built from
//! `tests/programs2` at most once per test process, natively. Running scripts is the tests' business.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::built::{root, target_dir};

/// One script of the list.
pub struct Script {
    /// Its own.
    pub name: String,
    /// The program that gets it.
    pub interpreter: String,
    /// All of it.
    pub text: String,
}

impl Script {
    /// What comes before the text among the interpreter's arguments.
    pub fn option(&self) -> &'static str {
        match self.interpreter.as_str() {
            "perl" | "node" => "-e",
            _ => "-c",
        }
    }
}

/// What a list says.
pub fn parse(list: &str) -> Vec<Script> {
    let mut scripts: Vec<Script> = Vec::new();
    for line in list.lines() {
        if let Some(line) = line.strip_prefix("    ") {
            let script = scripts.last_mut().expect("a script's name comes before it");
            script.text.push_str(line);
            script.text.push('\n');
        } else if !line.is_empty() && !line.starts_with('#') {
            let (name, interpreter) =
                line.split_once(' ').unwrap_or_else(|| panic!("no interpreter: {line}"));
            let text = String::new();
            scripts.push(Script { name: name.into(), interpreter: interpreter.into(), text });
        }
    }
    scripts
}

/// All scripts.
pub fn scripts() -> Vec<Script> {
    let list = fs::read_to_string(root().join("tests/whole.list")).expect("it is there");
    parse(&list)
}

/// What a script finds in its environment beside what every run has.
pub fn environment() -> Vec<(&'static str, PathBuf)> {
    vec![("PATH", "/usr/bin:/bin".into()), ("DATA", data()), ("BUILT", programs().to_path_buf())]
}

fn data() -> PathBuf {
    root().join("tests/programs2")
}

/// The folder with the programs that the scripts need and no package has; built by the first caller.
pub fn programs() -> &'static Path {
    static PROGRAMS: OnceLock<PathBuf> = OnceLock::new();
    PROGRAMS.get_or_init(|| {
        let folder = target_dir().join("programs2");
        fs::create_dir_all(&folder).expect("the target directory can be written");
        let build = |program: &str, arguments: &[&str], sources: &[&str]| {
            let output = Command::new(program)
                .args(arguments)
                .args(sources.iter().map(|source| data().join(source)))
                .args(if sources[0] == "allocates.c" { &["-ljemalloc"][..] } else { &[] })
                .current_dir(&folder)
                .env("CGO_ENABLED", "1")
                .env("GO111MODULE", "off")
                .env("GOCACHE", folder.join("gocache"))
                .env("GOPATH", folder.join("gopath"))
                .output()
                .unwrap_or_else(|error| panic!("{program} cannot be started: {error}"));
            let says = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{program} {arguments:?}: {says}");
        };
        let go = ["build", "-buildmode=pie", "-trimpath", "-o"];
        let gcc = ["-g", "-O1", "-Wall", "-Wextra", "-Werror", "-pthread", "-o"];
        build("go", &[&go[..], &["goroutines"]].concat(), &["goroutines.go"]);
        build("go", &[&go[..], &["web"]].concat(), &["web.go"]);
        build("go", &[&go[..], &["lookup"]].concat(), &["lookup.go"]);
        build("javac", &["-d", "."], &["Whole.java"]);
        build("javac", &["-d", "."], &["Web.java"]);
        build("gcc", &[&gcc[..], &["sanitized", "-fsanitize=address"]].concat(), &["sanitized.c"]);
        build("gcc", &[&gcc[..], &["allocates"]].concat(), &["allocates.c"]);
        folder
    })
}
