//! One direction, or both, is over, for both sides.
//!
//! Directions in. Always true: in a connection what one side no longer sends the other no longer receives; what is
//! under way is still read.

use crate::context::{Answer, Context, done};
use crate::file::{IoReason, ready};
use crate::socket::SocketId;

impl Context<'_> {
    pub(in crate::socket) fn shut_unix(
        &mut self,
        id: SocketId,
        is_deaf: bool,
        is_mute: bool,
    ) -> Answer {
        let socket = self.kernel.sockets.get_mut(id)?;
        socket.is_deaf |= is_deaf;
        socket.is_mute |= is_mute;
        let peer = socket.family.unix()?.peer.filter(|_| socket.kind.is_connection());
        self.kernel.notify_socket(self.now, id, ready::ANY);
        let Some(peer) = peer else { return done(0) };
        if let Ok(other) = self.kernel.sockets.get_mut(peer) {
            other.is_deaf |= is_mute;
            other.is_mute |= is_deaf;
        }
        self.kernel.notify_socket(self.now, peer, ready::ANY);
        match (is_deaf, is_mute) {
            (true, true) => self.kernel.signal_owner(self.now, peer, IoReason::End),
            (false, true) => self.kernel.signal_owner(self.now, peer, IoReason::Input),
            _ => {}
        }
        done(0)
    }
}
