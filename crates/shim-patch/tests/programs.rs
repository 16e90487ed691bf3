//! Real programs on rewritten libraries.
//!
//! Images of this machine's C libraries are mapped into programs by a small preloaded library
//! (`programs/guest.c`), which executes natively what arrives through stubs. Always true: each program runs as
//! it is first, and must print the same with its libraries rewritten, and its calls must have come through
//! stubs. What a simulation does with the calls is tested elsewhere.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use shim_abi::image::ImageHeader;
use shim_patch::elf::Elf;
use shim_patch::image;
use shim_patch::plan::{Plan, Reason, Way};

const SOURCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/programs/");

struct Bench {
    folder: tempfile::TempDir,
    preload: PathBuf,
    images: String,
}

/// What is done about a library here: the preloaded library makes calls on the caller's stack, which a call that
/// starts a thread or process on another one does not survive. In guests of a simulation it does.
fn plan(elf: &Elf<'_>) -> Plan {
    const STARTING: [u32; 4] = [56, 57, 58, 435]; // clone, fork, vfork, clone3
    let mut plan = Plan::of(elf);
    for site in &mut plan.sites {
        if site.number.is_some_and(|number| STARTING.contains(&number)) {
            site.way = Way::Left(Reason::NoRoom);
        }
    }
    plan
}

impl Bench {
    fn new(libraries: &[&str]) -> Bench {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let preload = folder.path().join("guest.so");
        let source = format!("{SOURCES}guest.c");
        let flags = ["-O2", "-Wall", "-Werror", "-shared", "-fPIC", "-nostdlib"];
        let flags = flags.iter().chain(&["-fno-stack-protector", "-fno-builtin"]).copied();
        compile("gcc", flags, &source, &preload);
        let mut images = Vec::new();
        for (index, library) in libraries.iter().enumerate() {
            let bytes = fs::read(library).unwrap_or_else(|error| panic!("{library}: {error}"));
            let elf = Elf::parse(&bytes).expect("it is a library");
            let image = image::build(&elf, &plan(&elf), image::area_address(&elf));
            let path = folder.path().join(format!("{index}.image"));
            fs::write(&path, image.expect("it can be built").bytes).expect("it can be written");
            images.push(path.to_str().expect("a plain name").to_owned());
        }
        Bench { folder, preload, images: images.join(":") }
    }

    fn of_glibc() -> Bench {
        Bench::new(&["/lib/x86_64-linux-gnu/libc.so.6", "/lib64/ld-linux-x86-64.so.2"])
    }

    fn compile(&self, compiler: &str, source: &str, flags: &[&str]) -> PathBuf {
        let program = self.folder.path().join(source.replace('.', "-"));
        compile(compiler, flags.iter().copied(), &format!("{SOURCES}{source}"), &program);
        program
    }

    /// Run a command on rewritten libraries.
    fn rewritten(&self, command: &mut Command) -> (Output, u64) {
        let counts = self.folder.path().join("counts");
        let output = command
            .env("LD_PRELOAD", &self.preload)
            .env("SHIM_TEST_IMAGES", &self.images)
            .env("SHIM_TEST_COUNTS", &counts)
            .output()
            .expect("it can be started");
        let lines = fs::read_to_string(&counts).unwrap_or_default();
        let _ = fs::remove_file(&counts);
        (output, lines.lines().filter_map(|line| line.parse::<u64>().ok()).sum())
    }

    /// Run a command both ways; what it printed.
    fn same(&self, command: impl Fn() -> Command, calls: u64) -> String {
        let expected = command().output().expect("it can be started");
        let (found, entered) = self.rewritten(&mut command());
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert_eq!(text(&found.stderr), text(&expected.stderr));
        assert_eq!(text(&found.stdout), text(&expected.stdout));
        assert_eq!(found.status, expected.status);
        assert!(entered >= calls, "{entered} calls came through stubs");
        text(&found.stdout)
    }
}

