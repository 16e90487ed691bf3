//! Waiting for one of several words: `futex_waitv`.
//!
//! A list of words and values in; which of them was woken out. Always true: a thread waits for all of its words
//! or for none; the first wake takes it from all of their queues.

use alloc::vec::Vec;

use shim_abi::Errno;

use super::call::{ANY_BITS, sharing_of};
use super::queue::Role;
use crate::context::{Answer, Context};
use crate::guest::GuestAddr;
use crate::memory::{read_u32, read_words};

/// How many words one call may name.
const MAX_WORDS: u32 = 128;

/// A `struct futex_waitv`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) value: u32,
    pub(super) address: GuestAddr,
    pub(super) flags: u32,
}

impl Entry {
    /// The entry `index` of the list at `list`: EINVAL if nobody could wait for it.
    pub(super) fn read(
        context: &mut Context<'_>,
        list: GuestAddr,
        index: u32,
    ) -> Result<Entry, Errno> {
        const BYTES: u64 = 24;
        let at = list.0.wrapping_add(BYTES * u64::from(index));
        let [value, address, flags] = read_words(context.guest, GuestAddr(at))?;
        // The upper half of the last word is reserved.
        let flags = u32::try_from(flags).map_err(|_| Errno::EINVAL)?;
        sharing_of(flags)?;
        let value = u32::try_from(value).map_err(|_| Errno::EINVAL)?;
        Ok(Entry { value, address: GuestAddr(address), flags })
    }
}

