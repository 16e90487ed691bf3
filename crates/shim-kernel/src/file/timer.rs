//! Timers behind descriptors: `timerfd_create`, `timerfd_settime`, `timerfd_gettime`.
//!
//! Times in, counts of expiries out. Always true: a timer that has expired is planned again when its count is taken,
//! not before, so a short period costs nothing while nobody reads; a time that was named absolutely follows the
//! calendar, its jumps included, any other the machine's own clock. What an expired timer shows does not depend on
//! whether the host has come to that instant: the reader's own clock may be ahead.

#[cfg(test)]
mod tests;

use alloc::collections::BTreeSet;

use shim_abi::{Errno, SimDuration, SimTime};

use super::readiness::poll;
use super::table::{FileId, Object};
use super::transfer::{Progress, Transfer};
use crate::agenda::Entry;
use crate::clock::{duration_of, timespec_of};
use crate::context::{Answer, Context, done};
use crate::guest::GuestAddr;
use crate::kernel::Kernel;
use crate::memory::{read_words, write_words};

/// A timer.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Timer {
    /// Whether it is of CLOCK_REALTIME.
    is_realtime: bool,
    /// Whether `deadline` is a time of the calendar, or else a time since boot.
    follows_calendar: bool,
    /// When it expires next, or has expired; none: it does not run.
    deadline: Option<SimDuration>,
    /// From one expiry to the next; zero for a single one.
    period: SimDuration,
    /// Expiries that nobody has read.
    ticks: u64,
    /// Whether it has expired and is not planned.
    has_expired: bool,
    /// Whether a jump of the calendar ends it.
    is_cancelable: bool,
    /// Whether one has.
    is_canceled: bool,
    /// Where it stands in the agenda.
    planned: Option<SimTime>,
}

/// The timers that a jump of the calendar ends.
pub(super) type Cancelables = BTreeSet<FileId>;

impl Timer {
    pub(super) fn readiness(&self) -> u32 {
        if self.ticks > 0 { poll::IN } else { 0 }
    }

    /// Whether it was ended by a jump; that is told once.
    fn take_cancellation(&mut self) -> bool {
        self.is_cancelable && core::mem::take(&mut self.is_canceled)
    }

    /// Move the deadline of an expired periodic timer behind `clock`; how many periods that is.
    fn forward(&mut self, clock: SimDuration) -> u64 {
        let (Some(deadline), period) = (self.deadline, self.period.as_ns()) else { return 0 };
        if clock < deadline || period == 0 {
            return 0;
        }
        let periods = (clock.as_ns() - deadline.as_ns()) / period + 1;
        let passed = SimDuration::from_ns(period.saturating_mul(periods));
        self.deadline = Some(deadline + passed);
        periods
    }
}

pub(crate) fn timerfd_create(context: &mut Context<'_>, clock: i32, flags: u32, fd: u32) -> Answer {
    let [cloexec, nonblock] = [libc::TFD_CLOEXEC, libc::TFD_NONBLOCK].map(|flag| flag as u32);
    if flags & !(cloexec | nonblock) != 0 {
        return Err(Errno::EINVAL);
    }
    let is_realtime = match clock {
        libc::CLOCK_REALTIME => true,
        libc::CLOCK_MONOTONIC | libc::CLOCK_BOOTTIME => false,
        // Guests may not wake a machine.
        libc::CLOCK_REALTIME_ALARM | libc::CLOCK_BOOTTIME_ALARM => return Err(Errno::EPERM),
        _ => return Err(Errno::EINVAL),
    };
    let timer = Timer { is_realtime, ..Timer::default() };
    let status = libc::O_RDWR as u32 | flags & nonblock;
    context.create(fd, Object::Timer(timer), status, flags)?;
    done(fd.into())
}

