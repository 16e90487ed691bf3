//! `docs/syscalls.md`: which system calls there are, how complete, and who answers them.
//!
//! The table of `shim-abi` in, a page of Markdown out. Always true: every line of the table is on the
//! page once, and its counts are counted, not written. What the routes mean in code is not here: the
//! dispatch of the guest reads the same table.

use std::fmt::Write;

use shim_abi::calls::{Call, Route, Status, TABLE};

const HEAD: &str = "\
# System calls

Made from the table in `crates/shim-abi/src/calls/table.rs` by `cargo run -p shim-gen`; do not edit.

A call is **full** if it does all that its manual page says, **partial** if some of it is missing (the
note says what), **missing** if it always fails. A call that fails because it is missing, or because its
number is not in the table (ENOSYS), is named once in the summary of the run, with program and count.
";

/// A group of the page: its title, what it means, and its calls.
struct Group {
    title: &'static str,
    meaning: &'static str,
    is_in: fn(Route) -> bool,
}

const GROUPS: &[Group] = &[
    Group {
        title: "Local",
        meaning: "The shim answers inside the guest, from shared memory.",
        is_in: |route| route == Route::Local,
    },
    Group {
        title: "Native",
        meaning: "The real kernel executes the call, where needed with the shim's care around it.",
        is_in: |route| route == Route::Native,
    },
    Group {
        title: "Forward",
        meaning: "The simulator answers.",
        is_in: |route| route == Route::Forward,
    },
    Group {
        title: "Refuse",
        meaning: "Nobody answers: the call fails with the error shown, and is named in the summary.",
        is_in: |route| matches!(route, Route::Refuse(_)),
    },
];

/// The page.
pub fn page() -> String {
    let mut page = String::from(HEAD);
    page.push_str("\n| Route | Full | Partial | Missing | Together |\n|---|---:|---:|---:|---:|\n");
    for group in GROUPS {
        count_line(&mut page, group.title, &calls_of(group));
    }
    count_line(&mut page, "**All**", &TABLE.iter().collect::<Vec<_>>());
    for group in GROUPS {
        let calls = calls_of(group);
        _ = write!(page, "\n## {}\n\n{}\n\n", group.title, group.meaning);
        page.push_str("| Number | Call | Status | Note |\n|---:|---|---|---|\n");
        for call in calls {
            call_line(&mut page, call);
        }
    }
    page
}

fn calls_of(group: &Group) -> Vec<&'static Call> {
    TABLE.iter().filter(|call| (group.is_in)(call.route)).collect()
}

fn count_line(page: &mut String, title: &str, calls: &[&Call]) {
    let count = |status| calls.iter().filter(|call| call.status == status).count();
    let (full, partial) = (count(Status::Full), count(Status::Partial));
    let missing = count(Status::Missing);
    _ = writeln!(page, "| {title} | {full} | {partial} | {missing} | {} |", calls.len());
}

fn call_line(page: &mut String, call: &Call) {
    let status = match call.status {
        Status::Full => "full",
        Status::Partial => "partial",
        Status::Missing => "missing",
    };
    let error = match call.route {
        Route::Refuse(errno) => errno.name().expect("errors of the table have names"),
        _ => "",
    };
    let separator = if error.is_empty() || call.note.is_empty() { "" } else { ": " };
    let note = call.note.replace('|', "\\|");
    _ = writeln!(
        page,
        "| {} | `{}` | {status} | {error}{separator}{note} |",
        call.number, call.name
    );
}
