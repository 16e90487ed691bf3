//! Advisory locks on objects: those of flock(2), and those of fcntl(2) for processes and open files.
//!
//! A file and a lock in; nothing, EAGAIN, or what is in the way, out. Always true: the two kinds know nothing of each
//! other; a lock is of an inode, so both ends of a pipe share theirs; nobody waits here: the shim tries again when
//! [`Source::FileLocks`] tells it to. Circles of processes that wait for each other's locks on objects are not found.
//! Locks on what the real kernel has are its own, see `file_lock`.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use shim_abi::{Errno, SimTime};

use super::table::{FileId, Object};
use crate::context::{Answer, Context, done};
use crate::guest::GuestAddr;
use crate::ids::VirtualPid;
use crate::kernel::Kernel;
use crate::memory::{read_bytes, u32_at, u64_at};
use crate::waiters::Source;

/// What is locked: a pipe's number, or an inode of something else.
type Place = (bool, u64);

/// Who holds a lock of a range.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Holder {
    Process(VirtualPid),
    File(FileId),
}

/// A range of bytes that somebody has locked, its last one included.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Range {
    holder: Holder,
    first: i64,
    last: i64,
    is_exclusive: bool,
}

impl Range {
    fn is_in_the_way_of(&self, other: &Range) -> bool {
        self.holder != other.holder
            && (self.is_exclusive || other.is_exclusive)
            && self.first <= other.last
            && other.first <= self.last
    }
}

/// The locks of one inode.
#[derive(Debug, Default)]
struct Locks {
    /// Those of flock(2), and whether they are exclusive.
    whole: Vec<(FileId, bool)>,
    ranges: Vec<Range>,
}

/// All locks on objects of a host.
#[derive(Debug, Default)]
pub(super) struct FileLocks(BTreeMap<Place, Locks>);

impl Locks {
    /// Lock the whole for a file, or unlock it: a lock that it has is given up first.
    fn set_whole(&mut self, file: FileId, wanted: Option<bool>) -> Result<(), Errno> {
        if wanted.is_some_and(|is_exclusive| self.whole.contains(&(file, is_exclusive))) {
            return Ok(());
        }
        self.whole.retain(|&(other, _)| other != file);
        let Some(is_exclusive) = wanted else { return Ok(()) };
        if self.whole.iter().any(|&(_, other)| other || is_exclusive) {
            return Err(Errno::EAGAIN);
        }
        self.whole.push((file, is_exclusive));
        Ok(())
    }

    fn in_the_way(&self, wanted: &Range) -> Option<&Range> {
        self.ranges.iter().find(|range| range.is_in_the_way_of(wanted))
    }

    /// Lock a range, or unlock it.
    fn set_range(&mut self, mut wanted: Range, is_lock: bool) -> Result<(), Errno> {
        if is_lock && self.in_the_way(&wanted).is_some() {
            return Err(Errno::EAGAIN);
        }
        let (first, last) = (wanted.first, wanted.last);
        for range in core::mem::take(&mut self.ranges) {
            let is_same_kind = is_lock && range.is_exclusive == wanted.is_exclusive;
            let reach = i64::from(is_same_kind);
            let touches = range.first <= last.saturating_add(reach)
                && range.last >= first.saturating_sub(reach);
            if range.holder != wanted.holder || !touches {
                self.ranges.push(range);
            } else if is_same_kind {
                wanted.first = wanted.first.min(range.first);
                wanted.last = wanted.last.max(range.last);
            } else {
                if range.first < first {
                    self.ranges.push(Range { last: first - 1, ..range });
                }
                if range.last > last {
                    self.ranges.push(Range { first: last + 1, ..range });
                }
            }
        }
        if is_lock {
            self.ranges.push(wanted);
        }
        self.ranges.sort_by_key(|range| range.first);
        Ok(())
    }
}

/// LOCK_NB or not: it does not wait.
pub(crate) fn flock(context: &mut Context<'_>, fd: u32, operation: i32) -> Answer {
    /// Mandatory locks, which do nothing.
    const LOCK_MAND: i32 = 32;
    let operation = operation & !libc::LOCK_NB;
    if operation & LOCK_MAND != 0 {
        return done(0);
    }
    let wanted = match operation {
        libc::LOCK_SH => Some(false),
        libc::LOCK_EX => Some(true),
        libc::LOCK_UN => None,
        _ => return Err(Errno::EINVAL),
    };
    let id = context.file(fd)?;
    let place = context.kernel.place_of(id)?;
    let result = context.kernel.files.locks.0.entry(place).or_default().set_whole(id, wanted);
    context.kernel.notify(context.now, Source::FileLocks);
    result?;
    done(0)
}

