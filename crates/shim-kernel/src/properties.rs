//! What holds for any call whatever its arguments, and for any sequence of events.
//!
//! Random numbers, pointers and memory in. Always true of the kernel: it never panics, fails with an
//! error that the call's manual page or Linux's source allows, and two kernels that are told the same
//! give the same outcomes.

use proptest::prelude::*;
use shim_abi::calls::{PSEUDO_VIRTUAL_FILE, nr};
use shim_abi::virtual_files::VirtualFile;
use shim_abi::{Errno, SimTime};
use std::vec;
use std::vec::Vec;

use crate::dispatch::ANSWERED;
use crate::testing::{DATA, TestGuest, machine, signal};
use crate::{Kernel, Outcome, SignalOutcome, VirtualPid, VirtualTid};

/// The errors that a call may fail with.
fn allowed(number: u32) -> &'static [Errno] {
    const E2BIG: Errno = Errno::E2BIG;
    const EACCES: Errno = Errno::EACCES;
    const EAGAIN: Errno = Errno::EAGAIN;
    const EFAULT: Errno = Errno::EFAULT;
    const EINTR: Errno = Errno::EINTR;
    const EINVAL: Errno = Errno::EINVAL;
    const ENOENT: Errno = Errno::ENOENT;
    const ENOSYS: Errno = Errno::ENOSYS;
    const EOPNOTSUPP: Errno = Errno::EOPNOTSUPP;
    const EPERM: Errno = Errno::EPERM;
    const ESRCH: Errno = Errno::ESRCH;
    match number {
        nr::pause => &[EINTR],
        nr::nanosleep => &[EINTR, EFAULT, EINVAL],
        nr::clock_nanosleep => &[EINTR, EFAULT, EINVAL, EOPNOTSUPP],
        nr::alarm | nr::exit | nr::exit_group => &[],
        nr::getitimer | nr::setitimer | nr::getrlimit | nr::getrusage => &[EFAULT, EINVAL],
        nr::sysinfo | nr::times => &[EFAULT],
        nr::kill | nr::tkill | nr::tgkill => &[EAGAIN, EINVAL, ENOSYS, EPERM, ESRCH],
        nr::rt_sigqueueinfo | nr::rt_tgsigqueueinfo => {
            &[E2BIG, EAGAIN, EFAULT, EINVAL, ENOSYS, EPERM, ESRCH]
        }
        nr::rt_sigsuspend => &[EINTR, EFAULT, EINVAL],
        nr::rt_sigtimedwait => &[EAGAIN, EINTR, EFAULT, EINVAL],
        nr::setpgid => &[EINVAL, EPERM, ESRCH],
        nr::setsid | nr::sethostname | nr::setdomainname => &[EPERM],
        nr::getpriority => &[EINVAL, ESRCH],
        nr::setpriority => &[EACCES, EINVAL, EPERM, ESRCH],
        nr::sched_get_priority_max | nr::sched_get_priority_min => &[EINVAL],
        nr::sched_getscheduler => &[EINVAL, ESRCH],
        nr::sched_getparam
        | nr::sched_rr_get_interval
        | nr::sched_getaffinity
        | nr::sched_getattr => &[EFAULT, EINVAL, ESRCH],
        nr::sched_setparam | nr::sched_setscheduler | nr::sched_setaffinity | nr::prlimit64 => {
            &[EFAULT, EINVAL, EPERM, ESRCH]
        }
        nr::sched_setattr => &[E2BIG, EFAULT, EINVAL, EOPNOTSUPP, EPERM, ESRCH],
        nr::adjtimex | nr::settimeofday | nr::clock_settime | nr::setrlimit => {
            &[EFAULT, EINVAL, EPERM]
        }
        nr::clock_adjtime => &[EFAULT, EINVAL, EOPNOTSUPP, EPERM],
        nr::ioprio_set => &[EINVAL, EPERM, ESRCH],
        nr::ioprio_get => &[EINVAL, ESRCH],
        PSEUDO_VIRTUAL_FILE => &[EFAULT, ENOENT],
        _ => &[],
    }
}

/// Whether a call may wait.
fn may_wait(number: u32) -> bool {
    matches!(
        number,
        nr::pause | nr::nanosleep | nr::clock_nanosleep | nr::rt_sigsuspend | nr::rt_sigtimedwait
    )
}

