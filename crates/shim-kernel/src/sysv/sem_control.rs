//! `semctl`.
//!
//! An id, a semaphore's index and a command in; values and descriptions out. Always true: which error comes first is
//! as on Linux; setting values forgets what was to be undone.

use alloc::vec::Vec;

use shim_abi::Errno;

use super::ids::Entry;
use super::permission::{Change, READ, WRITE};
use super::semaphore::{MAX_OPERATIONS, MAX_PER_SET, MAX_SEMAPHORES, MAX_SETS, MAX_VALUE, Set};
use crate::context::{Answer, Context, done};
use crate::guest::GuestAddr;
use crate::memory::{Layout, read_bytes};

const SEM_STAT_ANY: i32 = 20;
/// Bytes of a `struct semid_ds`.
const STATUS_BYTES: usize = 104;
/// Bytes of a `struct seminfo`.
const INFO_BYTES: usize = 40;

pub(crate) fn semctl(
    context: &mut Context<'_>,
    id: i32,
    index: i32,
    command: i32,
    argument: u64,
) -> Answer {
    if id < 0 {
        return Err(Errno::EINVAL);
    }
    let at = GuestAddr(argument);
    match command {
        libc::IPC_INFO | libc::SEM_INFO => context.semaphore_limits(command, at),
        libc::IPC_STAT | libc::SEM_STAT | SEM_STAT_ANY => context.describe_set(id, command, at),
        libc::GETALL => context.read_values(id, at),
        libc::SETALL => context.write_values(id, at),
        libc::GETVAL | libc::GETPID | libc::GETNCNT | libc::GETZCNT => {
            context.read_semaphore(id, index, command)
        }
        libc::SETVAL => context.write_value(id, index, argument as i32),
        libc::IPC_SET => {
            let bytes: [u8; STATUS_BYTES] = read_bytes(context.guest, at)?;
            context.change_set(id, Change::from_bytes(&bytes))
        }
        libc::IPC_RMID => context.remove_set(id),
        _ => Err(Errno::EINVAL),
    }
}

