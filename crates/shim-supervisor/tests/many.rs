//! A thousand guests of one host, in a process that may have few descriptors.
//!
//! Guests are fakes. Always true: the number of descriptors does not grow with the number of guests.
//!
//! # Safety
//!
//! Unsafe here: this process's limits, set through the C library.
#![allow(unsafe_code)]

mod common;

use common::{command, end, exists, fake, identity, memory};
use shim_abi::event::{Reply, Request};
use shim_supervisor::{Event, ExitStatus, Guest, Launcher, SpawnError};

const GUESTS: usize = 1_000;

#[test]
fn fake_guest() {
    fake::enter();
}

#[test]
fn a_thousand_guests_at_once() {
    let few = libc::rlimit { rlim_cur: 64, rlim_max: 1 << 14 };
    // SAFETY: the pointer is valid for one limit.
    unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &few) };
    let launcher = Launcher::start().unwrap();
    let memory = memory();
    let spawn = || launcher.spawn(&memory, &fake::command("loop"), &identity()).unwrap();
    let mut guests: Vec<Guest> = (0..GUESTS).map(|_| spawn()).collect();
    for guest in &mut guests {
        assert_eq!(guest.wait(), Event::Request(Request::Start));
        guest.reply(&Reply::Started);
    }
    for _ in 0..3 {
        for (n, guest) in guests.iter_mut().enumerate() {
            assert_eq!(guest.process_index() as usize, n);
            assert!(matches!(guest.wait(), Event::Request(Request::Syscall { number: 39, .. })));
            guest.reply(&Reply::Complete {
                result: 0,
                copies_bytes: 0,
                is_clock_advanced: false,
                signal: None,
            });
        }
    }
    let pids: Vec<u32> = guests.iter().map(Guest::native_pid).collect();
    drop(launcher);
    assert!(pids.iter().all(|&pid| !exists(pid)), "not even zombies");
    assert!(guests.iter().all(|guest| guest.end().is_some()));
}

#[test]
fn many_threads_start_guests_and_a_full_host_refuses() {
    let launcher = Launcher::start().unwrap();
    let memory = memory();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for n in 0..50 {
                    let code = n.to_string();
                    let exit = command(&["/bin/sh", "-c", "exit $0", &code]);
                    let mut guest = launcher.spawn(&memory, &exit, &identity()).unwrap();
                    assert_eq!(end(&mut guest), ExitStatus::Code(n));
                }
            });
        }
    });
    let sleep = command(&["/bin/sleep", "60"]);
    let spawn = || launcher.spawn(&memory, &sleep, &identity());
    let mut guests: Vec<Guest> =
        (0..shim_abi::region::MAX_PROCESSES).map(|_| spawn().unwrap()).collect();
    assert!(matches!(spawn(), Err(SpawnError::TooMany)));
    guests.pop();
    assert!(spawn().is_ok());
}
