//! `accept`: taking a connection that has come.
//!
//! A listening socket in, a socket that is connected out. Always true: the number is the shim's, which takes none for a
//! call that waits (another thread's child would inherit it): it is told to wait first, and calls again when there is
//! something to take; a connection whose other side cannot be told to the caller is lost, as on Linux. How connections
//! come is their family's.

use shim_abi::calls::{ACCEPT_NEEDS_WAIT, ACCEPT_WAITS};
use shim_abi::{Errno, SimTime};

use super::SocketId;
use crate::context::{Answer, Context, done};
use crate::file::{FileId, check_number};
use crate::guest::GuestAddr;
use crate::task::{Parked, Wait, Wake};
use crate::waiters::Source;

/// A call that waits for a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Accept {
    file: FileId,
    socket: SocketId,
}

pub(crate) fn accept(
    context: &mut Context<'_>,
    fd: u32,
    to: GuestAddr,
    bytes_at: GuestAddr,
    number: u32,
) -> Answer {
    accept4(context, fd, to, bytes_at, 0, number)
}

pub(crate) fn accept4(
    context: &mut Context<'_>,
    fd: u32,
    to: GuestAddr,
    bytes_at: GuestAddr,
    flags: u32,
    number: u32,
) -> Answer {
    let file = context.file(fd)?;
    if flags & !(libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK) as u32 != 0 {
        return Err(Errno::EINVAL);
    }
    if number != ACCEPT_WAITS {
        check_number(number)?;
    }
    let socket = context.socket(fd)?;
    let call = Accept { file, socket };
    if number == ACCEPT_WAITS {
        let options = &context.kernel.sockets.get(socket)?.options;
        let timeout = options.receive_timeout;
        let deadline =
            timeout.map_or(SimTime::MAX, |timeout| context.kernel.time_after(context.now, timeout));
        return context.proceed_accept(call, deadline, deadline <= context.now);
    }
    if !context.has_connection(socket)? {
        let is_nonblocking = context.kernel.files.get(file)?.is_nonblocking();
        return if is_nonblocking { Err(Errno::EAGAIN) } else { done(ACCEPT_NEEDS_WAIT) };
    }
    let connection = context.take_connection(socket)?;
    context.conclude_accept(connection, (to, bytes_at), flags, number)
}

impl Context<'_> {
    /// A call that waited goes on.
    pub(crate) fn finish_accept(&mut self, call: Accept, parked: Parked, wake: Wake) -> Answer {
        self.proceed_accept(call, parked.deadline, wake == Wake::Timeout)
    }

    /// Wait for a connection; it is not taken.
    fn proceed_accept(&mut self, call: Accept, deadline: SimTime, is_late: bool) -> Answer {
        if self.has_connection(call.socket)? {
            return done(0);
        }
        if is_late {
            return Err(Errno::EAGAIN);
        }
        if self.has_signal(self.guest.signal_mask()) {
            let is_limited = deadline != SimTime::MAX;
            return Err(if is_limited { Errno::EINTR } else { Errno::ERESTARTSYS });
        }
        self.park_on(&[Source::File(call.file)], Wait::Accept(call), deadline)
    }

    /// A connection is there: its file has one reference, which the descriptor takes over.
    fn conclude_accept(
        &mut self,
        connection: SocketId,
        (to, bytes_at): (GuestAddr, GuestAddr),
        flags: u32,
        number: u32,
    ) -> Answer {
        let file = self.kernel.sockets.get(connection)?.file;
        let told = self.tell_partner(connection, to, bytes_at);
        if told.is_ok() {
            self.kernel.files.get_mut(file)?.status_flags |= flags & libc::SOCK_NONBLOCK as u32;
            self.install(number, file, flags & libc::SOCK_CLOEXEC as u32 != 0);
        }
        self.kernel.release(self.now, file);
        told.and_then(|()| done(0))
    }

    fn tell_partner(
        &mut self,
        connection: SocketId,
        to: GuestAddr,
        bytes_at: GuestAddr,
    ) -> Result<(), Errno> {
        if to.is_null() {
            return Ok(());
        }
        let name = self.kernel.sockets.peer_name(connection).map_err(|_| Errno::ECONNABORTED)?;
        self.write_address(&name, to, bytes_at)
    }
}
