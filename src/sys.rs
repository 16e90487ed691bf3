//! The shim's own native calls, typed.
//!
//! Rust values in, `Result` out. Always true: only memory of the shim's own is passed to the kernel
//! here; async-signal-safe. What a guest asked to be executed natively goes through `native/` with the
//! guest's arguments instead.
//!
//! # Safety
//!
//! System calls with pointers to live values of the caller.
#![allow(unsafe_code)]

use core::cell::Cell;
use core::ffi::CStr;
use core::sync::atomic::AtomicU32;

use shim_abi::Errno;
use shim_abi::calls::nr;

use crate::arch;

/// The directory descriptor that means "relative to the current directory".
pub const AT_FDCWD: u64 = libc::AT_FDCWD as i64 as u64;

fn result(value: i64) -> Result<u64, Errno> {
    match Errno::from_return(value) {
        Some(errno) => Err(errno),
        None => Ok(value as u64),
    }
}

/// A call whose arguments are numbers only.
///
/// The effect on descriptors and memory mappings is the caller's business; no pointers may hide among
/// the numbers except to memory that stays valid.
pub fn call(number: u32, args: [u64; 6]) -> Result<u64, Errno> {
    // SAFETY: callers pass numbers and addresses of live memory of their own, as documented.
    result(unsafe { arch::syscall(number.into(), args) })
}

/// Process control, prctl(2).
pub fn prctl(operation: i32, args: [u64; 4]) -> Result<u64, Errno> {
    let [a, b, c, d] = args;
    call(nr::prctl, [operation as u64, a, b, c, d, 0])
}

/// Open a path.
pub fn open(path: &CStr, flags: i32) -> Result<u32, Errno> {
    call(nr::openat, [AT_FDCWD, path.as_ptr() as u64, flags as u64, 0, 0, 0]).map(|fd| fd as u32)
}

/// Close a descriptor of ours.
pub fn close(fd: u32) {
    let _ = call(nr::close, [fd.into(), 0, 0, 0, 0, 0]);
}

/// Read at an offset.
pub fn pread(fd: u32, out: &mut [u8], offset: u64) -> Result<usize, Errno> {
    call(nr::pread64, [fd.into(), out.as_mut_ptr() as u64, out.len() as u64, offset, 0, 0])
        .map(|n| n as usize)
}

/// Write; may be short.
pub fn write(fd: u32, bytes: &[u8]) -> Result<usize, Errno> {
    call(nr::write, [fd.into(), bytes.as_ptr() as u64, bytes.len() as u64, 0, 0, 0])
        .map(|n| n as usize)
}

