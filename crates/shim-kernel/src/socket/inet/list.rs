//! The sockets of a host as `/proc/net/tcp`, `udp` and the like show them, and as `ss` asks for them.
//!
//! The kernel in, lines out, and text. Always true: a line a socket or connection, listeners first, in the order in which they were
//! made; an IPv4 address of a socket of AF_INET6 stands among those of IPv6; where Linux shows an address in memory there
//! are zeroes, as there for those who may not see it. What timers and windows do is not shown, but how long an end that is
//! only remembered still is.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use shim_abi::SimTime;

use super::{Inet, Reach, Role};
use crate::kernel::Kernel;
use crate::net::tcp::State;
use crate::net::{Connection, ConnectionId, Endpoint, Owner, Rules};
use crate::socket::{Socket, SocketId};

/// What is listed: sockets of which kind, of which family.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum List {
    Tcp,
    Udp,
    UdpLite,
    Echo,
    /// There are none.
    Raw,
}

/// Lines of IPv4 are padded to this, so that a reader's place in the file means the same line again.
const TCP_BYTES: usize = 149;
const UDP_BYTES: usize = 127;
const LISTENING: u8 = 10;
const UNCONNECTED: u8 = 7;
const CONNECTED: u8 = 1;
/// An end that is only remembered.
const TIME_WAIT_TIMER: u8 = 3;
/// Times are shown in these.
const TICK_NS: u64 = 10_000_000;

const COLUMNS: &str = "tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode";
const MORE: &str = " ref pointer drops";

/// What a line shows.
pub(in crate::socket) struct Line {
    pub(in crate::socket) local: Endpoint,
    pub(in crate::socket) remote: Endpoint,
    pub(in crate::socket) state: u8,
    queues: [usize; 2],
    /// How many connections may wait for who listens.
    backlog: usize,
    /// Which timer runs, and for how long.
    pub(in crate::socket) timer: (u8, u64),
    pub(in crate::socket) user: u32,
    pub(in crate::socket) inode: u64,
    /// Which directions are over: 1, receiving; 2, sending.
    pub(in crate::socket) shut: u8,
    pub(in crate::socket) is_only_v6: bool,
    /// A number that nobody else has.
    pub(in crate::socket) cookie: u64,
    socket: Option<SocketId>,
    connection: Option<ConnectionId>,
}

impl Line {
    /// The columns that all lists have, behind a number.
    fn text(&self, is_v6: bool) -> String {
        let [local, remote] = [self.local, self.remote].map(|end| shown(end, is_v6));
        let ([sent, received], (timer, ticks)) = (self.queues, self.timer);
        let (state, user, inode) = (self.state, self.user, self.inode);
        format!(
            "{local} {remote} {state:02X} {sent:08X}:{received:08X} {timer:02X}:{ticks:08X} \
             00000000 {user:5}        0 {inode}"
        )
    }
}

impl Line {
    /// Its queues, as who asks for them by netlink is told.
    pub(in crate::socket) fn diagnosed_queues(&self) -> [usize; 2] {
        let [sent, received] = self.queues;
        if self.state == LISTENING { [self.backlog, received] } else { [sent, received] }
    }
}

/// An endpoint in the machine's order of bytes.
fn shown(end: Endpoint, is_v6: bool) -> String {
    let word = |bytes: &[u8]| bytes.iter().rev().fold(0_u32, |word, &b| word << 8 | u32::from(b));
    let octets = match end.ip {
        IpAddr::V4(ip) if !is_v6 => return format!("{:08X}:{:04X}", word(&ip.octets()), end.port),
        IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
        IpAddr::V6(ip) => ip.octets(),
    };
    let words: String = octets.chunks(4).map(|four| format!("{:08X}", word(four))).collect();
    format!("{words}:{:04X}", end.port)
}

fn nowhere(is_v6: bool) -> IpAddr {
    if is_v6 { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() }
}

impl List {
    fn has(self, inet: &Inet) -> bool {
        match inet.rules() {
            Rules::Stream => self == List::Tcp,
            Rules::Datagram => self == List::Udp,
            Rules::Lite => self == List::UdpLite,
            Rules::Echo => self == List::Echo,
        }
    }

    /// The first line.
    fn heading(self, is_v6: bool) -> String {
        let addresses = match is_v6 {
            true => {
                "  sl  local_address                         remote_address                        st"
            }
            false => "  sl  local_address rem_address   st",
        };
        let indent = if matches!(self, List::Udp | List::UdpLite) && !is_v6 { " " } else { "" };
        let more = if self == List::Tcp { "" } else { MORE };
        format!("{indent}{addresses} {COLUMNS}{more}")
    }

