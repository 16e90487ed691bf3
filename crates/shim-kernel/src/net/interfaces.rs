//! The interfaces of a host, their addresses, and where packets go by which of them.
//!
//! A network in, descriptions out. Always true: the loopback interface is number 1; the one to other hosts, if the host
//! has an address there, is number 2, as libc's functions for interfaces show them; both are up. The routes are those that
//! Linux makes by itself for such addresses. How programs are told is `socket::netlink`'s, `socket::inet`'s and `files`'.

use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::Network;
use super::outside::Carried;

/// Number of the loopback interface.
pub(crate) const LOOPBACK: u32 = 1;
/// Number of the interface to other hosts.
const NETWORK: u32 = 2;
/// The largest datagrams that they carry.
pub(super) const LOOPBACK_MTU: u32 = 65_536;
pub(super) const NETWORK_MTU: u32 = 1500;
/// The table of what is the host's own, and that of everything else.
pub(crate) const LOCAL_TABLE: u32 = 255;
pub(crate) const MAIN_TABLE: u32 = 254;
/// What Linux gives routes of IPv6 for a network.
const V6_METRIC: u32 = 256;
/// What Linux gives a route of IPv6 that somebody has added.
const V6_DEFAULT_METRIC: u32 = 1024;
/// Not even a network of two addresses has one for all.
const MAX_BITS_WITH_BROADCAST: u8 = 30;

/// An interface.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Interface {
    pub(crate) index: u32,
    pub(crate) name: &'static str,
    /// `IFF_*`.
    pub(crate) flags: u32,
    /// `ARPHRD_*`.
    pub(crate) kind: u16,
    pub(crate) hardware: [u8; 6],
    pub(crate) hardware_broadcast: [u8; 6],
    pub(crate) mtu: u32,
    pub(crate) v4: Option<(Ipv4Addr, u8)>,
    pub(crate) v6: Option<(Ipv6Addr, u8)>,
    /// What has come by it and gone. Of the loopback interface nobody counts.
    pub(crate) received: Carried,
    pub(crate) sent: Carried,
}

impl Interface {
    pub(crate) fn is_loopback(&self) -> bool {
        self.index == LOOPBACK
    }
    /// The address for everybody in its network.
    pub(crate) fn broadcast(&self) -> Option<Ipv4Addr> {
        let (ip, bits) = self.v4.filter(|(_, bits)| *bits <= MAX_BITS_WITH_BROADCAST)?;
        Some(Ipv4Addr::from_bits(ip.to_bits() | !v4_mask(bits).to_bits()))
    }
}

/// The mask of a network.
pub(crate) fn v4_mask(bits: u8) -> Ipv4Addr {
    Ipv4Addr::from_bits(u32::MAX.checked_shl(32 - u32::from(bits.min(32))).unwrap_or(0))
}
fn v6_mask(bits: u8) -> u128 {
    u128::MAX.checked_shl(128 - u32::from(bits.min(128))).unwrap_or(0)
}

/// What a route does with a packet: `RTN_*`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Way {
    /// To another host.
    Unicast = 1,
    /// To the host itself.
    Local = 2,
    /// To everybody.
    Broadcast = 3,
    /// To everybody who wants it.
    Multicast = 5,
}

/// A route.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Route {
    pub(crate) table: u32,
    pub(crate) way: Way,
    pub(crate) target: IpAddr,
    pub(crate) bits: u8,
    /// Number of the interface.
    pub(crate) interface: u32,
    /// From which address packets go, if the route says so: those of IPv4 do.
    pub(crate) source: Option<Ipv4Addr>,
    /// Of IPv6 only.
    pub(crate) metric: u32,
}

impl Route {
    /// Whether it is a way to an address.
    fn leads_to(&self, ip: IpAddr) -> bool {
        match (self.target, ip) {
            (IpAddr::V4(target), IpAddr::V4(ip)) => {
                let mask = v4_mask(self.bits).to_bits();
                ip.to_bits() & mask == target.to_bits() & mask
            }
            (IpAddr::V6(target), IpAddr::V6(ip)) => {
                let mask = v6_mask(self.bits);
                ip.to_bits() & mask == target.to_bits() & mask
            }
            _ => false,
        }
    }
}

