//! A guest without a shim: this test program, started again, speaks the protocol itself.
//!
//! A mode in, a process's life out. Always true: the fake guest keeps to the clock's rules as the shim does: it
//! charges itself for each call, stops at the limit, and starts again from `now` when it is told so; what it
//! finds wrong shows in its exit status.
//!
//! # Safety
//!
//! Unsafe here: mapping a host's memory files, references into the mappings, futexes, and the native calls
//! and writes that the simulator asks for.
#![allow(unsafe_code)]

mod family;
mod lives;

use std::ffi::CString;
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsRawFd, FromRawFd};
use std::os::unix::ffi::OsStrExt;
use std::ptr;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;

use shim_abi::SimDuration;
use shim_abi::calls::nr;
use shim_abi::event::{Copies, Reply, Request, SignalInfo, words_to_bytes};
use shim_abi::handoff::{HANDOFF_BYTES, HANDOFF_VARIABLE, Handoff};
use shim_abi::host::HostBlock;
use shim_abi::process::{KICK_SIGNAL, ProcessBlock};
use shim_abi::region::{
    READ_ONLY_BYTES, ReadOnlyRegion, SHARED_BYTES, process_offset, thread_offset,
};
use shim_abi::ring::{CallRecord, RecordHeader, RecordKind};
use shim_abi::thread::ThreadBlock;
use shim_abi::version::{PROTOCOL_MAJOR, PROTOCOL_MINOR};
use shim_supervisor::Command;
use shim_sync::{Control, Futex, Side};

const VARIABLE: &str = "FAKE_GUEST";
/// What each call costs.
const LATENCY_NS: u64 = 1_000;
/// The same.
pub const LATENCY: SimDuration = SimDuration::from_ns(LATENCY_NS);
const SECOND_NS: u64 = 1_000_000_000;

/// A command that starts a fake guest of this mode.
pub fn command(mode: &str) -> Command {
    let exe = std::env::current_exe().unwrap();
    let mut command = Command::new(CString::new(exe.as_os_str().as_bytes()).unwrap());
    let words = ["--exact", "fake_guest", "--nocapture", "--test-threads=1"];
    command.argv.extend(words.map(|word| CString::new(word).unwrap()));
    command.env.push(CString::new(format!("{VARIABLE}={mode}")).unwrap());
    command.inherit_stdio().unwrap();
    command.stdio[1] = None;
    command
}

/// Become a fake guest, if that is what this process was started for.
pub fn enter() {
    let Ok(mode) = std::env::var(VARIABLE) else { return };
    if mode == "no-shim" {
        std::process::exit(6);
    }
    // Also in a thread, or in a copy of this process that has lost its test harness.
    std::panic::set_hook(Box::new(|info| {
        eprintln!("{info}");
        // SAFETY: ends the process.
        unsafe { libc::_exit(101) };
    }));
    let guest = FakeGuest::connect();
    if guest.is_family_mode(&mode) {
        std::process::exit(98)
    }
    match mode.as_str() {
        "sleep" => guest.sleep_and_exit(),
        "sleep-beside-others" => guest.sleep_beside_others(),
        "poll" => guest.poll_with_alarm(),
        "pause" => guest.pause(),
        "compute" => guest.compute(0),
        "compute-with-alarm" => guest.compute(5),
        "clocks" => guest.show_clocks(),
        "tell" => guest.tell(),
        "unasked" => drop(guest.call(&Request::SyscallComplete { result: 0 })),
        "stay" => guest.stay_after_exit(),
        "crash" => std::process::abort(),
        "group" => guest.show_published(),
        _ => std::process::exit(99),
    }
    std::process::exit(98)
}

fn native_tid() -> u32 {
    // SAFETY: no pointers.
    unsafe { libc::gettid() as u32 }
}

struct Sleep;

impl Futex<AtomicU32> for Sleep {
    fn wait(&self, word: &AtomicU32, expected: u32) {
        let none = ptr::null::<libc::timespec>();
        // SAFETY: the word is a reference; the kernel compares and sleeps.
        unsafe { libc::syscall(libc::SYS_futex, word, libc::FUTEX_WAIT, expected, none) };
    }
    fn wake(&self, word: &AtomicU32) {
        // SAFETY: the word is a reference; the kernel only uses its address.
        unsafe { libc::syscall(libc::SYS_futex, word, libc::FUTEX_WAKE, i32::MAX) };
    }
}

