//! The names of numbers: errors, signals, clocks, the flags of open(2).
//!
//! A number in, its name out. Always true: a number without a name is still shown, as a number.

use std::fmt::Write;

use shim_abi::Errno;

/// An error's symbol and what it means.
pub fn errno_words(errno: Errno) -> (String, &'static str) {
    let known = nix::errno::Errno::from_raw(errno.number());
    match known {
        nix::errno::Errno::UnknownErrno => (format!("ERRNO_{}", errno.number()), "Unknown errno"),
        _ => (format!("{known:?}"), known.desc()),
    }
}

/// `SIGINT`, `SIGRT_1`, or the number.
pub fn signal_name(signal: u32) -> String {
    // Linux's own count: libc's SIGRTMIN leaves out the two that it keeps for itself.
    const FIRST_REAL_TIME: u32 = 32;
    let number = i32::try_from(signal).unwrap_or(0);
    match nix::sys::signal::Signal::try_from(number) {
        Ok(known) => known.as_str().to_owned(),
        Err(_) if (FIRST_REAL_TIME..=64).contains(&signal) => {
            format!("SIGRT_{}", signal - FIRST_REAL_TIME)
        }
        Err(_) => signal.to_string(),
    }
}

/// `CLOCK_MONOTONIC`; `None` for the clocks of processes and threads, whose ids are computed.
pub fn clock_name(clock: i32) -> Option<&'static str> {
    Some(match clock {
        libc::CLOCK_REALTIME => "CLOCK_REALTIME",
        libc::CLOCK_MONOTONIC => "CLOCK_MONOTONIC",
        libc::CLOCK_PROCESS_CPUTIME_ID => "CLOCK_PROCESS_CPUTIME_ID",
        libc::CLOCK_THREAD_CPUTIME_ID => "CLOCK_THREAD_CPUTIME_ID",
        libc::CLOCK_MONOTONIC_RAW => "CLOCK_MONOTONIC_RAW",
        libc::CLOCK_REALTIME_COARSE => "CLOCK_REALTIME_COARSE",
        libc::CLOCK_MONOTONIC_COARSE => "CLOCK_MONOTONIC_COARSE",
        libc::CLOCK_BOOTTIME => "CLOCK_BOOTTIME",
        libc::CLOCK_REALTIME_ALARM => "CLOCK_REALTIME_ALARM",
        libc::CLOCK_BOOTTIME_ALARM => "CLOCK_BOOTTIME_ALARM",
        libc::CLOCK_TAI => "CLOCK_TAI",
        _ => return None,
    })
}

/// The flags after the access mode. Those that contain others come first.
const OPEN_FLAGS: [(i32, &str); 16] = [
    (libc::O_SYNC, "O_SYNC"),
    (libc::O_TMPFILE, "O_TMPFILE"),
    (libc::O_CREAT, "O_CREAT"),
    (libc::O_EXCL, "O_EXCL"),
    (libc::O_NOCTTY, "O_NOCTTY"),
    (libc::O_TRUNC, "O_TRUNC"),
    (libc::O_APPEND, "O_APPEND"),
    (libc::O_NONBLOCK, "O_NONBLOCK"),
    (libc::O_DSYNC, "O_DSYNC"),
    (libc::O_ASYNC, "O_ASYNC"),
    (libc::O_DIRECT, "O_DIRECT"),
    (libc::O_DIRECTORY, "O_DIRECTORY"),
    (libc::O_NOFOLLOW, "O_NOFOLLOW"),
    (libc::O_NOATIME, "O_NOATIME"),
    (libc::O_CLOEXEC, "O_CLOEXEC"),
    (libc::O_PATH, "O_PATH"),
];

/// Append the flags of open(2), joined by `|`.
pub fn write_open_flags(line: &mut String, flags: i32) {
    line.push_str(match flags & libc::O_ACCMODE {
        libc::O_RDONLY => "O_RDONLY",
        libc::O_WRONLY => "O_WRONLY",
        libc::O_RDWR => "O_RDWR",
        _ => "O_ACCMODE",
    });
    let mut rest = flags & !libc::O_ACCMODE;
    for (flag, name) in OPEN_FLAGS {
        if rest & flag == flag {
            rest &= !flag;
            let _ = write!(line, "|{name}");
        }
    }
    if rest != 0 {
        let _ = write!(line, "|{rest:#x}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_that_contain_others_are_named_once() {
        let text = |flags| {
            let mut line = String::new();
            write_open_flags(&mut line, flags);
            line
        };
        assert_eq!(text(libc::O_RDWR | libc::O_SYNC), "O_RDWR|O_SYNC");
        assert_eq!(text(libc::O_WRONLY | libc::O_TMPFILE), "O_WRONLY|O_TMPFILE");
        assert_eq!(text(libc::O_DIRECTORY | libc::O_DSYNC), "O_RDONLY|O_DSYNC|O_DIRECTORY");
        assert_eq!(text(0x4000_0000), "O_RDONLY|0x40000000");
    }

    #[test]
    fn signals_have_the_names_of_strace() {
        assert_eq!(signal_name(9), "SIGKILL");
        assert_eq!(signal_name(32), "SIGRT_0");
        assert_eq!(signal_name(64), "SIGRT_32");
        assert_eq!(signal_name(0), "0");
        assert_eq!(signal_name(u32::MAX), "4294967295");
    }
}
