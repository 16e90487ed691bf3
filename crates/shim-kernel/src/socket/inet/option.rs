//! Options of IP, IPv6, TCP and UDP: see ip(7), ipv6(7), tcp(7).
//!
//! Levels, numbers and values in and out. Always true: what can be set to a number is a line of [`ROWS`], with the
//! values that Linux takes; what is in no line is ENOPROTOOPT, and the shim names it.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr};

use shim_abi::{Errno, SimDuration, SimTime};

use super::{Inet, Phase, Reach, Role};
use crate::context::{Answer, Context, done};
use crate::guest::GuestAddr;
use crate::kernel::Kernel;
use crate::memory::read_u32;
use crate::net::tcp::State;
use crate::socket::SocketId;

pub(super) const IP: i32 = libc::IPPROTO_IP;
pub(super) const IPV6: i32 = libc::IPPROTO_IPV6;
const TCP: i32 = libc::IPPROTO_TCP;
const UDP: i32 = libc::IPPROTO_UDP;
// What follows is not in libc's crate for every C library. Nobody sends options of IP, so that none are shown.
const IP_RECVOPTS: i32 = 6;
const IP_RETOPTS: i32 = 7;
pub(super) const IP_RECVTTL: i32 = 12;
pub(super) const IP_RECVTOS: i32 = 13;
const IP_FREEBIND: i32 = 15;
pub(super) const IP_RECVORIGDSTADDR: i32 = 20;
const IP_MINTTL: i32 = 21;
const IP_BIND_ADDRESS_NO_PORT: i32 = 24;
const IP_MULTICAST_ALL: i32 = 49;
pub(super) const IPV6_RECVERR: i32 = 25;
pub(super) const IPV6_RECVPKTINFO: i32 = 49;
pub(super) const IPV6_PKTINFO: i32 = 50;
pub(super) const IPV6_RECVHOPLIMIT: i32 = 51;
pub(super) const IPV6_HOPLIMIT: i32 = 52;
pub(super) const IPV6_RECVTCLASS: i32 = 66;
pub(super) const IPV6_TCLASS: i32 = 67;
const IPV6_DONTFRAG: i32 = 62;
/// What every interface carries that carries IPv6.
const V6_MIN_MTU: i32 = 1280;
const IP_PMTUDISC_INTERFACE: i32 = 4;
const IPV6_AUTOFLOWLABEL: i32 = 70;
pub(super) const IPV6_RECVORIGDSTADDR: i32 = 74;
const UDP_CORK: i32 = 1;
pub(super) const UDP_SEGMENT: i32 = 103;
/// What belongs together may be received as one: here it never is.
const UDP_GRO: i32 = 104;
const TCP_FASTOPEN: i32 = 23;
const TCP_NOTSENT_LOWAT: i32 = 25;
/// The interface that there is.
pub(super) const LOOPBACK_INDEX: u32 = 1;
const DEFAULT_HOPS: i32 = 64;
/// No segment may be asked to be larger, or smaller.
const MAX_SEGMENT_BYTES: i32 = 32_767;
const MIN_SEGMENT_BYTES: i32 = 88;
/// No name of a congestion control is longer.
pub(super) const MAX_NAME_BYTES: usize = 16;

/// An option that is a number.
struct Row {
    level: i32,
    option: i32,
    default: i32,
    /// The values that there are; for one that is on or off whatever is not 0 is 1.
    values: core::ops::RangeInclusive<i32>,
}

const fn number(
    level: i32,
    option: i32,
    default: i32,
    values: core::ops::RangeInclusive<i32>,
) -> Row {
    Row { level, option, default, values }
}
const fn switch(level: i32, option: i32, default: i32) -> Row {
    Row { level, option, default, values: 0..=1 }
}

