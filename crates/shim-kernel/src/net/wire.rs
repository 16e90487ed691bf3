//! Packets as bytes: what leaves the host, and what comes from outside.
//!
//! Packets in, IP datagrams out, and back. Rooms: `head` (headers of IP), `write`, `read`, `options` (TCP's),
//! `reassembly` (of what came in pieces). Always true: what is written is what Linux 6.18 writes for the same packet, its
//! identification apart; what is read may be any bytes: those that do not fit together, or whose checksum is another, are
//! [`Malformed`], and nothing else happens. Headers and checksums are read and made by the crate `etherparse`. Which error
//! is told about a datagram is in `icmp`. Flow labels are 0, options of IP are skipped; coverage of UDP-Lite is that of
//! the whole datagram when it is written.

#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod golden;
mod head;
mod options;
#[cfg(test)]
mod properties;
mod read;
mod reassembly;
#[cfg(test)]
mod speed;
mod write;

use core::net::IpAddr;

use etherparse::checksum::Sum16BitWords;

pub(super) use head::Head;
pub(crate) use read::{Arrival, Malformed, read};
pub(crate) use reassembly::Reassembly;
pub(crate) use write::write;

/// Protocols, and headers of IPv6, by their numbers.
pub(super) mod protocol {
    pub(crate) const HOP_BY_HOP: u8 = 0;
    pub(crate) const ICMP: u8 = 1;
    pub(crate) const TCP: u8 = 6;
    pub(crate) const UDP: u8 = 17;
    pub(crate) const ROUTING: u8 = 43;
    pub(crate) const FRAGMENT: u8 = 44;
    pub(crate) const ICMP6: u8 = 58;
    pub(crate) const NOTHING: u8 = 59;
    pub(crate) const DESTINATION: u8 = 60;
    pub(crate) const UDP_LITE: u8 = 136;
}

/// A header of UDP, of UDP-Lite, and of ICMP.
const SMALL_HEADER_BYTES: usize = 8;

/// The sum of a body, and of what its checksum covers beside it; `bytes`: how long the whole body is.
fn sum(source: IpAddr, target: IpAddr, protocol: u8, bytes: usize, body: &[u8]) -> Sum16BitWords {
    let mut sum = Sum16BitWords::new();
    match (source, target) {
        (IpAddr::V4(_), IpAddr::V4(_)) if protocol == protocol::ICMP => return sum.add_slice(body),
        (IpAddr::V4(source), IpAddr::V4(target)) => {
            sum = sum.add_4bytes(source.octets()).add_4bytes(target.octets());
        }
        (IpAddr::V6(source), IpAddr::V6(target)) => {
            sum = sum.add_16bytes(source.octets()).add_16bytes(target.octets());
        }
        // No datagram has two families.
        _ => {}
    }
    sum.add_2bytes([0, protocol]).add_4bytes((bytes as u32).to_be_bytes()).add_slice(body)
}
