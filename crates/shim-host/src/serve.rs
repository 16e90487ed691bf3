//! A thread's turn: its requests, answered until it waits or ends.
//!
//! A thread that has control (or whose wait is over) in, [`Left`] out. Always true: on entry no other guest
//! of the host has control, and on return none has; a request is answered at the thread's own time
//! `now + charged`, and the host's clock moves only when the thread gives up control. Which thread is served
//! when is `host`; what a call does is the kernel's; what becomes of the host's books at births and ends is
//! `birth` and `death`.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use shim_abi::SimDuration;
use shim_abi::calls::{PSEUDO_IMAGES, PSEUDO_MAPS, PSEUDO_POST, nr};
use shim_abi::event::{Reply, Request};
use shim_abi::ring::CallRecord;
use shim_abi::thread::kernel_place;
use shim_kernel::{Outcome, SignalOutcome, VirtualPid};
use shim_supervisor::{Event, ExitStatus};

use crate::host::Host;
use crate::observe::{Observation, Observer};
use crate::thread::{State, Thread};

/// What became of a thread that was served.
pub(crate) enum Left {
    /// It is there, in the state that it has now.
    Waiting,
    /// It has ended, its process has not.
    Gone,
    /// Its process is dead.
    Ended(ExitStatus),
    /// It broke the rules, and its process is to be killed.
    Misbehaved,
    /// This process has died while it was in the kernel, or was found waiting while nobody has control: what happened.
    Lost(VirtualPid, &'static str),
}

/// What is said of a process that has died in the kernel.
pub(crate) const INSIDE: &str =
    "killed from outside while it was in its host's kernel: the host has stopped";
/// What is said of one that waits for control, which nobody has.
const NOBODY: &str = "some guest has written over the words that say who runs: nobody does, and the host has stopped";

/// What to do about a request.
pub(crate) enum Answer {
    /// Hand control back with this.
    Reply(Reply),
    /// Keep control: the thread waits, in this state.
    Wait(State),
    /// The thread has ended.
    Gone,
    /// The process has ended.
    Ended(ExitStatus),
    /// The process is about to end by itself.
    End,
    /// It broke a rule: this one.
    Misbehaved(&'static str),
}

/// Where a thread is served.
pub(crate) struct Desk<'a> {
    pub(crate) host: &'a mut Host,
    pub(crate) observer: &'a mut dyn Observer,
}

impl Desk<'_> {
    /// Serve a thread that has control, or that waited and now goes on.
    pub(crate) fn serve(&mut self, thread: &mut Thread) -> Left {
        let was = std::mem::replace(&mut thread.state, State::Serving);
        if was != State::Paused {
            self.host.machine.begin_turn();
        }
        thread.time = self.host.machine.now();
        let left = match was {
            State::Fresh => {
                self.host.machine.publish_clock();
                None
            }
            State::Born => {
                let (now, tid) = (thread.time, thread.tid);
                self.host.machine.kernel_for(thread, |kernel, view| kernel.begins(now, tid, view));
                self.act(thread, Answer::Reply(Reply::Started))
            }
            State::Paused => self.act(thread, Answer::Reply(complete(0, true))),
            _ => {
                let answer = self.resume(thread);
                self.act(thread, answer)
            }
        };
        match left {
            Some(left) => left,
            None => self.listen(thread),
        }
    }

