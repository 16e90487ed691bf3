//! Signals between processes and threads, the calls they interrupt, and the timers that send them.
//!
//! Programs of `tests/guests` come in; what they print natively and as guests is compared, through both C
//! libraries. Always true: natively every line is the same in every run. Signals that a single thread
//! sends itself are `signals.rs`.

mod parts;

use parts::assert_parts_same;

#[test]
fn signals_reach_processes_and_threads() {
    assert_parts_same("signals2");
}

#[test]
fn blocking_calls_end_or_go_on() {
    assert_parts_same("interrupts");
}

#[test]
fn timers_expire_on_every_clock() {
    assert_parts_same("timers");
}
