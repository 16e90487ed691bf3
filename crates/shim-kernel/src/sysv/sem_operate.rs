//! `semget`, `semop`, `semtimedop`, and what a process's end does to semaphores.
//!
//! Keys, ids and operations in; ids, parked calls out. Always true: a call that waits is done by whoever makes it
//! possible; a signal ends it with EINTR whatever the handler's flags, a time-out with EAGAIN, a set's end with EIDRM.

use alloc::vec::Vec;

use shim_abi::{Errno, SimTime};

use super::Pause;
use super::ids::Lookup;
use super::permission::{READ, WRITE};
use super::semaphore::{
    Attempt, Finished, MAX_OPERATIONS, MAX_PER_SET, MAX_SEMAPHORES, Operation, Set,
};
use crate::context::{Answer, Context, done};
use crate::guest::GuestAddr;
use crate::ids::VirtualPid;
use crate::kernel::Kernel;
use crate::task::{Parked, Wait, Wake};

pub(crate) fn semget(context: &mut Context<'_>, key: i32, count: i32, flags: i32) -> Answer {
    let caller = context.credentials();
    let count = u32::try_from(count).ok().filter(|&count| count <= MAX_PER_SET);
    let count = count.ok_or(Errno::EINVAL)?;
    let now_secs = context.kernel.realtime_secs(context.now);
    let sets = &mut context.kernel.sysv.sets;
    let check = |set: &Set| {
        if count as usize > set.semaphores.len() { Err(Errno::EINVAL) } else { Ok(()) }
    };
    if let Lookup::Found(id) = sets.look_up(key, flags, caller, check)? {
        return done(id.into());
    }
    if count == 0 {
        return Err(Errno::EINVAL);
    }
    let used: usize = sets.iter().map(|entry| entry.object.semaphores.len()).sum();
    if used as u64 + u64::from(count) > u64::from(MAX_SEMAPHORES) {
        return Err(Errno::ENOSPC);
    }
    done(sets.add(key, flags, caller, Set::new(count, now_secs))?.into())
}

pub(crate) fn semop(context: &mut Context<'_>, id: i32, list: GuestAddr, count: u32) -> Answer {
    semtimedop(context, id, list, count, GuestAddr(0))
}

pub(crate) fn semtimedop(
    context: &mut Context<'_>,
    id: i32,
    list: GuestAddr,
    count: u32,
    timeout: GuestAddr,
) -> Answer {
    let time: Option<[u64; 2]> = match timeout.is_null() {
        true => None,
        false => Some(crate::memory::read_words(context.guest, timeout)?),
    };
    if count > MAX_OPERATIONS {
        return Err(Errno::E2BIG);
    }
    if count < 1 {
        return Err(Errno::EINVAL);
    }
    let operations = context.read_operations(list, count)?;
    if id < 0 {
        return Err(Errno::EINVAL);
    }
    let deadline = match time {
        None => SimTime::MAX,
        Some([secs, nanos]) => {
            let time = crate::clock::duration_of(secs as i64, nanos).ok_or(Errno::EINVAL)?;
            context.kernel.time_after(context.now, time)
        }
    };
    match context.operate(id, &operations)? {
        Attempt::Done => done(0),
        Attempt::Blocked(blocking) => {
            let (tid, pid) = (context.tid, context.pid);
            context.kernel.sysv.sets.find_mut(id)?.object.wait(tid, pid, operations, blocking);
            context.kernel.sysv.pauses.insert(tid, Pause::AtSet(id));
            context.park(Wait::Semaphores, deadline)
        }
    }
}

