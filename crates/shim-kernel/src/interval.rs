//! The interval timer of a process: `alarm`, `setitimer`, `getitimer`.
//!
//! Times in, a SIGALRM when they are over. Always true: a periodic timer is set again when its signal
//! is taken, not when it expires (as Linux does it: an ignored SIGALRM ends the timer, a blocked one
//! holds it), so the agenda never fills up with expiries that nobody sees. The two timers that count
//! CPU time are never set: to set one is EINVAL, they read as zero.

use shim_abi::event::SignalInfo;
use shim_abi::time::NS_PER_SEC;
use shim_abi::{Errno, SimDuration, SimTime};

use crate::agenda::Entry;
use crate::clock::duration_of;
use crate::context::{Answer, Context, done};
use crate::guest::GuestAddr;
use crate::ids::VirtualPid;
use crate::kernel::Kernel;
use crate::memory::{read_words, write_words};
use crate::signal::Target;
use crate::task::Interval;

const NS_PER_USEC: u64 = 1_000;

/// What a timer shows: what is left, and its period.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Reading {
    left: SimDuration,
    period: SimDuration,
}

pub(crate) fn alarm(context: &mut Context<'_>, secs: u32) -> Answer {
    let old = context.read_interval();
    let left = SimDuration::from_secs(secs.into());
    context.set_interval(Reading { left, period: SimDuration::ZERO });
    // To the nearest second, but what runs is never zero.
    let (secs, nanos) = (old.left.as_ns() / NS_PER_SEC, old.left.as_ns() % NS_PER_SEC);
    let usecs = nanos / NS_PER_USEC;
    let is_rounded_up = (secs == 0 && usecs > 0) || usecs >= 500_000;
    done(secs as i64 + i64::from(is_rounded_up))
}

pub(crate) fn getitimer(context: &mut Context<'_>, which: i32, to: GuestAddr) -> Answer {
    let reading = match which {
        libc::ITIMER_REAL => context.read_interval(),
        libc::ITIMER_VIRTUAL | libc::ITIMER_PROF => Reading::default(),
        _ => return Err(Errno::EINVAL),
    };
    context.write_reading(to, reading)?;
    done(0)
}

pub(crate) fn setitimer(
    context: &mut Context<'_>,
    which: i32,
    from: GuestAddr,
    to: GuestAddr,
) -> Answer {
    // Without a new value the timer is stopped.
    let new = if from.is_null() { Reading::default() } else { context.read_reading(from)? };
    let old = match which {
        libc::ITIMER_REAL => context.read_interval(),
        libc::ITIMER_VIRTUAL | libc::ITIMER_PROF if new.left == SimDuration::ZERO => {
            Reading::default()
        }
        _ => return Err(Errno::EINVAL),
    };
    if which == libc::ITIMER_REAL {
        context.set_interval(new);
    }
    if !to.is_null() {
        context.write_reading(to, old)?;
    }
    done(0)
}

impl Context<'_> {
    fn read_reading(&mut self, from: GuestAddr) -> Result<Reading, Errno> {
        let [period_secs, period_usecs, secs, usecs] = read_words(self.guest, from)?;
        let duration = |secs: u64, usecs: u64| {
            duration_of(secs as i64, usecs.saturating_mul(NS_PER_USEC)).ok_or(Errno::EINVAL)
        };
        Ok(Reading { left: duration(secs, usecs)?, period: duration(period_secs, period_usecs)? })
    }

    fn write_reading(&mut self, to: GuestAddr, reading: Reading) -> Result<(), Errno> {
        let words = |duration: SimDuration| {
            let ns = duration.as_ns();
            [ns / NS_PER_SEC, ns % NS_PER_SEC / NS_PER_USEC]
        };
        let ([period_secs, period_usecs], [secs, usecs]) =
            (words(reading.period), words(reading.left));
        write_words(self.guest, to, [period_secs, period_usecs, secs, usecs])
    }

    fn read_interval(&self) -> Reading {
        let interval = self.process().interval;
        let left = |deadline: SimTime| deadline.since(self.now).max(SimDuration::from_ns(NS_PER_USEC));
        Reading { left: interval.deadline.map_or(SimDuration::ZERO, left), period: interval.period }
    }

    fn set_interval(&mut self, new: Reading) {
        let interval = match new.left {
            SimDuration::ZERO => Interval::default(),
            left => {
                Interval { deadline: Some(self.now + left), expired: None, period: new.period }
            }
        };
        self.kernel.plan_interval(self.pid, interval);
    }

    /// The caller's own clock may be ahead of the host's: let its timer expire first.
    pub(crate) fn expire_own_interval(&mut self) {
        if let Some(deadline) = self.process().interval.deadline
            && deadline <= self.now
        {
            self.kernel.expire_interval(deadline, self.pid);
        }
    }

    /// The signal of an expired timer has been taken: set a periodic one again.
    pub(crate) fn renew_interval(&mut self) {
        let interval = self.process().interval;
        let (Some(expired), None) = (interval.expired, interval.deadline) else { return };
        let period = interval.period.as_ns();
        let deadline = (period != 0).then(|| {
            let periods = self.now.since(expired).as_ns() / period + 1;
            expired + SimDuration::from_ns(period.saturating_mul(periods))
        });
        self.kernel.plan_interval(self.pid, Interval { deadline, expired: None, ..interval });
    }
}

impl Kernel {
    /// Replace a process's timer, in its record and in the agenda.
    pub(crate) fn plan_interval(&mut self, pid: VirtualPid, interval: Interval) {
        let Some(process) = self.processes.get_mut(&pid) else { return };
        if let Some(old) = process.interval.deadline {
            self.agenda.remove(old, Entry::Interval(pid));
        }
        if let Some(new) = interval.deadline {
            self.agenda.add(new, Entry::Interval(pid));
        }
        process.interval = interval;
    }

    /// The timer of a process, due at `at`, expires.
    pub(crate) fn expire_interval(&mut self, at: SimTime, pid: VirtualPid) {
        let Some(process) = self.processes.get(&pid) else { return };
        let interval = Interval { deadline: None, expired: Some(at), ..process.interval };
        self.plan_interval(pid, interval);
        let alarm = SignalInfo {
            signal: libc::SIGALRM as u32,
            code: libc::SI_KERNEL,
            ..SignalInfo::default()
        };
        // Ordinary signals always find room.
        let _ = self.queue_signal(at, Target::Process(pid), alarm);
    }
}
