//! What the owner of a bare host decides before its first guest.
//!
//! Values from C in; words of the memory files that are not made yet, out. Always true: what cannot be is refused when it is set, and so is
//! everything once guests may have seen the settings. What changes while guests run, the clock, is `bare`'s.
//!
//! # Safety
//!
//! Unsafe here: exported names, and pointers from C, about which each function says what its caller guarantees.
#![allow(unsafe_code)]

use std::ffi::{c_char, c_int};

use super::{BareHost, State};
use crate::error::{Failure, Result, answer};
use crate::pointer::{object, text, utf8};
use crate::simulation::{ipv4, ipv6};

/// Set the IPv4 address of a bare host's interface, which it has none of at first.
///
/// host: as shimsup_host_new made it, without guests.
/// address: an address such as "10.0.0.1".
/// prefix_bits: how many bits of it name the network, 0 to 32.
/// Ownership: the text is copied.
/// Returns: 0, or a negative errno; shimsup_message tells more.
/// Errors: -EINVAL for NULL, no address, too many bits; -EBUSY if the host has had a guest.
/// Threads and signals: safe from any thread; not in a signal handler.
/// Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shimsup_host_set_ipv4(
    host: *mut BareHost,
    address: *const c_char,
    prefix_bits: u32,
) -> c_int {
    // SAFETY: the caller's: NULL or a host.
    let host = unsafe { object(host, "host") };
    // SAFETY: the caller's: NULL or a text.
    let address = unsafe { text(address, "address") };
    let set = || {
        let address = ipv4(utf8(address?, "address")?, "address")?;
        check_bits(prefix_bits, 32)?;
        host?.machine.configure(|state| {
            state.host.ipv4 = u32::from_ne_bytes(address.octets());
            state.host.ipv4_prefix_bits = prefix_bits;
        })
    };
    answer("shimsup_host_set_ipv4", set())
}

/// Set the IPv6 address of a bare host's interface, which it has none of at first.
///
/// host: as shimsup_host_new made it, without guests.
/// address: an address such as "fd00::1".
/// prefix_bits: how many bits of it name the network, 0 to 128.
/// Ownership: the text is copied.
/// Returns: 0, or a negative errno; shimsup_message tells more.
/// Errors: -EINVAL for NULL, no address, too many bits; -EBUSY if the host has had a guest.
/// Threads and signals: safe from any thread; not in a signal handler.
/// Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shimsup_host_set_ipv6(
    host: *mut BareHost,
    address: *const c_char,
    prefix_bits: u32,
) -> c_int {
    // SAFETY: the caller's: NULL or a host.
    let host = unsafe { object(host, "host") };
    // SAFETY: the caller's: NULL or a text.
    let address = unsafe { text(address, "address") };
    let set = || {
        let address = ipv6(utf8(address?, "address")?, "address")?;
        check_bits(prefix_bits, 128)?;
        host?.machine.configure(|state| {
            state.host.ipv6 = Some(address);
            state.host.ipv6_prefix_bits = prefix_bits;
        })
    };
    answer("shimsup_host_set_ipv6", set())
}

fn check_bits(bits: u32, most: u32) -> Result<()> {
    if bits > most {
        return Err(Failure::invalid(format!("prefix_bits is {bits}: 0 to {most}")));
    }
    Ok(())
}

/// Set the seed of a bare host's random numbers: what its guests get by getrandom(2), /dev/urandom and the like.
///
/// host: as shimsup_host_new made it, without guests.
/// seed: any number; 1 at first.
/// Returns: 0, or a negative errno; shimsup_message tells more.
/// Errors: -EINVAL for NULL; -EBUSY if the host has had a guest.
/// Threads and signals: safe from any thread; not in a signal handler.
/// Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shimsup_host_set_seed(host: *mut BareHost, seed: u64) -> c_int {
    // SAFETY: the caller's: NULL or a host.
    let host = unsafe { object(host, "host") };
    let result = host.and_then(|host| host.machine.configure(|state| state.seed = seed));
    answer("shimsup_host_set_seed", result)
}

