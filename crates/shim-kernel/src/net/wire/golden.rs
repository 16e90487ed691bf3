//! Datagrams that Linux 6.18 sent, with flow labels switched off: what it says is understood, and said the same way.
//!
//! Constants in. Always true: each is as a socket of AF_PACKET has seen it between two namespaces, at 10.0.0.1 and
//! 10.0.0.2, fd00::1 and fd00::2. Nothing is left out but the middle of large ones.

use core::net::IpAddr;
use std::string::ToString;
use std::vec;
use std::vec::Vec;

use shim_abi::SimTime;

use super::{Arrival, Malformed, Reassembly, read, write};
use crate::net::icmp::{Trouble, error_about};
use crate::net::packet::{Body, Packet};
use crate::net::tcp::{Segment, Sequence, flag};

const MTU: usize = 1500;

const V4_UDP: &str = "\
    4528002124ae4000401101f40a0000010a000002a71803e7000dfcff68656c6c6f";
const V4_UDP_ERROR: &str = "\
    45c8003def0c0000400176e90a0000020a0000010303111e000000004528002124ae4000401101f40a0000010a000002a71803e7000dfcff68656c6c\
    6f";
const V4_UDP_ODD: &str = "\
    4500001f674440004011bf870a0000010a000002d84203e7000b3c476f6464";
const V4_LITE: &str = "\
    450000201878400040880ddc0a0000010a000002849903e5000c820f6c697465";
const V4_LITE_ERROR: &str = "\
    45c0003cef4c0000400176b20a0000020a0000010303119400000000450000201878400040880ddc0a0000010a000002849903e5000c820f6c697465";
const V4_COVERED: &str = "\
    45000020188c400040880dc80a0000010a000002849903e5000862e26c697465";
const V4_COVERED_ERROR: &str = "\
    45c0003cef500000400176ae0a0000020a000001030330c50000000045000020188c400040880dc80a0000010a000002849903e5000862e26c697465";
const V4_ASK: &str = "\
    45000023efd34000400137040a0000010a00000208007dadbd1f00037061796c6f6164";
const V4_REPLY: &str = "\
    45000023ef5e0000400177790a0000020a000001000085adbd1f00037061796c6f6164";
const V4_SYN: &str = "\
    4500003c406e40004006e64b0a0000010a000002e9180050500bfd3100000000a002faf0dc050000020405b40402080a87279f36000000000103030a";
const V4_SYN_ANSWER: &str = "\
    4500003c00004000400626ba0a0000020a0000010050e91865485547500bfd32a012fe88944c0000020405b40402080aa33ee64187279f360103030a";
const V4_DATA: &str = "\
    45000036407040004006e64f0a0000010a000002e9180050500bfd32654855488018003f585a00000101080a87279fcea33ee6416869";
const V4_ANSWER: &str = "\
    4500003461cf40004006c4f20a0000020a0000010050e91865485548500bfd3480100040c03200000101080aa33ee6d987279fce";
const V4_URGENT: &str = "\
    4500003561d040004006c4f00a0000020a0000010050e91865485548500bfd34803800409f0800010101080aa33ee6d987279fce21";
const V4_FIN: &str = "\
    4500003461d140004006c4f00a0000020a0000010050e91865485549500bfd3480110040befe00000101080aa33ee80b87279fce";
const V4_REFUSAL: &str = "\
    4500002800004000400626ce0a0000020a0000010051d1ae00000000f935e7da50140000e8bd0000";
const V6_UDP: &str = "\
    62800000000d1140fd000000000000000000000000000001fd00000000000000000000000000000284da03e7000d393c68656c6c6f";
const V6_UDP_ERROR: &str = "\
    60000000003d3a40fd000000000000000000000000000002fd000000000000000000000000000001010490d00000000062800000000d1140fd000000\
    000000000000000000000001fd00000000000000000000000000000284da03e7000d393c68656c6c6f";
