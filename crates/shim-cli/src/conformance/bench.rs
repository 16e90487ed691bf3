//! Runs of the simulator: the guest in its folder, one start of the simulator, what came out.
//!
//! A behaviour in, a [`Verdict`] out. Always true: one run at a time; when there is a verdict, none of the run's processes is
//! left (which is looked for in [`family`], not believed); the folder is ours alone and goes with the bench. A simulator's
//! output is read to its end, of which the beginning is kept. What a run means is `verdict`'s.
//!
//! Why a program of its own and not a hidden word of `shim`: what a guest checks (bad pointers, raw instructions, faults,
//! handlers) is unsafe through and through, and this crate has no unsafe code; and Rust's runtime opens descriptors, installs handlers
//! and ignores signals before `main`, all of which is to be looked at. Why within `shim`: so both are always of the
//! same version, and nothing has to be found.

use std::ffi::{OsStr, OsString};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};

use super::behaviours::{Behaviour, Trial};
use super::family;
use super::verdict::{self, End, Seen, Verdict};
use super::words::{Said, heard};

/// The guest, as `build.rs` has compiled it.
const GUEST: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/conformance-guest"));
/// The word of SIMULATOR in whose place the guest's command stands.
const PLACEHOLDER: &str = "{}";
/// What standard input holds.
const INPUT: &[u8] = b"what was given\n";
/// A variable of the simulator's environment.
const VARIABLE: (&str, &str) = ("SHIM_CONFORMANCE_MARK", "a b=c");
/// Of longer output only the beginning is kept.
const MAX_OUTPUT: usize = 1 << 20;
/// Between two looks at what can only be looked at.
const RECHECK: Duration = Duration::from_millis(20);
/// How long output may still arrive when all processes have ended.
const DRAIN: Duration = Duration::from_secs(5);
/// How long processes may take to end after the simulator.
const GRACE: Duration = Duration::from_secs(5);

/// Why there is no verdict.
#[derive(Debug)]
pub enum Failure {
    /// The simulator cannot be started, or its run cannot be watched: in words.
    Unable(String),
    /// Somebody interrupted us.
    Interrupted,
}

/// A simulator, and what its runs need.
pub struct Bench {
    words: Vec<OsString>,
    folder: PathBuf,
    guest: PathBuf,
    /// Descriptors that we were given, and that everybody whom we start is given, too.
    inherited: Vec<String>,
    timeout: Option<Duration>,
    is_interrupted: Arc<AtomicBool>,
}

impl Bench {
    /// Put the guest into a folder of its own, and beside that where `kept_guest` says.
    pub fn new(
        words: &[OsString],
        kept_guest: Option<&Path>,
        timeout: Option<Duration>,
        is_interrupted: Arc<AtomicBool>,
    ) -> Result<Bench, String> {
        if words.iter().filter(|word| *word == PLACEHOLDER).count() > 1 {
            return Err(format!("SIMULATOR has more than one word {PLACEHOLDER}"));
        }
        let folder = make_folder().map_err(|error| {
            format!("cannot make a folder in {}: {error}", temporary().display())
        })?;
        // From here on it is removed with the bench.
        let mut bench = Bench {
            words: words.to_vec(),
            guest: folder.join("conformance-guest"),
            folder,
            inherited: inherited(),
            timeout,
            is_interrupted,
        };
        if let Some(path) = kept_guest {
            bench.guest = std::path::absolute(path)
                .map_err(|error| format!("{}: {error}", path.display()))?;
        }
        bench
            .write(&bench.guest, GUEST, 0o755)
            .map_err(|error| format!("cannot write {}: {error}", bench.guest.display()))?;
        let input = bench.folder.join("stdin");
        bench
            .write(&input, INPUT, 0o600)
            .map_err(|error| format!("cannot write {}: {error}", input.display()))?;
        Ok(bench)
    }

    fn write(&self, path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
        file.write_all(bytes)
    }

    /// Try a behaviour.
    pub fn attempt(&self, behaviour: &Behaviour) -> Result<Verdict, Failure> {
        let run = |extra: &[&[u8]]| self.run(behaviour, extra);
        Ok(match behaviour.trial {
            Trial::Told => verdict::told(&run(&[])?),
            Trial::ToldWith(arguments) => verdict::told(&run(arguments)?),
            Trial::ToldWithDescriptors => {
                let numbers: Vec<&[u8]> = self.inherited.iter().map(String::as_bytes).collect();
                verdict::told(&run(&numbers)?)
            }
            Trial::ToldTwice => verdict::told_twice(&run(&[])?),
            Trial::Repeated => verdict::repeated(&run(&[])?, &run(&[])?),
            Trial::Ends(status) => verdict::exits(&run(&[])?, status),
            Trial::Killed => verdict::killed(&run(&[])?),
            Trial::LeavesNobody => verdict::leaves_nobody(&run(&[])?),
            Trial::Exits(numbers) => self.each(behaviour, numbers, verdict::exits)?,
            Trial::Dies(numbers) => {
                self.each(behaviour, numbers, |seen, signal| verdict::dies(seen, signal, false))?
            }
            Trial::DiesAs(numbers) => {
                self.each(behaviour, numbers, |seen, signal| verdict::dies(seen, signal, true))?
            }
        })
    }

