//! Descriptors that tell of events, and the calls that wait for many of them.
//!
//! Parts of small C programs come in; what they print natively and as guests is compared, through both C
//! libraries. Always true: every part is one run, so that one behaviour that is missing hides no other. What
//! flows through pipes is in `pipes.rs`.

use shim_testkit::compare::assert_part;

#[test]
fn counters_count() {
    assert_part("eventfds", "counters", "too large for any = -22");
    assert_part("eventfds", "readiness", "full: 1, 1");
}

#[test]
fn counters_refuse() {
    assert_part("eventfds", "errors", "anon_inode:[eventfd]");
}

#[test]
fn counters_are_waited_for() {
    assert_part("eventfds", "two", "a writer waits for a reader = 8");
    assert_part("eventfds", "semaphores", "two of three = 8: 2");
    assert_part("eventfds", "interrupted", "restarted = 8: 29");
}

#[test]
fn poll_tells_the_state_of_each() {
    let line = "writer gone = 5: reader 10, writer 20, counter 5, file 5, none 20, negative 0";
    assert_part("polls", "states", line);
}

#[test]
fn poll_waits_in_time() {
    assert_part("polls", "times", "more than allowed = -22");
}

#[test]
fn poll_and_select_change_masks() {
    assert_part("polls", "masks", "unblocked for no time = -4");
}

#[test]
fn select_tells_the_state_of_each() {
    assert_part("polls", "selects", "something = 6: 100 010 110 110");
}

#[test]
fn others_end_polls() {
    assert_part("polls", "by others", "the end = 1: 10 0");
}

#[test]
fn epoll_refuses() {
    assert_part("epolls", "errors", "a file = -1");
}

#[test]
fn epoll_reports_levels() {
    assert_part("epolls", "level", "but the end is reported = 1: 8:10");
}

#[test]
fn epoll_reports_edges() {
    assert_part("epolls", "edge", "again without a read = 1: 3:1");
}

#[test]
fn epoll_reports_once() {
    assert_part("epolls", "oneshot", "armed with the edge = 0");
}

#[test]
fn epoll_reports_in_order() {
    assert_part("epolls", "order", "round = 4: 2:1 3:1 0:1 5:1");
}

#[test]
fn epoll_reports_ends() {
    assert_part("epolls", "ends", "and empty = 1: 1:10");
}

#[test]
fn epoll_watches_descriptions() {
    assert_part("epolls", "copies", "the old one is gone = 1: 4:1");
}

#[test]
fn epoll_sets_are_nested() {
    assert_part("epolls", "nested", "a circle = -40");
}

#[test]
fn epoll_watches_exclusively() {
    assert_part("epolls", "exclusive", "with EPOLLRDHUP = -22");
}

#[test]
fn epoll_waits_in_time() {
    assert_part("epoll_waits", "times", "time untouched 0 7");
    assert_part("epoll_waits", "masks", "unblocked for no time = 0");
}

#[test]
fn others_end_waits_on_epoll() {
    assert_part("epoll_waits", "by others", "the end = 1: 11 of pipe");
    assert_part("epoll_waits", "from outside", "a set around it = 1");
    assert_part("epoll_waits", "shared", "watched by the child = 1: 1 of counter");
    assert_part("epoll_waits", "waiters", "one wakes: 1");
}

#[test]
fn timers_expire() {
    assert_part("timerfds", "clocks", "read = 8, in time");
    assert_part("timerfds", "intervals", "over: 0 0");
}

#[test]
fn timers_refuse() {
    assert_part("timerfds", "errors", "cancelled when the clock is set = 0");
}

#[test]
fn timers_are_waited_for() {
    assert_part("timerfds", "waits", "armed by another = 8, in time");
}

#[test]
fn signals_are_read() {
    assert_part("signalfds", "reads", "three = 384");
    assert_part("signalfds", "handlers", "handled 1");
}

#[test]
fn signal_descriptors_refuse() {
    assert_part("signalfds", "errors", "too small = -22");
}

#[test]
fn signals_of_others_are_read() {
    let line = "  17 errno 0 code 1 by the child own 1 int 0 status 7";
    assert_part("signalfds", "by others", line);
}

#[test]
fn processes_are_opened() {
    assert_part("pidfds", "opened", "wait for itself = -10");
    assert_part("pidfds", "signals", "signal 10, code 0, by the child 1");
}

#[test]
fn a_processs_directory_stands_for_it() {
    assert_part("pidfds", "directories", "it died by 9");
}

#[test]
fn processes_are_waited_for_by_descriptor() {
    assert_part("pidfds", "waited", "reaped = 0: signal 17, code 1, status 42, the child 1");
    assert_part("pidfds", "stopped", "stopped = 0: signal 17, code 5, status 19, the child 1");
    assert_part("pidfds", "many", "ended = 1: 2");
}