impl Context<'_> {
    fn read_operations(&mut self, from: GuestAddr, count: u32) -> Result<Vec<Operation>, Errno> {
        const BYTES: usize = 6;
        let mut bytes = alloc::vec![0; BYTES * count as usize];
        self.guest.read(from, &mut bytes)?;
        let half = |chunk: &[u8], at: usize| u16::from_le_bytes([chunk[at], chunk[at + 1]]);
        let operation = |chunk: &[u8]| Operation {
            index: half(chunk, 0),
            change: half(chunk, 2) as i16,
            flags: i32::from(half(chunk, 4) as i16),
        };
        Ok(bytes.chunks_exact(BYTES).map(operation).collect())
    }

    /// Do operations now, if they can be done.
    fn operate(&mut self, id: i32, operations: &[Operation]) -> Result<Attempt, Errno> {
        let (caller, pid) = (self.credentials(), self.pid);
        let sysv = &mut self.kernel.sysv;
        let entry = sysv.sets.find_mut(id)?;
        if operations.iter().any(|operation| operation.flags & libc::SEM_UNDO != 0) {
            sysv.last_place += 1;
            entry.object.register_undo(pid, sysv.last_place);
        }
        let count = entry.object.semaphores.len();
        if operations.iter().any(|operation| usize::from(operation.index) >= count) {
            return Err(Errno::EFBIG);
        }
        let is_altering = operations.iter().any(|operation| operation.change != 0);
        entry.permission.check(caller, if is_altering { WRITE } else { READ })?;
        let attempt = entry.object.operate(pid, operations)?;
        if attempt == Attempt::Done {
            self.kernel.note_operation(self.now, id);
            if is_altering {
                self.kernel.retry_set(self.now, id);
            }
        }
        Ok(attempt)
    }

    pub(crate) fn finish_semaphores(&mut self, parked: Parked, wake: Wake) -> Answer {
        let pause = self.kernel.sysv.pauses.get(&self.tid);
        let is_waiting = matches!(pause, Some(Pause::AtSet(_)));
        let failure = if let Some(&Pause::Failed(errno)) = pause { Some(errno) } else { None };
        let answer = if !is_waiting {
            failure.map_or(done(0), Err)
        } else if wake == Wake::Timeout {
            Err(Errno::EAGAIN)
        } else if self.is_ended_by_signal(self.guest.signal_mask()) {
            Err(Errno::EINTR)
        } else {
            return self.park_again(parked);
        };
        self.kernel.forget_sysv_pause(self.tid);
        answer
    }
}

impl Kernel {
    fn note_operation(&mut self, now: SimTime, id: i32) {
        let now_secs = self.realtime_secs(now);
        if let Ok(entry) = self.sysv.sets.find_mut(id) {
            entry.object.operated = now_secs;
        }
    }

    /// The values of a set have changed: end the calls that can be done now.
    pub(super) fn retry_set(&mut self, now: SimTime, id: i32) {
        let Ok(entry) = self.sysv.sets.find_mut(id) else { return };
        let finished = entry.object.retry();
        if finished.iter().any(|(_, result)| result.is_ok()) {
            self.note_operation(now, id);
        }
        self.end_calls_at_set(now, finished);
    }

    pub(super) fn end_calls_at_set(&mut self, now: SimTime, finished: Vec<Finished>) {
        for (tid, result) in finished {
            self.end_sysv_pause(now, tid, result.map_or_else(Pause::Failed, |()| Pause::Done));
        }
    }

