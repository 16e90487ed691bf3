//! Datagrams, read.
//!
//! Bytes in, a packet or a part of one out. Always true: whatever the bytes are, this ends, with an [`Arrival`] or with what
//! is wrong; what a checksum covers is as it was sent. Bytes behind the end that a header tells are not looked at: some
//! networks pad what is short.

use alloc::vec::Vec;
use core::net::IpAddr;

use etherparse::checksum::Sum16BitWords;
use etherparse::{TcpHeaderSlice, UdpHeaderSlice};

use super::head::{Head, Piece};
use super::{SMALL_HEADER_BYTES, options, protocol};
use crate::net::icmp::{self, Complaint};
use crate::net::packet::{Body, Packet};
use crate::net::tcp::{Segment, Sequence};

/// Why something is no datagram.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Malformed {
    /// There are fewer bytes than a header says.
    Short,
    /// A header makes no sense.
    Header,
    /// It wants something of everybody that is not known here.
    Option,
    Checksum,
}

/// What a datagram is.
#[derive(Debug)]
pub(crate) enum Arrival {
    Packet(Packet),
    /// A part: see [`super::Reassembly`].
    Fragment(Fragment),
    /// Of a protocol that nobody here speaks, which is to be said: `ProtocolUnreachable`.
    Unspoken,
    /// Nothing that anybody here looks at, or answers.
    Idle,
}

/// A part of a datagram.
#[derive(Clone, Debug)]
pub(crate) struct Fragment {
    pub(super) source: IpAddr,
    pub(super) target: IpAddr,
    pub(super) piece: Piece,
    /// All of it, with its headers.
    pub(super) datagram: Vec<u8>,
}

/// What a datagram is that has come; [`Malformed`] if it is none.
pub(crate) fn read(bytes: &[u8]) -> Result<Arrival, Malformed> {
    let head = Head::read(bytes)?;
    let bytes = bytes.get(..head.end).ok_or(Malformed::Short)?;
    if head.source.is_ipv4() {
        let header = bytes.get(..head.body_at).ok_or(Malformed::Short)?;
        check(Sum16BitWords::new().add_slice(header))?;
    }
    let (source, target) = (head.source, head.target);
    if let Some(piece) = head.piece {
        return Ok(Arrival::Fragment(Fragment { source, target, piece, datagram: bytes.to_vec() }));
    }
    let body = bytes.get(head.body_at..).ok_or(Malformed::Short)?;
    let body = match (head.protocol, source.is_ipv4()) {
        (protocol::TCP, _) => read_tcp(&head, body)?,
        (protocol::UDP, _) => read_udp(&head, body)?,
        (protocol::UDP_LITE, _) => read_udp_lite(&head, body)?,
        (protocol::ICMP, true) | (protocol::ICMP6, false) => match read_icmp(&head, body)? {
            Some(body) => body,
            None => return Ok(Arrival::Idle),
        },
        (protocol::NOTHING, false) => return Ok(Arrival::Idle),
        _ => return Ok(Arrival::Unspoken),
    };
    let (hops, class) = (head.hops, head.class);
    Ok(Arrival::Packet(Packet { source, target, hops, class, most_bytes: 0, body }))
}

/// Whether a sum over something and its checksum comes out right.
fn check(sum: Sum16BitWords) -> Result<(), Malformed> {
    if sum.ones_complement() == 0 { Ok(()) } else { Err(Malformed::Checksum) }
}

/// The sum over what a checksum covers, the first bytes of a body.
fn sum(head: &Head, body: &[u8], covered: &[u8]) -> Sum16BitWords {
    super::sum(head.source, head.target, head.protocol, body.len(), covered)
}

fn read_tcp(head: &Head, body: &[u8]) -> Result<Body, Malformed> {
    let header = TcpHeaderSlice::from_slice(body).map_err(|_| Malformed::Header)?;
    check(sum(head, body, body))?;
    let mut segment = Segment {
        sequence: Sequence(header.sequence_number()),
        acknowledged: Sequence(header.acknowledgment_number()),
        flags: header.slice()[13],
        window: header.window_size(),
        urgent: header.urgent_pointer(),
        bytes: body.get(header.slice().len()..).unwrap_or_default().to_vec(),
        ..Segment::default()
    };
    options::read(header.options(), &mut segment);
    let (source_port, target_port) = (header.source_port(), header.destination_port());
    Ok(Body::Tcp { source_port, target_port, segment })
}

fn read_udp(head: &Head, body: &[u8]) -> Result<Body, Malformed> {
    let header = UdpHeaderSlice::from_slice(body).map_err(|_| Malformed::Short)?;
    // What lies behind the end is of no meaning.
    let body = body.get(..header.length().into()).ok_or(Malformed::Short)?;
    let bytes = body.get(SMALL_HEADER_BYTES..).ok_or(Malformed::Header)?;
    // IPv4 leaves it to the sender.
    if header.checksum() != 0 || head.source.is_ipv6() {
        if header.checksum() == 0 {
            return Err(Malformed::Checksum);
        }
        check(sum(head, body, body))?;
    }
    let (source_port, target_port) = (header.source_port(), header.destination_port());
    Ok(Body::Udp { source_port, target_port, is_lite: false, bytes: bytes.to_vec() })
}

fn read_udp_lite(head: &Head, body: &[u8]) -> Result<Body, Malformed> {
    let header = UdpHeaderSlice::from_slice(body).map_err(|_| Malformed::Short)?;
    let coverage = match header.length() {
        0 => body.len(),
        coverage => coverage.into(),
    };
    let covered = body.get(..coverage).ok_or(Malformed::Header)?;
    if coverage < SMALL_HEADER_BYTES || header.checksum() == 0 {
        return Err(Malformed::Header);
    }
    check(sum(head, body, covered))?;
    let bytes = body.get(SMALL_HEADER_BYTES..).unwrap_or_default().to_vec();
    let (source_port, target_port) = (header.source_port(), header.destination_port());
    Ok(Body::Udp { source_port, target_port, is_lite: true, bytes })
}

fn read_icmp(head: &Head, body: &[u8]) -> Result<Option<Body>, Malformed> {
    let (&[kind, code, _, _, a, b, c, d], rest) =
        body.split_first_chunk::<SMALL_HEADER_BYTES>().ok_or(Malformed::Short)?;
    check(sum(head, body, body))?;
    let is_v4 = head.source.is_ipv4();
    let [ask, reply] = icmp::echo(is_v4);
    Ok(if kind == ask || kind == reply {
        let (identifier, sequence) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
        Some(Body::Echo { is_reply: kind == reply, identifier, sequence, bytes: rest.to_vec() })
    } else {
        Complaint::read(is_v4, (kind, code), [a, b, c, d], rest).map(Body::Error)
    })
}
