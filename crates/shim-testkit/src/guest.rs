//! Small C programs that become guests, from `tests/guests/`; those of `benches/`, too.
//!
//! A name and a C library in, the path of an executable out. Always true: a program is compiled at
//! most once per test process, without warnings, and appears under its name only when it is whole, so
//! tests that run at the same time share it. What the programs show is not here.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use crate::built;
use crate::compare::Folder;
use crate::run::Run;

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

/// The names of all programs of `tests/guests`, sorted.
pub fn names() -> Vec<String> {
    let folder = built::root().join("tests/guests");
    let entries = std::fs::read_dir(folder).expect("it is there").flatten();
    let mut names: Vec<String> = entries
        .filter_map(|entry| Some(entry.file_name().to_str()?.strip_suffix(".c")?.to_owned()))
        .collect();
    names.sort();
    names
}

/// The parts of `tests/guests/<name>.c`, as its executable lists them; none if it knows none.
pub fn parts(name: &str, program: &Path) -> Vec<String> {
    let source = built::root().join("tests/guests").join(format!("{name}.c"));
    if !std::fs::read_to_string(source).expect("it is there").contains("run_part") {
        return Vec::new();
    }
    let folder = Folder::new();
    let run = Run::native(program).args(["list"]).folder(folder.path());
    run.finish().expect_success().text().lines().map(str::to_owned).collect()
}

/// Compile `tests/guests/<name>.c`; the executable.
pub fn compile(name: &str, libc: Libc) -> PathBuf {
    compile_with(name, libc, &[])
}

/// Compile `tests/guests/<name>.c` with further arguments for the compiler, which follow the source;
/// the executable.
pub fn compile_with(name: &str, libc: Libc, arguments: &[&str]) -> PathBuf {
    compile_from("tests/guests", name, libc, arguments)
}

/// Compile `<name>.c` of this folder of the repository; the executable.
pub fn compile_from(folder: &str, name: &str, libc: Libc, arguments: &[&str]) -> PathBuf {
    static COMPILED: Mutex<BTreeMap<Key, Arc<OnceLock<PathBuf>>>> = Mutex::new(BTreeMap::new());
    let source = built::root().join(folder).join(format!("{name}.c"));
    let key = (source.clone(), libc, arguments.join(" "));
    // Whoever asks for another program meanwhile does not wait for this one.
    let mut compiled = COMPILED.lock().unwrap_or_else(PoisonError::into_inner);
    let program = Arc::clone(compiled.entry(key).or_default());
    drop(compiled);
    let folder = built::target_dir().join(folder);
    let shared = folder.join(format!("{name}-{libc:?}{}", suffix(arguments)));
    // The process id keeps apart test processes that run at the same time.
    let path = shared.with_added_extension(std::process::id().to_string());
    program
        .get_or_init(|| {
            std::fs::create_dir_all(&folder).expect("the target directory can be written");
            call_compiler(&source, libc, arguments, &path);
            std::fs::rename(&path, &shared).expect("a file can be renamed in its folder");
            shared
        })
        .clone()
}

/// A source, a library and arguments for the compiler.
type Key = (PathBuf, Libc, String);

fn call_compiler(source: &Path, libc: Libc, arguments: &[&str], path: &Path) {
    let output = Command::new(libc.compiler())
        .args(["-std=gnu11", "-O1", "-g", "-Wall", "-Wextra", "-Werror", "-pthread", "-I"])
        .arg(built::root().join("include"))
        .arg("-o")
        .arg(path)
        .arg(source)
        .args(arguments)
        .output()
        .unwrap_or_else(|error| panic!("{} cannot be started: {error}", libc.compiler()));
    assert!(
        output.status.success(),
        "{}: {}",
        source.display(),
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Tells variants of one program apart in its file's name.
fn suffix(arguments: &[&str]) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    arguments
        .iter()
        .map(|argument| format!("-{}", argument.replace(|c| plain(c) != c, "_")))
        .collect()
}
