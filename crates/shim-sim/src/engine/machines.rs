//! The scenario's hosts as `shim-host` wants them described.
//!
//! A scenario in, a configuration for each host out, in the scenario's order. Always true: a host's
//! number is its place in that order, so it does not depend on how the hosts are run. What a
//! configuration means for a guest is `shim-host`'s.

use std::io;

use shim_host::HostConfig;
use shim_host::config::{ClockJump, ClockSettings, Rate, Watchdog};
use shim_supervisor::{Name, Names};

use crate::config::Scenario;
use crate::config::scenario::Clock;

/// One configuration for each host of a run that began at `wall_start_ns`. `is_tracing`: whether system calls are
/// recorded.
pub(super) fn configs(
    scenario: &Scenario,
    wall_start_ns: i64,
    is_tracing: bool,
) -> io::Result<Vec<HostConfig>> {
    let names = names(scenario)?;
    let (general, time) = (&scenario.general, &scenario.time);
    let numbered = (0_u32..).zip(&scenario.hosts);
    let config = |(host_id, host): (u32, &crate::config::scenario::Host)| HostConfig {
        seed: general.seed,
        host_id,
        cpu_count: host.cpus,
        memory_bytes: host.memory_bytes,
        start_realtime_ns: time.start_realtime_ns,
        wall_start_ns,
        ipv4: host.ipv4,
        ipv6: Some(host.ipv6),
        is_connected: true,
        is_capturing: host.pcap_capture_bytes.is_some(),
        upload_bits_per_second: host.bandwidth_up,
        upload_unlimited_until: general.bootstrap_end_time,
        names: Some(names.clone()),
        clock: clock(&host.clock),
        watchdog: time.watchdog.map(|wall| Watchdog { wall, quantum: time.watchdog_quantum }),
        emulate_tsc: time.emulate_tsc,
        patching: time.patching,
        is_kernel_in_guest: time.is_kernel_in_guest,
        syscall_latency: time.syscall_latency,
        vdso_latency: time.vdso_latency,
        log_level: host.log_level.unwrap_or(general.log_level).into(),
        is_tracing,
        ..HostConfig::new(&host.name)
    };
    Ok(numbered.map(config).collect())
}

fn clock(clock: &Clock) -> ClockSettings {
    let jumps = clock.jumps.iter().map(|jump| ClockJump { at: jump.at, by_ns: jump.by_ns });
    ClockSettings {
        offset_ns: clock.offset_ns,
        // A configuration accepts no other rates than there can be.
        rate: Rate::from_ppb(clock.rate_ppb).unwrap_or(Rate::EXACT),
        jumps: jumps.collect(),
    }
}

/// The names of all hosts, which guests look up without leaving their process.
fn names(scenario: &Scenario) -> io::Result<Names> {
    let mut all = Vec::new();
    for (host_id, host) in (0_u32..).zip(&scenario.hosts) {
        let name = |name: &str, is_alias| Name {
            name: name.to_owned(),
            ipv4: Some(host.ipv4),
            ipv6: Some(host.ipv6),
            host_id,
            is_alias,
        };
        all.push(name(&host.name, false));
        all.extend(host.aliases.iter().map(|alias| name(alias, true)));
    }
    Names::new(&all)
}
