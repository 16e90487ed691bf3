//! A host and its guests: time, waits, ends, and what is told of them.
//!
//! Guests are fakes that keep to the protocol (`common/fake.rs`). The real library is tested at top level.

mod common;

use std::alloc::System;
use std::time::Duration;

use common::{Notes, fake, host, host_with};
use shim_abi::calls::nr;
use shim_abi::{SimDuration, SimTime};
use shim_host::config::{ClockJump, ClockSettings, Rate, Watchdog};
use shim_host::{HostConfig, Lack, LackKind, ProcessEnd};

#[global_allocator]
static ALLOCATOR: shim_arena::ScopedAllocator<System> = shim_arena::ScopedAllocator::new(System);

#[test]
fn fake_guest() {
    fake::enter();
}

/// Run one fake guest to the end of everything; what was told, and how it ended.
fn run(mode: &str) -> (Vec<String>, Option<ProcessEnd>) {
    let mut host = host();
    let mut notes = Notes::default();
    let pid = host.spawn(&fake::command(mode)).unwrap();
    assert_eq!(pid, 1000);
    let outcome = host.step(SimTime::ZERO, SimTime::MAX, &mut notes);
    assert_eq!(outcome.process_count, host.waiting().len());
    (notes.0, host.end_of(pid))
}

#[test]
fn sleeps_take_simulated_time_only() {
    let (notes, end) = run("sleep");
    assert_eq!(end, Some(ProcessEnd::Exited(3)));
    assert_eq!(
        notes,
        [
            format!("alice fake 1000 3601000003000 call {}", nr::exit_group),
            "alice fake 1000 3601000003000 Exited(3)".to_owned(),
        ]
    );
}

#[test]
fn a_guest_that_polls_stops_at_the_next_event() {
    let (notes, end) = run("poll");
    assert_eq!(end, Some(ProcessEnd::Exited(4)), "{notes:?}");
    assert!(notes.iter().any(|line| line.ends_with("signal 14")), "{notes:?}");
}

#[test]
fn steps_of_any_length_come_to_the_same() {
    let (whole, _) = run("sleep");
    let mut host = host();
    let mut notes = Notes::default();
    host.spawn(&fake::command("sleep")).unwrap();
    let mut now = SimTime::ZERO;
    let mut steps = 0;
    while let Some(next) = host.next_event() {
        // The owner of time is slow at first, and then goes from event to event.
        let until = if steps < 5 { now + SimDuration::from_ns(300_000_000) } else { next };
        let until = until.max(now + SimDuration::from_ns(1));
        let outcome = host.step(now, until, &mut notes);
        assert!(outcome.now <= until + fake::LATENCY, "at most a call's time too far");
        now = until;
        steps += 1;
        assert!(steps < 50);
    }
    assert_eq!(notes.0, whole);
}

#[test]
fn who_waits_for_ever_is_known_and_can_be_killed() {
    let mut host = host();
    let mut notes = Notes::default();
    let pid = host.spawn(&fake::command("pause")).unwrap();
    let outcome = host.step(SimTime::ZERO, SimTime::MAX, &mut notes);
    assert_eq!((outcome.next_event, outcome.process_count), (None, 1));
    let waiting = host.waiting();
    assert_eq!((waiting[0].program.as_str(), waiting[0].call.as_str()), ("fake", "pause"));
    host.kill_all(&mut notes);
    assert_eq!(host.end_of(pid), Some(ProcessEnd::Killed(9)));
    assert_eq!(
        notes.0,
        [
            format!("alice fake 1000 1000 unfinished {}", nr::pause),
            "alice fake 1000 1000 Killed(9)".to_owned(),
        ]
    );
    assert!(host.waiting().is_empty());
}

#[test]
fn who_dies_natively_while_it_waits_is_buried() {
    let mut host = host();
    let mut notes = Notes::default();
    let pid = host.spawn(&fake::command("pause")).unwrap();
    host.step(SimTime::ZERO, SimTime::MAX, &mut notes);
    host.interrupter().kill();
    while host.end_of(pid).is_none() {
        host.step(SimTime::ZERO, SimTime::MAX, &mut notes);
    }
    assert_eq!(host.end_of(pid), Some(ProcessEnd::Killed(9)));
    assert_eq!(notes.0.len(), 2, "{:?}", notes.0);
}

#[test]
fn signals_from_outside_reach_handlers_and_kill_where_there_is_none() {
    for (signal, expected) in [(10, ProcessEnd::Exited(10)), (2, ProcessEnd::Killed(2))] {
        let mut host = host();
        let mut notes = Notes::default();
        let pid = host.spawn(&fake::command("pause")).unwrap();
        host.step(SimTime::ZERO, SimTime::MAX, &mut notes);
        assert_eq!(host.end_of(pid), None);
        let interrupter = host.interrupter();
        std::thread::spawn(move || interrupter.interrupt(signal)).join().unwrap();
        host.step(SimTime::ZERO, SimTime::MAX, &mut notes);
        assert_eq!(host.end_of(pid), Some(expected), "{:?}", notes.0);
    }
}

#[test]
fn what_a_guest_tells_is_counted_for_the_program_that_ran() {
    let mut host = host();
    let mut notes = Notes::default();
    host.spawn(&fake::command("tell")).unwrap();
    host.step(SimTime::ZERO, SimTime::MAX, &mut notes);
    assert_eq!(
        notes.0,
        [
            "alice fake 1000 5 WARN careful".to_owned(),
            format!("alice fake 1000 5 call {}", nr::getpid),
            "alice other 1000 5 INFO last words".to_owned(),
            "alice other 1000 5 Exited(0)".to_owned(),
        ]
    );
    let lack = |program: &str, kind, count| Lack { program: program.to_owned(), kind, count };
    assert_eq!(
        host.lacks(),
        [
            lack("fake", LackKind::Call(nr::socket), 2),
            lack("fake", LackKind::Other("ioctl 0x1".to_owned()), 1),
            lack("other", LackKind::Call(nr::socket), 1),
        ]
    );
    let failures = host.failures();
    assert_eq!((failures.len(), failures[0].text.as_str()), (1, "panicked at a.rs:1"));
}

