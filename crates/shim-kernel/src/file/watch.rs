//! Watches of files: `inotify_init1`, `inotify_add_watch`, `inotify_rm_watch`.
//!
//! What the real kernel has seen of files in, events for those who watch them out. Always true: regular files are the
//! real kernel's, so it is the one that knows what happened to which; each instance here has a *watcher*, an instance
//! of the real kernel's that the simulator holds, and what that has seen is taken over after each native call of a guest
//! of this host that may have made it ([`watched`]). So events come in the order of the calls. What the shim does to
//! files by itself (it sets their times) is taken out before it is seen. Cookies are counted here, because the real
//! kernel counts those of the whole machine. A watch for one event ends here, and not where the shim's own doings would
//! end it. See inotify(7).

use alloc::collections::{BTreeSet, VecDeque};
use alloc::vec::Vec;

use shim_abi::{Errno, SimTime};

use super::readiness::poll;
use super::table::{FileId, Object};
use super::transfer::{Progress, Transfer};
use crate::context::{Answer, Context, done};
use crate::guest::Guests;
use crate::kernel::Kernel;
use crate::memory::u32_at;

/// So many events wait at most: what Linux has in fs.inotify.max_queued_events.
const MAX_EVENTS: usize = 16_384;
/// Bytes of a `struct inotify_event` without the name.
const HEAD_BYTES: usize = 16;
/// Room for what a watcher has seen since it was last asked: many events with names.
const BUFFER_BYTES: usize = 8192;

/// Why the shim may find no file at a path.
const PATH_ERRORS: [Errno; 11] = [
    Errno::EACCES,
    Errno::EFAULT,
    Errno::EIO,
    Errno::ELOOP,
    Errno::EMFILE,
    Errno::ENAMETOOLONG,
    Errno::ENFILE,
    Errno::ENOENT,
    Errno::ENOMEM,
    Errno::ENOTDIR,
    Errno::EPERM,
];

/// Bits of an event, and of what a watch asks for.
const ALL_EVENTS: u32 = libc::IN_ALL_EVENTS;
const UNMOUNT: u32 = libc::IN_UNMOUNT;
const OVERFLOW: u32 = libc::IN_Q_OVERFLOW;
const IGNORED: u32 = libc::IN_IGNORED;
const MASK_CREATE: u32 = libc::IN_MASK_CREATE;
const MASK_ADD: u32 = libc::IN_MASK_ADD;
const ONCE: u32 = libc::IN_ONESHOT;
const FLAGS: u32 = libc::IN_ONLYDIR
    | libc::IN_DONT_FOLLOW
    | libc::IN_EXCL_UNLINK
    | MASK_CREATE
    | MASK_ADD
    | libc::IN_ISDIR
    | ONCE;
/// Whatever a mask may say.
const KNOWN: u32 = ALL_EVENTS | UNMOUNT | OVERFLOW | IGNORED | FLAGS;

/// Something that happened to a file.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Event {
    watch: i32,
    mask: u32,
    cookie: u32,
    /// With the zeros that fill it up.
    name: Vec<u8>,
}

impl Event {
    fn bytes(&self) -> usize {
        HEAD_BYTES + self.name.len()
    }
}

/// An instance.
#[derive(Debug, Default)]
pub(crate) struct Watches {
    /// What the real kernel's instance is called, once there is one.
    watcher: Option<u32>,
    queue: VecDeque<Event>,
    /// Watches that end with their first event, and those that have had it.
    once: BTreeSet<i32>,
    spent: BTreeSet<i32>,
}

impl Watches {
    /// What can be done with it.
    pub(super) fn readiness(&self) -> u32 {
        if self.queue.is_empty() { 0 } else { poll::READ }
    }
    /// FIONREAD: bytes of all events.
    pub(super) fn unread_bytes(&self) -> usize {
        self.queue.iter().map(Event::bytes).sum()
    }
    /// The real kernel's instance behind it.
    pub(super) fn watcher(&self) -> Option<u32> {
        self.watcher
    }

    /// Take an event, unless it says the same as the one before it; whether it is the first of a watch for one.
    fn push(&mut self, event: Event) -> bool {
        if self.spent.contains(&event.watch) && event.mask & IGNORED == 0 {
            return false;
        }
        if event.mask & IGNORED != 0 {
            self.spent.remove(&event.watch);
            self.once.remove(&event.watch);
        }
        let is_last = self.once.remove(&event.watch);
        if is_last {
            self.spent.insert(event.watch);
        }
        let is_same = |last: &Event| {
            (last.watch, last.mask, &last.name) == (event.watch, event.mask, &event.name)
        };
        if self.queue.back().is_some_and(|last| last.mask & IGNORED == 0 && is_same(last)) {
            return is_last;
        }
        match self.queue.len() {
            0..MAX_EVENTS => self.queue.push_back(event),
            MAX_EVENTS => {
                let lost = Event { watch: -1, mask: OVERFLOW, cookie: 0, name: Vec::new() };
                self.queue.push_back(lost);
            }
            _ => {}
        }
        is_last
    }
}

