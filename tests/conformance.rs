//! `shim conformance`: what it says of a simulator that works, of none at all, and of such as do not work.
//!
//! Commands that run a guest in; statuses, lines and JSON out. Always true: whoever does not work is a small script around `shim exec`
//! that gets one thing wrong, and that very thing is what is found; afterwards none of its processes is left. That the
//! guests themselves are right is known from the real machine, on which they run with shorter waits.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use shim_testkit::built::{built, root};
use shim_testkit::guest::compile_from;
use shim_testkit::{Folder, Libc, Mark, Outcome, Run, Status, eventually};

/// Longer than all behaviours take on a busy machine.
const LIMIT: Duration = Duration::from_secs(300);

fn conformance<S: AsRef<str>>(options: &[&str], simulator: &[S]) -> Run {
    let run = Run::native(&built().command).args(["conformance"]).args(options).args(["--"]);
    run.args(simulator.iter().map(AsRef::as_ref)).limit(LIMIT)
}

fn shim() -> String {
    built().command.to_str().expect("it is UTF-8").to_owned()
}

/// Our own simulator.
fn ours() -> [String; 4] {
    [shim(), "exec".to_owned(), "--quiet".to_owned(), "--".to_owned()]
}

/// A script that gets the guest's command as `$@`, and has the simulator as `$shim`.
fn script(text: &str) -> Vec<String> {
    let text = format!("shim='{} exec --quiet --'\n{text}", shim());
    ["sh", "-c", &text, "sh"].map(str::to_owned).to_vec()
}

/// How each behaviour turned out.
fn results(options: &[&str], simulator: &[String]) -> (Outcome, Value) {
    let all: Vec<&str> = options.iter().copied().chain(["--json", "-"]).collect();
    let outcome = conformance(&all, simulator).finish();
    let json = serde_json::from_slice(&outcome.stdout);
    let json = json.unwrap_or_else(|error| panic!("{error}: {outcome:?}"));
    (outcome, json)
}

fn entry<'a>(json: &'a Value, name: &str) -> &'a Value {
    let all = json["behaviours"].as_array().expect("it is a list");
    all.iter().find(|one| one["name"] == name).unwrap_or_else(|| panic!("no {name} in {json:#}"))
}

/// This script fails exactly these of the behaviours that are asked for; what was got instead of what was expected.
#[track_caller]
fn assert_found(text: &str, only: &[&str], expected: &[&str]) -> Vec<String> {
    let mark = Mark::fresh();
    let mut options = vec!["--timeout", "20s"];
    options.extend(only.iter().flat_map(|pattern| ["--only", *pattern]));
    let all: Vec<&str> = options.iter().copied().chain(["--json", "-"]).collect();
    let run = conformance(&all, &script(text)).env(Mark::VARIABLE, mark.value());
    let outcome = run.finish();
    let json: Value = serde_json::from_slice(&outcome.stdout).expect("it writes JSON");
    let list = json["behaviours"].as_array().expect("it is a list");
    let failing: Vec<&Value> = list.iter().filter(|one| one["result"] != "holds").collect();
    let names: Vec<_> = failing.iter().map(|one| one["name"].as_str().unwrap_or("")).collect();
    assert_eq!(names, expected, "{json:#}");
    assert!(list.len() > failing.len(), "what is right is found right: {json:#}");
    assert_eq!(outcome.status, Status::Code(1), "{outcome:?}");
    mark.assert_nobody_left();
    failing.iter().map(|one| one["got"].as_str().unwrap_or("").to_owned()).collect()
}

#[test]
fn our_own_simulator_conforms_in_everything() {
    let (outcome, json) = results(&[], &ours());
    let list = json["behaviours"].as_array().expect("it is a list");
    // Where the real machine insists on random addresses nobody can repeat them.
    let excused =
        |one: &&Value| one["name"] == "determinism/addresses" && one["result"] == "not supported";
    let others: Vec<&Value> =
        list.iter().filter(|one| one["result"] != "holds" && !excused(one)).collect();
    assert!(others.is_empty(), "{others:#?}");
    assert!(list.len() > 70, "only {}", list.len());
    assert_eq!((outcome.status, &json["conforms"]), (Status::Code(0), &Value::Bool(true)));
}

#[test]
fn our_own_simulator_conforms_without_its_short_cuts() {
    let slow = [&shim(), "exec", "--quiet", "--no-patch", "--kernel-in-guest=no", "--"];
    let slow: Vec<String> = slow.iter().map(|word| (*word).to_owned()).collect();
    let groups = ["calls", "time", "signals", "threads"].map(|group| ["--only", group]).concat();
    let (outcome, json) = results(&groups, &slow);
    assert_eq!(outcome.status, Status::Code(0), "{json:#}");
}

