//! `timer_create`, `timer_settime`, `timer_gettime`, `timer_getoverrun`, `timer_delete`.
//!
//! Numbers and times in, the same out. Always true: a process's timers are numbered from 0, and no number is used
//! again; setting or deleting a timer takes back its signal if nobody has taken it. When a timer expires is in
//! `expiry`.

use shim_abi::{Errno, SimDuration};

use super::{Base, Notice, Setting, State, Timer, TimerId};
use crate::clock::{Clock, duration_of, timespec_of};
use crate::context::{Answer, Context, done};
use crate::guest::GuestAddr;
use crate::ids::VirtualTid;
use crate::memory::{read_bytes, read_words, u32_at, u64_at, write_words};
use crate::signal;

/// Bytes of a `struct sigevent`.
const SIGEVENT_BYTES: usize = 64;

pub(crate) fn timer_create(
    context: &mut Context<'_>,
    clock: i32,
    event: GuestAddr,
    to: GuestAddr,
) -> Answer {
    let event: Option<[u8; SIGEVENT_BYTES]> = match event.is_null() {
        true => None,
        false => Some(read_bytes(context.guest, event)?),
    };
    let base = context.base_of(clock)?;
    if context.has_too_many_timers() {
        return Err(Errno::EAGAIN);
    }
    let timers = &mut context.process_mut().timers;
    let id = timers.next;
    timers.next = (id + 1) & i32::MAX as u32;
    let (notice, signal, value) = match event {
        None => (Notice::Process, libc::SIGALRM as u32, id.into()),
        Some(event) => context.notice_of(&event)?,
    };
    context.guest.write(to, &id.to_le_bytes())?;
    // No timer has a number that its maker has not got.
    context.guest.flush()?;
    let base = base?;
    let timer = Timer {
        base,
        notice,
        signal,
        value,
        setting: None,
        state: State::Idle,
        due: None,
        overrun: 0,
    };
    context.process_mut().timers.posix.insert(id, timer);
    done(0)
}

pub(crate) fn timer_settime(
    context: &mut Context<'_>,
    id: TimerId,
    flags: u32,
    from: GuestAddr,
    to: GuestAddr,
) -> Answer {
    if from.is_null() {
        return Err(Errno::EINVAL);
    }
    let [period_secs, period_nanos, secs, nanos] = read_words(context.guest, from)?;
    let duration = |secs: u64, nanos: u64| duration_of(secs as i64, nanos).ok_or(Errno::EINVAL);
    let period = duration(period_secs, period_nanos)?;
    let value = duration(secs, nanos)?;
    let timer = context.timer(id)?;
    let old = context.reading(&timer);
    context.kernel.stop_timer(context.pid, id);
    let setting = (value != SimDuration::ZERO).then(|| {
        let is_absolute = flags & libc::TIMER_ABSTIME as u32 != 0;
        let is_calendar = match timer.base {
            Base::Realtime => is_absolute,
            Base::Tai => true,
            _ => false,
        };
        let start =
            if is_absolute { SimDuration::ZERO } else { context.count(&timer, is_calendar) };
        Setting { expiry: start + value, period, is_calendar }
    });
    context.kernel.start_timer(context.now, (context.pid, id), setting);
    context.expire_own_timers();
    if !to.is_null() {
        write_words(context.guest, to, old)?;
    }
    done(0)
}

pub(crate) fn timer_gettime(context: &mut Context<'_>, id: TimerId, to: GuestAddr) -> Answer {
    let timer = context.timer(id)?;
    let reading = context.reading(&timer);
    write_words(context.guest, to, reading)?;
    done(0)
}

pub(crate) fn timer_getoverrun(context: &mut Context<'_>, id: TimerId) -> Answer {
    done(context.timer(id)?.overrun.into())
}

pub(crate) fn timer_delete(context: &mut Context<'_>, id: TimerId) -> Answer {
    context.timer(id)?;
    context.kernel.stop_timer(context.pid, id);
    context.process_mut().timers.posix.remove(&id);
    done(0)
}

