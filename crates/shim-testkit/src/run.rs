//! One run of one program, natively or as a guest.
//!
//! What a caller of the program decides goes in: arguments, standard input, folder, environment, limit
//! of time; what can be seen from outside comes out: standard output, standard error, status. Always
//! true: standard input is a pipe, a run that reaches its limit is killed with its whole process group
//! and is a failure that shows what it had written, and the output is complete when [`Run::finish`]
//! returns. Comparing is not here.

use std::ffi::{OsStr, OsString};
use std::io::{Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

use crate::built::{built, target_dir};

/// How long a run may take, in wall time, unless the test says otherwise.
const LIMIT: Duration = Duration::from_secs(30);
/// How long output may still arrive after the program has ended.
const DRAIN: Duration = Duration::from_secs(5);

/// A variable that `shim` adds where the processor cannot hide its random numbers. Runs that show their environment
/// have it from the start, so that it adds nothing on any processor.
pub const MASK: (&str, &str) = ("OPENSSL_ia32cap", "~0x4000000000000000:~0x40000");

/// How a program ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Status {
    /// It exited with this status.
    Code(i32),
    /// This signal killed it.
    Signal(i32),
}

/// What a run showed.
#[derive(Clone, PartialEq, Eq)]
pub struct Outcome {
    /// How it ended. For a guest: as `shim` reports it, 128 + n for signal n.
    pub status: Status,
    /// Its standard output.
    pub stdout: Vec<u8>,
    /// Its standard error.
    pub stderr: Vec<u8>,
    /// Wall time from start to end.
    pub wall: Duration,
}

impl Outcome {
    /// Standard output as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Fail, showing everything, unless the run ended with status 0.
    #[track_caller]
    pub fn expect_success(self) -> Self {
        assert_eq!(self.status, Status::Code(0), "{self:?}");
        self
    }
}

impl std::fmt::Debug for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = |bytes: &[u8]| {
            let shown = &bytes[..bytes.len().min(4000)];
            format!("{} ({} bytes)", String::from_utf8_lossy(shown).escape_debug(), bytes.len())
        };
        writeln!(f, "{:?} after {} ms", self.status, self.wall.as_millis())?;
        writeln!(f, "  stdout: {}", text(&self.stdout))?;
        write!(f, "  stderr: {}", text(&self.stderr))
    }
}

/// A run to be started.
#[derive(Clone, Debug)]
pub struct Run {
    program: OsString,
    arguments: Vec<OsString>,
    shim_arguments: Option<Vec<OsString>>,
    stdin: Vec<u8>,
    folder: PathBuf,
    environment: Vec<(OsString, OsString)>,
    limit: Duration,
}

impl Run {
    /// A native run of `program`, which is looked for in the system's folders if it is a bare name.
    pub fn native(program: impl AsRef<OsStr>) -> Run {
        Run {
            program: program.as_ref().to_owned(),
            arguments: Vec::new(),
            shim_arguments: None,
            stdin: Vec::new(),
            folder: std::env::temp_dir(),
            environment: [
                ("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
                ("LC_ALL", "C"),
                ("TZ", "UTC0"),
                ("HOME", "/nonexistent"),
            ]
            .map(|(name, value)| (name.into(), value.into()))
            .into_iter()
            // Where patched images are kept between runs.
            .chain([("XDG_CACHE_HOME".into(), target_dir().join("cache").into_os_string())])
            .collect(),
            limit: LIMIT,
        }
    }

    /// A run of `program` as a guest: `shim exec --quiet -- program`.
    pub fn guest(program: impl AsRef<OsStr>) -> Run {
        Run::native(program).as_guest(["--quiet"])
    }

    /// The same run as a guest, with these options for `shim exec`.
    pub fn as_guest<S: AsRef<OsStr>>(mut self, options: impl IntoIterator<Item = S>) -> Run {
        self.shim_arguments = Some(options.into_iter().map(|o| o.as_ref().to_owned()).collect());
        self
    }

    /// Add arguments.
    pub fn args<S: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = S>) -> Run {
        self.arguments.extend(arguments.into_iter().map(|a| a.as_ref().to_owned()));
        self
    }

