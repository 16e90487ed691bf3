//! One line measured: its operation natively and as a guest, and what its floor consists of.
//!
//! A line in, nanoseconds out, or why there are none. Always true: what stands in one line is measured
//! alternately, several times, so that a machine that becomes slower in between makes all of it slower; of
//! each the fastest counts. The programs measure themselves in real time (`benches/measure.h`), but for a
//! whole run, which is looked at from outside. How it is shown is `table`.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use shim_testkit::guest::compile_from;
use shim_testkit::{Libc, Run, Status};

use crate::memory;
use crate::rows::{Operation, Part, Place, Row, Subject};

/// How often everything of a line is measured.
const ROUNDS: usize = 3;
/// A whole run is short, and has much in it that varies.
const WHOLE_RUNS: usize = 20;
/// The longest that a measurement may take.
const LIMIT: Duration = Duration::from_secs(60);

/// What something costs, or why that is not known.
pub type Cost = Result<f64, String>;

/// A line's figures. What a line does not have is `None`.
pub struct Figures {
    pub native: Option<Cost>,
    pub floor: Option<Cost>,
    pub libshim: Option<Cost>,
}

/// Measure a line.
pub fn measure(row: &Row) -> Figures {
    let _pinned = (row.place == Place::OneProcessor).then(Pinned::new);
    let (native, is_whole) = match row.subject {
        Subject::Memory => {
            let (native, libshim) = memory::of_a_process();
            return Figures { native: Some(Ok(native)), floor: None, libshim: Some(Ok(libshim)) };
        }
        Subject::Mechanism => (None, false),
        Subject::Operation(operation) => (Some(run("benches/guest", operation)), false),
        Subject::WholeRun => {
            let program = compile_from("benches/guest", "start", Libc::Glibc, &["-O2"]);
            (Some(Run::native(program)), true)
        }
    };
    let mut runs = Vec::new();
    if let Some(native) = &native {
        runs.push(native.clone());
        runs.push(native.clone().as_guest(row.options));
    }
    // A part that is the native run stands at the front; the others follow in their order.
    let mut parts = Vec::new();
    for part in row.floor {
        let own = || native.clone().expect("only an operation has a native run");
        let run = match *part {
            Part::Native => {
                parts.push((1, 0));
                continue;
            }
            Part::Preloaded => own().env("LD_PRELOAD", empty_library()),
            Part::Times(_, operation) => run("benches/floor", operation),
        };
        let times = if let Part::Times(times, _) = *part { times } else { 1 };
        parts.push((times, runs.len()));
        runs.push(run);
    }
    let costs = fastest(&runs, is_whole);
    let floor: Cost = parts.iter().map(|&(n, at)| Ok(f64::from(n) * costs[at].clone()?)).sum();
    let is_operation = native.is_some();
    Figures {
        native: is_operation.then(|| costs[0].clone()),
        floor: (!parts.is_empty()).then_some(floor),
        libshim: is_operation.then(|| costs[1].clone()),
    }
}

fn run(folder: &str, (program, operation): Operation) -> Run {
    let program = compile_from(folder, program, Libc::Glibc, &["-O2"]);
    Run::native(program).args([operation]).limit(LIMIT)
}

/// A library that does nothing.
fn empty_library() -> PathBuf {
    compile_from("benches/floor", "empty", Libc::Glibc, &["-shared", "-nostdlib"])
}

/// The least that each of these costs; they take turns.
fn fastest(runs: &[Run], is_whole: bool) -> Vec<Cost> {
    let mut best: Vec<Cost> = vec![Ok(f64::INFINITY); runs.len()];
    for _ in 0..if is_whole { WHOLE_RUNS } else { ROUNDS } {
        for (run, best) in runs.iter().zip(&mut best) {
            if let Ok(least) = best {
                let cost = if is_whole { whole(run) } else { told(run) };
                *best = cost.map(|cost| cost.min(*least));
            }
        }
    }
    best
}

/// What the program itself says.
fn told(run: &Run) -> Cost {
    let outcome = run.clone().finish();
    if outcome.status != Status::Code(0) {
        let errors = String::from_utf8_lossy(&outcome.stderr).into_owned();
        let why = errors.lines().next().unwrap_or("it wrote no reason");
        return Err(match outcome.status {
            Status::Code(3) => why.to_owned(),
            status => format!("failed: {status:?}: {why}"),
        });
    }
    let text = outcome.text();
    text.trim().parse().map_err(|_| format!("failed: it wrote {:?}", text.trim()))
}

/// From the start to the end.
fn whole(run: &Run) -> Cost {
    let mut command = run.command();
    command.stdin(Stdio::null());
    let started = Instant::now();
    let output = command.output().map_err(|error| format!("failed: {error}"))?;
    let wall = started.elapsed();
    if !output.status.success() {
        return Err(format!("failed: {}", String::from_utf8_lossy(&output.stderr).trim()));
    }
    Ok(wall.as_nanos() as f64)
}

/// While it lives, this thread and all that it starts run on one processor.
struct Pinned {
    before: CpuSet,
}

impl Pinned {
    fn new() -> Pinned {
        let before = sched_getaffinity(None).expect("a thread knows where it runs");
        let first = (0..CpuSet::MAX_CPU).find(|&cpu| before.is_set(cpu));
        let mut one = CpuSet::new();
        one.set(first.expect("it runs somewhere"));
        sched_setaffinity(None, &one).expect("a thread may run where it runs");
        Pinned { before }
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        sched_setaffinity(None, &self.before).expect("it was so before");
    }
}
