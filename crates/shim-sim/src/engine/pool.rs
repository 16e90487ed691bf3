//! Workers that step hosts side by side.
//!
//! A list of hosts and what is to be done with each in; afterwards it has been done. Always true: a
//! host is in one worker's hands at a time; the caller works too, and is alone if there is one worker or
//! one host, so that small runs pay for no wake-ups. Which hosts, and until when, is
//! [`super::simulation`]'s.
//!
//! # Who takes which host
//!
//! Each worker has a share of the hosts, the same in each round, and takes from the others' shares when its own is
//! done. It keeps to one processor, and so do the guests of the hosts that it steps: they take turns anyway, and waking
//! somebody who sleeps on another processor costs ten times as much as switching to him on this one.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, Scope};

use super::member::{Member, Task};
use super::processors::{Pinning, Processors};

/// The workers of a simulation and its hosts.
pub(super) struct Pool<'env> {
    members: &'env [Mutex<Member>],
    processors: Processors,
    helpers: Vec<Sender<Arc<Job>>>,
    done: Receiver<()>,
}

/// Something to do with some hosts.
struct Job {
    members: Vec<usize>,
    task: Task,
    /// One per worker.
    shares: Vec<Share>,
}

/// A part of a job's members.
struct Share {
    /// The first that nobody has taken yet.
    next: AtomicUsize,
    end: usize,
}

/// Tells the caller that a helper is done, however that came.
struct Done<'a>(&'a Sender<()>);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        let _ = self.0.send(());
    }
}

impl<'env> Pool<'env> {
    /// Start `workers` workers, of which the calling thread is one. They end when the pool is dropped.
    pub(super) fn start<'scope>(
        scope: &'scope Scope<'scope, 'env>,
        members: &'env [Mutex<Member>],
        workers: usize,
        pinning: Pinning,
    ) -> io::Result<Pool<'env>> {
        let processors = Processors::choose(pinning, members.len());
        let (done_to, done) = channel();
        let mut helpers = Vec::new();
        for worker in 1..workers.min(members.len()) {
            let (job_to, jobs) = channel::<Arc<Job>>();
            let done_to = done_to.clone();
            let cpu = processors.of_worker(worker);
            Builder::new().name(format!("shim-worker-{worker}")).spawn_scoped(
                scope,
                move || {
                    Processors::keep_to(cpu);
                    for job in jobs {
                        let _done = Done(&done_to);
                        work(members, &job, worker, cpu);
                    }
                },
            )?;
            helpers.push(job_to);
        }
        Processors::keep_to(processors.of_worker(0));
        Ok(Pool { members, processors, helpers, done })
    }

    /// Do `task` with each of these hosts, and return when all is done.
    pub(super) fn each(&self, members: Vec<usize>, task: Task) {
        let helpers = self.helpers.len().min(members.len().saturating_sub(1));
        let job = Arc::new(Job::new(members, task, helpers + 1));
        let asked =
            self.helpers.iter().take(helpers).filter(|to| to.send(Arc::clone(&job)).is_ok());
        let asked = asked.count();
        work(self.members, &job, 0, self.processors.of_worker(0));
        for _ in 0..asked {
            let _ = self.done.recv();
        }
    }

    /// A host, between two calls of [`Pool::each`].
    pub(super) fn member(&self, index: usize) -> MutexGuard<'env, Member> {
        lock(&self.members[index])
    }

    /// How many hosts there are.
    pub(super) fn len(&self) -> usize {
        self.members.len()
    }
}

impl Job {
    fn new(members: Vec<usize>, task: Task, workers: usize) -> Job {
        let bound = |worker| members.len() * worker / workers;
        let share =
            |worker| Share { next: AtomicUsize::new(bound(worker)), end: bound(worker + 1) };
        Job { shares: (0..workers).map(share).collect(), members, task }
    }

    /// A member that nobody has taken yet, of the share of `worker` if there is one.
    fn take(&self, worker: usize) -> Option<usize> {
        let (before, from) = self.shares.split_at(worker.min(self.shares.len()));
        from.iter().chain(before).find_map(|share| {
            let index = share.next.fetch_add(1, Relaxed);
            (index < share.end).then(|| self.members[index])
        })
    }
}

fn work(members: &[Mutex<Member>], job: &Job, worker: usize, cpu: Option<usize>) {
    while let Some(index) = job.take(worker) {
        lock(&members[index]).carry_out(job.task, cpu);
    }
}

fn lock(member: &Mutex<Member>) -> MutexGuard<'_, Member> {
    member.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use shim_abi::SimTime;

    #[test]
    fn every_member_is_taken_once_and_shares_are_taken_from_the_front() {
        for (count, workers) in [(10, 3), (3, 3), (1, 1), (7, 2)] {
            let job =
                Job::new((100..100 + count).collect(), Task::Stop { now: SimTime::ZERO }, workers);
            let first: Vec<_> = (0..workers).filter_map(|worker| job.take(worker)).collect();
            let own = (0..workers).map(|worker| 100 + count * worker / workers);
            assert_eq!(first, own.collect::<Vec<_>>());
            let mut all = first;
            all.extend(std::iter::from_fn(|| job.take(workers - 1)));
            all.sort_unstable();
            assert_eq!(all, (100..100 + count).collect::<Vec<_>>());
        }
    }
}