    /// Answer requests until the thread gives up control.
    fn listen(&mut self, thread: &mut Thread) -> Left {
        loop {
            let event = thread.guest.wait_watched(self.patience());
            self.drain(thread);
            let request = match event {
                Event::Request(request) => request,
                Event::Passed(block) => match self.follow(thread, block) {
                    Ok(()) => continue,
                    Err(left) => return left,
                },
                Event::Disturbed => match self.host.died_with_control() {
                    Some(pid) => return Left::Lost(pid, INSIDE),
                    None => continue,
                },
                Event::Malformed => {
                    if thread.guest.is_control_lost() {
                        return Left::Lost(thread.pid, NOBODY);
                    }
                    self.complain(thread, "its shim sent a message that nobody understands");
                    return Left::Misbehaved;
                }
                Event::Exited(status) => {
                    // Whomever it was about to name would wait for ever.
                    let mark = thread.guest.thread().is_in_kernel.load(Relaxed);
                    let is_lost = mark != kernel_place::OUTSIDE;
                    return match is_lost {
                        true => Left::Lost(thread.pid, INSIDE),
                        false => Left::Ended(status),
                    };
                }
            };
            self.host.handovers += 1;
            let charged = SimDuration::from_ns(thread.guest.charged_ns());
            let time = self.host.machine.now() + charged;
            if time > self.host.machine.latest() {
                self.complain(thread, "its shim says that it is later than it can be");
                return Left::Misbehaved;
            }
            thread.time = time;
            // Whom it woke by itself was ready before what happens now.
            self.host.machine.collect_ready();
            self.host.post_interrupts();
            let answer = self.answer(thread, request);
            if let Some(left) = self.act(thread, answer) {
                return left;
            }
        }
    }

    /// The thread has handed control to the one with this block: that is who is served from now on.
    fn follow(&mut self, thread: &mut Thread, block: u32) -> Result<(), Left> {
        let Some(next) = self.host.take_thread_at(block) else {
            self.complain(thread, "its shim handed control to nobody");
            return Err(Left::Misbehaved);
        };
        let mut last = std::mem::replace(thread, next);
        last.state = State::Parked;
        thread.state = State::Serving;
        thread.time = last.time;
        self.host.threads.insert(last.tid, last);
        Ok(())
    }

    /// How long the thread may compute without a call while something waits for it, which it may have made itself.
    fn patience(&self) -> Option<Duration> {
        self.host.machine.config.watchdog.map(|watchdog| watchdog.wall)
    }

    /// The thread was parked, and its wait is over.
    fn resume(&mut self, thread: &mut Thread) -> Answer {
        let (now, tid) = (thread.time, thread.tid);
        thread.call = self.host.machine.call_of(thread);
        let outcome =
            self.host.machine.kernel_for(thread, |kernel, view| kernel.resume(now, tid, view));
        match outcome {
            // It waited at its limit, in the middle of whatever: it will ask for signals itself.
            Outcome::Done(_) if thread.call.is_none() => {
                Answer::Reply(complete(thread.untold.take().unwrap_or(0), true))
            }
            outcome => self.conclude(thread, outcome, true),
        }
    }

    fn answer(&mut self, thread: &mut Thread, request: Request) -> Answer {
        let (now, tid) = (thread.time, thread.tid);
        match request {
            Request::Start => self.start_image(thread),
            Request::Syscall { number: PSEUDO_IMAGES, args, .. } => {
                Answer::Reply(complete(thread.guest.answer_images(args), false))
            }
            Request::Syscall { number: PSEUDO_POST, .. } => {
                Answer::Reply(complete(self.host.machine.port(), false))
            }
            Request::Syscall { number: PSEUDO_MAPS, args, .. } => {
                Answer::Reply(complete(thread.guest.answer_maps(args), false))
            }
            Request::Syscall { number, args, .. } => {
                thread.call = Some((number, args));
                let outcome = self
                    .host
                    .machine
                    .kernel_for(thread, |kernel, view| kernel.call(now, tid, number, args, view));
                if let Outcome::Exit { .. } | Outcome::ThreadExit = outcome {
                    self.note_exit(thread, number, args);
                }
                let answer = self.conclude(thread, outcome, false);
                let has_woken = self.host.machine.collect_ready();
                self.after_waking(thread, answer, has_woken)
            }
            Request::Answered { number, args, result, has_woken } => {
                thread.call = Some((number, args));
                let answer = self.conclude(thread, Outcome::Done(result), false);
                let has_woken = self.host.machine.collect_ready() || has_woken;
                self.after_waking(thread, answer, has_woken)
            }
            Request::Resumed { number, args, result } => {
                thread.call = Some((number, args));
                self.conclude(thread, Outcome::Done(result), false)
            }
            Request::Parked { number, args } => {
                thread.call = Some((number, args));
                self.conclude(thread, Outcome::Park, false)
            }
            Request::Limit => self.limit(thread),
            Request::Preempted => {
                self.note_preemption(thread);
                self.give_way(thread)
            }
            Request::Drain => Answer::Reply(complete(0, false)),
            Request::Signals => self.conclude(thread, Outcome::Done(0), false),
            Request::SyscallComplete { .. } | Request::AddThreadRes { .. } => {
                Answer::Misbehaved("its shim answered what nobody asked")
            }
        }
    }