    /// A process has ended: undo what it did to semaphores with SEM_UNDO, the sets that it used last first.
    pub(crate) fn undo_semaphores(&mut self, now: SimTime, pid: VirtualPid) {
        let sets = self.sysv.sets.iter();
        let mut undos: Vec<_> = sets
            .filter_map(|entry| Some((entry.object.undo_place(pid)?, entry.permission.id)))
            .collect();
        undos.sort_unstable();
        for (_, id) in undos.into_iter().rev() {
            if let Ok(entry) = self.sysv.sets.find_mut(id) {
                entry.object.undo(pid);
            }
            self.note_operation(now, id);
            self.retry_set(now, id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::Outcome;
    use crate::testing::DATA;
    use crate::testing::bench::{Bench, failed};
    use shim_abi::calls::nr;

    const CREATE: u64 = 0o1600;
    const KEY: u64 = 0x1234;
    const NOWAIT: i16 = 0o4000;
    const UNDO: i16 = 0x1000;
    const OK: Outcome = Outcome::Done(0);
    const PARK: Outcome = Outcome::Park;

    impl Bench {
        fn put_operations(&mut self, operations: &[(u16, i16, i16)]) {
            let words = operations.iter().map(|&(index, change, flags)| {
                u64::from(index) | u64::from(change as u16) << 16 | u64::from(flags as u16) << 32
            });
            for (at, word) in words.enumerate() {
                let bytes = &word.to_le_bytes()[..6];
                let to = GuestAddr(DATA + 6 * at as u64);
                crate::Guest::write(&mut self.guest, to, bytes).unwrap();
            }
        }
        fn semop(&mut self, thread: usize, id: i64, operations: &[(u16, i16, i16)]) -> Outcome {
            self.put_operations(operations);
            self.call(thread, nr::semop, &[id as u64, DATA, operations.len() as u64])
        }
        fn value(&mut self, id: i64, index: u64, command: i32) -> i64 {
            self.done(0, nr::semctl, &[id as u64, index, command as u64])
        }
        fn set(&mut self) -> i64 {
            self.done(0, nr::semget, &[KEY, 3, CREATE])
        }
    }

    #[test]
    fn getting_a_set_checks_in_linux_order() {
        let mut bench = Bench::new(1);
        let mut get = |key: u64, count: i64, flags: u64| {
            bench.done(0, nr::semget, &[key, count as u64, flags])
        };
        let [inval, noent, exist] =
            [Errno::EINVAL, Errno::ENOENT, Errno::EEXIST].map(Errno::as_return);
        assert_eq!(get(KEY, 0, 0), noent);
        assert_eq!(get(KEY, 0, CREATE), inval);
        assert_eq!(get(KEY, -1, 0), inval);
        assert_eq!(get(KEY, 32_001, CREATE), inval);
        assert_eq!(get(KEY, 2, CREATE), 0);
        assert_eq!(get(KEY, 3, 0), inval);
        assert_eq!(get(KEY, 3, CREATE | 0o2000), exist);
        assert_eq!(get(KEY, 0, 0o600), 0);
        assert_eq!(get(KEY, 3, 0o111), inval);
        assert_eq!(get(KEY, 1, 0o111), Errno::EACCES.as_return());
        assert_eq!([get(0, 1, 0), get(0, 1, 0)], [1, 2], "private ones are always new");
    }

    #[test]
    fn operations_check_in_linux_order() {
        let mut bench = Bench::new(1);
        let id = bench.set() as u64;
        bench.put_operations(&[(9, 1, 0)]);
        bench.guest.put_words(DATA + 64, &[0, 1_000_000_000, 0, 1]);
        let [bad_time, time] = [DATA + 64, DATA + 80];
        for (args, expected) in [
            ([id, DATA, 501, 8], Errno::EFAULT),
            ([u64::MAX, DATA, 501, bad_time], Errno::E2BIG),
            ([u64::MAX, 8, 0, bad_time], Errno::EINVAL),
            ([u64::MAX, 8, 1, bad_time], Errno::EFAULT),
            ([id, DATA, 1, bad_time], Errno::EINVAL),
            ([id + 1, DATA, 1, time], Errno::EINVAL),
            ([id, DATA, 1, time], Errno::EFBIG),
        ] {
            let got = bench.done(0, nr::semtimedop, &args);
            assert_eq!(got, expected.as_return(), "{args:x?}");
        }
        assert_eq!(bench.semop(0, 0, &[(0, -1, NOWAIT)]), failed(Errno::EAGAIN));
        assert_eq!(bench.semop(0, 0, &[(0, 32_767, 0), (0, 1, 0)]), failed(Errno::ERANGE));
    }

    #[test]
    fn who_waits_goes_on_when_it_can_be_done() {
        let mut bench = Bench::new(4);
        let id = bench.set();
        assert_eq!(bench.semop(2, id, &[(0, -2, 0), (1, -1, 0)]), PARK);
        assert_eq!(bench.semop(1, id, &[(1, -1, 0)]), PARK);
        assert_eq!(bench.semop(3, id, &[(2, 1, 0), (0, 0, NOWAIT)]), OK);
        assert_eq!([0, 1].map(|index| bench.value(id, index, libc::GETNCNT)), [1, 1]);
        bench.now = SimTime::from_ns(5_000_000_000);
        assert_eq!(bench.semop(3, id, &[(0, 2, 0)]), OK);
        assert_eq!(bench.resumed(), []);
        assert_eq!([0, 1].map(|index| bench.value(id, index, libc::GETNCNT)), [0, 2]);
        assert_eq!(bench.semop(3, id, &[(1, 1, 0)]), OK);
        assert_eq!(bench.resumed(), [(2, OK)]);
        assert_eq!(bench.value(id, 0, libc::GETPID), 1002);
        assert_eq!(bench.semop(3, id, &[(2, 0, 0)]), PARK);
        assert_eq!(bench.value(id, 2, libc::GETZCNT), 1);
        bench.done(0, nr::semctl, &[id as u64, 2, libc::SETVAL as u64, 0]);
        assert_eq!(bench.resumed(), [(3, OK)]);
        assert_eq!(bench.done(0, nr::semctl, &[id as u64, 0, libc::IPC_RMID as u64]), 0);
        assert_eq!(bench.resumed(), [(1, failed(Errno::EIDRM))]);
    }

    #[test]
    fn a_wait_ends_with_its_time_or_a_signal_and_leaves_nothing() {
        let mut bench = Bench::new(2);
        let id = bench.set();
        bench.guest.actions.extend([(15, 0x1234), (10, 1)]);
        bench.guest.put_words(DATA + 64, &[2, 0]);
        bench.put_operations(&[(0, -1, 0)]);
        let args = [id as u64, DATA, 1, DATA + 64];
        assert_eq!(bench.call(1, nr::semtimedop, &args), PARK);
        assert_eq!(bench.advance(2_000_000_000), [(1, failed(Errno::EAGAIN))]);
        assert_eq!(bench.semop(1, id, &[(0, -1, 0)]), PARK);
        assert_eq!(bench.signal(1, 10), [(1, PARK)]);
        assert_eq!(bench.signal(1, 15), [(1, failed(Errno::EINTR))]);
        assert_eq!(bench.value(id, 0, libc::GETNCNT), 0);
        bench.kernel.take_signal(bench.now, bench.threads[1], &mut bench.guest);
        assert_eq!(bench.semop(1, id, &[(0, -1, 0)]), PARK);
        bench.kernel.end(crate::VirtualPid(1001), 0, &mut bench.guest);
        assert_eq!(bench.value(id, 0, libc::GETNCNT), 0);
        assert_eq!(bench.semop(0, id, &[(0, 1, 0)]), OK);
        assert_eq!(bench.value(id, 0, libc::GETVAL), 1);
    }

    #[test]
    fn the_end_of_a_process_undoes_and_lets_others_go_on() {
        let mut bench = Bench::new(3);
        let id = bench.set();
        assert_eq!(bench.semop(0, id, &[(0, 1, 0)]), OK);
        assert_eq!(bench.semop(1, id, &[(0, -1, UNDO), (1, 4, UNDO)]), OK);
        assert_eq!(bench.semop(2, id, &[(0, -1, UNDO)]), PARK);
        bench.kernel.end(crate::VirtualPid(1001), 0, &mut bench.guest);
        assert_eq!(bench.resumed(), [(2, OK)]);
        assert_eq!(bench.value(id, 1, libc::GETVAL), 0);
        assert_eq!(bench.value(id, 1, libc::GETPID), 1001);
        bench.kernel.end(crate::VirtualPid(1002), 0, &mut bench.guest);
        assert_eq!(bench.value(id, 0, libc::GETVAL), 1);
    }
}