/// A number that some call takes for something: an id, a signal, a clock, a size, a pointer.
fn word() -> impl Strategy<Value = u64> {
    prop_oneof![
        4 => 0_u64..70,
        2 => (-10_i64..0).prop_map(|number| number as u64),
        3 => prop_oneof![Just(1000_u64), Just(1001), Just(1), Just((-1000_i64) as u64)],
        4 => (0_u64..600).prop_map(|offset| DATA + offset * 8),
        2 => prop_oneof![Just(0_u64), Just(8), Just(DATA + 0x3ffc), Just(DATA - 1), Just(1 << 63)],
        2 => any::<u64>(),
        1 => any::<u32>().prop_map(u64::from),
    ]
}

/// Guest memory: small and large numbers mixed.
fn memory() -> impl Strategy<Value = Vec<u64>> {
    let word = prop_oneof![
        4 => Just(0_u64),
        4 => 0_u64..100,
        1 => Just(56_u64),
        1 => 0_u64..2_000_000_000,
        2 => any::<u64>(),
        1 => (0_u64..8, 0_u64..50).prop_map(|(high, low)| high << 32 | low),
    ];
    proptest::collection::vec(word, 700)
}

/// One thing that happens to a host.
#[derive(Clone, Debug)]
enum Event {
    Call(usize, u32, [u64; 6]),
    Limit(usize, u64),
    Post(usize, u32),
    Advance(u64),
    Take(usize),
    Mask(u64),
    Cpu(u64),
    Action(u32, u64),
    Exec(usize),
    End(usize),
    Read(usize),
}

fn event() -> impl Strategy<Value = Event> {
    let thread = 0_usize..3;
    let number = proptest::sample::select(ANSWERED);
    prop_oneof![
        12 => (thread.clone(), number, [word(), word(), word(), word(), word(), word()])
            .prop_map(|(thread, number, args)| Event::Call(thread, number, args)),
        1 => (thread.clone(), 0_u64..1_000_000).prop_map(|(thread, ns)| Event::Limit(thread, ns)),
        2 => (thread.clone(), 0_u32..70).prop_map(|(thread, number)| Event::Post(thread, number)),
        4 => prop_oneof![0_u64..1_000, 0_u64..10_000_000_000, any::<u64>()]
            .prop_map(Event::Advance),
        3 => thread.clone().prop_map(Event::Take),
        1 => prop_oneof![Just(0), any::<u64>()].prop_map(Event::Mask),
        1 => any::<u64>().prop_map(Event::Cpu),
        2 => (1_u32..65, prop_oneof![Just(0_u64), Just(1), Just(0x1234)])
            .prop_map(|(signal, handler)| Event::Action(signal, handler)),
        1 => thread.clone().prop_map(Event::Exec),
        1 => thread.prop_map(Event::End),
        1 => (0..VirtualFile::ALL.len()).prop_map(Event::Read),
    ]
}

/// A host under random events, driven as `shim-host` drives it.
struct Host {
    kernel: Kernel,
    guest: TestGuest,
    threads: Vec<VirtualTid>,
    /// Whether the thread has control.
    runs: [bool; 3],
    now: SimTime,
    log: Vec<std::string::String>,
}

impl Host {
    fn new(memory: &[u64]) -> Host {
        let (mut kernel, mut guest, first) = machine();
        let others = [kernel.spawn(SimTime::ZERO, "b").1, kernel.spawn(SimTime::ZERO, "c").1];
        guest.put_words(DATA, memory);
        let threads = [&[first][..], &others].concat();
        Host { kernel, guest, threads, runs: [true; 3], now: SimTime::ZERO, log: Vec::new() }
    }

    fn note(&mut self, what: impl core::fmt::Debug) {
        self.log.push(std::format!("{:?} {what:?}", self.now));
    }

    /// An outcome of a thread's call, checked.
    fn settle(&mut self, thread: usize, number: Option<u32>, outcome: Outcome) {
        self.note((thread, number, outcome));
        match outcome {
            Outcome::Done(value) => {
                self.runs[thread] = true;
                if let (Some(number), Some(errno)) = (number, Errno::from_return(value)) {
                    let is_allowed = allowed(number).contains(&errno);
                    assert!(is_allowed, "call {number} fails with {errno}");
                }
            }
            Outcome::Park => {
                self.runs[thread] = false;
                if let Some(number) = number {
                    assert!(may_wait(number), "call {number} waits");
                }
            }
            Outcome::Exit { status } => {
                assert!((0..256).contains(&status));
                assert!(matches!(number, Some(nr::exit | nr::exit_group)));
                self.end(thread);
            }
            Outcome::Native { .. } => panic!("no call is passed on"),
        }
    }

