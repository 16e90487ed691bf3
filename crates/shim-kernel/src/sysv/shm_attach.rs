//! `shmget`, `shmat`, `shmdt`: which memory, and who has it.
//!
//! Keys, ids and addresses in; ids, and what the guest's shim is to map, out. Always true: the shim maps and unmaps,
//! because only it can; an attachment is noted once the memory is there, and forgotten before it is gone.
//!
//! `shmat` arrives twice: with the request, to which the answer says what to map, and as the shim's own call with the
//! address at which it is. A segment that has ended in between is EIDRM.

use shim_abi::{Errno, SimTime};

use super::ids::Lookup;
use super::permission::{READ, WRITE};
use super::segment::{Attachment, MAX_BYTES, PAGE_BYTES, Segment};
use crate::context::{Answer, Context, done};
use crate::guest::{GuestAddr, Guests};
use crate::ids::VirtualPid;
use crate::kernel::Kernel;
use crate::memory::write_words;
use crate::task::{Life, Process};

const EXECUTE: u32 = 0o111;

pub(crate) fn shmget(context: &mut Context<'_>, key: i32, bytes: u64, flags: i32) -> Answer {
    let caller = context.credentials();
    let now_secs = context.kernel.realtime_secs(context.now);
    let check = |segment: &Segment| if segment.bytes < bytes { Err(Errno::EINVAL) } else { Ok(()) };
    let segments = &context.kernel.sysv.segments;
    if let Lookup::Found(id) = segments.look_up(key, flags, caller, check)? {
        return done(id.into());
    }
    if !(1..=MAX_BYTES).contains(&bytes) {
        return Err(Errno::EINVAL);
    }
    // Large pages are for the privileged.
    if flags & libc::SHM_HUGETLB != 0 {
        return Err(Errno::EPERM);
    }
    if bytes > context.kernel.config.memory_bytes {
        return Err(Errno::ENOMEM);
    }
    segments.check_room()?;
    let memory = context.guest.make_memory(bytes.next_multiple_of(PAGE_BYTES))?;
    let segment = Segment::new(bytes, memory, context.pid.0, now_secs);
    done(context.kernel.sysv.segments.add(key, flags, caller, segment)?.into())
}

/// `to` is the shim's own memory: what the segment's memory goes by, its bytes in whole pages.
pub(crate) fn shmat(
    context: &mut Context<'_>,
    id: i32,
    address: u64,
    flags: i32,
    to: GuestAddr,
) -> Answer {
    let has = |flag: i32| flags & flag != 0;
    let is_aligned = address.is_multiple_of(PAGE_BYTES);
    let is_place_good = match address {
        0 => !has(libc::SHM_REMAP),
        _ if !is_aligned => has(libc::SHM_RND) && !(address < PAGE_BYTES && has(libc::SHM_REMAP)),
        _ => true,
    };
    if id < 0 || !is_place_good {
        return Err(Errno::EINVAL);
    }
    let mut wanted = if has(libc::SHM_RDONLY) { READ } else { READ | WRITE };
    if has(libc::SHM_EXEC) {
        wanted |= EXECUTE;
    }
    let entry = context.kernel.sysv.segments.find(id)?;
    entry.permission.check(context.credentials(), wanted)?;
    let segment = &entry.object;
    let words = [segment.memory.into(), segment.pages() * PAGE_BYTES];
    write_words(context.guest, to, words)?;
    done(0)
}

/// The shim's own call: segment `id` is mapped at `address` now.
pub(crate) fn attached(context: &mut Context<'_>, id: i32, address: u64) -> Answer {
    let (space, pid) = (context.process().address_space, context.pid);
    let entry = context.kernel.sysv.segments.find(id).map_err(|_| Errno::EIDRM)?;
    let bytes = entry.object.pages() * PAGE_BYTES;
    let replaced = context.kernel.sysv.attachments.remove_within(space, address, bytes);
    context.kernel.sysv.attachments.add(space, address, Attachment { id, bytes });
    context.kernel.count_attachment(context.now, pid, id);
    for id in replaced {
        context.kernel.discount_attachment(context.now, pid, id, context.guest);
    }
    done(0)
}

/// How many bytes the shim is to unmap at `address`.
pub(crate) fn shmdt(context: &mut Context<'_>, address: u64) -> Answer {
    let (space, pid) = (context.process().address_space, context.pid);
    let gone = context.kernel.sysv.attachments.remove(space, address).ok_or(Errno::EINVAL)?;
    context.kernel.discount_attachment(context.now, pid, gone.id, context.guest);
    done(gone.bytes as i64)
}