const V6_UDP_ODD: &str = "\
    60000000000b1140fd000000000000000000000000000001fd0000000000000000000000000000028fc403e7000b9ec36f6464";
const V6_LITE: &str = "\
    60000000000c8840fd000000000000000000000000000001fd000000000000000000000000000002c62003e5000c5a866c697465";
const V6_LITE_ERROR: &str = "\
    60000000003c3a40fd000000000000000000000000000002fd00000000000000000000000000000101041cc80000000060000000000c8840fd000000\
    000000000000000000000001fd000000000000000000000000000002c62003e5000c5a866c697465";
const V6_COVERED: &str = "\
    60000000000c8840fd000000000000000000000000000001fd000000000000000000000000000002c62003e500083b596c697465";
const V6_COVERED_ERROR: &str = "\
    60000000003c3a40fd000000000000000000000000000002fd00000000000000000000000000000101043bf90000000060000000000c8840fd000000\
    000000000000000000000001fd000000000000000000000000000002c62003e500083b596c697465";
const V6_ASK: &str = "\
    60000000000f3a40fd000000000000000000000000000001fd00000000000000000000000000000280000b5ebd2000037061796c6f6164";
const V6_REPLY: &str = "\
    60000000000f3a40fd000000000000000000000000000002fd00000000000000000000000000000181000a5ebd2000037061796c6f6164";
const V6_SYN: &str = "\
    6000000000280640fd000000000000000000000000000001fd000000000000000000000000000002b5ac00502a6c77ac00000000a002fd202e0d0000\
    020405a00402080ae944e184000000000103030a";
const V6_SYN_ANSWER: &str = "\
    6000000000280640fd000000000000000000000000000002fd0000000000000000000000000000010050b5ac7a3e7aab2a6c77ada012fb046dee0000\
    020405a00402080a8b14422be944e1840103030a";
const V6_DATA: &str = "\
    6000000000220640fd000000000000000000000000000001fd000000000000000000000000000002b5ac00502a6c77ad7a3e7aac801800402e640000\
    0101080ae944e21b8b14422b6869";
const V6_ANSWER: &str = "\
    6000000000200640fd000000000000000000000000000002fd0000000000000000000000000000010050b5ac7a3e7aac2a6c77af8010003f96400000\
    0101080a8b1442c1e944e21b";
const V6_REFUSAL: &str = "\
    6000000000140640fd000000000000000000000000000002fd0000000000000000000000000000010051e84a0000000011aa8090501400003af60000";
/// How fragments of 3000 bytes begin, which count up to 250, from 0 on.
const V4_PARTS: [&str; 3] = [
    "450005dc24b5200040111c5a0a0000010a000002989c03e60bc0b970000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20212223",
    "450005dc24b520b940111ba10a0000010a000002d9dadbdcdddedfe0e1e2e3e4e5e6e7e8e9eaebecedeeeff0f1f2f3f4f5f6f7f8f9fa00010203040506070809",
    "4500004424b50172401140800a0000010a000002bfc0c1c2c3c4c5c6c7c8c9cacbcccdcecfd0d1d2d3d4d5d6d7d8d9dadbdcdddedfe0e1e2e3e4e5e6e7e8e9ea",
];
/// The error about them, without its first header.
const V4_PARTS_ERROR: &str =
    "030348ee0000000045000bd424b50000401136620a0000010a000002989c03e60bc0b9700001020304050607";
const V6_PARTS: [&str; 3] = [
    "6000000005b02c40fd000000000000000000000000000001fd000000000000000000000000000002110000017b1ef7a7c4ef03e60bc0a71b0001020304050607",
    "6000000005b02c40fd000000000000000000000000000001fd000000000000000000000000000002110005a97b1ef7a7b9babbbcbdbebfc0c1c2c3c4c5c6c7c8",
    "6000000000782c40fd000000000000000000000000000001fd00000000000000000000000000000211000b507b1ef7a77f808182838485868788898a8b8c8d8e",
];
const V6_PARTS_ERROR: &str = "0104\
    8f5600000000600000000bc01140fd000000000000000000000000000001fd000000000000000000000000000002c4ef03e60bc0a71b";

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len() / 2).map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap()).collect()
}

