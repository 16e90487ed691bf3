//! Guests that make no call: who computes is preempted, who waits or is served is left alone.
//!
//! Modes of fake guests in; the requests that they come to make out. Always true: a fake guest ends by itself
//! after a second of processor time, so a watchdog that does nothing shows as an exit status, not as a hang.

mod common;

use std::time::{Duration, Instant};

use common::{end, fake, identity, memory};
use shim_abi::SimTime;
use shim_abi::event::{Reply, Request};
use shim_supervisor::{Event, ExitStatus, Guest, Launcher};

const PATIENCE: Duration = Duration::from_millis(50);
const COMPLETE: Reply =
    Reply::Complete { result: 0, copies_bytes: 0, is_clock_advanced: false, signal: None };

#[test]
fn fake_guest() {
    fake::enter();
}

fn start(launcher: &Launcher, mode: &str) -> Guest {
    let memory = memory();
    memory.set_run_until(SimTime::MAX);
    let mut guest = launcher.spawn(&memory, &fake::command(mode), &identity()).unwrap();
    assert_eq!(guest.wait(), Event::Request(Request::Start));
    guest.reply(&Reply::Started);
    guest
}

#[test]
fn who_computes_is_preempted_again_and_again() {
    let launcher = Launcher::start().unwrap();
    let mut guest = start(&launcher, "compute");
    for _ in 0..3 {
        let began = Instant::now();
        assert_eq!(guest.wait_watched(Some(PATIENCE)), Event::Request(Request::Preempted));
        assert!(began.elapsed() >= PATIENCE);
        guest.reply(&COMPLETE);
    }
    assert_eq!(end(&mut guest), ExitStatus::Code(3));
}

#[test]
fn who_is_not_watched_computes_to_its_end() {
    let launcher = Launcher::start().unwrap();
    let mut guest = start(&launcher, "compute");
    assert_eq!(guest.wait(), Event::Exited(ExitStatus::Code(0)));
    let mut patient = start(&launcher, "compute");
    let limit = Some(Duration::from_secs(3600));
    assert_eq!(patient.wait_watched(limit), Event::Exited(ExitStatus::Code(0)));
}

#[test]
fn calls_are_signs_of_life() {
    let launcher = Launcher::start().unwrap();
    // Many local calls, which nobody hears of.
    let mut guest = start(&launcher, "compute-and-call");
    assert_eq!(guest.wait_watched(Some(PATIENCE)), Event::Exited(ExitStatus::Code(0)));
}

#[test]
fn who_waits_or_is_served_is_left_alone() {
    let launcher = Launcher::start().unwrap();
    // In its shim, on the processor all the time.
    let mut served = start(&launcher, "served");
    assert_eq!(served.wait_watched(Some(PATIENCE)), Event::Exited(ExitStatus::Code(0)));
    // In its own code, without a processor.
    let mut stopped = start(&launcher, "wait-long");
    assert_eq!(stopped.wait_watched(Some(PATIENCE)), Event::Exited(ExitStatus::Code(0)));
}
