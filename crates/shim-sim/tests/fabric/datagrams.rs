//! Any bytes as datagrams, and what routers say about them.
//!
//! Good datagrams, broken ones and noise in; what is read of them, and reports, must agree with `etherparse`'s strict
//! parser. Nothing may panic.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use etherparse::{
    Icmpv4Type, Icmpv6Type, IpFragOffset, IpHeaders, IpNumber, IpSlice, Ipv4Header, PacketBuilder,
    SlicedPacket, TransportSlice,
};
use proptest::prelude::*;
use shim_host::Trouble;
use shim_sim::fabric::{Datagram, Router, lower_hop_limit, report};

use super::fuzz::fuzz;

const A4: [u8; 4] = [11, 0, 0, 1];
const B4: [u8; 4] = [11, 0, 0, 2];
const A6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0x11, 0, 0, 0, 0, 0xb00, 1);
const B6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0x11, 0, 0, 0, 0, 0xb00, 2);

fn udp(is_v4: bool, hop_limit: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let builder = match is_v4 {
        true => PacketBuilder::ipv4(A4, B4, hop_limit),
        false => PacketBuilder::ipv6(A6.octets(), B6.octets(), hop_limit),
    };
    builder.udp(1_000, 53).write_to_vec(&mut bytes, payload).unwrap();
    bytes
}

fn tcp(is_v4: bool) -> Vec<u8> {
    let mut bytes = Vec::new();
    let builder = match is_v4 {
        true => PacketBuilder::ipv4(A4, B4, 64),
        false => PacketBuilder::ipv6(A6.octets(), B6.octets(), 64),
    };
    builder.tcp(40_000, 80, 7, 1_024).syn().write_to_vec(&mut bytes, &[]).unwrap();
    bytes
}

fn echo(is_v4: bool) -> Vec<u8> {
    let mut bytes = Vec::new();
    match is_v4 {
        true => PacketBuilder::ipv4(A4, B4, 3)
            .icmpv4_echo_request(1, 2)
            .write_to_vec(&mut bytes, b"ping")
            .unwrap(),
        false => PacketBuilder::ipv6(A6.octets(), B6.octets(), 3)
            .icmpv6_echo_request(1, 2)
            .write_to_vec(&mut bytes, b"ping")
            .unwrap(),
    }
    bytes
}

/// A fragment of IPv4 that begins at this offset, in 8 bytes.
fn fragment(offset: u16) -> Vec<u8> {
    let mut header = Ipv4Header::new(24, 9, IpNumber::UDP, A4, B4).unwrap();
    header.dont_fragment = false;
    header.more_fragments = true;
    header.fragment_offset = IpFragOffset::try_new(offset).unwrap();
    header.header_checksum = header.calc_header_checksum();
    [&header.to_bytes()[..], &[1, 2, 3, 4, 0, 24, 0, 0], &[5; 16]].concat()
}

/// The same of IPv6.
fn fragment_v6(offset: u16) -> Vec<u8> {
    let mut bytes = udp(false, 9, &[5; 16]);
    let cut = (offset << 3 | 1).to_be_bytes();
    bytes.splice(40..40, [IpNumber::UDP.0, 0, cut[0], cut[1], 0, 0, 0, 9]);
    bytes[6] = IpNumber::IPV6_FRAGMENTATION_HEADER.0;
    bytes[5] += 8;
    bytes
}

/// A datagram, its header, and its checksums, as they ought to be.
fn assert_sound(bytes: &[u8]) {
    let (headers, payload) = IpHeaders::from_slice(bytes).unwrap();
    if let IpHeaders::Ipv4(header, _) = &headers {
        assert_eq!(header.header_checksum, header.calc_header_checksum());
    }
    let packet = SlicedPacket::from_ip(bytes).unwrap();
    match (packet.transport, &headers) {
        (Some(TransportSlice::Icmpv4(icmp)), _) => {
            let checksum = icmp.icmp_type().calc_checksum(icmp.payload());
            assert_eq!(icmp.checksum(), checksum);
        }
        (Some(TransportSlice::Icmpv6(icmp)), IpHeaders::Ipv6(header, _)) => {
            assert!(icmp.is_checksum_valid(header.source, header.destination));
        }
        (other, _) => panic!("{other:?} of {} bytes", payload.payload.len()),
    }
}

