//! `connect`: a socket and the one that it talks to.
//!
//! A descriptor and an address in. Always true: the address is read once, when the call is made; a call that waits
//! goes on from there, until it is connected, its socket's time is up or a signal comes. Whom an address means is its
//! family's.

use alloc::vec::Vec;

use shim_abi::{Errno, SimTime};

use super::SocketId;
use super::name::read_address;
use crate::context::{Answer, Context, done};
use crate::file::FileId;
use crate::guest::GuestAddr;
use crate::task::{Parked, Wait, Wake};
use crate::waiters::Source;

/// What the shim has found at the path that an address of AF_UNIX names.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Place {
    pub(super) device: u64,
    pub(super) inode: u64,
    /// Why nothing was found, or it may not be used; 0: it may.
    errno: i32,
}

impl Place {
    /// As a call's last arguments say.
    pub(super) fn new(device: u64, inode: u64, errno: i32) -> Place {
        Place { device, inode, errno }
    }
    /// What went wrong when it was looked for.
    pub(super) fn check(&self) -> Result<(), Errno> {
        Errno::new(self.errno).map_or(Ok(()), Err)
    }
}

/// A call that connects.
#[derive(Debug)]
pub(crate) struct Connecting {
    file: FileId,
    pub(super) socket: SocketId,
    pub(super) address: Vec<u8>,
    pub(super) place: Place,
    /// Whether it has waited.
    pub(super) has_waited: bool,
}

/// What becomes of an attempt.
pub(super) enum Attempt {
    /// It is connected.
    Connected,
    /// It must wait for a change of this, or is told this if it does not.
    Waits(Source, Errno),
}

pub(crate) fn connect(
    context: &mut Context<'_>,
    fd: u32,
    at: GuestAddr,
    bytes: i32,
    device: u64,
    inode: u64,
    errno: i32,
) -> Answer {
    let (file, socket) = (context.file(fd)?, context.socket(fd)?);
    let address = read_address(context.guest, at, bytes)?;
    let place = Place::new(device, inode, errno);
    let timeout = context.kernel.sockets.get(socket)?.options.send_timeout;
    let deadline =
        timeout.map_or(SimTime::MAX, |timeout| context.kernel.time_after(context.now, timeout));
    let call = Connecting { file, socket, address, place, has_waited: false };
    context.proceed_connect(call, deadline, deadline <= context.now)
}

impl Context<'_> {
    /// A call that waited goes on.
    pub(crate) fn finish_connect(&mut self, parked: Parked, wake: Wake) -> Answer {
        let call = self.kernel.sockets.connecting.remove(&self.tid).ok_or(Errno::EBADF)?;
        self.proceed_connect(call, parked.deadline, wake == Wake::Timeout)
    }

    fn proceed_connect(
        &mut self,
        mut call: Connecting,
        deadline: SimTime,
        is_late: bool,
    ) -> Answer {
        let (source, otherwise) = match self.connect_once(&call)? {
            Attempt::Connected => return done(0),
            Attempt::Waits(source, otherwise) => (source, otherwise),
        };
        if is_late || self.kernel.files.get(call.file)?.is_nonblocking() {
            return Err(otherwise);
        }
        if self.has_signal(self.guest.signal_mask()) {
            let is_limited = deadline != SimTime::MAX;
            return Err(if is_limited { Errno::EINTR } else { Errno::ERESTARTSYS });
        }
        call.has_waited = true;
        let sources = [Source::File(call.file), source];
        self.kernel.sockets.connecting.insert(self.tid, call);
        self.park_on(&sources, Wait::Connect, deadline)
    }
}
