//! A thread's time between two waits: its requests, answered until it parks or its process ends.
//!
//! A thread that has control (or whose wait is over) in, [`Served`] out. Always true: on entry no other guest
//! of the host has control, and on return none has; a request is answered at the thread's own time
//! `now + charged`, and only the end of a wait moves the host's clock. Which thread is served when is
//! `host`; what a call does is the kernel's.

use std::time::Duration;

use shim_abi::calls::nr;
use shim_abi::event::{Reply, Request};
use shim_abi::ring::CallRecord;
use shim_abi::{SimDuration, SimTime};
use shim_kernel::{Outcome, SignalOutcome};
use shim_supervisor::{Event, ExitStatus};

use crate::guest_view::View;
use crate::interrupter::Interrupter;
use crate::lacks::Lacks;
use crate::machine::Machine;
use crate::observe::{Observation, Observer};
use crate::preemptions::Preemptions;
use crate::process::{Process, State};

/// What became of a thread that was served.
pub(crate) enum Served {
    /// It waits in simulated time.
    Parked,
    /// Its process is dead.
    Ended(ExitStatus),
    /// It broke the rules, and is to be killed.
    Misbehaved,
}

/// What to do about a request.
enum Answer {
    /// Hand control back with this.
    Reply(Reply),
    /// Keep control: the thread waits.
    Park,
    /// The process is about to end by itself.
    End,
    /// It broke a rule: this one.
    Misbehaved(&'static str),
}

/// Everything that serving needs beside the thread.
pub(crate) struct Desk<'a> {
    pub(crate) machine: &'a mut Machine,
    pub(crate) interrupter: &'a Interrupter,
    pub(crate) lacks: &'a mut Lacks,
    pub(crate) preemptions: &'a mut Preemptions,
    /// Other threads of the host are ready, and run when this one hands over.
    pub(crate) has_others: bool,
    /// Counts the guests' messages.
    pub(crate) handovers: &'a mut u64,
    pub(crate) observer: &'a mut dyn Observer,
}

