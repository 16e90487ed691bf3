//! Files of `/proc/net`: interfaces, addresses, routes, and the sockets of every family; those of `/sys/class/net`.
//!
//! The kernel in, text out, in the formats of proc_pid_net(5) as Linux 6.18 has them, nothing of an interface that there is not. Always true: counters are zero,
//! because what a host sends to itself is not counted. The lists of sockets are `socket`'s own.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use shim_abi::SimTime;
use shim_abi::virtual_files::VirtualFile;

use crate::kernel::Kernel;
use crate::net::interfaces::{Interface, LOCAL_TABLE, MAIN_TABLE, Route, Way, v4_mask};
use crate::socket::List;

/// Lines of `route` are padded to this.
const ROUTE_BYTES: usize = 127;
/// The group of all hosts.
const ALL_V4: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 1);
const ALL_ON_LINK: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
const ALL_ON_INTERFACE: Ipv6Addr = Ipv6Addr::new(0xff01, 0, 0, 0, 0, 0, 0, 1);

pub(super) fn text(kernel: &Kernel, now: SimTime, file: VirtualFile) -> String {
    let list = |list, is_v6| kernel.inet_sockets_text(now, list, is_v6);
    let interfaces = || kernel.sockets.network.interfaces();
    match file {
        VirtualFile::Tcp => list(List::Tcp, false),
        VirtualFile::Tcp6 => list(List::Tcp, true),
        VirtualFile::Udp => list(List::Udp, false),
        VirtualFile::Udp6 => list(List::Udp, true),
        VirtualFile::UdpLite => list(List::UdpLite, false),
        VirtualFile::UdpLite6 => list(List::UdpLite, true),
        VirtualFile::Raw => list(List::Raw, false),
        VirtualFile::Raw6 => list(List::Raw, true),
        VirtualFile::Icmp => list(List::Echo, false),
        VirtualFile::Icmp6 => list(List::Echo, true),
        VirtualFile::Netlink => kernel.netlink_sockets_text(),
        VirtualFile::Packet => {
            "sk               RefCnt Type Proto  Iface R Rmem   User   Inode\n".into()
        }
        VirtualFile::SocketStatistics => kernel.socket_statistics_text(false),
        VirtualFile::SocketStatistics6 => kernel.socket_statistics_text(true),
        VirtualFile::Interfaces => devices(&interfaces()),
        VirtualFile::Routes => routes(&interfaces(), &kernel.sockets.network.routes(true)),
        VirtualFile::Addresses6 => addresses(&interfaces()),
        VirtualFile::Routes6 => routes6(&interfaces(), &kernel.sockets.network.routes(false)),
        VirtualFile::Groups => groups(&interfaces()),
        VirtualFile::Groups6 => groups6(&interfaces()),
        VirtualFile::HardwareGroups => hardware_groups(&interfaces()),
        // Nobody is near.
        _ => "IP address       HW type     Flags       HW address            Mask     Device\n"
            .into(),
    }
}

/// A file below `/sys/class/net`; empty if there is no such interface.
pub(super) fn of_interface(kernel: &Kernel, path: &str) -> String {
    /// What is not among the flags there: it has a file of its own.
    const STATES: u32 = (libc::IFF_RUNNING | libc::IFF_LOWER_UP) as u32;
    const QUEUE_LENGTH: u32 = 1000;
    let Some((name, attribute)) = path.split_once('/') else { return String::new() };
    let interfaces = kernel.sockets.network.interfaces();
    let Some(it) = interfaces.iter().find(|it| it.name == name) else { return String::new() };
    let hardware = |bytes: [u8; 6]| {
        let [a, b, c, d, e, f] = bytes;
        format!("{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}\n")
    };
    match attribute {
        "addr_len" => format!("{}\n", it.hardware.len()),
        "address" => hardware(it.hardware),
        "broadcast" => hardware(it.hardware_broadcast),
        "carrier" => "1\n".into(),
        "flags" => format!("{:#x}\n", it.flags & !STATES),
        "ifindex" | "iflink" => format!("{}\n", it.index),
        "mtu" => format!("{}\n", it.mtu),
        "operstate" => if it.is_loopback() { "unknown\n" } else { "up\n" }.into(),
        "tx_queue_len" => format!("{QUEUE_LENGTH}\n"),
        "type" => format!("{}\n", it.kind),
        // What a host sends to itself is not counted.
        _ => "0\n".into(),
    }
}

fn devices(interfaces: &[Interface]) -> String {
    let mut text = String::from(
        "Inter-|   Receive                                                |  Transmit\n \
         face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs \
         drop fifo colls carrier compressed\n",
    );
    for interface in interfaces {
        text += &format!(
            "{:>6}: {:7} {:7} {:4} {:4} {:4} {:5} {:10} {:9} {:8} {:7} {:4} {:4} {:4} {:5} {:7} {:10}\n",
            interface.name,
            interface.received.bytes,
            interface.received.datagrams,
            0,
            interface.received.dropped,
            0,
            0,
            0,
            0,
            interface.sent.bytes,
            interface.sent.datagrams,
            0,
            interface.sent.dropped,
            0,
            0,
            0,
            0
        );
    }
    text
}