    /// What standard input, a pipe, delivers before it ends; nothing by default.
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Run {
        self.stdin = bytes.into();
        self
    }

    /// The working directory.
    pub fn folder(mut self, folder: impl AsRef<Path>) -> Run {
        self.folder = folder.as_ref().to_owned();
        self
    }

    /// Set a variable.
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Run {
        self.environment.retain(|(old, _)| old != name.as_ref());
        self.environment.push((name.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// How long it may take in wall time.
    pub fn limit(mut self, limit: Duration) -> Run {
        self.limit = limit;
        self
    }

    /// The process to start, for a test that needs it while it runs.
    pub fn command(&self) -> Command {
        let mut command = match &self.shim_arguments {
            None => Command::new(&self.program),
            Some(options) => {
                let mut command = Command::new(&built().command);
                command.arg("exec").args(options).arg("--").arg(&self.program);
                command
            }
        };
        command
            .args(&self.arguments)
            .current_dir(&self.folder)
            .env_clear()
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        command
    }

    /// Run it to its end.
    #[track_caller]
    pub fn finish(self) -> Outcome {
        let shown = format!("{:?} {:?}", self.program, self.arguments);
        let started = Instant::now();
        let mut child = match self.command().spawn() {
            Ok(child) => child,
            Err(error) => panic!("{shown} cannot be started: {error}"),
        };
        let mut stdin = child.stdin.take().expect("it is piped");
        let input = self.stdin;
        // A program that does not read its input breaks the pipe: that is its business.
        thread::spawn(move || _ = stdin.write_all(&input));
        let stdout = collect(child.stdout.take().expect("it is piped"));
        let stderr = collect(child.stderr.take().expect("it is piped"));

        let status = wait(&mut child, started + self.limit);
        let wall = started.elapsed();
        if status.is_none() {
            kill_group(&child);
            _ = child.wait();
        }
        let stdout = drained(&stdout);
        let stderr = drained(&stderr);
        // Nothing that the program left behind in its group outlives the test.
        kill_group(&child);
        let Some(status) = status else {
            let stdout = stdout.unwrap_or_default();
            let stderr = stderr.unwrap_or_default();
            let so_far = Outcome { status: Status::Signal(9), stdout, stderr, wall };
            panic!("{shown} did not end within {:?}: {so_far:?}", self.limit);
        };
        let (Some(stdout), Some(stderr)) = (stdout, stderr) else {
            panic!("{shown} ended, and somebody still holds its output open");
        };
        Outcome { status: convert(status), stdout, stderr, wall }
    }
}

fn convert(status: ExitStatus) -> Status {
    match (status.code(), status.signal()) {
        (Some(code), _) => Status::Code(code),
        (None, Some(signal)) => Status::Signal(signal),
        (None, None) => unreachable!("a status that wait gave is one or the other"),
    }
}

fn collect(mut stream: impl Read + Send + 'static) -> Receiver<Vec<u8>> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        _ = stream.read_to_end(&mut bytes);
        _ = sender.send(bytes);
    });
    receiver
}

/// The whole stream; `None` if it has not ended in time.
fn drained(stream: &Receiver<Vec<u8>>) -> Option<Vec<u8>> {
    stream.recv_timeout(DRAIN).ok()
}

/// The child's status, `None` when the deadline passed.
fn wait(child: &mut Child, deadline: Instant) -> Option<ExitStatus> {
    let mut pause = Duration::from_micros(200);
    loop {
        if let Some(status) = child.try_wait().expect("it is our child") {
            return Some(status);
        }
        if Instant::now() >= deadline {
            return None;
        }
        thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(5));
    }
}

fn kill_group(child: &Child) {
    if let Some(group) = Pid::from_raw(child.id().cast_signed()) {
        // ESRCH says that nobody is left, which is what is wanted.
        _ = kill_process_group(group, Signal::KILL);
    }
}