const ROWS: &[Row] = &[
    number(IP, libc::IP_TOS, 0, 0..=255),
    number(IP, libc::IP_TTL, DEFAULT_HOPS, -1..=255),
    switch(IP, libc::IP_PKTINFO, 0),
    number(IP, libc::IP_MTU_DISCOVER, 1, 0..=5),
    switch(IP, IP_RECVOPTS, 0),
    switch(IP, IP_RETOPTS, 0),
    switch(IP, libc::IP_RECVERR, 0),
    switch(IP, IP_RECVTTL, 0),
    switch(IP, IP_RECVTOS, 0),
    switch(IP, IP_FREEBIND, 0),
    switch(IP, IP_RECVORIGDSTADDR, 0),
    number(IP, IP_MINTTL, 0, 0..=255),
    switch(IP, IP_BIND_ADDRESS_NO_PORT, 0),
    number(IP, libc::IP_MULTICAST_TTL, 1, -1..=255),
    switch(IP, libc::IP_MULTICAST_LOOP, 1),
    switch(IP, IP_MULTICAST_ALL, 1),
    switch(IPV6, libc::IPV6_V6ONLY, 0),
    number(IPV6, libc::IPV6_UNICAST_HOPS, DEFAULT_HOPS, -1..=255),
    number(IPV6, libc::IPV6_MULTICAST_HOPS, 1, -1..=255),
    switch(IPV6, libc::IPV6_MULTICAST_LOOP, 1),
    number(IPV6, libc::IPV6_MTU_DISCOVER, 1, 0..=5),
    number(IPV6, libc::IPV6_MTU, 0, 0..=i32::MAX),
    switch(IPV6, IPV6_RECVERR, 0),
    switch(IPV6, IPV6_RECVPKTINFO, 0),
    switch(IPV6, IPV6_RECVHOPLIMIT, 0),
    switch(IPV6, IPV6_RECVTCLASS, 0),
    number(IPV6, IPV6_TCLASS, 0, -1..=255),
    switch(IPV6, IPV6_DONTFRAG, 0),
    switch(IPV6, IPV6_AUTOFLOWLABEL, 1),
    switch(IPV6, IPV6_RECVORIGDSTADDR, 0),
    switch(UDP, UDP_CORK, 0),
    number(UDP, UDP_SEGMENT, 0, 0..=65_535),
    switch(UDP, UDP_GRO, 0),
    switch(TCP, libc::TCP_NODELAY, 0),
    number(TCP, libc::TCP_MAXSEG, 0, 0..=MAX_SEGMENT_BYTES),
    switch(TCP, libc::TCP_CORK, 0),
    number(TCP, libc::TCP_KEEPIDLE, 7200, 1..=32_767),
    number(TCP, libc::TCP_KEEPINTVL, 75, 1..=32_767),
    number(TCP, libc::TCP_KEEPCNT, 9, 1..=127),
    number(TCP, libc::TCP_SYNCNT, 6, 1..=127),
    number(TCP, libc::TCP_LINGER2, 60, i32::MIN..=i32::MAX),
    number(TCP, libc::TCP_DEFER_ACCEPT, 0, i32::MIN..=i32::MAX),
    number(TCP, libc::TCP_WINDOW_CLAMP, 0, 0..=i32::MAX),
    switch(TCP, libc::TCP_QUICKACK, 1),
    number(TCP, libc::TCP_USER_TIMEOUT, 0, 0..=i32::MAX),
    number(TCP, TCP_FASTOPEN, 0, 0..=i32::MAX),
    number(TCP, TCP_NOTSENT_LOWAT, -1, i32::MIN..=i32::MAX),
];

fn row(level: i32, option: i32) -> Option<&'static Row> {
    ROWS.iter().find(|row| row.level == level && row.option == option)
}

/// What a user has set.
#[derive(Clone, Debug, Default)]
pub(super) struct InetOptions {
    /// Those that are not as they were at first.
    values: BTreeMap<(i32, i32), i32>,
    /// Groups that the socket has joined.
    pub(super) groups: Vec<IpAddr>,
    /// SO_BINDTODEVICE.
    pub(super) is_bound_to_loopback: bool,
    /// IP_MULTICAST_IF.
    pub(super) group_source: Option<Ipv4Addr>,
    /// TCP_CONGESTION, if it was set.
    congestion: Option<Vec<u8>>,
}