pub(crate) fn futex_waitv(
    context: &mut Context<'_>,
    list: GuestAddr,
    count: u32,
    flags: u32,
    timeout: GuestAddr,
    clock: i32,
) -> Answer {
    if flags != 0 || !(1..=MAX_WORDS).contains(&count) || list.is_null() {
        return Err(Errno::EINVAL);
    }
    let deadline = context.futex2_deadline(timeout, clock)?;
    let mut entries = Vec::new();
    for index in 0..count {
        entries.push(Entry::read(context, list, index)?);
    }
    let mut keys = Vec::new();
    for entry in &entries {
        keys.push(context.futex_key(entry.address, sharing_of(entry.flags)?)?);
    }
    for entry in &entries {
        if read_u32(context.guest, entry.address)? != entry.value {
            return Err(Errno::EAGAIN);
        }
    }
    let tid = context.tid;
    context.kernel.futexes.begin(tid, Errno::ERESTARTSYS, GuestAddr(0));
    for (index, key) in (0..).zip(keys) {
        context.kernel.futexes.add(tid, key, Role::Plain { bits: ANY_BITS, index });
    }
    context.pause_until(deadline)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Bench, at};
    use super::*;
    use crate::outcome::Outcome;
    use crate::testing::DATA;
    use shim_abi::calls::nr;

    const A: u64 = DATA + 256;
    const B: u64 = DATA + 512;
    const TIME: u64 = DATA + 768;
    const WAKE: u64 = libc::FUTEX_WAKE as u64;

    fn wait(bench: &mut Bench, thread: usize, args: [u64; 5]) -> Outcome {
        let [list, count, flags, timeout, clock] = args;
        let args = [list, count, flags, timeout, clock, 0];
        bench.call(thread, nr::futex_waitv, args)
    }

    #[test]
    fn the_first_wake_ends_it_and_names_the_word() {
        let mut bench = Bench::new(3);
        bench.guest.put_words(DATA, &[0, A, 2, 0, B, 2]);
        bench.guest.put_words(TIME, &[103, 0]);
        assert_eq!(wait(&mut bench, 0, [DATA, 2, 0, 0, 0]), Outcome::Park);
        assert_eq!(bench.futex(1, [B, libc::FUTEX_WAIT as u64, 0, 0, 0, 0]), Outcome::Park);
        assert_eq!(bench.futex(2, [B, WAKE, 2, 0, 0, 0]), Outcome::Done(2));
        assert_eq!(bench.resumed(), [(0, Outcome::Done(1)), (1, Outcome::Done(0))]);
        assert_eq!(bench.futex(2, [A, WAKE, 2, 0, 0, 0]), Outcome::Done(0));
        assert_eq!(wait(&mut bench, 0, [DATA, 2, 0, TIME, 1]), Outcome::Park);
        let end = at(3_000_000_000);
        assert_eq!(bench.kernel.next_event(), Some(end));
        bench.kernel.advance(end);
        let timed_out = Outcome::Done(Errno::ETIMEDOUT.as_return());
        assert_eq!(bench.resumed_at(end), [(0, timed_out)]);
    }

    #[test]
    fn one_of_its_places_can_be_moved() {
        let mut bench = Bench::new(2);
        bench.guest.put_words(DATA, &[0, A, 2, 0, B, 2]);
        assert_eq!(wait(&mut bench, 0, [DATA, 2, 0, 0, 0]), Outcome::Park);
        let requeue = libc::FUTEX_REQUEUE as u64;
        assert_eq!(bench.futex(1, [B, requeue, 0, 9, B + 8, 0]), Outcome::Done(1));
        assert_eq!(bench.futex(1, [B + 8, WAKE, 9, 0, 0, 0]), Outcome::Done(1));
        assert_eq!(bench.resumed(), [(0, Outcome::Done(1))]);
        assert_eq!(bench.futex(1, [A, WAKE, 9, 0, 0, 0]), Outcome::Done(0));
    }

    #[test]
    fn errors_come_in_linux_order() {
        let mut bench = Bench::new(1);
        bench.guest.put_words(TIME, &[0, 1, 0, 1_000_000_000]);
        let good = [0, A, 2, 0, B, 2];
        let changed = |at: usize, value| {
            let mut list = good;
            list[at] = value;
            list
        };
        let bad_time = TIME + 16;
        for (list, args, expected) in [
            (good, [DATA, 2, 0, TIME, 2], Errno::EINVAL),
            (good, [DATA, 2, 1, TIME, 1], Errno::EINVAL),
            (good, [DATA, 0, 0, TIME, 1], Errno::EINVAL),
            (good, [DATA, 129, 0, TIME, 1], Errno::EINVAL),
            (good, [0, 1, 0, TIME, 1], Errno::EINVAL),
            (good, [DATA, 2, 0, 8, 1], Errno::EFAULT),
            (good, [DATA, 2, 0, 8, 7], Errno::EINVAL),
            (good, [8, 2, 0, bad_time, 1], Errno::EINVAL),
            (good, [8, 2, 0, 0, 1], Errno::EFAULT),
            (changed(5, 3), [DATA, 2, 0, TIME, 1], Errno::EINVAL),
            (changed(5, 2 | 1 << 32), [DATA, 2, 0, TIME, 1], Errno::EINVAL),
            (changed(3, 1 << 32), [DATA, 2, 0, TIME, 1], Errno::EINVAL),
            (changed(3, 1), [DATA, 2, 0, TIME, 1], Errno::EAGAIN),
            (changed(4, B + 1), [DATA, 2, 0, TIME, 1], Errno::EINVAL),
            (changed(4, 8), [DATA, 2, 0, TIME, 1], Errno::EFAULT),
        ] {
            bench.guest.put_words(DATA, &list);
            let got = wait(&mut bench, 0, args);
            assert_eq!(got, Outcome::Done(expected.as_return()), "{list:x?} {args:x?}");
        }
    }

    #[test]
    fn the_newer_calls_for_one_word_check_in_their_own_order() {
        let mut bench = Bench::new(2);
        bench.guest.put_words(TIME, &[103, 0]);
        let failed = |errno: Errno| Outcome::Done(errno.as_return());
        for (args, expected) in [
            ([A, 0, 0, 2, TIME, 1], Errno::EINVAL),
            ([A, 1 << 32, 1, 2, TIME, 1], Errno::EINVAL),
            ([A, 0, 1 << 32, 2, TIME, 1], Errno::EINVAL),
            ([A, 1, 1, 2, TIME, 1], Errno::EAGAIN),
            ([A, 1, 1, 2, TIME, 5], Errno::EINVAL),
            ([A, 1, 0, 2, 8, 0], Errno::EFAULT),
            ([A, 0, 1, 0, TIME, 1], Errno::EINVAL),
        ] {
            assert_eq!(bench.call(0, nr::futex_wait, args), failed(expected), "{args:x?}");
        }
        assert_eq!(bench.call(0, nr::futex_wait, [A, 0, 6, 2, TIME, 1]), Outcome::Park);
        for (args, expected) in [
            ([A, 0, 1, 2, 0, 0], Errno::EINVAL.as_return()),
            ([A, 1 << 32, 1, 2, 0, 0], Errno::EINVAL.as_return()),
            ([A, 4, 0, 0, 0, 0], Errno::EINVAL.as_return()),
            ([A, 4, 0, 16, 0, 0], Errno::EINVAL.as_return()),
            ([A + 1, 4, 0, 2, 0, 0], Errno::EINVAL.as_return()),
            ([A, 4, 0, 2, 0, 0], 0),
            ([A, 1, 1, 2, 0, 0], 0),
            ([A, 4, 1, 130, 0, 0], 0),
            ([A, 4, 1, 2, 0, 0], 1),
        ] {
            let got = bench.call(1, nr::futex_wake, args);
            assert_eq!(got, Outcome::Done(expected), "{args:x?}");
        }
        assert_eq!(bench.resumed(), [(0, Outcome::Done(0))]);
        bench.guest.actions.insert(15, 0x1234);
        assert_eq!(bench.call(0, nr::futex_wait, [A, 0, 6, 2, TIME, 1]), Outcome::Park);
        assert_eq!(bench.signal(0, 15), [(0, failed(Errno::ERESTARTSYS))]);
    }
}
