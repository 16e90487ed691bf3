//! Threads: what each has of its own, what they share and wait for, how they and their process end.
//!
//! Parts of small C programs come in; what they print natively and as guests is compared, through both C
//! libraries. Always true: every part is one run, so that one behaviour that is missing hides no other. The
//! futex call without a library is in `futexes.rs`.

#[path = "../src/boot/control_block.rs"]
mod control_block;

use std::time::Duration;

use shim_testkit::compare::as_shim_reports;
use shim_testkit::guest::compile_with;
use shim_testkit::{Libc, Run, Status, assert_same};

/// Some of the runs start thousands of threads.
const LIMIT: Duration = Duration::from_secs(120);

/// The same with both libraries; it ends like this and has shown this line natively.
#[track_caller]
fn assert_end(name: &str, arguments: &[&str], status: Status, line: &str) {
    for libc in Libc::ALL {
        let run = Run::native(compile_with(name, libc, &["-lm"])).args(arguments).limit(LIMIT);
        let native = assert_same(&run, &[]);
        assert_eq!(native.status, status, "{name} {arguments:?}: {native:?}");
        assert!(native.text().lines().any(|l| l == line), "{name} {arguments:?}: {native:?}");
    }
}

/// The same, for threads that compute while others wait for them: a guest is preempted, and the run says so.
#[track_caller]
fn assert_preempted(name: &str, part: &str, status: Status, line: &str) {
    for libc in Libc::ALL {
        let run = Run::native(compile_with(name, libc, &["-lm"])).args([part]);
        let native = run.clone().finish();
        let guest = run.as_guest(["--quiet", "--watchdog", "50ms"]).finish();
        assert_eq!(native.status, status, "{name} {part}: {native:?}");
        assert!(native.text().lines().any(|l| l == line), "{name} {part}: {native:?}");
        assert_eq!(guest.status, as_shim_reports(status), "{name} {part}: {guest:?}");
        assert_eq!(guest.text(), native.text(), "{name} {part}: {guest:?}");
        let remarks = String::from_utf8_lossy(&guest.stderr);
        assert!(remarks.lines().all(|l| l.contains("not reproducible")), "{guest:?}");
    }
}

#[track_caller]
fn assert_part(name: &str, part: &str, line: &str) {
    assert_end(name, &[part], Status::Code(0), line);
}

#[test]
fn half_a_pointer_is_no_id() {
    // A guest's control block in musl: self, dtv, two links, sysinfo, canary, then the id beside errno.
    let mut block = [0; control_block::WORDS];
    block[..4].fill(0x7fff_f7ff_db28);
    block[5] = 0x9d2c_5680_0000_7f00;
    for id in [1, 0x7fff, 0xf7ff_db28, 4_194_304] {
        block[6] = id | 12 << 32;
        assert_eq!(control_block::id_offset(&block, id as u32), Some(0x30), "{id:#x}");
    }
    block[6] = 0;
    assert_eq!(control_block::id_offset(&block, 0x7fff), None);
    // Older versions have one word more before it.
    block[7] = 4711;
    assert_eq!(control_block::id_offset(&block, 4711), Some(0x38));
}

#[test]
fn mutexes_of_every_kind() {
    assert_part("mutexes", "kinds", "unlock the free = 1");
    assert_part("mutexes", "contended", "handed over 0, 5");
}

#[test]
fn a_mutex_is_not_kept_from_who_waits() {
    assert_part("mutexes", "starving", "the greedy one = 0");
}

#[test]
fn mutexes_inherit_priorities() {
    assert_part("mutexes", "inherit", "protocol is set 1");
}

#[test]
fn robust_mutexes_outlive_their_owners() {
    assert_part("mutexes", "robust", "the owner has died = 130");
    assert_part("mutexes", "robust waiter", "the owner dies meanwhile = 130");
}

#[test]
fn processes_share_mutexes() {
    assert_part("mutexes", "processes", "the child dies meanwhile = 130");
}

#[test]
fn conditions_are_signalled() {
    assert_part("conds", "conditions", "monotonic timedwait = 110, in time");
}

#[test]
fn readers_share_and_writers_do_not() {
    assert_part("conds", "locks", "with a limit: 110110");
}

#[test]
fn threads_meet() {
    assert_part("conds", "barriers", "serial 3, wrong 0");
    assert_part("conds", "onces", "ran 1");
}

#[test]
fn semaphores_count() {
    assert_part("conds", "semaphores", "one more = -75");
}

#[test]
fn spin_locks_exclude() {
    assert_part("conds", "spins", "counted 4000");
}

#[test]
fn spinning_threads_let_others_run() {
    assert_preempted("conds", "spinning", Status::Code(0), "seen 1");
}

