//! Waiting for whichever of several guests speaks first, and a descriptor that can be polled for that.
//!
//! Fake guests in; who is told of, in which state, out. Always true: no test depends on who is first, and none waits for
//! ever. What is said is tested in `guest.rs`.

mod common;

use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use common::{fake, identity, library, memory};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::time::Timespec;
use shim_abi::SimTime;
use shim_abi::event::{Reply, Request};
use shim_supervisor::{Event, ExitStatus, Guest, HostMemory, Launcher, Lookout};

const NOW: Option<Duration> = Some(Duration::ZERO);

#[test]
fn fake_guest() {
    fake::enter();
}

fn host() -> Arc<HostMemory> {
    library();
    let memory = memory();
    memory.set_run_until(SimTime::MAX);
    memory
}

/// A guest, on the list under its place in `guests`.
fn add(lookout: &Lookout, launcher: &Launcher, mode: &str, guests: &mut Vec<Guest>) {
    let guest = launcher.spawn(&host(), &fake::command(mode), &identity()).unwrap();
    lookout.add(guests.len() as u64, &guest, true);
    guests.push(guest);
}

fn reply(lookout: &Lookout, guests: &mut [Guest], number: u64) {
    let complete =
        Reply::Complete { result: 0, copies_bytes: 0, is_clock_advanced: false, signal: None };
    lookout.expect(number);
    guests[number as usize].reply(&complete);
}

fn begin(lookout: &Lookout, guests: &mut [Guest], number: u64) {
    lookout.expect(number);
    guests[number as usize].reply(&Reply::Started);
}

/// Take the next piece of news.
fn next(lookout: &Lookout, guests: &mut [Guest]) -> (u64, Event) {
    let number = lookout.wait(None).expect("it waits for ever");
    let event = guests[number as usize].look().expect("there is news");
    match event {
        Event::Exited(_) => lookout.remove(number),
        _ => lookout.rest(number),
    }
    (number, event)
}

#[test]
fn everybody_is_heard() {
    let launcher = Launcher::start().unwrap();
    let lookout = Lookout::new(&launcher);
    let mut guests = Vec::new();
    // The first has control all the time and says nothing.
    for mode in ["hang", "loop", "loop"] {
        add(&lookout, &launcher, mode, &mut guests);
    }
    let mut said: Vec<u64> = Vec::new();
    for _ in 0..3 {
        let (number, event) = next(&lookout, &mut guests);
        assert_eq!(event, Event::Request(Request::Start));
        said.push(number);
    }
    said.sort_unstable();
    assert_eq!(said, [0, 1, 2]);
    assert_eq!(lookout.wait(NOW), None, "nobody has been answered");
    for number in [2, 0, 1] {
        begin(&lookout, &mut guests, number);
    }
    let mut calls = [0; 3];
    for _ in 0..300 {
        let (number, event) = next(&lookout, &mut guests);
        assert!(matches!(event, Event::Request(Request::Syscall { number: 39, .. })), "{event:?}");
        calls[number as usize] += 1;
        reply(&lookout, &mut guests, number);
    }
    // Each has been answered and makes one more call.
    for _ in 0..2 {
        let (number, _) = next(&lookout, &mut guests);
        calls[number as usize] += 1;
    }
    assert_eq!(lookout.wait(NOW), None, "the others wait for answers");
    assert!(calls[0] == 0 && calls[1] > 0 && calls[2] > 0, "{calls:?}");
}

#[test]
fn the_death_of_one_that_waits_for_a_reply_is_news() {
    let launcher = Launcher::start().unwrap();
    let lookout = Lookout::new(&launcher);
    let mut guests = Vec::new();
    add(&lookout, &launcher, "loop", &mut guests);
    add(&lookout, &launcher, "hang", &mut guests);
    let starts = [next(&lookout, &mut guests).0, next(&lookout, &mut guests).0];
    assert_eq!(starts[0] + starts[1], 1);
    // This one has control and says nothing; the other one waits and dies.
    begin(&lookout, &mut guests, 1);
    let interrupter = guests[0].interrupter();
    let killer = std::thread::spawn(move || interrupter.kill());
    let killed = ExitStatus::Signal { signal: libc::SIGKILL, has_core: false };
    assert_eq!(next(&lookout, &mut guests), (0, Event::Exited(killed)));
    killer.join().unwrap();
    assert_eq!(lookout.wait(NOW), None, "it is told once");
    guests[1].kill();
    assert_eq!(next(&lookout, &mut guests), (1, Event::Exited(killed)));
}

#[test]
fn waits_end_at_their_limit_and_when_somebody_asks() {
    let launcher = Launcher::start().unwrap();
    let lookout = Lookout::new(&launcher);
    let mut guests = Vec::new();
    assert_eq!(lookout.wait(Some(Duration::from_millis(1))), None);
    add(&lookout, &launcher, "hang", &mut guests);
    assert_eq!(next(&lookout, &mut guests).0, 0);
    begin(&lookout, &mut guests, 0);
    assert_eq!(lookout.wait(Some(Duration::from_millis(1))), None);
    std::thread::scope(|scope| {
        scope.spawn(|| lookout.wake());
        assert_eq!(lookout.wait(None), None);
    });
    lookout.wake();
    assert_eq!(lookout.wait(None), None, "the next wait ends, if none is under way");
}