impl InetOptions {
    fn value(&self, level: i32, option: i32) -> i32 {
        let default = || row(level, option).map_or(0, |row| row.default);
        self.values.get(&(level, option)).copied().unwrap_or_else(default)
    }
    pub(super) fn is_on(&self, level: i32, option: i32) -> bool {
        self.value(level, option) != 0
    }
    /// Whether all are as they were at first.
    pub(super) fn is_untouched(&self) -> bool {
        self.values.is_empty()
    }
    /// What a connection has from its listener.
    pub(super) fn of_child(&self) -> InetOptions {
        InetOptions { groups: Vec::new(), ..self.clone() }
    }
    /// TCP_CONGESTION.
    pub(super) fn congestion_name(&self) -> Vec<u8> {
        self.congestion.clone().unwrap_or_else(|| b"cubic".to_vec())
    }
    /// Whether a datagram is put together until somebody says otherwise.
    pub(super) fn is_datagram_corked(&self) -> bool {
        self.is_on(UDP, UDP_CORK)
    }
    /// The size of the datagrams into which one is cut.
    pub(super) fn segment_bytes(&self) -> Option<usize> {
        usize::try_from(self.value(UDP, UDP_SEGMENT)).ok().filter(|&bytes| bytes > 0)
    }
    pub(super) fn is_free_to_bind(&self) -> bool {
        self.is_on(IP, IP_FREEBIND)
    }
    /// Whether it gets what is sent to a group that somebody on this machine has joined.
    pub(super) fn has_joined(&self, group: IpAddr) -> bool {
        let takes_all = group.is_ipv4() && self.is_on(IP, IP_MULTICAST_ALL);
        !group.is_multicast() || takes_all || self.groups.contains(&group)
    }
    /// Groups that it has joined, which it leaves when it is gone.
    pub(super) fn groups(&self) -> &[IpAddr] {
        &self.groups
    }
    /// Whether it is told in detail of packets of a family that did not arrive.
    pub(super) fn wants_failures(&self, is_v4: bool) -> bool {
        match is_v4 {
            true => self.is_on(IP, libc::IP_RECVERR),
            false => self.is_on(IPV6, IPV6_RECVERR),
        }
    }
    /// Whether it is told what a way carries.
    pub(super) fn learns_of_mtu(&self, is_v4: bool) -> bool {
        match is_v4 {
            true => self.is_on(IP, libc::IP_MTU_DISCOVER),
            false => self.is_on(IPV6, libc::IPV6_MTU_DISCOVER),
        }
    }
    /// Whether what it sends may not be cut: IP_PMTUDISC_DO, IP_PMTUDISC_PROBE, IP_PMTUDISC_INTERFACE; IPV6_DONTFRAG.
    pub(super) fn is_never_cut(&self, is_v4: bool) -> bool {
        let how = match is_v4 {
            true => self.value(IP, libc::IP_MTU_DISCOVER),
            false => self.value(IPV6, libc::IPV6_MTU_DISCOVER),
        };
        (libc::IP_PMTUDISC_DO..=IP_PMTUDISC_INTERFACE).contains(&how)
            || !is_v4 && self.is_on(IPV6, IPV6_DONTFRAG)
    }
    /// How long the parts may be into which what it sends is cut: IPV6_MTU; 0: as long as the interface allows.
    pub(super) fn most_bytes(&self, is_v4: bool) -> u16 {
        let most = if is_v4 { 0 } else { self.value(IPV6, libc::IPV6_MTU) };
        u16::try_from(most).unwrap_or(0)
    }
    /// Whether what it sends to groups comes back to this machine.
    pub(super) fn hears_itself(&self, is_v4: bool) -> bool {
        match is_v4 {
            true => self.is_on(IP, libc::IP_MULTICAST_LOOP),
            false => self.is_on(IPV6, libc::IPV6_MULTICAST_LOOP),
        }
    }
    /// IP_MULTICAST_IF: from which address it sends to groups.
    pub(super) fn group_source(&self) -> Option<IpAddr> {
        self.group_source.map(IpAddr::V4)
    }