    /// A line as it stands in the file.
    fn end(self, line: String, is_v6: bool) -> String {
        match self {
            _ if is_v6 || self == List::Raw => format!("{line}\n"),
            List::Tcp => format!("{line:TCP_BYTES$}\n"),
            _ => format!("{line:UDP_BYTES$}\n"),
        }
    }
}

impl Kernel {
    /// A whole file.
    pub(crate) fn inet_sockets_text(&self, now: SimTime, list: List, is_v6: bool) -> String {
        let mut text = list.end(list.heading(is_v6), is_v6);
        let digits = if list == List::Tcp { 4 } else { 5 };
        for (number, line) in self.inet_lines(now, list, is_v6).iter().enumerate() {
            let end = match line.state {
                _ if list != List::Tcp => "2 0000000000000000 0",
                LISTENING => "1 0000000000000000 100 0 0 10 0",
                _ if line.timer.0 == TIME_WAIT_TIMER => "3 0000000000000000",
                _ => "2 0000000000000000 20 4 0 10 -1",
            };
            text += &list.end(format!("{number:digits$}: {} {end}", line.text(is_v6)), is_v6);
        }
        text
    }

    /// The lines of a list.
    pub(in crate::socket) fn inet_lines(&self, now: SimTime, list: List, is_v6: bool) -> Vec<Line> {
        let is_listed = |inet: &Inet| {
            let is_here = matches!(inet.role, Role::Datagram(_)) || inet.is_listening();
            inet.is_v6 == is_v6 && list.has(inet) && inet.port != 0 && is_here
        };
        let sockets = self.sockets.sockets.iter();
        let mut lines: Vec<Line> = sockets
            .filter_map(|(&id, socket)| Some((id, socket, socket.family.inet().ok()?)))
            .filter(|(_, _, inet)| is_listed(inet))
            .map(|(id, socket, inet)| self.line_of(id, socket, inet))
            .collect();
        if list == List::Tcp {
            let connections = self.sockets.network.identified_connections();
            lines.extend(
                connections.filter_map(|(id, it)| self.line_of_connection(now, id, it, is_v6)),
            );
        }
        lines
    }

    /// TCP_INFO of a line's connection, or of one that listens.
    pub(in crate::socket) fn info_of(&self, now: SimTime, line: &Line) -> Option<Vec<u8>> {
        if line.state == LISTENING {
            let mut info = alloc::vec![0; crate::net::tcp::INFO_BYTES];
            info[0] = LISTENING;
            return Some(info);
        }
        let connection = self.sockets.network.connection(line.connection?)?;
        let is_past = connection.tcp.state == State::TimeWait;
        (!is_past).then(|| connection.tcp.info(now).bytes().to_vec())
    }

    /// The name of the congestion control of a line's connection.
    pub(in crate::socket) fn congestion_of(&self, line: &Line) -> Option<String> {
        let is_past = line.timer.0 == TIME_WAIT_TIMER;
        let is_stream = line.connection.is_some() || line.state == LISTENING;
        let socket = line.socket.and_then(|id| self.sockets.inet(id).ok());
        let name = socket.map_or_else(|| b"reno".to_vec(), |inet| inet.options.congestion_name());
        (is_stream && !is_past).then(|| String::from_utf8_lossy(&name).into_owned())
    }

