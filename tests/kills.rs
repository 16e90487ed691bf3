//! Sudden deaths: whoever is killed, in the middle of whatever, the run goes on or ends, and nothing is left.
//!
//! A program that forks, executes, waits, hands mutexes over and signals all the time goes in; at a random
//! moment of a seeded sequence one native process of its run is killed. Always true: the run ends in time, with
//! the guest's status or with a message; every process that it made has ended and been reaped; no object of shared
//! memory has a name any more. One run at a time, because this process adopts what runs leave behind.
//! Deaths that are expected are in `life.rs`.

use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::{Child, ExitStatus};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitOptions, getpid, kill_process, set_child_subreaper, wait};
use shim_testkit::built::built;
use shim_testkit::guest::compile;
use shim_testkit::{Libc, Mark, Run, eventually};

/// How often the program does everything: enough for a run to last about as long as it takes to start.
const ROUNDS: &str = "12";
/// What a run may take after the kill.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Victim {
    Guest,
    Launcher,
    Simulator,
}

/// A seeded sequence (SplitMix64).
struct Moments(u64);

impl Moments {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }
}

fn parent_of(pid: i32) -> Option<i32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()
}

/// Names of shared memory that the machine knows.
fn names_of_memory() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for folder in ["/dev/shm", "/dev/mqueue"] {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        names.extend(entries.map(|entry| entry.path().to_string_lossy().into_owned()));
    }
    for kind in ["shm", "sem", "msg"] {
        let list = fs::read_to_string(format!("/proc/sysvipc/{kind}")).unwrap_or_default();
        let ids = list.lines().skip(1).filter_map(|line| line.split_whitespace().nth(1));
        names.extend(ids.map(|id| format!("{kind} {id}")));
    }
    names
}

struct Running {
    mark: Mark,
    shim: Child,
}

impl Running {
    fn start(program: &Path, rounds: &str) -> Running {
        let mark = Mark::fresh();
        let run = Run::guest(program).args([rounds]).env(Mark::VARIABLE, mark.value());
        Running { shim: run.command().spawn().expect("shim can be started"), mark }
    }

    /// One of the processes that are such a victim.
    fn choose(&self, victim: Victim, moments: &mut Moments) -> Option<i32> {
        let shim = self.shim.id().cast_signed();
        let mut all = self.mark.processes();
        all.sort_unstable();
        let launcher = all.iter().copied().find(|pid| parent_of(*pid) == Some(shim));
        match victim {
            Victim::Simulator => Some(shim),
            Victim::Launcher => launcher,
            Victim::Guest => {
                all.retain(|pid| *pid != shim && Some(*pid) != launcher);
                let index = moments.below(all.len().max(1) as u64);
                all.get(usize::try_from(index).ok()?).copied()
            }
        }
    }

    /// Its end and what it had said.
    fn end(&mut self) -> Result<(ExitStatus, String), String> {
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            match self.shim.try_wait().expect("it is our child") {
                Some(status) => break status,
                None if Instant::now() > deadline => return Err(self.description()),
                None => thread::sleep(Duration::from_millis(1)),
            }
        };
        let mut stderr = String::new();
        let stream = self.shim.stderr.as_mut().expect("it is piped");
        stream.read_to_string(&mut stderr).map_err(|error| error.to_string())?;
        Ok((status, stderr))
    }

    /// What everybody is doing, for the message of a run that hangs.
    fn description(&self) -> String {
        let mut words = String::from("it hangs:\n");
        for pid in self.mark.processes() {
            for task in fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten() {
                let read = |name| fs::read_to_string(task.path().join(name)).unwrap_or_default();
                let path = task.path().to_string_lossy().into_owned();
                words +=
                    &format!("{path}: {} {} {}\n", read("comm"), read("wchan"), read("syscall"));
            }
        }
        words
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        for pid in self.mark.processes().into_iter().filter_map(Pid::from_raw) {
            _ = kill_process(pid, Signal::KILL);
        }
        _ = self.shim.wait();
    }
}

