//! A simulator that was written from the document alone, and that C sees the protocol's structures as libshim does.
//!
//! `tests/consumers/simulator/`, compiled with nothing of ours but `docs/protocol.h`, and programs in; what they
//! print under it, and what it says of them, out. Always true: the library is the one under test, and no other part of
//! the product takes part, but for `shim conformance`, which judges it. What the protocol means is `docs/protocol.md`; whether its tables are current is tested in
//! `shim-gen`.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use shim_testkit::built::{built, library, root};
use shim_testkit::{Folder, Mark, Outcome, Run, Status, eventually};

const WARNINGS: &[&str] = &["-Wall", "-Wextra", "-Wpedantic", "-Werror"];

fn compile(compiler: &str, arguments: &[&str], files: &[PathBuf], to: &Path) -> String {
    let output = Command::new(compiler)
        .args(arguments)
        .args(WARNINGS)
        .arg("-I")
        .arg(root().join("docs"))
        .args(files)
        .arg("-o")
        .arg(to)
        .output()
        .unwrap_or_else(|error| panic!("{compiler} cannot be started: {error}"));
    let says = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.success(), says.is_empty(), "{says}");
    says
}

/// The simulator, in `folder`.
fn simulator(folder: &Folder) -> PathBuf {
    let program = folder.path().join("simulator");
    let sources = root().join("tests/consumers/simulator");
    let files = [sources.join("main.c"), sources.join("mechanism.c")];
    assert_eq!(compile("gcc", &["-std=c11", "-O1"], &files, &program), "");
    program
}

/// A small guest of this text, in `folder`.
fn guest(folder: &Folder, text: &str) -> PathBuf {
    let (source, program) = (folder.path().join("guest.c"), folder.path().join("guest"));
    std::fs::write(&source, text).expect("a fresh folder can be written");
    assert_eq!(compile("gcc", &["-std=gnu11"], &[source], &program), "");
    program
}

fn run(simulator: &Path, command: &[&str]) -> Outcome {
    Run::native(simulator).args([library()]).args(command).finish()
}

/// What it printed, how it ended, and at what simulated instant.
fn seen(outcome: &Outcome) -> (String, Status, f64) {
    let says = String::from_utf8_lossy(&outcome.stderr).into_owned();
    let last = says.lines().rfind(|line| line.contains("] status ")).unwrap_or_default();
    let time = last.trim_start_matches('[').split(']').next().unwrap_or_default();
    (outcome.text(), outcome.status, time.parse().unwrap_or_else(|_| panic!("{outcome:?}")))
}

#[track_caller]
fn assert_seen(outcome: &Outcome, text: &str, status: i32, seconds: f64) {
    let (printed, ended, time) = seen(outcome);
    assert_eq!((printed.as_str(), ended), (text, Status::Code(status)), "{outcome:?}");
    // What calls cost is some microseconds.
    assert!((seconds..seconds + 0.01).contains(&time), "{time}: {outcome:?}");
}

/// What it has, it has right; threads, pipes, timers and names it has not, and says so.
#[test]
fn it_does_what_is_required_of_simulators() {
    let folder = Folder::new();
    let simulator = simulator(&folder);
    let run =
        Run::native(&built().command).args(["conformance", "--"]).args([&simulator, library()]);
    let text = run.limit(Duration::from_secs(300)).finish().expect_success().text();
    assert!(text.contains(" hold, 0 fail, ") && text.contains(", 0 were not run\n"), "{text}");
    assert!(
        text.contains("  holds          sigchld: ") && text.ends_with("the simulator conforms\n"),
        "{text}"
    );
}

#[test]
fn programs_run_and_its_clock_moves() {
    let folder = Folder::new();
    let simulator = simulator(&folder);
    let run = |command: &[&str]| run(&simulator, command);
    assert_seen(&run(&["/bin/echo", "hello", "world"]), "hello world\n", 0, 0.0);
    assert_seen(&run(&["/bin/date", "-u", "+%F %T"]), "2000-01-01 00:00:00\n", 0, 0.0);
    assert_seen(&run(&["/usr/bin/sleep", "5"]), "", 0, 5.0);
    assert_seen(&run(&["/usr/bin/sleep", "1000000000"]), "", 0, 1e9);
}

#[test]
fn processes_signals_and_images_follow_the_document() {
    let folder = Folder::new();
    let simulator = simulator(&folder);
    let shell = |script: &str| run(&simulator, &["/bin/sh", "-c", script]);
    assert_seen(&shell("exit 3"), "", 3, 0.0);
    assert_seen(&shell("exec /usr/bin/sleep 7"), "", 0, 7.0);
    let script = "sleep 2; date +%s; (sleep 4; date +%s) & (sleep 3; date +%s) & wait; date +%s";
    let text = "946684802\n946684805\n946684806\n946684806\n";
    assert_seen(&shell(script), text, 0, 6.0);
    assert_seen(&shell("trap 'echo got it; exit 5' TERM; kill $$; echo no"), "got it\n", 5, 0.0);
    assert_seen(&shell("kill -TERM $$"), "", 128 + 15, 0.0);
    let script = "(sleep 3; kill -USR1 $$) & trap 'date +%s' USR1; sleep 10 & wait $!; date +%s";
    assert_seen(&shell(script), "946684803\n946684803\n", 0, 10.0);
    let script = "sh -c 'exit 9'; echo $?; sh -c 'kill -9 $$'; echo $?; /nonexistent 2>&-; echo $?";
    assert_seen(&shell(script), "9\n137\n127\n", 0, 0.0);
}

