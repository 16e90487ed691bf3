//! The list of made files: their paths, their contents, writing and comparing them.
//!
//! Texts of [`crate::headers`], [`crate::manual`], [`crate::protocol`] and [`crate::syscalls`] in, files out. Always true: the
//! list is complete, so a header or a page of section 3 that is not on it is an error too. How a text is made is not here.

use std::path::{Path, PathBuf};
use std::{fs, io};

use crate::{headers, manual, protocol, syscalls};

/// A made file.
pub struct Made {
    /// Its path, from the root of the repository.
    pub path: String,
    /// What it must contain.
    pub text: String,
}

/// The root of the repository.
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).expect("this crate lies in crates/ of the repository").to_path_buf()
}

/// Every made file, as the sources want it.
pub fn all() -> io::Result<Vec<Made>> {
    let mut made = headers::all(&root())?;
    made.extend(manual::pages(&made));
    made.push(Made { path: "docs/syscalls.md".into(), text: syscalls::page() });
    made.extend(protocol::all()?);
    Ok(made)
}

/// Write what is not current; the paths written.
pub fn write_all() -> io::Result<Vec<String>> {
    let mut written = Vec::new();
    for made in all()? {
        let path = root().join(&made.path);
        if fs::read_to_string(&path).ok().as_deref() == Some(made.text.as_str()) {
            continue;
        }
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(&path, made.text)?;
        written.push(made.path);
    }
    Ok(written)
}

/// What is wrong with the checked-in files, one line each; nothing if they are current.
pub fn stale() -> io::Result<Vec<String>> {
    let mut wrong = Vec::new();
    let made = all()?;
    for made in &made {
        match fs::read_to_string(root().join(&made.path)) {
            Ok(text) if text == made.text => {}
            Ok(text) => {
                let same = text.lines().zip(made.text.lines()).take_while(|(a, b)| a == b).count();
                wrong.push(format!("{} differs from line {} on", made.path, same + 1));
            }
            Err(error) => wrong.push(format!("{}: {error}", made.path)),
        }
    }
    for (folder, ending) in [("include/shim", ".h"), ("man", ".3")] {
        for entry in fs::read_dir(root().join(folder))? {
            let path = format!("{folder}/{}", entry?.file_name().to_string_lossy());
            if path.ends_with(ending) && !made.iter().any(|m| m.path == path) {
                wrong.push(format!("{path} is made from nothing"));
            }
        }
    }
    Ok(wrong)
}
