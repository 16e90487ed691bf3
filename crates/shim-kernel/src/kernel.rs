//! The one state of a host's kernel, and its public methods.
//!
//! Calls, instants and signals in; outcomes out. Always true: `agenda` and `runnable` agree with the
//! states of the threads; all that is kept was allocated within these methods, so whoever owns the
//! memory decides where by calling them in the right place. What a call means is not here but in the
//! files of its family; who runs the guests is not here but in `shim-host`.
//!
//! The owner's loop is: take control with a guest's request at its own instant, [`Kernel::call`];
//! when nobody runs, set simulated time to [`Kernel::next_event`], [`Kernel::advance`], then
//! [`Kernel::resume`] each [`Kernel::next_runnable`]; after every answer [`Kernel::take_signal`].

use alloc::collections::{BTreeMap, VecDeque};
use alloc::string::String;
use alloc::vec::Vec;

use shim_abi::event::SignalInfo;
use shim_abi::names::Names;
use shim_abi::random::Stream;
use shim_abi::virtual_files::VirtualFile;
use shim_abi::{Errno, SimTime};

use crate::agenda::{Agenda, Entry};
use crate::config::Config;
use crate::context::Context;
use crate::file::Files;
use crate::futex::Futexes;
use crate::guest::Guest;
use crate::ids::{VirtualPid, VirtualTid};
use crate::mqueue::MessageQueues;
use crate::outcome::{Outcome, Published, SignalOutcome};
use crate::socket::Sockets;
use crate::sysv::Sysv;
use crate::task::{Life, Parked, Process, State, Thread, Wait, Wake};
use crate::turn::Turns;
use crate::waiters::{Source, Waiters};
use crate::{dispatch, files, signal};

/// The virtual Linux of one host.
#[derive(Debug)]
pub struct Kernel {
    pub(crate) config: Config,
    pub(crate) processes: BTreeMap<VirtualPid, Process>,
    pub(crate) threads: BTreeMap<VirtualTid, Thread>,
    pub(crate) agenda: Agenda,
    pub(crate) waiters: Waiters,
    pub(crate) futexes: Futexes,
    pub(crate) sysv: Sysv,
    pub(crate) message_queues: MessageQueues,
    pub(crate) files: Files,
    pub(crate) sockets: Sockets,
    pub(crate) turns: Turns,
    /// Threads to be resumed, in the order in which they woke.
    runnable: VecDeque<VirtualTid>,
    /// Jumps of the calendar up to this instant are past.
    jumped: SimTime,
    /// The number that the last new process or thread got.
    pub(crate) last_id: u32,
    /// The place that the last new child got in its parent's list.
    pub(crate) last_place: u64,
    /// The number that the last new address space got.
    pub(crate) last_address_space: u32,
    /// CPU time of processes that are gone.
    pub(crate) ended_cpu_ns: u64,
    /// How many threads have been started since boot.
    pub(crate) started_tasks: u64,
    /// `/proc/sys/kernel/random/boot_id`.
    pub(crate) boot_id: [u8; 16],
    /// State of the stream behind `/proc/sys/kernel/random/uuid`.
    pub(crate) uuids: [u64; 4],
}

impl Kernel {
    /// A machine that has just booted, with no process but the first, which is no guest.
    pub fn new(config: Config) -> Kernel {
        let stream = |name| Stream::named(config.seed, &["host", &config.hostname, name]);
        let mut boot_id = [0; 16];
        stream("boot_id").fill(&mut boot_id);
        let uuids = stream("uuid").state();
        // A copy: the texts of `config` may have been allocated elsewhere.
        let mut config = config.clone();
        config.clock.jumps.sort_by_key(|jump| jump.at);
        let sockets = Sockets::new(&config);
        let turns = Turns::new(&config);
        let mut kernel = Kernel {
            config,
            processes: BTreeMap::new(),
            threads: BTreeMap::new(),
            agenda: Agenda::default(),
            waiters: Waiters::default(),
            futexes: Futexes::default(),
            sysv: Sysv::default(),
            message_queues: MessageQueues::default(),
            files: Files::default(),
            sockets,
            turns,
            runnable: VecDeque::new(),
            jumped: SimTime::ZERO,
            last_id: VirtualPid::INIT.0,
            last_place: 0,
            last_address_space: 0,
            ended_cpu_ns: 0,
            started_tasks: 0,
            boot_id,
            uuids,
        };
        kernel.add_process(VirtualPid::INIT, VirtualPid(0), "init");
        kernel
    }

