//! `msgctl`.
//!
//! An id and a command in; descriptions out. Always true: which error comes first is as on Linux; nobody may make a
//! queue larger than it was made.

use alloc::vec::Vec;

use shim_abi::Errno;

use super::message::{Finished, MAX_MESSAGE, MAX_QUEUE_BYTES, MAX_QUEUES};
use super::permission::{Change, READ};
use crate::context::{Answer, Context, done};
use crate::guest::GuestAddr;
use crate::memory::{Layout, read_bytes, u64_at};

/// Bytes of a `struct msqid_ds`, and where the largest size of a queue stands in one.
const STATUS_BYTES: usize = 120;
const MAX_BYTES_AT: usize = 88;
/// Bytes of a `struct msginfo`.
const INFO_BYTES: usize = 32;

const MSG_STAT: i32 = 11;
const MSG_INFO: i32 = 12;
const MSG_STAT_ANY: i32 = 13;

pub(crate) fn msgctl(context: &mut Context<'_>, id: i32, command: i32, at: GuestAddr) -> Answer {
    if id < 0 {
        return Err(Errno::EINVAL);
    }
    match command {
        libc::IPC_INFO | MSG_INFO => context.message_limits(command, at),
        libc::IPC_STAT | MSG_STAT | MSG_STAT_ANY => context.describe_queue(id, command, at),
        libc::IPC_SET => {
            let bytes: [u8; STATUS_BYTES] = read_bytes(context.guest, at)?;
            context.change_queue(id, Change::from_bytes(&bytes), u64_at(&bytes, MAX_BYTES_AT))
        }
        libc::IPC_RMID => context.remove_queue(id),
        _ => Err(Errno::EINVAL),
    }
}

