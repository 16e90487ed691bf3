//! The calls of sched(7) that name a policy.
//!
//! Policies and priorities in, the same out. Always true: what a thread may change to, and in which
//! order errors come, is decided in `check_policy` alone, for `sched_setattr` too.

use shim_abi::Errno;

use super::Scheduling;
use crate::context::{Answer, Context, done};
use crate::guest::GuestAddr;
use crate::ids::VirtualTid;
use crate::memory::{read_u32, write_words};

const SCHED_DEADLINE: i32 = 6;
const SCHED_EXT: i32 = 7;
const RESET_ON_FORK: i32 = libc::SCHED_RESET_ON_FORK;
const MAX_PRIORITY: u32 = 99;
/// How long Linux lets a thread of SCHED_RR run, unless told otherwise.
const ROUND_ROBIN_NS: u64 = 100_000_000;

/// A change that a call asks for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Change {
    /// `None`: the policy and the reset flag stay.
    pub(super) policy: Option<(i32, bool)>,
    pub(super) priority: u32,
    /// `None`: it stays.
    pub(super) nice: Option<i32>,
    /// Whether the parameters of SCHED_DEADLINE make sense.
    pub(super) is_deadline_valid: bool,
    /// Change nothing but the reset flag.
    pub(super) keeps_parameters: bool,
}

pub(crate) fn sched_setscheduler(
    context: &mut Context<'_>,
    pid: i32,
    policy: i32,
    param: GuestAddr,
) -> Answer {
    if policy < 0 {
        return Err(Errno::EINVAL);
    }
    let change = Some((policy & !RESET_ON_FORK, policy & RESET_ON_FORK != 0));
    context.set_scheduler(pid, change, param)
}

pub(crate) fn sched_setparam(context: &mut Context<'_>, pid: i32, param: GuestAddr) -> Answer {
    context.set_scheduler(pid, None, param)
}

pub(crate) fn sched_getscheduler(context: &mut Context<'_>, pid: i32) -> Answer {
    if pid < 0 {
        return Err(Errno::EINVAL);
    }
    let scheduling = context.scheduling(context.find_thread(pid)?)?;
    let flag = if scheduling.is_reset_on_fork { RESET_ON_FORK } else { 0 };
    done((scheduling.policy | flag).into())
}

pub(crate) fn sched_getparam(context: &mut Context<'_>, pid: i32, param: GuestAddr) -> Answer {
    if pid < 0 || param.is_null() {
        return Err(Errno::EINVAL);
    }
    let priority = context.scheduling(context.find_thread(pid)?)?.real_time_priority;
    context.guest.write(param, &priority.to_le_bytes())?;
    done(0)
}

pub(crate) fn sched_get_priority_max(_: &mut Context<'_>, policy: i32) -> Answer {
    priority_limit(policy, MAX_PRIORITY.into())
}

pub(crate) fn sched_get_priority_min(_: &mut Context<'_>, policy: i32) -> Answer {
    priority_limit(policy, 1)
}

fn priority_limit(policy: i32, real_time: i64) -> Answer {
    match policy {
        libc::SCHED_FIFO | libc::SCHED_RR => done(real_time),
        libc::SCHED_OTHER | libc::SCHED_BATCH | libc::SCHED_IDLE | SCHED_DEADLINE | SCHED_EXT => {
            done(0)
        }
        _ => Err(Errno::EINVAL),
    }
}

pub(crate) fn sched_rr_get_interval(context: &mut Context<'_>, pid: i32, to: GuestAddr) -> Answer {
    if pid < 0 {
        return Err(Errno::EINVAL);
    }
    let policy = context.scheduling(context.find_thread(pid)?)?.policy;
    // Of a policy other than SCHED_RR it is less than a tick.
    let interval_ns = if policy == libc::SCHED_RR { ROUND_ROBIN_NS } else { 0 };
    write_words(context.guest, to, [0, interval_ns])?;
    done(0)
}