#[test]
fn lines_tell_what_holds() {
    let outcome = conformance(&["--only", "time/sleep*"], &ours()).finish().expect_success();
    let text = outcome.text();
    let heads: Vec<&str> = text.lines().filter_map(|line| line.split(": ").next()).collect();
    let expected = [
        "hand-off",
        "  holds          starts",
        "  holds          managed",
        "time",
        "  holds          sleep",
        "  holds          sleep-until",
        "",
        "4 of 4 behaviours hold, 0 fail, 0 are not supported, 0 were not run",
        "the simulator conforms",
    ];
    assert_eq!(heads, expected, "{text}");
}

/// The names that `--list` shows.
fn listed() -> Vec<String> {
    let outcome = Run::native(&built().command).args(["conformance", "--list"]).finish();
    let text = outcome.expect_success().text();
    text.lines().filter_map(|line| Some(line.split_once(' ')?.0.to_owned())).collect()
}

#[test]
fn the_guest_knows_the_behaviours_that_are_listed() {
    let folder = Folder::new();
    let guest = folder.path().join("guest");
    let options = ["--guest", guest.to_str().expect("it is UTF-8"), "--only", "hand-off/starts"];
    let outcome = conformance(&options, &ours()).finish();
    assert_eq!(outcome.status, Status::Code(0), "{outcome:?}");
    let text = Run::native(&guest).args(["list"]).finish().expect_success().text();
    assert_eq!(text.lines().collect::<Vec<_>>(), listed());
    let again = conformance(&options, &ours()).finish();
    assert_eq!(again.status, Status::Code(2), "an existing file is not replaced: {again:?}");
}

