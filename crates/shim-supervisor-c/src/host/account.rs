//! What can be told about a host: how much its guests did, what they lacked, what failed, what they wait for.
//!
//! Numbers and lists out, one entry a call. Always true: a walk begins at the index 0, which takes the list as it is then;
//! texts stay until the next call with the host; programs are named by guests, so a name is an allegation. What is told while
//! guests run is in `records`.
//!
//! # Safety
//!
//! Unsafe here: exported names, and pointers from C, about which each function says what its caller guarantees.
#![allow(unsafe_code)]

use std::ffi::{CString, c_char, c_int};
use std::os::unix::ffi::OsStrExt;

use shim_abi::calls::lookup;
use shim_host::LackKind;

use super::{Host, Inside, with};
use crate::error::{Failure, Result, answer, answer_with};
use crate::pointer::store;

/// Processes that there have been, those that guests made included.
pub const SHIMHOST_STATISTIC_PROCESSES: i32 = 1;
/// Threads that there have been, at least one for each process.
pub const SHIMHOST_STATISTIC_THREADS: i32 = 2;
/// System calls of processes that have ended.
pub const SHIMHOST_STATISTIC_CALLS: i32 = 3;
/// How many of them trapped instead of coming by patched code.
pub const SHIMHOST_STATISTIC_TRAPPED_CALLS: i32 = 4;
/// How often a guest handed control to the simulator.
pub const SHIMHOST_STATISTIC_HANDOVERS: i32 = 5;
/// Bytes that the state of the host's kernel takes now.
pub const SHIMHOST_STATISTIC_KERNEL_BYTES: i32 = 6;
/// Processes that have not ended now.
pub const SHIMHOST_STATISTIC_LIVING: i32 = 7;

/// One entry of a list.
struct Entry {
    program: CString,
    text: CString,
    /// A process id, or the number of a call.
    number: i64,
    count: u64,
}

/// The lists as their walks found them.
#[derive(Default)]
pub(super) struct Lists {
    lacks: Vec<Entry>,
    failures: Vec<Entry>,
    preemptions: Vec<Entry>,
    waiting: Vec<Entry>,
    written: Vec<Entry>,
}

/// What a walk needs: where its list is kept, and how it is made.
struct Walk {
    list: fn(&mut Lists) -> &mut Vec<Entry>,
    make: fn(&shim_host::Host) -> Vec<Entry>,
}

/// A text without NULs.
pub(super) fn c_text(bytes: &[u8]) -> CString {
    CString::new(bytes.iter().copied().filter(|&byte| byte != 0).collect::<Vec<_>>())
        .unwrap_or_default()
}

fn entry(program: &str, text: &str, number: i64, count: u64) -> Entry {
    Entry { program: c_text(program.as_bytes()), text: c_text(text.as_bytes()), number, count }
}

const LACKS: Walk = Walk {
    list: |lists| &mut lists.lacks,
    make: |host| {
        let lacks = host.lacks().into_iter().map(|lack| match &lack.kind {
            LackKind::Call(number) => {
                let unknown = format!("system call {number}");
                let name = lookup((*number).into()).map_or(unknown, |call| call.name.to_owned());
                entry(&lack.program, &name, i64::from(*number), lack.count)
            }
            LackKind::Other(text) => entry(&lack.program, text, -1, lack.count),
        });
        lacks.collect()
    },
};

const FAILURES: Walk = Walk {
    list: |lists| &mut lists.failures,
    make: |host| {
        let failures = host.failures().iter();
        failures.map(|it| entry(&it.program, &it.text, it.pid.into(), 1)).collect()
    },
};

const PREEMPTIONS: Walk = Walk {
    list: |lists| &mut lists.preemptions,
    make: |host| {
        let preemptions = host.preemptions().into_iter();
        preemptions.map(|it| entry(&it.program, "", 0, it.count)).collect()
    },
};

const WAITING: Walk = Walk {
    list: |lists| &mut lists.waiting,
    make: |host| {
        let waiting = host.waiting().into_iter();
        waiting.map(|it| entry(&it.program, &it.call, it.pid.into(), 1)).collect()
    },
};

const WRITTEN: Walk = Walk {
    list: |lists| &mut lists.written,
    make: |host| {
        let files = host.written_files();
        let entry = |path: &std::path::PathBuf| Entry {
            text: c_text(path.as_os_str().as_bytes()),
            ..entry("", "", 0, 1)
        };
        files.iter().map(entry).collect()
    },
};

impl Inside {
    fn statistic(&self, which: c_int) -> Result<u64> {
        let census = self.host.census();
        let value = match which {
            SHIMHOST_STATISTIC_PROCESSES => census.processes,
            SHIMHOST_STATISTIC_THREADS => census.threads,
            SHIMHOST_STATISTIC_CALLS => census.calls,
            SHIMHOST_STATISTIC_TRAPPED_CALLS => census.trapped_calls,
            SHIMHOST_STATISTIC_HANDOVERS => self.host.handovers(),
            SHIMHOST_STATISTIC_KERNEL_BYTES => self.host.kernel_bytes() as u64,
            SHIMHOST_STATISTIC_LIVING => self.host.waiting().len() as u64,
            _ => {
                let hint = "pass one of SHIMHOST_STATISTIC_*";
                return Err(Failure::invalid(format!("there is no statistic {which}: {hint}")));
            }
        };
        Ok(value)
    }
}

