//! What two data directories differ in.
//!
//! Two directories in, a [`Difference`] out, or nothing. Always true: everything but the wall-clock figures
//! is compared, to the last byte; of all system calls that differ the one at the earliest simulated time is
//! named, because what comes later usually follows from it. Running things twice is the command's.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use super::directory::WALL_STATS;

/// A system call that is not the same in two runs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CallDifference {
    /// The host.
    pub host: String,
    /// The process: `<program>.<pid>`.
    pub process: String,
    /// Simulated time of the earlier of both calls, as its line has it.
    pub time: String,
    /// Where in both files.
    pub line_number: usize,
    /// The line of each run; nothing if the file had ended.
    pub lines: [Option<String>; 2],
}

/// What differs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Difference {
    /// The first call that is not the same, if traces differ.
    pub first_call: Option<CallDifference>,
    /// All files that differ, from the directories' roots, sorted.
    pub files: Vec<PathBuf>,
}

/// Compare; `None` if nothing differs.
pub fn compare(first: &Path, second: &Path) -> io::Result<Option<Difference>> {
    let (mut names, others) = (names(first)?, names(second)?);
    names.extend(others);
    let mut files = Vec::new();
    let mut calls = Vec::new();
    for name in names {
        let both = [first.join(&name), second.join(&name)];
        if name == Path::new(WALL_STATS) || is_same(&both)? {
            continue;
        }
        if name.extension().is_some_and(|extension| extension == "strace") {
            calls.extend(first_call(&name, &both)?);
        }
        files.push(name);
    }
    if files.is_empty() {
        return Ok(None);
    }
    // The first of equally early ones, in the order of names.
    let first_call = calls.into_iter().min_by_key(|call| nanoseconds(&call.time));
    Ok(Some(Difference { first_call, files }))
}

/// All entries below `folder`, from there.
fn names(folder: &Path) -> io::Result<BTreeSet<PathBuf>> {
    let mut found = BTreeSet::new();
    let mut waiting = vec![folder.to_owned()];
    while let Some(directory) = waiting.pop() {
        for entry in fs::read_dir(&directory)? {
            let entry = entry?;
            let path = entry.path();
            if entry.file_type()?.is_dir() {
                waiting.push(path.clone());
            }
            if let Ok(name) = path.strip_prefix(folder) {
                found.insert(name.to_owned());
            }
        }
    }
    Ok(found)
}

