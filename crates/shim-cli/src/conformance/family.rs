//! The processes that this one has started, and theirs, whatever has become of those between.
//!
//! `/proc` in, ids out. Always true: this process is a subreaper, so that whoever loses its parent becomes its child and is
//! found; nobody else is ever named, so that nobody else can be killed. Who is to be killed, and when, is `bench`'s.

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitOptions, getpid, kill_process, set_child_subreaper, wait};

/// Between two looks.
const RECHECK: Duration = Duration::from_millis(2);
/// How long the dying are waited for.
const FAREWELL: Duration = Duration::from_secs(10);

/// Become the one to whom those come that have lost their parents.
pub fn adopt() -> rustix::io::Result<()> {
    set_child_subreaper(Some(getpid()))
}

/// All that live.
pub fn members() -> Vec<Pid> {
    let mut children: BTreeMap<i32, Vec<(i32, bool)>> = BTreeMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else {
            continue;
        };
        let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        if let Some((parent, is_alive)) = parent_of(&stat) {
            children.entry(parent).or_default().push((pid, is_alive));
        }
    }
    let mut found = Vec::new();
    let mut waiting = vec![getpid().as_raw_nonzero().get()];
    while let Some(parent) = waiting.pop() {
        for &(pid, is_alive) in children.get(&parent).map_or(&[][..], Vec::as_slice) {
            waiting.push(pid);
            found.extend(Pid::from_raw(pid).filter(|_| is_alive));
        }
    }
    found
}

/// Who the parent is, and whether the process lives, from its `/proc/<pid>/stat`.
fn parent_of(stat: &str) -> Option<(i32, bool)> {
    // A program's name may hold anything.
    let mut fields = stat[stat.rfind(')')? + 1..].split_whitespace();
    let state = fields.next()?;
    Some((fields.next()?.parse().ok()?, !matches!(state, "Z" | "X")))
}

/// Wait until nobody lives, but not longer than this; how many do.
pub fn wait_for_all(limit: Duration) -> usize {
    let began = Instant::now();
    loop {
        bury();
        let count = members().len();
        if count == 0 || began.elapsed() >= limit {
            return count;
        }
        std::thread::sleep(RECHECK);
    }
}

/// Kill all. Whether nobody is left.
pub fn kill_all() -> bool {
    let began = Instant::now();
    loop {
        bury();
        let members = members();
        if members.is_empty() {
            return true;
        }
        if began.elapsed() >= FAREWELL {
            return false;
        }
        // Who has gone meanwhile, or belongs to somebody else by now, is found out by the next look.
        members.into_iter().for_each(|pid| _ = kill_process(pid, Signal::KILL));
        std::thread::sleep(RECHECK);
    }
}

/// Take note of those that have died.
fn bury() {
    while let Ok(Some(_)) = wait(WaitOptions::NOHANG) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_may_hold_anything() {
        assert_eq!(parent_of("12 (a) S 7) Z 3 x) R 41 12 12 0"), Some((41, true)));
        assert_eq!(parent_of("12 (sh) Z 41 12"), Some((41, false)));
        assert_eq!(parent_of("12 (sh"), None);
        assert_eq!(parent_of(""), None);
    }
}
