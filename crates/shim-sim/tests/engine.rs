//! A whole simulation of one host, with fake guests.
//!
//! Modes of fake guests in; how the simulation ended and what was written out. Scenarios with many hosts
//! and real programs are tests of the whole (`tests/run.rs`).

#[path = "../../shim-host/tests/common/mod.rs"]
mod common;

use std::alloc::System;
use std::io::Write;
use std::sync::mpsc::{Sender, channel};

use common::{fake, host};
use shim_host::ProcessEnd;
use shim_sim::engine::{Ending, run};
use shim_sim::output::Output;

#[global_allocator]
static ALLOCATOR: shim_arena::ScopedAllocator<System> = shim_arena::ScopedAllocator::new(System);

#[test]
fn fake_guest() {
    fake::enter();
}

struct ToChannel(Sender<Vec<u8>>);

impl Write for ToChannel {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.send(bytes.to_vec()).map_err(std::io::Error::other)?;
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Run one fake guest; how the simulation and the process ended, the log and the trace.
fn simulate(mode: &str) -> (Ending, Option<ProcessEnd>, String, String) {
    let (log_to, log) = channel();
    let (trace_to, trace) = channel();
    let mut output = Output::new(Box::new(ToChannel(log_to)), Some(Box::new(ToChannel(trace_to))));
    let mut host = host();
    let pid = host.spawn(&fake::command(mode)).unwrap();
    let ending = run(&mut host, pid, &mut output);
    assert!(host.waiting().is_empty(), "guests are left");
    output.finish().unwrap();
    let [log, trace] =
        [log, trace].map(|lines| String::from_utf8(lines.iter().flatten().collect()).unwrap());
    (ending, host.end_of(pid), log, trace)
}

#[test]
fn a_simulation_ends_with_its_process() {
    let (ending, end, log, trace) = simulate("sleep");
    assert_eq!((ending, end), (Ending::Completed(Vec::new()), Some(ProcessEnd::Exited(3))));
    assert_eq!(log, "");
    assert_eq!(
        trace,
        "3601.000003000 [1000] exit_group(3) = ?\n3601.000003000 [1000] +++ exited with 3 +++\n"
    );
}

#[test]
fn who_is_left_behind_may_finish_what_is_short_and_is_killed_and_named() {
    let (ending, end, log, trace) = simulate("background");
    assert_eq!(end, Some(ProcessEnd::Exited(2)));
    let Ending::Completed(others) = ending else { panic!("{ending:?}") };
    let names: Vec<_> = others.iter().map(|one| one.pid).collect();
    assert_eq!(names, [1001, 1002, 1003]);
    assert!(log.ends_with("fake[1004/1004] finished\n"), "{log}");
    assert!(trace.contains("[1004] +++ exited with 0 +++"), "{trace}");
    assert!(trace.contains("[1001] +++ killed by SIGKILL +++"), "{trace}");
}

#[test]
fn who_waits_for_ever_is_named_and_the_trace_is_complete() {
    let (ending, end, _, trace) = simulate("pause");
    let Ending::Stuck(waiting) = ending else { panic!("{ending:?}") };
    assert_eq!((waiting.len(), waiting[0].pid, waiting[0].call.as_str()), (1, 1000, "pause"));
    assert_eq!(end, Some(ProcessEnd::Killed(9)));
    assert_eq!(
        trace,
        "0.000001000 [1000] pause( <unfinished ...>\n\
         0.000001000 [1000] +++ killed by SIGKILL +++\n"
    );
}

#[test]
fn what_guests_say_is_logged() {
    let (_, _, log, trace) = simulate("tell");
    assert_eq!(
        log,
        "0.000000005 WARN  alice fake[1000/1000] careful\n\
         0.000000005 INFO  alice other[1000/1000] last words\n"
    );
    assert!(trace.starts_with("0.000000005 [1000] getpid() = 1000\n"), "{trace}");
}

#[test]
fn two_runs_write_the_same() {
    assert_eq!(simulate("poll"), simulate("poll"));
}
