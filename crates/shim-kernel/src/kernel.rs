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
use shim_abi::random::Stream;
use shim_abi::virtual_files::VirtualFile;
use shim_abi::{Errno, SimTime};

use crate::agenda::{Agenda, Entry};
use crate::config::Config;
use crate::context::Context;
use crate::guest::Guest;
use crate::ids::{VirtualPid, VirtualTid};
use crate::outcome::{Outcome, Published, SignalOutcome};
use crate::task::{Parked, Process, State, Thread, Wait, Wake};
use crate::{dispatch, files, life, signal};

/// The virtual Linux of one host.
#[derive(Debug)]
pub struct Kernel {
    pub(crate) config: Config,
    pub(crate) processes: BTreeMap<VirtualPid, Process>,
    pub(crate) threads: BTreeMap<VirtualTid, Thread>,
    pub(crate) agenda: Agenda,
    /// Threads to be resumed, in the order in which they woke.
    runnable: VecDeque<VirtualTid>,
    /// Jumps of the calendar up to this instant are past.
    jumped: SimTime,
    /// The number of the next process or thread.
    pub(crate) next_id: u32,
    /// CPU time of processes that are gone.
    pub(crate) ended_cpu_ns: u64,
    /// How many processes have been started since boot.
    pub(crate) started_processes: u64,
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
        let mut kernel = Kernel {
            config,
            processes: BTreeMap::new(),
            threads: BTreeMap::new(),
            agenda: Agenda::default(),
            runnable: VecDeque::new(),
            jumped: SimTime::ZERO,
            next_id: life::FIRST_ID,
            ended_cpu_ns: 0,
            started_processes: 0,
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
        let pid = VirtualPid(self.next_id);
        self.next_id += 1;
        self.add_process(pid, VirtualPid::INIT, program);
        (pid, pid.leader())
    }

    /// The number that the next process gets.
    pub fn next_pid(&self) -> VirtualPid {
        VirtualPid(self.next_id)
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
        context.expire_own_interval();
        let answer = dispatch::answer(&mut context, number, args);
        conclude(answer)
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
        let is_deserted = self.processes.len() <= 1;
        let jump = self.next_jump(self.jumped).filter(|_| !is_deserted);
        [self.agenda.next(), jump].into_iter().flatten().min()
    }

    /// Let everything happen that is due by `now`.
    pub fn advance(&mut self, now: SimTime) {
        self.jumped = self.jumped.max(now);
        while let Some((at, entry)) = self.agenda.pop_due(now) {
            match entry {
                Entry::Interval(pid) => self.expire_interval(at, pid),
                Entry::Timeout(tid) => self.wake(tid, Wake::Timeout),
                Entry::Look(tid) => self.wake(tid, Wake::Look),
            }
        }
    }

    /// A thread to resume now; each is named once.
    pub fn next_runnable(&mut self) -> Option<VirtualTid> {
        loop {
            let tid = self.runnable.pop_front()?;
            let state = self.threads.get(&tid).map(|thread| thread.state);
            if let Some(State::Parked(Parked { wake: Some(_), .. })) = state {
                return Some(tid);
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
        context.unpark(&parked);
        context.expire_own_interval();
        conclude(context.finish(parked, wake))
    }

    /// A signal from outside the simulation (the user's Ctrl-C) for a process, at `now`. SIGSTOP is
    /// dropped: nobody could continue the process.
    pub fn post_signal(&mut self, now: SimTime, pid: VirtualPid, info: SignalInfo) {
        let is_signal = (1..=signal::MAX).contains(&info.signal);
        if is_signal && info.signal != signal::SIGSTOP {
            // The queue's limit concerns signals that carry data from a guest.
            let _ = self.queue_signal(now, signal::Target::Process(pid), info);
        }
    }

    /// The signals that wait for a thread, those of its process included: signal `n` at bit `n - 1`.
    /// To be written into the thread's block whenever the kernel was called.
    pub fn pending(&self, tid: VirtualTid) -> u64 {
        let Some(thread) = self.threads.get(&tid) else { return 0 };
        let process = self.processes.get(&thread.pid);
        thread.pending.bits() | process.map_or(0, |process| process.pending.bits())
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
            Some(mut context) => context.take_signal(),
            None => SignalOutcome::None,
        }
    }

    /// A new image has started in the process of `tid`: whatever the thread waited for is over.
    pub fn exec_started(&mut self, tid: VirtualTid) {
        if let Some(State::Parked(parked)) = self.threads.get(&tid).map(|thread| thread.state) {
            self.unpark(tid, &parked);
        }
        if let Some(thread) = self.threads.get_mut(&tid) {
            thread.suspended_mask = None;
        }
    }

    /// The process is gone, however it ended.
    pub fn process_ended(&mut self, pid: VirtualPid) {
        self.remove_process(pid);
    }

    /// The contents of a file that shows the machine, at `now`. Each reading of `uuid` is another.
    pub fn virtual_file(&mut self, now: SimTime, file: VirtualFile) -> Vec<u8> {
        files::contents(self, now, file)
    }

    /// Record a parked call and plan the end of its wait.
    pub(crate) fn park(&mut self, tid: VirtualTid, parked: Parked) {
        if let Some(thread) = self.threads.get_mut(&tid) {
            thread.state = State::Parked(parked);
            self.agenda.add(parked.deadline, Entry::Timeout(tid));
        }
    }

    /// The thread runs again; nothing of its wait stays planned.
    pub(crate) fn unpark(&mut self, tid: VirtualTid, parked: &Parked) {
        self.agenda.remove(parked.deadline, Entry::Timeout(tid));
        self.agenda.remove(parked.since, Entry::Look(tid));
        if let Some(thread) = self.threads.get_mut(&tid) {
            thread.state = State::Running;
        }
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

    /// The threads of a process that have not exited, by number.
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

/// The outcome for an answer: an error is returned as its negated number.
fn conclude(answer: Result<Outcome, Errno>) -> Outcome {
    answer.unwrap_or_else(|errno| Outcome::Done(errno.as_return()))
}

/// A text, copied to wherever the kernel allocates.
pub(crate) fn owned(text: &str) -> String {
    String::from(text)
}
