//! Over whatever way, bytes arrive as they were sent: lost, doubled, late and out of order or not.
//!
//! A way and two users' sizes in, what they read out; the sides agree on SACK and timestamps, or on less. Always true:
//! whoever writes writes as far as there is room, and ends when all is written; nothing is lost unless an end says so.

use super::tests::Line;
use super::*;
use proptest::prelude::*;
use shim_abi::random::Stream;

/// A way that loses, doubles and delays, and two users that write and read.
struct World {
    line: Line,
    chance: Stream,
    /// Out of 256.
    loss: u64,
    doubling: u64,
    jitter_ns: u64,
    /// What SYN does not offer.
    lacks_sacks: bool,
    lacks_stamps: bool,
    under_way: Vec<(SimTime, u64, usize, Segment)>,
    number: u64,
}

impl World {
    fn draw(&mut self, limit: u64) -> u64 {
        self.chance.next_u64() % limit.max(1)
    }

    fn collect(&mut self) {
        for index in [0, 1] {
            let output = self.line.ends[index].as_mut().map(Tcp::take_output).unwrap_or_default();
            for mut segment in output {
                if segment.has(flag::SYN) {
                    segment.offers_sacks &= !self.lacks_sacks;
                    segment.stamps = segment.stamps.filter(|_| !self.lacks_stamps);
                }
                let now = self.line.now;
                let end = self.line.end(index);
                end.check();
                if end.settings.device_room_bytes != usize::MAX {
                    end.settings.device_room_bytes += segment.bytes.len();
                    end.push(now, false);
                }
                let copies = if self.draw(256) < self.doubling { 2 } else { 1 };
                for _ in 0..copies {
                    if self.draw(256) < self.loss {
                        continue;
                    }
                    let delay = 1_000_000 + self.draw(self.jitter_ns);
                    let at = SimTime::from_ns(self.line.now.as_ns() + delay);
                    self.number += 1;
                    self.under_way.push((at, self.number, 1 - index, segment.clone()));
                }
            }
        }
        self.under_way.sort_by_key(|(at, number, ..)| (*at, *number));
    }

    /// The next thing happens; nothing if nothing will.
    fn step(&mut self) -> Option<()> {
        self.collect();
        let timer = self.line.ends.iter().flatten().map(Tcp::deadline).min()?;
        match self.under_way.first() {
            Some(&(at, ..)) if at <= timer => {
                let (at, _, to, segment) = self.under_way.remove(0);
                self.line.now = self.line.now.max(at);
                self.line.arrive(to, &segment);
            }
            _ if timer == SimTime::MAX => return None,
            _ => {
                self.line.now = self.line.now.max(timer);
                let now = self.line.now;
                self.line.ends.iter_mut().flatten().for_each(|end| end.expire(now));
            }
        }
        Some(())
    }
}

fn settings() -> impl Strategy<Value = Settings> {
    let sizes = prop_oneof![Just(536_usize), Just(1460), Just(65_495)];
    let devices = prop_oneof![Just(usize::MAX), Just(4000_usize)];
    let numbers = (sizes, 1_000_usize..200_000, 1_000_usize..200_000, devices);
    (numbers, any::<[bool; 4]>()).prop_map(|(numbers, switches)| {
        let (way_segment_bytes, send_limit_bytes, receive_limit_bytes, device_room_bytes) = numbers;
        let [has_no_delay, is_receive_limit_fixed, is_send_limit_fixed, is_reno] = switches;
        Settings {
            way_segment_bytes,
            send_limit_bytes,
            is_send_limit_fixed,
            device_room_bytes,
            receive_limit_bytes,
            is_receive_limit_fixed,
            has_no_delay,
            is_reno,
            ..Settings::default()
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_is_read(
        seed: u64,
        active in settings(),
        passive in settings(),
        loss in 0_u64..40,
        doubling in 0_u64..40,
        jitter_ns in prop_oneof![Just(0), Just(10_000_000_u64)],
        [lacks_sacks, lacks_stamps] in any::<[bool; 2]>(),
        sizes in any::<[u16; 2]>(),
        laziness in 1_u64..5,
    ) {
        let chance = Stream::named(seed, &["way"]);
        let line = Line::new(active, passive);
        let (under_way, number) = (Vec::new(), 0);
        let mut world = World {
            line, chance, loss, doubling, jitter_ns, lacks_sacks, lacks_stamps, under_way, number,
        };
        let text = |index: usize| -> Vec<u8> {
            (0..usize::from(sizes[index]) * 3).map(|i| (i * 7 + i / 251 + index) as u8).collect()
        };
        let texts = [text(0), text(1)];
        let mut written = [0, 0];
        let mut read: [Vec<u8>; 2] = [Vec::new(), Vec::new()];
        for step in 0.. {
            prop_assert!(step < 500_000, "it does not end");
            let is_lazy = world.draw(laziness) > 0;
            let now = world.line.now;
            for index in [0, 1] {
                let Some(end) = &mut world.line.ends[index] else { continue };
                if end.can_send() {
                    let room = end.room_bytes();
                    let left = &texts[index][written[index]..];
                    if left.is_empty() {
                        end.finish(now);
                    } else if room > 0 {
                        let bytes = &left[..left.len().min(room)];
                        end.write(now, bytes, false, false);
                        written[index] += bytes.len();
                    }
                }
                if !is_lazy {
                    let got = world.line.read(index);
                    read[index].extend(got);
                }
            }
            if world.step().is_none() {
                // Who reads last makes room, and so something to happen.
                for index in [0, 1] {
                    if world.line.ends[index].is_some() {
                        let got = world.line.read(index);
                        read[index].extend(got);
                    }
                }
                if world.step().is_none() {
                    break;
                }
            }
        }
        let errors: Vec<_> = world.line.ends.iter().flatten().map(|end| end.error).collect();
        // The last acknowledgement may be lost until the one that waits for it gives up.
        if errors.iter().all(Option::is_none) {
            prop_assert_eq!(errors.len(), 2);
            prop_assert!(read[0] == texts[1] && read[1] == texts[0], "something was lost");
        } else {
            prop_assert!(loss > 0, "{errors:?}");
        }
    }
}
