//! `mq_open`, `mq_unlink`: names, permissions, limits.
//!
//! A name in, a descriptor out. Always true: names are those of one directory in which everybody may make files
//! and only owners, and user 0, may remove them; which error comes first is as on Linux. The mode that arrives here has been
//! through the caller's umask, which only its shim knows; the number of the descriptor is the real kernel's.

use alloc::vec::Vec;

use shim_abi::Errno;

use super::QueueId;
use super::queue::{Capacity, Owner, Queue};
use crate::context::{Answer, Context, done};
use crate::file::{Object, check_number};
use crate::guest::GuestAddr;
use crate::memory::{read_text, read_words};

/// How many queues a host has at most.
const MAX_QUEUES: usize = 256;
/// What a queue holds if its maker does not say, and at most.
const LIMIT: Capacity = Capacity { messages: 10, message_bytes: 8_192 };
/// Longest path, and longest name in a directory.
const PATH_MAX: usize = 4_096;
const NAME_MAX: usize = 255;

pub(crate) fn mq_open(
    context: &mut Context<'_>,
    name: GuestAddr,
    flags: i32,
    mode: u32,
    attributes: GuestAddr,
    fd: u32,
) -> Answer {
    let asked = match attributes.is_null() {
        true => None,
        false => {
            let words: [u64; 8] = read_words(context.guest, attributes)?;
            Some([words[1], words[2]])
        }
    };
    let name = context.read_queue_name(name)?;
    check_number(fd)?;
    let is_creating = flags & libc::O_CREAT != 0;
    let queue = match context.kernel.message_queues.names.get(&name) {
        None if !is_creating => return Err(Errno::ENOENT),
        None => context.make_queue(name, mode, asked)?,
        Some(_) if is_creating && flags & libc::O_EXCL != 0 => return Err(Errno::EEXIST),
        Some(&queue) => {
            context.check_queue(queue, flags)?;
            queue
        }
    };
    const GONE: i32 = libc::O_CREAT | libc::O_EXCL | libc::O_NOCTTY | libc::O_TRUNC;
    let status = (flags & !GONE & !libc::O_CLOEXEC) as u32;
    let inode = context.kernel.message_queues.get(queue).inode;
    let object = Object::Queue { queue, position: 0 };
    let file = context.kernel.open_file(context.now, object, status, Some(inode));
    context.kernel.message_queues.get_mut(queue).files.push(file);
    context.install(fd, file, true);
    done(fd.into())
}

pub(crate) fn mq_unlink(context: &mut Context<'_>, name: GuestAddr) -> Answer {
    let name = context.read_queue_name(name)?;
    let [_, user, _] = context.guest.user_ids();
    let queues = &mut context.kernel.message_queues;
    let &id = queues.names.get(&name).ok_or(Errno::ENOENT)?;
    if ![0, queues.get(id).owner.user].contains(&user) {
        return Err(Errno::EPERM);
    }
    queues.names.remove(&name);
    queues.forget_unused(id);
    done(0)
}

