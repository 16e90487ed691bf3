//! What holds for any call whatever its arguments, and for any sequence of events.
//!
//! Random numbers, pointers and memory in. Always true of the kernel: it never panics, fails with an
//! error that the call's manual page or Linux's source allows, and two kernels that are told the same
//! give the same outcomes.

use proptest::prelude::*;
use shim_abi::calls::{
    PSEUDO_ATTACHED, PSEUDO_LOCK_RELEASED, PSEUDO_LOCK_WAIT, PSEUDO_PROCESS_FILE,
    PSEUDO_REPLACE_IMAGE, PSEUDO_VIRTUAL_FILE, nr,
};
use shim_abi::virtual_files::VirtualFile;
use shim_abi::{Errno, SimTime};
use std::collections::BTreeMap;
use std::vec;
use std::vec::Vec;

use crate::dispatch::ANSWERED;
use crate::testing::{DATA, THREAD_FLAGS, TestGuest, machine, signal};
use crate::{End, Kernel, Outcome, SignalOutcome, VirtualTid};

/// The errors that a call may fail with.
fn allowed(number: u32) -> &'static [Errno] {
    const E2BIG: Errno = Errno::E2BIG;
    const EACCES: Errno = Errno::EACCES;
    const EAGAIN: Errno = Errno::EAGAIN;
    const EDEADLK: Errno = Errno::EDEADLK;
    const EBADF: Errno = Errno::EBADF;
    const ECHILD: Errno = Errno::ECHILD;
    const EFAULT: Errno = Errno::EFAULT;
    const EINTR: Errno = Errno::EINTR;
    const EINVAL: Errno = Errno::EINVAL;
    const ENOMEM: Errno = Errno::ENOMEM;
    const ENOENT: Errno = Errno::ENOENT;
    const ENOSYS: Errno = Errno::ENOSYS;
    const EOPNOTSUPP: Errno = Errno::EOPNOTSUPP;
    const EPERM: Errno = Errno::EPERM;
    const ERESTARTSYS: Errno = Errno::ERESTARTSYS;
    const ERESTARTNOINTR: Errno = Errno::ERESTARTNOINTR;
    const EEXIST: Errno = Errno::EEXIST;
    const EFBIG: Errno = Errno::EFBIG;
    const EIDRM: Errno = Errno::EIDRM;
    const ENOMSG: Errno = Errno::ENOMSG;
    const ENOSPC: Errno = Errno::ENOSPC;
    const ERANGE: Errno = Errno::ERANGE;
    const EMFILE: Errno = Errno::EMFILE;
    const ENAMETOOLONG: Errno = Errno::ENAMETOOLONG;
    const EMSGSIZE: Errno = Errno::EMSGSIZE;
    const EBUSY: Errno = Errno::EBUSY;
    const ENFILE: Errno = Errno::ENFILE;
    const ESRCH: Errno = Errno::ESRCH;
    const ETIMEDOUT: Errno = Errno::ETIMEDOUT;
    match number {
        nr::pause => &[EINTR],
        nr::nanosleep => &[EINTR, EFAULT, EINVAL],
        nr::clock_gettime => &[EFAULT, EINVAL],
        nr::clock_nanosleep => &[EINTR, EFAULT, EINVAL, EOPNOTSUPP],
        nr::alarm | nr::exit | nr::exit_group | nr::set_tid_address => &[],
        nr::clone => &[EAGAIN, EINVAL, ENOMEM, EPERM],
        nr::wait4 => &[ECHILD, EFAULT, ERESTARTSYS, EINVAL, ESRCH],
        nr::waitid => &[EAGAIN, EBADF, ECHILD, EFAULT, ERESTARTSYS, EINVAL],
        nr::getitimer | nr::setitimer | nr::getrlimit | nr::getrusage => &[EFAULT, EINVAL],
        nr::sysinfo | nr::times => &[EFAULT],
        nr::kill | nr::tkill | nr::tgkill => &[EAGAIN, EINVAL, ENOSYS, EPERM, ESRCH],
        nr::rt_sigqueueinfo | nr::rt_tgsigqueueinfo => {
            &[E2BIG, EAGAIN, EFAULT, EINVAL, ENOSYS, EPERM, ESRCH]
        }
        nr::rt_sigsuspend => &[EINTR, EFAULT, EINVAL],
        nr::rt_sigtimedwait => &[EAGAIN, EINTR, EFAULT, EINVAL],
        nr::setpgid => &[EACCES, EINVAL, EPERM, ESRCH],
        nr::getpgid | nr::getsid => &[ESRCH],
        nr::timer_create => &[EAGAIN, EFAULT, EINVAL, EOPNOTSUPP],
        nr::timer_settime | nr::timer_gettime => &[EFAULT, EINVAL],
        nr::timer_getoverrun | nr::timer_delete => &[EINVAL],
        nr::prctl => &[EFAULT, EINVAL],
        nr::sched_yield => &[],
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
        nr::mq_open => {
            &[EACCES, EBADF, EEXIST, EFAULT, EINVAL, EMFILE, ENAMETOOLONG, ENOENT, ENOSPC]
        }
        nr::mq_unlink => &[EACCES, EFAULT, ENAMETOOLONG, ENOENT, EPERM],
        nr::mq_timedsend | nr::mq_timedreceive => {
            &[EAGAIN, EBADF, EFAULT, EINVAL, EMSGSIZE, ERESTARTSYS, ETIMEDOUT]
        }
        nr::mq_notify => &[EBADF, EBUSY, EFAULT, EINVAL],
        nr::mq_getsetattr => &[EBADF, EFAULT, EINVAL],
        nr::shmget => &[EACCES, EEXIST, ENFILE, EINVAL, ENOENT, ENOMEM, ENOSPC, EPERM],
        nr::shmat => &[EACCES, EFAULT, EIDRM, EINVAL, ENOMEM],
        nr::shmdt => &[EINVAL],
        nr::shmctl => &[EACCES, EFAULT, EIDRM, EINVAL, EPERM],
        PSEUDO_ATTACHED => &[EIDRM],
        PSEUDO_LOCK_WAIT => &[ERESTARTSYS],
        PSEUDO_LOCK_RELEASED | PSEUDO_REPLACE_IMAGE => &[],
        nr::semget => &[EACCES, EEXIST, EINVAL, ENOENT, ENOMEM, ENOSPC],
        nr::semop | nr::semtimedop => {
            &[E2BIG, EACCES, EAGAIN, EFAULT, EFBIG, EIDRM, EINTR, EINVAL, ENOMEM, ERANGE]
        }
        nr::semctl => &[EACCES, EFAULT, EIDRM, EINVAL, EPERM, ERANGE],
        nr::msgget => &[EACCES, EEXIST, ENOENT, ENOMEM, ENOSPC],
        nr::msgsnd => &[EACCES, EAGAIN, EFAULT, EIDRM, EINTR, EINVAL, ENOMEM],
        nr::msgrcv => &[E2BIG, EACCES, EFAULT, EIDRM, EINTR, EINVAL, ENOMSG],
        nr::msgctl => &[EACCES, EFAULT, EIDRM, EINVAL, EPERM],
        nr::futex => &[
            EAGAIN,
            EDEADLK,
            EFAULT,
            EINTR,
            EINVAL,
            ENOSYS,
            EPERM,
            ESRCH,
            ETIMEDOUT,
            ERESTARTSYS,
            ERESTARTNOINTR,
        ],
        nr::futex_waitv | nr::futex_wait => &[EAGAIN, EFAULT, EINVAL, ETIMEDOUT, ERESTARTSYS],
        nr::futex_wake => &[EFAULT, EINVAL],
        nr::futex_requeue => &[EAGAIN, EFAULT, EINVAL],
        nr::set_robust_list => &[EINVAL],
        nr::get_robust_list => &[EFAULT, EPERM, ESRCH],
        PSEUDO_PROCESS_FILE => &[EFAULT, EINVAL, ENOENT],
        PSEUDO_VIRTUAL_FILE => &[EFAULT, ENOENT],
        _ => {
            let on_files = crate::file::properties::allowed(number);
            on_files.or_else(|| crate::socket::properties::allowed(number)).unwrap_or(&[])
        }
    }
}

