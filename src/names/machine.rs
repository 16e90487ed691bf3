//! The machine that asks: its names, its interfaces, where its packets come from.
//!
//! A slot, or nothing, in; the facts that answers depend on out. Always true: a simulated host has the
//! interfaces `lo` (1) and `eth0` (2), with the addresses of its host block; outside a simulation nothing
//! is known but the loopback. Which answers follow from the facts is not here.

use shim_abi::names::{LOOPBACK_NAMES, Names};

use super::{Address, LOOPBACK_V4, LOOPBACK_V6, unmapped};
use crate::boot;
use crate::thread::Slot;

/// Index of the loopback interface.
pub const LOOPBACK_INDEX: u32 = 1;
/// Index of the network interface.
pub const NETWORK_INDEX: u32 = 2;
/// Names of the two, with the NUL of C.
pub const LOOPBACK_NAME: &[u8; 3] = b"lo\0";
/// As [`LOOPBACK_NAME`].
pub const NETWORK_NAME: &[u8; 5] = b"eth0\0";

/// Who asks.
#[derive(Clone, Copy)]
pub struct Machine {
    /// The names that it knows.
    pub names: Names<'static>,
    /// Its IPv4 address and the bits of it that name the network.
    pub ipv4: Option<([u8; 4], u32)>,
    /// The same for IPv6.
    pub ipv6: Option<([u8; 16], u32)>,
    /// Whether it is a simulated host.
    is_host: bool,
}

impl Machine {
    /// A simulated host.
    pub fn simulated(slot: &Slot) -> Machine {
        let host = slot.host;
        let ipv4 = (host.ipv4.to_ne_bytes(), host.ipv4_prefix_bits.min(32));
        let ipv6 = (host.ipv6, host.ipv6_prefix_bits.min(128));
        Machine {
            names: boot::names(slot),
            ipv4: Some(ipv4).filter(|_| host.ipv4 != 0),
            ipv6: Some(ipv6).filter(|_| host.ipv6 != [0; 16]),
            is_host: true,
        }
    }

    /// The real machine, of which we know nothing.
    pub fn unknown() -> Machine {
        Machine { names: Names::new(&LOOPBACK_NAMES), ipv4: None, ipv6: None, is_host: false }
    }

    /// Whether it has addresses of IPv4 and of IPv6 other than the loopback's.
    pub fn configured(&self) -> (bool, bool) {
        (self.ipv4.is_some(), self.ipv6.is_some())
    }

    /// The index of an interface.
    pub fn interface(&self, name: &[u8]) -> Option<u32> {
        match name {
            b"lo" => Some(LOOPBACK_INDEX),
            b"eth0" if self.is_host => Some(NETWORK_INDEX),
            _ => None,
        }
    }

    /// The address from which packets to `destination` are sent, with its bits of the network; none if
    /// it cannot be reached.
    pub fn source(&self, destination: &Address) -> Option<(Address, u32)> {
        match *destination {
            Address::V4(to) => self.source_v4(to).map(|(from, bits)| (Address::V4(from), bits)),
            Address::V6(to, _) => match unmapped(&to) {
                Some(to) => {
                    let (from, bits) = self.source_v4(to)?;
                    Some((Address::V6(super::mapped(from), 0), bits))
                }
                None if to == [0; 16] || to == LOOPBACK_V6 => {
                    Some((Address::V6(LOOPBACK_V6, 0), 128))
                }
                None => self.ipv6.map(|(from, bits)| (Address::V6(from, 0), bits)),
            },
        }
    }

    fn source_v4(&self, to: [u8; 4]) -> Option<([u8; 4], u32)> {
        if to == [0; 4] || to[0] == 127 { Some((LOOPBACK_V4, 8)) } else { self.ipv4 }
    }
}
