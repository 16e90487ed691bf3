//! Waiting for signals: `pause`, `rt_sigsuspend`, `rt_sigtimedwait`.
//!
//! Masks and sets in, parked calls out. Always true: these calls end with EINTR for a signal that has
//! an effect, and go on waiting for one that has none. `rt_sigsuspend` does not change the guest's
//! mask word: the mask that it names holds for the choice of the signal, and the guest keeps it up
//! while the handler runs.

use shim_abi::event::SignalInfo;
use shim_abi::{Errno, SimTime};

use super::number::{SIGALRM, UNBLOCKABLE};
use crate::context::{Answer, Context, done};
use crate::guest::GuestAddr;
use crate::memory::{Layout, read_words};
use crate::task::{Parked, Wait, Wake};

/// Bytes of a signal set.
const SET_BYTES: u64 = 8;

pub(crate) fn pause(context: &mut Context<'_>) -> Answer {
    context.park(Wait::Pause, SimTime::MAX)
}

pub(crate) fn rt_sigsuspend(context: &mut Context<'_>, mask: GuestAddr, bytes: u64) -> Answer {
    if bytes != SET_BYTES {
        return Err(Errno::EINVAL);
    }
    let [mask] = read_words(context.guest, mask)?;
    context.park(Wait::Suspend { mask: mask & !UNBLOCKABLE }, SimTime::MAX)
}

pub(crate) fn rt_sigtimedwait(
    context: &mut Context<'_>,
    set: GuestAddr,
    info: GuestAddr,
    timeout: GuestAddr,
    bytes: u64,
) -> Answer {
    if bytes != SET_BYTES {
        return Err(Errno::EINVAL);
    }
    let [set] = read_words(context.guest, set)?;
    let set = set & !UNBLOCKABLE;
    let mut deadline = SimTime::MAX;
    if !timeout.is_null() {
        deadline = context.now + context.read_timespec(timeout)?;
    }
    if deadline == context.now {
        // Not a wait: take what there is.
        context.drop_ignored(context.guest.signal_mask());
        return context.take_of(set, info)?.map_or(Err(Errno::EAGAIN), done);
    }
    context.park(Wait::TimedWait { set, info }, deadline)
}

impl Context<'_> {
    pub(crate) fn finish_pause(&mut self, parked: Parked) -> Answer {
        if self.has_signal(self.guest.signal_mask()) {
            return Err(Errno::EINTR);
        }
        self.park_again(parked)
    }

    pub(crate) fn finish_suspend(&mut self, parked: Parked, mask: u64) -> Answer {
        if self.has_signal(mask) {
            self.thread_mut().suspended_mask = Some(mask);
            return Err(Errno::EINTR);
        }
        self.park_again(parked)
    }

    pub(crate) fn finish_timed_wait(
        &mut self,
        parked: Parked,
        wake: Wake,
        set: u64,
        info: GuestAddr,
    ) -> Answer {
        let mask = self.guest.signal_mask();
        self.drop_ignored(mask);
        if let Some(signal) = self.take_of(set, info)? {
            return done(signal);
        }
        if wake == Wake::Timeout {
            return Err(Errno::EAGAIN);
        }
        if self.has_signal(mask) { Err(Errno::EINTR) } else { self.park_again(parked) }
    }

    /// Take a signal of a set and describe it at `to`, unless that is null.
    fn take_of(&mut self, set: u64, to: GuestAddr) -> Result<Option<i64>, Errno> {
        let Some(info) = self.dequeue(set) else { return Ok(None) };
        if !to.is_null() {
            self.guest.write(to, siginfo_of(&info).bytes())?;
        }
        Ok(Some(i64::from(info.signal)))
    }

    /// Take the next signal of a set: the thread's own first, then the process's.
    pub(crate) fn dequeue(&mut self, set: u64) -> Option<SignalInfo> {
        let (signal, is_own) = self.first_of(set)?;
        let info = match is_own {
            true => self.thread_mut().pending.take(signal),
            false => self.process_mut().pending.take(signal),
        };
        if signal == SIGALRM {
            self.renew_interval();
        }
        Some(info)
    }
}

/// A `siginfo_t`.
fn siginfo_of(info: &SignalInfo) -> Layout<128> {
    let mut layout = Layout::new();
    layout.u32(0, info.signal);
    layout.u32(8, info.code as u32);
    layout.u32(16, info.pid);
    layout.u32(20, info.uid);
    layout.u64(24, info.value);
    layout
}
