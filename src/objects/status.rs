//! What an object says of itself: its status, its file system, device control.
//!
//! Descriptors in; structures in guest memory out. Always true: the simulator answers `fstat`, and whatever
//! form the guest asks for is made from that answer. See fstat(2), statx(2), ioctl(2), mmap(2).

use core::fmt::Write;

use shim_abi::Errno;
use shim_abi::calls::nr;

use super::paths::is_placeholder;
use crate::dispatch::Invocation;
use crate::forward::Forwarded;
use crate::guest_memory::{GuestAddr, read_value, write_value};
use crate::thread::Slot;
use crate::trace::FixedText;
use crate::{forward, native, sys, trace};

const STAT_WORDS: usize = size_of::<libc::stat>() / 8;

/// The status of the object behind `fd`. A FIFO's is the file's, which its placeholder stands for.
pub fn of(slot: &Slot, fd: u32) -> Result<libc::stat, Errno> {
    let placeholder = sys::fstat(fd)?;
    if !is_placeholder(&placeholder) {
        return Ok(native::stat::presented(slot, placeholder, native::stat::of_descriptor(fd)));
    }
    let mut words = [0; STAT_WORDS];
    let args = [fd.into(), words.as_mut_ptr() as u64, 0, 0, 0, 0];
    native::result(Forwarded::new(slot, nr::fstat, args).send_into(&mut words))?;
    Ok(sys::stat_from_words(words))
}

/// Whether it is a pipe.
pub fn is_pipe(slot: &Slot, fd: u32) -> Result<bool, Errno> {
    of(slot, fd).map(|stat| is_of_pipe(&stat))
}

/// Whether a status is a pipe's.
pub fn is_of_pipe(stat: &libc::stat) -> bool {
    stat.st_mode & libc::S_IFMT == libc::S_IFIFO
}

/// Whether an object's status is a process's: nothing else is without a type and executable.
pub fn is_of_process(stat: &libc::stat) -> bool {
    stat.st_mode == 0o700
}

/// Whether it is a socket.
pub fn is_socket(slot: &Slot, fd: u32) -> Result<bool, Errno> {
    of(slot, fd).map(|stat| is_of_socket(&stat))
}

/// Whether a status is a socket's.
pub fn is_of_socket(stat: &libc::stat) -> bool {
    stat.st_mode & libc::S_IFMT == libc::S_IFSOCK
}

/// fstat(fd, where)
pub fn fstat(call: &mut Invocation<'_>) -> Result<i64, Errno> {
    let [fd, to, ..] = call.args;
    write_value(GuestAddr(to), &of(call.slot, fd as u32)?).map(|()| 0)
}

/// newfstatat(fd, path, where, flags): the object itself if the path is empty, else as for any file that is
/// no directory.
pub fn newfstatat(call: &mut Invocation<'_>) -> Result<i64, Errno> {
    let [fd, path, to, flags, ..] = call.args;
    if !names_itself(path, flags)? {
        return native::stat::newfstatat(call);
    }
    write_value(GuestAddr(to), &of(call.slot, fd as u32)?).map(|()| 0)
}

/// statx(fd, path, flags, mask, where): as [`newfstatat`].
pub fn statx(call: &mut Invocation<'_>) -> Result<i64, Errno> {
    let [fd, path, flags, _, to, _] = call.args;
    if !names_itself(path, flags)? {
        return native::stat::statx(call);
    }
    statx_to(call.slot, fd as u32, to)
}

/// Store the status of the object behind `fd` in the form of statx(2).
pub fn statx_to(slot: &Slot, fd: u32, to: u64) -> Result<i64, Errno> {
    write_statx(&of(slot, fd)?, to)
}

/// Store a status in the form of statx(2).
pub fn write_statx(stat: &libc::stat, to: u64) -> Result<i64, Errno> {
    let stamp = |seconds: i64, nanoseconds: i64| {
        let mut stamp = sys::zeroed_statx().stx_atime;
        (stamp.tv_sec, stamp.tv_nsec) = (seconds, nanoseconds as u32);
        stamp
    };
    let mut answer = sys::zeroed_statx();
    answer.stx_mask = libc::STATX_BASIC_STATS;
    answer.stx_blksize = stat.st_blksize as u32;
    answer.stx_nlink = stat.st_nlink as u32;
    answer.stx_uid = stat.st_uid;
    answer.stx_gid = stat.st_gid;
    answer.stx_mode = stat.st_mode as u16;
    answer.stx_ino = stat.st_ino;
    answer.stx_size = stat.st_size as u64;
    answer.stx_blocks = stat.st_blocks as u64;
    answer.stx_atime = stamp(stat.st_atime, stat.st_atime_nsec);
    answer.stx_mtime = stamp(stat.st_mtime, stat.st_mtime_nsec);
    answer.stx_ctime = stamp(stat.st_ctime, stat.st_ctime_nsec);
    answer.stx_rdev_major = libc::major(stat.st_rdev);
    answer.stx_rdev_minor = libc::minor(stat.st_rdev);
    answer.stx_dev_major = libc::major(stat.st_dev);
    answer.stx_dev_minor = libc::minor(stat.st_dev);
    write_value(GuestAddr(to), &answer).map(|()| 0)
}

fn names_itself(path: u64, flags: u64) -> Result<bool, Errno> {
    let may_be_empty = flags as i32 & libc::AT_EMPTY_PATH != 0;
    Ok(may_be_empty && (path == 0 || read_value::<u8>(GuestAddr(path))? == 0))
}

