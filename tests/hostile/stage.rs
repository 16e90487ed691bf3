//! The two hosts: one for the victims, one for the witness, and what this process has of both.
//!
//! Programs in; what the witness has said, and what is left of victims, out. Always true: the witness's host is stepped by
//! the same steps in every run, whatever happens on the other one; a step of the victims' host that does not end is ended, and
//! told. What is done to victims is `kills` and `garbage`.

use std::collections::BTreeSet;
use std::ffi::CString;
use std::fmt::Write;
use std::fs::{self, File};
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use shim_abi::{SimDuration, SimTime};
use shim_host::{Host, HostConfig, Observation, Observer, Source};
use shim_supervisor::{Command, Launcher, Library};
use shim_testkit::built::built;
use shim_testkit::guest::compile;
use shim_testkit::{Folder, Libc, Mark, eventually, mark};

/// One step of either host.
pub const STEP: SimDuration = SimDuration::from_ns(1_000_000);
/// How long a victim's host may take to do whatever it does next.
const PATIENCE: Duration = Duration::from_secs(120);

/// All that is observed, in words.
#[derive(Default)]
pub struct Log(pub String);

impl Observer for Log {
    fn observe(&mut self, source: &Source<'_>, time: SimTime, what: Observation<'_>) {
        let Source { host, program, pid, tid, .. } = source;
        _ = writeln!(self.0, "{time} {host} {program} {pid}.{tid} {what:?}");
    }
}

/// The host on which nobody does anything to anybody.
pub struct Witness {
    host: Host,
    now: SimTime,
    log: Log,
    folder: Folder,
}

impl Witness {
    fn new(launcher: &Arc<Launcher>, library: &Library) -> Witness {
        let mut host = host(1, "witness", true, true, launcher, library);
        let folder = Folder::new();
        let program = compile("witness", Libc::Glibc);
        let words = [program.to_str().expect("it is text"), "1000000"];
        host.spawn(&command(&words, folder.path(), None)).expect("it can be started");
        Witness { host, now: SimTime::ZERO, log: Log::default(), folder }
    }

    /// Two steps more.
    pub fn go_on(&mut self) {
        for _ in 0..2 {
            self.host.step(self.now, self.now + STEP, &mut self.log);
            self.now = self.now + STEP;
        }
    }

    /// All that it has printed, and all that was seen of it.
    fn finish(mut self) -> (String, String) {
        self.host.kill_all(&mut ());
        let said = fs::read_to_string(self.folder.path().join("output")).expect("it is there");
        (said, self.log.0)
    }
}

/// The host on which everything happens.
pub struct Stage {
    launcher: Arc<Launcher>,
    library: Library,
    pub launcher_pid: i32,
    /// What the victims are found by.
    pub mark: Mark,
    victims: Option<Host>,
    is_kernel_in_guest: bool,
    now: SimTime,
    folder: Folder,
    pub log: Log,
    /// How many descriptors and memory files this process has while there are no victims.
    had: Option<(usize, usize)>,
    /// How many steps did not end.
    pub hangs: u32,
}

impl Stage {
    /// It, and the witness beside.
    pub fn new(is_kernel_in_guest: bool) -> (Stage, Witness) {
        let before = children_of(std::process::id().cast_signed());
        let launcher = Arc::new(Launcher::start().expect("it can be started"));
        let launcher_pid = eventually("there is a launcher", || {
            children_of(std::process::id().cast_signed()).difference(&before).next().copied()
        });
        let library = Library::open(&built().library).expect("it is built");
        let witness = Witness::new(&launcher, &library);
        let mut stage = Stage {
            launcher,
            library,
            launcher_pid,
            mark: Mark::fresh(),
            victims: None,
            is_kernel_in_guest,
            now: SimTime::ZERO,
            folder: Folder::new(),
            log: Log::default(),
            had: None,
            hangs: 0,
        };
        stage.replace_host();
        (stage, witness)
    }

    /// A new host for victims, in the place of the one that is there.
    pub fn replace_host(&mut self) {
        // Its arena's place is taken until it is gone.
        self.victims = None;
        let (launcher, library) = (&self.launcher, &self.library);
        self.victims = Some(host(0, "victims", self.is_kernel_in_guest, false, launcher, library));
        self.now = SimTime::ZERO;
    }

    /// The victims' host.
    pub fn host(&mut self) -> &mut Host {
        self.victims.as_mut().expect("there always is one")
    }

    /// Start a victim; its virtual process id.
    pub fn spawn(&mut self, words: &[&str]) -> u32 {
        let command = command(words, self.folder.path(), Some(&self.mark));
        self.host().spawn(&command).expect("it can be started")
    }

