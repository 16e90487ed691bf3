//! The embedding program does not notice that it has a launcher and guests. One test, because it looks
//! at what belongs to the whole process.
//!
//! # Safety
//!
//! Unsafe here: a signal handler that counts, and process ids passed to the C library.
#![allow(unsafe_code)]

mod common;

use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;

use common::{command, end, exists, identity, launcher_pid, library, memory};
use shim_supervisor::{ExitStatus, Launcher};

static DEATHS_HEARD: AtomicU32 = AtomicU32::new(0);

extern "C" fn hear_death(_: libc::c_int) {
    DEATHS_HEARD.fetch_add(1, Relaxed);
}

/// errno of waitpid(-1), which must fail.
fn wait_for_anybody(options: libc::c_int) -> Option<i32> {
    // SAFETY: no status is asked for.
    let result = unsafe { libc::waitpid(-1, std::ptr::null_mut(), options | libc::WNOHANG) };
    assert_eq!(result, -1);
    std::io::Error::last_os_error().raw_os_error()
}

fn limits() -> Vec<String> {
    std::fs::read_to_string("/proc/self/limits").unwrap().lines().map(str::to_owned).collect()
}

fn watcher_mask() -> Option<u64> {
    for task in std::fs::read_dir("/proc/self/task").unwrap().flatten() {
        let status = std::fs::read_to_string(task.path().join("status")).unwrap();
        if status.starts_with("Name:\tshim-watcher") {
            let mask = status.lines().find_map(|line| line.strip_prefix("SigBlk:"))?;
            return u64::from_str_radix(mask.trim(), 16).ok();
        }
    }
    None
}

#[test]
fn children_signals_limits_threads_and_descriptors_are_the_embedders_own() {
    library();
    let handler = hear_death as *const () as usize;
    // SAFETY: the handler only adds to a static.
    unsafe { libc::signal(libc::SIGCHLD, handler) };
    let limits_before = limits();
    let descriptors = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    let descriptors_before = descriptors();

    let launcher = Launcher::start().unwrap();
    let pids = launcher_pid();
    assert_eq!(pids.len(), 1, "the launcher is our child, and there is one");
    let mut asleep =
        launcher.spawn(&memory(), &command(&["/bin/sleep", "60"]), &identity()).unwrap();
    for _ in 0..5 {
        let mut guest = launcher.spawn(&memory(), &command(&["/bin/true"]), &identity()).unwrap();
        assert_eq!(end(&mut guest), ExitStatus::Code(0));
        assert_eq!(wait_for_anybody(0), Some(libc::ECHILD));
    }
    assert_eq!(limits(), limits_before);
    // All but the two that libc reserves, SIGKILL and SIGSTOP.
    assert_eq!(watcher_mask(), Some(!(0b11 << 31) & !(1 << 8) & !(1 << 18)));
    asleep.kill();
    end(&mut asleep);
    drop(asleep);

    drop(launcher);
    assert!(!exists(pids[0]));
    assert_eq!(wait_for_anybody(0), Some(libc::ECHILD));
    assert_eq!(wait_for_anybody(libc::__WALL), Some(libc::ECHILD), "not even a hidden child");
    assert_eq!(watcher_mask(), None, "the thread is gone");
    assert_eq!(descriptors(), descriptors_before);
    assert_eq!(DEATHS_HEARD.load(Relaxed), 0);
}
