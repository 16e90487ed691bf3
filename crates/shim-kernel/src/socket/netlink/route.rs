//! RTM_GETROUTE: all routes, or the one to an address.
//!
//! A question in, routes out, each family's as Linux writes them.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use shim_abi::Errno;

use super::message::{Message, Writer, flag};
use super::request::{List, Question};
use crate::memory::u32_at;
use crate::net::interfaces::{LOCAL_TABLE, LOOPBACK, MAIN_TABLE, Route, Way};

const NEW_ROUTE: u16 = 24;
/// Bytes of a `struct rtmsg`, and where its parts are.
const BYTES: usize = 12;
const TABLE_BYTE: usize = 4;
const PROTOCOL_BYTE: usize = 5;
const WAY_BYTE: usize = 7;
const FLAGS: usize = 8;
/// `RTA_*`.
const TARGET: u16 = 1;
const SOURCE: u16 = 2;
const INTERFACE: u16 = 4;
const METRIC: u16 = 6;
const OWN_ADDRESS: u16 = 7;
const CACHE_INFO: u16 = 12;
const TABLE: u16 = 15;
const PREFERENCE: u16 = 20;
const USER: u16 = 25;
/// RTM_F_CLONED: made for one packet; RTM_F_FIB_MATCH: as it stands in the table.
const CLONED: u32 = 0x200;
const FROM_TABLE: u32 = 0x2000;
/// RTCF_LOCAL and RTCF_BROADCAST.
const IS_LOCAL: u32 = 0x8000_0000;
const IS_BROADCAST: u32 = 0x1000_0000;
const IS_MULTICAST: u32 = 0x2000_0000;
/// RTPROT_KERNEL.
const KERNEL: u8 = 2;
/// `RT_SCOPE_*`.
const UNIVERSE: u8 = 0;
const LINK: u8 = 253;
const HOST: u8 = 254;

/// What a list is to have in it.
struct Filter {
    table: u32,
    protocol: u8,
    way: u8,
    interface: u32,
    is_of_cache: bool,
}

impl Filter {
    fn of(question: &Question<'_>) -> Filter {
        let message = &question.message;
        let none = Filter { table: 0, protocol: 0, way: 0, interface: 0, is_of_cache: false };
        let Some(fixed) = message.body().get(..BYTES) else { return none };
        let is_of_cache = u32_at(fixed, FLAGS) & CLONED != 0;
        if !question.is_strict {
            return Filter { is_of_cache, ..none };
        }
        Filter {
            table: message.number(BYTES, TABLE).unwrap_or(fixed[TABLE_BYTE].into()),
            protocol: fixed[PROTOCOL_BYTE],
            way: fixed[WAY_BYTE],
            interface: message.number(BYTES, INTERFACE).unwrap_or(0),
            is_of_cache,
        }
    }
    /// Whether it leaves something out.
    fn is_set(&self) -> bool {
        [self.table, self.protocol.into(), self.way.into(), self.interface] != [0; 4]
    }
    fn takes(&self, route: &Route) -> bool {
        (self.table == 0 || self.table == route.table)
            && (self.protocol == 0 || self.protocol == KERNEL)
            && (self.way == 0 || self.way == route.way as u8)
            && (self.interface == 0 || self.interface == route.interface)
    }
}

pub(super) fn list(question: &Question<'_>) -> Result<List, Errno> {
    question.check_size(BYTES)?;
    let asked = question.message.family();
    let filter = Filter::of(question);
    if filter.is_of_cache {
        return Ok(List::default());
    }
    if !matches!(filter.table, 0 | MAIN_TABLE | LOCAL_TABLE) && asked != libc::AF_UNSPEC {
        return Ok(List::failed(Errno::ENOENT, true));
    }
    if filter.interface != 0 && question.network.interfaces().len() < filter.interface as usize {
        return Ok(List::failed(Errno::ENODEV, true));
    }
    let flags = if question.is_strict { flag::DUMP_FILTERED } else { 0 };
    let mut list = List { is_filtered: filter.is_set(), ..List::default() };
    for is_v4 in [true, false] {
        let family = if is_v4 { libc::AF_INET } else { libc::AF_INET6 };
        if asked == family || !matches!(asked, libc::AF_INET | libc::AF_INET6) {
            let routes = question.network.routes(is_v4);
            for route in routes.iter().filter(|route| filter.takes(route)) {
                write(question, &mut list.writer, flag::MULTI | flags, route);
            }
        }
    }
    Ok(list)
}

