//! What `ioctl` tells of network interfaces through a socket: see netdevice(7).
//!
//! A `struct ifreq` or `struct ifconf` in, the same out. Always true: what concerns addresses only a socket of AF_INET
//! tells, the rest any socket; nothing can be set, so who asks for that is refused as one who may not.

use core::net::{IpAddr, Ipv4Addr};

use alloc::vec::Vec;

use shim_abi::Errno;

use super::address;
use crate::context::{Answer, Context, done};
use crate::guest::GuestAddr;
use crate::memory::{read_bytes, u32_at, u64_at};
use crate::net::Reach;
use crate::net::interfaces::{Interface, v4_mask};
use crate::socket::SocketId;

/// Bytes of a `struct ifreq`, and where what is told begins.
const BYTES: usize = 40;
const VALUE: usize = 16;
const SIOCADDRT: u32 = 0x890b;
const SIOCDELRT: u32 = 0x890c;
const SIOCGIFNAME: u32 = 0x8910;
const SIOCGIFCONF: u32 = 0x8912;
const SIOCGIFFLAGS: u32 = 0x8913;
const SIOCSIFFLAGS: u32 = 0x8914;
const SIOCGIFADDR: u32 = 0x8915;
const SIOCSIFADDR: u32 = 0x8916;
const SIOCGIFDSTADDR: u32 = 0x8917;
const SIOCSIFDSTADDR: u32 = 0x8918;
const SIOCGIFBRDADDR: u32 = 0x8919;
const SIOCSIFBRDADDR: u32 = 0x891a;
const SIOCGIFNETMASK: u32 = 0x891b;
const SIOCSIFNETMASK: u32 = 0x891c;
const SIOCGIFMETRIC: u32 = 0x891d;
const SIOCGIFMTU: u32 = 0x8921;
const SIOCSIFMTU: u32 = 0x8922;
const SIOCSIFNAME: u32 = 0x8923;
const SIOCSIFHWADDR: u32 = 0x8924;
const SIOCGIFHWADDR: u32 = 0x8927;
const SIOCGIFINDEX: u32 = 0x8933;
const SIOCGIFTXQLEN: u32 = 0x8942;
const SIOCSIFTXQLEN: u32 = 0x8943;
const SIOCETHTOOL: u32 = 0x8946;
const SIOCGARP: u32 = 0x8954;
const SIOCGIFMAP: u32 = 0x8970;
const QUEUE_LENGTH: u32 = 1000;
/// Of a `struct ifmap`.
const MAP_BYTES: usize = 24;

/// Whether a request is about interfaces.
pub(crate) fn is_of_interface(request: u32) -> bool {
    is_of_address(request)
        || is_a_change(request)
        || matches!(
            request,
            SIOCGIFNAME
                | SIOCGIFCONF
                | SIOCGIFFLAGS
                | SIOCGIFMETRIC
                | SIOCGIFMTU
                | SIOCGIFHWADDR
                | SIOCGIFINDEX
                | SIOCGIFTXQLEN
                | SIOCETHTOOL
                | SIOCGARP
                | SIOCGIFMAP
        )
}

fn is_of_address(request: u32) -> bool {
    matches!(request, SIOCGIFADDR | SIOCGIFDSTADDR | SIOCGIFBRDADDR | SIOCGIFNETMASK)
}

fn is_a_change(request: u32) -> bool {
    matches!(
        request,
        SIOCADDRT
            | SIOCDELRT
            | SIOCSIFFLAGS
            | SIOCSIFADDR
            | SIOCSIFDSTADDR
            | SIOCSIFBRDADDR
            | SIOCSIFNETMASK
            | SIOCSIFMTU
            | SIOCSIFNAME
            | SIOCSIFHWADDR
            | SIOCSIFTXQLEN
    )
}

fn v4(ip: Ipv4Addr) -> Vec<u8> {
    address::write(Some(IpAddr::V4(ip)), 0, false, Reach::V4)
}