    fn inet_sockets(&self) -> impl Iterator<Item = (&Socket, &Inet)> + '_ {
        let all = self.sockets.sockets.values();
        all.filter_map(|socket| Some((socket, socket.family.inet().ok()?)))
    }

    fn inode_of(&self, socket: &Socket) -> u64 {
        self.files.get(socket.file).map_or(0, |file| file.inode)
    }

    fn line_of(&self, id: SocketId, socket: &Socket, inet: &Inet) -> Line {
        let none = nowhere(inet.is_v6);
        let (state, queues, backlog) = match &inet.role {
            Role::Stream(stream) => (LISTENING, [0, stream.queue.len()], stream.backlog),
            Role::Datagram(datagrams) => {
                let state = if inet.remote.is_some() { CONNECTED } else { UNCONNECTED };
                (state, [0, datagrams.charged_bytes], 0)
            }
        };
        Line {
            local: Endpoint { ip: inet.local.unwrap_or(none), port: inet.port },
            remote: inet.remote.unwrap_or(Endpoint { ip: none, port: 0 }),
            state,
            queues,
            backlog,
            timer: (0, 0),
            user: socket.user,
            inode: self.inode_of(socket),
            shut: socket.shut_directions(),
            is_only_v6: inet.reach == Reach::V6,
            cookie: id.0.into(),
            socket: Some(id),
            connection: None,
        }
    }

    /// A connection, if it is one of this family.
    fn line_of_connection(
        &self,
        now: SimTime,
        id: ConnectionId,
        connection: &Connection,
        is_v6: bool,
    ) -> Option<Line> {
        let socket = |id: SocketId| self.sockets.get(id).ok();
        let (of, own) = match connection.owner {
            Owner::Socket(id) => (socket(id), socket(id)),
            Owner::Listener(id) | Owner::Queue(id) => (socket(id), None),
            Owner::Resolver | Owner::Nobody => (None, None),
        };
        let of_v6 = of.and_then(|of| of.family.inet().ok()).map(|inet| inet.is_v6);
        let tcp = &connection.tcp;
        if of_v6.unwrap_or(connection.local.ip.is_ipv6()) != is_v6 || tcp.state == State::Closed {
            return None;
        }
        let is_past = tcp.state == State::TimeWait;
        let left_ns = connection.planned.as_ns().saturating_sub(now.as_ns());
        let timer = if is_past { (TIME_WAIT_TIMER, left_ns.div_ceil(TICK_NS)) } else { (0, 0) };
        let queues =
            if is_past { [0; 2] } else { [tcp.unacknowledged_bytes(), tcp.unread_bytes()] };
        Some(Line {
            local: connection.local,
            remote: connection.remote,
            state: tcp.state.number(),
            queues,
            timer,
            backlog: 0,
            user: own.map_or(0, |socket| socket.user),
            inode: own.map_or(0, |socket| self.inode_of(socket)),
            shut: own.map_or(0, Socket::shut_directions),
            is_only_v6: false,
            // Above the numbers of sockets.
            cookie: 1 << 32 | u64::from(id.0),
            socket: match connection.owner {
                Owner::Socket(id) | Owner::Listener(id) | Owner::Queue(id) => Some(id),
                Owner::Resolver | Owner::Nobody => None,
            },
            connection: Some(id),
        })
    }

    /// `/proc/net/sockstat` and `sockstat6`.
    pub(crate) fn socket_statistics_text(&self, is_v6: bool) -> String {
        let count = |list: List| {
            let of = self.inet_sockets().filter(|(_, inet)| inet.is_v6 == is_v6 && list.has(inet));
            of.filter(|(_, inet)| inet.port != 0).count()
        };
        // Connections that nobody has taken, of listeners of a family or of all.
        let untaken = |wanted: Option<bool>| {
            let owners = self.sockets.network.connections().map(|it| it.owner);
            let of = owners.filter_map(|owner| match owner {
                Owner::Queue(id) => self.sockets.inet(id).ok(),
                _ => None,
            });
            of.filter(|inet| wanted.is_none_or(|is_v6| inet.is_v6 == is_v6)).count()
        };
        let tcp = count(List::Tcp) + untaken(Some(is_v6));
        let (udp, lite) = (count(List::Udp), count(List::UdpLite));
        if is_v6 {
            return format!(
                "TCP6: inuse {tcp}\nUDP6: inuse {udp}\nUDPLITE6: inuse {lite}\nRAW6: inuse 0\n\
                 FRAG6: inuse 0 memory 0\n"
            );
        }
        let used = self.sockets.sockets.len() + untaken(None);
        let all = self.inet_sockets().filter(|(_, inet)| inet.rules() == Rules::Stream).count();
        let ends = |of_nobody: bool| {
            let connections = self.sockets.network.connections();
            let is_orphan = |it: &&Connection| it.owner == Owner::Nobody;
            connections
                .filter(is_orphan)
                .filter(move |it| (it.tcp.state == State::TimeWait) != of_nobody)
        };
        let (orphans, remembered) = (ends(true).count(), ends(false).count());
        format!(
            "sockets: used {used}\n\
             TCP: inuse {tcp} orphan {orphans} tw {remembered} alloc {all} mem 0\n\
             UDP: inuse {udp} mem 0\nUDPLITE: inuse {lite}\nRAW: inuse 0\nFRAG: inuse 0 memory 0\n"
        )
    }
}