impl Context<'_> {
    /// What a clock's timers count: an error for a clock that has none; another one, which is found out later, for a
    /// clock whose timers cannot be had. Timers of another process's clock are not offered.
    fn base_of(&self, id: i32) -> Result<Result<Base, Errno>, Errno> {
        Ok(Ok(match Clock::of(id, self) {
            Clock::Realtime => Base::Realtime,
            Clock::Tai => Base::Tai,
            Clock::Boot => Base::Boot,
            Clock::ProcessCpu { pid, .. } if pid == self.pid => Base::Process,
            Clock::ThreadCpu(tid) => Base::Thread(tid),
            Clock::ReadOnly if id == libc::CLOCK_THREAD_CPUTIME_ID => Base::Thread(self.tid),
            Clock::ReadOnly | Clock::Device => return Err(Errno::EOPNOTSUPP),
            Clock::None => return Err(Errno::EINVAL),
            Clock::WakeAlarm => return Ok(Err(Errno::EOPNOTSUPP)),
            Clock::ProcessCpu { .. } | Clock::NoTask => return Ok(Err(Errno::EINVAL)),
        }))
    }

    /// Whether the user has as many timers as signals may wait.
    fn has_too_many_timers(&self) -> bool {
        let process = self.process();
        process.timers.posix.len() as u64 >= process.limits.pending_signals()
    }

    /// Who is told what, as a `struct sigevent` says.
    fn notice_of(&self, event: &[u8]) -> Result<(Notice, u32, u64), Errno> {
        const NONE: i32 = libc::SIGEV_NONE;
        const SIGNAL: i32 = libc::SIGEV_SIGNAL;
        const THREAD: i32 = libc::SIGEV_THREAD;
        const THREAD_ID: i32 = libc::SIGEV_THREAD_ID;
        let (value, signal, kind) = (u64_at(event, 0), u32_at(event, 8), u32_at(event, 12) as i32);
        let notice = match kind {
            NONE => return Ok((Notice::None, signal, value)),
            SIGNAL | THREAD => Notice::Process,
            THREAD_ID => {
                let tid = VirtualTid(u32_at(event, 16));
                if self.kernel.process_of(tid) != Some(self.pid) {
                    return Err(Errno::EINVAL);
                }
                Notice::Thread(tid)
            }
            _ => return Err(Errno::EINVAL),
        };
        match signal {
            1..=signal::MAX => Ok((notice, signal, value)),
            _ => Err(Errno::EINVAL),
        }
    }

    fn timer(&self, id: TimerId) -> Result<Timer, Errno> {
        self.process().timers.posix.get(&id).copied().ok_or(Errno::EINVAL)
    }

    /// What a timer shows: its period and what is left.
    fn reading(&self, timer: &Timer) -> [u64; 4] {
        let Some(setting) = timer.setting else { return [0; 4] };
        let now = self.count(timer, setting.is_calendar).as_ns();
        let period = setting.period.as_ns();
        let left = match (setting.expiry.as_ns().checked_sub(now), period) {
            (Some(left), _) if left > 0 => left,
            // It has expired for good.
            (_, 0) if timer.notice == Notice::None || timer.state != State::Armed => 0,
            (_, 0) => 1,
            (_, period) => period - (now - setting.expiry.as_ns()) % period,
        };
        let [period_secs, period_nanos] = timespec_of(period);
        let [secs, nanos] = timespec_of(left);
        [period_secs, period_nanos, secs, nanos]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{DATA, THREAD_FLAGS, machine};
    use core::mem::{offset_of, size_of};
    use shim_abi::calls::nr;

    #[test]
    fn the_layout_is_that_of_libc() {
        assert_eq!(size_of::<libc::sigevent>(), SIGEVENT_BYTES);
        assert_eq!(offset_of!(libc::sigevent, sigev_signo), 8);
        assert_eq!(offset_of!(libc::sigevent, sigev_notify), 12);
        assert_eq!(offset_of!(libc::sigevent, sigev_notify_thread_id), 16);
    }

    #[test]
    fn errors_come_in_linux_order() {
        let (mut kernel, mut guest, tid) = machine();
        let other = kernel.spawn(shim_abi::SimTime::ZERO, "other").0;
        let [inval, fault, nosup] =
            [Errno::EINVAL, Errno::EFAULT, Errno::EOPNOTSUPP].map(Errno::as_return);
        let event = |signal: u64, kind: u64, tid: u32| [7, signal | kind << 32, tid.into()];
        let events = [event(10, 0, 0), event(0, 0, 0), event(65, 0, 0), event(0, 1, 0)];
        let more = [event(10, 3, 0), event(10, 4, 1000), event(10, 4, other.0)];
        for (i, words) in events.iter().chain(&more).enumerate() {
            guest.put_words(DATA + 64 * i as u64, words);
        }
        let at = |i: u64| DATA + 64 * i;
        let to = DATA + 0x1000;
        // The clock of another process, as glibc's clock_getcpuclockid names it.
        let others = !u64::from(other.0) << 3 | 2;
        let [boot, raw] = [libc::CLOCK_BOOTTIME, libc::CLOCK_MONOTONIC_RAW].map(|id| id as u64);
        for (clock, event, to, expected) in [
            (99, 8, to, fault),
            (99, at(0), to, inval),
            (raw, at(0), to, nosup),
            (libc::CLOCK_BOOTTIME_ALARM as u64, at(0), to, nosup),
            (boot, at(1), 8, inval),
            (boot, at(2), to, inval),
            (boot, at(4), to, inval),
            (boot, at(6), to, inval),
            (others, at(0), 8, fault),
            (others, at(0), to, inval),
            (boot, at(0), to, 0),
            (boot, at(3), to, 0),
            (boot, at(5), to, 0),
            (boot, 0, to, 0),
            (libc::CLOCK_THREAD_CPUTIME_ID as u64, 0, to, 0),
            (libc::CLOCK_PROCESS_CPUTIME_ID as u64, 0, to, 0),
            (libc::CLOCK_TAI as u64, 0, to, 0),
        ] {
            let args = [clock, event, to, 0, 0, 0];
            let got = kernel.do_call(tid, nr::timer_create, args, &mut guest);
            assert_eq!(got, expected, "{clock} {event:#x}");
        }
        let last = guest.words::<1>(to)[0];
        assert_eq!(last, 13, "numbers of failures are not used again, as on Linux");
        guest.put_words(DATA, &[0, 0, 1, 0, 0, 1_000_000_000, 1, 0, 0, u64::MAX, 1, 0]);
        let (good, bad_period, bad) = (DATA, DATA + 32, DATA + 64);
        for (number, args, expected) in [
            (nr::timer_settime, [99, 0, 0, 0], inval),
            (nr::timer_settime, [99, 0, 8, 0], fault),
            (nr::timer_settime, [last, 0, bad_period, 0], inval),
            (nr::timer_settime, [last, 0, bad, 0], inval),
            (nr::timer_settime, [99, 0, good, 0], inval),
            (nr::timer_settime, [last, 0, good, 8], fault),
            (nr::timer_settime, [last, 0, good, 0], 0),
            (nr::timer_gettime, [99, 8, 0, 0], inval),
            (nr::timer_gettime, [last, 8, 0, 0], fault),
            (nr::timer_getoverrun, [99, 0, 0, 0], inval),
            (nr::timer_getoverrun, [last, 0, 0, 0], 0),
            (nr::timer_delete, [last, 0, 0, 0], 0),
            (nr::timer_delete, [last, 0, 0, 0], inval),
        ] {
            let [a, b, c, d] = args;
            let got = kernel.do_call(tid, number, [a, b, c, d, 0, 0], &mut guest);
            assert_eq!(got, expected, "{number} {args:?}");
        }
        assert_eq!(kernel.next_event(), None);
    }

    #[test]
    fn there_are_as_many_as_signals_may_wait_and_nobody_inherits_them() {
        let (mut kernel, mut guest, tid) = machine();
        guest.put_words(DATA, &[2, 2]);
        let sigpending = libc::RLIMIT_SIGPENDING as u64;
        kernel.do_call(tid, nr::setrlimit, [sigpending, DATA, 0, 0, 0, 0], &mut guest);
        let mut create = |kernel: &mut crate::Kernel, tid| {
            kernel.do_call(tid, nr::timer_create, [1, 0, DATA, 0, 0, 0], &mut guest)
        };
        let again = Errno::EAGAIN.as_return();
        assert_eq!([0; 3].map(|_| create(&mut kernel, tid)), [0, 0, again]);
        let mut guest = crate::testing::TestGuest::new();
        let child = kernel.fork(tid, 0, &mut guest);
        let thread = kernel.fork(tid, THREAD_FLAGS, &mut guest);
        let delete = [0; 6];
        let inval = Errno::EINVAL.as_return();
        assert_eq!(kernel.do_call(child, nr::timer_delete, delete, &mut guest), inval);
        assert_eq!(kernel.do_call(thread, nr::timer_delete, delete, &mut guest), 0);
        kernel.exec_started(shim_abi::SimTime::ZERO, tid, &mut guest);
        assert_eq!(kernel.do_call(tid, nr::timer_delete, [1, 0, 0, 0, 0, 0], &mut guest), inval);
    }
}
