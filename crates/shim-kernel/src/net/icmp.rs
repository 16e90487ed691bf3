//! Errors of ICMP: what is said of a datagram that did not get where it should, and what that means to its sender.
//!
//! Datagrams and troubles in, complaints out; complaints in, errnos out. Always true: nobody complains about a complaint,
//! about a part of a datagram that is not the first, or about what is for many or from nobody; a complaint quotes as much
//! of its datagram as Linux quotes. To whom it is told is in `socket::inet::failure`, how it travels in `wire`.

use alloc::vec::Vec;
use core::net::IpAddr;

use shim_abi::Errno;

use super::is_for_many;
use super::packet::{Body, Packet};
use super::wire::{self, Head, protocol};

/// So much of a datagram is quoted: what makes a packet of 576 bytes, or of 1280.
const V4_QUOTE_BYTES: usize = 548;
const V6_QUOTE_BYTES: usize = 1232;
const DEFAULT_HOPS: u8 = 64;

/// Types of messages.
const V4_UNREACHABLE: u8 = 3;
const V4_EXCEEDED: u8 = 11;
const V4_PARAMETER: u8 = 12;
const V6_UNREACHABLE: u8 = 1;
const V6_TOO_BIG: u8 = 2;
const V6_EXCEEDED: u8 = 3;
const V6_PARAMETER: u8 = 4;
/// Of IPv4's that something is unreachable: it is too big for the way.
const V4_TOO_BIG_CODE: u8 = 4;
/// Types from here on are no errors.
const V6_FIRST_INFORMATION: u8 = 128;

/// Types of echoes: asked for, and here.
pub(crate) const fn echo(is_v4: bool) -> [u8; 2] {
    if is_v4 { [8, 0] } else { [128, 129] }
}

/// Why a datagram did not get where it should.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Trouble {
    /// No way leads to its target's network.
    NetUnreachable,
    /// Its target is not there.
    HostUnreachable,
    /// Nobody there speaks its protocol.
    ProtocolUnreachable,
    /// Nobody there has its port.
    PortUnreachable,
    /// Somebody does not let it through.
    Prohibited,
    /// The way carries only so much, and it may not be cut.
    TooBig {
        /// So many bytes.
        mtu: u32,
    },
    /// It has come too far.
    OutOfHops,
    /// Not all of its fragments have come in time.
    OutOfTime,
    /// There is something wrong at this place.
    BadHeader {
        /// Counted from its beginning.
        at: u32,
    },
}

impl Trouble {
    /// Type, code, and the number that goes with them.
    fn numbers(self, is_v4: bool) -> (u8, u8, u32) {
        /// Where IPv6 says what it carries, which is what is wrong with an unknown protocol.
        const V6_NEXT_AT: u32 = 6;
        match (self, is_v4) {
            (Trouble::NetUnreachable, true) => (V4_UNREACHABLE, 0, 0),
            (Trouble::HostUnreachable, true) => (V4_UNREACHABLE, 1, 0),
            (Trouble::ProtocolUnreachable, true) => (V4_UNREACHABLE, 2, 0),
            (Trouble::PortUnreachable, true) => (V4_UNREACHABLE, 3, 0),
            (Trouble::TooBig { mtu }, true) => (V4_UNREACHABLE, V4_TOO_BIG_CODE, mtu & 0xffff),
            (Trouble::Prohibited, true) => (V4_UNREACHABLE, 13, 0),
            (Trouble::OutOfHops, true) => (V4_EXCEEDED, 0, 0),
            (Trouble::OutOfTime, true) => (V4_EXCEEDED, 1, 0),
            (Trouble::BadHeader { at }, true) => (V4_PARAMETER, 0, at & 0xff),
            (Trouble::NetUnreachable, false) => (V6_UNREACHABLE, 0, 0),
            (Trouble::Prohibited, false) => (V6_UNREACHABLE, 1, 0),
            (Trouble::HostUnreachable, false) => (V6_UNREACHABLE, 3, 0),
            (Trouble::PortUnreachable, false) => (V6_UNREACHABLE, 4, 0),
            (Trouble::TooBig { mtu }, false) => (V6_TOO_BIG, 0, mtu),
            (Trouble::OutOfHops, false) => (V6_EXCEEDED, 0, 0),
            (Trouble::OutOfTime, false) => (V6_EXCEEDED, 1, 0),
            (Trouble::BadHeader { at }, false) => (V6_PARAMETER, 0, at),
            (Trouble::ProtocolUnreachable, false) => (V6_PARAMETER, 1, V6_NEXT_AT),
        }
    }
}

