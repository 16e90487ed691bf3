//! What can be done with a file now, and who is told when that changes.
//!
//! A file in, bits of poll(2) out; a change in, threads that look out. Always true: whoever changes what a file
//! is ready for calls [`Kernel::notify_file`] in the same breath, with the bits that it may have set.

use shim_abi::SimTime;

use super::table::{FileId, Object};
use crate::ids::VirtualTid;
use crate::kernel::Kernel;
use crate::waiters::Source;

/// Bits of `revents`, which epoll shares.
pub(crate) mod poll {
    pub(crate) const IN: u32 = 0x1;
    pub(crate) const PRI: u32 = 0x2;
    pub(crate) const OUT: u32 = 0x4;
    pub(crate) const ERR: u32 = 0x8;
    pub(crate) const HUP: u32 = 0x10;
    pub(crate) const NVAL: u32 = 0x20;
    pub(crate) const RDNORM: u32 = 0x40;
    pub(crate) const READ_BAND: u32 = 0x80;
    pub(crate) const WRNORM: u32 = 0x100;
    pub(crate) const WRITE_BAND: u32 = 0x200;
    /// The other side sends nothing more.
    pub(crate) const READ_HUP: u32 = 0x2000;
    /// There is something to read.
    pub(crate) const READ: u32 = IN | RDNORM;
    /// There is room to write.
    pub(crate) const WRITE: u32 = OUT | WRNORM;
    /// What a socket tells of when something has come.
    pub(crate) const INPUT: u32 = READ | PRI | READ_BAND;
    /// Anything may have changed.
    pub(crate) const ANY: u32 = u32::MAX;
}

impl Kernel {
    /// What can be done with a file at `now`, in the eyes of `tid`; nothing with one that is gone.
    pub(crate) fn readiness(&mut self, now: SimTime, id: FileId, tid: VirtualTid) -> u32 {
        self.expire_timer_file(now, id);
        let Ok(file) = self.files.get(id) else { return 0 };
        match &file.object {
            Object::Pipe(end) => self.files.pipes.readiness(*end),
            Object::Event(event) => event.readiness(),
            Object::Watches(watches) => watches.readiness(),
            &Object::Queue { queue, .. } => self.queue_readiness(queue),
            Object::Epoll(_) => self.epoll_readiness(now, id, tid),
            Object::Timer(timer) => timer.readiness(),
            &Object::Signals(set) => self.signals_readiness(set, tid),
            &Object::Socket(socket) => self.sockets.readiness(socket),
            &Object::Task(task) => self.task_readiness(task),
        }
    }

    /// What a file is ready for has changed at `now`, `bits` of it.
    pub(crate) fn notify_file(&mut self, now: SimTime, id: FileId, bits: u32) {
        self.notify(now, Source::File(id));
        self.tell_watchers(now, id, bits);
    }
}
