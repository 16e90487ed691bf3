//! The host's kernel, called by the guest itself.
//!
//! A call that would be forwarded in; its result out, or word that it must be forwarded after all. Always true: the
//! kernel's code is linked into this library, its state lies in the host's arena, at the address that it has in the
//! simulator, too; only the thread that has control is in it, and what it leaves behind is what the simulator would
//! have left. Which calls these are, and when the simulator must be told, is the kernel's to say
//! (`shim_kernel::Visit`). Rooms: [`arena`], where the kernel lives and what it allocates from; [`caller`], what it
//! asks about the thread that calls.
//!
//! # Safety
//!
//! Makes the reference to the kernel from the address in the arena.
#![allow(unsafe_code)]

pub mod arena;
mod caller;

use core::cell::Cell;
use core::sync::atomic::{Ordering::Relaxed, Ordering::SeqCst, compiler_fence};

use shim_abi::SimTime;
use shim_abi::event::Request;
use shim_abi::thread::kernel_place;
use shim_kernel::{Kernel, Passed, SLICE, VirtualTid, Visit, is_for_visitors};

use crate::forward::{self, Answer, OwnMemory};
use crate::local::clock;
use crate::thread::Slot;
use crate::trace;
use caller::Caller;

/// Whether this call need not be forwarded.
pub fn answers(number: u32, args: [u64; 6]) -> bool {
    arena::is_mapped() && is_for_visitors(number, args)
}

/// Answer a call of which [`answers`] is true: its result. `read` and `own` are memory of the shim's that the call may
/// read, and read and write. Whoever must wait hands control to the thread that goes on, if that is a guest's.
pub fn call(
    slot: &Slot,
    number: u32,
    args: [u64; 6],
    read: &OwnMemory<'_>,
    own: &[Cell<u64>],
) -> i64 {
    let tid = VirtualTid(slot.thread.tid.load(Relaxed));
    let block = slot.handoff.get().thread_index;
    let mut caller = Caller::new(slot, read, own);
    let mut entered = Entered::new(slot);
    let visit = entered.kernel.visit(entered.now, (tid, block), number, args, &mut caller);
    let mut left = match visit {
        Visit::Answered { result, has_woken } => {
            Left::Asks(Request::Answered { number, args, result, has_woken })
        }
        // Whoever has had the processor for long lets others go first: the simulator sees to that.
        Visit::Done { result, has_woken: true } if slot.thread.is_restless() => {
            Left::Asks(Request::Answered { number, args, result, has_woken: true })
        }
        Visit::Done { result, .. } => entered.returns(result),
        // The simulator reaches all memory of this process, the shim's, too.
        Visit::Elsewhere => Left::Asks(Request::Syscall { number, args, copies_bytes: 0 }),
        Visit::Parked => {
            entered.parks(block).unwrap_or(Left::Asks(Request::Parked { number, args }))
        }
    };
    loop {
        match left {
            Left::GoesOn => {}
            Left::Returns(result) => {
                entered.leave();
                return result;
            }
            Left::Asks(_) | Left::HandsOn(_) => match give_up_control(entered, left, own) {
                Answer::Result(result) => return result,
                Answer::GoOn => entered = Entered::new(slot),
            },
        }
        left = match entered.kernel.go_on(entered.now, tid, &mut caller) {
            Visit::Done { result, .. } => entered.returns(result),
            Visit::Answered { result, .. } => Left::Asks(Request::Resumed { number, args, result }),
            Visit::Parked => {
                entered.parks(block).unwrap_or(Left::Asks(Request::Parked { number, args }))
            }
            Visit::Elsewhere => trace::fail(b"the kernel let a thread go on that cannot"),
        };
    }
}

/// Ask the simulator, or hand control on, and wait for the answer.
fn give_up_control(entered: Entered<'_>, left: Left, own: &[Cell<u64>]) -> Answer {
    let slot = entered.slot;
    let request = match left {
        Left::HandsOn(block) => {
            // The reference ends here. Not the mark: until somebody has control nobody may die unnoticed.
            let Entered { slot, .. } = entered;
            forward::hand_on(slot, block);
            None
        }
        Left::Asks(request) => {
            entered.leave();
            Some(request)
        }
        Left::Returns(_) | Left::GoesOn => trace::fail(b"a thread that goes on gives up control"),
    };
    forward::wait_for_answer(slot, request, own)
}

/// What a thread does that is done with the kernel for the moment.
enum Left {
    /// Its call returns this.
    Returns(i64),
    /// It says this to the simulator, and waits.
    Asks(Request),
    /// It hands control to the thread with this block, and waits.
    HandsOn(u32),
    /// It goes on itself.
    GoesOn,
}

/// A thread that has entered the kernel, at its own time.
struct Entered<'a> {
    slot: &'a Slot,
    kernel: &'a mut Kernel,
    now: SimTime,
}

impl<'a> Entered<'a> {
    fn new(slot: &'a Slot) -> Entered<'a> {
        let now = SimTime::from_ns(clock::thread_time_ns(slot));
        slot.thread.is_in_kernel.store(kernel_place::INSIDE, Relaxed);
        compiler_fence(SeqCst);
        // SAFETY: the simulator built a kernel of this layout there, and keeps it as long as it has guests; whoever has
        // control is alone with it, and this thread has it until it hands it over.
        let kernel: &mut Kernel = unsafe { &mut *arena::root() };
        Entered { slot, kernel, now }
    }

    /// The kernel is whole again, and this thread does not use it any more.
    fn leave(self) {
        compiler_fence(SeqCst);
        self.slot.thread.is_in_kernel.store(kernel_place::OUTSIDE, Relaxed);
    }

    /// The thread's turn goes on; what happened may have brought its end nearer, or moved it away.
    fn returns(&self, result: i64) -> Left {
        self.slot.run_until(self.kernel.run_until(self.now).as_ns());
        Left::Returns(result)
    }

    /// The thread waits: who goes on; `None`: the simulator. Records that others write come after those that wait to be
    /// taken from this thread. The clock may move meanwhile; this thread's shows it, for whoever gets control from it.
    fn parks(&mut self, block: u32) -> Option<Left> {
        let thread = self.slot.thread.get();
        thread.rest(SLICE);
        if !thread.ring.is_empty() {
            return None;
        }
        if self.slot.baton.get().is_none_or(|baton| baton.is_wanted.load(Relaxed) != 0) {
            return None;
        }
        let Passed { now, to } = self.kernel.pass_on(self.now);
        self.now = now;
        let charged_ns = now.as_ns().saturating_sub(self.slot.host.now_ns.load(Relaxed));
        thread.charged_ns.store(charged_ns, Relaxed);
        to.map(|to| if to.block == block { Left::GoesOn } else { Left::HandsOn(to.block) })
    }
}
