//! SO_LINGER: who closes a connection waits until the other side has everything.
//!
//! A file that is let go in, perhaps a wait out. Always true: only the last who lets go of a connection waits, and only if
//! it does so by a call, not by its end; it waits whether or not its calls did, until the other side has acknowledged the
//! connection's end, the time is up or a signal comes, and its call succeeds whichever it was. What becomes of
//! the connection is in `events`, and the same.

use shim_abi::{SimDuration, SimTime};

use crate::context::{Answer, Context, done};
use crate::file::{FileId, Object};
use crate::net::ConnectionId;
use crate::task::{Parked, Wait, Wake};
use crate::waiters::Source;

impl Context<'_> {
    /// Let go of a file, as the caller's process does that closes it, and wait for what goes with that.
    pub(crate) fn let_go_and_linger(&mut self, file: FileId) -> Answer {
        let lingering = self.lingering(file);
        self.kernel.let_go(self.now, self.pid, file);
        match lingering {
            Some((connection, deadline)) => self.linger(connection, deadline),
            None => done(0),
        }
    }

    /// The connection that ends when the caller lets go of a file, and until when that is waited for.
    fn lingering(&self, file: FileId) -> Option<(ConnectionId, SimTime)> {
        let kernel = &*self.kernel;
        let Object::Socket(id) = kernel.files.get(file).ok()?.object else { return None };
        let socket = kernel.sockets.get(id).ok()?;
        let secs = socket.options.linger_secs().filter(|&secs| secs > 0)?;
        let connection = socket.family.inet().ok()?.connection()?;
        if kernel.files.reference_count(file) != 1 {
            return None;
        }
        let wait = SimDuration::from_secs(secs.into());
        Some((connection, kernel.time_after(self.now, wait)))
    }

    fn linger(&mut self, connection: ConnectionId, deadline: SimTime) -> Answer {
        let it = self.kernel.sockets.network.connection(connection);
        let is_ending = it.is_some_and(|it| it.tcp.state.is_ending());
        if !is_ending || self.has_signal(self.guest.signal_mask()) {
            return done(0);
        }
        self.park_on(&[Source::Connection(connection)], Wait::Linger(connection), deadline)
    }

    /// Who lingers looks again.
    pub(crate) fn finish_linger(
        &mut self,
        connection: ConnectionId,
        parked: Parked,
        wake: Wake,
    ) -> Answer {
        if wake == Wake::Timeout { done(0) } else { self.linger(connection, parked.deadline) }
    }
}