#[derive(Clone, Copy)]
struct FakeGuest {
    handoff: Handoff,
    shared: usize,
    host: &'static HostBlock,
    process: &'static ProcessBlock,
    thread: &'static ThreadBlock,
}

fn map(simulator: u32, fd: u32, len: usize, is_writable: bool) -> *mut u8 {
    let path = format!("/proc/{simulator}/fd/{fd}");
    let file = File::options().read(true).write(is_writable).open(path).unwrap();
    let protection = libc::PROT_READ | if is_writable { libc::PROT_WRITE } else { 0 };
    let fd = file.as_raw_fd();
    // SAFETY: the kernel chooses the place.
    let start = unsafe { libc::mmap(ptr::null_mut(), len, protection, libc::MAP_SHARED, fd, 0) };
    assert_ne!(start, libc::MAP_FAILED);
    start.cast()
}

impl FakeGuest {
    fn connect() -> FakeGuest {
        let fd = std::env::var(HANDOFF_VARIABLE).unwrap().parse().unwrap();
        // SAFETY: the launcher left this descriptor for us alone.
        let mut file = unsafe { File::from_raw_fd(fd) };
        let mut bytes = [0; HANDOFF_BYTES];
        file.read_exact(&mut bytes).unwrap();
        let handoff = Handoff::from_bytes(&bytes, (PROTOCOL_MAJOR, PROTOCOL_MINOR)).unwrap();
        let simulator = handoff.simulator_pid;
        let read_only = map(simulator, handoff.read_only_fd, READ_ONLY_BYTES, false);
        let shared = map(simulator, handoff.shared_fd, SHARED_BYTES, true);
        let process = process_offset(handoff.process_index).unwrap();
        let thread = thread_offset(handoff.thread_index).unwrap();
        // SAFETY: the region stands at the file's start and the mapping stays.
        let region: &'static ReadOnlyRegion = unsafe { &*read_only.cast() };
        let guest = FakeGuest {
            handoff,
            shared: shared as usize,
            host: &region.host,
            // SAFETY: `process_offset` is inside the mapping, which stays.
            process: unsafe { &*shared.wrapping_add(process).cast::<ProcessBlock>() },
            // SAFETY: `thread_offset` is inside the mapping, which stays.
            thread: unsafe { &*shared.wrapping_add(thread).cast::<ThreadBlock>() },
        };
        guest.thread.native_tid.store(native_tid(), Relaxed);
        // The shim has a handler; a fake guest looks at its pending signals anyway.
        // SAFETY: no handler is installed.
        unsafe { libc::signal(KICK_SIGNAL as i32, libc::SIG_IGN) };
        guest.process.native_pid.store(std::process::id(), Relaxed);
        guest.process.program.store(b"fake");
        assert_eq!(guest.call(&Request::Start), Reply::Started);
        guest
    }

    fn call(&self, request: &Request) -> Reply {
        self.thread.channel.request.store_request(request);
        Control::new(&self.thread.channel.control, Sleep, Side::Guest).call(1000).unwrap();
        // As the library does: how far it may go now.
        let until_ns = self.host.run_until_ns.load(Relaxed);
        self.thread.run_until_ns.store(until_ns, Relaxed);
        self.thread.channel.reply.load_reply().unwrap()
    }

    /// The thread's own time.
    fn now_ns(&self) -> u64 {
        self.host.now_ns.load(Relaxed) + self.thread.charged_ns.load(Relaxed)
    }

    /// Pay for a call. A guest that reaches the limit hands over.
    fn charge(&self) {
        self.thread.charged_ns.fetch_add(LATENCY_NS, Relaxed);
        if self.now_ns() >= self.host.run_until_ns.load(Relaxed) {
            let reply = self.call(&Request::Limit);
            self.complete(reply);
        }
    }

    /// A forwarded call; `copy` goes along. Its result and the signal that came with it.
    fn syscall(&self, number: u32, args: [u64; 6], copy: &[u8]) -> (i64, Option<SignalInfo>) {
        self.charge();
        let mut copies = Copies::new(&self.thread.channel.data);
        if !copy.is_empty() {
            assert!(copies.push(copy.as_ptr() as u64, copy));
        }
        let copies_bytes = copies.used_bytes();
        let reply = self.call(&Request::Syscall { number, args, copies_bytes });
        self.complete(reply)
    }

