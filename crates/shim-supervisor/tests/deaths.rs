//! Whoever is killed, and whatever a guest does: no wait hangs, and nothing is left behind.
//!
//! Guests are fakes that keep to the protocol, or break it on purpose. Always true: each test ends within
//! its time, and looks for processes that should be gone.
//!
//! # Safety
//!
//! Unsafe here: process ids and signals passed to the C library.
#![allow(unsafe_code)]

mod common;

use std::io::{BufRead, BufReader, Read};
use std::process::{Command as NativeCommand, Stdio};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc;
use std::time::Duration;

use common::{command, end, eventually, exists, fake, identity, memory, run, runs};
use shim_abi::event::{Reply, Request};
use shim_supervisor::{Event, ExitStatus, Guest, Launcher, SpawnError};

const KILLED: ExitStatus = ExitStatus::Signal { signal: libc::SIGKILL, has_core: false };

#[test]
fn fake_guest() {
    fake::enter();
}

/// A guest of this mode that has begun.
fn start(launcher: &Launcher, mode: &str) -> Guest {
    let mut guest = launcher.spawn(&memory(), &fake::command(mode), &identity()).unwrap();
    assert_eq!(guest.wait(), Event::Request(Request::Start));
    guest.reply(&Reply::Started);
    guest
}

fn kill(pid: u32, signal: i32) {
    // SAFETY: no pointers; the process is one that this test started.
    unsafe { libc::kill(pid as i32, signal) };
}

/// Call `f` in a thread and fail if it does not return.
fn in_time<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> T {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || sender.send(f()));
    receiver.recv_timeout(Duration::from_secs(20)).expect("it returns in time")
}

#[test]
fn a_killed_guest_ends_with_its_signal() {
    let launcher = Launcher::start().unwrap();
    for (mode, signal) in [("hang", libc::SIGKILL), ("hang", libc::SIGTERM), ("spin", libc::SIGHUP)]
    {
        let mut guest = start(&launcher, mode);
        let pid = guest.native_pid();
        let killer = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(20));
            kill(pid, signal);
        });
        let end = in_time(move || end(&mut guest));
        assert_eq!(end, ExitStatus::Signal { signal, has_core: false });
        killer.join().unwrap();
        eventually("it is reaped", || !exists(pid));
    }
}

#[test]
fn an_interrupter_kills_a_guest_that_never_hands_over() {
    let launcher = Launcher::start().unwrap();
    for mode in ["spin", "garbage-quietly"] {
        let mut guest = start(&launcher, mode);
        let interrupter = guest.interrupter();
        let waiting = std::thread::spawn(move || guest.wait());
        std::thread::sleep(Duration::from_millis(100));
        assert_eq!(interrupter.end(), None);
        interrupter.kill();
        assert_eq!(in_time(move || waiting.join().unwrap()), Event::Exited(KILLED));
    }
}

#[test]
fn a_guest_that_breaks_the_protocol_is_reported_once_and_killed() {
    let launcher = Launcher::start().unwrap();
    for mode in ["nonsense", "bad-copies", "close"] {
        let mut guest = start(&launcher, mode);
        let events = in_time(move || (guest.wait(), guest.wait(), guest.wait()));
        let killed = Event::Exited(KILLED);
        assert_eq!(events, (Event::Malformed, killed, killed), "{mode}");
    }
}

#[test]
fn garbage_in_all_shared_memory_does_no_harm() {
    let launcher = Launcher::start().unwrap();
    let mut guest = start(&launcher, "garbage");
    let interrupter = guest.interrupter();
    let ended = in_time(move || {
        let mut records = 0;
        for _ in 0..1_000 {
            match guest.wait() {
                Event::Exited(_) => break,
                _ => {
                    guest.drain(|_, _| records += 1);
                    let _ = (guest.take_failure(), guest.program(), guest.refused().count());
                    interrupter.interrupt(u64::MAX);
                    guest.kill();
                }
            }
        }
        guest.end()
    });
    assert_eq!(ended, Some(KILLED));
    // Others are not concerned.
    assert_eq!(run(&launcher, &command(&["/bin/true"])), ExitStatus::Code(0));
}

#[test]
fn the_memory_files_cannot_be_cut_grown_or_written_where_that_is_forbidden() {
    let launcher = Launcher::start().unwrap();
    assert_eq!(end(&mut start(&launcher, "break-files")), ExitStatus::Code(7));
}

