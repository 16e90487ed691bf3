//! `shmctl`.
//!
//! An id and a command in; descriptions out. Always true: which error comes first is as on Linux; how much of a
//! segment is in real memory is not known here and told as nothing.

use shim_abi::Errno;

use super::ids::PRIVATE;
use super::permission::{Change, READ};
use super::segment::{DOOMED, LOCKED, MAX_BYTES, MAX_SEGMENTS};
use crate::context::{Answer, Context, done};
use crate::guest::GuestAddr;
use crate::memory::{Layout, read_bytes};

/// Bytes of a `struct shmid_ds`, of a `struct shminfo` and of a `struct shm_info`.
const STATUS_BYTES: usize = 112;
const LIMITS_BYTES: usize = 72;
const USAGE_BYTES: usize = 48;

const SHM_STAT: i32 = 13;
const SHM_INFO: i32 = 14;
const SHM_STAT_ANY: i32 = 15;

pub(crate) fn shmctl(context: &mut Context<'_>, id: i32, command: i32, at: GuestAddr) -> Answer {
    if id < 0 {
        return Err(Errno::EINVAL);
    }
    match command {
        libc::IPC_INFO => context.segment_limits(at),
        SHM_INFO => context.segment_usage(at),
        libc::IPC_STAT | SHM_STAT | SHM_STAT_ANY => context.describe_segment(id, command, at),
        libc::IPC_SET => {
            let bytes: [u8; STATUS_BYTES] = read_bytes(context.guest, at)?;
            context.change_segment(id, Change::from_bytes(&bytes))
        }
        libc::IPC_RMID => context.remove_segment(id),
        libc::SHM_LOCK | libc::SHM_UNLOCK => context.lock_segment(id, command == libc::SHM_LOCK),
        _ => Err(Errno::EINVAL),
    }
}

