//! What a distribution asks of a library: small, the same bytes from the same sources, clean under tools.
//!
//! The built library, and builds of copies of the sources, in; what is wrong with them out. Always true:
//! consumers run natively here, with every function called. What the loader sees of the library is
//! tested in `exports.rs`.

use std::path::{Path, PathBuf};
use std::process::Command;

use shim_testkit::built::{library, root};
use shim_testkit::installed::{pkg_config, with_library};
use shim_testkit::{Folder, Outcome, Run, Status};

/// A library of this size, with the kernel of a machine in it, is nothing that a distribution thinks about.
const MAX_BYTES: u64 = 1664 * 1024;

#[track_caller]
fn succeed(command: &mut Command) {
    let shown = format!("{command:?}");
    let output =
        command.output().unwrap_or_else(|error| panic!("{shown} cannot be started: {error}"));
    assert!(output.status.success(), "{shown}: {}", String::from_utf8_lossy(&output.stderr));
}

/// The library as it is shipped, without the build id, which names the debug information too.
fn stripped(from: &Path, to: &Path) -> Vec<u8> {
    succeed(Command::new("strip").arg("--strip-unneeded").arg("-o").arg(to).arg(from));
    succeed(Command::new("objcopy").arg("--remove-section=.note.gnu.build-id").arg(to));
    std::fs::read(to).expect("it was written")
}

#[test]
fn it_is_small() {
    let folder = Folder::new();
    let bytes = stripped(library(), &folder.path().join("stripped.so")).len() as u64;
    assert!(bytes < MAX_BYTES, "{bytes} bytes, {MAX_BYTES} at most");
}

fn copy(from: &Path, to: &Path) {
    succeed(Command::new("cp").arg("-r").arg(from).arg(to));
}

/// The same sources in another folder, with another target folder, give the same bytes.
#[test]
fn its_build_is_reproducible() {
    let folder = Folder::new();
    let build = |name: &str| {
        let tree = folder.path().join(name);
        std::fs::create_dir_all(&tree).expect("a fresh folder can be written");
        for part in ["src", "build", "crates", "Cargo.toml", "Cargo.lock", "build.rs"] {
            copy(&root().join(part), &tree.join(part));
        }
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let target = folder.path().join(format!("target of {}", tree.display()).replace('/', "-"));
        let mut command = Command::new(cargo);
        command.args(["build", "--locked", "--release", "-p", "shim", "--target-dir"]);
        succeed(command.arg(&target).current_dir(&tree));
        let built = target.join("release/libshim.so");
        stripped(&built, &folder.path().join("stripped.so"))
    };
    let (one, other) = (build("one"), build("another/place"));
    assert!(one == other, "{} and {} bytes, or other ones", one.len(), other.len());
}

/// A consumer, compiled with further arguments.
fn consumer(folder: &Folder, source: &str, arguments: &[&str]) -> PathBuf {
    let name = source.rsplit('/').next().expect("it is a path");
    let program = folder.path().join(name.trim_end_matches(".c"));
    let mut command = Command::new("gcc");
    command.args(["-std=gnu11", "-g", "-O1", "-pthread", "-o"]).arg(&program);
    command.args(arguments).arg(root().join(source));
    succeed(command.args(pkg_config(&["--cflags", "--libs"]).split(' ')));
    program
}

/// Programs that call every function, and what they are asked.
const CONSUMERS: &[(&str, &[&str])] = &[
    ("tests/guests/capi.c", &["native"]),
    ("tests/guests/embed.c", &["native"]),
    ("examples/c/whereami.c", &["localhost", "127.1"]),
];

#[track_caller]
fn assert_clean(name: &str, outcome: &Outcome) {
    let says = String::from_utf8_lossy(&outcome.stderr);
    assert_eq!(outcome.status, Status::Code(0), "{name}: {outcome:?}");
    assert!(!says.contains("ERROR: ") && !says.contains("runtime error"), "{name}: {says}");
}

#[test]
fn consumers_are_clean_under_the_sanitizers() {
    let folder = Folder::new();
    let sanitized = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"];
    for (source, arguments) in CONSUMERS {
        let program = consumer(&folder, source, &sanitized);
        let run = with_library(Run::native(program)).args(*arguments).stdin("i");
        assert_clean(source, &run.env("ASAN_OPTIONS", "detect_leaks=1").finish());
    }
    // That it would find something: a leak that is one.
    let leak = "#include <shim/shim.h>\n#include <stdlib.h>\n\
                int main(void) { return malloc(7) == NULL; }\n";
    let source = folder.path().join("leak.c");
    std::fs::write(&source, leak).expect("a fresh folder can be written");
    let program = consumer(&folder, &source.display().to_string(), &sanitized);
    let outcome = with_library(Run::native(program)).finish();
    assert_ne!(outcome.status, Status::Code(0), "a leak is found: {outcome:?}");
}

#[test]
fn consumers_are_clean_under_valgrind() {
    let folder = Folder::new();
    for (source, arguments) in CONSUMERS {
        let program = consumer(&folder, source, &[]);
        let options = ["--quiet", "--error-exitcode=99", "--leak-check=full"];
        let nonsense = root().join("tests/consumers/nonsense.supp");
        let run = with_library(Run::native("valgrind"))
            .args(options)
            .args([format!("--suppressions={}", nonsense.display())])
            .args([program]);
        assert_clean(source, &run.args(*arguments).stdin("i").finish());
    }
}