#[test]
fn a_datagram_says_where_it_goes() {
    for (is_v4, source, target, headers) in
        [(true, IpAddr::from(A4), IpAddr::from(B4), 20), (false, A6.into(), B6.into(), 40)]
    {
        let mut bytes = udp(is_v4, 5, b"hello");
        bytes.extend([0xee; 3]);
        let datagram = Datagram::read(&bytes).unwrap();
        assert_eq!((datagram.source(), datagram.target()), (source, target));
        assert_eq!(datagram.bytes().len(), headers + 8 + 5);
        assert_eq!(datagram.payload().len(), 8 + 5);
        assert_eq!((datagram.hop_limit(), datagram.protocol()), (5, IpNumber::UDP));
        assert_eq!(datagram.ports(), Some((1_000, 53)));
        assert!(!datagram.is_fragment() && datagram.has_beginning());
        assert_eq!(Datagram::read(&bytes[..headers + 8 + 4]), None, "not all of it");

        let bytes = tcp(is_v4);
        assert_eq!(Datagram::read(&bytes).unwrap().ports(), Some((40_000, 80)));
        let bytes = echo(is_v4);
        assert_eq!(Datagram::read(&bytes).unwrap().ports(), None);
    }
    for bytes in [&[][..], &[0x45], &[0x60; 39], &[0x15; 60], &[0x44; 60]] {
        assert_eq!(Datagram::read(bytes), None);
    }
}

#[test]
fn fragments_have_ports_at_their_beginning() {
    for (first, second) in [(fragment(0), fragment(3)), (fragment_v6(0), fragment_v6(3))] {
        let datagram = Datagram::read(&first).unwrap();
        assert!(datagram.is_fragment() && datagram.has_beginning());
        assert!(datagram.ports().is_some());
        let datagram = Datagram::read(&second).unwrap();
        assert!(datagram.is_fragment() && !datagram.has_beginning());
        assert_eq!((datagram.protocol(), datagram.ports()), (IpNumber::UDP, None));
    }
}

