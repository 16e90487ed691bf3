//! Programs of `tests/guests` that consist of parts, each of which runs natively and as a guest.
//!
//! A program's name comes in, every part that differs comes out, in one message. Always true: the program
//! itself lists its parts, so that none is forgotten; parts run side by side, each in folders of its own,
//! through both C libraries. `SHIM_PART=name` runs the parts of that name only. What a part shows is in the
//! program.

use std::time::Duration;

use shim_testkit::built::built;
use shim_testkit::compare::{Folder, difference, folder_difference};
use shim_testkit::guest::{self, compile_with};
use shim_testkit::{Libc, Run, Status, each};

/// How long one part may take in wall time.
const LIMIT: Duration = Duration::from_secs(60);

/// What is wrong with a part, in words.
fn check(program: &std::path::Path, part: &str) -> Option<String> {
    let (here, there) = (Folder::new(), Folder::new());
    let run = Run::native(program).args([part]).limit(LIMIT);
    let native = run.clone().folder(here.path()).finish();
    if native.status != Status::Code(0) || native.stdout.is_empty() {
        return Some(format!("natively {native:?}"));
    }
    // A run that reaches its limit panics; the other parts are still of interest.
    let guest = std::panic::catch_unwind(|| {
        run.clone().folder(there.path()).as_guest(["--quiet"]).finish()
    });
    match guest {
        Ok(guest) => difference(&native, &guest).or_else(|| folder_difference(&here, &there)),
        Err(panic) => Some(panic.downcast_ref::<String>().cloned().unwrap_or_default()),
    }
}

/// Run all parts of `tests/guests/<name>.c`; fail with those that differ.
#[track_caller]
pub fn assert_parts_same(name: &str) {
    built();
    let only = std::env::var("SHIM_PART").ok();
    let mut parts = Vec::new();
    for libc in Libc::ALL {
        let program = compile_with(name, libc, &["-lrt"]);
        let all = guest::parts(name, &program);
        assert!(!all.is_empty(), "{name} has no parts");
        let wanted = all.into_iter().filter(|part| only.as_ref().is_none_or(|only| only == part));
        parts.extend(wanted.map(|part| (program.clone(), libc, part)));
    }
    let wrong = each(&parts, |(program, libc, part)| {
        let words = check(program, part)?;
        Some(format!(
            "== {part}, {libc:?}
{words}"
        ))
    });
    assert!(
        wrong.is_empty(),
        "{name}: {} of {} parts differ\n{}",
        wrong.len(),
        parts.len(),
        wrong.join("\n")
    );
}
