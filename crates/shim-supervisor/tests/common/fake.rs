//! A guest without a shim: this test program, started again, speaks the protocol itself.
//!
//! A test file that wants fake guests has a test named `fake_guest` that calls [`enter`]; started as
//! a guest it becomes one of the [`Mode`]s and never returns. Always true: the fake guest uses `shim-sync`
//! and `shim-abi` only, as the real one does; what it finds wrong it tells by its exit status.
//!
//! # Safety
//!
//! Unsafe here: mapping a host's memory files, references into the mappings, and the native calls that the
//! simulator asks for.
#![allow(unsafe_code)]

pub mod family;

use std::fs::File;
use std::io::Read;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::ptr;
use std::sync::atomic::Ordering::{Relaxed, Release};
use std::sync::atomic::{AtomicBool, AtomicU32};
use std::time::Duration;

use shim_abi::event::{Copies, Reply, Request, words_to_bytes};
use shim_abi::handoff::{HANDOFF_BYTES, HANDOFF_VARIABLE, Handoff};
use shim_abi::process::ProcessBlock;
use shim_abi::region::{
    READ_ONLY_BYTES, ReadOnlyRegion, SHARED_BYTES, process_offset, thread_offset,
};
use shim_abi::thread::ThreadBlock;
use shim_abi::version::{PROTOCOL_MAJOR, PROTOCOL_MINOR};
use shim_supervisor::Command;
use shim_sync::{Closed, Control, Futex, Side};

const VARIABLE: &str = "FAKE_GUEST";

/// A command that starts a fake guest of this mode.
pub fn command(mode: &str) -> Command {
    let exe = std::env::current_exe().unwrap();
    let mut command = Command::new(super::path_text(&exe));
    let arguments = ["--exact", "fake_guest", "--nocapture", "--test-threads=1"];
    command.argv.extend(arguments.map(super::text));
    command.env.push(super::text(&format!("{VARIABLE}={mode}")));
    // Its messages, if it panics.
    command.inherit_stdio().unwrap();
    command.stdio[1] = None;
    command
}

