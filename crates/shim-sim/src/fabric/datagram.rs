//! IP datagrams as the fabric sees them: where from, where to, how long, how many hops.
//!
//! Bytes in, a [`Datagram`] or nothing out. Always true: no bytes make it panic; what it says lies within the bytes; a
//! datagram's length is what its header says, and bytes behind it are not part of it. Checksums are the receiver's
//! business, and so is putting fragments together; what routers tell a sender is in `icmp`.

use std::net::IpAddr;

use etherparse::{IpNumber, Ipv4HeaderSlice, Ipv6Header, Ipv6HeaderSlice};

/// A view of a datagram of IPv4 or IPv6.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Datagram<'a> {
    bytes: &'a [u8],
    payload: &'a [u8],
    source: IpAddr,
    target: IpAddr,
    hop_limit: u8,
    protocol: IpNumber,
    /// Where in the whole its payload begins, in 8 bytes, if it is a fragment.
    fragment: Option<u16>,
    may_be_cut: bool,
}

impl<'a> Datagram<'a> {
    /// The datagram at the beginning of `bytes`; `None` if none is there, or not all of it.
    pub fn read(bytes: &'a [u8]) -> Option<Datagram<'a>> {
        match bytes.first()? >> 4 {
            4 => Datagram::read_v4(bytes),
            6 => Datagram::read_v6(bytes),
            _ => None,
        }
    }

    fn read_v4(bytes: &'a [u8]) -> Option<Datagram<'a>> {
        let header = Ipv4HeaderSlice::from_slice(bytes).ok()?;
        let bytes = bytes.get(..header.total_len().into())?;
        let offset = header.fragments_offset().value();
        Some(Datagram {
            bytes,
            payload: bytes.get(header.slice().len()..)?,
            source: header.source_addr().into(),
            target: header.destination_addr().into(),
            hop_limit: header.ttl(),
            protocol: header.protocol(),
            fragment: header.is_fragmenting_payload().then_some(offset),
            may_be_cut: !header.dont_fragment(),
        })
    }

    fn read_v6(bytes: &'a [u8]) -> Option<Datagram<'a>> {
        let header = Ipv6HeaderSlice::from_slice(bytes).ok()?;
        let bytes = bytes.get(..Ipv6Header::LEN + usize::from(header.payload_length()))?;
        let mut extensions = Extensions {
            next: header.next_header(),
            rest: bytes.get(Ipv6Header::LEN..)?,
            fragment: None,
        };
        extensions.pass_all();
        let Extensions { next: protocol, rest: payload, fragment } = extensions;
        Some(Datagram {
            bytes,
            payload,
            source: header.source_addr().into(),
            target: header.destination_addr().into(),
            hop_limit: header.hop_limit(),
            protocol,
            fragment,
            may_be_cut: false,
        })
    }

    /// All of it, without what stood behind it.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// What stands behind its headers, those of IPv6's extensions too.
    pub fn payload(&self) -> &'a [u8] {
        self.payload
    }

    /// Who sent it.
    pub fn source(&self) -> IpAddr {
        self.source
    }

    /// Who is to get it.
    pub fn target(&self) -> IpAddr {
        self.target
    }

    /// How many routers it may still meet; the last of them does not pass it on.
    pub fn hop_limit(&self) -> u8 {
        self.hop_limit
    }

    /// What its payload is.
    pub fn protocol(&self) -> IpNumber {
        self.protocol
    }

    /// Whether it is a fragment of a larger one.
    pub fn is_fragment(&self) -> bool {
        self.fragment.is_some()
    }

    /// Whether its payload begins with the header of `protocol`: it is no fragment, or the first.
    pub fn has_beginning(&self) -> bool {
        self.fragment.is_none_or(|offset| offset == 0)
    }

    /// Whether routers may cut it into fragments.
    pub fn may_be_cut(&self) -> bool {
        self.may_be_cut
    }

    /// The ports from and to which it goes, if it is of TCP or UDP.
    pub fn ports(&self) -> Option<(u16, u16)> {
        if !matches!(self.protocol, IpNumber::TCP | IpNumber::UDP | IpNumber::UDP_LITE) {
            return None;
        }
        match self.payload {
            &[a, b, c, d, ..] if self.has_beginning() => {
                Some((u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])))
            }
            _ => None,
        }
    }
}

