//! How a host is to be, beside the machine: its clocks, what calls cost, the watchdog, how it works, what is recorded.
//!
//! Settings in, one function each, as in `config`. Always true: what concerns how a host works (patched code, the kernel in guests)
//! changes no result but for the time that a run takes; what concerns simulated time does. A setting that makes no sense is
//! refused where it is set.
//!
//! # Safety
//!
//! Unsafe here: exported names, and pointers from C, about which each function says what its caller guarantees.
#![allow(unsafe_code)]

use std::ffi::c_int;
use std::time::Duration;

use shim_abi::manager::{EmulateTsc, Patching};
use shim_abi::{SimDuration, SimTime};
use shim_host::config::{ClockJump, Rate, Watchdog};

use super::config::{Config, set};
use super::records::{SHIMHOST_RECORDS_CALLS, SHIMHOST_RECORDS_EVENTS, SHIMHOST_RECORDS_NONE};
use crate::error::Failure;

/// Guests read the real time stamp counter.
pub const SHIMHOST_TSC_NATIVE: i32 = 0;
/// The time stamp counter is simulated in every guest.
pub const SHIMHOST_TSC_SIMULATED: i32 = 1;
/// It is simulated in guests that have code which reads it.
pub const SHIMHOST_TSC_AUTO: i32 = 2;

/// Calendar time at the start of the simulation. Hosts of one simulation have the same.
///
/// config: as shimhost_config_new made it.
/// realtime_ns: nanoseconds since 1970-01-01 00:00:00 UTC; negative before it. At first 2000-01-01.
/// Returns: 0, or a negative errno; shimsup_message tells more.
/// Errors: -EINVAL for NULL.
/// Threads and signals: one thread at a time may use a configuration; not in a signal handler.
/// Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shimhost_config_set_start_realtime_ns(
    config: *mut Config,
    realtime_ns: i64,
) -> c_int {
    let change = |config: &mut Config| {
        config.settings.start_realtime_ns = realtime_ns;
        Ok(())
    };
    // SAFETY: the caller's: NULL or a configuration that nobody else uses.
    unsafe { set("shimhost_config_set_start_realtime_ns", config, change) }
}

/// How long before the start of the simulation the host was booted.
///
/// config: as shimhost_config_new made it.
/// uptime_ns: nanoseconds; 100 s at first.
/// Returns: 0, or a negative errno; shimsup_message tells more.
/// Errors: -EINVAL for NULL.
/// Threads and signals: one thread at a time may use a configuration; not in a signal handler.
/// Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shimhost_config_set_uptime_ns(
    config: *mut Config,
    uptime_ns: u64,
) -> c_int {
    let change = |config: &mut Config| {
        config.settings.uptime_at_start = SimDuration::from_ns(uptime_ns);
        Ok(())
    };
    // SAFETY: the caller's: NULL or a configuration that nobody else uses.
    unsafe { set("shimhost_config_set_uptime_ns", config, change) }
}

/// How far the host's calendar is ahead of the simulation's at its start.
///
/// config: as shimhost_config_new made it.
/// offset_ns: nanoseconds; negative if it is behind; 0 at first.
/// Returns: 0, or a negative errno; shimsup_message tells more.
/// Errors: -EINVAL for NULL.
/// Threads and signals: one thread at a time may use a configuration; not in a signal handler.
/// Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shimhost_config_set_clock_offset_ns(
    config: *mut Config,
    offset_ns: i64,
) -> c_int {
    let change = |config: &mut Config| {
        config.settings.clock.offset_ns = offset_ns;
        Ok(())
    };
    // SAFETY: the caller's: NULL or a configuration that nobody else uses.
    unsafe { set("shimhost_config_set_clock_offset_ns", config, change) }
}

/// How fast the host's oscillator runs, on which its clocks and its timers are based.
///
/// config: as shimhost_config_new made it.
/// rate_ppb: parts per billion by which it is faster than simulated time; negative if it is slower; 0 at first. A
/// tenth, 100000000, at most.
/// Returns: 0, or a negative errno; shimsup_message tells more.
/// Errors: -EINVAL for NULL or a greater difference.
/// Threads and signals: one thread at a time may use a configuration; not in a signal handler.
/// Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shimhost_config_set_clock_rate_ppb(
    config: *mut Config,
    rate_ppb: i64,
) -> c_int {
    let change = |config: &mut Config| {
        let rate = Rate::from_ppb(rate_ppb).ok_or_else(|| {
            let most = Rate::MAX_PPB;
            Failure::invalid(format!("rate_ppb is {rate_ppb}: pass -{most} to {most}"))
        })?;
        config.settings.clock.rate = rate;
        Ok(())
    };
    // SAFETY: the caller's: NULL or a configuration that nobody else uses.
    unsafe { set("shimhost_config_set_clock_rate_ppb", config, change) }
}

