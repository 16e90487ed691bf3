//! Packets, written.
//!
//! A packet in, one IP datagram or several fragments of one out. Always true: every length and checksum is right; no
//! datagram is larger than what the way carries; what is not cut asks routers not to, if Linux does so: TCP, and what
//! sockets send by themselves, but no answer of ICMP.

use alloc::vec::Vec;
use core::net::IpAddr;

use etherparse::checksum::Sum16BitWords;
use etherparse::{
    IpDscp, IpEcn, IpFragOffset, IpNumber, Ipv4Header, Ipv4Options, Ipv6FlowLabel,
    Ipv6FragmentHeader, Ipv6Header,
};
use smallvec::{SmallVec, smallvec};

use super::options::{self, Options};
use super::{SMALL_HEADER_BYTES, protocol};
use crate::net::icmp::{self, Complaint};
use crate::net::packet::{Body, Packet};
use crate::net::tcp::Segment;

const TCP_HEADER_BYTES: usize = 20;
/// The most that a length in a header says.
const MAX_BYTES: usize = 65_535;
/// Offsets of fragments are multiples of this.
const UNIT_BYTES: usize = 8;

/// One datagram, or its fragments in their order.
pub(crate) type Datagrams = SmallVec<[Vec<u8>; 1]>;

/// A packet as it goes over a way that carries `mtu` bytes at once. Nothing if no header can say so: its addresses are of
/// two families, or it is too long. IPv4 has the lower half of the identification.
pub(crate) fn write(packet: &Packet, identification: u32, mtu: usize) -> Datagrams {
    let Some(way) = Way::of(packet) else { return Datagrams::new() };
    let options = match &packet.body {
        Body::Tcp { segment, .. } => options::write(segment),
        _ => Options::new(),
    };
    let size = body_bytes(&packet.body, &options);
    if size > way.max_body_bytes() {
        return Datagrams::new();
    }
    let header = way.header_bytes();
    if header + size <= mtu {
        let mut datagram = Vec::with_capacity(header + size);
        let form = Form::Whole { is_kept: is_kept_whole(&packet.body) };
        way.put_header(&mut datagram, packet, size, identification, form);
        way.put_body(&mut datagram, &packet.body, &options);
        return smallvec![datagram];
    }
    let mut body = Vec::with_capacity(size);
    way.put_body(&mut body, &packet.body, &options);
    let header = way.part_header_bytes();
    let most = mtu.saturating_sub(header);
    let room = (most / UNIT_BYTES * UNIT_BYTES).max(UNIT_BYTES);
    // Only IPv4 lets the last one be as long as the way allows.
    let last_room = if way.is_v4() { room.max(most) } else { room };
    let mut datagrams = Datagrams::new();
    let (mut rest, mut offset) = (body.as_slice(), 0);
    while !rest.is_empty() {
        let bytes = if rest.len() <= last_room { rest.len() } else { room };
        let (part, after) = rest.split_at(bytes);
        let form = Form::Part { offset, has_more: !after.is_empty() };
        let mut datagram = Vec::with_capacity(header + bytes);
        way.put_header(&mut datagram, packet, bytes, identification, form);
        datagram.extend_from_slice(part);
        datagrams.push(datagram);
        (rest, offset) = (after, offset + bytes);
    }
    datagrams
}

/// Whether routers are asked not to cut it.
fn is_kept_whole(body: &Body) -> bool {
    matches!(body, Body::Tcp { .. } | Body::Udp { .. } | Body::Echo { is_reply: false, .. })
}

fn body_bytes(body: &Body, options: &Options) -> usize {
    match body {
        Body::Tcp { segment, .. } => TCP_HEADER_BYTES + options.len() + segment.bytes.len(),
        Body::Udp { bytes, .. } | Body::Echo { bytes, .. } => SMALL_HEADER_BYTES + bytes.len(),
        Body::Error(Complaint { quote, .. }) => SMALL_HEADER_BYTES + quote.len(),
    }
}

/// Whether a datagram is whole.
#[derive(Clone, Copy)]
enum Form {
    Whole { is_kept: bool },
    Part { offset: usize, has_more: bool },
}

/// From where to where a packet goes.
enum Way {
    V4([u8; 4], [u8; 4]),
    V6([u8; 16], [u8; 16]),
}

impl Way {
    fn of(packet: &Packet) -> Option<Way> {
        match (packet.source, packet.target) {
            (IpAddr::V4(from), IpAddr::V4(to)) => Some(Way::V4(from.octets(), to.octets())),
            (IpAddr::V6(from), IpAddr::V6(to)) => Some(Way::V6(from.octets(), to.octets())),
            _ => None,
        }
    }
    fn is_v4(&self) -> bool {
        matches!(self, Way::V4(..))
    }
    fn header_bytes(&self) -> usize {
        if self.is_v4() { Ipv4Header::MIN_LEN } else { Ipv6Header::LEN }
    }
    fn part_header_bytes(&self) -> usize {
        self.header_bytes() + if self.is_v4() { 0 } else { Ipv6FragmentHeader::LEN }
    }
    /// IPv4 counts its header, too.
    fn max_body_bytes(&self) -> usize {
        MAX_BYTES - if self.is_v4() { Ipv4Header::MIN_LEN } else { 0 }
    }
    fn protocol_of(&self, body: &Body) -> u8 {
        match body {
            Body::Tcp { .. } => protocol::TCP,
            Body::Udp { is_lite: false, .. } => protocol::UDP,
            Body::Udp { is_lite: true, .. } => protocol::UDP_LITE,
            Body::Echo { .. } | Body::Error(_) if self.is_v4() => protocol::ICMP,
            Body::Echo { .. } | Body::Error(_) => protocol::ICMP6,
        }
    }

