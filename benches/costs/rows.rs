//! What is measured: one line for each operation, and one for each mechanism of other systems.
//!
//! Nothing comes in; the table's lines go out, as data. Always true: an operation is a program of
//! `benches/guest/` that is the same natively and as a guest, its floor is a sum of things that run natively
//! beside it, and a target is a bound that the project set itself, not what was once measured. How any of it
//! is run is `cell`.

/// An operation of a program: the program's name and the operation's.
pub type Operation = (&'static str, &'static str);

/// A summand of a floor.
pub enum Part {
    /// The line's own operation, natively.
    Native,
    /// The same, with a preloaded library that does nothing.
    Preloaded,
    /// So many times an operation of `benches/floor/`.
    Times(u32, Operation),
}

/// What a line measures.
pub enum Subject {
    /// An operation of `benches/guest/`, natively and as a guest.
    Operation(Operation),
    /// A program from its start to its end, with the simulator where there is one.
    WholeRun,
    /// Memory of one process of many: KiB.
    Memory,
    /// A mechanism: its floor is all there is.
    Mechanism,
}

/// What a guest may cost.
#[derive(Clone, Copy)]
pub enum Target {
    /// Nothing was promised.
    None,
    /// So many times the floor.
    Floor(f64),
    /// So much more than natively.
    NativePlus(f64),
    /// So much.
    AtMost(f64),
}

/// Where the processes of a line run.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// All on one processor, so that a hand-over is a change of processes.
    OneProcessor,
    /// Where the kernel puts them, so that two can watch each other.
    Anywhere,
}

/// A line.
pub struct Row {
    pub title: &'static str,
    pub subject: Subject,
    pub floor: &'static [Part],
    pub target: Target,
    pub place: Place,
    /// For `shim exec`.
    pub options: &'static [&'static str],
}

const QUIET: &[&str] = &["--quiet"];
/// Every call that is not the shim's own to answer goes to the simulator.
const FORWARDING: &[&str] = &["--quiet", "--kernel-in-guest=no"];
const PATCHED: Operation = ("patched_site", "patched-site");
const DISPATCH: Operation = ("traps", "dispatch");
const HAND_OVER: Operation = ("handover", "futex");
const SPIN: Operation = ("handover", "spin");
const fn copy(name: &'static str) -> Operation {
    ("copies", name)
}

const fn call(
    title: &'static str,
    operation: Operation,
    floor: &'static [Part],
    target: Target,
) -> Row {
    let subject = Subject::Operation(operation);
    Row { title, subject, floor, target, place: Place::OneProcessor, options: QUIET }
}

/// The same, forwarded.
const fn forwarded(row: Row) -> Row {
    Row { options: FORWARDING, ..row }
}

/// The program of the lines about connections; its operations are numbers of connections.
pub const CONNECTIONS: &str = "connections";

const fn connections(title: &'static str, open: &'static str) -> Row {
    call(title, (CONNECTIONS, open), &[], Target::None)
}

const fn mechanism(title: &'static str, floor: &'static [Part]) -> Row {
    let (subject, target) = (Subject::Mechanism, Target::None);
    Row { title, subject, floor, target, place: Place::OneProcessor, options: QUIET }
}

use Part::{Native, Preloaded, Times};

