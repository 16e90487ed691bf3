//! The behaviours: what each asserts, where that is written, whether it is required, how it is tried.
//!
//! Nothing in, a table out. Always true: a behaviour's name, GROUP/NAME, is that of a check of the guest (`guest/`), which a test
//! compares; groups stand together, in the order in which a simulator comes to have them. What is made of a run is `verdict`'s.
//!
//! Required is what a guest needs to be one: the hand-off, time that only waiting and calls move, calls with their results, its
//! own signals, its end. Optional is what Linux has beyond one process with one thread and no other machine, and what depends
//! on the real machine.

/// Something that a simulator does.
#[derive(Clone, Copy, Debug)]
pub struct Behaviour {
    /// GROUP/NAME.
    pub name: &'static str,
    /// Whether a simulator conforms only with it.
    pub is_required: bool,
    /// What is to be true.
    pub asserts: &'static str,
    /// Where that is written.
    pub source: &'static str,
    /// How it is found out.
    pub trial: Trial,
}

/// How a behaviour is tried.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Trial {
    /// The guest tells.
    Told,
    /// The guest tells, and gets these arguments.
    ToldWith(&'static [&'static [u8]]),
    /// The guest tells, and gets the numbers of the descriptors that we have inherited.
    ToldWithDescriptors,
    /// The guest tells, and has written a line to standard error.
    ToldTwice,
    /// The guest tells, and its values are the same in a second run.
    Repeated,
    /// Asked to exit with each of these, it does, and so does the simulator.
    Exits(&'static [i32]),
    /// It exits with this status once it has begun.
    Ends(i32),
    /// Asked to die by each of these signals, it does, and the simulator's status is not 0.
    Dies(&'static [i32]),
    /// As before, and the simulator's status is 128 + n.
    DiesAs(&'static [i32]),
    /// Killed from outside, it is gone, and the simulator's status is not 0.
    Killed,
    /// When the simulator has ended, none of its processes is left.
    LeavesNobody,
}

impl Behaviour {
    /// The part of the name before the slash.
    pub fn group(&self) -> &'static str {
        self.name.split_once('/').map_or(self.name, |(group, _)| group)
    }

    /// The part behind it.
    pub fn short_name(&self) -> &'static str {
        self.name.split_once('/').map_or(self.name, |(_, name)| name)
    }

    /// "required" or "optional".
    pub fn grade(&self) -> &'static str {
        if self.is_required { "required" } else { "optional" }
    }

    /// Whether `pattern` means it: GROUP, or GROUP/NAME, with `*` for any letters.
    pub fn is_meant_by(&self, pattern: &str) -> bool {
        let text = if pattern.contains('/') { self.name } else { self.group() };
        matches(pattern.as_bytes(), text.as_bytes())
    }
}

fn matches(pattern: &[u8], text: &[u8]) -> bool {
    match pattern.split_first() {
        None => text.is_empty(),
        Some((b'*', rest)) => (0..=text.len()).any(|skipped| matches(rest, &text[skipped..])),
        Some((letter, rest)) => {
            text.split_first().is_some_and(|(first, text)| first == letter && matches(rest, text))
        }
    }
}

/// The program starts at all.
pub const STARTS: &str = "hand-off/starts";
/// The program is a guest.
pub const MANAGED: &str = "hand-off/managed";

const SIGABRT: i32 = 6;
const SIGILL: i32 = 4;
const SIGKILL: i32 = 9;
const SIGSEGV: i32 = 11;
const SIGTERM: i32 = 15;

/// The arguments of `hand-off/arguments`, as the guest knows them.
const ODD_WORDS: &[&[u8]] = &[b"", b" two  words ", b"--", b"-x", b"*", b"\"'\\$HOME", b"\xff\x01"];

const fn required(
    name: &'static str,
    trial: Trial,
    asserts: &'static str,
    source: &'static str,
) -> Behaviour {
    Behaviour { name, is_required: true, asserts, source, trial }
}

const fn optional(
    name: &'static str,
    trial: Trial,
    asserts: &'static str,
    source: &'static str,
) -> Behaviour {
    Behaviour { name, is_required: false, asserts, source, trial }
}

