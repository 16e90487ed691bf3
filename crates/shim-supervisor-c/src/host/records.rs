//! What guests do, as it happens: records that the owner takes between steps.
//!
//! Observations of `shim-host` in; one record after the other out, as lines of text and as numbers. Always true: nobody is called
//! back, so nothing can be called while a guest has control; records of one thread come in the order of its own time; what nobody
//! asked for is not kept. How a line reads is `shim-sim`'s, so it reads as in its traces.
//!
//! # Safety
//!
//! Unsafe here: exported names, and pointers from C, about which each function says what its caller guarantees.
#![allow(unsafe_code)]

use std::collections::VecDeque;
use std::ffi::{CString, c_char, c_int};

use shim_abi::SimTime;
use shim_host::{Observation, Observer, ProcessEnd, Source};
use shim_sim::{log_line, trace};

use super::account::c_text;
use super::{Host, Inside, with};
use crate::error::{Failure, answer_with, note};
use crate::pointer::{object, store};

/// Nothing is recorded.
pub const SHIMHOST_RECORDS_NONE: i32 = 0;
/// Ends of processes, log lines, preemptions.
pub const SHIMHOST_RECORDS_EVENTS: i32 = 1;
/// These, and each system call and signal handler: as strace(1) shows them.
pub const SHIMHOST_RECORDS_CALLS: i32 = 2;

/// A log line of the shim, of the host, or of a guest; the value is its level, 1 (error) to 5 (trace).
pub const SHIMHOST_RECORD_LOG: i32 = 1;
/// A system call that returned; the value is its number.
pub const SHIMHOST_RECORD_CALL: i32 = 2;
/// A system call in which the thread was when its process ended; the value is its number.
pub const SHIMHOST_RECORD_UNFINISHED: i32 = 3;
/// A signal whose handler runs next; the value is its number.
pub const SHIMHOST_RECORD_SIGNAL: i32 = 4;
/// The thread made no call for so long that it was preempted; the value is for how many milliseconds of real time.
pub const SHIMHOST_RECORD_PREEMPTED: i32 = 5;
/// The process exited; the value is its status.
pub const SHIMHOST_RECORD_EXITED: i32 = 6;
/// A signal killed the process; the value is the signal's number.
pub const SHIMHOST_RECORD_KILLED: i32 = 7;

/// One thing that a guest did. Opaque: read it with shimhost_record_*.
pub struct Record {
    kind: c_int,
    value: i64,
    time: SimTime,
    pid: u32,
    tid: u32,
    program: CString,
    text: CString,
    call: Option<Call>,
}

struct Call {
    number: u32,
    arguments: [u64; 6],
    /// `None`: it did not return.
    result: Option<i64>,
}

/// Keeps what is to be told until it is taken.
pub(super) struct Recorder {
    which: c_int,
    waiting: VecDeque<Record>,
    /// The one that was handed out last: in a box, where it stays.
    shown: Option<Box<Record>>,
}

impl Recorder {
    pub(super) fn new(which: c_int) -> Recorder {
        Recorder { which, waiting: VecDeque::new(), shown: None }
    }

    fn take(&mut self) -> Option<*const Record> {
        let record = self.waiting.pop_front()?;
        Some(&raw const **self.shown.insert(Box::new(record)))
    }
}

impl Observer for Recorder {
    fn observe(&mut self, source: &Source<'_>, time: SimTime, what: Observation<'_>) {
        if self.which != SHIMHOST_RECORDS_NONE {
            self.waiting.push_back(record(source, time, what));
        }
    }
}

fn record(source: &Source<'_>, time: SimTime, what: Observation<'_>) -> Record {
    let (pid, tid) = (source.pid, source.tid);
    let mut call = None;
    let (kind, value, text) = match what {
        Observation::Log { level, text } => {
            (SHIMHOST_RECORD_LOG, level as i64, log_line::log_line(source, time, level, text))
        }
        Observation::Call { record, texts } => {
            let (number, arguments) = (record.number, record.args);
            call = Some(Call { number, arguments, result: Some(record.result) });
            let line = trace::call_line(time, tid, &record, texts);
            (SHIMHOST_RECORD_CALL, number.into(), line)
        }
        Observation::Unfinished { number, args } => {
            call = Some(Call { number, arguments: args, result: None });
            let line = trace::unfinished_line(time, tid, number, &args);
            (SHIMHOST_RECORD_UNFINISHED, number.into(), line)
        }
        Observation::Signal(info) => {
            (SHIMHOST_RECORD_SIGNAL, info.signal.into(), trace::signal_line(time, tid, &info))
        }
        Observation::Preempted { wall } => {
            let value = wall.as_millis().try_into().unwrap_or(i64::MAX);
            (SHIMHOST_RECORD_PREEMPTED, value, trace::preempted_line(time, tid, wall))
        }
        Observation::Ended(ProcessEnd::Exited(status)) => {
            (SHIMHOST_RECORD_EXITED, status.into(), trace::exit_line(time, pid, status))
        }
        Observation::Ended(ProcessEnd::Killed(signal)) => {
            (SHIMHOST_RECORD_KILLED, signal.into(), trace::killed_line(time, pid, signal))
        }
    };
    let (program, text) = (c_text(source.program.as_bytes()), c_text(text.as_bytes()));
    Record { kind, value, time, pid, tid, program, text, call }
}

