//! One line of text for each thing a guest did, close to what strace(1) prints.
//!
//! Records and their texts in, lines without their end out. Always true: a line is one line whatever
//! a guest put into a text; nothing in it depends on the machine or on the run but through the guest.
//! How an argument looks is in `arguments` and `names`; where the lines go is [`crate::output`].

mod arguments;
mod names;

use std::fmt::Write;
use std::time::Duration;

use shim_abi::calls::{lookup, nr};
use shim_abi::event::SignalInfo;
use shim_abi::ring::CallRecord;
use shim_abi::{Errno, SimTime};

pub use names::signal_name;

/// Calls whose result is an address.
const ADDRESS_RESULTS: [u32; 4] = [nr::mmap, nr::brk, nr::mremap, nr::shmat];

/// `<time> [tid] name(arguments) = result`. `texts` is what follows the record in its payload.
pub fn call_line(time: SimTime, pid: u32, record: &CallRecord, texts: &[u8]) -> String {
    call_line_with(time, pid, record, texts, true)
}

/// As [`call_line`]; without addresses there is nothing in the line that could follow from where Linux
/// placed the guest's memory.
pub fn call_line_with(
    time: SimTime,
    pid: u32,
    record: &CallRecord,
    texts: &[u8],
    has_addresses: bool,
) -> String {
    let mut line = call_start(time, pid, record.number, &record.args, texts, has_addresses);
    let does_not_return = record.number == nr::exit || record.number == nr::exit_group;
    match Errno::from_return(record.result) {
        _ if does_not_return => line.push_str(") = ?"),
        Some(errno) => {
            let (name, text) = names::errno_words(errno);
            let _ = write!(line, ") = -1 {name} ({text})");
        }
        None if ADDRESS_RESULTS.contains(&record.number) && !has_addresses => {
            let _ = write!(line, ") = {}", arguments::ADDRESS);
        }
        None if ADDRESS_RESULTS.contains(&record.number) => {
            let _ = write!(line, ") = {:#x}", record.result);
        }
        None => {
            let _ = write!(line, ") = {}", record.result);
        }
    }
    line
}

/// The line of a call from which its guest did not come back: it died in it.
pub fn unfinished_line(time: SimTime, pid: u32, number: u32, args: &[u64; 6]) -> String {
    let mut line = call_start(time, pid, number, args, &[], true);
    line.push_str(" <unfinished ...>");
    line
}

/// The line of a signal whose handler starts.
pub fn signal_line(time: SimTime, pid: u32, info: &SignalInfo) -> String {
    let name = signal_name(info.signal);
    format!(
        "{time} [{pid}] --- {name} {{si_signo={name}, si_code={}, si_pid={}, si_uid={}}} ---",
        info.code, info.pid, info.uid
    )
}

/// The line of a thread that was preempted because it made no call for so long.
pub fn preempted_line(time: SimTime, pid: u32, wall: Duration) -> String {
    format!("{time} [{pid}] --- preempted: no call for {} s of wall time ---", wall.as_secs_f64())
}

/// The line of a process that was running when the simulation ended.
pub fn stopped_line(time: SimTime, pid: u32) -> String {
    format!("{time} [{pid}] +++ running at the end of the simulation +++")
}

/// The line of a process that exited.
pub fn exit_line(time: SimTime, pid: u32, status: i32) -> String {
    format!("{time} [{pid}] +++ exited with {status} +++")
}

/// The line of a process that a signal killed.
pub fn killed_line(time: SimTime, pid: u32, signal: u32) -> String {
    format!("{time} [{pid}] +++ killed by {} +++", signal_name(signal))
}

