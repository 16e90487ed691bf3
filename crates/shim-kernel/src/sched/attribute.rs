//! `sched_setattr`, `sched_getattr`: policies with a structure that grows.
//!
//! A `struct sched_attr` in and out. Always true: its size is negotiated as Linux does it (a larger
//! structure is accepted if the unknown rest is zero, and the known size is stored when it is not).
//! Utilisation clamps are not offered, as on a Linux built without them.

use alloc::vec;

use shim_abi::Errno;

use super::policy::Change;
use crate::context::{Answer, Context, done};
use crate::guest::GuestAddr;
use crate::memory::{Layout, read_u32, u32_at, u64_at};

/// Size of the first published structure.
const FIRST_BYTES: u32 = 48;
/// Size of the structure that is known here.
const KNOWN_BYTES: u32 = 56;
const PAGE_BYTES: u32 = 4096;

mod flag {
    pub(super) const RESET_ON_FORK: u64 = 0x01;
    pub(super) const KEEP_POLICY: u64 = 0x08;
    pub(super) const KEEP_PARAMS: u64 = 0x10;
    pub(super) const CLAMPS: u64 = 0x60;
    /// Those above, and two that concern SCHED_DEADLINE.
    pub(super) const ALL: u64 = 0x7f;
}

pub(crate) fn sched_setattr(
    context: &mut Context<'_>,
    pid: i32,
    from: GuestAddr,
    flags: u32,
) -> Answer {
    if pid < 0 || from.is_null() || flags != 0 {
        return Err(Errno::EINVAL);
    }
    let attr = context.read_attr(from)?;
    let attr_flags = u64_at(&attr, 8);
    let policy = u32_at(&attr, 4) as i32;
    let size = u32_at(&attr, 0);
    if attr_flags & flag::CLAMPS != 0 && size < KNOWN_BYTES {
        return Err(Errno::EINVAL);
    }
    if policy < 0 {
        return Err(Errno::EINVAL);
    }
    let tid = context.find_thread(pid)?;
    if attr_flags & !flag::ALL != 0 {
        return Err(Errno::EINVAL);
    }
    let keeps_policy = attr_flags & flag::KEEP_POLICY != 0;
    let keeps_parameters = attr_flags & flag::KEEP_PARAMS != 0;
    let nice = (u32_at(&attr, 16) as i32).clamp(-20, 19);
    let [runtime, deadline, period] = [24, 32, 40].map(|at| u64_at(&attr, at));
    let change = Change {
        policy: (!keeps_policy).then_some((policy, attr_flags & flag::RESET_ON_FORK != 0)),
        priority: u32_at(&attr, 20),
        nice: (!keeps_parameters).then_some(nice),
        is_deadline_valid: is_deadline_valid(runtime, deadline, period),
        keeps_parameters,
    };
    if attr_flags & flag::CLAMPS != 0 {
        context.check_policy(tid, change)?;
        return Err(Errno::EOPNOTSUPP);
    }
    context.change_policy(tid, change)
}

pub(crate) fn sched_getattr(
    context: &mut Context<'_>,
    pid: i32,
    to: GuestAddr,
    bytes: u32,
    flags: u32,
) -> Answer {
    if pid < 0 || to.is_null() || !(FIRST_BYTES..=PAGE_BYTES).contains(&bytes) || flags != 0 {
        return Err(Errno::EINVAL);
    }
    let scheduling = context.scheduling(context.find_thread(pid)?)?;
    let used = bytes.min(KNOWN_BYTES);
    let mut attr = Layout::<{ KNOWN_BYTES as usize }>::new();
    attr.u32(0, used);
    attr.u32(4, scheduling.policy as u32);
    attr.u64(8, if scheduling.is_reset_on_fork { flag::RESET_ON_FORK } else { 0 });
    attr.u32(16, scheduling.nice as u32);
    attr.u32(20, scheduling.real_time_priority);
    // What the caller has room for beyond the structure is cleared.
    let mut all = vec![0; bytes as usize];
    all[..used as usize].copy_from_slice(&attr.bytes()[..used as usize]);
    context.guest.write(to, &all)?;
    done(0)
}

/// Whether the parameters of SCHED_DEADLINE are in order: runtime <= deadline <= period, and not so
/// short or so long that Linux cannot count.
fn is_deadline_valid(runtime: u64, deadline: u64, period: u64) -> bool {
    const SHORTEST_RUNTIME_NS: u64 = 1 << 10;
    const SHORTEST_PERIOD_NS: u64 = 100_000;
    const LONGEST_PERIOD_NS: u64 = (1 << 22) * 1_000;
    let period = if period == 0 { deadline } else { period };
    deadline != 0
        && runtime >= SHORTEST_RUNTIME_NS
        && deadline >> 63 == 0
        && period >> 63 == 0
        && runtime <= deadline
        && deadline <= period
        && (SHORTEST_PERIOD_NS..=LONGEST_PERIOD_NS).contains(&period)
}

