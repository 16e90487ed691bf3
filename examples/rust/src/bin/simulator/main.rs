//! The twin of `examples/c/simulator.c`: a complete small simulator in Rust, on the installed C library.
//!
//! Two machines, alpha and beta. alpha runs a shell script, which makes and waits for processes; both look each other up. What
//! happens is printed in simulated time. Always true: one guest at a time has control in the whole simulation, so two runs
//! print the same, and the same as the program in C. The library's functions are in [`supervisor`].
#![deny(unsafe_code)]

mod supervisor;

use std::collections::BTreeMap;
use std::error::Error;

use supervisor::{EVENT_CALL, EVENT_ENDED, EVENT_START, EXITED, Guest, Host, Simulation};

const NS_PER_S: u64 = 1_000_000_000;
const ENVIRONMENT: &[&str] = &["PATH=/usr/bin:/bin", "LC_ALL=C", "TZ=UTC"];

const CLONE: i64 = 56;
const EXIT: i64 = 60;
const WAIT4: i64 = 61;
const FUTEX: i64 = 202;
const CLOCK_NANOSLEEP: i64 = 230;
const EXIT_GROUP: i64 = 231;

const ECHILD: i64 = 10;
const EAGAIN: i64 = 11;
const EFAULT: i64 = 14;
const EINVAL: i64 = 22;
const ENOSYS: i64 = 38;
const EOPNOTSUPP: i64 = 95;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Goes on at this instant, in this order among those of the same one, answered with this.
    Ready { at_ns: u64, order: u64, result: i64 },
    /// Has control.
    Running,
    /// For the end of this child, or of any if it is not positive; its status goes there.
    Waiting { wanted: i32, status_at: u64 },
    /// Its memory, to a child of vfork(2).
    Lending,
    /// Dead, with this status; its parent has not asked yet.
    Ended { status: i32 },
}

struct Process {
    state: State,
    machine: usize,
    guest: Option<Guest>,
    parent: u32,
    /// Its parent waits for its execve or end.
    borrows: bool,
}

