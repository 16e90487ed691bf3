//! What a file says of itself: `fstat`, and its name in `/proc/<pid>/fd`.
//!
//! A descriptor in, a `struct stat` or a text out. Always true: the ends of a pipe are one inode, files of one process
//! are one, and everything else shares one, as old as the machine; numbers depend on nothing but the order of calls.

use shim_abi::Errno;
use shim_abi::time::NS_PER_SEC;

use super::table::{Object, OpenFile};
use crate::context::{Answer, Context, done};
use crate::guest::GuestAddr;
use crate::ids::VirtualPid;
use crate::memory::Layout;

/// `st_dev` of pipes.
const PIPE_DEVICE: u64 = 15;
/// `st_dev` of files that are neither pipe nor process.
const ANONYMOUS_DEVICE: u64 = 16;
/// `st_dev` of processes.
const PROCESS_DEVICE: u64 = 17;
/// `st_dev` of sockets, which have no times.
const SOCKET_DEVICE: u64 = 8;
/// `st_dev` and `st_size` of message queues.
const QUEUE_DEVICE: u64 = 19;
const QUEUE_TEXT_BYTES: u64 = 80;

/// The shim's own call: what the link to a descriptor of a process (0: the caller's) in `/proc/<pid>/fd` says, as far
/// as it fits; its whole length.
pub(crate) fn name(
    context: &mut Context<'_>,
    pid: u32,
    fd: u32,
    to: GuestAddr,
    bytes: u64,
) -> Answer {
    let pid = if pid == 0 { context.pid } else { VirtualPid(pid) };
    let process = context.kernel.processes.get(&pid).ok_or(Errno::ENOENT)?;
    let descriptor = process.descriptors.get(&fd).ok_or(Errno::ENOENT)?;
    let file = context.kernel.files.get(descriptor.file)?;
    let name = match &file.object {
        Object::Pipe(_) => alloc::format!("pipe:[{}]", file.inode),
        Object::Event(_) => "anon_inode:[eventfd]".into(),
        Object::Watches(_) => "anon_inode:inotify".into(),
        Object::Epoll(_) => "anon_inode:[eventpoll]".into(),
        Object::Timer(_) => "anon_inode:[timerfd]".into(),
        Object::Signals(_) => "anon_inode:[signalfd]".into(),
        Object::Task(_) => "anon_inode:[pidfd]".into(),
        Object::Socket(_) => alloc::format!("socket:[{}]", file.inode),
        &Object::Queue { queue, .. } => context.kernel.queue_path(queue),
    };
    let used = name.len().min(usize::try_from(bytes).unwrap_or(usize::MAX));
    context.guest.write(to, name.as_bytes().get(..used).unwrap_or_default())?;
    done(name.len() as i64)
}

pub(crate) fn fstat(context: &mut Context<'_>, fd: u32, to: GuestAddr) -> Answer {
    let id = context.file(fd)?;
    let stat = context.stat_of(context.kernel.files.get(id)?);
    context.guest.write(to, stat.bytes())?;
    done(0)
}

/// Who may set the mode and the owner of a pipe or a socket is not asked: who has it open has it.
pub(crate) fn fchmod(context: &mut Context<'_>, fd: u32, mode: u32) -> Answer {
    context.set_attributes(fd, Some(mode & 0o7777), None)
}

pub(crate) fn fchown(context: &mut Context<'_>, fd: u32, user: u32, group: u32) -> Answer {
    context.set_attributes(fd, None, Some([user, group]))
}

impl Context<'_> {
    fn set_attributes(&mut self, fd: u32, mode: Option<u32>, ids: Option<[u32; 2]>) -> Answer {
        let object = &self.kernel.files.get(self.file(fd)?)?.object;
        let (_, owner) = match *object {
            Object::Pipe(end) => self.kernel.files.pipes.attributes(end),
            Object::Socket(socket) => self.kernel.sockets.attributes(socket),
            _ => return Err(Errno::EOPNOTSUPP),
        };
        let ([uid, ..], [gid, ..]) = (self.guest.user_ids(), self.guest.group_ids());
        let old = owner.unwrap_or([uid, gid]);
        // -1: as it was.
        let pick = |new: u32, old: u32| if new == u32::MAX { old } else { new };
        let ids = ids.map(|[user, group]| [pick(user, old[0]), pick(group, old[1])]);
        match *object {
            Object::Pipe(end) => self.kernel.files.pipes.set_attributes(end, mode, ids),
            Object::Socket(socket) => self.kernel.sockets.set_attributes(socket, mode, ids),
            _ => {}
        }
        done(0)
    }
}