fn compile<'a>(compiler: &str, flags: impl Iterator<Item = &'a str>, source: &str, program: &Path) {
    let output = Command::new(compiler)
        .args(flags)
        .arg(format!("-DHEADER_BYTES={}", size_of::<ImageHeader>()))
        .arg(source)
        .arg("-o")
        .arg(program)
        .output()
        .unwrap_or_else(|error| panic!("{compiler}: {error}"));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// A command that is ended after a while.
fn limited(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("timeout");
    command.args(["--kill-after=1", "200"]).arg(program).env_remove("RUST_BACKTRACE");
    command
}

fn shell(script: &'static str) -> impl Fn() -> Command {
    move || {
        let mut command = limited("bash");
        command.args(["-c", script]);
        command
    }
}

#[test]
fn shells_pipes_and_files() {
    let bench = Bench::of_glibc();
    bench.same(shell("ls -l /usr/bin | sort -r | head -n 100"), 100);
    bench.same(shell("for i in $(seq 30); do echo $i $(expr $i \\* 2); done | tail -n 3"), 1000);
    bench.same(shell("cd / && tar -cf - usr/include/linux | md5sum"), 500);
    bench.same(shell("exit 7"), 10);
    bench.same(shell("kill -TERM $$"), 0);
}

#[test]
fn an_interpreter_with_threads_and_processes() {
    let bench = Bench::of_glibc();
    let script = r"
import os, signal, subprocess, threading, queue, socket, time, mmap, select
q = queue.Queue()
threads = [threading.Thread(target=lambda n=n: (time.sleep(0.01 * n), q.put(n))) for n in range(8)]
[t.start() for t in threads]; [t.join() for t in threads]
print(sorted(q.get() for _ in threads))
print(subprocess.run(['sh', '-c', 'echo out; exit 3'], capture_output=True))
got = []
signal.signal(signal.SIGUSR1, lambda *a: got.append(a[0]))
os.kill(os.getpid(), signal.SIGUSR1)
print(got)
a, b = socket.socketpair()
pid = os.fork()
if pid == 0:
    b.send(b'from the child'); os._exit(5)
print(a.recv(100), os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
print(select.select([a], [], [], 0.01))
m = mmap.mmap(-1, 10000); m[5000] = 7; print(m[5000]); m.close()
try:
    os.read(12345, 1)
except OSError as error:
    print(error)
";
    let command = || {
        let mut command = limited("python3");
        command.args(["-c", script]);
        command
    };
    assert!(bench.same(command, 1000).contains("from the child"));
}

#[test]
fn cancellation_exceptions_and_signals() {
    let bench = Bench::of_glibc();
    let program = bench.compile("g++", "waits.cc", &["-O1", "-rdynamic", "-fnon-call-exceptions"]);
    let text = bench.same(|| limited(&program), 20);
    assert!(text.contains("reader: unwound\nreader: cancelled\n"), "{text}");
    assert!(text.contains("traced 100"), "{text}");
    assert!(text.contains("read: 1 x, handled 1"), "{text}");
}

#[test]
fn stubs_can_be_unwound() {
    let bench = Bench::of_glibc();
    let program = bench.compile("gcc", "steps.c", &["-O1", "-fexceptions"]);
    let (output, _) = bench.rewritten(&mut limited(program));
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.starts_with("good"), "{text}");
}

#[test]
fn debuggers_see_through_a_rewritten_call() {
    let bench = Bench::of_glibc();
    let program = bench.compile("gcc", "plain.c", &["-O1", "-g"]);
    let mut gdb = limited("gdb");
    gdb.args(["-nx", "-batch", "-ex", "set debuginfod enabled off"])
        .args(["-ex", &format!("set environment LD_PRELOAD {}", bench.preload.display())])
        .args(["-ex", &format!("set environment SHIM_TEST_IMAGES {}", bench.images)])
        .args(["-ex", "break main", "-ex", "run", "-ex", "catch syscall alarm"])
        .args(["-ex", "continue", "-ex", "backtrace"])
        .arg(program);
    let output = gdb.output().expect("gdb");
    let text = String::from_utf8_lossy(&output.stdout);
    let frames: Vec<&str> = text.lines().filter(|line| line.starts_with('#')).collect();
    let last = frames.len().saturating_sub(3);
    let [entry, function, main] = frames[last..] else { panic!("{text}") };
    assert!(entry.contains("test_call"), "{text}");
    assert!(function.contains("alarm"), "{text}");
    assert!(main.contains("main ("), "{text}");
}

#[test]
fn programs_of_musl() {
    let bench = Bench::new(&["/lib/ld-musl-x86_64.so.1"]);
    let program = bench.compile("musl-gcc", "plain.c", &["-O1"]);
    let text = bench.same(|| limited(&program), 20);
    assert!(text.contains("child 3"), "{text}");
}