fn packet(bytes: &[u8]) -> Packet {
    match read(bytes) {
        Ok(Arrival::Packet(packet)) => packet,
        other => panic!("{other:?}"),
    }
}

fn segment(hex: &str) -> Segment {
    match packet(&bytes(hex)).body {
        Body::Tcp { segment, .. } => segment,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_linux_sends_is_sent() {
    let all = [
        V4_UDP,
        V4_UDP_ERROR,
        V4_UDP_ODD,
        V4_LITE,
        V4_LITE_ERROR,
        V4_COVERED_ERROR,
        V4_ASK,
        V4_REPLY,
        V4_SYN,
        V4_SYN_ANSWER,
        V4_DATA,
        V4_ANSWER,
        V4_URGENT,
        V4_FIN,
        V4_REFUSAL,
        V6_UDP,
        V6_UDP_ERROR,
        V6_UDP_ODD,
        V6_LITE,
        V6_LITE_ERROR,
        V6_COVERED_ERROR,
        V6_ASK,
        V6_REPLY,
        V6_SYN,
        V6_SYN_ANSWER,
        V6_DATA,
        V6_ANSWER,
        V6_REFUSAL,
    ];
    for hex in all {
        let linux = bytes(hex);
        let identification = u32::from(u16::from_be_bytes([linux[4], linux[5]]));
        let written = write(&packet(&linux), identification, MTU);
        assert_eq!(written.as_slice(), [linux], "{hex}");
    }
}

#[test]
fn what_linux_sends_is_understood() {
    let udp = packet(&bytes(V4_UDP));
    assert_eq!(
        (udp.source.to_string(), udp.target.to_string()),
        ("10.0.0.1".into(), "10.0.0.2".into())
    );
    assert_eq!((udp.hops, udp.class), (64, 0x28));
    let is_hello = |packet: &Packet| match &packet.body {
        Body::Udp { target_port: 999, is_lite: false, bytes, .. } => bytes == b"hello",
        _ => false,
    };
    assert!(is_hello(&udp) && is_hello(&packet(&bytes(V6_UDP))));
    let syn = segment(V4_SYN);
    assert_eq!(syn.flags, flag::SYN);
    assert_eq!(syn.sequence, Sequence(0x500b_fd31));
    assert_eq!((syn.max_segment_bytes, syn.window_shift), (Some(1460), Some(10)));
    assert!(syn.offers_sacks && syn.stamps == Some((0x8727_9f36, 0)));
    let answer = segment(V6_SYN_ANSWER);
    assert_eq!((answer.flags, answer.max_segment_bytes), (flag::SYN | flag::ACK, Some(1440)));
    let data = segment(V6_DATA);
    assert_eq!((data.flags, data.bytes.as_slice()), (flag::PSH | flag::ACK, &b"hi"[..]));
    assert!(data.stamps.is_some() && !data.offers_sacks && data.max_segment_bytes.is_none());
    let urgent = segment(V4_URGENT);
    assert!(urgent.has(flag::URG) && urgent.urgent == 1 && urgent.bytes == b"!");
    let Body::Echo { is_reply: true, sequence: 3, bytes: payload, .. } =
        packet(&bytes(V4_REPLY)).body
    else {
        panic!("no reply");
    };
    assert_eq!(payload, b"payload");
    let Body::Error(complaint) = packet(&bytes(V6_UDP_ERROR)).body else { panic!("no error") };
    assert_eq!((complaint.kind, complaint.code, complaint.info), (1, 4, 0));
    let quote = complaint.quote().unwrap();
    assert_eq!((quote.protocol, quote.number(2), &quote.body[8..]), (17, Some(999), &b"hello"[..]));
}

#[test]
fn what_a_checksum_of_udp_lite_does_not_cover_may_change() {
    for hex in [V4_COVERED, V6_COVERED] {
        let mut linux = bytes(hex);
        let last = linux.len() - 1;
        linux[last] ^= 0x55;
        let Body::Udp { is_lite: true, bytes: message, .. } = packet(&linux).body else {
            panic!("no UDP-Lite")
        };
        assert_eq!(message, [b'l', b'i', b't', b'e' ^ 0x55]);
        linux[last - 5] ^= 1;
        assert_eq!(read(&linux).err(), Some(Malformed::Checksum));
    }
}

#[test]
fn errors_are_those_of_linux() {
    for (lost, error) in [
        (V4_UDP, V4_UDP_ERROR),
        (V4_LITE, V4_LITE_ERROR),
        (V4_COVERED, V4_COVERED_ERROR),
        (V6_UDP, V6_UDP_ERROR),
        (V6_LITE, V6_LITE_ERROR),
        (V6_COVERED, V6_COVERED_ERROR),
    ] {
        let (lost, linux) = (bytes(lost), bytes(error));
        let from = packet(&linux).source;
        let told = error_about(&lost, Trouble::PortUnreachable, from).unwrap();
        assert_eq!(packet(&told), packet(&linux));
        // The first header has a number of its own.
        assert_eq!(told[20..], linux[20..]);
        assert_eq!(error_about(&told, Trouble::PortUnreachable, lost_target(&lost)), None);
    }
}

fn lost_target(bytes: &[u8]) -> IpAddr {
    packet(bytes).target
}

#[test]
fn large_datagrams_are_cut_and_joined_as_by_linux() {
    for (parts, error, sum, quoted) in
        [(V4_PARTS, V4_PARTS_ERROR, 0, 548), (V6_PARTS, V6_PARTS_ERROR, 0x7b1e_f7a7, 1232)]
    {
        let parts = parts.map(bytes);
        let is_v4 = sum == 0;
        let identification = if is_v4 { 0x24b5 } else { sum };
        let port = match is_v4 {
            true => u16::from_be_bytes([parts[0][20], parts[0][21]]),
            false => u16::from_be_bytes([parts[0][48], parts[0][49]]),
        };
        let payload: Vec<u8> = (0..3000).map(|at| (at % 251) as u8).collect();
        let body =
            Body::Udp { source_port: port, target_port: 998, is_lite: false, bytes: payload };
        let [source, target]: [IpAddr; 2] = match is_v4 {
            true => ["10.0.0.1", "10.0.0.2"],
            false => ["fd00::1", "fd00::2"],
        }
        .map(|text| text.parse().unwrap());
        let sent = Packet { source, target, hops: 64, class: 0, most_bytes: 0, body };
        let written = write(&sent, identification, MTU);
        let lengths: Vec<usize> = written.iter().map(Vec::len).collect();
        assert_eq!(lengths, if is_v4 { vec![1500, 1500, 68] } else { vec![1496, 1496, 160] });
        for (written, linux) in written.iter().zip(&parts) {
            assert_eq!(written[..linux.len()], **linux);
        }
        let mut reassembly = Reassembly::default();
        let mut joined = None;
        for part in &written {
            assert_eq!(joined, None);
            let Ok(Arrival::Fragment(part)) = read(part) else { panic!("no fragment") };
            joined = reassembly.join(SimTime::ZERO, part);
        }
        let joined = joined.unwrap();
        assert_eq!(packet(&joined), sent);
        let told = error_about(&joined, Trouble::PortUnreachable, target).unwrap();
        let told = &told[if is_v4 { 20 } else { 40 }..];
        let linux = bytes(error);
        assert_eq!((&told[..linux.len()], told.len()), (linux.as_slice(), 8 + quoted));
    }
}
