//! What a sender says of one message, by control messages.
//!
//! Notes in, what they say out. Always true: what Linux does not take is EINVAL; levels that are not of IP, IPv6 or UDP are not
//! here.

use core::net::IpAddr;

use shim_abi::Errno;

use crate::socket::exchange::Note;

/// What a sender says of one message: from where it goes, and how.
#[derive(Default)]
pub(super) struct Said {
    pub(super) source: Option<IpAddr>,
    pub(super) hops: Option<u8>,
    pub(super) class: Option<u8>,
    pub(super) segment_bytes: Option<usize>,
}

/// What control messages of IP, IPv6 and UDP say: EINVAL for what Linux does not take. The caller's other levels are not here.
pub(super) fn said_of(notes: &[Note]) -> Result<Said, Errno> {
    let mut said = Said::default();
    for note in notes {
        let data = note.data.as_slice();
        let number = data.first_chunk().map(|bytes| i32::from_le_bytes(*bytes));
        let byte = |number: Option<i32>| {
            let number = number.filter(|_| data.len() == 4).ok_or(Errno::EINVAL)?;
            if number == -1 {
                Ok(None)
            } else {
                u8::try_from(number).map(Some).map_err(|_| Errno::EINVAL)
            }
        };
        match (note.level, note.kind) {
            (libc::IPPROTO_IP, libc::IP_TTL) => {
                said.hops = byte(number)?.filter(|&hops| hops > 0);
                said.hops.ok_or(Errno::EINVAL)?;
            }
            (libc::IPPROTO_IP, libc::IP_TOS) => {
                said.class = Some(match data {
                    &[class] => class,
                    _ => byte(number)?.ok_or(Errno::EINVAL)?,
                });
            }
            (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
                let info: &[u8; 12] = data.try_into().map_err(|_| Errno::EINVAL)?;
                let ip = core::net::Ipv4Addr::new(info[4], info[5], info[6], info[7]);
                said.source = Some(IpAddr::V4(ip)).filter(|ip| !ip.is_unspecified());
            }
            (libc::IPPROTO_IPV6, super::option::IPV6_HOPLIMIT) => said.hops = byte(number)?,
            (libc::IPPROTO_IPV6, super::option::IPV6_TCLASS) => said.class = byte(number)?,
            (libc::IPPROTO_IPV6, super::option::IPV6_PKTINFO) => {
                let (ip, _) = data
                    .split_first_chunk::<16>()
                    .filter(|_| data.len() == 20)
                    .ok_or(Errno::EINVAL)?;
                let ip = core::net::Ipv6Addr::from(*ip).to_canonical();
                said.source = Some(ip).filter(|ip| !ip.is_unspecified());
            }
            (libc::IPPROTO_UDP, super::option::UDP_SEGMENT) => {
                let size: &[u8; 2] = data.try_into().map_err(|_| Errno::EINVAL)?;
                said.segment_bytes = Some(u16::from_le_bytes(*size).into()).filter(|&it| it > 0);
            }
            _ => return Err(Errno::EINVAL),
        }
    }
    Ok(said)
}
