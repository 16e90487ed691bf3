//! Waking those who wait for a word, changing another in the same step.
//!
//! Words, counts and sets in; how many were woken out. Always true: at least one waiter is woken even if the
//! count is zero, as on Linux; a waiter for a lock is none of those who can be woken, and meeting one is EINVAL.

use shim_abi::{Errno, SimTime};

use super::call::ANY_BITS;
use super::key::{Key, Sharing};
use super::queue::{End, Role};
use crate::context::{Answer, Context, done};
use crate::guest::GuestAddr;
use crate::ids::VirtualTid;
use crate::kernel::Kernel;
use crate::memory::read_u32;

impl Kernel {
    /// The pause of `tid` is over at `now`.
    pub(super) fn end_pause(&mut self, now: SimTime, tid: VirtualTid, end: End) {
        self.futexes.end(tid, end);
        self.wake_to_look(now, tid);
    }

    /// Wake the first `count` of those who wait for `key` with a set that meets `bits`.
    pub(super) fn wake_key(
        &mut self,
        now: SimTime,
        key: Key,
        count: i32,
        bits: u32,
    ) -> Result<i64, Errno> {
        let (mut woken, mut behind) = (0, 0);
        while let Some((place, waiter)) = self.futexes.next(key, behind) {
            behind = place;
            let Role::Plain { bits: wanted, index } = waiter.role else {
                return Err(Errno::EINVAL);
            };
            if wanted & bits == 0 {
                continue;
            }
            self.end_pause(now, waiter.tid, End::Woken { index });
            woken += 1;
            if woken >= i64::from(count) {
                break;
            }
        }
        Ok(woken)
    }
}

impl Context<'_> {
    /// Wake waiters of a word.
    pub(super) fn wake_word(
        &mut self,
        address: GuestAddr,
        sharing: Sharing,
        count: i32,
        bits: u32,
    ) -> Answer {
        if bits == 0 {
            return Err(Errno::EINVAL);
        }
        let key = self.futex_key(address, sharing)?;
        done(self.kernel.wake_key(self.now, key, count, bits)?)
    }

    /// Change the second word, wake waiters of the first, and waiters of the second if the value that it had
    /// meets a condition.
    pub(super) fn wake_and_change(
        &mut self,
        words: [GuestAddr; 2],
        sharing: Sharing,
        counts: [i32; 2],
        change: u32,
    ) -> Answer {
        let first = self.futex_key(words[0], sharing)?;
        let second = self.futex_key(words[1], sharing)?;
        let change = Change::of(change);
        // An unknown way to change is found before the word is touched, an unknown condition afterwards.
        change.apply(0)?;
        let old = read_u32(self.guest, words[1])?;
        self.guest.write(words[1], &change.apply(old)?.to_le_bytes())?;
        let is_met = change.is_met(old as i32)?;
        let mut woken = self.kernel.wake_key(self.now, first, counts[0], ANY_BITS)?;
        if is_met {
            woken += self.kernel.wake_key(self.now, second, counts[1], ANY_BITS)?;
        }
        done(woken)
    }
}

/// What FUTEX_WAKE_OP does to its second word, and when it wakes there.
#[derive(Clone, Copy, Debug)]
struct Change {
    operation: u32,
    operand: i32,
    comparison: u32,
    value: i32,
}

impl Change {
    fn of(encoded: u32) -> Change {
        const IS_SHIFT: u32 = 8;
        /// The 12 bits that end at `end`, a signed number.
        fn twelve_bits(encoded: u32, end: u32) -> i32 {
            (encoded << (32 - end)) as i32 >> 20
        }
        let mut operand = twelve_bits(encoded, 24);
        if encoded >> 28 & IS_SHIFT != 0 {
            operand = 1 << (operand & 31);
        }
        Change {
            operation: encoded >> 28 & 7,
            operand,
            comparison: encoded >> 24 & 15,
            value: twelve_bits(encoded, 12),
        }
    }

    /// The word's new value.
    fn apply(self, old: u32) -> Result<u32, Errno> {
        let operand = self.operand as u32;
        Ok(match self.operation as i32 {
            libc::FUTEX_OP_SET => operand,
            libc::FUTEX_OP_ADD => old.wrapping_add(operand),
            libc::FUTEX_OP_OR => old | operand,
            libc::FUTEX_OP_ANDN => old & !operand,
            libc::FUTEX_OP_XOR => old ^ operand,
            _ => return Err(Errno::ENOSYS),
        })
    }

