//! Simulators that others write, from the installed library alone: `shim/host.h` from C and from Rust.
//!
//! `make install` into a scratch prefix and the examples in; what they print out. Always true: each is built in an empty directory
//! and knows the prefix and nothing else of this repository; what is run twice prints the same twice, and its twin in
//! another language too. What guests see is tested elsewhere; the same loop without C is `stepping.rs`.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use shim_testkit::built::{root, target_dir};
use shim_testkit::installed::{pkg_config_of, prefix, with_library};
use shim_testkit::{Folder, Run, Status};

/// What `make install` calls the library to pkg-config.
const PACKAGE: &str = "shim-supervisor";

#[track_caller]
fn succeed(command: &mut Command) {
    let shown = format!("{command:?}");
    let output = command
        .env("PKG_CONFIG_PATH", prefix().join("lib/pkgconfig"))
        .output()
        .unwrap_or_else(|error| panic!("{shown} cannot be started: {error}"));
    let says = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{shown}:\n{says}");
}

/// A C program, compiled in a folder.
fn compile(folder: &Folder, compiler: &str, source: &str, arguments: &[&str]) -> PathBuf {
    let name = Path::new(source).file_stem().expect("it is a file").to_string_lossy();
    let program = folder.path().join(format!("{name}-{compiler}"));
    let mut command = Command::new(compiler);
    command.current_dir(folder.path());
    command.args(["-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-g", "-O1", "-o"]);
    command.arg(&program).args(arguments).arg(root().join(source));
    succeed(command.args(pkg_config_of(PACKAGE, &["--cflags", "--libs"]).split(' ')));
    program
}

/// What a program prints, in an empty directory.
#[track_caller]
fn printed(run: Run) -> String {
    let empty = Folder::new();
    let outcome = with_library(run).folder(empty.path()).limit(Duration::from_secs(120)).finish();
    assert_eq!((outcome.status, outcome.stderr.len()), (Status::Code(0), 0), "{outcome:?}");
    outcome.text()
}

/// What two hosts print, which is the same each time.
#[track_caller]
fn printed_by_two_hosts(program: &Path) -> String {
    let text = printed(Run::native(program));
    assert!(text.starts_with("hello from the other host\ncurl exited with 0 after "), "{text}");
    assert_eq!(printed(Run::native(program)), text);
    text
}

#[test]
fn two_hosts_run_under_an_event_loop_in_c_and_in_rust() {
    let folder = Folder::new();
    let source = "examples/c/two_hosts.c";
    let c = printed_by_two_hosts(&compile(&folder, "gcc", source, &[]));
    assert_eq!(printed_by_two_hosts(&compile(&folder, "clang", source, &[])), c);

    let copied = folder.path().join("rust");
    succeed(Command::new("cp").arg("-r").arg(root().join("examples/rust")).arg(&copied));
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let target = target_dir().join("embedders-rust");
    let mut build = Command::new(cargo);
    build.args(["build", "--locked", "--bin", "two_hosts", "--target-dir"]).arg(&target);
    succeed(build.current_dir(&copied));
    assert_eq!(printed_by_two_hosts(&target.join("debug/two_hosts")), c, "its twin in C");
}

/// Each function, with nonsense and with a host that works.
const EVERYTHING: &str = "tests/consumers/one_host.c";

#[test]
fn every_function_answers_as_documented() {
    let folder = Folder::new();
    let program = compile(&folder, "gcc", EVERYTHING, &["-D_DEFAULT_SOURCE", "-pthread"]);
    assert_eq!(printed(Run::native(program)), "ok\n");
}

/// The sanitizers are the simulator's: guests get an environment of their own.
#[test]
fn simulators_are_clean_under_the_sanitizers() {
    let folder = Folder::new();
    let sanitized = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"];
    let arguments = [&sanitized[..], &["-D_DEFAULT_SOURCE", "-pthread"]].concat();
    let run = |source, arguments: &[&str]| {
        let program = compile(&folder, "gcc", source, arguments);
        printed(Run::native(program).env("ASAN_OPTIONS", "detect_leaks=1"))
    };
    assert!(run("examples/c/two_hosts.c", &sanitized).contains("curl exited with 0 after "));
    assert_eq!(run(EVERYTHING, &arguments), "ok\n");
    // That a leak would be found: what was made and is not freed.
    let leak = "#include <shim/supervisor.h>\n#include <stdlib.h>\n\
                int main(void) { shimsup_command *c; return shimsup_command_new(\"sh\", &c) + (c = NULL, 0); }\n";
    let source = folder.path().join("leak.c");
    std::fs::write(&source, leak).expect("a fresh folder can be written");
    let program = compile(&folder, "gcc", &source.display().to_string(), &sanitized);
    let outcome = with_library(Run::native(program)).env("ASAN_OPTIONS", "detect_leaks=1").finish();
    let says = String::from_utf8_lossy(&outcome.stderr).into_owned();
    assert!(says.contains("detected memory leaks"), "{outcome:?}");
}

/// As far as it goes: valgrind 3.19 has no pidfd_open(2), without which there is no launcher, and hides the vDSO, which the
/// real clock is read from.
#[test]
fn refusals_are_clean_under_valgrind() {
    let folder = Folder::new();
    let program = compile(&folder, "gcc", EVERYTHING, &["-D_DEFAULT_SOURCE", "-pthread"]);
    let options = ["--quiet", "--error-exitcode=99", "--leak-check=full"];
    let run = Run::native("valgrind").args(options).args([program.as_os_str()]);
    assert_eq!(printed(run.args(["nonsense"])), "ok\n");
}

#[test]
fn a_project_of_cmake_finds_it() {
    let folder = Folder::new();
    let project = "cmake_minimum_required(VERSION 3.16)\nproject(consumer C)\n\
                   find_package(shim-supervisor 0.1 REQUIRED)\n\
                   add_executable(two_hosts \"${EXAMPLE}\")\n\
                   target_link_libraries(two_hosts PRIVATE shim::supervisor)\n";
    std::fs::write(folder.path().join("CMakeLists.txt"), project).expect("a fresh folder");
    let made = folder.path().join("made");
    let mut configure = Command::new("cmake");
    configure.arg("-S").arg(folder.path()).arg("-B").arg(&made);
    configure.arg(format!("-DCMAKE_PREFIX_PATH={}", prefix().display()));
    let example = root().join("examples/c/two_hosts.c");
    succeed(configure.arg(format!("-DEXAMPLE={}", example.display())));
    succeed(Command::new("cmake").arg("--build").arg(&made));
    let text = printed(Run::native(made.join("two_hosts")));
    assert!(text.contains("curl exited with 0 after "), "{text}");
}

#[test]
fn pkg_config_describes_it() {
    pkg_config_of(PACKAGE, &["--validate"]);
    assert_eq!(pkg_config_of(PACKAGE, &["--modversion"]), env!("CARGO_PKG_VERSION"));
    let libraries = pkg_config_of(PACKAGE, &["--libs"]);
    assert!(libraries.ends_with("-lshim-supervisor"), "{libraries}");
}
