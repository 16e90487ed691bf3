//! How runs begin and end: pipes, exit statuses, interruptions, deaths of either side, and what is left.
//!
//! Commands come in; statuses, messages and the processes that survive are compared with what they are to
//! be. Always true: every process of a run carries a mark of its own in its environment, by which it is found
//! whatever its parent or session; at the end of each test none is left. What guests do meanwhile is
//! elsewhere.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, ExitStatus};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use shim_testkit::built::built;
use shim_testkit::compare::difference;
use shim_testkit::guest::compile;
use shim_testkit::{Folder, Libc, Mark, Run, Status, eventually};

fn stat_fields(pid: i32) -> Option<(String, char, i32)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (head, tail) = stat.rsplit_once(") ")?;
    let mut fields = tail.split(' ');
    let state = fields.next()?.chars().next()?;
    let parent = fields.next()?.parse().ok()?;
    Some((head.split_once(" (")?.1.to_owned(), state, parent))
}

/// A run that goes on while the test looks.
struct Living {
    mark: Mark,
    shim: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
    stderr: ChildStderr,
}

impl Living {
    fn start(run: Run) -> Living {
        let mark = Mark::fresh();
        let mut shim =
            run.env(Mark::VARIABLE, mark.value()).command().spawn().expect("shim can be started");
        let stdin = shim.stdin.take();
        let stdout = BufReader::new(shim.stdout.take().expect("it is piped"));
        let stderr = shim.stderr.take().expect("it is piped");
        Living { mark, shim, stdin, stdout, stderr }
    }

    fn guest(program: &str, arguments: &[&str]) -> Living {
        Living::start(Run::guest(program).args(arguments))
    }

    fn pid(&self) -> i32 {
        self.shim.id().cast_signed()
    }

    #[track_caller]
    fn expect_line(&mut self, expected: &str) {
        let mut line = String::new();
        self.stdout.read_line(&mut line).expect("its output can be read");
        assert_eq!(line, format!("{expected}\n"));
    }

    /// The launcher and the guest, once the guest has replaced the launcher's image.
    #[track_caller]
    fn launcher_and_guest(&self, program: &str) -> (i32, i32) {
        let shim = self.pid();
        eventually("the guest appears", || {
            let all: Vec<(i32, (String, char, i32))> = self
                .mark
                .processes()
                .into_iter()
                .filter_map(|pid| Some((pid, stat_fields(pid)?)))
                .collect();
            let guest = all.iter().find(|(_, (name, ..))| name == program)?;
            let launcher =
                all.iter().find(|(pid, (.., parent))| *parent == shim && *pid != guest.0)?;
            Some((launcher.0, guest.0))
        })
    }

    #[track_caller]
    fn kill(&self, pid: i32, signal: Signal) {
        let pid = Pid::from_raw(pid).expect("a process has a positive id");
        kill_process(pid, signal).expect("it is ours and lives");
    }

    /// Wait for the end of shim; what it and its guest had still to say.
    #[track_caller]
    fn end(mut self) -> (ExitStatus, String, String) {
        let shim = &mut self.shim;
        let status = eventually("shim ends", || shim.try_wait().expect("it is our child"));
        self.mark.assert_nobody_left();
        let (mut stdout, mut stderr) = (String::new(), String::new());
        self.stdout.read_to_string(&mut stdout).expect("it is text");
        self.stderr.read_to_string(&mut stderr).expect("it is text");
        (status, stdout, stderr)
    }
}

impl Drop for Living {
    fn drop(&mut self) {
        // A test that failed leaves nothing behind either.
        for pid in self.mark.processes().into_iter().filter_map(Pid::from_raw) {
            _ = kill_process(pid, Signal::KILL);
        }
    }
}

/// A line for bash, with `SHIM` standing for the command; the same without it, natively.
#[track_caller]
fn assert_same_line(line: &str) {
    let shim = format!("{} exec --quiet --", built().command.display());
    let mark = Mark::fresh();
    let run = |line: String| {
        Run::native("bash").args(["-c", &line]).env(Mark::VARIABLE, mark.value()).finish()
    };
    let native = run(line.replace("SHIM ", ""));
    let guest = run(line.replace("SHIM", &shim));
    if let Some(words) = difference(&native, &guest) {
        panic!("{line}:\n{words}");
    }
    mark.assert_nobody_left();
}

