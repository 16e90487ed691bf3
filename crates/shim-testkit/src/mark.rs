//! Finding the processes of a run, whatever has become of their parents and sessions.
//!
//! A variable of the environment in, the processes that have it out. Always true: marks are unique, a process is found
//! from its first moment as a child of one that has the mark, and a zombie, which has no environment any more, is
//! not found. Killing is the tests' business.

use std::fs;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

/// How long [`eventually`] waits.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// A mark: the value of [`Mark::VARIABLE`] in the environment of a run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mark {
    value: String,
}

impl Mark {
    /// The variable.
    pub const VARIABLE: &str = "SHIM_TEST_MARK";

    /// One that nobody else has.
    pub fn fresh() -> Mark {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        Mark { value: format!("{}-{}", std::process::id(), COUNT.fetch_add(1, Relaxed)) }
    }

    /// What the variable is set to.
    pub fn value(&self) -> &str {
        &self.value
    }

    /// Whether a living process has it.
    pub fn is_of(&self, pid: i32) -> bool {
        let wanted = format!("{}={}", Mark::VARIABLE, self.value);
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.split(|&b| b == 0).any(|entry| entry == wanted.as_bytes())
    }

    /// The living processes with this mark.
    pub fn processes(&self) -> Vec<i32> {
        let entries = fs::read_dir("/proc").expect("/proc is mounted");
        let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        pids.filter(|&pid| self.is_of(pid)).collect()
    }

    /// Fail unless soon nobody has it.
    #[track_caller]
    pub fn assert_nobody_left(&self) {
        eventually("all processes end", || self.processes().is_empty().then_some(()));
    }
}

/// What `look` finds at last; fail if it finds nothing in time.
#[track_caller]
pub fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "{what}: not within {PATIENCE:?}");
        thread::sleep(Duration::from_millis(2));
    }
}
