//! A guest of a bare host: one thread of a real process, what it said last, and what may be answered.
//!
//! A [`shim_supervisor::Guest`] in; events as numbers and checked answers out. Always true: an answer is given only to a guest
//! that waits for one, and only for what it said, else it is -EBUSY or -ESRCH and nothing has happened; what concerns
//! the mechanism alone (records, patched images, maps) is answered here and never told; a guest is on the simulation's lookout
//! from its first moment to its end. The handle's address is its number there, so a handle never moves.
//!
//! The rooms: `launch` (how a guest comes and goes), `events` (waiting, and what was said), `answers`, `memory`, `signals`,
//! `told` (what can be read beside).

mod answers;
mod events;
mod launch;
mod memory;
mod signals;
mod told;

use std::collections::VecDeque;
use std::ffi::{CString, c_int, c_void};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicPtr, AtomicU32};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use shim_abi::Errno;
use shim_abi::calls::{PSEUDO_IMAGES, PSEUDO_MAPS, nr};
use shim_abi::event::{Reply, Request};
use shim_supervisor::{Ended, Event, Interrupter};

use crate::bare::Machine;
use crate::error::{Failure, Result};

/// An image is up and asks to begin: the first of its process, or one that execve(2) put in its place. Answer:
/// shimsup_guest_begin.
pub const SHIMSUP_EVENT_START: i32 = 1;
/// A system call that the guest cannot answer by itself: shimsup_guest_call_number and shimsup_guest_call_argument tell
/// which. Answer: shimsup_guest_complete and the like.
pub const SHIMSUP_EVENT_CALL: i32 = 2;
/// The guest's own clock has reached the instant of shimsup_host_set_run_until_ns. Move that instant before you answer: else the
/// guest says so again at once. Answer: shimsup_guest_complete with 0.
pub const SHIMSUP_EVENT_LIMIT: i32 = 3;
/// The guest was preempted by shimsup_guest_preempt, and its clock moved by a second. Answer: shimsup_guest_complete with 0.
pub const SHIMSUP_EVENT_PREEMPTED: i32 = 4;
/// A signal is pending that the guest does not block: which one? Answer: shimsup_guest_complete_with_signal with 0,
/// shimsup_guest_die, or, if there is none, shimsup_guest_complete with 0.
pub const SHIMSUP_EVENT_SIGNALS: i32 = 5;
/// The thread has ended, and its process goes on. There is no answer; free the guest.
pub const SHIMSUP_EVENT_THREAD_ENDED: i32 = 6;
/// The guest broke the protocol, and is being killed. There is no answer; its end follows.
pub const SHIMSUP_EVENT_MALFORMED: i32 = 7;
/// The guest's process is dead: shimsup_guest_end tells how. There is no answer; free the guest.
pub const SHIMSUP_EVENT_ENDED: i32 = 8;

/// A thread of a real process. Opaque.
pub struct Guest {
    inner: Mutex<Inner>,
    pub(crate) machine: Arc<Machine>,
    interrupter: Interrupter,
    pid: u32,
    /// How many images the process has had, as its threads share it.
    image: Arc<AtomicU32>,
    data: AtomicPtr<c_void>,
}

struct Inner {
    /// `None`: it was given back.
    guest: Option<shim_supervisor::Guest>,
    said: Said,
    tid: u32,
    /// It belongs to this image of its process.
    image: u32,
    records: VecDeque<Record>,
    /// What was handed out by pointer.
    text: CString,
}

/// A record that nobody has taken.
struct Record {
    level: u32,
    time_ns: u64,
    text: String,
}

/// Most records that are kept for somebody who does not take them; then the oldest are gone.
const MAX_RECORDS: usize = 4096;

/// What the guest said last, and whether it waits for an answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Said {
    /// It has control, or is being started.
    Nothing,
    /// It was made by another guest, and waits for its first turn.
    Born,
    Start,
    Call {
        number: u32,
        args: [u64; 6],
    },
    Limit,
    Preempted,
    Signals,
    ThreadEnded,
    Malformed,
    Ended,
}