/// An error that somebody on the way tells.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Complaint {
    /// Type and code, by the numbers of its family's ICMP.
    pub(crate) kind: u8,
    pub(crate) code: u8,
    /// What the way carries, if it was too big; where it is wrong, if it is.
    pub(crate) info: u32,
    /// What it is about: the first bytes of a datagram.
    pub(crate) quote: Vec<u8>,
}

/// What a complaint means to those who have sent something.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Meaning {
    pub(crate) errno: Errno,
    /// Whether there is no use in trying again.
    pub(crate) is_final: bool,
}

const fn meaning(errno: Errno, is_final: bool) -> Meaning {
    Meaning { errno, is_final }
}

/// By the code of what says that something is unreachable.
const V4_MEANINGS: [Meaning; 16] = [
    meaning(Errno::ENETUNREACH, false),
    meaning(Errno::EHOSTUNREACH, false),
    meaning(Errno::ENOPROTOOPT, true),
    meaning(Errno::ECONNREFUSED, true),
    meaning(Errno::EMSGSIZE, true),
    meaning(Errno::EOPNOTSUPP, false),
    meaning(Errno::ENETUNREACH, true),
    meaning(Errno::EHOSTDOWN, true),
    meaning(Errno::ENONET, true),
    meaning(Errno::ENETUNREACH, true),
    meaning(Errno::EHOSTUNREACH, true),
    meaning(Errno::ENETUNREACH, false),
    meaning(Errno::EHOSTUNREACH, false),
    meaning(Errno::EHOSTUNREACH, true),
    meaning(Errno::EHOSTUNREACH, true),
    meaning(Errno::EHOSTUNREACH, true),
];
const V6_MEANINGS: [Meaning; 7] = [
    meaning(Errno::ENETUNREACH, false),
    meaning(Errno::EACCES, true),
    meaning(Errno::EHOSTUNREACH, false),
    meaning(Errno::EHOSTUNREACH, false),
    meaning(Errno::ECONNREFUSED, true),
    meaning(Errno::EACCES, true),
    meaning(Errno::EACCES, true),
];

impl Complaint {
    /// The one that a message is, if its type is an error's; `field`: what stands before the quote.
    pub(super) fn read(
        is_v4: bool,
        (kind, code): (u8, u8),
        field: [u8; 4],
        quote: &[u8],
    ) -> Option<Complaint> {
        let number = u32::from_be_bytes(field);
        let info = match (is_v4, kind) {
            (true, V4_UNREACHABLE) if code == V4_TOO_BIG_CODE => number & 0xffff,
            (true, V4_UNREACHABLE | V4_EXCEEDED) => 0,
            (true, V4_PARAMETER) => number >> 24,
            (false, V6_UNREACHABLE | V6_EXCEEDED) => 0,
            (false, V6_TOO_BIG | V6_PARAMETER) => number,
            _ => return None,
        };
        Some(Complaint { kind, code, info, quote: quote.to_vec() })
    }
    /// What stands before the quote.
    pub(super) fn info_field(&self, is_v4: bool) -> [u8; 4] {
        let is_high = is_v4 && self.kind == V4_PARAMETER;
        (if is_high { self.info << 24 } else { self.info }).to_be_bytes()
    }

    /// What it means to whoever has sent the datagram.
    pub(crate) fn meaning(&self, is_v4: bool) -> Meaning {
        match (is_v4, self.kind) {
            (true, V4_UNREACHABLE) => V4_MEANINGS.get(usize::from(self.code)).copied(),
            (true, V4_PARAMETER) => Some(meaning(Errno::EPROTO, true)),
            (false, V6_UNREACHABLE) => {
                let unknown = meaning(Errno::EPROTO, true);
                Some(V6_MEANINGS.get(usize::from(self.code)).copied().unwrap_or(unknown))
            }
            (false, V6_TOO_BIG) => Some(meaning(Errno::EMSGSIZE, true)),
            (false, V6_PARAMETER) => Some(meaning(Errno::EPROTO, true)),
            _ => None,
        }
        .unwrap_or(meaning(Errno::EHOSTUNREACH, false))
    }
    /// What the way carries, if that was too little.
    pub(crate) fn mtu(&self, is_v4: bool) -> Option<u32> {
        let is_too_big = match is_v4 {
            true => (self.kind, self.code) == (V4_UNREACHABLE, V4_TOO_BIG_CODE),
            false => self.kind == V6_TOO_BIG,
        };
        is_too_big.then_some(self.info)
    }
    /// Whether one who was only asked for a connection gives it up.
    pub(crate) fn ends_request(&self, is_v4: bool) -> bool {
        match is_v4 {
            true => self.kind != V4_UNREACHABLE || self.code <= 1,
            false => self.meaning(false).is_final && self.kind != V6_TOO_BIG,
        }
    }
}