    /// Start a process for `program` at `now`: a child of the machine's first process, leader of a
    /// session and a group of its own. Its first thread runs.
    pub fn spawn(&mut self, now: SimTime, program: &str) -> (VirtualPid, VirtualTid) {
        self.jumped = self.jumped.max(now);
        let pid = self.next_pid();
        self.last_id = pid.0;
        self.add_process(pid, VirtualPid::INIT, program);
        if let Some(thread) = self.threads.get_mut(&pid.leader()) {
            thread.started = now;
        }
        (pid, pid.leader())
    }

    /// The number that the next process gets.
    pub fn next_pid(&self) -> VirtualPid {
        VirtualPid(self.next_id())
    }

    /// Number processes as if the machine had been running up to `last`: what is named by the numbers of an earlier boot
    /// is not named twice.
    pub fn number_after(&mut self, last: VirtualPid) {
        self.last_id = self.last_id.max(last.0);
    }

    /// The seed of a process's own stream of random numbers, for its block.
    pub fn process_random_state(&self, pid: VirtualPid) -> [u64; 4] {
        let number = alloc::format!("{pid}");
        let names = ["host", self.config.hostname.as_str(), "process", number.as_str()];
        Stream::named(self.config.seed, &names).state()
    }

    /// What guests read of a process without asking, if it has changed since it was last taken (or
    /// never was). To be written into the process's block before a guest of it goes on.
    pub fn take_published(&mut self, pid: VirtualPid) -> Option<Published> {
        let process = self.processes.get_mut(&pid)?;
        if !core::mem::take(&mut process.is_changed) {
            return None;
        }
        Some(Published {
            parent: process.parent.0,
            group: process.group.0,
            session: process.session.0,
            descriptor_limit: process.limits.descriptors(),
            address_space_bytes: process.limits.address_space_bytes(),
        })
    }

    /// The program that a process was started for.
    pub fn program(&self, pid: VirtualPid) -> Option<&str> {
        self.processes.get(&pid).map(|process| process.program.as_str())
    }

    /// The process of a thread.
    pub fn process_of(&self, tid: VirtualTid) -> Option<VirtualPid> {
        self.threads.get(&tid).map(|thread| thread.pid)
    }

    /// Answer a call that `tid` makes when its own clock shows `now`. A thread that waits or has
    /// exited cannot call: ESRCH.
    pub fn call(
        &mut self,
        now: SimTime,
        tid: VirtualTid,
        number: u32,
        args: [u64; 6],
        guest: &mut dyn Guest,
    ) -> Outcome {
        let Some(mut context) = Context::new(self, now, tid, guest) else {
            return Outcome::Done(Errno::ESRCH.as_return());
        };
        if !matches!(context.thread().state, State::Running) {
            return Outcome::Done(Errno::ESRCH.as_return());
        }
        context.expire_own_timers();
        let answer = dispatch::answer(&mut context, number, args);
        context.answer_questions();
        context.conclude(answer)
    }

    /// The clock of `tid` has reached the instant at which it must hand over: it waits for its turn
    /// until `now`. Nothing happens to a thread that waits already or has exited.
    pub fn limit(&mut self, now: SimTime, tid: VirtualTid) {
        if !self.threads.get(&tid).is_some_and(|thread| matches!(thread.state, State::Running)) {
            return;
        }
        self.park(tid, Parked { since: now, deadline: now, wait: Wait::Limit, wake: None });
    }

