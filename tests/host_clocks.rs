//! The clocks of a simulated machine: its offset, its rate, its jumps, as programs see them.
//!
//! Options of `shim exec` in; what `tests/guests/host_clocks.c` and programs of the system say about time is
//! compared with arithmetic. Always true: readings may be later than computed by what a handful of calls
//! costs, [`LATENCY_NS`], and never earlier. Times of files follow the calendar of the machine.

use std::collections::BTreeMap;

use shim_testkit::compare::Folder;
use shim_testkit::guest::compile;
use shim_testkit::{Libc, Run};

/// What a handful of calls may cost: a hundred calls at one microsecond.
const LATENCY_NS: i128 = 100_000;
const SECOND: i128 = 1_000_000_000;
/// 2000-01-01.
const START: i128 = 946_684_800 * SECOND;
const UPTIME: i128 = 100 * SECOND;
const PYTHON: &str = "/usr/bin/python3";

/// One line of numbers, by name.
type Line = BTreeMap<String, i128>;

/// Run steps of the program with options; the lines that it wrote.
#[track_caller]
fn steps(options: &[&str], steps: &[&str]) -> Vec<Line> {
    let program = compile("host_clocks", Libc::Glibc);
    let options = [&["--quiet"], options].concat();
    let run = Run::native(program).args(steps).as_guest(options).finish().expect_success();
    let text = run.text();
    assert!(!text.contains("differs"), "{text}");
    text.lines().map(line).collect()
}

/// Numbers, each by the word before it.
fn line(text: &str) -> Line {
    let words: Vec<_> = text.split(' ').collect();
    let pairs = words.windows(2);
    pairs.filter_map(|pair| Some((pair[0].to_owned(), pair[1].parse().ok()?))).collect()
}

#[track_caller]
fn assert_shows(line: &Line, name: &str, expected: i128) {
    // Coarse clocks are as exact as the others here; microseconds are cut off.
    let late = line[name] - expected;
    assert!((-1000..=LATENCY_NS).contains(&late), "{name}: {late} ns late in {line:?}");
}

#[track_caller]
fn assert_all_show(line: &Line, realtime: i128, monotonic: i128) {
    for name in ["realtime", "coarse", "tai", "day"] {
        assert_shows(line, name, START + realtime);
    }
    for name in ["monotonic", "raw", "boottime", "tsc"] {
        assert_shows(line, name, UPTIME + monotonic);
    }
    assert!(line["cpu"] < 10 * LATENCY_NS, "{line:?}");
}

#[test]
fn an_offset_moves_the_calendar_and_nothing_else() {
    for (offset, expected) in [("0", 0), ("1h", 3600 * SECOND), ("-90s", -90 * SECOND)] {
        let lines = steps(&["--clock-offset", offset], &["show", "sleep", "5", "show"]);
        assert_all_show(&lines[0], expected, 0);
        assert_all_show(&lines[1], expected + 5 * SECOND, 5 * SECOND);
    }
    let guest = |words: &[&str]| {
        let run = Run::native(words[0]).args(&words[1..]);
        run.as_guest(["--quiet", "--clock-offset=-1s"]).finish().expect_success().text()
    };
    assert_eq!(guest(&["date", "-u", "+%F %T"]), "1999-12-31 23:59:59\n");
    assert_eq!(guest(&[PYTHON, "-c", "import time; print(int(time.time()))"]), "946684799\n");
}

#[test]
fn a_rate_makes_all_clocks_faster_and_waits_follow_them() {
    for (ppm, per_mille) in [("100000", 1100), ("-100000", 900), ("0", 1000)] {
        for step in [&["sleep", "99"][..], &["alarm", "99"], &["sleep", "60", "sleep", "39"]] {
            let lines = steps(&["--clock-rate-ppm", ppm], &[&["show"], step, &["show"]].concat());
            assert_all_show(&lines[0], 0, 0);
            assert_all_show(&lines[1], 99 * SECOND, 99 * SECOND);
        }
        let trace = Folder::new();
        let file = trace.path().join("trace");
        let run = Run::native("sleep").args(["99"]);
        let options = ["--quiet", "--clock-rate-ppm", ppm, "--strace"];
        run.as_guest(options.map(Into::into).into_iter().chain([file.clone().into_os_string()]))
            .finish()
            .expect_success();
        let text = std::fs::read_to_string(file).expect("the trace was written");
        let end: f64 = text.lines().last().unwrap().split(' ').next().unwrap().parse().unwrap();
        let late = end - 99.0 * 1000.0 / f64::from(per_mille);
        assert!((0.0..0.001).contains(&late), "{ppm}: ends at {end}, {late} s late");
    }
    let script = "import time; time.sleep(11); print(open('/proc/uptime').read().split()[0])";
    let run = Run::native(PYTHON).args(["-c", script]);
    let text = run.as_guest(["--quiet", "--clock-rate-ppm", "50"]).finish().expect_success().text();
    assert_eq!(text, "111.00\n");
}