impl Context<'_> {
    pub(crate) fn tell_of_interface(
        &mut self,
        id: SocketId,
        request: u32,
        at: GuestAddr,
    ) -> Answer {
        let is_v4 = self.kernel.sockets.get(id)?.family.number() == libc::AF_INET;
        match request {
            SIOCGIFCONF => return self.list_interfaces(at),
            _ if is_a_change(request) => return Err(Errno::EPERM),
            SIOCETHTOOL => return Err(Errno::EOPNOTSUPP),
            _ if (is_of_address(request) || request == SIOCGARP) && !is_v4 => {
                return Err(Errno::ENOTTY);
            }
            SIOCGARP => {
                let family: [u8; 2] = read_bytes(self.guest, at)?;
                let is_known = i32::from(u16::from_le_bytes(family)) == libc::AF_INET;
                // There are no neighbours.
                return Err(if is_known { Errno::ENXIO } else { Errno::EPFNOSUPPORT });
            }
            _ => {}
        }
        let mut bytes: [u8; BYTES] = read_bytes(self.guest, at)?;
        let interfaces = self.kernel.sockets.network.interfaces();
        bytes[VALUE - 1] = if request == SIOCGIFNAME { bytes[VALUE - 1] } else { 0 };
        let name = bytes.get(..VALUE).unwrap_or_default();
        let end = name.iter().position(|&byte| byte == 0 || byte == b':').unwrap_or(VALUE);
        let has_label = name.get(end) == Some(&b':');
        let found = interfaces.iter().find(|it| match request {
            SIOCGIFNAME => it.index == u32_at(&bytes, VALUE),
            _ => name.get(..end) == Some(it.name.as_bytes()),
        });
        let interface = found.ok_or(Errno::ENODEV)?;
        let value = if is_of_address(request) {
            // No address has a label of its own.
            let own = interface.v4.filter(|_| !has_label).ok_or(Errno::EADDRNOTAVAIL)?;
            address_of(interface, own, request)
        } else {
            value_of(interface, request)
        };
        if request == SIOCGIFNAME {
            bytes[..VALUE].fill(0);
            bytes[..interface.name.len()].copy_from_slice(interface.name.as_bytes());
        }
        bytes[VALUE..VALUE + value.len()].copy_from_slice(&value);
        self.guest.write(at, &bytes)?;
        done(0)
    }

    /// SIOCGIFCONF: all interfaces that have an address of IPv4, or how much room they need.
    fn list_interfaces(&mut self, at: GuestAddr) -> Answer {
        const CONFIGURATION_BYTES: usize = 16;
        let mut bytes: [u8; CONFIGURATION_BYTES] = read_bytes(self.guest, at)?;
        let (room, to) = (u32_at(&bytes, 0) as i32, u64_at(&bytes, 8));
        let interfaces = self.kernel.sockets.network.interfaces();
        let mut written = 0;
        for interface in &interfaces {
            let Some((ip, _)) = interface.v4 else { continue };
            let mut entry = [0; BYTES];
            entry[..interface.name.len()].copy_from_slice(interface.name.as_bytes());
            let value = v4(ip);
            entry[VALUE..VALUE + value.len()].copy_from_slice(&value);
            if to != 0 {
                if room - written < BYTES as i32 {
                    break;
                }
                self.guest.write(GuestAddr(to.wrapping_add(written as u64)), &entry)?;
            }
            written += BYTES as i32;
        }
        bytes[..4].copy_from_slice(&written.to_le_bytes());
        self.guest.write(at, &bytes)?;
        done(0)
    }
}

fn address_of(interface: &Interface, (ip, bits): (Ipv4Addr, u8), request: u32) -> Vec<u8> {
    v4(match request {
        SIOCGIFNETMASK => v4_mask(bits),
        // Nobody is on the loopback interface but the host.
        SIOCGIFBRDADDR if interface.is_loopback() => Ipv4Addr::UNSPECIFIED,
        SIOCGIFBRDADDR => interface.broadcast().unwrap_or(Ipv4Addr::UNSPECIFIED),
        _ => ip,
    })
}

fn value_of(interface: &Interface, request: u32) -> Vec<u8> {
    match request {
        SIOCGIFFLAGS => (interface.flags as u16).to_le_bytes().into(),
        SIOCGIFMTU => interface.mtu.to_le_bytes().into(),
        SIOCGIFTXQLEN => QUEUE_LENGTH.to_le_bytes().into(),
        SIOCGIFMETRIC => [0; 4].into(),
        SIOCGIFMAP => [0; MAP_BYTES].into(),
        SIOCGIFHWADDR => {
            let mut value = interface.kind.to_le_bytes().to_vec();
            value.extend(interface.hardware);
            value
        }
        _ => interface.index.to_le_bytes().into(),
    }
}
