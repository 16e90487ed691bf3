//! Setting clocks: `clock_settime`, `settimeofday`, `adjtimex`, `clock_adjtime`.
//!
//! Clocks and times in, mostly refusals out. Always true: guests are unprivileged, so no clock is ever
//! changed; which error comes first is as on Linux. Reading the state of CLOCK_REALTIME is allowed: it
//! is that of a machine that has just booted and whose clock nobody disciplines.

use shim_abi::Errno;

use crate::clock::{Clock, duration_of};
use crate::context::{Answer, Context, done};
use crate::guest::GuestAddr;
use crate::memory::{Layout, read_bytes, read_words, u32_at};

const NS_PER_SEC: i128 = 1_000_000_000;

pub(crate) fn clock_settime(context: &mut Context<'_>, id: i32, from: GuestAddr) -> Answer {
    let clock = Clock::of(id, context);
    let is_settable = match clock {
        Clock::Realtime | Clock::ThreadCpu(_) | Clock::Device | Clock::NoTask => true,
        Clock::ProcessCpu { is_named, .. } => is_named,
        _ => false,
    };
    if !is_settable {
        return Err(Errno::EINVAL);
    }
    let [secs, nanos] = read_words(context.guest, from)?;
    match clock {
        Clock::Device | Clock::NoTask => Err(Errno::EINVAL),
        Clock::Realtime if !is_calendar_time(secs as i64, nanos) => Err(Errno::EINVAL),
        _ => Err(Errno::EPERM),
    }
}

pub(crate) fn settimeofday(context: &mut Context<'_>, time: GuestAddr, zone: GuestAddr) -> Answer {
    let mut seconds = None;
    if !time.is_null() {
        let [secs, usecs] = read_words(context.guest, time)?;
        if usecs > 1_000_000 {
            return Err(Errno::EINVAL);
        }
        seconds = Some((secs as i64, usecs * 1_000));
    }
    if !zone.is_null() {
        let _: [u8; 8] = read_bytes(context.guest, zone)?;
    }
    match seconds {
        Some((secs, nanos)) if !is_calendar_time(secs, nanos) => Err(Errno::EINVAL),
        _ => Err(Errno::EPERM),
    }
}

/// Whether Linux would set a clock to this: no earlier than 1970, and 30 years before the end.
fn is_calendar_time(secs: i64, nanos: u64) -> bool {
    const LAST_SECOND: i64 = i64::MAX / 1_000_000_000 - 30 * 365 * 24 * 3600;
    duration_of(secs, nanos).is_some() && secs < LAST_SECOND
}

/// Bytes of a `struct timex`.
const TIMEX_BYTES: usize = 208;
const ADJ_OFFSET_SINGLESHOT: u32 = 0x0001;
const ADJ_OFFSET_READONLY: u32 = 0x2000;
const ADJ_ADJTIME: u32 = 0x8000;

pub(crate) fn adjtimex(context: &mut Context<'_>, at: GuestAddr) -> Answer {
    let timex = read_bytes(context.guest, at)?;
    context.read_discipline(at, timex)
}

pub(crate) fn clock_adjtime(context: &mut Context<'_>, id: i32, at: GuestAddr) -> Answer {
    let timex = read_bytes(context.guest, at)?;
    match Clock::of(id, context) {
        Clock::None | Clock::Device => Err(Errno::EINVAL),
        Clock::Realtime => context.read_discipline(at, timex),
        _ => Err(Errno::EOPNOTSUPP),
    }
}

impl Context<'_> {
    /// Report the state of CLOCK_REALTIME, if the request changes nothing of it.
    fn read_discipline(&mut self, at: GuestAddr, request: [u8; TIMEX_BYTES]) -> Answer {
        const STA_UNSYNC: u32 = 0x40;
        const TIME_ERROR: i64 = 5;
        const MAX_ERROR_USEC: u64 = 16_000_000;
        let modes = u32_at(&request, 0);
        if modes & ADJ_ADJTIME != 0 && modes & ADJ_OFFSET_SINGLESHOT == 0 {
            return Err(Errno::EINVAL);
        }
        let is_reading =
            modes == 0 || (modes & ADJ_ADJTIME != 0 && modes & ADJ_OFFSET_READONLY != 0);
        if !is_reading {
            return Err(Errno::EPERM);
        }
        let realtime_ns = self.kernel.realtime_ns(self.now);
        let mut timex = Layout::<TIMEX_BYTES>::new();
        timex.u32(0, modes);
        timex.u64(24, MAX_ERROR_USEC);
        timex.u64(32, MAX_ERROR_USEC);
        timex.u32(40, STA_UNSYNC);
        timex.u64(48, 2); // time constant
        timex.u64(56, 1); // precision
        timex.u64(64, 500 << 16); // tolerance: 500 parts per million
        timex.u64(72, realtime_ns.div_euclid(NS_PER_SEC) as u64);
        timex.u64(80, (realtime_ns.rem_euclid(NS_PER_SEC) / 1_000) as u64);
        timex.u64(88, 10_000); // microseconds per tick
        self.guest.write(at, timex.bytes())?;
        done(TIME_ERROR)
    }
}

