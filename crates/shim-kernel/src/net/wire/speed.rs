//! How long it takes to write and to read a datagram: `cargo test --release -p shim-kernel speed -- --ignored --nocapture`.
//!
//! Nothing comes in; a line for each kind goes out. Always true: what is measured is the least of several rounds, with
//! allocation, because that is part of it.

use std::hint::black_box;
use std::time::Instant;
use std::{println, vec};

use super::{read, write};
use crate::net::packet::{Body, Packet};
use crate::net::tcp::{Segment, flag};

/// ns for each of many.
fn measure(act: impl Fn()) -> u128 {
    /// Few enough that some rounds are not interrupted.
    const TIMES: u128 = 500;
    let round = |_| {
        let start = Instant::now();
        (0..TIMES).for_each(|_| act());
        start.elapsed().as_nanos() / TIMES
    };
    (0..500).map(round).min().unwrap_or_default()
}

#[test]
#[ignore = "measures"]
fn speed() {
    for (source, target, headers) in [("10.0.0.1", "10.0.0.2", 52), ("fd00::1", "fd00::2", 72)] {
        let bytes = vec![0x5a; 1500 - headers];
        let segment = Segment {
            flags: flag::ACK,
            stamps: Some((1, 2)),
            bytes: bytes.clone(),
            ..Segment::default()
        };
        let tcp = Body::Tcp { source_port: 1, target_port: 2, segment };
        let udp = Body::Udp { source_port: 1, target_port: 2, is_lite: false, bytes };
        for (name, body) in [("TCP", tcp), ("UDP", udp)] {
            let (source, target) = (source.parse().unwrap(), target.parse().unwrap());
            let packet = Packet { source, target, hops: 64, class: 0, most_bytes: 0, body };
            let written = write(&packet, 1, 1500).pop().unwrap();
            let to_write = measure(|| _ = black_box(write(black_box(&packet), 1, 1500)));
            let to_read = measure(|| _ = black_box(read(black_box(&written))));
            println!(
                "{name} from {source}, {} bytes: written in {to_write} ns, read in {to_read} ns",
                written.len()
            );
            assert!(to_write < 2000 && to_read < 2000);
        }
    }
}
