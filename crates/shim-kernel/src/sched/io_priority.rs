//! Priorities of input and output: `ioprio_set`, `ioprio_get`.
//!
//! Whom and a class with a level, in and out. Always true: the real-time class is refused. Regular
//! files are the real machine's, so this has no effect there either.

use alloc::vec;
use alloc::vec::Vec;

use shim_abi::Errno;

use crate::context::{Answer, Context, done};
use crate::ids::VirtualTid;
use crate::sched::Scheduling;

const CLASS_SHIFT: u32 = 13;
const CLASS_MASK: u16 = 7;
const LEVEL_MASK: u16 = 7;

const CLASS_NONE: u16 = 0;
const CLASS_REAL_TIME: u16 = 1;
const CLASS_BEST_EFFORT: u16 = 2;
const CLASS_IDLE: u16 = 3;

const WHO_PROCESS: i32 = 1;
const WHO_GROUP: i32 = 2;
const WHO_USER: i32 = 3;

pub(crate) fn ioprio_set(context: &mut Context<'_>, which: i32, who: i32, value: u32) -> Answer {
    // Linux keeps 16 bits.
    let value = value as u16;
    match value >> CLASS_SHIFT & CLASS_MASK {
        CLASS_REAL_TIME => return Err(Errno::EPERM),
        CLASS_BEST_EFFORT | CLASS_IDLE => {}
        CLASS_NONE if value & LEVEL_MASK == 0 => {}
        _ => return Err(Errno::EINVAL),
    }
    let mut result = Err(Errno::ESRCH);
    for tid in context.threads_by_io_kind(which, who)? {
        if !context.may_schedule_io(tid) {
            return Err(Errno::EPERM);
        }
        context.scheduling_mut(tid)?.io_priority = value;
        result = Ok(());
    }
    result.and_then(|()| done(0))
}

pub(crate) fn ioprio_get(context: &mut Context<'_>, which: i32, who: i32) -> Answer {
    let mut best: Option<u16> = None;
    for tid in context.threads_by_io_kind(which, who)? {
        let scheduling = context.scheduling(tid)?;
        // One process tells what was set, several tell what that comes to.
        let value = match which {
            WHO_PROCESS => scheduling.io_priority,
            _ => effective(scheduling),
        };
        best = Some(best.map_or(value, |best| best.min(value)));
    }
    best.map_or(Err(Errno::ESRCH), |best| done(best.into()))
}

/// What a thread's input and output is treated like: where nothing was set, its nice value decides.
fn effective(scheduling: &Scheduling) -> u16 {
    if scheduling.io_priority >> CLASS_SHIFT & CLASS_MASK != CLASS_NONE {
        return scheduling.io_priority;
    }
    let class = match scheduling.policy {
        libc::SCHED_IDLE => CLASS_IDLE,
        _ => CLASS_BEST_EFFORT,
    };
    class << CLASS_SHIFT | ((scheduling.nice + 20) / 5) as u16
}

impl Context<'_> {
    fn threads_by_io_kind(&self, which: i32, who: i32) -> Result<Vec<VirtualTid>, Errno> {
        Ok(match which {
            WHO_PROCESS => vec![self.find_thread(who)?],
            WHO_GROUP => self.threads_of_group(who),
            WHO_USER if who == 0 => self.threads_of_user(self.guest.user_ids()[0]),
            WHO_USER => self.threads_of_user(who as u32),
            _ => return Err(Errno::EINVAL),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::machine;
    use shim_abi::calls::nr;

    #[test]
    fn classes_are_recorded_as_linux_checks_them() {
        let (mut kernel, mut guest, tid) = machine();
        let mut call = |number, args: [i64; 3]| {
            let [a, b, c] = args.map(|arg| arg as u64);
            kernel.do_call(tid, number, [a, b, c, 0, 0, 0], &mut guest)
        };
        let [inval, srch, perm] = [Errno::EINVAL, Errno::ESRCH, Errno::EPERM].map(Errno::as_return);
        for (number, args, expected) in [
            (nr::ioprio_get, [0, 0, 0], inval),
            (nr::ioprio_get, [1, 0, 0], 0),
            (nr::ioprio_get, [2, 0, 0], 16_388),
            (nr::ioprio_get, [3, 0, 0], 16_388),
            (nr::ioprio_get, [1, 999_999, 0], srch),
            (nr::ioprio_get, [2, 999_999, 0], srch),
            (nr::ioprio_get, [3, 999_999, 0], srch),
            (nr::ioprio_set, [9, 0, 1 << 13], perm),
            (nr::ioprio_set, [9, 0, 2 << 13], inval),
            (nr::ioprio_set, [1, 0, 5], inval),
            (nr::ioprio_set, [1, 0, 4 << 13], inval),
            (nr::ioprio_set, [1, 0, -1], inval),
            (nr::ioprio_set, [1, 1, 2 << 13], perm),
            (nr::ioprio_set, [1, 999_999, 2 << 13], srch),
            (nr::ioprio_set, [1, 0, 2 << 13 | 8], 0),
            (nr::ioprio_get, [1, 0, 0], 16_392),
            (nr::ioprio_set, [1, 0, 3 << 13 | 5], 0),
            (nr::ioprio_get, [1, 0, 0], 24_581),
            (nr::ioprio_set, [1, 0, 1 << 20], 0),
            (nr::ioprio_get, [1, 0, 0], 0),
        ] {
            assert_eq!(call(number, args), expected, "{number} {args:?}");
        }
    }

    #[test]
    fn of_several_threads_the_best_counts() {
        let (mut kernel, mut guest, first) = machine();
        let (_, second) = kernel.spawn(shim_abi::SimTime::ZERO, "other");
        for (tid, value) in [(first, 3 << 13 | 5), (second, 2 << 13 | 7)] {
            let args = [WHO_PROCESS as u64, 0, value, 0, 0, 0];
            assert_eq!(kernel.do_call(tid, nr::ioprio_set, args, &mut guest), 0);
        }
        let args = [WHO_USER as u64, 0, 0, 0, 0, 0];
        assert_eq!(kernel.do_call(first, nr::ioprio_get, args, &mut guest), 2 << 13 | 7);
    }
}