impl Context<'_> {
    /// F_GETLK, F_SETLK, F_SETLKW and those of open files; none of them waits.
    pub(super) fn lock_range(&mut self, id: FileId, command: i32, at: GuestAddr) -> Answer {
        let bytes: [u8; 32] = read_bytes(self.guest, at)?;
        let word = u32_at(&bytes, 0);
        let (kind, origin) = (i32::from(word as u16), word >> 16);
        let is_of_file =
            matches!(command, libc::F_OFD_GETLK | libc::F_OFD_SETLK | libc::F_OFD_SETLKW);
        let holder = if is_of_file { Holder::File(id) } else { Holder::Process(self.pid) };
        let is_query = matches!(command, libc::F_GETLK | libc::F_OFD_GETLK);
        let is_lock = matches!(kind, libc::F_RDLCK | libc::F_WRLCK);
        if !is_lock && (is_query || kind != libc::F_UNLCK) {
            return Err(Errno::EINVAL);
        }
        // An object has neither position nor length.
        if origin > libc::SEEK_END as u32 {
            return Err(Errno::EINVAL);
        }
        let (first, last) = bounds(u64_at(&bytes, 8) as i64, u64_at(&bytes, 16) as i64)?;
        if is_of_file && u32_at(&bytes, 24) != 0 {
            return Err(Errno::EINVAL);
        }
        let is_exclusive = kind == libc::F_WRLCK;
        let wanted = Range { holder, first, last, is_exclusive };
        let place = self.kernel.place_of(id)?;
        if is_query {
            let locks = self.kernel.files.locks.0.get(&place);
            let found = locks.and_then(|locks| locks.in_the_way(&wanted)).copied();
            self.guest.write(at, &answer(found, bytes))?;
            return done(0);
        }
        let file = self.kernel.files.get(id)?;
        if is_lock && !(if is_exclusive { file.is_writable() } else { file.is_readable() }) {
            return Err(Errno::EBADF);
        }
        self.kernel.files.locks.0.entry(place).or_default().set_range(wanted, is_lock)?;
        self.kernel.notify(self.now, Source::FileLocks);
        done(0)
    }
}

/// The first and last byte of `length` bytes, all if that is 0, before `start` if it is negative.
fn bounds(start: i64, length: i64) -> Result<(i64, i64), Errno> {
    let (first, last) = match length {
        0 => (start, i64::MAX),
        1.. => (start, start.checked_add(length - 1).ok_or(Errno::EOVERFLOW)?),
        _ => (start.checked_add(length).ok_or(Errno::EINVAL)?, start.wrapping_sub(1)),
    };
    if first < 0 { Err(Errno::EINVAL) } else { Ok((first, last)) }
}

/// The `struct flock` that F_GETLK answers to `asked`.
fn answer(found: Option<Range>, asked: [u8; 32]) -> [u8; 32] {
    let mut bytes = asked;
    let Some(range) = found else {
        bytes[..2].copy_from_slice(&(libc::F_UNLCK as u16).to_le_bytes());
        return bytes;
    };
    let kind = if range.is_exclusive { libc::F_WRLCK } else { libc::F_RDLCK };
    let length = if range.last == i64::MAX { 0 } else { range.last - range.first + 1 };
    let pid = match range.holder {
        Holder::Process(pid) => pid.0 as i32,
        Holder::File(_) => -1,
    };
    bytes[..2].copy_from_slice(&(kind as u16).to_le_bytes());
    bytes[2..4].copy_from_slice(&(libc::SEEK_SET as u16).to_le_bytes());
    bytes[8..16].copy_from_slice(&range.first.to_le_bytes());
    bytes[16..24].copy_from_slice(&length.to_le_bytes());
    bytes[24..28].copy_from_slice(&pid.to_le_bytes());
    bytes
}

impl Kernel {
    fn place_of(&self, id: FileId) -> Result<Place, Errno> {
        let file = self.files.get(id)?;
        Ok(match file.object {
            Object::Pipe(end) => (true, end.number()),
            _ => (false, file.inode),
        })
    }

    /// A process closes a descriptor of a file: its locks on what that is are gone, under whatever number.
    pub(crate) fn drop_process_locks(&mut self, now: SimTime, pid: VirtualPid, id: FileId) {
        if !self.files.locks.0.is_empty()
            && let Ok(place) = self.place_of(id)
        {
            self.drop_locks(now, place, |range| range.holder == Holder::Process(pid), None);
        }
    }

    /// A file, which is still there, is closed for good: so are its locks.
    pub(super) fn drop_file_locks(&mut self, now: SimTime, id: FileId) {
        if !self.files.locks.0.is_empty()
            && let Ok(place) = self.place_of(id)
        {
            self.drop_locks(now, place, |range| range.holder == Holder::File(id), Some(id));
        }
    }

