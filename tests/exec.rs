//! Replacing the image: scripts, environments, what the next image inherits, and what cannot be executed.
//!
//! Programs that execute others come in; what they and their successors show natively and as guests is
//! compared. Always true: a guest's successor is a guest in the same process and the same simulated
//! time. Starting a second process is not here: there is only one.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use shim_testkit::compare::difference;
use shim_testkit::guest::{compile, compile_with};
use shim_testkit::run::MASK;
use shim_testkit::{Folder, Libc, Outcome, Run, Status, assert_same};

#[track_caller]
fn write(folder: &Folder, name: &str, content: &[u8], mode: u32) {
    let path = folder.path().join(name);
    fs::write(&path, content).expect("the folder is ours");
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("the folder is ours");
}

/// The same run natively and as a guest in one folder, which neither changes.
#[track_caller]
fn assert_same_in(run: &Run, folder: &Path) -> Outcome {
    let native = run.clone().folder(folder).finish();
    let guest = run.clone().folder(folder).as_guest(["--quiet"]).finish();
    if let Some(words) = difference(&native, &guest) {
        panic!("{run:?}:\n{words}");
    }
    native
}

#[test]
fn time_and_process_go_on() {
    for libc in Libc::ALL {
        let run = Run::native(compile("exec", libc)).args(["chain", "3"]);
        let native = assert_same(&run, &[]);
        assert_eq!(native.status, Status::Code(7));
        assert_eq!(native.text(), "same process: 1, time goes on: 1\n".repeat(3));
    }
}

#[test]
fn scripts_run_by_their_interpreters() {
    let folder = Folder::new();
    write(&folder, "sh", b"#!/bin/sh\necho \"$0\" \"$@\"; exit 4\n", 0o755);
    write(
        &folder,
        "python",
        b"#!/usr/bin/python3 -S\nimport sys, time; print(sys.argv, time.time() > 0)\n",
        0o755,
    );
    write(&folder, "env", b"#!/usr/bin/env perl\nprint \"perl @ARGV\\n\";\n", 0o755);
    write(&folder, "nested", b"#!./sh option\n", 0o755);
    write(&folder, "twice", b"#!./nested\n", 0o755);
    write(&folder, "spaces", b"#! \t /bin/sh   -e  \necho \"$0\"\n", 0o755);
    write(&folder, "plain", b"echo no first line\n", 0o755);
    write(&folder, "deep1", b"#!./twice\n", 0o755);
    write(&folder, "deep2", b"#!./deep1\n", 0o755);
    write(&folder, "deep3", b"#!./deep2\n", 0o755);
    for (script, status) in [
        ("./sh", 4),
        ("./python", 0),
        ("./env", 0),
        ("./nested", 4),
        ("./twice", 4),
        ("./spaces", 0),
    ] {
        let native = assert_same_in(&Run::native(script).args(["a", "b c"]), folder.path());
        assert_eq!(native.status, Status::Code(status), "{script}: {native:?}");
        assert!(!native.stdout.is_empty());
    }
    // From within a guest: by a shell, which also runs what has no first line, and too deep a nest.
    let program = compile("exec", Libc::Glibc);
    for script in ["./sh", "./env", "./twice", "./plain", "./deep1", "./deep2", "./deep3"] {
        let words = format!("exec {script} word");
        assert_same_in(&Run::native("sh").args(["-c", &words]), folder.path());
        assert_same_in(&Run::native(&program).args(["run", script, "word"]), folder.path());
    }
}

/// A run that may show its environment.
fn with_mask(program: &str) -> Run {
    Run::native(program).env(MASK.0, MASK.1)
}

#[test]
fn environments_arrive_as_they_were_given() {
    for libc in Libc::ALL {
        let program = compile("exec", libc);
        let program = program.to_str().expect("it is ASCII");
        let run = with_mask(program).args(["walk"]).env("FIRST", "1").env("EMPTY", "");
        let native = assert_same(&run, &[]).expect_success();
        assert!(native.text().contains("8 variables, 1 by environ"), "{native:?}");
        assert!(!native.text().contains("differs"), "{native:?}");
        for words in [
            vec!["env", "-i", program, "walk"],
            vec!["env", "-i", "ONE=1", program, "walk"],
            vec!["env", "-u", "PATH", "TWO=2", program, "walk"],
            vec!["env", "-i", program, "chain", "2"],
            vec![program, "bare"],
            vec!["env", "-i", "/usr/bin/env", "-i", "/usr/bin/env", "A=B", "/usr/bin/env"],
        ] {
            let native = assert_same(&with_mask(words[0]).args(&words[1..]), &[]);
            assert!(native.status != Status::Code(1), "{words:?}: {native:?}");
        }
    }
    assert_same(&with_mask("env"), &[]);
    // Shells set PWD, so both runs are in one folder.
    let folder = Folder::new();
    let words = "unset PATH; exec /usr/bin/env";
    assert_same_in(&with_mask("sh").args(["-c", words]), folder.path());
}

