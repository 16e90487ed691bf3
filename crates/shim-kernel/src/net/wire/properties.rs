//! Whatever is sent is what comes, whole or cut; what changes on the way is noticed.
//!
//! Random packets, orders and changes in. Always true: nothing here knows how a datagram looks. The packets are for the
//! long test, too: see `fuzz`.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::vec::Vec;

use etherparse::checksum::Sum16BitWords;
use proptest::prelude::*;
use proptest::sample::Index;
use shim_abi::SimTime;
use smallvec::SmallVec;

use super::read::Fragment;
use super::{Arrival, Reassembly, read, write};
use crate::net::icmp::{Trouble, error_about};
use crate::net::packet::{Body, Packet};
use crate::net::tcp::{Segment, Sequence, flag};

const TROUBLES: [Trouble; 9] = [
    Trouble::NetUnreachable,
    Trouble::HostUnreachable,
    Trouble::ProtocolUnreachable,
    Trouble::PortUnreachable,
    Trouble::Prohibited,
    Trouble::TooBig { mtu: 1400 },
    Trouble::OutOfHops,
    Trouble::OutOfTime,
    Trouble::BadHeader { at: 9 },
];

fn sequence() -> impl Strategy<Value = Sequence> {
    any::<u32>().prop_map(Sequence)
}

fn data(most: usize) -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..most)
}

prop_compose! {
    fn segment(most: usize)(
        (sequence, acknowledged) in (sequence(), sequence()),
        (flags, window, urgent) in (0..64_u8, any::<u16>(), any::<u16>()),
        max_segment_bytes in prop::option::of(1..=u16::MAX),
        window_shift in prop::option::of(0..=14_u8),
        offers_sacks in any::<bool>(),
        sacks in prop::collection::vec((self::sequence(), self::sequence()), 0..5),
        stamps in prop::option::of(any::<(u32, u32)>()),
        bytes in data(most),
    ) -> Segment {
        let is_syn = flags & flag::SYN != 0;
        // A header has room for so many beside the other options.
        let room = match (is_syn, stamps) {
            (true, _) => 0,
            (false, Some(_)) => 3,
            (false, None) => 4,
        };
        Segment {
            sequence,
            acknowledged,
            flags,
            window,
            urgent,
            max_segment_bytes: max_segment_bytes.filter(|_| is_syn),
            window_shift: window_shift.filter(|_| is_syn),
            offers_sacks: offers_sacks && is_syn,
            sacks: sacks.into_iter().take(room).collect::<SmallVec<_>>(),
            stamps,
            bytes,
        }
    }
}

fn body(most: usize) -> impl Strategy<Value = Body> {
    let ports = any::<(u16, u16)>();
    prop_oneof![
        (ports, segment(most)).prop_map(|((source_port, target_port), segment)| {
            Body::Tcp { source_port, target_port, segment }
        }),
        (ports, any::<bool>(), data(most)).prop_map(
            |((source_port, target_port), is_lite, bytes)| Body::Udp {
                source_port,
                target_port,
                is_lite,
                bytes
            }
        ),
        (ports, any::<bool>(), data(most)).prop_map(|((identifier, sequence), is_reply, bytes)| {
            Body::Echo { is_reply, identifier, sequence, bytes }
        }),
    ]
}

fn ends() -> impl Strategy<Value = (IpAddr, IpAddr)> {
    let v4 = || {
        (1..=223_u8, any::<u32>()).prop_map(|(first, rest)| {
            IpAddr::V4(Ipv4Addr::from_bits(u32::from(first) << 24 | rest >> 8))
        })
    };
    let v6 =
        || any::<u128>().prop_map(|bits| IpAddr::V6(Ipv6Addr::from_bits(0xfd << 120 | bits >> 8)));
    prop_oneof![(v4(), v4()), (v6(), v6())]
}

prop_compose! {
    /// A packet, or an error about one.
    pub(super) fn packets(most: usize)(
        (source, target) in ends(),
        (hops, class) in any::<(u8, u8)>(),
        body in body(most),
        trouble in prop::option::weighted(0.3, prop::sample::select(&TROUBLES[..])),
    ) -> Packet {
        let packet = Packet { source, target, hops, class, most_bytes: 0, body };
        let about = |trouble| {
            let datagram = write(&packet, 0, usize::MAX).pop()?;
            let error = error_about(&datagram, trouble, target)?;
            match read(&error) {
                Ok(Arrival::Packet(error)) => Some(error),
                other => panic!("{other:?}"),
            }
        };
        trouble.and_then(about).unwrap_or(packet)
    }
}