/// Where the parts of an entry go; NULL where nobody wants one.
#[derive(Default)]
struct Places {
    program: Option<*mut *const c_char>,
    text: Option<*mut *const c_char>,
    pid: Option<*mut u32>,
    call: Option<*mut i32>,
    count: Option<*mut u64>,
}

/// # Safety
///
/// NULL or a host, and NULL or places that can be written.
unsafe fn walk(host: *const Host, index: usize, walk: &Walk, places: Places) -> Result<c_int> {
    let find = |host: &mut Inside| {
        let list = (walk.list)(&mut host.lists);
        if index == 0 {
            *list = (walk.make)(&host.host);
        }
        // The texts lie outside the list, which stays as it is until a walk begins.
        let found = list.get(index);
        Ok(found.map(|it| (it.program.as_ptr(), it.text.as_ptr(), it.number, it.count)))
    };
    // SAFETY: the caller's promise.
    let found = unsafe { with(host, find) }?;
    let Some((program, text, number, count)) = found else { return Ok(0) };
    if let Some(place) = places.program {
        // SAFETY: the caller's promise.
        unsafe { store(place, program) };
    }
    if let Some(place) = places.text {
        // SAFETY: as above.
        unsafe { store(place, text) };
    }
    if let Some(place) = places.pid {
        // SAFETY: as above.
        unsafe { store(place, number.try_into().unwrap_or(0)) };
    }
    if let Some(place) = places.call {
        // SAFETY: as above.
        unsafe { store(place, number.try_into().unwrap_or(-1)) };
    }
    if let Some(place) = places.count {
        // SAFETY: as above.
        unsafe { store(place, count) };
    }
    Ok(1)
}

/// How much has happened on the host.
///
/// host: as shimhost_new made it.
/// which: one of SHIMHOST_STATISTIC_*.
/// value: where the number goes.
/// Returns: 0, or a negative errno; shimsup_message tells more.
/// Errors: -EINVAL for NULL, or another number; -EBUSY if another thread uses the host.
/// Threads and signals: one thread at a time; not in a signal handler.
/// Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shimhost_statistic(
    host: *const Host,
    which: c_int,
    value: *mut u64,
) -> c_int {
    // SAFETY: the caller's: NULL or a host.
    let result = unsafe { with(host, |host| host.statistic(which)) };
    let result = result.and_then(|number| {
        if value.is_null() {
            return Err(Failure::invalid("value is NULL"));
        }
        // SAFETY: the caller's: a place for a number.
        unsafe { store(value, number) };
        Ok(())
    });
    answer("shimhost_statistic", result)
}

/// Whether nothing that happened so far depended on how fast the real machine is.
///
/// host: as shimhost_new made it.
/// Returns: 1 if so; 0 if a guest was preempted (shimhost_preemption); or a negative errno; shimsup_message tells more.
/// Errors: -EINVAL for NULL; -EBUSY if another thread uses the host.
/// Threads and signals: one thread at a time; not in a signal handler.
/// Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shimhost_is_reproducible(host: *const Host) -> c_int {
    // SAFETY: the caller's: NULL or a host.
    let result = unsafe { with(host, |host| Ok(host.host.is_reproducible().into())) };
    answer_with("shimhost_is_reproducible", result)
}

/// Something that guests asked for and did not get, because the simulation does not have it.
///
/// Each program and thing is listed once, sorted, for processes that have ended. Ask for the indices 0, 1, ... until there is none;
/// the index 0 takes the list as it is then.
///
/// host: as shimhost_new made it.
/// index: which one.
/// program: where the program's name goes; NULL if nobody wants it.
/// what: where the name of the system call goes, or another description; NULL if nobody wants it.
/// call: where the number of the system call goes, -1 if it is something else; NULL if nobody wants it.
/// count: where it goes how often it was asked for; NULL if nobody wants it.
/// Ownership: the texts are the library's, and valid until the next call with this host.
/// Returns: 1 if there is one; 0 if not, and nothing is stored; or a negative errno; shimsup_message tells more.
/// Errors: -EINVAL for a host that is NULL; -EBUSY if another thread uses the host.
/// Threads and signals: one thread at a time; not in a signal handler.
/// Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shimhost_lack(
    host: *const Host,
    index: usize,
    program: *mut *const c_char,
    what: *mut *const c_char,
    call: *mut i32,
    count: *mut u64,
) -> c_int {
    let (program, text) = (Some(program), Some(what));
    let places =
        Places { program, text, call: Some(call), count: Some(count), ..Places::default() };
    // SAFETY: the caller's: NULL or a host, and NULL or places.
    answer_with("shimhost_lack", unsafe { walk(host, index, &LACKS, places) })
}

