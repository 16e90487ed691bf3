//! What the processes of a run weigh: the simulator, its launcher and all guests.
//!
//! The simulator's process in, MiB out. Always true: that of all processes is proportional (PSS), so that what they share counts
//! once; that of the simulator alone is resident (RSS). When to look is the callers' business.

use std::fs;

/// Memory in MiB.
#[derive(Clone, Copy, Default)]
pub struct Memory {
    pub all: f64,
    pub simulator: f64,
}

impl Memory {
    /// Of these processes; the first is the simulator's.
    pub fn of(processes: &[u32]) -> Memory {
        let all: u64 = processes.iter().map(|&id| kib(id, "smaps_rollup", "Pss:")).sum();
        let own = processes.first().map_or(0, |&id| kib(id, "status", "VmRSS:"));
        Memory { all: all as f64 / 1024.0, simulator: own as f64 / 1024.0 }
    }
}

/// The simulator's process, its launchers', and those of the guests, which are their children.
pub fn processes(simulator: u32) -> (Vec<u32>, Vec<u32>) {
    let launchers = children(&[simulator]);
    let guests = children(&launchers);
    ([vec![simulator], launchers].concat(), guests)
}

/// Ids of the processes whose parent is one of `parents`.
fn children(parents: &[u32]) -> Vec<u32> {
    let entries = fs::read_dir("/proc").expect("there is /proc").flatten();
    let ids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let is_child = |id: &u32| {
        // After the name, which is in parentheses and may hold anything: state, parent.
        let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        let parent = stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(1));
        parent
            .and_then(|parent| parent.parse().ok())
            .is_some_and(|parent| parents.contains(&parent))
    };
    ids.filter(is_child).collect()
}

/// A figure of `/proc/<id>/<file>` in KiB; 0 if the process is gone.
fn kib(id: u32, file: &str, key: &str) -> u64 {
    let text = fs::read_to_string(format!("/proc/{id}/{file}")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(key));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}
