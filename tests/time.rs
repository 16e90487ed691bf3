//! Simulated time as programs see it: waits cost none of ours, and every clock tells the same story.
//!
//! Programs of the system and of `tests/guests` come in; what they say about time is compared with what
//! was asked for and with native runs. Always true: a guest's wait ends at its instant but for the latency
//! model, whose most generous amount is [`LATENCY_NS`]. Times of files are `files.rs`.

use std::time::Duration;

use shim_testkit::compare::difference;
use shim_testkit::guest::compile;
use shim_testkit::{Libc, Outcome, Run};

/// What a handful of calls may cost: a thousand calls at one microsecond.
const LATENCY_NS: u64 = 1_000_000;
/// How much later than asked for a native wait may end on a busy machine.
const NATIVE_LATENESS_NS: u64 = 5_000_000_000;
/// What starting a guest may take in wall time, on a busy machine.
const AT_ONCE: Duration = Duration::from_secs(5);

fn guest_text(words: &[&str]) -> String {
    Run::guest(words[0]).args(&words[1..]).finish().expect_success().text()
}

/// A number that a guest printed.
#[track_caller]
fn number(text: &str) -> f64 {
    text.trim().parse().unwrap_or_else(|_| panic!("not a number: {text:?}"))
}

#[track_caller]
fn assert_waited(text: &str, seconds: f64) {
    let waited = number(text);
    assert!(waited >= seconds && waited <= seconds + LATENCY_NS as f64 / 1e9, "waited {waited}");
}

/// Run a guest of ours natively and as a guest, with different arguments; what it prints is the same.
#[track_caller]
fn assert_same_with(name: &str, libc: Libc, native: &[&str], guest: &[&str]) -> Outcome {
    let program = compile(name, libc);
    let native = Run::native(&program).args(native).finish().expect_success();
    let guest = Run::guest(&program).args(guest).finish();
    if let Some(words) = difference(&native, &guest) {
        panic!("{name} with {libc:?}:\n{words}");
    }
    native
}

#[test]
fn a_day_of_sleep_takes_no_time() {
    let outcome = Run::guest("sleep").args(["86400"]).finish().expect_success();
    assert!(outcome.wall < AT_ONCE, "{outcome:?}");
}

#[test]
fn the_calendar_starts_where_it_was_told_to() {
    assert_eq!(guest_text(&["date", "-u", "+%s"]), "946684800\n");
    for (start, expected) in
        [("2038-01-19T03:14:07Z", "2147483647\n"), ("@1234567890", "1234567890\n"), ("@0", "0\n")]
    {
        let run = Run::native("date").args(["-u", "+%s"]);
        let outcome = run.as_guest(["--quiet", "--start-time", start]).finish().expect_success();
        assert_eq!(outcome.text(), expected, "--start-time {start}");
    }
}

#[test]
fn sleepers_see_their_time_pass() {
    let hour = "import time; a=time.time(); time.sleep(3600); print(time.time()-a)";
    assert_waited(&guest_text(&["/usr/bin/python3", "-c", hour]), 3600.0);
    let day = "import time; a=time.monotonic(); time.sleep(86400); print(time.monotonic()-a)";
    assert_waited(&guest_text(&["/usr/bin/python3", "-c", day]), 86400.0);
    let quarter =
        "use Time::HiRes 'time'; my $a = time; select(undef, undef, undef, 0.25); print time - $a";
    assert_waited(&guest_text(&["perl", "-e", quarter]), 0.25);
}

#[test]
fn readings_are_right_at_all_instants_and_whatever_interrupts_them() {
    let sleeps = ["1", "999998999", "7", "86400000000000", "123456789012345678", "1000000000"];
    for libc in Libc::ALL {
        let outcome = assert_same_with("readers", libc, &[], &sleeps);
        assert!(outcome.text().ends_with("everywhere: right\n"), "{outcome:?}");
    }
}

#[test]
fn looking_at_the_clock_until_it_is_time_ends() {
    let poll = "import time; a=time.time()\nwhile time.time()-a < 1: pass\nprint(time.time()-a)";
    assert_waited(&guest_text(&["/usr/bin/python3", "-c", poll]), 1.0);
    let clocks = compile("clocks", Libc::Glibc);
    let run = Run::guest(clocks).args(["poll", "10"]).limit(Duration::from_secs(60));
    assert_eq!(run.finish().expect_success().text(), "looked more than once: 1\n");
}

#[test]
fn waits_end_in_time_and_refuse_what_linux_refuses() {
    for libc in Libc::ALL {
        let (native, guest) = (NATIVE_LATENESS_NS.to_string(), LATENCY_NS.to_string());
        let outcome = assert_same_with("waits", libc, &[&native], &[&guest]);
        let text = outcome.text();
        assert!(!text.contains("early") && !text.contains("late"), "{text}");
    }
}

#[test]
fn all_clocks_agree() {
    let text = assert_same_with("clocks", Libc::Glibc, &[], &[]).text();
    assert!(text.contains("agrees") && !text.contains("differs"), "{text}");
}
