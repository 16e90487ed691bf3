//! Bytes between guest memory and a pipe: `read`, `write`, and the two directions of `vmsplice`.
//!
//! A transfer in, its progress out. Always true: what is moved is told to the other side before the call ends or
//! waits; nobody reads what has no reader: SIGPIPE and EPIPE. Where memory is bad, whole pages before it are moved.

use shim_abi::Errno;

use super::ring::{Kind, PAGE_BYTES, Page};
use super::{PipeEnd, PipeId};
use crate::context::Context;
use crate::file::readiness::poll;
use crate::file::table::FileId;
use crate::file::transfer::{CHUNK_BYTES, Progress, Transfer};

impl Context<'_> {
    pub(in crate::file) fn read_pipe(&mut self, end: PipeEnd, transfer: &mut Transfer) -> Progress {
        if transfer.left() == 0 {
            return Ok(Some(0));
        }
        let pipe = self.kernel.files.pipes.get_mut(end.pipe)?;
        let has_writer = !pipe.writers.is_empty();
        let mut frees_a_full_one = false;
        let mut fault = None;
        let mut is_over = false;
        while !is_over && fault.is_none() && transfer.left() > 0 && !pipe.ring.is_empty() {
            if let Some(bytes) = pipe.ring.first(transfer.left()) {
                let length = bytes.len();
                match transfer.store(self.guest, bytes) {
                    Ok(()) => {
                        let was_full = pipe.ring.is_full();
                        is_over = pipe.ring.take(length);
                        frees_a_full_one |= was_full && !pipe.ring.is_full();
                    }
                    Err(errno) => fault = Some(errno),
                }
                continue;
            }
            let (bytes, lengths) = pipe.ring.peek(transfer.left().min(CHUNK_BYTES));
            // Where the chunk cannot be stored, its first pages may be.
            let is_stored = transfer.store(self.guest, &bytes).is_ok();
            let mut at = 0;
            for length in lengths {
                let page = bytes.get(at..at + length).unwrap_or_default();
                at += length;
                if !is_stored && let Err(errno) = transfer.store(self.guest, page) {
                    fault = Some(errno);
                    break;
                }
                let was_full = pipe.ring.is_full();
                is_over = pipe.ring.take(length);
                frees_a_full_one |= was_full && !pipe.ring.is_full();
            }
        }
        if frees_a_full_one {
            self.kernel.notify_writers(self.now, end.pipe, poll::WRITE);
        }
        if transfer.moved > 0 || !has_writer {
            self.kernel.signal_writers(self.now, end.pipe);
        }
        match fault {
            Some(errno) => transfer.end_with(errno),
            None if transfer.moved > 0 || !has_writer => Ok(Some(transfer.moved)),
            None => Ok(None),
        }
    }

    pub(in crate::file) fn write_pipe(
        &mut self,
        id: FileId,
        end: PipeEnd,
        transfer: &mut Transfer,
    ) -> Progress {
        if transfer.left() == 0 {
            return Ok(Some(0));
        }
        let file = self.kernel.files.get(id)?;
        let is_packet = file.status_flags & libc::O_DIRECT as u32 != 0;
        let is_nonblocking = file.is_nonblocking();
        if let Err(errno) = self.check_readers(end.pipe) {
            return transfer.end_with(errno);
        }
        let moved = transfer.moved;
        let progress = self.fill_pipe(end, is_packet, transfer);
        // Linux tells readers of a write that found no room, too, if it did not wait for it.
        if transfer.moved > moved || is_nonblocking {
            self.kernel.tell_readers(self.now, end.pipe, poll::READ);
        }
        progress
    }

    /// Write as much as there is room for.
    fn fill_pipe(&mut self, end: PipeEnd, is_packet: bool, transfer: &mut Transfer) -> Progress {
        let ring = &mut self.kernel.files.pipes.get_mut(end.pipe)?.ring;
        let odd = transfer.left() % PAGE_BYTES;
        if odd > 0 && !transfer.has_waited && ring.can_append(odd) {
            let bytes = transfer.fetch(self.guest, odd, odd)?;
            ring.append(&bytes);
        }
        while transfer.left() > 0 {
            if ring.is_full() {
                return Ok(None);
            }
            let len = transfer.left().min(PAGE_BYTES);
            let soon = transfer.left().min(ring.free().saturating_mul(PAGE_BYTES));
            match transfer.fetch(self.guest, len, soon) {
                Ok(bytes) => {
                    let kind = if is_packet { Kind::Packet } else { Kind::Open };
                    ring.push(Page::new(bytes, kind));
                }
                Err(errno) => return transfer.end_with(errno),
            }
        }
        Ok(Some(transfer.moved))
    }

    /// `vmsplice` to a pipe: each page of memory becomes one of the pipe's, as far as there is room; it waits
    /// only for the first.
    pub(super) fn map_into_pipe(&mut self, end: PipeEnd, transfer: &mut Transfer) -> Progress {
        self.check_readers(end.pipe)?;
        let ring = &mut self.kernel.files.pipes.get_mut(end.pipe)?.ring;
        if ring.is_full() {
            return Ok(None);
        }
        let mut fault = None;
        while transfer.left() > 0 && !ring.is_full() {
            let (at, left) = transfer.next_segment();
            let to_page_end = PAGE_BYTES - at as usize % PAGE_BYTES;
            let len = to_page_end.min(left as usize);
            let soon = transfer.left().min(ring.free().saturating_mul(PAGE_BYTES));
            match transfer.fetch(self.guest, len, soon) {
                Ok(bytes) => ring.push(Page::new(bytes, Kind::Closed)),
                Err(errno) => {
                    fault = Some(errno);
                    break;
                }
            }
        }
        if transfer.moved > 0 {
            self.kernel.tell_readers(self.now, end.pipe, poll::ANY);
        }
        match fault {
            Some(errno) => transfer.end_with(errno),
            None => Ok(Some(transfer.moved)),
        }
    }

    /// EPIPE and SIGPIPE if nobody reads what the caller is about to write.
    pub(super) fn check_readers(&mut self, pipe: PipeId) -> Result<(), Errno> {
        if !self.kernel.files.pipes.get(pipe)?.readers.is_empty() {
            return Ok(());
        }
        self.raise_sigpipe();
        Err(Errno::EPIPE)
    }
}