    fn end(&mut self, thread: usize) {
        self.kernel.process_ended(VirtualPid(self.threads[thread].0));
        self.runs[thread] = false;
    }

    fn apply(&mut self, event: &Event) {
        match *event {
            Event::Call(thread, number, args) if self.runs[thread] => {
                let tid = self.threads[thread];
                let outcome = self.kernel.call(self.now, tid, number, args, &mut self.guest);
                self.settle(thread, Some(number), outcome);
            }
            Event::Limit(thread, ns) if self.runs[thread] => {
                let turn = SimTime::from_ns(self.now.as_ns().saturating_add(ns));
                self.kernel.limit(turn, self.threads[thread]);
                self.runs[thread] = false;
            }
            Event::Post(thread, number) => {
                let pid = VirtualPid(self.threads[thread].0);
                self.kernel.post_signal(self.now, pid, signal(number));
                self.run();
            }
            Event::Advance(ns) => {
                let end = SimTime::from_ns(self.now.as_ns().saturating_add(ns));
                // A timer that is set again and again makes many events.
                for _ in 0..50 {
                    let Some(next) = self.kernel.next_event().filter(|&next| next <= end) else {
                        break;
                    };
                    self.now = self.now.max(next);
                    self.kernel.advance(self.now);
                    self.run();
                }
            }
            Event::Take(thread) if self.runs[thread] => self.take(thread),
            Event::Mask(mask) => self.guest.mask = mask,
            Event::Cpu(ns) => self.guest.cpu_ns = ns,
            Event::Action(signal, handler) => {
                self.guest.actions.insert(signal, handler);
            }
            Event::Exec(thread) if self.runs[thread] => {
                self.kernel.exec_started(self.threads[thread]);
            }
            Event::End(thread) => self.end(thread),
            Event::Read(file) => {
                let contents = self.kernel.virtual_file(self.now, VirtualFile::ALL[file]);
                self.note(contents);
            }
            _ => {}
        }
        for thread in 0..3 {
            let pending = self.kernel.pending(self.threads[thread]);
            let published = self.kernel.take_published(VirtualPid(self.threads[thread].0));
            self.note((pending, published));
        }
    }

    /// Resume whoever can go on.
    fn run(&mut self) {
        while let Some(tid) = self.kernel.next_runnable() {
            let thread = self.threads.iter().position(|&other| other == tid);
            let thread = thread.expect("only guests run");
            assert!(!self.runs[thread], "it had parked");
            let outcome = self.kernel.resume(self.now, tid, &mut self.guest);
            self.settle(thread, None, outcome);
            if self.runs[thread] {
                self.take(thread);
            }
        }
    }

    fn take(&mut self, thread: usize) {
        let signal = self.kernel.take_signal(self.now, self.threads[thread], &mut self.guest);
        self.note(signal);
        match signal {
            SignalOutcome::Die { signal } => {
                assert!((1..=64).contains(&signal));
                self.end(thread);
            }
            SignalOutcome::Deliver(info) => assert!((1..=64).contains(&info.signal)),
            SignalOutcome::None => {}
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn any_call_ends_as_its_manual_page_says(
        memory in memory(),
        calls in proptest::collection::vec([word(), word(), word(), word(), word(), word()], 40),
    ) {
        for &number in ANSWERED {
            let mut host = Host::new(&memory);
            for args in &calls {
                if !host.runs[0] {
                    host = Host::new(&memory);
                }
                host.apply(&Event::Call(0, number, *args));
            }
        }
    }

    #[test]
    fn the_same_events_have_the_same_outcomes(
        memory in memory(),
        events in proptest::collection::vec(event(), 1..120),
    ) {
        let (mut first, mut second) = (Host::new(&memory), Host::new(&memory));
        for event in &events {
            first.apply(event);
            second.apply(event);
        }
        prop_assert_eq!(first.log, second.log);
    }
}