    /// A run for each number, until one does not go well.
    fn each(
        &self,
        behaviour: &Behaviour,
        numbers: &[i32],
        judge: impl Fn(&Seen, i32) -> Verdict,
    ) -> Result<Verdict, Failure> {
        for &number in numbers {
            match judge(&self.run(behaviour, &[number.to_string().as_bytes()])?, number) {
                Verdict::Holds => {}
                verdict => return Ok(verdict),
            }
        }
        Ok(Verdict::Holds)
    }

    /// One run of the simulator.
    fn run(&self, behaviour: &Behaviour, extra: &[&[u8]]) -> Result<Seen, Failure> {
        let words = self.command(behaviour.name, extra);
        let unable = |error: io::Error| Failure::Unable(format!("{}: {error}", words[0].display()));
        let input = File::open(self.folder.join("stdin")).map_err(unable)?;
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).env(VARIABLE.0, VARIABLE.1);
        command.stdin(input).stdout(Stdio::piped()).stderr(Stdio::piped());
        // Ctrl-C is ours; the simulator is ended by us.
        command.process_group(0);
        let mut child = command.spawn().map_err(|error| {
            Failure::Unable(format!("cannot start {}: {error}", words[0].display()))
        })?;
        let stdout = child.stdout.take().map(Stream::collect);
        let stderr = child.stderr.take().map(Stream::collect);

        let mut killing =
            Killing { is_wanted: behaviour.trial == Trial::Killed, was_killed: false };
        let waited = self.wait(&mut child, stdout.as_ref(), &mut killing);
        let left = match (&waited, behaviour.trial) {
            (Ok(Some(_)), Trial::LeavesNobody) => family::wait_for_all(GRACE),
            _ => 0,
        };
        if !matches!(waited, Ok(Some(_))) {
            // Where it is gone already nothing is to be done.
            let _ = child.kill();
            child.wait().map_err(unable)?;
        }
        if !family::kill_all() {
            return Err(Failure::Unable(
                "some of SIMULATOR's processes cannot be killed".to_owned(),
            ));
        }
        let end = match waited {
            Err(Failure::Unable(text)) => return Err(Failure::Unable(text)),
            Err(Failure::Interrupted) => return Err(Failure::Interrupted),
            Ok(Some(end)) => end,
            Ok(None) => End::Late(self.timeout.unwrap_or_default()),
        };
        let finish = |stream: Option<Stream>| stream.map(Stream::finish).unwrap_or_default();
        Ok(Seen {
            end,
            stdout: finish(stdout),
            stderr: finish(stderr),
            left,
            was_killed: killing.was_killed,
        })
    }

    /// The simulator's words with the guest's among them.
    fn command(&self, name: &str, extra: &[&[u8]]) -> Vec<OsString> {
        let mut guest =
            vec![self.guest.clone().into_os_string(), name.into(), self.folder.clone().into()];
        guest.extend(extra.iter().map(|word| OsStr::from_bytes(word).to_owned()));
        let mut words = self.words.clone();
        let at = words.iter().position(|word| word == PLACEHOLDER);
        let range = at.map_or(words.len()..words.len(), |at| at..at + 1);
        words.splice(range, guest);
        words
    }

    /// Wait for the simulator's end; nothing if it takes too long.
    fn wait(
        &self,
        child: &mut Child,
        stdout: Option<&Stream>,
        killing: &mut Killing,
    ) -> Result<Option<End>, Failure> {
        let unable = |error: io::Error| Failure::Unable(format!("cannot wait: {error}"));
        let pidfd = pidfd_open(Pid::from_child(child), PidfdFlags::empty())
            .map_err(|error| unable(error.into()))?;
        let began = Instant::now();
        loop {
            if self.is_interrupted.load(SeqCst) {
                return Err(Failure::Interrupted);
            }
            let rest = match self.timeout {
                Some(limit) => limit.saturating_sub(began.elapsed()),
                None => RECHECK,
            };
            let pause = Timespec::try_from(rest.min(RECHECK)).ok();
            match poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], pause.as_ref()) {
                Ok(0) if rest.is_zero() => return Ok(None),
                Ok(0) => killing.look(stdout),
                Ok(_) => {
                    let status = child.wait().map_err(unable)?;
                    let signal = status.signal().unwrap_or_default();
                    return Ok(Some(status.code().map_or(End::Signalled(signal), End::Exited)));
                }
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(unable(error.into())),
            }
        }
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        // What cannot be removed is seen by whoever looks for it.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// A guest that is to be killed once it has said who it is.
struct Killing {
    is_wanted: bool,
    was_killed: bool,
}

