//! Nice values: `getpriority`, `setpriority`.
//!
//! Whom and how nice, in and out. Always true: a nice value never falls (EACCES) unless the caller's effective user id
//! is 0. The call returns
//! 20 minus the nice value, as Linux does; libc turns that round.

use alloc::vec;
use alloc::vec::Vec;

use shim_abi::Errno;

use crate::context::{Answer, Context, done};
use crate::ids::VirtualTid;

pub(crate) fn getpriority(context: &mut Context<'_>, which: i32, who: i32) -> Answer {
    let mut best = None;
    for tid in context.threads_by_priority_kind(which, who)? {
        best = best.max(Some(20 - context.scheduling(tid)?.nice));
    }
    best.map_or(Err(Errno::ESRCH), |best| done(best.into()))
}

pub(crate) fn setpriority(context: &mut Context<'_>, which: i32, who: i32, nice: i32) -> Answer {
    let nice = nice.clamp(-20, 19);
    let mut result = Err(Errno::ESRCH);
    for tid in context.threads_by_priority_kind(which, who)? {
        let (may_schedule, may_raise) = (context.may_schedule(tid), context.may_raise_priorities());
        let scheduling = context.scheduling_mut(tid)?;
        if !may_schedule {
            result = Err(Errno::EPERM);
        } else if nice < scheduling.nice && !may_raise {
            result = Err(Errno::EACCES);
        } else {
            scheduling.nice = nice;
            if result == Err(Errno::ESRCH) {
                result = Ok(());
            }
        }
    }
    result.and_then(|()| done(0))
}

impl Context<'_> {
    fn threads_by_priority_kind(&self, which: i32, who: i32) -> Result<Vec<VirtualTid>, Errno> {
        const PROCESS: i32 = libc::PRIO_PROCESS as i32;
        const GROUP: i32 = libc::PRIO_PGRP as i32;
        const USER: i32 = libc::PRIO_USER as i32;
        Ok(match which {
            PROCESS => vec![self.find_thread(who)?],
            GROUP => self.threads_of_group(who),
            USER if who == 0 => self.threads_of_user(self.guest.user_ids()[0]),
            USER => self.threads_of_user(who as u32),
            _ => return Err(Errno::EINVAL),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{UID, machine};
    use shim_abi::calls::nr;

    #[test]
    fn being_nice_is_for_good() {
        let (mut kernel, mut guest, tid) = machine();
        let mut call = |number, args: [i64; 3]| {
            let [a, b, c] = args.map(|arg| arg as u64);
            kernel.do_call(tid, number, [a, b, c, 0, 0, 0], &mut guest)
        };
        let [inval, srch, perm, acces] =
            [Errno::EINVAL, Errno::ESRCH, Errno::EPERM, Errno::EACCES].map(Errno::as_return);
        for (number, args, expected) in [
            (nr::getpriority, [3, 0, 0], inval),
            (nr::getpriority, [-1, 0, 0], inval),
            (nr::getpriority, [0, 999_999, 0], srch),
            (nr::getpriority, [0, -1, 0], srch),
            (nr::getpriority, [1, 999_999, 0], srch),
            (nr::getpriority, [2, 999_999, 0], srch),
            (nr::getpriority, [0, 1, 0], 20),
            (nr::setpriority, [0, 0, -100], acces),
            (nr::setpriority, [1, 0, 3], 0),
            (nr::getpriority, [2, UID.into(), 0], 17),
            (nr::setpriority, [0, 0, 100], 0),
            (nr::getpriority, [0, 0, 0], 1),
            (nr::setpriority, [2, 0, 18], acces),
            (nr::setpriority, [0, 1, 19], perm),
            (nr::setpriority, [3, 0, 0], inval),
            (nr::setpriority, [0, 999_999, 0], srch),
        ] {
            assert_eq!(call(number, args), expected, "{number} {args:?}");
        }
    }
}
