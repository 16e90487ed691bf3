//! Sleeping: `nanosleep`, `clock_nanosleep`.
//!
//! A clock and a time in, a parked call out. Always true: a sleeper wakes at its deadline to the
//! nanosecond; a signal that has an effect ends it earlier with EINTR, and then the rest of a relative
//! sleep is stored. A sleep of no length waits too, so that others get their turn.
//!
//! A process that sleeps until its own CPU clock has advanced sleeps until a signal comes: as on
//! Linux, nobody uses that CPU time in between.

use shim_abi::{Errno, SimDuration, SimTime};

use crate::clock::{Clock, timespec_of};
use crate::context::{Answer, Context, done};
use crate::guest::GuestAddr;
use crate::memory::write_words;
use crate::task::{Parked, Wait, Wake};

const NULL: GuestAddr = GuestAddr(0);

pub(crate) fn nanosleep(
    context: &mut Context<'_>,
    request: GuestAddr,
    remainder: GuestAddr,
) -> Answer {
    let duration = context.read_timespec(request)?;
    context.sleep_until(context.now + duration, remainder)
}

pub(crate) fn clock_nanosleep(
    context: &mut Context<'_>,
    id: i32,
    flags: u32,
    request: GuestAddr,
    remainder: GuestAddr,
) -> Answer {
    let clock = Clock::of(id, context);
    match clock {
        Clock::None => return Err(Errno::EINVAL),
        Clock::ReadOnly | Clock::Device => return Err(Errno::EOPNOTSUPP),
        _ => {}
    }
    let time = context.read_timespec(request)?;
    // Linux looks at this one flag and at no other.
    let is_absolute = flags & libc::TIMER_ABSTIME as u32 != 0;
    let remainder = if is_absolute { NULL } else { remainder };
    let deadline = match clock {
        Clock::WakeAlarm => return Err(Errno::EOPNOTSUPP),
        Clock::ThreadCpu | Clock::NoTask => return Err(Errno::EINVAL),
        Clock::ProcessCpu { is_own, cpu_ns, .. } => {
            return context.sleep_cpu(is_own, cpu_ns, time, is_absolute, remainder);
        }
        _ if !is_absolute => context.now + time,
        Clock::Boot => context.kernel.time_of_uptime(time),
        _ => context.kernel.time_of_realtime(time),
    };
    context.sleep_until(deadline, remainder)
}

impl Context<'_> {
    fn sleep_until(&mut self, deadline: SimTime, remainder: GuestAddr) -> Answer {
        let deadline = deadline.max(self.now);
        self.park(Wait::Sleep { remainder, cpu_ns_left: None }, deadline)
    }

    /// Sleep until a process's CPU clock, which shows `cpu_ns`, has reached `time`. Of another process
    /// than the caller's: not offered, unless it already has.
    fn sleep_cpu(
        &mut self,
        is_own: bool,
        cpu_ns: u64,
        time: SimDuration,
        is_absolute: bool,
        remainder: GuestAddr,
    ) -> Answer {
        let elapsed = if is_absolute { cpu_ns } else { 0 };
        let left = time.as_ns().saturating_sub(elapsed);
        if left == 0 {
            return done(0);
        }
        if !is_own {
            return Err(Errno::EOPNOTSUPP);
        }
        self.park(Wait::Sleep { remainder, cpu_ns_left: Some(left) }, SimTime::MAX)
    }

    pub(crate) fn finish_sleep(
        &mut self,
        parked: Parked,
        wake: Wake,
        remainder: GuestAddr,
        cpu_ns_left: Option<u64>,
    ) -> Answer {
        if wake == Wake::Timeout {
            return done(0);
        }
        if !self.has_signal(self.guest.signal_mask()) {
            return self.park_again(parked);
        }
        if !remainder.is_null() {
            let left = cpu_ns_left.unwrap_or(parked.deadline.since(self.now).as_ns());
            write_words(self.guest, remainder, timespec_of(left))?;
        }
        Err(Errno::EINTR)
    }
}