impl Killing {
    fn look(&mut self, stdout: Option<&Stream>) {
        let Some(stdout) = stdout.filter(|_| self.is_wanted) else { return };
        let pid = heard(&stdout.so_far()).into_iter().find_map(|said| match said {
            Said::NativePid(pid) => Pid::from_raw(pid),
            _ => None,
        });
        let Some(pid) = pid else { return };
        self.is_wanted = false;
        // What a guest says is not proof enough to kill somebody.
        if family::members().contains(&pid) {
            self.was_killed = kill_process(pid, Signal::KILL).is_ok();
        }
    }
}

/// Output while it arrives.
struct Stream {
    bytes: Arc<Mutex<Vec<u8>>>,
    is_over: Receiver<()>,
}

impl Stream {
    fn collect(mut source: impl Read + Send + 'static) -> Stream {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let (over, is_over) = channel();
        let kept = Arc::clone(&bytes);
        std::thread::spawn(move || {
            let mut buffer = vec![0; 1 << 16];
            while let Ok(count @ 1..) = source.read(&mut buffer) {
                let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                let room = MAX_OUTPUT - kept.len();
                kept.extend_from_slice(&buffer[..count.min(room)]);
            }
            let _ = over.send(());
        });
        Stream { bytes, is_over }
    }

    fn so_far(&self) -> Vec<u8> {
        self.bytes.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// All of it, now that nobody of ours can write any more.
    fn finish(self) -> Vec<u8> {
        let _ = self.is_over.recv_timeout(DRAIN);
        self.so_far()
    }
}

/// The descriptors beyond the standard streams that a program which we start would have.
fn inherited() -> Vec<String> {
    const O_CLOEXEC: u32 = 0o2000000;
    let is_passed_on = |number: &String| {
        let info = fs::read_to_string(format!("/proc/self/fdinfo/{number}")).unwrap_or_default();
        let flags = info.lines().find_map(|line| line.strip_prefix("flags:"));
        let flags = flags.and_then(|flags| u32::from_str_radix(flags.trim(), 8).ok());
        flags.is_some_and(|flags| flags & O_CLOEXEC == 0)
    };
    let entries = fs::read_dir("/proc/self/fd").into_iter().flatten().flatten();
    let numbers = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let beyond = numbers.filter(|number| !matches!(number.as_str(), "0" | "1" | "2"));
    beyond.filter(is_passed_on).collect()
}

fn temporary() -> PathBuf {
    std::env::temp_dir()
}

/// A new folder that only we may enter.
fn make_folder() -> io::Result<PathBuf> {
    for number in 0.. {
        let name = format!("shim-conformance-{}-{number}", std::process::id());
        let folder = std::path::absolute(temporary().join(name))?;
        match DirBuilder::new().mode(0o700).create(&folder) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            other => return other.map(|()| folder),
        }
    }
    unreachable!("numbers do not end")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bench(words: &[&str]) -> Result<Bench, String> {
        let words: Vec<OsString> = words.iter().map(OsString::from).collect();
        Bench::new(&words, None, None, Arc::default())
    }

    #[test]
    fn the_guests_command_stands_at_the_end_or_in_its_place() {
        let texts = |bench: &Bench| -> Vec<String> {
            let words = bench.command("a/b", &[b"x y"]).into_iter();
            words.map(|word| word.into_string().unwrap()).collect()
        };
        let plain = bench(&["sim", "--"]).unwrap();
        let (guest, folder) = (plain.guest.display(), plain.folder.display());
        let expected = ["sim", "--", &guest.to_string(), "a/b", &folder.to_string(), "x y"];
        assert_eq!(texts(&plain), expected);
        let between = bench(&["sim", "{}", "-v"]).unwrap();
        let words = texts(&between);
        assert_eq!((words[0].as_str(), words.last().unwrap().as_str()), ("sim", "-v"));
        assert_eq!(words.len(), 6);
        assert!(bench(&["sim", "{}", "{}"]).is_err());
    }

    #[test]
    fn the_folder_goes_with_the_bench() {
        let bench = bench(&["sim"]).unwrap();
        let folder = bench.folder.clone();
        assert!(folder.join("conformance-guest").is_file() && folder.join("stdin").is_file());
        drop(bench);
        assert!(!folder.exists());
    }
}
