//! Configurations as files: good ones are understood, broken ones get exactly the messages beside them.
//!
//! `broken/NAME.yaml` stands beside `broken/NAME.expected`, which holds one message per line. To write the
//! expected files anew after wordings changed, set `SHIM_WRITE_EXPECTED` and read the difference.

mod fuzz;
mod good;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use shim_sim::config::{self, Overrides};

const BROKEN: &str = "tests/config/broken/";

fn files_in(directory: &str, extension: &str) -> BTreeSet<PathBuf> {
    fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == extension))
        .collect()
}

fn messages(path: &Path) -> String {
    match config::load(path, &Overrides::default()) {
        Ok(_) => "(no problem)\n".to_owned(),
        Err(problems) => {
            problems.iter().map(|problem| format!("{problem}\n").replace(BROKEN, "")).collect()
        }
    }
}

#[test]
fn broken_files_get_their_messages() {
    let files = files_in(BROKEN, "yaml");
    assert!(files.len() >= 40, "only {} broken files were found", files.len());
    let mut differences = String::new();
    for path in files {
        let found = messages(&path);
        let expected_path = path.with_extension("expected");
        if std::env::var_os("SHIM_WRITE_EXPECTED").is_some() {
            fs::write(&expected_path, &found).unwrap();
        }
        let expected = fs::read_to_string(&expected_path).unwrap_or_default();
        if found != expected {
            differences +=
                &format!("{}\n  expected: {expected}  found:    {found}", path.display());
        }
        let lines = found.lines().count();
        let is_one = path.file_stem().is_some_and(|stem| stem != "several");
        assert!(!is_one || lines == 1, "{} gives {lines} messages:\n{found}", path.display());
        let name = path.file_name().unwrap().to_str().unwrap();
        assert!(found.starts_with(name), "{} is not named in: {found}", path.display());
    }
    assert!(differences.is_empty(), "{differences}");
}

#[test]
fn an_unreadable_file_is_named() {
    let found = messages(Path::new("tests/config/broken/no-such-file.yaml"));
    assert!(found.starts_with("no-such-file.yaml: the configuration cannot be read: "), "{found}");
    assert!(messages(Path::new("tests/config")).contains("cannot be read"));
}
