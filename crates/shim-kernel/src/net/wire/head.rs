//! Headers of IP datagrams, read.
//!
//! Bytes in, a [`Head`] out. Always true: what a head says of places lies within the bytes, but for the end that the
//! datagram claims to have; headers of IPv6 before the body are skipped, and what they want of everybody is refused if
//! it is not known here. Checksums are not looked at.

use core::net::IpAddr;

use etherparse::{Ipv4HeaderSlice, Ipv6FragmentHeaderSlice, Ipv6HeaderSlice};

use super::{Malformed, protocol};

/// Units of lengths and offsets in headers.
const UNIT_BYTES: usize = 8;
/// Where IPv6's first header says what follows it.
const V6_NEXT_AT: usize = 6;
/// Options of IPv6 that are skipped if they are not known: the two highest bits say so.
const SKIPPED_OPTION: u8 = 0b0011_1111;

/// What the headers of an IP datagram say.
#[derive(Clone, Debug)]
pub(in crate::net) struct Head {
    pub(in crate::net) source: IpAddr,
    pub(in crate::net) target: IpAddr,
    pub(in crate::net) hops: u8,
    pub(in crate::net) class: u8,
    /// What the body is; of a fragment that is not the first, what the first begins with.
    pub(in crate::net) protocol: u8,
    pub(in crate::net) body_at: usize,
    /// Where the datagram ends, as it says.
    pub(in crate::net) end: usize,
    /// Of a fragment.
    pub(in crate::net) piece: Option<Piece>,
}

/// Which part of a datagram a fragment is.
#[derive(Clone, Copy, Debug)]
pub(in crate::net) struct Piece {
    pub(in crate::net) identification: u32,
    pub(in crate::net) offset: usize,
    pub(in crate::net) has_more: bool,
    /// Where the part begins.
    pub(super) at: usize,
    /// What the part is of, and in IPv6 where that is to be said instead of that it is a fragment.
    pub(super) protocol: u8,
    pub(super) next_at: usize,
}

impl Head {
    pub(in crate::net) fn read(bytes: &[u8]) -> Result<Head, Malformed> {
        match bytes.first().map(|byte| byte >> 4) {
            Some(4) => Head::read_v4(bytes),
            Some(6) => Head::read_v6(bytes),
            _ => Err(Malformed::Header),
        }
    }

    fn read_v4(bytes: &[u8]) -> Result<Head, Malformed> {
        let header = Ipv4HeaderSlice::from_slice(bytes).map_err(|_| Malformed::Header)?;
        let body_at = header.slice().len();
        let end = usize::from(header.total_len());
        if end < body_at {
            return Err(Malformed::Header);
        }
        let protocol = header.protocol().0;
        let piece = header.is_fragmenting_payload().then(|| Piece {
            identification: header.identification().into(),
            offset: usize::from(header.fragments_offset().value()) * UNIT_BYTES,
            has_more: header.more_fragments(),
            at: body_at,
            protocol,
            next_at: 0,
        });
        Ok(Head {
            source: header.source_addr().into(),
            target: header.destination_addr().into(),
            hops: header.ttl(),
            class: header.slice()[1],
            protocol,
            body_at,
            end,
            piece,
        })
    }

    fn read_v6(bytes: &[u8]) -> Result<Head, Malformed> {
        let header = Ipv6HeaderSlice::from_slice(bytes).map_err(|_| Malformed::Header)?;
        let first = header.slice().len();
        let end = first + usize::from(header.payload_length());
        let bytes = bytes.get(..end).unwrap_or(bytes);
        let mut head = Head {
            source: header.source_addr().into(),
            target: header.destination_addr().into(),
            hops: header.hop_limit(),
            class: header.traffic_class(),
            protocol: header.next_header().0,
            body_at: first,
            end,
            piece: None,
        };
        let mut next_at = V6_NEXT_AT;
        loop {
            let rest = bytes.get(head.body_at..).unwrap_or_default();
            let length = match head.protocol {
                protocol::HOP_BY_HOP if head.body_at != first => return Err(Malformed::Header),
                protocol::HOP_BY_HOP | protocol::DESTINATION | protocol::ROUTING => {
                    let &[_, units, ..] = rest else { return Err(Malformed::Short) };
                    let length = UNIT_BYTES * (usize::from(units) + 1);
                    let extension = rest.get(..length).ok_or(Malformed::Short)?;
                    check_extension(head.protocol, extension)?;
                    length
                }
                protocol::FRAGMENT if head.piece.is_some() => return Err(Malformed::Header),
                protocol::FRAGMENT => {
                    let header =
                        Ipv6FragmentHeaderSlice::from_slice(rest).map_err(|_| Malformed::Short)?;
                    let length = header.slice().len();
                    head.piece = header.is_fragmenting_payload().then(|| Piece {
                        identification: header.identification(),
                        offset: usize::from(header.fragment_offset().value()) * UNIT_BYTES,
                        has_more: header.more_fragments(),
                        at: head.body_at + length,
                        protocol: header.next_header().0,
                        next_at,
                    });
                    length
                }
                _ => return Ok(head),
            };
            next_at = head.body_at;
            head.protocol = rest[0];
            head.body_at += length;
            if head.piece.is_some_and(|piece| piece.offset > 0) {
                return Ok(head);
            }
        }
    }
}

/// Whether a header asks for nothing that is not known.
fn check_extension(kind: u8, extension: &[u8]) -> Result<(), Malformed> {
    let mut rest = extension.get(2..).unwrap_or_default();
    if kind == protocol::ROUTING {
        // There is nobody to whom it is to go on.
        return match rest {
            [_, 0, ..] => Ok(()),
            _ => Err(Malformed::Option),
        };
    }
    while let &[option, ref after @ ..] = rest {
        rest = match (option, after) {
            (0, _) => after,
            (_, &[length, ref after @ ..]) => {
                if option & !SKIPPED_OPTION != 0 {
                    return Err(Malformed::Option);
                }
                after.get(length.into()..).ok_or(Malformed::Option)?
            }
            (_, []) => return Err(Malformed::Option),
        };
    }
    Ok(())
}