/// Whether a call may wait.
fn may_wait(number: u32) -> bool {
    crate::file::properties::may_wait(number)
        || crate::socket::properties::may_wait(number)
        || matches!(
            number,
            nr::pause
                | nr::nanosleep
                | nr::clock_nanosleep
                | nr::rt_sigsuspend
                | nr::rt_sigtimedwait
                | nr::futex
                | nr::futex_wait
                | nr::futex_waitv
                | nr::clone
                | nr::sched_yield
                | nr::wait4
                | nr::waitid
                | nr::semop
                | nr::semtimedop
                | nr::msgsnd
                | nr::msgrcv
                | nr::mq_timedsend
                | nr::mq_timedreceive
                | PSEUDO_LOCK_WAIT
        )
}

/// A number that some call takes for something: an id, a signal, a clock, a size, a pointer.
fn word() -> impl Strategy<Value = u64> {
    prop_oneof![
        4 => 0_u64..70,
        3 => 3_u64..30,
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
    Clone(usize, usize),
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
    let thread = 0_usize..6;
    let number = proptest::sample::select(ANSWERED);
    prop_oneof![
        12 => (thread.clone(), number, [word(), word(), word(), word(), word(), word()])
            .prop_map(|(thread, number, args)| Event::Call(thread, number, args)),
        2 => (thread.clone(), 0..CLONES.len())
            .prop_map(|(thread, kind)| Event::Clone(thread, kind)),
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

/// What a C library asks for: fork, vfork, posix_spawn, another thread.
const CLONES: [i32; 4] =
    [libc::SIGCHLD, libc::CLONE_VFORK, libc::CLONE_VFORK | libc::CLONE_VM, THREAD_FLAGS];

/// A host under random events, driven as `shim-host` drives it.
struct Host {
    kernel: Kernel,
    guest: TestGuest,
    /// The threads that live, and whether they have control.
    threads: BTreeMap<VirtualTid, bool>,
    now: SimTime,
    log: Vec<std::string::String>,
}

impl Host {
    fn new(memory: &[u64]) -> Host {
        let (mut kernel, mut guest, first) = machine();
        let others = [kernel.spawn(SimTime::ZERO, "b").1, kernel.spawn(SimTime::ZERO, "c").1];
        crate::file::properties::furnish(&mut kernel, [first, others[0], others[1]], &mut guest);
        guest.put_words(DATA, memory);
        let threads = [first, others[0], others[1]].map(|tid| (tid, true)).into();
        Host { kernel, guest, threads, now: SimTime::ZERO, log: Vec::new() }
    }

    fn note(&mut self, what: impl core::fmt::Debug) {
        self.log.push(std::format!("{:?} {what:?}", self.now));
    }

    /// The thread that an event means, if there is one.
    fn named(&self, thread: usize) -> Option<VirtualTid> {
        let count = self.threads.len();
        self.threads.keys().copied().nth(thread.checked_rem(count)?)
    }

    /// The same, if it has control.
    fn running(&self, thread: usize) -> Option<VirtualTid> {
        self.named(thread).filter(|tid| self.threads[tid])
    }

    /// An outcome of a thread's call, checked.
    fn settle(&mut self, tid: VirtualTid, number: Option<u32>, outcome: Outcome) {
        self.note((tid, number, outcome));
        match outcome {
            Outcome::Done(value) => {
                self.threads.insert(tid, true);
                if let (Some(number), Some(errno)) = (number, Errno::from_return(value)) {
                    let is_allowed = allowed(number).contains(&errno);
                    assert!(is_allowed, "call {number} fails with {errno}");
                }
            }
            Outcome::Park => {
                self.threads.insert(tid, false);
                if let Some(number) = number {
                    assert!(may_wait(number), "call {number} waits");
                }
            }
            Outcome::Clone { pid, tid: child } => {
                let result = if child.0 % 4 == 3 { Err(Errno::ENOMEM) } else { Ok(()) };
                if result.is_ok() {
                    assert_eq!(self.kernel.process_of(child), Some(pid));
                    self.threads.insert(child, true);
                }
                let done = self.kernel.clone_done(self.now, tid, child, result, &mut self.guest);
                self.settle(tid, number, done);
            }
            Outcome::ThreadExit => {
                assert!(matches!(number, Some(nr::exit)));
                self.threads.remove(&tid);
            }
            Outcome::Exit { status } => {
                assert!((0..256).contains(&status));
                assert!(matches!(number, Some(nr::exit | nr::exit_group)));
                self.end(tid);
            }
            Outcome::Native { .. } => panic!("no call is passed on"),
        }
    }

    /// The process of a thread ends.
    fn end(&mut self, tid: VirtualTid) {
        let pid = self.kernel.process_of(tid).expect("it lives");
        self.threads.retain(|&tid, _| self.kernel.process_of(tid) != Some(pid));
        self.kernel.process_ended(self.now, pid, End::Exited(0), &mut self.guest);
    }

    fn apply(&mut self, event: &Event) {
        match *event {
            Event::Call(thread, number, args) => self.call(thread, number, args),
            Event::Clone(thread, kind) => {
                let flags = CLONES[kind] as u64;
                self.call(thread, nr::clone, [flags, 0, DATA, DATA + 8, 0, u64::MAX]);
            }
            Event::Limit(thread, ns) => {
                let Some(tid) = self.running(thread) else { return };
                let turn = SimTime::from_ns(self.now.as_ns().saturating_add(ns));
                self.kernel.limit(turn, tid);
                self.threads.insert(tid, false);
            }
            Event::Post(thread, number) => {
                let pid = self.named(thread).and_then(|tid| self.kernel.process_of(tid));
                let Some(pid) = pid else { return };
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
            Event::Take(thread) => {
                let Some(tid) = self.running(thread) else { return };
                self.take(tid);
            }
            Event::Mask(mask) => self.guest.mask = mask,
            Event::Cpu(ns) => self.guest.cpu_ns = ns,
            Event::Action(signal, handler) => {
                self.guest.actions.insert(signal, handler);
            }
            Event::Exec(thread) => {
                let Some(tid) = self.running(thread) else { return };
                let pid = self.kernel.process_of(tid).expect("it lives");
                self.threads.retain(|&tid, _| self.kernel.process_of(tid) != Some(pid));
                let tid = self.kernel.exec_started(self.now, tid, &mut self.guest);
                assert_eq!(tid, pid.leader());
                self.threads.insert(tid, true);
            }
            Event::End(thread) => {
                let Some(tid) = self.named(thread) else { return };
                self.end(tid);
            }
            Event::Read(file) => {
                let contents = self.kernel.virtual_file(
                    self.now,
                    VirtualFile::ALL[file],
                    shim_abi::names::Names::new(&shim_abi::names::LOOPBACK_NAMES),
                );
                self.note(contents);
            }
        }
        let tids: Vec<VirtualTid> = self.threads.keys().copied().collect();
        for tid in tids {
            let pid = self.kernel.process_of(tid).expect("who lives has a process");
            let pending = self.kernel.pending(tid);
            let published = self.kernel.take_published(pid);
            self.note((pending, published));
        }
    }

    fn call(&mut self, thread: usize, number: u32, args: [u64; 6]) {
        let Some(tid) = self.running(thread) else { return };
        let outcome = self.kernel.call(self.now, tid, number, args, &mut self.guest);
        self.settle(tid, Some(number), outcome);
    }

    /// Resume whoever can go on.
    fn run(&mut self) {
        while let Some(tid) = self.kernel.next_runnable() {
            assert_eq!(self.threads.get(&tid), Some(&false), "it lives and had parked");
            let outcome = self.kernel.resume(self.now, tid, &mut self.guest);
            self.settle(tid, None, outcome);
            if self.threads[&tid] {
                self.take(tid);
            }
        }
    }

    fn take(&mut self, tid: VirtualTid) {
        let signal = self.kernel.take_signal(self.now, tid, &mut self.guest);
        self.note(signal);
        match signal {
            SignalOutcome::Die { signal } => {
                assert!((1..=64).contains(&signal));
                self.end(tid);
            }
            SignalOutcome::Deliver(info) => assert!((1..=64).contains(&info.signal)),
            SignalOutcome::None => {}
            SignalOutcome::Stop => {
                self.threads.insert(tid, false);
            }
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
                if host.running(0) != Some(VirtualTid(1000)) {
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
            first.kernel.check_files();
        }
        prop_assert_eq!(first.log, second.log);
    }
}
