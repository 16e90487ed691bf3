//! Notices a guest that computes without making a call, and preempts it.
//!
//! Looks at a guest that has control in, at most one kick each time its patience is over out. Always true:
//! it looks only while the simulator sleeps anyway, and costs a wait that ends soon nothing; what counts
//! is processor time that the guest's process used, whose other threads wait meanwhile, so that a busy machine or a stopped guest is nobody's fault; a
//! guest whose shim serves a call, natively or not, is left alone, however long it takes, and so is one for which nothing
//! and nobody waits, because then nobody is helped and the run stays reproducible. What follows from a preemption is
//! the caller's business.
//!
//! Why not count wall time alone: guests that run side by side on few processors would be preempted for
//! waiting for each other, and runs would differ for no reason.

use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use shim_abi::thread::ThreadBlock;

use crate::life::Life;

/// Shortest time between two looks.
const SHORTEST: Duration = Duration::from_millis(1);

/// One wait for a guest that has control.
pub(crate) struct Watchdog<'a> {
    life: &'a Life,
    /// The one thread of the process that has control.
    thread: &'a ThreadBlock,
    /// Processor time without a call that is too much.
    patience: Duration,
    began: Option<Instant>,
    /// The guest when it was last found to have made a call, or to have been preempted.
    seen: Option<Seen>,
}

#[derive(Clone, Copy)]
struct Seen {
    calls: u32,
    used: Duration,
}

impl<'a> Watchdog<'a> {
    pub(crate) fn new(life: &'a Life, thread: &'a ThreadBlock, patience: Duration) -> Watchdog<'a> {
        Watchdog { life, thread, patience, began: None, seen: None }
    }

    /// Look at the guest; how soon to look again.
    pub(crate) fn look(&mut self) -> Duration {
        let Some(began) = self.began else {
            // Most waits end before there is a second look.
            self.began = Some(Instant::now());
            return (self.patience / 8).max(SHORTEST);
        };
        let thread = self.thread;
        let used = self.life.processor_time().unwrap_or_else(|| began.elapsed());
        let now = Seen { calls: thread.calls.load(Relaxed), used };
        let is_serving = thread.is_serving.load(Relaxed) != 0;
        let is_alone = thread.run_until_ns.load(Relaxed) == u64::MAX;
        let left = match self.seen {
            Some(then) if then.calls == now.calls && !is_serving && !is_alone => {
                self.patience.saturating_sub(now.used.saturating_sub(then.used))
            }
            _ => {
                self.seen = Some(now);
                self.patience
            }
        };
        if !left.is_zero() {
            return left.max(SHORTEST);
        }
        self.life.preempt(thread, now.calls);
        // If nothing comes of it: again.
        self.seen = Some(now);
        self.patience.max(SHORTEST)
    }
}
