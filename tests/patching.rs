//! Patched code: programs do the same with it and without, and most calls come by it.
//!
//! Programs of the system and of `tests/guests` come in, with `--no-patch` and without; what they print and
//! how their calls arrived is compared. Always true: the counter is simulated in whatever code reads it; the share of
//! calls that come by patched code is a lower bound that holds for every release of the libraries so far. That traces
//! are the same is `repeats.rs`, what can be patched is `shim-patch`'s.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use shim_testkit::built::{built, target_dir};
use shim_testkit::compare::{Folder, assert_same, difference};
use shim_testkit::guest::compile;
use shim_testkit::scenario::wall_statistics;
use shim_testkit::{Libc, Run, Status};

/// A library that reads the counter.
fn counting_library() -> String {
    let folder = target_dir().join("tests");
    fs::create_dir_all(&folder).expect("the target directory can be written");
    let path = folder.join(format!("counter-{}.so", std::process::id()));
    let source = folder.join(format!("counter-{}.c", std::process::id()));
    let text = "unsigned long read_counter(void) { return __builtin_ia32_rdtsc(); }\n";
    fs::write(&source, text).expect("the folder is ours");
    let mut gcc = Command::new("gcc");
    let status = gcc.args(["-shared", "-fPIC", "-O2", "-o"]).arg(&path).arg(&source).status();
    assert!(status.expect("gcc can be started").success());
    path.to_str().expect("the path is text").to_owned()
}

#[test]
fn the_counter_is_simulated_in_all_code() {
    let library = counting_library();
    let run = Run::native(compile("counter", Libc::Glibc)).args([&library]);
    let native = run.clone().finish().expect_success();
    for options in [&["--quiet"][..], &["--quiet", "--no-patch"], &["--emulate-tsc", "always"]] {
        let guest = run.clone().as_guest(options).finish();
        assert_eq!(difference(&native, &guest), None, "{options:?}");
    }
    let run = Run::native(compile("counter", Libc::Musl));
    assert_same(&run, &[]).expect_success();
    // Simulated it is: a day passes in no time.
    let text = "import ctypes, time, sys\n\
                read = ctypes.CDLL(sys.argv[1]).read_counter; read.restype = ctypes.c_ulong\n\
                a = read(); time.sleep(86400); print((read() - a) // 10**9)";
    let day = Run::guest("/usr/bin/python3").args(["-c", text, &library]).finish();
    assert_eq!(day.expect_success().text(), "86400\n");
}

/// A command as one process of a scenario of its own; which share of its calls came by patched code.
fn patched_share(command: &[&str], options: &[&str]) -> f64 {
    let text = wall_statistics(command, options);
    let statistics: serde_json::Value = serde_json::from_str(&text).expect("it is JSON");
    assert!(statistics["system_calls"].as_u64().is_some_and(|calls| calls > 5), "{statistics}");
    statistics["patched_share"].as_f64().expect("a number")
}

#[test]
fn nearly_all_calls_come_by_patched_code() {
    let folder = Folder::with(&[("a.c", b"#include <stdio.h>\nint main(void) { puts(\"a\"); }\n")]);
    let source = folder.path().join("a.c");
    let object = folder.path().join("a.o");
    let (source, object) = (source.to_str().expect("text"), object.to_str().expect("text"));
    let git = format!("cd {} && git init -q . && git status --short", folder.path().display());
    for command in [
        &["/usr/bin/python3", "-c", "import json, os; print(len(os.listdir('/')))"][..],
        &["/usr/bin/perl", "-e", "use POSIX; print for glob('/*')"],
        &[
            "/bin/bash",
            "-c",
            "for i in 1 2 3; do echo $i > /dev/null; done; read -r x < /etc/passwd",
        ],
        &[
            "/usr/bin/sqlite3",
            ":memory:",
            "create table t (a); insert into t values (1); select * from t",
        ],
        &["/usr/bin/gcc", "-c", source, "-o", object],
        &["/bin/sh", "-c", &git],
    ] {
        let share = patched_share(command, &[]);
        assert!(share >= 0.98, "{command:?}: {share}");
        let share = patched_share(command, &["--no-patch"]);
        assert!(share <= 0.01, "{command:?}: {share}");
    }
    let program = compile("tools", Libc::Musl);
    let share = patched_share(&[program.to_str().expect("text"), "ls"], &[]);
    assert!(share >= 0.95, "musl: {share}");
}