    /// Hop limit and class of what is sent to an address.
    pub(super) fn marks_to(&self, ip: IpAddr) -> (u8, u8) {
        let many = ip.is_multicast();
        let (level, hops, class) = match (ip.is_ipv4(), many) {
            (true, false) => (IP, libc::IP_TTL, libc::IP_TOS),
            (true, true) => (IP, libc::IP_MULTICAST_TTL, libc::IP_TOS),
            (false, false) => (IPV6, libc::IPV6_UNICAST_HOPS, IPV6_TCLASS),
            (false, true) => (IPV6, libc::IPV6_MULTICAST_HOPS, IPV6_TCLASS),
        };
        let hops = u8::try_from(self.value(level, hops));
        (hops.unwrap_or(DEFAULT_HOPS as u8), self.value(level, class).max(0) as u8)
    }
}

impl Inet {
    /// SO_BINDTODEVICE, with the NUL of C.
    pub(in crate::socket) fn device_name(&self) -> &'static [u8] {
        if self.options.is_bound_to_loopback { b"lo\0" } else { b"" }
    }
    /// Whether a socket has options of a level.
    fn has_level(&self, level: i32) -> bool {
        match level {
            IP => true,
            IPV6 => self.is_v6,
            TCP => matches!(self.role, Role::Stream(_)),
            UDP => matches!(self.role, Role::Datagram(_)),
            _ => false,
        }
    }
}

