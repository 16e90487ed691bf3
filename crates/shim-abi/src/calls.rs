//! The table of system calls: one line a call.
//!
//! A call's number in, its line out. Always true: the table is sorted by number and complete for
//! x86-64 up to the newest call that Linux had when the line was written; a number outside the table
//! is answered with ENOSYS and named. The table drives dispatch in the guest (`src/dispatch/`), the
//! traces (`shim-sim`), and `docs/syscalls.md` (`shim-gen`). What a call *does* is not here.

mod table;

pub use table::{TABLE, nr};

use crate::errno::Errno;

/// Numbers of calls are below this. More than Linux has, because blocks are laid out by it.
pub const MAX_CALLS: usize = 512;

/// Who answers a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Route {
    /// The shim, from shared memory.
    Local,
    /// The real kernel, where needed with the shim's care around it.
    Native,
    /// The simulator.
    Forward,
    /// Nobody: the call fails with this error and is named in the run's summary.
    Refuse(Errno),
}

/// How much of a call there is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Status {
    /// All that its manual page says.
    Full,
    /// Some of it; the note says what is missing.
    Partial,
    /// None of it.
    Missing,
}

/// How a trace shows an argument.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Arg {
    /// A descriptor.
    Fd,
    /// A directory's descriptor or AT_FDCWD.
    DirFd,
    /// A signed number.
    Int,
    /// An unsigned number or a size.
    Size,
    /// Flags, in hexadecimal.
    Hex,
    /// Permission bits, in octal.
    Mode,
    /// An address.
    Ptr,
    /// A path or other text that ends with NUL.
    Path,
    /// Bytes that go into the call; their number is the next argument.
    Bytes,
    /// A signal's number.
    Signal,
    /// A clock's id.
    Clock,
    /// The flags of open(2).
    OpenFlags,
}

/// One line of the table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Call {
    /// Its number.
    pub number: u32,
    /// Its name.
    pub name: &'static str,
    /// Who answers it.
    pub route: Route,
    /// How much of it there is.
    pub status: Status,
    /// Its arguments.
    pub args: &'static [Arg],
    /// What a user should know: for a partial call what is missing, for a missing one what it would
    /// need.
    pub note: &'static str,
}

const INDEX: [u16; MAX_CALLS] = {
    let mut index = [u16::MAX; MAX_CALLS];
    let mut i = 0;
    while i < TABLE.len() {
        let number = TABLE[i].number as usize;
        assert!(index[number] == u16::MAX, "a number stands twice in the table");
        index[number] = i as u16;
        i += 1;
    }
    index
};

/// The line of call `number`.
#[inline]
pub const fn lookup(number: u64) -> Option<&'static Call> {
    if number >= MAX_CALLS as u64 {
        return None;
    }
    let at = INDEX[number as usize];
    if at == u16::MAX { None } else { Some(&TABLE[at as usize]) }
}

/// Pseudo call that a shim makes for itself: the contents of a file of the simulated machine.
/// Arguments: a [`crate::virtual_files::VirtualFile`]'s number, a buffer's address, its size in
/// bytes. Returns the whole content's length; what fits was stored.
pub const PSEUDO_VIRTUAL_FILE: u32 = 0x1_0000;

/// Pseudo call: a descriptor was copied natively. Arguments: the old number, the new one (what it was before
/// is closed), O_CLOEXEC or 0. Either of the two may be virtual.
pub const PSEUDO_DUPLICATE: u32 = 0x1_0001;

/// Pseudo call: wait until one of some virtual descriptors is ready. Arguments: an array of `struct pollfd`,
/// their number, a time-out in nanoseconds or -1. As poll(2) otherwise.
pub const PSEUDO_POLL: u32 = 0x1_0002;

/// Pseudo call: open the object behind a virtual descriptor anew, as if by its name in `/proc/self/fd`. Arguments:
/// the descriptor, the flags of open(2), the number that the new one has. ENXIO for what is no pipe.
pub const PSEUDO_REOPEN: u32 = 0x1_0003;

/// Pseudo call: what the link to a virtual descriptor in `/proc/<pid>/fd` says: `pipe:[17]`,
/// `anon_inode:[eventfd]`. Arguments: a process or 0, the descriptor, a buffer, its size. Returns the whole
/// text's length; what fits was stored.
pub const PSEUDO_NAME: u32 = 0x1_0004;

/// Pseudo call: open a FIFO. Arguments: device and inode, the flags of open(2), the number of the descriptor. Waits
/// for the other side as open(2) does.
pub const PSEUDO_OPEN_FIFO: u32 = 0x1_0005;

/// Pseudo call: what `/proc` says of a process or thread. Arguments: a [`crate::virtual_files::ProcessFile`]'s number, the
/// process, one of its threads or 0, a buffer, its size. Returns the whole content's length; what fits was stored.
pub const PSEUDO_PROCESS_FILE: u32 = 0x1_0006;

/// Pseudo call: the segment with this id (see shmget(2)), which [`nr::shmat`] has found, is mapped at this address.
pub const PSEUDO_ATTACHED: u32 = 0x1_0007;

/// Pseudo call: wait until a guest of the host may have given up a lock of a file, at most so many nanoseconds.
pub const PSEUDO_LOCK_WAIT: u32 = 0x1_0008;

/// Pseudo call: the caller may have given up a lock of a file.
pub const PSEUDO_LOCK_RELEASED: u32 = 0x1_0009;

/// Pseudo call: the process is about to be replaced by another image (argument 0), or was not after all (1).
pub const PSEUDO_REPLACE_IMAGE: u32 = 0x1_000a;