/// Reap what this process has adopted, until there is nobody; how many there were.
#[track_caller]
fn reap_adopted() -> usize {
    let mut count = 0;
    eventually("everybody ends", || {
        loop {
            match wait(WaitOptions::NOHANG) {
                Ok(Some(_)) => count += 1,
                Ok(None) => return None,
                Err(_) => return Some(()),
            }
        }
    });
    count
}

/// What is wrong after one kill, in words.
fn one_kill(
    program: &Path,
    victim: Victim,
    after: Duration,
    moments: &mut Moments,
) -> Option<String> {
    let mut running = Running::start(program, ROUNDS);
    thread::sleep(after);
    if let Some(pid) = running.choose(victim, moments).and_then(Pid::from_raw) {
        // It may have ended meanwhile.
        _ = kill_process(pid, Signal::KILL);
    }
    let (status, stderr) = match running.end() {
        Ok(end) => end,
        Err(words) => return Some(words),
    };
    let adopted = reap_adopted();
    running.mark.assert_nobody_left();
    let is_message =
        stderr.starts_with("shim: ") || stderr.contains(": the launcher process was killed");
    let is_clear = match (victim, status.code()) {
        // The guest's own statuses: it ended, saw a process of its own fail, or was killed.
        (Victim::Guest, Some(0 | 3 | 137)) => adopted == 0,
        (Victim::Guest, Some(125)) => adopted == 0 && is_message,
        (Victim::Guest, _) => false,
        (Victim::Launcher, Some(0)) => true,
        (Victim::Launcher, code) => code.is_some() && is_message,
        (Victim::Simulator, _) => true,
    };
    (!is_clear).then(|| format!("{status}, {adopted} adopted: {stderr}"))
}

/// Kill this often; fail with all that went wrong.
#[track_caller]
fn assert_survived(victim: Victim, times: usize) {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _one = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    built();
    let program = compile("chaos", Libc::Glibc);
    set_child_subreaper(Some(getpid())).expect("everybody may adopt");
    let names = names_of_memory();

    let started = Instant::now();
    let (status, stderr) = Running::start(&program, ROUNDS).end().expect("undisturbed it ends");
    let whole = started.elapsed();
    assert!(status.success(), "undisturbed: {status}: {stderr}");
    assert_eq!(reap_adopted(), 0, "undisturbed");

    let mut moments = Moments(victim as u64 + 1);
    let mut wrong = Vec::new();
    for number in 0..times {
        let whole_us = u64::try_from(whole.as_micros()).expect("it took less than an age");
        let after = Duration::from_micros(moments.below(whole_us));
        if let Some(words) = one_kill(&program, victim, after, &mut moments) {
            wrong.push(format!("kill {number} after {after:?} of {whole:?}: {words}"));
        }
    }
    assert!(wrong.is_empty(), "{victim:?}, {} of {times}:\n{}", wrong.len(), wrong.join("\n"));
    // Other programs of this machine have such names for a while.
    eventually("names of memory vanish", || names_of_memory().is_subset(&names).then_some(()));
}

#[test]
fn guests_are_killed_at_any_moment() {
    assert_survived(Victim::Guest, 30);
}

#[test]
fn launchers_are_killed_at_any_moment() {
    assert_survived(Victim::Launcher, 10);
}

#[test]
fn simulators_are_killed_at_any_moment() {
    assert_survived(Victim::Simulator, 10);
}

#[test]
#[ignore = "minutes; continuous integration runs it"]
fn guests_are_killed_at_many_moments() {
    assert_survived(Victim::Guest, 200);
}

#[test]
#[ignore = "a minute; continuous integration runs it"]
fn simulators_and_launchers_are_killed_at_many_moments() {
    assert_survived(Victim::Launcher, 60);
    assert_survived(Victim::Simulator, 60);
}