impl Said {
    fn event(self) -> c_int {
        match self {
            Said::Nothing | Said::Born => 0,
            Said::Start => SHIMSUP_EVENT_START,
            Said::Call { .. } => SHIMSUP_EVENT_CALL,
            Said::Limit => SHIMSUP_EVENT_LIMIT,
            Said::Preempted => SHIMSUP_EVENT_PREEMPTED,
            Said::Signals => SHIMSUP_EVENT_SIGNALS,
            Said::ThreadEnded => SHIMSUP_EVENT_THREAD_ENDED,
            Said::Malformed => SHIMSUP_EVENT_MALFORMED,
            Said::Ended => SHIMSUP_EVENT_ENDED,
        }
    }

    fn is_end(self) -> bool {
        matches!(self, Said::ThreadEnded | Said::Ended)
    }

    /// Why the guest cannot be answered.
    fn no_answer(self) -> Failure {
        let (errno, text) = match self {
            Said::Nothing => (libc::EBUSY, "the guest runs: wait for its next event first"),
            Said::Born | Said::Start => (libc::EINVAL, "the guest waits for shimsup_guest_begin"),
            Said::ThreadEnded | Said::Ended => (libc::ESRCH, "the guest has ended: free it"),
            Said::Malformed => (libc::ESRCH, "the guest is being killed: wait for its end"),
            _ => (libc::EINVAL, "the guest waits for shimsup_guest_complete"),
        };
        Failure::new(errno, text)
    }
}

/// The guest ended in the middle of something.
fn ended(_: Ended) -> Failure {
    Failure::new(libc::ESRCH, "the guest has ended meanwhile: wait for its end")
}

fn complete(result: i64, is_clock_advanced: bool) -> Reply {
    Reply::Complete { result, copies_bytes: 0, is_clock_advanced, signal: None }
}

impl Guest {
    /// A handle, on the lookout.
    fn new(
        machine: Arc<Machine>,
        guest: shim_supervisor::Guest,
        (pid, tid): (u32, u32),
        image: Arc<AtomicU32>,
        said: Said,
    ) -> Box<Guest> {
        let interrupter = guest.interrupter();
        let inner = Inner {
            guest: Some(guest),
            said,
            tid,
            image: image.load(Relaxed),
            records: VecDeque::new(),
            text: CString::default(),
        };
        let data = AtomicPtr::default();
        let made = Guest { inner: Mutex::new(inner), machine, interrupter, pid, image, data };
        let made = Box::new(made);
        if let Some(guest) = &made.lock().guest {
            made.machine.lookout.add(made.number(), guest, said == Said::Nothing);
        }
        made
    }

