//! What being a guest costs: each operation natively, as a guest, and the floor of its mechanism.
//!
//! Nothing comes in; a table of nanoseconds and ratios goes to standard output. Always true: all
//! figures of a table are from one run on one machine, so the ratios carry over where the figures do
//! not; an operation's cost is the difference between runs of two lengths, the fastest of several, so
//! that starting and ending do not count. What an operation does is in `tests/guests/costs.c`.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use shim_testkit::built::{built, target_dir};
use shim_testkit::guest::compile;
use shim_testkit::{Libc, Run};

/// Runs of each length.
const ROUNDS: usize = 7;

struct Operation {
    title: &'static str,
    name: &'static str,
    /// The natively run operations whose costs add up to the floor.
    floor: &'static [&'static str],
    count: u64,
}

const OPERATIONS: &[Operation] = &[
    Operation {
        title: "clock_gettime through libc",
        name: "clock",
        floor: &["floor-clock"],
        count: 400_000,
    },
    Operation {
        title: "local call (getpid)",
        name: "local",
        floor: &["floor-trap"],
        count: 20_000,
    },
    Operation {
        title: "native call (pread)",
        name: "native",
        floor: &["native", "floor-trap"],
        count: 20_000,
    },
    Operation {
        title: "forwarded call",
        name: "forward",
        floor: &["floor-trap", "floor-channel"],
        count: 10_000,
    },
];

/// The shortest of several runs.
fn fastest(run: &Run) -> Duration {
    let walls = (0..ROUNDS).map(|_| run.clone().finish().expect_success().wall);
    walls.min().expect("there is at least one round")
}

fn as_guest(run: Run, is_guest: bool) -> Run {
    if is_guest { run.as_guest(["--quiet"]) } else { run }
}

/// Nanoseconds that one operation takes.
fn cost_ns(program: &Path, name: &str, count: u64, is_guest: bool) -> f64 {
    let run =
        |n: u64| fastest(&as_guest(Run::native(program).args([name, &n.to_string()]), is_guest));
    let (short, long) = (run(count), run(count * 6));
    (long.as_nanos() as f64 - short.as_nanos() as f64).max(0.0) / (count * 5) as f64
}

/// A preloaded library that does nothing: the floor of starting a guest.
fn empty_library() -> std::path::PathBuf {
    let path = target_dir().join("guests/empty.so");
    let status = Command::new("gcc")
        .args(["-shared", "-nostdlib", "-x", "c", "/dev/null", "-o"])
        .arg(&path)
        .status()
        .expect("gcc can be started");
    assert!(status.success(), "gcc cannot make a library");
    path
}

fn line(title: &str, native: f64, guest: f64, floor: f64) {
    println!(
        "{title:<28} {native:>12.1} {guest:>12.1} {floor:>12.1} {:>14.2} {:>13.2}",
        guest / native.max(0.1),
        guest / floor.max(0.1)
    );
}

fn main() {
    built();
    println!("Nanoseconds for one operation, the fastest of {ROUNDS} rounds.\n");
    println!(
        "{:<28} {:>12} {:>12} {:>12} {:>14} {:>13}",
        "operation", "native", "guest", "floor", "guest/native", "guest/floor"
    );
    let program = compile("costs", Libc::Glibc);
    for operation in OPERATIONS {
        let native = cost_ns(&program, operation.name, operation.count, false);
        let guest = cost_ns(&program, operation.name, operation.count, true);
        let floor = operation
            .floor
            .iter()
            .map(|name| cost_ns(&program, name, operation.count, false))
            .sum();
        line(operation.title, native, guest, floor);
    }

    let start = Run::native(&program).args(["start", "0"]);
    let native = fastest(&start).as_nanos() as f64;
    let guest = fastest(&start.clone().as_guest(["--quiet"])).as_nanos() as f64;
    let floor = fastest(&start.env("LD_PRELOAD", empty_library())).as_nanos() as f64;
    line("`shim exec` of a program", native, guest, floor);
    println!(
        "\nThe floor of a call is the sum of what its mechanism costs bare (a trap, a hand-over), that\n\
         of a clock two loads and a division, that of a start any preloaded library. The last line is\n\
         a whole run: it includes the start of the simulator."
    );
}