/// All instances of a host that watch something.
#[derive(Debug, Default)]
pub(crate) struct Watchers {
    files: BTreeSet<FileId>,
    /// The last cookie of the real kernel's, and what it is here.
    last_cookie: (u32, u32),
}

impl Watchers {
    /// The cookie that stands for one of the real kernel's: the two events of a renaming have the same, and come after
    /// one call.
    fn cookie(&mut self, native: u32) -> u32 {
        if native == 0 {
            return 0;
        }
        if self.last_cookie.0 != native {
            self.last_cookie = (native, self.last_cookie.1 + 1);
        }
        self.last_cookie.1
    }
}

pub(crate) fn inotify_init(context: &mut Context<'_>, fd: u32) -> Answer {
    inotify_init1(context, 0, fd)
}

pub(crate) fn inotify_init1(context: &mut Context<'_>, flags: u32, fd: u32) -> Answer {
    let [cloexec, nonblock] = [libc::IN_CLOEXEC, libc::IN_NONBLOCK].map(|flag| flag as u32);
    if flags & !(cloexec | nonblock) != 0 {
        return Err(Errno::EINVAL);
    }
    context.create(fd, Object::Watches(Watches::default()), flags & nonblock, flags)?;
    done(fd.into())
}

/// `file` is a native descriptor of what is to be watched; `errno` says why there is none.
pub(crate) fn inotify_add_watch(
    context: &mut Context<'_>,
    fd: u32,
    file: u32,
    mask: u32,
    errno: i32,
) -> Answer {
    if mask & !KNOWN != 0 || mask == 0 {
        return Err(Errno::EINVAL);
    }
    let id = context.file(fd)?;
    if mask & MASK_ADD != 0 && mask & MASK_CREATE != 0 {
        return Err(Errno::EINVAL);
    }
    let watcher = context.watches(id)?.watcher;
    if errno != 0 {
        let is_of_paths = |known: &Errno| known.number() == errno;
        return Err(PATH_ERRORS.iter().copied().find(is_of_paths).unwrap_or(Errno::EINVAL));
    }
    let watcher = match watcher {
        Some(watcher) => watcher,
        None => {
            let watcher = context.guest.make_watcher()?;
            context.watches(id)?.watcher = Some(watcher);
            context.kernel.files.watchers.files.insert(id);
            watcher
        }
    };
    let watch = context.guest.watch(watcher, file, mask & !ONCE)?;
    let watches = context.watches(id)?;
    if mask & ONCE != 0 {
        watches.once.insert(watch);
    } else if mask & MASK_ADD == 0 {
        watches.once.remove(&watch);
    }
    done(watch.into())
}

pub(crate) fn inotify_rm_watch(context: &mut Context<'_>, fd: u32, watch: i32) -> Answer {
    let id = context.file(fd)?;
    let watcher = context.watches(id)?.watcher.ok_or(Errno::EINVAL)?;
    context.guest.unwatch(watcher, watch)?;
    context.kernel.take_watched(context.now, true, context.guest);
    done(0)
}

/// The shim's own call: files may have changed. `is_shown` says whether that concerns anybody.
pub(crate) fn watched(context: &mut Context<'_>, is_shown: u32) -> Answer {
    context.kernel.take_watched(context.now, is_shown != 0, context.guest);
    done(0)
}

impl Context<'_> {
    fn watches(&mut self, id: FileId) -> Result<&mut Watches, Errno> {
        self.kernel.files.watches_mut(id)
    }

    pub(super) fn read_watches(&mut self, id: FileId, transfer: &mut Transfer) -> Progress {
        loop {
            let watches = self.kernel.files.watches_mut(id)?;
            let Some(event) = watches.queue.front() else {
                return Ok((transfer.moved > 0).then_some(transfer.moved));
            };
            if transfer.left() < event.bytes() {
                return transfer.end_with(Errno::EINVAL);
            }
            let Some(event) = watches.queue.pop_front() else { return Ok(None) };
            let words = [event.watch as u32, event.mask, event.cookie, event.name.len() as u32];
            let mut bytes = Vec::with_capacity(event.bytes());
            words.iter().for_each(|word| bytes.extend(word.to_le_bytes()));
            bytes.extend(event.name);
            transfer.store(self.guest, &bytes)?;
        }
    }
}

impl super::table::Files {
    fn watches_mut(&mut self, id: FileId) -> Result<&mut Watches, Errno> {
        match &mut self.get_mut(id)?.object {
            Object::Watches(watches) => Ok(watches),
            _ => Err(Errno::EINVAL),
        }
    }
}

