//! Which native processor each worker keeps to.
//!
//! What this thread may use in, a processor for each worker out. Always true: nobody is ever kept to a
//! processor that this thread could not use, and the thread that asked may use them all again afterwards; no result
//! depends on any of it. Why workers keep to one is told in `pool`.
//!
//! A single host may be better off otherwise: if another processor is idle its guests run there, and whoever waits for
//! control watches for it. Whether that is faster is tried ([`shim_supervisor::trial`]).

use nix::sched::{CpuSet, sched_getaffinity, sched_getcpu, sched_setaffinity};
use nix::unistd::Pid;
use shim_host::Host;
use shim_supervisor::trial;

/// Whether each worker, and the guests of its hosts, keep to one native processor.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Pinning {
    /// Where there are several hosts; with a single one, if that is faster, which is tried at the start.
    #[default]
    Auto,
    /// They do.
    Yes,
    /// They run where Linux has them run.
    No,
}

/// The calling thread: Linux calls it 0.
const THIS_THREAD: Pid = Pid::from_raw(0);

/// The processors that workers share.
pub struct Processors {
    /// What the thread that asked may use; nothing if nobody is to keep to anything.
    allowed: Option<CpuSet>,
    numbers: Vec<usize>,
}

impl Processors {
    /// For the workers of so many hosts.
    pub(super) fn choose(pinning: Pinning, hosts: usize) -> Processors {
        match pinning {
            Pinning::No => Processors::any(),
            Pinning::Yes | Pinning::Auto if hosts > 1 => Processors::of_this_thread(),
            Pinning::Yes => Processors::of_this_thread().only_here(),
            Pinning::Auto => {
                let here = Processors::of_this_thread().only_here();
                let is_apart = here.of_worker(0).is_none_or(trial::is_watching_faster);
                if is_apart { Processors::any() } else { here }
            }
        }
    }

    /// The one on which this thread happens to run: whoever started many simulations has them on many.
    fn only_here(mut self) -> Processors {
        if let Some(cpu) = sched_getcpu().ok().filter(|cpu| self.numbers.contains(cpu)) {
            self.numbers = vec![cpu];
        }
        self
    }

    /// Those that this thread may use.
    fn of_this_thread() -> Processors {
        let allowed = sched_getaffinity(THIS_THREAD).ok();
        let is_allowed = |&cpu: &usize| allowed.is_some_and(|set| set.is_set(cpu).unwrap_or(false));
        let numbers = (0..CpuSet::count()).filter(is_allowed).collect();
        Processors { allowed, numbers }
    }

    /// Nobody keeps to anything.
    fn any() -> Processors {
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

/// Have this thread, and the guests of the one host that it steps, run as `pinning` says until the result is dropped.
#[must_use = "it lasts as long as the result"]
pub fn place(host: &mut Host, pinning: Pinning) -> Processors {
    let processors = Processors::choose(pinning, 1);
    if let Some(cpu) = processors.of_worker(0) {
        Processors::keep_to(Some(cpu));
        host.run_on(cpu);
    }
    processors
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

    fn numbers_of_this_thread() -> Vec<usize> {
        Processors::of_this_thread().numbers.clone()
    }

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
        assert_eq!(Processors::choose(Pinning::No, 5).of_worker(0), None);
        assert_eq!(Processors::choose(Pinning::Auto, 2).numbers, numbers_of_this_thread());
        assert_eq!(Processors::choose(Pinning::Yes, 1).numbers.len(), 1);
    }
}