/// The headers between that of IPv6 and the payload.
///
/// Why not etherparse's: version 0.21 reads beyond the end of those that it has found to be broken, when one asks it for
/// each.
struct Extensions<'a> {
    next: IpNumber,
    rest: &'a [u8],
    /// Where in the whole the payload begins, in 8 bytes, if it is a fragment.
    fragment: Option<u16>,
}

impl Extensions<'_> {
    /// Go to the first header that is none of these, or is not all there, or is part of a fragment other than the first.
    fn pass_all(&mut self) {
        let mut is_first = true;
        while self.pass(is_first).is_some() {
            is_first = false;
        }
    }

    fn pass(&mut self, is_first: bool) -> Option<()> {
        if self.fragment.is_some_and(|at| at != 0) {
            return None;
        }
        let &[next, len, high, low, ..] = self.rest else { return None };
        let len_bytes = match self.next {
            IpNumber::IPV6_HEADER_HOP_BY_HOP if is_first => 8 * (usize::from(len) + 1),
            IpNumber::IPV6_ROUTE_HEADER | IpNumber::IPV6_DESTINATION_OPTIONS => {
                8 * (usize::from(len) + 1)
            }
            IpNumber::AUTHENTICATION_HEADER => 4 * (usize::from(len) + 2),
            IpNumber::IPV6_FRAGMENTATION_HEADER => 8,
            _ => return None,
        };
        let rest = self.rest.get(len_bytes..)?;
        if self.next == IpNumber::IPV6_FRAGMENTATION_HEADER {
            let word = u16::from_be_bytes([high, low]);
            let (offset, has_more) = (word >> 3, word & 1 != 0);
            if offset != 0 || has_more {
                self.fragment = Some(offset);
            }
        }
        (self.next, self.rest) = (IpNumber(next), rest);
        Some(())
    }
}

/// Take `hops` from the hop limit of the datagram at the beginning of `bytes`; whether it still may go on. If not, it is
/// left as it is: it ends at the router whose number, counted from 1, is its hop limit.
pub fn lower_hop_limit(bytes: &mut [u8], hops: u32) -> bool {
    const V4_HOP_LIMIT: usize = 8;
    const V4_CHECKSUM: usize = 10;
    const V6_HOP_LIMIT: usize = 7;
    let Some(datagram) = Datagram::read(bytes) else { return false };
    let (limit, is_v4) = (datagram.hop_limit, datagram.source.is_ipv4());
    let Some(lower) = u8::try_from(hops).ok().and_then(|hops| limit.checked_sub(hops)) else {
        return false;
    };
    if lower == 0 {
        return false;
    }
    if !is_v4 {
        bytes[V6_HOP_LIMIT] = lower;
        return true;
    }
    // RFC 1624: only the word changed in which it stands, and a checksum that was wrong stays wrong.
    let word = |bytes: &[u8], at: usize| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
    let before = word(bytes, V4_HOP_LIMIT);
    bytes[V4_HOP_LIMIT] = lower;
    let after = word(bytes, V4_HOP_LIMIT);
    let sum = u32::from(!word(bytes, V4_CHECKSUM)) + u32::from(!before) + u32::from(after);
    let sum = (sum & 0xffff) + (sum >> 16);
    let sum = (sum & 0xffff) + (sum >> 16);
    let checksum = !(sum as u16);
    bytes[V4_CHECKSUM..V4_CHECKSUM + 2].copy_from_slice(&checksum.to_be_bytes());
    true
}