/// A process in which the shim itself failed, or whose death left the host without a kernel.
///
/// Ask for the indices 0, 1, ... until there is none; the index 0 takes the list as it is then.
///
/// host: as shimhost_new made it.
/// index: which one.
/// program: where the program's name goes; NULL if nobody wants it.
/// pid: where its virtual process id goes; NULL if nobody wants it.
/// text: where it goes what failed; NULL if nobody wants it.
/// Ownership: the texts are the library's, and valid until the next call with this host.
/// Returns: 1 if there is one; 0 if not, and nothing is stored; or a negative errno; shimsup_message tells more.
/// Errors: -EINVAL for a host that is NULL; -EBUSY if another thread uses the host.
/// Threads and signals: one thread at a time; not in a signal handler.
/// Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shimhost_failure(
    host: *const Host,
    index: usize,
    program: *mut *const c_char,
    pid: *mut u32,
    text: *mut *const c_char,
) -> c_int {
    let (program, text) = (Some(program), Some(text));
    let places = Places { program, text, pid: Some(pid), ..Places::default() };
    // SAFETY: the caller's: NULL or a host, and NULL or places.
    answer_with("shimhost_failure", unsafe { walk(host, index, &FAILURES, places) })
}

/// A program that made no call for so long that it was preempted, by which the run does not repeat.
///
/// Ask for the indices 0, 1, ... until there is none; the index 0 takes the list as it is then. See
/// shimhost_config_set_watchdog.
///
/// host: as shimhost_new made it.
/// index: which one.
/// program: where the program's name goes; NULL if nobody wants it.
/// count: where it goes how often it was preempted; NULL if nobody wants it.
/// Ownership: the text is the library's, and valid until the next call with this host.
/// Returns: 1 if there is one; 0 if not, and nothing is stored; or a negative errno; shimsup_message tells more.
/// Errors: -EINVAL for a host that is NULL; -EBUSY if another thread uses the host.
/// Threads and signals: one thread at a time; not in a signal handler.
/// Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shimhost_preemption(
    host: *const Host,
    index: usize,
    program: *mut *const c_char,
    count: *mut u64,
) -> c_int {
    let places = Places { program: Some(program), count: Some(count), ..Places::default() };
    // SAFETY: the caller's: NULL or a host, and NULL or places.
    answer_with("shimhost_preemption", unsafe { walk(host, index, &PREEMPTIONS, places) })
}

/// A process that has not ended, and the system calls in which its threads wait.
///
/// Ask for the indices 0, 1, ... until there is none; the index 0 takes the list as it is then. Processes that guests made are
/// listed, too.
///
/// host: as shimhost_new made it.
/// index: which one.
/// program: where the program's name goes; NULL if nobody wants it.
/// pid: where its virtual process id goes; NULL if nobody wants it.
/// calls: where the names of the system calls go, each once, with "and" between them; NULL if nobody wants them.
/// Ownership: the texts are the library's, and valid until the next call with this host.
/// Returns: 1 if there is one; 0 if not, and nothing is stored; or a negative errno; shimsup_message tells more.
/// Errors: -EINVAL for a host that is NULL; -EBUSY if another thread uses the host.
/// Threads and signals: one thread at a time; not in a signal handler.
/// Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shimhost_waiting(
    host: *const Host,
    index: usize,
    program: *mut *const c_char,
    pid: *mut u32,
    calls: *mut *const c_char,
) -> c_int {
    let (program, text) = (Some(program), Some(calls));
    let places = Places { program, text, pid: Some(pid), ..Places::default() };
    // SAFETY: the caller's: NULL or a host, and NULL or places.
    answer_with("shimhost_waiting", unsafe { walk(host, index, &WAITING, places) })
}

/// A file that guests opened for writing. Where two hosts have the same one, they share it behind the network's back.
///
/// Ask for the indices 0, 1, ... until there is none; the index 0 takes the list as it is then. The list has room for the first
/// few thousand paths.
///
/// host: as shimhost_new made it.
/// index: which one.
/// path: where its path goes; NULL if nobody wants it.
/// Ownership: the text is the library's, and valid until the next call with this host.
/// Returns: 1 if there is one; 0 if not, and nothing is stored; or a negative errno; shimsup_message tells more.
/// Errors: -EINVAL for a host that is NULL; -EBUSY if another thread uses the host.
/// Threads and signals: one thread at a time; not in a signal handler.
/// Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shimhost_written_file(
    host: *const Host,
    index: usize,
    path: *mut *const c_char,
) -> c_int {
    let places = Places { text: Some(path), ..Places::default() };
    // SAFETY: the caller's: NULL or a host, and NULL or places.
    answer_with("shimhost_written_file", unsafe { walk(host, index, &WRITTEN, places) })
}