impl Context<'_> {
    pub(super) fn scheduling(&self, tid: VirtualTid) -> Result<&Scheduling, Errno> {
        self.kernel.threads.get(&tid).map(|thread| &thread.scheduling).ok_or(Errno::ESRCH)
    }
    pub(super) fn scheduling_mut(&mut self, tid: VirtualTid) -> Result<&mut Scheduling, Errno> {
        self.kernel.threads.get_mut(&tid).map(|thread| &mut thread.scheduling).ok_or(Errno::ESRCH)
    }

    /// Whether the caller may give itself or others more of the processor.
    pub(super) fn may_raise_priorities(&self) -> bool {
        self.guest.user_ids()[1] == 0
    }

    fn set_scheduler(&mut self, pid: i32, policy: Option<(i32, bool)>, param: GuestAddr) -> Answer {
        if pid < 0 || param.is_null() {
            return Err(Errno::EINVAL);
        }
        let priority = read_u32(self.guest, param)?;
        let tid = self.find_thread(pid)?;
        let change = Change {
            policy,
            priority,
            nice: None,
            is_deadline_valid: false,
            keeps_parameters: false,
        };
        self.change_policy(tid, change)
    }

    /// What a change would come to (policy, reset flag, nice value), as far as the caller may make it.
    pub(super) fn check_policy(
        &self,
        tid: VirtualTid,
        change: Change,
    ) -> Result<(i32, bool, i32), Errno> {
        let now = self.scheduling(tid)?;
        let (policy, is_reset_on_fork) =
            change.policy.unwrap_or((now.policy, now.is_reset_on_fork));
        let is_real_time = matches!(policy, libc::SCHED_FIFO | libc::SCHED_RR);
        match policy {
            libc::SCHED_OTHER | libc::SCHED_BATCH | libc::SCHED_IDLE => {}
            libc::SCHED_FIFO | libc::SCHED_RR => {}
            SCHED_DEADLINE if change.is_deadline_valid => {}
            _ => return Err(Errno::EINVAL),
        }
        if change.priority > MAX_PRIORITY || is_real_time != (change.priority != 0) {
            return Err(Errno::EINVAL);
        }
        let nice = change.nice.unwrap_or(now.nice);
        let is_leaving_idle = now.policy == libc::SCHED_IDLE && policy != libc::SCHED_IDLE;
        let is_raised = (is_fair(policy) && nice < now.nice)
            || is_real_time
            || is_leaving_idle
            || (now.is_reset_on_fork && !is_reset_on_fork);
        let is_allowed = self.may_raise_priorities() || !is_raised;
        if !self.may_schedule(tid) || policy == SCHED_DEADLINE || !is_allowed {
            return Err(Errno::EPERM);
        }
        Ok((policy, is_reset_on_fork, nice))
    }

    /// Change how a thread is scheduled.
    pub(super) fn change_policy(&mut self, tid: VirtualTid, change: Change) -> Answer {
        let (policy, is_reset_on_fork, nice) = self.check_policy(tid, change)?;
        let scheduling = self.scheduling_mut(tid)?;
        scheduling.is_reset_on_fork = is_reset_on_fork;
        if !change.keeps_parameters {
            scheduling.policy = policy;
            scheduling.real_time_priority = change.priority;
            if is_fair(policy) {
                scheduling.nice = nice;
            }
        }
        done(0)
    }
}