/// Let the host's calendar jump, as if somebody had set its clock. To be called once for each jump, in any order.
///
/// config: as shimhost_config_new made it.
/// at_ns: when: nanoseconds of simulated time.
/// by_ns: by how many nanoseconds; negative if it goes back.
/// Returns: 0, or a negative errno; shimsup_message tells more.
/// Errors: -EINVAL for NULL.
/// Threads and signals: one thread at a time may use a configuration; not in a signal handler.
/// Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shimhost_config_add_clock_jump(
    config: *mut Config,
    at_ns: u64,
    by_ns: i64,
) -> c_int {
    let change = |config: &mut Config| {
        let jump = ClockJump { at: SimTime::from_ns(at_ns), by_ns };
        config.settings.clock.jumps.push(jump);
        Ok(())
    };
    // SAFETY: the caller's: NULL or a configuration that nobody else uses.
    unsafe { set("shimhost_config_add_clock_jump", config, change) }
}

/// Simulated time that an answered system call costs.
///
/// config: as shimhost_config_new made it.
/// latency_ns: nanoseconds; 1000 at first. With 0, a program that waits by asking the time again and again waits for
/// ever.
/// Returns: 0, or a negative errno; shimsup_message tells more.
/// Errors: -EINVAL for NULL.
/// Threads and signals: one thread at a time may use a configuration; not in a signal handler.
/// Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shimhost_config_set_syscall_latency_ns(
    config: *mut Config,
    latency_ns: u64,
) -> c_int {
    let change = |config: &mut Config| {
        config.settings.syscall_latency = SimDuration::from_ns(latency_ns);
        Ok(())
    };
    // SAFETY: the caller's: NULL or a configuration that nobody else uses.
    unsafe { set("shimhost_config_set_syscall_latency_ns", config, change) }
}

/// Simulated time that reading a clock without a system call costs, or the time stamp counter.
///
/// config: as shimhost_config_new made it.
/// latency_ns: nanoseconds; 1000 at first. With 0, a program that waits by asking the time again and again waits for
/// ever.
/// Returns: 0, or a negative errno; shimsup_message tells more.
/// Errors: -EINVAL for NULL.
/// Threads and signals: one thread at a time may use a configuration; not in a signal handler.
/// Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shimhost_config_set_vdso_latency_ns(
    config: *mut Config,
    latency_ns: u64,
) -> c_int {
    let change = |config: &mut Config| {
        config.settings.vdso_latency = SimDuration::from_ns(latency_ns);
        Ok(())
    };
    // SAFETY: the caller's: NULL or a configuration that nobody else uses.
    unsafe { set("shimhost_config_set_vdso_latency_ns", config, change) }
}

/// What is done about a guest that computes without making a call while something on its host waits for it: it is
/// preempted and charged.
///
/// As when that happens depends on the real machine, such a run does not repeat (shimhost_is_reproducible). Without a
/// watchdog a guest that never makes a call keeps shimhost_step for ever.
///
/// config: as shimhost_config_new made it.
/// wall_ns: how long it may run without a call: nanoseconds of real time; 1 s at first. 0: for ever.
/// quantum_ns: the simulated time that it is charged each time, in nanoseconds, more than 0; 1 s at first.
/// Returns: 0, or a negative errno; shimsup_message tells more.
/// Errors: -EINVAL for NULL, or a watchdog that charges nothing.
/// Threads and signals: one thread at a time may use a configuration; not in a signal handler.
/// Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shimhost_config_set_watchdog(
    config: *mut Config,
    wall_ns: u64,
    quantum_ns: u64,
) -> c_int {
    let change = |config: &mut Config| {
        if wall_ns != 0 && quantum_ns == 0 {
            let hint =
                "pass simulated time that a guest is charged, or a wall_ns of 0 for no watchdog";
            return Err(Failure::invalid(format!("quantum_ns is 0: {hint}")));
        }
        let wall = Duration::from_nanos(wall_ns);
        let quantum = SimDuration::from_ns(quantum_ns);
        config.settings.watchdog = (wall_ns != 0).then_some(Watchdog { wall, quantum });
        Ok(())
    };
    // SAFETY: the caller's: NULL or a configuration that nobody else uses.
    unsafe { set("shimhost_config_set_watchdog", config, change) }
}