/// Become a fake guest, if that is what this process was started for.
pub fn enter() {
    let Ok(mode) = std::env::var(VARIABLE) else { return };
    // Should everything fail that is to end it.
    // SAFETY: no pointers.
    unsafe { libc::alarm(60) };
    let guest = FakeGuest::connect();
    std::process::exit(match mode.as_str() {
        "calls" => guest.calls(),
        "loop" => guest.call_for_ever(),
        "hang" => guest.hang(),
        "spin" => guest.spin(),
        "exit" => 5,
        "garbage" => guest.write_garbage(false),
        "garbage-quietly" => guest.write_garbage(true),
        "close" => guest.close_channel(),
        "nonsense" => guest.say_nonsense(),
        "bad-copies" => guest.send_bad_copies(),
        "break-files" => guest.break_files(),
        "records" => guest.write_records(),
        "kicked" => guest.be_kicked(),
        "compute" => guest.compute(false, false),
        "compute-and-call" => guest.compute(false, true),
        "served" => guest.compute(true, false),
        "wait-long" => guest.wait_long(),
        "parent" => guest.be_parent(),
        _ => 99,
    })
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
pub struct FakeGuest {
    simulator: u32,
    files: [u32; 2],
    shared: *mut u8,
    read_only: &'static ReadOnlyRegion,
    process: &'static ProcessBlock,
    thread: &'static ThreadBlock,
}

// SAFETY: the addresses in it are the process's, and what stands there is made of atomics.
unsafe impl Send for FakeGuest {}

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
        let mut file = File::from(unsafe { OwnedFd::from_raw_fd(fd) });
        let mut bytes = [0; HANDOFF_BYTES];
        file.read_exact(&mut bytes).unwrap();
        let handoff = Handoff::from_bytes(&bytes, (PROTOCOL_MAJOR, PROTOCOL_MINOR)).unwrap();
        let simulator = handoff.simulator_pid;
        let read_only = map(simulator, handoff.read_only_fd, READ_ONLY_BYTES, false);
        let shared = map(simulator, handoff.shared_fd, SHARED_BYTES, true);
        let process = process_offset(handoff.process_index).unwrap();
        let thread = thread_offset(handoff.thread_index).unwrap();
        FakeGuest {
            simulator,
            files: [handoff.read_only_fd, handoff.shared_fd],
            shared,
            // SAFETY: the region stands at the file's start and the mapping stays.
            read_only: unsafe { &*read_only.cast::<ReadOnlyRegion>() },
            // SAFETY: `process_offset` is inside the mapping, which stays.
            process: unsafe { &*shared.wrapping_add(process).cast::<ProcessBlock>() },
            // SAFETY: `thread_offset` is inside the mapping, which stays.
            thread: unsafe { &*shared.wrapping_add(thread).cast::<ThreadBlock>() },
        }
    }

    fn control(&self) -> Control<'static, AtomicU32, Sleep> {
        Control::new(&self.thread.channel.control, Sleep, Side::Guest)
    }

    fn call(&self, request: &Request) -> Result<Reply, Closed> {
        self.thread.channel.request.store_request(request);
        self.control().call(1000)?;
        Ok(self.thread.channel.reply.load_reply().unwrap())
    }

    fn start(&self) {
        self.process.native_pid.store(std::process::id(), Relaxed);
        // SAFETY: no pointers.
        let tid = unsafe { libc::gettid() };
        self.thread.native_tid.store(tid as u32, Relaxed);
        self.process.images.store(1, Release);
        self.process.program.store(b"fake\x1bguest");
        assert_eq!(self.call(&Request::Start), Ok(Reply::Started));
    }

    /// A system call with these copies; native calls that are asked for are made. The result after the
    /// reply's copies were stored.
    fn syscall(&self, number: u32, args: [u64; 6], copies: &[&[u8]]) -> i64 {
        let data = &self.thread.channel.data;
        let mut list = Copies::new(data);
        for bytes in copies {
            assert!(list.push(bytes.as_ptr() as u64, bytes));
        }
        let copies_bytes = list.used_bytes();
        let mut reply = self.call(&Request::Syscall { number, args, copies_bytes }).unwrap();
        loop {
            match reply {
                Reply::DoNative { number, args: [a, b, c, d, e, f] } => {
                    // SAFETY: the test's simulator asks for calls on memory of this test.
                    let result = unsafe { libc::syscall(number.into(), a, b, c, d, e, f) };
                    reply = self
                        .call(&Request::SyscallComplete { result })
                        .expect("a reply after a native call");
                }
                Reply::Complete { result, copies_bytes, .. } => {
                    Copies::read(data, copies_bytes, |address, len, words| {
                        let mut bytes = vec![0; len];
                        words_to_bytes(words, &mut bytes);
                        // SAFETY: the test's simulator writes to buffers that it was told of.
                        unsafe { ptr::copy(bytes.as_ptr(), address as *mut u8, len) };
                    })
                    .unwrap();
                    return result;
                }
                Reply::AddThread { process_index, thread_index } => {
                    let result = self.make(process_index, thread_index, args[0]);
                    reply = self.call(&Request::AddThreadRes { result }).unwrap();
                }
                reply => panic!("{reply:?}"),
            }
        }
    }

    /// Calls 1 to 4 of `guest.rs`.
    fn calls(&self) -> i32 {
        self.start();
        assert_eq!(self.read_only.host.now_ns.load(Relaxed), 77);
        assert_eq!(self.read_only.host.hostname.as_bytes(), b"alice");
        assert_eq!(self.process.pid.load(Relaxed), 1000);
        assert_eq!(self.process.exit_status.load(Relaxed), -1);
        // 1: one argument as a copy, one not; 8 bytes come back with the reply.
        let near = *b"with the call";
        let far = vec![7_u8; 100_000];
        let mut out = [0_u8; 8];
        let args = [near.as_ptr() as u64, far.as_ptr() as u64, out.as_mut_ptr() as u64, 0, 0, 0];
        assert_eq!(self.syscall(1, args, &[&near]), 42);
        assert_eq!(out, *b"answered");
        // 2: much comes back, over something small.
        let mut large = vec![0_u8; 100_000];
        let args = [large.as_mut_ptr() as u64, 0, 0, 0, 0, 0];
        assert_eq!(self.syscall(2, args, &[]), 0);
        assert!(large[..10].iter().all(|&b| b == 1) && large[10..].iter().all(|&b| b == 2));
        // 3: native calls in between.
        assert_eq!(self.syscall(3, [0; 6], &[]), i64::from(std::process::id()));
        // 4: bad pointers.
        assert_eq!(self.syscall(4, [0; 6], &[]), -14);
        self.syscall(5, [0; 6], &[]) as i32
    }

    fn call_for_ever(&self) -> i32 {
        self.start();
        loop {
            self.syscall(39, [0; 6], &[]);
        }
    }

    fn hang(&self) -> i32 {
        self.start();
        loop {
            std::thread::park();
        }
    }

    fn spin(&self) -> i32 {
        self.start();
        loop {
            std::hint::spin_loop();
        }
    }

    fn write_garbage(&self, is_quiet: bool) -> i32 {
        self.start();
        let mut state = 88172645463325252_u64;
        for at in (0..SHARED_BYTES).step_by(8) {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            // Of the threads' part the first blocks do.
            if at < thread_offset(8).unwrap() {
                // SAFETY: inside the mapping; whoever reads it expects anything.
                unsafe { self.shared.wrapping_add(at).cast::<u64>().write_volatile(state) };
            }
        }
        if is_quiet {
            // Nobody sleeps, the guest has control.
            self.thread.channel.control.store(0, Relaxed);
        }
        self.hang_without_start()
    }

    fn hang_without_start(&self) -> i32 {
        loop {
            std::thread::park();
        }
    }

    fn close_channel(&self) -> i32 {
        self.start();
        self.control().close();
        self.hang_without_start()
    }

    fn say_nonsense(&self) -> i32 {
        self.start();
        let data = &self.thread.channel.data;
        data[0].store(1, Relaxed);
        // A line's words are reachable by any guest; here by way of a call's number in the tag.
        let line = (&raw const self.thread.channel.request).cast::<u64>().cast_mut();
        // SAFETY: the line is in the shared mapping, which is writable.
        unsafe { line.write_volatile(0xffff_ffff) };
        let _ = self.control().call(0);
        6
    }

    fn send_bad_copies(&self) -> i32 {
        self.start();
        let data = &self.thread.channel.data;
        data[0].store(0, Relaxed);
        data[1].store(u64::MAX, Relaxed);
        let request = Request::Syscall { number: 1, args: [0; 6], copies_bytes: 32 };
        let _ = self.call(&request);
        6
    }

    /// What a guest might try in order to make its simulator fault.
    fn break_files(&self) -> i32 {
        self.start();
        for (fd, is_shared) in [(self.files[0], false), (self.files[1], true)] {
            let path = format!("/proc/{}/fd/{fd}", self.simulator);
            let file = File::options().read(true).write(true).open(path).unwrap();
            assert!(file.set_len(0).is_err(), "the file could be shrunk");
            assert!(file.set_len(1 << 40).is_err(), "the file could be grown");
            let protection = libc::PROT_READ | libc::PROT_WRITE;
            let (flags, raw) = (libc::MAP_SHARED, file.as_raw_fd());
            // SAFETY: the kernel chooses the place.
            let start = unsafe { libc::mmap(ptr::null_mut(), 4096, protection, flags, raw, 0) };
            assert_eq!(start == libc::MAP_FAILED, !is_shared, "writable mapping of {fd}");
            if !is_shared {
                let read = libc::PROT_READ;
                // SAFETY: the kernel chooses the place.
                let start = unsafe { libc::mmap(ptr::null_mut(), 4096, read, flags, raw, 0) };
                // SAFETY: changes nothing if it fails, as it must.
                assert_eq!(unsafe { libc::mprotect(start, 4096, protection) }, -1);
                assert!(std::io::Write::write(&mut &file, b"x").is_err());
            }
        }
        7
    }

    fn write_records(&self) -> i32 {
        use shim_abi::ring::{RecordHeader, RecordKind};
        self.start();
        let ring = &self.thread.ring;
        for n in 0..10_000_u64 {
            let header = RecordHeader { kind: RecordKind::Log, level: 3, time_ns: n };
            while !ring.push(header, format!("record {n}").as_bytes()) {
                self.call(&Request::Drain).unwrap();
            }
            if n == 5_000 {
                // In the midst of a native call the ring fills, too.
                let request = Request::Syscall { number: 1, args: [0; 6], copies_bytes: 0 };
                let reply = self.call(&request).unwrap();
                assert!(matches!(reply, Reply::DoNative { .. }));
                for k in 0..5_000 {
                    let header = RecordHeader { kind: RecordKind::Lack, level: 0, time_ns: k };
                    while !ring.push(header, b"lack") {
                        self.call(&Request::Drain).unwrap();
                    }
                }
                self.call(&Request::SyscallComplete { result: 9 }).unwrap();
            }
        }
        self.process.refused[41].store(3, Relaxed);
        self.process.failure.store("broken \u{1b}[31m here".as_bytes());
        8
    }

    /// Wait natively until the kick comes, then tell what is pending.
    fn be_kicked(&self) -> i32 {
        static IS_KICKED: AtomicBool = AtomicBool::new(false);
        extern "C" fn handler(_: libc::c_int) {
            IS_KICKED.store(true, Relaxed);
        }
        let handler = handler as *const () as usize;
        // SAFETY: a handler that stores to a static.
        unsafe { libc::signal(shim_abi::process::KICK_SIGNAL as i32, handler) };
        self.start();
        self.syscall(100, [0; 6], &[]);
        for _ in 0..1_000 {
            let pending = self.thread.pending_signals.load(Relaxed);
            if pending != 0 && IS_KICKED.load(Relaxed) {
                return pending as i32;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        98
    }

    /// Compute for a second, hand over when that is asked for, at most three times; how often it was.
    fn compute(&self, is_serving: bool, makes_calls: bool) -> i32 {
        const SIGNAL: libc::c_int = shim_abi::process::KICK_SIGNAL as libc::c_int;
        extern "C" fn handler(_: libc::c_int) {}
        // SAFETY: a handler that does nothing.
        unsafe { libc::signal(SIGNAL, handler as *const () as usize) };
        self.start();
        self.thread.is_serving.store(is_serving.into(), Relaxed);
        let end = cpu_time() + Duration::from_secs(1);
        let mut count = 0;
        while cpu_time() < end && count < 3 {
            let calls = self.thread.calls.load(Relaxed);
            if self.thread.preempt_at.load(Relaxed) == u64::from(calls) + 1 {
                self.thread.calls.store(calls + 1, Relaxed);
                self.call(&Request::Preempted).unwrap();
                count += 1;
            } else if makes_calls {
                self.thread.calls.store(calls + 1, Relaxed);
            }
        }
        count
    }

    /// Use no processor, as a guest that is stopped; whether it was to hand over.
    fn wait_long(&self) -> i32 {
        self.start();
        std::thread::sleep(Duration::from_millis(500));
        (self.thread.preempt_at.load(Relaxed) != 0).into()
    }
}

fn cpu_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the kernel stores one `timespec`, and this is one.
    assert_eq!(unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &raw mut time) }, 0);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
