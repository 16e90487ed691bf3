//! How a thread wants to be scheduled. It is recorded; it has no effect.
//!
//! Policies, priorities and masks in, the same out. Always true: guests are unprivileged: a nice value
//! never falls, real-time policies are refused, SCHED_IDLE is never left. One thread of a host runs at
//! a time whatever it wants. Rooms: `policy` (the calls of sched(7)), `attribute` (their extensible
//! form), `affinity`, `priority` (nice values), `io_priority`.

pub(crate) mod affinity;
pub(crate) mod attribute;
pub(crate) mod io_priority;
pub(crate) mod policy;
pub(crate) mod priority;

use alloc::vec::Vec;

/// What a thread has asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Scheduling {
    /// SCHED_OTHER, SCHED_BATCH or SCHED_IDLE.
    policy: i32,
    is_reset_on_fork: bool,
    /// -20 to 19.
    nice: i32,
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
            is_reset_on_fork: false,
            nice: 0,
            affinity: affinity::all(cpu_count),
            io_priority: 0,
        }
    }
}
