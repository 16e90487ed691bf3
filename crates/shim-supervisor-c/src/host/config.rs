//! How a host is to be: who it is, what its machine and its interface are like.
//!
//! Settings in, one function each; a configuration that `shimhost_new` reads out. Always true: a setting that makes no sense is
//! refused where it is set, so a configuration that was made can be used; what is not set is a machine that nobody described
//! further. Clocks, costs and what is recorded are in `tuning`.
//!
//! # Safety
//!
//! Unsafe here: exported names, and pointers from C, about which each function says what its caller guarantees.
#![allow(unsafe_code)]

use std::ffi::{CStr, c_char, c_int};

use shim_abi::SimTime;
use shim_abi::names::MAX_NAME_BYTES;
use shim_host::HostConfig;

use crate::error::{Failure, Result, answer};
use crate::pointer::{give, object_mut, take, text, utf8};
use crate::simulation::{ipv4, ipv6};

/// How a host is to be. Opaque.
pub struct Config {
    pub(super) settings: HostConfig,
    pub(super) records: c_int,
}

/// Linux has no machine with more.
const MAX_CPUS: u32 = 1024;
/// A machine with less memory would be none that programs know.
const MIN_MEMORY_BYTES: u64 = 1 << 20;

impl Config {
    fn new(host_id: u32, hostname: &CStr) -> Result<Config> {
        let hostname = utf8(hostname, "hostname")?;
        if hostname.is_empty() || hostname.len() > MAX_NAME_BYTES {
            let what = format!("hostname has {} bytes", hostname.len());
            return Err(Failure::invalid(format!("{what}: one has 1 to {MAX_NAME_BYTES}")));
        }
        let most = shim_arena::MAX_ARENAS;
        if host_id >= most {
            let what = format!("host_id is {host_id}");
            return Err(Failure::invalid(format!(
                "{what}: hosts are numbered from 0 to {}",
                most - 1
            )));
        }
        let settings = HostConfig { host_id, ..HostConfig::new(hostname) };
        Ok(Config { settings, records: super::records::SHIMHOST_RECORDS_NONE })
    }
}

/// Change a setting.
///
/// # Safety
///
/// `config` is NULL or a configuration of `shimhost_config_new` that nobody else uses.
pub(super) unsafe fn set(
    function: &str,
    config: *mut Config,
    change: impl FnOnce(&mut Config) -> Result<()>,
) -> c_int {
    // SAFETY: the caller's promise.
    let config = unsafe { object_mut(config, "config") };
    answer(function, config.and_then(change))
}

/// A text of utsname(2).
fn utsname(text: &CStr, name: &str) -> Result<String> {
    let text = utf8(text, name)?;
    if !(1..=64).contains(&text.len()) {
        return Err(Failure::invalid(format!("{name} has {} bytes: pass 1 to 64", text.len())));
    }
    Ok(text.to_owned())
}

fn prefix(bits: u32, most: u32) -> Result<u32> {
    if bits > most {
        return Err(Failure::invalid(format!("prefix_bits is {bits}: an address has {most}")));
    }
    Ok(bits)
}

/// Describe a host that nobody described further.
///
/// It has one processor, 4 GiB of memory, the address 11.0.0.1/8 on an interface that is not connected, the seed 1; it
/// was booted 100 s before the simulation's start, which is 2000-01-01 00:00:00 UTC; its system calls cost 1 us of simulated time.
///
/// host_id: its number, 0 to 4095: hosts that a process has at the same time have different ones.
/// hostname: its name, as uname(2) tells it, 1 to 63 bytes; it also names its random streams.
/// config: where the new configuration goes; NULL goes there if the call fails.
/// Ownership: the configuration is the caller's, to be freed by shimhost_config_free; the text is copied.
/// Returns: 0, or a negative errno; shimsup_message tells more.
/// Errors: -EINVAL for NULL, or a number or a name that cannot be one.
/// Threads and signals: safe from any thread; not in a signal handler.
/// Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shimhost_config_new(
    host_id: u32,
    hostname: *const c_char,
    config: *mut *mut Config,
) -> c_int {
    // SAFETY: the caller's: NULL or a text.
    let hostname = unsafe { text(hostname, "hostname") };
    // SAFETY: the caller's: NULL or a place for a pointer.
    let result = unsafe { give(config, "config", || Config::new(host_id, hostname?)) };
    answer("shimhost_config_new", result)
}

/// Seed of everything random on the host. Hosts with the same seed and different names have different random numbers.
///
/// config: as shimhost_config_new made it.
/// seed: any number.
/// Returns: 0, or a negative errno; shimsup_message tells more.
/// Errors: -EINVAL for NULL.
/// Threads and signals: one thread at a time may use a configuration; not in a signal handler.
/// Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shimhost_config_set_seed(config: *mut Config, seed: u64) -> c_int {
    let change = |config: &mut Config| {
        config.settings.seed = seed;
        Ok(())
    };
    // SAFETY: the caller's: NULL or a configuration that nobody else uses.
    unsafe { set("shimhost_config_set_seed", config, change) }
}

