//! Native descriptors that go with messages: sent to the simulator, and fetched from there.
//!
//! Numbers of the sender's in, numbers of the receiver's out. Always true: what arrives is the open file itself, with
//! its offset and its locks, because a real socket carries it; the simulator's takes what a sender sends at once, and
//! has sent what a receiver fetches before that looks, so that nobody waits; sockets of ours are closed again before
//! the call ends. Which message a descriptor goes with is the simulator's. See unix(7), cmsg(3).

use core::sync::atomic::Ordering::Relaxed;

use shim_abi::Errno;
use shim_abi::calls::{PSEUDO_POST, PSEUDO_TAKE_FILE, nr};

use super::rights::MAX_RIGHTS;
use crate::native::open::admit;
use crate::thread::Slot;
use crate::{forward, native, sys};

/// `struct msghdr` and `struct cmsghdr` as words.
const MESSAGE_WORDS: usize = 7;
const CONTROL_HEADER_BYTES: u64 = 16;
/// What an address has beside the five characters of its name.
const NAME_OFFSET_BYTES: u32 = 3;
const NAME_BYTES: u64 = 8;
const RIGHTS: u64 = libc::SOL_SOCKET as u64 | (libc::SCM_RIGHTS as u64) << 32;

/// The address of a socket without a path whose name has these characters.
fn address_of(port: u64) -> [u64; 1] {
    [libc::AF_UNIX as u64 | port << (8 * NAME_OFFSET_BYTES)]
}

/// A datagram socket of ours.
fn socket() -> Result<u32, Errno> {
    let kind = (libc::SOCK_DGRAM | libc::SOCK_CLOEXEC) as u64;
    sys::call(nr::socket, [libc::AF_UNIX as u64, kind, 0, 0, 0, 0]).map(|fd| fd as u32)
}

/// Send open files to the simulator, which knows them by these numbers from now on, until the call that is forwarded
/// next ends.
#[inline(never)]
pub fn send(slot: &Slot, numbers: &[u32]) -> Result<(), Errno> {
    let port = native::result(forward::syscall(slot, PSEUDO_POST, [0; 6]))? as u64;
    let to = address_of(port);
    let numbers = &numbers[..numbers.len().min(MAX_RIGHTS)];
    let mut pairs = [0u64; MAX_RIGHTS.div_ceil(2)];
    for (i, &number) in numbers.iter().enumerate() {
        pairs[i / 2] |= u64::from(number) << (i % 2 * 32);
    }
    let bytes = 4 * numbers.len() as u64;
    let mut control = [0u64; 2 + MAX_RIGHTS.div_ceil(2)];
    control[..2].copy_from_slice(&[CONTROL_HEADER_BYTES + bytes, RIGHTS]);
    control[2..].copy_from_slice(&pairs);
    let mark = [u64::from(slot.thread.get().tid.load(Relaxed))];
    let pieces = [mark.as_ptr() as u64, 8, pairs.as_ptr() as u64, bytes];
    let message: [u64; MESSAGE_WORDS] = [
        to.as_ptr() as u64,
        NAME_BYTES,
        pieces.as_ptr() as u64,
        2,
        control.as_ptr() as u64,
        CONTROL_HEADER_BYTES + bytes,
        0,
    ];
    let fd = socket()?;
    let flags = (libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL) as u64;
    let sent = sys::call(nr::sendmsg, [fd.into(), message.as_ptr() as u64, flags, 0, 0, 0]);
    sys::close(fd);
    sent.map(drop)
}

/// Where a receiver fetches descriptors.
pub struct Counter {
    /// Its socket, out of the guest's way.
    fd: u32,
    port: u64,
}

impl Counter {
    /// Open one.
    pub fn open(slot: &Slot) -> Result<Counter, Errno> {
        let low = socket()?;
        // Out of the way, so that what arrives gets the lowest number.
        let args = [low.into(), libc::F_DUPFD_CLOEXEC as u64, slot.first_hidden.into(), 0, 0, 0];
        let high = sys::call(nr::fcntl, args);
        sys::close(low);
        let mut counter = Counter { fd: high? as u32, port: 0 };
        let unnamed = [libc::AF_UNIX as u64];
        let args = [counter.fd.into(), unnamed.as_ptr() as u64, 2, 0, 0, 0];
        sys::call(nr::bind, args)?;
        let (mut name, mut len) = ([0u64], [NAME_BYTES]);
        let places = [name.as_mut_ptr() as u64, len.as_mut_ptr() as u64];
        sys::call(nr::getsockname, [counter.fd.into(), places[0], places[1], 0, 0, 0])?;
        counter.port = name[0] >> (8 * NAME_OFFSET_BYTES);
        Ok(counter)
    }

    /// Fetch what stands at this place among all that the last message brought; its number.
    pub fn fetch(&self, slot: &Slot, index: u64, is_close_on_exec: bool) -> Result<u32, Errno> {
        let args = [index, self.port, 0, 0, 0, 0];
        let kind = native::result(forward::syscall(slot, PSEUDO_TAKE_FILE, args))? as u8;
        let (mut byte, mut control) = ([0u64], [0u64; 3]);
        let piece = [byte.as_mut_ptr() as u64, 1];
        let mut message: [u64; MESSAGE_WORDS] = [
            0,
            0,
            piece.as_ptr() as u64,
            1,
            control.as_mut_ptr() as u64,
            size_of_val(&control) as u64,
            0,
        ];
        let cloexec = if is_close_on_exec { libc::MSG_CMSG_CLOEXEC } else { 0 };
        let flags = (libc::MSG_DONTWAIT | cloexec) as u64;
        let args = [self.fd.into(), message.as_mut_ptr() as u64, flags, 0, 0, 0];
        sys::call(nr::recvmsg, args)?;
        if control[1] != RIGHTS {
            // No number was left.
            return Err(Errno::EMFILE);
        }
        let fd = control[2] as u32;
        admit(slot, fd)?;
        slot.process.set_descriptor(fd, kind);
        Ok(fd)
    }
}

impl Drop for Counter {
    fn drop(&mut self) {
        sys::close(self.fd);
    }
}