#[test]
fn guests_are_parts_of_pipelines() {
    assert_same_line("seq 10 | SHIM sort -rn");
    assert_same_line("set -o pipefail; SHIM yes | head -n1; echo $?");
    assert_same_line("SHIM seq 100000 | tail -n1");
    assert_same_line("printf 'a\\nb\\n' | SHIM cat | SHIM wc -l");
    assert_same_line("SHIM sh -c 'echo out; echo err >&2; exit 3' 2>&1; echo $?");
    assert_same_line("SHIM cat < /dev/null; SHIM true >&-; echo $?");
    assert_same_line("(sleep 0.2; echo late) | SHIM head -n1");
    assert_same_line("SHIM dd if=/dev/zero bs=1000 count=1000 2>/dev/null | cksum");
}

#[test]
fn exit_statuses_are_the_guests() {
    let abort = "import os; os.abort()";
    let fault = "import ctypes; ctypes.string_at(0)";
    for (words, status) in [
        (&["true"][..], 0),
        (&["false"], 1),
        (&["sh", "-c", "exit 3"], 3),
        (&["sh", "-c", "exit 255"], 255),
        (&["sh", "-c", "kill -9 $$"], 137),
        (&["sh", "-c", "kill -TERM $$"], 143),
        (&["perl", "-e", "kill 'USR1', $$; sleep 1"], 138),
        (&["/usr/bin/python3", "-c", abort], 134),
        (&["/usr/bin/python3", "-c", fault], 139),
        (&["/nonexistent/program"], 127),
        (&["no-such-program-anywhere"], 127),
        (&["/etc/passwd"], 126),
        (&["/etc"], 126),
    ] {
        let mark = Mark::fresh();
        let outcome =
            Run::guest(words[0]).args(&words[1..]).env(Mark::VARIABLE, mark.value()).finish();
        assert_eq!(outcome.status, Status::Code(status), "{words:?}: {outcome:?}");
        if status == 126 || status == 127 {
            let stderr = String::from_utf8_lossy(&outcome.stderr).into_owned();
            assert!(stderr.starts_with("shim: ") && stderr.lines().count() == 1, "{stderr}");
            assert!(stderr.contains(words[0]), "{stderr}");
        }
        mark.assert_nobody_left();
    }
}

#[test]
fn no_guest_survives_its_simulator() {
    for (program, arguments) in [("cat", &[][..]), ("yes", &[]), ("perl", &["-e", "1 while 1"])] {
        let living = Living::guest(program, arguments);
        living.launcher_and_guest(program);
        living.kill(living.pid(), Signal::KILL);
        living.mark.assert_nobody_left();
    }
}

#[test]
fn no_guest_survives_the_launcher() {
    for (program, arguments) in [("cat", &[][..]), ("perl", &["-e", "1 while 1"])] {
        let living = Living::guest(program, arguments);
        let (launcher, _) = living.launcher_and_guest(program);
        living.kill(launcher, Signal::KILL);
        let (status, _, stderr) = living.end();
        assert!(!status.success(), "{program}: {status}");
        assert!(stderr.contains("launcher"), "{program}, {status}: {stderr:?}");
    }
}

#[test]
fn what_killed_a_guest_is_reported() {
    for (signal, number) in [(Signal::KILL, 9), (Signal::SEGV, 11), (Signal::TERM, 15)] {
        for (program, arguments) in [("cat", &[][..]), ("perl", &["-e", "1 while 1"])] {
            let living = Living::guest(program, arguments);
            let (_, guest) = living.launcher_and_guest(program);
            // Give it the time to become a guest: before, a signal is the launcher's default.
            thread::sleep(Duration::from_millis(100));
            living.kill(guest, signal);
            let (status, _, stderr) = living.end();
            assert_eq!(status.code(), Some(128 + number), "{program}, signal {number}: {stderr}");
        }
    }
}

#[test]
fn an_interrupt_is_a_virtual_signal() {
    let python = "print('ready', flush=True)\nwhile True: pass";
    let mut living = Living::guest("/usr/bin/python3", &["-c", python]);
    living.expect_line("ready");
    living.kill(living.pid(), Signal::INT);
    let (status, _, stderr) = living.end();
    assert!(stderr.contains("KeyboardInterrupt"), "{status}: {stderr}");
    assert_eq!(status.code(), Some(130));

    let mut living = Living::guest("cat", &[]);
    living.stdin.as_mut().expect("it is piped").write_all(b"ready\n").expect("cat reads");
    living.expect_line("ready");
    living.kill(living.pid(), Signal::INT);
    let (status, _, stderr) = living.end();
    assert_eq!((status.code(), stderr.as_str()), (Some(130), ""));

    let program = compile("interrupted", Libc::Glibc);
    for (how, last) in [("loop", ""), ("clock", ""), ("read", "read = -4\n")] {
        let mut living = Living::guest(program.to_str().expect("it is ASCII"), &[how]);
        living.expect_line("ready");
        if how == "read" {
            // A signal that comes before the read does not end it, natively neither.
            let name = program.file_name().expect("it has one").to_string_lossy().into_owned();
            let (_, guest) = living.launcher_and_guest(&name[..name.len().min(15)]);
            eventually("the guest reads", || {
                let call = fs::read_to_string(format!("/proc/{guest}/syscall")).ok()?;
                call.starts_with("0 0x0 ").then_some(())
            });
        }
        living.kill(living.pid(), Signal::INT);
        let (status, stdout, stderr) = living.end();
        assert_eq!(stdout, format!("signal 2\n{last}"), "{how}, {status}: {stderr}");
        assert_eq!(status.code(), Some(7), "{how}: {stderr}");
    }
}