#[test]
fn a_guest_may_preload_libraries_of_its_own() {
    let library = compile_with("preloaded", Libc::Glibc, &["-shared", "-fPIC"]);
    let library = library.to_str().expect("it is ASCII");
    let program = compile("exec", Libc::Glibc);
    let run = Run::native(&program).args(["preload", library, "/usr/bin/env"]);
    let native = assert_same(&run, &[]).expect_success();
    assert_eq!(native.text(), format!("preloaded\nA=1\nLD_PRELOAD={library}\nB=2\n"));
    // It stays in the environment of what that program executes.
    let run =
        Run::native(&program).args(["preload", library, "/usr/bin/env", "-u", "A", "/usr/bin/env"]);
    let native = assert_same(&run, &[]).expect_success();
    assert_eq!(native.text().matches("preloaded\n").count(), 2);
    // An empty one, one that is missing, and several.
    for value in
        ["", "/nonexistent/library.so", &format!("{library}:{library}"), &format!("{library} ")]
    {
        assert_same(&Run::native(&program).args(["preload", value, "/usr/bin/env"]), &[]);
    }
}

#[test]
fn what_cannot_be_executed_fails_as_natively() {
    let folder = Folder::new();
    write(&folder, "text", b"just text\n", 0o755);
    write(&folder, "noexec", b"#!/bin/sh\n", 0o644);
    write(&folder, "empty", b"", 0o755);
    write(&folder, "shebang-gone", b"#!/nonexistent/interpreter\n", 0o755);
    write(&folder, "badinterp", b"#!\n", 0o755);
    fs::create_dir(folder.path().join("folder")).expect("the folder is ours");
    symlink("loop", folder.path().join("loop")).expect("the folder is ours");
    for libc in Libc::ALL {
        let run = Run::native(compile("exec", libc)).args(["failures"]);
        let native = assert_same_in(&run, folder.path()).expect_success();
        assert!(native.text().ends_with("still here: 1\n"), "{native:?}");
    }
}

#[test]
fn static_programs_are_refused_by_name() {
    let program = compile_with("exec", Libc::Glibc, &["-static"]);
    let program = program.to_str().expect("it is ASCII");
    let first = compile("exec", Libc::Glibc);
    let run = Run::native(first).args(["run", program, "walk"]).as_guest::<&str>([]);
    let outcome = run.finish();
    assert_eq!(outcome.status, Status::Code(1), "{outcome:?}");
    assert_eq!(outcome.text(), "exec failed: 13\n");
    let stderr = String::from_utf8_lossy(&outcome.stderr).into_owned();
    let line = format!(": exec of a statically linked program: {program} (once)");
    assert_eq!(stderr.lines().filter(|l| l.ends_with(&line)).count(), 1, "{stderr}");
    // As the first program it is not started at all.
    let outcome = Run::native(program).args(["walk"]).as_guest::<&str>([]).finish();
    assert_eq!(outcome.status, Status::Code(126), "{outcome:?}");
    assert!(outcome.stdout.is_empty() && !outcome.stderr.is_empty(), "{outcome:?}");
}

#[test]
fn descriptors_and_signals_are_inherited() {
    for libc in Libc::ALL {
        let run = Run::native(compile("exec", libc)).args(["inherit"]);
        let native = assert_same(&run, &[]).expect_success();
        assert!(native.text().contains("pending: 1 0"), "{native:?}");
    }
}

/// Linux may start a program without what is preloaded, or not at all: it was not simulated, and that is told.
#[test]
fn an_image_that_never_reported_is_named() {
    let folder = Folder::with(&[
        ("gone.c", b"int gone(void) { return 0; }"),
        ("wants.c", b"int gone(void); int main(void) { return gone(); }"),
    ]);
    let build =
        "cc -shared -o libgone.so gone.c && cc wants.c -L. -lgone -o wants && rm libgone.so";
    let built = Run::native("/bin/sh").args(["-c", build]).folder(folder.path()).finish();
    built.expect_success();
    let run = Run::native("/bin/sh").args(["-c", "./wants 2> errors; echo $?"]);
    let outcome = run.folder(folder.path()).as_guest::<&str>([]).finish();
    assert_eq!(outcome.text(), "127\n");
    let said = String::from_utf8_lossy(&outcome.stderr);
    assert!(said.contains("sh: ended before its shim was up"), "{said}");
}