    fn is_met(self, old: i32) -> Result<bool, Errno> {
        Ok(match self.comparison as i32 {
            libc::FUTEX_OP_CMP_EQ => old == self.value,
            libc::FUTEX_OP_CMP_NE => old != self.value,
            libc::FUTEX_OP_CMP_LT => old < self.value,
            libc::FUTEX_OP_CMP_LE => old <= self.value,
            libc::FUTEX_OP_CMP_GT => old > self.value,
            libc::FUTEX_OP_CMP_GE => old >= self.value,
            _ => return Err(Errno::ENOSYS),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::Bench;
    use super::*;
    use crate::outcome::Outcome;
    use crate::testing::DATA;
    use std::vec::Vec;

    const WAIT: u64 = libc::FUTEX_WAIT as u64;
    const WAIT_BITSET: u64 = libc::FUTEX_WAIT_BITSET as u64;
    const WAKE: u64 = libc::FUTEX_WAKE as u64;
    const WAKE_BITSET: u64 = libc::FUTEX_WAKE_BITSET as u64;
    const WAKE_OP: u64 = libc::FUTEX_WAKE_OP as u64;
    const PRIVATE: u64 = libc::FUTEX_PRIVATE_FLAG as u64;
    const A: u64 = DATA + 256;
    const B: u64 = DATA + 512;

    fn woken(threads: &[usize]) -> Vec<(usize, Outcome)> {
        threads.iter().map(|&thread| (thread, Outcome::Done(0))).collect()
    }

    #[test]
    fn waiters_are_woken_in_the_order_in_which_they_came() {
        let mut bench = Bench::new(5);
        for thread in [2, 0, 3, 1] {
            assert_eq!(bench.futex(thread, [A, WAIT, 0, 0, 0, 0]), Outcome::Park);
        }
        let mut wake = |count: i32, expected, threads: &[usize]| {
            let got = bench.futex(4, [A, WAKE, count as u64, 0, 0, 0]);
            assert_eq!(got, Outcome::Done(expected));
            assert_eq!(bench.resumed(), woken(threads));
        };
        wake(0, 1, &[2]);
        wake(-5, 1, &[0]);
        wake(i32::MAX, 2, &[3, 1]);
        wake(1, 0, &[]);
    }

    #[test]
    fn a_set_selects_and_the_manner_of_the_word_counts() {
        let mut bench = Bench::new(4);
        for (thread, bits) in [(0, 1), (1, 2), (2, 3)] {
            assert_eq!(bench.futex(thread, [A, WAIT_BITSET, 0, 0, 0, bits]), Outcome::Park);
        }
        let mut wake = |operation, count, bits, expected, threads: &[usize]| {
            let got = bench.futex(3, [A, operation, count, 0, 0, bits]);
            assert_eq!(got, Outcome::Done(expected));
            assert_eq!(bench.resumed(), woken(threads));
        };
        wake(WAKE_BITSET, 9, 0, Errno::EINVAL.as_return(), &[]);
        wake(WAKE_BITSET, 9, 4, 0, &[]);
        wake(WAKE_BITSET | PRIVATE, 9, 2, 0, &[]);
        wake(WAKE_BITSET, 1, 2, 1, &[1]);
        wake(WAKE, 9, 0, 2, &[0, 2]);
        assert_eq!(bench.futex(3, [8, WAKE | PRIVATE, 1, 0, 0, 0]), Outcome::Done(0));
        let fault = Outcome::Done(Errno::EFAULT.as_return());
        assert_eq!(bench.futex(3, [8, WAKE, 1, 0, 0, 0]), fault);
    }

    const fn encode(operation: u32, operand: u32, comparison: u32, value: u32) -> u64 {
        ((operation & 15) << 28 | (comparison & 15) << 24 | (operand & 0xfff) << 12 | value & 0xfff)
            as u64
    }

    #[test]
    fn wake_op_changes_a_word_and_wakes_where_the_condition_holds() {
        for (change, old, new, is_met) in [
            (encode(0, 7, 0, 5), 5_u32, 7_u32, true),
            (encode(0, 7, 0, 5), 6, 7, false),
            (encode(1, 0xfff, 1, 5), 6, 5, true),
            (encode(2, 6, 2, 5), 1, 7, true),
            (encode(3, 6, 3, 5), 5, 1, true),
            (encode(4, 6, 4, 5), 5, 3, false),
            (encode(4, 6, 5, 5), 5, 3, true),
            (encode(8, 33, 2, 0), u32::MAX, 2, true),
            (encode(0, 0, 0, 0xfff), u32::MAX, 0, true),
        ] {
            let mut bench = Bench::new(3);
            bench.futex(0, [A, WAIT, 0, 0, 0, 0]);
            bench.futex(1, [B, WAIT, 0, 0, 0, 0]);
            bench.guest.put_words(B, &[u64::from(old)]);
            let got = bench.futex(2, [A, WAKE_OP, 1, 1, B, change]);
            assert_eq!(got, Outcome::Done(1 + i64::from(is_met)), "{change:#x}");
            assert_eq!(bench.guest.words::<1>(B), [u64::from(new)], "{change:#x}");
            assert_eq!(bench.resumed(), woken(if is_met { &[0, 1] } else { &[0] }));
        }
    }

    #[test]
    fn wake_op_fails_in_linux_order() {
        let mut bench = Bench::new(1);
        let mut call = |second, operation, change| {
            let Outcome::Done(result) = bench.futex(0, [A, operation, 0, 0, second, change]) else {
                panic!("it waits");
            };
            (Errno::from_return(result), bench.guest.words::<1>(B)[0])
        };
        let private = WAKE_OP | PRIVATE;
        assert_eq!(call(B, WAKE_OP, encode(7, 1, 0, 0)), (Some(Errno::ENOSYS), 0));
        assert_eq!(call(8, private, encode(7, 1, 9, 0)), (Some(Errno::ENOSYS), 0));
        assert_eq!(call(8, private, encode(0, 1, 9, 0)), (Some(Errno::EFAULT), 0));
        assert_eq!(call(8, WAKE_OP, encode(7, 1, 9, 0)), (Some(Errno::EFAULT), 0));
        assert_eq!(call(B, WAKE_OP, encode(0, 3, 9, 0)), (Some(Errno::ENOSYS), 3));
        assert_eq!(call(B + 1, WAKE_OP, encode(0, 4, 0, 0)), (Some(Errno::EINVAL), 3));
    }
}