    /// Its number on the lookout.
    fn number(&self) -> u64 {
        (&raw const *self).expose_provenance() as u64
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Another image took the place of all threads of its process but one, which is not this.
    fn is_replaced(&self, inner: &Inner) -> bool {
        inner.image != self.image.load(Relaxed)
    }

    /// The guest as it waits for an answer to a call or the like; `said` is what is put up with.
    fn waiting<'a>(
        &self,
        inner: &'a mut Inner,
        is_right: impl Fn(Said) -> bool,
    ) -> Result<&'a mut shim_supervisor::Guest> {
        if self.is_replaced(inner) {
            return Err(Said::ThreadEnded.no_answer());
        }
        if !is_right(inner.said) {
            return Err(inner.said.no_answer());
        }
        inner.guest.as_mut().ok_or_else(|| Said::Ended.no_answer())
    }

    /// Answer it, and give it control.
    fn reply(
        &self,
        inner: &mut Inner,
        is_right: impl Fn(Said) -> bool,
        reply: &Reply,
    ) -> Result<()> {
        self.waiting(inner, is_right)?;
        self.machine.give_control(self.number())?;
        // Before it can say anything.
        self.machine.lookout.expect(self.number());
        inner.said = Said::Nothing;
        if let Some(guest) = &mut inner.guest {
            if *reply == Reply::Started {
                // What it was charged before is in the host's clock already. It waits, so nobody else writes this.
                guest.thread().charged_ns.store(0, Relaxed);
            }
            guest.reply(reply);
        }
        Ok(())
    }

    /// What came from the guest; 0: something that the caller need not know, and it goes on.
    fn hear(&self, inner: &mut Inner, event: Event) -> c_int {
        let lookout = &self.machine.lookout;
        inner.take_records();
        let Some(guest) = &mut inner.guest else { return 0 };
        let said = match event {
            Event::Request(Request::Start) => Said::Start,
            Event::Request(Request::Limit) => Said::Limit,
            Event::Request(Request::Preempted) => Said::Preempted,
            Event::Request(Request::Signals) => Said::Signals,
            Event::Request(Request::Drain) => return self.answer_quietly(guest, 0),
            Event::Request(Request::Syscall { number: PSEUDO_IMAGES, args, .. }) => {
                let count = guest.answer_images(args);
                return self.answer_quietly(guest, count);
            }
            Event::Request(Request::Syscall { number: PSEUDO_MAPS, args, .. }) => {
                let length = guest.answer_maps(args);
                return self.answer_quietly(guest, length);
            }
            Event::Request(Request::Syscall { number: nr::exit, .. }) if inner.tid != self.pid => {
                Said::ThreadEnded
            }
            Event::Request(Request::Syscall { number, args, .. }) => Said::Call { number, args },
            Event::Exited(_) => Said::Ended,
            Event::Malformed => Said::Malformed,
            // Only where guests have the kernel, or after a native call.
            Event::Passed(_) | Event::Disturbed | Event::Request(_) => {
                guest.kill();
                Said::Malformed
            }
        };
        let charged_ns = if said.is_end() { 0 } else { guest.charged_ns() };
        self.machine.take_control(self.number(), charged_ns);
        inner.said = if self.is_replaced(inner) { Said::ThreadEnded } else { said };
        match inner.said {
            Said::ThreadEnded | Said::Ended => lookout.remove(self.number()),
            _ => lookout.rest(self.number()),
        }
        if said == Said::Start {
            self.begin_image(inner);
        }
        inner.said.event()
    }

    fn answer_quietly(&self, guest: &mut shim_supervisor::Guest, result: i64) -> c_int {
        self.machine.lookout.expect(self.number());
        guest.reply(&complete(result, false));
        0
    }

    /// An image is up, in the place of another one perhaps, whose other threads are gone.
    fn begin_image(&self, inner: &mut Inner) {
        if let Some(guest) = &inner.guest {
            let images = guest.images();
            // The word is the guest's: what it alleges ends its own threads only.
            inner.image = images;
            self.image.store(images, Relaxed);
            inner.tid = self.pid;
            guest.thread().tid.store(self.pid, Relaxed);
        }
    }
}

impl Inner {
    fn take_records(&mut self) {
        let Inner { guest: Some(guest), records, .. } = self else { return };
        guest.drain(|header, payload| {
            let text = String::from_utf8_lossy(payload);
            let text =
                text.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c });
            let level = match header.kind {
                shim_abi::ring::RecordKind::Log => header.level.into(),
                // As a warning: something is missing.
                shim_abi::ring::RecordKind::Lack => 2,
                shim_abi::ring::RecordKind::Call => return,
            };
            if records.len() >= MAX_RECORDS {
                records.pop_front();
            }
            records.push_back(Record { level, time_ns: header.time_ns, text: text.collect() });
        });
    }
}

/// An error number of the guest's world.
fn errno(errno: Errno) -> c_int {
    i32::try_from(-errno.as_return()).unwrap_or(libc::EIO)
}
