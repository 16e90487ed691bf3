//! Connections: ends of TCP with addresses, and whom they belong to.
//!
//! Segments and sockets in. Always true: a connection is found by its two endpoints as long as segments may come for it;
//! it outlives its socket as long as TCP wants, and its socket may outlive it; one that nobody has accepted yet belongs
//! to the socket that listened.

use alloc::collections::VecDeque;
use core::net::IpAddr;

use shim_abi::SimTime;

use super::packet::Endpoint;
use super::ports::Claim;
use super::tcp::Tcp;
use crate::socket::SocketId;

/// A connection's number. Not used again.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct ConnectionId(pub(crate) u32);

/// Own endpoint, then the other one.
pub(crate) type Tuple = (Endpoint, Endpoint);

/// Whose a connection is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Owner {
    /// A socket's.
    Socket(SocketId),
    /// A listening socket's, which has not heard of it yet.
    Listener(SocketId),
    /// A listening socket's, in whose queue it is.
    Queue(SocketId),
    /// The resolver's.
    Resolver,
    Nobody,
}

/// A connection.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) tcp: Tcp,
    pub(crate) local: Endpoint,
    pub(crate) remote: Endpoint,
    pub(crate) owner: Owner,
    /// How it claims its port.
    pub(crate) claim: Claim,
    /// Whether it is among those that segments find.
    pub(super) is_listed: bool,
    /// For when its next event is planned.
    pub(crate) planned: SimTime,
    /// Bytes that the interface to other hosts has of it, and when they will have left.
    pub(super) in_device: VecDeque<(SimTime, usize)>,
    /// Hop limit and class of what it sends.
    pub(crate) hops: u8,
    pub(crate) class: u8,
    /// Those of the last segment that came.
    pub(crate) received_hops: u8,
    pub(crate) received_class: u8,
    /// Whether its socket knows that it is there.
    pub(crate) was_there: bool,
    /// TCP_DEFER_ACCEPT: until then it is told of only when bytes have come.
    pub(crate) deferred_until: SimTime,
    /// When it was asked for, and when it was over.
    pub(super) opened_at: SimTime,
    pub(super) closed_at: Option<SimTime>,
}

impl Connection {
    pub(crate) fn tuple(&self) -> Tuple {
        (self.local, self.remote)
    }
    pub(super) fn addresses(&self) -> (IpAddr, IpAddr) {
        (self.local.ip, self.remote.ip)
    }

    /// What has left the interface by `now` makes room for more.
    pub(super) fn free_device(&mut self, now: SimTime) {
        while let Some((_, bytes)) = self.in_device.pop_front_if(|(at, _)| *at <= now) {
            let room = &mut self.tcp.settings.device_room_bytes;
            *room = room.saturating_add(bytes);
        }
    }
    /// When it wants to be called again.
    pub(super) fn deadline(&self) -> SimTime {
        let is_full = self.tcp.settings.device_room_bytes == 0;
        let leaves = self.in_device.front().filter(|_| is_full).map(|&(at, _)| at);
        leaves.into_iter().chain([self.tcp.deadline()]).min().unwrap_or(SimTime::MAX)
    }
}