pub(crate) fn timerfd_settime(
    context: &mut Context<'_>,
    fd: u32,
    flags: u32,
    from: GuestAddr,
    to: GuestAddr,
) -> Answer {
    let [absolute, cancel] =
        [libc::TFD_TIMER_ABSTIME, libc::TFD_TIMER_CANCEL_ON_SET].map(|flag| flag as u32);
    let [period_secs, period_nanos, secs, nanos] = read_words(context.guest, from)?;
    let time = duration_of(secs as i64, nanos).ok_or(Errno::EINVAL)?;
    let period = duration_of(period_secs as i64, period_nanos).ok_or(Errno::EINVAL)?;
    if flags & !(absolute | cancel) != 0 {
        return Err(Errno::EINVAL);
    }
    let id = context.file(fd)?;
    let mut timer = context.kernel.timer_at(context.now, id)?;
    let is_absolute = flags & absolute != 0;
    timer.is_cancelable = timer.is_realtime && is_absolute && flags & cancel != 0;
    let old = context.left_of(&mut timer);
    timer.follows_calendar = timer.is_realtime && is_absolute;
    (timer.period, timer.ticks, timer.has_expired) = (period, 0, false);
    let deadline = match is_absolute {
        true => time,
        false => context.kernel.timer_clock(context.now, &timer) + time,
    };
    timer.deadline = (time != SimDuration::ZERO).then_some(deadline);
    let is_canceled = timer.deadline.is_some() && timer.take_cancellation();
    context.kernel.replace_timer(context.now, id, timer);
    if is_canceled {
        return Err(Errno::ECANCELED);
    }
    if !to.is_null() {
        write_words(context.guest, to, old)?;
    }
    done(0)
}

pub(crate) fn timerfd_gettime(context: &mut Context<'_>, fd: u32, to: GuestAddr) -> Answer {
    let id = context.file(fd)?;
    let mut timer = context.kernel.timer_at(context.now, id)?;
    let has_expired = core::mem::take(&mut timer.has_expired);
    if has_expired && timer.period != SimDuration::ZERO {
        let clock = context.kernel.timer_clock(context.now, &timer);
        timer.ticks = timer.ticks.saturating_add(timer.forward(clock).saturating_sub(1));
    } else {
        timer.has_expired = has_expired;
    }
    let left = context.left_of(&mut timer);
    context.kernel.replace_timer(context.now, id, timer);
    write_words(context.guest, to, left)?;
    done(0)
}

impl Context<'_> {
    /// A `struct itimerspec` of what is left of a timer, and its period. An expired one is moved on for that.
    fn left_of(&self, timer: &mut Timer) -> [u64; 4] {
        let clock = self.kernel.timer_clock(self.now, timer);
        if timer.has_expired {
            timer.forward(clock);
        }
        let deadline = timer.deadline.map_or(0, SimDuration::as_ns);
        let [period_secs, period_nanos] = timespec_of(timer.period.as_ns());
        let [secs, nanos] = timespec_of(deadline.saturating_sub(clock.as_ns()));
        [period_secs, period_nanos, secs, nanos]
    }

    pub(super) fn read_timer(&mut self, id: FileId, transfer: &mut Transfer) -> Progress {
        if transfer.left() < 8 {
            return Err(Errno::EINVAL);
        }
        let mut timer = self.kernel.timer_at(self.now, id)?;
        if timer.take_cancellation() {
            // As on Linux, one that had expired does not run on.
            timer.deadline = timer.deadline.filter(|_| !timer.has_expired);
            (timer.ticks, timer.has_expired) = (0, false);
            self.kernel.store_timer(id, timer);
            return Err(Errno::ECANCELED);
        }
        if timer.ticks == 0 {
            return Ok(None);
        }
        let mut ticks = timer.ticks;
        let clock = self.kernel.timer_clock(self.now, &timer);
        if timer.has_expired && timer.period != SimDuration::ZERO {
            ticks = ticks.saturating_add(timer.forward(clock).saturating_sub(1));
        } else if timer.has_expired {
            timer.deadline = None;
        }
        (timer.ticks, timer.has_expired) = (0, false);
        self.kernel.replace_timer(self.now, id, timer);
        transfer.store(self.guest, &ticks.to_le_bytes())?;
        Ok(Some(8))
    }

    /// TFD_IOC_SET_TICKS: pretend that it has expired so many times.
    pub(super) fn set_ticks(&mut self, id: FileId, from: GuestAddr) -> Answer {
        let [ticks] = read_words(self.guest, from)?;
        if ticks == 0 {
            return Err(Errno::EINVAL);
        }
        let mut timer = self.kernel.timer_at(self.now, id)?;
        if timer.take_cancellation() {
            self.kernel.store_timer(id, timer);
            return Err(Errno::ECANCELED);
        }
        timer.ticks = ticks;
        self.kernel.store_timer(id, timer);
        self.kernel.notify_file(self.now, id, poll::IN);
        done(0)
    }
}

