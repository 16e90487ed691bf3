//! Which native processor each worker keeps to.
//!
//! What this thread may use in, a processor for each worker out. Always true: nobody is ever kept to a
//! processor that this thread could not use, and the thread that asked may use them all again afterwards.
//! Why they keep to one is told in [`super::pool`].

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

/// The calling thread: Linux calls it 0.
const THIS_THREAD: Pid = Pid::from_raw(0);

/// The processors that workers share.
pub(super) struct Processors {
    /// What the thread that asked may use; nothing if nobody is to keep to anything.
    allowed: Option<CpuSet>,
    numbers: Vec<usize>,
}

impl Processors {
    /// Those that this thread may use.
    pub(super) fn of_this_thread() -> Processors {
        let allowed = sched_getaffinity(THIS_THREAD).ok();
        let is_allowed = |&cpu: &usize| allowed.is_some_and(|set| set.is_set(cpu).unwrap_or(false));
        let numbers = (0..CpuSet::count()).filter(is_allowed).collect();
        Processors { allowed, numbers }
    }

    /// Nobody keeps to anything.
    pub(super) fn any() -> Processors {
        Processors { allowed: None, numbers: Vec::new() }
    }

    /// The processor of a worker.
    pub(super) fn of_worker(&self, worker: usize) -> Option<usize> {
        let index = worker.checked_rem(self.numbers.len())?;
        self.numbers.get(index).copied()
    }

    /// From now on this thread runs on `cpu` only. Where that is forbidden it runs as before.
    pub(super) fn keep_to(cpu: Option<usize>) {
        let mut set = CpuSet::new();
        if cpu.is_some_and(|cpu| set.set(cpu).is_ok()) {
            let _ = sched_setaffinity(THIS_THREAD, &set);
        }
    }
}

impl Drop for Processors {
    fn drop(&mut self) {
        if let Some(allowed) = &self.allowed {
            let _ = sched_setaffinity(THIS_THREAD, allowed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_share_what_there_is_and_nothing_is_taken_for_ever() {
        let before = sched_getaffinity(THIS_THREAD).unwrap();
        let processors = Processors::of_this_thread();
        let count = processors.numbers.len();
        assert!(count > 0);
        assert_eq!(processors.of_worker(0), processors.of_worker(count));
        Processors::keep_to(processors.of_worker(0));
        let numbers = Processors::of_this_thread().numbers.clone();
        assert_eq!(numbers, processors.numbers[..1]);
        Processors::keep_to(processors.of_worker(0));
        drop(processors);
        assert_eq!(sched_getaffinity(THIS_THREAD).unwrap(), before);
        assert_eq!(Processors::any().of_worker(3), None);
    }
}
