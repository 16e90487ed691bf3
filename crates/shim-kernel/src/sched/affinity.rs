//! CPUs on which a thread may run: `sched_setaffinity`, `sched_getaffinity`.
//!
//! Masks in, masks out. Always true: a recorded mask holds at least one CPU of the machine and none
//! that it does not have. Which CPU a guest sees itself on is the guest's business.

use alloc::vec;
use alloc::vec::Vec;

use shim_abi::Errno;

use crate::context::{Answer, Context, done};
use crate::guest::GuestAddr;
use crate::memory::u64_at;

const WORD_BYTES: usize = 8;

/// The mask of all CPUs of a machine.
pub(super) fn all(cpu_count: u32) -> Vec<u64> {
    let count = cpu_count.max(1) as usize;
    let mut mask = vec![u64::MAX; count.div_ceil(64)];
    if !count.is_multiple_of(64)
        && let Some(last) = mask.last_mut()
    {
        *last = (1 << (count % 64)) - 1;
    }
    mask
}

pub(crate) fn sched_setaffinity(
    context: &mut Context<'_>,
    pid: i32,
    bytes: u32,
    from: GuestAddr,
) -> Answer {
    let possible = all(context.kernel.config.cpu_count);
    // A longer mask is cut, a shorter one filled with zeroes.
    let mut raw = vec![0; possible.len() * WORD_BYTES];
    let used = raw.len().min(bytes as usize);
    context.guest.read(from, &mut raw[..used])?;
    let tid = context.find_thread(pid)?;
    if !context.may_schedule(tid) {
        return Err(Errno::EPERM);
    }
    let word = |(i, possible): (usize, &u64)| u64_at(&raw, i * WORD_BYTES) & possible;
    let mask: Vec<u64> = possible.iter().enumerate().map(word).collect();
    if mask.iter().all(|&word| word == 0) {
        return Err(Errno::EINVAL);
    }
    context.scheduling_mut(tid)?.affinity = mask;
    done(0)
}

pub(crate) fn sched_getaffinity(
    context: &mut Context<'_>,
    pid: i32,
    bytes: u32,
    to: GuestAddr,
) -> Answer {
    let is_too_small = u64::from(bytes) * 8 < u64::from(context.kernel.config.cpu_count.max(1));
    if is_too_small || !(bytes as usize).is_multiple_of(WORD_BYTES) {
        return Err(Errno::EINVAL);
    }
    let tid = context.find_thread(pid)?;
    let mask = &context.scheduling(tid)?.affinity;
    let mut raw: Vec<u8> = mask.iter().flat_map(|word| word.to_le_bytes()).collect();
    raw.truncate(bytes as usize);
    context.guest.write(to, &raw)?;
    done(raw.len() as i64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{DATA, machine};
    use shim_abi::calls::nr;

    #[test]
    fn masks_have_a_bit_a_cpu() {
        assert_eq!(all(1), [1]);
        assert_eq!(all(2), [3]);
        assert_eq!(all(64), [u64::MAX]);
        assert_eq!(all(65), [u64::MAX, 1]);
        assert_eq!(all(0), [1]);
    }

    #[test]
    fn errors_come_in_linux_order() {
        let (mut kernel, mut guest, tid) = machine();
        let mut set = |pid: u64, bytes, at| {
            kernel.do_call(tid, nr::sched_setaffinity, [pid, bytes, at, 0, 0, 0], &mut guest)
        };
        assert_eq!(set(999_999, 8, 8), Errno::EFAULT.as_return());
        assert_eq!(set(0, 0, 8), Errno::EINVAL.as_return());
        assert_eq!(set(0, 8, DATA), Errno::EINVAL.as_return(), "an empty mask");
        assert_eq!(set(1, 8, DATA), Errno::EPERM.as_return());
        guest.put_words(DATA, &[0xffff_fff1]);
        let mut both = |number, pid: u64, bytes, at| {
            kernel.do_call(tid, number, [pid, bytes, at, 0, 0, 0], &mut guest)
        };
        assert_eq!(both(nr::sched_setaffinity, 999_999, 8, DATA), Errno::ESRCH.as_return());
        assert_eq!(both(nr::sched_setaffinity, 0, 1, DATA), 0, "one byte is enough");
        assert_eq!(both(nr::sched_getaffinity, 999_999, 4, DATA), Errno::EINVAL.as_return());
        assert_eq!(both(nr::sched_getaffinity, 999_999, 8, DATA), Errno::ESRCH.as_return());
        assert_eq!(both(nr::sched_getaffinity, 0, 12, DATA), Errno::EINVAL.as_return());
        assert_eq!(both(nr::sched_getaffinity, 0, 0, DATA), Errno::EINVAL.as_return());
        assert_eq!(both(nr::sched_getaffinity, 0, 8, 8), Errno::EFAULT.as_return());
        assert_eq!(both(nr::sched_getaffinity, 0, 128, DATA), 8);
        assert_eq!(guest.words::<1>(DATA), [0b01], "the machine has two CPUs");
    }
}
