//! The public headers, read by compilers: each alone and twice, in every standard of C and C++.
//!
//! `include/shim/*.h` in, a compiler's complaint out as the failure. Always true: both compilers are
//! there, or the test fails. Whether the headers are current is tested in `shim-gen`, whether they
//! agree with the library in `exports.rs`.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use shim_testkit::built::root;

const C: (&[&str], &[&str]) = (&["gcc", "clang"], &["c99", "c11", "c17", "c2x"]);
const CXX: (&[&str], &[&str]) =
    (&["g++", "clang++"], &["c++11", "c++14", "c++17", "c++20", "c++2b"]);
const WARNINGS: &[&str] = &["-Wall", "-Wextra", "-Wpedantic", "-Wundef", "-Werror"];

fn headers() -> Vec<String> {
    let folder = root().join("include/shim");
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .expect("the headers are checked in")
        .map(|entry| entry.expect("it can be read").file_name().to_string_lossy().into_owned())
        .filter(|name| name.ends_with(".h"))
        .collect();
    names.sort();
    assert!(names.len() >= 7, "only {names:?}");
    names
}

/// What the compiler says about `text`, if it refuses it.
fn complaint(compiler: &str, language: &str, standard: &str, text: &str) -> Option<String> {
    let strict: &[&str] = if language == "c" { &["-Wstrict-prototypes"] } else { &[] };
    let include = PathBuf::from(root()).join("include");
    let mut child = Command::new(compiler)
        .arg(format!("-std={standard}"))
        .args(WARNINGS)
        .args(strict)
        .arg("-I")
        .arg(include)
        .args(["-x", language, "-fsyntax-only", "-"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{compiler} cannot be started: {error}"));
    let mut stdin = child.stdin.take().expect("it is piped");
    stdin.write_all(text.as_bytes()).expect("the compiler reads its input");
    drop(stdin);
    let output = child.wait_with_output().expect("it is our child");
    let says = String::from_utf8_lossy(&output.stderr).into_owned();
    (!output.status.success()).then_some(says)
}

#[test]
fn each_header_compiles_alone_and_twice_in_every_standard() {
    let mut complaints = Vec::new();
    for header in headers() {
        let text = format!("#include <shim/{header}>\n#include <shim/{header}>\nint object;\n");
        for (language, (compilers, standards)) in [("c", C), ("c++", CXX)] {
            for compiler in compilers {
                for standard in standards {
                    if let Some(says) = complaint(compiler, language, standard, &text) {
                        complaints.push(format!("{header}, {compiler} -std={standard}:\n{says}"));
                    }
                }
            }
        }
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

#[test]
fn the_example_in_the_umbrella_header_compiles() {
    let header = std::fs::read_to_string(root().join("include/shim/shim.h")).expect("it is there");
    let example: String = header
        .lines()
        .skip_while(|line| !line.contains("#include <shim/shim.h>"))
        .take_while(|line| !line.contains("$(pkg-config"))
        .map(|line| format!("{line}\n"))
        .collect();
    assert!(example.contains("int main(void)"), "{example}");
    for compiler in C.0 {
        let says = complaint(compiler, "c", "c99", &example);
        assert!(says.is_none(), "{compiler}: {}", says.unwrap_or_default());
    }
}

#[test]
fn a_wrong_program_is_refused() {
    let wrong = "#include <shim/shim.h>\nint f(void) { return shim_version(1); }\n";
    for compiler in C.0 {
        assert!(complaint(compiler, "c", "c99", wrong).is_some(), "{compiler} accepted {wrong}");
    }
}
