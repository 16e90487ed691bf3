//! Signals for I/O: who gets SIGIO when a file with O_ASYNC is ready for something.
//!
//! Commands of `fcntl` and changes in, signals out. Always true: only pipes and sockets send, because nothing else that
//! is virtual does on Linux; the receiver is a process, a thread or a group that was there when it was named.

use alloc::vec::Vec;

use shim_abi::event::SignalInfo;
use shim_abi::{Errno, SimTime};

use super::readiness::poll;
use super::table::FileId;
use crate::context::{Answer, Context, done};
use crate::ids::{VirtualPid, VirtualTid};
use crate::kernel::Kernel;
use crate::signal::Target;

/// F_OWNER_TID, F_OWNER_PID, F_OWNER_PGRP.
const THREAD: u32 = 0;
pub(super) const PROCESS: u32 = 1;
pub(super) const GROUP: u32 = 2;

/// The receiver of SIGIO that a file's user has named.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Owner {
    pub(super) kind: u32,
    pub(super) id: u32,
    /// Which signal, with a description; 0: SIGIO, without.
    pub(super) signal: u32,
    /// The descriptor through which O_ASYNC was set.
    pub(super) fd: u32,
}

/// Why a signal is sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum IoReason {
    /// Something can be read, or nothing will come any more.
    Input,
    /// Something can be written.
    Room,
    /// The other side is gone.
    End,
}

impl Context<'_> {
    /// F_SETOWN and F_SETOWN_EX.
    pub(super) fn set_owner(&mut self, id: FileId, kind: u32, number: u32) -> Answer {
        let is_there = match kind {
            _ if kind > GROUP => return Err(Errno::EINVAL),
            _ if number == 0 => true,
            GROUP => {
                let mut processes = self.kernel.processes.values();
                processes.any(|process| process.group == VirtualPid(number))
            }
            _ => self.find_thread(number as i32).is_ok(),
        };
        if !is_there {
            return Err(Errno::ESRCH);
        }
        let owner = &mut self.kernel.files.get_mut(id)?.owner;
        (owner.kind, owner.id) = (kind, number);
        done(0)
    }
}

impl Kernel {
    /// A file may be ready for something: signal its owner, if it is to know.
    pub(crate) fn send_io_signal(&mut self, now: SimTime, id: FileId, reason: IoReason) {
        let Ok(file) = self.files.get(id) else { return };
        if file.status_flags & libc::O_ASYNC as u32 == 0 || file.owner.id == 0 {
            return;
        }
        let owner = file.owner;
        for target in self.owners(owner) {
            let signal = owner.info(reason);
            if signal.is_none_or(|info| self.queue_signal(now, target, info).is_err()) {
                // Also where the queue is full; without a description it always fits.
                let signal = libc::SIGIO as u32;
                let plain = SignalInfo { signal, code: libc::SI_KERNEL, ..SignalInfo::default() };
                let _ = self.queue_signal(now, target, plain);
            }
        }
    }

    /// Urgent data has come: signal the owner of the file, whatever else it is to know.
    pub(crate) fn send_urgent_signal(&mut self, now: SimTime, id: FileId) {
        let Ok(owner) = self.files.get(id).map(|file| file.owner) else { return };
        if owner.id == 0 {
            return;
        }
        let (signal, code) = (libc::SIGURG as u32, libc::SI_KERNEL);
        for target in self.owners(owner) {
            // An ordinary signal always finds room.
            let _ = self.queue_signal(
                now,
                target,
                SignalInfo { signal, code, ..SignalInfo::default() },
            );
        }
    }

    fn owners(&self, owner: Owner) -> Vec<Target> {
        let pid = VirtualPid(owner.id);
        let mut targets = match owner.kind {
            THREAD => [Target::Thread(VirtualTid(owner.id))].into(),
            PROCESS => [Target::Process(pid)].into(),
            _ => {
                let members = self.processes_where(|process| process.group == pid);
                members.into_iter().map(Target::Process).collect::<Vec<_>>()
            }
        };
        // The machine's first process is not the user's.
        let first = VirtualPid::INIT;
        targets.retain(|target| {
            *target != Target::Process(first) && *target != Target::Thread(first.leader())
        });
        targets
    }
}

