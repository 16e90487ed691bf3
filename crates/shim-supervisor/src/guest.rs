//! One guest: its next event, the reply, native calls inside it.
//!
//! [`Request`]s out, [`Reply`]s in; beside them whatever a simulator may want to know or do: memory,
//! records, identity, death. Always true: the guest's words are copied here before they are looked at; no
//! wait outlives the guest; what breaks the protocol is reported once as [`Event::Malformed`], and such a
//! guest is killed. Who has control is decided in `shim-sync`; what a call means is not decided here at all.
//!
//! A [`Guest`] is one thread. What the threads of a process have in common is `process`, how a guest makes
//! another one is `offspring`. Dropping a [`Guest`] kills its process and waits until it is dead, so that its
//! blocks can be used again; a thread that ends alone is forgotten with [`Guest::forget`].

use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::time::Duration;

use shim_abi::event::{Reply, Request};
use shim_abi::process::ProcessBlock;
use shim_abi::thread::ThreadBlock;

use crate::baton::{self, Got};
use crate::channel::{self, Patience};
use crate::guest_memory::{GuestMemory, Pieces};
use crate::interrupt::Interrupter;
use crate::life::{EXIT_PATIENCE, Life};
use crate::process::Process;
use crate::records::Record;
use crate::slots::ThreadSlot;
use crate::status::ExitStatus;

/// What a guest did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Event {
    /// It has something to say and waits for [`Guest::reply`].
    Request(Request),
    /// It has handed control to the thread with this block (index in the host's memory), and waits for control from
    /// whomever: only in hosts that share their kernel ([`crate::KernelMemory`]). That thread is to be waited for
    /// now.
    Passed(u32),
    /// It runs still, and a process of the host has ended: only in hosts that share their kernel. If that one was in the
    /// kernel, nobody may call that any more; else, wait on.
    Disturbed,
    /// What it said is no request, or it ruined its channel. It was killed; the next event is its end.
    Malformed,
    /// It is dead. Every further wait says so again.
    Exited(ExitStatus),
}

/// The guest is dead or dying: [`Guest::wait`] says how.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ended;

impl std::fmt::Display for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the guest has ended")
    }
}

impl std::error::Error for Ended {}

/// A native thread that runs as a guest.
#[derive(Debug)]
pub struct Guest {
    pub(crate) process: Arc<Process>,
    pub(crate) thread: ThreadSlot,
    pub(crate) stage: Stage,
    /// Of a process that another guest is to make: that one.
    pub(crate) maker: Option<Arc<Life>>,
    /// It waits for a reply of ours.
    pub(crate) has_control: bool,
    /// The launcher started it, and it has not said anything: it may say its first word while others have control.
    is_silent: bool,
    /// It broke the protocol, and whether that was reported.
    ruin: Option<IsReported>,
    /// When that was seen, nobody of its host had control.
    is_control_lost: bool,
    pub(crate) patience: Patience,
    /// What came beside the last system call.
    pub(crate) incoming: Pieces,
    /// What goes beside the next reply.
    pub(crate) outgoing: Pieces,
    /// Records that were taken out of the ring before anybody asked.
    pub(crate) early_records: Vec<Record>,
}

type IsReported = bool;

/// How often a guest that was told to exit is looked at before it is killed: for some ten seconds, because it may have much
/// memory to give back.
const EXIT_LOOKS: u32 = 200;

/// Whether there is a native thread that may write to the blocks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Stage {
    /// Another guest is about to make it, or to fail to.
    Unborn,
    /// Yes, as long as its process lives.
    Alive,
    /// Not any more, or it never was.
    Gone,
}

impl Guest {
    pub(crate) fn new(process: Arc<Process>, thread: ThreadSlot) -> Guest {
        Guest {
            process,
            thread,
            stage: Stage::Alive,
            maker: None,
            has_control: false,
            is_silent: true,
            ruin: None,
            is_control_lost: false,
            patience: Patience::new(),
            incoming: Pieces::default(),
            outgoing: Pieces::default(),
            early_records: Vec::new(),
        }
    }

