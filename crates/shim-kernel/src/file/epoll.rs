//! epoll: `epoll_create1`, `epoll_ctl`, `epoll_wait` and its kin.
//!
//! Descriptors and events in, events out. Rooms: `instance` (what one watches and what may be ready), `spread` (how
//! changes reach the instances), `nesting` (instances in instances). Always true: an instance watches a file under
//! the number that it was added with, and forgets it when nobody refers to the file any more; an entry is on the
//! ready list if its file may be ready, and whether it is, is asked when the events are fetched. So order, edges and
//! fairness are Linux's.
//!
//! A standard stream is the real kernel's: it is ready for what it was ready for when it was added, and always for
//! writing. Its end and its input while nobody looks are not seen.

mod instance;
mod nesting;
mod spread;
#[cfg(test)]
mod tests;

use shim_abi::{Errno, SimTime};

pub(super) use instance::Epoll;
use instance::{Entry, Key, event};
pub(super) use spread::Watcher;

use super::readiness::poll;
use super::table::{FileId, Object};
use crate::context::{Answer, Context, done};
use crate::guest::GuestAddr;
use crate::memory::{read_bytes, u32_at, u64_at};
use crate::task::{Wait, Wake};
use crate::waiters::Source;

/// Bytes of a `struct epoll_event`, which is packed.
const EVENT_BYTES: usize = 12;
/// No call fetches more events.
const MAX_EVENTS: i32 = i32::MAX / EVENT_BYTES as i32;
/// Where the addresses of a process end.
const MEMORY_END: u64 = 0x7fff_ffff_f000;

/// `epoll_create`: the shim has looked at the size.
pub(crate) fn epoll_create(context: &mut Context<'_>, _: u32, fd: u32) -> Answer {
    epoll_create1(context, 0, fd)
}

pub(crate) fn epoll_create1(context: &mut Context<'_>, flags: u32, fd: u32) -> Answer {
    if flags & !(libc::EPOLL_CLOEXEC as u32) != 0 {
        return Err(Errno::EINVAL);
    }
    let object = Object::Epoll(Epoll::default());
    context.create(fd, object, libc::O_RDWR as u32, flags)?;
    done(fd.into())
}

/// What the shim says of the descriptor to be watched: a file that cannot be, a stream of the real kernel's, or
/// something that the kernel knows, if it is anything.
const KIND_FILE: u32 = 1;
const KIND_STREAM: u32 = 2;

pub(crate) fn epoll_ctl(
    context: &mut Context<'_>,
    instance: u32,
    operation: i32,
    fd: u32,
    from: GuestAddr,
    kind: u32,
    stream_bits: u32,
) -> Answer {
    let (mut events, mut data) = (0, 0);
    if operation != libc::EPOLL_CTL_DEL {
        let bytes: [u8; EVENT_BYTES] = read_bytes(context.guest, from)?;
        // Guests may not keep a machine awake.
        (events, data) = (u32_at(&bytes, 0) & !event::WAKE_UP, u64_at(&bytes, 4));
    }
    let epoll = context.file(instance)?;
    let file = match kind {
        KIND_FILE => return Err(Errno::EPERM),
        KIND_STREAM => None,
        _ => Some(context.file(fd)?),
    };
    if file == Some(epoll) || context.kernel.files.epoll(epoll).is_none() {
        return Err(Errno::EINVAL);
    }
    let is_nested = file.is_some_and(|file| context.kernel.files.epoll(file).is_some());
    if events & event::EXCLUSIVE != 0 {
        let is_possible = match operation {
            libc::EPOLL_CTL_MOD => false,
            libc::EPOLL_CTL_ADD => !is_nested && events & !event::WITH_EXCLUSIVE == 0,
            _ => true,
        };
        if !is_possible {
            return Err(Errno::EINVAL);
        }
    }
    if let (libc::EPOLL_CTL_ADD, true, Some(inner)) = (operation, is_nested, file) {
        context.kernel.files.check_nesting(epoll, inner)?;
    }
    let key = Key { file, fd };
    let old = context.kernel.files.epoll(epoll).and_then(|epoll| epoll.get(key));
    let stream_bits = stream_bits & poll::READ | poll::WRITE;
    let entry = Entry::new(events | poll::ERR | poll::HUP, data, stream_bits);
    match (operation, old) {
        (libc::EPOLL_CTL_ADD, Some(_)) => Err(Errno::EEXIST),
        (libc::EPOLL_CTL_ADD, None) => context.watch(epoll, key, entry),
        (libc::EPOLL_CTL_DEL | libc::EPOLL_CTL_MOD, None) => Err(Errno::ENOENT),
        (libc::EPOLL_CTL_DEL, Some(_)) => {
            context.kernel.files.unwatch(epoll, key);
            done(0)
        }
        (libc::EPOLL_CTL_MOD, Some(old)) if old.events & event::EXCLUSIVE != 0 => {
            Err(Errno::EINVAL)
        }
        (libc::EPOLL_CTL_MOD, Some(_)) => context.change(epoll, key, entry),
        _ => Err(Errno::EINVAL),
    }
}

