//! Pipes: what flows through them, what copies and names of their ends do, what they refuse.
//!
//! Parts of small C programs come in; what they print natively and as guests is compared, through both C
//! libraries. Always true: every part is one run, so that one behaviour that is missing hides no other. Waits
//! for the readiness of pipes are in `events.rs`.

use shim_testkit::guest::compile;
use shim_testkit::{Libc, Outcome, Run, Status, assert_same};

#[track_caller]
fn assert_same_with_both(name: &str, part: &str) -> Outcome {
    let check = |libc| assert_same(&Run::native(compile(name, libc)).args([part]), &[]);
    check(Libc::Musl);
    check(Libc::Glibc)
}

/// The part is the same, ends well, and has shown this line natively.
#[track_caller]
fn assert_part(name: &str, part: &str, line: &str) {
    let native = assert_same_with_both(name, part).expect_success();
    assert!(native.text().lines().any(|l| l == line), "{name} {part}: {native:?}");
}

#[test]
fn ends_have_numbers_and_flags() {
    assert_part("pipes", "ends", "bad flags = -22 -22 -22 -22");
    assert_part("pipes", "kinds", "mode 10600 10600, links 1, size 0, block 4096");
}

#[test]
fn bytes_flow_within_one_process() {
    assert_part("pipes", "flow", "got ', ' 'pipeone two'");
}

#[test]
fn sizes_are_set_and_refused() {
    assert_part("pipes", "sizes", "smaller than what is in it = -16");
}

#[test]
fn room_is_in_places() {
    assert_part("pipes", "places", "filled in steps of 5000: 54096, then -11");
}

#[test]
fn packets_stay_apart() {
    assert_part("pipes", "packets", "the rest is gone = 5");
}

#[test]
fn a_pipe_without_a_reader_breaks() {
    let native = assert_same_with_both("pipes", "broken");
    assert_eq!(native.status, Status::Signal(13), "{native:?}");
    assert!(native.text().ends_with("the default: killed by 13\n"), "{native:?}");
}

#[test]
fn two_processes_wait_for_each_other() {
    assert_part("pipes", "two", "cut short = 65536");
}

#[test]
fn signals_end_waits() {
    assert_part("pipes", "interrupted", "a part, then the alarm = 8192");
}

#[test]
fn copies_share_what_they_copy() {
    assert_part("pipe_copies", "copies", "the last writer has gone = 0");
    assert_part("pipe_copies", "onto", "a has no reader = -32");
}

#[test]
fn copies_are_refused() {
    assert_part("pipe_copies", "errors", "F_DUPFD below the limit = -24");
}

#[test]
fn ranges_are_closed() {
    assert_part("pipe_copies", "ranges", "in the parent: 3p 4p 5p 10p");
}

#[test]
fn a_new_image_has_what_is_not_close_on_exec() {
    assert_part("pipe_copies", "executed", "after: 3p 4p 21p");
}

#[test]
fn children_have_copies_of_their_own() {
    assert_part("pipe_copies", "inherited", "the child holds the writer = -11");
}

#[test]
fn bytes_move_without_a_buffer() {
    assert_part("pipe_moves", "splice", "offset 29, its place 4");
    assert_part("pipe_moves", "tee", "other = 7: twicetw");
    assert_part("pipe_moves", "vmsplice", "got 'into ' 'memory'");
    assert_part("pipe_moves", "sendfile", "from a pipe = -22");
}

#[test]
fn moves_are_refused() {
    assert_part("pipe_moves", "splice errors", "into itself = -22");
}

#[test]
fn moves_wait_for_other_processes() {
    assert_part("pipe_moves", "waiting", "arrived 300000, wrong 0");
}

#[test]
fn ends_have_names() {
    assert_part("pipe_names", "links", "/proc/self/fd/3: pipe:[, its inode 1, length 1");
    assert_part("pipe_names", "listings", "/dev/fd: 3 4 5 6 20, odd 0");
}

#[test]
fn ends_are_opened_again_by_name() {
    assert_part("pipe_names", "reopened", "got through");
}

#[test]
fn a_pipe_is_no_file() {
    assert_part("pipe_names", "not a file", "mmap = -19");
}

#[test]
fn pipes_in_the_file_system() {
    assert_part("fifos", "alone", "nothing is kept = 0");
    assert_part("fifos", "two", "a reader waits for a writer: 1");
    assert_part("fifos", "interrupted", "an open that waits = -4");
}
