//! Descriptors that travel with messages: SCM_RIGHTS.
//!
//! Numbers of the sender's in, files under way, numbers of the receiver's out. Always true: what is under way counts
//! as one that refers to the file; numbers are the real kernel's word, so a receiver's are found by its shim: it is
//! told how many there are, and answers with [`take_rights`]; what it does not take is gone. A native file is held by
//! whoever owns the guests, as long as somebody can receive it here; the shims send and fetch it ([`take_file`]).

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use shim_abi::{Errno, SimTime};

use super::control::{ControlWriter, HEADER_BYTES};
use crate::context::{Answer, Context, done};
use crate::file::{FileId, check_number};
use crate::guest::GuestAddr;
use crate::kernel::Kernel;
use crate::memory::{u32_at, write_words};

/// No message has more.
const MAX_RIGHTS: usize = 253;
/// Words that the shim is told: five, and a bit for each.
const REPORT_WORDS: usize = 5 + MAX_RIGHTS.div_ceil(64);

/// What a descriptor that is under way stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Right {
    /// A file of the kernel's.
    File(FileId),
    /// A file of the real kernel's, by the number that [`crate::Guest::take_file`] has given it.
    Native(u32),
}

/// Which native files are under way, and how often.
#[derive(Debug, Default)]
pub(super) struct NativeFiles {
    counts: BTreeMap<u32, usize>,
    /// Those that nobody can receive any more.
    dropped: Vec<u32>,
}

/// The shim's own call: the native file at this place among what its last `recvmsg` announced.
pub(crate) fn take_file(context: &mut Context<'_>, index: u64, port: u64) -> Answer {
    let arrived = context.kernel.sockets.arrived.get(&context.tid);
    match usize::try_from(index).ok().and_then(|index| arrived?.get(index)) {
        Some(&Right::Native(number)) => done(context.guest.send_file(number, port)?.into()),
        _ => Err(Errno::EBADF),
    }
}

/// The shim's own call: the numbers that the descriptors get which its last `recvmsg` announced, as many as there was
/// room for.
pub(crate) fn take_rights(
    context: &mut Context<'_>,
    numbers: GuestAddr,
    count: u64,
    flags: u32,
) -> Answer {
    let mut bytes = alloc::vec![0; 4 * count.min(MAX_RIGHTS as u64) as usize];
    context.guest.read(numbers, &mut bytes)?;
    let rights = context.kernel.sockets.arrived.remove(&context.tid).unwrap_or_default();
    let mut installed = 0;
    for (number, right) in bytes.chunks_exact(4).map(|number| u32_at(number, 0)).zip(&rights) {
        if check_number(number).is_err() {
            continue;
        }
        if let Right::File(file) = *right {
            context.install(number, file, flags & libc::O_CLOEXEC as u32 != 0);
        }
        installed += 1;
    }
    context.kernel.drop_rights(context.now, rights);
    done(installed)
}

impl Context<'_> {
    /// What the numbers of a control message stand for; `has_files`: the shim has sent native ones.
    pub(super) fn read_rights(
        &mut self,
        numbers: &[u8],
        has_files: bool,
        rights: &mut Vec<Right>,
    ) -> Result<(), Errno> {
        let count = numbers.len() / 4;
        if rights.len() + count > MAX_RIGHTS {
            return Err(Errno::EINVAL);
        }
        for number in numbers.chunks_exact(4) {
            let number = u32_at(number, 0);
            let right = match self.file(number) {
                Err(Errno::EBADF) if has_files => Right::Native(self.guest.take_file(number)?),
                file => Right::File(file?),
            };
            self.kernel.keep_right(&right);
            rights.push(right);
        }
        Ok(())
    }

    /// ETOOMANYREFS if so many are under way that there may be no more of them.
    pub(super) fn check_rights_under_way(&self, rights: &[Right]) -> Result<(), Errno> {
        let (limit, _) = self.process().limits.descriptors();
        let is_too_much = !rights.is_empty() && self.kernel.sockets.rights_under_way as u64 > limit;
        if is_too_much { Err(Errno::ETOOMANYREFS) } else { Ok(()) }
    }

    /// Tell the shim what has come, if the receiver has room for it; whether it is told.
    pub(super) fn announce_rights(
        &mut self,
        control: &mut ControlWriter,
        rights: Vec<Right>,
        report: GuestAddr,
    ) -> Result<bool, Errno> {
        let room_bytes = control.room_bytes().saturating_sub(HEADER_BYTES as u64);
        let fitting = rights.len().min((room_bytes / 4) as usize);
        if fitting < rights.len() {
            control.cut();
        }
        if fitting == 0 || report.is_null() {
            self.kernel.drop_rights(self.now, rights);
            return Ok(false);
        }
        let mut words = [0; REPORT_WORDS];
        words[..5].copy_from_slice(&[
            fitting as u64,
            control.next().0,
            control.room_bytes(),
            control.flags().into(),
            control.used_bytes(),
        ]);
        for (index, right) in rights.iter().take(fitting).enumerate() {
            if matches!(right, Right::Native(_)) {
                words[5 + index / 64] |= 1 << (index % 64);
            }
        }
        let told = write_words(self.guest, report, words);
        let (taken, others) = rights.split_at(fitting);
        self.kernel.drop_rights(self.now, others.to_vec());
        match told {
            Ok(()) => drop(self.kernel.sockets.arrived.insert(self.tid, taken.to_vec())),
            Err(_) => self.kernel.drop_rights(self.now, taken.to_vec()),
        }
        told.map(|()| true)
    }
}

impl Kernel {
    /// One more refers to what a right stands for.
    pub(super) fn keep_right(&mut self, right: &Right) {
        match *right {
            Right::File(file) => self.files.retain(file),
            Right::Native(number) => *self.sockets.natives.counts.entry(number).or_insert(0) += 1,
        }
    }

    /// Rights are gone.
    pub(super) fn drop_rights(&mut self, now: SimTime, rights: Vec<Right>) {
        for right in rights {
            match right {
                Right::File(file) => self.release(now, file),
                Right::Native(number) => self.sockets.natives.drop_one(number),
            }
        }
    }

    /// Nobody needs a native file any more that has been made for the kernel.
    pub(crate) fn drop_native(&mut self, number: u32) {
        self.sockets.natives.dropped.push(number);
    }

    /// Whether there are such as [`Kernel::take_dropped_files`] gives.
    pub(crate) fn has_dropped_files(&self) -> bool {
        !self.sockets.natives.dropped.is_empty()
    }

    /// The native files that nobody can receive any more: to be asked after each call.
    pub fn take_dropped_files(&mut self) -> Vec<u32> {
        core::mem::take(&mut self.sockets.natives.dropped)
    }
}

impl NativeFiles {
    fn drop_one(&mut self, number: u32) {
        let Some(count) = self.counts.get_mut(&number) else { return };
        *count -= 1;
        if *count == 0 {
            self.counts.remove(&number);
            self.dropped.push(number);
        }
    }

    /// How often each is under way.
    #[cfg(test)]
    pub(super) fn counts(&self) -> &BTreeMap<u32, usize> {
        &self.counts
    }
}
