//! Captures of any packets, handed over in any order that is allowed.
//!
//! Rounds of packets in, files out, which `pcap-file` reads again. Every packet must be there, in the order of time; the
//! bytes of a small file stand beside the code.

use std::fs;

use pcap_file::pcap::PcapParser;
use pcap_file::{DataLink, TsResolution};
use proptest::prelude::*;
use shim_abi::SimTime;
use shim_sim::output::capture::{Capture, Interface};

use super::fuzz::fuzz;

/// In a round packets are handed over in any order, at times of the round and later.
#[derive(Clone, Debug)]
struct Round {
    length: u64,
    packets: Vec<(bool, u64, Vec<u8>)>,
}

fn rounds() -> impl Strategy<Value = (u64, u32, Vec<Round>)> {
    let later = prop_oneof![3 => 0..5_000_u64, 1 => 0..10_000_000_000_u64, 1 => Just(0)];
    let packet = (any::<bool>(), later, prop::collection::vec(any::<u8>(), 0..80));
    let round = (0..3_000_000_u64, prop::collection::vec(packet, 0..8));
    let round = round.prop_map(|(length, packets)| Round { length, packets });
    let capture_bytes = prop_oneof![1..100_u64, Just(65_535), Just(u64::MAX)];
    (capture_bytes, any::<u32>(), prop::collection::vec(round, 0..6))
}

/// What a file has to hold: the time of each packet in microseconds since 1970, its length, its beginning.
type Packets = Vec<(u64, usize, Vec<u8>)>;

fn read(bytes: &[u8]) -> Packets {
    let (mut rest, parser) = PcapParser::new(bytes).unwrap();
    assert_eq!(parser.header().datalink, DataLink::RAW);
    assert_eq!(parser.header().ts_resolution, TsResolution::MicroSecond);
    let mut packets = Vec::new();
    while !rest.is_empty() {
        let (next, packet) = parser.next_raw_packet(rest).unwrap();
        let micros = u64::from(packet.ts_sec) * 1_000_000 + u64::from(packet.ts_frac);
        assert_eq!(packet.incl_len as usize, packet.data.len());
        packets.push((micros, packet.orig_len as usize, packet.data.to_vec()));
        rest = next;
    }
    packets
}

/// Checks captures until the time is up: all packets are there, cut where they ought to be, in the order of their times.
#[test]
fn fuzz_captures() {
    let folder = tempfile::tempdir().unwrap();
    fuzz(rounds(), |(capture_bytes, start, rounds)| {
        // Not in the last centuries of 32 bits.
        let start = i64::from(start / 2) * 1_000_000_000;
        let mut capture = Capture::new(folder.path(), *capture_bytes, start);
        let mut expected: [Vec<(u64, &[u8])>; 2] = [Vec::new(), Vec::new()];
        let mut now = 0;
        for round in rounds {
            for (is_ethernet, later, bytes) in &round.packets {
                let interface =
                    if *is_ethernet { Interface::Ethernet } else { Interface::Loopback };
                capture.packet(interface, SimTime::from_ns(now + later), bytes);
                expected[usize::from(*is_ethernet)].push((now + later, bytes));
            }
            now += round.length;
            capture.write_until(SimTime::from_ns(now));
        }
        capture.finish();
        assert_eq!(capture.write_error(), None);
        for (mut packets, name) in expected.into_iter().zip(["lo.pcap", "eth0.pcap"]) {
            packets.sort_by_key(|(at, _)| *at);
            let expected: Packets = packets
                .into_iter()
                .map(|(at, bytes)| {
                    let len = bytes.len().min(usize::try_from(*capture_bytes).unwrap());
                    let micros = (u64::try_from(start).unwrap() + at) / 1_000;
                    (micros, bytes.len(), bytes[..len].to_vec())
                })
                .collect();
            assert_eq!(read(&fs::read(folder.path().join(name)).unwrap()), expected);
        }
    });
}
