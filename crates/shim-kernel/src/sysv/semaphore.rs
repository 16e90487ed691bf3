//! One set of semaphores: its values, who waits for them, what is undone when a process ends.
//!
//! Operations in, done or not out. Always true: the operations of one call are done all or none; who waits is tried
//! again in the order in which they came whenever a value changes, those that wait for zero before the others.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use shim_abi::Errno;

use crate::ids::{VirtualPid, VirtualTid};

/// How many sets a host has at most.
pub(super) const MAX_SETS: u32 = 32_000;
/// How many semaphores a set has at most.
pub(super) const MAX_PER_SET: u32 = 32_000;
/// How many semaphores a host has at most.
pub(super) const MAX_SEMAPHORES: u32 = MAX_SETS * MAX_PER_SET;
/// How many operations one call has at most.
pub(super) const MAX_OPERATIONS: u32 = 500;
/// The highest value, and the largest sum that is undone.
pub(super) const MAX_VALUE: i32 = 32_767;

/// A `struct sembuf`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Operation {
    pub(super) index: u16,
    pub(super) change: i16,
    pub(super) flags: i32,
}

/// One semaphore.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Semaphore {
    pub(super) value: i32,
    /// Who changed it last.
    pub(super) pid: u32,
}

/// A call that waits.
#[derive(Debug)]
pub(super) struct Waiting {
    tid: VirtualTid,
    pid: VirtualPid,
    operations: Vec<Operation>,
    /// The first operation that cannot be done.
    blocking: Operation,
}

impl Waiting {
    fn is_altering(&self) -> bool {
        self.operations.iter().any(|operation| operation.change != 0)
    }
}

/// What a process's end adds to the values of a set.
#[derive(Debug)]
pub(super) struct Undo {
    /// Later ones are undone first.
    pub(super) place: u64,
    sums: Vec<i32>,
}

/// A set.
#[derive(Debug)]
pub(super) struct Set {
    pub(super) semaphores: Vec<Semaphore>,
    /// When operations were done last, and when the set was changed otherwise: seconds since 1970.
    pub(super) operated: i64,
    pub(super) changed: i64,
    waiting: Vec<Waiting>,
    undos: BTreeMap<VirtualPid, Undo>,
}

/// What operations came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Attempt {
    Done,
    /// This one has to wait, and so all do.
    Blocked(Operation),
}

/// A waiting call that is over, and how.
pub(super) type Finished = (VirtualTid, Result<(), Errno>);

impl Set {
    pub(super) fn new(count: u32, now_secs: i64) -> Set {
        let mut semaphores = Vec::new();
        semaphores.resize(count as usize, Semaphore::default());
        Set {
            semaphores,
            operated: 0,
            changed: now_secs,
            waiting: Vec::new(),
            undos: BTreeMap::new(),
        }
    }

    /// Let what `pid` does with SEM_UNDO be undone from now on.
    pub(super) fn register_undo(&mut self, pid: VirtualPid, place: u64) {
        let count = self.semaphores.len();
        self.undos.entry(pid).or_insert_with(|| Undo { place, sums: alloc::vec![0; count] });
    }

    /// Do all operations for `pid`, or none.
    pub(super) fn operate(
        &mut self,
        pid: VirtualPid,
        operations: &[Operation],
    ) -> Result<Attempt, Errno> {
        for (done, operation) in operations.iter().enumerate() {
            let result = self.operate_one(pid, operation);
            if !matches!(result, Ok(Attempt::Done)) {
                for operation in operations[..done].iter().rev() {
                    self.take_back(pid, operation);
                }
                return result;
            }
        }
        for operation in operations {
            self.semaphores[usize::from(operation.index)].pid = pid.0;
        }
        Ok(Attempt::Done)
    }

