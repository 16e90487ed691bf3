//! Clocks: simulated time as Linux shows it.
//!
//! Clock ids and addresses in, times out. Always true: a thread's time is the host's now plus what the
//! thread was charged since; a clock is that, as the host's oscillator counts it, plus an offset, and never
//! goes back, unless the simulation sets the calendar back; a reading that would reach `run_until_ns` hands
//! over first, so that the host's other events (jumps of the calendar among them) happen before it.
//! Sleeping is the kernel's.
//! See clock_gettime(2), gettimeofday(2), time(2).

use core::sync::atomic::Ordering::Relaxed;

use shim_abi::calls::nr;
use shim_abi::event::Request;
use shim_abi::{Errno, SimTime};

use crate::dispatch::Invocation;
use crate::guest_memory::{GuestAddr, write_value};
use crate::thread::Slot;
use crate::{forward, native};

const NS_PER_SEC: u64 = 1_000_000_000;
/// Resolution of the coarse clocks: a tick at 250 Hz.
const COARSE_NS: u64 = 4_000_000;

/// The thread's own simulated time, in nanoseconds since the simulation's start.
#[inline(always)]
pub fn thread_time_ns(slot: &Slot) -> u64 {
    slot.host.now_ns.load(Relaxed).saturating_add(slot.thread.charged_ns.load(Relaxed))
}

/// Charge the thread `ns` of simulated (and CPU) time.
#[inline(always)]
pub fn charge(slot: &Slot, ns: u64) {
    let thread = slot.thread.get();
    thread.charged_ns.store(thread.charged_ns.load(Relaxed).saturating_add(ns), Relaxed);
    thread.cpu_ns.store(thread.cpu_ns.load(Relaxed).saturating_add(ns), Relaxed);
    // One thread of the host runs at a time, so nobody else adds to the process's.
    let cpu_ns = &slot.process.cpu_ns;
    cpu_ns.store(cpu_ns.load(Relaxed).saturating_add(ns), Relaxed);
}

/// Hand over if the thread's time has reached the instant up to which the host may run.
#[inline(always)]
pub fn respect_limit(slot: &Slot) {
    if thread_time_ns(slot) >= slot.run_until_ns.get() {
        hand_over_at_limit(slot);
    }
}

#[cold]
#[inline(never)]
fn hand_over_at_limit(slot: &Slot) {
    while thread_time_ns(slot) >= slot.run_until_ns.get() {
        forward::simple(slot, Request::Limit);
    }
}

/// What the host's oscillator has counted since the simulation's start.
fn local_ns(slot: &Slot) -> u64 {
    slot.host.rate.local_ns(SimTime::from_ns(thread_time_ns(slot)))
}

/// Calendar time, in nanoseconds since 1970.
pub fn realtime_ns(slot: &Slot) -> u64 {
    let offset_ns = slot.host.realtime_offset_ns.load(Relaxed);
    let start_ns = slot.manager.start_realtime_ns.saturating_add(offset_ns);
    start_ns.saturating_add_unsigned(local_ns(slot)).max(0) as u64
}

/// Calendar time at the simulation's start, as this host saw it; now, if the calendar was set to earlier.
pub fn realtime_at_start_ns(slot: &Slot) -> i64 {
    let offset_ns = slot.host.realtime_offset_at_start_ns;
    slot.manager.start_realtime_ns.saturating_add(offset_ns).clamp(0, realtime_ns(slot) as i64)
}

/// Time since the host was booted.
pub fn monotonic_ns(slot: &Slot) -> u64 {
    slot.host.uptime_at_start_ns.saturating_add(local_ns(slot))
}

/// CPU time of the process.
pub fn process_cpu_ns(slot: &Slot) -> u64 {
    slot.process.cpu_ns.load(Relaxed)
}

/// The time stamp counter.
pub fn tsc(slot: &Slot) -> u64 {
    let ticks = u128::from(monotonic_ns(slot)) * u128::from(slot.manager.tsc_frequency_hz)
        / u128::from(NS_PER_SEC);
    ticks as u64
}