impl Desk<'_> {
    /// Serve a thread that has control, or that waited and now goes on.
    pub(crate) fn serve(&mut self, process: &mut Process) -> Served {
        let was = std::mem::replace(&mut process.state, State::Serving);
        if was == State::Parked {
            let tid = process.tid;
            let now = self.machine.now();
            process.time = now;
            let outcome = self
                .machine
                .kernel(|kernel| kernel.resume(now, tid, &mut View(&mut process.guest)));
            let answer = match outcome {
                // It waited at its limit, in the middle of whatever: it will ask for signals itself.
                Outcome::Done(_) if process.call.is_none() => Answer::Reply(complete(0, true)),
                outcome => self.conclude(process, outcome, true),
            };
            if let Some(served) = self.act(process, answer) {
                return served;
            }
        } else {
            self.machine.publish_clock();
        }
        loop {
            let event = process.guest.wait_watched(self.patience());
            process.drain(&self.machine.config.hostname, self.lacks, self.observer);
            let request = match event {
                Event::Request(request) => request,
                Event::Malformed => {
                    self.complain(process, "its shim sent a message that nobody understands");
                    return Served::Misbehaved;
                }
                Event::Exited(status) => return Served::Ended(status),
            };
            *self.handovers += 1;
            let charged = SimDuration::from_ns(process.guest.charged_ns());
            let now = self.machine.now() + charged;
            process.time = now;
            self.machine.post_interrupts(self.interrupter);
            let answer = self.answer(process, now, request);
            if let Some(served) = self.act(process, answer) {
                return served;
            }
        }
    }

    /// How long the thread may compute without a call; for ever if nothing waits for it, because then
    /// nobody is helped and the run stays reproducible.
    fn patience(&self) -> Option<Duration> {
        let watchdog = self.machine.config.watchdog?;
        (self.has_others || self.machine.run_until() < SimTime::MAX).then_some(watchdog.wall)
    }

    fn answer(&mut self, process: &mut Process, now: SimTime, request: Request) -> Answer {
        let tid = process.tid;
        match request {
            Request::Start => {
                if process.has_started {
                    self.machine.kernel(|kernel| kernel.exec_started(tid));
                }
                process.begin_image(self.lacks);
                process.call = None;
                Answer::Reply(Reply::Started)
            }
            Request::Syscall { number, args, .. } => {
                process.call = Some((number, args));
                let outcome = self.machine.kernel(|kernel| {
                    kernel.call(now, tid, number, args, &mut View(&mut process.guest))
                });
                if let Outcome::Exit { .. } = outcome {
                    self.note_exit(process, now, number, args);
                }
                self.conclude(process, outcome, false)
            }
            Request::Limit => {
                self.machine.kernel(|kernel| kernel.limit(now, tid));
                Answer::Park
            }
            Request::Preempted => {
                self.note_preemption(process, now);
                self.machine.kernel(|kernel| kernel.limit(now, tid));
                Answer::Park
            }
            Request::Drain => Answer::Reply(complete(0, false)),
            Request::Signals => self.conclude(process, Outcome::Done(0), false),
            Request::SyscallComplete { .. } | Request::AddThreadRes { .. } => {
                Answer::Misbehaved("its shim answered what nobody asked")
            }
        }
    }

    /// Turn what the kernel said into what to do.
    fn conclude(
        &mut self,
        process: &mut Process,
        outcome: Outcome,
        is_clock_advanced: bool,
    ) -> Answer {
        let result = match outcome {
            Outcome::Done(result) => result,
            Outcome::Park => return Answer::Park,
            Outcome::Native { number, args } => {
                self.machine.publish_clock();
                match process.guest.native_call(number, args) {
                    Ok(result) => result,
                    Err(_) => return Answer::End,
                }
            }
            Outcome::Exit { status } => {
                process.call = None;
                let args = [status as u64, 0, 0, 0, 0, 0];
                self.machine.publish_clock();
                return match process.guest.native_call(nr::exit_group, args) {
                    Ok(_) => Answer::Misbehaved("its shim did not exit when it was told to"),
                    Err(_) => Answer::End,
                };
            }
        };
        let (now, tid) = (process.time, process.tid);
        let taken = self
            .machine
            .kernel(|kernel| kernel.take_signal(now, tid, &mut View(&mut process.guest)));
        match taken {
            SignalOutcome::None => Answer::Reply(complete(result, is_clock_advanced)),
            SignalOutcome::Deliver(info) => {
                let host = &self.machine.config.hostname;
                process.tell(host, now, Observation::Signal(info), self.observer);
                Answer::Reply(Reply::Complete {
                    result,
                    copies_bytes: 0,
                    is_clock_advanced,
                    signal: Some(info),
                })
            }
            SignalOutcome::Die { signal } => Answer::Reply(Reply::Die { signal }),
        }
    }

    /// Do it. `None`: the thread has control again.
    fn act(&mut self, process: &mut Process, answer: Answer) -> Option<Served> {
        match answer {
            Answer::Park => {
                process.state = State::Parked;
                return Some(Served::Parked);
            }
            Answer::Reply(reply) => {
                if !matches!(reply, Reply::Die { .. }) {
                    process.call = None;
                }
                process.publish(self.machine, self.interrupter);
                self.machine.publish_clock();
                process.guest.reply(&reply);
            }
            Answer::End => {}
            Answer::Misbehaved(reason) => {
                self.complain(process, reason);
                return Some(Served::Misbehaved);
            }
        }
        None
    }

    /// A call that does not return is traced here, because its guest cannot.
    fn note_exit(&mut self, process: &mut Process, now: SimTime, number: u32, args: [u64; 6]) {
        if self.machine.config.is_tracing {
            let record = CallRecord { number, args, result: 0 };
            let host = &self.machine.config.hostname;
            process.tell(host, now, Observation::Call { record, texts: &[] }, self.observer);
        }
    }

    fn note_preemption(&mut self, process: &mut Process, now: SimTime) {
        self.preemptions.add(&process.program);
        let wall = self.machine.config.watchdog.map_or(Duration::ZERO, |watchdog| watchdog.wall);
        let host = &self.machine.config.hostname;
        process.tell(host, now, Observation::Preempted { wall }, self.observer);
    }

    fn complain(&mut self, process: &mut Process, reason: &str) {
        process.log_error(&self.machine.config, &format!("killed: {reason}"), self.observer);
    }
}

fn complete(result: i64, is_clock_advanced: bool) -> Reply {
    Reply::Complete { result, copies_bytes: 0, is_clock_advanced, signal: None }
}