/// Take the next record of what guests did.
///
/// To be called after each step, until there is none, if shimhost_config_set_records asked for any: they take memory
/// until they are taken.
///
/// host: as shimhost_new made it.
/// record: where the record goes, to be read with shimhost_record_*.
/// Ownership: the record is the library's, and valid until the next call with this host.
/// Returns: 1 if there was one; 0 if not, and nothing is stored; or a negative errno; shimsup_message tells more.
/// Errors: -EINVAL for NULL; -EBUSY if another thread uses the host.
/// Threads and signals: one thread at a time; not in a signal handler.
/// Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shimhost_take_record(
    host: *mut Host,
    record: *mut *const Record,
) -> c_int {
    let take = |host: &mut Inside| {
        if record.is_null() {
            return Err(Failure::invalid("record is NULL"));
        }
        Ok(host.recorder.take())
    };
    // SAFETY: the caller's: NULL or a host.
    let result = unsafe { with(host, take) }.map(|taken| {
        let Some(taken) = taken else { return 0 };
        // SAFETY: the caller's: a place for a pointer.
        unsafe { store(record, taken) };
        1
    });
    answer_with("shimhost_take_record", result)
}

/// What kind of thing a record tells.
///
/// record: as shimhost_take_record gave it.
/// Returns: one of SHIMHOST_RECORD_*, or a negative errno; shimsup_message tells more.
/// Errors: -EINVAL for NULL.
/// Threads and signals: one thread at a time; not in a signal handler.
/// Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shimhost_record_kind(record: *const Record) -> c_int {
    // SAFETY: the caller's: NULL or a record that is still valid.
    let kind = unsafe { object(record, "record") }.map(|record| record.kind);
    answer_with("shimhost_record_kind", kind)
}

/// The number that belongs to a record: what it is stands with its kind, one of SHIMHOST_RECORD_*.
///
/// record: as shimhost_take_record gave it.
/// Returns: the number; 0 for NULL.
/// Errors: none.
/// Threads and signals: one thread at a time; not in a signal handler.
/// Since: 0.1.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shimhost_record_value(record: *const Record) -> i64 {
    // SAFETY: the caller's: NULL or a record that is still valid.
    unsafe { object(record, "record") }.map_or(0, |record| record.value)
}

/// When it happened, by the thread's own simulated time.
///
/// record: as shimhost_take_record gave it.
/// Returns: nanoseconds since the start of the simulation; 0 for NULL.
/// Errors: none.
/// Threads and signals: one thread at a time; not in a signal handler.
/// Since: 0.1.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shimhost_record_time_ns(record: *const Record) -> u64 {
    // SAFETY: the caller's: NULL or a record that is still valid.
    unsafe { object(record, "record") }.map_or(0, |record| record.time.as_ns())
}

/// The virtual id of the process that did it.
///
/// record: as shimhost_take_record gave it.
/// Returns: the process id; 0 for NULL.
/// Errors: none.
/// Threads and signals: one thread at a time; not in a signal handler.
/// Since: 0.1.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shimhost_record_pid(record: *const Record) -> u32 {
    // SAFETY: the caller's: NULL or a record that is still valid.
    unsafe { object(record, "record") }.map_or(0, |record| record.pid)
}

/// The virtual id of the thread that did it.
///
/// record: as shimhost_take_record gave it.
/// Returns: the thread id; 0 for NULL.
/// Errors: none.
/// Threads and signals: one thread at a time; not in a signal handler.
/// Since: 0.1.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shimhost_record_tid(record: *const Record) -> u32 {
    // SAFETY: the caller's: NULL or a record that is still valid.
    unsafe { object(record, "record") }.map_or(0, |record| record.tid)
}

