//! What a queue tells of itself: `mq_getsetattr`, and its descriptor when it is read.
//!
//! A descriptor in; a `struct mq_attr` or a line of text out. Always true: only whether calls wait can be changed,
//! and that of the open file, not of the queue.

use alloc::format;
use alloc::string::String;

use shim_abi::Errno;

use super::QueueId;
use crate::context::{Answer, Context, done};
use crate::file::{FileId, Object};
use crate::guest::GuestAddr;
use crate::kernel::Kernel;
use crate::memory::{read_words, write_words};

const NONBLOCK: u64 = libc::O_NONBLOCK as u64;

pub(crate) fn mq_getsetattr(
    context: &mut Context<'_>,
    fd: u32,
    new: GuestAddr,
    old: GuestAddr,
) -> Answer {
    let new: Option<[u64; 8]> = match new.is_null() {
        true => None,
        false => Some(read_words(context.guest, new)?),
    };
    if new.is_some_and(|[flags, ..]| flags & !NONBLOCK != 0) {
        return Err(Errno::EINVAL);
    }
    let (file, id) = context.queue_at(fd)?;
    let queue = context.kernel.message_queues.get(id);
    let (messages, message_bytes) = (queue.capacity.messages, queue.capacity.message_bytes);
    let len = queue.len();
    let file = context.kernel.files.get_mut(file)?;
    let flags = u64::from(file.status_flags);
    if let Some([new_flags, ..]) = new {
        file.status_flags = (flags & !NONBLOCK | new_flags) as u32;
    }
    if !old.is_null() {
        let words = [flags & NONBLOCK, messages, message_bytes, len, 0, 0, 0, 0];
        write_words(context.guest, old, words)?;
    }
    done(0)
}

impl Kernel {
    /// The text that a queue's descriptor shows.
    fn queue_text(&self, id: QueueId) -> String {
        let queue = self.message_queues.get(id);
        let [kind, signal, pid] = match &queue.registration {
            Some(registration) => registration.shown(),
            None => [0; 3],
        };
        let bytes = queue.bytes;
        format!("QSIZE:{bytes:<10} NOTIFY:{kind:<5} SIGNO:{signal:<5} NOTIFY_PID:{pid:<6}\n")
    }

    /// The next bytes of that text, at most so many, for who reads `file`.
    pub(crate) fn read_queue_text(&mut self, file: FileId, bytes: usize) -> String {
        let Some(id) = self.queue_of(file) else { return String::new() };
        let text = self.queue_text(id);
        let Ok(open) = self.files.get_mut(file) else { return String::new() };
        let Object::Queue { position, .. } = &mut open.object else { return String::new() };
        let rest = text.get(*position as usize..).unwrap_or_default();
        let next = &rest[..bytes.min(rest.len())];
        *position += next.len() as u32;
        String::from(next)
    }

    /// The path that a link to a queue's descriptor shows.
    pub(crate) fn queue_path(&self, id: QueueId) -> String {
        let name = String::from_utf8_lossy(&self.message_queues.get(id).name);
        let end = if self.message_queues.is_named(id) { "" } else { " (deleted)" };
        format!("/{name}{end}")
    }

    /// Mode, owner and the time of its making, for `fstat`; whether it has a name.
    pub(crate) fn queue_status(&self, id: QueueId) -> QueueStatus {
        let queue = self.message_queues.get(id);
        QueueStatus {
            mode: libc::S_IFREG | queue.owner.mode,
            ids: [queue.owner.user, queue.owner.group],
            made_ns: queue.made_ns,
            is_named: self.message_queues.is_named(id),
        }
    }
}

/// What `fstat` shows of a queue.
pub(crate) struct QueueStatus {
    pub(crate) mode: u32,
    /// User and group.
    pub(crate) ids: [u32; 2],
    pub(crate) made_ns: u64,
    pub(crate) is_named: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::bench::Bench;
    use crate::testing::{DATA, UID};
    use shim_abi::calls::nr;

    #[test]
    fn attributes_are_told_and_whether_calls_wait_is_set() {
        let mut bench = Bench::with_queue(1, libc::O_RDWR, 5);
        bench.guest.put_words(DATA, &[1]);
        let inval = Errno::EINVAL.as_return();
        assert_eq!(bench.done(0, nr::mq_getsetattr, &[3, DATA, 0]), inval);
        assert_eq!(bench.done(0, nr::mq_getsetattr, &[99, DATA, 0]), inval);
        assert_eq!(bench.done(0, nr::mq_getsetattr, &[99, 8, 0]), Errno::EFAULT.as_return());
        assert_eq!(bench.done(0, nr::mq_getsetattr, &[99, 0, 0]), Errno::EBADF.as_return());
        bench.guest.put_words(DATA, &[NONBLOCK]);
        assert_eq!(bench.done(0, nr::mq_timedsend, &[3, DATA, 3, 1, 0]), 0);
        assert_eq!(bench.done(0, nr::mq_getsetattr, &[3, DATA, DATA + 64]), 0);
        assert_eq!(bench.guest.words::<4>(DATA + 64), [0, 5, 8192, 1]);
        assert_eq!(bench.done(0, nr::mq_getsetattr, &[3, 0, DATA + 64]), 0);
        assert_eq!(bench.guest.words::<1>(DATA + 64), [NONBLOCK]);
        assert_eq!(bench.done(0, nr::mq_getsetattr, &[3, 0, 8]), Errno::EFAULT.as_return());
    }

    #[test]
    fn a_descriptor_can_be_read_and_looked_at() {
        let mut bench = Bench::with_queue(1, libc::O_RDWR, 5);
        assert_eq!(bench.done(0, nr::mq_timedsend, &[3, DATA, 35, 1, 0]), 0);
        assert_eq!(bench.done(0, nr::write, &[3, DATA, 35]), Errno::EINVAL.as_return());
        assert_eq!(bench.done(0, nr::read, &[3, DATA, 20]), 20);
        assert_eq!(bench.done(0, nr::read, &[3, DATA + 20, 200]), 40);
        assert_eq!(bench.done(0, nr::read, &[3, DATA + 20, 200]), 0);
        let mut text = [0; 60];
        crate::Guest::read(&mut bench.guest, GuestAddr(DATA), &mut text).unwrap();
        let expected = "QSIZE:35         NOTIFY:0     SIGNO:0     NOTIFY_PID:0     \n";
        assert_eq!(core::str::from_utf8(&text), Ok(expected));
        assert_eq!(bench.done(0, nr::fstat, &[3, DATA]), 0);
        let stat = bench.guest.words::<9>(DATA);
        assert_eq!([stat[2], stat[6]], [1, 80], "links and size");
        assert_eq!(stat[3], u64::from(libc::S_IFREG | 0o600) | u64::from(UID) << 32);
    }
}