    /// A guest that this one will make.
    pub(crate) fn unborn(&self, process: Arc<Process>, thread: ThreadSlot) -> Guest {
        let mut guest = Guest::new(process, thread);
        guest.stage = Stage::Unborn;
        guest.has_control = true;
        guest.is_silent = false;
        guest.patience = self.patience.inherited();
        guest
    }

    /// Wait until the guest hands over control, or is dead.
    ///
    /// A guest that hands over nothing while it runs for ever is waited for: [`Interrupter::kill`] ends
    /// that. After a request, reply before the next wait.
    pub fn wait(&mut self) -> Event {
        self.wait_watched(None)
    }

    /// As [`Guest::wait`], but a guest that computes for `limit` without making a call is preempted: it
    /// hands over with [`Request::Preempted`] as soon as the kick reaches it. What counts is native
    /// processor time in its own code, so neither a busy machine nor a call that waits natively (for a
    /// standard stream) is taken for a busy loop. A guest for which nothing waits, by its own word, is not preempted.
    pub fn wait_watched(&mut self, limit: Option<Duration>) -> Event {
        match self.ruin.replace(true) {
            // In the middle of a native call, say.
            Some(false) => return Event::Malformed,
            Some(true) => return Event::Exited(self.process.life.wait_end()),
            None => self.ruin = None,
        }
        let got = self.wait_for_control(limit);
        self.take(got)
    }

    /// As [`Guest::wait`], but without waiting: `None` if nothing has come yet. For whoever waits for several guests
    /// (see [`crate::Lookout`]); only in hosts that do not share their kernel.
    pub fn look(&mut self) -> Option<Event> {
        match self.ruin.replace(true) {
            Some(false) => return Some(Event::Malformed),
            Some(true) => return self.end().map(Event::Exited),
            None => self.ruin = None,
        }
        let got = match channel::look(&self.process.life, self.thread.block())? {
            Ok(()) => Got::Control,
            Err(shim_sync::Closed) => Got::Ended,
        };
        self.has_control = false;
        Some(self.take(got))
    }

    /// What has come.
    fn take(&mut self, got: Got) -> Event {
        match got {
            Got::Control => {}
            Got::Passed(index) => {
                self.has_control = true;
                return Event::Passed(index);
            }
            Got::Disturbed => return Event::Disturbed,
            Got::Lost => {
                self.is_control_lost = true;
                return self.malformed();
            }
            // Closed by the watcher, or by a guest that should not have done it.
            Got::Ended => {
                return match self.process.life.end() {
                    Some(end) => Event::Exited(end),
                    None => self.malformed(),
                };
            }
        }
        self.is_silent = false;
        let Guest { thread, incoming, .. } = self;
        let channel = &thread.block().channel;
        let Some(request) = channel.request.load_request() else { return self.malformed() };
        incoming.clear();
        if let Request::Syscall { copies_bytes, .. } = request
            && !incoming.load(&channel.data, copies_bytes)
        {
            return self.malformed();
        }
        self.has_control = true;
        Event::Request(request)
    }

    /// Wait until this thread's channel is the simulator's, or something else is to be told.
    fn wait_for_control(&mut self, limit: Option<Duration>) -> Got {
        self.has_control = false;
        let Guest { process, thread, patience, .. } = self;
        let life = &process.life;
        match life.memory().baton().filter(|_| !self.is_silent) {
            Some(baton) => {
                baton::wait(patience, (life, thread.block(), thread.index()), baton, limit)
            }
            None => match patience.wait(life, thread.block(), limit) {
                Ok(()) => Got::Control,
                Err(shim_sync::Closed) => Got::Ended,
            },
        }
    }

    /// Give this thread control.
    fn hand_over(&self) {
        if let Some(baton) = self.process.life.memory().baton() {
            baton::give(baton, self.thread.index());
        }
        channel::hand_over(&self.thread().channel.control);
    }

    fn malformed(&mut self) -> Event {
        self.break_off();
        self.ruin = Some(true);
        Event::Malformed
    }

    /// It broke the protocol: the next event says so.
    pub(crate) fn break_off(&mut self) {
        self.ruin = Some(false);
        self.has_control = false;
        self.process.life.kill();
    }

