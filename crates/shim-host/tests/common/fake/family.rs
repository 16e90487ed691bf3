//! How fake guests make threads and processes, wait for them, execute images, and kill each other.
//!
//! Lives (functions) and fates in, virtual ids out. What they do with it is `lives`. Always true: a child waits on its
//! own channel from its first moment, as the shim's children do; a process is
//! the launcher's child, and dies with it.
//!
//! # Safety
//!
//! Unsafe here: native clones, process ids and signals passed to the C library.
#![allow(unsafe_code)]

use std::fs::File;
use std::io::{Seek, Write};
use std::os::fd::{FromRawFd, IntoRawFd};
use std::os::unix::process::CommandExt;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed, Ordering::Release};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use super::*;

/// Flags of a C library's thread.
const THREAD: i32 = libc::CLONE_VM
    | libc::CLONE_FS
    | libc::CLONE_FILES
    | libc::CLONE_SIGHAND
    | libc::CLONE_THREAD
    | libc::CLONE_SYSVSEM
    | libc::CLONE_CHILD_SETTID
    | libc::CLONE_CHILD_CLEARTID;

/// What a child does, and what is done to it.
#[derive(Clone, Copy)]
pub(super) struct Child {
    pub(super) life: fn(&FakeGuest),
    /// What its maker does to it before it tells.
    pub(super) fate: Fate,
}

/// Who is killed natively between the native clone and the message about it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Nobody,
    Child,
    Parent,
}

impl FakeGuest {
    pub(super) fn pid(&self) -> u32 {
        self.process.pid.load(Relaxed)
    }

    /// Write a log record.
    pub(super) fn say(&self, text: &str) {
        let header = RecordHeader { kind: RecordKind::Log, level: 3, time_ns: self.now_ns() };
        while !self.thread.ring.push(header, text.as_bytes()) {
            let reply = self.call(&Request::Drain);
            self.complete(reply);
        }
    }

    /// Compute for so long.
    pub(super) fn work(&self, ns: u64) {
        self.thread.charged_ns.fetch_add(ns - LATENCY_NS, Relaxed);
        self.charge();
    }

    pub(super) fn clone(&self, flags: i32, word: &AtomicU32, child: Child) -> i64 {
        self.charge();
        let address = std::ptr::from_ref(word) as u64;
        let args = [flags as u32 as u64, 0, 0, address, 0, u64::MAX];
        let request = Request::Syscall { number: nr::clone, args, copies_bytes: 0 };
        let reply = match self.call(&request) {
            Reply::AddThread { process_index, thread_index } => {
                let result =
                    self.make(flags & libc::CLONE_THREAD != 0, process_index, thread_index, child);
                self.call(&Request::AddThreadRes { result })
            }
            reply => reply,
        };
        self.complete(reply).0
    }

    /// A thread, whose number stands in `word` until it ends.
    pub(super) fn thread(&self, word: &AtomicU32, life: fn(&FakeGuest)) {
        let tid = self.clone(THREAD, word, Child { life, fate: Fate::Nobody });
        assert!(tid > 0, "{tid}");
    }

    pub(super) fn join(&self, word: &AtomicU32) {
        loop {
            let tid = word.load(Relaxed);
            if tid == 0 {
                return;
            }
            let address = std::ptr::from_ref(word) as u64;
            let wait = libc::FUTEX_WAIT as u64;
            self.syscall(nr::futex, [address, wait, tid.into(), 0, 0, 0], &[]);
        }
    }

    pub(super) fn fork(&self, life: fn(&FakeGuest)) -> i64 {
        self.fork_with(Child { life, fate: Fate::Nobody })
    }

    pub(super) fn fork_with(&self, child: Child) -> i64 {
        let pid = self.clone(libc::SIGCHLD, &AtomicU32::new(0), child);
        assert!(pid > 0, "{pid}");
        pid
    }

    /// wait4(pid): who, and its status.
    pub(super) fn wait(&self, pid: i64, options: i32) -> (i64, i32) {
        let mut status = 0_i32;
        let address = (&raw mut status) as u64;
        let args = [pid as u64, address, options as u64, 0, 0, 0];
        let (result, _) = self.syscall(nr::wait4, args, &[]);
        // SAFETY: the kernel stored there, behind the compiler's back.
        (result, unsafe { (&raw const status).read_volatile() })
    }

    pub(super) fn expect_end(&self, pid: i64, status: i32) {
        assert_eq!(self.wait(pid, 0), (pid, status));
    }