struct World {
    processes: BTreeMap<u32, Process>,
    machines: [(&'static str, Host); 2],
    simulation: Simulation,
    orders: u64,
    last_pid: u32,
}

impl World {
    fn now_ns(&self, pid: u32) -> u64 {
        self.machines[self.processes[&pid].machine].1.now_ns()
    }

    fn guest(&self, pid: u32) -> &Guest {
        self.processes[&pid].guest.as_ref().expect("who is served lives")
    }

    fn set(&mut self, pid: u32, state: State) {
        self.processes.get_mut(&pid).expect("it is in the table").state = state;
    }

    /// Say what happened to a process, at its machine's now.
    fn tell(&self, pid: u32, what: &str) {
        let now = self.now_ns(pid);
        let name = self.machines[self.processes[&pid].machine].0;
        println!("[{:3}.{:09}] {name} {pid}: {what}", now / NS_PER_S, now % NS_PER_S);
    }

    fn ready_at(&mut self, pid: u32, at_ns: u64, result: i64) {
        self.orders += 1;
        let order = self.orders;
        self.set(pid, State::Ready { at_ns, order, result });
    }

    fn ready(&mut self, pid: u32, result: i64) {
        self.ready_at(pid, self.now_ns(pid), result);
    }

    /// Who is next.
    fn next(&self) -> Option<u32> {
        let instants = self.processes.iter().filter_map(|(pid, process)| match process.state {
            State::Ready { at_ns, order, .. } => Some((at_ns, order, *pid)),
            _ => None,
        });
        instants.min().map(|(_, _, pid)| pid)
    }

    fn launch(&mut self, machine: usize, words: &[&str]) -> Result<()> {
        self.last_pid += 1;
        let pid = self.last_pid;
        let guest = self.machines[machine].1.launch(words, ENVIRONMENT, pid)?;
        // Wait until it is there, so that the order of things does not depend on the real machine.
        if guest.wait()? != EVENT_START {
            return Err(format!("{} cannot be a guest", words[0]).into());
        }
        let guest = Some(guest);
        let process = Process { state: State::Running, machine, guest, parent: 0, borrows: false };
        self.processes.insert(pid, process);
        self.tell(pid, "is launched");
        self.ready(pid, 0);
        Ok(())
    }

    /// Tell a parent that waits of a child that has ended; whether it did.
    fn reap(&mut self, parent: u32, child: u32) -> Result<bool> {
        let State::Waiting { wanted, status_at } = self.processes[&parent].state else {
            return Ok(false);
        };
        let of_child = &self.processes[&child];
        let State::Ended { status } = of_child.state else { return Ok(false) };
        if of_child.parent != parent || wanted > 0 && wanted as u32 != child {
            return Ok(false);
        }
        if status_at != 0 {
            self.guest(parent).write(status_at, &status.to_ne_bytes())?;
        }
        self.ready(parent, child.into());
        self.processes.remove(&child);
        Ok(true)
    }

    fn give_memory_back(&mut self, child: u32) {
        let process = self.processes.get_mut(&child).expect("it is in the table");
        if std::mem::take(&mut process.borrows) {
            let parent = process.parent;
            self.ready(parent, child.into());
        }
    }

    fn ended(&mut self, pid: u32) -> Result<()> {
        let (kind, value) = self.guest(pid).end()?;
        let is_exit = kind == EXITED;
        let how = if is_exit { "exits with" } else { "is killed by signal" };
        self.tell(pid, &format!("{how} {value}"));
        let status = if is_exit { value << 8 } else { value };
        self.set(pid, State::Ended { status });
        self.give_memory_back(pid);
        let process = self.processes.get_mut(&pid).expect("it is in the table");
        process.guest = None;
        let parent = process.parent;
        for orphan in self.processes.values_mut().filter(|process| process.parent == pid) {
            orphan.parent = 0;
        }
        if self.processes.contains_key(&parent) {
            self.reap(parent, pid)?;
        }
        let is_over =
            |process: &Process| process.parent == 0 && matches!(process.state, State::Ended { .. });
        self.processes.retain(|_, process| !is_over(process));
        Ok(())
    }

    /// clone(flags, stack, parent_tid, child_tid, tls), as which fork and vfork arrive, too.
    fn make_process(&mut self, pid: u32) {
        const CLONE_THREAD: u64 = 0x0001_0000;
        const CLONE_VFORK: u64 = 0x0000_4000;
        let flags = self.guest(pid).argument(0);
        if flags & CLONE_THREAD != 0 {
            return self.ready(pid, -EAGAIN);
        }
        self.last_pid += 1;
        let child = self.last_pid;
        let guest = match self.guest(pid).add_process(child, pid) {
            Ok(guest) => Some(guest),
            Err(failure) => return self.ready(pid, failure.result.into()),
        };
        let (machine, borrows) = (self.processes[&pid].machine, flags & CLONE_VFORK != 0);
        let process = Process { state: State::Running, machine, guest, parent: pid, borrows };
        self.processes.insert(child, process);
        self.tell(pid, &format!("makes process {child}"));
        self.ready(child, 0);
        if borrows {
            self.set(pid, State::Lending);
        } else {
            self.ready(pid, child.into());
        }
    }

    /// wait4(pid, status, options, usage)
    fn wait_for_child(&mut self, pid: u32) -> Result<()> {
        const WNOHANG: u64 = 1;
        let guest = self.guest(pid);
        let [wanted, status_at, options] = [0, 1, 2].map(|index| guest.argument(index));
        self.set(pid, State::Waiting { wanted: wanted as i32, status_at });
        let of_it = self.processes.iter().filter(|(_, process)| process.parent == pid);
        let children: Vec<u32> = of_it.map(|(child, _)| *child).collect();
        for child in &children {
            if self.reap(pid, *child)? {
                return Ok(());
            }
        }
        if children.is_empty() {
            self.ready(pid, -ECHILD);
        } else if options & WNOHANG != 0 {
            self.ready(pid, 0);
        }
        Ok(())
    }

    /// clock_nanosleep(clock, flags, request, remain)
    fn sleep(&mut self, pid: u32) {
        const TIMER_ABSTIME: u64 = 1;
        let guest = self.guest(pid);
        if guest.argument(1) & TIMER_ABSTIME != 0 {
            return self.ready(pid, -EOPNOTSUPP);
        }
        let Ok(request) = guest.read::<16>(guest.argument(2)) else {
            return self.ready(pid, -EFAULT);
        };
        let word = |at: usize| i64::from_ne_bytes(std::array::from_fn(|i| request[at + i]));
        match (u64::try_from(word(0)), u64::try_from(word(8))) {
            (Ok(seconds), Ok(rest)) if rest < NS_PER_S => {
                let ns = seconds.saturating_mul(NS_PER_S).saturating_add(rest);
                self.tell(pid, &format!("sleeps for {ns} ns"));
                self.ready_at(pid, self.now_ns(pid).saturating_add(ns), 0);
            }
            _ => self.ready(pid, -EINVAL),
        }
    }

    fn answer(&mut self, pid: u32) -> Result<()> {
        const FUTEX_WAKE: u64 = 1;
        match self.guest(pid).call_number() {
            CLONE => self.make_process(pid),
            WAIT4 => self.wait_for_child(pid)?,
            CLOCK_NANOSLEEP => self.sleep(pid),
            // These processes have one thread each, so nobody waits for a word.
            FUTEX if self.guest(pid).argument(1) & 0x7f == FUTEX_WAKE => self.ready(pid, 0),
            FUTEX => self.ready(pid, -ENOSYS),
            // Once answered it ends natively, and an event tells of that.
            EXIT | EXIT_GROUP => self.ready(pid, 0),
            // From 65536 on they are the shim's own questions, which it can do without.
            number => {
                if number < 65536 {
                    self.tell(pid, &format!("makes call {number}, which is not there"));
                }
                self.ready(pid, -ENOSYS);
            }
        }
        match self.processes[&pid].state {
            State::Ready { .. } => Ok(()),
            _ => Ok(self.guest(pid).park()?),
        }
    }

    fn go_on(&mut self, pid: u32) -> Result<()> {
        let State::Ready { at_ns, result, .. } = self.processes[&pid].state else { return Ok(()) };
        if at_ns > self.now_ns(pid) {
            self.machines[self.processes[&pid].machine].1.set_now_ns(at_ns)?;
        }
        self.set(pid, State::Running);
        let guest = self.guest(pid);
        if guest.event() == EVENT_CALL {
            guest.complete(result)?
        } else {
            guest.begin()?
        }
        Ok(())
    }

    fn run(&mut self) -> Result<()> {
        while let Some(pid) = self.next() {
            self.go_on(pid)?;
            let (event, pid) = self.simulation.wait()?;
            match event {
                EVENT_START => {
                    self.tell(pid, "has a new program");
                    self.give_memory_back(pid);
                    self.ready(pid, 0);
                }
                EVENT_CALL => self.answer(pid)?,
                EVENT_ENDED => self.ended(pid)?,
                _ => return Err(format!("process {pid} says {event}").into()),
            }
        }
        for (pid, process) in &self.processes {
            if process.guest.is_some() {
                self.tell(*pid, "waits for ever");
            }
        }
        Ok(())
    }
}

fn main() -> Result<()> {
    let script =
        "echo The script begins.\ndate\nsleep 2.5\nfalse || echo false exits with $?\ndate\n";
    let simulation = Simulation::new()?;
    simulation.add_name("alpha", "10.0.0.1", 0)?;
    simulation.add_name("beta", "10.0.0.2", 1)?;
    let alpha = Host::new(&simulation, 0, "alpha", "10.0.0.1")?;
    let beta = Host::new(&simulation, 1, "beta", "10.0.0.2")?;
    let machines = [("alpha", alpha), ("beta", beta)];
    let processes = BTreeMap::new();
    let mut world = World { processes, machines, simulation, orders: 0, last_pid: 100 };
    world.launch(0, &["sh", "-c", script])?;
    world.launch(1, &["date", "+%H:%M:%S on beta"])?;
    world.launch(0, &["getent", "hosts", "beta"])?;
    world.launch(1, &["getent", "hosts", "alpha"])?;
    world.run()
}
