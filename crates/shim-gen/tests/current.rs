//! The checked-in files are what the sources make of them, and the page of system calls is complete.
//!
//! Nothing comes in but the repository; a list of what is stale comes out as the failure. Whether the
//! headers compile, and agree with the library, is tested at the top level (`tests/headers.rs`,
//! `tests/exports.rs`).

use shim_abi::calls::{Route, Status, TABLE};

#[test]
fn checked_in_files_are_current() {
    let stale = shim_gen::files::stale().expect("the sources can be read");
    assert!(stale.is_empty(), "run `cargo run -p shim-gen`:\n{}", stale.join("\n"));
}

#[test]
fn every_call_is_on_the_page_once() {
    let page = shim_gen::syscalls::page();
    for call in TABLE {
        let row = format!("| {} | `{}` |", call.number, call.name);
        assert_eq!(page.matches(&row).count(), 1, "{row}");
    }
}

#[test]
fn the_table_says_what_users_need() {
    for call in TABLE {
        let is_refused = matches!(call.route, Route::Refuse(_));
        assert!(
            !is_refused || call.status == Status::Missing,
            "{}: a refused call is missing",
            call.name
        );
        assert!(
            call.status != Status::Partial || !call.note.is_empty(),
            "{}: a partial call says what is missing",
            call.name
        );
    }
}
