//! Pairs of sockets: what flows through them, what travels beside it, how much fits, how they end, what they refuse.
//!
//! Parts of small C programs come in; what they print natively and as guests is compared, through both C libraries.
//! Always true: every part is one run, so that one behaviour that is missing hides no other. Programs that need pairs
//! (`asyncio`, `multiprocessing`, Node.js) are in `whole.rs`.

use shim_testkit::Run;
use shim_testkit::compare::assert_part;

#[test]
fn ends_have_numbers_and_flags() {
    assert_part("socketpairs", "ends", "its name has its inode");
    assert_part("socketpairs", "addresses", "no addresses: -22 -22 -22 -22 -14");
}

#[test]
fn what_is_no_socket_is_told() {
    assert_part("socketpairs", "no sockets", "of a device: -88 -88 -88 -88");
}

#[test]
fn streams_flow() {
    assert_part("socketpairs", "stream", "peeked 'one two three four'");
}

#[test]
fn messages_stay_apart() {
    assert_part("socketpairs", "messages", "read of nothing: 2 0 0 0");
}

#[test]
fn room_is_counted_as_linux_counts_it() {
    let line = "datagram by 20000: 220000 fit (228096), then 20000; room after 180000 (41472)";
    assert_part("socketpairs", "room", line);
}

#[test]
fn ends_are_seen_by_the_other_side() {
    assert_part("socketpairs", "closing", "closed with something in it: 235d");
    assert_part("socketpairs", "shutting", "for reading: 2345 0345");
}

#[test]
fn options_are_kept() {
    assert_part("socketpairs", "options", "time: 0 0 16 2 500000");
}

#[test]
fn two_processes_wait_for_each_other() {
    assert_part("socket_waits", "waiting", "a writer that waits = -104, signals 0");
}

#[test]
fn waits_have_limits() {
    assert_part("socket_waits", "limits", "a part, then a signal = 2");
}

#[test]
fn readiness_is_told() {
    assert_part("socket_waits", "readiness", "half closed: 1, 2005");
    assert_part("socket_waits", "signals", "signal for 3: code 6, band 18");
}

#[test]
fn files_are_sent() {
    assert_part("socket_waits", "files", "arrived 500000");
}

#[test]
fn descriptors_travel() {
    let line = "close on exec = 7 'cloexec', flags 40000000, control 24, 1/1 of 24: 7 8";
    assert_part("socket_messages", "rights", line);
    assert_part("socket_messages", "borders", "a read stops, too = 3");
    assert_part("socket_messages", "inheritance", "works: 5 0");
}

#[test]
fn native_files_travel() {
    assert_part("socket_files", "sharing", "own = 3 '678', at 9");
    assert_part("socket_files", "families", "it is locked still = -11");
    assert_part("socket_files", "mixtures", "numbers 8 9 13 14 15 16 17 18 19");
    assert_part("socket_files", "programs", "size 24, new 1");
}

#[test]
fn descriptors_get_the_lowest_numbers_that_there_are() {
    let line = "as many as there may be = 5 'limit', flags 8, control 32, 1/1 of 28: 0 7 8";
    assert_part("socket_messages", "numbers", line);
}

#[test]
fn senders_are_shown() {
    assert_part("socket_messages", "credentials", "it: another, user mine, group mine");
    assert_part("socket_messages", "said", "bad memory: -14 -14 -105 4");
}

#[test]
fn who_says_that_it_is_another_is_believed_as_on_linux() {
    // Root is, and others are not, which `errors_sockets.c` shows.
    assert_part("socket_messages", "lies", "no user = -22");
}

#[test]
fn headers_are_checked_in_order() {
    assert_part("socket_messages", "headers", "too many pieces: -90 -90");
    assert_part("socket_messages", "several", "one more, without waiting: 1 -11");
}

#[test]
fn what_is_missing_is_named() {
    let script = "import socket, os\n\
                  a, b = socket.socketpair()\n\
                  def no(f, *x):\n    \
                      try: f(*x)\n    \
                      except OSError as e: print(e.errno)\n\
                  no(a.setsockopt, 1, 29, 1)\n";
    let run = Run::native("/usr/bin/python3").args(["-c", script]).as_guest::<&str>([]);
    let outcome = run.finish().expect_success();
    assert_eq!(outcome.text(), "92\n");
    let stderr = String::from_utf8_lossy(&outcome.stderr).into_owned();
    let line = "shim: python3: setsockopt option 29 of level 1 (once)";
    assert_eq!(stderr.lines().filter(|l| *l == line).count(), 1, "{line}:\n{stderr}");
}

#[test]
fn bytes_move_between_sockets_and_pipes() {
    assert_part("socket_splices", "unix stream", "moved 600000");
    assert_part("socket_splices", "unix messages", "pipe to socket = 5");
    assert_part("socket_splices", "tcp", "moved 600000");
}

#[test]
fn owners_of_sockets_are_told() {
    assert_part("socket_splices", "owners", "own 1 1");
}