impl Context<'_> {
    fn segment_limits(&mut self, to: GuestAddr) -> Answer {
        let most = u64::from(MAX_SEGMENTS);
        let mut layout = Layout::<LIMITS_BYTES>::new();
        for (i, word) in [MAX_BYTES, 1, most, most, MAX_BYTES].into_iter().enumerate() {
            layout.u64(8 * i, word);
        }
        let max_index = self.kernel.sysv.segments.max_index();
        self.guest.write(to, layout.bytes())?;
        done(max_index)
    }

    fn segment_usage(&mut self, to: GuestAddr) -> Answer {
        let segments = &self.kernel.sysv.segments;
        let mut layout = Layout::<USAGE_BYTES>::new();
        layout.u32(0, segments.len() as u32);
        layout.u64(8, segments.iter().map(|entry| entry.object.pages()).sum());
        let max_index = segments.max_index();
        self.guest.write(to, layout.bytes())?;
        done(max_index)
    }

    fn describe_segment(&mut self, id: i32, command: i32, to: GuestAddr) -> Answer {
        let caller = self.credentials();
        let segments = &self.kernel.sysv.segments;
        let is_by_id = command == libc::IPC_STAT;
        let entry = if is_by_id { segments.find(id)? } else { segments.find_index(id)? };
        if command != SHM_STAT_ANY {
            entry.permission.check(caller, READ)?;
        }
        let segment = &entry.object;
        let mut layout = Layout::<STATUS_BYTES>::new();
        entry.permission.put(&mut layout);
        layout.u64(48, segment.bytes);
        layout.u64(56, segment.attached as u64);
        layout.u64(64, segment.detached as u64);
        layout.u64(72, segment.changed as u64);
        layout.u32(80, segment.maker);
        layout.u32(84, segment.user);
        layout.u64(88, segment.count);
        let result = if is_by_id { 0 } else { entry.permission.id };
        self.guest.write(to, layout.bytes())?;
        done(result.into())
    }

    fn change_segment(&mut self, id: i32, change: Change) -> Answer {
        let (caller, now_secs) = (self.credentials(), self.kernel.realtime_secs(self.now));
        let entry = self.kernel.sysv.segments.find_mut(id)?;
        entry.permission.check_owner(caller)?;
        entry.permission.change(change)?;
        entry.object.changed = now_secs;
        done(0)
    }

    fn remove_segment(&mut self, id: i32) -> Answer {
        let caller = self.credentials();
        let entry = self.kernel.sysv.segments.find_mut(id)?;
        entry.permission.check_owner(caller)?;
        entry.permission.mode |= DOOMED;
        entry.permission.key = PRIVATE;
        self.kernel.end_segment_if_over(id, self.guest);
        done(0)
    }

    /// Nothing is ever swapped out, so that a lock is a bit.
    fn lock_segment(&mut self, id: i32, is_on: bool) -> Answer {
        let (caller, can_lock) = (self.credentials(), self.process().limits.can_lock_memory());
        let entry = self.kernel.sysv.segments.find_mut(id)?;
        entry.permission.check_owner(caller)?;
        if is_on && !can_lock {
            return Err(Errno::EPERM);
        }
        entry.permission.mode = entry.permission.mode & !LOCKED | if is_on { LOCKED } else { 0 };
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
    use shim_abi::calls::{PSEUDO_ATTACHED, nr};

    fn control(bench: &mut Bench, id: i64, command: i32, at: u64) -> i64 {
        bench.done(0, nr::shmctl, &[id as u64, command as u64, at])
    }

    #[test]
    fn a_segment_is_described_changed_locked_and_removed() {
        assert_eq!(size_of::<libc::shmid_ds>(), STATUS_BYTES);
        assert_eq!(offset_of!(libc::shmid_ds, shm_segsz), 48);
        assert_eq!(offset_of!(libc::shmid_ds, shm_ctime), 72);
        assert_eq!(offset_of!(libc::shmid_ds, shm_cpid), 80);
        assert_eq!(offset_of!(libc::shmid_ds, shm_nattch), 88);
        let mut bench = Bench::new(2);
        assert_eq!(bench.done(0, nr::shmget, &[5, 5000, 0o1640]), 0);
        bench.now = SimTime::from_ns(3_000_000_000);
        assert_eq!(bench.done(1, PSEUDO_ATTACHED, &[0, 4096]), 0);
        assert_eq!(control(&mut bench, 0, libc::IPC_STAT, DATA), 0);
        let expected = [5000, 946_684_803, 0, 946_684_800, 1001 << 32 | 1000, 1];
        assert_eq!(bench.guest.words::<12>(DATA)[6..], expected);
        assert_eq!(control(&mut bench, 0, libc::SHM_LOCK, 0), 0);
        assert_eq!(control(&mut bench, 0, SHM_STAT, DATA), 0);
        assert_eq!(bench.guest.words::<12>(DATA)[2] >> 32, 0o2640);
        assert_eq!(control(&mut bench, 0, libc::SHM_UNLOCK, 0), 0);
        assert_eq!(control(&mut bench, 9, SHM_INFO, DATA), 0);
        assert_eq!(bench.guest.words::<2>(DATA), [1, 2], "one of two pages");
        bench.guest.users = bench.guest.users.map(|user| user + 1);
        for command in [libc::IPC_RMID, libc::SHM_LOCK, libc::IPC_SET] {
            assert_eq!(control(&mut bench, 0, command, DATA), Errno::EPERM.as_return());
        }
        bench.guest.users = bench.guest.users.map(|user| user - 1);
        assert_eq!(control(&mut bench, 0, libc::IPC_RMID, 0), 0);
        assert_eq!(control(&mut bench, 0, libc::IPC_STAT, DATA), 0);
        assert_eq!(bench.guest.words::<12>(DATA)[2] >> 32, 0o1640);
    }

    #[test]
    fn errors_come_in_linux_order() {
        let mut bench = Bench::new(1);
        bench.done(0, nr::shmget, &[5, 1, 0o1200]);
        let [inval, fault, access] =
            [Errno::EINVAL, Errno::EFAULT, Errno::EACCES].map(Errno::as_return);
        for (id, command, at, expected) in [
            (-1, libc::IPC_INFO, DATA, inval),
            (9, libc::IPC_INFO, 8, fault),
            (9, SHM_INFO, 8, fault),
            (0, -1, 0, inval),
            (0, 77, 0, inval),
            (9, libc::IPC_SET, 8, fault),
            (9, libc::IPC_SET, DATA, inval),
            (9, libc::SHM_LOCK, 0, inval),
            (0, libc::IPC_STAT, 8, access),
            (0, SHM_STAT, 8, access),
            (0, SHM_STAT_ANY, 8, fault),
        ] {
            assert_eq!(control(&mut bench, id, command, at), expected, "{id} {command} {at:#x}");
        }
    }
}
