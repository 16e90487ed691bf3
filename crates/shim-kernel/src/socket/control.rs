//! Control messages: what goes with a message's bytes, see cmsg(3).
//!
//! Memory in, baggage out, and back. Always true: a sender's list is checked as Linux checks it, and what it says is
//! true; a receiver's memory is filled as far as it reaches, and MSG_CTRUNC says that something is missing.

use shim_abi::Errno;

use super::exchange::{Baggage, Note};
use super::unix::Credentials;
use crate::context::Context;
use crate::guest::{Guest, GuestAddr};
use crate::memory::{u32_at, u64_at};

/// Bytes of a `struct cmsghdr`.
pub(super) const HEADER_BYTES: usize = 16;
/// No sender's list is longer.
const MAX_BYTES: u64 = 131_072;
/// Bytes of a `struct ucred`.
const CREDENTIALS_BYTES: usize = 12;

impl Context<'_> {
    /// What a sender's control messages say; nothing is kept if they are wrong. `has_files`: the shim has sent native
    /// ones.
    pub(super) fn read_control(
        &mut self,
        at: GuestAddr,
        bytes: u64,
        has_files: bool,
    ) -> Result<Baggage, Errno> {
        if bytes > MAX_BYTES {
            return Err(Errno::ENOBUFS);
        }
        let mut list = alloc::vec![0; bytes as usize];
        if bytes > 0 {
            self.guest.read(at, &mut list)?;
        }
        let mut baggage = Baggage::default();
        let read = self.read_list(&list, has_files, &mut baggage);
        if read.is_err() {
            self.kernel.drop_rights(self.now, core::mem::take(&mut baggage.rights));
        }
        read.map(|()| baggage)
    }

    fn read_list(
        &mut self,
        list: &[u8],
        has_files: bool,
        baggage: &mut Baggage,
    ) -> Result<(), Errno> {
        let mut rest = list;
        if list.len() < HEADER_BYTES {
            return Ok(());
        }
        while !rest.is_empty() {
            let len = usize::try_from(u64_at(rest, 0)).unwrap_or(usize::MAX);
            if rest.len() < HEADER_BYTES || len < HEADER_BYTES || len > rest.len() {
                return Err(Errno::EINVAL);
            }
            let (level, kind) = (u32_at(rest, 8) as i32, u32_at(rest, 12) as i32);
            let data = rest.get(HEADER_BYTES..len).unwrap_or_default();
            match kind {
                _ if matches!(level, libc::IPPROTO_IP | libc::IPPROTO_IPV6 | libc::IPPROTO_UDP) => {
                    baggage.notes.push(Note { level, kind, data: data.to_vec() });
                }
                _ if level != libc::SOL_SOCKET => {}
                libc::SCM_RIGHTS => self.read_rights(data, has_files, &mut baggage.rights)?,
                libc::SCM_CREDENTIALS => {
                    baggage.credentials = Some(self.read_credentials(data)?);
                }
                _ => return Err(Errno::EINVAL),
            }
            rest = rest.get(len.next_multiple_of(8)..).unwrap_or_default();
        }
        Ok(())
    }

    /// Who a sender says it is: only what is true, or, from user 0, whoever exists.
    fn read_credentials(&self, data: &[u8]) -> Result<Credentials, Errno> {
        if data.len() != CREDENTIALS_BYTES {
            return Err(Errno::EINVAL);
        }
        let [pid, uid, gid] = [0, 4, 8].map(|at| u32_at(data, at));
        if uid == u32::MAX || gid == u32::MAX {
            return Err(Errno::EINVAL);
        }
        let (uids, gids) = (self.guest.user_ids(), self.guest.group_ids());
        if uids[1] == 0 {
            self.find_thread(i32::try_from(pid).ok().filter(|&pid| pid > 0).unwrap_or(-1))?;
            return Ok(Credentials { pid, uid, gid });
        }
        let is_true = pid == self.pid.0 && uids.contains(&uid) && gids.contains(&gid);
        if is_true { Ok(Credentials { pid, uid, gid }) } else { Err(Errno::EPERM) }
    }
}

/// A receiver's control messages, as they are written.
pub(super) struct ControlWriter {
    start: GuestAddr,
    /// What is left of the memory.
    at: GuestAddr,
    room_bytes: u64,
    flags: u32,
}

impl ControlWriter {
    pub(super) fn new(start: GuestAddr, room_bytes: u64, flags: u32) -> ControlWriter {
        let room_bytes = if start.is_null() { 0 } else { room_bytes };
        ControlWriter { start, at: start, room_bytes, flags }
    }
    /// Something is missing.
    pub(super) fn cut(&mut self) {
        self.flags |= libc::MSG_CTRUNC as u32;
    }
    /// `msg_flags`.
    pub(super) fn flags(&self) -> u32 {
        self.flags
    }
    /// `msg_controllen`.
    pub(super) fn used_bytes(&self) -> u64 {
        self.at.0.wrapping_sub(self.start.0)
    }
    /// Where the next one goes.
    pub(super) fn next(&self) -> GuestAddr {
        self.at
    }
    /// How much fits there.
    pub(super) fn room_bytes(&self) -> u64 {
        self.room_bytes
    }

    /// One of a level. Memory that is bad stays as it is: as on Linux, nobody is told.
    pub(super) fn put(&mut self, guest: &mut dyn Guest, level: i32, kind: i32, data: &[u8]) {
        if self.room_bytes < HEADER_BYTES as u64 {
            return self.cut();
        }
        let mut len = (HEADER_BYTES + data.len()) as u64;
        if self.room_bytes < len {
            self.cut();
            len = self.room_bytes;
        }
        let mut bytes = alloc::vec::Vec::new();
        bytes.extend_from_slice(&len.to_le_bytes());
        bytes.extend_from_slice(&level.to_le_bytes());
        bytes.extend_from_slice(&kind.to_le_bytes());
        bytes.extend_from_slice(data);
        bytes.truncate(len as usize);
        if guest.write(self.at, &bytes).is_ok() {
            let step = ((HEADER_BYTES + data.len()) as u64).next_multiple_of(8);
            let step = step.min(self.room_bytes);
            self.at = GuestAddr(self.at.0.wrapping_add(step));
            self.room_bytes -= step;
        }
    }
}