impl Context<'_> {
    /// Read a structure of whatever size; it is returned at the size that is known here.
    fn read_attr(&mut self, from: GuestAddr) -> Result<[u8; KNOWN_BYTES as usize], Errno> {
        let said = read_u32(self.guest, from)?;
        let size = if said == 0 { FIRST_BYTES } else { said };
        if !(FIRST_BYTES..=PAGE_BYTES).contains(&size) {
            return self.refuse_size(from);
        }
        let mut bytes = vec![0; size as usize];
        self.guest.read(from, &mut bytes)?;
        if bytes.iter().skip(KNOWN_BYTES as usize).any(|&byte| byte != 0) {
            return self.refuse_size(from);
        }
        let mut attr = [0; KNOWN_BYTES as usize];
        let used = bytes.len().min(attr.len());
        attr[..used].copy_from_slice(&bytes[..used]);
        let mut attr = Layout::from_bytes(attr);
        attr.u32(0, size);
        Ok(*attr.bytes())
    }

    /// Tell the caller the size that is known here.
    fn refuse_size<T>(&mut self, at: GuestAddr) -> Result<T, Errno> {
        // That it cannot be stored changes nothing.
        let _ = self.guest.write(at, &KNOWN_BYTES.to_le_bytes());
        Err(Errno::E2BIG)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{DATA, machine};
    use shim_abi::calls::nr;

    /// Words of a structure: size and policy, flags, nice and priority.
    fn attr(size: u64, policy: u64, flags: u64, nice: i32, priority: u64) -> [u64; 13] {
        let mut words = [0; 13];
        words[0] = size | policy << 32;
        words[1] = flags;
        words[2] = u64::from(nice as u32) | priority << 32;
        words
    }

    #[test]
    fn changes_are_those_that_linux_allows() {
        let (mut kernel, mut guest, tid) = machine();
        let mut set = |words: [u64; 13]| {
            guest.put_words(DATA, &words);
            kernel.do_call(tid, nr::sched_setattr, [0, DATA, 0, 0, 0, 0], &mut guest)
        };
        let [perm, inval, not_supported, big] =
            [Errno::EPERM, Errno::EINVAL, Errno::EOPNOTSUPP, Errno::E2BIG].map(Errno::as_return);
        assert_eq!(set(attr(56, 0, 0, 5, 0)), 0);
        assert_eq!(set(attr(56, 0, 0, 4, 0)), perm);
        assert_eq!(set(attr(0, 0, 0, 6, 0)), 0, "size 0 is the first size");
        assert_eq!(set(attr(56, 0, 0x18, 7, 0)), 0, "keeps everything");
        assert_eq!(set(attr(56, 99, 8, 7, 0)), 0, "keeps the policy");
        assert_eq!(set(attr(56, 3, 0x10, 9, 0)), 0, "keeps the parameters, and so the policy");
        assert_eq!(set(attr(56, 0, 0x20, 7, 0)), not_supported);
        assert_eq!(set(attr(56, 1, 0x20, 7, 5)), perm, "what is forbidden comes first");
        assert_eq!(set(attr(48, 0, 0x20, 7, 0)), inval);
        assert_eq!(set(attr(56, 0, 0x100, 7, 0)), inval);
        assert_eq!(set(attr(56, 0, 0, 7, 3)), inval);
        assert_eq!(set(attr(56, 1, 0, 7, 0)), inval);
        assert_eq!(set(attr(56, 1, 0, 7, 5)), perm);
        assert_eq!(set(attr(56, 6, 0, 7, 0)), inval);
        let mut deadline = attr(56, 6, 0, 7, 0);
        deadline[3..6].copy_from_slice(&[10_000_000, 30_000_000, 30_000_000]);
        assert_eq!(set(deadline), perm);
        assert_eq!(set(attr(56, 0xffff_ffff, 0, 7, 0)), inval);
        assert_eq!(set(attr(104, 0, 0, 8, 0)), 0, "larger, but the rest is zero");
        let mut larger = attr(104, 0, 0, 8, 0);
        larger[12] = 1;
        assert_eq!(set(larger), big);
        assert_eq!(guest.words::<1>(DATA)[0] as u32, 56, "the size that is known");
        let got = kernel.do_call(tid, nr::sched_getattr, [0, DATA, 100, 0, 0, 0], &mut guest);
        assert_eq!(got, 0);
        assert_eq!(guest.words::<3>(DATA), [56, 0, 8]);
    }

    #[test]
    fn sizes_and_pointers_are_checked_first() {
        let (mut kernel, mut guest, tid) = machine();
        guest.put_words(DATA, &attr(56, 0, 0, 0, 0));
        let mut call = |number, args: [i64; 4]| {
            let [a, b, c, d] = args.map(|arg| arg as u64);
            kernel.do_call(tid, number, [a, b, c, d, 0, 0], &mut guest)
        };
        let [fault, inval, srch] =
            [Errno::EFAULT, Errno::EINVAL, Errno::ESRCH].map(Errno::as_return);
        let data = DATA as i64;
        for (number, args, expected) in [
            (nr::sched_setattr, [0, 0, 0, 0], inval),
            (nr::sched_setattr, [0, 8, 0, 0], fault),
            (nr::sched_setattr, [0, data, 1, 0], inval),
            (nr::sched_setattr, [-1, 8, 0, 0], inval),
            (nr::sched_setattr, [999_999, data, 0, 0], srch),
            (nr::sched_getattr, [0, data, 47, 0], inval),
            (nr::sched_getattr, [0, data, 4097, 0], inval),
            (nr::sched_getattr, [0, data, 56, 1], inval),
            (nr::sched_getattr, [999_999, 8, 56, 0], srch),
            (nr::sched_getattr, [0, 8, 56, 0], fault),
        ] {
            assert_eq!(call(number, args), expected, "{number} {args:?}");
        }
    }
}