    fn drop_locks(
        &mut self,
        now: SimTime,
        place: Place,
        is_gone: impl Fn(&Range) -> bool,
        file: Option<FileId>,
    ) {
        let Some(locks) = self.files.locks.0.get_mut(&place) else { return };
        locks.ranges.retain(|range| !is_gone(range));
        locks.whole.retain(|&(other, _)| Some(other) != file);
        if locks.ranges.is_empty() && locks.whole.is_empty() {
            self.files.locks.0.remove(&place);
        }
        self.notify(now, Source::FileLocks);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::VirtualTid;
    use crate::testing::{DATA, TestGuest, machine};
    use shim_abi::calls::nr;

    const AGAIN: i64 = Errno::EAGAIN.as_return();

    /// A machine with a pipe at 3 and 4, and a child that has it, too.
    struct Bench {
        kernel: Kernel,
        guest: TestGuest,
        tids: [VirtualTid; 2],
    }

    impl Bench {
        fn new() -> Bench {
            let (mut kernel, mut guest, tid) = machine();
            kernel.do_call(tid, nr::pipe2, [DATA, 0, 3, 4, 0, 0], &mut guest);
            let child = kernel.fork(tid, 0, &mut guest);
            Bench { kernel, guest, tids: [tid, child] }
        }
        fn call(&mut self, who: usize, number: u32, args: [u64; 3]) -> i64 {
            let [a, b, c] = args;
            self.kernel.do_call(self.tids[who], number, [a, b, c, 0, 0, 0], &mut self.guest)
        }
        fn lock(&mut self, who: usize, command: i32, kind: i32, first: u64, length: u64) -> i64 {
            self.guest.put_words(DATA, &[kind as u64, first, length, 0]);
            let fd = if kind == libc::F_RDLCK { 3 } else { 4 };
            self.call(who, nr::fcntl, [fd, command as u64, DATA])
        }
    }

    #[test]
    fn both_ends_of_a_pipe_share_its_lock() {
        let mut bench = Bench::new();
        let mut flock = |fd, operation: i32| bench.call(0, nr::flock, [fd, operation as u64, 0]);
        assert_eq!(flock(3, libc::LOCK_SH | libc::LOCK_NB), 0);
        assert_eq!(flock(4, libc::LOCK_EX | libc::LOCK_NB), AGAIN);
        assert_eq!(flock(4, libc::LOCK_SH), 0);
        assert_eq!(flock(3, libc::LOCK_EX), AGAIN, "and the old one is gone");
        assert_eq!(flock(4, libc::LOCK_EX), 0);
        assert_eq!(flock(4, 3), Errno::EINVAL.as_return());
        assert_eq!(flock(9, libc::LOCK_EX), Errno::EBADF.as_return());
        for who in [0, 1] {
            assert_eq!(bench.call(who, nr::close, [4, 0, 0]), 0);
        }
        assert_eq!(bench.call(0, nr::flock, [3, libc::LOCK_EX as u64, 0]), 0, "the last close");
    }

    #[test]
    fn ranges_are_of_processes() {
        let mut bench = Bench::new();
        assert_eq!(bench.lock(0, libc::F_SETLK, libc::F_WRLCK, 0, 10), 0);
        assert_eq!(bench.lock(0, libc::F_SETLK, libc::F_WRLCK, 10, 10), 0);
        assert_eq!(bench.lock(0, libc::F_SETLK, libc::F_UNLCK, 5, 2), 0);
        assert_eq!(bench.lock(1, libc::F_SETLK, libc::F_WRLCK, 5, 3), AGAIN);
        assert_eq!(bench.lock(1, libc::F_SETLK, libc::F_RDLCK, 5, 2), 0);
        assert_eq!(bench.lock(1, libc::F_GETLK, libc::F_WRLCK, 6, 0), 0);
        let [kind, first, length, pid] = bench.guest.words::<4>(DATA);
        assert_eq!([kind, first, length], [libc::F_WRLCK as u64, 7, 13]);
        assert_eq!(pid, u64::from(bench.tids[0].0));
        // Any descriptor of it that is closed ends them.
        assert_eq!(bench.call(0, nr::close, [3, 0, 0]), 0);
        assert_eq!(bench.lock(1, libc::F_SETLK, libc::F_WRLCK, 0, 0), 0);
        assert_eq!(bench.lock(0, libc::F_OFD_SETLK, libc::F_WRLCK, 0, 1), AGAIN);
    }

    #[test]
    fn nonsense_is_refused() {
        let mut bench = Bench::new();
        let invalid = Errno::EINVAL.as_return();
        assert_eq!(bench.lock(0, libc::F_SETLK, 7, 0, 0), invalid);
        assert_eq!(bench.lock(0, libc::F_SETLK, libc::F_WRLCK | 9 << 16, 0, 0), invalid);
        assert_eq!(bench.lock(0, libc::F_SETLK, libc::F_WRLCK, u64::MAX, 0), invalid);
        assert_eq!(bench.lock(0, libc::F_GETLK, libc::F_UNLCK, 0, 0), invalid);
        bench.guest.put_words(DATA, &[libc::F_WRLCK as u64, 0, 0, 0]);
        let bad = Errno::EBADF.as_return();
        assert_eq!(bench.call(0, nr::fcntl, [3, libc::F_SETLK as u64, DATA]), bad);
    }
}
