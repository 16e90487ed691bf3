//! How a thread wants to be scheduled. It is recorded; it has no effect.
//!
//! Policies, priorities and masks in, the same out. Always true: for all but those whose effective user id is 0 a nice
//! value never falls, real-time policies are refused, SCHED_IDLE is never left; SCHED_DEADLINE is refused to
//! everybody. One thread of a host runs at a time whatever it wants. Rooms: `policy` (the calls of sched(7)), `attribute` (their extensible
//! form), `affinity`, `priority` (nice values), `io_priority`.

pub(crate) mod affinity;
pub(crate) mod attribute;
pub(crate) mod io_priority;
pub(crate) mod policy;
pub(crate) mod priority;

use alloc::vec::Vec;

use crate::context::{Answer, Context};

/// Everybody who is ready goes first.
pub(crate) fn sched_yield(context: &mut Context<'_>) -> Answer {
    context.park_turn()
}

/// What a thread has asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Scheduling {
    /// Any but SCHED_DEADLINE.
    pub(crate) policy: i32,
    /// 1 to 99 with a real-time policy, else 0.
    pub(crate) real_time_priority: u32,
    is_reset_on_fork: bool,
    /// -20 to 19.
    pub(crate) nice: i32,
    /// CPUs, as words of a mask.
    affinity: Vec<u64>,
    /// Class and level, as `ioprio_get` returns them.
    io_priority: u16,
}

impl Scheduling {
    /// What every thread starts with on a machine of `cpu_count` CPUs.
    pub(crate) fn new(cpu_count: u32) -> Scheduling {
        Scheduling {
            policy: libc::SCHED_OTHER,
            real_time_priority: 0,
            is_reset_on_fork: false,
            nice: 0,
            affinity: affinity::all(cpu_count),
            io_priority: 0,
        }
    }

    /// What a new thread starts with whose parent is scheduled like this.
    pub(crate) fn inherited(&self) -> Scheduling {
        let mut new = self.clone();
        if self.is_reset_on_fork {
            new.is_reset_on_fork = false;
            new.nice = self.nice.max(0);
            if self.real_time_priority != 0 {
                (new.policy, new.real_time_priority, new.nice) = (libc::SCHED_OTHER, 0, 0);
            }
        }
        new
    }
}
