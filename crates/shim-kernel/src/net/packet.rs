//! IP packets, as they go from one socket to another.
//!
//! Always true: an IPv4 address that is mapped into IPv6 stands here as IPv4, because that is how it travels.

use alloc::vec::Vec;
use core::net::IpAddr;

use super::icmp::Complaint;
use super::tcp::Segment;

/// An address and a port.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Endpoint {
    pub(crate) ip: IpAddr,
    pub(crate) port: u16,
}

/// An IP packet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Packet {
    pub(crate) source: IpAddr,
    pub(crate) target: IpAddr,
    /// Time to live, or hop limit.
    pub(crate) hops: u8,
    /// Type of service, or traffic class.
    pub(crate) class: u8,
    /// No part of it may be longer when it is cut for an interface: IPV6_MTU; 0: what the interface carries.
    pub(crate) most_bytes: u16,
    pub(crate) body: Body,
}

impl Packet {
    /// How long a part may be that an interface carries which takes `mtu` bytes at most.
    pub(crate) fn most_bytes_by(&self, mtu: u32) -> usize {
        let most = if self.most_bytes > 0 { mtu.min(self.most_bytes.into()) } else { mtu };
        most as usize
    }

    /// How much of it is the program's.
    pub(crate) fn body_bytes(&self) -> usize {
        match &self.body {
            Body::Udp { bytes, .. } | Body::Echo { bytes, .. } => bytes.len(),
            Body::Tcp { segment, .. } => segment.bytes.len(),
            Body::Error(_) => 0,
        }
    }
}

/// What a packet carries.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Body {
    Tcp {
        source_port: u16,
        target_port: u16,
        segment: Segment,
    },
    /// `is_lite`: of UDP-Lite.
    Udp {
        source_port: u16,
        target_port: u16,
        is_lite: bool,
        bytes: Vec<u8>,
    },
    /// ICMP: an echo is asked for, or is here.
    Echo {
        is_reply: bool,
        identifier: u16,
        sequence: u16,
        bytes: Vec<u8>,
    },
    /// ICMP: a datagram did not get where it should.
    Error(Complaint),
}