/// A route as it stands in its table.
fn write(question: &Question<'_>, writer: &mut Writer, flags: u16, route: &Route) {
    let scope = match (route.target, route.way) {
        (IpAddr::V6(_), _) => UNIVERSE,
        (IpAddr::V4(_), Way::Local) => HOST,
        (IpAddr::V4(_), _) => LINK,
    };
    let family = if route.target.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 } as u8;
    let (table, way) = (route.table as u8, route.way as u8);
    question.write(writer, NEW_ROUTE, flags, |writer| {
        writer.put(&[family, route.bits, 0, 0, table, KERNEL, scope, way, 0, 0, 0, 0]);
        writer.number(TABLE, route.table);
        match route.target {
            IpAddr::V4(ip) => {
                if route.bits > 0 {
                    writer.attribute(TARGET, &ip.octets());
                }
                if let Some(source) = route.source {
                    writer.attribute(OWN_ADDRESS, &source.octets());
                }
                writer.number(INTERFACE, route.interface);
            }
            IpAddr::V6(ip) => {
                if route.bits > 0 {
                    writer.attribute(TARGET, &ip.octets());
                }
                writer.number(METRIC, route.metric);
                writer.number(INTERFACE, route.interface);
                writer.attribute(CACHE_INFO, &[0; 32]);
                writer.byte(PREFERENCE, 0);
            }
        }
    });
}

/// An address in an attribute: EINVAL if it is another family's.
fn address(message: &Message<'_>, kind: u16, is_v4: bool) -> Result<Option<IpAddr>, Errno> {
    let Some(data) = message.attribute(BYTES, kind) else { return Ok(None) };
    let ip = if is_v4 {
        data.first_chunk::<4>().map(|ip| IpAddr::V4(Ipv4Addr::from(*ip)))
    } else {
        data.first_chunk::<16>().map(|ip| IpAddr::V6(Ipv6Addr::from(*ip)))
    };
    ip.map(Some).ok_or(Errno::EINVAL)
}