#[test]
fn a_jump_sets_the_calendar_at_its_instant() {
    for (jump, by) in [("10s:1h", 3600 * SECOND), ("10s:-5s", -5 * SECOND)] {
        let lines = steps(&["--clock-jump", jump], &["sleep", "9", "show", "sleep", "2", "show"]);
        assert_all_show(&lines[0], 9 * SECOND, 9 * SECOND);
        assert_all_show(&lines[1], 11 * SECOND + by, 11 * SECOND);
    }
    // Who looks all the time sees it when it happens.
    let options =
        ["--clock-jump", "300ms:-1h", "--clock-jump", "600ms:1s", "--clock-jump", "9s:1s"];
    let lines = steps(&options, &["watch", "1"]);
    let seen: Vec<_> = lines.iter().map(|line| (line["monotonic"], line["by"])).collect();
    assert_eq!(seen.len(), 2, "{seen:?}");
    for ((at, by), (expected_at, expected_by)) in
        seen.into_iter().zip([(300_000_000, -3600 * SECOND), (600_000_000, SECOND)])
    {
        assert!((0..5_000).contains(&(at - UPTIME - expected_at)), "{at}");
        assert!((0..5_000).contains(&(by - expected_by)), "{by}");
    }
}

#[test]
fn only_absolute_sleeps_by_the_calendar_notice_a_jump() {
    for (jump, wakes_at, by) in [
        ("10s:1h", 10 * SECOND, 3600 * SECOND),
        ("10s:5s", 25 * SECOND, 5 * SECOND),
        ("10s:-5s", 35 * SECOND, -5 * SECOND),
        ("40s:-5s", 30 * SECOND, 0),
    ] {
        let until = (START / SECOND + 30).to_string();
        let lines = steps(&["--clock-jump", jump], &["until", &until, "show"]);
        assert_eq!(lines[0]["until:"], 0);
        assert_all_show(&lines[1], wakes_at + by, wakes_at);
    }
    for step in ["sleep", "alarm"] {
        let lines = steps(&["--clock-jump", "10s:-5s"], &[step, "30", "show"]);
        assert_all_show(&lines[0], 25 * SECOND, 30 * SECOND);
    }
    // A library that sleeps by an absolute time of CLOCK_MONOTONIC, and a time-out of poll(2).
    let script = "import time, select; a = time.monotonic(), time.time(); time.sleep(7); \
                  select.select([], [], [], 7); \
                  print(*(int(b - a) for a, b in zip(a, (time.monotonic(), time.time()))))";
    let run = Run::native(PYTHON).args(["-c", script]);
    let outcome = run.as_guest(["--quiet", "--clock-jump", "10s:-5s"]).finish().expect_success();
    assert_eq!(outcome.text(), "14 9\n");
}

#[test]
fn files_carry_the_times_of_the_machines_own_calendar() {
    let script = "
import os, time
print('old', os.stat('old').st_mtime)
def age(name):
    return round(time.time() - os.stat(name).st_mtime, 1)
open('a', 'w').write('x')
time.sleep(20)
open('b', 'w').write('x')
print('ages', age('a'), age('b'))
print('seconds', int(os.stat('a').st_mtime), int(os.stat('b').st_mtime))
";
    let run = |options: &[&str]| {
        let folder = Folder::with(&[("old", b"x")]);
        let old = std::fs::File::options().write(true).open(folder.path().join("old")).unwrap();
        old.set_modified(std::time::SystemTime::now()).unwrap();
        let run = Run::native(PYTHON).args(["-c", script]).folder(folder.path());
        run.as_guest([&["--quiet"], options].concat()).finish().expect_success().text()
    };
    assert_eq!(
        run(&["--clock-offset", "-1h"]),
        "old 946681200.0\nages 20.0 0.0\nseconds 946681200 946681220\n"
    );
    assert_eq!(
        run(&["--clock-jump", "10s:1h"]),
        "old 946684800.0\nages 3620.0 0.0\nseconds 946684800 946688420\n"
    );
    // A file from before the clock was set back lies in the future, as on Linux.
    assert_eq!(
        run(&["--clock-jump", "10s:-1m"]),
        "old 946684800.0\nages -40.0 0.0\nseconds 946684800 946684760\n"
    );
}
