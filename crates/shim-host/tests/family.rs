//! Hosts whose guests make threads and processes: the order in which they run, ends at every moment, and nothing that
//! grows.
//!
//! Guests are fakes that keep to the protocol (`common/fake/family.rs`). The real library is tested at top level.

mod common;

use std::alloc::System;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use common::{Notes, fake, host, host_with};
use shim_abi::{SimDuration, SimTime};
use shim_host::config::Watchdog;
use shim_host::{Host, HostConfig, ProcessEnd};

#[global_allocator]
static ALLOCATOR: shim_arena::ScopedAllocator<System> = shim_arena::ScopedAllocator::new(System);

#[test]
fn fake_guest() {
    fake::enter();
}

/// Run a guest to the end of everything; what was told, and the host.
fn run(mode: &str) -> (Vec<String>, Host) {
    let mut host = host();
    let mut notes = Notes::default();
    let pid = host.spawn(&fake::command(mode)).unwrap();
    loop {
        host.step(SimTime::ZERO, SimTime::MAX, &mut notes);
        if !host.look_for_dead(&mut notes) {
            break;
        }
    }
    assert_eq!(host.waiting(), [], "{mode}: {:?}", notes.0);
    assert!(host.end_of(pid).is_some());
    (notes.0, host)
}

fn expect(mode: &str, status: i32) -> Vec<String> {
    let (notes, host) = run(mode);
    assert_eq!(host.end_of(1000), Some(ProcessEnd::Exited(status)), "{mode}: {notes:?}");
    notes
}

/// The lines of log records: process, time, text.
fn said(notes: &[String]) -> Vec<(u32, u64, &str)> {
    let record = |line: &'_ String| line.contains(" INFO ");
    let lines = notes.iter().filter(|line| record(line));
    lines
        .map(|line| {
            let words: Vec<&str> = line.splitn(6, ' ').collect();
            (words[2].parse().unwrap(), words[3].parse().unwrap(), words[5])
        })
        .collect()
}

#[test]
fn thousands_of_threads_and_processes_leave_nothing() {
    for (few, many) in [("threads-20", "threads-3000"), ("processes-20", "processes-1000")] {
        let (_, host) = run(few);
        let bytes = host.kernel_bytes();
        let (notes, host) = run(many);
        assert_eq!(host.end_of(1000), Some(ProcessEnd::Exited(0)), "{notes:?}");
        let grown = host.kernel_bytes().saturating_sub(bytes);
        assert!(grown < 4096, "{many}: {grown} bytes");
        let made = host.census().threads - 1;
        assert!(many.ends_with(&format!("-{made}")), "{many}: {made} were made");
        assert_eq!(host.end_of(1001), None, "only those that the owner started are remembered");
    }
}

#[test]
fn threads_share_the_processor_in_slices_and_time_never_goes_back() {
    let notes = expect("slices", 0);
    let said = said(&notes);
    assert_eq!(said.len(), 100);
    assert!(said.is_sorted_by_key(|&(_, time, _)| time), "{said:?}");
    let mut turns = Vec::new();
    for (pid, time, _) in said {
        match turns.last_mut() {
            Some((last, _, count)) if *last == pid => *count += 1,
            _ => turns.push((pid, time, 1)),
        }
    }
    assert!((8..=14).contains(&turns.len()), "{turns:?}");
    let counts: Vec<_> = turns.iter().map(|&(_, _, count)| count).collect();
    // The last of each is what is left.
    let (whole, _) = counts.split_at(counts.len() - 2);
    assert!(whole.iter().all(|count| (8..=13).contains(count)), "{turns:?}");
    assert!(!whole.iter().all(|count| count == &whole[0]), "slices keep step: {turns:?}");
    assert!(turns.is_sorted_by(|a, b| a.1 + 100_000 <= b.1), "{turns:?}");
}

#[test]
fn who_sleeps_is_woken_on_time_although_somebody_computes() {
    expect("wakes", 0);
}

#[test]
fn steps_of_any_length_come_to_the_same() {
    for mode in ["slices", "crowd-6"] {
        let whole = expect(mode, 0);
        for step in [40_000, 333_333] {
            let mut host = host();
            let mut notes = Notes::default();
            host.spawn(&fake::command(mode)).unwrap();
            let mut now = SimTime::ZERO;
            while host.next_event().is_some() {
                let until = now + SimDuration::from_ns(step);
                host.step(now, until, &mut notes);
                now = until;
            }
            assert_eq!(notes.0, whole, "{mode} in steps of {step} ns");
        }
    }
}

