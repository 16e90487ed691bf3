//! Programs that start processes and threads, as guests exactly as they run natively.
//!
//! The scripts of `whole.list` in, each difference out. Always true: a script runs natively first, then as a
//! guest, each in an empty folder of its own; what is not part of the system is built from
//! `tests/programs2` once, natively. `SHIM_PROGRAM=name` runs one script only. Programs that run alone
//! are `programs.rs`.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::Path;
use std::time::Duration;

use shim_testkit::built::built;
use shim_testkit::compare::{Folder, difference, folder_difference};
use shim_testkit::whole::{Script, environment, parse, programs, scripts};
use shim_testkit::{Outcome, Run, each};

/// How long a script may take in wall time.
const LIMIT: Duration = Duration::from_secs(120);

/// Scripts whose programs compute without a call until another thread stops them, so that the watchdog has to, which
/// is said at the end.
const SPIN: &[&str] = &["go"];

fn run(script: &Script, folder: &Folder, is_guest: bool) -> Outcome {
    let run = Run::native(&script.interpreter)
        .args([script.option(), &script.text])
        .folder(folder.path())
        .limit(LIMIT);
    let run = environment().into_iter().fold(run, |run, (name, value)| run.env(name, value));
    if !is_guest {
        return run.finish();
    }
    let mut outcome = run.as_guest(["--quiet"]).finish();
    if SPIN.contains(&script.name.as_str()) {
        let stderr = String::from_utf8_lossy(&outcome.stderr).into_owned();
        let is_other = |line: &&str| !line.starts_with("shim: not reproducible: ");
        outcome.stderr = stderr.split_inclusive('\n').filter(is_other).collect::<String>().into();
    }
    outcome
}

/// What is wrong with a script, in words.
fn check(script: &Script) -> Option<String> {
    let (here, there) = (Folder::new(), Folder::new());
    let native = run(script, &here, false);
    // A run that reaches its limit panics; the other scripts are still of interest.
    let guest = std::panic::catch_unwind(|| run(script, &there, true));
    let words = match guest {
        Ok(guest) => difference(&native, &guest).or_else(|| folder_difference(&here, &there)),
        Err(panic) => Some(panic.downcast_ref::<String>().cloned().unwrap_or_default()),
    };
    words.map(|words| format!("== {}\n{words}", script.name))
}

/// Do something with every script that is asked for, as many at a time as there are processors.
fn for_all(work: impl Fn(&Script) -> Option<String> + Sync) {
    let only = std::env::var("SHIM_PROGRAM").ok();
    let mut scripts = scripts();
    scripts.retain(|script| only.as_ref().is_none_or(|only| *only == script.name));
    assert!(!scripts.is_empty(), "no script is named {only:?}");
    programs();
    let wrong = each(&scripts, work);
    assert!(wrong.is_empty(), "{} of {} scripts\n{}", wrong.len(), scripts.len(), wrong.join("\n"));
    println!("{} scripts", scripts.len());
}

#[test]
fn programs_with_processes_run_as_they_run_natively() {
    built();
    for_all(check);
}

/// The list is worth something only if natively every script shows the same again.
#[test]
fn natively_every_script_repeats() {
    for_all(|script| {
        let (here, there) = (Folder::new(), Folder::new());
        let (first, second) = (run(script, &here, false), run(script, &there, false));
        let is_same = first.status == second.status
            && first.stdout == second.stdout
            && first.stderr == second.stderr;
        let words = if first.stdout.is_empty() {
            Some(format!("it shows nothing: {first:?}"))
        } else if !is_same {
            Some(format!("{first:?}\n{second:?}"))
        } else {
            folder_difference(&here, &there)
        };
        words.map(|words| format!("== {}\n{words}", script.name))
    });
}

#[test]
fn scripts_are_complete() {
    let scripts = scripts();
    let names: BTreeSet<&str> = scripts.iter().map(|script| script.name.as_str()).collect();
    assert_eq!(names.len(), scripts.len(), "a name stands twice");
    assert!(scripts.len() >= 30, "{names:?}");
    for script in &scripts {
        assert!(script.text.lines().count() > 0, "{} has no text", script.name);
        let found = Path::new("/usr/bin").join(&script.interpreter).exists();
        assert!(found, "{} is not installed", script.interpreter);
    }
    let parsed = parse("# no script\n\na sh\n    echo 1\n      two\nb perl\n    3\n");
    let texts: Vec<&OsStr> = parsed.iter().map(|script| OsStr::new(&script.text)).collect();
    assert_eq!(texts, ["echo 1\n  two\n", "3\n"]);
}