impl Context<'_> {
    pub(in crate::socket) fn set_inet_option(
        &mut self,
        id: SocketId,
        level: i32,
        option: i32,
        from: GuestAddr,
        bytes: i32,
    ) -> Answer {
        let inet = self.kernel.sockets.inet(id)?;
        if !inet.has_level(level) {
            return Err(Errno::ENOPROTOOPT);
        }
        match (level, option) {
            (TCP, libc::TCP_CONGESTION) => return self.set_congestion(id, from, bytes),
            (IP, libc::IP_ADD_MEMBERSHIP | libc::IP_DROP_MEMBERSHIP)
            | (IPV6, libc::IPV6_ADD_MEMBERSHIP | libc::IPV6_DROP_MEMBERSHIP) => {
                return self.change_groups(id, level, option, from, bytes);
            }
            (IP, libc::IP_OPTIONS) if bytes == 0 => return done(0),
            (IP, libc::IP_MULTICAST_IF) => return self.set_group_source(id, from, bytes),
            (IPV6, libc::IPV6_MULTICAST_IF) => return self.set_group_interface(from, bytes),
            (IP, libc::IP_TRANSPARENT) => return Err(Errno::EPERM),
            _ => {}
        }
        let row = row(level, option).ok_or(Errno::ENOPROTOOPT)?;
        let value = match bytes {
            4.. => read_u32(self.guest, from)? as i32,
            // Options of IP may be one byte.
            1.. if level == IP => {
                let mut byte = [0];
                self.guest.read(from, &mut byte)?;
                byte[0].into()
            }
            0 if level == IP => 0,
            _ => return Err(Errno::EINVAL),
        };
        let is_switch = row.values == (0..=1);
        let value = if is_switch { (value != 0).into() } else { value };
        let value = match (level, option) {
            (IP, libc::IP_TOS) => value & 0xff,
            (TCP, libc::TCP_LINGER2) if value > 120 => 120,
            (TCP, libc::TCP_LINGER2) if value < 0 => -1,
            (TCP, libc::TCP_LINGER2) if value == 0 => row.default,
            (TCP, libc::TCP_DEFER_ACCEPT) => value.max(0),
            _ => value,
        };
        let is_forbidden = match (level, option) {
            (IP, libc::IP_TTL) => value == 0,
            (TCP, libc::TCP_MAXSEG) => value != 0 && value < MIN_SEGMENT_BYTES,
            (IPV6, libc::IPV6_V6ONLY) => inet.port != 0,
            (IPV6, libc::IPV6_MTU) => value != 0 && value < V6_MIN_MTU,
            _ => false,
        };
        if is_forbidden || !row.values.contains(&value) {
            return Err(Errno::EINVAL);
        }
        let inet = self.kernel.sockets.inet_mut(id)?;
        inet.options.values.insert((level, option), value);
        if (level, option) == (IPV6, libc::IPV6_V6ONLY) {
            inet.reach = if value != 0 { Reach::V6 } else { Reach::Both };
        }
        if (level, option, value) == (UDP, UDP_CORK, 0) {
            self.uncork(id)?;
        }
        self.kernel.apply_options(self.now, id);
        let connection = self.kernel.sockets.inet(id)?.connection();
        let network = &mut self.kernel.sockets.network;
        if let Some(it) = connection.and_then(|it| network.connection_mut(it)) {
            match (level, option) {
                (TCP, libc::TCP_NODELAY | libc::TCP_CORK) => it.tcp.push_pending(self.now),
                (TCP, libc::TCP_QUICKACK) => it.tcp.set_quick_answers(value != 0),
                (TCP, libc::TCP_KEEPIDLE) => it.tcp.plan_keepalive(self.now),
                _ => {}
            }
        }
        self.kernel.settle_network(self.now);
        done(0)
    }

    pub(in crate::socket) fn inet_option(
        &mut self,
        id: SocketId,
        level: i32,
        option: i32,
        to: GuestAddr,
        bytes_at: GuestAddr,
    ) -> Answer {
        let room = read_u32(self.guest, bytes_at)? as i32;
        let room = usize::try_from(room).map_err(|_| Errno::EINVAL)?;
        let inet = self.kernel.sockets.inet(id)?;
        if !inet.has_level(level) {
            return Err(if inet.is_v6 { Errno::ENOPROTOOPT } else { Errno::EOPNOTSUPP });
        }
        let network = &self.kernel.sockets.network;
        let tcp = inet.connection().and_then(|it| network.connection(it)).map(|it| &it.tcp);
        let mut value: Vec<u8> = match (level, option) {
            (TCP, libc::TCP_INFO) => match tcp {
                Some(tcp) => tcp.info(self.now).bytes().to_vec(),
                None => {
                    let mut info = alloc::vec![0; crate::net::tcp::INFO_BYTES];
                    const LISTEN: u8 = 10;
                    info[0] = if inet.is_listening() { LISTEN } else { State::Closed.number() };
                    info
                }
            },
            // None can be set.
            (IP, libc::IP_OPTIONS) => Vec::new(),
            (IP, libc::IP_MULTICAST_IF) => {
                let ip = inet.options.group_source.unwrap_or(Ipv4Addr::UNSPECIFIED);
                ip.octets().to_vec()
            }
            (TCP, libc::TCP_CONGESTION) => {
                let mut name = inet.options.congestion_name();
                name.resize(MAX_NAME_BYTES, 0);
                name
            }
            (TCP, libc::TCP_MAXSEG) => {
                let set = inet.options.value(level, option);
                let shown = match tcp {
                    Some(tcp) if tcp.is_synchronized() => tcp.segment_bytes() as i32,
                    _ if set != 0 => set,
                    _ => 536,
                };
                shown.to_le_bytes().to_vec()
            }
            (TCP, libc::TCP_QUICKACK) => {
                let is_on = tcp.is_none_or(|tcp| tcp.has_quick_answers());
                i32::from(is_on).to_le_bytes().to_vec()
            }
            (IP, libc::IP_MTU) | (IPV6, libc::IPV6_MTU) => {
                let remote = inet.remote.ok_or(Errno::ENOTCONN)?;
                let mtu = self.kernel.sockets.network.mtu_to(remote.ip);
                mtu.to_le_bytes().to_vec()
            }
            _ => {
                let row = row(level, option).ok_or(Errno::ENOPROTOOPT)?;
                let shown = inet.options.value(row.level, row.option);
                let shown = match (level, option) {
                    (_, libc::IPV6_UNICAST_HOPS) if level == IPV6 && shown < 0 => DEFAULT_HOPS,
                    (_, libc::IP_TTL) if level == IP && shown < 0 => DEFAULT_HOPS,
                    _ => shown,
                };
                // As Linux does where there is no room for more.
                match u8::try_from(shown) {
                    Ok(byte) if level == IP && (1..4).contains(&room) => alloc::vec![byte],
                    _ => shown.to_le_bytes().to_vec(),
                }
            }
        };
        value.truncate(room);
        self.guest.write(to, &value)?;
        self.guest.write(bytes_at, &(value.len() as u32).to_le_bytes())?;
        done(0)
    }

    /// TCP_CONGESTION.
    fn set_congestion(&mut self, id: SocketId, from: GuestAddr, bytes: i32) -> Answer {
        if bytes < 1 {
            return Err(Errno::EINVAL);
        }
        let mut name = alloc::vec![0; (bytes as usize).min(MAX_NAME_BYTES - 1)];
        self.guest.read(from, &mut name)?;
        let end = name.iter().position(|&byte| byte == 0).unwrap_or(name.len());
        name.truncate(end);
        if !matches!(name.as_slice(), b"reno" | b"cubic") {
            return Err(Errno::ENOENT);
        }
        self.kernel.sockets.inet_mut(id)?.options.congestion = Some(name);
        self.kernel.apply_options(self.now, id);
        done(0)
    }
}

