//! Groups and interfaces: what a socket joins, from where it sends to many, and by which interface it is reached.
//!
//! Requests in. Always true: a group has members as long as sockets are there that joined it; there is one interface by
//! which packets come, the loopback one. Who gets what is sent to a group is in `datagram`.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use shim_abi::Errno;

use super::option::{IP, IPV6, LOOPBACK_INDEX, MAX_NAME_BYTES};
use crate::context::{Answer, Context, done};
use crate::guest::GuestAddr;
use crate::memory::{read_u32, u32_at};
use crate::socket::SocketId;

impl Context<'_> {
    /// SO_BINDTODEVICE: only what comes by the loopback interface, as all does here.
    pub(in crate::socket) fn set_device(
        &mut self,
        id: SocketId,
        from: GuestAddr,
        bytes: i32,
    ) -> Answer {
        let mut name = alloc::vec![0; (bytes as usize).min(MAX_NAME_BYTES - 1)];
        self.guest.read(from, &mut name)?;
        let end = name.iter().position(|&byte| byte == 0).unwrap_or(name.len());
        let is_bound = match name.get(..end) {
            Some(b"") => false,
            Some(b"lo") => true,
            _ => return Err(Errno::ENODEV),
        };
        self.kernel.sockets.inet_mut(id)?.options.is_bound_to_loopback = is_bound;
        done(0)
    }

    /// IP_MULTICAST_IF: an address, or a `struct ip_mreqn` with one or with the number of an interface.
    pub(super) fn set_group_source(&mut self, id: SocketId, from: GuestAddr, bytes: i32) -> Answer {
        let mut request = [0; 12];
        let (size, address, index) = match bytes {
            12.. => (12, 4..8, Some(8)),
            8.. => (8, 4..8, None),
            4.. => (4, 0..4, None),
            _ => return Err(Errno::EINVAL),
        };
        self.guest.read(from, &mut request[..size])?;
        let octets: [u8; 4] = request[address].try_into().map_err(|_| Errno::EINVAL)?;
        let index = index.map_or(0, |at| u32_at(&request, at));
        let ip = match index {
            LOOPBACK_INDEX => Ipv4Addr::LOCALHOST,
            _ => Ipv4Addr::from(octets),
        };
        if !ip.is_unspecified() && !self.kernel.sockets.network.is_local(IpAddr::V4(ip)) {
            return Err(Errno::EADDRNOTAVAIL);
        }
        let options = &mut self.kernel.sockets.inet_mut(id)?.options;
        options.group_source = Some(ip).filter(|ip| !ip.is_unspecified());
        done(0)
    }

    /// IPV6_MULTICAST_IF: the number of an interface; all lead to this machine.
    pub(super) fn set_group_interface(&mut self, from: GuestAddr, bytes: i32) -> Answer {
        const INTERFACES: u32 = 2;
        if bytes < 4 {
            return Err(Errno::EINVAL);
        }
        match read_u32(self.guest, from)? {
            0..=INTERFACES => done(0),
            _ => Err(Errno::ENODEV),
        }
    }

    /// A socket joins or leaves a group.
    pub(super) fn change_groups(
        &mut self,
        id: SocketId,
        level: i32,
        option: i32,
        from: GuestAddr,
        bytes: i32,
    ) -> Answer {
        let least = if level == IP { 8 } else { 20 };
        if bytes < least {
            return Err(Errno::EINVAL);
        }
        let mut request = alloc::vec![0; least as usize];
        self.guest.read(from, &mut request)?;
        let group = match level {
            IP => IpAddr::V4(Ipv4Addr::from(u32_at(&request, 0).to_le_bytes())),
            _ => {
                let ip: [u8; 16] = request[..16].try_into().map_err(|_| Errno::EINVAL)?;
                IpAddr::V6(Ipv6Addr::from(ip))
            }
        };
        if !group.is_multicast() {
            return Err(Errno::EINVAL);
        }
        let sockets = &mut self.kernel.sockets;
        let socket = sockets.sockets.get_mut(&id).ok_or(Errno::EBADF)?;
        let groups = &mut socket.family.inet_mut()?.options.groups;
        let network = &mut sockets.network;
        let place = groups.iter().position(|it| *it == group);
        let joins = matches!(
            (level, option),
            (IP, libc::IP_ADD_MEMBERSHIP) | (IPV6, libc::IPV6_ADD_MEMBERSHIP)
        );
        match (joins, place) {
            (true, None) => {
                groups.push(group);
                network.join(group);
            }
            (true, Some(_)) => return Err(Errno::EADDRINUSE),
            (false, None) => return Err(Errno::EADDRNOTAVAIL),
            (false, Some(place)) => {
                groups.remove(place);
                network.leave(group);
            }
        }
        done(0)
    }
}
