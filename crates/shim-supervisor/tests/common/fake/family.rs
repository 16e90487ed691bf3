//! Fake guests that make threads and processes, and what can go wrong meanwhile.
//!
//! A [`Way`] as the argument of call 200 in; native threads and processes that speak the protocol out. Always true: a
//! child waits on its own channel from its first moment, makes call 300, and ends as the result says; a process is
//! the launcher's child. Everything here after a native clone of a process is a bare system call or an atomic.
//!
//! # Safety
//!
//! Unsafe here: native clones, process ids and signals passed to the C library.
#![allow(unsafe_code)]

use std::sync::atomic::Ordering::{Relaxed, Release};
use std::sync::mpsc;

use shim_abi::event::{Reply, Request};
use shim_abi::region::{process_offset, thread_offset};

use super::FakeGuest;

/// The call that asks for a child.
pub const MAKE: u32 = 200;
/// The call that a child makes.
pub const CHILD: u32 = 300;
/// What a child exits with.
pub const CHILD_STATUS: i32 = 7;

/// How a parent goes about it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u64)]
pub enum Way {
    /// As the protocol says.
    Right,
    /// It fails with EAGAIN.
    Fail,
    /// It makes the child and dies before it tells.
    DieBeforeTelling,
    /// It kills the child, waits until that is dead, and tells of it.
    ChildDiesEarly,
    /// It kills the child, and tells of it at once.
    ChildDies,
    /// It says that its parent is its child.
    NameParent,
    /// It says that it is its own child.
    NameItself,
    /// It answers something else.
    SayNonsense,
}

impl Way {
    fn from(number: u64) -> Way {
        let all = [
            Way::Right,
            Way::Fail,
            Way::DieBeforeTelling,
            Way::ChildDiesEarly,
            Way::ChildDies,
            Way::NameParent,
            Way::NameItself,
            Way::SayNonsense,
        ];
        all.into_iter().find(|&way| way as u64 == number).unwrap()
    }
}

fn kill(pid: i64) {
    // SAFETY: no pointers.
    unsafe { libc::kill(pid as i32, libc::SIGKILL) };
}

impl FakeGuest {
    /// Make children for as long as the simulator says which way.
    pub fn be_parent(&self) -> i32 {
        self.start();
        loop {
            let way = self.syscall(100, [0; 6], &[]);
            if way < 0 {
                return 9;
            }
            let word = Box::new(77_u64);
            self.syscall(MAKE, [way as u64, &raw const *word as u64, 0, 0, 0, 0], &[]);
        }
    }

    /// Make a thread or a process with these blocks; what is to be told.
    pub fn make(&self, process_index: u32, thread_index: u32, way: u64) -> i64 {
        let way = Way::from(way);
        match way {
            Way::Fail => return -i64::from(libc::EAGAIN),
            // SAFETY: no pointers.
            Way::NameParent => return unsafe { libc::getppid() }.into(),
            Way::NameItself => return std::process::id().into(),
            Way::SayNonsense => {
                let _ = self.call(&Request::Start);
                unreachable!("the simulator gave up");
            }
            _ => {}
        }
        let own = process_offset(process_index).unwrap();
        let is_thread = std::ptr::eq(self.process, self.shared.wrapping_add(own).cast());
        let child = self.with_blocks(own, thread_offset(thread_index).unwrap());
        if is_thread {
            let (sender, receiver) = mpsc::channel();
            std::thread::spawn(move || child.live(Some(&sender)));
            return receiver.recv().unwrap();
        }
        let flags = i64::from(libc::CLONE_PARENT);
        // SAFETY: without CLONE_VM and without a stack this is fork(2).
        let pid = unsafe { libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0) };
        if pid == 0 {
            child.live(None);
        }
        match way {
            Way::DieBeforeTelling => kill(std::process::id().into()),
            Way::ChildDiesEarly => {
                kill(pid);
                // Its end is known to the launcher when it is a zombie, and to the simulator when it is reaped.
                let stat = format!("/proc/{pid}/stat");
                let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
                // While it goes, Linux may say ESRCH.
                let is_there = || std::fs::exists(&stat).unwrap_or(false);
                while is_there() && std::time::Instant::now() < deadline {
                    std::thread::yield_now();
                }
            }
            Way::ChildDies => kill(pid),
            _ => {}
        }
        pid
    }

    fn with_blocks(&self, process: usize, thread: usize) -> FakeGuest {
        FakeGuest {
            // SAFETY: the offset is inside the mapping, which stays.
            process: unsafe { &*self.shared.wrapping_add(process).cast() },
            // SAFETY: the offset is inside the mapping, which stays.
            thread: unsafe { &*self.shared.wrapping_add(thread).cast() },
            ..*self
        }
    }

    /// A child's whole life. A thread tells its native id to `parent`.
    fn live(self, parent: Option<&mpsc::Sender<i64>>) {
        // SAFETY: no pointers.
        let tid = unsafe { libc::gettid() };
        self.thread.native_tid.store(tid as u32, Relaxed);
        match parent {
            Some(parent) => parent.send(tid.into()).unwrap(),
            None => {
                // SAFETY: no pointers.
                unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
                // SAFETY: no pointers.
                unsafe { libc::alarm(60) };
                self.process.native_pid.store(tid as u32, Release);
            }
        }
        if self.control().wait(1000).is_err() {
            // SAFETY: ends the process.
            unsafe { libc::_exit(125) };
        }
        if self.thread.channel.reply.load_reply() != Some(Reply::Started) {
            // SAFETY: ends the process.
            unsafe { libc::_exit(99) };
        }
        while self.syscall(CHILD, [self.thread.tid.load(Relaxed).into(), 0, 0, 0, 0, 0], &[]) > 0 {}
        if parent.is_none() {
            // SAFETY: ends the process.
            unsafe { libc::_exit(CHILD_STATUS) };
        }
        // The last word of a thread: nobody waits for an answer.
        let request =
            Request::Syscall { number: libc::SYS_exit as u32, args: [0; 6], copies_bytes: 0 };
        self.thread.channel.request.store_request(&request);
        self.control().hand_over();
    }
}
