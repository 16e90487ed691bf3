//! The pages of the manual: there for every function, clean to the tool that reads them, and true.
//!
//! `man/` in, mandoc's complaints out. Always true: a page of section 3 exists for each public function
//! and for nothing else. Whether the pages are current is tested in `shim-gen`.

use std::collections::BTreeSet;
use std::process::Command;

use shim_testkit::Folder;
use shim_testkit::built::root;

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn pages() -> BTreeSet<String> {
    std::fs::read_dir(root().join("man"))
        .expect("the pages are checked in")
        .map(|entry| entry.expect("it can be read").file_name().to_string_lossy().into_owned())
        .collect()
}

/// What mandoc says about a page that is worth changing it for; matters of taste do not count.
fn complaints(path: &std::path::Path) -> String {
    let output = Command::new("mandoc")
        .args(["-Tlint", "-Wwarning"])
        .arg(path)
        .output()
        .unwrap_or_else(|error| panic!("mandoc cannot be started: {error}"));
    // References to the pages of other packages are not looked up.
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn every_public_function_has_a_page() {
    let map = read("src/shim.map");
    let public = map.split("SHIM_PRIVATE {").next().unwrap_or_default();
    let supervisors = read("crates/shim-supervisor-c/src/supervisor.map");
    let functions: BTreeSet<String> = public
        .lines()
        .chain(supervisors.lines())
        .filter_map(|line| line.trim().strip_suffix(';'))
        .filter(|name| name.starts_with("shim"))
        .map(|name| format!("{name}.3"))
        .collect();
    assert!(functions.len() > 30, "{functions:?}");
    let pages: BTreeSet<String> = pages().into_iter().filter(|p| p.ends_with(".3")).collect();
    assert_eq!(pages, functions, "left: man/, right: the public nodes of both symbol maps");
}

#[test]
fn the_pages_are_clean() {
    let mut all = String::new();
    for page in pages() {
        all += &complaints(&root().join("man").join(page));
    }
    assert!(all.is_empty(), "{all}");
    let folder =
        Folder::with(&[("broken.3", b".TH broken 3 \"2026-11-24\"\n.SH NAME\n.nonsense\n")]);
    assert!(!complaints(&folder.path().join("broken.3")).is_empty(), "mandoc finds nothing wrong");
}

#[test]
fn the_pages_have_the_sections_of_a_manual() {
    for page in pages().iter().filter(|page| page.ends_with(".3")) {
        let text = read(&format!("man/{page}"));
        for section in [
            "NAME",
            "SYNOPSIS",
            "DESCRIPTION",
            "RETURN VALUE",
            "ERRORS",
            "THREADS AND SIGNALS",
            "HISTORY",
            "SEE ALSO",
        ] {
            assert_eq!(text.matches(&format!(".SH {section}\n")).count(), 1, "{page}: {section}");
        }
        // A simulator is not in a simulation.
        let is_guests = page.starts_with("shim_");
        assert_eq!(text.contains(".SH OUTSIDE A SIMULATION\n"), is_guests, "{page}");
        let version = env!("CARGO_PKG_VERSION");
        assert!(text.contains(&format!("\"libshim {version}\"")), "{page}");
    }
}

/// The pages of the concepts refer to pages that are there, and show programs that compile.
#[test]
fn the_pages_of_concepts_are_true() {
    for concepts in ["shim.7", "shim-supervisor.7"] {
        let (text, pages) = (read(&format!("man/{concepts}")), pages());
        let referred = text.lines().filter_map(|line| line.strip_prefix(".BR shim"));
        let names: Vec<String> = referred
            .filter_map(|rest| rest.split_once(" (3)"))
            .map(|(name, _)| format!("shim{name}.3"))
            .collect();
        assert!(names.len() > 10, "{names:?}");
        for name in names {
            assert!(pages.contains(&name), "{concepts} refers to {name}");
        }
        assert!(text.contains(&format!("libshim {}", env!("CARGO_PKG_VERSION"))), "its version");

        let example = text.split(".EX\n").nth(1).and_then(|rest| rest.split(".EE").next());
        let source = example.expect("it has an example").replace("\\en", "\\n").replace("\\-", "-");
        let folder = Folder::with(&[("example.c", source.as_bytes())]);
        let output = Command::new("gcc")
            .args(["-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only", "-I"])
            .arg(root().join("include"))
            .arg(folder.path().join("example.c"))
            .output()
            .expect("gcc can be started");
        let says = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{concepts}: {says}");
    }
}
