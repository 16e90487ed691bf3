//! AF_INET and AF_INET6: TCP, UDP and who they belong to.
//!
//! Calls and packets in, the same out. Rooms: `address` (as guests write them), `bind`, `connect`, `listen` (and
//! `accept`), `stream` (bytes of a connection), `datagram` (with `said`, `cork` and `notes`: what a sender says of one, how
//! it is put together, what its receiver is told), `leaving` (what waits in the interface), `failure` (what ICMP says), `events` (what sockets learn, what they are
//! ready for, and how they end), `shutdown`, `option`, `groups`, `interfaces`, `linger`, `list` (of all sockets, for
//! `/proc/net`). Always true: a socket that has a port claims it in [`crate::net`]; addresses are
//! those that travel, so that IPv4 over a socket of AF_INET6 is IPv4 here; what TCP does is in `net::tcp`. Not offered:
//! raw sockets, and other protocols.

mod address;
mod bind;
mod connect;
mod cork;
mod datagram;
mod events;
mod failure;
mod groups;
mod interfaces;
mod leaving;
mod linger;
mod list;
mod listen;
mod notes;
mod option;
mod said;
mod shutdown;
mod stream;

use alloc::collections::{BTreeSet, VecDeque};
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use shim_abi::{Errno, SimTime};

use super::exchange::Exchange;
use super::{Kind, Socket, SocketId, Sockets};
use crate::context::Context;
use crate::file::Progress;
use crate::kernel::Kernel;
use crate::net::ledger::Tally;
use crate::net::tcp::Settings;
use crate::net::{Claim, ConnectionId, Endpoint, Reach, Rules, SocketRecord, SocketSum, Transport};
use cork::Corked;
use datagram::Message;
use failure::Failure;
pub(crate) use interfaces::is_of_interface;
use leaving::Leaving;
pub(super) use list::Line;
pub(crate) use list::List;
use option::InetOptions;

/// What is AF_INET's or AF_INET6's of a socket.
#[derive(Debug)]
pub(crate) struct Inet {
    pub(super) is_v6: bool,
    /// Its own address and port: none, and 0, until it has some.
    local: Option<IpAddr>,
    port: u16,
    /// The last port that it had: it is shown although it is somebody else's.
    shown_port: u16,
    /// Which of these `bind` has set, so that they stay.
    is_address_fixed: bool,
    is_port_fixed: bool,
    /// Without an address: packets of which family it gets.
    reach: Reach,
    /// How it claims its port.
    claim: Option<Claim>,
    remote: Option<Endpoint>,
    options: InetOptions,
    role: Role,
    /// `IPPROTO_*`.
    protocol: i32,
}

/// What a socket carries.
#[derive(Debug)]
enum Role {
    Stream(Stream),
    Datagram(Datagrams),
}

/// How far a stream is, as its calls see it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    /// It may be connected.
    Fresh,
    /// `connect` has begun, and has not yet said how it ended.
    Connecting,
    Connected,
    Listening,
}

/// A stream.
#[derive(Debug)]
struct Stream {
    phase: Phase,
    connection: Option<ConnectionId>,
    /// Connections that wait for `accept`, and how many may.
    queue: VecDeque<ConnectionId>,
    backlog: usize,
    /// Connections that were asked for and are not there yet.
    embryos: BTreeSet<ConnectionId>,
    /// What its connections begin with.
    settings: Settings,
    /// TCP_DEFER_ACCEPT, in seconds.
    deferral_secs: u32,
}

/// Datagrams that have come.
#[derive(Debug, Default)]
struct Datagrams {
    queue: VecDeque<Message>,
    /// What they cost.
    charged_bytes: usize,
    /// What became of those that did not arrive, if that is to be told in detail.
    failures: VecDeque<Failure>,
    /// How many have found no room.
    lost: u32,
    /// What waits for the rest of its datagram.
    corked: Option<Corked>,
    /// Those that it has sent and that wait in the interface.
    leaving: Leaving,
    /// What it has carried.
    tally: Tally,
}

/// The kind of sockets of this type and protocol, and what is made for it.
pub(super) fn new_inet(family: i32, kind: u32, protocol: i32) -> Result<(Kind, Inet), Errno> {
    let is_v6 = family == libc::AF_INET6;
    let echo = if is_v6 { libc::IPPROTO_ICMPV6 } else { libc::IPPROTO_ICMP };
    let (kind, role, protocol) = match (kind as i32, protocol) {
        (libc::SOCK_STREAM, 0 | libc::IPPROTO_TCP) => {
            let stream = Stream {
                phase: Phase::Fresh,
                connection: None,
                queue: VecDeque::new(),
                embryos: BTreeSet::new(),
                backlog: 0,
                settings: Settings::default(),
                deferral_secs: 0,
            };
            (Kind::Stream, Role::Stream(stream), libc::IPPROTO_TCP)
        }
        (libc::SOCK_DGRAM, 0 | libc::IPPROTO_UDP) => {
            (Kind::Datagram, Role::Datagram(Datagrams::default()), libc::IPPROTO_UDP)
        }
        (libc::SOCK_DGRAM, protocol) if protocol == echo || protocol == libc::IPPROTO_UDPLITE => {
            (Kind::Datagram, Role::Datagram(Datagrams::default()), protocol)
        }
        // Linux allows these to whoever may do anything.
        (libc::SOCK_RAW, 0) => return Err(Errno::EPROTONOSUPPORT),
        (libc::SOCK_RAW, _) => return Err(Errno::EPERM),
        (libc::SOCK_STREAM | libc::SOCK_DGRAM, _) => return Err(Errno::EPROTONOSUPPORT),
        _ => return Err(Errno::ESOCKTNOSUPPORT),
    };
    let reach = if is_v6 { Reach::Both } else { Reach::V4 };
    Ok((
        kind,
        Inet {
            is_v6,
            local: None,
            port: 0,
            shown_port: 0,
            is_address_fixed: false,
            is_port_fixed: false,
            reach,
            claim: None,
            remote: None,
            options: InetOptions::default(),
            role,
            protocol,
        },
    ))
}