impl Kernel {
    /// Options of a socket have changed: let its stream, and others who use its port, know.
    pub(in crate::socket) fn apply_options(&mut self, now: SimTime, id: SocketId) {
        let Ok(socket) = self.sockets.get_mut(id) else { return };
        let shared = &socket.options;
        let is_kept_alive = shared.has(libc::SO_KEEPALIVE);
        let is_urgent_inline = shared.has(libc::SO_OOBINLINE);
        let send_limit_bytes = shared.send_bytes;
        let is_send_limit_fixed = shared.is_send_size_fixed;
        let receive = (shared.receive_bytes / 2, shared.is_receive_size_fixed);
        let Ok(inet) = socket.family.inet_mut() else { return };
        let options = &inet.options;
        let number = |option| options.value(TCP, option).max(0) as u32;
        let secs = |option| SimDuration::from_secs(number(option).into());
        let is_on = |option| options.is_on(TCP, option);
        let user_segment_bytes = number(libc::TCP_MAXSEG) as usize;
        let deferral_secs = number(libc::TCP_DEFER_ACCEPT);
        let user_timeout =
            SimDuration::from_ns(u64::from(number(libc::TCP_USER_TIMEOUT)) * 1_000_000);
        let is_reno = options.congestion.as_deref() == Some(b"reno");
        let (has_no_delay, is_corked) = (is_on(libc::TCP_NODELAY), is_on(libc::TCP_CORK));
        let times = [libc::TCP_KEEPIDLE, libc::TCP_KEEPINTVL, libc::TCP_LINGER2].map(secs);
        let [keep_idle, keep_interval, fin_timeout] = times;
        let (keep_count, syn_retries) = (number(libc::TCP_KEEPCNT), number(libc::TCP_SYNCNT));
        let Ok(stream) = inet.stream_mut() else { return };
        stream.deferral_secs = deferral_secs;
        stream.settings = crate::net::tcp::Settings {
            way_segment_bytes: stream.settings.way_segment_bytes,
            user_segment_bytes,
            send_limit_bytes,
            is_send_limit_fixed,
            device_room_bytes: stream.settings.device_room_bytes,
            receive_limit_bytes: receive.0,
            is_receive_limit_fixed: receive.1,
            has_no_delay,
            is_corked,
            is_kept_alive,
            is_urgent_inline,
            keep_idle,
            keep_interval,
            keep_count,
            user_timeout,
            is_reno,
            syn_retries,
            fin_timeout,
        };
        let settings = stream.settings;
        let is_fresh = stream.phase == Phase::Fresh;
        let Some(connection) = stream.connection.filter(|_| !is_fresh) else { return };
        let Some(it) = self.sockets.network.connection_mut(connection) else { return };
        it.tcp.set_settings(now, settings);
    }
}