/// IPv4 address of the interface.
///
/// config: as shimhost_config_new made it.
/// address: the address, such as "10.0.0.1"; "0.0.0.0" for none.
/// prefix_bits: how many bits of it name the network, 0 to 32.
/// Ownership: the text is copied.
/// Returns: 0, or a negative errno; shimsup_message tells more.
/// Errors: -EINVAL for NULL, an address that is none, or more bits than it has.
/// Threads and signals: one thread at a time may use a configuration; not in a signal handler.
/// Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shimhost_config_set_ipv4(
    config: *mut Config,
    address: *const c_char,
    prefix_bits: u32,
) -> c_int {
    // SAFETY: the caller's: NULL or a text.
    let address = unsafe { text(address, "address") };
    let change = |config: &mut Config| {
        let address = ipv4(utf8(address?, "address")?, "address")?;
        let bits = prefix(prefix_bits, 32)?;
        config.settings.ipv4 = address;
        config.settings.ipv4_prefix_bits = bits;
        Ok(())
    };
    // SAFETY: the caller's: NULL or a configuration that nobody else uses.
    unsafe { set("shimhost_config_set_ipv4", config, change) }
}

/// IPv6 address of the interface, which has none without this call.
///
/// config: as shimhost_config_new made it.
/// address: the address, such as "fd00::1".
/// prefix_bits: how many bits of it name the network, 0 to 128.
/// Ownership: the text is copied.
/// Returns: 0, or a negative errno; shimsup_message tells more.
/// Errors: -EINVAL for NULL, an address that is none, or more bits than it has.
/// Threads and signals: one thread at a time may use a configuration; not in a signal handler.
/// Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shimhost_config_set_ipv6(
    config: *mut Config,
    address: *const c_char,
    prefix_bits: u32,
) -> c_int {
    // SAFETY: the caller's: NULL or a text.
    let address = unsafe { text(address, "address") };
    let change = |config: &mut Config| {
        let address = ipv6(utf8(address?, "address")?, "address")?;
        let bits = prefix(prefix_bits, 128)?;
        config.settings.ipv6 = Some(address);
        config.settings.ipv6_prefix_bits = bits;
        Ok(())
    };
    // SAFETY: the caller's: NULL or a configuration that nobody else uses.
    unsafe { set("shimhost_config_set_ipv6", config, change) }
}

/// Whether the interface leads to other hosts: whether packets come out of shimhost_take_packet.
///
/// Without it, other addresses cannot be reached, as on a machine whose cable is not plugged in.
///
/// config: as shimhost_config_new made it.
/// is_connected: whether it does; false at first.
/// Returns: 0, or a negative errno; shimsup_message tells more.
/// Errors: -EINVAL for NULL.
/// Threads and signals: one thread at a time may use a configuration; not in a signal handler.
/// Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shimhost_config_set_connected(
    config: *mut Config,
    is_connected: bool,
) -> c_int {
    let change = |config: &mut Config| {
        config.settings.is_connected = is_connected;
        Ok(())
    };
    // SAFETY: the caller's: NULL or a configuration that nobody else uses.
    unsafe { set("shimhost_config_set_connected", config, change) }
}

/// Whether packets that the host sends to itself are kept for shimhost_take_looped_packet.
///
/// They take memory until they are taken.
///
/// config: as shimhost_config_new made it.
/// is_capturing: whether they are; false at first.
/// Returns: 0, or a negative errno; shimsup_message tells more.
/// Errors: -EINVAL for NULL.
/// Threads and signals: one thread at a time may use a configuration; not in a signal handler.
/// Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shimhost_config_set_capturing(
    config: *mut Config,
    is_capturing: bool,
) -> c_int {
    let change = |config: &mut Config| {
        config.settings.is_capturing = is_capturing;
        Ok(())
    };
    // SAFETY: the caller's: NULL or a configuration that nobody else uses.
    unsafe { set("shimhost_config_set_capturing", config, change) }
}

/// How fast the interface sends. It is the host that waits for its interface: so TCP is held back before packets are
/// lost.
///
/// config: as shimhost_config_new made it.
/// bits_per_second: bits of IP datagrams in a second of simulated time; 0, as at first, for as many as there are.
/// Returns: 0, or a negative errno; shimsup_message tells more.
/// Errors: -EINVAL for NULL.
/// Threads and signals: one thread at a time may use a configuration; not in a signal handler.
/// Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shimhost_config_set_upload_bits_per_second(
    config: *mut Config,
    bits_per_second: u64,
) -> c_int {
    let change = |config: &mut Config| {
        config.settings.upload_bits_per_second = bits_per_second;
        Ok(())
    };
    // SAFETY: the caller's: NULL or a configuration that nobody else uses.
    unsafe { set("shimhost_config_set_upload_bits_per_second", config, change) }
}