use Trial::{
    Dies, DiesAs, Ends, Exits, Killed, LeavesNobody, Repeated, Told, ToldTwice, ToldWith,
    ToldWithDescriptors,
};

/// All of them.
#[rustfmt::skip]
pub const BEHAVIOURS: &[Behaviour] = &[
    required(STARTS, Told, "SIMULATOR starts the program, and its standard output arrives", "shim-conformance(1)"),
    required(MANAGED, Told, "the program is a guest: libshim.so.1 is loaded and was handed a simulator", "shim_is_managed(3), docs/protocol.md section 4"),
    required("hand-off/blocks", Told, "manager, host, process and thread block are there, and agree with getpid, getppid, gettid", "shim_processSharedMem(3)"),
    required("hand-off/environment", Told, "the variables of the hand-off are gone when main begins", "docs/protocol.md section 4"),
    optional("hand-off/environment-given", Told, "a variable of SIMULATOR's environment is in the guest's", "environ(7), docs/protocol.md section 4"),
    required("hand-off/arguments", ToldWith(ODD_WORDS), "arguments arrive as they were given, whatever their bytes", "execve(2)"),
    required("hand-off/stdin", Told, "standard input is SIMULATOR's", "stdin(3), docs/protocol.md section 9"),
    required("hand-off/stderr", ToldTwice, "what the guest writes to standard error arrives at SIMULATOR's", "stderr(3)"),
    required("hand-off/descriptors", ToldWithDescriptors, "descriptors 0 to 2 are open, and no others but those with which shim conformance was started", "docs/protocol.md section 9"),
    required("hand-off/signals", Told, "no signal is blocked or has a handler", "signal(7), docs/protocol.md section 9"),

    required("time/realtime-start", Told, "CLOCK_REALTIME is the start that the manager block states plus simulated time, on a host whose clock has no offset", "shim_manager_start_realtime_ns(3), docs/protocol.md section 6"),
    optional("time/simulated-start", Told, "simulated time is less than a minute when the guest begins", "shim_simtime_ns(3)"),
    required("time/monotonic", Told, "no clock goes back, however often it is read", "clock_gettime(2)"),
    required("time/ways-agree", Told, "a clock shows the same to the C library, a system call and the vDSO", "vdso(7), docs/protocol.md section 6"),
    optional("time/clock-loop", Told, "a loop that reads a clock until 10 ms have passed ends: reading costs simulated time", "shim_manager_vdso_latency_ns(3)"),
    required("time/sleep", Told, "nanosleep of an hour takes an hour of simulated time, to a millisecond, and no real time", "nanosleep(2)"),
    required("time/sleep-until", Told, "clock_nanosleep ends at its instant, and at once where that is past", "clock_nanosleep(2)"),
    optional("time/poll", Told, "poll's time-out is simulated time", "poll(2)"),
    optional("time/alarm", Told, "an alarm comes in simulated time, and interrupts a nanosleep, which tells what was left", "alarm(2)"),
    optional("time/itimer", Told, "setitimer's signals come at their instants", "setitimer(2)"),
    optional("time/timerfd", Told, "a timerfd expires in simulated time, and counts", "timerfd_create(2)"),
    optional("time/timer", Told, "a timer of timer_create expires in simulated time", "timer_create(2)"),
    optional("time/rdtsc", Told, "the time stamp counter counts simulated time at the frequency that the manager block states", "shim_manager_tsc_frequency_hz(3), docs/protocol.md section 6"),

    required("determinism/random", Repeated, "getrandom and AT_RANDOM give the same bytes in every run", "docs/determinism.md"),
    required("determinism/random-files", Repeated, "/dev/urandom and /dev/random give the same bytes in every run", "docs/determinism.md"),
    required("determinism/ids", Repeated, "the ids of process, thread, parent, group and session are the same in every run", "docs/determinism.md"),
    required("determinism/times", Repeated, "clocks show the same in every run, to the nanosecond", "docs/determinism.md"),
    optional("determinism/addresses", Repeated, "addresses are the same in every run, where the real machine permits that", "personality(2), docs/protocol.md section 9"),
    optional("determinism/file-times", Repeated, "a new file's time is the same in every run", "docs/determinism.md"),

    required("calls/results", Told, "calls give their results and errors: nanosleep, close, kill", "intro(2)"),
    required("calls/unknown", Told, "a call that Linux does not have gives ENOSYS", "syscall(2), docs/protocol.md section 7"),
    required("calls/native", Told, "files are made, written, read, renamed and removed", "docs/syscalls.md, \"Native\""),
    required("calls/bad-pointers", Told, "a bad pointer gives EFAULT, whoever answers the call", "intro(2)"),
    required("calls/large", Told, "16 MiB are written and read back in one call", "write(2), read(2)"),
    required("calls/instructions", Told, "a call is simulated from the C library, from an instruction of the program, and from one that it has written", "syscall(2), docs/determinism.md"),
    required("calls/registers", Told, "a call changes no register but rax, rcx and r11", "syscall(2)"),
    required("calls/six-arguments", Told, "all six arguments of a call arrive", "mmap(2)"),
    required("calls/api", Told, "shim_api_syscall makes a call as the program would", "shim_api_syscall(3)"),
    required("calls/native-section", Told, "in a native section the real kernel answers, afterwards the simulation does", "shim_swapAllowNativeSyscalls(3)"),

    optional("threads/create", Told, "a thread is made, has an id of its own, and is joined with its result", "pthread_create(3), docs/protocol.md section 10"),
    optional("threads/mutexes", Told, "eight threads count under a mutex, and lose nothing", "pthread_mutex_lock(3p)"),
    optional("threads/conditions", Told, "two threads wake each other in turns by a condition variable", "pthread_cond_wait(3p)"),
    optional("threads/futex", Told, "a futex wait ends by its value, by its time-out in simulated time, or by who wakes it", "futex(2)"),
    optional("threads/sleepers", Told, "threads sleep side by side, and wake in the order of their times", "nanosleep(2)"),
    optional("threads/order", Repeated, "threads take turns in the same order in every run", "docs/determinism.md"),
    optional("threads/exit", Told, "_exit of a thread ends the whole process", "_exit(2)"),

    optional("processes/fork", Told, "a child has an id and memory of its own, and its parent gets its status", "fork(2), docs/protocol.md section 10"),
    optional("processes/statuses", Told, "wait tells exits and deaths by signal", "wait(2)"),
    optional("processes/wait", Told, "who waits for a child waits in simulated time", "wait(2)"),
    optional("processes/exec", Told, "after execve the process is a guest, with the same id, and time goes on", "execve(2), docs/protocol.md section 11"),
    optional("processes/spawn", Told, "posix_spawn starts a program", "posix_spawn(3), docs/protocol.md section 10"),
    optional("processes/shell", Told, "a shell runs a pipeline with sleeps in it", "popen(3)"),
    optional("processes/pipe", Told, "a pipe wakes who reads it, and tells its end to both sides", "pipe(7)"),
    optional("processes/large-pipe", Told, "4 MiB pass a pipe unchanged", "pipe(7)"),
    optional("processes/sigchld", Told, "SIGCHLD tells who ended and how", "sigaction(2)"),

    required("signals/handler", Told, "a handler has run when kill of oneself returns, with siginfo", "signal(7), kill(2)"),
    required("signals/mask", Told, "a blocked signal is pending until it is unblocked", "sigprocmask(2)"),
    required("signals/stack", Told, "a handler runs on the alternate stack if it wants to", "sigaltstack(2)"),
    required("signals/fault", Told, "SIGSEGV tells the address, and a handler may be left by siglongjmp", "sigaction(2)"),
    required("signals/retry", Told, "an instruction whose fault a handler cured is executed again", "sigaction(2)"),
    optional("signals/timed-wait", Told, "sigtimedwait waits in simulated time, and takes what is pending", "sigtimedwait(2)"),
    optional("signals/suspend", Told, "sigsuspend waits in simulated time for a signal", "sigsuspend(2)"),

    required("names/hostname", Told, "gethostname and uname give the name of the host block", "shim_host_name(3)"),
    optional("names/own-name", Told, "shim_api_getaddrinfo finds the host's own name", "shim_api_getaddrinfo(3)"),
    optional("names/own-name-libc", Told, "the C library's getaddrinfo does, too", "getaddrinfo(3)"),
    optional("names/localhost", Told, "localhost is 127.0.0.1", "shim_api_getaddrinfo(3)"),
    optional("names/unknown", Told, "a name that no host has gives EAI_NONAME", "shim_api_getaddrinfo(3)"),
    optional("names/interfaces", Told, "shim_api_getifaddrs lists lo and the host's address", "shim_api_getifaddrs(3)"),
    optional("names/interfaces-libc", Told, "the C library's getifaddrs does, too", "getifaddrs(3)"),

    required("endings/exit-status", Exits(&[0, 1, 42, 255]), "SIMULATOR ends with the guest's exit status", "shim-conformance(1), docs/protocol.md section 12"),
    required("endings/signal", Dies(&[SIGKILL, SIGTERM, SIGABRT, SIGSEGV, SIGILL]), "SIMULATOR notices that a signal has ended the guest: its status is not 0", "signal(7)"),
    optional("endings/signal-status", DiesAs(&[SIGKILL, SIGTERM, SIGABRT, SIGSEGV]), "SIMULATOR's status is 128 + n then, as a shell's", "sh(1)"),
    required("endings/killed", Killed, "SIMULATOR notices that somebody outside has killed the guest", "docs/protocol.md section 12"),
    required("endings/left-behind", LeavesNobody, "when SIMULATOR has ended, none of its processes is left", "shim-conformance(1), docs/protocol.md section 9"),

    required("limits/closes-all", Ends(43), "a guest may close all descriptors, and goes on", "close(2), docs/protocol.md section 4"),
    required("limits/never-calls", Ends(44), "a guest may compute without a call, and end", "docs/protocol.md section 17"),
    required("limits/many-calls", Told, "40000 calls are answered", "intro(2)"),
    optional("limits/many-descriptors", Told, "a guest may open as many descriptors as its limit says", "getrlimit(2)"),
    required("limits/deep-stack", Told, "a guest may use 4 MB of its stack", "getrlimit(2)"),
    optional("limits/much-memory", Told, "a guest may map 4 GiB and use some of it", "mmap(2)"),
    required("limits/long-sleep", Told, "a guest may sleep for a year", "nanosleep(2)"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_are_there_once_and_groups_stand_together() {
        let names: BTreeSet<_> = BEHAVIOURS.iter().map(|behaviour| behaviour.name).collect();
        assert_eq!(names.len(), BEHAVIOURS.len());
        let mut groups: Vec<_> = BEHAVIOURS.iter().map(Behaviour::group).collect();
        groups.dedup();
        let different: BTreeSet<_> = groups.iter().collect();
        assert_eq!(different.len(), groups.len(), "{groups:?}");
        assert!(BEHAVIOURS.iter().all(|one| !one.short_name().contains('/')));
        assert_eq!((BEHAVIOURS[0].name, BEHAVIOURS[1].name), (STARTS, MANAGED));
    }

    #[test]
    fn patterns_mean_groups_and_names() {
        let meant = |pattern| {
            BEHAVIOURS.iter().filter(|one| one.is_meant_by(pattern)).map(|one| one.name).collect()
        };
        let one: Vec<&str> = meant("time/sleep");
        assert_eq!(one, ["time/sleep"]);
        let some: Vec<&str> = meant("time/sleep*");
        assert_eq!(some, ["time/sleep", "time/sleep-until"]);
        let group: Vec<&str> = meant("signals");
        assert!(group.len() > 3 && group.iter().all(|name| name.starts_with("signals/")));
        let star: Vec<&str> = meant("*");
        assert_eq!(star.len(), BEHAVIOURS.len());
        let across: Vec<&str> = meant("*/*-libc");
        assert_eq!(across, ["names/own-name-libc", "names/interfaces-libc"]);
        for nothing in ["", "sleep", "time/", "time/slee", "/sleep"] {
            let none: Vec<&str> = meant(nothing);
            assert!(none.is_empty(), "{nothing}: {none:?}");
        }
    }
}
