//! Processes of a guest: how they come to be, become other programs, end, and are told apart.
//!
//! Programs of `tests/guests` that fork, spawn, execute, wait and stop each other come in; what they print
//! natively and as guests is compared, through both C libraries. Always true: natively every line is the
//! same in every run. Signals and what waits for them are `signals2.rs`.

mod parts;

use parts::assert_parts_same;

#[test]
fn children_are_made_by_every_call() {
    assert_parts_same("forks");
}

#[test]
fn children_become_other_programs() {
    assert_parts_same("spawns");
}

#[test]
fn parents_learn_of_their_childrens_ends() {
    assert_parts_same("reaps");
}

#[test]
fn groups_and_sessions_are_signalled_and_stopped() {
    assert_parts_same("groups");
}

#[test]
fn supplementary_groups_are_set_and_inherited() {
    assert_parts_same("credentials");
}

#[test]
fn files_are_reached_as_whoever_a_process_becomes() {
    assert_parts_same("reach");
}

#[test]
fn how_a_process_stands() {
    assert_parts_same("standing");
}
