//! One guest: its next event, the reply, native calls inside it.
//!
//! [`Request`]s out, [`Reply`]s in; beside them whatever a simulator may want to know or do: memory,
//! records, identity, death. Always true: the guest's words are copied here before they are looked at; no
//! wait outlives the guest; what breaks the protocol is reported once as [`Event::Malformed`], and such a
//! guest is killed. A guest has one thread so far. Who has control is decided in `shim-sync`; what a call
//! means is not decided here at all.
//!
//! Dropping a [`Guest`] kills the process and waits until it is dead, so that its blocks can be used again.

use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::time::Duration;

use shim_abi::event::{Reply, Request};
use shim_abi::process::ProcessBlock;
use shim_abi::thread::ThreadBlock;

use crate::channel::{self, Patience};
use crate::guest_memory::{GuestMemory, Pieces};
use crate::interrupt::Interrupter;
use crate::life::Life;
use crate::records::Record;
use crate::slots::{ProcessSlot, ThreadSlot};
use crate::status::ExitStatus;

/// How long a dropped guest is given to die. SIGKILL takes longer only if a device hangs.
const FAREWELL: Duration = Duration::from_secs(3);

/// What a guest did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Event {
    /// It has something to say and waits for [`Guest::reply`].
    Request(Request),
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

/// A native process that runs as a guest.
#[derive(Debug)]
pub struct Guest {
    pub(crate) life: Arc<Life>,
    process: ProcessSlot,
    thread: ThreadSlot,
    /// It waits for a reply of ours.
    has_control: bool,
    /// It broke the protocol.
    is_ruined: bool,
    patience: Patience,
    /// What came beside the last system call.
    pub(crate) incoming: Pieces,
    /// What goes beside the next reply.
    pub(crate) outgoing: Pieces,
    /// Records that were taken out of the ring before anybody asked.
    pub(crate) early_records: Vec<Record>,
}

impl Guest {
    pub(crate) fn new(life: Arc<Life>, process: ProcessSlot, thread: ThreadSlot) -> Guest {
        Guest {
            life,
            process,
            thread,
            has_control: false,
            is_ruined: false,
            patience: Patience::new(),
            incoming: Pieces::default(),
            outgoing: Pieces::default(),
            early_records: Vec::new(),
        }
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
    /// standard stream) is taken for a busy loop.
    pub fn wait_watched(&mut self, limit: Option<Duration>) -> Event {
        if self.is_ruined {
            return Event::Exited(self.life.wait_end());
        }
        if self.patience.wait(&self.life, limit).is_err() {
            // Closed by the watcher, or by a guest that should not have done it.
            return match self.life.end() {
                Some(end) => Event::Exited(end),
                None => self.malformed(),
            };
        }
        let channel = &self.life.thread().channel;
        let Some(request) = channel.request.load_request() else { return self.malformed() };
        self.incoming.clear();
        if let Request::Syscall { copies_bytes, .. } = request
            && !self.incoming.load(&channel.data, copies_bytes)
        {
            return self.malformed();
        }
        self.has_control = true;
        Event::Request(request)
    }

    fn malformed(&mut self) -> Event {
        self.is_ruined = true;
        self.has_control = false;
        self.life.kill();
        Event::Malformed
    }

    /// Answer the last request and give control to the guest.
    ///
    /// The number `copies_bytes` of a [`Reply::Complete`] is filled in here: what was written through
    /// [`Guest::memory`] since the last reply goes with it. Without a request to answer nothing happens.
    pub fn reply(&mut self, reply: &Reply) {
        debug_assert!(self.has_control || self.life.is_over(), "a reply without a request");
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
        channel::hand_over(&self.thread().channel.control);
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
        let mut reply = Reply::DoNative { number, args };
        loop {
            let channel = &self.life.thread().channel;
            channel.reply.store_reply(&reply);
            channel::hand_over(&channel.control);
            if self.patience.wait(&self.life, None).is_err() {
                self.has_control = false;
                return Err(Ended);
            }
            match channel.request.load_request() {
                Some(Request::SyscallComplete { result }) => return Ok(result),
                // The guest found its ring full while it recorded the call.
                Some(Request::Drain) => {
                    self.take_records_early();
                    reply = Reply::Complete {
                        result: 0,
                        copies_bytes: 0,
                        is_clock_advanced: false,
                        signal: None,
                    };
                }
                _ => {
                    self.malformed();
                    return Err(Ended);
                }
            }
        }
    }

    /// Set the signals that wait for the guest's thread, signal `n` at bit `n - 1`. The guest looks
    /// when it has control. An [`Interrupter`] adds to them.
    pub fn set_pending_signals(&self, signals: u64) {
        self.thread().pending_signals.store(signals, Release);
    }

    /// A handle for other threads.
    pub fn interrupter(&self) -> Interrupter {
        Interrupter::new(self.life.clone())
    }

    /// Kill the process natively with SIGKILL. Its end comes with [`Guest::wait`].
    pub fn kill(&self) {
        self.life.kill();
    }

    /// Have the process run on processor `cpu` only, natively: hand-overs are cheapest where guest and
    /// simulator take turns on one processor. What the guest sees is virtual.
    pub fn run_on(&self, cpu: usize) {
        self.life.run_on(cpu);
    }

    /// The native process id, for messages.
    pub fn native_pid(&self) -> u32 {
        self.life.pid().map_or(0, |pid| pid.get() as u32)
    }

    /// How it ended; `None` as long as it lives.
    pub fn end(&self) -> Option<ExitStatus> {
        self.life.end()
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
        self.process.block()
    }
    /// The block of its only thread.
    pub fn thread(&self) -> &ThreadBlock {
        self.thread.block()
    }
    /// Index of [`Guest::process`] in the host's memory.
    pub fn process_index(&self) -> u32 {
        self.process.index()
    }
    /// Index of [`Guest::thread`] in the host's memory.
    pub fn thread_index(&self) -> u32 {
        self.thread.index()
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.life.kill();
        if !self.life.wait_end_for(FAREWELL) {
            // It may still write to its blocks.
            self.process.abandon();
            self.thread.abandon();
        }
    }
}