#[test]
fn a_program_that_is_no_guest_is_told_so() {
    let outcome = conformance(&[], &["env"]).finish();
    assert_eq!(outcome.status, Status::Code(1), "{outcome:?}");
    let text = outcome.text();
    for words in [
        "holds          starts: ",
        "fails          managed: the program is a guest",
        "got: libshim.so.1 is not in the process: SIMULATOR started the program natively\n",
        "fails          blocks: ",
        "holds          arguments: ",
        "holds          descriptors: ",
        "not run: the program is no guest (hand-off/managed)",
        "the simulator does not conform: hand-off/managed, hand-off/blocks",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    assert!(!text.contains("time\n"), "{text}");
}

/// The guest with waits of a fifth of a second, and patience with the real machine.
fn short_guest(folder: &Folder) -> PathBuf {
    let sources = fs::read_dir(root().join("crates/shim-cli/guest")).expect("it is there");
    let sources = sources.flatten().map(|entry| entry.path());
    let program = folder.path().join("guest");
    let output = Command::new("gcc")
        .args(["-std=gnu11", "-O1", "-Wall", "-Wextra", "-Werror", "-pthread"])
        .args(["-DHOUR=(SECOND / 5)", "-DSLACK=(100 * SECOND)", "-I"])
        .arg(root().join("include"))
        .args(sources.filter(|path| path.extension().is_some_and(|end| end == "c")))
        .arg("-o")
        .arg(&program)
        .output()
        .expect("gcc can be started");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    program
}

#[test]
fn what_the_guests_expect_is_what_linux_does() {
    // Those that ask the guest's library for something, and those with waits of other lengths.
    const OTHERS: [&str; 10] = [
        "calls/api",
        "calls/native-section",
        "processes/exec",
        "processes/shell",
        "signals/suspend",
        "time/realtime-start",
        "time/simulated-start",
        "time/poll",
        "time/rdtsc",
        "time/timerfd",
    ];
    let folder = Folder::new();
    let guest = short_guest(&folder);
    let groups = ["time/", "calls/", "threads/", "processes/", "signals/"];
    let is_native = |name: &&String| {
        let waits = ["time/alarm", "time/itimer", "time/timer", "limits/long-sleep"];
        groups.iter().any(|group| name.starts_with(group))
            && !OTHERS.contains(&name.as_str())
            && !waits.contains(&name.as_str())
    };
    let names = listed();
    let names: Vec<&String> = names.iter().filter(is_native).collect();
    assert!(names.len() > 30, "{names:?}");
    for name in names {
        let run = Run::native(&guest).args([name.as_str()]).args([folder.path()]);
        let text = run.finish().expect_success().text();
        assert!(text.ends_with("@conformance\tholds\n"), "{name}: {text}");
        assert!(!text.contains("\tfails\t"), "{name}: {text}");
    }
}

#[test]
fn a_lost_status_is_found() {
    let only = ["endings/exit-status", "endings/signal*", "limits/closes-all", "calls/results"];
    let got = assert_found(
        "$shim \"$@\"; exit 0",
        &only,
        &["endings/exit-status", "endings/signal", "endings/signal-status", "limits/closes-all"],
    );
    assert!(got.iter().all(|got| got == "SIMULATOR ended with status 0"), "{got:?}");
}

#[test]
fn lost_and_mixed_up_streams_are_found() {
    assert_found("exec $shim \"$@\" 2>/dev/null", &["hand-off"], &["hand-off/stderr"]);
    assert_found("exec $shim \"$@\" </dev/null", &["hand-off"], &["hand-off/stdin"]);
    assert_found("exec $shim $*", &["hand-off"], &["hand-off/arguments"]);
    let text = "exec env -u SHIM_CONFORMANCE_MARK $shim \"$@\"";
    assert_found(text, &["hand-off"], &["hand-off/environment-given"]);
}

#[test]
fn what_does_not_repeat_is_found() {
    let text = "exec ${shim% --} --seed $$ -- \"$@\"";
    let got = assert_found(
        text,
        &["determinism/random*", "determinism/ids"],
        &["determinism/random", "determinism/random-files"],
    );
    assert!(got.iter().all(|got| got.contains(", then ")), "{got:?}");
    let text = "exec ${shim% --} --clock-offset 1h -- \"$@\"";
    assert_found(text, &["time/realtime-start", "calls"], &["time/realtime-start"]);
}

#[test]
fn a_clock_that_runs_too_fast_is_found() {
    let text = "exec ${shim% --} --syscall-latency 2ms -- \"$@\"";
    let got = assert_found(text, &["time/sleep", "time/monotonic"], &["time/sleep"]);
    assert!(got[0].starts_with("3600.00"), "{got:?}");
}

#[test]
fn descriptors_that_were_left_open_are_found() {
    let text = "exec 7</dev/null; exec \"$@\"";
    let mut simulator = script(text);
    let (_, json) = results(&["--only", "hand-off/descriptors"], &simulator);
    assert_eq!(entry(&json, "hand-off/descriptors")["got"], "7 is: /dev/null");
    simulator = script("exec \"$@\" 2>&-");
    let (_, json) = results(&["--only", "hand-off/descriptors"], &simulator);
    assert_eq!(entry(&json, "hand-off/descriptors")["got"], "it is closed");
    // Those that the command itself was given are not the simulator's fault.
    let text = format!("exec 9</dev/null; exec {} conformance --only hand-off -- env", shim());
    let outcome = Run::native("sh").args(["-c", &text]).limit(LIMIT).finish();
    assert!(outcome.text().contains("holds          descriptors: "), "{outcome:?}");
}

#[test]
fn those_who_are_left_behind_are_found_and_killed() {
    let text = "$shim \"$@\"; s=$?; sleep 1000 >/dev/null 2>&1 & exit $s";
    let got =
        assert_found(text, &["endings/left-behind", "calls/results"], &["endings/left-behind"]);
    assert_eq!(got, ["1 of them, which had to be killed"]);
    // Out of its session, and out of sight.
    let text = "$shim \"$@\"; s=$?; setsid sh -c 'sleep 1000 & sleep 1000' >/dev/null 2>&1 & sleep 0.1; exit $s";
    assert_found(text, &["endings/left-behind"], &["endings/left-behind"]);
}

#[test]
fn a_simulator_that_hangs_now_and_then_is_found() {
    let mark = Mark::fresh();
    let text = "case $2 in calls/large) setsid sleep 1000 & sleep 1000;; esac; exec $shim \"$@\"";
    let options = ["--timeout", "5s", "--only", "calls", "--json", "-"];
    let run = conformance(&options, &script(text)).env(Mark::VARIABLE, mark.value());
    let outcome = run.finish();
    assert_eq!(outcome.status, Status::Code(1), "{outcome:?}");
    let json: Value = serde_json::from_slice(&outcome.stdout).expect("it writes JSON");
    let got = entry(&json, "calls/large")["got"].as_str().expect("it fails");
    assert!(got.contains("did not end within 5 s, and was killed"), "{got}");
    assert_eq!(json["fails"], 1, "{json:#}");
    mark.assert_nobody_left();
}

#[test]
fn a_simulator_that_always_hangs_is_tried_once() {
    let mark = Mark::fresh();
    let run = conformance(&["--timeout", "500ms"], &["sh", "-c", "sleep 1000 & sleep 1000"]);
    let outcome = run.env(Mark::VARIABLE, mark.value()).finish();
    assert_eq!(outcome.status, Status::Code(1), "{outcome:?}");
    let text = outcome.text();
    assert!(text.contains("did not end within 0.5 s"), "{text}");
    assert!(text.contains("0 of "), "{text}");
    assert!(text.contains("not run: SIMULATOR does not start the program"), "{text}");
    mark.assert_nobody_left();
}

#[test]
fn what_cannot_be_started_is_named() {
    let folder = Folder::with(&[("plain", b"no program")]);
    let plain = folder.path().join("plain");
    fs::set_permissions(&plain, fs::Permissions::from_mode(0o644)).expect("the folder is ours");
    for (simulator, words) in [
        (Path::new("/nonexistent/simulator"), "cannot start /nonexistent/simulator: No such file"),
        (Path::new("no-such-simulator"), "cannot start no-such-simulator: No such file"),
        (&plain, "Permission denied"),
    ] {
        let outcome = conformance(&[], &[simulator.to_str().expect("it is UTF-8")]).finish();
        assert_eq!(outcome.status, Status::Code(2), "{outcome:?}");
        let stderr = String::from_utf8_lossy(&outcome.stderr).into_owned();
        assert!(stderr.starts_with("shim: ") && stderr.contains(words), "{stderr}");
        assert!(outcome.stdout.is_empty(), "{outcome:?}");
    }
    // One that is there, and that starts nothing.
    let simulator = [&shim(), "exec", "--no-such-option", "--"];
    let outcome = conformance(&[], &simulator).finish();
    assert_eq!(outcome.status, Status::Code(1), "{outcome:?}");
    let text = outcome.text();
    assert!(text.contains("nothing from the guest; SIMULATOR ended with status 125"), "{text}");
    assert!(text.contains("its last words: "), "{text}");
}

#[test]
fn wrong_options_are_refused() {
    for (options, simulator, words) in [
        (&[][..], &[][..], "SIMULATOR"),
        (&["--only", "tme"], &["env"], "--only tme: no behaviour has such a name"),
        (&["--timeout", "0"], &["env"], "--timeout"),
        (&[], &["env", "{}", "{}"], "more than one word {}"),
        (&["--json", "/nonexistent/x"], &["env"], "cannot write /nonexistent/x"),
    ] {
        let outcome = conformance(options, simulator).finish();
        let stderr = String::from_utf8_lossy(&outcome.stderr).into_owned();
        assert_eq!(outcome.status, Status::Code(2), "{outcome:?}");
        assert!(stderr.contains(words), "{options:?} {simulator:?}: {stderr}");
    }
}

#[test]
fn a_machine_without_threads_and_processes_gets_a_useful_report() {
    let lacking = compile_from("tests/conformance", "lacking", Libc::Glibc, &[]);
    let lacking = [lacking.to_str().expect("it is UTF-8").to_owned()];
    let options = ["--unmanaged", "--only", "threads/create", "--only", "processes/fork"];
    let options =
        [&options[..], &["--only", "processes/shell", "--only", "calls/results"]].concat();
    let (_, json) = results(&options, &lacking);
    for name in ["threads/create", "processes/fork", "processes/shell"] {
        let one = entry(&json, name);
        assert_eq!(one["result"], "not supported", "{one:#}");
        assert!(one["reason"].as_str().is_some_and(|why| why.ends_with(": ENOSYS")), "{one:#}");
    }
    assert_eq!(entry(&json, "calls/results")["result"], "holds", "{json:#}");
}

#[test]
fn a_simulator_may_say_that_something_is_not_supported() {
    let text = "case $2 in threads/*) printf '@conformance\\tunsupported\\tone thread only\\n'; exit 1;; esac
        exec $shim \"$@\"";
    let outcome = conformance(&["--only", "threads"], &script(text)).finish().expect_success();
    let text = outcome.text();
    assert!(text.contains("not supported  create: "), "{text}");
    assert!(text.contains("reason: one thread only\n"), "{text}");
    assert!(text.ends_with("the simulator conforms\n"), "{text}");
}

#[test]
fn the_guest_may_stand_between_other_words() {
    let text = format!(
        "last() {{ for last; do :; done; [ \"$last\" = tail ]; }}; last \"$@\" && exec {} exec -- \"$@\"",
        shim()
    );
    let simulator = ["sh", "-c", &text, "sh", "{}", "tail"];
    conformance(&["--only", "hand-off/starts"], &simulator).finish().expect_success();
}

#[test]
fn an_interruption_ends_the_simulator_too() {
    let mark = Mark::fresh();
    let run = conformance(&["--timeout", "off"], &["sh", "-c", "sleep 1000 & sleep 1000"]);
    let run = run.env(Mark::VARIABLE, mark.value());
    let mut child = run.command().spawn().expect("it can be started");
    eventually("both sleep", || (mark.processes().len() >= 4).then_some(()));
    kill_process(Pid::from_child(&child), Signal::INT).expect("it runs");
    let began = Instant::now();
    let status = child.wait().expect("it is our child");
    assert_eq!(status.code(), Some(1), "after {:?}", began.elapsed());
    mark.assert_nobody_left();
}
