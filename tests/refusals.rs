//! What a guest cannot have fails well: with a documented error, and named once at the end.
//!
//! `tests/guests/refusals.c` asks for each thing three times; its lines and the run's summary are compared
//! with the tables here. Always true: the summary has one line for each thing, with the program and how
//! often; `--quiet` has none. What fails although it is there is tested with the thing itself.

use shim_testkit::guest::compile;
use shim_testkit::{Libc, Outcome, Run, Status};

const EPERM: i32 = -1;
const ENOSYS: i32 = -38;
const EINVAL: i32 = -22;
const EAFNOSUPPORT: i32 = -97;

/// Calls of the table: name, result.
const CALLS: &[(&str, i32)] = &[
    ("fanotify_init", EPERM),
    ("io_uring_setup", ENOSYS),
    ("ptrace", EPERM),
    ("mount", EPERM),
    ("bpf", EPERM),
];
/// Everything else: name, result, what the summary says.
const OTHERS: &[(&str, i32, &str)] = &[
    ("socket", EAFNOSUPPORT, "socket of family AF_ALG"),
    ("prctl", EINVAL, "prctl operation 59"),
    ("number 1000", ENOSYS, "system call number 1000"),
    ("number 100000", ENOSYS, "system call number 100000"),
    ("x32", ENOSYS, "system call number 1073741863"),
    ("negative", ENOSYS, "system call number 18446744073709551611"),
    ("int80", ENOSYS, "system call 20 by int 0x80"),
];

fn run(libc: Libc, options: &[&str]) -> (String, Outcome) {
    let program = compile("refusals", libc);
    let name = program.file_name().expect("it has one").to_string_lossy().into_owned();
    (name, Run::native(program).as_guest(options).finish().expect_success())
}

fn name_of_errno(number: i32) -> &'static str {
    match number {
        EPERM => "EPERM",
        ENOSYS => "ENOSYS",
        _ => unreachable!("not in the table"),
    }
}

#[test]
fn refusals_have_their_errors_and_are_named_once() {
    for libc in Libc::ALL {
        let (program, outcome) = run(libc, &[]);
        let others = OTHERS.iter().map(|(name, errno, _)| (*name, *errno));
        let expected: String = CALLS
            .iter()
            .copied()
            .chain(others)
            .map(|(name, errno)| format!("{name} {errno}\n"))
            .collect();
        assert_eq!(outcome.text(), expected);
        let stderr = String::from_utf8_lossy(&outcome.stderr).into_owned();
        for (name, errno) in CALLS {
            let line =
                format!("shim: {program}: {name} failed with {} 3 times", name_of_errno(*errno));
            let count = stderr.lines().filter(|l| l.starts_with(&format!("{line} ("))).count();
            assert_eq!(count, 1, "{line}:\n{stderr}");
        }
        for (_, _, what) in OTHERS {
            let line = format!("shim: {program}: {what} (3 times)");
            assert_eq!(stderr.lines().filter(|l| *l == line).count(), 1, "{line}:\n{stderr}");
        }
        assert_eq!(stderr.lines().count(), CALLS.len() + OTHERS.len(), "{stderr}");
    }
}

#[test]
fn a_quiet_run_says_nothing() {
    let (_, outcome) = run(Libc::Glibc, &["--quiet"]);
    assert_eq!(String::from_utf8_lossy(&outcome.stderr), "");
}

#[test]
fn a_program_that_lacks_nothing_has_no_summary() {
    let outcome = Run::native("sort").stdin("b\na\n").as_guest::<&str>([]).finish();
    let shown = (outcome.status, outcome.text(), outcome.stderr.clone());
    assert_eq!(shown, (Status::Code(0), "a\nb\n".to_owned(), Vec::new()), "{outcome:?}");
}
