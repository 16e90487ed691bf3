//! What the machine has done: `/proc/uptime`, `/proc/stat`, `/proc/loadavg`.
//!
//! Simulated time and CPU time in, text out. Always true: all CPU time is user time of the first
//! processor, whatever else it is that passes is idle time; nothing is counted that the simulation does
//! not have (interrupts, switches), and the load is zero.

use alloc::format;
use alloc::string::String;

use shim_abi::SimTime;
use shim_abi::time::NS_PER_SEC;

use crate::kernel::Kernel;
use crate::usage::NS_PER_TICK;

pub(super) fn uptime(kernel: &Kernel, now: SimTime) -> String {
    let uptime_ns = kernel.uptime_ns(now);
    let cpus = u64::from(kernel.config.cpu_count.max(1));
    let idle_ns = uptime_ns.saturating_mul(cpus).saturating_sub(kernel.cpu_ns());
    let hundredths = |ns: u64| format!("{}.{:02}", ns / NS_PER_SEC, ns / NS_PER_TICK % 100);
    format!("{} {}\n", hundredths(uptime_ns), hundredths(idle_ns))
}

pub(super) fn stat(kernel: &Kernel, now: SimTime) -> String {
    let cpus = u64::from(kernel.config.cpu_count.max(1));
    let uptime = kernel.uptime_ns(now) / NS_PER_TICK;
    let user = kernel.cpu_ns() / NS_PER_TICK;
    let line = |name: &str, user: u64, idle: u64| format!("{name} {user} 0 0 {idle} 0 0 0 0 0 0\n");
    // The first line's name is padded.
    let mut text = line("cpu ", user, uptime.saturating_mul(cpus).saturating_sub(user));
    for cpu in 0..cpus {
        let user = if cpu == 0 { user } else { 0 };
        text += &line(&format!("cpu{cpu}"), user, uptime.saturating_sub(user));
    }
    let boot_ns = kernel.realtime_ns(now) - i128::from(kernel.uptime_ns(now));
    let boot_secs = boot_ns.div_euclid(i128::from(NS_PER_SEC));
    let processes = kernel.started_tasks;
    text += &format!(
        "intr 0\n\
         ctxt 0\n\
         btime {boot_secs}\n\
         processes {processes}\n\
         procs_running 1\n\
         procs_blocked 0\n\
         softirq 0 0 0 0 0 0 0 0 0 0 0\n"
    );
    text
}

pub(super) fn load_average(kernel: &Kernel) -> String {
    let threads = kernel.threads.len();
    let last = kernel.last_id;
    format!("0.00 0.00 0.00 1/{threads} {last}\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::machine;
    use std::vec::Vec;

    #[test]
    fn times_add_up() {
        let (mut kernel, _, tid) = machine();
        kernel.config.uptime_at_start_ns = 60 * NS_PER_SEC;
        kernel.config.start_realtime_ns = 946_684_800 * NS_PER_SEC as i64;
        let pid = kernel.process_of(tid).unwrap();
        kernel.processes.get_mut(&pid).unwrap().cpu_ns = 1_500_000_000;
        let now = SimTime::from_ns(40_120_000_000);
        assert_eq!(uptime(&kernel, now), "100.12 198.74\n");
        let stat = stat(&kernel, now);
        let lines: Vec<&str> = stat.lines().collect();
        assert_eq!(lines[0], "cpu  150 0 0 19874 0 0 0 0 0 0");
        assert_eq!(lines[1], "cpu0 150 0 0 9862 0 0 0 0 0 0");
        assert_eq!(lines[2], "cpu1 0 0 0 10012 0 0 0 0 0 0");
        assert!(lines.contains(&"btime 946684740"));
        assert!(lines.contains(&"processes 2"));
        kernel.end(pid, 0, &mut crate::testing::TestGuest::new());
        assert!(self::stat(&kernel, now).starts_with("cpu  150 "), "what was used stays used");
    }

    #[test]
    fn the_load_names_threads_and_the_last_process() {
        let (mut kernel, ..) = machine();
        assert_eq!(load_average(&kernel), "0.00 0.00 0.00 1/2 1000\n");
        kernel.spawn(SimTime::ZERO, "b");
        assert_eq!(load_average(&kernel), "0.00 0.00 0.00 1/3 1001\n");
    }
}