/// Set the calendar time at which the simulation starts, as this host's clocks tell it.
///
/// host: as shimsup_host_new made it, without guests.
/// realtime_ns: nanoseconds since 1970-01-01 00:00:00 UTC.
/// Returns: 0, or a negative errno; shimsup_message tells more.
/// Errors: -EINVAL for NULL; -EBUSY if the host has had a guest.
/// Threads and signals: safe from any thread; not in a signal handler.
/// Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shimsup_host_set_start_realtime_ns(
    host: *mut BareHost,
    realtime_ns: i64,
) -> c_int {
    // SAFETY: the caller's: NULL or a host.
    let host = unsafe { object(host, "host") };
    let set = |state: &mut State| state.manager.start_realtime_ns = realtime_ns;
    answer("shimsup_host_set_start_realtime_ns", host.and_then(|host| host.machine.configure(set)))
}

/// Set how long before the simulation's start a bare host was booted: CLOCK_MONOTONIC is that much ahead of simulated time.
///
/// host: as shimsup_host_new made it, without guests.
/// uptime_ns: nanoseconds.
/// Returns: 0, or a negative errno; shimsup_message tells more.
/// Errors: -EINVAL for NULL; -EBUSY if the host has had a guest.
/// Threads and signals: safe from any thread; not in a signal handler.
/// Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shimsup_host_set_uptime_ns(host: *mut BareHost, uptime_ns: u64) -> c_int {
    // SAFETY: the caller's: NULL or a host.
    let host = unsafe { object(host, "host") };
    let set = |state: &mut State| state.host.uptime_at_start_ns = uptime_ns;
    answer("shimsup_host_set_uptime_ns", host.and_then(|host| host.machine.configure(set)))
}

/// Set what calls cost guests of a bare host: by so much their own clocks move while they have control.
///
/// host: as shimsup_host_new made it, without guests.
/// syscall_ns: simulated nanoseconds for a system call; 1000 at first. With 0 a program that looks at the clock until time has
/// passed never ends.
/// vdso_ns: for a reading of the clock that needs no system call; 1000 at first.
/// Returns: 0, or a negative errno; shimsup_message tells more.
/// Errors: -EINVAL for NULL; -EBUSY if the host has had a guest.
/// Threads and signals: safe from any thread; not in a signal handler.
/// Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shimsup_host_set_latencies_ns(
    host: *mut BareHost,
    syscall_ns: u64,
    vdso_ns: u64,
) -> c_int {
    // SAFETY: the caller's: NULL or a host.
    let host = unsafe { object(host, "host") };
    let set = |state: &mut State| {
        state.manager.syscall_latency_ns = syscall_ns;
        state.manager.vdso_latency_ns = vdso_ns;
    };
    answer("shimsup_host_set_latencies_ns", host.and_then(|host| host.machine.configure(set)))
}

/// Set how much guests of a bare host have to tell: see shimsup_guest_take_record.
///
/// host: as shimsup_host_new made it, without guests.
/// level: 0 for nothing, which it is at first, 1 for errors, 2 warnings, 3 information, 4 debugging, 5 everything.
/// Returns: 0, or a negative errno; shimsup_message tells more.
/// Errors: -EINVAL for NULL or another level; -EBUSY if the host has had a guest.
/// Threads and signals: safe from any thread; not in a signal handler.
/// Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shimsup_host_set_log_level(host: *mut BareHost, level: u32) -> c_int {
    // SAFETY: the caller's: NULL or a host.
    let host = unsafe { object(host, "host") };
    let set = || {
        if level > 5 {
            return Err(Failure::invalid(format!("level is {level}: 0 to 5")));
        }
        host?.machine.configure(|state| state.host.log_level = level)
    };
    answer("shimsup_host_set_log_level", set())
}