impl Kernel {
    /// Whether anybody watches files, so that guests have to tell of what they do with some.
    pub fn is_watching(&self) -> bool {
        !self.files.watchers.files.is_empty()
    }

    /// Take over what the watchers have seen; not `is_shown`: only to forget it.
    pub(crate) fn take_watched(
        &mut self,
        now: SimTime,
        is_shown: bool,
        guests: &mut (impl Guests + ?Sized),
    ) {
        let files: Vec<FileId> = self.files.watchers.files.iter().copied().collect();
        for id in files {
            let Ok(watches) = self.files.watches_mut(id) else { continue };
            let Some(watcher) = watches.watcher else { continue };
            let mut buffer = alloc::vec![0; BUFFER_BYTES];
            let mut has_come = false;
            loop {
                let count = guests.read_watcher(watcher, &mut buffer);
                let Some(seen) = buffer.get(..count).filter(|seen| !seen.is_empty()) else { break };
                if is_shown {
                    has_come = true;
                    let ended = self.take_events(id, seen);
                    ended.into_iter().for_each(|watch| guests.end_watch(watcher, watch));
                }
            }
            if has_come {
                self.notify_file(now, id, poll::READ);
            }
        }
    }

    /// Put events into an instance's queue; the watches that are over with them.
    fn take_events(&mut self, id: FileId, mut seen: &[u8]) -> Vec<i32> {
        let mut ended = Vec::new();
        while seen.len() >= HEAD_BYTES {
            let name_bytes = u32_at(seen, 12) as usize;
            let (head, rest) = seen.split_at(HEAD_BYTES);
            let (name, rest) = rest.split_at(name_bytes.min(rest.len()));
            seen = rest;
            let (watch, mask) = (u32_at(head, 0) as i32, u32_at(head, 4));
            let cookie = self.files.watchers.cookie(u32_at(head, 8));
            let Ok(watches) = self.files.watches_mut(id) else { break };
            if watches.push(Event { watch, mask, cookie, name: name.to_vec() }) {
                ended.push(watch);
            }
        }
        ended
    }

    /// An instance is gone, and with it what the real kernel has for it.
    pub(super) fn close_watches(&mut self, id: FileId, watches: &Watches) {
        self.files.watchers.files.remove(&id);
        if let Some(watcher) = watches.watcher() {
            self.drop_native(watcher);
        }
    }
}

/// How `inotify_add_watch` can fail.
#[cfg(test)]
pub(super) fn refusals() -> Vec<Errno> {
    [&PATH_ERRORS[..], &[Errno::EBADF, Errno::EINVAL]].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(watch: i32, mask: u32, name: &[u8]) -> Event {
        Event { watch, mask, cookie: 0, name: name.to_vec() }
    }

    #[test]
    fn what_says_the_same_as_the_last_says_it_once() {
        let mut watches = Watches::default();
        for name in [b"a", b"a", b"b", b"a"] {
            watches.push(event(1, libc::IN_MODIFY, name));
        }
        assert_eq!(watches.queue.len(), 3);
        assert_eq!(watches.unread_bytes(), 3 * 17);
        for _ in 0..2 {
            watches.push(event(1, IGNORED, b""));
        }
        assert_eq!(watches.queue.len(), 5, "the end of a watch is told each time");
    }

    #[test]
    fn what_is_too_much_is_lost_and_said_to_be() {
        let mut watches = Watches::default();
        for number in 0..MAX_EVENTS as i32 + 5 {
            watches.push(event(number, libc::IN_OPEN, b""));
        }
        assert_eq!(watches.queue.len(), MAX_EVENTS + 1);
        assert_eq!(watches.queue.back().map(|last| (last.watch, last.mask)), Some((-1, OVERFLOW)));
    }

    #[test]
    fn a_watch_for_one_event_has_one() {
        let mut watches = Watches { once: [7].into(), ..Watches::default() };
        assert!(watches.push(event(7, libc::IN_OPEN, b"")));
        assert!(!watches.push(event(7, libc::IN_ACCESS, b"")));
        assert!(!watches.push(event(7, IGNORED, b"")));
        let masks: Vec<u32> = watches.queue.iter().map(|event| event.mask).collect();
        assert_eq!(masks, [libc::IN_OPEN, IGNORED]);
        assert!(watches.spent.is_empty() && watches.once.is_empty());
    }

    #[test]
    fn both_events_of_a_renaming_have_one_cookie() {
        let mut watchers = Watchers::default();
        let cookies = [0, 900, 900, 0, 917, 917].map(|native| watchers.cookie(native));
        assert_eq!(cookies, [0, 1, 1, 0, 2, 2]);
    }
}