#[test]
fn extensions_are_passed_as_far_as_they_are_there() {
    /// A datagram of IPv6 with these bytes behind its header.
    fn v6(next: IpNumber, rest: &[u8]) -> Vec<u8> {
        let mut bytes = udp(false, 9, &[]);
        bytes.truncate(40);
        bytes.extend(rest);
        bytes[5] = u8::try_from(rest.len()).unwrap();
        bytes[6] = next.0;
        bytes
    }
    const UDP: u8 = IpNumber::UDP.0;
    const AUTH: IpNumber = IpNumber::AUTHENTICATION_HEADER;
    const HOPS: IpNumber = IpNumber::IPV6_HEADER_HOP_BY_HOP;
    const OPTIONS: IpNumber = IpNumber::IPV6_DESTINATION_OPTIONS;
    let ports = [3, 232, 0, 53, 0, 8, 0, 0];
    let options = |next: u8| [next, 0, 1, 4, 0, 0, 0, 0];
    let long = [UDP, 1, 1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let auth = [UDP, 1, 0, 0, 0, 0, 0, 7, 0, 0, 0, 1];
    for (next, extension) in [(OPTIONS, &options(UDP)[..]), (OPTIONS, &long), (AUTH, &auth)] {
        let whole = v6(next, &[extension, &ports].concat());
        let datagram = Datagram::read(&whole).unwrap();
        assert_eq!((datagram.protocol(), datagram.payload()), (IpNumber::UDP, &ports[..]));
        assert_eq!(datagram.ports(), Some((1_000, 53)));
        for len in 0..extension.len() {
            let cut = v6(next, &extension[..len]);
            let datagram = Datagram::read(&cut).unwrap();
            assert_eq!((datagram.protocol(), datagram.payload().len()), (next, len));
        }
    }
    let both = v6(HOPS, &[options(OPTIONS.0), options(UDP), ports].concat());
    assert_eq!(Datagram::read(&both).unwrap().ports(), Some((1_000, 53)));
    let late = v6(OPTIONS, &[options(HOPS.0), options(UDP), ports].concat());
    assert_eq!(Datagram::read(&late).unwrap().protocol(), HOPS);
}

#[test]
fn hop_limits_are_lowered_and_checksums_follow() {
    for is_v4 in [true, false] {
        for (limit, hops, left) in [
            (64, 3, Some(61)),
            (3, 2, Some(1)),
            (3, 3, None),
            (1, 256, None),
            (0, 0, None),
            (9, 0, Some(9)),
        ] {
            let mut bytes = udp(is_v4, limit, b"x");
            assert_eq!(lower_hop_limit(&mut bytes, hops), left.is_some());
            assert_eq!(bytes, udp(is_v4, left.unwrap_or(limit), b"x"), "{limit} less {hops}");
        }
    }
    // A checksum that is wrong is as wrong afterwards.
    let mut bytes = udp(true, 64, b"x");
    bytes[11] ^= 0x10;
    assert!(lower_hop_limit(&mut bytes, 1));
    bytes[11] ^= 0x10;
    assert_ne!(bytes, udp(true, 64, b"x"));
    assert!(!lower_hop_limit(&mut [0x45, 1, 2], 1));
}

#[test]
fn routers_have_addresses() {
    let router = Router::new(0);
    assert_eq!(router.ipv4, Ipv4Addr::new(100, 64, 0, 1));
    assert_eq!(router.ipv6.to_string(), "fd00:64::6440:1");
    assert_eq!(Router::new(9_999).ipv4, Ipv4Addr::new(100, 64, 39, 16));
    assert_eq!(Router::new((1 << 22) - 3).ipv4, Ipv4Addr::new(100, 127, 255, 254));
    assert_eq!(Router::new((1 << 22) - 2), Router::new(0));
    assert_eq!(Router::new(u32::MAX).ipv4.octets()[0], 100);
}

#[test]
fn reports_say_why() {
    let router = Router::new(4);
    let kinds = [
        (Trouble::OutOfHops, (11, 0, 0), (3, 0, 0)),
        (Trouble::NetUnreachable, (3, 0, 0), (1, 0, 0)),
        (Trouble::HostUnreachable, (3, 1, 0), (1, 3, 0)),
        (Trouble::TooBig { mtu: 1_400 }, (3, 4, 1_400), (2, 0, 1_400)),
    ];
    for (obstacle, v4, v6) in kinds {
        for (is_v4, (kind, code, mtu)) in [(true, v4), (false, v6)] {
            let about = udp(is_v4, 1, &[7; 2_000]);
            let bytes = report(&about, obstacle, router).unwrap();
            assert_sound(&bytes);
            let datagram = Datagram::read(&bytes).unwrap();
            assert_eq!(datagram.bytes().len(), if is_v4 { 576 } else { 1_280 });
            let from: IpAddr = if is_v4 { router.ipv4.into() } else { router.ipv6.into() };
            assert_eq!(datagram.source(), from);
            assert_eq!(datagram.target(), Datagram::read(&about).unwrap().source());
            assert_eq!(datagram.hop_limit(), 64);
            let icmp = datagram.payload();
            assert_eq!(icmp[..2], [kind, code], "{obstacle:?}");
            assert_eq!(u32::from_be_bytes(icmp[4..8].try_into().unwrap()), mtu);
            assert!(about.starts_with(&icmp[8..]), "it quotes the beginning");
        }
    }
    let short = udp(true, 1, b"x");
    let bytes = report(&short, Trouble::OutOfHops, router).unwrap();
    assert_eq!(bytes.len(), 20 + 8 + short.len());
    assert!(report(&echo(true), Trouble::OutOfHops, router).is_some());
    assert!(report(&echo(false), Trouble::OutOfHops, router).is_some());
    assert!(report(&fragment(0), Trouble::OutOfHops, router).is_some());
}

#[test]
fn some_things_are_not_reported() {
    let is_silent =
        |bytes: &[u8]| report(bytes, Trouble::HostUnreachable, Router::new(0)).is_none();
    for is_v4 in [true, false] {
        let about = udp(is_v4, 1, b"x");
        let error = report(&about, Trouble::OutOfHops, Router::new(0)).unwrap();
        assert!(is_silent(&error), "a report");
        assert!(is_silent(&about[..about.len() - 1]), "half a datagram");
    }
    assert!(is_silent(&fragment(3)) && is_silent(&fragment_v6(3)));
    let v4 = |source, target| {
        let mut bytes = Vec::new();
        PacketBuilder::ipv4(source, target, 1).udp(1, 2).write_to_vec(&mut bytes, &[]).unwrap();
        bytes
    };
    assert!(!is_silent(&v4(A4, B4)));
    for other in [[0; 4], [127, 0, 0, 1], [224, 0, 0, 251], [255; 4]] {
        assert!(is_silent(&v4(A4, other)) && is_silent(&v4(other, B4)), "{other:?}");
    }
    let v6 = |source: Ipv6Addr, target: Ipv6Addr| {
        let mut bytes = Vec::new();
        let builder = PacketBuilder::ipv6(source.octets(), target.octets(), 1);
        builder.udp(1, 2).write_to_vec(&mut bytes, &[]).unwrap();
        bytes
    };
    assert!(!is_silent(&v6(A6, B6)));
    for other in [Ipv6Addr::UNSPECIFIED, Ipv6Addr::LOCALHOST, "ff02::1".parse().unwrap()] {
        assert!(is_silent(&v6(A6, other)) && is_silent(&v6(other, B6)), "{other}");
    }
    // Who may cut does not complain of the length.
    let too_big = |bytes: &[u8]| report(bytes, Trouble::TooBig { mtu: 68 }, Router::new(0));
    assert!(too_big(&fragment(0)).is_none() && too_big(&v4(A4, B4)).is_some());
    let code = |bytes: &[u8]| match SlicedPacket::from_ip(bytes).unwrap().transport {
        Some(TransportSlice::Icmpv4(icmp)) => {
            matches!(icmp.icmp_type(), Icmpv4Type::DestinationUnreachable(_))
        }
        Some(TransportSlice::Icmpv6(icmp)) => {
            matches!(icmp.icmp_type(), Icmpv6Type::PacketTooBig { mtu: 68 })
        }
        _ => false,
    };
    assert!(code(&too_big(&v4(A4, B4)).unwrap()) && code(&too_big(&v6(A6, B6)).unwrap()));
}

/// Datagrams, whole ones and broken ones, and bytes that are none.
fn anything() -> impl Strategy<Value = (Vec<u8>, u32, Trouble)> {
    let good = prop::sample::select(vec![
        udp(true, 64, b"payload"),
        udp(false, 64, b"payload"),
        tcp(true),
        tcp(false),
        echo(true),
        echo(false),
        fragment(0),
        fragment(5),
        fragment_v6(0),
        fragment_v6(5),
        report(&udp(true, 1, b"x"), Trouble::OutOfHops, Router::new(1)).unwrap(),
        report(&udp(false, 1, b"x"), Trouble::HostUnreachable, Router::new(1)).unwrap(),
    ]);
    let interesting = prop_oneof![
        any::<u8>(),
        prop::sample::select(vec![0, 1, 8, 0x45, 0x4f, 0x60, 43, 44, 51, 58, 60, 135, 0xff]),
    ];
    let changes = prop::collection::vec((any::<prop::sample::Index>(), interesting), 0..6);
    let changed = (good, changes, 0..12_usize, any::<bool>()).prop_map(
        |(mut bytes, changes, tail, is_cut)| {
            for (at, byte) in changes {
                // Mostly in the headers.
                let len = bytes.len().min(64);
                bytes[at.index(len)] = byte;
            }
            match is_cut {
                true => bytes.truncate(bytes.len() - tail),
                false => bytes.extend(vec![0x3a; tail]),
            }
            bytes
        },
    );
    let noise = prop::collection::vec(any::<u8>(), 0..100);
    let bytes = prop_oneof![8 => changed, 1 => noise];
    let obstacle = prop_oneof![
        Just(Trouble::OutOfHops),
        Just(Trouble::NetUnreachable),
        Just(Trouble::HostUnreachable),
        any::<u32>().prop_map(|mtu| Trouble::TooBig { mtu }),
    ];
    (bytes, 0..300_u32, obstacle)
}

/// Checks datagrams until the time is up: it survives all, and what it says agrees with `etherparse`.
#[test]
fn fuzz_datagrams() {
    fuzz(anything(), |(bytes, hops, obstacle)| {
        let view = Datagram::read(bytes);
        // The strict parser demands more: sound extensions.
        if let Ok(other) = IpSlice::from_slice(bytes) {
            let whole = match &other {
                IpSlice::Ipv4(_) => true,
                // There 0 may mean as much as there is.
                IpSlice::Ipv6(v6) => v6.header().payload_length() > 0,
            };
            if whole {
                let view = view.expect("etherparse reads it");
                assert_eq!(view.source(), other.source_addr());
                assert_eq!(view.target(), other.destination_addr());
                assert_eq!(view.is_fragment(), other.is_fragmenting_payload());
            }
        }
        let mut lowered = bytes.clone();
        let goes_on = lower_hop_limit(&mut lowered, *hops);
        let answer = report(bytes, *obstacle, Router::new(*hops));
        let Some(view) = view else {
            assert!(!goes_on && answer.is_none() && lowered == *bytes);
            return;
        };
        assert!(bytes.starts_with(view.bytes()) && view.bytes().ends_with(view.payload()));
        view.ports();
        assert_eq!(goes_on, u32::from(view.hop_limit()) > *hops);
        if goes_on {
            let after = Datagram::read(&lowered).unwrap();
            assert_eq!(u32::from(after.hop_limit()) + hops, u32::from(view.hop_limit()));
            assert_eq!(after.payload(), view.payload());
            if view.source().is_ipv4() {
                let is_sound = |bytes: &[u8]| {
                    let (header, _) = Ipv4Header::from_slice(bytes).unwrap();
                    header.header_checksum == header.calc_header_checksum()
                };
                assert_eq!(is_sound(bytes), is_sound(&lowered));
            }
        } else {
            assert_eq!(lowered, *bytes);
        }
        if let Some(answer) = answer {
            assert_sound(&answer);
            assert_eq!(Datagram::read(&answer).unwrap().target(), view.source());
            assert!(report(&answer, *obstacle, Router::new(0)).is_none());
        }
    });
}