    /// Step the victims' host once; whether anybody is left. A step that does not end is one that hangs: all are killed then.
    pub fn step(&mut self) -> bool {
        let Stage { victims, now, log, hangs, .. } = self;
        let host = victims.as_mut().expect("there always is one");
        let interrupter = host.interrupter();
        let (is_over, end) = channel::<()>();
        let hung = AtomicBool::new(false);
        let outcome = thread::scope(|scope| {
            let hung = &hung;
            scope.spawn(move || {
                while end.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
                    if hung.swap(true, Relaxed) {
                        eprintln!("a step does not end although all its guests were killed");
                        std::process::abort();
                    }
                    interrupter.kill();
                }
            });
            let outcome = host.step(*now, *now + STEP, log);
            drop(is_over);
            outcome
        });
        *now = *now + STEP;
        *hangs += u32::from(hung.into_inner());
        outcome.process_count > 0
    }

    /// End the victims.
    pub fn kill_all(&mut self) {
        let Stage { victims, log, .. } = self;
        victims.as_mut().expect("there always is one").kill_all(log);
    }

    /// What is wrong when all victims have ended, in words: somebody is left, or something.
    pub fn leftovers(&mut self) -> Vec<String> {
        let mut wrong = Vec::new();
        let waiting = self.host().waiting();
        if !waiting.is_empty() {
            wrong.push(format!("the host says that some are left: {waiting:?}"));
        }
        let is_zombie = |pid: i32| {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('Z'))
        };
        eventually("all victims are reaped", || {
            let children = children_of(self.launcher_pid);
            let is_any = children.iter().any(|&pid| self.mark.is_of(pid) || is_zombie(pid));
            (!is_any).then_some(())
        });
        let count = || (descriptors(), memory_files());
        let had = *self.had.get_or_insert_with(count);
        // What the last report of an end holds may be let go a moment later.
        let end = Instant::now() + mark::PATIENCE;
        loop {
            let have = count();
            if have.0 <= had.0 && have.1 <= had.1 {
                return wrong;
            }
            if Instant::now() > end {
                wrong.push(format!("{have:?} descriptors and memory files are left, not {had:?}"));
                return wrong;
            }
            thread::sleep(Duration::from_millis(2));
        }
    }

    /// What is opened once and kept has been opened: from now on, nothing is left.
    pub fn begin_to_count(&mut self) {
        self.had = None;
    }

    /// Compare the witness with one beside whom nothing has happened.
    pub fn assert_undisturbed(self, witness: Witness) {
        let steps = witness.now;
        let (said, log) = witness.finish();
        let launcher = Arc::new(Launcher::start().expect("it can be started"));
        let mut other = Witness::new(&launcher, &self.library);
        while other.now < steps {
            other.go_on();
        }
        let (undisturbed_said, undisturbed_log) = other.finish();
        assert!(said.lines().count() > 20, "the witness has said {said:?}");
        assert!(log.lines().count() > 100, "{} lines of the witness", log.lines().count());
        for (is, was) in [(said, undisturbed_said), (log, undisturbed_log)] {
            let difference =
                is.lines().zip(was.lines()).enumerate().find(|(_, (is, was))| is != was);
            assert_eq!(difference, None, "the witness's line of this number, and what it was");
            assert!(is == was, "{} bytes of the witness, not {}", is.len(), was.len());
        }
    }
}

fn host(
    host_id: u32,
    name: &str,
    is_kernel_in_guest: bool,
    is_tracing: bool,
    launcher: &Arc<Launcher>,
    library: &Library,
) -> Host {
    let ipv4 = Ipv4Addr::new(10, 0, 0, host_id as u8 + 1);
    let config =
        HostConfig { host_id, ipv4, is_kernel_in_guest, is_tracing, ..HostConfig::new(name) };
    Host::new(config, launcher, library).expect("there is memory")
}

fn command(words: &[&str], folder: &Path, mark: Option<&Mark>) -> Command {
    let text = |word: &str| CString::new(word).expect("it has no zero");
    let mut command = Command::new(text(words[0]));
    command.argv = words.iter().copied().map(text).collect();
    command.env = vec![c"PATH=/usr/bin:/bin".into(), c"LC_ALL=C".into()];
    command.env.extend(mark.map(|mark| text(&format!("{}={}", Mark::VARIABLE, mark.value()))));
    command.cwd = Some(folder.to_owned());
    let output = || File::options().create(true).append(true).open(folder.join("output"));
    let input = File::open("/dev/null").expect("it is there");
    let create = || output().expect("the folder is ours");
    command.stdio = [input, create(), create()].map(|file| Some(file.into()));
    command
}

/// The children of a process that are there, zombies included.
pub fn children_of(pid: i32) -> BTreeSet<i32> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let lists = tasks.map(|task| fs::read_to_string(task.path().join("children")));
    let lists: String = lists.map(Result::unwrap_or_default).collect();
    lists.split_whitespace().filter_map(|word| word.parse().ok()).collect()
}

/// How many descriptors this process has. The mappings of whoever was last asked for images are kept for the next question.
fn descriptors() -> usize {
    let links = fs::read_dir("/proc/self/fd").expect("/proc is mounted").flatten();
    let files = links.filter_map(|link| fs::read_link(link.path()).ok());
    // The launcher keeps an image for each library that any guest has asked for.
    let is_kept = |file: &Path| file.starts_with("/memfd:shim-image (deleted)");
    let is_other = |file: &Path| !(file.starts_with("/proc") && file.ends_with("maps"));
    files.filter(|file| is_other(file) && !is_kept(file)).count()
}

/// How many mappings of memory files this process has.
fn memory_files() -> usize {
    let maps = fs::read_to_string("/proc/self/maps").expect("/proc is mounted");
    maps.lines().filter(|line| line.contains("/memfd:shim-")).count()
}