impl Kernel {
    fn count_attachment(&mut self, now: SimTime, pid: VirtualPid, id: i32) {
        let now_secs = self.realtime_secs(now);
        if let Ok(entry) = self.sysv.segments.find_mut(id) {
            entry.object.count += 1;
            (entry.object.attached, entry.object.user) = (now_secs, pid.0);
        }
    }

    fn discount_attachment<G: Guests + ?Sized>(
        &mut self,
        now: SimTime,
        pid: VirtualPid,
        id: i32,
        guests: &mut G,
    ) {
        let now_secs = self.realtime_secs(now);
        let Ok(entry) = self.sysv.segments.find_mut(id) else { return };
        entry.object.count = entry.object.count.saturating_sub(1);
        (entry.object.detached, entry.object.user) = (now_secs, pid.0);
        self.end_segment_if_over(id, guests);
    }

    /// A segment that was removed goes with its last user.
    pub(super) fn end_segment_if_over<G: Guests + ?Sized>(&mut self, id: i32, guests: &mut G) {
        let is_over = |entry: &super::ids::Entry<Segment>| entry.object.is_over(&entry.permission);
        if self.sysv.segments.find(id).is_ok_and(is_over)
            && let Ok(entry) = self.sysv.segments.remove(id)
        {
            guests.drop_memory(entry.object.memory);
        }
    }

    /// Process `pid` has a copy of the memory of another.
    pub(crate) fn copy_attachments(&mut self, now: SimTime, parent: VirtualPid, pid: VirtualPid) {
        let space_of = |pid| self.processes.get(&pid).map(|process| process.address_space);
        let (Some(from), Some(to)) = (space_of(parent), space_of(pid)) else { return };
        if from != to {
            for id in self.sysv.attachments.copy(from, to) {
                self.count_attachment(now, parent, id);
            }
        }
    }

