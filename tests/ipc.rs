//! What processes share by name: System V objects, POSIX message queues, locks on files.
//!
//! Programs of `tests/guests` come in; what they print natively and as guests is compared, through both C
//! libraries. Always true: names and keys are a run's own, and nothing of them is left. Pipes and sockets
//! are elsewhere.

mod parts;

use parts::assert_parts_same;

#[test]
fn system_v_objects_are_shared() {
    assert_parts_same("sysv");
}

#[test]
fn message_queues_keep_their_order() {
    assert_parts_same("mqueues");
}

#[test]
fn locks_keep_processes_apart() {
    assert_parts_same("locks");
}