fn fragment(bytes: &[u8]) -> Fragment {
    match read(bytes) {
        Ok(Arrival::Fragment(fragment)) => fragment,
        other => panic!("{other:?}"),
    }
}

/// What becomes of fragments that come one after the other.
fn join(parts: impl IntoIterator<Item = Vec<u8>>) -> Vec<Vec<u8>> {
    let mut reassembly = Reassembly::default();
    let part = |part: Vec<u8>| reassembly.join(SimTime::ZERO, fragment(&part));
    parts.into_iter().filter_map(part).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn what_is_sent_is_what_comes(
        packet in packets(1600), number in any::<u32>(), mtu in 80..2000_usize, order in any::<u64>(),
        twice in any::<Index>(),
    ) {
        let mut sent = write(&packet, number, mtu).into_vec();
        prop_assert!(!sent.is_empty() && sent.iter().all(|part| part.len() <= mtu));
        let whole = if let [whole] = sent.as_slice() {
            whole.clone()
        } else {
            // In any order, and one of them twice.
            sent.sort_by_cached_key(|part| (fragment(part).piece.offset as u64).wrapping_mul(order) % 1009);
            let lost = twice.index(sent.len());
            let others = |&(at, _): &(usize, &Vec<u8>)| at != lost;
            let rest = sent.iter().enumerate().filter(others).map(|(_, part)| part.clone());
            prop_assert_eq!(join(rest), Vec::<Vec<u8>>::new());
            sent.insert(lost, sent[lost].clone());
            let mut joined = join(sent);
            prop_assert_eq!(joined.len(), 1);
            joined.remove(0)
        };
        match read(&whole) {
            Ok(Arrival::Packet(read)) => prop_assert_eq!(read, packet),
            other => prop_assert!(false, "{other:?}"),
        }
    }

    /// Only what no checksum covers may change: an error of one bit is noticed everywhere else.
    #[test]
    fn a_changed_bit_is_noticed(packet in packets(200), at in any::<Index>(), bit in 0..8) {
        let mut bytes = write(&packet, 7, 9000).pop().unwrap();
        let at = at.index(bytes.len());
        bytes[at] ^= 1_u8 << bit;
        // A datagram of another version has other checksums, or none.
        let is_other_version = at == 0 && bit >= 4;
        // The header of IPv6 has none, and only addresses and length are in others.
        let is_covered =
            !is_other_version && (packet.source.is_ipv4() || matches!(at, 4 | 5 | 8..));
        match read(&bytes) {
            Err(_) => {}
            Ok(Arrival::Packet(mut read)) => {
                if !is_covered {
                    (read.hops, read.class) = (packet.hops, packet.class);
                }
                prop_assert_eq!(read, packet);
            }
            Ok(Arrival::Unspoken | Arrival::Idle) => prop_assert!(!is_covered),
            Ok(other) => prop_assert!(is_other_version, "{other:?}"),
        }
    }

    #[test]
    fn what_is_cut_off_is_missed(packet in packets(200), at in any::<Index>()) {
        let bytes = write(&packet, 7, 9000).pop().unwrap();
        prop_assert!(read(&bytes[..at.index(bytes.len())]).is_err());
        let padded = [bytes.as_slice(), &[0; 9]].concat();
        match read(&padded) {
            Ok(Arrival::Packet(read)) => prop_assert_eq!(read, packet),
            other => prop_assert!(false, "{other:?}"),
        }
    }
}

/// Fragments of a datagram of UDP, 8 bytes each, and what it is.
fn parts(is_v4: bool) -> (Vec<Vec<u8>>, Packet) {
    let [source, target] = match is_v4 {
        true => ["10.0.0.1", "10.0.0.2"],
        false => ["fd00::1", "fd00::2"],
    }
    .map(|text| text.parse().unwrap());
    let bytes = (0..24).collect();
    let body = Body::Udp { source_port: 1, target_port: 2, is_lite: false, bytes };
    let packet = Packet { source, target, hops: 9, class: 0, most_bytes: 0, body };
    (write(&packet, 77, if is_v4 { 28 } else { 56 }).into_vec(), packet)
}

