//! `shutdown` of a socket with an address.
//!
//! Directions in. Always true: the directions are noted whatever the answer; a listening socket that receives nothing
//! more listens no more.

use alloc::vec::Vec;

use shim_abi::Errno;

use super::{Inet, Phase, Role};
use crate::context::{Answer, Context, done};
use crate::file::ready;
use crate::net::tcp::State;
use crate::socket::{SocketId, Sockets};

impl Context<'_> {
    pub(in crate::socket) fn shut_inet(
        &mut self,
        id: SocketId,
        is_deaf: bool,
        is_mute: bool,
    ) -> Answer {
        let inet = self.kernel.sockets.inet(id)?;
        let connection = inet.connection();
        let network = &self.kernel.sockets.network;
        let state = connection.and_then(|it| network.connection(it)).map(|it| it.tcp.state);
        let is_idle = match &inet.role {
            Role::Datagram(_) => inet.remote.is_none(),
            Role::Stream(stream) if stream.phase == Phase::Listening => {
                if is_deaf {
                    self.disconnect_stream(id)?;
                }
                return done(0);
            }
            Role::Stream(_) => matches!(state, None | Some(State::Closed | State::TimeWait)),
        };
        if state == Some(State::SynSent) {
            self.disconnect_stream(id)?;
            return done(0);
        }
        let socket = self.kernel.sockets.get_mut(id)?;
        socket.is_deaf |= is_deaf;
        socket.is_mute |= is_mute;
        if let Some(it) = connection.and_then(|it| self.kernel.sockets.network.connection_mut(it)) {
            if is_deaf {
                it.tcp.deafen();
            }
            if is_mute && it.tcp.can_send() {
                it.tcp.finish(self.now);
            }
        }
        self.kernel.settle_network(self.now);
        self.kernel.notify_socket(self.now, id, ready::ANY);
        if is_idle { Err(Errno::ENOTCONN) } else { done(0) }
    }
}

impl Inet {
    /// The other side's endpoint, if there is a connection: ENOTCONN.
    pub(in crate::socket) fn peer(&self, state: Option<State>) -> Result<Vec<u8>, Errno> {
        let remote = self.remote.ok_or(Errno::ENOTCONN)?;
        let is_there = match self.role {
            Role::Datagram(_) => true,
            Role::Stream(_) => {
                !matches!(state, None | Some(State::Closed | State::TimeWait | State::SynSent))
            }
        };
        if is_there { Ok(self.name_of(remote)) } else { Err(Errno::ENOTCONN) }
    }
}

impl Sockets {
    /// The other side's address, as getpeername(2) shows it.
    pub(in crate::socket) fn inet_peer_name(&self, inet: &Inet) -> Result<Vec<u8>, Errno> {
        let connection = inet.connection().and_then(|it| self.network.connection(it));
        inet.peer(connection.map(|it| it.tcp.state))
    }
}
