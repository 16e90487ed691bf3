//! What fake guests do that make threads and processes: one function a mode.
//!
//! A mode's name in, a whole life out; what a guest finds wrong shows in its exit status, what it says in its log
//! records. How a fake guest makes another one is `family`.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use shim_abi::calls::nr;
use shim_abi::event::{Reply, Request};

use super::family::{Child, Fate, kill, native_pid_of, wait_until};
use super::{FakeGuest, LATENCY_NS, SECOND_NS};

const KILLED: i32 = libc::SIGKILL;

impl FakeGuest {
    /// Live in one of the modes of this file; `false` if it is none.
    pub(super) fn is_family_mode(&self, mode: &str) -> bool {
        let count = |text: &str| text.parse().unwrap();
        match mode.split_once('-').unwrap_or((mode, "")) {
            ("threads", number) => self.make_threads(count(number)),
            ("processes", number) => self.make_processes(count(number)),
            ("slices", "") => self.share_the_processor(),
            ("wakes", "") => self.wake_on_time(),
            ("crowd", number) => self.make_crowd(count(number)),
            ("kill", moment) => self.kill_child(moment),
            ("orphan", "") => self.lose_grandchild(),
            ("leader", "") => self.leave_first(),
            ("exec", "") => self.execute_in_thread(),
            ("image", "") => self.exit(u64::from(self.thread.tid.load(Relaxed) == self.pid())),
            ("vfork", "") => self.wait_for_vfork(),
            ("group", "exit") => self.exit_all(),
            ("background", "") => self.leave_children(),
            ("busy", "") => self.compute_in_thread(),
            ("session", "") => self.make_session(),
            ("liar", "") => self.lie(),
            _ => return false,
        }
        true
    }

    fn make_threads(&self, count: u32) {
        for _ in 0..count {
            let word = AtomicU32::new(1);
            self.thread(&word, |child| {
                assert_eq!(child.handoff.thread_index, 1, "blocks are used again");
                child.work(5_000);
            });
            self.join(&word);
        }
        self.exit(0);
    }

    fn make_processes(&self, count: u32) {
        for i in 0..count {
            let pid = self.fork(|child| {
                assert_eq!(child.handoff.process_index, 1, "blocks are used again");
                child.exit(u64::from(child.pid() & 0x7f));
            });
            self.expect_end(pid, ((pid & 0x7f) << 8) as i32);
            assert_eq!(self.wait(-1, 0).0, -i64::from(libc::ECHILD), "{i}");
        }
        self.exit(0);
    }

    /// Two that compute for 5 ms each.
    fn share_the_processor(&self) {
        fn compute(guest: &FakeGuest) {
            for _ in 0..50 {
                guest.say("works");
                guest.work(100_000);
            }
        }
        let pids = [self.fork(compute), self.fork(compute)];
        pids.into_iter().for_each(|pid| self.expect_end(pid, 0));
        self.exit(0);
    }

    /// One that computes, one that sleeps: it is woken on time.
    fn wake_on_time(&self) {
        let busy = self.fork(|guest| (0..1000).for_each(|_| guest.work(10_000)));
        let pid = self.fork(|guest| {
            for round in 1..20 {
                let due = guest.now_ns() + LATENCY_NS + round * 137_000;
                guest.nanosleep(round * 137_000);
                let late = guest.now_ns() - due;
                assert!(late <= 11_000, "{late} ns late");
            }
        });
        self.expect_end(pid, 0);
        self.expect_end(busy, 0);
        self.exit(0);
    }

    /// Many that sleep, compute, make threads and children of their own, and end.
    fn make_crowd(&self, count: u32) {
        fn live(guest: &FakeGuest) {
            let pid = u64::from(guest.pid());
            guest.nanosleep(pid * 7919 % 1_000_000);
            guest.say("slept");
            let word = AtomicU32::new(1);
            guest.thread(&word, |thread| {
                thread.work(u64::from(thread.thread.tid.load(Relaxed)) * 37);
                thread.say("worked");
            });
            let child = guest.fork(|child| child.work(300_000));
            guest.work(pid * 101);
            guest.join(&word);
            guest.say("joined");
            guest.expect_end(child, 0);
        }
        let pids: Vec<i64> = (0..count).map(|_| self.fork(live)).collect();
        for _ in &pids {
            let (pid, status) = self.wait(-1, 0);
            self.say(&format!("{pid} ended"));
            assert_eq!(status, 0);
        }
        self.exit(0);
    }