/// The name of the program that did it.
///
/// record: as shimhost_take_record gave it.
/// Ownership: the library's; valid as long as the record.
/// Returns: the name; NULL for NULL.
/// Errors: NULL, with a message, for NULL.
/// Threads and signals: one thread at a time; not in a signal handler.
/// Since: 0.1.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shimhost_record_program(record: *const Record) -> *const c_char {
    // SAFETY: the caller's: NULL or a record that is still valid.
    match unsafe { object(record, "record") } {
        Ok(record) => record.program.as_ptr(),
        Err(failure) => {
            note("shimhost_record_program", &failure);
            std::ptr::null()
        }
    }
}

/// What a record tells, as a line of text without its newline.
///
/// It is the line that `shim run` writes into its traces and logs.
///
/// record: as shimhost_take_record gave it.
/// Ownership: the library's; valid as long as the record.
/// Returns: the line, in which control characters of guests are escaped; NULL for NULL.
/// Errors: NULL, with a message, for NULL.
/// Threads and signals: one thread at a time; not in a signal handler.
/// Since: 0.1.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shimhost_record_text(record: *const Record) -> *const c_char {
    // SAFETY: the caller's: NULL or a record that is still valid.
    match unsafe { object(record, "record") } {
        Ok(record) => record.text.as_ptr(),
        Err(failure) => {
            note("shimhost_record_text", &failure);
            std::ptr::null()
        }
    }
}

/// The system call that a record tells of.
///
/// record: as shimhost_take_record gave it.
/// number: where its number goes; NULL if nobody wants it.
/// arguments: where its six arguments go, in the order of syscall(2); NULL if nobody wants them.
/// result: where its result goes, a negative errno for an error; NULL if nobody wants it.
/// Returns: 1 if it is a call that returned; 2 if it is one that did not, and no result is stored; 0 if it is no call, and nothing is
/// stored; or a negative errno; shimsup_message tells more.
/// Errors: -EINVAL for a record that is NULL.
/// Threads and signals: one thread at a time; not in a signal handler.
/// Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shimhost_record_call(
    record: *const Record,
    number: *mut u32,
    arguments: *mut u64,
    result: *mut i64,
) -> c_int {
    // SAFETY: the caller's: NULL or a record that is still valid.
    let record = unsafe { object(record, "record") };
    let told = record.map(|record| {
        let Some(call) = &record.call else { return 0 };
        // SAFETY: the caller's: NULL or a place for a number.
        unsafe { store(number, call.number) };
        // SAFETY: the caller's: NULL or a place for six numbers, which an array is in memory.
        unsafe { store(arguments.cast::<[u64; 6]>(), call.arguments) };
        let Some(value) = call.result else { return 2 };
        // SAFETY: the caller's: NULL or a place for a number.
        unsafe { store(result, value) };
        1
    });
    answer_with("shimhost_record_call", told)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: Source<'_> =
        Source { host: "alpha", program: "sh", pid: 1000, tid: 1001, root: 1000 };

    #[test]
    fn what_nobody_asked_for_is_not_kept() {
        let ended = Observation::Ended(ProcessEnd::Exited(3));
        let mut recorder = Recorder::new(SHIMHOST_RECORDS_NONE);
        recorder.observe(&SOURCE, SimTime::from_ns(5), ended);
        assert!(recorder.take().is_none());
        let mut recorder = Recorder::new(SHIMHOST_RECORDS_EVENTS);
        recorder.observe(&SOURCE, SimTime::from_ns(5), ended);
        assert!(recorder.take().is_some());
        assert!(recorder.take().is_none());
    }

    #[test]
    fn a_record_has_its_numbers_and_its_line() {
        let time = SimTime::from_ns(5);
        let it = record(&SOURCE, time, Observation::Ended(ProcessEnd::Killed(9)));
        assert_eq!((it.kind, it.value, it.pid, it.tid), (SHIMHOST_RECORD_KILLED, 9, 1000, 1001));
        assert_eq!(it.text.to_str(), Ok("0.000000005 [1000] +++ killed by SIGKILL +++"));
        let log = Observation::Log { level: log::Level::Warn, text: "a\0b" };
        let it = record(&SOURCE, time, log);
        assert_eq!((it.kind, it.value), (SHIMHOST_RECORD_LOG, 2));
        assert!(
            it.text.to_string_lossy().ends_with("alpha sh[1000/1001] a\\u{0}b"),
            "{:?}",
            it.text
        );
        let it = record(&SOURCE, time, Observation::Unfinished { number: 35, args: [1; 6] });
        let call = it.call.expect("it is one");
        assert_eq!((it.kind, call.number, call.result), (SHIMHOST_RECORD_UNFINISHED, 35, None));
    }
}