    /// The thread's clock has reached the instant at which it must hand over.
    fn limit(&mut self, thread: &mut Thread) -> Answer {
        let now = thread.time;
        self.host.machine.collect_ready();
        let machine = &self.host.machine;
        if now >= machine.end_of_turn() {
            return self.give_way(thread);
        }
        if now >= machine.end_of_step() {
            return Answer::Wait(State::Paused);
        }
        // Whom it made ready by itself cannot go on after all.
        Answer::Reply(complete(0, false))
    }

    /// Its call is answered. If that woke somebody, and the thread has had more than its share of the processor, it
    /// lets the others go first.
    ///
    /// Why: whoever releases a lock wakes those who wait for it, and takes it again at once if it may go on. If it
    /// makes its other calls with the lock held, its turns end while it holds it, each time, and nobody else ever
    /// gets it. Schedulers of real machines let those go first, too, who have waited.
    fn after_waking(&mut self, thread: &mut Thread, answer: Answer, has_woken: bool) -> Answer {
        let Answer::Reply(Reply::Complete { result, signal: None, .. }) = answer else {
            return answer;
        };
        if !has_woken || !thread.is_restless() {
            return answer;
        }
        thread.call = None;
        thread.untold = Some(result);
        thread.rest();
        self.give_way(thread)
    }

    /// The thread goes behind all that are ready, those included that are woken at this very instant.
    fn give_way(&mut self, thread: &mut Thread) -> Answer {
        let (now, tid) = (thread.time, thread.tid);
        let machine = &mut self.host.machine;
        machine.advance_to(now);
        machine.catch_up();
        machine.kernel(|kernel| kernel.limit(now, tid));
        Answer::Wait(State::Parked)
    }

    /// Turn what the kernel said into what to do.
    fn conclude(
        &mut self,
        thread: &mut Thread,
        mut outcome: Outcome,
        is_clock_advanced: bool,
    ) -> Answer {
        let result = loop {
            match outcome {
                Outcome::Done(result) => break result,
                Outcome::Park => {
                    thread.rest();
                    return Answer::Wait(State::Parked);
                }
                Outcome::Native { number, args } => {
                    self.host.machine.publish_clock();
                    match thread.guest.native_call(number, args) {
                        Ok(result) => break result,
                        Err(_) => return Answer::End,
                    }
                }
                Outcome::Clone { pid, tid } => match self.bear(thread, pid, tid) {
                    Ok(next) => outcome = next,
                    Err(_) => return Answer::End,
                },
                Outcome::ThreadExit => return self.end_thread(thread),
                Outcome::Exit { status } => return self.exit(thread, status),
            }
        };
        let (now, tid) = (thread.time, thread.tid);
        let taken =
            self.host.machine.kernel_for(thread, |kernel, view| kernel.take_signal(now, tid, view));
        match taken {
            SignalOutcome::None => Answer::Reply(complete(result, is_clock_advanced)),
            SignalOutcome::Deliver(info) => {
                self.host.tell(thread, now, Observation::Signal(info), self.observer);
                Answer::Reply(Reply::Complete {
                    result,
                    copies_bytes: 0,
                    is_clock_advanced,
                    signal: Some(info),
                })
            }
            SignalOutcome::Stop => Answer::Wait(State::Parked),
            SignalOutcome::Die { signal } => Answer::Reply(Reply::Die { signal }),
        }
    }

