//! How a guest makes another one: a thread, or a process.
//!
//! An identity in, a [`Guest`] that waits for its first reply out. Always true: a new guest's blocks are filled
//! before the guest that makes it hears of them, and its channel says from the first moment that the simulator has
//! control; a process is believed to be the guest's new one only if it is a child of the launcher's that nobody
//! knows yet, so whatever a guest alleges, no other process is ever taken for a guest. Reports of ends that come
//! before the guest has told of a birth are kept by `launcher::nursery`.
//!
//! The order is: [`Guest::add_thread`] or [`Guest::add_process`], then [`Guest::make`], then, when it is its turn,
//! a [`Reply::Started`] to the new guest.

use std::num::NonZeroI32;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use shim_abi::Errno;
use shim_abi::event::{Reply, Request};

use crate::channel;
use crate::guest::{Ended, Guest, Stage};
use crate::launcher::SpawnError;
use crate::life::Life;
use crate::process::Process;
use crate::settings::Identity;
use crate::slots::{ProcessSlot, ThreadSlot};

impl Guest {
    /// Blocks for a further thread of this guest's process, with this virtual id.
    pub fn add_thread(&self, tid: u32) -> Result<Guest, SpawnError> {
        let life = &self.process.life;
        let thread = ThreadSlot::allocate(life.memory()).ok_or(SpawnError::TooMany)?;
        thread.block().tid.store(tid, Relaxed);
        thread.block().process_index.store(self.process_index(), Relaxed);
        channel::begin_with_control(&thread.block().channel.control);
        life.add_thread(thread.index());
        Ok(self.unborn(self.process.clone(), thread))
    }

    /// Blocks for a process that this guest will make, and for its first thread.
    pub fn add_process(&self, identity: &Identity) -> Result<Guest, SpawnError> {
        let memory = self.process.life.memory();
        let slot = ProcessSlot::allocate(memory).ok_or(SpawnError::TooMany)?;
        let thread = ThreadSlot::allocate(memory).ok_or(SpawnError::TooMany)?;
        identity.store(slot.block(), thread.block(), slot.index());
        channel::begin_with_control(&thread.block().channel.control);
        let life = Arc::new(Life::new(memory.clone(), slot.index()));
        life.add_thread(thread.index());
        let office = self.process.office.clone();
        office.expect();
        let view = self.process.view.clone();
        let mut child = self.unborn(Arc::new(Process { life, slot, office, view }), thread);
        child.maker = Some(self.process.life.clone());
        Ok(child)
    }

    /// Have this guest, which waits for a reply, make `child` natively, and wait until it has. If it could not, the
    /// result is the errno, and the child is gone; if this guest ended or broke the protocol meanwhile, the child
    /// ends as well. Afterwards this guest still waits for its reply, and the child for its first one.
    pub fn make(&mut self, child: &mut Guest) -> Result<Result<(), Errno>, Ended> {
        if !self.has_control {
            return Err(Ended);
        }
        let _ = self.memory().flush();
        self.incoming.clear();
        let reply = Reply::AddThread {
            process_index: child.process_index(),
            thread_index: child.thread_index(),
        };
        let Request::AddThreadRes { result } = self.converse(reply)? else {
            self.break_off();
            return Err(Ended);
        };
        if let Some(errno) = Errno::from_return(result) {
            child.fail();
            return Ok(Err(errno));
        }
        if child.begin(result) {
            return Ok(Ok(()));
        }
        self.break_off();
        Err(Ended)
    }

    /// It was made: this is its native id. Whether that can be.
    fn begin(&mut self, native_id: i64) -> bool {
        let pid = i32::try_from(native_id).ok().and_then(NonZeroI32::new).filter(|id| id.get() > 0);
        let Some(pid) = pid else { return false };
        let is_process = self.process.life.pid().is_none();
        if is_process && !self.process.office.adopt(&self.process.life, pid) {
            return false;
        }
        self.stage = Stage::Alive;
        self.maker = None;
        true
    }

    /// It was not made.
    fn fail(&mut self) {
        if self.stage == Stage::Unborn && self.process.life.pid().is_none() {
            self.process.office.expect_no_more();
        }
        self.stage = Stage::Gone;
    }

    /// The thread has ended, and its process goes on, or ends on its own: its block may be used again. To be called
    /// when nothing of it will touch the block any more: after its last message, or when another image has taken
    /// the place of its process's. Writes that were to go with its next reply are lost, if they were not flushed.
    pub fn forget(mut self) {
        if self.stage == Stage::Unborn {
            self.fail();
        }
        self.stage = Stage::Gone;
    }
}
