//! What a receiver is told beside a message: to which address it came, how, and when.
//!
//! Options and a message's marks in, control messages out. Always true: each is there only if its option is on, in the order
//! in which Linux has them.

use alloc::vec::Vec;
use core::net::IpAddr;

use shim_abi::{Errno, SimTime};

use super::option::{
    IP, IP_RECVORIGDSTADDR, IP_RECVTOS, IP_RECVTTL, IPV6, IPV6_HOPLIMIT, IPV6_PKTINFO,
    IPV6_RECVHOPLIMIT, IPV6_RECVORIGDSTADDR, IPV6_RECVPKTINFO, IPV6_RECVTCLASS, IPV6_TCLASS,
    InetOptions,
};
use super::{Inet, Reach, address};
use crate::context::Context;
use crate::socket::SocketId;
use crate::socket::exchange::Note;

impl InetOptions {
    /// What a receiver has asked to be told beside a message: by which interface and to which address it came, and how.
    pub(super) fn notes_of(
        &self,
        inet: &Inet,
        (interface, target): (u32, IpAddr),
        (hops, class): (u8, u8),
    ) -> Vec<Note> {
        if self.is_untouched() {
            return Vec::new();
        }
        let mut notes = Vec::new();
        let mut note =
            |level, kind, data: &[u8]| notes.push(Note { level, kind, data: data.to_vec() });
        if let IpAddr::V4(ip) = target {
            if self.is_on(IP, libc::IP_PKTINFO) {
                let mut info = [0; 12];
                info[..4].copy_from_slice(&interface.to_le_bytes());
                info[4..8].copy_from_slice(&ip.octets());
                info[8..].copy_from_slice(&ip.octets());
                note(IP, libc::IP_PKTINFO, &info);
            }
            if self.is_on(IP, IP_RECVTTL) {
                note(IP, libc::IP_TTL, &i32::from(hops).to_le_bytes());
            }
            if self.is_on(IP, IP_RECVTOS) {
                note(IP, libc::IP_TOS, &[class]);
            }
            if self.is_on(IP, IP_RECVORIGDSTADDR) {
                let name = address::write(Some(target), inet.port, false, Reach::V4);
                note(IP, IP_RECVORIGDSTADDR, &name);
            }
        }
        if inet.is_v6 {
            let ip = match target {
                IpAddr::V4(ip) => ip.to_ipv6_mapped(),
                IpAddr::V6(ip) => ip,
            };
            if self.is_on(IPV6, IPV6_RECVPKTINFO) {
                let mut info = [0; 20];
                info[..16].copy_from_slice(&ip.octets());
                info[16..].copy_from_slice(&interface.to_le_bytes());
                note(IPV6, IPV6_PKTINFO, &info);
            }
            if target.is_ipv6() && self.is_on(IPV6, IPV6_RECVHOPLIMIT) {
                note(IPV6, IPV6_HOPLIMIT, &i32::from(hops).to_le_bytes());
            }
            if target.is_ipv6() && self.is_on(IPV6, IPV6_RECVTCLASS) {
                note(IPV6, IPV6_TCLASS, &i32::from(class).to_le_bytes());
            }
            if target.is_ipv6() && self.is_on(IPV6, IPV6_RECVORIGDSTADDR) {
                let name = address::write(Some(target), inet.port, true, Reach::Both);
                note(IPV6, IPV6_RECVORIGDSTADDR, &name);
            }
        }
        notes
    }
}

impl Context<'_> {
    /// SO_TIMESTAMP, SO_TIMESTAMPNS and SO_TIMESTAMPING: when a message came.
    pub(super) fn stamps_of(&self, id: SocketId, arrived: SimTime) -> Result<Vec<Note>, Errno> {
        const NS: i64 = 1_000_000_000;
        /// Beside the kernel's stamp, two of devices.
        const STAMPING_BYTES: usize = 48;
        let options = &self.kernel.sockets.get(id)?.options;
        let ns = i64::try_from(self.kernel.realtime_ns(arrived)).unwrap_or(i64::MAX);
        let note = |kind, unit: i64| {
            let mut data = ns.div_euclid(NS).to_le_bytes().to_vec();
            data.extend((ns.rem_euclid(NS) / unit).to_le_bytes());
            Note { level: libc::SOL_SOCKET, kind, data }
        };
        let mut notes = Vec::new();
        if options.has(libc::SO_TIMESTAMPNS) {
            notes.push(note(libc::SO_TIMESTAMPNS, 1));
        } else if options.has(libc::SO_TIMESTAMP) {
            notes.push(note(libc::SO_TIMESTAMP, 1000));
        }
        if options.stamps_arrival() {
            let mut stamping = note(libc::SO_TIMESTAMPING, 1);
            stamping.data.resize(STAMPING_BYTES, 0);
            notes.push(stamping);
        }
        Ok(notes)
    }
}