    /// Process `pid` has ended, or left its memory, which nobody else is in: then nothing is attached there.
    pub(crate) fn drop_attachments<G: Guests + ?Sized>(
        &mut self,
        now: SimTime,
        pid: VirtualPid,
        guests: &mut G,
    ) {
        let Some(process) = self.processes.get(&pid) else { return };
        let space = process.address_space;
        let is_inside = |(&other, process): (&VirtualPid, &Process)| {
            other != pid && process.address_space == space && process.life == Life::Alive
        };
        if self.processes.iter().any(is_inside) {
            return;
        }
        for id in self.sysv.attachments.remove_all(space) {
            self.discount_attachment(now, pid, id, guests);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::DATA;
    use crate::testing::bench::Bench;
    use shim_abi::calls::{PSEUDO_ATTACHED, nr};

    const CREATE: u64 = 0o1600;
    const PLACE: u64 = 16 * PAGE_BYTES;

    impl Bench {
        fn attach(&mut self, thread: usize, id: u64, address: u64) {
            assert_eq!(self.done(thread, nr::shmat, &[id, 0, 0, DATA]), 0);
            assert_eq!(self.done(thread, PSEUDO_ATTACHED, &[id, address]), 0);
        }
        fn count(&mut self, id: u64) -> u64 {
            assert_eq!(self.done(0, nr::shmctl, &[id, libc::IPC_STAT as u64, DATA]), 0);
            self.guest.words::<12>(DATA)[11]
        }
        fn remove(&mut self, id: u64) -> i64 {
            self.done(0, nr::shmctl, &[id, libc::IPC_RMID as u64])
        }
    }

    #[test]
    fn getting_a_segment_checks_in_linux_order() {
        let mut bench = Bench::new(1);
        let mut get =
            |key: u64, bytes: u64, flags: u64| bench.done(0, nr::shmget, &[key, bytes, flags]);
        let [inval, noent, nomem] =
            [Errno::EINVAL, Errno::ENOENT, Errno::ENOMEM].map(Errno::as_return);
        assert_eq!(get(5, 0, 0), noent);
        assert_eq!(get(5, 0, CREATE), inval);
        assert_eq!(get(5, u64::MAX, CREATE), inval);
        assert_eq!(get(5, 1 << 46, CREATE), nomem);
        assert_eq!(get(5, 1, CREATE | libc::SHM_HUGETLB as u64), Errno::EPERM.as_return());
        assert_eq!(get(5, 5000, CREATE), 0);
        assert_eq!(get(5, 5001, 0), inval);
        assert_eq!(get(5, 5000, 0o111), Errno::EACCES.as_return());
        assert_eq!(get(5, 0, CREATE | 0o2000), Errno::EEXIST.as_return());
        assert_eq!(get(5, 5000, CREATE), 0);
        assert_eq!(bench.guest.segments, [8192], "whole pages");
    }

    #[test]
    fn attaching_checks_in_linux_order_and_says_what_to_map() {
        let mut bench = Bench::new(1);
        bench.done(0, nr::shmget, &[5, 5000, 0o1400]);
        let [inval, access] = [Errno::EINVAL, Errno::EACCES].map(Errno::as_return);
        let [round, remap, read, execute] =
            [libc::SHM_RND, libc::SHM_REMAP, libc::SHM_RDONLY, libc::SHM_EXEC]
                .map(|flag| flag as u64);
        for (id, address, flags, expected) in [
            (u64::MAX, 0, 0, inval),
            (1, 0, 0, inval),
            (0, 0, remap, inval),
            (0, 5, read, inval),
            (0, 5, read | round | remap, inval),
            (0, 5, read | round, 0),
            (0, PLACE, read | remap, 0),
            (0, PLACE + 5, read | round | remap, 0),
            (0, 0, 0, access),
            (0, 0, read | execute, access),
            (0, 0, read, 0),
        ] {
            let got = bench.done(0, nr::shmat, &[id, address, flags, DATA]);
            assert_eq!(got, expected, "{id} {address:#x} {flags:#o}");
        }
        assert_eq!(bench.guest.words::<2>(DATA), [100, 8192]);
        let gone = bench.done(0, PSEUDO_ATTACHED, &[7, PLACE]);
        assert_eq!(gone, Errno::EIDRM.as_return());
    }

    #[test]
    fn a_removed_segment_ends_with_its_last_user() {
        let mut bench = Bench::new(2);
        bench.done(0, nr::shmget, &[5, 4096, CREATE]);
        bench.attach(0, 0, PLACE);
        bench.attach(1, 0, PLACE);
        bench.attach(1, 0, 2 * PLACE);
        bench.attach(1, 0, 2 * PLACE);
        assert_eq!(bench.count(0), 3, "one replaced the other");
        assert_eq!(bench.done(1, nr::shmdt, &[PLACE + 1]), Errno::EINVAL.as_return());
        assert_eq!(bench.done(1, nr::shmdt, &[2 * PLACE]), 4096);
        assert_eq!(bench.remove(0), 0);
        assert_eq!(bench.count(0), 2);
        let key = bench.guest.words::<1>(DATA)[0] as u32;
        assert_eq!(key, 0, "it is not found any more");
        let found = bench.done(0, nr::shmget, &[5, 4096, 0]);
        assert_eq!(found, Errno::ENOENT.as_return());
        bench.attach(0, 0, 3 * PLACE);
        assert_eq!(bench.done(0, nr::shmdt, &[PLACE]), 4096);
        assert_eq!(bench.done(0, nr::shmdt, &[3 * PLACE]), 4096);
        assert_eq!(bench.guest.segments, [4096], "the other process has it");
        bench.kernel.end(VirtualPid(1001), 0, &mut bench.guest);
        assert!(bench.guest.segments.is_empty());
        assert_eq!(bench.remove(0), Errno::EINVAL.as_return());
    }

    #[test]
    fn children_inherit_and_images_lose() {
        let mut bench = Bench::new(1);
        bench.done(0, nr::shmget, &[5, 4096, CREATE]);
        bench.attach(0, 0, PLACE);
        let child = bench.kernel.fork(bench.threads[0], 0, &mut bench.guest);
        assert_eq!(bench.count(0), 2);
        let flags = libc::CLONE_VM | libc::CLONE_VFORK;
        let sharing = bench.kernel.fork(child, flags, &mut bench.guest);
        assert_eq!(bench.count(0), 2);
        bench.kernel.end(VirtualPid(sharing.0), 0, &mut bench.guest);
        assert_eq!(bench.count(0), 2, "its maker is still there");
        bench.kernel.exec_started(bench.now, child, &mut bench.guest);
        assert_eq!(bench.count(0), 1);
        bench.remove(0);
        bench.kernel.end(VirtualPid(bench.threads[0].0), 0, &mut bench.guest);
        assert!(bench.guest.segments.is_empty());
    }
}