    fn complete(&self, mut reply: Reply) -> (i64, Option<SignalInfo>) {
        loop {
            match reply {
                Reply::DoNative { number, args: [a, b, c, d, e, f] } => {
                    // SAFETY: the simulator asks for calls that end this process.
                    let result = unsafe { libc::syscall(number.into(), a, b, c, d, e, f) };
                    reply = self.call(&Request::SyscallComplete { result });
                }
                Reply::Complete { result, copies_bytes, is_clock_advanced, signal } => {
                    let data = &self.thread.channel.data;
                    Copies::read(data, copies_bytes, |address, len, words| {
                        let mut bytes = vec![0; len];
                        words_to_bytes(words, &mut bytes);
                        // SAFETY: the kernel writes to buffers that it was told of.
                        unsafe { ptr::copy(bytes.as_ptr(), address as *mut u8, len) };
                    })
                    .unwrap();
                    if is_clock_advanced {
                        self.thread.charged_ns.store(0, Relaxed);
                    }
                    return (result, signal);
                }
                Reply::Die { signal } => {
                    // SAFETY: kills this process.
                    unsafe { libc::raise(signal as i32) };
                }
                reply => panic!("{reply:?}"),
            }
        }
    }

    fn nanosleep(&self, ns: u64) -> (i64, Option<SignalInfo>) {
        let mut time = [0; 16];
        time[..8].copy_from_slice(&(ns / SECOND_NS).to_le_bytes());
        time[8..].copy_from_slice(&(ns % SECOND_NS).to_le_bytes());
        self.syscall(nr::nanosleep, [time.as_ptr() as u64, 0, 0, 0, 0, 0], &time)
    }

    fn exit(&self, status: u64) {
        self.syscall(nr::exit_group, [status, 0, 0, 0, 0, 0], &[]);
    }

    /// Two sleeps, each of which starts at the thread's own time and ends on the host's clock.
    fn sleep_and_exit(&self) {
        let start = self.now_ns();
        assert_eq!(self.nanosleep(SECOND_NS), (0, None));
        assert_eq!(self.thread.charged_ns.load(Relaxed), 0);
        assert_eq!(self.host.now_ns.load(Relaxed), start + LATENCY_NS + SECOND_NS);
        assert_eq!(self.nanosleep(3600 * SECOND_NS), (0, None));
        assert_eq!(self.now_ns(), start + 2 * LATENCY_NS + 3601 * SECOND_NS);
        self.exit(3);
    }

    /// The same two sleeps, which may end late, because others run.
    fn sleep_beside_others(&self) {
        let start = self.now_ns();
        assert_eq!(self.nanosleep(SECOND_NS), (0, None));
        assert_eq!(self.thread.charged_ns.load(Relaxed), 0);
        assert!(self.now_ns() >= start + LATENCY_NS + SECOND_NS);
        assert_eq!(self.nanosleep(3600 * SECOND_NS), (0, None));
        assert!(self.now_ns() >= start + 2 * LATENCY_NS + 3601 * SECOND_NS);
        self.exit(3);
    }

    /// A guest that looks at the clock until its alarm comes: the limit stops it in time.
    fn poll_with_alarm(&self) {
        const SIGALRM: usize = 14;
        self.process.actions[SIGALRM - 1].handler.store(0x1000, Relaxed);
        let start = self.now_ns();
        assert_eq!(self.syscall(nr::alarm, [1, 0, 0, 0, 0, 0], &[]), (0, None));
        let due = start + LATENCY_NS + SECOND_NS;
        assert!(self.host.run_until_ns.load(Relaxed) <= due);
        while self.thread.pending_signals.load(Relaxed) == 0 {
            assert!(self.now_ns() <= due + LATENCY_NS, "ran past the limit");
            // A slow computation, in calls of a millisecond.
            self.thread.charged_ns.fetch_add(SECOND_NS / 1000, Relaxed);
            self.charge();
        }
        let reply = self.call(&Request::Signals);
        let (_, signal) = self.complete(reply);
        assert_eq!(signal.map(|info| info.signal as usize), Some(SIGALRM));
        assert_eq!(self.thread.pending_signals.load(Relaxed), 0);
        self.exit(4);
    }

    /// Wait for whatever comes; exit with what came.
    fn pause(&self) {
        const SIGUSR1: usize = 10;
        self.process.actions[SIGUSR1 - 1].handler.store(0x1000, Relaxed);
        let (result, signal) = self.syscall(nr::pause, [0; 6], &[]);
        assert_eq!(result, -i64::from(libc::EINTR));
        self.exit(signal.map_or(0, |info| info.signal.into()));
    }