#[test]
fn who_is_waited_for_alone_is_nobodys_news() {
    let launcher = Launcher::start().unwrap();
    let lookout = Lookout::new(&launcher);
    let mut guests = Vec::new();
    add(&lookout, &launcher, "loop", &mut guests);
    lookout.take(0);
    assert_eq!(guests[0].wait(), Event::Request(Request::Start));
    assert_eq!(lookout.wait(NOW), None);
    lookout.rest(0);
    begin(&lookout, &mut guests, 0);
    assert!(matches!(next(&lookout, &mut guests), (0, Event::Request(Request::Syscall { .. }))));
}

#[test]
fn more_guests_than_can_be_slept_on_are_heard() {
    const MANY: usize = 140;
    let launcher = Launcher::start().unwrap();
    let lookout = Lookout::new(&launcher);
    let (memory, mut guests) = (host(), Vec::new());
    for number in 0..MANY {
        let guest = launcher.spawn(&memory, &fake::command("loop"), &identity()).unwrap();
        lookout.add(number as u64, &guest, true);
        guests.push(guest);
    }
    let mut started = [false; MANY];
    for _ in 0..MANY {
        let (number, event) = next(&lookout, &mut guests);
        assert_eq!(event, Event::Request(Request::Start));
        assert!(!std::mem::replace(&mut started[number as usize], true), "{number} says it again");
    }
    guests.iter().for_each(Guest::kill);
    for _ in 0..MANY {
        assert!(matches!(next(&lookout, &mut guests), (_, Event::Exited(_))));
    }
    assert_eq!(lookout.wait(NOW), None);
}

#[test]
fn those_who_break_the_rules_keep_nobody_waiting() {
    for mode in ["garbage", "garbage-quietly", "close", "nonsense"] {
        let launcher = Launcher::start().unwrap();
        let lookout = Lookout::new(&launcher);
        let mut guests = Vec::new();
        add(&lookout, &launcher, mode, &mut guests);
        add(&lookout, &launcher, "loop", &mut guests);
        let starts = [next(&lookout, &mut guests).0, next(&lookout, &mut guests).0];
        assert_eq!(starts[0] + starts[1], 1);
        begin(&lookout, &mut guests, 0);
        begin(&lookout, &mut guests, 1);
        // Whatever the one does, the other one is heard.
        loop {
            let Some(number) = lookout.wait(None) else { continue };
            match guests[number as usize].look() {
                Some(Event::Exited(_)) => {
                    lookout.remove(number);
                    break assert_eq!(number, 0, "{mode}");
                }
                Some(Event::Request(_)) if number == 1 => {
                    reply(&lookout, &mut guests, 1);
                    // It may say nothing more, and would live for ever.
                    guests[0].kill();
                }
                Some(_) => lookout.rest(number),
                None => lookout.expect(number),
            }
        }
    }
}

/// Whether the descriptor is readable, now or soon.
fn is_readable(lookout: &Lookout, seconds: i64) -> bool {
    let descriptor = lookout.descriptor().unwrap();
    let mut polled = [PollFd::from_borrowed_fd(descriptor.as_fd(), PollFlags::IN)];
    let limit = Timespec { tv_sec: seconds, tv_nsec: 0 };
    poll(&mut polled, Some(&limit)).unwrap() == 1
}

#[test]
fn a_descriptor_tells_of_news_until_all_is_taken() {
    const SOON: i64 = 20;
    let launcher = Launcher::start().unwrap();
    let lookout = Lookout::new(&launcher);
    assert!(!is_readable(&lookout, 0));
    let mut guests = Vec::new();
    add(&lookout, &launcher, "loop", &mut guests);
    assert!(is_readable(&lookout, SOON));
    assert_eq!(next(&lookout, &mut guests).0, 0);
    assert!(is_readable(&lookout, 0), "nobody has found that there is nothing more");
    for round in 0..100 {
        assert_eq!(lookout.wait(NOW), None);
        assert!(!is_readable(&lookout, 0));
        if round == 0 {
            begin(&lookout, &mut guests, 0);
        } else {
            reply(&lookout, &mut guests, 0);
        }
        assert!(is_readable(&lookout, SOON));
        assert_eq!(next(&lookout, &mut guests).0, 0);
    }
    assert_eq!(lookout.wait(NOW), None);
    guests[0].kill();
    assert!(is_readable(&lookout, SOON), "a death is news");
    assert!(matches!(next(&lookout, &mut guests), (0, Event::Exited(_))));
    assert_eq!(lookout.wait(NOW), None);
    assert!(!is_readable(&lookout, 0));
}
