//! Processes that guests make: children of the launcher, too, of which it does not know beforehand.
//!
//! Births that are expected, native ids and reports of ends in; a [`Life`] that is known to the watcher out. Always
//! true: as long as a birth is expected, the end of a process that nobody knows is kept, because it may
//! have died before its maker came to tell; a native id is taken for a new process's only while it cannot mean
//! any other; blocks whose process may or may not exist are kept until its end is reported.
//!
//! Why an id cannot mean another process: it names a child of the launcher, which reaps only what was reported,
//! and reports are taken under the same lock.
//!
//! A process that was never made ends never: blocks that were meant for one are free when it is known that nobody can have
//! it ([`State::take_never_born`]).

use std::fs::File;
use std::io::Read;
use std::sync::Arc;

use super::{Office, State};
use crate::life::{Life, NativePid};
use crate::process::LeftBehind;
use crate::status::ExitStatus;

impl Office {
    /// A guest is about to make a process.
    pub(crate) fn expect(&self) {
        self.lock().births += 1;
    }

    /// It will not, or it did.
    pub(crate) fn expect_no_more(&self) {
        self.lock().end_birth();
    }

    /// A guest says that it made the process `pid`: from now on its end is known to `life`. `false`: that is no
    /// new process of a guest's.
    pub(crate) fn adopt(&self, life: &Arc<Life>, pid: NativePid) -> bool {
        let mut state = self.lock();
        let end = if state.is_closed { Some(ExitStatus::Lost) } else { state.early.remove(&pid) };
        let is_ours = end.is_some()
            || !state.guests.contains_key(&pid) && parent_of(pid) == Some(self.launcher_pid);
        if !is_ours {
            return false;
        }
        state.end_birth();
        life.begin(pid);
        match end {
            Some(end) => life.finish(end),
            None => drop(state.guests.insert(pid, life.clone())),
        }
        true
    }

    /// Nobody will tell whether this process was made.
    pub(crate) fn leave_behind(&self, left: LeftBehind) {
        let mut state = self.lock();
        let is_dead = NativePid::new(left.native_pid() as i32)
            .is_some_and(|pid| state.early.contains_key(&pid));
        state.end_birth();
        if state.is_closed {
            left.abandon();
        } else if !is_dead {
            state.left_behind.push(left);
            let free = state.take_never_born(self.launcher_pid);
            drop(state);
            drop(free);
            return;
        }
        // Its blocks are free; not under the lock.
        drop(state);
        drop(left);
    }
}

impl State {
    fn end_birth(&mut self) {
        self.births = self.births.saturating_sub(1);
        if self.births == 0 {
            self.early.clear();
        }
    }

    /// What was left behind of processes that do not exist: those who were to make them are dead, and the launcher has no
    /// living child that nobody knows. To be asked whenever one of this may have come about. Where the kernel does not list
    /// children, nothing is known.
    pub(super) fn take_never_born(&mut self, launcher_pid: u32) -> Vec<LeftBehind> {
        if !self.left_behind.iter().any(LeftBehind::is_maker_dead) {
            return Vec::new();
        }
        let path = format!("/proc/{launcher_pid}/task/{launcher_pid}/children");
        let Ok(children) = std::fs::read_to_string(path) else { return Vec::new() };
        let mut children = children.split_ascii_whitespace().filter_map(|pid| pid.parse().ok());
        if children.any(|pid| !self.guests.contains_key(&pid) && !is_zombie(pid)) {
            return Vec::new();
        }
        self.left_behind.extract_if(.., |left| left.is_maker_dead()).collect()
    }

    /// A process that nobody knows has ended; the blocks that are free now.
    pub(super) fn stranger_ended(
        &mut self,
        pid: NativePid,
        status: ExitStatus,
    ) -> Option<LeftBehind> {
        if self.births > 0 {
            self.early.insert(pid, status);
        }
        let is_it = |left: &LeftBehind| left.native_pid() == pid.get() as u32;
        let index = self.left_behind.iter().position(is_it)?;
        Some(self.left_behind.swap_remove(index))
    }
}

/// The parent of a process, zombies included.
fn parent_of(pid: NativePid) -> Option<u32> {
    let (line, len) = stat_of(pid)?;
    parent_in(line.get(..len)?)
}

/// Whether a process is dead, or not there at all.
fn is_zombie(pid: NativePid) -> bool {
    let Some((line, len)) = stat_of(pid) else { return true };
    let end_of_name = line[..len].iter().rposition(|&byte| byte == b')');
    end_of_name.and_then(|end| line.get(end + 2)).is_none_or(|state| b"ZX".contains(state))
}

/// The line of `/proc/<pid>/stat`, or its beginning, and how long that is.
fn stat_of(pid: NativePid) -> Option<([u8; 256], usize)> {
    // Enough for the longest name, in one call.
    let mut line = [0; 256];
    let len = File::open(format!("/proc/{pid}/stat")).ok()?.read(&mut line).ok()?;
    Some((line, len))
}

/// The parent in the line of `/proc/<pid>/stat`. The name in parentheses may hold anything, text or not.
fn parent_in(stat: &[u8]) -> Option<u32> {
    let end_of_name = stat.iter().rposition(|&byte| byte == b')')?;
    let rest = std::str::from_utf8(&stat[end_of_name + 1..]).ok()?;
    rest.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parents_are_read_from_proc() {
        let own = NativePid::new(std::process::id() as i32).unwrap();
        assert_eq!(parent_of(own), Some(std::os::unix::process::parent_id()));
        assert_eq!(parent_of(NativePid::MAX), None);
        assert_eq!(parent_in(b"7 (a) S 5 (\xc3) R 6 7"), Some(6));
        assert_eq!(parent_in(b"7 (a"), None);
    }

    #[test]
    fn early_ends_are_kept_while_a_birth_is_expected() {
        let mut state = State::default();
        let pid = |number| NativePid::new(number).unwrap();
        assert!(state.stranger_ended(pid(7), ExitStatus::Code(1)).is_none());
        assert!(state.early.is_empty());
        state.births = 2;
        state.stranger_ended(pid(7), ExitStatus::Code(1));
        state.end_birth();
        assert_eq!(state.early.get(&pid(7)), Some(&ExitStatus::Code(1)));
        state.end_birth();
        assert!(state.early.is_empty());
    }
}