impl Kernel {
    fn timer(&self, id: FileId) -> Result<Timer, Errno> {
        match self.files.get(id)?.object {
            Object::Timer(timer) => Ok(timer),
            _ => Err(Errno::EINVAL),
        }
    }

    /// The timer, expired if it is time.
    fn timer_at(&mut self, now: SimTime, id: FileId) -> Result<Timer, Errno> {
        self.expire_timer_file(now, id);
        self.timer(id)
    }

    fn store_timer(&mut self, id: FileId, timer: Timer) {
        if let Ok(file) = self.files.get_mut(id) {
            file.object = Object::Timer(timer);
        }
    }

    /// What a timer's clock shows.
    fn timer_clock(&self, now: SimTime, timer: &Timer) -> SimDuration {
        SimDuration::from_ns(match timer.follows_calendar {
            true => u64::try_from(self.realtime_ns(now)).unwrap_or(u64::MAX),
            false => self.uptime_ns(now),
        })
    }

    /// Replace a timer that may have been set, in its record and in the agenda. One whose time has come expires.
    fn replace_timer(&mut self, now: SimTime, id: FileId, mut timer: Timer) {
        if let Some(planned) = timer.planned.take() {
            self.agenda.remove(planned, Entry::File(id));
        }
        if let (Some(deadline), false) = (timer.deadline, timer.has_expired) {
            let at = match timer.follows_calendar {
                true => self.time_of_realtime(now, deadline),
                false => self.time_of_uptime(deadline).max(now),
            };
            self.agenda.add(at, Entry::File(id));
            timer.planned = Some(at);
        }
        match timer.is_cancelable {
            true => self.files.cancelables.insert(id),
            false => self.files.cancelables.remove(&id),
        };
        self.store_timer(id, timer);
        self.expire_timer_file(now, id);
    }

    /// A timer expires if its time has come.
    pub(crate) fn expire_timer_file(&mut self, now: SimTime, id: FileId) {
        let Ok(mut timer) = self.timer(id) else { return };
        let Some(planned) = timer.planned.filter(|&planned| planned <= now) else { return };
        self.agenda.remove(planned, Entry::File(id));
        timer.planned = None;
        timer.has_expired = true;
        timer.ticks = timer.ticks.saturating_add(1);
        self.store_timer(id, timer);
        self.notify_file(now, id, poll::IN);
    }

    /// Nobody refers to a timer any more.
    pub(super) fn close_timer(&mut self, id: FileId, timer: Timer) {
        self.files.cancelables.remove(&id);
        if let Some(planned) = timer.planned {
            self.agenda.remove(planned, Entry::File(id));
        }
    }

    /// The calendar jumps at `now`: timers that follow it and asked for that are over.
    pub(crate) fn cancel_timers(&mut self, now: SimTime) {
        for id in self.files.cancelables.clone() {
            let Ok(mut timer) = self.timer(id) else { continue };
            if !timer.is_canceled {
                timer.is_canceled = true;
                timer.ticks = timer.ticks.saturating_add(1);
                self.store_timer(id, timer);
                self.notify_file(now, id, poll::IN);
            }
        }
    }
}
