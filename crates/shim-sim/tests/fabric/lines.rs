//! Lines into hosts, against a queue that is simulated event by event.
//!
//! Arrivals in; what comes out and when must be what RFC 8289's pseudo-code gives, whatever the length of the rounds in which
//! one asks. Order and rate are looked at by themselves.

use std::collections::VecDeque;

use proptest::prelude::*;
use shim_abi::{SimDuration, SimTime};
use shim_sim::fabric::codel::{INTERVAL, LIMIT, MTU_BYTES, TARGET};
use shim_sim::fabric::{Counts, Downlink};

/// An arrival: when, and how many bytes.
type Arrival = (u64, usize);

/// The pseudo-code of the RFC (section 5), with its variables, and a line behind it that takes one packet at a time.
#[derive(Default)]
struct Reference {
    rate: u128,
    queue: VecDeque<(usize, Arrival)>,
    bytes: usize,
    first_above_time: u64,
    drop_next: u64,
    count: u64,
    lastcount: u64,
    dropping: bool,
    dropped: u64,
    dropped_at_limit: u64,
}

impl Reference {
    fn control_law(&self, t: u64) -> u64 {
        t + (INTERVAL.as_ns() as f64 / (self.count as f64).sqrt()).round() as u64
    }

    fn dodequeue(&mut self, now: u64) -> (Option<(usize, Arrival)>, bool) {
        let Some(packet) = self.queue.pop_front() else {
            self.first_above_time = 0;
            return (None, false);
        };
        self.bytes -= packet.1.1;
        let sojourn_time = now - packet.1.0;
        let mut ok_to_drop = false;
        if sojourn_time < TARGET.as_ns() || self.bytes <= MTU_BYTES {
            self.first_above_time = 0;
        } else if self.first_above_time == 0 {
            self.first_above_time = now + INTERVAL.as_ns();
        } else if now >= self.first_above_time {
            ok_to_drop = true;
        }
        (Some(packet), ok_to_drop)
    }

    fn dequeue(&mut self, now: u64) -> Option<(usize, Arrival)> {
        let (mut packet, mut ok_to_drop) = self.dodequeue(now);
        if self.dropping {
            if !ok_to_drop {
                self.dropping = false;
            }
            while now >= self.drop_next && self.dropping {
                self.dropped += 1;
                self.count += 1;
                (packet, ok_to_drop) = self.dodequeue(now);
                if ok_to_drop {
                    self.drop_next = self.control_law(self.drop_next);
                } else {
                    self.dropping = false;
                }
            }
        } else if ok_to_drop {
            self.dropped += 1;
            (packet, _) = self.dodequeue(now);
            self.dropping = true;
            let delta = self.count - self.lastcount;
            let is_recent = now.saturating_sub(self.drop_next) < 16 * INTERVAL.as_ns();
            self.count = if delta > 1 && is_recent { delta } else { 1 };
            self.drop_next = self.control_law(now);
            self.lastcount = self.count;
        }
        packet
    }

