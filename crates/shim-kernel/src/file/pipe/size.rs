//! How much a pipe takes: the default, F_GETPIPE_SZ, F_SETPIPE_SZ.
//!
//! Bytes in, a power of two of pages out. Always true: users have no privileges, so a pipe has a largest size, and
//! all pipes of the host's one user together have a limit, beyond which new ones are small; shrinking is always
//! allowed, but nothing is lost by it.

use shim_abi::Errno;

use super::PipeEnd;
use super::ring::PAGE_BYTES;
use crate::context::Context;
use crate::file::readiness::poll;

/// Pages that a new pipe takes.
const DEFAULT_PAGES: usize = 16;
/// The same when the user has too many.
const FEW_PAGES: usize = 2;
/// How large a user may make a pipe.
const MAX_BYTES: u32 = 1 << 20;
/// How many pages a user's pipes have together before new ones are small.
pub(super) const USER_PAGES: usize = 16_384;

/// The capacity of a new pipe if the others have so many pages.
pub(super) fn of_new(pages: usize) -> usize {
    if pages + DEFAULT_PAGES > USER_PAGES { FEW_PAGES } else { DEFAULT_PAGES }
}

impl Context<'_> {
    /// F_GETPIPE_SZ.
    pub(in crate::file) fn pipe_size(&self, end: PipeEnd) -> Result<i64, Errno> {
        let pipe = self.kernel.files.pipes.get(end.pipe)?;
        Ok((pipe.ring.capacity * PAGE_BYTES) as i64)
    }

    /// F_SETPIPE_SZ.
    pub(in crate::file) fn set_pipe_size(
        &mut self,
        end: PipeEnd,
        bytes: u32,
    ) -> Result<i64, Errno> {
        const LIMIT_BYTES: u32 = 1 << 31;
        if bytes > LIMIT_BYTES {
            return Err(Errno::EINVAL);
        }
        let size = bytes.max(PAGE_BYTES as u32).next_power_of_two();
        let pages = size as usize / PAGE_BYTES;
        let pipes = &mut self.kernel.files.pipes;
        let ring = &pipes.get(end.pipe)?.ring;
        let (old, used) = (ring.capacity, ring.len());
        let all_pages = pipes.pages - old + pages;
        if pages > old && (size > MAX_BYTES || all_pages > USER_PAGES) {
            return Err(Errno::EPERM);
        }
        if pages < used {
            return Err(Errno::EBUSY);
        }
        pipes.get_mut(end.pipe)?.ring.capacity = pages;
        pipes.pages = all_pages;
        self.kernel.notify_writers(self.now, end.pipe, poll::ANY);
        Ok(i64::from(size))
    }
}