#[test]
fn sites_that_are_far_apart_are_replaced() {
    for libc in Libc::ALL {
        let run = Run::native(compile("far_sites", libc));
        let calls = assert_same(&run.clone().args(["calls"]), &[]).expect_success();
        assert_eq!(calls.text(), "1000 calls\n");
        let places = run.args(["places"]);
        assert_eq!(places.clone().finish().text(), "0 replaced\n");
        assert_eq!(places.as_guest(["--quiet"]).finish().text(), "20 replaced\n", "{libc:?}");
    }
}

/// Mounts an overlay of two file systems, whose files are on another device by stat(2) than by `/proc/<pid>/maps`, and
/// runs the command in it.
const ON_OVERLAY: &str = "mkdir -p lower upper merged && mount -t tmpfs lower lower && mount -t tmpfs upper upper &&
    mkdir lower/files upper/files upper/work && cp \"$PROGRAM\" lower/files/program &&
    mount -t overlay overlay -o xino=off,lowerdir=lower/files,upperdir=upper/files,workdir=upper/work merged &&
    cd merged && exec \"$@\"";

#[test]
fn programs_on_overlays_are_patched() {
    let folder = Folder::new();
    let program = compile("far_sites", Libc::Glibc);
    let run = |command: &[&str]| {
        let options = ["--user", "--map-root-user", "--mount", "sh", "-c", ON_OVERLAY, "sh"];
        let run = Run::native("unshare").args(options).args(command).env("PROGRAM", &program);
        run.folder(folder.path()).finish()
    };
    let native = run(&["./program", "places"]);
    if native.status != Status::Code(0) {
        // Containers forbid it as a rule: their own files are on one then, and the other tests see it.
        println!("not tested: this machine lets nobody mount an overlay: {native:?}");
        return;
    }
    assert_eq!(native.text(), "0 replaced\n");
    let shim = built().command.to_str().expect("the path is text").to_owned();
    let guest = run(&[&shim, "exec", "--quiet", "--", "./program", "places"]);
    assert_eq!(guest.text(), "20 replaced\n", "{guest:?}");
    let guest = run(&[&shim, "exec", "--quiet", "--", "cat", "/proc/self/maps"]).expect_success();
    assert!(!guest.text().contains("shim-image"), "{guest:?}");
}

/// The process that runs this program, once there is one.
fn process_of(program: &Path) -> Option<String> {
    let processes = fs::read_dir("/proc").expect("there is /proc").flatten();
    let mut names = processes.filter_map(|process| process.file_name().into_string().ok());
    names.find(|name| fs::read_link(format!("/proc/{name}/exe")).is_ok_and(|exe| exe == program))
}

/// The backtrace of a process, by a debugger.
fn backtrace(process: &str) -> String {
    let mut gdb = Command::new("gdb");
    let gdb = gdb.args(["-batch", "-nx", "-p", process, "-ex", "bt"]).stdin(Stdio::null());
    let output = gdb.output().expect("gdb can be started");
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}

#[test]
fn debuggers_see_the_frames_below_a_call() {
    let program = compile("frames", Libc::Glibc);
    for option in ["--quiet", "--no-patch"] {
        let mut command = Run::native(&program).as_guest([option]).command();
        let mut guest = command.stdin(Stdio::piped()).spawn().expect("shim can be started");
        let mut input = guest.stdin.take().expect("it is a pipe");
        let (end, mut text) = (Instant::now() + Duration::from_secs(60), String::new());
        // As the debugger writes frames: names alone may stand in the path of the sources, too.
        let frames = [" in innermost (", " in in_the_middle (", " in main ("];
        while !frames.iter().all(|frame| text.contains(frame)) && Instant::now() < end {
            text = process_of(&program).map_or_else(String::new, |process| backtrace(&process));
        }
        input.write_all(&[7]).expect("the guest reads it");
        assert_eq!(guest.wait().expect("it is our child").code(), Some(7), "{text}");
        let places: Vec<_> = frames.iter().filter_map(|frame| text.find(frame)).collect();
        assert!(places.len() == 3 && places.is_sorted(), "{option}: {text}");
    }
}