    fn operate_one(&mut self, pid: VirtualPid, operation: &Operation) -> Result<Attempt, Errno> {
        let semaphore =
            self.semaphores.get_mut(usize::from(operation.index)).ok_or(Errno::EFBIG)?;
        let change = i32::from(operation.change);
        let value = semaphore.value + change;
        if value < 0 || (change == 0 && value != 0) {
            let is_waiting = operation.flags & libc::IPC_NOWAIT == 0;
            return if is_waiting { Ok(Attempt::Blocked(*operation)) } else { Err(Errno::EAGAIN) };
        }
        if value > MAX_VALUE {
            return Err(Errno::ERANGE);
        }
        if let Some(sum) = undo_sum(&mut self.undos, pid, operation) {
            let undone = *sum - change;
            if !(-MAX_VALUE - 1..=MAX_VALUE).contains(&undone) {
                return Err(Errno::ERANGE);
            }
            *sum = undone;
        }
        semaphore.value = value;
        Ok(Attempt::Done)
    }

    fn take_back(&mut self, pid: VirtualPid, operation: &Operation) {
        let change = i32::from(operation.change);
        if let Some(semaphore) = self.semaphores.get_mut(usize::from(operation.index)) {
            semaphore.value -= change;
        }
        if let Some(sum) = undo_sum(&mut self.undos, pid, operation) {
            *sum += change;
        }
    }

    /// Let a call wait that cannot be done.
    pub(super) fn wait(
        &mut self,
        tid: VirtualTid,
        pid: VirtualPid,
        operations: Vec<Operation>,
        blocking: Operation,
    ) {
        self.waiting.push(Waiting { tid, pid, operations, blocking });
    }

    /// The call of `tid` waits no more.
    pub(super) fn forget(&mut self, tid: VirtualTid) {
        self.waiting.retain(|waiting| waiting.tid != tid);
    }

    /// The values have changed: the calls that are over now.
    pub(super) fn retry(&mut self) -> Vec<Finished> {
        let mut finished = Vec::new();
        loop {
            self.retry_those(false, &mut finished);
            // Each one may make others possible, those that wait for zero first.
            if !self.retry_those(true, &mut finished) {
                return finished;
            }
        }
    }

    /// Try the calls that alter values, up to one that succeeds, or all those that do not. Whether one of them
    /// succeeded.
    fn retry_those(&mut self, is_altering: bool, finished: &mut Vec<Finished>) -> bool {
        let mut at = 0;
        let mut has_succeeded = false;
        while at < self.waiting.len() {
            if self.waiting[at].is_altering() != is_altering {
                at += 1;
                continue;
            }
            let Waiting { tid, pid, operations, blocking } = self.waiting.remove(at);
            match self.operate(pid, &operations) {
                Ok(Attempt::Blocked(still)) => {
                    let blocking = if blocking == still { blocking } else { still };
                    self.waiting.insert(at, Waiting { tid, pid, operations, blocking });
                    at += 1;
                }
                result => {
                    has_succeeded |= result.is_ok();
                    finished.push((tid, result.map(|_| ())));
                    if is_altering && has_succeeded {
                        break;
                    }
                }
            }
        }
        has_succeeded
    }

    /// How many calls wait for semaphore `index`: to become zero, or to grow.
    pub(super) fn count_waiting(&self, index: u16, for_zero: bool) -> usize {
        let is_counted = |waiting: &&Waiting| {
            let Operation { index: blocking, change, .. } = waiting.blocking;
            blocking == index && if for_zero { change == 0 } else { change < 0 }
        };
        self.waiting.iter().filter(is_counted).count()
    }

    /// Set values; nothing that was done to them is undone any more.
    pub(super) fn set_values(&mut self, pid: VirtualPid, values: impl Iterator<Item = (u16, u16)>) {
        for (index, value) in values {
            let at = usize::from(index);
            if let Some(semaphore) = self.semaphores.get_mut(at) {
                *semaphore = Semaphore { value: value.into(), pid: pid.0 };
            }
            for undo in self.undos.values_mut() {
                if let Some(sum) = undo.sums.get_mut(at) {
                    *sum = 0;
                }
            }
        }
    }

    /// The place of what a process's end undoes here, if anything is.
    pub(super) fn undo_place(&self, pid: VirtualPid) -> Option<u64> {
        self.undos.get(&pid).map(|undo| undo.place)
    }