#[test]
fn a_noisy_machine_changes_nothing() {
    static IS_OVER: AtomicBool = AtomicBool::new(false);
    let quiet = expect("crowd-20", 0);
    let noise: Vec<_> = (0..4)
        .map(|_| {
            std::thread::spawn(|| {
                while !IS_OVER.load(Relaxed) {
                    std::hint::spin_loop();
                }
            })
        })
        .collect();
    let runs: Vec<_> = (0..3).map(|_| expect("crowd-20", 0)).collect();
    IS_OVER.store(true, Relaxed);
    noise.into_iter().for_each(|thread| thread.join().unwrap());
    assert!(runs.iter().all(|notes| *notes == quiet));
    assert!(said(&quiet).is_sorted_by_key(|&(_, time, _)| time));
}

#[test]
fn a_process_that_is_killed_natively_is_waited_for_like_any_other() {
    for moment in ["unborn", "born", "parked", "running", "stopped"] {
        let notes = expect(&format!("kill-{moment}"), 0);
        assert!(notes.iter().any(|line| line.contains(" 1001 ") && line.ends_with("Killed(9)")));
    }
}

#[test]
fn a_grandchild_of_which_nobody_told_is_not_there() {
    let notes = expect("orphan", 0);
    assert!(!notes.iter().any(|line| line.contains("lives")), "{notes:?}");
    let ended = notes.iter().filter(|line| line.contains("Exited(3)")).count();
    assert_eq!(ended, 10);
}

#[test]
fn a_process_ends_with_its_last_thread_and_that_ones_status() {
    let notes = expect("leader", 0);
    assert_eq!(said(&notes).len(), 1);
    assert_eq!(said(&notes)[0].2, "last");
}

#[test]
fn any_thread_ends_them_all() {
    expect("group-exit", 8);
}

#[test]
fn a_thread_that_executes_an_image_becomes_its_processs_first() {
    expect("exec", 0);
}

#[test]
fn a_parent_waits_until_its_vfork_child_has_left() {
    let notes = expect("vfork", 0);
    let texts: Vec<_> = said(&notes).into_iter().map(|(_, _, text)| text).collect();
    assert_eq!(texts, ["child", "parent"]);
}

#[test]
fn who_names_another_process_as_its_child_is_killed_and_named() {
    let (notes, host) = run("liar");
    assert_eq!(host.end_of(1000), Some(ProcessEnd::Killed(9)));
    assert!(notes.iter().any(|line| line.contains("ERROR killed:")), "{notes:?}");
}

#[test]
fn the_thread_that_computes_is_preempted_and_no_other() {
    let watchdog = Watchdog { wall: Duration::from_millis(20), quantum: SimDuration::from_secs(2) };
    let mut host = host_with(|config| HostConfig { watchdog: Some(watchdog), ..config });
    let pid = host.spawn(&fake::command("busy")).unwrap();
    host.step(SimTime::ZERO, SimTime::MAX, &mut ());
    assert_eq!(host.end_of(pid), Some(ProcessEnd::Exited(0)));
    assert_eq!(host.preemptions()[0].count, 1);
}

#[test]
fn a_persons_signal_goes_to_those_who_hear_the_terminal() {
    let mut host = host();
    let mut notes = Notes::default();
    host.spawn(&fake::command("session")).unwrap();
    host.step(SimTime::ZERO, SimTime::MAX, &mut notes);
    assert_eq!(host.waiting().len(), 3);
    host.interrupter().interrupt(2);
    host.step(SimTime::ZERO, SimTime::MAX, &mut notes);
    let left = host.waiting();
    assert_eq!((left.len(), left[0].pid), (1, 1002), "{:?}", notes.0);
    assert_eq!(notes.0.iter().filter(|line| line.ends_with("Killed(2)")).count(), 2);
    host.kill_all(&mut notes);
}

#[test]
fn a_run_can_end_with_its_first_process() {
    let mut host = host();
    let pid = host.spawn(&fake::command("background")).unwrap();
    let outcome = host.step_to_end_of(pid, SimTime::ZERO, SimTime::MAX, &mut ());
    assert_eq!(host.end_of(pid), Some(ProcessEnd::Exited(2)));
    assert_eq!(outcome.process_count, 4);
    assert!(outcome.now < SimTime::from_ns(3_600_000_000_000));
    let others = host.waiting();
    assert!(others.iter().map(|one| one.pid).eq(1001..1005));
    assert!(others.iter().all(|one| one.call == "nanosleep"));
    host.kill_all(&mut ());
    assert_eq!(host.waiting(), []);
    assert_eq!(host.next_event(), None);
}

#[test]
fn kills_at_any_moment_end_the_run() {
    let begin = Instant::now();
    for round in 0..20 {
        let mut host = host();
        host.spawn(&fake::command("crowd-10")).unwrap();
        let interrupter = host.interrupter();
        let killer = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_micros(3_000 + 1_777 * round));
            interrupter.kill();
        });
        host.step(SimTime::ZERO, SimTime::MAX, &mut ());
        killer.join().unwrap();
        host.kill_all(&mut ());
        assert_eq!(host.waiting(), []);
        assert!(begin.elapsed() < Duration::from_secs(60));
    }
}