impl Context<'_> {
    fn read_queue_name(&mut self, from: GuestAddr) -> Result<Vec<u8>, Errno> {
        let name = read_text(self.guest, from, PATH_MAX)?;
        if name.is_empty() {
            return Err(Errno::ENOENT);
        }
        if name == b"." || name == b".." || name.contains(&b'/') {
            return Err(Errno::EACCES);
        }
        if name.len() > NAME_MAX { Err(Errno::ENAMETOOLONG) } else { Ok(name) }
    }

    /// Make a queue that holds so many messages of so many bytes, if that is said.
    fn make_queue(
        &mut self,
        name: Vec<u8>,
        mode: u32,
        asked: Option<[u64; 2]>,
    ) -> Result<QueueId, Errno> {
        const MODE_BITS: u32 = 0o7777;
        if self.kernel.message_queues.queues.len() >= MAX_QUEUES {
            return Err(Errno::ENOSPC);
        }
        let capacity =
            asked.map_or(LIMIT, |[messages, message_bytes]| Capacity { messages, message_bytes });
        if !(1..=LIMIT.messages).contains(&capacity.messages)
            || !(1..=LIMIT.message_bytes).contains(&capacity.message_bytes)
        {
            return Err(Errno::EINVAL);
        }
        let [user, owner, _] = self.guest.user_ids();
        let [_, group, _] = self.guest.group_ids();
        let queues = self.kernel.message_queues.queues.values();
        let of_user = queues.filter(|queue| [user, owner].contains(&queue.owner.user));
        let used: u64 = of_user.map(|queue| queue.capacity.cost_bytes()).sum();
        if used + capacity.cost_bytes() > self.process().limits.message_queue_bytes() {
            return Err(Errno::EMFILE);
        }
        let owner = Owner { user: owner, group, mode: mode & MODE_BITS };
        let inode = self.kernel.files.new_inode();
        let made_ns = u64::try_from(self.kernel.realtime_ns(self.now)).unwrap_or(0);
        let queues = &mut self.kernel.message_queues;
        queues.last += 1;
        let id = QueueId(queues.last);
        queues.names.insert(name.clone(), id);
        queues.queues.insert(id, Queue::new(name, owner, capacity, inode, made_ns));
        Ok(id)
    }

    /// Whether the caller may open a queue in this way.
    fn check_queue(&self, id: QueueId, flags: i32) -> Result<(), Errno> {
        let wanted = match flags & libc::O_ACCMODE {
            libc::O_RDONLY => 4,
            libc::O_WRONLY => 2,
            libc::O_RDWR => 6,
            _ => return Err(Errno::EINVAL),
        };
        let owner = self.kernel.message_queues.get(id).owner;
        let granted = if self.guest.user_ids()[1] == 0 {
            0o7
        } else if self.guest.user_ids()[1] == owner.user {
            owner.mode >> 6
        } else if self.guest.group_ids()[1] == owner.group {
            owner.mode >> 3
        } else {
            owner.mode
        };
        if wanted & !granted == 0 { Ok(()) } else { Err(Errno::EACCES) }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{CREATE, NAME};
    use super::*;
    use crate::testing::DATA;
    use crate::testing::bench::Bench;
    use shim_abi::calls::nr;

    const ATTRIBUTES: u64 = DATA + 0x100;

    impl Bench {
        fn open(&mut self, name: &[u8], flags: i32, attributes: u64, fd: u64) -> i64 {
            self.put_name(name);
            let args = [NAME, flags as u64, 0o640, attributes, fd];
            self.done(0, nr::mq_open, &args)
        }
    }

    #[test]
    fn names_are_checked_as_linux_checks_them() {
        let mut bench = Bench::new(1);
        let [access, noent, long] =
            [Errno::EACCES, Errno::ENOENT, Errno::ENAMETOOLONG].map(Errno::as_return);
        for (name, expected) in [
            (&b""[..], noent),
            (b"a/b", access),
            (b"/x", access),
            (b".", access),
            (b"..", access),
            (&[b'a'; 256], long),
            (&[b'a'; 255], noent),
            (&[b'a'; 5000], long),
        ] {
            assert_eq!(bench.open(name, libc::O_RDWR, 0, 3), expected);
            bench.put_name(name);
            assert_eq!(bench.done(0, nr::mq_unlink, &[NAME]), expected);
        }
        let fault = Errno::EFAULT.as_return();
        assert_eq!(bench.open(b"", CREATE, 8, 3), fault);
        assert_eq!(bench.done(0, nr::mq_open, &[8, CREATE as u64, 0, 0, 3]), fault);
    }

    #[test]
    fn a_queue_is_made_opened_and_removed() {
        let mut bench = Bench::new(1);
        let [inval, exist, noent] =
            [Errno::EINVAL, Errno::EEXIST, Errno::ENOENT].map(Errno::as_return);
        for (messages, bytes) in [(0, 1), (1, 0), (11, 8192), (10, 8193), (u64::MAX, 1)] {
            bench.guest.put_words(ATTRIBUTES, &[0, messages, bytes]);
            assert_eq!(bench.open(b"q", CREATE, ATTRIBUTES, 3), inval);
        }
        assert_eq!(bench.open(b"q", libc::O_RDWR, ATTRIBUTES, 3), noent);
        assert_eq!(bench.open(b"q", CREATE, 0, 3), 3);
        assert_eq!(bench.open(b"q", CREATE | libc::O_EXCL, ATTRIBUTES, 4), exist);
        assert_eq!(bench.open(b"q", 3, 0, 4), inval);
        assert_eq!(bench.open(b"q", libc::O_RDONLY | libc::O_NONBLOCK, 0, 4), 4);
        let flags = bench.done(0, nr::fcntl, &[4, libc::F_GETFL as u64]);
        assert_eq!(flags, i64::from(libc::O_NONBLOCK));
        assert_eq!(bench.done(0, nr::fcntl, &[4, libc::F_GETFD as u64]), 1);
        bench.put_name(b"q");
        assert_eq!(bench.done(0, nr::mq_unlink, &[NAME]), 0);
        assert_eq!(bench.done(0, nr::mq_unlink, &[NAME]), noent);
        assert_eq!(bench.done(0, nr::close, &[3]), 0);
        assert_eq!(bench.kernel.message_queues.queues.len(), 1, "somebody has it open");
        assert_eq!(bench.done(0, nr::close, &[4]), 0);
        assert!(bench.kernel.message_queues.queues.is_empty());
    }

    #[test]
    fn modes_and_owners_decide() {
        let mut bench = Bench::new(1);
        assert_eq!(bench.open(b"q", CREATE, 0, 3), 3);
        bench.guest.users = bench.guest.users.map(|user| user + 1);
        // The group is the same.
        assert_eq!(bench.open(b"q", libc::O_RDWR, 0, 4), Errno::EACCES.as_return());
        assert_eq!(bench.open(b"q", libc::O_RDONLY, 0, 4), 4);
        bench.put_name(b"q");
        assert_eq!(bench.done(0, nr::mq_unlink, &[NAME]), Errno::EPERM.as_return());
    }

    #[test]
    fn there_is_a_limit_of_bytes_for_each_user() {
        let mut bench = Bench::new(1);
        for number in 0..9 {
            assert_eq!(bench.open(&[b'a' + number], CREATE, 0, 3), 3);
        }
        assert_eq!(bench.open(b"z", CREATE, 0, 3), Errno::EMFILE.as_return());
        bench.guest.users = bench.guest.users.map(|user| user + 1);
        assert_eq!(bench.open(b"z", CREATE, 0, 3), 3);
    }
}