pub(crate) fn epoll_wait(
    context: &mut Context<'_>,
    instance: u32,
    to: GuestAddr,
    count: i32,
    timeout_ms: i32,
) -> Answer {
    let timeout_ns = i64::from(timeout_ms).saturating_mul(1_000_000);
    epoll_pwait2(context, instance, to, count, timeout_ns as u64)
}

/// The time-out is in nanoseconds; the shim has read it, and has set the mask.
pub(crate) fn epoll_pwait2(
    context: &mut Context<'_>,
    instance: u32,
    to: GuestAddr,
    count: i32,
    timeout_ns: u64,
) -> Answer {
    let epoll = context.file(instance)?;
    if count <= 0 || count > MAX_EVENTS {
        return Err(Errno::EINVAL);
    }
    let bytes = EVENT_BYTES as u64 * count as u64;
    if to.0.checked_add(bytes).is_none_or(|end| end > MEMORY_END) {
        return Err(Errno::EFAULT);
    }
    if context.kernel.files.epoll(epoll).is_none() {
        return Err(Errno::EINVAL);
    }
    let deadline = context.deadline_after(timeout_ns as i64);
    context.fetch_or_wait(epoll, to, count as u32, deadline, deadline <= context.now)
}

impl Context<'_> {
    fn watch(&mut self, epoll: FileId, key: Key, entry: Entry) -> Answer {
        self.kernel.files.watch(self.pid, epoll, key, entry);
        self.enlist(epoll, key);
        done(0)
    }

    fn change(&mut self, epoll: FileId, key: Key, entry: Entry) -> Answer {
        if let Some(epoll) = self.kernel.files.epoll_mut(epoll) {
            epoll.change(key, entry);
        }
        self.enlist(epoll, key);
        done(0)
    }

    /// If what an entry watches is ready, it goes on the ready list and whoever waits learns of it, unless it is
    /// there already.
    fn enlist(&mut self, id: FileId, key: Key) {
        let is_ready = self.kernel.ready_events(self.now, id, key, self.tid) != 0;
        let Some(epoll) = self.kernel.files.epoll_mut(id) else { return };
        if is_ready && epoll.enlist(key) {
            self.kernel.notify_file(self.now, id, poll::READ);
        }
    }

    /// A wait for events goes on.
    pub(crate) fn finish_epoll(
        &mut self,
        epoll: FileId,
        to: GuestAddr,
        count: u32,
        deadline: SimTime,
        wake: Wake,
    ) -> Answer {
        self.fetch_or_wait(epoll, to, count, deadline, wake == Wake::Timeout)
    }

    fn fetch_or_wait(
        &mut self,
        epoll: FileId,
        to: GuestAddr,
        count: u32,
        deadline: SimTime,
        is_late: bool,
    ) -> Answer {
        let fetched = self.fetch_events(epoll, to, count)?;
        if fetched > 0 || is_late {
            return done(fetched);
        }
        if self.is_ended_by_signal(self.guest.signal_mask()) {
            return Err(Errno::EINTR);
        }
        self.park_on(&[Source::File(epoll)], Wait::Epoll { epoll, to, count }, deadline)
    }

    /// Store the events of up to `count` ready entries; how many.
    fn fetch_events(&mut self, id: FileId, to: GuestAddr, count: u32) -> Result<i64, Errno> {
        let mut events = alloc::vec::Vec::new();
        let mut bytes = alloc::vec::Vec::new();
        let mut after = None;
        while events.len() < count as usize {
            let epoll = self.kernel.files.epoll(id).ok_or(Errno::EINVAL)?;
            let Some((place, key)) = epoll.next_ready(after) else { break };
            after = Some(place);
            let revents = self.kernel.ready_events(self.now, id, key, self.tid);
            let epoll = self.kernel.files.epoll_mut(id).ok_or(Errno::EINVAL)?;
            let Some(entry) = epoll.get(key).filter(|_| revents != 0) else {
                epoll.delist(key);
                continue;
            };
            bytes.extend_from_slice(&revents.to_le_bytes());
            bytes.extend_from_slice(&entry.data.to_le_bytes());
            events.push(key);
        }
        let stored = self.store_events(to, &bytes)?;
        let epoll = self.kernel.files.epoll_mut(id).ok_or(Errno::EINVAL)?;
        events.into_iter().take(stored).for_each(|key| epoll.fetched(key));
        Ok(stored as i64)
    }

    /// Store as many events as memory takes; EFAULT if it takes none of some.
    fn store_events(&mut self, to: GuestAddr, bytes: &[u8]) -> Result<usize, Errno> {
        if bytes.is_empty() || self.guest.write(to, bytes).is_ok() {
            return Ok(bytes.len() / EVENT_BYTES);
        }
        let mut stored = 0;
        for event in bytes.chunks_exact(EVENT_BYTES) {
            let at = GuestAddr(to.0.wrapping_add((stored * EVENT_BYTES) as u64));
            match self.guest.write(at, event) {
                Err(errno) if stored == 0 => return Err(errno),
                Err(_) => break,
                Ok(()) => stored += 1,
            }
        }
        Ok(stored)
    }
}