fn call_start(
    time: SimTime,
    pid: u32,
    number: u32,
    args: &[u64; 6],
    texts: &[u8],
    has_addresses: bool,
) -> String {
    let mut line = format!("{time} [{pid}] ");
    match lookup(number.into()) {
        Some(call) => {
            line.push_str(call.name);
            line.push('(');
            let kinds = arguments::used(number, call.args, args);
            arguments::write(&mut line, kinds, args, texts, has_addresses);
        }
        None => {
            let _ = write!(line, "syscall_{number:#x}(");
            for (i, arg) in args.iter().enumerate().filter(|_| has_addresses) {
                let _ = write!(line, "{}{arg:#x}", if i == 0 { "" } else { ", " });
            }
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: SimTime = SimTime::from_ns(1_000_002_000);

    fn line(number: u32, args: [u64; 6], result: i64, texts: &[(u8, bool, &[u8])]) -> String {
        let mut bytes = Vec::new();
        for (argument, is_cut, text) in texts {
            bytes.extend([*argument, u8::from(*is_cut)]);
            bytes.extend((text.len() as u16).to_le_bytes());
            bytes.extend(*text);
        }
        call_line(AT, 1000, &CallRecord { number, args, result }, &bytes)
    }

    #[test]
    fn what_a_futex_operation_does_not_use_is_not_shown() {
        let shown = |operation: i32| line(nr::futex, [0, operation as u64, 1, 0, 0, 0xbad], 0, &[]);
        assert!(shown(0x81).ends_with("futex(NULL, 0x81, 1) = 0"), "{}", shown(0x81));
        assert!(shown(0x107).ends_with("futex(NULL, 0x107) = 0"), "{}", shown(0x107));
        assert!(shown(0).ends_with("futex(NULL, 0, 1, NULL) = 0"), "{}", shown(0));
        assert!(shown(3).ends_with("futex(NULL, 0x3, 1, NULL, NULL) = 0"), "{}", shown(3));
        assert!(shown(9).ends_with(", 2989) = 0"), "{}", shown(9));
    }

    #[test]
    fn ordinary_calls_look_like_strace() {
        let at_cwd = -100_i64 as u64;
        assert_eq!(
            line(
                nr::openat,
                [at_cwd, 0x7000, 0o2000000, 0, 0, 0],
                3,
                &[(1, false, b"/etc/passwd")]
            ),
            r#"1.000002000 [1000] openat(AT_FDCWD, "/etc/passwd", O_RDONLY|O_CLOEXEC) = 3"#
        );
        assert_eq!(
            line(nr::openat, [at_cwd, 0x7000, 0o101, 0o644, 0, 0], -13, &[(1, false, b"f")]),
            r#"1.000002000 [1000] openat(AT_FDCWD, "f", O_WRONLY|O_CREAT, 0644) = -1 EACCES (Permission denied)"#
        );
        assert_eq!(
            line(nr::write, [1, 0x7000, 6, 0, 0, 0], 6, &[(1, false, b"a\tb\"\n\x01")]),
            r#"1.000002000 [1000] write(1, "a\tb\"\n\1", 6) = 6"#
        );
        assert_eq!(
            line(nr::mmap, [0, 4096, 3, 0x22, 0xffff_ffff, 0], 0x7fff_f7fc_0000, &[]),
            "1.000002000 [1000] mmap(NULL, 4096, 0x3, 0x22, -1, 0) = 0x7ffff7fc0000"
        );
        assert_eq!(
            line(nr::clock_gettime, [1, 0x7ffe_0000, 0, 0, 0, 0], 0, &[]),
            "1.000002000 [1000] clock_gettime(CLOCK_MONOTONIC, 0x7ffe0000) = 0"
        );
        assert_eq!(
            line(nr::kill, [1000, 15, 0, 0, 0, 0], 0, &[]),
            "1.000002000 [1000] kill(1000, SIGTERM) = 0"
        );
        assert_eq!(
            line(nr::lseek, [3, -8_i64 as u64, 2, 0, 0, 0], 92, &[]),
            "1.000002000 [1000] lseek(3, -8, 2) = 92"
        );
        assert_eq!(line(nr::exit_group, [3; 6], 0, &[]), "1.000002000 [1000] exit_group(3) = ?");
    }

    #[test]
    fn addresses_can_be_left_out() {
        let record =
            CallRecord { number: nr::mmap, args: [0x7000, 4096, 3, 0x22, 9, 0], result: 9 };
        assert_eq!(
            call_line_with(AT, 7, &record, &[], false),
            "1.000002000 [7] mmap(<address>, 4096, 0x3, 0x22, 9, 0) = <address>"
        );
        let record = CallRecord { result: -12, ..record };
        let line = call_line_with(AT, 7, &record, &[], false);
        assert!(line.ends_with("= -1 ENOMEM (Out of memory)"), "{line}");
    }

    #[test]
    fn strange_calls_are_shown_and_stay_one_line() {
        assert_eq!(
            line(999, [1, 2, 3, 4, 5, 6], -38, &[]),
            "1.000002000 [1000] syscall_0x3e7(0x1, 0x2, 0x3, 0x4, 0x5, 0x6) = -1 ENOSYS (Function not implemented)"
        );
        assert_eq!(
            line(nr::unlink, [0x10, 0, 0, 0, 0, 0], -4000, &[(0, true, b"a\r\nb\0c")]),
            r#"1.000002000 [1000] unlink("a\r\nb\0c"...) = -1 ERRNO_4000 (Unknown errno)"#
        );
        // A text that claims more bytes than there are is ignored.
        let record = CallRecord { number: nr::unlink, args: [0x10; 6], result: 0 };
        assert_eq!(
            call_line(AT, 7, &record, &[0, 0, 200, 0, b'x']),
            "1.000002000 [7] unlink(0x10) = 0"
        );
    }

    #[test]
    fn ends_and_signals_have_lines() {
        let info = SignalInfo { signal: 2, pid: 1, ..SignalInfo::default() };
        assert_eq!(
            signal_line(AT, 9, &info),
            "1.000002000 [9] --- SIGINT {si_signo=SIGINT, si_code=0, si_pid=1, si_uid=0} ---"
        );
        assert_eq!(
            preempted_line(AT, 9, Duration::from_millis(1500)),
            "1.000002000 [9] --- preempted: no call for 1.5 s of wall time ---"
        );
        assert_eq!(exit_line(AT, 9, 3), "1.000002000 [9] +++ exited with 3 +++");
        assert_eq!(killed_line(AT, 9, 9), "1.000002000 [9] +++ killed by SIGKILL +++");
        assert_eq!(
            unfinished_line(AT, 9, nr::pause, &[0; 6]),
            "1.000002000 [9] pause( <unfinished ...>"
        );
    }
}
