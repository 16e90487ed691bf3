//! The one thread that reads the launcher's reports.
//!
//! Reports in, changed states out. Always true: a guest's end is stored in its `Life` before the
//! launcher may reap it; this thread waits for nothing but the socket, so reports never pile up; it ends
//! when the launcher is gone, and then every guest is over. No signal of the embedding program is
//! handled in it: it was made with all of them blocked.

use std::os::fd::{AsFd, OwnedFd};

use rustix::net::{RecvFlags, recv};
use rustix::process::{WaitId, WaitIdOptions, waitid};

use super::wire::{MESSAGE_BYTES, Order, Report};
use super::{ExitStatus, LeftBehind, NativePid, Office, send_order};

/// Serve until the launcher is gone.
pub(super) fn watch(office: &Office) {
    loop {
        let mut bytes = [0; MESSAGE_BYTES];
        match recv(&office.socket, &mut bytes, RecvFlags::empty()) {
            Ok((0, _)) => break,
            Ok((len, _)) => match Report::from_bytes(&bytes[..len]) {
                Some(report) => take(office, report),
                None => break,
            },
            Err(rustix::io::Errno::INTR) => {}
            Err(_) => break,
        }
    }
    close(office);
    bury_launcher(&office.launcher);
}

fn take(office: &Office, report: Report) {
    let mut state = office.lock();
    let mut is_free = Vec::new();
    match report {
        Report::Ready { descriptor_limit, is_layout_fixed } => {
            state.offer = Some((descriptor_limit, is_layout_fixed));
        }
        Report::Spawned { pid } => {
            if let (Some(life), Some(pid)) = (state.candidate.take(), NativePid::new(pid)) {
                life.begin(pid);
                state.guests.insert(pid, life);
            }
            state.answer = Some(Ok(()));
        }
        Report::Failed { stage, errno } => state.answer = Some(Err((stage, errno))),
        Report::Ended { pid, code, status } => {
            let status = ExitStatus::from_wait(code, status);
            if let Some(pid) = NativePid::new(pid) {
                match state.guests.remove(&pid) {
                    Some(life) => life.finish(status),
                    None => is_free.extend(state.stranger_ended(pid, status)),
                }
                is_free.extend(state.take_never_born(office.launcher_pid));
            }
            // Whether it was one of ours or not: the launcher reports nothing else before this. If it
            // is gone, the next receive says so.
            let _ = send_order(&office.socket, Order::Bury { pid }, &[]);
        }
    }
    drop(state);
    drop(is_free);
    office.changed.notify_all();
    if let Report::Ended { .. } = report {
        office.bell.ring();
    }
}

/// No report will come any more.
fn close(office: &Office) {
    let mut state = office.lock();
    state.is_closed = true;
    let guests = std::mem::take(&mut state.guests);
    let left_behind = std::mem::take(&mut state.left_behind);
    drop(state);
    left_behind.iter().for_each(LeftBehind::abandon);
    office.changed.notify_all();
    for life in guests.values() {
        life.finish(ExitStatus::Lost);
    }
    office.bell.ring();
}

/// Wait for the launcher itself, which no ordinary wait of the embedding program does.
pub(super) fn bury_launcher(launcher: &OwnedFd) {
    let any_kind = WaitIdOptions::from_bits_retain(libc::__WALL as u32);
    let options = WaitIdOptions::EXITED | any_kind;
    while let Err(rustix::io::Errno::INTR) = waitid(WaitId::PidFd(launcher.as_fd()), options) {}
}
