//! The rules that keep the sources readable, as tests: style is not left to review.
//!
//! The repository's files in, one line per breach out. Always true: every rule here is written in
//! `CONTRIBUTING.md` or `ARCHITECTURE.md` too, and an exception stands by name in this file with its
//! reason. Formatting and lints are not here: `make check` runs rustfmt and clippy.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use shim_testkit::built::root;

/// Files longer than this hide a second concept.
const MAX_LINES: usize = 500;
/// Why each of these may be longer.
const LONG: &[(&str, &str)] = &[("crates/shim-abi/src/calls/table.rs", "a table: one line a call")];

/// Crates without any unsafe code.
const SAFE_CRATES: &[&str] =
    &["shim-kernel", "shim-sim", "shim-cli", "shim-gen", "shim-testkit", "shim-patch"];

/// What each crate of ours may depend on among ours.
const DIRECTION: &[(&str, &[&str])] = &[
    ("shim-abi", &[]),
    ("shim-sync", &["shim-abi"]),
    ("shim-arena", &["shim-abi"]),
    ("shim", &["shim-abi", "shim-sync", "shim-arena", "shim-kernel"]),
    ("shim-preload", &[]),
    ("shim-kernel", &["shim-abi"]),
    ("shim-patch", &["shim-abi"]),
    ("shim-supervisor", &["shim-abi", "shim-sync", "shim-patch"]),
    ("shim-host", &["shim-abi", "shim-sync", "shim-arena", "shim-kernel", "shim-supervisor"]),
    ("shim-sim", &["shim-abi", "shim-kernel", "shim-supervisor", "shim-host", "shim-arena"]),
    (
        "shim-cli",
        &["shim-abi", "shim-patch", "shim-supervisor", "shim-host", "shim-sim", "shim-arena"],
    ),
    ("shim-supervisor-c", &["shim-abi", "shim-arena", "shim-host", "shim-sim", "shim-supervisor"]),
    ("shim-gen", &["shim-abi"]),
    ("shim-testkit", &[]),
];
/// What crates that run inside guests may depend on beyond ours.
const OUTSIDE: &[(&str, &[&str])] = &[
    ("shim-abi", &[]),
    ("shim-sync", &[]),
    ("shim", &["libc", "log", "rustix"]),
    ("shim-preload", &[]),
    ("shim-kernel", &["domain", "etherparse", "libc", "smallvec"]),
];

/// Every text file of the repository that people write: path from the root, content.
fn files(extensions: &[&str]) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut waiting = vec![root().to_path_buf()];
    while let Some(folder) = waiting.pop() {
        for entry in std::fs::read_dir(&folder).expect("the repository can be read") {
            let path = entry.expect("the repository can be read").path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if path.is_dir() {
                if !name.starts_with("target") && name != ".git" {
                    waiting.push(path);
                }
            } else if extensions.iter().any(|e| name.ends_with(e)) {
                let text = std::fs::read_to_string(&path).expect("sources are UTF-8");
                found.push((from_root(&path), text));
            }
        }
    }
    found.sort();
    assert!(found.len() > 3, "only {} files", found.len());
    found
}

fn from_root(path: &Path) -> String {
    path.strip_prefix(root()).expect("it is below").to_string_lossy().into_owned()
}

/// The paragraphs at the head of a Rust file.
fn header(text: &str) -> String {
    let lines = text.lines().take_while(|line| line.starts_with("//!"));
    lines.map(|line| line.trim_start_matches("//!").to_owned() + "\n").collect()
}

/// Rust code without comments and without the contents of strings.
fn code(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let skipped = match c {
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |at| at + 2),
            'r' if rest.starts_with("r#\"") => {
                rest[3..].find("\"#").map_or(rest.len(), |at| at + 5)
            }
            '"' => string_end(rest),
            '\'' if rest.starts_with("'\"'") => 3,
            _ => 0,
        };
        if skipped == 0 {
            out.push(c);
            rest = &rest[c.len_utf8()..];
        } else {
            rest = &rest[skipped..];
        }
    }
    out
}