impl Context<'_> {
    /// A `struct stat`.
    fn stat_of(&self, file: &OpenFile) -> Layout<144> {
        let ([uid, ..], [gid, ..]) = (self.guest.user_ids(), self.guest.group_ids());
        // The one inode of what is neither pipe nor process is the machine's, and as old.
        let booted_ns = i128::from(self.kernel.config.start_realtime_ns)
            - i128::from(self.kernel.config.uptime_at_start_ns);
        let booted_ns = u64::try_from(booted_ns).unwrap_or(0);
        let (mut links, mut bytes) = (1, 0);
        let (device, mode, ids, made_ns) = match file.object {
            Object::Pipe(end) => {
                let (mode, owner) = self.kernel.files.pipes.attributes(end);
                let mode = libc::S_IFIFO | mode.unwrap_or(0o600);
                (PIPE_DEVICE, mode, owner.unwrap_or([uid, gid]), file.made_ns)
            }
            Object::Socket(socket) => {
                let (mode, owner) = self.kernel.sockets.attributes(socket);
                let mode = libc::S_IFSOCK | mode.unwrap_or(0o777);
                (SOCKET_DEVICE, mode, owner.unwrap_or([uid, gid]), 0)
            }
            Object::Task(_) => (PROCESS_DEVICE, 0o700, [0, 0], file.made_ns),
            Object::Queue { queue, .. } => {
                let status = self.kernel.queue_status(queue);
                links = u64::from(status.is_named);
                bytes = QUEUE_TEXT_BYTES;
                (QUEUE_DEVICE, status.mode, status.ids, status.made_ns)
            }
            _ => (ANONYMOUS_DEVICE, 0o600, [0, 0], booted_ns),
        };
        let times_ns = match file.object {
            Object::Pipe(end) => self.kernel.files.pipes.times_ns(end),
            _ => [None; 3],
        };
        let mut stat = Layout::new();
        stat.u64(0, device);
        stat.u64(8, file.inode);
        stat.u64(16, links);
        stat.u32(24, mode);
        stat.u32(28, ids[0]);
        stat.u32(32, ids[1]);
        stat.u64(48, bytes);
        stat.u64(56, 4096); // bytes of a block
        for (time, changed_ns) in [72, 88, 104].into_iter().zip(times_ns) {
            let made_ns = changed_ns.unwrap_or(made_ns);
            stat.u64(time, made_ns / NS_PER_SEC);
            stat.u64(time + 8, made_ns % NS_PER_SEC);
        }
        stat
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::testing::{bench, call};
    use crate::testing::{DATA, UID};
    use core::mem::{offset_of, size_of};
    use shim_abi::calls::{PSEUDO_NAME, nr};

    #[test]
    fn a_stat_is_libcs() {
        assert_eq!(size_of::<libc::stat>(), 144);
        assert_eq!(offset_of!(libc::stat, st_ino), 8);
        assert_eq!(offset_of!(libc::stat, st_nlink), 16);
        assert_eq!(offset_of!(libc::stat, st_mode), 24);
        assert_eq!(offset_of!(libc::stat, st_uid), 28);
        assert_eq!(offset_of!(libc::stat, st_gid), 32);
        assert_eq!(offset_of!(libc::stat, st_blksize), 56);
        assert_eq!(offset_of!(libc::stat, st_atime), 72);
        assert_eq!(offset_of!(libc::stat, st_mtime), 88);
        assert_eq!(offset_of!(libc::stat, st_ctime), 104);
    }

    #[test]
    fn a_pipe_has_a_mode_and_an_owner() {
        let mut machine = bench();
        assert_eq!(call(&mut machine, nr::fchmod, [3, 0o100_644, 0, 0]), 0);
        assert_eq!(call(&mut machine, nr::fchown, [4, 7, u64::MAX, 0]), 0);
        assert_eq!(call(&mut machine, nr::fstat, [4, DATA, 0, 0]), 0);
        let words = machine.1.words::<5>(DATA);
        assert_eq!(words[3], 0o10644 | 7 << 32);
        let unsupported = Errno::EOPNOTSUPP.as_return();
        assert_eq!(call(&mut machine, nr::fchmod, [5, 0o600, 0, 0]), unsupported);
        assert_eq!(call(&mut machine, nr::fchown, [99, 0, 0, 0]), Errno::EBADF.as_return());
    }

    #[test]
    fn the_ends_of_a_pipe_are_one_file_and_other_pipes_others() {
        let mut machine = bench();
        assert_eq!(call(&mut machine, nr::pipe2, [DATA, 0, 6, 7]), 0);
        let mut stat = |fd| {
            assert_eq!(call(&mut machine, nr::fstat, [fd, DATA, 0, 0]), 0);
            machine.1.words::<14>(DATA)
        };
        let (reader, writer, event, other) = (stat(3), stat(4), stat(5), stat(6));
        assert_eq!(reader, writer);
        assert_ne!(reader[1], other[1]);
        assert_eq!(reader[3], 0o10600 | u64::from(UID) << 32);
        assert_eq!(reader[9], 946_684_800);
        assert_eq!((event[0], event[3], event[9]), (16, 0o600, 946_684_700));
        assert_eq!(call(&mut machine, nr::fstat, [9, DATA, 0, 0]), Errno::EBADF.as_return());
        assert_eq!(call(&mut machine, nr::fstat, [3, 8, 0, 0]), Errno::EFAULT.as_return());
    }

    #[test]
    fn links_say_what_is_behind_them() {
        let mut machine = bench();
        let mut name = |fd, bytes| {
            let args = [0, fd, DATA, bytes];
            let len = call(&mut machine, PSEUDO_NAME, args);
            (len, machine.1.words::<3>(DATA).map(u64::to_le_bytes).concat())
        };
        let (len, text) = name(3, 24);
        assert_eq!(&text[..len as usize], b"pipe:[20001]");
        let (len, text) = name(5, 12);
        assert_eq!((len, &text[..15]), (20, &b"anon_inode:[\0\0\0"[..]));
        assert_eq!(name(9, 12).0, Errno::ENOENT.as_return());
    }
}
