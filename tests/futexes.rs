//! The futex call itself, in all its operations, within processes and between them.
//!
//! Parts of small C programs come in; what they print natively and as guests is compared, through both C
//! libraries. Always true: every part is one run, so that one behaviour that is missing hides no other. What
//! the libraries make of futexes is in `threads.rs`.

use shim_testkit::compare::assert_part;

#[test]
fn waiters_are_woken_in_turn() {
    assert_part("futexes", "wakes", "all woken 7, results 0");
}

#[test]
fn waiters_are_woken_by_bits() {
    assert_part("futexes", "bitsets", "the highest bit = 1");
}

#[test]
fn waiters_are_moved() {
    assert_part("futexes", "requeues", "wake one, move two = 3");
}

#[test]
fn words_are_changed_on_the_way() {
    assert_part("futexes", "operations", "andn 10 to 12 = 0: 4");
}

#[test]
fn waits_end_in_time() {
    assert_part("futexes", "timeouts", "of the calendar = -110, in time");
}

#[test]
fn signals_end_waits() {
    assert_part("futexes", "interrupted", "with a time, never restarted = -4");
}

#[test]
fn waits_are_refused() {
    assert_part("futexes", "errors", "wake at a low address, shared = -14");
}

#[test]
fn processes_wake_each_other() {
    assert_part("futex_shared", "processes", "a shared wake = 1");
}

#[test]
fn places_of_shared_memory_are_one() {
    assert_part("futex_shared", "places", "elsewhere = 1");
}

#[test]
fn several_words_are_waited_for() {
    assert_part("futex_shared", "vectors", "it was 100");
}

#[test]
fn the_end_of_a_thread_clears_its_word() {
    assert_part("futex_shared", "cleared", "cleared, ran 5");
}

#[test]
fn locks_know_their_owner() {
    assert_part("futex_pi", "alone", "unlock the free = -1");
    assert_part("futex_pi", "between", "handed over: other's, waiters");
    assert_part("futex_pi", "turns", "order 0 1 2 3 4");
    assert_part("futex_pi", "circles", "a circle = -35");
}

#[test]
fn waiters_are_moved_to_locks() {
    assert_part("futex_pi", "conditions", "while it is locked = 1");
}

#[test]
fn processes_share_locks() {
    assert_part("futex_pi", "processes", "own 1, owner died 1");
}

#[test]
fn the_dead_are_marked() {
    assert_part("futex_deaths", "threads", "dead 2: free, owner died");
    assert_part("futex_deaths", "waiters", "woken: number 0, waiters 1, owner died 1");
    assert_part("futex_deaths", "processes", "by kill: status 9");
}

#[test]
fn lists_of_locks_are_not_inherited() {
    assert_part("futex_deaths", "after fork", "inherited: 0");
}

#[test]
fn lists_of_locks_may_be_nonsense() {
    assert_part("futex_deaths", "errors", "short = -22");
    assert_part("futex_deaths", "nonsense", "a circle: status 0");
}