/// A fragment from `start` to `end` of what is counted in units of 8 bytes.
fn stretch(is_v4: bool, start: usize, end: usize, has_more: bool) -> Vec<u8> {
    let (parts, packet) = parts(is_v4);
    let whole = write(&packet, 77, 9000).pop().unwrap();
    let (header, fragment) = if is_v4 { (20, 20) } else { (40, 48) };
    let mut bytes = parts[start][..fragment].to_vec();
    bytes.extend_from_slice(&whole[header + 8 * start..header + 8 * end]);
    if is_v4 {
        bytes[3] = bytes.len() as u8;
        bytes[6] = if has_more { 0x20 } else { 0 };
        bytes[10..12].fill(0);
        let sum = Sum16BitWords::new().add_slice(&bytes[..20]).ones_complement();
        bytes[10..12].copy_from_slice(&sum.to_ne_bytes());
    } else {
        bytes[5] = (bytes.len() - 40) as u8;
        bytes[43] = bytes[43] & !1 | u8::from(has_more);
    }
    bytes
}

#[test]
fn fragments_may_come_in_every_order() {
    for is_v4 in [true, false] {
        let (parts, packet) = parts(is_v4);
        assert_eq!(parts.len(), 4);
        for order in 0..256_usize {
            let order = [order & 3, order >> 2 & 3, order >> 4 & 3, order >> 6];
            let joined = join(order.map(|which| parts[which].clone()));
            let mut sorted = order;
            sorted.sort_unstable();
            let is_all = sorted == [0, 1, 2, 3];
            assert_eq!(joined.len(), usize::from(is_all), "{order:?}");
            if let [whole] = joined.as_slice() {
                assert!(matches!(read(whole), Ok(Arrival::Packet(read)) if read == packet));
            }
        }
    }
}

#[test]
fn what_overlaps_ruins_its_datagram_and_what_is_there_already_does_not() {
    for is_v4 in [true, false] {
        let part = |start, end| stretch(is_v4, start, end, end < 4);
        let is_joined = |parts: &[(usize, usize)]| {
            let joined = join(parts.iter().map(|&(start, end)| part(start, end)));
            assert!(joined.iter().all(|whole| matches!(read(whole), Ok(Arrival::Packet(_)))));
            joined.len() == 1
        };
        assert!(is_joined(&[(0, 2), (2, 4)]));
        // Within one, and within two that follow each other.
        assert!(is_joined(&[(0, 2), (0, 1), (2, 4)]));
        assert!(is_joined(&[(0, 1), (1, 2), (0, 2), (2, 4)]));
        assert!(!is_joined(&[(0, 2), (1, 3), (2, 4)]));
        assert!(!is_joined(&[(1, 2), (0, 2), (2, 4)]));
        assert!(!is_joined(&[(0, 1), (2, 3), (0, 3), (3, 4)]));
        assert!(!is_joined(&[(2, 3), (1, 3), (0, 1), (3, 4)]));
        // Two ends, and what follows begins anew.
        let early = || stretch(is_v4, 2, 3, false);
        assert!(join([part(3, 4), early(), part(0, 2), part(2, 3)]).is_empty());
        assert_eq!(join([part(3, 4), early(), part(0, 2), part(2, 4)]).len(), 1);
        // Behind the end, and nothing at all.
        assert!(join([part(2, 4), stretch(is_v4, 3, 4, true), part(0, 2)]).len() == 1);
        assert!(join([part(0, 2), stretch(is_v4, 2, 2, true), part(2, 4)]).is_empty());
    }
}

