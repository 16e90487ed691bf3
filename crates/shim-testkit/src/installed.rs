//! The SDK as users have it: what `make install` puts into a scratch prefix.
//!
//! The built files and the Makefile in, the path of a prefix out. Always true: it is made once per test
//! process, in a folder of that test's own name, from nothing but `make install`; the static archive is
//! made first if no `make` has made it. What consumers do with it is not here.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::built::{built, root, supervisor, target_dir};
use crate::run::Run;

/// The prefix; installed by the first caller.
pub fn prefix() -> &'static Path {
    static INSTALLED: OnceLock<PathBuf> = OnceLock::new();
    INSTALLED.get_or_init(|| {
        let test = std::env::current_exe().expect("a test knows its own path");
        let stem = test.file_stem().expect("it is a file").to_string_lossy().into_owned();
        let name = stem.split('-').next().unwrap_or_default();
        let prefix = target_dir().join("installed").join(name);
        _ = std::fs::remove_dir_all(&prefix);
        if !release().join("libshim.a").is_file() {
            make(&["archive"], &[]);
        }
        supervisor();
        make(&["install"], &[&format!("PREFIX={}", prefix.display())]);
        prefix
    })
}

/// The folder of the built files.
pub fn release() -> &'static Path {
    built().command.parent().expect("it lies in a folder")
}

/// Call `make` for the built files; what it printed.
pub fn make(targets: &[&str], variables: &[&str]) -> String {
    let output = Command::new("make")
        .arg("-s")
        .args(targets)
        .arg(format!("RELEASE={}", release().display()))
        .arg(format!("TARGET={}", target_dir().display()))
        .args(variables)
        .current_dir(root())
        .env_remove("MAKEFLAGS")
        .output()
        .expect("make can be started");
    let says = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "make {targets:?}: {says}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// What pkg-config says about the installed library for guests.
pub fn pkg_config(arguments: &[&str]) -> String {
    pkg_config_of("shim", arguments)
}

/// What pkg-config says about an installed library.
pub fn pkg_config_of(package: &str, arguments: &[&str]) -> String {
    let output = Command::new("pkg-config")
        .args(arguments)
        .arg(package)
        .env("PKG_CONFIG_PATH", prefix().join("lib/pkgconfig"))
        .output()
        .expect("pkg-config can be started");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("it is ASCII").trim().to_owned()
}

/// `run`, with the installed library where the loader looks.
pub fn with_library(run: Run) -> Run {
    run.env("LD_LIBRARY_PATH", prefix().join("lib"))
}