/// Until when the interface sends as much as there is, whatever its speed: for the time in which a network comes up.
///
/// config: as shimhost_config_new made it.
/// until_ns: nanoseconds of simulated time; 0 at first.
/// Returns: 0, or a negative errno; shimsup_message tells more.
/// Errors: -EINVAL for NULL.
/// Threads and signals: one thread at a time may use a configuration; not in a signal handler.
/// Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shimhost_config_set_upload_unlimited_until_ns(
    config: *mut Config,
    until_ns: u64,
) -> c_int {
    let change = |config: &mut Config| {
        config.settings.upload_unlimited_until = SimTime::from_ns(until_ns);
        Ok(())
    };
    // SAFETY: the caller's: NULL or a configuration that nobody else uses.
    unsafe { set("shimhost_config_set_upload_unlimited_until_ns", config, change) }
}

/// Processors of the machine, as it tells its guests. Its guests take turns in any case.
///
/// config: as shimhost_config_new made it.
/// count: 1 to 1024; 1 at first.
/// Returns: 0, or a negative errno; shimsup_message tells more.
/// Errors: -EINVAL for NULL or another number.
/// Threads and signals: one thread at a time may use a configuration; not in a signal handler.
/// Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shimhost_config_set_cpu_count(config: *mut Config, count: u32) -> c_int {
    let change = |config: &mut Config| {
        if !(1..=MAX_CPUS).contains(&count) {
            return Err(Failure::invalid(format!("count is {count}: pass 1 to {MAX_CPUS}")));
        }
        config.settings.cpu_count = count;
        Ok(())
    };
    // SAFETY: the caller's: NULL or a configuration that nobody else uses.
    unsafe { set("shimhost_config_set_cpu_count", config, change) }
}

/// Memory of the machine, as it tells its guests. Nothing is reserved.
///
/// config: as shimhost_config_new made it.
/// bytes: at least 1 MiB; 4 GiB at first.
/// Returns: 0, or a negative errno; shimsup_message tells more.
/// Errors: -EINVAL for NULL or a smaller number.
/// Threads and signals: one thread at a time may use a configuration; not in a signal handler.
/// Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shimhost_config_set_memory_bytes(
    config: *mut Config,
    bytes: u64,
) -> c_int {
    let change = |config: &mut Config| {
        if bytes < MIN_MEMORY_BYTES {
            return Err(Failure::invalid(format!(
                "bytes is {bytes}: pass {MIN_MEMORY_BYTES} or more"
            )));
        }
        config.settings.memory_bytes = bytes;
        Ok(())
    };
    // SAFETY: the caller's: NULL or a configuration that nobody else uses.
    unsafe { set("shimhost_config_set_memory_bytes", config, change) }
}

/// Release of the kernel, as uname -r shows it. Programs derive from it which system calls they may try.
///
/// config: as shimhost_config_new made it.
/// release: 1 to 64 bytes, such as "6.1.0"; at first the one of the real machine.
/// Ownership: the text is copied.
/// Returns: 0, or a negative errno; shimsup_message tells more.
/// Errors: -EINVAL for NULL, or a text of another length.
/// Threads and signals: one thread at a time may use a configuration; not in a signal handler.
/// Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shimhost_config_set_kernel_release(
    config: *mut Config,
    release: *const c_char,
) -> c_int {
    // SAFETY: the caller's: NULL or a text.
    let release = unsafe { text(release, "release") };
    let change = |config: &mut Config| {
        config.settings.kernel_release = utsname(release?, "release")?;
        Ok(())
    };
    // SAFETY: the caller's: NULL or a configuration that nobody else uses.
    unsafe { set("shimhost_config_set_kernel_release", config, change) }
}

/// Version of the kernel, as uname -v shows it.
///
/// config: as shimhost_config_new made it.
/// version: 1 to 64 bytes; at first the one of the real machine.
/// Ownership: the text is copied.
/// Returns: 0, or a negative errno; shimsup_message tells more.
/// Errors: -EINVAL for NULL, or a text of another length.
/// Threads and signals: one thread at a time may use a configuration; not in a signal handler.
/// Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shimhost_config_set_kernel_version(
    config: *mut Config,
    version: *const c_char,
) -> c_int {
    // SAFETY: the caller's: NULL or a text.
    let version = unsafe { text(version, "version") };
    let change = |config: &mut Config| {
        config.settings.kernel_version = utsname(version?, "version")?;
        Ok(())
    };
    // SAFETY: the caller's: NULL or a configuration that nobody else uses.
    unsafe { set("shimhost_config_set_kernel_version", config, change) }
}

/// End a configuration. Hosts that were made from it go on.
///
/// config: as shimhost_config_new made it; NULL does nothing.
/// Returns: nothing.
/// Errors: none.
/// Threads and signals: safe from any thread, if no other one uses the configuration; not in a signal handler.
/// Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shimhost_config_free(config: *mut Config) {
    // SAFETY: the caller's: NULL, or a configuration that is not used any more.
    drop(unsafe { take(config) });
}