    /// The thread ends, and its process goes on.
    fn end_thread(&mut self, thread: &mut Thread) -> Answer {
        // What the kernel stored for those that wait for the end goes with no reply.
        let _ = thread.guest.memory().flush();
        if thread.tid == thread.pid.leader() {
            Answer::Wait(State::Lingering)
        } else {
            Answer::Gone
        }
    }

    /// The process ends: a thread that waits for a reply makes it so.
    fn exit(&mut self, thread: &mut Thread, status: i32) -> Answer {
        self.host.machine.publish_clock();
        let waits = thread.tid == thread.pid.leader()
            || thread.call.is_none_or(|(number, _)| number != nr::exit);
        thread.call = None;
        let end = if waits {
            thread.guest.exit(status)
        } else {
            let _ = thread.guest.memory().flush();
            match self.host.threads.get_mut(&thread.pid.leader()) {
                Some(leader) if leader.state == State::Lingering => {
                    leader.call = None;
                    leader.guest.exit(status)
                }
                _ => return Answer::Misbehaved("its last thread ended before its first"),
            }
        };
        match end {
            Some(status) => Answer::Ended(status),
            None => Answer::Misbehaved("its shim did not exit when it was told to"),
        }
    }

    /// Do it. `None`: the thread has control again.
    fn act(&mut self, thread: &mut Thread, answer: Answer) -> Option<Left> {
        match answer {
            Answer::Wait(state) => {
                // As with a reply, what cannot be stored is the guest's own loss.
                let _ = thread.guest.memory().settle();
                thread.state = state;
                return Some(Left::Waiting);
            }
            Answer::Gone => return Some(Left::Gone),
            Answer::Ended(status) => return Some(Left::Ended(status)),
            Answer::Reply(reply) => {
                if !matches!(reply, Reply::Die { .. }) {
                    thread.call = None;
                }
                thread.publish(&mut self.host.machine, &self.host.interrupter);
                self.host.machine.publish_clock();
                thread.guest.reply(&reply);
            }
            Answer::End => {}
            Answer::Misbehaved(reason) => {
                self.complain(thread, reason);
                return Some(Left::Misbehaved);
            }
        }
        None
    }

    fn drain(&mut self, thread: &mut Thread) {
        let host = &mut *self.host;
        if let Some(process) = host.processes.get(&thread.pid) {
            thread.drain(process, &host.machine.config.hostname, &mut host.lacks, self.observer);
        }
    }

    /// A call that does not return is traced here, because its guest cannot.
    fn note_exit(&mut self, thread: &Thread, number: u32, args: [u64; 6]) {
        if self.host.machine.config.is_tracing {
            let record = CallRecord { number, args, result: 0 };
            let what = Observation::Call { record, texts: &[] };
            self.host.tell(thread, thread.time, what, self.observer);
        }
    }

    fn note_preemption(&mut self, thread: &Thread) {
        if let Some(process) = self.host.processes.get(&thread.pid) {
            self.host.preemptions.add(&process.program);
        }
        let watchdog = self.host.machine.config.watchdog;
        let wall = watchdog.map_or(Duration::ZERO, |watchdog| watchdog.wall);
        self.host.tell(thread, thread.time, Observation::Preempted { wall }, self.observer);
    }

    fn complain(&mut self, thread: &Thread, reason: &str) {
        self.host.log_error(thread, &format!("killed: {reason}"), self.observer);
    }
}

fn complete(result: i64, is_clock_advanced: bool) -> Reply {
    Reply::Complete { result, copies_bytes: 0, is_clock_advanced, signal: None }
}