    /// The earliest instant at which something happens by itself. A jump of the calendar is such an event
    /// as long as somebody is there to see it.
    pub fn next_event(&self) -> Option<SimTime> {
        let is_live = |process: &&Process| process.life == Life::Alive;
        let is_inhabited = || self.processes.values().filter(is_live).nth(1).is_some();
        let jump = self.next_jump(self.jumped).filter(|_| is_inhabited());
        [self.agenda.next(), jump].into_iter().flatten().min()
    }

    /// Whether the calendar jumps by `now`, and has not yet.
    pub(crate) fn has_jump_by(&self, now: SimTime) -> bool {
        self.next_jump(self.jumped).is_some_and(|jump| jump <= now)
    }

    /// Let everything happen that is due by `now`.
    pub fn advance(&mut self, now: SimTime) {
        while let Some(jump) = self.next_jump(self.jumped).filter(|&jump| jump <= now) {
            self.jumped = jump;
            self.cancel_timers(jump);
        }
        self.jumped = self.jumped.max(now);
        while let Some((at, entry)) = self.agenda.pop_due(now) {
            match entry {
                Entry::Interval(pid) => self.expire_interval(at, pid),
                Entry::Timer(pid, id) => self.expire_timer(at, pid, id),
                Entry::Cpu(pid) => self.unplan_cpu(pid),
                Entry::Timeout(tid) => self.wake(tid, Wake::Timeout),
                Entry::Look(tid) => self.wake(tid, Wake::Look),
                Entry::File(id) => self.expire_timer_file(at, id),
                Entry::Connection(id) => self.expire_connection(at, id),
                Entry::Room(id) => self.let_send(at, id),
                Entry::Arrival => self.let_arrive(at),
                Entry::Reassembly => self.give_up_fragments(at),
            }
        }
    }

    /// A thread to resume now; each is named once. Those of a stopped process are held back.
    pub fn next_runnable(&mut self) -> Option<VirtualTid> {
        loop {
            let tid = self.runnable.pop_front()?;
            let Some(thread) = self.threads.get(&tid) else { continue };
            let State::Parked(Parked { wake: Some(_), .. }) = thread.state else { continue };
            match self.processes.get_mut(&thread.pid) {
                Some(process) if process.job.is_stopped => process.held.push(tid),
                _ => return Some(tid),
            }
        }
    }

    /// Finish the call in which `tid` was parked, as far as its wake allows: it may park again, if
    /// the signal that came is nothing to it. A thread that was not named by
    /// [`Kernel::next_runnable`] stays parked.
    pub fn resume(&mut self, now: SimTime, tid: VirtualTid, guest: &mut dyn Guest) -> Outcome {
        let Some(mut context) = Context::new(self, now, tid, guest) else {
            return Outcome::Done(Errno::ESRCH.as_return());
        };
        let State::Parked(parked) = context.thread().state else {
            return Outcome::Park;
        };
        let Some(wake) = parked.wake else {
            return Outcome::Park;
        };
        let process = context.process_mut();
        if process.job.is_stopped {
            // It stopped after the thread was named.
            process.held.push(tid);
            return Outcome::Park;
        }
        context.unpark(&parked);
        context.expire_own_timers();
        let answer = context.finish(parked, wake);
        context.answer_questions();
        context.conclude(answer)
    }

    /// A signal from outside the simulation (the user's Ctrl-C) for a process, at `now`.
    pub fn post_signal(&mut self, now: SimTime, pid: VirtualPid, info: SignalInfo) {
        if (1..=signal::MAX).contains(&info.signal) {
            // The queue's limit concerns signals that carry data from a guest.
            let _ = self.queue_signal(now, signal::Target::Process(pid), info);
        }
    }

    /// The signals that wait for a thread, those of its process included that are not another thread's to take: signal
    /// `n` at bit `n - 1`.
    /// To be written into the thread's block whenever the kernel was called.
    pub fn pending(&self, tid: VirtualTid) -> u64 {
        let Some(thread) = self.threads.get(&tid) else { return 0 };
        thread.pending.bits() | self.shared_signals_of(tid)
    }

