//! Whatever bytes come, reading them ends, with something or with what is wrong, and never panics; and what was changed is
//! not taken for what was sent.
//!
//! Mutations of written datagrams and of their fragments: bytes changed, inserted and removed, and pieces of one put into
//! another; half of them with their first checksum made right again. Takes about a second; `SHIM_FUZZ_SECONDS` sets
//! another length, and then the seed is new each time and told when something is found.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;
use std::vec::Vec;

use etherparse::checksum::Sum16BitWords;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use shim_abi::SimTime;

use super::properties::packets;
use super::{Arrival, Reassembly, read, write};
use crate::net::icmp::{Complaint, Trouble, error_about};
use crate::net::mutation::{self, Fuzzer};
use crate::net::packet::Body;

/// What is done to bytes.
#[derive(Clone, Debug)]
enum Change {
    Any(mutation::Change),
    /// Another header of IPv6 before what follows the first.
    Extend {
        kind: u8,
        bytes: Vec<u8>,
    },
}

fn change() -> impl Strategy<Value = Change> {
    let kind = prop::sample::select(&[0_u8, 43, 44, 60, 59, 6, 17, 58][..]);
    prop_oneof![
        15 => mutation::change(6, 80).prop_map(Change::Any),
        2 => (kind, prop::collection::vec(any::<u8>(), 7))
            .prop_map(|(kind, bytes)| Change::Extend { kind, bytes }),
    ]
}

fn apply(bytes: &mut Vec<u8>, change: &Change, other: &[u8]) {
    match change {
        Change::Any(change) => mutation::apply(bytes, change, other),
        Change::Extend { kind, bytes: new } if bytes.len() >= 40 && bytes[0] >> 4 == 6 => {
            let next = std::mem::replace(&mut bytes[6], *kind);
            let length = u16::from_be_bytes([bytes[4], bytes[5]]).wrapping_add(8);
            bytes[4..6].copy_from_slice(&length.to_be_bytes());
            // Half of them say that they are as long as they are.
            let units = if new[1] & 1 == 0 { 0 } else { new[0] };
            let header = [next, units, new[1], new[2], new[3], new[4], new[5], new[6]];
            bytes.splice(40..40, header);
        }
        Change::Extend { .. } => {}
    }
}

/// Let the header of IPv4 have the right length and checksum.
fn mend(bytes: &mut [u8]) {
    if bytes.len() >= 20 && bytes[0] >> 4 == 4 {
        let header = (usize::from(bytes[0] & 15) * 4).clamp(20, bytes.len());
        let length = (bytes.len() as u16).to_be_bytes();
        bytes[2..4].copy_from_slice(&length);
        bytes[10..12].fill(0);
        let sum = Sum16BitWords::new().add_slice(&bytes[..header]).ones_complement();
        bytes[10..12].copy_from_slice(&sum.to_ne_bytes());
    }
}

/// All that is done with bytes that come.
fn take(reassembly: &mut Reassembly, now: SimTime, bytes: &[u8]) {
    let from =
        if bytes.first().is_some_and(|byte| byte >> 4 == 4) { "10.9.9.9" } else { "fd00::9" };
    if let Some(error) = error_about(bytes, Trouble::OutOfHops, from.parse().unwrap()) {
        assert!(matches!(read(&error), Ok(Arrival::Packet(_))));
    }
    let arrival = match read(bytes) {
        Ok(Arrival::Fragment(fragment)) => {
            let Some(whole) = reassembly.join(now, fragment) else { return };
            let arrival = read(&whole);
            assert!(!matches!(arrival, Ok(Arrival::Fragment(_))), "a part of a whole");
            arrival
        }
        arrival => arrival,
    };
    let Ok(Arrival::Packet(packet)) = arrival else { return };
    if let Body::Error(complaint) = &packet.body {
        look_at(complaint, packet.source.is_ipv4());
    }
    // What was understood can be said again.
    let again = write(&packet, 1, usize::MAX);
    match again.first().map(|bytes| read(bytes)) {
        Some(Ok(Arrival::Packet(again))) => assert_eq!(again, packet),
        None => {}
        other => panic!("{packet:?} becomes {other:?}"),
    }
}

fn look_at(complaint: &Complaint, is_v4: bool) {
    let _ = (complaint.meaning(is_v4), complaint.mtu(is_v4), complaint.ends_request(is_v4));
    if let Some(quote) = complaint.quote() {
        let _ = [0, 2, 4, 6, usize::MAX].map(|at| quote.number(at));
    }
}

#[test]
fn no_bytes_make_it_panic() {
    let Fuzzer { seed, mut runner, end } = Fuzzer::start();
    let sent = (packets(300), packets(60), any::<bool>());
    let changes = prop::collection::vec(change(), 0..5);
    let (mut count, mut reassembly) = (0_u64, Reassembly::default());
    while Instant::now() < end {
        let (packet, other, is_cut) = sent.new_tree(&mut runner).unwrap().current();
        let datagrams = write(&packet, 3, if is_cut { 90 } else { 1500 });
        let other = write(&other, 3, 1500).pop().unwrap();
        for _ in 0..20 {
            let changes = changes.new_tree(&mut runner).unwrap().current();
            let mut bytes = datagrams[count as usize % datagrams.len()].clone();
            changes.iter().for_each(|change| apply(&mut bytes, change, &other));
            if count.is_multiple_of(2) {
                mend(&mut bytes);
            }
            let now = SimTime::from_ns(count * 10_000_000);
            let outcome = catch_unwind(AssertUnwindSafe(|| {
                take(&mut reassembly, now, &bytes);
                reassembly.expire(now);
            }));
            assert!(outcome.is_ok(), "seed {seed:?}: these bytes are not survived: {bytes:02x?}");
            count += 1;
        }
    }
    assert!(count > 1000, "only {count} datagrams were tried");
}