    /// Undo what a process did.
    pub(super) fn undo(&mut self, pid: VirtualPid) {
        let Some(undo) = self.undos.remove(&pid) else { return };
        for (semaphore, sum) in self.semaphores.iter_mut().zip(undo.sums) {
            if sum != 0 {
                let value = (semaphore.value + sum).clamp(0, MAX_VALUE);
                *semaphore = Semaphore { value, pid: pid.0 };
            }
        }
    }

    /// All who wait, in their order: the set is gone.
    pub(super) fn into_waiting(self) -> impl Iterator<Item = VirtualTid> {
        self.waiting.into_iter().map(|waiting| waiting.tid)
    }
}

/// Where the sum stands that an operation of `pid` adds to, if it is to be undone.
fn undo_sum<'a>(
    undos: &'a mut BTreeMap<VirtualPid, Undo>,
    pid: VirtualPid,
    operation: &Operation,
) -> Option<&'a mut i32> {
    if operation.flags & libc::SEM_UNDO == 0 {
        return None;
    }
    undos.get_mut(&pid)?.sums.get_mut(usize::from(operation.index))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PID: VirtualPid = VirtualPid(7);

    fn operation(index: u16, change: i16) -> Operation {
        Operation { index, change, flags: 0 }
    }

    fn values(set: &Set) -> Vec<i32> {
        set.semaphores.iter().map(|semaphore| semaphore.value).collect()
    }

    #[test]
    fn operations_are_done_all_or_none() {
        let mut set = Set::new(2, 0);
        let plus = [operation(0, 5), operation(1, 2), operation(0, -1)];
        assert_eq!(set.operate(PID, &plus), Ok(Attempt::Done));
        assert_eq!(values(&set), [4, 2]);
        let blocked = [operation(0, -4), operation(0, 0), operation(1, -3)];
        assert_eq!(set.operate(PID, &blocked), Ok(Attempt::Blocked(operation(1, -3))));
        let refused = [operation(1, -2), Operation { flags: libc::IPC_NOWAIT, ..operation(0, 0) }];
        assert_eq!(set.operate(PID, &refused), Err(Errno::EAGAIN));
        let large = [operation(1, 1), operation(0, 32_767)];
        assert_eq!(set.operate(PID, &large), Err(Errno::ERANGE));
        assert_eq!(values(&set), [4, 2]);
        assert_eq!(set.semaphores[1].pid, 7);
    }

    #[test]
    fn who_waits_for_zero_comes_first_and_then_in_order() {
        let mut set = Set::new(1, 0);
        set.semaphores[0].value = 1;
        let wait = |set: &mut Set, tid, change| {
            set.wait(VirtualTid(tid), PID, [operation(0, change)].to_vec(), operation(0, change));
        };
        for (tid, change) in [(1, -5), (2, -1), (3, 0), (4, -2)] {
            wait(&mut set, tid, change);
        }
        assert_eq!((set.count_waiting(0, false), set.count_waiting(0, true)), (3, 1));
        let mut add = |change| {
            set.operate(PID, &[operation(0, change)]).unwrap();
            set.retry().into_iter().map(|(tid, _)| tid.0).collect::<Vec<_>>()
        };
        assert_eq!(add(-1), [3]);
        assert_eq!(add(2), [2]);
        assert_eq!(add(1), [4]);
        assert_eq!(add(5), [1]);
    }

    #[test]
    fn an_end_undoes_what_was_asked_for_within_the_range_of_values() {
        let mut set = Set::new(2, 0);
        set.register_undo(PID, 1);
        let undone =
            |index, change| Operation { flags: libc::SEM_UNDO, ..operation(index, change) };
        set.operate(PID, &[undone(0, 5), undone(1, 1), operation(1, 3)]).unwrap();
        assert_eq!(set.operate(PID, &[undone(0, 32_767)]), Err(Errno::ERANGE));
        let other = VirtualPid(8);
        set.operate(other, &[operation(0, -2)]).unwrap();
        set.undo(PID);
        assert_eq!(values(&set), [0, 3]);
        set.register_undo(other, 2);
        set.operate(other, &[undone(1, -3)]).unwrap();
        set.set_values(PID, [(1, 9)].into_iter());
        set.undo(other);
        assert_eq!((values(&set), set.undo_place(other)), ([0, 9].to_vec(), None));
    }
}