    /// Natively, at some moment of its life.
    fn kill_child(&self, moment: &str) {
        let pause: fn(&FakeGuest) = FakeGuest::pause_once;
        let suicide: fn(&FakeGuest) = |_| kill(std::process::id().into());
        let stopped: fn(&FakeGuest) = |child| {
            let stop = libc::SIGSTOP as u64;
            child.syscall(nr::kill, [child.pid().into(), stop, 0, 0, 0, 0], &[]);
        };
        let (life, fate) = match moment {
            "unborn" => (pause, Fate::Child),
            "running" => (suicide, Fate::Nobody),
            "stopped" => (stopped, Fate::Nobody),
            "born" | "parked" => (pause, Fate::Nobody),
            _ => return self.exit(99),
        };
        let pid = self.fork_with(Child { life, fate });
        if let "parked" | "stopped" = moment {
            self.nanosleep(1_000_000);
        }
        if let "parked" | "stopped" | "born" = moment {
            let native = native_pid_of(self, pid);
            kill(native);
            wait_until("it is dead", || {
                let stat = std::fs::read_to_string(format!("/proc/{native}/stat"));
                stat.map_or(true, |stat| stat.rsplit(')').next().unwrap().starts_with(" Z"))
            });
        }
        self.expect_end(pid, KILLED);
        self.exit(0);
    }

    /// A child that dies while it makes a grandchild.
    fn lose_grandchild(&self) {
        let pid = self.fork(|child| {
            let life: fn(&FakeGuest) = |grandchild| grandchild.say("lives");
            child.fork_with(Child { life, fate: Fate::Parent });
        });
        self.expect_end(pid, KILLED);
        assert_eq!(self.wait(-1, 0).0, -i64::from(libc::ECHILD));
        for _ in 0..10 {
            let pid = self.fork(|child| child.exit(3));
            self.expect_end(pid, 3 << 8);
        }
        self.exit(0);
    }

    /// The first thread leaves, the second ends the process.
    fn leave_first(&self) {
        self.thread(Box::leak(Box::new(AtomicU32::new(1))), |thread| {
            thread.nanosleep(1_000_000);
            thread.say("last");
        });
        self.syscall(nr::exit, [5, 0, 0, 0, 0, 0], &[]);
    }

    /// A thread executes another image, while two others wait.
    fn execute_in_thread(&self) {
        let pid = self.fork(|child| {
            let words: &[AtomicU32; 2] = Box::leak(Box::new([1, 1].map(AtomicU32::new)));
            child.thread(&words[0], FakeGuest::pause_once);
            child.thread(&words[1], |thread| {
                thread.nanosleep(1_000_000);
                assert_ne!(thread.thread.tid.load(Relaxed), thread.pid());
                thread.execute("image");
            });
            child.syscall(nr::pause, [0; 6], &[]);
        });
        self.expect_end(pid, 1 << 8);
        self.exit(0);
    }

    /// The parent goes on when its child has left its memory.
    fn wait_for_vfork(&self) {
        let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
        let life: fn(&FakeGuest) = |child| {
            child.nanosleep(1_000_000);
            child.say("child");
        };
        let pid = self.clone(flags, &AtomicU32::new(0), Child { life, fate: Fate::Nobody });
        self.say("parent");
        self.expect_end(pid, 0);
        self.exit(0);
    }

    /// A thread ends all of them.
    fn exit_all(&self) {
        let words: &[AtomicU32; 20] =
            Box::leak(Box::new(std::array::from_fn(|_| AtomicU32::new(1))));
        for word in &words[1..] {
            self.thread(word, FakeGuest::pause_once);
        }
        self.thread(&words[0], |thread| {
            thread.nanosleep(1_000_000);
            thread.exit(8);
        });
        self.syscall(nr::pause, [0; 6], &[]);
    }

    /// End and leave children.
    fn leave_children(&self) {
        for _ in 0..3 {
            self.fork(|child| child.sleep_long());
        }
        self.fork(|child| {
            child.nanosleep(SECOND_NS / 2);
            child.say("finished");
        });
        self.nanosleep(1_000_000);
        self.exit(2);
    }

    /// A thread that makes no call until it is told to hand over, while the first sleeps.
    fn compute_in_thread(&self) {
        let word = AtomicU32::new(1);
        self.thread(&word, |thread| {
            let block = thread.thread;
            wait_until("it is preempted", || {
                block.preempt_at.load(Relaxed) == u64::from(block.calls.load(Relaxed)) + 1
            });
            block.calls.fetch_add(1, Relaxed);
            block.charged_ns.fetch_add(thread.host.preemption_ns, Relaxed);
            let reply = thread.call(&Request::Preempted);
            thread.complete(reply);
        });
        self.nanosleep(1_000_000);
        self.join(&word);
        assert_eq!(self.thread.preempt_at.load(Relaxed), 0, "the one that sleeps is left alone");
        self.exit(0);
    }

    /// Wait with two children, one of which is in a session of its own.
    fn make_session(&self) {
        self.fork(FakeGuest::pause_once);
        self.fork(|child| {
            assert_eq!(child.syscall(nr::setsid, [0; 6], &[]).0, i64::from(child.pid()));
            child.pause_once();
        });
        self.pause_once();
    }

    /// Say that somebody else is the child.
    fn lie(&self) {
        let args = [libc::SIGCHLD as u64, 0, 0, 0, 0, u64::MAX];
        let request = Request::Syscall { number: nr::clone, args, copies_bytes: 0 };
        assert!(matches!(self.call(&request), Reply::AddThread { .. }));
        self.call(&Request::AddThreadRes { result: 1 });
    }
}
