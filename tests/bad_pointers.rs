//! Bad pointers and lengths to every call that takes pointers: the error that Linux gives, and no crash.
//!
//! `tests/guests/bad_pointers.c` makes a thousand calls of each kind; the hashes of their results, native
//! and as a guest, are compared. Always true: both runs make the same calls with the same values. Where
//! Linux's own answer depends on the machine, the guest program says so in its table.

use std::fmt::Write;

use shim_testkit::guest::compile;
use shim_testkit::{Folder, Libc, Run, Status};

/// Calls whose results may differ, and why.
const EXCUSED: &[(&str, &str)] = &[
    ("settimeofday", "only root may, and a guest may not even if the test runs as root"),
    ("sethostname", "the same"),
    ("setdomainname", "the same"),
];

fn lines(text: &str) -> Vec<(&str, &str)> {
    text.lines().map(|line| line.split_once(' ').expect("a call and its results")).collect()
}

#[test]
fn a_thousand_bad_pointers_to_every_call() {
    let program = compile("bad_pointers", Libc::Glibc);
    let (here, there) = (Folder::new(), Folder::new());
    let native = Run::native(&program).folder(here.path()).finish().expect_success().text();
    let guest = Run::guest(&program).folder(there.path()).finish();
    let text = guest.text();
    let (native, results) = (lines(&native), lines(&text));
    let mut words = String::new();
    for (i, (call, expected)) in native.iter().enumerate() {
        let is_excused = EXCUSED.iter().any(|(name, _)| call.split('(').next() == Some(name));
        let found = results.get(i).map_or("nothing", |(_, found)| *found);
        if found != *expected && !is_excused {
            _ = writeln!(words, "{call}\n  native: {expected}\n  guest:  {found}");
        }
    }
    assert!(words.is_empty(), "\n{words}");
    assert_eq!(guest.status, Status::Code(0), "{guest:?}");
    assert!(native.len() > 130, "{} calls", native.len());
}