#[test]
fn a_second_interrupt_kills() {
    let script = "$SIG{INT} = sub {print qq(once\\n)}; $| = 1; print qq(ready\\n); 1 while 1";
    let mut living = Living::guest("perl", &["-e", script]);
    living.expect_line("ready");
    living.kill(living.pid(), Signal::INT);
    living.expect_line("once");
    living.kill(living.pid(), Signal::INT);
    let (status, _, stderr) = living.end();
    assert_eq!(status.code(), Some(130), "{stderr}");
}

#[test]
fn a_guest_that_waits_for_ever_is_reported() {
    let mark = Mark::fresh();
    let outcome = Run::guest("sleep").args(["infinity"]).env(Mark::VARIABLE, mark.value()).finish();
    assert_eq!(outcome.status, Status::Code(125), "{outcome:?}");
    let stderr = String::from_utf8_lossy(&outcome.stderr).into_owned();
    assert!(stderr.starts_with("shim: sleep[1000] waits for ever in "), "{stderr}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    mark.assert_nobody_left();
}

/// A library of another protocol: the note's minor number is one more. Its path, and both versions.
fn other_version(folder: &Folder) -> (PathBuf, [String; 2]) {
    let mut bytes = fs::read(&built().library).expect("it was built");
    let note = b"\x05\0\0\0\x08\0\0\0\x01\0\0\0shim\0\0\0\0";
    let at = bytes.windows(note.len()).position(|window| window == note).expect("it has the note");
    let at = at + note.len();
    let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
    let (major, minor) = (word(at), word(at + 4));
    bytes[at + 4..at + 8].copy_from_slice(&(minor + 1).to_le_bytes());
    let path = folder.path().join("libother.so");
    fs::write(&path, bytes).expect("the folder is ours");
    (path, [minor, minor + 1].map(|minor| format!("{major}.{minor}")))
}

#[test]
fn an_unsuitable_library_is_one_clear_message() {
    let folder = Folder::with(&[("text.so", b"not a library\n"), ("empty.so", b"")]);
    let path = |name: &str| folder.path().join(name);
    let (other, versions) = other_version(&folder);
    for (library, expected) in [
        (other.clone(), "protocol"),
        (path("missing.so"), "missing.so"),
        (path("text.so"), "text.so"),
        (path("empty.so"), "empty.so"),
        (PathBuf::from("/bin/true"), "/bin/true"),
        (folder.path().to_path_buf(), ": "),
    ] {
        let mark = Mark::fresh();
        let library = library.to_str().expect("it is ASCII");
        let run = Run::native("touch")
            .args(["started"])
            .folder(folder.path())
            .env(Mark::VARIABLE, mark.value());
        let outcome = run.as_guest(["--library", library]).finish();
        let stderr = String::from_utf8_lossy(&outcome.stderr).into_owned();
        assert_eq!(outcome.status, Status::Code(125), "{library}: {outcome:?}");
        assert!(stderr.starts_with("shim: ") && stderr.lines().count() == 1, "{library}: {stderr}");
        assert!(stderr.contains(expected), "{library}: {stderr}");
        assert!(!path("started").exists(), "{library}: the program ran");
        mark.assert_nobody_left();
    }
    // Both versions and both files are named.
    let run = Run::native("true").as_guest(["--library", other.to_str().expect("it is ASCII")]);
    let outcome = run.finish();
    let stderr = String::from_utf8_lossy(&outcome.stderr).into_owned();
    assert!(stderr.contains("libother.so"), "{stderr}");
    assert!(versions.iter().all(|version| stderr.contains(version)), "{versions:?}: {stderr}");
}

#[test]
fn unknown_options_are_no_exit_status_of_a_guest() {
    let outcome = Run::native("true").as_guest(["--no-such-option"]).finish();
    assert_eq!(outcome.status, Status::Code(125), "{outcome:?}");
}
