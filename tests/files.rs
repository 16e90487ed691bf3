//! Files as guests see them: their times, the numbers of their descriptors, and what is refused.
//!
//! Small C programs come in; what they print natively and as guests is compared. Always true: programs print
//! relations, not times, wherever the two clocks differ. What programs of the distribution do with files
//! is `programs.rs`.

use shim_testkit::compare::{Folder, difference, folder_difference};
use shim_testkit::guest::compile;
use shim_testkit::{Libc, Run, Status, assert_same};

#[test]
fn every_operation_changes_the_times_that_it_changes_natively() {
    let native = assert_same(&Run::native(compile("times", Libc::Glibc)), &[]).expect_success();
    // The program itself compares: a question mark is a time that cannot be.
    assert!(!native.text().contains('?') && !native.text().contains("differs"), "{native:?}");
}

#[test]
fn corners_are_as_on_linux() {
    for libc in Libc::ALL {
        assert_same(&Run::native(compile("corners", libc)), &[]).expect_success();
    }
}

/// What the test was started with shall not count natively; guests inherit nothing but their streams.
#[track_caller]
fn assert_same_numbers(libc: Libc, kind: &str) {
    let program = compile("descriptors", libc);
    let (here, there) = (Folder::new(), Folder::new());
    let native = Run::native(&program).args([kind, "close"]).folder(here.path()).finish();
    let native = native.expect_success();
    let guest = Run::guest(&program).args([kind]).folder(there.path()).finish();
    let words = difference(&native, &guest).or_else(|| folder_difference(&here, &there));
    if let Some(words) = words {
        panic!("{kind} files with {libc:?}:\n{words}");
    }
    assert!(native.text().contains("at first: 0 1 2\nothers: 0 0 0\n"), "{native:?}");
}

#[test]
fn descriptors_have_the_numbers_that_they_have_natively() {
    for libc in Libc::ALL {
        assert_same_numbers(libc, "ordinary");
    }
}

#[test]
fn simulated_files_are_numbered_like_others() {
    for libc in Libc::ALL {
        assert_same_numbers(libc, "simulated");
    }
}

#[test]
fn a_fifo_that_nobody_writes_is_waited_for() {
    let folder = Folder::new();
    Run::native("mkfifo").args(["pipe"]).folder(folder.path()).finish().expect_success();
    let run = Run::native("cat").args(["pipe"]).folder(folder.path());
    let outcome = run.as_guest::<&str>([]).finish();
    assert_eq!(outcome.status, Status::Code(125), "{outcome:?}");
    let stderr = String::from_utf8_lossy(&outcome.stderr).into_owned();
    let line = "shim: cat[1000] waits for ever in open: nothing can happen any more";
    assert!(stderr.contains(line), "{stderr}");
    // Nobody who only looks waits.
    let run = Run::native("stat").args(["-c", "%F %a", "pipe"]).folder(folder.path());
    let outcome = run.as_guest::<&str>([]).finish().expect_success();
    assert_eq!((outcome.text().as_str(), outcome.stderr.len()), ("fifo 644\n", 0), "{outcome:?}");
}

#[test]
fn objects_have_names() {
    // musl has no statx().
    assert_same(&Run::native(compile("named", Libc::Glibc)), &[]).expect_success();
}

#[test]
fn fifos_connect_processes() {
    let script =
        "mkfifo a b; sort < a > b & (echo 2; echo 1) > a & cat b; wait; stat -c '%F %a' a; rm a b";
    let run = Run::native("sh").args(["-c", script]);
    assert_eq!(assert_same(&run, &[]).expect_success().text(), "1\n2\nfifo 644\n");
}