#[cfg(test)]
mod layout {
    use core::mem::{offset_of, size_of};

    #[test]
    fn is_that_of_libc() {
        assert_eq!(size_of::<libc::timex>(), super::TIMEX_BYTES);
        assert_eq!(offset_of!(libc::timex, maxerror), 24);
        assert_eq!(offset_of!(libc::timex, esterror), 32);
        assert_eq!(offset_of!(libc::timex, status), 40);
        assert_eq!(offset_of!(libc::timex, constant), 48);
        assert_eq!(offset_of!(libc::timex, precision), 56);
        assert_eq!(offset_of!(libc::timex, tolerance), 64);
        assert_eq!(offset_of!(libc::timex, time), 72);
        assert_eq!(offset_of!(libc::timex, tick), 88);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{DATA, machine};
    use shim_abi::calls::nr;

    #[test]
    fn nobody_sets_a_clock() {
        let [inval, fault, perm] =
            [Errno::EINVAL, Errno::EFAULT, Errno::EPERM].map(Errno::as_return);
        let own = !1000 << 3;
        for (clock, bad_pointer, bad_time, good_time) in [
            (0, fault, inval, perm),
            (1, inval, inval, inval),
            (2, inval, inval, inval),
            (3, inval, inval, inval),
            (11, inval, inval, inval),
            (12, inval, inval, inval),
            (-5, fault, inval, inval),
            (-6, fault, perm, perm),
            (-9, fault, inval, inval),
            (-2, fault, perm, perm),
            (own | 2, fault, perm, perm),
            ((!999_999) << 3 | 2, fault, inval, inval),
        ] {
            let (mut kernel, mut guest, tid) = machine();
            guest.put_words(DATA, &[0, 1_000_000_000, u64::MAX, 0, 0, 1_000]);
            for (from, expected) in
                [(8, bad_pointer), (DATA, bad_time), (DATA + 16, bad_time), (DATA + 32, good_time)]
            {
                let args = [clock as u64, from, 0, 0, 0, 0];
                let got = kernel.do_call(tid, nr::clock_settime, args, &mut guest);
                assert_eq!(got, expected, "{clock} {from:#x}");
            }
        }
    }

    #[test]
    fn nor_the_time_of_day() {
        let (mut kernel, mut guest, tid) = machine();
        guest.put_words(DATA, &[1, 1, 1, 1_000_001, u64::MAX, 0]);
        let [inval, fault, perm] =
            [Errno::EINVAL, Errno::EFAULT, Errno::EPERM].map(Errno::as_return);
        for (time, zone, expected) in [
            (0, 0, perm),
            (DATA, 0, perm),
            (0, DATA, perm),
            (8, 0, fault),
            (0, 8, fault),
            (DATA + 16, 8, inval),
            (DATA + 32, 0, inval),
        ] {
            let args = [time, zone, 0, 0, 0, 0];
            assert_eq!(kernel.do_call(tid, nr::settimeofday, args, &mut guest), expected);
        }
    }

    #[test]
    fn the_state_of_the_clock_may_be_read() {
        let (mut kernel, mut guest, tid) = machine();
        let [inval, fault, perm, unsupported] =
            [Errno::EINVAL, Errno::EFAULT, Errno::EPERM, Errno::EOPNOTSUPP].map(Errno::as_return);
        for (modes, expected) in [
            (0, 5),
            (1, perm),
            (0x4000, perm),
            (0x8000, inval),
            (0x8001, perm),
            (0xa001, 5),
            (0x40, perm),
        ] {
            guest.put_words(DATA, &[modes]);
            let got = kernel.do_call(tid, nr::adjtimex, [DATA, 0, 0, 0, 0, 0], &mut guest);
            assert_eq!(got, expected, "{modes:#x}");
        }
        for (clock, expected) in [
            (0, 5),
            (1, unsupported),
            (3, unsupported),
            (-6, unsupported),
            (-5, inval),
            (12, inval),
            (-1, unsupported),
        ] {
            guest.put_words(DATA, &[0]);
            let args = [clock as u64, DATA, 0, 0, 0, 0];
            let got = kernel.do_call(tid, nr::clock_adjtime, args, &mut guest);
            assert_eq!(got, expected, "{clock}");
            let args = [clock as u64, 8, 0, 0, 0, 0];
            assert_eq!(kernel.do_call(tid, nr::clock_adjtime, args, &mut guest), fault);
        }
        assert_eq!(guest.words::<1>(DATA + 72), [946_684_800]);
    }
}