/// Write all of it.
pub fn write_all(fd: u32, mut bytes: &[u8]) -> Result<(), Errno> {
    while !bytes.is_empty() {
        match write(fd, bytes) {
            Ok(0) => return Err(Errno::EIO),
            Ok(n) => bytes = &bytes[n..],
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

/// The status of a file; `flags` as for newfstatat(2).
pub fn stat_at(dir: u64, path: &CStr, flags: i32) -> Result<libc::stat, Errno> {
    let mut stat = core::mem::MaybeUninit::<libc::stat>::zeroed();
    call(
        nr::newfstatat,
        [dir, path.as_ptr() as u64, stat.as_mut_ptr() as u64, flags as u64, 0, 0],
    )?;
    // SAFETY: zeroed is a valid stat, and the kernel filled it.
    Ok(unsafe { stat.assume_init() })
}

/// An empty answer for statx(2).
pub fn zeroed_statx() -> libc::statx {
    // SAFETY: integers; zero is a valid statx.
    unsafe { core::mem::zeroed() }
}

/// An extended status.
pub fn statx(dir: u64, path: &CStr, flags: i32, mask: u32) -> Result<libc::statx, Errno> {
    let mut answer = zeroed_statx();
    let at = (&raw mut answer) as u64;
    call(nr::statx, [dir, path.as_ptr() as u64, flags as u64, mask.into(), at, 0])?;
    Ok(answer)
}

/// A status from the words of the kernel's `struct stat`.
pub fn stat_from_words(words: [u64; size_of::<libc::stat>() / 8]) -> libc::stat {
    // SAFETY: as large, integers only: any bytes make a stat.
    unsafe { core::mem::transmute(words) }
}

/// The status of an open file.
pub fn fstat(fd: u32) -> Result<libc::stat, Errno> {
    stat_at(fd.into(), c"", libc::AT_EMPTY_PATH)
}

/// Map memory. `address` 0 lets the kernel choose.
pub fn map(
    address: usize,
    bytes: usize,
    protection: i32,
    flags: i32,
    fd: i32,
) -> Result<usize, Errno> {
    let fd = fd as i64 as u64;
    call(nr::mmap, [address as u64, bytes as u64, protection as u64, flags as u64, fd, 0])
        .map(|at| at as usize)
}

/// Map a piece of a file.
pub fn map_at(
    address: usize,
    bytes: usize,
    protection: i32,
    flags: i32,
    fd: u32,
    offset: u64,
) -> Result<usize, Errno> {
    let (protection, flags) = (protection as u64, flags as u64);
    call(nr::mmap, [address as u64, bytes as u64, protection, flags, fd.into(), offset])
        .map(|at| at as usize)
}

/// Change the protection of a mapping of the caller's own.
pub fn protect(address: usize, bytes: usize, protection: i32) -> Result<(), Errno> {
    call(nr::mprotect, [address as u64, bytes as u64, protection as u64, 0, 0, 0]).map(drop)
}

/// Install a native signal action; see [`NativeAction`].
pub fn set_native_action(signal: u32, action: &NativeAction) -> Result<(), Errno> {
    call(nr::rt_sigaction, [signal.into(), action as *const _ as u64, 0, 8, 0, 0]).map(drop)
}

/// The kernel's `struct sigaction`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NativeAction {
    /// Handler's address, or 0 default, 1 ignore.
    pub handler: usize,
    /// `SA_*`.
    pub flags: u64,
    /// Restorer's address.
    pub restorer: usize,
    /// Blocked while the handler runs.
    pub mask: u64,
}

impl NativeAction {
    /// The default action.
    pub const DEFAULT: NativeAction = NativeAction { handler: 0, flags: 0, restorer: 0, mask: 0 };
    /// Ignore.
    pub const IGNORE: NativeAction = NativeAction { handler: 1, flags: 0, restorer: 0, mask: 0 };
}

/// Replace the native signal mask.
pub fn set_native_mask(mask: u64) {
    let _ = call(
        nr::rt_sigprocmask,
        [libc::SIG_SETMASK as u64, &mask as *const u64 as u64, 0, 8, 0, 0],
    );
}

/// Block one signal natively, and nothing else.
pub fn block_only(signal: u32) {
    set_native_mask(1 << (signal - 1));
}

/// Block every signal natively.
pub fn block_all_signals() {
    set_native_mask(u64::MAX);
}

/// Die of `signal`, so that whoever waits for this process sees it.
pub fn die_of_signal(signal: u32) -> ! {
    let _ = set_native_action(signal, &NativeAction::DEFAULT);
    let pid = call(nr::getpid, [0; 6]).unwrap_or(0);
    let tid = call(nr::gettid, [0; 6]).unwrap_or(0);
    let mut mask = u64::MAX;
    if (1..=64).contains(&signal) {
        mask &= !(1 << (signal - 1));
    }
    let _ = call(nr::tgkill, [pid, tid, signal.into(), 0, 0, 0]);
    set_native_mask(mask);
    // A signal whose default is not to kill, or that cannot be sent: end all the same.
    exit_group(128 + signal as i32)
}

/// End the thread.
pub fn exit(status: i32) -> ! {
    loop {
        let _ = call(nr::exit, [status as u64, 0, 0, 0, 0, 0]);
    }
}

/// End the process.
pub fn exit_group(status: i32) -> ! {
    loop {
        let _ = call(nr::exit_group, [status as u64, 0, 0, 0, 0, 0]);
    }
}

/// The futex of the channel; it remembers whether it slept.
pub struct NativeFutex {
    has_slept: Cell<bool>,
}

impl NativeFutex {
    /// One that has not slept.
    pub fn new() -> Self {
        NativeFutex { has_slept: Cell::new(false) }
    }
    /// Whether a wait has slept.
    pub fn has_slept(&self) -> bool {
        self.has_slept.get()
    }
}

impl shim_sync::Futex<AtomicU32> for &NativeFutex {
    fn wait(&self, word: &AtomicU32, expected: u32) {
        self.has_slept.set(true);
        let _ = call(
            nr::futex,
            [word.as_ptr() as u64, libc::FUTEX_WAIT as u64, expected.into(), 0, 0, 0],
        );
    }
    fn wake(&self, word: &AtomicU32) {
        let _ = call(
            nr::futex,
            [word.as_ptr() as u64, libc::FUTEX_WAKE as u64, i32::MAX as u64, 0, 0, 0],
        );
    }
}

/// Another descriptor of the file behind `fd`, for reading.
pub fn reopen(fd: u32) -> Result<u32, Errno> {
    use core::fmt::Write;
    let mut path = crate::trace::FixedText::<40>::new();
    let _ = write!(path, "/proc/self/fd/{fd}\0");
    let path = CStr::from_bytes_until_nul(path.as_bytes()).map_err(|_| Errno::EINVAL)?;
    open(path, libc::O_RDONLY | libc::O_CLOEXEC | libc::O_NONBLOCK)
}

/// Store a word in a mapping of the caller's own.
pub fn store_word(at: usize, value: u64) {
    store_bytes(at, &value.to_le_bytes());
}

/// Store bytes in a mapping of the caller's own.
pub fn store_bytes(at: usize, bytes: &[u8]) {
    // SAFETY: callers pass addresses inside mappings that they made for this and sized for it.
    unsafe { core::ptr::copy_nonoverlapping(bytes.as_ptr(), at as *mut u8, bytes.len()) }
}

/// Copy within a mapping of the caller's own; the ranges do not overlap.
pub fn copy_own(to: usize, from: usize, bytes: usize) {
    // SAFETY: as for `store_bytes`.
    unsafe { core::ptr::copy_nonoverlapping(from as *const u8, to as *mut u8, bytes) }
}