/// The route that a packet would take.
pub(super) fn one(question: &Question<'_>) -> Result<Writer, Errno> {
    question.check_size(BYTES)?;
    let message = &question.message;
    let is_v4 = match message.family() {
        libc::AF_INET => true,
        libc::AF_INET6 => false,
        _ => return Err(Errno::EOPNOTSUPP),
    };
    let fixed = message.body().get(..BYTES).ok_or(Errno::EINVAL)?;
    let target = address(message, TARGET, is_v4)?;
    let source = address(message, SOURCE, is_v4)?.filter(|ip| !ip.is_unspecified());
    let nowhere: IpAddr =
        if is_v4 { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let target = target.unwrap_or(nowhere);
    let network = question.network;
    // As on Linux, nowhere is here.
    let sought = match target {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    let route = network.route_to(sought).ok_or(Errno::ENETUNREACH)?;
    if source.is_some_and(|ip| is_v4 && !network.is_local(ip)) {
        return Err(Errno::EINVAL);
    }
    let interface = message.number(BYTES, INTERFACE).unwrap_or(0);
    if interface != 0 && network.interfaces().len() < interface as usize {
        return Err(if is_v4 { Errno::ENODEV } else { Errno::ENETUNREACH });
    }
    let mut writer = Writer::default();
    if u32_at(fixed, FLAGS) & FROM_TABLE != 0 {
        write(question, &mut writer, 0, &route);
    } else if is_v4 {
        write_v4(question, &mut writer, target, source, &route);
    } else {
        write_v6(question, &mut writer, target, source, &route);
    }
    Ok(writer)
}

/// By which interface a packet goes: to the host itself, by the loopback one.
fn interface_of(route: &Route) -> u32 {
    if route.way == Way::Local { LOOPBACK } else { route.interface }
}

/// Somebody refers to it; nothing else is known of it.
fn cache_info() -> [u8; 32] {
    let mut info = [0; 32];
    info[0] = 1;
    info
}

fn octets(ip: IpAddr) -> ([u8; 16], usize) {
    match ip {
        IpAddr::V4(ip) => {
            let mut bytes = [0; 16];
            bytes[..4].copy_from_slice(&ip.octets());
            (bytes, 4)
        }
        IpAddr::V6(ip) => (ip.octets(), 16),
    }
}

fn put_address(writer: &mut Writer, kind: u16, ip: IpAddr) {
    let (bytes, len) = octets(ip);
    writer.attribute(kind, bytes.get(..len).unwrap_or_default());
}

fn write_v4(
    question: &Question<'_>,
    writer: &mut Writer,
    target: IpAddr,
    source: Option<IpAddr>,
    route: &Route,
) {
    let marks = CLONED
        | match route.way {
            Way::Local => IS_LOCAL,
            Way::Broadcast => IS_LOCAL | IS_BROADCAST,
            Way::Multicast => IS_MULTICAST,
            Way::Unicast => 0,
        };
    // Who sends to itself sends from there.
    let own = match (route.way, target) {
        (Way::Local, ip) if !ip.is_unspecified() && !ip.is_loopback() => Some(ip),
        _ => route.source.map(IpAddr::V4),
    };
    let source_bits = if source.is_some() { 32 } else { 0 };
    let way = route.way as u8;
    question.write(writer, NEW_ROUTE, 0, |writer| {
        let fixed = [libc::AF_INET as u8, 32, source_bits, 0, MAIN_TABLE as u8, 0, UNIVERSE, way];
        writer.put(&fixed);
        writer.put(&marks.to_le_bytes());
        writer.number(TABLE, MAIN_TABLE);
        put_address(writer, TARGET, target);
        if let Some(ip) = source {
            put_address(writer, SOURCE, ip);
        }
        writer.number(INTERFACE, interface_of(route));
        if let Some(ip) = own.filter(|_| source.is_none()) {
            put_address(writer, OWN_ADDRESS, ip);
        }
        writer.number(USER, question.user);
        writer.attribute(CACHE_INFO, &cache_info());
    });
}

fn write_v6(
    question: &Question<'_>,
    writer: &mut Writer,
    target: IpAddr,
    source: Option<IpAddr>,
    route: &Route,
) {
    let interfaces = question.network.interfaces();
    let of_interface = interfaces.iter().find(|it| it.index == route.interface);
    let own = match route.way {
        Way::Local => Some(route.target),
        _ => of_interface.and_then(|it| it.v6).map(|(ip, _)| IpAddr::V6(ip)),
    };
    let (table, way) = (route.table as u8, route.way as u8);
    question.write(writer, NEW_ROUTE, 0, |writer| {
        writer.put(&[libc::AF_INET6 as u8, 128, 128, 0, table, KERNEL, UNIVERSE, way, 0, 0, 0, 0]);
        writer.number(TABLE, route.table);
        put_address(writer, TARGET, target);
        put_address(writer, SOURCE, source.unwrap_or(Ipv6Addr::UNSPECIFIED.into()));
        if let Some(ip) = own {
            put_address(writer, OWN_ADDRESS, ip);
        }
        writer.number(METRIC, route.metric);
        writer.number(INTERFACE, interface_of(route));
        writer.attribute(CACHE_INFO, &cache_info());
        writer.byte(PREFERENCE, 0);
    });
}
