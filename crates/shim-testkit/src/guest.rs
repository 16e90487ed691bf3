//! Small C programs that become guests, from `tests/guests/`.
//!
//! A name and a C library in, the path of an executable out. Always true: a program is compiled at
//! most once per test process, without warnings, and appears under its name only when it is whole, so
//! tests that run at the same time share it. What the programs show is not here.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use crate::built;

/// The C library that a guest links.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Libc {
    /// GNU's, by gcc.
    Glibc,
    /// musl, by musl-gcc; dynamic, as a preload library needs it.
    Musl,
}

impl Libc {
    /// Both.
    pub const ALL: [Libc; 2] = [Libc::Glibc, Libc::Musl];

    fn compiler(self) -> &'static str {
        match self {
            Libc::Glibc => "gcc",
            Libc::Musl => "musl-gcc",
        }
    }
}

/// Compile `tests/guests/<name>.c`; the executable.
pub fn compile(name: &str, libc: Libc) -> PathBuf {
    compile_with(name, libc, &[])
}

/// Compile `tests/guests/<name>.c` with further arguments for the compiler, which follow the source;
/// the executable.
pub fn compile_with(name: &str, libc: Libc, arguments: &[&str]) -> PathBuf {
    static COMPILED: Mutex<BTreeMap<(String, Libc, String), PathBuf>> = Mutex::new(BTreeMap::new());
    let key = (name.to_owned(), libc, arguments.join(" "));
    let mut compiled = COMPILED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(path) = compiled.get(&key) {
        return path.clone();
    }
    let number = compiled.len();
    let folder = built::target_dir().join("guests");
    std::fs::create_dir_all(&folder).expect("the target directory can be written");
    // The process id keeps apart test processes that run at the same time, the number variants.
    let path = folder.join(format!("{name}-{libc:?}-{}-{number}", std::process::id()));
    let source = built::root().join("tests/guests").join(format!("{name}.c"));
    let output = Command::new(libc.compiler())
        .args(["-std=gnu11", "-O1", "-g", "-Wall", "-Wextra", "-Werror", "-pthread", "-I"])
        .arg(built::root().join("include"))
        .arg("-o")
        .arg(&path)
        .arg(&source)
        .args(arguments)
        .output()
        .unwrap_or_else(|error| panic!("{} cannot be started: {error}", libc.compiler()));
    assert!(
        output.status.success(),
        "{}: {}",
        source.display(),
        String::from_utf8_lossy(&output.stderr)
    );
    let shared = folder.join(format!("{name}-{libc:?}{}", suffix(arguments)));
    std::fs::rename(&path, &shared).expect("a file can be renamed in its folder");
    compiled.insert(key, shared.clone());
    shared
}

/// Tells variants of one program apart in its file's name.
fn suffix(arguments: &[&str]) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    arguments
        .iter()
        .map(|argument| format!("-{}", argument.replace(|c| plain(c) != c, "_")))
        .collect()
}