#[test]
fn what_waits_is_given_up_after_30_seconds_and_costs_no_more_than_4_mib() {
    for is_v4 in [true, false] {
        let (parts, _) = parts(is_v4);
        let mut reassembly = Reassembly::default();
        assert_eq!(reassembly.deadline(), SimTime::MAX);
        let at = |ms: u64| SimTime::from_ns(ms * 1_000_000);
        for part in &parts[..3] {
            assert_eq!(reassembly.join(at(5), fragment(part)), None);
        }
        assert_eq!(reassembly.deadline(), at(30_005));
        assert!(reassembly.expire(at(30_004)).is_empty());
        assert_eq!(reassembly.expire(at(30_005)), [parts[0].clone()]);
        assert_eq!(reassembly.join(at(30_006), fragment(&parts[3])), None);
        // The first of them is not there: nobody is told.
        assert!(reassembly.expire(at(70_000)).is_empty());
        assert_eq!(reassembly.deadline(), SimTime::MAX);
        // Many that never become whole.
        let mut taken = 0;
        for number in 0..20_000 {
            let mut part = fragment(&parts[0]);
            part.piece.identification = number;
            reassembly.join(at(70_000), part);
            taken = reassembly.expire(SimTime::ZERO).len() + number as usize;
        }
        assert_eq!(taken, 19_999);
        let kept = reassembly.expire(SimTime::MAX).len();
        assert!((4 << 20) / 768 < kept && kept < (4 << 20) / 768 + 10, "{kept}");
        for (at, part) in parts.iter().enumerate() {
            let joined = reassembly.join(SimTime::ZERO, fragment(part));
            assert_eq!(joined.is_some(), at == 3);
        }
    }
}

#[test]
fn nobody_complains_about_complaints_or_to_many() {
    let from: IpAddr = "10.0.0.9".parse().unwrap();
    let packet = |source: &str, target: &str| {
        let (source, target) = (source.parse().unwrap(), target.parse().unwrap());
        let body =
            Body::Udp { source_port: 1, target_port: 2, is_lite: false, bytes: [0; 99].to_vec() };
        Packet { source, target, hops: 1, class: 0, most_bytes: 0, body }
    };
    let told = |packet: &Packet, mtu: usize, part: usize, trouble| {
        let from = if packet.source.is_ipv4() { from } else { "fd00::9".parse().unwrap() };
        error_about(&write(packet, 1, mtu)[part], trouble, from)
    };
    let lost = packet("10.0.0.1", "10.0.0.2");
    let error = told(&lost, 1500, 0, Trouble::OutOfHops).unwrap();
    assert_eq!(error_about(&error, Trouble::OutOfHops, from), None);
    assert!(told(&lost, 68, 0, Trouble::OutOfTime).is_some());
    assert_eq!(told(&lost, 68, 1, Trouble::OutOfHops), None);
    assert_eq!(
        error_about(&write(&lost, 1, 1500)[0], Trouble::OutOfHops, "::1".parse().unwrap()),
        None
    );
    for (source, target) in [
        ("10.0.0.1", "224.0.0.1"),
        ("10.0.0.1", "255.255.255.255"),
        ("0.0.0.0", "10.0.0.2"),
        ("224.0.0.1", "10.0.0.2"),
        ("fd00::1", "ff02::1"),
        ("::", "fd00::1"),
    ] {
        assert_eq!(told(&packet(source, target), 1500, 0, Trouble::OutOfHops), None);
    }
    assert!(told(&packet("fd00::1", "ff02::1"), 1500, 0, Trouble::TooBig { mtu: 1280 }).is_some());
    let ask = |is_reply| Packet {
        body: Body::Echo { is_reply, identifier: 1, sequence: 1, bytes: Vec::new() },
        ..lost.clone()
    };
    assert!(told(&ask(false), 1500, 0, Trouble::OutOfHops).is_some());
}

#[test]
fn the_longest_datagrams_are_joined_and_longer_ones_are_not_sent() {
    for (is_v4, most) in [(true, 65_507), (false, 65_527)] {
        let (_, mut packet) = parts(is_v4);
        for (bytes, can_be_sent) in [(most, true), (most + 1, false)] {
            let bytes = (0..bytes).map(|at| (at % 253) as u8).collect();
            packet.body = Body::Udp { source_port: 1, target_port: 2, is_lite: false, bytes };
            let sent = write(&packet, 3, 1500).into_vec();
            assert_eq!(!sent.is_empty(), can_be_sent);
            let joined = join(sent.into_iter().rev());
            assert_eq!(joined.len(), usize::from(can_be_sent));
            for whole in joined {
                assert!(matches!(read(&whole), Ok(Arrival::Packet(read)) if read == packet));
            }
        }
        // A part behind what any length can say.
        let (parts, _) = parts(is_v4);
        let mut far = fragment(&parts[1]);
        far.piece.offset = 65_528;
        assert_eq!(Reassembly::default().join(SimTime::ZERO, far), None);
    }
}