impl Owner {
    /// The signal that was chosen, with its description.
    fn info(self, reason: IoReason) -> Option<SignalInfo> {
        const SI_SIGIO: i32 = -5;
        const POLL_IN: i32 = 1;
        const POLL_OUT: i32 = 2;
        const POLL_HUP: i32 = 6;
        let (reason, band) = match reason {
            IoReason::Input => (POLL_IN, poll::READ),
            IoReason::Room => (POLL_OUT, poll::WRITE | poll::WRITE_BAND),
            IoReason::End => (POLL_HUP, poll::HUP | poll::ERR),
        };
        let code = match self.signal as i32 {
            0 => return None,
            // Their codes mean something else.
            libc::SIGILL
            | libc::SIGFPE
            | libc::SIGSEGV
            | libc::SIGBUS
            | libc::SIGTRAP
            | libc::SIGCHLD
            | libc::SIGSYS => SI_SIGIO,
            _ => reason,
        };
        // Where others have the sender is `si_band`.
        let (signal, pid, value) = (self.signal, band, self.fd.into());
        Some(SignalInfo { signal, code, pid, value, ..SignalInfo::default() })
    }
}

#[cfg(test)]
mod tests {
    use crate::file::testing::{Machine, bench, call};
    use crate::testing::DATA;
    use crate::{SignalOutcome, VirtualPid};
    use shim_abi::SimTime;
    use shim_abi::calls::nr;
    use shim_abi::event::SignalInfo;

    const SETFL: u64 = libc::F_SETFL as u64;
    const SETOWN: u64 = libc::F_SETOWN as u64;
    const SETSIG: u64 = 10;
    const ASYNC: u64 = libc::O_ASYNC as u64;

    fn take((kernel, guest, tid): &mut Machine) -> Option<SignalInfo> {
        match kernel.take_signal(SimTime::ZERO, *tid, guest) {
            SignalOutcome::Deliver(info) => Some(info),
            _ => None,
        }
    }

    /// A machine whose process handles SIGIO and 34.
    fn handling() -> Machine {
        let mut machine = bench();
        machine.1.actions.extend([(29, 0x1234), (34, 0x1234)]);
        machine
    }

    #[test]
    fn a_reader_that_asks_is_signalled_of_every_write() {
        let mut machine = handling();
        assert_eq!(call(&mut machine, nr::fcntl, [3, SETFL, ASYNC, 0]), 0);
        assert_eq!(call(&mut machine, nr::write, [4, DATA, 1, 0]), 1);
        assert_eq!(take(&mut machine), None, "nobody to signal");
        call(&mut machine, nr::fcntl, [3, SETOWN, 1000, 0]);
        call(&mut machine, nr::write, [4, DATA, 1, 0]);
        let info = take(&mut machine).unwrap();
        assert_eq!((info.signal, info.code, info.pid), (29, libc::SI_KERNEL, 0));
        call(&mut machine, nr::fcntl, [3, SETSIG, 34, 0]);
        call(&mut machine, nr::write, [4, DATA, 1, 0]);
        call(&mut machine, nr::write, [4, DATA, 1, 0]);
        for _ in 0..2 {
            let info = take(&mut machine).unwrap();
            assert_eq!((info.signal, info.code, info.pid, info.value), (34, 1, 65, 3));
        }
        assert_eq!(take(&mut machine), None);
    }

    #[test]
    fn a_writer_is_signalled_of_every_read_and_of_the_end() {
        let mut machine = handling();
        for (command, argument) in [(SETFL, ASYNC), (SETOWN, 1000), (SETSIG, 34)] {
            call(&mut machine, nr::fcntl, [4, command, argument, 0]);
        }
        call(&mut machine, nr::write, [4, DATA, 9, 0]);
        assert_eq!(take(&mut machine), None);
        call(&mut machine, nr::read, [3, DATA, 1, 0]);
        let info = take(&mut machine).unwrap();
        assert_eq!((info.code, info.pid, info.value), (2, 772, 4));
        call(&mut machine, nr::close, [3, 0, 0, 0]);
        assert_eq!(take(&mut machine).unwrap().code, 2);
    }

    #[test]
    fn groups_and_threads_are_reached_and_the_first_process_is_not() {
        let mut machine = handling();
        call(&mut machine, nr::fcntl, [3, SETFL, ASYNC, 0]);
        let child = machine.0.fork(machine.2, 0, &mut machine.1);
        let mut pending = |owner: i64| {
            call(&mut machine, nr::fcntl, [3, SETOWN, owner as u64, 0]);
            call(&mut machine, nr::write, [4, DATA, 1, 0]);
            let pending = [machine.2, child].map(|tid| machine.0.pending(tid) != 0);
            for pid in [machine.2, child].map(|tid| VirtualPid(tid.0)) {
                machine.0.processes.get_mut(&pid).unwrap().pending = Default::default();
            }
            pending
        };
        assert_eq!(pending(0), [false, false]);
        assert_eq!(pending(-1000), [true, true]);
        assert_eq!(pending(child.0.into()), [false, true]);
        assert_eq!(pending(1), [false, false]);
    }
}