fn read(slot: &Slot, clock: i32) -> Result<u64, Errno> {
    Ok(match clock {
        libc::CLOCK_REALTIME
        | libc::CLOCK_REALTIME_COARSE
        | libc::CLOCK_REALTIME_ALARM
        | libc::CLOCK_TAI => realtime_ns(slot),
        libc::CLOCK_MONOTONIC
        | libc::CLOCK_MONOTONIC_RAW
        | libc::CLOCK_MONOTONIC_COARSE
        | libc::CLOCK_BOOTTIME
        | libc::CLOCK_BOOTTIME_ALARM => monotonic_ns(slot),
        libc::CLOCK_PROCESS_CPUTIME_ID => process_cpu_ns(slot),
        libc::CLOCK_THREAD_CPUTIME_ID => slot.thread.cpu_ns.load(Relaxed),
        id if id < 0 => read_cpu_clock(slot, id)?,
        _ => return Err(Errno::EINVAL),
    })
}

/// A process's or thread's CPU clock: the id holds the inverted pid in its upper bits, 4 for a thread,
/// and the kind (2: all CPU time); 3 in the low bits is a descriptor's clock. What others used the kernel knows
/// exactly, for they do not run now. See clock_getcpuclockid(3).
fn read_cpu_clock(slot: &Slot, clock: i32) -> Result<u64, Errno> {
    const PER_THREAD: i32 = 4;
    const KIND: i32 = 3;
    let id = !(clock >> 3) as u32;
    if clock & KIND == KIND {
        return Err(Errno::EINVAL);
    }
    let is_thread = clock & PER_THREAD != 0;
    let own = if is_thread { &slot.thread.tid } else { &slot.process.pid };
    if id == 0 || id == own.load(Relaxed) {
        return Ok(if is_thread { slot.thread.cpu_ns.load(Relaxed) } else { process_cpu_ns(slot) });
    }
    let mut time = [0u64; 2];
    let args = [clock as u32 as u64, time.as_mut_ptr() as u64, 0, 0, 0, 0];
    let call = forward::Forwarded::new(slot, nr::clock_gettime, args);
    native::result(call.send_into(&mut time))?;
    Ok(time[0].saturating_mul(NS_PER_SEC).saturating_add(time[1]))
}

fn timespec(ns: u64) -> [u64; 2] {
    [ns / NS_PER_SEC, ns % NS_PER_SEC]
}

/// clock_gettime(clock, time)
pub fn clock_gettime(call: &mut Invocation<'_>) -> Result<i64, Errno> {
    let ns = read(call.slot, call.args[0] as i32)?;
    write_value(GuestAddr(call.args[1]), &timespec(ns))?;
    Ok(0)
}

/// clock_getres(clock, time)
pub fn clock_getres(call: &mut Invocation<'_>) -> Result<i64, Errno> {
    let clock = call.args[0] as i32;
    read(call.slot, clock)?;
    let is_coarse = clock == libc::CLOCK_REALTIME_COARSE || clock == libc::CLOCK_MONOTONIC_COARSE;
    if call.args[1] != 0 {
        write_value(GuestAddr(call.args[1]), &timespec(if is_coarse { COARSE_NS } else { 1 }))?;
    }
    Ok(0)
}

/// gettimeofday(time, zone)
pub fn gettimeofday(call: &mut Invocation<'_>) -> Result<i64, Errno> {
    let [time, zone, ..] = call.args;
    if time != 0 {
        let ns = realtime_ns(call.slot);
        write_value(GuestAddr(time), &[ns / NS_PER_SEC, ns % NS_PER_SEC / 1000])?;
    }
    if zone != 0 {
        write_value(GuestAddr(zone), &[0u32; 2])?;
    }
    Ok(0)
}

/// time(where)
pub fn time(call: &mut Invocation<'_>) -> Result<i64, Errno> {
    let seconds = realtime_ns(call.slot) / NS_PER_SEC;
    if call.args[0] != 0 {
        write_value(GuestAddr(call.args[0]), &seconds)?;
    }
    Ok(seconds as i64)
}
