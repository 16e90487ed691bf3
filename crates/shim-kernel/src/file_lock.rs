//! Waiting for advisory locks, which the real kernel keeps: the shim's own calls for flock(2) and fcntl(2).
//!
//! A time in, the word to try again out. Always true: whoever waits looks again when a guest gives a lock up, loses
//! one with a descriptor or ends, in the order in which they came, and else after the time that its shim has named:
//! a holder outside the simulation tells nobody. What is locked, and by whom, is not known here.

use shim_abi::{Errno, SimDuration};

use crate::context::{Answer, Context, done};
use crate::task::{Parked, Wait, Wake};
use crate::waiters::Source;

/// The shim's own call: wait for a change, at most so long.
pub(crate) fn wait(context: &mut Context<'_>, timeout_ns: u64) -> Answer {
    if context.has_signal(context.guest.signal_mask()) {
        return Err(Errno::ERESTARTSYS);
    }
    let timeout = SimDuration::from_ns(timeout_ns);
    let deadline = context.kernel.time_after(context.now, timeout);
    context.park_on(&[Source::FileLocks], Wait::FileLock, deadline)
}

/// The shim's own call: the caller has given a lock up, or may have.
pub(crate) fn released(context: &mut Context<'_>) -> Answer {
    context.kernel.notify(context.now, Source::FileLocks);
    done(0)
}

impl Context<'_> {
    pub(crate) fn finish_file_lock(&mut self, parked: Parked, wake: Wake) -> Answer {
        if self.has_signal(self.guest.signal_mask()) {
            return Err(Errno::ERESTARTSYS);
        }
        // A signal without effect wakes, too; to try once more costs nothing.
        debug_assert!(wake == Wake::Look || parked.deadline <= self.now, "it is early");
        done(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{TestGuest, machine, signal};
    use crate::{Kernel, Outcome, VirtualPid, VirtualTid};
    use shim_abi::SimTime;
    use shim_abi::calls::{PSEUDO_LOCK_RELEASED, PSEUDO_LOCK_WAIT};

    const NOW: SimTime = SimTime::ZERO;

    /// Two processes, the first of which waits.
    fn bench() -> (Kernel, TestGuest, [VirtualTid; 2]) {
        let (mut kernel, mut guest, first) = machine();
        let (_, second) = kernel.spawn(NOW, "program");
        let args = [50, 0, 0, 0, 0, 0];
        let outcome = kernel.call(NOW, first, PSEUDO_LOCK_WAIT, args, &mut guest);
        assert_eq!(outcome, Outcome::Park);
        (kernel, guest, [first, second])
    }

    fn resumed(kernel: &mut Kernel, guest: &mut TestGuest, now: SimTime) -> Option<Outcome> {
        let tid = kernel.next_runnable()?;
        Some(kernel.resume(now, tid, guest))
    }

    #[test]
    fn whoever_waits_tries_again_when_a_lock_is_given_up_or_its_holder_ends() {
        let (mut kernel, mut guest, [_, other]) = bench();
        assert_eq!(kernel.do_call(other, PSEUDO_LOCK_RELEASED, [0; 6], &mut guest), 0);
        assert_eq!(resumed(&mut kernel, &mut guest, NOW), Some(Outcome::Done(0)));
        assert_eq!(kernel.next_event(), None);
        let (mut kernel, mut guest, [_, other]) = bench();
        kernel.end(VirtualPid(other.0), 0, &mut guest);
        assert_eq!(resumed(&mut kernel, &mut guest, NOW), Some(Outcome::Done(0)));
        let (mut kernel, mut guest, [_, other]) = bench();
        kernel.exec_started(NOW, other, &mut guest);
        assert_eq!(resumed(&mut kernel, &mut guest, NOW), Some(Outcome::Done(0)));
    }

    #[test]
    fn or_after_a_time_or_a_signal() {
        let (mut kernel, mut guest, _) = bench();
        let end = SimTime::from_ns(50);
        assert_eq!(kernel.next_event(), Some(end));
        kernel.advance(end);
        assert_eq!(resumed(&mut kernel, &mut guest, end), Some(Outcome::Done(0)));
        let (mut kernel, mut guest, [tid, _]) = bench();
        guest.actions.insert(15, 0x1234);
        kernel.post_signal(NOW, VirtualPid(tid.0), signal(15));
        let interrupted = Outcome::Done(Errno::ERESTARTSYS.as_return());
        assert_eq!(resumed(&mut kernel, &mut guest, NOW), Some(interrupted));
        let args = [50, 0, 0, 0, 0, 0];
        let at_once = kernel.call(NOW, tid, PSEUDO_LOCK_WAIT, args, &mut guest);
        assert_eq!(at_once, interrupted);
    }
}
