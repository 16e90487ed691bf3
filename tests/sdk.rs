//! The SDK as its users have it: installed, found by pkg-config, compiled against, run.
//!
//! The Makefile's `install` in, programs of C and C++ out, natively and as guests. Always true: the
//! same executable runs in both ways, and natively the library changes nothing. What the headers and
//! the symbols look like is in `headers.rs` and `exports.rs`.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use shim_testkit::built::{built, library, root, target_dir};
use shim_testkit::guest::compile_with;
use shim_testkit::{Folder, Libc, Outcome, Run, Status};

/// Where `make install` has put everything.
fn prefix() -> &'static Path {
    static INSTALLED: OnceLock<PathBuf> = OnceLock::new();
    INSTALLED.get_or_init(|| {
        let prefix = target_dir().join("installed");
        _ = std::fs::remove_dir_all(&prefix);
        let release = built().command.parent().expect("it lies in a folder");
        let output = Command::new("make")
            .arg("install")
            .arg(format!("PREFIX={}", prefix.display()))
            .arg(format!("RELEASE={}", release.display()))
            .current_dir(root())
            .env_remove("MAKEFLAGS")
            .output()
            .expect("make can be started");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        prefix
    })
}

fn pkg_config(arguments: &[&str]) -> String {
    let output = Command::new("pkg-config")
        .args(arguments)
        .arg("shim")
        .env("PKG_CONFIG_PATH", prefix().join("lib/pkgconfig"))
        .output()
        .expect("pkg-config can be started");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("it is ASCII").trim().to_owned()
}

/// `run`, with the installed library where the loader looks.
fn with_library(run: Run) -> Run {
    run.env("LD_LIBRARY_PATH", prefix().join("lib"))
}

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

#[test]
fn the_example_runs_natively_and_as_a_guest() {
    let flags = pkg_config(&["--cflags", "--libs"]);
    let source = root().join("examples/c/hello.c");
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
        let version = env!("CARGO_PKG_VERSION");
        let native = with_library(Run::native(&program)).finish();
        assert_prints(&native, &format!("libshim {version}: running natively\n"));
        let guest =
            with_library(Run::native(&program)).as_guest(["--quiet", "--hostname", "alpha"]);
        let expected = format!("libshim {version}: running on alpha, 3600 s after the start\n");
        assert_prints(&guest.finish(), &expected);
    }
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