/// fchmod(fd, mode), fchown(fd, user, group): a FIFO's are the file's.
pub fn set_attributes(call: &mut Invocation<'_>) -> Result<i64, Errno> {
    let [fd, a, b, ..] = call.args;
    if is_placeholder(&sys::fstat(fd as u32)?) {
        return super::forward(call);
    }
    let mut path = FixedText::<40>::new();
    let _ = write!(path, "/proc/self/fd/{fd}\0");
    let number = if call.number == nr::fchmod { nr::fchmodat } else { nr::fchownat };
    let args = [sys::AT_FDCWD, path.as_bytes().as_ptr() as u64, a, b, 0, 0];
    sys::call(number, args)?;
    native::times::touch_descriptor(call.slot, fd as u32, native::times::NewTimes::default());
    Ok(0)
}

/// utimensat(fd, path, times, flags): the object itself without a path, else as for any file that is no directory.
pub fn utimensat(call: &mut Invocation<'_>) -> Result<i64, Errno> {
    let [fd, path, _, flags, ..] = call.args;
    if path == 0 && flags & 0xffff_ffff != 0 {
        return Err(Errno::EINVAL);
    }
    if path != 0 && !names_itself(path, flags)? {
        return native::attributes::utimensat(call);
    }
    if !is_placeholder(&sys::fstat(fd as u32)?) {
        trace::lack(call.slot, format_args!("futimens of an open FIFO"));
        return Err(Errno::EOPNOTSUPP);
    }
    super::forward(call)
}

/// As futimens, for calls by name.
pub fn set_times(slot: &Slot, fd: u32, pair: [[i64; 2]; 2]) -> Result<i64, Errno> {
    let [[a, b], [c, d]] = pair;
    let words = [a, b, c, d].map(|word| word as u64);
    let args = [fd.into(), 0, words.as_ptr() as u64, 0, 0, 0];
    native::result(forward::syscall_with(slot, nr::utimensat, args, &words))
}

/// As fchmod, fchown, fsetxattr and their likes, for calls by name; `rest`: what follows the name.
pub fn set_attributes_by_name(
    call: &Invocation<'_>,
    fd: u32,
    [a, b]: [u64; 2],
) -> Result<i64, Errno> {
    let number = match call.number {
        nr::chmod | nr::fchmodat | nr::fchmodat2 => nr::fchmod,
        nr::chown | nr::lchown | nr::fchownat => nr::fchown,
        _ => return Err(Errno::EOPNOTSUPP),
    };
    native::result(forward::syscall(call.slot, number, [fd.into(), a, b, 0, 0, 0]))
}

const TFD_IOC_SET_TICKS: u64 = 0x4008_5400;

/// ioctl(fd, request, argument)
pub fn ioctl(call: &mut Invocation<'_>) -> Result<i64, Errno> {
    let [fd, request, argument, ..] = call.args;
    let request = request & 0xffff_ffff;
    let set =
        |flags: i32| native::descriptors::set_close_on_exec(call.slot, fd as u32, flags as u64);
    match request {
        libc::FIOCLEX => set(libc::FD_CLOEXEC),
        libc::FIONCLEX => set(0),
        libc::FIONBIO | libc::FIOASYNC | TFD_IOC_SET_TICKS => {
            let mut forwarded = Forwarded::new(call.slot, nr::ioctl, call.args);
            forwarded.carry(argument, if request == TFD_IOC_SET_TICKS { 8 } else { 4 });
            native::result(forwarded.send())
        }
        _ => super::forward(call),
    }
}

const SOCKET_MAGIC: i64 = 0x534f_434b;
const PIPE_MAGIC: i64 = 0x5049_5045;
const ANONYMOUS_INODE_MAGIC: i64 = 0x0904_1934;
const FLAG_VALID: i64 = 0x20;

/// fstatfs(fd, where)
pub fn fstatfs(call: &mut Invocation<'_>) -> Result<i64, Errno> {
    let [fd, to, ..] = call.args;
    let magic = match of(call.slot, fd as u32)?.st_mode & libc::S_IFMT {
        libc::S_IFIFO => PIPE_MAGIC,
        libc::S_IFSOCK => SOCKET_MAGIC,
        _ => ANONYMOUS_INODE_MAGIC,
    };
    // f_type, f_bsize, f_blocks, f_bfree, f_bavail, f_files, f_ffree, f_fsid, f_namelen, f_frsize, f_flags.
    let answer = [magic, 4096, 0, 0, 0, 0, 0, 0, 255, 4096, FLAG_VALID, 0, 0, 0, 0];
    write_value(GuestAddr(to), &answer)?;
    Ok(0)
}

/// What F_GETFL shows.
pub fn flags(slot: &Slot, fd: u32) -> Result<i32, Errno> {
    let args = [fd.into(), libc::F_GETFL as u64, 0, 0, 0, 0];
    native::result(forward::syscall(slot, nr::fcntl, args)).map(|flags| flags as i32)
}

/// How it was opened: O_RDONLY, O_WRONLY or O_RDWR.
pub fn access_mode(slot: &Slot, fd: u32) -> Result<i32, Errno> {
    flags(slot, fd).map(|flags| flags & libc::O_ACCMODE)
}

/// Why an object cannot be mapped.
pub fn mmap_error(slot: &Slot, fd: u32) -> Errno {
    match access_mode(slot, fd) {
        Ok(libc::O_WRONLY) => Errno::EACCES,
        _ => Errno::ENODEV,
    }
}