/// Pseudo call: which of the caller's memory can be replaced by images ([`crate::image`])? Arguments: an address whose
/// mapping is meant, or 0 for all; an array of words; how many images it has room for; where the shim's own code is,
/// which is never replaced. Returns how many there are; the array begins with the start and end of that mapping, and [`crate::image::READS_COUNTER`] or 0; then each is a [`crate::image::ImageRecord`]. The
/// supervisor answers it, no kernel, and it takes no simulated time.
pub const PSEUDO_IMAGES: u32 = 0x1_000c;

/// Pseudo call: a file about the caller's memory without what is libshim's own. Arguments: a buffer, its size, which
/// [`crate::virtual_files::MemoryFile`]. Returns the whole text's length; what fits was stored. The supervisor answers it, as
/// [`PSEUDO_IMAGES`].
pub const PSEUDO_MAPS: u32 = 0x1_000d;

/// The system call in which a guest waits that waits in this pseudo call.
pub const fn behind_pseudo(number: u32) -> Option<&'static str> {
    match number {
        PSEUDO_POLL => Some("poll"),
        PSEUDO_OPEN_FIFO | PSEUDO_REOPEN => Some("open"),
        PSEUDO_LOCK_WAIT => Some("flock"),
        _ => None,
    }
}

/// Pseudo call: the numbers of descriptors that the caller's last `recvmsg` brought. Arguments: an array of 32-bit
/// numbers, how many, O_CLOEXEC or 0. What has no number is gone. Returns how many there are now.
///
/// The forwarded `recvmsg` has as fourth argument nine words of the shim's memory, which are written if descriptors
/// came that there is room for: how many, where their control message goes, how many bytes are left there, the
/// message's flags so far, how many bytes of control messages stand before, and, a bit each, which of them are native.
/// The rest of the header is then the shim's to write.
pub const PSEUDO_TAKE_RIGHTS: u32 = 0x1_000b;

/// Pseudo call: a socket of AF_UNIX gets the address whose path the caller has made. Arguments: the descriptor, the
/// address, its length, device and inode of what was made.
///
/// The forwarded `bind` returns [`BIND_NEEDS_PATH`] if that is to be done. The forwarded `connect` and `sendmsg` have as
/// fourth to sixth argument device and inode of what is at the path that their address names, and why nothing is found or
/// may be used there, an error's number, or 0.
pub const PSEUDO_BIND_PATH: u32 = 0x1_000e;

/// Pseudo call: where guests send native descriptors that are to go with a message. Returns five characters, as a
/// number: the name, without a path, of the simulator's datagram socket. A datagram has eight bytes, the thread's virtual
/// id, and four for each descriptor that goes with it, its number. The forwarded `sendmsg` says that there is one by
/// [`SENT_FILES`] in its sixth argument. The simulator answers it, no kernel, and it takes no simulated time.
pub const PSEUDO_POST: u32 = 0x1_000f;

/// What a forwarded `sendmsg` has in its sixth argument if native descriptors have been sent.
pub const SENT_FILES: u64 = 1 << 32;

/// What a count of bytes has in it that were sent to the kernel's own network (AF_NETLINK) if something that they ask for
/// is not here; its type is in the 16 bits from 32.
pub const SENT_REFUSED: u64 = 1 << 48;

/// Pseudo call: send one of the native descriptors that the caller's last `recvmsg` brought. Arguments: which, among all
/// that it brought; the name, as in [`PSEUDO_POST`], of a datagram socket of the caller's. Returns what it is, see
/// [`crate::process::descriptor`].
pub const PSEUDO_TAKE_FILE: u32 = 0x1_0010;

/// Pseudo call: the caller has made a native call that may have changed files, or looked at them, while
/// [`crate::host::HostBlock::is_watching`]. Argument: whether who watches is told (1), or what it was is the shim's own
/// doing and nobody is (0). Takes no simulated time.
///
/// The forwarded `inotify_add_watch` has as second argument a native descriptor of what is to be watched, and as fourth
/// an error's number if there is none.
pub const PSEUDO_WATCHED: u32 = 0x1_0011;

/// Pseudo call: what lies in a pipe, which stays there. Arguments: the descriptor, a buffer, its size. Returns how many
/// bytes were stored, 0 if none will come; EAGAIN if some may.
pub const PSEUDO_PEEK_PIPE: u32 = 0x1_0012;

/// The number that a forwarded `accept` or `accept4` has, as its fifth argument, if it waits for a connection and takes
/// none.
pub const ACCEPT_WAITS: u32 = u32::MAX - 1;

/// What a forwarded `accept` with another number returns if that is to be done first.
pub const ACCEPT_NEEDS_WAIT: i64 = 1;

/// What a forwarded `bind` returns if a path is to be made.
pub const BIND_NEEDS_PATH: i64 = 1;

/// Calls that are native (or local) in the table and are forwarded where a descriptor among their arguments is
/// virtual, for some of their operations, or when they have changed who the caller is.
pub const FORWARDED_AT_TIMES: &[u32] = &[
    nr::read,
    nr::write,
    nr::close,
    nr::fstat,
    nr::ioctl,
    nr::readv,
    nr::writev,
    nr::fcntl,
    nr::flock,
    nr::fchmod,
    nr::fchown,
    nr::utimensat,
    nr::prctl,
    nr::clock_gettime,
    nr::sendfile,
    nr::splice,
    nr::tee,
    nr::vmsplice,
    nr::close_range,
    nr::setuid,
    nr::setgid,
    nr::setreuid,
    nr::setregid,
    nr::setresuid,
    nr::setresgid,
];

/// Calls that the shim turns into clone(2) before it forwards them.
pub const TURNED_INTO_CLONE: &[u32] = &[nr::fork, nr::vfork, nr::clone3];
