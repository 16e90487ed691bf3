//! Finds directories and programs as the person who starts the simulation would.
//!
//! Paths as written in, absolute paths or the reason why not out. Always true: `~` and `~/...` are the
//! person's home and no other expansion takes place, as in Shadow; relative paths start at the current
//! directory, not at the configuration file; a bare word is looked for in PATH. Links are not followed:
//! programs that look at the name by which they were started (venvs, busybox) see what was written.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// What paths mean depends on these.
pub(super) struct Surroundings {
    home: Option<PathBuf>,
    search: OsString,
    current: PathBuf,
    /// What is read tells of a run that is over, perhaps on another machine: programs need not be here any more.
    is_record: bool,
    found: BTreeMap<String, Result<PathBuf, String>>,
}

impl Surroundings {
    /// Those of this process.
    pub(super) fn of_process() -> Surroundings {
        Surroundings::new(
            std::env::var_os("HOME").filter(|home| !home.is_empty()).map(PathBuf::from),
            std::env::var_os("PATH").unwrap_or_else(|| "/usr/bin:/bin".into()),
            std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/")),
        )
    }

    /// Those of a run that is over.
    pub(super) fn of_record() -> Surroundings {
        Surroundings { is_record: true, ..Surroundings::of_process() }
    }

    fn new(home: Option<PathBuf>, search: OsString, current: PathBuf) -> Surroundings {
        Surroundings { home, search, current, is_record: false, found: BTreeMap::new() }
    }

    /// `text` with its `~` replaced.
    pub(super) fn expand(&self, text: &str) -> Result<PathBuf, String> {
        if text.is_empty() {
            return Err("the path is empty".to_owned());
        }
        if text.contains('\0') {
            return Err("a path cannot contain the character NUL".to_owned());
        }
        let rest = match text.strip_prefix('~') {
            Some("") => "",
            Some(rest) if rest.starts_with('/') => rest.trim_start_matches('/'),
            _ => return Ok(PathBuf::from(text)),
        };
        let home = self
            .home
            .as_ref()
            .ok_or_else(|| format!("'{text}' starts at the home directory, but HOME is not set"))?;
        Ok(if rest.is_empty() { home.clone() } else { home.join(rest) })
    }

    /// `text` as an absolute path.
    pub(super) fn absolute(&self, text: &str) -> Result<PathBuf, String> {
        self.expand(text).map(|path| self.current.join(path))
    }

    /// The program that `text` names, as an absolute path.
    pub(super) fn program(&mut self, text: &str) -> Result<PathBuf, String> {
        if let Some(known) = self.found.get(text) {
            return known.clone();
        }
        let found = self.find(text);
        self.found.insert(text.to_owned(), found.clone());
        found
    }

    fn find(&self, text: &str) -> Result<PathBuf, String> {
        let path = self.expand(text)?;
        if self.is_record {
            return Ok(self.current.join(path));
        }
        if path.as_os_str().as_encoded_bytes().contains(&b'/') {
            let path = self.current.join(path);
            return match objection(&path) {
                None => Ok(path),
                Some(reason) => Err(format!("'{}' {reason}", path.display())),
            };
        }
        std::env::split_paths(&self.search)
            .map(|directory| self.current.join(directory).join(&path))
            .find(|candidate| objection(candidate).is_none())
            .ok_or_else(|| {
                let here = self.current.join(&path);
                match objection(&here) {
                    None => format!(
                        "no program '{text}' is in PATH; for the one in this directory write './{text}'"
                    ),
                    Some(_) => format!("no program '{text}' is in PATH"),
                }
            })
    }
}

/// Why `path` cannot be executed, if it cannot.
fn objection(path: &Path) -> Option<String> {
    match std::fs::metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Some("does not exist".to_owned())
        }
        Err(error) => Some(format!("cannot be examined: {error}")),
        Ok(metadata) if metadata.is_dir() => Some("is a directory, not a program".to_owned()),
        Ok(metadata) if !metadata.is_file() => Some("is not a regular file".to_owned()),
        Ok(metadata) if metadata.permissions().mode() & 0o111 == 0 => {
            Some("is not executable (chmod +x makes it so)".to_owned())
        }
        Ok(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn surroundings() -> Surroundings {
        Surroundings::new(Some("/places/me".into()), "/nowhere:/bin".into(), "/etc".into())
    }

    #[test]
    fn tildes_are_the_home_and_nothing_else_is_expanded() {
        let here = surroundings();
        let absolute = |text| here.absolute(text).map(|path| path.display().to_string());
        assert_eq!(absolute("~"), Ok("/places/me".to_owned()));
        assert_eq!(absolute("~/a/b"), Ok("/places/me/a/b".to_owned()));
        assert_eq!(absolute("~you/a"), Ok("/etc/~you/a".to_owned()));
        assert_eq!(absolute("a/~"), Ok("/etc/a/~".to_owned()));
        assert_eq!(absolute("$HOME"), Ok("/etc/$HOME".to_owned()));
        assert_eq!(absolute("/x"), Ok("/x".to_owned()));
        assert!(absolute("").is_err());
        let homeless = Surroundings::new(None, "".into(), "/".into());
        assert!(homeless.absolute("~/x").unwrap_err().contains("HOME"));
    }

    #[test]
    fn programs_are_found_like_in_a_shell() {
        let mut here = surroundings();
        assert_eq!(here.program("sh"), Ok(PathBuf::from("/bin/sh")));
        assert_eq!(here.program("../bin/sh"), Ok(PathBuf::from("/etc/../bin/sh")));
        assert!(here.program("no-such-program").unwrap_err().contains("PATH"));
        assert!(here.program("/bin").unwrap_err().contains("directory"));
        assert!(here.program("./passwd").unwrap_err().contains("executable"));
        assert!(here.program("/dev/null").unwrap_err().contains("regular"));
        assert!(here.program("/no/such").unwrap_err().contains("exist"));
        here = Surroundings { is_record: true, ..surroundings() };
        assert_eq!(here.program("/no/such"), Ok(PathBuf::from("/no/such")));
    }
}