/// What a quote says of the datagram.
#[derive(Debug)]
pub(crate) struct Quote<'a> {
    pub(crate) source: IpAddr,
    pub(crate) target: IpAddr,
    /// `IPPROTO_*`.
    pub(crate) protocol: i32,
    /// The first bytes of what the datagram carries.
    pub(crate) body: &'a [u8],
}

impl Complaint {
    /// What it is about; nothing if that cannot be told.
    pub(crate) fn quote(&self) -> Option<Quote<'_>> {
        let head = Head::read(&self.quote).ok()?;
        if head.piece.is_some_and(|piece| piece.offset > 0) {
            return None;
        }
        let (source, target) = (head.source, head.target);
        let known = self.quote.get(..head.end).unwrap_or(&self.quote);
        let body = known.get(head.body_at..)?;
        Some(Quote { source, target, protocol: head.protocol.into(), body })
    }
}

impl Quote<'_> {
    /// Two bytes of the body as a number.
    pub(crate) fn number(&self, at: usize) -> Option<u16> {
        let bytes = self.body.get(at..)?.first_chunk()?;
        Some(u16::from_be_bytes(*bytes))
    }
}

/// The error of ICMP or ICMPv6 that `from` tells about a datagram that it has received, as a datagram; nothing if there is
/// none to be told: about errors, about fragments but the first, about what is for many or from nobody (RFC 1122, 3.2.2;
/// RFC 4443, 2.4).
pub fn error_about(datagram: &[u8], trouble: Trouble, from: IpAddr) -> Option<Vec<u8>> {
    let packet = complain(datagram, trouble, from)?;
    wire::write(&packet, 0, usize::MAX).pop()
}

/// What the target of a datagram says about it.
pub(super) fn complaint_of_target(datagram: &[u8], trouble: Trouble) -> Option<Packet> {
    complain(datagram, trouble, Head::read(datagram).ok()?.target)
}

/// The same about a packet of this host's.
pub(crate) fn error_about_packet(
    packet: &Packet,
    trouble: Trouble,
    from: IpAddr,
) -> Option<Packet> {
    complain(wire::write(packet, 0, usize::MAX).first()?, trouble, from)
}

fn complain(datagram: &[u8], trouble: Trouble, from: IpAddr) -> Option<Packet> {
    let head = Head::read(datagram).ok()?;
    let is_v4 = head.source.is_ipv4();
    let is_from_nobody = head.source.is_unspecified() || is_for_many(head.source);
    // Of IPv6's everybody may be told what the way carries.
    let is_to_many =
        is_for_many(head.target) && (is_v4 || !matches!(trouble, Trouble::TooBig { .. }));
    let is_later_part = head.piece.is_some_and(|piece| piece.offset > 0);
    let datagram = datagram.get(..head.end).unwrap_or(datagram);
    let kind = datagram.get(head.body_at).copied();
    let is_complaint = match head.protocol {
        protocol::ICMP if is_v4 => !kind.is_some_and(is_information_of_v4),
        protocol::ICMP6 if !is_v4 => kind.is_none_or(|kind| kind < V6_FIRST_INFORMATION),
        _ => false,
    };
    if from.is_ipv4() != is_v4 || is_from_nobody || is_to_many || is_later_part || is_complaint {
        return None;
    }
    let (kind, code, info) = trouble.numbers(is_v4);
    let limit = if is_v4 { V4_QUOTE_BYTES } else { V6_QUOTE_BYTES };
    let quote = datagram.get(..limit).unwrap_or(datagram).to_vec();
    // What IPv4's are marked with is what was sent, and that they are of the network's own.
    let class = if is_v4 { head.class & 0x1e | 0xc0 } else { 0 };
    let body = Body::Error(Complaint { kind, code, info, quote });
    Some(Packet {
        source: from,
        target: head.source,
        hops: DEFAULT_HOPS,
        class,
        most_bytes: 0,
        body,
    })
}

/// Whether a message of IPv4's asks or answers something.
fn is_information_of_v4(kind: u8) -> bool {
    const MAX_TYPE: u8 = 18;
    const QUENCH: u8 = 4;
    const REDIRECT: u8 = 5;
    let is_error = matches!(kind, V4_UNREACHABLE | QUENCH | REDIRECT | V4_EXCEEDED | V4_PARAMETER);
    kind <= MAX_TYPE && !is_error
}