impl Network {
    /// By number.
    pub(crate) fn interfaces(&self) -> Vec<Interface> {
        const UP: i32 = libc::IFF_UP | libc::IFF_RUNNING | libc::IFF_LOWER_UP;
        let loopback = Interface {
            index: LOOPBACK,
            name: "lo",
            flags: (UP | libc::IFF_LOOPBACK) as u32,
            kind: libc::ARPHRD_LOOPBACK,
            hardware: [0; 6],
            hardware_broadcast: [0; 6],
            mtu: LOOPBACK_MTU,
            v4: Some((Ipv4Addr::LOCALHOST, 8)),
            v6: Some((Ipv6Addr::LOCALHOST, 128)),
            received: Carried::default(),
            sent: Carried::default(),
        };
        let own = self.addresses.iter().copied();
        let v4 = own.clone().find_map(|ip| if let IpAddr::V4(ip) = ip { Some(ip) } else { None });
        let v6 = own.clone().find_map(|ip| if let IpAddr::V6(ip) = ip { Some(ip) } else { None });
        let [a, b, c, d] = v4.map_or([0; 4], |ip| ip.octets());
        let network = Interface {
            index: NETWORK,
            name: "eth0",
            flags: (UP | libc::IFF_BROADCAST | libc::IFF_MULTICAST) as u32,
            kind: libc::ARPHRD_ETHER,
            // Locally administered.
            hardware: [2, 0, a, b, c, d],
            hardware_broadcast: [0xff; 6],
            mtu: NETWORK_MTU,
            v4: v4.map(|ip| (ip, self.prefix_bits[0])),
            v6: v6.map(|ip| (ip, self.prefix_bits[1])),
            received: self.outside.received,
            sent: self.outside.sent,
        };
        let is_there = own.count() > 0;
        [loopback].into_iter().chain(Some(network).filter(|_| is_there)).collect()
    }

    /// By which interface something comes that was sent from an address.
    pub(crate) fn interface_from(&self, source: IpAddr) -> u32 {
        if self.is_local(source) { LOOPBACK } else { NETWORK }
    }

    /// All routes of IPv4 or of IPv6, in the order in which Linux shows them.
    pub(crate) fn routes(&self, is_v4: bool) -> Vec<Route> {
        let interfaces = self.interfaces();
        let mut routes: Vec<Route> = match is_v4 {
            true => interfaces.iter().flat_map(v4_routes).collect(),
            false => interfaces.iter().flat_map(v6_routes).collect(),
        };
        routes.extend(self.route_to_others(is_v4));
        // Multicast comes last, because its addresses are the highest.
        routes.sort_by_key(|route| (route.table, route.target, route.bits));
        routes
    }

    /// The route to everybody who is in no network of the host's own: there are no gateways.
    fn route_to_others(&self, is_v4: bool) -> Option<Route> {
        let source = self.addresses.iter().copied().find(|ip| ip.is_ipv4() == is_v4)?;
        let (target, source) = match source {
            IpAddr::V4(ip) => (IpAddr::V4(Ipv4Addr::UNSPECIFIED), Some(ip)),
            IpAddr::V6(_) => (IpAddr::V6(Ipv6Addr::UNSPECIFIED), None),
        };
        self.outside.is_connected.then_some(Route {
            table: MAIN_TABLE,
            way: Way::Unicast,
            target,
            bits: 0,
            interface: NETWORK,
            source,
            metric: if is_v4 { 0 } else { V6_DEFAULT_METRIC },
        })
    }

    /// The route that a packet for an address takes: what is the host's own goes first, then the narrowest.
    pub(crate) fn route_to(&self, ip: IpAddr) -> Option<Route> {
        let routes = self.routes(ip.is_ipv4());
        let leading = routes.into_iter().filter(|route| route.leads_to(ip));
        leading.max_by_key(|route| (route.table, route.bits))
    }
}