    /// Make a native thread or process with these blocks; its native id.
    pub(super) fn make(&self, is_thread: bool, process: u32, thread: u32, child: Child) -> i64 {
        let at = |offset: Option<usize>| self.shared + offset.unwrap();
        let place = FakeGuest {
            handoff: Handoff { process_index: process, thread_index: thread, ..self.handoff },
            // SAFETY: `process_offset` is inside the mapping, which stays.
            process: unsafe { &*(at(process_offset(process)) as *const ProcessBlock) },
            // SAFETY: `thread_offset` is inside the mapping, which stays.
            thread: unsafe { &*(at(thread_offset(thread)) as *const ThreadBlock) },
            ..*self
        };
        for (to, from) in place.process.actions.iter().zip(&self.process.actions) {
            if !is_thread {
                to.handler.store(from.handler.load(Relaxed), Relaxed);
            }
        }
        place.process.program.store(b"fake");
        if is_thread {
            let (sender, receiver) = mpsc::channel();
            std::thread::spawn(move || {
                sender.send(native_tid()).unwrap();
                place.begin(child.life);
                place.leave();
            });
            return receiver.recv().unwrap().into();
        }
        // SAFETY: without CLONE_VM and without a stack this is fork(2).
        let pid = unsafe { libc::syscall(libc::SYS_clone, libc::CLONE_PARENT as u64, 0, 0, 0, 0) };
        if pid == 0 {
            // SAFETY: no pointers.
            unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
            place.process.native_pid.store(native_tid(), Release);
            place.begin(child.life);
            place.exit(0);
        }
        match child.fate {
            Fate::Nobody => {}
            Fate::Child => {
                kill(pid);
                let entry = format!("/proc/{pid}");
                wait_until("it is reaped", || !std::fs::exists(&entry).unwrap());
            }
            Fate::Parent => kill(std::process::id().into()),
        }
        pid
    }

    /// A child's first turn.
    pub(super) fn begin(&self, life: fn(&FakeGuest)) {
        self.thread.native_tid.store(native_tid(), Relaxed);
        let control = Control::new(&self.thread.channel.control, Sleep, Side::Guest);
        if control.wait(1000).is_err() {
            // SAFETY: ends the process.
            unsafe { libc::_exit(125) };
        }
        assert_eq!(self.thread.channel.reply.load_reply(), Some(Reply::Started));
        life(self);
    }

    /// The last word of a thread: nobody waits for an answer.
    pub(super) fn leave(&self) {
        self.charge();
        let request = Request::Syscall { number: nr::exit, args: [0; 6], copies_bytes: 0 };
        self.thread.channel.request.store_request(&request);
        Control::new(&self.thread.channel.control, Sleep, Side::Guest).hand_over();
    }

    pub(super) fn pause_once(&self) {
        self.syscall(nr::pause, [0; 6], &[]);
    }

    pub(super) fn sleep_long(&self) {
        self.nanosleep(3600 * SECOND_NS);
    }

    /// Another image in this process.
    pub(super) fn execute(&self, mode: &str) {
        self.process.is_executing.store(1, Relaxed);
        // SAFETY: a name that ends with NUL.
        let fd = unsafe { libc::memfd_create(c"handoff".as_ptr(), 0) };
        // SAFETY: a new descriptor that nobody else knows.
        let mut file = unsafe { File::from_raw_fd(fd) };
        file.write_all(&self.handoff.to_bytes()).unwrap();
        file.rewind().unwrap();
        let fd = file.into_raw_fd();
        let error = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "fake_guest", "--nocapture", "--test-threads=1"])
            .env(HANDOFF_VARIABLE, fd.to_string())
            .env(VARIABLE, mode)
            .exec();
        panic!("{error}");
    }
}
pub(super) fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !is_so() {
        assert!(Instant::now() < deadline, "still not so: {what}");
        std::thread::yield_now();
    }
}

pub(super) fn kill(pid: i64) {
    // SAFETY: no pointers.
    unsafe { libc::kill(pid as i32, libc::SIGKILL) };
}

/// The native id of the host's process `pid`.
pub(super) fn native_pid_of(guest: &FakeGuest, pid: i64) -> i64 {
    for index in 0..8 {
        let at = guest.shared + process_offset(index).unwrap();
        // SAFETY: `process_offset` is inside the mapping, which stays.
        let block = unsafe { &*(at as *const ProcessBlock) };
        if i64::from(block.pid.load(Relaxed)) == pid {
            // It says so itself, before its first turn.
            while block.native_pid.load(Relaxed) == 0 {
                std::thread::yield_now();
            }
            return block.native_pid.load(Relaxed).into();
        }
    }
    panic!("no process {pid}");
}