    /// Compute without a call until `alarm` seconds have passed, at most a second of processor time; exits
    /// with the number of times that it was preempted.
    fn compute(&self, alarm: u64) {
        const SIGALRM: usize = 14;
        self.process.actions[SIGALRM - 1].handler.store(0x1000, Relaxed);
        self.syscall(nr::alarm, [alarm, 0, 0, 0, 0, 0], &[]);
        let mut count = 0;
        let mut rounds = 0;
        while self.thread.pending_signals.load(Relaxed) == 0 && rounds < 500 {
            let calls = u64::from(self.thread.calls.load(Relaxed));
            if self.thread.preempt_at.load(Relaxed) == calls + 1 {
                self.thread.calls.store(calls as u32 + 1, Relaxed);
                self.thread.charged_ns.fetch_add(self.host.preemption_ns, Relaxed);
                let reply = self.call(&Request::Preempted);
                self.complete(reply);
                count += 1;
            }
            let start = std::time::Instant::now();
            while start.elapsed() < std::time::Duration::from_millis(2) {}
            rounds += 1;
        }
        self.exit(count);
    }

    /// The calendar is what it should be at each instant, also where the host's own event is in between.
    fn show_clocks(&self) {
        let offset = || self.host.realtime_offset_ns.load(Relaxed);
        assert_eq!(self.host.rate.as_ppb(), 50_000);
        assert_eq!((offset(), self.host.realtime_offset_at_start_ns), (7, 7));
        assert_eq!(self.host.run_until_ns.load(Relaxed), SECOND_NS, "not past the jump");
        self.thread.charged_ns.fetch_add(SECOND_NS, Relaxed);
        self.charge();
        assert_eq!(offset(), 7 - 100);
        assert_eq!(self.host.now_ns.load(Relaxed), SECOND_NS + LATENCY_NS);
        // By the host's own clock.
        assert_eq!(self.nanosleep(20_001_000_000), (0, None));
        assert_eq!(self.host.now_ns.load(Relaxed), 21 * SECOND_NS + 2 * LATENCY_NS);
        self.exit(5);
    }

    /// Everything that a guest tells about itself.
    fn tell(&self) {
        let at = |kind, level| RecordHeader { kind, level, time_ns: 5 };
        assert!(self.thread.ring.push(at(RecordKind::Log, 2), b"careful"));
        let record = CallRecord { number: nr::getpid, args: [0; 6], result: 1000 };
        assert!(self.thread.ring.push(at(RecordKind::Call, 0), &record.to_bytes()));
        assert!(self.thread.ring.push(at(RecordKind::Call, 0), b"short"));
        assert!(self.thread.ring.push(at(RecordKind::Lack, 0), b"ioctl 0x1"));
        self.process.refused[nr::socket as usize].store(2, Relaxed);
        // Another program takes over in this process, and is refused the same once more.
        self.process.program.store(b"other");
        assert_eq!(self.call(&Request::Start), Reply::Started);
        self.process.refused[nr::socket as usize].store(3, Relaxed);
        self.process.failure.store(b"panicked at a.rs:1");
        // Told without control, read after death.
        assert!(self.thread.ring.push(at(RecordKind::Log, 3), b"last words"));
        std::process::exit(0);
    }

    /// Does not exit when it is told to.
    fn stay_after_exit(&self) {
        let args = [0; 6];
        let request = Request::Syscall { number: nr::exit_group, args, copies_bytes: 0 };
        assert!(matches!(self.call(&request), Reply::DoNative { .. }));
        self.call(&Request::SyscallComplete { result: 0 });
    }

    /// What the kernel changed stands in the block.
    fn show_published(&self) {
        assert_eq!(self.process.pid.load(Relaxed), 1000);
        assert_eq!(self.process.parent_pid.load(Relaxed), 1);
        let limit = [100_u64, 200].map(u64::to_le_bytes).concat();
        let nofile = u64::from(libc::RLIMIT_NOFILE);
        let args = [nofile, limit.as_ptr() as u64, 0, 0, 0, 0];
        assert_eq!(self.syscall(nr::setrlimit, args, &limit), (0, None));
        assert_eq!(self.process.descriptor_limit.load(Relaxed), 100);
        assert_eq!(self.process.descriptor_limit_hard.load(Relaxed), 200);
        self.exit(0);
    }
}