impl Context<'_> {
    /// Move what can be moved of a call that sends or receives.
    pub(super) fn exchange_inet(&mut self, call: &mut Exchange) -> Progress {
        let is_stream = self.kernel.sockets.inet(call.socket)?.stream().is_ok();
        match (is_stream, call.is_reading()) {
            (true, false) => self.send_inet_stream(call),
            (true, true) => self.receive_inet_stream(call),
            (false, false) => self.send_datagram(call),
            (false, true) => self.receive_datagram(call),
        }
    }
}

impl Inet {
    /// `AF_*`.
    pub(super) fn family_number(&self) -> i32 {
        if self.is_v6 { libc::AF_INET6 } else { libc::AF_INET }
    }
    /// `IPPROTO_*`.
    pub(super) fn protocol(&self) -> i32 {
        self.protocol
    }
    fn rules(&self) -> Rules {
        match self.protocol {
            libc::IPPROTO_TCP => Rules::Stream,
            libc::IPPROTO_UDP => Rules::Datagram,
            libc::IPPROTO_UDPLITE => Rules::Lite,
            _ => Rules::Echo,
        }
    }
    /// Whether it sends and receives echoes.
    pub(super) fn is_echo(&self) -> bool {
        self.rules() == Rules::Echo
    }
    fn stream(&self) -> Result<&Stream, Errno> {
        match &self.role {
            Role::Stream(stream) => Ok(stream),
            Role::Datagram(_) => Err(Errno::EOPNOTSUPP),
        }
    }
    fn stream_mut(&mut self) -> Result<&mut Stream, Errno> {
        match &mut self.role {
            Role::Stream(stream) => Ok(stream),
            Role::Datagram(_) => Err(Errno::EOPNOTSUPP),
        }
    }
    fn datagrams_mut(&mut self) -> Result<&mut Datagrams, Errno> {
        match &mut self.role {
            Role::Datagram(datagrams) => Ok(datagrams),
            Role::Stream(_) => Err(Errno::EOPNOTSUPP),
        }
    }
    /// What is told of a datagram socket that was used.
    fn record(&self, closed_at: Option<SimTime>) -> Option<SocketRecord> {
        let Role::Datagram(datagrams) = &self.role else { return None };
        let transport = match self.rules() {
            Rules::Stream => Transport::Tcp,
            Rules::Datagram => Transport::Udp,
            Rules::Lite => Transport::UdpLite,
            Rules::Echo => Transport::Echo,
        };
        let none =
            if self.is_v6 { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() };
        let local = Endpoint { ip: self.local.unwrap_or(none), port: self.shown_port };
        datagrams.tally.record(transport, (local, self.remote), datagrams.lost, closed_at)
    }
    fn connection(&self) -> Option<ConnectionId> {
        self.stream().ok()?.connection
    }
    pub(super) fn is_listening(&self) -> bool {
        self.stream().is_ok_and(|stream| stream.phase == Phase::Listening)
    }
    /// Whether it takes packets of a family.
    fn reaches(&self, is_v4: bool) -> bool {
        match self.reach {
            Reach::Both => true,
            Reach::V4 => is_v4,
            Reach::V6 => !is_v4,
        }
    }

    /// Its own address, as it is shown.
    pub(super) fn name(&self) -> Vec<u8> {
        address::write(self.local, self.shown_port, self.is_v6, self.reach)
    }
    fn name_of(&self, endpoint: Endpoint) -> Vec<u8> {
        address::write(Some(endpoint.ip), endpoint.port, self.is_v6, self.reach)
    }
}

impl Kernel {
    /// A record of each socket of IP that was used, the oldest first, and the sum of those that have none because there are
    /// more than [`crate::MOST_RECORDS`].
    pub fn socket_records(&self) -> (Vec<SocketRecord>, SocketSum) {
        let there = self.sockets.sockets.values();
        let there = there.filter_map(|socket| socket.family.inet().ok()?.record(None));
        self.sockets.network.records(there)
    }
}

impl Sockets {
    /// What is AF_INET's or AF_INET6's of a socket.
    pub(super) fn inet(&self, id: SocketId) -> Result<&Inet, Errno> {
        self.get(id)?.family.inet()
    }
    pub(super) fn inet_mut(&mut self, id: SocketId) -> Result<&mut Inet, Errno> {
        self.get_mut(id)?.family.inet_mut()
    }
    /// Whether a socket has this very address.
    pub(crate) fn is_bound_to(&self, id: SocketId, ip: IpAddr) -> bool {
        self.inet(id).is_ok_and(|inet| inet.local == Some(ip))
    }
    /// Whether a socket shares its port with SO_REUSEPORT.
    fn is_in_port_group(&self, id: SocketId) -> bool {
        self.get(id).is_ok_and(|socket| socket.options.port_group.is_some())
    }
}

impl Socket {
    /// How it claims a port, as things are.
    fn claim(&self) -> Result<Claim, Errno> {
        let inet = self.family.inet()?;
        Ok(Claim {
            address: inet.local,
            reach: inet.reach,
            is_shared: self.options.has(libc::SO_REUSEADDR),
            group: self.options.port_group,
            is_listening: inet.is_listening(),
            is_of_connection: false,
        })
    }
}
