//! What the kernel asks of the guest whose call it answers.
//!
//! Addresses and numbers in, bytes and words out. Always true: the implementor speaks for the calling
//! thread and its process; what it returns may be anything a guest wrote, and is checked here.
//! How guest memory is reached is the implementor's business (`shim-host`).

use shim_abi::Errno;
use shim_abi::names::{LOOPBACK_NAMES, Names};

use crate::ids::VirtualPid;

/// An address that a guest named: a number that may point to anything or nothing.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct GuestAddr(pub u64);

impl GuestAddr {
    /// Whether it is the null pointer.
    pub const fn is_null(self) -> bool {
        self.0 == 0
    }
}

/// Whose a thread is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Ids {
    /// Real, effective and saved user id.
    pub(crate) users: [u32; 3],
    /// Real, effective and saved group id.
    pub(crate) groups: [u32; 3],
}

/// The guests of the host other than the caller, as far as shared memory tells of them.
pub trait Guests {
    /// What `pid` does on `signal`, as [`Guest::action`]; the default for a process that is gone.
    fn action_of(&self, pid: VirtualPid, signal: u32) -> (u64, u64);
    /// Make so many bytes of zeroed memory that guests can map: the number that their shims know it by.
    fn make_memory(&mut self, bytes: u64) -> Result<u32, Errno> {
        let _ = bytes;
        Err(Errno::ENOMEM)
    }
    /// The memory with this number is not mapped by anybody any more.
    fn drop_memory(&mut self, number: u32) {
        let _ = number;
    }
    /// Nobody needs the native file with this number any more.
    fn drop_file(&mut self, number: u32) {
        let _ = number;
    }
    /// What a watcher has seen, as read(2) gives it; 0 if that is nothing more.
    fn read_watcher(&mut self, watcher: u32, to: &mut [u8]) -> usize {
        let _ = (watcher, to);
        0
    }
    /// A watch is over; if it has ended by itself meanwhile that is as well.
    fn end_watch(&mut self, watcher: u32, watch: i32) {
        let _ = (watcher, watch);
    }
}

/// What stands behind an address in a mapping that several address spaces may share.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Backing {
    /// Device of the file.
    pub device: u64,
    /// Its inode.
    pub inode: u64,
    /// Offset in it, in bytes.
    pub offset: u64,
}

/// The thread that calls, as far as its process and its shim know more than the kernel.
pub trait Guest: Guests {
    /// Copy guest memory at `from` to `to`: all of it or EFAULT.
    fn read(&mut self, from: GuestAddr, to: &mut [u8]) -> Result<(), Errno>;
    /// Copy `bytes` to guest memory at `to`: all of it or EFAULT. An implementor that collects writes
    /// for later answers EFAULT itself if one of them fails then.
    fn write(&mut self, to: GuestAddr, bytes: &[u8]) -> Result<(), Errno>;
    /// Store what was collected: EFAULT if one of those writes fails.
    fn flush(&mut self) -> Result<(), Errno> {
        Ok(())
    }
    /// What the process does on `signal` (1 to 64): the handler (0 default, 1 ignore, else an
    /// address) and the `SA_*` flags.
    fn action(&self, signal: u32) -> (u64, u64);
    /// The thread's blocked signals, signal `n` at bit `n - 1`.
    fn signal_mask(&self) -> u64;
    /// Simulated CPU time of the process, all its threads together, in nanoseconds.
    fn cpu_ns(&self) -> u64;
    /// Simulated CPU time of the thread, in nanoseconds.
    fn thread_cpu_ns(&self) -> u64 {
        self.cpu_ns()
    }
    /// The file behind an address, if it lies in a shared mapping; `None` for private memory, EFAULT for such that
    /// can never change.
    fn backing(&mut self, at: GuestAddr) -> Result<Option<Backing>, Errno>;
    /// A native file that the caller's shim has sent, by the number of its descriptor; the number that it has from now
    /// on. EBADF if it has sent none of that number.
    fn take_file(&mut self, fd: u32) -> Result<u32, Errno> {
        let _ = fd;
        Err(Errno::EBADF)
    }
    /// Send a native file to the caller's shim, which waits for it at this port; what it is.
    fn send_file(&mut self, number: u32, port: u64) -> Result<u8, Errno> {
        let _ = (number, port);
        Err(Errno::EBADF)
    }
    /// Make a watcher, an instance of the real kernel's inotify: the number that it has as a file.
    fn make_watcher(&mut self) -> Result<u32, Errno> {
        Err(Errno::ENOSYS)
    }
    /// Have a watcher watch what a descriptor of the caller's stands for; the watch's number.
    fn watch(&mut self, watcher: u32, fd: u32, mask: u32) -> Result<i32, Errno> {
        let _ = (watcher, fd, mask);
        Err(Errno::ENOSYS)
    }
    /// End a watch: EINVAL if there is none of this number.
    fn unwatch(&mut self, watcher: u32, watch: i32) -> Result<(), Errno> {
        let _ = (watcher, watch);
        Err(Errno::EINVAL)
    }
    /// The names that its host knows.
    fn names(&self) -> Names<'_> {
        Names::new(&LOOPBACK_NAMES)
    }
    /// Real, effective and saved user id.
    fn user_ids(&self) -> [u32; 3];
    /// Real, effective and saved group id.
    fn group_ids(&self) -> [u32; 3];
}