fn name_of(interfaces: &[Interface], index: u32) -> &'static str {
    interfaces.iter().find(|it| it.index == index).map_or("*", |it| it.name)
}

/// An address in the machine's order of bytes.
fn hex(ip: Ipv4Addr) -> String {
    format!("{:08X}", u32::from_le_bytes(ip.octets()))
}

fn hex6(ip: Ipv6Addr) -> String {
    format!("{:032x}", ip.to_bits())
}

fn routes(interfaces: &[Interface], routes: &[Route]) -> String {
    const HEADING: &str = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\
                           \tWindow\tIRTT";
    let mut text = format!("{HEADING:ROUTE_BYTES$}\n");
    for route in routes.iter().filter(|route| route.table == MAIN_TABLE) {
        let IpAddr::V4(target) = route.target else { continue };
        let name = name_of(interfaces, route.interface);
        let (target, mask) = (hex(target), hex(v4_mask(route.bits)));
        let line = format!("{name}\t{target}\t00000000\t0001\t0\t0\t0\t{mask}\t0\t0\t0");
        text += &format!("{line:ROUTE_BYTES$}\n");
    }
    text
}

fn addresses(interfaces: &[Interface]) -> String {
    const SCOPE_OF_HOST: u8 = 0x10;
    const PERMANENT: u8 = 0x80;
    let mut text = String::new();
    for interface in interfaces {
        let Some((ip, bits)) = interface.v6 else { continue };
        let scope = if interface.is_loopback() { SCOPE_OF_HOST } else { 0 };
        let (index, name) = (interface.index, interface.name);
        text +=
            &format!("{} {index:02x} {bits:02x} {scope:02x} {PERMANENT:02x} {name:>8}\n", hex6(ip));
    }
    text
}

fn routes6(interfaces: &[Interface], routes: &[Route]) -> String {
    /// Up; of the host itself, and without a next one.
    const UP: u32 = 1;
    const OWN: u32 = 0x8020_0000;
    /// There is no way.
    const REJECTED: u32 = 0x0020_0200;
    let none = hex6(Ipv6Addr::UNSPECIFIED);
    let line = |target: &str, bits: u8, metric: u32, flags: u32, name: &str| {
        format!(
            "{target} {bits:02x} {none} 00 {none} {metric:08x} 00000001 00000000 {flags:08x} {name:>8}\n"
        )
    };
    let mut text = String::new();
    for table in [MAIN_TABLE, LOCAL_TABLE] {
        for route in routes.iter().filter(|route| route.table == table) {
            let IpAddr::V6(target) = route.target else { continue };
            let flags = UP | if route.way == Way::Local { OWN } else { 0 };
            let name = name_of(interfaces, route.interface);
            text += &line(&hex6(target), route.bits, route.metric, flags, name);
        }
        text += &line(&none, 0, u32::MAX, REJECTED, "lo");
    }
    text
}

fn groups(interfaces: &[Interface]) -> String {
    let mut text = String::from("Idx\tDevice    : Count Querier\tGroup    Users Timer\tReporter\n");
    for interface in interfaces.iter().filter(|it| it.v4.is_some()) {
        let (index, name, all) = (interface.index, interface.name, hex(ALL_V4));
        text +=
            &format!("{index}\t{name:10}:     1      V3\n\t\t\t\t{all}     1 0:00000000\t\t0\n");
    }
    text
}

/// The groups of IPv6 that an interface is in: that of those whose addresses end like its own, if it has one, and those of all.
fn groups_of(interface: &Interface) -> Vec<Ipv6Addr> {
    let Some((ip, _)) = interface.v6 else { return Vec::new() };
    let all = [ALL_ON_LINK, ALL_ON_INTERFACE];
    let like = like(ip).filter(|_| !interface.is_loopback());
    like.into_iter().chain(all).collect()
}

/// The solicited-node group.
fn like(ip: Ipv6Addr) -> Option<Ipv6Addr> {
    const PREFIX: u128 = 0xff02_0000_0000_0000_0000_0001_ff00_0000;
    Some(Ipv6Addr::from_bits(PREFIX | ip.to_bits() & 0xff_ffff))
}

fn groups6(interfaces: &[Interface]) -> String {
    let mut text = String::new();
    for interface in interfaces {
        let (index, name) = (interface.index, interface.name);
        for group in groups_of(interface) {
            let flags = match group {
                ALL_ON_LINK => 0xc,
                ALL_ON_INTERFACE => 8,
                _ => 4,
            };
            text += &format!("{index:<4} {name:15} {}     1 {flags:08X} 0\n", hex6(group));
        }
    }
    text
}

fn hardware_groups(interfaces: &[Interface]) -> String {
    let mut text = String::new();
    for interface in interfaces.iter().filter(|it| !it.is_loopback()) {
        let (index, name) = (interface.index, interface.name);
        let v6 = groups_of(interface).into_iter().filter(|group| *group != ALL_ON_INTERFACE);
        let of_v6 = v6.map(|group| format!("3333{:08x}", group.to_bits() as u32));
        for group in [String::from("01005e000001")].into_iter().chain(of_v6) {
            text += &format!("{index:<4} {name:15} 1     0     {group}\n");
        }
    }
    text
}