#[test]
fn a_channel_that_was_overwritten_after_a_death_still_ends_the_wait() {
    let launcher = Launcher::start().unwrap();
    let mut guest = start(&launcher, "hang");
    guest.kill();
    eventually("it is over", || guest.end().is_some());
    guest.thread().channel.control.store(0, Relaxed);
    assert_eq!(in_time(move || guest.wait()), Event::Exited(KILLED));
}

#[test]
fn a_dropped_guest_is_dead() {
    let launcher = Launcher::start().unwrap();
    let guest = start(&launcher, "spin");
    let pid = guest.native_pid();
    drop(guest);
    assert!(!runs(pid));
    eventually("it is reaped", || !exists(pid));
}

#[test]
fn a_dropped_launcher_leaves_nothing_behind() {
    let launcher = Launcher::start().unwrap();
    let mut guests: Vec<Guest> =
        ["hang", "spin", "hang"].iter().map(|mode| start(&launcher, mode)).collect();
    let pids: Vec<u32> = guests.iter().map(Guest::native_pid).collect();
    let parent = parent_of(pids[0]);
    drop(launcher);
    assert!(pids.iter().all(|&pid| !exists(pid)), "not even zombies");
    assert!(!exists(parent));
    assert!(guests.iter_mut().all(|guest| guest.wait() == Event::Exited(KILLED)));
}

fn parent_of(pid: u32) -> u32 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    stat.rsplit(')').next().unwrap().split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn a_killed_launcher_takes_its_guests_along_and_ends_all_waits() {
    for stop_first in [false, true] {
        let launcher = Launcher::start().unwrap();
        let mut waiting = Vec::new();
        let mut pids = Vec::new();
        for mode in ["hang", "spin", "hang"] {
            let mut guest = start(&launcher, mode);
            pids.push(guest.native_pid());
            waiting.push(std::thread::spawn(move || guest.wait()));
        }
        let parent = parent_of(pids[0]);
        if stop_first {
            kill(parent, libc::SIGSTOP);
        }
        // Only this one gets to it.
        kill(parent, libc::SIGTERM);
        kill(parent, libc::SIGINT);
        kill(parent, libc::SIGKILL);
        for thread in waiting {
            let event = in_time(move || thread.join().unwrap());
            assert_eq!(event, Event::Exited(ExitStatus::Lost));
        }
        eventually("the guests are dead", || pids.iter().all(|&pid| !runs(pid)));
        let error = launcher.spawn(&memory(), &command(&["/bin/true"]), &identity()).unwrap_err();
        assert!(matches!(error, SpawnError::LauncherLost), "{error}");
        in_time(move || drop(launcher));
        assert!(!exists(parent), "reaped");
    }
}

#[test]
fn the_launcher_does_not_hear_a_terminals_signals() {
    let launcher = Launcher::start().unwrap();
    let guest = start(&launcher, "hang");
    let parent = parent_of(guest.native_pid());
    for signal in [libc::SIGINT, libc::SIGQUIT, libc::SIGTERM, libc::SIGHUP, libc::SIGPIPE] {
        kill(parent, signal);
    }
    assert_eq!(run(&launcher, &command(&["/bin/true"])), ExitStatus::Code(0));
    let stat = std::fs::read_to_string(format!("/proc/{parent}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    assert_eq!(fields[3], parent.to_string(), "a session of its own");
}

#[test]
fn the_launcher_keeps_nothing_of_the_simulator_open() {
    let (mut reader, writer) = std::io::pipe().unwrap();
    let launcher = Launcher::start().unwrap();
    let guest = start(&launcher, "hang");
    drop(writer);
    assert_eq!(in_time(move || reader.read(&mut [0]).unwrap()), 0);
    let parent = parent_of(guest.native_pid());
    // Standard streams, socket, pidfd, signals; those of the order are being closed.
    let open = || std::fs::read_dir(format!("/proc/{parent}/fd")).unwrap().count();
    eventually("six descriptors are open", || open() == 6);
}

/// Programs of this name that run, whoever started them.
fn running(name: &str) -> usize {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let names = processes.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
    names.filter(|line| line.starts_with(name.as_bytes())).count()
}

/// A program that sleeps for a minute under a name of its own.
fn sleeper(name: &str) -> shim_supervisor::Command {
    let mut sleep = command(&["/bin/sleep", "60"]);
    sleep.argv[0] = common::text(name);
    sleep
}

#[test]
fn a_launcher_killed_while_it_starts_guests_leaves_none_alive() {
    let name = format!("launched-by-{}", std::process::id());
    for round in 0..10 {
        let launcher = Launcher::start().unwrap();
        let first = start(&launcher, "hang");
        let parent = parent_of(first.native_pid());
        let killer = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_micros(2_000 + 777 * round));
            kill(parent, libc::SIGKILL);
        });
        let memory = memory();
        let mut guests = Vec::new();
        let error = loop {
            match launcher.spawn(&memory, &sleeper(&name), &identity()) {
                Ok(guest) => guests.push(guest),
                Err(error) => break error,
            }
        };
        assert!(matches!(error, SpawnError::LauncherLost), "{error}");
        killer.join().unwrap();
        for mut guest in guests {
            assert!(matches!(in_time(move || guest.wait()), Event::Exited(_)));
        }
        eventually("the guests are dead", || running(&name) == 0);
    }
}