    /// The header of a datagram with `bytes` bytes of a body.
    fn put_header(
        &self,
        out: &mut Vec<u8>,
        packet: &Packet,
        bytes: usize,
        identification: u32,
        form: Form,
    ) {
        let (is_kept, offset, has_more) = match form {
            Form::Whole { is_kept } => (is_kept, 0, false),
            Form::Part { offset, has_more } => (false, offset, has_more),
        };
        let fragment_offset =
            IpFragOffset::try_new((offset / UNIT_BYTES) as u16).unwrap_or(IpFragOffset::ZERO);
        let inner = IpNumber(self.protocol_of(&packet.body));
        match *self {
            Way::V4(source, destination) => {
                let mut header = Ipv4Header {
                    dscp: IpDscp::try_new(packet.class >> 2).unwrap_or(IpDscp::ZERO),
                    ecn: IpEcn::try_new(packet.class & 3).unwrap_or(IpEcn::ZERO),
                    total_len: (Ipv4Header::MIN_LEN + bytes) as u16,
                    identification: identification as u16,
                    dont_fragment: is_kept,
                    more_fragments: has_more,
                    fragment_offset,
                    time_to_live: packet.hops,
                    protocol: inner,
                    header_checksum: 0,
                    source,
                    destination,
                    options: Ipv4Options::new(),
                };
                header.header_checksum = header.calc_header_checksum();
                out.extend_from_slice(&header.to_bytes());
            }
            Way::V6(source, destination) => {
                let is_part = matches!(form, Form::Part { .. });
                let more = if is_part { Ipv6FragmentHeader::LEN } else { 0 };
                let header = Ipv6Header {
                    traffic_class: packet.class,
                    flow_label: Ipv6FlowLabel::ZERO,
                    payload_length: (more + bytes) as u16,
                    next_header: if is_part { IpNumber(protocol::FRAGMENT) } else { inner },
                    hop_limit: packet.hops,
                    source,
                    destination,
                };
                out.extend_from_slice(&header.to_bytes());
                if is_part {
                    let header =
                        Ipv6FragmentHeader::new(inner, fragment_offset, has_more, identification);
                    out.extend_from_slice(&header.to_bytes());
                }
            }
        }
    }

    /// The body, with its checksum.
    fn put_body(&self, out: &mut Vec<u8>, body: &Body, options: &Options) {
        let start = out.len();
        let checksum_at = match body {
            Body::Tcp { source_port, target_port, segment } => {
                put_ports(out, *source_port, *target_port);
                put_segment(out, segment, options);
                16
            }
            Body::Udp { source_port, target_port, bytes, .. } => {
                put_ports(out, *source_port, *target_port);
                let length = (SMALL_HEADER_BYTES + bytes.len()) as u16;
                out.extend_from_slice(&length.to_be_bytes());
                out.extend_from_slice(&[0, 0]);
                out.extend_from_slice(bytes);
                6
            }
            Body::Echo { is_reply, identifier, sequence, bytes } => {
                let kind = icmp::echo(self.is_v4())[usize::from(*is_reply)];
                out.extend_from_slice(&[kind, 0, 0, 0]);
                put_ports(out, *identifier, *sequence);
                out.extend_from_slice(bytes);
                2
            }
            Body::Error(complaint) => {
                out.extend_from_slice(&[complaint.kind, complaint.code, 0, 0]);
                out.extend_from_slice(&complaint.info_field(self.is_v4()));
                out.extend_from_slice(&complaint.quote);
                2
            }
        };
        let written = out.get(start..).unwrap_or_default();
        let sum = self.sum(self.protocol_of(body), written);
        let checksum = match body {
            // 0 says that there is none.
            Body::Udp { .. } => sum.to_ones_complement_with_no_zero(),
            _ => sum.ones_complement(),
        };
        // The sum is of words as this machine has them.
        if let Some(field) = out.get_mut(start + checksum_at..start + checksum_at + 2) {
            field.copy_from_slice(&checksum.to_ne_bytes());
        }
    }

    /// The sum over a body and over what its checksum covers beside it.
    fn sum(&self, protocol: u8, body: &[u8]) -> Sum16BitWords {
        let (source, target) = match self {
            Way::V4(source, target) => (IpAddr::from(*source), IpAddr::from(*target)),
            Way::V6(source, target) => (IpAddr::from(*source), IpAddr::from(*target)),
        };
        super::sum(source, target, protocol, body.len(), body)
    }
}

/// Two numbers: ports, or what ICMP has in their place.
fn put_ports(out: &mut Vec<u8>, first: u16, second: u16) {
    out.extend_from_slice(&first.to_be_bytes());
    out.extend_from_slice(&second.to_be_bytes());
}

fn put_segment(out: &mut Vec<u8>, segment: &Segment, options: &Options) {
    let words = (TCP_HEADER_BYTES + options.len()) / 4;
    out.extend_from_slice(&segment.sequence.0.to_be_bytes());
    out.extend_from_slice(&segment.acknowledged.0.to_be_bytes());
    out.extend_from_slice(&[(words << 4) as u8, segment.flags]);
    out.extend_from_slice(&segment.window.to_be_bytes());
    out.extend_from_slice(&[0, 0]);
    out.extend_from_slice(&segment.urgent.to_be_bytes());
    out.extend_from_slice(options);
    out.extend_from_slice(&segment.bytes);
}