impl Context<'_> {
    fn message_limits(&mut self, command: i32, to: GuestAddr) -> Answer {
        const SEGMENT_BYTES: u32 = 16;
        const SEGMENTS: u32 = 0xffff;
        let queues = &self.kernel.sysv.queues;
        let sizes = queues.iter().map(|entry| entry.object.size());
        let (messages, bytes) = sizes.fold((0, 0), |sum, size| (sum.0 + size.0, sum.1 + size.1));
        let max_bytes = MAX_QUEUE_BYTES as u32;
        let [pool, map, total] = match command {
            MSG_INFO => [queues.len() as u32, messages as u32, bytes as u32],
            _ => [MAX_QUEUES * (max_bytes / 1024), max_bytes, max_bytes],
        };
        let words =
            [pool, map, MAX_MESSAGE as u32, max_bytes, MAX_QUEUES, SEGMENT_BYTES, total, SEGMENTS];
        let mut layout = Layout::<INFO_BYTES>::new();
        for (i, word) in words.into_iter().enumerate() {
            layout.u32(4 * i, word);
        }
        let max_index = queues.max_index();
        self.guest.write(to, layout.bytes())?;
        done(max_index)
    }

    fn describe_queue(&mut self, id: i32, command: i32, to: GuestAddr) -> Answer {
        let caller = self.credentials();
        let queues = &self.kernel.sysv.queues;
        let is_by_id = command == libc::IPC_STAT;
        let entry = if is_by_id { queues.find(id)? } else { queues.find_index(id)? };
        if command != MSG_STAT_ANY {
            entry.permission.check(caller, READ)?;
        }
        let queue = &entry.object;
        let (count, bytes) = queue.size();
        let mut layout = Layout::<STATUS_BYTES>::new();
        entry.permission.put(&mut layout);
        layout.u64(48, queue.sent as u64);
        layout.u64(56, queue.received as u64);
        layout.u64(64, queue.changed as u64);
        layout.u64(72, bytes);
        layout.u64(80, count);
        layout.u64(MAX_BYTES_AT, queue.max_bytes);
        layout.u32(96, queue.sender);
        layout.u32(100, queue.receiver);
        let result = if is_by_id { 0 } else { entry.permission.id };
        self.guest.write(to, layout.bytes())?;
        done(result.into())
    }

    fn change_queue(&mut self, id: i32, change: Change, max_bytes: u64) -> Answer {
        let (caller, now_secs) = (self.credentials(), self.kernel.realtime_secs(self.now));
        let entry = self.kernel.sysv.queues.find_mut(id)?;
        entry.permission.check_owner(caller)?;
        if max_bytes > MAX_QUEUE_BYTES {
            return Err(Errno::EPERM);
        }
        entry.permission.change(change)?;
        (entry.object.max_bytes, entry.object.changed) = (max_bytes, now_secs);
        let mut finished = Vec::new();
        entry.object.expel_receivers(&entry.permission, &mut finished);
        entry.object.admit_senders(now_secs, &mut finished);
        self.kernel.end_calls_at_queue(self.now, finished);
        done(0)
    }

    fn remove_queue(&mut self, id: i32) -> Answer {
        let caller = self.credentials();
        self.kernel.sysv.queues.find(id)?.permission.check_owner(caller)?;
        let entry = self.kernel.sysv.queues.remove(id)?;
        let waiting = entry.object.into_waiting();
        let finished = waiting.map(|tid| Finished::Failed(tid, Errno::EIDRM));
        self.kernel.end_calls_at_queue(self.now, finished);
        done(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::Outcome;
    use crate::testing::DATA;
    use crate::testing::bench::{Bench, failed};
    use core::mem::offset_of;
    use shim_abi::SimTime;
    use shim_abi::calls::nr;

    fn control(bench: &mut Bench, id: i64, command: i32, at: u64) -> i64 {
        bench.done(0, nr::msgctl, &[id as u64, command as u64, at])
    }

    #[test]
    fn a_queue_is_described_changed_and_removed() {
        assert_eq!(size_of::<libc::msqid_ds>(), STATUS_BYTES);
        assert_eq!(offset_of!(libc::msqid_ds, msg_stime), 48);
        assert_eq!(offset_of!(libc::msqid_ds, msg_qnum), 80);
        assert_eq!(offset_of!(libc::msqid_ds, msg_qbytes), MAX_BYTES_AT);
        assert_eq!(offset_of!(libc::msqid_ds, msg_lspid), 96);
        let mut bench = Bench::new(3);
        assert_eq!(bench.done(0, nr::msgget, &[5, 0o1666]), 0);
        bench.now = SimTime::from_ns(3_000_000_000);
        bench.guest.put_words(DATA, &[1, 1]);
        assert_eq!(bench.done(0, nr::msgsnd, &[0, DATA, 5, 0]), 0);
        assert_eq!(control(&mut bench, 0, libc::IPC_STAT, DATA), 0);
        let status = bench.guest.words::<15>(DATA);
        let expected = [946_684_803, 0, 946_684_800, 5, 1, 16_384, 1000];
        assert_eq!(status[6..13], expected);
        bench.guest.put_words(DATA + MAX_BYTES_AT as u64, &[16_385]);
        assert_eq!(control(&mut bench, 0, libc::IPC_SET, DATA), Errno::EPERM.as_return());
        assert_eq!(control(&mut bench, 0, MSG_INFO, DATA), 0);
        assert_eq!(bench.guest.words::<4>(DATA)[0], 1 << 32 | 1, "one queue with one message");
        assert_eq!(bench.guest.words::<4>(DATA)[3], 0xffff_0000_0005, "of five bytes");
        bench.guest.users = bench.guest.users.map(|user| user + 1);
        assert_eq!(control(&mut bench, 0, libc::IPC_RMID, 0), Errno::EPERM.as_return());
        bench.guest.users = bench.guest.users.map(|user| user - 1);
        assert_eq!(control(&mut bench, 0, libc::IPC_RMID, 0), 0);
        assert_eq!(control(&mut bench, 0, libc::IPC_STAT, 8), Errno::EINVAL.as_return());
    }

    #[test]
    fn errors_come_in_linux_order() {
        let mut bench = Bench::new(1);
        bench.done(0, nr::msgget, &[5, 0o1200]);
        let [inval, fault, access] =
            [Errno::EINVAL, Errno::EFAULT, Errno::EACCES].map(Errno::as_return);
        for (id, command, at, expected) in [
            (-1, libc::IPC_INFO, DATA, inval),
            (9, libc::IPC_INFO, 8, fault),
            (0, -1, 0, inval),
            (0, 77, 0, inval),
            (9, libc::IPC_SET, 8, fault),
            (9, libc::IPC_SET, DATA, inval),
            (0, libc::IPC_STAT, 8, access),
            (0, MSG_STAT, 8, access),
            (0, MSG_STAT_ANY, 8, fault),
        ] {
            assert_eq!(control(&mut bench, id, command, at), expected, "{id} {command} {at:#x}");
        }
    }

    #[test]
    fn another_mode_expels_and_more_room_admits() {
        let mut bench = Bench::new(3);
        bench.done(0, nr::msgget, &[5, 0o1666]);
        control(&mut bench, 0, libc::IPC_STAT, DATA);
        let max = DATA + MAX_BYTES_AT as u64;
        bench.guest.put_words(max, &[4]);
        assert_eq!(control(&mut bench, 0, libc::IPC_SET, DATA), 0);
        bench.guest.put_words(DATA + 512, &[1, 1]);
        assert_eq!(bench.call(1, nr::msgsnd, &[0, DATA + 512, 5]), Outcome::Park);
        bench.guest.users = bench.guest.users.map(|user| user + 1);
        assert_eq!(bench.call(2, nr::msgrcv, &[0, DATA + 512, 5, 7]), Outcome::Park);
        bench.guest.users = bench.guest.users.map(|user| user - 1);
        bench.guest.put_words(DATA + 16, &[0o600 << 32]);
        bench.guest.put_words(max, &[5]);
        assert_eq!(control(&mut bench, 0, libc::IPC_SET, DATA), 0);
        assert_eq!(bench.resumed(), [(2, failed(Errno::EACCES)), (1, Outcome::Done(0))]);
    }
}