fn is_same([a, b]: &[PathBuf; 2]) -> io::Result<bool> {
    let metadata = |path: &Path| match path.symlink_metadata() {
        Ok(metadata) => Ok(Some(metadata)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    };
    let (Some(here), Some(there)) = (metadata(a)?, metadata(b)?) else { return Ok(false) };
    if here.file_type() != there.file_type() || here.permissions() != there.permissions() {
        return Ok(false);
    }
    if here.is_symlink() {
        return Ok(fs::read_link(a)? == fs::read_link(b)?);
    }
    Ok(!here.is_file() || here.len() == there.len() && is_same_content(a, b)?)
}

fn is_same_content(a: &Path, b: &Path) -> io::Result<bool> {
    const BLOCK_BYTES: usize = 64 * 1024;
    let (mut a, mut b) = (fs::File::open(a)?, fs::File::open(b)?);
    let (mut here, mut there) = (Vec::new(), Vec::new());
    loop {
        here.clear();
        there.clear();
        let count = (&mut a).take(BLOCK_BYTES as u64).read_to_end(&mut here)?;
        (&mut b).take(BLOCK_BYTES as u64).read_to_end(&mut there)?;
        if here != there {
            return Ok(false);
        }
        if count == 0 {
            return Ok(true);
        }
    }
}

/// The first line in which two traces differ.
fn first_call(name: &Path, paths: &[PathBuf; 2]) -> io::Result<Option<CallDifference>> {
    let [mut a, mut b] = [lines(&paths[0])?, lines(&paths[1])?];
    for line_number in 1.. {
        let lines = [a.next().transpose()?, b.next().transpose()?];
        if lines == [None, None] {
            break;
        }
        if lines[0] != lines[1] {
            let times = lines.iter().flatten().filter_map(|line| line.split(' ').next());
            let time = times.min_by_key(|time| nanoseconds(time)).unwrap_or_default().to_owned();
            let host = name.parent().and_then(Path::file_name).unwrap_or_default();
            let process = name.file_stem().unwrap_or_default();
            return Ok(Some(CallDifference {
                host: host.to_string_lossy().into_owned(),
                process: process.to_string_lossy().into_owned(),
                time,
                line_number,
                lines,
            }));
        }
    }
    Ok(None)
}

/// The lines of a trace; none if it is not there.
fn lines(path: &Path) -> io::Result<Box<dyn Iterator<Item = io::Result<String>>>> {
    match fs::File::open(path) {
        Ok(file) => Ok(Box::new(BufReader::new(file).lines())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Box::new(std::iter::empty())),
        Err(error) => Err(error),
    }
}

/// A time as a trace has it, `seconds.nanoseconds`; the end of time if it is none.
fn nanoseconds(text: &str) -> (u64, u64) {
    let parse = || {
        let (seconds, rest) = text.split_once('.')?;
        Some((seconds.parse().ok()?, rest.parse().ok()?))
    };
    parse().unwrap_or((u64::MAX, 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, content) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        folder
    }

    #[test]
    fn wall_clock_figures_may_differ_and_nothing_else() {
        let a = directory(&[(WALL_STATS, "1"), ("hosts/a/x.1.stdout", "x")]);
        let b = directory(&[(WALL_STATS, "2"), ("hosts/a/x.1.stdout", "x")]);
        assert_eq!(compare(a.path(), b.path()).unwrap(), None);
        for file in ["hosts/a/x.1.stdout", "hosts/a/more", "hosts/b"] {
            let path = b.path().join(file);
            let old = fs::read(&path).ok();
            fs::write(&path, "y").unwrap();
            let difference = compare(a.path(), b.path()).unwrap().unwrap();
            assert_eq!(difference.files, [PathBuf::from(file)]);
            assert_eq!(difference.first_call, None);
            match old {
                Some(old) => fs::write(&path, old).unwrap(),
                None => fs::remove_file(&path).unwrap(),
            }
        }
        fs::create_dir(b.path().join("empty")).unwrap();
        assert!(compare(a.path(), b.path()).unwrap().is_some());
    }

    #[test]
    fn the_earliest_call_that_differs_is_named() {
        let a = directory(&[
            ("hosts/a/late.1000.strace", "1.0 [1000] same\n10.000000000 [1000] a\n"),
            ("hosts/b/early.1001.strace", "1.0 [1001] same\n9.5 [1001] one\n9.6 [1001] x\n"),
        ]);
        let b = directory(&[
            ("hosts/a/late.1000.strace", "1.0 [1000] same\n10.000000000 [1000] b\n"),
            ("hosts/b/early.1001.strace", "1.0 [1001] same\n9.000000001 [1001] two\n"),
        ]);
        let difference = compare(a.path(), b.path()).unwrap().unwrap();
        assert_eq!(difference.files.len(), 2);
        let call = difference.first_call.unwrap();
        assert_eq!((call.host.as_str(), call.process.as_str()), ("b", "early.1001"));
        assert_eq!((call.time.as_str(), call.line_number), ("9.000000001", 2));
        assert_eq!(
            call.lines,
            [Some("9.5 [1001] one".into()), Some("9.000000001 [1001] two".into())]
        );
    }

    #[test]
    fn a_trace_that_ends_early_differs_where_it_ends() {
        let a = directory(&[("hosts/a/p.1000.strace", "1.0 x\n2.0 y\n")]);
        let b = directory(&[("hosts/a/p.1000.strace", "1.0 x\n")]);
        let call = compare(a.path(), b.path()).unwrap().unwrap().first_call.unwrap();
        assert_eq!((call.time.as_str(), call.lines), ("2.0", [Some("2.0 y".into()), None]));
    }
}
