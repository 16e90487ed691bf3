//! What routers tell senders: why a datagram did not arrive.
//!
//! A datagram and a reason in, a datagram of ICMP or ICMPv6 back to the sender out, or nothing. Always true: nobody is told about
//! a report of an error, about a fragment other than the first, or about what went to or came from more than one host, so
//! that no report leads to another one. When a report is sent and how it travels is not here, nor how many.
//!
//! Routers are the nodes of the graph. Each has addresses of its own, by its position among the nodes (which are
//! sorted by id): 100.64.0.1 and up in 100.64.0.0/10, which RFC 6598 leaves to carriers; and in fd00:64::/64, where the last 32
//! bits are those of the IPv4 address, as with hosts. They have no names and answer nothing.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use shim_host::{Trouble, error_about};

use super::datagram::Datagram;

/// The addresses of a router.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Router {
    /// In 100.64.0.0/10.
    pub ipv4: Ipv4Addr,
    /// In fd00:64::/64.
    pub ipv6: Ipv6Addr,
}

impl Router {
    /// The router of the node at this position in [`Graph::nodes`](crate::config::Graph::nodes). After four million
    /// nodes addresses begin again.
    pub fn new(index: u32) -> Router {
        const FIRST: u32 = 0x6440_0001;
        const COUNT: u32 = (1 << 22) - 2;
        let number = FIRST + index % COUNT;
        let (high, low) = ((number >> 16) as u16, number as u16);
        Router {
            ipv4: Ipv4Addr::from(number),
            ipv6: Ipv6Addr::new(0xfd00, 0x64, 0, 0, 0, 0, high, low),
        }
    }
}

/// What `router` sends back about the datagram at the beginning of `bytes`, if anything.
pub fn report(bytes: &[u8], trouble: Trouble, router: Router) -> Option<Vec<u8>> {
    let datagram = Datagram::read(bytes)?;
    let from = match datagram.source() {
        IpAddr::V4(_) => IpAddr::V4(router.ipv4),
        IpAddr::V6(_) => IpAddr::V6(router.ipv6),
    };
    let is_cuttable = matches!(trouble, Trouble::TooBig { .. }) && datagram.may_be_cut();
    let is_between_two = is_one(datagram.source()) && is_one(datagram.target());
    if is_cuttable || !is_between_two { None } else { error_about(datagram.bytes(), trouble, from) }
}

/// Whether it can be the address of exactly one host: what routers may answer to.
fn is_one(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(ip) => !matches!(ip.octets()[0], 0 | 127 | 224..=255),
        IpAddr::V6(ip) => !ip.is_unspecified() && !ip.is_loopback() && !ip.is_multicast(),
    }
}