#[test]
fn processes_share_what_threads_wait_for() {
    assert_part("conds", "processes", "one of both: 1");
}

#[test]
fn threads_are_joined_and_detached() {
    assert_part("thread_life", "joins", "joined by another: 6");
    assert_part("thread_life", "stacks", "runs on it: 1");
}

#[test]
fn threads_have_data_of_their_own() {
    assert_part("thread_life", "specifics", "destroy again 13");
    assert_part("thread_life", "locals", "wrong 0, of the first 6, errno 77");
}

#[test]
fn threads_inherit_rounding_and_masks() {
    assert_part("thread_life", "rounding", "units 5f800b7f");
    assert_part("thread_life", "masks", "own 0 1");
}

#[test]
fn threads_have_numbers_and_names() {
    assert_part("thread_life", "baptisms", "without a name 0");
    assert_part("thread_life", "identities", "tgkill itself as a process = -3");
}

#[test]
fn threads_of_the_language() {
    assert_part("thread_life", "c11", "result 42");
}

#[test]
fn threads_are_cancelled_where_they_wait() {
    assert_part("cancels", "points", "pthread_cond_wait: cancel = 0, cancelled 1, cleaned 2");
    assert_part("cancels", "in a call", "cancelled 1");
}

#[test]
fn threads_are_cancelled_where_they_loop() {
    assert_preempted("cancels", "in a loop", Status::Code(0), "cancelled 1");
}

#[test]
fn cancellation_is_held_off_and_cleaned_up_after() {
    assert_part("cancels", "states", "not yet");
    assert_part("cancels", "handlers", "destroy 50");
}

#[test]
fn a_process_outlives_its_first_thread() {
    assert_part("thread_ends", "leader leaves", "it left with 5");
    assert_end("thread_ends", &["leader leaves, exit"], Status::Code(6), "exit");
}

#[test]
fn a_process_ends_with_all_its_threads() {
    assert_end("thread_ends", &["exit"], Status::Code(7), "at exit");
    assert_end("thread_ends", &["exit group"], Status::Code(8), "the thread ends all");
    assert_end("thread_ends", &["main returns"], Status::Code(3), "at exit");
}

#[test]
fn a_process_ends_beside_a_loop() {
    assert_preempted("thread_ends", "main returns beside a loop", Status::Code(3), "at exit");
}

#[test]
fn a_thread_kills_its_process() {
    assert_end("thread_ends", &["fault"], Status::Signal(11), "the thread faults");
    assert_end("thread_ends", &["abort"], Status::Signal(6), "the thread aborts");
    assert_end("thread_ends", &["kill"], Status::Signal(9), "the thread kills");
    let line = "the thread terminates the first";
    assert_end("thread_ends", &["terminate"], Status::Signal(15), line);
}

#[test]
fn a_thread_becomes_another_program() {
    assert_part("thread_ends", "exec", "the same process 1, its first thread 1");
    assert_part("thread_ends", "exec in first", "a new thread: 4");
    assert_part("thread_ends", "exec after first", "the same process 1, its first thread 1");
    assert_end("thread_ends", &["failed exec"], Status::Code(3), "all go on");
}

#[test]
fn a_thread_forks() {
    let line = "one thread 1, another process 1, local 2";
    assert_end("thread_ends", &["fork"], Status::Code(3), line);
    assert_end("thread_ends", &["wait elsewhere"], Status::Code(3), "only own ones = -10");
}

#[test]
fn signals_reach_one_thread() {
    assert_part("thread_signals", "to one", "thread 3 slept: -4");
    assert_part("thread_signals", "faults", "fault 11 in thread 3 at 30");
    assert_part("thread_signals", "stacks", "signal 10 in thread 1, on its stack 1");
}

#[test]
fn signals_reach_whoever_takes_them() {
    let line = "signal 10 in thread 2, code 0, value 0";
    assert_part("thread_signals", "to the process", line);
    assert_part("thread_signals", "pendings", "of the first 0 1");
    assert_part("thread_signals", "waited", "sent to the first = 10");
}

#[test]
fn signals_reach_threads_that_loop() {
    let line = "signal 14 in thread 2, code 128, value 0";
    assert_preempted("thread_signals", "looping", Status::Code(0), line);
}

#[test]
fn a_thousand_threads_at_once() {
    let line = "sum 499500, counted 499500, at the same time 1000, left 0";
    assert_end("thread_many", &["together", "1000"], Status::Code(0), line);
}

#[test]
fn ten_thousand_threads_in_turn() {
    let line = "takes more memory: 0, more of it is used: 0";
    assert_end("thread_many", &["in turn", "10000"], Status::Code(0), line);
}
