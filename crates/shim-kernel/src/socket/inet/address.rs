//! Addresses as guests write them: `struct sockaddr_in` and `struct sockaddr_in6`.
//!
//! Bytes in, endpoints out, and back. Always true: an IPv4 address that is mapped into IPv6 is an IPv4 address. Scopes
//! and flows are read and forgotten: there is one link.

use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use shim_abi::Errno;

use crate::net::{Endpoint, Reach};
use crate::socket::name::family_of;

const V4_BYTES: usize = 16;
const V6_BYTES: usize = 28;
/// What Linux takes for an address that was made before there were scopes.
const OLD_V6_BYTES: usize = 24;

/// Whether a call names nobody: AF_UNSPEC.
pub(super) fn is_unspecified(address: &[u8]) -> bool {
    address.len() >= 2 && family_of(address) == libc::AF_UNSPEC
}

/// An endpoint: EINVAL if there is less than one, EAFNOSUPPORT for another family's. IPv4 addresses are none of a
/// socket of AF_INET6, but mapped ones are.
pub(super) fn read(address: &[u8], is_v6: bool) -> Result<Endpoint, Errno> {
    let least = if is_v6 { OLD_V6_BYTES } else { V4_BYTES };
    if address.len() < least {
        return Err(Errno::EINVAL);
    }
    let family = if is_v6 { libc::AF_INET6 } else { libc::AF_INET };
    if family_of(address) != family {
        return Err(Errno::EAFNOSUPPORT);
    }
    read_any(address).ok_or(Errno::EINVAL)
}

/// An IPv4 endpoint, whatever its family says.
pub(super) fn read_v4(address: &[u8]) -> Option<Endpoint> {
    let ip: [u8; 4] = address.get(4..8)?.try_into().ok()?;
    Some(Endpoint { ip: IpAddr::V4(Ipv4Addr::from(ip)), port: port(address)? })
}

fn port(address: &[u8]) -> Option<u16> {
    Some(u16::from_be_bytes(address.get(2..4)?.try_into().ok()?))
}

fn read_any(address: &[u8]) -> Option<Endpoint> {
    if family_of(address) == libc::AF_INET {
        return read_v4(address);
    }
    let ip: [u8; 16] = address.get(8..24)?.try_into().ok()?;
    Some(Endpoint { ip: Ipv6Addr::from(ip).to_canonical(), port: port(address)? })
}

/// An endpoint as a socket of this family shows it.
pub(super) fn write(ip: Option<IpAddr>, port: u16, is_v6: bool, reach: Reach) -> Vec<u8> {
    let mut bytes = alloc::vec![0; if is_v6 { V6_BYTES } else { V4_BYTES }];
    let family = if is_v6 { libc::AF_INET6 } else { libc::AF_INET } as u16;
    bytes[..2].copy_from_slice(&family.to_ne_bytes());
    bytes[2..4].copy_from_slice(&port.to_be_bytes());
    match (ip, is_v6) {
        (Some(IpAddr::V4(ip)), false) => bytes[4..8].copy_from_slice(&ip.octets()),
        (Some(IpAddr::V4(ip)), true) => {
            bytes[8..24].copy_from_slice(&ip.to_ipv6_mapped().octets());
        }
        (Some(IpAddr::V6(ip)), true) => bytes[8..24].copy_from_slice(&ip.octets()),
        (None, true) if reach == Reach::V4 => {
            bytes[8..24].copy_from_slice(&Ipv4Addr::UNSPECIFIED.to_ipv6_mapped().octets());
        }
        (Some(IpAddr::V6(_)) | None, _) => {}
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_they_are_written() {
        for (text, is_v6) in
            [("127.0.0.1", false), ("127.0.0.1", true), ("::1", true), ("fd00::2", true)]
        {
            let ip: IpAddr = text.parse().unwrap();
            let bytes = write(Some(ip), 8080, is_v6, Reach::Both);
            assert_eq!(read(&bytes, is_v6), Ok(Endpoint { ip, port: 8080 }));
            assert_eq!(
                read(&bytes, !is_v6),
                Err(match is_v6 {
                    true => Errno::EAFNOSUPPORT,
                    false => Errno::EINVAL,
                })
            );
            assert_eq!(read(&bytes[..15], is_v6), Err(Errno::EINVAL));
        }
        let any = write(None, 0, true, Reach::Both);
        assert_eq!(read(&any, true).map(|endpoint| endpoint.ip.is_unspecified()), Ok(true));
    }
}