pub const ROWS: &[Row] = &[
    call(
        "clock_gettime through libc",
        ("calls", "clock"),
        &[Times(1, ("clock", "clock"))],
        Target::Floor(1.5),
    ),
    call("getpid through libc", ("calls", "getpid"), &[Times(1, PATCHED)], Target::Floor(2.0)),
    call(
        "getpid by own instruction, later",
        ("calls", "getpid-raw"),
        &[Times(1, PATCHED)],
        Target::Floor(2.0),
    ),
    call(
        "getpid by own instruction, first",
        ("calls", "getpid-first"),
        &[Times(1, DISPATCH)],
        Target::Floor(6.0),
    ),
    call(
        "pread of 4 KiB",
        ("calls", "pread"),
        &[Native, Times(1, PATCHED)],
        Target::NativePlus(60.0),
    ),
    call(
        "pipe: write and read 1 B",
        ("pipes", "write-read-1"),
        &[Times(2, PATCHED), Times(2, copy("copy-1"))],
        Target::AtMost(60.0),
    ),
    call(
        "pipe: write and read 4 KiB",
        ("pipes", "write-read-4k"),
        &[Times(2, PATCHED), Times(2, copy("copy-4k"))],
        Target::None,
    ),
    call(
        "a call to the kernel in the guest",
        ("calls", "visit"),
        &[Times(1, PATCHED)],
        Target::None,
    ),
    call(
        "socket: write and read 64 B",
        ("calls", "exchange-64"),
        &[Times(2, PATCHED), Times(2, copy("copy-64"))],
        Target::None,
    ),
    call(
        "socket: write and read 64 KiB",
        ("calls", "exchange-64k"),
        &[Times(2, PATCHED), Times(2, copy("copy-64k"))],
        Target::None,
    ),
    call(
        "forwarded call",
        ("calls", "forward"),
        &[Times(1, PATCHED), Times(1, HAND_OVER)],
        Target::Floor(1.3),
    ),
    Row {
        title: "forwarded call, two processors",
        subject: Subject::Operation(("calls", "forward")),
        floor: &[Times(1, PATCHED), Times(1, SPIN)],
        target: Target::Floor(1.3),
        place: Place::Anywhere,
        options: QUIET,
    },
    forwarded(call(
        "two forwarded calls with 64 B",
        ("calls", "exchange-64"),
        &[Times(2, PATCHED), Times(2, HAND_OVER), Times(2, copy("copy-64"))],
        Target::None,
    )),
    forwarded(call(
        "two forwarded calls with 4 KiB",
        ("calls", "exchange-4k"),
        &[Times(2, PATCHED), Times(2, HAND_OVER), Times(2, copy("copy-4k"))],
        Target::None,
    )),
    forwarded(call(
        "two forwarded calls with 64 KiB",
        ("calls", "exchange-64k"),
        &[Times(2, PATCHED), Times(2, HAND_OVER), Times(2, copy("copy-64k"))],
        Target::None,
    )),
    call(
        "nanosleep of 1 ns",
        ("calls", "nanosleep"),
        &[Times(1, PATCHED), Times(1, HAND_OVER)],
        Target::None,
    ),
    call("threads: futex ping-pong", ("threads", "futex"), &[Times(1, HAND_OVER)], Target::None),
    call(
        "threads: condition ping-pong",
        ("threads", "condition"),
        &[Times(1, HAND_OVER)],
        Target::None,
    ),
    call("processes: pipe ping-pong", ("pipes", "ping-pong"), &[Times(1, HAND_OVER)], Target::None),
    call(
        "thread: create and join",
        ("threads", "create-join"),
        &[Native, Times(2, HAND_OVER)],
        Target::None,
    ),
    connections("TCP: 8 B and 8 B back", "0"),
    connections("TCP: the same, 100 more connections open", "100"),
    connections("TCP: the same, 1,000 more", "1000"),
    connections("TCP: the same, 3,000 more", "3000"),
    connections("TCP: the same, 10,000 more", "10000"),
    call("fork, exit, wait", ("processes", "fork"), &[Native, Times(2, HAND_OVER)], Target::None),
    call(
        "fork, exec, wait",
        ("processes", "fork-exec"),
        &[Preloaded],
        Target::NativePlus(150_000.0),
    ),
    call(
        "vfork, exec, wait",
        ("processes", "vfork-exec"),
        &[Preloaded],
        Target::NativePlus(150_000.0),
    ),
    Row {
        title: "a whole run, simulator included",
        subject: Subject::WholeRun,
        floor: &[Preloaded],
        target: Target::None,
        place: Place::Anywhere,
        options: QUIET,
    },
    Row {
        title: "memory of a process, KiB",
        subject: Subject::Memory,
        floor: &[],
        target: Target::NativePlus(256.0),
        place: Place::Anywhere,
        options: QUIET,
    },
    mechanism("a jump to a patched site", &[Times(1, PATCHED)]),
    mechanism("SIGSYS by Syscall User Dispatch", &[Times(1, DISPATCH)]),
    mechanism("SIGSYS by seccomp", &[Times(1, ("traps", "seccomp"))]),
    mechanism("seccomp notification", &[Times(1, ("seccomp_notify", "notify"))]),
    mechanism("ptrace, PTRACE_SYSEMU", &[Times(1, ("ptrace", "sysemu"))]),
    mechanism("futex hand-over", &[Times(1, HAND_OVER)]),
    mechanism("futex hand-over, PR_SET_TSC on one side", &[Times(1, ("handover", "futex-tsc"))]),
    Row {
        title: "hand-over spinning on two processors",
        subject: Subject::Mechanism,
        floor: &[Times(1, SPIN)],
        target: Target::None,
        place: Place::Anywhere,
        options: QUIET,
    },
    mechanism("copy of 64 B", &[Times(1, copy("copy-64"))]),
    mechanism("copy of 4 KiB", &[Times(1, copy("copy-4k"))]),
    mechanism("copy of 64 KiB", &[Times(1, copy("copy-64k"))]),
    mechanism("process_vm_readv of 64 B", &[Times(1, copy("read-64"))]),
    mechanism("process_vm_readv of 4 KiB", &[Times(1, copy("read-4k"))]),
    mechanism("process_vm_readv of 64 KiB", &[Times(1, copy("read-64k"))]),
];
