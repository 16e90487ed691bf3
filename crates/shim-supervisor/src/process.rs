//! What the threads of a guest's process have in common: its block, its life, and whose children they are.
//!
//! A [`Life`] and a [`ProcessSlot`] in; dropped with the last of the threads. Always true: the block is used again
//! only when the process is known to be dead, or known never to have been; a process of which neither is known is
//! left behind: its channel is closed, upon which it ends by itself, and its blocks are free when that is
//! reported. What a single thread does is `guest`.

use std::sync::Arc;
use std::time::Duration;

use crate::channel;
use crate::launcher::Office;
use crate::life::Life;
use crate::slots::{ProcessSlot, ThreadSlot};
use crate::views::View;

/// How long a dropped guest is given to die. SIGKILL takes longer only if a device hangs.
const FAREWELL: Duration = Duration::from_secs(3);

/// One process of a host.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) life: Arc<Life>,
    pub(crate) slot: ProcessSlot,
    pub(crate) office: Arc<Office>,
    /// What it sees of the file system, if not what the simulator sees.
    pub(crate) view: Option<Arc<View>>,
}

/// Blocks of a process that may exist or not: the guest that was to make it died meanwhile.
#[derive(Debug)]
pub(crate) struct LeftBehind {
    pub(crate) process: Arc<Process>,
    thread: ThreadSlot,
    /// Who was to make it.
    maker: Option<Arc<Life>>,
}

impl Process {
    /// Kill it natively and wait until it is dead; whether it is.
    pub(crate) fn end(&self) -> bool {
        self.life.kill();
        let is_dead = self.life.wait_end_for(FAREWELL);
        if !is_dead {
            // It may still write to its block.
            self.slot.abandon();
        }
        is_dead
    }

    /// Give up a process that perhaps was never made.
    pub(crate) fn leave_behind(
        process: &Arc<Process>,
        thread: ThreadSlot,
        maker: Option<Arc<Life>>,
    ) {
        channel::close(&thread.block().channel.control);
        let office = process.office.clone();
        office.leave_behind(LeftBehind { process: process.clone(), thread, maker });
    }
}

impl LeftBehind {
    /// The native process id, as the process says itself; 0 if it never came to say it.
    pub(crate) fn native_pid(&self) -> u32 {
        self.process.slot.block().native_pid.load(std::sync::atomic::Ordering::Acquire)
    }

    /// Whether nobody can make it any more.
    pub(crate) fn is_maker_dead(&self) -> bool {
        self.maker.as_ref().is_none_or(|maker| maker.is_over())
    }

    /// Never use its blocks again: nobody will hear of its end.
    pub(crate) fn abandon(&self) {
        self.process.slot.abandon();
        self.thread.abandon();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Usually one of the threads has seen to it.
        if self.life.pid().is_some() && self.life.end().is_none() {
            self.end();
        }
    }
}