    /// Event by event: arrivals, and ends of services, arrivals first. What comes out, with the packets' numbers.
    fn run(rate: u64, unlimited_until: u64, arrivals: &[Arrival]) -> (Vec<(u64, usize)>, Counts) {
        let mut reference = Reference { rate: rate.into(), ..Reference::default() };
        let mut out = Vec::new();
        let mut bytes = 0;
        let mut coming = arrivals.iter().copied().enumerate().peekable();
        // When the packet in service is through, in parts of nanoseconds, of which one has as many as the rate has
        // bits per second; `None` if there is none.
        let mut through: Option<u128> = None;
        loop {
            let next = coming.peek().map(|(_, (at, _))| u128::from(*at) * reference.rate);
            // The line turns to the next packet in the nanosecond in which it gets through with the last.
            let is_through = through.map(|parts| parts / reference.rate * reference.rate);
            match (next, is_through) {
                (None, None) => break,
                (Some(at), end) if end.is_none_or(|end| at <= end) => {
                    while let Some((number, packet)) =
                        coming.next_if(|(_, (when, _))| u128::from(*when) * reference.rate == at)
                    {
                        if reference.queue.len() >= LIMIT {
                            reference.dropped_at_limit += 1;
                        } else {
                            reference.bytes += packet.1;
                            reference.queue.push_back((number, packet));
                        }
                    }
                    if through.is_some() {
                        continue;
                    }
                    through = Some(at);
                }
                _ => {}
            }
            let parts = through.unwrap();
            let now = u64::try_from(parts / reference.rate).unwrap();
            through = reference.dequeue(now).map(|(number, (_, len))| {
                let takes = if now >= unlimited_until { len as u128 * 8_000_000_000 } else { 0 };
                let end = parts + takes;
                out.push((u64::try_from(end.div_ceil(reference.rate)).unwrap(), number));
                bytes += len as u64;
                end
            });
        }
        let counts = Counts {
            packets: out.len() as u64,
            bytes,
            dropped_by_codel: reference.dropped,
            dropped_at_limit: reference.dropped_at_limit,
        };
        (out, counts)
    }
}

fn at(ns: u64) -> SimTime {
    SimTime::from_ns(ns)
}

/// The same arrivals through a line, in rounds of this length.
fn run(rate: u64, unlimited: u64, arrivals: &[Arrival], round: u64) -> (Vec<(u64, usize)>, Counts) {
    let mut line = Downlink::new(rate, at(unlimited));
    let mut out = Vec::new();
    let mut coming = arrivals.iter().copied().enumerate().peekable();
    loop {
        let next = coming.peek().map(|(_, (when, _))| at(*when));
        let Some(start) = next.into_iter().chain(line.next_start()).min() else { break };
        let until = start + SimDuration::from_ns(round);
        while let Some((number, (when, len))) = coming.next_if(|(_, (when, _))| at(*when) < until) {
            line.arrive(at(when), len, number);
        }
        out.extend(line.pass(until).map(|(when, number)| (when.as_ns(), number)));
    }
    (out, line.counts())
}

fn same(rate: u64, unlimited: u64, arrivals: &[Arrival], round: u64) -> Counts {
    let found = run(rate, unlimited, arrivals, round);
    let expected = Reference::run(rate, unlimited, arrivals);
    assert_eq!(found.1, expected.1);
    assert!(found.0 == expected.0, "the first {} packets are the same", {
        found.0.iter().zip(&expected.0).take_while(|(one, other)| one == other).count()
    });
    found.1
}

const MS: u64 = 1_000_000;

#[test]
fn a_packet_takes_its_length_over_the_rate() {
    // 1,250 bytes are 10,000 bits: 10 ms at 1 Mbit/s, each after the other.
    let arrivals = [(0, 1_250), (0, 1_250), (25 * MS, 1_250), (100 * MS, 125)];
    let (out, _) = run(1_000_000, 0, &arrivals, MS);
    assert_eq!(out, [(10 * MS, 0), (20 * MS, 1), (35 * MS, 2), (101 * MS, 3)]);
    // Thirds of nanoseconds are kept: three packets of 8 bits at 3 bits per nanosecond.
    let (out, _) = run(3_000_000_000, 0, &[(5, 1), (5, 1), (5, 1), (5, 1)], MS);
    assert_eq!(out, [(8, 0), (11, 1), (13, 2), (16, 3)]);
}

#[test]
fn nothing_takes_time_until_the_bootstrap_ends() {
    let arrivals = [(0, 1_250), (7, 1_250), (10 * MS, 1_250), (10 * MS, 1_250)];
    let (out, counts) = run(1_000_000, 10 * MS, &arrivals, MS);
    assert_eq!(out, [(0, 0), (7, 1), (20 * MS, 2), (30 * MS, 3)]);
    assert_eq!(counts, Counts { packets: 4, bytes: 5_000, ..Counts::default() });
}