    /// The next thing that `tid` does about its pending signals; signals that it ignores are dropped
    /// on the way. To be asked after each [`Outcome::Done`] and whenever its guest asks, at `now`.
    pub fn take_signal(
        &mut self,
        now: SimTime,
        tid: VirtualTid,
        guest: &mut dyn Guest,
    ) -> SignalOutcome {
        match Context::new(self, now, tid, guest) {
            Some(mut context) => {
                context.expire_own_timers();
                context.take_signal()
            }
            None => SignalOutcome::None,
        }
    }

    /// The contents of a file that shows the machine, at `now`. Each reading of `uuid` is another.
    pub fn virtual_file(&mut self, now: SimTime, file: VirtualFile, names: Names<'_>) -> Vec<u8> {
        files::contents(self, now, file, names)
    }

    /// Record a parked call and plan the end of its wait.
    pub(crate) fn park(&mut self, tid: VirtualTid, parked: Parked) {
        if let Some(thread) = self.threads.get_mut(&tid) {
            thread.state = State::Parked(parked);
            self.note_cpu_sleeper(tid, parked.wait, true);
            self.agenda.add(parked.deadline, Entry::Timeout(tid));
        }
    }

    /// The thread runs again; nothing of its wait stays planned.
    pub(crate) fn unpark(&mut self, tid: VirtualTid, parked: &Parked) {
        self.agenda.remove(parked.deadline, Entry::Timeout(tid));
        self.agenda.remove(parked.since, Entry::Look(tid));
        self.note_cpu_sleeper(tid, parked.wait, false);
        self.waiters.pause(tid);
        if let Some(thread) = self.threads.get_mut(&tid) {
            thread.state = State::Running;
        }
    }

    /// A thread is not to be resumed after all.
    pub(crate) fn unqueue(&mut self, tid: VirtualTid) {
        self.runnable.retain(|&other| other != tid);
        let pid = self.process_of(tid);
        if let Some(process) = pid.and_then(|pid| self.processes.get_mut(&pid)) {
            process.held.retain(|&other| other != tid);
        }
    }

    /// Threads that were held back are to be resumed.
    pub(crate) fn queue_held(&mut self, held: Vec<VirtualTid>) {
        self.runnable.extend(held);
    }

    /// Queue a parked thread to be resumed.
    pub(crate) fn wake(&mut self, tid: VirtualTid, wake: Wake) {
        let Some(thread) = self.threads.get_mut(&tid) else { return };
        let State::Parked(parked) = &mut thread.state else { return };
        let is_queued = parked.wake.is_some();
        if !is_queued || wake == Wake::Timeout {
            parked.wake = Some(wake);
        }
        if !is_queued {
            self.runnable.push_back(tid);
        }
    }

    /// Something changed at `now`: let everybody who waits for it look.
    pub(crate) fn notify(&mut self, now: SimTime, source: Source) {
        for tid in self.waiters.of(source) {
            self.wake_to_look(now, tid);
        }
    }

    /// A signal has come at `now`: let a parked thread look, but not before its own clock.
    pub(crate) fn wake_to_look(&mut self, now: SimTime, tid: VirtualTid) {
        let Some(State::Parked(parked)) = self.threads.get(&tid).map(|thread| thread.state) else {
            return;
        };
        if now < parked.since {
            self.agenda.add(parked.since, Entry::Look(tid));
        } else {
            self.wake(tid, Wake::Look);
        }
    }

    /// The threads of a process that have not ended, by number.
    pub(crate) fn threads_of(&self, pid: VirtualPid) -> Vec<VirtualTid> {
        let is_of = |thread: &Thread| thread.pid == pid && !matches!(thread.state, State::Ended);
        self.threads.iter().filter(|(_, thread)| is_of(thread)).map(|(&tid, _)| tid).collect()
    }

    /// CPU time of all processes since boot, as far as their last calls told.
    pub(crate) fn cpu_ns(&self) -> u64 {
        // What a guest says of itself may be anything.
        let add = |sum: u64, process: &Process| sum.saturating_add(process.cpu_ns);
        self.processes.values().fold(self.ended_cpu_ns, add)
    }
}

/// A text, copied to wherever the kernel allocates.
pub(crate) fn owned(text: &str) -> String {
    String::from(text)
}
