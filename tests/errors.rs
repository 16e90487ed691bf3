//! What calls refuse: programs that make a call fail in every way that its manual page names and that can be arranged.
//!
//! Programs of `tests/guests` come in; what they print natively and as guests is compared, through both C
//! libraries. Always true: natively each call fails as the page says, or the part ends with a failure. Thousands of
//! bad pointers are in `bad_pointers.rs`, calls that nobody answers in `refusals.rs`.

mod parts;

use parts::assert_parts_same;

#[test]
fn descriptors() {
    assert_parts_same("errors_descriptors");
}

#[test]
fn waits() {
    assert_parts_same("errors_waits");
}

#[test]
fn moves() {
    assert_parts_same("errors_moves");
}

#[test]
fn processes() {
    assert_parts_same("errors_processes");
}

#[test]
fn signals() {
    assert_parts_same("errors_signals");
}

#[test]
fn times() {
    assert_parts_same("errors_times");
}

#[test]
fn limits() {
    assert_parts_same("errors_limits");
}

#[test]
fn futexes() {
    assert_parts_same("errors_futexes");
}

#[test]
fn system_v_objects() {
    assert_parts_same("errors_sysv");
}

#[test]
fn message_queues() {
    assert_parts_same("errors_mqueues");
}

#[test]
fn sockets() {
    assert_parts_same("errors_sockets");
}

#[test]
fn sockets_with_addresses() {
    assert_parts_same("errors_unix");
}