#[test]
fn the_environment_is_what_it_is_natively() {
    let folder = Folder::new();
    let simulator = simulator(&folder);
    for preload in [None, Some("libm.so.6"), Some("")] {
        let with = |run: Run| match preload {
            Some(value) => run.env("LD_PRELOAD", value).env("LAST", "1"),
            None => run.env("FIRST", "1"),
        };
        let native = with(Run::native("/usr/bin/env")).finish();
        let guest = with(Run::native(&simulator)).args([library()]).args(["/usr/bin/env"]).finish();
        assert_eq!(native.text(), guest.text(), "{guest:?}");
    }
}

#[test]
fn faults_and_garbage_end_a_guest_and_not_the_simulator() {
    let folder = Folder::new();
    let simulator = simulator(&folder);
    let trap = guest(&folder, "int main(void) { __builtin_trap(); }\n");
    assert_seen(&run(&simulator, &[trap.to_str().unwrap()]), "", 128 + 4, 0.0);
    // All that guests can write, at the addresses where they have it.
    let garbage = "\
#include \"protocol.h\"
#include <string.h>
#include <unistd.h>
int main(int argc, char **argv) {
    char *blocks = (char *)(SHIMPROTO_SHARED_REGION + SHIMPROTO_PROCESSES_OFFSET);
    char *threads = (char *)(SHIMPROTO_SHARED_REGION + SHIMPROTO_THREADS_OFFSET);
    if (argc > 2)
        memset(blocks, argv[1][0], SHIMPROTO_PROCESS_STRIDE_BYTES);
    memset(threads, argv[1][0], SHIMPROTO_THREAD_STRIDE_BYTES);
    return sleep(1) != 0;
}
";
    let program = guest(&folder, garbage);
    for arguments in
        [&["0"][..], &["0", "all"], &["\u{1}"], &["\u{2}", "all"], &["\u{4}"], &["\u{7f}", "all"]]
    {
        let command = [&[program.to_str().unwrap()], arguments].concat();
        let outcome = run(&simulator, &command);
        assert!(matches!(outcome.status, Status::Code(_)), "{arguments:?}: {outcome:?}");
    }
}

/// A guest that waits natively, for what nobody writes.
fn waiting(simulator: &Path, mark: &Mark) -> (Child, Pid) {
    let child = Command::new(simulator)
        .arg(library())
        .arg("/bin/cat")
        .env(Mark::VARIABLE, mark.value())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("it was compiled");
    let guest = eventually("the guest runs", || {
        let processes = mark.processes();
        let is_guest = |pid: &&i32| {
            let name = std::fs::read_to_string(format!("/proc/{pid}/comm"));
            name.is_ok_and(|name| name == "cat\n")
        };
        processes.iter().find(is_guest).and_then(|&pid| Pid::from_raw(pid))
    });
    (child, guest)
}

#[test]
fn deaths_are_noticed_on_both_sides() {
    let folder = Folder::new();
    let simulator = simulator(&folder);
    let mark = Mark::fresh();
    let (mut child, guest) = waiting(&simulator, &mark);
    kill_process(guest, Signal::KILL).expect("it lives");
    assert_eq!(child.wait().expect("it is our child").code(), Some(128 + 9));
    mark.assert_nobody_left();

    let (mut child, _) = waiting(&simulator, &mark);
    child.kill().expect("it lives");
    child.wait().expect("it is our child");
    mark.assert_nobody_left();
}

#[test]
fn a_library_without_the_note_is_refused() {
    let folder = Folder::new();
    let simulator = simulator(&folder);
    let outcome = Run::native(&simulator).args(["/bin/true", "/bin/echo", "no"]).finish();
    assert_eq!((outcome.status, outcome.text().as_str()), (Status::Code(125), ""), "{outcome:?}");
    let says = String::from_utf8_lossy(&outcome.stderr).into_owned();
    assert!(says.contains("/true has no note of its protocol"), "{says}");
}

/// Beside `tests/abi.rs`, which compiles the assertions as they are: each mistake is found.
#[test]
fn a_structure_that_differs_does_not_compile() {
    let folder = Folder::new();
    let header = std::fs::read_to_string(root().join("docs/protocol.h")).expect("it is there");
    let assertions = root().join("tests/abi/protocol-layout.c");
    let assertions = std::fs::read_to_string(assertions).expect("it is there");
    let source = folder.path().join("layout.c");
    for (old, new) in [
        ("uint32_t native_pid;", "uint64_t native_pid;"),
        ("uint64_t charged_ns;", "uint64_t other; uint64_t charged_ns;"),
        ("uint64_t request[8];", "uint64_t request[9];"),
        ("uint32_t now_is_here;", ""),
    ] {
        let changed = header.replace(old, new);
        let is_changed = changed != header;
        let text = changed + &assertions.replace("#include \"../../docs/protocol.h\"", "");
        std::fs::write(&source, text).expect("a fresh folder can be written");
        for (compiler, language) in
            [("gcc", &["-std=c11", "-c"][..]), ("g++", &["-std=c++11", "-x", "c++", "-c"])]
        {
            let object = folder.path().join("layout.o");
            let says = compile(compiler, language, std::slice::from_ref(&source), &object);
            assert_eq!(says.contains("assert"), is_changed, "{compiler}: {old}: {says}");
        }
    }
}