#[test]
fn a_simulator_killed_while_it_starts_guests_leaves_none_alive() {
    for round in 0..10 {
        let mut simulator = NativeCommand::new(std::env::current_exe().unwrap())
            .args(["--exact", "fake_simulator", "--nocapture"])
            .env("FAKE_SIMULATOR", "starting")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let name = format!("started-by-{}", simulator.id());
        let output = BufReader::new(simulator.stdout.take().unwrap());
        output.lines().map(Result::unwrap).find(|line| line == "starting").unwrap();
        std::thread::sleep(Duration::from_micros(777 * round));
        simulator.kill().unwrap();
        simulator.wait().unwrap();
        eventually("the guests are dead", || running(&name) == 0);
    }
}

/// Not a test of its own: the simulator that the next test kills.
#[test]
fn fake_simulator() {
    let Ok(mode) = std::env::var("FAKE_SIMULATOR") else { return };
    if mode == "starting" {
        start_guests_for_ever();
    }
    let launcher = Launcher::start().unwrap();
    let mut guests: Vec<Guest> =
        ["hang", "spin", "loop"].iter().map(|mode| start(&launcher, mode)).collect();
    if mode == "with a copy" {
        // A copy of this process that keeps the socket open. (A copy forked from a thread: it only sleeps.)
        // SAFETY: the new process makes async-signal-safe calls only.
        if unsafe { libc::fork() } == 0 {
            // SAFETY: no pointers.
            unsafe { libc::sleep(3) };
            // SAFETY: ends the process.
            unsafe { libc::_exit(0) };
        }
    }
    print!("\npids {}", parent_of(guests[0].native_pid()));
    guests.iter().for_each(|guest| print!(" {}", guest.native_pid()));
    println!();
    loop {
        let event = guests[2].wait();
        assert!(matches!(event, Event::Request(_)), "{event:?}");
        guests[2].reply(&Reply::Complete {
            result: 0,
            copies_bytes: 0,
            is_clock_advanced: false,
            signal: None,
        });
    }
}

fn start_guests_for_ever() {
    let name = format!("started-by-{}", std::process::id());
    println!("\nstarting");
    let launcher = Launcher::start().unwrap();
    let memory = memory();
    let mut guests = Vec::new();
    loop {
        guests.push(launcher.spawn(&memory, &sleeper(&name), &identity()).unwrap());
    }
}

#[test]
fn a_killed_simulator_takes_everything_along() {
    for mode in ["alone", "with a copy"] {
        let mut simulator = NativeCommand::new(std::env::current_exe().unwrap())
            .args(["--exact", "fake_simulator", "--nocapture"])
            .env("FAKE_SIMULATOR", mode)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(simulator.stdout.take().unwrap());
        let line =
            output.lines().map(Result::unwrap).find(|line| line.starts_with("pids ")).unwrap();
        let pids: Vec<u32> =
            line.split_whitespace().skip(1).map(|pid| pid.parse().unwrap()).collect();
        assert_eq!(pids.len(), 4);
        assert!(pids.iter().all(|&pid| runs(pid)));
        simulator.kill().unwrap();
        let start = std::time::Instant::now();
        eventually("all are dead", || pids.iter().all(|&pid| !runs(pid)));
        assert!(start.elapsed() < Duration::from_secs(2), "not only when the copy ended");
        simulator.wait().unwrap();
    }
}