/// Whether reading the time stamp counter is simulated, and how fast it counts.
///
/// config: as shimhost_config_new made it.
/// mode: SHIMHOST_TSC_NATIVE, SHIMHOST_TSC_SIMULATED, or, as at first, SHIMHOST_TSC_AUTO.
/// frequency_hz: frequency of the simulated counter, more than 0; 1000000000 at first.
/// Returns: 0, or a negative errno; shimsup_message tells more.
/// Errors: -EINVAL for NULL, another mode, or a frequency of 0.
/// Threads and signals: one thread at a time may use a configuration; not in a signal handler.
/// Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shimhost_config_set_tsc(
    config: *mut Config,
    mode: c_int,
    frequency_hz: u64,
) -> c_int {
    let change = |config: &mut Config| {
        if frequency_hz == 0 {
            return Err(Failure::invalid("frequency_hz is 0: a counter counts"));
        }
        config.settings.emulate_tsc = match mode {
            SHIMHOST_TSC_NATIVE => EmulateTsc::Never,
            SHIMHOST_TSC_SIMULATED => EmulateTsc::Always,
            SHIMHOST_TSC_AUTO => EmulateTsc::Auto,
            _ => {
                return Err(Failure::invalid(format!(
                    "mode is {mode}: pass one of SHIMHOST_TSC_*"
                )));
            }
        };
        config.settings.tsc_frequency_hz = frequency_hz;
        Ok(())
    };
    // SAFETY: the caller's: NULL or a configuration that nobody else uses.
    unsafe { set("shimhost_config_set_tsc", config, change) }
}

/// Whether system calls come by patched code where that can be had, which is faster, or always by traps.
///
/// config: as shimhost_config_new made it.
/// is_patching: whether they do; true at first.
/// Returns: 0, or a negative errno; shimsup_message tells more.
/// Errors: -EINVAL for NULL.
/// Threads and signals: one thread at a time may use a configuration; not in a signal handler.
/// Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shimhost_config_set_patching(
    config: *mut Config,
    is_patching: bool,
) -> c_int {
    let change = |config: &mut Config| {
        config.settings.patching = if is_patching { Patching::On } else { Patching::Off };
        Ok(())
    };
    // SAFETY: the caller's: NULL or a configuration that nobody else uses.
    unsafe { set("shimhost_config_set_patching", config, change) }
}

/// Whether guests call their host's kernel themselves where it can answer without the simulator, which is faster.
/// Results are the same.
///
/// config: as shimhost_config_new made it.
/// is_in_guest: whether they do; true at first.
/// Returns: 0, or a negative errno; shimsup_message tells more.
/// Errors: -EINVAL for NULL.
/// Threads and signals: one thread at a time may use a configuration; not in a signal handler.
/// Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shimhost_config_set_kernel_in_guest(
    config: *mut Config,
    is_in_guest: bool,
) -> c_int {
    let change = |config: &mut Config| {
        config.settings.is_kernel_in_guest = is_in_guest;
        Ok(())
    };
    // SAFETY: the caller's: NULL or a configuration that nobody else uses.
    unsafe { set("shimhost_config_set_kernel_in_guest", config, change) }
}

/// Which log lines of guests and of the host itself are recorded.
///
/// config: as shimhost_config_new made it.
/// level: 0 for none, SHIM_LOG_ERROR to SHIM_LOG_EVERYTHING (1 to 5, shim/log.h); 2, warnings, at first.
/// Returns: 0, or a negative errno; shimsup_message tells more.
/// Errors: -EINVAL for NULL or another level.
/// Threads and signals: one thread at a time may use a configuration; not in a signal handler.
/// Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shimhost_config_set_log_level(config: *mut Config, level: c_int) -> c_int {
    let change = |config: &mut Config| {
        let found =
            usize::try_from(level).ok().and_then(|level| log::LevelFilter::iter().nth(level));
        config.settings.log_level =
            found.ok_or_else(|| Failure::invalid(format!("level is {level}: pass 0 to 5")))?;
        Ok(())
    };
    // SAFETY: the caller's: NULL or a configuration that nobody else uses.
    unsafe { set("shimhost_config_set_log_level", config, change) }
}

/// What is recorded of what guests do, for shimhost_take_record.
///
/// Records take memory until they are taken. Recording calls makes guests slower, and changes no result.
///
/// config: as shimhost_config_new made it.
/// which: SHIMHOST_RECORDS_NONE, as at first, SHIMHOST_RECORDS_EVENTS, or SHIMHOST_RECORDS_CALLS.
/// Returns: 0, or a negative errno; shimsup_message tells more.
/// Errors: -EINVAL for NULL or another number.
/// Threads and signals: one thread at a time may use a configuration; not in a signal handler.
/// Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shimhost_config_set_records(config: *mut Config, which: c_int) -> c_int {
    let change = |config: &mut Config| {
        let known = [SHIMHOST_RECORDS_NONE, SHIMHOST_RECORDS_EVENTS, SHIMHOST_RECORDS_CALLS];
        if !known.contains(&which) {
            return Err(Failure::invalid(format!(
                "which is {which}: pass one of SHIMHOST_RECORDS_*"
            )));
        }
        config.records = which;
        config.settings.is_tracing = which == SHIMHOST_RECORDS_CALLS;
        Ok(())
    };
    // SAFETY: the caller's: NULL or a configuration that nobody else uses.
    unsafe { set("shimhost_config_set_records", config, change) }
}
