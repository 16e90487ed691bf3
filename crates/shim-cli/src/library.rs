//! Finds `libshim.so`.
//!
//! What the user said and where this executable stands in, a path or the list of places looked at out.
//! Always true: what the user names is taken or refused, never replaced by another one. Whether the
//! file is a library that we can work with is not here: that is `shim_supervisor::Library`.

use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};

/// Environment variable that names the library.
pub const LIBRARY_VARIABLE: &str = "SHIM_LIBRARY";

/// Where it may stand beside the executable: in the build tree.
const BESIDE: &str = "libshim.so";
/// Where it may stand below the folder that holds the executable's folder: installed.
const INSTALLED: [&str; 2] = ["lib/libshim.so.1", "lib/x86_64-linux-gnu/libshim.so.1"];

/// No library.
#[derive(Debug)]
pub struct NotFound {
    looked_at: Vec<PathBuf>,
}

impl fmt::Display for NotFound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("cannot find libshim.so; looked at")?;
        for (i, path) in self.looked_at.iter().enumerate() {
            write!(f, "{} {}", if i == 0 { "" } else { "," }, path.display())?;
        }
        write!(f, " (name it with --library or {LIBRARY_VARIABLE})")
    }
}

/// The library to use for a command that was given `option`: [`find`] with this process's environment
/// and executable.
pub fn find_here(option: Option<&Path>) -> Result<PathBuf, NotFound> {
    let executable = std::env::current_exe().ok();
    find(option, std::env::var_os(LIBRARY_VARIABLE).as_deref(), executable.as_deref())
}

/// The library to use: `option`, `variable`, or beside or near `executable`. The result is absolute.
pub fn find(
    option: Option<&Path>,
    variable: Option<&OsStr>,
    executable: Option<&Path>,
) -> Result<PathBuf, NotFound> {
    let named = option.or(variable.filter(|value| !value.is_empty()).map(Path::new));
    let candidates: Vec<PathBuf> = match named {
        Some(path) => vec![path.to_owned()],
        None => {
            let folder = executable.and_then(Path::parent).unwrap_or(Path::new("/"));
            let prefix = folder.parent().unwrap_or(folder);
            let installed = INSTALLED.iter().map(|place| prefix.join(place));
            std::iter::once(folder.join(BESIDE)).chain(installed).collect()
        }
    };
    // Links are not resolved: a link is how a library with an impossible path can be preloaded.
    match candidates.iter().find(|path| path.exists()).map(std::path::absolute) {
        Some(Ok(path)) => Ok(path),
        _ => Err(NotFound { looked_at: candidates }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_named_library_is_not_replaced() {
        let executable = std::env::current_exe().unwrap();
        let error =
            find(Some(Path::new("/nonexistent/x.so")), None, Some(&executable)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "cannot find libshim.so; looked at /nonexistent/x.so (name it with --library or SHIM_LIBRARY)"
        );
        let found = find(Some(&executable), Some(OsStr::new("/nonexistent")), None).unwrap();
        assert_eq!(found, executable);
    }

    #[test]
    fn the_error_names_all_places() {
        let error = find(None, Some(OsStr::new("")), Some(Path::new("/nonexistent/bin/shim")))
            .unwrap_err()
            .to_string();
        for place in ["bin/libshim.so", "lib/libshim.so.1", "lib/x86_64-linux-gnu/libshim.so.1"] {
            assert!(error.contains(&format!("/nonexistent/{place}")), "{error}");
        }
    }
}
