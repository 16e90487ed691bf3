//! `shim doctor`: prints what this machine offers.
//!
//! The probes' findings and the library's check in, lines or JSON and an exit status out. Always true:
//! one line per finding, and a second one only where something is lacking; status 1 exactly if a
//! finding says that guests cannot run. The probes themselves are `shim_host::probe`.

use std::io::{self, Write};
use std::path::Path;

use serde_json::json;
use shim_host::probe::{Finding, Grade};
use shim_supervisor::Library;

use crate::library;
use crate::options;

/// Run the command; its exit status.
pub fn run(options: &options::Doctor) -> u8 {
    let mut findings = shim_host::probe::machine();
    findings.push(library_finding(options.library.as_deref()));
    let is_able = findings.iter().all(|finding| finding.grade != Grade::Fail);
    // A reader that has seen enough (head) is no error.
    let _ =
        if options.json { print_json(&findings, is_able) } else { print_lines(&findings, is_able) };
    if is_able { 0 } else { 1 }
}

fn library_finding(option: Option<&Path>) -> Finding {
    let found = library::find_here(option)
        .map_err(|error| error.to_string())
        .and_then(|path| Library::open(&path).map_err(|error| error.to_string()));
    let (grade, words) = match found {
        Ok(library) => {
            let (major, minor) = library.protocol();
            (Grade::Ok, format!("{} (protocol {major}.{minor})", library.path().display()))
        }
        Err(words) => (Grade::Fail, words),
    };
    let is_ok = grade == Grade::Ok;
    Finding {
        name: "library",
        grade,
        found: words,
        cost: if is_ok { "" } else { "programs cannot become guests" },
        cure: if is_ok { "" } else { "build it (make), or name it with --library" },
    }
}

fn grade_word(grade: Grade) -> &'static str {
    match grade {
        Grade::Ok => "ok",
        Grade::Warn => "warn",
        Grade::Fail => "fail",
    }
}

fn print_lines(findings: &[Finding], is_able: bool) -> io::Result<()> {
    let mut out = io::stdout().lock();
    for Finding { name, grade, found, cost, cure } in findings {
        writeln!(out, "{:<4}  {name}: {found}", grade_word(*grade))?;
        if !cost.is_empty() {
            writeln!(out, "      costs: {cost}")?;
        }
        if !cure.is_empty() {
            writeln!(out, "      cure: {cure}")?;
        }
    }
    let verdict = if is_able { "guests can run here" } else { "guests cannot run here" };
    writeln!(out, "{verdict}")
}

fn print_json(findings: &[Finding], is_able: bool) -> io::Result<()> {
    let list: Vec<_> = findings
        .iter()
        .map(|finding| {
            json!({
                "name": finding.name,
                "grade": grade_word(finding.grade),
                "found": finding.found,
                "cost": finding.cost,
                "cure": finding.cure,
            })
        })
        .collect();
    writeln!(io::stdout(), "{:#}", json!({ "can_run_guests": is_able, "findings": list }))
}