/// Whether nice values mean something to a policy.
const fn is_fair(policy: i32) -> bool {
    matches!(policy, libc::SCHED_OTHER | libc::SCHED_BATCH)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{DATA, machine};
    use shim_abi::calls::nr;

    #[test]
    fn an_unprivileged_thread_becomes_idle_for_good() {
        let (mut kernel, mut guest, tid) = machine();
        let mut set = |policy: i32, priority: u64| {
            guest.put_words(DATA, &[priority]);
            let args = [0, policy as u64, DATA, 0, 0, 0];
            kernel.do_call(tid, nr::sched_setscheduler, args, &mut guest)
        };
        let (perm, inval) = (Errno::EPERM.as_return(), Errno::EINVAL.as_return());
        assert_eq!(set(libc::SCHED_BATCH, 0), 0);
        assert_eq!(set(libc::SCHED_BATCH, 1), inval);
        assert_eq!(set(libc::SCHED_FIFO, 0), inval);
        assert_eq!(set(libc::SCHED_FIFO, 1), perm);
        assert_eq!(set(libc::SCHED_RR, 100), inval);
        assert_eq!(set(SCHED_DEADLINE, 0), inval);
        assert_eq!(set(4, 0), inval);
        assert_eq!(set(-1, 0), inval);
        assert_eq!(set(libc::SCHED_OTHER | RESET_ON_FORK, 0), 0);
        assert_eq!(set(libc::SCHED_OTHER, 0), perm, "the flag stays");
        assert_eq!(set(libc::SCHED_IDLE | RESET_ON_FORK, 0), 0);
        assert_eq!(set(libc::SCHED_OTHER | RESET_ON_FORK, 0), perm);
        let got = kernel.do_call(tid, nr::sched_getscheduler, [0; 6], &mut guest);
        assert_eq!(got, i64::from(libc::SCHED_IDLE | RESET_ON_FORK));
    }

    #[test]
    fn the_superuser_has_real_time_policies() {
        let (mut kernel, mut guest, tid) = machine();
        guest.users = [0; 3];
        let mut call = |number, args: [u64; 3]| {
            let [a, b, c] = args;
            kernel.do_call(tid, number, [a, b, c, 0, 0, 0], &mut guest)
        };
        let round_robin = (libc::SCHED_RR | RESET_ON_FORK) as u64;
        assert_eq!(call(nr::sched_setscheduler, [0, round_robin, DATA]), Errno::EINVAL.as_return());
        guest.put_words(DATA, &[89]);
        let mut call = |number, args: [u64; 3]| {
            let [a, b, c] = args;
            kernel.do_call(tid, number, [a, b, c, 0, 0, 0], &mut guest)
        };
        assert_eq!(call(nr::sched_setscheduler, [0, round_robin, DATA]), 0);
        assert_eq!(call(nr::sched_getscheduler, [0; 3]), round_robin as i64);
        assert_eq!(call(nr::sched_getparam, [0, DATA + 8, 0]), 0);
        assert_eq!(call(nr::sched_rr_get_interval, [0, DATA + 16, 0]), 0);
        assert_eq!(guest.words::<3>(DATA + 8), [89, 0, ROUND_ROBIN_NS]);
        let thread = &kernel.threads[&tid];
        assert_eq!(thread.scheduling.inherited(), Scheduling::new(kernel.config.cpu_count));
    }

    #[test]
    fn errors_come_in_linux_order() {
        let (mut kernel, mut guest, tid) = machine();
        let mut call = |number, args: [i64; 3]| {
            let [a, b, c] = args.map(|arg| arg as u64);
            kernel.do_call(tid, number, [a, b, c, 0, 0, 0], &mut guest)
        };
        let [fault, inval, srch, perm] =
            [Errno::EFAULT, Errno::EINVAL, Errno::ESRCH, Errno::EPERM].map(Errno::as_return);
        let data = DATA as i64;
        for (number, args, expected) in [
            (nr::sched_setscheduler, [0, 0, 0], inval),
            (nr::sched_setscheduler, [0, 0, 8], fault),
            (nr::sched_setscheduler, [-1, 0, 8], inval),
            (nr::sched_setscheduler, [999_999, 0, 8], fault),
            (nr::sched_setscheduler, [999_999, 0x2000_0000, data], srch),
            (nr::sched_setscheduler, [1, 0, data], perm),
            (nr::sched_setscheduler, [1, 1, data], inval),
            (nr::sched_getscheduler, [-1, 0, 0], inval),
            (nr::sched_getscheduler, [999_999, 0, 0], srch),
            (nr::sched_setparam, [-1, 8, 0], inval),
            (nr::sched_setparam, [0, 8, 0], fault),
            (nr::sched_setparam, [0, data, 0], 0),
            (nr::sched_getparam, [0, 0, 0], inval),
            (nr::sched_getparam, [999_999, 8, 0], srch),
            (nr::sched_getparam, [0, 8, 0], fault),
            (nr::sched_rr_get_interval, [-1, data, 0], inval),
            (nr::sched_rr_get_interval, [999_999, 8, 0], srch),
            (nr::sched_rr_get_interval, [0, 8, 0], fault),
            (nr::sched_get_priority_max, [1, 0, 0], 99),
            (nr::sched_get_priority_min, [2, 0, 0], 1),
            (nr::sched_get_priority_max, [7, 0, 0], 0),
            (nr::sched_get_priority_min, [4, 0, 0], inval),
        ] {
            assert_eq!(call(number, args), expected, "{number} {args:?}");
        }
    }
}
