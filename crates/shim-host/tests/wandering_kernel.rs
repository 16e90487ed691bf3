//! A host's kernel that goes on in another process.
//!
//! This executable runs itself again, with a variable that names the arena's file: the copy maps the arena
//! at the same address, finds the kernel at its root, lets time pass there and answers calls; then the
//! original goes on with what the copy left. Always true: the side that does not have control waits. It is
//! the proof that a kernel's state holds nothing of one process; that an arena's own books wander is
//! tested where arenas are.
//!
//! # Safety
//!
//! Turns the arena's root, which the other process wrote, into a reference.
#![allow(unsafe_code)]

use std::alloc::System;
use std::fs::OpenOptions;
use std::os::fd::AsRawFd;
use std::process::Command;

use shim_abi::calls::nr;
use shim_abi::event::SignalInfo;
use shim_abi::{Errno, SimTime};
use shim_arena::{Arena, ScopedAllocator};
use shim_kernel::{
    Backing, ClockSettings, Config, Guest, GuestAddr, Guests, Kernel, Outcome, SignalOutcome,
    VirtualPid, VirtualTid,
};

#[global_allocator]
static ALLOCATOR: ScopedAllocator<System> = ScopedAllocator::new(System);

const INDEX: u32 = 3000;
const VARIABLE: &str = "SHIM_WANDERING_KERNEL";
const SECOND: u64 = 1_000_000_000;

/// A guest that asks to sleep for 5 s, and handles SIGTERM.
struct Sleeper;

impl Guests for Sleeper {
    fn action_of(&self, _pid: VirtualPid, _signal: u32) -> (u64, u64) {
        (0x1000, 0)
    }
}

impl Guest for Sleeper {
    fn read(&mut self, _from: GuestAddr, to: &mut [u8]) -> Result<(), Errno> {
        to.fill(0);
        to[0] = 5;
        Ok(())
    }
    fn write(&mut self, _to: GuestAddr, _bytes: &[u8]) -> Result<(), Errno> {
        Ok(())
    }
    fn action(&self, _signal: u32) -> (u64, u64) {
        (0x1000, 0)
    }
    fn signal_mask(&self) -> u64 {
        0
    }
    fn cpu_ns(&self) -> u64 {
        0
    }
    fn backing(&mut self, _at: GuestAddr) -> Result<Option<Backing>, Errno> {
        Ok(None)
    }
    fn user_ids(&self) -> [u32; 3] {
        [0; 3]
    }
    fn group_ids(&self) -> [u32; 3] {
        [0; 3]
    }
}

fn at(seconds: u64) -> SimTime {
    SimTime::from_ns(seconds * SECOND)
}

fn sleep(kernel: &mut Kernel, now: SimTime, tid: VirtualTid) -> Outcome {
    kernel.call(now, tid, nr::nanosleep, [8, 0, 0, 0, 0, 0], &mut Sleeper)
}

/// The address of the kernel at the arena's root.
fn kernel_in(arena: &Arena) -> *mut Kernel {
    std::ptr::with_exposed_provenance_mut(arena.root().expect("somebody left a root"))
}

/// What the copy does: wakes the sleeper, lets it sleep again, and leaves a signal for it.
fn go_on(path: &str) {
    let file = OpenOptions::new().read(true).write(true).open(path).unwrap();
    // SAFETY: the original made the file, is the same executable, and waits for us.
    let arena = unsafe { Arena::attach(file.into(), INDEX) }.unwrap();
    arena.enter(|| {
        // SAFETY: the original leaked a kernel there, both are the same executable, and the side without
        // control waits.
        let kernel = unsafe { &mut *kernel_in(&arena) };
        assert_eq!(kernel.next_event(), Some(at(5)));
        kernel.advance(at(5));
        let tid = kernel.next_runnable().expect("its time is over");
        assert_eq!(kernel.resume(at(5), tid, &mut Sleeper), Outcome::Done(0));
        assert_eq!(sleep(kernel, at(7), tid), Outcome::Park);
        let pid = kernel.process_of(tid).expect("it lives");
        let info = SignalInfo { signal: libc::SIGTERM as u32, ..SignalInfo::default() };
        kernel.post_signal(at(8), pid, info);
    });
}

#[test]
fn a_kernel_goes_on_in_another_process_and_comes_back() {
    if let Some(path) = std::env::var_os(VARIABLE) {
        return go_on(path.to_str().unwrap());
    }
    let arena = Arena::create(INDEX, 16 << 20).unwrap();
    let tid = arena.enter(|| {
        let kernel = Box::leak(Box::new(Kernel::new(config())));
        arena.set_root((&raw mut *kernel).expose_provenance());
        let (_, tid) = kernel.spawn(at(0), "sleeper");
        assert_eq!(sleep(kernel, at(0), tid), Outcome::Park);
        tid
    });

    let file = format!("/proc/{}/fd/{}", std::process::id(), arena.fd().as_raw_fd());
    let copy = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_kernel_goes_on_in_another_process_and_comes_back"])
        .env(VARIABLE, file)
        .output()
        .unwrap();
    assert!(copy.status.success(), "{}", String::from_utf8_lossy(&copy.stdout));

    arena.enter(|| {
        // SAFETY: the original leaked a kernel there, both are the same executable, and the side without
        // control waits.
        let kernel = unsafe { &mut *kernel_in(&arena) };
        assert_eq!(kernel.next_runnable(), Some(tid), "the copy's signal woke it");
        let interrupted = Outcome::Done(Errno::EINTR.as_return());
        assert_eq!(kernel.resume(at(8), tid, &mut Sleeper), interrupted);
        let signal = kernel.take_signal(at(8), tid, &mut Sleeper);
        assert!(matches!(signal, SignalOutcome::Deliver(info) if info.signal == 15));
    });
}

fn config() -> Config {
    Config {
        seed: 1,
        hostname: "wanderer".into(),
        cpu_count: 1,
        memory_bytes: 1 << 30,
        start_realtime_ns: 0,
        uptime_at_start_ns: 0,
        clock: ClockSettings::default(),
        kernel_release: "6.1".into(),
        kernel_version: "#1".into(),
        descriptor_limit: (1024, 4096),
        stack_limit_bytes: 8 << 20,
        ipv4: None,
        ipv4_prefix_bits: 0,
        ipv6: None,
        ipv6_prefix_bits: 0,
        is_connected: false,
        is_capturing: false,
        upload_bits_per_second: 0,
        upload_unlimited_until: SimTime::ZERO,
        tsc_frequency_hz: SECOND,
    }
}
