//! Where a program's file is.
//!
//! A name and a search path in, a path or the reason for its absence out, by the rules of execvp(3). Always
//! true: a name with a slash is taken as it is. Two errors are kept apart, because a shell shows them as
//! 127 and 126. Whether the file really starts is for the kernel to say (`launcher`).

use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, AtFlags, CWD, accessat};

/// Why a name is no program.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unresolved {
    /// There is no such file; a shell's status is 127.
    NotFound,
    /// There is one that may not be executed; a shell's status is 126.
    NotExecutable,
}

impl Unresolved {
    /// The status by which a shell shows it.
    pub fn shell_code(self) -> i32 {
        match self {
            Unresolved::NotFound => 127,
            Unresolved::NotExecutable => 126,
        }
    }
}

impl fmt::Display for Unresolved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Unresolved::NotFound => "no such program",
            Unresolved::NotExecutable => "permission denied",
        })
    }
}

impl std::error::Error for Unresolved {}

/// What execvp(3) searches where there is no `PATH`.
const DEFAULT_PATH: &str = "/bin:/usr/bin";

/// Find the program `name` in the directories of `path_var` (the value of `PATH`, if there is one).
///
/// Relative results, as from an empty directory name in `path_var`, start at the current directory.
pub fn resolve_program(name: &OsStr, path_var: Option<&OsStr>) -> Result<PathBuf, Unresolved> {
    if name.is_empty() {
        return Err(Unresolved::NotFound);
    }
    if name.as_bytes().contains(&b'/') {
        return check(Path::new(name)).map(|()| PathBuf::from(name));
    }
    let directories = path_var.unwrap_or(OsStr::new(DEFAULT_PATH)).as_bytes();
    let mut reason = Unresolved::NotFound;
    for directory in directories.split(|&byte| byte == b':') {
        let directory = if directory.is_empty() { b"." } else { directory };
        let path = Path::new(OsStr::from_bytes(directory)).join(name);
        match check(&path) {
            Ok(()) => return Ok(path),
            Err(Unresolved::NotExecutable) => reason = Unresolved::NotExecutable,
            Err(Unresolved::NotFound) => {}
        }
    }
    Err(reason)
}

fn check(path: &Path) -> Result<(), Unresolved> {
    let metadata = match path.metadata() {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            return Err(Unresolved::NotExecutable);
        }
        Err(_) => return Err(Unresolved::NotFound),
    };
    let is_executable = accessat(CWD, path, Access::EXEC_OK, AtFlags::EACCESS).is_ok();
    if metadata.is_file() && is_executable { Ok(()) } else { Err(Unresolved::NotExecutable) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(name: &str, path: Option<&str>) -> Result<PathBuf, Unresolved> {
        resolve_program(OsStr::new(name), path.map(OsStr::new))
    }

    #[test]
    fn a_name_is_searched_and_a_path_is_not() {
        assert_eq!(resolve("sh", Some("/nowhere:/bin")), Ok("/bin/sh".into()));
        assert_eq!(resolve("/bin/sh", Some("/nowhere")), Ok("/bin/sh".into()));
        assert!(resolve("sh", None).is_ok());
        assert_eq!(resolve("sh", Some("/nowhere")), Err(Unresolved::NotFound));
        assert_eq!(resolve("", Some("/bin")), Err(Unresolved::NotFound));
        assert_eq!(resolve("/bin/no-such-program", None), Err(Unresolved::NotFound));
    }

    #[test]
    fn what_may_not_be_executed_is_told_from_what_is_not_there() {
        assert_eq!(resolve("/etc/passwd", None), Err(Unresolved::NotExecutable));
        assert_eq!(resolve("passwd", Some("/etc")), Err(Unresolved::NotExecutable));
        assert_eq!(resolve("/etc", None), Err(Unresolved::NotExecutable));
        assert_eq!(resolve("passwd", Some("/etc:/nowhere")), Err(Unresolved::NotExecutable));
        assert_eq!(Unresolved::NotFound.shell_code(), 127);
        assert_eq!(Unresolved::NotExecutable.shell_code(), 126);
    }

    #[test]
    fn a_later_directory_wins_over_a_file_that_may_not_be_executed() {
        let directory = std::env::temp_dir().join(format!("shim-resolve-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        std::fs::write(directory.join("sh"), "").unwrap();
        let path = format!("{}:/bin", directory.display());
        let found = resolve("sh", Some(&path));
        std::fs::remove_dir_all(&directory).unwrap();
        assert_eq!(found, Ok("/bin/sh".into()));
    }
}
