//! Keeping the embedding program's signals away from what is ours.
//!
//! A closure in, its result out, run with every signal blocked in the calling thread. Always true: the
//! thread's mask is afterwards what it was before. Threads and processes made meanwhile start with
//! everything blocked, so that no handler of the embedding program ever runs in them.
//!
//! # Safety
//!
//! Unsafe here: calls into libc with pointers to local variables.
#![allow(unsafe_code)]

use std::mem::MaybeUninit;
use std::ptr;

/// Run `f` with all signals blocked.
///
/// Why not the raw system call: libc keeps two signals for itself (thread cancellation and setuid in
/// all threads), which a thread of ours must not block.
pub(crate) fn with_all_blocked<T>(f: impl FnOnce() -> T) -> T {
    let mut all = MaybeUninit::<libc::sigset_t>::uninit();
    let mut old = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: the pointer is valid for writing one set.
    unsafe { libc::sigfillset(all.as_mut_ptr()) };
    // SAFETY: `all` was filled above; `old` is valid for writing one set.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), old.as_mut_ptr()) };
    let result = f();
    // SAFETY: the kernel filled `old` above: SIG_SETMASK with valid pointers cannot fail.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, old.as_ptr(), ptr::null_mut()) };
    result
}
