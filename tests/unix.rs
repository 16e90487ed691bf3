//! Sockets of AF_UNIX with addresses: names, listeners, connections, datagrams, files, and programs that use them.
//!
//! Parts of a small C program come in; what they print natively and as guests is compared, through both C libraries; so
//! is what whole programs print. Always true: every part is one run, so that one behaviour that is missing hides no
//! other. Pairs of sockets are in `sockets.rs`, what is refused in `errors.rs`.

use shim_testkit::compare::assert_part;

#[test]
fn names_are_files_or_hidden() {
    assert_part("unix_addresses", "names", "its file: mode 140750, links 1, size 0, mine 1");
    assert_part("unix_addresses", "hidden names", "lengths 8 8, digits 1, same 0");
}

#[test]
fn a_name_is_whoever_was_bound_to_its_inode() {
    let line = "its name is the old one = 0: family 1, 4 bytes 'one'";
    assert_part("unix_addresses", "files", line);
}

#[test]
fn connections_are_made_and_taken() {
    let line = "end of one that is gone = 0: family 1, 6 bytes 'late1'";
    assert_part("unix_addresses", "listeners", line);
    assert_part("unix_addresses", "backlogs", "then: -104 0 -32");
}

#[test]
fn sockets_are_listed() {
    assert_part("unix_addresses", "listing", "hidden: 2 0 0 1 1 @a hidden one, and@more");
}

#[test]
fn datagrams_have_senders() {
    assert_part("unix_waits", "datagrams", "gone, but known = 0: family 1, 7 bytes 'server'");
    assert_part("unix_waits", "queues", "one more: 1 -11");
}

#[test]
fn readiness_is_told() {
    assert_part("unix_waits", "readiness", "a connection: 0041 0304");
}

#[test]
fn who_waits_goes_on_in_order() {
    assert_part("unix_waits", "waits", "connect for a while = -11");
}

#[test]
fn partners_are_known() {
    let line = "the listener = 0: the other, user mine, group mine";
    assert_part("unix_waits", "credentials", line);
}

#[test]
fn listeners_travel_in_messages() {
    assert_part("unix_waits", "rights", "nobody listens = -111");
}

#[test]
fn one_byte_is_urgent() {
    assert_part(
        "unix_urgent",
        "bytes",
        "  MSG_OOB | MSG_PEEK 9: 1 'c', flags 1, ready 3, at mark 0",
    );
    assert_part("unix_urgent", "ends", "signals 1");
}