#[test]
fn a_guest_that_breaks_the_rules_is_killed_and_named() {
    for mode in ["unasked", "stay"] {
        let (notes, end) = run(mode);
        assert_eq!(end, Some(ProcessEnd::Killed(9)), "{mode}");
        assert!(notes.iter().any(|line| line.contains("ERROR killed:")), "{mode}: {notes:?}");
    }
}

#[test]
fn a_crash_is_told_with_its_signal() {
    let (_, end) = run("crash");
    assert_eq!(end, Some(ProcessEnd::Killed(6)));
}

#[test]
fn what_the_kernel_changes_is_published() {
    let (notes, end) = run("group");
    assert_eq!(end, Some(ProcessEnd::Exited(0)), "{notes:?}");
}

#[test]
fn a_program_without_a_shim_is_an_ordinary_end_and_is_named() {
    let mut host = host();
    let pid = host.spawn(&fake::command("no-shim")).unwrap();
    host.step(SimTime::ZERO, SimTime::MAX, &mut ());
    assert_eq!(host.end_of(pid), Some(ProcessEnd::Exited(6)));
    assert!(matches!(&host.lacks()[0].kind, LackKind::Other(text) if text.contains("shim was up")));
}

#[test]
fn processes_take_turns_in_simulated_time() {
    let run_both = || {
        let mut host = host();
        let mut notes = Notes::default();
        let first = host.spawn(&fake::command("sleep-beside-others")).unwrap();
        let second = host.spawn(&fake::command("poll")).unwrap();
        assert_eq!((first, second), (1000, 1001));
        host.step(SimTime::ZERO, SimTime::MAX, &mut notes);
        assert_eq!(host.end_of(first), Some(ProcessEnd::Exited(3)));
        assert_eq!(host.end_of(second), Some(ProcessEnd::Exited(4)));
        notes.0
    };
    assert_eq!(run_both(), run_both());
}

#[test]
fn a_host_has_clocks_of_its_own() {
    let jumps = vec![ClockJump { at: SimTime::from_ns(1_000_000_000), by_ns: -100 }];
    let rate = Rate::from_ppb(50_000).unwrap();
    let clock = ClockSettings { offset_ns: 7, rate, jumps };
    let mut host = host_with(|config| HostConfig { clock, ..config });
    let pid = host.spawn(&fake::command("clocks")).unwrap();
    host.step(SimTime::ZERO, SimTime::MAX, &mut ());
    assert_eq!(host.end_of(pid), Some(ProcessEnd::Exited(5)));
    assert!(host.is_reproducible());
}

/// A host whose guests may compute for 20 ms without a call, and are charged 2 s then.
fn watched_host() -> shim_host::Host {
    let watchdog = Watchdog { wall: Duration::from_millis(20), quantum: SimDuration::from_secs(2) };
    host_with(|config| HostConfig { watchdog: Some(watchdog), ..config })
}

#[test]
fn who_makes_no_call_is_preempted_if_something_waits_for_it() {
    let mut host = watched_host();
    let mut notes = Notes::default();
    let pid = host.spawn(&fake::command("compute-with-alarm")).unwrap();
    let outcome = host.step(SimTime::ZERO, SimTime::MAX, &mut notes);
    assert_eq!(host.end_of(pid), Some(ProcessEnd::Exited(3)), "{:?}", notes.0);
    assert_eq!(outcome.now.as_ns() / 1_000_000_000, 6);
    assert!(!host.is_reproducible());
    let list = host.preemptions();
    assert_eq!((list.len(), list[0].program.as_str(), list[0].count), (1, "fake", 3));
    assert_eq!(notes.0.iter().filter(|line| line.ends_with(" preempted")).count(), 3);

    // The end of the step waits for it, too.
    let mut host = watched_host();
    let pid = host.spawn(&fake::command("compute")).unwrap();
    let outcome = host.step(SimTime::ZERO, SimTime::from_ns(3_000_000_000), &mut ());
    assert_eq!((host.end_of(pid), outcome.process_count), (None, 1));
    host.kill_all(&mut ());

    // And so does another guest that is ready.
    let mut host = watched_host();
    let pids =
        ["compute", "sleep-beside-others"].map(|mode| host.spawn(&fake::command(mode)).unwrap());
    host.step(SimTime::ZERO, SimTime::MAX, &mut ());
    assert_eq!(host.end_of(pids[1]), Some(ProcessEnd::Exited(3)));
    assert!(host.end_of(pids[0]) != Some(ProcessEnd::Exited(0)));
}

#[test]
fn a_computation_that_nobody_waits_for_is_left_alone() {
    let mut host = watched_host();
    let pid = host.spawn(&fake::command("compute")).unwrap();
    host.step(SimTime::ZERO, SimTime::MAX, &mut ());
    assert_eq!(host.end_of(pid), Some(ProcessEnd::Exited(0)));
    assert!(host.is_reproducible());

    let mut host = host_with(|config| HostConfig { watchdog: None, ..config });
    let pid = host.spawn(&fake::command("compute-with-alarm")).unwrap();
    host.step(SimTime::ZERO, SimTime::MAX, &mut ());
    assert_eq!(host.end_of(pid), Some(ProcessEnd::Exited(0)));
}