fn v4_routes(interface: &Interface) -> Vec<Route> {
    let Some((ip, bits)) = interface.v4 else { return Vec::new() };
    let network = Ipv4Addr::from_bits(ip.to_bits() & v4_mask(bits).to_bits());
    let route = |table, way, target, bits| Route {
        table,
        way,
        target: IpAddr::V4(target),
        bits,
        interface: interface.index,
        source: Some(ip),
        metric: 0,
    };
    let (table, way) = match interface.is_loopback() {
        true => (LOCAL_TABLE, Way::Local),
        false => (MAIN_TABLE, Way::Unicast),
    };
    let whole = (bits < 32).then(|| route(table, way, network, bits));
    let own = route(LOCAL_TABLE, Way::Local, ip, 32);
    let all = interface.broadcast().map(|ip| route(LOCAL_TABLE, Way::Broadcast, ip, 32));
    whole.into_iter().chain([own]).chain(all).collect()
}

fn v6_routes(interface: &Interface) -> Vec<Route> {
    let Some((ip, bits)) = interface.v6 else { return Vec::new() };
    let route = |table, way, target: u128, bits, metric| Route {
        table,
        way,
        target: IpAddr::V6(Ipv6Addr::from_bits(target)),
        bits,
        interface: interface.index,
        source: None,
        metric,
    };
    let own = route(LOCAL_TABLE, Way::Local, ip.to_bits(), 128, 0);
    if interface.is_loopback() {
        return [own].into();
    }
    let network = ip.to_bits() & v6_mask(bits);
    [
        route(MAIN_TABLE, Way::Unicast, network, bits, V6_METRIC),
        own,
        route(LOCAL_TABLE, Way::Multicast, 0xff << 120, 8, V6_METRIC),
    ]
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Config;
    use crate::testing::config;

    fn network(v4: Option<([u8; 4], u8)>, v6: Option<([u8; 16], u8)>) -> Network {
        let bits = (v4.map_or(0, |it| it.1), v6.map_or(0, |it| it.1));
        let (ipv4, ipv6) = (v4.map(|it| it.0), v6.map(|it| it.0));
        Network::new(&Config {
            ipv4,
            ipv6,
            ipv4_prefix_bits: bits.0,
            ipv6_prefix_bits: bits.1,
            ..config()
        })
    }

    #[test]
    fn a_host_without_an_address_has_its_loopback_interface_only() {
        let network = network(None, None);
        assert_eq!(network.interfaces().len(), 1);
        assert_eq!(network.routes(true).len(), 3);
        assert_eq!(network.routes(false).len(), 1);
        assert_eq!(network.route_to("11.0.0.2".parse().unwrap()), None);
    }

    #[test]
    fn packets_take_the_narrowest_way() {
        let v6 = "fd00::5".parse::<Ipv6Addr>().unwrap().octets();
        let network = network(Some(([10, 1, 2, 3], 16)), Some((v6, 64)));
        let way = |ip: &str| network.route_to(ip.parse().unwrap()).map(|it| (it.way, it.interface));
        assert_eq!(way("10.1.2.3"), Some((Way::Local, 2)));
        assert_eq!(way("10.1.255.255"), Some((Way::Broadcast, 2)));
        assert_eq!(way("10.1.2.4"), Some((Way::Unicast, 2)));
        assert_eq!(way("10.2.2.4"), None);
        assert_eq!(way("127.9.9.9"), Some((Way::Local, 1)));
        assert_eq!(way("fd00::5"), Some((Way::Local, 2)));
        assert_eq!(way("fd00::6"), Some((Way::Unicast, 2)));
        assert_eq!(way("ff02::1"), Some((Way::Multicast, 2)));
        assert_eq!(way("::1"), Some((Way::Local, 1)));
        assert_eq!(way("fe80::1"), None);
    }

    #[test]
    fn masks_and_broadcast_addresses_fit_every_size_of_network() {
        for bits in 0..=32 {
            let network = network(Some(([200, 100, 50, 25], bits)), None);
            let [_, interface] = &network.interfaces()[..] else { panic!("there are two") };
            assert_eq!(v4_mask(bits).to_bits().count_ones(), u32::from(bits));
            assert_eq!(interface.broadcast().is_some(), bits <= 30);
            let count = network.routes(true).len();
            assert_eq!(count, 3 + 1 + usize::from(bits < 32) + usize::from(bits <= 30));
        }
    }
}
