//! Both runs side by side, and the folders that they left behind.
//!
//! A way to make a [`Run`] in, a failure out if the two differ. Always true: the native run comes
//! first and is the oracle; each run has a fresh folder with the same contents; what is compared is
//! status, both output streams, and the names, kinds, modes and contents of all files. Times of files
//! are not compared: a guest's are simulated.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use tempfile::TempDir;

use crate::guest::{Libc, compile};
use crate::run::{Outcome, Run, Status};

/// When the files that a test lays out were last changed: before the simulated start, so that native
/// programs and guests see the same time.
const LAID_OUT: Duration = Duration::from_secs(900_000_000);

/// A fresh folder, removed at the end.
pub struct Folder {
    directory: TempDir,
}

impl Folder {
    /// An empty one.
    pub fn new() -> Folder {
        Folder { directory: TempDir::new().expect("a temporary folder can be made") }
    }

    /// One with these files.
    pub fn with(files: &[(&str, &[u8])]) -> Folder {
        let folder = Folder::new();
        for (name, content) in files {
            let path = folder.path().join(name);
            fs::write(&path, content).expect("a fresh folder can be written");
            let file = fs::File::options().write(true).open(&path).expect("it was just written");
            file.set_modified(SystemTime::UNIX_EPOCH + LAID_OUT).expect("it is ours");
        }
        folder
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// What is in it: for each path its kind, mode and content.
    pub fn contents(&self) -> BTreeMap<String, (u32, Vec<u8>)> {
        let content = |name: String| {
            let (mode, content) = entry(&self.path().join(&name));
            (name, (mode, content))
        };
        names_below(self.path()).into_iter().map(content).collect()
    }
}

/// The paths of everything in a folder, from there.
fn names_below(folder: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut waiting = vec![folder.to_path_buf()];
    while let Some(directory) = waiting.pop() {
        for entry in fs::read_dir(&directory).expect("it is ours") {
            let path = entry.expect("it is ours").path();
            let name = path.strip_prefix(folder).expect("it is below");
            found.insert(name.to_string_lossy().into_owned());
            if fs::symlink_metadata(&path).expect("nobody removes it").is_dir() {
                waiting.push(path);
            }
        }
    }
    found
}

/// The mode of a file of any kind, and its content.
fn entry(path: &Path) -> (u32, Vec<u8>) {
    let metadata = fs::symlink_metadata(path).expect("nobody removes it");
    let content = if metadata.is_file() {
        fs::read(path).expect("it is ours")
    } else if metadata.is_symlink() {
        fs::read_link(path).expect("it is ours").into_os_string().into_encoded_bytes()
    } else {
        Vec::new()
    };
    (metadata.mode(), content)
}

impl Default for Folder {
    fn default() -> Self {
        Folder::new()
    }
}

/// What two outcomes differ in, in words; `None` if nothing.
pub fn difference(native: &Outcome, guest: &Outcome) -> Option<String> {
    let mut words = String::new();
    if as_shim_reports(native.status) != guest.status {
        _ = writeln!(words, "status: {:?} natively, {:?} as a guest", native.status, guest.status);
    }
    for (name, a, b) in
        [("stdout", &native.stdout, &guest.stdout), ("stderr", &native.stderr, &guest.stderr)]
    {
        if a != b {
            let same = a.iter().zip(b.iter()).take_while(|(a, b)| a == b).count();
            let tail = |bytes: &[u8]| {
                let part = &bytes[same..bytes.len().min(same + 400)];
                String::from_utf8_lossy(part).escape_debug().to_string()
            };
            _ = writeln!(
                words,
                "{name} from byte {same} on:\n  native: {}\n  guest:  {}",
                tail(a),
                tail(b)
            );
        }
    }
    if words.is_empty() {
        return None;
    }
    if !guest.stderr.is_empty() {
        _ = writeln!(words, "the guest's run wrote: {}", String::from_utf8_lossy(&guest.stderr));
    }
    Some(words)
}

/// The status with which `shim exec` ends when its guest ended like this.
pub fn as_shim_reports(status: Status) -> Status {
    match status {
        Status::Signal(signal) => Status::Code(128 + signal),
        Status::Code(_) => status,
    }
}

/// What two folders differ in, in words; `None` if nothing.
pub fn folder_difference(native: &Folder, guest: &Folder) -> Option<String> {
    let (a, b) = (native.contents(), guest.contents());
    let mut words = String::new();
    for (name, entry) in &a {
        match b.get(name) {
            None => _ = writeln!(words, "{name}: missing in the guest's folder"),
            Some(other) if other.0 != entry.0 => {
                _ = writeln!(words, "{name}: mode {:o} natively, {:o}", entry.0, other.0);
            }
            Some(other) if other.1 != entry.1 => {
                let same = entry.1.iter().zip(&other.1).take_while(|(a, b)| a == b).count();
                _ = writeln!(words, "{name}: contents differ from byte {same} on");
            }
            Some(_) => {}
        }
    }
    for name in b.keys().filter(|name| !a.contains_key(*name)) {
        _ = writeln!(words, "{name}: only in the guest's folder");
    }
    (!words.is_empty()).then_some(words)
}

/// What two folders, left by two runs of one thing, differ in: each file with the first line that is not the same;
/// `None` if nothing. Files that `is_wanted` denies do not count, nor do times after `newest`, which are real.
pub fn run_difference(
    [first, second]: [&Path; 2],
    newest: SystemTime,
    is_wanted: impl Fn(&str) -> bool,
) -> Option<String> {
    let mut words = String::new();
    let [mut names, others] = [first, second].map(names_below);
    names.extend(others);
    names.retain(|name| is_wanted(name));
    for name in names {
        let [a, b] = [first.join(&name), second.join(&name)];
        let [here, there] = [&a, &b].map(|path| fs::symlink_metadata(path).ok());
        let (Some(here), Some(there)) = (&here, &there) else {
            let which = if here.is_some() { "first" } else { "second" };
            _ = writeln!(words, "{name}: in the {which} run only");
            continue;
        };
        let ((mode, content), (other_mode, other)) = (entry(&a), entry(&b));
        if mode != other_mode {
            _ = writeln!(words, "{name}: mode {mode:o} and {other_mode:o}");
        } else if content != other {
            _ = writeln!(words, "{name}:{}", line_difference(&content, &other));
        }
        let [time, other_time] = [here, there].map(|metadata| {
            let time = metadata.modified().expect("Linux keeps it");
            (time < newest).then_some(time)
        });
        if time != other_time {
            _ = writeln!(words, "{name}: changed at {time:?} and {other_time:?}");
        }
    }
    (!words.is_empty()).then_some(words)
}

/// The number of the first line that differs, and both lines.
fn line_difference(first: &[u8], second: &[u8]) -> String {
    let same = first.iter().zip(second).take_while(|(a, b)| a == b);
    let number = same.filter(|(byte, _)| **byte == b'\n').count();
    let line = |text: &[u8]| match text.split(|byte| *byte == b'\n').nth(number) {
        Some(line) => {
            String::from_utf8_lossy(&line[..line.len().min(400)]).escape_debug().to_string()
        }
        None => "no such line".to_owned(),
    };
    format!("{}:\n  first:  {}\n  second: {}", number + 1, line(first), line(second))
}

/// Run `run` natively and as a guest, each in a fresh folder with `files`; fail on any difference.
/// Returns what both showed.
#[track_caller]
pub fn assert_same(run: &Run, files: &[(&str, &[u8])]) -> Outcome {
    let (here, there) = (Folder::with(files), Folder::with(files));
    let native = run.clone().folder(here.path()).finish();
    let guest = run.clone().folder(there.path()).as_guest(["--quiet"]).finish();
    let words = difference(&native, &guest).or_else(|| folder_difference(&here, &there));
    if let Some(words) = words {
        panic!("{run:?}:\n{words}");
    }
    native
}

/// A part of `tests/guests/<name>.c` is the same with both C libraries, ends well, and has shown this line natively.
#[track_caller]
pub fn assert_part(name: &str, part: &str, line: &str) {
    for libc in Libc::ALL {
        let run = Run::native(compile(name, libc)).args([part]);
        let native = assert_same(&run, &[]).expect_success();
        assert!(native.text().lines().any(|l| l == line), "{name} {part}: {native:?}");
    }
}