impl Context<'_> {
    fn semaphore_limits(&mut self, command: i32, to: GuestAddr) -> Answer {
        /// What Linux has always told as the size of an undo structure.
        const UNDO_BYTES: u32 = 20;
        let sets = &self.kernel.sysv.sets;
        let used: usize = sets.iter().map(|entry| entry.object.semaphores.len()).sum();
        let (last_but_two, last) = match command {
            libc::SEM_INFO => (sets.len() as u32, used as u32),
            _ => (UNDO_BYTES, MAX_VALUE as u32),
        };
        let words = [
            MAX_SEMAPHORES,
            MAX_SETS,
            MAX_SEMAPHORES,
            MAX_SEMAPHORES,
            MAX_PER_SET,
            MAX_OPERATIONS,
            MAX_OPERATIONS,
            last_but_two,
            MAX_VALUE as u32,
            last,
        ];
        let mut layout = Layout::<INFO_BYTES>::new();
        for (i, word) in words.into_iter().enumerate() {
            layout.u32(4 * i, word);
        }
        let max_index = sets.max_index();
        self.guest.write(to, layout.bytes())?;
        done(max_index)
    }

    fn describe_set(&mut self, id: i32, command: i32, to: GuestAddr) -> Answer {
        let caller = self.credentials();
        let sets = &self.kernel.sysv.sets;
        let entry = if command == libc::IPC_STAT { sets.find(id)? } else { sets.find_index(id)? };
        if command != SEM_STAT_ANY {
            entry.permission.check(caller, READ)?;
        }
        let set = &entry.object;
        let mut layout = Layout::<STATUS_BYTES>::new();
        entry.permission.put(&mut layout);
        layout.u64(48, set.operated as u64);
        layout.u64(64, set.changed as u64);
        layout.u64(80, set.semaphores.len() as u64);
        let result = if command == libc::IPC_STAT { 0 } else { entry.permission.id };
        self.guest.write(to, layout.bytes())?;
        done(result.into())
    }

    /// A set that the caller may read or write.
    fn accessible_set(&mut self, id: i32, access: u32) -> Result<&mut Entry<Set>, Errno> {
        let caller = self.credentials();
        let entry = self.kernel.sysv.sets.find_mut(id)?;
        entry.permission.check(caller, access)?;
        Ok(entry)
    }

    fn read_values(&mut self, id: i32, to: GuestAddr) -> Answer {
        let set = &self.accessible_set(id, READ)?.object;
        let bytes = |value: i32| (value as u16).to_le_bytes();
        let bytes: Vec<u8> =
            set.semaphores.iter().flat_map(|semaphore| bytes(semaphore.value)).collect();
        self.guest.write(to, &bytes)?;
        done(0)
    }

    fn write_values(&mut self, id: i32, from: GuestAddr) -> Answer {
        let count = self.accessible_set(id, WRITE)?.object.semaphores.len();
        let mut bytes = alloc::vec![0; 2 * count];
        self.guest.read(from, &mut bytes)?;
        let values = bytes.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]]));
        let values: Vec<u16> = values.collect();
        if values.iter().any(|&value| i32::from(value) > MAX_VALUE) {
            return Err(Errno::ERANGE);
        }
        self.set_values(id, (0..).zip(values).collect())
    }

    fn read_semaphore(&mut self, id: i32, index: i32, command: i32) -> Answer {
        let set = &self.accessible_set(id, READ)?.object;
        let index = u16::try_from(index).map_err(|_| Errno::EINVAL)?;
        let semaphore = set.semaphores.get(usize::from(index)).ok_or(Errno::EINVAL)?;
        done(match command {
            libc::GETVAL => semaphore.value.into(),
            libc::GETPID => semaphore.pid.into(),
            _ => set.count_waiting(index, command == libc::GETZCNT) as i64,
        })
    }

    fn write_value(&mut self, id: i32, index: i32, value: i32) -> Answer {
        if !(0..=MAX_VALUE).contains(&value) {
            return Err(Errno::ERANGE);
        }
        let count = self.kernel.sysv.sets.find(id)?.object.semaphores.len();
        let index = u16::try_from(index).ok().filter(|&index| usize::from(index) < count);
        let index = index.ok_or(Errno::EINVAL)?;
        self.accessible_set(id, WRITE)?;
        self.set_values(id, Vec::from([(index, value as u16)]))
    }

    fn set_values(&mut self, id: i32, values: Vec<(u16, u16)>) -> Answer {
        let (pid, now_secs) = (self.pid, self.kernel.realtime_secs(self.now));
        let set = &mut self.kernel.sysv.sets.find_mut(id)?.object;
        set.set_values(pid, values.into_iter());
        set.changed = now_secs;
        self.kernel.retry_set(self.now, id);
        done(0)
    }

    fn change_set(&mut self, id: i32, change: Change) -> Answer {
        let (caller, now_secs) = (self.credentials(), self.kernel.realtime_secs(self.now));
        let entry = self.kernel.sysv.sets.find_mut(id)?;
        entry.permission.check_owner(caller)?;
        entry.permission.change(change)?;
        entry.object.changed = now_secs;
        done(0)
    }

    fn remove_set(&mut self, id: i32) -> Answer {
        let caller = self.credentials();
        self.kernel.sysv.sets.find(id)?.permission.check_owner(caller)?;
        let entry = self.kernel.sysv.sets.remove(id)?;
        let waiting = entry.object.into_waiting();
        let finished = waiting.map(|tid| (tid, Err(Errno::EIDRM))).collect();
        self.kernel.end_calls_at_set(self.now, finished);
        done(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::DATA;
    use crate::testing::bench::Bench;
    use core::mem::offset_of;
    use shim_abi::SimTime;
    use shim_abi::calls::nr;

    fn bench_with_set(mode: u64) -> Bench {
        let mut bench = Bench::new(1);
        assert_eq!(bench.done(0, nr::semget, &[7, 2, 0o1000 | mode]), 0);
        bench
    }

    fn control(bench: &mut Bench, id: i64, index: u64, command: i32, argument: u64) -> i64 {
        bench.done(0, nr::semctl, &[id as u64, index, command as u64, argument])
    }

    #[test]
    fn errors_come_in_linux_order() {
        let mut bench = bench_with_set(0o200);
        let [inval, fault, access, range] =
            [Errno::EINVAL, Errno::EFAULT, Errno::EACCES, Errno::ERANGE].map(Errno::as_return);
        bench.guest.put_words(DATA, &[0x8000]);
        for (id, index, command, argument, expected) in [
            (-1, 0, 99, 0, inval),
            (0, 0, 99, 0, inval),
            (0, 0, libc::GETVAL | 0x100, 0, inval),
            (-1, 0, libc::IPC_INFO, DATA, inval),
            (9, 0, libc::IPC_INFO, 8, fault),
            (9, 0, libc::IPC_STAT, 8, inval),
            (9, 0, libc::IPC_SET, 8, fault),
            (9, 0, libc::IPC_SET, DATA, inval),
            (0, 9, libc::GETVAL, 0, access),
            (0, 0, libc::IPC_STAT, 8, access),
            (0, 0, libc::SEM_STAT, 8, access),
            (0, 0, SEM_STAT_ANY, 8, fault),
            (0, 0, libc::GETALL, 8, access),
            (9, 9, libc::SETVAL, 32_768, range),
            (0, 9, libc::SETVAL, u64::MAX, range),
            (0, 9, libc::SETVAL, 1, inval),
            (0, 0, libc::SETALL, 8, fault),
            (0, 0, libc::SETALL, DATA, range),
        ] {
            let got = control(&mut bench, id, index, command, argument);
            assert_eq!(got, expected, "{id} {index} {command} {argument:#x}");
        }
    }

    #[test]
    fn values_are_set_and_told() {
        let mut bench = bench_with_set(0o600);
        bench.guest.put_words(DATA, &[5 << 16 | 4]);
        assert_eq!(control(&mut bench, 0, 0, libc::SETALL, DATA), 0);
        assert_eq!(control(&mut bench, 0, 1, libc::GETVAL, 0), 5);
        assert_eq!(control(&mut bench, 0, 0, libc::SETVAL, 9), 0);
        assert_eq!(control(&mut bench, 0, 0, libc::GETALL, DATA + 8), 0);
        assert_eq!(bench.guest.words::<1>(DATA + 8), [5 << 16 | 9]);
        assert_eq!(control(&mut bench, 0, 0, libc::GETPID, 0), 1000);
        assert_eq!(control(&mut bench, 0, 2, libc::GETVAL, 0), Errno::EINVAL.as_return());
    }

    #[test]
    fn a_set_is_described_changed_and_removed() {
        assert_eq!(size_of::<libc::semid_ds>(), STATUS_BYTES);
        assert_eq!(offset_of!(libc::semid_ds, sem_otime), 48);
        assert_eq!(offset_of!(libc::semid_ds, sem_ctime), 64);
        assert_eq!(offset_of!(libc::semid_ds, sem_nsems), 80);
        assert_eq!(size_of::<libc::seminfo>(), INFO_BYTES);
        let mut bench = bench_with_set(0o640);
        bench.now = SimTime::from_ns(3_000_000_000);
        assert_eq!(control(&mut bench, 0, 0, libc::IPC_STAT, DATA), 0);
        let status = bench.guest.words::<13>(DATA);
        assert_eq!(status[0], u64::from(crate::testing::UID) << 32 | 7);
        assert_eq!([status[6], status[8], status[10]], [0, 946_684_800, 2]);
        bench.guest.put_words(DATA + 16, &[0o7777 << 32]);
        assert_eq!(control(&mut bench, 0, 0, libc::IPC_SET, DATA), 0);
        assert_eq!(control(&mut bench, 0, 0, libc::SEM_STAT, DATA), 0);
        let status = bench.guest.words::<13>(DATA);
        assert_eq!([status[2] >> 32, status[8]], [0o777, 946_684_803]);
        assert_eq!(control(&mut bench, 5, 0, libc::SEM_INFO, DATA), 0);
        assert_eq!(bench.guest.words::<5>(DATA)[3] >> 32, 1, "one set");
        assert_eq!(bench.guest.words::<5>(DATA)[4] >> 32, 2, "of two");
        bench.guest.users = bench.guest.users.map(|user| user + 1);
        assert_eq!(control(&mut bench, 0, 0, libc::IPC_RMID, 0), Errno::EPERM.as_return());
        bench.guest.users = bench.guest.users.map(|user| user - 1);
        assert_eq!(control(&mut bench, 0, 0, libc::IPC_RMID, 0), 0);
        assert_eq!(control(&mut bench, 0, 0, libc::GETVAL, 0), Errno::EINVAL.as_return());
        assert_eq!(bench.done(0, nr::semget, &[7, 2, 0o1600]), 1);
    }
}