fn string_end(text: &str) -> usize {
    let bytes = text.as_bytes();
    let mut at = 1;
    while at < bytes.len() && bytes[at] != b'"' {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    (at + 1).min(bytes.len())
}

fn words(code: &str) -> impl Iterator<Item = &str> {
    code.split(|c: char| !c.is_alphanumeric() && c != '_')
}

fn none(breaches: Vec<String>) {
    assert!(breaches.is_empty(), "\n{}\n", breaches.join("\n"));
}

#[test]
fn every_file_says_what_it_is_for() {
    let mut breaches = Vec::new();
    for (path, text) in files(&[".rs"]) {
        let header = header(&text);
        let sentences = header.matches(". ").count() + header.matches(".\n").count();
        if sentences < 2 {
            breaches.push(format!("{path}: opens with no paragraph of `//!`"));
        }
    }
    none(breaches);
}

#[test]
fn crate_roots_tell_a_story_and_hold_no_code() {
    let mut breaches = Vec::new();
    let mut safe = BTreeSet::new();
    for (path, text) in files(&["lib.rs", "main.rs"]) {
        let code = code(&text);
        if path.ends_with("lib.rs") && words(&code).any(|word| word == "fn") {
            breaches.push(format!("{path}: has code"));
        }
        if path.ends_with("lib.rs") && !code.contains("(unsafe_code)") {
            breaches.push(format!("{path}: does not say that unsafe code is denied"));
        }
        let name = path.split('/').nth(1).unwrap_or_default();
        if SAFE_CRATES.contains(&name) && code.contains("#![forbid(unsafe_code)]") {
            safe.insert(name.to_owned());
        }
    }
    for name in SAFE_CRATES.iter().filter(|name| !safe.contains(**name)) {
        breaches.push(format!("{name}: does not forbid unsafe code"));
    }
    none(breaches);
}

#[test]
fn unsafe_files_are_listed_and_explained() {
    let mut breaches = Vec::new();
    let mut found = BTreeSet::new();
    for (path, text) in files(&[".rs"]) {
        let code = code(&text);
        if !words(&code).any(|word| matches!(word, "unsafe" | "global_asm")) {
            if code.contains("#![allow(unsafe_code)]") {
                breaches.push(format!("{path}: allows unsafe code and has none"));
            }
            continue;
        }
        found.insert(path.clone());
        // A marker that only states a fact of a type may be allowed where it stands.
        let is_marker = |at: &str| at.starts_with("impl") || at.starts_with("trait");
        let is_markers_only = code
            .split("unsafe ")
            .skip(1)
            .all(|after| is_marker(after.trim_start()) && code.contains("#[allow(unsafe_code)]"));
        if is_markers_only {
            continue;
        }
        if !code.contains("#![allow(unsafe_code)]") {
            breaches.push(format!("{path}: unsafe without `#![allow(unsafe_code)]`"));
        }
        if !header(&text).contains("# Safety") {
            breaches.push(format!("{path}: no `# Safety` paragraph in its header"));
        }
    }
    let path = root().join("tests/unsafe.list");
    if std::env::var_os("SHIM_BLESS").is_some() {
        let head = "# Files that hold unsafe code, each of which says in its header of what kind; checked by\n\
                    # tests/tidy.rs, recorded anew with SHIM_BLESS=1.\n";
        let lines: String = found.iter().map(|path| format!("{path}\n")).collect();
        std::fs::write(&path, head.to_owned() + &lines).expect("it can be written");
    }
    let list = std::fs::read_to_string(&path).expect("it is checked in");
    let listed: BTreeSet<String> =
        list.lines().filter(|l| !l.starts_with('#')).map(str::to_owned).collect();
    for path in found.difference(&listed) {
        breaches.push(format!("{path}: unsafe and not in tests/unsafe.list"));
    }
    for path in listed.difference(&found) {
        breaches.push(format!("{path}: in tests/unsafe.list and not unsafe"));
    }
    none(breaches);
}

#[test]
fn no_file_is_too_long() {
    let mut breaches = Vec::new();
    let mut excused: BTreeMap<&str, bool> = LONG.iter().map(|(path, _)| (*path, false)).collect();
    for (path, text) in files(&[".rs", ".c", ".S"]) {
        let lines = text.lines().count();
        if let Some(needed) = excused.get_mut(path.as_str()) {
            *needed = true;
        } else if lines > MAX_LINES {
            breaches.push(format!("{path}: {lines} lines, {MAX_LINES} are enough for one concept"));
        }
    }
    for (path, needed) in excused {
        if !needed {
            breaches.push(format!("{path}: excused, and not there"));
        }
    }
    none(breaches);
}

#[test]
fn nothing_is_unfinished_or_tied_to_one_machine() {
    let everything =
        [".rs", ".c", ".h", ".S", ".md", ".toml", ".sh", ".map", ".list", ".in", "Makefile", "run"];
    // Written in two halves, so that this file does not contain them.
    let unfinished = [
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("XX", "X"),
        concat!("to", "do"),
        concat!("unimplement", "ed"),
    ];
    let machine = [concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/ho", "me/")];
    let mut breaches = Vec::new();
    for (path, text) in files(&everything) {
        for (number, line) in text.lines().enumerate() {
            let word = unfinished.iter().find(|bad| words(line).any(|word| word == **bad));
            let place = machine.iter().find(|bad| line.contains(**bad));
            if let Some(bad) = word.or(place) {
                breaches.push(format!("{path}:{}: {bad}", number + 1));
            }
        }
    }
    none(breaches);
}

/// The workspace's own packages with their direct dependencies: (name, is for development only).
fn dependencies() -> BTreeMap<String, Vec<(String, bool)>> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--no-deps"])
        .current_dir(root())
        .output()
        .expect("cargo can be started");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value =
        serde_json::from_slice(&output.stdout).expect("cargo writes JSON");
    let packages = metadata["packages"].as_array().expect("there are packages");
    packages
        .iter()
        .map(|package| {
            let dependencies = package["dependencies"].as_array().expect("a list");
            let list = dependencies
                .iter()
                .filter(|d| d["kind"] != "build")
                .map(|d| (d["name"].as_str().unwrap_or_default().to_owned(), d["kind"] == "dev"))
                .collect();
            (package["name"].as_str().unwrap_or_default().to_owned(), list)
        })
        .collect()
}

#[test]
fn dependencies_point_one_way() {
    let packages = dependencies();
    let mut breaches = Vec::new();
    for (name, dependencies) in &packages {
        let Some((_, allowed)) = DIRECTION.iter().find(|(package, _)| package == name) else {
            breaches.push(format!("{name}: has no line in the table of directions"));
            continue;
        };
        let outside = OUTSIDE.iter().find(|(package, _)| package == name).map(|(_, list)| *list);
        for (dependency, is_dev) in dependencies {
            let is_ours = packages.contains_key(dependency);
            if dependency == "shim" {
                breaches.push(format!("{name}: nobody links the guest"));
            } else if *is_dev {
                if name == "shim" {
                    breaches.push(format!("{name}: the guest has no dev-dependencies"));
                }
            } else if is_ours && !allowed.contains(&dependency.as_str()) {
                breaches.push(format!("{name}: must not depend on {dependency}"));
            } else if !is_ours && outside.is_some_and(|list| !list.contains(&dependency.as_str())) {
                breaches.push(format!("{name}: runs in guests, must not depend on {dependency}"));
            }
        }
    }
    none(breaches);
}

#[test]
fn the_code_filter_sees_code_only() {
    let text =
        "// unsafe\nlet a = \"unsafe \\\" unsafe\"; /* unsafe */ let b = r#\"unsafe\"#; f();";
    let seen = code(text);
    assert!(!words(&seen).any(|word| word == "unsafe"), "{seen}");
    assert!(words(&seen).any(|word| word == "f"), "{seen}");
    assert!(words(&code("'\"' unsafe '\"'")).any(|word| word == "unsafe"));
}