    /// Answer the last request and give control to the guest.
    ///
    /// The number `copies_bytes` of a [`Reply::Complete`] is filled in here: what was written through
    /// [`Guest::memory`] since the last reply goes with it. Without a request to answer nothing happens; but a
    /// guest that was made by another one waits for a [`Reply::Started`] without having said anything.
    pub fn reply(&mut self, reply: &Reply) {
        debug_assert!(self.has_control || self.process.life.is_over(), "a reply without a request");
        if !self.has_control {
            return;
        }
        let mut reply = *reply;
        if let Reply::Complete { copies_bytes, result, .. } = &mut reply {
            match self.outgoing.store(&self.thread().channel.data) {
                Some(used) => *copies_bytes = used,
                // They were measured when they were queued, so this does not happen.
                None => (*copies_bytes, *result) = (0, -i64::from(libc::EFAULT)),
            }
        } else {
            // No other reply carries them.
            let _ = self.memory().flush();
        }
        self.outgoing.clear();
        self.thread().channel.reply.store_reply(&reply);
        self.has_control = false;
        self.hand_over();
    }

    /// The guest's memory, for the request that waits for a reply.
    pub fn memory(&mut self) -> GuestMemory<'_> {
        GuestMemory::new(self)
    }

    /// Have the guest execute a system call natively and wait for the result, which is as the kernel
    /// returned it. Before a reply, as often as needed; afterwards the guest still waits for its reply.
    ///
    /// What was written through [`Guest::memory`] is in place before the call; if it cannot be, the result is
    /// EFAULT and nothing is called.
    pub fn native_call(&mut self, number: u32, args: [u64; 6]) -> Result<i64, Ended> {
        if !self.has_control {
            return Err(Ended);
        }
        if self.memory().flush().is_err() {
            return Ok(-i64::from(libc::EFAULT));
        }
        // The call may change the memory that the request's copies were made of.
        self.incoming.clear();
        match self.converse(Reply::DoNative { number, args })? {
            Request::SyscallComplete { result } => Ok(result),
            _ => {
                self.break_off();
                Err(Ended)
            }
        }
    }

    /// Say something before the reply, and wait for what comes back.
    pub(crate) fn converse(&mut self, reply: Reply) -> Result<Request, Ended> {
        self.say(reply);
        self.hear()
    }

    fn say(&mut self, reply: Reply) {
        self.thread().channel.reply.store_reply(&reply);
        self.hand_over();
    }

    fn hear(&mut self) -> Result<Request, Ended> {
        loop {
            match self.wait_for_control(None) {
                Got::Control => self.has_control = true,
                Got::Disturbed => continue,
                Got::Ended => return Err(Ended),
                Got::Lost => {
                    self.is_control_lost = true;
                    self.break_off();
                    return Err(Ended);
                }
                Got::Passed(_) => {
                    self.break_off();
                    return Err(Ended);
                }
            }
            match self.thread().channel.request.load_request() {
                // The guest found its ring full while it recorded the call.
                Some(Request::Drain) => {
                    self.take_records_early();
                    self.say(Reply::Complete {
                        result: 0,
                        copies_bytes: 0,
                        is_clock_advanced: false,
                        signal: None,
                    });
                }
                Some(request) => return Ok(request),
                None => {
                    self.break_off();
                    return Err(Ended);
                }
            }
        }
    }

    /// Have the whole process exit with `status`, 0 to 255, and wait until it is dead: what it had open is closed
    /// then, its locks are free. How it ended; `None`: it was told to and did not.
    ///
    /// Why not wait for the launcher's report: it takes two more processes to come here. The report comes,
    /// too, and says nothing new.
    pub fn exit(&mut self, status: i32) -> Option<ExitStatus> {
        let life = self.process.life.clone();
        if !self.has_control {
            return Some(life.wait_end());
        }
        let _ = self.memory().flush();
        let death = life.watch_end();
        let number = libc::SYS_exit_group as u32;
        self.say(Reply::DoNative { number, args: [status as u64, 0, 0, 0, 0, 0] });
        self.has_control = false;
        for _ in 0..EXIT_LOOKS {
            let is_dead = match &death {
                Some(death) => death.wait(),
                None => life.wait_end_for(EXIT_PATIENCE),
            };
            if is_dead {
                life.finish(ExitStatus::Code(status));
                return life.end();
            }
            // It does something else.
            if channel::has_control(&self.thread().channel.control) {
                break;
            }
        }
        // Who is exiting does not mind.
        life.kill();
        match life.wait_end() {
            ExitStatus::Signal { signal: libc::SIGKILL, .. } => None,
            end => Some(end),
        }
    }

    /// Set the signals that wait for the guest's thread, signal `n` at bit `n - 1`. The guest looks
    /// when it has control. An [`Interrupter`] adds to them.
    pub fn set_pending_signals(&self, signals: u64) {
        self.thread().pending_signals.store(signals, Release);
    }

    /// Whether it was found, with [`Event::Malformed`], that no guest of its host has control, nor the simulator: only in
    /// hosts that share their kernel. Which of them has written over the words that tell is not known, nor whether their
    /// kernel is whole: none of them can go on.
    pub fn is_control_lost(&self) -> bool {
        self.is_control_lost
    }

    /// A handle to the process for other threads.
    pub fn interrupter(&self) -> Interrupter {
        Interrupter::new(self.process.life.clone())
    }

    /// Have the real kernel refuse memory to the guest beyond so many bytes of address space, what the shim takes of it
    /// apart; `u64::MAX`: as far as the launcher may go. Children and later images inherit that.
    pub fn limit_address_space(&self, bytes: u64) {
        self.process.life.limit_address_space(bytes);
    }

    /// Have the thread hand over with [`Request::Preempted`] if it computes and makes no call before it hears of this. One
    /// that is served natively goes on. From any thread.
    pub fn preempt(&self) {
        self.process.life.preempt(self.thread(), self.thread().calls.load(Relaxed));
    }

    /// Kill the process natively with SIGKILL. Its end comes with [`Guest::wait`].
    pub fn kill(&self) {
        self.process.life.kill();
    }

    /// Have the thread run on processor `cpu` only, natively: hand-overs are cheapest where guest and
    /// simulator take turns on one processor. What the guest sees is virtual.
    pub fn run_on(&self, cpu: usize) {
        self.process.life.run_on(self.thread(), cpu);
    }

    /// The native process id, for messages.
    pub fn native_pid(&self) -> u32 {
        self.process.life.pid().map_or(0, |pid| pid.get() as u32)
    }

    /// How it ended; `None` as long as it lives.
    pub fn end(&self) -> Option<ExitStatus> {
        self.process.life.end()
    }

    /// As [`Guest::end`], but if the process is dead and its end only not yet reported, that is waited for.
    pub fn latest_end(&self) -> Option<ExitStatus> {
        let life = &self.process.life;
        let is_dead = life.watch_end().is_some_and(|death| death.has_come());
        if is_dead { Some(life.wait_end()) } else { life.end() }
    }

    /// Number of images that have started in this process, as the guest counts; 0: no shim ever came up.
    pub fn images(&self) -> u32 {
        self.process().images.load(Acquire)
    }

    /// Simulated time that the guest's thread has been charged since `HostBlock::now_ns`.
    pub fn charged_ns(&self) -> u64 {
        self.thread().charged_ns.load(Relaxed)
    }

    /// The process's block. What the guest writes there is an allegation.
    pub fn process(&self) -> &ProcessBlock {
        self.process.slot.block()
    }
    /// The block of this thread.
    pub fn thread(&self) -> &ThreadBlock {
        self.thread.block()
    }
    /// Index of [`Guest::process`] in the host's memory.
    pub fn process_index(&self) -> u32 {
        self.process.slot.index()
    }
    /// Index of [`Guest::thread`] in the host's memory.
    pub fn thread_index(&self) -> u32 {
        self.thread.index()
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        match self.stage {
            Stage::Unborn if self.process.life.pid().is_none() => {
                // Whoever was to make it did not come to tell.
                let maker = self.maker.take();
                Process::leave_behind(&self.process, self.thread.hand_on(), maker);
            }
            Stage::Gone => {}
            Stage::Unborn | Stage::Alive => {
                if !self.process.end() {
                    // It may still write to its block.
                    self.thread.abandon();
                }
            }
        }
        self.process.life.remove_thread(self.thread.index());
    }
}