#[test]
fn a_queue_that_stands_is_cut() {
    // A fifth more than passes, for five seconds.
    let arrivals: Vec<Arrival> = (0..5_000).map(|number| (number * MS, 1_500)).collect();
    let counts = same(10_000_000, 0, &arrivals, 10 * MS);
    assert!((50..1_000).contains(&counts.dropped_by_codel), "{counts:?}");
    assert_eq!(counts.dropped_at_limit, 0);
}

#[test]
fn bursts_that_come_and_go_are_not_cut() {
    // 50 ms of packets at once, every 100 ms.
    let arrivals: Vec<Arrival> = (0..2_000).map(|number| (number / 40 * 100 * MS, 1_500)).collect();
    let counts = same(10_000_000, 0, &arrivals, MS);
    assert_eq!(counts, Counts { packets: 2_000, bytes: 3_000_000, ..Counts::default() });
}

#[test]
fn a_flood_meets_the_limit() {
    let arrivals: Vec<Arrival> = (0..30_000).map(|number| (number * 1_000, 1_500)).collect();
    let counts = same(1_000_000, 0, &arrivals, 5 * MS);
    assert!(counts.dropped_at_limit > 15_000, "{counts:?}");
    assert!(counts.dropped_by_codel > 1_000, "{counts:?}");
}

/// Gaps and lengths that let queues build up and vanish.
fn traffic() -> impl Strategy<Value = (u64, Vec<Arrival>)> {
    let gap = prop_oneof![
        5 => Just(0_u64),
        5 => 0..2_000_u64,
        5 => 0..3 * MS,
        1 => 0..400 * MS,
        1 => Just(12 * MS),
    ];
    let len = prop_oneof![3 => Just(1_500_usize), 1 => 20..1_500_usize, 1 => Just(0), 1 => 1..65_536_usize];
    let phase = (prop::collection::vec((gap, len), 1..40), 1..12_usize);
    let rate = prop_oneof![
        Just(1_000_000_u64),
        Just(10_000_000),
        1_000_000..200_000_000_u64,
        Just(1_000_000_007)
    ];
    (rate, prop::collection::vec(phase, 1..12)).prop_map(|(rate, phases)| {
        let mut when = 0;
        let mut arrivals = Vec::new();
        for (pattern, times) in phases {
            for (gap, len) in pattern.repeat(times) {
                when += gap;
                arrivals.push((when, len));
            }
        }
        (rate, arrivals)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn a_line_is_the_reference_in_any_rounds(
        (rate, arrivals) in traffic(),
        unlimited in prop_oneof![Just(0_u64), 0..500 * MS],
        round in 1..200 * MS,
    ) {
        same(rate, unlimited, &arrivals, round);
    }

    #[test]
    fn order_and_rate_are_kept((rate, arrivals) in traffic()) {
        let (out, counts) = run(rate, 0, &arrivals, 7 * MS);
        let dropped = counts.dropped_by_codel + counts.dropped_at_limit;
        prop_assert_eq!(counts.packets + dropped, arrivals.len() as u64);
        for pair in out.windows(2) {
            prop_assert!(pair[0].0 <= pair[1].0 && pair[0].1 < pair[1].1, "{pair:?}");
        }
        // In any time from the end of one packet to the end of a later one: all bits but the first's.
        let ends: Vec<(u64, u128)> = out
            .iter()
            .scan(0_u128, |sum, (when, number)| {
                *sum += 8 * arrivals[*number].1 as u128;
                Some((*when, *sum))
            })
            .collect();
        for (first, (from, before)) in ends.iter().enumerate().step_by(7) {
            for (to, sum) in &ends[first..] {
                // The instants are rounded up, so that the first may have ended almost 1 ns earlier.
                let most = u128::from(to - from + 1) * u128::from(rate);
                prop_assert!((sum - before) * 1_000_000_000 <= most);
            }
        }
        for (when, number) in out {
            prop_assert!(when >= arrivals[number].0);
        }
    }
}
