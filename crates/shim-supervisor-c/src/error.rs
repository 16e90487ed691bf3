//! What goes back to C: a number, and, after a failure, a message.
//!
//! [`Failure`]s in; negative errno and a text of the calling thread's out. Always true: a message stands until
//! the thread's next failure, names the function that failed, what was wrong and, where there is something, what
//! to do; a success leaves it alone, as it does errno. Who finds out what is wrong is not here.
//!
//! # Safety
//!
//! Unsafe here are the exported names alone, which are unique by their prefix and version node.
#![allow(unsafe_code)]

use std::cell::RefCell;
use std::ffi::{CString, c_char, c_int};
use std::io;

/// Why a function failed.
#[derive(Debug)]
pub(crate) struct Failure {
    errno: c_int,
    text: String,
}

pub(crate) type Result<T> = std::result::Result<T, Failure>;

impl Failure {
    pub(crate) fn new(errno: c_int, text: impl Into<String>) -> Failure {
        Failure { errno, text: text.into() }
    }

    /// A bad argument.
    pub(crate) fn invalid(text: impl Into<String>) -> Failure {
        Failure::new(libc::EINVAL, text)
    }

    /// An error of the system's or of `std`'s.
    pub(crate) fn io(error: &io::Error, what: &str) -> Failure {
        Failure::new(errno_of(error), format!("{what}: {error}"))
    }
}

/// The error number behind an error.
pub(crate) fn errno_of(error: &io::Error) -> c_int {
    use io::ErrorKind;
    error.raw_os_error().unwrap_or(match error.kind() {
        ErrorKind::NotFound => libc::ENOENT,
        ErrorKind::PermissionDenied => libc::EACCES,
        ErrorKind::AlreadyExists => libc::EEXIST,
        ErrorKind::InvalidInput | ErrorKind::InvalidData => libc::EINVAL,
        ErrorKind::OutOfMemory => libc::ENOMEM,
        ErrorKind::FileTooLarge => libc::EFBIG,
        ErrorKind::Unsupported => libc::ENOSYS,
        ErrorKind::BrokenPipe => libc::EPIPE,
        _ => libc::EIO,
    })
}

thread_local! {
    static MESSAGE: RefCell<CString> = RefCell::default();
}

/// Remember why `function` failed; the number that it returns.
pub(crate) fn note(function: &str, failure: &Failure) -> c_int {
    let text: Vec<u8> =
        format!("{function}: {}", failure.text).bytes().filter(|&b| b != 0).collect();
    // A thread that is ending has no message any more.
    _ = MESSAGE.try_with(|message| {
        message.replace(CString::new(text).unwrap_or_default());
    });
    -failure.errno
}

/// What a function returns that has nothing to tell but whether it worked.
pub(crate) fn answer(function: &str, result: Result<()>) -> c_int {
    answer_with(function, result.map(|()| 0))
}

/// What a function returns that has a number to tell.
pub(crate) fn answer_with(function: &str, result: Result<c_int>) -> c_int {
    result.unwrap_or_else(|failure| note(function, &failure))
}

/// Why the calling thread's last call that failed did so.
///
/// It names the function, what was wrong, and what to do about it. Calls that succeed leave it as it is, so it means
/// something right after a function of this library has returned a negative number or NULL.
///
/// Ownership: the library's; valid until the next call of the same thread that fails, or the thread's end.
/// Returns: one line without a newline, UTF-8; the empty text if no call of this thread has failed.
/// Errors: none.
/// Threads and signals: each thread has a message of its own; not for signal handlers.
/// Since: 0.1.
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn shimsup_message() -> *const c_char {
    MESSAGE.try_with(|message| message.borrow().as_ptr()).unwrap_or(c"".as_ptr())
}

/// Version of the library that is loaded.
///
/// Returns: major * 65536 + minor * 256 + patch, to be compared with SHIM_VERSION of shim/version.h.
/// Errors: none.
/// Threads and signals: safe from any thread and in a signal handler.
/// Since: 0.1.
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn shimsup_version() -> u32 {
    const fn number(text: &str) -> u32 {
        let (bytes, mut at, mut number) = (text.as_bytes(), 0, 0);
        while at < bytes.len() {
            number = number * 10 + (bytes[at] - b'0') as u32;
            at += 1;
        }
        number
    }
    const VERSION: u32 = (number(env!("CARGO_PKG_VERSION_MAJOR")) << 16)
        + (number(env!("CARGO_PKG_VERSION_MINOR")) << 8)
        + number(env!("CARGO_PKG_VERSION_PATCH"));
    VERSION
}

#[cfg(test)]
mod tests {
    use std::ffi::CStr;

    use super::*;

    fn message() -> String {
        // SAFETY: the library's own text, which nothing changes meanwhile.
        unsafe { CStr::from_ptr(shimsup_message()) }.to_string_lossy().into_owned()
    }

    #[test]
    fn each_thread_has_its_last_failure() {
        assert_eq!(message(), "");
        assert_eq!(answer("f", Ok(())), 0);
        assert_eq!(answer_with("f", Ok(7)), 7);
        assert_eq!(message(), "");
        assert_eq!(answer("f", Err(Failure::invalid("x is NULL"))), -libc::EINVAL);
        let other = std::thread::spawn(|| {
            let before = message();
            note("g", &Failure::new(libc::EIO, "a\0b"));
            (before, message())
        });
        assert_eq!(other.join().unwrap(), (String::new(), "g: ab".to_owned()));
        assert_eq!(answer("f", Ok(())), 0);
        assert_eq!(message(), "f: x is NULL");
    }

    #[test]
    fn errors_without_a_number_get_one() {
        assert_eq!(errno_of(&io::Error::from_raw_os_error(libc::EMFILE)), libc::EMFILE);
        let kinds = [
            (io::ErrorKind::AlreadyExists, libc::EEXIST),
            (io::ErrorKind::OutOfMemory, libc::ENOMEM),
            (io::ErrorKind::Other, libc::EIO),
        ];
        for (kind, errno) in kinds {
            assert_eq!(errno_of(&io::Error::new(kind, "a text")), errno);
        }
    }
}
