//! The SDK as its users have it: installed, found by pkg-config, compiled against, run.
//!
//! The Makefile's `install` in, programs of C and C++ out, natively and as guests. Always true: the
//! same executable runs in both ways, and natively the library changes nothing. What the headers and
//! the symbols look like is in `headers.rs` and `exports.rs`.

use std::path::{Path, PathBuf};
use std::process::Command;

use shim_testkit::built::{library, root};
use shim_testkit::guest::compile_with;
use shim_testkit::installed::{pkg_config, prefix, with_library};
use shim_testkit::{Folder, Libc, Outcome, Run, Status};

#[track_caller]
fn assert_prints(outcome: &Outcome, text: &str) {
    assert_eq!((outcome.status, outcome.text().as_str()), (Status::Code(0), text), "{outcome:?}");
}

#[test]
fn pkg_config_describes_the_library() {
    pkg_config(&["--validate"]);
    assert_eq!(pkg_config(&["--modversion"]), env!("CARGO_PKG_VERSION"));
    let (shared, fixed) = (pkg_config(&["--libs"]), pkg_config(&["--static", "--libs"]));
    assert_eq!(shared, fixed, "the library has no dependencies of its own");
}

/// An example, by every compiler that users have; each executable is handed to `check`.
fn with_each_compiler(example: &str, check: impl Fn(&Path)) {
    let flags = pkg_config(&["--cflags", "--libs"]);
    let source = root().join("examples/c").join(format!("{example}.c"));
    let folder = Folder::new();
    for (compiler, arguments) in [
        ("gcc", &["-std=c99", "-D_POSIX_C_SOURCE=200809L"][..]),
        ("clang", &["-std=c11", "-D_POSIX_C_SOURCE=200809L"]),
        ("musl-gcc", &["-std=c11", "-D_POSIX_C_SOURCE=200809L"]),
        ("g++", &["-std=c++17", "-x", "c++"]),
    ] {
        let program = folder.path().join(compiler);
        let output = Command::new(compiler)
            .args(["-Wall", "-Wextra", "-Wpedantic", "-Werror", "-o"])
            .arg(&program)
            .args(arguments)
            .arg(&source)
            .args(["-x", "none"])
            .args(flags.split(' '))
            .output()
            .unwrap_or_else(|error| panic!("{compiler} cannot be started: {error}"));
        assert!(output.status.success(), "{compiler}: {}", String::from_utf8_lossy(&output.stderr));
        check(&program);
    }
}

#[test]
fn the_example_runs_natively_and_as_a_guest() {
    with_each_compiler("hello", |program| {
        let version = env!("CARGO_PKG_VERSION");
        let native = with_library(Run::native(program)).finish();
        assert_prints(&native, &format!("libshim {version}: running natively\n"));
        let guest = with_library(Run::native(program)).as_guest(["--quiet", "--hostname", "alpha"]);
        let expected = format!("libshim {version}: running on alpha, 3600 s after the start\n");
        assert_prints(&guest.finish(), &expected);
    });
}

#[test]
fn a_program_learns_where_it_is() {
    with_each_compiler("whereami", |program| {
        let run = with_library(Run::native(program)).args(["localhost", "127.1"]);
        let native = run.clone().finish().expect_success().text();
        assert!(
            native.contains(", real\n")
                && native.contains("interface lo: 127.0.0.1, mask 255.0.0.0\n")
        );
        assert!(native.ends_with(" UTC\n") && !native.contains("simulated time"), "{native}");
        assert!(native.contains("127.1: 127.0.0.1\nreal time: 20"), "{native}");
        let guest =
            run.as_guest(["--quiet", "--hostname", "alpha"]).finish().expect_success().text();
        let (simulated, real) = guest.split_once("since the start: ").expect("it tells both");
        let expected = "host: alpha, simulated\n\
                        interface lo: 127.0.0.1, mask 255.0.0.0\n\
                        interface eth0: 11.0.0.1, mask 255.0.0.0\n\
                        interface lo: ::1, mask ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff\n\
                        localhost: ::1\nlocalhost: 127.0.0.1\n127.1: 127.0.0.1\n\
                        simulated time: 2000-01-01 00:00:00 UTC\n";
        assert_eq!(simulated, expected);
        // No machine shows 2000 any more.
        assert!(real.contains("real time: 20") && !real.contains("real time: 2000"), "{real}");
    });
}

/// `tests/guests/capi.c`, linked with the library.
fn capi(libc: Libc) -> PathBuf {
    let library = prefix().join("lib/libshim.so");
    compile_with("capi", libc, &[&library.display().to_string()])
}

#[test]
fn every_function_does_natively_what_its_documentation_says() {
    for libc in Libc::ALL {
        let run = with_library(Run::native(capi(libc))).stdin("i");
        assert_prints(&run.args(["native"]).finish(), "");
    }
}

#[test]
fn every_function_does_in_a_guest_what_its_documentation_says() {
    for libc in Libc::ALL {
        let run = with_library(Run::native(capi(libc))).stdin("i");
        let guest = run.args(["guest", "alpha"]).as_guest(["--quiet", "--hostname", "alpha"]);
        assert_prints(&guest.finish(), "");
    }
}

#[test]
fn a_thread_ends_with_its_status() {
    for libc in Libc::ALL {
        let run = with_library(Run::native(capi(libc))).args(["exit"]);
        assert_eq!(run.clone().finish().status, Status::Code(7), "{libc:?}, natively");
        assert_eq!(run.as_guest(["--quiet"]).finish().status, Status::Code(7), "{libc:?}, guest");
    }
}

/// Without a hand-off the library is not there, as far as the program can tell.
#[test]
fn a_preloaded_program_runs_natively() {
    let plain = Run::native("env").finish();
    let preloaded = Run::native("env").env("LD_PRELOAD", library()).finish();
    let without = preloaded.text().replace(&format!("LD_PRELOAD={}\n", library().display()), "");
    assert_prints(&plain, &without);

    let script = "import ctypes, os, sys\n\
                  print(sorted(os.listdir('/proc/self/fd')), sys.argv)\n\
                  if 'LD_PRELOAD' in os.environ: print(ctypes.CDLL(None).shim_version())";
    let python = Run::native("/usr/bin/python3").args(["-c", script, "x"]);
    let plain = python.clone().finish().expect_success();
    let version = env!("CARGO_PKG_VERSION")
        .split('.')
        .fold(0, |all, part| all * 256 + part.parse::<u32>().expect("a number"));
    let preloaded = python.env("LD_PRELOAD", library()).finish();
    assert_prints(&preloaded, &format!("{}{version}\n", plain.text()));
}
